"""Exercises of notebook 02."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.routers import oracle
from rb_support.teach.exercises import Design, Exercise, Slip, Task, Value

Array = NDArray[np.float64]

RIGHT = np.array([[1, 0, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=float)
CENTS = np.array([[1, 3, 8]] * 4, dtype=float)
"""The four queries and three models of the first exercise."""


def _oracle_cost() -> float:
    return float(CENTS[np.arange(4), oracle(RIGHT, CENTS)].mean())


def _tables(rng: np.random.Generator) -> list[tuple[Array, Array]]:
    """Right and wrong with ties, a query nobody gets right, one model; then graded scores. No two costs are equal."""
    made = [(RIGHT, CENTS), (np.ones((2, 1)), np.array([[2.0], [1.0]]))]
    return made + [(rng.integers(0, k, (30, 4)) / (k - 1), rng.random((30, 4))) for k in (2, 3, 11)]


def _cheapest_right(quality: Array, cost: Array) -> NDArray[np.intp]:
    """The cheapest that is entirely right, else the cheapest."""
    right = np.where(quality == 1, cost, np.inf)
    return np.where(np.isfinite(right.min(axis=1)), right.argmin(axis=1), cost.argmin(axis=1))


def _dearest_best(quality: Array, cost: Array) -> NDArray[np.intp]:
    best = quality == quality.max(axis=1, keepdims=True)
    return np.where(best, cost, -np.inf).argmax(axis=1)


def _one_for_all(quality: Array, cost: Array) -> NDArray[np.intp]:
    return np.full(len(quality), quality.mean(axis=0).argmax())


def _knowing_nothing(right: ArrayLike) -> str | None:
    """What a table lacks whose oracle is to be nearly perfect, though no model beats a coin."""
    table = np.asarray(right, dtype=float)
    if table.ndim != 2 or len(table) < 100:
        return f"A table has a row for each of 100 queries at least, and a column a model; this has shape {table.shape}."
    if not np.isin(table, (0, 1)).all():
        return "An answer to a question of two choices is right, 1, or wrong, 0; there is something else in the table."
    best, perfect = table.mean(axis=0).max(), table.max(axis=1).mean()
    if best > 0.55:
        return f"One model is right on {best:.0%} of the queries: it knows more than a coin."
    if perfect < 0.95:
        return f"Its oracle is right on {perfect:.1%} of the queries, which is not yet nearly perfect."
    return None


EXERCISES: dict[str, Exercise] = {
    "02.1": Value(
        answer=_oracle_cost,
        hints=(
            "Go through the queries one by one: whom does the oracle call, and what does that one cost?",
            "Of several right models it calls the cheapest. Where all are wrong all are equally good.",
            "It calls the small, the middle, the large and again the small model.",
        ),
        slips=(
            Slip(3.0, "The query that nobody gets right costs something too: some model has to be called."),
            Slip(4.0, "There are four queries: the hopeless one counts as well."),
            Slip(6.25, "Of two that are right it calls the cheaper one."),
            Slip(5.0, "Where all are wrong it need not call the dearest one."),
            Slip(
                8.0,
                "That is the large model alone: it is the best one, but the oracle may choose for each query.",
            ),
            Slip(13.0, "That is the sum: what is asked for is the mean over the queries."),
        ),
        why="The calls cost 1, 3, 8 and 1 cents: the oracle is as good as the large model here, for less than half.",
    ),
    "02.2": Value(
        answer=lambda: 5,
        hints=(
            "When does the oracle of guessers fail? Only when all of them fail at once.",
            "Two coins fail together on a quarter of the questions. And three?",
            "Find the smallest m for which one half to the power of m is 0.05 or less.",
        ),
        slips=(
            Slip(
                4,
                "Four coins are all wrong on one question of 16: their oracle reaches 93.75%, just too little.",
            ),
            Slip(6, "That is enough, but one model fewer is enough as well."),
            Slip(2, "Two coins are both wrong on a quarter of the questions."),
            Slip(3, "Three coins are all wrong on one question of eight."),
            Slip(20, "Chances to fail multiply, they do not add up."),
            Slip(10, "Chances to fail multiply: it takes far fewer."),
        ),
        why="Five coins are all wrong on one question of 32: an oracle of 96.9% out of nothing.",
    ),
    "02.3": Task(
        reference=oracle,
        cases=_tables,
        named=("quality", "cost"),
        source="rb_support.routers.oracle",
        hints=(
            "Which models are as good as the best one of their row? quality.max(axis=1, keepdims=True) tells.",
            "Among these take the cheapest: give all others a cost that never wins.",
            "np.where(best, cost, np.inf), and then argmin along each row.",
        ),
        slips=(
            Slip(
                lambda quality, cost: quality.argmax(axis=1),
                "Of several equally good ones that takes the first column, not the cheapest.",
            ),
            Slip(_cheapest_right, "Scores may lie between 0 and 1: the best one need not be entirely right."),
            Slip(_dearest_best, "Of several equally good ones that takes the dearest."),
            Slip(lambda quality, cost: cost.argmin(axis=1), "That calls the cheapest model, right or wrong."),
            Slip(_one_for_all, "That is the best single model: the oracle chooses anew for each query."),
            Slip(
                lambda quality, cost: (quality - cost).argmax(axis=1),
                "That trades quality for cost; to the oracle cost matters only between equally good ones.",
            ),
        ),
        why="Quality first, then cost: where all are wrong all are equally good, and the cheapest is called.",
    ),
    "02.4": Design(
        flaw=_knowing_nothing,
        example="np.random.default_rng(0).integers(0, 2, (1000, 6)), six models that toss coins",
        hints=(
            "How many coins does it take? See exercise 2.",
            "Rows are queries and columns models: draw zeros and ones at random.",
            "Six columns of coins are enough; with few rows one of them may be lucky, so take 1,000.",
        ),
        slips=(
            Slip(np.ones((200, 3))),
            Slip(np.random.default_rng(0).integers(0, 2, (1000, 2))),
            Slip((np.random.default_rng(0).random((1000, 6)) < 0.8).astype(float)),
            Slip(np.full((200, 3), 0.5)),
            Slip(np.eye(4)),
            Slip("six coins"),
        ),
        why="The same table could come from specialists, each right on its own subjects: the oracle's height does not "
        "tell them from coins, and only a router that reads the queries can.",
    ),
}
