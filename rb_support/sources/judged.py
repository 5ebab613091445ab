"""Preferences and answers: AlpacaEval, Chatbot Arena, RouteLLM's GPT-4 judge, ZeroEval."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rb_support.answers import final_number, same_number
from rb_support.catalog import GSM8K
from rb_support.outcomes import Battles, TableError
from rb_support.outcomes.files import read_frame
from rb_support.sources.records import SourceRows, read_lines, read_list, whole
from rb_support.sources.routellm import STRONG, WEAK
from rb_support.sources.store import Located

GOOD_ENOUGH = 4
"""Judge's score (1 to 5) from which, as this project reads it, Mixtral's answer is as good as GPT-4's."""

PARSED = "|parsed"
"""Ending of the columns that say whether a number could be read in a model's answer."""

_GPT4_IN_ALPACA = "gpt4_1106_preview"


def alpaca_eval(located: Located) -> Battles:
    """GPT-4 (model_a) against 20 models (model_b) on AlpacaEval 2, with soft preferences.

    `preference` runs from 1 (GPT-4's answer is surely better) to 2 (the model's is), so GPT-4's share of
    the win, `score`, is 2 minus it. A row without a preference is dropped and counted.
    """
    frame = pd.concat([_alpaca_file(path) for path in located.paths], ignore_index=True)
    judged = frame["score"].notna()
    note = f"{int((~judged).sum())} of {len(frame)} rows had no preference and were dropped"
    name = f"{_GPT4_IN_ALPACA} is called {STRONG}"
    return Battles.from_frame(frame[judged], origin=located.origin.noting([note, name]), name="alpaca-eval")


def _alpaca_file(path: Path) -> pd.DataFrame:
    rows = pd.DataFrame(
        read_list(path, ("instruction", "generator_1", "generator_2", "dataset", "preference"))
    )
    other = rows["generator_1"] != _GPT4_IN_ALPACA
    if other.any():
        row = int(np.argmax(other)) + 1
        raise TableError(f"{path.name}: row {row} is not judged against {_GPT4_IN_ALPACA}; fetch it anew")
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
    frame = read_frame(located.path("train.csv"))
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
    except ValueError as error:
        raise TableError(
            f"arena-55k: row {row}, column 'prompt': not a JSON list ({error}); fetch it anew"
        ) from error
    return whole(turns[0]) if turns and isinstance(turns[0], str) else ""


def judge(located: Located) -> Battles:
    """GPT-4 (model_a) against Mixtral (model_b), from GPT-4's score (1 to 5) of Mixtral's answer.

    The judge says how good Mixtral's answer is beside GPT-4's own: from `GOOD_ENOUGH` on the answers tie,
    below it GPT-4 wins. Mixtral never wins, as the score cannot say so. The score is kept as `judge_score`.
    """
    rows = [row for path in located.paths for row in read_lines(path, ("prompt", "mixtral_score"))]
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


def zeroeval(located: Located) -> SourceRows:
    """Answers of many models to GSM8K, graded: the rows of `load_graded`.

    Raises
    ------
    TableError : if a model lacks a question or answers it twice.
    """
    parts = [_zeroeval_file(path, name.removesuffix(".json")) for name, path in located.named()]
    prompts = pd.concat([part["prompt"] for part in parts])
    prompts = prompts[~prompts.index.duplicated()]
    right = pd.DataFrame({part.index.name: part["right"].reindex(prompts.index) for part in parts})
    parsed = pd.DataFrame({part.index.name: part["parsed"].reindex(prompts.index) for part in parts})
    if right.isna().any(axis=None):
        row, column = np.argwhere(right.isna().to_numpy())[0]
        raise TableError(f"{right.columns[column]} has no answer to {right.index[row]}; fetch its file anew")
    about = pd.DataFrame({"dataset": GSM8K, "task": "gsm8k", "prompt": prompts})
    frame = pd.concat([about, right, parsed.astype(bool).add_suffix(PARSED)], axis=1)
    failures = (~parsed.astype(bool)).sum()
    counted = ", ".join(f"{model} {count}" for model, count in failures[failures > 0].items())
    note = f"answers without a readable number count as wrong, per model: {counted or 'none'}"
    return SourceRows(frame.rename_axis("sample_id").reset_index(), located.origin.noting([note]))


def _zeroeval_file(path: Path, model: str) -> pd.DataFrame:
    """Rows prompt, right and parsed by sample_id; the index is named after the model."""
    rows = pd.DataFrame(read_list(path, ("id", "question", "output", "answer")))
    if rows["id"].duplicated().any():
        twice = rows.loc[rows["id"].duplicated(), "id"].iloc[0]
        raise TableError(f"{model} answers {twice} twice; fetch its file anew")
    read = [final_number(texts[0]) for texts in rows["output"]]
    gold = rows["answer"].str.removeprefix("#").str.strip()
    return pd.DataFrame(
        {
            "prompt": rows["question"].to_numpy(),
            "right": [float(same_number(*pair)) for pair in zip(read, gold, strict=True)],
            "parsed": [number is not None for number in read],
        },
        index=pd.Index(rows["id"], name=model),
    )
