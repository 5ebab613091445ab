"""An own table's routers on one set of held-out rows: verdict, the models' worth, settings, more prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from rb_support import deploy
from rb_support.deploy.calibration import calibrate
from rb_support.deploy.router import MADE, Kind
from rb_support.embed import BUNDLED, embed
from rb_support.frontier import chosen, hull_indices
from rb_support.load import ROWS, Scale, load_outcomes
from rb_support.outcomes import Outcomes, PartialOutcomes, TableError
from rb_support.routers import lambda_path, model_points
from rb_support.routers.evidence import folds
from rb_support.simulate.company_log import company_log
from rb_support.sources import load_routerbench
from rb_support.stats import Array, System, bootstrap_honest_aiq, bootstrap_weights, halves, simultaneous
from rb_support.studies.best_model import best_model
from rb_support.studies.own_savings import OVER_BEST, OVER_EQUAL, RUNS, OutOfFold, Savings, routed_rows
from rb_support.studies.predictive import PLACEBO, ZERO, Comparison, compare_predictions, estimates
from rb_support.studies.wording import listed, notes, says
from rb_support.verdicts import Evidence, Fact
from rb_support.visible import markdown

SIZES: Mapping[Scale, int] = {"quick": 2_000, "full": 10_000}
"""Simulated prompts per scale."""
MOST = 20
"""Of more models, what a model is worth is asked of so many: those on the hull, then the best ones."""
WORTH = {"model": "", "usd_per_query": ".6f", "quality": ".3f", "on_hull": ".0%", "mixture": "+.4f"}
WORTH |= {"router": "+.4f", "extra_usd": "+,.0f", "finding": ""}
GIVEN = {"goal": "", "reached": "", "usd_per_month": ",.0f", "quality": ".3f", "of_best": ".1%", "calls": ""}
"""How the numbers of `model_values` and of `settings_table` are shown."""
_ENDS = ("", "_low", "_high")
FOLDINGS = 4
"""How many times folds are drawn anew."""
SPARE = 0.005
"""A model without which the router's honest AIQ falls by less than this can go."""

_say = says("own_outcomes")
NOTES = notes("08")
"""What is noted in the records of notebook 08's items."""


def load_log(data: str = "simulated", *, scale: Scale = "quick", seed: int = 0) -> PartialOutcomes:
    """Outcome table that notebook 08 asks for: the simulated company log, or one as `load_outcomes` takes it.

    "real" is RouterBench's 0-shot sample, drawn over all tasks as a log is; few-shot prompts are not. A cell
    that an own table lacks stays missing: routers learn each model from the rows that it answered.
    """
    if data == "real":
        return load_routerbench("sample")
    if data == "simulated" and scale in ROWS:
        return company_log(SIZES[scale], seed=seed)
    if Path(data).is_file():
        return Outcomes.read(data, missing="keep")
    return load_outcomes(data, scale=scale, seed=seed)


def judge(
    whole: PartialOutcomes, kind: Kind, *, seed: int = 0, part: int = 1, shuffled: bool = False
) -> OutOfFold:
    """What routers of a kind predict for rows that they have not seen: five folds, equal prompts in one.

    Parameters
    ----------
    whole : its complete rows are judged, and the others learnt from too.
    part : each fold's router learns from one in so many of the complete rows that it may see.
    shuffled : deal the prompts out to the rows at random, so that there is nothing to learn.
    """
    prompts, rng = whole.frame["prompt"].to_numpy(dtype=object), np.random.default_rng(seed)
    vectors = embed(prompts.tolist(), BUNDLED)
    vectors = rng.permutation(vectors) if shuffled else vectors
    answered = whole.answered.all(axis=1)
    judged, others, table = np.flatnonzero(answered), np.flatnonzero(~answered), whole.complete()
    predicted, every = np.empty(table.quality.shape), np.arange(len(table))
    for seen, left in folds(table, seed=seed) or [(every, every)]:  # of one prompt alone there are none
        some = judged[rng.permutation(seen)[: max(len(seen) // part, 1)]]
        some = np.append(some, others[~np.isin(prompts[others], prompts[judged[left]])])
        router = MADE[kind](seed=seed).fit(whole.take(some), vectors[some])
        predicted[left] = router.predict(vectors[judged[left]])
    return OutOfFold(table, predicted)


def compared(routers: Mapping[str, OutOfFold]) -> Comparison:
    """Routers of one table beside the blind mixture, on all of its rows.

    The zero router that was "chosen on training rows" is left out: here these are the rows that judge it.
    """
    table = next(iter(routers.values())).table
    found = compare_predictions(table, table, {name: router.predicted for name, router in routers.items()})
    return replace(found, systems={name: found.systems[name] for name in (ZERO, *routers)})


def other_folds(whole: PartialOutcomes, kind: Kind, *, seed: int, draws: int = 300) -> pd.DataFrame:
    """How a router of a kind is judged by folds drawn anew: what of its lead hangs on one draw of them.

    Returns
    -------
    Its row of the AIQ table for each of the next `FOLDINGS` seeds.
    """
    found = []
    for number in range(seed + 1, seed + 1 + FOLDINGS):
        again = compared({kind: judge(whole, kind, seed=number)})
        rows = again.table(rng=np.random.default_rng(number), draws=draws)
        found.append(rows[rows["router"] == kind])
    return pd.concat(found, ignore_index=True)


def other_folds_said(found: pd.DataFrame) -> str:
    """What `other_folds` found, in a sentence."""
    leads = found["honest_minus_zero"]
    times = {"leads": int((found["finding"] == "leads").sum()) or "none", "times": len(found)}
    return _say("other_folds", low=leads.min(), high=leads.max(), **times)


def verdict(rows: pd.DataFrame, kind: str) -> str:
    """What an AIQ table says of one of its routers and of all, in a sentence or two."""
    trained = rows[rows["router"] != ZERO].set_index("router")
    leads = trained.index[trained["finding"] == "leads"].tolist()
    told = _say("verdict", kind=kind, row=trained.loc[kind])
    return f"{told}\n{_say('leading', leads=', '.join(leads)) if leads else _say('none_leads')}"


def model_values(
    router: OutOfFold, goal: float, queries: int, *, rng: np.random.Generator, draws: int = 300
) -> pd.DataFrame:
    """What each model is worth to the blind mixture and to the router: what is lost without it.

    Parameters
    ----------
    router : of `judge`; of more than `MOST` models, so many are looked at.
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
    table, predicted = router.table, router.predicted
    n, points = len(table), table.points()
    order = np.lexsort((points[:, 0], -points[:, 1]))
    looked = [int(j) for j in dict.fromkeys([*hull_indices(points).tolist(), *order.tolist()])][:MOST]
    looked = sorted(looked, key=lambda j: -points[j, 0])
    weights = bootstrap_weights(n, draws, rng)
    on_hull = [hull_indices(model_points(table)(each)) for each in weights]
    values = pd.DataFrame(points[looked], columns=["usd_per_query", "quality"])
    values.insert(0, "model", [table.models[j] for j in looked])
    values["on_hull"] = [np.mean([j in rows for rows in on_hull]) for j in looked]
    if len(table.models) == 1:
        return values.assign(finding="there is no other")

    def without(j: int | None, blind: bool) -> System:
        kept = [column for column in range(len(table.models)) if column != j]
        quality, cost = table.quality[:, kept], table.cost[:, kept]
        if blind:
            return model_points(table.select([table.models[column] for column in kept]))
        return lambda_path(predicted[:, kept], router.cost[kept]).on(quality, cost)

    for name in ("mixture", "router"):
        systems = {str(j): without(j, name == "mixture") for j in (None, *looked)}
        areas, drawn = bootstrap_honest_aiq(systems, n, rng=rng, draws=draws)
        lost = areas["None"] - np.array([areas[str(j)] for j in looked])
        samples = drawn[["None"]].to_numpy() - drawn[[str(j) for j in looked]].to_numpy()
        values[name], values[[f"{name}_low", f"{name}_high"]] = lost, simultaneous(lost, samples)
    turns = halves(n, rng)
    whole, *every = [routed_rows(router, goal, turns, gone) for gone in ([], *([j] for j in looked))]
    extra = np.column_stack([queries * rows[:, 0] - queries * whole[0][:, 0] for rows, _ in every])
    values["extra_usd"], samples = extra.mean(axis=0), weights @ extra / n
    values[["extra_usd_low", "extra_usd_high"]] = simultaneous(values["extra_usd"], samples)
    values["keeps_goal"] = [reached for _, reached in every]
    values.loc[values["keeps_goal"] < 1, ["extra_usd", "extra_usd_low", "extra_usd_high"]] = np.nan
    states = [values["router_high"] < SPARE, values["router_low"] > 0]
    return values.assign(finding=np.select(states, ["can go", "worth having"], "cannot be told"))


def with_intervals(rows: pd.DataFrame, formats: Mapping[str, str]) -> pd.DataFrame:
    """Columns of a table as they are read: those that have `_low` and `_high` as "value [low, high]".

    Parameters
    ----------
    formats : column -> format of its numbers; columns that the table lacks are left out.
    """
    view = {}
    for name in [name for name in formats if name in rows]:
        form = f"{{:{formats[name]}}}"
        view[name] = ["" if value != value else form.format(value) for value in rows[name]]
        if f"{name}_low" in rows:
            ends = zip(view[name], rows[f"{name}_low"], rows[f"{name}_high"], strict=True)
            view[name] = [text and f"{text} [{form}, {form}]".format(low, high) for text, low, high in ends]
    return pd.DataFrame(view)


def told(values: pd.DataFrame, models: int) -> str:
    """Which models are worth having, a line for each finding; `models` is how many the table has."""
    named = values.groupby("finding", sort=False)["model"].agg(", ".join)
    lines = [f"{finding}: {names}" for finding, names in named.items()]
    left = [f"not looked at: {models - len(values)} more below these"] if models > len(values) else []
    return "\n".join(lines + left)


def most_needed(values: pd.DataFrame) -> str:
    """The model without which the router loses most, of `model_values`; where there is one model, that."""
    return str(values["model"].iloc[int(values["router"].argmax()) if "router" in values else 0])


def needs(values: pd.DataFrame) -> str:
    """Which models a mixture and a router need, in Markdown; `values` is of `model_values`."""
    if "router" not in values:
        return _say("alone", model=markdown(most_needed(values)))
    most = {"mixture": values["mixture"].max(), "router": values["router"].max()}
    mixed = str(values["model"].iloc[int(values["mixture"].argmax())])
    names = {"mixed": markdown(mixed), "routed": markdown(most_needed(values))}
    only = values["model"][(values["router_low"] > 0) & (values["mixture_low"] <= 0)]
    gone = values["model"][values["finding"] == "can go"]
    lists = {"only": listed(map(markdown, only)), "gone": listed(map(markdown, gone))}
    return _say("needs", **most, **names, **lists)


def goals_told(rows: pd.DataFrame) -> str:
    """What each setting of `settings_table` is to give, in Markdown."""
    return "; ".join(
        _say("goal", goal=markdown(row["goal"]), row=row, missed="" if row["reached"] else _say("missed"))
        for row in rows.fillna({"of_best": 1.0}).to_dict("records")
    )


def spare(values: pd.DataFrame) -> Fact:
    """Whether a model can go, as evidence; these rows cannot tell where no one can and of some it is open."""
    found = set(values["finding"])
    holds = True if "can go" in found else False if found == {"worth having"} else None
    return Fact(holds, told(values, len(values)).replace("\n", "; "))


def settings(
    router: OutOfFold, queries: int, *, budget: float, quality: float, share: float, seed: int = 0
) -> dict[str, deploy.Setting]:
    """Settings for a month's budget, for a share of the best model's quality, and for a share of dear calls.

    Parameters
    ----------
    router : all of its rows choose and, by halves, judge.
    queries : a month.
    budget : USD a month; 0 takes half of what the best single model would cost.
    quality : share of the best single model's quality to be reached.
    share : share of calls to the dearest model, at most.
    seed : of halvings and resamples.
    """
    table = router.table
    cost = table.points()[:, 0]
    usd = budget or queries * float(cost[best_model(table.points())]) / 2
    goals = {
        f"{usd:,.0f} USD a month": deploy.Goal(budget=usd / queries),
        f"{quality:.0%} of the best quality": deploy.Goal(quality=quality),
        f"{share:.0%} of calls to {table.models[int(np.argmax(cost))]}": deploy.Goal(share=share),
    }
    return {
        name: calibrate(router.predicted, router.cost, table, goal, rng=np.random.default_rng(seed))
        for name, goal in goals.items()
    }


def settings_table(chosen: Mapping[str, deploy.Setting], table: Outcomes, queries: int) -> pd.DataFrame:
    """What each setting is to give on new prompts.

    Returns
    -------
    A row per goal: goal, reached (on these rows), usd_per_month, quality, each with _low and _high, of_best
    (share of the best model's quality), calls and willingness_to_pay (USD per unit of quality).
    """
    rows, best = [], float(table.points()[:, 1].max())
    for goal, setting in chosen.items():
        row: dict[str, object] = {"goal": goal, "reached": setting.reached}
        monthly = zip(_ENDS, setting.usd_per_query, strict=True)
        row |= {f"usd_per_month{end}": queries * usd for end, usd in monthly}
        row |= {f"quality{end}": value for end, value in zip(_ENDS, setting.quality, strict=True)}
        shares = sorted(zip(setting.calls, table.models, strict=True), key=lambda each: -each[0])
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
    chooses, pays = halves(n, rng, 8)
    cost = comparison.test.points()[:, 0]
    least, most = float(cost.min()), float(cost.max())
    costs = least + (most - least) * np.linspace(0, 1, steps) ** 2

    def heights(system: System, samples: Array) -> Array:
        rows = [chosen(system(half), least) for half in chooses]
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
        low, high = np.quantile(others, [0.025, 0.975], axis=0)
        curve = {"usd_per_query": costs, "quality": line, "low": low, "high": high}
        frames.append(pd.DataFrame({"router": name} | curve))
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
    routers = {str(part): judge(table, kind, seed=seed, part=part) for part in parts}
    areas, drawn = bootstrap_honest_aiq(compared(routers).systems, n, rng=rng, draws=draws)
    leads = pd.Series(areas)[list(routers)] - areas[ZERO]
    ends = simultaneous(leads, drawn[list(routers)].sub(drawn[ZERO], axis=0))
    sizes = [max(n * 4 // 5 // part, 1) for part in parts]
    return pd.DataFrame({"rows": sizes, "lead": leads.to_numpy(), "low": ends[:, 0], "high": ends[:, 1]})


def deployed(
    table: PartialOutcomes, kind: Kind, setting: deploy.Setting, goal: float, *, seed: int = 0
) -> tuple[deploy.DeployedRouter | None, str]:
    """A router that can be saved, at a setting of `settings` for a share of the best model's quality.

    None of a table whose prompts leave nothing to hold it against; the sentence says so.
    """
    try:
        fitted = deploy.fit(table, kind, seed=seed)
    except TableError as error:
        return None, _say("unfitted", error=error)
    router = replace(fitted, goal=deploy.Goal(quality=goal), setting=setting)
    return router, _say("deployed", kind=kind, goal=router.goal, worth=router.worth)


def drifts(router: deploy.DeployedRouter, table: PartialOutcomes, *, seed: int = 0) -> str:
    """The drift check on prompts that are like those it was set by, and on those of one task alone."""
    prompts, task = table.frame["prompt"], table.frame["task"]
    some = prompts.sample(min(200, len(prompts)), random_state=seed).tolist()
    most = str(task.value_counts(sort=True).index[0])
    one = prompts[task == most].head(200).tolist()
    return f"a sample: {router.drift(some, seed=seed)}\nonly '{most}': {router.drift(one, seed=seed)}"


def evidence(
    rows: pd.DataFrame, control: pd.DataFrame, values: pd.DataFrame, saved: Savings
) -> dict[str, Evidence]:
    """What notebook 08 found, by the keys of its claims.

    Parameters
    ----------
    rows, control : AIQ tables of routers, and of one whose prompts were shuffled.
    values : of `model_values`.
    saved : of `savings`.
    """
    own, shuffled = (part[part["router"] != ZERO] for part in (rows, control))
    return {
        "a-router-leads": estimates(own),
        "saves-over-best": saved.estimate(OVER_BEST, saved.of(RUNS)),
        "pays-for-itself": saved.estimate(OVER_EQUAL, saved.of(RUNS)),
        "a-model-can-go": spare(values),
        "shuffled": estimates(shuffled),
    }
