"""What exercises of notebook 03 compute; `03.toml` says for what, and all else about them."""

# ruff: noqa: D103

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rb_support.embed import unit
from rb_support.frontier import exceeds
from rb_support.outcomes import Outcomes
from rb_support.routers import dealt_out, knows_nothing
from rb_support.studies.predictive import ZERO, compare_predictions
from rb_support.teach.exercises import read

Array = NDArray[np.float64]
Chosen = Callable[[Array, Array, int], NDArray[np.intp]]

DRAWS = 8
"""How often a placebo is drawn before its mean lead is taken."""
APART = 0.01
"""Least gap in cosine between the last neighbour and the next, so that no case hangs on a tie."""


def _mean_over(rows: Chosen) -> Callable[..., Array]:
    """A router that predicts the mean quality of the rows that are chosen."""

    def predict(vectors: Array, train_vectors: Array, quality: Array, k: int) -> Array:
        return np.asarray(quality[rows(vectors, train_vectors, k)].mean(axis=1))

    return predict


def _nearest(vectors: Array, known: Array, k: int) -> NDArray[np.intp]:
    return np.argsort(-unit(vectors) @ unit(known).T, axis=1, kind="stable")[:, :k]


nearest = _mean_over(_nearest)


def clouds(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Cases of 2 to 4 queries and 6 to 9 training rows, vectors of many lengths; in two k is all rows and more."""
    cases: list[tuple[Any, ...]] = []
    for queries, known, models, k in ((2, 6, 2, 1), (3, 7, 3, 3), (4, 9, 2, 5), (2, 6, 3, 6), (2, 6, 2, 8)):
        while True:
            lengths = np.exp(rng.normal(size=(known, 1)))
            train_vectors, vectors = lengths * rng.normal(size=(known, 3)), rng.normal(size=(queries, 3))
            ranked = np.sort(unit(vectors) @ unit(train_vectors).T, axis=1)[:, ::-1]
            if k >= known or (ranked[:, k - 1] - ranked[:, k]).min() > APART:
                break
        cases.append((vectors, train_vectors, rng.random((known, models)).round(2), k))
    return cases


@_mean_over
def by_distance(vectors: Array, known: Array, k: int) -> NDArray[np.intp]:
    distance = np.linalg.norm(vectors[:, None] - known[None], axis=2)
    return np.argsort(distance, axis=1, kind="stable")[:, :k]


@_mean_over
def by_product(vectors: Array, known: Array, k: int) -> NDArray[np.intp]:
    return np.argsort(-vectors @ known.T, axis=1, kind="stable")[:, :k]


@_mean_over
def farthest(vectors: Array, known: Array, k: int) -> NDArray[np.intp]:
    return np.argsort(unit(vectors) @ unit(known).T, axis=1, kind="stable")[:, :k]


@_mean_over
def one_too_many(vectors: Array, known: Array, k: int) -> NDArray[np.intp]:
    return _nearest(vectors, known, k + 1)


@_mean_over
def without_the_nearest(vectors: Array, known: Array, k: int) -> NDArray[np.intp]:
    return _nearest(vectors, known, k + 1)[:, min(1, len(known) - 1) :]


def mean_vector(vectors: Array, known: Array, quality: Array, k: int) -> Array:
    return np.asarray(known[_nearest(vectors, known, k)].mean(axis=1))


def mean_of_all(vectors: Array, known: Array, quality: Array, k: int) -> Array:
    return np.tile(quality.mean(axis=0), (len(vectors), 1))


def no_luck(answer: Any, *, train: Outcomes, test: Outcomes) -> str | None:
    """What a function lacks that is to make predictions of nothing, and to be above the zero router by AIQ.

    What it gives is dealt out to the test queries at random, so that nothing it could have learnt of them is left.
    """
    if not callable(answer):
        return "The answer is a function of means, n and rng: write its name, without parentheses."
    means, leads, shape = train.quality.mean(axis=0), [], test.quality.shape
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        predicted = np.asarray(answer(means.copy(), len(test), rng), dtype=float)
        if predicted.shape != shape:
            return f"It gives an array of shape {predicted.shape}; a row per query and a column per model is {shape}."
        if knows_nothing(predicted):
            return "It orders the models alike on every query, and by as much: that is a zero router, which luck passes by."
        areas = compare_predictions(train, test, {"yours": dealt_out(predicted, rng)}).aiq()
        leads.append(areas["yours"] - areas[ZERO])
    lead = float(np.mean(leads))
    if not exceeds(lead, 0.0):
        return f"In the mean of {DRAWS} draws its AIQ is {lead:+.4f} above the zero router's: it has to be above nought."
    return None


refused = (
    lambda means, n, rng: np.tile(means, (n, 1)),
    lambda means, n, rng: np.tile(means + rng.normal(0, 0.01, len(means)), (n, 1)),
    lambda means, n, rng: means + rng.normal(0, 0.01, len(means)),
    lambda means, n, rng: means + rng.normal(0, 10, (n, len(means))),
    lambda means, n, rng: 1 - means + rng.normal(0, 0.01, (n, len(means))),
    0.01,
)


EXERCISES = read("03")
