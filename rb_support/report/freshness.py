"""Two folders of figures, compared as a reader would: curves as functions, cells by what is printed.

Bytes of images are not looked at, nor how many vertices a curve has: a hull gains or loses one by rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.paper import Repeats, repeats
from rb_support.report.gallery import read_claims, read_records

Array = NDArray[np.float64]

TOLERANCE: dict[Repeats, float] = {"exactly": 1e-5, "trained": 1e-3, "timed": np.inf}
"""How far numbers of another run may lie apart, as a share of the largest in their column.

A CSV prints six digits, of which rounding may turn the last; networks train in double precision, which leaves
the printed digits alone on every processor tried, and are allowed a hundred times that.
"""

TIMED_CLAIM = "(this machine)"
"""How a claim ends whose verdict hangs on a clock."""

_COST, _QUALITY = "usd_per_query", "quality"
_LONGEST = 600  # characters of a line: a stranger's cell may be a page


@dataclass(frozen=True)
class Difference:
    """What differs in one item.

    Attributes
    ----------
    item : its id.
    what : column and row, curve, or what else differs.
    ours, theirs : both values; empty where a sentence says it all.
    """

    item: str
    what: str
    ours: object = ""
    theirs: object = ""

    def __str__(self) -> str:
        values = [f"{v:.6g}" if isinstance(v, float) else str(v) for v in (self.ours, self.theirs)]
        told = f"{self.item}: {self.what}" + (f": {' against '.join(values)}" if self.ours != "" else "")
        return shorten(told, _LONGEST, placeholder=" …")


def differences(ours: Path, theirs: Path) -> list[Difference]:
    """What a reader would see differ between two folders of figures of one kind of data.

    Parameters
    ----------
    ours, theirs : such as the committed `figures/simulated` and one that was just made.

    Returns
    -------
    At most one per column of an item, that which moved most; none if the folders say the same.
    """
    mine, other = ({record["id"]: record for record in read_records(folder)} for folder in (ours, theirs))
    found = [Difference(id, "is in one folder only") for id in sorted(mine.keys() ^ other.keys())]
    for id in (id for id in mine if id in other):
        parts = [part for part in ("parameters", "seed", "data") if mine[id][part] != other[id][part]]
        found += [Difference(id, f"its records name different {part}") for part in parts]
        try:
            found += _between(id, *(pd.read_csv(folder / f"{id}.csv") for folder in (ours, theirs)))
        except (OSError, ValueError) as error:
            found.append(Difference(id, f"its CSV files cannot be compared ({error})"))
    return found + list(_verdicts(ours, theirs))


def _between(item: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> list[Difference]:
    if list(ours.columns) != list(theirs.columns):
        return [Difference(item, "has other columns", list(ours.columns), list(theirs.columns))]
    found: list[Difference] = []
    if {_COST, _QUALITY} < set(ours.columns) and item.startswith("rb-fig"):
        curves = (table[table[_QUALITY].notna()].dropna(axis=1, how="all") for table in (ours, theirs))
        found = list(_curves(item, *curves))
        ours, theirs = (table[table[_QUALITY].isna()].reset_index(drop=True) for table in (ours, theirs))
    if len(ours) != len(theirs):
        return [*found, Difference(item, "has another number of rows", len(ours), len(theirs))]
    moved = (_column(item, ours, theirs, name) for name in ours.columns)
    return found + [difference for difference in moved if difference]


def _column(item: str, ours: pd.DataFrame, theirs: pd.DataFrame, name: str) -> Difference | None:
    mine, other = ours[name], theirs[name]
    if pd.api.types.is_numeric_dtype(mine) and pd.api.types.is_numeric_dtype(other):
        apart, allowed = _apart(mine.to_numpy(float), other.to_numpy(float)), TOLERANCE[repeats(item)]
    else:
        unequal = mine.fillna("").astype(str) != other.fillna("").astype(str)
        apart, allowed = np.asarray(unequal, dtype=float), 0.0
    if not (apart > allowed).any():
        return None
    row = int(apart.argmax())
    words = [str(cell) for cell in ours.iloc[row] if isinstance(cell, str)][:3]
    where = f"column '{name}', row {row + 1}" + (f" ({', '.join(words)})" if words else "")
    return Difference(item, where, mine.iloc[row], other.iloc[row])


def _curves(item: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> Iterator[Difference]:
    """Curves that differ: the points of one name, read as a piecewise linear function of cost."""
    names, tolerance = [c for c in ours.columns if c not in (_COST, _QUALITY)], TOLERANCE[repeats(item)]
    mine, other = (
        {", ".join(map(str, name)): part for name, part in table.groupby(names, sort=False, dropna=False)}
        for table in (ours, theirs)
    )
    for name in sorted(mine.keys() ^ other.keys()):
        yield Difference(item, f"{name} is in one folder only")
    for name in (name for name in mine if name in other):
        a, b = (
            part[name][[_COST, _QUALITY]].sort_values(_COST).to_numpy(dtype=float) for part in (mine, other)
        )
        grid = np.unique(np.concatenate([a[:, 0], b[:, 0]]))  # between vertices both are straight
        heights = np.interp(grid, *a.T), np.interp(grid, *b.T)
        apart, ends = _apart(*heights), _apart(a[[0, -1], 0], b[[0, -1], 0])
        at = int(apart.argmax())
        if apart[at] > tolerance:
            moved = heights[0][at], heights[1][at]
            yield Difference(item, f"{name}, {_QUALITY} at {_COST} {grid[at]:.6g}", *moved)
        elif ends.max() > tolerance:
            yield Difference(item, f"{name}, end of the curve in {_COST}", a[-1, 0], b[-1, 0])


def _verdicts(ours: Path, theirs: Path) -> Iterator[Difference]:
    """Claims with another verdict; their numbers stand in the tables and figures that they are about."""
    mine, other = (
        {f"{claim['notebook']}, {claim['claim']}": claim["verdict"] for claim in read_claims(folder)}
        for folder in (ours, theirs)
    )
    for key in sorted(mine.keys() ^ other.keys()):
        yield Difference("claims", f"{key}: is in one folder only")
    for key, verdict in mine.items():
        if key in other and verdict != other[key] and not key.endswith(TIMED_CLAIM):
            yield Difference("claims", key, verdict, other[key])


def _apart(ours: Array, theirs: Array) -> Array:
    """Distance of each pair as a share of the largest number; 0 where both are missing, inf where one is."""
    largest = np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0) or 1.0
    missing = np.isnan(ours).astype(int) + np.isnan(theirs)
    with np.errstate(invalid="ignore"):  # two infinities are alike, as `==` says
        apart = np.where(ours == theirs, 0.0, np.abs(ours - theirs) / largest)
    return np.choose(missing, [apart, np.inf, 0.0])
