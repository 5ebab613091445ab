"""The leaderboard: known truth in made rows, examples by hand, and sentences where nothing can be shown."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from rows_made import rows_made
from scipy.stats import norm
from scipy.stats import t as student_t

from rb_support.catalog import GSM8K
from rb_support.load import load_outcomes
from rb_support.report import board_figures
from rb_support.stats import bootstrap_weights, simultaneous
from rb_support.studies import lineup
from rb_support.studies.fits import Asked, material
from rb_support.studies.leaderboard import (
    ALIKE,
    BEHIND,
    EVERY,
    LEADS,
    NONE,
    RECOVERED,
    SAME,
    allows,
    board,
    critical_difference,
    evidence,
    gap,
    gap_said,
    kind_of,
    largest_share_said,
    overall,
    settings,
    settings_said,
    times,
)
from rb_support.studies.sweep import row_of
from rb_support.studies.two_way import Cells
from rb_support.verdicts import decide

REAL = ("arc-challenge", "mbpp", "search-qa")
TRUE = {"leader": 0.08, "placebo": 0.0, "one": 0.0, "two": 0.0, "loser": -0.08}


def only(found, **where):
    """The one row of a table with some values."""
    rows = found[np.logical_and.reduce([found[name] == value for name, value in where.items()])]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.fixture(scope="module")
def rows():
    return rows_made(TRUE, REAL, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def found(rows):
    return board(rows)


@pytest.fixture(scope="module")
def boards():
    """Boards of other worlds, in each of which the same is true."""
    worlds = map(np.random.default_rng, range(40))
    return [board(rows_made(TRUE, REAL[:2], seeds=5, n=100, draws=120, rng=rng)) for rng in worlds]


def test_a_router_that_leads_is_found_and_nothing_else_is(found):
    assert set(found.loc[found["router"] == "leader", "finding"]) == {LEADS}
    assert set(found.loc[found["router"] == "loser", "finding"]) == {BEHIND}
    assert set(found.loc[~found["router"].isin(["leader", "loser"]), "finding"]) == {NONE}
    assert (found["kind"] == "real").all() and (found["seeds"] == 10).all() and (found["n"] == 200).all()
    assert found["is_null"].tolist() == (found["router"] == "placebo").tolist()
    assert ((found["low"] < found["point_low"]) & (found["point_high"] < found["high"])).all()


def test_a_board_is_the_same_however_its_rows_are_ordered(rows, found):
    mixed = board(rows.sample(frac=1, random_state=3))
    again = found[["table", "router"]].merge(mixed, on=["table", "router"])
    pd.testing.assert_frame_equal(found, again[found.columns])


def test_intervals_hold_for_all_cells_at_once_and_ranks_for_all_routers(boards):
    rank = {"leader": (1, 1), "placebo": (2, 4), "one": (2, 4), "two": (2, 4), "loser": (5, 5)}
    covered, ranked, null_leads = [], [], []
    for each in boards:
        true = each["router"].map(TRUE)
        covered.append(((each["low"] <= true) & (true <= each["high"])).all())
        first, last = (each["router"].map(lambda name, end=end: rank[name][end]) for end in (0, 1))
        ranked.append(((each["rank_low"] <= first) & (last <= each["rank_high"])).all())
        null_leads.append((each.loc[each["is_null"], "finding"] == LEADS).any())
    error = 2.5 * np.sqrt(0.95 * 0.05 / len(boards))
    assert np.mean(covered) >= 0.95 - error and np.mean(ranked) >= 0.95 - error
    assert np.mean(null_leads) <= 0.05
    assert (
        np.mean([(each.loc[each["router"] == "leader", "finding"] == LEADS).mean() for each in boards]) > 0.5
    )


def made_cells(rng, cells, *, seeds, prompts, splits, draws=400, blocks=128):
    """Cells whose true value is 0, with standard deviations of their noise from prompts and from splits."""
    effects = prompts * np.sqrt(blocks) * rng.normal(size=(cells, blocks))
    noise = splits * np.sqrt(seeds) * rng.normal(size=(cells, seeds))
    each = effects.mean(axis=1, keepdims=True) + noise
    asked = bootstrap_weights(blocks, draws, np.random.default_rng(0)) @ effects.T / blocks
    split = bootstrap_weights(seeds, draws, np.random.default_rng(1)) @ noise.T / seeds
    return Cells(each.mean(axis=1), asked + split, each)


WORLDS = 200


def coverage(intervals, **how):
    """Share of worlds in which all of 30 intervals hold."""
    found = (intervals(made_cells(np.random.default_rng(world), 30, **how)) for world in range(WORLDS))
    return np.mean([((low <= 0) & (high >= 0)).all() for low, high in (each.T for each in found)])


@pytest.mark.parametrize(("seeds", "splits"), [(10, 0.0), (10, 0.7), (3, 0.3), (1, 0.0)])
def test_two_way_intervals_cover(seeds, splits):
    covered = coverage(Cells.intervals, seeds=seeds, prompts=1.0, splits=splits)
    assert covered >= 0.95 - 2.5 * np.sqrt(0.95 * 0.05 / WORLDS)


def test_where_splits_are_all_there_is_a_bootstrap_of_few_would_not_cover():
    how = {"seeds": 10, "prompts": 0.5, "splits": 1.0}
    assert coverage(lambda cells: simultaneous(cells.value, cells.draws), **how) < 0.8
    assert coverage(Cells.intervals, **how) >= 0.89  # and nothing makes ten splits many


def test_two_way_intervals_by_hand():
    draws = np.tile([[0.0], [2.0]], (500, 1))
    one = Cells(np.array([1.0]), draws, np.array([[1.0]]))
    # One standard deviation of draws is what is shared; Student's with 1 / (1 / 127 + 1 / 999) degrees.
    half = student_t.isf(norm.sf(1), 1 / (1 / 127 + 1 / 999))
    np.testing.assert_allclose(one.intervals(), [[1 - half, 1 + half]])
    assert half == pytest.approx(1.004, abs=1e-3)
    # Splits 0 and 2: the variance of their mean is 1, of which a resample of two has half: 1 + 1 / 2 in all,
    # of which the prompts have 1 / 2.
    two = Cells(np.array([1.0]), draws, np.array([[0.0, 2.0]]))
    free = 1.5**2 / (1 / 1 + 0.5**2 / 127 + 1.5**2 / 999)
    np.testing.assert_allclose(two.intervals()[0, 1] - 1, np.sqrt(1.5) * student_t.isf(norm.sf(1), free))


def test_ranks_by_hand():
    """Leads 3, 2 and 0; a and b move against each other by .8, so that a - b by 1.6 and the others by .8."""
    parts = [row_by_hand("a", [3.0], 0.8), row_by_hand("b", [2.0], -0.8), row_by_hand("c", [0.0], 0.0)]
    found = board(pd.concat(parts))
    # One standard deviation is what all differences share: 1 is not beyond 1.6, 3 and 2 are beyond .8.
    assert found["rank"].tolist() == [1, 2, 3]
    assert found["rank_low"].tolist() == [1, 1, 3] and found["rank_high"].tolist() == [2, 2, 3]


def row_by_hand(router, leads, spread, table="mbpp"):
    """Rows of a router with given leads by seed, which all move up and down together."""
    row = rows_made({router: 0.0}, [table], seeds=len(leads), n=10, draws=2, shuffled=False)
    draws = [np.tile([lead - spread, lead + spread], 500) for lead in leads]
    return row.assign(lead=leads, lead_draws=draws, aiq_honest=leads)


def test_routers_that_are_all_alike_may_have_any_rank(rows):
    one = rows[rows["router"] == "one"]
    same = board(pd.concat([one.assign(router=name) for name in "abcd"]))
    assert (same["rank"] == 1).all() and (same["rank_low"] == 1).all() and (same["rank_high"] == 4).all()
    every = overall(same)
    assert np.isnan(every.p) and every.groups == (("a", "b", "c", "d"),) and (every.table["alike"] == 3).all()
    assert (every.table["mean_rank"] == 2.5).all()


def test_ranks_do_not_change_with_the_unit(rows, found):
    scaled = rows.assign(lead=10 * rows["lead"], lead_draws=[10 * each for each in rows["lead_draws"]])
    ranks = ["rank", "rank_low", "rank_high"]
    pd.testing.assert_frame_equal(board(scaled)[ranks], found[ranks])
    moved = rows.assign(lead=rows["lead"] + 1, lead_draws=[each + 1 for each in rows["lead_draws"]])
    pd.testing.assert_frame_equal(board(moved)[ranks], found[ranks])


def test_a_lead_that_luck_reaches_too_is_none(rows):
    lucky = rows["router"] == "leader"
    dealt = board(rows.assign(placebo_high=np.where(lucky, 0.5, rows["placebo_high"])))
    assert (dealt["finding"] != LEADS).all()
    shuffled = (rows["labels"] == "shuffled") & (rows["router"] == "two")
    control = board(rows.assign(lead=np.where(shuffled, 0.5, rows["lead"])))
    assert (control["finding"] != LEADS).all() and (control["shuffled_high"] == 0.5).all()
    without = board(rows[rows["labels"] == "true"])
    assert (without.loc[without["router"] == "leader", "finding"] == LEADS).all()
    assert without["shuffled"].isna().all() and not without["shuffled_leads"].any()


def test_shuffled_labels_that_lead_are_told(rows):
    swapped = rows.assign(labels=rows["labels"].map({"true": "shuffled", "shuffled": "true"}))
    found = board(swapped)
    assert found.groupby("router")["shuffled_leads"].all()["leader"]
    assert "3 of 15 on shuffled labels that leave the zero router lead" in allows(found)
    assert evidence(swapped, board(swapped), gap(swapped))["null-leads"].holds is False


def test_failed_fits_are_shown_and_the_others_stand(rows):
    where = (rows["router"] == "one") & (rows["table"] == "mbpp")
    broken = rows.assign(error=np.where(where & (rows["seed"] < 3), "ValueError: no such thing", ""))
    numbers = ["lead", "lead_draws", "constant", "n_test", "placebo_high", "aiq_honest"]
    broken[numbers] = broken[numbers].astype(object).where(broken["error"] == "", np.nan)
    found = board(broken)
    row = only(found, table="mbpp", router="one")
    assert row["finding"] == "failed: ValueError: no such thing (on 3 of 10 splits)"
    assert np.isnan([row["lead"], row["low"], row["rank"], row["aiq_honest"]]).all()
    assert only(found, table="mbpp", router="loser")["rank_high"] == 4
    assert overall(found).left_out == ("one",) and "Without numbers on some table: one." in allows(found)
    lacking = board(rows[~where | (rows["seed"] > 0)])
    assert only(lacking, table="mbpp", router="one")["finding"] == "failed: no fit on 1 of 10 splits"
    assert isinstance(board_figures.board_figure(found, overall(found)), Figure)


def test_zero_routers_are_named_so(rows):
    found = board(rows.assign(constant=rows["router"] == "leader"))
    assert set(found.loc[found["router"] == "leader", "finding"]) == {SAME}


def test_the_critical_difference_is_demsars():
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)  # his worked example
    assert critical_difference(5, 30) == pytest.approx(2.728 * np.sqrt(5 * 6 / 180), abs=0.002)
    assert np.isnan(critical_difference(1, 5))


def test_mean_ranks_and_groups_by_hand():
    """Three routers in the same order on ten tables: ranks 1, 2, 3, critical difference 2.343 sqrt(.2)."""
    found = pd.DataFrame(
        [
            {"kind": "own", "table": str(table), "router": router, "lead": lead, "finding": NONE}
            for table in range(10)
            for router, lead in (("c", 0.0), ("a", 2.0), ("b", 1.0))
        ]
    )
    every = overall(found)
    assert every.table["router"].tolist() == ["a", "b", "c"] and every.table["alike"].tolist() == [1, 2, 1]
    assert every.table["mean_rank"].tolist() == [1, 2, 3]
    assert every.critical == pytest.approx(1.048, abs=1e-3) and every.groups == (("a", "b"), ("b", "c"))
    assert every.chi2 == pytest.approx(20) and every.p == pytest.approx(np.exp(-10))


def test_simulated_tables_are_judged_apart(rows):
    both = pd.concat([rows, rows_made(TRUE | {"leader": 0.3}, ["simulated-mmlu"])])
    found = board(both)
    real = found[found["kind"] == "real"].reset_index(drop=True)
    pd.testing.assert_frame_equal(real, board(rows))
    assert int(overall(found).table["tables"].iloc[0]) == 3
    assert "On simulated tables 1 of 4 cells lead" in allows(found)
    kinds = [kind_of(name) for name in ("simulated-mmlu", "mbpp", "/tmp/mine.csv")]
    assert kinds == ["simulated", "real", "own"]


def test_shares_of_the_gap(rows):
    shares = gap(rows)
    row = only(shares, table="mbpp", router="leader")
    true = rows[(rows["table"] == "mbpp") & (rows["router"] == "leader") & (rows["labels"] == "true")]
    assert row["share"] == pytest.approx(true["lead"].mean() / 0.2) and row["gap"] == pytest.approx(0.2)
    assert set(shares.loc[shares["recovers"], "router"]) == {"leader"}
    assert "is recovered on 3 of 3 real tables: arc-challenge, mbpp and search-qa." in gap_said(shares)
    half = (row["high"] - row["low"]) / 2
    assert row["prompts"] == pytest.approx(200 * (half / RECOVERED) ** 2)
    less = gap(rows[rows["router"] != "leader"])
    assert "on none of 3" in gap_said(less) and "These rows do not allow more" in gap_said(less)
    nothing = gap(rows.assign(oracle_quality=rows["best_quality"]))
    assert nothing["share"].isna().all() and not nothing["recovers"].any()
    assert gap_said(nothing) == "On real tables no router has a share of the gap to the oracle."


def test_a_narrow_gap_that_nobody_recovers_is_excluded(rows):
    small = rows.assign(
        quality=rows["best_quality"] + rows["lead"] / 100,
        gain_draws=[each / 100 for each in rows["gain_draws"]],
    )
    assert "No interval reaches 14.4%" in gap_said(gap(small))
    assert evidence(small, board(small), gap(small))["gap"].holds is False


def varied(rows):
    """The rows of `leader` with other settings: fewer labels lose .05, k = 5 loses .1, TF-IDF nothing."""
    base = rows[(rows["router"] == "leader") & (rows["labels"] == "true")]

    def less(by, **changed):
        return base.assign(lead=base["lead"] - by, lead_draws=[e - by for e in base["lead_draws"]], **changed)

    parts = [less(0.05, share=0.1), less(0.1, router="leader(k=5)"), less(0.0, embedding="tfidf")]
    return pd.concat([rows, *parts])


def test_settings_are_paired_with_the_default(rows, found):
    rng = np.random.default_rng(5)
    several = varied(rows)
    noise = rng.normal(0, 0.01, (len(several), 1)) * (several["share"] < 1).to_numpy()[:, None]
    several["lead"] += noise[:, 0]
    several["lead_draws"] = [each + one for each, one in zip(several["lead_draws"], noise, strict=True)]
    changes = settings(several)
    mean = changes[changes["table"] == EVERY].set_index("what")
    assert mean["difference"].round(2).to_dict() == {"embedding": 0.0, "share": -0.05, "k": -0.1}
    assert mean.loc["share", "finding"] == "worse" and mean.loc["embedding", "finding"] == "not told"
    assert mean["value"].to_dict() == {"embedding": "tfidf", "share": "0.1", "k": "5"}
    assert mean.loc["k", "number"] == 5 and np.isnan(mean.loc["embedding", "number"])
    pd.testing.assert_frame_equal(board(several), found)  # which they are no part of
    assert len(changes) == 3 * 4 and settings(rows).empty
    assert isinstance(board_figures.settings_figure(changes, found["router"]), Figure)


def test_a_setting_whose_default_is_not_there_stands_on_the_board(rows):
    assert "leader(k=5)" in set(board(varied(rows)[lambda each: each["router"] != "leader"])["router"])


def test_times_are_medians(tmp_path):
    timings = pd.DataFrame(
        {
            "router": ["slow", "fast", "fast", "fast", "gone"],
            "seconds_fit": [9.0, 1, 2, 6, np.nan],
            "seconds_predict": [0.1, 0.01, 0.02, 0.03, np.nan],
        }
    )
    found = times(timings)
    assert found["router"].tolist() == ["slow", "fast"] and found["fits"].tolist() == [1, 3]
    assert found["seconds_fit"].tolist() == [9, 2] and found["seconds_predict"].tolist() == [0.1, 0.02]


def test_what_a_board_allows(found):
    told = allows(found)
    assert told.startswith("**3 of 12 cells lead over the zero router** (leader on arc-challenge, ")
    assert "3 of 12 cells are shown to lie behind it." in told
    null = "none of 3 cells of routers that know nothing and none of 15 on shuffled labels"
    assert f"{null} that leave the zero router lead." in told and "has a lead of" not in told
    assert "By mean rank leader is first (1.0)" in told
    assert "By its leads leader is shown to be the only first on 3 of 3." in told
    half = ((found["high"] - found["low"]) / 2)[~found["is_null"]].groupby(found["table"]).median()
    assert all(f"{each:.3f} on {table}" in told for table, each in half.items())


def test_of_shuffled_labels_those_count_that_could_lead_and_what_a_zero_router_gets_is_told(rows):
    still = rows["router"] == "two"
    shuffled = rows["labels"] == "shuffled"
    told = board(rows.assign(constant=still, lead=np.where(still & ~shuffled, -0.01, rows["lead"])))
    assert "none of 12 on shuffled labels that leave the zero router lead" in allows(told)
    assert "A router that never leaves a zero router has a lead of -0.010 to -0.010 here" in allows(told)


def test_evidence(rows, found):
    told = evidence(rows, board(rows), gap(rows), chosen="leader")
    assert decide(told["some-leads"], "some above")[0] == "holds" and len(told["some-leads"]) == 3
    assert told["null-leads"].holds and told["gap"].holds
    assert told["first-second"].holds is False  # their leads differ, whatever ranks on three tables can show
    others = told["chosen-knn"]
    assert {each.name for each in others} == {f"leader minus {name}" for name in ("one", "two", "loser")}
    assert decide(others, "above", level=-ALIKE)[0] == "holds"
    assert evidence(rows, board(rows), gap(rows))["chosen-knn"] == []
    noise = rows[~rows["router"].isin(["leader", "loser"])]
    less = evidence(noise, board(noise), gap(noise), chosen="one")
    assert less["first-second"].holds
    wide = rows.assign(gain_draws=[each.mean() + 4 * (each - each.mean()) for each in rows["gain_draws"]])
    assert evidence(wide, board(wide), gap(wide))["gap"].holds is None
    assert decide(less["some-leads"], "some above")[0] == "undecided"
    assert decide(less["chosen-knn"], "above", level=-ALIKE)[0] == "undecided"


def degenerate(rows):
    """Boards on which little or nothing can be shown."""
    single = rows[(rows["table"] == "mbpp") & (rows["router"] == "one") & (rows["seed"] == 0)]
    failed = pd.DataFrame([asdict(Asked("mbpp", name, 0)) | {"error": "E: no"} for name in "ab"])
    still = rows.assign(lead=0.1, lead_draws=[np.full(200, 0.1)] * len(rows))
    return {
        "one table": rows[rows["table"] == "mbpp"],
        "one seed": rows[rows["seed"] == 0],
        "one router": rows[rows["router"] == "one"],
        "one row": single,
        "null routers only": rows[rows["router"] == "placebo"],
        "all constant": rows.assign(constant=True),
        "nothing varies": still,
        "all failed": failed,
    }


@pytest.mark.parametrize("case", degenerate(pd.DataFrame(rows_made(TRUE, REAL, n=20, seeds=1))))
def test_degenerate_boards_give_sentences(rows, case):
    some = degenerate(rows)[case]
    found, shares = board(some), gap(some)
    every = overall(found)
    assert allows(found).endswith(".") and gap_said(shares).endswith(".") and "nan" not in allows(found)
    told = evidence(some, board(some), gap(some))
    assert set(told) == {"some-leads", "null-leads", "first-second", "gap", "chosen-knn"}
    if case not in ("one table", "one seed"):
        assert not (found["finding"] == LEADS).any()
    figures = [
        board_figures.board_figure(found, every),
        board_figures.critical_difference_figure(every),
        board_figures.leads_figure(found, "mbpp"),
        board_figures.settings_figure(settings(some)),
        board_figures.gap_figure(shares),
    ]
    for figure in figures:
        figure.draw_without_rendering()


def test_each_router_looks_the_same_in_every_figure(found):
    every = board_figures.router_looks(found["router"])
    assert every == board_figures.router_looks(reversed(found["router"].tolist()))
    assert len({(look["color"], look["marker"]) for look in every.values()}) == len(every)


def test_null_routers_never_lead_by_real_fits():
    """Boards of routers that know nothing, each on other rows of a table: none leads."""
    table = load_outcomes().of(GSM8K)
    for world in range(10):
        rng = np.random.default_rng(world)
        some = table.take(np.sort(rng.permutation(len(table))[:80]))
        given = material(some, rng.normal(size=(80, 8)))
        asked = [Asked("mine", name, seed) for name in lineup.NULL for seed in range(2)]
        found = board(pd.DataFrame([asdict(each) | row_of(each, given) for each in asked]))
        assert (found["kind"] == "own").all() and found["lead"].notna().all()
        assert not (found["finding"] == LEADS).any()


def test_what_settings_changed_in_words():
    columns = ["table", "router", "what", "value", "difference", "low", "high", "finding"]
    rows = [
        ("a", "knn", "k", "5", -0.1, -0.2, -0.05, "worse"),
        ("a", "knn", "k", "80", 0.02, -0.1, 0.1, "not told"),
    ]
    told = settings_said(pd.DataFrame(rows, columns=columns))
    assert "Of 2 changes none are shown" in told and "1 to be worse" in told
    assert "-0.1000 [-0.2000, -0.0500], of knn with k = 5" in told
    empty = pd.DataFrame([("a", "knn", "k", "5", np.nan, np.nan, np.nan, "not told")], columns=columns)
    assert settings_said(empty) == "No setting could be compared with what stands on the board."


def test_the_largest_share_in_words():
    row = dict(kind="real", table="mbpp", router="a", is_null=False, share=-0.1, low=-0.2, high=0.1)
    assert "No router gains anything" in largest_share_said(pd.DataFrame([row]))
    shown = largest_share_said(pd.DataFrame([row, {**row, "router": "b", "share": 0.05}]))
    assert "5.0% [-20.0%, 10.0%], of b on mbpp" in shown
