"""Routers by name: the ones that a sweep and the leaderboard compare, and your own from a file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from rb_support.routers import (
    BoostingRouter,
    GuardedKNNRouter,
    KNNRouter,
    LogisticRouter,
    MLPRouter,
    PlaceboRouter,
    RandomRouter,
    RidgeRouter,
)
from rb_support.studies.fits import Made

ROUTERS: Mapping[str, Made] = MappingProxyType(
    {
        "placebo": lambda seed: PlaceboRouter(seed=seed),
        "random": lambda seed: RandomRouter(seed=seed),
        "knn": lambda seed: KNNRouter(40, seed=seed),
        "knn-100": lambda seed: KNNRouter(100, seed=seed),
        # a tuned kNN (k about 100) matches learned routers, says arXiv 2505.12601
        "knn-chosen": lambda seed: KNNRouter((5, 10, 20, 40, 80, 160, 320), seed=seed),
        "knn-guarded": lambda seed: GuardedKNNRouter(seed=seed),
        "ridge": lambda seed: RidgeRouter(seed=seed),
        "mlp": lambda seed: MLPRouter(seed=seed),
        "mlp-ensemble": lambda seed: MLPRouter(members=5, start="means", seed=seed),
        "logistic": lambda seed: LogisticRouter(seed=seed),
        "boosting": lambda seed: BoostingRouter(seed=seed),
    }
)
"""Name -> from a seed to a router."""

NULL = ("placebo", "random")
"""Routers that know nothing."""


def made(name: str) -> Made:
    """What makes a router of a name.

    Raises
    ------
    ValueError : if no router has that name.
    """
    if name not in ROUTERS:
        raise ValueError(f"no router is called {name!r}; known: {', '.join(ROUTERS)}")
    return partial(_make, name)


def _make(name: str, seed: int) -> object:
    return ROUTERS[name](seed)
