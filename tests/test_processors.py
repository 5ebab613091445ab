"""The same numbers on every processor, with any number of threads, in any batch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbers_learnt import learnt

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


def there(path, kernels):
    """`learnt` in a process of its own, with other kernels."""
    environment = {**os.environ, **kernels, "HF_HUB_OFFLINE": "1"}
    program = [sys.executable, Path(__file__).with_name("numbers_learnt.py"), path]
    done = subprocess.run(program, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(np.load(path))


@pytest.fixture(scope="module")
def as_here():
    return learnt()


@X86
@pytest.mark.parametrize("kernels", [AVX2, SSE], ids=["avx2", "sse"])
def test_vectors_and_trained_networks_do_not_depend_on_the_processor(tmp_path, as_here, kernels):
    """Vectors are the same to the last bit; what is learnt from them to far more digits than are printed."""
    elsewhere = there(tmp_path / "found.npz", kernels)
    moved = {name: float(np.abs(found - elsewhere[name]).max()) for name, found in as_here.items()}
    assert moved.pop("vectors") == 0
    assert max(moved.values()) < 1e-9, moved
    assert all(found.std() > 1e-5 for found in as_here.values())  # there was something to move


def test_a_vector_is_its_texts_alone():
    texts = [
        f"Question {i}: " + "what is the capital of the country " * (i % 7) for i in range(12)
    ]  # two batches
    encode = encoder()
    together = encode(texts)
    assert np.array_equal(encode(texts[::-1])[::-1], together)
    assert np.array_equal(np.vstack([encode([text]) for text in texts]), together)


@pytest.fixture(scope="module")
def outcomes():
    return load_outcomes()


@pytest.fixture(scope="module", params=["GSM8K", "MMLU", "MBPP"])
def split(request, outcomes):
    """Train and test rows of a dataset, vectors of both, and what neighbours predict."""
    train, test = outcomes.of(request.param).split(seed=0)
    encode = encoder("tfidf", train.frame["prompt"].tolist())
    X, Q = (encode(part.frame["prompt"].tolist()).astype(float) for part in (train, test))
    return train, test, X, Q, KNNRouter(40).fit(train, X).predict(Q)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_rounding_of_the_vectors_moves_no_aiq(split, seed):
    """Vectors perturbed by 1e-6: predictions of KNN move by that order, AIQ by less than 1e-4."""
    train, test, X, Q, before = split
    rng = np.random.default_rng(seed)
    X_moved, Q_moved = (part + rng.uniform(-1e-6, 1e-6, part.shape) for part in (X, Q))
    after = KNNRouter(40).fit(train, X_moved).predict(Q_moved)
    assert 0 < np.abs(before - after).max() < 1e-4
    areas = compare_predictions(train, test, {"before": before, "after": after}).aiq()
    assert abs(areas["before"] - areas["after"]) < 1e-4
