"""Pictures of cascades: one query's walk and one judge's curve (notebook 04), and beside a board (09)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from rb_support.catalog import short_name
from rb_support.report.figures import plot_cascades
from rb_support.report.plots import DASHED, panels_of, part_title, parts_of
from rb_support.report.style import BLACK, GREEN, GREY, VERMILLION, Style
from rb_support.report.text import short
from rb_support.routers import Cascade, model_points
from rb_support.studies.leaderboard import LEADS
from rb_support.studies.predictive import ZERO, Comparison


def draw_walk(fig: Figure | SubFigure, steps: pd.DataFrame, unit: str) -> None:
    """One query's walk: how likely each model is asked (line) and has its answer returned (bars).

    Parameters
    ----------
    steps : of `cascade_walk.walk`.
    unit : of costs.
    """
    ax, places = fig.subplots(), np.arange(len(steps))
    right = steps["right"].to_numpy(dtype=bool)
    for answers, color, hatch, word in ((right, GREEN, "", "right"), (~right, VERMILLION, "///", "wrong")):
        look = Style(color=color, hatch=hatch, edgecolor="white", label=f"returned: {word}")
        ax.bar(places[answers], steps["ends"][answers], **look)
    edges, path = np.arange(len(steps) + 1) - 0.5, [*steps["asked"], steps["asked"].iloc[-1]]
    ax.step(edges, path, where="post", color=BLACK, linewidth=1, label="asked")
    ax.set_xticks(places, [short(short_name(name), 14) for name in steps["model"]], rotation=90, fontsize=6)
    ax.set(ylim=(0, 1.3), yticks=[0, 0.5, 1], ylabel="probability")
    ends, quality, asked, usd = steps[["ends", "quality", "asked", "usd"]].to_numpy(dtype=float).T
    ax.set_title(f"quality {ends @ quality:.2f}, {1000 * (asked @ usd):.3g} {unit} per 1,000", fontsize=7.5)
    ax.legend(fontsize=6, loc="upper center", ncol=3, columnspacing=0.8, handlelength=1.2)


def draw_judge(
    fig: Figure | SubFigure, comparison: Comparison, grid: ArrayLike, error_rate: float, budget: float
) -> None:
    """One judge's cascade at every budget (line) and at one (diamond), beside the zero router.

    Parameters
    ----------
    comparison : whose test rows are routed.
    grid : budgets T, USD per query.
    error_rate, budget : of the diamond.
    """
    ax, table = fig.subplots(), comparison.test
    rules = Cascade.on(table)
    systems = {ZERO: model_points(table), "cascade": rules.system(grid, error_rate)}
    plot_cascades(ax, Comparison(table, systems), {"cascade": error_rate})
    ax.plot(*np.ravel(rules.expected([budget], [error_rate])), "D", color=BLACK, zorder=5)
    # the best single model, which a cascade has to be worth its price against
    ax.axhline(table.points()[:, 1].max(), color=GREY, linestyle=":", linewidth=0.8)
    ax.set_title(f"error {error_rate:.2f}, T = {budget:.2g} {table.cost_unit}", fontsize=7.5)
    ax.set_ylabel("mean quality")


def leads_figure(leads: pd.DataFrame, board: pd.DataFrame) -> Figure:
    """Leads of cascades by how often their judge errs, a panel per table; dotted: the best router's lead.

    Filled: a lead that counts. Grey: the same chains with judgments of other prompts' answers.

    Parameters
    ----------
    leads : of `board_cascades.cascade_leads`.
    board : of `leaderboard.board`, of the same tables.
    """
    best = board.groupby("table")["lead"].max()
    fig, axes = panels_of(parts_of(leads, "table"), ncols=4, height=1.7)
    for table, rows, ax in axes:
        ax.axhline(0, **DASHED)
        router = ax.axhline(best[table], color=VERMILLION, linestyle=":", linewidth=1.2, label="best router")
        ax.fill_between(rows["judge_error"], rows["low"], rows["high"], color=GREEN, alpha=0.2, linewidth=0)
        ax.plot(rows["judge_error"], rows["lead"], color=GREEN, linewidth=1)
        [dealt] = ax.plot(
            rows["judge_error"], rows["dealt"], "--", color=GREY, linewidth=1, label="judgments dealt out"
        )
        for leading, mine in rows.groupby(rows["finding"] == LEADS):
            face = GREEN if leading else "white"
            ax.plot(mine["judge_error"], mine["lead"], "o", color=GREEN, markerfacecolor=face, markersize=4)
        ax.set_title(part_title(table, rows["n"].iloc[0], 20), fontsize=7.5)
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.tick_params(labelsize=7)
    fig.legend(handles=[router, dealt], fontsize=7, loc="outside upper right", ncols=2)
    fig.supxlabel("answers on which the judge errs")
    fig.supylabel("honest lead")
    return fig
