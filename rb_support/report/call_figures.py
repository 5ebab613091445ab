"""Whole figures in the call-performance plane: RouteLLM's, and those on labels and transfer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from rb_support.outcomes import PairScores
from rb_support.pairs import apgr, cpt, random_scores
from rb_support.pairs.metrics import rounding
from rb_support.report.plots import (
    log_axis,
    model_legend,
    panels,
    panels_of,
    part_title,
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
    VERMILLION,
    distinct,
    router_style,
)
from rb_support.report.text import short

_LINES = ("-", "--", ":")
_LOWEST, _HIGHEST = -0.25, 1.25
_RINGS = (BLACK, VERMILLION, GREEN, PURPLE, ORANGE)
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


def routers_figure(curves: pd.DataFrame, benchmarks: Mapping[str, PairScores]) -> Figure:
    """Routers in the call-performance plane, a panel per benchmark (RouteLLM Figure 1 and App. F).

    Parameters
    ----------
    curves : benchmark, training, router, share, score, as `preference_study.curve_table` gives them.
        A router has one colour; the last training set is a full line, those before it are dashed.
    benchmarks : name -> scores of the pair; those that `curves` names are drawn.
    """
    parts = {name: benchmarks[name] for name in benchmarks if name in set(curves["benchmark"])}
    if not parts:
        return sentence_figure("No benchmark has a curve to show.")
    fig, axes = panels_of(parts, width=7.0 if len(parts) > 1 else 4.8, height=4.0)
    for name, (ax,) in axes.items():
        _plot_benchmark(ax, curves[curves["benchmark"] == name], parts[name])
        ax.set_title(part_title(name, parts[name]))
        ax.set_xlabel("calls to the strong model (%)")
    drawn = [ax for (ax,) in axes.values()]
    drawn[0].set_ylabel("mean score")
    model_legend(fig, curves=drawn, ncol=3 if len(parts) > 1 else 2)
    return fig


def _plot_benchmark(ax: Axes, curves: pd.DataFrame, pairs: PairScores) -> None:
    shares = np.linspace(0, 1, 101)
    line, deviation = random_scores(pairs.strong, pairs.weak, shares)
    band = 1.96 * deviation  # where 95% of random orders lie
    ax.fill_between(100 * shares, line - band, line + band, color=GREY, alpha=0.2, linewidth=0)
    ax.plot(100 * shares, line, color=GREY, linestyle=":", label="Random (band: 95%)")
    trainings = list(dict.fromkeys(curves["training"]))
    for (router, training), rows in curves.groupby(["router", "training"], sort=False):
        later = len(trainings) - 1 - trainings.index(training)
        color, style = router_style(str(router))["color"], _LINES[min(later, len(_LINES) - 1)]
        look = distinct(ax, {"color": color, "linestyle": style})
        ax.plot(100 * rows["share"], rows["score"], label=f"{router}, {training}", linewidth=1.2, **look)


def labels_figure(curve: pd.DataFrame, levels: Mapping[str, float]) -> Figure:
    """APGR against the number of golden labels: mean and standard deviation over seeds.

    Parameters
    ----------
    curve : labels, seed, router, apgr, as `rb_support.studies.labels.learning_curve` gives them.
    levels : horizontal lines, such as the paper's best APGR.
    """
    if curve.empty:
        return sentence_figure("There are too few golden labels for a learning curve.")
    fig, (ax,) = panels(1, width=5.2, height=3.6)
    summary = curve.groupby(["router", "labels"])["apgr"].agg(["mean", "std"])
    for number, router in enumerate(dict.fromkeys(curve["router"])):
        rows = summary.loc[router]
        at = rows.index.to_numpy(dtype=float) * 1.03**number  # side by side, so that bars can be told apart
        drawn = {"label": router, "color": router_style(router)["color"], "ls": _LINES[number % len(_LINES)]}
        ax.errorbar(at, rows["mean"], rows["std"], marker="o", markersize=3, **drawn)
    for label, level in levels.items():
        ax.axhline(level, color=GREY, linestyle=":", linewidth=1)
        right = ax.get_yaxis_transform()
        ax.text(1, level, label, transform=right, ha="right", va="bottom", fontsize=7)
    ax.set_xscale("log")
    ax.set_xticks(sorted(set(curve["labels"])), [f"{n:,}" for n in sorted(set(curve["labels"]))])
    ax.minorticks_off()
    ax.set_xlabel("golden labels")
    ax.set_ylabel("APGR (mean and sd over seeds)")
    ax.legend(loc="upper left")
    return fig


def commercial_figure(
    curves: pd.DataFrame, commercial: pd.DataFrame, *, ends: tuple[float, float], title: str
) -> Figure:
    """RouteLLM's Figure 2: our routers' call-performance curves, and commercial routers as points.

    Parameters
    ----------
    curves : columns router, share (of strong calls, a fraction) and score; a curve per router.
    commercial : columns router, strong_share (a fraction) and score; may have no row. Its legend says that
        scores are as printed, or from published judgments if it has a column score_clean.
    ends : score of the weak and of the strong model alone.
    title : of the panel.
    """
    fig, (ax,) = panels(1, width=6.4, height=3.6)
    ax.plot([0, 100], ends, label="Random", **router_style("random"))
    for name, curve in curves.groupby("router", sort=False):
        ax.plot(
            100 * curve["share"], curve["score"], label=str(name), **distinct(ax, router_style(str(name)))
        )
    points = commercial[["router", "strong_share", "score"]].itertuples(index=False, name=None)
    scored = "published judgments" if "score_clean" in commercial else "as printed"
    for (name, share, score), (marker, color) in zip(points, cycle(_COMMERCIAL)):
        ax.scatter(100 * share, score, marker=marker, color=color, s=46, zorder=4, label=f"{name} ({scored})")
    ax.set(title=title, xlabel="calls to the strong model (%)", ylabel="mean score")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return fig


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
    parts = {str(name): part for name, part in frame.groupby("benchmark", sort=False)}
    if not parts:
        return sentence_figure("There is no pair of models with a gap between them.")
    rings = dict(zip(sorted({*frame["mark"]} - {""}), _RINGS, strict=False))
    fig, axes = panels_of(parts, width=7.0 if len(parts) > 1 else 4.6, height=3.5, sharey=True)
    for name, (ax,) in axes.items():
        _plot_pairs(ax, parts[name].dropna(subset="apgr"), rings)
        ax.set_title(f"{short(name, 24)}\n{len(parts[name])} pairs, n = {parts[name]['n'].iloc[0]:,}")
    drawn = [ax for (ax,) in axes.values()]
    drawn[0].set_ylabel(f"APGR of {router}")
    fig.supxlabel("gap between the models' mean scores", fontsize=8)
    model_legend(fig, curves=drawn, ncol=3)
    return fig


def _plot_pairs(ax: Axes, part: pd.DataFrame, rings: Mapping[str, str]) -> None:
    low, high = (part[end].clip(_LOWEST, _HIGHEST) for end in ("chance_low", "chance_high"))
    ax.vlines(part["gap"], low, high, color=GREY, alpha=0.35, linewidth=1, label="chance, 95%")
    ax.axhline(0.5, color=GREY, linestyle="--", linewidth=1)
    for outside, face, label in ((True, BLUE, "outside chance"), (False, "white", "within chance")):
        shown = part[part["outside"] == outside]
        dot: dict[str, Any] = {"s": 14, "color": face, "edgecolor": BLUE, "linewidth": 0.7}
        inside = shown[shown["apgr"].between(_LOWEST, _HIGHEST)]
        ax.scatter(inside["gap"], inside["apgr"], label=label, **dot)
        for marker, beyond in (("v", shown["apgr"] < _LOWEST), ("^", shown["apgr"] > _HIGHEST)):
            edge = shown.loc[beyond, "apgr"].clip(_LOWEST, _HIGHEST)
            ax.scatter(shown.loc[beyond, "gap"], edge, marker=marker, **dot)
    for name, color in rings.items():
        row = part[part["mark"] == name]
        x, y = row["gap"], row["apgr"].clip(_LOWEST, _HIGHEST)
        ax.scatter(x, y, s=70, facecolor="none", edgecolor=color, linewidth=1.4, zorder=4, label=name)
    log_axis(ax)
    ax.set_ylim(_LOWEST - 0.08, _HIGHEST + 0.08)
