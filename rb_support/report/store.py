"""Files under `figures/`: where the folder lies, how JSON is written, the size limit."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rb_support.cache import write_atomically

MAX_BYTES = 300_000
"""No file of the figures folder may be larger, so that the repository stays small."""

LOG_VARIABLE = "RB_REPORT_LOG"
"""Environment variable naming a file in which reports note what they write; `reproduce` sets it."""

_REMEDIES = {
    ".csv": "save fewer rows: thin the points, or save the summary that the figure shows",
    ".svg": "draw dense artists with rasterized=True, or plot fewer points",
    ".pdf": "draw dense artists with rasterized=True, or plot fewer points",
    ".png": "make the figure smaller or plot fewer points",
}
_PROJECT_NAME = re.compile(r'^name\s*=\s*"rb-support"', re.MULTILINE)


class ReportError(ValueError):
    """Something cannot be saved or rendered; the message says what and the remedy."""


def repository_root() -> Path | None:
    """Nearest folder at or above the working directory with this project's pyproject.toml."""
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        project = folder / "pyproject.toml"
        if project.is_file() and _PROJECT_NAME.search(project.read_text(encoding="utf-8")):
            return folder
    return None


def figures_root() -> Path:
    """Folder that holds `simulated/`, `real/` and `own/`.

    RB_FIGURES_DIR if set, else `figures` of the repository around the working directory, else `./figures`.
    """
    chosen = os.environ.get("RB_FIGURES_DIR")
    return Path(chosen) if chosen else (repository_root() or Path.cwd()) / "figures"


def note_written(paths: Iterable[Path]) -> None:
    """Note files that a report wrote, where `reproduce` asked for it."""
    log = os.environ.get(LOG_VARIABLE)
    if log:
        with Path(log).open("a", encoding="utf-8") as lines:
            lines.writelines(f"{path.resolve()}\n" for path in paths)


def dump_json(value: Any) -> bytes:
    """JSON as it is written everywhere here: indented, UTF-8, ending in a newline, no NaN."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files by their names in a folder, each whole or not at all.

    Raises
    ------
    ReportError
        If one has more than `MAX_BYTES` bytes; the message names the remedy, and none is written then.
    """
    for name, content in contents.items():
        if len(content) > MAX_BYTES and folder.name in ("simulated", "real"):  # what the repository holds
            remedy = _REMEDIES.get(Path(name).suffix, "save less, or split the item in two")
            raise ReportError(
                f"{name} would have {len(content):,} bytes, the limit is {MAX_BYTES:,}: {remedy}"
            )
    for name, content in contents.items():
        write_atomically(folder / name, content)
