"""New models tomorrow: routing to a model that training never saw, from a handful of its results.

The idea is UniRoute's (arXiv 2502.08773): what is learnt from many known models says along which lines
queries are hard, and a new model is its short vector of results along them, so that few labels place it.
Lines are clusters of prompts, as there, or what each known model is predicted to score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm
from sklearn.cluster import KMeans

from rb_support.catalog import GSM8K
from rb_support.embed import bare_questions
from rb_support.frontier import exceeds
from rb_support.load import load_outcomes
from rb_support.outcomes import Origin
from rb_support.outcomes.splits import hold_out
from rb_support.outcomes.table import KEYS
from rb_support.pairs import random_apgr_spread
from rb_support.preference.battle_sets import join_origins
from rb_support.preference.training_sets import Experiment
from rb_support.routers.prompt_clusters import profiles
from rb_support.sources import ModelScores
from rb_support.stats import Array
from rb_support.studies.preference_study import listed
from rb_support.studies.transfer import WIDEST_CHANCE
from rb_support.studies.wording import notes
from rb_support.verdicts import Estimate

NOTE = notes("07a")["own-new-model"]
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
KNOWN = "known models"
FEW, ALL, FULL, PLACEBO = "few labels", "all labels", "ridge, all labels", "placebo"


class Basis:
    """What m known models teach of queries: a ridge regression of each, and clusters of prompts.

    A new model's prediction is its mean result plus what its results say along a few lines, shrunk towards
    the mean of the known models: with no labels it is taken for an average model, with many for itself.

    Parameters
    ----------
    quality : (n, m) of the known models.
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

    def known(self, X: Array) -> Array:
        """Predicted quality of the known models, (n, m)."""
        return np.asarray(self.mean + (X - self.center) @ self.slopes)

    def lines(self, X: Array) -> dict[str, Array]:
        """Where queries lie along each kind of lines, (n, lines): `KNOWN`, and clusters by name."""
        found = {KNOWN: (X - self.center) @ self.slopes}
        for name, each in self.clusters.items():
            nearest = ((X[:, None] - each.cluster_centers_) ** 2).sum(axis=2).argmin(axis=1)
            found[name] = np.eye(each.n_clusters)[nearest]
        return found

    def but(self, name: str, lines: Array, *models: int) -> tuple[Array, Array]:
        """Lines of one kind, and the known models' mean along them, without some of these models."""
        if name in self.profiles:
            return lines, np.delete(self.profiles[name], models, axis=1).mean(axis=1)
        left = np.delete(lines, models, axis=1)
        return left, np.full(left.shape[1], 1 / left.shape[1])


def placed(along: Array, scores: Array, prior: Array, strength: float) -> tuple[float, Array]:
    """Level and weights of a new model along lines; its prediction is ``level + lines @ weights``.

    Parameters
    ----------
    along : (b, lines) where its labelled queries lie along them.
    scores : (b,) what it scored there.
    prior : (lines,) weights of an average model.
    strength : labels that these are worth; infinite for an average model, but for its level.
    """
    weights, center = prior, along.mean(axis=0)
    if np.isfinite(strength):
        centred = along - center
        # a label counts by how far it lies out, so that one strength serves lines of any scale
        size = float((centred**2).sum(axis=1).mean()) or 1.0
        scatter = centred.T @ centred + strength * size * np.eye(len(prior))
        left = scores - scores.mean() - centred @ prior
        weights = prior + np.linalg.solve(scatter, centred.T @ left)
    return float(scores.mean() - center @ weights), weights


class _Trial:
    """Known models taken for new ones, on queries that their lines were not learnt from, to choose settings.

    Parameters
    ----------
    quality : (n, m) of the known models.
    X : (n, d) embeddings; lines are learnt on a random half of the queries and tried on the other.
    seed : of the halves, the clusters and the queries labelled.
    """

    def __init__(self, quality: Array, X: Array, seed: int) -> None:
        first = np.random.default_rng(seed).permutation(len(X)) < len(X) // 2
        self.half, others = Basis(quality[first], X[first], seed), quality[~first]
        order = np.random.default_rng(seed).permutation(len(others))
        self.asked = order[: min(_TRIED, len(others) // 2)]
        self.rest = np.setdiff1d(np.arange(len(others)), self.asked)
        self.lines = self.half.lines(X[~first])
        self.labels, self.scores = others[self.asked], others[self.rest]
        self.known = self.half.known(X[~first][self.rest])
        self.partners = [_partners(self.scores, model) for model in range(quality.shape[1])]

    def best(self, new: int) -> tuple[str, float]:
        """Kind of lines and strength that gain most over all models but the new one.

        An average model's strength where no pair can be tested.
        """
        gains, models = dict[tuple[str, float], float](), range(len(self.partners))
        for name, model in product(self.lines, [model for model in models if model != new]):
            along, prior = self.half.but(name, self.lines[name], new, model)
            partners = [other for other in self.partners[model] if other != new]
            if not partners:
                continue
            labelled, rest = along[self.asked], along[self.rest]
            each = (placed(labelled, self.labels[:, model], prior, strength) for strength in _STRENGTHS)
            ours = np.stack([level + rest @ weights for level, weights in each])
            found = _gains(ours, self.known, self.scores, model, partners).round(9)
            for strength, gain in zip(_STRENGTHS, found.tolist(), strict=True):
                gains[name, strength] = gains.get((name, strength), 0.0) + gain
        return max(gains, key=lambda key: gains[key]) if gains else (KNOWN, np.inf)


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
        scores, at, at_test = table.scores[~taken], vectors[taken], vectors[~taken]
        whole, trial = Basis(table.scores[taken], at, split), _Trial(table.scores[taken], at, split)
        lines, lines_test, predicted = whole.lines(at), whole.lines(at_test), whole.known(at_test)
        partners = {new: _partners(scores, new) for new in range(len(table.models))}
        partners = {new: found for new, found in partners.items() if found}
        budgets = [budget for budget in BUDGETS if budget < len(at)]
        asked_for = [*product(budgets, range(draws)), (len(at), 0)]  # all labels can be drawn in one way only
        for new, others in partners.items():
            name, strength = trial.best(new)
            (along, prior), (there, _) = (whole.but(name, part[name], new) for part in (lines, lines_test))
            average = np.delete(predicted, new, axis=1).mean(axis=1)
            told = {(FEW, 0, 0): average, (FULL, len(at), 0): predicted[:, new]}
            for labels, draw in asked_for:
                asked = rng.permutation(len(at))[:labels]
                level, weights = placed(along[asked], table.scores[taken][asked, new], prior, strength)
                told[FEW if labels < len(at) else ALL, labels, draw] = level + there @ weights
            gains = _gains(np.stack([*told.values()]), predicted, scores, new, others)
            rows += [(split, new, *way, gain) for way, gain in zip(told, gains, strict=True)]
        dealt = np.stack([predicted[rng.permutation(len(scores))] for _ in range(_PLACEBOS)])
        for new, others in partners.items():
            gains = _gains(dealt[..., new], dealt, scores, new, others)
            rows += [(split, new, PLACEBO, len(at), draw, gain) for draw, gain in enumerate(gains)]
    found = pd.DataFrame(rows, columns=["split", "model", "way", "labels", "draw", "gain"])
    return found.assign(model=[table.models[new] for new in found["model"]])


def _partners(scores: Array, new: int) -> list[int]:
    """Models whose gap to one of them can be tested on these queries."""
    spreads = {
        other: random_apgr_spread(scores[:, other], scores[:, new])
        for other in range(scores.shape[1])
        if other != new
    }
    return [other for other, spread in spreads.items() if spread is not None and spread <= WIDEST_CHANCE]


def _gains(ours: Array, theirs: Array, scores: Array, new: int, partners: list[int]) -> Array:
    """Mean over partners of APGR minus 0.5, queries moved by their predicted gain: one trapezoid a query.

    Parameters
    ----------
    ours : (..., n) predicted quality of the new model.
    theirs : (n, m) or (..., n, m) that of all models.
    scores : (n, m) what they scored.
    new, partners : which of them is new, and which it is paired with.
    """
    n, gained = len(scores), scores[:, new] - scores.T[partners]
    expected = ours[..., None, :] - np.moveaxis(theirs[..., partners], -1, -2)
    falling = np.where(gained.mean(axis=1)[:, None] > 0, -expected, expected)
    order = np.argsort(falling, axis=-1, kind="stable")
    moved = np.take_along_axis(np.broadcast_to(gained, order.shape), order, axis=-1)
    areas = moved @ (n - np.arange(n) - 0.5) / (n * gained.sum(axis=1))
    return np.asarray(areas.mean(axis=-1) - 0.5)


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
        luck = table[table["way"] == PLACEBO].groupby(["split", "draw"])["gain"].mean()
        placebo = float(np.quantile(luck, 0.975))
        full = float(table[table["way"] == FULL].groupby("model")["gain"].mean().mean())
        whole = full if exceeds(full, placebo, 1) else np.nan
        for way in (FEW, ALL):
            for labels, part in table[table["way"] == way].groupby("labels"):
                by_model, by_split = (part.groupby(key)["gain"].mean() for key in ("model", "split"))
                mean, errors = by_model.mean(), np.array([by_model.sem(), by_split.sem()], dtype=float)
                reach = 1.96 * np.hypot(*errors)
                head = (name, len(by_model), labels if way == FEW else np.nan)
                rows.append((*head, mean, mean - reach, mean + reach, placebo, full, mean / whole))
    columns = ["table", "models", "labels", "gain", "low", "high", "placebo", "full", "share"]
    return pd.DataFrame(rows, columns=columns)


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
    bought = table.dropna(subset="labels").sort_values("labels", kind="stable").groupby("table", sort=False)
    none, most = bought.first(), bought.last()
    found = pd.DataFrame({"none": none["gain"], "labels": most["labels"], "most": most["gain"]})
    found = found.assign(added=found["most"] - found["none"], full=none["full"])
    return found.assign(above_luck=none["share"].notna(), kept_by_none=none["share"]).reset_index()


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
