"""RouterBench's published tables: wide pickles, the long raw pickle, and wide CSV files.

The published 5-shot file put the question twice to one model in 14 samples: that model's score stands on a
row of its own, whose prompt holds the question twice and whose costs pay for both copies. Here such halves
of a sample become one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rb_support.catalog import MODELS
from rb_support.outcomes import Origin, Outcomes, TableError
from rb_support.outcomes.cells import means_absent, strings
from rb_support.outcomes.checks import Checks
from rb_support.outcomes.wide import ANSWER, COST, KEYS, LONG, cost_columns, of_model, wide_of_long
from rb_support.sources.errors import UnsafePickleError
from rb_support.sources.files import Located
from rb_support.sources.records import read_csv
from rb_support.sources.unpickle import read_frame

_WIDE = (*KEYS, *MODELS, *(model + ANSWER for model in MODELS), *cost_columns(MODELS))
_LONG = (*LONG, ANSWER[1:])


def load(located: Located) -> Outcomes:
    """Table of any of RouterBench's published sources.

    Raises
    ------
    UnsafePickleError, AlteredFileError : as `unpickle.read_frame`, or if a published column is missing.
    TableError : if a cell holds what it must not.
    """
    if located.source.name in ("routerbench-slice", "routerbench-sample"):
        frame = pd.concat([read_csv(located, name) for name in located.names], ignore_index=True)
        return table(frame, origin=located.origin, name=", ".join(located.names))
    read = {"routerbench-raw": read_long, "routerbench-rag": read_rag}.get(located.source.name, read_wide)
    sha256 = located.hashes[0] if located.published else None
    return read(located.paths[0], sha256=sha256, origin=located.origin)


def read_wide(path: Path, *, sha256: str | None, origin: Origin) -> Outcomes:
    """Table of a published wide pickle (0-shot, 5-shot); `path` and `sha256` as in `unpickle.read_frame`."""
    return table(_published(path, sha256, _WIDE), origin=origin, name=path.name)


def read_long(path: Path, *, sha256: str | None, origin: Origin) -> Outcomes:
    """Table of the published raw pickle, one row per query and model; parameters as in `read_wide`.

    The file repeats every prompt for every model. While the rows are joined, a number stands for each
    prompt, so that memory holds the file's texts once and little else (`benchmarks/raw_pickle_memory.py`).
    """
    frame = _published(path, sha256, _LONG)
    # a dict, since pandas' own numbering of texts keeps a second copy of each text outside Latin-1
    numbers: dict[str, int] = {}
    numbered = [str(numbers.setdefault(text, len(numbers))) for text in frame.pop("prompt")]
    wide = wide_of_long(frame.assign(prompt=numbered), path.name)
    del frame
    wide["prompt"] = np.array(list(numbers), dtype=object)[wide["prompt"].astype(int)]
    return table(wide, origin=origin, name=f"{path.name} (one row per sample)")


def read_rag(path: Path, *, sha256: str | None, origin: Origin) -> Outcomes:
    """Table of the deleted RAG pickle, wide or long, with whatever models it holds; parameters as before.

    Its columns are not documented: those of the other two layouts are expected.
    """
    frame = read_frame(path, sha256=sha256)
    if "model_name" in frame.columns:
        return Outcomes.from_long(frame, origin=origin, name=path.name)
    return table(frame, origin=origin, name=path.name, models=None)


def table(
    frame: pd.DataFrame, *, origin: Origin, name: str, models: Sequence[str] | None = MODELS
) -> Outcomes:
    """Table of a wide frame whose samples may stand in halves; `origin.notes` says how many were merged.

    Parameters
    ----------
    frame : with the published columns; rows of one sample_id score different models.
    origin, name, models : as in `Outcomes.from_wide`.

    Raises
    ------
    TableError : as `Outcomes.from_wide`, or if rows of one sample_id are no halves of it.
    """
    checks = Checks(frame.reset_index(drop=True), name)
    checks.need_columns(KEYS)
    ids = checks.frame["sample_id"]
    repeated = ids.duplicated(keep=False)
    if repeated.any():
        checks.refuse_blank(KEYS)
        halves = checks.frame[repeated].groupby("sample_id", sort=False)
        merged = pd.DataFrame([_merged(rows, name) for _, rows in halves])
        frame = pd.concat([checks.frame[~repeated], merged]).sort_index()
        name += " (one row per sample)"
        note = (
            f"samples whose models were scored on different rows, merged by sample_id: {len(merged)} (from "
            f"{int(repeated.sum())} rows); each cost is from the row that holds the question once"
        )
        origin = origin.noting([note])
    return Outcomes.from_wide(frame, models=models, origin=origin, name=name)


def _merged(rows: pd.DataFrame, name: str) -> pd.Series:
    """One sample's rows gathered on the one that scores most models."""
    columns = list(rows.columns)
    models = [column for column in columns if column + COST in columns]
    known = ~rows[[*models, *cost_columns(models)]].map(means_absent)
    turns = rows["prompt"].map(strings)
    copies = turns.map(len)
    _refuse_no_halves(rows, known[models], turns, name)
    home = int(np.argmax(known[models].sum(axis=1)))
    whole = rows.iloc[home].copy()
    whole["prompt"] = rows["prompt"].iloc[int(np.argmin(copies))]
    for model in models:
        scored = next(iter(np.flatnonzero(known[model])), home)
        paid = np.lexsort((np.arange(len(rows)) != scored, copies))
        priced = next((row for row in paid if known[model + COST].iloc[row]), home)
        for column in (model, *of_model(columns, [model])):
            whole[column] = rows[column].iloc[priced if column == model + COST else scored]
    return whole


def _refuse_no_halves(rows: pd.DataFrame, scored: pd.DataFrame, turns: pd.Series, name: str) -> None:
    first, second = rows.index[:2]
    where = f"{name}: row {second + 1} (sample_id {rows['sample_id'].iloc[0]})"
    remedy = "give each row its own sample_id or delete one"
    twice = scored.sum() > 1
    if twice.any():
        raise TableError(
            f"{where}, column '{twice.idxmax()}': the sample_id stands on row {first + 1} too, "
            f"and both rows score this model; {remedy}"
        )
    for column, values in (("prompt", turns.map(frozenset)), ("eval_name", rows["eval_name"])):
        if values.nunique() > 1:
            raise TableError(
                f"{where}, column '{column}': differs from row {first + 1} of the same sample_id; {remedy}"
            )


def _published(path: Path, sha256: str | None, needed: tuple[str, ...]) -> pd.DataFrame:
    frame = read_frame(path, sha256=sha256)
    absent = [column for column in needed if column not in frame.columns]
    if absent:
        raise UnsafePickleError(
            f"{path}: this is a table, but not RouterBench's: column '{absent[0]}' is missing"
            f" ({len(absent)} of {len(needed)}); fetch the published file"
        )
    return frame
