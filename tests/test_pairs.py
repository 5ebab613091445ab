"""RouteLLM's metrics against golden vectors, a hand-worked example and invariants."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rb_support.pairs import apgr, cpt, pgr, threshold_sweep


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
