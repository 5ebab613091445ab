"""The cascade experiments of RouterBench sec. 5.3, step by step: error, budget, order, judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support import routers
from rb_support.catalog import GSM8K, MBPP, MMLU, MT_BENCH, OTHER
from rb_support.frontier import Curve, exceeds
from rb_support.outcomes import Outcomes
from rb_support.outcomes.splits import held_out
from rb_support.routers import (
    Cascade,
    budget_grid,
    cascade_name,
    judge_error,
    learned_cascades,
    model_points,
)
from rb_support.routers.chains import Chain
from rb_support.routers.placebo import dealt_out
from rb_support.stats import (
    System,
    bootstrap_aiq,
    bootstrap_honest_aiq,
    bootstrap_weights,
    interval,
    joined,
)
from rb_support.studies.best_model import leads_over_best_model
from rb_support.studies.pilot import oracle_rows
from rb_support.studies.predictive import ZERO, Comparison, estimates
from rb_support.verdicts import Estimate

Array = NDArray[np.float64]

JUDGED = "Cascade, learned judge, t = 0.5"
JUDGED_ANY = "Cascade, learned judge, every t"
LEARNED = "learned cascade"
NOTES = {
    "rb-fig5": "Above: colour and label tell the judge's error; star: oracle. "
    "Below: intervals of 95% at once.",
    "rb-tab-rerank": "Exact. Rerank calls all models; the cascade has no limit on T; "
    "zero router at rerank's cost.",
}
"""What is noted in the records of those of notebook 04's items of which the run changes nothing in it."""


def shown_parts(tasks: Outcomes, outcomes: Outcomes) -> dict[str, Outcomes]:
    """Datasets that notebook 04 shows, the paper's three (RouterBench Figure 5) first where they are there.

    Where `tasks` are all that there is to learn from and hold the three, these alone; of an own table, all.

    Parameters
    ----------
    tasks : all rows at hand.
    outcomes : those of them from which a judge can learn.
    """
    if tasks.origin.kind == "own":
        return {name: tasks.of(name) for name in tasks.datasets}
    shown = [name for name in (MMLU, MBPP, GSM8K) if name in tasks.datasets]
    others = [name for name in tasks.datasets if name not in (*shown, MT_BENCH, OTHER)]
    whole = len(shown) == 3 and tasks.datasets == outcomes.datasets
    return {name: tasks.of(name) for name in (shown if whole else shown + others or tasks.datasets)}


def error_systems(outcomes: Outcomes, error_rates: Array, *, steps: int = 40) -> dict[str, System]:
    """Zero router, and the cascade (cheapest first, over `steps` budgets) at every judge error rate."""
    cascade, grid = Cascade.on(outcomes), budget_grid(outcomes.cost, steps)
    simulated = {cascade_name(rate): cascade.system(grid, rate) for rate in error_rates.tolist()}
    return {ZERO: model_points(outcomes), **simulated}


def paper_rule(name: str) -> str:
    """Name of a cascade that stops by the paper's rule."""
    return f"{name}, paper's rule"


def study(
    outcomes: Outcomes, error_rates: Array, scores: ArrayLike | None = None, *, steps: int = 40
) -> Comparison:
    """All that Figure 5 shows of a dataset: zero router, cascades by error rate, and those of a real judge.

    Parameters
    ----------
    error_rates : of the simulated judges. At the first and at 0.2 the paper's stopping rule is added.
    scores : (n, m) of a judge who has to guess, if there is one; each of its cascades has a placebo, the same
        scores dealt out to the queries at random.
    steps : budgets.
    """
    systems = error_systems(outcomes, error_rates, steps=steps)
    paper, grid = Cascade.on(outcomes, stopping="paper"), budget_grid(outcomes.cost, steps)
    for rate in error_rates[(error_rates == error_rates[0]) | (error_rates == 0.2)].tolist():
        systems[paper_rule(cascade_name(rate))] = paper.system(grid, rate)
    if scores is None:
        return Comparison(outcomes, systems)
    table, builders = np.asarray(scores, dtype=float), {JUDGED: _at_half, JUDGED_ANY: _at_every_threshold}
    placebos = {
        name: lambda rng, build=build: build(outcomes, dealt_out(table, rng), steps)
        for name, build in builders.items()
    }
    systems |= {name: build(outcomes, table, steps) for name, build in builders.items()}
    return Comparison(outcomes, systems, placebos)


def chosen_chains(train: Outcomes, error_rate: float) -> list[Chain]:
    """The best chains of up to four models on training rows, each without a budget."""
    return routers.best_chains(routers.chains(train.quality, train.cost, error_rate=error_rate))


def chains_on(
    test: Outcomes, best: Iterable[Chain], error_rate: float, scores: ArrayLike | None = None
) -> System:
    """Chains on test rows; `scores`, (n, m), is what their judge reports of if not of the true ones."""
    every = [Cascade(test.quality, test.cost, order=chain.order, scores=scores) for chain in best]
    return joined(cascade.system([np.inf], error_rate) for cascade in every)


def _at_half(outcomes: Outcomes, scores: ArrayLike, steps: int) -> System:
    """Cascades by a real judge's scores over all budgets."""
    return Cascade.on(outcomes, scores=scores).system(budget_grid(outcomes.cost, steps))


def _at_every_threshold(outcomes: Outcomes, scores: ArrayLike, _: int) -> System:
    """Cascades by a real judge's scores at all thresholds, with no budget per query.

    Thresholds whose cascade costs more than the dearest model in the mean are left out, as who can pay that
    would call the model; if all do, the lowest is kept.
    """
    thresholds = np.linspace(0, 0.95, 39)
    every = [Cascade.on(outcomes, scores=scores, threshold=t).system([np.inf]) for t in thresholds]
    limit = outcomes.points()[:, 0].max()
    paid = [one for one in every if not exceeds(one(None)[0, 0], limit)]
    return joined(paid or every[:1])


def learned_comparison(
    train: Outcomes, train_scores: ArrayLike, test: Outcomes, test_scores: ArrayLike
) -> Comparison:
    """Zero router beside a real judge's cascades whose threshold, models and order training rows chose.

    Parameters are those of `learned_cascades`. The placebo has the test scores dealt out at random.
    """
    scores = np.asarray(test_scores, dtype=float)

    def system(judged: Array) -> System:
        return learned_cascades(train, train_scores, test, judged)

    systems = {ZERO: model_points(test), LEARNED: system(scores)}
    return Comparison(test, systems, {LEARNED: lambda rng: system(dealt_out(scores, rng))})


def learned_choices(
    splits: Mapping[str, tuple[Outcomes, Outcomes]], X: pd.DataFrame, *, seed: int
) -> dict[str, Comparison]:
    """`learned_comparison` of every dataset, with judges that learnt from its training rows.

    Parameters
    ----------
    splits : dataset -> training and test rows.
    X : embeddings indexed by sample_id.
    seed : of the judge's folds on the training rows.
    """
    found = {}
    for name, (train, test) in splits.items():
        on_train, on_test = routers.judged_split(train, test, X, seed=seed)
        found[name] = learned_comparison(train, on_train, test, on_test)
    return found


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


def judge_error_study(
    outcomes: Outcomes, error_rates: Array, *, rng: np.random.Generator, steps: int = 40, draws: int = 500
) -> dict[str, float]:
    """Where the cascade stops to beat the zero router, and how its AIQ bends, by the honest AIQ.

    Returns
    -------
    break_even, break_even_low, break_even_high: the error rate at which both AIQs are equal (see `break_even`
    for what stands at the ends of the range), with a 95% interval from paired resamples.
    bend, bend_low, bend_high: what AIQ loses per tenth of error between 0.2 and 0.4, minus what it loses
    between 0 and 0.2.
    """
    systems = error_systems(outcomes, error_rates, steps=steps)
    whole, samples = bootstrap_honest_aiq(systems, len(outcomes), rng=rng, draws=draws)
    areas = pd.DataFrame([whole, *samples.to_dict("records")])
    leads = areas.drop(columns=ZERO).sub(areas[ZERO], axis=0).to_numpy()
    even = [routers.break_even(error_rates, lead) for lead in leads]
    at = np.array([np.interp([0, 0.2, 0.4], error_rates, lead) for lead in leads])
    bend = (2 * at[:, 1] - at[:, 0] - at[:, 2]) / 2
    found: dict[str, float] = {}
    for name, (value, *drawn) in {"break_even": even, "bend": bend}.items():
        low, high = interval(drawn)
        found |= {name: float(value), f"{name}_low": low, f"{name}_high": high}
    return found


def break_evens(errors: pd.DataFrame, error_rates: Array) -> dict[str, str]:
    """Dataset -> where its cascade's lead is used up, in words such as "at 0.11 [0.10, 0.12]".

    Parameters
    ----------
    errors : a row per dataset of `judge_error_study`.
    error_rates : that were looked at, rising.
    """

    def told(even: float, low: float, high: float) -> str:
        if even <= error_rates[0]:
            return "without any error"
        reached = f"at {even:.2f} [{low:.2f}, {high:.2f}]"
        return reached if even < error_rates[-1] else f"by no error up to {error_rates[-1]:g}"

    columns = ["break_even", "break_even_low", "break_even_high"]
    return {str(name): told(*row) for name, row in zip(errors.index, errors[columns].to_numpy(), strict=True)}


def judge_worth(
    aiq: pd.DataFrame, error_rates: Mapping[str, float], measured: pd.Series[float]
) -> pd.DataFrame:
    """What a learned judge is worth: the error rate of the simulated judge whose cascade has its honest AIQ.

    Parameters
    ----------
    aiq : AIQ table of `study`, all datasets.
    error_rates : simulated cascade -> its rate, rising.
    measured : dataset -> the learned judge's measured error rate.

    Returns
    -------
    A row per dataset of `measured`: `JUDGED`, `JUDGED_ANY` (see `routers.break_even` for the range's ends)
    and measured.
    """
    worth, rates = {}, np.array(list(error_rates.values()))
    for name in measured.index:
        area = aiq[aiq["dataset"] == name].set_index("router")["aiq_honest"]
        simulated = area[list(error_rates)].to_numpy()
        worth[name] = {
            kind: routers.break_even(rates, simulated - area[kind]) for kind in (JUDGED, JUDGED_ANY)
        }
    return pd.DataFrame(worth).T.assign(measured=measured)


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
    systems = {
        ZERO: model_points(test),
        "best": chains_on(test, chosen_chains(train, error_rate), error_rate),
    }
    rng, grid = rng or np.random.default_rng(seed), budget_grid(test.cost, steps)
    drawn = {f"random {i}": rng.permutation(len(test.models)).tolist() for i in range(at_random)}
    for name, order in {"cheapest first": None, **drawn}.items():
        systems[name] = Cascade(test.quality, test.cost, order=order).system(grid, error_rate)
    return Comparison(test, systems)


def order_summary(compared: Mapping[str, Comparison]) -> pd.DataFrame:
    """AIQ of the orders of `compare_orders`, a row per dataset; of the random ones their mean and range."""
    areas = pd.DataFrame({name: comparison.aiq() for name, comparison in compared.items()})
    at_random = areas[areas.index.str.startswith("random")]
    named = areas.loc[[ZERO, "cheapest first", "best"]].T
    return named.assign(
        random_low=at_random.min(),
        random=at_random.mean(),
        random_high=at_random.max(),
        n=[len(comparison.test) for comparison in compared.values()],
    )


def order_leads(
    parts: Mapping[str, Outcomes], error_rates: Array, *, seed: int, steps: int = 40
) -> pd.DataFrame:
    """Honest AIQ above the zero router's of chosen chains and of cheapest first, on test rows.

    Returns
    -------
    A row per dataset and order ("best", "cheapest first"), a column per judge error rate.
    """
    leads = {}
    for name, rows in parts.items():
        rng = np.random.default_rng(seed)
        tried = {e: compare_orders(rows, e, seed=seed, steps=steps) for e in error_rates.tolist()}
        areas = pd.DataFrame({e: comparison.honest_aiq(rng=rng) for e, comparison in tried.items()})
        leads[name] = (areas - areas.loc[ZERO]).drop(index=ZERO)
    return pd.concat(leads, names=["dataset", "order"])


def order_spreads(
    compared: Mapping[str, Comparison], *, rng: np.random.Generator, draws: int = 100
) -> list[Estimate]:
    """Highest minus lowest AIQ of the random orders of `compare_orders`; intervals hold at once."""
    found, level = [], 1 - 0.05 / len(compared)
    for name, comparison in compared.items():
        n = len(comparison.test)
        whole, samples = bootstrap_aiq(comparison.systems, n, rng=rng, draws=draws)
        drawn = [order for order in whole if order.startswith("random")]
        spread, ranges = np.ptp([whole[order] for order in drawn]), np.ptp(samples[drawn].to_numpy(), 1)
        found.append(Estimate(float(spread), *interval(ranges, level), name, n))
    return found


def oracle_reach(comparison: Comparison, weights: ArrayLike | None = None) -> dict[str, float]:
    """How near the cascade without judge error comes to the oracle.

    Parameters
    ----------
    weights : (n,) of the test queries; all alike if None.

    Returns
    -------
    share : its quality at the oracle's mean cost, as a share of the oracle's.
    gap : the oracle's quality minus the best it reaches at any cost.
    times : how many times the oracle's cost it needs to come within 0.01 (or within the gap).
    """
    counts = np.ones(len(comparison.test)) if weights is None else np.asarray(weights, dtype=float)
    usd, peak = counts / counts.sum() @ oracle_rows(comparison.test)
    curve = Curve(comparison.systems[cascade_name(0)](weights))
    corners = curve.hull()
    gap = max(float(peak - corners[-1, 1]), 0.0)  # but for rounding no cascade is above the oracle
    enough = np.interp(peak - max(gap, 0.01), corners[:, 1], corners[:, 0])
    share = float(curve.at(usd) / peak) if peak else 1.0  # where no answer is right there is nothing to reach
    times = float(enough / usd) if usd else np.inf if enough else 1.0
    return {"share": share, "gap": gap, "times": times}


def largest_fall(comparison: Comparison, error_rate: float, weights: ArrayLike | None = None) -> float:
    """How far the quality of a cascade of `error_systems` falls below its best so far as the budget grows."""
    quality = comparison.systems[cascade_name(error_rate)](weights)[:, 1]
    return float((np.maximum.accumulate(quality) - quality).max())


def evidence(
    comparisons: Mapping[str, Comparison],
    aiq: pd.DataFrame,
    errors: pd.DataFrame,
    error_rates: Array,
    *,
    rng: np.random.Generator,
    draws: int = 100,
) -> dict[str, list[Estimate]]:
    """What notebook 04's statements on Figure 5 are held against, by their keys; an estimate a dataset.

    Parameters
    ----------
    comparisons : dataset -> `study` of it.
    aiq : `aiq_table` of them.
    errors : a row per dataset of `judge_error_study`.
    error_rates : of the simulated judges.
    rng, draws : of the bootstrap over queries.
    """
    low, apart = [rate for rate in error_rates.tolist() if rate <= 0.1], rng.spawn(1)[0]
    rows = {
        "low-error-leads": [cascade_name(rate) for rate in low],
        "error-03-trails": [cascade_name(0.3)],
        "learned-judge-leads": [JUDGED_ANY],
    }
    found = {key: estimates(aiq[aiq["router"].isin(names)]) for key, names in rows.items()}
    found["falls-faster"] = [
        Estimate(row["bend"], row["bend_low"], row["bend_high"], str(name), len(comparisons[str(name)].test))
        for name, row in errors.iterrows()
    ]
    level = 1 - 0.05 / len(comparisons)
    for name, comparison in comparisons.items():
        names = rows["low-error-leads"]
        leads = leads_over_best_model(comparison, names, rng=apart, draws=draws, level=level)
        best = [replace(each, name=f"{name}, {router}") for router, each in leads.items()]
        found.setdefault("above-best-model", []).extend(best)
        n, numbers = len(comparison.test), []
        for weights in (np.ones(n), *bootstrap_weights(n, draws, rng)):
            reach = oracle_reach(comparison, weights)
            falls = [largest_fall(comparison, rate, weights) for rate in error_rates.tolist()]
            paid = Cascade.on(comparison.test).system([np.inf])(weights)[0, 0]
            times = weights @ comparison.test.cost.sum(axis=1) / n / paid if paid else np.nan
            numbers.append((reach["share"], reach["gap"], max(falls), times))
        keys = ("near-oracle", "like-oracle", "rises-with-budget", "rerank-dear")
        for key, (value, *drawn) in zip(keys, np.transpose(numbers).tolist(), strict=True):
            found.setdefault(key, []).append(Estimate(value, *interval(drawn, level), name, n))
    return found


def headline(aiq: pd.DataFrame, names: Sequence[str]) -> tuple[pd.Series[float], str]:
    """AIQ of the cascade without judge error, mean and by dataset, and why the paper's may differ.

    Parameters
    ----------
    aiq : AIQ table of `study`.
    names : datasets.
    """
    best = aiq[aiq["router"] == cascade_name(0)].set_index("dataset")["aiq"]
    why = "The digest does not say over which datasets, costs and budgets; "
    why += "it also quotes the number as MMLU's. "
    why += f"Ours: error 0 on {', '.join(names)}, cost domain shared with models and all cascades."
    return pd.concat([pd.Series({"mean of the datasets": best.mean()}), best]), why


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
