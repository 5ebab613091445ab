"""Exercises of notebook 05."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.teach.exercises import Design, Exercise, Slip, Task, Value

Array = NDArray[np.float64]
MEMORY, SEARCH, WORTH = 0.001, 0.006, 0.02
"""USD a question from memory, with a search, and of a unit of quality."""


def choose(quality: Array, cost: Array, wtp: float) -> tuple[int, int]:
    """Retriever by the mean over its generators, then the generator."""
    worth = wtp * np.asarray(quality) - np.asarray(cost)
    retriever = int(worth.mean(axis=1).argmax())
    return retriever, int(worth[retriever].argmax())


def _questions(rng: np.random.Generator) -> Iterator[tuple[Array, Array, float]]:
    for retrievers, generators in ((1, 3), (2, 1), *[(3, 4)] * 40):
        quality = rng.integers(0, 101, (retrievers, generators)) / 100
        yield (
            quality,
            rng.integers(1, 1000, (retrievers, generators)) / 1e5,
            float(rng.choice([0.001, 0.01, 0.1])),
        )


def _jointly(quality: Array, cost: Array, wtp: float) -> tuple[int, int]:
    row, column = np.unravel_index((wtp * quality - cost).argmax(), quality.shape)
    return int(row), int(column)


def _generator_first(quality: Array, cost: Array, wtp: float) -> tuple[int, int]:
    generator, retriever = choose(quality.T, cost.T, wtp)
    return retriever, generator


def _always_search(answer: ArrayLike) -> str | None:
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


EXERCISES: dict[str, Exercise] = {
    "05.1": Value(
        answer=lambda: 0.0049 / (10 / 1e6),
        hints=(
            "What does a single token cost?",
            "Ten dollars for a million tokens is ten millionths of a dollar for one.",
            "Divide the fee by 0.00001.",
        ),
        slips=(
            Slip(4900.0, "That is for one dollar per million; a token costs ten times as much."),
            Slip(0.0049 / 30e-6, "That takes the price of an answer's tokens."),
            Slip(49.0, "A factor of ten is lost: check what a token costs."),
            Slip(4.9e-8, "That multiplies; the question is how many fit in."),
            Slip(0.49, "That is for a price per thousand tokens."),
        ),
        why="A search of one's own pays as long as its passages are shorter than this.",
    ),
    "05.2": Value(
        answer=lambda: 0.005 / (0.6 * 0.05),
        hints=(
            "Compare what searching brings, in dollars, with what it costs.",
            "It brings, in expectation, p times 0.6 right answers more.",
            "Solve p x 0.6 x 0.05 = 0.005.",
        ),
        slips=(
            Slip(0.1, "That takes it that searching always turns a wrong answer right."),
            Slip(0.5, "A fair guess is no threshold: weigh what is won against what is paid."),
            Slip(0.06, "That is price over worth times the gain: divide by the gain."),
            Slip(0.005 / 0.6, "That leaves out what a right answer is worth."),
            Slip(5 / 6, "That is the probability of lasting facts at the threshold."),
        ),
        why="p = 1/6: a dear answer is searched for on a slight suspicion.",
    ),
    "05.3": Task(
        reference=choose,
        cases=_questions,
        named=("quality", "cost", "wtp"),
        source="studies.two_stage.in_sequence",
        hints=(
            "Make one array of what every pair is worth: wtp * quality - cost.",
            "The mean over the generators (axis 1) ranks the retrievers.",
            "argmax of the row means gives the retriever; argmax of that row gives the generator.",
        ),
        slips=(
            Slip(
                _jointly,
                "That takes the best of all pairs at once; two stages commit to the retriever first.",
            ),
            Slip(_generator_first, "That chooses the generator first."),
            Slip(
                lambda quality, cost, wtp: choose(quality, 0 * cost, wtp),
                "Costs are left out: at a small willingness to pay they decide.",
            ),
            Slip(
                lambda quality, cost, wtp: tuple(np.unravel_index(cost.argmin(), cost.shape)),
                "That is the cheapest pair, whatever it answers.",
            ),
            Slip(
                lambda quality, cost, wtp: choose(quality, cost, wtp)[::-1],
                "The retriever comes first in the pair.",
            ),
        ),
        why="The first stage sees of a retriever only the mean, so it can miss the single best pair.",
    ),
    "05.4": Design(
        flaw=_always_search,
        example="[[0.5, 1.0]] * 8: searching gains 0.5 everywhere, twice what it has to",
        hints=(
            "How much must a search gain to pay 0.005 USD, if a unit is worth 0.02?",
            "It has to gain more than that on every question, not in the mean.",
            "Scores need not be 0 or 1: let memory be half right on all of them.",
        ),
        slips=(
            Slip([[0, 1]] * 8),
            Slip([[1, 1]] * 8),
            Slip([[0.8, 1.0]] * 8),
            Slip([[1, 0], [0, 1]] * 4),
            Slip([0.5, 1.0]),
        ),
        why="With scores of 0 and 1 it cannot be done: where memory is right, a search gains nothing, and a router may win.",
    ),
}
