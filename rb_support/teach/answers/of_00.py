"""Exercises of notebook 00."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rb_support import frontier
from rb_support.teach.exercises import Design, Exercise, Slip, Task, Value

TWO = np.array([[2, 0.5], [6, 0.9]])
"""The two models of the exercises: cost in cents, quality."""


def _clouds(rng: np.random.Generator) -> list[tuple[np.ndarray]]:
    """One point, falling quality, points on a line (in numbers that floating point has), equal costs; then clouds."""
    edges = [
        [[1.0, 0.5]],
        [[1.0, 0.5], [2.0, 0.25]],
        [[3.0, 0.75], [1.0, 0.25], [2.0, 0.5]],
        [[1.0, 0.25], [1.0, 0.5], [2.0, 0.75]],
    ]
    return [(np.array(points),) for points in edges] + [(rng.random((n, 2)),) for n in (3, 8, 30)]


def _pareto(points: np.ndarray) -> np.ndarray:
    """Points that no other one dominates: a staircase, not a hull."""
    ordered = points[np.lexsort((-points[:, 1], points[:, 0]))]
    return ordered[ordered[:, 1] > np.maximum.accumulate(np.r_[-1, ordered[:-1, 1]])]


def _upper_chain(points: np.ndarray) -> np.ndarray:
    """The upper hull to its right end, the falling part included."""
    kept: list[np.ndarray] = []
    for point in points[np.lexsort((points[:, 1], points[:, 0]))]:
        while len(kept) > 1 and np.linalg.det([kept[-1] - kept[-2], point - kept[-2]]) >= 0:
            kept.pop()
        kept.append(point)
    return np.array(kept)


def _worse_at_budget(curve: ArrayLike) -> str | None:
    """What a router lacks that is to have a higher AIQ than the zero router of `TWO`, and to be worse at 3 cents."""
    points = frontier.as_points(curve)
    if not ((points[:, 1] >= 0) & (points[:, 1] <= 1)).all():
        return "Quality goes from 0 to 1, and one of these points is outside."
    area, zero = frontier.aiq(points, 2, 10), frontier.aiq(TWO, 2, 10)
    here, there = float(frontier.Curve(points).at(3, 2)), float(frontier.Curve(TWO).at(3))
    if not frontier.exceeds(area, zero):
        return f"Its AIQ from 2 to 10 cents is {area:.3f}, and the zero router's {zero:.3f}: it has to be higher."
    if not frontier.exceeds(there, here):
        return f"At 3 cents it scores {here:.3f}, and the zero router {there:.3f}: it has to be worse there."
    return None


EXERCISES: dict[str, Exercise] = {
    "00.1": Value(
        answer=lambda: float(frontier.Curve(TWO).at(3)),
        hints=(
            "The zero router throws a coin between the two.",
            "Which t makes 2 t + 6 (1 - t) = 3?",
            "Three calls of four go to the cheap model: mix the qualities by the same shares.",
        ),
        slips=(
            Slip(0.7, "That is the fair coin, which costs 4 cents."),
            Slip(0.8, "The shares are right, but each belongs to the other model."),
            Slip(0.5, "That is the cheap model alone: it leaves a cent unspent."),
            Slip(0.9, "That is the dear model alone: it costs twice the budget."),
            Slip(0.75, "That is a share of calls, not yet a quality."),
        ),
        why="Three calls of four go to the cheap model: 0.75 x 0.5 + 0.25 x 0.9.",
    ),
    "00.2": Value(
        answer=lambda: frontier.aiq(TWO, 2, 10),
        hints=(
            "AIQ is an area over a width. Which two shapes is the area made of?",
            "A trapezoid from 2 to 6 cents, and a rectangle from 6 to 10: beyond its best point a system goes on flat.",
            "The areas are 4 x 0.7 and 4 x 0.9; the domain is 8 cents wide.",
        ),
        slips=(
            Slip(0.7, "That is the mean height from 2 to 6 cents; the domain goes on to 10."),
            Slip(0.9, "That is the height at the end, not the mean height."),
            Slip(6.4, "That is the area; AIQ divides it by the width of the domain."),
            Slip(0.64, "The area is right, but the domain starts at 2 cents: it is not 10 wide."),
            Slip(0.35, "Beyond 6 cents the system does not fall to nothing: it goes on flat."),
        ),
        why="A trapezoid of 2.8 and a rectangle of 3.6, over a width of 8.",
    ),
    "00.3": Task(
        reference=frontier.hull,
        cases=_clouds,
        named=("points",),
        source="frontier.hull",
        hints=(
            "Sort by cost, and go from left to right with a list of the points kept so far.",
            "Before a point is kept, drop the last one for as long as it lies on or below the line from the one before it.",
            "Start at the cheapest point (of several, the best), and end at the best one: after it the hull would fall.",
        ),
        slips=(
            Slip(
                _pareto,
                "These are the points that no other one beats, a staircase: a mixture of two others may still beat one.",
            ),
            Slip(_upper_chain, "The chain is right up to its top, but it goes on after it, and falls."),
            Slip(lambda points: points, "That keeps every point."),
            Slip(
                lambda points: points[np.argsort(points[:, 0])], "That sorts the points and keeps them all."
            ),
            Slip(lambda points: points[[np.argmax(points[:, 1])]], "That is the best model alone."),
        ),
        why="Andrew's monotone chain: sorting costs n log n, and every point is kept and dropped once at most.",
    ),
    "00.4": Design(
        flaw=_worse_at_budget,
        example="[[2, 0.45], [5.5, 0.95]] is worse at 3 cents and higher on average",
        hints=(
            "AIQ is a mean over all costs: give way at one and take more at others.",
            "From 6 cents on the zero router is flat at 0.9: be above it there.",
            "Start below (2, 0.5), and reach 0.95 before 6 cents.",
        ),
        slips=(
            Slip(TWO),
            Slip([[2, 0.6], [6, 0.95]]),
            Slip([[2, 0.1], [6, 0.9]]),
            Slip([[3, 0.6]]),
            Slip([[2, 0.1], [5, 2.0]]),
            Slip("a better router"),
        ),
        why="An average over budgets says nothing about yours.",
    ),
}
