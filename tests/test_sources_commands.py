"""`python -m rb_support data`: what it prints, on which stream, and its exit codes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from sources_made import put
from typer.testing import CliRunner, Result

from rb_support.app.data import app
from rb_support.sources import SOURCES, Source, SourceFile

GOOD = b"good bytes"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two made sources: `made` with two files, both here, and `trusted` without a known hash, not here."""

    def file(name: str, known: bool = True) -> SourceFile:
        sha256 = hashlib.sha256(GOOD).hexdigest() if known else None
        return SourceFile(name, f"http://127.0.0.1:9/{name}", len(GOOD), sha256)

    sources = {
        "made": Source("made", "Made", "MIT", "nobody", (file("a.txt"), file("b.txt"))),
        "trusted": Source("trusted", "Trusted", "none stated", "nobody", (file("c.txt", known=False),)),
    }
    monkeypatch.setitem(vars(SOURCES), "data", sources)
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("RB_DATA_DIR", str(tmp_path / "data"))
    for name in ("a.txt", "b.txt"):
        put(tmp_path / "data", name, GOOD)
    return tmp_path / "data"


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_list_shows_every_source() -> None:
    result = _run("list")
    assert result.exit_code == 0
    rows = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert "yes" in rows["made"].split()
    assert "MIT" in rows["made"].split()
    assert rows["made"].split()[1:3] == ["2", "20"]
    assert "no" in rows["trusted"].split()


def test_list_counts_what_is_here(data: Path) -> None:
    put(data, "a.txt", b"short")
    put(data, "b.txt", b"")
    assert "no" in _run("list").stdout.splitlines()[2].split()


def test_fetch_of_what_is_at_hand() -> None:
    result = _run("fetch", "made")
    assert (result.exit_code, result.stdout) == (0, "made: 2 files at hand and verified\n")


def test_fetch_of_what_cannot_be_reached(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "a.txt").unlink()
    (data / "b.txt").unlink()
    monkeypatch.setattr("time.sleep", lambda _: None)  # between tries
    result = _run("fetch", "made")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "Error: a.txt could not be downloaded from http://127.0.0.1:9/a.txt" in result.stderr


def test_fetch_without_the_flag() -> None:
    result = _run("fetch", "trusted")
    assert result.exit_code == 1
    assert "--allow-unverified" in result.stderr
    assert result.stderr.count("\n") == 1


def test_verify_of_sound_files() -> None:
    for arguments in (["verify"], ["verify", "made"]):
        result = _run(*arguments)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "made: 2 of 2 files verified\n", "")


def test_verify_of_an_altered_file(data: Path) -> None:
    put(data, "b.txt", b"other byte")
    result = _run("verify")
    assert result.exit_code == 1
    assert result.stdout == "made: 1 of 2 files verified\n"
    assert result.stderr.startswith(f"altered: {data / 'b.txt'} is not the published b.txt")


def test_verify_of_a_missing_file(data: Path) -> None:
    result = _run("verify", "trusted", "made")
    assert result.exit_code == 1
    assert result.stderr.startswith("missing: c.txt is not at hand")
    assert "made: 2 of 2 files verified" in result.stdout


def test_verify_of_nothing(data: Path) -> None:
    (data / "a.txt").unlink()
    (data / "b.txt").unlink()
    result = _run("verify")
    assert (result.exit_code, result.stdout) == (0, "nothing is at hand; `data list` shows what there is\n")


def test_path_prints_one_file_per_line(data: Path) -> None:
    result = _run("path", "made")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [str(data / "a.txt"), str(data / "b.txt")]


def test_path_with_the_flag(data: Path) -> None:
    put(data, "c.txt", GOOD)
    assert _run("path", "trusted").exit_code == 1
    assert _run("path", "trusted", "--allow-unverified").stdout == f"{data / 'c.txt'}\n"


@pytest.mark.parametrize("command", ["fetch", "verify", "path"])
def test_an_unknown_name_is_a_wrong_use(command: str) -> None:
    result = _run(command, "mad")
    assert result.exit_code == 2
    assert result.stderr == "Error: there is no source 'mad'; did you mean 'made'? known: made, trusted\n"


def test_a_wrong_setting_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RB_DATA_DIR", str(tmp_path / "none"))
    for command in (["list"], ["verify"], ["path", "made"], ["fetch", "made"]):
        result = _run(*command)
        assert result.exit_code == 1, command
        assert result.stderr.startswith("Error: RB_DATA_DIR is")
