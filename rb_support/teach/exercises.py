"""Exercises that do not give themselves away: what a right answer is, what wrong ones mean, three hints.

An exercise asks in its notebook, and again in that of the solutions. All else about it stands under its name,
such as "00.1", in `rb_support.teach.answers`, which a reader does not come across: what it says in `00.toml`,
what it computes in `of_00.py`.
"""

from __future__ import annotations

import re
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module, resources
from pkgutil import resolve_name
from typing import Any, NamedTuple

import numpy as np
from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

_CHECKED = ConfigDict(extra="forbid")


class Slip(NamedTuple):
    """A plausible wrong answer and what it shows.

    Attributes
    ----------
    answer : the wrong answer. To a `Value`, if it is a function, what it gives for the data is meant;
        to a `Task` it is a wrong function; to a `Design`, a thing that does not do it.
    remark : a sentence for whoever gives it, which helps and does not tell the answer. A `Design` says itself
        what is wrong, so there it stays empty.
    """

    answer: Any
    remark: str


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Exercise(ABC):
    """An exercise that a machine can check.

    Attributes
    ----------
    hints : three sentences, from a nudge to all but the answer.
    slips : five plausible wrong answers at least.
    why : a sentence that goes with the right answer.
    """

    hints: tuple[str, str, str]
    slips: tuple[Slip, ...]
    why: str

    @abstractmethod
    def fault(self, answer: Any, given: dict[str, Any]) -> str | None:
        """None for a right answer, else a sentence about this one (empty if there is nothing particular)."""

    @abstractmethod
    def answered(self, given: dict[str, Any]) -> str:
        """The right answer in words; empty if this data has none."""


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Value(Exercise):
    """The answer is a number, an array, a text or a set.

    Attributes
    ----------
    answer : gives the right answer from what the notebook hands over; NaN where its data has none.
    rtol : relative tolerance of numbers.
    """

    answer: Callable[..., Any]
    rtol: float = 1e-3

    def fault(self, answer: Any, given: dict[str, Any]) -> str | None:
        """None within the tolerance; else the remark of the slip that it is, if it is one."""
        if agree(answer, self.answer(**given), self.rtol):
            return None
        return next((slip.remark for slip in self.slips if agree(answer, wrong(slip, given), self.rtol)), "")

    def answered(self, given: dict[str, Any]) -> str:
        """The right answer as text; empty if it is NaN."""
        answer = self.answer(**given)
        return "" if isinstance(answer, float) and np.isnan(answer) else shown(answer)


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Task(Exercise):
    """The answer is a function ("write it"), called with random cases beside one that is right.

    Attributes
    ----------
    reference : the right function.
    cases : makes tuples of arguments from a seeded generator, edge cases among them.
    named : its arguments' names, for the sentence about a case that went wrong.
    source : where the package has it, to be read afterwards.
    """

    reference: Callable[..., Any]
    cases: Callable[[np.random.Generator], Iterable[tuple[Any, ...]]]
    named: tuple[str, ...]
    source: str
    rtol: float = 1e-6

    def fault(self, answer: Any, given: dict[str, Any]) -> str | None:
        """None if it agrees in all cases; else what it should have given in the first that it does not."""
        if not callable(answer):
            return "The answer is a function: write its name, without parentheses."
        cases = [tuple(case) for case in self.cases(np.random.default_rng(0))]
        for case in cases:
            try:
                found = answer(*_copies(case))
            except Exception as error:  # a reader's function may fail in any way, and shall be told how
                return f"It raises {type(error).__name__} ({error}) for {self._said(case)}."
            right = self.reference(*_copies(case))
            if not agree(found, right, self.rtol):
                told = f"For {self._said(case)} it gives {shown(found)}; right is {shown(right)}."
                return " ".join([*self._remarks(answer, cases), told])
        return None

    def answered(self, given: dict[str, Any]) -> str:
        """Where the package has it."""
        return f"see {self.source}"

    def _said(self, case: tuple[Any, ...]) -> str:
        return ", ".join(f"{name} = {shown(part)}" for name, part in zip(self.named, case, strict=True))

    def _remarks(self, answer: Callable[..., Any], cases: list[tuple[Any, ...]]) -> list[str]:
        """The remark of the slip that does the same in every case."""

        def alike(slip: Slip) -> bool:
            return all(agree(_tried(answer, c), _tried(slip.answer, c), self.rtol) for c in cases)

        return [slip.remark for slip in self.slips if alike(slip)][:1]


@dataclass(frozen=True, kw_only=True, config=_CHECKED)
class Design(Exercise):
    """The answer is a thing that must do something ("break it").

    Attributes
    ----------
    flaw : None if a thing does it, else a sentence that says what it does instead. It gets the answer and
        what the notebook hands over.
    example : one that does it, in words.
    """

    flaw: Callable[..., str | None]
    example: str

    def fault(self, answer: Any, given: dict[str, Any]) -> str | None:
        """None if it does what is asked, else what it does instead."""
        try:
            return self.flaw(answer, **given)
        except (TypeError, ValueError, IndexError, AttributeError, KeyError) as error:
            return f"This cannot be read as an answer: {error}."

    def answered(self, given: dict[str, Any]) -> str:
        """One thing that does it."""
        return self.example


KINDS: dict[Any, type[Exercise]] = {"value": Value, "task": Task, "design": Design}


def read(notebook: str) -> dict[str, Exercise]:
    """Exercises of a notebook by name, from `answers/NN.toml`, with what that names in `answers/of_NN.py`.

    Raises
    ------
    ValueError
        If the file is damaged, or an exercise in it lacks something or names what is not there; says which.
    """
    file = resources.files("rb_support.teach.answers") / f"{notebook}.toml"
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # no TOML, or no UTF-8
        raise ValueError(f"{file}: {error}") from error
    made = {}
    for name, parts in told.items():
        try:
            made[name] = _made(name, parts, notebook)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"{file}, exercise {name}, {where}: {first['msg']}") from error
        except (AttributeError, ImportError, ValueError) as error:
            raise ValueError(f"{file}, exercise {name}: {error}") from error
    return made


def _made(name: str, parts: Any, notebook: str) -> Exercise:
    """An exercise from its table in a file.

    Where a function is wanted a text is its name, in the notebook's module or as `module:name` elsewhere; an
    answer may stand there itself. Slips are pairs of an answer and a remark, or a table of functions' names
    with remarks; a design's are answers without a remark, or the name of several.
    """

    def named(told: Any) -> Any:
        here = f"rb_support.teach.answers.of_{notebook}"
        return resolve_name(told if ":" in told else f"{here}:{told}") if isinstance(told, str) else told

    if not re.fullmatch(rf"{notebook}\.\d+", name):
        raise ValueError(f'a name in this file is such as "{notebook}.1", in quotes')
    kind = KINDS.get(parts.get("kind"))
    if kind is None:
        raise ValueError(f"its kind is one of {', '.join(KINDS)}")
    told = {key: value for key, value in parts.items() if key != "kind"}
    for key in {"answer", "reference", "cases", "flaw"} & set(told):
        told[key] = named(told[key])
    if "answer" in told and not callable(answer := told["answer"]):
        told["answer"] = lambda **given: answer
    match told.get("slips"):
        case dict() as functions:
            told["slips"] = [(named(text), remark) for text, remark in functions.items()]
        case str() | list() as things if kind is Design:
            told["slips"] = [(thing, "") for thing in named(things)]
    return kind(**told)


@cache
def exercise(name: str) -> Exercise:
    """The exercise of a name such as "00.1".

    Raises
    ------
    KeyError
        If there is none.
    """
    notebook = name.split(".")[0]
    exercises: dict[str, Exercise] = import_module(f"rb_support.teach.answers.of_{notebook}").EXERCISES
    return exercises[name]


_TRIES: dict[str, list[str]] = {}


def check(name: str, answer: Any, **given: Any) -> None:
    """Say whether an answer is right; of a wrong one, what it shows, and the next hint.

    A wrong try brings the first hint, another the second, a third the last one and the answer. None is no
    answer yet, so that a notebook with open exercises runs from top to bottom; an answer of the wrong type or
    shape is a wrong answer, not an error.

    Parameters
    ----------
    name : name of the exercise, such as "00.1".
    answer : a number, an array, a text, a function …, as the exercise asks for; None before the first try.
    given : what the right answer depends on in this notebook.

    >>> check("00.1", None)
    Not answered yet: put your answer in place of None and run this cell again.
    """
    if answer is None:
        print("Not answered yet: put your answer in place of None and run this cell again.")
        return
    asked = exercise(name)
    if not (right := asked.answered(given)):
        print("This table cannot tell the answer.")
        return
    fault = asked.fault(answer, given)
    if fault is None:
        print(f"Correct. {asked.why}")
        return
    tries = _TRIES.setdefault(name, [])
    tries.extend({shown(answer)} - set(tries))
    print(f"Not yet. {fault}".rstrip())
    print(f"Hint {min(len(tries), 3)} of 3: {asked.hints[min(len(tries), 3) - 1]}")
    if len(tries) >= 3:
        print(f"The answer: {right}. {asked.why}")


def solved(name: str, answer: Any, **given: Any) -> bool:
    """Whether an answer is right, without a word: what an autograder asks. Parameters are those of `check`.

    Nothing solves an exercise whose answer this data cannot tell.

    >>> solved("00.1", None), solved("00.1", 0.6)
    (False, True)
    """
    asked = exercise(name)
    return answer is not None and bool(asked.answered(given)) and asked.fault(answer, given) is None


def reveal(name: str, **given: Any) -> None:
    """Print an exercise's answer; parameters are those of `check`."""
    asked = exercise(name)
    print(f"The answer: {asked.answered(given) or 'this table cannot tell'}. {asked.why}")


_GUESSES: dict[str, Any] = {}


def predict(name: str, guess: Any) -> None:
    """Note what a reader expects before the next cell is run; `recall` comes back to it.

    >>> predict("coin", None)
    No guess yet: put yours in place of None, run this cell, then the next.
    >>> predict("coin", 0.6)
    Noted: 0.6. Now run on.
    """
    _GUESSES[name] = guess
    noted = f"Noted: {shown(guess)}. Now run on."
    print(
        "No guess yet: put yours in place of None, run this cell, then the next." if guess is None else noted
    )


def recall(name: str, value: Any) -> None:
    """Set what came out beside what was expected.

    >>> predict("coin", 0.6)
    Noted: 0.6. Now run on.
    >>> recall("coin", 0.75)
    You guessed 0.6. It is 0.75.
    """
    guess = _GUESSES.get(name)
    print(f"It is {shown(value)}." if guess is None else f"You guessed {shown(guess)}. It is {shown(value)}.")


def wrong(slip: Slip, given: dict[str, Any]) -> Any:
    """The wrong answer of a slip to a `Value`."""
    return slip.answer(**given) if callable(slip.answer) else slip.answer


def agree(answer: Any, right: Any, rtol: float) -> bool:
    """Whether two answers are the same, numbers within a tolerance; what has another type or shape is not."""
    try:
        numbers = np.asarray(answer, dtype=float), np.asarray(right, dtype=float)
    except (TypeError, ValueError):
        return bool(np.array_equal(np.asarray(answer, dtype=object), np.asarray(right, dtype=object)))
    same_shape = numbers[0].shape == numbers[1].shape
    return same_shape and bool(np.allclose(*numbers, rtol=rtol, atol=1e-9, equal_nan=True))


def shown(value: Any) -> str:
    """A value as a sentence has it."""
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=4, separator=", ", threshold=40)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _copies(case: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments that a function may change without harm."""
    return tuple(part.copy() if isinstance(part, np.ndarray) else part for part in case)


def _tried(function: Callable[..., Any], case: tuple[Any, ...]) -> Any:
    try:
        return function(*_copies(case))
    except Exception as error:  # two functions that fail alike are alike
        return type(error).__name__
