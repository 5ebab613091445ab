"""What published files hold: JSON, JSON Lines or CSV, with errors that name the row; two plain tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support.outcomes import Origin, PairScores, TableError
from rb_support.outcomes.files import parse_csv
from rb_support.outcomes.table import Named, Queries, Rows
from rb_support.sources.files import Located

Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class SourceRows(Rows):
    """A frame with its origin, for judgments of single answers."""

    frame: pd.DataFrame
    origin: Origin


@dataclass(frozen=True, eq=False)
class ModelScores(Queries):
    """What m models scored on the n queries of one benchmark.

    Attributes
    ----------
    frame : n rows with sample_id, dataset, task, prompt and any further columns.
    models : m names.
    scores : (n, m), NaN where a model has none.
    origin : where the rows come from.
    scale : lowest and highest possible score.
    """

    frame: pd.DataFrame
    models: tuple[str, ...]
    scores: NDArray[np.float64]
    origin: Origin
    scale: tuple[float, float]

    def pair(self, strong: str, weak: str) -> PairScores:
        """Scores of two of the models.

        Raises
        ------
        ValueError : if one of them is not in the table.
        """
        for model in (strong, weak):
            if model not in self.models:
                raise ValueError(
                    f"{self.origin.name}: no scores of {model!r}; known: {', '.join(self.models)}"
                )
        high, low = (self.scores[:, self.models.index(model)] for model in (strong, weak))
        return PairScores(self.frame, high, low, strong, weak, self.origin, self.scale)

    @staticmethod
    def _columns(record: Mapping[str, Any]) -> dict[str, Named]:
        return {"scores": list(record["models"])}


def read_records(located: Located, name: str, needed: Iterable[str]) -> list[Record]:
    """Records of a file of a source: one JSON list (.json), or a record a line.

    Raises
    ------
    TableError : if it holds anything else, or a record lacks a needed field.
    """
    data = located.read(name)
    if name.endswith(".json"):
        records = parsed(data, f"{name}:")
        if not isinstance(records, list):
            raise TableError(f"{name}: not a JSON list of records; fetch the file anew")
        rows = dict(enumerate(records, start=1))
    else:
        lines = enumerate(data.split(b"\n"), start=1)
        rows = {row: parsed(line, f"{name}: row {row} is") for row, line in lines if line.strip()}
    for row, record in rows.items():
        if not isinstance(record, dict):
            raise TableError(f"{name}: row {row} is not a record; fetch the file anew")
        for field in needed:
            if field not in record:
                raise TableError(f"{name}: row {row} lacks the field '{field}'; fetch the file anew")
    return list(rows.values())


def parsed(data: bytes | str, what: str) -> Any:
    """What a JSON text holds; TableError, which begins with `what`, if it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise TableError(f"{what} not JSON ({error}); fetch the file anew") from error


def refuse(name: str, where: ArrayLike, fault: str, cells: Any = ()) -> None:
    """Refuse a file of which some rows are at fault.

    Parameters
    ----------
    name : of the file.
    where : (n,) True where a row is at fault; a row is counted from 1, or by its label if this is a Series.
    fault : what is said after the row's number; {} stands for the row's cell.
    cells : (n,) of which that cell is one.

    Raises
    ------
    TableError : naming the first of these rows.
    """
    bad = np.flatnonzero(where)
    if len(bad):
        row = bad[0] if not isinstance(where, pd.Series) else where.index[bad[0]]
        told = fault.format(*map(repr, list(cells)[bad[0] : bad[0] + 1]))
        raise TableError(f"{name}: row {row + 1}{told}; fetch the file anew")


def read_csv(located: Located, name: str) -> pd.DataFrame:
    """Frame of a CSV file of a source; its cells all stay text.

    Raises
    ------
    TableError : if it cannot be parsed.
    """
    return parse_csv(located.read(name), name)


def whole(text: str) -> str:
    """Text whose halves of surrogate pairs are joined, or replaced where the other half is missing.

    Some published texts hold such halves, which neither UTF-8 nor Parquet can.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
