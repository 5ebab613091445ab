"""What can go wrong with a source, each as an exception that says what to do."""

from __future__ import annotations

from rb_support.cache import SourceError


class UnknownSourceError(SourceError):
    """A name that the registry does not hold."""


class MissingSourceError(SourceError):
    """A source whose files are neither under RB_DATA_DIR nor in the cache."""


class AlteredFileError(SourceError):
    """A file whose bytes are not the published ones."""


class UnverifiedFileError(SourceError):
    """A file for which no hash is known and that nobody has said to trust."""


class UnsafePickleError(SourceError):
    """A pickle that asks for more than a plain table, or that holds none."""
