"""The simulated outcome tables: RouterBench with eleven models, and its RAG set with five."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support import catalog
from rb_support.outcomes import Origin, Outcomes
from rb_support.simulate import assumptions as assumed
from rb_support.simulate import costs, latent
from rb_support.simulate.assumptions import RAG_PARTS, Assumptions, Floats, assumptions, datasets
from rb_support.simulate.latent import Integers
from rb_support.simulate.prompts import write_prompts

FULL_SIZE = 36_497
"""Rows of the published 0-shot file."""

SMALLEST = 200
"""Fewest rows: below, the small datasets are a handful of queries."""

_TITLE = "RouterBench"
_DEFAULT = 6000
_FLOOR = 600
"""Rows that a dataset keeps at the default size, if it has as many."""


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One dataset's queries with prompts and scores, not yet priced."""

    part: Assumptions
    frame: pd.DataFrame
    factors: Floats
    quality: Floats
    rng: np.random.Generator


def simulate_outcomes(n: int = _DEFAULT, *, seed: int = 0) -> Outcomes:
    """RouterBench's eleven models on n simulated queries of its datasets (RAG apart).

    Parameters
    ----------
    n : number of queries, 200 to 36,497 (the published size, at which means are the published ones).
        Smaller tables keep at least 600 rows (all, if fewer) of each dataset at n = 6,000, and
        proportionally fewer below.
    seed : the same seed gives the same table, byte for byte; each dataset has its own stream.

    Returns
    -------
    Outcomes with the further columns topic, level (0 plain … 4 expert wording), prompt_tokens and, per
    model, `<model>|answer_tokens`.

    Raises
    ------
    ValueError
        If n is out of range.
    """
    if not SMALLEST <= n <= FULL_SIZE:
        raise ValueError(f"n is {n}; a simulated table has between {SMALLEST} and {FULL_SIZE} queries")
    rows = _allocate(n)
    drawn = [_draw(assumptions(name, catalog.MODELS), rows[name], seed) for name in datasets()]
    mean_prompt = {each.part.dataset: float(each.frame["prompt_tokens"].to_numpy().mean()) for each in drawn}
    means = costs.mean_answer_tokens([each.part for each in drawn], mean_prompt)
    origin = assumed.origin("outcomes", _TITLE, seed)
    return _priced(drawn, [means[each.part.dataset] for each in drawn], origin)


def told_quality(outcomes: Outcomes, *, seed: int) -> Floats:
    """What the prompts of a simulated table reveal: each model's expected score, given topic and level.

    It is what a router could know at best that had learnt the simulation by heart, in closed form.

    Parameters
    ----------
    outcomes : table of `simulate_outcomes`, with all rows of its datasets; models in any order.
    seed : that the table was made with; models' tastes for topics hang on it.

    Returns
    -------
    (n, m) expected scores in [0, 1].

    Raises
    ------
    ValueError
        If the table was not made by `simulate_outcomes` with this seed.
    """
    if outcomes.origin.name != assumed.origin("outcomes", _TITLE, seed).name:
        raise ValueError(f"{outcomes.origin.name} is no table of simulate_outcomes with seed {seed}")
    expected = np.empty(outcomes.quality.shape)
    column = [catalog.MODELS.index(model) for model in outcomes.models]
    for dataset in outcomes.datasets:
        part = assumptions(dataset, outcomes.models)
        rows = (outcomes.frame["dataset"] == dataset).to_numpy(dtype=bool)
        frame, names = outcomes.frame[rows], part.topics["topic"]
        topic = pd.Categorical(frame["topic"], names).codes.astype(np.int64)
        level = frame["level"].to_numpy(dtype=np.int64)
        taste = latent.draw_tastes(len(names), len(catalog.MODELS), assumed.streams(seed, dataset)[2])
        expected[rows] = latent.expected_scores(part, topic, level, taste[:, column])
    return expected


def simulate_rag(n: int = 1000, *, seed: int = 0, time_sensitive_share: float = 0.5) -> Outcomes:
    """RouterBench's RAG set: five models, three of them with retrieval, on n simulated questions.

    Parameters
    ----------
    n : number of questions, at least 10 (the paper has 4,000).
    seed : as in `simulate_outcomes`.
    time_sensitive_share : share of questions on news that models without retrieval cannot know, in [0, 1].

    Returns
    -------
    Outcomes of `catalog.RAG_MODELS` with the columns of `simulate_outcomes` and time_sensitive.

    Raises
    ------
    ValueError
        If n or the share is out of range.
    """
    if n < 10:
        raise ValueError(f"n is {n}; a simulated RAG table has at least 10 questions")
    if not 0 <= time_sensitive_share <= 1:
        raise ValueError(f"time_sensitive_share is {time_sensitive_share}; it is a share between 0 and 1")
    news = round(n * time_sensitive_share)
    rows = (news, (n - news) // 2, n - news - (n - news) // 2)
    drawn = [
        _draw(assumptions(name, catalog.RAG_MODELS), count, seed)
        for name, count in zip(RAG_PARTS, rows, strict=True)
        if count
    ]
    origin = assumed.origin("rag", "RAG set", seed)
    means = [each.part.answer_tokens for each in drawn]
    return _priced(drawn, means, origin, time_sensitive=np.arange(n) < news)


def _allocate(n: int) -> dict[str, int]:
    """Rows per dataset: proportional to the published ones, but small datasets keep a floor."""
    full = np.array([assumed.rows_at_full_size(name) for name in datasets()], dtype=float)
    kept = np.where(np.array(datasets()) == catalog.OTHER, 0, np.minimum(full, _FLOOR))
    floor = kept * min(1.0, n / _DEFAULT)
    share = full * n / full.sum()
    for _ in datasets():  # raising one to its floor may push another below its own
        low = share <= floor
        share = np.where(low, floor, full * (n - floor[low].sum()) / max(full[~low].sum(), 1.0))
    return dict(zip(datasets(), _whole(share, n).tolist(), strict=True))


def _whole(share: Floats, total: int) -> Integers:
    """Whole numbers nearest to the shares that sum to the total (largest remainders first)."""
    whole = np.floor(share + 1e-9).astype(np.int64)
    whole[np.argsort(whole - share, kind="stable")[: total - whole.sum()]] += 1
    return whole


def _draw(part: Assumptions, count: int, seed: int) -> _Drawn:
    """Queries of one dataset, from streams of its own."""
    rngs = assumed.streams(seed, part.dataset)
    weight = part.topics["rows"].to_numpy(dtype=float)
    queries = latent.draw_queries(part, _whole(weight * count / weight.sum(), count), rngs[0])
    factors = latent.draw_factors(part, queries, rngs[1])
    values = latent.draw_latent(part, queries, factors, rngs[2])
    quality = latent.scores(values, part.mean, part.topics["scale"].to_numpy(dtype=str)[queries.topic])
    prompts = write_prompts(part, queries, rngs[3])
    frame = part.topics[["dataset", "task", "split", "topic"]].iloc[queries.topic].reset_index(drop=True)
    frame["dataset"] = catalog.RAG if part.dataset in RAG_PARTS else part.dataset
    frame.insert(3, "prompt", prompts)
    frame = frame.assign(level=queries.level, prompt_tokens=costs.prompt_tokens(part, prompts))
    return _Drawn(part, frame, factors, quality, rngs[4])


def _priced(
    drawn: Sequence[_Drawn], means: Sequence[Floats], origin: Origin, **further: NDArray[np.bool_]
) -> Outcomes:
    """Table of all datasets' queries, their answers' lengths drawn about (m,) mean tokens per dataset."""
    models = drawn[0].part.models
    frame = pd.concat([each.frame for each in drawn], ignore_index=True)
    number = frame.groupby("task", sort=False).cumcount().astype(str)
    frame.insert(0, "sample_id", frame["task"] + "." + frame.pop("split") + "." + number)
    answers = np.concatenate(
        [
            costs.draw_answer_tokens(each.part, mean, each.factors[:, 0], each.rng)
            for each, mean in zip(drawn, means, strict=True)
        ]
    )
    tokens = pd.DataFrame(answers, columns=[f"{model}|answer_tokens" for model in models])
    cost = costs.dollars(models, frame["prompt_tokens"].to_numpy(dtype=np.int64), answers)
    quality = np.concatenate([each.quality for each in drawn])
    return Outcomes(pd.concat([frame, tokens], axis=1).assign(**further), quality, cost, models, origin)
