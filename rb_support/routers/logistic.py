"""A logistic regression per model, or routing as classification (Shnitzer et al. 2023, 2309.15789)"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from rb_support.outcomes import PartialOutcomes
from rb_support.routers.decision import training_vectors
from rb_support.routers.directions import Directions
from rb_support.routers.evidence import fold_errors, knows_something, least

Array = NDArray[np.float64]

PENALTIES: tuple[float, ...] = (3e-2, 1e-2, 3e-3, 3e-4)
"""Candidates, as multiples of the number of rows learnt from, for vectors of mean squared length one."""


class LogisticRouter:
    """L2-penalised logistic regression of every model's quality on the embedding's principal directions.

    A score between 0 and 1 is that share of a right answer and the rest of a wrong one. One penalty serves
    all models, lest one's noise be weighed against another's signal. As in `RidgeRouter` each model's mean is
    left only if a permutation test finds that vectors tell anything: folds alone leave it by luck more often
    than `evidence.LEVEL`. There is one optimum, and Newton's method gives some ten digits of it.

    Parameters
    ----------
    penalties : candidates as multiples of the number of training rows; infinity (always among them) predicts
        each model's mean. One value is taken as it is, without test or folds.
    seed : of the folds and of the test's permutations.

    Attributes
    ----------
    directions : columns that vectors are reduced to: 32 err hardly more than 128 on left-out folds.
    penalty : the multiple chosen, after `fit`.
    fold_error : {penalty: `contrast_error` on left-out folds}, after `fit`; empty if nothing was to choose.
    """

    directions = 32

    def __init__(self, penalties: float | Sequence[float] = PENALTIES, *, seed: int = 0) -> None:
        values = np.unique(np.atleast_1d(np.asarray(penalties, dtype=np.float64)))[::-1].tolist()
        if not values or not min(values) > 0:
            raise ValueError(f"penalties must be positive, got {penalties}")
        self.penalties = tuple(values if len(values) == 1 else dict.fromkeys([np.inf, *values]))
        self.seed = seed

    def fit(self, train: PartialOutcomes, X: ArrayLike) -> LogisticRouter:
        """Choose the penalty by n training rows and their (n, d) embeddings, then fit each model on all.

        Raises
        ------
        ValueError
            If a model answered none of the queries.
        """
        vectors = training_vectors(train, X)
        self._project = Directions(vectors, self.directions)
        projected = self._project(vectors)
        choosable = len(self.penalties) > 1 and knows_something(train, vectors, seed=self.seed)
        self.fold_error = fold_errors(train, projected, self._left_out, seed=self.seed) if choosable else {}
        self.penalty = least(self.fold_error) if self.fold_error else self.penalties[0]
        self._lines = _fitted(projected, train.quality, [self.penalty])[self.penalty]
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m)."""
        return _chances(self._project(np.asarray(X, dtype=np.float64)), self._lines)

    def _left_out(self, X: Array, quality: Array, asked: Array) -> dict[float, Array]:
        fitted = _fitted(X, quality, self.penalties)
        return {penalty: _chances(asked, lines) for penalty, lines in fitted.items()}


def _chances(X: Array, lines: Array) -> Array:
    return np.asarray(expit(lines[0] + X @ lines[1:]))


def _fitted(X: Array, quality: Array, penalties: Sequence[float]) -> dict[float, Array]:
    """Intercepts and slopes, (1 + d, m), of each penalty, heaviest first; NaN of a model without answers."""
    lines = {penalty: np.zeros((1 + X.shape[1], quality.shape[1])) for penalty in penalties}
    for model, scores in enumerate(quality.T):
        right, wrong, answers = scores > 0, scores < 1, np.count_nonzero(~np.isnan(scores))
        level = logit(np.nansum(scores) / answers) if answers else np.nan
        rows, labels = np.vstack([X[right], X[wrong]]), np.repeat([1, 0], [right.sum(), wrong.sum()])
        weights = np.concatenate([scores[right], 1 - scores[wrong]])
        regression = LogisticRegression(solver="newton-cholesky", tol=1e-8, warm_start=True)
        for penalty, line in lines.items():
            if np.isinf(penalty) or not np.isfinite(level) or not X.shape[1]:
                line[0, model] = level  # infinite if all answers are right, or all wrong
            else:
                regression.set_params(C=1 / (penalty * answers)).fit(rows, labels, weights)
                line[:, model] = np.append(regression.intercept_, regression.coef_)
    return lines
