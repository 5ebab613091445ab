"""Logistic, boosting, guarded KNN, KNN with k chosen and random routers: known truth first."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binom
from tables_made import outcome_tables

from rb_support.outcomes import Outcomes, PartialOutcomes
from rb_support.routers import (
    BoostingRouter,
    GuardedKNNRouter,
    KNNRouter,
    LogisticRouter,
    PredictiveRouter,
    RandomRouter,
    contrast_error,
    knows_nothing,
)
from rb_support.routers.directions import DIGITS, Directions
from rb_support.routers.evidence import LEVEL, contrasts, fold_errors
from rb_support.studies import lineup
from rb_support.studies.fits import Asked, material, measure
from rb_support.studies.lineup import NULL

Array = NDArray[np.float64]
some = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])

LEARNT = ("knn-chosen", "knn-guarded", "logistic", "boosting")
GUARDED: tuple[type, ...] = (GuardedKNNRouter, LogisticRouter, BoostingRouter)
FORCED: dict[str, Callable[[], PredictiveRouter]] = {
    "logistic": lambda: LogisticRouter(0.01),
    "boosting": lambda: BoostingRouter(20),
    "guarded": lambda: GuardedKNNRouter((3, 10)),
}
"""Routers that leave the means where `believing` makes them."""


def believing():
    """The guarded KNN asks no test whether vectors tell anything."""
    return patch("rb_support.routers.guarded.knows_something", lambda *_, **__: True)


def table(quality: Array, cost: Array | None = None) -> Outcomes:
    n, m = np.shape(quality)
    names = [f"q{i:04d}" for i in range(n)]
    frame = pd.DataFrame({"sample_id": names, "dataset": "D", "task": "t", "prompt": names})
    paid = np.tile(np.geomspace(1e-4, 1e-2, m), (n, 1)) if cost is None else cost
    return Outcomes(frame, quality, paid, tuple(f"m{j}" for j in range(m)))


def truth(X: Array, strength: float = 3.0) -> Array:
    """Chance of three models to be right, as the first coordinate has it, (n, 3)."""
    side = strength * X[:, :1] / np.abs(X[:, :1]).std()
    return expit(np.hstack([side - 0.3, -side, 0.3 + 0 * side]))


def made(n: int, seed: int, dim: int = 5, *, strength: float = 3.0, graded: bool = False):
    """A table whose chances `truth` tells, its vectors, and these chances."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, dim))
    chance = truth(X, strength)
    quality = (rng.random(chance.shape) < chance).astype(float)
    return table((quality + chance) / 2 if graded else quality), X, chance


# Known truth


@pytest.mark.parametrize("name", LEARNT)
@pytest.mark.parametrize("graded", [False, True], ids=["binary", "graded"])
def test_a_known_function_of_the_vector_is_approached(name, graded):
    (train, X, _), (_, Q, chance) = made(1500, 0, graded=graded), made(1000, 1)
    predicted = lineup.made(name)(0).fit(train, X).predict(Q)
    blind = contrast_error(np.tile(train.quality.mean(axis=0), (len(Q), 1)), chance)
    assert contrast_error(predicted, chance) < (0.3 if name == "boosting" else 0.15) * blind
    assert (predicted >= 0).all() and (predicted <= 1 + 1e-12).all()


@pytest.mark.parametrize("name", LEARNT)
def test_more_rows_bring_the_truth_nearer(name):
    _, Q, chance = made(1000, 1)
    wrong = [
        contrast_error(lineup.made(name)(0).fit(*made(n, 2)[:2]).predict(Q), chance) for n in (60, 300, 1500)
    ]
    assert wrong[0] > wrong[1] > wrong[2]


@pytest.mark.parametrize("name", LEARNT)
def test_a_signal_is_a_lead_and_shuffled_vectors_are_none(name):
    """By honest AIQ, against the zero router and against its own predictions dealt out."""
    outcomes, X, _ = made(1000, 3)
    given_ = material(outcomes, X)
    found = measure(Asked("made", name, 0), given_, lineup.made(name))
    control = measure(Asked("made", name, 0, labels="shuffled"), given_, lineup.made(name))
    assert found["lead"] > 0.1 and found["lead"] > found["placebo_high"] + 0.1
    assert np.quantile(found["lead_draws"], 0.025) > 0.05
    assert control["lead"] < 0.02


def test_the_logistic_router_finds_the_coefficients_of_a_logistic_truth():
    """A weak penalty: the log odds are those that the scores were drawn with."""
    train, X, _ = made(20_000, 4, strength=1.0)
    _, Q, chance = made(500, 5, strength=1.0)
    predicted = LogisticRouter(1e-6).fit(train, X).predict(Q)
    assert np.abs(predicted - chance).max() < 0.05


# On tables without signal


@pytest.mark.parametrize("router", GUARDED)
def test_without_signal_the_means_are_left_as_seldom_as_said(router):
    left, seeds = 0, 40
    for seed in range(seeds):
        train, X, _ = made(80, seed, strength=0.0)
        left += not knows_nothing(router(seed=seed).fit(train, X).predict(X))
    assert left <= binom.ppf(0.999, seeds, LEVEL)


@pytest.mark.parametrize("name", [*LEARNT, "random"])
def test_without_signal_nobody_leads(name):
    """Over seeds the mean lead is not above nought by more than its error."""
    leads = []
    for seed in range(6):
        outcomes, X, _ = made(120, 100 + seed, strength=0.0)
        leads.append(measure(Asked("made", name, seed), material(outcomes, X), lineup.made(name))["lead"])
    assert np.mean(leads) < 3 * np.std(leads) / np.sqrt(len(leads)) + 1e-12, leads


def test_a_random_router_is_null_even_where_there_is_a_signal():
    outcomes, X, _ = made(600, 6)
    found = [
        measure(Asked("made", "random", seed), material(outcomes, X), lineup.made("random"))
        for seed in range(5)
    ]
    leads = [row["lead"] for row in found]
    assert np.mean(leads) < 0.02 and max(leads) < 0.05  # a learnt router has more than 0.1 on such a table
    assert not any(row["constant"] for row in found)
    assert set(NULL) == {"placebo", "random"} and set(NULL) < set(lineup.ROUTERS)


def test_random_predictions_are_uniform_seeded_and_new_at_every_call():
    train, X, _ = made(30, 0)
    router = RandomRouter(seed=3).fit(train, X)
    first, second = router.predict(np.zeros((4000, 5))), router.predict(np.zeros((4000, 5)))
    assert first.shape == (4000, 3) and first.min() >= 0 and first.max() < 1
    np.testing.assert_allclose(first.mean(axis=0), 0.5, atol=0.03)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, RandomRouter(seed=3).fit(train, X).predict(np.zeros((4000, 5))))
    assert np.abs(np.corrcoef(first.T) - np.eye(3)).max() < 0.06


# What must not matter


@some
@given(st.integers(0, 999), st.sampled_from(sorted(FORCED)))
def test_order_of_rows_and_models_does_not_matter(seed, name):
    train, X, _ = made(60, seed)
    rng, (_, Q, _) = np.random.default_rng(seed), made(9, seed + 1)
    rows, models = rng.permutation(60), rng.permutation(3)
    moved = train.take(rows).select([train.models[j] for j in models])
    with believing():
        before, after = FORCED[name]().fit(train, X).predict(Q), FORCED[name]().fit(moved, X[rows]).predict(Q)
    np.testing.assert_allclose(after, before[:, models], atol=1e-6)


@some
@given(st.integers(0, 999), st.sampled_from(sorted(FORCED)))
def test_a_model_twice_is_predicted_alike_twice(seed, name):
    train, X, _ = made(60, seed)
    twice = table(train.quality[:, [0, 1, 2, 1]])
    with believing():
        alone, predicted = (FORCED[name]().fit(each, X).predict(X) for each in (train, twice))
    np.testing.assert_array_equal(predicted[:, 1], predicted[:, 3])
    if name != "guarded":  # whose neighbours must speak up in all models' contrasts together
        np.testing.assert_array_equal(predicted[:, :3], alone)


@some
@given(st.integers(0, 999), st.floats(0.01, 100), st.sampled_from(["logistic", "boosting"]))
def test_where_vectors_begin_and_their_unit_do_not_matter(seed, unit, name):
    train, X, _ = made(60, seed)
    before = FORCED[name]().fit(train, X).predict(X)
    after = FORCED[name]().fit(train, 3 + unit * X).predict(3 + unit * X)
    np.testing.assert_allclose(after, before, atol=1e-5)


@pytest.mark.parametrize("name", [*LEARNT, "random"])
def test_the_same_seed_gives_the_same_bytes(name):
    train, X, _ = made(200, 8)
    first, again = (lineup.made(name)(5).fit(train, X).predict(X) for _ in range(2))
    assert first.tobytes() == again.tobytes()


# Degenerate tables and missing cells


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(outcome_tables(max_models=8), st.integers(0, 99), st.integers(1, 4), st.booleans())
def test_any_table_can_be_learnt_from(outcomes, seed, dim, flat):
    rng = np.random.default_rng(seed)
    X = np.ones((len(outcomes), dim)) if flat else rng.normal(size=(len(outcomes), dim))
    for make in (
        *(lambda name=name: lineup.made(name)(seed) for name in (*LEARNT, "random")),
        *FORCED.values(),
    ):
        with believing():
            predicted = make().fit(outcomes, X).predict(np.vstack([X, 2 * X[:1]]))
        assert predicted.shape == (len(outcomes) + 1, len(outcomes.models))
        assert (predicted >= 0).all() and (predicted <= 1 + 1e-12).all()


@pytest.mark.parametrize("name", sorted(FORCED))
def test_a_model_that_is_always_right_or_wrong_is_predicted_so(name):
    train, X, _ = made(300, 9)
    sure = table(np.column_stack([np.ones(300), train.quality[:, 0], np.zeros(300)]))
    with believing():
        predicted = FORCED[name]().fit(sure, X).predict(X)
    np.testing.assert_allclose(predicted[:, [0, 2]], [[1, 0]] * 300, atol=1e-12)
    assert np.ptp(predicted[:, 1]) > 0.3


@pytest.mark.parametrize("router", GUARDED)
def test_one_model_is_learnt_from_its_own_errors(router):
    (train, X, _), (_, Q, chance) = made(800, 10), made(300, 11)
    predicted = router().fit(train.select(["m0"]), X).predict(Q)
    assert np.corrcoef(predicted[:, 0], chance[:, 0])[0, 1] > 0.85


def hidden(outcomes: Outcomes, seed: int, share: float) -> PartialOutcomes:
    """The table with some cells hidden, one at least left of every model."""
    rng = np.random.default_rng(seed)
    gone = rng.random(outcomes.quality.shape) < share
    gone[rng.integers(len(outcomes), size=len(outcomes.models)), np.arange(len(outcomes.models))] = False
    quality, cost = (np.where(gone, np.nan, part) for part in (outcomes.quality, outcomes.cost))
    return PartialOutcomes(outcomes.frame, quality, cost, outcomes.models)


@some
@given(st.integers(0, 99), st.floats(0.05, 0.95))
def test_with_hidden_cells_every_choice_can_be_made(seed, share):
    train, X, _ = made(40, seed)
    partial = hidden(train, seed, share)
    for make in (*(lambda name=name: lineup.made(name)(0) for name in LEARNT), *FORCED.values()):
        with believing():
            predicted = make().fit(partial, X).predict(X)
        assert predicted.shape == (40, 3) and (predicted >= 0).all() and (predicted <= 1 + 1e-12).all()


@some
@given(st.integers(0, 99), st.floats(0.05, 0.8), st.sampled_from(["logistic", "boosting"]))
def test_a_model_learns_from_its_own_answers_alone(seed, share, name):
    train, X, _ = made(60, seed)
    partial = hidden(train, seed, share)
    others = np.where(np.arange(3) == 0, partial.quality, 1 - partial.quality)
    changed = PartialOutcomes(partial.frame, others, partial.cost, partial.models)
    one, other = (FORCED[name]().fit(each, X).predict(X) for each in (partial, changed))
    np.testing.assert_array_equal(one[:, 0], other[:, 0])
    assert (one[:, 1:] != other[:, 1:]).any() or np.isin(partial.quality[partial.answered], 0.5).all()


@pytest.mark.parametrize("router", GUARDED)
def test_a_log_of_one_model_asked_a_query_can_be_learnt_from(router):
    (train, X, _), (fresh, Q, _) = made(900, 12), made(600, 13)
    asked = np.arange(900)[:, None] % 3 == np.arange(3)
    quality, cost = (np.where(asked, part, np.nan) for part in (train.quality, train.cost))
    log = PartialOutcomes(train.frame, quality, cost, train.models)
    predicted = router().fit(log, X).predict(Q)
    blind = contrast_error(np.tile(log.points()[:, 1], (600, 1)), fresh.quality)
    assert contrast_error(predicted, fresh.quality) < 0.85 * blind


@pytest.mark.parametrize("router", [*(each() for each in GUARDED), RandomRouter()])
def test_what_cannot_be_learnt_from_is_named(router):
    train, X, _ = made(4, 0)
    quality = train.quality.copy()
    quality[:, 1] = np.nan
    empty = PartialOutcomes(train.frame, quality, train.cost, train.models)
    with pytest.raises(ValueError, match="'m1' answered none of the 4 training queries"):
        router.fit(empty, X)
    with pytest.raises(ValueError, match="4 training queries but 3 embeddings"):
        router.fit(train, X[1:])


def test_settings_out_of_range_are_named():
    with pytest.raises(ValueError, match="penalties must be positive"):
        LogisticRouter((0.1, 0.0))
    with pytest.raises(ValueError, match="penalties must be positive"):
        LogisticRouter(())
    with pytest.raises(ValueError, match="trees must be at least 0"):
        BoostingRouter((-1, 5))
    with pytest.raises(ValueError, match="k must be at least 1"):
        GuardedKNNRouter((0, 5))
    with pytest.raises(ValueError, match="k must be at least 1"):
        GuardedKNNRouter(())


# Each by itself


def test_a_score_between_is_that_share_of_right_answers():
    """Every row four times, of which as many are right as the score says, is the same fit."""
    rng = np.random.default_rng(14)
    quarters, X = rng.integers(0, 5, (90, 3)) / 4, rng.normal(size=(90, 4))
    counted = np.vstack([(quarters > each / 4) * 1.0 for each in range(4)])
    one = LogisticRouter(0.003).fit(table(quarters), X).predict(X)
    four = LogisticRouter(0.003).fit(table(counted), np.vstack([X] * 4)).predict(X)
    np.testing.assert_allclose(one, four, atol=1e-6)


@some
@given(st.integers(0, 999), st.sampled_from([1e-4, 1e-2, 1.0]))
def test_mean_predictions_are_the_mean_scores(seed, penalty):
    """The optimum's own equation for intercepts that no penalty touches."""
    train, X, _ = made(50, seed, graded=True)
    predicted = LogisticRouter(penalty).fit(train, X).predict(X)
    np.testing.assert_allclose(predicted.mean(axis=0), train.quality.mean(axis=0), atol=1e-7)


def test_infinite_penalty_and_no_trees_are_the_means():
    train, X, _ = made(90, 15)
    for router in (LogisticRouter(np.inf), BoostingRouter(0), LogisticRouter(1e9)):
        predicted = router.fit(train, X).predict(X)
        np.testing.assert_allclose(predicted, np.tile(train.quality.mean(axis=0), (90, 1)), atol=1e-8)


def test_settings_are_those_of_the_least_error_and_means_are_always_tried():
    train, X, _ = made(400, 16)
    logistic, boosting = LogisticRouter().fit(train, X), BoostingRouter().fit(train, X)
    guarded = GuardedKNNRouter((10, 40)).fit(train, X)
    assert logistic.fold_error[logistic.penalty] == min(logistic.fold_error.values())
    assert boosting.fold_error[boosting.chosen] == min(boosting.fold_error.values())
    assert guarded.left_out_error[guarded.threshold, guarded.k] == min(guarded.left_out_error.values())
    assert np.inf in logistic.fold_error and 0 in boosting.fold_error
    assert (np.inf, 10) in guarded.left_out_error and np.isfinite(guarded.threshold)
    assert logistic.fold_error[np.inf] == boosting.fold_error[0]


def test_fold_errors_are_of_rows_not_seen():
    """A setting that remembers every row seen errs on those left out as much as one that guesses."""
    train, X, _ = made(50, 17)

    def recalled(seen, scores, asked):
        at = [np.flatnonzero((seen == each).all(axis=1)) for each in asked]
        return {1: np.array([scores[i[0]] if len(i) else np.full(3, 0.5) for i in at])}

    assert fold_errors(train, X, recalled) == {1: contrast_error(np.full((50, 3), 0.5), train.quality)}
    assert fold_errors(train.take([0]), X[:1], recalled) == {}


def test_without_a_threshold_the_guarded_knn_is_knn():
    train, X, _ = made(120, 18)
    _, Q, _ = made(30, 19)
    router = GuardedKNNRouter((7,)).fit(train, X)
    router.threshold = 0.0
    np.testing.assert_allclose(router.predict(Q), KNNRouter(7).fit(train, X).predict(Q), atol=1e-12)
    router.threshold = np.inf
    np.testing.assert_array_equal(router.predict(Q), np.tile(train.quality.mean(axis=0), (30, 1)))


def test_by_hand_neighbours_count_by_how_far_they_exceed_chance():
    """Of 4 queries, 2 neighbours: contrasts +-1/2, so variances are 1/4, and E = 2/4 (1/2 - 1/4) = 1/8.

    Both neighbours have contrasts (1/2, -1/2), the mean of all is 0: d ** 2 sums to 1/2. At t = 1 the share
    is 1 - (1/8) / (1/2) = 3/4, at t = 2 nothing is left.
    """
    train = table(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))
    X = np.array([[1.0, 0.0], [1.0, 0.02], [-1.0, 0.0], [-1.0, 0.02]])
    router = GuardedKNNRouter((2,)).fit(train, X)
    assert np.isinf(router.threshold)  # of so few rows no test can tell anything
    for threshold, share in ((0.0, 1.0), (1.0, 0.75), (2.0, 0.0), (3.0, 0.0)):
        router.threshold, router.k = threshold, 2
        expected = [[0.5 + share / 2, 0.5 - share / 2]]
        np.testing.assert_allclose(router.predict([[1.0, 0.01]]), expected, atol=1e-9)


def test_neighbours_that_tell_nothing_depart_by_what_chance_is_said_to_give():
    train, X, _ = made(2000, 20, strength=0.0)
    contrast = contrasts(train.quality)
    for k in (20, 200):
        away = KNNRouter(k).fit(train, X).predict(np.random.default_rng(0).normal(size=(1500, 5)))
        squared = ((contrasts(away) - contrast.mean(axis=0)) ** 2).sum(axis=1).mean()
        assert squared == pytest.approx(contrast.var(axis=0).sum() * (1 / k - 1 / 2000), rel=0.15)


def test_a_query_that_neighbours_agree_on_is_believed_more_than_one_they_do_not():
    """The first coordinate says all, beyond the border that `side` draws; between lies noise."""
    rng = np.random.default_rng(21)
    X = rng.normal(size=(1500, 3))
    side = np.where(np.abs(X[:, 0]) > 0.8, np.sign(X[:, 0]), 0.0)[:, None]
    chance = 0.5 + side * [0.45, -0.45]
    train = table((rng.random(chance.shape) < chance).astype(float))
    router = GuardedKNNRouter().fit(train, X)
    predicted = router.predict([[3.0, 0, 0], [0, 1.0, 0]])
    assert predicted[0, 0] > 0.8 and abs(predicted[1, 0] - router._means[0]) < 0.1


def test_directions_are_rounded_signed_and_none_of_rounding():
    rng = np.random.default_rng(22)
    flat = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 6))
    found = Directions(flat, 5)
    projected = found(flat)
    assert projected.shape == (40, 2)
    assert np.array_equal(projected, np.round(projected, DIGITS))
    assert (projected**2).sum(axis=1).mean() == pytest.approx(1, abs=1e-5)
    assert (np.take_along_axis(found.axes, np.abs(found.axes).argmax(axis=0)[None], axis=0) > 0).all()
    assert np.array_equal(Directions(-flat, 5).axes, found.axes)
    assert Directions(np.ones((3, 4)), 2)(np.ones((5, 4))).shape == (5, 0)


# The same on every processor


KERNELS = [
    {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    {"OPENBLAS_CORETYPE": "Prescott", "OMP_NUM_THREADS": "1", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
]
PROGRAM = """
import sys
import numpy as np
import pandas as pd
from rb_support.outcomes import Outcomes
from rb_support.routers import BoostingRouter, GuardedKNNRouter, LogisticRouter

found = {}
for seed in range(2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(500, 80)) / np.arange(1, 81)
    quality = (rng.random((500, 4)) < 0.5 + 0.3 * np.sign(X[:, :4])).astype(float)
    names = [f"q{i}" for i in range(400)]
    frame = pd.DataFrame({"sample_id": names, "dataset": "D", "task": "t", "prompt": names})
    train = Outcomes(frame, quality[:400], quality[:400] + 1, tuple("abcd"))
    for router in (LogisticRouter(), BoostingRouter(), GuardedKNNRouter((10, 40))):
        found[f"{type(router).__name__} {seed}"] = router.fit(train, X[:400]).predict(X)
np.savez(sys.argv[1], **found)
"""


def results(path: Path, kernels: dict[str, str]) -> dict[str, Array]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, path], env={**os.environ, **kernels}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(np.load(path))


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="kernels can be chosen on x86-64 only")
def test_threads_and_kernels_change_nothing_that_is_printed(tmp_path):
    """Boosted steps stay to the last bit, since their columns are rounded; the others to ten digits."""
    here, *there = (results(tmp_path / f"{i}.npz", each) for i, each in enumerate([{}, *KERNELS]))
    assert all(found.std() > 0.05 for found in here.values())  # there was something to move
    for other in there:
        moved = {name: float(np.abs(found - other[name]).max()) for name, found in here.items()}
        assert max(moved.values()) < 1e-9, moved
        assert max(each for name, each in moved.items() if name.startswith("Boosting")) == 0, moved
