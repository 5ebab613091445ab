"""`reproduce` and `refresh`: plan, skip what is unchanged, run the rest, rebuild the gallery."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from rb_support.app.reproduce import plan
from rb_support.app.reproduce.own import Missing, read_own
from rb_support.app.reproduce.plan import NotebookRun, UsageError
from rb_support.app.reproduce.runner import DEFAULT_JOBS, Result, Runner
from rb_support.report import store
from rb_support.report.gallery import rebuild_all
from rb_support.visible import visible

_LONG = ("03", "06", "09", "07")
"""Beginnings of the names of notebooks that are begun first: one begun last would run alone at the end."""


def reproduce(
    notebooks: Path,
    *,
    data: str = "simulated",
    models: Sequence[str] = (),
    missing: Missing = "raise",
    columns: Sequence[str] = (),
    cost: str = "",
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
    data : "simulated", "real", or the path of an outcome table, whose figures get a folder of their own.
    models, missing, columns, cost : how to read an own table, see `own.read_own`.
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
    found = plan.discover(notebooks, only)
    if scale not in plan.SCALES:
        raise UsageError(f"--scale {scale}: it is one of {', '.join(plan.SCALES)}")
    table, place = None, Path(data)
    if data not in ("simulated", "real"):
        table = read_own(Path(data), models, missing, columns, cost)
        place = store.folder_of(table.origin)
        data = str(build / "tables" / f"{place.name}.parquet")
    elif models or columns or cost or missing != "raise":
        raise UsageError(
            f"--models, --missing, --columns and --cost are for an own table, not for --data {data}"
        )
    given = {"data": data, "scale": scale}
    runs = plan.plan_runs(found, build / "notebooks" / place, given=given, settings=settings, table=table)
    for sentence in plan.left_out(runs, settings):
        _tell(sentence)
    if table:
        table.to_parquet(data)
    records = build / "state" / f"{place}-{scale}"
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
    """Run notebooks and rebuild the gallery.

    On a terminal a bar counts cells, and says of each notebook that runs how many of its own are done;
    elsewhere a line tells each quarter of a notebook. Another tells its end.
    """
    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: at least one notebook must run at a time")
    figures.mkdir(parents=True, exist_ok=True)  # if it cannot be written, that is said before anything runs
    terminal = sys.stderr.isatty()
    bar = tqdm(total=sum(run.cells for run in runs), unit="cell", leave=False, disable=not terminal)
    done: dict[NotebookRun, int] = {}
    lock = threading.Lock()

    def on_cell(run: NotebookRun, cells: int) -> None:
        with lock:
            before = done.get(run, 0)
            done[run] = cells
            told = [
                f"{run.name.split('_')[0]}: {cells} of {run.cells}"
                for run, cells in done.items()
                if cells < run.cells
            ]
            bar.set_postfix_str(", ".join(told), refresh=False)
            bar.update(cells - before)
        if not terminal and 4 * before // run.cells < 4 * cells // run.cells < 4:
            _tell(f"       {run.name}: {cells} of {run.cells} cells")

    def on_end(run: NotebookRun, result: Result) -> None:
        remember(run, result)
        with lock:
            done[run] = run.cells
        outcome = f"FAILED {run.name}: {result.failure}" if result.failure else f"done   {run.name}"
        _tell(f"{outcome}  ({result.seconds:.0f} s)")

    longest_first = sorted(runs, key=lambda run: not run.name.startswith(_LONG))
    try:
        return Runner(jobs, {"RB_FIGURES_DIR": str(figures)}, on_cell).run(longest_first, on_end)
    finally:
        bar.close()
        rebuild_all(figures)


def _tell(line: str) -> None:
    """Print a line at once, above the bar if there is one, without what a terminal would obey."""
    tqdm.write(visible(line, keep="\n\t"))
    sys.stdout.flush()
