"""The commands. They import what they need when they run, as nbconvert takes a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from rb_support.app.words import in_words, say

FAILED, USAGE = 1, 2

app = typer.Typer(
    help="For a course: slides, a folder for students, and PDFs, made from the notebooks. "
    "Exit codes: 0 done, 1 a file cannot be made what is asked for, 2 wrong option or something missing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Notebooks = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[NOTEBOOK]...", help="Files; default all in notebooks/.", show_default=False),
]


@app.command()
def slides(
    notebooks: Notebooks = None,
    out: Annotated[Path, typer.Option(help="Folder.")] = Path("build/slides"),
) -> None:
    """Slides of the cells that are tagged: a folder of HTML that needs no network.

    A cell tagged slide begins one, slide-more goes on with it, and a heading inside a cell begins one too.
    Of a code cell its output is shown; its code only with the tag slide-code. What is told between becomes
    the speaker's notes (key S). What follows a prompt to predict waits for a key.
    """
    with _exit_codes():
        from rb_support.app.classroom import slides as building

        files = _found(notebooks)
        glossary = _root() / "docs" / "glossary.md"
        for name, count in building.build(files, out, glossary if glossary.is_file() else None):
            say(f"{name}: {count} slides")
    say(f"Open {out / 'index.html'} in a browser.")


@app.command()
def student(
    notebooks: Notebooks = None,
    out: Annotated[Path, typer.Option(help="Folder.")] = Path("build/student"),
) -> None:
    """A folder for students: exercises open, no solutions, with what nbgrader's autograder needs.

    Each exercise becomes a cell to answer in and a locked cell that checks it and gives its points.
    """
    with _exit_codes():
        from rb_support.app.classroom import student as building

        for name, points in building.build(_found(notebooks), out, _root() / "docs"):
            say(f"{name}: {points} points")
    say(f"Students get {out}; docs/teaching/course.md says how to grade what comes back.")


@app.command()
def pdf(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Notebooks, or pages in Markdown.")],
    out: Annotated[Path, typer.Option(help="Folder.")] = Path("build/pdf"),
    browser: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name or path; default any Chromium, Chrome or Edge.")
    ] = None,
) -> None:
    """Notebooks as they stand, with their outputs, or pages in Markdown, as PDF for A4. Needs a browser."""
    with _exit_codes():
        from rb_support.app.classroom import paper

        program = paper.browser(browser)
        for path in _found(files):
            say(str(paper.write(path, out, program)))


@contextmanager
def _exit_codes() -> Iterator[None]:
    """End the process in words, with the exit code for what went wrong."""
    from rb_support.app.classroom.page import ClassroomError, MissingError

    with in_words(USAGE, MissingError), in_words(FAILED, ClassroomError, OSError):
        yield


def _root() -> Path:
    """The repository around the working directory; if there is none, the working directory."""
    from rb_support.report.store import repository_root

    return repository_root() or Path.cwd()


def _found(notebooks: list[Path] | None) -> list[Path]:
    """Notebooks that were named, or all of the repository.

    Raises
    ------
    typer.Exit
        If one is not there, or none is.
    """
    files = notebooks or sorted((_root() / "notebooks").glob("[0-9]*.ipynb"))
    for path in files:
        if not path.is_file():
            say(f"Error: {path} is not there", err=True)
            raise typer.Exit(USAGE)
    if not files:
        say("Error: there is no folder of notebooks here; name files", err=True)
        raise typer.Exit(USAGE)
    return files
