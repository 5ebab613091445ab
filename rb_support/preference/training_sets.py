"""What RouteLLM's experiments need (sections 4.1 and 5), gathered for each kind of data.

Benchmarks are queries with a strong and a weak model's scores; training data are battles, each set with
the names of the models that fought. None of the battles is on a query that a router is judged on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rb_support import catalog
from rb_support.catalog import GSM8K, MMLU, MODELS
from rb_support.load import Scale, load_outcomes
from rb_support.outcomes import Battles, Origin, Outcomes, PairScores, TableError
from rb_support.outcomes.splits import hold_out
from rb_support.preference.battle_sets import gold_battles, join, join_origins, prune_short, relabel
from rb_support.preference.tiers import assign_tiers, bradley_terry
from rb_support.simulate import simulate_arena, simulate_judge
from rb_support.sources import load_battles, load_pairs

Naming = Literal["tiers", "classes"]

MT_BENCH = "MT Bench"
"""The benchmark as RouteLLM spells it; RouterBench, whose rows `catalog.MT_BENCH` names, spells MT-Bench."""

ARENA, JUDGE, GOLD = "D_arena", "D_judge", "D_gold"
TIERS = 10
ARENA_BATTLES: dict[Scale, int] = {"quick": 3_000, "full": 80_000}
JUDGE_BATTLES: dict[Scale, int] = {"quick": 1_500, "full": 40_000}
_LARGEST_GOLD = 0.4
_MIXTRAL_IN_ALPACA = "Mixtral-8x7B-Instruct-v0.1_concise"
_MIXTRAL_IN_ARENA = "mixtral-8x7b-instruct-v0.1"
_SIMULATED_MIXTRAL = "mistralai/mixtral-8x7b-chat"
_SHORT_NAMES = {
    "real": "RouteLLM's scores of GPT-4 and Mixtral, AlpacaEval's judgments",
    "simulated": "simulated RouterBench, Chatbot Arena and judge (latent traits)",
}
_OWN_BENCHMARKS = 3
_OWN_ROWS = 30


@dataclass(frozen=True, eq=False)
class Experiment:
    """Battles to learn from and queries to be judged on, of one pair of a strong and a weak model.

    Attributes
    ----------
    benchmarks : name -> scores of the strong and the weak model, for judging.
    training : name -> battles between models, for learning; what is augmented stands first.
    pool : all queries that golden labels could be asked for.
    gold : those of them that the golden labels come from; the rest of the pool is a benchmark.
    tiers : model -> tier (0 the best) of every model that fights.
    strong, weak : names of the pair in the battles.
    outcomes : table that the benchmarks' scores come from; None for RouteLLM's own scores of one pair.
    """

    benchmarks: Mapping[str, PairScores]
    training: Mapping[str, Battles]
    pool: PairScores
    gold: PairScores
    tiers: Mapping[str, int]
    strong: str
    weak: str
    outcomes: Outcomes | None = None

    @property
    def origin(self) -> Origin:
        """Where all of it comes from, under one name short enough for a figure."""
        whole = join_origins([part.origin for part in (*self.benchmarks.values(), *self.training.values())])
        return replace(whole, name=_SHORT_NAMES.get(whole.kind, whole.name))

    def battles(self, training: str, naming: Naming) -> Battles:
        """Battles of a training set between tiers, or between the classes "strong" and "weak" alone.

        The weak model's tier is the weak class, all tiers above it are the strong one (RouteLLM sec. 4.1).
        """
        return relabel(self.training[training], self._names(naming), drop_unknown=naming == "classes")

    def pair(self, naming: Naming) -> tuple[str, str]:
        """What the strong and the weak model are called under a naming."""
        names = self._names(naming)
        return names[self.strong], names[self.weak]

    def _names(self, naming: Naming) -> dict[str, str]:
        if naming == "tiers":
            return {model: f"tier {tier}" for model, tier in self.tiers.items()}
        weak = self.tiers[self.weak]
        classes = {model: "strong" if tier < weak else "weak" for model, tier in self.tiers.items()}
        return {model: name for model, name in classes.items() if self.tiers[model] <= weak}


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
    data : "simulated"; "real" (RouteLLM's own scores of GPT-4 and Mixtral, AlpacaEval's judgments as D_judge,
        labels held out of MMLU's test part as D_gold; there is no arena); or the path of an own outcome
        table, whose battles are the golden labels of held-out rows.
    scale : size of the simulated tables.
    seed : of the simulation, and of the draw of the golden labels.
    gold : golden labels to hold out of MMLU (of each dataset of an own table); at most 40% of its rows.
    strong, weak : models of an own table; empty: the best and the cheapest.

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
    return _own(outcomes, gold, strong, weak, rng)


def take_gold(pairs: PairScores, n: int, rng: np.random.Generator) -> tuple[PairScores, PairScores]:
    """Hold out scores for golden labels: (held out, rest). Equal prompts stay together.

    Parameters
    ----------
    pairs : scores.
    n : queries to hold out; a few less if the last prompt drawn stands for several.
    rng : of the draw.
    """
    taken = hold_out(pairs.frame["prompt"], n, rng, fill=False)
    return pairs.take(taken), pairs.take(~taken)


def _take_capped(pool: PairScores, gold: int, rng: np.random.Generator) -> tuple[PairScores, PairScores]:
    return take_gold(pool, min(gold, int(_LARGEST_GOLD * len(pool))), rng)


def _renamed(battles: Battles, model: str, name: str) -> Battles:
    sides = {side: {model: name} for side in ("model_a", "model_b")}
    return replace(battles, frame=battles.frame.replace(sides))


def _real(gold: int, rng: np.random.Generator) -> Experiment:
    pool, mt_bench, gsm8k = (load_pairs(f"routellm-{name}") for name in ("mmlu", "mtbench", "gsm8k"))
    labels, mmlu = _take_capped(pool, gold, rng)
    strong, weak = mmlu.strong_model, mmlu.weak_model
    judged = _renamed(prune_short(load_battles("alpaca-eval")), _MIXTRAL_IN_ALPACA, weak)
    note = f"{_MIXTRAL_IN_ALPACA}, asked to be concise, stands for {weak}"
    judged, right = replace(judged, origin=judged.origin.noting([note])), gold_battles(labels)
    benchmarks = {MT_BENCH: mt_bench, MMLU: mmlu, GSM8K: gsm8k}
    training = {JUDGE: judged, f"{JUDGE} + {GOLD}": join(judged, right), GOLD: right}
    tiers = assign_tiers(bradley_terry(judged), TIERS)
    return Experiment(benchmarks, training, pool, labels, tiers, strong, weak)


def _simulated(
    outcomes: Outcomes, scale: Scale, seed: int, gold: int, rng: np.random.Generator
) -> Experiment:
    strong, weak = MODELS[0], _SIMULATED_MIXTRAL
    pairs = PairScores.from_outcomes(outcomes, strong, weak)
    pool = pairs.of(MMLU)
    labels, mmlu = _take_capped(pool, gold, rng)
    votes = prune_short(simulate_arena(ARENA_BATTLES[scale], seed=seed))
    arena = _renamed(votes, _MIXTRAL_IN_ARENA, weak)
    judged = join(arena, simulate_judge(JUDGE_BATTLES[scale], seed=seed))
    benchmarks = {MT_BENCH: pairs.of(catalog.MT_BENCH), MMLU: mmlu, GSM8K: pairs.of(GSM8K)}
    right = join(arena, gold_battles(labels))
    training = {ARENA: arena, f"{ARENA} + {JUDGE}": judged, f"{ARENA} + {GOLD}": right}
    tiers = assign_tiers(bradley_terry(arena), TIERS)
    return Experiment(benchmarks, training, pool, labels, tiers, strong, weak, outcomes)


def _own(outcomes: Outcomes, gold: int, strong: str, weak: str, rng: np.random.Generator) -> Experiment:
    points = outcomes.points()
    strong = strong or outcomes.models[int(points[:, 1].argmax())]
    weak = weak or next(outcomes.models[i] for i in points[:, 0].argsort() if outcomes.models[i] != strong)
    pairs = PairScores.from_outcomes(outcomes, strong, weak)
    sizes = pairs.frame["dataset"].value_counts()
    chosen = [name for name in pairs.datasets if sizes[name] >= _OWN_ROWS][:_OWN_BENCHMARKS]
    if not chosen:
        raise TableError(
            f"{pairs.origin.name}: no dataset has {_OWN_ROWS} rows to learn from and be judged on"
        )
    parts = {name: _take_capped(pairs.of(name), gold, rng) for name in chosen}
    benchmarks = {name: rest for name, (_, rest) in parts.items()}
    training = {GOLD: join(*(gold_battles(labels) for labels, _ in parts.values()))}
    pool, labels = pairs.of(chosen[0]), parts[chosen[0]][0]
    return Experiment(benchmarks, training, pool, labels, {strong: 0, weak: 1}, strong, weak, outcomes)
