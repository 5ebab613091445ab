"""What RouteLLM says of other pairs, savings, overhead and its own numbers, as evidence for verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from rb_support import paper
from rb_support.catalog import canonical
from rb_support.preference.training_sets import ARENA, GOLD, JUDGE, MT_BENCH, Experiment
from rb_support.stats import simultaneous
from rb_support.studies import overhead
from rb_support.studies.audit import Chance, augmentation, differences
from rb_support.studies.preference_study import WinRates, by_table, on_tables, resampled
from rb_support.studies.savings import Prices, savings
from rb_support.studies.transfer import Pairs, summary, testable
from rb_support.verdicts import Estimate, Evidence, Fact, exact

Found = dict[str, Evidence | None]
_FACTORIZATION, _CAUSAL, _BERT, _SW = "Matrix factorization", "Causal LM", "BERT", "SW ranking"
_LARGE = 2.0  # "by far": so many times


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
    rows, samples = [], []
    for table, competing in by_table(judged).items():
        for one, (found, drawn) in zip(competing, resampled(competing, rng=rng, draws=draws), strict=True):
            rows.append((f"{one.router}, {table}", found["apgr"], len(one.rate)))
            samples.append(drawn["apgr"])
    ends = simultaneous([value for _, value, _ in rows], np.transpose(samples))
    above = [
        Estimate(value, low, high, name, n)
        for (name, value, n), (low, high) in zip(rows, ends.tolist(), strict=True)
    ]
    numbers = shift[["difference", "low", "high"]].to_numpy(dtype=float).tolist()
    named = zip(numbers, shift["pair"], shift["queries"], strict=True)
    alike = [Estimate(*_three(row), str(name), int(n)) for row, name, n in named]
    saved = savings(judged, prices=prices, rng=rng, draws=draws, targets=(0.8,))
    ratios = (1 / saved[["saving", "saving_high", "saving_low"]].to_numpy(dtype=float)).tolist()
    tables = zip(ratios, saved["benchmark"].astype(str), strict=True)
    calls = [Estimate(*_three(row), name, len(others[name])) for row, name in tables]
    return trained | {"others-above": above, "comparable": alike or None, "half-the-calls": calls}


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
    numbers = half[["saving", "saving_low", "saving_high"]].to_numpy(dtype=float).tolist()
    named = zip(numbers, half["benchmark"].astype(str), strict=True)
    ratios = [Estimate(*_three(row), name, sizes[name]) for row, name in named]
    moved = (1 - table6["saving_full"] / table6["saving"]).abs().max()
    counted = Fact(bool(moved < 0.1), f"counting it changes a ratio by at most {moved:.1%}")
    known: Found = {"saves-everywhere": ratios or None, "saves-3.66": ratios or None}
    return known | {"weak-cost": None if np.isnan(moved) else counted}


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
    rounded = f"{dearest:.2%}: above it, and equal to it only once rounded to one digit"
    ours = float(table7[column].max())
    speed = table7[table7["way"] == overhead.BATCH].set_index("router")["requests_per_second"]
    others = speed.drop([overhead.ENCODER, _SW], errors="ignore").min()
    slower = bool(_SW in speed and speed[_SW] < others / _LARGE)
    said = "less than half as fast as any other" if slower else "not below half of the slowest other's speed"
    return {
        "gpt4-price": exact(strong_price, "USD per million tokens"),
        "overhead-printed": Fact(dearest <= 0.004, rounded if dearest > 0.004 else f"{dearest:.2%}"),
        "overhead-here": Fact(ours <= 0.004, f"measured {'below' if ours <= 0.004 else 'above'} that"),
        "sw-slowest": Fact(slower, said),
    }


def of_commercial(leads: pd.DataFrame, n: int) -> Found:
    """Appendix E: two of our routers against the commercial ones; nothing without leads.

    Parameters
    ----------
    leads : as `commercial.commercial_leads` gives it.
    n : questions that it rests on.
    """
    best = leads[leads["router"].isin([_FACTORIZATION, _CAUSAL])]
    if best.empty:
        return {}
    names = [f"{row.router} - {row.commercial}" for row in best.itertuples()]
    found: Found = {}
    for key, column in (("above-commercial", "lead"), ("fewer-than-commercial", "fewer")):
        numbers = best[[column, f"{column}_low", f"{column}_high"]].to_numpy(dtype=float).tolist()
        found[key] = [Estimate(*_three(row), name, n) for row, name in zip(numbers, names, strict=True)]
    return found


def of_new_models(table: pd.DataFrame, sizes: Mapping[str, int]) -> list[Estimate] | None:
    """What routing to a new model gains with the most labels, beside what knowing nothing reaches.

    Parameters
    ----------
    table : as `new_models.summary` gives it.
    sizes : queries of each table.
    """
    most = table[table["labels"] == table["labels"].max()]
    wider = norm.ppf(1 - 0.025 / max(len(most), 1)) / norm.ppf(0.975)  # simultaneous over the tables
    numbers = most[["gain", "low", "high", "placebo"]].to_numpy(dtype=float).tolist()
    return [
        Estimate(gain, gain + wider * (low - gain), gain + wider * (high - gain), name, sizes[name], placebo)
        for (gain, low, high, placebo), name in zip(numbers, most["table"].astype(str), strict=True)
    ] or None


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
    votes, judge, gold = ARENA, f"{ARENA} + {JUDGE}", f"{ARENA} + {GOLD}"
    pairs = differences(numbers, known)

    def areas(table: str, training: str, *routers: str) -> list[Estimate] | None:
        rows = numbers[(numbers["table"] == table) & (numbers["training"] == training)]
        if table not in known:
            return None
        reach = norm.ppf(1 - 0.025 / (numbers["table"] == table).sum()) * known[table].spread
        named = rows[rows["router"].isin(routers)] if routers else rows
        values = named[["router", "apgr"]].itertuples(index=False, name=None)
        return [Estimate(v, v - reach, v + reach, name, known[table].n) for name, v in values]

    def gains(table: str) -> list[Estimate] | None:
        rows = augmentation(pairs[(pairs["table"] == table) & pairs["noise"].notna()])
        return [_difference(row, row["router"], known) for row in rows.to_dict("records")] or None

    def best(table: str, training: str, router: str) -> list[Estimate] | None:
        part = pairs[(pairs["table"] == table) & pairs["noise"].notna()]
        part = part[(part["training"] == training) & (part["other_training"] == training)]
        found = []
        for row in part.to_dict("records"):
            if row["other_router"] == router:
                found.append(_difference(row, f"over {row['router']}", known))
            elif row["router"] == router:
                row["difference"] = -row["difference"]
                found.append(_difference(row, f"over {row['other_router']}", known))
        return found or None

    llama = [name for name in known if name.startswith("Llama")]
    whole = random[(random["metric"] == "apgr") & (random["table"] == MT_BENCH)].to_dict("records")
    found: Found = {
        "printed-votes-mtbench": areas(MT_BENCH, votes, _SW, _FACTORIZATION),
        "printed-votes-mtbench-classifiers": areas(MT_BENCH, votes, _BERT, _CAUSAL),
        "printed-votes-mmlu": areas("MMLU", votes),
        "printed-votes-gsm8k": areas("GSM8K", votes),
        "printed-judge-mtbench": areas(MT_BENCH, judge),
        "printed-gold-mmlu": areas("MMLU", gold),
        "printed-judge-gsm8k": areas("GSM8K", judge),
        "printed-gain-mtbench": gains(MT_BENCH),
        "printed-gain-mmlu": gains("MMLU"),
        "printed-gain-gsm8k": gains("GSM8K"),
        "printed-best-mtbench": best(MT_BENCH, judge, _FACTORIZATION),
        "printed-best-gsm8k": best("GSM8K", judge, _CAUSAL),
        "printed-table4-llama": areas(llama[0], judge) if llama else None,
    }
    if whole and known.get(MT_BENCH):
        row = whole[0]
        words = f"printed ±{row['printed_half']:.2f}, one random order ±{row['one_order']:.2f}"
        found["printed-random"] = Fact(row["one_order"] <= row["printed_half"] + 0.005, words)
    return found


def _difference(row: Mapping[Any, Any], name: str, known: Mapping[str, Chance]) -> Estimate:
    value, noise = float(row["difference"]), float(row["all_noise"])
    return Estimate(value, value - noise, value + noise, name, known[row["table"]].n)


def _three(row: Sequence[float]) -> tuple[float, float, float]:
    value, low, high = row
    return value, low, high
