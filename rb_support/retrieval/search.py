"""Searching for real: BM25 by the library bm25s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bm25s
import numpy as np
from numpy.typing import ArrayLike, NDArray


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


def recall(ranked: ArrayLike, wanted: ArrayLike) -> float:
    """Recall@k: share of queries whose text is among the k retrieved; parameters as in `found`."""
    return float(found(ranked, wanted).mean())


def _words(texts: Sequence[str]) -> list[list[str]]:
    tokens = bm25s.tokenize(list(texts), stopwords="en", show_progress=False, return_ids=False)
    return [list(words) for words in tokens]
