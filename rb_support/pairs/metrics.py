"""From win rates to thresholds and a call-performance curve, from a curve to PGR, APGR and CPT (sec. 3.2)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid

Array = NDArray[np.float64]
Rule = Literal["trapezoid", "eq8"]

EQ8_SHARES: Array = np.arange(1, 11) / 10
"""Shares of strong calls that RouteLLM's eq. 8 averages over: 10 %, 20 %, … 100 %."""

_ROUNDING = 1e-12  # of PGR
_NO_GAP = 1e-9  # of the largest score
_SLACK = 1e-9  # calls; a share such as 0.1 + 0.2 means three of ten

TIE = 1e-12
"""Win rates as near as this are equal: absolutely up to 1, relative to the larger beyond.

Equal prompts scored in different rows of one matrix product may differ in the last bits, and no threshold
that means anything parts them.
"""


def columns(**named: ArrayLike) -> tuple[Array, ...]:
    """Values of n queries, or of n points, as float vectors.

    Raises
    ------
    ValueError
        If the lengths differ, there is no query, or a value is not finite; the vector is named.
    """
    arrays = tuple(np.asarray(values, dtype=float) for values in named.values())
    shapes = [array.shape for array in arrays]
    if len(shapes[0]) != 1 or shapes[0] == (0,) or len(set(shapes)) > 1:
        given = ", ".join(f"{name} {shape}" for name, shape in zip(named, shapes, strict=True))
        raise ValueError(f"need vectors of equal lengths > 0, got {given}")
    for name, values in zip(named, arrays, strict=True):
        odd = np.flatnonzero(~np.isfinite(values))
        if len(odd):
            raise ValueError(f"{name}: value {int(odd[0])} is not finite")
    return arrays


def threshold_sweep(win_rate: ArrayLike, strong: ArrayLike, weak: ArrayLike) -> tuple[Array, Array]:
    """Curve over every threshold at once (RouteLLM eq. 2, 4, 5): exact, one sort.

    Parameters
    ----------
    win_rate : (n,) predicted probability that the strong model wins; the highest move first.
    strong, weak : (n,) score of each model on each query.

    Returns
    -------
    shares, scores : (k + 1,) each for k distinct win rates: share of strong calls from 0 to 1, and the
        mean score there. Queries of equal win rate (up to `TIE`) move together, as no threshold parts them.

    Raises
    ------
    ValueError
        If the lengths differ, there is no query, or a value is not finite.
    """
    rate, high, low = columns(win_rate=win_rate, strong=strong, weak=weak)
    order, ends = sweep_order(rate)
    [gained] = summed((high - low)[order][None], ends)
    return ends / len(rate), low.mean() + gained / len(rate)


def sweep_order(rate: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Order in which queries move to the strong model, and where a threshold can stop.

    Returns
    -------
    order : (n,) queries by falling win rate.
    ends : (k + 1,) number of queries moved before and after each of the k win rates that differ by more than
        `TIE`, from 0 to n.
    """
    order = np.argsort(-rate, kind="stable")
    falling = rate[order]
    apart = falling[:-1] - falling[1:] > TIE * np.maximum(np.abs(falling[:-1]), 1.0)
    return order, np.concatenate([[0], np.flatnonzero(apart) + 1, [len(rate)]])


def summed(ordered: Array, ends: NDArray[np.intp]) -> Array:
    """(b, k + 1) sums of (b, n) numbers in `sweep_order`, from the first to each place where it can stop."""
    sums = np.zeros((len(ordered), len(ends)))
    sums[:, 1:] = np.cumsum(ordered, axis=1)[:, ends[1:] - 1]
    return sums


def threshold_for(win_rate: ArrayLike, share: float) -> float:
    """Threshold of RouteLLM's eq. 2 that sends at least a share of a sample's queries to the strong model.

    Queries of equal win rate move together, so that not every share can be met: the share is then the
    smallest possible one that is not below the wanted one.

    Parameters
    ----------
    win_rate : (n,) predicted probability that the strong model wins, on a sample of queries.
    share : wanted share of strong calls in [0, 1].

    Returns
    -------
    Lowest win rate that still goes to the strong model (eq. 2: win rate >= threshold); infinity if no
    query does.

    Raises
    ------
    ValueError
        If a win rate is not finite, there is none, or the share is outside [0, 1].
    """
    (rate,) = columns(win_rate=win_rate)
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; give a fraction in [0, 1]")
    order, ends = sweep_order(rate)
    thresholds = np.concatenate([[np.inf], rate[order][ends[1:] - 1]])
    return float(thresholds[np.argmax(ends >= share * len(rate) - _SLACK)])


def share_at(win_rate: ArrayLike, threshold: float) -> float:
    """Share of strong calls at a threshold (RouteLLM eq. 2 and 4).

    Parameters
    ----------
    win_rate : (n,) predicted probability that the strong model wins.
    threshold : a query goes to the strong model from this win rate on.

    Raises
    ------
    ValueError
        If a win rate is not finite, or there is none.
    """
    (rate,) = columns(win_rate=win_rate)
    return float((rate >= threshold).mean())


def pgr(score: ArrayLike, weak: float, strong: float) -> Array | None:
    """Performance gap recovered (RouteLLM eq. 6): 0 at the weak model's score, 1 at the strong one's.

    None where the two models score the same, up to `rounding`: there is no gap.
    """
    if abs(strong - weak) <= rounding(score, weak, strong):
        return None
    return np.asarray((np.asarray(score, dtype=float) - weak) / (strong - weak))


def apgr(
    shares: ArrayLike, scores: ArrayLike, weak: float, strong: float, rule: Rule = "trapezoid"
) -> float | None:
    """Average performance gap recovered (RouteLLM eq. 7): area under PGR over the share of strong calls.

    Parameters
    ----------
    shares, scores : (k,) points of a curve in any order, such as those of `threshold_sweep`.
    weak, strong : mean score of either model alone.
    rule : "trapezoid" is the area divided by the span of shares; "eq8" is the paper's sum, the mean of PGR
        at the shares 10 %, 20 %, … 100 %, read off the curve's lines and flat beyond its ends.

    Returns
    -------
    APGR, None without a gap or if all points have one share: nothing to average over. The random router gets
    0.5 by the trapezoids, but 0.55 by eq. 8, which counts the right end of every tenth.

    Raises
    ------
    ValueError
        If the rule is unknown, the lengths differ, there is no point, or a number is not finite.
    """
    if rule not in get_args(Rule):
        raise ValueError(f"rule is {rule!r}; take one of {', '.join(get_args(Rule))}")
    x, recovered = _recovered(shares, scores, weak, strong)
    if recovered is None or x[0] == x[-1]:
        return None
    if rule == "eq8":
        return float(np.interp(EQ8_SHARES, x, recovered).mean())
    return float(trapezoid(recovered, x) / (x[-1] - x[0]))


def cpt(shares: ArrayLike, scores: ArrayLike, weak: float, strong: float, target: float) -> float | None:
    """Call-performance threshold (RouteLLM sec. 3.2): smallest share that recovers `target` of the gap.

    Parameters
    ----------
    shares, scores, weak, strong : as in `apgr`.
    target : wanted PGR as a fraction, such as 0.5 for CPT(50%).

    Returns
    -------
    First crossing of the piecewise linear curve; None if it is never reached or there is no gap. A single
    point that reaches the target is crossed at its own share.

    Raises
    ------
    ValueError
        If the lengths differ, there is no point, or a number is not finite.
    """
    x, recovered = _recovered(shares, scores, weak, strong)
    if recovered is None:
        return None
    found = float(first_crossings(x[None], recovered[None], target)[0])
    return None if np.isnan(found) else found


def _recovered(
    shares: ArrayLike, scores: ArrayLike, weak: float, strong: float
) -> tuple[Array, Array | None]:
    """A curve by rising share, and its PGR (RouteLLM eq. 6); points of one share keep their order.

    Parameters
    ----------
    shares, scores : (k,) points in any order.
    weak, strong : mean score of either model alone.

    Returns
    -------
    (k,) shares and (k,) PGR, the latter None without a gap.

    Raises
    ------
    ValueError
        If the lengths differ, there is no point, or a number is not finite; it is named.
    """
    for name, value in (("weak", weak), ("strong", strong)):
        if not np.isfinite(value):
            raise ValueError(f"{name} is {value}; give the model's mean score")
    x, y = columns(shares=shares, scores=scores)
    order = np.argsort(x, kind="stable")
    return x[order], pgr(y[order], weak, strong)


def first_crossings(shares: Array, recovered: Array, target: float) -> Array:
    """Where each of b piecewise linear curves first reaches a target.

    Parameters
    ----------
    shares, recovered : (b, k) rising shares and PGR of each curve; one row of shares serves all.
    target : wanted PGR.

    Returns
    -------
    (b,) shares, NaN for a curve that never gets there.
    """
    reached = recovered >= target - _ROUNDING  # a plateau at the target counts, however it was summed
    right = reached.argmax(axis=1)
    left = np.maximum(right - 1, 0)
    rows, wide = np.arange(len(recovered)), np.broadcast_to(shares, recovered.shape)
    rise = recovered[rows, right] - recovered[rows, left]
    part = np.minimum((target - recovered[rows, left]) / np.where(right > left, rise, 1.0), 1.0)
    found = wide[rows, left] + np.where(right > left, part, 0.0) * (wide[rows, right] - wide[rows, left])
    return np.where(reached.any(axis=1), found, np.nan)


def rounding(*scores: ArrayLike) -> float:
    """How far mean scores of two models may differ and still leave no gap: a billionth of the scores' size.

    A smaller difference is what summing in floating point makes of nothing; whatever divides by a gap asks
    here first.

    Parameters
    ----------
    scores : of either model, query by query or their means, in units of the score.
    """
    return _NO_GAP * max(float(np.abs(part).max()) for part in scores)


def has_gap(strong: Array, weak: Array) -> bool:
    """Whether two models' scores, (n,) each, differ on average by more than `rounding`."""
    return bool(abs((strong - weak).mean()) > rounding(strong, weak))


def cpt_name(target: float) -> str:
    """Name of CPT at a target in tables.

    >>> cpt_name(0.5)
    'cpt50'
    """
    return f"cpt{100 * target:g}"
