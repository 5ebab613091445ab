"""The look of every figure: one style sheet, and a fixed colour and marker per model and router."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TypedDict
from zlib import crc32

import matplotlib.pyplot as plt

from rb_support import catalog


class ModelStyle(TypedDict):
    """Colour and marker of a model, as keyword arguments of `Axes.plot` and `Axes.scatter`."""

    color: str
    marker: str


class RouterStyle(TypedDict):
    """Colour and line style of a router, as keyword arguments of `Axes.plot`."""

    color: str
    linestyle: str


# Okabe and Ito's palette without its yellow (too pale on white paper).
BLACK, GREY, ORANGE, SKY, GREEN = "#000000", "#7A7A7A", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
# Paul Tol's "muted" palette without its pale grey.
_MUTED = ("#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "d", "*", "8")

KIND_COLOR = {"simulated": VERMILLION, "real": GREEN, "own": BLUE}
"""Colour of the line that says on every figure what data it shows."""

_KNOWN_MODELS = tuple(dict.fromkeys(catalog.MODELS + catalog.RAG_MODELS))
# 14 models on 9 colours: the marker differs for every model, so colour is never needed to tell them apart.
_MODEL_STYLES = {
    model: ModelStyle(color=_MUTED[i % len(_MUTED)], marker=_MARKERS[i])
    for i, model in enumerate(_KNOWN_MODELS)
}

_ROUTER_STYLES = {
    "oracle": RouterStyle(color=BLACK, linestyle="-"),
    "zero": RouterStyle(color=GREY, linestyle="--"),
    "random": RouterStyle(color=GREY, linestyle=":"),
    "knn": RouterStyle(color=BLUE, linestyle="-"),
    "mlp": RouterStyle(color=VERMILLION, linestyle="-"),
    "ensemble": RouterStyle(color=PURPLE, linestyle="-."),
    "ridge": RouterStyle(color=GREEN, linestyle="-"),
    "cascade": RouterStyle(color=PURPLE, linestyle="-"),
    "rerank": RouterStyle(color=ORANGE, linestyle="-"),
    "sw": RouterStyle(color=BLUE, linestyle="-"),
    "matrix factorization": RouterStyle(color=GREEN, linestyle="-"),
    "bert": RouterStyle(color=VERMILLION, linestyle="-"),
    "causal": RouterStyle(color=PURPLE, linestyle="-"),
}
_OTHER_COLORS = (SKY, ORANGE, PURPLE, BLUE, VERMILLION)
_OTHER_LINES = ("-.", ":", "--")


def use_style() -> None:
    """Apply the project's style sheet to every figure made from here on."""
    with as_file(files("rb_support.report") / "rb.mplstyle") as sheet:
        plt.style.use(sheet)


def model_style(name: str) -> ModelStyle:
    """Colour and marker of a model; a model not of the papers gets one that depends on its name alone.

    >>> model_style("gpt-4-1106-preview")
    {'color': '#332288', 'marker': 'o'}
    """
    if name in _MODEL_STYLES:
        return _MODEL_STYLES[name]
    code = crc32(name.encode())
    return ModelStyle(color=_MUTED[code % len(_MUTED)], marker=_MARKERS[code // 16 % len(_MARKERS)])


def router_style(name: str) -> RouterStyle:
    """Colour and line style of a router, found by how its name begins (`"KNN (k=40)"` is `knn`).

    >>> router_style("Zero router")
    {'color': '#7A7A7A', 'linestyle': '--'}
    """
    key = name.lower()
    for known, style in _ROUTER_STYLES.items():
        if key.startswith(known):
            return style
    code = crc32(key.encode())
    return RouterStyle(color=_OTHER_COLORS[code % len(_OTHER_COLORS)], linestyle=_OTHER_LINES[code // 16 % 3])
