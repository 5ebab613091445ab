"""Runs notebooks side by side with papermill, each in a kernel of its own, and stops them all together."""

from __future__ import annotations

import atexit
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from time import perf_counter
from typing import Any, Literal

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import CellControlSignal, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError

from rb_support.app.reproduce.plan import NotebookRun
from rb_support.cache import write_atomically
from rb_support.report import store

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
_NOT_HANDED_ON = {"MPLBACKEND", "MATPLOTLIBRC"}  # a user's wishes for windows of their own
_GRACE_SECONDS, _OUTPUT_SECONDS = 10.0, 120
_STARTS = 3
_LOG, _NOISE, _PARTIAL = "written", "noise", "executed.ipynb"
_WIDGET = "application/vnd.jupyter.widget-view+json"
_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")


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


class RunError(RuntimeError):
    """A notebook cannot be run to its end, or its outputs cannot be kept; the message says why."""


class _Engine(NBClientEngine):  # type: ignore[misc]
    """papermill's own engine, in a kernel that is told where and how to start.

    papermill itself would change the folder of this process, in which other notebooks run as well.
    """

    NAME = "rb_support"

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        *,
        start: Mapping[str, Any],
        km: AsyncKernelManager,
        on_cell_execute: Callable[..., None],
        on_cell_executed: Callable[..., None],
        **_: Any,
    ) -> None:
        """Execute all cells, as papermill's engines do."""
        client = PapermillNotebookClient(
            nb_man,
            km,
            coalesce_streams=True,
            iopub_timeout=_OUTPUT_SECONDS,
            on_cell_execute=on_cell_execute,
            on_cell_executed=on_cell_executed,
        )
        try:
            client.execute(cleanup_kc=True, **start)
        finally:
            atexit.unregister(client._cleanup_kernel)  # it keeps one of a kernel that did not start


papermill_engines.register(_Engine.NAME, _Engine)


class Runner:
    """Runs notebooks, a number of them at a time.

    Parameters
    ----------
    jobs : kernels at once.
    environment : variables the kernels get beside this process's own.
    on_cell : called from any thread with a run and the number of its cells done so far.
    """

    def __init__(
        self, jobs: int, environment: Mapping[str, str], on_cell: Callable[[NotebookRun, int], None]
    ) -> None:
        self._jobs = jobs
        own = {name: value for name, value in os.environ.items() if name not in _NOT_HANDED_ON}
        self._environment = {**own, **_absolute_folders(), **environment, **_ENVIRONMENT}
        self._on_cell = on_cell
        self._kernels: set[AsyncKernelManager] = set()
        self._stopping = False

    def run(
        self, runs: Sequence[NotebookRun], on_end: Callable[[NotebookRun, Result], None]
    ) -> dict[Path, Result]:
        """Run all, calling `on_end` as each ends; notebook -> what became of it.

        An interruption stops every kernel, leaves nothing half written, and is raised again.
        """
        with ThreadPoolExecutor(self._jobs) as pool:
            futures = {pool.submit(self._run_one, run): run for run in runs}
            try:
                for future in as_completed(futures):
                    on_end(futures[future], future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.stop()
                raise
        return {run.path: future.result() for future, run in futures.items()}

    def _run_one(self, run: NotebookRun) -> Result:
        start, failure = perf_counter(), ""
        with TemporaryDirectory(prefix="rb_support-") as folder:
            scratch = Path(folder)
            try:
                executed = self._execute(run, scratch)
                if run.target == run.path:
                    refresh_outputs(run.path, executed)
                else:
                    _write(run.target, executed)
                run.failed.unlink(missing_ok=True)
            except RunError as error:
                if self._stopping:
                    raise
                failure = shorten(str(error), 600, placeholder=" …")
                write_atomically(run.failed, (scratch / _PARTIAL).read_bytes())
            log = scratch / _LOG
            lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        kept, seconds = run.failed if failure else None, perf_counter() - start
        written = [Path(line) for line in lines]
        return Result(run.name, "failed" if failure else "done", failure, kept, seconds, written)

    def _execute(self, run: NotebookRun, scratch: Path) -> nbformat.NotebookNode:
        """Execute a notebook in its own folder, in a kernel of its own; what has run lies in `scratch`.

        A kernel whose ports another process took before it bound them never answers; another one is started
        then, as long as no cell has run.

        Raises
        ------
        RunError
            Naming the failing cell and its error, else what kept the notebook from running.
        """
        started = own = 0

        def go_on(cell: nbformat.NotebookNode, **_: Any) -> None:
            nonlocal started, own
            if self._stopping:
                raise InterruptedError("notebooks are being stopped")
            started += 1
            own += "injected-parameters" not in cell.metadata.get("tags", [])

        environment = {**self._environment, store.LOG_VARIABLE: str(scratch / _LOG)}
        specs = KernelSpecManager(kernel_dirs=[])  # knows this Python alone, whatever JUPYTER_PATH offers
        for _ in range(_STARTS):
            kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs)
            self._kernels.add(kernel)
            try:
                with (scratch / _NOISE).open("wb") as noise:
                    return papermill.execute_notebook(
                        run.path,
                        scratch / _PARTIAL,
                        parameters=dict(run.parameters),
                        engine_name=_Engine.NAME,
                        kernel_name="python3",
                        progress_bar=False,
                        start={"cwd": run.path.parent, "env": environment, "stdout": noise, "stderr": noise},
                        km=kernel,
                        on_cell_execute=go_on,
                        on_cell_executed=lambda **_: self._on_cell(run, own),
                    )
            except (PapermillExecutionError, CellControlSignal, RuntimeError) as error:
                if started:
                    raise RunError(f"code cell {own} (In [{started}]): {_words(error)}") from error
            finally:
                self._kernels.remove(kernel)
        said = (scratch / _NOISE).read_text(encoding="utf-8", errors="replace").split("\n")
        raise RunError(f"its kernel does not start: {next(filter(str.strip, reversed(said)), 'no message')}")

    def stop(self) -> None:
        """Interrupt every kernel, which ends its notebook; terminate those that linger."""
        self._stopping = True
        self._signal(signal.SIGINT)
        killer = threading.Timer(_GRACE_SECONDS, self._signal, [signal.SIGTERM])
        killer.daemon = True
        killer.start()

    def _signal(self, number: int) -> None:
        for kernel in list(self._kernels):
            with suppress(RuntimeError):  # it has just ended by itself
                run_sync(kernel.signal_kernel)(number)


def _words(error: Exception) -> str:
    if isinstance(error, DeadKernelError):
        return "the kernel died, perhaps for lack of memory"
    return f"{error.ename}: {error.evalue}" if isinstance(error, PapermillExecutionError) else str(error)


def refresh_outputs(path: Path, executed: nbformat.NotebookNode) -> None:
    """Put the outputs and counts of its execution into a notebook, but nothing that differs from run to run.

    Raises
    ------
    ReportError
        Naming the code cell whose output shows a folder of this machine, mostly by a warning.
    """
    notebook = nbformat.read(path, as_version=4)
    pairs = zip(notebook.cells, executed.cells, strict=True)
    for number, (cell, ran) in enumerate((pair for pair in pairs if pair[0].cell_type == "code"), start=1):
        cell.outputs = [_steady(output) for output in ran.outputs if _WIDGET not in output.get("data", {})]
        cell.execution_count = ran.execution_count
        shown = json.dumps(cell.outputs)
        for folder in (str(path.parent.parent), sys.prefix, "/ipykernel_"):
            if folder in shown:
                raise RunError(f"output of code cell {number} shows a folder of this machine ({folder})")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    _write(path, notebook)


def _steady(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """An output without the address in memory by which Python names a table that HTML shows."""
    if text := output.get("data", {}).get("text/plain"):
        output["data"]["text/plain"] = _ADDRESS.sub(">", text)
    return output


def _write(path: Path, notebook: nbformat.NotebookNode) -> None:
    text: str = nbformat.writes(notebook)
    write_atomically(path, (text.rstrip("\n") + "\n").encode(errors="replace"))


def _absolute_folders() -> dict[str, str]:
    """Folders given by the environment, from the root: kernels work in another folder than this process."""
    given = {name: os.environ.get(name) for name in ("RB_DATA_DIR", "RB_CACHE_DIR")}
    return {name: str(Path(folder).expanduser().resolve()) for name, folder in given.items() if folder}
