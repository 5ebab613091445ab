"""Decisions, lambda paths and routers against golden vectors, brute force and worked examples."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rb_support.embed import unit
from rb_support.frontier import hull
from rb_support.outcomes import Origin, Outcomes
from rb_support.routers import (
    KNNRouter,
    MLPRouter,
    RidgeRouter,
    ZeroRouter,
    chance_of_knowing_nothing,
    contrast_error,
    decide,
    free_abstention,
    knows_nothing,
    ladder,
    lambda_path,
    mean_cost,
    model_points,
    oracle,
)
from rb_support.routers.evidence import folds, prompt_numbers
from rb_support.routers.knn import TOLERANCE
from rb_support.routers.mlp import _AdamW, _first_weights, _slopes, _values


def table(quality, cost=None):
    quality = np.asarray(quality, dtype=float)
    n, m = quality.shape
    frame = pd.DataFrame(
        {
            "sample_id": [f"t.{i}" for i in range(n)],
            "dataset": "D",
            "task": "t",
            "prompt": [f"p{i}" for i in range(n)],
        }
    )
    cost = np.broadcast_to(np.arange(1.0, m + 1), (n, m)) if cost is None else np.asarray(cost, dtype=float)
    return Outcomes(frame, quality, cost.copy(), tuple(f"m{j}" for j in range(m)), Origin("own", "test"))


def test_golden_oracle(golden):
    vector = golden("oracle.json")
    scores, costs = np.array(vector["scores"], dtype=float), np.array(vector["costs"], dtype=float)
    rows, chosen = np.arange(len(scores)), oracle(scores, costs)
    assert scores[rows, chosen].tolist() == vector["quality"]
    assert costs[rows, chosen].tolist() == vector["paper_cost_(cheapest_of_the_best)"]
    choice, spent = free_abstention(scores, costs)
    names = ["no_model_correct" if c < 0 else vector["models"][c] for c in choice]
    assert names == vector["ref_choice"]
    assert spent.tolist() == vector["ref_cost_(no_model_correct=0)"]


def test_golden_knn(golden):
    vector = next(s for s in golden("knn.json")["sets"] if s["name"] == "plane_8")
    prices = np.array([vector["price_prompt_completion_request"][m] for m in vector["models"]]).T
    per_token = prices[0] + prices[1] + prices[2] / np.array(vector["answer_tokens_each"])  # the reference's
    router = KNNRouter().fit(table(vector["train_scores"]), vector["train"])
    for run in vector["runs"]:
        [(_, learnt)] = router._groups
        neighbours, _ = learnt.nearest(unit(np.array(vector["test"], dtype=float)), run["k"])
        assert neighbours.tolist() == run["neighbours"]
        predicted = router.predict_many(vector["test"], [run["k"]])[run["k"]]
        np.testing.assert_allclose(predicted, run["ref_performance"], atol=1e-9)
        for wtp, models in run["ref_route"].items():
            if float(wtp) > 0:  # at 0 the reference drops the cost instead of the quality
                assert [vector["models"][j] for j in decide(predicted, per_token, float(wtp))] == models


def test_worked_path():
    """Costs 1, 2, 4. Query 0 climbs .2 -> .6 -> .8 at lambda 1/.4 = 2.5 and 2/.2 = 10; query 1 stays."""
    predicted = np.array([[0.2, 0.6, 0.8], [0.9, 0.5, 0.9]])
    path = lambda_path(predicted, [1, 2, 4])
    assert path.breakpoints.tolist() == pytest.approx([2.5, 10])
    assert [path.choices(w).tolist() for w in (0, 2.5, 2.6, 10, 11, np.inf)] == [
        [0, 0], [0, 0], [1, 0], [1, 0], [2, 0], [2, 0],
    ]  # fmt: skip
    assert [path.passed(w) for w in (0, 2.5, 2.6, 10, 11, np.inf)] == [0, 0, 1, 1, 2, 2]
    points = path.on([[0, 1, 1], [1, 0, 0]], [[1, 2, 4], [1, 2, 4]])(None)
    assert points.tolist() == [[1, 0.5], [1.5, 1.0], [2.5, 1.0]]
    weighted = path.on([[0, 1, 1], [1, 0, 0]], [[1, 2, 4], [1, 2, 4]])([3, 1])
    assert weighted.tolist() == [[1, 0.25], [1.75, 1.0], [3.25, 1.0]]


def test_lambda_nought_is_the_cheapest_model():
    assert decide([[0.1, 0.9]], [1, 2], 0).tolist() == [0]
    assert decide([[0.1, 0.9]], [1, 2], np.inf).tolist() == [1]
    assert decide([[0.5, 0.5]], [2, 1], np.inf).tolist() == [1]


eighths = st.integers(0, 8).map(lambda v: v / 8)


@st.composite
def predictions(draw):
    n, m = draw(st.integers(1, 8)), draw(st.integers(1, 6))
    per_query = draw(st.booleans())
    quality = draw(arrays(float, (n, m), elements=eighths))
    cost = draw(arrays(float, (n, m) if per_query else (m,), elements=st.integers(0, 6).map(float)))
    return quality, cost


@given(predictions(), st.data())
def test_path_equals_decide_everywhere(both, data):
    predicted, cost = both
    path = lambda_path(predicted, cost)
    knots = np.concatenate([[0.0], path.breakpoints])
    between = np.append((knots[1:] + knots[:-1]) / 2, knots[-1] + 1)
    for w in [0.0, *between, np.inf]:
        assert path.choices(w).tolist() == decide(predicted, cost, w).tolist()
    true = data.draw(arrays(float, predicted.shape, elements=eighths))
    rows, points = np.arange(len(predicted)), path.on(true, np.broadcast_to(cost, true.shape))(None)
    spent = np.broadcast_to(cost, true.shape)
    slow = [
        (spent[rows, d].mean(), true[rows, d].mean()) for d in (decide(predicted, cost, w) for w in between)
    ]
    np.testing.assert_allclose(points[-len(slow) :], slow, atol=1e-12)


@given(predictions())
def test_perfect_knowledge_beats_every_mixture(both):
    """Along the oracle's own path no random mixture of models is better at the same cost."""
    quality, cost = both
    spent = np.broadcast_to(cost, quality.shape)
    curve = hull(lambda_path(quality, spent).on(quality, spent)(None))
    models = np.column_stack([spent.mean(axis=0), quality.mean(axis=0)])
    best = np.interp(models[:, 0], curve[:, 0], curve[:, 1], left=-1)
    assert (best >= models[:, 1] - 1e-9).all()


def test_ladder_lies_on_the_path():
    path = lambda_path(np.random.default_rng(0).random((50, 4)), [1, 2, 3, 4])
    steps = ladder(path, 8)
    assert len(steps) == 8 and steps[0] == 0 and (np.diff(steps) > 0).all()
    assert path.choices(steps[-1]).tolist() == path.choices(np.inf).tolist()
    assert ladder(lambda_path([[0.5]], [1])).tolist() == [0]


@pytest.mark.parametrize(
    ("predicted", "cost", "match"),
    [
        ([0.1], [1], "shape"),
        ([[0.1, 0.2]], [1], "cost must have shape"),
        ([[0.1, np.nan]], [1, 2], "row 0, column 1 is nan; it must be finite"),
    ],
)
def test_bad_predictions_are_named(predicted, cost, match):
    with pytest.raises(ValueError, match=match):
        lambda_path(predicted, cost)
    with pytest.raises(ValueError, match=match):
        decide(predicted, cost, 1)


def test_negative_willingness():
    with pytest.raises(ValueError, match=">= 0"):
        decide([[0.1]], [1], -1)


def test_zero_router():
    """Models (1, .5), (2, .4), (3, 1): the second is dominated."""
    train = table([[1, 0, 1], [0, 0.8, 1]])
    router = ZeroRouter().fit(train)
    assert router.columns.tolist() == [0, 2]
    test = table([[0, 1, 1]])
    assert router.on(test)(None).tolist() == [[1, 0], [3, 1]]
    assert model_points(train)([1, 3]).tolist() == [[1, 0.25], [2, pytest.approx(0.6)], [3, 1]]


def test_knn_lets_neighbours_on_the_border_share():
    """Cosines 1, c, c - d with k = 2: half the tolerance leaves weights 1, 3/4, 1/4; ties count alike."""

    def angles(*cosines):
        return np.column_stack([cosines, np.sqrt(1 - np.square(cosines))])

    c, query = 0.9, [[1.0, 0.0]]
    scores = table([[1.0], [0.0], [1.0]])
    router = KNNRouter(2).fit(scores, angles(1.0, c, c - TOLERANCE / 2))
    assert router.predict(query) == pytest.approx((1 + 0 + 1 / 4) / 2)
    router = KNNRouter(2).fit(scores, angles(1.0, c, c - 2 * TOLERANCE))
    assert router.predict(query) == pytest.approx(1 / 2)
    crowd = table([[1.0], *[[float(i % 2)] for i in range(400)]])  # far more ties than are fetched at first
    router = KNNRouter(2).fit(crowd, angles(1.0, *[c] * 400))
    assert router.predict(query) == pytest.approx((1 + 400 / 4) / (1 + 400 / 2))


def test_knn_takes_what_there_is_and_many_equals_one():
    rng = np.random.default_rng(1)
    train, X, query = table(rng.random((30, 3))), rng.normal(size=(30, 5)), rng.normal(size=(7, 5))
    router = KNNRouter(100).fit(train, X)
    np.testing.assert_allclose(router.predict(query), np.tile(train.quality.mean(axis=0), (7, 1)))
    many = KNNRouter().fit(train, X).predict_many(query, [9, 1, 4])
    for k, predicted in many.items():
        np.testing.assert_allclose(predicted, KNNRouter(k).fit(train, X).predict(query))
    with pytest.raises(ValueError, match="30 training queries but 29"):
        KNNRouter().fit(train, X[1:])
    with pytest.raises(ValueError, match="at least 1"):
        KNNRouter(0)


def test_mlp_learns_is_seeded_and_stays_in_range():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(600, 8))
    quality = np.column_stack([X[:, 0] > 0, X[:, 0] < 0]).astype(float)
    router = MLPRouter((32,), seed=3).fit(table(quality[:400]), X[:400])
    predicted = router.predict(X[400:])
    assert predicted.shape == (200, 2) and predicted.min() >= 0 and predicted.max() <= 1
    assert ((predicted[:, 0] > predicted[:, 1]) == (quality[400:, 0] > 0)).mean() > 0.9
    again = MLPRouter((32,), seed=3).fit(table(quality[:400]), X[:400]).predict(X[400:])
    assert (again == predicted).all()


def test_mlp_members_are_averaged():
    rng = np.random.default_rng(7)
    X = rng.normal(size=(200, 3))
    quality = (X[:, :2] > 0).astype(float)
    three = MLPRouter((8,), members=3, epochs=4, seed=5).fit(table(quality), X)
    each = []
    for network in three.networks:
        single = MLPRouter((8,), epochs=4).fit(table(quality), X)
        single.networks = [network]
        each.append(single.predict(X))
    np.testing.assert_allclose(three.predict(X), np.mean(each, axis=0))
    assert np.ptp(each, axis=0).max() > 0  # no two of them are the same network
    with pytest.raises(ValueError, match="members"):
        MLPRouter(members=0)
    with pytest.raises(ValueError, match="start"):
        MLPRouter(start="zero")


def test_gradients_and_steps_are_those_of_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(30, 5)), rng.random((30, 2))
    network = _first_weights((5, 7, 4, 2), rng)
    layers = []
    for weight, bias in network:
        layer = torch.nn.Linear(*weight.shape, dtype=torch.float64)
        layer.weight.data.copy_(torch.from_numpy(weight.T))
        layer.bias.data.copy_(torch.from_numpy(bias))
        layers += [layer, torch.nn.ReLU()]
    theirs = torch.nn.Sequential(*layers[:-1])
    weights = [layer.weight for layer in layers[::2]]
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": 3.0}, {"params": [layer.bias for layer in layers[::2]]}],
        lr=1e-2,
        weight_decay=0.0,
    )
    step = _AdamW(network, 1e-2, 3.0)
    for _ in range(20):
        step(_slopes(network, x, y))
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(theirs(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        optimizer.step()
    with torch.inference_mode():
        np.testing.assert_allclose(_values(network, x)[-1], theirs(torch.from_numpy(x)).numpy(), atol=1e-9)


def test_mlp_chooses_widths_and_penalty_on_its_validation_rows():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(300, 6))
    quality = (X[:, :2] + rng.normal(size=(300, 2)) > 0).astype(float)
    router = MLPRouter([(16, 16), (4,)], penalties=(0.01, 10.0), epochs=20).fit(table(quality), X)
    assert len(router.validation_error) == 4
    assert router.setting == min(router.validation_error, key=lambda tried: tried[1])[0]
    same = MLPRouter(router.setting.hidden, penalties=[router.setting.penalty], epochs=20)
    np.testing.assert_array_equal(same.fit(table(quality), X).predict(X), router.predict(X))


def test_mlp_chooses_on_some_rows_and_learns_from_all(monkeypatch):
    rng = np.random.default_rng(14)
    X, quality = rng.normal(size=(120, 3)), rng.random((120, 2))
    alone = [MLPRouter(hidden, penalties=[0.01], epochs=3) for hidden in ((8,), (4,))]
    each = [router.fit(table(quality), X).predict(X) for router in alone]
    monkeypatch.setattr(MLPRouter, "choosing_rows", 50)
    both = MLPRouter([(8,), (4,)], penalties=[0.01], epochs=3).fit(table(quality), X)
    assert len(both.networks) == 1 and len(both.validation_error) == 2
    np.testing.assert_array_equal(both.predict(X), each[both.setting.hidden == (4,)])


def test_mlp_as_in_the_paper_varies_where_nothing_can_be_learnt_and_the_shrunken_one_does_not():
    rng = np.random.default_rng(4)
    quality = (rng.random((400, 2)) < [0.3, 0.7]).astype(float)
    X, new = rng.normal(size=(400, 20)), rng.normal(size=(50, 20))
    plain = MLPRouter(seed=0).fit(table(quality), X).predict(new)
    assert np.abs(plain - [0.3, 0.7]).mean() < 0.15 and not knows_nothing(plain)
    shrunken = MLPRouter(start="means", seed=0).fit(table(quality), X)
    assert knows_nothing(shrunken.predict(new)) and shrunken.setting is None
    np.testing.assert_allclose(shrunken.predict(new), np.tile(quality.mean(axis=0), (50, 1)))


def test_mean_cost():
    assert mean_cost(table([[1, 1], [0, 1]], [[1, 2], [3, 4]])).tolist() == [2, 3]


def test_ridge_solves_the_normal_equations():
    rng = np.random.default_rng(5)
    X, quality = rng.normal(size=(40, 3)), rng.uniform(0.3, 0.7, size=(40, 2))
    router = RidgeRouter(0.05).fit(table(quality), X)
    centred, target = X - X.mean(axis=0), quality - quality.mean(axis=0)
    slopes = np.linalg.solve(centred.T @ centred + 0.05 * 40 * np.eye(3), centred.T @ target)
    np.testing.assert_allclose(router.predict(X), quality.mean(axis=0) + centred @ slopes, atol=1e-10)
    assert router.penalty == 0.05 and router.fold_error == {}


def test_ridge_stays_with_the_means_without_evidence_and_leaves_them_with_it():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(300, 4))
    side = X[:, 0] > 0
    blind = RidgeRouter(seed=1).fit(table(np.full((300, 2), [0.25, 0.75])), X)
    assert blind.penalty == np.inf
    np.testing.assert_allclose(blind.predict(X), np.tile([0.25, 0.75], (300, 1)))
    sighted = RidgeRouter(seed=1).fit(table(np.column_stack([side, ~side])), X)
    assert sighted.penalty < 1 and sighted.fold_error[sighted.penalty] < sighted.fold_error[np.inf] - 0.1
    alike = RidgeRouter(seed=1).fit(table(np.column_stack([side, side])), X)
    assert alike.penalty == np.inf  # it tells which queries are hard, but not who answers them
    with pytest.raises(ValueError, match="positive"):
        RidgeRouter([0.0, 1.0])
    with pytest.raises(ValueError, match="300 training queries but 299"):
        RidgeRouter().fit(table(np.full((300, 2), 0.5)), X[1:])


def test_knn_chooses_k_by_the_queries_left_out():
    """Groups of 6 alike: 5 others know the answer, 40 others do not."""
    rng = np.random.default_rng(9)
    group = np.repeat(np.arange(40), 6)
    X = rng.normal(size=(40, 12))[group] + 0.05 * rng.normal(size=(240, 12))
    right = rng.integers(0, 2, 40)[group]
    train = table(np.column_stack([right, 1 - right]))
    router = KNNRouter((40, 5, 120)).fit(train, X)
    assert router.k == 5 == min(router.left_out_error, key=router.left_out_error.get)
    # By hand: every query predicted by a router that never saw it.
    for k, error in router.left_out_error.items():
        others = [np.delete(np.arange(240), i) for i in range(60)]
        each = [
            KNNRouter(k).fit(train.take(rows), X[rows]).predict(X[[i]])[0] for i, rows in enumerate(others)
        ]
        predicted = router._of_others(unit(X), train.quality, prompt_numbers(train))[k]
        np.testing.assert_allclose(predicted[:60], each)
        assert error == pytest.approx(contrast_error(predicted, train.quality))


def test_knn_does_not_learn_k_from_the_same_prompt():
    rng = np.random.default_rng(10)
    quality = np.repeat((rng.random((60, 2)) < 0.5).astype(float), 2, axis=0)
    X = np.repeat(rng.normal(size=(60, 8)), 2, axis=0)
    train = table(quality)
    train.frame["prompt"] = np.repeat([f"p{i}" for i in range(60)], 2)
    router = KNNRouter((1, 40)).fit(train, X)
    assert router.k == 40  # with its twin as neighbour, k = 1 would seem perfect
    train.frame["prompt"] = "p"
    assert KNNRouter((1, 40)).fit(train, X).k == 40 and not KNNRouter((1, 40)).fit(train, X).left_out_error


def test_shrunken_knn_lies_between_the_means_and_the_neighbours():
    rng = np.random.default_rng(11)
    X = rng.normal(size=(400, 3))
    quality = (np.column_stack([X[:, 0], -X[:, 0]]) + rng.normal(size=(400, 2)) > 0).astype(float)
    train = table(quality)
    router = KNNRouter((5, 20), shrink=True).fit(train, X)
    assert 0 < router.share < 1
    means, plain = quality.mean(axis=0), KNNRouter(router.k).fit(train, X).predict(X)
    np.testing.assert_allclose(router.predict(X), means + router.share * (plain - means))
    nothing = KNNRouter((5, 20), shrink=True).fit(train, rng.normal(size=(400, 3)))
    assert nothing.share == 0 and knows_nothing(nothing.predict(X))


def test_contrast_error_counts_differences_between_models_only():
    quality = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert contrast_error(quality + [[0.3], [-0.2]], quality) == pytest.approx(0)
    assert contrast_error(quality[::-1], quality) == pytest.approx(1)
    assert contrast_error([[0.5]], [[1.0]]) == pytest.approx(0.25)  # one model: nothing to differ from


def test_chance_of_knowing_nothing_is_uniform_without_signal_and_small_with():
    rng = np.random.default_rng(12)
    found = np.array(
        [chance_of_knowing_nothing(rng.normal(size=(40, 3)), rng.random((40, 2)), seed=i) for i in range(300)]
    )
    for share in (0.1, 0.5, 0.9):
        assert abs(np.mean(found <= share) - share) < 3 * np.sqrt(share * (1 - share) / 300)
    X = rng.normal(size=(40, 3))
    assert chance_of_knowing_nothing(X, X[:, :2]) == 1 / 200
    assert chance_of_knowing_nothing(X, np.full((40, 2), 0.3)) == 1


def test_folds_leave_equal_prompts_out_together():
    train = table(np.random.default_rng(13).random((30, 2)))
    train.frame["prompt"] = [f"p{i // 3}" for i in range(30)]
    parts = folds(train)
    assert sorted(np.concatenate([left for _, left in parts])) == list(range(30))
    prompts = train.frame["prompt"].to_numpy()
    assert all(not set(prompts[seen]) & set(prompts[left]) for seen, left in parts)
    train.frame["prompt"] = "p"
    assert folds(train) == []


def test_no_router_here_imports_torch():
    script = "import sys, rb_support.report, rb_support.routers, rb_support.studies.predictive as p"
    subprocess.run([sys.executable, "-c", f"{script}; sys.exit('torch' in sys.modules)"], check=True)
