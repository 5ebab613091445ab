"""The zero router (RouterBench sec. 3.2): the best random mixture of models, blind to the query."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.frontier import Curve, Part, hull_indices
from rb_support.outcomes import Outcomes

Array = NDArray[np.float64]


def model_points(outcomes: Outcomes) -> Callable[[ArrayLike | None], Array]:
    """Points of all models as a function of query weights: None or (n,) -> (m, 2) of (cost, quality).

    Its hull is the paper's zero router, which picks its models with the evaluated rows in hand.
    """
    cost, quality = outcomes.cost, outcomes.quality

    def points(weights: ArrayLike | None = None) -> Array:
        share = (
            np.full(len(cost), 1 / len(cost)) if weights is None else np.asarray(weights) / np.sum(weights)
        )
        return np.column_stack([share @ cost, share @ quality])

    return points


class ZeroRouter:
    """Zero router that chooses its models on training rows, as one who deploys it must.

    Attributes
    ----------
    columns : hull models by rising mean training cost, after `fit`.
    """

    def fit(self, train: Outcomes) -> ZeroRouter:
        """Find the models on the training rows' non-decreasing hull."""
        points = model_points(train)(None)
        self.models = train.models
        self.columns = hull_indices(points)
        self.curve = Curve(points[self.columns], tuple(train.models[j] for j in self.columns))
        return self

    def mixture(self, cost: float) -> list[Part]:
        """Which two models, with which probability, for `cost` USD per query in expectation."""
        return self.curve.mixture(cost)

    def on(self, test: Outcomes) -> Callable[[ArrayLike | None], Array]:
        """What the chosen models do on other rows: query weights -> (k, 2) points."""
        every = model_points(test)

        def points(weights: ArrayLike | None = None) -> Array:
            return every(weights)[self.columns]

        return points
