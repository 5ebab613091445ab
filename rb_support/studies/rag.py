"""Questions that ask for a search (RouterBench sec. 5.4): all kinds of routers beside each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support import paper, routers
from rb_support.outcomes import Outcomes
from rb_support.outcomes.splits import held_out
from rb_support.routers import Cascade, PredictiveRouter, budget_grid
from rb_support.routers.chains import Chain
from rb_support.sources.search_qa import GRADE, SEARCHED, base_model, prices
from rb_support.stats import Array, Means, System
from rb_support.studies.predictive import (
    Comparison,
    Routers,
    compare,
    cross_validated,
    prompt_folds,
)
from rb_support.verdicts import Fact


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
        scores = pd.DataFrame(outcomes.quality, columns=outcomes.models)
        table = scores.groupby(_kinds(frame).to_numpy()).mean().T
    return table.assign(usd_per_1000=usd).sort_values("usd_per_1000", kind="stable").rename_axis("system")


def _kinds(frame: pd.DataFrame) -> pd.Series[str]:
    """Kind of every question: news or lasting facts where that is known, else its dataset."""
    return frame.get("time_sensitive", frame["dataset"]).replace({True: "news", False: "lasting facts"})


def at_fee(outcomes: Outcomes, usd: float) -> Outcomes:
    """SimpleQA's rows with another assumed fee for each search that was made, in USD; Sonar's own stays."""
    table = prices()
    priced = [model for model in outcomes.models if "usd_per_request" not in table[base_model(model)]]
    did = np.column_stack([outcomes.frame[model + SEARCHED] for model in outcomes.models]).astype(float)
    change = (usd - table["assumed"]["usd_per_search"]) * np.isin(outcomes.models, priced)
    return replace(outcomes, cost=outcomes.cost + did * change)


def fees_paid(outcomes: Outcomes) -> dict[str, float]:
    """Mean USD a query that each system which searches paid for its searches; no entry for one that does not.

    SimpleQA's fees are assumed, the simulation's printed (App. A.1). Of an own table nothing is known.
    """
    if outcomes.origin.kind == "own":
        return {}
    if outcomes.origin.kind == "simulated":
        listed = paper.prices().set_index("model")["fee_usd_per_request"]
        return {model: float(listed[model]) for model in outcomes.models if listed.get(model, 0) > 0}
    table, fees = prices(), {}
    for model in outcomes.models:
        searched = float(outcomes.frame[model + SEARCHED].mean()) * table["assumed"]["usd_per_search"]
        fees[model] = table[base_model(model)].get("usd_per_request", searched)
    return {model: fee for model, fee in fees.items() if fee > 0}


@dataclass(frozen=True, eq=False)
class SearchChoice:
    """To search or to answer from memory, decided from predicted quality.

    Attributes
    ----------
    memory, search : the system of either kind that was best on the training rows.
    gain : (n,) predicted quality of searching above that of memory, on the other rows.
    kind : (n,) kind of question: news or lasting facts where that is known, else the dataset.
    usd : what searching costs more in the mean, but for the fee.
    """

    memory: str
    search: str
    gain: Array
    kind: NDArray[np.str_]
    usd: float

    def price(self, fee: float, wtp: float) -> float:
        """Predicted gain from which on searching pays, with the fee and the willingness to pay in USD."""
        return (self.usd + fee) / wtp

    def shares(self, fee: float, wtp: float) -> pd.Series[float]:
        """Share of the questions of each kind that are searched."""
        return pd.Series(self.gain > self.price(fee, wtp)).groupby(self.kind).mean()


def search_choice(
    outcomes: Outcomes, X: pd.DataFrame, router: PredictiveRouter, *, seed: int
) -> SearchChoice | None:
    """The choice between the best system that searches and the best that does not; None if a kind is absent.

    Parameters
    ----------
    outcomes, X : questions and their embeddings by sample_id.
    router : predicts quality; it learns on 70% of the questions.
    seed : of the split.
    """
    fees = fees_paid(outcomes)
    if not 0 < len(fees) < len(outcomes.models):
        return None
    train, test = held_out(outcomes, seed)
    known, asked = (X.loc[part.frame["sample_id"]].to_numpy() for part in (train, test))
    predicted = router.fit(train, known).predict(asked)
    does = np.isin(outcomes.models, list(fees))
    best = [int(np.argmax(np.where(kind, train.quality.mean(axis=0), -1))) for kind in (~does, does)]
    memory, search = (outcomes.models[j] for j in best)
    kind = _kinds(test.frame).to_numpy(dtype=str)
    more = float(np.diff(train.cost.mean(axis=0)[best])[0]) - fees[search]
    return SearchChoice(memory, search, predicted[:, best[1]] - predicted[:, best[0]], kind, more)


def leading(table: pd.DataFrame, names: Iterable[str]) -> str:
    """Those of some routers that an AIQ table finds to lead the zero router, in words."""
    found = table.set_index("router")["finding"]
    return ", ".join(name for name in names if found[name] == "leads") or "none"


def compare_kinds(
    outcomes: Outcomes, X: pd.DataFrame, candidates: Routers, error_rate: float, *, folds: int = 1, seed: int
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
        found = cross_validated(outcomes, X, candidates, folds=folds, seed=seed)
        parts = [(held, outcomes.take(~held)) for held in prompt_folds(outcomes, folds, seed)]
    else:
        train, test = held_out(outcomes, seed)
        found, parts = compare(train, test, X, candidates), [(np.ones(len(test), dtype=bool), train)]
    best = [
        (held, routers.best_chains(routers.chains(train.quality, train.cost, error_rate=error_rate)))
        for held, train in parts
    ]
    by_cost = Cascade.on(found.test).system(budget_grid(found.test.cost), error_rate)
    added = {
        f"Cascade by cost, error {error_rate:g}": by_cost,
        f"Cascade chosen, error {error_rate:g}": _chosen_by_fold(found.test, best, error_rate),
    }
    return replace(found, systems={**found.systems, **added})


def _chosen_by_fold(
    outcomes: Outcomes, chosen: list[tuple[NDArray[np.bool_], list[Chain]]], error_rate: float
) -> System:
    """One policy for each willingness to pay: the chain that was best at it on the training folds."""
    slopes = [_slopes(chains) for _, chains in chosen]
    steps = np.unique(np.concatenate([[0.0], *slopes]))
    cost, quality = np.zeros((2, len(outcomes), len(steps)))
    for (held, chains), rises in zip(chosen, slopes, strict=True):
        part = outcomes.take(held)
        cascades = (Cascade(part.quality, part.cost, order=chain.order) for chain in chains)
        each = [cascade.per_query([np.inf], error_rate) for cascade in cascades]
        taken = np.searchsorted(rises, steps, side="right")
        cost[held], quality[held] = (np.hstack([pair[side] for pair in each])[:, taken] for side in (0, 1))
    return Means(cost, quality)


def _slopes(chains: list[Chain]) -> Array:
    """USD per unit of quality from each chain on a hull to the next, rising."""
    points = np.array([(chain.cost, chain.quality) for chain in chains])
    return np.maximum.accumulate(np.diff(points[:, 0]) / np.diff(points[:, 1]))


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
