"""Task files: a small TOML format for one's own questions.

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
`follow_up` (text, a second turn). `template` gives a file to start from.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from rb_support.construct.errors import ConstructError
from rb_support.construct.tasks import METRICS, Row, Task

_ENTRIES = {"task", "metric", "shots", "split", "intro", "examples", "rows"}
_COLUMNS = {"question": str, "answer": str, "choices": list, "solution": str, "tests": list, "follow_up": str}

_TEMPLATES = {
    "letter": Task(
        "my-choices",
        "letter",
        (Row("Which of these floats on water?", "B", ("a brick", "a cork")),),
        (Row("Which of these is a metal?", "A", ("copper", "cotton")),),
    ),
    "number": Task(
        "my-numbers",
        "number",
        (Row("A crate holds 12 jars. How many jars do 3 crates hold?", "36"),),
        (Row("A pen costs 2 coins. What do 4 pens cost?", "8", solution="Each costs 2, so 4 x 2 = 8."),),
    ),
    "judge": Task(
        "my-open-questions",
        "judge",
        (
            Row("Explain in two sentences why bread rises.", follow_up="Now say it in one sentence."),
            Row("Write a function double(n).", "def double(n):\n    return 2 * n", tests=("double(2) == 4",)),
        ),
    ),
}


class TaskError(ConstructError):
    """A task file that cannot be used; the message names file, row, column and remedy."""


def template(metric: str) -> str:
    """Task file to start from, for one metric.

    Raises
    ------
    TaskError : if the metric is none of "letter", "number" and "judge".
    """
    if metric not in _TEMPLATES:
        raise TaskError(f"metric {metric!r} is none of {', '.join(METRICS)}; choose one of these")
    return to_toml(_TEMPLATES[metric])


def to_toml(task: Task) -> str:
    """Text of the task's file, which `read_task` reads back."""
    head = {"task": task.name, "metric": task.metric, "shots": task.shots, "split": task.split}
    if task.intro:
        head["intro"] = task.intro
    parts = [_lines(head)]
    parts += [f"[[examples]]\n{_lines(_held(row))}" for row in task.examples]
    parts += [f"[[rows]]\n{_lines(_held(row))}" for row in task.rows]
    return "\n".join(parts)


def _lines(entries: Mapping[str, Any]) -> str:
    # JSON writes texts, numbers and lists of texts as TOML does, but for the delete character.
    written = {key: json.dumps(value, ensure_ascii=False) for key, value in entries.items()}
    return "".join(f"{key} = {text}\n" for key, text in written.items()).replace("\x7f", "\\u007F")


def _held(row: Row) -> dict[str, Any]:
    return {column: value for column, value in asdict(row).items() if value or column == "question"}


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
    record = _parsed(path)
    _refuse_unknown(record, _ENTRIES, path.name, "entry")
    name, metric = _text(record, "task", path.name), _text(record, "metric", path.name)
    if metric not in METRICS:
        raise TaskError(f"{path.name}: metric '{metric}' is none of {', '.join(METRICS)}; write one of these")
    rows = _rows(record, "rows", metric, path.name)
    examples = _rows(record, "examples", metric, path.name)
    if not rows:
        raise TaskError(f"{path.name}: there are no rows; add at least one [[rows]]")
    if record.get("shots", len(examples)) != len(examples):
        raise TaskError(
            f"{path.name}: shots = {record['shots']}, but there are {len(examples)} examples; "
            "add or delete [[examples]] or change shots"
        )
    _refuse_unsolved(examples, metric, path.name)
    split = _text(record, "split", path.name, "test")
    return Task(name, metric, rows, examples, split, _text(record, "intro", path.name, ""))


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TaskError(f"{path.name}: cannot be read ({error.strerror}); check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TaskError(f"{path.name}: not a TOML file in UTF-8 ({error}); correct that line") from error


def _refuse_unknown(record: Mapping[str, Any], known: set[str], where: str, what: str) -> None:
    odd = sorted(set(record) - known)
    if odd:
        raise TaskError(
            f"{where}: {what} '{odd[0]}' is unknown; known: {', '.join(sorted(known))}; rename or delete it"
        )


def _text(record: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    value = record.get(key, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise TaskError(f"{where}: entry '{key}' is missing or no text; write {key} = \"…\"")
    return value


def _rows(record: Mapping[str, Any], key: str, metric: str, name: str) -> tuple[Row, ...]:
    listed = record.get(key, [])
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise TaskError(f"{name}: '{key}' is no list of tables; write each as [[{key}]]")
    what = {"rows": "row", "examples": "example"}[key]
    return tuple(_row(item, metric, f"{name}: {what} {i}") for i, item in enumerate(listed, start=1))


def _row(item: Mapping[str, Any], metric: str, where: str) -> Row:
    _refuse_unknown(item, set(_COLUMNS), where, "column")
    for column, value in item.items():
        right = isinstance(value, _COLUMNS[column])
        texts = value if isinstance(value, list) else [value]
        if not right or not all(isinstance(text, str) for text in texts):
            kind = "a list of texts" if _COLUMNS[column] is list else 'a text in "quotes"'
            raise TaskError(f"{where}, column '{column}': {value!r} is not {kind}; write it as one")
    if not item.get("question", "").strip():
        raise TaskError(f"{where}, column 'question': is empty; write what is asked")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in item.items()}
    row = Row(**values)
    check_row(row, metric, where)
    return row


def check_row(row: Row, metric: str, where: str) -> None:
    """Refuse a row that does not suit its task's metric.

    Raises
    ------
    TaskError : beginning with `where`, then column and remedy.
    """
    _CHECKS[metric](row, where)


def _check_letter(row: Row, where: str) -> None:
    if not 2 <= len(row.choices) <= len(ascii_uppercase):
        raise TaskError(f"{where}, column 'choices': {len(row.choices)} are given; give 2 to 26")
    letters = ascii_uppercase[: len(row.choices)]
    if len(row.answer) != 1 or row.answer not in letters:
        raise TaskError(
            f"{where}, column 'answer': {row.answer!r} is none of {letters[0]} to {letters[-1]}; "
            "write the letter of the right choice"
        )


def _check_number(row: Row, where: str) -> None:
    try:
        float(row.answer.replace(",", ""))
    except ValueError as error:
        raise TaskError(
            f"{where}, column 'answer': {row.answer!r} is no number; write a plain one such as \"12.5\""
        ) from error


def _check_judge(row: Row, where: str) -> None:
    if row.choices:
        raise TaskError(
            f"{where}, column 'choices': a judged question has none; delete them or set metric = \"letter\""
        )


_CHECKS: dict[str, Callable[[Row, str], None]] = {
    "letter": _check_letter,
    "number": _check_number,
    "judge": _check_judge,
}


def _refuse_unsolved(examples: Sequence[Row], metric: str, name: str) -> None:
    for i, row in enumerate(examples, start=1):
        if not row.answer.strip():
            raise TaskError(
                f"{name}: example {i}, column 'answer': is empty; an example shows its answer, write it"
            )
