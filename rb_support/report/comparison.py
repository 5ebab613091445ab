"""One panel of RouterBench's Figures 4, 5, 8 and 9: models, routers' hulls with their AIQ, and the oracle."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.axes import Axes

from rb_support.routers import ZERO, Comparison

from .plots import cost_axis, plot_curve, plot_models


def plot_comparison(ax: Axes, comparison: Comparison, routers: Iterable[str], title: str) -> None:
    """Draw the zero router, some routers, all models and the oracle on one dataset's test rows.

    Parameters
    ----------
    comparison : the evaluated systems.
    routers : names of those to draw beside the zero router; the legend gives each one's AIQ.
    title : of the panel; the number of test queries is added.
    """
    areas = comparison.aiq()
    for name in [ZERO, *routers]:
        label = f"{name.removesuffix(' router')}: AIQ {areas[name]:.3f}"
        plot_curve(ax, comparison.points(name), label, router=name)
    plot_models(ax, comparison.test.points(), comparison.test.models, size=16)
    cost, quality = comparison.oracle
    ax.scatter(cost, quality, marker="*", s=80, color="black", zorder=4)
    ax.set_title(f"{title} (n = {len(comparison.test):,})")
    cost_axis(ax)
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.24), ncol=2, fontsize=7, handlelength=1.4, columnspacing=1
    )
