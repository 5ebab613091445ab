"""One query as the KNN router sees it: its neighbours, what they say of each model, and who is called."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.embed import bare_questions, unit
from rb_support.outcomes import Outcomes
from rb_support.routers import LambdaPath, ladder, lambda_path, mean_cost, neighbour_weights

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Thought:
    """What the KNN router makes of one query, step by step.

    Attributes
    ----------
    question : its text, without the examples of a few-shot prompt.
    models : m names.
    cost : (m,) what a call costs in the mean of the training rows.
    neighbours : the c training queries that count, nearest first: question, similarity (cosine), weight (1,
        and less at the border; see `KNNRouter`).
    scores : (c, m) what the models scored on these.
    outcome : (m,) what they scored on the query itself, which the router does not know.
    """

    question: str
    models: tuple[str, ...]
    cost: Array
    neighbours: pd.DataFrame
    scores: Array
    outcome: Array

    @property
    def predicted(self) -> Array:
        """Predicted quality of every model, (m,): the neighbours' weighted mean."""
        return np.average(self.scores, axis=0, weights=self.neighbours["weight"])

    @property
    def by_price(self) -> NDArray[np.intp]:
        """Columns of the models, the cheapest first, (m,)."""
        return np.argsort(self.cost, kind="stable")

    @cached_property
    def path(self) -> LambdaPath:
        """Who is called for this query as lambda grows."""
        return lambda_path(self.predicted[None], self.cost)

    def choice(self, willingness_to_pay: float) -> int:
        """Column of the model that is called."""
        return int(self.path.choices(willingness_to_pay)[0])

    @property
    def stations(self) -> tuple[float, float, float]:
        """Three values of lambda to three digits: nought, one between the breakpoints, one beyond them."""
        breaks = self.path.breakpoints
        if not len(breaks):
            return 0.0, 0.01, 1.0
        first, second = breaks[[(len(breaks) - 1) // 2, min((len(breaks) + 1) // 2, len(breaks) - 1)]]
        return 0.0, _digits(np.sqrt(first * second), 3), _digits(2 * breaks[-1], 3)


def most_moved(path: LambdaPath) -> int:
    """The query that changes its model most often as lambda grows; of several, the first."""
    return int(np.bincount(path.query, minlength=len(path.start)).argmax())


def think(train: Outcomes, test: Outcomes, X: pd.DataFrame, row: int, k: int) -> Thought:
    """Follow the KNN router through one test query.

    Parameters
    ----------
    train, test : outcome tables with the same models.
    X : embeddings indexed by sample_id, as `embed_queries` gives them.
    row : of the query in `test`.
    k : number of neighbours.
    """
    frame = pd.concat([train.frame, test.frame], ignore_index=True)
    questions = bare_questions(frame["prompt"].tolist(), frame["task"].tolist())
    known = unit(X.loc[train.frame["sample_id"]].to_numpy(dtype=np.float64))
    asked = unit(X.loc[test.frame["sample_id"].iloc[[row]]].to_numpy(dtype=np.float64))
    similarity = known @ asked[0]
    nearest = np.argsort(-similarity, kind="stable")
    weight = neighbour_weights(similarity[None, nearest], k)[0]
    counted = nearest[weight > 0]
    near = {"similarity": similarity[counted], "weight": weight[weight > 0]}
    neighbours = pd.DataFrame({"question": [questions[i] for i in counted], **near})
    question, scores = questions[len(train) + row], train.quality[counted]
    return Thought(question, test.models, mean_cost(train), neighbours, scores, test.quality[row])


def lambdas(path: LambdaPath, *more: float) -> list[float]:
    """Values of lambda for a slider, rising: a `ladder` over a path to two digits, and those given."""
    return sorted({_digits(value, 2) for value in ladder(path, 40).tolist()} | set(more))


def _digits(value: float, count: int) -> float:
    return float(f"{value:.{count}g}")
