"""`python -m rb_support data …`: list, fetch, verify and find the published files.

Exit codes: 0 all is well, 1 a file is missing, altered or could not be fetched, 2 a wrong name or option.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from tabulate import tabulate

from rb_support import sources
from rb_support.app.words import in_words
from rb_support.sources import SOURCES, Source, SourceError
from rb_support.sources.errors import UnknownSourceError

FAILED, USAGE = 1, 2

app = typer.Typer(
    help="Published data: what there is, where it lies, and whether it is what was published.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Sources, as `data list` shows them.")]
Some = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Sources; all at hand if none.")]
AllowUnverified = Annotated[
    bool, typer.Option("--allow-unverified", help="Take files of no known sha256, on trust.")
]


@app.command("list")
def list_sources() -> None:
    """Show every source: files, bytes, licence, and how much of it is here (told by size)."""
    with _errors_as_exit_codes():
        rows = [_row(source) for source in SOURCES.values()]
    headers = ["source", "files", "bytes", "here", "licence", "what"]
    aligned = ("left", "right", "right", "left", "left", "left")
    typer.echo(tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=aligned))


@app.command()
def fetch(names: Names, allow_unverified: AllowUnverified = False) -> None:
    """Download what is not at hand into the cache, verified; what was cut starts again."""
    for name in names:
        with _errors_as_exit_codes():
            located = sources.fetch(name, allow_unverified=allow_unverified)
        typer.echo(f"{name}: {len(located.paths)} files at hand and verified")


@app.command("verify")
def verify_files(names: Some = None) -> None:
    """Compute hashes anew and compare them; exit with 1 if a file is altered, missing or unknown."""
    with _errors_as_exit_codes():
        chosen = names or [name for name in SOURCES if sources.at_hand(name)]
        states = {name: sources.verify(name) for name in chosen}
    bad = [state for name in chosen for state in states[name] if state.status != "verified"]
    for state in bad:
        typer.echo(f"{state.status}: {state.detail}", err=True)
    for name in chosen:
        good = sum(state.status == "verified" for state in states[name])
        typer.echo(f"{name}: {good} of {len(states[name])} files verified")
    if not chosen:
        typer.echo("nothing is at hand; `data list` shows what there is")
    if bad:
        raise typer.Exit(FAILED)


@app.command()
def path(
    name: Annotated[str, typer.Argument(metavar="NAME")], allow_unverified: AllowUnverified = False
) -> None:
    """Print where the files of a source lie, one per line, after verifying them."""
    with _errors_as_exit_codes():
        located = sources.locate(name, allow_unverified=allow_unverified)
    for file in located.paths:
        typer.echo(str(file))


def _row(source: Source) -> list[str]:
    here, count = sources.at_hand(source), len(source.files)
    shown = "yes" if here == count else f"{here} of {count}" if here else "no"
    rounded = not all(file.exact for file in source.files)
    size = f"{'~' * rounded}{source.size:,}" if source.size else "unknown"
    return [source.name, str(count), size, shown, source.licence, source.title]


@contextmanager
def _errors_as_exit_codes() -> Iterator[None]:
    """Turn an error about a source into a sentence on stderr and an exit code; tell warnings likewise."""
    with in_words(FAILED, SourceError, OSError), in_words(USAGE, UnknownSourceError):
        yield
