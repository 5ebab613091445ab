"""Which willingness to pay keeps a budget, reaches a quality or sends a share of calls to the strong model.

It is chosen on held-out rows. What it will give on new prompts is measured on rows that had no part in the
choice: each half of the held-out rows judges what the other half chose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rb_support.frontier import exceeds
from rb_support.outcomes import Outcomes
from rb_support.routers import lambda_path
from rb_support.routers.decision import LambdaPath
from rb_support.stats import bootstrap_weights, halves, interval

Array = NDArray[np.float64]

_HALVINGS = 20


@dataclass(frozen=True)
class Goal:
    """What a calibrated router is to keep; exactly one of the three.

    Attributes
    ----------
    budget : mean USD per query that is not to be exceeded.
    quality : share of the best single model's mean quality that is to be reached, such as 0.95.
    share : share of calls that go to the dearest model, at most.

    Raises
    ------
    ValueError
        If none or several are given, or one is out of range.
    """

    budget: float | None = None
    quality: float | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if len(given) != 1:
            raise ValueError("give exactly one of budget, quality and share")
        [(name, value)] = given.items()
        if not (0 <= value < np.inf) or (name == "share" and value > 1):
            raise ValueError(f"{name} is {value}; give a number from 0 on, and a share of at most 1")

    def __str__(self) -> str:
        if self.budget is not None:
            return f"at most {1000 * self.budget:.4g} USD per 1,000 queries"
        if self.quality is not None:
            return f"{self.quality:.0%} of the best model's quality"
        return f"at most {self.share:.0%} of calls to the dearest model"


@dataclass(frozen=True)
class Setting:
    """A willingness to pay and what it is expected to give on new prompts.

    Attributes
    ----------
    willingness_to_pay : lambda, USD per unit of quality.
    usd_per_query, quality : mean on held-out rows that had no part in a choice, with 95% intervals.
    calls : share of calls of every model.
    reached : whether the held-out rows reach the goal at all.
    rows : held-out rows.
    """

    willingness_to_pay: float
    usd_per_query: tuple[float, float, float]
    quality: tuple[float, float, float]
    calls: tuple[float, ...]
    reached: bool
    rows: int


def calibrate(
    predicted: Array, mean_cost: Array, held_out: Outcomes, goal: Goal, *, rng: np.random.Generator
) -> Setting:
    """Choose the willingness to pay for a goal, and measure what it gives.

    Parameters
    ----------
    predicted : (n, m) quality that the router predicts for the held-out rows.
    mean_cost : (m,) USD per query that it expects of a call.
    held_out : n rows that the router was not trained on.
    goal : what is to be kept.
    rng : of the halvings and the bootstrap.
    """
    n, dearest = len(held_out), int(np.argmax(mean_cost))
    path = lambda_path(predicted, mean_cost)
    chosen, reached = _choose(path, held_out, goal, dearest, np.ones(n))
    measured = [
        _given(path.choices(_choose(path, held_out, goal, dearest, chooses)[0]), held_out, pays)
        for chooses, pays in zip(*(part.astype(float) for part in halves(n, rng, _HALVINGS)), strict=True)
    ]
    calls = path.choices(chosen)
    draws = [_given(calls, held_out, weights) for weights in bootstrap_weights(n, 500, rng)]
    cost, quality = np.mean(measured, axis=0)
    ends = [interval(np.array(draws)[:, j]) for j in range(2)]
    shift = (cost, quality) - np.mean(draws, axis=0)  # the interval's place is that of the honest estimate
    (c_low, c_high), (q_low, q_high) = (np.add(end, d) for end, d in zip(ends, shift, strict=True))
    return Setting(
        willingness_to_pay=chosen,
        usd_per_query=(float(cost), max(float(c_low), 0.0), float(c_high)),
        quality=(float(quality), float(q_low), float(q_high)),
        calls=tuple((np.bincount(calls, minlength=len(mean_cost)) / n).tolist()),
        reached=reached,
        rows=n,
    )


def _given(calls: NDArray[np.intp], held_out: Outcomes, weights: Array) -> Array:
    """Mean cost and quality of calls, (2,), on weighted rows."""
    rows = np.arange(len(held_out))
    both = np.column_stack([held_out.cost[rows, calls], held_out.quality[rows, calls]])
    return np.asarray(weights @ both / weights.sum())


def _choose(
    path: LambdaPath, held_out: Outcomes, goal: Goal, dearest: int, weights: Array
) -> tuple[float, bool]:
    """Willingness to pay for a goal on weighted rows, and whether it is reached there."""
    points = path.on(held_out.quality, held_out.cost)(weights)
    between = _between(path)
    if goal.quality is not None:
        best = goal.quality * float((weights @ held_out.quality / weights.sum()).max())
        enough = ~exceeds(best, points[:, 1], 1.0)
        at = int(np.argmax(enough)) if enough.any() else int(np.argmax(points[:, 1]))
        return float(between[at]), bool(enough.any())
    if goal.budget is not None:
        spent, most = points[:, 0], goal.budget
    else:
        indicator = np.zeros_like(held_out.quality)
        indicator[:, dearest] = 1.0
        spent, most = path.on(indicator, held_out.cost)(weights)[:, 1], float(goal.share or 0.0)
    within = ~exceeds(spent, most, max(most, 1e-12))
    # The last setting up to which nothing dearer has been: what follows a dip would be luck.
    stop = int(np.argmin(within)) if not within.all() else len(within)
    return float(between[max(stop - 1, 0)]), stop > 0


def _between(path: LambdaPath) -> Array:
    """A willingness to pay inside every stretch without a breakpoint, (k + 1,)."""
    breaks = path.breakpoints
    if not len(breaks):
        return np.zeros(1)
    return np.concatenate([[breaks[0] / 2], np.sqrt(breaks[:-1] * breaks[1:]), [breaks[-1] * 2]])
