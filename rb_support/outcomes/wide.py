"""Wide and long frames: how published and users' tables become checked arrays, and back.

Wide, one row per query: `sample_id`, `prompt`, `eval_name`, and per model `<model>` (score),
`<model>|total_cost` (USD) and further `<model>|…` columns such as `<model>|model_response`.
Long, one row per query and model: `sample_id`, `prompt`, `eval_name`, `performance`, `model_response`,
`model_name`, `cost`.
"""

from __future__ import annotations

import operator
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.catalog import MODELS, RAG_MODELS, dataset_of_task
from rb_support.outcomes.cells import TURN, encoded, is_chat, means_absent, plain, plain_prompt, strings
from rb_support.outcomes.checks import (
    Checks,
    Floats,
    TableError,
    floats,
    refuse_models,
    refuse_unknown,
    shown,
)

COST = "|total_cost"
ANSWER, LATENCY, TOKENS = "|model_response", "|latency", "|total_tokens"
KEYS = ("sample_id", "prompt", "eval_name")
LONG = (*KEYS, "performance", "model_name", "cost")
Missing = Literal["raise", "drop"]
Gaps = Missing | Literal["keep"]
"""What becomes of rows with a missing score or cost."""

_NAMELESS = re.compile(r"\s*|Unnamed: \d+|__index_level_\d+__")
"""Names of columns without a name, as CSV files, pandas and Parquet files have them."""


Parts = tuple[pd.DataFrame, Floats, Floats, tuple[str, ...]]
"""What an `Outcomes` is made of: frame, quality, cost, models."""


def cost_columns(models: Sequence[str]) -> list[str]:
    """Names of the models' cost columns."""
    return [model + COST for model in models]


def of_model(columns: Sequence[str], models: Sequence[str]) -> list[str]:
    """Columns `<model>|…` of these models."""
    owners = set(models)
    return [column for column in columns if "|" in column and column.rsplit("|", 1)[0] in owners]


def parse_wide(
    frame: pd.DataFrame, models: Sequence[str] | None, name: str, missing: Gaps
) -> tuple[Parts, list[str]]:
    """Check a wide frame and decode its prompts; with notes on dropped rows for the table's origin.

    See `Outcomes.from_wide` for the parameters and for what is refused.
    """
    frame = plain_frame(frame, name)
    checks = Checks(frame, name)
    checks.need_columns(KEYS)
    if "task" in frame.columns:
        raise TableError(f"{checks.name}: column 'task' stands beside 'eval_name', its namesake; rename it")
    found, notes = _find_models(checks, models)
    chosen = tuple(found if models is None else models)
    refuse_unknown(chosen, found, name)
    refuse_models(chosen, name)
    checks.refuse_blank([*KEYS, *(c for c in ("dataset",) if c in frame.columns)])
    checks.refuse_same_ids()
    quality, cost = checks.numbers(chosen), checks.numbers(cost_columns(chosen), truth=False)
    checks.refuse_scores(quality, chosen)
    checks.refuse_costs(cost, cost_columns(chosen))
    gone = of_model(list(frame.columns), [model for model in found if model not in chosen])
    about = _named(frame.drop(columns=list({*found, *cost_columns(found), *gone})))
    chats = sum(map(is_chat, frame["prompt"].astype(str)))
    if chats:
        notes.append(f"prompts that were chat messages, of which the contents alone were taken: {chats}")
    if missing == "raise":
        refuse_missing(checks, quality, cost, chosen)
    if missing == "drop":
        rows, dropped = complete_rows(quality, cost, chosen, name)
        if dropped:
            about, quality, cost = about.iloc[rows], quality[rows], cost[rows]
        notes += dropped
    return (about, quality, cost, chosen), notes


def refuse_missing(checks: Checks, quality: Floats, cost: Floats, models: Sequence[str]) -> None:
    """Refuse a missing score or cost."""
    remedy = "fill it in, leave the model out (models=…) or drop such rows (missing='drop', --missing drop)"
    checks.refuse_missing(quality, models, remedy)
    checks.refuse_missing(cost, cost_columns(models), remedy)


def complete_rows(
    quality: Floats, cost: Floats, models: Sequence[str], name: str
) -> tuple[NDArray[np.intp], list[str]]:
    """Rows in which no score and no cost is missing, and a note on the others if there are any.

    Raises
    ------
    TableError : if there is no such row, naming the model that lacks most.
    """
    absent = np.isnan(quality) | np.isnan(cost)
    rows = np.flatnonzero(~absent.any(axis=1))
    if not len(rows):
        most = int(absent.sum(axis=0).argmax())
        raise TableError(
            f"{shown(name)}: no row has a score and a cost of every model (row 1 lacks "
            f"'{shown(models[absent[0].argmax()])}'); most are missing of '{shown(models[most])}', "
            f"{absent[:, most].sum():,} of {len(absent):,}: leave it out (models=…) or fill it in"
        )
    gone = len(absent) - len(rows)
    return rows, [f"rows dropped for a missing score or cost: {gone}"] if gone else []


def problems(frame: pd.DataFrame, name: str) -> list[str]:
    """All that keeps a wide or long frame from being a table, a sentence each; none if it is one.

    A missing cell does not: see `PartialOutcomes`. Of cells with one fault the first is named and the
    others are counted, column by column.
    """
    found: list[str] = []
    try:
        checks = Checks(plain_frame(frame, name), name, found)
        long = "model_name" in checks.frame.columns
        checks.need_columns(LONG if long else KEYS)
        models = [] if long or found else _find_models(checks, None)[0]
    except TableError as error:
        found = [str(error)]
    if found:
        return found
    checks.refuse_blank((*KEYS, "model_name") if long else KEYS)
    if not long:
        checks.refuse_same_ids()
    for score, cost in [("performance", "cost")] if long else zip(models, cost_columns(models), strict=True):
        checks.refuse_scores(checks.numbers([score]), [score])
        checks.refuse_costs(checks.numbers([cost], truth=False), [cost])
    return found


def plain_frame(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Frame of plain cells under text names, without a nameless column of row numbers.

    Categories become the values they stand for; see `cells.plain` and `cells.plain_prompt`.

    Raises
    ------
    TableError : naming row and column of a cell that is no text, or a nameless column of other values.
    """
    columns: list[pd.Series[Any]] = []
    for at in range(frame.shape[1]):
        column = frame.iloc[:, at].rename(str(frame.columns[at])).reset_index(drop=True)
        if not _NAMELESS.fullmatch(str(column.name)):
            columns.append(_plain_column(column, name))
        elif not _counts_rows(column):
            raise TableError(f"{shown(name)}: column {at + 1} has no name; name it or delete it")
    return pd.concat(columns, axis=1) if columns else frame.iloc[:, :0]


def _counts_rows(column: pd.Series[Any]) -> bool:
    """Whether a column holds row numbers, or nothing at all; 0 and 1 on many rows are scores."""
    cells = set(column.astype(str))
    return cells <= {"", "nan", "None"} or (
        all(re.fullmatch(r"\d+", cell) for cell in cells) and (len(cells) > 2 or len(cells) == len(column))
    )


def _plain_column(column: pd.Series[Any], name: str) -> pd.Series[Any]:
    if column.dtype.kind in "iufbmM" or isinstance(column.dtype, pd.StringDtype):
        return column
    read: Callable[[Any], Any] = plain_prompt if column.name == "prompt" else plain
    cells, made = column.to_numpy(dtype=object), []
    for row, cell in enumerate(cells, start=1):
        try:
            made.append(read(cell))
        except ValueError as error:
            raise TableError(
                f"{shown(name)}: row {row}, column '{shown(column.name)}': is no text "
                f"({getattr(error, 'reason', error)}); write the column as text in UTF-8"
            ) from error
    if column.dtype == object and all(map(operator.is_, made, cells)):
        return column
    return pd.Series(made, name=column.name, dtype=object).infer_objects()


def _like_scores(column: pd.Series[Any]) -> bool:
    """Whether a column holds numbers from 0 to 1 and nothing else; True and False are no numbers here."""
    values = floats(column, truth=False)
    known = ~np.isnan(values)
    others = column.to_numpy(dtype=object)[~known]
    inside = (values[known] >= 0) & (values[known] <= 1)
    return bool(known.any() and inside.all() and all(map(means_absent, others)))


def _find_models(checks: Checks, asked: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Models with a score and a cost column, in the order of their score columns; and a note on others.

    A column of scores without costs is refused if it stands among the models' columns, bears a known model's
    name or has columns `<model>|…` beside it; another is noted, unless the caller named the models.
    """
    columns, name = list(checks.frame.columns), checks.name
    priced = {column.removesuffix(COST) for column in columns if column.endswith(COST)}
    for model in sorted(priced - set(columns)):
        raise TableError(
            f"{name}: column '{shown(model)}' (scores) is missing beside '{shown(model + COST)}'; "
            "add it or delete the costs"
        )
    found = [column for column in columns if column in priced]
    for model in priced.intersection((*KEYS, "dataset")):
        raise TableError(
            f"{name}: column '{model}{COST}': '{model}' is no name for a model; rename the model"
        )
    if not found:
        raise TableError(
            f"{name}: no model found; give each a score column '<model>' and a cost column '<model>{COST}'"
        )
    lone = [c for c in columns if c not in (*priced, *KEYS, "dataset") and "|" not in c]
    likely = [c for c in lone if asked is None and _like_scores(checks.frame[c])]
    among = columns[columns.index(found[0]) : columns.index(found[-1] + COST)]
    described = {column.rsplit("|", 1)[0] for column in columns if "|" in column}
    known = {*MODELS, *RAG_MODELS, *described, *(asked or ()), *set(among).intersection(likely)}
    for model in filter(known.__contains__, lone):
        raise TableError(
            f"{name}: column '{shown(model + COST)}' is missing beside the scores '{shown(model)}'; "
            "add the USD per query, delete the scores, or name the models to read (models=…)"
        )
    if not likely:
        return found, []
    note = f"taken for no model, for want of a cost column '…{COST}': {', '.join(map(shown, likely))}"
    warnings.warn(f"{name}: {note}", stacklevel=4)
    return found, [note]


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Frame with this project's columns first, ids and tasks as texts and prompts decoded."""
    tasks = frame["eval_name"].astype(str)
    texts = [TURN.join(strings(prompt)) for prompt in frame["prompt"].astype(str)]
    datasets = frame["dataset"] if "dataset" in frame.columns else _implied_dataset(tasks)
    head = {
        "sample_id": frame["sample_id"].astype(str),
        "dataset": datasets.astype(str),
        "task": tasks,
        "prompt": pd.Series(texts, index=frame.index, dtype=str),
    }
    return pd.concat([pd.DataFrame(head), frame.drop(columns=[*head, "eval_name"], errors="ignore")], axis=1)


def _implied_dataset(tasks: pd.Series[str]) -> pd.Series[str]:
    return tasks.map({task: dataset_of_task(task) for task in tasks.unique()})


def wide_frame(table: Parts) -> pd.DataFrame:
    """Wide frame of a table's parts; `dataset` is written only where the task does not imply it."""
    frame, quality, cost, models = table
    scores = pd.DataFrame(quality, columns=list(models))
    costs = pd.DataFrame(cost, columns=cost_columns(models))
    rest = frame.drop(columns=["sample_id", "prompt", "task", "dataset"])
    answers = of_model(list(rest.columns), models)
    return pd.concat([_keys(frame), scores, rest[answers], costs, rest.drop(columns=answers)], axis=1)


def _keys(frame: pd.DataFrame) -> pd.DataFrame:
    prompt = frame["prompt"].map(encoded)
    keys = pd.DataFrame({"sample_id": frame["sample_id"], "prompt": prompt, "eval_name": frame["task"]})
    implied = _implied_dataset(frame["task"]).eq(frame["dataset"]).all()
    return keys if implied else keys.assign(dataset=frame["dataset"])


def long_frame(table: Parts) -> pd.DataFrame:
    """Long frame of a table's parts, query by query, models in their order."""
    frame, quality, cost, models = table
    n, m = quality.shape
    answers = of_model(list(frame.columns), models)
    rest = frame.drop(columns=["sample_id", "prompt", "task", "dataset", *answers])
    base = pd.concat([_keys(frame), rest], axis=1)
    long = base.loc[np.repeat(np.arange(n), m)].reset_index(drop=True)
    long["performance"], long["cost"] = quality.ravel(), cost.ravel()
    long["model_name"] = np.tile(np.array(models, dtype=object), n)
    for kind in dict.fromkeys(column.rsplit("|", 1)[1] for column in answers):
        cells = [frame.get(f"{model}|{kind}", pd.Series([None] * n)) for model in models]
        long[kind] = np.column_stack([column.to_numpy(dtype=object) for column in cells]).ravel()
    return long


def wide_of_long(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Wide frame of a long one; cells and repeats are checked here, while row numbers are the file's.

    A further column becomes `<model>|<column>` if it is `model_response`, `latency` or `total_tokens`, or
    varies within a sample.

    Raises
    ------
    TableError : as `Outcomes.from_long` says.
    """
    frame = plain_frame(frame, name)
    frame = frame.loc[:, [c != "index" or not _counts_rows(frame["index"]) for c in frame.columns]]
    checks = Checks(frame, name)
    checks.need_columns(LONG)
    checks.refuse_blank((*KEYS, "model_name"))
    frame = frame.assign(**{column: frame[column].astype(str) for column in (*KEYS, "model_name")})
    values = np.hstack([checks.numbers(["performance"]), checks.numbers(["cost"], truth=False)])
    checks.refuse_scores(values[:, :1], ("performance",))
    checks.refuse_costs(values[:, 1:], ("cost",))
    sample = frame.groupby(list(KEYS), sort=False).ngroup().to_numpy()
    again = pd.DataFrame({"sample": sample, "model": frame["model_name"]}).duplicated()
    what, remedy = "answers this sample a second time", "delete one of the rows or give it its own sample_id"
    checks.refuse_own(again, ["model_name"], what, remedy)
    return _pivot(frame, values, sample)


def _pivot(frame: pd.DataFrame, values: Floats, sample: NDArray[Any]) -> pd.DataFrame:
    rest = [column for column in frame.columns if column not in LONG]
    varies = (frame[rest].groupby(sample).nunique(dropna=False) > 1).any()
    ours = [column for column in rest if f"|{column}" in (ANSWER, LATENCY, TOKENS) or varies[column]]
    shared = frame.drop(columns=[*ours, *LONG[3:]])[~pd.Series(sample).duplicated()]
    cells = frame[ours].set_axis([f"|{column}" for column in ours], axis=1)
    cells = pd.concat([pd.DataFrame({"": values[:, 0], COST: values[:, 1]}), cells], axis=1)
    model, models = pd.factorize(frame["model_name"])
    order = [(kind, j) for j in range(len(models)) for kind in cells.columns]
    table = cells.assign(sample=sample, model=model).pivot(index="sample", columns="model")[order]
    table = table.set_axis([f"{models[j]}{kind}" for kind, j in order], axis=1).reset_index(drop=True)
    return pd.concat([shared.reset_index(drop=True), table], axis=1)
