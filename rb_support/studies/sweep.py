"""Many fits, each on disk the moment it is there: in this process, or on a dask cluster.

Rows are a function of what is asked, of the table and of the code, so that a sweep that was cut off goes on,
and its results have the same bytes as those of one that was not, on however many workers.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from rb_support.cache import cache_dir, put_aside, written_whole
from rb_support.studies import board_tables, lineup
from rb_support.studies.cluster import ClusterError
from rb_support.studies.fit_process import NO_BUDGET, Budget, FitProcess, Job, Row, WorkerError, code, row_of
from rb_support.studies.fits import REACHED, Asked, Material, key_of

if TYPE_CHECKING:
    from distributed import Client

_TEXT, _NUMBER, _DRAWS = pa.string(), pa.float64(), pa.list_(pa.float64())
_NUMBERS = (
    *("aiq", "aiq_zero", "aiq_honest", "zero_honest", "lead", "placebo", "placebo_high"),
    *("quality", "best_quality", "oracle_quality"),
    *(f"{word}_{name}" for name in REACHED for word in ("cost", "kept")),
)
ASKED = {
    **dict.fromkeys(("table", "router"), _TEXT), "seed": pa.int64(),
    **dict.fromkeys(("embedding", "labels"), _TEXT), "share": _NUMBER,
}  # fmt: skip
FOUND = {
    "error": _TEXT, "n_train": pa.int64(), "n_test": pa.int64(), "constant": pa.bool_(),
    **dict.fromkeys(_NUMBERS, _NUMBER), **dict.fromkeys(("lead_draws", "gain_draws", "gap_draws"), _DRAWS),
}  # fmt: skip
TIMED = {**dict.fromkeys(("seconds_fit", "seconds_predict", "seconds", "memory"), _NUMBER), "worker": _TEXT}
"""Columns of what differs from run to run, which has a file of its own."""
_SCHEMA = pa.schema({**ASKED, **FOUND, **TIMED})

Keys = Mapping[tuple[str, str], str]
"""(table, embedding) -> digest of both."""
Tell = Callable[[Row], object]
"""Is told of every fit as it is there."""


class Store:
    """Folder with one Parquet file a fit, named by `fits.key_of`: what is there is not done again.

    Parameters
    ----------
    folder : where; None is that of all sweeps in the cache.

    Attributes
    ----------
    folder : of the rows that this code made.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._all = (folder or cache_dir() / "sweeps") / "fits"
        self.folder = self._all / code()[:16]

    def read(self, key: str) -> pa.Table | None:
        """Row of a fit as a table of one row, or None; a damaged file is put aside, with a warning."""
        path = self.folder / f"{key}.parquet"
        try:
            row = pq.ParquetFile(path, page_checksum_verification=True).read().cast(_SCHEMA)
            if len(row) != 1:
                raise ValueError(f"it holds {len(row)} rows")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, MemoryError) as error:  # pyarrow's errors are ValueErrors too
            put_aside(path, error)
            return None
        return row

    def write(self, key: str, row: pa.Table) -> None:
        """Keep a row."""
        with written_whole(self.folder / f"{key}.parquet") as part:
            pq.write_table(row, part, write_page_checksum=True)

    def of_other_code(self) -> int:
        """How many rows there are that other code made, which are left alone."""
        return sum(path.parent != self.folder for path in self._all.glob("*/*.parquet"))


def product(
    tables: Iterable[str],
    routers: Iterable[str],
    seeds: Iterable[int],
    embeddings: Iterable[str] = ("minilm",),
    labels: Iterable[Any] = ("true",),
    shares: Iterable[float] = (1.0,),
) -> list[Asked]:
    """All combinations, table by table."""
    return [
        Asked(table, router, seed, embedding, label, share)
        for table, embedding, share, label, router, seed in itertools.product(
            tables, embeddings, shares, labels, routers, seeds
        )
    ]


def here(asked: Iterable[Asked], materials: Mapping[tuple[str, str], Material], store: Store) -> pd.DataFrame:
    """Rows of fits, in their order, those missing made in this process.

    Parameters
    ----------
    asked : fits.
    materials : (table, embedding) -> its rows and vectors.
    store : where rows are kept.

    Returns
    -------
    A row a fit: what was asked, error, "" unless the router failed, and the numbers of `fits.measure`. A
    router that failed is tried again the next time.

    Raises
    ------
    lineup.RouterError : if an own router's file cannot be read.
    """
    wanted = list(asked)
    jobs = _jobs(wanted, {pair: given.sha256 for pair, given in materials.items()})
    rows = {}
    for each in tqdm(wanted, desc="fits", leave=False):
        key, job = jobs[each]
        found = store.read(key)
        if found is None:
            made = row_of(each, materials[each.table, each.embedding], job.text)
            found = as_table({**made, "worker": "here"})
            if not made["error"]:
                store.write(key, found)
        rows[each] = found
    return pa.concat_tables([rows[each] for each in wanted]).select([*ASKED, *FOUND]).to_pandas()


def on(
    client: Client,
    asked: Iterable[Asked],
    store: Store,
    *,
    budget: Budget = NO_BUDGET,
    tell: Tell = lambda row: None,
) -> dict[Asked, pa.Table]:
    """Rows of fits, those missing made by the workers of a dask cluster, each kept as it comes.

    Tables are loaded, and their prompts embedded, here first, so that no two workers embed the same; workers
    load them by name from the cache and from their files, or are sent them where they do not see those.
    A fit runs in a process of its worker: one that ends it, or takes more than its budget, is a row with an
    error, as is one that raises. Rows of fits over their budget are kept for this budget alone, other errors
    not at all: what they came from may be gone when the fit is asked for again. A worker that dies is
    dask's to replace; a fit that is lost with a worker time and again is a row with an error.

    Parameters
    ----------
    client : as `cluster.connected` gives it.
    asked : fits.
    store : where rows are kept.
    budget : of each fit.
    tell : hears of every row, those that were there first.

    Returns
    -------
    Fit -> its row, a table of one row with the columns of `ASKED`, `FOUND` and `TIMED`.

    Raises
    ------
    ClusterError : if the scheduler is lost, or the workers cannot do it. What was done is kept.
    TableError, SourceError, EmbeddingError, OSError : if a table cannot be used.
    lineup.RouterError : if an own router's file cannot be read.
    """
    wanted = sorted(set(asked), key=astuple)
    pairs = dict.fromkeys((each.table, each.embedding) for each in wanted)
    jobs = _jobs(wanted, {pair: board_tables.load_material(*pair).sha256 for pair in pairs})
    rows: dict[Asked, pa.Table] = {}
    for each, (key, _) in jobs.items():
        found = store.read(key)
        if found is None or _over(found, budget):
            found = store.read(_within(key, budget))
        if found is not None:
            rows[each] = found
            tell(found.to_pylist()[0])
    missing = {each: job for each, job in jobs.items() if each not in rows}
    for each, row in _made_by(client, missing, budget):
        key, over = jobs[each][0], row.pop("over", False)
        rows[each] = as_table(row)
        if over or not row["error"]:
            store.write(_within(key, budget) if over else key, rows[each])
        tell(row)
    return rows


def merge(rows: Mapping[Asked, pa.Table], folder: Path) -> pd.DataFrame:
    """Leave results.parquet, of the same bytes however its rows came about, and timings.parquet beside it.

    Parameters
    ----------
    rows : fit -> its row, as `on` gives them.
    folder : for both files.

    Returns
    -------
    What is in results.parquet: a row a fit, in the order of what was asked.
    """
    table = pa.concat_tables([rows[each] for each in sorted(rows, key=astuple)]).combine_chunks()
    results = table.select([*ASKED, *FOUND])
    for name, part in (("results", results), ("timings", table.select([*ASKED, *TIMED]))):
        with written_whole(folder / f"{name}.parquet") as path:
            pq.write_table(part, path)
    return results.to_pandas()


def as_table(row: Row) -> pa.Table:
    """A row as a table of one row; what it has none of, such as numbers of a fit that failed, is null."""
    if strange := row.keys() - set(_SCHEMA.names):
        raise ValueError(f"a row has no columns {', '.join(sorted(strange))}")
    return pa.Table.from_pylist([row], schema=_SCHEMA)


def _jobs(asked: Sequence[Asked], digests: Keys) -> dict[Asked, tuple[str, Job]]:
    """Key of every fit, and what a worker is sent of it."""
    names = {each.router for each in asked}
    texts = {name: lineup.own_text(name) for name in names}
    own = {name: lineup.own_digest(name) for name in names}
    jobs = {}
    for each in asked:
        text, sha256 = texts[each.router], digests[each.table, each.embedding]
        source = str(Path(each.table).resolve()) if Path(each.table).is_file() else each.table
        jobs[each] = key_of(each, sha256, code() + own[each.router]), Job(each, sha256, source, code(), text)
    return jobs


def _over(row: pa.Table, budget: Budget) -> bool:
    """Whether a fit that went well took more than it may take now."""
    [found] = row.select(["seconds", "memory"]).to_pylist()
    return bool(budget.over(found["seconds"], found["memory"]))


def _within(key: str, budget: Budget) -> str:
    """Key of a fit that was over a budget."""
    return f"{key}-{budget.seconds}-{budget.memory}"


def _made_by(
    client: Client, jobs: Mapping[Asked, tuple[str, Job]], budget: Budget
) -> Iterable[tuple[Asked, Row]]:
    """Fits as the workers of a cluster make them, in any order."""
    from concurrent.futures import CancelledError

    from distributed import KilledWorker, as_completed
    from distributed.client import FutureCancelledError

    lost = ClusterError(
        "the scheduler was lost; what was done is kept, and the same command goes on from there"
    )
    try:
        sent = {} if _share_files(client, jobs) else _sent(client, jobs)
        futures = {}
        for each, (key, job) in jobs.items():
            given = sent.get((each.table, each.embedding))
            futures[client.submit(_fit, job, budget, given, key=f"fit-{_within(key, budget)}")] = each
    except (OSError, CancelledError) as error:
        raise lost from error
    try:
        for future in as_completed(futures):
            each = futures[future]
            try:
                yield each, future.result()
            except KilledWorker:
                yield each, {**asdict(each), "error": "its worker died under it time and again"}
            except WorkerError as error:
                raise ClusterError(str(error)) from error
            except (CancelledError, FutureCancelledError, OSError) as error:
                raise lost from error
            future.release()
    finally:
        if client.status == "running":
            client.cancel(list(futures))


_LOCAL = threading.local()


def _fit(job: Job, budget: Budget, sent: Material | None) -> Row:
    """A fit on a worker, in a process that its thread keeps for this."""
    from distributed import get_worker

    if not hasattr(_LOCAL, "process"):
        _LOCAL.process = FitProcess()
    return {**_LOCAL.process.row(job, budget, sent), "worker": get_worker().address}


def _share_files(client: Client, jobs: Iterable[Asked]) -> bool:
    """Whether all workers see the cache of this process, its published files and own tables."""
    own = {Path(each.table).resolve() for each in jobs if Path(each.table).is_file()}
    with tempfile.NamedTemporaryFile(dir=cache_dir(), prefix=".sweep-") as marker:
        marked = Path(marker.name).name
        seen = client.run(_sees, marked, sorted(map(str, own)), os.environ.get("RB_DATA_DIR")).values()
    return bool(seen) and all(seen)


def _sees(marked: str, paths: Sequence[str], data: str | None) -> bool:
    seen = [cache_dir() / marked, *map(Path, paths)]
    return os.environ.get("RB_DATA_DIR") == data and all(path.is_file() for path in seen)


def _sent(client: Client, jobs: Iterable[Asked]) -> dict[tuple[str, str], Any]:
    """Tables and vectors, each sent to the cluster once, which keeps them as long as it needs them."""
    pairs = dict.fromkeys((each.table, each.embedding) for each in jobs)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sending large graph")
        return {
            pair: client.submit(_itself, board_tables.load_material(*pair), key=f"table-{'-'.join(pair)}")
            for pair in pairs
        }


def _itself(given: Material) -> Material:
    return given
