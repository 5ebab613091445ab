"""Win rates by matrix factorization, one query at a time and 1,024 at once, as ratio to the bare dot product.

384-d embeddings in single precision, 64 models, 128 dimensions, products in double precision. Goals: under 20
singly, where calls and checks are all there is, and under 2 in batches. The whole product of eq. 12, which
the one dot product stands for, is timed beside.
"""

import argparse
from collections.abc import Callable
from time import perf_counter

import numpy as np

from rb_support.preference.factorization import MatrixFactorization

GOALS = {1: 20, 1024: 2}


def fastest(call: Callable[[], object], rounds: int, calls: int) -> float:
    """Seconds per call, the fastest of some rounds."""
    taken = []
    for _ in range(rounds):
        start = perf_counter()
        for _ in range(calls):
            call()
        taken.append((perf_counter() - start) / calls)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=64)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=2_000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    names = [f"model {i}" for i in range(options.models)]
    P, W1, w2 = (
        rng.normal(size=shape) for shape in ((options.models, options.dim), (options.dim, 384), options.dim)
    )
    model = MatrixFactorization(strong=names[0], weak=names[1])
    model.set_weights(names, P[None], W1[None], w2[None], np.zeros((1, options.dim)))
    vector = rng.normal(size=384)
    for size, goal in GOALS.items():
        X = rng.normal(size=(size, 384)).astype(np.float32)
        calls = max(1, options.calls // (1 if size == 1 else 8))
        ours = fastest(lambda X=X: model.win_rate(X), options.rounds, calls)
        bare = fastest(lambda X=X: X @ vector, options.rounds, calls)
        whole = fastest(lambda X=X: ((X @ W1.T) * (P[0] - P[1])) @ w2, options.rounds, calls)
        ratio = ours / bare
        print(
            f"{size:,} at once: {size / ours:,.0f} queries/s; bare dot product {size / bare:,.0f}, whole "
            f"product {size / whole:,.0f}; ratio {ratio:.1f} (goal under {goal}): "
            f"{'met' if ratio < goal else 'MISSED'}"
        )


if __name__ == "__main__":
    main()
