"""Checks of columns and cells: each refusal names file, row, column and remedy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class TableError(ValueError):
    """A table cannot be used; the message names file, row, column and remedy."""


class Checks:
    """Refusals of one frame's columns and cells, and of arrays that stand beside its rows.

    Parameters
    ----------
    frame : n rows, with `sample_id` if messages are to name it.
    name : file or table that messages name.
    """

    def __init__(self, frame: pd.DataFrame, name: str) -> None:
        self.frame, self.name = frame, name

    def refuse_cells(
        self, bad: ArrayLike, columns: Sequence[str], what: str, remedy: str, cells: ArrayLike | None = None
    ) -> None:
        """Raise for the first marked cell in reading order, saying how many more there are.

        Parameters
        ----------
        bad : (n, m) or (n,) booleans, True where a cell cannot be used.
        columns : m column names.
        what, remedy : what is wrong with the cell, and what its owner can do.
        cells : values of bad's shape to print before `what`.

        Raises
        ------
        TableError : if any cell is marked; row numbers count data rows from 1.
        """
        marked = np.asarray(bad, dtype=bool).reshape(len(self.frame), -1)
        count = int(marked.sum())
        if not count:
            return
        row, column = (int(i) for i in np.argwhere(marked)[0])
        known = "sample_id" in self.frame.columns
        sample = f" (sample_id {self.frame['sample_id'].iloc[row]})" if known else ""
        cell = "" if cells is None else f"{_shown(np.asarray(cells).reshape(marked.shape)[row, column])} "
        more = f" (first of {count} such cells)" if count > 1 else ""
        raise TableError(
            f"{self.name}: row {row + 1}{sample}, column '{columns[column]}': {cell}{what}{more}; {remedy}"
        )

    def refuse_own(self, bad: ArrayLike, columns: Sequence[str], what: str, remedy: str) -> None:
        """`refuse_cells`, printing the frame's own cells of these columns."""
        cells = self.frame[list(columns)].to_numpy(dtype=object)
        self.refuse_cells(bad, columns, what, remedy, cells=cells)

    def need_columns(self, needed: Sequence[str]) -> None:
        """Refuse a frame without rows, with a column name used twice or with a needed column missing."""
        absent = [column for column in needed if column not in self.frame.columns]
        if absent:
            raise TableError(
                f"{self.name}: column {_quoted(absent)} is missing; add it or rename one of "
                f"{_quoted([str(c) for c in self.frame.columns[:12]])}"
            )
        twice = [str(column) for column in self.frame.columns[self.frame.columns.duplicated()]]
        if twice:
            raise TableError(
                f"{self.name}: column {_quoted(twice)} stands twice; rename or delete one of each"
            )
        if self.frame.empty:
            raise TableError(f"{self.name}: the table has no rows; give at least one")

    def refuse_blank(self, columns: Sequence[str]) -> None:
        """Refuse missing or empty cells."""
        empty = self._where(is_absent, columns)
        self.refuse_cells(empty, columns, "is empty", "fill it in or delete the row")

    def refuse_not_text(self, columns: Sequence[str]) -> None:
        """Refuse cells that are not text."""
        odd = self._where(lambda cell: not isinstance(cell, str), columns)
        self.refuse_own(odd, columns, "is not text", "turn the column into text")

    def refuse_same_ids(self) -> None:
        """Refuse a sample_id that stands on two rows."""
        remedy = "give each sample an id of its own, one prompt and one task"
        again = self.frame["sample_id"].duplicated()
        self.refuse_cells(again, ["sample_id"], "stands on a row above", remedy)

    def refuse_scores(
        self, scores: Floats, columns: Sequence[str], scale: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        """Refuse (n, m) scores outside a scale; NaN passes (see `refuse_missing`)."""
        low, high = scale
        odd, span = (scores < low) | (scores > high), f"[{low:g}, {high:g}]"
        what, remedy = f"lies outside {span}", f"rescale the scores to {span}"
        self.refuse_cells(odd, columns, what, remedy, cells=scores)

    def refuse_costs(self, costs: Floats, columns: Sequence[str]) -> None:
        """Refuse negative or infinite (n, m) costs; NaN passes (see `refuse_missing`)."""
        odd = (costs < 0) | np.isinf(costs)
        what, remedy = "is not a cost in USD per query", "costs are finite and at least 0"
        self.refuse_cells(odd, columns, what, remedy, cells=costs)

    def refuse_missing(
        self, values: Floats, columns: Sequence[str], remedy: str = "fill it in or drop the row"
    ) -> None:
        """Refuse NaN among (n, m) values."""
        self.refuse_cells(np.isnan(values), columns, "is missing", remedy)

    def numbers(self, columns: Sequence[str]) -> Floats:
        """Read m columns of numbers or numeric texts.

        A cell may be a number, a numeric text, absent or a usual word for that ("NA").

        Returns
        -------
        (n, m) floats, NaN where a cell is absent.

        Raises
        ------
        TableError : naming the first cell that holds something else.
        """
        values = np.column_stack([_floats(self.frame[column]) for column in columns])
        odd = np.isnan(values)
        if odd.any():
            cells = self.frame[list(columns)].to_numpy(dtype=object)
            odd[odd] = [not means_absent(cell) for cell in cells[odd]]
            self.refuse_own(odd, columns, "is not a number", "write a plain number such as 0.5")
        return values

    def _where(self, test: Callable[[Any], bool], columns: Sequence[str]) -> NDArray[np.bool_]:
        """(n, m) cells that a test is true of."""
        cells = [self.frame[column].to_numpy(dtype=object) for column in columns]
        return np.column_stack([np.fromiter(map(test, column), bool, len(column)) for column in cells])


def refuse_unknown(asked: Sequence[str], known: Sequence[str], name: str, what: str = "model") -> None:
    """Refuse a name that is not among the known ones, suggesting the closest.

    Raises
    ------
    TableError : listing the known names.
    """
    for word in asked:
        if word not in known:
            close = get_close_matches(word, known, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise TableError(f"{name}: {what} '{word}' is not in the table; {hint}known: {', '.join(known)}")


def refuse_repeats(models: Sequence[str], name: str) -> None:
    """Refuse a list of models that is empty or names one twice.

    Raises
    ------
    TableError : naming the model.
    """
    if not models:
        raise TableError(f"{name}: no model is named; give at least one")
    for model in models:
        if models.count(model) > 1:
            raise TableError(f"{name}: model '{model}' is named twice; name each model once")


def is_absent(cell: Any) -> bool:
    """Whether a cell holds nothing: None, NaN or an empty text; a list of turns never does."""
    if isinstance(cell, str):
        return not cell.strip()
    return bool(pd.api.types.is_scalar(cell) and pd.isna(cell))


def means_absent(cell: Any) -> bool:
    """Whether a cell of a column of numbers holds nothing, or a usual word for that."""
    return is_absent(cell) or str(cell).strip().lower() in ("nan", "na", "n/a", "none", "null")


def _floats(column: pd.Series[Any]) -> Floats:
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    # Python's float() rounds correctly; the fast parsers of pandas may be one bit off.
    return np.array([_float(cell) for cell in column.to_numpy(dtype=object)], dtype=np.float64)


def _float(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return float("nan")


def _shown(cell: Any) -> str:
    text = repr(cell.item() if isinstance(cell, np.generic) else cell)
    return text if len(text) <= 60 else text[:57] + "..."


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
