"""Wide and long frames: how published and users' tables become checked arrays, and back.

Wide, one row per query: `sample_id`, `prompt`, `eval_name`, and per model `<model>` (score),
`<model>|total_cost` (USD) and further `<model>|…` columns such as `<model>|model_response`.
Long, one row per query and model: `sample_id`, `prompt`, `eval_name`, `performance`, `model_response`,
`model_name`, `cost`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.catalog import MODELS, RAG_MODELS, dataset_of_task
from rb_support.outcomes.checks import Checks, Floats, TableError, refuse_repeats, refuse_unknown

COST = "|total_cost"
ANSWER = "|model_response"
KEYS = ("sample_id", "prompt", "eval_name")
LONG = (*KEYS, "performance", "model_name", "cost")
Missing = Literal["raise", "drop"]
TURN = "\n\n"
"""What stands between the turns of a prompt that was a list."""

_ROW_NUMBERS = re.compile(r"Unnamed: \d+")


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
    frame: pd.DataFrame, models: Sequence[str] | None, name: str, missing: Missing
) -> tuple[Parts, list[str]]:
    """Check a wide frame and decode its prompts; with notes on dropped rows for the table's origin.

    See `Outcomes.from_wide` for the parameters and for what is refused.
    """
    frame = _without_row_numbers(frame)
    checks = Checks(frame, name)
    checks.need_columns(KEYS)
    if "task" in frame.columns:
        raise TableError(f"{name}: column 'task' stands beside 'eval_name', which means the same; rename it")
    found = _find_models(list(frame.columns), models or (), name)
    chosen = tuple(found if models is None else models)
    refuse_unknown(chosen, found, name)
    refuse_repeats(chosen, name)
    checks.refuse_blank([*KEYS, *(c for c in ("dataset",) if c in frame.columns)])
    checks.refuse_same_ids()
    quality, cost = checks.numbers(chosen), checks.numbers(cost_columns(chosen))
    checks.refuse_scores(quality, chosen)
    checks.refuse_costs(cost, cost_columns(chosen))
    gone = of_model(list(frame.columns), [model for model in found if model not in chosen])
    about = _named(frame.drop(columns=list({*found, *cost_columns(found), *gone})))
    absent = np.isnan(quality).any(axis=1) | np.isnan(cost).any(axis=1)
    if missing == "drop" and absent.any():
        rows = np.flatnonzero(~absent)
        about = about.iloc[rows]
        Checks(about, name).need_columns(())
        notes = [f"rows dropped for a missing score or cost: {int(absent.sum())}"]
        return (about, quality[rows], cost[rows], chosen), notes
    remedy = "fill it in, leave the model out (models=…) or drop such rows (missing='drop')"
    checks.refuse_missing(quality, chosen, remedy)
    checks.refuse_missing(cost, cost_columns(chosen), remedy)
    return (about, quality, cost, chosen), []


def _without_row_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Frame with text column names and without a CSV's nameless column of row numbers."""
    frame = frame.rename(columns=str)
    kept = [not _ROW_NUMBERS.fullmatch(column) for column in frame.columns]
    return frame.loc[:, kept].reset_index(drop=True)


def _find_models(columns: list[str], asked: Sequence[str], name: str) -> list[str]:
    """Models with a score and a cost column, in the order of their score columns."""
    priced = {column.removesuffix(COST) for column in columns if column.endswith(COST)}
    for model in sorted(priced - set(columns)):
        raise TableError(
            f"{name}: column '{model}' (scores) is missing beside '{model}{COST}'; add it or delete the costs"
        )
    answered = {column.removesuffix(ANSWER) for column in columns if column.endswith(ANSWER)}
    known = {*MODELS, *RAG_MODELS, *answered, *asked}
    for model in columns:
        if model in known and model not in priced:
            raise TableError(
                f"{name}: column '{model}{COST}' is missing beside the scores '{model}'; "
                "add the USD per query or delete the scores"
            )
    found = [column for column in columns if column in priced]
    if not found:
        raise TableError(
            f"{name}: no model found; give each a score column '<model>' and a cost column '<model>{COST}'"
        )
    return found


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Frame with this project's columns first, ids and tasks as texts and prompts decoded."""
    tasks = frame["eval_name"].astype(str)
    texts = [TURN.join(strings(prompt)) for prompt in frame["prompt"].to_numpy(dtype=object)]
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

    A further column becomes `<model>|<column>` if it is `model_response` or varies within a sample.

    Raises
    ------
    TableError : as `Outcomes.from_long` says.
    """
    frame = _without_row_numbers(frame.drop(columns="index", errors="ignore"))
    checks = Checks(frame, name)
    checks.need_columns(LONG)
    checks.refuse_blank((*KEYS, "model_name"))
    values = checks.numbers(("performance", "cost"))
    checks.refuse_scores(values[:, :1], ("performance",))
    checks.refuse_costs(values[:, 1:], ("cost",))
    if frame["prompt"].dtype == object:  # lists of turns cannot be grouped by
        frame = frame.assign(prompt=[p if isinstance(p, str) else repr(list(p)) for p in frame["prompt"]])
    sample = frame.groupby(list(KEYS), sort=False).ngroup().to_numpy()
    again = pd.DataFrame({"sample": sample, "model": frame["model_name"]}).duplicated()
    what, remedy = "answers this sample a second time", "delete one of the rows or give it its own sample_id"
    checks.refuse_own(again, ["model_name"], what, remedy)
    return _pivot(frame, values, sample)


def _pivot(frame: pd.DataFrame, values: Floats, sample: NDArray[Any]) -> pd.DataFrame:
    first = np.flatnonzero(~pd.Series(sample).duplicated().to_numpy())
    model, models = pd.factorize(frame["model_name"])
    rest = [column for column in frame.columns if column not in LONG]
    ours = [c for c in rest if c == ANSWER[1:] or (frame.groupby(sample)[c].nunique(dropna=False) > 1).any()]
    shared = frame[[*KEYS, *(c for c in rest if c not in ours)]].iloc[first].reset_index(drop=True)
    columns: dict[str, NDArray[Any]] = {}
    for j, owner in enumerate(models):
        rows = np.flatnonzero(model == j)
        columns[owner] = _scatter(values[rows, 0], sample[rows], len(first), np.nan)
        columns[owner + COST] = _scatter(values[rows, 1], sample[rows], len(first), np.nan)
        for column in ours:
            cells = frame[column].to_numpy(dtype=object)[rows]
            columns[f"{owner}|{column}"] = _scatter(cells, sample[rows], len(first), None)
    return pd.concat([shared, pd.DataFrame(columns)], axis=1)


def _scatter(cells: NDArray[Any], at: NDArray[Any], n: int, blank: float | None) -> NDArray[Any]:
    whole = np.full(n, blank, dtype=cells.dtype)
    whole[at] = cells
    return whole


def strings(prompt: Any) -> tuple[str, ...]:
    """Texts a prompt consists of: a list literal's items, or the prompt itself.

    >>> strings("['What is 2 + 2?', 'Why?']"), strings("[1, 2] is what?")
    (('What is 2 + 2?', 'Why?'), ('[1, 2] is what?',))
    """
    if not isinstance(prompt, str):
        return tuple(str(part) for part in prompt) if hasattr(prompt, "__iter__") else (str(prompt),)
    if not (prompt.startswith("[") and prompt.endswith("]")):
        return (prompt,)
    parts = _literal(prompt)
    if isinstance(parts, list) and parts and all(isinstance(part, str) for part in parts):
        return tuple(parts)
    return (prompt,)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None  # a prompt may well start and end with brackets and be no list


def encoded(prompt: str) -> str:
    """Prompt as a wide file must write it so that reading it gives the same text again."""
    return prompt if strings(prompt) == (prompt,) else repr([prompt])
