"""KNN router (RouterBench sec. 5.1): a model's predicted quality is its mean over similar queries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from rb_support.outcomes import Outcomes

Array = NDArray[np.float64]


class KNNRouter:
    """Mean score of the k training queries nearest by cosine.

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
        vectors = _unit(X)
        if len(vectors) != len(train):
            raise ValueError(f"{len(train)} training queries but {len(vectors)} embeddings")
        self._quality = train.quality
        # On unit vectors the order by Euclidean distance is the order by cosine, and has a faster kernel.
        self._index = NearestNeighbors(algorithm="brute").fit(vectors)
        return self

    def neighbours(self, X: ArrayLike, k: int | None = None) -> NDArray[np.intp]:
        """Training rows nearest to each query, nearest first: (n, min(k, training rows))."""
        count = min(k or self.k, len(self._quality))
        return np.asarray(self._index.kneighbors(_unit(X), n_neighbors=count, return_distance=False))

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m)."""
        return self.predict_many(X, [self.k])[self.k]

    def predict_many(self, X: ArrayLike, ks: Sequence[int]) -> dict[int, Array]:
        """Predicted quality for several k from one neighbour search: {k: (n, m)}."""
        return neighbour_means(self._quality, self.neighbours(X, max(ks)), ks)


def neighbour_means(quality: Array, neighbours: NDArray[np.intp], ks: Sequence[int]) -> dict[int, Array]:
    """Mean quality over the first k neighbours, for several k.

    Parameters
    ----------
    quality : (n_train, m) scores.
    neighbours : (n, k_max) rows of `quality`, nearest first.
    ks : numbers of neighbours; one above k_max takes all there are.
    """
    total = np.zeros((len(neighbours), quality.shape[1]))
    means: dict[int, Array] = {}
    done = 0
    for k in sorted(set(ks)):
        stop = min(k, neighbours.shape[1])
        for column in neighbours[:, done:stop].T:  # row by row of neighbours: no (n, k, m) block in memory
            total += quality[column]
        done = stop
        means[k] = total / stop
    return means


def _unit(X: ArrayLike) -> NDArray[np.float32]:
    return np.asarray(normalize(np.asarray(X, dtype=np.float32)))
