"""The committed notebooks: their form, their outputs, and that they still give the committed figures."""

import ast
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import papermill
import pytest
from conftest import ROOT

from rb_support.app.reproduce import reproduce
from rb_support.paper import ITEMS
from rb_support.report.freshness import differences
from rb_support.report.gallery import read_manifest, read_records
from rb_support.report.provenance import code_digest

NOTEBOOKS = ROOT / "notebooks"
MAIN = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
LIVE = {"rb-fig1"}  # drawn from a run against the loopback server, whatever the tables are made of
SOLUTIONS = sorted((NOTEBOOKS / "solutions").glob("[0-9]*.ipynb"))
each = pytest.mark.parametrize("path", [*MAIN, *SOLUTIONS], ids=lambda p: str(p.relative_to(NOTEBOOKS)))
each_main = pytest.mark.parametrize("path", MAIN, ids=lambda p: p.stem)


def cells(path, kind="code"):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def lines(cell):
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def source(path):
    return "\n".join(re.sub(r"^%.*$", "", cell.source, flags=re.M) for cell in cells(path))


def exercises(path):
    return len(re.findall(r'\bcheck\(\s*"[\w.]+",\s*answer_', source(path)))


@each
def test_second_cell_holds_annotated_parameters(path):
    notebook = nbformat.read(path, as_version=4)
    tagged = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == [1] and notebook.cells[0].cell_type == "markdown"
    parameters = papermill.inspect_notebook(str(path))
    assert 0 < len(parameters) <= 8
    for name, parameter in parameters.items():
        assert parameter["inferred_type_name"] != "None" and parameter["help"], name


@each
def test_outputs_are_of_one_run_in_order(path):
    """nbval compares nothing in a cell without a count, so a stripped notebook would pass everything."""
    assert [cell.execution_count for cell in cells(path)] == list(range(1, len(cells(path)) + 1))
    assert not [o for cell in cells(path) for o in cell.outputs if o.output_type == "error"]


@each
def test_cells_are_short(path):
    counts = [lines(cell) for cell in cells(path)]
    assert max(counts) <= 15 and statistics.median(counts) <= 5
    functions = [node for node in ast.walk(ast.parse(source(path))) if isinstance(node, ast.FunctionDef)]
    assert all(node.end_lineno - node.lineno < 8 for node in functions)


@each
def test_nothing_of_a_machine_shows(path):
    text = path.read_text()
    assert str(Path.home()) not in text and str(ROOT) not in text
    assert not re.search(r"/(home|Users|root|tmp)/|ipykernel_", text)


@each_main
def test_every_exercise_is_solved_and_the_solutions_are_right(path):
    solution = NOTEBOOKS / "solutions" / path.name
    printed = [o.text for cell in cells(solution) for o in cell.outputs if o.output_type == "stream"]
    lines_printed = "".join(printed).splitlines()
    checks = [line for line in lines_printed if line.startswith(("Correct. ", "Not yet", "The answer"))]
    assert len(checks) >= exercises(path)
    assert all(text.startswith("Correct. ") for text in checks)


@each_main
def test_a_notebook_saves_the_items_that_it_is_to_make(path):
    saved = set(re.findall(r'"((?:rb|rl|own)-[a-zA-Z0-9-]+)"', source(path)))
    assert saved == {item.id for item in ITEMS.values() if item.notebook == path.stem}


@pytest.mark.parametrize("kind", ["simulated", "real"])
def test_committed_figures_are_whole(kind):
    """Every item of the notebooks at hand stands in the manifest, small, complete and of the right kind."""
    folder = ROOT / "figures" / kind
    records = {record["id"]: record for record in read_records(folder)}
    manifest, made = read_manifest(folder), {path.stem for path in MAIN}
    assert [item["id"] for item in manifest["items"]] == list(records)
    assert {name for maker in manifest["made_by"] for name in maker["notebooks"]} == made
    assert set(records) == {item.id for item in ITEMS.values() if item.notebook in made}
    for record in records.values():
        assert record["data"]["kind"] == ("simulated" if record["id"] in LIVE else kind)
        for name in record["files"]:
            assert (folder / name).stat().st_size < 300_000


def test_the_manifest_names_the_code_at_hand():
    """Else `make reproduce` on a fresh clone would change it: run it after a change of code, and commit."""
    [maker] = read_manifest(ROOT / "figures" / "simulated")["made_by"]
    assert maker["code"] == code_digest(ROOT), "run make reproduce and commit figures/simulated"


@pytest.mark.parametrize("kind", ["simulated", "real"])
def test_no_router_is_said_to_lead_that_luck_could_carry(kind):
    """A lead is above zero by a simultaneous interval, and above what knowing nothing reaches."""
    table = pd.read_csv(ROOT / "figures" / kind / "rb-tab-aiq.csv")
    leads = table[table["finding"] == "leads"]
    assert (leads["honest_low"] > 0).all()
    assert (leads["honest_minus_zero"] > leads["placebo_high"]).all()
    placebo = table[table["router"] == "Placebo"]
    assert len(placebo) >= 3 and not (placebo["finding"] == "leads").any()


def run_nbval(paths, figures, *options):
    """Execute notebooks and compare their outputs; the later ones, which take longer, first."""
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-cell-timeout", "1200"]
    command += ["-p", "no:cacheprovider", "-p", "nbval_patience", *options]
    command += map(str, sorted(paths, reverse=True))
    threads = dict.fromkeys(["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"], "1")
    environment = {**os.environ, **threads, "RB_FIGURES_DIR": str(figures)}
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(command, cwd=NOTEBOOKS, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="session")
def default_run(tmp_path_factory):
    """One execution of all notebooks with default parameters: nbval's result and the figures it left."""
    figures = tmp_path_factory.mktemp("default") / "figures"
    return run_nbval([*MAIN, *SOLUTIONS], figures, "-n", "2", "--dist", "loadfile"), figures


@pytest.mark.notebook
def test_notebooks_pass_nbval(default_run):
    result, _ = default_run
    assert result.returncode == 0, result.stdout[-6000:]
    assert f"{sum(len(cells(path)) for path in [*MAIN, *SOLUTIONS])} passed" in result.stdout


@pytest.mark.notebook
def test_committed_figures_are_fresh(default_run):
    """The default run gives what stands under figures/simulated, to a reader's eye."""
    found = differences(ROOT / "figures" / "simulated", default_run[1] / "simulated")
    assert not found, "\n".join(map(str, found))


@pytest.mark.notebook
def test_nbval_does_compare(tmp_path):
    """The control: a changed number in a compared output must fail."""
    notebook = nbformat.read(MAIN[0], as_version=4)
    cell = next(c for c in notebook.cells if "nbval-check-output" in c.metadata.get("tags", []))
    data = cell.outputs[0].data
    data["text/plain"] = re.sub(r"\d\b", lambda m: str((int(m[0]) + 1) % 10), data["text/plain"])
    altered = tmp_path / MAIN[0].name
    nbformat.write(notebook, altered)
    result = run_nbval([altered], tmp_path / "figures")
    assert result.returncode == 1 and "Cell execution" not in result.stdout


@pytest.mark.notebook
def test_the_code_in_the_readme_runs():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    scope = {}
    exec(code, scope)
    assert set(scope["comparison"].aiq()) >= {"KNN", "Ridge"}


@pytest.mark.notebook
def test_notebooks_run_on_real_rows(tmp_path, shared_data, monkeypatch):
    """Without weights, so that it is quick; the committed real figures are made with MiniLM."""
    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    settings = ["embedding=tfidf", "draws=50", "splits=2", "seeds=1"]
    results = reproduce(
        NOTEBOOKS, data="real", settings=settings, figures=tmp_path / "figures", build=tmp_path / "build"
    )
    assert [result.status for result in results] == ["done"] * len(MAIN)
    record = json.loads((tmp_path / "figures" / "real" / "rb-fig4.json").read_text())
    assert record["data"]["kind"] == "real" and len(record["data"]["files"]) == 6


@pytest.mark.notebook
def test_notebooks_run_on_an_own_table(tmp_path):
    """Three models and two datasets of one's own, from a CSV file in the wide form."""
    from rb_support.simulate import simulate_outcomes

    table = simulate_outcomes(600, seed=5)
    keep = table.frame["dataset"].isin(["GSM8K", "MBPP"]).to_numpy()
    frame = table.take(keep).select(table.models[:3]).to_wide()
    frame = frame.rename(columns=lambda name: name.replace("gpt-4-1106-preview", "acme-large"))
    path = tmp_path / "mine.csv"
    frame.to_csv(path, index=False)
    settings = ["embedding=tfidf", "draws=20", "splits=2", "seeds=1"]
    settings += ["strong=acme-large", f"weak={table.models[1]}"]
    results = reproduce(
        NOTEBOOKS, data=str(path), settings=settings, figures=tmp_path / "figures", build=tmp_path / "build"
    )
    assert [result.failure for result in results] == [""] * len(MAIN)
    [figures] = (tmp_path / "figures" / "own").glob("mine-*")
    assert "mine.csv" in (figures / "rb-fig3.json").read_text()
