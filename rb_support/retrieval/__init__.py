"""Two-stage routing over a small document collection: search or not, then which model answers.

The documents are this project's own, on invented places. Searching them is real (BM25); the models that
answer with or without what was found are simulated. RouterBench leaves this open (sec. 5.4 routes between
systems that each search or do not).

The collection: 120 short dated texts on twelve invented towns, and 768 questions about them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import bm25s
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support.cache import packaged

RECENT = pd.Timestamp("2024-01-01")
"""Facts from this day on are time-sensitive: no generator was trained so late."""


@cache
def _entries() -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], json.loads(packaged("retrieval/collection.json")))


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


class BM25:
    """BM25 index of some texts: common English words are left out, word forms are not joined.

    Parameters
    ----------
    texts : d texts to search.

    Raises
    ------
    ValueError
        If there is no text, or none has a word to search for.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        words = _words(texts)
        if not any(words):
            raise ValueError(f"nothing to index: {len(texts)} texts without a word to search for")
        self._index: Any = bm25s.BM25()
        self._index.index(words, show_progress=False)
        self._size = len(texts)

    def scores(self, queries: Sequence[str]) -> NDArray[np.float64]:
        """BM25 score of every text for every query, (n, d); 0 where they share no word."""
        nothing = np.zeros(self._size)
        rows = [self._index.get_scores(words) if words else nothing for words in _words(queries)]
        return np.asarray(rows, dtype=float).reshape(len(rows), self._size)

    def search(self, queries: Sequence[str], k: int) -> NDArray[np.intp]:
        """Best `k` texts for every query, (n, k), best first, ties to the earlier text.

        Raises
        ------
        ValueError
            If k is not between 1 and the number of texts.
        """
        if not 1 <= k <= self._size:
            raise ValueError(f"k must lie between 1 and {self._size}, the number of texts; got {k}")
        return np.argsort(-self.scores(queries), axis=1, kind="stable")[:, :k]


def found(ranked: ArrayLike, wanted: ArrayLike) -> NDArray[np.bool_]:
    """Whether each query's text is among those retrieved, (n,).

    Parameters
    ----------
    ranked : (n, k) retrieved texts.
    wanted : (n,) the text that answers each query.
    """
    return np.asarray((np.asarray(ranked) == np.asarray(wanted)[:, None]).any(axis=1))


def _words(texts: Sequence[str]) -> list[list[str]]:
    tokens = bm25s.tokenize(list(texts), stopwords="en", show_progress=False, return_ids=False)
    return [list(words) for words in tokens]
