"""Hull, mixtures and AIQ against golden vectors, hand-worked examples and invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rb_support.frontier import (
    Curve,
    aiq,
    chosen,
    chosen_together,
    extrapolate,
    hull,
    interpolate,
    shared_domain,
)

grid = st.integers(0, 12).map(lambda v: v / 8)  # exact in binary: collinear points stay collinear
clouds = st.integers(1, 40).flatmap(lambda n: arrays(float, (n, 2), elements=grid))


def test_golden_hull_and_aiq(golden):
    for case in golden("aiq.json")["cases"]:
        got = hull(case["points"])
        np.testing.assert_allclose(got, case["exact_hull_vertices"], atol=1e-12, err_msg=case["name"])
        area = aiq(case["points"], case["c_min"], case["c_max"])
        assert area == pytest.approx(case["exact_aiq"], abs=1e-9), case["name"]


def test_golden_shared_domain(golden):
    for case in golden("aiq.json")["multi"]:
        domain = shared_domain(*case["systems"].values())
        assert domain == (case["shared_c_min"], case["shared_c_max"])
        for name, points in case["systems"].items():
            exact = case["exact"][name]
            assert aiq(points, *domain) == pytest.approx(exact["aiq_paper_extend_to_(c_min,0)"], abs=1e-9)
            assert aiq(points) == pytest.approx(exact["aiq_own_domain"], abs=1e-9)


def test_worked_example():
    """A (1, .4), B (3, .8), C (2, .5): C lies under AB (.6 at cost 2); area (.4+.8)/2 = .6."""
    curve = Curve(np.array([[1, 0.4], [3, 0.8], [2, 0.5]]), ("A", "B", "C"))
    assert curve.hull().tolist() == [[1, 0.4], [3, 0.8]]
    assert curve.aiq() == pytest.approx(0.6)
    assert curve.at([0.5, 1, 2.5, 9]).tolist() == pytest.approx([0, 0.4, 0.7, 0.8])
    assert [(p.label, p.probability) for p in curve.mixture(2.5)] == [("A", 0.25), ("B", 0.75)]
    assert [(p.label, p.probability) for p in curve.mixture(3)] == [("B", 1.0)]
    assert [(p.label, p.probability) for p in curve.mixture(7)] == [("B", 1.0)]
    with pytest.raises(ValueError, match="cheapest costs 1"):
        curve.mixture(0.9)


def test_late_starter_may_skip_its_first_point():
    """Extended to (0, 0), the points (2, .1), (3, .9) leave (2, .1) under the line 0-(3, .9)."""
    assert aiq([[2, 0.1], [3, 0.9]], 0, 3) == pytest.approx(0.45)


def test_interpolate_and_extrapolate():
    assert interpolate([1, 0.2], [3, 0.6], 0.25).tolist() == pytest.approx([2.5, 0.5])
    assert interpolate([1, 0.2], [3, 0.6], [0, 1]).tolist() == [[3, 0.6], [1, 0.2]]
    assert extrapolate([2, 0.5], 3).tolist() == [6, 0.5]
    with pytest.raises(ValueError, match="probability"):
        interpolate([1, 0.2], [3, 0.6], 1.5)
    with pytest.raises(ValueError, match="at least 1"):
        extrapolate([2, 0.5], 0)


@pytest.mark.parametrize(
    ("points", "match"),
    [
        ([], "shape"),
        ([[1, 2, 3]], "shape"),
        ([[0, np.nan]], "point 0 is not finite"),
        ([[1, 1], [-1, 0]], "negative"),
    ],
)
def test_unusable_points_are_named(points, match):
    with pytest.raises(ValueError, match=match):
        hull(points)


def test_empty_domain():
    with pytest.raises(ValueError, match="domain is empty"):
        aiq([[1, 0.5], [2, 0.6]], 3, 1)


def test_extreme_scales():
    """Costs near the smallest floats neither overflow nor vanish."""
    points = np.array([[1, 0.2], [2, 0.5], [4, 0.6]])
    for scale in (1e-300, 1e-9, 1e300):
        assert aiq(points * [scale, 1]) == pytest.approx(aiq(points))


@given(clouds)
def test_hull_invariants(points):
    vertices = hull(points)
    cheapest = points[:, 0].min()
    assert vertices[0].tolist() == [cheapest, points[points[:, 0] == cheapest, 1].max()]
    best = points[:, 1].max()
    assert vertices[-1].tolist() == [points[points[:, 1] == best, 0].min(), best]
    slopes = np.diff(vertices[:, 1]) / np.diff(vertices[:, 0])
    assert (slopes > 0).all() and (np.diff(slopes) < 0).all()
    rows = {tuple(p) for p in points.tolist()}
    assert all(tuple(v) in rows for v in vertices.tolist())
    assert (Curve(points).at(points[:, 0]) >= points[:, 1] - 1e-12).all()


@given(clouds, st.randoms(use_true_random=False), st.floats(0, 1), st.floats(0, 1))
def test_order_and_dominated_points_do_not_matter(points, random, dearer, worse):
    shuffled = list(points.tolist())
    random.shuffle(shuffled)
    base = random.choice(points.tolist())
    extra = [base[0] + dearer, base[1] - worse]
    assert hull([*shuffled, extra]).tolist() == hull(points).tolist()


@given(clouds, st.floats(1e-9, 1e9))
def test_aiq_does_not_depend_on_the_unit_of_cost(points, scale):
    assert aiq(points * [scale, 1]) == pytest.approx(aiq(points), abs=1e-9)


@given(clouds)
def test_aiq_is_the_integral(points):
    low, high = points[:, 0].min(), points[:, 0].max() + 1
    costs = np.linspace(low, high, 20001)
    assert aiq(points, low, high) == pytest.approx(np.mean(Curve(points).at(costs)), abs=1e-3)


@given(clouds, st.floats(0, 1))
def test_mixture_attains_the_hull(points, t):
    curve = Curve(points)
    cost = points[:, 0].min() + t * np.ptp(points[:, 0])
    parts = curve.mixture(cost)
    quality = sum(p.probability * points[p.row, 1] for p in parts)
    spent = sum(p.probability * points[p.row, 0] for p in parts)
    assert sum(p.probability for p in parts) == pytest.approx(1)
    assert quality == pytest.approx(float(curve.at(cost)), abs=1e-9)
    assert spent <= cost + 1e-12


@given(st.integers(1, 6), st.integers(1, 150), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_together_the_same_is_chosen_as_one_by_one(sets, policies, seed):
    """Of few policies and many, late starters and such that are worth nothing among them."""
    rng = np.random.default_rng(seed)
    points = np.sort(rng.random((sets, policies, 2)), axis=1) + 0.05 * rng.random((sets, policies, 2))
    if seed % 2:
        points = np.ceil(16 * points) / 16  # exact in binary, with points that are one and such on a line
    points[rng.random(sets) < 0.2, :, 1] = 0
    low = points[..., 0].min(axis=1) * rng.choice([0.5, 1.0], sets)
    together = chosen_together(points, low)
    for rows, each, c_min in zip(together, points, low, strict=True):
        assert list(dict.fromkeys(rows.tolist())) == chosen(each, c_min).tolist()
