"""Many fits, each on disk the moment it is there: in this process, or on a dask cluster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from rb_support.cache import cache_dir, written_whole
from rb_support.studies import lineup
from rb_support.studies.fits import Asked, Material, key_of, measure


class Store:
    """Folder with one Parquet file a fit, named by `fits.key_of`: what is there is not done again."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or cache_dir() / "sweeps") / "fits"

    def read(self, key: str) -> dict[str, Any] | None:
        """Row of a fit, or None."""
        path = self.folder / f"{key}.parquet"
        return dict(pd.read_parquet(path).iloc[0]) if path.exists() else None

    def write(self, key: str, row: dict[str, Any]) -> None:
        """Keep a row."""
        with written_whole(self.folder / f"{key}.parquet") as part:
            pd.DataFrame([row]).to_parquet(part)


def here(asked: Iterable[Asked], materials: dict[tuple[str, str], Material], store: Store) -> pd.DataFrame:
    """Rows of fits, in their order, those missing made in this process.

    Parameters
    ----------
    asked : fits.
    materials : (table, embedding) -> its rows and vectors.
    store : where rows are kept.

    Returns
    -------
    A row a fit: what was asked, the numbers of `fits.measure`, and error, "" unless the router failed.
    """
    rows = []
    for each in tqdm(list(asked), desc="fits"):
        given = materials[each.table, each.embedding]
        key = key_of(each, given.sha256, code())
        row = store.read(key)
        if row is None:
            row = asdict(each) | row_of(each, given)
            store.write(key, row)
        rows.append(row)
    return pd.DataFrame(rows)


def row_of(asked: Asked, given: Material) -> dict[str, Any]:
    """Numbers of a fit; of a router that fails, its error in words."""
    try:
        return {"error": "", **measure(asked, given, lineup.made(asked.router))}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def code() -> str:
    """Digest of the code that makes rows."""
    return ""
