"""Figures of model-pair transfer: commercial routers beside ours, and APGR over all pairs by their gap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rb_support.report.plots import cost_axis, panels
from rb_support.report.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION, router_style

_LOWEST, _HIGHEST = -0.25, 1.25
_RINGS = (BLACK, VERMILLION, GREEN, PURPLE, ORANGE)
_COMMERCIAL = (("D", BLACK), ("s", ORANGE))


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
        ax.plot(100 * curve["share"], curve["score"], label=str(name), **router_style(str(name)))
    points = commercial[["router", "strong_share", "score"]].itertuples(index=False, name=None)
    how = "published judgments" if "score_clean" in commercial else "as printed"
    for (name, share, score), (marker, color) in zip(points, _COMMERCIAL, strict=False):
        ax.scatter(100 * share, score, marker=marker, color=color, s=46, zorder=4, label=f"{name} ({how})")
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
    parts = list(frame.groupby("benchmark", sort=False))
    rings = dict(zip(sorted({*frame["mark"]} - {""}), _RINGS, strict=False))
    fig, axes = panels(len(parts), 3, width=7.0 if len(parts) > 1 else 4.6, height=3.5, sharey=True)
    for ax, (benchmark, part) in zip(axes, parts, strict=True):
        _plot_pairs(ax, part.dropna(subset="apgr"), rings)
        ax.set_title(f"{benchmark}\n{len(part)} pairs, n = {part['n'].iloc[0]:,}")
    axes[0].set_ylabel(f"APGR of {router}")
    fig.supxlabel("gap between the models' mean scores", fontsize=8)
    named = {
        label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    fig.legend(named.values(), named.keys(), loc="outside lower center", ncol=3)
    return fig


def _plot_pairs(ax: Axes, part: pd.DataFrame, rings: Mapping[str, str]) -> None:
    ax.vlines(
        part["gap"],
        part["chance_low"].clip(_LOWEST, _HIGHEST),
        part["chance_high"].clip(_LOWEST, _HIGHEST),
        color=GREY,
        alpha=0.35,
        linewidth=1,
        label="chance, 95%",
    )
    ax.axhline(0.5, color=GREY, linestyle="--", linewidth=1)
    for outside, face, label in ((True, BLUE, "outside chance"), (False, "white", "within chance")):
        shown = part[part["outside"] == outside]
        look: dict[str, Any] = {"s": 14, "color": face, "edgecolor": BLUE, "linewidth": 0.7}
        inside = shown[shown["apgr"].between(_LOWEST, _HIGHEST)]
        ax.scatter(inside["gap"], inside["apgr"], label=label, **look)
        for marker, beyond in (("v", shown["apgr"] < _LOWEST), ("^", shown["apgr"] > _HIGHEST)):
            edge = shown.loc[beyond, "apgr"].clip(_LOWEST, _HIGHEST)
            ax.scatter(shown.loc[beyond, "gap"], edge, marker=marker, **look)
    for name, color in rings.items():
        row = part[part["mark"] == name]
        x, y = row["gap"], row["apgr"].clip(_LOWEST, _HIGHEST)
        ax.scatter(x, y, s=70, facecolor="none", edgecolor=color, linewidth=1.4, zorder=4, label=name)
    cost_axis(ax, "")  # any quantity on a log scale with a few ticks
    ax.set_ylim(_LOWEST - 0.08, _HIGHEST + 0.08)
