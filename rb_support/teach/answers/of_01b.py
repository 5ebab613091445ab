"""What exercises of notebook 01b compute; `01b.toml` says for what, and all else about them."""

# ruff: noqa: D103

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rb_support.teach.exercises import read

_NEAR, _MUCH = 1e-3, 0.3


def wide(samples: ArrayLike, models: ArrayLike, scores: ArrayLike) -> np.ndarray:
    """A row for every sample and a column for every model, both sorted by name; NaN where there is no answer."""
    long = pd.DataFrame({"sample": samples, "model": models, "score": scores})
    return long.pivot(index="sample", columns="model", values="score").to_numpy(dtype=float)


def tables(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Long tables: one in order, some shuffled, some with answers missing."""
    for n, m, lost in ((3, 2, 0), (3, 2, 0), (4, 3, 2), (6, 4, 5), (5, 2, 3)):
        samples = np.repeat([f"q{i}" for i in range(n)], m)
        models = np.tile([f"model-{chr(97 + j)}" for j in range(m)], n)
        order = rng.permutation(n * m)[lost:]
        yield samples[order], models[order], rng.integers(0, 11, n * m)[order] / 10


def by_place(samples: np.ndarray, models: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return scores.reshape(len(set(samples)), len(set(models)))


def by_appearance(samples: np.ndarray, models: np.ndarray, scores: np.ndarray) -> np.ndarray:
    (row, rows), (column, columns) = (pd.factorize(names) for names in (samples, models))
    table = np.full((len(rows), len(columns)), np.nan)
    table[row, column] = scores
    return table


def zero_for_none(samples: np.ndarray, models: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return np.nan_to_num(wide(samples, models, scores))


def models_as_rows(samples: np.ndarray, models: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return wide(samples, models, scores).T


def filled_with_the_mean(samples: np.ndarray, models: np.ndarray, scores: np.ndarray) -> np.ndarray:
    table = wide(samples, models, scores)
    return np.where(np.isnan(table), np.nanmean(table, axis=0), table)


def hides(answer: Any) -> str | None:
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


EXERCISES = read("01b")
