"""Tables that lie in parts: every worker routes rows of its own, and what they sum up to is one system.

A part tells the changes along its rows' lambda path and sums over its rows; merged by willingness to pay they
are the path of the whole table. So predictions and neighbours, (rows, models) and more, stay where the rows
are, and the areas of `rb_support.stats` are those of the table in one piece, but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rb_support.outcomes import Outcomes
from rb_support.routers import PredictiveRouter, lambda_path
from rb_support.stats import Array, Steps, System

if TYPE_CHECKING:
    from distributed import Client


class Part(NamedTuple):
    """Some rows of a table on a disk that all workers see.

    Attributes
    ----------
    table : Parquet file of `Outcomes.to_parquet`.
    vectors : file of `numpy.save`, (rows, d), in the order of the table's rows.
    """

    table: Path
    vectors: Path

    @property
    def rows(self) -> int:
        """How many rows it has, as the file says without being read."""
        return int(pq.read_metadata(self.table).num_rows)


def divided(table: Outcomes, vectors: Array, folder: Path, count: int) -> list[Part]:
    """Write a table and its vectors (n, d) as so many parts of equal size, in the order of the rows."""
    parts = []
    for number, rows in enumerate(np.array_split(np.arange(len(table)), count)):
        part = Part(folder / f"part-{number}.parquet", folder / f"part-{number}.npy")
        table.take(rows).to_parquet(part.table)
        np.save(part.vectors, vectors[rows])
        parts.append(part)
    return parts


class Told(NamedTuple):
    """What the rows of one part tell.

    Attributes
    ----------
    steps : cost and quality along their lambda path.
    sums : (blocks, m, 2) cost and quality of every model, added up over the rows of each block.
    """

    steps: Steps
    sums: Array


def told(router: PredictiveRouter, cost: Array, part: Part, block: NDArray[np.intp], blocks: int) -> Told:
    """Route the rows of one part: what a worker does. Parameters are those of `routed`."""
    table, vectors = Outcomes.from_parquet(part.table), np.load(part.vectors)
    predict_cost = getattr(router, "predict_cost", None)
    spent = cost if predict_cost is None else predict_cost(vectors)
    steps = lambda_path(router.predict(vectors), spent).on(table.quality, table.cost)
    sums = np.zeros((blocks, len(table.models), 2))
    for model in range(len(table.models)):
        for side, values in enumerate((table.cost, table.quality)):
            sums[:, model, side] = np.bincount(block, values[:, model], blocks)
    return Told(steps, sums)


def routed(
    router: PredictiveRouter,
    cost: Array,
    parts: Sequence[Part],
    block: NDArray[np.intp],
    client: Client | None = None,
) -> dict[str, System]:
    """Systems of a router and of the models on a table in parts.

    Parameters
    ----------
    router : fitted; sent to every worker once.
    cost : (m,) predicted cost in USD per query, unless the router predicts it.
    parts : the test rows.
    block : (n,) block of every row, part after part; see `rb_support.stats.Turns`.
    client : of a dask cluster, each of whose tasks is one part; without one they are done here in turn.

    Returns
    -------
    "models" and "router", as functions of (n,) query weights; the models' needs weights that are the same all
    over a block, as `stats.honest_draws` gives them.

    Raises
    ------
    ValueError
        If the parts have another number of rows than there are blocks given.
    """
    ends, blocks = np.cumsum([part.rows for part in parts]), int(block.max()) + 1
    if ends[-1] != len(block):
        raise ValueError(f"{ends[-1]} rows in {len(parts)} parts, but blocks of {len(block)}")
    tasks = list(zip(parts, np.split(block, ends[:-1]), strict=True))
    if client is None:
        found = [told(router, cost, part, own, blocks) for part, own in tasks]
    else:
        there = client.scatter(router, broadcast=True)
        futures = [client.submit(told, there, cost, *task, blocks, pure=False) for task in tasks]
        found = client.gather(futures)
    sums = np.sum([each.sums for each in found], axis=0)
    return {"models": block_means(sums, block), "router": merged([each.steps for each in found])}


def merged(pieces: Sequence[Steps]) -> Steps:
    """Steps of several sets of queries as one, the queries numbered set after set."""
    starts = np.cumsum([0, *(len(each.base) for each in pieces)])
    query = [each.query + start for each, start in zip(pieces, starts[:-1], strict=True)]
    price = np.concatenate([each.price for each in pieces])
    order = np.argsort(price, kind="stable")
    change = np.concatenate([each.change for each in pieces])
    base = np.concatenate([each.base for each in pieces])
    return Steps(base, np.concatenate(query)[order], change[order], price[order])


def block_means(sums: Array, block: NDArray[np.intp]) -> System:
    """System of (blocks, k, 2) sums over queries, for weights that are the same all over a block."""
    present, first, sizes = np.unique(block, return_index=True, return_counts=True)

    def points(weights: object = None) -> Array:
        counts = np.ones(len(first)) if weights is None else np.asarray(weights, dtype=float)[first]
        return np.asarray(np.tensordot(counts, sums[present], 1) / (counts @ sizes))

    return points
