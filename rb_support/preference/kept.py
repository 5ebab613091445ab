"""Trained models and their win rates, kept in the cache by what they learnt from.

Every combination of class, settings and training data has a folder of its own,
``win_models/<class>-<digest>``: the weights, and for models that read texts the rates of prompts they read.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rb_support.cache import cache_dir, locked
from rb_support.outcomes import Battles
from rb_support.preference.text_model import TextModel
from rb_support.preference.win_model import MODEL_FILE, WinModel

Array = NDArray[np.float64]
Model = TypeVar("Model", bound=WinModel)

STATE_FILE = "training.safetensors"
SCORES_FILE = "scores.sqlite"
_CHUNK = 512


def fitted(model: Model, battles: Battles, X: Any) -> Model:
    """Model trained on these battles: as kept from an earlier run, else trained now and kept.

    A text model's training that was cut off goes on where it stopped. Of several processes that ask at once
    one trains and the others wait for it.

    Parameters
    ----------
    model : a model with its settings, not yet fitted.
    battles : n rows to learn from.
    X : (n, d) embeddings or n texts of their prompts, as the model reads.

    Raises
    ------
    CheckpointError : if a file in the model's folder is damaged or belongs to another training.
    """
    identity = model.identify(battles, X)
    folder = folder_of(model, identity)
    file, state = folder / MODEL_FILE, folder / STATE_FILE
    with locked(file):
        if file.exists():
            model.restore(folder, identity)
            return model
        if isinstance(model, TextModel):
            model.fit(battles, X, checkpoint=state)
        else:
            model.fit(battles, X)
        model.save(folder)
        state.unlink(missing_ok=True)
    return model


def folder_of(model: WinModel, identity: str) -> Path:
    """Folder of the cache for a model of some identity."""
    folder = cache_dir() / "win_models" / f"{type(model).__name__}-{identity[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kept_rates(model: WinModel, texts: Sequence[str]) -> Array:
    """Win rates of a trained model that reads texts; each prompt is read once per machine.

    Reading thousands of prompts takes minutes. What was read is committed every few hundred prompts, so that
    work that is cut off goes on where it stopped.

    Parameters
    ----------
    model : trained, as `fitted` gives it.
    texts : n prompts.

    Returns
    -------
    (n,) probability that the strong model wins.
    """
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    wanted = dict(zip(keys, texts, strict=True))
    folder = folder_of(model, model.identity)
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
