"""Exercises of notebook 07a."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid

from rb_support import pairs
from rb_support.teach.exercises import Design, Exercise, Slip, Task, Value

Array = NDArray[np.float64]
OWN = np.array([1, 1, 1, 0, 0, 0])
"""What the strong model gains on six queries, in the router's order."""

TEN = (0.1, 0.2, 0.2, 0.3, 0.5, 0.6, 0.6, 0.6, 0.8, 0.9)


def _area(rate: ArrayLike, strong: ArrayLike, weak: ArrayLike) -> float | None:
    curve = pairs.threshold_sweep(rate, strong, weak)
    return pairs.apgr(
        *curve, float(np.asarray(weak, dtype=float).mean()), float(np.asarray(strong, dtype=float).mean())
    )


def _of_gains(gains: ArrayLike) -> float:
    order = -np.arange(len(np.asarray(gains)), dtype=float)
    return float(_area(order, gains, np.zeros(len(order))) or np.nan)


def _cases(rng: np.random.Generator) -> list[tuple[Array, Array, Array]]:
    found = []
    for n in (2, 5, 12, 40):
        strong, weak = rng.random(n), rng.random(n)
        found.append((rng.random(n), strong, weak - weak.mean() + strong.mean() - 0.2))
    tied = np.array([0.5, 0.5, 0.2, 0.5, 0.9])
    edges = [
        (tied, np.array([1.0, 0, 1, 1, 1]), np.array([0.0, 0, 1, 0, 1])),
        (np.full(3, 0.5), np.array([1.0, 0, 0]), np.zeros(3)),
    ]
    return edges + found


def _recovered(rate: Array, strong: Array, weak: Array, order: NDArray[np.intp]) -> Array:
    """PGR after each query, moved one by one."""
    gained = np.r_[0.0, np.cumsum((strong - weak)[order])]
    return np.asarray(gained / gained[-1])


def _one_by_one(rate: Array, strong: Array, weak: Array) -> float:
    recovered = _recovered(rate, strong, weak, np.argsort(-rate, kind="stable"))
    return float(trapezoid(recovered) / len(rate))


def _lowest_first(rate: Array, strong: Array, weak: Array) -> float:
    return float(_area(-rate, strong, weak) or np.nan)


def _score(rate: Array, strong: Array, weak: Array) -> float:
    shares, scores = pairs.threshold_sweep(rate, strong, weak)
    return float(trapezoid(scores, shares))


def _gained(rate: Array, strong: Array, weak: Array) -> float:
    return _score(rate, strong, weak) - float(weak.mean())


def _mean_of_points(rate: Array, strong: Array, weak: Array) -> float:
    _, scores = pairs.threshold_sweep(rate, strong, weak)
    return float(np.mean((scores - weak.mean()) / (strong.mean() - weak.mean())))


def _right_ends(rate: Array, strong: Array, weak: Array) -> float:
    shares, scores = pairs.threshold_sweep(rate, strong, weak)
    recovered = (scores - weak.mean()) / (strong.mean() - weak.mean())
    return float(np.diff(shares) @ recovered[1:])


def _fooled(gains: ArrayLike) -> str | None:
    """What a pair lacks that is to fool the router of `OWN`."""
    found = np.asarray(gains, dtype=float)
    if found.shape != OWN.shape or not np.isin(found, (-1, 0, 1)).all():
        return "Give six gains, each -1, 0 or 1."
    if found.sum() != OWN.sum():
        return f"The gains add up to {found.sum():g}: the gap has to be the first pair's, so to {OWN.sum()}."
    if (alike := int((found == OWN).sum())) < 4:
        return f"It agrees with the first pair on {alike} queries: four at least are asked for."
    area = _of_gains(found)
    return None if area < 0.5 - 1e-9 else f"APGR is {area:.3f}: it has to be below one half."


EXERCISES: dict[str, Exercise] = {
    "07a.1": Value(
        answer=lambda: _of_gains([1, 1, 0, -1]),
        hints=(
            "The gap in sum is 1 + 1 + 0 - 1: PGR is what was gained so far over that.",
            "PGR may leave the range from 0 to 1: after a and b more than the gap has been won back.",
            "PGR is 0, 1, 2, 2 and 1 at the shares 0, 1/4, 1/2, 3/4 and 1; add four trapezoids of width 1/4.",
        ),
        slips=(
            Slip(
                1.0, "PGR is not cut off at 1: where the weak model is better, mixing beats the strong model."
            ),
            Slip(
                1.5,
                "That takes PGR at the right end of each quarter; a trapezoid takes the mean of both ends.",
            ),
            Slip(
                1.25,
                "That takes PGR at the left end of each quarter; a trapezoid takes the mean of both ends.",
            ),
            Slip(5.5, "The heights are right; the width of a step is a quarter."),
            Slip(-0.375, "That sends d to the strong model first."),
            Slip(0.5, "That is a random router. This one does better than the strong model alone."),
        ),
        why="(0.5 + 1.5 + 2 + 1.5) / 4 = 1.375. Above 1, as a mixture of both models beats the strong one here.",
    ),
    "07a.2": Value(
        answer=lambda: pairs.share_at(TEN, pairs.threshold_for(TEN, 0.4)),
        hints=(
            "Sort them: the highest four are wanted at least. What is the fourth?",
            "A query goes to the strong model if its win rate is at least the threshold, and so do its equals.",
            "The fourth highest is 0.6. How many win rates are 0.6 or more?",
        ),
        slips=(
            Slip(0.4, "No threshold parts three queries of one win rate."),
            Slip(0.6, "That is the threshold, not the share that goes there."),
            Slip(0.2, "That is less than what is wanted: these are the queries above the threshold alone."),
            Slip(0.3, "That is less than the 40% that are wanted."),
            Slip(0.7, "That is more than needed: the fourth highest win rate decides."),
            Slip(5, "That is their number; asked for is the share."),
        ),
        why="The threshold is 0.6, and five of ten win rates are at least that: ties make shares coarse.",
    ),
    "07a.3": Task(
        reference=_area,
        cases=_cases,
        named=("rate", "strong", "weak"),
        source="pairs.threshold_sweep and pairs.apgr",
        hints=(
            "Sort the queries by falling win rate and sum their gains; begin with no query at all.",
            "A threshold can stop only where the win rate changes: keep these places, and the last one.",
            "Divide the sums by their last one, the places by n, and give both to scipy's trapezoid, with a 0 in front.",
        ),
        slips=(
            Slip(_one_by_one, "Queries of equal win rate move together; here they move one by one."),
            Slip(_lowest_first, "The highest win rate goes to the strong model first."),
            Slip(
                _score,
                "That is the area under the score; APGR is the area under the recovered share of the gap.",
            ),
            Slip(_gained, "Divide by the gap: APGR compares pairs whose gaps differ."),
            Slip(
                _mean_of_points, "A mean of the points counts the first one whole, and unequal steps alike."
            ),
            Slip(_right_ends, "A trapezoid takes the mean of both ends of a step, not the right one."),
        ),
        why="One sort serves every pair that answered these queries; only the sum of the gains differs.",
    ),
    "07a.4": Design(
        flaw=_fooled,
        example="[0, 1, 1, 0, 0, 1] has the same gap, and APGR is 0.472",
        hints=(
            "You may change two queries: take a gain away where it counts most, and give it where it counts least.",
            "A gain counts by the trapezoids to its right: the first query's 5.5, the last one's 0.5.",
            "Move the first query's gain to the last query.",
        ),
        slips=(
            Slip(OWN),
            Slip([1, 1, 0, 0, 0, 1]),
            Slip([0, 0, 0, 1, 1, 1]),
            Slip([0, 1, 1, 0, 1, 0]),
            Slip([0, 1, 1, 0, 0, 0]),
            Slip([1, 1, 1]),
        ),
        why="Two queries of six turned a good router into one that is worse than a coin: look before you transfer.",
    ),
}
