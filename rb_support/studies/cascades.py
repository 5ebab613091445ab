"""The cascade experiments of RouterBench sec. 5.3, step by step: error, budget, order, judge."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support import routers
from rb_support.frontier import Curve, exceeds
from rb_support.outcomes import Outcomes
from rb_support.routers import Cascade, budget_grid, cascade_name, judge_error, model_points
from rb_support.stats import System, bootstrap_aiq, interval, joined
from rb_support.studies.predictive import ZERO, Comparison, held_out

Array = NDArray[np.float64]

JUDGED = "Cascade, learned judge, t = 0.5"
JUDGED_ANY = "Cascade, learned judge, every t"


def error_systems(outcomes: Outcomes, error_rates: Array, *, steps: int = 40) -> dict[str, System]:
    """Zero router, and the cascade (cheapest first, over `steps` budgets) at every judge error rate."""
    cascade, grid = Cascade.on(outcomes), budget_grid(outcomes.cost, steps)
    simulated = {cascade_name(rate): cascade.system(grid, rate) for rate in error_rates.tolist()}
    return {ZERO: model_points(outcomes), **simulated}


def chosen_chains(train: Outcomes, test: Outcomes, error_rate: float) -> System:
    """The best chains of up to four models, chosen on training rows, each without a budget, on test rows."""
    best = routers.best_chains(routers.chains(train.quality, train.cost, error_rate=error_rate))
    every = [Cascade(test.quality, test.cost, order=chain.order) for chain in best]
    return joined(cascade.system([np.inf], error_rate) for cascade in every)


def judged_systems(outcomes: Outcomes, scores: ArrayLike, *, steps: int = 40) -> dict[str, System]:
    """Cascades by a real judge's scores, cheapest first: over all budgets, and over all thresholds.

    The second has no budget per query; thresholds whose cascade costs more than the dearest model in the
    mean are left out, as who can pay that would call the model; if all do, the lowest is kept.
    """
    fixed = Cascade.on(outcomes, scores=scores).system(budget_grid(outcomes.cost, steps))
    thresholds = np.linspace(0, 0.95, 39)
    every = [Cascade.on(outcomes, scores=scores, threshold=t).system([np.inf]) for t in thresholds]
    limit = outcomes.points()[:, 0].max()
    paid = [one for one in every if not exceeds(one(None)[0, 0], limit)]
    return {JUDGED: fixed, JUDGED_ANY: joined(paid or every[:1])}


def judge_table(judged: Mapping[str, Array], parts: Mapping[str, Outcomes]) -> pd.DataFrame:
    """Error rates of a judge per dataset: on all answers, on the cheapest model's, and of one who is blind.

    Parameters
    ----------
    judged : dataset -> (n, m) scores.
    parts : dataset -> outcomes.

    Returns
    -------
    A row per dataset: learned_judge, on_cheapest_model, says_what_is_commoner (per model, unread).
    """
    rows = {}
    for name, outcomes in parts.items():
        first, right = int(outcomes.cost.mean(axis=0).argmin()), (outcomes.quality > 0.5).mean(axis=0)
        rows[name] = {
            "learned_judge": judge_error(judged[name], outcomes.quality),
            "on_cheapest_model": judge_error(judged[name][:, first], outcomes.quality[:, first]),
            "says_what_is_commoner": float(np.minimum(right, 1 - right).mean()),
        }
    return pd.DataFrame(rows).T.rename_axis("dataset")


def break_even_interval(
    outcomes: Outcomes, error_rates: Array, *, rng: np.random.Generator, steps: int = 40, draws: int = 500
) -> dict[str, float]:
    """Error rate at which the cascade's AIQ is the zero router's, with a 95% interval from paired resamples.

    Returns
    -------
    break_even, break_even_low, break_even_high; see `break_even` for what stands at the ends of the range.
    """
    systems = error_systems(outcomes, error_rates, steps=steps)
    whole, samples = bootstrap_aiq(systems, len(outcomes), rng=rng, draws=draws)
    areas = pd.DataFrame([whole, *samples.to_dict("records")])
    leads = areas.drop(columns=ZERO).sub(areas[ZERO], axis=0).to_numpy()
    estimate, *resampled = (routers.break_even(error_rates, lead) for lead in leads)
    low, high = interval(resampled)
    return {"break_even": estimate, "break_even_low": low, "break_even_high": high}


def compare_orders(
    outcomes: Outcomes,
    error_rate: float,
    *,
    seed: int,
    steps: int = 40,
    at_random: int = 0,
    rng: np.random.Generator | None = None,
) -> Comparison:
    """Zero router, the best chains of up to four models, cheapest first and random orders, on test rows.

    Parameters
    ----------
    outcomes : split 70/30; the chains are chosen on the first part, all is evaluated on the second.
    error_rate : of the judge.
    seed : of the split.
    steps : budgets of the orders; the chosen chains have no budget per query.
    at_random, rng : how many random orders, drawn from what.
    """
    train, test = held_out(outcomes, seed)
    systems = {ZERO: model_points(test), "best": chosen_chains(train, test, error_rate)}
    rng, grid = rng or np.random.default_rng(seed), budget_grid(test.cost, steps)
    drawn = {f"random {i}": rng.permutation(len(test.models)).tolist() for i in range(at_random)}
    for name, order in {"cheapest first": None, **drawn}.items():
        systems[name] = Cascade(test.quality, test.cost, order=order).system(grid, error_rate)
    return Comparison(test, systems)


def oracle_reach(comparison: Comparison) -> dict[str, float]:
    """How near the cascade without judge error comes to the oracle.

    Returns
    -------
    share : its quality at the oracle's mean cost, as a share of the oracle's.
    gap : the oracle's quality minus the best it reaches at any cost.
    times : how many times the oracle's cost it needs to come within 0.01 (or within the gap).
    """
    curve, (usd, peak) = Curve(comparison.points(cascade_name(0))), comparison.oracle
    corners = curve.hull()
    gap = float(peak - corners[-1, 1])
    enough = np.interp(peak - max(gap, 0.01), corners[:, 1], corners[:, 0])
    share = float(curve.at(usd) / peak) if peak else 1.0  # where no answer is right there is nothing to reach
    times = float(enough / usd) if usd else np.inf if enough else 1.0
    return {"share": share, "gap": gap, "times": times}


def largest_falls(outcomes: Outcomes, error_rates: Array, *, steps: int = 40) -> Array:
    """How far quality falls below its best so far as the budget grows, per error rate, (k,)."""
    _, quality = Cascade.on(outcomes).expected(budget_grid(outcomes.cost, steps), error_rates)
    return (np.maximum.accumulate(quality, axis=0) - quality).max(axis=0)


def stopping_table(outcomes: Outcomes, budgets: Array, error_rate: float = 0.0) -> pd.DataFrame:
    """Cost and quality by both stopping rules: a row per budget, columns (usd_per_query or quality, rule)."""
    columns = {}
    for rule in ("cap", "paper"):
        usd, quality = Cascade.on(outcomes, stopping=rule).expected(budgets, [error_rate])
        columns["usd_per_query", rule], columns["quality", rule] = usd[:, 0], quality[:, 0]
    return pd.DataFrame(columns, index=pd.Index(budgets, name="T")).sort_index(axis=1, ascending=False)


def threshold_table(outcomes: Outcomes, scores: Array, thresholds: ArrayLike) -> pd.DataFrame:
    """A real judge's thresholds, with no budget per query: error_rate, usd_per_query, quality by t."""
    rows = {}
    for t in np.asarray(thresholds, dtype=float):
        usd, quality = Cascade.on(outcomes, scores=scores, threshold=t).expected([np.inf], [0])
        wrong = np.mean((scores > t) != (outcomes.quality > 0.5))
        rows[t] = {"error_rate": wrong, "usd_per_query": usd.item(), "quality": quality.item()}
    return pd.DataFrame(rows).T.rename_axis("t")
