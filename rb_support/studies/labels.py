"""What golden labels are worth (RouteLLM sec. 4.1.1): learning curves, and choices on validation data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.embed import TFIDF, unit
from rb_support.outcomes import Battles, Origin, PairScores
from rb_support.pairs import apgr, threshold_sweep
from rb_support.preference.battle_sets import gold_battles
from rb_support.preference.factorization import MatrixFactorization
from rb_support.preference.sw import SWRanking
from rb_support.preference.training_sets import take_gold
from rb_support.studies.preference_study import Router, vectors

Array = NDArray[np.float64]
Views = Mapping[str, pd.DataFrame]
"""Name of an embedding -> vectors by prompt."""

BOTH = "both"
GAMMAS = (10.0, 30.0, 100.0, 300.0, 1000.0)
PAPER_GAMMA = 10.0
VALIDATION = 0.2
"""Share of the pool that choices are made on."""


@dataclass(frozen=True)
class Choice:
    """A router that learns from golden labels: SW ranking, or matrix factorization if gamma is 0.

    Attributes
    ----------
    view : the embedding it reads.
    gamma : of SW ranking.
    """

    view: str
    gamma: float = 0.0

    def __str__(self) -> str:
        router = f"SW ranking, gamma {self.gamma:g}" if self.gamma else "matrix factorization"
        return f"{router} on {self.view}"

    def win_rate(self, labels: PairScores, queries: PairScores, X: pd.DataFrame, seed: int = 0) -> Array:
        """(n,) win rates on queries, learnt from labels; X holds the vectors of this view by prompt."""
        learnt, asked = (X.loc[table.frame["prompt"]].to_numpy() for table in (labels, queries))
        strong, weak = labels.strong_model, labels.weak_model
        router: Router = MatrixFactorization(strong=strong, weak=weak, seed=seed, progress=False)
        if self.gamma:
            router = SWRanking(strong=strong, weak=weak, gamma=self.gamma)
        return router.fit(gold_battles(labels), learnt).win_rate(asked)


def make_views(prompts: Iterable[str], embedding: str, X: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Embeddings to choose among: the study's own, TF-IDF of the same prompts, and both side by side.

    TF-IDF learns its words from all prompts, of which no label is needed.

    Parameters
    ----------
    prompts : of the queries.
    embedding : name of the study's own embedding.
    X : its vectors by prompt.
    """
    texts = list(dict.fromkeys(prompts))
    own = X.loc[texts]
    if embedding == TFIDF:
        return {embedding: own}
    words = pd.DataFrame(vectors(texts, TFIDF), index=own.index)
    side = np.hstack([unit(own.to_numpy()), unit(words.to_numpy())])
    return {embedding: own, TFIDF: words, BOTH: pd.DataFrame(side, index=own.index)}


def choices(views: Iterable[str]) -> list[Choice]:
    """Everything among which the best combination is chosen: SW ranking at five gammas on each view."""
    return [Choice(view, gamma) for view in views for gamma in GAMMAS]


def validated(
    options: Iterable[Choice], labels: PairScores, validation: PairScores, views: Views
) -> dict[Choice, float]:
    """APGR on validation queries of choices of SW ranking, learnt from the labels.

    Parameters
    ----------
    options : what to choose among.
    labels : to learn from.
    validation : labelled queries to choose by; in none of the other parts.
    views : embeddings by name.
    """
    rates = {option: option.win_rate(labels, validation, views[option.view]) for option in options}
    return {option: area(rate, validation) for option, rate in rates.items()}


def best_of(scores: Mapping[Choice, float]) -> Choice:
    """The first choice of the highest score; a NaN is the lowest."""
    return max(scores, key=lambda choice: np.nan_to_num(scores[choice], nan=-np.inf))


Method = Callable[[PairScores, PairScores, int], Choice]
"""What to learn with, given labels, validation queries and a seed."""


def methods(views: Views, embedding: str) -> dict[str, Method]:
    """The learning curve's lines: the paper's two routers on vectors, gamma chosen, and the embedding too."""
    scores = cache(partial(validated, choices(views), views=views))

    def gamma_chosen(labels: PairScores, validation: PairScores, _: int) -> Choice:
        told = scores(labels, validation)
        return best_of({choice: told[choice] for choice in choices([embedding])})

    return {
        "SW ranking (gamma 10)": lambda *_: Choice(embedding, PAPER_GAMMA),
        "SW ranking (gamma chosen)": gamma_chosen,
        "Matrix factorization": lambda *_: Choice(embedding),
        "Best combination (chosen)": lambda labels, validation, _: best_of(scores(labels, validation)),
    }


def learning_curve(
    pool: PairScores, views: Views, sizes: Iterable[int], seeds: Iterable[int], lines: Mapping[str, Method]
) -> pd.DataFrame:
    """APGR for growing numbers of labels held out of a pool.

    For each seed a fifth of the pool is put aside to choose by, labels are drawn from the rest, and what is
    left then is judged on. A smaller set of labels is part of the larger ones of its seed.

    Parameters
    ----------
    pool : queries with both scores.
    views : embeddings by name.
    sizes : numbers of labels.
    seeds : each draws anew.
    lines : method name -> method; a method sees labels and validation queries only.

    Returns
    -------
    A row per seed, size and method: labels, seed, router, apgr, chosen, queries (those judged on); none of a
    size for which the pool has too few different prompts.
    """
    rows = []
    for seed, size in product(seeds, sizes):
        aside = take_gold(pool, int(VALIDATION * len(pool)), np.random.default_rng(seed))
        drawn = take_gold(aside[1], size, np.random.default_rng(seed)) if aside else None
        if aside and drawn:
            validation, (labels, judged) = aside[0], drawn
            for name, method in lines.items():
                choice = method(labels, validation, seed)
                rate = choice.win_rate(labels, judged, views[choice.view], seed)
                rows.append((size, seed, name, area(rate, judged), str(choice), len(judged)))
    return pd.DataFrame(rows, columns=["labels", "seed", "router", "apgr", "chosen", "queries"])


def area(rate: Array, pairs: PairScores) -> float:
    """APGR of win rates on queries; NaN without a gap."""
    shares, scores = threshold_sweep(rate, pairs.strong, pairs.weak)
    recovered = apgr(shares, scores, pairs.weak.mean(), pairs.strong.mean())
    return np.nan if recovered is None else recovered


def toy_battles(winners: Sequence[str]) -> Battles:
    """Battles between "strong" and "weak" on prompts of their own, for examples worked by hand.

    Parameters
    ----------
    winners : "model_a" (strong), "model_b" (weak) or "tie", one per battle.
    """
    prompts = [f"prompt {number}" for number in range(len(winners))]
    frame = pd.DataFrame({"prompt": prompts, "model_a": "strong", "model_b": "weak", "winner": list(winners)})
    return Battles(frame, Origin("simulated", "worked example"))
