"""Scores of many models out of published answers and judgments, and what they cost by list prices.

Published means on real rows; rules, and costs by hand, on made ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sources_made import Place, bench, zeroeval

from rb_support import cache
from rb_support.outcomes import TableError
from rb_support.sources import load_graded, load_pairs, load_priced, locate, mtbench_scores, priced, tables
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
HAIKU, MINI, PALM = "claude-3-haiku-20240307", "gpt-4o-mini-2024-07-18", "palm-2-chat-bison-001"


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
    with pytest.raises(MissingSourceError, match="fetch zeroeval-gsm"):
        load_priced("zeroeval-gsm")
    with pytest.raises(UnknownSourceError, match="zeroeval-gsm, arena-bench"):
        load_priced("search-qa")


def test_priced_answers_of_zeroeval(real: Path) -> None:
    table, graded = load_priced("zeroeval-gsm"), load_graded("zeroeval-gsm")
    assert (len(table), table.models) == (1319, graded.models)
    np.testing.assert_array_equal(table.quality, graded.scores)
    assert round(100 * table.points()[table.models.index(OPUS), 1], 2) == 95.60
    assert (table.cost > 0).all()
    usd = dict(zip(table.models, table.cost.mean(axis=0), strict=True))
    families = ((HAIKU, "claude-3-sonnet-20240229", OPUS), (MINI, "gpt-4o-2024-05-13"))
    families += (("Meta-Llama-3.1-8B-Instruct", "Meta-Llama-3.1-70B-Instruct"),)
    families += (("Qwen2-7B-Instruct", "Qwen2-72B-Instruct"), ("gemma-2-9b-it", "gemma-2-27b-it@together"))
    for family in families:
        assert sorted(family, key=usd.__getitem__) == list(family)
    assert table.origin.name.endswith("costs estimated") and table.origin.kind == "real"


def test_a_real_answer_by_hand(real: Path) -> None:
    """Opus, 15 and 75 USD a million tokens; the characters counted in the file."""
    table = load_priced("zeroeval-gsm")
    [row] = np.flatnonzero(table.frame["prompt"].str.startswith("Janet’s ducks lay 16 eggs"))
    records = json.loads(locate("zeroeval-gsm").read(f"{OPUS}.json"))
    [record] = [each for each in records if each["question"] == table.frame["prompt"][row]]
    sent, said = len(record["chat_history"][0]), len(record["output"][0])
    assert "## Instruction" in record["chat_history"][0] and sent > len(record["question"]) > 0
    assert table.cost[row, table.models.index(OPUS)] == pytest.approx((sent * 15 + said * 75) / 4 / 1e6)


def test_priced_scores_of_arena_bench(real: Path) -> None:
    table, graded = load_priced("arena-bench"), load_graded("arena-bench")
    assert set(graded.models) - set(table.models) == {PALM}
    scores = graded.scores[:, [graded.models.index(model) for model in table.models]]
    whole = np.isfinite(scores).all(axis=1)
    assert (len(table), len(table.models), int(whole.sum())) == (273, 13, 273)
    np.testing.assert_allclose(table.quality, (scores[whole] - 1) / 9)
    notes = " ".join(table.origin.notes)
    assert f"{len(graded.frame) - 273}" in notes.split("rows dropped for a missing score or cost: ")[1]
    points = dict(zip(table.models, table.points().round(4).tolist(), strict=True))
    assert points["gpt-4-1106-preview"][1] == 0.8779
    dear = sorted(table.models, key=lambda model: points[model][0])
    assert dear[-1] == "gpt-4-0314" and dear[0] == "mistralai/Mistral-7B-Instruct-v0.1"
    assert (table.cost > 0).all()


@pytest.mark.parametrize("name", [priced.ZEROEVAL, priced.ARENA_BENCH])
def test_notes_say_that_costs_are_estimates(real: Path, name: str) -> None:
    table = load_priced(name)
    notes = "\n".join(table.origin.notes)
    assert "costs are estimates: list prices per token (4 characters a token)" in notes
    listed = priced.price_list()
    for cited in {price["source"] for price in listed["prices"][name].values()}:
        assert listed["sources"][cited]["address"] in notes
    for model in table.models:
        assert model in notes.split("prices of", 1)[1]
    assert (PALM in notes.split("left out")[-1]) == (name == priced.ARENA_BENCH)


def test_costs_of_made_answers_by_hand(made: Place) -> None:
    """A prompt of 15 characters sent (3.75 tokens), answers of 12 and 8 (3 and 2)."""
    answers = {f"{HAIKU}.json": ["So it is: 3.", "4 apple!"], f"{MINI}.json": ["So it is: 3.", "5 apple!"]}
    made("zeroeval-gsm", {name: zeroeval(texts, ["3", "4"]) for name, texts in answers.items()})
    table = load_priced("zeroeval-gsm")
    assert table.models == (HAIKU, MINI)
    np.testing.assert_array_equal(table.quality, [[1, 1], [1, 0]])
    haiku = [(3.75 * 0.25 + 3 * 1.25) / 1e6, (3.75 * 0.25 + 2 * 1.25) / 1e6]
    mini = [(3.75 * 0.15 + 3 * 0.6) / 1e6, (3.75 * 0.15 + 2 * 0.6) / 1e6]
    np.testing.assert_allclose(table.cost, np.column_stack([haiku, mini]))
    assert load_graded("zeroeval-gsm").models == table.models  # its own cached file, beside the other


def test_costs_of_made_scores_by_hand(made: Place) -> None:
    """A prompt of 11 characters (2.75 tokens) and 264 tokens of answer; PaLM has no price."""
    scores = {
        "claude-1.jsonl": [7, 1, 10],
        "gpt-4-0314.jsonl": [10, None, 5.5],
        f"{PALM}.jsonl": [None, 2, 3],
    }
    made("arena-bench", bench(scores, maker=""))
    table = load_priced("arena-bench")
    assert (table.models, table.frame["sample_id"].tolist()) == (("claude-1", "gpt-4-0314"), ["q0", "q2"])
    np.testing.assert_allclose(table.quality, [[6 / 9, 1], [1, 0.5]])
    usd = [(2.75 * 8 + 264 * 24) / 1e6, (2.75 * 30 + 264 * 60) / 1e6]
    np.testing.assert_allclose(table.cost, [usd, usd])
    notes = table.origin.notes
    assert f"left out, as no source supports a price per token: {PALM}" in notes
    assert "rows dropped for a missing score or cost: 1" in notes
    assert "quality is (s - 1) / 9 of a score s from 1 to 10" in notes


def test_what_cannot_be_priced(made: Place) -> None:
    made("arena-bench", bench({f"{PALM}.jsonl": [2, 3]}, maker=""))
    with pytest.raises(TableError, match=f"none of its models has a price: {PALM}"):
        load_priced("arena-bench")
    made("zeroeval-gsm", {f"{MINI}.json": zeroeval(["3"], ["3"]).replace(b'"\\n## Question: ', b'7, "')})
    with pytest.raises(TableError, match=rf"{MINI}.json: row 1, field 'chat_history' or 'output': no list"):
        load_priced("zeroeval-gsm")


def test_every_price_has_an_address_and_a_date() -> None:
    listed = priced.price_list()
    assert {name: len(models) for name, models in listed["prices"].items()} == {
        priced.ZEROEVAL: 15,
        priced.ARENA_BENCH: 13,
    }
    prices = [price for models in listed["prices"].values() for price in models.values()]
    assert all(set(price) == {"in", "out", "source"} for price in prices)
    assert min(usd for price in prices for usd in (price["in"], price["out"])) > 0
    assert {price["source"] for price in prices} == set(listed["sources"])
    for cited in listed["sources"].values():
        assert set(cited) == {"address", "date", "what"} and all(cited.values())
        assert cited["address"].startswith("https://") and len(cited["date"]) > 3
    assert min(listed["assumed"].values()) > 0


def test_prices_that_change_are_no_longer_in_the_cache(made: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cached table's name covers the list of prices."""
    read = Path.read_bytes
    told = cache.package_digest.__wrapped__(*tables._PARSING)

    def dearer(path: Path) -> bytes:
        content = read(path)
        return content.replace(b"in = 15", b"in = 16") if path.name == "list_prices.toml" else content

    monkeypatch.setattr(Path, "read_bytes", dearer)
    assert cache.package_digest.__wrapped__(*tables._PARSING) != told


def test_prices_of_one_model_agree_with_those_of_the_paper() -> None:
    listed = pd.read_csv(
        Path(priced.__file__).parents[1] / "published" / "models_0shot.csv", index_col="model"
    )
    usd = listed[["price_in_usd_per_million", "price_out_usd_per_million"]]
    bench_prices = priced.price_list()["prices"][priced.ARENA_BENCH]
    for ours, theirs in {
        "gpt-4-1106-preview": "gpt-4-1106-preview",
        "gpt-3.5-turbo-1106": "gpt-3.5-turbo-1106",
        "claude-1": "claude-v1",
        "claude-instant-1": "claude-instant-v1",
        "Llama-2-70b-chat": "meta/llama-2-70b-chat",
        "mistralai/Mixtral-8x7B-Instruct-v0.1": "mistralai/mixtral-8x7b-chat",
        "mistralai/Mistral-7B-Instruct-v0.1": "mistralai/mistral-7b-chat",
    }.items():
        assert bench_prices[ours]["source"] == "routerbench"
        assert [bench_prices[ours]["in"], bench_prices[ours]["out"]] == usd.loc[theirs].tolist()
