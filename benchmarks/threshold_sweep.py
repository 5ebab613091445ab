"""The exact call-performance curve of one router, as a ratio to sorting its win rates alone.

14,037 queries (MMLU) with distinct win rates. Goal: under 4. A bootstrap of five routers is timed beside it.
"""

import argparse
from time import perf_counter

import numpy as np

from rb_support.pairs import bootstrap_pairs, threshold_sweep

GOAL = 4.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=14_037)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--draws", type=int, default=200)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    strong = (rng.random(options.queries) < 0.81).astype(float)
    weak = (rng.random(options.queries) < 0.68).astype(float)
    rates = {f"router {i}": rng.random(options.queries) for i in range(5)}
    rate = rates["router 0"]
    sorts, sweeps = [], []
    for _ in range(options.repeats):
        start = perf_counter()
        np.argsort(rate)
        sorts.append(perf_counter() - start)
        start = perf_counter()
        shares, _ = threshold_sweep(rate, strong, weak)
        sweeps.append(perf_counter() - start)
    start = perf_counter()
    bootstrap_pairs(rates, strong, weak, rng=rng, draws=options.draws)
    whole = perf_counter() - start
    sort, sweep = min(sorts), min(sweeps)
    ratio = sweep / sort
    print(f"{len(shares):,} points per curve")
    print(f"argsort {1e3 * sort:.2f} ms, sweep {1e3 * sweep:.2f} ms")
    print(f"bootstrap of {len(rates)} routers, {options.draws} draws: {whole:.2f} s")
    print(f"ratio {ratio:.2f} (goal under {GOAL:g}): {'met' if ratio < GOAL else 'MISSED'}")


if __name__ == "__main__":
    main()
