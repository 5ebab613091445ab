"""Exercises of notebook 04."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rb_support.frontier import exceeds
from rb_support.routers import Cascade
from rb_support.teach.exercises import Design, Exercise, Slip, Task, Value

Array = NDArray[np.float64]
Means = tuple[float, float]

SMALL, BIG = np.array([1, 1, 1, 0, 0, 0]), np.array([1, 1, 0, 1, 0, 0])
"""Answers of the two models of exercise 4; a call costs 1 and 10 cents."""


def _expectation(quality: Array, cost: Array, error: float) -> Means:
    rules = Cascade(quality, cost, order=range(quality.shape[1]))
    spent, scored = rules.expected([np.inf], [error])
    return spent.item(), scored.item()


def _walked(quality: Array, cost: Array, rejects: Array) -> Means:
    """Cost and quality of a cascade that rejects each answer, (n, m), with a probability."""
    reach = np.cumprod(np.hstack([np.ones((len(quality), 1)), rejects[:, :-1]]), axis=1)
    ends = reach - np.hstack([reach[:, 1:], np.zeros((len(quality), 1))])
    return float((reach * cost).sum(axis=1).mean()), float((ends * quality).sum(axis=1).mean())


def _never_accepts_wrong(quality: Array, cost: Array, error: float) -> Means:
    return _walked(quality, cost, np.where(quality > 0.5, error, 1.0))


def _never_rejects_right(quality: Array, cost: Array, error: float) -> Means:
    return _walked(quality, cost, np.where(quality > 0.5, 0.0, 1 - error))


def _all_asked(quality: Array, cost: Array, error: float) -> Means:
    return float(cost.sum(axis=1).mean()), _expectation(quality, cost, error)[1]


def _last_paid(quality: Array, cost: Array, error: float) -> Means:
    """Pays only the model whose answer is returned."""
    paid = _walked(cost, cost, np.where(quality > 0.5, error, 1 - error))[1]
    return paid, _expectation(quality, cost, error)[1]


def _last_judged(quality: Array, cost: Array, error: float) -> Means:
    """An answer of the last model that is rejected counts nothing."""
    rejects = np.where(quality > 0.5, error, 1 - error)
    reach = np.cumprod(np.hstack([np.ones((len(quality), 1)), rejects[:, :-1]]), axis=1)
    return _walked(quality, cost, rejects)[0], float((reach * (1 - rejects) * quality).sum(axis=1).mean())


def _cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    two = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 4.0], [1.0, 4.0]])
    edges = [(*two, 0.25), (*two, 0.0), (np.array([[0.0]]), np.array([[3.0]]), 0.1)]
    drawn = [
        ((rng.random((n, m)) < 0.6).astype(float), rng.random((n, m)) + 0.1, float(rng.random()))
        for n, m in ((4, 2), (6, 3), (20, 5))
    ]
    return [*edges, *drawn]


def _judged(decisions: Sequence[int]) -> tuple[int, float, float]:
    """Errors of a judge's decisions on the small model's six answers, then the cascade's cost and quality."""
    accepted = np.asarray(decisions, dtype=float)
    if accepted.shape != SMALL.shape or not np.isin(accepted, (0, 1)).all():
        raise ValueError("a judge is a list of six decisions, 1 to accept and 0 to reject")
    quality = np.where(accepted == 1, SMALL, BIG)
    return int((accepted != SMALL).sum()), float((1 + 10 * (1 - accepted)).mean()), float(quality.mean())


def _better_judge_is_worse(judges: Sequence[Sequence[int]]) -> str | None:
    """What two judges lack of which the first is to err less and to make the worse cascade."""
    few, many = judges
    (errs, usd, quality), (errs_too, usd_too, quality_too) = _judged(few), _judged(many)
    if errs >= errs_too:
        return (
            f"The first judge errs {errs} times and the second {errs_too} times: the first has to err less."
        )
    if not exceeds(quality_too, quality):
        return f"The first judge's cascade scores {quality:.3f}, the second's {quality_too:.3f}: the first has to be worse."
    if exceeds(usd_too, usd):
        return f"The first judge's cascade costs {usd:.2f} cents, the second's {usd_too:.2f}: it may not be cheaper."
    return None


EXERCISES: dict[str, Exercise] = {
    "04.1": Value(
        answer=lambda: 1 + 10 * (3 / 4 * 0.1 + 1 / 4 * 0.9),
        hints=(
            "Small is always asked. How often is big?",
            "Big is asked where small's answer is rejected: right answers are, by error, and so are most wrong ones.",
            "A right answer is rejected with 0.1, a wrong one with 0.9: weigh these by 3/4 and 1/4, then pay big's price.",
        ),
        slips=(
            Slip(11.0, "That is what asking both costs, always."),
            Slip(3.0, "That is what big's calls cost; small is paid for too."),
            Slip(
                3.5, "That is a perfect judge's: this one also rejects right answers and accepts wrong ones."
            ),
            Slip(
                2.0,
                "That asks big as often as the judge errs, but it also asks where the judge is right to reject.",
            ),
            Slip(8.0, "That asks big where small's answer is accepted."),
        ),
        why="Small's answer is rejected with 3/4 x 0.1 + 1/4 x 0.9 = 0.3: 1 + 0.3 x 10.",
    ),
    "04.2": Value(
        answer=lambda: (1 + 0.8 + 0.8 + 0) / 4,
        hints=(
            "Take one query at a time: what is returned if small's answer is accepted, what if it is rejected?",
            "Where both are right, or both wrong, the judge does not matter.",
            "Where small alone is right it has to be accepted, where big alone is right rejected: 0.8 each.",
        ),
        slips=(
            Slip(0.75, "That is a perfect judge's cascade."),
            Slip(
                0.7, "One kind of error is forgotten: a judge accepts wrong answers, and rejects right ones."
            ),
            Slip(0.5, "That is what either model scores alone."),
            Slip(0.4, "That counts what small is accepted for; what is rejected is answered by big."),
            Slip(0.6, "That takes the error off everywhere; where both models are right it does no harm."),
            Slip(0.35, "There accept and reject are exchanged."),
        ),
        why="(1 + 0.8 + 0.8 + 0) / 4: an error does harm only where one of the two models is right.",
    ),
    "04.3": Task(
        reference=_expectation,
        cases=_cases,
        named=("quality", "cost", "error"),
        source="routers.Cascade.expected",
        hints=(
            "Go from model to model with one array: the probability that each query is still being asked.",
            "A right answer is rejected with probability error, a wrong one with 1 - error. What is still asked pays.",
            "The probability that answer k is returned is that of asking k minus that of asking k + 1; after the last one nobody is asked.",
        ),
        slips=(
            Slip(
                _never_accepts_wrong,
                "Here no wrong answer is ever accepted: that is one of a judge's two errors.",
            ),
            Slip(
                _never_rejects_right,
                "Here no right answer is ever rejected: that is one of a judge's two errors.",
            ),
            Slip(_all_asked, "The quality is right; the cost is that of asking everybody."),
            Slip(_last_paid, "The quality is right; but who was asked and rejected has to be paid as well."),
            Slip(
                _last_judged,
                "The last model's answer is returned even if the judge rejects it: nobody is left to ask.",
            ),
        ),
        why="One pass over the models, linear in their number; no dice are thrown.",
    ),
    "04.4": Design(
        flaw=_better_judge_is_worse,
        example="([1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 1, 1]): one rejection that loses a right answer, against two acceptances that lose nothing",
        hints=(
            "Not every error of a judge does harm. On which queries does it matter what small's judge says?",
            "On the last two queries both models are wrong: to accept there is an error, and it saves a call.",
            "Let the second judge err on those two only, and the first once, where small alone is right.",
        ),
        slips=(
            Slip(([1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0])),
            Slip(([1, 1, 1, 1, 0, 0], [0, 0, 1, 0, 0, 0])),
            Slip(([1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 1])),
            Slip(([1, 1, 1, 0, 0, 0], [1, 0, 1, 0, 0, 0])),
            Slip(([1, 1, 1, 0, 0], [0, 1, 1, 0, 0])),
            Slip("a careful judge"),
        ),
        why="An error rate counts all errors alike; a cascade pays only for those where asking on changes the answer.",
    ),
}
