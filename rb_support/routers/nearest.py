"""Nearest neighbours among very many vectors: found in single precision, ranked in double precision.

A product of matrices takes half the time in single precision. Its error has a bound, so that what lies within
twice the bound of the k-th holds the k nearest, whatever the processor; these few are measured again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

Array = NDArray[np.float64]
Single = NDArray[np.float32]
Indices = NDArray[np.intp]

QUERIES, KNOWN = 512, 1 << 14
"""Queries and known vectors multiplied at once: 32 MB of products."""
CROWD = 32
"""A query with so many times as many candidates as it asks for, all about as near, is searched exactly."""


class LargeIndex:
    """Brute-force search as `sklearn.neighbors.NearestNeighbors` has it, for tens of thousands of vectors on.

    Parameters
    ----------
    vectors : (n, d) known vectors in double precision.
    """

    def __init__(self, vectors: Array) -> None:
        self.vectors = vectors
        self.order = np.random.default_rng(0).permutation(len(vectors))  # so that no part of them is special
        self.squares = np.einsum("nd,nd->n", vectors, vectors)
        self.single: Single = np.empty((len(vectors), vectors.shape[1] + 1), dtype=np.float32)
        for start in range(0, len(vectors), KNOWN):
            some = self.order[start : start + KNOWN]
            self.single[start : start + KNOWN, :-1] = vectors[some]
            self.single[start : start + KNOWN, -1] = -self.squares[some] / 2

    def kneighbors(self, vectors: Array, n_neighbors: int) -> tuple[Array, Indices]:
        """Distances, rising, and rows of the nearest, both (q, n_neighbors); equally near ones by row."""
        distance = np.empty((len(vectors), n_neighbors))
        rows = np.empty((len(vectors), n_neighbors), dtype=np.intp)
        for start in range(0, len(vectors), QUERIES):
            some = slice(start, start + QUERIES)
            distance[some], rows[some] = self._ranked(vectors[some], n_neighbors)
        return distance, rows

    def _ranked(self, vectors: Array, count: int) -> tuple[Array, Indices]:
        """`kneighbors` of a few vectors."""
        query, row, crowded = self._candidates(vectors, count)
        squares = np.einsum("qd,qd->q", vectors, vectors)
        product = np.einsum("cd,cd->c", vectors[query], self.vectors[row])
        square = np.maximum(squares[query] + self.squares[row] - 2 * product, 0.0)
        order = np.lexsort((row, square, query))
        first = np.searchsorted(query[order], np.flatnonzero(~crowded))
        place = order[first[:, None] + np.arange(count)]
        distance, rows = np.empty((len(vectors), count)), np.empty((len(vectors), count), dtype=np.intp)
        distance[~crowded], rows[~crowded] = np.sqrt(square[place]), row[place]
        if crowded.any():
            exact = NearestNeighbors(algorithm="brute").fit(self.vectors)
            distance[crowded], rows[crowded] = exact.kneighbors(vectors[crowded], n_neighbors=count)
        return distance, rows

    def _candidates(self, vectors: Array, count: int) -> tuple[Indices, Indices, NDArray[np.bool_]]:
        """Pairs of a query and a row that may be near, the count nearest among them, and crowded queries.

        Of q * v - v * v / 2, which is largest where v is nearest, single precision knows each value but for
        (d + 5) units in the last place of |q| |v| + v * v / 2.
        """
        largest = float(np.sqrt(self.squares.max()))
        lengths = np.linalg.norm(vectors, axis=1)
        bound = 2 * (vectors.shape[1] + 8) * 2.0**-24 * (lengths * largest + largest**2 / 2)
        unsure, wanted = bound.astype(np.float32), np.ones((len(vectors), vectors.shape[1] + 1), np.float32)
        wanted[:, :-1] = vectors
        best = np.full((len(vectors), count), -np.inf, dtype=np.float32)
        least, total = best[:, 0], np.zeros(len(vectors), dtype=np.intp)
        found: list[tuple[Indices, Indices, Single]] = []
        for start in range(0, len(self.single), KNOWN):
            near = wanted @ self.single[start : start + KNOWN].T
            if start == 0 and near.shape[1] > count:
                least = np.partition(near, -count, axis=1)[:, -count] - unsure
            place = np.flatnonzero(near >= least[:, None])
            (query, column), value = np.divmod(place, near.shape[1]), near.ravel()[place]
            found.append((query, self.order[start + column], value))
            each = np.bincount(query, minlength=len(vectors))
            fresh = np.full((len(vectors), each.max()), -np.inf, dtype=np.float32)
            fresh[query, np.arange(len(query)) - np.repeat(np.cumsum(each) - each, each)] = value
            best = np.partition(np.hstack([best, fresh]), -count, axis=1)[:, -count:]
            total += each
            crowded = total > CROWD * count
            least = np.where(crowded, np.float32(np.inf), best.min(axis=1) - unsure)
        query, row, value = (np.concatenate(part) for part in zip(*found, strict=True))
        kept = value >= least[query]
        return query[kept], row[kept], crowded
