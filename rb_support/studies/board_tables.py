"""Outcome tables by name: the ones that a sweep and the leaderboard compare routers on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from rb_support.catalog import GSM8K, HELLASWAG, MMLU
from rb_support.embed import embed_queries
from rb_support.load import load_outcomes
from rb_support.outcomes import Outcomes
from rb_support.sources import load_routerbench, load_search_qa
from rb_support.studies.fits import Material, material

REAL: Mapping[str, Callable[[], Outcomes]] = MappingProxyType(
    {
        "arc-challenge": lambda: load_routerbench("slice").of("ARC-Challenge"),
        "winogrande": lambda: load_routerbench("slice").of("Winogrande"),
        "mbpp": lambda: load_routerbench("slice").of("MBPP"),
        "routerbench-0shot": lambda: load_routerbench("sample"),
        "search-qa": load_search_qa,
    }
)
SIMULATED: Mapping[str, Callable[[], Outcomes]] = MappingProxyType(
    {
        f"simulated-{name.lower()}": lambda name=name: load_outcomes().of(name)
        for name in (MMLU, HELLASWAG, GSM8K)
    }
)
"""Tables made from a seed, none of them real."""


def load_table(name: str) -> Outcomes:
    """Table of a name, or an own table at a path."""
    return {**REAL, **SIMULATED}[name]() if name in {**REAL, **SIMULATED} else load_outcomes(name)


def load_material(name: str, embedding: str = "minilm") -> Material:
    """A table by name with the vectors of its prompts."""
    table = load_table(name)
    return material(table, embed_queries(table, embedding, progress=False).to_numpy())
