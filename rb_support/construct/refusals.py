"""Answers that are none: refusals, echoes and silence (RouterBench App. B), told apart from wrong answers.

They keep their place and their score in the table; they are marked and counted beside it. The published
5-shot answers to lettered questions are cut after two tokens, so that most refusals show as an opening
alone ("I do", "Unfortunately I"): an answer that is nothing but the opening of a refusal counts as one.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pandas as pd

from rb_support.answers import final_answer
from rb_support.catalog import ARC, GSM8K, HELLASWAG, MMLU, WINOGRANDE
from rb_support.construct.records import texts_of
from rb_support.outcomes import Outcomes
from rb_support.outcomes.cells import strings
from rb_support.outcomes.wide import ANSWER

Behaviour = Literal["", "refusal", "echo", "empty"]

_FORMS = texts_of("phrases.toml")["refusal"]
_REFUSAL = re.compile(_FORMS["lead"] + f"(?:{'|'.join(_FORMS['openings'])})")
_SURE = 8
"""Letters that a single word needs to be told as the opening of a refusal."""
_WORDS = 4
"""Words that a piece of the prompt must have to be an echo."""
_CUES = ("answer", "answer:", "the answer is", "question", "question:")
_EXACT = (MMLU, HELLASWAG, ARC, WINOGRANDE, GSM8K)


def behaviour(text: str, prompt: str = "", *, readable: bool = False) -> Behaviour:
    """What an answer does instead of answering; "" if it answers.

    Parameters
    ----------
    text : the model's answer.
    prompt : what it was asked, to tell echoes by.
    readable : whether a letter or number could be read out of the answer; it is one then.

    >>> behaviour("I do not understand the question."), behaviour("I do"), behaviour("I doubt it: 4.")
    ('refusal', 'refusal', '')
    """
    plain = _plain(text)
    if not plain:
        return "empty"
    if readable:
        return ""
    last = _plain((prompt.strip().splitlines() or [""])[-1])
    if plain in (*_CUES, last) or (len(plain.split()) >= _WORDS and plain in _plain(prompt)):
        return "echo"
    if _REFUSAL.match(plain):
        return "refusal"
    # An answer that was cut: nothing but the beginning of a refusal.
    bare = " ".join(re.sub(r"[,.:!]", " ", plain).split())
    told = len(bare.split()) > 1 or "'" in bare or len(bare) >= _SURE
    return "refusal" if told and any(f"{p} ".startswith(f"{bare} ") for p in _FORMS["phrases"]) else ""


def _plain(text: str) -> str:
    return " ".join(text.replace("’", "'").casefold().split()).lstrip("-–*\"'([ ")


def refusals_table(outcomes: Outcomes) -> pd.DataFrame:
    """What every model's answers do, from the columns `<model>|model_response` of a table.

    Returns
    -------
    A row per model with such a column: model, answers, refusals, echoes, empty, unreadable (exact-match
    tasks only: none of these, but no letter or number either), refusal_share, quality, and
    quality_if_answered (mean score over its answers that are neither refusal, echo nor empty).

    Raises
    ------
    ValueError : if the table holds no answers.
    """
    held = [model for model in outcomes.models if model + ANSWER in outcomes.frame.columns]
    if not held:
        raise ValueError(
            f"{outcomes.origin.name}: no answers to look at; a table needs columns '<model>{ANSWER}' for that"
        )
    rows = []
    for model in held:
        mark = marks(outcomes, model)
        score = outcomes.quality[:, outcomes.models.index(model)]
        answered = ~mark.isin(["refusal", "echo", "empty"]).to_numpy()
        counts = [int((mark == name).sum()) for name in ("refusal", "echo", "empty", "unreadable")]
        if_answered = float(score[answered].mean()) if answered.any() else np.nan
        shares = counts[0] / len(mark), float(score.mean()), if_answered
        rows.append((model, len(mark), *counts, *shares))
    columns = ["model", "answers", "refusals", "echoes", "empty", "unreadable"]
    return pd.DataFrame(rows, columns=[*columns, "refusal_share", "quality", "quality_if_answered"])


def marks(outcomes: Outcomes, model: str) -> pd.Series[str]:
    """Per row "refusal", "echo", "empty", "unreadable" or "" for one model's answers."""
    frame, found = outcomes.frame, []
    for answer, prompt, dataset in zip(frame[model + ANSWER], frame["prompt"], frame["dataset"], strict=True):
        text = "\n\n".join(strings(answer)) if isinstance(answer, str) else ""
        metric = "number" if dataset == GSM8K else "letter"
        exact = dataset in _EXACT
        readable = exact and final_answer(metric, text) is not None
        mark = behaviour(text, prompt, readable=readable)
        found.append(mark or ("unreadable" if exact and not readable else ""))
    return pd.Series(found, index=frame.index, dtype=object)
