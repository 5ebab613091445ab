"""Choosing a router's settings by what knowing nothing cannot win.

The hull over many routings picks those that were lucky on the rows it is drawn on, so AIQ on the very rows
that settings are chosen by rewards spread as much as knowledge. Squared error on left-out rows does not:
there a prediction that varies with nothing loses to each model's mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupKFold

from rb_support.frontier import exceeds
from rb_support.outcomes import PartialOutcomes

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
K = TypeVar("K", int, float, tuple[float, int], tuple[float, int, float])

LEVEL = 0.025
"""Share of tables without signal on which a router that shrinks may leave the means."""

FOLDS = 5

CHUNK = 1 << 14
"""Training rows whose products are formed at once, so that their memory does not grow with the table."""

_DRAWS, TOGETHER = 199, 20
_CHANCES: dict[bytes, float] = {}


def contrast_error(predicted: ArrayLike, quality: ArrayLike) -> float:
    """Mean squared error of the differences between models on one query, all that a decision looks at.

    Parameters
    ----------
    predicted, quality : (n, m), NaN where nothing was answered or predicted. What is added to all models of
        a query changes no decision and counts nothing; of one model alone, with nothing to differ from, it
        is the plain squared error.
    """
    wrong = np.asarray(predicted, dtype=np.float64) - np.asarray(quality, dtype=np.float64)
    return float(np.nansum(contrasts(wrong) ** 2) / max(1, int(np.count_nonzero(~np.isnan(wrong)))))


def contrasts(quality: Array) -> Array:
    """Quality above the mean of all models that answered the query, (n, m); of one alone, as it is."""
    answers = np.count_nonzero(~np.isnan(quality), axis=1, keepdims=True)
    mean = np.nansum(quality, axis=1, keepdims=True) / np.maximum(answers, 1)
    return quality - np.where(answers > 1, mean, 0.0)


def chance_of_knowing_nothing(X: ArrayLike, quality: ArrayLike, *, seed: int = 0) -> float:
    """How often shuffled queries seem to tell as much about the outcomes as these: a p-value.

    The statistic is the sum of squared covariances between every coordinate of the queries' vectors and
    every model's quality, the score test against small linear effects of all of them (Goeman et al. 2004).
    Its distribution without any is that over permutations of the rows, so the level is exact, whatever
    vectors and outcomes look like; where models were not asked, as long as whom one asked did not hang on
    the query.

    Parameters
    ----------
    X : (n, d) vectors.
    quality : (n, m); NaN, where a model did not answer, adds nothing to its covariances.
    seed : of the 199 permutations.
    """
    vectors, scores = np.asarray(X, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    center = vectors.mean(axis=0)
    answers = np.maximum(np.count_nonzero(~np.isnan(scores), axis=0), 1)
    outcomes = np.nan_to_num(scores - np.nansum(scores, axis=0) / answers)
    rng = np.random.default_rng(seed)
    told, unchanged = [], [np.arange(len(outcomes))]
    for _ in range(0, _DRAWS + 1, TOGETHER):
        others = [rng.permutation(len(outcomes)) for _ in range(TOGETHER - len(unchanged))]
        orders, unchanged = np.array(unchanged + others), []
        sums = np.zeros((vectors.shape[1], TOGETHER * outcomes.shape[1]))
        for rows in chunks(len(vectors)):
            shuffled = outcomes[orders[:, rows].T].reshape(-1, sums.shape[1])
            sums += (vectors[rows] - center).T @ shuffled
        covariances = sums.reshape(-1, TOGETHER, outcomes.shape[1])
        told.append((covariances**2).sum(axis=(0, 2)))
    first, *_ = every = np.concatenate(told)
    return float(np.mean(~exceeds(first, every)))


def knows_something(train: PartialOutcomes, X: ArrayLike, *, seed: int = 0) -> bool:
    """Whether the vectors tell anything of the outcomes, at `LEVEL`; never of too few rows for folds.

    Routers that are compared ask it of the same rows, so answers are remembered.
    """
    if len(train) < 2 * FOLDS:
        return False
    vectors = np.ascontiguousarray(X, dtype=np.float64)
    asked = hashlib.blake2b(vectors.data, key=str((seed, vectors.shape)).encode())
    asked.update(np.ascontiguousarray(train.quality).data)
    if (key := asked.digest()) not in _CHANCES:
        _CHANCES[key] = chance_of_knowing_nothing(vectors, train.quality, seed=seed)
    return _CHANCES[key] <= LEVEL


def least(errors: Mapping[K, float]) -> K:
    """Setting of the least error; the largest of those that differ by rounding only."""
    best = min(errors.values())
    return max(setting for setting, error in errors.items() if not exceeds(error, best))


def prompt_numbers(train: PartialOutcomes) -> Rows:
    """A number for every query, (n,); equal prompts have the same."""
    return pd.factorize(train.frame["prompt"].to_numpy(dtype=object), sort=True)[0]


def chunks(n: int) -> Iterator[slice]:
    """Slices of at most `CHUNK` rows that n rows fall into."""
    return (slice(start, start + CHUNK) for start in range(0, n, CHUNK))


def folds(train: PartialOutcomes, *, seed: int = 0) -> list[tuple[Rows, Rows]]:
    """Rows seen and rows left out, in `FOLDS` ways; equal prompts are left out together.

    Where fewer prompts than folds differ there are as many folds as prompts; of one prompt alone, none.
    """
    groups = prompt_numbers(train)
    count = min(FOLDS, int(groups.max()) + 1)
    if count < 2:
        return []
    parts = GroupKFold(count, shuffle=True, random_state=seed)
    return [(seen, left) for seen, left in parts.split(groups, groups=groups)]


def fold_errors(
    train: PartialOutcomes,
    X: Array,
    predict: Callable[[Array, Array, Array], Mapping[K, Array]],
    *,
    seed: int = 0,
) -> dict[K, float]:
    """`contrast_error` of every setting's predictions for rows that the fit had not seen.

    Parameters
    ----------
    train : outcomes of n queries.
    X : (n, d) what is learnt from.
    predict : from the vectors and scores of rows seen, and the vectors of r rows left out, to each setting's
        predictions, (r, m).
    seed : of the folds; where there are none no setting has an error.
    """
    tables: dict[K, Array] = {}
    for seen, left_out in folds(train, seed=seed):
        for setting, predicted in predict(X[seen], train.quality[seen], X[left_out]).items():
            tables.setdefault(setting, np.empty_like(train.quality))[left_out] = predicted
    return {setting: contrast_error(table, train.quality) for setting, table in tables.items()}
