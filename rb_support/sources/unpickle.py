"""Read a published pickle of a table without running anything that the pickle asks for.

A pickle is a program that names functions to call. Here `find_class` knows a short list of names, those that
frames of plain columns (numbers and texts) need as pandas 1 and 2, and 3 with object columns, write them;
a name off the list ends the reading. Beyond such a list, three things are kept, each for a test with an
attack that a plain list lets through (tests/test_sources_unpickle.py): every name stands for a class that
only records how it was called, since NumPy's and pandas' own rebuilding functions trust the sizes, types
and flags that a stranger wrote; these classes cannot be changed, as a pickle may set attributes on whatever
it was given; and cells are looked through for anything but texts and numbers. Columns are copied out of
their blocks for the memory goal alone (tests/test_sources_memory.py): a dropped one lets go of its texts.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.cache import digest
from rb_support.sources.errors import AlteredFileError, UnsafePickleError


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
            return _frame(_Unpickler(file).load())
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path}: {error}; nothing in it was run. Do not use this file") from error
    except Exception as error:  # a damaged or hostile pickle can break in any way
        raise UnsafePickleError(
            f"{path}: this is no whole pickle of a table ({type(error).__name__}: {error}); fetch it again"
        ) from error


class _Sealed(type):
    """Class of classes that a pickle cannot set attributes on."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise UnsafePickleError(f"it tries to change {cls.__name__}.{name}")


class _Call(metaclass=_Sealed):
    """How a pickle called a name, and the state it then set; recorded, never carried out."""

    __slots__ = ("args", "state")
    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> _Call:
        call = object.__new__(cls)
        call.args, call.state = args, None
        return call

    def __setstate__(self, state: Any) -> None:
        self.state = state


_ALLOWED = {
    "pandas.DataFrame": "Frame",
    "pandas.core.frame.DataFrame": "Frame",
    "pandas.core.internals.managers.BlockManager": "Manager",
    "pandas._libs.internals._unpickle_block": "Block",
    "pandas.core.internals.blocks.new_block": "Block",
    "pandas.core.indexes.base._new_Index": "MakeIndex",
    "pandas.Index": "Index",
    "pandas.core.indexes.base.Index": "Index",
    "pandas.core.indexes.numeric.Int64Index": "Index",
    "pandas.RangeIndex": "Range",
    "pandas.core.indexes.range.RangeIndex": "Range",
    "builtins.slice": "Slice",
    "numpy.dtype": "Dtype",
    "numpy.ndarray": "NdArray",
    "numpy.core.multiarray._reconstruct": "Rebuild",
    "numpy._core.multiarray._reconstruct": "Rebuild",
    "numpy.core.multiarray.scalar": "Scalar",
    "numpy._core.multiarray.scalar": "Scalar",
    "numpy.core.numeric._frombuffer": "FromBuffer",
    "numpy._core.numeric._frombuffer": "FromBuffer",
}
_KINDS: dict[str, Any] = {kind: _Sealed(kind, (_Call,), {"__slots__": ()}) for kind in _ALLOWED.values()}
_NUMBERS = {"b1", *(f"{kind}{width}" for kind in "iu" for width in (1, 2, 4, 8)), "f2", "f4", "f8"}
_CELLS = {str, float, int, bool, type(None)}


class _Unpickler(pickle.Unpickler):
    """Unpickler that looks names up in the list above and nowhere else."""

    def find_class(self, module: str, name: str) -> Any:
        asked = f"{module}.{name}"
        if asked not in _ALLOWED:
            raise UnsafePickleError(f"it asks for {asked[:80]!r}, which no table needs")
        return _KINDS[_ALLOWED[asked]]


def _is(call: Any, kind: str) -> Any:
    """Return a recorded call if it is of that kind."""
    if type(call) is not _KINDS[kind]:
        raise UnsafePickleError(f"it holds {type(call).__name__} where {kind} belongs")
    return call


def _frame(call: Any) -> pd.DataFrame:
    state = _is(call, "Frame").state
    blocks, (columns, rows) = _parts(_is(state.get("_mgr", state.get("_data")), "Manager"))
    arrays: dict[int, NDArray[Any]] = {}
    for values, places in blocks:
        block = _array(values)
        arrays.update(zip(_places(places), [row.copy() for row in np.atleast_2d(block)], strict=True))
    labels, n = _labels(columns), len(_labels(rows))
    whole = len(arrays) == len(labels) and sorted(arrays) == list(range(len(arrays)))
    if not whole or any(array.shape != (n,) for array in arrays.values()):
        raise UnsafePickleError(f"its columns do not make up a table of {n} rows")
    series = {at: pd.Series(arrays[at], dtype=arrays[at].dtype, copy=False) for at in sorted(arrays)}
    frame = pd.DataFrame(series, copy=False)
    frame.columns = pd.Index(list(labels), dtype=object)
    return frame


def _parts(manager: Any) -> tuple[list[tuple[Any, Any]], Sequence[Any]]:
    """Blocks (values, places) and axes (columns, rows) of a recorded block manager."""
    if manager.args:
        blocks, axes = manager.args
        return [_is(block, "Block").args[:2] for block in blocks], axes
    # pandas 1.0 to 1.2 set a state, whose last part has this version's name
    state = manager.state[-1]["0.14.1"]
    return [(block["values"], block["mgr_locs"]) for block in state["blocks"]], state["axes"]


def _labels(call: Any) -> Sequence[Any]:
    kind, fields = _is(call, "MakeIndex").args
    if kind is _KINDS["Range"]:
        return range(fields["start"], fields["stop"], fields["step"])
    if kind is not _KINDS["Index"]:
        raise UnsafePickleError("it has row or column labels that are not plain")
    return list(_array(fields["data"]).tolist())


def _places(call: Any) -> Sequence[int]:
    return range(*call.args) if type(call) is _KINDS["Slice"] else list(_array(call).tolist())


def _array(call: Any) -> Any:
    order: Any
    if type(call) is _KINDS["FromBuffer"]:
        data, dtype, shape, order = call.args
    else:
        _, shape, dtype, by_column, data = _is(call, "Rebuild").state
        order = "F" if by_column else "C"
    kind = _dtype(dtype)
    if kind.hasobject:
        return _objects(data).reshape(shape)  # listed row by row, however the array lies in memory
    return np.frombuffer(_bytes(data), kind).reshape(shape, order=order)


def _dtype(call: Any) -> np.dtype[Any]:
    dtype = _is(call, "Dtype")
    name = dtype.args[0]
    if name == "O8":
        return np.dtype(object)
    if name not in _NUMBERS:
        raise UnsafePickleError(f"it has cells of kind {name!r}, which no plain column holds")
    return np.dtype(name).newbyteorder(dtype.state[1])


def _bytes(data: Any) -> bytes:
    if type(data) not in (bytes, bytearray):
        raise UnsafePickleError(f"it holds {type(data).__name__} where bytes belong")
    return bytes(data)


def _objects(cells: Any) -> NDArray[Any]:
    if type(cells) is not list:
        raise UnsafePickleError("it has texts that are not listed one by one")
    kinds = set(map(type, cells))
    if _KINDS["Scalar"] in kinds:
        cells = [_scalar(cell) if type(cell) is _KINDS["Scalar"] else cell for cell in cells]
    strange = kinds - _CELLS - {_KINDS["Scalar"]}
    if strange:
        raise UnsafePickleError(f"it has cells of kind {strange.pop().__name__}")
    return np.fromiter(cells, dtype=object, count=len(cells))


def _scalar(call: Any) -> Any:
    dtype, data = call.args
    kind = _dtype(dtype)
    if kind.hasobject:
        raise UnsafePickleError("it has a single number of kind object")
    [value] = np.frombuffer(_bytes(data), kind).tolist()
    return value
