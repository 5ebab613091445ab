"""`reproduce` and `refresh`: plan, skip what is unchanged, run the rest, rebuild the gallery."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from rb_support.report.gallery import rebuild_all

from .plan import SCALES, Plan, UsageError, discover, left_out, make_plans
from .runner import DEFAULT_JOBS, Ending, Runner
from .state import State, fingerprint
from .worker import Job


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
    plans = make_plans(
        discover(places.notebooks, only),
        data=_checked_data(data),
        scale=_checked_scale(scale),
        settings=settings,
    )
    for sentence in left_out(plans, settings):
        print(sentence)
    runs = [places.run(plan, kind, scale) for plan in plans]
    due = [run for run in runs if force or not run.state.holds(run.fingerprint)]
    endings = _run_all(due, jobs, places)
    return [_result(run.job, endings) for run in runs]


def refresh(
    notebooks: Path,
    *,
    only: Sequence[str] = (),
    jobs: int = DEFAULT_JOBS,
    figures: Path | None = None,
    build: Path | None = None,
) -> list[Result]:
    """Run notebooks with their default parameters and put fresh outputs and counts into them.

    A notebook is rewritten only if all its cells passed. Parameters and errors are those of `reproduce`.
    """
    places = _Places.of(notebooks, figures, build)
    plans = make_plans(discover(places.notebooks, only), data=None, scale=None)
    runs = [places.run(plan, "refresh", "default", in_place=True) for plan in plans]
    endings = _run_all(runs, jobs, places)
    return [_result(run.job, endings) for run in runs]


@dataclass(frozen=True)
class _Run:
    """A job with what decides whether it is due, and the number of its cells."""

    job: Job
    state: State
    fingerprint: str
    cells: int

    def settle(self, ending: Ending) -> None:
        """Remember a good run and what it wrote; have a failed one run again."""
        if ending.failure is None:
            self.state.save(self.fingerprint, [*ending.written, self.job.target])
        else:
            self.state.forget()


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

    def run(self, plan: Plan, kind: str, scale: str, *, in_place: bool = False) -> _Run:
        executed = self.build / "notebooks" / kind
        target = plan.path if in_place else executed / plan.path.name
        job = Job(plan.path, target, executed, plan.parameters)
        state = State(self.build / "state" / f"{kind}-{scale}" / f"{plan.name}.json", self.notebooks.parent)
        return _Run(job, state, fingerprint(plan, self.figures), plan.cells)


def _checked_data(data: str) -> str:
    if data in ("simulated", "real"):
        return data
    if not Path(data).is_file():
        raise UsageError(f"--data {data}: neither simulated nor real, and no such file")
    return str(Path(data).resolve())


def _checked_scale(scale: str) -> str:
    if scale not in SCALES:
        raise UsageError(f"--scale {scale}: it is one of {', '.join(SCALES)}")
    return scale


def _run_all(due: Sequence[_Run], jobs: int, places: _Places) -> Mapping[Path, Ending]:
    """Run what is due, showing progress, then rebuild the gallery; endings by the notebook's path."""
    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: at least one notebook must run at a time")
    by_source = {run.job.source: run for run in due}
    screen = _Screen(sum(run.cells for run in due))

    def on_end(ending: Ending) -> None:
        by_source[ending.job.source].settle(ending)
        screen.ended(ending)

    try:
        runner = Runner(jobs, {"RB_FIGURES_DIR": str(places.figures)}, screen.on_cell)
        endings = runner.run([run.job for run in due], on_end)
    finally:
        screen.close()
        rebuild_all(places.figures)
    return {ending.job.source: ending for ending in endings}


def _result(job: Job, endings: Mapping[Path, Ending]) -> Result:
    ending = endings.get(job.source)
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
