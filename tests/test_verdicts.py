"""Verdicts: each rule by hand, and claims as data."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from rb_support.report import claims
from rb_support.report.store import ReportError
from rb_support.sources import SOURCES
from rb_support.stats import simultaneous
from rb_support.verdicts import Estimate, Fact, Verdict, decide, exact

ABOVE, COVERS, BELOW = (Estimate(v, v - 0.02, v + 0.02, n=100) for v in (0.05, 0.01, -0.05))


@pytest.mark.parametrize(
    ("estimates", "rule", "expected"),
    [
        ([ABOVE], "above", ("holds", 0)),
        ([ABOVE, COVERS], "above", ("undecided", 400)),
        ([ABOVE, COVERS, BELOW], "above", ("does not hold", 0)),
        ([BELOW], "below", ("holds", 0)),
        ([ABOVE, BELOW], "below", ("does not hold", 0)),
        ([BELOW, COVERS], "some above", ("undecided", 400)),
        ([BELOW, COVERS, ABOVE], "some above", ("holds", 0)),
        ([BELOW], "some above", ("does not hold", 0)),
        ([], "above", ("no data", 0)),
    ],
)
def test_signs(estimates, rule, expected):
    assert decide(estimates, rule) == expected


@pytest.mark.parametrize(
    ("value", "half", "expected"),
    [
        (0.5, 0.03, ("holds", 0)),
        (0.52, 0.04, ("undecided", 178)),  # .03 to the margin: 100 (4/3)^2
        (0.425, 0.117, ("undecided", 2191)),  # covers the level, and yet is not about it
        (0.6, 0.02, ("does not hold", 0)),
    ],
)
def test_about_is_an_equivalence(value, half, expected):
    each = Estimate(value, value - half, value + half, n=100)
    assert decide([each], "about", level=0.5, margin=0.05) == expected


def test_none_above_asks_that_all_could_be_seen():
    small, wide = Estimate(0.0, -0.005, 0.005, n=100), Estimate(0.0, -0.05, 0.05, n=100)
    assert decide([small], "none above", margin=0.01) == ("holds", 0)
    assert decide([small, wide], "none above", margin=0.01) == ("undecided", 2500)
    assert decide([small, ABOVE], "none above", margin=0.01) == ("does not hold", 0)


def test_what_knowing_nothing_reaches_is_no_lead():
    lucky = Estimate(0.05, 0.03, 0.07, n=100, floor=0.06)
    assert decide([lucky], "above") == ("undecided", 0)  # more queries need not lift it above the floor
    assert decide([lucky], "none above", margin=0.01) == ("undecided", 0)
    assert decide([lucky, COVERS], "some above") == ("undecided", 400)
    assert "knowing nothing 0.060" in lucky.words()


def test_numbers_without_an_interval():
    assert decide([exact(0.1)], "above") == ("holds", 0)
    assert decide([Estimate(0.1, 0.1, 0.1, n=5)], "above") == (
        "undecided",
        0,
    )  # nothing varies: tells nothing
    assert decide([Estimate(np.nan, np.nan, np.nan, n=5)], "above") == ("undecided", 0)
    with pytest.raises(ValueError, match="Fact"):
        decide([ABOVE], "is so")


def test_a_claim_says_what_would_decide_it():
    claim = claims.Claim(statement="A beats B", where="sec. 1", needs="routerbench-0shot", assumed=True)
    none = claim.check(None, "real")
    assert (none["verdict"], none["needs"]) == (
        "no data",
        "python -m rb_support data fetch routerbench-0shot",
    )
    unsure = claim.check([COVERS], "real")
    assert (unsure["verdict"], unsure["needs"]) == ("undecided", "about 400 queries")
    assert claim.check([ABOVE], "real")["verdict"] == "holds"
    assert claim.check([ABOVE], "simulated")["verdict"] == "by construction"
    assert claim.check(Fact(np.bool_(False), "3 of 5"), "real")["verdict"] == "does not hold"
    assert claim.check(Fact(True, "seen elsewhere", "own"), "real")["data"] == "own"


def test_evidence_for_no_claim_is_refused():
    known = {"a": claims.Claim(statement="A", where="sec. 1")}
    with pytest.raises(ReportError, match=r"no claim is called b; there are a"):
        claims.check(known, {"b": ABOVE}, "real")


def test_simultaneous_intervals_hold_together():
    rng, missed = np.random.default_rng(0), 0
    for _ in range(400):
        estimates = rng.normal(size=8)
        low, high = simultaneous(estimates, estimates + rng.normal(size=(400, 8))).T
        missed += bool(((low > 0) | (high < 0)).any())
    assert 8 <= missed <= 34  # 5% of 400, three binomial standard deviations to either side


def test_simultaneous_intervals_of_what_does_not_vary():
    drawn = np.column_stack(
        [np.random.default_rng(0).normal(size=200), np.full(200, 2.0), np.full(200, np.nan)]
    )
    bounds = simultaneous([0.0, 2.0, np.nan], drawn)
    assert bounds[0, 0] < -1.5 and bounds[1].tolist() == [2, 2] and np.isnan(bounds[2]).all()


NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_statements_of_a_notebook_name_what_would_settle_them(notebook):
    statements = claims.claims_of(notebook)
    assert statements and len({claim.statement for claim in statements.values()}) == len(statements)
    assert {claim.needs for claim in statements.values()} - {""} <= set(SOURCES)
    ours = {claim.where for claim in statements.values()} - {"beyond the paper"}
    assert all(where.startswith(("RouterBench ", "RouteLLM ", "RouteLLM, ")) for where in ours)


def test_little_is_without_data_among_the_real_claims():
    rows = pd.read_csv(ROOT / "figures" / "real" / "claims.csv").fillna("")
    without = rows[rows["verdict"] == "no data"]
    assert len(rows) > 60 and len(without) <= 10
    assert without["needs"].str.startswith("python -m rb_support data fetch ").all()
    assert set(rows["verdict"]) <= set(get_args(Verdict))
