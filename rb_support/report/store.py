"""Files under `figures/`: where the folder lies, how JSON is written, the size limit."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from rb_support.cache import digest, write_atomically
from rb_support.outcomes import Origin

MAX_BYTES = 300_000
"""No file of the figures folder may be larger, so that the repository stays small."""

LOG_VARIABLE = "RB_REPORT_LOG"
"""Environment variable naming a file in which reports note what they write; `reproduce` sets it."""

_REMEDIES = {
    ".csv": "save fewer rows: thin the points, or save the summary that the figure shows",
    ".png": "make the figure smaller or plot fewer points",
    **dict.fromkeys([".svg", ".pdf"], "draw dense artists with rasterized=True, or plot fewer points"),
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


def figures_root(*, committed: bool = False) -> Path:
    """Folder that holds `simulated/`, `real/` and `own/`.

    RB_FIGURES_DIR if set, else `build/figures` of the repository around the working directory, so that a look
    into a notebook leaves the committed figures alone, else `./figures`.

    Parameters
    ----------
    committed : the repository's `figures` instead, for a command that is to make them.
    """
    if chosen := os.environ.get("RB_FIGURES_DIR"):
        return Path(chosen)
    root = repository_root()
    return root / "build" / "figures" if root and not committed else (root or Path.cwd()) / "figures"


def folder_of(origin: Origin) -> Path:
    """Folder of a table's items in that of `figures_root`: its kind; in "own" each table has its own.

    >>> folder_of(Origin("own", "my table", (("/home/me/my table.csv", "1a2b3c4d5e6f"),)))
    PosixPath('own/my-table-1a2b3c4d')
    """
    if origin.kind != "own" or not origin.files:
        return Path(origin.kind)
    name, sha256 = origin.files[0]
    stem = re.sub(r"\W+", "-", Path(name).stem)[:40].strip("-") or "table"
    return Path("own", f"{stem}-{sha256[:8]}")


def read_json(path: Path, shape: type[BaseModel]) -> Any:
    """Content of a JSON file of this project, exactly as it stands there.

    Returns
    -------
    None if there is no such file, or it is damaged or of another shape; of a damaged one a warning tells.
    """
    try:
        text = path.read_bytes()
        shape.model_validate_json(text, strict=True)
        return from_json(text, allow_inf_nan=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc'])) or 'as a whole'}: {first['msg']}"
        warnings.warn(f"{path} is damaged and taken as not there ({reason})", stacklevel=2)
        return None


def digest_of(path: Path) -> str | None:
    """Hexadecimal sha256 of a file's bytes; None if it cannot be read."""
    try:
        return digest(path)
    except (OSError, ValueError):  # a name that a damaged record holds may be no name at all
        return None


def note_written(paths: Iterable[Path]) -> None:
    """Note files that a report wrote, where `reproduce` asked for it."""
    log = os.environ.get(LOG_VARIABLE)
    if log:
        with Path(log).open("a", encoding="utf-8") as lines:
            lines.writelines(f"{path.resolve()}\n" for path in paths)


def dump_json(value: Any) -> bytes:
    """JSON as it is written everywhere here: indented, UTF-8, ending in a newline, no NaN."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(errors="replace")


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
