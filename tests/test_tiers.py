"""Tiers against golden vectors, brute force and the paper; ratings against odds known by hand."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources_made import alpaca, shelf

from rb_support import paper
from rb_support.outcomes import Battles
from rb_support.preference.tiers import assign_tiers, bradley_terry, placed
from rb_support.sources import load_battles


def tier_spread(ratings, tiers, criterion="sum_of_squares"):
    """What `assign_tiers` minimises, for any partition."""
    parts = [np.array([ratings[m] for m in tiers if tiers[m] == tier]) for tier in set(tiers.values())]
    return float(sum(g.var() * (len(g) if criterion == "sum_of_squares" else 1) for g in parts))


CRITERIA = ("sum_of_squares", "variance")


def named(values):
    return {f"model {row}": float(value) for row, value in enumerate(values)}


def battles(*rows, **columns):
    frame = pd.DataFrame(rows, columns=["model_a", "model_b", "winner"])
    return Battles(frame.assign(prompt="Which is better?", **columns))


def test_golden_tiers(golden):
    expected = {
        "variance": "ref_assignment",
        "sum_of_squares": "kmeans_assignment_(min_sum_of_squares)",
    }
    for case in golden("tiers.json")["cases"]:
        ratings = named(case["ratings"])
        for criterion, key in expected.items():
            tiers = assign_tiers(ratings, case["tiers"], criterion)
            assert [tiers[model] for model in ratings] == case[key], case["name"]
        tiers = assign_tiers(ratings, case["tiers"], "variance")
        spread = tier_spread(ratings, tiers, "variance")
        assert spread == pytest.approx(case["optimal_sum_of_variances"], abs=1e-9)
        assert case["tiers"] - len(set(tiers.values())) == case["empty_tiers"]


def partitions(ratings, k):
    """Every way to cut the falling ratings into k tiers that keeps equal ratings together."""
    values = sorted(set(ratings.values()), reverse=True)
    for cuts in combinations(range(1, len(values)), k - 1):
        yield {
            model: int(np.searchsorted(cuts, values.index(r), side="right")) for model, r in ratings.items()
        }


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=8), st.data())
def test_tiers_are_the_best_of_all_partitions(values, data):
    ratings = named(values)
    k = data.draw(st.integers(1, len(set(values))))
    for criterion in CRITERIA:
        tiers = assign_tiers(ratings, k, criterion)
        best = min(tier_spread(ratings, parts, criterion) for parts in partitions(ratings, k))
        assert tier_spread(ratings, tiers, criterion) == pytest.approx(best, abs=1e-9)
        assert set(tiers.values()) == set(range(k))
        falling = [tiers[model] for model in sorted(ratings, key=lambda m: -ratings[m])]
        assert falling == sorted(falling)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=8), st.randoms(), st.sampled_from(CRITERIA))
def test_tiers_do_not_depend_on_the_order_or_the_level_of_ratings(values, random, criterion):
    ratings = named(values)
    k = max(1, len(set(values)) // 2)
    shuffled = list(ratings.items())
    random.shuffle(shuffled)
    moved = {model: rating + 1000 for model, rating in shuffled}
    assert assign_tiers(ratings, k, criterion) == assign_tiers(moved, k, criterion)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_of_two_equally_good_partitions_the_last_tier_is_larger(criterion):
    assert assign_tiers({"c": 0.1, "a": 0.3, "b": 0.2}, 2, criterion) == {"a": 0, "b": 1, "c": 1}


def test_tiers_come_from_the_best_down_then_by_name():
    assert list(assign_tiers({"z": 1, "y": 2, "a": 1, "x": 9}, 2).items()) == [
        ("x", 0),
        ("y", 1),
        ("a", 1),
        ("z", 1),
    ]


@pytest.mark.parametrize(
    ("ratings", "k", "criterion", "match"),
    [
        ({"a": 1, "b": 2}, 3, "variance", "3 tiers cannot be made of 2 models with 2 different ratings"),
        ({"a": 1, "b": 1}, 2, "variance", "2 models with 1 different ratings; take between 1 and 1"),
        ({"a": 1}, 0, "variance", "0 tiers"),
        ({"a": 1, "b": float("nan")}, 1, "variance", "'b' is not finite"),
        ({"a": 1}, 1, "entropy", "take one of sum_of_squares, variance"),
    ],
)
def test_impossible_tiers_are_refused(ratings, k, criterion, match):
    with pytest.raises(ValueError, match=match):
        assign_tiers(ratings, k, criterion)


def test_published_tiers():
    tiers = paper.routellm_tiers().set_index("model")["tier"]
    assert len(tiers) == 64
    assert set(tiers) == set(range(10))
    assert (tiers["gpt-4-1106-preview"], tiers["mixtral-8x7b-instruct-v0.1"], tiers["llama-13b"]) == (0, 2, 9)


def test_three_wins_of_four_are_odds_of_three():
    table = battles(*[("a", "b", "model_a")] * 3, ("b", "a", "model_a"))
    ratings = bradley_terry(table, ridge=1e-9)
    assert ratings["a"] - ratings["b"] == pytest.approx(400 * np.log10(3))
    assert ratings["a"] + ratings["b"] == pytest.approx(2000)


def test_ties_weights_and_scores_count_as_parts_of_wins():
    """Two wins and two ties, a win of weight 3 against one of weight 1, a share of 0.75: odds of three."""
    tied = battles(*[("a", "b", "model_a")] * 2, *[("b", "a", "tie")] * 2)
    weighted = battles(("a", "b", "model_a"), ("b", "a", "model_a"), weight=[3.0, 1.0])
    shared = battles(("a", "b", "model_a"), score=[0.75])
    for table in (tied, weighted, shared):
        ratings = bradley_terry(table, ridge=1e-9)
        assert ratings["a"] - ratings["b"] == pytest.approx(400 * np.log10(3), rel=1e-6)


def test_ratings_join_models_that_never_met():
    table = battles(*[("a", "b", "model_a")] * 3, ("b", "a", "model_a"), *[("b", "c", "model_a")] * 3,
                    ("c", "b", "model_a"))  # fmt: skip
    ratings = bradley_terry(table, ridge=1e-9)
    assert ratings["a"] - ratings["c"] == pytest.approx(800 * np.log10(3))
    assert np.mean(list(ratings.values())) == pytest.approx(1000)


def test_a_model_that_never_loses_stays_finite():
    """The optimum has slope 0: n (1 - p) equals ridge times half the difference in log odds."""
    table = battles(*[("a", "b", "model_a")] * 50)
    ratings = bradley_terry(table, ridge=0.01)
    odds = (ratings["a"] - ratings["b"]) * np.log(10) / 400
    assert 50 / (1 + np.exp(odds)) == pytest.approx(0.01 * odds / 2)


def test_drawn_battles_give_their_ratings_back():
    rng = np.random.default_rng(0)
    truth = np.array([1300.0, 1100, 1000, 900, 700])
    a, b = rng.integers(0, 5, (2, 20_000))
    a, b = a[a != b], b[a != b]
    won = rng.random(len(a)) < 1 / (1 + 10 ** ((truth[b] - truth[a]) / 400))
    winners = np.where(won, "model_a", "model_b")
    names = np.array(list("vwxyz"))
    ratings = bradley_terry(battles(*zip(names[a], names[b], winners, strict=True)))
    assert [ratings[name] for name in names] == pytest.approx(truth, abs=15)


def test_ridge_must_be_positive():
    with pytest.raises(ValueError, match="ridge is 0"):
        bradley_terry(battles(("a", "b", "tie")), ridge=0)


def test_battles_that_all_go_against_one_model_rate_it_by_its_shares(tmp_path, monkeypatch):
    """AlpacaEval's files: every model meets GPT-4 alone, so its rating is the odds of its mean share."""
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    preferences = {"phi-2": [1.0, 1.2, None], "claude-2": [1.9, 1.5], "vicuna-7b-v1.5": [1.3]}
    files = {f"{model}.json": alpaca(model, votes * 200) for model, votes in preferences.items()}
    shelf(tmp_path / "data", monkeypatch)("alpaca-eval", files)
    ratings = bradley_terry(load_battles("alpaca-eval"))
    for model, share in {"phi-2": 0.9, "claude-2": 0.3, "vicuna-7b-v1.5": 0.7}.items():
        gap = ratings["gpt-4-1106-preview"] - ratings[model]
        assert gap == pytest.approx(400 * np.log10(share / (1 - share)), rel=1e-3)
    assert assign_tiers(ratings, 4) == {
        "claude-2": 0,
        "gpt-4-1106-preview": 1,
        "vicuna-7b-v1.5": 2,
        "phi-2": 3,
    }


def test_real_battles_rate_gpt4_first(real):
    table = load_battles("alpaca-eval")
    ratings = bradley_terry(table)
    assert max(ratings, key=ratings.get) == "gpt-4-1106-preview"
    # Every model met GPT-4 alone, so its rating is the odds of its mean share.
    rows = (table.frame["model_b"] == "phi-2").to_numpy()
    share = table.share[rows].mean()
    gap = ratings["gpt-4-1106-preview"] - ratings["phi-2"]
    assert gap == pytest.approx(400 * np.log10(share / (1 - share)), rel=1e-3)
    assert assign_tiers(ratings, 10)["gpt-4-1106-preview"] == 0


def test_models_that_battles_do_not_tell_apart_share_a_tier():
    """Ties only, whoever meets whom how often, and a circle of wins."""
    ties = [(a, b, "tie") for a, b in [("a", "b")] * 3 + [("b", "c")] * 7 + [("c", "d"), ("d", "a")]]
    circle = [(a, b, "model_a") for a, b in [("a", "b"), ("b", "c"), ("c", "a")]]
    for rows in (ties, circle):
        ratings = bradley_terry(battles(*rows))
        assert set(ratings.values()) == {1000.0} and set(assign_tiers(ratings, 1).values()) == {0}
        with pytest.raises(ValueError, match=r"2 tiers cannot be made of \d models with 1 different ratings"):
            assign_tiers(ratings, 2)


def test_a_model_that_is_not_listed_joins_the_nearest_listed_one():
    ratings = {"a": 1300.0, "b": 1200.0, "new": 1230.0, "between": 1250.0, "worst": 700.0, "c": 900.0}
    tiers = placed({"a": 0, "b": 2, "c": 7, "absent": 9}, ratings)
    assert list(tiers) == ["a", "between", "new", "b", "c", "worst"]
    assert (tiers["new"], tiers["worst"]) == (2, 7)
    assert tiers["between"] == 0, "of two equally near the better tier"
    with pytest.raises(ValueError, match="has a listed tier"):
        placed({"absent": 9}, ratings)
