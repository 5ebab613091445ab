"""Points that a reader moves in the plane of cost and quality, beside a strip that stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from string import ascii_uppercase
from typing import Any

import numpy as np
from IPython.display import display
from numpy.typing import ArrayLike

from rb_support.teach.widgets import explore, show_strip


def drag(
    draw: Callable[..., None],
    points: ArrayLike,
    *,
    domain: tuple[float, float],
    moved: str,
    strip: Sequence[float],
) -> None:
    """Show what moving a point does: a strip that stays, and a plane in which to do it.

    With anywidget (the extra `drag`) points are dragged, or moved with the arrow keys; without it sliders
    move one of them.

    Parameters
    ----------
    draw : draws points into axes: `draw(ax, points, domain)`.
    points : (n, 2) of cost and quality, at most 26; they are called A, B, C, ….
    domain : smallest and largest cost.
    moved : letter of the point that moves along the strip.
    strip : its qualities there.
    """
    start = np.asarray(points, dtype=float)
    letters = ascii_uppercase[: len(start)]
    at = start[letters.index(moved)]

    def one(fig: Any, point: str = moved, cost: float = float(at[0]), quality: float = float(at[1])) -> None:
        places = start.copy()
        places[letters.index(point)] = cost, quality
        draw(fig.subplots(), places, domain)

    if find_spec("anywidget") is None:
        explore(
            one,
            strip={"quality": strip},
            origin=None,
            point=list(letters),
            cost=(*domain, (domain[1] - domain[0]) / 40),
            quality=(0.0, 1.0, 0.025),
        )
        return
    from rb_support.teach.plane import Plane

    show_strip(one, "quality", strip, origin=None, size=(3.4, 2.4))
    display(Plane(start.tolist(), domain, letters))  # type: ignore[no-untyped-call]
