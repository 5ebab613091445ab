"""The look of models and routers: told apart by every reader, and on paper without colour."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from rb_support.catalog import MODELS, RAG_MODELS
from rb_support.report import style

# Machado, Oliveira and Fernandes 2009, severity 1, in linear light.
SEEN_BY = {
    "all cones": np.eye(3),
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
SHAPES = ({"o", "p", "h", "8"}, {"s", "D", "d"}, {"^", "v", ">", "<"}, {"P", "X"}, {(4, 1, 0)})
"""Markers by shape: small in print, those of one shape look alike and need colours of unlike lightness."""
WHITE = np.array([0.95047, 1.0, 1.08883])


def lab(color: str, eye: str) -> np.ndarray:
    """CIE Lab of a colour as an eye sees it."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = (
        np.cbrt(t) if t > (6 / 29) ** 3 else t * (29 / 6) ** 2 / 3 + 4 / 29
        for t in TO_XYZ @ np.clip(SEEN_BY[eye] @ linear, 0, 1) / WHITE
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(a: str, b: str) -> float:
    """Smallest distance of two colours over the three eyes."""
    return min(float(np.linalg.norm(lab(a, eye) - lab(b, eye))) for eye in SEEN_BY)


def lightness(a: str, b: str) -> float:
    """How far apart two colours are once printed in grey."""
    return abs(float(lab(a, "all cones")[0] - lab(b, "all cones")[0]))


def shape(look: style.Style) -> int:
    return next(i for i, markers in enumerate(SHAPES) if look["marker"] in markers)


def test_lab_is_lab() -> None:
    np.testing.assert_allclose(lab("#FF0000", "all cones"), [53.24, 80.09, 67.20], atol=0.02)


def test_models_of_one_shape_differ_for_every_eye_and_in_grey() -> None:
    looks = [style.model_style(name) for name in dict.fromkeys(MODELS + RAG_MODELS)]
    alike = [(a["color"], b["color"]) for a, b in combinations(looks, 2) if shape(a) == shape(b)]
    assert len(looks) == 14 and len(alike) > 10
    assert min(distance(*pair) for pair in alike) > 25
    assert min(lightness(*pair) for pair in alike) > 10


def test_a_colour_is_used_again_only_with_another_shape_and_most_are_not() -> None:
    looks = [style.model_style(name) for name in MODELS]
    assert len({look["color"] for look in looks}) == 9
    for a, b in combinations(looks, 2):
        assert distance(a["color"], b["color"]) > 25 or shape(a) != shape(b)


def test_models_of_an_own_table_take_colours_that_every_eye_tells_apart() -> None:
    looks = style.model_styles([f"model {j}" for j in range(9)]).values()
    assert min(distance(a["color"], b["color"]) for a, b in combinations(looks, 2)) > 25


@pytest.mark.parametrize(
    "together",
    [
        ("oracle", "zero", "knn", "mlp", "ensemble", "ridge", "cascade", "rerank"),
        ("random", "sw", "matrix factorization", "bert", "causal"),
    ],
)
def test_routers_of_one_dash_differ_for_every_eye_and_in_grey(together: tuple[str, ...]) -> None:
    looks = [style.router_style(name) for name in together]
    assert len({look["color"] for look in looks}) == len(looks)
    for a, b in combinations(looks, 2):
        assert distance(a["color"], b["color"]) > 12
        if a["linestyle"] == b["linestyle"]:
            assert distance(a["color"], b["color"]) > 20 and lightness(a["color"], b["color"]) > 10
