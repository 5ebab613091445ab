"""`python -m rb_support data`: what it prints, on which stream, and its exit codes."""

from __future__ import annotations

import hashlib
import random
import shutil
import warnings
from collections.abc import Callable
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


def test_a_damaged_record_is_named_in_a_sentence(tmp_path: Path) -> None:
    path = put(tmp_path / "cache", "trusted.json", b"")
    result = _run("verify", "made")
    assert (result.exit_code, result.stdout) == (0, "made: 2 of 2 files verified\n")
    result = _run("verify", "trusted")
    assert result.stderr.startswith(f"Warning: {path} was damaged (")
    assert "missing: c.txt is not at hand" in result.stderr


def _folder(path: Path) -> None:
    path.unlink()
    (path / "within").mkdir(parents=True)


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


DAMAGE: dict[str, Callable[[Path, random.Random], object]] = {
    "empty": lambda path, _: path.write_bytes(b""),
    "cut": lambda path, rng: path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size + 1)]),
    "garbage": lambda path, rng: path.write_bytes(rng.randbytes(rng.randrange(1, 300))),
    "a bit": lambda path, rng: path.write_bytes(path.read_bytes() + bytes([rng.randrange(256)])),
    "other JSON": lambda path, rng: path.write_text(
        rng.choice(['{"c.txt": 5}', '{"c.txt": [[]]}', "[1]", "null"])
    ),
    "deep JSON": lambda path, _: path.write_text("[" * 100_000),
    "a folder": lambda path, _: _folder(path),
    "a link to itself": lambda path, _: _loop(path),
    "gone": lambda path, _: path.unlink(),
}


@pytest.mark.parametrize("seed", range(40))
def test_damage_to_its_own_files_never_ends_in_a_traceback(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Records, locks, downloads and published files alike; a sentence on stderr, and an exit code of ours."""
    rng, cache = random.Random(seed), tmp_path / "cache"
    put(data, "c.txt", GOOD)
    assert _run("path", "trusted", "--allow-unverified").exit_code == 0
    shutil.copytree(data, cache / "files")
    for part in ("hashes.json", "parsed.json"):
        put(cache, part, b'{"a": "b"}')
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    for path in rng.sample(files, rng.randrange(1, len(files))):
        DAMAGE[rng.choice(list(DAMAGE))](path, rng)
    commands = [["list"], ["verify"], ["verify", "made", "trusted"], ["fetch", "made"], ["path", "trusted"]]
    commands.append(["fetch", "trusted", "--allow-unverified"])
    for command in rng.sample(commands, len(commands)):
        with warnings.catch_warnings(action="ignore"):
            result = _run(*command)
        assert isinstance(result.exception, SystemExit | None), (command, result.exception)
        assert result.exit_code in (0, 1), command
        if result.exit_code:
            assert result.stderr.strip(), command


@pytest.mark.parametrize("place", ["cache", "cache/files", "cache/trusted.json.lock", "data"])
def test_a_file_where_a_folder_belongs_or_the_other_way_round(data: Path, tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    if path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(exist_ok=True)
    if place.endswith("lock"):
        path.mkdir()
    else:
        path.write_bytes(b"")
    for command in (
        ["list"],
        ["verify", "made"],
        ["fetch", "made"],
        ["fetch", "trusted", "--allow-unverified"],
    ):
        result = _run(*command)
        assert isinstance(result.exception, SystemExit | None), (command, result.exception)
