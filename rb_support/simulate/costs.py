"""Tokens and dollars: list prices times lengths (RouterBench, Appendix A.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rb_support import paper
from rb_support.simulate.assumptions import Assumptions, Floats, rows_at_full_size, value
from rb_support.simulate.latent import Integers

CHARACTERS_PER_TOKEN = 4.2


def prompt_tokens(part: Assumptions, prompts: Sequence[str]) -> Integers:
    """(n,) tokens per prompt: one per 4.2 letters, one per Chinese character, and what is not shown."""
    characters = np.array([len(prompt) for prompt in prompts])
    # A Chinese character takes three bytes, a letter one.
    wide = (np.array([len(prompt.encode()) for prompt in prompts]) - characters) / 2
    tokens = (characters - wide) / CHARACTERS_PER_TOKEN + wide + part.value("unshown_tokens")
    return np.asarray(np.ceil(tokens), dtype=np.int64)


def mean_answer_tokens(parts: Sequence[Assumptions], mean_prompt: Mapping[str, float]) -> dict[str, Floats]:
    """Per dataset, (m,) mean answer tokens with which every model's mean cost is the published one.

    Lengths in the datasets marked as scaled (free answers that nobody measured) take one factor per
    model; letters of multiple choice and measured lengths stay.

    Parameters
    ----------
    mean_prompt : mean prompt tokens per dataset.
    """
    models = parts[0].models
    price_in, price_out, _ = _prices(models)
    rows = {part.dataset: rows_at_full_size(part.dataset) for part in parts}
    mean_cost = paper.model_means().set_index("model")["cost_usd_per_query"].reindex(models).to_numpy(float)
    budget = mean_cost * sum(rows.values()) * 1e6
    for_prompts = price_in * sum(rows[name] * mean_prompt[name] for name in rows)
    scaled = {part.dataset for part in parts if part.value("answer_tokens_scaled") == 1}
    fixed = sum(rows[part.dataset] * part.answer_tokens for part in parts if part.dataset not in scaled)
    assumed = sum(rows[part.dataset] * part.answer_tokens for part in parts if part.dataset in scaled)
    factor = ((budget - for_prompts) / price_out - fixed) / assumed
    return {part.dataset: part.answer_tokens * (factor if part.dataset in scaled else 1.0) for part in parts}


def draw_answer_tokens(part: Assumptions, mean: Floats, ease: Floats, rng: np.random.Generator) -> Integers:
    """(n, m) answer tokens: lognormal about each model's mean, longer where the query is harder.

    Parameters
    ----------
    mean : (m,) mean tokens per model.
    ease : (n,) general factor of each query, high where it is easy.
    """
    tie = value("length_follows_difficulty")
    own = rng.standard_normal((len(ease), len(part.models)))
    length = np.exp(part.value("length_sd") * (-tie * ease[:, None] + np.sqrt(1 - tie**2) * own))
    return np.asarray(np.maximum(1, np.rint(mean * length / length.mean(axis=0))), dtype=np.int64)


def dollars(models: Sequence[str], prompt: Integers, answer: Integers) -> Floats:
    """(n, m) USD per query: (prompt tokens x price in + answer tokens x price out) / 1e6 + request fee.

    Parameters
    ----------
    prompt : (n,) prompt tokens.
    answer : (n, m) answer tokens.
    """
    price_in, price_out, fee = _prices(models)
    return np.asarray((prompt[:, None] * price_in + answer * price_out) / 1e6 + fee)


def _prices(models: Sequence[str]) -> tuple[Floats, Floats, Floats]:
    """(m,) USD per million prompt tokens, per million answer tokens, per request.

    You.com's token price is not printed: its tokens are taken to be in the request fee.
    """
    listed = paper.prices().drop(columns="source").set_index("model").reindex(list(models)).fillna(0.0)
    price_in, price_out, fee = listed.to_numpy(dtype=float).T
    return price_in, price_out, fee
