"""Runs one notebook in a process of its own, which ends, kernel and all, when its parent asks or dies."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from textwrap import shorten
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from rb_support.app.reproduce.plan import read_notebook
from rb_support.cache import write_atomically
from rb_support.report import store

_WIDGET = "application/vnd.jupyter.widget-view+json"
_STARTS = 3
_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")


@dataclass(frozen=True)
class Job:
    """A notebook to run.

    Attributes
    ----------
    source : the notebook.
    target : where the executed notebook goes; the source itself to refresh its outputs.
    workspace : folder for what exists only while it runs, and for the notebook if a cell fails.
    cells : number of code cells.
    parameters : values to hand to it.
    """

    source: Path
    target: Path
    workspace: Path
    cells: int
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The notebook's file name without ending."""
        return self.source.stem

    @property
    def partial(self) -> Path:
        """Where the executed notebook grows."""
        return self.workspace / f".{self.name}.partial.ipynb"

    @property
    def log(self) -> Path:
        """Where reports note the files they write."""
        return self.workspace / f".{self.name}.written"

    @property
    def noise(self) -> Path:
        """Where the worker's and the kernel's own messages go."""
        return self.workspace / f".{self.name}.noise"

    @property
    def failed(self) -> Path:
        """Where the notebook is kept when a cell fails."""
        return self.workspace / f"{self.name}.failed.ipynb"

    def prepare(self) -> None:
        """Make the workspace, without what an earlier run may have left there."""
        self.workspace.mkdir(parents=True, exist_ok=True)
        self.clear()

    def clear(self) -> None:
        """Remove what exists only while the notebook runs."""
        for path in (self.partial, self.log, self.noise):
            path.unlink(missing_ok=True)

    def written(self) -> list[Path]:
        """Files that the notebook's reports wrote."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [Path(line) for line in lines]

    def last_words(self) -> str:
        """Last line of the worker's messages."""
        lines = self.noise.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "no message")


class Progress:
    """Counts cells and tells the parent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.started = 0
        self.own = 0

    def tell(self, **message: Any) -> None:
        """Send one message."""
        self._connection.send(message)

    def on_start(self, cell: nbformat.NotebookNode, cell_index: int) -> None:
        """Note that a cell starts; the one papermill injects is not the notebook's own."""
        self.started += 1
        self.own += "injected-parameters" not in cell.metadata.get("tags", [])

    def on_done(self, cell: nbformat.NotebookNode, cell_index: int, execute_reply: Any) -> None:
        """Tell that a cell is done."""
        self.tell(cells=self.own)

    def place(self) -> str:
        """The cell that runs: its number among the notebook's own code cells, and in the kept notebook."""
        return f"code cell {self.own} (In [{self.started}]): "


def run(job: Job, progress: Progress) -> None:
    """Execute the notebook, put the result or the failed notebook in place, and tell the parent."""
    try:
        finish(job, execute(job, progress))
    except Exception as error:
        if job.partial.exists():
            job.partial.replace(job.failed)
        progress.tell(failure=describe(error, progress.place()))
    else:
        job.failed.unlink(missing_ok=True)
        progress.tell(done=True)


def finish(job: Job, executed: nbformat.NotebookNode) -> None:
    """Move the executed notebook to its place, or its outputs into the source."""
    if job.target != job.source:
        job.partial.replace(job.target)
        return
    refreshed = with_outputs(read_notebook(job.source), executed)
    refuse_machine_paths(refreshed, job.source.parent.parent)
    text: str = nbformat.writes(refreshed)  # type: ignore[no-untyped-call]
    write_atomically(job.target, (text.rstrip("\n") + "\n").encode())


def execute(job: Job, progress: Progress) -> nbformat.NotebookNode:
    """Execute the notebook in its own folder.

    A kernel whose ports another process took before it bound them never answers; another one is started then,
    as long as no cell has run.
    """
    starts = 0
    while True:
        starts += 1
        try:
            return papermill.execute_notebook(
                job.source,
                job.partial,
                parameters=dict(job.parameters),
                kernel_name="python3",
                progress_bar=False,
                cwd=job.source.parent,
                coalesce_streams=True,
                on_cell_execute=progress.on_start,
                on_cell_executed=progress.on_done,
            )
        except RuntimeError:
            if progress.started or starts == _STARTS:
                raise


def describe(error: Exception, place: str) -> str:
    """In one line, the failing cell and its error, else what kept the notebook from running."""
    if isinstance(error, PapermillExecutionError):
        text = f"{place}{error.ename}: {error.evalue}"
    elif isinstance(error, DeadKernelError):
        text = f"{place}the kernel died, perhaps for lack of memory"
    else:
        text = f"{type(error).__name__}: {error}"
    return shorten(text, 600, placeholder=" …")


def with_outputs(source: nbformat.NotebookNode, executed: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The source with the outputs and counts of its execution, and nothing that differs from run to run."""
    for cell, ran in zip(source.cells, executed.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs = [_steady(out) for out in ran.outputs if _WIDGET not in out.get("data", {})]
            cell.execution_count = ran.execution_count
    source.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return source


def _steady(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """An output without the address in memory by which Python names a table that HTML shows."""
    if text := output.get("data", {}).get("text/plain"):
        output["data"]["text/plain"] = _ADDRESS.sub(">", text)
    return output


def refuse_machine_paths(notebook: nbformat.NotebookNode, root: Path) -> None:
    """Keep this machine's folders out of notebooks that are committed.

    Raises
    ------
    ReportError
        Naming the code cell whose output shows one, mostly by a warning.
    """
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code_cells, start=1):
        shown = json.dumps(cell.outputs)
        for path in (str(root), sys.prefix, "/ipykernel_"):
            if path in shown:
                raise store.ReportError(
                    f"output of code cell {number} shows a folder of this machine ({path})"
                )


def work(job: Job, environment: Mapping[str, str], connection: Connection) -> None:
    """Run a job in this process, which exists for nothing else.

    Parameters
    ----------
    job : what to run.
    environment : the kernel's environment variables.
    connection : takes messages about cells done and the end, `{"done": True}` or `{"failure": "…"}`; anything
        that comes back on it, or its closing, ends the process.
    """
    if hasattr(os, "setsid"):
        os.setsid()  # a terminal's Ctrl-C is the parent's to hear
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with job.noise.open("wb") as noise:
        os.dup2(noise.fileno(), 1)
        os.dup2(noise.fileno(), 2)
    os.environ.clear()
    os.environ.update({**environment, store.LOG_VARIABLE: str(job.log)})
    threading.Thread(target=_end_when_told, args=[connection], daemon=True).start()
    run(job, Progress(connection))


def _end_when_told(connection: Connection) -> None:
    """Interrupt this process at a word from the parent, or at its death."""
    with suppress(EOFError, OSError):
        connection.recv()
    os.kill(os.getpid(), signal.SIGINT)
