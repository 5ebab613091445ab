"""RouteLLM's metrics against golden vectors, hand-worked examples and invariants."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rb_support import paper
from rb_support.pairs import (
    apgr,
    average_price,
    bootstrap_pairs,
    cost_saving,
    cost_saving_full,
    cpt,
    mixed_price,
    pgr,
    random_apgr_spread,
    random_metrics,
    random_scores,
    share_at,
    threshold_for,
    threshold_sweep,
)
from rb_support.sources import load_pairs

TENTHS = np.arange(11) / 10


def optimal_curve(strong, weak):
    """Best score at each share of calls: what gains most moves first, what loses never moves."""
    shares, scores = threshold_sweep(np.asarray(strong) - weak, strong, weak)
    return shares, np.maximum.accumulate(scores)


def test_golden_apgr_and_cpt(golden):
    for case in golden("apgr_cpt.json")["cases"]:
        shares, scores = np.array(case["curve"], dtype=float).T / [[100], [1]]
        weak, strong, exact = case["weak"], case["strong"], case["exact"]
        if weak == strong:
            assert apgr(shares, scores, weak, strong) is None
            continue
        assert apgr(shares, scores, weak, strong) == pytest.approx(
            exact["apgr_trapezoid_over_span"], abs=1e-9
        )
        assert apgr(shares, scores, weak, strong, rule="eq8") == pytest.approx(
            exact["eq8_c=10..100"], abs=1e-9
        )
        for target, percent in exact["cpt_min_percent"].items():
            got = cpt(shares, scores, weak, strong, int(target) / 100)
            assert (got is None) if percent is None else got == pytest.approx(percent / 100, abs=1e-9)


def test_golden_sweep(golden):
    """Every point of the reference's coarse sweep lies on the exact curve at its count of strong calls."""
    for case in golden("threshold_sweep.json")["cases"]:
        shares, scores = threshold_sweep(case["win_rate"], case["strong_correct"], case["weak_correct"])
        for point in case["ref_points"]:
            here = np.isclose(shares, point["strong_calls"] / point["rows"])
            assert scores[here] == pytest.approx(point["accuracy_percent"] / 100)
        if case["ref_error"]:  # equal win rates, on which the reference gives up: one point per distinct rate
            assert len(shares) == len(set(case["win_rate"])) + 1


def test_worked_example():
    """Four queries; the router sends the one that gains first, then a tie of two, then the loser."""
    shares, scores = threshold_sweep([0.9, 0.5, 0.5, 0.1], [1, 1, 1, 0], [0, 1, 0, 1])
    assert shares.tolist() == [0, 0.25, 0.75, 1]
    assert scores.tolist() == [0.5, 0.75, 1.0, 0.75]
    assert pgr(0.625, 0.5, 0.75) == pytest.approx(0.5)
    # PGR 0, 1, 2, 1: areas .25*.5 + .5*1.5 + .25*1.5
    assert apgr(shares, scores, 0.5, 0.75) == pytest.approx(1.25)
    assert cpt(shares, scores, 0.5, 0.75, 0.8) == pytest.approx(0.2)
    assert cpt(shares, scores, 0.5, 0.75, 2.5) is None


def test_no_gap_has_no_number():
    assert apgr([0, 1], [0.5, 0.5], 0.5, 0.5) is None
    assert cpt([0, 1], [0.5, 0.5], 0.5, 0.5, 0.5) is None
    strong, weak = [1.0, 0.0], [0.0, 1.0]
    assert random_apgr_spread(strong, weak) is None
    assert random_metrics(strong, weak, rng=np.random.default_rng(0)) is None
    estimates, samples = bootstrap_pairs(
        {"r": [0.2, 0.9]}, strong, weak, rng=np.random.default_rng(0), draws=5
    )
    assert estimates.isna().all(axis=None)
    assert samples["r"].shape == (5, 5)


def test_eq8_gives_the_random_router_more_than_half():
    assert apgr([0, 1], [0.2, 0.7], 0.2, 0.7, rule="eq8") == pytest.approx(0.55)
    with pytest.raises(ValueError, match="rule is 'eq7'; take one of trapezoid, eq8"):
        apgr([0, 1], [0.2, 0.7], 0.2, 0.7, rule="eq7")


@given(st.permutations(range(5)))
def test_points_of_a_curve_may_come_in_any_order(order):
    """PGR equals the share up to 0.5, then 0.9 and 1 of the gap: CPT(20%) is 0.2."""
    shares, scores = np.array([[0, 0.25, 0.5, 0.75, 1], [0, 0.25, 0.5, 0.9, 1]])
    mixed = shares[order], scores[order]
    assert cpt(*mixed, 0, 1, 0.2) == pytest.approx(0.2)
    for rule in ("trapezoid", "eq8"):
        assert apgr(*mixed, 0, 1, rule=rule) == apgr(shares, scores, 0, 1, rule=rule)


def test_points_of_one_share_keep_their_order():
    """A vertical step: PGR jumps from 0 to 1 at one half, so the area is one half, not three quarters."""
    shares, scores = [1, 0.5, 0, 0.5], [1, 0, 0, 1]
    assert apgr(shares, scores, 0, 1) == 0.5
    assert cpt(shares, scores, 0, 1, 0.8) == 0.5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rule", ["trapezoid", "eq8"])
def test_a_curve_without_a_span_has_no_area(rule):
    assert apgr([0.5], [0.7], 0.2, 0.7, rule=rule) is None
    assert apgr([0.5, 0.5], [0.2, 0.7], 0.2, 0.7, rule=rule) is None
    assert cpt([0.5], [0.7], 0.2, 0.7, 0.8) == 0.5
    assert cpt([0.5], [0.2], 0.2, 0.7, 0.8) is None


@pytest.mark.parametrize("metric", [apgr, lambda *curve: cpt(*curve, 0.5)])
@pytest.mark.parametrize(
    ("curve", "match"),
    [
        (([0, 1], [0.2, 0.4, 0.7], 0.2, 0.7), r"equal lengths > 0, got shares \(2,\), scores \(3,\)"),
        (([], [], 0.2, 0.7), r"got shares \(0,\)"),
        (([0, np.nan], [0.2, 0.7], 0.2, 0.7), "shares: value 1 is not finite"),
        (([0, 1], [np.inf, 0.7], 0.2, 0.7), "scores: value 0 is not finite"),
        (([0, 1], [0.2, np.nan], 0.2, 0.2), "scores: value 1 is not finite"),  # a gap or none
        (([0, 1], [0.2, 0.7], np.nan, 0.7), "weak is nan; give the model's mean score"),
        (([0, 1], [0.2, 0.7], 0.2, np.inf), "strong is inf"),
    ],
)
def test_a_curve_names_what_is_wrong(metric, curve, match):
    with pytest.raises(ValueError, match=match):
        metric(*curve)


@pytest.mark.parametrize(
    ("rate", "strong", "match"),
    [([], [], "lengths"), ([0.5], [1, 0], "lengths"), ([np.nan], [1], "win_rate: value 0")],
)
def test_bad_input_is_named(rate, strong, match):
    with pytest.raises(ValueError, match=match):
        threshold_sweep(rate, strong, strong)


rows = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


@given(rows)
def test_sweep_equals_every_threshold_tried_in_turn(values):
    rate, strong, weak = np.array(values, dtype=float).T
    shares, scores = threshold_sweep(rate, strong, weak)
    thresholds = [np.inf, *np.unique(rate)[::-1]]
    slow = [((rate >= t).mean(), np.where(rate >= t, strong, weak).mean()) for t in thresholds]
    np.testing.assert_allclose(np.column_stack([shares, scores]), slow, atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_rounding_does_not_part_equal_win_rates(scale):
    """What 1e-15 does to four distinct rates, each held by many queries, is undone everywhere."""
    rng = np.random.default_rng(0)
    rate = scale * rng.integers(1, 5, 200) / 5
    strong, weak = (rng.random((2, 200)) < [[0.8], [0.5]]).astype(float)
    noisy = rate * (1 + 1e-15 * rng.standard_normal(200))
    assert len(np.unique(noisy)) > 5
    shares, scores = threshold_sweep(rate, strong, weak)
    again, near = threshold_sweep(noisy, strong, weak)
    np.testing.assert_array_equal(again, shares)
    np.testing.assert_allclose(near, scores, rtol=1e-12)
    assert threshold_for(noisy, 0.5) == noisy[np.isclose(noisy, threshold_for(rate, 0.5))].min()
    both = {"rate": rate, "noisy": noisy}
    estimates, samples = bootstrap_pairs(both, strong, weak, rng=rng, draws=20)
    np.testing.assert_allclose(estimates.loc["noisy"], estimates.loc["rate"], rtol=1e-9)
    np.testing.assert_allclose(samples["noisy"], samples["rate"], rtol=1e-9)


def test_small_steps_of_a_win_rate_are_kept():
    """Steps of 1e-9 part queries: equal is what rounding alone can part."""
    shares, _ = threshold_sweep(0.5 + 1e-9 * np.arange(4), [1, 0, 1, 1], [0, 0, 0, 1])
    assert shares.tolist() == [0, 0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize(
    ("name", "key", "unit"),
    [("routellm-mmlu", "mmlu", 100), ("routellm-gsm8k", "gsm8k", 100), ("routellm-mtbench", "mt_bench", 1)],
)
def test_golden_curves_of_the_real_pair(real, golden, name, key, unit):
    """Sweep, random and optimal curve on GPT-4 and Mixtral; win rates are made from the row number."""
    expected, pairs = golden("routellm_data.json")[key], load_pairs(name)
    rate = (np.arange(1, len(pairs) + 1) * 0.6180339887498949) % 1
    shares, scores = threshold_sweep(rate, pairs.strong, pairs.weak)
    sweep = np.array(expected["sweep_[threshold,strong_percent,score]"])[::-1]
    for threshold, percent, score in sweep:
        here = np.isclose(shares, percent / 100, atol=1e-9, rtol=0)
        assert unit * scores[here] == pytest.approx(score, abs=1e-9)
        if percent:  # the reference's last point alone asks for more than the threshold
            assert share_at(rate, threshold) == pytest.approx(percent / 100)
    coarse = sweep[:, 1] / 100, sweep[:, 2] / unit
    weak, strong, exact = pairs.weak.mean(), pairs.strong.mean(), expected["sweep_exact"]
    assert apgr(*coarse, weak, strong) == pytest.approx(exact["apgr_trapezoid_over_span"], abs=1e-9)
    assert apgr(*coarse, weak, strong, rule="eq8") == pytest.approx(exact["eq8_c=10..100"], abs=1e-9)
    for target, percent in exact["cpt_min_percent"].items():
        assert cpt(*coarse, weak, strong, int(target) / 100) == pytest.approx(percent / 100, abs=1e-9)
    line, _ = random_scores(pairs.strong, pairs.weak, TENTHS)
    assert unit * line == pytest.approx(expected["random_router_expected_0..100_by_10"], abs=1e-9)


@pytest.mark.parametrize(("name", "key"), [("routellm-mmlu", "mmlu"), ("routellm-gsm8k", "gsm8k")])
def test_golden_optimal_curve_of_right_and_wrong_answers(real, golden, name, key):
    pairs = load_pairs(name)
    best = np.interp(TENTHS, *optimal_curve(pairs.strong, pairs.weak))
    assert 100 * best == pytest.approx(golden("routellm_data.json")[key]["ref_optimal_curve_0..100_by_10"])


@pytest.mark.parametrize(
    ("decontaminate", "key"),
    [(True, "optimal_curve_on_decontaminated_questions"), (False, "ref_optimal_curve_0..100_by_10")],
)
def test_golden_optimal_curve_of_mt_bench(real, golden, decontaminate, key):
    """A tenth of the 72 questions is 7 whole ones; the reference moves 7 of all 80, too."""
    pairs = load_pairs("routellm-mtbench", decontaminate=decontaminate)
    whole = 72 * np.arange(11) // 10 / len(pairs)
    best = np.interp(whole, *optimal_curve(pairs.strong, pairs.weak))
    assert best == pytest.approx(golden("routellm_data.json")["mt_bench"][key], abs=1e-9)


def test_optimal_curve_by_hand():
    """Gains 1, 1, 0 and -1: rises for half the queries, then stays."""
    shares, scores = optimal_curve([1, 1, 1, 0], [0, 0, 1, 1])
    assert shares.tolist() == [0, 0.5, 0.75, 1]
    assert scores.tolist() == [0.5, 1, 1, 1]


@given(rows)
def test_no_router_beats_the_optimal_curve(values):
    rate, strong, weak = np.array(values, dtype=float).T
    shares, scores = threshold_sweep(rate, strong, weak)
    bound_at, bound = optimal_curve(strong, weak)
    assert (scores <= np.interp(shares, bound_at, bound) + 1e-12).all()
    assert (np.diff(bound) >= 0).all()
    assert bound[-1] == pytest.approx(np.maximum(strong, weak).mean())


CASE = np.array([1.0, 1, 0.5, 0, 1]), np.array([0.0, 0.5, 1, 0, 0])
"""Scores of two models on five queries: small enough to try all 120 orders."""


def orders(strong, weak):
    """(120, n + 1) scores of a router that moves the queries one by one, in every order."""
    gains = np.array(list(permutations(np.asarray(strong) - weak)))
    return np.mean(weak) + np.column_stack([np.zeros(len(gains)), gains.cumsum(axis=1)]) / len(weak)


def test_random_router_is_the_mean_over_all_orders():
    strong, weak = CASE
    scores, shares = orders(strong, weak), np.arange(6) / 5
    mean, deviation = random_scores(strong, weak, shares)
    np.testing.assert_allclose(scores.mean(axis=0), mean)
    np.testing.assert_allclose(scores.std(axis=0), deviation, atol=1e-12)
    areas = [apgr(shares, curve, weak.mean(), strong.mean()) for curve in scores]
    assert np.mean(areas) == pytest.approx(0.5)
    assert np.std(areas) == pytest.approx(random_apgr_spread(strong, weak))


def test_spread_rounds_shares_to_whole_queries():
    strong, weak = CASE
    assert random_scores(strong, weak, [0.25])[1] == random_scores(strong, weak, [0.2])[1]
    assert random_scores([1.0], [0.0], [0.0, 1.0])[1].tolist() == [0, 0]
    with pytest.raises(ValueError, match="divide percentages by 100"):
        random_scores(strong, weak, [50])


def test_drawn_cpt_has_the_distribution_of_all_orders():
    strong, weak = CASE
    shares = np.arange(6) / 5
    every = [cpt(shares, curve, weak.mean(), strong.mean(), 0.8) for curve in orders(strong, weak)]
    drawn = random_metrics(strong, weak, rng=np.random.default_rng(0), draws=4000, level=0.5).loc["cpt80"]
    assert drawn["mean"] == pytest.approx(np.mean(every), abs=5 * np.std(every) / np.sqrt(4000))
    assert drawn[["low", "high"]].tolist() == pytest.approx(np.quantile(every, [0.25, 0.75]))


def test_random_walks_in_blocks_are_those_in_one(monkeypatch):
    def drawn():
        return random_metrics(*CASE, rng=np.random.default_rng(1), draws=7)

    whole = drawn()
    monkeypatch.setattr("rb_support.pairs.chance._CELLS", 10)
    pd.testing.assert_frame_equal(whole, drawn())


def test_random_row_of_a_table():
    rng = np.random.default_rng(0)
    strong, weak = (rng.random((2, 400)) < [[0.9], [0.6]]).astype(float)
    table = random_metrics(strong, weak, rng=rng, draws=300)
    assert table.index.tolist() == ["apgr", "cpt50", "cpt80"]
    assert table["mean"].to_numpy() == pytest.approx([0.5, 0.5, 0.8], abs=0.02)
    assert (table["low"] < table["mean"]).all()
    assert (table["mean"] < table["high"]).all()
    assert table.loc["apgr", "high"] - 0.5 == pytest.approx(1.96 * random_apgr_spread(strong, weak), rel=1e-4)


@given(rows, st.integers(0, 100))
def test_bootstrap_is_the_metrics_of_repeated_rows(values, seed):
    """Each resample, written out row by row and swept as any table, gives the sample's numbers."""
    rate, strong, weak = np.array(values, dtype=float).T
    n = len(rate)
    estimates, samples = bootstrap_pairs(
        {"r": rate, "reversed": -rate}, strong, weak, rng=np.random.default_rng(seed), draws=3
    )
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=3)
    for name, order in (("r", rate), ("reversed", -rate)):
        for count, row in zip(
            [np.ones(n, dtype=int), *counts],
            [estimates.loc[name], *samples[name].iloc],
            strict=True,
        ):
            parts = (np.repeat(v, count) for v in (order, strong, weak))
            np.testing.assert_allclose(row.to_numpy(), slow_metrics(*parts), atol=1e-9)


def slow_metrics(rate, strong, weak):
    curve, ends = threshold_sweep(rate, strong, weak), (weak.mean(), strong.mean())
    cpts = [cpt(*curve, *ends, target) for target in (0.5, 0.8)]
    values = [apgr(*curve, *ends), *cpts, *map(cost_saving, cpts, (0.5, 0.8))]
    return np.array([np.nan if value is None else value for value in values])


def test_bootstrap_in_blocks_is_the_bootstrap_in_one(monkeypatch):
    rng = np.random.default_rng(0)
    rate, strong, weak = rng.random(30), rng.random(30), rng.random(30) / 2
    whole = bootstrap_pairs({"r": rate}, strong, weak, rng=np.random.default_rng(1), draws=9)
    monkeypatch.setattr("rb_support.pairs.chance._CELLS", 60)
    parts = bootstrap_pairs({"r": rate}, strong, weak, rng=np.random.default_rng(1), draws=9)
    pd.testing.assert_frame_equal(whole[1]["r"], parts[1]["r"])
    assert whole[0].columns.tolist() == ["apgr", "cpt50", "cpt80", "saving50", "saving80"]


def test_bootstrap_of_a_blind_router_scatters_like_random_orders():
    """To first order a query adds (1/2 - its place) times (its gain - the mean gain) to the area."""
    rng = np.random.default_rng(0)
    strong, weak = (rng.random((2, 2000)) < [[0.9], [0.5]]).astype(float)
    estimates, samples = bootstrap_pairs({"r": rng.random(2000)}, strong, weak, rng=rng, draws=400)
    assert samples["r"]["apgr"].std() == pytest.approx(random_apgr_spread(strong, weak), rel=0.15)
    assert samples["r"]["apgr"].mean() == pytest.approx(estimates.loc["r", "apgr"], abs=0.003)


def test_bootstrap_refuses_what_it_cannot_use():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="no router"):
        bootstrap_pairs({}, [1], [0], rng=rng)
    with pytest.raises(ValueError, match="fractions above 0"):
        bootstrap_pairs({"r": [0.5]}, [1], [0], rng=rng, targets=(0.0,))
    with pytest.raises(ValueError, match=r"equal lengths > 0, got mf \(1,\), strong score \(2,\)"):
        bootstrap_pairs({"mf": [0.5]}, [1, 0], [0, 0], rng=rng)
    with pytest.raises(ValueError, match="mf: value 1 is not finite"):
        bootstrap_pairs({"mf": [0.5, np.nan]}, [1, 0], [0, 0], rng=rng)


@pytest.mark.parametrize("curve", [lambda *pair: random_scores(*pair, [0.5]), random_apgr_spread])
def test_baselines_name_bad_input(curve):
    with pytest.raises(ValueError, match="lengths"):
        curve([1.0, 0.0], [1.0])
    with pytest.raises(ValueError, match="weak: value 1 is not finite"):
        curve([1.0, 0.0], [1.0, np.inf])


def test_prices_of_appendix_d():
    printed = paper.routellm_costs().set_index("quantity")["value"]
    gpt4 = average_price(
        *printed[
            ["gpt-4 input price", "gpt-4 output price", "mean prompt tokens", "mean answer tokens"]
        ].tolist()
    )
    assert round(gpt4, 1) == printed["gpt-4 average price"]
    assert mixed_price(0.25, 24, 0.24) == pytest.approx(6.18)
    assert mixed_price(0, 24, 0.24) == 0.24


@pytest.mark.parametrize("metric", ["cpt50", "cpt80"])
def test_savings_of_table_6(metric):
    """The paper divides the share that a random router it drew needs by that of its best router."""
    ratios = []
    for table in (1, 2, 3):
        results = paper.routellm_results(table)
        drawn = results.loc[results["router"] == "Random", metric].item()
        ratios.append(round(cost_saving(results[metric].min(), drawn), 2))
    assert ratios == paper.routellm_savings()[f"saving_{metric}"].tolist()


def test_savings_by_hand():
    assert cost_saving(0.25, 0.5) == 2
    # 50 % of 24 + 50 % of 1 against 25 % of 24 + 75 % of 1
    assert cost_saving_full(0.25, 0.5, 24, 1) == pytest.approx(12.5 / 6.75)
    assert cost_saving(None, 0.5) is None


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: cost_saving(0.0, 0.5), "cpt is 0.0; give a share above 0"),
        (lambda: cost_saving(0.5, -1.0), "target is -1.0"),
        (lambda: mixed_price(1.5, 1, 1), "share is 1.5"),
        (lambda: mixed_price(0.5, -1, 1), "strong_price is -1"),
        (lambda: average_price(1, 1, 0, 0), "both 0"),
    ],
)
def test_money_names_what_is_wrong(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_threshold_by_hand():
    rate = [0.9, 0.5, 0.5, 0.1]
    assert threshold_for(rate, 0.0) == np.inf
    assert threshold_for(rate, 0.25) == 0.9
    assert threshold_for(rate, 0.3) == 0.5
    assert threshold_for(np.arange(10) / 10, 0.1 + 0.2) == 0.7
    assert share_at([0.95, 0.6, 0.5, 0.4], 0.5) == 0.75


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(0, 100))
def test_threshold_meets_the_share_with_no_call_to_spare(rate, percent):
    share = percent / 100
    possible = np.array([np.mean(np.array(rate) >= t) for t in [np.inf, *set(rate)]])
    reached = share_at(rate, threshold_for(rate, share))
    assert reached == possible[possible >= share - 1e-9].min()


@pytest.mark.parametrize(
    ("rate", "share", "match"),
    [
        ([0.5], 50, "share is 50"),
        ([], 0.5, "win_rate"),
        ([[0.5]], 0.5, "lengths"),
    ],
)
def test_threshold_names_what_is_wrong(rate, share, match):
    with pytest.raises(ValueError, match=match):
        threshold_for(rate, share)


@pytest.mark.parametrize("size", [1e-3, 1.0, 10.0])
def test_a_gap_that_is_rounding_is_no_gap(size):
    """0.1 + 0.2 is not 0.3, but nothing can be recovered of the difference; a millionth is a gap."""
    rng = np.random.default_rng(0)
    strong = size * rng.random(50)
    for weak in (strong, strong + 1e-17 * size, strong * (1 + 1e-15), rng.permutation(strong)):
        curve = threshold_sweep(rng.random(50), strong, weak)
        ends = weak.mean(), strong.mean()
        assert pgr(curve[1], *ends) is None
        assert apgr(*curve, *ends) is None and cpt(*curve, *ends, 0.5) is None
        assert random_apgr_spread(strong, weak) is None
        assert random_metrics(strong, weak, rng=rng, draws=5) is None
        estimates, _ = bootstrap_pairs({"R": rng.random(50)}, strong, weak, rng=rng, draws=5)
        assert estimates.isna().all(axis=None)
    assert pgr(0.1 + 0.2, 0.3, 0.1 + 0.2) is None and pgr(0.5, 0.0, 1e-17) is None
    weak = strong - 1e-6 * size
    curve = threshold_sweep(rng.random(50), strong, weak)
    assert apgr(*curve, weak.mean(), strong.mean()) == pytest.approx(0.5, abs=0.02)
    assert pgr(0.5 + 5e-7, 0.5, 0.5 + 1e-6) == pytest.approx(0.5)
