"""One name for each kind of outcome table: what a notebook's `data` parameter means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rb_support.outcomes import Outcomes
from rb_support.outcomes.wide import Missing
from rb_support.simulate import simulate_outcomes
from rb_support.sources import load_routerbench

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
