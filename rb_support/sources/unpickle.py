"""Read a pickled table without running anything that the pickle asks for.

A pickle is a program that names functions to call. Here every name on a short list stands for a class
that only records how it was called; a name off the list ends the reading. What was recorded is then
checked and turned into arrays by this module's own code, so that neither pandas' nor NumPy's own
rebuilding functions ever see what a stranger wrote. The list covers frames of plain columns (numbers
and texts) as pandas 1, 2 and 3 write them.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

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
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest() if sha256 else None
        if found != sha256:
            raise AlteredFileError(f"{path} has sha256 {found}, expected {sha256}; fetch it again")
        file.seek(0)
        return _read(file, path)


def _read(file: BinaryIO, path: Path) -> pd.DataFrame:
    try:
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


def _kind(name: str) -> type[_Call]:
    return cast(type[_Call], _Sealed(name, (_Call,), {"__slots__": ()}))


_Frame = _kind("Frame")
_Manager = _kind("Manager")
_Block = _kind("Block")
_MakeIndex = _kind("MakeIndex")
_Index = _kind("Index")
_Range = _kind("Range")
_Slice = _kind("Slice")
_ByteArray = _kind("ByteArray")
_Dtype = _kind("Dtype")
_NdArray = _kind("NdArray")
_Rebuild = _kind("Rebuild")
_FromBuffer = _kind("FromBuffer")
_Scalar = _kind("Scalar")
_StringDtype = _kind("StringDtype")
_Strings = _kind("Strings")
_ArrowArray = _kind("ArrowArray")
_ArrowChunks = _kind("ArrowChunks")
_ArrowType = _kind("ArrowType")
_ArrowBuffer = _kind("ArrowBuffer")

_NUMPY = ("numpy.core", "numpy._core")
_ALLOWED: dict[tuple[str, str], type[_Call]] = {
    ("pandas", "DataFrame"): _Frame,
    ("pandas.core.frame", "DataFrame"): _Frame,
    ("pandas.core.internals.managers", "BlockManager"): _Manager,
    ("pandas._libs.internals", "_unpickle_block"): _Block,
    ("pandas.core.internals.blocks", "new_block"): _Block,
    ("pandas.core.indexes.base", "_new_Index"): _MakeIndex,
    ("pandas", "Index"): _Index,
    ("pandas.core.indexes.base", "Index"): _Index,
    ("pandas.core.indexes.numeric", "Int64Index"): _Index,
    ("pandas", "RangeIndex"): _Range,
    ("pandas.core.indexes.range", "RangeIndex"): _Range,
    ("builtins", "slice"): _Slice,
    ("builtins", "bytearray"): _ByteArray,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _NdArray,
    **{(f"{core}.multiarray", "_reconstruct"): _Rebuild for core in _NUMPY},
    **{(f"{core}.multiarray", "scalar"): _Scalar for core in _NUMPY},
    **{(f"{core}.numeric", "_frombuffer"): _FromBuffer for core in _NUMPY},
    ("pandas", "StringDtype"): _StringDtype,
    ("pandas.core.arrays.string_", "StringDtype"): _StringDtype,
    ("pandas.arrays", "ArrowStringArray"): _Strings,
    ("pandas.core.arrays.string_arrow", "ArrowStringArray"): _Strings,
    ("pyarrow.lib", "_restore_array"): _ArrowArray,
    ("pyarrow.lib", "chunked_array"): _ArrowChunks,
    ("pyarrow.lib", "type_for_alias"): _ArrowType,
    ("pyarrow.lib", "py_buffer"): _ArrowBuffer,
}
_NUMBERS = {"b1", *(f"{kind}{width}" for kind in "iu" for width in (1, 2, 4, 8)), "f2", "f4", "f8"}
_CELLS = {str, float, int, bool, type(None)}


class _Unpickler(pickle.Unpickler):
    """Unpickler that looks names up in the list above and nowhere else."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            asked = f"{module}.{name}"[:80]
            raise UnsafePickleError(f"it asks for {asked!r}, which no table needs") from None


def _is(call: Any, kind: type[_Call]) -> _Call:
    """Return a recorded call if it is of that kind."""
    if type(call) is not kind:
        raise UnsafePickleError(f"it holds {type(call).__name__} where {kind.__name__} belongs")
    found: _Call = call
    return found


def _frame(call: Any) -> pd.DataFrame:
    state = _is(call, _Frame).state
    blocks, (columns, rows) = _parts(_is(state.get("_mgr", state.get("_data")), _Manager))
    arrays = _columns(blocks)
    labels, n = _labels(columns), len(_labels(rows))
    whole = len(arrays) == len(labels) and sorted(arrays) == list(range(len(arrays)))
    if not whole or any(array.shape != (n,) for array in arrays.values()):
        raise UnsafePickleError(f"its columns do not make up a table of {n} rows")
    series = {
        place: pd.Series(arrays[place], dtype=arrays[place].dtype, copy=False) for place in sorted(arrays)
    }
    frame = pd.DataFrame(series, copy=False)
    frame.columns = pd.Index(list(labels), dtype=object)
    return frame


def _columns(blocks: list[tuple[Any, Any]]) -> dict[int, NDArray[Any]]:
    """Columns of all blocks by their place in the table."""
    arrays: dict[int, NDArray[Any]] = {}
    for values, places in blocks:
        arrays.update(zip(_places(places), _rows(_values(values)), strict=True))
    return arrays


def _parts(manager: _Call) -> tuple[list[tuple[Any, Any]], Sequence[Any]]:
    """Blocks (values, places) and axes (columns, rows) of a recorded block manager."""
    if manager.args:
        blocks, axes = manager.args
        return [(b.args[0], b.args[1]) for b in (_is(block, _Block) for block in blocks)], axes
    # pandas 1.0 to 1.2 set a state, whose last part has this version's name
    state = manager.state[-1]["0.14.1"]
    return [(block["values"], block["mgr_locs"]) for block in state["blocks"]], state["axes"]


def _labels(call: Any) -> Sequence[Any]:
    kind, fields = _is(call, _MakeIndex).args
    if kind is _Range:
        return range(fields["start"], fields["stop"], fields["step"])
    if kind is not _Index:
        raise UnsafePickleError("it has row or column labels that are not plain")
    labels: list[Any] = _values(fields["data"]).tolist()
    return labels


def _places(call: Any) -> Sequence[int]:
    if type(call) is _Slice:
        return range(*call.args)
    places: list[int] = _array(call).tolist()
    return places


def _rows(values: NDArray[Any]) -> list[NDArray[Any]]:
    """Columns of a block; copied, so that dropping one lets go of its texts."""
    return [row.copy() for row in values] if values.ndim == 2 else [values]


def _values(call: Any) -> NDArray[Any]:
    if type(call) is not _Strings:
        return _array(call)
    texts = _arrow(call.state["_pa_array"])
    return np.asarray(texts.to_numpy(zero_copy_only=False), dtype=object)


def _array(call: Any) -> NDArray[Any]:
    if type(call) is _FromBuffer:
        data, dtype, shape, order = call.args
    else:
        _, shape, dtype, by_column, data = _is(call, _Rebuild).state
        order = "F" if by_column else "C"
    kind = _dtype(dtype)
    if kind.hasobject:
        return _objects(data).reshape(shape)  # listed row by row, however the array lies in memory
    return np.frombuffer(_bytes(data), kind).reshape(shape, order=order)


def _dtype(call: Any) -> np.dtype[Any]:
    dtype = _is(call, _Dtype)
    name = dtype.args[0]
    if name == "O8":
        return np.dtype(object)
    if name not in _NUMBERS:
        raise UnsafePickleError(f"it has cells of kind {name!r}, which no plain column holds")
    return np.dtype(name).newbyteorder(dtype.state[1])


def _bytes(data: Any) -> bytes:
    if type(data) is _ByteArray:
        [data] = data.args
    if type(data) not in (bytes, bytearray):
        raise UnsafePickleError(f"it holds {type(data).__name__} where bytes belong")
    return bytes(data)


def _objects(cells: Any) -> NDArray[Any]:
    if type(cells) is not list:
        raise UnsafePickleError("it has texts that are not listed one by one")
    kinds = set(map(type, cells))
    if _Scalar in kinds:
        cells = [_scalar(cell) if type(cell) is _Scalar else cell for cell in cells]
    strange = kinds - _CELLS - {_Scalar}
    if strange:
        raise UnsafePickleError(f"it has cells of kind {strange.pop().__name__}")
    return np.fromiter(cells, dtype=object, count=len(cells))


def _scalar(call: _Call) -> Any:
    dtype, data = call.args
    kind = _dtype(dtype)
    if kind.hasobject:
        raise UnsafePickleError("it has a single number of kind object")
    [value] = np.frombuffer(_bytes(data), kind).tolist()
    return value


def _arrow(call: Any) -> pa.Array:
    if type(call) is _ArrowChunks:
        chunks, kind = call.args
        return pa.chunked_array([_arrow(chunk) for chunk in chunks], _arrow_type(kind)).combine_chunks()
    [(kind, length, _, offset, buffers, children, dictionary)] = _is(call, _ArrowArray).args
    if children or dictionary is not None:
        raise UnsafePickleError("it has a column of texts that is not plain")
    raw = [None if b is None else pa.py_buffer(_bytes(_is(b, _ArrowBuffer).args[0])) for b in buffers]
    array = pa.Array.from_buffers(_arrow_type(kind), length, raw, offset=offset)
    array.validate(full=True)
    return array


def _arrow_type(call: Any) -> pa.DataType:
    [name] = _is(call, _ArrowType).args
    if name not in ("string", "large_string"):
        raise UnsafePickleError(f"it has a column of Arrow kind {name!r}, not of texts")
    return pa.string() if name == "string" else pa.large_string()
