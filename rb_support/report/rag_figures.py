"""Figures of notebook 05: Figure 7, the choice to search, the share of news, and pairs of two stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rb_support import catalog
from rb_support.report.figures import plot_comparison
from rb_support.report.plots import HONEST, cost_axis, model_legend, panels, plot_curve, plot_models, reach
from rb_support.report.style import BLUE, GREY, ORANGE, model_style, router_style
from rb_support.studies.predictive import ZERO, Comparison
from rb_support.studies.rag import SearchChoice
from rb_support.studies.two_stage import GENERATORS, PASSAGES


def zoomed_figure(comparison: Comparison, names: Sequence[str], title: str) -> Figure:
    """RouterBench's Figure 7: all routers from a fifth below the best model's quality upwards."""
    test = comparison.test
    best_cost, best_quality = max(test.points().tolist(), key=lambda point: point[1])
    fig, (ax,) = panels(1, width=6.4, height=4.8)
    plot_comparison(ax, comparison, names, title)
    plot_models(ax, test.points(), test.models, size=50)
    model_legend(fig, test.models, curves=ax)
    dearest = max(comparison.points(name)[:, 0].max() for name in names)
    near = (0.8 * min(best_cost / 4, comparison.oracle[0]), 1.02 * dearest) if best_cost else None
    ax.set(ylabel="mean quality", ylim=(best_quality - 0.2, comparison.oracle[1] + 0.02), xlim=near)
    return fig


def draw_choice(ax: Axes, choice: SearchChoice, fee: float, wtp: float) -> None:
    """Questions by the predicted gain of searching; those right of the line are searched.

    Parameters
    ----------
    fee : USD a search.
    wtp : USD that a unit of quality is worth.
    """
    kinds, line = sorted(set(choice.kind)), choice.price(fee, wtp)
    bins = np.linspace(min(choice.gain.min(), -0.2), max(choice.gain.max(), 0.8), 25).tolist()
    parts = [choice.gain[choice.kind == kind] for kind in kinds]
    colors = [BLUE, ORANGE, GREY]
    ax.hist(parts, bins, stacked=True, label=kinds, color=[colors[i % 3] for i in range(len(kinds))])
    ax.axvline(np.clip(line, bins[0], bins[-1]), color="black", linewidth=1.5)
    ax.axvspan(np.clip(line, bins[0], bins[-1]), bins[-1], color="black", alpha=0.07)
    ax.set(xlim=(bins[0], bins[-1]), xlabel="predicted gain of searching", ylabel="questions")
    ax.set_title(f"{(choice.gain > line).mean():.0%} searched", fontsize=8.5)
    ax.legend(fontsize=7)


def news_figure(by_share: pd.DataFrame, names: Sequence[str], dashed: str) -> Figure:
    """Honest leads of some routers by the share of questions on news, with intervals.

    Parameters
    ----------
    by_share : index (router, share); columns honest_minus_zero, honest_low, honest_high.
    names : routers to draw.
    dashed : the one of these that is drawn with dashes.
    """
    fig, (ax,) = panels(1, width=6.8, height=3)
    for i, name in enumerate(names):
        rows, look = by_share.loc[name], router_style(name)
        look = look | ({"linestyle": "--"} if name == dashed else {})
        x = rows.index.to_numpy(dtype=float) + 0.008 * i
        ax.errorbar(x, rows[HONEST[0]], reach(rows, *HONEST), marker="o", capsize=2, label=name, **look)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(xlabel="share of questions on news", ylabel="honest AIQ above zero")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def pairs_figure(step: Comparison, lines: Mapping[str, str]) -> Figure:
    """Every pair of a retriever and a generator, the zero router over them, and some routers.

    Parameters
    ----------
    step : of `two_stage.compare_steps`.
    lines : router -> line style.
    """
    fig, (ax,) = panels(1, width=6.4, height=3.6)
    plot_curve(ax, step.points(ZERO), ZERO)
    for name, line in lines.items():
        plot_curve(ax, step.points(name), name, linestyle=line)
    points = step.test.points().reshape(len(PASSAGES), -1, 2)
    for g, generator in enumerate(GENERATORS):
        color = model_style(generator.model)["color"]
        ax.plot(*points[:, g].T, color=color, linewidth=0.8, label=catalog.short_name(generator.model))
        for marker, (cost, quality) in zip("oXs", points[:, g], strict=True):
            ax.plot(cost, quality, marker, color=color)
    cost_axis(ax, log=True)
    ax.set(ylabel="mean quality", title="dot: no search, cross: 1 passage, square: 5")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return fig
