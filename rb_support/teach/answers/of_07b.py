"""What exercises of notebook 07b compute; `07b.toml` says for what, and all else about them."""

# ruff: noqa: D103

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support import pairs
from rb_support.teach.exercises import read

Array = NDArray[np.float64]
STRONG, WEAK = 25.0, 1.0
"""USD per million tokens."""

GAINS = np.repeat([1.0, -1.0, 0.0], [60, 20, 111])
SHARES = np.linspace(0, 1, 5)


def times_cheaper() -> float | None:
    return pairs.cost_saving_full(0.2, 0.5, STRONG, WEAK)


def chance() -> float:
    return float(pairs.random_apgr_spread(GAINS, np.zeros(len(GAINS))) or np.nan)


def cpt(shares: Array, recovered: Array, target: float) -> float | None:
    return pairs.cpt(shares, recovered, 0.0, 1.0, target)


def curves(rng: np.random.Generator) -> Iterator[tuple[Array, Array, float]]:
    yield np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.4, 1.0]), 0.8
    yield np.array([0.0, 0.2, 0.6, 1.0]), np.array([0.0, 0.9, 0.3, 1.0]), 0.6  # falls again
    yield np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.3, 0.4]), 0.5  # never
    yield np.array([0.1, 0.5, 1.0]), np.array([0.7, 0.8, 1.0]), 0.5  # at its first point
    yield np.array([0.0, 0.3, 0.6, 1.0]), np.array([0.0, 0.5, 0.5, 1.0]), 0.5  # a plateau
    for n in (4, 10):
        shares = np.r_[0.0, np.sort(rng.random(n)), 1.0]
        yield shares, np.r_[0.0, rng.random(n), 1.0], float(rng.uniform(0.3, 0.9))


def first_point(shares: Array, recovered: Array, target: float) -> float | None:
    reached = np.flatnonzero(recovered >= target)
    return float(shares[reached[0]]) if len(reached) else None


def point_before(shares: Array, recovered: Array, target: float) -> float | None:
    reached = np.flatnonzero(recovered >= target)
    return float(shares[max(reached[0] - 1, 0)]) if len(reached) else None


def turned_round(shares: Array, recovered: Array, target: float) -> float:
    return float(np.interp(target, recovered, shares))


def last_crossing(shares: Array, recovered: Array, target: float) -> float | None:
    backwards = cpt(1 - shares[::-1], 1 - recovered[::-1], 1 - target)
    return None if backwards is None or recovered.max() < target else 1 - backwards


def never_is_all(shares: Array, recovered: Array, target: float) -> float:
    found = cpt(shares, recovered, target)
    return 1.0 if found is None else found


def height(shares: Array, recovered: Array, target: float) -> float:
    return float(np.interp(target, shares, recovered))


def cheaper(routers: ArrayLike) -> str | None:
    """What two routers lack of which the first is to have the higher APGR, and the second to save more."""
    both = np.asarray(routers, dtype=float)
    if both.shape != (2, len(SHARES)):
        return "Give two lists of five numbers, [[…], […]]."
    if not (np.isclose(both[:, 0], 0).all() and np.isclose(both[:, -1], 1).all()):
        return "Each router begins with 0 and ends with 1."
    area, other_area = (float(pairs.apgr(SHARES, curve, 0, 1) or 0.0) for curve in both)
    calls, other_calls = (float(cpt(SHARES, curve, 0.8) or np.nan) for curve in both)
    if area <= other_area + 1e-9:
        return f"APGR is {area:.3f} and {other_area:.3f}: the first has to be higher."
    if calls <= other_calls + 1e-9:
        return f"CPT(80%) is {calls:.1%} and {other_calls:.1%}: the second has to need fewer calls."
    return None


EXERCISES = read("07b")
