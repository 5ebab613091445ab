"""Pairs of models that routers have not learnt about, and how routers do on them (RouteLLM section 5.2).

A router's win rate speaks of a query, not of the two models behind it, so a trained router can be judged on
any pair that answered the same queries. Its win rates are computed once per query and serve all pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid
from scipy.stats import norm

from rb_support import paper
from rb_support.catalog import MODELS, short_name
from rb_support.load import Scale, load_outcomes
from rb_support.outcomes import Origin, Outcomes, PairScores
from rb_support.pairs import bootstrap_pairs, random_apgr_spread
from rb_support.pairs.metrics import closed, columns, first_crossings, sweep_order
from rb_support.preference.training_sets import GOLD, JUDGE, Material
from rb_support.sources import SourceRows, load_graded, load_pairs, models_of, mtbench_scores
from rb_support.stats import interval, supports
from rb_support.studies.preference import Rates

Array = NDArray[np.float64]
Pairs = Mapping[str, PairScores]
"""Name of a pair -> what its two models scored; of one benchmark, or of several."""

MT_BENCH, MMLU, GSM8K = "MT Bench", "MMLU", "GSM8K"
MARGIN = 0.1
"""Two APGRs that differ by less are called comparable here; the paper's own differ by up to 0.08."""

_OPUS, _SONNET, _SONNET_35 = (
    "claude-3-opus-20240229",
    "claude-3-sonnet-20240229",
    "claude-3-5-sonnet-20240620",
)
_LARGE, _SMALL = "Meta-Llama-3.1-70B-Instruct", "Meta-Llama-3.1-8B-Instruct"
_MIXTRAL = "mistralai/Mixtral-8x7B-Instruct-v0.1"
_REAL = {
    MT_BENCH: {
        "Claude 3 Opus / Mixtral": (_OPUS, _MIXTRAL),
        "Claude 3.5 Sonnet / Mixtral": (_SONNET_35, _MIXTRAL),
    },
    GSM8K: {"Claude 3 Opus / Sonnet": (_OPUS, _SONNET), "Llama 3.1 70B / 8B": (_LARGE, _SMALL)},
}
_ALIKE = {
    "Claude v2 / Claude Instant": (MODELS[1], MODELS[4]),
    "Llama-2 70B / Mistral 7B": (MODELS[5], MODELS[10]),
}
_SIMULATED = {MT_BENCH: _ALIKE, GSM8K: _ALIKE}
_REAL_NAME = "answers of RouteLLM and ZeroEval, judgments of MT-Bench and AlpacaEval"
_SHORT = {_MIXTRAL: "Mixtral"}
_OWN_PAIRS = 2
_PRINTED_PAIR = "gpt-4-1106 / mixtral-8x7b"


@dataclass(frozen=True, eq=False)
class ModelScores:
    """What m models scored on the n queries of one benchmark.

    Attributes
    ----------
    frame : n rows with sample_id, dataset, task and prompt.
    models : m names.
    scores : (n, m).
    origin : where the rows come from.
    scale : lowest and highest possible score.
    """

    frame: pd.DataFrame
    models: tuple[str, ...]
    scores: Array
    origin: Origin
    scale: tuple[float, float]

    def pair(self, strong: str, weak: str) -> PairScores:
        """Scores of two of the models.

        Raises
        ------
        ValueError : if one of them is not in the table.
        """
        for model in (strong, weak):
            if model not in self.models:
                raise ValueError(
                    f"{self.origin.name}: no scores of {model!r}; known: {', '.join(self.models)}"
                )
        high, low = (self.scores[:, self.models.index(model)] for model in (strong, weak))
        return PairScores(self.frame, high, low, strong, weak, self.origin, self.scale)

    def pairs(self) -> dict[str, PairScores]:
        """Every pair whose first model scores more than its second; the widest gap first."""
        found = [self.pair(*models) for models in permutations(self.models, 2)]
        gaps = {pair_name(pair.strong_model, pair.weak_model): (_gap(pair), pair) for pair in found}
        widest = sorted(gaps, key=lambda name: -gaps[name][0])
        return {name: gaps[name][1] for name in widest if gaps[name][0] > 0}


def pair_name(strong: str, weak: str, benchmark: str = "") -> str:
    """Name of a pair of models, on a benchmark if one is given.

    >>> pair_name("claude-v2", "claude-instant-v1", "GSM8K")
    'Claude v2 / Claude Instant (GSM8K)'
    """
    names = [_SHORT.get(model) or short_name(model) for model in (strong, weak)]
    return " / ".join(names) + (f" ({benchmark})" if benchmark else "")


def score_tables(
    material: Material, data: str = "simulated", *, scale: Scale = "quick", seed: int = 0
) -> dict[str, ModelScores]:
    """Scores of all models at hand, by benchmark; on no query that golden labels were taken from.

    Real data has 15 models on GSM8K (ZeroEval's answers, without the prompts that RouteLLM's training data
    holds) and four on MT Bench (without the contaminated questions). Simulated and own tables have theirs on
    the queries of the material's benchmarks.

    Parameters
    ----------
    material : of the same data, scale and seed, as `load_material` gives it.
    data, scale, seed : as in `load_material`.

    Raises
    ------
    ValueError, SourceError, TableError : as `load_material`.
    """
    if data == "real":
        return {MT_BENCH: _judged(), GSM8K: _graded()}
    outcomes = load_outcomes(data, scale=scale, seed=seed)
    return {name: _on_queries_of(pairs, outcomes) for name, pairs in material.benchmarks.items()}


def other_pairs(
    material: Material, data: str = "simulated", *, scale: Scale = "quick", seed: int = 0
) -> dict[str, PairScores]:
    """The pairs of RouteLLM's Table 4, or what comes nearest to them in the data at hand.

    The paper judges Claude 3 Opus / Sonnet and Llama 3.1 70B / 8B on MT Bench. Those judgments are not
    published, but for Opus. Real data has both pairs on GSM8K, and on MT Bench Claude 3 Opus and Claude 3.5
    Sonnet against Mixtral. Simulated data has two pairs that resemble the paper's; an own table gives, of
    each benchmark, the two pairs of the widest gaps besides its own.

    Parameters
    ----------
    material, data, scale, seed : as in `score_tables`.

    Returns
    -------
    Name of pair and benchmark, such as "Claude 3 Opus / Sonnet (GSM8K)" -> scores.

    Raises
    ------
    ValueError, SourceError, TableError : as `load_material`.
    """
    tables = score_tables(material, data, scale=scale, seed=seed)
    if data not in ("real", "simulated"):
        return _widest(material, tables)
    named = _REAL if data == "real" else _SIMULATED
    return {
        f"{name} ({benchmark})": tables[benchmark].pair(*models)
        for benchmark, pairs in named.items()
        for name, models in pairs.items()
    }


def all_pairs(
    material: Material, data: str = "simulated", *, scale: Scale = "quick", seed: int = 0
) -> dict[str, dict[str, PairScores]]:
    """Every pair with a gap, by benchmark and by name; parameters and errors are those of `score_tables`."""
    tables = score_tables(material, data, scale=scale, seed=seed)
    return {benchmark: scores.pairs() for benchmark, scores in tables.items()}


def pair_table(pairs: Pairs) -> pd.DataFrame:
    """What pairs of models allow, indexed by their names.

    Columns: queries, strong and weak (mean scores), gap, and chance, the standard deviation of APGR over
    random orders of the queries (NaN without a gap): the smaller the gap, the further luck reaches.
    """
    rows = {}
    for name, pair in pairs.items():
        rows[name] = {
            "queries": len(pair),
            "strong": pair.strong.mean(),
            "weak": pair.weak.mean(),
            "gap": _gap(pair),
            "chance": random_apgr_spread(pair.strong, pair.weak) or np.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("pair").reset_index()


def whole_origin(material: Material, pairs: Pairs) -> Origin:
    """Where training data, benchmarks and other pairs come from, under one name short enough for a figure."""
    origin = replace(material, benchmarks={**material.benchmarks, **pairs}).origin
    return replace(origin, name=_REAL_NAME) if origin.kind == "real" else origin


def augmented(material: Material, benchmark: str) -> str:
    """Training set that the paper takes for a benchmark: golden labels for MMLU, else the judge's."""
    wanted = GOLD if benchmark == MMLU else JUDGE
    found = [name for name in material.training if name.endswith(wanted)]
    return found[0] if found else list(material.training)[-1]


def transfer_map(win_rate: ArrayLike, tables: Pairs, level: float = 0.95) -> pd.DataFrame:
    """APGR and CPT(50%) of one router on many pairs that answered the same queries.

    The queries are sorted once, and all pairs are summed in that order: exactly what `threshold_sweep`,
    `apgr` and `cpt` give pair by pair.

    Parameters
    ----------
    win_rate : (n,) probability that the strong model wins, the same for every pair.
    tables : pairs on the same n queries.
    level : share of random orders of the queries that the chance band of APGR covers.

    Returns
    -------
    A row per pair: pair, strong, weak, n, gap (in units of the score), apgr, cpt50 (NaN if never reached),
    chance_low and chance_high (band of the random router, normal approximation) and outside, whether APGR
    lies out of it. NaN and False without a gap.

    Raises
    ------
    ValueError : if there is no pair, or a pair has other queries than the win rates.
    """
    if not tables:
        raise ValueError("there is no pair; give at least one whose models' scores differ")
    rate = np.asarray(win_rate, dtype=float)
    for name, table in tables.items():
        columns(**{"win_rate": rate, name: table.strong})
    order, ends = sweep_order(rate)
    gain = np.stack([table.strong - table.weak for table in tables.values()])[:, order]
    gap = gain.mean(axis=1)
    gained = np.zeros((len(gain), len(ends) + 1))
    gained[:, 1:] = np.cumsum(gain, axis=1)[:, ends - 1] / len(rate)
    shares = np.concatenate([[0], ends]) / len(rate)
    flat = np.array([bool(closed(row.sum(), row)) for row in gain])
    recovered = gained / np.where(flat, np.nan, gap)[:, None]
    spread = [random_apgr_spread(table.strong, table.weak) for table in tables.values()]
    reach = float(norm.ppf((1 + level) / 2)) * np.array([np.nan if s is None else s for s in spread])
    frame = pd.DataFrame(
        {
            "pair": list(tables),
            "strong": [table.strong_model for table in tables.values()],
            "weak": [table.weak_model for table in tables.values()],
            "n": len(rate),
            "gap": gap,
            "apgr": trapezoid(recovered, shares, axis=1),
            "cpt50": first_crossings(shares[None], recovered, 0.5),
            "chance_low": 0.5 - reach,
            "chance_high": 0.5 + reach,
        }
    )
    return frame.assign(outside=(frame["apgr"] - 0.5).abs() > reach)


def transfer_maps(rates: Rates, maps: Mapping[str, Pairs]) -> pd.DataFrame:
    """`transfer_map` of every router on every benchmark, one below the other.

    Parameters
    ----------
    rates : win rates on the benchmarks' queries, by the benchmarks' names.
    maps : benchmark -> its pairs, as `all_pairs` gives them.

    Returns
    -------
    The columns benchmark, training and router, then those of `transfer_map`.
    """
    frames = []
    for (training, router, benchmark), rate in rates.items():
        found = transfer_map(rate, maps[benchmark])
        head = {"benchmark": benchmark, "training": training, "router": router}
        frames.append(found.assign(**head)[[*head, *found.columns]])
    return pd.concat(frames, ignore_index=True)


def summary(maps: pd.DataFrame) -> pd.DataFrame:
    """How many pairs a router transfers to: a row per benchmark and router of `transfer_maps`.

    Columns: benchmark, router, pairs, better and worse (share of pairs above and below the chance band),
    median_apgr, and rank_correlation of APGR with the gap (NaN with fewer than three pairs).
    """
    rows = []
    known = maps.dropna(subset="apgr").sort_values("benchmark", kind="stable")
    for (benchmark, router), part in known.groupby(["benchmark", "router"], sort=False):
        rank = part[["apgr", "gap"]].rank().corr().iloc[0, 1] if len(part) > 2 else np.nan
        rows.append(
            {
                "benchmark": benchmark,
                "router": router,
                "pairs": len(part),
                "better": (part["apgr"] > part["chance_high"]).mean(),
                "worse": (part["apgr"] < part["chance_low"]).mean(),
                "median_apgr": part["apgr"].median(),
                "rank_correlation": rank,
            }
        )
    return pd.DataFrame(rows)


def beside_paper(table: pd.DataFrame, original: Mapping[str, str]) -> pd.DataFrame:
    """Results with the paper's CPT and APGR wherever it prints this very pair on this very benchmark.

    The paper's rows are those of the augmented training sets (Tables 1 to 4).

    Parameters
    ----------
    table : as `preference.results` gives it, its benchmark named as `other_pairs` writes it.
    original : name of the original pair on a benchmark -> that benchmark.

    Returns
    -------
    The table with the columns pair, benchmark and paper_apgr, paper_cpt50, paper_cpt80 (NaN where the paper
    prints none).
    """
    printed = pd.concat([paper.routellm_results(number) for number in (1, 2, 3, 4)])
    printed = printed[(printed["training"] != "arena")]
    names = printed["pair"].where(printed["pair"] != _PRINTED_PAIR, "") + "|" + printed["benchmark"]
    router = printed["router"].replace("Causal LLM", "Causal LM")
    values = printed.set_index(names + "|" + router)[["apgr", "cpt50", "cpt80"]].add_prefix("paper_")
    pair = table["benchmark"].str.rpartition(" (")[0]
    benchmark = table["benchmark"].str.rpartition(" (")[2].str.removesuffix(")")
    key = pair.mask(table["benchmark"].isin(original), "") + "|" + benchmark + "|" + table["router"]
    found = table.assign(benchmark=benchmark).join(values.reindex(key).set_axis(table.index))
    found.insert(0, "pair", pair)
    return found


def pair_differences(
    rates: Rates, original: Mapping[str, PairScores], tables: Pairs, *, rng: np.random.Generator, draws: int
) -> pd.DataFrame:
    """How APGR on other pairs differs from that on the original pair, averaged over the routers.

    Both are resampled on their own, which is right for different queries and cautious for the same ones.

    Parameters
    ----------
    rates : win rates on the original pairs and on the others; of a benchmark's original pair those of its
        own training set and router.
    original : benchmark -> original pair.
    tables : other pair -> scores; its name ends with the benchmark in brackets, as `other_pairs` writes it.
    rng, draws : of the resamples.

    Returns
    -------
    A row per other pair: pair, benchmark, original and other (mean APGR), difference, low and high.
    """
    before = {name: _mean_apgr(rates, name, pair, rng, draws) for name, pair in original.items()}
    rows = []
    for name, pair in tables.items():
        benchmark = benchmark_of(name, original)
        (old, olds), (new, news) = before[benchmark], _mean_apgr(rates, name, pair, rng, draws)
        low, high = interval((news - olds)[~np.isnan(news - olds)])
        head = {"pair": name, "benchmark": benchmark, "original": old, "other": new}
        rows.append({**head, "difference": new - old, "low": low, "high": high})
    return pd.DataFrame(rows)


def benchmark_of(name: str, benchmarks: Iterable[str]) -> str:
    """Benchmark that a table is of: its name is the benchmark's, or ends with it as `other_pairs` writes it.

    Raises
    ------
    ValueError : if it is none of the benchmarks.

    >>> benchmark_of("Claude 3 Opus / Sonnet (GSM8K)", ["MT Bench", "GSM8K"])
    'GSM8K'
    """
    known = list(benchmarks)
    for benchmark in known:
        if name == benchmark or name.endswith(f" ({benchmark})"):
            return benchmark
    raise ValueError(f"{name!r} is of none of the benchmarks {', '.join(known)}; end it with one in brackets")


def comparable(difference: tuple[float, float], margin: float = MARGIN) -> bool | None:
    """Whether an interval of a difference says that it is smaller than a margin, to either side.

    Returns
    -------
    True if the interval is inside the margin, False if it is outside of it, None if it cannot tell.

    >>> comparable((-0.05, 0.02)), comparable((-0.3, -0.2)), comparable((-0.2, 0.02))
    (True, False, None)
    """
    low, high = difference
    sides = (supports((low + margin, high + margin), 1), supports((low - margin, high - margin), -1))
    return False if False in sides else None if None in sides else True


def _gap(pair: PairScores) -> float:
    """Difference of the mean scores; 0 where it is nothing but rounding."""
    gain = pair.strong - pair.weak
    return 0.0 if closed(gain.sum(), gain) else float(gain.mean())


def _mean_apgr(
    rates: Rates, name: str, pair: PairScores, rng: np.random.Generator, draws: int
) -> tuple[float, Array]:
    mine = {f"{training}|{router}": rate for (training, router, on), rate in rates.items() if on == name}
    found, samples = bootstrap_pairs(mine, pair.strong, pair.weak, rng=rng, draws=draws)
    return float(found["apgr"].mean()), np.mean([part["apgr"] for part in samples.values()], axis=0)


def _widest(material: Material, tables: Mapping[str, ModelScores]) -> dict[str, PairScores]:
    found = {}
    for benchmark, scores in tables.items():
        others = [
            pair
            for pair in scores.pairs().values()
            if (pair.strong_model, pair.weak_model) != (material.strong, material.weak)
        ]
        for pair in others[:_OWN_PAIRS]:
            found[pair_name(pair.strong_model, pair.weak_model, benchmark)] = pair
    return found


def _on_queries_of(pairs: PairScores, outcomes: Outcomes) -> ModelScores:
    kept = outcomes.take(outcomes.frame["sample_id"].isin(pairs.frame["sample_id"]).to_numpy())
    frame = kept.frame[["sample_id", "dataset", "task", "prompt"]].reset_index(drop=True)
    return ModelScores(frame, tuple(kept.models), kept.quality, kept.origin, pairs.scale)


def _judged() -> ModelScores:
    rows = mtbench_scores()
    return _clean(
        rows, ~rows.frame["contaminated"].to_numpy(dtype=bool), load_pairs("routellm-mtbench").scale
    )


def _graded() -> ModelScores:
    known, clean = (load_pairs("routellm-gsm8k", decontaminate=flag) for flag in (False, True))
    leaked = set(known.frame["prompt"]) - set(clean.frame["prompt"])
    rows = load_graded()
    return _clean(rows, ~rows.frame["prompt"].isin(leaked).to_numpy(), clean.scale)


def _clean(rows: SourceRows, kept: NDArray[np.bool_], scale: tuple[float, float]) -> ModelScores:
    """Kept rows that hold a score of every model."""
    models = models_of(rows)
    scores = rows.frame[list(models)].to_numpy(dtype=float)
    whole = kept & ~np.isnan(scores).any(axis=1)
    notes = [f"{int((~kept).sum())} prompts that also stand in RouteLLM's training data were left out"]
    if (missing := int((kept & ~whole).sum())) > 0:
        notes.append(f"{missing} rows lack a score of some model and were dropped")
    frame = rows.frame.loc[whole, ["sample_id", "dataset", "task", "prompt"]].reset_index(drop=True)
    return ModelScores(frame, models, scores[whole], rows.origin.noting(notes), scale)
