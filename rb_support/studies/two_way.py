"""Means over splits and prompts, and how sure they are: a two-way bootstrap, for many numbers at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rb_support.stats import simultaneous

Array = NDArray[np.float64]


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
        """Simultaneous intervals, (cells, 2): `stats.simultaneous`, wider where few splits tell the spread.

        A resample of s seeds has (s - 1) / s of their variance, and says nothing of how unsure a variance
        from s numbers is: without this, of boards whose spread is that of ten splits alone three in ten are
        not covered. So the missing part is added, and the shared quantile is taken from Student's t with the
        degrees of freedom that a cell's spread has (Satterthwaite 1946). One split alone has no spread: its
        intervals are of the prompts only.
        """
        half, spread = self.value - simultaneous(self.value, self.draws, level)[:, 0], self.draws.std(axis=0)
        seeds = np.isfinite(self.splits).sum(axis=1)
        varied = (half > 0) & (seeds > 1)
        many, some = seeds[varied], self.splits[varied]
        split = np.nanvar(some, axis=1, ddof=1) / many if varied.any() else np.zeros(0)
        wide = np.sqrt(spread[varied] ** 2 + split / many)
        free = (many - 1) * (wide**2 / np.maximum(split, 1e-9 * wide**2)) ** 2
        half[varied] = wide * stats.t.isf(stats.norm.sf(half[varied] / spread[varied]), free)
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


def joined(parts: Sequence[Cells]) -> Cells:
    """Cells of several, one after the other."""
    value, draws, splits = zip(*parts, strict=True)
    return Cells(np.concatenate(value), np.concatenate(draws, axis=1), np.concatenate(splits))
