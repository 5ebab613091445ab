"""Pairs of models that routers have not learnt about, and how routers do on them (RouteLLM section 5.2).

A router's win rate speaks of a query, not of the two models behind it, so a trained router can be judged on
any pair that answered the same queries. Its win rates are computed once per query and serve all pairs.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from io import StringIO
from itertools import permutations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.integrate import trapezoid
from scipy.stats import norm

from rb_support.cache import packaged
from rb_support.catalog import GSM8K, MMLU, canonical, short_name
from rb_support.load import Scale
from rb_support.outcomes import Origin, PairScores
from rb_support.outcomes.table import KEYS
from rb_support.pairs import random_apgr_spread
from rb_support.pairs.metrics import columns, first_crossings, has_gap, summed, sweep_order
from rb_support.preference.training_sets import ARENA, GOLD, JUDGE, MT_BENCH, Experiment
from rb_support.sources import ModelScores, load_graded, load_pairs, mtbench_scores
from rb_support.stats import Array, simultaneous
from rb_support.studies import preference_study, wording
from rb_support.studies.preference_study import METRICS, RANDOM, Router, WinRates, benchmark_of, on_tables
from rb_support.studies.savings import savings
from rb_support.verdicts import Evidence, Fact

Pairs = Mapping[str, PairScores]
"""Name of a pair -> what its two models scored; of one benchmark, or of several."""

WIDEST_CHANCE = 0.125
"""Standard deviation of APGR among random orders above which a pair's gap is too small to judge a router on:
95% of routers that know nothing then fill more than half of the scale from 0 to 1."""

TOO_SMALL = "gap too small"
"""What stands in place of APGR where chance is wider than that."""

NOTE, MAP_NOTE = (wording.notes("07a")[item] for item in ("rl-tab4", "own-transfer"))
BESIDE = wording.beside("rl-tab4")
"""What goes with the records of Table 4 and of the map, and with our APGR beside the paper's."""

MOST_PAIRS = 300
"""Pairs of a benchmark on a map; 25 models have 300."""

_MAP_COLUMNS = ["benchmark", "training", "router", "pair", "strong", "weak", "n", "gap", "apgr", "cpt50"]
_MAP_COLUMNS += ["chance_low", "chance_high", "outside"]
_REAL_NAME = "answers of RouteLLM and ZeroEval, judgments of MT-Bench and AlpacaEval"
_SHORT = {"mistralai/Mixtral-8x7B-Instruct-v0.1": "Mixtral"}
_OWN_PAIRS = 2
_PRINTED_PAIR = "gpt-4-1106 / mixtral-8x7b"


def pairs_of(table: ModelScores, most: int = MOST_PAIRS) -> dict[str, PairScores]:
    """Pairs of a table's models whose first scores more than its second; the widest gap first.

    Parameters
    ----------
    table : scores of m models.
    most : pairs at most; of more, every second, third … in the order of their gaps is taken, with a warning.
    """
    wide = _by_gap(table)
    step = max(1, math.ceil(len(wide) / most))
    if step > 1:
        said = f"{table.origin.name}: {len(wide):,} pairs of models have a gap; one in {step} is taken"
        warnings.warn(said, stacklevel=2)
    models, found = table.models, {}
    # A pair checks its rows and scores, which takes long: one pair of each model is enough for all pairs.
    checked = {
        one: table.pair(one, other) for one, other in zip(models, models[1:] + models[:1], strict=True)
    }
    for strong, weak in wide[::step]:
        pair = found[_name_in(table, strong, weak)] = copy(checked[strong])
        pair._set(weak=checked[weak].strong, weak_model=weak)
    return found


def _by_gap(table: ModelScores) -> list[tuple[str, str]]:
    """Pairs of models whose first scores more than its second; the widest gap first."""
    scores = dict(zip(table.models, table.scores.T, strict=True))
    gaps = {two: _gap(scores[two[0]], scores[two[1]]) for two in permutations(table.models, 2)}
    return sorted((two for two in gaps if gaps[two] > 0), key=lambda two: -gaps[two])


def _name_in(table: ModelScores, strong: str, weak: str) -> str:
    """Name of a pair, by short names where those tell the table's models apart."""
    apart = len({short_name(model) for model in table.models}) == len(table.models)
    return pair_name(strong, weak) if apart else f"{strong} / {weak}"


def pair_name(strong: str, weak: str) -> str:
    """Name of a pair of models.

    >>> pair_name("claude-v2", "claude-instant-v1")
    'Claude v2 / Claude Instant'
    """
    return " / ".join(_SHORT.get(model) or short_name(model) for model in (strong, weak))


def score_tables(experiment: Experiment) -> dict[str, ModelScores]:
    """Scores of all models at hand, by benchmark; on no query that golden labels were taken from.

    Real data has 15 models on GSM8K (ZeroEval's answers, without the prompts that RouteLLM's training data
    holds) and six on MT Bench (without the contaminated questions). Simulated and own tables have theirs on
    the queries of the experiment's benchmarks.

    Raises
    ------
    SourceError : if real data is asked for and not at hand.
    """
    outcomes = experiment.outcomes
    if outcomes is None:
        known, clean = (load_pairs("routellm-gsm8k", decontaminate=flag) for flag in (False, True))
        leaked = set(known.frame["prompt"]) - set(clean.frame["prompt"])
        judged, graded = mtbench_scores(), load_graded()
        return {
            MT_BENCH: _clean(judged, judged.frame["contaminated"]),
            GSM8K: _clean(graded, graded.frame["prompt"].isin(leaked)),
        }
    tables = {}
    for name, pairs in experiment.benchmarks.items():
        part = outcomes.take(outcomes.frame["sample_id"].isin(pairs.frame["sample_id"]).to_numpy())
        frame = part.frame[[*KEYS]]
        tables[name] = ModelScores(frame, part.models, part.quality, part.origin, pairs.scale)
    return tables


def _clean(table: ModelScores, leaked: pd.Series[bool]) -> ModelScores:
    """Rows that are not leaked and hold a score of every model."""
    kept = ~leaked.to_numpy(dtype=bool)
    whole = kept & ~np.isnan(table.scores).any(axis=1)
    notes = [f"{int((~kept).sum())} prompts that also stand in RouteLLM's training data were left out"]
    if (missing := int((kept & ~whole).sum())) > 0:
        notes.append(f"{missing} rows lack a score of some model and were dropped")
    part = table.take(whole)
    return replace(part, frame=part.frame[[*KEYS]], origin=part.origin.noting(notes))


def other_pairs(experiment: Experiment, tables: Mapping[str, ModelScores]) -> dict[str, PairScores]:
    """The pairs of RouteLLM's Table 4, or what comes nearest to them in the data at hand.

    The paper judges Claude 3 Opus / Sonnet and Llama 3.1 70B / 8B on MT Bench. Its judgments are not
    published; those of others are for Llama's pair and for Opus, for Claude 3 Sonnet none are. Real data
    has both pairs on GSM8K, and on MT Bench Llama's and, against Mixtral, Claude 3 Opus and 3.5 Sonnet.
    Simulated data has two pairs that resemble the paper's; an own table gives, of each benchmark, the two
    pairs of the widest gaps besides its own.

    Parameters
    ----------
    experiment : whose pair the routers are trained for.
    tables : as `score_tables` gives them.

    Returns
    -------
    Name of pair and benchmark, such as "Claude 3 Opus / Sonnet (GSM8K)" -> scores.
    """
    if experiment.outcomes is not None and ARENA not in experiment.training:  # an own table: it has no votes
        own = (experiment.strong, experiment.weak)
        return {
            f"{_name_in(table, *two)} ({benchmark})": table.pair(*two)
            for benchmark, table in tables.items()
            for two in [two for two in _by_gap(table) if two != own][:_OWN_PAIRS]
        }
    kind = "real" if experiment.outcomes is None else "simulated"
    return {
        f"{name} ({benchmark})": tables[benchmark].pair(strong, weak)
        for data, benchmark, name, strong, weak in listed_pairs().itertuples(index=False)
        if data == kind
    }


def listed_pairs() -> pd.DataFrame:
    """Other pairs of published and simulated data: data, benchmark, name, strong, weak."""
    return pd.read_csv(StringIO(packaged("studies/other_pairs.csv")))


@dataclass(frozen=True, eq=False)
class Tables:
    """What routers are judged on: the pair that they learnt from, and pairs that they did not.

    Attributes
    ----------
    benchmarks : name -> the original pair, on at most `preference_study.QUESTIONS` of the queries.
    scores : benchmark -> scores of all models at hand, as `score_tables` gives them.
    others : name of a pair and its benchmark -> scores, as `other_pairs` gives them.
    judged_on : the benchmarks of `others`; all, if there are none.
    originals : the original pair on these benchmarks, named like `others`.
    maps : benchmark -> all pairs of its models, as `pairs_of` gives them.
    """

    benchmarks: dict[str, PairScores]
    scores: dict[str, ModelScores]
    others: dict[str, PairScores]
    judged_on: list[str]
    originals: dict[str, PairScores]
    maps: dict[str, dict[str, PairScores]]

    @property
    def every(self) -> dict[str, PairScores]:
        """Queries by name: benchmarks, original and other pairs, and one pair of each map."""
        spots = {f"all ({name})": next(iter(found.values())) for name, found in self.maps.items() if found}
        return {**self.benchmarks, **self.originals, **self.others, **spots}


def tables(experiment: Experiment, *, scale: Scale, seed: int) -> Tables:
    """All pairs that the data at hand allows to judge an experiment's routers on.

    Parameters
    ----------
    experiment : whose pair the routers are trained for.
    scale : how many queries of a benchmark are taken.
    seed : of the draw of these queries.

    Raises
    ------
    SourceError : if real data is asked for and not at hand.
    """
    most = preference_study.QUESTIONS[scale]
    benchmarks = {
        name: preference_study.subsample(part, most, np.random.default_rng(seed))
        for name, part in experiment.benchmarks.items()
    }
    scores = score_tables(experiment)
    others = other_pairs(experiment, scores)
    own = pair_name(experiment.strong, experiment.weak)
    judged_on = list(dict.fromkeys(benchmark_of(name, benchmarks) for name in others) or benchmarks)
    originals = {f"{own} ({name})": benchmarks[name] for name in judged_on}
    maps = {name: pairs_of(table) for name, table in scores.items()}
    return Tables(benchmarks, scores, others, judged_on, originals, maps)


@dataclass(frozen=True, eq=False)
class Routed:
    """Trained routers, and what they say of all queries that they are judged on.

    Attributes
    ----------
    X : (prompts, d) embeddings, indexed by prompt.
    trainings : benchmark -> the training set that the paper takes for it, see `augmented`.
    routers : by training set and name.
    rates : win rates of the routers of a benchmark's training set on all tables of that benchmark.
    """

    X: pd.DataFrame
    trainings: dict[str, str]
    routers: dict[tuple[str, str], Router]
    rates: list[WinRates]


def route(experiment: Experiment, on: Tables, *, embedding: str, scale: Scale, seed: int) -> Routed:
    """The routers of notebook 06, from the cache or trained now, asked about every query of `on`.

    Parameters
    ----------
    experiment : whose battles are learnt from.
    on : as `tables` gives it.
    embedding : as in `rb_support.embed.embed`.
    scale, seed : of the routers, as in `preference_study.candidates`.
    """
    X = preference_study.embed_prompts(experiment, embedding, further=on.others.values())
    trainings = {name: augmented(experiment, name) for name in on.benchmarks}
    candidates = preference_study.candidates(scale=scale, seed=seed)
    routers = preference_study.trained(experiment, candidates, X, trainings.values())
    return Routed(
        X, trainings, routers, preference_study.win_rates(routers, on.every, X, trainings=trainings)
    )


def pair_table(pairs: Pairs) -> pd.DataFrame:
    """What pairs of models allow, indexed by their names.

    Columns: queries, strong and weak (mean scores), gap, and chance, the standard deviation of APGR over
    random orders of the queries (NaN without a gap): the smaller the gap, the further luck reaches.
    """
    rows = []
    for name, pair in pairs.items():
        two = pair.strong, pair.weak
        chance = random_apgr_spread(*two) or np.nan
        rows.append((name, len(pair), *(scores.mean() for scores in two), _gap(*two), chance))
    return pd.DataFrame(rows, columns=["pair", "queries", "strong", "weak", "gap", "chance"])


def testable(pair: PairScores) -> bool:
    """Whether a pair's gap is wide enough, for its queries, to judge a router on (`WIDEST_CHANCE`)."""
    spread = random_apgr_spread(pair.strong, pair.weak)
    return spread is not None and spread <= WIDEST_CHANCE


def withheld(table: pd.DataFrame, pairs: Pairs) -> pd.DataFrame:
    """Results without what divides by a gap that is too small for it.

    Parameters
    ----------
    table : as `preference_study.results` gives it; `benchmark` holds names of `pairs`.
    pairs : name -> scores.

    Returns
    -------
    The table with the column gap: empty, or `TOO_SMALL` where a pair is not `testable`; there CPT, APGR,
    improvement and their intervals are NaN.
    """
    small = table["benchmark"].map({name: not testable(pair) for name, pair in pairs.items()}).astype(bool)
    metrics = [name for name in table.columns.astype(str) if name.startswith((*METRICS, "improvement"))]
    found = table.assign(gap=np.where(small, TOO_SMALL, ""))
    found[metrics] = found[metrics].mask(small)
    return found


def whole_origin(experiment: Experiment, pairs: Pairs) -> Origin:
    """Where training data, benchmarks and other pairs come from, under one name short enough for a figure."""
    origin = replace(experiment, benchmarks={**experiment.benchmarks, **pairs}).origin
    return replace(origin, name=_REAL_NAME) if origin.kind == "real" else origin


def augmented(experiment: Experiment, benchmark: str) -> str:
    """Training set that the paper takes for a benchmark: golden labels for MMLU, else the judge's."""
    wanted = GOLD if benchmark == MMLU else JUDGE
    trainings = list(experiment.training)
    return next((name for name in trainings if name.endswith(wanted)), trainings[-1])


def transfer_map(win_rate: ArrayLike, tables: Pairs) -> pd.DataFrame:
    """APGR and CPT(50%) of one router on many pairs that answered the same queries.

    The queries are sorted once, and all pairs are summed in that order: exactly what `threshold_sweep`,
    `apgr` and `cpt` give pair by pair.

    Parameters
    ----------
    win_rate : (n,) probability that the strong model wins, the same for every pair.
    tables : pairs on the same n queries.

    Returns
    -------
    A row per pair: pair, strong, weak, n, gap (in units of the score), apgr, cpt50 (NaN if never reached),
    chance_low and chance_high (95% band of the random router, normal approximation) and outside, whether APGR
    lies out of it. NaN and False without a gap.

    Raises
    ------
    ValueError : if there is no pair, or a pair has other queries than the win rates.
    """
    if not tables:
        raise ValueError("there is no pair; give at least one whose models' scores differ")
    rate, two = np.asarray(win_rate, dtype=float), list(tables.values())
    for name, pair in tables.items():
        columns(**{"win_rate": rate, name: pair.strong})
    order, ends = sweep_order(rate)
    gain = np.stack([pair.strong - pair.weak for pair in two])[:, order]
    gained, shares, gap = summed(gain, ends) / len(rate), ends / len(rate), gain.mean(axis=1)
    spread = np.array([random_apgr_spread(pair.strong, pair.weak) for pair in two], dtype=float)
    recovered = gained / np.where(np.isnan(spread), np.nan, gap)[:, None]  # no spread: no gap
    reach = float(norm.ppf(0.975)) * spread
    names = [(name, pair.strong_model, pair.weak_model, len(rate)) for name, pair in tables.items()]
    frame = pd.DataFrame(names, columns=["pair", "strong", "weak", "n"]).assign(
        gap=gap,
        apgr=trapezoid(recovered, shares, axis=1),
        cpt50=first_crossings(shares[None], recovered, 0.5),
        chance_low=0.5 - reach,
        chance_high=0.5 + reach,
    )
    return frame.assign(outside=(frame["apgr"] - 0.5).abs() > reach)


def transfer_maps(rates: Iterable[WinRates], maps: Mapping[str, Pairs]) -> pd.DataFrame:
    """`transfer_map` of every router on every benchmark, one below the other.

    Parameters
    ----------
    rates : win rates on the queries of the maps; the name of a table is, or ends with, its benchmark's.
    maps : benchmark -> its pairs, as `pairs_of` gives them.

    Returns
    -------
    The columns benchmark, training and router, then those of `transfer_map`; no row if no pair has a gap.
    """
    found, names = {}, ["benchmark", "training", "router"]
    for one in rates:
        benchmark = benchmark_of(one.table, maps)
        found[benchmark, one.training, one.router] = transfer_map(one.rate, maps[benchmark])
    if not found:
        return pd.DataFrame(columns=_MAP_COLUMNS)
    return pd.concat(found, names=names).reset_index(names).reset_index(drop=True)


def summary(maps: pd.DataFrame) -> pd.DataFrame:
    """How many pairs a router transfers to: a row per benchmark and router of `transfer_maps`.

    Columns: benchmark, router, pairs, better and worse (share of pairs above and below the chance band),
    median_apgr, and rank_correlation of APGR with the gap (NaN with fewer than three pairs).
    """
    rows = []
    known = maps.dropna(subset="apgr").sort_values("benchmark", kind="stable")
    for (benchmark, router), part in known.groupby(["benchmark", "router"], sort=False):
        apgr = part["apgr"]
        better, worse = (apgr > part["chance_high"]).mean(), (apgr < part["chance_low"]).mean()
        rank = part[["apgr", "gap"]].rank().corr().iloc[0, 1] if len(part) > 2 else np.nan
        rows.append((benchmark, router, len(part), better, worse, apgr.median(), rank))
    columns = ["benchmark", "router", "pairs", "better", "worse", "median_apgr", "rank_correlation"]
    return pd.DataFrame(rows, columns=columns)


def marked(maps: pd.DataFrame, router: str, experiment: Experiment, on: Tables) -> pd.DataFrame:
    """Rows of one router of `transfer_maps`, with the column mark for `transfer_figure`.

    It holds the name of the pair that the router learnt from, and of the other pairs; else it is empty.
    """
    names = {
        (pair.strong_model, pair.weak_model): pair_in(name, on.benchmarks) for name, pair in on.others.items()
    }
    names[experiment.strong, experiment.weak] = pair_name(experiment.strong, experiment.weak)
    part = maps[maps["router"] == router].reset_index(drop=True)
    return part.assign(mark=[names.get(two, "") for two in zip(part["strong"], part["weak"], strict=True)])


def first_map(
    part: pd.DataFrame, rates: Iterable[WinRates], on: Tables
) -> dict[str, tuple[Array, PairScores]]:
    """The pairs of a map's first benchmark, to be drawn one by one: name -> win rates and scores.

    Parameters
    ----------
    part : rows of one router of `transfer_maps`.
    rates : win rates, among them those on the map's queries.
    on : the tables.
    """
    known = part.dropna(subset="apgr")
    if known.empty:
        return {}
    benchmark, router = known[["benchmark", "router"]].iloc[0]
    [rate] = [one.rate for one in rates if one.table == f"all ({benchmark})" and one.router == router]
    names = known.loc[known["benchmark"] == benchmark, "pair"]
    return {name: (rate, on.maps[benchmark][name]) for name in names}


def pair_in(name: str, benchmarks: Iterable[str]) -> str:
    """Pair that a table's name begins with.

    >>> pair_in("Claude 3 Opus / Sonnet (GSM8K)", ["GSM8K"])
    'Claude 3 Opus / Sonnet'
    """
    return name.removesuffix(f" ({benchmark_of(name, benchmarks)})")


def in_words(table: pd.DataFrame, benchmarks: Iterable[str]) -> pd.DataFrame:
    """Results with the columns pair and benchmark in place of names such as "GPT-4 / Mixtral (GSM8K)"."""
    names, known = table["benchmark"], list(benchmarks)
    found = table.assign(benchmark=[benchmark_of(name, known) for name in names])
    found.insert(0, "pair", [pair_in(name, known) for name in names])
    return found


def beside_paper(table: pd.DataFrame, original: str) -> pd.DataFrame:
    """Results with the paper's CPT and APGR wherever it prints this very pair on this very benchmark.

    The paper's rows are those of the augmented training sets (Tables 1 to 4).

    Parameters
    ----------
    table : as `in_words` gives it.
    original : pair in the table that means the paper's own.

    Returns
    -------
    The table with the columns paper_apgr, paper_cpt50, paper_cpt80 (NaN where the paper prints none).
    """
    printed = preference_study.printed_results(1, 2, 3, 4).query("training != 'arena'")
    keys = ["printed_pair", "benchmark", "router"]
    values = ["paper_apgr", "paper_cpt50", "paper_cpt80"]
    theirs = printed.rename(columns={"pair": "printed_pair"})[[*keys, *values]]
    found = table.assign(printed_pair=table["pair"].replace(original, _PRINTED_PAIR))
    return found.merge(theirs, on=keys, how="left", validate="many_to_one").drop(columns="printed_pair")


def sides(table: pd.DataFrame) -> pd.DataFrame:
    """On which side of chance the routers of each pair lie.

    Parameters
    ----------
    table : as `in_words` makes it of results that went through `withheld`.

    Returns
    -------
    A row per pair and benchmark: pair, benchmark, routers, above and below (how many have their whole
    interval of APGR above or below 0.5), best (the highest APGR; NaN if the gap is too small, and then none
    is above or below) and small, whether it is.
    """
    learnt = table[table["router"] != RANDOM]
    learnt = learnt.assign(above=learnt["apgr_low"] > 0.5, below=learnt["apgr_high"] < 0.5)
    parts = learnt.groupby(["pair", "benchmark"], sort=False)
    counts = {"above": ("above", "sum"), "below": ("below", "sum")}
    found = parts.agg(routers=("router", "size"), **counts, best=("apgr", "max"), small=("gap", "max"))
    return found.assign(small=found["small"] == TOO_SMALL).reset_index()


def pair_differences(
    rates: Sequence[WinRates],
    benchmarks: Iterable[str],
    others: Iterable[str],
    *,
    rng: np.random.Generator,
    draws: int,
) -> pd.DataFrame:
    """How APGR on other pairs differs from that on the original pair, averaged over the routers.

    Both are resampled on their own, which is right for different queries and cautious for the same ones.
    Pairs that are not `testable`, and those on a benchmark whose original pair is not, are left out.

    Parameters
    ----------
    rates : win rates on the benchmarks, with their original pair, and on the other pairs.
    benchmarks : their names.
    others : names of other pairs; each ends with its benchmark in brackets, as `other_pairs` writes it.
    rng, draws : of the resamples.

    Returns
    -------
    A row per other pair: pair, benchmark, queries, original and other (mean APGR), difference, low and high
    (simultaneous over the rows).
    """
    before = {name: on_tables(rates, [name]) for name in benchmarks}
    known = {name: _mean_apgr(told, rng, draws) for name, told in before.items() if testable(told[0].pairs)}
    rows, drawn = [], []
    for name in others:
        benchmark, told = benchmark_of(name, before), on_tables(rates, [name])
        if benchmark not in known or not testable(told[0].pairs):
            continue
        (old, olds), (new, news) = known[benchmark], _mean_apgr(told, rng, draws)
        rows.append((name, benchmark, len(told[0].pairs), old, new, new - old))
        drawn.append(news - olds)
    columns = ["pair", "benchmark", "queries", "original", "other", "difference"]
    found = pd.DataFrame(rows, columns=columns)
    ends = simultaneous(found["difference"], np.transpose(drawn)) if rows else np.empty((0, 2))
    return found.assign(low=ends[:, 0], high=ends[:, 1])


def _mean_apgr(rates: Sequence[WinRates], rng: np.random.Generator, draws: int) -> tuple[float, Array]:
    judged = preference_study.judge(rates, rng=rng, draws=draws)
    mean = pd.Series([one.metrics["apgr"] for one in judged]).mean()
    return float(mean), np.mean([one.samples["apgr"] for one in judged], axis=0)


def _gap(strong: Array, weak: Array) -> float:
    """Difference of the mean scores; 0 where it is nothing but rounding."""
    return float((strong - weak).mean()) if has_gap(strong, weak) else 0.0


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


def evidence(
    rates: Sequence[WinRates],
    others: Pairs,
    shift: pd.DataFrame,
    met: Sequence[str],
    *,
    rng: np.random.Generator,
    draws: int,
) -> dict[str, Evidence]:
    """Section 5.2: routers on other pairs. Pairs whose gap is too small are left out.

    Parameters
    ----------
    rates : win rates on the other pairs, and on more.
    others : name -> scores.
    shift : as `pair_differences` gives it.
    met : as `met_in_training` gives it.
    rng, draws : of the resamples.
    """
    found: dict[str, Evidence] = {}
    if others:
        found["not-trained"] = Fact(not met, ", ".join(met) or "none is")
    judged = on_tables(rates, [name for name, pair in others.items() if testable(pair)])
    if not judged:
        return found
    told = preference_study.judge(judged, rng=rng, draws=draws)
    above = preference_study.resampled(
        (f"{one.router}, {one.table}", one.metrics["apgr"], one.samples["apgr"], len(one.rate))
        for one in told
    )
    alike = preference_study.listed(shift[["difference", "low", "high"]], shift["pair"], shift["queries"])
    calls_only = dict.fromkeys(others, (1.0, 0.0))
    saved = savings(judged, prices=calls_only, rng=rng, draws=draws, targets=(0.8,))
    fewer = 1 / saved[["saving", "saving_high", "saving_low"]]
    sizes = [len(others[name]) for name in saved["benchmark"]]
    calls = preference_study.listed(fewer, saved["benchmark"], sizes)
    return found | {"others-above": above, "comparable": alike, "half-the-calls": calls}


def most_pairs(atlas: pd.DataFrame) -> Fact | None:
    """Whether routers hold for most pairs of models; None where no pair has a gap."""
    found = summary(atlas)
    if found.empty:
        return None
    better = found.groupby("benchmark")["better"].mean().min()
    worse = found["worse"].max()
    words = f"mean over routers {better:.0%} of pairs above chance at least; {worse:.0%} below at most"
    return Fact(True if better > 0.5 else False if worse > 0.5 else None, words)
