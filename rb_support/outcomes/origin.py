"""Where a table's rows come from, and the one error that says a table cannot be used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

Kind = Literal["simulated", "real", "own"]


class TableError(ValueError):
    """A table cannot be used; the message names file, row, column and remedy."""


@dataclass(frozen=True)
class Origin:
    """Where a table's rows come from; printed on every figure and kept in its record.

    Attributes
    ----------
    kind : "simulated", "real" (published outcomes) or "own" (a user's table).
    name : one line for a figure's face, such as "RouterBench 5-shot (three tasks)".
    files : pairs (file name, sha256) of what was read; empty for simulated tables.
    notes : sentences on what was done to the rows (merged halves, dropped rows, assumptions).
    """

    kind: Kind
    name: str
    files: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def noting(self, sentences: Iterable[str]) -> Origin:
        """Origin with these sentences added to its notes."""
        return replace(self, notes=(*self.notes, *sentences))

    def as_record(self) -> dict[str, Any]:
        """Plain containers for JSON; `from_record` turns them back."""
        return {
            "kind": self.kind,
            "name": self.name,
            "files": [list(pair) for pair in self.files],
            "notes": list(self.notes),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Origin:
        """Origin that `as_record` wrote."""
        files = tuple((str(name), str(digest)) for name, digest in record["files"])
        return cls(record["kind"], record["name"], files, tuple(record["notes"]))


OWN = Origin("own", "own table")
"""Origin of a table whose maker named none."""
