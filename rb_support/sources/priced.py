"""Outcome tables of two sources that publish scores and no costs: tokens times list prices.

Prices, where each was found, and what is assumed stand in `list_prices.toml`. A model without a price
there is left out, and the origin's notes say so.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from importlib import resources
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, model_validator

from rb_support.outcomes import Outcomes, PartialOutcomes, TableError
from rb_support.outcomes.wide import of_model
from rb_support.sources import judged
from rb_support.sources.files import Located
from rb_support.sources.records import ModelScores, read_records, refuse

ZEROEVAL, ARENA_BENCH = "zeroeval-gsm", "arena-bench"


class Price(BaseModel, extra="forbid"):
    """List price of a model in USD per million tokens, and the source that names it."""

    prompt: PositiveFloat = Field(alias="in")
    answer: PositiveFloat = Field(alias="out")
    source: str


class Cited(BaseModel, extra="forbid"):
    """Where prices were found, when, and what stands there."""

    address: str = Field(pattern="^https://")
    date: str = Field(min_length=4)
    what: str = Field(min_length=1)


class Assumed(BaseModel, extra="forbid"):
    """What turns texts into tokens."""

    characters_per_token: PositiveInt
    answer_tokens: PositiveInt


class PriceList(BaseModel, extra="forbid"):
    """All of `list_prices.toml`; `prices` is by table, then by model."""

    assumed: Assumed
    sources: dict[str, Cited]
    prices: dict[str, dict[str, Price]]

    @model_validator(mode="after")
    def _cites_what_is_there(self) -> Self:
        cited = {price.source for models in self.prices.values() for price in models.values()}
        if cited != set(self.sources):
            named = ", ".join(sorted(cited ^ set(self.sources)))
            raise ValueError(f"sources that are cited and not there, or there and not cited: {named}")
        return self


def price_list() -> PriceList:
    """Prices as they stand in `list_prices.toml`, checked.

    Raises
    ------
    pydantic.ValidationError : if a price is not positive, or has no source with address and date.
    """
    text = resources.files("rb_support.sources").joinpath("list_prices.toml").read_text(encoding="utf-8")
    return PriceList.model_validate(tomllib.loads(text))


def zeroeval(located: Located) -> Outcomes:
    """Table of `load_priced("zeroeval-gsm")`: quality 1 where the answer is right, else 0.

    Tokens are those of the prompt that was sent (question and instruction) and of the answer.

    Raises
    ------
    TableError : as `judged.zeroeval`, or if no model has a price.
    """
    scored = judged.zeroeval(located)
    lengths = [_lengths(located, f"{model}.json", scored.frame["sample_id"]) for model in scored.models]
    prompt, answer = np.moveaxis(np.stack(lengths, axis=1), 2, 0) / price_list().assumed.characters_per_token
    note = "tokens of the prompt as it was sent and of the published answer"
    return _priced(ZEROEVAL, scored, prompt, answer, note)


def _lengths(located: Located, name: str, asked: pd.Series[str]) -> NDArray[np.intp]:
    """(n, 2) characters of the prompt sent and of the answer, a row a question in the order asked."""
    rows = read_records(located, name, ("id", "chat_history", "output"))
    texts = [[row["chat_history"], row["output"]] for row in rows]
    bad = [not all(_begins_with_text(each) for each in both) for both in texts]
    refuse(name, bad, ", field 'chat_history' or 'output': no list that begins with a text")
    found = pd.DataFrame([[len(each[0]) for each in both] for both in texts], [row["id"] for row in rows])
    return found.reindex(pd.Index(asked)).to_numpy()


def _begins_with_text(turns: object) -> bool:
    match turns:
        case [str(), *_]:
            return True
    return False


def arena_bench(located: Located) -> Outcomes:
    """Table of `load_priced("arena-bench")`: quality (score - 1) / 9, in [0, 1].

    Prompts where a model that has a price was given no score are left out.

    Raises
    ------
    TableError : as `judged.arena_bench`, or if no model has a price.
    """
    scored, assumed = judged.arena_bench(located), price_list().assumed
    low, high = scored.scale
    scale = f"quality is (s - {low:g}) / {high - low:g} of a score s from {low:g} to {high:g}"
    mapped = replace(
        scored,
        scores=(scored.scores - low) / (high - low),
        scale=(0.0, 1.0),
        origin=scored.origin.noting([scale]),
    )
    prompt = scored.frame["prompt"].str.len().to_numpy()[:, None] / assumed.characters_per_token
    note = (
        f"tokens of the prompt and, as no answer is published, {assumed.answer_tokens} for every answer (the "
        "mean of RouteLLM's App. D), so that no model is dearer for saying more"
    )
    return _priced(ARENA_BENCH, mapped, prompt, assumed.answer_tokens, note)


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
    prices = listed.prices[name]
    models = tuple(model for model in scored.models if model in prices)
    gone = [model for model in scored.models if model not in prices]
    if not models:
        raise TableError(f"{scored.origin.name}: none of its models has a price: {', '.join(gone)}")
    at = [scored.models.index(model) for model in models]
    asked, said = (np.broadcast_to(tokens, shape)[:, at] for tokens in (prompt, answer))
    usd_in, usd_out = np.array([[prices[model].prompt, prices[model].answer] for model in models]).T
    quality = scored.scores[:, at]
    cost = np.where(np.isnan(quality), np.nan, (asked * usd_in + said * usd_out) / 1e6)
    per_token = f"({listed.assumed.characters_per_token} characters a token)"
    notes = [f"costs are estimates: list prices per token {per_token}, {note}", *_cited(listed, name, models)]
    if gone:
        notes.append(f"left out, as no source supports a price per token: {', '.join(gone)}")
    origin = replace(scored.origin, name=f"{scored.origin.name}; costs estimated").noting(notes)
    frame = scored.frame.drop(columns=of_model(list(scored.frame.columns), gone))
    return PartialOutcomes(frame, quality, cost, models, origin).complete()


def _cited(listed: PriceList, name: str, models: tuple[str, ...]) -> list[str]:
    """A note for each source of prices of a table."""
    sold: dict[str, list[str]] = {}
    for model in models:
        sold.setdefault(listed.prices[name][model].source, []).append(model)
    return [
        f"prices of {', '.join(of)}: {cited.what} ({cited.date}; {cited.address})"
        for cited, of in ((listed.sources[source], of) for source, of in sold.items())
    ]
