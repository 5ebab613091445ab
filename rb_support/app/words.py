"""What commands say on a terminal, and how a failure becomes a sentence with an exit code."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from rb_support.visible import visible


def say(text: str, err: bool = False) -> None:
    """Print text without what a terminal would obey: names in it may be a stranger's."""
    typer.echo(visible(text, keep="\n\t"), err=err)


@contextmanager
def in_words(code: int, *failures: type[Exception]) -> Iterator[None]:
    """Say failures of these kinds, and warnings, in words; end the process with this exit code."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: say(f"Warning: {message}", err=True)
            yield
    except failures as error:
        say(f"Error: {error}", err=True)
        raise typer.Exit(code) from error
