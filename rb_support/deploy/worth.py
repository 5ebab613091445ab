"""Whether a router is worth having: does it lead what knows nothing, on rows that it has not seen?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rb_support.cache import packaged_table
from rb_support.frontier import hull_indices
from rb_support.outcomes import Outcomes
from rb_support.routers import dealt_out, knows_nothing, lambda_path, model_points
from rb_support.stats import System, bootstrap_honest_aiq, honest_aiqs, simultaneous

Array = NDArray[np.float64]
Finding = Literal["leads", "no lead shown", "behind zero", "knows nothing"]

_SAID = packaged_table("deploy/words.toml")["worth"]
_PLACEBOS = 24
_DRAWS = 500


@dataclass(frozen=True)
class Worth:
    """Honest AIQ on held-out rows: policies chosen on half of them, priced on the other.

    Attributes
    ----------
    aiq, zero : of the router, and of the better zero router: the one chosen on the training rows, or the
        paper's, which sees the held-out means.
    lead : aiq - zero, with its 95% interval `low` to `high`.
    placebo_high : 97.5% quantile of the lead of the router's own predictions dealt out to the rows at random.
    rows : held-out rows.
    """

    aiq: float
    zero: float
    lead: float
    low: float
    high: float
    placebo_high: float
    rows: int
    knows_nothing: bool

    @property
    def finding(self) -> Finding:
        """It "leads" if the interval excludes zero and the lead is above what luck reaches."""
        if self.knows_nothing:
            return "knows nothing"
        if self.high < 0:
            return "behind zero"
        return "leads" if self.low > 0 and self.lead > self.placebo_high else "no lead shown"

    def __str__(self) -> str:
        return _SAID[self.finding].format(numbers=_SAID["numbers"].format(**vars(self)))


def worth(
    predicted: Array, mean_cost: Array, train_points: Array, held_out: Outcomes, rng: np.random.Generator
) -> Worth:
    """Hold a router against both zero routers and against its own predictions dealt out at random.

    Parameters
    ----------
    predicted : (n, m) quality that it predicts for the held-out rows.
    mean_cost : (m,) USD per query that it expects of a call.
    train_points : (m, 2) cost and quality of every model on the training rows.
    held_out : n rows.
    rng : of halvings, resamples and placebos.
    """
    every, chosen = model_points(held_out), hull_indices(train_points)
    zeros: dict[str, System] = {"seen": every, "trained": lambda weights: every(weights)[chosen]}

    def follow(quality: Array) -> System:
        return lambda_path(quality, mean_cost).on(held_out.quality, held_out.cost)

    n, blind = len(held_out), knows_nothing(predicted)
    areas, samples = bootstrap_honest_aiq({"router": follow(predicted)} | zeros, n, rng=rng, draws=_DRAWS)
    rival = max(zeros, key=lambda name: areas[name])
    lead = areas["router"] - areas[rival]
    ((low, high),) = simultaneous([lead], samples[["router"]].sub(samples[rival], axis=0)).tolist()
    leads = [lead] if blind else []
    for _ in range(0 if blind else _PLACEBOS):
        placed = honest_aiqs({"router": follow(dealt_out(predicted, rng))} | zeros, n, rng=rng, halvings=8)
        leads.append(placed.pop("router") - max(placed.values()))
    placebo_high = float(np.quantile(leads, 0.975))
    return Worth(areas["router"], areas[rival], lead, low, high, placebo_high, rows=n, knows_nothing=blind)
