"""Exercises of notebook 07b."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support import pairs
from rb_support.teach.exercises import Design, Exercise, Slip, Task, Value

Array = NDArray[np.float64]
STRONG, WEAK = 25.0, 1.0
"""USD per million tokens."""

GAINS = np.repeat([1.0, -1.0, 0.0], [60, 20, 111])
SHARES = np.linspace(0, 1, 5)


def _chance() -> float:
    return float(pairs.random_apgr_spread(GAINS, np.zeros(len(GAINS))) or np.nan)


def _cpt(shares: Array, recovered: Array, target: float) -> float | None:
    return pairs.cpt(shares, recovered, 0.0, 1.0, target)


def _curves(rng: np.random.Generator) -> list[tuple[Array, Array, float]]:
    edges = [
        (np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.4, 1.0]), 0.8),
        (np.array([0.0, 0.2, 0.6, 1.0]), np.array([0.0, 0.9, 0.3, 1.0]), 0.6),  # falls again
        (np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.3, 0.4]), 0.5),  # never
        (np.array([0.1, 0.5, 1.0]), np.array([0.7, 0.8, 1.0]), 0.5),  # at its first point
        (np.array([0.0, 0.3, 0.6, 1.0]), np.array([0.0, 0.5, 0.5, 1.0]), 0.5),  # a plateau
    ]
    found = []
    for n in (4, 10):
        shares = np.r_[0.0, np.sort(rng.random(n)), 1.0]
        found.append((shares, np.r_[0.0, rng.random(n), 1.0], float(rng.uniform(0.3, 0.9))))
    return edges + found


def _first_point(shares: Array, recovered: Array, target: float) -> float | None:
    reached = np.flatnonzero(recovered >= target)
    return float(shares[reached[0]]) if len(reached) else None


def _point_before(shares: Array, recovered: Array, target: float) -> float | None:
    reached = np.flatnonzero(recovered >= target)
    return float(shares[max(reached[0] - 1, 0)]) if len(reached) else None


def _turned_round(shares: Array, recovered: Array, target: float) -> float:
    return float(np.interp(target, recovered, shares))


def _last_crossing(shares: Array, recovered: Array, target: float) -> float | None:
    backwards = _cpt(1 - shares[::-1], 1 - recovered[::-1], 1 - target)
    return None if backwards is None or recovered.max() < target else 1 - backwards


def _never_is_all(shares: Array, recovered: Array, target: float) -> float:
    found = _cpt(shares, recovered, target)
    return 1.0 if found is None else found


def _height(shares: Array, recovered: Array, target: float) -> float:
    return float(np.interp(target, shares, recovered))


def _cheaper(routers: ArrayLike) -> str | None:
    """What two routers lack of which the first is to have the higher APGR, and the second to save more."""
    curves = np.asarray(routers, dtype=float)
    if curves.shape != (2, len(SHARES)):
        return "Give two lists of five numbers, [[…], […]]."
    if not (np.isclose(curves[:, 0], 0).all() and np.isclose(curves[:, -1], 1).all()):
        return "Each router begins with 0 and ends with 1."
    found: list[tuple[float, float]] = [
        (float(pairs.apgr(SHARES, curve, 0, 1) or 0.0), float(_cpt(SHARES, curve, 0.8) or np.nan))
        for curve in curves
    ]
    (area, calls), (other_area, other_calls) = found
    if area <= other_area + 1e-9:
        return f"APGR is {area:.3f} and {other_area:.3f}: the first has to be higher."
    if calls <= other_calls + 1e-9:
        return f"CPT(80%) is {calls:.1%} and {other_calls:.1%}: the second has to need fewer calls."
    return None


EXERCISES: dict[str, Exercise] = {
    "07b.1": Value(
        answer=lambda: pairs.cost_saving_full(0.2, 0.5, STRONG, WEAK),
        hints=(
            "How many calls does a random router need to recover half of the gap?",
            "It needs half of them. What does a million tokens cost in the mean, for each of the two routers?",
            "0.5 x 25 + 0.5 x 1 is the random router's price; yours is 0.2 x 25 + 0.8 x 1.",
        ),
        slips=(
            Slip(2.5, "That is the paper's ratio, of calls; count the weak model's tokens too."),
            Slip(5.8 / 13, "That is the other way round: the router's bill over the random one's."),
            Slip(
                25 / 5.8, "That is what is saved over the strong model alone; the rival is a random router."
            ),
            Slip(13.0, "That is the random router's price of a million tokens; set it beside the router's."),
            Slip(5.8, "That is the router's price of a million tokens; set the random router's beside it."),
            Slip(13 - 5.8, "That is the difference in dollars; asked for is how many times."),
        ),
        why="13 / 5.8 = 2.24: a little nearer to 1 than the ratio of calls, 2.5.",
    ),
    "07b.2": Value(
        answer=_chance,
        rtol=5e-3,
        hints=(
            "The formula stands in section 5: it needs n, the mean gain and the gains' standard deviation.",
            "sqrt((191 + 1) / 12) is 4, and n times the mean gain is 60 - 20.",
            "The mean of the squared gains is 80 / 191, that of the gains 40 / 191: sd is 0.612. Then 4 x 0.612 / 40.",
        ),
        slips=(
            Slip(4 * np.sqrt(80 / 191) / 40, "Take the square of the mean off before the root."),
            Slip(1.96 * 0.061236, "That is half of the 95% band; asked for is the standard deviation."),
            Slip(0.61236, "That is the standard deviation of the gains."),
            Slip(4 * 0.61236 / 80, "A loss counts against the gap: 60 - 20, not 60 + 20."),
            Slip(np.sqrt(192) / 12 * 0.61236 / 40, "The root goes over the 12 as well."),
            Slip(0.61236 / np.sqrt(191), "That is the error of the mean gain. APGR hangs on the order."),
        ),
        why="0.061: with 191 queries and a gap of a fifth, luck carries one router of twenty above 0.62 or below 0.38.",
    ),
    "07b.3": Task(
        reference=_cpt,
        cases=_curves,
        named=("shares", "recovered", "target"),
        source="pairs.cpt",
        hints=(
            "Find the first point at which the curve is at the target or above it.",
            "The crossing lies on the line from the point before it to that point; at the very first point there is no line.",
            "left + (target - low) / (high - low) * (right - left); None if no point is at the target.",
        ),
        slips=(
            Slip(_first_point, "The curve goes in straight lines: it crosses the target before that point."),
            Slip(_point_before, "At that point the target is not reached yet."),
            Slip(_turned_round, "np.interp asks for rising values: a curve may fall, or never get there."),
            Slip(_last_crossing, "A curve that falls again has several crossings: the first counts."),
            Slip(_never_is_all, "A curve that never gets there has no CPT, not even at all calls."),
            Slip(_height, "That is the height at a share; asked for is the share at a height."),
        ),
        why="The first crossing counts: from there on you may stop paying.",
    ),
    "07b.4": Design(
        flaw=_cheaper,
        example="[[0, 0.7, 0.75, 0.79, 1], [0, 0.2, 0.8, 0.85, 1]]: APGR 0.685 and 0.588, CPT(80%) 76% and 50%",
        hints=(
            "APGR looks at the whole curve, CPT(80%) at one height of it.",
            "Let the first rise at once, and then stay just below 0.8 for long.",
            "Let the second be poor at first, and reach 0.8 at half of the calls.",
        ),
        slips=(
            Slip([[0, 0.2, 0.8, 0.85, 1], [0, 0.7, 0.75, 0.79, 1]]),
            Slip([[0, 0.7, 0.85, 0.9, 1], [0, 0.3, 0.6, 0.8, 1]]),
            Slip([[0, 0.5, 0.6, 0.7, 1], [0, 0.5, 0.6, 0.7, 1]]),
            Slip([[0.1, 0.7, 0.75, 0.79, 1], [0, 0.2, 0.8, 0.85, 1]]),
            Slip([[0, 0.7, 1], [0, 0.5, 1]]),
        ),
        why="An average over all budgets is not the bill at the quality that you need.",
    ),
}
