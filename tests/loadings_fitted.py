"""How the stored factor loadings were obtained from real outcome rows.

The simulation does not fit anything when it runs: it reads `rb_support/simulate/data/assumptions.csv`. This
module is the record of where that file's loadings come from; `test_simulate.py` refits them on the real rows.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, least_squares
from scipy.stats import multivariate_normal, norm

_LARGEST = 0.98
"""Bound on a correlation: two models of which one is right exactly where the other fails reach it."""


def tetrachoric(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Correlation of the two normal variables whose thresholds would give these 0/1 scores.

    Unlike the plain correlation of the scores it does not shrink when one model is nearly always right.

    Parameters
    ----------
    a, b : (n,) scores of two models on the same queries, 0 or 1, neither constant.
    """
    cuts = norm.ppf([a.mean(), b.mean()])
    both = float((a * b).mean())

    def excess(correlation: float) -> float:
        cov = [[1.0, correlation], [correlation, 1.0]]
        return float(multivariate_normal.cdf(cuts, cov=cov)) - both

    if excess(-_LARGEST) > 0:
        return -_LARGEST
    return _LARGEST if excess(_LARGEST) < 0 else float(brentq(excess, -_LARGEST, _LARGEST, xtol=1e-4))


def correlations(quality: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tetrachoric correlation of every pair of models: (n, m) scores 0 or 1 to (m, m)."""
    m = quality.shape[1]
    matrix = np.eye(m)
    for i, j in combinations(range(m), 2):
        matrix[i, j] = matrix[j, i] = tetrachoric(quality[:, i], quality[:, j])
    return matrix


def loadings(correlation: NDArray[np.float64], factors: int = 3) -> NDArray[np.float64]:
    """Loadings (m, factors) whose products match the off-diagonal of a correlation matrix (m, m).

    Least squares from the leading eigenvectors; a model's shared variance stays under 1. The axes are
    then turned so that the first is general difficulty (it moves all models one way) and the others
    are contrasts between models, largest first.
    """
    m = len(correlation)
    rows, columns = np.triu_indices(m, 1)
    values, vectors = np.linalg.eigh(correlation)
    start = vectors[:, -factors:] * np.sqrt(values[-factors:])

    def misfit(flat: NDArray[np.float64]) -> NDArray[np.float64]:
        fitted = _bounded(flat.reshape(m, factors))
        return (fitted @ fitted.T)[rows, columns] - correlation[rows, columns]

    return _turned(_bounded(least_squares(misfit, start.ravel() * 0.9).x.reshape(m, factors)))


def _bounded(free: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shrink rows that would claim more variance than a model has."""
    length = np.linalg.norm(free, axis=1, keepdims=True)
    return free * np.where(length > _LARGEST, _LARGEST / np.maximum(length, 1e-12), 1.0)


def _turned(fitted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate to (general, contrasts): only the first column's loadings have a sum over the models."""
    factors = fitted.shape[1]
    general = fitted.sum(axis=0) / np.linalg.norm(fitted.sum(axis=0))
    rest = np.linalg.qr(np.column_stack([general, np.eye(factors)]))[0][:, 1:factors]
    _, _, axes = np.linalg.svd(fitted @ rest, full_matrices=False)
    contrasts = fitted @ rest @ axes.T
    # A sign is free: the first model's loading is made positive so that a refit is comparable.
    contrasts *= np.where(contrasts[0] < 0, -1.0, 1.0)
    return np.column_stack([fitted @ general, contrasts])
