"""A notebook run for every setting of a grid, each run in a kernel of its own, and all items side by side."""

from __future__ import annotations

import ast
import asyncio
import csv
import hashlib
import math
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pandas as pd
import papermill

from rb_support.app.reproduce import plan
from rb_support.app.reproduce.own import read_own
from rb_support.app.reproduce.plan import NotebookRun, UsageError
from rb_support.app.reproduce.runner import DEFAULT_JOBS, Result, Runner
from rb_support.app.words import say
from rb_support.cache import one_at_a_time, write_atomically
from rb_support.outcomes import Outcomes
from rb_support.report import side_by_side, store
from rb_support.report.side_by_side import collected
from rb_support.sources import locate_routerbench
from rb_support.studies.cluster import ClusterError, connected

if TYPE_CHECKING:
    from distributed import Future

__all__ = ["collected", "parse_grid", "run"]

_RANGE = re.compile(r"(-?\d{1,10})\.\.(-?\d{1,10})")
_ODD = re.compile(r"[^\w.-]+")
_MOST_VALUES = 10**6  # of one range, else a slip of the keyboard would fill the memory
_PATIENCE = 30  # seconds in which kernels that are interrupted have to end
_LOST = "the scheduler was lost; runs that are done are kept, and the same command goes on from there"
_running: dict[str, list[Runner]] = {}  # on a worker: sweep -> what it runs for it


def run(
    notebook: str,
    grid: Sequence[str],
    *,
    data: str = "simulated",
    scale: str = "quick",
    scheduler: str | None = None,
    workers: int | None = None,
    out: Path | None = None,
) -> pd.DataFrame:
    """Run a notebook once per setting of a grid, and lay its items side by side.

    A setting whose run is done, and made from the same notebook, code and data, is not run again: the same
    command goes on with a sweep that was stopped. One that fails does not keep the others from running.

    Parameters
    ----------
    notebook : how the name of one notebook begins, such as "03".
    grid : "name=value,value" texts; every combination of their values is a run. See `parse_grid`.
    data : "simulated", "real", or the path of an outcome table.
    scale : "quick" or "full".
    scheduler : address of a dask cluster whose workers see the same files; None starts workers here.
    workers : how many then; None as many as `reproduce` runs notebooks at once.
    out : folder of the sweep; default `build/sweeps/<notebook>-<data>-<scale>`.

    Returns
    -------
    A row a run: its settings; status, "done" or "failed"; error, what it failed with.

    Raises
    ------
    UsageError
        Before anything runs, if notebook, grid or data do not fit.
    ClusterError
        If there is no cluster to run on, or it was lost.
    """
    root = store.repository_root() or Path.cwd()
    path, *more = plan.discover(root / "notebooks", [notebook])
    if more:
        names = ", ".join(each.stem for each in (path, *more))
        raise UsageError(f"--notebook {notebook} fits {names}: write more of its name")
    if scale not in plan.SCALES:
        raise UsageError(f"--scale {scale}: it is one of {', '.join(plan.SCALES)}")
    table, place = None, Path(data)
    if data == "real":
        locate_routerbench()  # said here rather than by every run
    elif data != "simulated":
        table = read_own(Path(data))
        place = store.folder_of(table.origin)
    values = parse_grid(grid, papermill.inspect_notebook(path), table)
    count = math.prod(map(len, values.values()))
    axes = ", ".join(f"{name}: {len(each)}" for name, each in values.items())
    say(f"{count:,} runs of {path.stem} ({axes}), {place.parts[0]} data")
    out = (out or root / "build" / "sweeps" / f"{path.stem}-{place.name}-{scale}").resolve()
    if out.exists() and any(out.iterdir()) and not (out / side_by_side.SWEEP).is_file():
        raise UsageError(f"--out {out}: holds other files than a sweep's; name a new folder")
    combinations = [dict(zip(values, each, strict=True)) for each in product(*values.values())]
    settings = {_folder_name(path.stem, place, scale, each): each for each in combinations}
    side_by_side.write_sweep(out, path.stem, place, scale, settings)
    if table:
        data = str(out / "tables" / f"{place.name}.parquet")
        table.to_parquet(data)
    [base] = plan.plan_runs([path], out, given={"data": data, "scale": scale}, table=table)
    runs = []
    for name, each in settings.items():
        folder, parameters = out / "runs" / name, dict(sorted({**base.parameters, **each}.items()))
        runs.append(replace(base, parameters=parameters, target=folder / path.name, folder=folder))
    _run_all(runs, scheduler, workers)
    made, page, here = side_by_side.publish(out), out / "index.html", Path.cwd()
    shown = page.relative_to(here) if page.is_relative_to(here) else page
    say(f"{(made['status'] == 'done').sum()} of {count:,} runs are done: {shown}")
    return made


def parse_grid(
    grid: Sequence[str], known: Mapping[str, Mapping[str, Any]], table: Outcomes | None = None
) -> dict[str, list[Any]]:
    """Values of each parameter of a grid, in the order they were given.

    Parameters
    ----------
    grid : "name=value,value" texts. `0..9` stands for ten integers; a value with a comma goes into double
        quotes, in which `""` is a quote, as in a CSV file.
    known : the notebook's parameters, as papermill inspects them.
    table : the own table that is asked for, whose models `strong` and `weak` may name.

    Raises
    ------
    UsageError
        Naming all that does not fit: no such parameter, a value it cannot have or that stands there twice.
    """
    if not grid:
        raise UsageError("a sweep of a notebook needs --grid, such as --grid k=10,40,100 --grid seed=0..9")
    values: dict[str, list[Any]] = {}
    wrong = []
    for text in grid:
        try:
            [(name, listed)] = plan.parse_settings([text], "--grid").items()
            if name in values:
                raise UsageError(f"--grid {text}: {name} has values already; write them in one --grid")
            values[name] = []
            if name not in known:
                names = ", ".join(sorted(known.keys() - {"data", "scale"})) or "none"
                raise UsageError(f"--grid {name}: the notebook has no such parameter; known are {names}")
            values[name] = _values(text, listed, known[name], table)
        except UsageError as error:
            wrong.append(str(error))
    if wrong:
        raise UsageError("\n".join(wrong))
    return values


def _values(text: str, listed: str, parameter: Mapping[str, Any], table: Outcomes | None) -> list[Any]:
    """Values of one parameter, each in the type it wants."""
    try:
        [words] = list(csv.reader([listed], strict=True, skipinitialspace=True)) or [[]]
    except (csv.Error, ValueError) as error:
        raise UsageError(f"--grid {text[:60]}: {error}; write it as name=value,value") from error
    values: list[Any] = []
    whole = type(ast.literal_eval(parameter["default"])) is int
    for word in words or [""]:
        ends = _RANGE.fullmatch(word.strip()) if whole else None
        if ends is None:
            values.append(plan.convert(word, parameter, table, "--grid"))
            continue
        low, high = (plan.convert(end, parameter, table, "--grid") for end in ends.groups())
        if not 0 <= high - low < _MOST_VALUES:
            raise UsageError(
                f"--grid {text[:60]}: {word} has {max(0, high - low + 1):,} values; a range goes upwards, "
                f"such as 0..9, and has at most {_MOST_VALUES:,}"
            )
        values += range(low, high + 1)
    if twice := [value for value, times in Counter(values).items() if times > 1]:
        raise UsageError(f"--grid {text[:60]}: {', '.join(map(str, twice[:5]))} stands there twice")
    return values


def _folder_name(notebook: str, place: Path, scale: str, values: Mapping[str, Any]) -> str:
    """Name of a run's folder: readable, and another one for every other run."""
    told = "_".join(f"{name}-{_ODD.sub('-', str(value))[:40]}" for name, value in values.items())
    whole = store.dump_json([notebook, place.as_posix(), scale, dict(values)])
    return f"{told[:100]}-{hashlib.sha256(whole).hexdigest()[:8]}"


def _run_all(runs: Sequence[NotebookRun], scheduler: str | None, workers: int | None) -> None:
    """Run those that are not done, and say of each how it ended; an interruption stops all kernels."""
    states = {run.folder: _state(run) for run in runs}
    due = [run for run in runs if not states[run.folder].holds()]
    if len(due) < len(runs):
        say(f"{len(runs) - len(due):,} of them are done already")
    if not due:
        return
    if scheduler is None:
        workers = min(workers or DEFAULT_JOBS, len(due))
    sweep = uuid4().hex
    with connected(scheduler, workers) as client:
        from distributed import as_completed  # of the optional extra, which `connected` asks for in words

        futures = {
            client.submit(_run_one, sweep, run, states[run.folder], key=f"{run.folder.name}-{sweep}"): run
            for run in due
        }
        try:
            for number, future in enumerate(as_completed(futures), start=1):
                told = _ended(futures[future], future)
                say(f"[{number:,} of {len(due):,}] {told}")
        except (OSError, CancelledError) as error:
            raise ClusterError(_LOST) from error
        except BaseException:
            with suppress(OSError, RuntimeError):  # the cluster may be what was lost
                client.cancel(list(futures))
                client.run(_stop, sweep, on_error="ignore")
            raise


def _state(run: NotebookRun) -> plan.State:
    return plan.State(run.folder / side_by_side.STATE, plan.fingerprint(run, run.folder / "figures"))


def _ended(run: NotebookRun, future: Future[Result]) -> str:
    """How a run ended, in a line."""
    if future.status == "finished":
        result = future.result()
        failed = f"FAILED {run.folder.name}: {result.failure}"
        return f"{failed if result.failure else f'done {run.folder.name}'}  ({result.seconds:.0f} s)"
    if future.status == "error":  # what is no fault of the notebook: a full disk, a worker that always dies
        error = future.exception()
        why = f"{type(error).__name__}: {error}"
        _write_error(run, why)
        return f"FAILED {run.folder.name}: {why}"
    raise ClusterError(_LOST)


def _write_error(run: NotebookRun, why: str) -> None:
    write_atomically(run.folder / side_by_side.ERROR, why.encode(errors="replace"))


# What follows runs on a worker.


def _run_one(sweep: str, run: NotebookRun, state: plan.State) -> Result:
    """Run a notebook for one setting; what it leaves stands in the run's folder, whoever asked for it."""
    from distributed import get_worker

    if not run.path.is_file():
        raise FileNotFoundError(f"{run.path} is not there: workers must see the files of whoever asks them")
    with one_at_a_time(run.folder.with_name(f".{run.folder.name}.lock")):
        if state.holds():
            return Result(run.name, "unchanged")
        for path in (state.path, run.folder / side_by_side.ERROR, run.target):
            path.unlink(missing_ok=True)
        figures = run.folder / "figures"
        shutil.rmtree(figures, ignore_errors=True)  # an item that is no longer made must not stay
        runner = Runner(1, {"RB_FIGURES_DIR": str(figures)}, lambda run, cells: None)
        _running.setdefault(sweep, []).append(runner)
        try:
            result = runner.run([run], lambda run, result: None)[run.path]
        finally:
            _running[sweep].remove(runner)
        timing = {"seconds": round(result.seconds, 2), "worker": get_worker().address}
        write_atomically(run.folder / side_by_side.TIMING, store.dump_json(timing))
        if result.failure:
            _write_error(run, result.failure)
        else:
            state.save([*result.written, run.target])
    return result


async def _stop(sweep: str) -> None:
    """Interrupt the kernels of a sweep on this worker, and wait until they are gone."""
    for runner in list(_running.get(sweep, ())):
        await asyncio.to_thread(runner.stop)
    async with asyncio.timeout(_PATIENCE):
        while _running.get(sweep):
            await asyncio.sleep(0.05)
