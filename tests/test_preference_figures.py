"""The preference study's figures: what is drawn, and a sentence where there is nothing to draw."""

import numpy as np
import pandas as pd
import pytest

from rb_support.outcomes import PairScores
from rb_support.report.preference_figures import calibration_figure, categories_figure, routers_figure
from rb_support.report.style import training_styles
from rb_support.studies.preference_study import WinRates, curve_table

SETS = ["D_arena", "D_arena + D_judge"]


def rates(strong=1.0, n=60, name="MMLU"):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"sample_id": [f"{name}.{i}" for i in range(n)], "dataset": name, "task": "t"})
    frame["prompt"] = [f"Question {i}" for i in range(n)]
    pairs = PairScores(frame, np.full(n, strong), 1.0 * (rng.random(n) < 0.5), "s", "w")
    told = {SETS[0]: rng.random(n), SETS[1]: pairs.strong - pairs.weak}
    return [WinRates(t, r, name, pairs, told[t]) for r in ("SW ranking", "BERT") for t in SETS]


def test_a_panel_has_one_router_its_training_sets_and_its_own_band():
    fig = routers_figure(curve_table([*rates(), *rates(name="GSM8K")]), SETS)
    panels = [ax for ax in fig.axes if ax.get_visible()]
    assert len(panels) == 4, "two benchmarks, two routers"
    lines = {line.get_label(): line for line in panels[0].get_lines()}
    assert {*SETS} < {*lines}
    assert [lines[name].get_linestyle() for name in SETS] == ["--", "-"]
    perfect = lines[SETS[1]].get_ydata()
    assert perfect[0] == perfect[-1] == pytest.approx(0) and max(perfect) == pytest.approx(0.5, abs=0.05)
    (legend,) = fig.legends
    assert {text.get_text() for text in legend.get_texts()} == {"random, 95%", *SETS}


def test_curves_say_how_far_random_orders_stray():
    table = curve_table(rates())
    ends = table.groupby(["router", "training"])[["pgr", "chance"]].agg(["first", "last"])
    assert ends["pgr"].to_numpy() == pytest.approx(np.tile([0, 1], (4, 1)))
    assert ends["chance"].to_numpy() == pytest.approx(0) and table["chance"].max() > 0.05
    assert (table["queries"] == 60).all()


def test_a_training_set_has_one_look_whatever_else_is_drawn():
    table = curve_table(rates())
    fig = routers_figure(table[table["training"] == SETS[1]], SETS)
    (line,) = [line for line in fig.axes[0].get_lines() if line.get_label() == SETS[1]]
    assert line.get_color() == training_styles(SETS)[SETS[1]]["color"]


def test_without_a_gap_a_sentence_stands_there():
    table = curve_table([*rates()])
    same = table.assign(pgr=np.nan, chance=np.nan)
    fig = routers_figure(same, SETS)
    assert all("no gap" in ax.texts[0].get_text() for ax in fig.axes)
    for fig in (
        routers_figure(table.iloc[:0], SETS),
        calibration_figure(pd.DataFrame(columns=["training", "router", "battles", "predicted", "won"])),
        categories_figure(pd.DataFrame(columns=["router", "category", "gap", "win_rate"]), unit="points"),
    ):
        assert len(fig.axes) == 1 and fig.axes[0].texts


def test_a_falling_line_over_the_categories_is_drawn_in_another_colour_than_a_rising_one():
    table = pd.DataFrame({"router": ["A"] * 3 + ["B"] * 3, "category": list("xyz") * 2, "gap": [0, 1, 2] * 2})
    fig = categories_figure(table.assign(win_rate=[3, 2, 1, 1, 2, 3]), unit="points")
    first, second = (ax.get_lines()[0] for ax in fig.axes)
    assert np.diff(first.get_ydata()) < 0 < np.diff(second.get_ydata())
    assert first.get_color() != second.get_color()
    assert [text.get_text() for text in fig.axes[0].texts] == list("xyz")


def test_calibration_counts_the_held_out_battles():
    bins = pd.DataFrame({"training": "D", "router": ["A", "A", "B"], "battles": [20, 21, 41]})
    fig = calibration_figure(bins.assign(bin=[1, 2, 1], predicted=[0.4, 0.6, 0.5], won=[0.5, 0.7, 0.6]))
    assert fig.axes[0].get_title(loc="left") + fig.axes[0].get_title() == "D (n = 41)"
