"""What routing itself takes (RouteLLM section 5.5, Table 7): requests per second, and USD per million.

These are clock times of one machine at one moment; no second run gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from rb_support import embed, paper
from rb_support.embed import BUNDLED, Encode, quiet
from rb_support.preference.training_sets import Experiment
from rb_support.stats import Array
from rb_support.studies import wording
from rb_support.studies.preference_study import SW, Router
from rb_support.studies.transfer import Routed, Tables
from rb_support.verdicts import Evidence, Fact, exact

NOTE = wording.notes("07b")["rl-tab7"]
BESIDE = wording.beside("rl-tab7")
"""What goes with Table 7's record, and with our speeds beside the paper's."""

Cost = TypeVar("Cost", float, "pd.Series[float]")

SINGLE, BATCH, ENCODER = "one at a time", "in batches", "Encoder alone"
_SECONDS, _MILLION = 3600, 1_000_000
_EMBEDDING_PRICE = 0.02


def on_this_machine(
    experiment: Experiment, routed: Routed, on: Tables, training: str, embedding: str, singles: int = 6
) -> pd.DataFrame:
    """`measure` of the routers of one training set, on the first few prompts of every benchmark.

    Parameters
    ----------
    experiment : whose training prompts "tfidf" learns its words from.
    routed : the routers.
    on : the benchmarks.
    training : name of the training set.
    embedding : as in `rb_support.embed.encoder`.
    singles : prompts of each benchmark, and how many of all are routed one at a time.
    """
    learnt = {text for battles in experiment.training.values() for text in battles.frame["prompt"]}
    encode = encoder(embedding, [text for text in routed.X.index if text in learnt])
    timed = {name: router for (taught, name), router in routed.routers.items() if taught == training}
    prompts = [text for part in on.benchmarks.values() for text in part.frame["prompt"][:singles]]
    hourly = float(paper.routellm_overhead().set_index("router")["machine_usd_per_hour"][SW])
    return measure(timed, prompts, encode, usd_per_hour=hourly, singles=min(singles, len(prompts)))


def beside_paper(measured: pd.DataFrame, generation: float, column: str) -> pd.DataFrame:
    """`measure` with the share of the answers' cost, and the paper's Table 7.

    Parameters
    ----------
    measured : as `measure` gives it.
    generation : USD that a million answers of the strong model cost.
    column : name of the column for the share.
    """
    printed = {"requests_per_second": "paper_requests_per_second", "usd_per_million_requests": "paper_usd"}
    theirs = paper.routellm_overhead().set_index("router")[[*printed]].rename(columns=printed)
    share = measured["usd_per_million_requests"] / generation
    return measured.assign(**{column: share}).join(theirs, on="router")


def recomputed(price: float, tokens: float) -> pd.DataFrame:
    """The paper's Table 7 from its own speeds, indexed by router.

    Parameters
    ----------
    price : of the strong model, USD per million tokens.
    tokens : mean number of tokens of a call.

    Returns
    -------
    Columns usd_per_million_requests (printed), from_speed (what the machine's hour makes of it), difference
    and share_of_gpt4.
    """
    theirs = paper.routellm_overhead().set_index("router")
    speeds = theirs[["requests_per_second", "machine_usd_per_hour"]].to_numpy()
    found = theirs[["usd_per_million_requests"]].assign(from_speed=[usd_per_million(*row) for row in speeds])
    printed = found["usd_per_million_requests"]
    return found.assign(
        difference=printed - found["from_speed"], share_of_gpt4=share_of_generation(printed, price, tokens)
    )


def embedding_cost() -> float:
    """USD for a million prompts of the paper's mean length, at the list price of OpenAI's embedding model.

    That is 0.02 USD per million tokens (text-embedding-3-small); the paper does not print this sum.
    """
    listed = paper.routellm_costs().set_index("quantity")["value"]
    return float(_EMBEDDING_PRICE * listed["mean prompt tokens"])


def measure(
    routers: Mapping[str, Router],
    prompts: Sequence[str],
    encode: Encode,
    *,
    usd_per_hour: float,
    singles: int = 8,
    repeats: int = 3,
) -> pd.DataFrame:
    """Requests per second of routers on this machine, from a prompt's text to its win rate.

    A router that reads vectors needs them first, so the encoder's time, taken once, is added to its own; the
    encoder stands in a row of its own too. Every way is tried once before the clock runs. In batches the
    median of the repeats counts, one at a time the median prompt.

    Parameters
    ----------
    routers : name -> trained router.
    prompts : at least as many as are routed one at a time; all of them make the batch.
    encode : texts -> vectors, without a cache; see `encoder`.
    usd_per_hour : price of the machine.
    singles : prompts that are routed one at a time, spread evenly over all.
    repeats : times that the batch is routed.

    Returns
    -------
    A row per router and way: router, way ("one at a time" or "in batches"), prompts, requests_per_second,
    usd_per_million_requests.

    Raises
    ------
    ValueError : if there are fewer prompts than `singles`, or the price is not above 0.
    """
    texts = list(prompts)
    if len(texts) < singles:
        raise ValueError(f"{singles} prompts are to be routed one at a time, but there are {len(texts)}")
    places = [row * len(texts) // singles for row in range(singles)]  # lengths as in the batch
    encoding, vectors = _timed(encode, texts, places, repeats)
    seconds, reads = {ENCODER: encoding}, {"texts": (texts, np.zeros(2)), "vectors": (vectors, encoding)}
    for name, router in routers.items():
        X, before = reads[router.reads]
        seconds[name] = before + _timed(router.win_rate, X, places, repeats)[0]
    rows = []
    for name, (single, together) in seconds.items():
        for way, count, speed in ((SINGLE, singles, 1 / single), (BATCH, len(texts), len(texts) / together)):
            rows.append((name, way, count, speed, usd_per_million(speed, usd_per_hour)))
    columns = ["router", "way", "prompts", "requests_per_second", "usd_per_million_requests"]
    return pd.DataFrame(rows, columns=columns)


def usd_per_million(requests_per_second: float, usd_per_hour: float) -> float:
    """Cost of a million requests on a machine that is busy all the time.

    Raises
    ------
    ValueError : if a value is not above 0.

    >>> round(usd_per_million(69.62, 0.8), 2)
    3.19
    """
    for name, value in (("requests_per_second", requests_per_second), ("usd_per_hour", usd_per_hour)):
        if not value > 0:
            raise ValueError(f"{name} is {value}; give a number above 0")
    return usd_per_hour / _SECONDS / requests_per_second * _MILLION


def share_of_generation(usd_per_million_requests: Cost, price: float, tokens: float) -> Cost:
    """Cost of routing over the cost of the answer (RouteLLM sec. 5.5, App. D), as a fraction.

    Parameters
    ----------
    usd_per_million_requests : cost of routing.
    price : of the answering model, USD per million tokens.
    tokens : of a prompt and its answer together.

    >>> round(share_of_generation(39.26, 24.7, 95 + 264), 4)
    0.0044
    """
    return usd_per_million_requests / (price * tokens)


def encoder(model: str = BUNDLED, fit_on: Sequence[str] = ()) -> Encode:
    """`rb_support.embed.encoder`, loaded without a bar; zeros where TF-IDF finds no words to learn from.

    Parameters and other errors are the same.
    """
    try:
        with quiet():
            return embed.encoder(model, fit_on)
    except (embed.EmbeddingError, ValueError):
        if model != embed.TFIDF:
            raise
        return lambda texts: np.zeros((len(texts), 1), dtype=np.float32)


def _timed(route: Callable[[Any], Any], X: Any, places: Sequence[int], repeats: int) -> tuple[Array, Any]:
    """Seconds of the median row alone and of all rows at once, (2,), and what comes of these."""
    route(X[:1])
    alone = [_clocked(route, X[place : place + 1])[0] for place in places]
    together = [_clocked(route, X) for _ in range(repeats)]
    return np.array([median(alone), median(seconds for seconds, _ in together)]), together[-1][1]


def _clocked(route: Callable[[Any], Any], X: Any) -> tuple[float, Any]:
    start = perf_counter()
    found = route(X)
    return perf_counter() - start, found


SMALL = 0.004
"""The paper's "no more than 0.4%" of the strong model's cost."""

_LARGE = 2.0  # "by far": so many times; of a clock's time no number is told, which would differ at every run


def evidence(table7: pd.DataFrame, column: str, strong_price: float, tokens: float) -> dict[str, Evidence]:
    """Section 5.5: what routing takes; the paper's own table, and this machine's clock.

    Parameters
    ----------
    table7 : measured, as `measure` gives it, with the share of the strong model's cost in `column`.
    column : that column's name.
    strong_price : USD per million of the strong model's tokens (App. D).
    tokens : mean number of tokens of a call.
    """
    printed = paper.routellm_overhead()["usd_per_million_requests"].max()
    dearest = share_of_generation(printed, strong_price, tokens)
    ours = float(table7[column].max())
    speed = table7[table7["way"] == BATCH].set_index("router")["requests_per_second"]
    others = speed.drop([ENCODER, SW], errors="ignore").min()
    slower = bool(SW in speed and speed[SW] < others / _LARGE)
    said = "less than half as fast as any other" if slower else "not below half of the slowest other's speed"
    return {
        "gpt4-price": exact(strong_price, "USD per million tokens"),
        "overhead-printed": exact(dearest, "share of the generation's cost"),
        "overhead-here": Fact(ours <= SMALL, f"measured {'below' if ours <= SMALL else 'above'} that"),
        "sw-slowest": Fact(slower, said),
    }
