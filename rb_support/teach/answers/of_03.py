"""Exercises of notebook 03."""

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
from rb_support.teach.exercises import Design, Exercise, Slip, Task, Value

Array = NDArray[np.float64]
Chosen = Callable[[Array, Array, int], NDArray[np.intp]]

DRAWS = 8
"""How often a placebo is drawn before its mean lead is taken."""
APART = 0.01
"""Least gap in cosine between the last neighbour and the next, so that no case hangs on a tie."""


def _nearest(vectors: Array, train_vectors: Array, k: int) -> NDArray[np.intp]:
    return np.argsort(-unit(vectors) @ unit(train_vectors).T, axis=1, kind="stable")[:, :k]


def _by_distance(vectors: Array, train_vectors: Array, k: int) -> NDArray[np.intp]:
    distance = np.linalg.norm(vectors[:, None] - train_vectors[None], axis=2)
    return np.argsort(distance, axis=1, kind="stable")[:, :k]


def _by_product(vectors: Array, train_vectors: Array, k: int) -> NDArray[np.intp]:
    return np.argsort(-vectors @ train_vectors.T, axis=1, kind="stable")[:, :k]


def _farthest(vectors: Array, train_vectors: Array, k: int) -> NDArray[np.intp]:
    return np.argsort(unit(vectors) @ unit(train_vectors).T, axis=1, kind="stable")[:, :k]


def _mean_over(rows: Chosen) -> Callable[..., Array]:
    """A router that predicts the mean quality of the rows that are chosen."""

    def predict(vectors: Array, train_vectors: Array, quality: Array, k: int) -> Array:
        return np.asarray(quality[rows(vectors, train_vectors, k)].mean(axis=1))

    return predict


def _clouds(rng: np.random.Generator) -> list[tuple[Any, ...]]:
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


def _no_luck(answer: Any, *, train: Outcomes, test: Outcomes) -> str | None:
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


EXERCISES: dict[str, Exercise] = {
    "03.1": Value(
        answer=lambda: (0.016 - 0.001) / (0.8 - 0.4),
        hints=(
            "Put the three models as points into the plane of cost and predicted quality, and draw the hull.",
            "B lies below the line from A to C, so no lambda ever calls it.",
            "The slope from A to C, as cost over quality, in USD: which lambda makes lambda P - cost equal for both?",
        ),
        slips=(
            Slip(
                0.005 / 0.3, "That is where C would pass B. Is B called at any lambda? Draw the three points."
            ),
            Slip(0.1, "That is where B would pass A. By then another model has passed both."),
            Slip(3.75, "That is in cents; lambda is asked for in USD."),
            Slip(0.4 / 0.015, "That is quality per USD; lambda is USD per unit of quality."),
            Slip(0.02, "That is C's own cost over its own quality; what counts is what C adds, and to whom."),
        ),
        why="B lies under the line from A to C: (0.016 - 0.001) / (0.8 - 0.4) USD per unit of quality, and B is never called.",
    ),
    "03.2": Value(
        answer=lambda: 0.67,
        hints=(
            "Which setting looks better on the first half, and what is that one worth on the second?",
            "Then the halves change places: the second chooses, the first pays.",
            "The first half takes setting 1, which the second pays with 0.66. What does the second take?",
        ),
        slips=(
            Slip(
                0.695,
                "That is the better setting on all rows, chosen and paid on the same ones: the paper's kind.",
            ),
            Slip(0.715, "Each half pays for its own choice there: luck counts twice."),
            Slip(
                0.69,
                "That is setting 1 on all rows; half of them chose it, and the other half would not have.",
            ),
            Slip(0.6925, "That is the mean of all four: nothing is chosen at all."),
            Slip(0.66, "That is one way only. The halves change places, and the two are averaged."),
            Slip(0.68, "That is one way only. The halves change places, and the two are averaged."),
        ),
        why="The first half takes setting 1, worth 0.66 on the second; the second takes setting 2, worth 0.68 on the first.",
    ),
    "03.3": Task(
        reference=_mean_over(_nearest),
        cases=_clouds,
        named=("vectors", "train_vectors", "quality", "k"),
        source="rb_support.routers.KNNRouter, which also shares out ties at the border",
        hints=(
            "Scale the rows of both to length 1; then one matrix product has every cosine.",
            "np.argsort goes upwards: sort the negative cosines, a row per query, and keep the first k columns.",
            "Index quality by these (n, k) rows, which gives (n, k, m), and take the mean over the middle axis.",
        ),
        slips=(
            Slip(
                _mean_over(_by_distance),
                "Nearest is meant by cosine: here a long vector counts as far away, whatever its direction.",
            ),
            Slip(
                _mean_over(_by_product),
                "A product of vectors that are not of length 1 prefers the long ones. Scale the rows first.",
            ),
            Slip(_mean_over(_farthest), "These are the farthest: argsort goes upwards."),
            Slip(
                _mean_over(lambda vectors, known, k: _nearest(vectors, known, k + 1)),
                "That is one neighbour too many.",
            ),
            Slip(
                _mean_over(
                    lambda vectors, known, k: _nearest(vectors, known, k + 1)[:, min(1, len(known) - 1) :]
                ),
                "The nearest is left out, as for a query that is itself a training row; here none is.",
            ),
            Slip(
                lambda vectors, known, quality, k: known[_nearest(vectors, known, k)].mean(axis=1),
                "That is the mean of the neighbours' vectors; asked for is the mean of what models scored on them.",
            ),
            Slip(
                lambda vectors, known, quality, k: np.tile(quality.mean(axis=0), (len(vectors), 1)),
                "That is the mean of all training rows, whatever the query: a zero router.",
            ),
        ),
        why="Three lines: scale, sort, average. The package adds a soft border, so that no choice hangs on a last digit.",
    ),
    "03.4": Design(
        flaw=_no_luck,
        example="means + rng.normal(0, 0.01, (n, len(means)))",
        hints=(
            "A zero router has as many settings as models on its hull. How do you get hundreds out of nothing?",
            "Give every query predictions of its own that say nothing of it, close to the means.",
            "Add noise to the means, a number per query and model, small beside the differences between models.",
        ),
        slips=(
            Slip(lambda means, n, rng: np.tile(means, (n, 1))),
            Slip(lambda means, n, rng: np.tile(means + rng.normal(0, 0.01, len(means)), (n, 1))),
            Slip(lambda means, n, rng: means + rng.normal(0, 0.01, len(means))),
            Slip(lambda means, n, rng: means + rng.normal(0, 10, (n, len(means)))),
            Slip(lambda means, n, rng: 1 - means + rng.normal(0, 0.01, (n, len(means)))),
            Slip(0.01),
        ),
        why="Hundreds of settings, each measured with luck of its own, and the hull keeps the luckiest.",
    ),
}
