"""Prompts in our own words whose wording tells task, topic and difficulty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from string import Formatter

import numpy as np

from rb_support.simulate.assumptions import Assumptions, vocabulary
from rb_support.simulate.latent import Integers, Queries

_PICKS = 16
_TERMS = 12
_NUMBERS = {"n1": (3, 21), "n2": (2, 10), "n3": (2, 13), "n4": (2, 7), "n5": (1, 13), "n6": (4, 41)}
"""Ranges of the numbers in word problems; n5 is a percentage in fives, n6 a larger count in tens."""

Choices = Sequence[str | Sequence[str]]


@dataclass(frozen=True)
class Recipe:
    """How a prompt on one topic at one level is written.

    Attributes
    ----------
    templates : texts with named gaps, and the names of the gaps of each.
    slots : words for each gap; where a word is a pair, twins take its two sides.
    terms : the topic's own terms, for the gaps t1, t2, ….
    """

    templates: tuple[tuple[str, tuple[str, ...]], ...]
    slots: Mapping[str, Choices]
    terms: tuple[str, ...]


@cache
def recipe(dataset: str, topic: str, level: int) -> Recipe:
    """The recipe of a topic at a level: the topic's own words go before the level's and the dataset's."""
    words = vocabulary()[dataset]
    about, rung = words["topics"][topic], words["levels"][level]
    slots: dict[str, Choices] = {**words["slots"], **rung, **about.get("slots", {})}
    if "asks" in about:
        slots["ask"] = about["asks"][level]
    texts: list[str] = about.get("templates") or rung.get("templates") or words["templates"]
    slots["subject"] = [topic.removeprefix("mmlu-").replace("-", " ")]
    gaps = [dict.fromkeys(name for _, name, _, _ in Formatter().parse(text) if name) for text in texts]
    return Recipe(tuple(zip(texts, map(tuple, gaps), strict=True)), slots, tuple(about["terms"]))


def write_prompts(
    part: Assumptions, queries: Queries, rng: np.random.Generator, words: str = ""
) -> list[str]:
    """One prompt per query.

    Parameters
    ----------
    words : entry of `vocabulary.json` that has the words, with the same topics; the dataset's own if empty.
    """
    n = len(queries.topic)
    picks = rng.integers(0, 2**31, (n, _PICKS))
    order = rng.permuted(np.tile(np.arange(_TERMS), (n, 1)), axis=1)
    numbers = np.column_stack([rng.integers(low, high, n) for low, high in _NUMBERS.values()])
    side = rng.integers(0, 2, n)
    second = np.flatnonzero(queries.twin)
    for drawn in (picks, order, numbers):
        drawn[second] = drawn[second - 1]
    side[second] = 1 - side[second - 1]
    topics = part.topics["topic"].to_numpy()
    rows = zip(queries.topic, queries.level, picks, order, numbers, side, strict=True)
    return [_fill(recipe(words or part.dataset, topics[topic], int(level)), *drawn) for topic, level, *drawn in rows]


def _fill(how: Recipe, picks: Integers, order: Integers, numbers: Integers, side: int) -> str:
    """Write one prompt: the draws say which template, words, terms and numbers it takes."""
    chosen = picks.tolist()
    template, gaps = how.templates[chosen[0] % len(how.templates)]
    words = dict(zip(_NUMBERS, map(str, numbers * (1, 1, 1, 1, 5, 10)), strict=True))
    kept = [how.terms[i] for i in order.tolist() if i < len(how.terms)]
    words.update((f"t{i}", term) for i, term in enumerate(kept, start=1))
    words.update((f"T{i}", term[0].upper() + term[1:]) for i, term in enumerate(kept, start=1))
    for gap, pick in zip((gap for gap in gaps if gap not in words), chosen[1:], strict=False):
        words[gap] = _word(how.slots, gap, pick, side)
    text: str = template.format_map(words)
    return text[0].upper() + text[1:]


def _word(slots: Mapping[str, Choices], gap: str, pick: int, side: int) -> str:
    """Word for a gap; a gap named with a capital takes the same list with a capital letter."""
    options = slots[gap[0].lower() + gap[1:]]
    option = options[pick % len(options)]
    word: str = option if isinstance(option, str) else option[side]
    return word[0].upper() + word[1:] if gap[0].isupper() else word
