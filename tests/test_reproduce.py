"""Runs of notebooks: what is refused before, left after, skipped, and what an interruption leaves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.provisioning.local_provisioner import LocalPortCache
from notebook_maker import REPORTING, make_repository, write_notebook
from processes import start

from rb_support.app.reproduce import Result, UsageError, refresh, reproduce
from rb_support.app.reproduce.plan import State, convert, discover, fingerprint, left_out, plan_runs
from rb_support.report.gallery import read_manifest

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
    write_notebook(folder / "02_other.ipynb", "raise RuntimeError", parameters="data: str = 'x'\nk: int = 3")
    (folder / "scratch.ipynb").write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"settings": ["sede=1"]}, "known are k, names, rows, seed, share, shown"),
        ({"settings": ["seed=abc"]}, "seed=abc: 01_good wants int, such as 0"),
        ({"settings": ["rows=1.5"]}, "01_good wants int, such as 5"),
        ({"settings": ["share=half"]}, "wants float, such as 0.5"),
        ({"settings": ["shown=maybe"]}, "wants bool, such as False"),
        ({"settings": ["names=[a"]}, "wants list"),
        ({"settings": ["seed"]}, "name=value"),
        ({"settings": ["scale=full"]}, "use --scale full"),
        ({"only": ["07"]}, "fits no notebook; there are 01_good, 02_other"),
        ({"data": "no/such.csv"}, "no such file"),
        ({"scale": "huge"}, "one of quick, full"),
        ({"jobs": 0}, "at least one"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(
    notebooks: Path, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message.replace("[", r"\[")):
        reproduce(notebooks, **arguments)  # type: ignore[arg-type]
    assert not (notebooks.parent / "build").exists()


def test_folder_without_notebooks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no notebook"):
        reproduce(tmp_path)


def test_parameters_go_to_the_notebooks_that_have_them(notebooks: Path) -> None:
    settings = ["seed=7", "share=0.25", "k=4", "shown=true", 'names=["b", "c"]']
    first, second = plan_runs(discover(notebooks), notebooks, data="real", scale="full", settings=settings)
    assert first.parameters == {
        "data": "real", "scale": "full", "seed": 7, "share": 0.25, "shown": True, "names": ["b", "c"],
    }  # fmt: skip
    assert second.parameters == {"data": "real", "k": 4}
    assert left_out([first, second], ["seed=7"]) == ["seed is no parameter of 02_other: not set there"]
    assert (first.cells, second.cells) == (2, 2)


def test_text_stays_text_where_the_notebook_wants_text() -> None:
    parameter = {"name": "model", "inferred_type_name": "str", "default": '"a"'}
    assert convert("1", parameter, "01") == "1"


def test_own_table_and_data_folder_are_handed_over_by_full_path_and_known_by_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebooks = make_repository(tmp_path)
    printing = "import os; print(open(data).read(), os.environ['RB_DATA_DIR'])"
    write_notebook(notebooks / "08_own.ipynb", printing, parameters='data: str = "x"')
    (tmp_path / "mine.csv").write_text("my rows")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RB_DATA_DIR", "data")
    assert reproduce(notebooks, data="mine.csv") == [Result("08_own", "done")]
    shown = outputs(tmp_path / "build" / "notebooks" / "own" / "08_own.ipynb")
    assert shown == f"my rows {tmp_path / 'data'}\n"
    assert reproduce(notebooks, data="mine.csv") == [Result("08_own", "unchanged")]
    (tmp_path / "mine.csv").write_text("other rows")
    plan = plan_runs(discover(notebooks), tmp_path, data=str(tmp_path / "mine.csv"))[0]
    record = tmp_path / "build" / "state" / "own-quick" / "08_own.json"
    assert not State(record, fingerprint(plan, tmp_path / "figures")).holds()


def test_fingerprint_sees_code_parameters_and_data_but_not_prose(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prints(settings: tuple[str, ...] = (), data: str = "real") -> str:
        plan = plan_runs(
            [notebooks / "01_good.ipynb"], tmp_path, data=data, scale="quick", settings=settings
        )[0]
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
    simulated = prints(data="simulated")
    (tmp_path / "data" / "a.csv").write_text("12")
    assert prints() != second and prints(data="simulated") == simulated


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


# Refreshing outputs in place.

SLIDER = """
import matplotlib.pyplot as plt
from rb_support.teach import explore
def draw(k=2):
    return plt.subplots(figsize=(k, 1))[0]
explore(draw, k=(1, 3))
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


def wait_for(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return f"{pid} (" in (status := Path(f"/proc/{pid}/stat").read_text()) and ") Z " in status


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
