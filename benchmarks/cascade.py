"""A cascade's expectation for 11 budgets x 8 error rates, as a ratio to one plain pass over the table.

14,042 queries x 11 models (MMLU). Goal: under 0.1 s.
"""

import argparse
from timeit import repeat

import numpy as np

from rb_support.routers import Cascade, budget_grid

GOAL = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=14_042)
    n = parser.parse_args().queries
    rng = np.random.default_rng(0)
    quality = (rng.random((n, 11)) < np.linspace(0.3, 0.8, 11)).astype(float)
    cost = np.geomspace(5e-5, 3e-3, 11) * rng.lognormal(size=(n, 11))
    budgets, rates = budget_grid(cost, 11), np.linspace(0, 0.7, 8)
    plain = min(repeat(lambda: (quality.mean(axis=0), cost.mean(axis=0)), number=5, repeat=5)) / 5
    grid = min(repeat(lambda: Cascade(quality, cost).expected(budgets, rates), number=1, repeat=7))
    print(f"11 budgets x 8 error rates on {n:,} x 11: {grid * 1e3:.1f} ms")
    print(f"one plain pass over the table: {plain * 1e3:.2f} ms, ratio {grid / plain:.0f}")
    print(f"goal under {GOAL} s: {'met' if grid < GOAL else 'MISSED'}")


if __name__ == "__main__":
    main()
