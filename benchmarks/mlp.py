"""One network for 11 models against scikit-learn's 11 regressors: time and held-out squared error.

25,000 x 384 training rows, 11,000 held out. Goal: 10 times faster at equal or better error. The
regressors have the reference's settings (seed 1234, 200 passes at most, stopping by tolerance).
"""

import argparse
import warnings
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import normalize

from rb_support.outcomes import Outcomes
from rb_support.routers import MLPRouter

GOAL = 10


def made(rows: int, models: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors and right-or-wrong outcomes that depend on a few of their directions."""
    X = normalize(rng.normal(size=(rows, 384)).astype(np.float32))
    traits = np.tanh(12 * X @ rng.normal(size=(384, 6)) / np.sqrt(6))
    chance = 1 / (1 + np.exp(-(traits @ rng.normal(size=(6, models)) + rng.normal(size=models))))
    return X, (rng.random((rows, models)) < chance).astype(float)


def table(quality: np.ndarray) -> Outcomes:
    n, m = quality.shape
    frame = pd.DataFrame(
        {"sample_id": [str(i) for i in range(n)], "dataset": "d", "task": "t", "prompt": "p"}
    )
    return Outcomes(frame, quality, np.ones((n, m)), tuple(f"model {j}" for j in range(m)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=int, default=25_000)
    parser.add_argument("--test", type=int, default=11_000)
    parser.add_argument("--hidden", type=int, nargs="+", default=[100, 100])
    options = parser.parse_args()
    X, quality = made(options.train + options.test, 11, np.random.default_rng(0))
    fit, held = slice(options.train), slice(options.train, None)
    start = perf_counter()
    ours = MLPRouter(options.hidden).fit(table(quality[fit]), X[fit])
    our_time, our_error = perf_counter() - start, np.mean((ours.predict(X[held]) - quality[held]) ** 2)
    start = perf_counter()
    warnings.simplefilter("ignore", ConvergenceWarning)
    predicted = [
        MLPRegressor(hidden_layer_sizes=options.hidden, random_state=1234)
        .fit(X[fit], column)
        .predict(X[held])
        for column in quality[fit].T
    ]
    their_time = perf_counter() - start
    their_error = np.mean((np.column_stack(predicted) - quality[held]) ** 2)
    print(f"one network: {our_time:.1f} s, error {our_error:.4f}")
    print(f"11 regressors: {their_time:.1f} s, error {their_error:.4f}")
    ratio = their_time / our_time
    met = ratio >= GOAL and our_error <= their_error
    print(f"{ratio:.0f} times faster (goal {GOAL} at equal or better error): {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    main()
