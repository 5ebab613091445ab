"""The pilot study's numbers, worked by hand and on the real slice."""

import numpy as np
import pandas as pd
import pytest

from rb_support.outcomes import Origin, Outcomes
from rb_support.report.claims import claims_of
from rb_support.routers import model_points
from rb_support.simulate import simulate_outcomes
from rb_support.studies.best_model import cost_to_reach
from rb_support.studies.pilot import (
    MISTRAL,
    NOBODY,
    best_models,
    comparable_by_dataset,
    cost_ratios,
    evidence,
    model_table,
    notes,
    oracle_over_best,
    oracle_points,
    oracle_rows,
    oracle_shares,
    oracle_system,
    oracle_without,
    pooled_tables,
    price_ranks,
    share_two_to_five,
    task_means,
)
from rb_support.studies.predictive import ZERO, Comparison


@pytest.fixture
def table():
    """a is dear and right but once; b is cheap; query 4 is solved by nobody."""
    quality = np.array([[1, 1], [1, 0], [0.4, 0.2], [0, 0]], dtype=float)
    cost = np.array([[4, 1]] * 4, dtype=float)
    frame = pd.DataFrame(
        {"sample_id": list("wxyz"), "dataset": ["D", "D", "E", "E"], "task": "t", "prompt": "p"}
    )
    return Outcomes(frame, quality, cost, ("b-dear", "a-cheap"), Origin("own", "test"))


def test_oracle_rows(table):
    assert oracle_rows(table).tolist() == [[1, 1], [4, 1], [4, 0.4], [1, 0]]


def test_oracle_points(table):
    """At lambda 0 all go to the cheap one (1, .3); .2 for .2 more and 1 for 3 more are bought in turn."""
    np.testing.assert_allclose(oracle_points(table), [[1, 0.3], [1.75, 0.55], [2.5, 0.6]])


def test_oracle_shares(table):
    shares = oracle_shares(table)
    assert list(shares.index) == ["b-dear", "a-cheap", NOBODY]
    assert shares["D"].tolist() == [0.5, 0.5, 0]
    assert shares["E"].tolist() == [0.5, 0, 0.5]
    assert shares["all"].tolist() == [0.5, 0.25, 0.25]


def test_oracle_without_a_model(table):
    """Without b-dear a-cheap is left, .3 for 1; without a-cheap b-dear, .6 for 4."""
    found = oracle_without(table)
    np.testing.assert_allclose(found.loc["b-dear"], [0.3, 1, 0.3])
    np.testing.assert_allclose(found.loc["a-cheap"], [0.6, 4, 0.6])
    assert oracle_without(table.select(["a-cheap"])).empty


def test_how_sure_the_oracle_is_above_the_best_model(table):
    """b-dear is never below the oracle, which calls a-cheap on half of the queries: 1 for 4."""
    lead, share = oracle_over_best(table, "b-dear", rng=np.random.default_rng(0), draws=200)
    assert lead == (0, 0) and share[0] < 2.5 / 4 < share[1]
    free = Outcomes(table.frame, table.quality, table.cost * [0, 1], table.models, table.origin)
    assert oracle_over_best(free, "b-dear", rng=np.random.default_rng(0), draws=20)[1] is None


def test_best_models_of_equal_ones_the_cheapest(table):
    assert best_models(table).to_dict() == {"D": "b-dear", "E": "b-dear"}
    alike = Outcomes(table.frame, table.quality[:, :1] * [1, 1], table.cost, table.models, table.origin)
    assert set(best_models(alike)) == {"a-cheap"}


def test_price_ranks(table):
    assert price_ranks(table).to_dict() == pytest.approx({"D": 1, "E": 1})
    assert price_ranks(table.select(["b-dear"])).isna().all()


def test_model_table_says_nothing_of_the_papers_on_an_own_table(table):
    found = model_table({"t": table})
    assert found["model"].tolist() == ["b-dear", "a-cheap"] and found["usd_per_query"].tolist() == [4, 1]
    assert found["paper_quality"].isna().all()
    named = Outcomes(table.frame, table.quality, table.cost, ("claude-v1", MISTRAL), table.origin)
    assert model_table({"t": named})["paper_quality"].isna().all()


def test_model_table_of_two_tables():
    full = simulate_outcomes(400)
    found = model_table({"five": full.take(np.arange(400) < 200), "whole": full}).set_index("model")
    column = full.models.index(MISTRAL)
    assert found.loc[MISTRAL, "quality"] == pytest.approx(full.quality[:, column].mean())
    assert found.loc[MISTRAL, "quality_5_shot"] == pytest.approx(full.quality[:200, column].mean())
    assert found.loc[MISTRAL, "paper_quality"] == 0.3061


def test_notes_name_all_items(table):
    found = notes(table, table)
    assert found["rb-fig3"] == "The oracle's frontier has 3 vertices (on test, n = 4)."
    assert found["rb-fig6"] == "n: D 2, E 2" and found["rb-tab-models"] == ""


def test_comparable_pairs_by_dataset(table):
    found = comparable_by_dataset(table, 0.1)
    assert found.index.tolist() == ["D", "E"]  # an own table: no published means
    assert found.loc["E"].tolist() == [1, 4, 1] and found.loc["D", "pairs"] == 0
    assert "published means" in comparable_by_dataset(simulate_outcomes(200), 0.1).index


def test_cost_ratios():
    comparable, ratios = cost_ratios([1, 3, 9, 2], [0.5, 0.52, 0.9, 0.89], 0.05)
    assert np.flatnonzero(comparable).tolist() == [0, 5], "the first two, and the last two"
    assert ratios.tolist() == [3, 0, 0, 0, 0, 4.5]


def test_share_of_pairs_from_two_to_five(table):
    """In D both models score alike or differ by 1/2; in E one is .1 better: a pair of ratio 4."""
    rng = np.random.default_rng(0)
    assert share_two_to_five(table, 0.05, rng=rng) is None
    found = share_two_to_five(table, 0.1, rng=rng)
    assert found.value == 1 and "1 pairs" in found.name and "4.0" in found.name
    dear = Outcomes(table.frame, table.quality, table.cost * [2, 1], table.models, table.origin)
    assert share_two_to_five(dear, 0.1, rng=rng).value == 0
    assert share_two_to_five(table.select(["a-cheap"]), 0.1, rng=rng) is None


def test_what_the_best_models_quality_costs(table):
    """b-dear scores .6 for 4, a-cheap .3 for 1; the oracle has .3 for 1, .55 for 1.75, .6 for 2.5."""
    bounds = Comparison(table, {ZERO: model_points(table), "Oracle": oracle_system(table)})
    rng = np.random.default_rng(0)
    found = cost_to_reach(bounds, bounds.systems, (0.75, 1.0), rng=rng, draws=50)
    found = found.set_index(["router", "share_of_quality"])
    assert found.loc[(ZERO, 1.0), "usd_per_query"] == pytest.approx(4)
    assert found.loc[(ZERO, 0.75), "usd_per_query"] == pytest.approx(2.5)  # half of the way from .3 to .6
    assert found.loc[("Oracle", 1.0), "usd_per_query"] == pytest.approx(2.5)
    assert found.loc[("Oracle", 0.75), "share_of_cost"] == pytest.approx((1 + 0.75 * 0.6) / 4)


def test_evidence_of_the_statements_on_the_oracle(table):
    found = evidence({"t": table}, rng=np.random.default_rng(0), draws=50)
    assert found["oracle-near-perfect"][0].value == pytest.approx(0.6)
    assert found["oracle-cheap"][0].value == pytest.approx(2.5 / 4) and found["oracle-cheap"][0].n == 4
    assert "private-best" not in found and "mistral-cheap" not in found
    full = simulate_outcomes(400)
    found = evidence({"a": full, "b": full}, rng=np.random.default_rng(0), draws=200)
    assert found.keys() < claims_of("02_oracle_pilot_study").keys()
    cost, quality = full.points().T
    column, best = full.models.index(MISTRAL), quality.argmax()
    (first, second) = found["mistral-cheap"]
    assert first.value == second.value == pytest.approx(cost[column] / cost[best])
    assert found["mistral-worse"][0].value == pytest.approx(quality[best] - quality[column])
    alone = evidence({"a": full}, rng=np.random.default_rng(0), draws=200)["mistral-worse"][0]
    assert first.low < first.value < first.high
    assert found["mistral-worse"][0].high - found["mistral-worse"][0].low > alone.high - alone.low


def test_the_sample_of_the_published_table_stands_beside_three_real_tasks(shared_data, monkeypatch, table):
    from rb_support.load import load_outcomes

    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    tables = pooled_tables(load_outcomes("real"))
    assert [len(each) for each in tables.values()] == [3164, 365]
    assert list(pooled_tables(table).values()) == [table]


def test_published_oracle_column_agrees(shared_data, monkeypatch):
    """The published oracle column is what `free_abstention` picks."""
    from rb_support.routers import free_abstention
    from rb_support.sources import load_routerbench

    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    table = load_routerbench()
    choice, _ = free_abstention(table.quality, table.cost)
    ours = np.array([*table.models, NOBODY])[choice]
    published = table.frame["oracle_model_to_route_to"].to_numpy()
    assert (ours == published).mean() > 0.999
    for row in np.flatnonzero(ours != published):  # only rows that were two halves, each with its own oracle
        column = table.models.index(published[row])
        assert table.quality[row, column] == table.quality[row].max()


def test_task_means_of_the_real_rows_are_the_printed_ones(shared_data, monkeypatch):
    from rb_support.sources import load_routerbench

    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    means = task_means(load_routerbench("slice"))
    assert len(means) == 33 and means["difference"].abs().max() < 5.1e-4  # three digits are printed
    assert means.loc["mbpp, gpt-4-1106-preview", "paper"] == 0.686


def test_task_means_leave_out_what_is_not_printed(table):
    assert task_means(table).empty
