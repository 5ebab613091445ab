"""Preferences and answers: AlpacaEval, Chatbot Arena, RouteLLM's GPT-4 judge, ZeroEval."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from rb_support.answers import final_number, same_number
from rb_support.catalog import GSM8K
from rb_support.outcomes import Battles, TableError
from rb_support.sources.records import ModelScores, read_csv, read_records, whole
from rb_support.sources.routellm import STRONG, WEAK
from rb_support.sources.store import Located

GOOD_ENOUGH = 4
"""Judge's score (1 to 5) from which, as this project reads it, Mixtral's answer is as good as GPT-4's."""

_GPT4_IN_ALPACA = "gpt4_1106_preview"


def alpaca_eval(located: Located) -> Battles:
    """GPT-4 (model_a) against 20 models (model_b) on AlpacaEval 2, with soft preferences.

    `preference` runs from 1 (GPT-4's answer is surely better) to 2 (the model's is), so GPT-4's share of
    the win, `score`, is 2 minus it. A row without a preference is dropped and counted.
    """
    frame = pd.concat([_alpaca_file(located, name) for name in located.names], ignore_index=True)
    judged = frame["score"].notna()
    note = f"{int((~judged).sum())} of {len(frame)} rows had no preference and were dropped"
    name = f"{_GPT4_IN_ALPACA} is called {STRONG}"
    return Battles.from_frame(frame[judged], origin=located.origin.noting([note, name]), name="alpaca-eval")


def _alpaca_file(located: Located, name: str) -> pd.DataFrame:
    needed = ("instruction", "generator_1", "generator_2", "dataset", "preference")
    rows = pd.DataFrame(read_records(located, name, needed))
    other = rows["generator_1"] != _GPT4_IN_ALPACA
    if other.any():
        row = int(np.argmax(other)) + 1
        raise TableError(f"{name}: row {row} is not judged against {_GPT4_IN_ALPACA}; fetch it anew")
    return pd.DataFrame(
        {
            "prompt": rows["instruction"],
            "model_a": STRONG,
            "model_b": rows["generator_2"],
            "task": rows["dataset"],
            "score": 2 - rows["preference"].astype(float),
        }
    )


def arena(located: Located) -> Battles:
    """Human votes of Chatbot Arena; the prompt is a conversation's first turn, which is what gets routed.

    Rows whose first turn is empty are dropped and counted.
    """
    frame = read_csv(located, "train.csv")
    frame["prompt"] = [_first_turn(cell, row) for row, cell in enumerate(frame["prompt"], start=1)]
    empty = frame["prompt"].str.strip() == ""
    note = f"{int(empty.sum())} of {len(frame)} rows had an empty first turn and were dropped"
    columns = ["prompt", "model_a", "model_b", "winner_model_a", "winner_model_b", "winner_tie"]
    return Battles.from_frame(
        frame.loc[~empty, columns], origin=located.origin.noting([note]), name="arena-55k"
    )


def _first_turn(cell: str, row: int) -> str:
    try:
        turns: Any = json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise TableError(
            f"arena-55k: row {row}, column 'prompt': not a JSON list ({error}); fetch it anew"
        ) from error
    match turns:
        case [str(first), *_]:
            return whole(first)
    return ""


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
    if rows["id"].duplicated().any():
        twice = rows.loc[rows["id"].duplicated(), "id"].iloc[0]
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
