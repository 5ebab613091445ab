"""Routing mathematics of RouterBench, section 3: mixtures, the non-decreasing hull and AIQ.

A router, like a model, is a point in the cost-quality plane: its mean cost per query in USD and its
mean quality. Mixing two of them at random reaches every point between them (linear interpolation),
and paying more without using it reaches every point to the right (extrapolation). The best that a set
of points can reach is therefore its non-decreasing convex hull, and the area under it is AIQ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]


class Part(NamedTuple):
    """One part of a mixture: which row of the points, under what name, called with what probability."""

    row: int
    label: str
    probability: float


def as_points(points: ArrayLike) -> Points:
    """Array of shape (n, 2) of (cost, quality).

    Raises
    ------
    ValueError
        If there is no point, the shape is another, a value is not finite or a cost is negative.
    """
    array = np.atleast_2d(np.asarray(points, dtype=float))
    if array.ndim != 2 or array.shape[1] != 2 or len(array) == 0:
        raise ValueError(f"points must have shape (n, 2) with n >= 1, got {np.shape(points)}")
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise ValueError(f"point {row} is not finite: {array[row].tolist()}")
    if array[:, 0].min() < 0:
        row = int(array[:, 0].argmin())
        raise ValueError(f"point {row} has a negative cost: {array[row, 0]}")
    return array


def interpolate(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> Points:
    """Router that calls `a` with probability `t` and else `b` (RouterBench sec. 3.1).

    Parameters
    ----------
    a, b : (2,) points (cost, quality).
    t : probabilities in [0, 1], any shape.

    Returns
    -------
    (*t.shape, 2) expected cost and quality.
    """
    share = np.asarray(t, dtype=float)[..., None]
    if ((share < 0) | (share > 1)).any():
        raise ValueError("t must lie in [0, 1]: it is a probability")
    return share * np.asarray(a, dtype=float) + (1 - share) * np.asarray(b, dtype=float)


def extrapolate(point: ArrayLike, times: int) -> Points:
    """Router that asks `times` times and keeps the last answer (RouterBench sec. 3.1): (2,) point."""
    if times < 1:
        raise ValueError(f"times must be at least 1, got {times}")
    cost, quality = np.asarray(point, dtype=float)
    return np.array([times * cost, quality])


def hull_indices(points: ArrayLike) -> NDArray[np.intp]:
    """Rows of `points` that are vertices of their non-decreasing convex hull, by rising cost."""
    array = as_points(points)
    cost, quality = array[:, 0], array[:, 1]
    order = np.lexsort((-quality, cost))
    rising = np.concatenate([[-np.inf], np.maximum.accumulate(quality[order])[:-1]])
    pareto = order[quality[order] > rising]  # strictly better than all that is as cheap or cheaper
    chain: list[int] = []
    xs, ys = cost.tolist(), quality.tolist()
    for new in pareto.tolist():
        while len(chain) > 1:
            a, b = chain[-2:]
            if (ys[b] - ys[a]) * (xs[new] - xs[a]) > (ys[new] - ys[a]) * (xs[b] - xs[a]):
                break  # b lies above the chord from a to the new point
            chain.pop()
        chain.append(new)
    return np.array(chain, dtype=np.intp)


def hull(points: ArrayLike) -> Points:
    """Vertices of the non-decreasing convex hull (RouterBench sec. 3.2).

    Parameters
    ----------
    points : (n, 2) of (cost in USD per query, quality), in any order, ties and repeats allowed.

    Returns
    -------
    (k, 2) vertices by rising cost: from the best of the cheapest points to the cheapest of the best.
    A subset of the points; points on a straight edge between two vertices are left out.
    """
    return as_points(points)[hull_indices(points)]


def aiq(points: ArrayLike, c_min: float | None = None, c_max: float | None = None) -> float:
    """Average improvement in quality: mean height of the hull over a cost domain (sec. 3.3).

    Parameters
    ----------
    points : (n, 2) of (cost, quality) of one routing system.
    c_min, c_max : domain in USD per query, shared by the systems compared; the points' own if None.
        A system that starts later is extended to (c_min, 0) as in Figure 2; right of its best point
        it goes on flat (extrapolation). On a domain of one cost, AIQ is the best quality there.

    Returns
    -------
    float, in units of quality.

    Raises
    ------
    ValueError
        If c_max < c_min, or the points are unusable (see `as_points`).
    """
    return Curve(as_points(points)).aiq(c_min, c_max)


def shared_domain(*systems: ArrayLike) -> tuple[float, float]:
    """Smallest and largest cost over all points of all systems compared (sec. 3.3)."""
    costs = np.concatenate([as_points(points)[:, 0] for points in systems])
    return float(costs.min()), float(costs.max())


@dataclass(frozen=True, eq=False)
class Curve:
    """A routing system: its points in the cost-quality plane and what can be made of them.

    Attributes
    ----------
    points : (n, 2) of (mean cost in USD per query, mean quality).
    labels : n names for `mixture`, such as the models'; numbered if empty.
    """

    points: Points
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", as_points(self.points))
        if self.labels and len(self.labels) != len(self.points):
            raise ValueError(f"{len(self.labels)} labels for {len(self.points)} points")

    def hull(self) -> Points:
        """Vertices of the non-decreasing convex hull, (k, 2)."""
        return hull(self.points)

    def at(self, cost: ArrayLike, c_min: float | None = None) -> NDArray[np.float64]:
        """Best expected quality within a mean cost per query.

        Flat right of the best point. Left of the first point no router is that cheap: quality 0
        (or, if `c_min` is given, on the line from (c_min, 0) as in Figure 2).
        """
        vertices = self._extended(c_min)
        return np.interp(np.asarray(cost, dtype=float), vertices[:, 0], vertices[:, 1], left=0.0)

    def mixture(self, cost: float) -> list[Part]:
        """Zero router at one cost: which points to mix, with which probability (sec. 3.2).

        Parameters
        ----------
        cost : USD per query to spend at most, in expectation.

        Returns
        -------
        One or two `Part`s, cheaper first; probabilities add up to 1 and the expectation is
        (cost, at(cost)), or the best point where the budget exceeds its cost.

        Raises
        ------
        ValueError
            If even the cheapest hull point costs more.
        """
        index = hull_indices(self.points)
        costs = self.points[index, 0]
        if cost < costs[0]:
            raise ValueError(f"no mixture costs {cost:g} USD per query: the cheapest costs {costs[0]:g}")
        right = int(np.searchsorted(costs, cost, side="right"))
        share = 0.0
        if right < len(costs):
            share = float((cost - costs[right - 1]) / (costs[right] - costs[right - 1]))
        mixed = zip(index[right - 1 : right + 1].tolist(), (1 - share, share), strict=False)
        return [Part(row, self.labels[row] if self.labels else str(row), p) for row, p in mixed if p]

    def aiq(self, c_min: float | None = None, c_max: float | None = None) -> float:
        """AIQ on [c_min, c_max]; see the function `aiq`."""
        low = float(self.points[:, 0].min()) if c_min is None else float(c_min)
        high = float(self.points[:, 0].max()) if c_max is None else float(c_max)
        if not high >= low:
            raise ValueError(f"the cost domain is empty: c_min {low:g} > c_max {high:g}")
        vertices = self._extended(low)
        if high == low:
            return float(self.at(high))
        inner = vertices[(vertices[:, 0] > low) & (vertices[:, 0] < high)]
        xs = np.concatenate([[low], inner[:, 0], [high]])
        ys = np.interp(xs, vertices[:, 0], vertices[:, 1])
        # Lengths are taken as shares of the domain, so that the unit of cost cancels before it can underflow.
        return float(np.sum((ys[1:] + ys[:-1]) / 2 * (np.diff(xs) / (high - low))))

    def _extended(self, c_min: float | None) -> Points:
        vertices = self.hull()
        if c_min is None or c_min >= vertices[0, 0]:
            return vertices
        return hull(np.vstack([[c_min, 0.0], vertices]))
