"""Win rates of trained classifiers, kept beside the model: reading thousands of prompts takes minutes."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from rb_support.preference.checkpoints import home
from rb_support.preference.win_model import WinModel

Array = NDArray[np.float64]

SCORES_FILE = "scores.sqlite"
_CHUNK = 512


def kept_rates(model: WinModel, texts: Sequence[str]) -> Array:
    """Win rates of a trained model that reads texts; each prompt is read once per machine.

    What was read is committed every few hundred prompts, so that work that is cut off goes on where it
    stopped. A model with other settings or other training data has a place of its own.

    Parameters
    ----------
    model : trained, as `rb_support.preference.checkpoints.fitted` gives it.
    texts : n prompts.

    Returns
    -------
    (n,) probability that the strong model wins.
    """
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    wanted = dict(zip(keys, texts, strict=True))
    folder = home(model)
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / SCORES_FILE, timeout=60)) as store:
        store.execute("CREATE TABLE IF NOT EXISTS scores (text BLOB PRIMARY KEY, rate REAL) WITHOUT ROWID")
        known = dict(store.execute("SELECT text, rate FROM scores"))
        missing = sorted(wanted.keys() - known.keys(), key=lambda key: (-len(wanted[key]), key))
        for start in range(0, len(missing), _CHUNK):
            part = missing[start : start + _CHUNK]
            fresh = dict(zip(part, model.win_rate([wanted[key] for key in part]).tolist(), strict=True))
            with store:
                store.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?)", fresh.items())
            known |= fresh
    return np.array([known[key] for key in keys])
