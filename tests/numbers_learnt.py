"""Vectors, and what every kind of router learns of a small table: numbers that no processor may change.

`test_processors.py` compares them with those of a process that computes with other kernels:

    python tests/numbers_learnt.py found.npz
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.embed import encoder
from rb_support.load import load_outcomes
from rb_support.outcomes import Battles
from rb_support.preference.bert import BertClassifier
from rb_support.preference.causal import CausalClassifier
from rb_support.preference.factorization import MatrixFactorization
from rb_support.preference.sw import SWRanking
from rb_support.routers import KNNRouter, MLPRouter, RidgeRouter


def learnt() -> dict[str, NDArray[Any]]:
    """Vectors of both encoders, and predictions of routers trained on them, by name."""
    table = load_outcomes().of("MBPP").take(np.arange(80))
    texts = table.frame["prompt"].tolist()
    words = encoder("tfidf", texts)(texts)
    found = {"vectors": encoder()(texts[:20]), "words": words}
    for router in (KNNRouter(20), MLPRouter(epochs=30), RidgeRouter()):
        found[type(router).__name__] = router.fit(table, words).predict(words)
    score = table.quality[:, 0] - table.quality[:, 5] / 2 - 0.25
    rows = {
        "prompt": texts,
        "model_a": "s",
        "model_b": "w",
        "winner": np.where(score > 0, "model_a", "model_b"),
    }
    battles, names = Battles(pd.DataFrame(rows)), {"strong": "s", "weak": "w", "progress": False}
    low = {"layers": 1, "pooling": "mean", "train_words": False, "learning_rate": 1e-3}
    for model, read in (
        (SWRanking(strong="s", weak="w"), words),
        (MatrixFactorization(**names, epochs=10), words),
        (BertClassifier(**names, **low, steps=6, batch=4), texts),
        (CausalClassifier("tiny", **names, steps=12, batch=8), texts),
    ):
        found[type(model).__name__] = model.fit(battles, read).win_rate(read[:20])
    return found


if __name__ == "__main__":
    np.savez(sys.argv[1], **learnt())
