"""The pipeline in one call, and a run that is killed in the middle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rb_support.construct import demo, export, grading, loopback, tasks
from rb_support.construct.run import may_start, run
from rb_support.construct.store import Store
from rb_support.report.construction import live_steps
from rb_support.routers import model_points
from rb_support.studies.predictive import ZERO, Comparison


@pytest.fixture(scope="module")
def queries():
    return tasks.queries_of(tasks.demo_tasks(4, seed=3))


@pytest.fixture(scope="module")
def live():
    return demo.asked_live(4, seed=3)[0]


def test_a_killed_run_and_its_successor_give_the_table_of_an_undisturbed_one(
    tmp_path: Path, queries, live, capfd: pytest.CaptureFixture[str]
) -> None:
    slow = [loopback.SimulatedModel(**{**vars(model), "latency_s": 0.1}) for model in loopback.MODELS]
    with Store(tmp_path / "answers.db") as store, loopback.serve(queries, seed=3) as server:
        with loopback.serve(queries, seed=3, models=slow) as slower:
            demo.killed(queries, slower.models(), store, after=20)
        survived = store.answered()
        done = run(queries, server.models(), store, progress=False)
        grading.grade_store(store, queries, server.judge())
        table = export.to_outcomes(store, queries, list(live.models))
    calls = len(live.models) * sum(len(query.turns) for query in queries)
    assert 20 <= len(survived) < calls and done.answers == calls - len(survived)
    np.testing.assert_array_equal(table.quality, live.quality)
    np.testing.assert_array_equal(table.cost, live.cost)
    assert capfd.readouterr().err == ""  # no word of what the process left behind


def test_a_run_that_is_done_before_is_left_alone(tmp_path: Path, queries) -> None:
    with Store(tmp_path / "answers.db") as store, loopback.serve(queries) as server:
        demo.killed(queries[:3], server.models()[:1], store, after=1000)
        assert len(store.answered()) == sum(len(query.turns) for query in queries[:3])
        assert store.runs()["state"].tolist() == ["done"]


def test_what_is_asked_live_says_what_it_is(live, queries) -> None:
    assert live.origin.name == "8 tasks asked live, 4 models, seed 3" and live.origin.kind == "simulated"
    assert live.frame["sample_id"].tolist() == [query.sample_id for query in queries]
    assert not np.array_equal(live.quality, demo.asked_live(4, seed=4)[0].quality)


def test_the_steps_of_figure_1_are_counted(live, queries) -> None:
    rows = [(model, task.name, 4, 1) for model in live.models for task in tasks.demo_tasks(4, seed=3)]
    graded = pd.DataFrame(rows, columns=["model", "task", "answers", "refusals"])
    train, test = live.split(seed=0)
    system = {name: model_points(test) for name in (ZERO, "KNN (k=5)")}
    steps = live_steps(
        tasks.demo_tasks(4, seed=3), queries, graded, live, train, Comparison(test, system), "KNN (k=5)"
    )
    said = steps.set_index("step")["counts"].str.split("\n")
    turns = sum(len(query.turns) for query in queries)
    assert said["Models"] == ["4 models", f"{4 * turns} calls"]
    assert said["Grades"] == ["80 matched", "48 judged", "32 refusals"]
    assert said["Split"] == [f"{len(train)} rows to learn", f"{len(test)} to test"]
    assert said["Oracle"][0] == f"quality {test.quality.max(axis=1).mean():.2f}"
    assert said["AIQ"][0].removeprefix("KNN") == said["AIQ"][1].removeprefix("zero")


@pytest.mark.parametrize(
    ("worst", "spent", "reserved", "limit", "may"),
    [(1, 0, [], 1, True), (1, 0.5, [], 1, False), (1, 0, [1], 2, True), (1, 0, [1, 1], 2.5, False)],
)
def test_a_call_may_start_if_all_in_flight_could_come_to_their_worst(worst, spent, reserved, limit, may):
    assert may_start(worst, spent, reserved, limit) == may
    assert may_start(0.1, 0.1, [0.1], 0.1 + 0.2)  # sums that differ by rounding
