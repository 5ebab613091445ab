"""Overgenerate and rerank (RouterBench sec. 5.2): every model answers, a reward picks the best answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support.frontier import Curve
from rb_support.outcomes import Outcomes
from rb_support.routers.cascade import Cascade, checked_rates

Array = NDArray[np.float64]


def rerank(
    quality: ArrayLike, cost: ArrayLike, *, error_rates: ArrayLike, order: Sequence[int] | None = None
) -> tuple[float, Array]:
    """Exact expectation of calling every model and keeping the answer with the highest reward.

    Parameters
    ----------
    quality, cost : (n, m) true scores and costs in USD.
    error_rates : probabilities with which the reward of an answer is 1 - g instead of g, each by itself.
    order : columns that are called; of equal rewards the first in the order wins. None: all, by mean cost.

    Returns
    -------
    cost : mean cost per query in USD, whatever the error.
    quality : (len(error_rates),) mean quality.
    """
    rows = Cascade(quality, cost, order=order)
    picked = [
        (pick(rows.quality.T, rate) * rows.quality.T).sum(axis=1).mean()
        for rate in checked_rates(error_rates)
    ]
    return float(rows.spent[-1].mean()), np.array(picked)


def rerank_table(outcomes: Outcomes, error_rates: ArrayLike) -> pd.DataFrame:
    """Rerank beside the cascade without a budget and the zero router with rerank's money.

    Returns
    -------
    A row per error rate: dataset, error_rate, rerank_usd_per_query, rerank_quality (ties to the cheapest),
    rerank_best_quality (ties to the model of the highest mean quality), cascade_usd_per_query,
    cascade_quality, zero_quality.
    """
    quality, cost, rates = outcomes.quality, outcomes.cost, checked_rates(error_rates)
    best_first = np.argsort(-quality.mean(axis=0), kind="stable").tolist()
    usd, reranked = rerank(quality, cost, error_rates=rates)
    spent, scored = Cascade(quality, cost).expected([np.inf], rates)
    columns = {
        "dataset": " + ".join(outcomes.datasets),
        "error_rate": rates,
        "rerank_usd_per_query": usd,
        "rerank_quality": reranked,
        "rerank_best_quality": rerank(quality, cost, error_rates=rates, order=best_first)[1],
        "cascade_usd_per_query": spent[0],
        "cascade_quality": scored[0],
        "zero_quality": Curve(outcomes.points()).at(usd),
    }
    return pd.DataFrame(columns)


def pick(quality: ArrayLike, error_rate: float) -> Array:
    """Probability that each answer has the highest reward, (n, m); ties go to the earlier column.

    Parameters
    ----------
    quality : (n, m) true scores in [0, 1].
    error_rate : probability that an answer's reward is inverted to 1 - g.
    """
    (rate,) = checked_rates([error_rate])
    true = np.asarray(quality, dtype=float)
    # Rounded, so that 1 - 0.9 ties with 0.1.
    rewards = np.stack([np.round(true, 12), np.round(1 - true, 12)])
    chances = np.array([1 - rate, rate])
    picked = np.zeros(true.shape)
    for reward, chance in zip(rewards, chances, strict=True):
        for j in range(true.shape[1]):
            mine = reward[:, [j]]
            below = np.tensordot(chances, rewards[:, :, :j] < mine, axes=1).prod(axis=1)
            upto = np.tensordot(chances, rewards[:, :, j + 1 :] <= mine, axes=1).prod(axis=1)
            picked[:, j] += chance * below * upto
    return picked
