"""One fit measured: by hand, knowing nothing, knowing all, and what a row's name stands for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables_made import outcome_tables
from test_architecture import MODULES, modules_imported, name_of

from rb_support.outcomes import Origin, Outcomes, TableError
from rb_support.routers import PlaceboRouter, RidgeRouter
from rb_support.studies import fits
from rb_support.studies.fit_process import CODE
from rb_support.studies.fits import Asked, Material, key_of, material, measure

NUMBERS = [
    "aiq",
    "aiq_zero",
    "aiq_honest",
    "zero_honest",
    "lead",
    "cost_95",
    "kept_95",
    "cost_100",
    "kept_100",
]


def made(quality: np.ndarray, cost: np.ndarray, vectors: np.ndarray) -> Material:
    n, m = quality.shape
    frame = pd.DataFrame({"sample_id": [f"{i:04d}" for i in range(n)], "dataset": "d", "task": "t"})
    frame["prompt"] = [f"prompt {i}" for i in range(n)]
    models = tuple(f"m{i}" for i in range(m))
    return material(Outcomes(frame, quality, cost, models, Origin("own", "x.csv")), vectors)


def two_kinds(n: int = 400, seed: int = 0) -> Material:
    """Half of the prompts are easy: the cheap model is right on these, the dear one on all."""
    easy = np.random.default_rng(seed).permutation(n) % 2
    quality = np.column_stack([easy, np.ones(n)]).astype(float)
    return made(quality, np.tile([1.0, 3.0], (n, 1)), easy[:, None].astype(float))


class Constant:
    """Each model's mean, whatever the query."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, train: Outcomes, X: Any) -> Constant:
        self.mean = train.quality.mean(axis=0)
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.tile(self.mean, (len(X), 1))


class Knows(Constant):
    """What the vector says: whether the query is easy."""

    def predict(self, X: Any) -> np.ndarray:
        return np.column_stack([X[:, 0], np.ones(len(X))])


class Random(Constant):
    """Predictions of no meaning, far apart."""

    def predict(self, X: Any) -> np.ndarray:
        return np.random.default_rng(self.seed).random((len(X), len(self.mean)))


def test_worked_by_hand_a_router_that_knows_nothing_among_models_that_never_vary() -> None:
    # One model scores .5 for 1 USD and one 1 for 3 USD, always. Their hull rises by .25 a dollar: its mean on
    # [1, 3] is .75. A quality of .95 costs 1 + .45 / .25 = 2.8 USD, which is 2.8 / 3 of the best's.
    n = 40
    table = made(np.tile([0.5, 1.0], (n, 1)), np.tile([1.0, 3.0], (n, 1)), np.zeros((n, 1)))
    row = measure(Asked("x", "constant", 0), table, Constant)
    by_hand = [0.75, 0.75, 0.75, 0.75, 0.0, 2.8 / 3, 0.95, 1.0, 1.0]
    assert [row[name] for name in NUMBERS] == pytest.approx(by_hand, abs=1e-12)
    assert row["constant"] and (row["n_train"], row["n_test"]) == (28, 12)
    assert [row[name] for name in ("quality", "best_quality", "oracle_quality")] == [1, 1, 1]
    for name in ("lead_draws", "gain_draws", "gap_draws"):
        assert row[name].shape == (fits.DRAWS,) and np.abs(row[name]).max() < 1e-12


def test_worked_by_hand_a_router_that_knows_all() -> None:
    # Half is easy: calling the cheap model there and the dear one elsewhere costs 2 USD and is always right.
    # The hull (1, .5), (2, 1), (3, 1) has the mean (.75 + 1) / 2 = .875 on [1, 3], the models' own .75. Nine
    # tenths of the way up, 1.9 USD, is .95 of the quality. Test rows are half easy but for chance.
    rows = [measure(Asked("x", "knows", seed), two_kinds(2_000, seed), Knows) for seed in range(4)]
    mean = pd.DataFrame([{name: row[name] for name in NUMBERS} for row in rows]).mean()
    by_hand = [0.875, 0.75, 0.875, 0.75, 0.125, 1.9 / 3, 0.95, 2 / 3, 1.0]
    assert mean[NUMBERS].tolist() == pytest.approx(by_hand, abs=0.02)
    assert all((row["lead_draws"] > 0.1).all() and row["placebo_high"] < 0.02 for row in rows)


def test_labels_that_are_dealt_out_leave_nothing_to_learn() -> None:
    table = two_kinds(600)

    def leads(labels: Any) -> np.ndarray:
        wanted = [Asked("x", "ridge", seed, labels=labels) for seed in range(6)]
        return np.array(
            [measure(each, table, lambda seed: RidgeRouter(seed=seed))["lead"] for each in wanted]
        )

    true, shuffled = leads("true"), leads("shuffled")
    assert true.min() > 0.08 and shuffled.max() < 0.01


@pytest.mark.parametrize("make", [lambda seed: PlaceboRouter(seed=seed), Random])
def test_a_router_that_knows_nothing_never_leads_in_the_mean_of_many_seeds(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fits, "_drawn", lambda count: np.ones((1, count), dtype=int))  # only leads are read
    for kind in range(3):
        rng = np.random.default_rng(kind)
        quality = (rng.random((160, 4)) < rng.uniform(0.3, 0.9, 4)).astype(float)
        table = made(quality, rng.lognormal(-7, 1, (160, 4)), rng.random((160, 3)))
        rows = [measure(Asked("x", "null", seed), table, make) for seed in range(24)]
        leads = np.array([row["lead"] for row in rows])
        assert leads.mean() < 2 * leads.std() / np.sqrt(len(leads))


def test_rows_of_a_table_share_their_resamples() -> None:
    table = two_kinds()
    one, other = (measure(Asked("x", "r", 3), table, make) for make in (Constant, Knows))
    assert (one["gap_draws"] == other["gap_draws"]).all() and one["gap_draws"].std() == 0
    block = fits.blocks(table.table)
    weights = [fits.resamples(Asked("x", "r", seed), block)[1] for seed in (0, 1)]
    assert (weights[0] == weights[1]).all() and (weights[0][0] == 1).all()


@given(outcome_tables(min_rows=4), st.sampled_from(["true", "shuffled"]), st.integers(0, 3))
@settings(max_examples=30)
def test_any_table_can_be_measured_and_measured_again(table: Outcomes, labels: Any, seed: int) -> None:
    vectors = np.random.default_rng(0).random((len(table), 3))
    asked, known = Asked("x", "placebo", seed, labels=labels), material(table, vectors)
    try:
        table.split(seed=seed)
    except TableError:  # all prompts are equal
        return
    rows = [measure(asked, known, lambda seed: PlaceboRouter(seed=seed)) for _ in range(2)]
    for name, value in rows[0].items():
        assert np.array_equal(value, rows[1][name], equal_nan=True), name
    assert np.isfinite(rows[0]["lead"]) and rows[0]["placebo_high"] - rows[0]["placebo"] >= 0
    assert np.isnan(rows[0]["cost_100"]) or rows[0]["cost_100"] >= 0


def test_a_share_of_the_training_rows_and_shuffled_vectors() -> None:
    table = two_kinds(100)
    whole, part = (fits.split(Asked("x", "r", 1, share=share), table) for share in (1.0, 0.25))
    assert len(part[0]) == round(0.25 * len(whole[0])) == len(part[2])
    assert part[1].frame.equals(whole[1].frame)
    mixed = fits.split(Asked("x", "r", 1, labels="shuffled"), table)
    assert sorted(mixed[2].ravel()) == sorted(whole[2].ravel()) and (mixed[2] != whole[2]).any()
    assert (mixed[3] == whole[3]).all()


def test_a_rows_name_stands_for_all_that_it_depends_on() -> None:
    base, table = Asked("x", "knn", 0), two_kinds(20)
    others = [
        replace(base, **change)
        for change in ({"table": "y"}, {"router": "ridge"}, {"seed": 1}, {"embedding": "tfidf"},
                       {"labels": "shuffled"}, {"share": 0.5})
    ]  # fmt: skip
    keys = [key_of(each, table.sha256, "code") for each in (base, *others)]
    keys += [key_of(base, "other", "code"), key_of(base, table.sha256, "other")]
    assert len(set(keys)) == len(keys) and key_of(base, table.sha256, "code") == keys[0]
    for change in (table.table.quality, table.table.cost, table.vectors):
        changed = change.copy()
        changed[0, 0] += 1e-12
        whole = [changed if each is change else each for each in (table.table.quality, table.table.cost)]
        vectors = changed if change is table.vectors else table.vectors
        frame, models, origin = table.table.frame, table.table.models, table.table.origin
        other = material(Outcomes(frame, *whole, models, origin), vectors)
        assert other.sha256 != table.sha256


def test_the_code_that_makes_rows_is_in_their_names() -> None:
    """All that is reached from a fit, but through what of a study's module notebook 03 alone calls."""
    by_name, seen = {name_of(path): path for path in MODULES}, set()
    study = {"rb_support.studies.predictive", "rb_support.verdicts"}
    todo = ["rb_support.studies.fits", "rb_support.studies.lineup", "rb_support.deploy.battle_routers"]
    assert not study & set(modules_imported(by_name[todo[0]]))
    while todo:
        module = todo.pop()
        if module not in seen | study:
            seen.add(module)
            todo += modules_imported(by_name[module])
    tables = {"answers", "cache", "catalog", "paper", "sources", "visible"}  # digests tell of tables
    covered = tuple(f"rb_support.{part.removesuffix('.py').replace('/', '.')}" for part in CODE)
    for module in seen:
        if module.split(".")[1] not in tables:
            assert any(f"{module}.".startswith(f"{part}.") for part in covered), module
