"""Files of tables: CSV read without guessing types, Parquet with the table's record inside."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from rb_support.cache import written_whole
from rb_support.outcomes.checks import TableError, refuse_unknown, shown

_KEY = b"rb_support"
_LARGEST_RECORD = 10_000_000
_AT_ONCE = 100_000
"""Rows of a CSV file that are held as Python's own texts, several times larger than a frame's, at once."""
_HEADER = re.compile(r'(?:"[^"]*"|[^"\r\n])*')
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""Beginning of a cell that a spreadsheet would run, behind the apostrophes that keep it from that."""


class Read(NamedTuple):
    """What a file holds: its frame, the record that `write_parquet` left, sha256 of its bytes, notes."""

    frame: pd.DataFrame
    record: dict[str, Any]
    sha256: str
    notes: list[str]


def read(path: Path) -> Read:
    """Read a CSV file, or a Parquet file with the record in it (empty if `write_parquet` wrote none).

    A CSV's cells all stay text, which keeps what guessing would destroy: the id "001", the prompt "NA", the
    last digits of a cost. Where the header stands in quotes, as `write_csv` writes it, apostrophes before
    what a spreadsheet would run are taken off, with a note.

    Raises
    ------
    TableError : if the file is of another kind or cannot be parsed.
    """
    kind = path.suffix.lower()
    if kind == ".parquet":
        return read_parquet(path)
    if kind != ".csv":
        raise TableError(
            f"{shown(path.name)}: only .csv and .parquet are read here; save the table as one of these "
            "(published pickles: rb_support.sources)"
        )
    content = content_of(path)
    frame, notes = parse_csv(content, shown(path.name)), list[str]()
    if content.removeprefix(codecs.BOM_UTF8).startswith(b'"'):
        guarded, frame = frame, _each(frame, _bare)
        if not frame.equals(guarded):
            notes.append("cells were read without the apostrophe that keeps a spreadsheet from running them")
    return Read(frame, {}, hashlib.sha256(content).hexdigest(), notes)


def content_of(path: Path) -> bytes:
    """All bytes of a file, so that what is hashed is what is parsed."""
    try:
        if path.is_file():
            return path.read_bytes()
        what = "is a folder or a device, not a file" if path.exists() else "there is no such file"
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
    raise TableError(f"{shown(path)}: {what}; check the path and who may read it")


def renamed(frame: pd.DataFrame, columns: Mapping[str, str], name: str) -> pd.DataFrame:
    """Frame whose columns have the schema's names instead of its own.

    Parameters
    ----------
    columns : name in the schema -> name in the frame.
    name : of the file, for messages.

    Raises
    ------
    TableError : if a column is not there, or the schema's name belongs to another one.
    """
    refuse_unknown(list(columns.values()), list(frame.columns), name, "column")
    for new in columns:
        if new in frame.columns and new not in columns.values():
            raise TableError(f"{name}: has a column of that name already: {shown(new)}; rename or delete it")
    return frame.rename(columns={own: new for new, own in columns.items()})


def parse_csv(content: bytes, name: str) -> pd.DataFrame:
    """Frame of a comma-separated file in UTF-8; lines end as the header's does.

    A carriage return that ends no line belongs to its cell, quoted or not.

    Raises
    ------
    TableError : naming the row, and what separator or encoding it seems to have instead.
    """
    text = _decoded(content, name)
    header = text[: _HEADER.match(text).end()]  # type: ignore[union-attr]
    ending = text[len(header) : len(header) + 2]
    mark = next(chr(code) for code in range(0xE000, 0xF900) if chr(code) not in text)
    if ending[:1] != "\r" or ending == "\r\n":
        text = re.sub(r"\r(?!\n)" if ending == "\r\n" else r"\r", mark, text)
    if "\0" in header:
        raise TableError(f"{name}: not a CSV file in UTF-8: UTF-16 or no text; save it again as CSV UTF-8")
    names = header.replace("|", "") if "," in header else header  # a model's columns have bars in them
    separator = max(SEPARATORS, key=names.count)
    if separator != "," or header.startswith("sep="):
        what = f"the header '{shown(header)}' is separated by {SEPARATORS[separator]}"
        if header.startswith("sep="):
            what = f"line 1 '{shown(header)}' is a spreadsheet's, no header"
        raise TableError(
            f"{name}: {what}; save the table with commas, numbers with a point and no line before the header "
            "(in a spreadsheet: CSV UTF-8)"
        )
    frame = frame_of(text, name)
    return _each(frame, lambda cell: cell.replace(mark, "\r")) if mark in text else frame


def _each(frame: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """Frame of texts, each of which and each column name is changed."""
    return frame.rename(columns=change).map(change)


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start)
        where = f"line {row + 1}, byte {content[error.start]:#04x}"
        kind = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "another encoding, or no text"
        raise TableError(
            f"{name}: not a CSV file in UTF-8 ({where}: {kind}); save it again as CSV UTF-8"
        ) from error


def frame_of(text: str, name: str, separator: str = ",") -> pd.DataFrame:
    """Texts of a CSV file's records, under its header; blank lines left out.

    Raises
    ------
    TableError : naming the row that is not CSV, or that has more or fewer fields than the header.
    """
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    records, parts, done = filter(None, reader), list[pd.DataFrame](), 0
    header: list[str] | None = None
    while not parts or len(parts[-1]) == _AT_ONCE:
        rows: list[list[str]] = []
        try:
            header = header or next(records, [])
            rows.extend(islice(records, _AT_ONCE))
        except csv.Error as error:
            at = done + bool(header)
            raise TableError(
                f"{name}: row {at + len(rows)} (line {reader.line_num}) is not CSV ({error}); "
                'close every quote, and write a quote inside quotes twice ("", not \\")'
            ) from error
        if not header:
            raise TableError(f"{name}: not a CSV file: it is empty; write a header and at least one row")
        for number, row in enumerate(rows, start=done + 1):
            if len(row) != len(header):
                raise TableError(
                    f"{name}: row {number} has {len(row)} fields, the header {len(header)}; name every "
                    f"column, and put quotes around a cell that holds {SEPARATORS[separator]} or line ends"
                )
        parts.append(pd.DataFrame(rows, columns=header, dtype=str))
        done += len(rows)
    return pd.concat(parts, ignore_index=True)


def _bare(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _guarded(cell: Any) -> Any:
    if isinstance(cell, str):
        return f"'{cell}" if _FORMULA.match(cell) else cell
    return None if pd.isna(cell) else cell


def write_csv(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a frame as CSV, which `read` gives back; the file appears whole or not at all.

    Texts stand in quotes; one that a spreadsheet would run (it begins with =, +, -, @, a tab or a carriage
    return) gets an apostrophe before it.

    Raises
    ------
    TableError : if the file cannot be written or a text holds half a character.
    """
    with _written(Path(path)) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(map(_guarded, frame.columns))
        writer.writerows(map(_guarded, row) for row in frame.itertuples(index=False, name=None))


def write_parquet(path: str | Path, frame: pd.DataFrame, record: dict[str, Any]) -> None:
    """Write a frame with a JSON record in the file's metadata; the file appears whole or not at all.

    Raises
    ------
    TableError : if a column mixes kinds of values that Parquet cannot hold, or the file cannot be written.
    """
    import pyarrow as pa  # here, as where a browser runs this there may be none
    import pyarrow.parquet as pq

    path = Path(path)
    with _written(path, pa.ArrowInvalid, pa.ArrowTypeError) as part:
        table = pa.Table.from_pandas(frame, preserve_index=False)
        metadata = {**(table.schema.metadata or {}), _KEY: json.dumps(record, ensure_ascii=False).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), part, compression="zstd")


@contextmanager
def _written(path: Path, *refusals: type[Exception]) -> Iterator[Path]:
    """`written_whole`, whose failures are sentences; `refusals` are what a format raises at odd values."""
    caught: tuple[type[Exception], ...] = (*refusals, UnicodeEncodeError)
    try:
        with written_whole(path) as part:
            yield part
    except caught as error:
        raise TableError(f"{shown(path.name)}: {error}; give the column values of one kind") from error
    except OSError as error:
        raise TableError(
            f"{shown(path)}: cannot be written ({error.strerror or error}); choose another"
        ) from error


def read_parquet(path: Path) -> Read:
    """Frame of a Parquet file and the record that `write_parquet` left in it, empty if another wrote it.

    All columns are read, whatever pandas' own metadata say of them, and whole numbers keep their digits.

    Raises
    ------
    TableError : if it is no Parquet file, or its record is no JSON mapping.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content, name = content_of(path), shown(path.name)
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read()
        frame = table.to_pandas(ignore_metadata=True, integer_object_nulls=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(
            f"{name}: not a whole Parquet file ({shown(error)}); write or fetch it again"
        ) from error
    try:
        said = (table.schema.metadata or {}).get(_KEY, b"{}")
        record = json.loads(said) if len(said) <= _LARGEST_RECORD else None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise TableError(f"{name}: its metadata 'rb_support' hold no record of a table; write it again")
    return Read(frame, record, hashlib.sha256(content).hexdigest(), [])
