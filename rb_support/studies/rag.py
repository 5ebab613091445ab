"""Questions that ask for a search (RouterBench sec. 5.4): all kinds of routers beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support import routers
from rb_support.frontier import Curve, Part, exceeds
from rb_support.outcomes import Outcomes
from rb_support.outcomes.splits import same_text
from rb_support.routers import (
    Cascade,
    PlaceboRouter,
    PredictiveRouter,
    budget_grid,
    lambda_path,
    mean_cost,
    model_points,
)
from rb_support.routers.chains import Chain
from rb_support.sources.search_qa import GRADE, SEARCHED, base_model, prices
from rb_support.stats import System, blocks, bootstrap_weights, halves, mean_points, simultaneous
from rb_support.studies.predictive import (
    PLACEBO,
    ZERO_TRAINED,
    Comparison,
    compare,
    compare_predictions,
    held_out,
)
from rb_support.verdicts import Estimate, Fact

Array = NDArray[np.float64]

HALVINGS = 8
"""How often the questions are halved at random: one half chooses, the other pays."""
PLACEBOS = 20
"""Draws of a router that knows nothing, of which the 97.5% quantile is taken."""
BLOCKS = 256
"""More questions than these are resampled in so many random blocks."""


def systems_table(outcomes: Outcomes) -> pd.DataFrame:
    """What each system answers and costs, dearest last: usd_per_1000 and, where they are known, more.

    Graded answers (SimpleQA): correct, incorrect and not_attempted, which scores 0 too, and searched, each a
    share of the questions. Else the mean score by kind of question: news or lasting facts, or the dataset.
    """
    frame, usd = outcomes.frame, 1000 * outcomes.cost.mean(axis=0)
    if all(model + GRADE in frame.columns for model in outcomes.models):
        grades = {model: frame[model + GRADE].value_counts(normalize=True) for model in outcomes.models}
        table = pd.DataFrame(grades).T.reindex(columns=["A", "B", "C"]).fillna(0.0)
        table.columns = pd.Index(["correct", "incorrect", "not_attempted"])
        table["searched"] = [frame[model + SEARCHED].mean() for model in outcomes.models]
    else:
        kind = frame.get("time_sensitive", frame["dataset"])
        kind = kind.replace({True: "news", False: "lasting facts"})
        table = pd.DataFrame(outcomes.quality, columns=outcomes.models).groupby(kind.to_numpy()).mean().T
    return table.assign(usd_per_1000=usd).sort_values("usd_per_1000", kind="stable").rename_axis("system")


def at_fee(outcomes: Outcomes, usd: float) -> Outcomes:
    """SimpleQA's rows with another assumed fee for each search that was made, in USD; Sonar's own stays."""
    table = prices()
    priced = [model for model in outcomes.models if "usd_per_request" not in table[base_model(model)]]
    did = np.column_stack([outcomes.frame[model + SEARCHED] for model in outcomes.models]).astype(float)
    change = (usd - table["assumed"]["usd_per_search"]) * np.isin(outcomes.models, priced)
    return replace(outcomes, cost=outcomes.cost + did * change)


def compare_kinds(
    outcomes: Outcomes,
    X: pd.DataFrame,
    candidates: Mapping[str, PredictiveRouter],
    error_rate: float,
    *,
    folds: int = 1,
    seed: int,
) -> Comparison:
    """Predictive routers and cascades on the same questions.

    Parameters
    ----------
    outcomes, X : the questions and their embeddings by sample_id.
    candidates : name -> router with `fit` and `predict`.
    error_rate : of the cascades' judge.
    folds : 1 judges 30% of the questions, as the paper does; more judge every question by routers trained on
        the other folds, where 30% would be too few. Equal prompts share a fold.
    seed : of the split.

    Returns
    -------
    Comparison with the zero routers, the candidates, and as its last systems a cascade by cost and one with
    the chains that did best on the training rows.
    """
    if folds > 1 and outcomes.frame["prompt"].nunique() > 1:
        return _cross_validated(outcomes, X, candidates, error_rate, folds, seed)
    train, test = held_out(outcomes, seed)
    found = compare(train, test, X, candidates)
    chains = _best_chains(train, error_rate)
    chosen = _chosen_by_fold(test, [(np.ones(len(test), dtype=bool), chains)], error_rate)
    return _with_cascades(found, chosen, error_rate)


def _cross_validated(
    outcomes: Outcomes,
    X: pd.DataFrame,
    candidates: Mapping[str, PredictiveRouter],
    error_rate: float,
    folds: int,
    seed: int,
) -> Comparison:
    """Decisions weigh quality, learnt on the other folds, against mean costs over all questions."""
    every: dict[str, PredictiveRouter] = {**candidates, PLACEBO: PlaceboRouter()}
    predicted = {name: np.zeros(outcomes.quality.shape) for name in every}
    means, chains, varied = np.zeros(outcomes.quality.shape), [], set()
    for held in _folds(outcomes, folds, seed):
        train, test = outcomes.take(~held), outcomes.take(held)
        known, asked = (X.loc[part.frame["sample_id"]].to_numpy() for part in (train, test))
        for name, router in every.items():
            predicted[name][held] = guess = router.fit(train, known).predict(asked)
            varied |= set() if routers.knows_nothing(guess) else {name}
        means[held] = train.quality.mean(axis=0)
        chains.append((held, _best_chains(train, error_rate)))
    found = compare_predictions(outcomes, outcomes, predicted)
    trained = lambda_path(means, mean_cost(outcomes)).on(outcomes.quality, outcomes.cost)
    placebos = {name: draw for name, draw in found.placebos.items() if name in varied}
    systems, constant = {**found.systems, ZERO_TRAINED: trained}, frozenset(set(every) - varied)
    found = replace(found, systems=systems, placebos=placebos, constant=constant)
    return _with_cascades(found, _chosen_by_fold(outcomes, chains, error_rate), error_rate)


def _best_chains(train: Outcomes, error_rate: float) -> list[Chain]:
    return routers.best_chains(routers.chains(train.quality, train.cost, error_rate=error_rate))


def _with_cascades(comparison: Comparison, chosen: System, error_rate: float) -> Comparison:
    """A comparison with two cascades as its last systems: by cost over all budgets, and the chosen chains."""
    test = comparison.test
    added = {
        f"Cascade by cost, error {error_rate:g}": Cascade.on(test).system(budget_grid(test.cost), error_rate),
        f"Cascade chosen, error {error_rate:g}": chosen,
    }
    return replace(comparison, systems={**comparison.systems, **added})


def _folds(outcomes: Outcomes, folds: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """(n,) mask of each fold's questions."""
    texts, code = np.unique(same_text(outcomes.frame["prompt"]), return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(texts)) % folds)[code]
    return (fold == each for each in np.unique(fold))


def _chosen_by_fold(
    outcomes: Outcomes, chosen: list[tuple[NDArray[np.bool_], list[Chain]]], error_rate: float
) -> System:
    """One policy for each willingness to pay: the chain that was best at it on the training folds."""
    slopes = [_slopes(chains) for _, chains in chosen]
    steps = np.unique(np.concatenate([[0.0], *slopes]))
    cost, quality = np.zeros((2, len(outcomes), len(steps)))
    for (held, chains), rises in zip(chosen, slopes, strict=True):
        part = outcomes.take(held)
        each = [
            Cascade(part.quality, part.cost, order=chain.order).per_query([np.inf], error_rate)
            for chain in chains
        ]
        taken = np.searchsorted(rises, steps, side="right")
        cost[held], quality[held] = (np.hstack([pair[side] for pair in each])[:, taken] for side in (0, 1))
    return mean_points(cost, quality)


def _slopes(chains: list[Chain]) -> Array:
    """USD per unit of quality from each chain on a hull to the next, rising."""
    points = np.array([(chain.cost, chain.quality) for chain in chains])
    return np.maximum.accumulate(np.diff(points[:, 0]) / np.diff(points[:, 1]))


def leads_over_best_model(
    comparison: Comparison, names: Iterable[str], *, rng: np.random.Generator, draws: int = 500
) -> dict[str, Estimate]:
    """Quality above the best single model's, at its cost, nothing of it chosen on the questions that pay.

    On one half of the questions the best model is chosen, and of each system the mixture of policies that is
    best at that model's cost; the other half pays both. Halves swap, several halvings are averaged.

    Parameters
    ----------
    names : systems, looked at together.
    rng : of halvings, resamples and placebos.
    draws : resamples of the questions, choices kept.

    Returns
    -------
    Name -> estimate with an interval that holds for all names at once; its floor is the 97.5% quantile of
    what routers of the same spread that know nothing reach, where the comparison has such.
    """
    names, n = list(names), len(comparison.test)
    block = blocks(n, rng, BLOCKS)
    choose, pay = halves(int(block.max()) + 1, rng, HALVINGS)
    models, systems = model_points(comparison.test), [comparison.systems[name] for name in names]
    parts = np.arange(block.max() + 1)[:, None] == block
    size = parts.sum(axis=1)
    priced = [_prices(each, models, _choices(each, models, choose[:, block]), parts) for each in systems]
    leads = np.column_stack([np.average(each, axis=0, weights=pay) for each in priced])
    drawn = bootstrap_weights(len(size), draws, rng) * size
    value, samples = size @ leads / n, drawn @ leads / drawn.sum(axis=1, keepdims=True)
    found = {}
    for i, (low, high) in enumerate(simultaneous(value, samples).tolist()):
        floor = _floor(comparison, names[i], (choose[:, block], pay[:, block]), rng)
        found[names[i]] = Estimate(float(value[i]), low, high, names[i], n, floor)
    return found


def _choices(system: System, models: System, choosing: NDArray[np.bool_]) -> list[tuple[list[Part], int]]:
    """Of each turn: the best model, and the mixture of a system's policies that is best at its cost."""
    found = []
    for weights in choosing.astype(float):
        cost, quality = models(weights).T
        best = min(np.flatnonzero(~exceeds(quality.max(), quality)), key=lambda model: cost[model])
        curve = Curve(system(weights))
        found.append((curve.mixture(max(cost[best], curve.points[:, 0].min())), int(best)))
    return found


def _prices(
    system: System, models: System, chosen: list[tuple[list[Part], int]], paying: NDArray[np.bool_]
) -> Array:
    """(turns, k) what each choice leads by on k sets of questions."""
    points = [(system(part)[:, 1], models(part)[:, 1]) for part in paying.astype(float)]
    return np.array(
        [
            [
                sum(each.probability * ours[each.row] for each in parts) - theirs[best]
                for ours, theirs in points
            ]
            for parts, best in chosen
        ]
    )


def _floor(
    comparison: Comparison, name: str, turns: tuple[NDArray[np.bool_], ...], rng: np.random.Generator
) -> float:
    """97.5% quantile of the lead of placebos with a router's spread; minus infinity where it has none."""
    if name not in comparison.placebos:
        return -np.inf
    models, leads = model_points(comparison.test), []
    for _ in range(PLACEBOS):
        blind = comparison.placebos[name](rng)
        chosen = _choices(blind, models, turns[0])
        leads.append(np.diagonal(_prices(blind, models, chosen, turns[1])).mean())
    return float(np.quantile(leads, 0.975))


def news_matters(leads: pd.Series[float], names: Iterable[str]) -> Fact:
    """Whether routers keep less than half of their lead once no question is about news.

    Parameters
    ----------
    leads : honest AIQ above the zero router by (router, share of questions on news), with shares 0 and 0.5.
    names : the routers.
    """
    both = {name: (float(leads[name, 0.0]), float(leads[name, 0.5])) for name in names}
    words = "; ".join(
        f"{name} {none:+.3f} with none, {half:+.3f} at one half" for name, (none, half) in both.items()
    )
    return Fact(all(none < half / 2 for none, half in both.values()), words)
