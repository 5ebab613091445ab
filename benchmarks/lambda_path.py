"""Exact curves for k = 5, 10 and 40 from one neighbour search, as a ratio to that search alone.

11,000 test queries against 25,000 x 384 training rows and 11 models. Goal: under 1.3.
"""

import argparse
from time import perf_counter

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from rb_support.routers import lambda_path
from rb_support.routers.knn import SPARE, neighbour_means

KS = (5, 10, 40)
GOAL = 1.3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=int, default=25_000)
    parser.add_argument("--test", type=int, default=11_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    X = normalize(rng.normal(size=(options.train, 384)))
    queries = normalize(rng.normal(size=(options.test, 384)))
    quality = (rng.random((options.train, 11)) < np.linspace(0.3, 0.8, 11)).astype(float)
    true, cost = (
        quality[: options.test],
        np.geomspace(5e-5, 3e-3, 11) * rng.lognormal(size=(options.test, 11)),
    )
    index = NearestNeighbors(algorithm="brute").fit(X)
    searches, rests = [], []
    for _ in range(options.repeats):
        start = perf_counter()
        distance, found = index.kneighbors(queries, n_neighbors=max(KS) + SPARE)
        searches.append(perf_counter() - start)
        start = perf_counter()
        curves = {
            k: lambda_path(p, cost.mean(axis=0)).on(true, cost)()
            for k, p in neighbour_means(quality, found, 1 - distance**2 / 2, KS).items()
        }
        rests.append(perf_counter() - start)
    search, rest = min(searches), min(rests)
    ratio = (search + rest) / search
    print(f"points per curve: {', '.join(f'k={k}: {len(c):,}' for k, c in curves.items())}")
    print(f"search {search:.2f} s, all three curves {rest:.2f} s more")
    print(f"ratio {ratio:.2f} (goal under {GOAL}): {'met' if ratio < GOAL else 'MISSED'}")


if __name__ == "__main__":
    main()
