"""How far golden labels carry (RouteLLM sec. 4.1.1): learning curves, and choices made on labels alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.embed import TFIDF, embed
from rb_support.outcomes import PairScores
from rb_support.pairs import apgr, threshold_sweep
from rb_support.preference.factorization import MatrixFactorization
from rb_support.preference.material import take_gold
from rb_support.preference.prepare import gold_battles
from rb_support.preference.sw import SWRanking, unit

Array = NDArray[np.float64]
Views = Mapping[str, pd.DataFrame]
"""Name of an embedding -> vectors by prompt."""

BOTH = "both"
GAMMAS = (10.0, 30.0, 100.0, 300.0, 1000.0)
PAPER_GAMMA = 10.0
FOLDS = 5
MOST_LABELS = 1500
"""Labels that a choice looks at; more would only take longer."""


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
        strong, weak, battles = labels.strong_model, labels.weak_model, gold_battles(labels)
        if self.gamma:
            ranking = SWRanking(strong=strong, weak=weak, gamma=self.gamma)
            return ranking.fit(battles, learnt).win_rate(asked)
        model = MatrixFactorization(strong=strong, weak=weak, seed=seed, progress=False)
        return model.fit(battles, learnt).win_rate(asked)


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
    words = pd.DataFrame(embed(texts, TFIDF), index=own.index)
    side = np.hstack([unit(own.to_numpy()), unit(words.to_numpy())])
    return {embedding: own, TFIDF: words, BOTH: pd.DataFrame(side, index=own.index)}


def choices(views: Iterable[str]) -> list[Choice]:
    """Everything that `choose` looks at for the best combination: SW ranking at five gammas on each view."""
    return [Choice(view, gamma) for view in views for gamma in GAMMAS]


def cross_validate(
    options: Iterable[Choice], labels: PairScores, views: Views, *, seed: int = 0
) -> pd.Series[float]:
    """APGR of each choice on labels it has not learnt from, by its name; folds never part equal prompts.

    Parameters
    ----------
    options : what to compare.
    labels : golden labels; at most `MOST_LABELS` of them are looked at.
    views : embeddings by name.
    seed : of the folds.
    """
    rng = np.random.default_rng(seed)
    labels = take_gold(labels, MOST_LABELS, rng)[0] if len(labels) > MOST_LABELS else labels
    prompt = labels.frame["prompt"].astype("category").cat.codes.to_numpy()
    fold = rng.integers(0, FOLDS, prompt.max() + 1)[prompt]
    return pd.Series({str(option): _held_out_apgr(option, labels, views, fold, seed) for option in options})


def choose(
    options: Iterable[Choice], labels: PairScores, views: Views, *, seed: int = 0
) -> tuple[Choice, pd.Series[float]]:
    """The choice of highest APGR in `cross_validate`, and all of them."""
    by_name = {str(option): option for option in options}
    scores = cross_validate(by_name.values(), labels, views, seed=seed)
    return by_name[str(scores.idxmax())], scores


Method = Callable[[PairScores, int], Choice]
"""What to learn with, given the labels and a seed."""


def methods(views: Views, embedding: str) -> dict[str, Method]:
    """The learning curve's lines: the paper's two routers on vectors, gamma chosen, and everything chosen."""
    gammas = [Choice(embedding, gamma) for gamma in GAMMAS]
    return {
        "SW ranking (gamma 10)": lambda labels, seed: Choice(embedding, PAPER_GAMMA),
        "SW ranking (gamma chosen)": lambda labels, seed: choose(gammas, labels, views, seed=seed)[0],
        "Matrix factorization": lambda labels, seed: Choice(embedding),
        "Best combination (chosen)": lambda labels, seed: choose(choices(views), labels, views, seed=seed)[0],
    }


def learning_curve(
    pool: PairScores, views: Views, sizes: Iterable[int], seeds: Iterable[int], lines: Mapping[str, Method]
) -> pd.DataFrame:
    """APGR on the rest of a pool, for growing numbers of labels held out of it.

    Parameters
    ----------
    pool : queries with both scores.
    views : embeddings by name.
    sizes : numbers of labels.
    seeds : each draws the labels anew.
    lines : method name -> method; a method sees the labels only.

    Returns
    -------
    A row per size, seed and method: labels, seed, router, apgr, chosen.
    """
    rows = []
    for size in sizes:
        for seed in seeds:
            labels, rest = take_gold(pool, size, np.random.default_rng(seed))
            for name, method in lines.items():
                choice = method(labels, seed)
                rate = choice.win_rate(labels, rest, views[choice.view], seed)
                rows.append((size, seed, name, _apgr(rate, rest), str(choice)))
    return pd.DataFrame(rows, columns=["labels", "seed", "router", "apgr", "chosen"])


def _held_out_apgr(
    option: Choice, labels: PairScores, views: Views, fold: NDArray[np.int64], seed: int
) -> float:
    rate = np.empty(len(labels))
    for out in range(FOLDS):
        away, kept = labels.take(fold == out), labels.take(fold != out)
        rate[fold == out] = option.win_rate(kept, away, views[option.view], seed)
    return _apgr(rate, labels)


def _apgr(rate: Array, pairs: PairScores) -> float:
    area = apgr(*threshold_sweep(rate, pairs.strong, pairs.weak), pairs.weak.mean(), pairs.strong.mean())
    return np.nan if area is None else area
