"""What notebook 09 puts on its board: tables by kind of data, rows beside others, the board for readers."""

import numpy as np
import pandas as pd
import pytest
from rows_made import rows_made

from rb_support.outcomes import Outcomes
from rb_support.paper import ITEMS
from rb_support.routers import RidgeRouter
from rb_support.simulate import simulate_outcomes
from rb_support.sources import SourceError
from rb_support.studies import board_run, leaderboard, lineup
from rb_support.studies.fits import Asked, material, measure
from rb_support.studies.sweep import Store, here


@pytest.fixture(scope="module")
def mine():
    """An own table of 200 prompts and three models, and its rows with vectors that say nothing."""
    table = simulate_outcomes(200, seed=1)
    table = table.select(table.models[:3])
    return table, material(table, np.random.default_rng(0).normal(size=(len(table), 4)))


def test_simulated_tables_are_drawn_alike_for_a_seed_and_are_named_so():
    first, again, other = (board_run.tables(seed=seed) for seed in (0, 0, 1))
    assert {len(table) for table in first.outcomes.values()} == {board_run.ROWS}
    assert first.origin.kind == "simulated" and not first.told
    ids = [
        {name: table.frame["sample_id"].tolist() for name, table in each.outcomes.items()}
        for each in (first, again, other)
    ]
    assert ids[0] == ids[1] != ids[2]
    whole = board_run.tables(scale="full").outcomes
    assert all(len(whole[name]) > board_run.ROWS for name in first.outcomes)


def test_an_own_table_is_the_only_one_and_its_lacks_are_told(tmp_path, mine):
    path = tmp_path / "mine.csv"
    mine[0].to_wide().to_csv(path, index=False)
    found = board_run.tables(str(path))
    assert list(found.outcomes) == [board_run.OWN] and len(found.outcomes[board_run.OWN]) == len(mine[0])
    assert found.origin.kind == "own"
    one = mine[0].frame.assign(prompt="the same")
    Outcomes(one, mine[0].quality, mine[0].cost, mine[0].models).to_wide().to_csv(path, index=False)
    assert "no task has two different prompts" in board_run.tables(str(path)).told[0]


def test_without_real_data_the_remedy_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("RB_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(SourceError, match="data fetch routerbench-slice"):
        board_run.tables("real")


def test_leads_by_split_and_sample_are_means_over_tables():
    rows = rows_made({"a": 0.05, "b": 0.0}, ("one", "two"), seeds=3, draws=400, shuffled=False)
    routers, leads = board_run.by_split_and_sample(rows)
    assert routers == ["a", "b"] and leads.shape == (2, 3, 401)
    mean = rows.groupby(["router", "seed"])["lead"].mean().unstack().to_numpy()
    assert np.allclose(leads[:, :, 0], mean)
    drawn = np.stack(rows.query("router == 'b' and seed == 2")["lead_draws"]).mean(axis=0)
    assert np.allclose(leads[1, 2, 1:], drawn)


def test_a_whole_board_asks_for_every_fit_once():
    asked = board_run.whole(["mbpp", "search-qa"], range(3))
    settings = len(board_run.NEIGHBOURS) + 2 * (1 + len(board_run.SHARES))
    assert len(set(asked)) == len(asked) == 2 * 3 * (2 * len(lineup.ROUTERS) + settings)


def test_own_routers_stand_on_a_board_with_true_and_shuffled_labels():
    asked = board_run.whole(["mbpp"], [0], ["mine.py:Mine", "ridge"])
    assert [each.labels for each in asked if each.router == "mine.py:Mine"] == ["true", "shuffled"]
    assert len(set(asked)) == len(asked) == len(board_run.whole(["mbpp"], [0])) + 2


def test_times_are_those_of_true_labels(mine, tmp_path):
    given = {("own", "minilm"): mine[1]}
    asked = [Asked("own", "ridge", seed, labels=labels) for seed in (0, 1) for labels in ("true", "shuffled")]
    store = Store(tmp_path)
    here(asked, given, store)
    assert len(board_run.timings(asked, given, store)) == 2


def test_who_is_first_where_nothing_was_looked_at_is_said_of_real_tables():
    seen, fresh = (
        rows_made({"a": 0.1, "b": 0.0}, ("mbpp",), seeds=5),
        rows_made({"a": -0.1, "b": 0.0}, ("mbpp",), seeds=5),
    )
    rows = pd.concat([seen, fresh.assign(seed=fresh["seed"] + 5)])
    two = pd.concat([rows, rows.assign(table="search-qa")])
    told = board_run.elsewhere(two, leaderboard.overall(leaderboard.board(two)))
    assert told.startswith("On the 5 splits that no setting was fixed on, b is first by mean rank (1.0);")
    every = leaderboard.overall(leaderboard.board(seen))
    assert board_run.elsewhere(seen, every) == board_run.elsewhere(rows.assign(table="own"), every) == ""


def test_the_other_embedding_is_one_that_the_tables_bear(mine):
    assert board_run.other_than("tfidf", []) == "minilm"
    assert board_run.other_than("minilm", [mine[0]]) == "tfidf"
    one = mine[0].take(np.arange(len(mine[0])) == 0)
    assert board_run.other_than("minilm", [mine[0], one]) == "length"


def test_a_router_stands_beside_the_others_with_what_it_measures(mine):
    rows = rows_made({"a": 0.0}, ("own",), seeds=2)
    failed = rows.iloc[:1].assign(seed=7, error="broken")
    found = board_run.beside(
        pd.concat([rows, failed]), "ridge", lambda seed: RidgeRouter(seed=seed), {("own", "minilm"): mine[1]}
    )
    added = found[found["router"] == "ridge"]
    assert added["seed"].tolist() == [0, 1] and (added["error"] == "").all()
    alone = measure(Asked("own", "ridge", 1), mine[1], lambda seed: RidgeRouter(seed=seed))
    assert added["lead"].iloc[1] == alone["lead"]


def test_the_board_for_readers_has_a_star_where_a_lead_counts_and_a_dash_where_none_is_known():
    rows = rows_made({"leader": 0.1, "same": 0.0, "broken": 0.0, "placebo": 0.0}, ("one", "two", "three"))
    broken = (rows["router"] == "broken") & (rows["table"] == "two")
    rows["error"] = np.where(broken, "no", "")
    board = leaderboard.board(rows)
    shown = board_run.view(board, leaderboard.overall(board)).set_index("router")
    assert list(shown.columns) == ["one", "two", "three", "mean_rank", "places"]
    assert shown.index[0] == "leader" and shown.index[-1] == "broken"
    assert shown.loc["leader", "one"].endswith(" ★") and "★" not in shown.loc["same", "one"]
    assert shown.loc["broken", "two"] == "–"


def test_every_item_of_the_board_has_a_note_and_what_was_looked_at_is_said_of_real_ones():
    items = {item.id for item in ITEMS.values() if item.notebook == "09_leaderboard"}
    real, simulated = (board_run.notes(10, kind) for kind in ("real", "simulated"))
    assert set(real) == set(simulated) == items
    assert board_run.SEEN in real["own-leaderboard"] and board_run.SEEN not in simulated["own-leaderboard"]
    assert all("{" not in note for note in real.values())
