"""What a question looks like, apart from what it is about: lengths, numbers, negations, formulas, choices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

_CHOICE = re.compile(r"\n[A-J][.)] ")
_ANSWER = "Answer:"
_NUMBER_WORDS = re.compile(
    r"\b(one|two|three|four|five|six|seven|eight|nine|ten|hundred|thousand|million|half|third|percent|twice|double)\b",
    re.I,
)
_DIGIT, _OPERATOR = re.compile(r"\d"), re.compile(r"[=+*/^<>]")
_QUANTITY = re.compile(r"[\W\d]*\d[\W\d]*\w{0,6}")

_IN_STEM: Mapping[str, re.Pattern[str]] = {
    "negation": re.compile(r"\b(not|except|least|never|false|incorrect|untrue)\b", re.I),
    "negation_in_capitals": re.compile(r"NOT|EXCEPT"),
    "question_mark": re.compile(r"\?\s*$"),
    "open_end": re.compile(r":\s*$"),
    "blank": re.compile(r"__"),
    "which_of_the_following": re.compile(r"\bwhich of the following\b", re.I),
    "calculation": re.compile(
        r"\b(how many|how much|calculate|compute|find|what is the (value|probability))\b", re.I
    ),
    "superlative": re.compile(r"\b(best|most)\b", re.I),
    "refers_to_a_text": re.compile(r"refers to the following"),
}
_IN_PROMPT: Mapping[str, re.Pattern[str]] = {
    "formula": re.compile(r"[\\$^{}=]"),
    "numbered_statements": re.compile(r"\bII\b"),
    "several_statements": re.compile(r"(Statement|Scenario) 1"),
    "all_or_none": re.compile(r"none of (these|the above)|all of (these|the above)|both", re.I),
}


def question_form(prompts: Sequence[str]) -> pd.DataFrame:
    """How n questions are put, as numbers; any text will do, one without choices has a single empty one.

    Parameters
    ----------
    prompts : n questions, choices on lines of their own such as "A. 42".

    Returns
    -------
    (n, 30) frame: lengths (logarithms of characters, words or lines + 1), shares from 0 to 1, and whether
    a pattern occurs (0 or 1).

    >>> form = question_form(["Which is NOT a prime number, 2 or 9?"])
    >>> form[["negation", "which_of_the_following"]].iloc[0].tolist()
    [1.0, 0.0]
    """
    rows = [_form(prompt) for prompt in prompts]
    return pd.DataFrame(rows, columns=list(_form("")), dtype=float)


def _form(prompt: str) -> dict[str, float]:
    body = prompt.removesuffix(_ANSWER)
    stem, *choices = _CHOICE.split(body)
    choices = [choice.strip() for choice in choices] or [""]
    words, told = stem.split(), " ".join(choices).lower().split()
    lengths = np.log1p([len(choice) for choice in choices])
    in_stem, longest = set(stem.lower().split()), np.log1p(max(map(len, words), default=0))
    found = {
        "characters": np.log1p(len(prompt)),
        "stem_characters": np.log1p(len(stem)),
        "stem_words": np.log1p(len(words)),
        "stem_lines": np.log1p(stem.count("\n")),
        "word_length": _mean(map(len, words)),
        "longest_word": longest,
        "capitals": _mean(word[:1].isupper() for word in words),
        "choice_length": lengths.mean(),
        "longest_choice": lengths.max(),
        "shortest_choice": lengths.min(),
        "choices_unequal": lengths.std(),
        "choices_differ": len(set(told)) / max(1, len(told)),
        "choices_in_stem": _mean(_mean(word in in_stem for word in set(c.lower().split())) for c in choices),
        "quantities": _mean(bool(_QUANTITY.fullmatch(choice)) for choice in choices),
        "stem_digits": np.log1p(len(_DIGIT.findall(stem))),
        "choice_digits": np.log1p(len(_DIGIT.findall("".join(choices)))),
        "number_words": np.log1p(len(_NUMBER_WORDS.findall(stem))),
        "operators": np.log1p(len(_OPERATOR.findall(prompt))),
    }
    found |= {name: float(bool(pattern.search(stem))) for name, pattern in _IN_STEM.items()}
    return found | {name: float(bool(pattern.search(prompt))) for name, pattern in _IN_PROMPT.items()}


def _mean(values: Iterable[float]) -> float:
    told = list(values)
    return sum(told) / len(told) if told else 0.0
