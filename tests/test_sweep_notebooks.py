"""A notebook swept over a grid: what is refused, run, kept, resumed, and laid side by side."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from notebook_maker import make_repository, write_notebook
from processes import is_gone, start, wait_for

pytest.importorskip("distributed", reason="dask is not installed")

from rb_support.app.reproduce.plan import VALUES, UsageError
from rb_support.app.sweep_notebooks import parse_grid, run
from rb_support.report.side_by_side import COLUMNS, collected, key_columns, publish, read_sweep, write_sweep
from rb_support.report.store import ReportError

PARAMETERS = """
data: str = "simulated"
scale: str = "quick"
seed: int = 0
k: int = 40
share: float = 0.5
judge: str = "a"
""".strip()

# Notes outside of `build` how often it ran; waits for k=40 until it may go; fails for thirteen neighbours.
SAVING = """
import os, pathlib, time
if k == 40:
    pathlib.Path("../pid").write_text(str(os.getpid()))
    while not pathlib.Path("../go").exists():
        time.sleep(0.05)
import pandas as pd
from matplotlib.figure import Figure
from rb_support.outcomes import Origin
from rb_support.report import Report, Versus
open("../ran", "a").write(f"{k} ")
report = Report("03_made", Origin("simulated", "made rows"), {"k": k}, seed)
aiq = pd.DataFrame({"router": [f"knn (k={k})", "zero"], "aiq": [0.5 + k / 1000, 0.5], "n": [k, 10]})
report.save_table(aiq, "rb-tab-aiq")
report.annotate("rb-tab-aiq", versus=[Versus("AIQ of knn", 0.5, 0.7, "Table 2")])
report.save_table(aiq[["aiq"]], "own-x", title="<script>alert(1)</script>")
report.save_table(aiq.drop(columns="n").assign(aiq=0.1), "rl-tab7")
if k == 13:
    raise ValueError("no thirteen")
fig = Figure()
fig.subplots().plot([0, k], [0, 1])
curve = pd.DataFrame({"router": [f"knn (k={k})"] * 2, "usd_per_query": [0, k / 8], "quality": [0, 1]})
report.save_figure(fig, "rb-fig4", data=curve)
""".strip()

GRID = ["k=10,13,40", "seed=3"]


def parameter(name: str, annotation: str, default: str) -> dict[str, str]:
    return {"name": name, "inferred_type_name": annotation, "default": default}


KNOWN = {
    "data": parameter("data", "str", '"simulated"'),
    "k": parameter("k", "int", "40"),
    "seed": parameter("seed", "int", "0"),
    "share": parameter("share", "float", "0.5"),
    "shown": parameter("shown", "bool", "False"),
    "judge": parameter("judge", "str", '"a"'),
}


# The grid.


@pytest.mark.parametrize(
    ("grid", "values"),
    [
        (["k=10,40,100"], {"k": [10, 40, 100]}),
        (["k=10, 40"], {"k": [10, 40]}),
        (["seed=0..9"], {"seed": list(range(10))}),
        (["seed=7,0..2,5"], {"seed": [7, 0, 1, 2, 5]}),
        (["seed=4..4"], {"seed": [4]}),
        (["seed=1", "k=2,1"], {"seed": [1], "k": [2, 1]}),
        (["share=0.5,1e-3"], {"share": [0.5, 0.001]}),
        (["shown=true,false"], {"shown": [True, False]}),
        (['judge="a,b",c'], {"judge": ["a,b", "c"]}),
        (['judge="say ""no""",a=b'], {"judge": ['say "no"', "a=b"]}),
        (["judge=0..9"], {"judge": ["0..9"]}),
    ],
)
def test_values_of_a_grid(grid: list[str], values: dict[str, list[object]]) -> None:
    found = parse_grid(grid, KNOWN)
    assert found == values and list(found) == list(values)


@given(st.lists(st.integers(1, 10**6), min_size=1, unique=True), st.integers(0, 10**6), st.integers(0, 50))
def test_whole_numbers_and_ranges_come_back(numbers: list[int], low: int, more: int) -> None:
    listed = ",".join(map(str, numbers))
    found = parse_grid([f"k={listed}", f"seed={low}..{low + more}"], KNOWN)
    assert found == {"k": numbers, "seed": list(range(low, low + more + 1))}


@given(st.lists(st.text(min_size=1), min_size=1, unique=True))
def test_any_text_comes_back_if_written_as_in_a_csv_file(texts: list[str]) -> None:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="").writerow(texts)
    assert parse_grid([f"judge={line.getvalue()}"], KNOWN) == {"judge": texts}


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ([], "needs --grid, such as --grid k=10,40,100"),
        (["kk=1"], "--grid kk: the notebook has no such parameter; known are judge, k, seed, share, shown"),
        (["k"], "--grid k: write it as name=value"),
        (["data=real"], "--grid data=real: use --data real"),
        (["k=1,x"], "--grid k=x: .*integer.*; it wants int, such as 40"),
        (["k=0..5"], "--grid k=0: .*greater than or equal to 1"),
        (["k="], "--grid k=: "),
        (["k=1,"], "--grid k=: "),
        (["k=1.5..2"], r"--grid k=1\.5\.\.2: "),
        (["seed=9..0"], r"9\.\.0 has 0 values; a range goes upwards"),
        (["seed=0..4294967295"], r"has 4,294,967,296 values"),
        (["k=10,40,10"], "k=10,40,10: 10 stands there twice"),
        (["seed=0..3,2"], "2 stands there twice"),
        (["k=1", "k=2"], "--grid k=2: k has values already"),
        (['judge="a'], '--grid judge="a: unexpected end of data'),
        (["kk=1", "k=x", "seed=-1"], r"--grid kk: .*\n--grid k=x: .*\n--grid seed=-1: "),
    ],
)
def test_a_grid_that_does_not_fit_is_refused_with_all_that_is_wrong(grid: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_grid(grid, KNOWN)


def test_no_parameter_has_the_name_of_a_column_of_the_table() -> None:
    assert not VALUES.keys() & set(COLUMNS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"notebook": "0"}, "--notebook 0 fits 03_made, 04_other: write more"),
        ({"notebook": "05"}, "fits no notebook; there are 03_made, 04_other"),
        ({"notebook": "03", "grid": ["kk=1"]}, "no such parameter; known are judge, k, seed, share"),
        ({"notebook": "03", "scale": "huge"}, "one of quick, full"),
        ({"notebook": "03", "data": "no/such.csv"}, "no such file"),
        ({"notebook": "03", "out": Path("notebooks")}, "holds other files than a sweep's"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, object], message: str
) -> None:
    notebooks = make_repository(tmp_path)
    for name in ("03_made", "04_other"):
        write_notebook(notebooks / f"{name}.ipynb", "raise RuntimeError", parameters=PARAMETERS)
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    with pytest.raises(UsageError, match=message):
        run(**{"grid": ["k=1"], **arguments})  # type: ignore[arg-type]
    assert files(tmp_path) == before


# A sweep of three settings, one of which fails.


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def published(folder: Path) -> dict[str, bytes]:
    """What must have the same bytes however the runs came about."""
    found = files(folder)
    names = [name for name in found if not name.startswith("runs/") and name != "timings.csv"]
    return {name: found[name] for name in names} | {
        name: content for name, content in found.items() if "/figures/" in name
    }


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository in which one sweep has run."""
    root = tmp_path_factory.mktemp("repository")
    write_notebook(make_repository(root) / "03_made.ipynb", SAVING, parameters=PARAMETERS)
    (root / "go").touch()
    here = Path.cwd()
    os.chdir(root)
    try:
        run("03", GRID, workers=2)
        yield root
    finally:
        os.chdir(here)


@pytest.fixture(scope="module")
def swept(repository: Path) -> Path:
    return repository / "build" / "sweeps" / "03_made-simulated-quick"


@pytest.fixture(scope="module")
def first(swept: Path) -> dict[str, bytes]:
    """What it published, before a test altered anything."""
    return published(swept)


def test_a_sweep_leaves_nothing_outside_of_its_folder(repository: Path, swept: Path) -> None:
    outside = [path for path in files(repository) if not path.startswith("build/")]
    assert outside == ["go", "notebooks/03_made.ipynb", "pid", "pyproject.toml", "ran"]
    assert [path.name for path in (repository / "build").rglob("*.part")] == []


def test_every_run_has_its_setting_notebook_and_figures(swept: Path) -> None:
    sweep = read_sweep(swept)
    assert [run.label for run in sweep.runs] == ["k=10", "k=13", "k=40"]
    assert [run.status for run in sweep.runs] == ["done", "failed", "done"]
    for each in sweep.done:
        cells = nbformat.read(each.folder / "03_made.ipynb", as_version=4).cells
        assert f"k = {each.values['k']}\n" in cells[2].source and "seed = 3" in cells[2].source
        record = json.loads((each.figures / "rb-tab-aiq.json").read_text())
        assert (record["parameters"], record["seed"]) == ({"k": each.values["k"]}, 3)
        assert {"rb-fig4.png", "index.html"} <= {path.name for path in each.figures.iterdir()}


def test_a_run_that_fails_is_a_row_with_its_error_and_keeps_its_notebook(swept: Path) -> None:
    rows = pd.read_csv(swept / "runs.csv", keep_default_na=False)
    assert rows.to_dict("records") == [
        {"k": 10, "seed": 3, "status": "done", "error": ""},
        {"k": 13, "seed": 3, "status": "failed", "error": "code cell 2 (In [3]): ValueError: no thirteen"},
        {"k": 40, "seed": 3, "status": "done", "error": ""},
    ]
    failed = read_sweep(swept).runs[1].folder
    assert (failed / "03_made.failed.ipynb").is_file() and not (failed / "03_made.ipynb").exists()
    assert pd.read_csv(swept / "timings.csv")["seconds"].gt(0).tolist() == [True] * 3


def test_tables_stand_side_by_side(swept: Path) -> None:
    assert (swept / "items" / "rb-tab-aiq.csv").read_text() == (
        "router,column,k=10,k=40\n"
        "knn (k=…),aiq,0.51,0.54\nknn (k=…),n,10,40\nzero,aiq,0.5,0.5\nzero,n,10,10\n"
    )


def test_points_of_curves_stand_one_setting_under_the_other(swept: Path) -> None:
    assert (swept / "items" / "rb-fig4.csv").read_text() == (
        "k,seed,router,usd_per_query,quality\n10,3,knn (k=…),0,0\n10,3,knn (k=…),1.25,1\n"
        "40,3,knn (k=…),0,0\n40,3,knn (k=…),5,1\n"
    )


def test_the_tidy_table_has_a_row_a_cell(swept: Path) -> None:
    cells = collected(swept)
    assert list(cells.columns) == ["k", "seed", *COLUMNS]
    aiq = cells[(cells["item"] == "rb-tab-aiq") & (cells["part"] == "table")]
    assert aiq[["k", "row", "label", "column", "value"]].to_numpy().tolist() == [
        [10, 1, "knn (k=…)", "aiq", 0.51], [10, 1, "knn (k=…)", "n", 10],
        [10, 2, "zero", "aiq", 0.5], [10, 2, "zero", "n", 10],
        [40, 1, "knn (k=…)", "aiq", 0.54], [40, 1, "knn (k=…)", "n", 40],
        [40, 2, "zero", "aiq", 0.5], [40, 2, "zero", "n", 10],
    ]  # fmt: skip
    beside = cells[(cells["part"] == "versus") & (cells["k"] == 10)]
    assert beside[["label", "column", "value"]].to_numpy().tolist() == [
        ["AIQ of knn", "ours", 0.5], ["AIQ of knn", "paper", 0.7],
    ]  # fmt: skip
    curve = cells[cells["item"] == "rb-fig4"]
    assert curve["label"].eq("knn (k=…)").all() and len(curve) == 8
    kept = pd.read_parquet(swept / "items.parquet")
    pd.testing.assert_frame_equal(kept, cells[cells["item"] != "rl-tab7"].reset_index(drop=True))


def test_clock_times_are_kept_apart(swept: Path) -> None:
    assert "rl-tab7" in set(collected(swept)["item"])
    assert "rl-tab7" not in set(pd.read_parquet(swept / "items.parquet")["item"])
    page = (swept / "index.html").read_text()
    assert "Clock times" in page and "items/rl-tab7.csv" in page


def test_the_page_shows_all_settings_and_says_what_rows_they_are(swept: Path) -> None:
    page = (swept / "index.html").read_text()
    assert page.count('<span class="badge">simulated') == 1 + 4
    assert "Simulated rows say nothing about real models." in page
    assert "no thirteen" in page and "2 of 3 runs done" in page
    row = r'<td>knn \(k=…\)</td><td[^>]*>AIQ</td><td class="run ">0.51</td><td class="run ">0.54</td>'
    assert re.search(row, page)
    linked = re.findall(r'(?:href|src)="([^"#]+)"', page)
    assert len([name for name in linked if name.endswith("rb-fig4.png")]) == 2
    assert all((swept / name).is_file() for name in linked)


def test_the_page_needs_no_network_and_escapes_what_strangers_wrote(swept: Path) -> None:
    page = (swept / "index.html").read_text()
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r"(?:src|href)=\"?(?:https?:)?//|@import|url\(", page)


def test_only_what_failed_or_was_altered_runs_again_and_a_grid_can_grow(
    repository: Path, swept: Path, first: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "ran").unlink()
    (read_sweep(swept).runs[2].figures / "rb-tab-aiq.csv").write_text("altered")
    run("03", GRID, workers=1)
    assert (repository / "ran").read_text().split() == ["13", "40"]
    assert published(swept) == first
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["3 runs of 03_made (k: 3, seed: 1), simulated data", "1 of them are done already"]
    assert out[-1] == "2 of 3 runs are done: build/sweeps/03_made-simulated-quick/index.html"
    (repository / "ran").unlink()
    run("03", ["k=40", "seed=3"])
    assert not (repository / "ran").exists()
    assert "k-10" not in (swept / "index.html").read_text()
    run("03", ["k=10,40", "seed=3"])
    assert collected(swept)["k"].unique().tolist() == [10, 40]


# Interruptions.


def start_waiting(root: Path, k: str) -> tuple[subprocess.Popen[str], int]:
    """Start a sweep whose run of k=40 waits; the process, and that run's kernel's process id."""
    write_notebook(make_repository(root) / "03_made.ipynb", SAVING, parameters=PARAMETERS)
    code = f"from rb_support.app.sweep_notebooks import run; run('03', ['k={k}', 'seed=3'], workers=1)"
    process = start(
        [sys.executable, "-c", code],
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: (root / "pid").exists() and (root / "pid").read_text() != "")
    return process, int((root / "pid").read_text())


def test_a_killed_sweep_goes_on_elsewhere_and_leaves_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: dict[str, bytes]
) -> None:
    from distributed import LocalCluster

    process, kernel = start_waiting(tmp_path, "10,40")
    process.kill()
    process.communicate(timeout=60)
    wait_for(lambda: is_gone(kernel))
    (tmp_path / "go").touch()
    monkeypatch.chdir(tmp_path)
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        made = run("03", GRID, scheduler=cluster.scheduler_address)
    assert made["status"].tolist() == ["done", "failed", "done"]
    assert (tmp_path / "ran").read_text().split() == ["10", "13", "40"]
    resumed = published(tmp_path / "build" / "sweeps" / "03_made-simulated-quick")
    assert resumed.keys() == first.keys()
    assert [name for name in first if resumed[name] != first[name]] == []


@pytest.mark.parametrize("everyone", [False, True], ids=["command", "terminal"])
def test_an_interrupted_sweep_leaves_no_kernel(tmp_path: Path, everyone: bool) -> None:
    process, kernel = start_waiting(tmp_path, "40,50")
    (os.killpg if everyone else os.kill)(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0 and "KeyboardInterrupt" in errors
    wait_for(lambda: is_gone(kernel), seconds=10)
    sweep = read_sweep(tmp_path / "build" / "sweeps" / "03_made-simulated-quick")
    assert [run.status for run in sweep.runs] == ["not run", "not run"]
    assert collected(sweep.folder).empty and not (tmp_path / "ran").exists()
    assert [path.name for path in sweep.folder.rglob("*.part")] == []


# What tells the rows of an item apart.


def table(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


@pytest.mark.parametrize(
    ("tables", "key"),
    [
        (["router,aiq\nknn,1\nmlp,2", "router,aiq\nknn,1\nmlp,3"], ["router"]),
        (["a,b,x\nu,v,1\nu,w,2"], ["a", "b"]),
        (["router,aiq\nknn,1", "router,aiq\nmlp,2"], ["router"]),
        (["cost,model\n1,a\n2,b", "cost,model\n3,a\n4,b"], ["model"]),
        (["share,x\n0.1,5\n0.2,5", "share,x\n0.1,6\n0.2,6"], ["share"]),
        (["share,x\n0.1,5\n0.2,5", "share,x\n0.1,6\n0.3,6"], []),
        (["router,cost\nknn,1\nknn,2", "router,cost\nknn,1\nknn,3"], []),
        (["router,cost,q\nknn,1,5\nknn,2,6", "router,cost,q\nknn,1,7\nknn,2,8"], ["router", "cost"]),
        (["x\n1\n2"], []),
    ],
)  # fmt: skip
def test_key_of_an_item(tables: list[str], key: list[str]) -> None:
    assert key_columns([table(text) for text in tables]) == key


def test_rows_that_only_one_setting_has_are_kept(tmp_path: Path) -> None:
    write_sweep(tmp_path, "03_made", Path("simulated"), "quick", {"a": {"k": 1}, "b": {"k": 2}})
    for run_, text in zip(read_sweep(tmp_path).runs, ("r,x\nu,1\nv,2\n", "r,x\nv,3\nw,'=1\n"), strict=True):
        save(run_.folder, run_.figures, "own-x", text)
    publish(tmp_path)
    assert (tmp_path / "items" / "own-x.csv").read_text() == ("r,column,k=1,k=2\nu,x,1,\nv,x,2,3\nw,x,,'=1\n")


def save(folder: Path, figures: Path, id: str, text: str) -> None:
    figures.mkdir(parents=True)
    (figures / f"{id}.csv").write_text(text)
    record = {
        **{"id": id, "form": "table", "title": id, "paper": "own", "item": "", "section": "", "note": ""},
        **{"notebook": "03_made", "parameters": {}, "seed": 0, "versus": [], "files": {}},
        "data": {"kind": "simulated", "name": "made rows"},
    }
    (figures / f"{id}.json").write_text(json.dumps(record))
    (folder / "state.json").write_text("{}")


def test_a_folder_without_a_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="holds no sweep of a notebook"):
        collected(tmp_path)
