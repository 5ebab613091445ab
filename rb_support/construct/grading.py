"""Grades: from recorded answers to scores in [0, 1] (RouterBench App. A.5).

Letters and numbers are matched exactly; MBPP, MT-Bench and RAG go to a judge model. An answer out of which
nothing can be read scores 0 and is counted as unreadable; refusals, echoes and empty answers keep their score
and carry a note. An answer that was cut at the limit of tokens, or whose judge failed or cannot be read, is
neither right nor wrong: it has no score. Nothing is left out in silence: what has no score is counted too.

What a judge is asked stands in `prompts.toml`. A question to a judge is a query like any other: it goes
through the same client and store, so that a verdict is paid for once and survives a kill.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import count
from string import ascii_uppercase
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from rb_support.answers import final_answer, final_part, one_told, same_number, without_thoughts
from rb_support.cache import packaged_table
from rb_support.construct.rag import MAKING
from rb_support.construct.records import ConstructError, Key, Model, Parameters, Query, key_of
from rb_support.construct.refusals import behaviour, tally
from rb_support.construct.run import run
from rb_support.construct.store import Store

JUDGE_PARAMETERS, LONGER_PARAMETERS = Parameters(max_tokens=64), Parameters(max_tokens=1024)
"""How a judge is asked at first, and where its replies could not be read."""

SINGLE, PAIR = "judge-score", "judge-pair"
"""Tasks of the two kinds of questions to a judge."""

SCALE = 10
"""Best score that a judge can give; the worst is 1. Divided by it, as the published scores 0.1 to 1 are."""

_PROMPTS, _FORMS = (
    packaged_table("construct/prompts.toml")["judge"],
    packaged_table("construct/prompts.toml")["verdict"],
)
_CUT = ("length", "max_tokens", "max_output_tokens", "model_length")
T = TypeVar("T")
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
    """Letters of a query's choices; where it does not say, those that its prompt shows, or A to D."""
    shown = ""
    for letter in _CHOICE.findall(query.turns[-1].rpartition("Question:")[2]):
        if letter == ascii_uppercase[len(shown) :][:1]:
            shown += letter
    return query.letters or (shown if len(shown) > 1 else "ABCD")


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
    A row per model and task: see `summary`. Where the judge could not be asked or read, or the budget did not
    last, answers are counted as ungraded, and `store.failures()` says why; a later call asks for the rest.

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
    scores = _verdicts(store, judge, questions, parse_score, budget_usd=budget_usd, progress=progress)
    for key, note, question in opened:
        if (score := scores[question]) is not None:
            store.put_grade(key, kind, score, True, note)
    return summary(store, asked, parameters)


def _grade_answers(
    store: Store, queries: Sequence[Query], parameters: Parameters
) -> list[tuple[Key, str, Query]]:
    """Grade what can be matched; return what is for a judge: key of the answer, note, question."""
    texts, whole = answer_texts(store), answer_texts(store, whole=True)
    opened: list[tuple[Key, str, Query]] = []
    for model in dict.fromkeys(key.model for key in texts):
        for query in queries:
            keys = [key_of(model, query, turn, parameters) for turn in range(len(query.turns))]
            answers = tuple(texts[key] for key in keys if key in texts)
            for turn, text in enumerate(answers):
                if query.metric == "judge" and keys[turn] in whole:
                    question = score_query(query, turn, model, answers)
                    opened.append((keys[turn], behaviour(text, query.turns[turn]), question))
                elif keys[turn] in whole:
                    store.put_grade(keys[turn], query.metric, *grade_exact(query, text))
    return opened


def _verdicts(
    store: Store, judge: Model, questions: Sequence[Query], read: Callable[[str], T | None], **options: Any
) -> dict[Query, T | None]:
    """What a judge says to each question, asked once more where all that it said so far cannot be read.

    Another try has an id and a key of its own, so every reply stays recorded. It may be longer: what could
    not be read may have been cut while the judge was thinking.
    """
    texts, whole, tries = answer_texts(store), answer_texts(store, whole=True), {}
    failed = set(store.failures()[[*Key._fields]].itertuples(index=False, name=None))
    for question in questions:
        for number in count(key_of(judge, question, 0, JUDGE_PARAMETERS) in failed):
            parameters = LONGER_PARAMETERS if number else JUDGE_PARAMETERS
            query = replace(question, sample_id=f"{question.sample_id}.{number}") if number else question
            key = key_of(judge, query, 0, parameters)
            if key not in texts or read(whole.get(key, "")) is not None:
                tries[question] = parameters, query, key
                break
    for parameters in (JUDGE_PARAMETERS, LONGER_PARAMETERS):
        if asked := [query for used, query, _ in tries.values() if used == parameters]:
            run(asked, [judge], store, parameters, **options)
    whole = answer_texts(store, whole=True)
    return {question: read(whole.get(key, "")) for question, (*_, key) in tries.items()}


def samples(store: Store, queries: Iterable[Query] | None = None) -> list[Query]:
    """Those of some queries, or of a store's, that are samples of tasks.

    Questions to a judge, and those that ask a model to make a question, are none.
    """
    asked = store.queries() if queries is None else queries
    return [query for query in asked if not is_judging(query) and not query.task.startswith(MAKING)]


def answer_texts(store: Store, *, whole: bool = False) -> dict[Key, str]:
    """Text of every recorded answer by its key; with `whole` only of those that were not cut."""
    answers = store.answers()
    answers = answers[~is_cut(answers)] if whole else answers
    rows = answers[[*Key._fields, "text"]].itertuples(index=False)
    return {Key(*key): text for *key, text in rows}


def is_cut(answers: pd.DataFrame) -> pd.Series[bool]:
    """Whether each answer, a row with its finish_reason, ended at a limit of tokens and not by itself."""
    return answers["finish_reason"].str.lower().isin(_CUT)


def grades_of(store: Store, queries: Sequence[Query], parameters: Parameters) -> pd.DataFrame:
    """Answers of these queries and their grades, a row per model, query and turn that was answered.

    Columns: those of `Answer` without parameters_digest and raw, then task, kind, score, parsed and note of
    the grade (blank where there is none, or none that counts), cut.
    """
    turns = [(query, turn) for query in queries for turn in range(len(query.turns))]
    wanted = [(*key_of("", query, turn, parameters)[1:], query.task) for query, turn in turns]
    keys = pd.DataFrame(wanted, columns=[*Key._fields[1:], "task"])
    return _graded(store, store.answers().merge(keys, on=list(Key._fields[1:])))


def _graded(store: Store, answers: pd.DataFrame) -> pd.DataFrame:
    """Answers with their grades, blank where there is none that counts, and whether they were cut."""
    frame = answers.merge(store.grades(), on=list(Key._fields), how="left")
    frame = frame.drop(columns=["parameters_digest", "raw"]).assign(cut=is_cut(frame))
    # Earlier versions scored cut answers, and gave 0 where a judge could not be read.
    blank = frame["cut"] | (frame["kind"].str.startswith(_JUDGED) & frame["parsed"].eq(False))
    grade = ["kind", "score", "parsed", "note"]
    return frame.assign(**frame[grade].mask(blank.fillna(False)))


def unscored(store: Store) -> str:
    """How many answers to samples have no score and why, in a sentence; empty if all have one."""
    names = {query.sample_id for query in samples(store)}
    answers = store.answers()
    frame = _graded(store, answers[answers["sample_id"].isin(names)].reset_index(drop=True))
    cut, waiting = int(frame["cut"].sum()), int((frame["score"].isna() & ~frame["cut"]).sum())
    why = [f"{cut:,} cut at the limit of tokens"] * (cut > 0) + [f"{waiting:,} ungraded"] * (waiting > 0)
    return f"answers without a score: {', '.join(why)}" if why else ""


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
    winners = _verdicts(store, judge, questions, parse_winner, budget_usd=budget_usd, progress=False)
    rows = []
    for name, both in compared:
        better = [
            {"A": first, "B": second, "tie": "tie", None: ""}[winners[question]]
            for question, (first, second) in zip(both, orders, strict=True)
        ]
        rows.append((name, *better, "" not in better and better[0] == better[1]))
    return pd.DataFrame(rows, columns=["sample_id", "better", "better_swapped", "consistent"])


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
    score = _verdict("score", text)
    return float(score) / SCALE if score is not None and 1 <= float(score) <= SCALE else None


def parse_winner(text: str) -> str | None:
    """The letter "A" or "B" for the better answer, or "tie"; None if the reply tells none, or several.

    >>> parse_winner('{"winner": "B"}'), parse_winner("Tie."), parse_winner("Both are fine.")
    ('B', 'tie', None)
    """
    winner = _verdict("winner", text)
    return winner if winner in (None, "tie") else winner.upper()


def _verdict(kind: str, text: str) -> str | None:
    """What the most explicit form in a judge's final words tells, its emphasis left out."""
    plain = re.sub(r"[*_`]", "", final_part(text)).lower()
    forms = [form.replace("POINTS", _FORMS["points"]) for form in _FORMS[kind]]
    return one_told(("".join(found.groups("")) for found in re.finditer(form, plain)) for form in forms)
