"""Programs that tests start in order to interrupt them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Start a program that hears Ctrl-C, as one started by hand in a terminal does.

    Tests in the background (`nohup`, a shell's `&`, some CI) run with SIGINT ignored, and every child would
    inherit that. A handler of the parent's own is never inherited: the child starts with the default.

    Parameters
    ----------
    command, options : as `subprocess.Popen` takes them.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, text=True, **options)
    finally:
        signal.signal(signal.SIGINT, before)


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until something is so, and fail if it takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has asked for its status yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return f"{pid} (" in (status := Path(f"/proc/{pid}/stat").read_text()) and ") Z " in status
