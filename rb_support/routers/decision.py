"""From predicted quality to a routing decision, for one willingness to pay or for all at once.

RouterBench sec. 5.1 scores model j on query i by lambda * P_ij - cost_j and calls the best. As lambda
grows from nought, query i walks up the upper hull of its own points (cost_j, P_ij): the cheapest model
first, then each hull vertex in turn, the change between two of them falling at lambda = (difference of
cost) / (difference of P). All such breakpoints together are the whole path; nothing is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.frontier import cheapest, climb, exceeds
from rb_support.outcomes import Outcomes, PartialOutcomes
from rb_support.stats import SAME_PRICE, Steps

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

CHUNK = 1 << 14
"""Queries that climb together, so that memory beyond the path itself does not grow with the table."""


class PredictiveRouter(Protocol):
    """A router that learns from training rows and predicts the quality of every model."""

    def fit(self, train: Outcomes, X: ArrayLike) -> Self:
        """Learn from n training queries and their embeddings (n, d).

        Those that take a `PartialOutcomes` too learn each model from the queries that it answered.
        """

    def predict(self, X: ArrayLike) -> Array:
        """Quality of every model, (n, m), for n new queries."""


def training_vectors(train: PartialOutcomes, X: ArrayLike) -> Array:
    """Embeddings (n, d) in double precision of the n training queries.

    Raises
    ------
    ValueError
        If they are not as many, or a model answered none of the queries.
    """
    vectors = np.asarray(X, dtype=np.float64)
    if len(vectors) != len(train):
        raise ValueError(f"{len(train)} training queries but {len(vectors)} embeddings")
    for model, answers in zip(train.models, train.answered.sum(axis=0), strict=True):
        if not answers:
            raise ValueError(f"{model!r} answered none of the {len(train)} training queries; leave it out")
    return vectors


def answered_alike(X: Array, quality: Array) -> list[tuple[Indices, Indices, Array, Array]]:
    """Models in groups that answered the same rows: columns, rows, and vectors and scores of these.

    A complete table is one group, of the very arrays given; a model that answered nothing is in none.

    Parameters
    ----------
    X : (n, d) vectors.
    quality : (n, m), NaN where a model did not answer.
    """
    answered = ~np.isnan(quality)
    if answered.all():
        return [(np.arange(quality.shape[1]), np.arange(len(quality)), X, quality)]
    patterns, group = np.unique(answered, axis=1, return_inverse=True)
    groups = [
        (np.flatnonzero(group.ravel() == i), np.flatnonzero(asked)) for i, asked in enumerate(patterns.T)
    ]
    return [(columns, rows, X[rows], quality[np.ix_(rows, columns)]) for columns, rows in groups if len(rows)]


def mean_cost(train: PartialOutcomes) -> Array:
    """Predicted cost of a call: each model's mean on the training rows that it answered, (m,) per query."""
    return train.points()[:, 0].copy()


def predicted_cost(router: PredictiveRouter, train: PartialOutcomes, X: ArrayLike) -> Array:
    """What calls will cost: the models' mean training costs, (m,), unless the router predicts them, (n, m).

    Parameters
    ----------
    router : fitted; one with ``predict_cost(X) -> (n, m)`` in USD per query is asked.
    train : rows it was fitted on.
    X : (n, d) embeddings of new queries.
    """
    predict = getattr(router, "predict_cost", None)
    return mean_cost(train) if predict is None else np.asarray(predict(X), dtype=np.float64)


def decide(predicted: ArrayLike, cost: ArrayLike, willingness_to_pay: float) -> Indices:
    """Model called for each query: the best lambda * P - cost (RouterBench sec. 5.1).

    Parameters
    ----------
    predicted : (n, m) predicted quality.
    cost : (m,) or (n, m) predicted cost in USD per query.
    willingness_to_pay : lambda >= 0 in USD per unit of quality; infinity asks for quality alone.

    Returns
    -------
    (n,) column of the model called. Equal scores go to the cheaper model, then to the one predicted better
    (which matters at lambda = 0 alone), then to the earlier column.
    """
    quality, costs = _checked(predicted, cost)
    if not willingness_to_pay >= 0:
        raise ValueError(f"willingness to pay must be >= 0, got {willingness_to_pay}")
    if np.isinf(willingness_to_pay):
        best = ~exceeds(quality.max(axis=1, keepdims=True), quality, np.abs(quality).max())
    else:
        score = willingness_to_pay * quality - costs
        best = score == score.max(axis=1, keepdims=True)
    return cheapest(np.where(best, costs, np.inf), quality)


def lambda_path(predicted: ArrayLike, cost: ArrayLike) -> LambdaPath:
    """Decisions for every willingness to pay at once.

    Parameters
    ----------
    predicted : (n, m) predicted quality.
    cost : (m,) or (n, m) predicted cost in USD per query.

    Raises
    ------
    ValueError
        If the shapes disagree or a value is not finite.
    """
    quality, costs = _checked(predicted, cost)
    start = cheapest(costs, quality)
    query, before, model, breakpoint = _climb(quality, costs, start)
    order = np.argsort(breakpoint, kind="stable")
    return LambdaPath(start, query[order], before[order], model[order], breakpoint[order])


def ladder(path: LambdaPath, steps: int = 32) -> Array:
    """Log-spaced willingness to pay over the breakpoints of a path, (steps,), with 0 first.

    A convenience for plots and for comparison with the reference's fixed ladder; curves need none.
    """
    positive = path.breakpoints[path.breakpoints > 0]
    if len(positive) == 0 or steps < 2:
        return np.zeros(1)
    return np.concatenate([[0.0], np.geomspace(positive[0], positive[-1] * 1.01, steps - 1)])


@dataclass(frozen=True, eq=False)
class LambdaPath:
    """Who is called as the willingness to pay lambda grows from nought to infinity.

    Attributes
    ----------
    start : (n,) model called at lambda = 0.
    query, before, model : (e,) events by rising lambda: from here on this query, which went to the model
        before, goes to this one.
    breakpoint : (e,) lambda of each event, in USD per unit of quality.
    """

    start: Indices
    query: Indices
    before: Indices
    model: Indices
    breakpoint: Array

    @cached_property
    def _first(self) -> Indices:
        """First event of every distinct breakpoint, (k,)."""
        steps = np.diff(self.breakpoint, prepend=-np.inf) > SAME_PRICE * self.breakpoint
        return np.flatnonzero(steps)

    @property
    def breakpoints(self) -> Array:
        """Distinct breakpoints, (k,): between two of them no decision changes."""
        return self.breakpoint[self._first]

    def passed(self, willingness_to_pay: float) -> int:
        """How many distinct breakpoints lie below a lambda: the row of `on` that it stands for."""
        return int(np.searchsorted(self.breakpoints, willingness_to_pay * (1 - SAME_PRICE), side="left"))

    def choices(self, willingness_to_pay: float) -> Indices:
        """Model called for each query, (n,), as `decide` would (the cheaper one on a breakpoint)."""
        position = self.passed(willingness_to_pay)
        last = self._first[position] if position < len(self._first) else len(self.query)
        chosen = self.start.copy()
        chosen[self.query[:last]] = self.model[:last]  # later events of a query overwrite earlier ones
        return chosen

    def on(self, quality: ArrayLike, cost: ArrayLike) -> Steps:
        """True outcomes along the path.

        Parameters
        ----------
        quality, cost : (n, m) what each model really scored and cost (USD) on these queries.

        Returns
        -------
        System of (k + 1, 2) mean costs and mean qualities, lambda rising: one before the first of the k
        distinct breakpoints, one after each.

        Raises
        ------
        ValueError
            If these are outcomes of another number of queries.
        """
        n, true = len(self.start), [np.asarray(each, dtype=float) for each in (cost, quality)]
        if {len(each) for each in true} != {n}:
            raise ValueError(f"path of {n} queries, outcomes of {len(true[0])}")
        base = np.column_stack([each[np.arange(n), self.start] for each in true])
        change = [each[self.query, self.model] - each[self.query, self.before] for each in true]
        return Steps(base, self.query, np.column_stack(change), self.breakpoint)


def _checked(predicted: ArrayLike, cost: ArrayLike) -> tuple[Array, Array]:
    quality, costs = checked_table("predicted quality", predicted), np.asarray(cost, dtype=float)
    if costs.shape not in (quality.shape, quality.shape[1:]):
        raise ValueError(f"cost must have shape {quality.shape[1:]} or {quality.shape}, got {costs.shape}")
    return quality, checked_table("cost", np.broadcast_to(costs, quality.shape))


def checked_table(name: str, values: ArrayLike, low: float = -np.inf, high: float = np.inf) -> Array:
    """Array (n, m) of finite numbers within bounds, else an error that names the first bad cell."""
    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"{name} must have shape (queries, models), got {table.shape}")
    bad = ~((table >= low) & (table <= high) & np.isfinite(table))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        sort = "finite" if low < 0 else "finite and at least 0"
        wanted = f"in [{low:g}, {high:g}]" if np.isfinite(high) else sort
        raise ValueError(f"{name} at row {row}, column {column} is {table[row, column]}; it must be {wanted}")
    return table


def _climb(quality: Array, costs: Array, start: Indices) -> tuple[Indices, Indices, Indices, Array]:
    """Walk all queries up their hulls: at most m - 1 rounds over the queries still climbing."""
    size = float(np.abs(quality).max())
    parts = []
    for first in range(0, len(start), CHUNK):
        some = slice(first, first + CHUNK)
        steps = enumerate(climb(costs[some], quality[some], start[some], size))
        parts += [(turn, rows + first, *step) for turn, (rows, *step) in steps]
    parts.sort(key=itemgetter(0))  # round after round, as if all had climbed together
    _, *columns = zip(*parts, strict=True)
    query, before, model, breakpoint = (np.concatenate(column) for column in columns)
    return query, before, model, breakpoint
