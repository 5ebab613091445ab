"""Clusters of prompts by their vectors, and mean outcomes by cluster, for routers that group prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.embed import unit
from rb_support.outcomes import PartialOutcomes
from rb_support.routers.evidence import prompt_numbers

Array = NDArray[np.float64]

ROUNDS = 8
"""Rounds of k-means: few, since where clusters overlap each enlarges a last digit some threefold."""
BORDER = 0.05
"""Squared distance beyond the nearest center's at which a center counts no more, for unit vectors."""
FEWEST = 4
"""Distinct vectors per cluster, at least, on average."""


def clusterings(train: PartialOutcomes, X: ArrayLike, counts: Sequence[int], seed: int) -> dict[int, Array]:
    """Centers (k, d) of k clusters of prompts, for each of several k that there are vectors enough for.

    Ordinary k-means on vectors of length 1, started at some of them, drawn by their squared distance to
    those drawn before, but for `memberships` in place of the nearest center: a vector may lie as near to one
    as to another, as all do that share no word, and then the last digit must decide nothing, which with
    scikit-learn's k-means it does. The order of the rows decides nothing either; outcomes are not looked at.

    Parameters
    ----------
    train : n queries.
    X : (n, d) their embeddings.
    counts : candidates for k.
    seed : of the draws.
    """
    vectors = unit(np.asarray(X, dtype=np.float64))[np.argsort(prompt_numbers(train), kind="stable")]
    most, found = len(np.unique(vectors.round(9), axis=0)) // FEWEST, dict[int, Array]()
    for count in [k for k in counts if k <= most]:
        rng = np.random.default_rng([seed, count])
        centers = vectors[rng.integers(len(vectors))][None]
        while len(centers) < count:
            far = _squared(vectors, centers).min(axis=1)
            centers = np.vstack([centers, vectors[rng.choice(len(vectors), p=far / far.sum())]])
        for _ in range(ROUNDS):
            member = memberships(vectors, centers)
            weight = member.sum(axis=0)[:, None] + 1e-6  # a cluster that nothing is near stays where it is
            centers = (member.T @ vectors + 1e-6 * centers) / weight
        found[count] = centers
    return found


def memberships(X: ArrayLike, centers: Array) -> Array:
    """Share of every cluster in queries with vectors (n, d), (n, k), of sum 1.

    The nearest center counts in full, others the less the further beyond it they are, up to `BORDER`, so that
    a vector between two clusters belongs to both, and a small change changes little.
    """
    distance = _squared(unit(np.asarray(X, dtype=np.float64)), centers)
    weight = np.clip(1 - (distance - distance.min(axis=1, keepdims=True)) / BORDER, 0.0, 1.0)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def profiles(member: Array, about: Array, strength: float) -> Array:
    """Mean of outcomes by cluster, (k, m), drawn to 0 as by so many further answers.

    Parameters
    ----------
    member : (n, k) shares of the clusters.
    about : (n, m) outcomes less each model's mean; NaN where a model did not answer.
    strength : how many.
    """
    answers = member.T @ np.isfinite(about).astype(np.float64)
    return np.asarray((member.T @ np.nan_to_num(about)) / (answers + strength))


def _squared(vectors: Array, centers: Array) -> Array:
    """Squared distance of unit vectors to centers, (n, k)."""
    size = (vectors**2).sum(axis=1)[:, None] + (centers**2).sum(axis=1)
    return np.maximum(size - 2 * vectors @ centers.T, 0.0)
