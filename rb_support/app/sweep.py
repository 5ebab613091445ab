"""`python -m rb_support sweep`: many fits or many notebooks, on this machine's cores or on a dask cluster."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ByteSize, TypeAdapter, ValidationError

from rb_support.app.words import in_words, say

if TYPE_CHECKING:
    import pandas as pd

    from rb_support.studies.fit_process import Budget
    from rb_support.studies.fits import Asked

UNUSABLE, USAGE, LOST, INTERRUPTED = 1, 2, 3, 130
LINES = 20
"""Lines of progress that are left where there is no terminal."""
_OF_NOTEBOOKS, _OF_BOTH = ("grid", "data", "scale"), ("notebook", "workers", "scheduler", "out")
_OF_THE_BOARD = ("embedding", "labels", "share")


def sweep(
    context: typer.Context,
    table: Annotated[
        list[str] | None,
        typer.Option(help="A name, real, simulated, or an outcome table's path; repeatable. Default real."),
    ] = None,
    router: Annotated[
        list[str] | None,
        typer.Option(
            help="A name, with settings if wanted: knn or 'knn(k=10)'; or my_router.py:MyRouter, your own, a "
            "class or function of a file. Repeatable; default all there are."
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="How many, 10, or which, 0..9 or 3,5.")] = "10",
    embedding: Annotated[
        list[str] | None, typer.Option(help="Text encoder of the prompts; repeatable. Default minilm.")
    ] = None,
    labels: Annotated[
        str, typer.Option(help="true, shuffled (a control: nothing can be learnt), or true,shuffled.")
    ] = "true",
    share: Annotated[
        list[float] | None, typer.Option(help="Of the training rows to learn from; repeatable. Default 1.")
    ] = None,
    board: Annotated[
        bool,
        typer.Option(
            "--board",
            help="The leaderboard: all that notebook 09 shows, shuffled labels and settings too, and "
            "each --router beside them.",
        ),
    ] = False,
    notebook: Annotated[
        str | None, typer.Option(metavar="NN", help="Sweep this notebook instead of routers.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUES", help="Its parameters: k=10,40,100 or seed=0..9; repeatable."),
    ] = None,
    data: Annotated[str, typer.Option(help="Of a notebook: simulated, real, or a path.")] = "simulated",
    scale: Annotated[str, typer.Option(help="Of a notebook: quick or full.")] = "quick",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine; default one a core.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Address of a dask cluster that is there, tcp://HOST:8786, to use instead."),
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="That a fit may take.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="That the process of a fit may take, its table included, such as 2GB.")
    ] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Serve dask's dashboard meanwhile.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of results; default build/sweep, of a board build/board, of notebooks build/sweeps."
        ),
    ] = None,
) -> None:
    r"""Fit routers on tables, a row for each split, on all cores or on a cluster; or sweep a notebook.

    Rows: every router x table x seed x embedding x labels x share. Each is kept in the cache the moment it
    is there, so that the same command goes on where it was cut off, and so does one that asks for more. At
    the end results.parquet has a row a fit, timings.parquet its seconds and memory, and board.csv of a
    board a row per table and router. A router that fails, or takes more than --seconds or --memory, is a row
    with its error; the others go on.

    Needs the extra: pip install 'rb-support\[sweep]'.

    Exit codes: 0 all rows are there, those with errors too; 1 a table cannot be used, or a notebook failed;
    2 a wrong option; 3 the cluster cannot be used or was lost, ask again to go on; 130 interrupted.
    """
    try:
        with _in_words():
            _refuse_strange(context)
            if notebook is not None:
                where = {"scheduler": scheduler, "workers": workers, "out": out}
                _notebooks(notebook, grid or (), data=data, scale=scale, **where)
                return
            from rb_support.studies import board_run, lineup
            from rb_support.studies.fit_process import Budget
            from rb_support.studies.sweep import product

            tables, splits, kinds = _tables(table or ["real"]), _seeds(seeds), _labels(labels)
            budget, named = Budget(seconds, _bytes(memory)), router or []
            for name in named:
                lineup.made(name)(0)
            if bad := [each for each in share or () if not 0 < each <= 1]:
                raise ValueError(f"--share {bad[0]:g} is none: above 0, at most 1")
            names, encoders = named or list(lineup.ROUTERS), embedding or ["minilm"]
            asked = product(tables, names, splits, encoders, kinds, share or [1.0])
            asked = board_run.whole(tables, splits, named) if board else asked
            out = out or Path("build", "board" if board else "sweep")
            found = _fits(asked, budget, out, scheduler, workers, dashboard)
            say(_board(found, out) if board else _told(found))
            say(f"{len(found):,} fits: {out / 'results.parquet'}, their times: {out / 'timings.parquet'}")
    except KeyboardInterrupt as error:
        say(
            "Interrupted: every row that was done is kept, and the same command goes on from there.", err=True
        )
        raise typer.Exit(INTERRUPTED) from error


def _refuse_strange(context: typer.Context) -> None:
    """Refuse options of the other kind of sweep, and those that a board sets itself."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    fits = "notebook" not in given
    if strange := [name for name in given if name not in _OF_BOTH and (name in _OF_NOTEBOOKS) == fits]:
        raise ValueError(f"--{', --'.join(strange)}: {'only' if fits else 'not'} with --notebook")
    if "board" in given and (strange := [name for name in given if name in _OF_THE_BOARD]):
        raise ValueError(f"--{', --'.join(strange)}: not with --board, which has them all")


def _notebooks(notebook: str, grid: Sequence[str], **options: Any) -> None:
    """Sweep a notebook, and say what became of each run."""
    from rb_support.app import sweep_notebooks

    runs = sweep_notebooks.run(notebook, grid, **options)
    failed = runs[runs["status"] == "failed"]
    say(f"{len(runs) - len(failed)} run, {len(failed)} failed")
    if len(failed):
        say(failed.to_string(index=False), err=True)
        raise typer.Exit(UNUSABLE)


def _fits(
    asked: Sequence[Asked],
    budget: Budget,
    out: Path,
    scheduler: str | None,
    workers: int | None,
    dashboard: bool,
) -> pd.DataFrame:
    """Sweep routers: a row a fit, as results.parquet has them."""
    from rb_support.studies.cluster import connected
    from rb_support.studies.sweep import Store, merge, on

    store = Store()
    if others := store.of_other_code():
        say(f"{others:,} rows in the cache were made by other code and are left aside", err=True)
    with connected(scheduler, workers, dashboard=dashboard) as client:
        if dashboard:
            say(f"dashboard: {client.dashboard_link}", err=True)
        if not client.nthreads():
            say(f"{scheduler} has no workers yet; it is waited for them", err=True)
        with _Progress(len(set(asked))) as progress:
            rows = on(client, asked, store, budget=budget, tell=progress.tell)
    return merge(rows, out)


class _Progress:
    """A bar on a terminal, elsewhere a few plain lines."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self.total, self.done, self.failed, self.start = total, 0, 0, time.monotonic()
        self.bar = tqdm(total=total, desc="fits", disable=None)  # None: where there is no terminal

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def tell(self, row: dict[str, Any]) -> None:
        """Count a row."""
        self.done, self.failed = self.done + 1, self.failed + bool(row["error"])
        self.bar.update()
        if self.failed:
            self.bar.set_postfix(errors=self.failed)
        share = self.done * LINES // self.total
        if self.bar.disable and share > (self.done - 1) * LINES // self.total:
            errors = f", {self.failed:,} errors" if self.failed else ""
            spent = time.monotonic() - self.start
            say(f"{self.done:,} of {self.total:,} fits{errors}, {spent:.0f} s", err=True)


def _board(rows: pd.DataFrame, out: Path) -> str:
    """The board in a line a router, all of it in board.csv; what it allows to be said; then the errors."""
    from rb_support.cache import written_whole
    from rb_support.studies import board_run, leaderboard

    board = leaderboard.board(rows)
    with written_whole(out / "board.csv") as path:
        board.to_csv(path, index=False)
    lines = board_run.summary(board, leaderboard.overall(board))
    return "\n\n".join([_table(lines), leaderboard.allows(board), *_errors(rows)])


def _told(rows: pd.DataFrame) -> str:
    """Mean leads over the zero router, a table for each embedding, labels and share; then the errors."""
    several = [name for name in ("embedding", "labels", "share") if rows[name].nunique() > 1]
    parts = rows.groupby(several, sort=False) if several else [((), rows)]
    lines = ["mean lead over the zero router, in units of quality"]
    for values, part in parts:
        heading = ", ".join(f"{name} {value}" for name, value in zip(several, values, strict=True))
        lines += [f"\n{heading}" if heading else "", _leads(part)]
    return "\n".join(filter(None, [*lines, *_errors(rows)]))


def _errors(rows: pd.DataFrame) -> list[str]:
    """A line a router and an error."""
    failed = rows[rows["error"] != ""].groupby(["router", "error"]).size().reset_index(name="fits")
    return [f"{name}: {error} ({fits} fits)" for name, error, fits in failed.itertuples(index=False)]


def _leads(rows: pd.DataFrame) -> str:
    """A line a router and a column a table, and how many fits failed."""
    sound = rows["error"] == ""
    leads = rows[sound].pivot_table(index="router", columns="table", values="lead", aggfunc="mean")
    leads = leads.reindex(rows["router"].unique()).map("{:+.4f}".format, na_action="ignore")
    leads["errors"] = (~sound).groupby(rows["router"]).sum().map("{:,}".format)
    return _table(leads.fillna(""))


def _table(words: pd.DataFrame) -> str:
    """Words in columns, after what they are of."""
    from tabulate import tabulate

    return tabulate(words.reset_index().to_dict("records"), headers="keys", disable_numparse=True)


def _tables(names: Sequence[str]) -> list[str]:
    """Names of tables, each once, those of "real" and "simulated" spelt out."""
    from rb_support.studies.board_tables import REAL, SIMULATED

    kinds = {"real": list(REAL), "simulated": list(SIMULATED)}
    found = dict.fromkeys(name for each in names for name in kinds.get(each, [each]))
    for name in found:
        if name not in {**REAL, **SIMULATED} and not Path(name).is_file():
            known = ", ".join([*kinds, *REAL, *SIMULATED])
            raise ValueError(f"--table {name} is no file, nor one of {known}")
    return list(found)


def _seeds(text: str) -> list[int]:
    """Seeds of "10", "0..9" or "3,5"."""
    found: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d+)(?:\.\.(\d+))?\s*", part)
        if ends is None:
            raise ValueError(f"--seeds {text} is neither how many, 10, nor which, 0..9 or 3,5")
        found += range(int(ends[1]), int(ends[2] or ends[1]) + 1)
    found = list(range(int(text))) if re.fullmatch(r"\d+", text) else found
    if not found:
        raise ValueError(f"--seeds {text} names none: how many, 10, or which, 0..9 or 3,5")
    return list(dict.fromkeys(found))


def _labels(text: str) -> list[str]:
    """Kinds of "true,shuffled"."""
    found = list(dict.fromkeys(part.strip() for part in text.split(",")))
    if not found or not {"true", "shuffled"} >= set(found):
        raise ValueError(f"--labels {text} is not true, shuffled or true,shuffled")
    return found


def _bytes(text: str | None) -> int | None:
    """Bytes of "2GB"."""
    if text is None:
        return None
    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError as error:
        raise ValueError(f"--memory {text} is no size, such as 500MB or 2GB") from error


def _in_words() -> ExitStack:
    """Say what keeps a sweep from running in words, with the exit code for that."""
    from rb_support.app.reproduce import UsageError
    from rb_support.embed import EmbeddingError
    from rb_support.outcomes import TableError
    from rb_support.sources import SourceError
    from rb_support.studies.cluster import ClusterError

    words = ExitStack()
    words.enter_context(in_words(USAGE, UsageError, ValueError))
    words.enter_context(in_words(LOST, ClusterError))
    words.enter_context(in_words(UNUSABLE, TableError, SourceError, EmbeddingError, OSError))
    return words
