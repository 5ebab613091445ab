"""`reproduce` and `refresh`: plan, skip what is unchanged, run the rest, rebuild the gallery."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from rb_support.app.reproduce.plan import SCALES, NotebookRun, UsageError, discover, left_out, plan_runs
from rb_support.app.reproduce.runner import DEFAULT_JOBS, Ending, Runner
from rb_support.app.reproduce.state import State, fingerprint
from rb_support.app.reproduce.worker import Job
from rb_support.report.gallery import rebuild_all

_LONG = ("03", "06", "07")
"""Beginnings of the names of notebooks that are begun first: one begun last would run alone at the end."""


@dataclass(frozen=True)
class Result:
    """What became of one notebook.

    Attributes
    ----------
    notebook : its name.
    status : "done", "unchanged" (skipped: its files are as its last run left them) or "failed".
    failure : one line naming cell and error; empty unless failed.
    kept : where a notebook that failed is kept, with its outputs so far.
    """

    notebook: str
    status: Literal["done", "unchanged", "failed"]
    failure: str = ""
    kept: Path | None = None


def reproduce(
    notebooks: Path,
    *,
    data: str = "simulated",
    scale: str = "quick",
    only: Sequence[str] = (),
    settings: Sequence[str] = (),
    jobs: int = DEFAULT_JOBS,
    force: bool = False,
    figures: Path | None = None,
    build: Path | None = None,
) -> list[Result]:
    """Run notebooks and leave their figures, tables and claims with a gallery.

    A notebook runs only if something it is made from has changed since its last good run. One that fails
    does not keep the others from running. An interruption leaves nothing half written.

    Parameters
    ----------
    notebooks : folder of the `NN_*.ipynb`.
    data : "simulated", "real", or the path of an outcome table.
    scale : "quick" or "full".
    only : beginnings of the names of the notebooks to run; all if empty.
    settings : "name=value" for other parameters of the notebooks.
    jobs : notebooks to run at once.
    force : run unchanged notebooks too.
    figures : folder for what they write; default `figures` beside the folder of notebooks.
    build : folder for executed notebooks and records of runs; default `build` beside it.

    Returns
    -------
    One result per notebook, in order.

    Raises
    ------
    UsageError
        Before anything runs, if a notebook, a parameter or a value does not fit.
    """
    places = _Places.of(notebooks, figures, build)
    kind = data if data in ("simulated", "real") else "own"
    found = discover(places.notebooks, only)
    if kind == "own" and not Path(data).is_file():
        raise UsageError(f"--data {data}: neither simulated nor real, and no such file")
    if scale not in SCALES:
        raise UsageError(f"--scale {scale}: it is one of {', '.join(SCALES)}")
    asked = str(Path(data).resolve()) if kind == "own" else data
    runs = plan_runs(found, data=asked, scale=scale, settings=settings)
    for sentence in left_out(runs, settings):
        print(sentence)
    todo = [places.job(run, kind) for run in runs]
    states = {run.path: places.state(run, f"{kind}-{scale}") for run in runs}
    due = [job for job in todo if force or not states[job.source].holds()]

    def remember(ending: Ending) -> None:
        if ending.failure is None:
            states[ending.job.source].save([*ending.written, ending.job.target])
        else:
            states[ending.job.source].forget()

    return _run_all(todo, due, jobs, places, remember)


def refresh(
    notebooks: Path,
    *,
    only: Sequence[str] = (),
    jobs: int = DEFAULT_JOBS,
    figures: Path | None = None,
    build: Path | None = None,
) -> list[Result]:
    """Run notebooks and their solutions with default parameters; put fresh outputs and counts into them.

    A notebook is rewritten only if all its cells passed. Parameters and errors are those of `reproduce`.
    """
    places = _Places.of(notebooks, figures, build)
    runs = plan_runs(discover(places.notebooks, only, solutions=True), data=None, scale=None)
    todo = [replace(places.job(run, "refresh"), target=run.path) for run in runs]
    return _run_all(todo, todo, jobs, places, lambda ending: None)


@dataclass(frozen=True)
class _Places:
    """The folders of a run."""

    notebooks: Path
    figures: Path
    build: Path

    @classmethod
    def of(cls, notebooks: Path, figures: Path | None, build: Path | None) -> _Places:
        notebooks = notebooks.resolve()
        root = notebooks.parent
        return cls(notebooks, (figures or root / "figures").resolve(), (build or root / "build").resolve())

    def job(self, run: NotebookRun, kind: str) -> Job:
        workspace = self.build / "notebooks" / kind / run.path.parent.relative_to(self.notebooks)
        return Job(run.path, workspace / run.path.name, workspace, run.cells, run.parameters)

    def state(self, run: NotebookRun, folder: str) -> State:
        record = self.build / "state" / folder / f"{run.name}.json"
        return State(record, self.notebooks.parent, fingerprint(run, self.figures))


def _run_all(
    todo: Sequence[Job], due: Sequence[Job], jobs: int, places: _Places, remember: Callable[[Ending], None]
) -> list[Result]:
    """Run the notebooks that are due, showing progress, and rebuild the gallery; what became of them all."""
    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: at least one notebook must run at a time")
    screen = _Screen(sum(job.cells for job in due))

    def on_end(ending: Ending) -> None:
        remember(ending)
        screen.ended(ending)

    longest_first = sorted(due, key=lambda job: not job.name.startswith(_LONG))
    runner = Runner(jobs, {"RB_FIGURES_DIR": str(places.figures)}, screen.on_cell)
    try:
        endings = runner.run(longest_first, on_end)
    finally:
        screen.close()
        rebuild_all(places.figures)
    by_source = {ending.job.source: ending for ending in endings}
    return [_result(job, by_source.get(job.source)) for job in todo]


def _result(job: Job, ending: Ending | None) -> Result:
    if ending is None:
        return Result(job.name, "unchanged")
    if ending.failure is None:
        return Result(job.name, "done")
    return Result(job.name, "failed", ending.failure, job.failed if job.failed.exists() else None)


class _Screen:
    """One bar over all cells on a terminal, and a line per notebook as it ends, everywhere."""

    def __init__(self, cells: int) -> None:
        self._bar = tqdm(total=cells, unit="cell", leave=False, disable=not sys.stderr.isatty())
        self._done: dict[Path, int] = {}
        self._lock = threading.Lock()

    def on_cell(self, job: Job, cells: int) -> None:
        """Move the bar: `cells` of the job are done."""
        with self._lock:
            self._bar.set_postfix_str(job.name, refresh=False)
            self._bar.update(cells - self._done.get(job.source, 0))
            self._done[job.source] = cells

    def ended(self, ending: Ending) -> None:
        """Say how a notebook ended."""
        name = ending.job.name
        outcome = f"FAILED {name}: {ending.failure}" if ending.failure else f"done   {name}"
        tqdm.write(f"{outcome}  ({ending.seconds:.0f} s)")
        sys.stdout.flush()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()
