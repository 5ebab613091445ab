"""Records of published files, JSON or JSON Lines, with errors that name the row; a frame with its origin."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rb_support.outcomes import Origin, TableError
from rb_support.outcomes.table import Rows

Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class SourceRows(Rows):
    """A frame with its origin, for sources that are none of the three tables."""

    frame: pd.DataFrame
    origin: Origin


def read_lines(path: Path, needed: Iterable[str]) -> list[Record]:
    """Records of a JSON Lines file.

    Raises
    ------
    TableError : if a line is no JSON record or lacks a needed field.
    """
    records = []
    with path.open(encoding="utf-8") as file:
        for row, line in enumerate(file, start=1):
            if line.strip():
                records.append(_checked(_parsed(line, f"{path.name}: row {row} is"), path, row, needed))
    return records


def read_list(path: Path, needed: Iterable[str]) -> list[Record]:
    """Records of a file that is one JSON list.

    Raises
    ------
    TableError : if it is no list of records or one lacks a needed field.
    """
    records = _parsed(path.read_text(encoding="utf-8"), f"{path.name}:")
    if not isinstance(records, list):
        raise TableError(f"{path.name}: not a JSON list of records; fetch the file anew")
    return [_checked(record, path, row, needed) for row, record in enumerate(records, start=1)]


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise TableError(f"{what} not JSON ({error}); fetch the file anew") from error


def _checked(record: Any, path: Path, row: int, needed: Iterable[str]) -> Record:
    if not isinstance(record, dict):
        raise TableError(f"{path.name}: row {row} is not a record; fetch the file anew")
    for field in needed:
        if field not in record:
            raise TableError(f"{path.name}: row {row} lacks the field '{field}'; fetch the file anew")
    return record


def whole(text: str) -> str:
    """Text whose halves of surrogate pairs are joined, or replaced where the other half is missing.

    Some published texts hold such halves, which neither UTF-8 nor Parquet can.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
