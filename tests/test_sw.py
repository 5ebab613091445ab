"""Similarity-weighted ranking against golden vectors, worked examples and brute force."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from rb_support.outcomes import Battles
from rb_support.preference.sw import SWRanking, bradley_terry_batch, sw_weights


def battles_of(rows, prompts=None, **columns):
    frame = pd.DataFrame(rows, columns=["model_a", "model_b", "winner"])
    return Battles(frame.assign(prompt=prompts or [f"p{i}" for i in range(len(frame))], **columns))


def table(rows, weights, names):
    wins = np.zeros((1, len(names), len(names)))
    for (a, b, winner), weight in zip(rows, weights, strict=True):
        i, j = names.index(a), names.index(b)
        for won, (x, y) in ((winner == "model_a", (i, j)), (winner == "model_b", (j, i))):
            wins[0, x, y] += weight * (0.5 if winner not in ("model_a", "model_b") else won)
    return wins


def test_golden_ratings_and_win_rates(golden):
    for case in golden("bt_sw.json")["cases"]:
        names = sorted({name for row in case["battles"] for name in row[:2]})
        ratings = bradley_terry_batch(table(case["battles"], case["weights"], names))[0]
        strong, weak = (ratings[names.index(case[side])] for side in ("strong", "weak"))
        exact = case["exact_P_strong_(same-tier rows dropped)"]
        assert 1 / (1 + np.exp(weak - strong)) == pytest.approx(exact, abs=1e-3), case["name"]
        if case["ref_ratings"] and case["name"] != "same_tier_ties_shrink":
            elo = 1000 + 400 / np.log(10) * ratings
            assert elo == pytest.approx([case["ref_ratings"][name] for name in names], abs=0.5)


def test_golden_weights(golden):
    for case in golden("bt_sw.json")["weights"]:
        ours = sw_weights(np.array(case["similarities"])[:, None])[:, 0]
        expected = case["paper_gamma^(1+S)_S=sim/max"] or case["paper_literal_eq9_(max over q' own row = 1)"]
        assert ours == pytest.approx(expected, rel=1e-9), case["name"]


def test_one_pair_is_the_weighted_mean_of_shares():
    rng = np.random.default_rng(0)
    X, share, weight = rng.normal(size=(30, 8)), rng.random(30), rng.uniform(1, 3, 30)
    winner = np.select([share > 0.5, share < 0.5], ["model_a", "model_b"], "tie")
    battles = battles_of([("s", "w", who) for who in winner], score=share, weight=weight)
    queries = rng.normal(size=(7, 8))
    cosine = (X / np.linalg.norm(X, axis=1)[:, None]) @ (queries / np.linalg.norm(queries, axis=1)[:, None]).T
    pull = sw_weights(cosine) * weight[:, None]
    expected = (pull * share[:, None]).sum(axis=0) / pull.sum(axis=0)
    router = SWRanking(strong="s", weak="w", ridge=1e-9, batch=3).fit(battles, X)
    assert router.win_rate(queries) == pytest.approx(expected, abs=1e-5)
    turned = SWRanking(strong="w", weak="s", ridge=1e-9).fit(battles, X)
    assert turned.win_rate(queries) == pytest.approx(1 - expected, abs=1e-5)


@given(st.integers(0, 10_000))
def test_newton_finds_what_a_general_optimizer_finds(seed):
    rng = np.random.default_rng(seed)
    wins = rng.exponential(size=(1, 4, 4)) * (rng.random((1, 4, 4)) < 0.7) + 1e-3
    wins[0, np.arange(4), np.arange(4)] = 0
    ridge = 1e-3

    def loss(r):
        difference = r[:, None] - r[None, :]
        return (wins[0] * np.logaddexp(0, -difference)).sum() / wins.sum() + ridge / 2 * (r**2).sum()

    assert bradley_terry_batch(wins, ridge)[0] == pytest.approx(
        minimize(loss, np.zeros(4), tol=1e-12).x, abs=2e-4
    )


def test_a_name_that_always_wins_has_a_finite_rating():
    ratings = bradley_terry_batch(table([("A", "B", "model_a")], [1], ["A", "B"]))
    assert np.isfinite(ratings).all() and ratings[0, 0] > 3 > -3 > ratings[0, 1]


def test_similar_battles_decide():
    battles = battles_of([("s", "w", "model_a"), ("s", "w", "model_b")])
    router = SWRanking(strong="s", weak="w").fit(battles, np.eye(2))
    like_first, like_second, between = router.win_rate([[1.0, 0.1], [0.1, 1.0], [1.0, 1.0]])
    assert like_first > 0.8 and like_second < 0.2 and between == pytest.approx(0.5)


def test_equal_prompts_are_one_row_and_blocks_do_not_show():
    rng = np.random.default_rng(1)
    rows = [("s", m, w) for m in "wxy" for w in ("model_a", "model_b", "tie")]
    X = np.repeat(rng.normal(size=(3, 5)), 3, axis=0)
    prompts = [f"p{i // 3}" for i in range(9)]
    one = SWRanking(strong="s", weak="w").fit(battles_of(rows, prompts), X)
    each = SWRanking(strong="s", weak="w", batch=1).fit(battles_of(rows), X)
    queries = rng.normal(size=(6, 5))
    assert one.win_rate(queries) == pytest.approx(each.win_rate(queries), abs=1e-6)
    assert one.totals(np.eye(5, dtype=np.float32)).shape == (5, 4, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"gamma": 1}, "gamma"), ({"ridge": 0}, "ridge")],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SWRanking(strong="s", weak="w", **options)


def test_bad_battles_are_refused():
    battles = battles_of([("s", "w", "model_a")])
    with pytest.raises(ValueError, match="'x' fights in none of the battles; known: s, w"):
        SWRanking(strong="s", weak="x").fit(battles, np.eye(1))
    with pytest.raises(ValueError, match="1 battles but X of shape"):
        SWRanking(strong="s", weak="w").fit(battles, np.eye(2))
    with pytest.raises(ValueError, match="table 1 holds no win"):
        bradley_terry_batch(np.stack([np.ones((2, 2)), np.eye(2)]))
