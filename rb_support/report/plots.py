"""The few drawing steps that every notebook repeats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from textwrap import fill
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from rb_support.catalog import MODELS, RAG_MODELS, short_name
from rb_support.frontier import Points, hull, hull_indices
from rb_support.report.style import GREY, Style, distinct, model_styles, router_style, use_style
from rb_support.report.text import LegibleFigure, short

_UNITS = {
    "USD": ("mean cost", "USD per 1,000 queries", 1000),
    "s": ("mean latency", "seconds per query", 1),
}
"""Unit of costs -> what an axis shows, in what, and that as a multiple of the unit per query."""
NAMED = len(dict.fromkeys(MODELS + RAG_MODELS))
"""Of more models than the papers have, only those on a hull are named."""
MOST_NAMES = 24
"""No legend names more models."""
HONEST = ("honest_minus_zero", "honest_low", "honest_high")
"""Columns of an AIQ table: a router's honest lead over the zero router, and the ends of its interval."""
BAND = Style(alpha=0.25, linewidth=0)
"""A filled interval, or where luck lies."""
DASHED = Style(color=GREY, linestyle="--", linewidth=1)
"""A line to compare with, such as the zero router's."""
PLACEBO_MARK = Style(color=GREY, linestyle="none", marker="|", markersize=8, markeredgewidth=3, alpha=0.6)
"""In a legend: up to where placebos reach."""


def panels(
    n: int, ncols: int = 3, *, deep: int = 1, width: float = 7.0, height: float = 2.2, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Figure with `n` panels in rows of `ncols`; places left over in the last row are hidden.

    Parameters
    ----------
    n : number of panels.
    ncols : panels per row, at most.
    deep : axes in each panel, one below the other.
    width : inches of the whole figure.
    height : inches of one row.
    options : passed to `matplotlib.pyplot.subplots`, such as `sharey=True`.

    Returns
    -------
    The figure and its `n * deep` axes, panel by panel, row by row.
    """
    if mpl.rcParams["text.parse_math"]:  # the project's style is not on yet
        use_style()
    ncols = min(n, ncols)
    rows = deep * -(-n // ncols)
    options |= {"figsize": (width, height * rows), "squeeze": False, "FigureClass": LegibleFigure}
    fig, grid = plt.subplots(rows, ncols, **options)
    columns = grid.reshape(-1, deep, ncols).swapaxes(1, 2).reshape(-1, deep)
    for unused in columns[n:].ravel():
        unused.set_visible(False)
    return fig, columns[:n].ravel().tolist()


def panels_of(
    parts: Mapping[str, Sized], ncols: int = 3, *, most: int = 15, deep: int = 1, **options: Any
) -> tuple[Figure, list[tuple[Any, ...]]]:
    """Figure with `deep` panels, one below the other, for each part; of many, for the `most` largest.

    Returns
    -------
    The figure, and for each part that is shown its name, the part, and its axes from top to bottom.
    """
    largest = sorted(parts, key=lambda name: -len(parts[name]))[:most]
    names = [name for name in parts if name in largest]
    fig, axes = panels(len(names), ncols, deep=deep, **options)
    if len(names) < len(parts):
        fig.suptitle(f"The {len(names)} with the most rows, of {len(parts)}; the CSV has all", fontsize=8)
    columns = np.array(axes).reshape(-1, deep)
    return fig, [(name, parts[name], *column) for name, column in zip(names, columns, strict=True)]


def parts_of(table: pd.DataFrame, column: str) -> dict[str, pd.DataFrame]:
    """Rows of a table by what stands in one of its columns, in the table's order."""
    return {str(name): part for name, part in table.groupby(column, sort=False)}


def part_title(name: str, n: int, limit: int = 24) -> str:
    """Title of one part's panel: its name, cut to `limit` letters, and how many rows it has."""
    return f"{short(name, limit)} (n = {n:,})"


def finite(points: ArrayLike) -> Points:
    """Those of some points, (n, 2), whose cost and quality are numbers."""
    places = np.asarray(points, dtype=float).reshape(-1, 2)
    return places[np.isfinite(places).all(axis=1)]


def reach(rows: Any, middle: str, low: str = "low", high: str = "high") -> Points:
    """From the middle of each interval down and up to its ends, as `Axes.errorbar` takes it, shape (2, n).

    Parameters
    ----------
    rows : a table, or one row of it.
    middle, low, high : columns; an end on the far side of the middle is as far as the middle.
    """
    return np.maximum(np.reshape([rows[middle] - rows[low], rows[high] - rows[middle]], (2, -1)), 0)


def say(ax: Axes, sentence: str) -> None:
    """Write a sentence where nothing can be drawn."""
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8}
    middle: dict[str, Any] = {"ha": "center", "va": "center", "transform": ax.transAxes}
    ax.text(0.5, 0.5, fill(sentence, 36), color=GREY, bbox=ground, zorder=6, **middle)


def sentence_figure(sentence: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    fig, (ax,) = panels(1, width=5.0, height=1.6)
    say(ax, sentence)
    ax.set_axis_off()
    return fig


def plot_models(
    ax: Axes, points: ArrayLike, models: Sequence[str], *, size: float = 34, among: Sequence[str] = ()
) -> None:
    """Draw each model as a point of (mean cost, mean quality) in its fixed colour and marker.

    Of more than `NAMED` models, those on the points' hull; the others are grey. The points carry no legend
    entries (`model_legend` makes one legend for all panels), so that an axes' own legend is free for the
    curves.

    Parameters
    ----------
    points : shape (m, 2), cost in USD per query and quality in [0, 1]; one that is not finite is left out.
    models : m names.
    size : area of a marker in square points.
    among : names of all models of the figure, if here are only some: no two of them look alike.
    """
    places = np.asarray(points, dtype=float).reshape(-1, 2)
    drawn = np.flatnonzero(np.isfinite(places).all(axis=1))
    if len(drawn) == 0:
        say(ax, "No model has a cost and a quality that could be shown here.")
        return
    named = drawn if len(models) <= NAMED else drawn[hull_indices(places[drawn])]
    grey = np.setdiff1d(drawn, named)
    if len(grey):
        cost, quality = places[grey].T
        ax.scatter(cost, quality, s=size / 3, color=GREY, alpha=0.5, linewidth=0, zorder=2)
    styles = model_styles(among or models)
    for j in sorted(named):
        look = styles[models[j]] | {"label": f"_{models[j]}", "edgecolor": "white", "linewidth": 0.3}
        cost, quality = places[j]
        ax.scatter(cost, quality, s=size, zorder=3, **look)


def plot_curve(ax: Axes, points: ArrayLike, label: str, *, until: float | None = None, **line: Any) -> None:
    """Draw the non-decreasing convex hull (RouterBench sec. 3.2) of a router's points in the router's style.

    Parameters
    ----------
    points : shape (n, 2), cost (USD per query) and quality; one that is not finite is left out.
    label : legend entry, whose style is taken. Where a line of that style is on the axes already, another
        dash or a marker tells them apart.
    until : cost up to which the line goes on flat, such as the right end of the domain that AIQ is taken on.
    line : keyword arguments of `Axes.plot` that override the style.
    """
    places = finite(points)
    style = distinct(ax, router_style(label) | line)
    if len(places) == 0:
        ax.plot([], [], label=f"{label}: nothing to show", **style)
        return
    costs, heights = hull(places).T
    if until is not None and until > costs[-1]:
        costs, heights = np.append(costs, until), np.append(heights, heights[-1])
    if len(costs) == 1 and not line:  # a line of one point is none
        style = {"marker": "o", "markersize": 9, "markerfacecolor": "none"} | style
    positive = costs[costs > 0]
    between = np.geomspace(positive[0], positive[-1], 60) if len(positive) > 1 else positive
    # Points between the corners too: a mixture of two models is straight in cost, so bent on a log axis.
    dense = np.union1d(costs, np.clip(between, costs[0], costs[-1]))
    ax.plot(dense, np.interp(dense, costs, heights), label=label, **style)


def label_ends(ax: Axes, labels: Mapping[str, tuple[float, Any]], *, size: float = 6) -> None:
    """Write labels right of a panel at the heights where its lines end, moved apart where they would overlap.

    Parameters
    ----------
    labels : text -> height in data coordinates and colour; of no finite height, it is left out. Call it when
        the panel's limits stand.
    size : of the letters in points.
    """
    known = {words: end for words, end in labels.items() if np.isfinite(end[0])}
    rising = sorted(known.items(), key=lambda label: label[1][0])
    inches = ax.get_window_extent().height / ax.figure.dpi
    gaps = np.ptp(ax.get_ylim()) * 1.25 * size / 72 / max(inches, 0.1) * np.arange(len(rising))
    # Least moved in all, given the gaps between neighbours.
    heights = isotonic_regression([height for _, (height, _) in rising] - gaps).x + gaps if rising else gaps
    for (words, (_, color)), height in zip(rising, heights, strict=True):
        write_beside(ax, height, words, color=color, fontsize=size)


def write_beside(ax: Axes, height: float, words: str, **look: Any) -> None:
    """Write words right of a panel, at a height in data coordinates."""
    ax.annotate(words, (1.01, height), xycoords=ax.get_yaxis_transform(), va="center", **look)


def cost_axis(ax: Axes, unit: str = "USD", *, brief: bool = False, log: bool = False) -> None:
    """Make the x axis one of mean cost: drawn in USD per query, read in USD per 1,000 queries.

    RouterBench names latency as future work: of a table that is `priced` by it the axis is in seconds per
    query, and of one priced by another column in that. Call it when all is drawn.

    Parameters
    ----------
    unit : `cost_unit` of the table.
    brief : label it with the unit alone.
    log : spread cheap models on a logarithm (see `log_axis`), as a second look. The first look is linear: a
        mixture of two models is straight there, and areas are what AIQ measures.
    """
    what, per, times = _UNITS.get(unit, (f"mean {short(unit, 24)}", "per query", 1))
    label = per if brief else f"{what} ({per})"
    ax.set_xlabel(label)
    if log:
        log_axis(ax, label)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(lambda cost, _: f"{times * cost:.6g}")


def log_axis(ax: Axes, label: str = "") -> None:
    """Make the x axis a logarithmic one, with two to four labelled ticks.

    Call it when all is drawn: what is 0, such as a cost, gets a column of its own, left of the logarithm.
    """
    ax.set_xlabel(label)
    smallest, (lowest, highest) = ax.dataLim.minposx, ax.dataLim.intervalx
    if lowest <= 0 and not np.isfinite(smallest):
        return  # all is free: nothing to take a logarithm of
    for tick in ax.xaxis.get_major_ticks(16):
        tick.label1.set_parse_math(True)  # a power of ten is the one formula that a figure has
    if lowest <= 0:
        ax.set_xscale("symlog", linthresh=smallest, linscale=0.4)
        ticks = np.array(_LogTicks().tick_values(smallest, max(highest, 1.01 * smallest)))
        ticks = ticks[(ticks >= 2 * smallest) & (ticks <= highest)]
        ax.set_xticks([0, *ticks[:: -(-len(ticks) // 2) or 1]])
        ax.axvline(0, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    else:
        if lowest <= highest < 1.001 * lowest:  # one cost, give or take rounding
            ax.set_xlim(lowest / 3, highest * 3)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(_LogTicks())
    labels = LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(np.inf, np.inf))
    ax.xaxis.set_major_formatter(labels)
    ax.xaxis.set_minor_formatter(NullFormatter())


class _LogTicks(LogLocator):
    """Ticks at powers of ten, and between them where the axis spans so little that they would be too few."""

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        decades = np.log10(vmax / vmin)
        self.set_params(subs=(1,) if decades > 1.7 else (1, 3) if decades > 0.55 else (1, 2, 3, 5))
        return super().tick_values(vmin, vmax)


def model_legend(
    fig: Figure, models: Sequence[str] = (), *, curves: Axes | Iterable[Axes] = (), ncol: int = 4
) -> None:
    """One legend for a whole figure, below its panels: labelled lines of `curves`, each once, then models."""
    axes = [curves] if isinstance(curves, Axes) else curves
    lines = {line.get_label(): line for ax in axes for line in ax.get_legend_handles_labels()[0]}
    drawn = {points.get_label() for ax in fig.axes for points in ax.collections}
    named = [name for name in models if len(models) <= NAMED or f"_{name}" in drawn][:MOST_NAMES]
    styles = model_styles(models)
    looks = [{"label": short(short_name(name)), **styles[name]} for name in named]
    if len(named) < len(models):
        rest = f"{len(models) - len(named)} more models"
        looks.append({"label": rest, "color": GREY, "marker": ".", "alpha": 0.5})
    points = [Line2D([], [], ls="none", **look) for look in looks]
    handles = [*lines.values(), *points]
    widest = max((len(str(handle.get_label())) for handle in handles), default=0)
    if models and widest > 28:
        ncol = max(1, min(ncol, int(15 * fig.get_figwidth() / (widest + 6))))
    rows = -(-len(handles) // ncol)
    fig.set_figheight(fig.get_figheight() + (0.18 * rows if rows > 5 else 0))
    fig.legend(handles=handles, loc="outside lower center", ncol=ncol)
