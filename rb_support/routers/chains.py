"""Which models to ask, and in which order: search over cascades (FrugalGPT's question, RouterBench sec. 5.3).

With no budget per query a cascade is a chain: each model is asked if all before it were rejected. What a
longer chain adds follows from the probability that its beginning was rejected, so that all chains grow
from shared beginnings and thousands cost a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.frontier import hull_indices
from rb_support.outcomes import Outcomes
from rb_support.routers.cascade import Cascade, checked_rates
from rb_support.stats import System, joined

Array = NDArray[np.float64]


class Chain(NamedTuple):
    """Models asked in turn with no budget per query: their columns, mean cost in USD, mean quality."""

    order: tuple[int, ...]
    cost: float
    quality: float


def chains(
    quality: ArrayLike,
    cost: ArrayLike,
    *,
    error_rate: float,
    threshold: float = 0.5,
    scores: ArrayLike | None = None,
    longest: int = 4,
) -> list[Chain]:
    """Every cascade of up to `longest` models in every order, with no budget per query.

    Parameters
    ----------
    quality, cost : (n, m) outcomes to choose by: training rows.
    error_rate : of the judge.
    threshold, scores : see `Cascade`.
    longest : 4 of 11 models make 9,031 chains, 5 make 64,471.
    """
    n, models = np.shape(cost)
    rows = Cascade(quality, cost, order=range(models), threshold=threshold, scores=scores)
    nobody_asked, reach = Chain((), 0.0, 0.0), np.full(n, 1 / n)
    return list(_grow(rows, checked_rates([error_rate]), nobody_asked, reach, longest))


def best_chains(found: Sequence[Chain]) -> list[Chain]:
    """Those on the hull of all: the best cascade at each mean cost, cheapest first."""
    return [found[i] for i in hull_indices([(chain.cost, chain.quality) for chain in found])]


def learned_cascades(
    train: Outcomes,
    train_scores: ArrayLike,
    test: Outcomes,
    test_scores: ArrayLike,
) -> System:
    """Threshold, models and order chosen on training rows for a real judge, as points on the test rows.

    Parameters
    ----------
    train, test : outcome tables with the same models.
    train_scores, test_scores : (n, m) the judge's scores, as `judged_split` gives them.

    Returns
    -------
    Every cascade on the hull of all of up to three models at thresholds from 0.5 to 0.9.
    """
    rows: dict[str, Any] = dict(error_rate=0.0, scores=train_scores, longest=3)
    tried = [
        (threshold, chain)
        for threshold in (0.5, 0.6, 0.7, 0.8, 0.9)
        for chain in chains(train.quality, train.cost, threshold=threshold, **rows)
    ]
    systems = []
    for i in hull_indices([(chain.cost, chain.quality) for _, chain in tried]):
        threshold, chain = tried[i]
        rules = Cascade(test.quality, test.cost, order=chain.order, threshold=threshold, scores=test_scores)
        systems.append(rules.system([np.inf]))
    return joined(systems)


def best_order(
    quality: ArrayLike, cost: ArrayLike, *, budget: float, error_rate: float, longest: int = 4
) -> Chain:
    """Best order and subset of models within a mean cost, such as FrugalGPT searches for.

    Exact among cascades of up to `longest` models; from the best of them on, models are added one by one,
    each where it helps most, as long as one helps and the budget allows it.

    Parameters
    ----------
    quality, cost : (n, m) outcomes to choose by: training rows.
    budget : mean cost to stay within, USD per query.
    error_rate, longest : see `chains`.

    Raises
    ------
    ValueError
        If no chain is as cheap as the budget.
    """
    found = chains(quality, cost, error_rate=error_rate, longest=longest)
    best = _best_within(found, budget)
    if best is None:
        cheapest = min(chain.cost for chain in found)
        raise ValueError(f"no cascade costs {budget:g} USD per query: the cheapest costs {cheapest:g}")
    while len(best.order) >= longest:
        longer = []
        added = sorted(set(range(np.shape(cost)[1])).difference(best.order))
        for model, place in product(added, range(len(best.order) + 1)):
            order = (*best.order[:place], model, *best.order[place:])
            spent, scored = Cascade(quality, cost, order=order).expected([np.inf], [error_rate])
            longer.append(Chain(order, spent.item(), scored.item()))
        better = _best_within([chain for chain in longer if chain.quality > best.quality], budget)
        if better is None:
            break
        best = better
    return best


def _grow(rows: Cascade, error: Array, chain: Chain, reach: Array, longest: int) -> Iterator[Chain]:
    """Every chain that goes on from `chain`; `reach` (n,) is 1/n of its chance to be rejected."""
    before = float(reach @ rows.quality[chain.order[-1]]) if chain.order else 0.0
    costs, qualities = rows.cost @ reach, rows.quality @ reach
    for model in set(range(len(costs))).difference(chain.order):
        longer = Chain(
            (*chain.order, model),
            chain.cost + float(costs[model]),
            chain.quality + float(qualities[model]) - before,
        )
        yield longer
        if len(longer.order) < longest:
            yield from _grow(rows, error, longer, reach * rows.rejected(model, error)[0], longest)


def _best_within(found: Sequence[Chain], budget: float) -> Chain | None:
    within = [chain for chain in found if chain.cost <= budget]
    return max(within, key=lambda chain: (chain.quality, -chain.cost), default=None)
