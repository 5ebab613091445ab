"""The evidence for what RouteLLM's sections 5.1 and 5.3 say of its Tables 1 to 3 and 5, gathered by claim.

Statements, levels and margins stand in `rb_support/published/claims/06_preference_routers.toml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from rb_support import paper
from rb_support.catalog import GSM8K, MMLU, canonical
from rb_support.outcomes import Battles, PairScores
from rb_support.preference.battle_sets import nearest
from rb_support.preference.tiers import assign_tiers, bradley_terry
from rb_support.preference.training_sets import ALPACA, ARENA, GOLD, JUDGE, MT_BENCH, TIERS, Experiment
from rb_support.stats import bootstrap_weights, interval, simultaneous
from rb_support.studies.preference_controls import LENGTH
from rb_support.studies.preference_study import WinRates, on_tables, resampled, without_gaps
from rb_support.verdicts import Estimate, Evidence, Fact

Array = NDArray[np.float64]
Floors = Mapping[tuple[str, str], float]

SW, FACTORIZATION, BERT, CAUSAL = "SW ranking", "Matrix factorization", "BERT", "Causal LM"
_NEVER = {"apgr": np.nan, "cpt50": 1.0}
"""What a metric is where its target is never reached: CPT needs all calls then."""


def evidence(
    experiment: Experiment,
    rates: Sequence[WinRates],
    floors: Floors,
    *,
    rng: np.random.Generator,
    draws: int = 500,
) -> dict[str, Evidence]:
    """Evidence for the statements on Tables 1 to 3.

    Parameters
    ----------
    experiment : whose benchmarks were judged on.
    rates : win rates of all routers and `preference_controls.yardsticks`.
    floors : APGR that knowing nothing reaches, as `preference_controls.floors` gives it.
    rng, draws : of the resamples.

    Returns
    -------
    Claim -> estimates, their intervals simultaneous; none for a claim without such rows.
    """

    def found(benchmark: str, ends: str, metric: str = "apgr", routers: Iterable[str] = ()) -> list[Estimate]:
        here = _of(rates, benchmark, ends, routers)
        return estimates(here, metric, floors, rng=rng, draws=draws)

    def best(benchmark: str, router: str) -> Evidence:
        here = _of(rates, benchmark, JUDGE)
        ours = [one for one in here if one.router == router]
        others = [one for one in here if one.router != router]
        return differences([(one, other) for one in ours for other in others], rng=rng, draws=draws)

    def gain(benchmark: str, ends: str) -> Evidence:
        old, new = (_of(rates, benchmark, ending) for ending in (ARENA, ends))
        pairs = [(b, a) for a in old for b in new if a.router == b.router]
        return differences(pairs, rng=rng, draws=draws)

    length = [one for one in rates if (one.table, one.router) == (GSM8K, LENGTH)]
    trained = [one for one in on_tables(rates, [GSM8K]) if one.training]
    levels = {"mt-level": MT_BENCH, "mmlu-level": MMLU, "gsm8k-level": GSM8K}
    here = experiment.benchmarks
    return {
        "mt-votes": found(MT_BENCH, ARENA, routers=(SW, FACTORIZATION)),
        "mt-votes-classifiers": found(MT_BENCH, ARENA, routers=(BERT, CAUSAL)),
        "mt-votes-half": found(MT_BENCH, ARENA, "cpt50", [FACTORIZATION]),
        "mmlu-votes": found(MMLU, ARENA),
        "gsm8k-votes": found(GSM8K, ARENA),
        "mt-judge": found(MT_BENCH, JUDGE),
        "mmlu-gold": found(MMLU, f"{ARENA} + {GOLD}"),
        "gsm8k-judge": found(GSM8K, JUDGE),
        "mt-judge-gain": gain(MT_BENCH, JUDGE),
        "mmlu-gold-gain": gain(MMLU, f"{ARENA} + {GOLD}"),
        "gsm8k-judge-gain": gain(GSM8K, JUDGE),
        "mt-judge-best": best(MT_BENCH, FACTORIZATION),
        "gsm8k-judge-best": best(GSM8K, CAUSAL),
        "gsm8k-judge-fewer": found(GSM8K, JUDGE, "cpt50", [CAUSAL]),
        "mmlu-gold-fewer": found(MMLU, f"{ARENA} + {GOLD}", "cpt50"),
        "mt-judge-75": [_saved(each) for each in found(MT_BENCH, JUDGE, "cpt50")],
        **{key: half_way(here[name], rng, draws) for key, name in levels.items() if name in here},
        "alpaca-below": found(MT_BENCH, ALPACA, routers=(SW, FACTORIZATION)),
        "length-gsm8k": differences(
            [(one, rule) for rule in length for one in trained], rng=rng, draws=draws
        ),
    }


def _of(rates: Iterable[WinRates], benchmark: str, ends: str, routers: Iterable[str] = ()) -> list[WinRates]:
    """Trained routers on a benchmark with the first training set whose name ends so."""
    here = [one for one in on_tables(rates, [benchmark]) if one.training.endswith(ends) and one.training]
    named = set(routers)
    return [one for one in here if one.training == here[0].training and (not named or one.router in named)]


def estimates(
    rates: Sequence[WinRates],
    metric: str,
    floors: Floors,
    *,
    rng: np.random.Generator,
    draws: int,
) -> list[Estimate]:
    """A metric of several routers on one benchmark, with intervals that hold together; none without a gap.

    Parameters
    ----------
    rates : win rates.
    metric : "apgr" or "cpt50", which is 1 where half of the gap is never recovered.
    floors : APGR that knowing nothing reaches.
    rng, draws : of the resamples.
    """
    drawn = resampled(rates, rng=rng, draws=draws) if rates else []
    names = [f"{one.router}, {one.training}, {one.table}" for one in rates]
    lows = [floors.get((one.table, one.router), -np.inf) if metric == "apgr" else -np.inf for one in rates]
    values = [float(np.nan_to_num(found[metric], nan=_NEVER[metric])) for found, _ in drawn]
    samples = [np.nan_to_num(sample[metric].to_numpy(dtype=float), nan=_NEVER[metric]) for _, sample in drawn]
    return _together(names, values, samples, [len(one.pairs) for one in rates], lows)


def differences(
    pairs: Sequence[tuple[WinRates, WinRates]], *, rng: np.random.Generator, draws: int
) -> list[Estimate]:
    """APGR of the first less that of the second, paired where both were judged on the same queries.

    Parameters
    ----------
    pairs : win rates on one benchmark; intervals of all pairs hold together.
    rng, draws : of the resamples.
    """
    if not pairs:
        return []
    every = list({id(one): one for pair in pairs for one in pair}.values())
    drawn = dict(zip(map(id, every), resampled(every, rng=rng, draws=draws), strict=True))
    names, values, samples, sizes = [], [], [], []
    for new, old in pairs:
        (a, a_samples), (b, b_samples) = drawn[id(new)], drawn[id(old)]
        names.append(f"{new.router} less {old.router}" if new.router != old.router else new.router)
        if old.training == "":
            names[-1] = f"{new.router}, {new.training}"
        values.append(a["apgr"] - b["apgr"])
        samples.append((a_samples["apgr"] - b_samples["apgr"]).to_numpy(dtype=float))
        sizes.append(min(len(new.pairs), len(old.pairs)))
    return _together(names, values, samples, sizes, [-np.inf] * len(pairs))


def _together(
    names: Sequence[str],
    values: Sequence[float],
    samples: Sequence[Array],
    sizes: Sequence[int],
    floors: Sequence[float],
) -> list[Estimate]:
    if not names or np.isnan(values).any():
        return []
    ends = simultaneous(values, without_gaps(np.column_stack(samples)))
    rows = zip(names, values, ends.tolist(), sizes, floors, strict=True)
    return [Estimate(value, low, high, name, n, floor) for name, value, (low, high), n, floor in rows]


def _saved(each: Estimate) -> Estimate:
    """Share of random's calls that a CPT(50%) saves."""
    return Estimate(1 - 2 * each.value, 1 - 2 * each.high, 1 - 2 * each.low, each.name, each.n)


def half_way(pairs: PairScores, rng: np.random.Generator, draws: int) -> Estimate:
    """Score at which half of the gap is recovered, as a share of the strong model's."""
    counts = bootstrap_weights(len(pairs), draws, rng)
    strong, weak = counts @ pairs.strong / len(pairs), counts @ pairs.weak / len(pairs)
    low, high = interval((strong + weak) / 2 / np.where(strong > 0, strong, np.nan))
    best = pairs.strong.mean()
    value = (best + pairs.weak.mean()) / 2 / best if best > 0 else np.nan
    return Estimate(float(value), low, high, "score at CPT(50%) over the strong model's", len(pairs))


def similarities(
    experiment: Experiment, X: pd.DataFrame, *, rng: np.random.Generator, draws: int = 500
) -> tuple[pd.DataFrame, dict[str, Evidence]]:
    """Table 5's similarity of every benchmark to every training set, and what section 5.3 says of it.

    Parameters
    ----------
    experiment : training data and benchmarks.
    X : embeddings by prompt.
    rng, draws : of resampled queries.

    Returns
    -------
    A row per benchmark and training set (benchmark, training, similarity), and the evidence for the claims
    "mt-nearest" and "augmented-nearer".
    """
    near: dict[tuple[str, str], Array] = {}
    for name, queries in experiment.benchmarks.items():
        asked = X.loc[queries.frame["prompt"]].to_numpy()
        for training, battles in experiment.training.items():
            near[name, training] = nearest(asked, X.loc[battles.frame["prompt"].unique()].to_numpy())
    rows = [(*key, float(values.mean())) for key, values in near.items()]
    table = pd.DataFrame(rows, columns=["benchmark", "training", "similarity"])
    means = {
        key: (
            float(values.mean()),
            bootstrap_weights(len(values), draws, rng) @ values / len(values),
            len(values),
        )
        for key, values in near.items()
        if key[1] == ARENA
    }
    first = means.get((MT_BENCH, ARENA))
    others = [name for name in (MMLU, GSM8K) if (name, ARENA) in means] if first else []
    names, values, samples, sizes = [], [], [], []
    for name in others:
        value, drawn, n = means[name, ARENA]
        names.append(f"MT Bench less {name}")
        values.append(first[0] - value if first else np.nan)
        samples.append(first[1] - drawn if first else drawn)
        sizes.append(min(n, first[2]) if first else n)
    nearer = _together(names, values, samples, sizes, [-np.inf] * len(names))
    wanted = {MT_BENCH: JUDGE, MMLU: GOLD, GSM8K: JUDGE}
    grown = []
    for name, label in wanted.items():
        more = near.get((name, f"{ARENA} + {label}"))
        if more is not None:
            value = float(more.mean() - near[name, ARENA].mean())
            grown.append(Estimate(value, value, value, name))
    return table, {"mt-nearest": nearer, "augmented-nearer": grown}


def goes_with(table5: pd.DataFrame, theirs: float) -> Fact:
    """Whether similarity goes with performance: rank correlation over cells that have both.

    Parameters
    ----------
    table5 : columns similarity and mean_apgr.
    theirs : the same correlation over the paper's own tables.
    """
    known = table5[["similarity", "mean_apgr"]].dropna()
    if known.empty or known.nunique().min() < 3:
        return Fact(None, "too few different cells")
    rank, luck = spearmanr(known.round(9))
    words = (
        f"rank correlation {rank:+.2f} over {len(known)} cells (p {luck:.2f}); the paper's own {theirs:+.2f}"
    )
    return Fact(bool(rank > 0) if luck < 0.05 else None, words)


def tier_table(battles: Battles, tiers: int = TIERS) -> pd.DataFrame:
    """Models rated by battles (Bradley-Terry), parted into tiers, beside Appendix A's.

    Parameters
    ----------
    battles : of a training set.
    tiers : number of tiers; fewer if there are fewer different ratings.

    Returns
    -------
    A row per model, the best first: model, rating (Elo scale, mean 1000), tier (0 the best), paper_tier
    (missing where Appendix A does not list the model under any of its names).
    """
    ratings = bradley_terry(battles)
    ours = assign_tiers(ratings, min(tiers, len(set(ratings.values()))))
    listed = paper.routellm_tiers()
    theirs = dict(zip(listed["model"].map(canonical), listed["tier"], strict=True))
    table = pd.DataFrame(
        {"model": list(ours), "rating": [ratings[m] for m in ours], "tier": list(ours.values())}
    )
    return table.assign(paper_tier=table["model"].map(canonical).map(theirs).astype("Int64"))


def same_tiers(table: pd.DataFrame) -> Fact | None:
    """Whether models fall into the published tiers, by `tier_table`; None with fewer than ten of them."""
    apart = (table["tier"] - table["paper_tier"]).abs().dropna()
    if len(apart) < 10:
        return None
    same, near = int((apart == 0).sum()), int((apart <= 1).sum())
    words = f"{same} of {len(apart)} models in the same tier, {near} at most one apart"
    return Fact(bool((apart <= 1).mean() > 0.9), words)


def held_out_gains(losses: pd.DataFrame) -> list[Estimate]:
    """Gains of log loss over the base rate, as `preference_controls.log_losses` gives them, in nats."""
    columns = ["gain", "low", "high", "router", "training", "prompts"]
    return [
        Estimate(gain, low, high, f"{router}, {training}", prompts)
        for gain, low, high, router, training, prompts in losses[columns].itertuples(index=False, name=None)
    ]
