"""Sentences that are right whatever a run finds: lists, and on which datasets something holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from rb_support.cache import packaged_table
from rb_support.visible import markdown

MOST = 3
"""Of more datasets than these, the least and the greatest number are named."""


def listed(parts: Iterable[str]) -> str:
    """Words with commas and an "and"; "none" where there are none.

    >>> listed(["MMLU 0.11", "MBPP 0.16", "GSM8K 0.28"])
    'MMLU 0.11, MBPP 0.16 and GSM8K 0.28'
    """
    *before, last = list(parts) or ["none"]
    return f"{', '.join(before)} and {last}" if before else last


def each(numbers: Mapping[str, float] | pd.Series[float], decimals: int, sign: str = "") -> str:
    """A number per dataset as Markdown has it, a dash where there is none.

    >>> each({"MMLU": 0.114, "MBPP": float("nan")}, 2)
    '0.11 on MMLU and – on MBPP'
    """
    return _on(numbers, f"{sign}.{decimals}f")


def shares(numbers: Mapping[str, float] | pd.Series[float]) -> str:
    """A share per dataset in percent, as `each`.

    >>> shares({"MMLU": 0.114})
    '11% on MMLU'
    """
    return _on(numbers, ".0%")


def _on(numbers: Mapping[str, float] | pd.Series[float], form: str) -> str:
    found = [(float(number), markdown(str(name))) for name, number in numbers.items()]
    if len(found) > MOST and (known := sorted(each for each in found if each[0] == each[0])):
        return f"from {known[0][0]:{form}} on {known[0][1]} to {known[-1][0]:{form}} on {known[-1][1]}"
    return listed(
        f"{number:{form}} on {name}" if number == number else f"– on {name}" for number, name in found
    )


def where(holds: Mapping[str, bool] | pd.Series[bool]) -> str:
    """On which datasets something is so, for the end of a sentence in Markdown.

    >>> where({"MMLU": True, "MBPP": False}), where({"MMLU": False, "MBPP": False})
    ('on MMLU, not on MBPP', 'nowhere')
    """
    on, off = (
        [markdown(str(name)) for name, is_so in holds.items() if bool(is_so) == so] for so in (True, False)
    )
    if not on or not off:
        return "everywhere" if on else "nowhere"
    return f"on {listed(on)}, not on {listed(off)}"


def ending(count: int) -> str:
    """What a noun ends with that stands for so many things.

    >>> "table" + ending(1), "table" + ending(2)
    ('table', 'tables')
    """
    return "" if count == 1 else "s"


def says(module: str) -> Callable[..., str]:
    """What fills the sentences of a module in `words.toml`, called with a sentence's key and its numbers."""
    sentences = packaged_table("studies/words.toml")[module]
    return lambda key, /, **numbers: sentences[key].format(**numbers)


def notes(notebook: str, **said: object) -> dict[str, str]:
    """Notes for the records of a notebook's items, by their ids.

    Parameters
    ----------
    notebook : its number.
    said : of the run, for the braces in `notes.toml`.
    """
    told = packaged_table("studies/notes.toml")[notebook]
    return {item: note.format(**said) for item, note in told.items()}


def beside(item: str) -> dict[str, str]:
    """What is told of our numbers beside the paper's in an item: what, source, why they differ."""
    return dict(packaged_table("studies/notes.toml")["beside"][item])
