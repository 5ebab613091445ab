"""A fit with its clocks; and a process that fits for a worker: whatever a router does ends with it."""

from __future__ import annotations

import os
import pickle
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import lru_cache
from types import SimpleNamespace
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.cache import ALONE, package_digest
from rb_support.outcomes import Outcomes
from rb_support.studies import board_tables, lineup
from rb_support.studies.cluster import ONE_THREAD
from rb_support.studies.fits import Asked, Material, measure

Row = dict[str, Any]

CODE = (
    "outcomes", "preference", "routers", "deploy/battle_routers.py", "embed.py", "frontier.py", "stats.py",
    "studies/best_model.py", "studies/fits.py", "studies/lineup.py",
)  # fmt: skip
"""Files that make rows out of a table and vectors."""
TRIES = 2
"""Processes that may end under a fit, before that is its result."""
LOOK = 0.05
"""Seconds between two looks at a fit's memory."""


class WorkerError(RuntimeError):
    """A worker cannot do what it is asked, whoever the router is."""


class Budget(NamedTuple):
    """What a fit may take: seconds, and bytes of memory of the process that fits, its table included."""

    seconds: float | None = None
    memory: int | None = None

    def over(self, seconds: float, memory: int) -> str:
        """Which of it is used up, in words; "" if nothing is."""
        if self.seconds is not None and seconds > self.seconds:
            return f"over the budget of {self.seconds:g} seconds"
        if self.memory is not None and memory > self.memory:
            return f"over the budget of {self.memory / 1e9:g} GB of memory"
        return ""


NO_BUDGET = Budget()


class Job(NamedTuple):
    """A fit as it is sent to a worker.

    Attributes
    ----------
    asked : what.
    sha256 : of its table and vectors.
    source : name of its table, or the whole path of an own one.
    code : digest of the code that is to make the row.
    text : of the file of an own router.
    """

    asked: Asked
    sha256: str
    source: str
    code: str
    text: str | None


def code() -> str:
    """Digest of the code that makes rows."""
    return package_digest(*CODE)


def row_of(asked: Asked, given: Material, text: str | None = None) -> Row:
    """A row in this process, with its timings; of a router that fails, its error in words.

    Parameters
    ----------
    asked, given : as `fits.measure` takes them.
    text : of the file of an own router, None reads it.

    Returns
    -------
    What was asked, error, the numbers of `fits.measure`, seconds_fit, seconds_predict (per prompt, with what
    the router predicts of costs), seconds in all, and memory, the most bytes of this process.
    """
    from threadpoolctl import threadpool_limits

    clock = SimpleNamespace(fit=np.nan, predict=0.0)
    start, numbers, error = time.perf_counter(), {}, ""
    with threadpool_limits(1), _largest_memory() as memory:
        try:
            make = lineup.made(asked.router, text)
            numbers = measure(asked, given, lambda seed: _Watched(make(seed), given.table, clock))
        except (Exception, SystemExit) as failure:
            error = re.sub(r"0x[0-9a-f]{6,}", "0x", f"{type(failure).__name__}: {failure}")
    spent = {"seconds": time.perf_counter() - start, "memory": max(memory)}
    timed = {"seconds_fit": clock.fit, "seconds_predict": clock.predict if numbers else np.nan}
    return {**asdict(asked), "error": error, **numbers, **timed, **spent}


class _Watched:
    """A router whose time is taken, and whose predictions are looked at."""

    def __init__(self, router: Any, table: Outcomes, clock: SimpleNamespace) -> None:
        self._router, self._models, self._clock = router, len(table.models), clock
        if hasattr(router, "predict_cost"):
            self.predict_cost = lambda X: self._timed("predict_cost", X)

    def fit(self, train: Outcomes, X: ArrayLike) -> _Watched:
        start = time.perf_counter()
        self._router.fit(train, X)
        self._clock.fit = time.perf_counter() - start
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        return self._timed("predict", X)

    def _timed(self, method: str, X: ArrayLike) -> NDArray[np.float64]:
        rows, start = len(np.asarray(X)), time.perf_counter()
        found = np.asarray(getattr(self._router, method)(X), dtype=np.float64)
        self._clock.predict += (time.perf_counter() - start) / rows
        if found.shape != (rows, self._models):
            raise ValueError(
                f"{method} gave an array of shape {found.shape} for {rows} prompts and {self._models} "
                f"models, not {(rows, self._models)}"
            )
        if bad := np.count_nonzero(~np.isfinite(found)):
            raise ValueError(f"{method} gave {bad:,} of {found.size:,} values that are no numbers")
        return found


@contextmanager
def _largest_memory() -> Iterator[list[int]]:
    """Bytes of this process as the block goes on, the last when it ends; none in a browser."""
    seen = [0]
    if ALONE:
        yield seen
        return
    import psutil

    process, over = psutil.Process(), threading.Event()

    def look() -> None:
        while True:
            seen[0] = max(seen[0], process.memory_info().rss)
            if over.wait(LOOK):
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


class FitProcess:
    """A process that fits for this one, one fit at a time; what ends it ends nothing else.

    It starts with the first fit, keeps the table it has, and ends with this process, however that ends.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def row(self, job: Job, budget: Budget, sent: Material | None = None) -> Row:
        """A row as `row_of` makes it; of a fit that ends the process, or is "over" its budget, the error.

        Parameters
        ----------
        job, budget : what to do, and what it may take.
        sent : table and vectors, where this machine does not have them.

        Raises
        ------
        WorkerError : if the code here is other code, or the table is not to be had.
        """
        for _ in range(TRIES):
            begun = False
            try:
                self._ask(job, sent)
                begun = True
                return self._answer(job, budget)
            except (EOFError, BrokenPipeError):
                how = self._ended()
        if begun:
            return {**asdict(job.asked), "error": f"its process ended under it, {TRIES} times ({how})"}
        raise WorkerError(f"a process that fits does not start here ({how})")

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._ended()

    def _ended(self) -> str:
        """What the process ended with."""
        assert self._process is not None
        status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        self._process = None
        return f"signal {-status}" if status < 0 else f"exit code {status}"

    def _ask(self, job: Job, sent: Material | None) -> None:
        """Send a fit to the process, which begins it once it has the table."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import answer; answer()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            self._sent, self._answers = "", queue.SimpleQueue[Any]()
            heard = (self._process.stdout, self._answers.put)
            threading.Thread(target=_hear, args=heard, daemon=True).start()
        fresh = None if sent is None or self._sent == job.sha256 else sent
        assert self._process.stdin is not None
        _tell(self._process.stdin, (job, sent is not None, fresh))
        if trouble := self._next(None):
            raise WorkerError(trouble)
        self._sent = self._sent if sent is None else job.sha256

    def _answer(self, job: Job, budget: Budget) -> Row:
        """Wait for the row, as long as the budget lasts."""
        import psutil

        assert self._process is not None
        start = time.monotonic()
        while True:
            with suppress(queue.Empty):
                return self._next(LOOK)
            with suppress(psutil.Error):  # it has just ended
                memory = psutil.Process(self._process.pid).memory_info().rss
                if over := budget.over(time.monotonic() - start, memory):
                    self.stop()
                    return {**asdict(job.asked), "error": over, "over": True}

    def _next(self, seconds: float | None) -> Any:
        said = self._answers.get(timeout=seconds)
        if isinstance(said, Exception):
            raise EOFError from said
        return said


def answer() -> None:
    """Fit whatever standard input asks for, until it ends; what routers print goes to standard error."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks ends this
    requests = queue.SimpleQueue[Any]()

    def heed(said: Any) -> None:
        if isinstance(said, Exception):  # nobody asks any more: this ends in the middle of whatever it does
            os._exit(0)
        requests.put(said)

    threading.Thread(target=_hear, args=(sys.stdin.buffer, heed), daemon=True).start()
    given: Material | None = None
    while True:
        job, sent, fresh = requests.get()
        given, trouble = fresh or given, ""
        try:
            given = given if sent else _loaded(job.source, job.asked.embedding)
        except Exception as error:
            trouble = f"{job.asked.table}: {type(error).__name__}: {error}"
        if job.code != code():
            trouble = "a worker has other code of rb_support than what asks it; install the same"
        elif not trouble and (given is None or given.sha256 != job.sha256):
            trouble = f"a worker finds other rows or vectors of {job.asked.table} than what asks it"
        _tell(out, trouble)
        if given is not None and not trouble:
            _tell(out, row_of(job.asked, given, job.text))


def _tell(stream: IO[bytes], what: Any) -> None:
    pickle.dump(what, stream)
    stream.flush()


def _hear(stream: IO[bytes], tell: Callable[[Any], object]) -> None:
    """Tell what comes, one thing after the other, and last the error that ended it."""
    try:
        while True:
            tell(pickle.load(stream))
    except Exception as error:
        tell(error)


_loaded = lru_cache(maxsize=2)(board_tables.load_material)
