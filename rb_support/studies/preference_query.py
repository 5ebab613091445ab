"""One query as SW ranking sees it: which battles speak, how loud, and what win rate comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.embed import unit
from rb_support.frontier import exceeds
from rb_support.outcomes import Battles, PairScores
from rb_support.preference.sw import sw_weights
from rb_support.preference.win_model import oriented

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Battles between a strong and a weak model, and how near their prompts are to some queries.

    Attributes
    ----------
    similarity : (n, q) cosines of the battles' prompts to the queries.
    share : (n,) the strong model's share of each win: 1, 0, or 0.5 for a tie.
    prompts : n texts.
    queries : q texts.
    """

    similarity: Array
    share: Array
    prompts: Sequence[str]
    queries: Sequence[str]

    def weights(self, gamma: float = 10.0) -> Array:
        """(n, q) share of all weight that a battle has for a query (RouteLLM eq. 9); columns sum to 1."""
        weights = sw_weights(self.similarity.copy(), gamma)
        return weights / weights.sum(axis=0)

    def win_rates(self, gamma: float = 10.0) -> Array:
        """(q,) win rate of the strong model: between two names the weighted mean of wins solves eq. 10."""
        return np.asarray(self.share @ self.weights(gamma))

    @property
    def base(self) -> float:
        """The strong model's share of all wins: the win rate if no battle weighed more than another."""
        return float(self.share.mean())

    def nearest(self, query: int, gamma: float = 10.0, most: int = 12) -> pd.DataFrame:
        """The battles nearest to a query, the nearest first.

        Returns
        -------
        A row per battle: prompt, won (the strong model's share), similarity, weight (share of all weight).
        """
        columns = {"similarity": self.similarity[:, query], "weight": self.weights(gamma)[:, query]}
        frame = pd.DataFrame({"prompt": list(self.prompts), "won": self.share, **columns})
        order = np.argsort(-frame["similarity"].to_numpy().round(12), kind="stable")[:most]
        return frame.iloc[order].reset_index(drop=True)

    def calls_strong(self, gamma: float, alpha: float) -> NDArray[np.bool_]:
        """(q,) whether the strong model is called: the win rate is at least the threshold."""
        return ~exceeds(alpha, self.win_rates(gamma))

    def turned(self, gammas: Sequence[float], alpha: float) -> NDArray[np.bool_]:
        """(q,) whether the decision at a threshold hangs on gamma."""
        calls = np.array([self.calls_strong(gamma, alpha) for gamma in gammas])
        return np.asarray(calls.any(axis=0) & ~calls.all(axis=0))

    def contested(self, gammas: Sequence[float], alpha: float) -> list[int]:
        """Queries whose decision at a threshold hangs on gamma, those first whose win rate moves most.

        The first query, where there is none.
        """
        turned = np.flatnonzero(self.turned(gammas, alpha))
        moves = np.ptp([self.win_rates(gamma) for gamma in gammas], axis=0)[turned].round(9)
        return turned[np.argsort(-moves, kind="stable")].tolist() or [0]


def around(
    battles: Battles, X: pd.DataFrame, queries: PairScores, names: tuple[str, str], *, most: int = 400
) -> Neighbourhood:
    """The battles of a pair around queries that are evenly spread over a table.

    Parameters
    ----------
    battles : n, of which those between the two names count, each once.
    X : embeddings by prompt.
    queries : of which at most `most` are taken.
    names : what the strong and the weak model are called in the battles.

    Raises
    ------
    ValueError
        If no battle is between the two.
    """
    rows, share = oriented(battles, *names)
    prompts = battles.frame["prompt"].iloc[rows].tolist()
    places = np.linspace(0, len(queries) - 1, min(most, len(queries))).astype(int)
    asked = queries.frame["prompt"].iloc[places].tolist()
    known, told = (unit(X.loc[texts].to_numpy(dtype=np.float64)) for texts in (prompts, asked))
    return Neighbourhood(known @ told.T, share, prompts, asked)
