"""The random router of a pair of models (RouteLLM sec. 5), with its spread over random orders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from rb_support.pairs.metrics import closed, columns, cpt_name, first_crossings

Array = NDArray[np.float64]

_CELLS = 500_000  # numbers held at a time while permuting


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
    if closed(gain.sum(), gain):
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
    rows = {"apgr": (0.5, 0.5 - width, 0.5 + width)}
    walks = _walks(np.subtract(strong, weak, dtype=float), draws, rng)
    drawn = np.concatenate(
        [np.column_stack([first_crossings(*walk, target) for target in targets]) for walk in walks]
    )
    ends = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    for target, mean, low, high in zip(targets, drawn.mean(axis=0), *ends, strict=True):
        rows[cpt_name(target)] = (float(mean), float(low), float(high))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high"])


def _walks(gain: Array, draws: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """PGR of random orders query by query, (1, n + 1) shares and (b, n + 1) walks at a time."""
    n = len(gain)
    shares, rows = np.arange(n + 1)[None] / n, max(1, _CELLS // n)
    for start in range(0, draws, rows):
        walk = np.zeros((min(rows, draws - start), n + 1))
        np.cumsum(rng.permuted(np.tile(gain, (len(walk), 1)), axis=1), axis=1, out=walk[:, 1:])
        yield shares, walk / walk[:, -1:]
