"""Principal directions of the queries' vectors: few columns for learners that could not bear hundreds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FLAT = 1e-9
"""A direction with less than this share of the variance holds rounding only."""

DIGITS = 6
"""Decimals kept of a projection, where the vectors' mean squared length is one."""


class Directions:
    """Projections of vectors on their directions of most variance, in units of the vectors' mean length.

    Projections differ from processor to processor by some 1e-12, and a learner that orders them, as a tree
    does, turns that into another prediction where two are about equal. Rounded to `DIGITS` they are the same
    to the last bit, unless one falls within 1e-12 of where rounding goes the other way, as one in half a
    million does. A direction's sign makes its largest loading positive. Directions of equal variance, which
    text embeddings do not have, have arbitrary axes: that changes a tree's predictions, not a linear model's.

    Parameters
    ----------
    X : (n, d) vectors.
    count : directions kept at most; fewer are where the vectors have fewer.
    """

    def __init__(self, X: Array, count: int) -> None:
        self.center = X.mean(axis=0)
        scatter = (X - self.center).T @ (X - self.center) / len(X)
        variance, axes = np.linalg.eigh(scatter)
        kept = axes[:, variance > FLAT * np.trace(scatter)][:, ::-1][:, :count]
        largest = kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])]
        self.axes = kept * np.sign(largest) / np.sqrt(np.trace(scatter) or 1.0)

    def __call__(self, X: Array) -> Array:
        """Projections, (n, k), of (n, d) vectors."""
        return np.round((X - self.center) @ self.axes, DIGITS)
