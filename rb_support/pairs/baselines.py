"""What any pair of models allows: the random router with its spread, and the best router possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from rb_support.pairs.metrics import closed, columns, cpt_name, first_crossings, threshold_sweep

Array = NDArray[np.float64]

_CELLS = 500_000  # numbers held at a time while permuting


def random_curve(strong: ArrayLike, weak: ArrayLike) -> tuple[Array, Array]:
    """Expected curve of the random router (RouteLLM sec. 5): the straight line between both models.

    Parameters
    ----------
    strong, weak : (n,) score of each model on each query.

    Returns
    -------
    shares, scores : (2,) each, the ends of the line.

    Raises
    ------
    ValueError
        If the lengths differ, there is no query, or a value is not finite.
    """
    high, low = columns(strong=strong, weak=weak)
    return np.array([0.0, 1.0]), np.array([low.mean(), high.mean()])


def random_spread(strong: ArrayLike, weak: ArrayLike, shares: ArrayLike) -> Array:
    """Standard deviation of the random router's mean score, in closed form.

    At a share c, round(c n) of the n queries go to the strong model, drawn without replacement; what they
    gain in sum has the variance k (n - k) / (n - 1) times the variance of the gains.

    Parameters
    ----------
    strong, weak : (n,) score of each model on each query.
    shares : shares of strong calls in [0, 1], of any shape.

    Returns
    -------
    Standard deviations, in units of the score, shaped as `shares`.

    Raises
    ------
    ValueError
        As `random_curve`, or if a share is outside [0, 1].
    """
    gain, x = _gain(strong, weak), np.asarray(shares, dtype=float)
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError("shares must be fractions in [0, 1]; divide percentages by 100")
    n = len(gain)
    calls = np.round(x * n)
    return gain.std() / n * np.sqrt(calls * (n - calls) / max(n - 1, 1))


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
        As `random_curve`.
    """
    gain = _gain(strong, weak)
    if closed(gain.sum(), gain):
        return None
    n = len(gain)
    return float(gain.std() * np.sqrt((n + 1) / 12) / (n * abs(gain.mean())))


def random_cpt(
    strong: ArrayLike, weak: ArrayLike, target: float, *, rng: np.random.Generator, draws: int = 1000
) -> Array | None:
    """CPT of random orders of the queries (no closed form: the first crossing of a random walk).

    Parameters
    ----------
    strong, weak : (n,) score of each model on each query.
    target : wanted PGR as a fraction.
    rng : source of randomness.
    draws : random orders.

    Returns
    -------
    (draws,) shares of strong calls, NaN where the target (above 1) is never reached; None without a gap.

    Raises
    ------
    ValueError
        As `random_curve`.
    """
    gain = _gain(strong, weak)
    return None if closed(gain.sum(), gain) else _cpts(gain, [target], rng, draws)[:, 0]


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
    rng, draws : as in `random_cpt`; all targets see the same random orders.
    targets : wanted PGRs.
    level : share of the random orders that the intervals cover.

    Returns
    -------
    Frame with the rows apgr, cpt50, cpt80 (by the targets) and the columns mean, low, high; APGR's are
    exact up to the normal approximation. None without a gap.

    Raises
    ------
    ValueError
        As `random_curve`.
    """
    spread = random_apgr_spread(strong, weak)
    if spread is None:
        return None
    width = float(norm.ppf((1 + level) / 2)) * spread
    rows = {"apgr": (0.5, 0.5 - width, 0.5 + width)}
    drawn = _cpts(_gain(strong, weak), targets, rng, draws)
    ends = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    for target, mean, low, high in zip(targets, drawn.mean(axis=0), *ends, strict=True):
        rows[cpt_name(target)] = (float(mean), float(low), float(high))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high"])


def optimal_curve(strong: ArrayLike, weak: ArrayLike) -> tuple[Array, Array]:
    """Best score that any router can reach with at most a share of strong calls.

    The queries that gain most move first, a query that loses never moves, so the curve ends flat.

    Parameters
    ----------
    strong, weak : (n,) score of each model on each query.

    Returns
    -------
    shares, scores : (k + 1,) each for k distinct gains; the lines between them are bounds too.

    Raises
    ------
    ValueError
        As `random_curve`.
    """
    shares, scores = threshold_sweep(_gain(strong, weak), strong, weak)
    return shares, np.maximum.accumulate(scores)


def _gain(strong: ArrayLike, weak: ArrayLike) -> Array:
    high, low = columns(strong=strong, weak=weak)
    return high - low


def _cpts(gain: Array, targets: Sequence[float], rng: np.random.Generator, draws: int) -> Array:
    """(draws, t) CPT of random orders at each target."""
    walks = _walks(gain, draws, rng)
    return np.concatenate(
        [np.column_stack([first_crossings(x, walk, target) for target in targets]) for x, walk in walks]
    )


def _walks(gain: Array, draws: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """PGR of random orders query by query, (1, n + 1) shares and (b, n + 1) walks at a time."""
    n = len(gain)
    shares, rows = np.arange(n + 1)[None] / n, max(1, _CELLS // n)
    for start in range(0, draws, rows):
        walk = np.zeros((min(rows, draws - start), n + 1))
        np.cumsum(rng.permuted(np.tile(gain, (len(walk), 1)), axis=1), axis=1, out=walk[:, 1:])
        yield shares, walk / walk[:, -1:]
