"""The zero router (RouterBench sec. 3.2): the best random mixture of models, blind to the query."""

from __future__ import annotations

from rb_support.frontier import hull_indices
from rb_support.outcomes import Outcomes
from rb_support.stats import Means, System


def model_points(outcomes: Outcomes) -> System:
    """Points of all models as a function of query weights: None or (n,) -> (m, 2) of (cost, quality).

    Its hull is the paper's zero router, which picks its models with the evaluated rows in hand.
    """
    return Means(outcomes.cost, outcomes.quality)


class ZeroRouter:
    """Zero router that chooses its models on training rows, as one who deploys it must.

    Attributes
    ----------
    columns : hull models by rising mean training cost, after `fit`.
    """

    def fit(self, train: Outcomes) -> ZeroRouter:
        """Find the models on the training rows' non-decreasing hull."""
        self.columns = hull_indices(model_points(train)(None))
        return self

    def on(self, test: Outcomes) -> System:
        """What the chosen models do on other rows: query weights -> (k, 2) points."""
        return Means(test.cost[:, self.columns], test.quality[:, self.columns])
