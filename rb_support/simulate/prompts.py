"""Prompts in our own words whose wording tells task, topic and difficulty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from string import Formatter

import numpy as np

from rb_support.simulate.assumptions import Assumptions, vocabulary
from rb_support.simulate.latent import Queries

_PICKS = 16
_TERMS = 12
_NUMBERS = {
    "n1": (3, 21, 1), "n2": (2, 10, 1), "n3": (2, 13, 1), "n4": (2, 7, 1), "n5": (1, 13, 5), "n6": (4, 41, 10)
}  # fmt: skip
"""Ranges of the numbers in word problems, and their steps; n5 is a percentage, n6 a larger count."""

Choices = Sequence[str | Sequence[str]]


@dataclass(frozen=True)
class Recipe:
    """How a prompt on one topic at one level is written.

    Attributes
    ----------
    templates : texts with named gaps, and the names of the gaps of each.
    slots : words for each gap; where a word is a pair, twins take its two sides. A gap named with a capital
        takes the same words with a capital letter.
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
    numbers = np.column_stack([rng.integers(low, high, n) * step for low, high, step in _NUMBERS.values()])
    side = rng.integers(0, 2, n)
    second = np.flatnonzero(queries.twin)
    for draw in (picks, order, numbers):
        draw[second] = draw[second - 1]
    side[second] = 1 - side[second - 1]
    topics = part.topics["topic"].to_numpy()
    drawn = (picks.tolist(), order.tolist(), numbers.tolist(), side.tolist())
    return [
        _fill(recipe(words or part.dataset, topics[topic], int(level)), *draws)
        for topic, level, *draws in zip(queries.topic, queries.level, *drawn, strict=True)
    ]


def _fill(how: Recipe, picks: list[int], order: list[int], numbers: list[int], side: int) -> str:
    """Write one prompt: the draws say which template, words, terms and numbers it takes."""
    template, gaps = how.templates[picks[0] % len(how.templates)]
    terms = [how.terms[i] for i in order if i < len(how.terms)]
    words: dict[str, object] = dict(zip(_NUMBERS, numbers, strict=True))
    picked = iter(picks[1:])
    for gap in gaps:
        if gap in _NUMBERS:
            continue
        if gap[0] in "tT" and gap[1:].isdigit():
            word = terms[int(gap[1:]) - 1]
        else:
            options = how.slots[gap[0].lower() + gap[1:]]
            option = options[next(picked) % len(options)]
            word = option if isinstance(option, str) else option[side]
        words[gap] = _capital(word) if gap[0].isupper() else word
    return _capital(template.format_map(words))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
