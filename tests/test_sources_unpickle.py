"""Pickles are read without being run: hostile ones are refused, those of pandas 1, 2 and 3 are read."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sources_made import Call, Global, assemble, long, old_array, old_frame, wide

from rb_support.sources import plain_pickle, unpickle
from rb_support.sources.errors import AlteredFileError, UnsafePickleError
from rb_support.sources.unpickle import read_frame

FRAME = Global("pandas", "DataFrame")
INDEX = Global("pandas", "Index")


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _read(path: Path) -> pd.DataFrame:
    """Frame of a pickle as a published one is read, in this process; the child asks the same functions."""
    return read_frame(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


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
    read = _read(path) if protocol < 5 else read_frame(path, sha256=None)
    _same_cells(read, frame)
    assert read["float"].dtype == np.float64
    assert read["int"].dtype == np.int64
    assert read["flag"].dtype == bool


@pytest.mark.parametrize("layout", ["1.1", "1.4", "2.0"])
@pytest.mark.parametrize("made", [wide, long])
def test_frames_of_older_pandas(tmp_path: Path, layout: str, made: Callable[[], pd.DataFrame]) -> None:
    frame = made()
    path = _written(tmp_path / "frame.pkl", assemble(old_frame(frame, layout)))
    _same_cells(_read(path), frame)


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
    assert _read(path).to_numpy().tolist() == frame.to_numpy().tolist()


@pytest.mark.parametrize("kind", [object, float])
def test_blocks_stored_column_by_column(tmp_path: Path, kind: Any) -> None:
    block = np.asfortranarray(np.arange(6.0).reshape(2, 3).astype(kind))
    path = _written(tmp_path / "frame.pkl", assemble(_table(["a", "b"], old_array(block), 3)))
    frame = _read(path)
    assert frame["a"].tolist() == [0.0, 1.0, 2.0]
    assert frame["b"].tolist() == [3.0, 4.0, 5.0]


def test_row_labels_are_dropped_and_columns_stand_alone(tmp_path: Path) -> None:
    """A column that is a view of all texts would keep them in memory after the others are dropped."""
    path = _written(tmp_path / "frame.pkl", assemble(old_frame(long(), "2.0")))
    frame = _read(path)
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
    apart = kind in ("os.system", "chain of 50,000 calls", "hostile cell")
    with pytest.raises(UnsafePickleError, match=r"hostile\.pkl"):
        read_frame(path, sha256=None) if apart else _read(path)
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
        _read(path)


def test_classes_cannot_be_changed_by_a_pickle(tmp_path: Path) -> None:
    """BUILD with a pair of states sets attributes on whatever lies on the stack, classes included."""
    hostile = b"\x80\x04" + b"\x8c\x06pandas\x8c\x05Index\x93" + b"N}\x8c\x07planted\x8c\x01xs\x86b."
    pickle.loads(hostile)
    assert pd.Index.planted == "x", "a plain unpickler changes the class"  # type: ignore[attr-defined]
    del pd.Index.planted  # type: ignore[attr-defined]
    before = dict(vars(plain_pickle._Stub))
    with pytest.raises(UnsafePickleError):
        _read(_written(tmp_path / "frame.pkl", hostile))
    assert not hasattr(pd.Index, "planted")
    assert dict(vars(plain_pickle._Stub)) == before


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
        _read(path)


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
        _read(path)


def test_sizes_that_are_only_claimed_cost_no_memory(tmp_path: Path) -> None:
    huge = Call(Global("builtins", "bytearray"), 10**11)
    dtype = Call(Global("numpy", "dtype"), "u1", False, True, state=(3, "|", None, None, None, -1, -1, 0))
    array = Call(Global("numpy._core.numeric", "_frombuffer"), huge, dtype, (10**11,), "C")
    path = _written(tmp_path / "bomb.pkl", assemble(_table(["text"], array, 10**11)))
    with pytest.raises(UnsafePickleError, match="which no table needs"):
        _read(path)


def _doubled(links: int) -> bytes:
    """A dictionary whose key is a tuple of twice a tuple of twice …: short to write, for ever to hash."""
    pairs = b"".join(b"h%ch%c\x86\x94" % (i, i) for i in range(links))
    return b"\x80\x04\x8c\x01a\x94" + pairs + b"}h%cNs." % links


def _shared_texts(n: int, length: int) -> bytes:
    """Table of n rows that share one text, which is written once."""
    cells = np.empty(n, dtype=object)
    cells[:] = "x" * length
    return assemble(_table(["prompt"], old_array(cells), n))


CONTAINED: dict[str, tuple[bytes, str]] = {
    "crash: a deep key": (b"\x80\x04}N" + b"\x85" * 1_000_000 + b"Ns.", r"broke off \(SIG"),
    "hang: a doubled key": (_doubled(60), r"took more than 3 s|broke off \(SIGXCPU\) within 1 s"),
    "memory: bytes that are asked for": (
        assemble(Call(Global("builtins", "bytes"), 3 * 10**9)),
        "bytes of memory",
    ),
    "memory: a length that is claimed": (
        b"\x80\x04\x8e" + (2**33).to_bytes(8, "little") + b"x.",
        "of memory",
    ),
    "memory: a place in the memo": (b"\x80\x04Nr\xff\xff\xff\x7f.", "bytes of memory"),
    "swell: a long text in many rows": (_shared_texts(20_000, 100_000), "swell to many times its bytes"),
    "a negative offset": (assemble(_table(["a"], old_array(np.zeros(2)), -1)), "make up a table of 0 rows"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is not limited there")
@pytest.mark.parametrize("kind", CONTAINED)
def test_what_breaks_the_child_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    import resource

    monkeypatch.setattr(unpickle, "SECONDS", 1)
    data, complaint = CONTAINED[kind]
    path = _written(tmp_path / "hostile.pkl", data)
    with pytest.raises(UnsafePickleError, match=rf"hostile\.pkl: .*({complaint}).*Do not use this file"):
        read_frame(path, sha256=None)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 2.5e6  # kilobytes, of any child so far


def test_the_child_gives_what_is_read_here(tmp_path: Path) -> None:
    """Cells of every kind that a pickle may hold, bit for bit, and labels of all kinds, one of them twice."""
    cells = [None, True, 1, 1.0, -0.0, float("inf"), "1", "\ud83d", "中文\x00", 10**30, "1"]
    frame = pd.DataFrame({i: pd.Series(cells, dtype=object) for i in range(2)})
    kinds = ["bool", "int8", "uint16", "float16", "float32", ">f8", ">i4"]
    for kind in kinds:
        frame[kind] = np.arange(len(cells)).astype(kind)
    frame.columns = pd.Index([0, 1.5, "a", "a", "", "中", None, True, "b"], dtype=object)
    path = tmp_path / "frame.pkl"
    frame.to_pickle(path)
    here = read_frame(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    apart = read_frame(path, sha256=None)
    assert here.columns.tolist() == apart.columns.tolist() == frame.columns.tolist()
    assert here.dtypes.tolist() == apart.dtypes.tolist()
    for at in range(frame.shape[1]):
        read = [list(map(repr, each.iloc[:, at].tolist())) for each in (here, apart, frame)]
        assert read[0] == read[1] == read[2]


def test_a_published_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if its size stays and its time is set back."""
    good = assemble(old_frame(wide(), "2.0"))
    path = _written(tmp_path / "frame.pkl", good)
    state, real = path.stat(), plain_pickle.columns
    time.sleep(0.02)

    def altered_meanwhile(file: Any) -> Any:
        path.write_bytes(good.replace(b"Question 4", b"Question 5"))
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        return real(file)

    monkeypatch.setattr(plain_pickle, "columns", altered_meanwhile)
    with pytest.raises(AlteredFileError, match="was changed while it was read"):
        read_frame(path, sha256=hashlib.sha256(good).hexdigest())


def test_every_cut_of_a_good_pickle_is_refused(tmp_path: Path) -> None:
    whole = assemble(old_frame(wide(3), "2.0"))
    path = tmp_path / "cut.pkl"
    for end in range(0, len(whole) - 1, len(whole) // 50):
        with pytest.raises(UnsafePickleError, match=r"cut\.pkl"):
            _read(_written(path, whole[:end]))
    with pytest.raises(UnsafePickleError, match=r"cut\.pkl: this is no whole pickle"):
        read_frame(_written(path, whole[:-1]), sha256=None)
