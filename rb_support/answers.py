"""Reading final answers out of what a model wrote: a number, or the letter of a choice.

Pure functions of texts. A reading goes from the most explicit form to the least: the `answer` field of a
JSON object, a phrase that announces the answer, and at last whatever stands at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Context, Decimal
from typing import TypeVar

T = TypeVar("T")

_DIGITS = 15
"""Significant digits that a fraction without a finite decimal keeps."""

_NEAR = Decimal("1e-9")
"""Relative distance within which two numbers are the same one."""

_PLAIN = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][+-]?\d{1,2}(?!\w))?|\.\d+"
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w.)\]])-\s?)?(?:[$€£]\s?(?P<minus>-)?)?(?:(?P<whole>\d+)\s+(?=\d+/[1-9]))?"
    rf"(?P<top>{_PLAIN})(?:\s?/\s?(?P<bottom>{_PLAIN}))?",
    re.ASCII,
)
_FIELD = re.compile(r"""["']answer["']\s*:\s*(?:"(?P<text>(?:[^"\\]|\\.)*)"?|(?P<bare>[^"}\n]*))""", re.I)
_HASHES = re.compile(r"####([^\n]*)")
_SAYS = r"\banswer\s*(?:\*\*)?\s*(?:is|:|=)"
_PHRASE = re.compile(rf"{_SAYS}((?:(?!{_SAYS})[^\n])*)", re.I)
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")


def final_number(text: str) -> str | None:
    """Final number of an answer as plain decimal text, such as "1250", "-3" or "0.5".

    The last JSON field `answer` decides where there is one, also in a broken or cut object; of several
    numbers in it the first counts, as ZeroEval grades. Else the last of "#### 5", "the answer is 5" and a
    boxed number, in this order, an equation by its right side; else the last number of all. Currency,
    percent signs, units and commas between thousands go; a fraction is divided.

    Returns
    -------
    None if no number stands where the answer should.

    Examples
    --------
    >>> final_number('{"reasoning": "3 x 60 = 180", "answer": "$1,250.00 a week"}')
    '1250'
    >>> final_number("So 2 of 4 are left. The answer is 1/2.")
    '0.5'
    """
    clean = _clean(text)
    fields = _fields(clean)
    if fields:
        return next(_numbers(fields[-1]), None)
    for form in (_HASHES, _PHRASE, _BOXED):
        told = [number for part in form.findall(clean) if (number := _told(part))]
        if told:
            return told[-1]
    return next(reversed([*_numbers(clean)]), None)


def same_number(a: str | None, b: str | None) -> bool:
    """Whether two texts hold the same number, however written; False where one holds none.

    Examples
    --------
    >>> same_number("$5.00", "5"), same_number("0.5", "1/2"), same_number(None, "5")
    (True, True, False)
    """
    left, right = (None if text is None else final_number(text) for text in (a, b))
    if left is None or right is None:
        return False
    x, y = Decimal(left), Decimal(right)
    return abs(x - y) <= _NEAR * max(abs(x), abs(y))


def final_letter(text: str, letters: str = "ABCD") -> str | None:
    """Letter of the choice that an answer settles on.

    The most explicit form decides: a JSON field `answer`, "the answer is B" or "Answer: B", a boxed or a
    bold letter, the whole text, a letter that opens a line as "B." or "B)", "(B)" anywhere. Where none
    decides, a bare letter that is the answer's last sentence does.

    Parameters
    ----------
    letters : letters of the choices, in capitals; in a text they may be small where they are marked.

    Returns
    -------
    None if no letter is told, or if the deciding form tells two different ones.

    Examples
    --------
    >>> final_letter("Both fit, but the answer is (B)."), final_letter("A dog would bark.")
    ('B', None)
    >>> final_letter("Water boils there. C"), final_letter("It is vitamin C.")
    ('C', None)
    """
    clean = _clean(text)
    fields = _fields(clean)
    letter = _opening(fields[-1], letters) if fields else one_told(_told_letters(clean, letters))
    last = re.search(rf"[.!?:\n]\s*\(?([{letters}])\)?\W*\Z", text)
    return letter or (last[1] if last else None)


def final_answer(metric: str, text: str, letters: str = "ABCD") -> str | None:
    """What an answer says, by the metric "letter" or "number"; None if nothing can be read."""
    return final_number(text) if metric == "number" else final_letter(text, letters)


def one_told(readings: Iterable[Iterable[T]]) -> T | None:
    """What the first reading that tells anything tells; None if it tells several things, or none does.

    >>> one_told([[], ["B", "B"], ["C"]]), one_told([["B", "C"], ["C"]])
    ('B', None)
    """
    for reading in readings:
        told = set(reading)
        if told:
            return told.pop() if len(told) == 1 else None
    return None


def _clean(text: str) -> str:
    """Text with one kind of minus sign and without the LaTeX that hides numbers."""
    plain = text.replace("−", "-").replace("–", "-").replace("{,}", ",").replace("\\$", "$")
    return _FRACTION.sub(r"\1/\2", plain)


def _fields(text: str) -> list[str]:
    """Values of all JSON fields `answer`, quoted or bare, closed or cut."""
    return [found["text"] if found["text"] is not None else found["bare"] for found in _FIELD.finditer(text)]


def _told(part: str) -> str | None:
    """First number of a text that tells an answer; of an equation, the first after the last equals sign."""
    after = next(_numbers(part.rpartition("=")[2]), None)
    return after or next(_numbers(part), None)


def _numbers(text: str) -> Iterator[str]:
    return (_decimal(found) for found in _NUMBER.finditer(text))


def _decimal(found: re.Match[str]) -> str:
    """Plain decimal text of a number: no exponent, no trailing zeros, no minus before a zero."""
    value = _plain(found["top"])
    bottom = _plain(found["bottom"] or "1")
    if bottom:
        value = _plain(found["whole"] or "0") + Context(prec=_DIGITS).divide(value, bottom)
    if found["sign"] or found["minus"]:
        value = -value
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _plain(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def _opening(text: str, letters: str) -> str | None:
    """Letter that a short answer is or begins with."""
    found = re.match(rf"\W*([{letters}])(?!\w|')|\W*([{letters.lower()}])(?:\W*$|[).:])", text)
    return (found[1] or found[2]).upper() if found else None


def _told_letters(text: str, letters: str) -> Iterator[set[str]]:
    """Letters told in every form in which one can be told, the most explicit form first."""
    any_case = letters + letters.lower()
    yield {letter for part in _PHRASE.findall(text) if (letter := _opening(part, letters))}
    for pattern in (
        rf"\\boxed\s*\{{\W*(?:\\text\{{)?\(?([{any_case}])\W",
        rf"\*\*\(?([{letters}])[).:]?\*\*|\*\*\(?([{letters}])[).:]\s",
        rf"\A\W*([{any_case}])\W*\Z",
        rf"(?m)^\s*\(?([{letters}])[).:](?=\s|$)",
        rf"\(([{any_case}])\)",
    ):
        yield {next(filter(None, found.groups())).upper() for found in re.finditer(pattern, text)}
