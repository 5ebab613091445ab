"""Routing systems on weighted queries, and how sure a number of theirs is: paired bootstrap over queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support.frontier import aiq, chosen, exceeds, priced, shared_domain

Array = NDArray[np.float64]
Rows = NDArray[np.bool_]
System = Callable[[ArrayLike | None], Array]
"""A routing system on a fixed set of queries: query weights (None: equal) -> (k, 2) points.

A row is a policy, the same one under all weights, and its point the weighted mean over the queries.
"""

HALVINGS = 16
"""How often the queries are halved at random for the honest AIQ, so that little of a split's luck is left."""

BLOCKS = 128
"""More queries than these are halved and resampled in so many random blocks of equal size."""


def mean_points(cost: Array, quality: Array) -> System:
    """System whose k points are weighted means over queries of (n, k) costs (USD) and qualities."""

    def points(weights: ArrayLike | None = None) -> Array:
        counts = np.ones(len(cost)) if weights is None else np.asarray(weights)
        share = counts / np.sum(counts)
        return np.column_stack([share @ cost, share @ quality])

    return points


def joined(systems: Iterable[System]) -> System:
    """One system that has the points of several: what a deployer with all of them to choose from can do."""
    parts = list(systems)
    return lambda weights: np.vstack([part(weights) for part in parts])


def aiqs(systems: Mapping[str, System], weights: ArrayLike | None = None) -> dict[str, float]:
    """AIQ of several systems on the cost domain that they share (RouterBench sec. 3.3).

    Each system is evaluated once: its points serve the domain and its area.

    Parameters
    ----------
    systems : name -> points (k, 2) as a function of query weights.
    weights : (n,) weight of each query; equal if None.
    """
    points = {name: system(weights) for name, system in systems.items()}
    domain = shared_domain(*points.values())
    return {name: aiq(values, *domain) for name, values in points.items()}


def bootstrap_weights(n: int, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How often each query is drawn: (draws, n) counts, every row adding up to n."""
    return rng.multinomial(n, np.full(n, 1 / n), size=draws)


def bootstrap_aiq(
    systems: Mapping[str, System], n: int, *, rng: np.random.Generator, draws: int = 1000
) -> tuple[dict[str, float], pd.DataFrame]:
    """AIQ of several systems on one set of queries, and on its resamples.

    All systems see the same resampled queries (paired), and each resample has the cost domain that the
    systems share on it, as the paper's definition asks (RouterBench sec. 3.3).

    Parameters
    ----------
    systems : name -> points as a function of query weights.
    n : number of queries.
    rng : source of randomness.
    draws : resamples.

    Returns
    -------
    estimates : name -> AIQ on the queries as they are.
    samples : (draws, systems) AIQ on each resample, a column per system.
    """
    estimates = aiqs(systems)
    weights = bootstrap_weights(n, draws, rng)
    return estimates, pd.DataFrame([aiqs(systems, row) for row in weights], columns=list(systems))


def honest_aiqs(
    systems: Mapping[str, System], n: int, *, rng: np.random.Generator, halvings: int = HALVINGS
) -> dict[str, float]:
    """Cross-fitted AIQ of several systems: policies chosen on half of the queries, priced on the other half.

    Halves swap, and several random halvings are averaged. See `rb_support.frontier.honest_aiq` for one of
    them. The cost domain that the systems share is spanned, on each part, by what is cheapest and dearest on
    all queries and by what is chosen.

    Parameters
    ----------
    systems : name -> points as a function of query weights.
    n : number of queries. One alone chooses and pays.
    rng : of the halvings.
    halvings : how many; fewer leave more of a split's luck in.
    """
    block = blocks(n, rng)
    pays, rows = _turns(systems, block, rng, halvings)
    areas, counts = [], pays[:, block].sum(axis=1)
    for turn, paying in enumerate(pays[:, block].astype(float)):
        areas.append(_priced_together([systems[name](paying)[rows[name][turn]] for name in systems]))
    return dict(zip(systems, np.average(areas, axis=0, weights=counts).tolist(), strict=True))


def bootstrap_honest_aiq(
    systems: Mapping[str, System], n: int, *, rng: np.random.Generator, draws: int = 1000
) -> tuple[dict[str, float], pd.DataFrame]:
    """Honest AIQ (see `honest_aiqs`) of several systems, and on resamples of the queries that pay.

    A resample draws queries and keeps the halvings and what was chosen, so that a query never stands on both
    sides, however often it is drawn: the interval is one of the price of policies that are given. All systems
    see the same halvings and resamples. Parameters and returns are those of `bootstrap_aiq`.
    """
    block = blocks(n, rng)
    pays, rows = _turns(systems, block, rng, HALVINGS)
    sizes, parts = np.bincount(block), np.arange(block.max() + 1)[:, None] == block
    used = {name: np.unique(np.concatenate(each)) for name, each in rows.items()}
    totals = {name: np.stack([systems[name](part)[used[name]] for part in parts]) for name in systems}
    drawn = np.vstack([np.ones(len(sizes)), bootstrap_weights(len(sizes), draws, rng)]) * sizes
    areas = np.zeros((len(drawn), len(systems)))
    for turn, paying in enumerate(pays):
        weights = drawn * paying
        shares = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1)
        columns = {name: np.searchsorted(used[name], rows[name][turn]) for name in systems}
        points = [np.tensordot(shares, totals[name][:, columns[name]], 1) for name in systems]
        areas += weights.sum(axis=1, keepdims=True) * _priced_together(points)
    paid = (drawn @ pays.T).sum(axis=1, keepdims=True)
    whole, *_ = found = areas / paid
    estimates = dict(zip(systems, whole.tolist(), strict=True))
    return estimates, pd.DataFrame(found[1:], columns=list(systems))


def blocks(n: int, rng: np.random.Generator, most: int = BLOCKS) -> NDArray[np.int64]:
    """Random block of each of n queries, (n,): its own, or of more than `most` one of so many."""
    return rng.permutation(n) % min(n, most)


def halves(count: int, rng: np.random.Generator, halvings: int = HALVINGS) -> tuple[Rows, Rows]:
    """Random halves of the queries, of which one chooses and the other pays; then they swap.

    Parameters
    ----------
    count : queries, or `blocks` of them. One alone chooses and pays.
    rng : of the halvings.
    halvings : how many.

    Returns
    -------
    chooses, pays : (2 halvings, count) masks, a row for each turn. An odd one chooses in the first turns.

    >>> chooses, pays = halves(5, np.random.default_rng(0), halvings=3)
    >>> chooses.sum(axis=1).tolist(), bool((chooses == ~pays).all())
    ([3, 3, 3, 2, 2, 2], True)
    """
    if count == 1:
        return np.ones((1, 1), dtype=bool), np.ones((1, 1), dtype=bool)
    half = np.array([rng.permutation(count) < count // 2 for _ in range(halvings)])
    return np.concatenate([~half, half]), np.concatenate([half, ~half])


def _turns(
    systems: Mapping[str, System], block: NDArray[np.int64], rng: np.random.Generator, halvings: int
) -> tuple[Rows, dict[str, list[NDArray[np.intp]]]]:
    """Which blocks pay in each turn, (2 halvings, blocks), and what rows the others choose in it.

    A system's rows end with the two that are cheapest and dearest on all queries.
    """
    chooses, pays = halves(int(block.max()) + 1, rng, halvings)
    every = {name: system(None)[:, 0] for name, system in systems.items()}
    ends = {name: [cost.argmin(), cost.argmax()] for name, cost in every.items()}
    rows: dict[str, list[NDArray[np.intp]]] = {name: [] for name in systems}
    for weights in chooses[:, block].astype(float):
        points = {name: system(weights) for name, system in systems.items()}
        cheapest = min(float(each[:, 0].min()) for each in points.values())
        for name, each in points.items():
            rows[name].append(np.append(chosen(each, cheapest), ends[name]))
    return pays, rows


def _priced_together(points: Sequence[Array]) -> Array:
    """Areas (..., systems) of points (..., k, 2) as `_turns` chose them, on the domain that they share."""
    costs = np.concatenate([each[..., 0] for each in points], axis=-1)
    low, high = costs.min(axis=-1), costs.max(axis=-1)
    return np.stack([priced(each[..., :-2, :], low, high) for each in points], axis=-1)


def in_standard_errors(runs: Array, exact: ArrayLike) -> Array:
    """How far the mean of (r, k) runs lies from an exact value (k,), in its standard errors.

    0 where both agree to rounding, also if the runs do not vary; infinite if they do not vary and disagree.
    """
    off, spread = runs.mean(axis=0) - exact, runs.std(axis=0)
    told = exceeds(np.abs(off), 0, exact) | exceeds(spread, 0, exact)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(told, off / (spread / np.sqrt(len(runs))), 0.0)


def interval(samples: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap samples, (low, high)."""
    low, high = np.quantile(np.asarray(samples, dtype=float), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def simultaneous(estimates: ArrayLike, samples: ArrayLike, level: float = 0.95) -> Array:
    """Intervals that all hold at once, as whoever looks at several routers needs: max-t of a bootstrap.

    Every column is measured in its own bootstrap standard deviations; the largest of them, draw by draw, has
    the quantile that all intervals share.

    Parameters
    ----------
    estimates : (k,) numbers on the queries as they are.
    samples : (draws, k) the same on resamples, all columns of a row from the same resample.
    level : probability that all intervals cover.

    Returns
    -------
    (k, 2) low and high. A column that no resampling varies has no width; one with a NaN is NaN and counts
    for nothing in the others.
    """
    values, drawn = np.asarray(estimates, dtype=float), np.asarray(samples, dtype=float)
    spread = drawn.std(axis=0)
    varies = exceeds(spread, 0, np.maximum(np.abs(values), 1e-3))  # NaN does not
    off = np.abs(drawn[:, varies] - values[varies]) / spread[varies]
    widest = np.quantile(off.max(axis=1), level) if varies.any() else 0.0
    half = np.where(np.isnan(spread), np.nan, np.where(varies, widest * spread, 0.0))
    return np.column_stack([values - half, values + half])
