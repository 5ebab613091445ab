"""Checks of columns and cells: each refusal names file, row, column and remedy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support.outcomes.origin import TableError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def refuse_cells(
    bad: ArrayLike,
    what: str,
    remedy: str,
    *,
    name: str,
    columns: Sequence[str],
    ids: ArrayLike | None = None,
    cells: ArrayLike | None = None,
) -> None:
    """Raise for the first marked cell in reading order, saying how many more there are.

    Parameters
    ----------
    bad : (n, m) or (n,) booleans, True where a cell cannot be used.
    what, remedy : what is wrong with the cell, and what its owner can do.
    name : file or table the cells stand in.
    columns : m column names.
    ids : (n,) sample ids, left out of the message if there are none.
    cells : values of bad's shape to print before `what`.

    Raises
    ------
    TableError : if any cell is marked; row numbers count data rows from 1.
    """
    marked = np.asarray(bad, dtype=bool).reshape(len(np.asarray(bad)), -1)
    count = int(marked.sum())
    if not count:
        return
    row, column = (int(i) for i in np.argwhere(marked)[0])
    sample = "" if ids is None else f" (sample_id {np.asarray(ids)[row]})"
    cell = "" if cells is None else f"{_shown(np.asarray(cells).reshape(marked.shape)[row, column])} "
    more = f" (first of {count} such cells)" if count > 1 else ""
    raise TableError(
        f"{name}: row {row + 1}{sample}, column '{columns[column]}': {cell}{what}{more}; {remedy}"
    )


def _shown(cell: Any) -> str:
    value = cell.item() if isinstance(cell, np.generic) else cell
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def refuse_columns(frame: pd.DataFrame, needed: Sequence[str], name: str) -> None:
    """Refuse a frame without rows, with a column name used twice or with a needed column missing.

    Raises
    ------
    TableError : naming the columns.
    """
    absent = [column for column in needed if column not in frame.columns]
    if absent:
        raise TableError(
            f"{name}: column {_quoted(absent)} is missing; add it or rename one of "
            f"{_quoted([str(c) for c in frame.columns[:12]])}"
        )
    twice = [str(column) for column in frame.columns[frame.columns.duplicated()]]
    if twice:
        raise TableError(f"{name}: column {_quoted(twice)} stands twice; rename or delete one of each")
    if frame.empty:
        raise TableError(f"{name}: the table has no rows; give at least one")


def refuse_blank(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Refuse missing or empty cells.

    Raises
    ------
    TableError : naming the first such cell.
    """
    blank = np.column_stack([_marks(frame[column], is_absent) for column in columns])
    remedy = "fill it in or delete the row"
    refuse_cells(blank, "is empty", remedy, name=name, columns=columns, ids=ids_of(frame))


def refuse_not_text(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Refuse cells that are not text.

    Raises
    ------
    TableError : naming the first such cell.
    """
    odd = np.column_stack([_marks(frame[column], _is_not_text) for column in columns])
    cells = frame[list(columns)].to_numpy(dtype=object)
    refuse_cells(
        odd,
        "is not text",
        "turn the column into text",
        name=name,
        columns=columns,
        ids=ids_of(frame),
        cells=cells,
    )


def refuse_same_ids(frame: pd.DataFrame, name: str) -> None:
    """Refuse a sample_id that stands on two rows.

    Raises
    ------
    TableError : naming the first row whose id stands above it already.
    """
    again = frame["sample_id"].duplicated()
    remedy = "give each row its own"
    refuse_cells(
        again, "stands on a row above", remedy, name=name, columns=("sample_id",), ids=frame["sample_id"]
    )


def ids_of(frame: pd.DataFrame) -> NDArray[Any] | None:
    """(n,) sample ids for messages, None if the frame has none."""
    return frame["sample_id"].to_numpy(dtype=object) if "sample_id" in frame.columns else None


def _marks(column: pd.Series[Any], test: Callable[[Any], bool]) -> Mask:
    cells = column.to_numpy(dtype=object)
    return np.fromiter((test(cell) for cell in cells), dtype=bool, count=len(cells))


def _is_not_text(cell: Any) -> bool:
    return not isinstance(cell, str)


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


def refuse_repeats(names: Sequence[str], name: str) -> None:
    """Refuse a list of models that is empty or names one twice.

    Raises
    ------
    TableError : naming the model.
    """
    if not names:
        raise TableError(f"{name}: no model is named; give at least one")
    for model in names:
        if names.count(model) > 1:
            raise TableError(f"{name}: model '{model}' is named twice; name each model once")


def is_absent(cell: Any) -> bool:
    """Whether a cell holds nothing: None, NaN or an empty text; a list of turns never does."""
    if isinstance(cell, str):
        return not cell.strip()
    return bool(pd.api.types.is_scalar(cell) and pd.isna(cell))


def numbers(frame: pd.DataFrame, columns: Sequence[str], name: str) -> Floats:
    """Read columns of numbers or numeric texts.

    Parameters
    ----------
    frame : n rows, with `sample_id` if messages are to name it.
    columns : m columns; a cell may be a number, a numeric text, absent or a usual word for that ("NA").

    Returns
    -------
    (n, m) floats, NaN where a cell is absent.

    Raises
    ------
    TableError : naming the first cell that holds something else.
    """
    values = np.column_stack([_floats(frame[column]) for column in columns])
    odd = np.isnan(values)
    if odd.any():
        cells = np.column_stack([frame[column].to_numpy(dtype=object) for column in columns])
        odd[odd] = [not _means_absent(cell) for cell in cells[odd]]
        remedy = "write a plain number such as 0.5"
        refuse_cells(
            odd, "is not a number", remedy, name=name, columns=columns, ids=ids_of(frame), cells=cells
        )
    return values


def _means_absent(cell: Any) -> bool:
    return is_absent(cell) or str(cell).strip().lower() in ("nan", "na", "n/a", "none", "null")


def _floats(column: pd.Series[Any]) -> Floats:
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    # Python's float() rounds correctly; the fast parsers of pandas may be one bit off.
    cells = column.to_numpy(dtype=object)
    return np.fromiter((_float(cell) for cell in cells), dtype=np.float64, count=len(cells))


def _float(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return float("nan")


def refuse_scores(
    scores: Floats,
    columns: Sequence[str],
    ids: ArrayLike | None,
    name: str,
    scale: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Refuse scores outside a scale; NaN passes (see `refuse_missing`).

    Raises
    ------
    TableError : naming the first such cell.
    """
    low, high = scale
    refuse_cells(
        (scores < low) | (scores > high),
        f"lies outside [{low:g}, {high:g}]",
        f"rescale the scores to [{low:g}, {high:g}]",
        name=name,
        columns=columns,
        ids=ids,
        cells=scores,
    )


def refuse_costs(costs: Floats, columns: Sequence[str], ids: ArrayLike | None, name: str) -> None:
    """Refuse negative or infinite costs; NaN passes (see `refuse_missing`).

    Raises
    ------
    TableError : naming the first such cell.
    """
    refuse_cells(
        (costs < 0) | np.isinf(costs),
        "is not a cost in USD per query",
        "costs are finite and at least 0",
        name=name,
        columns=columns,
        ids=ids,
        cells=costs,
    )


def refuse_missing(values: Floats, columns: Sequence[str], ids: ArrayLike | None, name: str) -> None:
    """Refuse NaN.

    Raises
    ------
    TableError : naming the first such cell.
    """
    remedy = "fill it in or drop the row"
    refuse_cells(np.isnan(values), "is missing", remedy, name=name, columns=columns, ids=ids)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
