"""The command line: help, exit codes and what is handed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from notebook_maker import REPORTING, make_repository, write_notebook
from typer.testing import CliRunner

import rb_support.app.reproduce
import rb_support.sources
from rb_support.__main__ import app
from rb_support.app.reproduce import Result
from rb_support.outcomes import Origin
from rb_support.report import Report

runner = CliRunner()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_notebook(make_repository(tmp_path) / "01_good.ipynb", REPORTING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RB_FIGURES_DIR", raising=False)
    return tmp_path


@pytest.mark.parametrize("command", [(), ("reproduce",), ("refresh",), ("gallery",), ("data",)])
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    result = runner.invoke(app, [*command, "--help"])
    assert result.exit_code == 0 and "Usage:" in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["reproduce", "--set", "sede=1"], "known are names, rows, seed, share, shown"),
        (["reproduce", "--only", "09"], "there are 01_good"),
        (["reproduce", "--scale", "huge"], "quick, full"),
        (["reproduce", "--jobs", "many"], "integer"),
        (["refresh", "--only", "09"], "there are 01_good"),
        (["no-such-command"], "no-such-command"),
    ],
)
def test_wrong_options_exit_with_2_and_say_what_is_right(
    repository: Path, options: list[str], message: str
) -> None:
    result = runner.invoke(app, options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_outside_a_repository_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, ["reproduce"])
    assert result.exit_code == 2 and "inside the repository" in result.output


def test_options_are_handed_on(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: dict[str, Any] = {}

    def recorded(notebooks: Path, **options: Any) -> list[Result]:
        handed.update(options, notebooks=notebooks)
        return [Result("01_good", "done"), Result("02_x", "unchanged")]

    monkeypatch.setattr(rb_support.app.reproduce, "reproduce", recorded)
    monkeypatch.setattr(rb_support.sources, "locate_routerbench", lambda: None)
    options = ["--data", "real", "--scale", "full", "--only", "01", "--only", "02", "--jobs", "3"]
    result = runner.invoke(
        app, ["reproduce", *options, "--set", "seed=1", "--set", "k=2", "--force", "--out", "o"]
    )
    assert (result.exit_code, result.output) == (0, "1 run, 1 unchanged, 0 failed\n")
    assert handed == {
        "notebooks": repository / "notebooks", "data": "real", "scale": "full", "only": ["01", "02"],
        "jobs": 3, "settings": ["seed=1", "k=2"], "force": True, "figures": Path("o"),
        "models": (), "missing": "raise", "columns": (),
    }  # fmt: skip


def test_a_failed_notebook_exits_with_1_and_is_named(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = repository / "build" / "01_good.failed.ipynb"
    failed = Result("01_good", "failed", "code cell 2 (In [2]): ValueError: bad", kept)
    monkeypatch.setattr(rb_support.app.reproduce, "refresh", lambda *_, **__: [failed])
    result = runner.invoke(app, ["refresh"])
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "0 run, 0 unchanged, 1 failed",
        "01_good: code cell 2 (In [2]): ValueError: bad",
        "  kept as build/01_good.failed.ipynb",
    ]


def test_interruption_exits_with_130(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rb_support.app.reproduce, "reproduce", interrupted)
    assert runner.invoke(app, ["reproduce"]).exit_code == 130


def test_gallery_is_rebuilt_from_the_records(repository: Path) -> None:
    Report("n", Origin("own", "mine"), folder=repository / "figures").save_table(
        pd.DataFrame({"x": [1]}), "own-x", title="X"
    )
    (repository / "figures" / "own" / "index.html").unlink()
    result = runner.invoke(app, ["gallery"])
    assert (result.exit_code, result.output) == (0, "figures/own/index.html: 1 items\n")
    assert (repository / "figures" / "own" / "index.html").is_file()


def test_real_data_that_is_absent_is_said_before_anything_runs(tmp_path: Path) -> None:
    environment = {"RB_CACHE_DIR": str(tmp_path), "RB_DATA_DIR": ""}
    result = runner.invoke(app, ["reproduce", "--data", "real"], env=environment)
    assert result.exit_code == 2
    assert "rb_support data fetch" in result.output and "RB_DATA_DIR" in result.output
