"""Three notebooks that run in a browser, beside the site: `python docs/site/lite.py build/site/lite`.

JupyterLite and this package lie in the folder; Python itself (Pyodide) and its packages come from Pyodide's
own address when a reader opens a notebook. So this is the one part of the site that a folder alone does not
run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = ("00", "02", "04")
PACKAGES = (
    *("ipython", "ipywidgets", "jinja2", "matplotlib", "numpy", "pandas", "pillow", "pydantic"),
    *("scikit-learn", "scipy", "tabulate", "threadpoolctl", "tqdm"),
)
"""What the three notebooks need; each is part of Pyodide or pure Python."""

INSTALL = f"""# Pyodide's packages, fetched once (some 60 MB), and the project's own, beside the page.
import piplite

await piplite.install({list(PACKAGES)!r})
await piplite.install("rb-support", deps=False)"""


def build(target: Path, root: Path = ROOT) -> None:
    """Build JupyterLite with the notebooks and the package in it.

    Raises
    ------
    CalledProcessError
        If the package or JupyterLite cannot be built; their own messages say why.
    """
    with TemporaryDirectory() as temporary:
        wheels, contents, package = (Path(temporary, name) for name in ("wheels", "contents", "package"))
        contents.mkdir()
        shutil.copytree(
            root / "rb_support", package / "rb_support", ignore=shutil.ignore_patterns("__pycache__")
        )
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(root / name, package)
        for name, notebook in notebooks(root):
            (contents / name).write_text(json.dumps(notebook, ensure_ascii=False, indent=1), encoding="utf-8")
        wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w"]
        subprocess.run([*wheel, str(wheels), str(package)], check=True)
        (built,) = wheels.glob("*.whl")
        lite = [sys.executable, "-m", "jupyterlite_core", "build", "--lite-dir", temporary]
        where = ["--contents", str(contents), "--output-dir", str(target.resolve())]
        subprocess.run([*lite, *where, "--piplite-wheels", str(built)], check=True, cwd=temporary)


def notebooks(root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """File names and contents of the notebooks, as they run in a browser."""
    for number in NUMBERS:
        (path,) = (root / "notebooks").glob(f"{number}_*.ipynb")
        yield path.name, for_a_browser(json.loads(path.read_text(encoding="utf-8")))


def for_a_browser(notebook: dict[str, Any]) -> dict[str, Any]:
    """A notebook that installs what it needs, embeds without weights, and has no outputs yet."""
    install = {"cell_type": "code", "id": "install", "metadata": {}, "source": INSTALL}
    cells = [{**cell, "source": "".join(cell["source"])} for cell in notebook["cells"]]
    for cell in cells:
        if "parameters" in cell["metadata"].get("tags", []):
            cell["source"] = cell["source"].replace('embedding: str = "minilm"', 'embedding: str = "tfidf"')
    cells.insert(1, install)
    fresh = [
        {**cell, "outputs": [], "execution_count": None} if cell["cell_type"] == "code" else cell
        for cell in cells
    ]
    kernel = {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}
    return {**notebook, "cells": fresh, "metadata": {"kernelspec": kernel}}


if __name__ == "__main__":
    build(Path(sys.argv[1]))
