"""KNN router (RouterBench sec. 5.1): a model's predicted quality is its mean over similar queries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import NearestNeighbors

from rb_support.embed import unit
from rb_support.outcomes import Outcomes
from rb_support.routers.decision import training_vectors

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

TOLERANCE = 3e-3
"""Width, in cosine similarity, of the border between neighbours that count and those that do not."""

SPARE = 8
"""Neighbours fetched beyond the k-th at first, to see who lies on the border."""


class KNNRouter:
    """Mean score of the k training queries nearest by cosine.

    Who is the k-th neighbour and who the next hangs on the last digit where both are about as similar, so
    the border between them is `TOLERANCE` wide: it lies midway between the k-th similarity and the next, a
    neighbour above it counts in full, and within it the weight falls from 1 to 0 on a straight line. Where
    the two are further apart than the border is wide, that is the plain mean of k; equally similar ones
    count alike, all of them. A change of every similarity by e moves a weight by at most 2 e / TOLERANCE,
    and so a prediction by no more than 2 e b / (TOLERANCE k) if b neighbours lie on the border.

    Parameters
    ----------
    k : number of neighbours; the paper's best setting is said to be 40.
    """

    def __init__(self, k: int = 40) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        self.k = k

    def fit(self, train: Outcomes, X: ArrayLike) -> KNNRouter:
        """Remember the training queries.

        Parameters
        ----------
        train : outcomes of n queries.
        X : (n, d) their embeddings.
        """
        self._quality = train.quality
        # On unit vectors the order by Euclidean distance is the order by cosine, and has a faster kernel.
        self._index = NearestNeighbors(algorithm="brute").fit(unit(training_vectors(train, X)))
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m)."""
        return self.predict_many(X, [self.k])[self.k]

    def predict_many(self, X: ArrayLike, ks: Sequence[int]) -> dict[int, Array]:
        """Predicted quality for several k from one neighbour search: {k: (n, m)}."""
        vectors, largest = unit(np.asarray(X, dtype=np.float64)), max(ks)
        count = largest + SPARE
        rows, similarity = self.nearest(vectors, count)
        means = neighbour_means(self._quality, rows, similarity, ks)
        crowded = np.arange(len(vectors))
        while count < len(self._quality):  # some have a border that reaches beyond the neighbours fetched
            crowded = crowded[similarity[:, -1] > _border(similarity, largest) - TOLERANCE / 2]
            if not len(crowded):
                break
            count *= 2
            rows, similarity = self.nearest(vectors[crowded], count)
            for k, again in neighbour_means(self._quality, rows, similarity, ks).items():
                means[k][crowded] = again
        return means

    def nearest(self, vectors: Array, count: int) -> tuple[Indices, Array]:
        """Rows of the training queries nearest to unit vectors, and their cosines, both (n, count)."""
        distance, rows = self._index.kneighbors(vectors, n_neighbors=min(count, len(self._quality)))
        return rows, 1 - distance**2 / 2


def neighbour_means(
    quality: Array, neighbours: Indices, similarity: Array, ks: Sequence[int]
) -> dict[int, Array]:
    """Mean quality over the first k neighbours, for several k, as `KNNRouter` weighs them.

    Parameters
    ----------
    quality : (n_train, m) scores.
    neighbours : (n, c) rows of `quality`, nearest first.
    similarity : (n, c) their cosine similarities.
    ks : numbers of neighbours; one of c or more takes all there are.
    """
    means: dict[int, Array] = {}
    for k in sorted(set(ks)):
        weight = np.clip((similarity - _border(similarity, k)[:, None]) / TOLERANCE + 0.5, 0.0, 1.0)
        total = np.zeros((len(neighbours), quality.shape[1]))
        for column, share in zip(neighbours.T, weight.T, strict=True):  # no (n, c, m) block in memory
            if not share.any():
                break
            total += share[:, None] * quality[column]
        means[k] = total / weight.sum(axis=1, keepdims=True)
    return means


def _border(similarity: Array, k: int) -> Array:
    """Similarity midway between the k-th neighbour and the next, (n,); -inf where there is no next."""
    if k >= similarity.shape[1]:
        return np.full(len(similarity), -np.inf)
    return similarity[:, k - 1 : k + 1].mean(axis=1)
