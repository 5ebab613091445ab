"""Why a router may lie below random: which categories it sends first, and where the gap really is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from rb_support.outcomes import Battles
from rb_support.outcomes.splits import same_text
from rb_support.preference.battle_sets import gold_battles, join, relabel
from rb_support.preference.sw import SWRanking
from rb_support.preference.training_sets import Experiment
from rb_support.studies.labels import area
from rb_support.studies.preference_study import WinRates


def categories(rates: Iterable[WinRates], training: str, benchmark: str) -> pd.DataFrame:
    """Mean win rate and mean gap per category of a benchmark, by the routers of one training set.

    Returns
    -------
    A row per router and category, the widest gap first: router, category, queries, gap (mean of the strong
    model's score minus the weak one's) and win_rate; none if no router is of that set and benchmark.
    """
    columns = ["router", "category", "queries", "gap", "win_rate"]
    frames = [pd.DataFrame(columns=columns)]
    for one in [one for one in rates if (one.training, one.table) == (training, benchmark)]:
        told = {"gap": one.pairs.strong - one.pairs.weak, "win_rate": one.rate}
        tasks = pd.DataFrame(told).groupby(one.pairs.frame["task"].to_numpy())
        means = tasks.mean().assign(queries=tasks.size()).rename_axis("category")
        ordered = means.sort_values("gap", ascending=False, kind="stable").reset_index()
        frames.append(ordered.assign(router=one.router)[columns])
    return pd.concat(frames[1:] or frames, ignore_index=True)


def orders(rates: Iterable[WinRates], training: str, benchmark: str) -> pd.DataFrame:
    """How a training set's routers order a benchmark, as they are and reversed.

    Returns
    -------
    A row per router: router, rank_correlation (of win rate and gap over the categories; NaN with fewer than
    three), spread (largest less smallest mean win rate of a category), apgr, and apgr_reversed.
    """
    rows = []
    for one in [one for one in rates if (one.training, one.table) == (training, benchmark)]:
        part = categories([one], training, benchmark)
        both = [area(sign * one.rate, one.pairs) for sign in (1, -1)]
        rows.append((one.router, _rank(part["win_rate"], part["gap"]), np.ptp(part["win_rate"]), *both))
    return pd.DataFrame(rows, columns=["router", "rank_correlation", "spread", "apgr", "apgr_reversed"])


def _rank(x: pd.Series[float], y: pd.Series[float]) -> float:
    both = pd.DataFrame({"x": x, "y": y}).round(9)  # to a billionth, so that rounding makes no order
    if len(both) < 3 or both.nunique().min() < 2:
        return np.nan
    return float(spearmanr(both["x"], both["y"])[0])


def mixes(
    experiment: Experiment,
    X: pd.DataFrame,
    training: str,
    benchmark: str,
    shares: Iterable[float],
    *,
    seed: int = 0,
) -> dict[float, WinRates]:
    """SW ranking on a training set in which a share of the weight goes to the benchmark's own comparisons.

    The benchmark is halved by prompt. Each half is judged by a router that learnt from the training set and
    from the scores of the *other* half, as battles that the higher score wins: nothing is judged on what was
    learnt from.

    Parameters
    ----------
    experiment : training data and benchmarks.
    X : embeddings by prompt.
    training, benchmark : names of what is mixed.
    shares : of the battles' weight that the other half gets, in [0, 1].
    seed : of the halves.

    Returns
    -------
    Share -> win rates less their mean, since two routers have two levels and only the order counts; none if
    all prompts of the benchmark are the same.
    """
    pairs, base = experiment.benchmarks[benchmark], experiment.battles(training, "classes")
    codes, distinct = pd.factorize(same_text(pairs.frame["prompt"]))
    if len(distinct) < 2:
        return {}
    first = (np.random.default_rng(seed).permutation(len(distinct)) % 2 == 0)[codes]
    names = {pairs.strong_model: "strong", pairs.weak_model: "weak"}
    asked, found = X.loc[pairs.frame["prompt"]].to_numpy(), {}
    for share in shares:
        rate = np.zeros(len(pairs))
        for half in (first, ~first):
            own = relabel(gold_battles(pairs.take(~half)), names)
            battles = _weighed(base, own, share)
            told = SWRanking().fit(battles, X.loc[battles.frame["prompt"]].to_numpy()).win_rate(asked)
            rate[half] = (told - told.mean())[half]
        found[share] = WinRates(training, f"SW ranking, {share:.0%} own", benchmark, pairs, rate)
    return found


def mix_table(mixed: Mapping[float, WinRates]) -> pd.DataFrame:
    """Own share, rank correlation of category win rate and gap, and APGR of `mixes`, by rising share."""
    rows = []
    for share in sorted(mixed):
        found = orders([mixed[share]], mixed[share].training, mixed[share].table)
        rows.append((share, *found[["rank_correlation", "apgr"]].iloc[0]))
    return pd.DataFrame(rows, columns=["own_share", "rank_correlation", "apgr"])


def _weighed(base: Battles, own: Battles, share: float) -> Battles:
    """Both tables joined, the second with a share of the whole weight."""
    parts = [(base, 1 - share), (own, share)]
    return join(
        *(
            replace(part, frame=part.frame.assign(weight=part.weight * size * len(base) / part.weight.sum()))
            for part, size in parts
            if size > 0
        )
    )
