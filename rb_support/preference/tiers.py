"""Tiers of models (RouteLLM sec. 4.1, App. A): ratings from battles, and the partition that varies least."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rb_support.outcomes import Battles
from rb_support.preference.sw import bradley_terry_batch, fighters

Array = NDArray[np.float64]
Criterion = Literal["sum_of_squares", "variance"]

ELO = 400 / np.log(10)
"""Rating points per unit of log odds."""

MEAN = 1000.0
"""Mean of the ratings."""

_PLACES = 6  # decimals of a rating; the solver stops within a millionth of a point
_SAME = 1e-12  # of the whole sum of squares; partitions closer than this count as equally good


def assign_tiers(
    ratings: Mapping[str, float], k: int, criterion: Criterion = "sum_of_squares"
) -> dict[str, int]:
    """Part models into k tiers of neighbouring ratings that vary as little as possible, exactly.

    Models of equal rating share a tier. Of equally good partitions the one is taken whose last tier is the
    largest, then the last but one, and so on.

    Parameters
    ----------
    ratings : model -> rating, the higher the better.
    k : number of tiers, none of them empty.
    criterion : what is minimised over the tiers: "sum_of_squares", the squared distances to the tier's
        mean (k-means in one dimension), or "variance", the sum of population variances, which counts
        a tier of one model as much as a tier of twenty, as RouteLLM's published code does.

    Returns
    -------
    model -> tier, 0 the best, in the order of falling ratings, then names.

    Raises
    ------
    ValueError
        If a rating is not finite, the criterion is unknown, or there are fewer different ratings than
        tiers.
    """
    if criterion not in get_args(Criterion):
        raise ValueError(f"criterion is {criterion!r}; take one of {', '.join(get_args(Criterion))}")
    names = sorted(ratings, key=lambda name: (-ratings[name], name))
    values = np.array([ratings[name] for name in names], dtype=float)
    if not np.isfinite(values).all():
        raise ValueError(f"rating of {names[int(np.argmin(np.isfinite(values)))]!r} is not finite")
    _, rank, counts = np.unique(-values, return_inverse=True, return_counts=True)
    if not 1 <= k <= len(counts):
        raise ValueError(
            f"{k} tiers cannot be made of {len(values)} models with {len(counts)} different ratings; "
            f"take between 1 and {len(counts)}"
        )
    starts = _best_starts(_costs(-np.unique(-values), counts, criterion), k)
    tiers = np.searchsorted(starts, rank, side="right") - 1
    return dict(zip(names, tiers.tolist(), strict=True))


def placed(listed: Mapping[str, int], ratings: Mapping[str, float]) -> dict[str, int]:
    """Tiers of all rated models, where some are listed: the others join the listed model of nearest rating.

    Parameters
    ----------
    listed : model -> published tier.
    ratings : model -> rating of every model that fights.

    Returns
    -------
    model -> tier, in the order of falling ratings, then names; of two equally near the better tier.

    Raises
    ------
    ValueError : if none of the rated models is listed.
    """
    known = {model: tier for model, tier in listed.items() if model in ratings}
    if not known:
        raise ValueError(f"none of {', '.join(ratings)} has a listed tier; rate and part them instead")

    def nearest(model: str) -> int:
        return min((round(abs(ratings[model] - ratings[other]), _PLACES), known[other]) for other in known)[1]

    names = sorted(ratings, key=lambda name: (-ratings[name], name))
    return {name: known.get(name, nearest(name)) for name in names}


def _costs(values: Array, counts: NDArray[np.intp], criterion: Criterion) -> Array:
    """(m, m + 1) cost of a tier from group i up to, not including, group j; infinite where it is empty."""
    centred = values - np.average(values, weights=counts)
    sums = [np.concatenate([[0.0], np.cumsum(counts * centred**power)]) for power in range(3)]
    size, first, second = (s[None, :] - s[:-1, None] for s in sums)
    there = size > 0
    size = np.where(there, size, 1.0)
    squares = np.maximum(second - first**2 / size, 0.0)
    return np.where(there, squares if criterion == "sum_of_squares" else squares / size, np.inf)


def _best_starts(costs: Array, k: int) -> NDArray[np.intp]:
    """(k,) first group of each tier, by dynamic programming over the number of tiers."""
    slack = _SAME * costs[0, -1]
    best, starts = costs[0], []
    for _ in range(k - 1):
        totals = best[:-1, None] + costs
        least = totals.min(axis=0)
        starts.append((totals <= least + slack).argmax(axis=0))
        best = least
    cuts, end = [], costs.shape[1] - 1
    for choice in reversed(starts):
        end = int(choice[end])
        cuts.append(end)
    return np.array([0, *reversed(cuts)], dtype=np.intp)


def bradley_terry(battles: Battles, ridge: float = 1e-3) -> dict[str, float]:
    """Rating of every model from all its battles (Bradley-Terry, as the Arena leaderboard rates).

    The log likelihood counts a battle by its weight and by model_a's share of the win, so a tie is half
    a win for either side. Ridge times half the squared log odds is taken off it, which keeps ratings finite
    where a model never loses and joins groups of models that never meet.

    Parameters
    ----------
    battles : any battles; who fights whom need not be balanced.
    ridge : penalty, in battles; small beside the battles of each model.

    Returns
    -------
    model -> rating on the Elo scale (400 points are odds of 10 to 1), mean 1000, by name; to a millionth, so
    that models which battles do not tell apart have equal ratings.

    Raises
    ------
    ValueError
        If the ridge is not above 0.
    """
    if not ridge > 0:
        raise ValueError(f"ridge is {ridge}; give a small number above 0, such as 0.001")
    a, b = fighters(battles)
    wins = np.zeros((len(battles.models), len(battles.models)))  # weighted, of the row's over the column's
    np.add.at(wins, (a, b), battles.weight * battles.share)
    np.add.at(wins, (b, a), battles.weight * (1 - battles.share))
    strength = bradley_terry_batch(wins[None], ridge / wins.sum())[0]
    ratings = (MEAN + ELO * strength).round(_PLACES)
    return dict(zip(battles.models, ratings.tolist(), strict=True))
