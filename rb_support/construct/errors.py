"""What can go wrong on the way from prompts to a table, each as an exception that says what to do."""

from __future__ import annotations


class ConstructError(RuntimeError):
    """Construction cannot go on; the message names what is wrong and the remedy, never a key."""


class ModelCardError(ConstructError):
    """A model card file that cannot be used; the message names file, entry, field and remedy."""


class StoreError(ConstructError):
    """A store that cannot be opened or read: another format or version, or a damaged file."""


class StoreBusyError(StoreError):
    """A store that another run is writing."""


class CallError(ConstructError):
    """A call that was given up: refused by the endpoint, or failed at every attempt."""
