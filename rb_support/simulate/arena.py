"""Simulated battles: people's votes on Chatbot Arena and a judge's preferences (RouteLLM, section 4.1).

The prompts speak of the topics of `simulate_outcomes` and are as hard as there, so that a router may learn
from battles what it needs on outcomes; but they are drawn in streams of their own. A voter sees the two
answers' qualities, which are made as scores are made there, with noise; where they are close it is a tie.
The harder a prompt says it is, the less of the qualities people see; a judge sees them everywhere, and gives
GPT-4 the same share of the win on every kind of prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from rb_support import catalog, paper
from rb_support.outcomes import Battles
from rb_support.simulate import assumptions as assumed
from rb_support.simulate.assumptions import Assumptions, Floats, assumptions, value
from rb_support.simulate.latent import Integers, draw_factors, draw_queries, draw_tastes, told_difficulty
from rb_support.simulate.prompts import write_prompts

GPT4, MIXTRAL = "gpt-4-1106-preview", "mistralai/mixtral-8x7b-chat"
"""The two models that strength 1 and strength 0 stand for, as `catalog.MODELS` spells them."""

CHAT = "Chat"
"""Entry of `vocabulary.json` with the words of open prompts: MT-Bench's topics, but nothing it asks about."""

SHORTEST = 16
"""Characters below which RouteLLM leaves a prompt out of training (section 5)."""

_BISECTIONS = 45


@dataclass(frozen=True, eq=False)
class _Asked:
    """Prompts in the manner of one dataset.

    Attributes
    ----------
    part : what is assumed of the dataset, for the two models of strength 1 and 0.
    frame : n rows: prompt, dataset, topic, level.
    topic : (n,) row in the part's topics.
    hard : (n,) how hard the words say that it is, in standard deviations.
    factors : (n, 3) what makes the prompts hard.
    taste : (topics, k) each fighter's own taste for each topic.
    """

    part: Assumptions
    frame: pd.DataFrame
    topic: Integers
    hard: Floats
    factors: Floats
    taste: Floats


def simulate_arena(n: int = 20_000, seed: int = 0) -> Battles:
    """Votes of people between 64 models on n simulated prompts (RouteLLM, sections 4.1 and 5, App. A).

    Parameters
    ----------
    n : number of battles, at least 100; RouteLLM has 80,000.
    seed : the same seed gives the same battles, byte for byte.

    Returns
    -------
    Battles with the further columns dataset (whose wording the prompt has), topic ("greeting" for prompts
    under 16 characters), level (0 plain … 4 expert wording) and random_vote (True where the vote is blind).

    Raises
    ------
    ValueError
        If n is too small.
    """
    fighters = _fighters()
    strength = fighters["strength"].to_numpy(dtype=float)
    parts = []
    for dataset, count in _counts("arena_share", n).items():
        rngs = assumed.streams(seed, "arena", dataset)
        asked = _ask(dataset, count, rngs, _tastes(dataset, fighters, seed))
        sides = _pair_up(len(fighters), count, rngs[3])
        quality = _qualities(asked, strength, sides, rngs[4])
        # Of answers to hard questions people see less how good they are, and as well how they please.
        sight = ndtr(-value("arena_blur") * asked.hard)
        seen = sight[:, None] * quality + value("arena_style") * strength[sides]
        vote = _votes(seen[:, 0] - seen[:, 1], rngs[5])
        model = fighters["model"].to_numpy(dtype=object)[sides]
        parts.append(asked.frame.assign(model_a=model[:, 0], model_b=model[:, 1], **vote))
    return _battles(parts, "arena", "Chatbot Arena", seed)


def simulate_judge(n: int = 4_000, seed: int = 0) -> Battles:
    """A judge's soft preferences between GPT-4 and Mixtral on n simulated prompts (RouteLLM, sec. 4.1.1).

    Parameters
    ----------
    n : number of battles, at least 100; RouteLLM has about 120,000.
    seed : the same seed gives the same battles, byte for byte.

    Returns
    -------
    Battles of `catalog.MODELS` with the further columns dataset, topic and level as in `simulate_arena`, and
    score, GPT-4's share of the win; "tie" where it is near one half.

    Raises
    ------
    ValueError
        If n is too small.
    """
    parts = []
    for dataset, count in _counts("judge_share", n).items():
        rngs = assumed.streams(seed, "judge", dataset)
        asked = _ask(dataset, count, rngs, _known_tastes(dataset, seed))
        sides = np.tile([0, 1], (count, 1))
        quality = _qualities(asked, np.array([1.0, 0.0]), sides, rngs[4])
        seen = quality[:, 0] - quality[:, 1] + value("judge_noise") * rngs[5].standard_normal(count)
        share = ndtr((seen + _lean(seen)) / value("judge_softness"))
        near = np.abs(share - 0.5) < value("judge_tie_band")
        winner = np.where(near, "tie", np.where(share > 0.5, "model_a", "model_b"))
        parts.append(asked.frame.assign(model_a=GPT4, model_b=MIXTRAL, winner=winner, score=share))
    return _battles(parts, "judge", "judge", seed)


def _lean(seen: Floats) -> float:
    """Lead that the judge adds, so that GPT-4 takes the assumed share of the win on every kind of prompt.

    Where one kind had a higher level than another, a router would sort queries by the kind they resemble.
    """
    low, high = -1.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        too_high = ndtr((seen + middle) / value("judge_softness")).mean() > value("label_level")
        low, high = (low, middle) if too_high else (middle, high)
    return high


def _fighters() -> pd.DataFrame:
    """The 64 models: model, tier, strength (1 as GPT-4, 0 as Mixtral, below 0 weaker still)."""
    tiers = paper.routellm_tiers()
    return tiers.assign(strength=[value("arena_strength", "", f"tier {tier}") for tier in tiers["tier"]])


def _counts(quantity: str, n: int) -> dict[str, int]:
    """Prompts per dataset by the assumed shares; the first takes what rounding leaves."""
    if n < 100:
        raise ValueError(f"n is {n}; simulated battles are at least 100")
    rows = assumed.table()
    shares = rows[rows["quantity"] == quantity].set_index("dataset")["value"].astype(float)
    counts = {str(name): int(share * n) for name, share in shares.items()}
    counts[str(shares.index[0])] += n - sum(counts.values())
    return {name: count for name, count in counts.items() if count}


def _known_tastes(dataset: str, seed: int) -> Floats:
    """(topics, 2) GPT-4's and Mixtral's tastes for topics, as `simulate_outcomes` with this seed has them.

    A taste is a trait of a model, not of a query: no row of the outcomes is told by it.
    """
    topics = len(assumptions(dataset, catalog.MODELS).topics)
    every = draw_tastes(topics, len(catalog.MODELS), assumed.streams(seed, dataset)[2])
    known = every[:, [catalog.MODELS.index(GPT4), catalog.MODELS.index(MIXTRAL)]]
    # Centred, because a taste is for topics: no model is better on the whole for it.
    return np.asarray(known - known.mean(axis=0))


def _tastes(dataset: str, fighters: pd.DataFrame, seed: int) -> Floats:
    """(topics, k) tastes that voters find in fighters: a little of GPT-4's and Mixtral's, by strength."""
    known = _known_tastes(dataset, seed)
    strength = fighters["strength"].to_numpy(dtype=float)
    place = np.clip(strength, 0, 1)
    kin = (known[:, [0]] * place + known[:, [1]] * (1 - place)) / np.sqrt(place**2 + (1 - place) ** 2)
    own = draw_tastes(len(kin), kin.shape[1], assumed.streams(seed, "taste", dataset)[0])
    share = value("arena_kinship")
    return np.asarray(np.sqrt(share) * kin + np.sqrt(1 - share) * (own - own.mean(axis=0)))


def _ask(dataset: str, count: int, rngs: list[np.random.Generator], taste: Floats) -> _Asked:
    """Prompts of one dataset; open ones are dressed as chat, and some are mere greetings."""
    part = assumptions(dataset, (GPT4, MIXTRAL))
    weight = part.topics["rows"].to_numpy(dtype=float)
    # Prompts per topic, as even as its rows in the published file allow.
    ends = np.rint(np.cumsum(weight) / weight.sum() * count).astype(np.int64)
    queries = draw_queries(part, np.diff(ends, prepend=0), rngs[0])
    factors = draw_factors(part, queries, rngs[1])
    words = CHAT if dataset == catalog.MT_BENCH else dataset
    frame = pd.DataFrame({"prompt": write_prompts(part, queries, rngs[2], words), "dataset": dataset})
    topics = part.topics["topic"].to_numpy(dtype=object)
    frame = frame.assign(topic=topics[queries.topic], level=queries.level)
    if dataset == catalog.MT_BENCH:
        frame = _as_chat(frame, rngs[2])
    hard = told_difficulty(part, queries)
    return _Asked(part, frame, queries.topic, hard, factors, taste)


def _as_chat(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Open prompts with an opening word, which no prompt of `simulate_outcomes` has; some only greet."""
    n, chat = len(frame), assumed.texts()["chat"].values()
    opener, closer, greeting = (
        np.array(words, dtype=object)[rng.integers(0, len(words), n)] for words in chat
    )
    greets = rng.random(n) < value("arena_greetings")
    prompt = np.where(greets, greeting, opener + frame["prompt"].to_numpy(dtype=object) + closer)
    return frame.assign(
        prompt=prompt,
        topic=np.where(greets, "greeting", frame["topic"]),
        level=np.where(greets, 0, frame["level"]),
    )


def _pair_up(models: int, n: int, rng: np.random.Generator) -> Integers:
    """(n, 2) numbers of the two models of each battle: the stronger a model, the more often it fights."""
    pairs = np.array(list(combinations(range(models), 2)))
    popular = np.arange(1, models + 1) ** -value("arena_popularity")
    weight = popular[pairs].prod(axis=1)
    drawn = pairs[rng.choice(len(pairs), n, p=weight / weight.sum())]
    return np.asarray(rng.permuted(drawn, axis=1), dtype=np.int64)


def _qualities(asked: _Asked, strength: Floats, sides: Integers, rng: np.random.Generator) -> Floats:
    """(n, 2) quality in [0, 1] of both answers, made as the scores of `simulate_outcomes` are.

    A model's mean quality and loadings lie between those of GPT-4 and Mixtral on the dataset; means (on the
    normal scale) go on beyond the two, loadings do not.

    Parameters
    ----------
    strength : (k,) strength of each model: 1 is GPT-4, 0 Mixtral.
    sides : (n, 2) which models answer.
    """
    part = asked.part
    strong, weak = part.loadings
    loadings = weak + np.clip(strength, 0, 1)[:, None] * (strong - weak)
    high, low = ndtri(part.mean)
    taste = asked.taste[asked.topic[:, None], sides]
    share = part.visible["own"]
    own = np.sqrt(share) * taste + np.sqrt(1 - share) * rng.standard_normal(sides.shape)
    unique = np.sqrt(1 - np.square(loadings).sum(axis=1))[sides]
    latent = np.einsum("nk,nsk->ns", asked.factors, loadings[sides]) + unique * own
    ease = (low + strength * (high - low))[sides]
    if (part.topics["scale"] == "binary").all():  # right or wrong; by degrees in open questions
        return (latent + ease > 0).astype(float)
    return np.asarray(ndtr(latent + np.sqrt(2) * ease))


def _votes(lead: Floats, rng: np.random.Generator) -> Mapping[str, NDArray[np.generic]]:
    """Winner of each battle, and whether the vote was cast blindly.

    Parameters
    ----------
    lead : (n,) how much better model_a's answer is, in quality and in what else pleases.
    """
    n = len(lead)
    seen = lead + value("arena_noise") * rng.standard_normal(n)
    fair = np.where(np.abs(seen) < value("arena_tie_band"), "tie", np.where(seen > 0, "model_a", "model_b"))
    blind = rng.random(n) < value("arena_random_votes")
    guess = np.array(["model_a", "model_b", "tie"])[rng.integers(0, 3, n)]
    return {"winner": np.where(blind, guess, fair), "random_vote": blind}


def _battles(parts: list[pd.DataFrame], what: str, title: str, seed: int) -> Battles:
    """All datasets' battles in one random order."""
    frame = pd.concat(parts, ignore_index=True)
    stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(crc32(what.encode()), 0)))
    return Battles(frame.iloc[stream.permutation(len(frame))], assumed.origin(what, title, seed))
