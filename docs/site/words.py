"""Names of columns as people read them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORDS = {
    "usd": "USD",
    "aiq": "AIQ",
    "apgr": "APGR",
    "pgr": "PGR",
    "cpt50": "CPT(50%)",
    "cpt80": "CPT(80%)",
    "gpt4": "GPT-4",
    "p": "p value",
}
_NAMES = {
    "aiq_honest": "honest AIQ",
    "minus_zero": "AIQ over the zero router's",
    "honest_minus_zero": "lead (honest AIQ over the zero router's)",
    "honest_splits": "lead, mean over splits",
    "placebo_high": "what 97.5% of placebos stay below",
    "n": "test queries",
    "of_best": "share of the best model's quality",
    "usd_per_query_5_shot": "USD per query, 5-shot",
    "quality_5_shot": "quality, 5-shot",
    "apgr_p": "APGR, p value",
    "apgr_holm": "APGR, p value after Holm",
    "cpt50_p": "CPT(50%), p value",
    "cpt50_holm": "CPT(50%), p value after Holm",
    "cpt80_p": "CPT(80%), p value",
    "cpt80_holm": "CPT(80%), p value after Holm",
    "on_hull": "on the hull",
    "extra_usd": "extra USD per query",
    "price_in_usd_per_million": "USD per million tokens in",
    "price_out_usd_per_million": "USD per million tokens out",
    "fee_usd_per_request": "fee, USD per request",
    "share_of_gpt4": "share of GPT-4's cost",
    "saving_full": "saving, weak model's cost counted",
    "quality_share": "share of the quality",
    "quality_if_answered": "quality where answered",
    "refusal_share": "share refused",
    "published_list": "on the published list",
}
_BOUNDS = {"honest_minus_zero": ("honest_low", "honest_high")}
"""Bounds of an interval that are not called `<name>_low` and `<name>_high`."""


def human(name: str) -> str:
    """A column's name in words, its paper's column marked as such.

    >>> human("paper_usd_per_query"), human("aiq_honest"), human("mean_apgr")
    ('USD per query, paper', 'honest AIQ', 'mean APGR')
    """
    name, interval = name.removesuffix(" [95%]"), " [95%]" if name.endswith(" [95%]") else ""
    theirs = re.fullmatch(r"(paper|published)_(.+)", name)
    if theirs and name not in _NAMES:
        return f"{human(theirs[2])}, {theirs[1]}{interval}"
    if name in _NAMES:
        return _NAMES[name] + interval
    if not re.fullmatch(r"[a-z0-9_]+", name):
        return name + interval
    return " ".join(_WORDS.get(word, word) for word in name.split("_")) + interval


def explained(note: str) -> str:
    """A note whose names of columns are in words.

    >>> explained("Simultaneous for leads; honest_splits: mean of 5 splits.")
    'Simultaneous for leads; lead, mean over splits: mean of 5 splits.'
    """
    return re.sub(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b", lambda name: human(name[0]), note)


def merged(names: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """A table whose intervals stand behind the number they belong to.

    >>> merged(["n", "aiq", "aiq_low", "aiq_high"], [["9", "0.5", "0.4", "0.6"]])
    (['n', 'aiq [95%]'], [['9', '0.5 [0.4, 0.6]']])
    """
    place = {name: i for i, name in enumerate(names)}
    bounds = {name: _BOUNDS.get(name, (f"{name}_low", f"{name}_high")) for name in names}
    whole = {name: pair for name, pair in bounds.items() if set(pair) <= set(names)}
    kept = [name for name in names if not any(name in pair for pair in whole.values())]

    def told(row: Sequence[str], name: str) -> str:
        if name not in whole:
            return row[place[name]]
        low, high = (row[place[bound]] for bound in whole[name])
        return row[place[name]] if low == high == "–" else f"{row[place[name]]} [{low}, {high}]"

    headers = [f"{name} [95%]" if name in whole else name for name in kept]
    return headers, [[told(row, name) for name in kept] for row in rows]


def numbers(column: Sequence[str]) -> bool:
    """Whether a column of words holds numbers, which stand to the right."""
    found = [value for value in column if value not in ("", "–")]
    return bool(found) and all(re.match(r"[-+]?[\d.,]+(e[-+]?\d+)?%?( \[.*\])?$", value) for value in found)


def said(text: str) -> str:
    """A sentence with a full stop."""
    return text if not text or text[-1] in ".!?" else f"{text}."
