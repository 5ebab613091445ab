"""The look of every figure: one style sheet, and a fixed colour and marker per model and router."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from typing import Any
from zlib import crc32

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from rb_support.cache import packaged_table

Style = dict[str, Any]
"""How a model or a router is drawn, as keyword arguments of `Axes.plot` and `Axes.scatter`."""

# Okabe and Ito's palette without its yellow (too pale on white paper).
BLACK, GREY, ORANGE, SKY, GREEN = "#000000", "#7A7A7A", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

KIND_COLOR = {"simulated": VERMILLION, "real": GREEN, "own": BLUE}
"""Colour of the line that says on every figure what data it shows."""


def _drawn(marker: Any) -> Any:
    """A marker as matplotlib takes it: a star is a tuple, of which TOML has none."""
    return tuple(marker) if isinstance(marker, list) else marker


_LOOKS = packaged_table("report/looks.toml")
_MARKERS = [_drawn(marker) for marker in _LOOKS["markers"]]
_OF_THE_PAPERS = {name: look | {"marker": _drawn(look["marker"])} for name, look in _LOOKS["models"].items()}
_SPARE = [Style(color=color, marker=marker) for marker in _MARKERS for color in _LOOKS["colors"]]
_OTHER_COLORS = (SKY, ORANGE, PURPLE, BLUE, VERMILLION)
_OTHER_LINES = ("-.", ":", "--")


def use_style() -> None:
    """Apply the project's style sheet, and nothing of a user's own, to every figure made from here on."""
    mpl.rcdefaults()
    plt.style.use("rb_support.report.rb")


def model_style(name: str) -> Style:
    """Colour and marker of a model; a model not of the papers gets one that depends on its name alone.

    >>> model_style("gpt-4-1106-preview")
    {'color': '#332288', 'marker': 'o'}
    """
    return model_styles([name])[name]


def model_styles(names: Sequence[str]) -> dict[str, Style]:
    """Look of each of several models that are drawn together: no two alike, as long as looks last (126)."""
    styles = {name: _OF_THE_PAPERS[name] for name in names if name in _OF_THE_PAPERS}
    for name in names:
        if name not in styles:
            first = crc32(name.encode(errors="surrogatepass")) % len(_SPARE)
            taken = list(styles.values())
            used = Counter(part for style in taken for part in style.values())
            looks = [*_SPARE[first:], *_SPARE[:first]]
            rarity = [(look in taken, used[look["marker"]], used[look["color"]]) for look in looks]
            styles[name] = looks[rarity.index(min(rarity))]
    return styles


def training_styles(names: Sequence[str]) -> dict[str, Style]:
    """Lines of training sets, each of which has one look in every figure; the first is dashed."""
    return dict(zip(names, cycle(_LOOKS["trainings"])))


def error_color(rate: float) -> tuple[float, ...]:
    """Colour of a judge's error rate in [0, 1]: one ordered scale, darker where it errs less."""
    return tuple(plt.get_cmap("viridis")(0.95 * rate))


def distinct(ax: Axes, style: Style) -> Style:
    """A line's style, with other dashes or with markers if a line of its look is on the axes already."""
    taken = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in ax.get_lines()}
    own = style.get("linestyle", "-"), style.get("marker", "None")
    looks = ((line, marker) for marker in ("None", *_MARKERS) for line in ("-", "--", "-.", ":"))
    line, marker = next(look for look in (own, *looks) if (style["color"], *look) not in taken)
    marked = {} if marker == "None" else {"marker": marker, "markevery": 8, "markersize": 3.5}
    return style if (line, marker) == own else {**style, "linestyle": line, **marked}


def router_style(name: str) -> Style:
    """Colour and line style of a router, found by how its name begins (`"KNN (k=40)"` is `knn`).

    >>> router_style("Zero router")
    {'color': '#7A7A7A', 'linestyle': '--'}
    """
    key = name.lower()
    for known, style in _LOOKS["routers"].items():
        if key.startswith(known):
            return style
    code = crc32(key.encode(errors="surrogatepass"))
    return Style(color=_OTHER_COLORS[code % len(_OTHER_COLORS)], linestyle=_OTHER_LINES[code // 16 % 3])
