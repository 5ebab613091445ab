"""RouteLLM's experiment: routers times training sets times benchmarks (sections 4.2 and 5.1)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support import paper
from rb_support.embed import BUNDLED, TFIDF, EmbeddingError, embed
from rb_support.load import Scale
from rb_support.outcomes import Battles, PairScores
from rb_support.pairs import bootstrap_pairs, pgr, random_metrics, random_scores, threshold_sweep
from rb_support.preference.bert import BertClassifier
from rb_support.preference.causal import CausalClassifier
from rb_support.preference.factorization import MatrixFactorization
from rb_support.preference.sw import SWRanking
from rb_support.preference.text_model import TextModel
from rb_support.preference.training_sets import ALPACA, GOLD, JUDGE, Experiment, Naming
from rb_support.preference.win_model import WinModel, fitted, kept_rates
from rb_support.stats import Array, interval, simultaneous
from rb_support.verdicts import Estimate

RANDOM = "Random"
ROUTERS = SW, FACTORIZATION, BERT, CAUSAL = "SW ranking", "Matrix factorization", "BERT", "Causal LM"
GRID = 101
"""Points of a curve in a figure's data: every percent of strong calls."""

QUESTIONS: dict[Scale, int] = {"quick": 1000, "full": 0}
"""Most queries of a benchmark that routers which read texts are judged on; 0 for all: a CPU reads slowly."""

Floors = Mapping[tuple[str, str], float]
"""(benchmark, router) -> APGR that knowing nothing reaches."""

METRICS = ("apgr", "cpt50", "cpt80")
_AUGMENTED = {ALPACA: "none", GOLD: "arena + gold", JUDGE: "arena + judge"}
_COLUMNS = [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]


class Router(Protocol):
    """What learns from battles on which queries the strong model is worth its price.

    The battles are between "strong" and "weak"; with an attribute `naming` that is "tiers" they are between
    all tiers, and `strong` and `weak` are set to the two tiers that `win_rate` is about.
    """

    @property
    def reads(self) -> Literal["vectors", "texts"]:
        """What X holds of n prompts: their embeddings, (n, d), or the prompts themselves."""

    def fit(self, battles: Battles, X: Any) -> Any:
        """Learn from n battles."""

    def win_rate(self, X: Any) -> Array:
        """(n,) probability that the strong model wins."""


def candidates(
    *, scale: Scale = "quick", seed: int = 0, causal: str = "auto", device: str = "cpu"
) -> dict[str, Router]:
    """The paper's four routers (sec. 4.2), untrained, sized for a laptop at "quick" and larger at "full".

    Parameters
    ----------
    scale : "quick" (40 steps of BERT's lowest layer on 64 tokens) or "full" (600 of all on 256).
    seed : of everything that is drawn in training.
    causal : backbone of the causal LM classifier: "auto", "tiny", "smollm2" or a name.
    device : where the two classifiers compute.
    """
    full = scale == "full"
    steps, tokens, members = (600, 256, 5) if full else (40, 64, 3)
    both: dict[str, Any] = {"max_length": tokens, "seed": seed, "device": device}
    low: dict[str, Any] = {"layers": 1, "pooling": "mean", "train_words": False, "learning_rate": 5e-4}
    return {
        SW: SWRanking(),
        FACTORIZATION: MatrixFactorization(members=members, seed=seed),
        BERT: BertClassifier(steps=steps, **(both if full else both | low)),
        CAUSAL: CausalClassifier(causal, steps=2 * steps, **both),
    }


@dataclass(frozen=True, eq=False)
class WinRates:
    """What a trained router says of the queries of one table.

    Attributes
    ----------
    training : name of the training set.
    router : name of the router.
    table : name of the benchmark, or of a pair of models on one.
    pairs : n queries, with what the strong and the weak model scored.
    rate : (n,) probability that the strong model wins.
    """

    training: str
    router: str
    table: str
    pairs: PairScores
    rate: Array


Told = TypeVar("Told", bound=WinRates)


def on_tables(rates: Iterable[Told], names: Iterable[str]) -> list[Told]:
    """Win rates on some tables only, table by table in the order of the names."""
    told = list(rates)
    return [one for name in names for one in told if one.table == name]


def by_table(rates: Iterable[Told]) -> dict[str, list[Told]]:
    """Win rates by table, in the order in which tables first appear."""
    told = list(rates)
    return {name: on_tables(told, [name]) for name in dict.fromkeys(one.table for one in told)}


def embed_prompts(
    experiment: Experiment, model: str = BUNDLED, *, further: Iterable[PairScores] = (), progress: bool = True
) -> pd.DataFrame:
    """Embed every prompt of an experiment once.

    Parameters
    ----------
    experiment : training data and benchmarks.
    model : as in `rb_support.embed.embed`; "tfidf" learns its words from the training prompts.
    further : more queries that routers are to be judged on.
    progress : show a bar while texts are encoded.

    Returns
    -------
    (prompts, d) frame indexed by prompt, so that ``X.loc[battles.frame["prompt"]]`` are rows of any table.
    """
    learnt = distinct_prompts(experiment.training.values())
    judged = distinct_prompts([*experiment.benchmarks.values(), experiment.gold, *further])
    texts = list(dict.fromkeys([*learnt, *judged]))
    return pd.DataFrame(vectors(texts, model, fit_on=learnt, progress=progress), index=pd.Index(texts))


def vectors(texts: Sequence[str], model: str, **options: Any) -> NDArray[np.float32]:
    """`rb_support.embed.embed`; with a warning, one column of zeros where TF-IDF finds no words."""
    try:
        return embed(texts, model, **options)
    except (EmbeddingError, ValueError) as error:  # scikit-learn: no word at all
        if model != TFIDF:
            raise
        warnings.warn(f"{error}. Here all prompts get the same vector, which tells nothing", stacklevel=2)
        return np.zeros((len(texts), 1), dtype=np.float32)


def distinct_prompts(tables: Iterable[Battles | PairScores]) -> list[str]:
    """Prompts of several tables, each once, in the order in which they come."""
    return list(dict.fromkeys(prompt for table in tables for prompt in table.frame["prompt"]))


def trained(
    experiment: Experiment, candidates: Mapping[str, Router], X: pd.DataFrame, trainings: Iterable[str]
) -> dict[tuple[str, str], Router]:
    """Routers by training set and name; what took training is kept in the cache for the next call.

    Parameters
    ----------
    experiment : whose battles are learnt from.
    candidates : name -> untrained router, which stays as it is: copies of it are trained.
    X : embeddings by prompt, as `embed_prompts` gives them.
    trainings : names of the training sets.
    """
    routers: dict[tuple[str, str], Router] = {}
    for training in dict.fromkeys(trainings):
        fought: dict[Naming, Battles] = {}
        for name, candidate in candidates.items():
            router: Any = deepcopy(candidate)
            naming: Naming = getattr(router, "naming", "classes")
            if naming == "tiers":
                router.strong, router.weak = experiment.pair(naming)
            if naming not in fought:
                fought[naming] = experiment.battles(training, naming)
            battles = fought[naming]
            fit = partial(fitted, router) if isinstance(router, WinModel) else router.fit
            fit(battles, _read(router, battles.frame["prompt"].tolist(), X))
            routers[training, name] = router
    return routers


def _read(router: Router, prompts: list[str], X: pd.DataFrame) -> Any:
    """What a router reads of n prompts: their embeddings (n, d), or the texts themselves."""
    return prompts if router.reads == "texts" else X.loc[prompts].to_numpy()


def win_rates(
    routers: Mapping[tuple[str, str], Router],
    tables: Mapping[str, PairScores],
    X: pd.DataFrame,
    *,
    trainings: Mapping[str, str] | None = None,
    most_texts: int = 0,
) -> list[WinRates]:
    """Win rates of every router on every table; those of texts are kept for the next call.

    A router judges a query and no pair of models, so a prompt that stands in several tables is scored once.

    Parameters
    ----------
    routers : as `trained` gives them.
    tables : name -> queries.
    X : embeddings by prompt.
    trainings : benchmark -> the one training set whose routers are asked, as
        `rb_support.studies.transfer.augmented` names it; a table's name is then a benchmark's, or ends with
        it in brackets (`benchmark_of`). None asks all routers on all tables.
    most_texts : queries of a table that a router which reads texts is asked about, always the same draw; 0
        for all. The pairs of its `WinRates` are then these.
    """
    rates = []
    fewer = {name: subsample(pairs, most_texts, np.random.default_rng(0)) for name, pairs in tables.items()}
    wanted = {name: trainings[benchmark_of(name, trainings)] for name in tables} if trainings else {}
    for (training, router_name), router in routers.items():
        asked = fewer if router.reads == "texts" else tables
        mine = {name: pairs for name, pairs in asked.items() if wanted.get(name, training) == training}
        prompts = distinct_prompts(mine.values())
        rate = pd.Series(rates_of(router, prompts, X), index=prompts)
        for name, pairs in mine.items():
            its_rows = np.asarray(rate.loc[pairs.frame["prompt"]], dtype=float)
            rates.append(WinRates(training, router_name, name, pairs, its_rows))
    return rates


def rates_of(router: Router, prompts: list[str], X: pd.DataFrame) -> Array:
    """(n,) win rates of prompts; what a text model says of them is kept for the next call."""
    read = _read(router, prompts, X)
    return kept_rates(router, read) if isinstance(router, TextModel) else router.win_rate(read)


def benchmark_of(name: str, benchmarks: Iterable[str]) -> str:
    """Benchmark that a table is of: its name is the benchmark's, or ends with it in brackets.

    Raises
    ------
    ValueError : if it is none of the benchmarks.

    >>> benchmark_of("Claude 3 Opus / Sonnet (GSM8K)", ["MT Bench", "GSM8K"])
    'GSM8K'
    >>> benchmark_of("mail (EN)", ["EN", "mail (EN)"])
    'mail (EN)'
    """
    known = list(benchmarks)
    found = [benchmark for benchmark in known if name.endswith(f" ({benchmark})")]
    if name in known or found:
        return name if name in known else max(found, key=len)
    raise ValueError(f"{name!r} is of none of the benchmarks {', '.join(known)}; end it with one in brackets")


@dataclass(frozen=True, eq=False)
class Judged(WinRates):
    """Win rates and what they are worth.

    Attributes
    ----------
    metrics : apgr, cpt50, saving50 and so on, as `bootstrap_pairs` names them.
    samples : (draws, metrics) the same on resamples of the queries.
    """

    metrics: Mapping[str, float]
    samples: pd.DataFrame


def judge(
    rates: Sequence[WinRates], *, rng: np.random.Generator, draws: int, targets: Sequence[float] = (0.5, 0.8)
) -> list[Judged]:
    """`bootstrap_pairs` of routers; those on the same queries of a table see the same resamples."""
    found: dict[int, Judged] = {}
    groups: dict[tuple[str, ...], list[WinRates]] = {}
    for one in chain.from_iterable(by_table(rates).values()):
        groups.setdefault((one.table, *one.pairs.frame["sample_id"]), []).append(one)
    for alike in groups.values():
        pairs, told = alike[0].pairs, {str(number): one.rate for number, one in enumerate(alike)}
        table, samples = bootstrap_pairs(
            told, pairs.strong, pairs.weak, rng=rng, draws=draws, targets=targets
        )
        for one, values, sample in zip(alike, table.to_numpy().tolist(), samples.values(), strict=True):
            metrics = dict(zip(table.columns, values, strict=True))
            found[id(one)] = Judged(**vars(one), metrics=metrics, samples=sample)
    return [found[id(one)] for one in rates]


def results(
    rates: Iterable[WinRates], *, rng: np.random.Generator, draws: int = 500, floors: Floors | None = None
) -> pd.DataFrame:
    """RouteLLM's Tables 1 to 3: CPT(50%), CPT(80%), APGR and improvement over random, with 95% intervals.

    Intervals of routers are from resampled queries, those of the random router from its own random orders. As
    a reader looks at all trained routers of a benchmark at once, the intervals of their APGR are
    simultaneous (`rb_support.stats.simultaneous`); those of CPT and of `yardsticks` hold one by one.
    Improvement is APGR over the random router's expected 0.5, minus 1.

    Parameters
    ----------
    rates : win rates, as `win_rates` and `yardsticks` give them.
    rng, draws : of resamples and random orders.
    floors : (benchmark, router) -> APGR that knowing nothing reaches, of `preference_controls.floors`.

    Returns
    -------
    A row per benchmark, training set and router (training is empty for the random router and yardsticks,
    which stand first): benchmark, training, router, queries, then each of apgr, cpt50, cpt80 with its `_low`
    and `_high`, improvement, and with floors `shuffled`. A CPT that is never reached is NaN.
    """
    rows: list[tuple[Any, ...]] = []
    for benchmark, judged in by_table(rates).items():
        pairs = max((one.pairs for one in judged), key=len)
        random = random_metrics(pairs.strong, pairs.weak, rng=rng, draws=draws)
        known = [np.nan] * len(_COLUMNS) if random is None else random.loc[list(METRICS)].to_numpy().ravel()
        rows.append((benchmark, "", RANDOM, len(pairs), *known, np.nan))
        told = judge(sorted(judged, key=lambda one: one.training != ""), rng=rng, draws=draws)
        learnt = [one for one in told if one.training]
        ends = together([one.metrics["apgr"] for one in learnt], [one.samples["apgr"] for one in learnt])
        simultaneously = dict(zip(map(id, learnt), ends, strict=True))
        for one in told:
            spans = {metric: _interval(one.samples[metric]) for metric in METRICS}
            spans["apgr"] = simultaneously.get(id(one), spans["apgr"])
            numbers = [number for metric in METRICS for number in (one.metrics[metric], *spans[metric])]
            floor = (floors or {}).get((benchmark, one.router), np.nan)
            rows.append((benchmark, one.training, one.router, len(one.pairs), *numbers, floor))
    columns = ["benchmark", "training", "router", "queries", *_COLUMNS]
    table = pd.DataFrame(rows, columns=[*columns, "shuffled"]).assign(
        improvement=lambda t: t["apgr"] / 0.5 - 1
    )
    return table[[*columns, "improvement", *(["shuffled"] if floors is not None else [])]]


def _interval(samples: pd.Series[float]) -> Sequence[float]:
    """Low and high of the samples that are known; NaN where none is."""
    known = samples.dropna()
    return interval(known) if len(known) else (np.nan, np.nan)


def together(values: Sequence[float], samples: Sequence[ArrayLike]) -> list[list[float]]:
    """Low and high of k numbers, intervals that hold together.

    Parameters
    ----------
    values : (k,) numbers.
    samples : (k, draws) the same on resamples; those in which one is undefined, as APGR without a gap, are
        left out.
    """
    if not len(values):
        return []
    drawn = np.column_stack(samples).astype(float)
    known = ~np.isnan(drawn).any(axis=1)
    return simultaneous(values, drawn[known] if known.any() else drawn).tolist()


def resampled(
    rows: Iterable[tuple[str, float, ArrayLike, int]], floors: Sequence[float] | None = None
) -> list[Estimate]:
    """Estimates of k numbers whose intervals hold together; none if one is not known.

    Parameters
    ----------
    rows : of each its name, value, (draws,) resamples and queries.
    floors : (k,) what knowing nothing reaches.
    """
    known = list(rows)
    if not known or np.isnan([value for _, value, *_ in known]).any():
        return []
    names, values, samples, sizes = zip(*known, strict=True)
    return listed(np.column_stack([values, together(values, samples)]), names, sizes, floors)


def listed(
    intervals: ArrayLike, names: Iterable[str], sizes: Iterable[int], floors: Iterable[float] | None = None
) -> list[Estimate]:
    """Estimates of a table's rows.

    Parameters
    ----------
    intervals : (k, 3) value, low and high of each row.
    names, sizes, floors : (k,) of each its name, queries and what knowing nothing reaches.
    """
    rows = np.asarray(intervals, dtype=float).tolist()
    below = [-np.inf] * len(rows) if floors is None else floors
    each = zip(rows, names, sizes, below, strict=True)
    return [Estimate(v, low, high, name, int(n), float(floor)) for (v, low, high), name, n, floor in each]


def beside_paper(table: pd.DataFrame) -> pd.DataFrame:
    """Results with the paper's own numbers where it has the like (RouteLLM Tables 1 to 3).

    The paper trains on D_arena, and on it with golden labels (MMLU) or a judge's (MT Bench, GSM8K). A
    training set stands beside the paper's set of the same augmentation, and beside nothing where the paper
    prints none for a benchmark; nor does AlpacaEval's.

    Parameters
    ----------
    table : as `results` gives it.

    Returns
    -------
    The table with the columns paper_training, paper_cpt50, paper_cpt80, paper_apgr; NaN without the like.
    """
    printed = printed_results(1, 2, 3).rename(columns={"training": "paper_training"})
    printed = printed.fillna({"paper_training": ""})
    keys = ["benchmark", "paper_training"]
    ours = table.assign(paper_training=table["training"].map(_paper_training))
    has = pd.MultiIndex.from_frame(ours[keys]).isin(pd.MultiIndex.from_frame(printed[keys]))
    ours["paper_training"] = ours["paper_training"].where(has | ours["training"].eq(""), "none")
    theirs = printed[[*keys, "router", *(f"paper_{metric}" for metric in ("cpt50", "cpt80", "apgr"))]]
    return ours.merge(theirs, on=[*keys, "router"], how="left", validate="many_to_one")


def _paper_training(training: str) -> str:
    """What the paper calls a training set of the same augmentation."""
    known = (name for ending, name in _AUGMENTED.items() if training.endswith(ending))
    return next(known, "arena" if training else "")


def side_by_side(table: pd.DataFrame, metric: str = "apgr", spec: str = ".3f") -> pd.DataFrame:
    """One row a router, training sets side by side, as a reader compares them.

    Parameters
    ----------
    table : one benchmark's rows of `results`, with `beside_paper`'s columns or without.
    metric : "apgr", "cpt50" or "cpt80".
    spec : format of the numbers.

    Returns
    -------
    Columns router, queries, a column per training set, and for what no battle taught (random and yardsticks)
    "no battles". Cells such as "0.566 [0.455, 0.660] · paper 0.610", empty where there is no such router.
    Last the APGR that shuffled labels reach, if the table has it.
    """
    names = [metric, f"{metric}_low", f"{metric}_high", f"paper_{metric}"]
    numbers = table.reindex(columns=names).to_numpy(dtype=float).tolist()
    frame = table[["router", "queries"]].assign(
        training=table["training"].replace("", "no battles"),
        cell=[_in_words(*row, spec=spec) for row in numbers],
    )
    heads = pd.MultiIndex.from_frame(frame[["router", "queries"]].drop_duplicates())
    cells = frame.pivot(index=heads.names, columns="training", values="cell")
    rows = cells.reindex(index=heads, columns=frame["training"].unique()).astype(object)
    rows = rows.rename_axis(columns=None).reset_index()
    if metric == "apgr" and "shuffled" in table:
        luck = table.dropna(subset="shuffled").groupby("router")["shuffled"].first()
        level = rows["router"].map(luck).map(lambda level: f"{level:{spec}}", "ignore")
        rows["shuffled labels"] = level.astype(object)
    return rows.fillna("")


def _in_words(value: float, low: float, high: float, printed: float, *, spec: str) -> str:
    if np.isnan(value):
        return "never reached" if not np.isnan([low, high]).all() else "–"
    interval = "" if np.isnan([low, high]).any() else f" [{low:{spec}}, {high:{spec}}]"
    return f"{value:{spec}}{interval}" + ("" if np.isnan(printed) else f" · paper {printed:{spec}}")


def printed_results(*numbers: int) -> pd.DataFrame:
    """RouteLLM's tables of these numbers, with `paper_` before the metrics."""
    printed = pd.concat([paper.routellm_results(number) for number in numbers])
    return printed.rename(columns={metric: f"paper_{metric}" for metric in METRICS})


def curve_table(rates: Iterable[WinRates]) -> pd.DataFrame:
    """Call-performance curves at every percent of strong calls.

    Columns: benchmark, training, router, queries, share, score, pgr (NaN without a gap), and chance, half the
    width of the band of PGR in which 95% of random orders of these queries lie (normal approximation).
    """
    shares = np.linspace(0, 1, GRID)
    frames = []
    for one in rates:
        score = np.interp(shares, *threshold_sweep(one.rate, one.pairs.strong, one.pairs.weak))
        line, deviation = random_scores(one.pairs.strong, one.pairs.weak, shares)
        head = {"benchmark": one.table, "training": one.training, "router": one.router}
        recovered = pgr(score, line[0], line[-1])
        gap = np.nan if recovered is None else abs(line[-1] - line[0])
        known = np.full(GRID, np.nan) if recovered is None else recovered
        columns = {"share": shares, "score": score, "pgr": known, "chance": 1.96 * deviation / gap}
        frames.append(pd.DataFrame({**head, "queries": len(one.pairs), **columns}))
    return pd.concat(frames, ignore_index=True)


def subsample(pairs: PairScores, n: int, rng: np.random.Generator) -> PairScores:
    """At most n queries, drawn without replacement, in their old order; 0 takes all."""
    if not 0 < n < len(pairs):
        return pairs
    return pairs.take(np.sort(rng.choice(len(pairs), n, replace=False)))
