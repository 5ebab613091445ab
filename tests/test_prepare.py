"""Preparation of battles on tables small enough to check by hand; blocks of cosines against the whole."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rb_support.outcomes import Battles, Origin, PairScores, TableError
from rb_support.preference import battle_sets
from rb_support.preference.battle_sets import (
    decontaminate,
    gold_battles,
    hold_out,
    join,
    nearest,
    prune_short,
    relabel,
)
from rb_support.sources import load_pairs

NAMES = {"best": "tier 0", "good": "tier 1", "also good": "tier 1", "weak": "tier 2", "last": "tier 3"}


def table(prompts, *, kind="own", name="votes", models=(("best", "weak"),), **columns):
    a, b = zip(*(models * len(prompts))[: len(prompts)], strict=True)
    frame = pd.DataFrame({"prompt": prompts, "model_a": a, "model_b": b, "winner": "model_a"})
    return Battles(
        frame.assign(**columns), Origin(kind, name, ((f"{name}.csv", "ab12"),), (f"note of {name}",))
    )


def test_short_prompts_are_pruned_and_counted():
    kept = prune_short(table(["x" * 15, "y" * 16, "z" * 17]))
    assert kept.frame["prompt"].tolist() == ["y" * 16, "z" * 17]
    assert kept.origin.notes == (
        "note of votes",
        "1 of 3 battles with a prompt shorter than 16 characters were left out",
    )
    assert len(prune_short(table(["x" * 15, "y" * 16]), characters=15)) == 2
    with pytest.raises(TableError, match="no row is taken"):
        prune_short(table(["short"]))


@given(st.lists(st.integers(0, 6), min_size=2, max_size=30), st.data())
def test_held_out_prompts_are_wholly_held_out(numbers, data):
    n = data.draw(st.integers(1, len(numbers) - 1))
    battles = table([f" prompt {number}" + " " * (row % 2) for row, number in enumerate(numbers)])
    battles = Battles(battles.frame.assign(row=range(len(numbers))))
    sizes = np.bincount(numbers)
    if len(set(numbers)) == 1 or sizes[sizes > 0].min() > n:
        with pytest.raises(TableError, match="cannot be held out"):
            hold_out(battles, n, rng=np.random.default_rng(0))
        return
    train, validation = hold_out(battles, n, rng=np.random.default_rng(0))
    assert not {*train.frame["prompt"].str.strip()} & {*validation.frame["prompt"].str.strip()}
    assert sorted([*train.frame["row"], *validation.frame["row"]]) == list(range(len(numbers)))
    assert validation.frame["row"].is_monotonic_increasing
    assert 0 < len(validation) <= n
    if sizes.max() == 1:
        assert len(validation) == n


def test_the_draw_is_random_but_not_by_row():
    prompts = [f"prompt {number}" for number in range(50)]
    drawn = [hold_out(table(prompts), 10, rng=np.random.default_rng(seed))[1] for seed in (0, 1)]
    backwards = hold_out(table(prompts[::-1]), 10, rng=np.random.default_rng(0))[1]
    assert set(drawn[0].frame["prompt"]) == set(backwards.frame["prompt"])
    assert set(drawn[0].frame["prompt"]) != set(drawn[1].frame["prompt"])


FIGHTS = (("best", "weak"), ("good", "also good"), ("last", "good"), ("best", "unheard of"))


def test_models_become_tiers_and_inner_battles_go():
    battles = table([*"abcd"], models=FIGHTS, weight=[1.0, 2, 3, 4])
    tiered = relabel(battles, NAMES, drop_unknown=True)
    assert tiered.frame[["model_a", "model_b"]].to_numpy().tolist() == [
        ["tier 0", "tier 2"],
        ["tier 3", "tier 1"],
    ]
    assert tiered.weight.tolist() == [1, 3]
    assert tiered.origin.notes[1:] == (
        "1 of 4 battles of models without a class were left out",
        "1 of 3 battles inside one class were left out",
    )


def test_classes_strong_and_weak():
    names = {"best": "strong", "good": "strong", "also good": "strong", "weak": "weak"}
    pair = relabel(table([*"abcd"], models=FIGHTS), names, drop_unknown=True)
    assert pair.models == ("strong", "weak")
    assert pair.frame["prompt"].tolist() == ["a"]


def test_battles_of_unknown_models_are_refused():
    battles = table([*"abcd"], models=FIGHTS)
    with pytest.raises(TableError, match="votes: no class is named for unheard of; .*drop_unknown=True"):
        relabel(battles, NAMES)
    with pytest.raises(TableError, match="no class is named for a0, a1, a2, a3, a4 and others"):
        relabel(table([*"abc"], models=tuple((f"a{i}", f"a{i + 3}") for i in range(3))), {})
    with pytest.raises(TableError, match="no rows"):
        relabel(battles, {}, drop_unknown=True)


def pair_scores(strong, weak, **parts):
    rows = [str(row) for row in range(len(strong))]
    frame = pd.DataFrame(
        {"sample_id": rows, "dataset": "own", "task": "own", "prompt": [f"q{r}" for r in rows]}
    )
    return PairScores(frame, np.array(strong, float), np.array(weak, float), "gpt-4", "mixtral", **parts)


def test_golden_labels_decide_battles():
    graded = gold_battles(pair_scores([9.0, 5.5, 2], [8.5, 5.5, 10], scale=(1, 10)))
    assert graded.frame["winner"].tolist() == ["model_a", "tie", "model_b"]
    assert graded.frame["prompt"].tolist() == ["q0", "q1", "q2"]
    assert graded.models == ("gpt-4", "mixtral")
    assert graded.share.tolist() == [1, 0.5, 0]
    assert "comparing the scores" in graded.origin.notes[-1]


def test_golden_battles_of_the_real_pair(shared_data, golden, tmp_path, monkeypatch):
    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path))
    expected = golden("routellm_data.json")["gsm8k"]
    counts = gold_battles(load_pairs("routellm-gsm8k")).frame["winner"].value_counts()
    assert counts["model_a"] == expected["strong_only"]
    assert counts["model_b"] == expected["weak_only"]
    assert counts["tie"] == expected["both"] + expected["neither"]


def test_join_keeps_what_all_tables_say():
    arena = table(["a", "b"], kind="real", name="arena", country=["NL", "CH"])
    judge = table(["c"], kind="real", name="judge", score=[0.75], weight=[2.0])
    both = join(arena, judge)
    assert both.frame["prompt"].tolist() == ["a", "b", "c"]
    assert "country" not in both.frame.columns
    assert both.share.tolist() == [1, 1, 0.75]
    assert both.weight.tolist() == [1, 1, 2]
    assert both.origin == Origin(
        "real",
        "arena + judge",
        (("arena.csv", "ab12"), ("judge.csv", "ab12")),
        ("note of arena", "note of judge"),
    )


def test_join_of_plain_tables_adds_no_column():
    assert set(join(table(["a"]), table(["b"])).frame.columns) == {"prompt", "model_a", "model_b", "winner"}


def test_kinds_are_not_mixed_in_silence():
    real, made = table(["a"], kind="real"), table(["b"], kind="simulated")
    with pytest.raises(TableError, match="kinds real and simulated are joined; take tables of one kind"):
        join(real, made)
    with pytest.raises(TableError, match="nothing to join"):
        join()


def test_cosines_by_hand():
    """Directions at 0, 90 and 45 degrees, of any length, to training prompts at 0 and 60 degrees."""
    tests = np.array([[3.0, 0], [0, 0.1], [1, 1]])
    train = np.array([[0.5, 0], [1, np.sqrt(3)]])
    cosines = np.cos(np.deg2rad([0, 30, 15]))
    assert nearest(tests, train) == pytest.approx(cosines)
    assert decontaminate(tests, train).tolist() == [True, False, True]
    assert decontaminate(tests, train, threshold=0.97).tolist() == [True, False, False]


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize("memory", [1e-4, 1e-3, 32])
def test_blocks_change_nothing(monkeypatch, memory, precision):
    rng = np.random.default_rng(0)
    tests, train = rng.normal(size=(17, 4)).astype(precision), rng.normal(size=(6, 4)).astype(precision)
    whole = tests @ train.T / np.outer(np.linalg.norm(tests, axis=1), np.linalg.norm(train, axis=1))
    monkeypatch.setattr(battle_sets, "_MEMORY", memory)
    assert nearest(tests, train).dtype == np.float64
    np.testing.assert_allclose(nearest(tests, train), whole.max(axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    ("tests", "train", "match"),
    [
        ([[1.0, 0]], [[1.0, 0, 0]], "X.shape.1. == 2 while Y.shape.1. == 3"),
        ([1.0, 0], [[1.0, 0]], "Expected 2D array"),
        ([[1.0, 0]], np.empty((0, 2)), "0 sample"),
        ([[1.0, 0]], [[np.nan, 0]], "contains NaN"),
    ],
)
def test_vectors_that_cannot_be_compared_are_refused(tests, train, match):
    with pytest.raises(ValueError, match=match):
        nearest(tests, train)


def test_a_prompt_without_known_words_is_near_none():
    assert nearest([[0.0, 0], [1, 0]], [[2.0, 0], [0, 0]]).tolist() == [0, 1]
