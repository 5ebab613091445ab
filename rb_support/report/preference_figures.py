"""Whole figures of the notebooks on preference routers: RouteLLM's, and those on labels, pairs and luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, product
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import ArrayLike, NDArray

from rb_support.frontier import exceeds
from rb_support.outcomes import PairScores
from rb_support.pairs import apgr, cpt, pgr, random_apgr_spread, random_scores, threshold_sweep
from rb_support.pairs.metrics import rounding
from rb_support.report.plots import (
    BAND,
    DASHED,
    label_ends,
    log_axis,
    model_legend,
    panels,
    panels_of,
    part_title,
    parts_of,
    reach,
    say,
    sentence_figure,
)
from rb_support.report.render import cell
from rb_support.report.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Style,
    distinct,
    router_style,
    training_styles,
)
from rb_support.report.text import short

Array = NDArray[np.float64]

_LINES = ("-", "--", ":")
_LABEL_COLORS = (GREY, ORANGE, PURPLE, GREEN, BLUE, BLACK)
_LOWEST, _HIGHEST = -0.25, 1.25
_RINGS = (BLACK, VERMILLION, GREEN, PURPLE, ORANGE)
_TRAINING_LOOKS = (("o", BLUE), ("s", VERMILLION), ("^", GREEN), ("D", PURPLE))
_COMMERCIAL = (("D", BLACK), ("s", ORANGE), ("^", GREEN), ("v", PURPLE))


def plot_call_performance(ax: Axes, shares: ArrayLike, scores: ArrayLike, weak: float, strong: float) -> None:
    """Draw a router in the call-performance plane, APGR shaded, CPT(50%) marked (RouteLLM Figure 1, right).

    Parameters
    ----------
    shares, scores : (k,) curve as `rb_support.pairs.threshold_sweep` gives it.
    weak, strong : mean score of either model alone; where they are equal a sentence says so.
    """
    area, threshold = apgr(shares, scores, weak, strong), cpt(shares, scores, weak, strong, 0.5)
    percent = 100 * np.asarray(shares, dtype=float)
    if area is None:
        same = abs(strong - weak) <= rounding(strong, weak)
        why = "there is no gap to recover" if same else "the curve has one share of calls only"
        say(ax, f"The models score {weak:.4g} and {strong:.4g}. No APGR can be shown: {why}.")
    else:
        ax.fill_between(percent, weak, np.asarray(scores, dtype=float), alpha=0.15, color=BLUE, linewidth=0)
    ours, chance = ("", "") if area is None else (f", APGR {cell(area, '.2f')} (shaded)", ", APGR 0.50")
    ax.plot(percent, scores, color=BLUE, label=f"router{ours}")
    ax.plot([0, 100], [weak, strong], color=GREY, linestyle="--", label=f"random router{chance}")
    if threshold is not None:
        half, label = weak + 0.5 * (strong - weak), f"CPT(50%) = {threshold:.0%} of calls"
        ax.plot([100 * threshold] * 2, [weak, half], color=GREEN, linestyle=":", linewidth=2, label=label)


def labels_figure(curve: pd.DataFrame, levels: Mapping[str, float], chance: float = 0.0) -> Figure:
    """APGR against the number of golden labels: mean and standard deviation over draws of labels.

    Parameters
    ----------
    curve : labels, seed, router, apgr, as `rb_support.studies.labels.learning_curve` gives them.
    levels : horizontal lines, such as the paper's best APGR.
    chance : standard deviation of APGR over random orders of the questions judged on; the grey band is where
        95% of them lie.
    """
    if curve.empty:
        return sentence_figure("There are too few golden labels for a learning curve.")
    fig, (ax,) = panels(1, width=6.4, height=3.8)
    ax.axhspan(0.5 - 1.96 * chance, 0.5 + 1.96 * chance, color=GREY, alpha=0.2, linewidth=0)
    summary = curve.groupby(["router", "labels"])["apgr"].agg(["mean", "std"])
    ends = {}
    for number, router in enumerate(dict.fromkeys(curve["router"])):
        rows = summary.loc[router]
        at = rows.index.to_numpy(dtype=float) * 1.03**number  # side by side, so that bars can be told apart
        color, line = _LABEL_COLORS[number % len(_LABEL_COLORS)], _LINES[number % len(_LINES)]
        ax.errorbar(at, rows["mean"], rows["std"].fillna(0), marker="o", markersize=3, color=color, ls=line)
        ends[f" {router}"] = (float(rows["mean"].iloc[-1]), color)
    for label, level in levels.items():
        ax.axhline(level, color=GREY, linestyle=":", linewidth=1)
        right = ax.get_yaxis_transform()
        ax.text(0.98, level, label, transform=right, ha="right", va="bottom", fontsize=7)
    label_ends(ax, ends, size=7)
    ax.set_xscale("log")
    sizes = sorted(set(curve["labels"]))
    ax.set_xticks(sizes, [f"{n:,}" for n in sizes])
    ax.minorticks_off()
    ax.set(xlabel="golden labels", ylabel="APGR (mean and sd over draws)")
    return fig


def commercial_figure(
    curves: pd.DataFrame, commercial: pd.DataFrame, pairs: PairScores, *, stretch: float = 1, title: str
) -> Figure:
    """RouteLLM's Figure 2: our routers' call-performance curves, and commercial routers as points.

    Parameters
    ----------
    curves : columns router, share (of strong calls, a fraction) and score; a curve per router.
    commercial : columns router, strong_share (a fraction) and score; may have no row. Its legend says that
        scores are as printed, or from published judgments if it has a column score_clean.
    pairs : scores of the pair on the curves' queries; random orders of them make the grey 95% band.
    stretch : what a score of `pairs` is multiplied by to be one of the curves.
    title : of the panel.
    """
    fig, (ax,) = panels(1, width=6.4, height=3.6)
    shares = np.linspace(0, 1, 101)
    line, deviation = (stretch * part for part in random_scores(pairs.strong, pairs.weak, shares))
    band = 1.96 * deviation
    ax.fill_between(100 * shares, line - band, line + band, color=GREY, alpha=0.2, linewidth=0)
    ax.plot(100 * shares, line, label="Random (band: 95%)", **router_style("random"))
    for name, curve in curves.groupby("router", sort=False):
        look = distinct(ax, router_style(str(name)))
        ax.plot(100 * curve["share"], curve["score"], label=str(name), **look)
    points = commercial[["router", "strong_share", "score"]].itertuples(index=False, name=None)
    scored = "published judgments" if "score_clean" in commercial else "as printed"
    for (name, share, score), (marker, color) in zip(points, cycle(_COMMERCIAL)):
        ax.scatter(100 * share, score, marker=marker, color=color, s=46, zorder=4, label=f"{name} ({scored})")
    ax.set(title=title, xlabel="calls to the strong model (%)", ylabel="mean score")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return fig


def plot_pair(ax: Axes, rate: ArrayLike, pair: PairScores, *, title: str) -> None:
    """PGR of a router on one pair of models over the share of strong calls, beside what random orders reach.

    Parameters
    ----------
    rate : (n,) win rates of the pair's queries.
    pair : what its models scored; where they score the same a sentence says so.
    title : name of the pair.
    """
    ax.set_title(short(title, 42), fontsize=7)
    low, high = float(pair.weak.mean()), float(pair.strong.mean())
    shares, scores = threshold_sweep(rate, pair.strong, pair.weak)
    line, deviation = random_scores(pair.strong, pair.weak, shares)
    recovered, spread = pgr(scores, low, high), random_apgr_spread(pair.strong, pair.weak)
    if recovered is None or spread is None:
        return say(ax, "There is no gap to recover.")
    band = 1.96 * deviation / (high - low)
    ax.fill_between(100 * shares, shares - band, shares + band, color=GREY, alpha=0.25, linewidth=0)
    ax.plot([0, 100], [0, 1], **DASHED)
    ax.plot(100 * shares, recovered, color=BLUE, linewidth=1.4)
    area = apgr(shares, scores, low, high)
    ax.set(ylim=(-0.5, 1.75), xlabel="calls to the strong model (%)", ylabel="gap recovered (PGR)")
    told = f"gap {high - low:.3f}\nAPGR {area:.2f}, chance 0.50 ± {1.96 * spread:.2f}"
    ax.text(0.97, 0.03, told, ha="right", transform=ax.transAxes, fontsize=7)


def plot_cost(ax: Axes, shares: ArrayLike, recovered: ArrayLike, ratio: float) -> None:
    """What a recovered part of the gap costs, as a share of the strong model's bill: a router, a random one.

    Parameters
    ----------
    shares, recovered : (k,) share of strong calls and PGR of a router; a sentence stands where PGR is NaN.
    ratio : price of a strong call over that of a weak one, at least 1.
    """
    curve = (np.asarray(shares, dtype=float), np.asarray(recovered, dtype=float), 0.0, 1.0)
    if not np.isfinite(curve[1]).all():
        return say(ax, "There is no gap to recover.")
    parts, weak = np.linspace(0, 1, 101), 1 / ratio
    needed = np.array([cpt(*curve, part) for part in parts], dtype=float)
    bills = {"random": parts + (1 - parts) * weak, "router": needed + (1 - needed) * weak}
    for (name, bill), color in zip(bills.items(), (GREY, BLUE), strict=True):
        ax.plot(100 * parts, 100 * bill, color=color, label=name, linestyle="--" if color == GREY else "-")
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
    words: dict[str, Any] = {"fontsize": 7, "color": VERMILLION, "bbox": ground}
    for place in (50, 80):
        ours, chance = (bills[name][place] for name in ("router", "random"))
        ax.vlines(place, 100 * ours, 100 * chance, color=VERMILLION, linewidth=1.2)
        ax.text(place + 1.5, 50 * (ours + chance), f"{chance / ours:.2f}x", **words)
    ax.axhline(100 * weak, color=GREY, linewidth=0.8, linestyle=":")
    ax.set(ylim=(0, 105), xlabel="gap recovered (%)", ylabel="bill (% of the strong model's)")
    ax.legend(loc="upper left", fontsize=7)


def transfer_figure(frame: pd.DataFrame, *, router: str) -> Figure:
    """APGR of one router on every pair of models against the pair's gap, a panel per benchmark.

    A grey bar is the band in which a router that knows nothing would lie on that pair. A filled point is
    outside of it. A triangle points to where a pair lies beyond the axis.

    Parameters
    ----------
    frame : rows of `rb_support.studies.transfer.transfer_map` with two more columns: benchmark, and
        mark, the name of a pair to point out (else empty).
    router : name for the label.
    """
    parts = parts_of(frame, "benchmark")
    if not parts:
        return sentence_figure("There is no pair of models with a gap between them.")
    rings = dict(zip(sorted({*frame["mark"]} - {""}), _RINGS, strict=False))
    fig, axes = panels_of(parts, width=7.0 if len(parts) > 1 else 4.6, height=3.5, sharey=True)
    for name, part, ax in axes:
        _plot_pairs(ax, part.dropna(subset="apgr"), rings)
        ax.set_title(f"{short(name, 24)}\n{len(part)} pairs, n = {part['n'].iloc[0]:,}")
    fig.axes[0].set_ylabel(f"APGR of {router}")
    fig.supxlabel("gap between the models' mean scores")
    model_legend(fig, curves=fig.axes, ncol=3)
    return fig


def _plot_pairs(ax: Axes, part: pd.DataFrame, rings: Mapping[str, str]) -> None:
    low, high = (part[end].clip(_LOWEST, _HIGHEST) for end in ("chance_low", "chance_high"))
    ax.vlines(part["gap"], low, high, color=GREY, alpha=0.35, linewidth=1, label="chance, 95%")
    ax.axhline(0.5, **DASHED)
    for outside, face, label in ((True, BLUE, "outside chance"), (False, "white", "within chance")):
        shown = part[part["outside"] == outside]
        dot = Style(s=14, color=face, edgecolor=BLUE, linewidth=0.7)
        inside = shown[shown["apgr"].between(_LOWEST, _HIGHEST)]
        ax.scatter(inside["gap"], inside["apgr"], label=label, **dot)
        for marker, beyond in (("v", shown["apgr"] < _LOWEST), ("^", shown["apgr"] > _HIGHEST)):
            edge = shown.loc[beyond, "apgr"].clip(_LOWEST, _HIGHEST)
            ax.scatter(shown.loc[beyond, "gap"], edge, marker=marker, **dot)
    for name, color in rings.items():
        row, ring = part[part["mark"] == name], Style(facecolor="none", edgecolor=color, linewidth=1.4)
        ax.scatter(row["gap"], row["apgr"].clip(_LOWEST, _HIGHEST), s=70, zorder=4, label=name, **ring)
    log_axis(ax)
    ax.set_ylim(_LOWEST - 0.08, _HIGHEST + 0.08)


def audit_figure(table: pd.DataFrame, differences: pd.DataFrame) -> Figure:
    """Printed APGR beside what random orders of the same queries reach, a panel per table.

    Grey: 95% of random orders. A filled marker has p < .05 after Holm's correction for all numbers of its
    table. The black bar is as long as the difference of two unrelated orders gets in 95% of cases.

    Parameters
    ----------
    table : as `rb_support.studies.audit.audit` gives it; tables without scores are left out.
    differences : as `rb_support.studies.audit.differences` gives it.
    """
    known = table[table["queries"] > 0]
    parts = parts_of(known, "table")
    if not parts:
        return sentence_figure("No table has numbers and scores to hold them against.")
    routers = list(dict.fromkeys(known["router"]))
    looks = dict(zip(dict.fromkeys(known["training"]), _TRAINING_LOOKS, strict=False))
    wide = 2.2 + 1.6 * min(len(parts), 4)
    fig, axes = panels_of(parts, 4, width=wide, height=2.4, sharex=True, sharey=True)
    for name, part, ax in axes:
        _plot_audited(ax, part, routers, looks)
        noise = differences.loc[differences["table"] == name, "noise"]
        if len(noise):
            ax.hlines(-0.75, 0.5, 0.5 + noise.iloc[0], color=BLACK, linewidth=2.5)
        ax.set(title=f"{fill(short(name), 20)}\n(n = {part['queries'].iloc[0]:,})", xlabel="APGR")
    first = fig.axes[0]
    first.set_yticks(range(len(routers)), routers)
    first.set_ylim(len(routers) - 0.5, -1.1)
    first.plot([], [], color=BLACK, linewidth=2.5, label="difference of two random orders, 95%")
    first.scatter([], [], marker="o", c="white", edgecolor=BLACK, label="hollow: p > .05 after Holm")
    model_legend(fig, curves=fig.axes, ncol=2)
    return fig


def _plot_audited(
    ax: Axes, part: pd.DataFrame, routers: Sequence[str], looks: Mapping[str, tuple[str, str]]
) -> None:
    low, high = part[["apgr_low", "apgr_high"]].iloc[0]
    ax.axvspan(low, high, color=GREY, label="95% of random orders", **BAND)
    ax.axvline(0.5, color=GREY, linestyle=":", linewidth=1)
    for router, rows in part.groupby("router", sort=False):
        ax.plot(rows["apgr"], [routers.index(str(router))] * len(rows), color=GREY, linewidth=0.7, zorder=2)
    for training, (marker, color) in looks.items():
        rows = part[part["training"] == training]
        places = [routers.index(router) for router in rows["router"]]
        faces = np.where(rows["apgr_holm"] < 0.05, color, "white").tolist()
        ax.scatter(rows["apgr"], places, marker=marker, s=26, c=faces, edgecolor=color, linewidth=1, zorder=3)
        ax.plot([], [], ls="none", marker=marker, color=color, label=str(training))


def new_model_figure(table: pd.DataFrame) -> Figure:
    """What routing to a new model gains over the pair's zero router, by its labels, a panel per table.

    Bars span the 95% interval of the mean over models. Grey: where predictions dealt out at random lie, up to
    their 97.5% quantile. Dashed: a regression that has all labels of the new model.

    Parameters
    ----------
    table : as `rb_support.studies.new_models.summary` gives it.
    """
    parts = parts_of(table, "table")
    if not parts:
        return sentence_figure("No table has enough rows and models to take one of them for a new one.")
    fig, axes = panels_of(parts, 4, width=2.2 + 1.5 * min(len(parts), 4), height=2.6, sharey=True)
    for name, part, ax in axes:
        places, (known, luck) = np.arange(len(part)), part[["full", "placebo"]].iloc[0]
        ax.axhspan(-luck, luck, color=GREY, **BAND)
        ax.axhline(0, color=GREY, linestyle=":", linewidth=1)
        ax.axhline(known, color=GREEN, linestyle="--", linewidth=1.2, label="regression with all labels")
        dot = Style(color=BLUE, marker="o", markersize=4, capsize=2, label="new model's router")
        ax.errorbar(places, part["gain"], np.nan_to_num(reach(part, "gain")), **dot)
        ax.set_xticks(places, ["all" if np.isnan(count) else f"{count:.0f}" for count in part["labels"]])
        ax.set_title(f"{short(name, 24)}\n({part['models'].iloc[0]} models)")
    fig.axes[0].fill_between([], [], color=GREY, alpha=0.25, label="knowing nothing, 95%")
    fig.axes[0].set_ylabel("APGR above 0.5")
    fig.supxlabel("labelled queries of the new model")
    model_legend(fig, curves=fig.axes, ncol=3)
    return fig


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
    looks = training_styles(trainings)
    names, routers = (list(dict.fromkeys(curves[column])) for column in ("benchmark", "router"))
    across, high = len(routers), 1.75 if len(names) > 1 else 2.3
    wide = min(7.2, 1.2 + 2.0 * across)
    fig, axes = panels(len(names) * across, across, width=wide, height=high, sharex=True, sharey="row")
    for ax, (name, router) in zip(axes, product(names, routers), strict=True):
        part = curves[(curves["benchmark"] == name) & (curves["router"] == router)]
        _plot_excess(ax, part, looks)
        if name == names[0]:
            ax.set_title(short(router, 24), fontsize=8)
        if router == routers[0]:
            ax.set_ylabel(f"{short(name, 18)}\nPGR - share", fontsize=8)
    fig.supxlabel("calls to the strong model (%)")
    model_legend(fig, curves=axes, ncol=3)
    return fig


def _plot_excess(ax: Axes, curves: pd.DataFrame, looks: Mapping[str, Style]) -> None:
    if curves.empty or curves["pgr"].isna().all():
        say(ax, "There is no gap to recover." if len(curves) else "No such router here.")
        return
    band = curves.drop_duplicates("share")
    share, chance = 100 * band["share"], band["chance"]
    ax.fill_between(share, -chance, chance, color=GREY, alpha=0.2, linewidth=0, label="random, 95%")
    ax.axhline(0, color=GREY, linewidth=0.8)
    for training, rows in curves.groupby("training", sort=False):
        look = Style(linewidth=1.2) | looks[str(training)]
        ax.plot(100 * rows["share"], rows["pgr"] - rows["share"], label=short(str(training)), **look)
    ax.text(0.97, 0.03, f"n = {band['queries'].iloc[0]:,}", transform=ax.transAxes, ha="right", fontsize=6)


def calibration_figure(bins: pd.DataFrame) -> Figure:
    """What routers predict of held-out battles against what came out, a panel per training set.

    Parameters
    ----------
    bins : as `preference_controls.reliability` gives them. A calibrated router lies on the diagonal; one that
        has learnt nothing is a flat line, or a point.
    """
    parts = parts_of(bins, "training")
    if not parts:
        return sentence_figure("Too few battles between the classes to hold some out.")
    fig, axes = panels_of(parts, 2, width=6.4 if len(parts) > 1 else 4.2, height=2.6)
    for name, part, ax in axes:
        ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":", label="calibrated")
        for router, rows in part.groupby("router", sort=False):
            look = router_style(str(router))
            ax.plot(rows["predicted"], rows["won"], marker="o", markersize=3.5, label=str(router), **look)
        held = int(part.groupby("router")["battles"].sum().iloc[0])
        ax.set_title(part_title(name, held, 30), fontsize=8)
        ends = part[["predicted", "won"]].to_numpy()
        low, high = max(0.0, ends.min() - 0.05), min(1.0, ends.max() + 0.05)
        ax.set(xlim=(low, high), ylim=(low, high))
    fig.supxlabel("predicted win rate of the strong class")
    fig.supylabel("share of held-out wins")
    model_legend(fig, curves=fig.axes, ncol=3)
    return fig


def categories_figure(table: pd.DataFrame, *, unit: str) -> Figure:
    """Win rate that a router gives a category against the gap that is there, a panel per router.

    Parameters
    ----------
    table : as `category_study.categories` gives them.
    unit : of the gap, such as "points of 10".
    """
    parts = parts_of(table, "router")
    if not parts:
        return sentence_figure("No router of this training set was judged here.")
    fig, axes = panels_of(parts, 2, width=6.4 if len(parts) > 1 else 4.2, height=2.5)
    for router, part, ax in axes:
        plot_categories(ax, part)
        ax.set(xlabel="", ylabel="")
        ax.set_title(short(router, 24), fontsize=8)
    fig.supxlabel(f"gap between the models ({unit})")
    fig.supylabel("predicted win rate")
    return fig


def plot_categories(ax: Axes, part: pd.DataFrame) -> None:
    """Draw the win rate that one router gives each category against its gap, with a line through them.

    Parameters
    ----------
    part : as `category_study.categories` gives them of one router; of none a sentence says so.
    """
    if part.empty:
        say(ax, "No router was judged here.")
        return
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
    ax.set(xlabel="gap", ylabel="win rate")


def tiers_figure(tiers: pd.DataFrame, gaps: pd.DataFrame, pair: Sequence[str]) -> Figure:
    """Ratings on a line, and the borders between tiers.

    Parameters
    ----------
    tiers : model, rating and tier, the best first.
    gaps : between neighbours, as `rb_support.studies.preference_found.tier_gaps` gives them.
    pair : the strong and the weak model, whose dots are larger.
    """
    fig, (ax,) = panels(1, width=7.2, height=1.9)
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    ax.vlines(gaps.loc[gaps["cut"], "place"], -0.6, 0.6, color=GREY, linestyle="--", linewidth=0.8)
    dot = Style(color=SKY, edgecolor=BLUE, linewidth=0.6)
    ax.scatter(tiers["rating"], np.zeros(len(tiers)), s=22, zorder=2, **dot)
    for tier, rows in tiers.groupby("tier"):
        ax.text(rows["rating"].mean(), -0.75, str(tier), ha="center", va="top", fontsize=7)
    line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.7}
    pointer = Style(ha="center", va="bottom", fontsize=7, arrowprops=line)
    for height, model, color in zip((1.3, 0.7), pair, (BLUE, VERMILLION), strict=True):
        for rating in tiers.loc[tiers["model"] == model, "rating"]:
            ax.scatter(rating, 0, s=60, color=color, zorder=3)
            ax.annotate(short(str(model), 30), (rating, 0), (rating, height), color=color, **pointer)
    ax.set(ylim=(-1.3, 1.9), yticks=[], xlabel="rating (Elo scale), and below the line the tiers")
    ax.spines["left"].set_visible(False)
    return fig


def plot_query(fig: Figure | SubFigure, near: pd.DataFrame, rates: Array, rate: float, alpha: float) -> None:
    """Draw one query's nearest battles, and below the win rate that all battles give beside a threshold.

    Parameters
    ----------
    fig : an empty figure.
    near : the nearest battles: won (the strong model's share) and weight (share of all weight).
    rates : (q,) win rates of many queries, for the histogram.
    rate : win rate of this query.
    alpha : threshold from which on the strong model is called.
    """
    bars, line = fig.subplots(2, 1, height_ratios=[3, 2])
    winner = np.sign(near["won"] - 0.5)
    for label, color, side in (("strong won", BLUE, 1), ("tie", GREY, 0), ("weak won", ORANGE, -1)):
        rows = winner == side
        bars.bar(np.flatnonzero(rows), 100 * near.loc[rows, "weight"], color=color, width=0.8)
        bars.plot([], [], "s", color=color, label=label)
    weighed = f"nearest {len(near)}: {near['weight'].sum():.1%} of the weight"
    bars.set(xticks=[], ylabel="weight (%)", xlabel=weighed)
    bars.legend(fontsize=6, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    line.hist(rates, bins=np.linspace(0, 1, 101).tolist(), color=SKY, alpha=0.6)
    line.axvline(alpha, color=BLACK, linestyle="--", linewidth=1)
    model, color = ("weak", ORANGE) if exceeds(alpha, rate) else ("strong", BLUE)
    line.axvline(rate, color=color, linewidth=2)
    line.set(xlim=(0, 1), yticks=[], xlabel=f"win rate {rate:.3f}, threshold {alpha:.3f}: {model} model")


def training_figure(losses: pd.DataFrame) -> Figure:
    """Loss in training and on held-out prompts, a panel per router, a line per member; dots: weights kept.

    Parameters
    ----------
    losses : of one training set, as `rb_support.studies.preference_found.histories` gives them.
    """
    parts = parts_of(losses, "router")
    if not parts:
        return sentence_figure("No win model was trained.")
    fig, axes = panels_of(parts, width=8.0 if len(parts) > 1 else 5.0, height=2.2)
    for name, part, ax in axes:
        for _, run in part.groupby("member"):
            ax.plot(run["step"], run["train"], **DASHED, label="training")
            ax.plot(run["step"], run["validation"], color=BLUE, linewidth=1, label="held out")
            kept = run[run["kept"]]
            ax.plot(kept["step"], kept["validation"], "o", color=VERMILLION, markersize=4, label="kept")
        ax.set_title(short(name, 24), fontsize=8)
        ax.set_xlabel("steps of the optimizer")
    fig.axes[0].set_ylabel("loss (nats a battle)")
    lines, names = ax.get_legend_handles_labels()
    ax.legend(lines[:3], names[:3], loc="center left", bbox_to_anchor=(1.01, 0.5))
    return fig
