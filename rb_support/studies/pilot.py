"""The pilot study (RouterBench sec. 4.4): how much a perfect router could win on a table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support import paper
from rb_support.catalog import GSM8K, HELLASWAG, MMLU, MODELS
from rb_support.frontier import hull
from rb_support.outcomes import Outcomes
from rb_support.outcomes.checks import refuse_unknown
from rb_support.routers import free_abstention, lambda_path, oracle
from rb_support.sources import load_routerbench
from rb_support.stats import Array, System, bootstrap_weights, interval
from rb_support.studies import wording
from rb_support.verdicts import Estimate

MISTRAL = "mistralai/mistral-7b-chat"
NOBODY = "no_model_correct"
"""How the published files write that every model scored 0."""


def oracle_rows(outcomes: Outcomes) -> Array:
    """Cost (USD) and quality of the oracle on every query, (n, 2)."""
    rows, chosen = np.arange(len(outcomes)), oracle(outcomes.quality, outcomes.cost)
    return np.column_stack([outcomes.cost[rows, chosen], outcomes.quality[rows, chosen]])


def pooled_tables(outcomes: Outcomes) -> dict[str, Outcomes]:
    """Tables over whose datasets one may take means, by name: this one, last the one most like the paper's.

    Of the real rows at hand the three 5-shot tasks are one, and the 0-shot sample, 1% of the published table
    drawn over all its tasks, is another. Where more is at hand, and of other kinds of rows, there is one.
    """
    tables = [outcomes]
    if outcomes.origin.kind == "real" and not {MMLU, HELLASWAG, GSM8K} & set(outcomes.datasets):
        tables.append(load_routerbench("sample").select(outcomes.models))
    return {table.origin.name: table for table in tables}


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


def model_table(tables: Mapping[str, Outcomes]) -> pd.DataFrame:
    """Mean cost and quality of every model, dearest first, beside the published means.

    Parameters
    ----------
    tables : of `pooled_tables`: the last one gives the models, one before it the columns `…_5_shot`.

    Returns
    -------
    model, usd_per_query, quality, for a second table usd_per_query_5_shot and quality_5_shot, and
    paper_usd_per_query, paper_quality: blank for a model without published means, and on an own table.
    """
    *others, whole = tables.values()
    table = pd.DataFrame(whole.points(), columns=["usd_per_query", "quality"], index=whole.models)
    for other in others:
        table[["usd_per_query_5_shot", "quality_5_shot"]] = other.points()
    of_paper = paper.model_means().set_index("model").iloc[: 0 if whole.origin.kind == "own" else None]
    means = of_paper[["cost_usd_per_query", "score"]].reindex(whole.models)
    table[["paper_usd_per_query", "paper_quality"]] = means.to_numpy()
    return table.sort_values("usd_per_query", ascending=False).rename_axis("model").reset_index()


def best_models(outcomes: Outcomes) -> pd.Series[str]:
    """Best model of each dataset, by dataset; of equally good ones the cheapest."""
    points = {name: outcomes.of(name).points() for name in outcomes.datasets}
    rows = {name: oracle(p[None, :, 1], p[None, :, 0])[0] for name, p in points.items()}
    return pd.Series({name: outcomes.models[row] for name, row in rows.items()}, dtype=object)


def price_ranks(outcomes: Outcomes) -> pd.Series[float]:
    """Spearman's rank correlation of the models' costs and qualities, by dataset; NaN of one model."""
    points = {name: pd.DataFrame(outcomes.of(name).points()) for name in outcomes.datasets}
    return pd.Series({name: p[0].corr(p[1], method="spearman") for name, p in points.items()}, dtype=float)


def oracle_over_best(
    outcomes: Outcomes, best: str, *, rng: np.random.Generator, draws: int = 1000
) -> tuple[tuple[float, float], tuple[float, float] | None]:
    """How sure the oracle's lead over a model is: 95% intervals, queries resampled for both alike.

    Parameters
    ----------
    best : the model.
    rng, draws : of the bootstrap.

    Returns
    -------
    lead in quality; share of the model's cost, None where it is free in some resample.
    """
    column = outcomes.models.index(best)
    both = np.column_stack([oracle_rows(outcomes), outcomes.cost[:, column], outcomes.quality[:, column]])
    drawn = bootstrap_weights(len(both), draws, rng)
    spent, reached, paid, scored = np.array([weights @ both for weights in drawn]).T / len(both)
    return interval(reached - scored), interval(spent / paid) if paid.all() else None


def oracle_without(outcomes: Outcomes) -> pd.DataFrame:
    """The oracle, and the best single model, when one model is taken away.

    Returns
    -------
    A row per model, indexed by it: oracle and usd_per_query (quality and cost of the oracle without it) and
    best (quality of the best one left). Empty where there is one model only: nobody is left.
    """
    rows = {}
    for name in outcomes.models if len(outcomes.models) > 1 else ():
        rest = outcomes.select([other for other in outcomes.models if other != name])
        usd, quality = oracle_rows(rest).mean(axis=0)
        rows[name] = (quality, usd, rest.quality.mean(axis=0).max())
    return pd.DataFrame.from_dict(rows, orient="index", columns=["oracle", "usd_per_query", "best"])


def oracle_system(outcomes: Outcomes) -> System:
    """The oracle at every willingness to pay: each query is decided with its true outcomes in hand."""
    return lambda_path(outcomes.quality, outcomes.cost).on(outcomes.quality, outcomes.cost)


def oracle_points(outcomes: Outcomes) -> Array:
    """What the oracle reaches at every budget: the hull (k, 2) of its exact path over lambda.

    No router does better at any mean cost.
    """
    return hull(oracle_system(outcomes)(None))


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


def cost_ratios(cost: ArrayLike, quality: ArrayLike, tolerance: float) -> tuple[NDArray[np.bool_], Array]:
    """How many times dearer one of two models of like quality is.

    Parameters
    ----------
    cost, quality : (..., m) each model's mean cost (USD per query) and mean quality.
    tolerance : largest difference of mean quality to count as comparable.

    Returns
    -------
    comparable, ratio : (..., m (m - 1) / 2) of every two models, whether they are of like quality and neither
        is free, and how many times dearer the dearer one is (0 where they are not comparable).
    """
    a, b = np.triu_indices(np.shape(cost)[-1], 1)
    paid, scored = (np.asarray(each, dtype=float) for each in (cost, quality))
    cheaper, dearer = (choose(paid[..., a], paid[..., b]) for choose in (np.minimum, np.maximum))
    comparable = (np.abs(scored[..., a] - scored[..., b]) <= tolerance) & (cheaper > 0)
    return comparable, np.divide(dearer, cheaper, out=np.zeros(cheaper.shape), where=comparable)


def comparable_by_dataset(outcomes: Outcomes, tolerance: float) -> pd.DataFrame:
    """Pairs of comparable models, by dataset, and over the published means where the rows are not a user's.

    Returns
    -------
    pairs, median ratio, from 2 to 5 (share of the pairs), indexed by dataset.
    """
    parts = {name: outcomes.of(name).points() for name in outcomes.datasets}
    if outcomes.origin.kind != "own":
        parts["published means"] = paper.model_means()[["cost_usd_per_query", "score"]].dropna().to_numpy()
    listed = {}
    for name, points in parts.items():
        cost, quality = points.T
        comparable, ratios = cost_ratios(cost, quality, tolerance)
        ratio = pd.Series(ratios[comparable])
        inside = ratio.between(2, 5).mean()
        listed[name] = {"pairs": len(ratio), "median ratio": ratio.median(), "from 2 to 5": inside}
    return pd.DataFrame(listed).T


def share_two_to_five(
    outcomes: Outcomes, tolerance: float, *, rng: np.random.Generator, draws: int = 1000
) -> Estimate | None:
    """Of all pairs of comparable models in every dataset, the share with a cost ratio from 2 to 5.

    Queries are resampled within each dataset; which pairs are comparable is asked anew in each resample. None
    where no two models are comparable.

    Parameters
    ----------
    tolerance : see `cost_ratios`.
    rng, draws : of the bootstrap.
    """
    counted, ratios = np.zeros((2, draws + 1)), []
    for part in map(outcomes.of, outcomes.datasets):
        shares = np.vstack([np.ones(len(part)), bootstrap_weights(len(part), draws, rng)]) / len(part)
        comparable, ratio = cost_ratios(shares @ part.cost, shares @ part.quality, tolerance)
        counted += [comparable.sum(axis=1), ((ratio >= 2) & (ratio <= 5)).sum(axis=1)]
        ratios.append(ratio[0][comparable[0]])
    pairs, inside = counted
    if not pairs[0]:
        return None
    drawn = inside[1:][pairs[1:] > 0] / pairs[1:][pairs[1:] > 0]
    ends = interval(drawn) if len(drawn) else (0.0, 1.0)  # no resample has such a pair
    name = f"share of {pairs[0]:.0f} pairs (median ratio {np.median(np.concatenate(ratios)):.1f})"
    return Estimate(inside[0] / pairs[0], *ends, name=name, n=len(outcomes))


def evidence(
    tables: Mapping[str, Outcomes], *, rng: np.random.Generator, draws: int = 1000
) -> dict[str, list[Estimate]]:
    """What the statements of sec. 4.4 are held against: an estimate a table, their intervals simultaneous.

    The best single model is chosen anew in each resample of the queries.

    Returns
    -------
    Keys of the claims of notebook 02: oracle-near-perfect (quality), oracle-cheap (cost over the best single
    model's), private-best (best private minus best open model's quality), private-dear (its cost over the
    dearest open model's), mistral-cheap (cost over the best model's), mistral-worse (quality it lacks). A
    statement on models that a table does not have is left out.
    """
    found: dict[str, list[Estimate]] = {}
    level = 1 - 0.05 / len(tables)
    for name, table in tables.items():
        shares = np.vstack([np.ones(len(table)), bootstrap_weights(len(table), draws, rng)]) / len(table)
        cost, quality, oracle = shares @ table.cost, shares @ table.quality, shares @ oracle_rows(table)
        rows, best = np.arange(len(cost)), quality.argmax(axis=1)
        paid, top = cost[rows, best], quality[rows, best]
        private = np.array([model.startswith(("gpt", "claude")) for model in table.models])
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers = {"oracle-near-perfect": oracle[:, 1], "oracle-cheap": oracle[:, 0] / paid}
            if table.origin.kind != "own" and private.any() and not private.all():
                leads = quality[:, private].argmax(axis=1)
                numbers["private-best"] = quality[:, private][rows, leads] - quality[:, ~private].max(axis=1)
                numbers["private-dear"] = cost[:, private][rows, leads] / cost[:, ~private].max(axis=1)
            if MISTRAL in table.models:
                column = table.models.index(MISTRAL)
                numbers["mistral-cheap"] = cost[:, column] / paid
                numbers["mistral-worse"] = top - quality[:, column]
        for key, (value, *resampled) in numbers.items():
            estimate = Estimate(float(value), *interval(resampled, level), name=name, n=len(table))
            found.setdefault(key, []).append(estimate)
    return found


def points_of(outcomes: Outcomes) -> pd.DataFrame:
    """Mean cost and quality of all models and the oracle: model ("oracle" last), usd_per_query, quality."""
    usd, quality = np.vstack([outcomes.points(), oracle_rows(outcomes).mean(axis=0)]).T
    columns = {"model": [*outcomes.models, "oracle"], "usd_per_query": usd, "quality": quality}
    return pd.DataFrame(columns)


def points_by_dataset(outcomes: Outcomes) -> pd.DataFrame:
    """`points_of` every dataset, with a column `dataset` first and the number of queries, n, last."""
    parts = {name: outcomes.of(name) for name in outcomes.datasets}
    points = {name: points_of(part).assign(n=len(part)) for name, part in parts.items()}
    return pd.concat(points, names=["dataset", None]).reset_index("dataset").reset_index(drop=True)


def why_means_differ(outcomes: Outcomes) -> str:
    """Why this table's means differ from those of the published 0-shot file; nothing on an own table."""
    table = {"table": outcomes.origin.name, "rows": len(outcomes), "datasets": ", ".join(outcomes.datasets)}
    return wording.says("pilot")(outcomes.origin.kind, **table)


def notes(whole: Outcomes, tasks: Outcomes) -> dict[str, str]:
    """What the records of notebook 02's items say, by item.

    Parameters
    ----------
    whole : the table over which means are taken.
    tasks : the one that is looked at dataset by dataset.
    """
    counts, table = tasks.frame["dataset"].value_counts(), {"table": whole.origin.name, "n": len(whole)}
    sizes = ", ".join(f"{name} {counts[name]:,}" for name in tasks.datasets)
    corners, why = len(oracle_points(whole)), why_means_differ(whole)
    return wording.notes("02", **table, sizes=sizes, corners=corners, why=why)


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
