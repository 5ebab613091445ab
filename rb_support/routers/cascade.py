"""Cascades (RouterBench sec. 5.2): ask models in turn until a judge accepts an answer.

A judge that errs with probability eps accepts and rejects with known probabilities, so what a cascade
costs and scores is an expectation in closed form. Reaching the k-th model replaces the answer before it
and adds the k-th cost; both are weighted by the probability that all before it were rejected, and count
only where the budget still allows the call. No dice are thrown; `simulate` throws them as a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.frontier import exceeds
from rb_support.outcomes import Outcomes
from rb_support.outcomes.checks import refuse_unknown
from rb_support.routers.decision import checked_table
from rb_support.stats import Means, System

Array = NDArray[np.float64]


class Cascade:
    """A cascade over fixed queries.

    Parameters
    ----------
    quality, cost : (n, m) true scores in [0, 1] and costs in USD of every model's answer.
    threshold : an answer is accepted if its score exceeds it.
    order : columns in the order they are asked, a subset if wished; None: all, by mean cost.
    stopping : "cap" stops before a call that would bring the cost of a query up to its budget T or past it
        (a true cap but for the first call, which is always made); "paper" goes on while the cost so far is
        below T, so the last call may overshoot.
    judge : what an error inverts: the judge's "decision", or, as the paper prints it, the "score" g, which
        becomes 1 - g. They differ for partial credit only.
    scores : (n, m) what the judge thinks of every answer, in [0, 1]; None: the truth, as in the paper.

    Raises
    ------
    ValueError
        If shapes disagree, a value is out of its range or not a number, or the order is no selection of
        the columns.
    """

    def __init__(
        self,
        quality: ArrayLike,
        cost: ArrayLike,
        *,
        threshold: float = 0.5,
        order: Sequence[int] | None = None,
        stopping: Literal["cap", "paper"] = "cap",
        judge: Literal["decision", "score"] = "decision",
        scores: ArrayLike | None = None,
    ) -> None:
        true, costs = checked_table("quality", quality, 0, 1), checked_table("cost", cost, 0)
        judged = true if scores is None else checked_table("judge's scores", scores, 0, 1)
        if not true.shape == costs.shape == judged.shape:
            raise ValueError(f"shapes disagree: quality {true.shape}, cost {costs.shape}, {judged.shape}")
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must lie in [0, 1], got {threshold}")
        if stopping not in ("cap", "paper") or judge not in ("decision", "score"):
            raise ValueError(
                f"stopping must be 'cap' or 'paper', judge 'decision' or 'score'; got {stopping!r}, {judge!r}"
            )
        self.order = _checked_order(order, costs)
        self.stopping = stopping
        columns = list(self.order)
        # One row per position in the order: what follows walks the positions.
        self.quality, self.cost = true.T[columns], costs.T[columns]
        self.spent = np.cumsum(self.cost, axis=0)
        # What reaching a position adds to the quality of the answer in hand, (m, n).
        self._gain = np.diff(self.quality, axis=0, prepend=0.0)
        self._accepted = judged.T[columns] > threshold
        self._inverted = ~self._accepted if judge == "decision" else 1 - judged.T[columns] > threshold

    @classmethod
    def on(cls, outcomes: Outcomes, *, order: Sequence[str] | None = None, **rules: Any) -> Self:
        """Cascade over an outcome table, `order` given by the models' names, all else as in the class.

        Raises
        ------
        TableError
            If the order names a model that the table does not have.
        """
        refuse_unknown(order or (), outcomes.models, outcomes.origin.name)
        columns = None if order is None else [outcomes.models.index(name) for name in order]
        return cls(outcomes.quality, outcomes.cost, order=columns, **rules)

    def expected(self, budgets: ArrayLike, error_rates: ArrayLike) -> tuple[Array, Array]:
        """Exact expectation for every budget and judge error rate (RouterBench sec. 5.2).

        Parameters
        ----------
        budgets : total cost T of a query, in USD, at least 0; infinity is no limit.
        error_rates : judge errors eps in [0, 1].

        Returns
        -------
        cost, quality : each (len(budgets), len(error_rates)): means per query, cost in USD.

        Examples
        --------
        >>> cost, quality = Cascade([[0, 1]], [[1, 4]]).expected(budgets=[1, 10], error_rates=[0, 0.5])
        >>> cost.tolist(), quality.tolist()
        ([[1.0, 1.0], [5.0, 3.0]], [[0.0, 0.0], [1.0, 0.5]])
        """
        limits, errors = _checked_budgets(budgets), checked_rates(error_rates)
        reach = np.ones((len(errors), self.cost.shape[1]))
        total = np.zeros((len(limits), 2 * len(errors)))
        for position, (cost, gain) in enumerate(zip(self.cost, self._gain, strict=True)):
            steps = np.concatenate([reach * cost, reach * gain])
            total += self._allowed(position, limits).astype(float) @ steps.T
            reach *= self.rejected(position, errors)
        total /= self.cost.shape[1]
        return total[:, : len(errors)], total[:, len(errors) :]

    def per_query(self, budgets: ArrayLike, error_rate: float) -> tuple[Array, Array]:
        """Expected cost (USD) and quality of every query, each (n, len(budgets)), at one error rate."""
        limits, errors = _checked_budgets(budgets), checked_rates([error_rate])
        reach = np.ones(self.cost.shape[1])
        spent, scored = np.zeros((2, len(limits), len(reach)))
        for position, (cost, gain) in enumerate(zip(self.cost, self._gain, strict=True)):
            allowed = self._allowed(position, limits)
            spent += allowed * (reach * cost)
            scored += allowed * (reach * gain)
            reach *= self.rejected(position, errors)[0]
        return spent.T, scored.T

    def system(self, budgets: ArrayLike, error_rate: float = 0.0) -> System:
        """Points over the budgets, (len(budgets), 2), as a function of query weights."""
        return Means(*self.per_query(budgets, error_rate))

    def simulate(
        self, budgets: ArrayLike, error_rates: ArrayLike, *, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """What one deployment on these queries happens to cost and score, shaped as in `expected`.

        An answer's die is thrown once: the same one decides at every budget and error rate.
        """
        limits, errors = _checked_budgets(budgets), checked_rates(error_rates)
        dice, rows = rng.random(self.cost.shape), np.arange(self.cost.shape[1])
        affordable = np.array([self._allowed(k, limits) for k in range(len(self.cost))]).sum(axis=0) - 1
        cost, quality = np.empty((2, len(limits), len(errors)))
        for e, rate in enumerate(errors):
            accepted = np.where(dice < rate, self._inverted, self._accepted)
            accepted[-1] = True  # nobody is left to ask
            last = np.minimum(affordable, accepted.argmax(axis=0))
            cost[:, e] = self.spent[last, rows].mean(axis=1)
            quality[:, e] = self.quality[last, rows].mean(axis=1)
        return cost, quality

    def _allowed(self, position: int, budgets: Array) -> NDArray[np.bool_]:
        """Whether the budget allows the call at a position, (len(budgets), n)."""
        if position == 0:
            return np.ones((len(budgets), self.cost.shape[1]), dtype=bool)
        spent = self.spent[position if self.stopping == "cap" else position - 1]
        return np.asarray(spent < budgets[:, None])

    def rejected(self, position: int, errors: Array) -> Array:
        """Probability that the answer at a position of the order is rejected, (len(errors), n)."""
        rates = errors[:, None]
        return 1 - np.where(self._accepted[position], 1 - rates, 0) - self._inverted[position] * rates


def cascade_name(error_rate: float) -> str:
    """Name of the cascade at an error rate, such as "Cascade, error 0.1"."""
    return f"Cascade, error {error_rate:g}"


def budget_grid(cost: ArrayLike, steps: int = 40) -> Array:
    """Budgets from "the first call only" to "every call", log-spaced, (steps,) USD per query.

    Parameters
    ----------
    cost : (n, m) costs in USD.
    """
    costs = checked_table("cost", cost, 0)
    dearest = costs.sum(axis=1).max() or 1.0  # where every call is free any budget allows them all
    low = costs[costs > 0].min(initial=dearest)
    return np.geomspace(low, dearest * 1.001, steps)  # a cap of exactly the sum would forbid the last call


def break_even(error_rates: ArrayLike, lead: ArrayLike) -> float:
    """Error rate at which a cascade's lead over the zero router is used up.

    Parameters
    ----------
    error_rates : (k,) rising.
    lead : (k,) AIQ minus the zero router's at each of them; linear in between.

    Returns
    -------
    The first crossing; the first rate if there is no lead even there, the last if it is never used up.
    """
    rates, leads = np.asarray(error_rates, dtype=float), np.asarray(lead, dtype=float)
    lost = ~exceeds(leads, 0, 1)
    if not lost.any():
        return float(rates[-1])
    after = int(lost.argmax())
    if after == 0:
        return float(rates[0])
    share = leads[after - 1] / (leads[after - 1] - min(leads[after], 0.0))  # a lead of rounding is none
    return float(rates[after - 1] + share * (rates[after] - rates[after - 1]))


def checked_rates(error_rates: ArrayLike) -> Array:
    """Error rates as an array (k,), if all lie in [0, 1]."""
    return _checked("error rates must be a list of numbers in [0, 1]", error_rates, 1.0)


def _checked_budgets(budgets: ArrayLike) -> Array:
    """Budgets as an array (k,), if all are at least 0; infinity is no limit."""
    return _checked("budgets must be a list of USD per query, at least 0", budgets, np.inf)


def _checked(wanted: str, numbers: ArrayLike, highest: float) -> Array:
    values = np.asarray(numbers, dtype=float)
    if values.ndim != 1 or values.size == 0 or not ((values >= 0) & (values <= highest)).all():
        raise ValueError(f"{wanted}, got {values.tolist()}")
    return values


def _checked_order(order: Sequence[int] | None, cost: Array) -> tuple[int, ...]:
    models = cost.shape[1]
    if order is None:
        return tuple(np.argsort(cost.mean(axis=0), kind="stable").tolist())
    columns = tuple(int(column) for column in order)
    unknown = [column for column in columns if not 0 <= column < models]
    if unknown:
        raise ValueError(f"order asks for column {unknown[0]}; the table has columns 0 to {models - 1}")
    if not columns or len(set(columns)) < len(columns):
        raise ValueError(f"order must name at least one column, and each only once; got {columns}")
    return columns
