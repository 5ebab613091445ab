"""Command line: `python -m rb_support COMMAND`, or `rb-support COMMAND`.

Commands import what they need when they run: papermill alone takes seconds, and `--help` needs none of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rb_support.app import classroom as classroom_commands
from rb_support.app import construct as construct_commands
from rb_support.app import data as data_commands
from rb_support.app import route as route_commands
from rb_support.app import serve as serve_commands
from rb_support.app import sweep as sweep_commands
from rb_support.app import table as table_commands
from rb_support.app.words import in_words, say

if TYPE_CHECKING:
    from rb_support.app.reproduce import Result

FAILED, USAGE, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    help="Figures and tables of RouterBench and RouteLLM, from notebooks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_commands.app, name="data")
app.add_typer(table_commands.app, name="table")
app.command()(route_commands.fit)
app.command()(route_commands.calibrate)
app.command()(route_commands.route)
app.command()(serve_commands.serve)
app.command()(sweep_commands.sweep)
app.add_typer(construct_commands.app, name="construct")
app.add_typer(classroom_commands.app, name="classroom")

Only = Annotated[
    list[str] | None, typer.Option(metavar="NN", help="Only notebooks whose name begins so; repeatable.")
]
Jobs = Annotated[
    int | None,
    typer.Option(help="Notebooks at once; each takes a core and up to a gigabyte. Default 2, on one core 1."),
]
Out = Annotated[Path | None, typer.Option(help="Folder of figures; default RB_FIGURES_DIR, else figures.")]


@app.command()
def reproduce(
    data: Annotated[str, typer.Option(help="simulated, real, or an outcome table's path.")] = "simulated",
    models: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="Own table: only these models; repeatable.")
    ] = None,
    missing: Annotated[
        Literal["raise", "drop"], typer.Option(help="Own table: what becomes of a row without score or cost.")
    ] = "raise",
    columns: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="Own table: its name of the column NAME; repeatable."),
    ] = None,
    cost: Annotated[
        str, typer.Option(help="Own table: columns '<model>|COST' in place of dollars, such as latency.")
    ] = "",
    scale: Annotated[str, typer.Option(help="quick or full.")] = "quick",
    only: Only = None,
    jobs: Jobs = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Another parameter of the notebooks; repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run unchanged notebooks too.")] = False,
    out: Out = None,
) -> None:
    """Run the notebooks and leave every figure, table and claim, with a gallery to look at them.

    Notebooks that have not changed since their last run are skipped.
    Executed notebooks are kept under build/notebooks.
    Figures of an own table get a folder of their own, such as figures/own/mine-1a2b3c4d.

    Exit codes: 0 all passed, 1 a notebook failed, 2 a wrong option, 130 interrupted.
    """
    from rb_support.app import reproduce as notebooks

    table = {"data": data, "models": models or (), "missing": missing, "columns": columns or ()}
    table |= {"cost": cost}
    _run(notebooks.reproduce, only, jobs, out, **table, scale=scale, settings=set_ or (), force=force)


@app.command()
def refresh(only: Only = None, jobs: Jobs = None) -> None:
    """Run the notebooks with their default parameters and put the fresh outputs into them.

    A notebook is rewritten only if all its cells passed.

    Exit codes are those of reproduce.
    """
    from rb_support.app import reproduce as notebooks

    _run(notebooks.refresh, only, jobs, None)


@app.command()
def gallery(out: Out = None) -> None:
    """Rebuild manifest, claims and gallery from the records that lie in the folder of figures."""
    from rb_support.report.gallery import rebuild_all
    from rb_support.report.store import figures_root

    root = out or figures_root(committed=True)
    with _in_words():
        rebuilt = rebuild_all(root)
        for folder, items in rebuilt.items():
            say(f"{_shown(root / folder / 'index.html')}: {items} items")
    if not rebuilt:
        say(f"{root}: there are no records of figures to show", err=True)


@app.command()
def compare(
    ours: Annotated[Path, typer.Argument(help="Folder of one kind of data, such as figures/simulated.")],
    theirs: Annotated[
        Path, typer.Argument(help="Another of the same kind, such as one just made elsewhere.")
    ],
) -> None:
    """Compare two folders of figures as a reader would, and say which number moved by how much.

    Curves are compared as functions, table cells to a tolerance that depends on how an item is made, images
    not at all. Exit codes: 0 they say the same, 1 they differ, 2 a wrong folder.
    """
    from rb_support.paper import repeats
    from rb_support.report.freshness import TOLERANCE, differences
    from rb_support.report.gallery import read_records

    for folder in (ours, theirs):
        if not (folder / "claims.csv").is_file():
            say(f"Error: {folder} is no folder of figures: it has no claims.csv", err=True)
            raise typer.Exit(USAGE)
    with _in_words():
        found = differences(ours, theirs)
        items = [record["id"] for record in read_records(ours)]
    differing = {difference.item for difference in found}
    for item in items:
        kind, outcome = repeats(item), "differs" if item in differing else "same"
        within = f"within {TOLERANCE[kind]:g}" if kind != "timed" else "numbers not compared"
        say(f"{item:16} {kind:8} {outcome:8} {within}")
    for difference in found:
        say(str(difference))
    if found:
        raise typer.Exit(FAILED)


def _run(command: Callable[..., list[Result]], only: Only, jobs: Jobs, out: Out, **options: Any) -> None:
    """Run notebooks of the repository around the working directory, and say what became of them.

    Unless all passed it says why, and ends the process with the exit code for that.
    """
    from rb_support.app.reproduce import DEFAULT_JOBS
    from rb_support.report.store import figures_root, repository_root
    from rb_support.sources import locate_routerbench

    folder = (repository_root() or Path.cwd()) / "notebooks"  # if it is not there, that is said as usage
    jobs = DEFAULT_JOBS if jobs is None else jobs
    with _in_words():
        if options.get("data") == "real":
            locate_routerbench()  # said here once rather than by every notebook
        figures = out or figures_root(committed=True)
        results = command(folder, only=only or (), jobs=jobs, figures=figures, **options)
    counts = Counter(result.status for result in results)
    say(f"{counts['done']} run, {counts['unchanged']} unchanged, {counts['failed']} failed")
    for result in results:
        if result.status == "failed":
            kept = f"\n  kept as {_shown(result.kept)}" if result.kept else ""
            say(f"{result.notebook}: {result.failure}{kept}", err=True)
    if counts["failed"]:
        raise typer.Exit(FAILED)


@contextmanager
def _in_words() -> Iterator[None]:
    """Say what keeps a command from running, or what it warns of, in words, with the exit code for that."""
    from rb_support.app.reproduce import UsageError
    from rb_support.report import ReportError
    from rb_support.sources import SourceError

    try:
        with in_words(USAGE, UsageError, SourceError, ReportError, OSError):
            yield
    except KeyboardInterrupt as error:
        say("Interrupted: kernels are stopped, nothing is half written.", err=True)
        raise typer.Exit(INTERRUPTED) from error


def _shown(path: Path) -> str:
    """A path as seen from here, if it lies here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def main() -> None:
    """Entry point of the installed command."""
    app()


if __name__ == "__main__":
    main()
