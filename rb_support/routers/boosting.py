"""Gradient boosting of trees per model (Friedman 2001), with the histograms of Ke et al. (LightGBM, 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.outcomes import PartialOutcomes
from rb_support.routers.decision import training_vectors
from rb_support.routers.directions import Directions
from rb_support.routers.evidence import fold_errors, knows_something, least

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

Array = NDArray[np.float64]


class BoostingRouter:
    """Boosted regression trees from the embedding's first principal directions to the quality of every model.

    Trees look for borders in every column: MiniLM's 384 would take many times as long as the 8 directions
    kept, which hold .24 to .38 of its variance; 16 err hardly less on left-out folds of the tables at hand,
    nor do trees of 4 leaves less than stumps, which add up effects of one column. The number of trees is one
    for all models; it is 0, each model's mean, unless a permutation test finds that vectors tell anything
    (`evidence.knows_something`, a test against linear effects: a signal without any is not seen). Nothing
    stops early: that hangs on one comparison.

    A tree is a step function: no bound on how far vectors move bounds its predictions. Its columns are
    rounded, so that the steps are the same on every processor as often as `Directions` says.

    Parameters
    ----------
    trees : numbers of trees per model to choose from. One value is taken as it is, without test or folds.
    seed : of the folds and of the test's permutations.

    Attributes
    ----------
    directions, leaves, rate, bins : columns, leaves of a tree, share taken of its step, bins of a column.
    chosen : number of trees, after `fit`.
    fold_error : {trees: `contrast_error` on the left-out folds}, after `fit`; empty if nothing was to choose.
    """

    directions, leaves, rate, bins = 8, 2, 0.2, 63

    def __init__(self, trees: int | Sequence[int] = (3, 6, 12, 40), *, seed: int = 0) -> None:
        several = [trees] if isinstance(trees, int) else [0, *trees]
        if min(several) < 0:
            raise ValueError(f"trees must be at least 0, got {trees}")
        self.trees, self.seed = tuple(sorted(set(several))), seed

    def fit(self, train: PartialOutcomes, X: ArrayLike) -> BoostingRouter:
        """Choose by n training rows and their (n, d) embeddings, then fit each model on all that it answered.

        Raises
        ------
        ValueError
            If a model answered none of the queries.
        """
        vectors = training_vectors(train, X)
        self._project, self._means = Directions(vectors, self.directions), train.points()[:, 1].copy()
        projected = self._project(vectors)
        choosable = len(self.trees) > 1 and knows_something(train, vectors, seed=self.seed)
        self.fold_error = fold_errors(train, projected, self._left_out, seed=self.seed) if choosable else {}
        self.chosen = least(self.fold_error) if self.fold_error else self.trees[0]
        grown = self.chosen if projected.shape[1] else 0
        self._boosted = [self._grown(projected, scores, grown) for scores in train.quality.T if grown]
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m), clipped to [0, 1]."""
        vectors = np.asarray(X, dtype=np.float64)
        if not self._boosted:
            return np.tile(self._means, (len(vectors), 1))
        projected = self._project(vectors)
        return np.clip(np.column_stack([each.predict(projected) for each in self._boosted]), 0.0, 1.0)

    def _left_out(self, X: Array, quality: Array, asked: Array) -> dict[int, Array]:
        """Every number of trees' predictions for rows that the fit had not seen."""
        found = {trees: np.full((len(asked), quality.shape[1]), np.nan) for trees in self.trees}
        for model, scores in enumerate(quality.T):
            if np.isnan(scores).all():
                continue
            found[0][:, model] = np.nanmean(scores)
            for trees, stage in enumerate(self._grown(X, scores, self.trees[-1]).staged_predict(asked), 1):
                if trees in found:
                    found[trees][:, model] = np.clip(stage, 0.0, 1.0)
        return found

    def _grown(self, X: Array, scores: Array, trees: int) -> HistGradientBoostingRegressor:
        # half a second, which few who come by need
        from sklearn.ensemble import HistGradientBoostingRegressor

        shape = dict(max_leaf_nodes=self.leaves, learning_rate=self.rate, max_bins=self.bins)
        trained = HistGradientBoostingRegressor(max_iter=trees, early_stopping=False, **shape)
        answered = ~np.isnan(scores)
        return trained.fit(X[answered], scores[answered])
