"""A judge that one can really build: does this answer look right, given the question?

RouterBench sec. 5.2 gives its judge the true score and inverts it at random. This one has to learn: from
the question's embedding and from what an answer shows on its face, one logistic regression per model
estimates the probability that the answer is right.
"""

from __future__ import annotations

import re
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rb_support.outcomes import Outcomes
from rb_support.routers.evidence import FOLDS, folds

Array = NDArray[np.float64]

RIGHT = 0.5
"""An answer counts as right if its score exceeds this."""

_DIRECTIONS = 32
# Features for a regression: words and figures that stand anywhere in an answer. `construct.refusals` and
# `answers` tell what an answer is, by its beginning and end, and leave an essay that says "cannot" alone.
_REFUSAL = re.compile(
    r"\b(sorry|apologi[sz]e|cannot|can't|unable|not (?:able|sure|comfortable)|don't)\b", re.I
)
_LETTER = re.compile(r"\b([A-E])\b")
_NUMBER = re.compile(r"-?\d[\d,]*\.?\d*")
_SHORT = 200
"""Characters up to which a lone capital letter is read as the choice, not as a word."""


class LearnedJudge:
    """Estimates, for every answer of every model, the probability that it is right.

    Parameters
    ----------
    order : columns in the order a cascade asks them: an answer is compared with those before it.
        None: by mean training cost.
    """

    def __init__(self, order: list[int] | None = None) -> None:
        self.order = order

    def fit(self, train: Outcomes, X: ArrayLike) -> Self:
        """Learn from the answers to n training queries and the queries' embeddings, (n, d)."""
        vectors = np.asarray(X, dtype=float)
        if self.order is None:
            self.order = np.argsort(train.cost.mean(axis=0), kind="stable").tolist()
        size = min(_DIRECTIONS, *vectors.shape)
        with np.errstate(invalid="ignore"):  # equal vectors have no variance to divide by
            self._reduce = make_pipeline(PCA(size, random_state=0), StandardScaler()).fit(vectors)
        seen, right = self._features(train, vectors), train.quality > RIGHT
        self._models = [_fitted(seen[:, j], right[:, j]) for j in range(right.shape[1])]
        return self

    def scores(self, outcomes: Outcomes, X: ArrayLike) -> Array:
        """Probability that each answer is right, (n, m): the `scores` of a `Cascade`."""
        seen = self._features(outcomes, np.asarray(X, dtype=float))
        columns = [
            np.full(len(seen), model) if isinstance(model, float) else model.predict_proba(seen[:, j])[:, 1]
            for j, model in enumerate(self._models)
        ]
        return np.column_stack(columns)

    def _features(self, outcomes: Outcomes, X: Array) -> Array:
        answers = answer_features(outcomes, self.order or [])
        reduced = self._reduce.transform(X)
        query = np.broadcast_to(reduced[:, None], (*answers.shape[:2], reduced.shape[1]))
        return np.concatenate([query, answers], axis=2)


def cross_judged(outcomes: Outcomes, X: ArrayLike, *, seed: int = 0) -> Array:
    """Scores of learned judges for every answer, each by a judge that never saw the question.

    Where all prompts are equal, judges have seen the question, but no answer of that row; one single row is
    judged by a judge that saw it.

    Parameters
    ----------
    outcomes : n queries.
    X : (n, d) embeddings of the queries, in the order of the rows.
    seed : of the folds (see `evidence.folds`).
    """
    vectors, scores = np.asarray(X), np.empty(outcomes.quality.shape)
    order, rows = np.argsort(outcomes.cost.mean(axis=0), kind="stable").tolist(), np.arange(len(outcomes))
    parts = folds(outcomes, seed=seed)
    if not parts:
        parts = list(KFold(min(FOLDS, len(rows))).split(rows)) if len(rows) > 1 else [(rows, rows)]
    for train, test in parts:
        judge = LearnedJudge(order).fit(outcomes.take(train), vectors[train])
        scores[test] = judge.scores(outcomes.take(test), vectors[test])
    return scores


def judged_split(train: Outcomes, test: Outcomes, X: pd.DataFrame, *, seed: int = 0) -> tuple[Array, Array]:
    """Scores to choose a cascade by and scores to evaluate it with, both by judges of the training rows.

    Parameters
    ----------
    train, test : outcome tables with the same models.
    X : embeddings indexed by sample_id, as `embed_queries` gives them.
    seed : of `cross_judged`, which judges the training rows.

    Returns
    -------
    (n_train, m) and (n_test, m) probabilities that an answer is right.
    """
    X_train, X_test = (X.loc[part.frame["sample_id"]].to_numpy() for part in (train, test))
    judge = LearnedJudge().fit(train, X_train)
    return cross_judged(train, X_train, seed=seed), judge.scores(test, X_test)


def judge_error(scores: ArrayLike, quality: ArrayLike, threshold: float = 0.5) -> float:
    """Share of answers on which the judge decides otherwise than one who knows the score."""
    return float(np.mean((np.asarray(scores) > threshold) != (np.asarray(quality) > threshold)))


def answer_features(outcomes: Outcomes, order: list[int]) -> Array:
    """What answers show on their face, (n, m, f), from whatever of them the table has.

    With texts (`<model>|model_response`): length, a refusal's words, whether a choice can be read, and
    the share of the answers before it in the order that made the same choice. With lengths only
    (`<model>|answer_tokens`, as simulated): the length. With neither: nothing.
    """
    texts = [f"{model}|model_response" for model in outcomes.models]
    tokens = [f"{model}|answer_tokens" for model in outcomes.models]
    if set(texts) <= set(outcomes.frame):
        return _text_features(outcomes.frame[texts].astype(str).to_numpy(), order)
    if set(tokens) <= set(outcomes.frame):
        return np.log1p(outcomes.frame[tokens].to_numpy(dtype=float))[..., None]
    return np.empty((*outcomes.quality.shape, 0))


def chosen(answer: str) -> str:
    """Choice an answer makes: its first lone capital A to E if it is short, else its last number, else ""."""
    letter = _LETTER.search(answer) if len(answer) <= _SHORT else None
    if letter:
        return letter[1]
    numbers = _NUMBER.findall(answer)
    return numbers[-1].replace(",", "").rstrip(".") if numbers else ""


def _text_features(answers: NDArray[np.str_], order: list[int]) -> Array:
    length = np.log1p(np.vectorize(len, otypes=[float])(answers))
    refuses = np.vectorize(lambda text: bool(_REFUSAL.search(text)), otypes=[float])(answers)
    choices = np.vectorize(chosen, otypes=[object])(answers)
    made = choices != ""
    agrees = np.zeros(answers.shape)
    for place, column in enumerate(order[1:], start=1):
        same = choices[:, order[:place]] == choices[:, [column]]
        agrees[:, column] = same.mean(axis=1) * made[:, column]
    return np.stack([length, refuses, made, agrees], axis=2)


def _fitted(seen: Array, right: NDArray[np.bool_]) -> LogisticRegression | float:
    """Regression of one model's answers; where all are right or all wrong, that share."""
    if right.all() or not right.any():
        return float(right[0])
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500)).fit(seen, right)
