"""Routers that learn from golden labels alone: what the strong model gains on a question, from its outcomes.

A question is read in blocks of numbers (`Reader`), of which no label is needed, and a `Candidate` says which
blocks are learnt from and how. Learning is scikit-learn's; only the similarity-weighted mean is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, model_validator
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from rb_support.embed import unit
from rb_support.outcomes import PairScores
from rb_support.preference.question_form import question_form
from rb_support.preference.sw import sw_weights

Array = NDArray[np.float64]
Method = Literal["similar", "neighbours", "prior", "logistic", "trees", "boosting", "mean"]
Block = Literal["vectors", "form", "form kernel", "components", "subject", "subject code"]

_KERNEL = 300
_COMPONENTS = 30
_CODE: Block = "subject code"


class Candidate(BaseModel):
    """One way to learn from golden labels.

    Attributes
    ----------
    method : "similar" (mean of outcomes weighted by similarity, which is SW ranking of two models),
        "neighbours", "prior" (`ShrunkenMeans` of the subject), "logistic" (one regression a model), "trees",
        "boosting", or "mean" of the gains that other candidates predict.
    reads : blocks of a `Reader`. What trees learn from has the subject's shrunken mean for its code.
    settings : keyword arguments of the estimator.
    of : names of the candidates that "mean" averages.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method
    reads: tuple[Block, ...] = ()
    settings: Mapping[str, Any] = {}
    of: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Candidate:
        if (self.method == "mean") != bool(self.of) or (self.method == "mean") == bool(self.reads):
            raise ValueError("a mean names the candidates it is of, any other method the blocks it reads")
        return self

    def reads_subject(self, others: Mapping[str, Candidate]) -> bool:
        """Whether it, or one of the other candidates that it averages, is told the subject."""
        members = [others[name].reads_subject(others) for name in self.of]
        return any(members) or any(block.startswith("subject") for block in self.reads)


@dataclass(frozen=True, eq=False)
class Labelled:
    """Questions as numbers, with the scores of both models.

    Attributes
    ----------
    pairs : n questions and their scores.
    X : (n, d) the same as a `Reader` reads them.
    columns : those of each block.
    """

    pairs: PairScores
    X: Array
    columns: Mapping[Block, slice]

    def take(self, rows: ArrayLike) -> Labelled:
        """Some of the questions, by a mask or by places."""
        return Labelled(self.pairs.take(rows), self.X[np.asarray(rows)], self.columns)

    def shuffled(self, rng: np.random.Generator) -> Labelled:
        """The same questions with each other's outcomes."""
        return replace(self, pairs=self.pairs.take(rng.permutation(len(self.pairs))))

    @property
    def scores(self) -> Array:
        """(n, 2) scores of the strong and of the weak model, from 0 to 1."""
        low, high = self.pairs.scale
        return (np.column_stack([self.pairs.strong, self.pairs.weak]) - low) / (high - low)


class Reader:
    """Reads questions in blocks, each of about unit length, learnt from questions without labels.

    Blocks: "vectors" are embeddings, "form" is `question_form`, standardized, and "form kernel" a
    Gaussian kernel on it (Nystroem's approximation); "components" are the main ones of the vectors;
    "subject" has an indicator each, "subject code" one column of numbers.
    """

    def fit(self, pairs: PairScores, X: pd.DataFrame) -> Reader:
        """Learn scales, kernel, components and names of subjects.

        Parameters
        ----------
        pairs : n questions, whose scores are not looked at; those of unknown subject are read as of none.
        X : embeddings by prompt.
        """
        form, vectors = _told(pairs, X)
        n, size = len(form), min(_COMPONENTS, *vectors.shape)
        self._form = StandardScaler().fit(form)
        kernel = Nystroem(gamma=0.5 / form.shape[1], n_components=min(_KERNEL, n), random_state=0)
        self._kernel = kernel.fit(self._form.transform(form))
        self._components = PCA(size, svd_solver="covariance_eigh").fit(vectors)
        self._subject = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
        self._subject.fit(pairs.frame[["task"]].to_numpy(dtype=object))
        return self

    def read(self, pairs: PairScores, X: pd.DataFrame) -> Labelled:
        """Read n questions, those that it was fitted on or others."""
        told, near = _told(pairs, X)
        form = self._form.transform(told)
        subject = self._subject.transform(pairs.frame[["task"]].to_numpy(dtype=object))
        code = np.where(subject.any(axis=1), subject.argmax(axis=1), -1)
        blocks: dict[Block, Array] = {
            "vectors": near,
            "form": form / np.sqrt(form.shape[1]),
            "form kernel": self._kernel.transform(form),
            "components": self._components.transform(near),
            "subject": subject,
            _CODE: code[:, None],
        }
        ends = np.cumsum([0, *(block.shape[1] for block in blocks.values())])
        spans = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        return Labelled(pairs, np.hstack(list(blocks.values())), dict(zip(blocks, spans, strict=True)))


def _told(pairs: PairScores, X: pd.DataFrame) -> tuple[Array, Array]:
    """Form (n, f) and unit vectors (n, d) of questions."""
    prompts = pairs.frame["prompt"].tolist()
    return question_form(prompts).to_numpy(), unit(X.loc[prompts].to_numpy())


def gold_router(how: Candidate, learnt: Labelled) -> Pipeline:
    """Learn from n labelled questions how much the strong model gains on one over the weak model.

    Parameters
    ----------
    how : to learn; a "mean" is of what other candidates predict, and learns nothing itself.
    learnt : as a `Reader` gives them; `predict` takes the X of others.
    """
    scores, given = learnt.scores, dict(how.settings)
    blocks = [
        (
            name,
            ShrunkenMeans() if name == _CODE and how.method != "prior" else "passthrough",
            learnt.columns[name],
        )
        for name in how.reads
    ]
    if how.method == "neighbours":
        given["n_neighbors"] = min(given["n_neighbors"], len(scores))
    pipeline = make_pipeline(ColumnTransformer(blocks), _ESTIMATORS[how.method](**given))
    return pipeline.fit(learnt.X, scores if how.method == "logistic" else scores[:, 0] - scores[:, 1])


class TwoLogistic(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """P(strong right) - P(weak right), a logistic regression each; a score inside (0, 1) is a share of both.

    Parameters
    ----------
    C : inverse of the penalty.
    """

    def __init__(self, C: float = 0.1) -> None:
        self.C = C

    def fit(self, X: Array, y: Array) -> TwoLogistic:
        """Learn from (n, d) features and (n, 2) scores of the strong and the weak model."""
        self.models_ = [_logistic(X, score, self.C) for score in y.T]
        return self

    def predict(self, X: Array) -> Array:
        """(n,) difference of the probabilities."""
        strong, weak = (
            model if isinstance(model, float) else model.predict_proba(X)[:, 1] for model in self.models_
        )
        return np.asarray(strong - weak + np.zeros(len(X)))


class SimilarityMean(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Mean outcome, each weighing gamma ** (1 + similarity): SW ranking where only two models fought.

    Parameters
    ----------
    gamma : how much a similar question counts more (RouteLLM eq. 9).
    """

    def __init__(self, gamma: float = 10.0) -> None:
        self.gamma = gamma

    def fit(self, X: Array, y: Array) -> SimilarityMean:
        """Keep (n, d) features and (n,) outcomes: the sign of a gain says who won."""
        self.X_, self.y_ = unit(X), np.sign(y)
        return self

    def predict(self, X: Array) -> Array:
        """(n,) weighted mean outcome, from -1 to 1."""
        weights = sw_weights(self.X_ @ unit(X).T, self.gamma)
        return np.asarray(self.y_ @ weights / weights.sum(axis=0))


class ShrunkenMeans(TransformerMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Mean outcome per group, shrunken towards that of all as far as groups differ by chance.

    This is empirical Bayes: the spread of the groups' true means comes from the method of moments
    (DerSimonian and Laird 1986): what the observed means differ by, less what a few outcomes each would
    make them differ by.
    """

    def fit(self, X: Array, y: Array) -> ShrunkenMeans:
        """Learn from (n, 1) codes of groups and (n,) outcomes."""
        self.codes_, group = np.unique(X[:, 0], return_inverse=True)
        self.mean_, size = float(y.mean()), np.bincount(group)
        off = np.bincount(group, y - self.mean_) / size
        within = ((y - self.mean_ - off[group]) ** 2).sum() / max(1, len(y) - len(size))
        spare = len(y) - (size**2).sum() / len(y)
        surplus = (size * off**2).sum() - within * (len(size) - 1)
        between = max(0.0, surplus / spare) if spare > 0 else 0.0
        self.off_ = off * between / (between + within / size) if between > 0 else np.zeros(len(size))
        return self

    def predict(self, X: Array) -> Array:
        """(n,) shrunken means; that of all for a group never seen."""
        place = np.minimum(np.searchsorted(self.codes_, X[:, 0]), len(self.codes_) - 1)
        return np.asarray(self.mean_ + np.where(self.codes_[place] == X[:, 0], self.off_[place], 0.0))

    def transform(self, X: Array) -> Array:
        """(n, 1) the same, for what reads it."""
        return self.predict(X)[:, None]


def _logistic(X: Array, score: Array, C: float) -> LogisticRegression | float:
    """Regression of a score on features; the score itself where it never varies."""
    rows, outcome = np.concatenate([X, X]), np.repeat([1, 0], len(X))
    weight = np.concatenate([score, 1 - score])
    if np.ptp(score) == 0:
        return float(score[0])
    used = weight > 0
    return LogisticRegression(C=C, max_iter=500).fit(rows[used], outcome[used], sample_weight=weight[used])


_ESTIMATORS: Mapping[Method, Callable[..., BaseEstimator]] = {
    "similar": SimilarityMean,
    "neighbours": partial(KNeighborsRegressor, metric="cosine"),
    "prior": ShrunkenMeans,
    "logistic": TwoLogistic,
    "trees": partial(ExtraTreesRegressor, random_state=0),
    "boosting": partial(HistGradientBoostingRegressor, random_state=0, early_stopping=False),
}
