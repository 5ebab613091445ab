"""What exercises of notebook 07a compute; `07a.toml` says for what, and all else about them."""

# ruff: noqa: D103

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid

from rb_support import pairs
from rb_support.teach.exercises import read

Array = NDArray[np.float64]
OWN = np.array([1, 1, 1, 0, 0, 0])
"""What the strong model gains on six queries, in the router's order."""

TEN = (0.1, 0.2, 0.2, 0.3, 0.5, 0.6, 0.6, 0.6, 0.8, 0.9)


def _of_gains(gains: ArrayLike) -> float:
    order = -np.arange(len(np.asarray(gains)), dtype=float)
    return float(area(order, gains, np.zeros(len(order))) or np.nan)


def area_of_four() -> float:
    return _of_gains([1, 1, 0, -1])


def share_for_forty_percent() -> float:
    return pairs.share_at(TEN, pairs.threshold_for(TEN, 0.4))


def area(rate: ArrayLike, strong: ArrayLike, weak: ArrayLike) -> float | None:
    low, high = (float(np.asarray(scores, dtype=float).mean()) for scores in (weak, strong))
    return pairs.apgr(*pairs.threshold_sweep(rate, strong, weak), low, high)


def cases(rng: np.random.Generator) -> Iterator[tuple[Array, Array, Array]]:
    tied = np.array([0.5, 0.5, 0.2, 0.5, 0.9])
    yield tied, np.array([1.0, 0, 1, 1, 1]), np.array([0.0, 0, 1, 0, 1])
    yield np.full(3, 0.5), np.array([1.0, 0, 0]), np.zeros(3)
    for n in (2, 5, 12, 40):
        strong, weak = rng.random(n), rng.random(n)
        yield rng.random(n), strong, weak - weak.mean() + strong.mean() - 0.2


def one_by_one(rate: Array, strong: Array, weak: Array) -> float:
    gains = np.cumsum((strong - weak)[np.argsort(-rate, kind="stable")])
    return float(trapezoid(np.r_[0.0, gains]) / gains[-1] / len(rate))


def lowest_first(rate: Array, strong: Array, weak: Array) -> float:
    return float(area(-rate, strong, weak) or np.nan)


def score(rate: Array, strong: Array, weak: Array) -> float:
    shares, scores = pairs.threshold_sweep(rate, strong, weak)
    return float(trapezoid(scores, shares))


def gained(rate: Array, strong: Array, weak: Array) -> float:
    return score(rate, strong, weak) - float(weak.mean())


def _recovered(rate: Array, strong: Array, weak: Array) -> tuple[Array, Array]:
    """Shares of calls, and PGR at each."""
    shares, scores = pairs.threshold_sweep(rate, strong, weak)
    return shares, (scores - weak.mean()) / (strong.mean() - weak.mean())


def mean_of_points(rate: Array, strong: Array, weak: Array) -> float:
    return float(_recovered(rate, strong, weak)[1].mean())


def right_ends(rate: Array, strong: Array, weak: Array) -> float:
    shares, recovered = _recovered(rate, strong, weak)
    return float(np.diff(shares) @ recovered[1:])


def fooled(gains: ArrayLike) -> str | None:
    """What a pair lacks that is to fool the router of `OWN`."""
    found = np.asarray(gains, dtype=float)
    if found.shape != OWN.shape or not np.isin(found, (-1, 0, 1)).all():
        return "Give six gains, each -1, 0 or 1."
    if found.sum() != OWN.sum():
        return f"The gains add up to {found.sum():g}: the gap has to be the first pair's, so to {OWN.sum()}."
    if (alike := int((found == OWN).sum())) < 4:
        return f"It agrees with the first pair on {alike} queries: four at least are asked for."
    apgr = _of_gains(found)
    return None if apgr < 0.5 - 1e-9 else f"APGR is {apgr:.3f}: it has to be below one half."


EXERCISES = read("07a")
