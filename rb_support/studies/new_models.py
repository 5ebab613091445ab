"""New models tomorrow: routing to a model that training never saw, from a handful of its results.

The idea is UniRoute's (arXiv 2502.08773): what is learnt from many known models says along which lines
queries are hard, and a new model is its short vector of results along them, so that few labels place it.
Lines are clusters of prompts, as there, or what each known model is predicted to score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.cluster import KMeans

from rb_support.catalog import GSM8K
from rb_support.embed import bare_questions
from rb_support.frontier import exceeds
from rb_support.load import load_outcomes
from rb_support.outcomes import Origin, Outcomes
from rb_support.outcomes.splits import hold_out
from rb_support.outcomes.table import KEYS
from rb_support.pairs import random_apgr_spread
from rb_support.preference.battle_sets import join_origins
from rb_support.preference.training_sets import Experiment
from rb_support.routers.decision import training_vectors
from rb_support.routers.prompt_clusters import profiles
from rb_support.sources import ModelScores
from rb_support.studies.preference_study import listed
from rb_support.studies.transfer import WIDEST_CHANCE
from rb_support.verdicts import Estimate

Array = NDArray[np.float64]

NOTE = (
    "Intervals are of the mean over models. A share of the full gain stands only where that is above luck. "
    "APGR, not AIQ: most tables have no cost a query; no policy is chosen on the rows judged on."
)
"""What goes with the record of the figure."""

BUDGETS = (10, 25, 50, 100)
"""Labelled queries of the new model."""

PENALTY = 0.03
"""Of the ridge regression, as a multiple of the training rows. It is not chosen on any row judged on."""

FEWEST_ROWS, FEWEST_MODELS = 300, 4
"""Below these a table has no row for labels and for judging, or no known models to learn from."""

_CLUSTERS, _STRENGTHS = (8, 16), (np.inf, 100.0, 10.0)
_SHRINKAGE = 10.0  # further answers that a cluster's means are drawn to 0 by
_TRIED = 50  # labels of a known model, when it is taken for a new one to choose the settings
_REAL_NAME = "RouterBench's 5-shot tasks, answers of ZeroEval"
_TRAIN, _PLACEBOS = 0.7, 20
FEW, ALL, FULL, PLACEBO = "few labels", "all labels", "ridge, all labels", "placebo"


class NewModelRouter:
    """Predicts the quality of known models, and of new ones from a few results.

    A new model's prediction is its mean result plus what its results say along a few lines, shrunk towards
    the mean of the known models: with no labels it is taken for an average model, with many for itself. Which
    lines, and how strong the shrinkage, is what gains most when each known model is taken for a new one, on
    queries that the lines were not learnt from.

    Parameters
    ----------
    seed : of the clusters and of that choice.

    Attributes
    ----------
    models : names, known ones first, then those added.
    lines : "clusters of prompts (k)" or "known models", after `fit`.
    strength : labels that the known models' mean is worth, after `fit`.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, train: Outcomes, X: ArrayLike) -> NewModelRouter:
        """Learn from n queries that all known models answered, X their (n, d) embeddings."""
        self.models: tuple[str, ...] = train.models
        array = training_vectors(train, X)
        halves = halved(train.quality, array, self.seed)
        return self._learn(Basis(train.quality, array, self.seed), *halves)

    def _learn(self, basis: Basis, half: Basis, others: Array, X: Array) -> NewModelRouter:
        """Choose lines and strength where `half` has not learnt: on `others`, (b, m) results at X."""
        self._basis, rng = basis, np.random.default_rng(self.seed)
        lines, gains = {name: half.along(name, X) for name in half.names}, dict[tuple[float, str], float]()
        asked = rng.permutation(len(others))[: min(_TRIED, len(others) // 2)]
        rest = np.setdiff1d(np.arange(len(others)), asked)
        theirs, scores = half.known(X[rest]), others[rest]
        partners = [_partners(scores, model) for model in range(others.shape[1])]
        for (name, along), model in product(lines.items(), range(others.shape[1])):
            less, mean = half.without(name, along, model)
            for strength in _STRENGTHS if partners[model] else ():
                level, weights = _placed(less[asked], others[asked, model], mean, strength)
                gain = _gain(level + less[rest] @ weights, theirs, scores, model, partners[model])
                gains[strength, name] = gains.get((strength, name), 0.0) + round(gain, 9)
        gains = gains or {(np.inf, half.names[0]): 0.0}  # no pair can be tested: an average model
        self.strength, self.lines = max(gains, key=lambda key: gains[key])
        self._added: list[Callable[[Array], Array]] = []
        return self

    def average(self, X: Array) -> Array:
        """What the known models are predicted to score on average, (n,): all that is known of a new one."""
        return np.asarray(self._basis.known(X).mean(axis=1))

    def placed(self, scores: Array, X: Array) -> Callable[[Array], Array]:
        """A new model's predicted quality, X -> (n,), from its scores on b queries."""
        along, mean = self._basis.along(self.lines, X), self._basis.mean_model(self.lines)
        level, weights = _placed(along, scores, mean, self.strength)
        return lambda queries: np.asarray(level + self._basis.along(self.lines, queries) @ weights)

    def add(self, name: str, scores: ArrayLike, X: ArrayLike) -> NewModelRouter:
        """Take up a new model by its scores, (b,), on b queries with the embeddings X, (b, d)."""
        self._added.append(self.placed(np.asarray(scores, dtype=float), np.asarray(X, dtype=float)))
        self.models = (*self.models, name)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, models)."""
        array = np.asarray(X, dtype=float)
        new = [predict(array) for predict in self._added]
        return np.column_stack([self._basis.known(array), *new])


class Basis:
    """What known models teach of queries: a ridge regression of each, and clusters of prompts.

    Parameters
    ----------
    quality : (n, m) of m known models.
    X : (n, d) embeddings.
    seed : of the clusters.
    """

    def __init__(self, quality: Array, X: Array, seed: int) -> None:
        self.center, self.mean = X.mean(axis=0), quality.mean(axis=0)
        centred, about = X - self.center, quality - self.mean
        scatter = centred.T @ centred + PENALTY * len(X) * np.eye(X.shape[1])
        self.slopes = np.linalg.solve(scatter, centred.T @ about)
        sizes = [k for k in _CLUSTERS if k <= len(np.unique(X, axis=0)) // 4]
        self.clusters = {
            f"clusters of prompts ({k})": KMeans(k, n_init=1, random_state=seed).fit(X) for k in sizes
        }
        self.profiles = {
            name: profiles(np.eye(each.n_clusters)[each.labels_], about, _SHRINKAGE)
            for name, each in self.clusters.items()
        }
        self.names = ("known models", *self.clusters)

    def known(self, X: Array) -> Array:
        """Predicted quality of the known models, (n, m)."""
        return np.asarray(self.mean + (X - self.center) @ self.slopes)

    def along(self, name: str, X: Array) -> Array:
        """Where queries lie along the lines, (n, lines)."""
        if name not in self.clusters:
            return self.known(X) - self.mean
        found = self.clusters[name]
        nearest = ((X[:, None] - found.cluster_centers_) ** 2).sum(axis=2).argmin(axis=1)
        return np.eye(len(found.cluster_centers_))[nearest]

    def mean_model(self, name: str) -> Array:
        """The known models' mean along the lines, (lines,)."""
        m = len(self.mean)
        return self.profiles[name].mean(axis=1) if name in self.profiles else np.full(m, 1 / m)

    def but(self, model: int) -> Basis:
        """The same without one of the models."""
        less = copy(self)
        less.mean, less.slopes = np.delete(self.mean, model), np.delete(self.slopes, model, axis=1)
        less.profiles = {name: np.delete(each, model, axis=1) for name, each in self.profiles.items()}
        return less

    def without(self, name: str, along: Array, model: int) -> tuple[Array, Array]:
        """`along` and `mean_model` as they are if one of the known models is not known."""
        m = len(self.mean)
        if name in self.profiles:
            return along, np.delete(self.profiles[name], model, axis=1).mean(axis=1)
        return np.delete(along, model, axis=1), np.full(m - 1, 1 / (m - 1))


def halved(quality: Array, X: Array, seed: int) -> tuple[Basis, Array, Array]:
    """Basis of a random half of the queries, and results and embeddings of the other half."""
    first = np.random.default_rng(seed).permutation(len(X)) < len(X) // 2
    return Basis(quality[first], X[first], seed), quality[~first], X[~first]


def _placed(along: Array, scores: Array, prior: Array, strength: float) -> tuple[float, Array]:
    """Level and weights of a model by its scores along lines, its weights drawn to `prior`."""
    weights, center = prior, along.mean(axis=0)
    if np.isfinite(strength):
        centred = along - center
        # a label counts by how far it lies out, so that one strength serves lines of any scale
        size = float((centred**2).sum(axis=1).mean()) or 1.0
        scatter = centred.T @ centred + strength * size * np.eye(len(prior))
        left = scores - scores.mean() - centred @ prior
        weights = prior + np.linalg.solve(scatter, centred.T @ left)
    return float(scores.mean() - center @ weights), weights


def tables(experiment: Experiment, scores: Mapping[str, ModelScores]) -> dict[str, ModelScores]:
    """Tables of many models that are large enough: `scores`, and RouterBench's whole tasks with real data.

    Raises
    ------
    SourceError : if real data is asked for and not at hand.
    """
    found = dict(scores)
    if experiment.outcomes is None:
        outcomes = load_outcomes("real")
        bare = bare_questions(outcomes.frame["prompt"].tolist(), outcomes.frame["task"].tolist())
        frame = outcomes.frame[[*KEYS]].assign(prompt=bare)
        whole = ModelScores(frame, outcomes.models, outcomes.quality, outcomes.origin, (0.0, 1.0))
        found = {name: whole.take((frame["dataset"] == name).to_numpy()) for name in outcomes.datasets}
        found |= {name: table for name, table in scores.items() if name == GSM8K}
    return {
        name: table
        for name, table in found.items()
        if len(table.frame) >= FEWEST_ROWS and len(table.models) >= FEWEST_MODELS
    }


def origin_of(tables: Mapping[str, ModelScores], otherwise: Origin) -> Origin:
    """Where the rows of `tables` come from, under a short name if they are real; `otherwise` without any."""
    if not tables:
        return otherwise
    whole = join_origins([table.origin for table in tables.values()])
    return replace(whole, name=_REAL_NAME) if whole.kind == "real" else whole


def leave_one_out(
    table: ModelScores, X: ArrayLike, *, rng: np.random.Generator, splits: int = 4, draws: int = 3
) -> pd.DataFrame:
    """Each model of a table taken for a new one in turn: what routing between it and a known model gains.

    Two models with a gap make a pair. The zero router of a pair, its best random mixture, has APGR 0.5
    whatever the queries, and no policy is chosen on the rows judged on, so that APGR minus 0.5 pays nothing
    for luck on average. A model's gain is the mean over all partners whose gap can be tested.

    Parameters
    ----------
    table : scores of m models on n queries.
    X : (n, d) embeddings.
    rng : of splits, label draws and the placebo.
    splits, draws : how many of each.

    Returns
    -------
    A row per split, model, way and draw: split, model, way, labels, draw, gain. Ways: "few labels" at each of
    `BUDGETS` and with none (an average of the known models); "all labels" (of the training rows); "ridge, all
    labels" (a regression of its own); "placebo" (the last one's predictions dealt out to the queries).
    """
    vectors, rows = np.asarray(X, dtype=float), []
    for split in range(splits):
        taken = hold_out(table.frame["prompt"], int(_TRAIN * len(vectors)), rng, fill=False)
        train, test = np.flatnonzero(taken), np.flatnonzero(~taken)
        whole = Basis(table.scores[train], vectors[train], split)
        half, others, at_others = halved(table.scores[train], vectors[train], split)
        predicted = whole.known(vectors[test])
        partners = {new: _partners(table.scores[test], new) for new in range(len(table.models))}
        for new in [new for new, found in partners.items() if found]:
            judged = (table.scores[test], new, partners[new])
            router = NewModelRouter(split)
            router._learn(whole.but(new), half.but(new), np.delete(others, new, axis=1), at_others)
            told = _labelled(router, table.scores[train, new], vectors[train], rng, draws)
            for way, labels, draw, at in told:
                rows.append((split, new, way, labels, draw, _gain(at(vectors[test]), predicted, *judged)))
            rows.append((split, new, FULL, len(train), 0, _gain(predicted[:, new], predicted, *judged)))
        for draw in range(_PLACEBOS):
            dealt = predicted[rng.permutation(len(test))]
            for new in [new for new, found in partners.items() if found]:
                value = _gain(dealt[:, new], dealt, table.scores[test], new, partners[new])
                rows.append((split, new, PLACEBO, len(train), draw, value))
    found = pd.DataFrame(rows, columns=["split", "model", "way", "labels", "draw", "gain"])
    return found.assign(model=[table.models[new] for new in found["model"]])


def _labelled(
    router: NewModelRouter, scores: Array, X: Array, rng: np.random.Generator, draws: int
) -> list[tuple[str, int, int, Callable[[Array], Array]]]:
    """Way, labels, draw and prediction (X -> quality of the new model) for every number of its labels."""
    found: list[tuple[str, int, int, Callable[[Array], Array]]] = [(FEW, 0, 0, router.average)]
    for labels in (*[budget for budget in BUDGETS if budget < len(X)], len(X)):
        for draw in range(draws if labels < len(X) else 1):
            asked = rng.permutation(len(X))[:labels]
            placed = router.placed(scores[asked], X[asked])
            found.append((FEW if labels < len(X) else ALL, labels, draw, placed))
    return found


def _partners(scores: Array, new: int) -> list[int]:
    """Models whose gap to one of them can be tested on these queries."""
    spreads = {
        other: random_apgr_spread(scores[:, other], scores[:, new])
        for other in range(scores.shape[1])
        if other != new
    }
    return [other for other, spread in spreads.items() if spread is not None and spread <= WIDEST_CHANCE]


def _gain(ours: Array, theirs: Array, scores: Array, new: int, partners: list[int]) -> float:
    """Mean over partners of APGR minus 0.5, queries moved by their predicted gain: one trapezoid a query."""
    gained = scores[:, [new]] - scores[:, partners]
    expected = ours[:, None] - theirs[:, partners]
    order = np.argsort(np.where(gained.mean(axis=0) > 0, -expected, expected), axis=0, kind="stable")
    moved, n = np.take_along_axis(gained, order, axis=0), len(scores)
    areas = (n - np.arange(n) - 0.5) @ moved / (n * gained.sum(axis=0))
    return float(areas.mean() - 0.5)


def summary(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What a few labels keep of the gain, by table.

    Parameters
    ----------
    found : table -> `leave_one_out`.

    Returns
    -------
    A row per table and number of labels: table, models, labels (0 for none, NaN for all), gain, low and high
    (mean over the models, and its 95% interval: the errors of a mean over models and of one over splits and
    draws of labels, added as independent ones are), placebo (97.5%
    quantile of the mean gain of predictions dealt out at random), full (gain of a regression with all labels)
    and share of it; NaN where `full` itself is not above the placebo.
    """
    rows = []
    for name, table in found.items():
        if table.empty:
            continue
        means = table.pivot_table(index="model", columns=["way", "labels"], values="gain")
        luck = table[table["way"] == PLACEBO].groupby(["split", "draw"])["gain"].mean()
        placebo, full = float(np.quantile(luck, 0.975)), float(means[FULL].to_numpy().mean())
        whole = full if exceeds(full, placebo, 1) else np.nan
        counts = [
            (way, labels) for way in (FEW, ALL) if way in means for labels in means[way].columns.astype(int)
        ]
        for way, labels in counts:
            values = means[way][labels].to_numpy()
            again = table[(table["way"] == way) & (table["labels"] == labels)].groupby("split")["gain"].mean()
            reach = 1.96 * float(np.hypot(_error(values), _error(again.to_numpy())))
            mean = float(values.mean())
            told = (name, len(values), labels if way == FEW else np.nan, mean, mean - reach, mean + reach)
            rows.append((*told, placebo, full, mean / whole))
    columns = ["table", "models", "labels", "gain", "low", "high", "placebo", "full", "share"]
    return pd.DataFrame(rows, columns=columns)


def _error(values: Array) -> float:
    """Standard error of a mean; NaN of a single value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan


def worth(table: pd.DataFrame) -> pd.DataFrame:
    """What the known models tell of a new one, and what labels of its own add.

    Parameters
    ----------
    table : as `summary` gives it.

    Returns
    -------
    A row per table: table, none (gain without a label), labels (the most that are bought), most (gain with
    them), added (most minus none), full, above_luck (whether `full` is above the placebo) and kept_by_none,
    the share of `full` that is gained without a label (NaN where that is not above luck).
    """
    rows = []
    for name, part in table.groupby("table", sort=False):
        bought = part.dropna(subset="labels").sort_values("labels")
        none, most = bought.iloc[0], bought.iloc[-1]
        luck = bool(part["share"].isna().all())
        kept = none["share"] if not luck else np.nan
        told = (name, none["gain"], most["labels"], most["gain"], most["gain"] - none["gain"], none["full"])
        rows.append((*told, not luck, kept))
    columns = ["table", "none", "labels", "most", "added", "full", "above_luck", "kept_by_none"]
    return pd.DataFrame(rows, columns=columns).astype({"above_luck": bool})


def evidence(table: pd.DataFrame, sizes: Mapping[str, int]) -> list[Estimate]:
    """What routing to a new model gains with the most labels, beside what knowing nothing reaches.

    Parameters
    ----------
    table : as `summary` gives it.
    sizes : queries of each table.
    """
    most = table[table["labels"] == table["labels"].max()]
    wider = norm.ppf(1 - 0.025 / max(len(most), 1)) / norm.ppf(0.975)  # simultaneous over the tables
    gain = most[["gain"]].to_numpy(dtype=float)
    intervals = np.hstack([gain, gain + wider * (most[["low", "high"]].to_numpy(dtype=float) - gain)])
    return listed(intervals, most["table"], most["table"].map(dict(sizes)), most["placebo"])
