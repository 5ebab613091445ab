"""Figures of the preference study: routers by training set, held-out battles, categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rb_support.report.plots import model_legend, panels, say, sentence_figure
from rb_support.report.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, router_style
from rb_support.report.text import short

_TRAININGS: tuple[dict[str, Any], ...] = (
    {"color": BLACK, "linestyle": "--"},
    {"color": BLUE, "linestyle": "-"},
    {"color": GREEN, "linestyle": "-"},
    {"color": VERMILLION, "linestyle": ":", "linewidth": 1.8},
    {"color": PURPLE, "linestyle": "-."},
    {"color": ORANGE, "linestyle": "-."},
)


def routers_figure(curves: pd.DataFrame, trainings: Sequence[str]) -> Figure:
    """How much more of the gap than its share of calls a router recovers (RouteLLM Figure 1 and App. F).

    A panel per benchmark and router; a line per training set. The random router is the line at 0, the grey
    band where 95% of random orders of the same queries lie.

    Parameters
    ----------
    curves : as `preference_study.curve_table` gives them.
    trainings : names of all training sets, each of which has one look in every figure; the first is dashed.
    """
    if curves.empty:
        return sentence_figure("No benchmark has a curve to show.")
    looks = {name: _TRAININGS[i % len(_TRAININGS)] for i, name in enumerate(trainings)}
    names, routers = (list(dict.fromkeys(curves[column])) for column in ("benchmark", "router"))
    size = {"width": min(7.2, 1.2 + 2.0 * len(routers)), "height": 1.75 if len(names) > 1 else 2.3}
    fig, axes = panels(len(names) * len(routers), len(routers), sharex=True, sharey="row", **size)
    places = iter(axes)
    for row, name in enumerate(names):
        for column, router in enumerate(routers):
            ax = next(places)
            part = curves[(curves["benchmark"] == name) & (curves["router"] == router)]
            _plot_excess(ax, part, looks)
            if row == 0:
                ax.set_title(short(router, 24), fontsize=8)
            if column == 0:
                ax.set_ylabel(f"{short(name, 18)}\nPGR - share", fontsize=8)
    fig.supxlabel("calls to the strong model (%)", fontsize=8)
    model_legend(fig, curves=axes, ncol=3)
    return fig


def _plot_excess(ax: Axes, curves: pd.DataFrame, looks: Mapping[str, Mapping[str, Any]]) -> None:
    if curves.empty or curves["pgr"].isna().all():
        say(ax, "There is no gap to recover." if len(curves) else "No such router here.")
        return
    band = curves.drop_duplicates("share")
    share, chance = 100 * band["share"], band["chance"]
    ax.fill_between(share, -chance, chance, color=GREY, alpha=0.2, linewidth=0, label="random, 95%")
    ax.axhline(0, color=GREY, linewidth=0.8)
    for training, rows in curves.groupby("training", sort=False):
        look: dict[str, Any] = {"linewidth": 1.2, **looks[str(training)]}
        ax.plot(100 * rows["share"], rows["pgr"] - rows["share"], label=short(str(training), 40), **look)
    ax.text(0.97, 0.03, f"n = {band['queries'].iloc[0]:,}", transform=ax.transAxes, ha="right", fontsize=6)


def calibration_figure(bins: pd.DataFrame) -> Figure:
    """What routers predict of held-out battles against what came out, a panel per training set.

    Parameters
    ----------
    bins : as `preference_controls.reliability` gives them. A calibrated router lies on the diagonal; one that
        has learnt nothing is a flat line, or a point.
    """
    names = list(dict.fromkeys(bins["training"]))
    if not names:
        return sentence_figure("Too few battles between the classes to hold some out.")
    fig, axes = panels(len(names), 2, width=6.4 if len(names) > 1 else 4.2, height=2.6)
    for ax, name in zip(axes, names, strict=True):
        part = bins[bins["training"] == name]
        ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":", label="calibrated")
        for router, rows in part.groupby("router", sort=False):
            look = router_style(str(router))
            ax.plot(rows["predicted"], rows["won"], marker="o", markersize=3.5, label=str(router), **look)
        held = int(part.groupby("router")["battles"].sum().iloc[0])
        ax.set_title(f"{short(name, 30)} (n = {held:,})", fontsize=8)
        ends = part[["predicted", "won"]].to_numpy()
        low, high = max(0.0, ends.min() - 0.05), min(1.0, ends.max() + 0.05)
        ax.set(xlim=(low, high), ylim=(low, high))
    fig.supxlabel("predicted win rate of the strong class", fontsize=8)
    fig.supylabel("share of held-out wins", fontsize=8)
    model_legend(fig, curves=axes, ncol=3)
    return fig


def categories_figure(table: pd.DataFrame, *, unit: str) -> Figure:
    """Win rate that a router gives a category against the gap that is there, a panel per router.

    Parameters
    ----------
    table : as `category_study.categories` gives them.
    unit : of the gap, such as "points of 10".
    """
    routers = list(dict.fromkeys(table["router"]))
    if not routers:
        return sentence_figure("No router of this training set was judged here.")
    fig, axes = panels(len(routers), 2, width=6.4 if len(routers) > 1 else 4.2, height=2.5)
    for ax, router in zip(axes, routers, strict=True):
        part = table[table["router"] == router]
        ax.scatter(part["gap"], part["win_rate"], s=18, color=SKY, edgecolor=BLUE, linewidth=0.7)
        if len(part) <= 12:
            for category, gap, rate in part[["category", "gap", "win_rate"]].itertuples(index=False):
                label = short(str(category).removeprefix("mtbench-"), 16)
                ax.annotate(label, (gap, rate), xytext=(3, 2), textcoords="offset points", fontsize=6)
        if part["gap"].nunique() > 1:
            slope, level = np.polyfit(part["gap"], part["win_rate"], 1)
            ends = np.array([part["gap"].min(), part["gap"].max()])
            ax.plot(ends, level + slope * ends, color=VERMILLION if slope < 0 else GREEN, linewidth=1)
        ax.margins(0.15)
        ax.set_title(short(str(router), 24), fontsize=8)
    fig.supxlabel(f"gap between the models ({unit})", fontsize=8)
    fig.supylabel("predicted win rate", fontsize=8)
    return fig
