"""Studies and routers on tables as people have them: ties, few rows, one of everything, many models."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tables_made import outcome_tables

from rb_support.app.reproduce import reproduce
from rb_support.frontier import Curve, aiq, exceeds, hull, hull_indices
from rb_support.outcomes import Origin, Outcomes, TableError
from rb_support.report.claims import claims_of
from rb_support.routers import (
    KNNRouter,
    RidgeRouter,
    best_chains,
    best_order,
    break_even,
    budget_grid,
    chains,
    cross_judged,
    decide,
    judged_split,
    lambda_path,
    learned_cascades,
    oracle,
    rerank_table,
    searched,
)
from rb_support.routers.chains import Chain
from rb_support.stats import in_standard_errors
from rb_support.studies import best_model, cascades, dataset, luck, pilot, predictive, predictive_claims

ABOUT_NOTHING = 1e-17
RATES = np.array([0.0, 0.2, 0.5])
any_table = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def own(quality, cost=None, *, prompts=None, datasets=None, models=None):
    """Own table of (n, m) scores; model j costs j + 1 USD unless told otherwise."""
    quality = np.asarray(quality, dtype=float)
    n, m = quality.shape
    prompts = [f"prompt {i}" for i in range(n)] if prompts is None else prompts
    datasets = ["mine"] * n if datasets is None else datasets
    frame = pd.DataFrame({"dataset": datasets, "task": datasets, "prompt": prompts})
    frame.insert(0, "sample_id", [f"q{i}" for i in range(n)])
    cost = np.broadcast_to(np.arange(1.0, m + 1) if cost is None else np.asarray(cost, dtype=float), (n, m))
    names = models or tuple(f"m{j}" for j in range(m))
    return Outcomes(frame, quality, cost, names, Origin("own", "own.csv"))


def vectors(table, d=3):
    """Vectors by sample_id; equal prompts have equal ones."""
    code, _ = pd.factorize(table.frame["prompt"].str.strip())
    drawn = np.random.default_rng(0).normal(size=(code.max() + 1, d))
    return pd.DataFrame(drawn[code], index=table.frame["sample_id"])


# Gaps that are rounding


def test_a_gap_that_rounding_left_is_none():
    assert not exceeds(0.1 + 0.2, 0.3) and exceeds(0.3001, 0.3) and exceeds(np.inf, 0)
    assert exceeds([1e-15], [0.0]).all() and not exceeds([1e-15], [0.0], scale=1).any()
    assert len(hull([[1, 0.3], [2, 0.1 + 0.2], [3, 0.3 - 1e-16]])) == 1
    assert hull([[0.3, 0.5], [0.1 + 0.2, 0.9]]).tolist() == [[0.1 + 0.2, 0.9]]


def test_a_domain_of_one_cost_but_for_rounding_is_one_cost():
    """Joined to (c_min, 0) over a width of 1e-17, the better one would be halved."""
    assert aiq([[0.1 + 0.2, 0.8]], 0.3, 0.1 + 0.2) == 0.8
    curve = Curve(np.array([[0.1 + 0.2, 0.8], [1, 0.9]]))
    assert curve.at(0.3) == 0.8 and curve.at(0.29) == 0
    assert [part.row for part in curve.mixture(0.3)] == [0]


def test_no_router_pays_for_a_gap_that_is_rounding():
    predicted = np.array([[0.3, 0.1 + 0.2, 0.2]])
    assert len(lambda_path(predicted, [1, 5, 9]).breakpoints) == 0
    assert decide(predicted, [1, 5, 9], np.inf).tolist() == oracle(predicted, [[1, 5, 9]]).tolist() == [0]


def test_a_dearer_cascade_that_is_better_by_rounding_is_not_kept():
    found = [Chain((0,), 1.0, 0.3), Chain((1,), 2.0, 0.1 + 0.2)]
    assert best_chains(found) == found[:1]


def test_a_lead_that_is_rounding_is_used_up():
    assert break_even([0, 0.1, 0.2], [ABOUT_NOTHING, -ABOUT_NOTHING, 0]) == 0


def test_runs_that_do_not_vary_are_as_far_off_as_they_are():
    runs = np.array([[0.1 + 0.2, 1.0, 0.0], [0.3, 1.0, 0.2]])
    assert in_standard_errors(runs, [0.3, 0.5, 0.1]).tolist() == [0, np.inf, 0]


# Any table


@any_table
@given(outcome_tables(max_rows=24, max_models=15), st.integers(0, 3))
def test_predictive_studies_run_on_any_table(table, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        train, test = predictive.held_out(table, seed)
        assert train is test or len(train) + len(test) == len(table)
        routers = {"KNN": KNNRouter(5), "Ridge": RidgeRouter()}
        found = {"mine": predictive.compare(train, test, vectors(table), routers)}
        areas = predictive.aiq_table(found, rng=np.random.default_rng(0), draws=5)
        assert np.isfinite(areas[[*predictive.FORMATS]].drop(columns="placebo_high")).all(axis=None)
        assert areas[["aiq", "aiq_honest"]].stack().between(0, 1 + 1e-9).all()
        assert len(predictive.estimates(areas)) == len(areas)
        rng = np.random.default_rng(1)
        lucky = predictive.luck({"mine": (train, test)}, rng=rng, draws=2)
        assert np.isfinite(lucky).all(axis=None)
        curves = predictive.lead_curves(found, routers, rng=rng)
        assert np.isfinite(curves[["lead", "low", "high"]]).all(axis=None)
        reach = best_model.reach_table(found, [predictive.ZERO, *routers], rng=rng)
        assert (reach["usd_per_query"] >= 0).all() and not np.isinf(reach["honest_share_of_cost"]).any()
        if table.frame["prompt"].nunique() > 1:
            runs = [predictive.cross_validated(table, vectors(table), routers, seed=each) for each in (0, 1)]
            few = predictive.aiq_table({"mine": runs}, rng=rng, draws=5)
            assert np.isfinite(few[["honest_minus_zero", "honest_low", "honest_high"]]).all(axis=None)
        told = predictive_claims.evidence(areas, areas.head(0), found, lucky, areas, ["KNN"], rng=rng)
        assert told.keys() == claims_of("03_predictive_routers").keys()
        assert predictive.cautions({"mine": (train, test)})
        assert np.isfinite(predictive.curve_table(found)["quality"]).all()
        assert found["mine"].oracle_lead >= -1e-9
        domains, alone = predictive.out_of_domain(table, table.datasets)
        assert set(table.datasets) == {*domains, *(name for name in table.datasets if name in alone)}
        above = predictive.repeat_splits(table, vectors(table), {"KNN": KNNRouter(5)}, range(2))
        assert np.isfinite(above.to_numpy()).all()


@any_table
@given(outcome_tables(max_rows=24, max_models=15))
def test_the_pilot_study_runs_on_any_table(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        best = table.points()[:, 1].max()
        assert pilot.oracle_points(table)[-1, 1] >= best - 1e-9
        assert pilot.oracle_shares(table).sum().to_numpy() == pytest.approx(1)
        assert luck.solved_by(table).sum().to_numpy() == pytest.approx(1)
        rng = np.random.default_rng(0)
        assert len(luck.oracle_and_luck(table, rng=rng, draws=5)) == len(table.datasets) + 1
        share = pilot.share_two_to_five(table, 0.05, rng=rng, draws=5)
        assert share is None or 0 <= share.low <= share.high <= 1
        comparable, ratios = pilot.cost_ratios(*table.points().T, 0.05)
        assert np.isfinite(ratios).all() and (ratios[comparable] >= 1).all()
        assert len(pilot.points_by_dataset(table)) == len(table.datasets) * (len(table.models) + 1)
        assert pilot.task_means(table).empty and pilot.why_means_differ(table) == ""


@any_table
@given(outcome_tables(max_rows=16, max_models=15), st.integers(0, 3))
def test_cascades_run_on_any_table(table, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        rng = np.random.default_rng(seed)
        even = cascades.judge_error_study(table, RATES, rng=rng, steps=5, draws=5)
        assert 0 <= even["break_even_low"] <= even["break_even_high"] <= RATES[-1]
        compared = cascades.study(table, RATES, table.quality, steps=5)
        for name in compared.placebos:
            assert np.isfinite(compared.placebo_leads(name, rng=rng, draws=1)).all()
        areas = predictive.Comparison(table, compared.systems).table(rng=rng, draws=5)
        assert np.isfinite(areas[[*predictive.FORMATS]].drop(columns="placebo_high")).all(axis=None)
        reach = cascades.oracle_reach(compared)
        assert not np.isnan(list(reach.values())).any() and reach["gap"] > -1e-9
        assert min(cascades.largest_fall(compared, rate) for rate in RATES) >= 0
        assert np.isfinite(cascades.stopping_table(table, budget_grid(table.cost, 3))).all(axis=None)
        assert np.isfinite(rerank_table(table, RATES).drop(columns="dataset")).all(axis=None)


@settings(any_table, max_examples=12)
@given(outcome_tables(max_rows=12, max_models=15), st.integers(0, 3))
def test_orders_are_searched_on_any_table(table, seed):
    orders = cascades.compare_orders(table, 0.1, seed=seed, steps=5, at_random=2)
    assert all(np.isfinite(area) for area in orders.aiq().values())
    limit = max(table.points()[:, 1].argmax() / 2, table.points()[:, 0].min())
    assert (
        best_order(table.quality, table.cost, budget=limit, error_rate=0.1, longest=3).cost <= limit * 1.001
    )


@settings(any_table, max_examples=15)
@given(outcome_tables(max_rows=12, max_models=4), st.integers(0, 3))
def test_judges_are_trained_on_any_table(table, seed):
    X, (train, test) = vectors(table), predictive.held_out(table, seed)
    scores = cross_judged(table, X.to_numpy(), seed=seed)
    assert scores.shape == table.quality.shape and ((scores >= 0) & (scores <= 1)).all()
    judged = judged_split(train, test, X, seed=seed)
    assert np.isfinite(learned_cascades(train, judged[0], test, judged[1])(None)).all()
    by_t = cascades.threshold_table(table, scores, [0.3, 0.7])
    assert np.isfinite(by_t).all(axis=None)


# Few rows, one of everything


def test_one_repeated_prompt_is_judged_on_the_rows_learnt_from_and_said_so():
    table = own(np.eye(12, 2), prompts=["again"] * 12)
    parts = {"mine": predictive.held_out(table, 0)}
    assert parts["mine"] == (table, table) and "mine: no task has two different" in predictive.cautions(parts)
    areas = predictive.compare(table, table, vectors(table), {"KNN": KNNRouter(40)}).aiq()
    assert areas["KNN"] == pytest.approx(areas[predictive.ZERO])
    few = {"few": predictive.held_out(own(np.eye(12, 2)), 0)}
    assert predictive.cautions(few).startswith("few: fewer than 10 rows to judge on")
    many = {"many": predictive.held_out(own(np.eye(60, 2)), 0)}
    assert predictive.cautions(many) == "Every dataset is judged on rows that nothing was learnt from."


@pytest.mark.parametrize("rows", [1, 2, 6])
def test_few_rows_are_judged_by_as_many_judges_as_there_can_be(rows):
    table = own(np.eye(rows, 2))
    assert cross_judged(table, vectors(table).to_numpy()).shape == (rows, 2)


def test_one_dataset_has_no_domain_to_leave():
    table = own(np.eye(12, 2))
    assert predictive.out_of_domain(table, ["mine"]) == (
        {},
        "mine: no other dataset has other prompts to train on, so out of domain it cannot be judged.",
    )
    two = own(np.eye(12, 2), datasets=["a"] * 6 + ["b"] * 6)
    domains, alone = predictive.out_of_domain(two, ["a", "b"])
    assert alone == "" and [len(train) for train, _ in domains.values()] == [6, 6]


def test_one_model_is_the_zero_router_and_every_cascade():
    table = own([[1], [0], [1], [1]], models=("only",))
    systems = cascades.error_systems(table, RATES)
    assert set(predictive.Comparison(table, systems).aiq().values()) == {0.75}
    assert set(cascades.judge_error_study(table, RATES, rng=np.random.default_rng(0), draws=5).values()) == {
        0
    }
    assert pilot.strong_and_weak(table, "gpt-4-1106-preview", "claude-v1") == ("only", "only")


def test_free_answers_need_no_budget():
    table = own([[0, 1], [1, 0]], cost=[0, 0])
    assert (budget_grid(table.cost, 3) > 0).all()
    points = cascades.error_systems(table, RATES)["Cascade, error 0"](None)
    assert points[-1].tolist() == [0, 1]
    assert cascades.oracle_reach(predictive.Comparison(table, cascades.error_systems(table, RATES))) == {
        "share": 1,
        "gap": 0,
        "times": 1,
    }


# Own names and many datasets


def test_many_datasets_are_grouped_and_no_row_is_lost():
    names = ["big"] * 9 + ["middle"] * 5 + ["a", "b", "c", "c"]
    table = own(np.zeros((18, 2)), datasets=names)
    grouped = dataset.grouped(table, most=3)
    assert grouped.datasets == ("big", "middle", "other (3 datasets)")
    assert len(grouped) == 18 and len(grouped.of("other (3 datasets)")) == 4
    assert grouped.origin.notes == ("3 of 5 datasets, of 2 rows at most, are taken as one",)
    assert dataset.grouped(table, most=5) is table


def test_own_names_stand_among_the_datasets():
    counts = dataset.datasets_of(own(np.zeros((3, 1)), datasets=["support", "support", "MMLU"]))
    rows = counts.set_index("dataset")["rows"]
    assert rows["support"] == 2 and rows["MMLU"] == 1 and rows.sum() == 3


def test_strong_and_weak_are_the_tables_own_where_it_lacks_the_papers():
    table = own([[0, 1, 1], [0, 0, 1]], models=("cheap", "mid", "best"))
    assert pilot.strong_and_weak(table, "gpt-4-1106-preview", "mistralai/mixtral-8x7b-chat") == (
        "best",
        "cheap",
    )
    assert pilot.strong_and_weak(table, "mid", "cheap") == ("mid", "cheap")
    with pytest.raises(TableError, match="model 'typo' is not in the table"):
        pilot.strong_and_weak(table, "typo", "cheap")
    simulated = replace(table, origin=Origin("simulated", "made"))
    with pytest.raises(TableError, match="gpt-4-1106-preview"):
        pilot.strong_and_weak(simulated, "gpt-4-1106-preview", "cheap")


# Many models


def test_a_search_among_many_models_is_bounded():
    """60 models have some 12 million cascades of up to four; twelve, hull by hull, have 13,344."""
    rng = np.random.default_rng(0)
    cost = np.tile(np.geomspace(1e-5, 1e-2, 60), (40, 1))
    quality = (rng.random((40, 60)) < np.linspace(0.3, 0.9, 60)).astype(float)
    asked = searched(quality, cost)
    assert len(asked) == 12 and asked == sorted(set(asked))
    points = np.column_stack([cost.mean(axis=0), quality.mean(axis=0)])
    assert set(hull_indices(points)) <= set(asked)
    found = chains(quality, cost, error_rate=0.1)
    assert len(found) == 13_344 and {j for chain in found for j in chain.order} == set(asked)
    assert best_chains(found)[-1].quality >= quality.mean(axis=0).max() - 1e-9
    assert searched(quality[:, :12], cost[:, :12]) == list(range(12))
    straight = np.linspace(0.1, 0.9, 30)[None]  # all on the hull: some at even distances, with both ends
    some = searched(straight, np.linspace(1, 2, 30)[None] ** 2)
    assert len(some) == 12 and some[0] == 0 and some[-1] == 29


# Through the notebooks


@pytest.mark.notebook
def test_a_tiny_own_table_goes_through_the_notebooks(tmp_path):
    """Two models, twelve rows, two tasks of its own, equal means: each notebook says what it cannot show."""
    right = np.tile([[1.0, 0.0], [0.0, 1.0]], (6, 1))
    table = own(right, datasets=["support", "billing"] * 6, models=("strong", "weak"))
    table.to_wide().rename(columns={"task": "eval_name"}).to_csv(tmp_path / "own.csv", index=False)
    results = reproduce(
        ROOT / "notebooks",
        only=["00", "02", "03", "04"],
        data=str(tmp_path / "own.csv"),
        settings=["draws=5", "splits=1", "embedding=tfidf"],
        figures=tmp_path / "figures",
        build=tmp_path / "build",
    )
    assert {result.status for result in results} == {"done"}, [result.failure for result in results]
    (path,) = (tmp_path / "figures").rglob("rl-fig1c.json")
    record = json.loads(path.read_text())
    assert "no gap to recover" in record["note"]
