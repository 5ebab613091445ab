"""What the published files become, told on made files of their schemas: scores, leaks, judgments, answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sources_made import (
    LARGE,
    OPUS,
    SMALL,
    SONNET_35,
    TURNS,
    Place,
    alpaca,
    judgments,
    leaks,
    questions,
    right_answers,
    router_answers,
    study,
    zeroeval,
)

from rb_support.catalog import GSM8K, MMLU, MT_BENCH
from rb_support.outcomes import TableError
from rb_support.sources import (
    load_battles,
    load_graded,
    load_judgments,
    load_pairs,
    mtbench_scores,
)
from rb_support.sources.routellm import STRONG, WEAK

ASKED = 'Which, "a" or b?\nA. a\nB. b, or c\nAnswer:'
OTHER = "Which of them?\nA. a\nB. b\nAnswer:"


def _mmlu(made: Place) -> None:
    """Three subjects, given in the order of the alphabet, which is not RouteLLM's."""
    subjects = {
        "mmlu_abstract_algebra.csv": [(ASKED, True, False), ("NA", True, True)],
        "mmlu_business_ethics.csv": [(OTHER, False, True), (ASKED, False, False), (ASKED + " ", True, False)],
        "mmlu_virology.csv": [("为什么？\nA. 好\nAnswer:", True, True), (ASKED.upper(), False, True)],
    }
    answers = {name: right_answers(rows) for name, rows in subjects.items()}
    made("routellm-mmlu", {**answers, "contaminated_prompts.jsonl": leaks(ASKED, OTHER.upper())})


def _gsm8k(made: Place) -> None:
    rows = [("How many?", True, False), ("How much?\r\nSay.", True, True), ("How many?", False, True)]
    made("routellm-gsm8k", right_answers(rows, texts=True), leaks("How many?", "How much?"))


def _mt_bench(made: Place) -> None:
    asked = {
        81: ("Write.", "Again."),
        82: ("Tell.", "Why?"),
        90: ("Sing.", "Write."),
        160: ("Why not?", "Stop."),
    }
    scores = {(STRONG, q): (9, 9.5) for q in asked} | {(WEAK, q): (10, 1 + q % 3) for q in asked if q != 90}
    scores[WEAK, 90] = (8.5, 1)
    made("routellm-mtbench", questions(asked, "stem"), judgments(scores), leaks("Write.", "Why?"))


def test_subjects_stand_in_the_order_of_the_reference_with_their_columns_unmixed(made: Place) -> None:
    _mmlu(made)
    pairs = load_pairs("routellm-mmlu", decontaminate=False)
    ethics, virology, algebra = "mmlu-business-ethics", "mmlu-virology", "mmlu-abstract-algebra"
    assert pairs.frame["task"].tolist() == [ethics] * 3 + [virology] * 2 + [algebra] * 2
    assert pairs.frame["prompt"].tolist()[2:] == [
        ASKED + " ", "为什么？\nA. 好\nAnswer:", ASKED.upper(), ASKED, "NA",
    ]  # fmt: skip
    assert pairs.strong.tolist() == [0, 0, 1, 1, 0, 1, 1]
    assert pairs.weak.tolist() == [1, 0, 0, 1, 1, 0, 1]
    assert pairs.frame["sample_id"].tolist()[2:6] == [
        f"{ethics}.2", f"{virology}.0", f"{virology}.1", f"{algebra}.0",
    ]  # fmt: skip
    assert (pairs.datasets, pairs.scale) == ((MMLU,), (0.0, 1.0))
    assert (pairs.strong_model, pairs.weak_model) == (STRONG, WEAK)
    names = [Path(name).name for name, _ in pairs.origin.files]
    assert names[:2] == ["mmlu_business_ethics.csv", "mmlu_virology.csv"]


@pytest.mark.parametrize(
    ("name", "place", "kept", "note"),
    [
        ("routellm-mmlu", _mmlu, [0, 2, 3, 4, 6], "2 of 7 prompts"),
        ("routellm-gsm8k", _gsm8k, [1], "2 of 3 prompts"),
        ("routellm-mtbench", _mt_bench, [3], "3 of 4 prompts"),
    ],
)
def test_a_leaked_prompt_is_left_out_in_all_its_copies_and_by_its_exact_text_alone(
    made: Place, name: str, place: Callable[[Place], None], kept: list[int], note: str
) -> None:
    """On MT-Bench a question goes if either of its turns is in the training data."""
    place(made)
    everything = load_pairs(name, decontaminate=False)
    assert everything.origin.notes == (f"{note} also stand in RouteLLM's training data: kept",)
    pairs = load_pairs(name)
    assert pairs.origin.notes == (f"{note} also stand in RouteLLM's training data: left out",)
    pd.testing.assert_frame_equal(pairs.frame, everything.frame.iloc[kept].reset_index(drop=True))
    np.testing.assert_array_equal(pairs.strong, everything.strong[kept])
    np.testing.assert_array_equal(pairs.weak, everything.weak[kept])


def test_both_models_answers_to_gsm8k_are_kept(made: Place) -> None:
    _gsm8k(made)
    pairs = load_pairs("routellm-gsm8k")
    row = pairs.frame.iloc[0]
    assert (row["prompt"], row["sample_id"], row["dataset"], row["task"]) == (
        "How much?\r\nSay.", "gsm8k.1", GSM8K, "gsm8k",
    )  # fmt: skip
    assert row["strong_response"] == 'It is "1", of course.'
    assert row["weak_response"] == " So it is 1.\n#### 1\n\n"


def test_a_question_of_mt_bench_scores_the_mean_of_its_turns(made: Place) -> None:
    _mt_bench(made)
    pairs = load_pairs("routellm-mtbench", decontaminate=False)
    assert pairs.frame["sample_id"].tolist() == [f"mtbench.{q}" for q in (81, 82, 90, 160)]
    assert pairs.strong.tolist() == [9.25] * 4
    assert pairs.weak.tolist() == [5.5, 6, 4.75, 6]
    assert pairs.frame[["strong_turn_1", "strong_turn_2"]].to_numpy().tolist() == [[9, 9.5]] * 4
    assert pairs.frame["weak_turn_2"].tolist() == [1, 2, 1, 2]
    assert pairs.frame["prompt_turn_2"].tolist() == ["Again.", "Why?", "Write.", "Stop."]
    assert (set(pairs.frame["task"]), pairs.datasets, pairs.scale) == (
        {"mtbench-stem"},
        (MT_BENCH,),
        (1.0, 10.0),
    )


ONE = questions({81: ("Write.", "Again.")})
SCORES = {(STRONG, 81): (9, 9), (WEAK, 81): (5, 5)}
AGAIN = judgments(SCORES) + judgments({(WEAK, 81): (7, 7)})
UNRIGHT = right_answers([("a", True, True), ("b", False, True)]).replace(b"True,False", b"True,0")
BLANK = right_answers([("a", True, False)]).replace(b"False", b"")


@pytest.mark.parametrize(
    ("name", "contents", "complaint"),
    [
        (
            "gsm8k",
            [UNRIGHT, leaks()],
            f"gsm8k_responses.csv: row 2, column '{STRONG}': '0' is neither True nor",
        ),
        (
            "mmlu",
            [BLANK],
            f"mmlu_high_school_european_history.csv: row 1, column '{WEAK}': '' is neither True",
        ),
        ("mtbench", [ONE, AGAIN, b""], "judgements.jsonl: row 5 judges an answer again; fetch the file anew"),
        (
            "mtbench",
            [ONE, judgments({**SCORES, (STRONG, 81): (9, -1)}), b""],
            "RouteLLM's MT-Bench judgments: row 1 (sample_id mtbench.81), column 'strong': is missing; ",
        ),
        (
            "gsm8k",
            [right_answers([("a", True, True)]), b'{"prompt": "a"}'],
            "row 1 lacks the field 'eval_prompt'",
        ),
    ],
)
def test_a_cell_that_says_nothing_is_named(
    made: Place, name: str, contents: list[bytes], complaint: str
) -> None:
    made(f"routellm-{name}", *contents)
    with pytest.raises(TableError, match=re.escape(complaint)):
        load_pairs(f"routellm-{name}")


def test_commercial_routers_say_whom_they_called_or_keep_silent(made: Place) -> None:
    scores = {
        ("martian", 81): (9, -1),
        ("martian", 82): (8, 8.5),
        ("unify", 81): (1, 10),
        ("unify", 82): (7, 6),
    }
    called = {82: "mixtral-8x7b-instruct-v0.1@fireworks-ai", 81: "gpt-4-turbo@openai"}
    silent = router_answers({81: "router", 82: "router"})
    made("routellm-commercial", judgments(scores), silent, router_answers(called))
    frame = load_judgments("routellm-commercial").frame
    assert frame[["model", "question_id", "turn"]].to_numpy().tolist() == [
        [model, question, turn] for model in ("martian", "unify") for question in (81, 82) for turn in (1, 2)
    ]
    assert frame["score"].fillna(0).tolist() == [9, 0, 8, 8.5, 1, 10, 7, 6]
    assert frame["judge"].tolist() == ["gpt-4 single-v1", "gpt-4 single-v1-multi-turn"] * 4
    assert frame["called_model"][:4].isna().all()
    assert frame["called_model"][4:].tolist() == [called[81]] * 2 + [called[82]] * 2


def test_a_judge_who_gives_no_score_leaves_that_model_alone_without_one(made: Place) -> None:
    study(made)
    scores = mtbench_scores()
    values = pd.DataFrame(scores.scores, columns=list(scores.models))
    frame = pd.concat([scores.frame, values], axis=1).set_index("sample_id")
    assert scores.models == (STRONG, WEAK, SONNET_35, OPUS, LARGE, SMALL)
    assert frame.index.tolist() == [f"mtbench.{q}" for q in TURNS]
    assert frame.index[frame["contaminated"]].tolist() == ["mtbench.83"]
    assert frame[OPUS].isna().tolist() == [q == 84 for q in TURNS]
    assert frame[[STRONG, WEAK, SONNET_35]].loc["mtbench.84"].tolist() == [8.5, 6.25, 9.5]
    assert (frame["category"] == "writing").all()
    assert frame[[LARGE, SMALL]].loc["mtbench.81"].tolist() == [8.5, 7.0]
    assert len(scores.origin.files) == 6


ANSWERS = {
    '{"reasoning": "3 x 60 = 180", "answer": "540"}': ("540", 1, 1),
    '```json\n{\n "reasoning": "…",\n "answer": "$1,250.00 a week"\n}\n```': ("1250", 1, 1),
    'Here it is:\n\n{"reasoning": "a "quoted" word", "answer": 70000}': ("70000", 1, 1),
    '{"reasoning": "2 of 4 are left", "answer": "1/2"': ("0.5", 1, 1),
    '{"reasoning": "She lost 5", "answer": "-$5"}': ("5", 0, 1),
    '{"reasoning": "It is 7", "answer": "none"}': ("7", 0, 0),
    "I cannot tell.": ("3", 0, 0),
    "": ("3", 0, 0),
}
"""What models wrote -> the right number, whether it is told, whether any number is."""


def test_answers_are_graded_by_the_number_they_tell(made: Place) -> None:
    gold = [number for number, _, _ in ANSWERS.values()]
    files = {
        "Qwen2-7B-Instruct.json": zeroeval(list(ANSWERS), gold),
        "gemma-2-27b-it@together.json": zeroeval([f"#### {number}" for number in gold], gold),
    }
    made("zeroeval-gsm", files)
    graded = load_graded()
    frame = graded.frame
    assert graded.models == ("Qwen2-7B-Instruct", "gemma-2-27b-it@together")
    assert graded.scores[:, 0].tolist() == [right for _, right, _ in ANSWERS.values()]
    assert frame["Qwen2-7B-Instruct|parsed"].tolist() == [bool(told) for _, _, told in ANSWERS.values()]
    assert (graded.scores[:, 1] == 1).all()
    assert frame["sample_id"].tolist() == [f"gsm8k-main-test-#{i}" for i in range(len(gold))]
    assert graded.origin.notes == (
        "answers without a readable number count as wrong, per model: Qwen2-7B-Instruct 3",
    )
    assert (frame["dataset"] == GSM8K).all()


@pytest.mark.parametrize(
    ("second", "complaint"),
    [
        (zeroeval(["1"], ["1"]), "Qwen2-7B-Instruct has no answer to gsm8k-main-test-#1"),
        (
            zeroeval(["1", "1"], ["1", "1"]).replace(b"#1", b"#0"),
            "Qwen2-7B-Instruct answers gsm8k-main-test-#0 twice",
        ),
        (b"[1]", "Qwen2-7B-Instruct.json: row 1 is not a record"),
        (b'{"id": 1}', "Qwen2-7B-Instruct.json: not a JSON list of records; fetch the file anew"),
        (b"[{", "Qwen2-7B-Instruct.json: not JSON (Expecting"),
        (zeroeval(["1"], ["1"]).replace(b'"output"', b'"outputs"'), "row 1 lacks the field 'output'"),
    ],
)
def test_answers_that_are_not_whole_are_refused(made: Place, second: bytes, complaint: str) -> None:
    whole = zeroeval(["1", "2"], ["1", "2"])
    made("zeroeval-gsm", {"Qwen2-72B-Instruct.json": whole, "Qwen2-7B-Instruct.json": second})
    with pytest.raises(TableError, match=re.escape(complaint)):
        load_graded()


def test_preferences_are_soft_battles_of_each_model_against_gpt_4(made: Place) -> None:
    files = {
        "phi-2.json": alpaca("phi-2", [1.0, 1.25, None, 2.0]),
        "claude-2.json": alpaca("claude-2", [1.5, 1.0000000948]),
    }
    made("alpaca-eval", files)
    battles = load_battles("alpaca-eval")
    assert battles.frame["model_b"].tolist() == ["claude-2"] * 2 + ["phi-2"] * 3
    assert set(battles.frame["model_a"]) == {STRONG}
    assert battles.share.tolist() == [0.5, 2 - 1.0000000948, 1, 0.75, 0]
    assert battles.frame["winner"].tolist() == ["tie", "model_a", "model_a", "model_a", "model_b"]
    assert battles.frame["prompt"][0] == "Tell me either/or, as question 0 asks"
    assert battles.frame["task"].tolist() == ["helpful_base", "koala", "helpful_base", "koala", "koala"]
    assert battles.origin.notes == (
        "1 of 6 rows had no preference and were dropped",
        f"gpt4_1106_preview is called {STRONG}",
    )
