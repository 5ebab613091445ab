"""How much faster a sweep is with 2 workers than with 1, on the same fits in one run.

    python benchmarks/sweep_workers.py

Tables are loaded, workers are there and warm before the clock starts: what is compared is the fits. Prints
the ratio; the goal is 1.8. Turns alternate, and the medians are compared, as other work may go on meanwhile.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import pandas as pd

from rb_support.studies.cluster import connected, cores
from rb_support.studies.sweep import Store, on, product

TURNS, SEEDS = 3, 40
TABLE, ROUTERS = "simulated-hellaswag", ("knn", "ridge", "placebo")


def seconds(workers: int) -> float:
    """Of all fits on so many workers."""
    with connected(workers=workers) as client, tempfile.TemporaryDirectory() as place:
        warm = product([TABLE], ["knn(k=3)"], range(4 * workers), ["tfidf"])
        on(client, warm, Store(Path(place)))
        stamps: list[float] = []
        wanted = product([TABLE], ROUTERS, range(SEEDS), ["tfidf"])
        rows = on(client, wanted, Store(Path(place)), tell=lambda row: stamps.append(time.monotonic()))
        used = pd.concat([row.to_pandas() for row in rows.values()])["worker"].nunique()
        assert used == workers, f"{used} of {workers} workers did something"
        return (stamps[-1] - stamps[workers - 1]) / (len(stamps) - workers)


def main() -> None:
    found: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(TURNS):
        for workers, each in found.items():
            each.append(seconds(workers))
    one, two = (statistics.median(each) for each in found.values())
    print(f"{cores()} cores; a fit every {one:.3f} s with 1 worker, {two:.3f} s with 2")
    print(f"{one / two:.2f} times faster (goal 1.8)")


if __name__ == "__main__":
    main()
