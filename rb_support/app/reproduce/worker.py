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
from multiprocessing.connection import Connection
from pathlib import Path
from textwrap import shorten
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from rb_support.app.reproduce.plan import NotebookRun
from rb_support.cache import write_atomically
from rb_support.report import store

LOG, NOISE = "written", "noise"
"""Files of a run's scratch folder: paths its reports wrote to, and its worker's and kernel's own messages."""

_WIDGET = "application/vnd.jupyter.widget-view+json"
_STARTS = 3
_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")


class Cells:
    """Counts the cells that start, and tells the parent of the notebook's own as they are done."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.started = 0
        self.own = 0

    def on_start(self, cell: nbformat.NotebookNode, cell_index: int) -> None:
        """Note that a cell starts; the one papermill injects is not the notebook's own."""
        self.started += 1
        self.own += "injected-parameters" not in cell.metadata.get("tags", [])

    def on_done(self, cell: nbformat.NotebookNode, cell_index: int, execute_reply: Any) -> None:
        """Tell how many cells are done."""
        self._connection.send(self.own)


def run(notebook: NotebookRun, connection: Connection) -> None:
    """Execute a notebook, put it in place, if need be as failed, and tell the parent (see `work`)."""
    partial, cells = notebook.scratch / "executed.ipynb", Cells(connection)
    try:
        executed = execute(notebook, partial, cells)
        if notebook.target == notebook.path:
            refresh_outputs(notebook.path, executed)
        else:
            partial.replace(notebook.target)
    except Exception as error:
        if partial.exists():
            partial.replace(notebook.failed)
        connection.send(describe(error, f"code cell {cells.own} (In [{cells.started}]): "))
    else:
        notebook.failed.unlink(missing_ok=True)
        connection.send("")


def execute(notebook: NotebookRun, partial: Path, cells: Cells) -> nbformat.NotebookNode:
    """Execute the notebook in its own folder; what has run so far lies at `partial`.

    A kernel whose ports another process took before it bound them never answers; another one is started then,
    as long as no cell has run.
    """
    starts = 0
    while True:
        starts += 1
        try:
            return papermill.execute_notebook(
                notebook.path,
                partial,
                parameters=dict(notebook.parameters),
                kernel_name="python3",
                progress_bar=False,
                cwd=notebook.path.parent,
                coalesce_streams=True,
                on_cell_execute=cells.on_start,
                on_cell_executed=cells.on_done,
            )
        except RuntimeError:
            if cells.started or starts == _STARTS:
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


def refresh_outputs(path: Path, executed: nbformat.NotebookNode) -> None:
    """Put the outputs and counts of its execution into a notebook, but nothing that differs from run to run.

    Raises
    ------
    ReportError
        Naming the code cell whose output shows a folder of this machine, mostly by a warning.
    """
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    pairs = zip(notebook.cells, executed.cells, strict=True)
    for number, (cell, ran) in enumerate((pair for pair in pairs if pair[0].cell_type == "code"), start=1):
        cell.outputs = [_steady(output) for output in ran.outputs if _WIDGET not in output.get("data", {})]
        cell.execution_count = ran.execution_count
        shown = json.dumps(cell.outputs)
        for folder in (str(path.parent.parent), sys.prefix, "/ipykernel_"):
            if folder in shown:
                raise store.ReportError(
                    f"output of code cell {number} shows a folder of this machine ({folder})"
                )
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    write_atomically(path, (text.rstrip("\n") + "\n").encode())


def _steady(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """An output without the address in memory by which Python names a table that HTML shows."""
    if text := output.get("data", {}).get("text/plain"):
        output["data"]["text/plain"] = _ADDRESS.sub(">", text)
    return output


def work(notebook: NotebookRun, environment: Mapping[str, str], connection: Connection) -> None:
    """Run a notebook in this process, which exists for nothing else.

    Parameters
    ----------
    notebook : what to run.
    environment : the kernel's environment variables.
    connection : takes the number of cells done as each ends, and at last what went wrong in one line, empty
        if nothing did; anything that comes back on it, or its closing, ends the process.
    """
    if hasattr(os, "setsid"):
        os.setsid()  # a terminal's Ctrl-C is the parent's to hear
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with (notebook.scratch / NOISE).open("wb") as noise:
        os.dup2(noise.fileno(), 1)
        os.dup2(noise.fileno(), 2)
    os.environ.clear()
    os.environ.update({**environment, store.LOG_VARIABLE: str(notebook.scratch / LOG)})
    threading.Thread(target=_end_when_told, args=[connection], daemon=True).start()
    run(notebook, connection)


def _end_when_told(connection: Connection) -> None:
    """Interrupt this process at a word from the parent, or at its death."""
    with suppress(EOFError, OSError):
        connection.recv()
    os.kill(os.getpid(), signal.SIGINT)
