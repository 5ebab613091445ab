"""Halves of a sample in RouterBench's published files become one row, on made rows and on the real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rb_support.outcomes import Origin, Outcomes, TableError
from rb_support.sources import routerbench

SIMULATED = Origin("simulated", "made for a test", (("a.csv", "00"),), ("first note",))


def merged(frame: pd.DataFrame, models: Any = None) -> Outcomes:
    return routerbench.table(frame, origin=SIMULATED, name="table", models=models)


def halves() -> pd.DataFrame:
    """One sample on rows 1 and 3, as in the published 5-shot file: row 3 asks twice, for model b alone."""
    return pd.DataFrame(
        {
            "sample_id": ["s", "t", "s"],
            "prompt": ["['Q']", "['R']", "['Q', 'Q']"],
            "eval_name": "arc-challenge",
            "a": ["1.0", "0.0", ""],
            "b": ["", "1.0", "0.0"],
            "c": ["0.5", "1.0", ""],
            "a|model_response": ["['a once']", "['-']", "['a twice']"],
            "b|model_response": ["['b once']", "['-']", "['b twice']"],
            "c|model_response": ["['c once']", "['-']", "['c twice']"],
            "a|total_cost": [0.1, 1.0, 0.2],
            "b|total_cost": [0.3, 1.0, 0.6],
            "c|total_cost": [0.5, 1.0, 1.0],
            "oracle_model_to_route_to": ["a", "b", "b"],
        }
    )


def test_halves_of_a_sample_are_merged_and_said() -> None:
    got = merged(halves())
    assert got.frame["sample_id"].tolist() == ["s", "t"]
    assert got.frame["prompt"].tolist() == ["Q", "R"]
    np.testing.assert_array_equal(got.quality, [[1, 0, 0.5], [0, 1, 1]])
    # Each cost from the row that asks once, b's too although its score stands on the other row.
    np.testing.assert_array_equal(got.cost, [[0.1, 0.3, 0.5], [1, 1, 1]])
    answers = got.frame.loc[0, ["a|model_response", "b|model_response", "c|model_response"]].tolist()
    assert answers == ["['a once']", "['b twice']", "['c once']"]
    assert got.frame.loc[0, "oracle_model_to_route_to"] == "a"
    assert got.origin.notes[0] == "first note"
    assert got.origin.notes[1].endswith(
        "sample_id: 1 (from 2 rows); each cost is from the row that holds the question once"
    )


def test_the_fuller_half_may_be_the_one_that_asks_twice() -> None:
    got = merged(halves().assign(prompt=["['Q', 'Q']", "['R']", "['Q']"]))
    assert got.frame["prompt"].tolist() == ["Q", "R"]
    np.testing.assert_array_equal(got.quality[0], [1, 0, 0.5])
    np.testing.assert_array_equal(got.cost[0], [0.2, 0.6, 1.0])
    assert got.frame.loc[0, "oracle_model_to_route_to"] == "a"


def test_halves_whose_costs_are_halved_too() -> None:
    frame = halves()
    frame.loc[0, "b|total_cost"] = np.nan
    frame.loc[2, ["a|total_cost", "c|total_cost"]] = np.nan
    np.testing.assert_array_equal(merged(frame).cost[0], [0.1, 0.6, 0.5])


def test_halves_that_ask_alike_pay_where_they_score() -> None:
    frame = halves().assign(prompt=["Q", "R", "Q"])
    np.testing.assert_array_equal(merged(frame).cost[0], [0.1, 0.6, 0.5])


def test_merging_leaves_the_callers_frame_alone() -> None:
    frame = halves()
    merged(frame)
    pd.testing.assert_frame_equal(frame, halves())


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("a", "0.0", r"row 3 \(sample_id s\), column 'a': .*row 1 too, and both rows score"),
        ("prompt", "['other']", r"row 3 \(sample_id s\), column 'prompt': differs from row 1"),
        ("eval_name", "mbpp", r"row 3 \(sample_id s\), column 'eval_name': differs from row 1"),
    ],
)
def test_rows_that_are_no_halves_are_refused(column: str, value: str, said: str) -> None:
    frame = halves()
    frame.loc[2, column] = value
    with pytest.raises(TableError, match=said + ".*; give each row its own sample_id"):
        merged(frame)


def test_a_score_missing_after_merging_is_named_by_its_row() -> None:
    frame = halves()[["sample_id", "prompt", "eval_name", *"abc", *(f"{m}|total_cost" for m in "abc")]]
    late = frame.iloc[[1]].assign(sample_id="u", b="")
    frame = pd.concat([frame, late], ignore_index=True)
    with pytest.raises(
        TableError,
        match=r"^table \(one row per sample\): row 3 \(sample_id u\), column 'b': is missing; .*'drop'",
    ):
        merged(frame)
    assert merged(frame, models=["a", "c"]).frame["sample_id"].tolist() == ["s", "t", "u"]


# --- the published rows ----------------------------------------------------------------------------------

MEANS = {  # 5-shot, from the data set's own statement: ARC-Challenge, MBPP, Winogrande
    "gpt-4-1106-preview": (0.954, 0.686, 0.859),
    "zero-one-ai/Yi-34B-Chat": (0.903, 0.386, 0.754),
    "claude-v1": (0.908, 0.597, 0.562),
    "claude-v2": (0.587, 0.642, 0.478),
    "gpt-3.5-turbo-1106": (0.834, 0.653, 0.641),
    "claude-instant-v1": (0.829, 0.604, 0.517),
    "mistralai/mixtral-8x7b-chat": (0.854, 0.541, 0.679),
    "meta/llama-2-70b-chat": (0.803, 0.330, 0.503),
    "WizardLM/WizardLM-13B-V1.2": (0.659, 0.370, 0.529),
    "mistralai/mistral-7b-chat": (0.670, 0.344, 0.566),
    "meta/code-llama-instruct-34b-chat": (0.661, 0.518, 0.585),
}


@pytest.fixture(scope="module")
def slice_rows(shared_data: Path) -> pd.DataFrame:
    paths = sorted((shared_data / "routerbench").glob("*.csv"))
    if not paths:
        pytest.skip("the published RouterBench rows are not here")
    frames = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in paths]
    return pd.concat(frames, ignore_index=True)


def test_the_published_rows_give_the_published_means(slice_rows: pd.DataFrame) -> None:
    got = merged(slice_rows)
    assert len(got) == 3164 and len(got.models) == 11
    assert got.origin.notes[1].startswith(
        "samples whose models were scored on different rows, merged by sample_id: 14"
    )
    assert set(got.models) == set(MEANS)
    for i, dataset in enumerate(("ARC-Challenge", "MBPP", "Winogrande")):
        means = dict(zip(got.models, got.of(dataset).points()[:, 1], strict=True))
        for model, published in MEANS.items():
            assert means[model] == pytest.approx(published[i], abs=0.0005001)


def test_merged_published_rows_hold_one_question(slice_rows: pd.DataFrame) -> None:
    got = merged(slice_rows)
    split = slice_rows.loc[slice_rows["sample_id"].duplicated(), "sample_id"]
    joined = got.frame["sample_id"].isin(split).to_numpy()
    assert joined.sum() == 14
    first = got.frame.loc[joined, "prompt"].str[:40]
    assert (first == first.iloc[0]).all()  # the shared examples stand at the start, and only there
    assert [p.count(head) for p, head in zip(got.frame.loc[joined, "prompt"], first, strict=True)] == [1] * 14
    arc = got.of("ARC-Challenge")
    halved = arc.frame["sample_id"].isin(split).to_numpy()
    # A question asked twice would cost about twice the others.
    ratio = arc.cost[halved].mean(axis=0) / arc.cost[~halved].mean(axis=0)
    assert ((ratio > 0.8) & (ratio < 1.2)).all()
    best = np.where(got.quality == got.quality.max(axis=1, keepdims=True), got.cost, np.inf).argmin(axis=1)
    oracle = got.frame["oracle_model_to_route_to"].to_numpy()
    assert [got.models[j] for j in best[joined]] == oracle[joined].tolist()


def test_the_published_repeats_stay_on_one_side(slice_rows: pd.DataFrame) -> None:
    got = merged(slice_rows)
    repeated = got.frame.loc[got.frame["prompt"].duplicated(), "prompt"]
    assert len(repeated) == 2
    for seed in range(3):
        train, test = got.split(seed=seed)
        assert not set(train.frame["prompt"]) & set(test.frame["prompt"])
        for dataset in got.datasets:
            assert len(train.of(dataset)) == round(0.7 * len(got.of(dataset)))
