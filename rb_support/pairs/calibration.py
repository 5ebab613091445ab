"""Choose the cost threshold of RouteLLM's eq. 2 on a sample of win rates, and check it on another."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from rb_support.pairs.metrics import columns, sweep_order

Meeting = Literal["at_least", "nearest"]

_SLACK = 1e-9  # calls; a share such as 0.1 + 0.2 means three of ten


def threshold_for(win_rate: ArrayLike, share: float, rule: Meeting = "at_least") -> float:
    """Threshold that sends a share of a sample's queries to the strong model.

    Queries of equal win rate move together, so that not every share can be met.

    Parameters
    ----------
    win_rate : (n,) predicted probability that the strong model wins, on a sample of queries.
    share : wanted share of strong calls in [0, 1].
    rule : "at_least" takes the smallest possible share that is not below the wanted one, "nearest" the
        nearest, of two equally near the smaller.

    Returns
    -------
    Lowest win rate that still goes to the strong model (eq. 2: win rate >= threshold); infinity if no
    query does.

    Raises
    ------
    ValueError
        If a win rate is not finite, there is none, or the share or the rule is unknown.
    """
    (rate,) = columns(win_rate=win_rate)
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; give a fraction in [0, 1]")
    if rule not in get_args(Meeting):
        raise ValueError(f"rule is {rule!r}; take one of {', '.join(get_args(Meeting))}")
    order, ends = sweep_order(rate)
    calls, wanted = np.concatenate([[0], ends]), share * len(rate)
    thresholds = np.concatenate([[np.inf], rate[order][ends - 1]])
    if rule == "at_least":
        return float(thresholds[np.argmax(calls >= wanted - _SLACK)])
    away = np.abs(calls - wanted)
    return float(thresholds[np.argmax(away <= away.min() + _SLACK)])


def share_at(win_rate: ArrayLike, threshold: float) -> float:
    """Share of strong calls at a threshold (RouteLLM eq. 2 and 4).

    Parameters
    ----------
    win_rate : (n,) predicted probability that the strong model wins.
    threshold : a query goes to the strong model from this win rate on.

    Raises
    ------
    ValueError
        If a win rate is not finite, or there is none.
    """
    (rate,) = columns(win_rate=win_rate)
    return float((rate >= threshold).mean())
