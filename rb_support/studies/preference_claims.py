"""What RouteLLM's section 5.1 says of its Tables 1 to 3, held against our results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rb_support.outcomes import PairScores
from rb_support.pairs import bootstrap_pairs
from rb_support.preference.training_sets import ARENA, GOLD, JUDGE
from rb_support.stats import interval
from rb_support.studies.preference import RANDOM, Rates

FEWER_CALLS = 0.15
""""About 20% fewer calls" is taken to hold from here on; the paper's own routers save 17% to 29%."""

Verdict = tuple[str, str, bool | None]
"""Statement in our words, our numbers, and whether it holds."""


@dataclass(frozen=True)
class _Level:
    """Routers trained on a set stand above random (1) or at its level (0) on a benchmark."""

    benchmark: str
    ends: str
    sign: int
    routers: tuple[str, ...] = ()


_SIMPLE, _CLASSIFIERS = ("SW ranking", "Matrix factorization"), ("BERT", "Causal LM")
_LEVELS = {
    "Trained on votes alone, SW ranking and matrix factorization beat random on MT Bench": _Level(
        "MT Bench", ARENA, 1, _SIMPLE
    ),
    "Trained on votes alone, both classifiers are close to random on MT Bench": _Level(
        "MT Bench", ARENA, 0, _CLASSIFIERS
    ),
    "Trained on votes alone, all routers are at random's level on MMLU": _Level("MMLU", ARENA, 0),
    "Trained on votes alone, all routers are close to random on GSM8K": _Level("GSM8K", ARENA, 0),
    "With a judge's labels all routers beat random on MT Bench": _Level("MT Bench", JUDGE, 1),
    "With golden labels all routers beat random on MMLU": _Level("MMLU", GOLD, 1),
    "With a judge's labels all routers beat random on GSM8K": _Level("GSM8K", JUDGE, 1),
}
_GAINS = {
    "A judge's labels improve every router on MT Bench": ("MT Bench", JUDGE),
    "Golden labels improve every router on MMLU": ("MMLU", GOLD),
    "A judge's labels improve every router on GSM8K": ("GSM8K", JUDGE),
}


def verdicts(
    found: pd.DataFrame,
    rates: Rates,
    benchmarks: Mapping[str, PairScores],
    *,
    rng: np.random.Generator,
    draws: int = 500,
) -> list[Verdict]:
    """All statements, decided by 95% intervals over queries; None where the data at hand cannot decide.

    "At random's level" holds as long as every interval of APGR covers 0.5.

    Parameters
    ----------
    found : results, as `preference.results` gives them.
    rates : win rates they come from.
    benchmarks : name -> scores of the pair.
    rng, draws : of the paired resamples for improvements.
    """
    stated = [(text, *_level(found, level)) for text, level in _LEVELS.items()]
    for text, (benchmark, ends) in _GAINS.items():
        table = gains(rates, benchmarks, benchmark, ends, rng=rng, draws=draws)
        stated.append((text, *_decided(table, "gain", 0.0, 1)))
    return [*stated, _fewer(found)]


def gains(
    rates: Rates,
    benchmarks: Mapping[str, PairScores],
    benchmark: str,
    ends: str,
    *,
    rng: np.random.Generator,
    draws: int = 500,
) -> pd.DataFrame:
    """APGR with the augmented training set minus APGR with the first one, on the same resamples.

    Parameters
    ----------
    rates : win rates; the first training set is the one before augmentation.
    benchmarks : name -> scores of the pair.
    benchmark : which to judge on.
    ends : how the augmented set's name ends.
    rng, draws : of the resamples.

    Returns
    -------
    A row per router: router, gain, gain_low, gain_high; none if there is no such set or benchmark.
    """
    trainings = list(dict.fromkeys(training for training, _, on in rates if on == benchmark))
    after = [name for name in trainings[1:] if name.endswith(ends)]
    columns = ["router", "gain", "gain_low", "gain_high"]
    if not after:
        return pd.DataFrame(columns=columns)
    mine = {
        (training, router): rate
        for (training, router, on), rate in rates.items()
        if on == benchmark and training in (trainings[0], after[0])
    }
    pairs, names = benchmarks[benchmark], {f"{key}": key for key in mine}
    estimates, samples = bootstrap_pairs(
        {name: mine[key] for name, key in names.items()}, pairs.strong, pairs.weak, rng=rng, draws=draws
    )
    rows = []
    for router in dict.fromkeys(router for _, router in mine):
        old, new = f"{(trainings[0], router)}", f"{(after[0], router)}"
        low, high = interval((samples[new]["apgr"] - samples[old]["apgr"]).dropna())
        rows.append((router, estimates["apgr"][new] - estimates["apgr"][old], low, high))
    return pd.DataFrame(rows, columns=columns)


def _level(found: pd.DataFrame, level: _Level) -> tuple[str, bool | None]:
    rows = _rows(found, level.benchmark, level.ends)
    if level.routers:
        rows = rows[rows["router"].isin(level.routers)]
    return _decided(rows, "apgr", 0.5, level.sign)


def _rows(found: pd.DataFrame, benchmark: str, ends: str) -> pd.DataFrame:
    """Routers on a benchmark with the first training set that ends so."""
    here = found[(found["benchmark"] == benchmark) & (found["router"] != RANDOM)]
    named = [name for name in dict.fromkeys(here["training"]) if name.endswith(ends)]
    return here[here["training"].isin(named[:1])]


def _decided(rows: pd.DataFrame, column: str, level: float, sign: int) -> tuple[str, bool | None]:
    """Numbers with intervals, and whether all lie above the level (1) or about it (0)."""
    if rows.empty:
        return "no such training data here", None
    low, high = rows[f"{column}_low"], rows[f"{column}_high"]
    parts = zip(rows["router"], rows[column], low, high, strict=True)
    ours = "; ".join(f"{name} {value:.3f} [{a:.3f}, {b:.3f}]" for name, value, a, b in parts)
    covers = (low <= level) & (high >= level)
    if sign == 0:
        return ours, bool(covers.all())
    return ours, True if (low > level).all() else False if (high < level).any() else None


def _fewer(found: pd.DataFrame) -> Verdict:
    text = f"With golden labels all routers need at least {FEWER_CALLS:.0%} fewer calls for CPT(50%) on MMLU"
    rows = _rows(found, "MMLU", GOLD)
    if rows.empty:
        return text, "no such training data here", None
    most, least = 0.5 * (1 - FEWER_CALLS), rows["cpt50_low"].fillna(1)
    ours = "; ".join(f"{r.router} {r.cpt50:.1%}" for r in rows.itertuples())
    holds = True if (rows["cpt50_high"].fillna(1) <= most).all() else False if (least > most).any() else None
    return text, ours, holds
