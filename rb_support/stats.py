"""Routing systems on weighted queries, and how sure a number of theirs is: paired bootstrap over queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support.frontier import aiq, exceeds, shared_domain

Array = NDArray[np.float64]
System = Callable[[ArrayLike | None], Array]
"""A routing system on a fixed set of queries: query weights (None: equal) -> (k, 2) points."""


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


def supports(interval: tuple[float, float], sign: int) -> bool | None:
    """Whether an interval of a difference supports a sign: above (1), below (-1) or about 0 (0).

    Returns
    -------
    True if it does, False if it excludes that sign, None if it cannot tell. "About 0" is never told from
    a small difference, so it is True as long as the interval covers 0.
    """
    above, below = exceeds(interval[0], 0, 1), exceeds(0, interval[1], 1)
    if sign == 0:
        return not (above or below)
    return True if (above if sign > 0 else below) else False if (below if sign > 0 else above) else None
