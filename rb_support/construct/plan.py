"""Before anything is sent: what is missing, how many tokens it may have, what it costs and takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import pandas as pd

from rb_support.construct.records import Key, Messages, Model, Parameters, Query, key_of
from rb_support.construct.store import Store

ASSUMED_TOKENS = {"letter": 10, "number": 150, "judge": 300}
"""Tokens of an answer by metric, assumed of a model that has not answered yet."""
ASSUMED_LATENCY_S = 1.0
"""Seconds of a call, assumed of a model that has not answered yet."""

BYTES_PER_TOKEN = 4
PER_MESSAGE = 4  # role and separators
MOST_PER_MESSAGE, MOST_PER_CALL = 16, 128
"""Tokens that a chat template may put around a message, and before all of them (gpt-oss's has some 70)."""


@dataclass(frozen=True)
class Plan:
    """A dry run: nothing was sent.

    Attributes
    ----------
    frame : a row per model: model, calls, answered, missing, prompt_tokens, answer_tokens, usd (estimates for
        what is missing), usd_most (no run costs more), seconds (all its calls, so many at once as allowed).
    spent_usd : what the store has cost already.
    missing : calls that a run would make.
    usd : USD of these, estimated.
    usd_most : USD of these if every prompt and answer were as long as it can be, and none had to be repeated.
    seconds : seconds of the slowest model, estimated; models are asked side by side.
    """

    frame: pd.DataFrame
    spent_usd: float
    missing: int
    usd: float
    usd_most: float
    seconds: float


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
    answered, means = store.answered() if store else set(), dict[str, tuple[float, float]]()
    if store and answered:
        frame = store.answers().groupby("model")[["answer_tokens", "latency_s"]].mean()
        means = {str(model): (tokens, latency_s) for model, tokens, latency_s in frame.itertuples()}
    rows = []
    for model in models:
        known, latency_s = means.get(model.name, (None, ASSUMED_LATENCY_S))
        prompt, answer, most, missing = 0, 0.0, 0.0, 0
        for query in queries:
            assumed = ASSUMED_TOKENS.get(query.metric, 300) if known is None else known
            said = min(assumed, parameters.max_tokens)
            for turn, _ in missing_turns(model, query, answered, parameters):
                messages = query.conversation([""] * turn)
                missing += 1
                prompt += estimate_prompt(messages) + round(turn * said)
                answer += said
                most += worst_usd(model, messages, parameters) + turn * model.cost(parameters.max_tokens, 0)
        calls = sum(len(query.turns) for query in queries)
        usd = model.cost(prompt, round(answer)) + model.fee_usd_per_request * (missing - 1)
        seconds = missing * latency_s / model.concurrency
        rows.append((model.name, calls, calls - missing, missing, prompt, round(answer), usd, most, seconds))
    columns = ["model", "calls", "answered", "missing", "prompt_tokens", "answer_tokens"]
    frame = pd.DataFrame(rows, columns=[*columns, "usd", "usd_most", "seconds"])
    missing, usd, most = frame[["missing", "usd", "usd_most"]].sum().tolist()
    slowest = float(frame["seconds"].max()) if rows else 0.0
    return Plan(frame, store.spent_usd() if store else 0.0, int(missing), usd, most, slowest)


def missing_turns(
    model: Model, query: Query, answered: set[Key], parameters: Parameters
) -> Iterator[tuple[int, Key]]:
    """Turns of a query that a model has not answered, with their keys."""
    for turn in range(len(query.turns)):
        key = key_of(model, query, turn, parameters)
        if key not in answered:
            yield turn, key


def worst_usd(model: Model, messages: Messages, parameters: Parameters) -> float:
    """Most that a call can cost: as many tokens as the prompt can have, and the longest answer.

    No tokenizer makes more than one token of a byte. An endpoint that adds text of its own to the prompt, or
    does not heed `max_tokens`, can exceed it.
    """
    prompt = MOST_PER_CALL + sum(len(text.encode()) + MOST_PER_MESSAGE for _, text in messages)
    dearest = max(model.cost(prompt, 0), model.cost(prompt, 0, prompt))
    answer = parameters.max_tokens
    return dearest + max(model.cost(0, answer), model.cost(0, answer, 0, answer)) - model.fee_usd_per_request


def estimate(text: str) -> int:
    """Tokens of a text by its length: one for four bytes of UTF-8.

    >>> estimate("The answer is B."), estimate("")
    (4, 0)
    """
    return ceil(len(text.encode()) / BYTES_PER_TOKEN)


def estimate_prompt(messages: Messages) -> int:
    """Tokens of a prompt by its length."""
    return sum(estimate(text) + PER_MESSAGE for _, text in messages)
