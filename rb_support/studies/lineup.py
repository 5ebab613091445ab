"""Routers by name: the ones that a sweep and the leaderboard compare, and your own from a file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from rb_support.deploy.battle_routers import FactorizationRouter, SWRouter
from rb_support.routers import (
    ClusterRouter,
    CostAwareRouter,
    KNNRouter,
    MLPRouter,
    PlaceboRouter,
    ResultVectorRouter,
    RidgeRouter,
)
from rb_support.studies.fits import Made

ROUTERS: Mapping[str, Made] = MappingProxyType(
    {
        "placebo": lambda seed: PlaceboRouter(seed=seed),
        "knn": lambda seed: KNNRouter(40, seed=seed),
        "knn-100": lambda seed: KNNRouter(100, seed=seed),
        "ridge": lambda seed: RidgeRouter(seed=seed),
        "mlp": lambda seed: MLPRouter(seed=seed),
        "mlp-ensemble": lambda seed: MLPRouter(members=5, start="means", seed=seed),
        "clusters": lambda seed: ClusterRouter(seed=seed),
        "result-vectors": lambda seed: ResultVectorRouter(seed=seed),
        "carrot-knn": lambda seed: CostAwareRouter(
            KNNRouter(40, seed=seed), KNNRouter(40, shrink=True, seed=seed), seed=seed
        ),
        "carrot-ridge": lambda seed: CostAwareRouter(RidgeRouter(seed=seed), seed=seed),
        "sw": lambda seed: SWRouter(seed=seed),
        "factorization": lambda seed: FactorizationRouter(most=4_000, seed=seed),
    }
)
"""Name -> from a seed to a router."""

NULL = ("placebo",)
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
