"""A router beyond the paper: linear predictions, shrunk to each model's mean as far as the folds ask.

KNN and MLP fall below the zero router where neighbours say little, because they believe their noise.
Ridge regression has the zero router as a limit: with an infinite penalty every query is predicted each
model's mean, and the lambda path walks the models' hull. The router leaves the means only if a
permutation test finds that the queries' vectors tell anything, and then as far as the squared error on
left-out training folds bears it out. Neither can be won by luck: of tables without signal at most
`evidence.LEVEL` end elsewhere than at the means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.frontier import ROUNDING
from rb_support.outcomes import PartialOutcomes
from rb_support.routers.decision import answered_alike, training_vectors
from rb_support.routers.evidence import chunks, contrast_error, folds, knows_something, least

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

PENALTIES: tuple[float, ...] = tuple(float(p) for p in np.geomspace(1e-4, 1, 13))
"""Candidates, as multiples of the number of training rows."""


class RidgeRouter:
    """Ridge regression of every model's quality on the embedding, penalty chosen on training rows.

    Parameters
    ----------
    penalties : candidates as multiples of the number of training rows; infinity (always among them)
        predicts each model's mean. One value and no infinity is taken as it is, without test or folds.
    seed : of the folds and of the test's permutations.

    Attributes
    ----------
    penalty : the multiple chosen, after `fit`.
    fold_error : {penalty: `contrast_error` on the left-out folds}, after `fit`; empty if nothing was to
        choose, as where the vectors tell nothing.
    """

    def __init__(self, penalties: ArrayLike = PENALTIES, *, seed: int = 0) -> None:
        values = np.atleast_1d(np.asarray(penalties, dtype=float))
        if not (values > 0).all():
            raise ValueError(f"penalties must be positive, got {values.tolist()}")
        self._fixed = len(values) == 1
        self.penalties = tuple(values if self._fixed else np.unique(np.append(values, np.inf)))
        self.seed = seed

    def fit(self, train: PartialOutcomes, X: ArrayLike) -> RidgeRouter:
        """Choose the penalty, then fit each model on all training rows that it answered.

        Parameters
        ----------
        train : outcomes of n queries.
        X : (n, d) their embeddings.

        Raises
        ------
        ValueError
            If a model answered none of the queries.
        """
        vectors = training_vectors(train, X)
        choosable = not self._fixed and knows_something(train, vectors, seed=self.seed)
        told = left_out_ridges(train, vectors, self.penalties, seed=self.seed) if choosable else {}
        self.fold_error = {penalty: contrast_error(table, train.quality) for penalty, table in told.items()}
        self.penalty = least(self.fold_error) if self.fold_error else self.penalties[-1]
        leaves_means = bool(np.isfinite(self.penalty))
        self._groups, self._width = _fitted(vectors, train.quality, leaves_means), len(train.models)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m), clipped to [0, 1]."""
        return _predicted(self._groups, self._width, np.asarray(X, dtype=float), self.penalty)


def left_out_ridges(
    train: PartialOutcomes, X: Array, penalties: Sequence[float], *, seed: int
) -> dict[float, Array]:
    """Predicted quality of every row by ridge regressions on the other `folds`, (n, m) by penalty.

    NaN of a model that answered none of the others; no penalty at all where there is one prompt only.
    """
    parts = folds(train, seed=seed)
    predicted = {penalty: np.empty_like(train.quality) for penalty in penalties if parts}
    for seen, left_out in parts:
        groups = _fitted(X[seen], train.quality[seen])
        for penalty, table in predicted.items():
            table[left_out] = _predicted(groups, len(train.models), X[left_out], penalty)
    return predicted


def _fitted(X: Array, quality: Array, leaves_means: bool = True) -> list[tuple[Indices, _Ridge]]:
    """Columns of the models that answered the same rows, and their solutions."""
    return [
        (columns, _Ridge(vectors, scores, leaves_means))
        for columns, _, vectors, scores in answered_alike(X, quality)
    ]


def _products(X: Array, center: Array, other: Array, mean: Array) -> Array:
    """Sums over rows of the products of what departs from the centres, (d, m)."""
    total = np.zeros((X.shape[1], other.shape[1]))
    for some in chunks(len(X)):
        total += (X[some] - center).T @ (other[some] - mean)
    return total


def _predicted(groups: list[tuple[Indices, _Ridge]], models: int, X: Array, penalty: float) -> Array:
    """Predicted quality, (n, m); NaN of a model that is in no group."""
    predicted = np.full((len(X), models), np.nan)
    for columns, ridge in groups:
        predicted[:, columns] = ridge.predict(X, penalty)
    return predicted


class _Ridge:
    """Ridge solutions for all penalties from one eigendecomposition of the (d, d) scatter matrix.

    Of fewer rows than columns the smaller matrix of the rows' products has the same eigenvalues but zeros.
    Where only means are wanted, no direction is found.
    """

    def __init__(self, X: Array, quality: Array, leaves_means: bool) -> None:
        self.rows = len(X)
        self.center, self.mean = X.mean(axis=0), quality.mean(axis=0)
        if not leaves_means:
            self.values, self.axes = np.empty(0), np.empty((X.shape[1], 0))
        elif self.rows < X.shape[1]:
            centred = X - self.center
            values, sides = np.linalg.eigh(centred @ centred.T)
            kept = values > ROUNDING * max(values[-1], 1.0)
            self.values, self.axes = values[kept], centred.T @ sides[:, kept] / np.sqrt(values[kept])
        else:
            self.values, self.axes = np.linalg.eigh(_products(X, self.center, X, self.center))
        self.loads = self.axes.T @ _products(X, self.center, quality, self.mean)

    def predict(self, X: Array, penalty: float) -> Array:
        shrunk = self.loads / (self.values + penalty * self.rows)[:, None]
        return np.clip(self.mean + (X - self.center) @ (self.axes @ shrunk), 0.0, 1.0)
