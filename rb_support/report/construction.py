"""RouterBench's Figure 1: how the benchmark is built and used, drawn from a pipeline's own counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from rb_support.cache import packaged_table
from rb_support.construct.records import Query
from rb_support.construct.tasks import Task
from rb_support.outcomes import Outcomes
from rb_support.report.plots import panels
from rb_support.report.style import BLUE, GREEN, GREY, ORANGE, Style
from rb_support.studies.predictive import ZERO, Comparison

_COLORS = (BLUE, GREEN, ORANGE)
_WIDTH, _HEIGHT, _GAP, _LANE = 1.0, 0.62, 0.24, 1.15
_STEP = _WIDTH + _GAP


def live_steps(
    asked: Sequence[Task],
    queries: Sequence[Query],
    graded: pd.DataFrame,
    live: Outcomes,
    train: Outcomes,
    comparison: Comparison,
    router: str,
) -> pd.DataFrame:
    """The steps of a live run and of a router on its table, with their counts.

    Parameters
    ----------
    asked, queries : tasks, and their queries.
    graded : counts by model and task, of `grading.grade_store`.
    live, train, comparison : the outcome table, the part learnt from, and what was found on the other.
    router : label of the router in the comparison, such as "KNN (k=5)".

    Returns
    -------
    A row per box, for `construction_figure`.
    """
    turns, models = sum(len(query.turns) for query in queries), graded["model"].nunique()
    exact = graded["task"].isin([task.name for task in asked if task.metric != "judge"])
    answers, matched = graded["answers"].sum(), graded.loc[exact, "answers"].sum()
    areas, (cost, quality) = comparison.aiq(), comparison.oracle
    told: dict[str, Any] = {"datasets": len({task.dataset for task in asked}), "tasks": len(asked)}
    told |= {"queries": len(queries), "turns": turns, "asked": models, "calls": models * turns}
    told |= {"answers": answers, "matched": matched, "judged": answers - matched}
    told |= {"refusals": graded["refusals"].sum(), "rows": len(live), "models": len(live.models)}
    told |= {"learnt": len(train), "tested": len(comparison.test), "router": router.split(" ")[0]}
    told |= {"aiq": areas[router], "zero": areas[ZERO], "quality": quality, "cost": cost}
    steps = pd.DataFrame(packaged_table("report/live_steps.toml")["steps"])
    return steps.assign(counts=[words.format(**told) for words in steps["counts"]])


def construction_figure(steps: pd.DataFrame) -> Figure:
    """Flow diagram: a lane of boxes per stage, read from left to right, lane after lane.

    Parameters
    ----------
    steps : a row per box, in order, with columns stage (such as "construction"), step (the box's heading) and
        counts (lines below it, such as "64 prompts").

    Raises
    ------
    ValueError
        If there is no step, or more than three stages.
    """
    stages = list(dict.fromkeys(steps["stage"]))
    if not 1 <= len(stages) <= len(_COLORS):
        raise ValueError(f"{len(stages)} stages are given; the figure has lanes for 1 to {len(_COLORS)}")
    longest = int(steps["stage"].value_counts().max())
    fig, (ax,) = panels(1, height=0.35 + 1.15 * len(stages))
    for lane, (stage, color) in enumerate(zip(stages, _COLORS, strict=False)):
        _draw_lane(ax, steps[steps["stage"] == stage], -lane * _LANE, stage, color)
    for lane, stage in enumerate(stages[:-1]):
        _draw_turn(ax, int((steps["stage"] == stage).sum()) - 1, -lane * _LANE - _HEIGHT / 2)
    ax.set(xlim=(-0.05, longest * _STEP), ylim=(-_LANE * (len(stages) - 1) - 0.45, 0.62))
    ax.set_axis_off()
    return fig


def _draw_lane(ax: Axes, steps: pd.DataFrame, y: float, stage: str, color: str) -> None:
    ax.text(0, y + _HEIGHT / 2 + 0.05, stage, color=color, fontweight="bold", va="bottom", fontsize=9)
    for place, (step, counts) in enumerate(zip(steps["step"], steps["counts"], strict=True)):
        _draw_box(ax, place * _STEP, y, step, counts, color)
        if place:
            _arrow(ax, (place * _STEP - _GAP, y), (place * _STEP, y))


def _draw_box(ax: Axes, x: float, y: float, step: str, counts: str, color: str) -> None:
    corner, middle = (x, y - _HEIGHT / 2), x + _WIDTH / 2
    look = Style(boxstyle="round,pad=0,rounding_size=0.06", facecolor=(color, 0.12), edgecolor=color)
    ax.add_patch(FancyBboxPatch(corner, _WIDTH, _HEIGHT, linewidth=1, **look))
    ax.text(middle, y + 0.22, step, ha="center", va="center", fontweight="bold", fontsize=7)
    lines = Style(ha="center", va="top", fontsize=6, linespacing=1.25)
    ax.text(middle, y + 0.11, counts, parse_math=True, **lines)  # a stage's counts may hold a formula


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 1, "linewidth": 1.1}
    ax.annotate("", end, start, arrowprops=style)


def _draw_turn(ax: Axes, last: int, bottom: float) -> None:
    """Bent arrow from below the last box of a lane to the first box of the next."""
    start, end, level = last * _STEP + _WIDTH / 2, 0.8 * _WIDTH, bottom - 0.12
    ax.plot([start, start, end, end], [bottom, level, level, level - 0.1], color=GREY, linewidth=1.1)
    _arrow(ax, (end, level - 0.1), (end, bottom - _LANE + _HEIGHT))
