"""What is said of a statement once our numbers are known: one rule for each form a statement can have.

A statement is held against estimates with 95% intervals, never against a bare number, and "about" is an
equivalence within a stated margin, not an interval that happens to cover the level. Where several estimates
are judged together their intervals must be simultaneous (`rb_support.stats.simultaneous`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rb_support.frontier import exceeds
from rb_support.outcomes import Kind

Verdict = Literal["holds", "does not hold", "undecided", "no data", "by construction"]
Rule = Literal["above", "below", "about", "some above", "none above", "is so"]


@dataclass(frozen=True)
class Estimate:
    """One number that a statement is held against.

    Attributes
    ----------
    value, low, high : the estimate and its 95% interval; NaN where there is none.
    name : what it is of, such as "KNN on MMLU".
    n : independent queries it rests on; 0 if it was computed and not sampled, so that it has no interval.
    floor : the most that knowing nothing reaches, such as the 97.5% quantile of a placebo; a value not above
        it is never "above" a level.
    """

    value: float
    low: float
    high: float
    name: str = ""
    n: int = 0
    floor: float = -np.inf

    def words(self, spec: str = ".3f") -> str:
        """Name, value and interval, such as "KNN +0.012 [+0.003, +0.021]"."""
        interval = f" [{self.low:{spec}}, {self.high:{spec}}]" if self.n else ""
        beside = f" (knowing nothing {self.floor:{spec}})" if np.isfinite(self.floor) else ""
        return f"{self.name} {self.value:{spec}}{interval}{beside}".strip()


def exact(value: float, name: str = "") -> Estimate:
    """A number that was computed, not sampled: its interval is itself."""
    return Estimate(value, value, value, name)


@dataclass(frozen=True)
class Fact:
    """What needs no interval to be seen.

    Attributes
    ----------
    holds : whether it is so; None if this data cannot tell.
    words : what was found.
    data : kind of data it was seen on, where that is not the report's own.
    """

    holds: bool | None
    words: str
    data: Kind | None = None


Evidence = Estimate | Fact | Sequence[Estimate]


def decide(
    estimates: Iterable[Estimate], rule: Rule, *, level: float = 0.0, margin: float = 0.0
) -> tuple[Verdict, int]:
    """Hold estimates against a statement.

    Parameters
    ----------
    estimates : the numbers it is about, their intervals simultaneous if there are several.
    rule : "above" or "below": all lie there. "about": all lie within `margin` of the level. "some above": at
        least one lies above. "none above": none lies above by more than `margin`.
    level : what they are compared with.
    margin : of "about" and "none above".

    Returns
    -------
    The verdict, and the number of queries at which intervals as wide as these would decide it; 0 if it is
    decided, or if no number would.

    >>> decide([Estimate(0.02, 0.01, 0.03, n=100)], "above")
    ('holds', 0)
    >>> decide([Estimate(0.02, -0.02, 0.06, n=100)], "above")
    ('undecided', 400)
    """
    if rule == "is so":
        raise ValueError("rule 'is so' takes a Fact, which says itself whether it holds")
    told = [_one(each, rule, level, margin) for each in estimates]
    if not told:
        return "no data", 0
    states = [state for state, _ in told]
    if rule == "some above":
        verdict: Verdict = "holds" if True in states else "undecided" if None in states else "does not hold"
    else:
        verdict = "does not hold" if False in states else "undecided" if None in states else "holds"
    pending = [needed for state, needed in told if state is None]
    if verdict != "undecided":
        return verdict, 0
    if rule == "some above":
        return verdict, min(filter(None, pending), default=0)
    return verdict, max(pending) if all(pending) else 0


def _one(each: Estimate, rule: Rule, level: float, margin: float) -> tuple[bool | None, int]:
    """Whether one estimate obeys a rule, and the queries that would tell; None if it cannot be told.

    No number of queries is known to lift a value above a floor that it lies below: that number is 0.
    """
    if rule == "below":
        each = Estimate(-each.value, -each.high, -each.low, each.name, each.n)
        return _one(each, "above", -level, margin)
    if not np.isfinite([each.value, each.low, each.high]).all():
        return None, 0
    scale = max(abs(level), 1.0)
    if each.n and each.low == each.high and exceeds(abs(each.value - level), 0, scale):
        return None, 0  # no resampling varies these rows: the interval tells nothing
    lower, upper = (level - margin, level + margin) if rule == "about" else (-np.inf, level)
    if rule == "none above":
        upper = level + margin
    below, above = exceeds(lower, each.high, scale), exceeds(each.low, upper, scale)
    if rule == "about":
        inside = not exceeds(lower, each.low, scale) and not exceeds(each.high, upper, scale)
        state = False if below or above else True if inside else None
        distance = abs(margin - abs(each.value - level))
    elif rule == "none above":
        over = exceeds(each.low, level, scale) and each.value > each.floor
        state = False if over else True if not exceeds(each.high, upper, scale) else None
        distance = each.value - level if each.value > level + margin / 2 else upper - each.value
    else:
        state = None
        if above:
            state = True if exceeds(each.value, each.floor, scale) else None
        elif not exceeds(each.high, level, scale):
            state = False
        distance = abs(each.value - level)
    lucky = each.low > level and each.value <= each.floor
    return state, 0 if state is not None or lucky else _needed(each, distance)


def _needed(each: Estimate, distance: float) -> int:
    """Queries at which half the interval's width, shrinking as one over their root, fits into a distance."""
    half = (each.high - each.low) / 2
    if distance <= 0 or not half or not each.n:
        return 0
    return int(np.ceil(round(each.n * max((half / distance) ** 2, 1.0), 6)))
