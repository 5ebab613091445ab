"""Similarity-weighted ranking (RouteLLM section 4.2): a Bradley-Terry model of its own for every query.

What a query needs of the battles are only the weighted totals of wins per pair of names: one sparse product
gives them for a whole batch, and Newton's method then works on as many unknowns as there are names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.special import expit
from tqdm.auto import tqdm

from rb_support.embed import unit
from rb_support.outcomes import Battles
from rb_support.outcomes.battles import A, B

Array = NDArray[np.float64]

_STEPS = 60
_CLOSE = 1e-9
_LONGEST_STEP = 2.0
_MANY_BLOCKS = 200


@dataclass(kw_only=True, eq=False)
class SWRanking:
    """Win rate from battles on similar prompts (RouteLLM eq. 9-10); there is nothing to train.

    A battle on a prompt of cosine similarity c to the query weighs ``gamma ** (1 + c / c_max)``, c_max being
    the query's largest similarity to any battle (as the reference code reads eq. 9). Where no battle
    resembles the query (c_max <= 0) the weight is ``gamma ** (1 + c)``. A tie, or a share of a win, counts
    for both sides. Names are whatever stands in the battles: relabel models to tiers to pool them.

    Parameters
    ----------
    strong, weak : names in the battles between which the win rate is asked.
    gamma : how much a similar battle counts more than a dissimilar one; the paper's is 10.
    ridge : penalty on squared ratings, as a share of the battles' total weight. It keeps ratings finite where
        one side always wins, and moves a win rate of .75 by less than 1e-5.
    batch : queries per block; memory is about ``8 * batch * n_prompts`` bytes.
    """

    reads: ClassVar[Literal["vectors"]] = "vectors"
    naming: ClassVar[Literal["tiers"]] = "tiers"
    strong: str = "strong"
    weak: str = "weak"
    gamma: float = 10.0
    ridge: float = 1e-5
    batch: int = 128

    def __post_init__(self) -> None:
        if not self.gamma > 1:
            raise ValueError(f"gamma must be above 1, so that similar battles count more; got {self.gamma}")
        if not self.ridge > 0:
            raise ValueError(f"ridge must be above 0, or ratings may be infinite; got {self.ridge}")

    def fit(self, battles: Battles, X: ArrayLike) -> SWRanking:
        """Keep the battles as wins per prompt and pair of names.

        Parameters
        ----------
        battles : n battles.
        X : (n, d) embeddings of their prompts; equal prompts have equal rows.

        Raises
        ------
        ValueError
            If the lengths differ, or `strong` or `weak` fought no battle.
        """
        vectors = np.asarray(X, dtype=np.float64)
        refuse_unlike(battles, vectors.shape, 2, self.strong, self.weak)
        self.names = battles.models
        prompt, _ = pd.factorize(battles.frame["prompt"])
        first = np.unique(prompt, return_index=True)[1]
        self._vectors = unit(vectors[first])
        self._wins = self._count(battles, prompt)
        return self

    def win_rate(self, X: ArrayLike) -> Array:
        """(n,) probability that the strong one wins, for queries with embeddings (n, d)."""
        ratings = self.ratings(X)
        strong, weak = (self.names.index(name) for name in (self.strong, self.weak))
        return np.asarray(expit(ratings[:, strong] - ratings[:, weak]))

    def ratings(self, X: ArrayLike) -> Array:
        """(n, names) Bradley-Terry rating of every name on every query, in natural log-odds, mean 0."""
        queries = unit(np.asarray(X, dtype=np.float64))
        blocks = np.split(queries, range(self.batch, len(queries), self.batch))
        shown = tqdm(blocks, desc="SW ranking", unit="block", disable=len(blocks) < _MANY_BLOCKS, leave=False)
        return np.concatenate([bradley_terry_batch(self.totals(block), self.ridge) for block in shown])

    def totals(self, queries: Array) -> Array:
        """(q, names, names) weight of the row's wins over the column's, for unit queries (q, d)."""
        weights = sw_weights(self._vectors @ queries.T, self.gamma)
        sums = self._wins @ weights
        return sums.T.reshape(-1, len(self.names), len(self.names))

    def _count(self, battles: Battles, prompt: NDArray[np.intp]) -> csr_array:
        """(names * names, prompts) weight of the wins per ordered pair of names and prompt."""
        (a, b), share, size = fighters(battles), battles.share, len(self.names)
        pair = np.concatenate([a * size + b, b * size + a])
        won = np.concatenate([battles.weight * share, battles.weight * (1 - share)])
        counts = csr_array((won, (pair, np.tile(prompt, 2))), shape=(size**2, prompt.max() + 1))
        counts.eliminate_zeros()
        return counts


def sw_weights(similarity: Array, gamma: float = 10.0) -> Array:
    """Weights of battles from their similarity to queries (RouteLLM eq. 9), in place.

    Parameters
    ----------
    similarity : (battles, queries) cosine similarities; overwritten.
    gamma : base of the weights.

    >>> sw_weights(np.array([[0.8], [0.4], [0.0]]))[:, 0].round(6).tolist()
    [100.0, 31.622777, 10.0]
    """
    largest = similarity.max(axis=0)
    scale = np.where(largest > 0, np.log(gamma) / np.where(largest > 0, largest, 1), np.log(gamma))
    similarity *= scale.astype(similarity.dtype)
    np.exp(similarity, out=similarity)
    similarity *= similarity.dtype.type(gamma)
    return similarity


def bradley_terry_batch(totals: Array, ridge: float = 1e-5) -> Array:
    """Ratings that make the observed wins likeliest, for many tables of wins at once (RouteLLM eq. 10).

    Parameters
    ----------
    totals : (q, t, t) weight of the wins of the row's name over the column's; the diagonal is not looked at.
    ridge : penalty on squared ratings, as a share of each table's total weight.

    Returns
    -------
    (q, t) ratings in natural log-odds: the row's name beats the column's with probability
    1 / (1 + exp(rating of the column's - rating of the row's)).

    Raises
    ------
    ValueError
        If a table holds no win at all.
    """
    wins = np.where(np.eye(totals.shape[1], dtype=bool), 0.0, totals)
    total = wins.sum(axis=(1, 2), keepdims=True)
    if not (total > 0).all():
        raise ValueError(f"table {int(np.argmin(total[:, 0, 0]))} holds no win between two names")
    wins = wins / total
    met = wins + wins.swapaxes(1, 2)
    ratings, diagonal = np.zeros(wins.shape[:2]), np.arange(wins.shape[1])
    for _ in range(_STEPS):  # damped Newton, until no rating moves: a concave problem of t unknowns per query
        chance = expit(ratings[:, :, None] - ratings[:, None, :])
        slope = (wins - met * chance).sum(axis=2) - ridge * ratings
        curve = -met * chance * (1 - chance)
        curve[:, diagonal, diagonal] = ridge - curve.sum(axis=2)
        step = np.linalg.solve(curve, slope[..., None])[..., 0]
        step -= step.mean(axis=1, keepdims=True)  # their mean is free but for the ridge, which wants it 0
        ratings += step / np.maximum(1, np.abs(step).max(axis=1, keepdims=True) / _LONGEST_STEP)
        if np.abs(step).max() < _CLOSE:
            return ratings
    raise ArithmeticError(f"ratings still move by {np.abs(step).max():.1g} after {_STEPS} steps")


def refuse_unlike(battles: Battles, shape: tuple[int, ...], axes: int, *names: str) -> None:
    """Raise a ValueError if X of a shape is no row each of the battles, or one of the names never fights."""
    if len(shape) != axes or shape[0] != len(battles):
        raise ValueError(f"{len(battles)} battles but X of shape {shape}; give what is read of each prompt")
    for name in names:
        if name not in battles.models:
            raise ValueError(f"{name!r} fights in none of the battles; known: {', '.join(battles.models)}")


def fighters(battles: Battles) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n,) place of each battle's model_a and (n,) of its model_b among `battles.models`."""
    a, b = (pd.Categorical(battles.frame[side], battles.models).codes.astype(np.int64) for side in (A, B))
    return a, b
