"""What a server has spent, in a file that holds after a kill as well, so that a restart forgets nothing."""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from pathlib import Path

from filelock import FileLock, Timeout

from rb_support.cache import written_whole


class ServeError(RuntimeError):
    """A router cannot be served; the message says why and what to do."""


class Ledger:
    """USD spent by model, one line a change; one process at a time.

    Before a call a line charges the most that it can cost, afterwards another takes back what it did not.
    So a call that was cut off by a kill stays charged. A line is one write to the system; a machine that
    loses power may lose the last seconds.

    Parameters
    ----------
    path : file of JSON lines; a new one if there is none, else it goes on, each model's lines in one sum.

    Attributes
    ----------
    usd : USD by model, those of earlier runs included.

    Raises
    ------
    ServeError : if another process writes it, or a line in it is no charge.
    OSError : if it cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(f"{self.path}.lock", thread_local=False)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            used = f"{self.path} is in use by another server; give each a --ledger of its own"
            raise ServeError(used) from None
        try:
            self.usd = self._read()
            with written_whole(self.path) as part:
                part.write_bytes(b"".join(_line(model, usd) for model, usd in self.usd.items()))
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        except BaseException:
            self._lock.release()
            raise

    def add(self, model: str, usd: float) -> None:
        """Charge a model; a negative sum takes back."""
        line = _line(model, usd)
        if os.write(self._file, line) < len(line):
            raise OSError(f"{self.path} could not be written to its end; is the disk full?")
        self.usd[model] += usd

    def close(self) -> None:
        """Leave the file to others."""
        os.close(self._file)
        self._lock.release()

    def _read(self) -> defaultdict[str, float]:
        """Sums of what the file holds. A line that was cut short belongs to a call that was never sent."""
        usd: defaultdict[str, float] = defaultdict(float)
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"}"):
                continue
            try:
                charge = json.loads(line)
                model, value = str(charge["model"]), float(charge["usd"])
            except (ValueError, KeyError, TypeError):
                model, value = "", math.nan
            if not math.isfinite(value):
                raise ServeError(f"{self.path}, line {number} is no charge; correct it or take another file")
            usd[model] += value
        return usd


def _line(model: str, usd: float) -> bytes:
    """A charge; it begins with the line's end, so that it stands alone even after one that was cut short."""
    return b"\n" + json.dumps({"model": model, "usd": usd}).encode()
