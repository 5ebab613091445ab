"""Grades: from recorded answers to scores in [0, 1] (RouterBench App. A.5).

Letters and numbers are matched exactly; MBPP, MT-Bench and RAG go to a judge model. An answer out of which
nothing can be read scores 0 and is counted as unreadable; refusals, echoes and empty answers keep their score
and carry a note. Nothing is left out in silence: what could not be graded is counted too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from string import ascii_uppercase
from typing import NamedTuple

import pandas as pd

from rb_support.answers import final_answer, same_number
from rb_support.construct.judging import is_judging, pair_query, parse_score, parse_winner, score_query
from rb_support.construct.rag import MAKING
from rb_support.construct.records import ConstructError, Key, Model, Parameters, Query, key_of
from rb_support.construct.refusals import behaviour, tally
from rb_support.construct.run import run
from rb_support.construct.store import Store

JUDGE_PARAMETERS = Parameters(max_tokens=64)
_JUDGED = "judge:"
_CHOICE = re.compile(r"^([A-Z])\. ", re.MULTILINE)


class Grade(NamedTuple):
    """Grade of one answer.

    Attributes
    ----------
    score : in [0, 1].
    parsed : whether an answer (or a judge's verdict on it) could be read; the score is 0 if not.
    note : "refusal", "echo", "empty" or "".
    """

    score: float
    parsed: bool
    note: str = ""


def grade_exact(query: Query, text: str) -> Grade:
    """Grade of an answer whose letter or number must be the reference.

    Raises
    ------
    ConstructError : if the query's metric is neither "letter" nor "number".
    """
    if query.metric not in ("letter", "number"):
        raise ConstructError(f"{query.sample_id}: metric '{query.metric}' needs a judge; name one")
    told = final_answer(query.metric, text, letters_of(query))
    right = told == query.reference if query.metric == "letter" else same_number(told, query.reference)
    note = behaviour(text, query.turns[0], readable=told is not None)
    return Grade(float(right), told is not None, note)


def letters_of(query: Query) -> str:
    """Letters of the choices that a prompt's last question offers; A to D if it shows none."""
    question = query.turns[-1].rsplit("\n\n", 1)[-1]
    shown = "".join(dict.fromkeys(_CHOICE.findall(question)))
    return shown if shown and ascii_uppercase.startswith(shown) else "ABCD"


def part_judge(cards: Sequence[Model], judge: str) -> tuple[list[Model], Model | None]:
    """Cards of the models that answer, and the one that grades; None if no name is given.

    Raises
    ------
    ConstructError : if no card has the judge's name, or none is left to answer.
    """
    names = [card.name for card in cards]
    if judge and judge not in names:
        raise ConstructError(f"judge '{judge}' has no card; name one of {', '.join(names)}, or none")
    answering = [card for card in cards if card.name != judge]
    if not answering:
        raise ConstructError("no card is left to answer; add one beside the judge's")
    return answering, cards[names.index(judge)] if judge else None


def grade_store(
    store: Store,
    queries: Iterable[Query] | None = None,
    judge: Model | None = None,
    *,
    parameters: Parameters | None = None,
    budget_usd: float | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Grade every recorded answer and keep the grades in the store.

    Parameters
    ----------
    store : with the answers.
    queries : to grade the answers of; all samples of the store if None.
    judge : model that grades open questions; without one they stay ungraded.
    parameters : with which the models were asked; the usual ones if None.
    budget_usd : hard limit on what the store costs in all, judge included; none if None.
    progress : show the judge's calls.

    Returns
    -------
    A row per model and task: see `summary`. Where the judge could not be asked, or the budget did not last,
    answers are counted as ungraded, and `store.failures()` says why; a later call grades the rest.

    Raises
    ------
    ConstructError : if no answer was asked with these parameters, or another judge graded before.
    """
    parameters = parameters or Parameters()
    asked = samples(store, queries)
    kind = _JUDGED + (judge.name if judge else "")
    before = {kind for kind in store.grades()["kind"] if kind.startswith(_JUDGED)} - {kind}
    if judge and before:
        raise ConstructError(
            f"{store.path.name}: {min(before).removeprefix(_JUDGED)} graded these answers already; "
            "name that judge, or grade a copy of the store"
        )
    opened = _grade_answers(store, asked, parameters)
    table = summary(store, asked, parameters)
    if table.empty:
        used = "; ".join(map(str, store.runs()["parameters"].unique())) or "none, run it first"
        raise ConstructError(
            f"{store.path.name}: no answer to these queries was asked with {parameters}; "
            f"parameters of its runs: {used}"
        )
    if judge is None or not opened:
        return table
    questions = [question for *_, question in opened]
    run(questions, [judge], store, JUDGE_PARAMETERS, budget_usd=budget_usd, progress=progress)
    verdicts = answer_texts(store)
    for key, note, question in opened:
        verdict = verdicts.get(key_of(judge, question, 0, JUDGE_PARAMETERS))
        if verdict is not None:
            score = parse_score(verdict)
            store.put_grade(key, kind, score or 0.0, score is not None, note)
    return summary(store, asked, parameters)


def _grade_answers(
    store: Store, queries: Sequence[Query], parameters: Parameters
) -> list[tuple[Key, str, Query]]:
    """Grade what can be matched; return what is for a judge: key of the answer, note, question."""
    texts = answer_texts(store)
    opened: list[tuple[Key, str, Query]] = []
    for model in dict.fromkeys(key.model for key in texts):
        for query in queries:
            keys = [key_of(model, query, turn, parameters) for turn in range(len(query.turns))]
            answers = tuple(texts[key] for key in keys if key in texts)
            for turn, text in enumerate(answers):
                if query.metric == "judge":
                    question = score_query(query, turn, model, answers)
                    opened.append((keys[turn], behaviour(text, query.turns[turn]), question))
                else:
                    store.put_grade(keys[turn], query.metric, *grade_exact(query, text))
    return opened


def samples(store: Store, queries: Iterable[Query] | None = None) -> list[Query]:
    """Those of some queries, or of a store's, that are samples of tasks.

    Questions to a judge, and those that ask a model to make a question, are none.
    """
    asked = store.queries() if queries is None else queries
    return [query for query in asked if not is_judging(query) and not query.task.startswith(MAKING)]


def answer_texts(store: Store) -> dict[Key, str]:
    """Text of every recorded answer by its key."""
    rows = store.answers()[[*Key._fields, "text"]].itertuples(index=False)
    return {Key(*key): text for *key, text in rows}


def grades_of(store: Store, queries: Sequence[Query], parameters: Parameters) -> pd.DataFrame:
    """Answers of these queries and their grades, a row per model, query and turn that was answered.

    Columns: those of `Answer` without parameters_digest and raw, then task, kind, score, parsed and note of
    the grade (blank where there is none).
    """
    turns = [(query, turn) for query in queries for turn in range(len(query.turns))]
    wanted = [(*key_of("", query, turn, parameters)[1:], query.task) for query, turn in turns]
    keys = pd.DataFrame(wanted, columns=[*Key._fields[1:], "task"])
    answers = store.answers().merge(keys, on=list(Key._fields[1:]))
    frame = answers.merge(store.grades(), on=list(Key._fields), how="left")
    return frame.drop(columns=["parameters_digest", "raw"])


def summary(store: Store, queries: Sequence[Query], parameters: Parameters | None = None) -> pd.DataFrame:
    """What grading found, a row per model and task.

    Returns
    -------
    Columns model, task and those of `tally`.
    """
    return tally(grades_of(store, queries, parameters or Parameters()), ["model", "task"]).reset_index()


def position_bias(
    store: Store,
    judge: Model,
    pair: tuple[str, str],
    queries: Iterable[Query] | None = None,
    *,
    parameters: Parameters | None = None,
    budget_usd: float | None = None,
) -> pd.DataFrame:
    """Ask the judge to compare two models' answers in both orders: verdicts that change show its bias.

    Parameters
    ----------
    store : with the answers.
    judge : who compares.
    pair : the two models.
    queries : judged ones to compare on; all of the store's if None.
    parameters, budget_usd : as `grade_store` takes them.

    Returns
    -------
    A row per query that both answered: sample_id, better and better_swapped (name of the better model, "tie",
    or "" if no verdict could be read), consistent (both read and equal).

    Raises
    ------
    ConstructError : if there is no such query.
    """
    parameters, texts = parameters or Parameters(), answer_texts(store)
    orders, compared = (pair, pair[::-1]), []
    for query in samples(store, queries):
        one, other = (texts.get(key_of(model, query, 0, parameters)) for model in pair)
        if query.metric == "judge" and one is not None and other is not None:
            both = pair_query(query, *pair, (one, other)), pair_query(query, *pair[::-1], (other, one))
            compared.append((query.sample_id, both))
    if not compared:
        raise ConstructError(f"no judged question is answered by both {' and '.join(pair)}; run them first")
    questions = [question for _, both in compared for question in both]
    run(questions, [judge], store, JUDGE_PARAMETERS, budget_usd=budget_usd, progress=False)
    verdicts, rows = answer_texts(store), []
    for name, both in compared:
        better = []
        for question, (first, second) in zip(both, orders, strict=True):
            verdict = parse_winner(verdicts.get(key_of(judge, question, 0, JUDGE_PARAMETERS), ""))
            better.append({"A": first, "B": second, "tie": "tie", None: ""}[verdict])
        rows.append((name, *better, "" not in better and better[0] == better[1]))
    return pd.DataFrame(rows, columns=["sample_id", "better", "better_swapped", "consistent"])
