"""The cache folder: where it lies, and small JSON records in it, replaced whole."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

ALONE = sys.platform == "emscripten"
"""Whether no other process can be there, as in a browser: then nothing needs a lock."""


class SourceError(RuntimeError):
    """A published file, or a folder for such files, cannot be used; the message names it and the remedy."""


def cache_dir() -> Path:
    """Folder for downloads and parsed tables: RB_CACHE_DIR, else the user's cache folder.

    Raises
    ------
    SourceError : if it cannot be made.
    """
    folder = Path(os.environ.get("RB_CACHE_DIR") or _usual_folder()).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(
            f"cache folder {folder} cannot be made ({error.strerror}); set RB_CACHE_DIR to a folder that can "
            "be written"
        ) from error
    return folder


def _usual_folder() -> str:
    import pooch

    return str(pooch.os_cache("rb_support"))


def data_dir() -> Path | None:
    """Folder with published files, which is only ever read: RB_DATA_DIR, None if that is not set.

    Raises
    ------
    SourceError : if it is set to something that is no folder, or may not be read.
    """
    setting = os.environ.get("RB_DATA_DIR")
    if not setting:
        return None
    folder = Path(setting).expanduser()
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise SourceError(
            f"RB_DATA_DIR is {setting}, which is no folder that can be read ({error.strerror}); correct it "
            "or unset it"
        ) from error
    return folder


def downloads_dir() -> Path:
    """Folder of the cache that downloaded files lie in, under their registered names."""
    return cache_dir() / "files"


def read_record(name: str) -> dict[str, Any]:
    """JSON record of the cache; empty if there is none, or it is damaged: then it is put aside."""
    path = cache_dir() / name
    try:
        record = json.loads(path.read_bytes())
        if not isinstance(record, dict):
            raise ValueError("it is no record")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        put_aside(path, error)
        return {}
    return record


def put_aside(path: Path, why: object) -> None:
    """Rename what is damaged in the cache, with a warning; it can be made again.

    Raises
    ------
    SourceError : if it cannot be renamed.
    """
    aside = path.with_name(f"{path.name}.{time.time_ns()}.damaged")
    try:
        path.replace(aside)
    except OSError as error:
        raise SourceError(f"{path} is damaged ({why}), and cannot be moved ({error}); delete it") from error
    warnings.warn(f"{path} was damaged ({why}): it is kept as {aside.name}, and made again", stacklevel=3)


def remember(name: str, key: str, value: Any) -> None:
    """Set one entry of a JSON record of the cache, whoever else writes to it at the same time."""
    path = cache_dir() / name
    with locked(path):
        write_atomically(path, json.dumps({**read_record(name), key: value}, indent=1).encode())


def one_at_a_time(lock: Path) -> AbstractContextManager[object]:
    """Hold a lock file, once whoever else holds it lets go."""
    if ALONE:
        return nullcontext()
    from filelock import FileLock

    return FileLock(lock).acquire()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time work on a file of the cache.

    Raises
    ------
    SourceError : if the folder cannot be written.
    """
    try:
        held = one_at_a_time(Path(f"{path}.lock"))
    except OSError as error:
        raise SourceError(
            f"cache folder {path.parent} cannot be written ({error.strerror}); set RB_CACHE_DIR to a folder "
            "that can be"
        ) from error
    with held:
        yield


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` when the block ends, and vanishes if it fails.

    So a reader, or an interruption, never meets half a file. Every file of this project is written so.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write bytes as `written_whole` does."""
    with written_whole(path) as part:
        part.write_bytes(content)


def digest(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes, computed now."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def packaged(name: str) -> str:
    """Text of a file of this package, such as "simulate/data/texts.toml"."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def packaged_table(name: str) -> dict[str, Any]:
    """Content of a TOML file of this package."""
    return tomllib.loads(packaged(name))


@cache
def package_digest(*parts: str) -> str:
    """Hexadecimal sha256 of files of this package, which nothing made by them is to outlive.

    Parameters
    ----------
    parts : its files and folders, such as "stats.py" and "routers"; all of it if none. Compiled files do not
        count. Read once per process.
    """
    package, total = Path(__file__).parent, hashlib.sha256()
    inside = [path for part in parts or ("",) for path in (package / part, *(package / part).rglob("*"))]
    for path in sorted({path for path in inside if path.is_file() and "__pycache__" not in path.parts}):
        content = path.read_bytes().replace(b"\r\n", b"\n")  # as git may have checked it out
        total.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return total.hexdigest()


def stamp(state: os.stat_result) -> tuple[int, ...]:
    """What tells a file from an altered one: the time of change, unlike that of writing, cannot be set."""
    return (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)


def known_digest(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes, computed once by this process while the file stays as it is."""
    return _digest_once(path, stamp(path.stat()))


@lru_cache
def _digest_once(path: Path, _: tuple[int, ...]) -> str:
    return digest(path)
