"""Preferences and answers: AlpacaEval, Chatbot Arena, RouteLLM's GPT-4 judge, ZeroEval."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rb_support.outcomes import Battles, Origin, TableError
from rb_support.outcomes.files import read_frame
from rb_support.sources.lines import read_lines, read_list, whole
from rb_support.sources.routellm import STRONG, WEAK
from rb_support.sources.store import Located

GOOD_ENOUGH = 4
"""Judge's score (1 to 5) from which, as this project reads it, Mixtral's answer is as good as GPT-4's."""

_GPT4_IN_ALPACA = "gpt4_1106_preview"


def alpaca_eval(located: Located, origin: Origin) -> Battles:
    """GPT-4 (model_a) against 20 models (model_b) on AlpacaEval 2, with soft preferences.

    `preference` runs from 1 (GPT-4's answer is surely better) to 2 (the model's is), so GPT-4's share of
    the win, `score`, is 2 minus it. A row without a preference is dropped and counted.
    """
    frame = pd.concat([_alpaca_file(path) for path in located.paths], ignore_index=True)
    judged = frame["score"].notna()
    note = f"{int((~judged).sum())} of {len(frame)} rows had no preference and were dropped"
    name = f"{_GPT4_IN_ALPACA} is called {STRONG}"
    return Battles.from_frame(frame[judged], origin=origin.noting([note, name]), name="alpaca-eval")


def _alpaca_file(path: Path) -> pd.DataFrame:
    rows = read_list(path, ("instruction", "generator_1", "generator_2", "dataset", "preference"))
    for number, row in enumerate(rows, start=1):
        if row["generator_1"] != _GPT4_IN_ALPACA:
            raise TableError(
                f"{path.name}: row {number} is not judged against {_GPT4_IN_ALPACA}; fetch it anew"
            )
    preference = np.array([row["preference"] for row in rows], dtype=float)
    return pd.DataFrame(
        {
            "prompt": [row["instruction"] for row in rows],
            "model_a": STRONG,
            "model_b": [row["generator_2"] for row in rows],
            "task": [row["dataset"] for row in rows],
            "score": 2 - preference,
        }
    )


def arena(located: Located, origin: Origin) -> Battles:
    """Human votes of Chatbot Arena; the prompt is a conversation's first turn, which is what gets routed.

    Rows whose first turn is empty are dropped and counted.
    """
    frame = read_frame(located.path("train.csv"))
    frame["prompt"] = [_first_turn(cell, row) for row, cell in enumerate(frame["prompt"], start=1)]
    empty = frame["prompt"].str.strip() == ""
    note = f"{int(empty.sum())} of {len(frame)} rows had an empty first turn and were dropped"
    columns = ["prompt", "model_a", "model_b", "winner_model_a", "winner_model_b", "winner_tie"]
    return Battles.from_frame(frame.loc[~empty, columns], origin=origin.noting([note]), name="arena-55k")


def _first_turn(cell: str, row: int) -> str:
    try:
        turns: Any = json.loads(cell)
    except ValueError as error:
        raise TableError(
            f"arena-55k: row {row}, column 'prompt': not a JSON list ({error}); fetch it anew"
        ) from error
    return whole(turns[0]) if turns and isinstance(turns[0], str) else ""


def judge(located: Located, origin: Origin) -> Battles:
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
    return Battles.from_frame(frame, origin=origin.noting([note]), name="routellm-judge")


def zeroeval(located: Located) -> pd.DataFrame:
    """Answers to GSM8K as written, ungraded: sample_id, prompt, model, answer, gold (a number as text)."""
    pairs = zip(located.paths, located.files, strict=True)
    return pd.concat([_zeroeval_file(path, name) for path, (name, _) in pairs], ignore_index=True)


def _zeroeval_file(path: Path, name: str) -> pd.DataFrame:
    rows = read_list(path, ("id", "question", "output", "answer"))
    return pd.DataFrame(
        {
            "sample_id": [row["id"] for row in rows],
            "prompt": [row["question"] for row in rows],
            "model": Path(name).stem,
            "answer": [row["output"][0] for row in rows],
            "gold": [row["answer"].removeprefix("#").strip() for row in rows],
        }
    )
