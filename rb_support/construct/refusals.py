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
from rb_support.outcomes.prompts import strings
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
    if _is_echo(plain, prompt):
        return "echo"
    return "refusal" if _REFUSAL.match(plain) or _is_cut_refusal(plain) else ""


def _plain(text: str) -> str:
    return " ".join(text.replace("’", "'").casefold().split()).lstrip("-–*\"'([ ")


def _is_echo(plain: str, prompt: str) -> bool:
    last = _plain((prompt.strip().splitlines() or [""])[-1])
    return plain in (*_CUES, last) or (len(plain.split()) >= _WORDS and plain in _plain(prompt))


def _is_cut_refusal(plain: str) -> bool:
    bare = " ".join(re.sub(r"[,.:!]", " ", plain).split())
    told = len(bare.split()) > 1 or "'" in bare or len(bare) >= _SURE
    return told and any(f"{phrase} ".startswith(f"{bare} ") for phrase in _FORMS["phrases"])


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
    return pd.DataFrame([_counted(outcomes, model) for model in held])


def marks(outcomes: Outcomes, model: str) -> pd.Series[str]:
    """Per row "refusal", "echo", "empty", "unreadable" or "" for one model's answers."""
    frame = outcomes.frame
    columns = zip(frame[model + ANSWER], frame["prompt"], frame["dataset"], strict=True)
    return pd.Series([_mark(*cells) for cells in columns], index=frame.index, dtype=object)


def _mark(answer: object, prompt: str, dataset: str) -> str:
    text = "\n\n".join(strings(answer)) if isinstance(answer, str) else ""
    metric = "number" if dataset == GSM8K else "letter"
    readable = dataset in _EXACT and final_answer(metric, text) is not None
    return behaviour(text, prompt, readable=readable) or ("unreadable" * (dataset in _EXACT and not readable))


def _counted(outcomes: Outcomes, model: str) -> dict[str, object]:
    mark = marks(outcomes, model)
    score = outcomes.quality[:, outcomes.models.index(model)]
    answers = ~mark.isin(["refusal", "echo", "empty"]).to_numpy()
    counts = {f"{name}": int((mark == name).sum()) for name in ("refusal", "echo", "empty", "unreadable")}
    return {
        "model": model,
        "answers": len(mark),
        "refusals": counts["refusal"],
        "echoes": counts["echo"],
        "empty": counts["empty"],
        "unreadable": counts["unreadable"],
        "refusal_share": counts["refusal"] / len(mark),
        "quality": float(score.mean()),
        "quality_if_answered": float(score[answers].mean()) if answers.any() else np.nan,
    }
