"""Figures of RouteLLM's experiments: routers in the call-performance plane, and what labels are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rb_support.outcomes import PairScores
from rb_support.pairs import random_curve, random_spread
from rb_support.report.plots import panels
from rb_support.report.style import GREY, router_style

CALLS_LABEL = "calls to the strong model (%)"
_LINES = ("-", "--", ":")


def routers_figure(
    curves: pd.DataFrame, benchmarks: Mapping[str, PairScores], *, chance: float = 1.96
) -> Figure:
    """Routers in the call-performance plane, a panel per benchmark (RouteLLM Figure 1 and App. F).

    Parameters
    ----------
    curves : benchmark, training, router, share, score, as `preference_study.curve_table` gives them.
        A router has one colour; the last training set is a full line, those before it are dashed.
    benchmarks : name -> scores of the pair; those that `curves` names are drawn.
    chance : half the width of the random router's band, in standard deviations.
    """
    names = [name for name in benchmarks if name in set(curves["benchmark"])]
    fig, axes = panels(len(names), 3, width=7.0 if len(names) > 1 else 4.8, height=4.0)
    for ax, name in zip(axes, names, strict=True):
        _plot_benchmark(ax, curves[curves["benchmark"] == name], benchmarks[name], chance)
        ax.set_title(f"{name} (n = {len(benchmarks[name]):,})")
        ax.set_xlabel(CALLS_LABEL)
    axes[0].set_ylabel("mean score")
    handles = {h.get_label(): h for ax in axes for h in ax.get_legend_handles_labels()[0]}
    ncol = 3 if len(names) > 1 else 2
    fig.legend(handles=list(handles.values()), loc="outside lower center", ncol=ncol)
    return fig


def _plot_benchmark(ax: Axes, curves: pd.DataFrame, pairs: PairScores, chance: float) -> None:
    _plot_random(ax, pairs, chance)
    trainings = list(dict.fromkeys(curves["training"]))
    for (router, training), rows in curves.groupby(["router", "training"], sort=False):
        later = len(trainings) - 1 - trainings.index(training)
        color, line = router_style(str(router))["color"], _LINES[min(later, len(_LINES) - 1)]
        label = f"{router}, {training}"
        ax.plot(100 * rows["share"], rows["score"], label=label, linewidth=1.2, color=color, linestyle=line)


def _plot_random(ax: Axes, pairs: PairScores, chance: float) -> None:
    """The random router's straight line, and where 95% of random orders lie at each share."""
    shares = np.linspace(0, 1, 101)
    line = np.interp(shares, *random_curve(pairs.strong, pairs.weak))
    spread = chance * random_spread(pairs.strong, pairs.weak, shares)
    ax.fill_between(100 * shares, line - spread, line + spread, color=GREY, alpha=0.2, linewidth=0)
    ax.plot(100 * shares, line, color=GREY, linestyle=":", label="Random (band: 95%)")


def labels_figure(curve: pd.DataFrame, levels: Mapping[str, float], lines: Sequence[str] = ()) -> Figure:
    """APGR against the number of golden labels: mean and standard deviation over seeds.

    Parameters
    ----------
    curve : labels, seed, router, apgr, as `rb_support.studies.labels.learning_curve` gives them.
    levels : horizontal lines, such as the paper's best APGR.
    lines : routers to draw, in this order; default: all.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.6))
    summary = curve.groupby(["router", "labels"])["apgr"].agg(["mean", "std"])
    for number, router in enumerate(lines or dict.fromkeys(curve["router"])):
        rows = summary.loc[router]
        at = rows.index.to_numpy(dtype=float) * 1.03**number  # side by side, so that bars can be told apart
        color, line = router_style(router)["color"], _LINES[number % len(_LINES)]
        ax.errorbar(
            at, rows["mean"], rows["std"], marker="o", markersize=3, label=router, color=color, linestyle=line
        )
    for label, level in levels.items():
        ax.axhline(level, color=GREY, linestyle=":", linewidth=1)
        ax.annotate(
            label, (1, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7
        )
    ax.set_xscale("log")
    ax.set_xticks(sorted(set(curve["labels"])), [f"{n:,}" for n in sorted(set(curve["labels"]))])
    ax.minorticks_off()
    ax.set_xlabel("golden labels")
    ax.set_ylabel("APGR (mean and sd over seeds)")
    ax.legend(loc="upper left")
    return fig
