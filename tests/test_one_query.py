"""One query through the KNN router: its thought is the router's own, and so are the pictures of it."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from rb_support.catalog import MMLU
from rb_support.outcomes import Origin, Outcomes
from rb_support.report.query_figures import plot_choice, query_grid
from rb_support.routers import KNNRouter, decide, lambda_path, mean_cost
from rb_support.simulate import simulate_outcomes
from rb_support.studies.one_query import Thought, lambdas, most_moved, think

K = 12


@pytest.fixture(scope="module")
def rows() -> tuple[Outcomes, Outcomes, pd.DataFrame]:
    train, test = simulate_outcomes(900, seed=1).of(MMLU).split(seed=0)
    every = pd.concat([train.frame, test.frame])["sample_id"]
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(len(every), 5)), index=every)
    return train, test, X


def worked() -> Thought:
    """Three models on four neighbours, one of which counts by half."""
    neighbours = pd.DataFrame({"question": list("abcd"), "similarity": [0.9, 0.8, 0.7, 0.6]})
    scores = np.array([[1, 0, 1], [0, 0, 1], [0, 1, 1], [0, 0, 0]], dtype=float)
    return Thought(
        "Why?",
        ("dear", "middle", "cheap"),
        np.array([0.02, 0.01, 0.001]),
        neighbours.assign(weight=[1, 1, 1, 0.5]),
        scores[:, ::-1],
        np.array([1.0, 0.0, 0.0]),
    )


def test_a_thought_predicts_what_the_router_does(rows) -> None:
    train, test, X = rows
    known, asked = (X.loc[part.frame["sample_id"]].to_numpy() for part in (train, test))
    predicted = KNNRouter(K).fit(train, known).predict(asked)
    for row in (0, 7, len(test) - 1):
        one = think(train, test, X, row, K)
        assert one.predicted == pytest.approx(predicted[row])
        assert one.neighbours["weight"].between(0, 1).all() and one.neighbours["weight"].sum() >= 1
        assert one.neighbours["similarity"].is_monotonic_decreasing
        assert (one.outcome == test.quality[row]).all()
        for wtp in (0, 0.001, 0.01, 1):
            assert one.choice(wtp) == decide(predicted, mean_cost(train), wtp)[row]


def test_the_mean_is_weighed() -> None:
    one = worked()
    assert one.predicted == pytest.approx([3 / 3.5, 1 / 3.5, 1 / 3.5])
    assert one.by_price.tolist() == [2, 1, 0]


def test_stations_see_every_side_of_the_breakpoints(rows) -> None:
    train, test, X = rows
    for row in range(20):
        one = think(train, test, X, row, K)
        first, middle, last = one.stations
        assert first == 0 and one.choice(first) == one.path.start[0]
        assert one.choice(last) == one.choice(np.inf)
        if len(one.path.breakpoints) > 1:
            assert len({one.choice(first), one.choice(middle), one.choice(last)}) == 3
    alone = replace(worked(), scores=np.ones((4, 3)))
    assert len(alone.path.breakpoints) == 0 and len(set(alone.stations)) == 3


def test_the_query_that_moves_most_is_the_first_of_them() -> None:
    predicted = [[0.1, 0.2, 0.3], [0.2, 0.6, 0.7], [0.2, 0.6, 0.8], [0.9, 0.8, 0.7]]
    assert most_moved(lambda_path(predicted, [1, 2, 4])) == 0
    assert most_moved(lambda_path(predicted[::-1], [1, 2, 4])) == 1  # 0 never moves
    assert most_moved(lambda_path([[0.5, 0.5]], [1, 2])) == 0


def test_a_slider_has_round_values_and_those_given() -> None:
    path = lambda_path([[0.1, 0.23], [0.4, 0.9]], [0.001, 0.002])
    values = lambdas(path, 0.123456)
    assert values == sorted(set(values)) and values[0] == 0 and 0.123456 in values
    assert all(value == float(f"{value:.2g}") for value in values if value != 0.123456)


def test_the_grid_shows_right_and_wrong_from_cheap_to_dear() -> None:
    fig = query_grid(worked(), most=3)
    grid, below = fig.axes
    assert grid.images[0].get_array().shape == (3, 3)
    assert grid.images[0].get_array()[:, 0].tolist() == [1, 0, 0]  # the cheap one's
    assert [text.get_text() for text in below.texts] == ["0.29", "0.29", "0.86"]
    assert [label.get_text() for label in below.get_xticklabels()] == ["cheap", "middle", "dear"]
    assert "3 of 4 neighbours" in below.get_xlabel()
    plt.close(fig)


def test_long_and_strange_questions_are_cut() -> None:
    one = worked()
    one.neighbours.loc[0, "question"] = "Which\n of these " + "very " * 40
    one.neighbours.loc[1, "question"] = ""
    fig = query_grid(one)
    first, second, *_ = (label.get_text() for label in fig.axes[0].get_yticklabels())
    assert first.startswith("Which of these very") and first.endswith("…") and len(first) == 58
    assert second == "''"
    plt.close(fig)


@pytest.mark.parametrize(("wtp", "called", "place"), [(0, "cheap", 0), (0.04, "dear", 1)])
def test_the_choice_and_the_dot_follow_lambda(wtp: float, called: str, place: int) -> None:
    one, curve = worked(), [[0.001, 0.3], [0.02, 0.9]]
    path = lambda_path([one.predicted], one.cost)
    fig = plt.figure()
    plot_choice(fig, one, path, curve, wtp)
    above, below = fig.axes
    assert above.get_title(loc="left").endswith(called) or above.get_title().endswith(called)
    dot = next(line for line in below.get_lines() if line.get_marker() == "o")
    assert [dot.get_xdata()[0], dot.get_ydata()[0]] == curve[place]
    plt.close(fig)


def test_nothing_of_the_curve_is_cut_off() -> None:
    one, curve = worked(), [[0.0002, 0.3], [0.03, 0.9]]
    fig = plt.figure()
    plot_choice(fig, one, lambda_path([one.predicted], one.cost), curve, 0.01)
    low, high = fig.axes[1].get_xlim()
    assert low < 0.0002 and high > 0.03 and fig.axes[0].get_xlim() == (low, high)
    plt.close(fig)


def test_no_model_lies_above_the_line_through_the_one_that_is_called(rows) -> None:
    train, test, X = rows
    one = think(train, test, X, 3, K)
    for wtp in one.stations[1:]:
        chosen = one.choice(wtp)
        line = one.predicted[chosen] + (one.cost - one.cost[chosen]) / wtp
        assert (one.predicted <= line + 1e-9).all()


def test_one_model_and_few_rows_can_be_drawn() -> None:
    frame = pd.DataFrame({"sample_id": ["a", "b"], "dataset": "d", "task": "t", "prompt": ["x", "y"]})
    table = Outcomes(frame, np.array([[1.0], [0.0]]), np.zeros((2, 1)), ("m",), Origin("own", "made"))
    one = think(table, table, pd.DataFrame(np.eye(2), index=["a", "b"]), 0, 40)
    fig = query_grid(one)
    plot_choice(plt.figure(), one, one.path, [[0.0, 0.5]], 0.5)
    assert one.predicted == pytest.approx([0.5]) and len(fig.axes) == 2
    plt.close("all")
