"""Built-in questions for an offline run: one small task for each of the eight datasets, in our own words.

They lie as task files in `construct/data`, so that they also show what the format looks like. The towns of
the retrieval task are invented.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from importlib.resources import as_file, files

import numpy as np

from rb_support.catalog import DATASETS
from rb_support.construct.rag import Document
from rb_support.construct.task_files import read_tasks
from rb_support.construct.tasks import Task

ROWS = 8
"""Questions of each task."""


def demo_tasks(rows: int = ROWS, *, seed: int = 0) -> list[Task]:
    """Eight tasks in the order of `catalog.DATASETS`, with right answers known.

    Parameters
    ----------
    rows : questions of each task, 1 to 8, drawn without replacement.
    seed : of the draw.

    Raises
    ------
    ValueError : if `rows` is out of range.
    """
    if not 1 <= rows <= ROWS:
        raise ValueError(f"rows is {rows}; each built-in task has 1 to {ROWS}")
    with as_file(files("rb_support.construct") / "data") as folder:
        tasks = sorted(read_tasks(folder), key=lambda task: DATASETS.index(task.dataset))
    rng = np.random.default_rng(seed)
    return [_some(task, rows, rng) for task in tasks]


def _some(task: Task, rows: int, rng: np.random.Generator) -> Task:
    kept = sorted(rng.choice(len(task.rows), rows, replace=False).tolist())
    return replace(task, rows=tuple(task.rows[i] for i in kept))


def demo_documents() -> list[Document]:
    """Six short dated texts on invented towns, two of each kind, to make retrieval questions from."""
    return [Document(*entry) for entry in _DOCUMENTS]


_DOCUMENTS = (
    ("bridge", "In Ardenquay the new footbridge over the Orle was opened by Ilse Corran.", date(2023, 3, 9)),
    ("regatta", "The autumn regatta of Ardenquay was won by the crew of Nils Abery.", date(2023, 9, 17)),
    ("trams", "In 2020 the tram works of Brellan were bought by Norvik Rail.", date(2020, 5, 4)),
    ("fair", "The lantern fair of Brellan in 2020 was seen by 41,000 visitors.", date(2020, 11, 11)),
    ("inn", "A meal in a mid-priced inn of Tessmouth costs about 18 crowns.", date(2022, 1, 1), True),
    ("light", "The old lighthouse of Tessmouth has a height of 37 metres.", date(2022, 1, 1), True),
)
