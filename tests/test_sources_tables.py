"""Published files become tables: counts and means of the real ones, rules on made ones, one parse each."""

from __future__ import annotations

import csv
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sources_made import (
    Call,
    Global,
    Place,
    alpaca,
    assemble,
    json_lines,
    long,
    old_frame,
    slice_csvs,
    slice_rows,
    study,
    wide,
)

from rb_support.cache import digest
from rb_support.catalog import ARC, MBPP, MODELS, WINOGRANDE
from rb_support.outcomes import Outcomes, TableError
from rb_support.sources import (
    SOURCES,
    load_battles,
    load_graded,
    load_judgments,
    load_pairs,
    load_routerbench,
)
from rb_support.sources.errors import (
    AlteredFileError,
    MissingSourceError,
    UnknownSourceError,
    UnsafePickleError,
    UnverifiedFileError,
)
from rb_support.sources.records import whole
from rb_support.sources.routellm import STRONG, WEAK

FIVE_SHOT = {
    "gpt-4-1106-preview": (".954", ".686", ".859"),
    "zero-one-ai/Yi-34B-Chat": (".903", ".386", ".754"),
    "claude-v1": (".908", ".597", ".562"),
    "claude-v2": (".587", ".642", ".478"),
    "gpt-3.5-turbo-1106": (".834", ".653", ".641"),
    "claude-instant-v1": (".829", ".604", ".517"),
    "mistralai/mixtral-8x7b-chat": (".854", ".541", ".679"),
    "meta/llama-2-70b-chat": (".803", ".330", ".503"),
    "WizardLM/WizardLM-13B-V1.2": (".659", ".370", ".529"),
    "mistralai/mistral-7b-chat": (".670", ".344", ".566"),
    "meta/code-llama-instruct-34b-chat": (".661", ".518", ".585"),
}
"""Published 5-shot mean scores on ARC-Challenge, MBPP and Winogrande, as printed."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("RB_DATA_DIR", raising=False)
    return tmp_path / "cache"


def _pickle(frame: pd.DataFrame) -> bytes:
    return assemble(old_frame(frame, "2.0"))


def test_the_three_real_tasks_have_the_published_means(real: Path) -> None:
    table = load_routerbench("slice")
    assert len(table) == 3_164
    assert table.models == MODELS
    for task, dataset in enumerate((ARC, MBPP, WINOGRANDE)):
        part = table.of(dataset)
        means = dict(zip(part.models, part.quality.mean(axis=0), strict=True))
        assert {model: f"{mean:.3f}".lstrip("0") for model, mean in means.items()} == {
            model: printed[task] for model, printed in FIVE_SHOT.items()
        }


def test_the_real_table_says_where_it_comes_from(real: Path) -> None:
    origin = load_routerbench().origin
    assert (origin.kind, origin.name) == ("real", "RouterBench 5-shot (three tasks)")
    assert [name for name, _ in origin.files] == [file.name for file in SOURCES["routerbench-slice"].files]
    assert [sha256 for _, sha256 in origin.files] == [
        file.sha256 for file in SOURCES["routerbench-slice"].files
    ]
    assert any("14" in note and "28 rows" in note for note in origin.notes)


@pytest.mark.parametrize("shots", ["0shot", "5shot"])
def test_made_wide_pickles(made: Place, shots: Any) -> None:
    frame = wide()
    made(f"routerbench-{shots}", _pickle(frame))
    table = load_routerbench(shots)
    assert table.models == MODELS
    assert len(table) == len(frame) - 1
    assert table.origin.name == f"RouterBench {shots[0]}-shot"
    assert any("merged" in note for note in table.origin.notes)
    assert table.frame["prompt"].tolist()[1:4] == ["哪个城市？", "Same prompt", "Same prompt"]
    whole_rows = frame.iloc[:-2]
    for j, model in enumerate(MODELS):
        assert table.quality[:-1, j].tolist() == [float(score) for score in whole_rows[model]]
        assert table.cost[:-1, j].tolist() == whole_rows[f"{model}|total_cost"].tolist()
    assert table.frame[f"{MODELS[0]}|model_response"][0] == "['answer 0 — 好']"


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_of_ones_own_needs_the_flag_and_is_not_called_published(
    made: Place, tmp_path: Path, protocol: int
) -> None:
    """It is read in a child process; the published file, where it is too, comes first."""
    made("routerbench-0shot", _pickle(wide()))
    first = load_routerbench("0shot")
    [path] = (tmp_path / "data").rglob("*.pkl")
    published = path.read_bytes()
    wide().to_pickle(path, protocol=protocol)
    with pytest.raises(AlteredFileError, match="is not the published"):
        load_routerbench("0shot")
    own = load_routerbench("0shot", allow_unverified=True)
    np.testing.assert_array_equal(own.quality, first.quality)
    assert own.frame.equals(first.frame)
    assert (own.origin.kind, own.origin.name) == ("own", "RouterBench 0-shot (not the published file)")
    assert own.origin.files[0][1] == digest(path) != first.origin.files[0][1]
    (tmp_path / "data" / "copy.bin").write_bytes(published)
    assert load_routerbench("0shot", allow_unverified=True).origin == first.origin
    (tmp_path / "data" / "copy.bin").unlink()
    path.write_bytes(assemble(Call(Global("os", "mkdir"), str(tmp_path / "ran"))))
    with pytest.raises(UnsafePickleError, match="it asks for 'os.mkdir'"):
        load_routerbench("0shot", allow_unverified=True)
    assert not (tmp_path / "ran").exists()


def test_the_raw_pickle_gives_the_wide_table(made: Place) -> None:
    frame = long()
    made("routerbench-raw", _pickle(frame))
    table = load_routerbench("raw")
    expected = Outcomes.from_long(frame, models=MODELS)
    assert table.frame["prompt"].tolist() == expected.frame["prompt"].tolist()
    assert table.frame["prompt"][1] == "写一个函数"
    np.testing.assert_array_equal(table.quality, expected.quality)
    np.testing.assert_array_equal(table.cost, expected.cost)
    assert table.frame[f"{MODELS[2]}|model_response"].tolist() == [f"['def f{i}']" for i in range(5)]


def test_the_raw_pickle_with_a_missing_answer_is_refused(made: Place) -> None:
    made("routerbench-raw", _pickle(long().iloc[:-1]))
    with pytest.raises(TableError, match=r"routerbench_raw\.pkl .*mbpp\.dev\.4.*is missing"):
        load_routerbench("raw")


def test_one_sample_with_two_prompts_in_the_raw_pickle_is_refused(made: Place) -> None:
    frame = long()
    frame.loc[frame.index[3], "prompt"] = "['Another']"
    made("routerbench-raw", _pickle(frame))
    with pytest.raises(TableError, match=r"mbpp\.dev\.0"):
        load_routerbench("raw")


def test_a_table_of_other_columns_is_refused(made: Place) -> None:
    made("routerbench-0shot", _pickle(wide().drop(columns=f"{MODELS[4]}|total_cost")))
    with pytest.raises(UnsafePickleError, match=rf"column '{MODELS[4]}\|total_cost' is missing \(1 of 36\)"):
        load_routerbench("0shot")


def test_the_published_pickles_come_before_the_slice(made: Place) -> None:
    made("routerbench-slice", slice_csvs(slice_rows()))
    assert load_routerbench().origin.name == "RouterBench 5-shot (three tasks)"
    data = _pickle(wide())
    made("routerbench-5shot", data)
    assert load_routerbench().origin.name == "RouterBench 5-shot"
    made("routerbench-0shot", data)
    assert load_routerbench().origin.name == "RouterBench 0-shot"


def test_without_data_the_error_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(MissingSourceError, match="python -m rb_support data fetch routerbench-0shot"):
        load_routerbench()
    with pytest.raises(MissingSourceError, match="python -m rb_support data fetch routellm-gsm8k"):
        load_pairs("routellm-gsm8k")


def test_a_name_of_another_kind_is_refused() -> None:
    with pytest.raises(UnknownSourceError, match="'alpaca-eval' holds no scores of a pair.*routellm-mmlu"):
        load_pairs("alpaca-eval")
    with pytest.raises(UnknownSourceError, match="holds no battles"):
        load_battles("routellm-mmlu")
    with pytest.raises(UnknownSourceError, match="holds no judgments"):
        load_judgments("arena-55k")
    with pytest.raises(UnknownSourceError, match="holds no graded answers"):
        load_graded("arena-55k")


@pytest.mark.parametrize(("name", "key"), [("routellm-mmlu", "mmlu"), ("routellm-gsm8k", "gsm8k")])
def test_right_answers_of_the_pair(real: Path, golden: Callable[[str], Any], name: str, key: str) -> None:
    expected = golden("routellm_data.json")[key]
    everything, pairs = load_pairs(name, decontaminate=False), load_pairs(name)
    strong, weak = pairs.strong == 1, pairs.weak == 1
    counts = {
        "rows_total": len(everything),
        "rows_decontaminated": len(pairs),
        "duplicate_prompts_left": int(pairs.frame["prompt"].duplicated().sum()),
        "strong_correct": int(strong.sum()),
        "weak_correct": int(weak.sum()),
        "both": int((strong & weak).sum()),
        "strong_only": int((strong & ~weak).sum()),
        "weak_only": int((~strong & weak).sum()),
        "neither": int((~strong & ~weak).sum()),
    }
    assert counts == {name: expected[name] for name in counts}
    assert set(np.unique([pairs.strong, pairs.weak])) == {0.0, 1.0}
    assert (pairs.strong_model, pairs.weak_model) == (STRONG, WEAK)
    assert 100 * pairs.strong.mean() == pytest.approx(expected["ref_strong_percent"], abs=1e-9)
    assert pairs.frame["sample_id"].is_unique
    dropped = len(everything) - len(pairs)
    assert f"{dropped} of {len(everything)} prompts" in pairs.origin.notes[0]


def test_right_answers_per_subject_of_mmlu(real: Path, golden: Callable[[str], Any]) -> None:
    expected = golden("routellm_data.json")["mmlu_domains_[rows,kept,strong_correct,weak_correct]"]
    everything, pairs = load_pairs("routellm-mmlu", decontaminate=False), load_pairs("routellm-mmlu")
    frame = pairs.frame.assign(strong=pairs.strong, weak=pairs.weak)
    kept = frame.groupby("task").agg(rows=("task", "size"), strong=("strong", "sum"), weak=("weak", "sum"))
    rows = everything.frame["task"].value_counts()
    found = {
        task.removeprefix("mmlu-").replace("-", "_"): [int(rows[task]), *map(int, kept.loc[task])]
        for task in kept.index
    }
    assert found == expected


def test_rows_stand_in_the_order_of_the_reference(real: Path, golden: Callable[[str], Any]) -> None:
    """Its threshold sweep, with win rates made from the row number, gives the same scores only then."""
    sweep = golden("routellm_data.json")["mmlu"]["sweep_[threshold,strong_percent,score]"]
    pairs = load_pairs("routellm-mmlu")
    rate = (np.arange(1, len(pairs) + 1) * 0.6180339887498949) % 1
    for threshold, percent, score in sweep[:-1]:
        strong = rate >= threshold
        assert 100 * strong.mean() == pytest.approx(percent, abs=1e-9)
        assert 100 * np.where(strong, pairs.strong, pairs.weak).mean() == pytest.approx(score, abs=1e-9)


def test_judgments_of_mt_bench(real: Path, golden: Callable[[str], Any]) -> None:
    expected = golden("routellm_data.json")["mt_bench"]
    everything, pairs = load_pairs("routellm-mtbench", decontaminate=False), load_pairs("routellm-mtbench")
    assert (len(everything), len(pairs)) == (80, 72)
    assert pairs.scale == (1.0, 10.0)
    gone = set(everything.frame["sample_id"]) - set(pairs.frame["sample_id"])
    assert gone == {f"mtbench.{number}" for number in expected["dropped_question_ids"]}
    means = {
        "ref_strong_mean": pairs.strong.mean(),
        "ref_weak_mean": pairs.weak.mean(),
        "all_80_strong_mean": everything.strong.mean(),
        "all_80_weak_mean": everything.weak.mean(),
    }
    assert means == pytest.approx({name: expected[name] for name in means}, abs=1e-9)
    turns = pairs.frame[["strong_turn_1", "strong_turn_2"]].to_numpy()
    np.testing.assert_allclose(turns.mean(axis=1), pairs.strong)
    assert turns.size == 144
    gains = np.sort(np.maximum(pairs.strong - pairs.weak, 0))[::-1]
    curve = [pairs.weak.mean() + gains[: 72 * tenth // 10].sum() / 72 for tenth in range(11)]
    assert curve == pytest.approx(expected["optimal_curve_on_decontaminated_questions"], abs=1e-9)


def test_commercial_routers(real: Path) -> None:
    frame = load_judgments("routellm-commercial").frame
    assert frame.groupby("model").size().to_dict() == {"martian": 160, "unify": 160}
    assert int(frame["score"].isna().sum()) == 1  # the judge's -1
    assert frame["score"].min() >= 1
    assert frame.loc[frame["model"] == "martian", "called_model"].isna().all()
    assert frame.loc[frame["model"] == "unify", "called_model"].notna().all()


def test_claude_on_mt_bench(real: Path) -> None:
    frame = load_judgments("mtbench-claude").frame
    means = frame.groupby("model")["score"].mean().round(3).to_dict()
    assert means == {"claude-3-opus-20240229": 8.675, "claude-3-5-sonnet-20240620": 9.206}
    assert frame.groupby("model").size().tolist() == [160, 160]


def test_alpaca_eval(real: Path) -> None:
    battles = load_battles("alpaca-eval")
    assert len(battles) == 18 * 805 + 804 + 803
    assert set(battles.frame["model_a"]) == {STRONG}
    assert battles.frame["model_b"].nunique() == 20
    assert battles.share.min() >= 0
    assert battles.share.max() <= 1
    [phi] = json.loads((real / "alpaca_eval/phi-2.json").read_text())[:1]
    first = battles.frame[battles.frame["model_b"] == "phi-2"].iloc[0]
    assert first["score"] == pytest.approx(2 - phi["preference"])
    assert first["winner"] == "model_a"


def test_a_file_judged_against_another_model_is_refused(made: Place) -> None:
    rows = json.loads(alpaca("small", [1.0, 1.0]))
    rows[1]["generator_1"] = "davinci"
    made("alpaca-eval", json.dumps(rows).encode())
    with pytest.raises(TableError, match="row 2 is not judged against gpt4_1106_preview"):
        load_battles("alpaca-eval")


def _arena(path: Path, prompts: list[str]) -> bytes:
    columns = ["id", "model_a", "model_b", "prompt", "response_a", "response_b"]
    winners = ["winner_model_a", "winner_model_b", "winner_tie"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, *winners])
        for i, prompt in enumerate(prompts):
            flags = [int(i % 3 == j) for j in range(3)]
            writer.writerow([i, "gpt-4-1106-preview", "vicuna-13b", prompt, '["x"]', "[null]", *flags])
    return path.read_bytes()


def test_arena_battles_need_the_flag(made: Place, tmp_path: Path) -> None:
    prompts = ['["Hello", "and then?"]', '["\\ud83d\\ude00 嗨 \\ud83d"]', '["NA"]', '["  "]', "[]"]
    made("arena-55k", _arena(tmp_path / "train.csv", prompts), known=False)
    with pytest.raises(UnverifiedFileError, match="arena-55k --allow-unverified"):
        load_battles("arena-55k")
    battles = load_battles("arena-55k", allow_unverified=True)
    assert battles.frame["prompt"].tolist() == ["Hello", "😀 嗨 \ufffd", "NA"]
    assert battles.frame["winner"].tolist() == ["model_a", "model_b", "tie"]
    assert battles.origin.notes[0].startswith("2 of 5 rows had an empty first turn")
    assert len(load_battles("arena-55k")) == 3  # trusted by now


def test_arena_prompts_that_are_no_list_are_refused(made: Place, tmp_path: Path) -> None:
    made("arena-55k", _arena(tmp_path / "train.csv", ['["a"]', "b"]))
    with pytest.raises(TableError, match="row 2, column 'prompt'"):
        load_battles("arena-55k")


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert whole("a\ud83d\ude00b\ud83d") == "a😀b\ufffd"


def test_judge_labels(made: Place) -> None:
    rows = [{"prompt": f"ask {score}", "source": "x", "mixtral_score": score} for score in (5, 4, 3, 1)]
    made("routellm-judge", json_lines(rows[:2]), json_lines(rows[2:]))
    battles = load_battles("routellm-judge")
    assert battles.frame["winner"].tolist() == ["tie", "tie", "model_a", "model_a"]
    assert battles.frame["judge_score"].tolist() == [5, 4, 3, 1]
    assert set(battles.models) == {STRONG, WEAK}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"{half", "row 2 is not JSON"),
        (b"[1]", "row 2 is not a record"),
        (b"{}", "row 2 lacks the field 'prompt'"),
    ],
)
def test_bad_lines_are_named(made: Place, line: bytes, complaint: str) -> None:
    good = json_lines([{"prompt": "ask", "mixtral_score": 3}])
    made("routellm-judge", good + line + b"\n", good)
    with pytest.raises(TableError, match=complaint):
        load_battles("routellm-judge")


LOADERS: dict[str, tuple[Callable[[], Any], str]] = {
    "outcomes": (lambda: load_routerbench("slice"), "routerbench.read_csv"),
    "pairs": (lambda: load_pairs("routellm-gsm8k"), "routellm._answers"),
    "judgments": (lambda: load_judgments("mtbench-claude"), "routellm.judgments"),
    "battles": (lambda: load_battles("alpaca-eval"), "judged._alpaca_file"),
    "graded": (load_graded, "judged._zeroeval_file"),
}
"""How a kind of table is loaded, and what reads its file."""


@pytest.mark.parametrize("kind", LOADERS)
def test_a_table_is_parsed_once(made: Place, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    study(made)
    made("routerbench-slice", slice_csvs(slice_rows()))
    load, reader = LOADERS[kind]
    first = load()
    monkeypatch.setattr(f"rb_support.sources.{reader}", lambda *_: pytest.fail("parsed again"))
    again = load()
    pd.testing.assert_frame_equal(again.frame, first.frame)
    assert again.origin == first.origin
    if kind == "pairs":
        np.testing.assert_array_equal(again.strong, first.strong)
    monkeypatch.setattr("rb_support.sources.tables.package_digest", lambda *_: "another parser")
    with pytest.raises(pytest.fail.Exception, match="parsed again"):  # a kept table belongs to the code
        load()


@pytest.mark.parametrize("damage", ["cut", "flipped", "no record", "empty", "a folder", "record damaged"])
def test_a_damaged_cached_parse_is_made_again(made: Place, cache: Path, damage: str) -> None:
    study(made)
    first = load_pairs("routellm-gsm8k")
    [path] = (cache / "parsed").glob("*.parquet")
    data = path.read_bytes()
    half = len(data) // 2
    if damage == "cut":
        path.write_bytes(data[:half])
    elif damage == "flipped":
        path.write_bytes(data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "a folder":
        path.unlink()
        path.mkdir()
    elif damage == "no record":
        (cache / "parsed.json").unlink()
    else:
        (cache / "parsed.json").write_bytes(b"{")
    with pytest.warns(UserWarning, match=r"parquet was damaged .* made again"):
        again = load_pairs("routellm-gsm8k")
    assert again.frame.equals(first.frame)
    with warnings.catch_warnings(action="error"):  # and is sound now
        assert load_pairs("routellm-gsm8k").frame.equals(first.frame)


def test_a_file_in_place_of_the_folder_of_parses(made: Place, cache: Path) -> None:
    study(made)
    cache.mkdir()
    (cache / "parsed").write_bytes(b"")
    with pytest.warns(UserWarning, match="parsed was damaged"):
        assert len(load_pairs("routellm-gsm8k"))


def test_a_parse_is_not_served_for_other_bytes_of_the_same_size_and_time(made: Place, tmp_path: Path) -> None:
    study(made)
    [path] = (tmp_path / "data").rglob("gsm8k_responses.csv")
    first, state, data = load_pairs("routellm-gsm8k"), path.stat(), path.read_bytes()
    path.write_bytes(data.replace(b"True", b"Tru3", 1))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(AlteredFileError, match=r"gsm8k_responses\.csv is not the published"):
        load_pairs("routellm-gsm8k")
    path.write_bytes(data)
    assert load_pairs("routellm-gsm8k").frame.equals(first.frame)


def test_the_cached_parse_belongs_to_the_files(made: Place) -> None:
    for answer in ("one", "two"):
        made("alpaca-eval", alpaca("small", [1.0]).replace(b"Tell me", answer.encode()))
        assert load_battles("alpaca-eval").frame["prompt"][0].startswith(answer)


def test_nothing_is_written_into_the_data_folder(made: Place, tmp_path: Path) -> None:
    study(made)
    made("routerbench-slice", slice_csvs(slice_rows()))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    load_pairs("routellm-mtbench")
    load_routerbench()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before
