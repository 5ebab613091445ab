"""Files under `figures/`: where the folder lies, how JSON is written, the size limit."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

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


def repository_root(start: Path | None = None) -> Path | None:
    """Nearest folder at or above `start` (default: working directory) with this project's pyproject.toml."""
    here = (start or Path.cwd()).resolve()
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


def note_written(path: Path) -> None:
    """Note a file that a report wrote, where `reproduce` asked for it."""
    log = os.environ.get(LOG_VARIABLE)
    if log:
        with Path(log).open("a", encoding="utf-8") as lines:
            lines.write(f"{path.resolve()}\n")


def dump_json(value: Any) -> bytes:
    """JSON as it is written everywhere here: indented, UTF-8, ending in a newline, no NaN."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def check_size(name: str, content: bytes) -> None:
    """Refuse a file over the limit.

    Raises
    ------
    ReportError
        If `content` has more than `MAX_BYTES` bytes; the message names the remedy.
    """
    if len(content) > MAX_BYTES:
        remedy = _REMEDIES.get(Path(name).suffix, "save less, or split the item in two")
        raise ReportError(f"{name} would have {len(content):,} bytes, the limit is {MAX_BYTES:,}: {remedy}")
