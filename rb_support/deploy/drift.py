"""Whether new prompts are like those that a router was measured on; prompts' texts are not needed for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from rb_support.cache import packaged_table
from rb_support.frontier import exceeds

Array = NDArray[np.float64]

LEVEL = 0.01
"""Chance that prompts which are like the held-out ones are called unlike."""

AXES = 16
"""Directions of the embeddings that are kept."""

_SAID = packaged_table("deploy/words.toml")["drift"]
_MOST, _DRAWS = 1000, 999


@dataclass(frozen=True)
class Drift:
    """Are new prompts like the held-out ones?

    Attributes
    ----------
    prompts : different new prompts that were looked at.
    held_out : held-out prompts they were held against.
    chance : how often prompts that are like these would differ as much: p-value of a permutation test of the
        energy distance.
    far : share of the new prompts that lie farther from the training prompts' mean than 99% of the held-out.
    """

    prompts: int
    held_out: int
    chance: float
    far: float

    @property
    def differs(self) -> bool:
        """Whether they are unlike the held-out ones, at `LEVEL`."""
        return self.chance <= LEVEL

    def __str__(self) -> str:
        numbers = _SAID["numbers"].format(level=LEVEL, **vars(self))
        return _SAID["differs" if self.differs else "alike"].format(prompts=self.prompts, numbers=numbers)


@dataclass(frozen=True, eq=False)
class Reference:
    """Where the held-out prompts lie, seen along the main axes of the training prompts.

    Attributes
    ----------
    center : (d,) mean of the training embeddings.
    axes : (d, k) directions in which they vary most.
    places : (n, k + 1) held-out embeddings along the axes, and their distance from the space of the axes.
    """

    center: Array
    axes: Array
    places: Array

    @classmethod
    def of(cls, train: ArrayLike, held_out: ArrayLike) -> Self:
        """Reference made of (n, d) embeddings of training prompts and of different held-out prompts."""
        vectors = np.asarray(train, dtype=np.float64)
        center = vectors.mean(axis=0)
        centred = vectors - center
        axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :AXES]
        found = cls(center, axes, np.empty((0, 0)))
        return cls(center, axes, found.places_of(held_out))

    def places_of(self, X: ArrayLike) -> Array:
        """Embeddings (n, d) along the axes, and what of their length is left, (n, k + 1)."""
        centred = np.asarray(X, dtype=np.float64) - self.center
        along = centred @ self.axes
        return np.column_stack([along, np.linalg.norm(centred - along @ self.axes.T, axis=1)])

    def drift(self, X: ArrayLike, *, seed: int = 0) -> Drift:
        """Hold (n, d) embeddings of different prompts against the held-out ones.

        The statistic is the energy distance (Székely and Rizzo 2013), which is 0 only between equal
        distributions; its own distribution under no difference is that over permutations, so that the level
        is exact. At most 1,000 prompts of either side are looked at.

        Parameters
        ----------
        X : embeddings by the same encoder.
        seed : of the permutations, and of what is looked at.
        """
        rng = np.random.default_rng(seed)
        new = self.places_of(X)
        far = np.linalg.norm(new, axis=1) > np.quantile(np.linalg.norm(self.places, axis=1), 0.99)
        new, old = (part[rng.permutation(len(part))[:_MOST]] for part in (new, self.places))
        both = np.concatenate([new, old])
        is_new = np.arange(len(both)) < len(new)
        labels = np.stack([is_new, *(rng.permutation(is_new) for _ in range(_DRAWS))]).astype(float)
        told = _energy(cdist(both, both), labels)
        return Drift(len(new), len(old), float(np.mean(~exceeds(told[0], told, told[0]))), float(far.mean()))


def _energy(distance: Array, labels: Array) -> Array:
    """Energy distance between rows labelled 1 and 0, (draws,), of (n, n) distances and (draws, n) labels."""
    n_new = labels.sum(axis=1)
    n_old = labels.shape[1] - n_new
    reached = labels @ distance
    inside, all_new = (reached * labels).sum(axis=1), reached.sum(axis=1)
    across = all_new - inside
    outside = distance.sum() - 2 * across - inside
    return np.asarray(2 * across / (n_new * n_old) - inside / n_new**2 - outside / n_old**2)
