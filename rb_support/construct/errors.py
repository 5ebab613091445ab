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
    """A call that was given up: refused by the endpoint, or failed at every attempt.

    Parameters
    ----------
    message : what is wrong and the remedy.
    whole_model : True if every other call to the model would fail the same way.
    """

    def __init__(self, message: str, *, whole_model: bool = False) -> None:
        super().__init__(message)
        self.whole_model = whole_model


class TryAgain(Exception):
    """One attempt failed in a way that may pass.

    Parameters
    ----------
    kind : in a word or two, such as "429" or "cut".
    wait_s : seconds that the endpoint asks to wait.
    billed : True if the endpoint may have made an answer, which would be on the bill.
    """

    def __init__(self, kind: str, *, wait_s: float = 0.0, billed: bool = False) -> None:
        super().__init__(kind)
        self.kind, self.wait_s, self.billed = kind, wait_s, billed
