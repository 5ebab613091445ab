"""The pipeline on simulated models in one call, and a run that is killed, to show that nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import RLock

from tqdm import tqdm

from rb_support.construct import export, grading, loopback, run, tasks
from rb_support.construct.records import Model, Query
from rb_support.construct.store import Store
from rb_support.construct.tasks import DEMO_ROWS
from rb_support.outcomes import Outcomes

_BETWEEN_LOOKS_S = 0.002


def killed(
    queries: Sequence[Query],
    models: Sequence[Model],
    store: Store,
    *,
    after: int,
    budget_usd: float | None = None,
) -> None:
    """Ask in a process of its own, and kill it once the store holds so many answers.

    It gets no chance to tidy up (on POSIX the signal is SIGKILL). One that is done before is left alone.

    Parameters
    ----------
    queries, models, budget_usd : as `run.run` takes them.
    store : where answers go; the process opens the same file.
    after : answers in the store that bring the end.
    """
    asking = get_context("spawn").Process(target=_ask, args=(queries, models, store.path, budget_usd))
    asking.start()
    while asking.is_alive() and len(store.answered()) < after:
        time.sleep(_BETWEEN_LOOKS_S)
    asking.kill()
    asking.join()


def _ask(queries: Sequence[Query], models: Sequence[Model], path: Path, budget_usd: float | None) -> None:
    tqdm.set_lock(RLock())  # its own is a semaphore of the system, which would outlive the kill
    with Store(path) as store:
        run.run(queries, models, store, budget_usd=budget_usd, progress=False)


def asked_live(rows: int = DEMO_ROWS, *, seed: int = 0) -> tuple[Outcomes, list[Model]]:
    """Outcomes of the built-in questions, asked of the loopback server's models and graded by its judge.

    Parameters
    ----------
    rows : questions per task, 2 to 8.
    seed : of the draw of questions and of the simulated models.

    Returns
    -------
    The outcome table, and the cards of its models.
    """
    asked = tasks.demo_tasks(rows, seed=seed)
    queries = tasks.queries_of(asked)
    with TemporaryDirectory() as folder, Store(Path(folder) / "answers.db") as store:
        with loopback.serve(queries, seed=seed) as server:
            models = server.models()
            run.run(queries, models, store, progress=False)
            grading.grade_store(store, queries, server.judge())
        name = table_name(len(asked), len(models), seed)
        return export.to_outcomes(store, queries, [model.name for model in models], name=name), models


def table_name(tasks: int, models: int, seed: int) -> str:
    """Name of a table that was asked live.

    >>> table_name(8, 4, 0)
    '8 tasks asked live, 4 models, seed 0'
    """
    return f"{tasks} tasks asked live, {models} models, seed {seed}"
