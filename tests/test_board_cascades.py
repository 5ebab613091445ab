"""Cascades beside a board: a lead worked out by hand, a judge who knows nothing, any table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from tables_made import outcome_tables

from rb_support.outcomes import Outcomes
from rb_support.report import cascade_figures
from rb_support.studies.board_cascades import BLIND, cascade_leads, leads_everywhere_up_to, said
from rb_support.studies.leaderboard import LEADS, NONE


def table(quality, cost):
    """A table of one task with these (n, m) scores and costs."""
    frame = pd.DataFrame({"dataset": "own", "task": "own"}, index=range(len(quality)))
    frame["prompt"] = frame["sample_id"] = [f"q{i:04}" for i in frame.index]
    models = tuple(f"m{j}" for j in range(quality.shape[1]))
    return Outcomes(frame, quality, np.broadcast_to(cost, quality.shape), models)


@pytest.fixture(scope="module")
def half_right():
    """A cheap model that is right on every other prompt, and one ten times as dear that always is."""
    quality = np.column_stack([np.arange(600) % 2, np.ones(600)])
    return table(quality.astype(float), [1.0, 10.0])


def test_a_perfect_judge_leads_by_what_is_worked_out_by_hand(half_right):
    """Hull (1, 1/2), (6, 1), (10, 1) against (1, 1/2), (10, 1): areas 31/36 and 3/4 over 9 USD."""
    [row] = cascade_leads({"half": half_right}, range(3), [0.0]).to_dict("records")
    assert row["lead"] == pytest.approx(1 / 9, abs=0.01)
    assert row["low"] < 1 / 9 < row["high"] and row["finding"] == LEADS and row["n"] == 600


def test_judgments_of_other_prompts_cost_what_is_worked_out_by_hand(half_right):
    """The chain of both then has (6, 3/4), and nothing better is there up to 10: an area of 49/72."""
    [row] = cascade_leads({"half": half_right}, range(3), [0.0]).to_dict("records")
    assert row["dealt"] == pytest.approx(49 / 72 - 3 / 4, abs=0.01)


def test_leads_fall_with_the_judges_errors_and_a_blind_one_has_none(half_right):
    found = cascade_leads({"half": half_right}, range(2))
    assert found["lead"].is_monotonic_decreasing
    blind = found[found["judge_error"] == BLIND].iloc[0]
    assert blind["lead"] == pytest.approx(0, abs=1e-3) and blind["finding"] == NONE


def test_on_twenty_tables_of_noise_a_blind_judge_never_leads():
    rng = np.random.default_rng(0)
    noise = {f"{i}": table(rng.integers(0, 2, (200, 3)).astype(float), [1.0, 3.0, 9.0]) for i in range(20)}
    found = cascade_leads(noise, range(2), [BLIND])
    assert (found["finding"] == NONE).all() and (found[["lead", "dealt"]] < 0.01).all(axis=None)


@given(outcome_tables())
@settings(max_examples=12)
def test_any_table_goes_through(made):
    found = cascade_leads({"made": made}, [0], [0.0, 0.2, BLIND])
    assert np.isfinite(found[["lead", "low", "high", "dealt"]]).all(axis=None)
    assert (found[["lead", "low"]].min(axis=1) <= found["high"] + 1e-12).all()
    cascade_figures.leads_figure(found, found.assign(router="ridge"))


def test_what_is_said_counts_tables():
    rates = [0.0, 0.2, BLIND]
    found = pd.DataFrame([(name, rate) for name in "ab" for rate in rates], columns=["table", "judge_error"])
    found["finding"] = [LEADS, LEADS, NONE, LEADS, NONE, NONE]
    found["dealt"] = [-0.04, -0.02, 0.0, -0.03, -0.03, 0.0]
    board = pd.DataFrame({"table": ["a", "b"], "finding": [NONE, LEADS]})
    assert said(found, board) == (
        "Of 2 tables, a cascade is shown to lead on 2 where it errs on 0% and 1 where it errs on 20% of the "
        "answers, and on none with one who tosses a coin. The same chains with judgments of other prompts' "
        "answers have leads of -0.040 to +0.000. A router that reads only the prompt leads on 1."
    )
    assert leads_everywhere_up_to(found) == 0.0
    assert leads_everywhere_up_to(found.assign(finding=NONE)) == "none"
