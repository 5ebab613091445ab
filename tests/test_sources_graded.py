"""Scores of many models out of published answers and judgments: published means, and rules on made rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rb_support.catalog import GSM8K
from rb_support.outcomes import Origin, TableError
from rb_support.sources import (
    MissingSourceError,
    SourceRows,
    UnknownSourceError,
    load_graded,
    load_pairs,
    models_of,
    mtbench_scores,
    pair_of,
)
from rb_support.sources.graded import _mean_of_turns, _wide
from rb_support.sources.routellm import STRONG, WEAK

PUBLISHED = {
    "claude-3-opus-20240229": 95.60,
    "claude-3-sonnet-20240229": 91.51,
    "Meta-Llama-3.1-70B-Instruct": 94.16,
    "Meta-Llama-3.1-8B-Instruct": 84.00,
    "Mixtral-8x7B-Instruct-v0.1": 70.13,
    "gpt-3.5-turbo-0125": 80.36,
}
"""Accuracies in percent that ZeroEval prints."""

OPUS, SONNET = "claude-3-opus-20240229", "claude-3-5-sonnet-20240620"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def real(shared_data: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the real data, whose parsed tables the tests of this module share."""
    if not (shared_data / "zeroeval").is_dir():
        pytest.skip("real answers not here (zeroeval/)")
    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    monkeypatch.setenv("RB_CACHE_DIR", str(kept))
    return shared_data


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data anywhere."""
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("RB_DATA_DIR", raising=False)


def _table(scores: dict[str, list[float]], dataset: str = GSM8K) -> SourceRows:
    n = len(next(iter(scores.values())))
    about = {"sample_id": [f"q.{i}" for i in range(n)], "dataset": dataset, "task": "t", "prompt": "ask"}
    return SourceRows(pd.DataFrame({**about, **scores}), Origin("real", "made", (), ("first",)))


@pytest.mark.parametrize(("model", "percent"), PUBLISHED.items())
def test_graded_answers_have_the_published_accuracies(real: Path, model: str, percent: float) -> None:
    assert round(100 * load_graded().frame[model].mean(), 2) == percent


def test_graded_rows(real: Path) -> None:
    graded = load_graded("zeroeval-gsm")
    frame, models = graded.frame, models_of(graded)
    assert (len(frame), frame["sample_id"].nunique(), len(models)) == (1319, 1319, 15)
    assert frame[list(models)].isin([0.0, 1.0]).all(axis=None)
    for model in models:
        assert frame[f"{model}|parsed"].dtype == bool
        assert not frame.loc[~frame[f"{model}|parsed"], model].any()
    assert (
        f"Mixtral-8x7B-Instruct-v0.1 {(~frame['Mixtral-8x7B-Instruct-v0.1|parsed']).sum()}"
        in (graded.origin.notes[0])
    )
    assert (graded.origin.kind, len(graded.origin.files)) == ("real", 15)


def test_graded_rows_are_kept(real: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_graded()

    def refuse(located: object) -> None:
        raise AssertionError("graded again")

    monkeypatch.setattr("rb_support.sources.graded._graded", refuse)
    again = load_graded()
    pd.testing.assert_frame_equal(again.frame, first.frame)
    assert again.origin == first.origin


def test_a_pair_of_graded_models(real: Path) -> None:
    graded = load_graded()
    pair = pair_of(graded, OPUS, "Meta-Llama-3.1-8B-Instruct")
    assert (len(pair), pair.datasets, pair.scale) == (1319, (GSM8K,), (0.0, 1.0))
    np.testing.assert_array_equal(pair.strong, graded.frame[OPUS])
    assert list(pair.frame.columns) == ["sample_id", "dataset", "task", "prompt"]


def test_mt_bench_of_four_models(real: Path) -> None:
    scores = mtbench_scores()
    known = load_pairs("routellm-mtbench")
    assert models_of(scores) == (STRONG, WEAK, SONNET, OPUS)
    assert (len(scores.frame), int(scores.frame["contaminated"].sum())) == (80, 80 - len(known))
    clean = scores.frame[~scores.frame["contaminated"]]
    np.testing.assert_array_equal(clean["sample_id"], known.frame["sample_id"])
    np.testing.assert_array_equal(clean[STRONG], known.strong)
    assert scores.frame["category"].value_counts().tolist() == [10] * 8
    means = scores.frame[[OPUS, SONNET]].mean().round(3).to_dict()
    assert means == {OPUS: 8.675, SONNET: 9.206}
    pair = pair_of(scores, OPUS, WEAK)
    assert (pair.scale, len(pair)) == ((1.0, 10.0), 80)
    assert pair.strong.mean() > pair.weak.mean()


def test_rows_without_a_score_are_dropped_for_that_pair_alone() -> None:
    table = _table({"big": [1, np.nan, 0], "small": [0, 1, 1], "other": [1, 1, 1]})
    pair = pair_of(table, "big", "small")
    assert (pair.strong.tolist(), pair.weak.tolist()) == ([1, 0], [0, 1])
    assert pair.frame["sample_id"].tolist() == ["q.0", "q.2"]
    assert pair.origin.notes == ("first", "1 of 3 rows lack a score of either model and were dropped")
    assert pair_of(table, "other", "small").origin.notes == ("first",)


def test_a_turn_without_a_score_leaves_the_question_without_one() -> None:
    rows = [("m", 81, 1, 9.0), ("m", 81, 2, 8.0), ("m", 82, 1, 9.0), ("m", 82, 2, np.nan)]
    frame = pd.DataFrame(rows, columns=["model", "question_id", "turn", "score"])
    mean = _mean_of_turns(frame)["m"]
    assert mean[81] == 8.5
    assert np.isnan(mean[82])


def test_a_pair_needs_two_known_models() -> None:
    table = _table({"big": [1], "small": [0]})
    with pytest.raises(TableError, match="no scores of 'huge'; known: big, small"):
        pair_of(table, "huge", "small")
    with pytest.raises(TableError):
        pair_of(table, "big", "big")


def test_answers_must_be_whole() -> None:
    rows = pd.DataFrame({"sample_id": ["a", "b", "a"], "model": ["x", "x", "y"], "right": [1.0, 0.0, 1.0]})
    with pytest.raises(TableError, match="y has no answer to b"):
        _wide(rows, "right")
    with pytest.raises(TableError, match="x answers a twice"):
        _wide(pd.concat([rows, rows[:1]]), "right")


def test_what_is_not_here(bare: None) -> None:
    with pytest.raises(MissingSourceError):
        load_graded()
    with pytest.raises(MissingSourceError):
        mtbench_scores()
    with pytest.raises(UnknownSourceError, match="zeroeval-gsm"):
        load_graded("arena-55k")
