"""Costs predicted for every query, beside quality: CARROT (arXiv 2502.03261, sec. 2).

RouterBench weighs a query's predicted quality against what a model costs on average. But a long answer costs
more than a short one, and a query's vector may tell which it will get; so any predictor of quality is fitted
to costs as well, and a decision weighs both predictions.

Dollars are predicted, not their logarithm: what is paid is a mean, and the exponential of a mean logarithm is
a median, which lies below the mean of skewed costs, and the more the more they vary.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.outcomes import PartialOutcomes
from rb_support.routers.decision import mean_cost, training_vectors
from rb_support.routers.evidence import knows_something

Array = NDArray[np.float64]


class Predictor(Protocol):
    """A `PredictiveRouter` that learns each model from the queries that it answered."""

    def fit(self, train: PartialOutcomes, X: ArrayLike) -> object:
        """Learn from n queries and their embeddings (n, d)."""

    def predict(self, X: ArrayLike) -> Array:
        """Quality of every model, (n, m)."""


class CostAwareRouter:
    """Predicts quality as the router it is given, and costs as a router that is fitted to them.

    Costs are fitted in units of the table's largest, which brings them into [0, 1] as quality is, and keeps
    them in proportion: what a router that chooses its settings by `contrast_error` looks at are then
    differences in dollars between models, as in a decision. A model's predictions are kept between its least
    and its largest training cost, so that none is free that never was, and then scaled so that their mean on
    the training rows is its mean cost there. Where the vectors tell nothing of costs
    (`evidence.knows_something`) every query is predicted just that.

    Parameters
    ----------
    quality : a router, which is fitted to quality.
    cost : one that is fitted to costs in place of quality; a copy of the other one if None.
    seed : of the test's permutations.

    Attributes
    ----------
    cost_varies : whether costs are predicted to vary with the query, after `fit`.
    """

    def __init__(self, quality: Predictor, cost: Predictor | None = None, *, seed: int = 0) -> None:
        self.quality, self.cost, self.seed = quality, deepcopy(quality) if cost is None else cost, seed

    def fit(self, train: PartialOutcomes, X: ArrayLike) -> CostAwareRouter:
        """Fit both to n queries, X their (n, d) embeddings.

        Raises
        ------
        ValueError
            If a model answered none of the queries.
        """
        vectors, self._mean = training_vectors(train, X), mean_cost(train)
        self.quality.fit(train, vectors)
        costs = replace(train, quality=train.cost / (np.nanmax(train.cost) or 1.0))
        self.cost_varies = knows_something(costs, vectors, seed=self.seed)
        if self.cost_varies:
            self.cost.fit(costs, vectors)
            self._range = np.nanmin(costs.quality, axis=0), np.nanmax(costs.quality, axis=0)
            told = np.nanmean(np.where(train.answered, self._told(vectors), np.nan), axis=0)
            self._usd = np.where(told > 0, self._mean / np.where(told > 0, told, 1.0), 0.0)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m)."""
        return self.quality.predict(X)

    def predict_cost(self, X: ArrayLike) -> Array:
        """Predicted cost in USD per query, (n, m), at least 0."""
        if not self.cost_varies:
            return np.tile(self._mean, (len(np.asarray(X)), 1))
        return self._told(X) * self._usd

    def _told(self, X: ArrayLike) -> Array:
        """Predicted cost, (n, m), in units of the largest."""
        return np.clip(self.cost.predict(X), *self._range)
