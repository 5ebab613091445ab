"""A pytest plugin for nbval: a kernel may take longer to hand over what a cell printed.

nbval waits five seconds for it once a cell is done, whatever its options say. A cell that has trained for
minutes with a progress bar, on cores that other kernels share, needs more.
"""

from typing import Any

from nbval.plugin import IPyNbCell

SECONDS = 120

_as_nbval_has_it = IPyNbCell.__init__


def _patient(self: Any, *arguments: Any, **named: Any) -> None:
    _as_nbval_has_it(self, *arguments, **named)
    self.output_timeout = SECONDS


IPyNbCell.__init__ = _patient
