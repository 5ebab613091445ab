"""Routers by clusters, by result vectors and with predicted costs: known truth, then what none may do."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from tables_made import outcome_tables

from rb_support.deploy.battle_routers import FactorizationRouter
from rb_support.outcomes import Outcomes, PartialOutcomes
from rb_support.preference.factorization import MatrixFactorization
from rb_support.routers import (
    ClusterRouter,
    CostAwareRouter,
    KNNRouter,
    ResultVectorRouter,
    RidgeRouter,
    ZeroRouter,
    knows_nothing,
    lambda_path,
    mean_cost,
    result_vectors,
)
from rb_support.routers.evidence import LEVEL
from rb_support.routers.prompt_clusters import BORDER, clusterings, memberships, profiles
from rb_support.studies import lineup
from rb_support.studies.fits import Asked, material, measure
from rb_support.studies.predictive import PLACEBO, compare, cross_validated

GROUPING = [ClusterRouter, ResultVectorRouter]
ALL = [*GROUPING, lambda: CostAwareRouter(KNNRouter(5)), lambda: CostAwareRouter(RidgeRouter())]


def frame(n):
    ids = [f"q{i:04d}" for i in range(n)]
    return pd.DataFrame({"sample_id": ids, "dataset": "D", "task": "t", "prompt": ids})


def topics(n, seed=0, signal=0.35, topics=2, models=2, dim=12):
    """Topics in directions of their own; every model is better on its topics, all as good on average."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, topics, n)
    X = np.eye(dim)[topic] + 0.3 * rng.normal(size=(n, dim)) / np.sqrt(dim)
    good = topic[:, None] % models == np.arange(models)
    quality = (rng.random((n, models)) < np.where(good, 0.5 + signal, 0.5 - signal)).astype(float)
    cost = np.geomspace(1e-4, 1e-3, models) * rng.lognormal(sigma=0.2, size=(n, models))
    return Outcomes(frame(n), quality, cost, tuple(f"m{j}" for j in range(models))), X


def without_signal(n, seed, models=3, dim=8):
    rng = np.random.default_rng(seed)
    quality = (rng.random((n, models)) < np.linspace(0.4, 0.7, models)).astype(float)
    cost = np.geomspace(1e-4, 1e-2, models) * rng.lognormal(sigma=1.0, size=(n, models))
    names = tuple(f"m{j}" for j in range(models))
    return Outcomes(frame(n), quality, cost, names), rng.normal(size=(n, dim))


def with_gaps(table, share=0.3, seed=0):
    gone = np.random.default_rng(seed).random(table.quality.shape) < share
    gone[:5] = False
    return PartialOutcomes(
        table.frame, np.where(gone, np.nan, table.quality), np.where(gone, np.nan, table.cost), table.models
    )


def vectors_of(table, seed=0, dim=6):
    """A vector a row; equal prompts have the same."""
    code = np.unique(table.frame["prompt"].to_numpy(dtype=str), return_inverse=True)[1]
    return np.random.default_rng(seed).normal(size=(code.max() + 1, dim))[code]


# Known truth.


@pytest.mark.parametrize("router", GROUPING)
def test_two_topics_on_which_two_models_swap_are_found(router):
    (train, X), (test, new) = topics(400), topics(400, seed=1)
    fitted = router().fit(train, X)
    best = test.quality[np.arange(400), fitted.predict(new).argmax(axis=1)].mean()
    assert best > 0.8 > 0.65 > test.quality.mean(axis=0).max()
    whole = material(*topics(600, seed=2))
    row = measure(Asked("made", "r", 0), whole, lambda seed: router(seed=seed))
    assert row["lead"] > 0.1 > row["placebo_high"]


def test_the_number_of_clusters_follows_the_topics_and_the_strength_the_noise():
    clear, X = topics(600, topics=8, models=4, dim=20)
    assert ClusterRouter().fit(clear, X).count >= 8
    faint, Y = topics(600, signal=0.1)
    assert ClusterRouter().fit(faint, Y).strength > ClusterRouter().fit(*topics(600, signal=0.49)).strength


def test_predictions_are_the_clusters_means_shrunk_as_told():
    train, X = topics(300)
    router = ClusterRouter((2,), (10.0,)).fit(train, X)
    side = X[:, 0] > X[:, 1]
    means = train.quality.mean(axis=0)
    for part in (side, ~side):
        wanted = means + (train.quality[part] - means).sum(axis=0) / (part.sum() + 10)
        assert router.predict(X[part]) == pytest.approx(np.tile(wanted, (part.sum(), 1)), abs=1e-9)


def test_a_vector_between_two_centers_belongs_to_both_and_a_small_step_changes_little():
    centers = np.eye(2)
    between = np.array([[1.0, 1.0]])
    assert memberships(between, centers) == pytest.approx(np.array([[0.5, 0.5]]))
    for step in (1e-12, 1e-6):
        moved = memberships(between + [[step, 0]], centers)
        assert abs(moved - 0.5).max() <= 4 * step / BORDER
    assert memberships(np.array([[1.0, 0.0]]), centers).tolist() == [[1.0, 0.0]]


def test_vectors_that_share_nothing_are_clustered_alike_whatever_the_last_digit_says():
    table, _ = topics(48)
    X = np.tile(np.eye(12), (4, 1))  # each as far from all others
    table = replace(table, frame=table.frame.assign(prompt=[f"p{i % 12:02d}" for i in range(48)]))
    rng = np.random.default_rng(0)
    for count, centers in clusterings(table, X, (2, 3), 0).items():
        for _ in range(5):
            again = clusterings(table, X + 1e-15 * rng.normal(size=X.shape), (2, 3), 0)[count]
            assert again == pytest.approx(centers, abs=1e-9)


def test_profiles_count_only_what_was_answered():
    member = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    about = np.array([[0.4, np.nan], [0.2, 0.6], [np.nan, -0.5]])
    assert profiles(member, about, 1.0) == pytest.approx(np.array([[0.6 / 3, 0.6 / 2], [0.0, -0.25]]))


# Nothing to be learnt.


@pytest.mark.parametrize("router", GROUPING)
def test_without_signal_they_stay_zero_routers_but_for_the_level(router):
    left = 0
    for seed in range(80):
        train, X = without_signal(90, seed)
        left += not knows_nothing(router(seed=seed).fit(train, X).predict(X))
    assert left <= binom.ppf(0.999, 80, LEVEL)


@pytest.mark.parametrize("router", [*GROUPING, lambda seed: CostAwareRouter(RidgeRouter(seed=seed))])
def test_shuffled_labels_give_no_lead(router):
    whole = material(*topics(200))
    leads = [
        measure(Asked("made", "r", seed, labels="shuffled"), whole, lambda seed: router(seed=seed))["lead"]
        for seed in range(10)
    ]
    assert np.mean(leads) < 0.02


def test_costs_that_the_vectors_tell_nothing_of_are_predicted_as_means():
    varied = 0
    for seed in range(80):
        train, X = without_signal(90, seed)
        router = CostAwareRouter(KNNRouter(10), seed=seed).fit(train, X)
        varied += router.cost_varies
        if not router.cost_varies:
            assert (router.predict_cost(X) == mean_cost(train)).all()
    assert varied <= binom.ppf(0.999, 80, LEVEL)


@pytest.mark.parametrize("cost", [0.0, 1e-12, 3.0])
def test_costs_that_do_not_vary_are_predicted_as_they_are(cost):
    train, X = topics(120)
    flat = replace(train, cost=np.full(train.cost.shape, cost))
    assert (CostAwareRouter(RidgeRouter()).fit(flat, X).predict_cost(X) == mean_cost(flat)).all()


# Degenerate tables.


@given(table=outcome_tables(max_models=6), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_any_table_is_fitted_and_predicted_within_bounds(table, seed):
    X = vectors_of(table, seed)
    for router in ALL:
        fitted = router().fit(table, X)
        quality = fitted.predict(X)
        assert quality.shape == table.quality.shape and ((quality >= 0) & (quality <= 1)).all()
        again = router().fit(table, X * (1 + 1e-15)).predict(X)
        assert again == pytest.approx(quality, abs=1e-6)
        if hasattr(fitted, "predict_cost"):
            cost = fitted.predict_cost(X)
            assert np.isfinite(cost).all() and (cost >= 0).all()
            assert cost.mean(axis=0) == pytest.approx(mean_cost(table), rel=1e-9, abs=1e-300)


@given(table=outcome_tables(min_rows=8, max_models=5), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_tables_with_gaps_are_fitted(table, seed):
    partial, X = with_gaps(table, seed=seed), vectors_of(table, seed)
    for router in ALL:
        fitted = router().fit(partial, X)
        assert np.isfinite(fitted.predict(X)).all()
        if hasattr(fitted, "predict_cost"):
            told = np.where(partial.answered, fitted.predict_cost(X), 0.0)
            means = told.sum(axis=0) / partial.answered.sum(axis=0)
            assert means == pytest.approx(mean_cost(partial), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("router", ALL)
def test_a_model_that_answered_nothing_is_named(router):
    train, X = topics(30)
    gone = np.where([False, True], np.nan, train.quality)
    with pytest.raises(ValueError, match="'m1' answered none of the 30"):
        router().fit(PartialOutcomes(train.frame, gone, gone, train.models), X)


# Invariances.


@given(seed=st.integers(0, 2**16))
@settings(max_examples=15, deadline=None)
def test_order_of_rows_and_models_does_not_matter(seed):
    table, X = topics(160, seed=seed % 7, topics=4, models=3)
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(160), rng.permutation(3)
    other = table.take(rows).select([table.models[j] for j in columns])
    for router in ALL:
        wanted, found = router().fit(table, X), router().fit(other, X[rows])
        assert found.predict(X) == pytest.approx(wanted.predict(X)[:, columns], abs=1e-9)
        if hasattr(wanted, "predict_cost"):
            usd = wanted.predict_cost(X)[:, columns]
            assert found.predict_cost(X) == pytest.approx(usd, rel=1e-6)


@pytest.mark.parametrize("router", GROUPING)
def test_gaps_at_random_lose_little(router):
    (train, X), (_, new) = topics(600), topics(300, seed=1)
    whole, partial = (router().fit(each, X).predict(new) for each in (train, with_gaps(train)))
    assert abs(whole - partial).mean() < 0.05
    assert (partial.argmax(axis=1) == whole.argmax(axis=1)).mean() > 0.95


# Models that training never saw.


@pytest.mark.parametrize(("shares", "tolerance"), [((0.0,), 1e-9), ((1.0,), 0.05)])
def test_a_model_added_by_its_results_is_predicted_as_one_fitted_with_the_others(shares, tolerance):
    """Exactly by memberships; where the map is learnt, as far as one model more changes that map."""
    table, X = topics(600, topics=6, models=6)
    table = replace(table, quality=np.round(0.5 * table.quality + 0.25, 2))
    known = ResultVectorRouter(shares).fit(table.select(table.models[:5]), X)
    added = known.with_model("m5", table.quality[:, 5], X)
    fitted = ResultVectorRouter(shares).fit(table, X)
    assert added.models == table.models and known.models == table.models[:5]
    assert (added.strength, added.count) == (fitted.strength, fitted.count) != (np.inf, 1)
    assert added.predict(X) == pytest.approx(fitted.predict(X), abs=tolerance)
    assert (added.predict(X)[:, :5] == known.predict(X)).all()


def test_a_new_model_is_found_where_it_is_good_from_few_results():
    (table, X), (test, new) = topics(600, topics=4, models=4), topics(300, seed=1, topics=4, models=4)
    known = ResultVectorRouter().fit(table.select(table.models[:3]), X)
    few = np.arange(80)
    told = known.with_model("m3", table.quality[few, 3], X[few]).predict(new)[:, 3]
    assert np.corrcoef(told, test.quality[:, 3])[0, 1] > 0.3
    with pytest.raises(ValueError, match="score at row 1"):
        known.with_model("m3", [0.5, np.nan], X[:2])


def test_a_learnt_map_tells_apart_what_one_cluster_holds_together(monkeypatch):
    """Prompts that mix two topics: results on the topics, weighed as mixed, which a regression finds."""
    monkeypatch.setattr(result_vectors, "COUNTS", (2,))
    rng = np.random.default_rng(0)
    share = rng.random((800, 1))
    X = np.hstack([share, 1 - share, 0.02 * rng.normal(size=(800, 4))])
    quality = np.hstack([share, 1 - share, 0.5 + 0.4 * (share - 0.5)])
    table = Outcomes(frame(800), quality, np.ones((800, 3)), ("a", "b", "c"))
    train, test = table.take(np.arange(600)), table.take(np.arange(600, 800))
    fitted = {shares: ResultVectorRouter(shares).fit(train, X[:600]) for shares in [(0.0,), (0.0, 1.0)]}
    still, moved = (((each.predict(X[600:]) - test.quality) ** 2).mean() for each in fitted.values())
    assert fitted[0.0, 1.0].share == 1 and moved < 0.5 * still
    c = fitted[0.0, 1.0].with_model("d", np.clip(1.2 * share[:600, 0] - 0.1, 0, 1), X[:600])
    assert np.corrcoef(c.predict(X[600:])[:, 3], share[600:, 0])[0, 1] > 0.97


# Costs.


def swapped_costs(n, seed=0):
    """Two models as good; on each of two topics the other one costs ten times as much, skewed."""
    table, X = topics(n, seed, signal=0.0)
    rng = np.random.default_rng([seed, 1])
    dear = (X[:, :1] > X[:, 1:2]) == [True, False]
    cost = np.where(dear, 1e-2, 1e-3) * rng.lognormal(-0.5, 1.0, size=(n, 2))
    better = np.array([0.4, 0.6])
    return replace(table, quality=(rng.random((n, 2)) < better).astype(float), cost=cost), X


@pytest.mark.parametrize("predictor", [RidgeRouter, ClusterRouter])
def test_only_a_cost_aware_router_saves_where_costs_follow_the_query(predictor):
    whole = material(*swapped_costs(900))
    aware, blind = (
        measure(Asked("made", "r", 0), whole, made)
        for made in (lambda seed: CostAwareRouter(predictor(seed=seed)), lambda seed: predictor(seed=seed))
    )
    assert aware["lead"] > 0.02 > blind["lead"]
    assert aware["lead"] > aware["placebo_high"] and not aware["constant"]


@pytest.mark.parametrize("predictor", [RidgeRouter, ClusterRouter, lambda: KNNRouter(40, shrink=True)])
def test_skewed_costs_are_predicted_by_their_mean(predictor):
    (train, X), (test, new) = swapped_costs(2000), swapped_costs(2000, seed=1)
    router = CostAwareRouter(KNNRouter(40), predictor()).fit(train, X)
    found = router.predict_cost(new)
    for side in (new[:, 0] > new[:, 1], new[:, 0] <= new[:, 1]):  # the median is e**-0.5 of the mean
        assert found[side].mean(axis=0) == pytest.approx(test.cost[side].mean(axis=0), rel=0.25)
    assert router.predict_cost(X).mean(axis=0) == pytest.approx(train.cost.mean(axis=0), rel=1e-9)


def test_no_model_is_predicted_cheaper_than_it_ever_was_beyond_the_scaling():
    train, X = topics(300)
    steep = replace(train, cost=np.clip(train.cost + 1e-2 * X[:, :1], 1e-5, None))
    router = CostAwareRouter(RidgeRouter()).fit(steep, X)
    low = router.predict_cost(np.vstack([X, -5 * X, 5 * X])).min(axis=0)
    assert router.cost_varies and (low > 0.5 * steep.cost.min(axis=0)).all()


# Where they are judged.


def test_comparisons_ask_a_router_for_its_costs():
    whole, vectors = swapped_costs(500)
    X = pd.DataFrame(vectors, index=whole.frame["sample_id"])
    train, test = whole.split(seed=0)
    routers = {"aware": CostAwareRouter(RidgeRouter()), "blind": RidgeRouter()}
    known, asked = (X.loc[part.frame["sample_id"]].to_numpy() for part in (train, test))
    found = compare(train, test, X, routers)
    fitted = routers["aware"].fit(train, known)
    path = lambda_path(fitted.predict(asked), fitted.predict_cost(asked)).on(test.quality, test.cost)
    assert (found.points("aware") == path(None)).all()
    assert "blind" in found.constant and "aware" not in found.constant and "aware" in found.placebos
    for each in (found, cross_validated(whole, X, routers, seed=0)):
        areas = each.honest_aiq(rng=np.random.default_rng(0))
        assert areas["aware"] - areas["blind"] > 0.02
        luck = each.placebo_leads("aware", rng=np.random.default_rng(0), draws=4)
        assert luck.max() < areas["aware"] - max(areas[zero] for zero in each.zeros)


def test_a_placebo_of_quality_alone_is_dealt_out_as_ever():
    """Costs ride along without a draw of their own, so that no number of a router without them changes."""
    train, X = topics(300)
    frame_of = pd.DataFrame(X, index=train.frame["sample_id"])
    found = compare(train, train, frame_of, {"KNN": KNNRouter(10)})
    predicted = KNNRouter(10).fit(train, X).predict(X)
    dealt = np.random.default_rng(3).permutation(predicted, axis=0)
    wanted = lambda_path(dealt, mean_cost(train)).on(train.quality, train.cost)(None)
    assert (found.placebos["KNN"](np.random.default_rng(3))(None) == wanted).all()
    assert PLACEBO in found.placebos and ZeroRouter().fit(train).on(train)(None).shape[1] == 2


def test_costs_in_any_unit_count_as_varying():
    quality = np.full((4, 2), 0.5)
    tiny = np.array([[1.0, 2.0], [1.0, 3.0], [1.0, 2.0], [1.0, 2.0]]) * 1e-12
    assert knows_nothing(quality, [1.0, 2.0]) and knows_nothing(quality, np.tile([1e-5, 1.0], (4, 1)))
    assert not knows_nothing(quality, tiny) and knows_nothing(quality, np.zeros((4, 2)))
    assert knows_nothing(quality, np.arange(4)[:, None] + [[0.0, 1.0]])  # what all models cost more


# The lineup.


@pytest.mark.parametrize(
    "name", ["clusters", "result-vectors", "carrot-knn", "carrot-ridge", "sw", "factorization"]
)
def test_the_lineup_makes_them_with_the_seed(name):
    table, X = topics(60)
    made = lineup.made(name)
    first, again = (made(3).fit(table, X).predict(X) for _ in range(2))
    assert made(3).seed == 3 and first.shape == table.quality.shape and (first == again).all()


def test_a_factorization_is_trained_on_as_many_battles_as_told(monkeypatch):
    sizes = []
    learn = MatrixFactorization.learn

    def watched(self, fought, names):
        sizes.append(len(fought.share))
        return learn(self, fought, names)

    monkeypatch.setattr(MatrixFactorization, "learn", watched)
    table, X = topics(60, models=3)
    FactorizationRouter(most=50).fit(table, X)
    assert sizes == [50] * 6
