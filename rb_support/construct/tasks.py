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
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from string import ascii_uppercase

import pandas as pd

from rb_support.catalog import DATASETS, dataset_of_task
from rb_support.construct.records import Query, texts_of

_INTRO = texts_of("prompts.toml")["intro"]
METRICS = tuple(_INTRO)
_STOP = {"letter": ("\nQuestion:",), "number": ("\nQuestion:",), "judge": ()}
"""Where a model begins to invent the next question, by metric."""


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
