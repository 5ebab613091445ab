"""What exercises of notebook 05 compute; `05.toml` says for what, and all else about them."""

# ruff: noqa: D103

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.teach.exercises import read

Array = NDArray[np.float64]
MEMORY, SEARCH, WORTH = 0.001, 0.006, 0.02
"""USD a question from memory, with a search, and of a unit of quality."""


def choose(quality: Array, cost: Array, wtp: float) -> tuple[int, int]:
    """Retriever by the mean over its generators, then the generator."""
    worth = wtp * np.asarray(quality) - np.asarray(cost)
    retriever = int(worth.mean(axis=1).argmax())
    return retriever, int(worth[retriever].argmax())


def questions(rng: np.random.Generator) -> Iterator[tuple[Array, Array, float]]:
    for retrievers, generators in ((1, 3), (2, 1), *[(3, 4)] * 40):
        quality = rng.integers(0, 101, (retrievers, generators)) / 100
        yield (
            quality,
            rng.integers(1, 1000, (retrievers, generators)) / 1e5,
            float(rng.choice([0.001, 0.01, 0.1])),
        )


def jointly(quality: Array, cost: Array, wtp: float) -> tuple[int, int]:
    row, column = np.unravel_index((wtp * quality - cost).argmax(), quality.shape)
    return int(row), int(column)


def generator_first(quality: Array, cost: Array, wtp: float) -> tuple[int, int]:
    generator, retriever = choose(quality.T, cost.T, wtp)
    return retriever, generator


def costs_left_out(quality: Array, cost: Array, wtp: float) -> tuple[int, int]:
    return choose(quality, 0 * cost, wtp)


def cheapest(quality: Array, cost: Array, wtp: float) -> tuple[int, int]:
    row, column = np.unravel_index(cost.argmin(), cost.shape)
    return int(row), int(column)


def turned_round(quality: Array, cost: Array, wtp: float) -> tuple[int, int]:
    return choose(quality, cost, wtp)[::-1]


def always_search(answer: ArrayLike) -> str | None:
    """What a set of questions lacks on which even the oracle always searches, while memory is not useless."""
    scores = np.asarray(answer, dtype=float)
    if scores.ndim != 2 or scores.shape[1] != 2 or not len(scores):
        return f"Its shape is {scores.shape}: it needs a row per question and two columns."
    if not ((scores >= 0) & (scores <= 1)).all():
        return "It holds scores outside 0 to 1."
    if scores[:, 0].mean() < 0.5:
        return f"Memory scores {scores[:, 0].mean():.2f} in the mean: it has to reach 0.5."
    stays = WORTH * (scores[:, 1] - scores[:, 0]) <= SEARCH - MEMORY + 1e-12
    if stays.any():
        gain = scores[stays, 1] - scores[stays, 0]
        return (
            f"On {stays.sum()} of {len(scores)} questions searching gains no more than {gain.max():.2f}, "
            "which does not pay its price: a router that leaves the search out there beats always searching."
        )
    return None


EXERCISES = read("05")
