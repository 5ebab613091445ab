"""The pilot study (RouterBench sec. 4.4): how much a perfect router could win on a table."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support import paper
from rb_support.catalog import MODELS
from rb_support.frontier import hull
from rb_support.outcomes import Outcomes
from rb_support.outcomes.checks import refuse_unknown
from rb_support.routers import free_abstention, lambda_path, oracle

NOBODY = "no_model_correct"
"""How the published files write that every model scored 0."""


def oracle_rows(outcomes: Outcomes) -> NDArray[np.float64]:
    """Cost (USD) and quality of the oracle on every query, (n, 2)."""
    rows, chosen = np.arange(len(outcomes)), oracle(outcomes.quality, outcomes.cost)
    return np.column_stack([outcomes.cost[rows, chosen], outcomes.quality[rows, chosen]])


def strong_and_weak(outcomes: Outcomes, strong: str, weak: str) -> tuple[str, str]:
    """The two models asked for; an own table without the paper's gives its best and cheapest other one.

    Raises
    ------
    TableError : if the table lacks a model that is none of the paper's.
    """
    cost, quality = outcomes.points().T
    unsaid = {"", *MODELS}.difference(outcomes.models) if outcomes.origin.kind == "own" else ()
    if strong in unsaid:
        strong = outcomes.models[int(np.lexsort((cost, -quality))[0])]
    if weak in unsaid:
        cheapest_first = [outcomes.models[j] for j in np.argsort(cost, kind="stable")]
        weak = next((model for model in cheapest_first if model != strong), strong)
    refuse_unknown([strong, weak], outcomes.models, outcomes.origin.name)
    return strong, weak


def oracle_points(outcomes: Outcomes) -> NDArray[np.float64]:
    """What the oracle reaches at every budget: the hull (k, 2) of its exact path over lambda.

    No router does better at any mean cost: each query is decided with its true outcomes in hand.
    """
    return hull(lambda_path(outcomes.quality, outcomes.cost).on(outcomes.quality, outcomes.cost)(None))


def oracle_shares(outcomes: Outcomes) -> pd.DataFrame:
    """Share of queries the oracle sends to each model, per dataset and over all.

    Returns
    -------
    A row per model, dearest first, and one for `no_model_correct`; a column per dataset and "all".
    Columns add up to 1. Where every score is 0 nobody is counted, as in the published files.
    """
    choice, _ = free_abstention(outcomes.quality, outcomes.cost)
    dearest_first = np.argsort(-outcomes.cost.mean(axis=0))
    names = [*(outcomes.models[j] for j in dearest_first), NOBODY]
    chosen = pd.Series([*outcomes.models, NOBODY]).to_numpy()[choice]
    parts = {name: chosen[outcomes.frame["dataset"] == name] for name in outcomes.datasets} | {"all": chosen}
    shares = {name: pd.Series(part).value_counts(normalize=True) for name, part in parts.items()}
    return pd.DataFrame(shares).reindex(names).fillna(0.0)


def solved_by(outcomes: Outcomes) -> pd.Series:
    """Share of queries by how many models get them right (score of at least one half): index 0 … m."""
    count = (outcomes.quality >= 0.5).sum(axis=1)
    share = np.bincount(count, minlength=len(outcomes.models) + 1) / len(outcomes)
    return pd.Series(share, name="share of queries").rename_axis("models that are right")


def comparable_cost_ratios(points: ArrayLike, models: tuple[str, ...], tolerance: float) -> pd.DataFrame:
    """How many times dearer one of two models of like quality is.

    Parameters
    ----------
    points : (m, 2) mean cost (USD per query) and mean quality.
    models : m names.
    tolerance : largest difference of mean quality to count as comparable.

    Returns
    -------
    A row per pair: cheaper, dearer, quality_difference (dearer minus cheaper), cost_ratio (>= 1).
    """
    rows = []
    for (a, name_a), (b, name_b) in combinations(
        zip(np.asarray(points, dtype=float), models, strict=True), 2
    ):
        (low, cheaper), (high, dearer) = sorted([(tuple(a), name_a), (tuple(b), name_b)])
        if abs(high[1] - low[1]) <= tolerance and low[0] > 0:
            rows.append((cheaper, dearer, high[1] - low[1], high[0] / low[0]))
    return pd.DataFrame(rows, columns=["cheaper", "dearer", "quality_difference", "cost_ratio"])


def points_by_dataset(outcomes: Outcomes) -> pd.DataFrame:
    """Mean cost and quality of every model and of the oracle on every dataset.

    Returns
    -------
    Rows of dataset, model ("oracle" last), usd_per_query, quality.
    """
    parts = []
    for name in outcomes.datasets:
        part = outcomes.of(name)
        usd, quality = np.vstack([part.points(), oracle_rows(part).mean(axis=0)]).T
        columns = {"model": [*part.models, "oracle"], "usd_per_query": usd, "quality": quality}
        parts.append(pd.DataFrame({"dataset": name, **columns}))
    return pd.concat(parts, ignore_index=True)


def why_means_differ(outcomes: Outcomes) -> str:
    """Why this table's means differ from those of the published 0-shot file; nothing on an own table."""
    if outcomes.origin.kind == "simulated":
        return (
            "The simulation is calibrated to the published means at full size; smaller tables hold more of "
            "the small datasets than the published file does."
        )
    if outcomes.origin.kind == "own":
        return ""
    return (
        "The published means are over all 36,497 rows of the 0-shot file; this table is "
        f"{outcomes.origin.name} with {len(outcomes):,} rows of {', '.join(outcomes.datasets)}."
    )


def task_means(outcomes: Outcomes) -> pd.DataFrame:
    """Mean score per task and model beside the printed one, where a mean of that task is printed.

    Returns
    -------
    Indexed by "task, model": ours, paper, difference (ours minus paper), source.
    """
    scores = pd.DataFrame(outcomes.quality, columns=list(outcomes.models))
    ours = scores.groupby(outcomes.frame["task"]).mean().rename_axis(columns="model").stack()
    of_paper = outcomes.origin.kind != "own"  # a task of the same name may hold other rows
    printed = paper.task_means().set_index(["task", "model"]).iloc[: None if of_paper else 0]
    both = printed[["score", "source"]].join(pd.Series(ours, name="ours"), how="inner")
    both.index = pd.Index([f"{task}, {model}" for task, model in both.index], dtype=object)
    both["difference"] = both["ours"] - both["score"]
    return both.rename(columns={"score": "paper"})[["ours", "paper", "difference", "source"]]
