"""Programs that tests start in order to interrupt them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
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
