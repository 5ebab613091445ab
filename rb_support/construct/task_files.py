"""Task files: a small TOML format for one's own questions, and the built-in ones.

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

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np

from rb_support.catalog import DATASETS
from rb_support.construct.records import ConstructError
from rb_support.construct.tasks import METRICS, Row, Task

_ENTRIES = {"task", "metric", "shots", "split", "intro", "examples", "rows"}
_COLUMNS: dict[str, type] = {
    "question": str,
    "answer": str,
    "choices": list,
    "solution": str,
    "tests": list,
    "follow_up": str,
}
_DATA = files("rb_support.construct") / "data"

DEMO_ROWS = 8
"""Questions of each built-in task."""


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
    drawn = [sorted(rng.choice(len(task.rows), rows, replace=False).tolist()) for task in tasks]
    return [
        replace(task, rows=tuple(task.rows[i] for i in kept)) for task, kept in zip(tasks, drawn, strict=True)
    ]


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
        return _task(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise TaskError(f"{path.name}: cannot be read ({error.strerror}); check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TaskError(f"{path.name}: not a TOML file in UTF-8 ({error}); correct that line") from error
    except TaskError as error:
        raise TaskError(f"{path.name}: {error}") from None


def _task(record: Mapping[str, Any]) -> Task:
    _refuse_unknown(record, _ENTRIES, "entry")
    name, metric = _text(record, "task"), _text(record, "metric")
    if metric not in METRICS:
        raise TaskError(f"metric '{metric}' is none of {', '.join(METRICS)}; write one of these")
    rows, examples = _rows(record, "rows", metric), _rows(record, "examples", metric)
    if not rows:
        raise TaskError("there are no rows; add at least one [[rows]]")
    if record.get("shots", len(examples)) != len(examples):
        raise TaskError(
            f"shots = {record['shots']}, but there are {len(examples)} examples; "
            "add or delete [[examples]] or change shots"
        )
    for i, row in enumerate(examples, start=1):
        if not row.answer.strip():
            raise TaskError(f"example {i}, column 'answer': is empty; an example shows its answer, write it")
    return Task(name, metric, rows, examples, _text(record, "split", "test"), _text(record, "intro", ""))


def _refuse_unknown(record: Mapping[str, Any], known: set[str], what: str) -> None:
    odd = sorted(set(record) - known)
    if odd:
        raise TaskError(
            f"{what} '{odd[0]}' is unknown; known: {', '.join(sorted(known))}; rename or delete it"
        )


def _text(record: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = record.get(key, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise TaskError(f"entry '{key}' is missing or no text; write {key} = \"…\"")
    return value


def _rows(record: Mapping[str, Any], key: str, metric: str) -> tuple[Row, ...]:
    listed = record.get(key, [])
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise TaskError(f"'{key}' is no list of tables; write each as [[{key}]]")
    rows = []
    for i, item in enumerate(listed, start=1):
        try:
            rows.append(_row(item, metric))
        except TaskError as error:
            raise TaskError(f"{key.removesuffix('s')} {i}, {error}") from None
    return tuple(rows)


def _row(item: Mapping[str, Any], metric: str) -> Row:
    _refuse_unknown(item, set(_COLUMNS), "column")
    for column, value in item.items():
        texts = value if isinstance(value, list) else [value]
        if not isinstance(value, _COLUMNS[column]) or not all(isinstance(text, str) for text in texts):
            kind = "a list of texts" if _COLUMNS[column] is list else 'a text in "quotes"'
            raise TaskError(f"column '{column}': {value!r} is not {kind}; write it as one")
    if not item.get("question", "").strip():
        raise TaskError("column 'question': is empty; write what is asked")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in item.items()}
    row = Row(**values)
    if metric == "judge" and row.choices:
        raise TaskError(
            "column 'choices': a judged question has none; delete them or set metric = \"letter\""
        )
    if metric == "letter":
        _check_letter(row)
    elif metric == "number":
        _check_number(row)
    return row


def _check_letter(row: Row) -> None:
    if not 2 <= len(row.choices) <= len(ascii_uppercase):
        raise TaskError(f"column 'choices': {len(row.choices)} are given; give 2 to 26")
    letters = ascii_uppercase[: len(row.choices)]
    if row.answer not in list(letters):
        raise TaskError(
            f"column 'answer': {row.answer!r} is none of {letters[0]} to {letters[-1]}; "
            "write the letter of the right choice"
        )


def _check_number(row: Row) -> None:
    try:
        float(row.answer.replace(",", ""))
    except ValueError:
        raise TaskError(
            f"column 'answer': {row.answer!r} is no number; write a plain one such as \"12.5\""
        ) from None
