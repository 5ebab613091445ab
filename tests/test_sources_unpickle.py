"""Pickles are read without being run: hostile ones are refused, those of pandas 1, 2 and 3 are read."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sources_made import Call, Global, assemble, long, old_array, old_frame, wide

from rb_support.sources import unpickle
from rb_support.sources.errors import AlteredFileError, UnsafePickleError
from rb_support.sources.unpickle import read_frame

FRAME = Global("pandas", "DataFrame")
INDEX = Global("pandas", "Index")


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _same_cells(left: pd.DataFrame, right: pd.DataFrame) -> None:
    assert list(left.columns) == list(right.columns)
    for column in left.columns:
        for mine, theirs in zip(left[column].tolist(), right[column].tolist(), strict=True):
            assert mine == theirs or (pd.isna(mine) and pd.isna(theirs)), column


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_frames_of_the_installed_pandas(tmp_path: Path, protocol: int) -> None:
    frame = pd.DataFrame(
        {
            "text": pd.Series(["a", "中文", None], dtype=object),
            "mixed": pd.Series(["0.5", 1.0, np.float64(0.25)], dtype=object),
            "float": [0.1, np.nan, 2.0],
            "int": [1, -2, 3],
            "flag": [True, False, True],
        }
    )
    frame.columns = pd.Index(list(frame.columns), dtype=object)
    path = tmp_path / "frame.pkl"
    frame.to_pickle(path, protocol=protocol)
    read = read_frame(path, sha256=None)
    _same_cells(read, frame)
    assert read["float"].dtype == np.float64
    assert read["int"].dtype == np.int64
    assert read["flag"].dtype == bool


@pytest.mark.parametrize("layout", ["1.1", "1.4", "2.0"])
@pytest.mark.parametrize("made", [wide, long])
def test_frames_of_older_pandas(tmp_path: Path, layout: str, made: Callable[[], pd.DataFrame]) -> None:
    frame = made()
    path = _written(tmp_path / "frame.pkl", assemble(old_frame(frame, layout)))
    _same_cells(read_frame(path, sha256=None), frame)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("cells", [[["a", 1.5, None], ["b", "中文", 2]], [[0.5, 1, 2], [3, 4, 5]]])
def test_made_arrays_are_those_that_numpy_pickles(cells: list[Any], order: Any) -> None:
    """A plain unpickler with NumPy takes them; what it would refuse, no published file can hold."""
    array = np.array(cells, order=order)
    read = pickle.loads(assemble(old_array(array, "numpy._core")))
    assert (read.dtype, read.tolist()) == (array.dtype, array.tolist())
    assert read.flags.c_contiguous == (order == "C")


@pytest.mark.parametrize("layout", ["1.1", "1.4", "2.0"])
def test_made_frames_are_those_that_pandas_reads(layout: str) -> None:
    read = pd.read_pickle(io.BytesIO(assemble(old_frame(wide(), layout))))
    pd.testing.assert_frame_equal(read, wide(), check_column_type=False, check_index_type=False)


def test_tables_that_lie_column_by_column_keep_their_cells_in_place(tmp_path: Path) -> None:
    """As pandas holds what was transposed; NumPy lists such texts row by row all the same."""
    frame = pd.DataFrame({"a": ["x", 1.5, "y"], "b": ["z", 2, "中文"]}, dtype=object).T
    frame.columns, frame.index = frame.columns.astype(object), frame.index.astype(object)
    assert frame.to_numpy().flags.c_contiguous  # pandas' blocks are turned on their side
    path = tmp_path / "frame.pkl"
    frame.to_pickle(path)
    assert read_frame(path, sha256=None).to_numpy().tolist() == frame.to_numpy().tolist()


@pytest.mark.parametrize("kind", [object, float])
def test_blocks_stored_column_by_column(tmp_path: Path, kind: Any) -> None:
    block = np.asfortranarray(np.arange(6.0).reshape(2, 3).astype(kind))
    path = _written(tmp_path / "frame.pkl", assemble(_table(["a", "b"], old_array(block), 3)))
    frame = read_frame(path, sha256=None)
    assert frame["a"].tolist() == [0.0, 1.0, 2.0]
    assert frame["b"].tolist() == [3.0, 4.0, 5.0]


def test_row_labels_are_dropped_and_columns_stand_alone(tmp_path: Path) -> None:
    """A column that is a view of all texts would keep them in memory after the others are dropped."""
    path = _written(tmp_path / "frame.pkl", assemble(old_frame(long(), "2.0")))
    frame = read_frame(path, sha256=None)
    assert frame.index.equals(pd.RangeIndex(len(frame)))
    root = frame["prompt"].to_numpy()
    while root.base is not None:
        root = root.base
    assert root.size == len(frame)


def test_hash_comes_first(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = _written(tmp_path / "frame.pkl", assemble(Call(Global("os", "mkdir"), str(marker))))
    with pytest.raises(AlteredFileError, match="sha256"):
        read_frame(path, sha256="0" * 64)
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(UnsafePickleError):
        read_frame(path, sha256=right)
    assert not marker.exists()


class _Runs:
    """An object whose unpickling runs a function."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.args


class _Nested:
    """`__reduce__` whose arguments are again objects with a `__reduce__`, the innermost hostile."""

    def __init__(self, depth: int, marker: str) -> None:
        self.depth, self.marker = depth, marker

    def __reduce__(self) -> tuple[Any, ...]:
        if self.depth:
            return list, ([_Nested(self.depth - 1, self.marker)],)
        return os.mkdir, (self.marker,)


def _chain(links: int) -> bytes:
    """`Index(Index(…Index(None)))`, each call allowed and the whole no table."""
    look_up = b"\x80\x04" + b"\x8c\x06pandas" + b"\x8c\x05Index" + b"\x93\x94"
    return look_up + b"h\x00" * (links - 1) + b"N" + b"\x85R" * links + b"."


def _table_with(cell: Any) -> pd.DataFrame:
    return pd.DataFrame({"prompt": pd.Series(["a", cell], dtype=object)})


def _labelled(label: Any) -> pd.DataFrame:
    return pd.DataFrame([[1.0]], columns=pd.Index([label], dtype=object))


def _noted(note: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"prompt": ["a"]})
    frame.attrs["note"] = note
    return frame


HOSTILE: dict[str, Callable[[str], bytes]] = {
    "os.system": lambda m: pickle.dumps(_Runs(os.system, f"mkdir {m}")),
    "builtins.eval": lambda m: pickle.dumps(_Runs(eval, f"__import__('os').mkdir({m!r})")),
    "builtins.exec": lambda m: pickle.dumps(_Runs(exec, f"import os; os.mkdir({m!r})")),
    "protocol 0": lambda m: f"(S'mkdir {m}'\nios\nsystem\n.".encode(),
    "getattr of an import": lambda m: assemble(
        Call(
            Call(Global("builtins", "getattr"), Call(Global("importlib", "import_module"), "os"), "mkdir"), m
        )
    ),
    "nested reduce": lambda m: pickle.dumps(_Nested(40, m)),
    "chain of 50,000 calls": lambda m: _chain(50_000),
    "class off the list": lambda m: assemble(Call(Global("collections", "OrderedDict"))),
    "timestamps": lambda m: pickle.dumps(_table_with(pd.Timestamp("2024-01-01"))),
    "numpy.load": lambda m: assemble(Call(Global("numpy", "load"), m, None, True)),
    "numpy.testing": lambda m: assemble(
        Call(Global("numpy.testing._private.utils", "runstring"), f"__import__('os').mkdir({m!r})", {})
    ),
    "numpy.fromfile": lambda m: assemble(Call(Global("numpy.core.multiarray", "fromfile"), m)),
    "method of an allowed class": lambda m: assemble(Call(Global("pandas", "DataFrame.to_pickle"), None, m)),
    "attribute path": lambda m: assemble(Call(Global("builtins", "slice.__class__.__subclasses__"))),
    "module path in the name": lambda m: assemble(Call(Global("pandas", "core.frame.os.mkdir"), m)),
    "pandas' own eval": lambda m: assemble(Call(Global("pandas.core.computation.eval", "eval"), "1")),
    "pandas' read_pickle": lambda m: assemble(Call(Global("pandas", "read_pickle"), m)),
    "hostile cell": lambda m: pickle.dumps(_table_with(_Runs(os.mkdir, m))),
    "hostile label": lambda m: pickle.dumps(_labelled(_Runs(os.mkdir, m))),
    "hostile attribute": lambda m: pickle.dumps(_noted(_Runs(os.mkdir, m))),
    "persistent id": lambda m: b"Pmkdir\n.",
    "extension code": lambda m: b"\x80\x02\x82\x01.",
    "buffer that is not there": lambda m: b"\x80\x05\x97.",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_pickles_are_refused_unrun(tmp_path: Path, kind: str) -> None:
    marker = tmp_path / "ran"
    path = _written(tmp_path / "hostile.pkl", HOSTILE[kind](str(marker)))
    with pytest.raises(UnsafePickleError, match=r"hostile\.pkl"):
        read_frame(path, sha256=None)
    assert not marker.exists()


def test_the_hostile_pickles_would_have_run(tmp_path: Path) -> None:
    """The test above proves nothing unless a plain unpickler does run them."""
    for kind in ("os.system", "builtins.eval", "nested reduce", "getattr of an import", "hostile cell"):
        marker = tmp_path / kind.replace(" ", "_")
        pickle.loads(HOSTILE[kind](str(marker)))
        assert marker.exists(), kind


STATES: dict[str, Any] = {
    "attribute set on a class": Call(FRAME, state=None),
    "no state": Call(FRAME, new=True),
    "state that is no record": Call(FRAME, state=[1], new=True),
    "state with another call": Call(FRAME, state={"_mgr": Call(INDEX, 1)}, new=True),
    "cells in a tuple": Call(
        FRAME,
        state={"_mgr": Call(Global("pandas.core.internals.managers", "BlockManager"), (), [])},
        new=True,
    ),
}


@pytest.mark.parametrize("kind", STATES)
def test_states_that_make_no_table(tmp_path: Path, kind: str) -> None:
    path = _written(tmp_path / "frame.pkl", assemble(STATES[kind]))
    with pytest.raises(UnsafePickleError):
        read_frame(path, sha256=None)


def test_classes_cannot_be_changed_by_a_pickle(tmp_path: Path) -> None:
    """BUILD with a pair of states sets attributes on whatever lies on the stack, classes included."""
    hostile = b"\x80\x04" + b"\x8c\x06pandas\x8c\x05Index\x93" + b"N}\x8c\x07planted\x8c\x01xs\x86b."
    pickle.loads(hostile)
    assert pd.Index.planted == "x", "a plain unpickler changes the class"  # type: ignore[attr-defined]
    del pd.Index.planted  # type: ignore[attr-defined]
    before = dict(vars(unpickle._Stub))
    with pytest.raises(UnsafePickleError):
        read_frame(_written(tmp_path / "frame.pkl", hostile), sha256=None)
    assert not hasattr(pd.Index, "planted")
    assert dict(vars(unpickle._Stub)) == before


def _table(names: list[str], values: Call, n: int) -> Call:
    """Frame of one block that holds all columns."""
    make = Global("pandas.core.indexes.base", "_new_Index")
    labels = Call(make, INDEX, {"data": old_array(np.array(names, dtype=object)), "name": None})
    rows = Call(make, Global("pandas", "RangeIndex"), {"start": 0, "stop": n, "step": 1})
    places = Call(Global("builtins", "slice"), 0, len(names), 1)
    block = Call(Global("pandas._libs.internals", "_unpickle_block"), values, places, 2)
    manager = Call(Global("pandas.core.internals.managers", "BlockManager"), (block,), [labels, rows])
    return Call(FRAME, state={"_mgr": manager}, new=True)


@pytest.mark.parametrize("cell", [Call(INDEX, 1), Global("pandas", "Index"), ["a"], {"a": 1}, b"a"])
def test_cells_that_are_no_texts_or_numbers_are_refused(tmp_path: Path, cell: Any) -> None:
    cells = np.empty(2, dtype=object)
    cells[:] = ["a", cell]
    path = _written(tmp_path / "frame.pkl", assemble(_table(["text"], old_array(cells), 2)))
    with pytest.raises(UnsafePickleError, match="it has cells of kind"):
        read_frame(path, sha256=None)


def _dtype(name: str) -> Call:
    return Call(Global("numpy", "dtype"), name, False, True, state=(3, "|", None, None, None, -1, -1, 0))


def _cells(kind: str, cells: Any) -> Call:
    """Table of one column of one cell, as an array of that kind."""
    array = old_array(np.array([["a"]], dtype=object))
    array.state = (1, (1,), _dtype(kind), False, cells)
    return _table(["a"], array, 1)


def _labelled_by(call: Call) -> Call:
    table = _table(["a"], old_array(np.array(["x"], dtype=object)), 1)
    table.state["_mgr"].args[1][0] = call
    return table


NEW_INDEX = Global("pandas.core.indexes.base", "_new_Index")
SCALAR = Global("numpy.core.multiarray", "scalar")
COLUMNS: dict[str, tuple[Call, str]] = {
    "too few rows": (_table(["a"], old_array(np.zeros(1)), 2), "columns do not make up a table of 2 rows"),
    "labels of another kind": (_labelled_by(Call(NEW_INDEX, FRAME, {})), "no whole pickle of a table"),
    "labels that are an array": (_labelled_by(old_array(np.zeros(1))), "no whole pickle of a table"),
    "dates": (_cells("M8", b"12345678"), "cells of kind 'M8', which no plain column holds"),
    "texts in one piece": (_cells("O8", b"12345678"), "no whole pickle of a table"),
    "a number that is an object": (
        _cells("O8", [Call(SCALAR, _dtype("O8"), b"1")]),
        "cells of kind 'O8', which no plain column",
    ),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_that_are_not_plain_are_refused(tmp_path: Path, kind: str) -> None:
    table, complaint = COLUMNS[kind]
    path = _written(tmp_path / "frame.pkl", assemble(table))
    with pytest.raises(UnsafePickleError, match=complaint):
        read_frame(path, sha256=None)


def test_sizes_that_are_only_claimed_cost_no_memory(tmp_path: Path) -> None:
    huge = Call(Global("builtins", "bytearray"), 10**11)
    dtype = Call(Global("numpy", "dtype"), "u1", False, True, state=(3, "|", None, None, None, -1, -1, 0))
    array = Call(Global("numpy._core.numeric", "_frombuffer"), huge, dtype, (10**11,), "C")
    path = _written(tmp_path / "bomb.pkl", assemble(_table(["text"], array, 10**11)))
    with pytest.raises(UnsafePickleError, match="which no table needs"):
        read_frame(path, sha256=None)


def test_every_cut_of_a_good_pickle_is_refused(tmp_path: Path) -> None:
    whole = assemble(old_frame(wide(3), "2.0"))
    path = tmp_path / "cut.pkl"
    for end in range(0, len(whole) - 1, len(whole) // 12):
        with pytest.raises(UnsafePickleError, match=r"cut\.pkl"):
            read_frame(_written(path, whole[:end]), sha256=None)
