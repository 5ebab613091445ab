"""Find, download and verify published files.

A file is looked for under RB_DATA_DIR by its registered name, then there by its size and sha256 under
any name, then in the cache by its registered name. Only `fetch` uses the network.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import pooch

from rb_support.cache import (
    SourceError,
    cache_dir,
    data_dir,
    digest,
    downloads_dir,
    known_digest,
    read_record,
    remember,
)
from rb_support.sources import messages
from rb_support.sources.errors import AlteredFileError, MissingSourceError, UnverifiedFileError
from rb_support.sources.registry import SOURCES, Source, SourceFile

TIMEOUT_SECONDS = 60
TRUSTED = "trusted.json"
"""Record in the cache: hashes of files that were taken at their owner's word."""

Status = Literal["verified", "missing", "altered", "unverified"]


@dataclass(frozen=True)
class Located:
    """Files of a source at hand, verified: `paths` and `hashes` in the order of `source.files`."""

    source: Source
    paths: tuple[Path, ...]
    hashes: tuple[str, ...]

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Pairs (registered name, sha256), as `Origin.files` holds them."""
        return tuple((file.name, sha256) for file, sha256 in zip(self.source.files, self.hashes, strict=True))

    def path(self, ending: str) -> Path:
        """Path of the one file whose registered name has that ending."""
        names = [file.name for file in self.source.files]
        [path] = [path for name, path in zip(names, self.paths, strict=True) if name.endswith(ending)]
        return path


@dataclass(frozen=True)
class FileState:
    """What `verify` found about one file; `detail` says what to do."""

    name: str
    status: Status
    detail: str = ""


def locate(name: str | Source, *, allow_unverified: bool = False) -> Located:
    """Files of a source that are at hand, each verified; nothing is downloaded.

    Parameters
    ----------
    name : of the source, or the source itself.
    allow_unverified : take a file whose hash nobody has published, and record its hash.

    Raises
    ------
    MissingSourceError : if a file is not at hand.
    AlteredFileError : if a file's bytes are not the published ones.
    UnverifiedFileError : if no hash is known for a file and `allow_unverified` is not given.
    """
    source = _source(name)
    shelf = _Shelf(source.name, allow_unverified)
    found = [(file, shelf.find(file)) for file in source.files]
    missing = [file for file, path in found if path is None]
    if missing:
        raise MissingSourceError(messages.missing(source, missing, data_dir(), downloads_dir()))
    paths = tuple(path for _, path in found if path is not None)
    hashes = (_expected(file) or known_digest(path) for file, path in zip(source.files, paths, strict=True))
    return Located(source, paths, tuple(hashes))


def fetch(
    name: str | Source, *, allow_unverified: bool = False, progress: bool = True, retries: int = 1
) -> Located:
    """Download what is not at hand into the cache, verify it, and return all files of the source.

    A download goes to a temporary file and is moved into place only when its size and sha256 agree, so
    one that was cut leaves nothing behind and is simply started again.

    Parameters
    ----------
    name : of the source, or the source itself.
    allow_unverified : take a file whose hash nobody has published, and record its hash.
    progress : show a bar per file on stderr.
    retries : how often a broken download is tried again before giving up.

    Raises
    ------
    SourceError : naming file, address and remedy if a download fails or its bytes are not the published.
    UnverifiedFileError : if no hash is known for a file and `allow_unverified` is not given.
    """
    source = _source(name)
    shelf = _Shelf(source.name, allow_unverified)
    for file in source.files:
        if _expected(file) is None and not allow_unverified:
            raise UnverifiedFileError(messages.unverified(file, source.name))
        if not shelf.has(file):
            _download(file, progress, retries)
    return locate(source, allow_unverified=allow_unverified)


def verify(name: str | Source) -> tuple[FileState, ...]:
    """State of every file of a source, from hashes computed anew."""
    source = _source(name)
    shelf = _Shelf(source.name, allow_unverified=False)
    return tuple(shelf.state(file) for file in source.files)


def at_hand(name: str | Source) -> int:
    """How many files of a source are here, told by their sizes alone: quick, and no proof."""
    source = _source(name)
    shelf = _Shelf(source.name, allow_unverified=False)
    return sum(shelf.seems_to_hold(file) for file in source.files)


def _source(name: str | Source) -> Source:
    return name if isinstance(name, Source) else SOURCES[name]


def _expected(file: SourceFile) -> str | None:
    """Published hash, else the one recorded when the file was first trusted."""
    return file.sha256 or read_record(TRUSTED).get(file.name)


def _named(file: SourceFile) -> list[Path]:
    """Files that lie where the registered name says."""
    folders = [folder for folder in (data_dir(), downloads_dir()) if folder is not None]
    return [path for path in (folder / file.name for folder in folders) if path.is_file()]


@dataclass
class _Shelf:
    """Everything under RB_DATA_DIR and in the cache, searched for one source."""

    owner: str
    allow_unverified: bool

    @cached_property
    def _everything(self) -> list[tuple[Path, int]]:
        """Paths and sizes under RB_DATA_DIR, listed once and only if a name did not lead to its file."""
        top = data_dir()
        if top is None:
            return []
        paths = [Path(folder) / name for folder, _, names in os.walk(top) for name in names]
        return [(path, path.stat().st_size) for path in paths if path.is_file()]

    def find(self, file: SourceFile) -> Path | None:
        named, sha256 = _named(file), _expected(file)
        if sha256 is None:
            return self._trust(file, named[0]) if named else None
        for path in named:
            if file.fits(path.stat().st_size) and known_digest(path) == sha256:
                return path
        for path, size in self._everything:
            if file.fits(size) and known_digest(path) == sha256:
                return path
        if named:
            raise AlteredFileError(self._altered(file, named[0], sha256))
        return None

    def has(self, file: SourceFile) -> bool:
        try:
            return self.find(file) is not None
        except AlteredFileError:
            return False  # a sound copy in the cache is what the message of that error asks for

    def seems_to_hold(self, file: SourceFile) -> bool:
        if any(file.fits(path.stat().st_size) for path in _named(file)):
            return True
        findable = file.exact and file.sha256 is not None
        return findable and any(size == file.size for _, size in self._everything)

    def state(self, file: SourceFile) -> FileState:
        named, sha256 = _named(file), _expected(file)
        if sha256 is None and named:
            return FileState(file.name, "unverified", messages.unverified(file, self.owner))
        candidates = named or [path for path, size in self._everything if file.fits(size)]
        if sha256 and any(digest(path) == sha256 for path in candidates):
            return FileState(file.name, "verified")
        if sha256 and named:
            return FileState(file.name, "altered", self._altered(file, named[0], sha256))
        return FileState(file.name, "missing", messages.gone(file, self.owner))

    def _trust(self, file: SourceFile, path: Path) -> Path:
        """Take a file of unknown hash at its owner's word, and hold it to these bytes from now on."""
        if not self.allow_unverified:
            raise UnverifiedFileError(messages.unverified(file, self.owner))
        remember(TRUSTED, file.name, known_digest(path))
        return path

    def _altered(self, file: SourceFile, path: Path, sha256: str) -> str:
        size, found = path.stat().st_size, digest(path)
        if file.sha256 is None:
            return messages.changed(file, path, found, sha256, cache_dir() / TRUSTED)
        return messages.altered(file, path, size, found, self.owner)


def _download(file: SourceFile, progress: bool, retries: int) -> None:
    sha256 = _expected(file)
    fetcher = pooch.create(
        path=downloads_dir(),
        base_url="",
        registry={file.name: f"sha256:{sha256}" if sha256 else None},
        urls={file.name: file.address},
        retry_if_failed=retries,
    )
    try:
        fetcher.fetch(file.name, downloader=_Sized(file, progress))
    except (ValueError, OSError) as error:
        raise SourceError(messages.failed(file, error)) from error


@dataclass(frozen=True)
class _Sized:
    """HTTP download that says how many bytes came when they are too few or too many."""

    file: SourceFile
    progress: bool

    def __call__(self, url: str, output_file: str, *args: object, **options: object) -> None:
        download = pooch.HTTPDownloader(progressbar=self.progress, timeout=TIMEOUT_SECONDS)
        download(url, output_file, *args, **options)
        size = Path(output_file).stat().st_size
        if not self.file.fits(size):
            raise ValueError(f"{size:,} bytes came where {messages.size(self.file)} were expected")
