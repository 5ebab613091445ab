"""One query's walk through a cascade, and the sentences that notebook 04 fills from its numbers."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from tables_made import outcome_tables

from rb_support.outcomes import Origin, Outcomes
from rb_support.report.cascade_figures import draw_judge, draw_walk
from rb_support.routers import Cascade, budget_grid, cascade_name
from rb_support.simulate import simulate_outcomes
from rb_support.studies import cascade_walk, cascades, wording
from rb_support.studies.predictive import ZERO, Comparison


def table_of(quality: list[list[float]], cost: list[list[float]]) -> Outcomes:
    rows = [f"{i}" for i in range(len(quality))]
    frame = pd.DataFrame({"sample_id": rows, "dataset": "mine", "task": "mine", "prompt": rows})
    models = tuple("abcd"[: len(quality[0])])
    return Outcomes(frame, np.array(quality, float), np.array(cost, float), models, Origin("own", "made"))


THREE = table_of([[0, 0, 1], [1, 1, 1], [0, 1, 0]], [[1, 3, 9]] * 3)


@pytest.fixture(scope="module")
def simulated() -> Outcomes:
    return simulate_outcomes(600, seed=3).of("GSM8K")


def test_a_walk_worked_by_hand() -> None:
    """Wrong, wrong, right, error 0.1: 0.1 ends at a, 0.9 x 0.1 at b, the rest at c."""
    steps = cascade_walk.walk(THREE, 0, 0.1)
    assert steps["model"].tolist() == ["a", "b", "c"]
    assert steps["asked"].tolist() == pytest.approx([1, 0.9, 0.81])
    assert steps["ends"].tolist() == pytest.approx([0.1, 0.09, 0.81])
    assert steps["accepts"].tolist() == pytest.approx([0.1, 0.1, 0.9])
    assert steps["right"].tolist() == [False, False, True]
    assert steps["usd_so_far"].tolist() == [1, 4, 13]


@settings(deadline=None, max_examples=60)
@given(table=outcome_tables())
def test_a_walk_adds_up_to_the_cascades_expectation(table: Outcomes) -> None:
    for error in (0.0, 0.3, 1.0):
        usd, quality = Cascade.on(table).per_query([np.inf], error)
        for query in range(min(len(table), 3)):
            steps = cascade_walk.walk(table, query, error)
            assert steps["ends"].sum() == pytest.approx(1)
            assert steps["ends"] @ steps["quality"] == pytest.approx(quality[query, 0])
            assert steps["asked"] @ steps["usd"] == pytest.approx(usd[query, 0])


def test_runs_end_as_often_as_the_walk_says(simulated: Outcomes) -> None:
    steps, rng = cascade_walk.walk(simulated, 0, 0.3), np.random.default_rng(0)
    lengths = [len(cascade_walk.one_run(steps, 0.3, rng=rng)) for _ in range(2000)]
    shares = np.bincount(lengths, minlength=len(steps) + 1)[1:] / 2000
    assert np.abs(shares - steps["ends"]).max() < 4 * np.sqrt(0.25 / 2000)


def test_a_run_says_what_the_judge_says() -> None:
    run = cascade_walk.one_run(cascade_walk.walk(THREE, 0, 0.0), 0.0, rng=np.random.default_rng(0))
    assert run["answer"].tolist() == run["judge_says"].tolist() == ["wrong", "wrong", "right"]
    assert run["then"].tolist() == ["ask the next", "ask the next", "returned"]
    fooled = cascade_walk.one_run(cascade_walk.walk(THREE, 0, 1.0), 1.0, rng=np.random.default_rng(0))
    assert fooled[["answer", "judge_says", "then"]].to_numpy().tolist() == [["wrong", "right", "returned"]]


def test_the_last_answer_is_returned_whatever_the_judge_says() -> None:
    lost = table_of([[0, 0]], [[1, 2]])
    run = cascade_walk.one_run(cascade_walk.walk(lost, 0, 0.0), 0.0, rng=np.random.default_rng(0))
    assert run.iloc[-1][["judge_says", "then"]].tolist() == ["wrong", "returned"]


def test_the_most_telling_query_comes_first() -> None:
    assert cascade_walk.telling_queries(THREE)[0] == 0  # two wrong answers before the right one
    spoilt = table_of([[0, 1, 1], [0, 1, 0]], [[1, 3, 9]] * 2)
    assert cascade_walk.telling_queries(spoilt) == [1, 0]
    assert cascade_walk.telling_queries(table_of([[0], [1]], [[1], [1]])) == [0, 1]


def test_a_question_is_one_short_visible_line() -> None:
    table = table_of([[1]], [[1]])
    table.frame.loc[0, "prompt"] = "a\n\x1b" + "b" * 300
    assert cascade_walk.question(table, 0, 10) == r"a \x1bbbbb…"


def test_pictures_are_drawn_of_any_walk(simulated: Outcomes) -> None:
    fig = plt.figure()
    draw_walk(fig, cascade_walk.walk(simulated, 0, 0.1), "USD")
    bars = sum(bar.get_height() for bar in fig.axes[0].patches)
    assert bars == pytest.approx(1)
    other = plt.figure()
    draw_judge(other, Comparison(simulated, {}), budget_grid(simulated.cost, 5), 0.1, 0.01)
    assert "error 0.10" in other.axes[0].get_title(loc="left") + other.axes[0].get_title()
    plt.close("all")


def test_break_evens_say_where_there_is_none() -> None:
    rows = {"none": (0.0, 0.0, 0.0), "some": (0.114, 0.1, 0.13), "all": (0.8, 0.7, 0.8)}
    columns = ["break_even", "break_even_low", "break_even_high"]
    errors = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    assert cascades.break_evens(errors, np.array([0, 0.4, 0.8])) == {
        "none": "without any error",
        "some": "at 0.11 [0.10, 0.13]",
        "all": "by no error up to 0.8",
    }


def test_a_judge_is_worth_the_error_of_the_cascade_as_good() -> None:
    rates = {cascade_name(rate): rate for rate in (0.0, 0.1, 0.2)}
    areas = {
        **dict(zip(rates, (0.9, 0.8, 0.6), strict=True)),
        cascades.JUDGED: 0.7,
        cascades.JUDGED_ANY: 0.85,
    }
    aiq = pd.DataFrame({"dataset": "x", "router": list(areas), "aiq_honest": list(areas.values())})
    worth = cascades.judge_worth(aiq, rates, pd.Series({"x": 0.3}))
    assert worth.loc["x"].tolist() == pytest.approx([0.15, 0.05, 0.3])


def test_orders_are_summed_up_and_led(simulated: Outcomes) -> None:
    parts, rng = {"GSM8K": simulated}, np.random.default_rng(0)
    compared = {"GSM8K": cascades.compare_orders(simulated, 0.1, seed=0, steps=6, at_random=3, rng=rng)}
    row = cascades.order_summary(compared).loc["GSM8K"]
    assert row["random_low"] <= row["random"] <= row["random_high"]
    assert row[ZERO] == pytest.approx(compared["GSM8K"].aiq()[ZERO])
    leads = cascades.order_leads(parts, np.array([0.0, 0.5]), seed=0, steps=6)
    assert leads.index.tolist() == [("GSM8K", "best"), ("GSM8K", "cheapest first")]
    assert leads.loc[("GSM8K", "best"), 0.0] > leads.loc[("GSM8K", "best"), 0.5]


def test_the_papers_datasets_come_first() -> None:
    outcomes = simulate_outcomes(600, seed=3)
    assert list(cascades.shown_parts(outcomes, outcomes)) == ["MMLU", "MBPP", "GSM8K"]
    some = outcomes.take((outcomes.frame["dataset"] != "MBPP").to_numpy())
    assert list(cascades.shown_parts(outcomes, some))[:4] == ["MMLU", "MBPP", "GSM8K", "HellaSwag"]
    assert list(cascades.shown_parts(THREE, THREE)) == ["mine"]


def test_the_headline_is_the_mean_then_each() -> None:
    aiq = pd.DataFrame({"dataset": ["a", "b"], "router": cascade_name(0), "aiq": [0.8, 0.9]})
    ours, why = cascades.headline(aiq, ["a", "b"])
    assert ours.to_dict() == pytest.approx({"mean of the datasets": 0.85, "a": 0.8, "b": 0.9})
    assert "error 0 on a, b" in why


def test_of_many_numbers_the_ends_are_named() -> None:
    numbers = {"a": 0.3, "b": 0.1, "c": float("nan"), "d*": 0.2}
    assert wording.each(numbers, 1) == "from 0.1 on b to 0.3 on a"
    assert wording.shares(dict.fromkeys("abcd", float("nan"))) == "– on a, – on b, – on c and – on d"
    assert wording.each({"d*": -1.0}, 1, "+") == r"-1.0 on d\*"


def test_where_something_holds() -> None:
    assert wording.where(pd.Series({"a": True, "b": True})) == "everywhere"
    assert wording.where({"a": False, "b": True, "c": True}) == "on b and c, not on a"
    assert wording.listed([]) == "none"
