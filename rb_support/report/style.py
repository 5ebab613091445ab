"""The look of every figure: one style sheet, and a fixed colour and marker per model and router."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from rb_support import catalog

Style = dict[str, Any]
"""How a model or a router is drawn, as keyword arguments of `Axes.plot` and `Axes.scatter`."""

# Okabe and Ito's palette without its yellow (too pale on white paper).
BLACK, GREY, ORANGE, SKY, GREEN = "#000000", "#7A7A7A", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
NAVY, WINE = "#332288", "#882255"  # Paul Tol's, darker than any of Okabe and Ito's
# Nine that stay 26 units of CIE Lab apart for an eye without red or green cones (tests/test_style.py).
_COLORS = ("#332288", "#663333", "#2F6B9A", "#CC3311", "#9D4EDD", "#009988", "#E69F00", "#66CCEE", "#DDCC77")
_NAVY, _BROWN, _STEEL, _RED, _VIOLET, _TEAL, _ORANGE, _SKY, _SAND = _COLORS
_STAR = (4, 1, 0)  # of four points; the oracle's has five
SHAPES: tuple[tuple[Any, ...], ...] = (
    ("o", "p", "h", "8"),
    ("s", "D", "d"),
    ("^", "v", ">", "<"),
    ("P", "X"),
    (_STAR,),
)
"""Markers by shape: small in print, those of one shape look alike and need colours of unlike lightness."""
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", ">", "p", "h", "d", "<", _STAR, "8")

KIND_COLOR = {"simulated": VERMILLION, "real": GREEN, "own": BLUE}
"""Colour of the line that says on every figure what data it shows."""

# A marker for every model, so that colour is never needed to tell two of them apart.
_OF_THE_PAPERS = (
    *(("o", _NAVY), ("s", _RED), ("^", _ORANGE), ("D", _SKY), ("v", _VIOLET), ("P", _TEAL), ("p", _STEEL)),
    *((">", _SAND), ("X", _BROWN), ("d", _TEAL), ("h", _ORANGE), ("<", _BROWN), ("8", _TEAL), (_STAR, _RED)),
)
_MODEL_STYLES = {
    model: Style(color=color, marker=marker)
    for model, (marker, color) in zip(
        dict.fromkeys(catalog.MODELS + catalog.RAG_MODELS), _OF_THE_PAPERS, strict=True
    )
}
_LOOKS = [Style(color=color, marker=marker) for marker in _MARKERS for color in _COLORS]

# Those of one dash differ in lightness too, so that print in grey keeps them apart.
_ROUTER_STYLES = {
    "oracle": Style(color=BLACK, linestyle="-"),
    "zero": Style(color=GREY, linestyle="--"),
    "random": Style(color=GREY, linestyle=":"),
    "placebo": Style(color=GREY, linestyle=":"),
    "knn": Style(color=BLUE, linestyle="-"),
    "mlp": Style(color=VERMILLION, linestyle="-."),
    "ensemble": Style(color=NAVY, linestyle="--"),
    "ridge": Style(color=ORANGE, linestyle="-"),
    "cascade": Style(color=WINE, linestyle="-"),
    "rerank": Style(color=SKY, linestyle="-."),
    "sw": Style(color=BLUE, linestyle="-"),
    "matrix factorization": Style(color=VERMILLION, linestyle="-."),
    "bert": Style(color=ORANGE, linestyle="-"),
    "causal": Style(color=WINE, linestyle="-"),
}
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
    styles = {name: _MODEL_STYLES[name] for name in names if name in _MODEL_STYLES}
    for name in names:
        if name not in styles:
            first = crc32(name.encode(errors="surrogatepass")) % len(_LOOKS)
            taken = list(styles.values())
            used = Counter(part for style in taken for part in style.values())
            styles[name] = min(
                (*_LOOKS[first:], *_LOOKS[:first]),
                key=lambda look: (look in taken, used[look["marker"]], used[look["color"]]),
            )
    return styles


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
    for known, style in _ROUTER_STYLES.items():
        if key.startswith(known):
            return style
    code = crc32(key.encode(errors="surrogatepass"))
    return Style(color=_OTHER_COLORS[code % len(_OTHER_COLORS)], linestyle=_OTHER_LINES[code // 16 % 3])
