"""Exercises of notebook 08."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rb_support.frontier import exceeds
from rb_support.studies.own_savings import SECONDS, usd_to_match
from rb_support.teach.exercises import Design, Exercise, Slip, Task, Value

Array = NDArray[np.float64]
Rows = Sequence[tuple[str, int, int]]

CHEAP_USD, DEAR_USD, MOST_ROWS = 1.0, 10.0, 12
"""Prices of the two models of exercise 4, per call, and how many prompts its log may have."""


def _machine_price(*, saving: float, queries: int) -> float:
    """USD an hour at which a month of embedding uses a saving up; NaN where nothing is saved."""
    return saving / (queries * SECONDS / 3600) if saving > 0 else float("nan")


def _cheapest_single(points: Array, goal: float) -> float:
    enough = points[points[:, 1] >= goal]
    return float(enough[:, 0].min() if len(enough) else points[points[:, 1].argmax(), 0])


def _between_neighbours(points: Array, goal: float) -> float:
    """Interpolates between all models by quality, those under the hull too."""
    rising = points[np.argsort(points[:, 1], kind="stable")]
    return float(np.interp(goal, rising[:, 1], rising[:, 0]))


def _ends_only(points: Array, goal: float) -> float:
    ends = points[[points[:, 0].argmin(), points[:, 1].argmax()]]
    return float(np.interp(goal, ends[:, 1], ends[:, 0])) if ends[0, 1] < ends[1, 1] else float(ends[0, 0])


def _best(points: Array, goal: float) -> float:
    return float(points[points[:, 1].argmax(), 0])


def _proportional(points: Array, goal: float) -> float:
    return _best(points, goal) * goal / float(points[:, 1].max())


def _cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    three = np.array([[1.0, 0.5], [4.0, 0.6], [10.0, 0.9]])
    edges = [(three, 0.6), (three, 0.5), (three, 0.3), (three, 0.95), (np.array([[2.0, 0.7]]), 0.6)]
    return [*edges, *((rng.random((n, 2)) + 0.05, float(rng.uniform(0.3, 0.9))) for n in (3, 5, 8))]


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


def _saves_at_face_value_only(rows: Rows) -> str | None:
    """What a log lacks on which a router is to save at face value, and nothing out of fold."""
    scores, face, fold = _means(rows)
    seen, unseen = _saving(scores, face), _saving(scores, fold)
    if not exceeds(seen, 0, DEAR_USD):
        return f"At face value it saves {seen:.2f} USD a prompt over a mixture as good: it has to save something."
    if exceeds(unseen, 0, DEAR_USD):
        return f"Out of fold it still saves {unseen:.2f} USD a prompt over a mixture as good: that is earned."
    return None


EXERCISES: dict[str, Exercise] = {
    "08.1": Value(
        answer=lambda: 200 * (0.3 * 4.0 + 0.7 * 0.5),
        hints=(
            "What do 1,000 prompts cost in the mean?",
            "The mean weighs each price by the share of prompts that pay it.",
            "0.3 x 4 + 0.7 x 0.50 USD per 1,000 prompts; a month has 200 thousands of them.",
        ),
        slips=(
            Slip(450.0, "That is for half of the prompts to each model."),
            Slip(590.0, "There the shares are exchanged."),
            Slip(800.0, "That is the bill if every prompt goes to the dear model."),
            Slip(310_000.0, "The prices are per 1,000 prompts."),
            Slip(240.0, "That is the dear model's part of the bill only."),
            Slip(490.0, "That is what is saved over the dear model, not the bill."),
        ),
        why="1,000 prompts cost 0.3 x 4 + 0.7 x 0.50 = 1.55 USD in the mean; 200 times that is 310 USD.",
    ),
    "08.2": Value(
        answer=_machine_price,
        hints=(
            "How many hours a month is the machine busy?",
            "Prompts a month times seconds a prompt, over 3,600.",
            "The saving over a mixture as good, divided by those hours.",
        ),
        slips=(
            Slip(
                lambda *, saving, queries: saving / (queries * SECONDS),
                "That is the price of a second; an hour has 3,600.",
            ),
            Slip(lambda *, saving, queries: saving / queries, "That is a price per prompt."),
            Slip(
                lambda *, saving, queries: 1000 * saving / queries,
                "That is a price per 1,000 prompts.",
            ),
            Slip(
                lambda *, saving, queries: queries * SECONDS / 3600,
                "That is how many hours the machine is busy, not what an hour may cost.",
            ),
            Slip(
                lambda *, saving, queries: saving / 720,
                "A machine for all hours of a month; this one is paid while it embeds.",
            ),
            Slip(lambda *, saving, queries: saving, "That is what may be spent in a month."),
        ),
        why="Embedding keeps a machine busy for few hours a month: what a router costs to run hardly ever decides.",
    ),
    "08.3": Task(
        reference=usd_to_match,
        cases=_cases,
        named=("points", "goal"),
        source="studies.own_savings.usd_to_match",
        hints=(
            "A blind mixture of two models lies on the line between them. Which lines are worth taking?",
            "Take the hull first (`frontier.hull`, or yours of notebook 00): only its corners are mixed.",
            "Along the hull quality and cost rise together: interpolate cost at the goal, and hold on to both ends.",
        ),
        slips=(
            Slip(
                _cheapest_single,
                "That is the cheapest single model that is good enough; a mixture may do it for less.",
            ),
            Slip(_between_neighbours, "A model under the hull is mixed in, which two others beat."),
            Slip(
                _ends_only,
                "Only the cheapest and the best model are mixed; a corner between them may do it for less.",
            ),
            Slip(_best, "That is what the best model costs, whatever the goal."),
            Slip(_proportional, "Cost is not proportional to quality: the first part of it is cheap."),
        ),
        why="It is the hull read the other way round: the honest rival of every router.",
    ),
    "08.4": Design(
        flaw=_saves_at_face_value_only,
        example="six prompts of six kinds, of which the cheap model is right on the first four and the dear one on the first five, such as ('a', 1, 1)",
        hints=(
            "At face value a router may remember. What if no prompt is like another?",
            "Of a kind that it has not seen, it knows only which model is better on the whole.",
            "Give every prompt a kind of its own, and let the dear model be right on one prompt more than the cheap one.",
        ),
        slips=(
            Slip([("code", 0, 1)] * 3 + [("chat", 1, 1)] * 3),
            Slip([("chat", 1, 1)] * 6),
            Slip([("a", 0, 1), ("b", 0, 1), ("c", 0, 1)]),
            Slip([("a", 1, 1)]),
            Slip([("a", 2, 1), ("b", 0, 1)]),
            Slip("a log of last month"),
        ),
        why="Memory looks like knowledge until it is asked about what it has not seen.",
    ),
}
