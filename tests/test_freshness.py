"""Two folders of figures compared: what a reader would not see is no difference, what moved is named."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from typer.testing import CliRunner

from rb_support.__main__ import app
from rb_support.outcomes import Origin
from rb_support.report import Claim, Report
from rb_support.report.freshness import TOLERANCE, differences
from rb_support.verdicts import Fact

COSTS, HEIGHTS = np.array([1e-4, 2e-4, 4e-4, 1e-3]), np.array([0.2, 0.5, 0.6, 0.7])
AIQ = {"dataset": ["MMLU", "GSM8K"], "router": ["KNN (k=40)", "KNN (k=40)"], "aiq": [0.71, 0.62]}


def curve(costs=COSTS, heights=HEIGHTS, dataset="MMLU"):
    frame = pd.DataFrame({"usd_per_query": costs, "quality": heights})
    return frame.assign(dataset=dataset, router="Oracle")[["dataset", "router", "usd_per_query", "quality"]]


def made(folder, *, figure=None, table=None, tiers=None, timed=None, holds=True, name="rows", seed=0):
    """Folder of a notebook's figures, with one of them changed."""
    report = Report("03_predictive_routers", Origin("simulated", name), {"seed": seed}, seed, folder=folder)
    report.save_figure(plt.figure(), "rb-fig3", data=curve() if figure is None else figure)
    report.save_table(pd.DataFrame(AIQ | (table or {})), "rb-tab-aiq")
    report.save_table(pd.DataFrame({"model": ["a"], "rating": [1000.0]} | (tiers or {})), "rl-tabA")
    report.save_table(pd.DataFrame({"router": ["zero"], "requests_per_second": [timed or 10.0]}), "rl-tab7")
    statements = {
        key: Claim(statement=statement, where="sec. 5", rule="is so")
        for key, statement in {"wins": "KNN beats zero", "fast": "It is fast (this machine)"}.items()
    }
    report.claims(dict.fromkeys(statements, Fact(holds, "0.71 > 0.70")), statements)
    return folder / "simulated"


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return made(tmp_path_factory.mktemp("ours"))


def told(ours, folder, **changed):
    return [str(difference) for difference in differences(ours, made(folder, **changed))]


def test_another_run_says_the_same(ours, tmp_path):
    assert told(ours, tmp_path) == []


def test_vertices_on_an_edge_and_clock_times_are_no_difference(ours, tmp_path):
    """A hull gains a vertex by rounding; a clock never says the same twice."""
    middle = np.insert(COSTS, 1, 1.5e-4), np.insert(HEIGHTS, 1, 0.35)
    assert told(ours, tmp_path, figure=curve(*middle), timed=99.0) == []


def with_leads(heights=HEIGHTS, lead=0.1):
    """Curves, and below them rows of leads, as Figure 4 has them."""
    leads = curve()[["dataset", "router", "usd_per_query"]].assign(lead=[lead, -1e-16, 0.2, 0.3])
    return pd.concat([curve(heights=heights), leads], ignore_index=True)


def test_a_figure_of_curves_and_leads_is_compared_in_both(tmp_path):
    first, second, third = (tmp_path / name for name in "abc")
    made(first, figure=with_leads())
    rounded = with_leads()
    rounded["lead"] = rounded["lead"].replace(-1e-16, 0.0)
    assert told(first / "simulated", second, figure=rounded) == []
    [line] = told(first / "simulated", third, figure=with_leads(HEIGHTS + [0, 0.01, 0, 0]))
    assert line.startswith("rb-fig3: MMLU, Oracle, quality at usd_per_query 0.0002")
    [line] = told(first / "simulated", tmp_path / "d", figure=with_leads(lead=0.15))
    assert line == "rb-fig3: column 'lead', row 1 (MMLU, Oracle): 0.1 against 0.15"


def test_infinities_are_alike_and_hide_no_other_number(tmp_path):
    first = tmp_path / "a"
    made(first, table={"aiq": [np.inf, 0.62]})
    assert told(first / "simulated", tmp_path / "b", table={"aiq": [np.inf, 0.62]}) == []
    [line] = told(first / "simulated", tmp_path / "c", table={"aiq": [np.inf, 0.72]})
    assert "0.62 against 0.72" in line


def test_a_curve_that_moved_is_named_with_place_and_height(ours, tmp_path):
    higher = curve(heights=HEIGHTS + [0, 0.01, 0, 0])
    [line] = told(ours, tmp_path, figure=higher)
    assert line == "rb-fig3: MMLU, Oracle, quality at usd_per_query 0.0002: 0.5 against 0.51"
    [line] = told(ours, tmp_path, figure=curve(COSTS * [1, 1, 1, 1.1]))
    assert line == "rb-fig3: MMLU, Oracle, quality at usd_per_query 0.001: 0.7 against 0.685714"
    peak = np.insert(COSTS, 3, 4.01e-4), np.insert(HEIGHTS, 3, 0.65)  # a vertex that only they have
    [line] = told(ours, tmp_path, figure=curve(*peak))
    assert line == "rb-fig3: MMLU, Oracle, quality at usd_per_query 0.000401: 0.600167 against 0.65"
    assert told(ours, tmp_path, figure=curve(dataset="GSM8K")) == [
        "rb-fig3: GSM8K, Oracle is in one folder only", "rb-fig3: MMLU, Oracle is in one folder only",
    ]  # fmt: skip


def test_a_cell_that_moved_is_named_with_column_row_and_words(ours, tmp_path):
    [line] = told(ours, tmp_path, table={"aiq": [0.71, 0.63]})
    assert line == "rb-tab-aiq: column 'aiq', row 2 (GSM8K, KNN (k=40)): 0.62 against 0.63"
    [line] = told(ours, tmp_path, table={"aiq": [np.nan, 0.62]})
    assert line == "rb-tab-aiq: column 'aiq', row 1 (MMLU, KNN (k=40)): 0.71 against nan"
    [line] = told(ours, tmp_path, table={"router": ["KNN (k=40)", "KNN (k=80)"]})
    assert line == "rb-tab-aiq: column 'router', row 2 (GSM8K, KNN (k=40)): KNN (k=40) against KNN (k=80)"
    [line] = told(ours, tmp_path, table={name: cells[:1] for name, cells in AIQ.items()})
    assert line == "rb-tab-aiq: has another number of rows: 2 against 1"


@pytest.mark.parametrize(("part", "kind"), [("tiers", "exactly"), ("table", "trained")])
@pytest.mark.parametrize("factor", [0.5, 2])
def test_tolerance_is_that_of_the_items_kind(ours, tmp_path, part, kind, factor):
    moved = 1 + factor * TOLERANCE[kind]
    changed = {"rating": [1000.0 * moved]} if part == "tiers" else {"aiq": [0.71 * moved, 0.62]}
    assert len(told(ours, tmp_path, **{part: changed})) == (factor > 1)


def test_other_data_parameters_and_verdicts_are_told(ours, tmp_path):
    lines = told(ours, tmp_path, holds=False)
    assert lines == ["claims: 03_predictive_routers, KNN beats zero: holds against does not hold"]
    lines = told(ours, tmp_path, name="other rows", seed=1)
    assert "rl-tabA: its records name different data" in lines
    assert {line.rsplit(" ", 1)[1] for line in lines} == {"parameters", "seed", "data"}


def test_command_says_how_each_item_repeats(ours, tmp_path):
    run = CliRunner().invoke(app, ["compare", str(ours), str(made(tmp_path, table={"aiq": [0.7, 0.62]}))])
    lines = [line.split() for line in run.stdout.splitlines()]
    assert run.exit_code == 1
    assert ["rb-fig3", "exactly", "same"] in [line[:3] for line in lines]
    assert ["rb-tab-aiq", "trained", "differs"] in [line[:3] for line in lines]
    assert ["rl-tab7", "timed", "same"] in [line[:3] for line in lines]
    assert CliRunner().invoke(app, ["compare", str(ours), str(ours)]).exit_code == 0
    wrong = CliRunner().invoke(app, ["compare", str(ours), str(tmp_path)])
    assert wrong.exit_code == 2 and "has no claims.csv" in wrong.stderr
