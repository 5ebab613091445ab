"""An own table: read as the loader can, and checked once before any kernel starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd

from rb_support.app.reproduce.plan import UsageError
from rb_support.cache import digest
from rb_support.outcomes import Outcomes, TableError
from rb_support.outcomes.checks import refuse_unknown
from rb_support.outcomes.files import read

Missing = Literal["raise", "drop"]


def read_own(
    path: Path, models: Sequence[str] = (), missing: Missing = "raise", columns: Sequence[str] = ()
) -> Outcomes:
    """Read and check a user's table, which is of kind "own" whatever a Parquet file says of itself.

    Parameters
    ----------
    path : CSV or Parquet file, wide or long.
    models : the models to keep; all if empty.
    missing : what becomes of a row that lacks a score or cost.
    columns : "NAME=COLUMN" texts: the file's own name of a column that the schema calls NAME.

    Raises
    ------
    UsageError
        If the file cannot be used; the message says where and what would be right.
    """
    kept = list(models) or None
    try:
        if columns:
            frame = _renamed(read(path)[0], columns, path.name)
            build = Outcomes.from_long if "model_name" in frame.columns else Outcomes.from_wide
            table = build(frame, models=kept, name=path.name, missing=missing)
        else:
            table = Outcomes.read(path, models=kept, missing=missing)
        files = dict.fromkeys([(path.name, digest(path)), *table.origin.files])
    except (TableError, OSError) as error:
        raise UsageError(str(error)) from error
    origin = replace(table.origin, kind="own", files=tuple(files))
    if table.origin.kind != "own":
        origin = replace(origin, name=f"{path.name}, made as {table.origin.kind}: {origin.name}")
    return replace(table, origin=origin)


def _renamed(frame: pd.DataFrame, columns: Sequence[str], name: str) -> pd.DataFrame:
    parts = [text.partition("=") for text in columns]
    asked = {column: new for new, equals, column in parts if new and equals}
    if len(asked) < len(columns):
        raise UsageError(f"--columns {', '.join(columns)}: write NAME=COLUMN, such as eval_name=task")
    refuse_unknown(list(asked), list(frame.columns), name, "column")
    taken = [new for new in asked.values() if new in frame.columns and new not in asked]
    if taken:
        raise UsageError(f"--columns {taken[0]}=…: {name} has a column of that name already")
    return frame.rename(columns=asked)
