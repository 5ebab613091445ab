"""Checks of columns and cells: each refusal names file, row, column and remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support.outcomes.cells import is_absent, means_absent, number
from rb_support.visible import hidden, visible

Floats = NDArray[np.float64]

LARGEST_COST = 1e12
"""USD per query above which a cell is no cost; sums and squares of what lies below stay finite."""


class TableError(ValueError):
    """A table cannot be used; the message names file, row, column and remedy."""


class Checks:
    """Refusals of one frame's columns and cells, and of arrays that stand beside its rows.

    Parameters
    ----------
    frame : n rows, with `sample_id` if messages are to name it.
    name : file or table that messages name.
    gathered : where messages go, so that an owner sees all that is wrong at once; None raises the first.
    """

    def __init__(self, frame: pd.DataFrame, name: str, gathered: list[str] | None = None) -> None:
        self.frame, self.name, self.gathered = frame, shown(name), gathered

    def refuse(self, message: str) -> None:
        """Raise a `TableError`, or gather its message."""
        if self.gathered is None:
            raise TableError(message)
        self.gathered.append(message)

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
        sample = f" (sample_id {shown(self.frame['sample_id'].iloc[row])})" if known else ""
        cell = "" if cells is None else f"{_cell(np.asarray(cells).reshape(marked.shape)[row, column])} "
        more = f" (first of {count} such cells)" if count > 1 else ""
        where = f"row {row + 1}{sample}, column {_quoted([columns[column]])}"
        self.refuse(f"{self.name}: {where}: {cell}{what}{more}; {remedy}")

    def refuse_own(self, bad: ArrayLike, columns: Sequence[str], what: str, remedy: str) -> None:
        """`refuse_cells`, printing the frame's own cells of these columns."""
        cells = self.frame[list(columns)].to_numpy(dtype=object)
        self.refuse_cells(bad, columns, what, remedy, cells=cells)

    def need_columns(self, needed: Sequence[str]) -> None:
        """Refuse a frame without rows, with a column name used twice or with a needed column missing."""
        absent = [column for column in needed if column not in self.frame.columns]
        if absent:
            self.refuse(
                f"{self.name}: column {_quoted(absent)} is missing; add it or rename one of "
                f"{_quoted(self.frame.columns[:12])}"
            )
        twice = self.frame.columns[self.frame.columns.duplicated()]
        if len(twice):
            self.refuse(f"{self.name}: column {_quoted(twice)} stands twice; rename or delete one of each")
        odd = [column for column in self.frame.columns if hidden(str(column))]
        if odd:
            self.refuse(f"{self.name}: column {_quoted(odd)} holds a control character; use plain characters")
        if self.frame.empty:
            self.refuse(f"{self.name}: the table has no rows; give at least one")

    def refuse_blank(self, columns: Sequence[str]) -> None:
        """Refuse missing or empty cells."""
        empty = self._where(is_absent, columns)
        self.refuse_cells(empty, columns, "is empty", "fill it in or delete the row")

    def refuse_not_text(self, columns: Sequence[str]) -> None:
        """Refuse cells that are not text."""
        odd = self._where(lambda cell: not isinstance(cell, str), columns)
        self.refuse_own(odd, columns, "is not text", "turn the column into text")

    def refuse_odd_names(self, columns: Sequence[str]) -> None:
        """Refuse names that hold characters which move the cursor, turn the text round or are not seen."""
        odd = self._where(lambda cell: bool(hidden(cell)), columns)
        self.refuse_own(odd, columns, "holds a control character", "write the name in plain characters")

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
        """Refuse (n, m) costs below 0 or above `LARGEST_COST`; NaN passes (see `refuse_missing`)."""
        odd = (costs < 0) | (costs > LARGEST_COST)
        what, remedy = "is not a cost in USD per query", f"costs are at least 0 and at most {LARGEST_COST:g}"
        self.refuse_cells(odd, columns, what, remedy, cells=costs)

    def refuse_missing(
        self, values: Floats, columns: Sequence[str], remedy: str = "fill it in or drop the row"
    ) -> None:
        """Refuse NaN among (n, m) values."""
        self.refuse_cells(np.isnan(values), columns, "is missing", remedy)

    def numbers(self, columns: Sequence[str], *, truth: bool = True) -> Floats:
        """Read m columns of numbers or numeric texts, True and False too if `truth` says so.

        A cell may be a number, a numeric text, absent or a usual word for that ("NA").

        Returns
        -------
        (n, m) floats, NaN where a cell is absent.

        Raises
        ------
        TableError : naming the first cell that holds something else.
        """
        values = np.column_stack([floats(self.frame[column], truth) for column in columns])
        odd = np.isnan(values)
        if odd.any():
            cells = self.frame[list(columns)].to_numpy(dtype=object)
            odd[odd] = [not means_absent(cell) for cell in cells[odd]]
            remedy = "write a plain number such as 0.5, with a point and without unit or separators"
            self.refuse_own(odd, columns, "is not a number", remedy)
        return values

    def _where(self, test: Callable[[Any], bool], columns: Sequence[str]) -> NDArray[np.bool_]:
        """(n, m) cells that a test is true of."""
        return np.column_stack([of_cells(self.frame[column], test, bool) for column in columns])


def refuse_unknown(asked: Sequence[str], known: Sequence[str], name: str, what: str = "model") -> None:
    """Refuse a name that is not among the known ones, suggesting the closest.

    Raises
    ------
    TableError : listing the known names.
    """
    for word in asked:
        if word not in known:
            close = get_close_matches(word, known, n=1)
            hint = f"did you mean {_quoted(close)}? " if close else ""
            listed = ", ".join(map(shown, known[:30])) + (", ..." if len(known) > 30 else "")
            raise TableError(f"{name}: {what} {_quoted([word])} is not in the table; {hint}known: {listed}")


def refuse_models(models: Sequence[str], name: str) -> None:
    """Refuse a list of models that is empty, names one twice, or holds a name that cannot be seen.

    Raises
    ------
    TableError : naming the model.
    """
    if not models:
        raise TableError(f"{name}: no model is named; give at least one")
    for model in models:
        if models.count(model) > 1:
            raise TableError(f"{name}: model {_quoted([model])} is named twice; name each model once")
        if not model.strip() or len(model) > 200 or hidden(model):
            raise TableError(
                f"{name}: a model is named {_quoted([model])}; give it a name of 1 to 200 visible characters"
            )


def shown(text: object) -> str:
    """Text for a message: on one line, control characters escaped, not longer than 200 characters."""
    escaped = visible(str(text)[:201])
    return escaped if len(escaped) <= 200 else escaped[:197] + "..."


def _quoted(names: Iterable[object]) -> str:
    return ", ".join(f"'{shown(name)}'" for name in names)


def _cell(cell: Any) -> str:
    text = repr(cell.item() if isinstance(cell, np.generic) else cell)
    return text if len(text) <= 60 else text[:57] + "..."


def floats(column: pd.Series[Any], truth: bool) -> Floats:
    """(n,) numbers in a column's cells as `cells.number` reads them, NaN where there is none."""
    if column.dtype.kind in "iuf":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return of_cells(column, lambda cell: number(cell, truth), np.float64)


def of_cells(column: pd.Series[Any], function: Callable[[Any], Any], dtype: type) -> NDArray[Any]:
    """(n,) values of a function of every cell; of a column of texts it is asked once for each text."""
    if not isinstance(column.dtype, pd.StringDtype):  # 1 and True are other cells, though they are equal
        return np.fromiter(map(function, column.to_numpy(dtype=object)), dtype, len(column))
    code, texts = pd.factorize(column, use_na_sentinel=False)
    return np.fromiter(map(function, np.asarray(texts, dtype=object)), dtype, len(texts))[code]
