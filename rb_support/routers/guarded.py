"""KNN that falls back on the best fixed model where a query's neighbours say little.

The guard is the idea of `experiential`'s RouterBench cookbook: leave the default model only where neighbours
speak up. How far it is left is the positive part of James and Stein (1961).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.embed import unit
from rb_support.frontier import exceeds
from rb_support.outcomes import PartialOutcomes
from rb_support.routers.decision import answered_alike, training_vectors
from rb_support.routers.evidence import contrast_error, contrasts, knows_something, least, prompt_numbers
from rb_support.routers.knn import _Neighbours

Array = NDArray[np.float64]


class GuardedKNNRouter:
    """Mean score of near training queries, as far as it departs from the models' means by more than chance.

    Let d_ij be how far the neighbours' mean contrast of model j (score above all models' mean) departs from
    that of all queries. Neighbours that tell nothing are k queries at random, for which d_ij ** 2 summed over
    j is expected to be E = sum_j var_j (1/k - 1/n). The prediction is mean_j + (1 - t ** 2 E / sum_j
    d_ij ** 2)+ (neighbours' mean_ij - mean_j), continuous in the similarities as KNN is. At t = 0 that is
    KNN, at infinity the models' means, whose lambda path walks their hull.

    Parameters
    ----------
    k : numbers of neighbours to choose from.
    seed : of the permutations of `evidence.knows_something`; where the vectors tell nothing t is infinite.

    Attributes
    ----------
    thresholds : candidates for t.
    threshold, k : chosen, after `fit`.
    left_out_error : {(t, k): `contrast_error` of training queries predicted by those of other prompts}, after
        `fit`; empty if vectors tell nothing.
    """

    thresholds = (0.0, 0.5, 1.0, 1.5, 2.0, np.inf)

    def __init__(self, k: Sequence[int] = (20, 40, 80, 160, 320), *, seed: int = 0) -> None:
        if not k or min(k) < 1:
            raise ValueError(f"k must be at least 1, got {list(k)}")
        self.candidates, self.seed = tuple(sorted(set(k))), seed

    def fit(self, train: PartialOutcomes, X: ArrayLike) -> GuardedKNNRouter:
        """Remember n training queries and their (n, d) embeddings, and choose by what others say of each.

        Raises
        ------
        ValueError
            If a model answered none of the queries.
        """
        raw, prompts = training_vectors(train, X), prompt_numbers(train)
        quality, contrast = train.quality, contrasts(train.quality)
        self._means, self._answers = train.points()[:, 1].copy(), train.answered.sum(axis=0)
        self._level, self._variance = np.nanmean(contrast, axis=0), np.nanvar(contrast, axis=0)
        self._groups, found = [], {k: np.full((2, *quality.shape), np.nan) for k in self.candidates}
        known = knows_something(train, raw, seed=self.seed)
        for columns, rows, vectors, scores in answered_alike(unit(raw), quality):
            both = np.hstack([scores, contrast[np.ix_(rows, columns)]])
            self._groups.append((columns, _Neighbours(vectors, both, prompts[rows])))
            if known and np.ptp(prompts[rows]):
                for k, means in self._groups[-1][1].means(vectors, self.candidates, prompts[rows]).items():
                    found[k][:, rows[:, None], columns] = np.split(means, 2, axis=1)
        tried = product(self.thresholds, self.candidates if known else ())
        errors = {(t, k): contrast_error(self._guarded(found[k], t, k), quality) for t, k in tried}
        self.left_out_error, (self.threshold, self.k) = errors, least(errors or {(np.inf, 1): 0.0})
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m)."""
        vectors = unit(np.asarray(X, dtype=np.float64))
        found = np.empty((2, len(vectors), len(self._means)))
        for columns, neighbours in self._groups:
            means = neighbours.means(vectors, [self.k])[self.k]
            found[:, :, columns] = np.split(means, 2, axis=1)
        return self._guarded(found, self.threshold, self.k)

    def _guarded(self, found: Array, threshold: float, k: int) -> Array:
        """Predictions from the neighbours' mean scores and contrasts, (2, n, m)."""
        quality, contrast = found
        if np.isinf(threshold):
            return np.where(np.isnan(quality), np.nan, self._means)
        away = (contrast - self._level) ** 2
        chance = self._variance * np.maximum(0, 1 / k - 1 / self._answers)
        expected = threshold**2 * np.nansum(np.where(np.isnan(away), 0.0, chance), axis=1, keepdims=True)
        size = np.nansum(away, axis=1, keepdims=True)
        share = np.where(exceeds(size, expected, 1.0), 1 - expected / np.where(size > 0, size, 1.0), 0.0)
        return np.asarray(self._means + share * (quality - self._means))
