"""Figures of the leaderboard: who leads where, who can be told apart, and what settings change."""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rb_support.report.plots import DASHED, panels, panels_of, parts_of, reach, sentence_figure, write_beside
from rb_support.report.style import BLACK, GREY, VERMILLION, Style, model_styles
from rb_support.report.text import short
from rb_support.studies.leaderboard import BEHIND, EVERY, LEADS, RECOVERED, SAME, Overall, counted
from rb_support.studies.lineup import NULL

SHUFFLED = "shuffled labels, best"
"""Row of the heat map with the largest lead of any router that was fitted on shuffled labels."""
_LEAD = "honest AIQ minus the better zero router's (units of quality)"
_BARS = 6
"""Of more routers than these, lines in one panel have no intervals."""
_BEST = 3
"""So many routers of each table are drawn by what they recover of the gap."""
_WIDEST = 0.6
"""Shares of the gap beyond this are cut off."""


def router_looks(routers: Iterable[str]) -> dict[str, Style]:
    """Colour and marker of each router of a board, grey if it knows nothing, in whatever order."""
    looks = model_styles(sorted(set(routers)))
    return {name: look | ({"color": GREY} if name in NULL else {}) for name, look in looks.items()}


def board_figure(found: pd.DataFrame, every: Overall) -> Figure:
    """Heat map of leads, routers by mean rank down, tables across; what knows nothing stands apart below.

    Framed and starred: a lead that counts. "=": a zero router. Struck out: failed. Grey triangle: shown to
    lie behind zero. Simulated tables stand apart on the right, and are named so.

    Parameters
    ----------
    found : of `leaderboard.board`.
    every : `leaderboard.overall` of it.
    """
    if found["lead"].isna().all():
        return sentence_figure("No router could be judged on any table.")
    blind = found.loc[found["is_null"], "router"].unique().tolist()
    ranked = dict.fromkeys([*every.table["router"], *every.left_out, *found["router"]])
    names = [name for name in ranked if name not in blind]
    parts = found.drop_duplicates("table")
    simulated = (parts["kind"] == "simulated").to_numpy()
    tables = [*parts.loc[~simulated, "table"], *parts.loc[simulated, "table"]]
    gap = 0.3 if simulated.any() and not simulated.all() else 0.0
    across = {name: place + gap * (place >= (~simulated).sum()) for place, name in enumerate(tables)}
    down = {name: float(place) for place, name in enumerate(names)}
    down |= {name: len(names) + 0.3 + place for place, name in enumerate([*blind, SHUFFLED])}
    fig, (ax,) = panels(1, width=max(3.4, 1.7 + 0.62 * len(tables)), height=1.1 + 0.2 * len(down))
    most = float(np.nanquantile(found["lead"].abs(), 0.9)) or 1e-3
    for _, row in found.iterrows():
        _heat_cell(ax, across[row["table"]], down[row["router"]], row["lead"], str(row["finding"]), most)
    for name, lead in parts.set_index("table")["shuffled_high"].items():
        _heat_cell(ax, across[str(name)], down[SHUFFLED], lead, "", most)
    ax.set(xlim=(-0.5, max(across.values()) + 0.5), ylim=(max(down.values()) + 0.5, -0.5))
    ax.set_xticks(list(across.values()), [short(name, 22) for name in across], rotation=35, ha="left")
    ax.tick_params(axis="both", length=0, labeltop=True, labelbottom=False)
    ax.set_yticks(list(down.values()), [short(name, 24) for name in down], fontsize=7)
    for label, name in zip(ax.get_yticklabels(), down, strict=True):
        label.set(color=GREY if name in (*blind, SHUFFLED) else BLACK)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(f"{_LEAD}\n* leads   = a zero router   ▽ shown to lie behind it   × failed", fontsize=7)
    return fig


def _heat_cell(ax: Axes, x: float, y: float, lead: float, finding: str, most: float) -> None:
    """One cell: its lead by colour and in thousandths by number, and its finding by a mark."""
    told = np.isfinite(lead)
    # Purple to orange: told apart by every eye, and white where nothing is.
    shade = np.clip(lead / most, -1, 1) if told else 0.0
    fill = plt.get_cmap("PuOr_r")(0.5 + 0.42 * shade) if told else (1, 1, 1, 1)
    ax.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=fill, linewidth=0))
    mark = {LEADS: " *", SAME: " =", BEHIND: " ▽"}.get(finding, "")
    words = f"{round(lead, 3) + 0.0:+.3f}{mark}" if told else "×" if finding.startswith("failed") else "–"
    color, weight = "white" if abs(shade) > 0.85 else BLACK, "bold" if finding == LEADS else "normal"
    ax.text(x, y, words, ha="center", va="center", fontsize=6.5, fontweight=weight, color=color)
    if finding == LEADS:
        ax.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, fill=False, edgecolor=BLACK, linewidth=1.3))


def critical_difference_figure(every: Overall) -> Figure:
    """Mean ranks on a line, the best on the left; a bar joins routers that cannot be told apart.

    Demsar 2006, Figure 1. Grey: knows nothing.

    Parameters
    ----------
    every : of `leaderboard.overall`.
    """
    table = every.table
    if len(table) < 2:
        return sentence_figure("Fewer than two routers were judged on every table: there are no ranks.")
    k, half = len(table), -(-len(table) // 2)
    bars, top = 0.16 * len(every.groups), 0.75
    depth = top + bars + 0.22 * half
    fig, (ax,) = panels(1, height=depth + 0.35)
    ranks, names = table["mean_rank"].tolist(), table["router"].tolist()
    ax.hlines(0, 1, k, color=BLACK, linewidth=1)
    for rank in range(1, k + 1):
        ax.vlines(rank, 0, 0.06, color=BLACK, linewidth=0.8)
        ax.text(rank, 0.1, str(rank), ha="center", va="bottom", fontsize=7)
    if np.isfinite(every.critical):
        end = 1 + min(every.critical, k - 1)
        ax.plot([1, end], [0.42, 0.42], "|-", color=VERMILLION, linewidth=1.2, markersize=7)
        words = f"critical difference {every.critical:.1f}"
        words += " (wider than all ranks)" if every.critical > k - 1 else ""
        ax.text(1, 0.5, words, color=VERMILLION, fontsize=7.5, va="bottom")
    for place, group in enumerate(every.groups):
        ends = [ranks[names.index(name)] for name in (group[0], group[-1])]
        height = -0.14 - 0.16 * place
        ax.plot([ends[0] - 0.04 * k / 17, ends[1] + 0.04 * k / 17], [height] * 2, color=BLACK, linewidth=3)
    edge = 0.03 * (k - 1)
    for place, (name, rank, null) in enumerate(zip(names, ranks, table["is_null"], strict=True)):
        left = place < half
        height = -bars - 0.2 - 0.22 * (place if left else k - 1 - place)
        x, side = (1 - edge, "right") if left else (k + edge, "left")
        color, words = GREY if null else BLACK, f"{short(name, 24)}{' (knows nothing)' if null else ''}"
        words = f" {words}  {rank:.1f} " if left else f" {rank:.1f}  {words} "
        ax.plot([rank, rank, x], [0, height, height], color=GREY, linewidth=0.7)
        ax.plot(rank, 0, "o", color=color, markersize=3, clip_on=False)
        ax.text(x, height, words, ha=side, va="center", fontsize=7.5, color=color)
    ax.set(xlim=(1 - edge, k + edge), ylim=(-bars - 0.22 * half - 0.1, top))
    ax.set_axis_off()
    tables = int(table["tables"].iloc[0])
    test = f", Friedman p = {every.p:.2g}" if np.isfinite(every.p) else ""
    ax.set_title(f"Mean rank of {k} routers on {tables} table{'s' * (tables != 1)}{test}", fontsize=8.5)
    return fig


def leads_figure(found: pd.DataFrame, table: str) -> Figure:
    """Leads of all routers on one table, the largest on top, with two intervals, and what luck reaches.

    Thin: 95% for all cells of the board at once. Thick: for the cell looked at alone. Grey bar: largest of
    what the same predictions reach dealt out at random. Cross: fitted on shuffled labels. On the right the
    rank and its interval.

    Parameters
    ----------
    found : of `leaderboard.board`.
    table : one of its tables.
    """
    rows = found[(found["table"] == table) & found["lead"].notna()]
    if rows.empty:
        return sentence_figure(f"No router could be judged on {short(table, 40)}.")
    rows = rows.sort_values("lead", ascending=False, kind="stable")
    looks = router_looks(found["router"])
    fig, (ax,) = panels(1, height=1.3 + 0.2 * len(rows))
    for place, (_, row) in enumerate(rows.iterrows()):
        look, at = looks[row["router"]], [place] * 2
        ax.plot([row["low"], row["high"]], at, color=look["color"], linewidth=1)
        ax.plot([row["point_low"], row["point_high"]], at, color=look["color"], linewidth=3.2, alpha=0.55)
        ax.plot(row["lead"], place, linestyle="none", markersize=5.5, zorder=4, markeredgecolor=BLACK, **look)
        ax.plot([row["placebo_high"]] * 2, [place - 0.38, place + 0.38], color=GREY, linewidth=2.5, alpha=0.7)
        ax.plot(row["shuffled"], place, "x", color=BLACK, markersize=4.5, zorder=3)
        words = f"{row['rank']:.0f} [{row['rank_low']:.0f}, {row['rank_high']:.0f}]"
        words += {LEADS: "  leads", SAME: "  = zero", BEHIND: "  behind"}.get(str(row["finding"]), "")
        write_beside(ax, place, words, fontsize=7)
    write_beside(ax, -0.9, "rank", color=GREY, fontsize=7)
    ax.axvline(0, **DASHED)
    ax.set_yticks(range(len(rows)), [short(name, 24) for name in rows["router"]], fontsize=7.5)
    ax.set(xlabel=_LEAD, ylim=(len(rows) - 0.5, -0.7))
    seeds = int(rows["seeds"].max())
    sized = f"n = {rows['n'].max():,}, {seeds} split{'s' * (seeds != 1)}"
    what = "simulated, " if (rows["kind"] == "simulated").any() else ""
    ax.set_title(f"{short(table, 30)} ({what}{sized})")
    bar = Style(color=GREY, linewidth=0, marker="|", markersize=8, markeredgewidth=2.5)
    marks = {
        "95%, all cells at once": Style(color=BLACK, linewidth=1),
        "95%, this one alone": Style(color=BLACK, linewidth=3.2, alpha=0.55),
        "dealt out at random, largest": bar,
        "fitted on shuffled labels": Style(color=BLACK, linewidth=0, marker="x", markersize=4.5),
    }
    handles = [Line2D([], [], label=label, **look) for label, look in marks.items()]
    fig.legend(handles=handles, loc="outside lower center", ncol=4, fontsize=7)
    return fig


def settings_figure(changes: pd.DataFrame, routers: Iterable[str] = ()) -> Figure:
    """What embedding, number of neighbours and share of labels change: differences to the board's fits.

    Points and bars are means over the tables, with 95% intervals for all rows at once; small ones single
    tables.

    Parameters
    ----------
    changes : of `leaderboard.settings`.
    routers : all names of the board, so that each looks as in its other figures; if none, those of `changes`.
    """
    if changes.empty:
        return sentence_figure("No fit with another embedding, other settings or fewer labels was asked for.")
    changes = counted(changes)
    looks = router_looks([*routers, *changes["router"]])
    named = changes[changes["number"].isna()].groupby("what")[["router", "value"]]
    most = max((len(part.drop_duplicates()) for _, part in named), default=0)
    fig, axes = panels_of(parts_of(changes, "what"), height=max(2.6, 0.9 + 0.14 * most))
    for what, rows, ax in axes:
        if rows["number"].isna().any():
            _plot_named(ax, rows, looks)
        else:
            _plot_numbered(ax, rows, looks, share=what == "share")
        ax.set_title({"share": "share of labels"}.get(what, what), fontsize=8.5)
    names = [name for name in looks if name in set(changes["router"])]
    handles = [Line2D([], [], linestyle="none", markersize=5, label=short(n, 20), **looks[n]) for n in names]
    fig.legend(handles=handles, loc="outside lower center", ncol=min(6, len(names)), fontsize=7)
    return fig


def _pooled(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each router and value the mean over tables, or what its one table has."""
    mean = rows["table"] == EVERY
    pooled = mean.groupby([rows["router"], rows["value"]]).transform("any")
    return rows[mean | ~pooled]


def _plot_numbered(ax: Axes, rows: pd.DataFrame, looks: dict[str, Style], *, share: bool) -> None:
    """Difference against a number, on a logarithm."""
    names = list(dict.fromkeys(rows["router"]))
    ax.axhline(0, **DASHED)
    for place, name in enumerate(names):
        mine, look = rows[rows["router"] == name], looks[name]
        each, mean = mine[mine["table"] != EVERY], _pooled(mine).sort_values("number")
        aside = min(1.05, 1.25 ** (1 / len(names))) ** (place - (len(names) - 1) / 2)
        ax.plot(each["number"] * aside, each["difference"], ".", color=look["color"], markersize=3, alpha=0.5)
        if len(names) <= _BARS:
            bar = Style(yerr=reach(mean, "difference"), fmt="none", color=look["color"], elinewidth=1)
            ax.errorbar(mean["number"] * aside, mean["difference"], **bar)
        ax.plot(mean["number"] * aside, mean["difference"], markersize=4.5, linewidth=1, **look)
    ticks = np.unique(rows["number"])
    ax.set_xscale("log")
    ax.set_xticks(ticks)
    ax.minorticks_off()
    ax.xaxis.set_major_formatter(PercentFormatter(1) if share else "{x:g}")
    ax.tick_params(axis="x", labelsize=7, rotation=45 if len(ticks) > 4 else 0)
    ax.set_ylabel("change of the lead", fontsize=7.5)


def _plot_named(ax: Axes, rows: pd.DataFrame, looks: dict[str, Style]) -> None:
    """Difference of each router, a line for each value."""
    lines = list(rows[["router", "value"]].drop_duplicates().itertuples(index=False, name=None))
    several = rows["value"].nunique() > 1
    for place, (name, value) in enumerate(lines):
        mine, look = rows[(rows["router"] == name) & (rows["value"] == value)], looks[name]
        each, (_, mean) = mine[mine["table"] != EVERY], next(_pooled(mine).iterrows())
        ax.plot(each["difference"], [place] * len(each), ".", color=look["color"], markersize=3, alpha=0.5)
        ax.plot([mean["low"], mean["high"]], [place] * 2, color=look["color"], linewidth=1)
        ax.plot(mean["difference"], place, linestyle="none", markersize=4.5, **look)
    ax.axvline(0, **DASHED)
    labels = [f"{short(name, 16)}, {value}" if several else short(name, 20) for name, value in lines]
    ax.set_yticks(range(len(lines)), labels, fontsize=7)
    ax.set_ylim(len(lines) - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(3))
    only = "" if several else f" with {short(str(rows['value'].iloc[0]), 16)}"
    ax.set_xlabel(f"change of the lead{only}", fontsize=7.5)


def gap_figure(shares: pd.DataFrame, routers: Iterable[str] = ()) -> Figure:
    """Share of the gap from the best single model to the oracle that is recovered: each table's best routers.

    Intervals hold for all cells at once, so that picking the best is paid for; an arrow says that one goes
    on. A router that always calls the best single model recovers nothing for certain, and is left out where
    there are others.

    Parameters
    ----------
    shares : of `leaderboard.gap`.
    routers : all names of the board; if none, those of `shares`.
    """
    known = shares[~shares["is_null"]].dropna(subset=["share", "low"])
    moves = known[known["high"] > known["low"]]
    if moves.empty:
        why = "No router departs from the best single model: nothing of the gap is recovered."
        return sentence_figure(why)
    order = moves.sort_values("share", ascending=False, kind="stable")
    order = order.groupby("table", sort=False).head(_BEST)
    looks = router_looks([*routers, *shares["router"]])
    tables = [name for name in dict.fromkeys(known["table"]) if name in set(order["table"])]
    fig, (ax,) = panels(1, height=0.9 + 0.17 * len(order) + 0.08 * len(tables))
    y, ticks = 0.0, {}
    for table in tables:
        rows = order[order["table"] == table]
        for _, row in rows.iterrows():
            look, ends = looks[row["router"]], np.clip([row["low"], row["high"]], -_WIDEST, _WIDEST)
            ax.plot(ends, [y, y], color=look["color"], linewidth=1.2)
            for end, cut, mark in zip(ends, (row["low"], row["high"]), "<>", strict=True):
                if abs(cut) > _WIDEST:
                    ax.plot(end, y, mark, color=look["color"], markersize=3.5, clip_on=False)
            face = Style() if row["recovers"] else Style(markerfacecolor="white")
            if abs(row["share"]) <= _WIDEST:
                ax.plot(row["share"], y, linestyle="none", markersize=5, **look, **face)
            ticks[y] = short(row["router"], 22)
            y += 1
        label = f"{short(table, 24)}\nn = {rows['n'].iloc[0]:,}"
        write_beside(ax, y - 1 - (len(rows) - 1) / 2, label, fontsize=7)
        y += 0.5
        ax.axhline(y - 0.75, color="#E4E4E4", linewidth=0.8)
    ax.axvline(0, **DASHED)
    ax.axvline(RECOVERED, color=VERMILLION, linestyle=":", linewidth=1.2)
    paper = f" {RECOVERED:.1%}, arXiv 2608.08265"
    ax.text(RECOVERED, -0.7, paper, color=VERMILLION, fontsize=7, va="bottom")
    ax.set_yticks(list(ticks), list(ticks.values()), fontsize=7)
    ax.set_xlabel("share of the gap between best single model and oracle")
    ax.set(xlim=(-_WIDEST, _WIDEST), ylim=(y - 0.7, -0.7))
    ax.grid(visible=False, axis="y")
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return fig
