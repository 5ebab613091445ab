"""What exercises of notebook 08 compute; `08.toml` says for what, and all else about them."""

# ruff: noqa: D103

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rb_support.frontier import exceeds
from rb_support.studies.own_savings import SECONDS, usd_to_match
from rb_support.teach.exercises import read

Array = NDArray[np.float64]
Rows = Sequence[tuple[str, int, int]]

CHEAP_USD, DEAR_USD, MOST_ROWS = 1.0, 10.0, 12
"""Prices of the two models of exercise 4, per call, and how many prompts its log may have."""


def machine_price(*, saving: float, queries: int) -> float:
    """USD an hour at which a month of embedding uses a saving up; NaN where nothing is saved."""
    return saving / (queries * SECONDS / 3600) if saving > 0 else float("nan")


def usd_a_second(*, saving: float, queries: int) -> float:
    return saving / (queries * SECONDS)


def usd_a_prompt(*, saving: float, queries: int) -> float:
    return saving / queries


def usd_for_1000_prompts(*, saving: float, queries: int) -> float:
    return 1000 * saving / queries


def busy_hours(*, saving: float, queries: int) -> float:
    return queries * SECONDS / 3600


def all_hours(*, saving: float, queries: int) -> float:
    return saving / 720


def whole_saving(*, saving: float, queries: int) -> float:
    return saving


def cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    three = np.array([[1.0, 0.5], [4.0, 0.6], [10.0, 0.9]])
    edges = [(three, 0.6), (three, 0.5), (three, 0.3), (three, 0.95), (np.array([[2.0, 0.7]]), 0.6)]
    return [*edges, *((rng.random((n, 2)) + 0.05, float(rng.uniform(0.3, 0.9))) for n in (3, 5, 8))]


def cheapest_single(points: Array, goal: float) -> float:
    enough = points[points[:, 1] >= goal]
    return float(enough[:, 0].min() if len(enough) else points[points[:, 1].argmax(), 0])


def between_neighbours(points: Array, goal: float) -> float:
    """Interpolates between all models by quality, those under the hull too."""
    rising = points[np.argsort(points[:, 1], kind="stable")]
    return float(np.interp(goal, rising[:, 1], rising[:, 0]))


def ends_only(points: Array, goal: float) -> float:
    ends = points[[points[:, 0].argmin(), points[:, 1].argmax()]]
    return float(np.interp(goal, ends[:, 1], ends[:, 0])) if ends[0, 1] < ends[1, 1] else float(ends[0, 0])


def best(points: Array, goal: float) -> float:
    return float(points[points[:, 1].argmax(), 0])


def proportional(points: Array, goal: float) -> float:
    return best(points, goal) * goal / float(points[:, 1].max())


def _means(rows: Rows) -> tuple[Array, Array, Array]:
    """Two models' scores, (n, 2), and what is predicted of them at face value and out of fold.

    A prompt's kind is all that is read: predicted is the mean over the rows of its kind, at face value itself
    among them; out of fold without it, and of a kind that was never seen, the mean over all others.
    """
    if not 2 <= len(rows) <= MOST_ROWS:
        raise ValueError(f"a log has 2 to {MOST_ROWS} prompts, not {len(rows)}")
    kinds = np.array([str(kind) for kind, _, _ in rows])
    scores = np.array([[cheap, dear] for _, cheap, dear in rows], dtype=float)
    if not np.isin(scores, (0, 1)).all():
        raise ValueError("an answer is 1, right, or 0, wrong")
    alike, others = kinds[:, None] == kinds, ~np.eye(len(rows), dtype=bool)
    seen = np.where((alike & others).any(axis=1)[:, None], alike & others, others)
    face, fold = (
        weights @ scores / weights.sum(axis=1, keepdims=True) for weights in (alike.astype(float), seen)
    )
    return scores, face, fold


def _saving(scores: Array, predicted: Array) -> float:
    """USD a prompt that are saved over a mixture as good, by the better model and of equals the cheaper one."""
    dear = exceeds(predicted[:, 1], predicted[:, 0])
    prices = np.array([CHEAP_USD, DEAR_USD])
    quality, usd = np.where(dear, scores[:, 1], scores[:, 0]).mean(), np.where(dear, *prices[::-1]).mean()
    return usd_to_match(np.column_stack([prices, scores.mean(axis=0)]), float(quality)) - float(usd)


def saves_at_face_value_only(rows: Rows) -> str | None:
    """What a log lacks on which a router is to save at face value, and nothing out of fold."""
    scores, face, fold = _means(rows)
    seen, unseen = _saving(scores, face), _saving(scores, fold)
    if not exceeds(seen, 0, DEAR_USD):
        return f"At face value it saves {seen:.2f} USD a prompt over a mixture as good: it has to save something."
    if exceeds(unseen, 0, DEAR_USD):
        return f"Out of fold it still saves {unseen:.2f} USD a prompt over a mixture as good: that is earned."
    return None


EXERCISES = read("08")
