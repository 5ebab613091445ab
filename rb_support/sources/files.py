"""Find, download and verify published files.

A file is looked for under RB_DATA_DIR by its registered name, then there by its size and sha256 under
any name, then in the cache by its registered name. Only `fetch` uses the network.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from io import FileIO
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

from rb_support import cache
from rb_support.cache import SourceError, data_dir, digest, downloads_dir, locked, written_whole
from rb_support.outcomes import Origin
from rb_support.sources.errors import AlteredFileError, MissingSourceError, UnverifiedFileError
from rb_support.sources.registry import SOURCES, Source, SourceFile

TRUSTED = "trusted.json"
"""Record in the cache: hashes of files that were taken at their owner's word."""

Status = Literal["verified", "missing", "altered", "unverified"]
Told = TypeVar("Told")

_FETCH = "python -m rb_support data fetch"


@dataclass(frozen=True)
class Located:
    """Files of a source at hand, hashed: `paths` and `hashes` in the order of `source.files`."""

    source: Source
    paths: tuple[Path, ...]
    hashes: tuple[str, ...]

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Pairs (registered name, sha256), as `Origin.files` holds them."""
        return tuple((file.name, sha256) for file, sha256 in zip(self.source.files, self.hashes, strict=True))

    @property
    def published(self) -> bool:
        """Whether no file has another hash than the published one."""
        return all(
            file.sha256 in (None, sha256) for file, sha256 in zip(self.source.files, self.hashes, strict=True)
        )

    @property
    def origin(self) -> Origin:
        """Origin of what is read from the files; what is not published is its owner's own."""
        if self.published:
            return Origin("real", self.source.title, self.files)
        return Origin("own", f"{self.source.title} (not the published file)", self.files)

    @property
    def names(self) -> tuple[str, ...]:
        """Last part of each file's registered name."""
        return tuple(Path(file.name).name for file in self.source.files)

    def read(self, name: str) -> bytes:
        """Bytes of the file whose registered name ends with that part, hashed as they are read.

        Raises
        ------
        AlteredFileError : if they are no longer those that were verified.
        """
        at = self.names.index(name)
        data = self.paths[at].read_bytes()
        if hashlib.sha256(data).hexdigest() != self.hashes[at]:
            raise AlteredFileError(f"{self.paths[at]} was changed while it was read; verify it and try again")
        return data


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
    allow_unverified : take a file whose hash nobody has published, and record its hash; take also a pickle
        in its place that is not the published one (it is read in a child process; its origin is "own").

    Raises
    ------
    MissingSourceError : if a file is not at hand.
    AlteredFileError : if a file's bytes are not the published ones.
    UnverifiedFileError : if no hash is known for a file and `allow_unverified` is not given.
    """
    source = _source(name)
    search = _Search(source.name, allow_unverified, strangers=allow_unverified)
    found = {file: search.find(file) for file in source.files}
    missing = [file for file, here in found.items() if here is None]
    if missing:
        raise MissingSourceError(
            f"{source.name} is not at hand ({len(missing)} of {len(found)} files): run `{_FETCH} "
            f"{source.name}`, or set RB_DATA_DIR to a folder that holds it; looked in RB_DATA_DIR "
            f"({data_dir() or 'not set'}) and {downloads_dir()}, first for {missing[0].name} "
            f"({missing[0].address}){search.unread}"
        )
    paths, hashes = zip(*filter(None, found.values()), strict=True)
    return Located(source, paths, hashes)


def fetch(name: str | Source, *, allow_unverified: bool = False) -> Located:
    """Download what is not at hand into the cache, verify it, and return all files of the source.

    A download goes to a temporary file and is moved into place only when its size and sha256 agree, so
    one that was cut leaves nothing behind and is simply started again, once. A bar on stderr shows each.

    Parameters
    ----------
    name : of the source, or the source itself.
    allow_unverified : take a file whose hash nobody has published, and record its hash.

    Raises
    ------
    SourceError : naming file, address and remedy if a download fails or its bytes are not the published.
    UnverifiedFileError : if no hash is known for a file and `allow_unverified` is not given.
    """
    source = _source(name)
    search = _Search(source.name, allow_unverified)

    def wanted() -> list[SourceFile]:
        return [file for file in source.files if search.state(file).status != "verified"]

    if wanted():
        with locked(downloads_dir()):  # so what lies half-written there is nobody's
            for left in downloads_dir().rglob(".*.part"):
                left.unlink()
            for file in wanted():
                _download(file, search.expected(file))
    return locate(source, allow_unverified=allow_unverified)


def verify(name: str | Source) -> tuple[FileState, ...]:
    """State of every file of a source, from hashes computed anew."""
    source = _source(name)
    return tuple(map(_Search(source.name, in_place=True).state, source.files))


def at_hand(name: str | Source) -> int:
    """How many files of a source are here, told by their sizes alone: quick, and no proof."""
    source = _source(name)
    search = _Search(source.name)
    return sum(any(search.candidates(file)) for file in source.files)


def _source(name: str | Source) -> Source:
    return name if isinstance(name, Source) else SOURCES[name]


@dataclass
class _Search:
    """Where to look for the files of one source (`owner`).

    With `in_place` a file that lies in its place is judged by itself: no copy elsewhere stands in for it.
    With `strangers` a pickle in its place is taken whatever its hash.
    """

    owner: str
    allow_unverified: bool = False
    in_place: bool = False
    strangers: bool = False
    barred: dict[str, str] = field(default_factory=dict)

    @property
    def unread(self) -> str:
        """What could not be looked into, for the end of a message."""
        return "".join(f"; {path} cannot be read ({why})" for path, why in self.barred.items())

    def _bar(self, error: OSError) -> None:
        self.barred[str(error.filename)] = str(error.strerror)

    def _looked(self, tell: Callable[[Path], Told], path: Path) -> Told | None:
        """What a function tells of a file, None if it may not look at it."""
        try:
            return tell(path)
        except OSError as error:
            self._bar(error)
            return None

    def _named(self, file: SourceFile) -> list[Path]:
        """Files that lie where the registered name says."""
        places = [folder / file.name for folder in (data_dir(), downloads_dir()) if folder is not None]
        return [place for place in places if self._looked(Path.is_file, place)]

    def expected(self, file: SourceFile, wanted: bool = True) -> str | None:
        """Published hash, else that of the first use; None if there is none yet.

        Raises
        ------
        UnverifiedFileError : if the file is wanted all the same, and may not be taken on trust.
        """
        sha256 = file.sha256 or cache.read_record(TRUSTED).get(file.name)
        if sha256 is None and wanted and not self.allow_unverified:
            raise UnverifiedFileError(
                f"no published sha256 is known for {file.name} ({file.address}); to take it on trust, run "
                f"`{_FETCH} {self.owner} --allow-unverified` or pass allow_unverified=True: its hash is "
                "recorded, and other bytes are refused from then on"
            )
        return sha256

    @cached_property
    def _everything(self) -> list[Path]:
        """What lies under RB_DATA_DIR, also behind links, as large data is often linked."""
        found, seen = [], set()
        for folder, folders, names in os.walk(data_dir() or os.devnull, followlinks=True, onerror=self._bar):
            if (here := Path(folder).resolve()) in seen:
                folders.clear()  # a link led back
            else:
                seen.add(here)
                found += [Path(folder, name) for name in names]
        return found

    def candidates(self, file: SourceFile) -> Iterator[Path]:
        """Files that may be this one by their sizes, those in its place first."""
        named = self._named(file)
        other = self._everything if file.sha256 and not (self.in_place and named) else []
        for path in chain(named, other):
            if self._looked(Path.is_file, path) and file.fits(path.stat().st_size):
                yield path

    def find(self, file: SourceFile) -> tuple[Path, str] | None:
        """Where a file lies, and its sha256; None if it is not at hand, or cannot be read.

        Raises
        ------
        UnverifiedFileError, AlteredFileError : as `locate`.
        """
        named = self._named(file)
        sha256 = self.expected(file, wanted=bool(named))
        for path in self.candidates(file):
            if sha256 and self._looked(digest, path) == sha256:
                return path, sha256
        if not named or not (other := self._looked(digest, named[0])):
            return None
        if sha256 is None:  # from now on it is held to these bytes
            cache.remember(TRUSTED, file.name, other)
        elif not (self.strangers and named[0].suffix == ".pkl"):
            raise AlteredFileError(self._altered(file, named[0], other, sha256))
        return named[0], other

    def _altered(self, file: SourceFile, path: Path, found: str, expected: str) -> str:
        """A file's bytes are not the published ones, or not those that were trusted at first use."""
        if file.sha256 is None:
            return (
                f"{path} has sha256 {found}, but {file.name} had {expected} when it was first taken on "
                "trust; bring back those bytes, or, to trust the new ones, delete its line in "
                f"{cache.cache_dir() / TRUSTED}"
            )
        return (
            f"{path} is not the published {file.name}: it has {path.stat().st_size:,} bytes and sha256 "
            f"{found}, expected are {_size(file)} bytes and sha256 {expected}; delete it, or run `{_FETCH} "
            f"{self.owner}` for a sound copy in the cache"
        )

    def state(self, file: SourceFile) -> FileState:
        try:
            if self.find(file) is not None:
                return FileState(file.name, "verified")
        except (UnverifiedFileError, AlteredFileError) as error:
            status: Status = "altered" if isinstance(error, AlteredFileError) else "unverified"
            return FileState(file.name, status, str(error))
        detail = f"{file.name} is not at hand ({file.address}); run `{_FETCH} {self.owner}`{self.unread}"
        return FileState(file.name, "missing", detail)


class _Sink(FileIO):
    """File that a download goes to, which takes no page in its place and no more bytes than it can have."""

    most: int

    def write(self, data: Any) -> int:
        if self.tell() == 0 and data.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
            raise ValueError("an HTML page came, as a proxy or a login page sends it, and not the file")
        if self.tell() + len(data) > self.most:
            raise ValueError(f"more than {self.most:,} bytes came, and no more were expected")
        return super().write(data)


def _download(file: SourceFile, expected: str | None) -> None:
    path = downloads_dir() / file.name
    if path.is_dir():
        cache.put_aside(path, "it is a folder")
    for again in (True, False):
        try:
            with written_whole(path) as part:
                return _receive(file, part, expected)
        except (ValueError, OSError) as error:
            if not again:
                raise SourceError(
                    f"{file.name} could not be downloaded from {file.address} ({error}); nothing was kept: "
                    "try again, or get the file by other means and set RB_DATA_DIR to its folder"
                ) from error


def _receive(file: SourceFile, part: Path, expected: str | None) -> None:
    """Download a file to a path; ValueError if other bytes come than were expected."""
    import pooch

    with _Sink(part, "wb") as sink:
        sink.most = file.most
        pooch.HTTPDownloader(progressbar=True, timeout=60)(file.address, sink, None)
    size = part.stat().st_size
    if not file.fits(size):
        raise ValueError(f"{size:,} bytes came where {_size(file)} were expected")
    if expected is not None and (found := digest(part)) != expected:
        raise ValueError(f"bytes of SHA256 {found} came where {expected} was expected")


def _size(file: SourceFile) -> str:
    if not file.exact and not file.size:
        return f"at most {file.most:,}"
    return f"{'' if file.exact else 'about '}{file.size:,}"
