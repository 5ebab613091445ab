"""Notebook 00's evidence on a table worked by hand, and the plane that its widget draws."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from rb_support.outcomes import Origin, Outcomes
from rb_support.report import plot_hull, plot_without, use_style
from rb_support.report.claims import claims_of
from rb_support.studies.mathematics import evidence
from rb_support.studies.pilot import oracle_without


@pytest.fixture
def table():
    """Strong is right on the first two of four queries, weak on the third alone."""
    quality = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], dtype=float)
    frame = pd.DataFrame({"sample_id": list("wxyz"), "dataset": "D", "task": "t", "prompt": "p"})
    return Outcomes(frame, quality, np.array([[4.0, 1.0]] * 4), ("strong", "weak"), Origin("own", "test"))


def test_evidence_of_the_statements(table):
    runs = np.array([[2.4, 0.37], [2.6, 0.38]])
    found = evidence(table, runs, [2.5, 0.375], "strong", "weak")
    assert found.keys() == claims_of("00_routing_mathematics").keys()
    assert all(fact.holds for fact in found.values())
    assert found["above-the-strong"].words == "best possible 0.750, strong 0.500"
    assert found["zero-above-models"].words == "smallest lead 0.0000 over 2 models"


def test_a_coin_that_is_not_fair_is_found(table):
    runs = np.random.default_rng(0).normal([2.5, 0.4], 0.01, (200, 2))
    assert not evidence(table, runs, [2.5, 0.375], "strong", "weak")["half-and-half"].holds


def test_without_a_gap_there_is_no_random_half(table):
    runs = np.array([[2.4, 0.37], [2.6, 0.38]])
    found = evidence(table, runs, [2.5, 0.375], "weak", "weak")
    assert "random-half" not in found and found["above-the-strong"].holds is None


def test_plane_tells_hull_and_area():
    use_style()
    _, ax = plt.subplots()
    plot_hull(ax, [[5, 0.45], [1, 0.2], [3, 0.6]], (1, 5))
    assert ax.get_title("left") == "hull BC, AIQ 0.500"
    (line,) = ax.lines
    assert line.get_ydata()[[0, -1]] == pytest.approx([0.2, 0.6])
    assert [text.get_text() for text in ax.texts] == ["A", "B", "C"]
    full = ax.collections[-1].get_facecolor()
    assert full[0].tolist() == [1, 1, 1, 1] and full[1].tolist() == [0, 0, 0, 1]


def test_a_model_that_is_taken_away_moves_the_star(table):
    use_style()
    without = oracle_without(table)
    for taken, title in (
        ("nobody", "oracle 0.750, best model 0.500"),
        ("strong", "oracle 0.250 (-0.500), best model 0.250"),
        ("weak", "oracle 0.500 (-0.250), best model 0.500"),
    ):
        _, ax = plt.subplots()
        plot_without(ax, table, taken, without)
        assert ax.get_title("left") == title
    alone = table.select(["weak"])
    _, ax = plt.subplots()
    plot_without(ax, alone, "weak", oracle_without(alone))
    assert ax.get_title("left") == "oracle 0.250, best model 0.250"
