"""Questions for retrieval, written by a model from dated documents (RouterBench sec. 4.2, App. A.2).

Three kinds of questions: *recent* facts, which no model's memory may hold; *older* facts, which were public
when every model was trained; and *specific* facts, which do not age but are so fine that few recall them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import pandas as pd

from rb_support.answers import without_thoughts
from rb_support.cache import packaged_table
from rb_support.construct.records import ConstructError, Query
from rb_support.construct.tasks import Row, Task

MAKING = "make-rag"
"""Begins the tasks of queries that ask for a question; these are no samples of a table."""

_PROMPTS = packaged_table("construct/prompts.toml")["question"]
_YEAR = 365.25


@dataclass(frozen=True)
class Document:
    """A dated text to ask about.

    Attributes
    ----------
    name : unique among the documents.
    text : what it says.
    written : the day it speaks of.
    lasting : True if it holds facts that do not age, such as measures or a guide book's details.
    """

    name: str
    text: str
    written: date
    lasting: bool = False


def kind_of(document: Document, today: date) -> str:
    """Kind of question to ask: "recent" up to two years back, "older" before, "specific" if it does not age.

    Raises
    ------
    ConstructError : if the document lies in the future.
    """
    if document.lasting:
        return "specific"
    days = (today - document.written).days
    if days < 0:
        when = f"is dated {document.written}, after today"
        raise ConstructError(f"document '{document.name}' {when}; correct it")
    return "recent" if days <= 2 * _YEAR else "older"


def question_queries(documents: Iterable[Document], today: date) -> list[Query]:
    """Queries that ask a model to write a question about each document.

    The task of a query is `make-rag-{kind}`, its id ends in the document's name, its reference is empty.
    """
    queries = []
    for document in documents:
        kind = kind_of(document, today)
        filled = {"date": document.written.isoformat(), "text": document.text, "about": _PROMPTS[kind]}
        prompt = _PROMPTS["prompt"].format(**filled)
        queries.append(Query(f"{MAKING}-{kind}.{document.name}", f"{MAKING}-{kind}", (prompt,)))
    return queries


def parse_question(text: str) -> tuple[str, str] | None:
    """Question and answer in a model's reply; None if there is no such JSON object.

    >>> parse_question('Sure: {"question": "How high is it?", "answer": "37 m"} Good luck!')
    ('How high is it?', '37 m')
    """
    for found in re.finditer(r"\{[^{}]*\}", without_thoughts(text)):
        try:
            record = json.loads(found[0])
        except json.JSONDecodeError:
            continue
        question, answer = record.get("question"), record.get("answer")
        if isinstance(question, str) and isinstance(answer, str) and question.strip() and answer.strip():
            return question.strip(), answer.strip()
    return None


def fault(question: str, answer: str, document: Document) -> str:
    """What is wrong with a made question, in words; empty if nothing is.

    Letters' case, punctuation and white space do not matter.
    """
    if _plain(answer) not in _plain(document.text):
        return "the answer does not stand in the document"
    if _plain(answer) in _plain(question):
        return "the question gives its answer away"
    if not question.endswith("?"):
        return "it is no question"
    if re.search(r"\b(this|the) (text|article|document|passage)\b", question, re.IGNORECASE):
        return "it asks about the document, which the reader has not seen"
    return ""


def _plain(text: str) -> str:
    words = re.findall(r"[^\W_]+", text.casefold())
    return f" {' '.join(words)} "


def rag_task(
    documents: Iterable[Document], replies: Mapping[str, str], today: date, *, name: str = "rag"
) -> tuple[Task, pd.DataFrame]:
    """Task of the usable questions, and what became of every document.

    Parameters
    ----------
    documents : those asked about.
    replies : text of the model's reply by the id of its query (see `question_queries`).
    today : day that "recent" is counted from; the same as for the queries.
    name : of the task.

    Returns
    -------
    The task, and a row per document: document, kind, question, answer, fault ("" if it was kept).

    Raises
    ------
    ConstructError : if no question is usable.
    """
    made, kept = [], []
    for document in documents:
        kind = kind_of(document, today)
        reply = replies.get(f"{MAKING}-{kind}.{document.name}")
        question, answer = parse_question(reply or "") or ("", "")
        if reply is None:
            wrong = "no reply"
        elif not question:
            wrong = "the reply holds no question and answer in JSON"
        else:
            wrong = fault(question, answer, document)
        made.append((document.name, kind, question, answer, wrong))
        kept += [] if wrong else [Row(question, answer)]
    if not kept:
        raise ConstructError(f"none of {len(made)} made questions is usable; see the column 'fault'")
    table = pd.DataFrame(made, columns=["document", "kind", "question", "answer", "fault"])
    return Task(name, "judge", tuple(kept)), table


def demo_documents() -> list[Document]:
    """Six short dated texts on invented towns, two of each kind, to make retrieval questions from."""
    return [Document(**entry) for entry in packaged_table("construct/phrases.toml")["document"]]
