"""The oracle router (RouterBench sec. 4.4): the best that any router could do on each query."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.frontier import exceeds


def oracle(quality: ArrayLike, cost: ArrayLike) -> NDArray[np.intp]:
    """Best model of each query, ties to the cheapest, then to the earlier column.

    Parameters
    ----------
    quality, cost : (n, m) true scores and costs in USD.

    Returns
    -------
    (n,) column called. Where every model is wrong the cheapest one is called (and paid).
    """
    scores, costs = np.asarray(quality, dtype=float), np.asarray(cost, dtype=float)
    best = ~exceeds(scores.max(axis=1, keepdims=True), scores)
    return np.asarray(np.where(best, costs, np.inf).argmin(axis=1))


def free_abstention(quality: ArrayLike, cost: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Oracle of the published files: where every score is 0 nobody is called and nothing is paid.

    Returns
    -------
    choice : (n,) column called, -1 for `no_model_correct`.
    spent : (n,) USD.
    """
    scores, costs = np.asarray(quality, dtype=float), np.asarray(cost, dtype=float)
    choice = np.where(scores.max(axis=1) > 0, oracle(scores, costs), -1)
    spent = np.where(choice >= 0, costs[np.arange(len(costs)), choice], 0.0)
    return choice, spent
