"""Runs notebooks side by side, each in a process of its own, and stops them all together."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import perf_counter
from typing import Literal

from rb_support.app.reproduce import worker
from rb_support.app.reproduce.plan import NotebookRun

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
class Result:
    """What became of one notebook.

    Attributes
    ----------
    notebook : its name.
    status : "done", "unchanged" (skipped: its files are as its last run left them) or "failed".
    failure : one line naming cell and error; empty unless failed.
    kept : where a notebook that failed is kept, with its outputs so far.
    seconds : how long it took.
    written : files that its reports wrote.
    """

    notebook: str
    status: Literal["done", "unchanged", "failed"]
    failure: str = ""
    kept: Path | None = None
    seconds: float = field(default=0.0, compare=False)
    written: Sequence[Path] = field(default=(), compare=False, repr=False)


class Runner:
    """Runs notebooks, a number of them at a time.

    Parameters
    ----------
    jobs : processes at once.
    environment : variables the kernels get beside this process's own.
    on_cell : called from any thread with a run and the number of its cells done so far.
    """

    def __init__(
        self, jobs: int, environment: Mapping[str, str], on_cell: Callable[[NotebookRun, int], None]
    ) -> None:
        self._jobs = jobs
        self._environment = {**os.environ, **_absolute_folders(), **environment, **_ENVIRONMENT}
        self._on_cell = on_cell
        self._lock = threading.Lock()
        self._running: dict[BaseProcess, Connection] = {}
        self._stopping = False

    def run(
        self, runs: Sequence[NotebookRun], on_end: Callable[[NotebookRun, Result], None]
    ) -> dict[Path, Result]:
        """Run all, calling `on_end` as each ends; notebook -> what became of it.

        An interruption stops every kernel, removes what is half written, and is raised again.
        """
        with ThreadPoolExecutor(self._jobs) as pool:
            futures = {pool.submit(self._run_one, run): run for run in runs}
            try:
                for future in as_completed(futures):
                    on_end(futures[future], future.result())
            except BaseException:
                for future in futures:
                    future.cancel()
                self._stop_all()
                raise
        return {run.path: future.result() for future, run in futures.items()}

    def _run_one(self, run: NotebookRun) -> Result:
        start = perf_counter()
        shutil.rmtree(run.scratch, ignore_errors=True)  # a process that was killed may have left it
        run.scratch.mkdir(parents=True)
        try:
            failure = self._follow(run, *self._start(run))
            log = run.scratch / worker.LOG
            lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        finally:
            shutil.rmtree(run.scratch, ignore_errors=True)
        kept = run.failed if failure and run.failed.exists() else None
        seconds, written = perf_counter() - start, [Path(line) for line in lines]
        return Result(run.name, "failed" if failure else "done", failure, kept, seconds, written)

    def _start(self, run: NotebookRun) -> tuple[BaseProcess, Connection]:
        with self._lock:
            if self._stopping:
                raise InterruptedError("no notebook is started while the others are being stopped")
            ours, theirs = multiprocessing.Pipe()
            process = _context().Process(target=worker.work, args=(run, self._environment, theirs))
            process.start()
            theirs.close()  # so that reading ends when the worker does
            self._running[process] = ours
        return process, ours

    def _follow(self, run: NotebookRun, process: BaseProcess, connection: Connection) -> str:
        """Read a worker's messages to its end: what went wrong in one line, empty if nothing did."""
        try:
            while isinstance(message := connection.recv(), int):
                self._on_cell(run, message)
        except EOFError:
            process.join()
            noise = (run.scratch / worker.NOISE).read_text(encoding="utf-8", errors="replace")
            said = [line for line in noise.split("\n") if line.strip()] or ["no message"]
            message = f"its process ended with code {process.exitcode}: {said[-1]}"
        process.join()
        with self._lock:
            del self._running[process]
        return str(message)

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
