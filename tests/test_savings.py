"""Savings at CPT and thresholds taken elsewhere: against the metrics of one pair, and by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scores_made import scores_of

from rb_support.pairs import cost_saving, cost_saving_full, cpt, threshold_sweep
from rb_support.preference.training_sets import load_experiment
from rb_support.report.preference_figures import plot_cost
from rb_support.simulate import simulate_outcomes
from rb_support.studies.preference_study import WinRates
from rb_support.studies.savings import (
    beside_paper,
    calibration_table,
    call_prices,
    own_prices,
    printed_ratios,
    savings,
    token_prices,
    tokens_per_call,
)


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


def test_the_papers_prices_and_ratios_follow_from_its_own_tables():
    prices = token_prices()
    assert prices["ours"].tolist() == pytest.approx(prices["paper"].tolist(), abs=0.01)
    assert tokens_per_call() == 95 + 264
    ratios = printed_ratios()
    assert (
        ratios[["cpt50", "cpt80"]].to_numpy() == ratios[["saving_cpt50", "saving_cpt80"]].to_numpy()
    ).all()
    ours = pd.DataFrame({"benchmark": ["MT Bench", "mine"], "target": [0.8, 0.5]})
    found = beside_paper(ours)["paper_saving"]
    assert found[0] == 2.49 and np.isnan(found[1])


def test_calls_cost_what_the_paper_or_an_own_table_says(tmp_path, monkeypatch):
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    experiment = load_experiment("simulated", gold=50)
    price = tuple(token_prices()["ours"])
    assert call_prices(experiment, experiment.benchmarks) == dict.fromkeys(experiment.benchmarks, price)
    file = tmp_path / "own.csv"
    simulate_outcomes(300, seed=3).to_wide().to_csv(file, index=False)
    own = load_experiment(str(file), gold=50)
    found = call_prices(own, own.benchmarks)
    assert found == own_prices(own.outcomes, own.benchmarks)
    assert all(strong > weak > 0 and strong != price[0] for strong, weak in found.values())


def test_the_picture_of_a_bill():
    """A fifth of the calls for half of the gap costs 0.2 + 0.8 / 4 of the strong model's bill."""
    ax = plt.figure().subplots()
    plot_cost(ax, [0, 0.2, 1], [0, 0.5, 1], 4)
    random, router = (line.get_ydata() for line in ax.lines[:2])
    assert router[50] == pytest.approx(40) and random[50] == pytest.approx(62.5)
    assert random[0] == router[0] == 25 and router[-1] == 100
    assert f"{62.5 / 40:.2f}x" in [text.get_text() for text in ax.texts]
    flat = plt.figure().subplots()
    plot_cost(flat, [0, 1], [np.nan, np.nan], 4)
    assert "no gap" in flat.texts[0].get_text()
    plt.close("all")


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
