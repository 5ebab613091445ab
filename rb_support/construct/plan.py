"""What a run would ask, cost and take, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from rb_support.construct.records import Key, Model, Parameters, Query, key_of
from rb_support.construct.store import Store
from rb_support.construct.tokens import estimate_prompt, most_prompt

ASSUMED_TOKENS = {"letter": 10, "number": 150, "judge": 300}
"""Tokens of an answer by metric, assumed of a model that has not answered yet."""
ASSUMED_LATENCY_S = 1.0
"""Seconds of a call, assumed of a model that has not answered yet."""


@dataclass(frozen=True)
class Plan:
    """A dry run: nothing was sent.

    Attributes
    ----------
    frame : a row per model: model, calls, answered, missing, prompt_tokens, answer_tokens, usd (estimates for
        what is missing), usd_most (no run costs more), seconds (all its calls, so many at once as allowed).
    spent_usd : what the store has cost already.
    """

    frame: pd.DataFrame
    spent_usd: float

    @property
    def missing(self) -> int:
        """Calls that a run would make."""
        return int(self.frame["missing"].sum())

    @property
    def usd(self) -> float:
        """USD of these, estimated."""
        return float(self.frame["usd"].sum())

    @property
    def usd_most(self) -> float:
        """USD of these if every prompt and answer were as long as it can be, and none had to be repeated."""
        return float(self.frame["usd_most"].sum())

    @property
    def seconds(self) -> float:
        """Seconds of the slowest model, estimated; models are asked side by side."""
        return float(self.frame["seconds"].max()) if len(self.frame) else 0.0


def plan(
    queries: Sequence[Query],
    models: Sequence[Model],
    store: Store | None = None,
    parameters: Parameters | None = None,
) -> Plan:
    """Count what is missing and estimate what it costs; sends nothing and writes nothing.

    Answers' lengths and latencies are the means of what a model has answered, else assumed
    (`ASSUMED_TOKENS`, `ASSUMED_LATENCY_S`).

    Parameters
    ----------
    queries, models : every query is for every model.
    store : where answers are; None if there is none yet.
    parameters : how models are asked; the usual ones if None.
    """
    parameters = parameters or Parameters()
    answered = store.answered() if store else set()
    known = _means(store.answers() if store else None)
    rows = [_row(model, queries, answered, parameters, known.get(model.name)) for model in models]
    columns = ["model", "calls", "answered", "missing", "prompt_tokens", "answer_tokens"]
    frame = pd.DataFrame(rows, columns=[*columns, "usd", "usd_most", "seconds"])
    return Plan(frame, store.spent_usd() if store else 0.0)


def worst_usd(model: Model, messages: Sequence[tuple[str, str]], parameters: Parameters) -> float:
    """Most that a call can cost: as many tokens as the prompt can have, and the longest answer.

    An endpoint that adds text of its own to the prompt, or does not heed `max_tokens`, can exceed it.
    """
    prompt = min(most_prompt(tuple(messages)), model.context_tokens)
    return model.cost(prompt, parameters.max_tokens)


def missing_turns(
    model: Model, query: Query, answered: set[Key], parameters: Parameters
) -> Iterator[tuple[int, Key]]:
    """Turns of a query that a model has not answered, with their keys."""
    for turn in range(len(query.turns)):
        key = key_of(model, query, turn, parameters)
        if key not in answered:
            yield turn, key


def _row(
    model: Model,
    queries: Sequence[Query],
    answered: set[Key],
    parameters: Parameters,
    known: tuple[float, float] | None,
) -> tuple[object, ...]:
    calls = sum(len(query.turns) for query in queries)
    prompt, answer, most, missing = 0, 0.0, 0.0, 0
    for query in queries:
        said = min(known[0] if known else ASSUMED_TOKENS.get(query.metric, 300), parameters.max_tokens)
        for turn, _ in missing_turns(model, query, answered, parameters):
            missing += 1
            prompt += estimate_prompt(query.conversation([""] * turn)) + round(turn * said)
            answer += said
            most += _worst_at(model, query, turn, parameters)
    usd = model.cost(prompt, round(answer)) + model.fee_usd_per_request * (missing - 1)
    seconds = missing * (known[1] if known else ASSUMED_LATENCY_S) / model.concurrency
    return (model.name, calls, calls - missing, missing, prompt, round(answer), usd, most, seconds)


def _worst_at(model: Model, query: Query, turn: int, parameters: Parameters) -> float:
    messages = query.conversation([""] * turn)
    return worst_usd(model, messages, parameters) + turn * model.cost(parameters.max_tokens, 0)


def _means(answers: pd.DataFrame | None) -> dict[str, tuple[float, float]]:
    """Mean tokens and seconds of an answer by model."""
    if answers is None or answers.empty:
        return {}
    means = answers.groupby("model")[["answer_tokens", "latency_s"]].mean()
    return {str(name): (float(row.iloc[0]), float(row.iloc[1])) for name, row in means.iterrows()}
