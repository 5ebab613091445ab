"""Choosing a router's settings by what knowing nothing cannot win.

The hull over many routings picks those that were lucky on the rows it is drawn on, so AIQ on the very rows
that settings are chosen by rewards spread as much as knowledge. Squared error on left-out rows does not:
there a prediction that varies with nothing loses to each model's mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupKFold

from rb_support.frontier import exceeds
from rb_support.outcomes import Outcomes

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
K = TypeVar("K", int, float)

LEVEL = 0.025
"""Share of tables without signal on which a router that shrinks may leave the means."""

FOLDS = 5

_DRAWS = 199


def contrast_error(predicted: ArrayLike, quality: ArrayLike) -> float:
    """Mean squared error of the differences between models on one query, all that a decision looks at.

    Parameters
    ----------
    predicted, quality : (n, m). What is added to all models of a query changes no decision and counts
        nothing; of one model alone, with nothing to differ from, it is the plain squared error.
    """
    wrong = np.asarray(predicted, dtype=np.float64) - np.asarray(quality, dtype=np.float64)
    return float(np.mean((contrasts(wrong)) ** 2))


def contrasts(quality: Array) -> Array:
    """Quality above the mean of all models on the query, (n, m); of one model alone, as it is."""
    return quality - quality.mean(axis=1, keepdims=True) if quality.shape[1] > 1 else quality


def chance_of_knowing_nothing(X: ArrayLike, quality: ArrayLike, *, seed: int = 0) -> float:
    """How often shuffled queries seem to tell as much about the outcomes as these: a p-value.

    The statistic is the sum of squared covariances between every coordinate of the queries' vectors and
    every model's quality, the score test against small linear effects of all of them (Goeman et al. 2004).
    Its distribution without any is that over permutations of the rows, so the level is exact, whatever
    vectors and outcomes look like.

    Parameters
    ----------
    X : (n, d) vectors.
    quality : (n, m).
    seed : of the 199 permutations.
    """
    vectors, scores = np.asarray(X, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    centred, outcomes = (part - part.mean(axis=0) for part in (vectors, scores))
    rng = np.random.default_rng(seed)
    orders = [np.arange(len(outcomes)), *(rng.permutation(len(outcomes)) for _ in range(_DRAWS))]
    told = []
    for some in np.array_split(orders, 10):  # one product for twenty of them
        shuffled = outcomes[some].transpose(1, 0, 2).reshape(len(outcomes), -1)
        covariances = (centred.T @ shuffled).reshape(-1, len(some), outcomes.shape[1])
        told.append((covariances**2).sum(axis=(0, 2)))
    first, *_ = sums = np.concatenate(told)
    return float(np.mean(~exceeds(first, sums)))


def knows_something(train: Outcomes, X: ArrayLike, *, seed: int = 0) -> bool:
    """Whether the vectors tell anything of the outcomes, at `LEVEL`; never of too few rows for folds."""
    return len(train) >= 2 * FOLDS and chance_of_knowing_nothing(X, train.quality, seed=seed) <= LEVEL


def least(errors: Mapping[K, float]) -> K:
    """Setting of the least error; the largest of those that differ by rounding only."""
    best = min(errors.values())
    return max(setting for setting, error in errors.items() if not exceeds(error, best))


def prompt_numbers(train: Outcomes) -> Rows:
    """A number for every query, (n,); equal prompts have the same."""
    return np.unique(train.frame["prompt"].to_numpy(dtype=str), return_inverse=True)[1]


def folds(train: Outcomes, *, seed: int = 0) -> list[tuple[Rows, Rows]]:
    """Rows seen and rows left out, in `FOLDS` ways; equal prompts are left out together.

    Where fewer prompts than folds differ there are as many folds as prompts; of one prompt alone, none.
    """
    groups = prompt_numbers(train)
    count = min(FOLDS, int(groups.max()) + 1)
    if count < 2:
        return []
    parts = GroupKFold(count, shuffle=True, random_state=seed)
    return [(seen, left) for seen, left in parts.split(groups, groups=groups)]
