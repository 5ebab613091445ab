"""What a router saves a month on a table, each row judged by a router and a setting that never saw it.

Predictions are out of fold. A router and its rivals are set to one goal, a share of the best single model's
quality, and each row is called as settings chosen on halves without it would: its cost and quality, averaged
over the halvings in which it pays, make one (n, 2) table. All else is a paired bootstrap over its rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.frontier import exceeds, hull, hull_indices
from rb_support.outcomes import Outcomes
from rb_support.routers import dealt_out, lambda_path, mean_cost, model_points
from rb_support.stats import Array, Rows, bootstrap_weights, halves, interval, simultaneous
from rb_support.studies.best_model import best_model
from rb_support.studies.wording import says
from rb_support.verdicts import Estimate

PLACEBOS = 24
SECONDS, USD_PER_HOUR = 0.05, 0.2
"""What embedding a prompt is taken to need, and what an hour of such a machine costs: assumptions of ours."""
RUNNING = SECONDS * USD_PER_HOUR / 3600
"""What running the router is taken to cost, USD per query."""

BEST, MIXED, EQUAL, ROUTED = "always the best model", "mixture at the goal", "mixture as good", "router"
OVER_BEST = "saved by the router over the best model"
MIXED_OVER_BEST = "saved by the mixture over the best model"
OVER_EQUAL = "saved by the router over a mixture as good"
LUCK, RUNS = "the same, 97.5% of placebos", "running the router, assumed"
_say = says("own_savings")

FORMATS = {"usd_per_month": ",.2f", "low": ",.2f", "high": ",.2f"}
FORMATS |= dict.fromkeys(("quality", "quality_low", "quality_high"), ".3f")
"""How the numbers of a table of savings are shown."""


def dollars(usd: float) -> str:
    """A sum as it is read: whole dollars, of few of them two digits."""
    return f"{usd:,.0f}" if abs(usd) >= 10 else f"{usd:.2g}"


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """A router by what it predicts for every row of a table, each predicted by a fold that had not seen it.

    Attributes
    ----------
    table : n rows.
    predicted : (n, m) quality.
    """

    table: Outcomes
    predicted: Array

    @property
    def cost(self) -> Array:
        """What it expects of a call, (m,) USD: each model's mean."""
        return mean_cost(self.table)


def routed_rows(
    router: OutOfFold, goal: float, turns: tuple[Rows, Rows], without: Sequence[int] = ()
) -> tuple[Array, float]:
    """Cost and quality of every row as a router's settings chosen on other rows call it.

    Parameters
    ----------
    router : its predictions for n rows.
    goal : share of the best single model's quality to be reached, at the lowest willingness to pay.
    turns : of `stats.halves`: who chooses and who pays.
    without : columns of models that may not be called; the goal stays that of all models.

    Returns
    -------
    (n, 2) USD and quality, and the share of halves on which the goal is reached at all.
    """
    table = router.table
    kept = np.setdiff1d(np.arange(len(table.models)), without)
    quality, cost = table.quality[:, kept], table.cost[:, kept]
    path = lambda_path(router.predicted[:, kept], router.cost[kept])
    system, settings = path.on(quality, cost), np.append(path.breakpoints, np.inf)
    outcomes, reached = [], []
    for half in turns[0]:
        heights = system(half)[:, 1]
        enough = ~exceeds(_wanted(table, goal, half), heights, 1.0)
        reached.append(enough.any())
        place = int(enough.argmax() if enough.any() else heights.argmax())
        calls = path.choices(settings[place])[:, None]
        outcomes.append(np.hstack([np.take_along_axis(each, calls, 1) for each in (cost, quality)]))
    return _as_paid(np.array(outcomes), turns[1]), float(np.mean(reached))


def mixed_rows(table: Outcomes, goal: float, turns: tuple[Rows, Rows]) -> Array:
    """Cost and quality, (n, 2), of every row under the cheapest mixtures that reach the goal elsewhere."""
    every, outcomes = np.stack([table.cost, table.quality], axis=2), []
    for half in turns[0]:
        points = model_points(table)(half)
        corners = hull_indices(points)
        wanted = _wanted(table, goal, half)
        place = np.interp(wanted, points[corners, 1], np.arange(len(corners), dtype=float))
        left, share = int(place), place % 1
        right = min(left + 1, len(corners) - 1)
        outcomes.append((1 - share) * every[:, corners[left]] + share * every[:, corners[right]])
    return _as_paid(np.array(outcomes), turns[1])


def _wanted(table: Outcomes, goal: float, weights: NDArray[Any]) -> float:
    return goal * float((weights @ table.quality / weights.sum()).max())


def _as_paid(outcomes: Array, pays: Rows) -> Array:
    """Mean of (h, n, 2) outcomes of every row over the turns in which it pays."""
    return np.asarray((pays[:, :, None] * outcomes).sum(axis=0) / pays.sum(axis=0)[:, None])


def usd_to_match(points: Array, quality: float) -> float:
    """USD of the cheapest blind mixture of models (m, 2) that is as good; of the best model if none is."""
    corners = hull(points)
    return float(np.interp(quality, corners[:, 1], corners[:, 0]))


@dataclass(frozen=True, eq=False)
class Savings:
    """A router's bill beside its rivals', USD a month.

    Attributes
    ----------
    table : a row per bill and per saving: what, usd_per_month, low, high; of bills also quality,
        quality_low and quality_high. Intervals of savings hold together, the others singly. `LUCK`: what
        97.5% of routers of the same spread without knowledge save at most. `RUNS`: what running it costs.
    best : the best model.
    goal, queries, rows : the goal, queries a month, rows.
    kind : of data.
    """

    table: pd.DataFrame
    best: str
    goal: float
    queries: int
    rows: int
    kind: str

    def of(self, what: str, column: str = "usd_per_month") -> float:
        """A number of the table: USD a month, unless another column is asked for."""
        return self.table.set_index("what")[column].to_dict()[what]

    def estimate(self, what: str, less: float = 0.0) -> Estimate:
        """A row of the table as evidence, less something that is known, such as the cost of running."""
        value, low, high = (self.of(what, column) - less for column in ("usd_per_month", "low", "high"))
        floor = self.of(LUCK) - less if what == OVER_EQUAL else -np.inf
        return Estimate(value, low, high, what, self.rows, floor)

    @property
    def proven(self) -> Mapping[str, bool]:
        """Saving -> whether it can be claimed: its interval is above nought, running paid, and so is luck."""
        less = {OVER_BEST: self.of(RUNS), MIXED_OVER_BEST: 0.0, OVER_EQUAL: self.of(RUNS)}
        found = {what: self.estimate(what, cost) for what, cost in less.items()}
        return {what: each.low > 0 and each.value > each.floor for what, each in found.items()}

    @property
    def kept(self) -> float:
        """Share of the best model's quality that the router gives; all of it if no model has any."""
        best = self.of(BEST, "quality")
        return self.of(ROUTED, "quality") / best if best else 1.0

    @property
    def earned(self) -> float:
        """Share of the saving over the best model that a mixture as good lacks; 0 if nothing is saved."""
        over_best = self.of(OVER_BEST)
        return self.of(OVER_EQUAL) / over_best if over_best > 0 else 0.0

    def sentence(self) -> str:
        """What may be told to who pays, and no more than that."""
        best, proven = self.of(BEST, "quality"), self.proven

        def money(what: str) -> str:
            value, low, high = (dollars(self.of(what, column)) for column in ("usd_per_month", "low", "high"))
            return _say("money", value=value, low=low, high=high)

        def level(what: str) -> str:
            return _say("level", part=self.of(what, "quality") / best) if best else "the same quality"

        on = "Simulated data: on" if self.kind == "simulated" else "On"
        told = [_say("bill", on=on, queries=self.queries, best=self.best, bill=money(BEST))]
        bills = {"saved": money(OVER_BEST), "level": level(ROUTED), "earned": money(OVER_EQUAL)}
        if proven[OVER_BEST] and proven[OVER_EQUAL]:
            told.append(_say("saves", per_1000=1000 * self.of(OVER_EQUAL) / self.queries, **bills))
        else:
            told.append(_say("nothing_saved", **bills))
        if proven[MIXED_OVER_BEST] and not proven[OVER_EQUAL]:
            told.append(_say("mixture", saved=money(MIXED_OVER_BEST), level=level(MIXED)))
        return " ".join([*told, _say("measured", rows=self.rows)])


def savings(
    router: OutOfFold, goal: float, queries: int, *, rng: np.random.Generator, draws: int = 500
) -> Savings:
    """What a router set to a goal saves a month, over the best model and over blind mixtures.

    The rival "as good" is the cheapest fixed mixture of the router's own measured quality, whose models are
    chosen on the very rows that price it: an advantage that the router is not given. Where no mixture is as
    good, it is the best model.

    Parameters
    ----------
    router : its predictions for rows that it has not seen.
    goal : share of the best single model's quality.
    queries : a month.
    rng : of halvings, resamples and placebos.
    draws : resamples.
    """
    table = router.table
    n = len(table)
    turns, models = halves(n, rng), model_points(table)
    mixed = mixed_rows(table, goal, turns)

    def priced(routed: Array, weights: Array) -> Array:
        """(4, 2) cost and quality of the rivals and the router."""
        points, share = models(weights), weights / weights.sum()
        given = share @ routed
        equal = usd_to_match(points, given[1]), given[1]
        return np.array([points[best_model(points)], share @ mixed, equal, given])

    routed, _ = routed_rows(router, goal, turns)
    whole = priced(routed, np.ones(n))
    drawn = np.array([priced(routed, weights) for weights in bootstrap_weights(n, draws, rng).astype(float)])
    lucky = []
    for _ in range(PLACEBOS):
        blind, _ = routed_rows(OutOfFold(table, dealt_out(router.predicted, rng)), goal, turns)
        lucky.append(queries * _saved(priced(blind, np.ones(n)))[2])
    bills = {"usd_per_month": queries * whole[:, 0], "quality": whole[:, 1]}
    bought = pd.DataFrame({"what": [BEST, MIXED, EQUAL, ROUTED], **bills})
    for place, columns in enumerate((["low", "high"], ["quality_low", "quality_high"])):
        scale = 1 if place else queries
        bought[columns] = [interval(scale * drawn[:, row, place]) for row in range(4)]
    saved = queries * _saved(whole)
    rows = pd.DataFrame({"what": [OVER_BEST, MIXED_OVER_BEST, OVER_EQUAL], "usd_per_month": saved})
    rows[["low", "high"]] = simultaneous(saved, queries * _saved(drawn))
    known = {"what": [LUCK, RUNS], "usd_per_month": [np.quantile(lucky, 0.975), queries * RUNNING]}
    columns = ["what", "usd_per_month", "low", "high", "quality", "quality_low", "quality_high"]
    found = pd.concat([bought, rows, pd.DataFrame(known)], ignore_index=True)[columns]
    return Savings(found, table.models[best_model(table.points())], goal, queries, n, table.origin.kind)


def bills(router: OutOfFold, goal: float, turns: tuple[Rows, Rows]) -> dict[str, float]:
    """USD per query of the best model, of a mixture as good as the router, and of the router set to a goal.

    Parameters
    ----------
    router, goal : as of `savings`, of whose bills these are the three without intervals.
    turns : of `stats.halves`: who chooses and who pays.
    """
    points, (routed, _) = router.table.points(), routed_rows(router, goal, turns)
    usd, quality = routed.mean(axis=0).tolist()
    return {BEST: float(points[best_model(points), 0]), EQUAL: usd_to_match(points, quality), ROUTED: usd}


def _saved(priced: Array) -> Array:
    """Router over best, mixture over best, router over a mixture as good, (..., 3), of (..., 4, 2) rivals."""
    best, mixed, equal, routed = np.moveaxis(priced[..., 0], -1, 0)
    saved = np.stack([best - routed, best - mixed, equal - routed], axis=-1)
    size = np.maximum(best, equal)[..., None]
    return np.where(exceeds(np.abs(saved), 0, size), saved, 0.0)  # rounding must not look like a spread


def widths(
    router: OutOfFold, goal: float, queries: int, *, rng: np.random.Generator, draws: int = 100
) -> pd.DataFrame:
    """How wide the interval of the saving over a mixture as good is on fewer rows, and would be on more.

    Returns
    -------
    rows, half_width (USD a month) and whether it is `measured`, on random parts of the rows, or extrapolated
    from all rows by one over the root of their number.
    """
    table = router.table
    n, found = len(table), []
    for part in (8, 4, 2, 1):
        for _ in range(part if n // part >= 8 else 0):
            rows = rng.choice(n, n // part, replace=False)
            some, saved = table.take(rows), []
            routed, _ = routed_rows(OutOfFold(some, router.predicted[rows]), goal, halves(len(rows), rng, 4))
            models = model_points(some)
            for weights in bootstrap_weights(len(rows), draws, rng):
                cost, quality = weights @ routed / len(rows)
                saved.append(usd_to_match(models(weights), quality) - cost)
            low, high = interval(np.array(saved) * queries)
            found.append((len(rows), (high - low) / 2))
    measured = pd.DataFrame(found, columns=["rows", "half_width"]).groupby("rows", as_index=False).mean()
    now = float(measured["half_width"].iloc[-1]) if len(measured) else np.nan
    more = np.array([1, 2, 4, 8, 16])
    further = pd.DataFrame({"rows": n * more, "half_width": now / np.sqrt(more)})
    return pd.concat([measured.assign(measured=True), further.assign(measured=False)], ignore_index=True)


def more_prompts(saved: Savings, width: pd.DataFrame) -> str:
    """How many labelled prompts would tell the saving over a mixture as good more sharply, in a sentence."""
    now, value = width.loc[width["measured"], "half_width"].iloc[-1:], saved.estimate(OVER_EQUAL).value
    if not len(now) or not np.isfinite(now.iloc[0]) or not now.iloc[0] or not value:
        return _say("too_few")
    half = float(now.iloc[0])
    known = _say("known", rows=saved.rows, value=dollars(value), half=dollars(half), less=dollars(half / 2))
    if not value > max(saved.of(LUCK), 0.0):  # no number is known to lift it above what luck reaches
        return known
    proven = saved.proven[OVER_EQUAL]
    wanted = saved.rows * max((half / (value / 5 if proven else value)) ** 2, 1.0)
    aim = "know it to a fifth" if proven else "tell it from nothing"
    return f"{known} {_say('more', aim=aim, prompts=float(f'{wanted:.2g}'))}"


def running(saved: Savings, seconds: float) -> str:
    """What this machine needs for a prompt beside what the table takes, in a sentence."""
    here, there = saved.queries * seconds * USD_PER_HOUR / 3600, saved.of(RUNS)
    took = {"ms": 1000 * seconds, "usd": dollars(here), "hourly": USD_PER_HOUR}
    told = _say("running", **took, assumed_ms=1000 * SECONDS, assumed_usd=dollars(there))
    share = _say("share", share=there / saved.of(OVER_EQUAL)) if saved.of(OVER_EQUAL) > 0 else ""
    return f"{told}{share}."


def stacked(learnt: pd.DataFrame, width: pd.DataFrame) -> pd.DataFrame:
    """The numbers of `own_outcomes.learning_curve` and `widths` in one table, told apart by `what`."""
    return pd.concat({"lead": learnt, "half width": width}, names=["what", None]).reset_index("what")
