"""Runs notebooks side by side, each in a process of its own, and stops them all together."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import perf_counter
from typing import Any

from rb_support.app.reproduce import worker
from rb_support.app.reproduce.worker import Job

DEFAULT_JOBS = min(2, os.cpu_count() or 1)
"""A notebook takes one core and up to a gigabyte (torch, embeddings): two at once suit any laptop."""

# One thread per kernel: several kernels at once would fight for the cores, and sums added up by another
# number of threads differ in their last digits.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}
_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Ending:
    """How a notebook's run ended.

    Attributes
    ----------
    job : what was run.
    seconds : how long it took.
    failure : one line saying what went wrong; None if nothing did.
    written : files that its reports wrote.
    """

    job: Job
    seconds: float
    failure: str | None
    written: list[Path]


class Runner:
    """Runs jobs, a number of them at a time.

    Parameters
    ----------
    jobs : processes at once.
    environment : variables the kernels get beside this process's own.
    on_cell : called with a job and the number of its cells done so far, from any thread.
    """

    def __init__(
        self, jobs: int, environment: Mapping[str, str], on_cell: Callable[[Job, int], None]
    ) -> None:
        self._jobs = jobs
        self._environment = {**os.environ, **_absolute_folders(), **environment, **_ENVIRONMENT}
        self._on_cell = on_cell
        self._lock = threading.Lock()
        self._running: dict[BaseProcess, Connection] = {}
        self._stopping = False

    def run(self, jobs: Sequence[Job], on_end: Callable[[Ending], None]) -> list[Ending]:
        """Run all jobs, calling `on_end` as each ends; their endings in the order of the jobs.

        An interruption stops every kernel, removes what is half written, and is raised again.
        """
        with ThreadPoolExecutor(self._jobs) as pool:
            futures = [pool.submit(self._run_one, job) for job in jobs]
            try:
                for future in as_completed(futures):
                    on_end(future.result())
            except BaseException:
                for future in futures:
                    future.cancel()
                self._stop_all()
                raise
        return [future.result() for future in futures]

    def _run_one(self, job: Job) -> Ending:
        start = perf_counter()
        job.prepare()
        try:
            process, connection = self._start(job)
            failure = self._follow(process, connection, job)
            return Ending(job, perf_counter() - start, failure, job.written())
        finally:
            job.clear()

    def _start(self, job: Job) -> tuple[BaseProcess, Connection]:
        with self._lock:
            if self._stopping:
                raise InterruptedError("no notebook is started while the others are being stopped")
            ours, theirs = multiprocessing.Pipe()
            process = _context().Process(target=worker.work, args=(job, self._environment, theirs))
            process.start()
            theirs.close()  # so that reading ends when the worker does
            self._running[process] = ours
        return process, ours

    def _follow(self, process: BaseProcess, connection: Connection, job: Job) -> str | None:
        """Read a worker's messages to its end: what went wrong in one line, None if nothing did."""
        last: dict[str, Any] = {}
        try:
            while "done" not in last and "failure" not in last:
                last = connection.recv()
                if "cells" in last:
                    self._on_cell(job, last["cells"])
        except EOFError:
            process.join()
            last = {"failure": f"its process ended with code {process.exitcode}: {job.last_words()}"}
        process.join()
        with self._lock:
            del self._running[process]
        return last.get("failure")

    def _stop_all(self) -> None:
        """Tell every worker to stop its kernel and end; kill those that linger."""
        with self._lock:
            self._stopping = True
            for connection in self._running.values():
                with suppress(OSError):  # it has just ended by itself
                    connection.send("stop")
        killer = threading.Timer(_GRACE_SECONDS, self._kill_all)
        killer.daemon = True
        killer.start()

    def _kill_all(self) -> None:
        with self._lock:
            for process in self._running:
                process.kill()


def _absolute_folders() -> dict[str, str]:
    """Folders given by the environment, from the root: kernels work in another folder than this process."""
    given = {name: os.environ.get(name) for name in ("RB_DATA_DIR", "RB_CACHE_DIR")}
    return {name: str(Path(folder).expanduser().resolve()) for name, folder in given.items() if folder}


def _context() -> ForkServerContext | SpawnContext:
    """Processes forked from one that has imported papermill already (that takes seconds), where possible."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([worker.__name__])
    return context
