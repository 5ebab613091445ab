"""Whole figures in the cost-quality plane: RouterBench's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from rb_support.frontier import Curve, Points, aiq, hull, shared_domain
from rb_support.outcomes import Outcomes
from rb_support.report.plots import (
    cost_axis,
    cost_label,
    finite,
    model_legend,
    panels,
    panels_of,
    part_title,
    plot_curve,
    plot_models,
    say,
    sentence_figure,
)
from rb_support.report.render import cell
from rb_support.report.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILLION,
)
from rb_support.report.text import short
from rb_support.routers import cascade_name
from rb_support.studies.pilot import oracle_points, oracle_rows
from rb_support.studies.predictive import ZERO, Comparison


def mathematics_figure(
    outcomes: Outcomes, pair: tuple[int, int], runs: ArrayLike, systems: Mapping[str, ArrayLike]
) -> Figure:
    """RouterBench's Figure 2 from live points: interpolation, hull, and AIQ of two systems.

    Parameters
    ----------
    outcomes : whose models are the points.
    pair : columns of the two models that are mixed half and half on the left.
    runs : (r, 2) cost and quality of single deployments of that mixture.
    systems : name -> (k, 2) points of each routing system on the right.
    """
    fig, (left, middle, right) = panels(3, height=2.8)
    points = outcomes.points()
    _plot_interpolation(left, points, pair, outcomes.models, runs)
    corners = hull(points)
    end = [points[:, 0].max() * 1.05, corners[-1, 1]]
    middle.plot(*np.vstack([corners, end]).T, color=GREY, zorder=1)
    plot_models(middle, points, outcomes.models)
    _plot_systems(right, systems)
    left.set(title="Linear interpolation", ylabel="mean quality")
    middle.set_title("Non-decreasing hull")
    right.set_title("AIQ on a shared domain")
    for ax in (left, middle, right):
        cost_axis(ax, cost_label(outcomes).partition("(")[2].rstrip(")"))
    model_legend(fig, outcomes.models)
    return fig


def _plot_interpolation(
    ax: Axes, points: Points, pair: tuple[int, int], models: Sequence[str], runs: ArrayLike
) -> None:
    cost, quality = np.asarray(runs, dtype=float).reshape(-1, 2).T
    ends = points[list(pair)]
    ax.plot(*ends.T, color=GREY, zorder=1)
    ax.scatter(cost, quality, s=4, color=BLUE, alpha=0.4, linewidth=0, zorder=2)
    plot_models(ax, ends, [models[j] for j in pair], among=models)
    x, y = ends.mean(axis=0)
    ax.annotate("half and half", (x, y), (6, -12), textcoords="offset points")


def _plot_systems(ax: Axes, systems: Mapping[str, ArrayLike]) -> None:
    drawn = {name: places for name, points in systems.items() if len(places := finite(points))}
    if not drawn:
        say(ax, "There is no system to compare.")
        return
    domain = shared_domain(*drawn.values())
    costs = np.linspace(*domain, 200)
    for (name, points), color in zip(drawn.items(), cycle((BLUE, ORANGE, GREEN, PURPLE, VERMILLION))):
        heights = Curve(points).at(costs, c_min=domain[0])
        ax.plot(costs, heights, color=color, label=f"{short(name)}: AIQ {cell(aiq(points, *domain), '.3f')}")
        ax.fill_between(costs, heights, color=color, alpha=0.12, linewidth=0)
        ax.plot(*points.T, "o", markersize=3.5, color=color)
    ax.legend(loc="lower right")


def plot_comparison(ax: Axes, comparison: Comparison, routers: Iterable[str], title: str) -> None:
    """Draw the zero router, some routers, all models and the oracle on one dataset's test rows.

    The AIQ of each system stands below the panel; `model_legend(..., curves=ax)` tells the lines.

    Parameters
    ----------
    comparison : the evaluated systems.
    routers : names of those to draw beside the zero router.
    title : of the panel; the number of test queries is added.
    """
    areas, names = comparison.aiq(), [ZERO, *routers]
    for name in names:
        plot_curve(ax, comparison.points(name), name, router=name)
    _plot_models_and_oracle(ax, comparison.test, comparison.oracle, 16)
    ax.set_title(part_title(title, comparison.test))
    below = [f"AIQ {cell(areas[name], '.3f')} {short(name)}" for name in names]
    cost_axis(ax, "\n".join([cost_label(comparison.test), *below]))
    ax.xaxis.label.set_fontsize(7)
    ax.margins(y=0.1)


def comparison_figure(comparisons: Mapping[str, Comparison], routers: Iterable[str]) -> Figure:
    """Figure of one `plot_comparison` panel per dataset, as RouterBench's Figures 4, 5 and 8."""
    if not comparisons:
        return sentence_figure("No dataset has rows enough to compare routers on.")
    names = list(routers)
    fig, axes = panels_of({name: c.test for name, c in comparisons.items()}, height=3.3)
    for dataset, (ax,) in axes.items():
        plot_comparison(ax, comparisons[dataset], names, dataset)
    drawn = [ax for (ax,) in axes.values()]
    for ax in drawn[::3]:
        ax.set_ylabel("mean quality")
    model_legend(fig, next(iter(comparisons.values())).test.models, curves=drawn[0])
    return fig


def oracle_figure(outcomes: Outcomes) -> Figure:
    """Models, zero router, the oracle and what it reaches at every budget, as RouterBench's Figure 3.

    On the left cost is linear, on the right logarithmic.
    """
    if not len(outcomes):
        return sentence_figure("The table has no rows.")
    fig, axes = panels(2, height=3.2, sharey=True)
    at_budgets, oracle = oracle_points(outcomes), oracle_rows(outcomes).mean(axis=0)
    _, until = shared_domain(outcomes.points(), at_budgets)
    for ax, log in zip(axes, (False, True), strict=True):
        plot_curve(ax, at_budgets, "Oracle at every budget", router="oracle", until=until)
        plot_curve(ax, outcomes.points(), ZERO, router=ZERO, until=until)
        _plot_models_and_oracle(ax, outcomes, oracle, 34)
        cost_axis(ax, cost_label(outcomes), log=log)
        ax.set_title("the same, log cost" if log else "linear cost")
    axes[0].set_ylabel("mean quality")
    model_legend(fig, outcomes.models, curves=axes[0])
    return fig


def dataset_figure(outcomes: Outcomes) -> Figure:
    """Models, zero router and oracle by dataset (the eight largest), as RouterBench's Figure 6.

    Two panels each: with linear cost, and below it the same with logarithmic cost.
    """
    parts = {name: outcomes.of(name) for name in outcomes.datasets}
    if not parts:
        return sentence_figure("The table has no rows.")
    ncols = 4 if len(parts) == 4 or len(parts) > 6 else 3
    fig, axes = panels_of(parts, ncols, most=8, deep=2, height=2.4 if len(parts) <= 3 else 1.8)
    for place, (name, pair) in enumerate(axes.items()):
        part, label = parts[name], cost_label(outcomes).partition("(")[2].rstrip(")")
        for ax, log in zip(pair, (False, True), strict=True):
            plot_curve(ax, part.points(), ZERO, router=ZERO, until=part.points()[:, 0].max())
            _plot_models_and_oracle(ax, part, oracle_rows(part).mean(axis=0), 24)
            cost_axis(ax, label if log and place + ncols >= len(axes) else "", log=log)
        pair[0].set_title(part_title(name, part), fontsize=8)
        pair[1].set_title("the same, log cost", fontsize=7, fontweight="normal")
    fig.supylabel("mean quality", fontsize=8)
    model_legend(fig, outcomes.models, curves=next(iter(axes.values()))[0])
    return fig


def _plot_models_and_oracle(ax: Axes, outcomes: Outcomes, oracle: ArrayLike, size: float) -> None:
    plot_models(ax, outcomes.points(), outcomes.models, size=size)
    cost, quality = np.asarray(oracle, dtype=float)
    ax.scatter(cost, quality, marker="*", s=80, color="black", zorder=4, label="Oracle", clip_on=False)
    ax.margins(y=0.1)


def cascade_figure(comparisons: Mapping[str, Comparison], leads: pd.DataFrame) -> Figure:
    """RouterBench's Figure 5, and below each panel what the judge's error costs.

    Parameters
    ----------
    comparisons : dataset -> zero router and cascades, those with a simulated judge named by `cascade_name`.
    leads : AIQ table (see `aiq_table`) with a column `error_rate`, blank for the zero router, and the columns
        `break_even`, `break_even_low` and `break_even_high`, equal within a dataset. Routers not named by
        `cascade_name` are judges with a measured error rate, drawn as single points.
    """
    if not comparisons:
        return sentence_figure("No dataset has rows enough to compare cascades on.")
    parts = {name: comparison.test for name, comparison in comparisons.items()}
    fig, axes = panels_of(parts, most=9, deep=2, height=3.2)
    for place, (dataset, (above, below)) in enumerate(axes.items()):
        rows = leads[leads["dataset"] == dataset].dropna(subset="error_rate")
        simulated = rows["router"] == rows["error_rate"].map(cascade_name)
        rates = dict(rows.loc[simulated, ["router", "error_rate"]].to_numpy())
        plot_cascades(above, comparisons[dataset], rates)
        above.set_title(part_title(dataset, parts[dataset]))
        _plot_leads(below, rows[simulated], rows[~simulated])
        if place % 3 == 0:
            above.set_ylabel("mean quality")
            below.set_ylabel("AIQ minus the zero router's")
    model_legend(fig, next(iter(parts.values())).models)
    return fig


def plot_cascades(ax: Axes, comparison: Comparison, rates: Mapping[str, float]) -> None:
    """Draw zero router, models, oracle and a cascade per error rate, with AIQ in the legend below."""
    areas, shade = comparison.aiq(), plt.get_cmap("viridis")
    plot_curve(ax, comparison.points(ZERO), f"zero router: {cell(areas[ZERO], '.3f')}", router=ZERO)
    for name, rate in rates.items():
        color = shade(0.95 * rate / max([*rates.values(), 1e-9]))
        label = f"error {rate:g}: {cell(areas[name], '.3f')}"
        plot_curve(ax, comparison.points(name), label, color=color, linestyle="-", linewidth=1.2)
    _plot_models_and_oracle(ax, comparison.test, comparison.oracle, 16)
    cost_axis(ax, cost_label(comparison.test))
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=2, title="AIQ", fontsize=6, title_fontsize=6
    )


def _plot_leads(ax: Axes, simulated: pd.DataFrame, measured: pd.DataFrame) -> None:
    """AIQ minus the zero router's against the judge's error rate, with 95% intervals."""
    if simulated.empty:
        say(ax, "No cascade with a simulated judge is among the rows.")
        return
    ax.axhline(0, color=GREY, linestyle="--", linewidth=1)
    rate = simulated["error_rate"]
    low, high = simulated["minus_zero_low"], simulated["minus_zero_high"]
    ax.fill_between(rate, low, high, color=BLUE, alpha=0.2, linewidth=0)
    ax.plot(rate, simulated["minus_zero"], color=BLUE, label="simulated judge")
    even, low, high = simulated[["break_even", "break_even_low", "break_even_high"]].iloc[0]
    ax.axvspan(low, high, color=VERMILLION, alpha=0.25, linewidth=0)
    ax.axvline(even, color=VERMILLION, linewidth=1, label=f"break-even {cell(even, '.2f')}")
    for (_, row), marker, color in zip(measured.iterrows(), "os", (ORANGE, GREEN), strict=False):
        # A resampled domain may put a percentile on the far side of the estimate; a bar cannot be negative.
        lead = row["minus_zero"]
        reach = np.maximum([[lead - row["minus_zero_low"]], [row["minus_zero_high"] - lead]], 0)
        name = row["router"].removeprefix("Cascade, ")
        ax.errorbar(row["error_rate"], lead, yerr=reach, fmt=marker, color=color, markersize=4, label=name)
    ax.set_xlabel("judge's error rate")
    ax.margins(y=0.15)
    ax.legend(loc="upper right", fontsize=6, frameon=True, framealpha=0.9, edgecolor="white")
