"""One name for each kind of outcome table: what a notebook's `data` parameter means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from rb_support.catalog import GSM8K, HELLASWAG, MMLU
from rb_support.outcomes import Origin, Outcomes
from rb_support.outcomes.wide import Missing
from rb_support.simulate import simulate_outcomes, simulate_rag
from rb_support.sources import load_routerbench, load_search_qa

Scale = Literal["quick", "full"]

ROWS: dict[Scale, int] = {"quick": 6_000, "full": 36_497}
"""Simulated queries per scale; "full" is the size of the published 0-shot file."""


def load_outcomes(
    data: str = "simulated",
    *,
    scale: Scale = "quick",
    seed: int = 0,
    models: Sequence[str] | None = None,
    missing: Missing = "raise",
) -> Outcomes:
    """Outcome table that a notebook asks for.

    Parameters
    ----------
    data : "simulated" (made from the seed, nothing to download), "real" (the published RouterBench
        outcomes, those at hand) or the path of an own table, CSV or Parquet, wide or long.
    scale : size of the simulated table; real and own tables are always taken whole.
    seed : of the simulation.
    models : the models to keep, in this order; all if None.
    missing : what becomes of an own table's rows without a score or cost, as in `Outcomes.from_wide`.

    Raises
    ------
    ValueError
        If `data` or `scale` is none of these.
    SourceError, TableError
        If real data is not at hand, or an own table cannot be used; the message says what to do.
    """
    if scale not in ROWS:
        raise ValueError(f"scale must be one of {', '.join(ROWS)}, got {scale!r}")
    if data in ("simulated", "real"):
        table = load_routerbench() if data == "real" else simulate_outcomes(ROWS[scale], seed=seed)
        return table if models is None else table.select(models)
    if not Path(data).suffix:
        raise ValueError(
            f"data must be 'simulated', 'real' or the path of a table; there is no file {data!r}, "
            "and a table ends in .csv or .parquet"
        )
    return Outcomes.read(data, models=models, missing=missing)


def load_retrieval(
    data: str = "simulated", n: int = 1_000, *, seed: int = 0, time_sensitive_share: float = 0.5
) -> Outcomes:
    """Questions that ask for retrieval, answered with and without a search (RouterBench sec. 5.4).

    Parameters
    ----------
    data : "simulated", "real" (SimpleQA, as RouterBench's own rows are no longer public; costs are estimates)
        or the path of an own table.
    n, seed, time_sensitive_share : of the simulation, as in `simulate.simulate_rag`.

    Raises
    ------
    ValueError, SourceError, TableError : as `load_outcomes`.
    """
    if data == "real":
        return load_search_qa()
    if data == "simulated":
        return simulate_rag(n, seed=seed, time_sensitive_share=time_sensitive_share)
    return load_outcomes(data)


def load_real_tasks() -> Outcomes:
    """All of RouterBench's datasets of which real rows are at hand, for what needs no training.

    `load_outcomes("real")` where that holds them all (the whole 0-shot or 5-shot file). Where it is the
    three 5-shot tasks, the 0-shot sample's MMLU (138 rows), HellaSwag (90) and GSM8K (78) stand beside them:
    no dataset mixes both, and the origin names both files. The sample is too small to train on, and its
    prompts hold no examples, so look at one dataset at a time.

    Raises
    ------
    SourceError, TableError : if the rows are not at hand, naming the command that fetches them.
    """
    table = load_routerbench()
    if {MMLU, HELLASWAG, GSM8K} & set(table.datasets):
        return table
    sample = load_routerbench("sample").select(table.models)
    return _beside(table, sample.take(sample.frame["dataset"].isin((MMLU, HELLASWAG, GSM8K)).to_numpy()))


def _beside(first: Outcomes, second: Outcomes) -> Outcomes:
    """Rows of two real tables of the same models, one below the other."""
    frame = pd.concat([first.frame, second.frame], ignore_index=True)
    quality, cost = np.vstack([first.quality, second.quality]), np.vstack([first.cost, second.cost])
    held = [f"from {part.origin.name}: {', '.join(part.datasets)}" for part in (first, second)]
    files = (*first.origin.files, *second.origin.files)
    notes = (*held, *first.origin.notes, *second.origin.notes)
    origin = Origin("real", f"{first.origin.name}; {second.origin.name}", files, notes)
    return Outcomes(frame, quality, cost, first.models, origin)
