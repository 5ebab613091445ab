"""Exercises of notebook 01b."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rb_support.teach.exercises import Design, Exercise, Slip, Task, Value

_NEAR, _MUCH = 1e-3, 0.3


def wide(samples: ArrayLike, models: ArrayLike, scores: ArrayLike) -> np.ndarray:
    """A row for every sample and a column for every model, both sorted by name; NaN where there is no answer."""
    long = pd.DataFrame({"sample": samples, "model": models, "score": scores})
    return long.pivot(index="sample", columns="model", values="score").to_numpy(dtype=float)


def _tables(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Long tables: one in order, some shuffled, some with answers missing."""
    for n, m, lost in ((3, 2, 0), (3, 2, 0), (4, 3, 2), (6, 4, 5), (5, 2, 3)):
        samples = np.repeat([f"q{i}" for i in range(n)], m)
        models = np.tile([f"model-{chr(97 + j)}" for j in range(m)], n)
        order = rng.permutation(n * m)[lost:]
        yield samples[order], models[order], rng.integers(0, 11, n * m)[order] / 10


def _by_place(samples: np.ndarray, models: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return scores.reshape(len(set(samples)), len(set(models)))


def _by_appearance(samples: np.ndarray, models: np.ndarray, scores: np.ndarray) -> np.ndarray:
    (row, rows), (column, columns) = (pd.factorize(names) for names in (samples, models))
    table = np.full((len(rows), len(columns)), np.nan)
    table[row, column] = scores
    return table


def _filled_with_the_mean(samples: np.ndarray, models: np.ndarray, scores: np.ndarray) -> np.ndarray:
    table = wide(samples, models, scores)
    return np.where(np.isnan(table), np.nanmean(table, axis=0), table)


def _hides(answer: Any) -> str | None:
    """What a pair of tables lacks that is to hide a router's gain behind equal means."""
    first, second = (np.asarray(table, dtype=float) for table in answer)
    for number, table in (("first", first), ("second", second)):
        if table.ndim != 2 or table.shape[1] != 2 or not len(table):
            return (
                f"The {number} table has the shape {table.shape}: it needs a row per query and two columns."
            )
        if not ((table >= 0) & (table <= 1)).all():
            return f"The {number} table holds scores outside 0 to 1."
    means = first.mean(axis=0), second.mean(axis=0)
    if np.abs(means[0] - means[1]).max() > _NEAR:
        return f"The means differ: {means[0].round(3)} in the first table, {means[1].round(3)} in the second."
    gains = [table.max(axis=1).mean() - table.mean(axis=0).max() for table in (first, second)]
    if gains[0] > 1e-9:
        return (
            f"In the first table the oracle is {gains[0]:.3f} above the better model: it has to gain nothing."
        )
    if gains[1] < _MUCH - 1e-9:
        return f"In the second table the oracle is only {gains[1]:.3f} above the better model."
    return None


EXERCISES: dict[str, Exercise] = {
    "01b.1": Value(
        answer=lambda: 0.6 / 0.7,
        hints=(
            "Its points are the same, however many questions they are divided by.",
            "It has 60 points, all from questions that it answered.",
            "60 points on 70 questions.",
        ),
        slips=(
            Slip(0.6, "That is the mean over all 100, refusals included."),
            Slip(0.9, "That gives a full point to every refusal."),
            Slip(0.78, "The mean rises by 30 of 70, not by 30 of 100, of itself."),
            Slip(0.42, "Leaving out zeros cannot lower a mean."),
            Slip(2.0, "The points belong to the 70 questions that were answered, not to the 30 others."),
        ),
        why="60 points on 70 questions: leaving out a share r of zeros divides the mean by 1 - r.",
    ),
    "01b.2": Value(
        answer=lambda: 0.9 * 0.5 + 0.1 * 0.9,
        hints=(
            "Over rows every question has one vote.",
            "How many points are there in all, on how many questions?",
            "450 and 90 points, on 1,000 questions.",
        ),
        slips=(
            Slip(0.7, "That is the mean over datasets: it lets 100 questions weigh as much as 900."),
            Slip(0.86, "Each mean got the other dataset's rows."),
            Slip(0.5, "That leaves the smaller dataset out."),
            Slip(1.4, "That is a sum of means; a mean of scores cannot be above 1."),
            Slip(540.0, "Those are the points; divide them by the questions."),
        ),
        why="540 points on 1,000 questions; the mean over datasets would be 0.7.",
    ),
    "01b.3": Task(
        reference=wide,
        cases=_tables,
        named=("samples", "models", "scores"),
        source="Outcomes.from_long",
        hints=(
            "Every answer has a row and a column: find both from its names.",
            "np.unique(names, return_inverse=True) gives the sorted names, and each entry's place among them.",
            "Start with np.full((rows, columns), np.nan), and set table[row, column] = scores.",
        ),
        slips=(
            Slip(_by_place, "That trusts the order of the entries."),
            Slip(_by_appearance, "Rows and columns stand as they first appear, not sorted by name."),
            Slip(
                lambda *long: np.nan_to_num(wide(*long)),
                "No answer is not a wrong answer: it has no score, rather than 0.",
            ),
            Slip(lambda *long: wide(*long).T, "Samples are the rows, models the columns."),
            Slip(
                _filled_with_the_mean,
                "A missing answer got the model's mean: that is a guess, not an outcome.",
            ),
        ),
        why="A join on names: it does not matter in which order, or how many at once, the answers came.",
    ),
    "01b.4": Design(
        flaw=_hides,
        example="[[1, 1], [0, 0]] and [[1, 0], [0, 1]]: both models score 0.5 in either, the oracle 0.5 and 1",
        hints=(
            "The oracle gains where the models are right on different queries.",
            "Let them be right on the same queries in the first table.",
            "Two queries are enough: both right on one of them; or each right on its own.",
        ),
        slips=(
            Slip(([[1, 0], [0, 1]], [[1, 0], [0, 1]])),
            Slip(([[1, 1], [0, 0]], [[1, 1], [0, 0]])),
            Slip(([[1, 1], [1, 1]], [[1, 0], [0, 1]])),
            Slip(([[1, 1], [0, 0]], [[2, 0], [-1, 1]])),
            Slip([[1, 0], [0, 1]]),
        ),
        why="What a router can win is in who is right where, and no table of means shows that.",
    ),
}
