"""Similarity-weighted ranking of new queries, as a ratio to the bare product of similarities.

55,000 battles of 64 models in ten tiers, 384-d. Goals: within 2 times the product, over 1,000 queries/s.
"""

import argparse
from time import perf_counter

import numpy as np
import pandas as pd

from rb_support.embed import unit
from rb_support.outcomes import Battles
from rb_support.preference.sw import SWRanking

GOAL_RATIO, GOAL_RATE = 2.0, 1000.0
TIER_SIZES = (2, 5, 17, 22, 5, 3, 5, 2, 2, 1)


def battles_between_tiers(n: int, rng: np.random.Generator) -> Battles:
    tier = np.repeat(np.arange(len(TIER_SIZES)), TIER_SIZES)
    a, b = tier[rng.integers(0, len(tier), (2, 2 * n))]
    a, b = a[a != b][:n], b[a != b][:n]
    winner = np.where(rng.random(n) < 1 / (1 + np.exp((a - b) / 2)), "model_a", "model_b")
    winner[rng.random(n) < 0.2] = "tie"
    names = np.array([f"tier {i}" for i in range(len(TIER_SIZES))])
    prompts = [f"prompt {i}" for i in range(n)]
    return Battles(
        pd.DataFrame({"prompt": prompts, "model_a": names[a], "model_b": names[b], "winner": winner})
    )


def seconds(call, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--battles", type=int, default=55_000)
    parser.add_argument("--queries", type=int, default=2_048)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    X = unit(rng.normal(size=(options.battles, 384)).astype(np.float32))
    queries = unit(rng.normal(size=(options.queries, 384)).astype(np.float32))
    router = SWRanking(strong="tier 0", weak="tier 2").fit(battles_between_tiers(options.battles, rng), X)
    blocks = np.split(queries, range(router.batch, len(queries), router.batch))
    product = seconds(lambda: [X @ block.T for block in blocks], options.repeats)
    ranking = seconds(lambda: router.win_rate(queries), options.repeats)
    rate, ratio = options.queries / ranking, ranking / product
    print(f"product {product:.2f} s, ranking {ranking:.2f} s for {options.queries:,} queries")
    print(f"ratio {ratio:.2f} (goal under {GOAL_RATIO:g}): {'met' if ratio < GOAL_RATIO else 'MISSED'}")
    print(
        f"{rate:,.0f} queries per second (goal {GOAL_RATE:,.0f}): {'met' if rate > GOAL_RATE else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
