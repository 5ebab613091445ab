"""The honest measure: what knows nothing wins no more often than chance allows, signal is found."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom

from rb_support import frontier
from rb_support.frontier import aiq, chosen, honest_aiq, priced
from rb_support.outcomes import Origin, Outcomes
from rb_support.routers import PlaceboRouter, RidgeRouter, dealt_out, knows_nothing
from rb_support.stats import Means, aiqs, bootstrap_honest_aiq, honest_aiqs, joined
from rb_support.studies import predictive
from rb_support.studies.predictive import PLACEBO, ZERO, compare_predictions, estimates
from rb_support.verdicts import decide

grid = st.integers(0, 12).map(lambda v: v / 8)
clouds = st.integers(1, 30).flatmap(lambda n: arrays(float, (n, 2), elements=grid))
MODELS = 4
SPREADS = (0.01, 0.05)


def table(n, rng, start=0):
    """(n, 4) outcomes of models of rising cost and quality, and what would tell which of them is right."""
    hidden = rng.normal(size=(n, MODELS))
    quality = (hidden < [0.0, 0.4, 0.7, 0.9]).astype(float)
    cost = np.array([1.0, 3.0, 8.0, 20.0]) * rng.lognormal(0, 0.3, (n, MODELS))
    ids = [f"q{i}" for i in range(start, start + n)]
    frame = pd.DataFrame({"sample_id": ids, "dataset": "D", "task": "t", "prompt": ids})
    return Outcomes(frame, quality, cost, tuple("abcd"), Origin("own", "made")), hidden


def compared(seed, *, n=100, signal=0.0):
    """Placebos of three spreads and, with a signal, a router that sees part of what is hidden."""
    rng = np.random.default_rng(seed)
    (train, _), (test, hidden) = table(300, rng), table(n, rng, 300)
    mean = train.quality.mean(axis=0)
    predicted = {f"noise {spread}": mean + spread * rng.normal(size=(n, MODELS)) for spread in SPREADS}
    if signal:
        predicted["knows"] = mean - signal * hidden
    return compare_predictions(train, test, predicted)


# The area


@given(clouds)
def test_one_part_for_both_is_the_papers_aiq(points):
    assert honest_aiq(points, points) == pytest.approx(aiq(points), abs=1e-9)
    low = points[:, 0].min() / 2
    high = points[:, 0].max() + 1
    assert honest_aiq(points, points, low, high) == pytest.approx(aiq(points, low, high), abs=1e-9)


@given(clouds, st.data())
def test_what_pays_bounds_the_area(points, data):
    paying = data.draw(arrays(float, points.shape, elements=grid))
    area = honest_aiq(points, paying)
    assert -1e-9 <= area <= paying[:, 1].max() + 1e-9
    assert area <= aiq(paying) + 1e-9  # no choice made elsewhere beats the one made here


def test_priced_by_hand():
    """Chosen (1, .4), (3, .8); they cost (2, .5) and (4, .7) here: .25 + .6 * 2 + .7 = 2.15 on [1, 5]."""
    rows = chosen([[1, 0.4], [3, 0.8], [2, 0.5]])
    assert rows.tolist() == [0, 1]
    assert priced(np.array([[2, 0.5], [4, 0.7]]), 1, 5) == pytest.approx(2.15 / 4)
    assert priced(np.array([[4, 0.7], [2, 0.5]]), 1, 5) == pytest.approx(2.15 / 4)  # order is by cost here
    both = priced(np.array([[[2, 0.5], [4, 0.7]], [[1, 0.5], [5, 0.7]]]), [1, 1], [5, 5])
    assert both == pytest.approx([2.15 / 4, 0.6])
    assert priced(np.array([[2, 0.5], [2, 0.7]]), 2, 2) == pytest.approx(0.7)


def test_a_domain_narrower_than_the_points_cuts_them():
    points = np.array([[1, 0.2], [3, 0.6], [5, 0.8]])
    assert priced(points, 2, 4) == pytest.approx((0.5 + 0.65) / 2)
    assert chosen([[2, 0.1], [3, 0.9]], 0).tolist() == [1]  # below the line from (0, 0) to (3, .9)
    assert chosen([[2, 0.0], [3, 0.0]], 0).tolist() == [0]


@given(st.integers(0, 2**16), st.sampled_from([1e-12, 1e-3, 0.3]))
@settings(max_examples=20, deadline=None)
def test_a_hull_of_many_points_is_the_hull(seed, noise):
    rng = np.random.default_rng(seed)
    cost = np.sort(rng.random(700))
    points = np.column_stack([cost, np.sqrt(cost) + noise * rng.random(700)])
    quick = frontier.hull_indices(points)
    best_before = np.r_[-1, np.maximum.accumulate(points[:-1, 1])]
    slow = frontier._corners(*points.T, np.flatnonzero(points[:, 1] > best_before))
    assert aiq(points[quick], 0, 1) == pytest.approx(aiq(points[slow], 0, 1), abs=1e-11)


# Cross-fitting


@given(st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_one_fixed_policy_keeps_its_aiq(n, seed):
    rng = np.random.default_rng(seed)
    one = {"only": Means(rng.random((n, 1)), rng.random((n, 1)))}
    assert honest_aiqs(one, n, rng=rng)["only"] == pytest.approx(aiqs(one)["only"])


def test_estimates_are_the_same_with_and_without_resamples():
    comparison = compared(0)
    alone = comparison.honest_aiq(rng=np.random.default_rng(5))
    whole, samples = bootstrap_honest_aiq(comparison.systems, 100, rng=np.random.default_rng(5), draws=20)
    assert whole == pytest.approx(alone) and samples.shape == (20, len(alone))
    assert max(alone.values()) <= 1


def test_copies_of_a_system_change_nothing():
    systems = dict(compared(1).systems)
    twice = systems | {"again": systems["noise 0.05"]}
    found = honest_aiqs(twice, 100, rng=np.random.default_rng(2))
    assert found.pop("again") == found["noise 0.05"]
    assert found == pytest.approx(honest_aiqs(systems, 100, rng=np.random.default_rng(2)))
    once = honest_aiqs({"a": joined([systems[ZERO], systems[ZERO]])}, 100, rng=np.random.default_rng(2))
    assert once == {"a": pytest.approx(found[ZERO], abs=0.01)}


def test_the_order_of_rows_is_a_matter_of_the_halvings_only():
    rng = np.random.default_rng(3)
    cost, quality = np.tile([1.0, 4.0], (400, 1)), rng.random((400, 2)) * [0.8, 1.0]
    turned = rng.permutation(400)
    first = honest_aiqs({"s": Means(cost, quality)}, 400, rng=np.random.default_rng(1))
    again = honest_aiqs({"s": Means(cost, quality[turned])}, 400, rng=np.random.default_rng(1))
    assert first["s"] == pytest.approx(again["s"], abs=1e-3)


def test_resamples_vary_as_the_mean_of_coins_does():
    """One policy, 400 coins: the standard deviation is .025, whatever the halvings are."""
    coins = (np.arange(400) % 2).astype(float)[:, None]
    system = {"s": Means(np.ones((400, 1)), coins)}
    _, samples = bootstrap_honest_aiq(system, 400, rng=np.random.default_rng(0), draws=2000)
    assert samples["s"].std() == pytest.approx(0.025, rel=0.25)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("cost", [0.0, 1.0])
def test_degenerate_rows(n, cost):
    systems = {"s": Means(np.full((n, 2), cost), np.tile([0.25, 0.5], (n, 1)))}
    whole, samples = bootstrap_honest_aiq(systems, n, rng=np.random.default_rng(0), draws=5)
    assert whole["s"] == pytest.approx(0.5) and samples["s"].tolist() == pytest.approx([0.5] * 5)


# Placebos


def test_a_placebo_knows_the_means_and_nothing_else():
    train, hidden = table(200, np.random.default_rng(0))
    predicted = PlaceboRouter(0.02, seed=1).fit(train, hidden).predict(np.zeros((5000, 2)))
    off = predicted - train.quality.mean(axis=0)
    assert off.mean(axis=0) == pytest.approx(np.zeros(MODELS), abs=1e-3)
    assert off.std(axis=0) == pytest.approx(np.full(MODELS, 0.02), rel=0.05)
    with pytest.raises(ValueError, match="spread"):
        PlaceboRouter(-1)


def test_dealing_out_keeps_the_rows():
    predicted = np.random.default_rng(0).random((50, 3))
    dealt = dealt_out(predicted, np.random.default_rng(1))
    assert sorted(dealt.tolist()) == sorted(predicted.tolist()) and (dealt != predicted).any()


def test_constant_predictions_are_named():
    train, _ = table(200, np.random.default_rng(0))
    test, _ = table(60, np.random.default_rng(1), 200)
    same = np.tile(train.quality.mean(axis=0), (60, 1))
    assert knows_nothing(same) and knows_nothing(same + np.arange(60)[:, None])
    assert not knows_nothing(same + 1e-3 * np.eye(60, MODELS))
    rows = compare_predictions(train, test, {"MLP": same}).table(rng=np.random.default_rng(0), draws=20)
    row = rows.set_index("router").loc["MLP"]
    assert row["finding"].startswith("a zero router") and row["placebo_high"] == row["honest_minus_zero"]
    assert decide(estimates(rows[rows["router"] == "MLP"]), "above")[0] != "holds"


def test_shuffled_routers_learn_nothing():
    rng = np.random.default_rng(1)
    (train, a), (test, b) = table(400, rng), table(150, rng, 400)
    X = pd.DataFrame(np.vstack([a, b]), index=[*train.frame["sample_id"], *test.frame["sample_id"]])
    router = {"Ridge": RidgeRouter([0.01])}
    seen = predictive.compare(train, test, X, router).honest_aiq(rng=np.random.default_rng(0))
    blind = predictive.compare(train, test, X, router, order=rng.permutation(400)).honest_aiq(rng=rng)
    assert seen["Ridge"] - seen[ZERO] > 0.1 and blind["Ridge"] - blind[ZERO] < 0.02


# What is declared


def test_luck_leads_by_the_papers_aiq_and_not_by_the_honest_one():
    """Over 30 tables the placebo is above zero by AIQ nearly always, by the honest one not."""
    face, honest = [], []
    for seed in range(30):
        comparison = compared(seed)
        for leads, areas in (
            (face, comparison.aiq()),
            (honest, comparison.honest_aiq(rng=np.random.default_rng(seed))),
        ):
            leads.append(areas["noise 0.01"] - areas[ZERO])
    assert np.mean(np.array(face) > 0) > 0.9 and np.mean(face) > 0.008
    assert np.mean(honest) < 0.002


def test_without_signal_no_more_winners_than_chance_allows(monkeypatch):
    """200 tables: a winner in the nominal 5% of them, within binomial error."""
    monkeypatch.setattr(predictive, "PLACEBOS", 3)
    winners = 0
    for seed in range(200):
        rows = compared(seed, n=30).table(rng=np.random.default_rng(seed), draws=30)
        winners += "leads" in set(rows["finding"])
    assert winners <= binom.ppf(0.99, 200, 0.05)


def test_planted_signal_is_found():
    found = []
    for seed in range(5):
        rows = compared(seed, n=200, signal=0.3).table(rng=np.random.default_rng(seed), draws=60)
        assert "leads" not in set(rows.loc[rows["router"] != "knows", "finding"])
        found.append(decide(estimates(rows[rows["router"] == "knows"]), "above")[0])
    assert found == ["holds"] * 5


def test_estimates_carry_what_knowing_nothing_reaches():
    rows = compared(0).table(rng=np.random.default_rng(0), draws=20)
    found = estimates(rows.assign(dataset="D"))
    assert [each.name for each in found][2:] == ["D noise 0.01", "D noise 0.05"]
    assert {each.n for each in found} == {100}
    assert found[0].floor == -np.inf and found[2].floor == rows["placebo_high"][2]
    assert PLACEBO not in set(rows["router"])
