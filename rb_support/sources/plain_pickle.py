"""Columns of a pickled table, without running anything that the pickle asks for; as a script, the child.

A pickle is a program that names functions to call. Here every name stands for a stub of ours, and there are
stubs for those names only that frames of plain columns (numbers and texts) need, as pandas 1 and 2, and 3
with object columns, write them in protocol 2 or later; another name ends the reading. NumPy's and pandas' own
rebuilding functions are not called, as they trust the sizes, types and flags that a stranger wrote. A pickle
can still take memory or time, or crash the interpreter: so `unpickle.read_frame` reads a stranger's in a
child process, which is why nothing heavy is imported here.

What each part is for, with an attack in the tests: stubs in place of the real classes, as a pickle can set
attributes on any class that it finds; kinds of numbers and cells, as objects, dates and calls hide in them;
the child's limits, as a deep key crashes, a key of doubled tuples hangs, and a length or place that is only
claimed takes all memory; the sum of texts, as one long text can stand in every row. A column is copied out of
its block for memory alone: the published raw pickle is read within 4 GB.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_NUMBERS = {"b1", *(f"{kind}{width}" for kind in "iu" for width in (1, 2, 4, 8)), "f2", "f4", "f8"}
_SWELL = 20
"""How many times a pickle's bytes its texts may hold, as texts that rows share are written once."""


class NotATable(ValueError):
    """A pickle asks for more than a plain table, or holds none."""


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
                raise NotATable(f"it has cells of kind {strange.pop().__name__}")
            self.values = np.fromiter(data, dtype=object, count=len(data)).reshape(shape)
        else:
            self.values = _from_buffer(data, dtype, shape, "F" if by_column else "C").values


def _from_buffer(data: bytes, dtype: Any, shape: Any, order: Any) -> Any:
    if dtype.args[0] not in _NUMBERS:
        raise NotATable(f"it has cells of kind {dtype.args[0]!r}, which no plain column holds")
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
            raise NotATable(f"it asks for {f'{module}.{name}'[:80]!r}, which no table needs")
        return _STUBS[name]


Columns = tuple[list[Any], list[NDArray[Any]]]
"""Labels of a table's columns, and their values."""


def columns(file: IO[bytes]) -> Columns:
    """Labels and values of a pickled table's columns; its row labels are dropped.

    Every column is copied out of its block, so that a dropped one lets go of its texts.

    Raises
    ------
    NotATable : if the pickle asks for anything but a table of plain columns.
    Exception : of any kind, if it is damaged.
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
        raise NotATable(f"its columns do not make up a table of {n} rows")
    return list(labels), [found[at] for at in range(m)]


def _labels(fields: dict[str, Any]) -> Any:
    if "data" in fields:
        return fields["data"].values.tolist()
    return range(fields["start"], fields["stop"], fields["step"])


def handed_back(file: IO[bytes]) -> Columns:
    """What the child has written, read as a stranger's pickle is: nothing in it is run."""
    labels, arrays = _Unpickler(file).load()
    return labels, [array.values for array in arrays]


def _main(path: str, target: str, memory: str, seconds: str) -> None:
    """Read a pickle under limits, and pickle its columns alone."""
    if sys.platform == "linux":  # elsewhere the parent's clock is the only limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
    with Path(path).open("rb") as file:
        labels, values = columns(file)
        size = file.tell()
    if sum(len(cell) for column in values for cell in column if type(cell) is str) > _SWELL * size + 2**28:
        raise NotATable("its texts swell to many times its bytes")
    with Path(target).open("wb") as written:
        pickle.dump((labels, values), written, protocol=5)


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except NotATable as error:
        sys.exit(f"unsafe: {error}")
    except MemoryError:
        sys.exit(f"unsafe: it takes more than {int(sys.argv[3]):,} bytes of memory")
    except BaseException as error:
        sys.exit(f"damaged: {type(error).__name__}: {str(error)[:200]}")
