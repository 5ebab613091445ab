"""Clusters of prompts with a mean quality each: the idea of Avengers-Pro (arXiv 2508.12631, sec. 2).

There queries' embeddings are clustered, every model is scored by cluster, and a query is answered by the
scores of the clusters nearest to it. Here the scores are shrunk to each model's mean as far as left-out
training rows ask, so that one cluster, the zero router, is among the candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.outcomes import PartialOutcomes
from rb_support.routers.decision import training_vectors
from rb_support.routers.evidence import contrast_error, folds, knows_something, least
from rb_support.routers.prompt_clusters import clusterings, memberships, profiles

Array = NDArray[np.float64]

COUNTS, STRENGTHS = (2, 4, 8, 16, 32), (3.0, 10.0, 30.0, 100.0)


class ClusterRouter:
    """A query's prediction is the mean quality in the clusters near it, shrunk to each model's mean.

    Clusters are found without looking at outcomes, so that left-out folds need no clusters of their own.

    Parameters
    ----------
    counts : candidates for the number of clusters; those with too few prompts for it are left out.
    strengths : candidates for how many further answers of a model's mean quality every cluster is given.
        Infinitely many, the zero router, are always a candidate, and taken unless the vectors tell anything
        (`evidence.knows_something`).
    seed : of the clusters, the folds and that test's permutations.

    Attributes
    ----------
    strength, count : chosen, after `fit`; (infinity, 1) is the zero router.
    fold_error : {(strength, count): `contrast_error` on left-out folds}, after `fit`; empty if nothing was to
        choose.
    """

    def __init__(
        self, counts: Sequence[int] = COUNTS, strengths: Sequence[float] = STRENGTHS, *, seed: int = 0
    ) -> None:
        if not (min(counts) >= 1 and min(strengths) > 0):
            raise ValueError(f"counts and strengths must be positive, got {counts} and {strengths}")
        self.counts, self.strengths, self.seed = tuple(counts), tuple(strengths), seed

    def fit(self, train: PartialOutcomes, X: ArrayLike) -> ClusterRouter:
        """Choose clusters and strength on n queries, X their (n, d) embeddings, and learn from all of them.

        Raises
        ------
        ValueError
            If a model answered none of the queries.
        """
        vectors, self._means = training_vectors(train, X), train.points()[:, 1].copy()
        about, parts = train.quality - self._means, folds(train, seed=self.seed)
        found, self.fold_error = {1: np.zeros((1, vectors.shape[1]))}, dict[tuple[float, int], float]()
        if parts and knows_something(train, vectors, seed=self.seed):
            found |= clusterings(train, vectors, self.counts, self.seed)
            self.fold_error[np.inf, 1] = contrast_error(np.zeros_like(about), about)
        for count in found if self.fold_error else ():
            member, left_out = memberships(vectors, found[count]), np.empty_like(about)
            for strength in self.strengths if count > 1 else ():
                for seen, left in parts:
                    left_out[left] = member[left] @ profiles(member[seen], about[seen], strength)
                self.fold_error[strength, count] = contrast_error(left_out, about)
        self.strength, self.count = least(self.fold_error) if self.fold_error else (np.inf, 1)
        self._centers = found[self.count]
        self._profiles = profiles(memberships(vectors, self._centers), about, self.strength)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m)."""
        return np.clip(self._means + memberships(X, self._centers) @ self._profiles, 0.0, 1.0)
