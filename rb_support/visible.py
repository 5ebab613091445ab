"""A stranger's text where it could steer what shows it: a terminal, a page, a figure, a message."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control and format characters, lone surrogates, line separators
_JOINERS = "\u200c\u200d"  # without them words of some scripts and some emoji fall apart


def hidden(text: str, keep: str = "") -> set[str]:
    """Characters of a text that nobody sees, but those in `keep`."""
    if text.isprintable():
        return set()
    return {c for c in set(text) if unicodedata.category(c) in _HIDDEN} - {*keep, *_JOINERS}


def visible(text: str, keep: str = "") -> str:
    r"""Text whose hidden characters, but those in `keep`, are written out as Python writes them.

    >>> print(visible("a\x1b[2Jb"))
    a\x1b[2Jb
    """
    return written_out(text, hidden(text, keep))


def written_out(text: str, characters: set[str] | frozenset[str]) -> str:
    """Text with some of its characters written as their codes."""
    return text.translate({ord(c): c.encode("unicode_escape").decode() for c in characters})


def markdown(text: str) -> str:
    r"""Text in which Markdown finds no mark, link, formula, element of HTML or end of a cell.

    >>> print(markdown("cheap $0.25/$1.25 <b>"))
    cheap \$0.25/\$1.25 &lt;b>
    """
    return re.sub(r"[\\|`$*~]|(?<!\w)_(?=\w)|(?<=\])\(", r"\\\g<0>", text.replace("\n", " ")).replace(
        "<", "&lt;"
    )
