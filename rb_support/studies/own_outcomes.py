"""An own table's routers on one set of held-out rows: verdict, the models' worth, settings, more prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support import deploy
from rb_support.deploy.router import MADE, Kind
from rb_support.embed import BUNDLED, embed
from rb_support.frontier import chosen, hull_indices
from rb_support.load import ROWS, Scale, load_outcomes
from rb_support.outcomes import Outcomes
from rb_support.routers import lambda_path, mean_cost, model_points
from rb_support.routers.evidence import folds
from rb_support.simulate.company_log import company_log
from rb_support.stats import System, bootstrap_honest_aiq, bootstrap_weights, simultaneous
from rb_support.studies.own_savings import random_halves, routed_rows
from rb_support.studies.predictive import PLACEBO, ZERO, ZERO_TRAINED, Comparison, compare_predictions
from rb_support.verdicts import Estimate

Array = NDArray[np.float64]

SIZES: Mapping[Scale, int] = {"quick": 2_000, "full": 10_000}
"""Simulated prompts per scale."""
MOST = 12
"""Of more models, what a model is worth is asked of so many: those on the hull, then the best ones."""
SPARE = 0.005
"""A model without which the router's honest AIQ falls by less than this can go."""


def load_log(data: str = "simulated", *, scale: Scale = "quick", seed: int = 0) -> Outcomes:
    """Outcome table that notebook 08 asks for: the simulated company log, or what `load_outcomes` loads.

    Rows that lack a score or a cost are left out, and counted in the origin's notes.
    """
    if data == "simulated" and scale in ROWS:
        return company_log(SIZES[scale], seed=seed)
    return load_outcomes(data, scale=scale, seed=seed, missing="drop")


def fit(table: Outcomes, kind: Kind, *, seed: int = 0) -> deploy.DeployedRouter:
    """A router fitted on all rows, whose held-out predictions are out of fold, so that all rows judge it too.

    `deploy.fit` keeps 30% of the rows apart; on a small table that leaves few to set a router by.
    """
    vectors = embed(table.frame["prompt"].tolist(), BUNDLED)
    return deploy.DeployedRouter(
        kind=kind,
        predictor=MADE[kind](seed=seed).fit(table, vectors),
        embedding=BUNDLED,
        models=table.models,
        mean_cost=mean_cost(table),
        held_out=table,
        predicted=out_of_fold(table, kind, seed=seed),
        origin=table.origin,
    )


def out_of_fold(table: Outcomes, kind: Kind, *, seed: int = 0, part: int = 1) -> Array:
    """Quality that routers predict for rows that they have not seen, (n, m): five folds, prompts kept whole.

    Parameters
    ----------
    part : each fold's router learns from one in so many of the rows that it may see.
    """
    vectors, rng = embed(table.frame["prompt"].tolist(), BUNDLED), np.random.default_rng(seed)
    every = np.arange(len(table))
    predicted = np.empty(table.quality.shape)
    for seen, left in folds(table, seed=seed) or [(every, every)]:
        some = rng.permutation(seen)[: max(len(seen) // part, 1)]
        router = MADE[kind](seed=seed).fit(table.take(some), vectors[some])
        predicted[left] = router.predict(vectors[left])
    return predicted


def compared(routers: Mapping[str, deploy.DeployedRouter]) -> Comparison:
    """Routers of one table beside the blind mixture, on all of its rows."""
    table = next(iter(routers.values())).held_out
    return compare_predictions(table, table, {name: router.predicted for name, router in routers.items()})


def verdict(rows: pd.DataFrame, kind: str) -> str:
    """What an AIQ table says of one of its routers and of all, in a sentence or two."""
    trained = rows[~rows["router"].isin([ZERO, ZERO_TRAINED])].set_index("router")
    leads = trained.index[trained["finding"] == "leads"].tolist()
    row = trained.loc[kind]
    told = f"{kind}: honest lead {row['honest_minus_zero']:+.4f} [{row['honest_low']:+.4f}, "
    told += f"{row['honest_high']:+.4f}] over the blind mixture, placebos up to {row['placebo_high']:+.4f} "
    told += f"(n = {row['n']:,}): {row['finding']}."
    if not leads:
        why = "none is shown to do better than a mixture that reads nothing"
        return f"{told}\nNo router is worth it here: {why}."
    return f"{told}\nShown to lead the blind mixture: {', '.join(leads)}."


def model_values(
    router: deploy.DeployedRouter, goal: float, queries: int, *, rng: np.random.Generator, draws: int = 300
) -> pd.DataFrame:
    """What each model is worth to the blind mixture and to the router: what is lost without it.

    Parameters
    ----------
    router : of `fit`; of more than `MOST` models, so many are looked at.
    goal : share of the best single model's quality that is to be kept.
    queries : a month.
    rng, draws : of halvings and resamples.

    Returns
    -------
    A row per model, dearest first: model, usd_per_query, quality, on_hull (share of resamples), mixture and
    router (honest AIQ that each loses without the model), extra_usd (USD a month more that the router costs
    at the goal; NaN where the goal is out of reach without the model), each with _low and _high, simultaneous
    over models, keeps_goal (share of halves of the rows) and finding.
    """
    table, predicted = router.held_out, router.predicted
    n, points = len(table), table.points()
    order = np.lexsort((points[:, 0], -points[:, 1]))
    looked = [int(j) for j in dict.fromkeys([*hull_indices(points).tolist(), *order.tolist()])][:MOST]
    looked = sorted(looked, key=lambda j: -points[j, 0])
    weights = bootstrap_weights(n, draws, rng)
    on_hull = [hull_indices(model_points(table)(each)) for each in weights]
    found: dict[str, object] = {
        "model": [table.models[j] for j in looked],
        "usd_per_query": points[looked, 0],
    }
    found |= {
        "quality": points[looked, 1],
        "on_hull": [np.mean([j in rows for rows in on_hull]) for j in looked],
    }
    values = pd.DataFrame(found)
    if len(table.models) == 1:
        return values.assign(finding="there is no other")

    def without(j: int | None, blind: bool) -> System:
        kept = [column for column in range(len(table.models)) if column != j]
        quality, cost = table.quality[:, kept], table.cost[:, kept]
        if blind:
            return model_points(table.select([table.models[column] for column in kept]))
        return lambda_path(predicted[:, kept], mean_cost(table)[kept]).on(quality, cost)

    for name in ("mixture", "router"):
        systems = {str(j): without(j, name == "mixture") for j in (None, *looked)}
        areas, drawn = bootstrap_honest_aiq(systems, n, rng=rng, draws=draws)
        lost = areas["None"] - np.array([areas[str(j)] for j in looked])
        samples = drawn[["None"]].to_numpy() - drawn[[str(j) for j in looked]].to_numpy()
        values[name], values[[f"{name}_low", f"{name}_high"]] = lost, simultaneous(lost, samples)
    halves = random_halves(n, rng)

    def spent(without: Sequence[int]) -> tuple[Array, float]:
        rows, reached = routed_rows(predicted, table, goal, halves, without)
        return queries * rows[:, 0], reached

    every, (whole, _) = [spent([j]) for j in looked], spent([])
    extra = np.column_stack([rows - whole for rows, _ in every])
    values["extra_usd"], samples = extra.mean(axis=0), weights @ extra / n
    values[["extra_usd_low", "extra_usd_high"]] = simultaneous(values["extra_usd"], samples)
    values["keeps_goal"] = [reached for _, reached in every]
    values.loc[values["keeps_goal"] < 1, ["extra_usd", "extra_usd_low", "extra_usd_high"]] = np.nan
    states = [values["router_low"] > 0, values["router_high"] < SPARE]
    return values.assign(finding=np.select(states, ["worth having", "can go"], "cannot be told"))


def worth(values: pd.DataFrame, rows: int) -> list[Estimate]:
    """What the router loses without each model, as evidence."""
    if "router" not in values:
        return []
    columns = values[["router", "router_low", "router_high", "model"]].itertuples(index=False)
    return [Estimate(value, low, high, f"without {model}", rows) for value, low, high, model in columns]


def settings(
    router: deploy.DeployedRouter,
    queries: int,
    *,
    budget: float,
    quality: float,
    share: float,
    seed: int = 0,
) -> dict[str, deploy.DeployedRouter]:
    """The router set to a month's budget, to a share of the best quality, and to a share of dear calls.

    Parameters
    ----------
    budget : USD a month; 0 takes half of what the best single model would cost.
    """
    cost, best = router.held_out.points().T
    usd = budget or queries * float(cost[np.lexsort((cost, -best))[0]]) / 2
    dearest = router.models[int(np.argmax(router.mean_cost))]
    return {
        f"{usd:,.0f} USD a month": router.calibrate(budget=usd / queries, seed=seed),
        f"{quality:.0%} of the best quality": router.calibrate(quality=quality, seed=seed),
        f"{share:.0%} of calls to {dearest}": router.calibrate(share=share, seed=seed),
    }


def settings_table(calibrated: Mapping[str, deploy.DeployedRouter], queries: int) -> pd.DataFrame:
    """What each setting is to give on new prompts.

    Returns
    -------
    A row per goal: goal, reached (on these rows), usd_per_month, quality, each with _low and _high,
    of_best (share of the best model's quality), calls and willingness_to_pay (USD per unit of quality).
    """
    rows = []
    for goal, router in calibrated.items():
        setting = router.setting
        assert setting is not None
        row: dict[str, object] = {"goal": goal, "reached": setting.reached}
        for name, scale, values in (
            ("usd_per_month", queries, setting.usd_per_query),
            ("quality", 1, setting.quality),
        ):
            row |= {
                f"{name}{end}": scale * value
                for end, value in zip(("", "_low", "_high"), values, strict=True)
            }
        best = router.held_out.points()[:, 1].max()
        shares = sorted(zip(setting.calls, router.models, strict=True), key=lambda each: -each[0])
        calls = ", ".join(f"{share:.0%} {model}" for share, model in shares if share >= 0.005)
        row |= {"of_best": setting.quality[0] / best if best else np.nan, "calls": calls}
        rows.append(row | {"willingness_to_pay": setting.willingness_to_pay})
    return pd.DataFrame(rows)


def honest_curves(
    comparison: Comparison, kind: str, *, rng: np.random.Generator, draws: int = 40, steps: int = 40
) -> pd.DataFrame:
    """Quality at every cost of what was chosen on other rows: the router, its placebo, the blind mixture.

    Returns
    -------
    router, usd_per_query, quality, low, high: the router's and the mixture's with a pointwise 95% interval,
    the placebo's median of draws with their middle 95%.
    """
    n, systems = len(comparison.test), comparison.systems
    halves = random_halves(n, rng, 8)
    cost = comparison.test.points()[:, 0]
    low, high = float(cost.min()), float(cost.max())
    costs = low + (high - low) * np.linspace(0, 1, steps) ** 2

    def heights(system: System, samples: Array) -> Array:
        rows = [chosen(system(half), low) for half in halves]
        pays = 1 - halves if len(halves) > 1 else halves
        found, counted = np.zeros((len(samples), steps)), (samples @ pays.T).T
        for picked, paying, counts in zip(rows, pays, counted, strict=True):
            for place, weights in enumerate(samples * paying):
                if counts[place]:
                    at, quality = system(weights)[picked].T
                    order = np.argsort(at, kind="stable")
                    found[place] += counts[place] * np.interp(costs, at[order], quality[order])
        return np.asarray(found / counted.sum(axis=0)[:, None])

    whole, frames = np.ones((1, n)), []
    resamples = np.vstack([whole, bootstrap_weights(n, draws, rng)])
    drawn = {name: heights(systems[name], resamples) for name in (ZERO, kind)}
    if kind in comparison.placebos:
        blind = [heights(comparison.placebos[kind](rng), whole)[0] for _ in range(24)]
        drawn[PLACEBO] = np.vstack([np.median(blind, axis=0), blind])
    for name, (line, *others) in drawn.items():
        ends = np.quantile(others, [0.025, 0.975], axis=0)
        frames.append(
            pd.DataFrame(
                {"router": name, "usd_per_query": costs, "quality": line, "low": ends[0], "high": ends[1]}
            )
        )
    return pd.concat(frames, ignore_index=True)


def learning_curve(
    table: Outcomes, kind: Kind, *, rng: np.random.Generator, seed: int = 0, draws: int = 300
) -> pd.DataFrame:
    """Honest lead of a router over the blind mixture by the number of prompts that it learnt from.

    Returns
    -------
    A row per size: rows, lead, low, high (simultaneous over sizes).
    """
    n = len(table)
    parts = [part for part in (16, 8, 4, 2, 1) if part == 1 or n // part >= 20]
    predicted = {str(part): out_of_fold(table, kind, seed=seed, part=part) for part in parts}
    systems = compare_predictions(table, table, predicted).systems
    areas, drawn = bootstrap_honest_aiq(systems, n, rng=rng, draws=draws)
    leads = pd.Series(areas)[list(predicted)] - areas[ZERO]
    ends = simultaneous(leads, drawn[list(predicted)].sub(drawn[ZERO], axis=0))
    sizes = [max(n * 4 // 5 // part, 1) for part in parts]
    return pd.DataFrame({"rows": sizes, "lead": leads.to_numpy(), "low": ends[:, 0], "high": ends[:, 1]})
