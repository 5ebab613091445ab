"""What made a figure: versions, commit, parameters, data. No clock time, no path of a machine."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath, PureWindowsPath
from platform import python_version
from typing import Any

import numpy as np

import rb_support
from rb_support.outcomes import Origin

from .store import repository_root

_PACKAGES = ("numpy", "pandas", "scipy", "scikit-learn", "torch", "matplotlib")


def versions() -> dict[str, str | None]:
    """Versions of Python, this package and the libraries behind a figure's numbers; None if absent."""
    found = {name: _version(name) for name in _PACKAGES}
    return {"python": python_version(), "rb_support": rb_support.__version__, **found}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def commit(notebook: str, root: Path | None = None) -> str | None:
    """Last commit that touched the package or the notebook.

    "+changes" is appended if the package differs from it; a notebook's own differences are not looked
    at, for they are mostly outputs. None outside a git repository or before its first such commit.
    """
    root = root or repository_root()
    if root is None:
        return None
    last = _git(root, "log", "-1", "--format=%H", "--", "rb_support", f"notebooks/{notebook}.ipynb")
    if not last:
        return None
    return last + ("+changes" if _git(root, "status", "--porcelain", "--", "rb_support") else "")


def _git(root: Path, *arguments: str) -> str | None:
    """Output of a git command, or None where there is no git or no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def describe_data(origin: Origin) -> dict[str, Any]:
    """An origin as it stands in a record: kind, name, files with sha256, notes."""
    files = [{"name": _without_folder(name), "sha256": digest} for name, digest in origin.files]
    return {"kind": origin.kind, "name": origin.name, "files": files, "notes": list(origin.notes)}


def portable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values fit for a JSON record: NumPy numbers plain, NaN as null, absolute paths cut to names."""
    return {name: _portable(value) for name, value in values.items()}


def _portable(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, (list, tuple)):
        return [_portable(part) for part in value]
    return _without_folder(str(value)) if isinstance(value, (str, Path)) else value


def _without_folder(text: str) -> str:
    for path in (PurePosixPath(text), PureWindowsPath(text)):
        if path.is_absolute() or text.startswith("~/"):
            return path.name
    return text
