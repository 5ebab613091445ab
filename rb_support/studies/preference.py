"""RouteLLM's experiment: routers times training sets times benchmarks (sections 4.2 and 5.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support import paper
from rb_support.embed import BUNDLED, embed
from rb_support.load import Scale
from rb_support.outcomes import Battles, PairScores
from rb_support.pairs import bootstrap_pairs, random_metrics, threshold_sweep
from rb_support.preference.bert import BertClassifier
from rb_support.preference.causal import CausalClassifier
from rb_support.preference.checkpoints import fitted
from rb_support.preference.factorization import MatrixFactorization
from rb_support.preference.kept import kept_rates
from rb_support.preference.sw import SWRanking
from rb_support.preference.training_sets import GOLD, JUDGE, Material, Naming
from rb_support.preference.win_model import WinModel
from rb_support.stats import interval

Array = NDArray[np.float64]
Router = SWRanking | WinModel
Rates = Mapping[tuple[str, str, str], Array]
"""(training set, router, benchmark) -> (n,) win rates on the benchmark's queries."""

RANDOM = "Random"
GRID = 101
"""Points of a curve in a figure's data: every percent of strong calls."""

QUESTIONS: dict[Scale, int] = {"quick": 1000, "full": 0}
"""Most queries of a benchmark that routers are judged on; 0 for all. Reading texts takes time on a CPU."""

METRICS = ("apgr", "cpt50", "cpt80")


@dataclass(frozen=True)
class Candidate:
    """A router of the study.

    Attributes
    ----------
    build : makes the untrained router from what the strong and the weak model are called.
    naming : how it wants its battles: between all tiers, or between the classes "strong" and "weak".
    """

    build: Callable[[str, str], Router]
    naming: Naming


def candidates(
    *, scale: Scale = "quick", seed: int = 0, causal: str = "auto", device: str = "cpu"
) -> dict[str, Candidate]:
    """The paper's four routers (sec. 4.2), sized for a laptop at "quick" and larger at "full".

    Parameters
    ----------
    scale : "quick" (40 steps of BERT's lowest layer on 64 tokens) or "full" (600 of all on 256).
    seed : of everything that is drawn in training.
    causal : backbone of the causal LM classifier: "auto", "tiny", "smollm2" or a name.
    device : where the two classifiers compute.
    """
    full = scale == "full"
    steps, tokens, members = (600, 256, 5) if full else (40, 64, 3)
    how: dict[str, Any] = {"max_length": tokens, "seed": seed, "device": device}
    low: dict[str, Any] = {"layers": 1, "pooling": "mean", "train_words": False, "learning_rate": 5e-4}
    bert = how if full else how | low
    return {
        "SW ranking": Candidate(lambda s, w: SWRanking(strong=s, weak=w), "tiers"),
        "Matrix factorization": Candidate(
            lambda s, w: MatrixFactorization(strong=s, weak=w, members=members, seed=seed), "tiers"
        ),
        "BERT": Candidate(lambda s, w: BertClassifier(strong=s, weak=w, steps=steps, **bert), "classes"),
        "Causal LM": Candidate(
            lambda s, w: CausalClassifier(causal, strong=s, weak=w, steps=2 * steps, **how), "classes"
        ),
    }


def backbone(routers: Mapping[str, Candidate]) -> str:
    """What the causal LM classifier of these candidates is built on; empty if there is none."""
    built = [router.build("strong", "weak") for router in routers.values()]
    return "".join(router.backbone for router in built if isinstance(router, CausalClassifier))


def embed_prompts(
    material: Material, model: str = BUNDLED, *, further: Iterable[PairScores] = (), progress: bool = True
) -> pd.DataFrame:
    """Embed every prompt of a study once.

    Parameters
    ----------
    material : training data and benchmarks.
    model : as in `rb_support.embed.embed`; "tfidf" learns its words from the training prompts.
    further : more queries that routers are to be judged on.
    progress : show a bar while texts are encoded.

    Returns
    -------
    (prompts, d) frame indexed by prompt, so that ``X.loc[battles.frame["prompt"]]`` are rows of any table.
    """
    learnt = _distinct(material.training.values())
    judged = _distinct([*material.benchmarks.values(), material.gold, *further])
    texts = list(dict.fromkeys([*learnt, *judged]))
    return pd.DataFrame(embed(texts, model, fit_on=learnt, progress=progress), index=pd.Index(texts))


def train(material: Material, training: str, candidate: Candidate, X: pd.DataFrame) -> Router:
    """Router that has learnt from a training set; what took training is kept in the cache for the next call.

    Parameters
    ----------
    material : whose battles are learnt from.
    training : name of the training set.
    candidate : the router.
    X : embeddings by prompt, as `embed_prompts` gives them.
    """
    router = candidate.build(*material.pair(candidate.naming))
    battles = material.battles(training, candidate.naming)
    read = reads(router, battles, X)
    return fitted(router, battles, read) if isinstance(router, WinModel) else router.fit(battles, read)


def reads(router: Router, table: Battles | PairScores, X: pd.DataFrame) -> Any:
    """What a router reads of a table's prompts: their embeddings (n, d), or the n texts themselves."""
    prompts = table.frame["prompt"].tolist()
    return prompts if router.reads == "texts" else X.loc[prompts].to_numpy()


def rates_of(router: Router, read: Any) -> Array:
    """(n,) win rates of a trained router on what it reads; those of texts are kept for the next call."""
    if isinstance(router, WinModel) and router.reads == "texts":
        return kept_rates(router, read)
    return router.win_rate(read)


def win_rates(
    material: Material,
    routers: Mapping[str, Candidate],
    X: pd.DataFrame,
    *,
    benchmarks: Mapping[str, PairScores] | None = None,
    trainings: Iterable[str] | None = None,
) -> dict[tuple[str, str, str], Array]:
    """Win rates of every router, trained on every training set, on every benchmark.

    Parameters
    ----------
    material : training data and benchmarks.
    routers : name -> router.
    X : embeddings by prompt, as `embed_prompts` gives them.
    benchmarks : what to judge on, if not the material's own benchmarks: the same routers on other pairs.
    trainings : names of the training sets; None: all.
    """
    judged = material.benchmarks if benchmarks is None else benchmarks
    rates = {}
    for training in trainings or material.training:
        for name, candidate in routers.items():
            router = train(material, training, candidate, X)
            for benchmark, pairs in judged.items():
                rates[training, name, benchmark] = rates_of(router, reads(router, pairs, X))
    return rates


def results(
    rates: Rates, benchmarks: Mapping[str, PairScores], *, rng: np.random.Generator, draws: int = 500
) -> pd.DataFrame:
    """RouteLLM's Tables 1 to 3: CPT(50%), CPT(80%), APGR and improvement over random, with 95% intervals.

    Intervals of routers are from resampled queries, those of the random router from its own random orders.
    Improvement is APGR over the random router's expected 0.5, minus 1.

    Parameters
    ----------
    rates : win rates, as `win_rates` gives them.
    benchmarks : name -> scores of the pair.
    rng, draws : of resamples and random orders.

    Returns
    -------
    A row per benchmark, training set and router (training is empty for the random router): benchmark,
    training, router, queries, then each of apgr, cpt50, cpt80 with its `_low` and `_high`, and improvement.
    A CPT that is never reached is NaN.
    """
    rows = []
    for benchmark, pairs in benchmarks.items():
        mine = {(training, router): v for (training, router, on), v in rates.items() if on == benchmark}
        head = {"benchmark": benchmark, "queries": len(pairs)}
        rows.append({**head, "training": "", "router": RANDOM, **_random(pairs, rng, draws)})
        names = {" / ".join(key): key for key in mine}
        estimates, samples = bootstrap_pairs(
            {name: mine[key] for name, key in names.items()}, pairs.strong, pairs.weak, rng=rng, draws=draws
        )
        for name, (training, router) in names.items():
            found = _with_interval(estimates.loc[name].to_dict(), samples[name])
            rows.append({**head, "training": training, "router": router, **found})
    table = pd.DataFrame(rows).assign(improvement=lambda t: t["apgr"] / 0.5 - 1)
    return table[["benchmark", "training", "router", "queries", *_columns(), "improvement"]]


def beside_paper(table: pd.DataFrame) -> pd.DataFrame:
    """Results with the paper's own numbers where it has the like (RouteLLM Tables 1 to 3).

    The paper trains on D_arena, and on it with golden labels (MMLU) or a judge's (MT Bench, GSM8K). A
    training set stands beside the paper's set of the same augmentation. Where the paper prints none for a
    benchmark, one with a judge's labels stands beside D_arena, one with golden labels beside nothing.

    Parameters
    ----------
    table : as `results` gives it.

    Returns
    -------
    The table with the columns paper_training, paper_cpt50, paper_cpt80, paper_apgr; NaN without the like.
    """
    printed = pd.concat([paper.routellm_results(number) for number in (1, 2, 3)])
    printed = printed.replace({"router": {"Causal LLM": "Causal LM"}}).fillna({"training": ""})
    sets = printed.groupby("benchmark")["training"].agg(set)
    like = [
        _paper_training(training, sets.get(benchmark, set()))
        for benchmark, training in table[["benchmark", "training"]].itertuples(index=False)
    ]
    keys, values = ["benchmark", "training", "router"], ["cpt50", "cpt80", "apgr"]
    theirs = printed[[*keys, *values]].rename(
        columns={name: f"paper_{name}" for name in ["training", *values]}
    )
    return table.assign(paper_training=like).merge(
        theirs, on=["benchmark", "paper_training", "router"], how="left", validate="many_to_one"
    )


def _paper_training(training: str, printed: set[str]) -> str:
    if training == "":
        return ""
    if training.endswith(GOLD):
        return "arena + gold" if "arena + gold" in printed else "none"
    if training.endswith(JUDGE) and "arena + judge" in printed:
        return "arena + judge"
    return "arena"


def curve_table(rates: Rates, benchmarks: Mapping[str, PairScores]) -> pd.DataFrame:
    """Call-performance curves at every percent of strong calls: benchmark, training, router, share, score."""
    shares = np.linspace(0, 1, GRID)
    frames = []
    for (training, router, benchmark), rate in rates.items():
        pairs = benchmarks[benchmark]
        score = np.interp(shares, *threshold_sweep(rate, pairs.strong, pairs.weak))
        head = {"benchmark": benchmark, "training": training, "router": router}
        frames.append(pd.DataFrame({**head, "share": shares, "score": score}))
    return pd.concat(frames, ignore_index=True)


def subsample(pairs: PairScores, n: int, rng: np.random.Generator) -> PairScores:
    """At most n queries, drawn without replacement, in their old order; 0 takes all."""
    if not 0 < n < len(pairs):
        return pairs
    return pairs.take(np.sort(rng.choice(len(pairs), n, replace=False)))


def _distinct(tables: Iterable[Battles | PairScores]) -> list[str]:
    return list(dict.fromkeys(prompt for table in tables for prompt in table.frame["prompt"]))


def _columns() -> list[str]:
    return [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]


def _with_interval(estimate: Mapping[Any, float], sample: pd.DataFrame) -> dict[str, float]:
    found: dict[str, float] = {}
    for metric in METRICS:
        values = sample[metric].dropna()
        ends = interval(values) if len(values) else (np.nan, np.nan)
        found |= dict(
            zip((metric, f"{metric}_low", f"{metric}_high"), (estimate[metric], *ends), strict=True)
        )
    return found


def _random(pairs: PairScores, rng: np.random.Generator, draws: int) -> dict[str, float]:
    spread = random_metrics(pairs.strong, pairs.weak, rng=rng, draws=draws)
    if spread is None:
        return dict.fromkeys(_columns(), np.nan)
    return dict(
        zip(_columns(), spread.loc[list(METRICS)].to_numpy(dtype=float).ravel().tolist(), strict=True)
    )
