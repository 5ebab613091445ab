"""What exercises of notebook 04 compute; `04.toml` says for what, and all else about them."""

# ruff: noqa: D103

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rb_support.frontier import exceeds
from rb_support.routers import Cascade
from rb_support.teach.exercises import read

Array = NDArray[np.float64]
Means = tuple[float, float]

SMALL, BIG = np.array([1, 1, 1, 0, 0, 0]), np.array([1, 1, 0, 1, 0, 0])
"""Answers of the two models of exercise 4; a call costs 1 and 10 cents."""


def expectation(quality: Array, cost: Array, error: float) -> Means:
    rules = Cascade(quality, cost, order=range(quality.shape[1]))
    spent, scored = rules.expected([np.inf], [error])
    return spent.item(), scored.item()


def cases(rng: np.random.Generator) -> Iterator[tuple[Array, Array, float]]:
    two = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 4.0], [1.0, 4.0]])
    yield from [(*two, 0.25), (*two, 0.0), (np.array([[0.0]]), np.array([[3.0]]), 0.1)]
    for n, m in ((4, 2), (6, 3), (20, 5)):
        yield (rng.random((n, m)) < 0.6).astype(float), rng.random((n, m)) + 0.1, float(rng.random())


def _walked(quality: Array, cost: Array, rejects: Array) -> Means:
    """Cost and quality of a cascade that rejects each answer, (n, m), with a probability."""
    reach = np.cumprod(np.hstack([np.ones((len(quality), 1)), rejects[:, :-1]]), axis=1)
    ends = reach - np.hstack([reach[:, 1:], np.zeros((len(quality), 1))])
    return float((reach * cost).sum(axis=1).mean()), float((ends * quality).sum(axis=1).mean())


def never_accepts_wrong(quality: Array, cost: Array, error: float) -> Means:
    return _walked(quality, cost, np.where(quality > 0.5, error, 1.0))


def never_rejects_right(quality: Array, cost: Array, error: float) -> Means:
    return _walked(quality, cost, np.where(quality > 0.5, 0.0, 1 - error))


def all_asked(quality: Array, cost: Array, error: float) -> Means:
    return float(cost.sum(axis=1).mean()), expectation(quality, cost, error)[1]


def last_paid(quality: Array, cost: Array, error: float) -> Means:
    """Pays only the model whose answer is returned."""
    paid = _walked(cost, cost, np.where(quality > 0.5, error, 1 - error))[1]
    return paid, expectation(quality, cost, error)[1]


def last_judged(quality: Array, cost: Array, error: float) -> Means:
    """Goes on to nobody, who is free and always wrong, where the last model's answer is rejected."""
    nobody, rejects = np.zeros((len(quality), 1)), np.where(quality > 0.5, error, 1 - error)
    return _walked(*(np.hstack([part, nobody]) for part in (quality, cost, rejects)))


def _judged(decisions: Sequence[int]) -> tuple[int, float, float]:
    """Errors of a judge's decisions on the small model's six answers, then the cascade's cost and quality."""
    accepted = np.asarray(decisions, dtype=float)
    if accepted.shape != SMALL.shape or not np.isin(accepted, (0, 1)).all():
        raise ValueError("a judge is a list of six decisions, 1 to accept and 0 to reject")
    quality = np.where(accepted == 1, SMALL, BIG)
    return int((accepted != SMALL).sum()), float((1 + 10 * (1 - accepted)).mean()), float(quality.mean())


def better_judge_is_worse(judges: Sequence[Sequence[int]]) -> str | None:
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


EXERCISES = read("04")
