"""Hull of 1,000 points, as a ratio to sorting them (the least that any hull must do)."""

import argparse
from timeit import repeat

import numpy as np

from rb_support.frontier import hull


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1000)
    n = parser.parse_args().points
    rng = np.random.default_rng(0)
    cost = rng.random(n)
    clouds = {
        "random cloud": np.column_stack([cost, rng.random(n)]),
        "all on the hull": np.column_stack([cost, np.sqrt(cost)]),
    }
    for name, points in clouds.items():
        bare = min(repeat(lambda p=points: np.lexsort((-p[:, 1], p[:, 0])), number=100, repeat=5)) / 100
        ours = min(repeat(lambda p=points: hull(p), number=100, repeat=5)) / 100
        print(
            f"{name}: hull of {n:,} points {ours * 1e3:.3f} ms, sort alone {bare * 1e3:.3f} ms, "
            f"ratio {ours / bare:.1f}"
        )


if __name__ == "__main__":
    main()
