"""Files of tables: CSV read without guessing types, Parquet with the table's record inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rb_support.cache import written_whole
from rb_support.outcomes.checks import TableError

_KEY = b"rb_support"


def read_frame(path: Path) -> pd.DataFrame:
    """Frame of a CSV or Parquet file, as `read` gives it."""
    return read(path)[0]


def read(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a CSV or Parquet file and the record in it, empty if `write_parquet` wrote none.

    A CSV's cells all stay text, which keeps what guessing would destroy: the id "001", the prompt "NA", the
    last digits of a cost.

    Raises
    ------
    TableError : if the file is of another kind or cannot be parsed.
    """
    if not path.is_file():
        raise TableError(f"{path}: there is no such file; check the path")
    if path.suffix == ".parquet":
        return read_parquet(path)
    if path.suffix == ".csv":
        return _read_csv(path), {}
    raise TableError(
        f"{path.name}: only .csv and .parquet are read here; save the table as one of these "
        "(published pickles: rb_support.sources)"
    )


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise TableError(f"{path.name}: not a CSV file in UTF-8 ({error}); save it again as one") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise TableError(f"{path.name}: the rows have more fields than the header; name every column")
    return frame


def write_parquet(path: str | Path, frame: pd.DataFrame, record: dict[str, Any]) -> None:
    """Write a frame with a JSON record in the file's metadata; the file appears whole or not at all.

    Raises
    ------
    TableError : if a column mixes kinds of values that Parquet cannot hold.
    """
    path = Path(path)
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TableError(f"{path.name}: {error}; give the column values of one kind") from error
    metadata = {**(table.schema.metadata or {}), _KEY: json.dumps(record, ensure_ascii=False).encode()}
    with written_whole(path) as part:
        pq.write_table(table.replace_schema_metadata(metadata), part, compression="zstd")


def read_parquet(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Frame of a Parquet file and the record that `write_parquet` left in it, empty if another wrote it.

    Raises
    ------
    TableError : if it is no Parquet file.
    """
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise TableError(
            f"{path.name}: not a whole Parquet file ({error}); write or fetch it again"
        ) from error
    return table.to_pandas(), json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
