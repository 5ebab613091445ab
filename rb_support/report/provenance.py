"""What made a figure: data and parameters in its record, code and versions in the manifest.

No clock time, no path of a machine, and nothing that changes with a commit which changes no number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath, PureWindowsPath
from platform import python_version
from typing import Any

import numpy as np

import rb_support
from rb_support.cache import package_digest
from rb_support.outcomes import Origin
from rb_support.report.store import repository_root

_PACKAGES = ("numpy", "pandas", "scipy", "scikit-learn", "torch", "matplotlib")


@cache
def versions() -> dict[str, str]:
    """Versions of Python, this package and the libraries behind a figure's numbers."""
    found = {"python": python_version(), "rb_support": rb_support.__version__}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):  # a browser has no torch
            found[name] = version(name)
    return found


def code_digest(root: Path | None = None) -> str:
    """Hexadecimal sha256 of the package's files and of the code cells of the repository's notebooks.

    Parameters
    ----------
    root : the repository; None: that around the working directory, if there is one.
    """
    root = root or repository_root()
    notebooks = sorted((root / "notebooks").glob("[0-9][0-9]*_*.ipynb")) if root else []
    parts = {path.name: code_cells(path) for path in notebooks}
    return hashlib.sha256(json.dumps([package_digest(), parts]).encode()).hexdigest()


def code_cells(notebook: Path) -> list[str]:
    """Sources of a notebook's code cells."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def describe_data(origin: Origin) -> dict[str, Any]:
    """An origin as it stands in a record: kind, name, files with sha256, notes."""
    files = [{"name": _without_folder(name), "sha256": digest} for name, digest in origin.files]
    return {"kind": origin.kind, "name": origin.name, "files": files, "notes": list(origin.notes)}


def portable(value: Any) -> Any:
    """A value fit for a JSON record, with all values inside of it.

    NumPy numbers become plain, NaN null, absolute paths their names, and floats have six significant digits,
    as in a CSV file: what stands behind them is rounding.
    """
    if isinstance(value, Mapping):
        return {name: portable(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [portable(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return _without_folder(str(value)) if isinstance(value, (str, Path)) else value


def _without_folder(text: str) -> str:
    for path in (PurePosixPath(text), PureWindowsPath(text)):
        if path.is_absolute() or text.startswith("~/"):
            return path.name
    return text
