"""Made files with the schemas and quirks of the published ones, and pickles written opcode by opcode."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rb_support.names import MODELS
from rb_support.sources import Source, SourceFile


def source(name: str, *files: SourceFile) -> Source:
    return Source(name, name, "none", "made for a test", files)


def entry(name: str, data: bytes, address: str = "http://127.0.0.1:9/", *, known: bool = True) -> SourceFile:
    sha256 = hashlib.sha256(data).hexdigest() if known else None
    return SourceFile(name, address + name, len(data), sha256)


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def wide(n: int = 6) -> pd.DataFrame:
    """Wide frame, all object columns: mixed scores, Chinese text, an equal prompt, one sample in halves."""
    rng = np.random.default_rng(3)
    texts = ["['Which?\\nA. it\\'s \"a\"\\nB. b']", "['哪个城市？']", "['Same prompt']", "['Same prompt']"]
    frame: dict[str, list[Any]] = {
        "sample_id": [f"mmlu-astronomy.val.{i}" for i in range(n)],
        "prompt": [texts[i] if i < len(texts) else f"['Question {i}']" for i in range(n)],
        "eval_name": ["mmlu-astronomy"] * n,
    }
    for model in MODELS:
        scores = rng.choice([0.0, 1.0, 0.25], n)
        frame[model] = [str(score) if i % 2 else float(score) for i, score in enumerate(scores)]
    for model in MODELS:
        frame[f"{model}|model_response"] = [repr([f"answer {i} — 好"]) for i in range(n)]
    for model in MODELS:
        frame[f"{model}|total_cost"] = [float(cost) for cost in rng.uniform(1e-5, 1e-2, n)]
    frame["oracle_model_to_route_to"] = ["no_model_correct"] * n
    whole = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in frame.items()})
    for model in MODELS:
        whole[f"{model}|total_cost"] = whole[f"{model}|total_cost"].astype(float)
    whole.columns = pd.Index(list(whole.columns), dtype=object)
    return _with_halves(whole)


def _with_halves(frame: pd.DataFrame) -> pd.DataFrame:
    """The last sample stands on two rows: its first model's score is on a row of its own."""
    first, *others = MODELS
    half = frame.iloc[[-1]].copy()
    half[others] = np.nan
    frame.loc[frame.index[-1], first] = np.nan
    return pd.concat([frame, half], ignore_index=True)


def long(n: int = 5) -> pd.DataFrame:
    """Long frame of the raw file: numeric texts, list literals, an index of its own."""
    rows = [
        {
            "sample_id": f"mbpp.dev.{i}",
            "prompt": "['写一个函数']" if i == 1 else f"['Write function {i}.']",
            "eval_name": "mbpp",
            "performance": str(float((i + j) % 2)),
            "model_response": f"['def f{i}']",
            "model_name": model,
            "cost": 0.001 * (j + 1),
        }
        for i in range(n)
        for j, model in enumerate(MODELS)
    ]
    frame = pd.DataFrame(rows)
    texts = [column for column in frame.columns if column != "cost"]
    frame = frame.astype(dict.fromkeys(texts, object))
    frame.insert(0, "index", np.arange(len(frame))[::-1])
    frame.index = pd.Index(np.arange(len(frame)) + 7)
    frame.columns = pd.Index(list(frame.columns), dtype=object)
    return frame


class Global:
    """A name that a pickle looks up; it need not exist."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Call:
    """A call that a pickle makes, and the state it then sets."""

    def __init__(self, function: Any, *args: Any, state: Any = None, new: bool = False) -> None:
        self.function, self.args, self.state, self.new = function, args, state, new


class _Assembler(pickle._Pickler):  # type: ignore[misc, name-defined]
    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            super().save(obj.module)
            super().save(obj.name)
            self.write(pickle.STACK_GLOBAL)
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.args)
            self.write(pickle.NEWOBJ if obj.new else pickle.REDUCE)
            if obj.state is not None:
                self.save(obj.state)
                self.write(pickle.BUILD)
        else:
            super().save(obj, save_persistent_id)


def assemble(obj: Any, protocol: int = 4) -> bytes:
    """Pickle in which `Global` and `Call` stand for lookups and calls; nothing is looked up or called."""
    buffer = io.BytesIO()
    _Assembler(buffer, protocol).dump(obj)
    return buffer.getvalue()


def old_array(values: np.ndarray, core: str = "numpy.core") -> Call:
    """Array as NumPy 1 pickles it."""
    kind = "O8" if values.dtype == object else values.dtype.str[1:]
    order = "|" if values.dtype == object else "<"
    dtype = Call(Global("numpy", "dtype"), kind, False, True, state=(3, order, None, None, None, -1, -1, 0))
    by_column = not values.flags.c_contiguous
    cells = list(values.ravel("A")) if values.dtype == object else values.tobytes("A")
    rebuild = Global(f"{core}.multiarray", "_reconstruct")
    state = (1, values.shape, dtype, by_column, cells)
    return Call(rebuild, Global("numpy", "ndarray"), (0,), b"b", state=state)


def old_frame(frame: pd.DataFrame, layout: str) -> Call:
    """Frame as pandas of some years pickle it: "1.1", "1.4" or "2.0" (the published files' layout)."""
    texts = [i for i, column in enumerate(frame.columns) if frame[column].dtype == object]
    numbers = [i for i, column in enumerate(frame.columns) if frame[column].dtype != object]
    groups = [group for group in (texts, numbers) if group]
    kinds = [object if group is texts else float for group in groups]
    values = [
        old_array(np.array([frame.iloc[:, i].to_numpy(kind) for i in group]).reshape(len(group), len(frame)))
        for group, kind in zip(groups, kinds, strict=True)
    ]
    places = [old_array(np.array(group, dtype=np.int64)) for group in groups]
    make = Global("pandas.core.indexes.base", "_new_Index")
    labels = {"data": old_array(np.array(frame.columns, dtype=object)), "name": None}
    columns = Call(make, Global("pandas.core.indexes.base", "Index"), labels)
    rows = {"data": old_array(np.arange(len(frame))), "name": None}
    numbered = Global("pandas.core.indexes.numeric", "Int64Index")
    if layout == "2.0":
        rows, numbered = (
            {"name": None, "start": 0, "stop": len(frame), "step": 1},
            Global("pandas.core.indexes.range", "RangeIndex"),
        )
    manager = _old_manager(layout, values, places, [columns, Call(make, numbered, rows)])
    state = {
        "_data" if layout == "1.1" else "_mgr": manager,
        "_typ": "dataframe",
        "_metadata": [],
        "attrs": {},
    }
    return Call(Global("pandas.core.frame", "DataFrame"), state=state, new=True)


def _old_manager(layout: str, values: list[Call], places: list[Call], axes: list[Call]) -> Call:
    manager = Global("pandas.core.internals.managers", "BlockManager")
    if layout == "1.1":
        blocks = [{"values": v, "mgr_locs": p} for v, p in zip(values, places, strict=True)]
        state = (axes, [], [], {"0.14.1": {"axes": axes, "blocks": blocks}})
        return Call(manager, state=state, new=True)
    make = {"1.4": ("pandas.core.internals.blocks", "new_block")}.get(
        layout, ("pandas._libs.internals", "_unpickle_block")
    )
    blocks = tuple(Call(Global(*make), v, p, 2) for v, p in zip(values, places, strict=True))
    return Call(manager, blocks, axes)
