"""A pytest plugin for nbval: this Python's kernel, a second try at starting it, and time for its output.

Whatever kernel JUPYTER_PATH offers by the notebooks' name, the one that runs is that of the tests.

A kernel's ports are chosen first and bound later. When another process takes one between, the kernel dies or,
if it is the port of its output, lives on without a word: nbval then gives up on the whole notebook.

nbval waits five seconds for a cell's output once the cell is done, whatever its options say. A cell that has
trained for minutes with a progress bar, on cores that other kernels share, needs more.
"""

from typing import Any

import nbval.kernel
from nbval.kernel import CURRENT_ENV_KERNEL_NAME
from nbval.plugin import IPyNbCell

SECONDS = 120
TRIES = 3

_cell_as_nbval_has_it = IPyNbCell.__init__
_start_as_nbval_has_it = nbval.kernel.start_new_kernel


def _patient(self: Any, *arguments: Any, **named: Any) -> None:
    _cell_as_nbval_has_it(self, *arguments, **named)
    self.output_timeout = SECONDS


def _start(startup_timeout: float, kernel_name: str, **named: Any) -> Any:
    for _ in range(TRIES - 1):
        try:
            return _start_as_nbval_has_it(startup_timeout, CURRENT_ENV_KERNEL_NAME, **named)
        except RuntimeError:
            continue
    return _start_as_nbval_has_it(startup_timeout, CURRENT_ENV_KERNEL_NAME, **named)


IPyNbCell.__init__ = _patient
nbval.kernel.start_new_kernel = _start
