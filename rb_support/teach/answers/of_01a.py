"""What exercises of notebook 01a compute; `01a.toml` says for what, and all else about them."""

# ruff: noqa: D103

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rb_support.answers import final_letter
from rb_support.teach.exercises import read


def calls(rng: np.random.Generator) -> Iterator[tuple[float, float, np.ndarray, float]]:
    """Calls of which some fit; eighths of a dollar, whose sums are exact."""
    yield 0.25, 0.5, np.array([0.125, 0.125]), 1.0  # it uses up the last cent
    yield 0.25, 0.5, np.array([]), 1.0
    yield 0.25, 1.0, np.array([]), 1.0
    yield 0.25, 0.5, np.array([0.25, 0.25]), 1.0
    for _ in range(30):
        flying = rng.integers(1, 4, rng.integers(0, 5)) / 8
        yield (
            float(rng.integers(1, 5) / 8),
            float(rng.integers(0, 8) / 8),
            flying,
            float(rng.integers(4, 16) / 8),
        )


def forgets_those_in_flight(worst: float, spent: float, reserved: np.ndarray, limit: float) -> bool:
    return spent + worst <= limit


def forgets_this_call(worst: float, spent: float, reserved: np.ndarray, limit: float) -> bool:
    return spent + sum(reserved) <= limit


def leaves_the_last_cent(worst: float, spent: float, reserved: np.ndarray, limit: float) -> bool:
    return spent + sum(reserved) + worst < limit


def forgets_what_is_spent(worst: float, spent: float, reserved: np.ndarray, limit: float) -> bool:
    return sum(reserved) + worst <= limit


def counts_the_largest_in_flight(worst: float, spent: float, reserved: np.ndarray, limit: float) -> bool:
    return spent + max(reserved, default=0) + worst <= limit


def naive_letter(text: str) -> str | None:
    """The first capital letter from A to D in a text."""
    return next((letter for letter in text if letter in "ABCD"), None)


def misread(answer: Any) -> str | None:
    """What an answer lacks that says B to people and to `final_letter`, and something else to `naive_letter`."""
    if not isinstance(answer, str):
        return "The answer is a text, between quotes."
    careful, naive = final_letter(answer), naive_letter(answer)
    if careful != "B":
        return (
            f"The package's reader reads {careful or 'nothing'} in it: say B in a form that cannot be missed."
        )
    if naive == "B":
        return "The naive reader reads B too: it has to meet another capital before."
    return None


EXERCISES = read("01a")
