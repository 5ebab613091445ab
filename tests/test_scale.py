"""Large tables: what is done in chunks or parts equals what is done at once, and memory does not grow."""

import dataclasses
import hashlib
import json
import runpy
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from rb_support.deploy.router import _TRUSTED
from rb_support.embed import unit
from rb_support.outcomes import Outcomes
from rb_support.routers import (
    KNNRouter,
    RidgeRouter,
    chance_of_knowing_nothing,
    decision,
    evidence,
    knn,
    lambda_path,
    mean_cost,
    model_points,
    nearest,
)
from rb_support.stats import (
    Means,
    Steps,
    Turns,
    aiqs,
    bootstrap_aiq,
    bootstrap_weights,
    honest_draws,
    streamed_weights,
    turns,
)
from rb_support.studies import fits, partitioned

seeds = st.integers(0, 2**16)
grid = [0.0, 0.25, 0.5, 0.75, 1.0]


def cells(n, m, rng):
    """Predictions, costs and outcomes with many ties, as coarse grids have them."""
    return (rng.choice(grid, (n, m)), rng.choice([1.0, 2.0, 2.0, 5.0], (n, m)), rng.choice(grid, (n, m)))


def made(n, rng, start=0, models=4):
    """Outcomes that the vectors tell, and these."""
    X = rng.normal(size=(n, 6))
    quality = (rng.random((n, models)) < 1 / (1 + np.exp(-X[:, :models]))).astype(float)
    cost = np.geomspace(1, 10, models) * rng.lognormal(0, 0.3, (n, models))
    ids = [f"q{i}" for i in range(start, start + n)]
    frame = pd.DataFrame({"sample_id": ids, "dataset": "D", "task": "t", "prompt": ids})
    return Outcomes(frame, quality, cost, tuple(f"m{i}" for i in range(models))), X


# Chunks


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 50), seeds)
@settings(max_examples=25, deadline=None)
def test_a_path_walked_in_chunks_is_the_path(n, m, chunk, seed):
    predicted, cost, _ = cells(n, m, np.random.default_rng(seed))
    whole = lambda_path(predicted, cost)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decision, "CHUNK", chunk)
        parts = lambda_path(predicted, cost)
    for name in ("start", "query", "before", "model", "breakpoint"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 9), seeds)
@settings(max_examples=25, deadline=None)
def test_points_on_blocks_are_those_of_the_blocks_rows(n, m, blocks, seed):
    rng = np.random.default_rng(seed)
    predicted, cost, quality = cells(n, m, rng)
    steps = lambda_path(predicted, cost).on(quality, cost)
    assert isinstance(steps, Steps)
    block = rng.permutation(n) % min(n, blocks)
    every = np.arange(len(steps()))
    rows = np.flatnonzero(rng.random(len(every)) < 0.5)
    slow = np.stack([steps(block == each) for each in range(block.max() + 1)])
    np.testing.assert_allclose(steps.on_blocks(block, every), slow, atol=1e-12)
    np.testing.assert_allclose(steps.on_blocks(block, rows), slow[:, rows], atol=1e-12)


@given(st.integers(12, 40), st.integers(1, 50), seeds)
@settings(max_examples=20, deadline=None)
def test_ridge_and_its_test_are_the_same_in_chunks(n, chunk, seed):
    train, X = made(n, np.random.default_rng(seed))
    whole, chance = RidgeRouter().fit(train, X), chance_of_knowing_nothing(X, train.quality)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "CHUNK", chunk)
        parts = RidgeRouter().fit(train, X)
        assert chance_of_knowing_nothing(X, train.quality) == chance
    assert parts.penalty == whole.penalty
    assert parts.fold_error == pytest.approx(whole.fold_error, abs=1e-12)
    np.testing.assert_allclose(parts.predict(X), whole.predict(X), atol=1e-9)


@given(st.integers(1, 20), st.integers(1, 30), seeds)
@settings(max_examples=30, deadline=None)
def test_streamed_resamples_are_the_resamples(n, draws, seed):
    whole = bootstrap_weights(n, draws, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    np.testing.assert_array_equal(np.concatenate(list(streamed_weights(n, draws, rng))), whole)
    after = np.random.default_rng(seed)
    bootstrap_weights(n, draws, after)
    assert rng.random() == after.random()


def test_memory_of_a_bootstrap_does_not_grow_with_its_draws():
    n, rng = 20_000, np.random.default_rng(0)
    system = {"s": Means(rng.random((n, 2)), rng.random((n, 2)))}
    peaks = []
    for draws in (5, 100):
        tracemalloc.start()
        bootstrap_aiq(system, n, rng=rng, draws=draws)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 100 * n * 8


def test_one_long_prompt_costs_its_own_length():
    table, _ = made(300, np.random.default_rng(0))
    frame = table.frame.assign(prompt=["x" * 100_000, *table.frame["prompt"][1:]])
    table = Outcomes(frame, table.quality, table.cost, table.models)
    tracemalloc.start()
    numbers = evidence.prompt_numbers(table)
    assert tracemalloc.get_traced_memory()[1] < 1e6  # an array of so wide texts has 120 MB
    tracemalloc.stop()
    np.testing.assert_array_equal(numbers, np.unique(frame["prompt"].astype(str), return_inverse=True)[1])


# Search


@given(st.integers(1, 150), st.integers(1, 40), st.integers(1, 12), st.integers(1, 50), seeds)
@settings(max_examples=25, deadline=None)
def test_a_large_index_finds_the_nearest(n, queries, count, known, seed):
    """Distances as by hand, with repeated and zero vectors, and rows that have them, each once."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(n, 5)) * (rng.random((n, 1)) < 0.9))
    vectors = vectors[rng.integers(n, size=n)]
    asked = np.vstack([unit(rng.normal(size=(queries, 5))), np.zeros((1, 5)), vectors[:2]])
    count = min(count, n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "KNOWN", known)
        patch.setattr(nearest, "QUERIES", 7)
        distance, rows = nearest.LargeIndex(vectors).kneighbors(asked, n_neighbors=count)
    exact = np.linalg.norm(asked[:, None] - vectors, axis=2)
    np.testing.assert_allclose(distance**2, np.sort(exact**2, axis=1)[:, :count], atol=1e-12)
    np.testing.assert_allclose(np.take_along_axis(exact, rows, axis=1) ** 2, distance**2, atol=1e-12)
    assert all(len(set(each)) == count for each in rows.tolist())


def test_gaps_that_single_precision_cannot_see_are_ranked():
    angle = 1e-9 * np.random.default_rng(0).permutation(300)
    vectors = np.column_stack([np.cos(1 + angle), np.sin(1 + angle)])
    few = nearest.LargeIndex(vectors).kneighbors(np.array([[1.0, 0.0]]), n_neighbors=20)[1]
    assert set(few[0]) == set(np.argsort(angle)[:20])


def test_a_crowd_is_searched_exactly(monkeypatch):
    rng = np.random.default_rng(0)
    vectors = np.vstack([unit(rng.normal(size=(100, 5))), np.tile(unit(rng.normal(size=(1, 5))), (900, 1))])
    asked, seen = np.vstack([vectors[-1:], -vectors[-1:]]), []  # in the crowd, and far from it
    monkeypatch.setattr(nearest, "KNOWN", 64)
    index = nearest.LargeIndex(vectors)

    class Exact(NearestNeighbors):
        def kneighbors(self, X, **options):
            seen.append(len(X))
            return super().kneighbors(X, **options)

    monkeypatch.setattr(nearest, "NearestNeighbors", Exact)
    distance, rows = index.kneighbors(asked, n_neighbors=4)
    assert seen == [1] and (rows[0] >= 100).all()
    np.testing.assert_allclose(distance[0], 0, atol=1e-7)


def test_knn_predicts_the_same_with_either_search(monkeypatch):
    rng = np.random.default_rng(0)
    (train, X), (_, wanted) = made(400, rng), made(80, rng)
    small = KNNRouter((5, 20), shrink=True).fit(train, X)
    monkeypatch.setattr(knn, "MANY", 100)
    large = KNNRouter((5, 20), shrink=True).fit(train, X)
    assert isinstance(large._groups[0][1].index, nearest.LargeIndex) and large.k == small.k
    np.testing.assert_allclose(large.predict(wanted), small.predict(wanted), atol=1e-12)


def test_a_large_index_can_be_saved(monkeypatch):
    monkeypatch.setattr(knn, "MANY", 10)
    train, X = made(50, np.random.default_rng(0))
    router = KNNRouter(5).fit(train, X)
    again = skops.io.loads(skops.io.dumps(router), trusted=_TRUSTED)
    np.testing.assert_array_equal(again.predict(X), router.predict(X))


# What a sweep shares


def test_a_tables_digest_and_blocks_are_those_of_its_bytes_and_texts():
    table, X = made(40, np.random.default_rng(0))
    table = dataclasses.replace(table, frame=table.frame.assign(prompt=[f" p{i % 17}" for i in range(40)]))
    rows = table.frame[["sample_id", "dataset", "task", "prompt"]].to_numpy().tolist()
    told = json.dumps([table.models, rows]).encode()
    whole = b"".join([told, table.quality.tobytes(), table.cost.tobytes(), X.tobytes()])
    given = fits.material(table, np.asfortranarray(X))
    assert given.sha256 == hashlib.sha256(whole).hexdigest()
    code = np.unique([prompt.strip() for prompt in table.frame["prompt"]], return_inverse=True)[1]
    np.testing.assert_array_equal(fits.blocks(table), np.random.default_rng(0).permutation(17)[code])


# Parts


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0") as it:
        yield it


@pytest.mark.parametrize("count", [1, 3, 7])
@pytest.mark.parametrize("spread", [False, True], ids=["here", "dask"])
def test_a_table_in_parts_is_the_table(count, spread, request, tmp_path):
    rng = np.random.default_rng(count)
    (train, X), (test, wanted) = made(200, rng), made(301, rng, 200)
    router = KNNRouter(10).fit(train, X)
    parts = partitioned.divided(test, wanted, tmp_path, count)
    halved = turns(len(test), np.random.default_rng(0), most=16)
    client = request.getfixturevalue("client") if spread else None
    found = partitioned.routed(router, mean_cost(train), parts, halved.block, client)
    path = lambda_path(router.predict(wanted), mean_cost(train))
    whole = {"models": model_points(test), "router": path.on(test.quality, test.cost)}
    for name, system in whole.items():
        np.testing.assert_allclose(found[name](None), system(None), atol=1e-12)
    assert aiqs(found) == pytest.approx(aiqs(whole), abs=1e-12)
    drawn = bootstrap_weights(16, 30, np.random.default_rng(1)).astype(float)
    areas = honest_draws(found, halved, drawn)
    np.testing.assert_allclose(areas, honest_draws(whole, halved, drawn), atol=1e-12)
    assert np.ptp(areas[:, 1]) > 0


def test_a_router_that_predicts_costs_is_asked_in_every_part(tmp_path):
    class Priced(RidgeRouter):
        def predict_cost(self, X):
            return np.abs(X[:, :4]) + 1

    rng = np.random.default_rng(0)
    (train, X), (test, wanted) = made(100, rng), made(50, rng, 100)
    router = Priced([0.1]).fit(train, X)
    parts = partitioned.divided(test, wanted, tmp_path, 3)
    found = partitioned.routed(router, mean_cost(train), parts, np.zeros(50, dtype=int))["router"]
    path = lambda_path(router.predict(wanted), router.predict_cost(wanted))
    np.testing.assert_allclose(found(None), path.on(test.quality, test.cost)(None), atol=1e-12)


def test_parts_must_have_as_many_rows_as_blocks(tmp_path):
    train, X = made(40, np.random.default_rng(0))
    parts = partitioned.divided(train, X, tmp_path, 2)
    with pytest.raises(ValueError, match="40 rows in 2 parts, but blocks of 39"):
        partitioned.routed(RidgeRouter([1]).fit(train, X), mean_cost(train), parts, np.zeros(39, dtype=int))


def test_a_block_may_lie_in_one_part_only(tmp_path):
    rng = np.random.default_rng(0)
    (train, X), (test, wanted) = made(100, rng), made(60, rng, 100)
    router = KNNRouter(5).fit(train, X)
    block = np.arange(60) // 20
    halved = Turns(block, *(np.array([[True, False, True], [False, True, False]]) ^ turn for turn in (0, 1)))
    parts = partitioned.divided(test, wanted, tmp_path, 3)
    found = partitioned.routed(router, mean_cost(train), parts, block)
    path = lambda_path(router.predict(wanted), mean_cost(train))
    whole = {"models": model_points(test), "router": path.on(test.quality, test.cost)}
    drawn = np.ones((1, 3))
    np.testing.assert_allclose(
        honest_draws(found, halved, drawn), honest_draws(whole, halved, drawn), atol=1e-12
    )


def test_parts_need_no_dask(monkeypatch):
    for hidden in ("dask", "distributed"):
        monkeypatch.setitem(sys.modules, hidden, None)
    runpy.run_path(partitioned.__file__)
