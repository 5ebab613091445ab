"""Readers of the published datasets, by the columns of the files that their makers give out.

==========  ==================================================================
dataset     columns
==========  ==================================================================
mmlu        question, choices, answer (index from 0), subject
gsm8k       question, answer (the solution, then `#### number`)
arc         question, choices (text and label), answerKey
hellaswag   ctx, endings, label
winogrande  sentence, option1, option2, answer ("1" or "2")
mbpp        text or prompt, code, test_list
mt-bench    turns or prompt (a list of turns)
==========  ==================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pandas as pd

from rb_support.construct.task_files import TaskError, check_row
from rb_support.construct.tasks import Row, Task


def read_published(
    dataset: str, path: str | Path, *, shots: int | None = None, split: str = "test"
) -> list[Task]:
    """Tasks of one of the published datasets, from a file as its makers publish it.

    The first rows of each task become the examples.

    Parameters
    ----------
    dataset : one of the names above.
    path : Parquet, JSON, JSON lines or CSV file; an address `hf://datasets/…` of the Hub
        where that can be reached.
    shots : examples per question; as in the paper (App. A.5) if None.
    split : name of the part, for the sample ids.

    Raises
    ------
    TaskError : if the dataset is unknown, the file cannot be read, or a row or column is missing or wrong.
    """
    if dataset not in _PUBLISHED:
        raise TaskError(
            f"dataset {dataset!r} is unknown; known: {', '.join(_PUBLISHED)}; or write a task file"
        )
    metric, convert = _PUBLISHED[dataset]
    name = Path(path).name
    frame = _frame(path, name)
    shots = shots if shots is not None else 0 if metric == "judge" else 5
    tasks = []
    for task, part in _by_subject(frame, dataset):
        rows = tuple(_converted(part, convert, metric, name))
        if len(rows) <= shots:
            raise TaskError(f"{name}: task '{task}' has {len(rows)} rows; with {shots} shots it needs more")
        tasks.append(Task(task, metric, rows[shots:], rows[:shots], split))
    return tasks


def _frame(path: str | Path, name: str) -> pd.DataFrame:
    readers: dict[str, Callable[[str], Any]] = {
        ".parquet": pd.read_parquet,
        ".csv": lambda p: pd.read_csv(p, dtype=str, keep_default_na=False),
        ".json": lambda p: pd.read_json(p, dtype=False),
        ".jsonl": lambda p: pd.read_json(p, lines=True, dtype=False),
    }
    suffix = Path(path).suffix
    if suffix not in readers:
        raise TaskError(f"{name}: only {', '.join(readers)} are read here; save the file as one of these")
    try:
        frame: pd.DataFrame = readers[suffix](str(path))
    except (OSError, ValueError, ImportError) as error:
        raise TaskError(f"{name}: cannot be read ({error}); check path and format") from error
    return frame


def _by_subject(frame: pd.DataFrame, dataset: str) -> list[tuple[str, pd.DataFrame]]:
    if dataset != "mmlu" or "subject" not in frame.columns:
        return [(_TASK_NAMES.get(dataset, dataset), frame)]
    parts = frame.groupby("subject", sort=True)
    return [(f"mmlu-{str(subject).replace('_', '-')}", part) for subject, part in parts]


def _converted(frame: pd.DataFrame, convert: Callable[[Any], Row], metric: str, name: str) -> list[Row]:
    rows = []
    for number, record in zip(frame.index + 1, frame.to_dict("records"), strict=True):
        try:
            row = convert(record)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise TaskError(
                f"{name}: row {number}: {error!r}; the columns are {', '.join(map(str, frame.columns))}, "
                "rb_support/construct/published_tasks.py lists those expected"
            ) from error
        check_row(row, metric, f"{name}: row {number}")
        rows.append(row)
    return rows


def _mmlu(r: Mapping[str, Any]) -> Row:
    return Row(str(r["question"]), ascii_uppercase[int(r["answer"])], tuple(map(str, r["choices"])))


def _gsm8k(r: Mapping[str, Any]) -> Row:
    solution, number = str(r["answer"]).rsplit("####", 1)
    return Row(str(r["question"]), number.strip().replace(",", ""), solution=solution.strip())


def _arc(r: Mapping[str, Any]) -> Row:
    labels, texts = list(map(str, r["choices"]["label"])), tuple(map(str, r["choices"]["text"]))
    return Row(str(r["question"]), ascii_uppercase[labels.index(str(r["answerKey"]))], texts)


def _hellaswag(r: Mapping[str, Any]) -> Row:
    return Row(
        f"How does it go on? {r['ctx']}", ascii_uppercase[int(r["label"])], tuple(map(str, r["endings"]))
    )


def _winogrande(r: Mapping[str, Any]) -> Row:
    question = f"What belongs in the gap? {r['sentence']}"
    return Row(question, ascii_uppercase[int(r["answer"]) - 1], (str(r["option1"]), str(r["option2"])))


def _mbpp(r: Mapping[str, Any]) -> Row:
    question = r["text"] if "text" in r else r["prompt"]
    return Row(str(question), str(r["code"]), tests=tuple(map(str, r["test_list"])))


def _mt_bench(r: Mapping[str, Any]) -> Row:
    turns = list(map(str, r["turns"] if "turns" in r else r["prompt"]))
    return Row(turns[0], follow_up=turns[1] if len(turns) > 1 else "")


_PUBLISHED: dict[str, tuple[str, Callable[[Any], Row]]] = {
    "mmlu": ("letter", _mmlu),
    "gsm8k": ("number", _gsm8k),
    "arc": ("letter", _arc),
    "hellaswag": ("letter", _hellaswag),
    "winogrande": ("letter", _winogrande),
    "mbpp": ("judge", _mbpp),
    "mt-bench": ("judge", _mt_bench),
}
_TASK_NAMES = {"arc": "arc-challenge", "gsm8k": "grade-school-math", "mt-bench": "mtbench"}
