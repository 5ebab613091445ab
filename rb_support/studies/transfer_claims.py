"""What RouteLLM says of other pairs, savings, overhead and its own numbers, as evidence for verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from rb_support import paper
from rb_support.catalog import canonical
from rb_support.preference.training_sets import ARENA, GOLD, JUDGE, MT_BENCH, Experiment
from rb_support.studies import overhead
from rb_support.studies.audit import Chance, augmentation, differences
from rb_support.studies.preference_claims import BERT, CAUSAL, FACTORIZATION, SW, listed, resampled
from rb_support.studies.preference_study import WinRates, by_table, judge, on_tables
from rb_support.studies.savings import Prices, savings
from rb_support.studies.transfer import Pairs, summary, testable
from rb_support.verdicts import Estimate, Evidence, Fact, exact

Found = dict[str, Evidence | None]
_LARGE = 2.0  # "by far": so many times
_SMALL = 0.004  # "no more than 0.4%"; of a clock's time no number is shown, which would differ at every run


def met_in_training(experiment: Experiment, others: Pairs) -> list[str]:
    """Models of other pairs that fight in the training battles, however they are spelt there.

    Parameters
    ----------
    experiment : whose battles; its own pair does not count.
    others : name -> scores of another pair.

    Returns
    -------
    Canonical names, sorted.
    """
    fighters = {model for battles in experiment.training.values() for model in battles.models}
    own = {canonical(experiment.strong), canonical(experiment.weak)}
    outside = {canonical(model) for pair in others.values() for model in (pair.strong_model, pair.weak_model)}
    return sorted(outside & {canonical(model) for model in fighters} - own)


def of_pairs(
    rates: Sequence[WinRates],
    others: Pairs,
    shift: pd.DataFrame,
    met: Sequence[str],
    *,
    prices: Prices,
    rng: np.random.Generator,
    draws: int,
) -> Found:
    """Section 5.2: routers on other pairs. Pairs whose gap is too small are left out.

    Parameters
    ----------
    rates : win rates on the other pairs, and on more.
    others : name -> scores.
    shift : as `transfer.pair_differences` gives it.
    met : as `met_in_training` gives it.
    prices : of each pair, as in `savings`.
    rng, draws : of the resamples.
    """
    trained: Found = {"not-trained": Fact(not met, ", ".join(met) or "none is")} if others else {}
    judged = on_tables(rates, [name for name, pair in others.items() if testable(pair)])
    if not judged:
        return trained
    told = [one for competing in by_table(judged).values() for one in judge(competing, rng=rng, draws=draws)]
    above = resampled(
        [f"{one.router}, {one.table}" for one in told],
        [one.metrics["apgr"] for one in told],
        [one.samples["apgr"] for one in told],
        [len(one.rate) for one in told],
    )
    alike = listed(shift[["difference", "low", "high"]], shift["pair"], shift["queries"])
    saved = savings(judged, prices=prices, rng=rng, draws=draws, targets=(0.8,))
    fewer = 1 / saved[["saving", "saving_high", "saving_low"]]
    calls = listed(fewer, saved["benchmark"], [len(others[name]) for name in saved["benchmark"]])
    return trained | {"others-above": above, "comparable": alike, "half-the-calls": calls}


def of_maps(atlas: pd.DataFrame) -> Fact | None:
    """Whether routers hold for most pairs of models; None where no pair has a gap."""
    found = summary(atlas)
    if found.empty:
        return None
    better = found.groupby("benchmark")["better"].mean().min()
    worse = found["worse"].max()
    words = f"mean over routers {better:.0%} of pairs above chance at least; {worse:.0%} below at most"
    return Fact(True if better > 0.5 else False if worse > 0.5 else None, words)


def of_savings(table6: pd.DataFrame, sizes: Mapping[str, int]) -> Found:
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
    counted = None if np.isnan(moved) else exact(moved, "counting it changes a ratio by at most")
    return {"saves-everywhere": ratios, "saves-3.66": ratios, "weak-cost": counted}


def of_overhead(table7: pd.DataFrame, column: str, strong_price: float, tokens: float) -> Found:
    """Section 5.5: what routing takes; the paper's own table, and this machine's clock.

    Parameters
    ----------
    table7 : measured, as `overhead.measure` gives it, with the share of the strong model's cost in `column`.
    column : that column's name.
    strong_price : USD per million of the strong model's tokens (App. D).
    tokens : mean number of tokens of a call.
    """
    printed = paper.routellm_overhead()["usd_per_million_requests"].max()
    dearest = overhead.share_of_generation(printed, strong_price, tokens)
    ours = float(table7[column].max())
    speed = table7[table7["way"] == overhead.BATCH].set_index("router")["requests_per_second"]
    others = speed.drop([overhead.ENCODER, SW], errors="ignore").min()
    slower = bool(SW in speed and speed[SW] < others / _LARGE)
    said = "less than half as fast as any other" if slower else "not below half of the slowest other's speed"
    return {
        "gpt4-price": exact(strong_price, "USD per million tokens"),
        "overhead-printed": exact(dearest, "share of the generation's cost"),
        "overhead-here": Fact(ours <= _SMALL, f"measured {'below' if ours <= _SMALL else 'above'} that"),
        "sw-slowest": Fact(slower, said),
    }


def of_commercial(leads: pd.DataFrame, n: int) -> Found:
    """Appendix E: two of our routers against the commercial ones; nothing without leads.

    Parameters
    ----------
    leads : as `commercial.commercial_leads` gives it.
    n : questions that it rests on.
    """
    best = leads[leads["router"].isin([FACTORIZATION, CAUSAL])]
    names, sizes = best["router"] + " - " + best["commercial"], [n] * len(best)
    columns = {"above-commercial": "lead", "fewer-than-commercial": "fewer"} if len(best) else {}
    return {
        key: listed(best[[column, f"{column}_low", f"{column}_high"]], names, sizes)
        for key, column in columns.items()
    }


def of_new_models(table: pd.DataFrame, sizes: Mapping[str, int]) -> list[Estimate]:
    """What routing to a new model gains with the most labels, beside what knowing nothing reaches.

    Parameters
    ----------
    table : as `new_models.summary` gives it.
    sizes : queries of each table.
    """
    most = table[table["labels"] == table["labels"].max()]
    wider = norm.ppf(1 - 0.025 / max(len(most), 1)) / norm.ppf(0.975)  # simultaneous over the tables
    gain = most[["gain"]].to_numpy(dtype=float)
    intervals = np.hstack([gain, gain + wider * (most[["low", "high"]].to_numpy(dtype=float) - gain)])
    return listed(intervals, most["table"], most["table"].map(dict(sizes)), most["placebo"])


def of_audit(numbers: pd.DataFrame, known: Mapping[str, Chance], random: pd.DataFrame) -> Found:
    """Section 5.1 on the paper's own numbers, with the luck of its own questions.

    An interval is the printed number and what random orders leave open around it, simultaneous over all
    routers of the table; of a difference, the noise of two unrelated orders, for all of them at once.

    Parameters
    ----------
    numbers : as `audit.published` gives them.
    known : chance by table.
    random : as `audit.random_rows` gives it.
    """
    votes, judged, gold = ARENA, f"{ARENA} + {JUDGE}", f"{ARENA} + {GOLD}"
    pairs = differences(numbers, known).dropna(subset="noise")
    swapped = {"router": "other_router", "training": "other_training"}
    swapped |= {there: here for here, there in swapped.items()}
    both_ways = pd.concat([pairs, pairs.rename(columns=swapped).assign(difference=-pairs["difference"])])

    def areas(table: str, training: str, *routers: str) -> list[Estimate] | None:
        if table not in known:
            return None
        mine = numbers[numbers["table"] == table]
        reach = norm.ppf(1 - 0.025 / len(mine)) * known[table].spread
        rows = mine[(mine["training"] == training) & mine["router"].isin(routers or mine["router"])]
        intervals = rows[["apgr"]].to_numpy() + np.array([0.0, -reach, reach])
        return listed(intervals, rows["router"], [known[table].n] * len(rows))

    def gains(rows: pd.DataFrame, names: pd.Series[str]) -> list[Estimate]:
        intervals = np.outer(rows["all_noise"], [0, -1, 1]) + rows[["difference"]].to_numpy()
        return listed(intervals, names, [known[table].n for table in rows["table"]])

    def more_labels(table: str) -> list[Estimate]:
        rows = augmentation(pairs[pairs["table"] == table])
        return gains(rows, rows["router"])

    def best(table: str, training: str, router: str) -> list[Estimate]:
        trained = (both_ways["training"] == training) & (both_ways["other_training"] == training)
        rows = both_ways[trained & both_ways["table"].eq(table) & both_ways["other_router"].eq(router)]
        return gains(rows, "over " + rows["router"])

    llama = [name for name in known if name.startswith("Llama")]
    whole = random[(random["metric"] == "apgr") & (random["table"] == MT_BENCH)].to_dict("records")
    found: Found = {
        "printed-votes-mtbench": areas(MT_BENCH, votes, SW, FACTORIZATION),
        "printed-votes-mtbench-classifiers": areas(MT_BENCH, votes, BERT, CAUSAL),
        "printed-votes-mmlu": areas("MMLU", votes),
        "printed-votes-gsm8k": areas("GSM8K", votes),
        "printed-judge-mtbench": areas(MT_BENCH, judged),
        "printed-gold-mmlu": areas("MMLU", gold),
        "printed-judge-gsm8k": areas("GSM8K", judged),
        "printed-gain-mtbench": more_labels(MT_BENCH),
        "printed-gain-mmlu": more_labels("MMLU"),
        "printed-gain-gsm8k": more_labels("GSM8K"),
        "printed-best-mtbench": best(MT_BENCH, judged, FACTORIZATION),
        "printed-best-gsm8k": best("GSM8K", judged, CAUSAL),
        "printed-table4-llama": areas(llama[0], judged) if llama else None,
    }
    if whole and known.get(MT_BENCH):
        row = whole[0]
        words = f"printed ±{row['printed_half']:.2f}, one random order ±{row['one_order']:.2f}"
        found["printed-random"] = Fact(row["one_order"] <= row["printed_half"] + 0.005, words)
    return found
