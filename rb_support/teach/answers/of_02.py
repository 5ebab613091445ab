"""What exercises of notebook 02 compute; `02.toml` says for what, and all else about them."""

# ruff: noqa: D103

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.routers import oracle
from rb_support.teach.exercises import read

Array = NDArray[np.float64]

RIGHT = np.array([[1, 0, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=float)
CENTS = np.array([[1, 3, 8]] * 4, dtype=float)
"""The four queries and three models of the first exercise."""


def oracle_cost() -> float:
    return float(CENTS[np.arange(4), oracle(RIGHT, CENTS)].mean())


def tables(rng: np.random.Generator) -> list[tuple[Array, Array]]:
    """Right and wrong with ties, a query nobody gets right, one model; then graded scores. No two costs are equal."""
    made = [(RIGHT, CENTS), (np.ones((2, 1)), np.array([[2.0], [1.0]]))]
    return made + [(rng.integers(0, k, (30, 4)) / (k - 1), rng.random((30, 4))) for k in (2, 3, 11)]


def first_best(quality: Array, cost: Array) -> NDArray[np.intp]:
    return quality.argmax(axis=1)


def cheapest_right(quality: Array, cost: Array) -> NDArray[np.intp]:
    """The cheapest that is entirely right, else the cheapest."""
    right = np.where(quality == 1, cost, np.inf)
    return np.where(np.isfinite(right.min(axis=1)), right.argmin(axis=1), cost.argmin(axis=1))


def dearest_best(quality: Array, cost: Array) -> NDArray[np.intp]:
    best = quality == quality.max(axis=1, keepdims=True)
    return np.where(best, cost, -np.inf).argmax(axis=1)


def cheapest(quality: Array, cost: Array) -> NDArray[np.intp]:
    return cost.argmin(axis=1)


def one_for_all(quality: Array, cost: Array) -> NDArray[np.intp]:
    return np.full(len(quality), quality.mean(axis=0).argmax())


def quality_less_cost(quality: Array, cost: Array) -> NDArray[np.intp]:
    return (quality - cost).argmax(axis=1)


def knowing_nothing(right: ArrayLike) -> str | None:
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


refused = (
    np.ones((200, 3)),
    np.random.default_rng(0).integers(0, 2, (1000, 2)),
    (np.random.default_rng(0).random((1000, 6)) < 0.8).astype(float),
    np.full((200, 3), 0.5),
    np.eye(4),
    "six coins",
)


EXERCISES = read("02")
