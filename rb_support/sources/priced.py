"""Outcome tables of two sources that publish scores and no costs: tokens times list prices.

Prices, where each was found, and what is assumed stand in `list_prices.toml`. A model without a price
there is left out, and the origin's notes say so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support.cache import packaged_table
from rb_support.outcomes import Outcomes, PartialOutcomes, TableError
from rb_support.outcomes.wide import of_model
from rb_support.sources import judged
from rb_support.sources.files import Located
from rb_support.sources.records import ModelScores, read_records, refuse

ZEROEVAL, ARENA_BENCH = "zeroeval-gsm", "arena-bench"


def price_list() -> dict[str, Any]:
    """All of `list_prices.toml`: what is assumed, the sources of prices, and prices by table and model."""
    return packaged_table("sources/list_prices.toml")


def _assumed() -> dict[str, Any]:
    found: dict[str, Any] = price_list()["assumed"]
    return found


def zeroeval(located: Located) -> Outcomes:
    """Table of `load_priced("zeroeval-gsm")`: quality 1 where the answer is right, else 0.

    Tokens are those of the prompt that was sent (question and instruction) and of the answer.

    Raises
    ------
    TableError : as `judged.zeroeval`, or if no model has a price.
    """
    scored = judged.zeroeval(located)
    lengths = [_lengths(located, f"{model}.json", scored.frame["sample_id"]) for model in scored.models]
    prompt, answer = np.moveaxis(np.stack(lengths, axis=1), 2, 0) / _assumed()["characters_per_token"]
    note = "tokens of the prompt as it was sent and of the published answer"
    return _priced(ZEROEVAL, scored, prompt, answer, note)


def _lengths(located: Located, name: str, asked: pd.Series[str]) -> NDArray[np.intp]:
    """(n, 2) characters of the prompt sent and of the answer, a row a question in the order asked."""
    rows = pd.DataFrame(read_records(located, name, ("id", "chat_history", "output"))).set_index("id")
    texts = rows[["chat_history", "output"]].map(judged.opening)
    bad = texts.isna().any(axis=1).to_numpy()
    refuse(name, bad, ", field 'chat_history' or 'output': no list that begins with a text")
    return texts.map(len).reindex(pd.Index(asked)).to_numpy()


def arena_bench(located: Located) -> Outcomes:
    """Table of `load_priced("arena-bench")`: quality (score - 1) / 9, in [0, 1].

    Prompts where a model that has a price was given no score are left out.

    Raises
    ------
    TableError : as `judged.arena_bench`, or if no model has a price.
    """
    scored, tokens = judged.arena_bench(located), _assumed()["answer_tokens"]
    low, high = scored.scale
    scale = f"quality is (s - {low:g}) / {high - low:g} of a score s from {low:g} to {high:g}"
    scores = (scored.scores - low) / (high - low)
    mapped = replace(scored, scores=scores, scale=(0.0, 1.0), origin=scored.origin.noting([scale]))
    prompt = scored.frame["prompt"].str.len().to_numpy()[:, None] / _assumed()["characters_per_token"]
    note = (
        f"tokens of the prompt and, as no answer is published, {tokens} for every answer (the mean of "
        "RouteLLM's App. D), so that no model is dearer for saying more"
    )
    return _priced(ARENA_BENCH, mapped, prompt, tokens, note)


def _priced(name: str, scored: ModelScores, prompt: ArrayLike, answer: ArrayLike, note: str) -> Outcomes:
    """Scores beside estimated costs, of the models that have a price.

    Parameters
    ----------
    name : of the table in `list_prices.toml`.
    scored : n queries of m models, in [0, 1].
    prompt, answer : tokens, broadcast to (n, m).
    note : what the tokens are.
    """
    listed, shape = price_list(), scored.scores.shape
    prices = listed["prices"][name]
    models = tuple(model for model in scored.models if model in prices)
    gone = [model for model in scored.models if model not in prices]
    if not models:
        raise TableError(f"{scored.origin.name}: none of its models has a price: {', '.join(gone)}")
    at = [scored.models.index(model) for model in models]
    asked, said = (np.broadcast_to(tokens, shape)[:, at] for tokens in (prompt, answer))
    usd_in, usd_out = np.array([[prices[model]["in"], prices[model]["out"]] for model in models]).T
    quality = scored.scores[:, at]
    cost = np.where(np.isnan(quality), np.nan, (asked * usd_in + said * usd_out) / 1e6)
    per_token = f"({_assumed()['characters_per_token']} characters a token)"
    notes = [f"costs are estimates: list prices per token {per_token}, {note}", *_cited(listed, name, models)]
    if gone:
        notes.append(f"left out, as no source supports a price per token: {', '.join(gone)}")
    origin = replace(scored.origin, name=f"{scored.origin.name}; costs estimated").noting(notes)
    frame = scored.frame.drop(columns=of_model(list(scored.frame.columns), gone))
    return PartialOutcomes(frame, quality, cost, models, origin).complete()


def _cited(listed: dict[str, Any], name: str, models: tuple[str, ...]) -> list[str]:
    """A note for each source of prices of a table."""
    sold: dict[str, list[str]] = {}
    for model in models:
        sold.setdefault(listed["prices"][name][model]["source"], []).append(model)
    said = "prices of {}: {what} ({date}; {address})"
    return [said.format(", ".join(of), **listed["sources"][source]) for source, of in sold.items()]
