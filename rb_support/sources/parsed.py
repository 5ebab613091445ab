"""Parsed tables kept as Parquet in the cache, so that a source is parsed once."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import pandas as pd

from rb_support.cache import alone, cache_dir, digest, read_record, write_record
from rb_support.outcomes import Origin
from rb_support.outcomes.files import read_parquet, write_parquet
from rb_support.sources.store import Located


class Kept(Protocol):
    """A table that goes to Parquet and back."""

    def to_parquet(self, path: str | Path) -> None:
        """Write the table."""

    @classmethod
    def from_parquet(cls, path: str | Path) -> Self:
        """Read it back."""


Table = TypeVar("Table", bound=Kept)


@dataclass(frozen=True, eq=False)
class SourceRows:
    """A frame with its origin, for sources that are none of the three tables."""

    frame: pd.DataFrame
    origin: Origin

    def to_parquet(self, path: str | Path) -> None:
        """Write frame and origin."""
        write_parquet(path, self.frame, {"table": "SourceRows", "origin": self.origin.as_record()})

    @classmethod
    def from_parquet(cls, path: str | Path) -> SourceRows:
        """Read back what `to_parquet` wrote."""
        frame, record = read_parquet(path, "SourceRows")
        return cls(frame, Origin.from_record(record["origin"]))


def parsed_once(located: Located, table: type[Table], parse: Callable[[], Table], **options: Any) -> Table:
    """Table from the cache, or parsed now and kept there.

    The cached file's name depends on the hashes of the source's files, on the parsing code and on the
    options, and a record beside it holds its own hash: one that was damaged is made again, with a warning.

    Parameters
    ----------
    located : the source's files.
    table : class to read the cached file with.
    parse : makes the table from the files.
    options : what else the parsed rows depend on.
    """
    folder = cache_dir() / "parsed"
    folder.mkdir(exist_ok=True)
    path = folder / f"{located.source.name}-{_key(located, options)}.parquet"
    with alone(path):
        if _is_sound(path):
            return table.from_parquet(path)
        if path.exists():
            warnings.warn(f"{path} was damaged; it is parsed again from the source", stacklevel=3)
        made = parse()
        made.to_parquet(path)
        write_record(_record(path), {"sha256": digest(path)})
    return made


def _key(located: Located, options: dict[str, Any]) -> str:
    text = json.dumps([_parser(), located.files, options], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _parser() -> str:
    """Digest of the code that makes tables, which no cached table is to outlive."""
    folders = [files("rb_support").joinpath(name) for name in ("outcomes", "sources")]
    modules = [module for folder in folders for module in folder.iterdir() if module.name.endswith(".py")]
    texts = sorted((module.name, module.read_text(encoding="utf-8")) for module in modules)
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def _record(path: Path) -> Path:
    return path.with_suffix(".json")


def _is_sound(path: Path) -> bool:
    expected = read_record(f"parsed/{_record(path).name}").get("sha256")
    return path.is_file() and expected == digest(path)
