"""Routing between one strong and one weak model: RouteLLM's metrics (section 3.2).

A win rate per query and a threshold make a router; sliding the threshold draws its curve in the
call-performance plane: share of calls to the strong model against mean score. Every share is a
fraction in [0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid

Array = NDArray[np.float64]


def threshold_sweep(win_rate: ArrayLike, strong: ArrayLike, weak: ArrayLike) -> tuple[Array, Array]:
    """Curve over every threshold at once (RouteLLM eq. 2, 4, 5): exact, one sort.

    Parameters
    ----------
    win_rate : (n,) predicted probability that the strong model wins; the highest move first.
    strong, weak : (n,) score of each model on each query.

    Returns
    -------
    shares, scores : (k + 1,) each for k distinct win rates: share of strong calls from 0 to 1, and the
        mean score there. Queries of equal win rate move together, as no threshold parts them.

    Raises
    ------
    ValueError
        If the lengths differ, there is no query, or a value is not finite.
    """
    rate, high, low = (np.asarray(v, dtype=float) for v in (win_rate, strong, weak))
    if not (rate.ndim == 1 and rate.shape == high.shape == low.shape and len(rate) > 0):
        raise ValueError(f"need three equal lengths > 0, got {rate.shape}, {high.shape}, {low.shape}")
    for name, values in (("win_rate", rate), ("strong", high), ("weak", low)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: value {int(np.flatnonzero(~np.isfinite(values))[0])} is not finite")
    order = np.argsort(-rate, kind="stable")
    gain = np.concatenate([[0.0], np.cumsum((high - low)[order])])
    ends = np.concatenate([[0], np.flatnonzero(np.diff(rate[order])) + 1, [len(rate)]])
    return ends / len(rate), low.mean() + gain[ends] / len(rate)


def pgr(score: ArrayLike, weak: float, strong: float) -> Array | None:
    """Performance gap recovered (RouteLLM eq. 6): 0 at the weak model's score, 1 at the strong one's.

    None where the two models score the same: there is no gap.
    """
    if strong == weak:
        return None
    return np.asarray((np.asarray(score, dtype=float) - weak) / (strong - weak))


def apgr(shares: ArrayLike, scores: ArrayLike, weak: float, strong: float) -> float | None:
    """Average performance gap recovered (RouteLLM eq. 7): area under PGR over the share of strong calls.

    Parameters
    ----------
    shares, scores : (k,) curve with rising shares, as `threshold_sweep` gives it.
    weak, strong : mean score of either model alone.

    Returns
    -------
    Trapezoid area divided by the span of shares; None without a gap. The random router gets 0.5.
    """
    recovered = pgr(scores, weak, strong)
    x = np.asarray(shares, dtype=float)
    if recovered is None:
        return None
    return float(trapezoid(recovered, x) / (x[-1] - x[0]))


def cpt(shares: ArrayLike, scores: ArrayLike, weak: float, strong: float, target: float) -> float | None:
    """Call-performance threshold (RouteLLM sec. 3.2): smallest share that recovers `target` of the gap.

    Parameters
    ----------
    shares, scores, weak, strong : as in `apgr`.
    target : wanted PGR as a fraction, such as 0.5 for CPT(50%).

    Returns
    -------
    First crossing of the piecewise linear curve; None if it is never reached or there is no gap.
    """
    recovered = pgr(scores, weak, strong)
    if recovered is None:
        return None
    x = np.asarray(shares, dtype=float)
    reached = np.flatnonzero(recovered >= target)
    if len(reached) == 0:
        return None
    i = int(reached[0])
    if i == 0:
        return float(x[0])
    t = (target - recovered[i - 1]) / (recovered[i] - recovered[i - 1])
    return float(x[i - 1] + t * (x[i] - x[i - 1]))
