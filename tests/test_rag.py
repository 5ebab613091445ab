"""Questions that ask for a search: the real table, all kinds of routers, and no lead by luck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources_made import searched, shelf
from tables_made import outcome_tables

from rb_support.load import load_retrieval
from rb_support.outcomes import Origin, Outcomes
from rb_support.report import panels, rag_figures
from rb_support.routers import RidgeRouter, model_points
from rb_support.simulate import simulate_rag
from rb_support.sources import load_search_qa
from rb_support.stats import Means
from rb_support.studies import rag, two_stage
from rb_support.studies.best_model import leads_over_best_model
from rb_support.studies.predictive import ZERO, ZERO_TRAINED, Comparison, compare_predictions
from rb_support.teach.answers.of_05 import choose

BY_COST, CHOSEN = "Cascade by cost, error 0.2", "Cascade chosen, error 0.2"


def _table(quality: np.ndarray, cost: list[float]) -> Outcomes:
    n, m = quality.shape
    frame = pd.DataFrame({"sample_id": [f"q{i}" for i in range(n)], "dataset": "D", "task": "t"})
    frame["prompt"] = [f"Which is {i}?" for i in range(n)]
    return Outcomes(frame, quality, np.tile(cost, (n, 1)), tuple(f"m{j}" for j in range(m)))


def _vectors(outcomes: Outcomes, columns: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(columns, index=outcomes.frame["sample_id"])


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    place = shelf(tmp_path / "data", monkeypatch)
    systems = {"gpt-4o": "ABCB", "gpt-4o-agent": "AABC", "llama-3.1-sonar-huge-128k-online": "CCAB"}
    place("search-qa", searched(systems, {"gpt-4o-agent": "1011"}))
    return load_search_qa()


def test_the_table_of_systems_reports_what_was_not_attempted_apart(made):
    table = rag.systems_table(made)
    assert table.index.tolist() == ["gpt-4o", "llama-3.1-sonar-huge-128k-online", "gpt-4o-agent"]
    assert table.loc["gpt-4o-agent"].tolist()[:4] == [0.5, 0.25, 0.25, 0.75]
    np.testing.assert_allclose(table["usd_per_1000"], 1000 * np.sort(made.cost.mean(axis=0)))


def test_another_fee_is_paid_for_searches_that_were_made_and_not_by_sonar(made):
    change = rag.at_fee(made, 0.105).cost - made.cost
    assert made.models == ("gpt-4o-agent", "gpt-4o", "llama-3.1-sonar-huge-128k-online")
    np.testing.assert_allclose(
        change, np.array([[1, 0, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0]]) * 0.1, atol=1e-12
    )


def test_what_notebook_05_asks_for(made, tmp_path):
    pd.testing.assert_frame_equal(load_retrieval("real").frame, made.frame)
    assert load_retrieval("real").origin.kind == "real"
    drawn = load_retrieval("simulated", 20, seed=1, time_sensitive_share=0.25)
    assert (len(drawn), int(drawn.frame["time_sensitive"].sum())) == (20, 5)
    made.to_csv(tmp_path / "mine.csv")
    assert load_retrieval(str(tmp_path / "mine.csv")).origin.kind == "own"
    with pytest.raises(ValueError, match="'simulated', 'real' or the path"):
        load_retrieval("reel")


def test_a_router_that_learns_nothing_in_any_fold_is_called_a_zero_router():
    outcomes = _table(np.random.default_rng(0).integers(0, 2, (40, 2)).astype(float), [1.0, 2.0])
    X = _vectors(outcomes, np.ones((40, 1)))
    found = rag.compare_kinds(outcomes, X, {"Ridge": RidgeRouter(seed=0)}, 0.2, folds=4, seed=0)
    table = found.table(rng=np.random.default_rng(0), draws=20).set_index("router")
    assert table.loc["Ridge", "finding"].startswith("a zero router")
    assert "Ridge" not in found.placebos and "Placebo" in found.placebos


def test_every_question_is_judged_by_routers_that_never_saw_it():
    quality = np.random.default_rng(0).integers(0, 2, (40, 2)).astype(float)
    outcomes, seen = _table(quality, [1.0, 2.0]), []

    class Spy:
        def fit(self, train, X):
            self.known = set(X[:, 0])
            return self

        def predict(self, X):
            assert not self.known & set(X[:, 0])
            seen.extend(X[:, 0])
            return np.zeros((len(X), 2))

    X = _vectors(outcomes, np.arange(40.0)[:, None])
    found = rag.compare_kinds(outcomes, X, {"Spy": Spy()}, 0.2, folds=4, seed=1)
    assert sorted(seen) == list(range(40))
    assert list(found.systems)[:3] == [ZERO, ZERO_TRAINED, "Spy"]
    assert list(found.systems)[-2:] == [BY_COST, CHOSEN]
    assert len(found.test) == 40


def test_a_chain_is_chosen_on_the_other_folds():
    """Model m1 is always right, m0 never: who learnt from other questions calls m1, at its cost."""
    outcomes = _table(np.tile([0.0, 1.0], (30, 1)), [1.0, 3.0])
    found = rag.compare_kinds(outcomes, _vectors(outcomes, np.ones((30, 1))), {}, 0.0, folds=3, seed=0)
    points = found.points("Cascade chosen, error 0")
    np.testing.assert_allclose(points[[0, -1]], [[1.0, 0.0], [3.0, 1.0]])


def test_a_router_that_knows_leads_and_one_that_does_not_stays_below_what_luck_reaches():
    rng = np.random.default_rng(3)
    right = rng.random(300) < 0.5
    outcomes = _table(np.column_stack([right, ~right, rng.random(300) < 0.6]).astype(float), [1.0, 1.0, 2.0])
    known, blind = outcomes.quality, rng.random((300, 3))
    comparison = compare_predictions(outcomes, outcomes, {"knows": known, "blind": blind})
    leads = leads_over_best_model(comparison, ["knows", "blind"], rng=rng)
    assert leads["knows"].low > 0.3 > leads["knows"].floor
    assert not (leads["blind"].low > 0 and leads["blind"].value > leads["blind"].floor)
    assert leads["blind"].n == 300


def test_a_lucky_policy_is_chosen_and_then_paid_for():
    """Of 200 blind policies the best looks better than the model; on the other half it is not."""
    rng = np.random.default_rng(5)
    outcomes = _table(rng.integers(0, 2, (120, 1)).astype(float), [1.0])
    luck = Means(np.ones((120, 200)), rng.integers(0, 2, (120, 200)).astype(float))
    comparison = Comparison(outcomes, {ZERO: model_points(outcomes), "lucky": luck})
    lead = leads_over_best_model(comparison, ["lucky"], rng=rng)["lucky"]
    assert luck(None)[:, 1].max() - outcomes.quality.mean() > 0.1
    assert lead.low <= 0 and lead.value < 0.08
    assert lead.floor == -np.inf


def test_news_matters_if_less_than_half_of_a_lead_is_left():
    index = pd.MultiIndex.from_product([["KNN", "MLP"], [0.0, 0.5]])
    fact = rag.news_matters(pd.Series([0.01, 0.05, -0.01, 0.03], index), ["KNN", "MLP"])
    assert fact.holds and "KNN +0.010 with none" in fact.words
    assert not rag.news_matters(pd.Series([0.03, 0.05, 0.0, 0.03], index), ["KNN", "MLP"]).holds


def test_who_searches_and_what_it_pays(made):
    assert rag.fees_paid(made) == {
        "gpt-4o-agent": pytest.approx(0.75 * 0.005),
        "llama-3.1-sonar-huge-128k-online": pytest.approx(0.005),
    }
    simulated = rag.fees_paid(simulate_rag(40, seed=0))
    assert set(simulated) == {"you.com-api", "perplexity/pplx-7b-online", "perplexity/pplx-70b-online"}
    assert simulated["you.com-api"] == 0.0049
    assert rag.fees_paid(replace(made, origin=Origin("own", "mine.csv"))) == {}


class _Knows:
    """Predicts the quality that it is given as vectors."""

    def fit(self, train, X):
        return self

    def predict(self, X):
        return X


def test_a_search_is_chosen_where_its_gain_pays_the_fee():
    outcomes = simulate_rag(200, seed=0)
    choice = rag.search_choice(outcomes, _vectors(outcomes, outcomes.quality), _Knows(), seed=0)
    assert choice is not None and choice.search == "you.com-api" and choice.memory == "gpt-4-1106-preview"
    both = [outcomes.models.index(model) for model in (choice.memory, choice.search)]
    more = np.diff(outcomes.cost.mean(axis=0)[both])[0]
    assert choice.price(0.0049, 2.0) == pytest.approx(more / 2, abs=5e-4)
    free, dear = choice.shares(-choice.usd, 0.05), choice.shares(1.0, 0.05)
    assert (dear == 0).all() and free["news"] > 0.5 > free["lasting facts"]
    own = replace(outcomes, origin=Origin("own", "mine.csv"))
    assert rag.search_choice(own, _vectors(own, own.quality), _Knows(), seed=0) is None
    assert rag.search_choice(outcomes.select(list(rag.fees_paid(outcomes))), None, _Knows(), seed=0) is None


def test_leading_names_those_that_were_found_to_lead():
    table = pd.DataFrame({"router": ["a", "b", "c"], "finding": ["leads", "no lead shown", "leads"]})
    assert rag.leading(table, ["c", "b"]) == "c" and rag.leading(table, ["b"]) == "none"


def test_the_exercise_on_two_stages_asks_for_what_the_package_does():
    rng = np.random.default_rng(0)
    quality, cost, wtp = rng.random((20, 3, 4)), rng.random((3, 4)), 0.7
    frame = pd.DataFrame(
        {"sample_id": [f"q{i}" for i in range(20)], "dataset": "D", "task": "t", "prompt": "?"}
    )
    costs = np.tile(cost.ravel(), (20, 1))
    test = Outcomes(frame, quality.reshape(20, 12), costs, tuple(f"m{j}" for j in range(12)))
    chosen = [choose(each, cost, wtp) for each in quality]
    index = [retriever * 4 + generator for retriever, generator in chosen]
    points = two_stage.in_sequence(quality.reshape(20, 12), cost.ravel(), 3, test)(None)
    ours = [cost.ravel()[index].mean(), test.quality[np.arange(20), index].mean()]
    assert np.abs(points - ours).max(axis=1).min() < 1e-12


def test_the_figures_of_notebook_05(made):
    fig, (ax,) = panels(1)
    choice = rag.SearchChoice("a", "b", np.array([0.0, 0.4, 0.6]), np.array(["x", "y", "y"]), 0.001)
    rag_figures.draw_choice(ax, choice, fee=0.009, wtp=0.02)
    assert ax.get_title(loc="left") + ax.get_title() == "33% searched"
    outcomes = simulate_rag(200, seed=0)
    found = rag.compare_kinds(outcomes, _vectors(outcomes, np.ones((200, 1))), {}, 0.2, seed=0)
    low, high = rag_figures.zoomed_figure(found, [BY_COST, CHOSEN], "RAG").axes[0].get_ylim()
    assert low == pytest.approx(found.test.points()[:, 1].max() - 0.2) and high > found.oracle[1]
    shares = pd.DataFrame(
        {"honest_minus_zero": [0.1, 0.2], "honest_low": [0.0, 0.1], "honest_high": [0.2, 0.4]}
    )
    shares.index = pd.MultiIndex.from_product([["KNN (k=40)"], [0.0, 0.5]])
    assert len(rag_figures.news_figure(shares, ["KNN (k=40)"], "").axes[0].containers) == 1


@settings(max_examples=25)
@given(outcome_tables(max_rows=24, max_models=15), st.sampled_from([1, 4]))
def test_own_tables_of_any_kind(outcomes, folds):
    X = _vectors(outcomes, np.random.default_rng(0).normal(size=(len(outcomes), 4)))
    found = rag.compare_kinds(outcomes, X, {"Ridge": RidgeRouter(seed=0)}, 0.2, folds=folds, seed=0)
    rng = np.random.default_rng(0)
    leads = leads_over_best_model(found, ["Ridge", BY_COST, CHOSEN], rng=rng, draws=20)
    assert all(np.isfinite(lead.value) for lead in leads.values())
    assert len(rag.systems_table(outcomes)) == len(outcomes.models)
