"""Tables in which not every model answered every query: what bears it, and what it gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tables_made import outcome_tables

from rb_support.outcomes import Origin, Outcomes, PartialOutcomes, TableError
from rb_support.routers import KNNRouter, MLPRouter, RidgeRouter, contrast_error, mean_cost
from rb_support.routers.evidence import contrasts, knows_something

some = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def hidden(table: Outcomes, seed: int, share: float, *, keep_one: bool = False) -> PartialOutcomes:
    """The table with some cells hidden: of half of them the score, of half the cost."""
    rng = np.random.default_rng(seed)
    gone = rng.random(table.quality.shape) < share
    if keep_one:
        gone[rng.integers(len(table), size=len(table.models)), np.arange(len(table.models))] = False
    score = rng.random(gone.shape) < 0.5
    quality = np.where(gone & score, np.nan, table.quality)
    cost = np.where(gone & ~score, np.nan, table.cost)
    return PartialOutcomes(table.frame, quality, cost, table.models, table.origin)


def made(quality: object, cost: object = None, prompts: list[str] | None = None) -> PartialOutcomes:
    scores = np.asarray(quality, dtype=float)
    n, m = scores.shape
    prompts = prompts or [f"p{i}" for i in range(n)]
    frame = pd.DataFrame(
        {"sample_id": [f"q{i}" for i in range(n)], "dataset": "d", "task": "d", "prompt": prompts}
    )
    paid = scores * 0 + np.arange(1.0, m + 1) if cost is None else np.asarray(cost, dtype=float)
    return PartialOutcomes(frame, scores, paid, tuple("abcdefgh"[:m]), Origin("own", "mine.csv"))


def correlated(n: int, m: int = 3, d: int = 4, seed: int = 0) -> tuple[Outcomes, np.ndarray]:
    """Scores that hang on the vectors."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    quality = (X @ rng.normal(size=(d, m)) + rng.normal(size=(n, m)) > 0).astype(float)
    return made(quality).complete(), X


# The table itself


@some
@given(outcome_tables(), st.integers(0, 99), st.floats(0, 1))
def test_completing_gives_back_the_complete_rows(table: Outcomes, seed: int, share: float) -> None:
    partial = hidden(table, seed, share)
    whole = partial.answered.all(axis=1)
    assert (partial.answered == ~np.isnan(partial.cost)).all()
    if not whole.any():
        with pytest.raises(TableError, match="no row has a score and a cost of every model"):
            partial.complete()
        return
    got, rows = partial.complete(), table.take(whole)
    assert type(got) is Outcomes
    pd.testing.assert_frame_equal(got.frame, rows.frame)
    assert got.quality.tobytes() == rows.quality.tobytes() and got.cost.tobytes() == rows.cost.tobytes()
    dropped = [f"rows dropped for a missing score or cost: {(~whole).sum()}"] if not whole.all() else []
    assert list(got.origin.notes) == [*table.origin.notes, *dropped]


@some
@given(outcome_tables(), st.integers(0, 99), st.floats(0, 0.9))
def test_means_are_over_the_rows_that_each_model_answered(table: Outcomes, seed: int, share: float) -> None:
    partial = hidden(table, seed, share)
    for j, point in enumerate(partial.points()):
        rows = partial.answered[:, j]
        if rows.any():
            np.testing.assert_allclose(point, [table.cost[rows, j].mean(), table.quality[rows, j].mean()])
        else:
            assert np.isnan(point).all()
    direct = np.column_stack([table.cost.mean(axis=0), table.quality.mean(axis=0)])
    assert (
        table.points().tobytes() == direct.tobytes() and mean_cost(table).tobytes() == direct[:, 0].tobytes()
    )


@settings(some, max_examples=10)
@given(outcome_tables(max_rows=12, max_models=5), st.integers(0, 99), st.floats(0.05, 0.9))
def test_a_partial_table_comes_back_from_its_files(
    tmp_path_factory: pytest.TempPathFactory, table: Outcomes, seed: int, share: float
) -> None:
    partial, folder = hidden(table, seed, share), tmp_path_factory.mktemp("t")
    partial.to_parquet(folder / "t.parquet")
    partial.to_csv(folder / "t.csv")
    partial.to_csv(folder / "long.csv", long=True)
    for name in ("t.parquet", "t.csv", "long.csv"):
        got = Outcomes.read(folder / name, missing="keep")
        assert type(got) is (Outcomes if partial.answered.all() else PartialOutcomes)
        np.testing.assert_array_equal(got.quality, partial.quality)
        np.testing.assert_array_equal(got.cost, partial.cost)
        if not partial.answered.all():
            with pytest.raises(TableError, match="is missing.*; fill it in, leave the model out"):
                Outcomes.read(folder / name)
    again = PartialOutcomes.from_parquet(folder / "t.parquet")
    assert again.models == partial.models and again.origin == partial.origin
    pd.testing.assert_frame_equal(again.frame, partial.frame)
    if partial.answered.all(axis=1).any():
        dropped = [Outcomes.read(folder / name, missing="drop") for name in ("t.parquet", "t.csv")]
        assert all(np.array_equal(each.quality, partial.complete().quality) for each in dropped)


def test_parts_of_a_partial_table_are_partial_tables(tmp_path: Path) -> None:
    partial = made([[1, np.nan, 0], [0, 1, 1], [1, 1, 1], [np.nan, 0, 0]])
    for part in (partial.take([0, 1]), partial.select(["b", "a"]), *partial.split(0.5, seed=0)):
        assert type(part) is PartialOutcomes
    assert partial.select(["b"]).answered.ravel().tolist() == [False, True, True, True]
    partial.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match="holds PartialOutcomes, not Outcomes"):
        Outcomes.from_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"row 1 \(sample_id q0\), column 'b': is missing"):
        Outcomes(partial.frame, partial.quality, partial.cost, partial.models)
    assert type(Outcomes.read(tmp_path / "t.parquet", models=["c"], missing="keep")) is Outcomes


# Routers


@some
@given(st.integers(0, 99), st.floats(0.05, 0.8), st.sampled_from(["ridge", "knn"]))
def test_a_fit_with_hidden_cells_is_each_models_fit_on_its_rows(seed: int, share: float, kind: str) -> None:
    table, X = correlated(30, seed=seed)
    partial = hidden(table, seed, share, keep_one=True)
    new = np.random.default_rng(seed).normal(size=(7, X.shape[1]))

    def router() -> RidgeRouter | KNNRouter:
        return RidgeRouter(0.01) if kind == "ridge" else KNNRouter(3)

    predicted = router().fit(partial, X).predict(new)
    for j, model in enumerate(table.models):
        rows = partial.answered[:, j]
        alone = router().fit(table.take(rows).select([model]), X[rows]).predict(new)
        np.testing.assert_allclose(predicted[:, [j]], alone, atol=1e-12)


@some
@given(st.integers(0, 99), st.floats(0.05, 0.6))
def test_what_is_hidden_changes_nothing_and_every_choice_can_be_made(seed: int, share: float) -> None:
    table, X = correlated(40, seed=seed)
    partial = hidden(table, seed, share, keep_one=True)
    for router in (
        RidgeRouter(),
        KNNRouter((3, 10), shrink=True),
        MLPRouter((5,), penalties=[0.1], epochs=3),
        MLPRouter((5,), penalties=[0.1, 1.0], epochs=3, start="means"),
    ):
        predicted = router.fit(partial, X).predict(X)
        assert predicted.shape == table.quality.shape and np.isfinite(predicted).all()
        assert (predicted >= 0).all() and (predicted <= 1).all()


def test_queries_that_nobody_answered_teach_nothing() -> None:
    table, X = correlated(30, m=1)
    gone = np.arange(30) % 3 == 0
    partial = made(np.where(gone[:, None], np.nan, table.quality))
    for router in (MLPRouter((5,), penalties=[0.1], epochs=4), RidgeRouter(0.1), KNNRouter(4)):
        alone = router.fit(table.take(~gone), X[~gone]).predict(X)
        np.testing.assert_array_equal(router.fit(partial, X).predict(X), alone)


def test_one_model_asked_a_query_is_a_log_that_can_be_learnt_from() -> None:
    """Nothing differs within a query, so each model's own errors choose."""
    table, X = correlated(600, m=3)
    asked = np.arange(600)[:, None] % 3 == np.arange(3)
    log = made(np.where(asked, table.quality, np.nan))
    assert not log.answered.all(axis=1).any() and knows_something(log, X)
    fresh, new = correlated(600, m=3)
    for router in (RidgeRouter(), KNNRouter((10, 40), shrink=True), MLPRouter((20,), penalties=[0.01])):
        predicted = router.fit(log, X).predict(new)
        blind = log.points()[:, 1]
        assert contrast_error(predicted, fresh.quality) < 0.9 * contrast_error(
            blind + 0 * predicted, fresh.quality
        )


@pytest.mark.parametrize("router", [RidgeRouter(), KNNRouter(), MLPRouter(epochs=1)])
def test_a_model_that_answered_nothing_is_named(router: RidgeRouter | KNNRouter | MLPRouter) -> None:
    with pytest.raises(ValueError, match="'b' answered none of the 4 training queries"):
        router.fit(made([[1, np.nan]] * 4), np.eye(4))


@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 99), st.sampled_from("CF"))
def test_complete_rows_are_judged_to_the_last_bit_as_before(n: int, m: int, seed: int, order: str) -> None:
    rng = np.random.default_rng(seed)
    wrong = np.asarray(rng.normal(size=(n, m)), order=order)
    plain = wrong - wrong.mean(axis=1, keepdims=True) if m > 1 else wrong
    assert contrasts(wrong).tobytes() == plain.tobytes()
    assert contrast_error(wrong, 0 * wrong) == float(np.mean(plain**2))


def test_by_hand_what_is_missing_counts_nowhere() -> None:
    nan = np.nan
    assert contrasts(np.array([[1.0, nan, 0.0], [nan, 0.4, nan]]))[0, [0, 2]].tolist() == [0.5, -0.5]
    assert contrast_error([[0.8, 0.2, 0.9], [0.5, 0.5, 0.5]], [[1, 0, nan], [nan, nan, 1]]) == pytest.approx(
        (0.2**2 + 0.2**2 + 0.5**2) / 3
    )
    assert contrast_error([[nan]], [[1.0]]) == 0
