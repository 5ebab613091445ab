"""`reproduce` and `refresh`: plan, skip what is unchanged, run the rest, rebuild the gallery."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from rb_support.app.reproduce import plan
from rb_support.app.reproduce.plan import NotebookRun, UsageError
from rb_support.app.reproduce.runner import DEFAULT_JOBS, Result, Runner
from rb_support.report.gallery import rebuild_all

_LONG = ("03", "06", "07")
"""Beginnings of the names of notebooks that are begun first: one begun last would run alone at the end."""


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
    notebooks, figures, build = _folders(notebooks, figures, build)
    kind = data if data in ("simulated", "real") else "own"
    found = plan.discover(notebooks, only)
    if kind == "own" and not Path(data).is_file():
        raise UsageError(f"--data {data}: neither simulated nor real, and no such file")
    if scale not in plan.SCALES:
        raise UsageError(f"--scale {scale}: it is one of {', '.join(plan.SCALES)}")
    asked = str(Path(data).resolve()) if kind == "own" else data
    runs = plan.plan_runs(found, build / "notebooks" / kind, data=asked, scale=scale, settings=settings)
    for sentence in plan.left_out(runs, settings):
        print(sentence)
    records = build / "state" / f"{kind}-{scale}"
    states = {
        run.path: plan.State(records / f"{run.name}.json", plan.fingerprint(run, figures)) for run in runs
    }

    def remember(run: NotebookRun, result: Result) -> None:
        if result.status == "done":
            states[run.path].save([*result.written, run.target])
        else:
            states[run.path].path.unlink(missing_ok=True)  # so that it runs next time

    due = [run for run in runs if force or not states[run.path].holds()]
    results = _run_all(due, jobs, figures, remember)
    return [results.get(run.path, Result(run.name, "unchanged")) for run in runs]


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
    notebooks, figures, build = _folders(notebooks, figures, build)
    found = plan.discover(notebooks, only, solutions=True)
    folder = build / "notebooks" / "refresh"
    runs = [  # a solution has the name of its notebook, and both may run at once
        replace(run, target=run.path, folder=folder / run.path.parent.relative_to(notebooks))
        for run in plan.plan_runs(found, folder)
    ]
    results = _run_all(runs, jobs, figures, lambda run, result: None)
    return [results[run.path] for run in runs]


def _folders(notebooks: Path, figures: Path | None, build: Path | None) -> tuple[Path, Path, Path]:
    """The three folders from the root, the latter two beside the notebooks if not given."""
    notebooks = notebooks.resolve()
    root = notebooks.parent
    return notebooks, (figures or root / "figures").resolve(), (build or root / "build").resolve()


def _run_all(
    runs: Sequence[NotebookRun],
    jobs: int,
    figures: Path,
    remember: Callable[[NotebookRun, Result], None],
) -> dict[Path, Result]:
    """Run notebooks and rebuild the gallery, with a bar over all cells on a terminal, a line as each ends."""
    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: at least one notebook must run at a time")
    bar = tqdm(
        total=sum(run.cells for run in runs), unit="cell", leave=False, disable=not sys.stderr.isatty()
    )
    done, lock = dict.fromkeys((run.path for run in runs), 0), threading.Lock()

    def on_cell(run: NotebookRun, cells: int) -> None:
        with lock:
            bar.set_postfix_str(run.name, refresh=False)
            bar.update(cells - done[run.path])
            done[run.path] = cells

    def on_end(run: NotebookRun, result: Result) -> None:
        remember(run, result)
        outcome = f"FAILED {run.name}: {result.failure}" if result.failure else f"done   {run.name}"
        tqdm.write(f"{outcome}  ({result.seconds:.0f} s)")
        sys.stdout.flush()

    longest_first = sorted(runs, key=lambda run: not run.name.startswith(_LONG))
    try:
        return Runner(jobs, {"RB_FIGURES_DIR": str(figures)}, on_cell).run(longest_first, on_end)
    finally:
        bar.close()
        rebuild_all(figures)
