"""Retriever x generator: every pair is a system with a cost and a quality, to be routed between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from rb_support.cache import packaged_table
from rb_support.outcomes import Origin, Outcomes
from rb_support.retrieval import BM25, documents, found, questions
from rb_support.routers import PredictiveRouter, lambda_path, mean_cost
from rb_support.simulate.costs import CHARACTERS_PER_TOKEN, dollars
from rb_support.stats import Array, Means, System
from rb_support.studies.predictive import ZERO, ZERO_TRAINED, Comparison, compare_predictions
from rb_support.verdicts import Estimate, exact


@dataclass(frozen=True)
class Generator:
    """A simulated model that answers, with or without passages. All but its name is assumed.

    Attributes
    ----------
    model : name, whose list price is taken.
    trained_to : last day of its training texts: later facts it can only guess.
    knows : probability of answering rightly from memory what lies before that day.
    reads : probability of answering rightly from the one passage that has the answer.
    clutter : what every further passage takes from that.
    misled : share of its memory lost where the passages lack the answer.
    """

    model: str
    trained_to: str
    knows: float
    reads: float
    clutter: float
    misled: float


_MADE = packaged_table("studies/two_stage.toml")
GENERATORS = tuple(Generator(**one) for one in _MADE["generators"])

PASSAGES: Mapping[str, int] = {"No search": 0, "BM25 top 1": 1, "BM25 top 5": 5}
"""The retrievers: name -> passages that are put into the prompt."""

_GUESS = 0.02
_INSTRUCTION_TOKENS, _ANSWER_TOKENS = 40, 30
_TOGETHER = 0.5
"""Share of an answer's luck that belongs to the question: models fail on the same ones."""


def pair_name(retriever: str, model: str) -> str:
    """Name of a retriever and a generator together, as a model of the outcome table."""
    return f"{retriever} + {model}"


def simulate_two_stage(
    *, time_sensitive_share: float = 0.5, seed: int = 0, generators: Sequence[Generator] = GENERATORS
) -> Outcomes:
    """Outcomes of every retriever with every generator on the collection's questions.

    Parameters
    ----------
    time_sensitive_share : as in `questions`.
    seed : of the choice of questions and of the generators' luck.
    generators : g models; the columns are retriever by retriever, in each all generators.

    Returns
    -------
    Outcomes of 3 x g models named by `pair_name`. The frame has all columns of `questions`, found_1 and
    found_5 (whether the search brought the passage), score_1 to score_3 (BM25 scores of the best three
    documents). A generator's luck on a question is the same whichever retriever served it.
    """
    asked = questions(time_sensitive_share=time_sensitive_share, seed=seed)
    texts = documents()
    read = (texts["title"] + ". " + texts["text"]).to_numpy(dtype=object)
    index, prompts = BM25(read.tolist()), asked["prompt"].tolist()
    ranked, scores = index.search(prompts, max(PASSAGES.values())), index.scores(prompts)
    wanted = texts.index.get_indexer(pd.Index(asked["document"]))
    rng, n, g = np.random.default_rng([seed, 1]), len(asked), len(generators)
    shared, own = rng.standard_normal((n, 1)), rng.standard_normal((n, g))
    luck = ndtr(np.sqrt(_TOGETHER) * shared + np.sqrt(1 - _TOGETHER) * own)  # below its chance one is right
    names, answers = [each.model for each in generators], np.full((n, g), _ANSWER_TOKENS)
    lengths, letters = np.array([len(text) for text in read]), asked["prompt"].str.len().to_numpy(dtype=float)
    quality, cost = [], []
    for k in PASSAGES.values():
        right = found(ranked[:, :k], wanted)
        quality.append(luck < _chance(asked["date"], right, k, generators))
        characters = letters + lengths[ranked[:, :k]].sum(axis=1)
        tokens = np.ceil(characters / CHARACTERS_PER_TOKEN).astype(np.int64) + _INSTRUCTION_TOKENS
        cost.append(dollars(names, tokens, answers))
    frame = asked.assign(dataset="Two-stage RAG", task="two-stage-rag")
    frame = frame.assign(**{f"found_{k}": found(ranked[:, :k], wanted) for k in PASSAGES.values() if k})
    frame = frame.assign(**{f"score_{i + 1}": best for i, best in enumerate(-np.sort(-scores).T[:3])})
    models = tuple(pair_name(retriever, each.model) for retriever in PASSAGES for each in generators)
    origin = Origin(
        "simulated", f"real search, simulated answers (own documents, seed {seed})", (), tuple(_MADE["notes"])
    )
    return Outcomes(frame, np.hstack(quality).astype(float), np.hstack(cost), models, origin)


def _chance(
    date: pd.Series[pd.Timestamp], right: NDArray[np.bool_], k: int, generators: Sequence[Generator]
) -> Array:
    """(n, g) probability of a right answer with k passages, the right one among them or not."""
    columns = []
    for each in generators:
        chance = np.where(date <= pd.Timestamp(each.trained_to), each.knows, _GUESS)
        if k:
            chance = np.where(right, each.reads - each.clutter * (k - 1), chance * (1 - each.misled))
        columns.append(chance)
    return np.column_stack(columns)


def split_by_document(outcomes: Outcomes, *, seed: int = 0) -> tuple[Outcomes, Outcomes]:
    """Train and test part that share no document, so that no fact asked in the test was asked before.

    Of the documents in the frame's column `document`, 70% are trained on.
    """
    ids = np.unique(outcomes.frame["document"].to_numpy(dtype=str))
    chosen = np.random.default_rng(seed).permutation(ids)[: round(0.7 * len(ids))]
    train = outcomes.frame["document"].isin(chosen).to_numpy(dtype=bool)
    return outcomes.take(train), outcomes.take(~train)


def with_scores(X: pd.DataFrame, outcomes: Outcomes) -> pd.DataFrame:
    """Embeddings with what the search itself tells beside them, for a router that searches first.

    A best document far ahead of the next ones is likely the right one. Searching costs nothing until a
    passage is put into a prompt, so every router may look at the scores.

    Parameters
    ----------
    X : (n, d) embeddings by sample_id, of length 1.
    outcomes : of `simulate_two_stage`.

    Returns
    -------
    (n, d + 3): X, the best score with a standard deviation of 0.2, and its lead over the second and third.
    """
    scores = outcomes.frame.set_index("sample_id")[["score_1", "score_2", "score_3"]].loc[X.index]
    best = scores["score_1"]
    leads = pd.DataFrame({-1: best, -2: best - scores["score_2"], -3: best - scores["score_3"]})
    return pd.concat([X, leads * (0.2 / best.std())], axis=1)


def in_sequence(predicted: ArrayLike, cost: ArrayLike, retrievers: int, test: Outcomes) -> System:
    """Route in two steps: first the retriever, then, given it, the generator.

    Both steps weigh quality against cost as every predictive router does (RouterBench sec. 5.1), at the
    same willingness to pay. The first knows of each retriever only the mean over its generators.

    Parameters
    ----------
    predicted : (n, r * g) predicted quality, columns retriever by retriever.
    cost : (r * g,) predicted cost in USD per query.
    retrievers : r.
    test : the n queries' true outcomes, in the same columns.

    Returns
    -------
    System with a point for every willingness to pay at which a decision changes.
    """
    table = np.asarray(predicted, dtype=float)
    quality = table.reshape(len(table), retrievers, -1)
    costs = np.asarray(cost, dtype=float).reshape(retrievers, -1)
    first = lambda_path(quality.mean(axis=2), costs.mean(axis=1))
    second = [lambda_path(quality[:, r], costs[r]) for r in range(retrievers)]
    steps = np.unique(np.concatenate([path.breakpoints for path in (first, *second)]))
    rows = np.arange(len(table))
    chosen = []
    for wtp in [0.0, *steps, np.inf]:
        retriever = first.choices(wtp)
        generator = np.stack([path.choices(wtp) for path in second])[retriever, rows]
        chosen.append(retriever * costs.shape[1] + generator)
    calls = np.column_stack(chosen)
    return Means(test.cost[rows[:, None], calls], test.quality[rows[:, None], calls])


def compare_steps(
    train: Outcomes, test: Outcomes, features: Mapping[str, pd.DataFrame], router: PredictiveRouter
) -> Comparison:
    """Route between the pairs jointly and in sequence, once for each set of features.

    Parameters
    ----------
    train, test : parts of a table of `simulate_two_stage`.
    features : what the router sees, by name: frames by sample_id.
    router : learns the quality of every pair from them.

    Returns
    -------
    Comparison with the zero routers, then "Jointly, <name>" and "In sequence, <name>" for each.
    """
    cost = mean_cost(train)
    systems = dict(compare_predictions(train, test, {}).systems)
    for name, X in features.items():
        known, asked = (X.loc[part.frame["sample_id"]].to_numpy() for part in (train, test))
        predicted = router.fit(train, known).predict(asked)
        systems[f"Jointly, {name}"] = lambda_path(predicted, cost).on(test.quality, test.cost)
        systems[f"In sequence, {name}"] = in_sequence(predicted, cost, len(PASSAGES), test)
    return Comparison(test, systems)


def leads(steps: Sequence[Comparison], *, rng: np.random.Generator) -> pd.DataFrame:
    """Honest AIQ above the zero router of what `compare_steps` compared: a row a split, a column a way."""
    areas = pd.DataFrame([step.honest_aiq(rng=rng) for step in steps]).rename_axis("split")
    return areas.sub(areas[ZERO], axis=0).drop(columns=[ZERO, ZERO_TRAINED])


def evidence(above: pd.DataFrame) -> dict[str, list[Estimate]]:
    """What `leads` says of the notebook's three statements on two stages, split by split.

    The splits share questions, so what differs between them has no interval: a statement is on every split.
    Keys: pairs (the lowest lead over zero), search-scores (what they add) and sequence (what deciding in
    sequence adds to deciding jointly).
    """
    seen = above.columns.str.endswith("scores")
    found = {
        "pairs": above.min(axis=1),
        "search-scores": above.loc[:, seen].mean(axis=1) - above.loc[:, ~seen].mean(axis=1),
        "sequence": above.filter(like="In sequence").mean(axis=1) - above.filter(like="Jointly").mean(axis=1),
    }
    return {
        key: [exact(value, f"split {split}") for split, value in each.items()] for key, each in found.items()
    }
