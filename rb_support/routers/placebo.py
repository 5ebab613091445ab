"""Routers that know nothing of the query: what every router's lead has to be held against.

A measure that pays for luck pays these too, so that a lead counts only where it is above what they reach.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.outcomes import Outcomes
from rb_support.routers.decision import checked_table, training_vectors

Array = NDArray[np.float64]

SAME = 1e-9
"""Predictions that differ by less are one: rounding is left."""


class PlaceboRouter:
    """Each model's mean training quality plus noise: it varies with the query and says nothing of it.

    Parameters
    ----------
    spread : standard deviation of the noise, in units of quality.
    seed : of the noise; every query and every call of `predict` gets new draws.
    """

    def __init__(self, spread: float = 0.01, *, seed: int = 0) -> None:
        if not spread >= 0:
            raise ValueError(f"spread must be at least 0, got {spread}")
        self.spread, self._rng = spread, np.random.default_rng(seed)

    def fit(self, train: Outcomes, X: ArrayLike) -> PlaceboRouter:
        """Learn each model's mean; the (n, d) embeddings are not looked at."""
        training_vectors(train, X)
        self._mean = train.quality.mean(axis=0)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m)."""
        shape = len(np.asarray(X)), len(self._mean)
        return np.asarray(self._mean + self.spread * self._rng.normal(size=shape))


class RandomRouter:
    """Noise alone, uniform in [0, 1): who is called hangs on nothing but cost and the dice.

    Parameters
    ----------
    seed : of the noise; every query and every call of `predict` gets new draws.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)

    def fit(self, train: Outcomes, X: ArrayLike) -> RandomRouter:
        """Count the models; neither outcomes nor the (n, d) embeddings are looked at."""
        training_vectors(train, X)
        self._models = len(train.models)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m)."""
        return self._rng.random((len(np.asarray(X)), self._models))


def dealt_out(predicted: ArrayLike, rng: np.random.Generator) -> Array:
    """A router's own predictions, (n, m), dealt out to the queries at random: same spread, no knowledge.

    Where predictions say nothing of the query this changes nothing but the luck, so that the leads of many
    such draws are the distribution of the router's own lead if it knows nothing: a permutation test.
    """
    return rng.permutation(checked_table("predicted quality", predicted), axis=0)


def knows_nothing(predicted: ArrayLike, cost: ArrayLike | None = None) -> bool:
    """Whether predictions order the models alike on every query and by as much: a zero router.

    Parameters
    ----------
    predicted : (n, m) quality.
    cost : (m,) or (n, m), if costs are predicted too; then both must know nothing.
    """
    tables = [checked_table("predicted quality", predicted)]
    if cost is not None:
        usd = checked_table("cost", np.broadcast_to(np.asarray(cost, dtype=float), tables[0].shape))
        tables.append(usd / (np.abs(usd).max() or 1.0))
    return all(bool(np.ptp(table - table[:, :1], axis=0).max() <= SAME) for table in tables)
