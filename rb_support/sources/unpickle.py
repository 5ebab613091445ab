"""Read a published pickle of a table without running anything that the pickle asks for.

A pickle is a program that names functions to call. Here every name stands for a stub of ours, and there are
stubs for those names only that frames of plain columns (numbers and texts) need, as pandas 1 and 2, and 3
with object columns, write them in protocol 2 or later; another name ends the reading. NumPy's and pandas' own
rebuilding functions are not called, as they trust the sizes, types and flags that a stranger wrote.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.cache import digest
from rb_support.sources.errors import AlteredFileError, UnsafePickleError

_NUMBERS = {"b1", *(f"{kind}{width}" for kind in "iu" for width in (1, 2, 4, 8)), "f2", "f4", "f8"}


def read_frame(path: Path, *, sha256: str | None) -> pd.DataFrame:
    """Frame that pandas pickled, read after the hash agrees; its row labels are dropped.

    Parameters
    ----------
    path : of the pickle.
    sha256 : expected of the file's bytes; None only for a file its owner has said to trust.

    Raises
    ------
    AlteredFileError : if the hash disagrees; nothing of the pickle has been read then.
    UnsafePickleError : if the pickle asks for anything but a table of plain columns, or is damaged.
    """
    if sha256 is not None and (found := digest(path)) != sha256:
        raise AlteredFileError(f"{path} has sha256 {found}, expected {sha256}; fetch it again")
    try:
        with path.open("rb") as file:
            labels, values = _columns(file)
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path}: {error}; nothing in it was run. Do not use this file") from error
    except Exception as error:  # a damaged or hostile pickle can break in any way
        raise UnsafePickleError(
            f"{path}: this is no whole pickle of a table ({type(error).__name__}: {error}); fetch it again"
        ) from error
    # a column at a time, as a block of all would copy them, and keep a dropped one's texts
    series = {at: pd.Series(column, dtype=column.dtype, copy=False) for at, column in enumerate(values)}
    frame = pd.DataFrame(series, copy=False)
    frame.columns = pd.Index(labels, dtype=object)
    return frame


class _Stub:
    """What a pickle makes of arguments, and fills in later by a state."""

    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> Any:
        stub = object.__new__(cls)
        stub.args = args
        return stub

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Stub):
    """Array that a pickle rebuilds; its state says what it holds."""

    values: NDArray[Any]

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, by_column, data = state
        if dtype.args[0] == "O8":  # cells are listed row by row, however the array lay in memory
            strange = set(map(type, data)) - {str, float, int, bool, type(None)}
            if strange:
                raise UnsafePickleError(f"it has cells of kind {strange.pop().__name__}")
            self.values = np.fromiter(data, dtype=object, count=len(data)).reshape(shape)
        else:
            self.values = _from_buffer(data, dtype, shape, "F" if by_column else "C").values


def _from_buffer(data: bytes, dtype: Any, shape: Any, order: Any) -> Any:
    if dtype.args[0] not in _NUMBERS:
        raise UnsafePickleError(f"it has cells of kind {dtype.args[0]!r}, which no plain column holds")
    kind = np.dtype(dtype.args[0])
    array = _Array()
    array.values = (
        np.frombuffer(data, kind.newbyteorder(dtype.state[1])).reshape(shape, order=order).astype(kind)
    )
    return array


_STUBS: dict[str, Any] = {
    **dict.fromkeys(
        ("DataFrame", "BlockManager", "Index", "Int64Index", "RangeIndex", "dtype", "ndarray"), _Stub
    ),
    **dict.fromkeys(("_unpickle_block", "new_block"), lambda values, places, *_: (values, places)),
    "_new_Index": lambda _, fields: fields,
    "_reconstruct": _Array,
    "_frombuffer": _from_buffer,
    "scalar": lambda dtype, data: _from_buffer(data, dtype, (), "C").values.item(),
    "slice": slice,
    "bytes": bytes,
    "encode": lambda text, _: text.encode("latin-1"),
}
"""Name, in whatever module a version had it -> what stands for it."""


class _Unpickler(pickle.Unpickler):
    """Unpickler that looks names up among the stubs and nowhere else."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in _STUBS:
            raise UnsafePickleError(f"it asks for {f'{module}.{name}'[:80]!r}, which no table needs")
        return _STUBS[name]


def _columns(file: IO[bytes]) -> tuple[list[Any], list[NDArray[Any]]]:
    """Labels and values of a pickled table's columns, each copied out of its block.

    So a column that is dropped lets go of its texts (tests/test_sources_memory.py).
    """
    state = _Unpickler(file).load().state
    manager = state.get("_mgr", state.get("_data"))
    if manager.args:
        blocks, axes = manager.args
    else:  # pandas 1.0 to 1.2 set a state, whose last part has this version's name
        parts = manager.state[-1]["0.14.1"]
        blocks, axes = [(block["values"], block["mgr_locs"]) for block in parts["blocks"]], parts["axes"]
    labels, rows = map(_labels, axes)
    found: dict[int, NDArray[Any]] = {}
    for values, places in blocks:
        at = range(len(labels))[places] if isinstance(places, slice) else places.values.tolist()
        found.update(zip(at, [row.copy() for row in np.atleast_2d(values.values)], strict=True))
    n, m = len(rows), len(labels)
    if sorted(found) != list(range(m)) or any(column.shape != (n,) for column in found.values()):
        raise UnsafePickleError(f"its columns do not make up a table of {n} rows")
    return list(labels), [found[at] for at in range(m)]


def _labels(fields: dict[str, Any]) -> Any:
    if "data" in fields:
        return fields["data"].values.tolist()
    return range(fields["start"], fields["stop"], fields["step"])
