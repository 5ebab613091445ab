"""Savings at CPT and thresholds taken elsewhere: against the metrics of one pair, and by hand."""

import numpy as np
import pytest
from scores_made import scores_of

from rb_support.pairs import cost_saving, cost_saving_full, cpt, threshold_sweep
from rb_support.studies.preference_study import WinRates
from rb_support.studies.savings import calibration_table, savings


def test_savings_are_of_the_best_router():
    rng = np.random.default_rng(1)
    gain = (rng.random(300) < 0.4).astype(float)
    pair = scores_of(np.column_stack([gain, np.zeros(300)])).pair("a", "b")
    good, bad = gain + rng.normal(0, 0.5, 300), rng.random(300)
    rates = [WinRates("D", name, "GSM8K", pair, rate) for name, rate in (("bad", bad), ("good", good))]
    prices = (24.7, 0.24)
    found = savings(rates, rng=rng, draws=100, prices={"GSM8K": prices})
    assert found["router"].tolist() == ["good", "good"]
    curve, ends = threshold_sweep(good, pair.strong, pair.weak), (pair.weak.mean(), pair.strong.mean())
    for row, target in zip(found.itertuples(), (0.5, 0.8), strict=True):
        share = cpt(*curve, *ends, target)
        assert row.share == pytest.approx(share)
        assert row.saving == pytest.approx(cost_saving(share, target))
        assert row.saving_full == pytest.approx(cost_saving_full(share, target, *prices))
        assert row.saving_low < row.saving < row.saving_high
        assert row.saving_full_low < row.saving_full < row.saving_full_high
        assert row.quality_share == pytest.approx(target)  # the weak model scores nothing here


def test_a_router_that_never_gets_there_saves_nothing_known():
    """Without a gap there is no CPT; NaN, not an error."""
    pair = scores_of([[1, 0], [0, 1]]).pair("a", "b")
    found = savings(
        [WinRates("D", "R", "GSM8K", pair, np.array([0.9, 0.1]))],
        prices={"GSM8K": (1, 0)},
        rng=np.random.default_rng(0),
        draws=20,
    )
    assert found["saving"].isna().all()


def test_thresholds_are_checked_where_they_were_not_chosen():
    rng = np.random.default_rng(0)
    pair = scores_of([[1, 0]]).pair("a", "b")  # not looked at
    there = WinRates("D", "R", "there", pair, rng.random(500) / 2)
    rates = [WinRates("D", "R", "here", pair, rng.random(2000)), there]
    table = calibration_table(rates, "here", "there", rng=rng, shares=(0.3, 0.6))
    assert table["chosen_on"].tolist() == [0.3, 0.6]
    assert table["other_half"].tolist() == pytest.approx([0.3, 0.6], abs=0.06)
    assert (table["elsewhere"] == [np.mean(there.rate >= t) for t in table["threshold"]]).all()
    assert table["elsewhere"][0] == 0
