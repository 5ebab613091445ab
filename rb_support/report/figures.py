"""Whole figures: RouterBench's in the cost-quality plane, then RouteLLM's in the call-performance plane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from rb_support.frontier import Curve, Points, aiq, hull, shared_domain
from rb_support.outcomes import Outcomes, PairScores
from rb_support.pairs import apgr, cpt, random_scores
from rb_support.pairs.metrics import rounding
from rb_support.report.plots import (
    cost_axis,
    cost_label,
    finite,
    model_legend,
    panels,
    plot_curve,
    plot_models,
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
from rb_support.routers import cascade_name
from rb_support.studies.pilot import oracle_points, oracle_rows
from rb_support.studies.predictive import ZERO, Comparison

_LINES = ("-", "--", ":")
_LOWEST, _HIGHEST = -0.25, 1.25
_RINGS = (BLACK, VERMILLION, GREEN, PURPLE, ORANGE)
_COMMERCIAL = (("D", BLACK), ("s", ORANGE), ("^", GREEN), ("v", PURPLE))


def _panels_of(
    parts: Mapping[str, Sized], ncols: int = 3, *, most: int = 15, deep: int = 1, **options: float
) -> tuple[Figure, dict[str, list[Axes]]]:
    """Figure with `deep` panels, one below the other, for each part; of many, for the `most` largest."""
    largest = sorted(parts, key=lambda name: -len(parts[name]))[:most]
    names = [name for name in parts if name in largest]
    ncols = min(len(names), ncols)
    fig, axes = panels(deep * ncols * -(-len(names) // ncols), ncols, **options)
    columns = np.array(axes).reshape(-1, deep, ncols).swapaxes(1, 2).reshape(-1, deep)
    for unused in columns[len(names) :].ravel():
        unused.set_visible(False)
    if len(names) < len(parts):
        fig.suptitle(f"The {len(names)} with the most rows, of {len(parts)}; the CSV has all", fontsize=8)
    return fig, dict(zip(names, columns.tolist(), strict=False))


def _title(name: str, rows: Sized) -> str:
    return f"{short(name, 24)} (n = {len(rows):,})"


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
        ax.set_xlabel(cost_label(outcomes).partition("(")[2].rstrip(")"))
        ax.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
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
    ax.set_title(_title(title, comparison.test))
    below = [f"AIQ {cell(areas[name], '.3f')} {short(name)}" for name in names]
    cost_axis(ax, "\n".join([cost_label(comparison.test), *below]))
    ax.xaxis.label.set_fontsize(7)
    ax.margins(y=0.1)


def comparison_figure(comparisons: Mapping[str, Comparison], routers: Iterable[str]) -> Figure:
    """Figure of one `plot_comparison` panel per dataset, as RouterBench's Figures 4, 5 and 8."""
    if not comparisons:
        return sentence_figure("No dataset has rows enough to compare routers on.")
    names = list(routers)
    fig, axes = _panels_of({name: c.test for name, c in comparisons.items()}, height=3.3)
    for dataset, (ax,) in axes.items():
        plot_comparison(ax, comparisons[dataset], names, dataset)
    drawn = [ax for (ax,) in axes.values()]
    for ax in drawn[::3]:
        ax.set_ylabel("mean quality")
    model_legend(fig, next(iter(comparisons.values())).test.models, curves=drawn[0])
    return fig


def oracle_figure(outcomes: Outcomes) -> Figure:
    """Models, zero router, the oracle and what it reaches at every budget, as RouterBench's Figure 3."""
    if not len(outcomes):
        return sentence_figure("The table has no rows.")
    fig, (ax,) = panels(1, width=6.4, height=3.6)
    plot_curve(ax, oracle_points(outcomes), "Oracle at every budget", router="oracle")
    plot_curve(ax, outcomes.points(), ZERO, router=ZERO)
    _plot_models_and_oracle(ax, outcomes, oracle_rows(outcomes).mean(axis=0), 34)
    cost_axis(ax, cost_label(outcomes))
    ax.set_ylabel("mean quality")
    model_legend(fig, outcomes.models, curves=ax)
    return fig


def dataset_figure(outcomes: Outcomes) -> Figure:
    """Models, zero router and oracle on every dataset, a panel each, as RouterBench's Figure 6."""
    parts = {name: outcomes.of(name) for name in outcomes.datasets}
    if not parts:
        return sentence_figure("The table has no rows.")
    height = 2.2 if len(parts) > 3 else 3.2
    fig, axes = _panels_of(parts, 2 if len(parts) == 4 else 3, height=height)
    for name, (ax,) in axes.items():
        part = parts[name]
        plot_curve(ax, part.points(), ZERO, router=ZERO)
        _plot_models_and_oracle(ax, part, oracle_rows(part).mean(axis=0), 22)
        ax.set_title(_title(name, part))
        cost_axis(ax, "")
    fig.supxlabel(cost_label(outcomes), fontsize=8)
    fig.supylabel("mean quality", fontsize=8)
    model_legend(fig, outcomes.models, curves=next(iter(axes.values())))
    return fig


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


def _plot_models_and_oracle(ax: Axes, outcomes: Outcomes, oracle: ArrayLike, size: float) -> None:
    plot_models(ax, outcomes.points(), outcomes.models, size=size)
    cost, quality = np.asarray(oracle, dtype=float)
    ax.scatter(cost, quality, marker="*", s=80, color="black", zorder=4, label="Oracle")


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
    fig, axes = _panels_of(parts, most=9, deep=2, height=3.2)
    for place, (dataset, (above, below)) in enumerate(axes.items()):
        rows = leads[leads["dataset"] == dataset].dropna(subset="error_rate")
        simulated = rows["router"] == rows["error_rate"].map(cascade_name)
        rates = dict(rows.loc[simulated, ["router", "error_rate"]].to_numpy())
        plot_cascades(above, comparisons[dataset], rates)
        above.set_title(_title(dataset, parts[dataset]))
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
    fig, axes = _panels_of(parts, width=7.0 if len(parts) > 1 else 4.8, height=4.0)
    for name, (ax,) in axes.items():
        _plot_benchmark(ax, curves[curves["benchmark"] == name], parts[name])
        ax.set_title(_title(name, parts[name]))
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
    fig, axes = _panels_of(parts, width=7.0 if len(parts) > 1 else 4.6, height=3.5, sharey=True)
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
    cost_axis(ax, "")  # any quantity on a log scale with a few ticks
    ax.set_ylim(_LOWEST - 0.08, _HIGHEST + 0.08)
