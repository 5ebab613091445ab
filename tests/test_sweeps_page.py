"""The page "Sweeps": its commands name options that exist, its router of ten lines is a row of a sweep."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import typer
from conftest import ROOT

from rb_support.__main__ import app
from rb_support.report.side_by_side import COLUMNS
from rb_support.studies.board_tables import load_material
from rb_support.studies.fits import Asked
from rb_support.studies.sweep import Store, here

PAGE = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python -m rb_support sweep (.*)$", PAGE, re.M)


def block(word: str) -> str:
    """The one block of Python in which a word stands."""
    (found,) = (text for text in re.findall(r"```python\n(.*?)```", PAGE, re.S) if word in text)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_is_understood(command: str) -> None:
    sweep = typer.main.get_command(app).commands["sweep"]  # type: ignore[attr-defined]
    sweep.make_context("sweep", shlex.split(command))


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) == 4


def test_every_block_of_python_compiles() -> None:
    for number, text in enumerate(re.findall(r"```python\n(.*?)```", PAGE, re.S)):
        compile(text, f"block {number}", "exec")


def test_the_router_of_ten_lines_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = block("class Nearest")
    assert len([line for line in text.splitlines() if line.strip()]) <= 10
    Path("my_router.py").write_text(text)
    table = "simulated-gsm8k"
    material = load_material(table, "tfidf")
    asked = [Asked(table, "my_router.py:Nearest", 0, embedding="tfidf")]
    [row] = here(asked, {(table, "tfidf"): material}, Store(tmp_path)).to_dict("records")
    assert (row["error"], row["router"]) == ("", "my_router.py:Nearest")
    assert 0 < row["aiq_honest"] < 1 and row["n_test"] > 0


def test_the_table_in_a_notebook_is_grouped_as_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    row = ["rb-tab-aiq", "table", 1, "MMLU · KNN (k=…)", "honest_minus_zero"]
    cells = pd.DataFrame(
        [[k, *row, lead, ""] for k, lead in ((10, 0.1), (10, 0.3), (40, 0.5))], columns=["k", *COLUMNS]
    )
    monkeypatch.setattr("rb_support.report.side_by_side.collected", lambda folder: cells)
    *lines, last = block("collected").strip().splitlines()
    names: dict[str, object] = {}
    exec("\n".join([*lines, f"told = {last}"]), names)
    told = names["told"]
    assert isinstance(told, pd.DataFrame)
    assert told["mean"].round(6).tolist() == [0.2, 0.5]
