"""What RouteLLM's experiments need (sections 4.1 and 5), gathered for each kind of data.

Benchmarks are queries with a strong and a weak model's scores; training data are battles, each set with
the names of the models that fought. None of the battles is on a query that a router is judged on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rb_support import catalog, paper
from rb_support.catalog import GSM8K, MMLU, MODELS, canonical
from rb_support.load import Scale, load_outcomes
from rb_support.outcomes import Battles, Origin, Outcomes, PairScores, TableError
from rb_support.outcomes.battles import A, B
from rb_support.outcomes.checks import refuse_unknown
from rb_support.outcomes.splits import hold_out
from rb_support.pairs.metrics import has_gap
from rb_support.preference.battle_sets import gold_battles, join, join_origins, prune_short, relabel
from rb_support.preference.tiers import assign_tiers, bradley_terry, placed
from rb_support.simulate import simulate_arena, simulate_judge
from rb_support.sources import load_battles, load_graded, load_pairs

Naming = Literal["tiers", "classes"]

MT_BENCH = "MT Bench"
"""The benchmark as RouteLLM spells it; RouterBench, whose rows `catalog.MT_BENCH` names, spells MT-Bench."""

ARENA, JUDGE, GOLD = "D_arena", "D_judge", "D_gold"
ALPACA = "AlpacaEval, 20 models"
"""A training set that the paper does not have: many models against GPT-4 alone, on everyday requests."""

TIERS = 10
ARENA_BATTLES: dict[Scale, int] = {"quick": 3_000, "full": 80_000}
JUDGE_BATTLES: dict[Scale, int] = {"quick": 1_500, "full": 40_000}
_LARGEST_GOLD = 0.4
_MIXTRAL_IN_ARENA = "mixtral-8x7b-instruct-v0.1"
_SIMULATED_MIXTRAL = "mistralai/mixtral-8x7b-chat"
_SHORT_NAMES = {
    "real": "RouteLLM's scores of GPT-4 and Mixtral; votes of Chatbot Arena, judgments of AlpacaEval",
    "simulated": "simulated RouterBench, Chatbot Arena and judge (latent traits)",
}
_OWN_BENCHMARKS = 3
_OWN_ROWS = 30
_ALL = "all rows"


@dataclass(frozen=True, eq=False)
class Experiment:
    """Battles to learn from and queries to be judged on, of one pair of a strong and a weak model.

    Attributes
    ----------
    benchmarks : name -> scores of the strong and the weak model, for judging.
    training : name -> battles between models, for learning; what is augmented stands first.
    pool : all queries that golden labels could be asked for.
    gold : those of them that the golden labels come from; the rest of the pool is a benchmark.
    tiers : model -> tier (0 the best) of every model that fights; real data has Appendix A's, others those of
        their own ratings. `dataclasses.replace(experiment, tiers=…)` learns with others.
    strong, weak : names of the pair in the battles.
    outcomes : table that the benchmarks' scores come from; None for RouteLLM's own scores of one pair.
    notes : sentences on what a user's table does not allow.
    """

    benchmarks: Mapping[str, PairScores]
    training: Mapping[str, Battles]
    pool: PairScores
    gold: PairScores
    tiers: Mapping[str, int]
    strong: str
    weak: str
    outcomes: Outcomes | None = None
    notes: tuple[str, ...] = ()

    @property
    def limits(self) -> list[str]:
        """Sentences on what cannot be shown with these rows; none for most."""
        alike = [name for name, part in self.benchmarks.items() if not has_gap(part.strong, part.weak)]
        same = [name for name, battles in self.training.items() if len(np.unique(battles.share)) == 1]
        said = list(self.notes)
        if alike:
            said.append(
                f"{', '.join(alike)}: {self.strong} and {self.weak} score the same on average. There is no "
                "gap to recover, so APGR, CPT and savings are undefined and left empty."
            )
        if same:
            said.append(f"{', '.join(same)}: all battles end alike, so nothing tells one query from another.")
        return said

    @property
    def origin(self) -> Origin:
        """Where all of it comes from, under one name short enough for a figure."""
        whole = join_origins([part.origin for part in (*self.benchmarks.values(), *self.training.values())])
        return replace(whole, name=_SHORT_NAMES.get(whole.kind, whole.name))

    def battles(self, training: str, naming: Naming) -> Battles:
        """Battles of a training set between tiers, or between the classes "strong" and "weak" alone.

        The weak model's tier is the weak class, all tiers above it are together the strong one, under either
        naming (RouteLLM sec. 4.1): so what is learnt does not hang on whether the strong model itself fought.
        """
        return relabel(self.training[training], self._names(naming), drop_unknown=naming == "classes")

    def pair(self, naming: Naming) -> tuple[str, str]:
        """What the strong and the weak model are called under a naming."""
        names = self._names(naming)
        return names[self.strong], names[self.weak]

    def _names(self, naming: Naming) -> dict[str, str]:
        weak = self.tiers[self.weak]
        names = {model: "strong" if tier < weak else f"tier {tier}" for model, tier in self.tiers.items()}
        if naming == "tiers":
            return names
        return {m: "strong" if self.tiers[m] < weak else "weak" for m in names if self.tiers[m] <= weak}


def load_experiment(
    data: str = "simulated",
    *,
    scale: Scale = "quick",
    seed: int = 0,
    gold: int = 1500,
    strong: str = "",
    weak: str = "",
) -> Experiment:
    """Benchmarks and training data for a notebook's `data` parameter.

    Parameters
    ----------
    data : "simulated"; "real" (RouteLLM's own scores of GPT-4 and Mixtral; the public part of Chatbot Arena's
        votes as D_arena, GPT-4's judgments of the pair on AlpacaEval and on Arena's prompts as D_judge,
        labels held out of MMLU's test part as D_gold, and AlpacaEval's 20 models against GPT-4); or the path
        of an own outcome table, whose battles are the golden labels of held-out rows.
    scale : size of the simulated tables.
    seed : of the simulation, and of the draw of the golden labels.
    gold : golden labels to hold out of MMLU (of each dataset of an own table); at most 40% of its rows.
    strong, weak : models of an own table; empty: the best, and the cheapest of the others.

    Raises
    ------
    ValueError, SourceError, TableError
        As `rb_support.load.load_outcomes`.
    """
    rng = np.random.default_rng(seed)
    if data == "real":
        return _real(gold, rng)
    outcomes = load_outcomes(data, scale=scale, seed=seed)
    if data == "simulated":
        return _simulated(outcomes, scale, seed, gold, rng)
    return own_experiment(outcomes, gold, strong, weak, rng)


def take_gold(pairs: PairScores, n: int, rng: np.random.Generator) -> tuple[PairScores, PairScores] | None:
    """Hold out scores for golden labels: (held out, rest). Equal prompts stay together.

    Parameters
    ----------
    pairs : scores.
    n : queries to hold out; a few less if the last prompt drawn stands for several.
    rng : of the draw.

    Returns
    -------
    Both parts; None where one of them would be empty.
    """
    taken = hold_out(pairs.frame["prompt"], n, rng, fill=False)
    return None if taken.all() or not taken.any() else (pairs.take(taken), pairs.take(~taken))


def _parted(pool: PairScores, gold: int, rng: np.random.Generator) -> tuple[PairScores, PairScores]:
    """Golden labels, and the rest to be judged on; the pool twice where no two parts can be made of it."""
    if gold < 1:
        raise ValueError(f"gold is {gold}; hold out at least one golden label")
    return take_gold(pool, max(1, min(gold, int(_LARGEST_GOLD * len(pool)))), rng) or (pool, pool)


def _renamed(battles: Battles, name: Callable[[str], str]) -> Battles:
    sides = {side: battles.frame[side].map(name) for side in (A, B)}
    return replace(battles, frame=battles.frame.assign(**sides))


def _real(gold: int, rng: np.random.Generator) -> Experiment:
    pool, mt_bench, gsm8k = (load_pairs(f"routellm-{name}") for name in ("mmlu", "mtbench", "gsm8k"))
    labels, mmlu = _parted(pool, gold, rng)
    strong, weak = canonical(mmlu.strong_model), canonical(mmlu.weak_model)
    votes, pair, many = (
        prune_short(_renamed(load_battles(name), canonical))
        for name in ("arena-battles", "alpaca-eval-pair", "alpaca-eval")
    )
    bench = load_graded("arena-bench")
    both = [bench.models.index(name) for name in (mmlu.strong_model, mmlu.weak_model)]
    scored = bench.take(~np.isnan(bench.scores[:, both]).any(axis=1))
    judged = join(pair, _renamed(gold_battles(scored.pair(mmlu.strong_model, mmlu.weak_model)), canonical))
    right = _renamed(gold_battles(labels), canonical)
    benchmarks = {MT_BENCH: mt_bench, MMLU: mmlu, GSM8K: gsm8k}
    training = {
        ARENA: votes,
        f"{ARENA} + {JUDGE}": join(votes, judged),
        f"{ARENA} + {GOLD}": join(votes, right),
        ALPACA: many,
    }
    listed = paper.routellm_tiers()
    published = dict(zip(listed["model"].map(canonical), listed["tier"].astype(int), strict=True))
    tiers = placed(published, bradley_terry(join(votes, judged, many)))
    return Experiment(benchmarks, training, pool, labels, tiers, strong, weak)


def _simulated(
    outcomes: Outcomes, scale: Scale, seed: int, gold: int, rng: np.random.Generator
) -> Experiment:
    strong, weak = MODELS[0], _SIMULATED_MIXTRAL
    pairs = PairScores.from_outcomes(outcomes, strong, weak)
    pool = pairs.of(MMLU)
    labels, mmlu = _parted(pool, gold, rng)
    votes = prune_short(simulate_arena(ARENA_BATTLES[scale], seed=seed))
    arena = _renamed(votes, lambda name: weak if name == _MIXTRAL_IN_ARENA else name)
    judged = join(arena, simulate_judge(JUDGE_BATTLES[scale], seed=seed))
    benchmarks = {MT_BENCH: pairs.of(catalog.MT_BENCH), MMLU: mmlu, GSM8K: pairs.of(GSM8K)}
    right = join(arena, gold_battles(labels))
    training = {ARENA: arena, f"{ARENA} + {JUDGE}": judged, f"{ARENA} + {GOLD}": right}
    tiers = assign_tiers(bradley_terry(arena), TIERS)
    return Experiment(benchmarks, training, pool, labels, tiers, strong, weak, outcomes)


def own_experiment(
    outcomes: Outcomes, gold: int, strong: str, weak: str, rng: np.random.Generator
) -> Experiment:
    """Experiment of a user's own table; its `limits` say what the table does not allow.

    Benchmarks are the datasets with the most rows, or all rows where none has enough. Parameters are those of
    `load_experiment`.

    Raises
    ------
    TableError
        If a model is unknown, both are the same, or every prompt is blank.
    """
    notes = []
    said = outcomes.frame["prompt"].str.strip().ne("").to_numpy(dtype=bool)
    if not said.all():
        outcomes = outcomes.take(said)
        notes.append(f"{int((~said).sum()):,} of {len(said):,} rows have a blank prompt and are left out.")
    if len(outcomes.models) == 1:
        (model,) = outcomes.models
        quality, cost = (np.repeat(part, 2, axis=1) for part in (outcomes.quality, outcomes.cost))
        outcomes = Outcomes(outcomes.frame, quality, cost, (model, f"{model} (again)"), outcomes.origin)
        notes.append(
            f"{model} is the only model and stands on both sides: add a model's columns to route to."
        )
    strong, weak = _own_pair(outcomes, strong, weak)
    pairs = PairScores.from_outcomes(outcomes, strong, weak)
    sizes = pairs.frame["dataset"].value_counts()
    largest = sizes[sizes >= _OWN_ROWS].index[:_OWN_BENCHMARKS]
    pools = {name: pairs.of(name) for name in pairs.datasets if name in largest} or {_ALL: pairs}
    if left := len(pairs) - sum(map(len, pools.values())):
        notes.append(
            f"{left:,} of {len(pairs):,} rows are in no benchmark: those are the {_OWN_BENCHMARKS} datasets "
            f"with the most rows, of {_OWN_ROWS} at least ({', '.join(pools)})."
        )
    parts = {name: _parted(pool, gold, rng) for name, pool in pools.items()}
    if mixed := [name for name, (labels, rest) in parts.items() if labels is rest]:
        notes.append(
            f"{', '.join(mixed)}: too few different prompts to keep golden labels apart. Routers are judged "
            "on what they learnt from, which shows nothing of other prompts."
        )
    benchmarks = {name: rest for name, (_, rest) in parts.items()}
    training = {GOLD: join(*(gold_battles(labels) for labels, _ in parts.values()))}
    first, tiers = next(iter(pools)), {strong: 0, weak: 1}
    pool, labels = pools[first], parts[first][0]
    return Experiment(benchmarks, training, pool, labels, tiers, strong, weak, outcomes, tuple(notes))


def _own_pair(outcomes: Outcomes, strong: str, weak: str) -> tuple[str, str]:
    """Strong and weak model of an own table: as asked, else the best and the cheapest of the others."""
    refuse_unknown([name for name in (strong, weak) if name], outcomes.models, outcomes.origin.name)
    cost, quality = outcomes.points().T
    best, cheapest = (np.argsort(order, kind="stable") for order in (-quality, cost))
    strong = strong or next(outcomes.models[i] for i in best if outcomes.models[i] != weak)
    weak = weak or next(outcomes.models[i] for i in cheapest if outcomes.models[i] != strong)
    if strong == weak:
        others = ", ".join(model for model in outcomes.models if model != strong)
        raise TableError(
            f"{outcomes.origin.name}: strong and weak are both {strong!r}; take another: {others}"
        )
    return strong, weak
