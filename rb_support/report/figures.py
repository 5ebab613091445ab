"""Whole figures in the cost-quality plane: RouterBench's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from string import ascii_uppercase

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from rb_support.frontier import Curve, Points, aiq, hull, hull_indices, shared_domain
from rb_support.outcomes import Outcomes
from rb_support.report.plots import (
    BAND,
    DASHED,
    HONEST,
    PLACEBO_MARK,
    cost_axis,
    finite,
    label_ends,
    model_legend,
    panels,
    panels_of,
    part_title,
    parts_of,
    plot_curve,
    plot_models,
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
    VERMILLION,
    Style,
    distinct,
    error_color,
    router_style,
)
from rb_support.report.text import short
from rb_support.routers import cascade_name
from rb_support.studies.cascades import paper_rule
from rb_support.studies.pilot import oracle_points, oracle_rows
from rb_support.studies.predictive import PLACEBO, ZERO, Comparison

_DASH = (0, (3, 1.5))


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
    _letter(middle, corners)
    _plot_systems(right, systems)
    left.set(title="Linear interpolation", ylabel="mean quality")
    middle.set_title("Non-decreasing hull")
    right.set_title("AIQ on a shared domain")
    for ax in (left, middle, right):
        cost_axis(ax, outcomes.cost_unit, brief=True)
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
    _letter(ax, [*ends, ends.mean(axis=0)])
    ax.annotate("half A, half B", ends.mean(axis=0), (-4, 8), textcoords="offset points", ha="right")


def _letter(ax: Axes, points: ArrayLike) -> None:
    """Name points A, B, C, … in their order, as the paper does."""
    for letter, point in zip(ascii_uppercase, np.asarray(points).tolist(), strict=False):
        ax.annotate(letter, point, (5, -11), textcoords="offset points")


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


def plot_hull(ax: Axes, points: ArrayLike, domain: tuple[float, float]) -> None:
    """Draw points by letters, what they reach over a cost domain, and AIQ as the mean height of that.

    Points of the hull are full, the others hollow. A hull that starts late is joined to the domain's left end
    at quality 0, as in RouterBench's Figure 2.

    Parameters
    ----------
    points : (n, 2) of cost, in any unit, and quality in [0, 1].
    domain : smallest and largest cost.
    """
    places, costs = np.asarray(points, dtype=float), np.linspace(*domain, 400)
    kept, heights = hull_indices(places), Curve(places).at(costs, c_min=domain[0])
    ax.fill_between(costs, heights, color=GREEN, alpha=0.15, linewidth=0)
    ax.plot(costs, heights, color=GREEN, zorder=1)
    inside = np.isin(np.arange(len(places)), kept)
    cost, quality = places.T
    ax.scatter(cost, quality, s=34, facecolor=np.where(inside, BLACK, "white"), edgecolor=BLACK, zorder=2)
    _letter(ax, places)
    names = "".join(ascii_uppercase[row] for row in kept)
    ax.set_title(f"hull {names}, AIQ {aiq(places, *domain):.3f}", fontsize=8.5)
    ax.set(xlabel="cost", ylabel="quality", xlim=(domain[0] - 0.3, domain[1] + 0.3), ylim=(0, 1.05))


def plot_comparison(
    ax: Axes, comparison: Comparison, routers: Iterable[str], title: str, *, log: bool = False
) -> None:
    """Draw the zero router, some routers, all models and the oracle on one dataset's test rows.

    Every line goes on as far as AIQ is taken; `model_legend(..., curves=ax)` tells the lines.

    Parameters
    ----------
    comparison : the evaluated systems.
    routers : names of those to draw beside the zero router.
    title : of the panel; the number of test queries is added.
    log : whether cost is on a logarithm.
    """
    _, until = shared_domain(*(comparison.points(name) for name in comparison.systems))
    for name in [ZERO, *routers]:
        plot_curve(ax, comparison.points(name), name, until=until)
    _plot_models_and_oracle(ax, comparison.test, comparison.oracle, 16)
    ax.set_title(part_title(title, len(comparison.test)))
    cost_axis(ax, comparison.test.cost_unit, log=log)


def comparison_figure(
    comparisons: Mapping[str, Comparison], routers: Iterable[str], leads: pd.DataFrame
) -> Figure:
    """Routers beside the zero router, two or three panels per dataset, as RouterBench's Figures 4 and 8.

    Quality against cost; of up to four datasets the same on a logarithm; then quality minus the zero
    router's, where the grey band is what a placebo reaches.

    Parameters
    ----------
    comparisons : dataset -> the evaluated systems.
    routers : names of those to draw beside the zero router.
    leads : `predictive.lead_curves` of these routers.
    """
    if not comparisons:
        return sentence_figure("No dataset has rows enough to compare routers on.")
    names = list(routers)
    deep = 3 if len(comparisons) <= 4 else 2
    parts = {name: comparison.test for name, comparison in comparisons.items()}
    fig, axes = panels_of(parts, most=9, deep=deep, height=1.9)
    for place, (dataset, test, linear, *log, lead) in enumerate(axes):
        plot_comparison(linear, comparisons[dataset], names, dataset)
        for ax in log:
            plot_comparison(ax, comparisons[dataset], names, dataset, log=True)
            ax.set_title("the same, log cost", fontsize=7, fontweight="normal")
        _plot_lead_curves(lead, leads[leads["dataset"] == dataset], names)
        cost_axis(lead, test.cost_unit)
        lead.set_title("minus zero, linear cost", fontsize=7, fontweight="normal")
        for ax in (linear, *log):
            ax.set(xlabel="", ylabel="" if place % 3 else "mean quality")
        lead.set_ylabel("" if place % 3 else "minus zero")
    model_legend(fig, next(iter(parts.values())).models, curves=fig.axes)
    return fig


def _plot_lead_curves(ax: Axes, leads: pd.DataFrame, routers: Sequence[str]) -> None:
    """Quality minus the zero router's against cost, each with its band, over the band of the placebo."""
    ax.axhline(0, **router_style(ZERO), linewidth=1)
    for name, rows in leads.groupby("router", sort=False):
        cost, placebo = rows["usd_per_query"], name == PLACEBO
        look = {"color": GREY} if placebo else router_style(str(name))
        band = ax.fill_between(cost, rows["low"], rows["high"], color=look["color"], linewidth=0)
        band.set(alpha=0.35 if placebo else 0.08, zorder=0 if placebo else 1)
        if not placebo:
            ax.plot(cost, rows["lead"], linewidth=1, **distinct(ax, look))
    # Near the cheapest model a line comes up from nothing; that spike would flatten all the rest.
    least, most = leads["usd_per_query"].min(), leads["usd_per_query"].max()
    shown = leads.loc[leads["usd_per_query"] >= least + 0.01 * (most - least), ["low", "high"]].to_numpy()
    ax.set_ylim(1.2 * min(shown.min(initial=0), -1e-3), 1.2 * max(shown.max(initial=0), 1e-3))
    if PLACEBO in set(leads["router"]):
        ax.plot([], [], color=GREY, alpha=0.35, linewidth=6, label="Placebo, middle 95%")


def forest_figure(table: pd.DataFrame) -> Figure:
    """Leads of an AIQ table over the zero router, as printed and honest, a panel per dataset.

    Hollow: AIQ as the paper has it. Full, with simultaneous 95% interval: honest. Grey: what the router's
    placebo reaches, up to its 97.5% quantile; a lead counts that clears both zero and grey.

    Parameters
    ----------
    table : of `predictive.aiq_table`.
    """
    parts = parts_of(table[table["router"] != ZERO], "dataset")
    if not parts:
        return sentence_figure("No dataset has rows enough to compare routers on.")
    fig, axes = panels_of(parts, most=9, height=0.8 + 0.2 * max(len(part) for part in parts.values()))
    for place, (name, part, ax) in enumerate(axes):
        _plot_forest(ax, part)
        ax.set(title=part_title(name, part["n"].iloc[0]), xlabel="AIQ minus the zero router's")
        if place % 3:
            ax.tick_params(labelleft=False)
    model_legend(fig, curves=fig.axes, ncol=3)
    return fig


def _plot_forest(ax: Axes, rows: pd.DataFrame) -> None:
    hollow = Style(markersize=5, markerfacecolor="none")
    for place, (_, row) in enumerate(rows.iterrows()):
        look = Style(color=router_style(row["router"])["color"])
        if np.isfinite(row["placebo_high"]):
            ends = [place - 0.35, place + 0.35]
            ax.plot([row["placebo_high"]] * 2, ends, color=GREY, linewidth=3, alpha=0.6)
        bar = reach(row, *HONEST)
        ax.errorbar(row[HONEST[0]], place, xerr=bar, fmt="o", markersize=4, linewidth=1, **look)
        ax.plot(row["minus_zero"], place, "o", **hollow, **look)
    ax.plot([], [], "o", color="black", label="AIQ as the paper has it", **hollow)
    ax.plot([], [], "o-", color="black", markersize=4, label="honest AIQ, 95% for all at once")
    ax.plot([], [], label="97.5% of its placebos", **PLACEBO_MARK)
    ax.axvline(0, **DASHED)
    names = [short(name.replace("chosen on training rows", "trained"), 24) for name in rows["router"]]
    ax.set_yticks(range(len(rows)), names)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.locator_params(axis="x", nbins=4)


def oracle_figure(*tables: Outcomes) -> Figure:
    """Models, zero router, the oracle and what it reaches at every budget, as RouterBench's Figure 3.

    A row of panels for each table, with linear cost on the left and with logarithmic cost on the right.
    """
    shown = [table for table in tables if len(table)]
    if not shown:
        return sentence_figure("The table has no rows.")
    fig, axes = panels(2 * len(shown), 2, height=3.2 if len(shown) == 1 else 2.6, sharey="row")
    for number, outcomes in enumerate(shown):
        at_budgets, oracle = oracle_points(outcomes), oracle_rows(outcomes).mean(axis=0)
        _, until = shared_domain(outcomes.points(), at_budgets)
        left, right = pair = axes[2 * number : 2 * number + 2]
        for ax in pair:
            plot_curve(ax, at_budgets, "Oracle at every budget", until=until)
            plot_curve(ax, outcomes.points(), ZERO, until=until)
            _plot_models_and_oracle(ax, outcomes, oracle, 34)
            cost_axis(ax, outcomes.cost_unit, log=ax is right)
        name = outcomes.origin.name if len(shown) > 1 else "All queries"
        left.set_title(part_title(name, len(outcomes), 34), fontsize=8.5)
        left.set_ylabel("mean quality")
        right.set_title("the same, log cost", fontsize=8.5, fontweight="normal")
    model_legend(fig, shown[0].models, curves=axes[0])
    return fig


def plot_without(ax: Axes, outcomes: Outcomes, taken: str, without: pd.DataFrame) -> None:
    """Draw the models and the oracle on logarithmic cost when one model is taken away.

    Parameters
    ----------
    taken : the model, drawn as a cross; of any other name all stay.
    without : of `oracle_without`.
    """
    (usd, quality), points = oracle_rows(outcomes).mean(axis=0), outcomes.points()
    stays = np.array([model != taken for model in outcomes.models])
    best, now, cost_now = points[:, 1].max(), quality, usd
    plot_models(ax, points[stays], np.array(outcomes.models)[stays].tolist(), among=outcomes.models)
    if taken in without.index:
        now, cost_now, best = without.loc[taken]
        ax.plot(*points[~stays].T, "x", color=GREY, zorder=3)
        ax.scatter(usd, quality, marker="*", s=110, facecolor="none", edgecolor=GREY, zorder=4)
    ax.scatter(cost_now, now, marker="*", s=110, color=BLACK, zorder=5)
    ax.axhline(best, **DASHED, zorder=1)
    lost = f" ({now - quality:+.3f})" if taken in without.index else ""
    ax.set_title(f"oracle {now:.3f}{lost}, best model {best:.3f}", fontsize=8.5)
    ax.set(ylabel="mean quality", ylim=(min(points[:, 1].min(), best) - 0.05, 1.03))
    cost_axis(ax, outcomes.cost_unit, log=True)


def dataset_figure(outcomes: Outcomes) -> Figure:
    """Models, zero router and oracle by dataset (the eight largest), as RouterBench's Figure 6.

    Two panels each: with linear cost, and below it the same with logarithmic cost.
    """
    parts = {name: outcomes.of(name) for name in outcomes.datasets}
    if not parts:
        return sentence_figure("The table has no rows.")
    ncols = 4 if len(parts) == 4 or len(parts) > 6 else 3
    fig, axes = panels_of(parts, ncols, most=8, deep=2, height=2.4 if len(parts) <= 3 else 1.8)
    for place, (name, part, *pair) in enumerate(axes):
        for ax, log in zip(pair, (False, True), strict=True):
            plot_curve(ax, part.points(), ZERO, until=part.points()[:, 0].max())
            _plot_models_and_oracle(ax, part, oracle_rows(part).mean(axis=0), 24)
            cost_axis(ax, part.cost_unit, brief=True, log=log)
            if not log or place + ncols < len(axes):
                ax.set_xlabel("")
        pair[0].set_title(part_title(name, len(part)), fontsize=8)
        pair[1].set_title("the same, log cost", fontsize=7, fontweight="normal")
    fig.supylabel("mean quality")
    model_legend(fig, outcomes.models, curves=fig.axes[0])
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
    comparisons : dataset -> zero router and cascades, those with a simulated judge named by `cascade_name`;
        of their error rates the first two and every second one are drawn above.
    leads : AIQ table (see `aiq_table`) with a column `error_rate`, blank for the zero router, and the columns
        `break_even`, `break_even_low` and `break_even_high`, equal within a dataset. Routers not named by
        `cascade_name` are judges with a measured error rate, drawn as single points.
    """
    if not comparisons:
        return sentence_figure("No dataset has rows enough to compare cascades on.")
    parts = {name: comparison.test for name, comparison in comparisons.items()}
    fig, axes = panels_of(parts, most=9, deep=2, height=2.7 if len(parts) <= 3 else 2.0)
    for place, (dataset, test, above, below) in enumerate(axes):
        rows = leads[leads["dataset"] == dataset].dropna(subset="error_rate")
        simulated = rows["router"] == rows["error_rate"].map(cascade_name)
        rates = dict(rows.loc[simulated, ["router", "error_rate"]].to_numpy())
        few = {name: rate for place, (name, rate) in enumerate(rates.items()) if place < 2 or place % 2 == 0}
        plot_cascades(above, comparisons[dataset], few)
        above.set_title(part_title(dataset, len(test)))
        _plot_leads(below, rows[simulated], rows[~simulated])
        if place % 3 == 0:
            above.set_ylabel("mean quality")
            below.set_ylabel("AIQ minus zero's")
    model_legend(fig, next(iter(parts.values())).models, curves=fig.axes)
    return fig


def plot_cascades(ax: Axes, comparison: Comparison, rates: Mapping[str, float]) -> None:
    """Draw zero router, models, oracle and a cascade per error rate, the rate at the end of its line.

    Lines go as far as AIQ integrates. A cascade that stops by the paper's rule too has a dashed line more.
    """
    _, until = shared_domain(*(comparison.points(name) for name in comparison.systems))
    ends = {}
    for name, rate in rates.items():
        look = Style(color=error_color(rate), linewidth=1.2)
        for each, dash in ((name, "-"), (paper_rule(name), _DASH)):
            if each in comparison.systems:
                plot_curve(ax, comparison.points(each), f"_{each}", until=until, linestyle=dash, **look)
        ends[f"error {rate:g}"] = (comparison.points(name)[:, 1].max(), look["color"])
    plot_curve(ax, comparison.points(ZERO), ZERO, until=until)
    if any(paper_rule(name) in comparison.systems for name in rates):
        ax.plot([], [], color=GREY, linestyle=_DASH, linewidth=1.2, label="paper's stopping rule")
    _plot_models_and_oracle(ax, comparison.test, comparison.oracle, 16)
    cost_axis(ax, comparison.test.cost_unit, brief=True)
    label_ends(ax, ends)


def _plot_leads(ax: Axes, simulated: pd.DataFrame, measured: pd.DataFrame) -> None:
    """Honest AIQ minus the zero router's against the judge's error rate, with simultaneous intervals."""
    if simulated.empty:
        say(ax, "No cascade with a simulated judge is among the rows.")
        return
    ax.axhline(0, **DASHED)
    rate, (lead, low, high) = simulated["error_rate"], (simulated[name] for name in HONEST)
    ax.fill_between(rate, low, high, color=GREY, **BAND)
    ax.plot(rate, lead, color=GREY, linewidth=1, label="honest AIQ")
    ax.scatter(rate, lead, c=[error_color(each) for each in rate], s=14, zorder=3)
    dotted = Style(color=BLACK, linestyle=":", linewidth=1)
    ax.plot(rate, simulated["minus_zero"], label="the paper's AIQ", **dotted)
    even, low, high = simulated[["break_even", "break_even_low", "break_even_high"]].iloc[0]
    ax.axvspan(low, high, color=VERMILLION, **BAND)
    ax.axvline(even, color=VERMILLION, linewidth=1)
    words = f"break-even at error {cell(even, '.2f')}"
    ax.set_title(words, fontsize=7, fontweight="normal", color=VERMILLION)
    for (_, row), marker, color in zip(measured.iterrows(), "sD", (ORANGE, BLUE), strict=False):
        look = Style(fmt=marker, color=color, markersize=4, label=row["router"].removeprefix("Cascade, "))
        ax.errorbar(row["error_rate"], row[HONEST[0]], yerr=reach(row, *HONEST), **look)
    ax.set_xlabel("judge's error rate")
    ax.margins(y=0.15)
