"""On data without signal nobody wins; on data with a signal everybody finds it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from rb_support.embed import embed_queries
from rb_support.load import load_outcomes
from rb_support.outcomes import Outcomes
from rb_support.routers import KNNRouter, MLPRouter, RidgeRouter, knows_nothing
from rb_support.routers.evidence import LEVEL
from rb_support.studies.predictive import compare

WON = "leads"


def made(n: int, rng: np.random.Generator, signal: float = 0.0, models: int = 3, dim: int = 8):
    """Outcomes and vectors; the first coordinate tells by `signal` which half of the models is right."""
    vectors = rng.normal(size=(n, dim))
    side = np.where(np.arange(models) % 2, 1, -1)
    chance = np.clip(np.linspace(0.45, 0.7, models) + signal * np.sign(vectors[:, :1]) * side, 0, 1)
    quality = (rng.random((n, models)) < chance).astype(float)
    names = [f"q{i}" for i in range(n)]
    frame = pd.DataFrame({"sample_id": names, "dataset": "D", "task": "t", "prompt": names})
    cost = np.geomspace(1e-4, 1e-2, models) * rng.lognormal(sigma=0.3, size=(n, models))
    table = Outcomes(frame, quality, cost, tuple(f"m{j}" for j in range(models)))
    return table, pd.DataFrame(vectors, index=names)


def light():
    """Two that choose their settings in no time."""
    return {"KNN, k chosen": KNNRouter((5, 20, 80)), "Ridge": RidgeRouter()}


def others(epochs: int = 15):
    return {
        "KNN": KNNRouter(10),
        "Shrunken KNN": KNNRouter((5, 20, 80), shrink=True),
        "MLP": MLPRouter([(16,), (4,)], penalties=(0.01, 10.0), epochs=epochs),
        "Shrunken MLPs": MLPRouter((16,), penalties=[1.0], members=2, epochs=epochs, start="means"),
    }


def at_most(share: float, trials: int) -> int:
    """Successes that a share as nominal exceeds in one of a thousand test runs."""
    return int(binom.ppf(0.999, trials, share))


def wins(train, test, X, routers, seed, draws=40):
    """Names of the routers declared winners."""
    rows = compare(train, test, X, routers).table(rng=np.random.default_rng(seed), draws=draws)
    return set(rows.loc[rows["finding"] == WON, "router"]) & set(routers)


@pytest.mark.parametrize(("tables", "routers"), [(200, light), (25, others)], ids=["light", "others"])
def test_without_signal_no_router_is_declared_a_winner(tables, routers):
    """By any router of a table, in no more than 5% of tables."""
    found = []
    for seed in range(tables):
        rng = np.random.default_rng(seed)
        (train, X), (test, Q) = made(100, rng), made(40, rng)
        test = dataclasses.replace(test, frame=test.frame.assign(sample_id="t" + test.frame["sample_id"]))
        found.append(wins(train, test, pd.concat([X, Q.rename(lambda name: "t" + name)]), routers(), seed))
    assert sum(map(bool, found)) <= at_most(0.05, tables), found


def test_ridge_and_the_shrunken_end_at_the_means_without_signal():
    shrinking = {
        "Ridge": RidgeRouter,
        "KNN": lambda seed: KNNRouter((5, 20), shrink=True, seed=seed),
        "MLP": lambda seed: MLPRouter((4,), epochs=3, start="means", seed=seed),
    }
    left = dict.fromkeys(shrinking, 0)
    for seed in range(200):
        train, X = made(80, np.random.default_rng(seed))
        for name, router in shrinking.items():
            left[name] += not knows_nothing(router(seed=seed).fit(train, X).predict(X))
    assert max(left.values()) <= 0.05 * 200, left


def test_a_planted_signal_is_found_by_every_router():
    rng = np.random.default_rng(1)
    (train, X), (test, Q) = made(400, rng, signal=0.3), made(300, rng, signal=0.3)
    test = dataclasses.replace(test, frame=test.frame.assign(sample_id="t" + test.frame["sample_id"]))
    every = light() | others(epochs=100)
    both = pd.concat([X, Q.rename(lambda name: "t" + name)])
    assert wins(train, test, both, every, seed=0, draws=200) == set(every)


@pytest.fixture(scope="module")
def real(shared_data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RB_DATA_DIR", str(shared_data))
        outcomes = load_outcomes("real")
    return outcomes, embed_queries(outcomes, "tfidf")


def test_ridge_ends_at_the_means_on_real_rows_with_shuffled_vectors(real):
    outcomes, X = real
    rng, left, fits = np.random.default_rng(2), 0, 0
    for name in outcomes.datasets:
        part = outcomes.of(name)
        part = part.take(np.sort(rng.permutation(len(part))[:300]))
        vectors = X.loc[part.frame["sample_id"]].to_numpy(dtype=float)
        for seed in range(40):
            router = RidgeRouter(seed=seed).fit(part, rng.permutation(vectors))
            left, fits = left + bool(np.isfinite(router.penalty)), fits + 1
    assert left <= at_most(LEVEL, fits), f"{left} of {fits}"


def test_on_real_outcomes_with_vectors_of_nothing_nobody_wins(real):
    """Real scores and costs, whose errors come in clumps, with vectors that tell nothing of them."""
    outcomes, _ = real
    rng, won, trials = np.random.default_rng(3), [], 0
    for name in outcomes.datasets:
        for seed in range(4):
            part = outcomes.of(name)
            part = part.take(np.sort(rng.permutation(len(part))[:120]))
            X = pd.DataFrame(rng.normal(size=(len(part), 8)), index=part.frame["sample_id"])
            won.append(wins(*part.split(seed=seed), X, light(), seed))
            trials += 1
    assert sum(map(bool, won)) <= at_most(0.05, trials), won
