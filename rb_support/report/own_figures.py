"""Figures of notebook 08: an own table's models and router, what is saved, what more prompts would tell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from rb_support.deploy import Setting
from rb_support.outcomes import Outcomes
from rb_support.report.plots import (
    BAND,
    DASHED,
    PLACEBO_MARK,
    cost_axis,
    model_legend,
    panels,
    part_title,
    plot_curve,
    plot_models,
    reach,
    say,
)
from rb_support.report.style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION, Style, router_style
from rb_support.report.text import short
from rb_support.studies.own_savings import BEST, EQUAL, LUCK, MIXED, OVER_EQUAL, ROUTED, Savings
from rb_support.studies.predictive import PLACEBO, ZERO

_MARKS = ("D", "s", "^", "v", "P")
_PLAIN = "{x:,.6g}"


def frontier_figure(outcomes: Outcomes, curves: pd.DataFrame, settings: Mapping[str, Setting]) -> Figure:
    """Models, blind mixture and router: cost on the left linear, on the right logarithmic.

    Parameters
    ----------
    outcomes : whose models are the points and whose hull is the blind mixture.
    curves : `own_outcomes.honest_curves`.
    settings : goal -> setting, each a mark with its 95% intervals.
    """
    fig, axes = panels(2, 2, height=3.4, sharey=True)
    for ax in axes:
        for name, rows in curves[curves["router"] != ZERO].groupby("router", sort=False):
            look, cost = router_style(str(name)), rows["usd_per_query"]
            ax.fill_between(cost, rows["low"], rows["high"], color=look["color"], **BAND)
            label = "Placebo, middle 95%" if name == PLACEBO else f"{name}, honest, 95%"
            ax.plot(cost, rows["quality"], label=label, zorder=2.5, **look)
        plot_curve(ax, outcomes.points(), ZERO, until=outcomes.points()[:, 0].max())
        plot_models(ax, outcomes.points(), outcomes.models)
        for marker, (goal, setting) in zip(_MARKS, settings.items(), strict=False):
            _plot_setting(ax, setting, goal, marker)
        cost_axis(ax, outcomes.cost_unit, log=ax is axes[1])
    axes[0].set_title(part_title("Your models and router", len(outcomes)), fontsize=8.5)
    axes[1].set_title("the same, log cost", fontsize=8.5, fontweight="normal")
    axes[0].set_ylabel("mean quality")
    model_legend(fig, outcomes.models, curves=axes[0])
    return fig


def _plot_setting(ax: Axes, setting: Setting, goal: str, marker: str) -> None:
    (cost, *across), (quality, *up) = setting.usd_per_query, setting.quality
    look = Style(color=BLACK, linewidth=0.8, zorder=4)
    ax.plot(across, [quality, quality], **look)
    ax.plot([cost, cost], up, **look)
    face = Style(markerfacecolor="white", markeredgecolor=BLACK, linestyle="none", zorder=5)
    ax.plot([cost], [quality], marker=marker, markersize=6, label=f"set to {short(goal, 40)}", **face)


def savings_figure(saved: Savings) -> Figure:
    """The month's bill under each way to call the models, and what of the difference can be claimed.

    Left: bills with their 95% intervals. Right: savings with simultaneous intervals; 97.5% of
    routers that know nothing stay below the grey bar.
    """
    fig, (left, right) = panels(2, 2, height=2.6)
    rows = saved.table.set_index("what")
    names = {
        BEST: f"always {short(saved.best, 22)}",
        MIXED: f"fixed mixture, {saved.goal:.0%} of its quality",
        EQUAL: "fixed mixture as good as the router",
        ROUTED: f"router set to {saved.goal:.0%}",
    }
    colors = (GREY, ORANGE, ORANGE, BLUE)
    for place, (what, color) in enumerate(zip(names, colors, strict=True)):
        row = rows.loc[what]
        left.barh(place, row["usd_per_month"], color=color, alpha=0.8, height=0.6)
        left.plot([row["low"], row["high"]], [place, place], color=BLACK, linewidth=1)
    left.set_yticks(range(4), list(names.values()))
    left.set_title("The bill", fontsize=8.5)
    for place, (what, proven) in enumerate(saved.proven.items()):
        row, look = rows.loc[what], Style(color=GREEN if proven else GREY)
        right.plot([row["low"], row["high"]], [place, place], linewidth=1.2, **look)
        right.plot(row["usd_per_month"], place, "o", markersize=5, **look)
        if what == OVER_EQUAL:
            bar = Style(color=GREY, linewidth=3, alpha=0.6)
            right.plot([saved.of(LUCK)] * 2, [place - 0.3, place + 0.3], **bar)
    labels = ["router over\nthe best model", "mixture over\nthe best model", "router over\na mixture as good"]
    right.set_yticks(range(3), labels)
    right.axvline(0, **DASHED)
    right.plot([], [], "o-", color=GREEN, markersize=4, label="can be claimed")
    right.plot([], [], "o-", color=GREY, markersize=4, label="cannot")
    right.plot([], [], label="97.5% of placebos", **PLACEBO_MARK)
    right.set_title("What is saved", fontsize=8.5)
    model_legend(fig, curves=right, ncol=3)
    for ax, most in ((left, 3.5), (right, 2.5)):
        ax.set(ylim=(most, -0.5), xlabel="USD a month")
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.xaxis.set_major_formatter(_PLAIN)
    return fig


def more_prompts_figure(learnt: pd.DataFrame, width: pd.DataFrame) -> Figure:
    """What more labelled prompts would bring: a better router on the left, a sharper answer on the right.

    Parameters
    ----------
    learnt : `own_outcomes.learning_curve`.
    width : `own_savings.widths`.
    """
    fig, (left, right) = panels(2, 2, height=2.5)
    look = Style(fmt="o-", color=BLUE, markersize=4, linewidth=1)
    left.errorbar(learnt["rows"], learnt["lead"], yerr=reach(learnt, "lead"), **look)
    left.axhline(0, **router_style(ZERO), linewidth=1)
    left.set(title="The lead", xlabel="prompts learnt from", ylabel="honest AIQ minus the mixture's")
    measured, further = width[width["measured"]], width[~width["measured"]]
    if measured["half_width"].notna().any():
        right.plot(measured["rows"], measured["half_width"], "o", color=BLUE, markersize=4, label="measured")
        look = Style(color=GREY, label="extrapolated, one over the root")
        right.plot(further["rows"], further["half_width"], ":", **look)
        right.set_ylim(0, 1.3 * width["half_width"].max() or 1.0)
        right.legend()
    else:
        say(right, "These rows are too few to measure how wide the interval is.")
    right.set(title="The saving's interval", xlabel="prompts judged on", ylabel="half width, USD a month")
    for ax, sizes in ((left, learnt["rows"]), (right, width["rows"])):
        ax.title.set_fontsize(8.5)
        if len(ax.lines) > 1:
            ax.set_xscale("log")
            ax.set_xticks(np.unique(sizes)[::2])
            ax.xaxis.set_major_formatter("{x:,.0f}")
            ax.minorticks_off()
            ax.yaxis.set_major_formatter(_PLAIN)
    return fig


def draw_bills(fig: Figure | SubFigure, usd_per_query: Mapping[str, float], queries: int) -> None:
    """A month's three bills as bars, and what of their difference needs a router.

    Parameters
    ----------
    usd_per_query : of `own_savings.bills`.
    queries : a month.
    """
    ax, bills = fig.subplots(), {what: queries * usd for what, usd in usd_per_query.items()}
    for place, (usd, color) in enumerate(zip(bills.values(), (GREY, ORANGE, BLUE), strict=True)):
        ax.barh(place, usd, color=color, alpha=0.8, height=0.45)
    earned, most = bills[EQUAL] - bills[ROUTED], max(bills.values()) or 1.0
    color = GREEN if earned > 0 else VERMILLION
    ends = sorted([bills[ROUTED], bills[EQUAL]])
    ax.plot(ends, [1.62, 1.62], "|-", color=color, linewidth=2)
    at, side = (ends[1], "right") if ends[1] > most / 2 else (ends[0], "left")
    ax.text(at, 1.54, f"reading prompts: {earned:+,.0f}", color=color, fontsize=7, ha=side, va="bottom")
    ax.set_yticks(range(3), ["the best model", "a mixture as good", "the router"])
    ax.set(xlim=(0, 1.1 * most), ylim=(2.5, -0.5), xlabel="USD a month")
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.xaxis.set_major_formatter(_PLAIN)
