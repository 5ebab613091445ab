"""Signs of RouteLLM's Tables 1 to 3 on simulated data, which was made so that they come out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rb_support.preference.factorization import MatrixFactorization
from rb_support.preference.sw import SWRanking
from rb_support.preference.training_sets import load_experiment
from rb_support.studies import preference_study
from rb_support.studies.labels import area

SEEDS = range(5)


@pytest.fixture(scope="module")
def apgr(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], float]:
    """Mean APGR over the seeds by training set, benchmark and router; TF-IDF reads words."""
    rows = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RB_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        for seed in SEEDS:
            experiment = load_experiment("simulated", seed=seed)
            X = preference_study.embed_prompts(experiment, "tfidf", progress=False)
            tables = {
                name: preference_study.subsample(pairs, 500, np.random.default_rng(seed))
                for name, pairs in experiment.benchmarks.items()
            }
            factors = MatrixFactorization(epochs=6, learning_rate=3e-3, progress=False)
            cheap: dict[str, preference_study.Router] = {
                "SW": SWRanking(),
                "MF": factors,
            }
            routers = preference_study.trained(experiment, cheap, X, experiment.training)
            rates = preference_study.win_rates(routers, tables, X)
            rows += [(one.table, one.router, one.training, area(one.rate, one.pairs)) for one in rates]
    frame = pd.DataFrame(rows, columns=["benchmark", "router", "training", "apgr"])
    return dict(frame.groupby(["training", "benchmark", "router"])["apgr"].mean())


@pytest.mark.parametrize("router", ["SW", "MF"])
@pytest.mark.parametrize("benchmark", ["MMLU", "GSM8K"])
def test_votes_alone_stay_near_chance(
    apgr: dict[tuple[str, str, str], float], benchmark: str, router: str
) -> None:
    assert abs(apgr["D_arena", benchmark, router] - 0.5) < 0.08


@pytest.mark.parametrize("router", ["SW", "MF"])
@pytest.mark.parametrize(
    ("benchmark", "labels", "least"),
    [("MT Bench", "D_judge", 0.6), ("GSM8K", "D_judge", 0.52), ("MMLU", "D_gold", 0.52)],
)
def test_augmentation_raises_above_random(
    apgr: dict[tuple[str, str, str], float], benchmark: str, labels: str, least: float, router: str
) -> None:
    found = apgr[f"D_arena + {labels}", benchmark, router]
    assert found > least
    assert found > apgr["D_arena", benchmark, router] + 0.02
