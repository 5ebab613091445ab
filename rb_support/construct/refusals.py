"""Answers that are none: refusals, echoes and silence (RouterBench App. B), told apart from wrong answers.

They keep their place and their score in the table; they are marked and counted beside it. The published
5-shot answers to lettered questions are cut after two tokens, so that most refusals show as an opening
alone ("I do", "Unfortunately I"): an answer that is nothing but the opening of a refusal counts as one.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from rb_support.answers import final_answer, without_thoughts
from rb_support.cache import packaged_table
from rb_support.catalog import ARC, GSM8K, HELLASWAG, MMLU, WINOGRANDE
from rb_support.outcomes import Outcomes
from rb_support.outcomes.cells import strings
from rb_support.outcomes.wide import ANSWER

_FORMS = packaged_table("construct/phrases.toml")["refusal"]
_REFUSAL = re.compile(_FORMS["lead"] + f"(?:{'|'.join(_FORMS['openings'])})")
_SURE = 8
"""Letters that a single word needs to be told as the opening of a refusal."""
_WORDS = 4
"""Words that a piece of the prompt must have to be an echo."""
_CUES = ("answer", "answer:", "the answer is", "question", "question:")
NOTES = {"refusals": "refusal", "echoes": "echo", "empty": "empty"}
"""Column that counts a kind of answer that is none, and the note on each such answer."""

_EXACT = (MMLU, HELLASWAG, ARC, WINOGRANDE, GSM8K)


def behaviour(text: str, prompt: str = "", *, readable: bool = False) -> str:
    """What an answer does instead of answering: "refusal", "echo" or "empty"; "" if it answers.

    Parameters
    ----------
    text : the model's answer.
    prompt : what it was asked, to tell echoes by.
    readable : whether a letter or number could be read out of the answer; it is one then.

    >>> behaviour("I do not understand the question."), behaviour("I do"), behaviour("I doubt it: 4.")
    ('refusal', 'refusal', '')
    """
    plain = _plain(without_thoughts(text))
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
    found = pd.DataFrame({model: marks(outcomes, model) for model in held})
    scores = [outcomes.quality[:, outcomes.models.index(model)] for model in held]
    answers = found.melt(var_name="model", value_name="note").assign(
        kind="", cut=False, score=np.concatenate(scores)
    )
    table = tally(answers.assign(parsed=answers["note"].ne("unreadable")), ["model"])
    real = answers[~answers["note"].isin(NOTES.values())]
    table["quality"] = [score.mean() for score in scores]
    table["refusal_share"] = table["refusals"] / table["answers"]
    table["quality_if_answered"] = real.groupby("model")["score"].mean()
    columns = ["model", "answers", *NOTES, "unreadable", "refusal_share", "quality", "quality_if_answered"]
    return table.reset_index()[columns]


def tally(grades: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Counts over graded answers by some of their columns, which become the index.

    Parameters
    ----------
    grades : a row per answer with columns kind and parsed (blank where it has no grade), score, note and cut.

    Returns
    -------
    Columns answers, ungraded (a judge's verdict is missing), cut (at the limit of tokens, so no score),
    unreadable (graded, nothing could be read), refusals, echoes, empty, quality (mean score of the graded).
    """
    counts = {"ungraded": grades["kind"].isna() & ~grades["cut"], "cut": grades["cut"]}
    counts |= {"unreadable": grades["parsed"].eq(False)}
    counts |= {column: grades["note"].eq(note) for column, note in NOTES.items()}
    table = grades[by].assign(answers=1, **counts).groupby(by, sort=False).sum().astype(int)
    return table.assign(quality=grades.groupby(by)["score"].mean())


def marks(outcomes: Outcomes, model: str) -> pd.Series[str]:
    """Per row "refusal", "echo", "empty", "unreadable" or "" for one model's answers."""
    frame, found = outcomes.frame, []
    for answer, prompt, dataset in zip(frame[model + ANSWER], frame["prompt"], frame["dataset"], strict=True):
        text = "\n\n".join(strings(answer)) if isinstance(answer, str) else ""
        metric = "number" if dataset == GSM8K else "letter"
        readable = dataset in _EXACT and final_answer(metric, text) is not None
        blank = "" if readable or dataset not in _EXACT else "unreadable"
        found.append(behaviour(text, prompt, readable=readable) or blank)
    return pd.Series(found, index=frame.index, dtype=object)
