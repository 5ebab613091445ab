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
def apgr(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Mean APGR over the seeds: a row per training set, a column per benchmark and router; TF-IDF reads words."""
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
            cheap = {"SW": SWRanking(), "MF": MatrixFactorization(epochs=12, progress=False)}
            routers = preference_study.trained(experiment, cheap, X, experiment.training)
            rates = preference_study.win_rates(routers, tables, X)
            rows += [(one.table, one.router, one.training, area(one.rate, one.pairs)) for one in rates]
    frame = pd.DataFrame(rows, columns=["benchmark", "router", "training", "apgr"])
    return frame.groupby(["training", "benchmark", "router"])["apgr"].mean().unstack(["benchmark", "router"])


@pytest.mark.parametrize("router", ["SW", "MF"])
@pytest.mark.parametrize("benchmark", ["MMLU", "GSM8K"])
def test_votes_alone_stay_near_chance(apgr: pd.DataFrame, benchmark: str, router: str) -> None:
    assert abs(apgr.loc["D_arena", (benchmark, router)] - 0.5) < 0.08


@pytest.mark.parametrize("router", ["SW", "MF"])
@pytest.mark.parametrize(
    ("benchmark", "labels", "least"),
    [("MT Bench", "D_judge", 0.6), ("GSM8K", "D_judge", 0.52), ("MMLU", "D_gold", 0.52)],
)
def test_augmentation_raises_above_random(
    apgr: pd.DataFrame, benchmark: str, labels: str, least: float, router: str
) -> None:
    found = apgr.loc[f"D_arena + {labels}", (benchmark, router)]
    assert found > least
    assert found > apgr.loc["D_arena", (benchmark, router)] + 0.02
