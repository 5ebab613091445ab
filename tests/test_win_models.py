"""Trained win models: golden vectors, exact shortcuts, and made-up tasks that are easy to learn."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rb_support.outcomes import Battles
from rb_support.preference.factorization import MatrixFactorization


def factorization(**changed):
    chosen = {"strong": "big", "weak": "small", "dim": 8, "epochs": 40, "batch": 64, "learning_rate": 0.01}
    return MatrixFactorization(**chosen | {"patience": 40, "progress": False} | changed)


def directed(n=400, seed=0):
    """Battles that the first entry of the embedding decides between big and small; third always loses."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6)).astype(np.float32)
    turned, third = rng.random(n) < 0.5, rng.random(n) < 0.3
    first = np.where(turned, "small", "big")
    second = np.where(third, "third", np.where(turned, "big", "small"))
    wins = np.where(third, True, (X[:, 0] > 0) != turned)
    frame = pd.DataFrame({"prompt": [f"p{i}" for i in range(n)], "model_a": first, "model_b": second})
    return Battles(frame.assign(winner=np.where(wins, "model_a", "model_b"))), X


def accuracy(model, X, truth):
    return np.mean((model.win_rate(X) > 0.5) == truth)


def test_golden_factorization(golden):
    vector = golden("mf.json")
    for case in vector["cases"]:
        model = MatrixFactorization.from_weights(
            ["a", "b", "c", "d"], vector["P"], vector["W1"], vector["w2"],
            strong="abcd"[case["a"]], weak="abcd"[case["b"]], normalize=True,
        )  # fmt: skip
        assert model.win_rate([case["embedding"]])[0] == pytest.approx(case["ref_P_a_beats_b"], abs=1e-9)


def test_worked_factorization():
    """Scores 1 * 1 * (2 + 1) = 3 and 2 * 1 * (2 + 1) = 6 on query 2: P = sigmoid(-3); the other way 1 - P."""
    model = MatrixFactorization.from_weights(["x", "y"], [[1], [2]], [[1]], [1], [1], strong="x", weak="y")
    assert model.win_rate([[2.0]]).tolist() == pytest.approx([1 / (1 + np.exp(3))])
    assert model.against("y", "x").win_rate([[2.0]]).tolist() == pytest.approx([1 / (1 + np.exp(-3))])


@given(seed=st.integers(0, 1000), normalize=st.booleans())
@settings(max_examples=25, deadline=None)
def test_one_dot_product_is_the_whole_score(seed, normalize):
    rng = np.random.default_rng(seed)
    P, W1, w2, b = (rng.normal(size=shape) for shape in ((3, 4), (4, 7), 4, 4))
    q = rng.normal(size=7)
    model = MatrixFactorization.from_weights(
        ["a", "b", "c"], P, W1, w2, b, strong="a", weak="c", normalize=normalize
    )
    v = P / np.linalg.norm(P, axis=1, keepdims=True) if normalize else P
    score = [w2 @ (v[m] * (W1 @ q + b)) for m in (0, 2)]
    assert model.win_rate(q[None]).item() == pytest.approx(1 / (1 + np.exp(score[1] - score[0])), abs=1e-12)


@pytest.mark.parametrize("changed", [{}, {"bias": False, "normalize": True}, {"members": 2, "noise": 0.1}])
def test_factorization_learns(changed):
    model = factorization(**changed).fit(*directed())
    _, X = directed(seed=1)
    rates = model.win_rate(X)
    assert accuracy(model, X, X[:, 0] > 0) > 0.9
    assert rates.dtype == np.float64 and ((rates > 0) & (rates < 1)).all()
    np.testing.assert_allclose(model.win_rate(X.astype(np.float64)), rates, atol=1e-5)
    knows_third = (model.against("big", "third").win_rate(X) > 0.5).mean() > 0.9
    assert knows_third == model.bias  # a strength that no query changes is what b is for


def test_extreme_embeddings_stay_inside():
    model = factorization(epochs=2).fit(*directed())
    rates = model.win_rate(np.array([[1e6] * 6, [-1e6] * 6]))
    assert ((rates > 0) & (rates < 1)).all()


def test_factorization_learns_shares_and_weights():
    """One query twice, won with weight 3 and tied with weight 1: the win rate tends to 3.5 / 4."""
    frame = pd.DataFrame(
        {"prompt": "q", "model_a": "big", "model_b": "small", "winner": ["model_a", "tie"], "weight": [3, 1]}
    )
    model = factorization(epochs=300, validation_share=0).fit(Battles(frame), [[1.0, 0.0]] * 2)
    assert model.win_rate([[1.0, 0.0]]).item() == pytest.approx(3.5 / 4, abs=0.01)


def test_same_seed_same_factorization():
    battles, X = directed()
    first, second, other = (factorization(seed=s, epochs=5).fit(battles, X) for s in (0, 0, 1))
    assert np.array_equal(first.win_rate(X), second.win_rate(X))
    assert not np.array_equal(first.win_rate(X), other.win_rate(X))


def test_factorization_comes_back_from_its_file(tmp_path):
    battles, X = directed()
    model = factorization(epochs=5, members=2).fit(battles, X)
    model.save(tmp_path)
    again = MatrixFactorization.load(tmp_path, progress=False)
    assert np.array_equal(again.win_rate(X), model.win_rate(X))
    assert again.settings == model.settings and again.history == model.history


def test_factorization_refuses():
    battles, X = directed()
    with pytest.raises(ValueError, match=r"'giant' fights in none of the battles; known: \['big'"):
        factorization(strong="giant").fit(battles, X)
    with pytest.raises(ValueError, match="both 'big'"):
        factorization(weak="big")
    with pytest.raises(ValueError, match="400 battles but embeddings of shape"):
        factorization().fit(battles, X[:-1])
    with pytest.raises(ValueError, match="at least 1"):
        factorization(members=0)
    with pytest.raises(ValueError, match="known"):
        factorization(epochs=1).fit(battles, X).against("big", "giant")
    with pytest.raises(ValueError, match="call fit first"):
        factorization().save("nowhere")
