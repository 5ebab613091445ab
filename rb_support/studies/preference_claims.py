"""The evidence for what RouteLLM's sections 5.1 and 5.3 say of its Tables 1 to 3 and 5, gathered by claim.

Statements, levels and margins stand in `rb_support/published/claims/06_preference_routers.toml`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from io import StringIO

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from rb_support import paper
from rb_support.cache import packaged
from rb_support.catalog import GSM8K, MMLU, canonical
from rb_support.outcomes import Battles, PairScores
from rb_support.preference.battle_sets import nearest
from rb_support.preference.tiers import assign_tiers, bradley_terry
from rb_support.preference.training_sets import ARENA, GOLD, JUDGE, MT_BENCH, TIERS, Experiment
from rb_support.stats import Array, bootstrap_weights, interval
from rb_support.studies import wording
from rb_support.studies.preference_controls import LENGTH
from rb_support.studies.preference_found import tiers_apart
from rb_support.studies.preference_study import Floors, Judged, WinRates, judge, listed, on_tables, resampled
from rb_support.verdicts import Estimate, Evidence, Fact, exact

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
    """Evidence for the statements on Tables 1 to 3, all from the same resamples.

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
    judged = judge(rates, rng=rng, draws=draws)

    def of(benchmark: str, ends: str, *routers: str) -> list[Judged]:
        """Trained routers on a benchmark with the first training set whose name ends so."""
        here = [one for one in on_tables(judged, [benchmark]) if one.training and one.training.endswith(ends)]
        named = [one for one in here if not routers or one.router in routers]
        return [one for one in named if one.training == here[0].training]

    def areas(benchmark: str, ends: str, *routers: str) -> Evidence:
        return _estimates(of(benchmark, ends, *routers), "apgr", floors)

    def calls(benchmark: str, ends: str, *routers: str) -> list[Estimate]:
        return _estimates(of(benchmark, ends, *routers), "cpt50")

    def best(benchmark: str, ends: str, router: str) -> Evidence:
        here = of(benchmark, ends)
        return differences((a, b) for a in here for b in here if a.router == router != b.router)

    def gain(benchmark: str, ends: str) -> Evidence:
        old, new = of(benchmark, ARENA), of(benchmark, ends)
        return differences((b, a) for a in old for b in new if a.router == b.router)

    found = gathered("lesson", {"areas": areas, "calls": calls, "best": best, "gain": gain})
    rules = [one for one in on_tables(judged, [GSM8K]) if one.router == LENGTH]
    trained = [one for one in on_tables(judged, [GSM8K]) if one.training]
    found |= {
        "mt-judge-75": [
            Estimate(1 - 2 * each.value, 1 - 2 * each.high, 1 - 2 * each.low, each.name, each.n)
            for each in calls(MT_BENCH, JUDGE)
        ],
        "length-gsm8k": differences((one, rule) for rule in rules for one in trained),
    }
    levels = {"mt-level": MT_BENCH, "mmlu-level": MMLU, "gsm8k-level": GSM8K}
    here = {key: experiment.benchmarks[name] for key, name in levels.items() if name in experiment.benchmarks}
    return found | {key: half_way(pairs, rng, draws) for key, pairs in here.items()}


def gathered(column: str, ways: Mapping[str, Callable[..., Evidence]]) -> dict[str, Evidence]:
    """Evidence for the statements on Tables 1 to 3 that `routellm_claims.csv` lists.

    Parameters
    ----------
    column : with the claims' keys: "lesson" of notebook 06, on our routers, "printed" of 07b, on the paper's.
    ways : what a statement is about -> what gathers it, from a benchmark, the ending of a training set's name
        and, unless all routers count, their names.
    """
    rows = pd.read_csv(StringIO(packaged("studies/routellm_claims.csv")), keep_default_na=False)
    found = {}
    for row in rows[rows[column] != ""].to_dict("records"):
        routers = filter(None, row["routers"].split(";"))
        found[row[column]] = ways[row["what"]](row["benchmark"], row["training"], *routers)
    return found


def _estimates(judged: Sequence[Judged], metric: str, floors: Floors | None = None) -> list[Estimate]:
    """APGR or CPT(50%) of several routers on one benchmark, with intervals that hold together.

    APGR: none without a gap. CPT(50%): 1 where half of the gap is never recovered.
    """
    rows = []
    for one in judged:
        both = (np.nan_to_num(each[metric], nan=_NEVER[metric]) for each in (one.metrics, one.samples))
        rows.append((f"{one.router}, {one.training}, {one.table}", *both, len(one.pairs)))
    return resampled(rows, [(floors or {}).get((one.table, one.router), -np.inf) for one in judged])


def differences(pairs: Iterable[tuple[Judged, Judged]]) -> list[Estimate]:
    """APGR of the first less that of the second, paired where both were judged on the same queries.

    Parameters
    ----------
    pairs : routers on one benchmark; intervals of all pairs hold together.
    """
    rows = []
    for new, old in pairs:
        other = f" less {old.router}" if new.router != old.router else ""
        name = new.router + (other if old.training else f", {new.training}")
        lead, samples = new.metrics["apgr"] - old.metrics["apgr"], new.samples["apgr"] - old.samples["apgr"]
        rows.append((name, lead, samples, min(len(new.pairs), len(old.pairs))))
    return resampled(rows)


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
    mean = {key: float(values.mean()) for key, values in near.items()}
    rows = [(*key, value) for key, value in mean.items()]
    table = pd.DataFrame(rows, columns=["benchmark", "training", "similarity"])
    votes = {name: values for (name, training), values in near.items() if training == ARENA}
    drawn = {name: bootstrap_weights(len(v), draws, rng) @ v / len(v) for name, v in votes.items()}
    nearer = []
    for name in [name for name in (MMLU, GSM8K) if {name, MT_BENCH} <= votes.keys()]:
        more, samples = mean[MT_BENCH, ARENA] - mean[name, ARENA], drawn[MT_BENCH] - drawn[name]
        nearer.append((f"MT Bench less {name}", more, samples, min(len(votes[MT_BENCH]), len(votes[name]))))
    labels = {name: f"{ARENA} + {label}" for name, label in ((MT_BENCH, JUDGE), (MMLU, GOLD), (GSM8K, JUDGE))}
    both = [(name, label) for name, label in labels.items() if (name, label) in mean]
    grown = [exact(mean[name, label] - mean[name, ARENA], name) for name, label in both]
    return table, {"mt-nearest": resampled(nearer), "augmented-nearer": grown}


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
    words = f"rank correlation {rank:+.2f} over {len(known)} cells (p {luck:.2f})"
    return Fact(bool(rank > 0) if luck < 0.05 else None, f"{words}; the paper's own {theirs:+.2f}")


def printed_apgr(found: pd.DataFrame, benchmark: str) -> tuple[pd.Series[float], pd.Series[float]]:
    """APGR of a benchmark's routers, ours and the paper's, by router and training set where it prints one.

    Parameters
    ----------
    found : as `preference_study.beside_paper` gives it.
    benchmark : whose rows are taken.
    """
    rows = found[found["benchmark"] == benchmark].dropna(subset="paper_apgr")
    both = rows.set_index(["router", "training"])[["apgr", "paper_apgr"]]
    return both["apgr"], both["paper_apgr"]


def printed_similarity(table5: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[float]]:
    """Similarities by benchmark and training set: ours, and those that RouteLLM's Table 5 prints.

    Parameters
    ----------
    table5 : as `similarities` gives it.
    """
    printed, keys = paper.routellm_similarity(), ["benchmark", "training"]
    names = printed["training"].str.replace(r"(arena|judge|gold)", r"D_\1", regex=True)
    theirs = printed.assign(training=names).set_index(keys)["similarity"]
    return table5.set_index(keys)["similarity"], theirs


def paper_goes_with() -> float:
    """Rank correlation of similarity and mean APGR over the cells that RouteLLM prints both for."""
    keys = ["benchmark", "training"]
    results = pd.concat([paper.routellm_results(table) for table in (1, 2, 3)]).dropna(subset="training")
    similarity = paper.routellm_similarity().set_index(keys)["similarity"]
    cells = pd.concat([similarity, results.groupby(keys)["apgr"].mean()], axis=1).dropna()
    return float(cells.rank().corr().to_numpy()[0, 1])


def sign_turns(
    mixed: Mapping[float, WinRates], *, rng: np.random.Generator, draws: int = 500
) -> dict[str, Evidence]:
    """What half of the weight on the benchmark's own comparisons brings, for the claim "sign-turns".

    Parameters
    ----------
    mixed : as `category_study.mixes` gives them, for the shares 0 and 0.5 at least, or none.
    rng, draws : of the resamples.
    """
    two = judge([mixed[share] for share in (0.5, 0.0)] if mixed else [], rng=rng, draws=draws)
    return {"sign-turns": differences([(two[0], two[1])] if two else [])}


def notes(
    trainings: Sequence[str], augmented: Sequence[str], below: tuple[str, int, str], goes: Fact
) -> dict[str, str]:
    """Sentences for the records of notebook 06's items.

    Parameters
    ----------
    trainings : all training sets.
    augmented : those of Figure 1, left.
    below : benchmark whose categories are shown, its queries, and the training set.
    goes : whether similarity goes with performance.

    Returns
    -------
    Item -> note.
    """
    benchmark, queries, training = below
    values = {"augmented": " and on ".join(augmented), "first": " and on ".join(trainings[:2])}
    values |= {"below": f"{benchmark}, n = {queries:,}; routers trained on {training}", "goes": goes.words}
    return wording.notes("06", **values)


def tier_table(battles: Battles) -> pd.DataFrame:
    """Models rated by battles (Bradley-Terry), parted into ten tiers, beside Appendix A's.

    Parameters
    ----------
    battles : of a training set; with fewer different ratings there are fewer tiers.

    Returns
    -------
    A row per model, the best first: model, rating (Elo scale, mean 1000), tier (0 the best), paper_tier
    (missing where Appendix A does not list the model under any of its names).
    """
    ratings = bradley_terry(battles)
    ours = assign_tiers(ratings, min(TIERS, len(set(ratings.values()))))
    listed = paper.routellm_tiers()
    theirs = dict(zip(listed["model"].map(canonical), listed["tier"], strict=True))
    table = pd.DataFrame({"model": list(ours), "rating": map(ratings.get, ours), "tier": list(ours.values())})
    return table.assign(paper_tier=table["model"].map(canonical).map(theirs).astype("Int64"))


def same_tiers(table: pd.DataFrame) -> Fact | None:
    """Whether models fall into the published tiers, by `tier_table`; None with fewer than ten of them."""
    apart = tiers_apart(table)
    if len(apart) < 10:
        return None
    same, near = int((apart == 0).sum()), int((apart <= 1).sum())
    words = f"{same} of {len(apart)} models in the same tier, {near} at most one apart"
    return Fact(bool((apart <= 1).mean() > 0.9), words)


def in_same_tier(table: pd.DataFrame, votes: Battles) -> tuple[str, str, int, str, str]:
    """How many models fall into the published tier: what, ours, the paper's, its source, why they differ.

    Parameters
    ----------
    table : as `tier_table` gives it of these votes.
    """
    apart = tiers_apart(table)
    same, source = f"{(apart == 0).sum()} of {len(apart)}", "RouteLLM App. A"
    return "models in the paper's tier", same, len(apart), source, f"ratings come from {votes.origin.name}"


def seen(goes: Fact, tiers: pd.DataFrame, losses: pd.DataFrame) -> dict[str, Evidence | None]:
    """Evidence that stands in tables of their own: similarity, tiers and held-out battles.

    Parameters
    ----------
    goes : as `goes_with` gives it.
    tiers : as `tier_table` gives it.
    losses : as `preference_controls.log_losses` gives them.
    """
    gains = held_out_gains(losses)
    tables: dict[str, Evidence | None] = {"similarity": goes, "tiers": same_tiers(tiers)}
    return tables | {"held-out": gains, "held-out-all": gains}


def held_out_gains(losses: pd.DataFrame) -> list[Estimate]:
    """Gains of log loss over the base rate, as `preference_controls.log_losses` gives them, in nats."""
    names = losses["router"] + ", " + losses["training"]
    return listed(losses[["gain", "low", "high"]], names, losses["prompts"])
