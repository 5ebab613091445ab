"""What guessing makes of an oracle: closed forms, a simulation, and data where the truth is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from tables_made import outcome_tables

from rb_support.outcomes import Origin, Outcomes
from rb_support.routers import oracle
from rb_support.studies.luck import (
    below_the_calls,
    evidence,
    explained_by_luck,
    guess_rate,
    independent_oracle,
    knowing_oracle,
    oracle_and_luck,
    solved_by,
)
from rb_support.studies.pilot import NOBODY, oracle_shares


def answered(quality: np.ndarray, dataset: str, cost: np.ndarray | None = None) -> Outcomes:
    n, m = quality.shape
    frame = pd.DataFrame({"sample_id": [f"q{i}" for i in range(n)], "dataset": dataset, "task": "t"})
    frame["prompt"] = frame["sample_id"]
    prices = np.ones((n, m)) * np.arange(1, m + 1) if cost is None else cost
    return Outcomes(frame, quality, prices, tuple(f"m{j}" for j in range(m)), Origin("simulated", "made"))


def test_independent_oracle_of_right_and_wrong_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    quality = (rng.random((400, 3)) < [0.3, 0.5, 0.7]).astype(float)
    p = quality.mean(axis=0)
    usd, reached = independent_oracle(quality, np.ones((400, 3)) * [1, 5, 2])
    assert reached == pytest.approx(1 - np.prod(1 - p))
    # Cheapest first: 1 if right or if all are wrong, else 2, else 5.
    first, third, second = p[0], (1 - p[0]) * p[2], (1 - p[0]) * (1 - p[2]) * p[1]
    assert usd == pytest.approx(first + np.prod(1 - p) + 2 * third + 5 * second)


def test_independent_oracle_of_graded_scores_is_what_shuffling_each_model_gives() -> None:
    rng = np.random.default_rng(1)
    quality, cost = rng.integers(0, 11, (40, 4)) / 10, rng.random((40, 4))
    drawn = []
    for _ in range(3000):
        shuffled = rng.permuted(quality, axis=0)
        rows = np.arange(40), oracle(shuffled, cost)
        drawn.append((cost[rows].mean(), shuffled[rows].mean()))
    off = np.mean(drawn, axis=0) - independent_oracle(quality, cost)
    assert (np.abs(off) < 5 * np.std(drawn, axis=0) / np.sqrt(3000)).all()


def test_eleven_who_guess_are_seldom_all_wrong() -> None:
    rng = np.random.default_rng(0)
    for dataset, expected in (("MMLU", 0.9578), ("Winogrande", 0.9995)):
        quality = (rng.random((20_000, 11)) < guess_rate(dataset)).astype(float)
        row = oracle_and_luck(answered(quality, dataset), rng=rng, draws=200).loc[dataset]
        assert row["blind"] == pytest.approx(expected, abs=5e-5)
        assert row["oracle"] == pytest.approx(expected, abs=0.005)
        assert row["independent"] == pytest.approx(expected, abs=0.005)
        assert row["best_knows"] < 0.03 and row["oracle_knows_low"] < 0.06  # nobody knows anything


def test_what_is_known_is_found_again_under_the_guesses() -> None:
    """Half is known to one of two models, a fifth of it to the second alone; who does not know guesses."""
    rng = np.random.default_rng(0)
    n, g = 200_000, 0.25
    known = np.zeros((n, 2), dtype=bool)
    known[: int(0.4 * n), 0] = True
    known[int(0.4 * n) : int(0.5 * n), 1] = True
    right = (known | (rng.random((n, 2)) < g)).astype(float)
    best, anyone = knowing_oracle(right.mean(axis=0), right.max(axis=1).mean(), g)
    assert best == pytest.approx(0.4, abs=0.01) and anyone == pytest.approx(0.5, abs=0.01)


def test_without_choices_to_guess_from_nothing_is_taken_off() -> None:
    best, anyone = knowing_oracle(np.array([0.2, 0.7]), 0.8, 0.0)
    assert (best, anyone) == pytest.approx((0.7, 0.8))
    assert guess_rate("GSM8K") == 0 and np.isnan(guess_rate("a dataset of one's own"))


def test_how_many_are_right_beside_models_that_have_nothing_in_common() -> None:
    quality = np.array([[1, 1], [1, 1], [0, 0], [0, 0]], dtype=float)
    table = solved_by(answered(quality, "GSM8K"))
    assert table["observed"].tolist() == [0.5, 0, 0.5]
    assert table["independent"].tolist() == pytest.approx([0.25, 0.5, 0.25])


def test_right_together_is_the_variance_that_independence_lacks() -> None:
    rng = np.random.default_rng(0)
    same, apart = rng.random((2000, 1)) < [0.5] * 4, rng.random((2000, 4)) < 0.5
    for right, expected in ((same, 16 / 4 - 4 / 4), (apart, 0.0)):
        rows = answered(right.astype(float), "GSM8K")
        found = evidence(rows, oracle_and_luck(rows, rng=rng, draws=5), rng=rng, draws=200)
        (together,) = found["right-together"]
        assert together.value == pytest.approx(expected, abs=0.1)
        assert (together.low > 0) == (expected > 0) and found["oracle-knows-more"] == []


@given(outcome_tables(max_rows=20, max_models=12))
def test_any_table_has_shares_that_are_shares(table: Outcomes) -> None:
    found = oracle_and_luck(table, rng=np.random.default_rng(0), draws=5)
    assert found.index[-1] == "all" and found["n"].iloc[-1] == len(table)
    # With hundredths as the grain, an oracle of independent models is never below the best model.
    assert (found["independent"] >= found["best_model"].where(found.index != "all", 0) - 0.0051).all()
    assert solved_by(table).sum().to_numpy() == pytest.approx([1, 1])


def test_what_no_query_shows_may_still_be_so() -> None:
    """90 queries, each known to somebody, do not tell how many nobody knows: the interval has a width."""
    rng = np.random.default_rng(0)
    quality = np.ones((90, 3))
    quality[:40, 0] = 0
    quality[20:60, 1] = 0
    quality[60:, 2] = 0
    rows = answered(quality, "HellaSwag")
    table = oracle_and_luck(rows, rng=rng, draws=50)
    assert table.loc["HellaSwag", "oracle_knows"] == 1 and table.loc["HellaSwag", "oracle_knows_low"] < 0.95


def test_coins_are_explained_by_luck_and_specialists_are_not() -> None:
    rng = np.random.default_rng(1)
    coins = answered((rng.random((2000, 5)) < 0.25).astype(float), "MMLU")
    halves = (np.arange(2000) < 1000)[:, None] ^ np.array([[True, False]])
    experts = answered((halves | (rng.random((2000, 2)) < 0.25)).astype(float), "MMLU")
    for table, expected in ((coins, True), (experts, False)):
        assert explained_by_luck(oracle_and_luck(table, rng=rng, draws=100)) == {"MMLU": expected}
    sums = answered((rng.random((50, 2)) < 0.5).astype(float), "GSM8K")
    assert explained_by_luck(oracle_and_luck(sums, rng=rng, draws=5)) == {}


def test_luck_stands_below_the_calls() -> None:
    rng = np.random.default_rng(0)
    rows = answered((rng.random((50, 2)) < 0.5).astype(float), "GSM8K")
    table = below_the_calls(oracle_shares(rows), oracle_and_luck(rows, rng=rng, draws=5)).set_index("model")
    assert table.columns.tolist() == ["GSM8K (n = 50)", "all (n = 50)"]
    assert table.loc[["m0", "m1", NOBODY], "all (n = 50)"].sum() == pytest.approx(1)
    assert table.loc["quality: oracle", "GSM8K (n = 50)"] == rows.quality.max(axis=1).mean()
