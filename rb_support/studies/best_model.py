"""What an engineer asks of a router: is it better than the best single model, or as good for less?

By their hull on the rows they are judged on routers are lucky. Beside that stands what is left when one half
of the queries chooses the best model and the policies, and the other half pays for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.frontier import Curve, Part, exceeds
from rb_support.routers import model_points
from rb_support.stats import System, bootstrap_weights, cross_fitted, joined, simultaneous, turns
from rb_support.studies.predictive import Comparison, stacked
from rb_support.verdicts import Estimate

Array = NDArray[np.float64]

HALVINGS = 8
"""How often the queries are halved at random: one half chooses, the other pays."""
PLACEBOS = 20
"""Draws of a router that knows nothing, of which the 97.5% quantile is taken."""
BLOCKS = 256
"""More queries than these are resampled in so many random blocks."""

BEST = "best single model"


def best_model(points: Array) -> int:
    """Row of the best model, the cheapest of equals, in points (m, 2) of mean cost and quality."""
    cost, quality = points.T
    return int(min(np.flatnonzero(~exceeds(quality.max(), quality)), key=lambda model: cost[model]))


def leads_over_best_model(
    comparison: Comparison,
    names: Iterable[str],
    *,
    rng: np.random.Generator,
    draws: int = 500,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """Quality above the best single model's, at its cost, nothing of it chosen on the queries that pay.

    On one half of the queries the best model is chosen, and of each system the mixture of policies that is
    best at that model's cost; the other half pays both. Halves swap, several halvings are averaged.

    Parameters
    ----------
    names : systems, looked at together.
    rng : of halvings, resamples and placebos.
    draws : resamples of the queries, choices kept.
    level : probability that all intervals cover; more where several comparisons are looked at.

    Returns
    -------
    Name -> estimate with an interval that holds for all names at once; its floor is the 97.5% quantile of
    what routers of the same spread that know nothing reach, where the comparison has such.
    """
    names, n = list(names), len(comparison.test)
    parts, models = turns(n, rng, HALVINGS, BLOCKS), model_points(comparison.test)

    def leads(systems: Mapping[str, System]) -> Array:
        quality = parts.paid(cross_fitted({**systems, BEST: models}, _at_best_cost, parts))[..., 1]
        return quality[:, :-1] - quality[:, -1:]

    each = leads({name: comparison.systems[name] for name in names})
    drawn = bootstrap_weights(len(each), draws, rng) * parts.sizes
    value, samples = parts.sizes @ each / n, drawn @ each / drawn.sum(axis=1, keepdims=True)
    found = {}
    for name, middle, (low, high) in zip(
        names, value.tolist(), simultaneous(value, samples, level), strict=True
    ):
        blind, floor = comparison.placebos.get(name), -np.inf
        if blind is not None:
            luck = [parts.sizes @ leads({name: blind(rng)})[:, 0] / n for _ in range(PLACEBOS)]
            floor = float(np.quantile(luck, 0.975))
        found[name] = Estimate(middle, float(low), float(high), name, n, floor)
    return found


def _at_best_cost(points: Mapping[str, Array]) -> dict[str, list[Part]]:
    """The best model, and of each system the mixture that is best at its cost."""
    best = best_model(points[BEST])
    cost, found = points[BEST][best, 0], {BEST: [Part(best, BEST, 1.0)]}
    for name in points.keys() - {BEST}:
        curve = Curve(points[name])
        found[name] = curve.mixture(max(cost, curve.points[:, 0].min()))
    return found


def cost_to_reach(
    comparison: Comparison,
    routers: Iterable[str],
    shares: Sequence[float] = (0.95, 1.0),
    *,
    rng: np.random.Generator,
    draws: int = 200,
) -> pd.DataFrame:
    """What each router costs where it reaches a share of the best single model's quality.

    At face value the router's hull on the test rows is asked, and the best model is chosen anew in each
    resample, so that the interval pays for that choice. Cross-fitted, one half of the queries chooses the
    best model and the router's cheapest policies that reach the share there, or the best model where none
    does for less; the other half pays, and tells what share of quality comes out. Hold both against the
    placebo's row. Its interval is over queries and over who chooses.

    Returns
    -------
    A row per router and share: router, share_of_quality, usd_per_query, share_of_cost (of the best model's),
    low, high (95% of share_of_cost; a router that does not reach it costs an infinity), and cross-fitted
    honest_share_of_cost, honest_low, honest_high, honest_share_of_quality, quality_low, quality_high.
    """
    models, names = model_points(comparison.test), list(routers)
    every = [None, *bootstrap_weights(len(comparison.test), draws, rng)]
    usd, part = np.empty((2, len(every), len(names), len(shares)))
    for place, weights in enumerate(every):
        points = models(weights)
        cost, quality = points[best_model(points)]
        for column, name in enumerate(names):
            usd[place, column] = _cost_of(comparison.systems[name](weights), quality * np.asarray(shares))
        part[place] = usd[place] / cost if cost else np.nan
    low, high = np.quantile(part[1:], [0.025, 0.975], axis=0, method="closest_observation")
    index = pd.MultiIndex.from_product([names, shares], names=["router", "share_of_quality"])
    columns = {"usd_per_query": usd[0], "share_of_cost": part[0], "low": low, "high": high}
    table = pd.DataFrame({name: each.ravel() for name, each in columns.items()}, index=index)
    apart = rng.spawn(1)[0]
    honest = {share: _honest_shares(comparison, names, share, apart, draws) for share in shares}
    return table.join(pd.concat(honest, names=["share_of_quality", "router"])).reset_index()


def _cost_of(points: Array, wanted: Array) -> Array:
    """Cost at which the hull of some points reaches qualities; infinite where it does not."""
    corners = Curve(points).hull()
    # Rounding must not put the best model out of its own reach.
    reached = np.where(exceeds(wanted, corners[-1, 1]), np.inf, wanted)
    costs = np.interp(reached, corners[:, 1], corners[:, 0], right=np.inf)
    return np.where(np.isfinite(reached), np.minimum(costs, corners[-1, 0]), np.inf)


def _honest_shares(
    comparison: Comparison, names: list[str], share: float, rng: np.random.Generator, draws: int
) -> pd.DataFrame:
    """Cross-fitted columns of `cost_to_reach` for one share, a row per name."""
    models = model_points(comparison.test)
    systems = {name: joined([comparison.systems[name], models]) for name in names} | {BEST: models}

    def choose(points: Mapping[str, Array]) -> dict[str, list[Part]]:
        reached = {name: cheapest_reaching(points[name], points[BEST], share) for name in names}
        return {BEST: [Part(best_model(points[BEST]), BEST, 1.0)], **reached}

    parts = turns(len(comparison.test), rng, HALVINGS, BLOCKS)
    prices = cross_fitted(systems, choose, parts)
    # A resample also draws who chooses, since another half would have chosen otherwise.
    turn = rng.integers(len(prices), size=draws)
    drawn = bootstrap_weights(prices.shape[1], draws, rng) * parts.sizes * parts.pays[turn]
    whole = np.einsum("b,bsc->sc", parts.sizes, parts.paid(prices))
    totals = np.stack([whole, *np.einsum("db,dbsc->dsc", drawn, prices[turn])])
    rival = np.where(totals[:, -1:] > 0, totals[:, -1:], np.nan)  # of a free model there is no share
    ratios = totals[:, :-1] / rival
    low, high = np.quantile(ratios[1:], [0.025, 0.975], axis=0, method="closest_observation")
    columns = ["honest_share_of_cost", "honest_low", "honest_high"]
    columns += ["honest_share_of_quality", "quality_low", "quality_high"]
    table = np.stack([ratios[0], low, high], axis=-1)
    return pd.DataFrame(table.reshape(len(names), -1), index=names, columns=columns)


def cheapest_reaching(points: Array, models: Array, share: float) -> list[Part]:
    """A router's cheapest policies that reach a share of the best model's quality, or that model if cheaper.

    Parameters
    ----------
    points : (k + m, 2) mean cost and quality of the router's k policies, and after them of the models.
    models : (m, 2) of the models.
    share : of the best model's quality.
    """
    own, best = points[: -len(models)], best_model(models)
    cost, quality = models[best]
    spent = float(_cost_of(own, np.array(share * quality)))
    dearer = bool(exceeds(spent, cost))
    return [Part(len(own) + best, BEST, 1.0)] if dearer else Curve(own).mixture(spent)


def reach_table(
    comparisons: Mapping[str, Comparison], routers: Iterable[str], *, rng: np.random.Generator
) -> pd.DataFrame:
    """`cost_to_reach` of every dataset, one below the other, with a column `dataset` first."""
    names = list(routers)
    return stacked(
        {name: cost_to_reach(each, names, rng=rng) for name, each in comparisons.items()}, "dataset"
    )


def reach_view(table: pd.DataFrame) -> pd.DataFrame:
    """`cost_to_reach` or `reach_table` as a reader wants it: a cell for each number with its interval."""
    kinds = {
        "cost, at face value": ["share_of_cost", "low", "high"],
        "cost, cross-fitted": ["honest_share_of_cost", "honest_low", "honest_high"],
        "quality kept, cross-fitted": ["honest_share_of_quality", "quality_low", "quality_high"],
    }
    head = table[[name for name in ("dataset", "router") if name in table]]
    view = head.assign(aim=table["share_of_quality"].map("{:.0%} of the quality".format))
    view["USD per query"] = table["usd_per_query"].map("{:.6f}".format)
    for name, columns in kinds.items():
        numbers = table[columns].to_numpy().tolist()
        view[name] = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in numbers]
    return view
