"""Who is right where: hidden traits of queries and models, turned into scores.

A model's latent value on a query is the sum of three shared factors (general difficulty and two
contrasts between models) and of something of its own; the score is a threshold on it. Loadings were
fitted on real rows (`tests/loadings_fitted.py`), so that models err together as real ones do. Each factor is
partly told by the prompt's words (topic and level), which is what a router can learn, and partly hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from rb_support import catalog
from rb_support.simulate.assumptions import FACTORS, Assumptions, Floats, value

Integers = NDArray[np.int64]

LEVELS = 5
"""Difficulty is told in five levels of wording."""

_GRADES = {"quarters": (4, 1.5, 0.0), "tenths": (10, 1.0, 0.1)}
"""Scales by degrees: number of steps, how fast they follow the margin, lowest score."""

_BISECTIONS = 45


@dataclass(frozen=True, eq=False)
class Queries:
    """Hidden side of n queries.

    Attributes
    ----------
    topic : (n,) row in the dataset's table of topics.
    level : (n,) wording from 0 (plain) to 4 (expert).
    twin : (n,) True where the query repeats the one before it with one word changed.
    """

    topic: Integers
    level: Integers
    twin: NDArray[np.bool_]


def draw_queries(part: Assumptions, counts: Integers, rng: np.random.Generator) -> Queries:
    """Topic and level of each query; some Winogrande queries are twins of the one before.

    Parameters
    ----------
    counts : (k,) queries wanted of each topic.
    """
    topic = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    level = rng.integers(0, LEVELS, len(topic))
    twin = np.zeros(len(topic), dtype=bool)
    if part.dataset == catalog.WINOGRANDE:
        pairs = round(value("twin_share", catalog.WINOGRANDE) * len(topic) / 2)
        twin[1 : 2 * pairs : 2] = True
        topic[twin], level[twin] = topic[np.flatnonzero(twin) - 1], level[np.flatnonzero(twin) - 1]
    # A task's rows stand together, as in the published file.
    task = pd.factorize(part.topics["task"])[0][topic]
    order = np.argsort(task, kind="stable")
    return Queries(topic[order], level[order], twin[order])


def draw_factors(part: Assumptions, queries: Queries, rng: np.random.Generator) -> Floats:
    """(n, 3) factors of each query, each of variance about 1; the first is high where queries are easy."""
    told, share = _told(part, queries.topic, queries.level)
    hidden = rng.standard_normal((len(queries.topic), len(FACTORS)))
    _pair_twins(hidden[:, 1], queries.twin, "twin_contrast", part.visible["contrast"])
    return np.asarray(np.sqrt(share) * told + np.sqrt(1 - share) * hidden)


def told_difficulty(part: Assumptions, queries: Queries) -> Floats:
    """(n,) how hard the topic and the wording of a query say that it is, in standard deviations."""
    return -_told(part, queries.topic, queries.level)[0][:, 0]


def _told(part: Assumptions, topic: Integers, level: Integers) -> tuple[Floats, Floats]:
    """What words tell of the factors: (n, 3) of variance 1, and the (3,) shares that this is of them."""
    place = part.topics[["difficulty", "contrast_1", "contrast_2"]].to_numpy(dtype=float)[topic]
    told = _standard(place)
    rung = _standard(level[:, None].astype(float))[:, 0]
    for column, quantity in enumerate(("level_share", "level_contrast")):  # in level words, not in the topic
        tilt = part.value(quantity)
        told[:, column] = np.sqrt(1 - tilt) * told[:, column] + np.sqrt(tilt) * rung
    told = _standard(told) * (-1, 1, 1)
    share = np.array([part.visible["general"], part.visible["contrast"], part.visible["contrast"]])
    return told, np.where(told.any(axis=0), share, 0.0)


def _standard(columns: Floats) -> Floats:
    """Columns with mean 0 and variance 1; constant columns become 0."""
    spread = columns.std(axis=0)
    return np.asarray((columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def draw_latent(part: Assumptions, queries: Queries, factors: Floats, rng: np.random.Generator) -> Floats:
    """(n, m) latent value of every model on every query, of variance about 1."""
    n, m = len(factors), len(part.models)
    # A model's own taste for a topic; its strength is part of what is the model's own.
    taste = draw_tastes(len(part.topics), m, rng)[queries.topic]
    hidden = rng.standard_normal((n, m))
    share = part.visible["own"]
    _pair_twins(hidden, queries.twin, "twin_own", share)
    own = np.sqrt(share) * taste + np.sqrt(1 - share) * hidden
    unique = np.sqrt(1 - np.square(part.loadings).sum(axis=1))
    # einsum, not a matrix product: BLAS may sum in an order that depends on the number of threads.
    return np.asarray(np.einsum("nk,mk->nm", factors, part.loadings) + unique * own)


def draw_tastes(topics: int, models: int, rng: np.random.Generator) -> Floats:
    """(topics, models) taste of each model for each topic, in standard deviations."""
    return rng.standard_normal((topics, models))


def _pair_twins(hidden: Floats, twin: NDArray[np.bool_], quantity: str, told: float) -> None:
    """Correlate, in place, what is hidden of twins, so that told and hidden together have the real tie.

    Parameters
    ----------
    told : share that twins have in common because their words tell it.
    """
    second = np.flatnonzero(twin)
    if len(second):
        tie = (value(quantity, catalog.WINOGRANDE) - told) / (1 - told)
        hidden[second] = tie * hidden[second - 1] + np.sqrt(1 - tie**2) * hidden[second]


def scores(latent: Floats, mean: Floats, scale: NDArray[np.str_]) -> Floats:
    """(n, m) scores in [0, 1] whose mean per model is the wanted one, as nearly as whole scores allow.

    Parameters
    ----------
    latent : (n, m) latent values.
    mean : (m,) wanted mean score per model.
    scale : (n,) "binary" (0 or 1), "quarters" (0, 0.25 … 1) or "tenths" (0.1 … 1).
    """
    return _with_means(lambda threshold: _graded(latent - threshold, scale), mean)


def _with_means(scored: Callable[[Floats], Floats], mean: Floats) -> Floats:
    """(n, m) scores at the (m,) thresholds, found by bisection, that give the models these mean scores."""
    low, high = np.full(len(mean), -12.0), np.full(len(mean), 12.0)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        too_good = scored(middle).mean(axis=0) > mean
        low, high = np.where(too_good, middle, low), np.where(too_good, high, middle)
    return scored(high)


def expected_scores(part: Assumptions, topic: Integers, level: Integers, taste: Floats) -> Floats:
    """(n, m) mean score over all that a prompt's words leave open, in closed form.

    Parameters
    ----------
    topic, level : (n,) of each query, as `Queries` has them; all queries of the dataset's table.
    taste : (topics, m) each model's taste for each topic, as `draw_latent` draws it.
    """
    told, share = _told(part, topic, level)
    unique = 1 - np.square(part.loadings).sum(axis=1)
    known = np.einsum("nk,mk->nm", np.sqrt(share) * told, part.loadings)
    known += np.sqrt(unique * part.visible["own"]) * taste[topic]
    open_ = np.square(part.loadings) @ (1 - share) + unique * (1 - part.visible["own"])
    scale = part.topics["scale"].to_numpy(dtype=str)[topic]
    return _with_means(lambda threshold: _expected(known - threshold, np.sqrt(open_), scale), part.mean)


def _expected(margin: Floats, spread: Floats, scale: NDArray[np.str_]) -> Floats:
    """(n, m) expected `_graded` score of normal margins with (n, m) means and (m,) standard deviations."""
    expected = ndtr(margin / spread)
    for name, (steps, slope, lowest) in _GRADES.items():
        rows = scale == name
        cuts = ndtri((np.arange(steps) + 0.5) / steps) / slope  # a step up where the margin passes its cut
        passed = ndtr((margin[rows, :, None] - cuts) / spread[:, None])
        passed[..., : round(lowest * steps)] = 1.0
        expected[rows] = passed.mean(axis=2)
    return np.asarray(expected)


def _graded(margin: Floats, scale: NDArray[np.str_]) -> Floats:
    """(n, m) scores from the distance to each model's threshold."""
    graded = (margin > 0).astype(float)
    for name, (steps, spread, lowest) in _GRADES.items():
        rows = scale == name
        graded[rows] = np.maximum(np.rint(steps * ndtr(spread * margin[rows])) / steps, lowest)
    return graded
