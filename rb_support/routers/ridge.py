"""A router beyond the paper: linear predictions, shrunk to each model's mean as far as the folds ask.

KNN and MLP fall below the zero router where neighbours say little, because they believe their noise.
Ridge regression has the zero router as a limit: with an infinite penalty every query is predicted each
model's mean, and the lambda path walks the models' hull. The penalty is chosen by the AIQ that predictions
for left-out training folds reach, so that the router departs from the zero router only as far as the
training rows support it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import KFold

from rb_support.frontier import aiq, shared_domain
from rb_support.outcomes import Outcomes
from rb_support.routers.decision import lambda_path, mean_cost, training_vectors
from rb_support.routers.zero import model_points

Array = NDArray[np.float64]

PENALTIES: tuple[float, ...] = tuple(float(p) for p in np.geomspace(1e-4, 1, 13))
"""Candidates, as multiples of the number of training rows."""

_FOLDS, _REPEATS = 5, 2


class RidgeRouter:
    """Ridge regression of every model's quality on the embedding, penalty chosen on training folds.

    Parameters
    ----------
    penalties : candidates as multiples of the number of training rows; infinity (always among them)
        predicts each model's mean. One value and no infinity is taken as it is, without folds.
    seed : of the folds.

    Attributes
    ----------
    penalty : the multiple chosen, after `fit`.
    fold_aiq : {penalty: AIQ on the left-out folds}, after `fit`; empty if nothing was to choose.
    """

    def __init__(self, penalties: ArrayLike = PENALTIES, *, seed: int = 0) -> None:
        values = np.atleast_1d(np.asarray(penalties, dtype=float))
        if not (values > 0).all():
            raise ValueError(f"penalties must be positive, got {values.tolist()}")
        self._fixed = len(values) == 1
        self.penalties = tuple(values if self._fixed else np.unique(np.append(values, np.inf)))
        self.seed = seed

    def fit(self, train: Outcomes, X: ArrayLike) -> RidgeRouter:
        """Choose the penalty on folds, then fit on all training rows.

        Parameters
        ----------
        train : outcomes of n queries.
        X : (n, d) their embeddings.
        """
        vectors = training_vectors(train, X)
        choosable = not self._fixed and len(train) >= 2 * _FOLDS
        self.fold_aiq = self._aiq_of_left_out(train, vectors) if choosable else {}
        # Of equally good penalties the strongest: without evidence stay with the means.
        self.penalty = max(self.fold_aiq or self.penalties[-1:], key=lambda p: (self.fold_aiq.get(p, 0.0), p))
        self._model = _Ridge(vectors, train.quality)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m), clipped to [0, 1]."""
        return self._model.predict(np.asarray(X, dtype=float), self.penalty)

    def _aiq_of_left_out(self, train: Outcomes, X: Array) -> dict[float, float]:
        """AIQ of every penalty by predictions for rows that the fit had not seen, mean over the repeats."""
        cost, domain = mean_cost(train), shared_domain(model_points(train)(None))
        totals, luck = dict.fromkeys(self.penalties, 0.0), np.random.RandomState(self.seed)
        for _ in range(_REPEATS):
            predicted = {penalty: np.empty_like(train.quality) for penalty in self.penalties}
            for seen, left_out in KFold(_FOLDS, shuffle=True, random_state=luck).split(X):
                model = _Ridge(X[seen], train.quality[seen])
                for penalty, table in predicted.items():
                    table[left_out] = model.predict(X[left_out], penalty)
            for penalty, table in predicted.items():
                points = lambda_path(table, cost).on(train.quality, train.cost)(None)
                totals[penalty] += aiq(points, *domain) / _REPEATS
        return totals


class _Ridge:
    """Ridge solutions for all penalties from one eigendecomposition of the (d, d) scatter matrix."""

    def __init__(self, X: Array, quality: Array) -> None:
        self.rows = len(X)
        self.center, self.mean = X.mean(axis=0), quality.mean(axis=0)
        centred = X - self.center
        self.values, self.axes = np.linalg.eigh(centred.T @ centred)
        self.loads = self.axes.T @ (centred.T @ (quality - self.mean))

    def predict(self, X: Array, penalty: float) -> Array:
        shrunk = self.loads / (self.values + penalty * self.rows)[:, None]
        return np.clip(self.mean + (X - self.center) @ (self.axes @ shrunk), 0.0, 1.0)
