"""Prompts as the published files write them: texts that hold a Python list of texts."""

from __future__ import annotations

import ast
from typing import Any

TURN = "\n\n"
"""What stands between the turns of a prompt that was a list."""


def strings(prompt: Any) -> tuple[str, ...]:
    """Texts a prompt consists of: a list literal's items, or the prompt itself.

    >>> strings("['What is 2 + 2?', 'Why?']"), strings("[1, 2] is what?")
    (('What is 2 + 2?', 'Why?'), ('[1, 2] is what?',))
    """
    if not isinstance(prompt, str):
        return tuple(str(part) for part in prompt) if hasattr(prompt, "__iter__") else (str(prompt),)
    if not (prompt.startswith("[") and prompt.endswith("]")):
        return (prompt,)
    parts = _literal(prompt)
    if isinstance(parts, list) and parts and all(isinstance(part, str) for part in parts):
        return tuple(parts)
    return (prompt,)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None  # a prompt may well start and end with brackets and be no list


def encoded(prompt: str) -> str:
    """Prompt as a wide file must write it so that reading it gives the same text again."""
    return prompt if strings(prompt) == (prompt,) else repr([prompt])
