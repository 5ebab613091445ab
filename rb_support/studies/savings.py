"""What the best routers save (RouteLLM section 5.4), and how well chosen thresholds hold on other queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from rb_support import paper
from rb_support.catalog import GSM8K
from rb_support.outcomes import Outcomes, PairScores
from rb_support.pairs import average_price, cpt_name, mixed_price, share_at, threshold_for
from rb_support.preference.training_sets import Experiment
from rb_support.stats import Array, simultaneous
from rb_support.studies import wording
from rb_support.studies.preference_study import WinRates, by_table, judge, listed, on_tables
from rb_support.verdicts import Evidence, exact

_MILLION = 1_000_000

_RATIOS = [f"saving{kind}{end}" for kind in ("", "_full") for end in ("", "_low", "_high")]
FORMATS = {
    **dict.fromkeys(_RATIOS, ".2f"),
    **{"paper_saving": ".2f", "apgr": ".3f", "share": ".1%", "target": ".0%", "quality_share": ".0%"},
}
"""How a reader is shown the columns of `savings`."""

PRICE_NOTE = wording.notes("07b")["rl-tabD"]
BESIDE = wording.beside("rl-tab6")
"""What goes with the record of Appendix D's prices, and with our savings beside Table 6's."""

Prices = Mapping[str, tuple[float, float]]
"""Name of a table -> what a call of its strong and of its weak model costs, in one unit."""


def token_prices() -> pd.DataFrame:
    """What a token of either model costs in the mean (RouteLLM App. D), from list prices and mean lengths.

    Columns: quantity, ours and paper (USD per million tokens), the strong model first.
    """
    listed = paper.routellm_costs().set_index("quantity")["value"]
    lengths = listed[["mean prompt tokens", "mean answer tokens"]]
    names = ["gpt-4 average price", "mixtral average price"]
    strong = average_price(*listed[["gpt-4 input price", "gpt-4 output price"]], *lengths)
    weak = average_price(*[listed[names[1]]] * 2, *lengths)  # one price both ways
    return pd.DataFrame({"quantity": names, "ours": [strong, weak], "paper": listed[names].to_list()})


def tokens_per_call() -> float:
    """Mean number of tokens of a prompt and its answer in the paper's training set (App. D)."""
    listed = paper.routellm_costs().set_index("quantity")["value"]
    return float(listed[["mean prompt tokens", "mean answer tokens"]].sum())


def call_prices(experiment: Experiment, tables: Mapping[str, PairScores]) -> dict[str, tuple[float, float]]:
    """Prices of the strong and the weak model by table: Appendix D's, of an own table its own.

    Parameters
    ----------
    experiment : where the scores come from.
    tables : name -> queries.
    """
    if experiment.outcomes is not None and experiment.origin.kind == "own":
        return own_prices(experiment.outcomes, tables)
    strong, weak = token_prices()["ours"]
    return dict.fromkeys(tables, (strong, weak))


def printed_ratios() -> pd.DataFrame:
    """Whether the paper's Table 6 follows from its Tables 1 to 3.

    A row per benchmark: cpt50 and cpt80, the random router's drawn share of calls over the least of all
    routers, and saving_cpt50 and saving_cpt80 as printed.
    """
    ratios = {}
    for number, name in enumerate(("MT Bench", "MMLU", GSM8K), start=1):
        fewest = paper.routellm_results(number).groupby("router")[["cpt50", "cpt80"]].min()
        ratios[name] = (fewest.loc["Random"] / fewest.drop(index="Random").min()).round(2)
    return pd.DataFrame(ratios).T.join(_printed())


def _printed() -> pd.DataFrame:
    return paper.routellm_savings().set_index("benchmark")[["saving_cpt50", "saving_cpt80"]]


def beside_paper(table6: pd.DataFrame) -> pd.DataFrame:
    """`savings` with the column paper_saving, what Table 6 prints (NaN where it prints nothing)."""
    printed = pd.Series(_printed().set_axis([0.5, 0.8], axis=1).stack(), name="paper_saving")
    return table6.join(printed, on=["benchmark", "target"])


def own_prices(outcomes: Outcomes, tables: Mapping[str, PairScores]) -> dict[str, tuple[float, float]]:
    """What a million calls cost on a user's own table, in USD: each model's mean on each table's queries.

    Parameters
    ----------
    outcomes : the table that the scores come from.
    tables : name -> queries.
    """
    cost = pd.DataFrame(outcomes.cost, outcomes.frame["sample_id"], outcomes.models)
    return {
        name: tuple(_MILLION * cost.loc[pair.frame["sample_id"], [pair.strong_model, pair.weak_model]].mean())
        for name, pair in tables.items()
    }


def savings(
    rates: Iterable[WinRates],
    *,
    prices: Prices,
    rng: np.random.Generator,
    draws: int = 500,
    targets: tuple[float, ...] = (0.5, 0.8),
) -> pd.DataFrame:
    """RouteLLM's Table 6: what the best router of each benchmark saves at CPT(50%) and CPT(80%).

    The best is the one of the highest APGR on the very queries it is judged on, as in the paper, so the
    ratios are optimistic. Their intervals are simultaneous over all routers of all benchmarks: they hold
    whichever is picked.

    Parameters
    ----------
    rates : win rates; of each benchmark its routers compete.
    prices : of each benchmark, such as USD per million tokens.
    rng, draws : of the resamples.
    targets : recovered shares of the gap.

    Returns
    -------
    A row per benchmark and target: benchmark, training, router, apgr, target, share (CPT), saving (the
    random router's expected calls over the router's), saving_full (their costs, the weak model's counted),
    each saving with its `_low` and `_high`, and quality_share (the score there over the strong model's); NaN
    what a model that costs or scores nothing leaves undefined.
    """
    told = judge(list(rates), rng=rng, draws=draws, targets=targets)
    ends, rows = {}, []
    for metric in map(cpt_name, targets):
        samples = np.column_stack([one.samples[metric] for one in told])
        ends[metric] = simultaneous([one.metrics[metric] for one in told], samples)
    for benchmark, routers in by_table(told).items():
        best = max(routers, key=lambda one: np.nan_to_num(one.metrics["apgr"], nan=-np.inf))
        head = (benchmark, best.training, best.router, best.metrics["apgr"])
        score, least = best.pairs.strong.mean(), best.pairs.weak.mean()
        for target in targets:
            metric = cpt_name(target)
            fewest, most = np.clip(ends[metric][told.index(best)], 1 / len(best.rate), 1.0)
            shares = np.array([best.metrics[metric], most, fewest], dtype=float)
            quality = (target * score + (1 - target) * least) / (score or np.nan)
            rows.append((*head, target, shares[0], *_saved(shares, target, *prices[benchmark]), quality))
    columns = ["benchmark", "training", "router", "apgr", "target", "share", *_RATIOS, "quality_share"]
    return pd.DataFrame(rows, columns=columns)


def two_alike(benchmarks: Iterable[str], trainings: Mapping[str, str]) -> tuple[str, str]:
    """A benchmark to choose thresholds on, and another whose routers have learnt from the same training set.

    The first is GSM8K where there is one; the second is the first again where there is no other.

    >>> two_alike(["MMLU", "MT Bench", "GSM8K"], {"MMLU": "gold", "MT Bench": "judge", "GSM8K": "judge"})
    ('GSM8K', 'MT Bench')
    """
    names = list(benchmarks)
    here = GSM8K if GSM8K in names else names[0]
    alike = [name for name in names if name != here and trainings[name] == trainings[here]]
    return here, (alike or [here])[0]


def calibration_table(
    rates: Sequence[WinRates],
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
    there = {one.router: one.rate for one in on_tables(rates, [elsewhere])}
    for one in on_tables(rates, [here]):
        if len(one.rate) < 2:
            continue  # nothing to halve
        half = rng.permutation(len(one.rate)) < len(one.rate) // 2
        for share in shares:
            bar = threshold_for(one.rate[half], share)
            called = (one.rate[half], one.rate[~half], there[one.router])
            rows.append((one.router, share, bar, *(share_at(rate, bar) for rate in called)))
    columns = ["router", "wanted", "threshold", "chosen_on", "other_half", "elsewhere"]
    return pd.DataFrame(rows, columns=columns)


def _saved(shares: Array, target: float, strong_price: float, weak_price: float) -> list[float]:
    """`_RATIOS` from a CPT and both ends of its interval, the upper one first: (3,)."""
    mixed = shares * strong_price + (1 - shares) * weak_price
    mixed = np.where(mixed > 0, mixed, np.nan)  # nothing costs anything
    full = mixed_price(target, strong_price, weak_price) / mixed
    return [*(target / shares).tolist(), *full.tolist()]


def evidence(table6: pd.DataFrame, sizes: Mapping[str, int]) -> dict[str, Evidence]:
    """Section 5.4: what the best routers save, with intervals that hold whichever router is picked.

    Parameters
    ----------
    table6 : as `savings` gives it, at CPT(50%) and CPT(80%).
    sizes : queries of each benchmark.
    """
    half = table6[(table6["target"] == 0.5) & table6["saving"].notna()]
    columns = ["saving", "saving_low", "saving_high"]
    ratios = listed(half[columns], half["benchmark"], half["benchmark"].map(dict(sizes)))
    moved = (1 - table6["saving_full"] / table6["saving"]).abs().max()
    counted: Evidence = [] if np.isnan(moved) else exact(moved, "counting it changes a ratio by at most")
    return {"saves-everywhere": ratios, "saves-3.66": ratios, "weak-cost": counted}
