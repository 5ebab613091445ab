"""Runs of notebooks: what is refused before, left after, skipped, and what an interruption leaves."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import papermill
import pytest
from conftest import ROOT
from jupyter_client.provisioning.local_provisioner import LocalPortCache
from notebook_maker import REPORTING, make_repository, write_notebook
from processes import is_gone, start, wait_for

from rb_support.app.reproduce import Result, UsageError, refresh, reproduce
from rb_support.app.reproduce.plan import VALUES, State, convert, discover, fingerprint, left_out, plan_runs
from rb_support.outcomes import Kind, Origin, Outcomes
from rb_support.report.gallery import read_manifest, rebuild_all

OTHER = "data: str = 'x'\nk: int = 3\nstrong: str = ''"
ENVIRONMENT = "import os; print(os.environ['OMP_NUM_THREADS'], os.path.basename(os.getcwd()), data, seed)"


def outputs(path: Path) -> str:
    """Text that the cells of an executed notebook printed."""
    cells = nbformat.read(path, as_version=4).cells
    return "".join(
        output.get("text", "") for cell in cells if cell.cell_type == "code" for output in cell.outputs
    )


def hidden_files(folder: Path) -> list[Path]:
    """What a run should have removed at its end."""
    return [path for path in folder.rglob(".*") if path.suffix != ".lock"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Result]]:
    """Three notebooks run once, two at a time: a good one, a failing one, one without parameters."""
    notebooks = make_repository(tmp_path_factory.mktemp("repository"))
    write_notebook(notebooks / "01_good.ipynb", REPORTING, ENVIRONMENT)
    write_notebook(
        notebooks / "02_bad.ipynb", "x = 1", "print('before')\nraise ValueError('bad\\nrows')", "x"
    )
    write_notebook(notebooks / "03_plain.ipynb", "print('plain')", parameters=None)
    return notebooks, reproduce(notebooks, jobs=2, settings=["seed=3"])


def test_failure_names_notebook_cell_and_error_and_others_still_run(ran: tuple[Path, list[Result]]) -> None:
    notebooks, results = ran
    kept = notebooks.parent / "build" / "notebooks" / "simulated" / "02_bad.failed.ipynb"
    assert results == [
        Result("01_good", "done"),
        Result("02_bad", "failed", "code cell 3 (In [4]): ValueError: bad rows", kept),
        Result("03_plain", "done"),
    ]
    assert "before" in outputs(kept)


def test_kernels_run_in_the_notebooks_folder_on_one_thread_with_the_parameters(
    ran: tuple[Path, list[Result]],
) -> None:
    executed = ran[0].parent / "build" / "notebooks" / "simulated" / "01_good.ipynb"
    assert outputs(executed).endswith("1 notebooks simulated 3\n")


def test_figures_and_gallery_are_left_and_nothing_half_written(ran: tuple[Path, list[Result]]) -> None:
    root = ran[0].parent
    figures = root / "figures" / "simulated"
    assert json.loads((figures / "rb-tab-aiq.json").read_text())["seed"] == 3
    assert {"index.html", "manifest.json", "claims.csv", "rb-tab-aiq.csv"} <= {
        p.name for p in figures.iterdir()
    }
    assert hidden_files(root) == []


def test_sources_are_left_as_they_were(ran: tuple[Path, list[Result]]) -> None:
    cells = nbformat.read(ran[0] / "01_good.ipynb", as_version=4).cells
    assert all(cell.execution_count is None for cell in cells if cell.cell_type == "code")


def test_unchanged_notebooks_are_skipped_and_failed_ones_are_not_remembered(
    ran: tuple[Path, list[Result]],
) -> None:
    again = reproduce(ran[0], only=["01", "03_pl"], settings=["seed=3"])
    assert again == [Result("01_good", "unchanged"), Result("03_plain", "unchanged")]
    states = ran[0].parent / "build" / "state" / "simulated-quick"
    assert sorted(path.name for path in states.iterdir()) == ["01_good.json", "03_plain.json"]


def test_altered_output_is_made_again_with_the_same_bytes(ran: tuple[Path, list[Result]]) -> None:
    notebooks, _ = ran
    figures = notebooks.parent / "figures"
    before = {path: path.read_bytes() for path in figures.rglob("*") if path.is_file()}
    (figures / "simulated" / "rb-tab-aiq.csv").write_text("altered")
    results = reproduce(notebooks, only=["01"], settings=["seed=3"])
    assert results == [Result("01_good", "done")]
    assert {path: path.read_bytes() for path in figures.rglob("*") if path.is_file()} == before


def test_force_runs_what_is_unchanged(ran: tuple[Path, list[Result]]) -> None:
    assert reproduce(ran[0], only=["03"], force=True) == [Result("03_plain", "done")]


def test_dead_kernel_is_reported_and_its_notebook_kept(tmp_path: Path) -> None:
    notebooks = make_repository(tmp_path)
    write_notebook(notebooks / "04_dies.ipynb", "import os; os._exit(1)", parameters=None)
    (result,) = reproduce(notebooks)
    assert result.status == "failed" and result.failure.startswith("code cell 1 (In [1]): the kernel died")
    assert result.kept is not None and result.kept.exists()


# What is checked before anything runs.


def test_a_kernel_whose_port_was_taken_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebooks = make_repository(tmp_path)
    write_notebook(notebooks / "00_counts.ipynb", "print('ran')", parameters=None)
    find = LocalPortCache.find_available_port
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        given = iter([other.getsockname()[1]])
        monkeypatch.setattr(LocalPortCache, "find_available_port", lambda *to: next(given, None) or find(*to))
        assert reproduce(notebooks) == [Result("00_counts", "done")]
    assert next(given, None) is None
    assert outputs(tmp_path / "build" / "notebooks" / "simulated" / "00_counts.ipynb") == "ran\n"


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    folder = make_repository(tmp_path)
    write_notebook(folder / "01_good.ipynb", "raise RuntimeError('must not run')")
    write_notebook(folder / "02_other.ipynb", "raise RuntimeError", parameters=OTHER)
    (folder / "scratch.ipynb").write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"settings": ["sede=1"]}, "known are k, names, rows, seed, share, shown, strong"),
        ({"settings": ["sede=1", "seed=-1", "k=0"]}, r"--set sede: .*\n--set seed=-1: .*\n--set k=0: "),
        ({"settings": ["seed=abc"]}, r"seed=abc: .*integer.*; it wants int, such as 0$"),
        ({"settings": ["seed=-1"]}, "seed=-1: .*greater than or equal to 0"),
        ({"settings": ["seed=4294967296"]}, "seed=4294967296: .*less than"),
        ({"settings": ["seed=" + "9" * 5000]}, "seed=9+: .*integer"),
        ({"settings": ["rows=1.5"]}, "rows=1.5: .*wants int, such as 5"),
        ({"settings": ["rows=9"]}, "rows=9: .*less than or equal to 8"),
        ({"settings": ["k=0"]}, "k=0: .*greater than or equal to 1"),
        ({"settings": ["share=half"]}, "share=half: .*wants float, such as 0.5"),
        ({"settings": ["share=nan"]}, "share=nan: .*finite"),
        ({"settings": ["share=-inf"]}, "share=-inf: .*finite"),
        ({"settings": ["shown=maybe"]}, "shown=maybe: .*wants bool, such as False"),
        ({"settings": ["names=[a"]}, "names=.*wants list"),
        ({"settings": ["names=[]"]}, "names=.*at least 1 item"),
        ({"settings": ["strong=gpt-4-1106"]}, "strong=gpt-4.*not in the table; did you mean 'gpt-4-"),
        ({"settings": ["seed"]}, "name=value"),
        ({"settings": ["scale=full"]}, "use --scale full"),
        ({"only": ["07", "01", "x"]}, "--only 07, x fits no notebook; there are 01_good, 02_other"),
        ({"settings": ["k=" + "9" * 12]}, "k=9+: .*less than or equal to"),
        ({"data": "no/such.csv"}, "no such file"),
        ({"models": ["gpt-4"]}, "for an own table"),
        ({"data": "real", "missing": "drop"}, "for an own table"),
        ({"scale": "huge"}, "one of quick, full"),
        ({"jobs": 0}, "at least one"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(
    notebooks: Path, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        reproduce(notebooks, **arguments)  # type: ignore[arg-type]
    assert not (notebooks.parent / "build").exists()


def test_folder_without_notebooks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no notebook"):
        reproduce(tmp_path)


def test_parameters_go_to_the_notebooks_that_have_them(notebooks: Path) -> None:
    settings = ["seed=7", "share=0.25", "k=4", "shown=true", 'names=["b", "c"]']
    given = {"data": "real", "scale": "full"}
    first, second = plan_runs(discover(notebooks), notebooks, given=given, settings=settings)
    assert first.parameters == {
        "data": "real", "scale": "full", "seed": 7, "share": 0.25, "shown": True, "names": ["b", "c"],
    }  # fmt: skip
    assert second.parameters == {"data": "real", "k": 4}
    assert left_out([first, second], ["seed=7"]) == ["seed is no parameter of 02_other: not set there"]
    assert (first.cells, second.cells) == (2, 2)


def parameter(name: str, annotation: str, default: str) -> dict[str, str]:
    return {"name": name, "inferred_type_name": annotation, "default": default}


def test_text_stays_text_where_the_notebook_wants_text() -> None:
    assert convert("1", parameter("model", "str", '"a"')) == "1"


def test_a_path_is_handed_over_from_the_root_and_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cards.toml").touch()
    cards, answers = parameter("models_file", "str", '""'), parameter("store_file", "str", '""')
    assert convert("cards.toml", cards) == str(tmp_path / "cards.toml")
    assert convert("", cards) == convert("", answers) == ""
    assert convert("answers.db", answers) == str(tmp_path / "answers.db")
    with pytest.raises(UsageError, match=r"models_file=card\.toml"):
        convert("card.toml", cards)


def test_every_parameter_of_every_notebook_has_its_check() -> None:
    known = {}
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        known.update(papermill.inspect_notebook(str(path)))
    assert known.keys() - {"data", "scale"} <= VALUES.keys()
    for name in ("draws", "k", "seed", "comparable"):
        assert known.keys() >= {name}
    for name in known.keys() - {"data", "scale"}:
        default = json.loads(known[name]["default"])
        assert convert(str(default), known[name]) == default
        if not isinstance(default, str):
            for text in ("-1", "nan", "inf", "", "x", "-0.5"):
                with pytest.raises(UsageError, match=f"--set {name}={text}: "):
                    convert(text, known[name])


# A user's own table.

WIDE = """sample_id,prompt,eval_name,acme/a,acme/a|total_cost,acme/b,acme/b|total_cost
1,What is 1 + 1?,sums,1,0.001,0.5,0.0001
2,What is 1 + 2?,sums,1,0.002,,0.0001
3,What is 1 + 3?,sums,0,0.001,1,0.0001
"""
READING = """
from rb_support.load import load_outcomes
from rb_support.report import Report
import pandas as pd
outcomes = load_outcomes(data)
report = Report("08_own", outcomes.origin, {"data": data})
report.save_table(pd.DataFrame(outcomes.points(), index=outcomes.models), "own-x", title="X");
print(outcomes.models, outcomes.frame["task"].tolist(), outcomes.origin)
""".strip()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Repository whose one notebook reads a table and saves one, with `mine.csv` and `full.csv` in it."""
    write_notebook(make_repository(tmp_path) / "08_own.ipynb", READING, parameters='data: str = "x"')
    (tmp_path / "mine.csv").write_text(WIDE)
    (tmp_path / "full.csv").write_text(WIDE.replace("0.002,,", "0.002,1,"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def place(path: Path) -> str:
    return f"own/{path.stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"


def test_an_own_table_is_checked_before_a_kernel_starts(own: Path) -> None:
    for options, message in [
        ({}, r"mine\.csv.*row 2.*'acme/b'"),
        ({"models": ["acme/c"]}, r"model 'acme/c' is not in the table"),
        ({"columns": ["eval_name"]}, "NAME=COLUMN"),
        ({"columns": ["eval_name=topic"]}, "column 'topic' is not in the table"),
        ({"columns": ["prompt=eval_name"]}, "a column of that name already"),
    ]:
        with pytest.raises(UsageError, match=message):
            reproduce(own / "notebooks", data="mine.csv", **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="strong=acme/c: .*did you mean 'acme/b'"):
        write_notebook(own / "notebooks" / "09_two.ipynb", "1", parameters=OTHER)
        reproduce(own / "notebooks", data="full.csv", settings=["strong=acme/c"])
    assert not (own / "build").exists() and not (own / "figures").exists()


def test_an_own_table_is_read_as_the_loader_can(own: Path) -> None:
    (own / "mine.csv").write_text(WIDE.replace("eval_name", "topic"))
    options = {"columns": ["eval_name=topic"], "missing": "drop", "models": ["acme/b"]}
    assert reproduce(own / "notebooks", data="mine.csv", **options) == [Result("08_own", "done")]  # type: ignore[arg-type]
    shown = outputs(own / "build" / "notebooks" / place(own / "mine.csv") / "08_own.ipynb")
    assert shown.startswith("('acme/b',) ['sums', 'sums'] Origin(kind='own', name='mine.csv'")
    assert "rows dropped for a missing score or cost: 1" in shown


def test_own_tables_of_one_name_do_not_share_figures(own: Path) -> None:
    notebooks, other = own / "notebooks", own / "other" / "full.csv"
    other.parent.mkdir()
    other.write_text(WIDE.replace("0.002,,", "0.002,0,"))
    for path in (own / "full.csv", other):
        assert reproduce(notebooks, data=str(path)) == [Result("08_own", "done")]
        figures = own / "figures" / place(path)
        [item] = read_manifest(figures)["items"]
        assert item["data"] == {"kind": "own", "name": "full.csv"}
        record = json.loads((figures / "own-x.json").read_text())
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        assert record["data"]["files"] == [{"name": "full.csv", "sha256": sha256}]
        page = (figures / "index.html").read_text()
        assert "own data</span>" in page and "show other data" not in page
    assert reproduce(notebooks, data="full.csv") == [Result("08_own", "unchanged")]
    assert rebuild_all(own / "figures") == {place(own / "full.csv"): 1, place(other): 1}


def test_data_have_a_seed_apart_from_the_routers() -> None:
    seed = parameter("data_seed", "int", "0")
    assert convert("1", seed) == 1
    with pytest.raises(UsageError, match="data_seed=-1: "):
        convert("-1", seed)


@pytest.mark.parametrize("kind", ["simulated", "real"])
def test_a_table_is_own_whatever_its_file_says_of_itself(own: Path, kind: Kind) -> None:
    """Else a stranger's rows would stand among the committed figures, and as published ones."""
    path = own / "theirs.parquet"
    table = Outcomes.read(own / "full.csv")
    replace(table, origin=Origin(kind, "made rows")).to_parquet(path)
    assert reproduce(own / "notebooks", data="theirs.parquet") == [Result("08_own", "done")]
    record = json.loads((own / "figures" / place(path) / "own-x.json").read_text())
    assert record["data"]["kind"] == "own" and record["data"]["files"][0]["name"] == "theirs.parquet"
    assert [folder.name for folder in (own / "figures").iterdir()] == ["own"]


def test_data_folder_is_handed_over_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebooks = make_repository(tmp_path)
    write_notebook(notebooks / "08_own.ipynb", "import os; print(os.environ['RB_DATA_DIR'])", parameters=None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RB_DATA_DIR", "data")
    assert reproduce(notebooks) == [Result("08_own", "done")]
    shown = outputs(tmp_path / "build" / "notebooks" / "simulated" / "08_own.ipynb")
    assert shown == f"{tmp_path / 'data'}\n"


def test_fingerprint_sees_code_parameters_and_data_but_not_prose(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prints(settings: tuple[str, ...] = (), data: str = "real") -> str:
        given = {"data": data, "scale": "quick"}
        plan = plan_runs([notebooks / "01_good.ipynb"], tmp_path, given=given, settings=settings)[0]
        return fingerprint(plan, tmp_path)

    monkeypatch.setenv("RB_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("1")
    first = prints()
    assert prints() == first != prints(settings=("seed=1",))
    notebook = nbformat.read(notebooks / "01_good.ipynb", as_version=4)
    notebook.cells[0].source = "# Better words"
    nbformat.write(notebook, notebooks / "01_good.ipynb")
    assert prints() == first
    notebook.cells[-1].source = "1"
    nbformat.write(notebook, notebooks / "01_good.ipynb")
    second = prints()
    assert second != first
    simulated, mine = prints(data="simulated"), prints(data=str(tmp_path / "data" / "a.csv"))
    (tmp_path / "data" / "a.csv").write_text("12")
    assert prints() != second and prints(data="simulated") == simulated
    assert prints(data=str(tmp_path / "data" / "a.csv")) != mine


def test_state_holds_while_outputs_lie_unaltered(tmp_path: Path) -> None:
    output = tmp_path / "a.csv"
    output.write_text("1")
    state, other = (State(tmp_path / "state.json", made_from) for made_from in ("f", "g"))
    assert not state.holds()
    state.save([output])
    assert state.holds() and not other.holds()
    output.write_text("2")
    assert not state.holds()
    output.unlink()
    assert not state.holds()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"fingerprint": "f"}', b"\xff", b"[" * 100_000])
def test_a_damaged_state_is_named_and_its_notebook_runs(tmp_path: Path, content: bytes) -> None:
    state = State(tmp_path / "state.json", "f")
    state.path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"state\.json is damaged"):
        assert not state.holds()
    state.save([])
    assert state.holds()


# Kernels and progress.


def test_the_kernel_is_of_this_python_whatever_jupyter_path_offers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebooks = make_repository(tmp_path)
    write_notebook(notebooks / "01_good.ipynb", "import sys; print(sys.executable)", parameters=None)
    spec = {"argv": ["/bin/false"], "display_name": "Python 3", "language": "python"}
    offered = tmp_path / "kernels" / "python3" / "kernel.json"
    offered.parent.mkdir(parents=True)
    offered.write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert reproduce(notebooks) == [Result("01_good", "done")]
    shown = outputs(tmp_path / "build" / "notebooks" / "simulated" / "01_good.ipynb")
    assert shown == f"{sys.executable}\n"


def test_a_kernel_that_does_not_start_is_reported_with_its_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_notebook(make_repository(tmp_path) / "01_good.ipynb", "1", parameters=None)
    (tmp_path / "ipykernel_launcher.py").write_text("raise SystemExit('no kernel here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (result,) = reproduce(tmp_path / "notebooks")
    assert result.failure == "its kernel does not start: no kernel here"


def test_progress_within_a_notebook_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_notebook(make_repository(tmp_path) / "01_good.ipynb", *["1"] * 7)
    reproduce(tmp_path / "notebooks")
    lines = capsys.readouterr().out.splitlines()
    told = [f"       01_good: {cells} of 8 cells" for cells in (2, 4, 6)]
    assert lines[:3] == told and lines[3].startswith("done   01_good  (")


# Refreshing outputs in place.

SLIDER = """
from rb_support.teach import explore
def draw(fig, k=2):
    fig.subplots().plot([0, k])
explore(draw, strip={"k": (1, 2, 3)}, origin=None, k=(1, 3))
"""


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes], list[Result]]:
    notebooks = make_repository(tmp_path_factory.mktemp("refresh"))
    printing = "import sys\nprint('a')\nprint('b', file=sys.stderr)\nprint('c')"
    write_notebook(notebooks / "01_good.ipynb", SLIDER, printing, "data, seed", "object()")
    write_notebook(notebooks / "02_bad.ipynb", "1", "1 / 0")
    write_notebook(notebooks / "03_path.ipynb", "1", "import sys; sys.prefix", parameters=None)
    before = {path.name: path.read_bytes() for path in notebooks.iterdir()}
    return notebooks, before, refresh(notebooks, jobs=2)


def test_refresh_puts_outputs_and_counts_in_place(
    refreshed: tuple[Path, dict[str, bytes], list[Result]],
) -> None:
    notebooks, _, results = refreshed
    assert results[0] == Result("01_good", "done")
    notebook = nbformat.read(notebooks / "01_good.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, 5]
    assert code[3].outputs[0]["data"]["text/plain"] == "('simulated', 0)"
    assert sorted(output["text"] for output in code[2].outputs) == ["a\nc\n", "b\n"]


def test_refresh_leaves_no_trace_of_the_run(refreshed: tuple[Path, dict[str, bytes], list[Result]]) -> None:
    notebook = nbformat.read(refreshed[0] / "01_good.ipynb", as_version=4)
    assert dict(notebook.metadata) == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert [dict(cell.metadata) for cell in notebook.cells] == [{}, {"tags": ["parameters"]}, *[{}] * 4]
    (figure,) = notebook.cells[2].outputs
    assert "image/png" in figure["data"]
    assert notebook.cells[5].outputs[0]["data"]["text/plain"] == "<object>"


def test_refresh_keeps_notebooks_that_failed_or_show_this_machine(
    refreshed: tuple[Path, dict[str, bytes], list[Result]],
) -> None:
    notebooks, before, (_, failed, path) = refreshed
    assert failed.failure == "code cell 3 (In [3]): ZeroDivisionError: division by zero"
    assert path.failure.startswith("output of code cell 2 shows a folder of this machine")
    for name in ("02_bad.ipynb", "03_path.ipynb"):
        assert (notebooks / name).read_bytes() == before[name]
    assert {item.name for item in notebooks.iterdir()} == set(before)


def test_a_second_refresh_changes_nothing(refreshed: tuple[Path, dict[str, bytes], list[Result]]) -> None:
    notebook = refreshed[0] / "01_good.ipynb"
    first = notebook.read_bytes()
    assert refresh(refreshed[0], only=["01"]) == [Result("01_good", "done")]
    assert notebook.read_bytes() == first


def test_a_notebook_and_its_solution_of_the_same_name_are_refreshed_side_by_side(tmp_path: Path) -> None:
    notebooks = make_repository(tmp_path)
    for folder in (notebooks, notebooks / "solutions"):
        folder.mkdir(exist_ok=True)
        write_notebook(folder / "01_good.ipynb", f"print({folder.name!r})", parameters=None)
    assert refresh(notebooks, jobs=2) == [Result("01_good", "done")] * 2
    assert outputs(notebooks / "01_good.ipynb") == "notebooks\n"
    assert outputs(notebooks / "solutions" / "01_good.ipynb") == "solutions\n"


# Interruptions, from outside as a terminal or a scheduler would.


def start_sleeping(root: Path, *before: str) -> tuple[subprocess.Popen[str], int]:
    """Start `reproduce` on a notebook that ends in sleep; the process and its kernel's process id."""
    notebooks = make_repository(root)
    sleeping = (
        "import os, time, pathlib\npathlib.Path('../pid').write_text(str(os.getpid()))\ntime.sleep(120)"
    )
    write_notebook(notebooks / "01_good.ipynb", *before, sleeping)
    write_notebook(notebooks / "02_next.ipynb", "print('never')", parameters=None)
    process = start(
        [sys.executable, "-m", "rb_support", "reproduce", "--jobs", "1"],
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for(lambda: (root / "pid").exists() and (root / "pid").read_text() != "")
    return process, int((root / "pid").read_text())


@pytest.mark.parametrize("inherited", [signal.SIG_IGN, signal.SIG_DFL])
def test_programs_hear_ctrl_c_whatever_the_tests_inherited(inherited: signal.Handlers) -> None:
    before = signal.signal(signal.SIGINT, inherited)
    try:
        code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
        process = start([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert signal.getsignal(signal.SIGINT) == inherited
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.communicate(timeout=60)[0] == "True\n"


def test_interruption_stops_kernels_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    process, kernel = start_sleeping(tmp_path, REPORTING)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("Interrupted")
    assert is_gone(kernel)
    assert hidden_files(tmp_path) == []
    written = [path.name for path in (tmp_path / "build").rglob("*") if path.is_file()]
    assert written == []
    assert len(read_manifest(tmp_path / "figures" / "simulated")["items"]) == 1


def test_kernels_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    process, kernel = start_sleeping(tmp_path)
    process.kill()
    process.communicate(timeout=60)
    wait_for(lambda: is_gone(kernel))


def test_long_notebooks_are_begun_first_and_results_keep_their_order(tmp_path: Path) -> None:
    notebooks = make_repository(tmp_path)
    for name in ("01_short", "03_long"):
        write_notebook(notebooks / f"{name}.ipynb", f"open('../order', 'a').write('{name} ')")
    results = reproduce(notebooks, only=["01_short", "03"], jobs=1)
    assert [result.notebook for result in results] == ["01_short", "03_long"]
    assert (tmp_path / "order").read_text().split() == ["03_long", "01_short"]
