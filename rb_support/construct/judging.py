"""What a judge model is asked, and how its verdicts are read (RouterBench App. A.5).

The prompts stand in `prompts.toml`. A question to a judge is a query like any other: it goes through the
same client and store, so that a verdict is paid for once and survives a kill.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from rb_support.answers import final_part, one_told, without_thoughts
from rb_support.construct.records import Query, texts_of

SINGLE, PAIR = "judge-score", "judge-pair"
"""Tasks of the two kinds of questions to a judge."""

SCALE = 10
"""Best score that a judge can give; the worst is 1. Divided by it, as the published scores 0.1 to 1 are."""

_PROMPTS = texts_of("prompts.toml")["judge"]
_POINTS = r"(\d+(?:\.\d+)?)(?![\d.]*\d)(?!\s*(?:/|out of)\s*(?!10\b)\d)(?!\s*[-–]\s*\d)"
_SCORE = (
    rf"""["']score["']\s*:\s*["']?{_POINTS}""",
    rf"\[\[{_POINTS}\]\]|\\boxed\{{{_POINTS}\}}",
    rf"\b(?:score|rating|grade)\b\s*(?:\([^()]*\))?\s*(?:[:=>]|\bis\b|\s-\s)\s*{_POINTS}",
    rf"\b{_POINTS}\s*(?:/|out of)\s*10\b",
    rf"\A\W*{_POINTS}\W*\Z",
)
_WINNER = (
    r"""["']winner["']\s*:\s*["']?(a|b|tie)\b""",
    r"\[\[(a|b|tie)\]\]",
    r"\b(?:winner|verdict)\b\s*(?:[:=]|\bis\b)\s*(?:answer )?(a|b|tie)\b",
    r"\A\W*(a|b|tie)\W*\Z",
)


def is_judging(query: Query) -> bool:
    """Whether a query is a question to a judge, not a sample."""
    return query.task in (SINGLE, PAIR)


def score_query(query: Query, turn: int, model: str, answers: tuple[str, ...]) -> Query:
    """Question to a judge: how good is a model's answer to one turn?

    Parameters
    ----------
    query : that was answered.
    turn : index of the turn to grade.
    model : who answered; named in the id only, so that the judge does not know.
    answers : the model's answers to all turns up to this one.
    """
    reference = _PROMPTS["reference"].format(reference=query.reference) if query.reference else ""
    task, answer = _task(query, turn, answers), _closed(answers[turn])
    prompt = _PROMPTS["score"].format(task=task, reference=reference, answer=answer)
    return _judged(SINGLE, f"{model}.{query.sample_id}.{turn}", prompt)


def pair_query(query: Query, first: str, second: str, answers: tuple[str, str]) -> Query:
    """Question to a judge: whose answer to the first turn is better?

    Parameters
    ----------
    query : that was answered.
    first, second : the models, in the order in which their answers stand.
    answers : their answers, in this order.
    """
    one, other = map(_closed, answers)
    prompt = _PROMPTS["pair"].format(task=query.turns[0], first=one, second=other)
    return _judged(PAIR, f"{first}.{second}.{query.sample_id}", prompt)


def _judged(task: str, name: str, prompt: str) -> Query:
    # The hash keeps ids apart when an answer was asked for again with other parameters.
    mark = hashlib.sha256(prompt.encode()).hexdigest()[:8]
    return Query(f"{task}.{name}.{mark}", task, (prompt,))


def _task(query: Query, turn: int, answers: tuple[str, ...]) -> str:
    """Text of a conversation up to a turn."""
    if turn == 0:
        return query.turns[0]
    said = zip(query.turns[:turn], answers, strict=False)
    parts = [f"User: {question}\n\nAssistant: {_closed(answer)}" for question, answer in said]
    return "\n\n".join([*parts, f"User: {query.turns[turn]}"])


def _closed(answer: str) -> str:
    """Answer without thoughts that cannot pretend to end: its marks of the prompt's kind are taken apart."""
    return re.sub(r"<(/?)(?=(?:answer|task|reference))", r"< \1", without_thoughts(answer))


def parse_score(text: str) -> float | None:
    """Score in [0, 1] that a judge's reply tells: a tenth of 1 to 10; None if it tells none, or several.

    >>> parse_score('{"score": 8}'), parse_score("Score: 7, since it is short."), parse_score("Good!")
    (0.8, 0.7, None)
    """
    score = _told(_SCORE, text)
    return float(score) / SCALE if score is not None and 1 <= float(score) <= SCALE else None


def parse_winner(text: str) -> str | None:
    """The letter "A" or "B" for the better answer, or "tie"; None if the reply tells none, or several.

    >>> parse_winner('{"winner": "B"}'), parse_winner("Tie."), parse_winner("Both are fine.")
    ('B', 'tie', None)
    """
    winner = _told(_WINNER, text)
    return winner if winner in (None, "tie") else winner.upper()


def _told(forms: Sequence[str], text: str) -> str | None:
    """What the most explicit form in a judge's final words tells, its emphasis left out."""
    plain = re.sub(r"[*_`]", "", final_part(text)).lower()
    return one_told(("".join(found.groups("")) for found in re.finditer(form, plain)) for form in forms)
