"""Means over splits and prompts, and how sure they are: a two-way bootstrap, for many numbers at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rb_support.stats import Array, bootstrap_weights, simultaneous
from rb_support.studies.fits import BLOCKS


class Cells(NamedTuple):
    """Numbers of several cells, such as leads of routers on tables, with their two-way bootstrap.

    Attributes
    ----------
    value : (cells,) means over splits; NaN where there is none.
    draws : (draws, cells) the same on resamples of prompts and splits.
    splits : (cells, seeds) the same on each split, NaN where a cell has fewer.
    """

    value: Array
    draws: Array
    splits: Array

    def intervals(self, level: float = 0.95) -> Array:
        """Simultaneous intervals, (cells, 2): `stats.simultaneous`, wider where a spread is little known.

        A resample of s seeds has (s - 1) / s of their variance, and no bootstrap says how unsure a variance
        is that comes from ten splits, 128 blocks of prompts, or 400 draws. Of boards whose spread is mostly
        that of ten splits, three in ten are not covered without this: the missing part is added, and the
        shared quantile is taken from Student's t with the degrees of freedom that a cell's spread has
        (Satterthwaite 1946). One split alone has no spread: its intervals are of the prompts only.
        """
        plain, spread = simultaneous(self.value, self.draws, level), self.draws.std(axis=0)
        half, seeds = self.value - plain[:, 0], np.isfinite(self.splits).sum(axis=1)
        split = np.zeros(len(half))
        many = seeds > 1
        split[many] = np.nanvar(self.splits[many], axis=1, ddof=1) / seeds[many]
        varies = half > 0
        normal, some, count = half[varies] / spread[varies], split[varies], seeds[varies]
        wide = spread[varies] ** 2 + some / count
        unsure = some**2 / np.maximum(count - 1, 1) + (wide - some) ** 2 / (BLOCKS - 1)
        free = wide**2 / (unsure + wide**2 / (len(self.draws) - 1))
        half[varies] = np.sqrt(wide) * stats.t.isf(stats.norm.sf(normal), free)
        return np.column_stack([self.value - half, self.value + half])

    def pointwise(self) -> Array:
        """Intervals that hold for a cell looked at alone, (cells, 2)."""
        alone = [self.at([cell]).intervals() for cell in range(len(self.value))]
        return np.concatenate([np.empty((0, 2)), *alone])

    def at(self, places: Sequence[int] | NDArray[np.intp]) -> Cells:
        """Some of the cells."""
        return Cells(self.value[places], self.draws[:, places], self.splits[places])

    def minus(self, other: Cells) -> Cells:
        """Differences from as many other cells, judged on the same splits."""
        return Cells(self.value - other.value, self.draws - other.draws, self.splits - other.splits)

    def mean(self) -> Cells:
        """One cell, the mean of all."""
        value, draws, splits = self
        return Cells(value.mean(keepdims=True), draws.mean(axis=1, keepdims=True), splits.mean(axis=0)[None])


def means(parts: Sequence[Array]) -> Cells:
    """Means over splits with their two-way bootstrap, of several cells that have as many splits.

    Parameters
    ----------
    parts : a cell's number on each split, as it is and on resamples of the prompts, (splits, 1 + draws).
    """
    splits, drawn = (len(parts[0]), parts[0].shape[1] - 1) if parts else (1, 1)
    counts = bootstrap_weights(splits, drawn, np.random.default_rng([0, splits]))
    every = np.reshape(parts, (len(parts), splits, 1 + drawn))
    draws = np.einsum("ds,csd->dc", counts, every[:, :, 1:]) / splits
    return Cells(every[:, :, 0].mean(axis=1), draws, every[:, :, 0])


def joined(parts: Sequence[Cells]) -> Cells:
    """Cells of several, one after the other."""
    value, draws, splits = zip(*parts, strict=True)
    return Cells(np.concatenate(value), np.concatenate(draws, axis=1), np.concatenate(splits))
