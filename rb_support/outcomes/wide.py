"""Wide and long frames: how published and users' tables become checked arrays, and back.

Wide, one row per query: `sample_id`, `prompt`, `eval_name`, and per model `<model>` (score),
`<model>|total_cost` (USD) and further `<model>|…` columns such as `<model>|model_response`.
Long, one row per query and model: `sample_id`, `prompt`, `eval_name`, `performance`, `model_response`,
`model_name`, `cost`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.catalog import MODELS, RAG_MODELS, dataset_of_task
from rb_support.outcomes import checks, prompts
from rb_support.outcomes.checks import Floats
from rb_support.outcomes.origin import TableError

COST = "|total_cost"
ANSWER = "|model_response"
KEYS = ("sample_id", "prompt", "eval_name")
LONG = (*KEYS, "performance", "model_name", "cost")
Missing = Literal["raise", "drop"]

_ROW_NUMBERS = re.compile(r"Unnamed: \d+")


@dataclass
class Parts:
    """What a wide frame holds, on the way to an `Outcomes`; merging and dropping rows edit it in place."""

    frame: pd.DataFrame
    texts: NDArray[np.object_]
    quality: Floats
    cost: Floats
    models: tuple[str, ...]
    name: str
    notes: list[str]

    @property
    def ids(self) -> NDArray[np.object_]:
        """(n,) sample ids."""
        return self.frame["sample_id"].to_numpy(dtype=object)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Keep the marked rows only; the frame's labels stay the file's row numbers from 0."""
        self.frame, self.texts = self.frame.loc[rows], self.texts[rows]
        self.quality, self.cost = self.quality[rows], self.cost[rows]


@dataclass(frozen=True)
class Merge:
    """Which of a sample's rows stays (`home`), and from which rows it takes what."""

    home: int
    asked: int
    scored: list[int]
    priced: list[int]


def cost_columns(models: Sequence[str]) -> list[str]:
    """Names of the models' cost columns."""
    return [model + COST for model in models]


def of_model(columns: Sequence[str], models: Sequence[str]) -> list[str]:
    """Columns `<model>|…` of these models."""
    owners = set(models)
    return [column for column in columns if "|" in column and column.rsplit("|", 1)[0] in owners]


def parse_wide(frame: pd.DataFrame, models: Sequence[str] | None, name: str, missing: Missing) -> Parts:
    """Check a wide frame, merge halves of one sample and decode its prompts.

    See `Outcomes.from_wide` for the parameters and for what is refused.
    """
    frame = _without_row_numbers(frame)
    checks.refuse_columns(frame, KEYS, name)
    if "task" in frame.columns:
        raise TableError(f"{name}: column 'task' stands beside 'eval_name', which means the same; rename it")
    found = _find_models(list(frame.columns), models or (), name)
    chosen = tuple(found if models is None else models)
    checks.refuse_unknown(chosen, found, name)
    checks.refuse_repeats(chosen, name)
    checks.refuse_blank(frame, [*KEYS, *(c for c in ("dataset",) if c in frame.columns)], name)
    parts = _numbers(frame, chosen, found, name)
    _merge_halves(parts)
    _settle_missing(parts, missing)
    parts.frame = _named(parts.frame, parts.texts)
    return parts


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


def _numbers(frame: pd.DataFrame, models: tuple[str, ...], found: list[str], name: str) -> Parts:
    ids = checks.ids_of(frame)
    quality = checks.numbers(frame, models, name)
    checks.refuse_scores(quality, models, ids, name)
    cost = checks.numbers(frame, cost_columns(models), name)
    checks.refuse_costs(cost, cost_columns(models), ids, name)
    gone = [model for model in found if model not in models]
    spent = {*found, *cost_columns(models), *of_model(list(frame.columns), gone)}
    frame = frame.drop(columns=list(spent)).astype({"sample_id": str, "eval_name": str})
    prompt = frame["prompt"].to_numpy(dtype=object)
    texts = np.fromiter(map(prompts.strings, prompt), dtype=object, count=len(frame))
    return Parts(frame, texts, quality, cost, models, name, [])


def _merge_halves(parts: Parts) -> None:
    """Merge rows that share a sample_id and score different models; refuse other repeats.

    The published 5-shot file put the question twice to one model in 14 samples: that model's score stands
    on a row of its own, whose prompt holds the question twice and whose costs pay for both copies.
    """
    ids = pd.Series(parts.ids)
    repeated = ids.duplicated(keep=False).to_numpy(copy=True)
    if not repeated.any():
        return
    groups = ids[repeated].groupby(ids[repeated], sort=False).groups.values()
    merges = [_plan(parts, [int(row) for row in rows]) for rows in groups]
    _apply(parts, merges)
    parts.notes.append(
        f"samples whose models were scored on different rows, merged by sample_id: {len(merges)} (from "
        f"{int(repeated.sum())} rows); each cost is from the row that holds the question once"
    )
    repeated[[merge.home for merge in merges]] = False
    parts.keep(~repeated)


def _plan(parts: Parts, rows: list[int]) -> Merge:
    """Plan to gather one sample's rows on the one that scores most models."""
    _refuse_no_halves(parts, rows)
    has_score = {row: np.isfinite(parts.quality[row]) for row in rows}
    has_cost = {row: np.isfinite(parts.cost[row]) for row in rows}
    copies = {row: len(parts.texts[row]) for row in rows}
    home = max(rows, key=lambda row: int(has_score[row].sum()))
    scored, priced = [], []
    for j in range(len(parts.models)):
        source = next((row for row in rows if has_score[row][j]), home)
        paid = sorted(rows, key=lambda row: (copies[row], row != source))
        scored.append(source)
        priced.append(next((row for row in paid if has_cost[row][j]), home))
    return Merge(home, min(rows, key=copies.__getitem__), scored, priced)


def _apply(parts: Parts, merges: list[Merge]) -> None:
    homes = [merge.home for merge in merges]
    every = np.arange(len(parts.models))
    scored = np.array([merge.scored for merge in merges])
    parts.quality[homes] = parts.quality[scored, every]
    parts.cost[homes] = parts.cost[np.array([merge.priced for merge in merges]), every]
    parts.texts[homes] = parts.texts[[merge.asked for merge in merges]]
    for j, model in enumerate(parts.models):
        source = np.arange(len(parts.frame))
        source[homes] = scored[:, j]
        for column in of_model(list(parts.frame.columns), [model]):
            parts.frame[column] = parts.frame[column].array.take(source)


def _refuse_no_halves(parts: Parts, rows: list[int]) -> None:
    first, second = rows[:2]
    where = f"{parts.name}: row {second + 1} (sample_id {parts.ids[first]})"
    remedy = "give each row its own sample_id or delete one"
    both = np.isfinite(parts.quality[rows]).sum(axis=0) > 1
    if both.any():
        model = parts.models[int(np.argmax(both))]
        raise TableError(
            f"{where}, column '{model}': the sample_id stands on row {first + 1} too, "
            f"and both rows score this model; {remedy}"
        )
    for column, values in (
        ("prompt", [set(parts.texts[row]) for row in rows]),
        ("eval_name", parts.frame["eval_name"].iloc[rows].tolist()),
    ):
        if any(value != values[0] for value in values):
            raise TableError(
                f"{where}, column '{column}': differs from row {first + 1} of the same sample_id; {remedy}"
            )


def _settle_missing(parts: Parts, missing: Missing) -> None:
    absent = np.asarray(np.isnan(np.hstack([parts.quality, parts.cost])).any(axis=1))
    if missing == "drop" and absent.any():
        parts.notes.append(f"rows dropped for a missing score or cost: {int(absent.sum())}")
        parts.keep(~absent)
        checks.refuse_columns(parts.frame, KEYS, parts.name)
        return
    remedy = "fill it in, leave the model out (models=…) or drop such rows (missing='drop')"
    _refuse_missing(parts.quality, list(parts.models), parts, remedy)
    _refuse_missing(parts.cost, cost_columns(parts.models), parts, remedy)


def _refuse_missing(values: Floats, columns: list[str], parts: Parts, remedy: str) -> None:
    # Merging left gaps in the row labels: they still are the file's row numbers.
    rows = parts.frame.index.to_numpy()
    whole = np.zeros((int(rows.max()) + 1, len(columns)), dtype=bool)
    whole[rows] = np.isnan(values)
    ids = np.empty(len(whole), dtype=object)
    ids[rows] = parts.ids
    checks.refuse_cells(whole, "is missing", remedy, name=parts.name, columns=columns, ids=ids)


def _named(frame: pd.DataFrame, texts: NDArray[np.object_]) -> pd.DataFrame:
    """Frame with this project's columns first and prompts decoded."""
    tasks = frame["eval_name"]
    named = {task: dataset_of_task(task) for task in tasks.unique()}
    datasets = frame["dataset"] if "dataset" in frame.columns else tasks.map(named)
    head = {
        "sample_id": frame["sample_id"],
        "dataset": datasets.astype(str),
        "task": tasks,
        "prompt": pd.Series([prompts.TURN.join(turns) for turns in texts], index=frame.index, dtype=str),
    }
    rest = [column for column in frame.columns if column not in (*head, "eval_name")]
    return pd.concat([pd.DataFrame(head), frame[rest]], axis=1).reset_index(drop=True)


def wide_frame(frame: pd.DataFrame, quality: Floats, cost: Floats, models: tuple[str, ...]) -> pd.DataFrame:
    """Wide frame of a table's parts; `dataset` is written only where the task does not imply it."""
    scores = pd.DataFrame(quality, columns=list(models))
    costs = pd.DataFrame(cost, columns=cost_columns(models))
    rest = frame.drop(columns=["sample_id", "prompt", "task", "dataset"])
    answers = of_model(list(rest.columns), models)
    parts = [_keys(frame), scores, rest[answers], costs, rest.drop(columns=answers)]
    return pd.concat(parts, axis=1)


def _keys(frame: pd.DataFrame) -> pd.DataFrame:
    keys = pd.DataFrame(
        {
            "sample_id": frame["sample_id"],
            "prompt": frame["prompt"].map(prompts.encoded),
            "eval_name": frame["task"],
        }
    )
    implied = frame["task"].map({task: dataset_of_task(task) for task in frame["task"].unique()})
    return keys if implied.eq(frame["dataset"]).all() else keys.assign(dataset=frame["dataset"])


def long_frame(frame: pd.DataFrame, quality: Floats, cost: Floats, models: tuple[str, ...]) -> pd.DataFrame:
    """Long frame of a table's parts, query by query, models in their order."""
    n, m = quality.shape
    answers = of_model(list(frame.columns), models)
    rest = frame.drop(columns=["sample_id", "prompt", "task", "dataset", *answers])
    base = pd.concat([_keys(frame), rest], axis=1)
    long = base.loc[np.repeat(np.arange(n), m)].reset_index(drop=True)
    long["performance"], long["cost"] = quality.ravel(), cost.ravel()
    long["model_name"] = np.tile(np.array(models, dtype=object), n)
    for kind in dict.fromkeys(column.rsplit("|", 1)[1] for column in answers):
        held = [frame.get(f"{model}|{kind}", pd.Series([None] * n)) for model in models]
        long[kind] = np.column_stack([column.to_numpy(dtype=object) for column in held]).ravel()
    return long


def wide_of_long(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Wide frame of a long one; cells and repeats are checked here, while row numbers are the file's.

    A further column becomes `<model>|<column>` if it is `model_response` or varies within a sample.

    Raises
    ------
    TableError : as `Outcomes.from_long` says.
    """
    frame = _without_row_numbers(frame.drop(columns="index", errors="ignore"))
    checks.refuse_columns(frame, LONG, name)
    checks.refuse_blank(frame, (*KEYS, "model_name"), name)
    values = _long_numbers(frame, name)
    if frame["prompt"].dtype == object:  # lists of turns cannot be grouped by
        frame = frame.assign(prompt=[p if isinstance(p, str) else repr(list(p)) for p in frame["prompt"]])
    sample = frame.groupby(list(KEYS), sort=False).ngroup().to_numpy()
    _refuse_repeated_pairs(frame, sample, name)
    return _pivot(frame, values, sample)


def _long_numbers(frame: pd.DataFrame, name: str) -> Floats:
    ids = frame["sample_id"].to_numpy(dtype=object)
    values = checks.numbers(frame, ("performance", "cost"), name)
    checks.refuse_scores(values[:, :1], ("performance",), ids, name)
    checks.refuse_costs(values[:, 1:], ("cost",), ids, name)
    return values


def _refuse_repeated_pairs(frame: pd.DataFrame, sample: NDArray[Any], name: str) -> None:
    repeated = pd.DataFrame({"sample": sample, "model": frame["model_name"]}).duplicated()
    checks.refuse_cells(
        repeated,
        "answers this sample a second time",
        "delete one of the rows or give it its own sample_id",
        name=name,
        columns=("model_name",),
        ids=frame["sample_id"],
        cells=frame["model_name"],
    )


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
