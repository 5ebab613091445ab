"""Comparisons: bootstrap weights, intervals, shared domains, zero routers."""

import numpy as np
import pandas as pd
import pytest

from rb_support.frontier import Part, aiq, shared_domain
from rb_support.outcomes import Origin, Outcomes
from rb_support.paper import ITEMS
from rb_support.routers import KNNRouter, RidgeRouter, model_points
from rb_support.simulate import simulate_outcomes
from rb_support.stats import (
    Means,
    bootstrap_aiq,
    bootstrap_weights,
    cross_fitted,
    halves,
    interval,
    turns,
)
from rb_support.studies.best_model import cost_to_reach, leads_over_best_model, reach_view
from rb_support.studies.predictive import (
    CONSTANT,
    PLACEBO,
    ZERO,
    ZERO_TRAINED,
    Comparison,
    aiq_table,
    compare,
    compare_predictions,
    cross_validated,
    curve_table,
    leads_by_k,
    leads_view,
    repeat_splits,
    shuffled_leads,
    small_tasks,
)
from rb_support.studies.predictive_claims import notes


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


def test_shuffled_vectors_teach_nothing(parts):
    train, test, X = parts
    tried = {"KNN": KNNRouter(20), "Ridge": RidgeRouter()}
    found = shuffled_leads({"D": (train, test)}, X, tried, rng=np.random.default_rng(0))
    assert found.columns.tolist() == ["KNN", "Ridge"] and found.index.tolist() == ["D"]
    assert found.loc["D", "Ridge"] == 0 and found.loc["D", "KNN"] < 0.005


def test_leads_by_k_are_those_of_the_routers_and_end_at_the_means(parts):
    train, test, X = parts
    found = leads_by_k({"D": (train, test)}, X, (5, 20, len(train)), rng=np.random.default_rng(3))
    assert found.columns.tolist() == [5, 20, len(train)]
    assert found.loc["D", 20] > 0.02 and abs(found.loc["D", len(train)]) < 1e-9
    routers = {str(k): KNNRouter(k) for k in found.columns}
    areas = compare(train, test, X, routers).honest_aiq(rng=np.random.default_rng(3))
    assert found.loc["D", 20] == pytest.approx(areas["20"] - max(areas[ZERO], areas[ZERO_TRAINED]))


def test_leads_as_a_reader_wants_them():
    rows = [("B", ZERO, 0.0, 0.0, 0.0, "zero"), ("B", "KNN", 0.02, 0.011, 0.03, "leads")]
    rows += [("B", "Ridge", 0.0, 0.0, 0.0, f"{CONSTANT}: predicts the same for every query")]
    rows += [
        ("A", "KNN", -0.0104, -0.03, 0.01, "no lead shown"),
        ("A", "Ridge", 0.1, -0.1, 0.3, "no lead shown"),
    ]
    columns = ["dataset", "router", "honest_minus_zero", "honest_low", "honest_high", "finding"]
    view = leads_view(pd.DataFrame(rows, columns=columns))
    assert view.index.tolist() == ["KNN", "Ridge"] and view.columns.tolist() == ["B", "A"]
    assert view.loc["KNN"].tolist() == ["+0.020 [+0.011, +0.030] *", "-0.010 [-0.030, +0.010]"]
    assert view.loc["Ridge", "B"] == "= zero router"
    assert leads_view(pd.DataFrame(rows, columns=columns).head(0)).empty


def test_every_item_of_the_notebook_has_a_sentence():
    of_03 = {item.id for item in ITEMS.values() if item.notebook == "03_predictive_routers"}
    assert set(notes(300, 5)) == of_03 and "mean of 5 splits" in notes(300, 5)["rb-tab-aiq"]


def test_curves_hold_what_a_figure_shows(parts):
    comparison = compare(*parts, {"KNN": KNNRouter(20)})
    curves = comparison.curves()
    assert list(curves["router"].unique()) == [ZERO, ZERO_TRAINED, "KNN", PLACEBO, "a", "b", "Oracle"]
    shown = curves.loc[curves["router"] == "KNN", ["usd_per_query", "quality"]].to_numpy()
    assert aiq(shown, 1, 4) == pytest.approx(comparison.aiq()["KNN"])


def test_leads(parts):
    """Models (1, q0), (4, q1): the zero router is the dear model at its cost, so its lead is nothing."""
    comparison = compare(*parts, {"KNN": KNNRouter(20)})
    leads = leads_over_best_model(comparison, [ZERO, "KNN"], rng=np.random.default_rng(0), draws=50)
    assert leads[ZERO].value == pytest.approx(0)
    assert leads["KNN"].value > 0.05 and leads["KNN"].low > leads["KNN"].floor
    wide = leads_over_best_model(
        comparison, [ZERO, "KNN"], rng=np.random.default_rng(0), draws=50, level=0.999
    )
    assert wide["KNN"].low < leads["KNN"].low
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


def test_intervals_of_several_datasets_hold_at_once(parts):
    """Whoever looks at two tables is lucky more often than with one, so that intervals are wider."""
    train, test, X = parts
    found = compare(train, test, X, {"KNN": KNNRouter(5)})
    alone = found.table(rng=np.random.default_rng(0), draws=300)
    both = aiq_table({"A": found, "B": found}, rng=np.random.default_rng(0), draws=300).head(len(alone))
    np.testing.assert_allclose(both["honest_minus_zero"], alone["honest_minus_zero"])
    wide, narrow = (rows["honest_high"] - rows["honest_low"] for rows in (both, alone))
    assert (wide[2:].to_numpy() > narrow[2:].to_numpy()).all()


# Who chooses and who pays


def test_every_query_pays_as_often_as_it_chooses():
    chooses, pays = halves(7, np.random.default_rng(0), halvings=4)
    assert (chooses == ~pays).all() and pays.sum(axis=0).tolist() == [4] * 7
    assert [each.tolist() for each in halves(1, np.random.default_rng(0))] == [[[True]], [[True]]]


def test_cross_fitting_prices_what_the_other_half_chooses():
    """The best of two policies on one query is the worse one on the other: what is paid is 0, not 1."""
    cost, quality = np.ones((2, 2)), np.eye(2)

    def best(points):
        return {"s": [Part(int(points["s"][:, 1].argmax()), "", 1.0)]}

    parts = turns(2, np.random.default_rng(0))
    prices = cross_fitted({"s": Means(cost, quality)}, best, parts)
    assert prices.shape == (32, 2, 1, 2) and prices[..., 1].mean() == 0.5
    assert parts.paid(prices).tolist() == [[[1.0, 0.0]]] * 2


def test_lucky_policies_reach_the_best_models_quality_at_face_value_only():
    """Two hundred blind policies at half the cost: the best is as good as the model, and then is not."""
    rng = np.random.default_rng(5)
    scores = (rng.permutation(120) < 84)[:, None].astype(float)
    blind = Means(np.full((120, 200), 0.5), (rng.random((120, 200)) < 0.6).astype(float))
    knows = Means(np.full((120, 1), 0.5), scores)
    systems = {ZERO: model_points(table(scores, [1.0])), "lucky": blind, "knows": knows}
    found = cost_to_reach(Comparison(table(scores, [1.0]), systems), systems, [1.0], rng=rng, draws=50)
    rows = found.set_index("router")
    assert rows["share_of_cost"].tolist() == pytest.approx([1.0, 0.5, 0.5])
    assert rows.loc[[ZERO, "knows"], "honest_share_of_quality"].tolist() == pytest.approx([1.0, 1.0])
    assert rows.loc[[ZERO, "knows"], "honest_share_of_cost"].tolist() == pytest.approx([1.0, 0.5])
    assert rows.loc["lucky", "honest_share_of_quality"] < 0.93
    assert (rows["honest_low"] <= rows["honest_share_of_cost"]).all()
    view = reach_view(found).set_index("router")
    assert view.loc["knows"].tolist() == [
        "100% of the quality",
        "0.500000",
        "0.500 [0.500, 0.500]",
        "0.500 [0.500, 0.500]",
        "1.000 [1.000, 1.000]",
    ]


def test_who_does_not_reach_the_quality_calls_the_best_model():
    scores = np.ones((20, 1))
    systems = {ZERO: model_points(table(scores, [2.0])), "bad": Means(np.ones((20, 1)), 0 * scores)}
    comparison = Comparison(table(scores, [2.0]), systems)
    rows = cost_to_reach(comparison, ["bad"], [1.0], rng=np.random.default_rng(0), draws=10).iloc[0]
    assert np.isinf(rows["share_of_cost"])
    assert rows[["honest_share_of_cost", "honest_share_of_quality"]].tolist() == [1.0, 1.0]


# Few rows


def test_cross_validation_judges_every_query_by_routers_of_the_other_folds(parts):
    train, _, X = parts
    found = cross_validated(train, X, {"KNN": KNNRouter(20)}, seed=0)
    assert found.test is train and list(found.systems) == [ZERO, ZERO_TRAINED, "KNN", PLACEBO]
    runs = [found, cross_validated(train, X, {"KNN": KNNRouter(20)}, seed=1)]
    rows = aiq_table({"A": runs}, rng=np.random.default_rng(0), draws=100).set_index("router")
    assert rows.loc["KNN", "finding"] == "leads" != rows.loc[PLACEBO, "finding"]
    assert rows.loc["KNN", "n"] == len(train)
    assert rows.loc["KNN", "aiq"] == pytest.approx(np.mean([run.aiq()["KNN"] for run in runs]))


def test_own_labels_tell_nothing_of_a_query_that_is_left_out():
    """Neighbour one is the query itself: a router that had seen it would know all."""
    rng = np.random.default_rng(0)
    outcomes = table(rng.integers(0, 2, (200, 2)).astype(float), [1.0, 1.0])
    X = pd.DataFrame(rng.normal(size=(200, 3)), index=outcomes.frame["sample_id"])
    found = cross_validated(outcomes, X, {"KNN": KNNRouter(1)}, seed=0)
    assert found.points("KNN")[-1, 1] < 0.65 < 0.7 < found.oracle[1]


def test_tasks_of_few_rows():
    found = small_tasks(simulate_outcomes(6000), rng=np.random.default_rng(0))
    assert {name: len(part) for name, part in found.items()} == {"MMLU": 138, "HellaSwag": 90, "GSM8K": 78}
    assert small_tasks(table(np.eye(2), [1.0, 2.0]), rng=np.random.default_rng(0)) == {}


def test_real_tasks_of_few_rows_are_those_of_the_sample(shared_data, monkeypatch):
    from rb_support.load import load_outcomes

    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    found = small_tasks(load_outcomes("real"), rng=np.random.default_rng(0))
    assert {name: len(part) for name, part in found.items()} == {"MMLU": 138, "HellaSwag": 90, "GSM8K": 78}
    assert {part.origin.kind for part in found.values()} == {"real"}
