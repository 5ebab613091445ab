"""How many tokens a text may have, without a tokenizer."""

from __future__ import annotations

from math import ceil

from rb_support.construct.records import Messages

BYTES_PER_TOKEN = 4
PER_MESSAGE = 4  # role and separators
MOST_PER_MESSAGE = 16
"""Tokens that a chat template may put around one message, at most."""


def estimate(text: str) -> int:
    """Tokens of a text by its length: one for four bytes of UTF-8.

    >>> estimate("The answer is B."), estimate("")
    (4, 0)
    """
    return ceil(len(text.encode()) / BYTES_PER_TOKEN)


def estimate_prompt(messages: Messages) -> int:
    """Tokens of a prompt by its length."""
    return sum(estimate(text) + PER_MESSAGE for _, text in messages)


def most_prompt(messages: Messages) -> int:
    """Tokens that a prompt can have at most: no tokenizer makes more than one token of a byte."""
    return sum(len(text.encode()) + MOST_PER_MESSAGE for _, text in messages)
