"""KNN router (RouterBench sec. 5.1): a model's predicted quality is its mean over similar queries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from sklearn.neighbors import NearestNeighbors

from rb_support.embed import unit
from rb_support.outcomes import PartialOutcomes
from rb_support.routers.decision import answered_alike, training_vectors
from rb_support.routers.evidence import contrast_error, contrasts, knows_something, least, prompt_numbers
from rb_support.routers.nearest import LargeIndex

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

TOLERANCE = 3e-3
"""Width, in cosine similarity, of the border between neighbours that count and those that do not."""

SPARE = 8
"""Neighbours fetched beyond the k-th at first, to see who lies on the border."""


MANY = 1 << 15
"""Training queries above which `LargeIndex` is the faster search."""


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
    k : number of neighbours, or several to choose from ("results of the optimal ones are displayed", caption
        of Figure 4): the one of the lowest `contrast_error` when every training query is predicted by the
        others, of which one neighbour search serves all k. The paper's best setting is said to be 40.
    shrink : beyond the paper: how far a prediction leaves each model's mean, from 0 (the mean) to 1 (the
        neighbours'), is chosen as k is, and is 0 unless the vectors tell anything
        (`evidence.knows_something`).
    seed : of that test's permutations.

    Attributes
    ----------
    k : the number chosen, after `fit`; the smallest candidate before.
    share : how far predictions leave the means, after `fit`.
    left_out_error : {k: error on the training queries}, after `fit`; empty if nothing was to choose.
    """

    def __init__(self, k: int | Sequence[int] = 40, *, shrink: bool = False, seed: int = 0) -> None:
        self.candidates = (k,) if isinstance(k, int) else tuple(sorted(set(k)))
        if not self.candidates or self.candidates[0] < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        self.k, self.share, self.shrink, self.seed = self.candidates[0], 1.0, shrink, seed

    def fit(self, train: PartialOutcomes, X: ArrayLike) -> KNNRouter:
        """Remember the training queries, and choose k if there is a choice.

        A model's neighbours are among the queries that it answered.

        Parameters
        ----------
        train : outcomes of n queries.
        X : (n, d) their embeddings.

        Raises
        ------
        ValueError
            If a model answered none of the queries.
        """
        raw, prompts, quality = training_vectors(train, X), prompt_numbers(train), train.quality
        units = unit(raw)
        self._means, self._groups = train.points()[:, 1].copy(), []
        for columns, rows, vectors, scores in answered_alike(units, quality):
            self._groups.append((columns, _Neighbours(vectors, scores, prompts[rows])))
        known = not self.shrink or knows_something(train, raw, seed=self.seed)
        choosable = known and (self.shrink or len(self.candidates) > 1) and prompts.max() > 0
        found = self._of_others(units, quality, prompts) if choosable else {}
        shares = dict.fromkeys(self.candidates, 0.0 if self.shrink else 1.0)
        if self.shrink:
            shares |= {k: _best_share(each - self._means, quality - self._means) for k, each in found.items()}
            found = {k: self._means + shares[k] * (each - self._means) for k, each in found.items()}
        self.left_out_error = {k: contrast_error(each, quality) for k, each in found.items()}
        self.k = least(self.left_out_error) if found else self.candidates[-1]
        self.share = shares[self.k]
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m)."""
        if self.share == 0:
            return np.tile(self._means, (len(np.asarray(X)), 1))
        return self.predict_many(X, [self.k])[self.k]

    def predict_many(self, X: ArrayLike, ks: Sequence[int]) -> dict[int, Array]:
        """Predicted quality for several k from one neighbour search: {k: (n, m)}."""
        vectors = unit(np.asarray(X, dtype=np.float64))
        found = {k: np.empty((len(vectors), len(self._means))) for k in ks}
        for columns, neighbours in self._groups:
            for k, means in neighbours.means(vectors, ks).items():
                found[k][:, columns] = means
        if self.share == 1:
            return found
        return {k: self._means + self.share * (means - self._means) for k, means in found.items()}

    def _of_others(self, vectors: Array, quality: Array, prompts: Indices) -> dict[int, Array]:
        """Predictions for what was answered of the training queries, by those of other prompts; else NaN."""
        found = {k: np.full(quality.shape, np.nan) for k in self.candidates}
        alike = answered_alike(vectors, quality)
        for (columns, neighbours), (_, rows, asked, _) in zip(self._groups, alike, strict=True):
            if np.ptp(prompts[rows]) == 0:
                continue
            for k, means in neighbours.means(asked, self.candidates, prompts[rows]).items():
                found[k][np.ix_(rows, columns)] = means
        return found


class _Neighbours:
    """Queries that some models answered, to be found by their vectors.

    Parameters
    ----------
    vectors : (n, d) unit vectors.
    quality : (n, m) scores.
    prompts : (n,) numbers, the same for equal prompts.
    """

    def __init__(self, vectors: Array, quality: Array, prompts: Indices) -> None:
        # On unit vectors the order by Euclidean distance is the order by cosine, and has a faster kernel.
        many = len(vectors) > MANY
        self.index = LargeIndex(vectors) if many else NearestNeighbors(algorithm="brute").fit(vectors)
        self.quality, self.prompts = quality, prompts

    def nearest(self, vectors: Array, count: int) -> tuple[Indices, Array]:
        """Rows of the queries nearest to unit vectors, and their cosines, both (n, count)."""
        distance, rows = self.index.kneighbors(vectors, n_neighbors=min(count, len(self.quality)))
        return rows, 1 - distance**2 / 2

    def means(self, vectors: Array, ks: Sequence[int], prompts: Indices | None = None) -> dict[int, Array]:
        """Means over neighbours, all of them or those of other prompts than the vectors' own (n,)."""
        largest, count = max(ks), max(ks) + SPARE
        rows, similarity = self._others(vectors, count, prompts)
        means = neighbour_means(self.quality, rows, similarity, ks)
        crowded = np.arange(len(vectors))
        while count < len(self.quality):  # some have a border that reaches beyond the neighbours fetched
            crowded = crowded[similarity[:, -1] > _border(similarity, largest) - TOLERANCE / 2]
            if not len(crowded):
                break
            count *= 2
            rows, similarity = self._others(
                vectors[crowded], count, None if prompts is None else prompts[crowded]
            )
            for k, again in neighbour_means(self.quality, rows, similarity, ks).items():
                means[k][crowded] = again
        return means

    def _others(self, vectors: Array, count: int, prompts: Indices | None) -> tuple[Indices, Array]:
        """`nearest`, without queries of the vectors' own prompts if those are given."""
        if prompts is None:
            return self.nearest(vectors, count)
        most = int(np.bincount(self.prompts).max())  # of one prompt
        rows, similarity = self.nearest(vectors, count + most)
        own = self.prompts[rows] == prompts[:, None]
        order = np.argsort(own, axis=1, kind="stable")[:, : max(1, rows.shape[1] - most)]
        return np.take_along_axis(rows, order, axis=1), np.take_along_axis(similarity, order, axis=1)


def _best_share(departure: Array, wanted: Array) -> float:
    """Share of a departure from the means, in [0, 1], of the least `contrast_error`; both are used up."""
    wanted[np.isnan(departure)] = departure[np.isnan(wanted)] = np.nan
    step, aim = contrasts(departure), contrasts(wanted)
    length = float(np.nansum(step**2))
    return float(np.clip(np.nansum(step * aim) / length, 0.0, 1.0)) if length > 0 else 0.0


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
        weight = neighbour_weights(similarity, k)
        weight = weight[:, weight.any(axis=0)]  # who is further away than all that count
        ends = np.arange(len(weight) + 1) * weight.shape[1]
        rows = neighbours[:, : weight.shape[1]].ravel()
        shares = csr_array((weight.ravel(), rows, ends), shape=(len(weight), len(quality)))
        means[k] = shares @ quality / weight.sum(axis=1, keepdims=True)
    return means


def neighbour_weights(similarity: Array, k: int) -> Array:
    """How much each neighbour counts, from 0 to 1, where k are asked for.

    Parameters
    ----------
    similarity : (n, c) cosine similarities of c neighbours, nearest first.
    """
    return np.clip((similarity - _border(similarity, k)[:, None]) / TOLERANCE + 0.5, 0.0, 1.0)


def _border(similarity: Array, k: int) -> Array:
    """Similarity midway between the k-th neighbour and the next, (n,); -inf where there is no next."""
    if k >= similarity.shape[1]:
        return np.full(len(similarity), -np.inf)
    return similarity[:, k - 1 : k + 1].mean(axis=1)
