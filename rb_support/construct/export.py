"""Out of the store: an outcome table in the published schema, and a card that says what is in it.

Beside score, answer and cost of every model stand columns of our own: `<model>|latency_s`,
`<model>|prompt_tokens`, `<model>|answer_tokens`, `<model>|refusal` and, for every row, `true_label`
(RouterBench App. A.4).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import pandas as pd
from jinja2 import Template

from rb_support.cache import packaged
from rb_support.catalog import dataset_of_task
from rb_support.construct.grading import grades_of, samples, summary, unscored
from rb_support.construct.loopback import JUDGE, MODELS
from rb_support.construct.records import ConstructError, Model, Parameters, Query
from rb_support.construct.refusals import tally
from rb_support.construct.store import Store
from rb_support.outcomes import Kind, Origin, Outcomes
from rb_support.outcomes.cells import TURN

CostAxis = Literal["usd", "latency"]

_LOOPBACK = "http://127.0.0.1:"
_SECONDS = "the cost column holds seconds per query (latency), not USD"


def is_simulated(model: Model) -> bool:
    """Whether a model is one of the loopback server's, which only pretend to answer."""
    names = {simulated.name for simulated in (*MODELS, JUDGE)}
    return model.name in names and model.endpoint.startswith(_LOOPBACK)


def to_outcomes(
    store: Store,
    queries: Iterable[Query] | None = None,
    models: Sequence[str] | None = None,
    *,
    parameters: Parameters | None = None,
    cost: CostAxis = "usd",
    name: str = "",
) -> Outcomes:
    """Outcome table of what was answered and graded; its `to_wide` and `to_long` give the published forms.

    The score of a query with several turns is their mean, its cost, tokens and latency their sum. A row that
    lacks an answer or a grade of some model is left out, and the origin's notes count them. The table is of
    kind "simulated" if every model is one of the loopback server's, else "own".

    Parameters
    ----------
    store : with answers and grades.
    queries : rows of the table; all samples of the store if None.
    models : its models; all that answered one of the queries if None.
    parameters : with which the models were asked; the usual ones if None.
    cost : "usd", or "latency" for seconds per query as the cost axis of figures (the paper's future work);
        the origin's name and notes say so then.
    name : of the table, for figures; the store's file name if empty.

    Raises
    ------
    ConstructError : if no row has an answer and a grade of every model, or `cost` is neither of the two.
    """
    if cost not in ("usd", "latency"):
        raise ConstructError(f"cost is {cost!r}; give 'usd' or 'latency'")
    asked = samples(store, queries)
    graded = grades_of(store, asked, parameters or Parameters())
    chosen = tuple(models if models is not None else dict.fromkeys(graded["model"]))
    done = graded[graded["score"].notna() & graded["model"].isin(chosen)].groupby("sample_id").size()
    whole = [q for q in asked if chosen and done.get(q.sample_id, 0) == len(q.turns) * len(chosen)]
    if not whole:
        missing = unscored(store)
        raise ConstructError(
            f"{store.path.name}: no query has an answer and a grade of every model "
            f"({', '.join(chosen) or 'none'}); run and grade what is missing, or name fewer models"
            + (f" ({missing})" if missing else "")
        )
    cut = int(graded.loc[graded["model"].isin(chosen), "cut"].sum())
    origin = _origin(store, chosen, len(asked) - len(whole), cut, cost, name or store.path.name)
    by_model = _by_query(graded, whole, chosen)
    quality = np.column_stack([by_model[model]["score"] for model in chosen])
    used = {"usd": "cost_usd", "latency": "latency_s"}[cost]
    paid = np.column_stack([by_model[model][used] for model in chosen])
    rows = [(q.sample_id, dataset_of_task(q.task), q.task, TURN.join(q.turns), q.reference) for q in whole]
    frame = pd.DataFrame(rows, columns=["sample_id", "dataset", "task", "prompt", "true_label"])
    frame[["prompt", "true_label"]] = frame[["prompt", "true_label"]].map(_in_lines)
    extra = ["model_response", "latency_s", "prompt_tokens", "answer_tokens", "refusal"]
    parts = [part[extra].add_prefix(f"{model}|") for model, part in by_model.items()]
    frame = pd.concat([frame, *parts], axis=1)
    frame = frame.assign(cost_unit="seconds") if cost == "latency" else frame
    return Outcomes(frame, quality, paid, chosen, origin)


def _in_lines(text: str) -> str:
    """Text as a CSV file of any Python keeps it: lines end in line feeds, every character can be written.

    The csv module of Python before 3.11.9 does not quote a lone carriage return.
    """
    return "\n".join(re.split(r"\r\n?|\n", text)).replace("\0", "").encode(errors="replace").decode()


def _by_query(
    graded: pd.DataFrame, queries: Sequence[Query], models: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Per model, a row per query: score, sums over its turns, answer and refusal flag."""
    rules: dict[str, Any] = dict.fromkeys(["cost_usd", "latency_s", "prompt_tokens", "answer_tokens"], "sum")
    rules |= {"score": "mean", "note": lambda notes: notes.eq("refusal").any(), "text": TURN.join}
    table = graded.sort_values("turn").groupby(["model", "sample_id"]).agg(rules)
    table = table.rename(columns={"note": "refusal", "text": "model_response"})
    table["model_response"] = table["model_response"].map(_in_lines)
    ids = [query.sample_id for query in queries]
    return {model: table.loc[[model]].droplevel(0).loc[ids].reset_index(drop=True) for model in models}


def _origin(
    store: Store, models: Sequence[str], left_out: int, cut: int, cost: CostAxis, name: str
) -> Origin:
    pretended = {model.name for model in store.models() if is_simulated(model)}
    kind: Kind = "simulated" if pretended.issuperset(models) else "own"
    notes = []
    if left_out:
        notes.append(f"rows left out because some model has no answer or no grade: {left_out}")
    if cut:
        notes.append(f"answers cut at the limit of tokens, neither right nor wrong: {cut}")
    if pretended & set(models):
        notes.append(f"simulated on a loopback server: {', '.join(m for m in models if m in pretended)}")
    notes += store.price_notes(models)
    if cost == "latency":
        name, notes = f"{name}; cost = seconds per query", [*notes, _SECONDS]
    return Origin(kind, name, notes=tuple(notes))


def card(
    store: Store,
    queries: Iterable[Query] | None = None,
    *,
    parameters: Parameters | None = None,
    title: str = "Outcome table",
    timings: bool = True,
) -> str:
    """Dataset card in Markdown: what was asked, of whom, how, when, what came back and what is missing.

    Parameters
    ----------
    store, queries, parameters : as `to_outcomes` takes them.
    title : heading of the card.
    timings : False leaves latencies and dates out, so that the same answers give the same card.
    """
    parameters = parameters or Parameters()
    asked = samples(store, queries)
    answers = grades_of(store, asked, parameters)
    models = by_model(store, asked, parameters=parameters)
    template = packaged("construct/card.md.jinja")
    return Template(template, trim_blocks=True, keep_trailing_newline=True).render(
        title=title,
        timings=timings,
        simulated=any(map(is_simulated, store.models())),
        asked=asked,
        answers=answers,
        parameters=json.dumps(asdict(parameters)),
        by_model=_markdown(models if timings else models.drop(columns="latency_s")),
        by_task=_markdown(summary(store, asked, parameters)),
    )


def by_model(
    store: Store, queries: Iterable[Query] | None = None, *, parameters: Parameters | None = None
) -> pd.DataFrame:
    """What every model did, a row each.

    Returns
    -------
    Columns model, answers, missing (turns of these queries without an answer), ungraded, cut, quality,
    refusals, echoes, empty, unreadable (see `tally`), prompt_tokens and answer_tokens (means per answer),
    estimated (answers whose tokens are a guess), usd (sum), usd_per_answer, latency_s (median).
    """
    asked = samples(store, queries)
    frame = grades_of(store, asked, parameters or Parameters())
    by = frame.groupby("model", sort=False)
    counts = tally(frame, ["model"])
    table = counts[["answers", "ungraded", "cut", "quality", "refusals", "echoes", "empty", "unreadable"]]
    table.insert(1, "missing", sum(len(query.turns) for query in asked) - table["answers"])
    table = table.join(by[["prompt_tokens", "answer_tokens"]].mean())
    table["estimated"] = by["tokens_estimated"].sum()
    table["usd"], table["usd_per_answer"] = by["cost_usd"].sum(), by["cost_usd"].mean()
    return table.assign(latency_s=by["latency_s"].median()).reset_index()


def _markdown(frame: pd.DataFrame) -> str:
    def shown(cell: object) -> str:
        return f"{cell:.4g}" if isinstance(cell, float) else str(cell).replace("|", r"\|")

    return frame.map(shown).to_markdown(index=False, disable_numparse=True)
