"""Every published file by address, size, sha256, licence and citation; read at first use."""

from __future__ import annotations

import difflib
from collections import UserDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

from rb_support.cache import packaged_table
from rb_support.sources.errors import UnknownSourceError

_ROUNDING = 0.01
_LARGEST = 2_000_000_000
"""Bytes that a file of unknown size may have."""


@dataclass(frozen=True)
class SourceFile:
    """One published file.

    Attributes
    ----------
    name : path below RB_DATA_DIR and in the cache.
    address : where it is published.
    size : bytes; rounded unless `exact`, 0 if its publisher shows none.
    sha256 : hexadecimal digest, None if the publisher shows none.
    exact : whether `size` is the exact number of bytes.
    """

    name: str
    address: str
    size: int
    sha256: str | None
    exact: bool = True

    @property
    def most(self) -> int:
        """As many bytes as it can have."""
        if not self.exact and not self.size:
            return _LARGEST
        return self.size if self.exact else int(self.size * (1 + _ROUNDING))

    def fits(self, size: int) -> bool:
        """Whether a file of that many bytes can be this one."""
        return 2 * self.size - self.most <= size <= self.most


@dataclass(frozen=True)
class Source:
    """One data set: its files and the terms under which they are published."""

    name: str
    title: str
    licence: str
    citation: str
    files: tuple[SourceFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together (rounded if one of them is, without those of unknown size)."""
        return sum(file.size for file in self.files)


class Registry(UserDict[str, Source]):
    """Sources by name, read from `registry.toml` when first asked for."""

    def __init__(self) -> None:
        """Read nothing yet."""

    @cached_property
    def data(self) -> dict[str, Source]:  # type: ignore[override]
        """What `UserDict` looks into."""
        listed = packaged_table("sources/registry.toml")
        return {name: _source(name, table) for name, table in listed.items()}

    def __missing__(self, name: str) -> Source:
        close = difflib.get_close_matches(name, self, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise UnknownSourceError(f"there is no source '{name}'; {hint}known: {', '.join(self)}")


def _source(name: str, table: dict[str, Any]) -> Source:
    entries = tuple(_file(table["address"], *entry) for entry in table["files"])
    return Source(name, table["title"], table["licence"], table["citation"], entries)


def _file(address: str, name: str, path: str, size: int | str, sha256: str) -> SourceFile:
    exact = isinstance(size, int)
    return SourceFile(name, address + quote(path), int(str(size).lstrip("~")), sha256 or None, exact)


SOURCES: Mapping[str, Source] = Registry()
"""All sources; looking up an unknown name raises `UnknownSourceError`, which lists the known ones."""
