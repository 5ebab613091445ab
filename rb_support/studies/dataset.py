"""The dataset's tables: what a table of outcomes holds, beside what RouterBench prints (sec. 4, App. A)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rb_support import paper
from rb_support.cache import packaged
from rb_support.catalog import DATASETS, MBPP, MT_BENCH, RAG
from rb_support.load import ROWS
from rb_support.outcomes import Outcomes
from rb_support.outcomes.cells import strings
from rb_support.outcomes.checks import refuse_unknown
from rb_support.outcomes.wide import ANSWER
from rb_support.studies.wording import says
from rb_support.verdicts import Estimate, Fact

if TYPE_CHECKING:
    from rb_support.construct.records import Model

_say = says("dataset")
_JUDGED = (MBPP, MT_BENCH, RAG)


def datasets_of(outcomes: Outcomes) -> pd.DataFrame:
    """The eight datasets: how each is asked and graded (App. A.5), and rows here beside those published.

    Returns
    -------
    A row per dataset, those of an own table's own names last: dataset, shots, metric (blank for own names),
    tasks, rows (0 where the table has none), published_tasks and published_rows (0-shot file; the retrieval
    set is not public: one task, rows blank).
    """
    new = [name for name in outcomes.datasets if outcomes.origin.kind == "own" and name not in DATASETS]
    here = outcomes.frame.groupby("dataset")["task"].agg(["nunique", "size"])
    printed = paper.task_rows().groupby("dataset").agg(tasks=("task", "nunique"), rows=("rows", "sum"))
    judged = pd.Series(DATASETS).isin(_JUDGED)
    table = pd.DataFrame({"dataset": DATASETS, "shots": np.where(judged, 0, 5)})
    table["metric"] = np.where(judged, "judge (GPT-4)", "exact match")
    for column, counts in (("tasks", here["nunique"]), ("rows", here["size"])):
        table[column] = counts.reindex(DATASETS).fillna(0).astype(int).to_numpy()
    # The paper counts MT-Bench and the retrieval set as one task each.
    tasks = printed["tasks"].reindex(DATASETS).fillna(1).where(~judged.to_numpy(), 1)
    table["published_tasks"] = tasks.astype(int).to_numpy()
    table["published_rows"] = printed["rows"].reindex(DATASETS).to_numpy()
    own = pd.DataFrame({"dataset": new, "tasks": here["nunique"][new], "rows": here["size"][new]})
    return pd.concat([table, own.assign(published_tasks=0)], ignore_index=True) if new else table


def published_counts(outcomes: Outcomes) -> dict[str, Fact]:
    """The sizes that sec. 4.3 prints, held against what is known of the public files, by their claims' keys.

    What the paper counts and no public file has, the retrieval set, is named; the source `routerbench-rag`
    would show it.
    """
    said = paper.routerbench_headline().set_index("quantity")["value"]
    models, subjects = len(paper.model_means()), datasets_of(outcomes)["published_tasks"]
    samples, public = ROWS["full"] * models, set(paper.task_rows()["dataset"]) & set(DATASETS)
    table = {"rows": ROWS["full"], "models": models, "samples": samples, "others": said["samples"] - samples}
    gone = {"lacking": ", ".join(sorted(set(DATASETS) - public)), "settles": _say("settles")}
    here = {"public": len(public), "datasets": len(DATASETS)}
    named = {"subjects": subjects.max(), "others": len(DATASETS) - 1, "tasks": subjects.sum()}
    return {
        "samples": Fact(bool(samples == said["samples"]), _say("samples", **table, **gone)),
        "models": Fact(bool(models == said["models"]), _say("models", models=models)),
        "datasets": Fact(bool(len(public) == said["datasets"]), _say("datasets", **here, **gone)),
        "tasks": Fact(bool(subjects.sum() == said["tasks"]), _say("tasks", **named)),
    }


def refuses_most(refusals: pd.DataFrame, model: str) -> Estimate | None:
    """How far a model's share of refusals lies above the next model's; None if it is not among them.

    Parameters
    ----------
    refusals : model, answers, refusals, as `refusals_table` gives them.
    model : who is said to refuse most.

    Returns
    -------
    The difference with a 95% interval over all other models at once (normal, the models as if they had been
    asked different questions, which makes it wide).
    """
    ranked = refusals.assign(share=refusals["refusals"] / refusals["answers"]).sort_values("share")
    said = ranked["model"] == model
    if not said.any() or said.all():
        return None
    (ours,), (*_, following) = (ranked[rows].to_dict("records") for rows in (said, ~said))
    lead = ours["share"] - following["share"]
    variance = sum(one["share"] * (1 - one["share"]) / one["answers"] for one in (ours, following))
    reach = NormalDist().inv_cdf(1 - 0.025 / (len(ranked) - 1)) * np.sqrt(variance)
    name = f"{model} {ours['share']:.1%}, then {following['model']} {following['share']:.1%}: more by"
    return Estimate(lead, lead - reach, lead + reach, name, int(ours["answers"]))


def grouped(outcomes: Outcomes, most: int) -> Outcomes:
    """The table with its smallest datasets taken as one where there are more than `most`; noted in it."""
    sizes = outcomes.frame["dataset"].value_counts()
    if len(sizes) <= most:
        return outcomes
    small = sizes.index[most - 1 :]
    name = f"other ({len(small)} datasets)"
    labels = outcomes.frame["dataset"].where(~outcomes.frame["dataset"].isin(small), name)
    note = f"{len(small)} of {len(sizes)} datasets, of {sizes[small].max():,} rows at most, are taken as one"
    frame, origin = outcomes.frame.assign(dataset=labels), outcomes.origin.noting([note])
    return replace(outcomes, frame=frame, origin=origin)


def prices_of(models: Sequence[Model], outcomes: Outcomes) -> pd.DataFrame:
    """Prices of model cards, and what a query cost in the mean.

    Returns
    -------
    A row per model: model, price_in_usd_per_million, price_out_usd_per_million, fee_usd_per_request,
    usd_per_query (blank for a model that the table lacks).
    """
    columns = ["price_in_usd_per_million", "price_out_usd_per_million", "fee_usd_per_request"]
    cards = pd.DataFrame(models, columns=["name", *columns])
    return _with_costs(cards.rename(columns={"name": "model"}), outcomes)


def printed_prices(outcomes: Outcomes) -> pd.DataFrame:
    """The printed price list (App. A.1), and what a query cost in the mean on these rows.

    Columns as `prices_of`, and `published_usd_per_query`: the mean over the published 0-shot file.
    """
    listed = _with_costs(paper.prices().drop(columns="source"), outcomes)
    means = paper.model_means().set_index("model")["cost_usd_per_query"]
    return listed.assign(published_usd_per_query=listed["model"].map(means))


def listed_prices(outcomes: Outcomes, cards: Sequence[Model] = ()) -> pd.DataFrame:
    """The price list that goes with a table, and what a query cost on its rows.

    Parameters
    ----------
    outcomes : the rows.
    cards : model cards with which the rows were asked; none for published rows and own tables.

    Returns
    -------
    Columns of `printed_prices`, and source: "model card" or "printed". An own table's models only, with the
    printed price where there is one; else the cards first, then the printed list.
    """
    printed = printed_prices(outcomes).assign(source="printed")
    if outcomes.origin.kind == "own":
        known = printed.drop(columns="usd_per_query")
        listed = pd.DataFrame({"model": outcomes.models}).merge(known, how="left")
        return _with_costs(listed, outcomes)[printed.columns]
    if not cards:
        return printed
    return pd.concat([prices_of(cards, outcomes).assign(source="model card"), printed])[printed.columns]


def two_means(outcomes: Outcomes) -> pd.DataFrame:
    """Each model's mean quality over rows, and over datasets whatever their size.

    Returns
    -------
    Index model; columns over_rows (a row is a vote) and over_datasets (a dataset is a vote).
    """
    scores = pd.DataFrame(outcomes.quality, columns=list(outcomes.models))
    by_dataset = scores.groupby(outcomes.frame["dataset"].to_numpy()).mean()
    table = pd.DataFrame({"over_rows": scores.mean(), "over_datasets": by_dataset.mean()})
    return table.rename_axis("model")


def _with_costs(listed: pd.DataFrame, outcomes: Outcomes) -> pd.DataFrame:
    paid = pd.Series(outcomes.cost.mean(axis=0), index=list(outcomes.models))
    return listed.assign(usd_per_query=listed["model"].map(paid))


def one_record(outcomes: Outcomes, *, sample: int, model: str, width: int = 60) -> pd.DataFrame:
    """The attributes of a sample (App. A.4) with one answer of a table as the example.

    Parameters
    ----------
    sample : row of the table.
    model : who answered.
    width : letters that are shown of a text; prompts and answers are data, so little is quoted.

    Returns
    -------
    A row per attribute: attribute, column (in the files), meaning, example ("–" if the table lacks it).

    Raises
    ------
    TableError : if the model is not in the table.
    """
    refuse_unknown([model], outcomes.models, outcomes.origin.name)
    row, at = outcomes.frame.iloc[sample], outcomes.models.index(model)
    text, right = row.get(model + ANSWER, ""), row.get("true_label", "")
    answer = " ".join(strings(text)) if isinstance(text, str) else ""
    score, usd = f"{outcomes.quality[sample, at]:g}", f"{outcomes.cost[sample, at]:.3g}"
    examples = [row["sample_id"], model, row["task"], row["prompt"], answer, score, usd, right]
    attributes = pd.read_csv(StringIO(packaged("studies/record_attributes.csv")))
    table = attributes.assign(example=examples)
    table.insert(0, "attribute", table["column"].str.split().str[0])
    flat = [" ".join(example.split()) for example in table["example"]]
    short = [text if len(text) <= width else f"{text[:width].rstrip()} …" for text in flat]
    return table.assign(example=[text or "–" for text in short])
