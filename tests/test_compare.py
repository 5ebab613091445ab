"""Comparisons: bootstrap weights, intervals, shared domains, zero routers."""

import numpy as np
import pandas as pd
import pytest

from rb_support.frontier import aiq, shared_domain
from rb_support.outcomes import Origin, Outcomes
from rb_support.routers import KNNRouter, RidgeRouter
from rb_support.stats import bootstrap_aiq, bootstrap_weights, interval
from rb_support.studies.predictive import (
    PLACEBO,
    ZERO,
    ZERO_TRAINED,
    Comparison,
    aiq_table,
    compare,
    compare_predictions,
    curve_table,
    repeat_splits,
)


def table(quality, cost, start=0):
    n = len(quality)
    ids = [f"q{i}" for i in range(start, start + n)]
    frame = pd.DataFrame({"sample_id": ids, "dataset": "D", "task": "t", "prompt": ids})
    return Outcomes(frame, quality, np.tile(cost, (n, 1)), tuple("abc"[: len(cost)]), Origin("own", "test"))


def learnable(n, start, rng):
    """Two models, each right on one half of the plane; the dear one also on a third of the other."""
    X = rng.normal(size=(n, 2))
    left = X[:, 0] < 0
    quality = np.column_stack([left, ~left | (rng.random(n) < 1 / 3)]).astype(float)
    part = table(quality, [1.0, 4.0], start)
    return part, pd.DataFrame(X, index=part.frame["sample_id"])


@pytest.fixture(scope="module")
def parts():
    rng = np.random.default_rng(0)
    (train, a), (test, b) = learnable(400, 0, rng), learnable(300, 400, rng)
    return train, test, pd.concat([a, b])


def test_routers_that_can_learn_beat_zero(parts):
    comparison = compare(*parts, {"KNN": KNNRouter(20), "Ridge": RidgeRouter()})
    result = comparison.table(rng=np.random.default_rng(1), draws=200).set_index("router")
    assert list(result.index) == [ZERO, ZERO_TRAINED, "KNN", "Ridge", PLACEBO]
    assert (result.loc[["KNN", "Ridge"], ["minus_zero_low", "honest_low"]] > 0.05).all(axis=None)
    assert result["finding"].tolist()[2:] == ["leads", "leads", "no lead shown"]
    assert result.loc[ZERO, ["minus_zero", "minus_zero_low", "minus_zero_high"]].tolist() == [0, 0, 0]
    assert (result["aiq_low"] <= result["aiq"]).all() and (result["aiq"] <= result["aiq_high"]).all()
    assert result["aiq"].to_dict() == pytest.approx(comparison.aiq())


def test_each_system_is_evaluated_once(parts):
    """Points cost as much as a path over all thresholds, and a comparison may hold dozens of systems."""
    _, test, _ = parts
    calls = dict.fromkeys(range(22), 0)

    def counting(name):
        def points(weights=None):
            calls[name] += 1
            return np.array([[1.0, 0.2], [4.0, 0.4 + name / 100]])

        return points

    comparison = Comparison(test, {name: counting(name) for name in calls})
    values = comparison.aiq()
    assert set(calls.values()) == {1}
    domain = shared_domain(*(comparison.points(name) for name in calls))
    assert values == {name: aiq(comparison.points(name), *domain) for name in calls}
    calls.update(dict.fromkeys(calls, 0))
    bootstrap_aiq(comparison.systems, len(test), rng=np.random.default_rng(0), draws=3)
    assert set(calls.values()) == {1 + 3}


def test_oracle_bounds_every_router(parts):
    comparison = compare(*parts, {"KNN": KNNRouter(20)})
    assert comparison.oracle[1] >= max(comparison.points(name)[:, 1].max() for name in comparison.systems)


def test_constant_predictions_make_the_trained_zero_router(parts):
    train, test, _ = parts
    blind = np.tile(train.quality.mean(axis=0), (len(test), 1))
    systems = compare_predictions(train, test, {"blind": blind})
    np.testing.assert_allclose(systems.points("blind"), systems.points(ZERO_TRAINED))


def test_bootstrap_by_hand():
    """One query is all the evidence: every resample is that query again."""
    systems = {"s": lambda weights=None: np.array([[1.0, 0.25], [3.0, 0.75]])}
    estimates, samples = bootstrap_aiq(systems, 1, rng=np.random.default_rng(0), draws=5)
    assert estimates == {"s": 0.5} and samples["s"].tolist() == [0.5] * 5


def test_bootstrap_interval_covers_like_a_normal_one():
    """Mean of 400 coins: the percentile interval is close to +- 1.96 standard errors."""
    coins = (np.arange(400) % 2).astype(float)
    weights = bootstrap_weights(400, 4000, np.random.default_rng(3))
    assert (weights.sum(axis=1) == 400).all()
    low, high = interval(weights @ coins / 400)
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.025, 0.5 + 1.96 * 0.025), abs=0.004)


def test_samples_are_paired(parts):
    """The same system twice differs by exactly nothing in every resample."""
    train, test, _ = parts
    one = compare_predictions(train, test, {}).systems[ZERO]
    _, samples = bootstrap_aiq({"a": one, "b": one}, len(test), rng=np.random.default_rng(2), draws=20)
    assert (samples["a"] == samples["b"]).all() and samples["a"].std() > 0


def test_weighted_points_are_those_of_the_repeated_rows(parts):
    train, test, X = parts
    comparison = compare(train, test, X, {"KNN": KNNRouter(20)})
    rows = np.random.default_rng(4).integers(0, len(test), len(test))
    counts = np.bincount(rows, minlength=len(test))
    repeated = compare_predictions(
        train,
        Outcomes(
            test.frame.iloc[rows].assign(sample_id=[f"r{i}" for i in range(len(rows))]),
            test.quality[rows],
            test.cost[rows],
            test.models,
        ),
        {
            "KNN": KNNRouter(20)
            .fit(train, X.loc[train.frame.sample_id])
            .predict(X.loc[test.frame.sample_id])[rows]
        },
    )
    assert aiq(comparison.systems["KNN"](counts), 1, 4) == pytest.approx(aiq(repeated.points("KNN"), 1, 4))


def test_repeat_splits(parts):
    train, _, X = parts
    found = repeat_splits(train, X, {"KNN": KNNRouter(20), "Ridge": RidgeRouter()}, range(3))
    assert found.columns.tolist() == ["KNN", "Ridge", PLACEBO]
    assert (found[["KNN", "Ridge"]] > 0.02).all(axis=None) and (found[PLACEBO] < 0.01).all()
    again = compare(*train.split(seed=2), X, {"KNN": KNNRouter(20), "Ridge": RidgeRouter()})
    areas = again.honest_aiq(rng=np.random.default_rng(2))
    assert found.loc[2, "KNN"] == pytest.approx(areas["KNN"] - max(areas[ZERO], areas[ZERO_TRAINED]))


def test_curves_hold_what_a_figure_shows(parts):
    comparison = compare(*parts, {"KNN": KNNRouter(20)})
    curves = comparison.curves()
    assert list(curves["router"].unique()) == [ZERO, ZERO_TRAINED, "KNN", PLACEBO, "a", "b", "Oracle"]
    shown = curves.loc[curves["router"] == "KNN", ["usd_per_query", "quality"]].to_numpy()
    assert aiq(shown, 1, 4) == pytest.approx(comparison.aiq()["KNN"])


def test_leads(parts):
    """Models (1, q0), (4, q1): the zero router is the dear model at its cost, so its lead is nothing."""
    comparison = compare(*parts, {"KNN": KNNRouter(20)})
    assert comparison.lead_over_best_model(ZERO) == pytest.approx(0)
    assert comparison.lead_over_best_model("KNN") > 0.05
    best = max(comparison.points(name)[:, 1].max() for name in comparison.systems)
    assert (
        comparison.oracle_lead == pytest.approx(comparison.oracle[1] - best) and comparison.oracle_lead >= 0
    )


def test_tables_of_several_datasets(parts):
    train, test, X = parts
    both = {name: compare(train, test, X, {"KNN": KNNRouter(5)}) for name in ("A", "B")}
    table = aiq_table(both, rng=np.random.default_rng(0), draws=10)
    assert table["dataset"].tolist() == ["A"] * 4 + ["B"] * 4
    assert table.columns[0] == "dataset" == curve_table(both).columns[0]
