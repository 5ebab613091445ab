"""What RouteLLM's section 5.1 says of its Tables 1 to 3, held against our results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from rb_support import paper
from rb_support.preference.training_sets import GOLD
from rb_support.stats import supports
from rb_support.studies.preference_study import RANDOM, WinRates, known_interval, on_tables, resampled

FEWER_CALLS = 0.15
""""About 20% fewer calls" is taken to hold from here on; the paper's own routers save 17% to 29%."""

Verdict = tuple[str, str, bool | None]
"""Statement in our words, our numbers, and whether it holds."""


def verdicts(
    found: pd.DataFrame, rates: Sequence[WinRates], *, rng: np.random.Generator, draws: int = 500
) -> list[Verdict]:
    """All statements, decided by 95% intervals over queries; None where the data at hand cannot decide.

    "At random's level" holds as long as every interval of APGR covers 0.5.

    Parameters
    ----------
    found : results, as `preference_study.results` gives them.
    rates : win rates they come from.
    rng, draws : of the paired resamples for improvements.
    """
    stated = []
    for row in paper.routellm_statements().fillna({"routers": ""}).to_dict("records"):
        if row["measure"] == "gain":
            rows = gains(on_tables(rates, [row["benchmark"]]), row["training"], rng=rng, draws=draws)
        else:
            rows = _rows(found, row["benchmark"], row["training"])
            named = row["routers"].split("; ") if row["routers"] else rows["router"]
            rows = rows[rows["router"].isin(named)]
        stated.append((row["statement"], *_decided(rows, row["measure"], row["sign"])))
    return [*stated, _fewer(found)]


def gains(
    rates: Sequence[WinRates], ends: str, *, rng: np.random.Generator, draws: int = 500
) -> pd.DataFrame:
    """APGR with the augmented training set minus APGR with the first one, on the same resamples.

    Parameters
    ----------
    rates : win rates on one benchmark; the first training set is the one before augmentation.
    ends : how the augmented set's name ends.
    rng, draws : of the resamples.

    Returns
    -------
    A row per router: router, gain, gain_low, gain_high; none if there is no such set.
    """
    trainings = list(dict.fromkeys(one.training for one in rates))
    after = [name for name in trainings[1:] if name.endswith(ends)]
    columns = ["router", "gain", "gain_low", "gain_high"]
    if not after:
        return pd.DataFrame(columns=columns)
    both = [one for one in rates if one.training in (trainings[0], after[0])]
    names = [(one.training, one.router) for one in both]
    told = dict(zip(names, resampled(both, rng=rng, draws=draws), strict=True))
    rows = []
    for router in dict.fromkeys(one.router for one in both):
        (old, olds), (new, news) = told[trainings[0], router], told[after[0], router]
        rows.append((router, new["apgr"] - old["apgr"], *known_interval(news["apgr"] - olds["apgr"])))
    return pd.DataFrame(rows, columns=columns)


def _rows(found: pd.DataFrame, benchmark: str, ends: str) -> pd.DataFrame:
    """Routers on a benchmark with the first training set that ends so."""
    here = found[(found["benchmark"] == benchmark) & (found["router"] != RANDOM)]
    named = [name for name in dict.fromkeys(here["training"]) if name.endswith(ends)]
    return here[here["training"].isin(named[:1])]


def _decided(rows: pd.DataFrame, column: str, sign: int) -> tuple[str, bool | None]:
    """APGR or its gain with intervals, and whether all lie above the level of chance (1) or about it (0)."""
    if rows.empty:
        return "no such training data here", None
    low, high = rows[f"{column}_low"], rows[f"{column}_high"]
    parts = zip(rows["router"], rows[column], low, high, strict=True)
    ours = "; ".join(f"{name} {value:.3f} [{a:.3f}, {b:.3f}]" for name, value, a, b in parts)
    level = 0.5 if column == "apgr" else 0.0
    return ours, all_hold(supports(ends, sign) for ends in zip(low - level, high - level, strict=True))


def all_hold(verdicts: Iterable[bool | None]) -> bool | None:
    """Whether all verdicts hold: False if one does not, else None if one cannot be told.

    >>> all_hold([True, None]), all_hold([None, False]), all_hold([])
    (None, False, True)
    """
    told = list(verdicts)
    return False if False in told else None if None in told else True


def _fewer(found: pd.DataFrame) -> Verdict:
    text = f"With golden labels all routers need at least {FEWER_CALLS:.0%} fewer calls for CPT(50%) on MMLU"
    rows = _rows(found, "MMLU", GOLD)
    if rows.empty:
        return text, "no such training data here", None
    most, least = 0.5 * (1 - FEWER_CALLS), rows["cpt50_low"].fillna(1)
    ours = "; ".join(f"{r.router} {r.cpt50:.1%}" for r in rows.itertuples())
    holds = True if (rows["cpt50_high"].fillna(1) <= most).all() else False if (least > most).any() else None
    return text, ours, holds
