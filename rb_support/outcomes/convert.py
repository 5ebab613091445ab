"""What people really have, turned into the table this project reads: spreadsheets, logs, scales and units.

Nothing is guessed silently. What a file says beyond doubt (its separator, its encoding, percent signs) is
read and noted; what it leaves open (a scale, a unit, a comma that may be decimal or mark thousands) is asked
for.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.outcomes import files
from rb_support.outcomes.cells import means_absent, number
from rb_support.outcomes.checks import TableError, refuse_unknown, shown
from rb_support.outcomes.table import Origin, PartialOutcomes, table_of
from rb_support.outcomes.wide import COST, LATENCY, TOKENS, Gaps

Floats = NDArray[np.float64]
Decimals = Literal["", ".", ","]

UNITS = {"usd": 1.0, "cents": 0.01, "usd-per-1000-queries": 1e-3, "usd-per-million-queries": 1e-6}
"""Units of a cost column, as USD per query."""

MODEL = "{model}"
"""What stands for a model's name in the pattern of a wide table's columns."""

_PRICES = ("model", "price_in_usd_per_million", "price_out_usd_per_million")
_SPACES = re.compile(r"(?<=\d)[\s\u00a0\u2007\u2009\u202f'’](?=\d)")
_TRUTH = {"true": 1.0, "yes": 1.0, "pass": 1.0, "correct": 1.0}
_TRUTH |= {"false": 0.0, "no": 0.0, "fail": 0.0, "wrong": 0.0, "incorrect": 0.0}
_LONG = {"": "performance", COST: "cost"}


@dataclass(frozen=True)
class Layout:
    """Where a file has what, and in which units.

    Attributes
    ----------
    prompt : column of the prompts.
    score, cost : of a wide file the patterns of the columns' names, such as "{model} score"; of a long one,
        with a row per call, the columns. Without `cost` the tokens and prices below make it.
    model : column of the models' names, which makes the file a long one; empty for a wide file.
    task, id : columns of tasks and of ids; without them there is one task, and ids are made of the prompts.
    scale : lowest and highest score, such as (1, 5); None if scores are 0 to 1, percent or yes and no.
    unit : of the costs, a key of `UNITS`.
    decimal : mark of decimals, "." or ","; empty if the cells themselves leave no doubt.
    tokens_in, tokens_out : columns, or patterns, of the tokens of prompt and answer; their sum is kept.
    prices : model -> USD per million tokens in and out, as `price_card` reads them.
    latency : column, or pattern, of what a call took.
    latency_unit : "s" or "ms".
    """

    prompt: str
    score: str
    cost: str = ""
    model: str = ""
    task: str = ""
    id: str = ""
    scale: tuple[float, float] | None = None
    unit: str = "usd"
    decimal: Decimals = ""
    tokens_in: str = ""
    tokens_out: str = ""
    prices: Mapping[str, tuple[float, float]] | None = None
    latency: str = ""
    latency_unit: Literal["s", "ms"] = "s"


def read_any(path: Path) -> files.Read:
    """Frame of a CSV file in any dialect, an Excel sheet, JSON lines or Parquet; with notes on what it was.

    Raises
    ------
    TableError : if it is none of these, or broken; with file, row and remedy.
    """
    kind, name = path.suffix.lower(), shown(path.name)
    if kind == ".parquet":
        return files.read_parquet(path)
    content = files.content_of(path)
    readers = {".csv": _delimited, ".tsv": _delimited, ".txt": _delimited}
    readers |= {".jsonl": _json, ".ndjson": _json, ".json": _json, ".xlsx": _excel}
    if kind not in readers:
        raise TableError(
            f"{name}: give {', '.join(sorted(readers))} or .parquet; save the table as one of these"
        )
    frame, notes = readers[kind](content, name)
    if frame.empty:
        raise TableError(f"{name}: it holds no row; give a header and at least one")
    return files.Read(frame, {}, hashlib.sha256(content).hexdigest(), notes)


def _delimited(content: bytes, name: str) -> tuple[pd.DataFrame, list[str]]:
    text, notes = _text(content)
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep="):
        text = rest
        notes.append(f"its first line '{shown(first.strip())}' was a spreadsheet's")
    header = text.partition("\n")[0]
    separator = max(files.SEPARATORS, key=re.sub(r'"[^"]*"', "", header).count)
    if separator != ",":
        notes.append(f"its cells are separated by {files.SEPARATORS[separator]}")
    return files.frame_of(text, name, separator).rename(columns=str.strip), notes


def _text(content: bytes) -> tuple[str, list[str]]:
    """Text of a file whose encoding its bytes tell, and a note unless that is UTF-8."""
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return content.decode("utf-16"), ["its encoding is UTF-16"]
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace"), ["its encoding was taken for Windows-1252"]


def _json(content: bytes, name: str) -> tuple[pd.DataFrame, list[str]]:
    text, notes = _text(content)
    whole = text.lstrip()[:1] == "["
    records: list[Any] = []
    for line, part in enumerate([text] if whole else text.split("\n"), start=1):
        if part.strip():
            try:
                records += json.loads(part) if whole else [json.loads(part)]
            except ValueError as error:
                raise TableError(
                    f"{name}: line {line} is not JSON ({error}); give one record a line, or a list of them"
                ) from error
    for at, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise TableError(f"{name}: record {at} is a {type(record).__name__}; give records with names")
    frame = pd.json_normalize(records)
    if any("." in column for column in map(str, frame.columns)):
        notes.append("records inside records are columns with a point, such as usage.total_tokens")
    return frame, notes


def _excel(content: bytes, name: str) -> tuple[pd.DataFrame, list[str]]:
    try:
        sheets = pd.read_excel(io.BytesIO(content), sheet_name=None, dtype=object, engine="openpyxl")
    except ImportError as error:
        raise TableError(f"{name}: Excel needs openpyxl; pip install 'rb-support[excel]'") from error
    except Exception as error:  # openpyxl raises what zipfile and its XML parser raise
        raise TableError(
            f"{name}: not a whole Excel file ({shown(error)}); save it again as .xlsx"
        ) from error
    sheet, frame = next(iter(sheets.items()))
    frame.columns = frame.columns.map(str)
    notes = [f"its first sheet '{shown(sheet)}' of {len(sheets)} was read"] if len(sheets) > 1 else []
    return frame.dropna(how="all").reset_index(drop=True), notes


def numbers(column: pd.Series[Any], name: str, decimal: Decimals = "") -> tuple[Floats, list[str]]:
    """(n,) numbers in a column as people write them, NaN where a cell is empty, and what was read how.

    Spaces and apostrophes between digits, dollar signs, percent signs and either decimal mark are read.

    Parameters
    ----------
    column : n cells; its name is that of messages.
    name : of the file.
    decimal : mark of decimals; empty if the cells themselves leave no doubt.

    Raises
    ------
    TableError : naming row and cell of what is no number, or a comma that could be either mark.
    """
    where = f"{name}: column '{shown(column.name)}'"
    if column.dtype.kind in "iufb":
        return column.to_numpy(dtype=float), []
    cells = ["" if means_absent(cell) else _plain(cell) for cell in column.to_numpy(dtype=object)]
    bare = [_SPACES.sub("", cell).replace("$", "").strip() for cell in cells]
    percent = [cell.endswith("%") for cell in bare]
    if any(percent) and sum(percent) < sum(map(bool, bare)):
        row = next(i for i, cell in enumerate(bare, 1) if cell and not cell.endswith("%"))
        raise TableError(f"{where}: some cells are percent, row {row} is not; write all of them alike")
    bare = [cell.rstrip("%").strip() for cell in bare]
    mark = decimal or _mark(bare, where)
    other = "." if mark == "," else ","
    read = [cell.replace(other, "").replace(mark, ".") for cell in bare]
    values = np.array([_TRUTH.get(text.lower(), number(text)) for text in read])
    odd = np.flatnonzero(np.isnan(values) & (np.array(read) != ""))
    if len(odd):
        raise TableError(
            f"{where}: row {odd[0] + 1} holds '{shown(cells[odd[0]])}', which is no number; correct it, or "
            "empty the cell if nothing was measured"
        )
    told = {
        "percent signs were read": any(percent),
        "decimal commas were read": mark == "," and any("," in cell for cell in cells),
        "words such as yes, pass and true were read as 1": any(cell.lower() in _TRUTH for cell in cells),
    }
    notes = [note for note, so in told.items() if so]
    return values / 100 if any(percent) else values, notes


def _plain(cell: Any) -> str:
    return str(cell.normalize() if isinstance(cell, Decimal) else cell).strip()


def _evident(cells: Sequence[str]) -> set[str]:
    """Marks that stand before decimals for sure: behind the other mark, or where no thousands mark can."""
    signs = [re.sub(r"[^.,]", "", cell) for cell in cells]
    found = {sign[-1] for sign in signs if len(set(sign)) == 2}
    for cell, sign in zip(cells, signs, strict=True):
        if len(sign) == 1 and not re.fullmatch(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", cell):
            found.add(sign)
        elif len(sign) > 1 and len(set(sign)) == 1:
            found.add("," if sign[0] == "." else ".")
    return found


def _mark(cells: Sequence[str], where: str) -> Decimals:
    """The decimal mark that the cells of a column use."""
    evident = _evident(cells)
    if len(evident) > 1:
        raise TableError(f"{where}: points and commas both stand before decimals; write all cells alike")
    doubtful = next((cell for cell in cells if "," in cell), None)
    if evident or doubtful is None:
        return "," if "," in evident else "."
    raise TableError(
        f"{where}: '{shown(doubtful)}' may be a thousand or a decimal; say which mark decimals have "
        "(decimal=',' or '.'; on the command line --decimal)"
    )


def mark_of_file(frame: pd.DataFrame) -> Decimals:
    """The decimal mark of a file whose columns of numbers agree on one; else empty."""
    found: set[str] = set()
    for _, column in frame.items():
        cells = [_SPACES.sub("", str(cell)).strip(" %$") for cell in column.dropna().to_numpy(dtype=object)]
        if column.dtype.kind in "OUT" and all(re.fullmatch(r"[-+\d.,]*", cell) for cell in cells):
            found |= _evident(cells)
    return "," if found == {","} else "." if found == {"."} else ""


def price_card(path: Path) -> dict[str, tuple[float, float]]:
    """Prices in USD per million tokens, in and out, from a table with the columns of `prices.csv`.

    Raises
    ------
    TableError : if a column is missing or a price is none.
    """
    read, name = read_any(path), shown(path.name)
    refuse_unknown(_PRICES, list(read.frame.columns), name, "column")
    paid = [numbers(read.frame[column], name)[0] for column in _PRICES[1:]]
    if not all((part >= 0).all() for part in paid):
        raise TableError(f"{name}: a price is missing or negative; give every model both prices")
    both = zip(*map(np.ndarray.tolist, paid), strict=True)
    return dict(zip(read.frame["model"].astype(str), both, strict=True))


def convert(path: Path, layout: Layout, *, missing: Gaps = "raise") -> PartialOutcomes:
    """Outcome table of a file laid out in its owner's way; the table's origin notes all that was done.

    Parameters
    ----------
    path : CSV in any dialect, .xlsx, JSON lines or Parquet.
    layout : where it has what.
    missing : what becomes of a query with a missing score or cost, as in `Outcomes.read`.

    Raises
    ------
    TableError : naming file, row, column and remedy.
    """
    read, name = read_any(path), shown(path.name)
    frame = read.frame
    needed = [layout.prompt, layout.task, layout.id, layout.model]
    refuse_unknown([column for column in needed if column], list(frame.columns), name, "column")
    sheet = _Sheet(frame, replace(layout, decimal=layout.decimal or mark_of_file(frame)), name, [])
    parts: dict[str, Any] = dict(_keys(frame, layout, sheet.notes))
    if layout.model:
        parts["model_name"] = frame[layout.model].astype(str)
        measured = sheet.measured("", parts["model_name"])
        parts |= {_LONG.get(kind, kind[1:]): cells for kind, cells in measured.items()}
    else:
        for model in _models(list(frame.columns), layout.score, name):
            measured = sheet.measured(model, [model] * len(frame))
            parts |= {model + kind: cells for kind, cells in measured.items()}
    origin = Origin("own", name, ((name, read.sha256),), (*read.notes, *dict.fromkeys(sheet.notes)))
    return table_of(pd.DataFrame(parts), origin=origin, name=path.name, missing=missing)


def _keys(frame: pd.DataFrame, layout: Layout, notes: list[str]) -> pd.DataFrame:
    task = frame[layout.task].astype(str) if layout.task else pd.Series("all", index=frame.index)
    prompt = frame[layout.prompt]
    if layout.id:
        ids = frame[layout.id].astype(str)
    else:
        said = task + "\0" + prompt.astype(str)
        ids = said.map(lambda text: hashlib.sha256(text.encode()).hexdigest()[:12])
        if not layout.model:  # the same prompt may well stand on several rows
            again = ids.groupby(ids).cumcount()
            ids = ids.where(again == 0, ids + "-" + again.astype(str))
        notes.append("ids were made of the prompts")
    if not layout.task:
        notes.append("no task was named, so there is one, 'all'")
    return pd.DataFrame({"sample_id": ids, "prompt": prompt, "eval_name": task})


@dataclass(frozen=True)
class _Sheet:
    """A file's cells as its layout reads them; what was done to them is added to the notes."""

    frame: pd.DataFrame
    layout: Layout
    name: str
    notes: list[str]

    def measured(self, model: str, models: Sequence[str]) -> dict[str, Floats]:
        """Score, cost, latency and tokens of one model's columns, or of every row's model, by suffix."""
        layout = self.layout
        found = {"": self._score(model), COST: self._cost(model, models)}
        if layout.latency:
            found[LATENCY] = self._column(layout.latency, model) / {"s": 1, "ms": 1000}[layout.latency_unit]
        if layout.tokens_in and layout.tokens_out:
            found[TOKENS] = self._tokens(model).sum(axis=1)
        return found

    def _column(self, pattern: str, model: str) -> Floats:
        column = pattern.replace(MODEL, model)
        refuse_unknown([column], list(self.frame.columns), self.name, "column")
        values, notes = numbers(self.frame[column], self.name, self.layout.decimal)
        self.notes.extend(notes)
        return values

    def _tokens(self, model: str) -> Floats:
        """(n, 2) tokens in and out."""
        patterns = (self.layout.tokens_in, self.layout.tokens_out)
        return np.column_stack([self._column(pattern, model) for pattern in patterns])

    def _score(self, model: str) -> Floats:
        """(n,) scores, brought to 0 to 1."""
        values, (low, high) = self._column(self.layout.score, model), self.layout.scale or (0.0, 1.0)
        if not low < high:
            raise TableError(
                f"the scale {low:g} to {high:g} has no span; give the lowest and the highest score"
            )
        odd = np.flatnonzero((values < low) | (values > high))
        if len(odd):
            raise TableError(
                f"{self.name}: column '{shown(self.layout.score.replace(MODEL, model))}' runs from "
                f"{np.nanmin(values):g} to {np.nanmax(values):g}, row {odd[0] + 1} lies outside {low:g} to "
                f"{high:g}; say on what scale scores are (scale=(1, 5); on the command line --scale 1-5)"
            )
        if self.layout.scale:
            self.notes.append(f"scores from {low:g} to {high:g} were brought to 0 to 1")
        return (values - low) / (high - low)

    def _cost(self, model: str, models: Sequence[str]) -> Floats:
        """(n,) USD per query."""
        layout = self.layout
        if layout.cost:
            if layout.unit not in UNITS:
                raise TableError(
                    f"the unit '{shown(layout.unit)}' is unknown; give one of {', '.join(UNITS)}"
                )
            values = self._column(layout.cost, model)
            if UNITS[layout.unit] != 1:
                self.notes.append(f"costs in {layout.unit} were turned into USD per query")
            return values * UNITS[layout.unit]
        if not (layout.tokens_in and layout.tokens_out and layout.prices):
            raise TableError(
                f"{self.name}: no cost is named; give a column of costs, or tokens in and out with prices"
            )
        refuse_unknown(list(dict.fromkeys(models)), list(layout.prices), "prices", "model")
        self.notes.append("costs were made of tokens and prices per million")
        prices = np.array([layout.prices[each] for each in models])
        return (self._tokens(model) * prices).sum(axis=1) / 1e6


def _models(columns: Sequence[str], pattern: str, name: str) -> list[str]:
    """Models whose columns fit a pattern, in the order of the file."""
    if pattern.count(MODEL) != 1:
        raise TableError(
            f"{name}: the score '{shown(pattern)}' names no model; write {MODEL} where a column has the "
            "model's name, or name the column of models if there is a row per call"
        )
    before, after = pattern.split(MODEL)
    fits = [c for c in columns if c.startswith(before) and c.endswith(after) and len(c) > len(before + after)]
    found = [column[len(before) : len(column) - len(after) or None] for column in fits]
    if not found:
        listed = ", ".join(map(shown, columns[:30]))
        raise TableError(f"{name}: no column is named like '{shown(pattern)}'; there are {listed}")
    return found
