"""What a cell holds, whichever file it came from: a text, a number, a prompt's turns, or nothing."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import numpy as np
import pandas as pd

TURN = "\n\n"
"""What stands between the turns of a prompt that was a list."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?inf(?:inity)?", re.ASCII | re.IGNORECASE)
_ABSENT = ("nan", "na", "n/a", "#n/a", "<na>", "none", "null")
_TRUTH = {"true": 1.0, "false": 0.0}
_TEXT = r"'[^'\\]*(?:\\.[^'\\]*)*'|\"[^\"\\]*(?:\\.[^\"\\]*)*\""
_ITEM = re.compile(rf"({_TEXT}|\}})(\s*(?=['\"{{]))?", re.DOTALL)
"""A text or the end of a record, and the gap before the next one that NumPy prints without a comma."""


def is_absent(cell: Any) -> bool:
    """Whether a cell holds nothing: None, NaN or an empty text; a list of turns never does."""
    if isinstance(cell, str):
        return not cell.strip()
    return bool(pd.api.types.is_scalar(cell) and pd.isna(cell))


def means_absent(cell: Any) -> bool:
    """Whether a cell of a column of numbers holds nothing, or a usual word for that."""
    return is_absent(cell) or str(cell).strip().lower() in _ABSENT


def number(cell: Any, truth: bool = True) -> float:
    """Number in a cell, written as data files write numbers; NaN if it holds none.

    The same for every file: "1_0", "0x10", "١٢" and "1,5" are no numbers, though Python or a spreadsheet
    may read them.

    Parameters
    ----------
    truth : whether True and False count as 1 and 0.
    """
    if isinstance(cell, float):
        return float(cell)
    text = str(cell).strip()
    if truth and text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    # Python's float() rounds correctly; the fast parsers of pandas may be one bit off.
    return float(text) if _NUMBER.fullmatch(text) else float("nan")


def plain(cell: Any) -> Any:
    """Cell as a text, a number, a time or nothing: bytes are decoded, lists and records become JSON.

    Raises
    ------
    ValueError : if it holds bytes or half characters that are no text (a UnicodeError), or another object.
    """
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell).decode()
    if isinstance(cell, str):
        cell.encode()
    if pd.api.types.is_scalar(cell):
        return cell
    if not isinstance(cell, list | tuple | dict | np.ndarray):
        raise ValueError(f"a {type(cell).__name__}")
    return json.dumps(cell, ensure_ascii=False, default=_within)


def plain_prompt(cell: Any) -> Any:
    """`plain`, which refuses a list or record that is neither texts nor chat messages.

    Raises
    ------
    ValueError : saying so.
    """
    text = plain(cell)
    if isinstance(cell, list | tuple | dict | np.ndarray) and strings(text) == (text,):
        raise ValueError("a list or record that is no text")
    return text


def _within(value: Any) -> Any:
    """What JSON may hold of a value inside a list."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(plain(value))


def strings(prompt: str) -> tuple[str, ...]:
    """Texts a prompt consists of: the items of a list of texts or chat messages, or the prompt itself.

    A list may be written as JSON, as Python or as NumPy writes it (without commas). Of chat messages the
    contents are taken and the roles left out. Anything else in brackets stays the text it is.

    >>> strings("['What is 2 + 2?', 'Why?']"), strings("['One' 'Two']"), strings("[1, 2] is what?")
    (('What is 2 + 2?', 'Why?'), ('One', 'Two'), ('[1, 2] is what?',))
    >>> strings('[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]')
    ('Be brief.', 'Hi')
    """
    if (prompt[:1], prompt[-1:]) not in (("[", "]"), ("{", "}")):
        return (prompt,)
    for read in (json.loads, _literal):
        try:
            parts = read(prompt)
            turns = tuple(_said(part) for part in (parts if isinstance(parts, list) else [parts]))
            "".join(turns).encode()
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue  # a prompt may well start and end with brackets and be no list
        return turns or (prompt,)
    return (prompt,)


def is_chat(prompt: str) -> bool:
    """Whether `strings` reads chat messages in a prompt."""
    return re.match(r"\[?\s*\{", prompt) is not None and strings(prompt) != (prompt,)


def encoded(prompt: str) -> str:
    """Prompt as a wide file must write it so that reading it gives the same text again."""
    return prompt if prompt.strip() and strings(prompt) == (prompt,) else repr([prompt])


def _literal(text: str) -> Any:
    return ast.literal_eval(_ITEM.sub(lambda found: found[1] + ("," if found[2] is not None else ""), text))


def _said(turn: Any) -> str:
    """Text of a turn: itself, or what a chat message or a part of one says."""
    if isinstance(turn, dict):
        keys = [key for key in ("content", "value") if {"role", "from"} & turn.keys()]
        keys += ["text"] if turn.get("type") == "text" else []
        turn = next((turn[key] for key in keys if key in turn), None)
        if isinstance(turn, list):
            return TURN.join(map(_said, turn))
    if not isinstance(turn, str):
        raise TypeError("neither a text nor a chat message")
    return turn
