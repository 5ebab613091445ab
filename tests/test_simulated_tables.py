"""Signs of RouteLLM's Tables 1 to 3 on simulated data, which was made so that they come out."""

from __future__ import annotations

import pandas as pd
import pytest
from signs_measured import measured

SEEDS = range(3)
BENCHMARKS = ["MT Bench", "MMLU", "GSM8K"]
ROUTERS = ["SW", "MF"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """APGR by seed, benchmark and router, of votes alone and augmented; TF-IDF reads words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RB_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        return measured(SEEDS)


def _of(found: pd.DataFrame, benchmark: str, router: str) -> pd.DataFrame:
    return pd.DataFrame(found.xs((benchmark, router), level=("benchmark", "router")))


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("benchmark", ["MMLU", "GSM8K"])
def test_votes_alone_stay_near_chance(found: pd.DataFrame, benchmark: str, router: str) -> None:
    assert abs(_of(found, benchmark, router)["votes"].mean() - 0.5) < 0.08


@pytest.mark.parametrize("router", ROUTERS)
def test_votes_alone_help_on_mt_bench(found: pd.DataFrame, router: str) -> None:
    assert _of(found, "MT Bench", router)["votes"].mean() > 0.5


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_augmentation_raises_above_random_at_every_seed(
    found: pd.DataFrame, benchmark: str, router: str
) -> None:
    apgr = _of(found, benchmark, router)
    assert (apgr["augmented"] > 0.5).all()
    assert (apgr["augmented"] > apgr["votes"]).all()


@pytest.mark.parametrize("router", ROUTERS)
def test_a_judge_lifts_mt_bench_as_much_as_in_the_paper(found: pd.DataFrame, router: str) -> None:
    """By .11 at least: the smallest of the paper's four gains (causal LM, .573 to .679)."""
    apgr = _of(found, "MT Bench", router)
    assert (apgr["augmented"] - apgr["votes"]).mean() > 0.11
