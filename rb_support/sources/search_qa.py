"""SimpleQA answered with and without web search: the nearest public rows to RouterBench's RAG set.

Answers and grades are published, costs are not: they are tokens times list prices and a fee a search, all
from `search_prices.toml`, which says what of it is assumed.
"""

from __future__ import annotations

import ast
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from rb_support.cache import packaged_table
from rb_support.outcomes import Outcomes, TableError
from rb_support.outcomes.wide import ANSWER
from rb_support.sources.files import Located
from rb_support.sources.records import read_records, refuse, whole

SIMPLE_QA = "SimpleQA"
GRADE, SEARCHED = "|grade", "|searched"
FAILED = ("gemini-v1.5-flash-agent",)
"""Systems left out: a failed run, which attempted one question of 250."""

_QUESTIONS = "simple_qa_250.jsonl"
_BEGIN, _END = "simple_qa_250_", "_results.jsonl"
_VARIANTS = ("-agent_serp", "-agent")
_GRADES = ("A", "B", "C")


def base_model(system: str) -> str:
    """Model that a system calls, without the mark that says how it searches.

    >>> base_model("gpt-4o-agent_serp"), base_model("llama-3.1-sonar-huge-128k-online")
    ('gpt-4o', 'llama-3.1-sonar-huge-128k-online')
    """
    return next((system.removesuffix(end) for end in _VARIANTS if system.endswith(end)), system)


def prices() -> dict[str, dict[str, Any]]:
    """Prices by model as they stand in `search_prices.toml`; "assumed" holds the assumptions."""
    return packaged_table("sources/search_prices.toml")


def search_qa(located: Located) -> Outcomes:
    """Table of `load_search_qa`: quality 1 where the grade is A (correct), else 0.

    Raises
    ------
    TableError : if a system lacks a question or answers it twice, or a grade is none of A, B and C.
    """
    questions = pd.DataFrame(read_records(located, _QUESTIONS, ("question_id", "prompt", "metadata")))
    questions = questions.set_index("question_id")
    names = [name for name in located.names if name.endswith(_END)]
    systems = [name.removeprefix(_BEGIN).removesuffix(_END) for name in names]
    kept = [system for system in systems if system not in FAILED]
    told = {system: _answers(located, system, questions.index) for system in kept}
    frame = _about(questions)
    costs = np.column_stack([_cost(system, frame["prompt"], told[system]) for system in kept])
    right = np.column_stack([told[system]["grade"] == "A" for system in kept])
    for column, suffix in (("response", ANSWER), ("grade", GRADE), ("search_done", SEARCHED)):
        wide = {system + suffix: told[system][column].to_numpy() for system in kept}
        frame = pd.concat([frame, pd.DataFrame(wide)], axis=1)
    named = replace(located.origin, name=f"{located.origin.name}; costs estimated")
    return Outcomes(frame, right.astype(float), costs, tuple(kept), named.noting(_notes(systems, told)))


def _about(questions: pd.DataFrame) -> pd.DataFrame:
    about = [_metadata(cell) for cell in questions["metadata"]]
    fault = ", field 'metadata': no dictionary with topic and answer_type"
    refuse(_QUESTIONS, [each is None for each in about], fault)
    frame = pd.DataFrame({"sample_id": questions.index, "dataset": SIMPLE_QA, "task": "simple-qa"})
    frame["prompt"] = [whole(text) for text in questions["prompt"]]
    return frame.join(pd.DataFrame(about, columns=["topic", "answer_type"]))


def _metadata(cell: object) -> tuple[str, str] | None:
    """Topic and kind of answer; None if a cell does not tell them."""
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        match ast.literal_eval(str(cell)):
            case {"topic": str(topic), "answer_type": str(kind)}:
                return topic, kind
    return None


def _answers(located: Located, system: str, asked: pd.Index) -> pd.DataFrame:
    """Columns response, search_done and grade of one system, a row a question in the order asked."""
    answers = _by_question(located, f"{_BEGIN}{system}.jsonl", ("response", "search_done"), asked)
    name = f"{_BEGIN}{system}{_END}"
    grades = _by_question(located, name, ("grade",), asked)["grade"]
    for question, grade in grades[~grades.isin(_GRADES)].items():
        known = ", ".join(_GRADES)
        raise TableError(f"{name}: {question} is graded {grade!r}, none of {known}; fetch the file anew")
    texts = [whole(str(text)) for text in answers["response"]]
    return answers.assign(response=texts, search_done=answers["search_done"].astype(bool), grade=grades)


def _by_question(located: Located, name: str, fields: tuple[str, ...], asked: pd.Index) -> pd.DataFrame:
    frame = pd.DataFrame(read_records(located, name, ("question_id", *fields)))[["question_id", *fields]]
    refuse(name, frame["question_id"].duplicated(), " is {} again", frame["question_id"])
    frame = frame.set_index("question_id")
    lacking = asked.difference(frame.index)
    if len(lacking):
        raise TableError(f"{name}: no row for {lacking[0]} ({len(lacking)} lacking); fetch the file anew")
    return frame.loc[asked]


def _cost(system: str, prompts: pd.Series[str], told: pd.DataFrame) -> np.ndarray:
    """(n,) estimated USD per question."""
    table = prices()
    price, assumed = table[base_model(system)], table["assumed"]
    asked, said = (
        texts.str.len().to_numpy() / assumed["characters_per_token"] for texts in (prompts, told["response"])
    )
    usd = (asked * price["usd_per_million_in"] + said * price["usd_per_million_out"]) / 1e6
    if "usd_per_request" in price:
        return np.asarray(usd + price["usd_per_request"])
    read = assumed["tokens_read_per_search"] * price["usd_per_million_in"] / 1e6
    return np.asarray(usd + told["search_done"].to_numpy() * (assumed["usd_per_search"] + read))


def _notes(systems: list[str], told: dict[str, pd.DataFrame]) -> list[str]:
    assumed = prices()["assumed"]
    refused = ", ".join(f"{system} {int((rows['grade'] == 'C').sum())}" for system, rows in told.items())
    gone = [system for system in systems if system in FAILED]
    left_out = [f"left out, as a failed run (one question attempted): {', '.join(gone)}"] if gone else []
    return [
        "costs are estimates: list prices of late 2024 per token "
        f"({assumed['characters_per_token']} characters a token), and for each search that was made "
        f"{assumed['usd_per_search']:g} USD and {assumed['tokens_read_per_search']:,} tokens read; a Sonar "
        "system's request fee covers its search",
        f"a question not attempted (grade C) scores 0; per system: {refused}",
        *left_out,
    ]
