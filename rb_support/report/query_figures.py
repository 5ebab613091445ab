"""One query through the KNN router: its neighbours' scores, and the choice that lambda moves."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, SubFigure
from numpy.typing import ArrayLike

from rb_support.catalog import short_name
from rb_support.frontier import Points
from rb_support.report.plots import cost_axis, panels, plot_curve, plot_models
from rb_support.report.style import BLACK, BLUE, GREY, router_style
from rb_support.report.text import short
from rb_support.routers import LambdaPath
from rb_support.studies.one_query import Thought
from rb_support.visible import visible

_SCORES = LinearSegmentedColormap.from_list("scores", ["#ECECEC", BLUE])
"""From wrong to right; they differ in lightness, so that no eye and no printer mixes them up."""


def query_grid(one: Thought, most: int = 40) -> Figure:
    """Right and wrong of every model on a query's neighbours, and below it their mean: the prediction.

    Models stand by price, the cheapest on the left; neighbours that count in part are pale.

    Parameters
    ----------
    one : the query.
    most : neighbours drawn, the nearest first.
    """
    rows, order = one.neighbours[:most], one.by_price
    tall = (len(rows), 3)
    ratios = {"height_ratios": tall, "hspace": 0.02}
    fig, (grid, below) = panels(2, 1, height=(0.8 + 0.125 * sum(tall)) / 2, sharex=True, gridspec_kw=ratios)
    _plot_scores(grid, one.scores[: len(rows), order], rows["weight"].to_numpy())
    for place, similarity in enumerate(rows["similarity"]):
        grid.text(len(order) - 0.4, place, f"{similarity:.2f}", fontsize=5, va="center", color=GREY)
    grid.set_yticks(range(len(rows)), [_opening(question, 58) for question in rows["question"]], fontsize=5)
    grid.set_title(f"Neighbours of: {_opening(one.question, 84)}", fontsize=7, loc="right")
    _plot_scores(below, np.vstack([one.predicted, one.outcome])[:, order], np.ones(2))
    for place, value in enumerate(one.predicted[order].tolist()):
        color = "white" if value > 0.65 else BLACK
        below.text(place, 0, f"{value:.2f}", ha="center", va="center", fontsize=6, color=color)
    below.set_yticks([0, 1], ["mean = predicted quality", "what came out"], fontsize=6)
    names = [short(short_name(one.models[model]), 22) for model in order]
    below.set_xticks(range(len(order)), names, rotation=35, ha="right", fontsize=6)
    most_of = f"{len(rows)} of {len(one.neighbours)} neighbours; " if len(one.neighbours) > len(rows) else ""
    key = f"{most_of}dark: right, pale: wrong; models from cheap to dear; numbers at the right: cosine"
    below.set_xlabel(key, fontsize=6.5)
    return fig


def _opening(text: str, limit: int) -> str:
    """How a text begins, on one line."""
    line = visible(" ".join(text.split())) or repr(text)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _plot_scores(ax: Axes, scores: Points, weight: Points) -> None:
    """A grid of scores in [0, 1], rows as strong as they count."""
    strength = np.broadcast_to(weight[:, None], scores.shape)
    ax.imshow(scores, _SCORES, vmin=0, vmax=1, alpha=strength, aspect="auto", interpolation="nearest")
    rows, columns = scores.shape
    ax.vlines(np.arange(1, columns) - 0.5, -0.5, rows - 0.5, color="white", linewidth=2)
    ax.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, color="white", linewidth=0.8)
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)


def plot_choice(
    fig: Figure | SubFigure,
    one: Thought,
    path: LambdaPath,
    curve: ArrayLike,
    willingness_to_pay: float,
    *,
    unit: str = "USD",
) -> None:
    """Above, the model that lambda chooses for one query; below, where it puts the whole router.

    Parameters
    ----------
    fig : to draw into.
    one : the query; its models stand at their mean cost and predicted quality. The line through the model
        that is called joins all that would be as good: no model lies above it.
    path, curve : of all test queries, and the router's mean cost and quality along it, (k + 1, 2).
    willingness_to_pay : lambda.
    unit : of costs.
    """
    above, below = fig.subplots(2, 1, sharex=True)
    points, chosen = np.column_stack([one.cost, one.predicted]), one.choice(willingness_to_pay)
    cost, quality = points[chosen]
    plot_curve(above, points, "KNN", until=points[:, 0].max())
    plot_models(above, points, one.models, size=22)
    low, high = above.get_ylim()
    places = np.asarray(curve, dtype=float)
    least, most = places[:, 0].min(), places[:, 0].max()  # on test rows a call may cost more or less
    air, ends = 0.05 * (most - least), np.array(above.get_xlim())
    ends = np.array([min(ends[0], least - air), max(ends[1], most + air)])
    look = {"color": GREY, "linewidth": 1, "linestyle": ":"}
    if willingness_to_pay == 0:
        above.axvline(cost, **look)
    else:
        above.plot(ends, quality + (ends - cost) / willingness_to_pay, **look)
    above.plot(cost, quality, "o", markersize=11, markerfacecolor="none", markeredgecolor=BLACK, zorder=5)
    above.set(ylim=(low, high + 0.05 * (high - low)), xlim=ends, ylabel="predicted quality")
    above.set_title(f"this query goes to {short(short_name(one.models[chosen]), 26)}", fontsize=7)
    below.plot(*places.T, linewidth=1, **router_style("KNN"))
    x, y = places[path.passed(willingness_to_pay)]
    below.plot(x, y, "o", markersize=8, color=BLACK, zorder=5)
    below.set_title("the router: all test queries", fontsize=7)
    below.set_ylabel("mean quality")
    cost_axis(below, unit)
