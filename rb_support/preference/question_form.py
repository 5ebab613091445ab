"""What a question looks like, apart from what it is about: lengths, numbers, negations, formulas, choices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from rb_support.cache import packaged_table

_CHOICE = re.compile(r"\n[A-J][.)] ")
_ANSWER = "Answer:"
_DIGIT, _OPERATOR = re.compile(r"\d"), re.compile(r"[=+*/^<>]")
_QUANTITY = re.compile(r"[\W\d]*\d[\W\d]*\w{0,6}")
_PATTERNS: Mapping[str, Mapping[str, str]] = packaged_table("preference/question_form.toml")


def question_form(prompts: Sequence[str]) -> pd.DataFrame:
    """How n questions are put, as numbers; any text will do, one without choices has a single empty one.

    Parameters
    ----------
    prompts : n questions, choices on lines of their own such as "A. 42".

    Returns
    -------
    (n, 31) frame: lengths (logarithms of characters, words or lines + 1), shares from 0 to 1, and whether
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
        "number_words": np.log1p(len(re.findall(_PATTERNS["counted"]["number_words"], stem))),
        "operators": np.log1p(len(_OPERATOR.findall(prompt))),
    }
    for part, text in (("stem", stem), ("prompt", prompt)):
        found |= {name: float(bool(re.search(of, text))) for name, of in _PATTERNS[part].items()}
    return found


def _mean(values: Iterable[float]) -> float:
    told = list(values)
    return sum(told) / len(told) if told else 0.0
