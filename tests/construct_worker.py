"""A run in a process of its own, to be interrupted and killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from rb_support.construct.records import Model, Query
from rb_support.construct.run import Policy, run
from rb_support.construct.store import Store

QUICK = Policy(first_wait_s=0.005)
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["rb_support.construct", "openai.resources.chat", "httpx", "pytest"])


def worker(queries: Sequence[Query], models: Sequence[Model], path: Path, budget: float) -> BaseProcess:
    """Start to ask; the process is forked from one that has imported all, so that kills meet calls."""
    started = PROCESSES.Process(target=_ask, args=(queries, models, path, budget))
    started.start()
    return started


def _ask(queries: Sequence[Query], models: Sequence[Model], path: Path, budget: float) -> None:
    os.dup2(os.open(said_by(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Store(path) as store:
        run(queries, models, store, budget_usd=budget, policy=QUICK, progress=False)


def said_by(path: Path) -> Path:
    """File with what the process of a store says on stderr."""
    return path.with_suffix(".err")


def ends(process: BaseProcess) -> int:
    """Its exit code; minus the signal that ended it."""
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode
