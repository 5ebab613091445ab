"""Frames out of pickles: a published file is read here, a stranger's in a child process with limits.

`plain_pickle` runs nothing that a pickle asks for. What a pickle can do besides (crash the interpreter, hang,
take all memory) ends with the child, which hands back what a plain table holds, to be read likewise.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from rb_support.cache import SourceError, stamp
from rb_support.sources import plain_pickle
from rb_support.sources.errors import AlteredFileError, UnsafePickleError
from rb_support.sources.plain_pickle import Columns, NotATable

MEMORY, SECONDS = 2**31, 10
"""Bytes and seconds that the child may take; each byte of the file adds 3, and half a microsecond."""


def read_frame(path: Path, *, sha256: str | None) -> pd.DataFrame:
    """Frame that pandas pickled; its row labels are dropped.

    Parameters
    ----------
    path : of the pickle.
    sha256 : expected of the file's bytes; None only for a file its owner has said to trust, which is read in
        a child process with limits on memory and time.

    Raises
    ------
    AlteredFileError : if the hash disagrees; nothing of the pickle has been read then.
    UnsafePickleError : if the pickle asks for anything but a table of plain columns, is damaged, or takes
        more memory or time than a table of its size can need.
    """
    try:
        labels, values = _read_apart(path) if sha256 is None else _read_here(path, sha256)
    except SourceError:
        raise
    except NotATable as error:
        raise UnsafePickleError(f"{path}: {error}; nothing in it was run. Do not use this file") from error
    except Exception as error:  # a damaged or hostile pickle can break in any way
        raise UnsafePickleError(
            f"{path}: this is no whole pickle of a table ({error}); fetch it again"
        ) from error
    # a column at a time, as a block of all would copy them, and keep a dropped one's texts
    frame = pd.DataFrame(
        {at: pd.Series(v, dtype=v.dtype, copy=False) for at, v in enumerate(values)}, copy=False
    )
    frame.columns = pd.Index(labels, dtype=object)
    return frame


def _read_here(path: Path, sha256: str) -> Columns:
    """Columns of a file that stays what was hashed until it is read."""
    with path.open("rb") as file:
        before = stamp(os.fstat(file.fileno()))
        if (found := hashlib.file_digest(file, "sha256").hexdigest()) != sha256:
            raise AlteredFileError(f"{path} has sha256 {found}, expected {sha256}; fetch it again")
        file.seek(0)
        read = plain_pickle.columns(file)
        if stamp(os.fstat(file.fileno())) != before:
            raise AlteredFileError(f"{path} was changed while it was read; verify it and try again")
    return read


def _read_apart(path: Path) -> Columns:
    """Columns of any file, read by a child that may fail in any way."""
    size = path.stat().st_size
    memory, seconds = MEMORY + 3 * size, SECONDS + size // 2_000_000
    with TemporaryDirectory() as folder:
        target = Path(folder) / "columns.pkl"
        script = [sys.executable, "-P", plain_pickle.__file__, *map(str, (path, target, memory, seconds))]
        alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        try:
            done = subprocess.run(script, env=alone, capture_output=True, text=True, timeout=3 * seconds)
        except subprocess.TimeoutExpired:
            raise NotATable(f"reading it took more than {3 * seconds} s") from None
        if done.returncode < 0:
            what = signal.Signals(-done.returncode).name
            raise NotATable(f"reading it broke off ({what}) within {seconds} s of processor time")
        if done.returncode:
            kind, _, what = done.stderr.strip().rpartition("\n")[2].partition(": ")
            raise NotATable(what) if kind == "unsafe" else ValueError(what)
        with target.open("rb") as written:
            return plain_pickle.handed_back(written)
