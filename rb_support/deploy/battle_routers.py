"""Routers of RouteLLM for any number of models: they learn from battles, and predict quality all the same.

Every row of an outcome table is a battle between any two models that answered it. The winner's share is
(1 + difference of scores) / 2: for right and wrong the golden label of RouteLLM sec. 4.1.1, with ties as
halves. So an expected share tells an expected difference of quality, which is 2 * share - 1.

Battles say who is better, not how hard a question is. What they say of a model on a query is its margin,
the mean of 2 P(it beats k) - 1 over the table's m models k. With similarity-weighted battles of a complete
table, that is the similarity-weighted mean of its quality above all models' (by the likelihood equations of
Bradley and Terry's model). The predicted quality is

    mean quality of the model on training rows + slope * (margin - mean margin of the model),

with the least-squares slope on left-out training folds, at least 0. It brings margins, of voters too, to
the scale of the table's scores. With two models the queries stay in the order of the paper's win rate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.special import expit

from rb_support.embed import unit
from rb_support.frontier import exceeds
from rb_support.outcomes import Battles, PartialOutcomes
from rb_support.preference.factorization import Fought, MatrixFactorization
from rb_support.preference.sw import bradley_terry_batch, fighters, sw_weights
from rb_support.routers.decision import training_vectors
from rb_support.routers.evidence import contrasts, folds

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

RIDGE = 1e-5
"""Penalty on squared ratings, as a share of the battles' weight, as `preference.sw.SWRanking` has it."""
BATCH = 128
"""Queries per block of a ranking; memory is about ``8 * BATCH * n_prompts`` bytes."""
MOST = 25_000
"""Battles that a factorization is trained on, unless told otherwise."""


class Fights(NamedTuple):
    """Battles as numbers, each (n,): row of the prompt, both models, a's share of the win, weight."""

    row: Indices
    a: Indices
    b: Indices
    share: Array
    weight: Array

    def take(self, which: NDArray[Any]) -> Fights:
        """Some of them."""
        return Fights(*(part[which] for part in self))


class BattleRouter(ABC):
    """A router that learns from the battles of a table, and of voters if there are any.

    Parameters
    ----------
    seed : of the folds, and of what is drawn.

    Attributes
    ----------
    names : all that fight, the table's m models first.
    slope : quality per unit of margin, after `fit`; 0 makes it the zero router.
    battles : how many it learnt from.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def fit(
        self, train: PartialOutcomes, X: ArrayLike, battles: Battles | None = None, Z: ArrayLike | None = None
    ) -> Self:
        """Learn from all battles, and find on left-out folds what a margin is worth.

        Parameters
        ----------
        train : outcomes of n queries; two models fight where both answered.
        X : (n, d) their embeddings.
        battles, Z : b further battles, such as votes, between any models, and (b, d) embeddings of their
            prompts.
        """
        vectors, told = training_vectors(train, X), fights_of(train.quality)
        strangers = [] if battles is None else [name for name in battles.models if name not in train.models]
        self.names, self._models = (*train.models, *strangers), len(train.models)
        n, prompts = len(vectors), train.frame["prompt"].tolist()
        if battles is not None:
            vectors = np.concatenate([vectors, np.asarray(Z, dtype=np.float64)])
            place = np.array([self.names.index(name) for name in battles.models])
            a, b = (place[side] for side in fighters(battles))
            votes = Fights(np.arange(n, len(vectors)), a, b, battles.share, battles.weight)
            both: list[Any] = [np.concatenate(parts) for parts in zip(told, votes, strict=True)]
            told = Fights(*both)
            prompts += battles.frame["prompt"].tolist()
        prompt = np.unique(np.asarray(prompts, dtype=str), return_inverse=True)[1]
        self._means = np.nanmean(train.quality, axis=0)
        margins = np.zeros((n, self._models))
        for _, left in folds(train, seed=self.seed):
            self._learn(vectors, prompt, told.take(~np.isin(prompt[told.row], prompt[left])))
            margins[left] = self.margins(vectors[left])
        self._center = margins.mean(axis=0)
        self.slope = _slope(margins - self._center, train.quality - self._means)
        self._learn(vectors, prompt, told)
        self.battles = len(told.row)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m), clipped to [0, 1]."""
        return np.clip(self._means + self.slope * (self.margins(X) - self._center), 0.0, 1.0)

    def margins(self, X: ArrayLike) -> Array:
        """(n, m) mean over all m models k of 2 P(model beats k) - 1, for queries with embeddings (n, d)."""
        ratings = self.ratings(X)[:, : self._models]
        return np.stack([(2 * expit(each[:, None] - ratings) - 1).mean(axis=1) for each in ratings.T], axis=1)

    @abstractmethod
    def ratings(self, X: ArrayLike) -> Array:
        """(n, names) of log odds: a beats b with probability 1 / (1 + exp(rating of b - rating of a))."""

    @abstractmethod
    def _learn(self, vectors: Array, prompt: Indices, fights: Fights) -> None:
        """Learn from battles, given the vector and number of the prompt in every row."""


class SWRouter(BattleRouter):
    """Similarity-weighted ranking (RouteLLM eq. 9-10): a Bradley-Terry model of its own for every query.

    The same model as `preference.sw.SWRanking`, for all pairs at once. It keeps the vectors of all prompts.

    Parameters
    ----------
    gamma : how much a similar battle counts more than a dissimilar one; the paper's is 10.
    seed : of the folds.
    """

    def __init__(self, gamma: float = 10.0, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.gamma = gamma

    def ratings(self, X: ArrayLike) -> Array:
        """(n, names) ratings in log odds, mean 0."""
        queries = unit(np.asarray(X, dtype=np.float64))
        if not len(self._fights.row):  # one model alone
            return np.zeros((len(queries), len(self.names)))
        blocks = np.split(queries, range(BATCH, len(queries), BATCH))
        return np.concatenate([bradley_terry_batch(self._totals(block), RIDGE) for block in blocks])

    def _learn(self, vectors: Array, prompt: Indices, fights: Fights) -> None:
        used, row = np.unique(fights.row, return_inverse=True)
        self._vectors, self._fights = unit(vectors[used]), fights._replace(row=row)
        self.__dict__.pop("_wins", None)

    def _totals(self, queries: Array) -> Array:
        sums = self._wins @ sw_weights(self._vectors @ queries.T, self.gamma)
        return np.asarray(sums.T.reshape(-1, len(self.names), len(self.names)))

    @cached_property
    def _wins(self) -> csr_array:
        """(names * names, prompts) weight of the wins per ordered pair of names."""
        (row, a, b, share, weight), size = self._fights, len(self.names)
        pair = np.concatenate([a * size + b, b * size + a])
        won = np.concatenate([weight * share, weight * (1 - share)])
        wins = csr_array((won, (pair, np.tile(row, 2))), shape=(size**2, len(self._vectors)))
        wins.eliminate_zeros()
        return wins

    def __getstate__(self) -> dict[str, Any]:
        """What is saved; wins are counted anew."""
        return {name: value for name, value in vars(self).items() if name != "_wins"}


class FactorizationRouter(BattleRouter):
    """Matrix factorization (RouteLLM eq. 11-12), folded into one direction per model once it is trained.

    Parameters
    ----------
    most : battles that it is trained on; of more, so many are drawn. It is trained once for every fold and
        once on all, and the time goes with the battles.
    seed : of the folds, the draw of battles and the training, whose settings are those of
        `preference.factorization.MatrixFactorization`.
    """

    def __init__(self, *, most: int = MOST, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.most = most

    def ratings(self, X: ArrayLike) -> Array:
        """(n, names) scores delta(M, q); 0 for a model that never fought."""
        return np.asarray(X, dtype=np.float64) @ self._directions + self._offsets

    def _learn(self, vectors: Array, prompt: Indices, fights: Fights) -> None:
        shape = vectors.shape[1], len(self.names)
        self._directions, self._offsets = np.zeros(shape), np.zeros(shape[1])
        if not len(fights.row):  # one model alone
            return
        if len(fights.row) > self.most:
            fights = fights.take(np.random.default_rng(self.seed).permutation(len(fights.row))[: self.most])
        used, row = np.unique(fights.row, return_inverse=True)
        at = np.unique([fights.a, fights.b])
        at = at[np.argsort(np.array(self.names)[at])]  # as `Battles.models` has them
        place = np.zeros(len(self.names), dtype=np.int64)
        place[at] = np.arange(len(at))
        sides = place[fights.a], place[fights.b]
        fought = Fought(vectors[used], row, prompt[fights.row].tolist(), *sides, fights.share, fights.weight)
        names = [self.names[each] for each in at]
        strong, weak = names[:2]  # as good as any: all battles teach
        model = MatrixFactorization(strong=strong, weak=weak, seed=self.seed, progress=False)
        model.learn(fought, names)
        weighed = model.P * model.w2[:, None]
        self._directions[:, at] = np.einsum("jmk,jkd->dm", weighed, model.W1) / len(weighed)
        self._offsets[at] = np.einsum("jmk,jk->m", weighed, model.b) / len(weighed)


def fights_of(quality: Array) -> Fights:
    """Battles between any two models on every row that both answered, (n, m) of scores or NaN."""
    a, b = np.triu_indices(quality.shape[1], 1)
    ahead = quality[:, a] - quality[:, b]
    row, pair = np.nonzero(np.isfinite(ahead))
    return Fights(row, a[pair], b[pair], (1 + ahead[row, pair]) / 2, np.ones(len(row)))


def _slope(told: Array, wanted: Array) -> float:
    """Least-squares slope, at least 0, of the differences between models, (n, m); NaN where not answered."""
    answered = np.isfinite(wanted)
    compared = answered & (np.count_nonzero(answered, axis=1) > 1)[:, None]
    step, aim = (contrasts(np.where(compared, part, np.nan)) for part in (told, wanted))
    length = float(np.nansum(step**2))
    return max(0.0, float(np.nansum(step * aim)) / length) if exceeds(length, 0.0, 1e-6) else 0.0
