"""Keys: read from the environment when a call is made, and struck out of whatever comes back."""

from __future__ import annotations

import json
import os

from rb_support.construct.errors import CallError
from rb_support.construct.records import Model

STRUCK = "[key]"
SHORTEST = 8
"""Shorter values, such as "EMPTY" for a local server, are no secrets and are not struck out."""


def key_for(model: Model) -> str:
    """Key of a model; empty if its card names no variable.

    Raises
    ------
    CallError : if the variable is not set, or holds what no HTTP header can carry.
    """
    if not model.key_variable:
        return ""
    key = os.environ.get(model.key_variable, "").strip()
    if not key:
        raise CallError(
            f"{model.name}: the environment variable {model.key_variable} is not set; set it to the key",
            whole_model=True,
        )
    if not (key.isascii() and key.isprintable()):
        raise CallError(
            f"{model.name}: the value of {model.key_variable} holds characters that no key has; set it again",
            whole_model=True,
        )
    return key


def strike(text: str, key: str) -> str:
    """Text without the key, as it is or as JSON would write it.

    >>> strike("wrong key: sk-12345678", "sk-12345678")
    'wrong key: [key]'
    """
    if len(key) < SHORTEST:
        return text
    return text.replace(key, STRUCK).replace(json.dumps(key)[1:-1], STRUCK)
