"""The command line: help, exit codes and what is handed on."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from notebook_maker import REPORTING, make_repository, write_notebook
from typer.testing import CliRunner

import rb_support.app.reproduce
import rb_support.sources
from rb_support.__main__ import app
from rb_support.app.reproduce import Result
from rb_support.app.reproduce.plan import NotebookRun
from rb_support.app.reproduce.runner import Runner
from rb_support.outcomes import Origin
from rb_support.report import Claim, Report, Versus
from rb_support.verdicts import Fact

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
        "models": (), "missing": "raise", "columns": (), "cost": "",
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


BAD_TABLES = {
    "no.csv": "there is no such file",
    "mine.txt": "only .csv and .parquet",
    "empty.csv": "empty.csv",
    "one.csv": "row 1.*'acme/a'.*is not a number",
    "score.csv": "row 1.*'acme/a'",
    "cost.csv": r"row 1.*'acme/a\|total_cost'",
    "bytes.parquet": "not a whole Parquet file",
    "escape.csv": "row 1.*is not a number",
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_table_that_cannot_be_used_is_said_in_a_sentence_before_a_kernel_starts(
    repository: Path, name: str
) -> None:
    rows = {"one": "x,0.1", "score": "7,0.1", "cost": "1,-1", "escape": "\x1b[2J\x07,0.1"}
    row = rows.get(Path(name).stem)
    header = "sample_id,prompt,eval_name,acme/a,acme/a|total_cost\n"
    if name != "no.csv":
        (repository / name).write_text(f"{header}1,what?,sums,{row}\n" if row else "")
    result = runner.invoke(app, ["reproduce", "--data", name])
    assert result.exit_code == 2
    [line] = result.output.splitlines()
    assert re.search(BAD_TABLES[name], line) and line.isprintable()
    assert not (repository / "build").exists()


# Files of our own, damaged: by a power cut, a bad disk, an editor or a stranger.


@pytest.fixture
def worked(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Repository whose notebook has run, by a stand-in for its kernel; its figures, claims and state."""

    def execute(self: Runner, run: NotebookRun, scratch: Path) -> nbformat.NotebookNode:
        monkeypatch.setenv("RB_REPORT_LOG", str(scratch / "written"))
        report = Report("01_good", Origin("simulated", "made rows"), {"seed": 0}, 0, repository / "figures")
        cells = pd.DataFrame(
            {"router": ["zero", "oracle"], "usd_per_query": [0.1, 0.2], "quality": [0.3, 0.4]}
        )
        report.save_table(cells, "rb-tab-aiq")
        report.annotate("rb-tab-aiq", versus=[Versus("AIQ", 0.71, 0.763, "digest")])
        report.save_table(cells, "rb-fig3")  # a curve as `compare` reads it
        wins = Claim(statement="KNN beats zero", where="sec. 5.3", rule="is so")
        report.claims({"wins": Fact(True, "0.71 > 0.70")}, {"wins": wins})
        return nbformat.read(run.path, as_version=4)

    monkeypatch.setattr(Runner, "_execute", execute)
    assert runner.invoke(app, ["reproduce"]).exit_code == 0
    shutil.copytree(repository / "figures", repository / "before")
    return repository


def other_value(value: Any, rng: random.Random) -> Any:
    """A JSON value with one of its parts replaced by something else."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.8:
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        copied = value.copy()
        copied[key] = other_value(value[key], rng)
        return copied
    strange = ["../../x", "\x1b[2J\x07", "javascript:x", "<script>", "x" * 5000, "\u202e\0", "rb-fig3", ""]
    return rng.choice([None, True, -1, 10**400, float("nan"), 1.5, [], {}, [[]], {"a": 1}, *strange])


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Content after a power cut, a flipped bit, a stranger's edit, or of another file altogether."""
    at = rng.randrange(len(content) + 1)
    cut, noise = content[:at], rng.randbytes(rng.choice([1, 8, 400]))
    ways = [b"", cut, cut + noise + content[at + len(noise) :], noise, b"\0" * len(content), b"[" * 5000]
    try:
        edited = json.dumps(other_value(json.loads(content), rng)).encode()
    except ValueError:
        edited = content.replace(b",", b"\n", 1)
    return rng.choice([*ways, edited, edited, edited])


COMMANDS = (["gallery"], ["compare", "figures/simulated", "before/simulated"], ["reproduce"])


def test_no_command_ends_in_a_traceback_whatever_has_become_of_its_files(worked: Path) -> None:
    ours = [path for folder in ("figures", "build/state") for path in (worked / folder).rglob("*.*")]
    whole = {path: path.read_bytes() for path in ours if path.is_file() and path.suffix != ".lock"}
    told = 0
    for seed in range(36):
        rng = random.Random(seed)
        for path, content in whole.items():
            path.write_bytes(content)
        for path in rng.sample(sorted(whole), rng.choice([1, 1, 3])):
            path.unlink() if rng.random() < 0.1 else path.write_bytes(damaged(whole[path], rng))
        result = runner.invoke(app, rng.choice(COMMANDS))
        assert result.exit_code in (0, 1, 2), seed
        assert result.exception is None or isinstance(result.exception, SystemExit), seed
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", result.output), seed
        told += "is damaged and taken as not there" in result.output
    assert told > 6


@pytest.mark.parametrize("name", ["rb-tab-aiq.json", "manifest.json", "claims/01_good.json"])
def test_a_damaged_record_is_named_and_the_rest_goes_on(worked: Path, name: str) -> None:
    for content in (b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"id": "rb-fig3"}'):
        (worked / "figures" / "simulated" / name).write_bytes(content)
        result = runner.invoke(app, ["gallery"])
        assert result.exit_code == 0
        [warning, line] = result.output.splitlines()
        assert re.match(rf"Warning: .*/{name} is damaged and taken as not there \(.+: .+\)$", warning)
        assert line == f"figures/simulated/index.html: {1 + (name != 'rb-tab-aiq.json')} items"


def test_a_zero_byte_state_does_not_keep_a_notebook_from_running(worked: Path) -> None:
    """A power cut leaves such files."""
    assert "1 unchanged" in runner.invoke(app, ["reproduce"]).output
    (worked / "build" / "state" / "simulated-quick" / "01_good.json").write_bytes(b"")
    result = runner.invoke(app, ["reproduce"])
    assert result.exit_code == 0 and "is damaged" in result.output and "1 run" in result.output


def test_an_altered_table_is_linked_and_not_shown(worked: Path) -> None:
    """What stands in the page comes from the file, whose cells were escaped when it was written."""
    (worked / "figures" / "simulated" / "rb-tab-aiq.html").write_text("<table><script>x</script></table>")
    assert runner.invoke(app, ["gallery"]).exit_code == 0
    page = (worked / "figures" / "simulated" / "index.html").read_text()
    assert "<script>" not in page and '<a href="rb-tab-aiq.html">' in page


def test_a_folder_that_cannot_be_written_is_said(repository: Path) -> None:
    (repository / "taken").write_text("")
    result = runner.invoke(app, ["reproduce", "--out", "taken"])
    assert result.exit_code == 2 and "taken" in result.output and len(result.output.splitlines()) < 4


# A stranger's text.


def test_a_strangers_text_is_shown_as_text(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names come from files of others: what a terminal or a browser would obey is not passed on."""
    evil = "\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>\u202e"
    origin = Origin("own", evil, ((f"{evil}.csv", "ab" * 32),))
    report = Report("01_good", origin, folder=repository / "figures")
    report.save_table(pd.DataFrame({"model": [evil], evil: [1.0]}), "own-x", title=evil)
    report.annotate("own-x", note=evil)
    report.claims({"a": Fact(True, evil)}, {"a": Claim(statement=evil, where=evil, rule="is so", needs=evil)})
    [page] = (repository / "figures" / "own").glob("*/index.html")
    text = page.read_text()
    assert "<script>" not in text and "\x1b" not in text and "\u202e" not in text and "&lt;script&gt;" in text
    failed = Result("01_good", "failed", f"ValueError: {evil}")
    monkeypatch.setattr(rb_support.app.reproduce, "refresh", lambda *_, **__: [failed])
    shown = runner.invoke(app, ["refresh"]).output + runner.invoke(app, ["gallery"]).output
    shown += runner.invoke(app, ["compare", str(page.parent), str(page.parent)]).output
    shown += runner.invoke(app, ["reproduce", "--only", evil]).output
    shown += runner.invoke(app, ["reproduce", "--set", f"seed={evil}"]).output
    assert "script" in shown and not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", shown)
