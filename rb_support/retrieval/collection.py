"""The collection: 120 short dated texts on twelve invented towns, and 768 questions about them."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, cast

import numpy as np
import pandas as pd

RECENT = pd.Timestamp("2024-01-01")
"""Facts from this day on are time-sensitive: no generator was trained so late."""


@cache
def _entries() -> list[dict[str, Any]]:
    text = resources.files("rb_support.retrieval").joinpath("collection.json").read_text(encoding="utf-8")
    return cast(list[dict[str, Any]], json.loads(text))


def documents() -> pd.DataFrame:
    """The documents: index id, columns date, title, text. All that they say is invented."""
    frame = pd.DataFrame(_entries()).drop(columns="facts").set_index("id")
    return frame.assign(date=pd.to_datetime(frame["date"]))


def questions(*, time_sensitive_share: float = 0.5, seed: int = 0) -> pd.DataFrame:
    """Questions about the documents, every fact asked in two wordings.

    Parameters
    ----------
    time_sensitive_share : share of questions on facts of 2024, in [0, 1]. One half is all questions; for
        any other, some of the questions of the kind that is too many are left out at random.
    seed : of that draw.

    Returns
    -------
    A row per question: sample_id, prompt, document (id of the one that answers it), date (of the fact),
    wording (0: near the document's words, 1: in other words), answer, time_sensitive.

    Raises
    ------
    ValueError
        If the share is no share.
    """
    if not 0 <= time_sensitive_share <= 1:
        raise ValueError(f"time_sensitive_share is {time_sensitive_share}; it is a share between 0 and 1")
    rows = [
        (f"{entry['id']}.{f}.{w}", prompt, entry["id"], entry["date"], w, fact["answer"])
        for entry in _entries()
        for f, fact in enumerate(entry["facts"])
        for w, prompt in enumerate(fact["questions"])
    ]
    frame = pd.DataFrame(rows, columns=["sample_id", "prompt", "document", "date", "wording", "answer"])
    frame["date"] = pd.to_datetime(frame["date"])
    frame["time_sensitive"] = frame["date"] >= RECENT
    return _at_share(frame, time_sensitive_share, np.random.default_rng(seed))


def _at_share(frame: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    recent = frame["time_sensitive"].to_numpy(dtype=bool)
    counts = {True: int(recent.sum()), False: int((~recent).sum())}
    odds = share / (1 - share) if share < 1 else np.inf
    kept = {True: min(counts[True], odds * counts[False])}
    kept[False] = min(counts[False], counts[True] / odds if odds else np.inf)
    rows = [
        rng.choice(np.flatnonzero(recent == kind), round(number), replace=False)
        for kind, number in kept.items()
    ]
    return frame.iloc[np.sort(np.concatenate(rows))].reset_index(drop=True)
