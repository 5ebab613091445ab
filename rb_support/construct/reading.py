"""Reading a letter or a number out of an answer to an exact-match question."""

from __future__ import annotations

import re

from rb_support.answers import final_letter, final_number


def read_letter(text: str, letters: str = "ABCD") -> str | None:
    """Letter that an answer settles on, also a bare one that stands as the answer's last sentence.

    >>> read_letter("Water boils there. C"), read_letter("It is vitamin C."), read_letter("(b)")
    ('C', None, 'B')
    """
    last = re.search(rf"[.!?:\n]\s*\(?([{letters}])\)?\W*\Z", text)
    return final_letter(text, letters) or (last[1] if last else None)


def read_answer(metric: str, text: str, letters: str = "ABCD") -> str | None:
    """What an answer says, by the metric "letter" or "number"; None if nothing can be read."""
    return final_number(text) if metric == "number" else read_letter(text, letters)
