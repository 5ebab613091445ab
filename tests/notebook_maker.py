"""Makes small notebooks, and folders that look like this repository, for tests."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = """
data: str = "simulated"  # kind of data
scale: str = "quick"  # size
seed: int = 0  # random seed
rows = 5
share: float = 0.5
shown: bool = False
names: list[str] = ["a"]
""".strip()

REPORTING = """
import numpy as np, pandas as pd
from rb_support.outcomes import Origin
from rb_support.report import Report
report = Report("01_good", Origin("simulated", "made rows"), {"seed": seed}, seed)
frame = pd.DataFrame({"x": np.random.default_rng(seed).random(3)})
report.save_table(frame, "rb-tab-aiq")
""".strip()


def write_notebook(path: Path, *cells: str, parameters: str | None = PARAMETERS) -> Path:
    """Write a notebook of a title, a parameters cell and code cells."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(metadata={"kernelspec": kernel}, cells=[new_markdown_cell(f"# {path.stem}")])
    if parameters is not None:
        notebook.cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    notebook.cells += [new_code_cell(source) for source in cells]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def make_repository(root: Path) -> Path:
    """Make a folder that the command line takes for this repository; returns its folder of notebooks."""
    (root / "notebooks").mkdir(parents=True)
    (root / "pyproject.toml").write_text('[project]\nname = "rb-support"\n')
    return root / "notebooks"
