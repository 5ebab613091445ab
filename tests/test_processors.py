"""The same numbers on every processor, with any number of threads, in any batch."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rb_support.embed import encoder
from rb_support.load import load_outcomes
from rb_support.routers import KNNRouter
from rb_support.studies.predictive import compare_predictions

AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2", "OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "2",
}  # fmt: skip
SSE = {
    "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "OPENBLAS_CORETYPE": "Prescott", "OMP_NUM_THREADS": "1",
}  # fmt: skip
X86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="kernels can be chosen on x86-64 only")

PROGRAM = """
import sys
import numpy as np
import pandas as pd
from rb_support.embed import encoder
from rb_support.load import load_outcomes
from rb_support.outcomes import Battles
from rb_support.preference.bert import BertClassifier
from rb_support.preference.causal import CausalClassifier
from rb_support.preference.factorization import MatrixFactorization
from rb_support.preference.sw import SWRanking
from rb_support.routers import KNNRouter, MLPRouter, RidgeRouter

table = load_outcomes().of("MBPP").take(np.arange(160))
texts = table.frame["prompt"].tolist()
found = {"vectors": encoder()(texts[:60]), "words": encoder("tfidf", texts)(texts)}
X = found["words"]
for router in (KNNRouter(20), MLPRouter(epochs=30), RidgeRouter()):
    found[type(router).__name__] = router.fit(table, X).predict(X)
score = table.quality[:, 0] - table.quality[:, 5] / 2 - 0.25
rows = dict(prompt=texts, model_a="s", model_b="w", winner=np.where(score > 0, "model_a", "model_b"))
battles, names = Battles(pd.DataFrame(rows)), dict(strong="s", weak="w")
low = dict(layers=1, pooling="mean", train_words=False)
for model, read in (
    (SWRanking(**names), X),
    (MatrixFactorization(**names, epochs=10, progress=False), X),
    (BertClassifier(**names, **low, steps=6, batch=4, progress=False, learning_rate=1e-3), texts),
    (CausalClassifier("tiny", **names, steps=12, batch=8, progress=False), texts),
):
    found[type(model).__name__] = model.fit(battles, read).win_rate(read[:60])
np.savez(sys.argv[1], **found)
"""


def results(path, kernels):
    environment = {**os.environ, **kernels, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, path], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(np.load(path))


@pytest.fixture(scope="module")
def as_here(tmp_path_factory):
    return results(tmp_path_factory.mktemp("here") / "found.npz", {})


@X86
@pytest.mark.parametrize("kernels", [AVX2, SSE], ids=["avx2", "sse"])
def test_vectors_and_trained_networks_do_not_depend_on_the_processor(tmp_path, as_here, kernels):
    """Vectors are the same to the last bit; what is learnt from them to far more digits than are printed."""
    there = results(tmp_path / "found.npz", kernels)
    moved = {name: float(np.abs(found - there[name]).max()) for name, found in as_here.items()}
    assert moved.pop("vectors") == 0
    assert max(moved.values()) < 1e-9, moved
    assert all(found.std() > 1e-5 for found in as_here.values())  # there was something to move


def test_a_vector_is_its_texts_alone():
    texts = [f"Question {i}: " + "what is the capital of the country " * (i % 7) for i in range(40)]
    encode = encoder()
    together = encode(texts)
    assert np.array_equal(encode(texts[::-1])[::-1], together)
    assert np.array_equal(np.vstack([encode([text]) for text in texts]), together)


@pytest.fixture(scope="module", params=["GSM8K", "MMLU", "MBPP"])
def split(request):
    """Train and test rows of a dataset, and vectors of both."""
    train, test = load_outcomes().of(request.param).split(seed=0)
    encode = encoder("tfidf", train.frame["prompt"].tolist())
    return train, test, *(encode(part.frame["prompt"].tolist()).astype(float) for part in (train, test))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_rounding_of_the_vectors_moves_no_aiq(split, seed):
    """Vectors perturbed by 1e-6: predictions of KNN move by that order, AIQ by less than 1e-4."""
    train, test, X, Q = split
    rng = np.random.default_rng(seed)
    X_moved, Q_moved = (part + rng.uniform(-1e-6, 1e-6, part.shape) for part in (X, Q))
    before = KNNRouter(40).fit(train, X).predict(Q)
    after = KNNRouter(40).fit(train, X_moved).predict(Q_moved)
    assert 0 < np.abs(before - after).max() < 1e-4
    areas = compare_predictions(train, test, {"before": before, "after": after}).aiq()
    assert abs(areas["before"] - areas["after"]) < 1e-4
