"""New models from a few labels: what the lines are for, and that luck is worth nothing."""

import numpy as np
import pandas as pd
import pytest
from scores_made import scores_of

from rb_support.report.preference_figures import new_model_figure
from rb_support.studies import new_models


def made(rng, n=600, models=6):
    """Models of many strengths whose queries are hard along the first direction of their embeddings."""
    X = rng.normal(size=(n, 5))
    level, slope = np.linspace(-1, 2, models), 3 * np.linspace(0.2, 1.5, models)
    chance = 1 / (1 + np.exp(-level - X[:, [0]] * slope))
    return (rng.random((n, models)) < chance).astype(float), X


def table_of(quality):
    return scores_of(quality, prompts=[f"question {i}" for i in range(len(quality))])


def test_a_new_model_is_placed_by_its_labels():
    """One that fails where the others succeed is an average model without labels, and itself with many."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 4))
    easy = (rng.random((800, 5)) < 1 / (1 + np.exp(-3 * X[:, [0]]))).astype(float)
    odd = (rng.random(800) < 1 / (1 + np.exp(3 * X[:, 0]))).astype(float)
    basis = new_models.Basis(easy, X, 0)
    assert basis.known(X).shape == (800, 5)
    assert np.corrcoef(basis.known(X).mean(axis=1), X[:, 0])[0, 1] > 0.9
    lines, prior = basis.but(new_models.KNOWN, basis.lines(X)[new_models.KNOWN])
    level, weights = new_models.placed(lines, odd, prior, 10.0)
    assert np.corrcoef(level + lines @ weights, X[:, 0])[0, 1] < -0.7
    assert (level + lines @ weights).mean() == pytest.approx(odd.mean(), abs=0.02)
    unlike = new_models.placed(lines, odd, prior, np.inf)[1]
    assert unlike.tolist() == [1 / 5] * 5, "an average model"


def test_what_prompts_tell_is_gained_and_what_they_do_not_is_not():
    rng = np.random.default_rng(1)
    once = {"rng": rng, "splits": 1, "draws": 1}
    told = new_models.leave_one_out(table_of(made(rng)[0]), rng.normal(size=(600, 5)), **once)
    quality, X = made(rng)
    known = new_models.leave_one_out(table_of(quality), X, **once)
    assert set(known["labels"]) == {0, 10, 25, 50, 100, 420}
    table = new_models.summary({"signal": known, "none": told}).set_index("table")
    assert (table.loc["signal", "full"] > table.loc["signal", "placebo"]).all()
    assert table.loc["none", "gain"].abs().max() < 0.1
    assert new_model_figure(table.reset_index()).axes[0].get_title("left") == "signal\n(6 models)"


def test_an_interval_covers_models_and_splits():
    """Two models that gain .1 and .3, the first split .1 less than the second: errors .1 and .05."""
    gains = {(0, "a"): 0.05, (0, "b"): 0.25, (1, "a"): 0.15, (1, "b"): 0.35}
    rows = [(split, model, "few labels", 0, 0, gain) for (split, model), gain in gains.items()]
    rows += [(split, model, new_models.FULL, 9, 0, 0.4) for split, model in gains]
    rows += [(split, model, new_models.PLACEBO, 9, 0, 0.0) for split, model in gains]
    found = pd.DataFrame(rows, columns=["split", "model", "way", "labels", "draw", "gain"])
    row = new_models.summary({"made": found}).iloc[0]
    assert row["gain"] == pytest.approx(0.2)
    assert row["high"] - row["gain"] == pytest.approx(1.96 * np.hypot(0.1, 0.05))


def test_a_gain_is_apgr_above_a_half_of_every_pair():
    """Both gains of the strong model first: PGR 1/2, 1, 1, 1, so APGR is 3/4."""
    scores = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    ours, theirs = np.array([0.9, 0.8, 0.7, 0.6]), np.full((4, 2), 0.1)
    assert new_models._gains(ours, theirs, scores, 0, [1]) == pytest.approx(0.25)
    assert new_models._gains(-ours, theirs, scores, 0, [1]) == pytest.approx(-0.25)
    assert new_models._gains(-ours, theirs, scores[:, ::-1], 0, [1]) == pytest.approx(0.25)


def test_small_tables_say_so():
    assert new_model_figure(new_models.summary({})).axes[0].texts


def test_what_known_models_tell_and_labels_add():
    """A share stands only where a regression with all labels is above luck."""
    columns = ["table", "models", "labels", "gain", "placebo", "full", "share"]
    told = [("A", 5, 0, 0.04, 0.02, 0.08, 0.5), ("A", 5, 100, 0.05, 0.02, 0.08, 0.625)]
    told += [("A", 5, np.nan, 0.06, 0.02, 0.08, 0.75), ("B", 5, 0, 0.01, 0.02, 0.01, np.nan)]
    found = new_models.worth(pd.DataFrame(told, columns=columns)).set_index("table")
    assert found["above_luck"].to_dict() == {"A": True, "B": False}
    assert found.loc["A", ["none", "labels", "most"]].tolist() == [0.04, 100, 0.05]
    assert found.loc["A", "added"] == pytest.approx(0.01) and found.loc["A", "kept_by_none"] == 0.5
    assert np.isnan(found.loc["B", "kept_by_none"])
    assert new_models.worth(new_models.summary({})).empty
