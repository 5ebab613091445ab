"""Exercises of notebook 01a."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rb_support.answers import final_letter
from rb_support.construct.run import may_start
from rb_support.teach.exercises import Design, Exercise, Slip, Task, Value


def _calls(rng: np.random.Generator) -> Iterator[tuple[float, float, np.ndarray, float]]:
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


def naive_letter(text: str) -> str | None:
    """The first capital letter from A to D in a text."""
    return next((letter for letter in text if letter in "ABCD"), None)


def _misread(answer: Any) -> str | None:
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


EXERCISES: dict[str, Exercise] = {
    "01a.1": Value(
        answer=lambda: 0.005 + (400 * 10 + 100 * 30) / 1e6,
        hints=(
            "Three parts: the fee, the prompt, the answer.",
            "The prices are for a million tokens: divide by it.",
            "The prompt costs 400 x 10 / 1,000,000 USD; the answer likewise at 30; the fee is paid once.",
        ),
        slips=(
            Slip(0.007, "The tokens are right; the request has a fee as well."),
            Slip(0.018, "Each price stands at the other's tokens."),
            Slip(0.01, "The answer's tokens have a price of their own."),
            Slip(
                0.015,
                "That is the mean of both prices on all tokens, but there are more tokens in the prompt.",
            ),
            Slip(7.005, "The prices are for a million tokens, not for a thousand."),
        ),
        why="0.005 + 0.004 + 0.003: for a short call the fee is the larger part.",
    ),
    "01a.2": Value(
        answer=lambda: 1 - (1 - 0.1) ** 2,
        hints=(
            "The judge is asked twice, once in each order.",
            "It says 'tie' both times unless it takes the first at least once.",
            "Its verdicts agree if it is right twice: 0.9 x 0.9 of the pairs.",
        ),
        slips=(
            Slip(0.1, "That is how often a single verdict is wrong; two are compared."),
            Slip(0.2, "That counts pairs twice in which the first is taken both times."),
            Slip(
                0.18,
                "If the first is taken in both orders, the verdicts name different answers: they change too.",
            ),
            Slip(0.01, "That is how often the first is taken in both orders; once is enough for a change."),
            Slip(0.81, "That is the share in which it does not change."),
        ),
        why="It changes unless the judge says 'tie' both times: 1 - 0.9 x 0.9.",
    ),
    "01a.3": Task(
        reference=may_start,
        cases=_calls,
        named=("worst", "spent", "reserved", "limit"),
        source="construct.run.may_start",
        hints=(
            "Suppose that everything that can still be billed will be billed: what is the sum then?",
            "Calls in flight count with their worst case, all of them together.",
            "Compare the sum of what is spent, what is reserved and the worst case with the limit; equal is allowed.",
        ),
        slips=(
            Slip(
                lambda worst, spent, reserved, limit: spent + worst <= limit,
                "Calls in flight are forgotten: many workers, each within the budget, exceed it together.",
            ),
            Slip(
                lambda worst, spent, reserved, limit: spent + sum(reserved) <= limit,
                "That asks whether the budget still holds, not whether it will after this call.",
            ),
            Slip(
                lambda worst, spent, reserved, limit: spent + sum(reserved) + worst < limit,
                "A call that uses up the last cent may be sent.",
            ),
            Slip(
                lambda worst, spent, reserved, limit: sum(reserved) + worst <= limit,
                "What has been spent is gone from the budget.",
            ),
            Slip(
                lambda worst, spent, reserved, limit: spent + max(reserved, default=0) + worst <= limit,
                "All calls in flight may come to their worst, not only the largest.",
            ),
        ),
        why="A budget holds for certain only if every call that is sent could turn out to be the dearest possible.",
    ),
    "01a.4": Design(
        flaw=_misread,
        example='"Carbon dioxide is likely at first sight, but the answer is (B)."',
        hints=(
            "The naive reader stops at the first capital from A to D, wherever it stands.",
            "Let a word begin with one of them before the answer comes.",
            "Weigh another choice first, then end with 'the answer is (B)'.",
        ),
        slips=(
            Slip("The answer is B."),
            Slip("Because it is the closest to the Sun, the answer is B."),
            Slip("A and B both fit."),
            Slip("A dog would bark, a cat would not."),
            Slip(2),
        ),
        why="Both readers agree on tidy answers; they part where a model thinks aloud, which good models do more.",
    ),
}
