"""RouterBench's published tables: wide pickles, the long raw pickle, and wide CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rb_support.catalog import MODELS
from rb_support.outcomes import Origin, Outcomes
from rb_support.outcomes.files import read_frame as read_csv
from rb_support.outcomes.wide import wide_of_long
from rb_support.sources.errors import UnsafePickleError
from rb_support.sources.unpickle import read_frame

KEYS = ("sample_id", "prompt", "eval_name")
WIDE = (*KEYS, *(f"{model}{part}" for model in MODELS for part in ("", "|model_response", "|total_cost")))
LONG = (*KEYS, "performance", "model_response", "model_name", "cost")


def read_wide(path: Path, *, sha256: str | None, origin: Origin) -> Outcomes:
    """Table of a published wide pickle (0-shot, 5-shot).

    Parameters
    ----------
    path, sha256 : as `unpickle.read_frame` takes them.
    origin : of the table.

    Raises
    ------
    UnsafePickleError, AlteredFileError : as `unpickle.read_frame`, or if a published column is missing.
    TableError : if a cell holds what it must not.
    """
    frame = read_frame(path, sha256=sha256)
    _refuse_columns(frame, WIDE, path)
    return Outcomes.from_wide(frame, models=MODELS, origin=origin, name=path.name)


def read_long(path: Path, *, sha256: str | None, origin: Origin) -> Outcomes:
    """Table of the published raw pickle, one row per query and model.

    The file repeats every prompt for every model. While the rows are joined, a number stands for each
    prompt, so that memory holds the file's texts once and little else (`benchmarks/raw_pickle_memory.py`).

    Parameters
    ----------
    path, sha256 : as `unpickle.read_frame` takes them.
    origin : of the table.

    Raises
    ------
    UnsafePickleError, AlteredFileError : as `unpickle.read_frame`, or if a published column is missing.
    TableError : if a cell holds what it must not.
    """
    frame = read_frame(path, sha256=sha256)
    _refuse_columns(frame, LONG, path)
    wide = _joined(frame, path.name)
    del frame
    return Outcomes.from_wide(wide, models=MODELS, origin=origin, name=f"{path.name} (one row per sample)")


def read_csvs(paths: Sequence[Path], *, origin: Origin) -> Outcomes:
    """Table of wide CSV files that together hold whole tasks (halves of one sample may lie in two files).

    Raises
    ------
    TableError : if a file cannot be parsed or a cell holds what it must not.
    """
    frame = pd.concat([read_csv(path) for path in paths], ignore_index=True)
    name = ", ".join(path.name for path in paths)
    return Outcomes.from_wide(frame, models=MODELS, origin=origin, name=name)


def _joined(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Wide frame of a long one, whose prompts are let go of on the way."""
    # a dict, since pandas' own numbering of texts keeps a second copy of each text outside Latin-1
    numbers: dict[str, int] = {}
    prompt = [str(numbers.setdefault(text, len(numbers))) for text in frame.pop("prompt")]
    wide = wide_of_long(frame.assign(prompt=prompt), name)
    wide["prompt"] = np.array(list(numbers), dtype=object)[wide["prompt"].astype(int)]
    return wide


def _refuse_columns(frame: pd.DataFrame, needed: tuple[str, ...], path: Path) -> None:
    absent = [column for column in needed if column not in frame.columns]
    if absent:
        raise UnsafePickleError(
            f"{path}: this is a table, but not RouterBench's: column '{absent[0]}' is missing"
            f" ({len(absent)} of {len(needed)}); fetch the published file"
        )
