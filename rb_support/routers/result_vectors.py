"""A model is its vector of results on clusters of prompts: UniRoute (arXiv 2502.08773, sec. 4 and 5).

The predicted quality of a model on a prompt is a product of two vectors: the model's results on clusters of
prompts, and the prompt's weights on these clusters. The paper has the weights from the clusters themselves,
or learnt from the outcomes of known models. Here they begin as memberships and are moved, by a share that
left-out rows choose, to where the known models' products agree best with a ridge regression of each: a
learnt map in closed form, where the paper trains one by gradients.

`ClusterRouter` has memberships alone, so that models say nothing of each other; here what moves a prompt is
learnt from all known models, and serves one that training never saw as well. `studies.new_models` learns
from a new model's labels how to weigh known models, or clusters; here nothing is learnt for a new model.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.outcomes import PartialOutcomes
from rb_support.routers.decision import checked_table, training_vectors
from rb_support.routers.evidence import contrast_error, folds, knows_something, least
from rb_support.routers.prompt_clusters import clusterings, memberships, profiles
from rb_support.routers.ridge import RidgeRouter, left_out_ridges

Array = NDArray[np.float64]

COUNTS, STRENGTHS, SHARES = (4, 8, 16, 32), (10.0, 30.0, 100.0), (0.0, 0.5, 1.0)
PENALTY = 0.03  # of the regression, as a multiple of the training rows
_SPREAD = 0.1  # result vectors that differ by less between models move a prompt little


class ResultVectorRouter:
    """Predicts quality as results on clusters times a prompt's weights on them; new models can be added.

    Parameters
    ----------
    shares : candidates for how far a prompt's weights leave its memberships, from 0 to 1.
    seed : of the clusters, the folds and the permutations.

    Attributes
    ----------
    models : names, those of training first, then those added.
    means, results : (models,) mean quality, and (clusters, models) shrunk results above it, after `fit`.
    strength, count, share : chosen, after `fit`; (infinity, 1, 0) is the zero router, always a candidate.
    fold_error : {these: `contrast_error` on left-out folds}, after `fit`; empty if nothing was to choose.
    """

    def __init__(self, shares: Sequence[float] = SHARES, *, seed: int = 0) -> None:
        self.shares, self.seed = tuple(shares), seed

    def fit(self, train: PartialOutcomes, X: ArrayLike) -> ResultVectorRouter:
        """Learn from n queries, X their (n, d) embeddings; ValueError if a model answered none of them."""
        vectors, self.means = training_vectors(train, X), train.points()[:, 1].copy()
        self.models, self._known = train.models, len(train.models)
        about, parts = train.quality - self.means, folds(train, seed=self.seed)
        found, self.fold_error = {1: np.zeros((1, vectors.shape[1]))}, dict[tuple[float, int, float], float]()
        if parts and knows_something(train, vectors, seed=self.seed):
            self.fold_error[np.inf, 1, 0.0] = contrast_error(np.zeros_like(about), about)
            found |= clusterings(train, vectors, COUNTS, self.seed)
            told = left_out_ridges(train, vectors, [PENALTY], seed=self.seed)[PENALTY] - self.means
        for count in found if self.fold_error else ():
            member, left_out = memberships(vectors, found[count]), np.empty((len(self.shares), *about.shape))
            for strength in STRENGTHS if count > 1 else ():
                for seen, left in parts:
                    results = profiles(member[seen], about[seen], strength)
                    for share, table in zip(self.shares, left_out, strict=True):
                        table[left] = _weights(member[left], told[left], results, share) @ results
                for share, table in zip(self.shares, left_out, strict=True):
                    self.fold_error[strength, count, share] = contrast_error(table, about)
        self.strength, self.count, self.share = least(self.fold_error or {(np.inf, 1, 0.0): 0.0})
        self._centers, self._ridge = found[self.count], RidgeRouter(PENALTY).fit(train, vectors)
        self.results = profiles(memberships(vectors, self._centers), about, self.strength)
        return self

    def with_model(self, model: str, scores: ArrayLike, X: ArrayLike) -> ResultVectorRouter:
        """The same router with one more model, placed by scores (b,) on queries with embeddings (b, d)."""
        column, other = checked_table("score", np.asarray(scores)[:, None], 0.0, 1.0), copy(self)
        profile = profiles(memberships(X, self._centers), column - column.mean(), self.strength)
        other.models, other.means = (*self.models, model), np.append(self.means, column.mean())
        other.results = np.hstack([self.results, profile])
        return other

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, models)."""
        weights = memberships(X, self._centers)
        if self.share:
            told = self._ridge.predict(X) - self.means[: self._known]
            weights = _weights(weights, told, self.results[:, : self._known], self.share)
        return np.clip(self.means + weights @ self.results, 0.0, 1.0)


def _weights(member: Array, told: Array, results: Array, share: float) -> Array:
    """Weights on k clusters, (n, k), moved towards what is told of m models, (n, m), where not NaN."""
    left = np.nan_to_num(told - member @ results)
    size = results @ results.T + len(results.T) * _SPREAD**2 * np.eye(len(results))
    return np.asarray(member + share * np.linalg.solve(size, results @ left.T).T)
