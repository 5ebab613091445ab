"""What a notebook's last good run was made from and wrote, so that an unchanged one need not run again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rb_support.app.reproduce.plan import NotebookRun
from rb_support.cache import digest, write_atomically
from rb_support.report import store
from rb_support.report.provenance import code_cells, package_digest, versions


@dataclass(frozen=True)
class State:
    """Record of a notebook's last good run, one file of `build/state/`.

    Attributes
    ----------
    path : the record's file.
    root : folder that the outputs are named from.
    fingerprint : hash of what the notebook would be made from now.
    """

    path: Path
    root: Path
    fingerprint: str

    def holds(self) -> bool:
        """Whether the last run was made from the same and all it wrote still lies there unaltered."""
        if not self.path.is_file():
            return False
        last = json.loads(self.path.read_text(encoding="utf-8"))
        written: dict[str, str] = last["outputs"]
        return bool(last["fingerprint"] == self.fingerprint) and all(
            _digest(self.root / name) == sha256 for name, sha256 in written.items()
        )

    def save(self, outputs: Iterable[Path]) -> None:
        """Remember a good run and the files it wrote."""
        written = {os.path.relpath(path, self.root): _digest(path) for path in sorted(set(outputs))}
        write_atomically(self.path, store.dump_json({"fingerprint": self.fingerprint, "outputs": written}))


def _digest(path: Path) -> str | None:
    return digest(path) if path.is_file() else None


def fingerprint(run: NotebookRun, figures: Path) -> str:
    """Hash of all that decides what a notebook writes.

    That is its code cells, parameters, the package's files, library versions, the figures folder and the
    data: a user's table by content, a folder of published files by names and sizes (its files are checked
    by hash when they are read).
    """
    data, given = str(run.parameters.get("data", "")), os.environ.get("RB_DATA_DIR")
    files: list[tuple[str, str | int | None]] = []
    if data == "real" and given:
        found = sorted(path for path in Path(given).rglob("*") if path.is_file())
        files = [(path.relative_to(given).as_posix(), path.stat().st_size) for path in found]
    elif Path(data).is_file():
        files = [(data, digest(Path(data)))]
    code = [code_cells(run.path), package_digest(), versions()]
    return hashlib.sha256(store.dump_json([*code, dict(run.parameters), files, str(figures)])).hexdigest()
