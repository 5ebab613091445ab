"""Sweeps: routers by name and from a file, rows kept one by one, the same bytes however they came about."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import start, wait_for
from sweep_made import ROUTERS, made_csv
from typer.testing import CliRunner

from rb_support.__main__ import app
from rb_support.app import sweep as command
from rb_support.routers import KNNRouter
from rb_support.studies import board_run, lineup, sweep
from rb_support.studies.board_tables import load_material
from rb_support.studies.cluster import ClusterError, connected
from rb_support.studies.fit_process import Budget, FitProcess, Job, WorkerError, code, row_of
from rb_support.studies.fits import Asked, Material
from rb_support.studies.lineup import RouterError, made
from rb_support.studies.sweep import Store, merge, product

pytest.importorskip("distributed", reason="dask is not installed")
runner = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """With a table, own routers, and a cache that is empty."""
    root = tmp_path_factory.mktemp("sweep")
    made_csv(root / "made.csv")
    (root / "mine.py").write_text(ROUTERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RB_CACHE_DIR", str(root / "cache"))
        yield root


@pytest.fixture(scope="module")
def material(folder: Path) -> Material:
    return load_material(str(folder / "made.csv"), "tfidf")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Any]:
    with connected(workers=2) as client:
        yield client


@pytest.fixture(scope="module")
def process() -> Iterator[FitProcess]:
    process = FitProcess()
    yield process
    process.stop()


def asked(folder: Path, *routers: str, seeds: int = 2, **others: Any) -> list[Asked]:
    return product([str(folder / "made.csv")], routers, range(seeds), ["tfidf"], **others)


def own(folder: Path, name: str) -> str:
    return f"{folder / 'mine.py'}:{name}"


def job(folder: Path, material: Material, router: str) -> Job:
    each = asked(folder, router)[0]
    return Job(each, material.sha256, each.table, code(), lineup.own_text(router))


# Routers by name


def test_settings_replace_a_routers_own() -> None:
    router: Any = made("knn(k=7, shrink=True)")(3)
    assert isinstance(router, KNNRouter) and (router.k, router.shrink, router.seed) == (7, True, 3)
    assert made("knn")(0).k == 40 and made("mlp-ensemble")(0).members == 5  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", lineup.ROUTERS)
def test_every_router_of_the_lineup_can_be_made(name: str) -> None:
    router = made(name)(0)
    assert callable(router.fit) and callable(router.predict)


@pytest.mark.parametrize("name", ["placebo", "knn", "ridge"])
def test_a_router_of_the_lineup_fits_a_small_table(name: str, folder: Path, material: Material) -> None:
    row = row_of(asked(folder, name)[0], material)
    assert row["error"] == "" and np.isfinite(row["lead"]) and row["seconds_fit"] > 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kNN", "there are placebo, random, knn,"),
        ("knn(q=3)", "no setting q; there are: k, shrink"),
        ("knn(k=print(1))", "must be literals with names, such as k=10"),
        ("knn(10)", "needs a name"),
        ("knn(**{'k': 3})", "must be literals"),
        ("knn(k=1", "must be literals with names|no name of a router"),
        ("", "no name of a router|no router is called"),
        ("nowhere.py:Mine", "nowhere.py cannot be read"),
        ("MINE:Gone", "no class or function 'Gone'; it has Mean, Seeded"),
        ("MINE:number", "no class or function 'number'"),
        ("MINE:Mean(depth=1)", "no setting depth; there are: weight"),
        ("MINE:Deaf", "has no predict; a router has fit"),
        ("BROKEN:Mine", "cannot be run: SyntaxError"),
    ],
)
def test_a_router_that_is_not_there_is_said_with_what_is(name: str, message: str, folder: Path) -> None:
    (folder / "broken.py").write_text("class Mine(:\n")
    with pytest.raises(RouterError, match=message):
        made(name.replace("MINE", str(folder / "mine.py")).replace("BROKEN", str(folder / "broken.py")))(0)


def test_ones_own_router_from_a_file_gets_the_seed_if_it_takes_one(folder: Path) -> None:
    assert made(own(folder, "Mean(weight=2)"))(5).weight == 2  # type: ignore[attr-defined]
    assert made(own(folder, "Seeded"))(5).seed == 5  # type: ignore[attr-defined]
    assert made(own(folder, "made_by_a_function"))(5).weight == 0  # type: ignore[attr-defined]
    text = lineup.own_text(own(folder, "Mean"))
    assert made("/elsewhere/mine.py:Mean", text)(0).weight == 0.1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("Raises", "^KeyError: 'no such thing as <object object at 0x>'$"),
        ("Leaves", "SystemExit: enough"),
        ("Narrow", r"predict gave an array of shape \(\d+, 1\) for \d+ prompts and 3 models, not \(\d+, 3\)"),
        ("Nan", r"predict gave (\d+) of \1 values that are no numbers"),
        ("Dear", r"predict_cost gave an array of shape \(\d+,\)"),
    ],
)
def test_a_router_that_fails_is_a_row_with_its_error(
    name: str, error: str, folder: Path, material: Material
) -> None:
    row = row_of(asked(folder, own(folder, name))[0], material)
    assert re.search(error, row["error"]) and "lead" not in row
    assert sweep.as_table(row)["lead"].null_count == 1


# What is kept


def rows_of(table: Any) -> dict[str, Any]:
    return table.to_pylist()[0]


def test_a_row_comes_back_as_it_was_kept(tmp_path: Path, folder: Path, material: Material) -> None:
    store, row = Store(tmp_path), sweep.as_table(row_of(asked(folder, "knn(k=3)")[0], material))
    assert store.read("a") is None
    store.write("a", row)
    assert rows_of(store.read("a")) == rows_of(row) and len(row["lead_draws"][0]) == 400
    with pytest.raises(ValueError, match="no columns x"):
        sweep.as_table({"x": 1})


@given(data=st.data())
@settings(max_examples=60)
def test_a_damaged_file_is_put_aside_and_never_read_as_another_row(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(tmp_path_factory.mktemp("damaged"))
    row = sweep.as_table({"table": "x", "lead": 0.25, "lead_draws": [float(i) for i in range(400)]})
    store.write("a", row)
    path = store.folder / "a.parquet"
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), "cut"):
        del content[data.draw(st.integers(0, len(content) - 1), "length") :]
    else:
        content[data.draw(st.integers(0, len(content) - 1), "place")] ^= data.draw(
            st.integers(1, 255), "bits"
        )
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        aside: list[Path] = []
        patch.setattr(sweep, "put_aside", lambda path, why: aside.append(path))
        found = store.read("a")
    assert (found is None) == (aside == [path])
    assert found is None or rows_of(found) == rows_of(row)


def test_a_damaged_row_is_made_again_and_kept_beside(
    tmp_path: Path, folder: Path, material: Material
) -> None:
    store, wanted = Store(tmp_path), asked(folder, "knn(k=3)", seeds=1)
    first = sweep.here(wanted, {(wanted[0].table, "tfidf"): material}, store)
    (path,) = store.folder.glob("*.parquet")
    path.write_bytes(b"")
    with pytest.warns(UserWarning, match="was damaged"):
        again = sweep.here(wanted, {(wanted[0].table, "tfidf"): material}, store)
    pd.testing.assert_frame_equal(first, again)
    assert len(list(store.folder.glob("*.damaged"))) == 1 and path.exists()


def test_what_is_there_is_not_done_again_and_other_codes_rows_are_counted(
    tmp_path: Path, folder: Path, material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, wanted = Store(tmp_path), asked(folder, own(folder, "Mean"), "knn(k=3)")
    given = {(wanted[0].table, "tfidf"): material}
    first = sweep.here(wanted, given, store)
    assert list(first["router"]) == [each.router for each in wanted] and (first["error"] == "").all()
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "row_of", lambda *_: pytest.fail("it was there"))
        pd.testing.assert_frame_equal(first, sweep.here(wanted, given, store))
    monkeypatch.setattr(sweep, "code", lambda: "f" * 64)
    assert Store(tmp_path).of_other_code() == 4 and store.of_other_code() == 0
    done: list[Asked] = []
    monkeypatch.setattr(sweep, "row_of", lambda each, *_: done.append(each) or row_of(each, material))
    sweep.here(wanted[2:], given, Store(tmp_path))
    assert done == wanted[2:]


def test_another_text_of_ones_own_router_is_another_router(tmp_path: Path, material: Material) -> None:
    path, store = tmp_path / "mine.py", Store(tmp_path)
    wanted = [Asked("made", f"{path}:made_by_a_function", 0)]
    given = {("made", "minilm"): material}
    path.write_text(ROUTERS)
    flat = sweep.here(wanted, given, store)
    path.write_text(ROUTERS.replace("Mean(weight=0.0)", "Mean(weight=-9.0)"))
    steep = sweep.here(wanted, given, store)
    assert flat["constant"].all() and not steep["constant"].any()


def test_what_lies_beside_ones_own_router_belongs_to_it(tmp_path: Path, material: Material) -> None:
    """Whether it is imported at the top or in a function; and what the router imports not, does not."""
    path, store = tmp_path / "mine.py", Store(tmp_path)
    path.write_text(
        ROUTERS + "\n\ndef leaning():\n    from deep.down import weight\n    return Mean(weight)\n"
    )
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "__init__.py").touch()
    (tmp_path / "deep" / "down.py").write_text("from shift import weight\n")
    constant, digests = [], []
    for weight in (0.0, -9.0, 0.0):
        (tmp_path / "shift.py").write_text(f"weight = {weight}\n")
        (tmp_path / "other.py").write_text(f"weight = {weight} + {len(digests)}\n")
        digests.append(lineup.own_digest(f"{path}:leaning"))
        row = sweep.here([Asked("made", f"{path}:leaning", 0)], {("made", "minilm"): material}, store)
        constant.append(bool(row["constant"].all()))
    assert constant == [True, False, True] and digests[0] == digests[2] != digests[1]
    assert lineup.own_digest("knn(k=3)") == "" == lineup.own_digest("/elsewhere/mine.py:Mean")


def test_this_package_is_none_of_what_lies_beside_ones_own_router(tmp_path: Path) -> None:
    """A file in a clone's own folder, where the package lies: its modules must not be imported anew."""
    (tmp_path / "mine.py").write_text("from rb_support.routers import KNNRouter as Mine\n")
    (tmp_path / "rb_support").mkdir()
    (tmp_path / "rb_support" / "__init__.py").write_text("raise RuntimeError\n")
    name = f"{tmp_path / 'mine.py'}:Mine"
    before = lineup.own_digest(name)
    (tmp_path / "rb_support" / "__init__.py").touch()
    (tmp_path / "rb_support" / "__init__.py").write_text("")
    assert lineup.own_digest(name) == before and isinstance(made(name)(0), KNNRouter)


def test_a_fit_that_failed_is_tried_again(tmp_path: Path, material: Material) -> None:
    path, lies, store = tmp_path / "mine.py", tmp_path / "weight.txt", Store(tmp_path)
    reading = f"    return Mean(float(open({str(lies)!r}).read()))\n"
    path.write_text(f"{ROUTERS}\n\ndef told():\n{reading}")
    wanted, given = [Asked("made", f"{path}:told", 0)], {("made", "minilm"): material}
    [missing] = sweep.here(wanted, given, store)["error"]
    assert "told cannot be made: FileNotFoundError" in missing and not [*tmp_path.rglob("*.parquet")]
    lies.write_text("0")
    assert (
        sweep.here(wanted, given, store)["error"].tolist() == [""]
        and len([*tmp_path.rglob("*.parquet")]) == 1
    )


# A process that fits


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("Sleeps", "over the budget of 0.5 seconds"),
        ("Eats", "over the budget of 1.2 GB of memory"),
        ("Exits", "its process ended under it, 2 times (exit code 3)"),
    ],
)
def test_a_router_that_takes_too_much_ends_itself_alone(
    name: str, error: str, folder: Path, material: Material, process: FitProcess
) -> None:
    seconds = 0.5 if name == "Sleeps" else 120
    row = process.row(job(folder, material, own(folder, name)), Budget(seconds, 1_200_000_000))
    assert row["error"] == error and row.get("over", False) == (name != "Exits")
    after = process.row(job(folder, material, "knn(k=3)"), Budget())
    alone = row_of(asked(folder, "knn(k=3)")[0], material)
    assert after["error"] == "" and after["lead"] == alone["lead"]
    assert np.array_equal(after["lead_draws"], alone["lead_draws"])


def test_a_table_can_be_sent_and_other_code_or_rows_are_refused(
    folder: Path, material: Material, process: FitProcess
) -> None:
    good = job(folder, material, "knn(k=3)")
    hidden = good._replace(source="/nowhere/made.csv")
    with pytest.raises(WorkerError, match="made.csv"):
        process.row(hidden, Budget())
    assert process.row(hidden, Budget(), material)["error"] == ""
    with pytest.raises(WorkerError, match="other code"):
        process.row(good._replace(code="x"), Budget())
    with pytest.raises(WorkerError, match="other rows or vectors"):
        process.row(good._replace(sha256="x"), Budget())


def test_a_fit_whose_process_is_killed_is_done_again(folder: Path, material: Material) -> None:
    process, rows = FitProcess(), []
    name = own(folder, "Sleeps")
    waits = threading.Thread(
        target=lambda: rows.append(process.row(job(folder, material, name), Budget(0.5)))
    )
    waits.start()
    while process._process is None:
        time.sleep(0.01)
    first = process._process.pid
    os.kill(first, signal.SIGKILL)
    waits.join()
    assert rows[0]["error"] == "over the budget of 0.5 seconds" and not psutil.pid_exists(first)


# On dask


def digests(rows: dict[Asked, Any], folder: Path) -> bytes:
    merge(rows, folder)
    return (folder / "results.parquet").read_bytes()


def test_shuffled_or_not_here_or_on_workers_the_bytes_are_the_same(
    client: Any, folder: Path, material: Material, tmp_path: Path
) -> None:
    names = ["knn(k=3)", "ridge", "placebo", own(folder, "Mean"), own(folder, "Raises")]
    wanted = asked(folder, *names, labels=("true", "shuffled"))
    told: list[dict[str, Any]] = []
    two = digests(sweep.on(client, wanted, Store(tmp_path / "two"), tell=told.append), tmp_path / "2")
    assert len(told) == len(wanted) and sum(bool(row["error"]) for row in told) == 4
    mixed = [wanted[i] for i in np.random.default_rng(0).permutation(len(wanted))]
    half = Store(tmp_path / "half")
    sweep.here(mixed[:11], {(wanted[0].table, "tfidf"): material}, half)
    assert digests(sweep.on(client, mixed, half), tmp_path / "h") == two
    timings = pd.read_parquet(tmp_path / "2" / "timings.parquet")
    results = pd.read_parquet(tmp_path / "2" / "results.parquet")
    assert (timings["seconds"] > 0).all() and timings["worker"].str.startswith("tcp://").all()
    assert not {"seconds", "worker"} & set(results) and timings["router"].equals(results["router"])


def test_a_fit_over_its_budget_is_kept_for_this_budget_alone(
    client: Any, folder: Path, tmp_path: Path
) -> None:
    wanted, store = asked(folder, own(folder, "Sleeps"), "knn(k=3)", seeds=1), Store(tmp_path)
    rows = sweep.on(client, wanted, store, budget=Budget(2))
    assert sorted(rows_of(row)["error"] for row in rows.values()) == ["", "over the budget of 2 seconds"]
    before = {path: path.stat().st_mtime_ns for path in store.folder.iterdir()}
    sweep.on(client, wanted, store, budget=Budget(2))
    assert before == {path: path.stat().st_mtime_ns for path in store.folder.iterdir()}
    rows = sweep.on(client, wanted, store, budget=Budget(2.5))
    assert "over the budget of 2.5 seconds" in [rows_of(row)["error"] for row in rows.values()]


def test_what_took_more_than_a_budget_is_no_result_within_it(
    client: Any, folder: Path, tmp_path: Path
) -> None:
    wanted, store = asked(folder, own(folder, "Naps"), seeds=1), Store(tmp_path)
    [free] = sweep.on(client, wanted, store).values()
    [held] = sweep.on(client, wanted, store, budget=Budget(0.3)).values()
    [wide] = sweep.on(client, wanted, store, budget=Budget(60)).values()
    assert rows_of(held)["error"] == "over the budget of 0.3 seconds"
    assert rows_of(free)["error"] == "" and wide.equals(free)


def test_a_worker_that_sees_no_files_is_sent_the_table(
    client: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = asked(folder, "knn(k=3)", "ridge")
    seen = digests(sweep.on(client, wanted, Store(tmp_path / "seen")), tmp_path / "seen")
    monkeypatch.setenv("RB_DATA_DIR", str(tmp_path))  # here, not on the workers
    assert not sweep._share_files(client, wanted)
    assert digests(sweep.on(client, wanted, Store(tmp_path / "sent")), tmp_path / "sent") == seen


def test_a_worker_that_is_killed_changes_nothing(folder: Path, material: Material, tmp_path: Path) -> None:
    wanted = asked(folder, "knn(k=3)", "ridge", "placebo", seeds=3)
    with connected(workers=2) as client:
        pids, killed = client.run(os.getpid), []

        def kill(row: dict[str, Any]) -> None:
            if not killed:
                killed.append(pids[row["worker"]])
                os.kill(killed[0], signal.SIGKILL)

        broken = digests(sweep.on(client, wanted, Store(tmp_path / "a"), tell=kill), tmp_path / "a")
        sweep.here(wanted, {(wanted[0].table, "tfidf"): material}, Store(tmp_path / "b"))
        whole = digests(sweep.on(client, wanted, Store(tmp_path / "b")), tmp_path / "b")
    assert killed and broken == whole


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Scheduler and worker in processes of their own: address, and the scheduler."""
    told, silent = tmp_path / "scheduler.json", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    base, both = [sys.executable, "-m", "dask"], ["--scheduler-file", str(told), "--no-dashboard"]
    scheduler = start([*base, "scheduler", "--host", "127.0.0.1", "--port", "0", *both], **silent)
    worker = start([*base, "worker", "--nthreads", "2", *both], **silent)
    while not told.exists():
        time.sleep(0.05)
    yield pd.read_json(told, typ="series")["address"], scheduler
    scheduler.kill()
    worker.terminate()
    worker.wait()


def test_a_scheduler_used_by_address_that_is_lost_is_said_and_the_next_call_goes_on(
    cluster: tuple[str, subprocess.Popen[str]], client: Any, folder: Path, tmp_path: Path
) -> None:
    address, scheduler = cluster
    wanted, store = asked(folder, "knn(k=3)", "ridge", "placebo", seeds=6), Store(tmp_path)
    with pytest.raises(ClusterError, match="scheduler was lost"), connected(address) as other:
        sweep.on(other, wanted, store, tell=lambda row: scheduler.kill())
    kept = len(list(store.folder.glob("*.parquet")))
    assert 1 <= kept < len(wanted)
    told: list[dict[str, Any]] = []
    assert len(sweep.on(client, wanted, store, tell=told.append)) == len(told) == len(wanted)


def test_no_dask_no_answer_and_no_say_over_others_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError, match="no scheduler answers at nonsense://x"), connected("nonsense://x"):
        pass
    with pytest.raises(ClusterError, match="its own"), connected("tcp://127.0.0.1:1", 2):
        pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"pip install 'rb-support\[sweep\]'"), connected():
        pass


def test_workers_keep_to_one_thread(client: Any) -> None:
    for found in client.run(
        lambda: [os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")]
    ):
        assert client.run(os.environ.get, "OMP_NUM_THREADS")[found] == "1"
    assert set(client.nthreads().values()) == {1}


# The command


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--router", "kNN"], 2, "there are placebo"),
        (["--router", "knn(q=1)"], 2, "no setting q"),
        (["--seeds", "few"], 2, "0..9"),
        (["--labels", "false"], 2, "true, shuffled"),
        (["--share", "2"], 2, "at most 1"),
        (["--memory", "much"], 2, "such as 500MB or 2GB"),
        (["--table", "nowhere.csv"], 2, "nor one of real, simulated"),
        (["--seeds", "0"], 2, "names none"),
        (["--seeds", "3..1"], 2, "names none"),
        (["--grid", "k=1"], 2, "--grid: only with --notebook"),
        (["--data", "mine.csv", "--scale", "full"], 2, "--data, --scale: only with --notebook"),
        (
            ["--notebook", "00", "--router", "knn", "--seconds", "1"],
            2,
            "--router, --seconds: not with --notebook",
        ),
        (["--board", "--labels", "true"], 2, "--labels: not with --board"),
        (["--router", "MINE:Needs"], 2, "mine.py:Needs cannot be made: TypeError"),
        (["--workers", "0"], 2, "workers"),
        (["--scheduler", "nonsense://x"], 3, "no scheduler answers"),
    ],
)
def test_wrong_options_are_said(options: list[str], code: int, message: str, folder: Path) -> None:
    options = [option.replace("MINE", str(folder / "mine.py")) for option in options]
    result = runner.invoke(app, ["sweep", *options])
    assert result.exit_code == code and message in result.output


def test_help_has_the_line_that_installs_what_is_needed() -> None:
    assert "pip install 'rb-support[sweep]'" in runner.invoke(app, ["sweep", "--help"]).output


def test_an_unusable_table_is_said(folder: Path) -> None:
    (folder / "empty.csv").write_text("prompt\n")
    result = runner.invoke(app, ["sweep", "--table", str(folder / "empty.csv"), "--workers", "1"])
    assert result.exit_code == 1 and "Error: " in result.output


@pytest.mark.parametrize(
    ("text", "found"), [("3", [0, 1, 2]), ("0..2", [0, 1, 2]), ("3,5", [3, 5]), ("7..8, 7", [7, 8])]
)
def test_seeds_as_one_writes_them(text: str, found: list[int]) -> None:
    assert command._seeds(text) == found


def test_sizes_as_one_writes_them() -> None:
    assert [command._bytes(text) for text in ("2GB", "500 mb", "1.5KiB", "7")] == [2e9, 5e8, 1536, 7]
    assert command._bytes(None) is None


def test_the_command_leaves_files_and_a_table_and_plain_lines(
    client: Any, folder: Path, tmp_path: Path
) -> None:
    names = [own(folder, "Mean"), own(folder, "Raises"), "knn(k=3)"]
    asks = [word for name in names for word in ("--router", name)]
    options = ["--table", str(folder / "made.csv"), "--embedding", "tfidf", "--seeds", "2", "--workers", "1"]
    result = runner.invoke(app, ["sweep", *asks, *options, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "6 of 6 fits, 2 errors" in result.output and "mean lead over the zero router" in result.output
    assert "KeyError: 'no such thing as <object object at 0x>' (2 fits)" in result.output
    rows = pd.read_parquet(tmp_path / "results.parquet")
    mean = rows[rows["router"] == "knn(k=3)"]["lead"].mean()
    assert len(rows) == 6 and f"{mean:+.4f}" in result.output
    assert len(pd.read_parquet(tmp_path / "timings.parquet")) == 6
    two = digests(sweep.on(client, asked(folder, *names), Store(tmp_path / "two")), tmp_path / "2")
    assert two == (tmp_path / "results.parquet").read_bytes()  # by one worker or by two


def test_ones_own_router_stands_on_the_board(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_run, "ROUTERS", ["placebo", "knn(k=3)"])
    monkeypatch.setattr(board_run, "BUNDLED", "tfidf")
    monkeypatch.setattr(board_run, "other_settings", lambda *_: [])
    options = ["--router", own(folder, "Mean"), "--router", own(folder, "Raises"), "--seeds", "3"]
    options += ["--table", str(folder / "made.csv"), "--workers", "1", "--out", str(tmp_path)]
    result = runner.invoke(app, ["sweep", "--board", *options])
    assert result.exit_code == 0, result.output
    board = pd.read_csv(tmp_path / "board.csv").set_index("router")
    mine = board.loc[own(folder, "Mean")]
    assert np.isfinite(mine[["lead", "low", "high", "rank", "shuffled"]].astype(float)).all()
    assert np.isnan(board.loc[own(folder, "Raises"), "lead"])
    assert f"{mine['lead']:+.4f}" in result.output and "lead over the zero router" in result.output
    assert "KeyError: 'no such thing as <object object at 0x>' (6 fits)" in result.output


def test_ctrl_c_ends_it_with_130_and_keeps_what_was_done(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    options = f"--embedding tfidf --seeds 50 --router ridge --workers 1 --out {tmp_path / 'out'}".split()
    process = start(
        [sys.executable, "-m", "rb_support", "sweep", "--table", str(folder / "made.csv"), *options],
        env={**os.environ, "RB_CACHE_DIR": str(cache)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: list(cache.glob("sweeps/fits/*/*.parquet")) or process.poll() is not None)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert "every row that was done is kept" in err and "Traceback" not in out + err
    psutil.wait_procs(children, timeout=20)
    assert not [child for child in children if child.is_running() and child.status() != "zombie"]
    assert not (tmp_path / "out").exists() and not list(cache.rglob("*.part"))
