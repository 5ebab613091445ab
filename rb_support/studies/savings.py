"""What the best routers save (RouteLLM section 5.4), and how well chosen thresholds hold on other queries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.pairs import bootstrap_pairs, mixed_price, share_at, threshold_for
from rb_support.stats import interval
from rb_support.studies.preference import Rates
from rb_support.studies.transfer import Pairs

Array = NDArray[np.float64]


def savings(
    rates: Rates,
    benchmarks: Pairs,
    *,
    strong_price: float,
    weak_price: float,
    rng: np.random.Generator,
    draws: int = 500,
    targets: tuple[float, ...] = (0.5, 0.8),
) -> pd.DataFrame:
    """RouteLLM's Table 6: what the best router of each benchmark saves at CPT(50%) and CPT(80%).

    The best is the one of the highest APGR on the very queries it is judged on, as in the paper, so the
    ratios are optimistic; the resamples do not repeat that choice.

    Parameters
    ----------
    rates : win rates; of each benchmark its routers compete.
    benchmarks : name -> scores of the pair.
    strong_price, weak_price : USD per million tokens.
    rng, draws : of the resamples.
    targets : recovered shares of the gap.

    Returns
    -------
    A row per benchmark and target: benchmark, training, router, apgr, target, share (CPT), saving (the
    random router's expected calls over the router's), saving_full (their costs, the weak model's counted),
    each saving with its `_low` and `_high`, and quality_share (the score there over the strong model's).
    """
    rows = []
    for benchmark, pairs in benchmarks.items():
        mine = {f"{t}|{r}": rate for (t, r, on), rate in rates.items() if on == benchmark}
        options: dict[str, Any] = {"rng": rng, "draws": draws, "targets": targets}
        found, samples = bootstrap_pairs(mine, pairs.strong, pairs.weak, **options)
        best = str(found["apgr"].fillna(-np.inf).idxmax())
        training, _, router = best.partition("|")
        head = {"benchmark": benchmark, "training": training, "router": router}
        area, score = found.at[best, "apgr"], pairs.strong.mean()
        for target in targets:
            name = f"cpt{100 * target:g}"
            shares = np.array([found.loc[best, name], *samples[best][name]], dtype=float)
            row = _saved(shares, target, strong_price, weak_price)
            reached = target * score + (1 - target) * pairs.weak.mean()
            rows.append({**head, "apgr": area, "target": target, **row, "quality_share": reached / score})
    return pd.DataFrame(rows)


def calibration_table(
    rates: Rates,
    here: str,
    elsewhere: str,
    *,
    rng: np.random.Generator,
    shares: Iterable[float] = (0.2, 0.5, 0.8),
) -> pd.DataFrame:
    """Thresholds chosen for wanted shares of strong calls on one half of the queries, checked on the other.

    Parameters
    ----------
    rates : win rates, those on the two benchmarks by routers of one training set.
    here : benchmark whose queries are halved at random.
    elsewhere : benchmark that the same thresholds are taken to.
    rng : of the halves.
    shares : wanted shares of strong calls.

    Returns
    -------
    A row per router and share: router, wanted, threshold, chosen_on, other_half and elsewhere (the shares
    of strong calls that the threshold gives).
    """
    rows = []
    for (training, router, on), rate in rates.items():
        if on == here:
            half = rng.permutation(len(rate)) < len(rate) // 2
            for share in shares:
                bar = threshold_for(rate[half], share)
                given = {"chosen_on": share_at(rate[half], bar), "other_half": share_at(rate[~half], bar)}
                given["elsewhere"] = share_at(rates[training, router, elsewhere], bar)
                rows.append({"router": router, "wanted": share, "threshold": bar, **given})
    return pd.DataFrame(rows)


def _saved(shares: Array, target: float, strong_price: float, weak_price: float) -> dict[str, float]:
    """Both ratios, with intervals, from the CPT of the queries as they are and of their resamples."""
    calls = target / shares
    mixed = shares * strong_price + (1 - shares) * weak_price
    full = mixed_price(target, strong_price, weak_price) / mixed
    found = {"share": float(shares[0])}
    for name, ratio in (("saving", calls), ("saving_full", full)):
        known = ratio[1:][~np.isnan(ratio[1:])]
        low, high = interval(known) if len(known) else (np.nan, np.nan)
        found |= {name: float(ratio[0]), f"{name}_low": low, f"{name}_high": high}
    return found
