"""Routing mathematics of RouterBench, section 3: mixtures, the non-decreasing hull and AIQ.

A router, like a model, is a point in the cost-quality plane: its mean cost per query in USD and its
mean quality. Mixing two of them at random reaches every point between them (linear interpolation),
and paying more without using it reaches every point to the right (extrapolation). The best that a set
of points can reach is therefore its non-decreasing convex hull, and the area under it is AIQ.

A hull over hundreds of measured points picks the lucky ones, so AIQ pays for noise. `honest_aiq` chooses
the hull's points on some queries and pays for them on others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]
Indices = NDArray[np.intp]

ROUNDING = 1e-12
"""Share of the values' size below which a gap is what rounding left of none."""

STRIDE = 12
"""Of many points, every so many-th makes a first hull that most others lie below."""

MANY = 8 * STRIDE
"""Points above which such a first hull is made."""


class Part(NamedTuple):
    """One part of a mixture: which row of the points, under what name, called with what probability."""

    row: int
    label: str
    probability: float


def exceeds(a: ArrayLike, b: ArrayLike, scale: ArrayLike | None = None) -> NDArray[np.bool_]:
    """Where a lies above b by more than rounding.

    Parameters
    ----------
    a, b : numbers of shapes that broadcast.
    scale : size of the values that a and b were made of; None: the smaller of both.
    """
    left, right = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    size = np.minimum(np.abs(left), np.abs(right)) if scale is None else np.abs(scale)
    return np.asarray(left - right > ROUNDING * size)


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
    t.shape + (2,): expected cost and quality.
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
    """Rows of `points` that are vertices of their non-decreasing convex hull, by rising cost.

    Points whose cost or quality differs by rounding only are one (see `exceeds`).
    """
    array = as_points(points)
    cost, quality = array[:, 0], array[:, 1]
    order = np.lexsort((-quality, cost))
    rising = np.concatenate([[-np.inf], np.maximum.accumulate(quality[order])[:-1]])
    better = exceeds(quality[order], rising, np.abs(quality).max())
    pareto = order[better]  # better than all that is as cheap or cheaper
    pareto = pareto[np.append(exceeds(cost[pareto[1:]], cost[pareto[:-1]]), True)]
    if len(pareto) > MANY:  # what lies below the hull of a few of them is no vertex
        few = _corners(cost, quality, np.append(pareto[:-1:STRIDE], pareto[-1]))
        level = np.interp(cost[pareto], cost[few], quality[few])
        pareto = pareto[~exceeds(level, quality[pareto], np.abs(quality).max())]
    return _corners(cost, quality, pareto)


def _corners(cost: Points, quality: Points, rising: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of rows whose cost and quality rise, those where the upper hull bends, and both ends."""
    chain: list[int] = []
    xs, ys = cost[rising].tolist(), quality[rising].tolist()
    for new in range(len(rising)):
        while len(chain) > 1:
            a, b = chain[-2:]
            if (ys[b] - ys[a]) * (xs[new] - xs[a]) > (ys[new] - ys[a]) * (xs[b] - xs[a]):
                break  # b lies above the chord from a to the new point
            chain.pop()
        chain.append(new)
    return rising[chain]


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


def chosen(points: ArrayLike, c_min: float | None = None) -> NDArray[np.intp]:
    """Rows of `points` that a deployer mixes: the vertices of their hull, by rising cost.

    Parameters
    ----------
    points : (n, 2) of (cost, quality) as measured on the queries that choose.
    c_min : left end of the cost domain; vertices of a late starter below the line from (c_min, 0) go unused.
    """
    array = as_points(points)
    rows = hull_indices(array)
    if c_min is None or not exceeds(array[rows[0], 0], c_min):
        return rows
    extended = hull_indices(np.vstack([[c_min, 0.0], array])) - 1
    return extended[1:] if len(extended) > 1 else rows


def cheapest(cost: Points, quality: Points) -> Indices:
    """Cheapest of k points in each row of (n, k); of equally cheap ones the best, then the first."""
    cheap = ~exceeds(cost, cost.min(axis=1, keepdims=True))
    return np.asarray(np.where(cheap, quality, -np.inf).argmax(axis=1))


def climb(
    cost: Points, quality: Points, start: Indices, size: float
) -> Iterator[tuple[Indices, Indices, Indices, Points]]:
    """Walk n sets of points up their hulls together, a vertex at a time.

    Parameters
    ----------
    cost, quality : (n, k) points of every set.
    start : (n,) column of the first vertex, the `cheapest`.
    size : of the qualities, below which gaps are rounding (see `exceeds`).

    Yields
    ------
    rows that go on, the columns left and reached, and the price of it: cost per quality, which never falls.
    """
    rows, current, reached = np.arange(len(start)), start, np.zeros(len(start))
    while len(rows):
        place = np.arange(len(rows))
        had, spent = quality[place, current][:, None], cost[place, current][:, None]
        better, extra = exceeds(quality, had, size), cost - spent
        with np.errstate(divide="ignore", invalid="ignore"):
            price = np.where(better & (extra >= 0), extra / (quality - had), np.inf)
        # Of equal prices the furthest, as points on a straight edge are no vertices.
        following = np.where(price == price.min(axis=1, keepdims=True), quality, -np.inf).argmax(axis=1)
        # Prices rise; where rounding says otherwise they are one.
        reached = np.maximum(reached, price[place, following])
        going = np.isfinite(reached)
        if not going.all():
            rows, current, following, reached = (each[going] for each in (rows, current, following, reached))
            cost, quality = cost[going], quality[going]
        yield rows, current, following, reached
        current = following


def chosen_together(points: Points, c_min: Points) -> Indices:
    """`chosen` of n sets of points that measure the same k policies, such as resamples.

    Parameters
    ----------
    points : (n, k, 2) of (cost, quality).
    c_min : (n,) left end of each cost domain.

    Returns
    -------
    (n, most) rows by rising cost; where a set has fewer than the most its last one stands there again, which
    adds no area.
    """
    columns = _above_common_chords(points)
    cost, quality = points[:, columns, 0], points[:, columns, 1]
    start = cheapest(cost, quality)
    late = exceeds(cost[np.arange(len(cost)), start], c_min)
    # The corner of Figure 2, from which a late starter climbs, is the last column.
    cost, quality = np.column_stack([cost, c_min]), np.column_stack([quality, np.zeros(len(cost))])
    corner = len(columns)
    rows = [np.where(late, corner, start)]
    for going, _, after, _ in climb(cost, quality, rows[0], float(np.abs(quality).max())):
        rows.append(rows[-1].copy())
        rows[-1][going] = after
    table = np.stack(rows, axis=1)
    first = table[:, min(1, table.shape[1] - 1)]
    first = np.where(first == corner, start, first)  # where nothing is worth more than nothing
    return np.asarray(columns[np.where(table == corner, first[:, None], table)])


def _above_common_chords(points: Points) -> Indices:
    """Of the k policies of (n, k, 2) points those that may be a vertex somewhere; of few policies all.

    The vertices of the mean points' hull span chords in every set: what lies below them is no vertex there.
    """
    middle = points.mean(axis=0)
    if len(middle) <= MANY or len(corners := hull_indices(middle)) < 2:
        return np.arange(len(middle))
    right = np.clip(np.searchsorted(middle[corners, 0], middle[:, 0]), 1, len(corners) - 1)
    cost, quality = points[..., 0], points[..., 1]
    (c0, q0), (c1, q1) = ((cost[:, corners[side]], quality[:, corners[side]]) for side in (right - 1, right))
    rounding = ROUNDING * np.abs(quality).max()
    under = (cost >= c0) & (cost <= c1)
    under &= (quality - q0 + rounding) * (c1 - c0) < (q1 - q0) * (cost - c0)
    under |= (cost >= c1) & (quality < q1 - rounding)
    return np.flatnonzero(~under.all(axis=0))


def priced(points: ArrayLike, c_min: ArrayLike, c_max: ArrayLike) -> NDArray[np.float64]:
    """Mean height over [c_min, c_max] of the straight lines through points that others have chosen.

    The points go by what they cost here, which any deployer sees; that one is worse than a cheaper one stays
    in the area, since whoever chose could not know. Left of the cheapest point the line comes from
    (c_min, 0), right of the dearest it goes on flat; on a domain of one cost, the last point counts.

    Parameters
    ----------
    points : (..., k, 2) of (cost, quality), k >= 1; leading axes such as resamples are priced one by one.
    c_min, c_max : (...) the cost domain.
    """
    array = np.asarray(points, dtype=float)
    low, high = np.asarray(c_min, dtype=float), np.asarray(c_max, dtype=float)
    order = np.argsort(array[..., 0], axis=-1, kind="stable")
    cost, quality = (np.take_along_axis(array[..., side], order, axis=-1) for side in (0, 1))
    xs = np.concatenate([low[..., None], cost, np.maximum(high, cost[..., -1])[..., None]], axis=-1)
    ys = np.concatenate([np.zeros_like(low)[..., None], quality, quality[..., -1:]], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        places = (xs - low[..., None]) / (high - low)[
            ..., None
        ]  # in shares of the domain, so that no unit matters
        inside = np.clip(places, 0.0, 1.0)
        slopes = np.diff(ys) / np.diff(places)
        middles = (inside[..., :-1] + inside[..., 1:]) / 2
        heights = ys[..., :-1] + slopes * (middles - places[..., :-1])
        widths = np.diff(inside)
        areas = np.where(widths > 0, widths * heights, 0.0).sum(axis=-1)
    return np.where(exceeds(high, low), areas, quality[..., -1])


def honest_aiq(
    choosing: ArrayLike, paying: ArrayLike, c_min: float | None = None, c_max: float | None = None
) -> float:
    """AIQ of the points that one part of the queries chooses, as the other part pays for them.

    Parameters
    ----------
    choosing, paying : (n, 2) of (cost, quality) of the same n policies on two disjoint sets of queries.
    c_min, c_max : domain in USD per query on the paying part; its points' own if None.

    Returns
    -------
    float, in units of quality. Noise that the choosing part takes for quality is worth nothing here, so what
    knows nothing does not gain by having more points.

    >>> lucky, true = [[1, 0.5], [2, 0.9], [3, 0.7]], [[1, 0.5], [2, 0.5], [3, 0.7]]
    >>> aiq(lucky), honest_aiq(lucky, true)
    (0.8, 0.5)
    """
    points = as_points(paying)
    low = float(points[:, 0].min()) if c_min is None else float(c_min)
    high = float(points[:, 0].max()) if c_max is None else float(c_max)
    return float(priced(points[chosen(choosing, c_min)], low, high))


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
        heights = np.interp(np.asarray(cost, dtype=float), vertices[:, 0], vertices[:, 1])
        return np.where(exceeds(vertices[0, 0], cost), 0.0, heights)

    def mixture(self, cost: float) -> list[Part]:
        """Zero router at one cost: which points to mix, with which probability (sec. 3.2).

        Parameters
        ----------
        cost : USD per query to spend at most, in expectation.

        Returns
        -------
        A `Part` or two, the cheaper first; probabilities add up to 1 and the expectation is
        (cost, at(cost)), or the best point where the budget exceeds its cost.

        Raises
        ------
        ValueError
            If even the cheapest hull point costs more.
        """
        index = hull_indices(self.points)
        costs = self.points[index, 0]
        if exceeds(costs[0], cost):
            raise ValueError(f"no mixture costs {cost:g} USD per query: the cheapest costs {costs[0]:g}")
        right = max(int(np.searchsorted(costs, cost, side="right")), 1)
        share = 0.0
        if right < len(costs):
            share = max(0.0, float((cost - costs[right - 1]) / (costs[right] - costs[right - 1])))
        mixed = zip(index[right - 1 : right + 1].tolist(), (1 - share, share), strict=False)
        return [Part(row, self.labels[row] if self.labels else str(row), p) for row, p in mixed if p]

    def aiq(self, c_min: float | None = None, c_max: float | None = None) -> float:
        """AIQ on [c_min, c_max]; see the function `aiq`."""
        low = float(self.points[:, 0].min()) if c_min is None else float(c_min)
        high = float(self.points[:, 0].max()) if c_max is None else float(c_max)
        if not high >= low:
            raise ValueError(f"the cost domain is empty: c_min {low:g} > c_max {high:g}")
        if not exceeds(high, low):
            return float(self.at(high))
        return float(priced(self._extended(low), low, high))

    def _extended(self, c_min: float | None) -> Points:
        vertices = self.hull()
        if c_min is None or not exceeds(vertices[0, 0], c_min):
            return vertices
        return hull(np.vstack([[c_min, 0.0], vertices]))
