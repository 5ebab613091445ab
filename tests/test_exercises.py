"""Every exercise takes its right answer, and refuses five plausible wrong ones with a sentence that helps."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

from rb_support.teach import check, exercises, reveal, solved
from rb_support.teach.exercises import Design, Exercise, Task, Value, agree, exercise, read, wrong

MODULES = sorted(path.stem for path in (ROOT / "rb_support" / "teach" / "answers").glob("of_*.py"))
EVERY: dict[str, Exercise] = {}
for module in MODULES:
    EVERY |= import_module(f"rb_support.teach.answers.{module}").EXERCISES


def given(name: str) -> dict[str, Any]:
    """Small data that an exercise may depend on: `tests/exercises_given/of_NN.py`."""
    if not (ROOT / "tests" / "exercises_given" / f"of_{name.split('.')[0]}.py").exists():
        return {}
    made = import_module(f"exercises_given.of_{name.split('.')[0]}").GIVEN
    return made[name]() if name in made else {}


@pytest.fixture(autouse=True)
def no_tries_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exercises, "_TRIES", {})


@pytest.fixture(params=EVERY)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_an_exercise_is_found_by_its_name(name: str) -> None:
    assert exercise(name) is EVERY[name]


def test_the_right_answer_is_taken(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked, data = EVERY[name], given(name)
    if isinstance(asked, Value):
        check(name, asked.answer(**data), **data)
    elif isinstance(asked, Task):
        check(name, asked.reference, **data)
    if not isinstance(asked, Design):  # a design's example is in words; its solution notebook has one
        assert capsys.readouterr().out.startswith("Correct. ")


def test_plausible_wrong_answers_are_refused_with_help(name: str) -> None:
    asked, data = EVERY[name], given(name)
    assert len(asked.slips) >= 5
    for slip in asked.slips:
        fault = asked.fault(wrong(slip, data) if isinstance(asked, Value) else slip.answer, data)
        assert fault and len(fault) > 20, slip
        assert isinstance(asked, Design) or fault.startswith(slip.remark), (slip, fault)


def test_an_autograder_is_told_the_same(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked, data = EVERY[name], given(name)
    assert not solved(name, None, **data)
    if not isinstance(asked, Design):
        assert solved(name, asked.answer(**data) if isinstance(asked, Value) else asked.reference, **data)
    for slip in asked.slips:
        assert not solved(name, wrong(slip, data) if isinstance(asked, Value) else slip.answer, **data)
    assert not capsys.readouterr().out


def test_wrong_answers_differ(name: str) -> None:
    """Else the remark of one would be said of another."""
    asked, data = EVERY[name], given(name)
    if isinstance(asked, Value):
        answers = [wrong(slip, data) for slip in asked.slips]
        alike = [(a, b) for i, a in enumerate(answers) for b in answers[:i] if agree(a, b, asked.rtol)]
        assert not alike


def test_hints_lead_on_and_the_answer_waits(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked, data = EVERY[name], given(name)
    assert len(set(asked.hints)) == 3 and all(len(hint) > 15 for hint in asked.hints) and asked.why
    for number, answer in enumerate((object(), "nonsense", [[1], [2, 3]]), start=1):
        check(name, answer, **data)
        out = capsys.readouterr().out
        assert f"Hint {number} of 3: {asked.hints[number - 1]}" in out
        assert ("The answer: " in out) == (number == 3)
    reveal(name, **data)
    assert capsys.readouterr().out.startswith("The answer: ")


def test_the_same_wrong_try_counts_once(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(4):
        check("00.1", 0.123)
    assert "Hint 1 of 3" in capsys.readouterr().out.splitlines()[-1]


def test_a_slip_is_recognized(capsys: pytest.CaptureFixture[str]) -> None:
    check("00.1", 0.7)
    assert capsys.readouterr().out.splitlines()[0] == "Not yet. That is the fair coin, which costs 4 cents."


def test_a_function_that_fails_is_told_where(capsys: pytest.CaptureFixture[str]) -> None:
    check("00.3", lambda points: points[99])
    assert "It raises IndexError" in capsys.readouterr().out


def test_a_function_may_change_what_it_is_given() -> None:
    def spoil(points: np.ndarray) -> np.ndarray:
        kept = exercise("00.3").reference(points)
        points[:] = 0
        return kept

    assert exercise("00.3").fault(spoil, {}) is None


def test_a_table_without_an_answer_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = Value(answer=lambda: float("nan"), hints=("", "", ""), slips=(), why="")
    monkeypatch.setattr(exercises, "exercise", lambda name: asked)
    check("x", 0.5)
    assert not solved("x", float("nan"))
    reveal("x")
    assert (
        capsys.readouterr().out
        == "This table cannot tell the answer.\nThe answer: this table cannot tell. \n"
    )


def test_an_unknown_exercise_is_an_error() -> None:
    with pytest.raises(KeyError, match="00.99"):
        check("00.99", 1)


SOUND = (ROOT / "rb_support" / "teach" / "answers" / "00.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("sound", "damaged", "told"),
    [
        ('why = "Three', "why = Three", "00.toml: Invalid value (at line 7"),
        ('["00.2"]', "[00.2]", '00.toml, exercise 00: a name in this file is such as "00.1", in quotes'),
        ('["00.2"]', '["0.2"]', "00.toml, exercise 0.2: a name"),
        (
            'kind = "value"',
            'kind = "number"',
            "00.toml, exercise 00.1: its kind is one of value, task, design",
        ),
        ("why = ", "because = ", "00.toml, exercise 00.1, why: Field required"),
        ("hints = [", "hints = [3,", "00.toml, exercise 00.1, hints: Tuple should have at most 3 items"),
        ('    "The zero router throws a coin between the two.",\n', "", "00.1, hints.2: Field required"),
        ("named = ", "names = ", "00.toml, exercise 00.3, named: Field required"),
        ('named = ["points"]', 'named = ["points"]\nunit = ""', "00.3, unit: Unexpected keyword"),
        (
            "staircase = ",
            "stair = ",
            "00.toml, exercise 00.3: module 'rb_support.teach.answers.of_00' has no",
        ),
        ('"clouds"', "3", "00.toml, exercise 00.3, cases: Input should be callable"),
        ("frontier:hull", "front:hull", "exercise 00.3: No module named 'rb_support.front'"),
        (
            '[0.8, "The shares are right, but each belongs to the other model."]',
            "[0.8]",
            "00.1, slips.1.",
        ),
    ],
)
def test_a_damaged_file_is_named_with_the_exercise(
    sound: str, damaged: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sound in SOUND
    (tmp_path / "00.toml").write_text(SOUND.replace(sound, damaged, 1), encoding="utf-8")
    monkeypatch.setattr(exercises.resources, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match=re.escape(told)):
        read("00")


@pytest.mark.parametrize(
    ("answer", "right", "same"),
    [
        (0.50001, 0.5, True),
        (0.51, 0.5, False),
        ([1, 2], np.array([1.0, 2.0]), True),
        ([1, 1], 1, False),
        ("zero", "zero", True),
        ("knn", 3.0, False),
        ({"a", "b"}, {"b", "a"}, True),
        ({"a"}, {"b", "a"}, False),
        ([[1], [1, 2]], [1, 2], False),
    ],
)
def test_agreement_is_of_value_and_shape(answer: Any, right: Any, same: bool) -> None:
    assert agree(answer, right, 1e-3) == same
