"""An own table: read as the loader can, and checked once before any kernel starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from rb_support.app.reproduce.plan import UsageError
from rb_support.cache import digest
from rb_support.outcomes import Outcomes, TableError

Missing = Literal["raise", "drop"]


def read_own(
    path: Path,
    models: Sequence[str] = (),
    missing: Missing = "raise",
    columns: Sequence[str] = (),
    cost: str = "",
) -> Outcomes:
    """Read and check a user's table, which is of kind "own" whatever a Parquet file says of itself.

    Parameters
    ----------
    path : CSV or Parquet file, wide or long.
    models : the models to keep; all if empty.
    missing : what becomes of a row that lacks a score or cost.
    columns : "NAME=COLUMN" texts: the file's own name of a column that the schema calls NAME.
    cost : further columns to take as costs, such as latency; the dollars if empty.

    Raises
    ------
    UsageError
        If the file cannot be used; the message says where and what would be right.
    """
    named = dict(text.split("=", 1) for text in columns if "=" in text.strip("="))
    if len(named) < len(columns):
        raise UsageError(f"--columns {', '.join(columns)}: write NAME=COLUMN, such as eval_name=task")
    try:
        table = Outcomes.read(path, models=list(models) or None, missing=missing, columns=named)
        table = table.priced(cost) if cost else table
        files = dict.fromkeys([(path.name, digest(path)), *table.origin.files])
    except (TableError, OSError) as error:
        raise UsageError(str(error)) from error
    origin = replace(table.origin, kind="own", files=tuple(files))
    if table.origin.kind != "own":
        origin = replace(origin, name=f"{path.name}, made as {table.origin.kind}: {origin.name}")
    return replace(table, origin=origin)
