"""Scores of many models out of published answers and judgments: published means, and rules on made rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rb_support.sources import load_graded, load_pairs, mtbench_scores
from rb_support.sources.errors import MissingSourceError, UnknownSourceError
from rb_support.sources.routellm import LLAMA_31, STRONG, WEAK

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


@pytest.mark.parametrize(("model", "percent"), PUBLISHED.items())
def test_graded_answers_have_the_published_accuracies(real: Path, model: str, percent: float) -> None:
    graded = load_graded()
    scores = graded.scores[:, graded.models.index(model)]
    assert round(100 * scores.mean(), 2) == percent


def test_graded_rows(real: Path) -> None:
    graded = load_graded("zeroeval-gsm")
    frame, models = graded.frame, graded.models
    assert (len(frame), frame["sample_id"].nunique(), len(models)) == (1319, 1319, 15)
    assert np.isin(graded.scores, [0.0, 1.0]).all()
    for model, scores in zip(models, graded.scores.T, strict=True):
        assert frame[f"{model}|parsed"].dtype == bool
        assert not scores[~frame[f"{model}|parsed"]].any()
    assert (
        f"Mixtral-8x7B-Instruct-v0.1 {(~frame['Mixtral-8x7B-Instruct-v0.1|parsed']).sum()}"
        in (graded.origin.notes[0])
    )
    assert (graded.origin.kind, len(graded.origin.files)) == ("real", 15)


def test_graded_rows_are_kept(real: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_graded()

    def refuse(*_: object) -> None:
        raise AssertionError("graded again")

    monkeypatch.setattr("rb_support.sources.judged._zeroeval_file", refuse)
    again = load_graded()
    pd.testing.assert_frame_equal(again.frame, first.frame)
    np.testing.assert_array_equal(again.scores, first.scores)
    assert (again.origin, again.models, again.scale) == (first.origin, first.models, first.scale)


def test_mt_bench_of_six_models(real: Path) -> None:
    scores = mtbench_scores()
    known = load_pairs("routellm-mtbench")
    assert (scores.models, scores.scale) == ((STRONG, WEAK, SONNET, OPUS, *LLAMA_31), (1.0, 10.0))
    assert (len(scores.frame), int(scores.frame["contaminated"].sum())) == (80, 80 - len(known))
    clean = scores.take(~scores.frame["contaminated"].to_numpy()).pair(STRONG, WEAK)
    np.testing.assert_array_equal(clean.frame["sample_id"], known.frame["sample_id"])
    np.testing.assert_array_equal(clean.strong, known.strong)
    assert scores.frame["category"].value_counts().tolist() == [10] * 8
    assert scores.scores[:, 2:].mean(axis=0).round(3).tolist() == [9.206, 8.675, 8.162, 7.494]


def test_what_is_not_here(bare: None) -> None:
    with pytest.raises(MissingSourceError):
        load_graded()
    with pytest.raises(MissingSourceError):
        mtbench_scores()
    with pytest.raises(UnknownSourceError, match="zeroeval-gsm"):
        load_graded("arena-55k")
