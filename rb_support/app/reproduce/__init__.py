"""Every figure and table from one call: notebooks run by papermill, each in a kernel of its own."""

from rb_support.app.reproduce.commands import refresh, reproduce
from rb_support.app.reproduce.plan import SCALES, UsageError
from rb_support.app.reproduce.runner import DEFAULT_JOBS, Result

__all__ = ["DEFAULT_JOBS", "SCALES", "Result", "UsageError", "refresh", "reproduce"]
