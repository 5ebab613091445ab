"""What the runs of a sweep of a notebook wrote, side by side: one tidy table, a CSV an item, a page.

All is read from the sweep's folder, so it can be looked at while the sweep goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from rb_support.cache import write_atomically, written_whole
from rb_support.paper import ITEMS, repeats
from rb_support.report import render, store
from rb_support.report.freshness import TIMED_CLAIM
from rb_support.report.gallery import read_claims, read_records
from rb_support.report.store import ReportError

SWEEP, STATE, ERROR, TIMING = "sweep.json", "state.json", "error.txt", "timing.json"
COLUMNS = ["item", "part", "row", "label", "column", "value", "text"]
_CLAIMS = "claims"
_MOST_CELLS = 20_000  # a page with more in one table is no page


class _Run(BaseModel):
    folder: str
    values: dict[str, Any]


class _Sweep(BaseModel):
    notebook: str
    place: str
    scale: str
    runs: list[_Run]


class _Timing(BaseModel):
    seconds: float
    worker: str


@dataclass(frozen=True)
class Run:
    """One setting of a sweep.

    Attributes
    ----------
    folder : of its run, with the executed notebook and a folder of figures of its own.
    values : the settings by name.
    label : what tells it from the others, such as "k=10, seed=0".
    figures : folder of its items.
    """

    folder: Path
    values: Mapping[str, Any]
    label: str
    figures: Path

    @property
    def error(self) -> str:
        """What its last run failed with; empty if it did not."""
        path = self.folder / ERROR
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def unnamed(self, words: str) -> str:
        """Words without the setting they were made with, so that they name the same thing in all settings.

        >>> Run(Path(), {"k": 10}, "", Path()).unnamed("KNN (k=10)")
        'KNN (k=…)'
        """
        for name, value in self.values.items():
            words = re.sub(rf"(?<![\w.]){re.escape(f'{name}={value}')}(?![\w.])", f"{name}=…", words)
        return words

    @property
    def status(self) -> str:
        """How its last run ended: "done", "failed", or "not run" to an end so far."""
        return "done" if (self.folder / STATE).is_file() else "failed" if self.error else "not run"


@dataclass(frozen=True)
class Sweep:
    """A sweep as its folder says it: notebook, kind of data, scale, and its runs in the order of the grid."""

    folder: Path
    notebook: str
    kind: str
    scale: str
    runs: Sequence[Run]

    @property
    def done(self) -> list[Run]:
        """Runs whose items can be shown."""
        return [run for run in self.runs if run.status == "done"]


def write_sweep(
    folder: Path, notebook: str, place: Path, scale: str, settings: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write down what a sweep is to run.

    Parameters
    ----------
    folder : of the sweep.
    place : of the items in a folder of figures, see `store.folder_of`.
    settings : name of the run's folder -> its settings by name, in order.
    """
    runs = [{"folder": name, "values": dict(values)} for name, values in settings.items()]
    record = {"notebook": notebook, "place": place.as_posix(), "scale": scale, "runs": runs}
    write_atomically(folder / SWEEP, store.dump_json(record))


def read_sweep(folder: Path) -> Sweep:
    """Read a sweep's folder.

    Raises
    ------
    ReportError
        If none was begun there.
    """
    record = store.read_json(folder / SWEEP, _Sweep)
    if record is None:
        raise ReportError(f"{folder} holds no sweep of a notebook: there is no {SWEEP}")
    settings = [run["values"] for run in record["runs"]]
    varied = [name for name in settings[0] if any(each[name] != settings[0][name] for each in settings)]
    runs = []
    for run in record["runs"]:
        shown = {name: run["values"][name] for name in varied or run["values"]}
        label = ", ".join(f"{name}={value}" for name, value in shown.items())
        place = folder / "runs" / run["folder"]
        runs.append(Run(place, run["values"], label, place / "figures" / record["place"]))
    kind = record["place"].split("/")[0]
    return Sweep(folder, record["notebook"], kind, record["scale"], runs)


def collected(folder: Path | str) -> pd.DataFrame:
    """Every number of every item of every run of a sweep that is done.

    Parameters
    ----------
    folder : of the sweep, such as `build/sweeps/03_predictive_routers-simulated-quick`.

    Returns
    -------
    A row a cell: a column per setting; item, its id, or "claims" for what was checked; part, "table" for its
    CSV, "versus" for numbers beside the paper's, "claims" for statements; row, counted from 1; label, the
    words that name the row, "k=…" where they say the setting; column; value, NaN where the cell is no number;
    text, empty where it is one.

    Raises
    ------
    ReportError
        If the folder holds no sweep.
    """
    sweep = read_sweep(Path(folder))
    return _collected(sweep, _items(sweep))


def _collected(sweep: Sweep, items: Sequence[_Item]) -> pd.DataFrame:
    columns = [*sweep.runs[0].values, *COLUMNS]
    cells = chain(*(chain(item.cells(), item.versus()) for item in items), _claim_cells(sweep))
    parts = [table.assign(**run.values)[columns] for run, table in cells]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


@dataclass(frozen=True)
class _Item:
    """An item in all runs that saved it.

    Attributes
    ----------
    records, tables : one a run: its record, and its CSV as text, in which no cell names the run's setting.
    key : columns that tell its rows apart, see `key_columns`.
    """

    id: str
    runs: Sequence[Run]
    records: Sequence[Mapping[str, Any]]
    tables: Sequence[pd.DataFrame]
    key: list[str]

    @property
    def timed(self) -> bool:
        """Whether its numbers are clock times, which no two runs share."""
        return repeats(self.id) == "timed"

    def cells(self) -> Iterator[tuple[Run, pd.DataFrame]]:
        """Its CSV, a row a cell, run by run."""
        first = list(map(str, self.tables[0]))
        words = self.key or [c for c in first if any(_is_text(t[c]) for t in self.tables if c in t)]
        for run, table in zip(self.runs, self.tables, strict=True):
            naming = [name for name in words if name in table]
            naming = naming[:-1] if len(naming) == len(table.columns) else naming
            labels = [" · ".join(filter(None, row)) for row in table[naming].to_numpy().tolist()]
            yield run, _long(self.id, "table", labels, table.drop(columns=naming))

    def versus(self) -> Iterator[tuple[Run, pd.DataFrame]]:
        """Its numbers beside the paper's, run by run."""
        for run, record in zip(self.runs, self.records, strict=True):
            if pairs := record["versus"]:
                table = pd.DataFrame(pairs)[["ours", "paper"]].astype(object)
                words = table.where(table.notna(), "").astype(str)
                yield run, _long(self.id, "versus", [pair["what"] for pair in pairs], words)

    def beside(self) -> pd.DataFrame:
        """What its CSV becomes: a row a number and a column a setting, if its rows can be told apart.

        Else, as of the points of curves, the rows of one setting under those of another.
        """
        if self.key:
            return _joined(self.runs, self.tables, self.key)
        parts = []
        for run, table in zip(self.runs, self.tables, strict=True):
            front = {f"setting {name}" if name in table else name: v for name, v in run.values.items()}
            parts.append(table.assign(**front)[[*front, *table]])
        return pd.concat(parts, ignore_index=True).fillna("")

    def told(self) -> tuple[list[list[str]], list[list[str]]] | None:
        """Rows for the page, in words: those that differ between settings, and those that do not.

        None if they cannot be told apart, are too many, or hang on a clock.
        """
        if not self.key or self.timed:
            return None
        words = []
        for run, table in zip(self.runs, self.tables, strict=True):
            read = pd.read_csv(run.figures / f"{self.id}.csv")
            shown = render.shown(read.drop(columns=self.key)).words.map(run.unnamed)
            words.append(pd.concat([table[self.key], shown], axis="columns"))
        return _parted(_joined(self.runs, words, self.key))


def _joined(runs: Sequence[Run], tables: Sequence[pd.DataFrame], key: list[str]) -> pd.DataFrame:
    """Tables of text side by side: columns of the key, "column", and a column a run; empty where absent."""
    sides = [_stacked(table.set_index(key), run.label) for run, table in zip(runs, tables, strict=True)]
    return pd.concat(sides, axis="columns", sort=False).fillna("").reset_index(allow_duplicates=True)


def _stacked(table: pd.DataFrame, name: str) -> pd.Series[Any]:
    """A table of text as a row a cell, by its index and "column"."""
    return pd.Series(table.rename_axis("column", axis="columns").stack(future_stack=True), name=name)


def _parted(table: pd.DataFrame) -> tuple[list[list[str]], list[list[str]]] | None:
    if table.size > _MOST_CELLS:
        return None
    beside = table.iloc[:, list(table.columns).index("column") + 1 :]
    same = beside.eq(beside.iloc[:, 0], axis="index").all(axis="columns")
    return table[~same].to_numpy().tolist(), table[same].to_numpy().tolist()


def key_columns(tables: Sequence[pd.DataFrame]) -> list[str]:
    """Columns that tell the rows of an item apart in every run, so that they can stand side by side.

    The fewest first columns of words that do; else the fewest first columns of any kind, provided that all
    runs have the same rows. None if that does not do either: points of curves lie elsewhere in every run.

    Parameters
    ----------
    tables : the item's CSV of each run, all cells as text.
    """
    shared = [str(name) for name in tables[0] if all(name in table for table in tables)]
    words = [name for name in shared if any(_is_text(table[name]) for table in tables)]
    for place in range(1, len(words) + 1):
        if not any(table.duplicated(words[:place]).any() for table in tables):
            return words[:place]
    for place in range(1, len(shared)):
        key = shared[:place]
        rows = [set(table[key].itertuples(index=False, name=None)) for table in tables]
        unique = all(len(row) == len(table) for row, table in zip(rows, tables, strict=True))
        if unique and all(row == rows[0] for row in rows):
            return key
    return []


def _is_text(cells: pd.Series[str]) -> bool:
    return bool((pd.to_numeric(cells, errors="coerce").isna() & (cells != "")).any())


def _long(item: str, part: str, labels: Sequence[str], table: pd.DataFrame) -> pd.DataFrame:
    """A table of text, a row a cell."""
    places = [np.arange(1, len(table) + 1), np.array(labels, dtype=object)]
    cells = _stacked(table.set_axis(pd.MultiIndex.from_arrays(places, names=["row", "label"])), "text")
    told = cells.reset_index()
    value = pd.to_numeric(told["text"], errors="coerce").astype(float)
    return told.assign(item=item, part=part, value=value, text=told["text"].where(value.isna(), ""))


def _items(sweep: Sweep) -> list[_Item]:
    """Items of a sweep, those of the papers first."""
    found: dict[str, list[tuple[Run, dict[str, Any]]]] = {}
    for run in sweep.done:
        for record in read_records(run.figures):
            found.setdefault(record["id"], []).append((run, record))
    order = {id: place for place, id in enumerate(ITEMS)}
    items = []
    for id in sorted(found, key=lambda id: (order.get(id, len(order)), id)):
        runs, records = zip(*found[id], strict=True)
        paths = [run.figures / f"{id}.csv" for run in runs]
        texts = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in paths]
        tables = [text.map(run.unnamed) for text, run in zip(texts, runs, strict=True)]
        items.append(_Item(id, runs, records, tables, key_columns(tables)))
    return items


def _claims(sweep: Sweep) -> list[tuple[Run, pd.DataFrame]]:
    """Checked statements of each run: claim, where, ours, verdict; but those that hang on a clock."""
    parts = []
    for run in sweep.done:
        claims = pd.DataFrame(read_claims(run.figures), columns=["claim", "where", "verdict", "ours"])
        steady = claims[~claims["claim"].str.endswith(TIMED_CLAIM)].drop_duplicates("claim")
        if len(steady):
            parts.append((run, steady))
    return parts


def _claim_cells(sweep: Sweep) -> Iterator[tuple[Run, pd.DataFrame]]:
    for run, claims in _claims(sweep):
        yield run, _long(_CLAIMS, "claims", claims["claim"].tolist(), claims[["verdict", "ours"]])


def publish(folder: Path) -> pd.DataFrame:
    """Write what a sweep found so far; returns a row a run: settings, status, error.

    `runs.csv` and `timings.csv`, `items.parquet` (as `collected`, but for clock times), `items/<id>.csv` and
    `index.html`. All but `timings.csv` and items that are clock times has the same bytes however, and how
    often interrupted, the runs came about.
    """
    sweep = read_sweep(folder)
    items, claims = _items(sweep), _claims(sweep)
    runs = pd.DataFrame([{**run.values, "status": run.status, "error": run.error} for run in sweep.runs])
    beside = {item.id: item.beside() for item in items}
    if claims:
        who, tables = zip(*claims, strict=True)
        beside[_CLAIMS] = _joined(who, tables, ["claim", "where"])
    contents = {f"items/{id}.csv": render.render_csv(table) for id, table in beside.items()}
    contents |= {"runs.csv": render.render_csv(runs), "timings.csv": render.render_csv(_timings(sweep))}
    contents["index.html"] = _page(sweep, items, beside).encode()
    for name, content in contents.items():
        write_atomically(folder / name, content)
    for path in (folder / "items").glob("*.csv"):
        if f"items/{path.name}" not in contents:  # of an earlier grid
            path.unlink()
    cells = _collected(sweep, [item for item in items if not item.timed])
    with written_whole(folder / "items.parquet") as part:
        cells.to_parquet(part, index=False)
    return runs


def _timings(sweep: Sweep) -> pd.DataFrame:
    found = ((run, store.read_json(run.folder / TIMING, _Timing)) for run in sweep.runs)
    rows = [{**run.values, **timing} for run, timing in found if timing]
    return pd.DataFrame(rows, columns=[*sweep.runs[0].values, "seconds", "worker"])


def _page(sweep: Sweep, items: Sequence[_Item], beside: Mapping[str, pd.DataFrame]) -> str:
    """The page: one file that needs nothing but the files beside it."""
    verdicts, runs = None, sweep.runs
    if _CLAIMS in beside:
        table = beside[_CLAIMS]
        verdicts = _parted(table[table["column"] == "verdict"].drop(columns="where"))
    return render.fill_template(
        "side_by_side.html",
        sweep=sweep,
        kind=sweep.kind,
        grid={name: dict.fromkeys(run.values[name] for run in runs) for name in runs[0].values},
        items=items,
        told={item.id: item.told() for item in items},
        verdicts=verdicts,
        labels={id: list(map(str, table)) for id, table in beside.items()},
        link=lambda path: path.relative_to(sweep.folder).as_posix(),
    )
