"""One name for each kind of outcome table: what a notebook's `data` parameter means."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rb_support.outcomes import Outcomes
from rb_support.simulate import simulate_outcomes
from rb_support.sources import load_routerbench

Scale = Literal["quick", "full"]

ROWS: dict[Scale, int] = {"quick": 6_000, "full": 36_497}
"""Simulated queries per scale; "full" is the size of the published 0-shot file."""


def load_outcomes(data: str = "simulated", *, scale: Scale = "quick", seed: int = 0) -> Outcomes:
    """Outcome table that a notebook asks for.

    Parameters
    ----------
    data : "simulated" (made from the seed, nothing to download), "real" (the published RouterBench
        outcomes, those at hand) or the path of an own table, CSV or Parquet, wide or long.
    scale : size of the simulated table; real and own tables are always taken whole.
    seed : of the simulation.

    Raises
    ------
    ValueError
        If `data` or `scale` is none of these.
    SourceError, TableError
        If real data is not at hand, or an own table cannot be used; the message says what to do.
    """
    if scale not in ROWS:
        raise ValueError(f"scale must be one of {', '.join(ROWS)}, got {scale!r}")
    if data == "simulated":
        return simulate_outcomes(ROWS[scale], seed=seed)
    if data == "real":
        return load_routerbench()
    if not Path(data).is_file():
        raise ValueError(
            f"data must be 'simulated', 'real' or the path of a table; there is no file {data!r}"
        )
    return Outcomes.read(data)
