"""The few drawing steps that every notebook repeats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter
from numpy.typing import ArrayLike

from rb_support.catalog import short_name
from rb_support.frontier import hull
from rb_support.outcomes import Outcomes
from rb_support.report.style import model_style, router_style

COST_LABEL = "mean cost (USD per query)"


def panels(
    n: int, ncols: int = 3, *, width: float = 7.0, height: float = 2.2, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Figure with `n` panels in rows of `ncols`; places left over in the last row are hidden.

    Parameters
    ----------
    n : number of panels.
    ncols : panels per row, at most.
    width : inches of the whole figure.
    height : inches of one row.
    options : passed to `matplotlib.pyplot.subplots`, such as `sharey=True`.

    Returns
    -------
    The figure and its `n` axes, row by row.
    """
    ncols = min(n, ncols)
    rows = -(-n // ncols)
    fig, grid = plt.subplots(rows, ncols, figsize=(width, height * rows), squeeze=False, **options)
    axes = list(grid.ravel())
    for unused in axes[n:]:
        unused.set_visible(False)
    return fig, axes[:n]


def plot_models(ax: Axes, points: ArrayLike, models: Sequence[str], *, size: float = 34) -> None:
    """Draw each model as a point of (mean cost, mean quality) in its fixed colour and marker.

    The points carry no legend entries (`model_legend` makes one legend for all panels), so that an
    axes' own legend is free for the curves.

    Parameters
    ----------
    points : shape (m, 2), cost in USD per query and quality in [0, 1].
    models : m names.
    size : area of a marker in square points.
    """
    for (cost, quality), model in zip(np.asarray(points, dtype=float), models, strict=True):
        ax.scatter(cost, quality, s=size, edgecolor="white", linewidth=0.5, zorder=3, **model_style(model))


def plot_curve(ax: Axes, points: ArrayLike, label: str, *, router: str | None = None, **line: Any) -> None:
    """Draw the non-decreasing convex hull (RouterBench sec. 3.2) of a router's points in the router's style.

    Parameters
    ----------
    points : shape (n, 2), cost and quality.
    label : legend entry.
    router : name whose style is taken; default: the label.
    line : keyword arguments of `Axes.plot` that override the style.
    """
    costs, heights = hull(points).T
    positive = costs[costs > 0]
    between = np.geomspace(positive[0], positive[-1], 60) if len(positive) > 1 else positive
    # Points between the corners too: a mixture of two models is straight in cost, so bent on a log axis.
    dense = np.union1d(costs, np.clip(between, costs[0], costs[-1]))
    ax.plot(dense, np.interp(dense, costs, heights), label=label, **(router_style(router or label) | line))


def cost_axis(ax: Axes, label: str = COST_LABEL) -> None:
    """Make the x axis a logarithmic one of mean cost in USD per query, with two to four labelled ticks.

    For rows of panels, leave the label empty but in the last row, or call `fig.supxlabel(COST_LABEL)` once.
    """
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(_CostLocator())
    labels = LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(np.inf, np.inf))
    ax.xaxis.set_major_formatter(labels)
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel(label)


def cost_label(outcomes: Outcomes) -> str:
    """Label of the cost axis: USD, or seconds for a table whose cost is latency (column `cost_unit`).

    RouterBench names latency as future work; `rb_support.construct.export` writes such tables.
    """
    unit = outcomes.frame.get("cost_unit")
    seconds = unit is not None and (unit == "seconds").all()
    return "mean latency (seconds per query)" if seconds else COST_LABEL


class _CostLocator(LogLocator):
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
    points = (Line2D([], [], ls="none", label=short_name(name), **model_style(name)) for name in models)
    fig.legend(handles=[*lines.values(), *points], loc="outside lower center", ncol=ncol)
