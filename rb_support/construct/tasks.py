"""Tasks: how the rows of a dataset become prompts (RouterBench sec. 4.2, App. A.3 and A.5).

The form of a prompt follows from a task's metric and from what its rows hold:

=================  ========  =====  ==================================================
datasets           metric    shots  rows hold
=================  ========  =====  ==================================================
MMLU, ARC,         letter    5      question, choices, answer (the letter)
HellaSwag,
Winogrande
GSM8K              number    5      question, answer (the number), solution (examples)
MBPP               judge     0      question, tests, answer (a program)
MT-Bench           judge     0      question, follow_up (the second turn)
RAG                judge     0      question, answer
=================  ========  =====  ==================================================

A task file names a task and lists its rows. Examples come before every question, so their number is the
number of shots; a `shots` entry, if there is one, is checked against it::

    task = "mmlu-harbours"        # what the outcome table calls it; tells the dataset
    metric = "letter"             # "letter", "number" or "judge"
    shots = 1
    split = "test"                # optional, like `intro`

    [[examples]]
    question = "Which of these is a knot?"
    choices = ["bowline", "binnacle"]
    answer = "A"

    [[rows]]
    question = "Which side of a ship is port?"
    choices = ["the right one", "the left one"]
    answer = "B"

Further columns of a row: `solution` (text, how to get to a number), `tests` (list of texts, for programs) and
`follow_up` (text, a second turn). `template` gives a file to start from. The built-in questions lie as task
files in `construct/data`: one small task for each of the eight datasets, in our own words; the towns of the
retrieval task are invented.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from importlib.resources import as_file, files
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from rb_support.answers import final_number
from rb_support.cache import packaged_table
from rb_support.catalog import DATASETS, dataset_of_task
from rb_support.construct.records import ConstructError, Query, read_toml

_INTRO = packaged_table("construct/prompts.toml")["intro"]
METRICS = tuple(_INTRO)
_STOP = {"letter": ("\nQuestion:",), "number": ("\nQuestion:",), "judge": ()}
"""Where a model begins to invent the next question, by metric."""

_TEXT, _TEXTS, _TABLES, _NUMBER = 'a text in "quotes"', "a list of texts", "a list of tables", "a number"
_TYPES: dict[str, Any] = {_TEXT: str, _NUMBER: int, _TEXTS: list[str], _TABLES: list[dict[str, Any]]}
_READ = {kind: TypeAdapter(made, config={"strict": True}) for kind, made in _TYPES.items()}
_ENTRIES = dict.fromkeys(("task", "metric", "split", "intro"), _TEXT)
_ENTRIES |= {"shots": _NUMBER, "examples": _TABLES, "rows": _TABLES}
_DATA = files("rb_support.construct") / "data"

DEMO_ROWS = 8
"""Questions of each built-in task."""


@dataclass(frozen=True)
class Row:
    """One question of a task.

    Attributes
    ----------
    question : what is asked; for MT-Bench the first turn.
    answer : right answer: a letter, a number, or what a judge compares with (may be empty then).
    choices : texts to choose from, at most 26, for the metric "letter".
    solution : how to get to a number, shown in examples.
    tests : lines of code that the asked program must pass.
    follow_up : second turn.
    """

    question: str
    answer: str = ""
    choices: tuple[str, ...] = ()
    solution: str = ""
    tests: tuple[str, ...] = ()
    follow_up: str = ""


_COLUMNS = {column.name: _TEXT if column.type == "str" else _TEXTS for column in fields(Row)}


@dataclass(frozen=True)
class Task:
    """Questions of one kind, and how they are asked and graded.

    Attributes
    ----------
    name : the published `eval_name`, such as "mmlu-anatomy"; tells the dataset.
    metric : "letter", "number" (exact match) or "judge".
    rows : the questions.
    examples : solved questions that stand before each one; as many as there are shots.
    split : part of the dataset, second part of the sample ids.
    intro : sentence before the examples; a usual one if empty.
    """

    name: str
    metric: str
    rows: tuple[Row, ...]
    examples: tuple[Row, ...] = ()
    split: str = "test"
    intro: str = ""

    @property
    def shots(self) -> int:
        """Number of examples before each question."""
        return len(self.examples)

    @property
    def dataset(self) -> str:
        """One of the eight datasets, or "Other"."""
        return dataset_of_task(self.name)

    def queries(self) -> list[Query]:
        """One query per row; ids are `{name}.{split}.{index}`, as in the published files (App. A.4)."""
        solved = [f"{self._ask(example)} {self._solve(example)}" for example in self.examples]
        before = [self.intro or _INTRO[self.metric], *solved]
        queries = []
        for index, row in enumerate(self.rows):
            prompt = "\n\n".join(filter(None, [*before, self._ask(row)]))
            turns = (prompt, row.follow_up) if row.follow_up else (prompt,)
            sample_id = f"{self.name}.{self.split}.{index}"
            letters, stop = ascii_uppercase[: len(row.choices)], _STOP[self.metric]
            query = Query(sample_id, self.name, turns, row.answer, self.metric, stop=stop, letters=letters)
            queries.append(query)
        return queries

    def _ask(self, row: Row) -> str:
        if self.metric == "judge":
            tests = ["The program must pass these tests:", *row.tests] if row.tests else []
            return "\n".join([row.question, *tests])
        choices = [f"{letter}. {text}" for letter, text in zip(ascii_uppercase, row.choices, strict=False)]
        return "\n".join([f"Question: {row.question}", *choices, "Answer:"])

    def _solve(self, row: Row) -> str:
        if self.metric != "number":
            return row.answer
        return " ".join(filter(None, [row.solution, f"The answer is {row.answer}."]))


def queries_of(tasks: Iterable[Task]) -> list[Query]:
    """Queries of several tasks, task by task."""
    return [query for task in tasks for query in task.queries()]


def datasets_table(tasks: Iterable[Task]) -> pd.DataFrame:
    """What is asked: dataset, tasks, shots, metric, rows; a row per dataset in the usual order.

    Tasks of one dataset are counted together; shots and metrics that differ within it are all named.
    """
    frame = pd.DataFrame(
        [(task.dataset, task.name, str(task.shots), task.metric, len(task.rows)) for task in tasks],
        columns=["dataset", "tasks", "shots", "metric", "rows"],
    )
    by = frame.groupby("dataset")
    table = by.agg({"tasks": "nunique", "shots": "unique", "metric": "unique", "rows": "sum"})
    table[["shots", "metric"]] = table[["shots", "metric"]].map(", ".join)
    others = sorted(set(table.index) - set(DATASETS))
    return table.reindex([d for d in (*DATASETS, *others) if d in table.index]).reset_index()


class TaskError(ConstructError):
    """A task file that cannot be used; the message names file, row, column and remedy."""


def demo_tasks(rows: int = DEMO_ROWS, *, seed: int = 0) -> list[Task]:
    """The built-in tasks, eight in the order of `catalog.DATASETS`, with right answers known.

    Parameters
    ----------
    rows : questions of each task, 1 to 8, drawn without replacement.
    seed : of the draw.

    Raises
    ------
    ValueError : if `rows` is out of range.
    """
    if not 1 <= rows <= DEMO_ROWS:
        raise ValueError(f"rows is {rows}; each built-in task has 1 to {DEMO_ROWS}")
    with as_file(_DATA) as folder:
        tasks = sorted(read_tasks(folder), key=lambda task: DATASETS.index(task.dataset))
    rng = np.random.default_rng(seed)
    shorter = []
    for task in tasks:
        drawn = sorted(rng.choice(len(task.rows), rows, replace=False).tolist())
        shorter.append(replace(task, rows=tuple(task.rows[i] for i in drawn)))
    return shorter


def template(metric: str) -> str:
    """Task file to start from, for one metric.

    Raises
    ------
    TaskError : if the metric is none of "letter", "number" and "judge".
    """
    if metric not in METRICS:
        raise TaskError(f"metric {metric!r} is none of {', '.join(METRICS)}; choose one of these")
    return (_DATA / "templates" / f"{metric}.toml").read_text(encoding="utf-8")


def read_tasks(path: str | Path) -> list[Task]:
    """Tasks of a file, or of all `*.toml` files of a folder, by file name.

    Raises
    ------
    TaskError : as `read_task`; if a folder holds no task file or two tasks of one name and split.
    """
    folder = Path(path)
    if not folder.is_dir():
        return [read_task(folder)]
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise TaskError(f"{folder.name}: no task file *.toml in this folder; put one there, see template()")
    tasks = [read_task(one) for one in paths]
    keys = [(task.name, task.split) for task in tasks]
    for file, key in zip(paths, keys, strict=True):
        if keys.count(key) > 1:
            raise TaskError(f"{file.name}: task '{key[0]}' stands in another file too; rename one of them")
    return tasks


def read_task(path: str | Path) -> Task:
    """Task of one file.

    Raises
    ------
    TaskError : naming file, row (counted from 1), column and remedy.
    """
    path = Path(path)
    try:
        return _task(read_toml(path))
    except ConstructError as error:
        raise TaskError(f"{path.name}: {error}") from None


def _task(record: Mapping[str, Any]) -> Task:
    _check("entry", record, _ENTRIES)
    for needed in ("task", "metric"):
        if not record.get(needed, "").strip():
            raise TaskError(f"entry '{needed}' is missing; write {needed} = \"…\"")
    metric = record["metric"]
    if metric not in METRICS:
        raise TaskError(f"metric '{metric}' is none of {', '.join(METRICS)}; write one of these")
    rows, examples = _rows(record, "rows", metric), _rows(record, "examples", metric)
    if not rows:
        raise TaskError("there are no rows; add at least one [[rows]]")
    if record.get("shots", len(examples)) != len(examples):
        here = f"shots = {record['shots']}, but there are {len(examples)} examples"
        raise TaskError(f"{here}; add or delete [[examples]] or change shots")
    for i, row in enumerate(examples, start=1):
        if not row.answer.strip():
            raise TaskError(f"example {i}, column 'answer': is empty; an example shows its answer, write it")
    return Task(record["task"], metric, rows, examples, record.get("split", "test"), record.get("intro", ""))


def _check(what: str, record: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
    """Refuse an entry or a column that is unknown, or not of its kind.

    Raises
    ------
    TaskError : naming it, its value and the remedy.
    """
    for name, value in record.items():
        if name not in kinds:
            known = ", ".join(sorted(kinds))
            raise TaskError(f"{what} '{name}' is unknown; known: {known}; rename or delete it")
        kind = kinds[name]
        try:
            _READ[kind].validate_python(value)
        except ValidationError:
            remedy = f"write each as [[{name}]]" if kind == _TABLES else "write it as one"
            raise TaskError(f"{what} '{name}': {value!r} is not {kind}; {remedy}") from None


def _rows(record: Mapping[str, Any], key: str, metric: str) -> tuple[Row, ...]:
    rows = []
    for i, item in enumerate(record.get(key, []), start=1):
        try:
            _check("column", item, _COLUMNS)
            lists = {name: tuple(value) for name, value in item.items() if isinstance(value, list)}
            rows.append(Row(**{"question": "", **item, **lists}))
            if fault := _fault(rows[-1], metric):
                raise TaskError(f"column {fault}")
        except TaskError as error:
            raise TaskError(f"{key.removesuffix('s')} {i}, {error}") from None
    return tuple(rows)


def _fault(row: Row, metric: str) -> str:
    """Column in which a row does not fit its metric, and the remedy; empty if it fits."""
    letters = ascii_uppercase[: len(row.choices)]
    if not row.question.strip():
        return "'question': is empty; write what is asked"
    if metric == "judge" and row.choices:
        return "'choices': a judged question has none; delete them or set metric = \"letter\""
    if metric == "letter" and not 2 <= len(row.choices) <= len(ascii_uppercase):
        return f"'choices': {len(row.choices)} are given; give 2 to 26"
    if metric == "letter" and row.answer not in list(letters):
        wrong = f"{row.answer!r} is none of {letters[0]} to {letters[-1]}"
        return f"'answer': {wrong}; write the letter of the right choice"
    if metric == "number" and not _is_number(row.answer):
        return f"'answer': {row.answer!r} is no number; write a plain one such as \"12.5\""
    return ""


def _is_number(text: str) -> bool:
    """Whether a reference is a number, and the one that grading reads in it."""
    try:
        return Decimal(text.replace(",", "")) == Decimal(final_number(text) or "nan")
    except InvalidOperation:
        return False
