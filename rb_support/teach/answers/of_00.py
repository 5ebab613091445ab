"""What exercises of notebook 00 compute; `00.toml` says for what, and all else about them."""

# ruff: noqa: D103

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rb_support import frontier
from rb_support.teach.exercises import read

TWO = np.array([[2, 0.5], [6, 0.9]])
"""The two models of the exercises: cost in cents, quality."""


def quality_at_three_cents() -> float:
    return float(frontier.Curve(TWO).at(3))


def aiq_to_ten_cents() -> float:
    return frontier.aiq(TWO, 2, 10)


def clouds(rng: np.random.Generator) -> list[tuple[np.ndarray]]:
    """One point, falling quality, points on a line (in numbers that floating point has), equal costs; then clouds."""
    edges = [
        [[1.0, 0.5]],
        [[1.0, 0.5], [2.0, 0.25]],
        [[3.0, 0.75], [1.0, 0.25], [2.0, 0.5]],
        [[1.0, 0.25], [1.0, 0.5], [2.0, 0.75]],
    ]
    return [(np.array(points),) for points in edges] + [(rng.random((n, 2)),) for n in (3, 8, 30)]


def staircase(points: np.ndarray) -> np.ndarray:
    """Points that no other one dominates: a staircase, not a hull."""
    ordered = points[np.lexsort((-points[:, 1], points[:, 0]))]
    return ordered[ordered[:, 1] > np.maximum.accumulate(np.r_[-1, ordered[:-1, 1]])]


def upper_chain(points: np.ndarray) -> np.ndarray:
    """The upper hull to its right end, the falling part included."""
    kept: list[np.ndarray] = []
    for point in points[np.lexsort((points[:, 1], points[:, 0]))]:
        while len(kept) > 1 and np.linalg.det([kept[-1] - kept[-2], point - kept[-2]]) >= 0:
            kept.pop()
        kept.append(point)
    return np.array(kept)


def every_point(points: np.ndarray) -> np.ndarray:
    return points


def in_order_of_cost(points: np.ndarray) -> np.ndarray:
    return points[np.argsort(points[:, 0])]


def best_alone(points: np.ndarray) -> np.ndarray:
    return points[[np.argmax(points[:, 1])]]


def worse_at_budget(curve: ArrayLike) -> str | None:
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


EXERCISES = read("00")
