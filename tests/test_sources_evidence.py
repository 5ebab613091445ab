"""Votes, judged Arena prompts, RouteLLM's own pair, Llama 3.1, web search: published numbers, made quirks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from sources_made import (
    LARGE,
    SMALL,
    Place,
    alpaca_pair,
    assemble,
    bench,
    log,
    old_frame,
    searched,
    slice_csvs,
    slice_rows,
    votes,
    wide,
)
from typer.testing import CliRunner

from rb_support.app.data import app
from rb_support.catalog import ARC, GSM8K, HELLASWAG, MBPP, MMLU, MODELS, WINOGRANDE, canonical
from rb_support.load import load_real_tasks
from rb_support.outcomes import TableError
from rb_support.paper import routellm_tiers
from rb_support.sources import (
    SOURCES,
    load_battles,
    load_graded,
    load_judgments,
    load_routerbench,
    load_search_qa,
    locate,
)
from rb_support.sources.errors import MissingSourceError
from rb_support.sources.records import read_records
from rb_support.sources.routellm import STRONG, WEAK
from rb_support.sources.search_qa import prices

NEW = (
    "routerbench-sample",
    "search-qa",
    "alpaca-eval-pair",
    "mtbench-llama31",
    "arena-bench",
    "arena-battles",
)
AGENT, SERP, SONAR = "gpt-4o-agent", "gpt-4o-agent_serp", "llama-3.1-sonar-huge-128k-online"
FIRST, SECOND = "alpaca_eval_gpt4_turbo_fn", "alpaca_eval_cot_gpt4_turbo_fn"


def test_the_new_sources_are_found_by_hash(real: Path) -> None:
    for name in NEW:
        assert locate(name).published, name
    assert "never redistribute" in SOURCES["routerbench-sample"].licence
    assert "non-commercial" in SOURCES["alpaca-eval-pair"].licence


def test_the_sample_of_the_whole_table(real: Path) -> None:
    table = load_routerbench("sample")
    assert (len(table), table.models) == (365, MODELS)
    rows = {dataset: len(table.of(dataset)) for dataset in table.datasets}
    assert rows == {
        MMLU: 138, HELLASWAG: 90, GSM8K: 78, ARC: 17, WINOGRANDE: 13, MBPP: 9, "Other": 20,
    }  # fmt: skip
    means = dict(zip(table.models, table.quality.mean(axis=0).round(4), strict=True))
    printed = {
        "gpt-4-1106-preview": 0.7815,
        "zero-one-ai/Yi-34B-Chat": 0.6849,
        "mistralai/mixtral-8x7b-chat": 0.5596,
    }
    assert {model: means[model] for model in printed} == printed
    assert (table.origin.kind, "0-shot" in table.origin.name) == ("real", True)


def test_its_rows_of_mbpp_are_those_of_the_five_shot_files(real: Path) -> None:
    whole, sample = load_routerbench("slice").of(MBPP), load_routerbench("sample").of(MBPP)
    there = whole.frame.reset_index().set_index("sample_id")["index"]
    rows = there.loc[sample.frame["sample_id"]].to_numpy()
    np.testing.assert_array_equal(whole.quality[rows], sample.quality)


def test_all_real_tasks_beside_each_other(real: Path) -> None:
    table = load_real_tasks()
    five, zero = load_routerbench("slice"), load_routerbench("sample")
    assert {dataset: len(table.of(dataset)) for dataset in table.datasets} == {
        MMLU: 138, HELLASWAG: 90, GSM8K: 78, ARC: 1470, WINOGRANDE: 1267, MBPP: 427,
    }  # fmt: skip
    for dataset in table.datasets:
        part = (zero if dataset in (MMLU, HELLASWAG, GSM8K) else five).of(dataset)
        np.testing.assert_array_equal(table.of(dataset).quality, part.quality)
        np.testing.assert_array_equal(table.of(dataset).cost, part.cost)
    assert table.origin.files == five.origin.files + zero.origin.files
    assert five.origin.name in table.origin.name and zero.origin.name in table.origin.name


def test_the_wider_table_says_what_is_missing(made: Place) -> None:
    made("routerbench-slice", slice_csvs(slice_rows()))
    with pytest.raises(MissingSourceError, match="data fetch routerbench-sample"):
        load_real_tasks()


def test_human_votes(real: Path) -> None:
    battles = load_battles("arena-battles")
    assert (len(battles), len(battles.models)) == (1135, 29)
    assert battles.frame["winner"].value_counts().to_dict() == {"model_b": 406, "model_a": 369, "tie": 360}
    assert "254 of 1135" in battles.origin.notes[0]
    assert (battles.frame["date"].min()[:7], battles.frame["date"].max()[:7]) == ("2023-04", "2023-09")
    names = {canonical(model) for model in routellm_tiers()["model"]}
    assert {model for model in battles.models if canonical(model) not in names} == set()


def test_votes_keep_ties_and_first_turns(made: Place) -> None:
    made("arena-battles", votes(["model_a", "tie (bothbad)", "tie", "model_b"]))
    battles = load_battles("arena-battles")
    assert battles.frame["winner"].tolist() == ["model_a", "tie", "tie", "model_b"]
    assert battles.frame["prompt"].tolist() == [f"Tell me of {i} ships. " for i in range(4)]
    assert battles.frame["turns"].tolist() == [1, 2, 1, 2]
    assert "1 of 4 votes" in battles.origin.notes[0]


def test_scores_on_arena_prompts(real: Path) -> None:
    table = load_graded("arena-bench")
    assert (table.scores.shape, table.scale) == ((300, 14), (1.0, 10.0))
    strong, weak = (table.scores[:, table.models.index(model)] for model in (STRONG, WEAK))
    assert [round(float(np.nanmean(side)), 2) for side in (strong, weak)] == [8.87, 6.54]
    gap = (strong - weak)[~np.isnan(strong - weak)]
    assert [int((gap > 0).sum()), int((gap == 0).sum()), int((gap < 0).sum())] == [197, 69, 27]
    unscored = np.isnan(table.scores).sum(axis=0)
    assert (unscored.min(), unscored.max()) == (0, 6)
    assert "palm-2-chat-bison-001 6" in table.origin.notes[0]


def test_unscored_answers_are_counted_whatever_stands_for_them(made: Place) -> None:
    made("arena-bench", bench({"claude-1.jsonl": [7, None, 3], "gpt-4-0314.jsonl": [-1, 10, 2.5]}))
    table = load_graded("arena-bench")
    np.testing.assert_array_equal(table.scores, [[7, np.nan], [np.nan, 10], [3, 2.5]])
    assert table.models == ("maker/claude-1", "maker/gpt-4-0314")
    assert "maker/claude-1 1, maker/gpt-4-0314 1" in table.origin.notes[0]


def test_routellms_own_pair(real: Path) -> None:
    battles = load_battles("alpaca-eval-pair")
    assert (len(battles), battles.models) == (2 * 805, (STRONG, WEAK))
    wins = 1 - battles.frame.groupby("protocol")["score"].mean()
    assert wins.round(3).to_dict() == {SECOND: 0.199, FIRST: 0.228}
    assert battles.frame["winner"].eq("tie").groupby(battles.frame["protocol"]).sum().to_dict() == {
        FIRST: 1,
        SECOND: 1,
    }


def test_a_tie_is_a_tie_however_it_is_written(made: Place) -> None:
    made("alpaca-eval-pair", alpaca_pair([1, 0, 2, None], FIRST), alpaca_pair([1.5, 2, 1, 1], SECOND))
    battles = load_battles("alpaca-eval-pair")
    assert battles.frame["winner"].tolist() == [
        "model_a",
        "tie",
        "model_b",
        "tie",
        "model_b",
        "model_a",
        "model_a",
    ]
    assert battles.frame["protocol"].tolist() == [FIRST] * 3 + [SECOND] * 4
    assert battles.origin.notes[0].startswith("1 of 8 rows")
    assert battles.origin.notes[1].endswith(f"{FIRST} 1, {SECOND} 1")


def test_printed_judgments_of_llama(real: Path) -> None:
    frame = load_judgments("mtbench-llama31").frame
    by_model = frame.groupby("model")["score"]
    assert by_model.size().to_dict() == {LARGE: 160, SMALL: 160}
    assert by_model.mean().round(3).to_dict() == {LARGE: 8.162, SMALL: 7.494}


def test_printed_judgments_pass_over_other_models_and_lines(made: Place) -> None:
    made(
        "mtbench-llama31",
        log({(LARGE, 81): (9, -1)}),
        log({("a_tuned_one", 81): (1, 2), (SMALL, 90): (7.5, 10)}),
    )
    rows = load_judgments("mtbench-llama31").frame
    assert rows["model"].tolist() == [LARGE, LARGE, SMALL, SMALL]
    np.testing.assert_array_equal(rows["score"], [9, np.nan, 7.5, 10])
    assert rows["judge"].tolist()[:2] == ["gpt-4 single-v1", "gpt-4 single-v1-multi-turn"]


def test_web_search(real: Path) -> None:
    table = load_search_qa()
    assert (len(table), len(table.models)) == (250, 17)
    means = dict(zip(table.models, table.quality.mean(axis=0).round(3), strict=True))
    printed = {
        "gpt-4o": 0.44, AGENT: 0.72, "claude-3.5-sonnet": 0.3, "claude-3.5-sonnet-agent": 0.78,
        "llama-3.1-sonar-large-128k-online": 0.172, SONAR: 0.208,
    }  # fmt: skip
    assert {model: means[model] for model in printed} == printed
    assert np.isfinite(table.cost).all() and (table.cost > 0).all()
    assert any("gemini-v1.5-flash-agent" in note for note in table.origin.notes)


def test_the_run_that_is_left_out_failed(real: Path) -> None:
    name = "simple_qa_250_gemini-v1.5-flash-agent_results.jsonl"
    grades = [row["grade"] for row in read_records(locate("search-qa"), name, ("grade",))]
    assert (len(grades), grades.count("C")) == (250, 249)


def test_costs_of_web_search_by_hand(made: Place) -> None:
    systems = {"gpt-4o": "ABC", AGENT: "AAB", SERP: "AAA", SONAR: "CCA"}
    made("search-qa", searched(systems, {AGENT: "101", SONAR: "000"}))
    table = load_search_qa()
    at = {model: i for i, model in enumerate(table.models)}
    assumed, price = prices()["assumed"], prices()["gpt-4o"]
    tokens = 40 / assumed["characters_per_token"], 80 / assumed["characters_per_token"]
    plain = (tokens[0] * price["usd_per_million_in"] + tokens[1] * price["usd_per_million_out"]) / 1e6
    read = assumed["tokens_read_per_search"] * price["usd_per_million_in"] / 1e6 + assumed["usd_per_search"]
    np.testing.assert_allclose(table.cost[:, at["gpt-4o"]], plain)
    np.testing.assert_allclose(table.cost[:, at[AGENT]], plain + read * np.array([1, 0, 1]))
    sonar = prices()[SONAR]
    np.testing.assert_allclose(table.cost[:, at[SONAR]], sonar["usd_per_request"] + sum(tokens) * 5 / 1e6)
    np.testing.assert_array_equal(table.quality[:, at["gpt-4o"]], [1, 0, 0])
    assert table.frame[f"{SONAR}|grade"].tolist() == ["C", "C", "A"]
    assert table.frame["topic"].tolist() == ["Art"] * 3
    assert any(f"{SONAR} 2" in note for note in table.origin.notes)


def _spoilt(files: dict[str, bytes], name: str, old: bytes, new: bytes) -> dict[str, bytes]:
    assert old in files[name]
    return {**files, name: files[name].replace(old, new, 1)}


SCORES = {"claude-1.jsonl": [7, 8], "gpt-4-0314.jsonl": [9, 10]}
CLAUDE, GPT4, ANSWERS = "claude-1.jsonl", "gpt-4-0314.jsonl", "simple_qa_250_gpt-4o.jsonl"
LARGE_LOG, SMALL_LOG = log({(LARGE, 81): (9, 9)}), log({(SMALL, 81): (9, 9)})
NO_TURN = votes(["tie"]).replace(b'["Tell me of 0 ships. "]', b'[" "]')


def _bench(name: str, old: bytes, new: bytes) -> dict[str, bytes]:
    return _spoilt(bench(SCORES), name, old, new)


def _qa(name: str, old: bytes, new: bytes) -> dict[str, bytes]:
    return _spoilt(searched({"gpt-4o": "AB"}, {}), name, old, new)


LOAD: dict[str, Callable[[], Any]] = {
    "arena-battles": lambda: load_battles("arena-battles"),
    "arena-bench": lambda: load_graded("arena-bench"),
    "alpaca-eval-pair": lambda: load_battles("alpaca-eval-pair"),
    "mtbench-llama31": lambda: load_judgments("mtbench-llama31"),
    "search-qa": load_search_qa,
}
BAD: list[tuple[str, tuple[Any, ...], str]] = [
    ("arena-battles", (votes(["tie", "nobody"]),), r"original\.jsonl: row 2 has the winner 'nobody'.*fetch"),
    ("arena-battles", (NO_TURN,), r"question_original\.jsonl: row 1, field 'turns'.*fetch"),
    ("arena-bench", (bench({CLAUDE: [7, 11]}),), r"claude-1\.jsonl: row 1 has a score that is none.*fetch"),
    ("arena-bench", (_bench(GPT4, b'"q0"', b'"q1"'),), r"0314\.jsonl: row 2 scores a question again"),
    ("arena-bench", (_bench(GPT4, b'"q0"', b'"q9"'),), r"0314\.jsonl: row 2 scores a .* not asked"),
    ("arena-bench", (_bench(CLAUDE, b"maker/", b"other/"),), r"claude-1\.jsonl: row 2 is of another model"),
    (
        "alpaca-eval-pair",
        (alpaca_pair([1, 1.3], FIRST), alpaca_pair([1], SECOND)),
        r"json: row 2 is no preference.*fetch",
    ),
    (
        "mtbench-llama31",
        (log({("b", 81): (1, 1)}), SMALL_LOG),
        r"70B-Instruct\.txt: no line .* judgment of M",
    ),
    ("mtbench-llama31", (LARGE_LOG * 2, SMALL_LOG), r"70B-Instruct\.txt: row 15 judges an answer again"),
    (
        "search-qa",
        (searched({"gpt-4o": "AD"}, {}),),
        r"gpt-4o_results\.jsonl: simple_qa_1 is graded 'D'.*fetch",
    ),
    ("search-qa", (_qa(ANSWERS, b"qa_1", b"qa_7"),), r"gpt-4o\.jsonl: no row for simple_qa_1 \(1 lacking\)"),
    ("search-qa", (_qa(ANSWERS, b"qa_1", b"qa_0"),), r"gpt-4o\.jsonl: row 2 is .?simple_qa_0.? again"),
    (
        "search-qa",
        (_qa("simple_qa_250.jsonl", b"'topic'", b"'tropic'"),),
        r"qa_250\.jsonl: row 1, field 'meta",
    ),
]
"""Source, bytes of its files, and what is said of what is wrong with them."""


@pytest.mark.parametrize(("source", "contents", "complaint"), BAD, ids=[f"{i}" for i in range(len(BAD))])
def test_bad_rows_are_named_with_a_remedy(
    made: Place, source: str, contents: tuple[Any, ...], complaint: str
) -> None:
    made(source, *contents)
    with pytest.raises(TableError, match=complaint):
        LOAD[source]()


class Downloader:
    """Stands for pooch's: hands over these bytes and remembers where it was sent."""

    body, asked = b"", ""

    def __init__(self, **_: object) -> None: ...

    def __call__(self, address: str, sink: BinaryIO, _: object) -> None:
        type(self).asked = address
        sink.write(self.body)


def test_the_deleted_rag_rows_are_fetched_only_on_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("RB_DATA_DIR", raising=False)
    monkeypatch.setattr("pooch.HTTPDownloader", Downloader)
    monkeypatch.setattr(Downloader, "body", assemble(old_frame(wide(), "2.0")))
    refused = CliRunner().invoke(app, ["fetch", "routerbench-rag"])
    assert (refused.exit_code, Downloader.asked) == (1, "")
    assert "--allow-unverified" in refused.stderr
    fetched = CliRunner().invoke(app, ["fetch", "routerbench-rag", "--allow-unverified"])
    assert (fetched.exit_code, fetched.stdout) == (0, "routerbench-rag: 1 files at hand and verified\n")
    assert Downloader.asked.endswith("/resolve/784e39c/routerbench_rag.pkl")
    table = load_routerbench("rag", allow_unverified=True)
    assert (len(table), set(table.models), table.origin.kind) == (6, set(MODELS), "real")


SAME = [
    {"claude-2.0", "claude-2", "claude-v2"},
    {"claude-1", "claude", "claude-v1"},
    {"claude-instant-1", "claude-instant-v1", "claude-instant-1.2"},
    {"llama-2-70b-chat", "Llama-2-70b-chat", "meta/llama-2-70b-chat"},
    {"mistral-7b-instruct", "mistralai/mistral-7b-chat", "mistralai/Mistral-7B-Instruct-v0.1"},
    {WEAK, "mistralai/mixtral-8x7b-chat", "mixtral-8x7b-instruct-v0.1", "Mixtral-8x7B-Instruct-v0.1_concise"},
    {STRONG, "gpt4_1106_preview", "gpt-4-turbo"},
    {"gpt-4", "gpt-4-0314"},
    {"yi-34b-chat", "zero-one-ai/Yi-34B-Chat"},
    {"codellama-34b-instruct", "meta/code-llama-instruct-34b-chat"},
    {"vicuna-33b", "vicuna-33b-v1.3"},
    {"vicuna-13b", "vicuna-13b-v1.5"},
    {"wizardlm-13b", "WizardLM/WizardLM-13B-V1.2"},
    {"openchat-3.5", "openchat_3.5"},
    {"pplx-70b-online", "perplexity/pplx-70b-online"},
    {"Meta-Llama-3.1-70B-Instruct", "llama31-70b"},
]
APART = [
    ("gpt-4-0314", STRONG), ("gpt-4-0613", "gpt-4-0314"), ("claude-1", "claude-2"),
    ("claude-2", "claude-2.1"),
    ("mistral-7b-instruct", "mistral-7b-instruct-v0.2"), ("openchat-3.5", "openchat-3.5-0106"),
    ("gpt-3.5-turbo-0613", "gpt-3.5-turbo-1106"), ("gpt-4-turbo@openai", STRONG),
    ("llama-2-13b-chat", "llama-13b"),
    ("Meta-Llama-3-70B-Instruct", "Meta-Llama-3.1-70B-Instruct"), ("wizardlm-13b", "wizardlm-70b"),
    ("gpt-4o", "gpt-4o-mini"), ("gpt-4o", "gpt-4o-agent"), ("chatglm-6b", "chatglm2-6b"),
]  # fmt: skip


def test_one_name_for_each_model_and_no_model_without_its_own() -> None:
    names = [{canonical(spelling) for spelling in spellings} for spellings in SAME]
    assert [len(each) for each in names] == [1] * len(SAME)
    assert len(set.union(*names)) == len(SAME)
    assert [pair for pair in APART if canonical(pair[0]) == canonical(pair[1])] == []


def _all_names() -> set[str]:
    battles = (load_battles(name) for name in ("alpaca-eval", "alpaca-eval-pair", "arena-battles"))
    scores = (load_graded(name) for name in ("zeroeval-gsm", "arena-bench"))
    names = ("mtbench-claude", "mtbench-llama31")
    judged = {model for name in names for model in load_judgments(name).frame["model"]}
    tables = [*battles, *scores, load_routerbench("slice"), load_search_qa()]
    return {*routellm_tiers()["model"], *judged}.union(*(table.models for table in tables))


def test_canonical_names_of_every_source_merge_only_what_is_listed(real: Path) -> None:
    spelt: dict[str, set[str]] = {}
    for model in _all_names():
        spelt.setdefault(canonical(model), set()).add(model)
        assert canonical(canonical(model)) == canonical(model), model
    listed = {canonical(next(iter(each))) for each in SAME}
    merged = {name for name, spellings in spelt.items() if len(spellings) > 1}
    assert merged - listed == {
        "gpt-3.5-turbo-0301", "palm-2", "vicuna-7b", "claude-3.5-sonnet", "starling-lm-7b-alpha",
        "openhermes-2.5-mistral-7b", "qwen-14b-chat", "gpt-4-0613", "gpt-4o-mini-2024-07-18",
    }  # fmt: skip
