"""Every figure and table from one call: notebooks run by papermill, each in a process of its own."""

from .commands import Result, refresh, reproduce
from .plan import SCALES, UsageError
from .runner import DEFAULT_JOBS

__all__ = ["DEFAULT_JOBS", "SCALES", "Result", "UsageError", "refresh", "reproduce"]
