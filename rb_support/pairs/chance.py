"""What chance does to APGR and CPT: the random router over its orders, routers over resampled queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid
from scipy.stats import norm

from rb_support.pairs.metrics import (
    columns,
    cpt_name,
    first_crossings,
    has_gap,
    rounding,
    summed,
    sweep_order,
)
from rb_support.stats import bootstrap_weights

Array = NDArray[np.float64]

_CELLS = 500_000  # numbers in one array; a handful of such arrays live at a time
_FEW_VALUES = 5  # of gains, up to which their numbers are drawn and not their order


def random_scores(strong: ArrayLike, weak: ArrayLike, shares: ArrayLike) -> tuple[Array, Array]:
    """Mean and standard deviation of the random router's score at shares of strong calls, in closed form.

    The mean lies on the straight line between both models. At a share c, round(c n) of the n queries go to
    the strong model, drawn without replacement; what they gain in sum has the variance k (n - k) / (n - 1)
    times the variance of the gains.

    Parameters
    ----------
    strong, weak : (n,) score of each model on each query.
    shares : (k,) shares of strong calls in [0, 1].

    Returns
    -------
    mean, standard deviation : (k,) each, in units of the score.

    Raises
    ------
    ValueError
        If the lengths differ, there is no query, a value is not finite, or a share is outside [0, 1].
    """
    high, low = columns(strong=strong, weak=weak)
    gain, x, n = high - low, np.asarray(shares, dtype=float), len(high)
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError("shares must be fractions in [0, 1]; divide percentages by 100")
    calls = np.round(x * n)
    line = np.interp(x, [0.0, 1.0], [low.mean(), high.mean()])
    return line, gain.std() / n * np.sqrt(calls * (n - calls) / max(n - 1, 1))


def random_apgr_spread(strong: ArrayLike, weak: ArrayLike) -> float | None:
    """Standard deviation of APGR over all random orders of the queries, in closed form; the mean is 0.5.

    Queries moved one by one in a random order give a curve whose trapezoid area weighs the j-th gain by
    n - j + 1/2. Weights dealt to gains at random have a known variance, here
    (n + 1) / (12 n) times the gains' summed squares around their mean, over their squared sum.

    Parameters
    ----------
    strong, weak : (n,) score of each model on each query.

    Returns
    -------
    Standard deviation; None without a gap.

    Raises
    ------
    ValueError
        As `random_scores`.
    """
    high, low = columns(strong=strong, weak=weak)
    gain = high - low
    if not has_gap(high, low):
        return None
    n = len(gain)
    return float(gain.std() * np.sqrt((n + 1) / 12) / (n * abs(gain.mean())))


def random_metrics(
    strong: ArrayLike,
    weak: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    targets: Sequence[float] = (0.5, 0.8),
    level: float = 0.95,
) -> pd.DataFrame | None:
    """Row "Random" of RouteLLM's tables 1 to 3: APGR and CPT with their spread over random orders.

    Parameters
    ----------
    strong, weak : (n,) score of each model on each query.
    rng : source of randomness.
    draws : random orders, the same for all targets; CPT, the first crossing of a random walk, has no closed
        form.
    targets : wanted PGRs.
    level : share of the random orders that the intervals cover.

    Returns
    -------
    Frame with the rows apgr, cpt50, cpt80 (by the targets) and the columns mean, low, high; APGR's are
    exact up to the normal approximation. None without a gap.

    Raises
    ------
    ValueError
        As `random_scores`.
    """
    spread = random_apgr_spread(strong, weak)
    if spread is None:
        return None
    width = float(norm.ppf((1 + level) / 2)) * spread
    gain = np.subtract(strong, weak, dtype=float)
    shares, found = np.arange(len(gain) + 1)[None] / len(gain), []
    for size in _batches(draws, len(gain)):
        walks = np.zeros((size, len(gain) + 1))
        np.cumsum(rng.permuted(np.tile(gain, (size, 1)), axis=1), axis=1, out=walks[:, 1:])
        recovered = walks / walks[:, -1:]
        found.append([first_crossings(shares, recovered, target) for target in targets])
    drawn = np.concatenate(found, axis=1)
    ends = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=1)
    rows = np.vstack([[0.5, 0.5 - width, 0.5 + width], np.column_stack([drawn.mean(axis=1), *ends])])
    return pd.DataFrame(rows, index=["apgr", *map(cpt_name, targets)], columns=["mean", "low", "high"])


def random_curves(
    strong: ArrayLike, weak: ArrayLike, *, rng: np.random.Generator, draws: int, steps: int = 10
) -> tuple[Array, Array] | None:
    """PGR of the random router at evenly spaced shares of strong calls, order by order.

    A curve read at a few shares needs no order, only what gains fall into each of its steps. Where gains take
    few values, as right and wrong answers do, their numbers per step are drawn (hypergeometric), so that many
    queries cost no more than few; else whole orders are.

    Parameters
    ----------
    strong, weak : (n,) score of each model on each query.
    rng : source of randomness.
    draws : random orders.
    steps : of equal size, up to a query; RouteLLM's own evaluation reads its curves at ten.

    Returns
    -------
    shares : (k + 1,) shares of strong calls from 0 to 1, k = `steps`, or the
        number of queries if that is less.
    recovered : (draws, k + 1) PGR there. None without a gap.

    Raises
    ------
    ValueError
        As `random_scores`.
    """
    high, low = columns(strong=strong, weak=weak)
    gain = high - low
    if not has_gap(high, low):
        return None
    n = len(gain)
    ends = np.unique(np.arange(steps + 1) * n // steps)
    values, counts = np.unique(gain, return_counts=True)
    if len(values) <= _FEW_VALUES:
        gained = _dealt(values, counts, np.diff(ends), rng, draws)
    else:
        orders = [rng.permuted(np.tile(gain, (size, 1)), axis=1) for size in _batches(draws, n)]
        gained = np.vstack([np.add.reduceat(order, ends[:-1], axis=1) for order in orders])
    recovered = np.zeros((draws, len(ends)))
    np.cumsum(gained, axis=1, out=recovered[:, 1:])
    return ends / n, recovered / gain.sum()


def _dealt(
    values: Array, counts: NDArray[np.int64], sizes: NDArray[np.int64], rng: np.random.Generator, draws: int
) -> Array:
    """(draws, steps) sums of values, of which there are `counts`, dealt at random to steps of given sizes."""
    left, found = np.tile(counts, (draws, 1)), np.empty((draws, len(sizes)))
    for step, size in enumerate(sizes):
        room, taken = np.full(draws, size), np.empty_like(left)
        for which in range(len(values) - 1):
            others = left[:, which + 1 :].sum(axis=1)
            taken[:, which] = rng.hypergeometric(left[:, which], others, room)
            room = room - taken[:, which]
        taken[:, -1] = room
        left = left - taken
        found[:, step] = taken @ values
    return found


def bootstrap_pairs(
    win_rates: Mapping[str, ArrayLike],
    strong: ArrayLike,
    weak: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    targets: Sequence[float] = (0.5, 0.8),
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """APGR, CPT and cost saving of several routers on their queries, and on resamples of them.

    All routers see the same resampled queries (paired), and each resample has its own weak and strong mean.
    Queries of equal win rate move together. Each router is sorted once; a resample is its counts summed
    in that order.

    Parameters
    ----------
    win_rates : router -> (n,) predicted probability that the strong model wins.
    strong, weak : (n,) score of each model on each query.
    rng : source of randomness.
    draws : resamples.
    targets : wanted PGRs of CPT, fractions above 0.

    Returns
    -------
    estimates : a row per router, with the columns apgr, then cpt50, cpt80, … and saving50, saving80, …
        (`cost_saving`) by the targets. NaN where a target is never reached or there is no gap.
    samples : router -> (draws, metrics) frame with the same columns.

    Raises
    ------
    ValueError
        If there is no router, lengths differ, a value is not finite or a target is not above 0.
    """
    if not win_rates:
        raise ValueError("there is no router; give win rates of at least one")
    if not all(target > 0 for target in targets):
        raise ValueError(f"targets are {list(targets)}; give fractions above 0")
    sweeps = {}
    for name, win_rate in win_rates.items():
        rate, high, low = columns(**{name: win_rate, "strong score": strong, "weak score": weak})
        order, ends = sweep_order(rate)
        sweeps[name] = order, ends, (high - low)[order]
    n, least = len(order), rounding(strong, weak)
    estimates = {name: _metrics(np.ones((1, n)), *sweep, least, targets)[0] for name, sweep in sweeps.items()}
    parts: dict[str, list[Array]] = {name: [] for name in sweeps}
    for size in _batches(draws, n):
        counts = bootstrap_weights(n, size, rng).astype(float)
        for name, sweep in sweeps.items():
            parts[name].append(_metrics(counts, *sweep, least, targets))
    names = ["apgr", *map(cpt_name, targets), *(f"saving{100 * target:g}" for target in targets)]
    return pd.DataFrame.from_dict(estimates, orient="index", columns=names), {
        name: pd.DataFrame(np.concatenate(part), columns=names) for name, part in parts.items()
    }


def _metrics(
    counts: Array,
    order: NDArray[np.intp],
    ends: NDArray[np.intp],
    gain: Array,
    least: float,
    targets: Sequence[float],
) -> Array:
    """(b, 1 + 2 t) metrics of b resamples, given as (b, n) counts, of a router.

    It moves queries in `order`, (n,); `ends` are those of `sweep_order`, `gain` is (n,) in that order. A mean
    gain up to `least` is no gap.
    """
    ordered = counts[:, order]
    shares = summed(ordered, ends) / len(order)
    gained = summed(ordered * gain, ends)
    gap = gained[:, -1:]
    recovered = gained / np.where(np.abs(gap) <= least * len(order), np.nan, gap)
    cpts = [first_crossings(shares, recovered, target) for target in targets]
    savings = [target / share for target, share in zip(targets, cpts, strict=True)]
    return np.column_stack([trapezoid(recovered, shares, axis=1), *cpts, *savings])


def _batches(draws: int, n: int) -> list[int]:
    """Sizes of the batches in which draws of n queries each fit into memory."""
    rows = max(1, _CELLS // n)
    return [min(rows, draws - start) for start in range(0, draws, rows)]
