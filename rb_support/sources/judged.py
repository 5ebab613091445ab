"""Preferences and answers: AlpacaEval, Chatbot Arena and its benchmark, RouteLLM's GPT-4 judge, ZeroEval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rb_support.answers import final_number, same_number
from rb_support.catalog import GSM8K
from rb_support.outcomes import Battles, TableError
from rb_support.sources.files import Located
from rb_support.sources.records import ModelScores, parsed, read_csv, read_records, refuse, whole
from rb_support.sources.routellm import JUDGE_SCALE, STRONG, WEAK

GOOD_ENOUGH = 4
"""Judge's score (1 to 5) from which, as this project reads it, Mixtral's answer is as good as GPT-4's."""

_GPT4_IN_ALPACA = "gpt4_1106_preview"


def alpaca_eval(located: Located) -> Battles:
    """GPT-4 (model_a) against 20 models (model_b) on AlpacaEval 2, with soft preferences.

    `preference` runs from 1 (GPT-4's answer is surely better) to 2 (the model's is), so GPT-4's share of
    the win, `score`, is 2 minus it. A row without a preference is dropped and counted.
    """
    frame = pd.concat([_alpaca_file(located, name) for name in located.names], ignore_index=True)
    lacking, notes = frame["score"].isna(), [f"{_GPT4_IN_ALPACA} is called {STRONG}"]
    return _without(lacking, "had no preference", frame, located, "alpaca-eval", notes)


def _without(
    gone: pd.Series[bool],
    why: str,
    frame: pd.DataFrame,
    located: Located,
    name: str,
    notes: Sequence[str] = (),
) -> Battles:
    """Battles of a frame without some of its rows, which the origin counts."""
    counted = f"{int(gone.sum())} of {len(frame)} rows {why} and were dropped"
    return Battles.from_frame(frame[~gone], origin=located.origin.noting([counted, *notes]), name=name)


def _alpaca_file(located: Located, name: str, also: tuple[str, ...] = ()) -> pd.DataFrame:
    needed = ("instruction", "generator_1", "generator_2", "dataset", "preference", *also)
    rows = pd.DataFrame(read_records(located, name, needed))
    refuse(name, rows["generator_1"] != _GPT4_IN_ALPACA, f" is not judged against {_GPT4_IN_ALPACA}")
    return pd.DataFrame(
        {
            "prompt": rows["instruction"],
            "model_a": STRONG,
            "model_b": rows["generator_2"],
            "task": rows["dataset"],
            "score": 2 - rows["preference"].astype(float),
            **{field: rows[field] for field in also},
        }
    )


def alpaca_eval_pair(located: Located) -> Battles:
    """GPT-4 (model_a) against Mixtral (model_b) on AlpacaEval, every prompt by two protocols of one judge.

    `preference` is 1 (GPT-4's answer is better), 2 (Mixtral's is), and 0 or 1.5 for a tie. The frame's column
    protocol is the annotator's name. A row without a preference is dropped and counted.

    Raises
    ------
    TableError : if a preference is none of these, or a row is not of this pair.
    """
    frame = pd.concat([_alpaca_pair_file(located, name) for name in located.names], ignore_index=True)
    counts = frame.loc[frame["score"] == 0.5, "protocol"].value_counts()
    ties = ", ".join(f"{protocol} {counts.get(protocol, 0)}" for protocol in frame["protocol"].unique())
    notes = [
        f"ties, per protocol: {ties}",
        f"{_GPT4_IN_ALPACA} is called {STRONG}, Mixtral-8x7B-Instruct-v0.1 {WEAK}",
    ]
    lacking = frame["score"].isna()
    return _without(lacking, "had no preference", frame, located, "alpaca-eval-pair", notes)


def _alpaca_pair_file(located: Located, name: str) -> pd.DataFrame:
    rows, mixtral = _alpaca_file(located, name, also=("annotator",)), WEAK.split("/")[1]
    share = rows["score"].replace(2.0, 0.5)  # a preference of 0 is a tie
    odd = ~(share.isin([0.0, 0.5, 1.0]) | share.isna()) | (rows["model_b"] != mixtral)
    refuse(name, odd, f" is no preference (0, 1, 1.5 or 2) between {_GPT4_IN_ALPACA} and {mixtral}")
    return rows.assign(score=share, model_b=WEAK, protocol=rows.pop("annotator"))


def arena(located: Located) -> Battles:
    """Human votes of Chatbot Arena; the prompt is a conversation's first turn, which is what gets routed.

    Rows whose first turn is empty are dropped and counted.
    """
    frame = read_csv(located, "train.csv")
    rows = enumerate(frame["prompt"], start=1)
    frame["prompt"] = [
        opening(parsed(cell, f"arena-55k: row {n}, column 'prompt':")) or "" for n, cell in rows
    ]
    columns = ["prompt", "model_a", "model_b", "winner_model_a", "winner_model_b", "winner_tie"]
    empty = frame["prompt"].str.strip() == ""
    return _without(empty, "had an empty first turn", frame[columns], located, "arena-55k")


def opening(turns: Any) -> str | None:
    """First turn of a conversation, None if there is none."""
    return whole(turns[0]) if isinstance(turns, list) and turns and isinstance(turns[0], str) else None


def _openings(turns: pd.Series, name: str) -> list[str]:
    """First turn of each conversation of a file, which every one must have."""
    prompts = [opening(each) or "" for each in turns]
    refuse(name, [not prompt.strip() for prompt in prompts], ", field 'turns': no conversation in it")
    return prompts


def arena_battles(located: Located) -> Battles:
    """Human votes of Chatbot Arena's first months, by the first turn, which is what gets routed.

    "Both bad" counts as a tie. Columns beside those of `Battles`: sample_id, turns (of the conversation) and
    date of the vote.

    Raises
    ------
    TableError : if a row holds no conversation, or no winner.
    """
    [name] = located.names
    needed = ("question_id", "model_a", "model_b", "winner", "tstamp", "turns")
    rows = pd.DataFrame(read_records(located, name, needed))
    said = f" has the winner {{}} (known are {', '.join(_WINNERS)})"
    refuse(name, ~rows["winner"].isin([*_WINNERS]), said, rows["winner"])
    frame = pd.DataFrame(
        {
            "sample_id": rows["question_id"],
            "prompt": _openings(rows["turns"], name),
            "model_a": rows["model_a"],
            "model_b": rows["model_b"],
            "winner": rows["winner"],
            "turns": [len(turns) for turns in rows["turns"]],
            "date": pd.to_datetime(rows["tstamp"], unit="s").dt.strftime("%Y-%m-%d"),
        }
    )
    bad = int((rows["winner"] == _WINNERS[3]).sum())
    note = f"{bad} of {len(frame)} votes found both answers bad and count as ties"
    return Battles.from_frame(frame, origin=located.origin.noting([note]), name="arena-battles")


_WINNERS = ("model_a", "model_b", "tie", "tie (bothbad)")


def arena_bench(located: Located) -> ModelScores:
    """GPT-4's scores (1 to 10, against a reference) of 14 models' answers to 300 Arena prompts.

    NaN where the judge gave no score (null or -1); the origin's notes count these. A model is called as its
    file's rows call it.

    Raises
    ------
    TableError : if a file scores two models or an unknown or repeated question, or off the scale.
    """
    first, *others = located.names
    asked = pd.DataFrame(read_records(located, first, ("question_id", "turns"))).set_index("question_id")
    columns = dict(_bench_file(located, name, asked.index) for name in others)
    scores = pd.DataFrame(columns)
    counted = ", ".join(f"{model} {count}" for model, count in scores.isna().sum().items())
    frame = pd.DataFrame(
        {
            "sample_id": asked.index,
            "dataset": "Arena-bench",
            "task": "arena-bench-v1",
            "prompt": _openings(asked["turns"], first),
        }
    )
    origin = located.origin.noting([f"answers that the judge gave no score, per model: {counted}"])
    return ModelScores(frame, tuple(columns), scores.to_numpy(), origin, JUDGE_SCALE)


def _bench_file(located: Located, name: str, asked: pd.Index) -> tuple[str, pd.Series[float]]:
    """A file's model, and its score of each question."""
    rows = pd.DataFrame(read_records(located, name, ("question_id", "model", "score")))
    score = pd.Series([np.nan if cell in (None, -1) else cell for cell in rows["score"]], rows["question_id"])
    numbers = pd.to_numeric(score, errors="coerce")
    refuse(name, rows["model"] != rows["model"].iloc[0], " is of another model than the first")
    refuse(name, rows["question_id"].duplicated(), " scores a question again")
    refuse(name, ~rows["question_id"].isin(asked), " scores a question that was not asked")
    off_scale = ~(numbers.between(*JUDGE_SCALE) | score.isna()).to_numpy()
    refuse(name, off_scale, " has a score that is none from 1 to 10")
    return str(rows["model"].iloc[0]), numbers.astype(float).reindex(asked)


def judge(located: Located) -> Battles:
    """GPT-4 (model_a) against Mixtral (model_b), from GPT-4's score (1 to 5) of Mixtral's answer.

    The judge says how good Mixtral's answer is beside GPT-4's own: from `GOOD_ENOUGH` on the answers tie,
    below it GPT-4 wins. Mixtral never wins, as the score cannot say so. The score is kept as `judge_score`.
    """
    rows = [row for name in located.names for row in read_records(located, name, ("prompt", "mixtral_score"))]
    score = pd.to_numeric(pd.Series([row["mixtral_score"] for row in rows]))
    frame = pd.DataFrame(
        {
            "prompt": [whole(row["prompt"]) for row in rows],
            "model_a": STRONG,
            "model_b": WEAK,
            "winner": np.where(score >= GOOD_ENOUGH, "tie", "model_a"),
            "judge_score": score,
        }
    )
    note = f"a judge's score of {GOOD_ENOUGH} or 5 counts as a tie, a lower one as a win of {STRONG}"
    return Battles.from_frame(frame, origin=located.origin.noting([note]), name="routellm-judge")


def zeroeval(located: Located) -> ModelScores:
    """Answers of many models to GSM8K, graded: the table of `load_graded`.

    Raises
    ------
    TableError : if a model lacks a question or answers it twice.
    """
    parts = {name.removesuffix(".json"): _zeroeval_file(located, name) for name in located.names}
    prompts = pd.concat([part["prompt"] for part in parts.values()])
    prompts = prompts[~prompts.index.duplicated()]
    right, parsed = (
        pd.DataFrame({model: part[column].reindex(prompts.index) for model, part in parts.items()})
        for column in ("right", "parsed")
    )
    if right.isna().any(axis=None):
        row, column = np.argwhere(right.isna().to_numpy())[0]
        raise TableError(f"{right.columns[column]} has no answer to {right.index[row]}; fetch its file anew")
    parsed = parsed.astype(bool)
    counted = ", ".join(f"{model} {count}" for model, count in (~parsed).sum().items() if count)
    note = f"answers without a readable number count as wrong, per model: {counted or 'none'}"
    about = pd.DataFrame({"dataset": GSM8K, "task": "gsm8k", "prompt": prompts})
    frame = pd.concat([about, parsed.add_suffix("|parsed")], axis=1).rename_axis("sample_id").reset_index()
    return ModelScores(frame, tuple(parts), right.to_numpy(), located.origin.noting([note]), (0.0, 1.0))


def _zeroeval_file(located: Located, name: str) -> pd.DataFrame:
    """Columns prompt, right and parsed, indexed by sample_id."""
    rows = pd.DataFrame(read_records(located, name, ("id", "question", "output", "answer")))
    for twice in rows.loc[rows["id"].duplicated(), "id"]:
        raise TableError(f"{name.removesuffix('.json')} answers {twice} twice; fetch its file anew")
    read = [final_number(texts[0]) for texts in rows["output"]]
    gold = rows["answer"].str.removeprefix("#").str.strip()
    return pd.DataFrame(
        {
            "prompt": rows["question"].to_numpy(),
            "right": [float(same_number(*pair)) for pair in zip(read, gold, strict=True)],
            "parsed": [number is not None for number in read],
        },
        index=rows["id"],
    )
