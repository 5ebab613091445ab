"""What predictability there is: measures by hand, a signal that is found, and none where none is."""

import numpy as np
import pandas as pd
import pytest

from rb_support.outcomes import Origin, Outcomes
from rb_support.routers import KNNRouter, RidgeRouter
from rb_support.studies.predictability import MEASURES, auc, measured, over_datasets, r2


def table(quality: np.ndarray, start: int = 0) -> Outcomes:
    n, m = quality.shape
    frame = pd.DataFrame({"sample_id": [f"q{start + i}" for i in range(n)], "dataset": "d", "task": "t"})
    frame["prompt"] = frame["sample_id"]
    names = tuple(f"m{j}" for j in range(m))
    return Outcomes(frame, quality, np.ones((n, m)), names, Origin("simulated", "made"))


def world(kind: str, n: int = 600) -> tuple[tuple[Outcomes, Outcomes], pd.DataFrame]:
    """Two models on half as many queries each for training and test; one coordinate of x may tell."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    hard = (x[:, 0] > 0).astype(float)
    told = {
        "hard for all": np.column_stack([hard, hard]),
        "apart": np.column_stack([hard, 1 - hard]),
        "nothing": (rng.random((n, 2)) < 0.5).astype(float),
    }[kind]
    half = n // 2
    parts = table(told[:half]), table(told[half:], half)
    return parts, pd.DataFrame(x, index=[f"q{i}" for i in range(n)])


def test_auc_is_the_share_of_pairs_in_order_and_a_tie_is_half() -> None:
    assert auc([1, 0, 1, 0], [0.9, 0.1, 0.4, 0.6]) == pytest.approx(3 / 4)
    assert auc([1, 0, 1, 0], [0.5] * 4) == auc([1, 0], [0.5, 0.5 + 1e-15]) == 0.5
    assert auc([0.6, 0.4], [1, 0]) == 1  # graded: above one half or not
    assert np.isnan(auc([1, 1], [0.2, 0.3]))


def test_r2_is_the_share_of_variance_and_a_constant_gets_none() -> None:
    assert r2([1, 0, 1, 0], [1, 0, 1, 0]) == 1
    assert r2([1, 0, 1, 0], [0.5] * 4) == 0
    assert r2([1, 0, 1, 0], [0, 1, 0, 1]) == -3
    assert np.isnan(r2([0.3, 0.3], [0.1, 0.5]))


@pytest.mark.parametrize(("kind", "read", "apart"), [("hard for all", True, False), ("apart", True, True)])
def test_what_is_hard_for_all_sets_no_models_apart(kind: str, read: bool, apart: bool) -> None:
    parts, X = world(kind)
    found = measured({"d": parts}, X, {"KNN": KNNRouter(20)}, seed=0)
    assert (found["auc"] > 0.9).all() == read and (found["r2"] > 0.5).all() == read
    assert (found["r2_apart"] > 0.5).all() == apart
    assert found["r2_apart"].isna().all() != apart  # where models never differ nothing can be told
    assert (found["auc"] - found["auc_shuffled"] > 0.15).all() and (found["r2_shuffled"] < 0.1).all()


def test_where_nothing_is_to_be_learnt_ridge_is_a_constant_and_knn_is_worse() -> None:
    parts, X = world("nothing")
    found = measured({"d": parts}, X, {"KNN": KNNRouter(10), "Ridge": RidgeRouter()}, seed=0)
    knn, ridge = (found[found["router"] == name] for name in ("KNN", "Ridge"))
    assert (ridge["auc"] == 0.5).all() and ridge["r2"].between(-0.05, 0).all()
    assert (knn["r2"].to_numpy() < ridge["r2"].to_numpy()).all() and knn["auc"].between(0.4, 0.6).all()


def test_means_stand_by_model_with_the_control_beside() -> None:
    parts, X = world("apart")
    other, _ = world("nothing")
    routers = {"KNN": KNNRouter(10), "Ridge": RidgeRouter()}
    found = measured({"a": parts, "b": other}, X, routers, seed=0)
    assert len(found) == 2 * 2 * 2 and found["n"].eq(300).all()
    means = over_datasets(found)
    assert list(means["model"]) == ["m0", "m1"] and len(means.columns) == 1 + 3 * len(MEASURES)
    of_knn = found[(found["router"] == "KNN") & (found["model"] == "m0")]
    assert means["AUC, KNN"][0] == pytest.approx(of_knn["auc"].mean())
    assert means["R2, shuffled"][0] == pytest.approx(of_knn["r2_shuffled"].mean())


def test_the_control_draws_from_a_generator_of_its_own() -> None:
    parts, X = world("apart")
    runs = [measured({"d": parts}, X, {"KNN": KNNRouter(10)}, seed=seed) for seed in (0, 0, 1)]
    pd.testing.assert_frame_equal(runs[0], runs[1])
    assert (runs[0]["auc"] == runs[2]["auc"]).all()
    assert (runs[0]["auc_shuffled"] != runs[2]["auc_shuffled"]).any()
