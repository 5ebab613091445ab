"""One fit of one router on one split of one table, measured: a row of a sweep and of the leaderboard.

Every number is a function of what is asked (`Asked`), of the table and of the code, so that rows made on any
machine, in any order, are the same. Rows of one table share their resamples: draw b counts the same queries
for every router and every split, so that leads, ranks and means over splits have joint distributions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.frontier import Part
from rb_support.outcomes import Outcomes
from rb_support.outcomes.splits import held_out, same_text
from rb_support.routers import (
    PredictiveRouter,
    ZeroRouter,
    decide,
    knows_nothing,
    lambda_path,
    model_points,
    predicted_cost,
)
from rb_support.stats import System, Turns, aiqs, bootstrap_weights, halves, honest_draws, joined
from rb_support.studies.best_model import BEST, best_model, cheapest_reaching

Array = NDArray[np.float64]
Labels = Literal["true", "shuffled"]
Made = Callable[[int], PredictiveRouter]
"""From a seed to a router that is not fitted yet."""

DRAWS = 400
"""Resamples of the queries, the same ones for every fit on a table."""
PLACEBOS = 8
"""How many times a fit's predictions are dealt out anew."""
BLOCKS = 128
"""More prompts than these are resampled in so many random blocks."""
HALVINGS = 8
REACHED = {"95": 0.95, "100": 1.0}
"""Shares of the best model's quality, of which the cost is told."""
MODELS, TRAINED, ROUTER = "models", "models chosen on training rows", "router"


@dataclass(frozen=True)
class Asked:
    """What a fit is asked for: plain values, which are the first columns of its row.

    Attributes
    ----------
    table : name of a table.
    router : name of a router, with its settings if they are not its own, such as "knn(k=10)".
    seed : of the split, of the router, and of shuffling.
    embedding : text encoder of the prompts.
    labels : "shuffled" deals the training vectors out to the training rows at random: a control.
    share : of the training rows that are learnt from.
    """

    table: str
    router: str
    seed: int
    embedding: str = "minilm"
    labels: Labels = "true"
    share: float = 1.0


class Material(NamedTuple):
    """A table with the vectors of its prompts: what all fits on it share.

    Attributes
    ----------
    table : outcomes, n queries of m models.
    vectors : (n, d) embeddings, in the order of the rows.
    sha256 : digest of prompts, scores, costs and vectors.
    """

    table: Outcomes
    vectors: Array
    sha256: str


def material(table: Outcomes, vectors: Array) -> Material:
    """A table with its vectors, and the digest of both."""
    frame = table.frame[["sample_id", "dataset", "task", "prompt"]]
    told = json.dumps([table.models, frame.to_numpy().tolist()]).encode("utf-8", "surrogatepass")
    exact = np.asarray(vectors, dtype=np.float64)
    digest = hashlib.sha256(told)
    for part in (table.quality, table.cost, exact):
        digest.update(np.ascontiguousarray(part).data)  # read where it lies
    return Material(table, exact, digest.hexdigest())


def measure(asked: Asked, given: Material, made: Made) -> dict[str, Any]:
    """Fit a router on one split and measure it on the rows left out.

    Parameters
    ----------
    asked : what.
    given : its table and vectors.
    made : makes its router.

    Returns
    -------
    One row's numbers. n_train, n_test. constant: whether the predictions know nothing. aiq, aiq_zero:
    RouterBench's, on the cost domain that the models span. aiq_honest, zero_honest, lead: cross-fitted, the
    better zero router's, and the difference. placebo: the mean lead of the same predictions dealt out at
    random, placebo_high their largest. quality, best_quality, oracle_quality: of the model predicted best, of
    the best single model of the training rows, and of the best answer. cost_95, cost_100: share of the best
    model's cost at which the router, or that model, reaches 95% and all of its quality, and kept_95,
    kept_100, the share of quality that comes out: chosen on one half and paid on the other, NaN where that
    model is free or always wrong. lead_draws, gain_draws, gap_draws, (DRAWS,): on resamples, lead,
    quality - best_quality, and oracle_quality - best_quality.
    """
    train, test, known, wanted, block = split(asked, given)
    router = made(asked.seed).fit(train, known)
    predicted, cost = router.predict(wanted), predicted_cost(router, train, wanted)
    parts, drawn = resamples(asked, block)
    rng = np.random.default_rng([asked.seed, 1])
    systems: dict[str, System] = {MODELS: model_points(test), TRAINED: ZeroRouter().fit(train).on(test)}

    def follow(order: NDArray[np.intp]) -> System:
        spent = cost if cost.ndim == 1 else cost[order]
        return lambda_path(predicted[order], spent).on(test.quality, test.cost)

    rows = np.arange(len(test))
    systems[ROUTER] = follow(rows)
    dealt = {f"placebo {i}": follow(rng.permutation(rows)) for i in range(PLACEBOS)}
    areas = honest_draws(systems, parts, drawn, [MODELS])
    zero = int(areas[0, :2].argmax())
    lead = areas[:, 2] - areas[:, zero]
    luck = honest_draws({MODELS: systems[MODELS]} | dealt, parts, drawn[:1], [MODELS])[0, 1:] - areas[0, zero]
    printed = aiqs({name: systems[name] for name in (MODELS, ROUTER)})
    qualities = np.column_stack(
        [
            test.quality[rows, decide(predicted, cost, np.inf)],
            test.quality[:, best_model(train.points())],
            test.quality.max(axis=1),
        ]
    )
    totals = np.stack([np.bincount(parts.block, each, len(parts.sizes)) for each in qualities.T], axis=1)
    means = drawn @ totals / (drawn @ parts.sizes)[:, None]
    return dict(
        n_train=len(train),
        n_test=len(test),
        constant=knows_nothing(predicted, cost),
        aiq=printed[ROUTER],
        aiq_zero=printed[MODELS],
        aiq_honest=areas[0, 2],
        zero_honest=areas[0, zero],
        lead=lead[0],
        placebo=luck.mean(),
        placebo_high=luck.max(),
        quality=means[0, 0],
        best_quality=means[0, 1],
        oracle_quality=means[0, 2],
        **_reached(systems[ROUTER], systems[MODELS], parts),
        lead_draws=lead[1:],
        gain_draws=means[1:, 0] - means[1:, 1],
        gap_draws=means[1:, 2] - means[1:, 1],
    )


def _reached(router: System, models: System, parts: Turns) -> dict[str, float]:
    """Shares of the best model's cost and quality, where one half chooses and the other half pays."""
    both, paid = joined([router, models]), np.zeros((len(REACHED) + 1, 2))
    for chooses, pays in zip(parts.chooses[:, parts.block], parts.pays[:, parts.block], strict=True):
        points, known, price = both(chooses), models(chooses), both(pays)
        best = len(points) - len(known) + best_model(known)
        mixtures = [cheapest_reaching(points, known, share) for share in REACHED.values()]
        for row, mixture in enumerate([*mixtures, [Part(best, BEST, 1.0)]]):
            paid[row] += pays.sum() * sum(part.probability * price[part.row] for part in mixture)
    shares = paid[:-1] / np.where(paid[-1] > 0, paid[-1], np.nan)
    words = [f"{word}_{name}" for name in REACHED for word in ("cost", "kept")]
    return dict(zip(words, shares.ravel().tolist(), strict=True))


def split(asked: Asked, given: Material) -> tuple[Outcomes, Outcomes, Array, Array, NDArray[np.intp]]:
    """Training and test rows (see `held_out`), their vectors, and the block of every test row."""
    ids = given.table.frame["sample_id"]
    train, test = held_out(given.table, asked.seed)
    place = pd.Series(np.arange(len(ids)), index=ids)
    rng = np.random.default_rng([asked.seed, 0])
    known, wanted = (place[part.frame["sample_id"]].to_numpy() for part in (train, test))
    if asked.share < 1:
        kept = np.sort(rng.permutation(len(known))[: max(1, round(asked.share * len(known)))])
        train, known = train.take(kept), known[kept]
    vectors = given.vectors[known]
    if asked.labels == "shuffled":
        vectors = rng.permutation(vectors, axis=0)
    return train, test, vectors, given.vectors[wanted], blocks(given.table)[wanted]


def blocks(table: Outcomes) -> NDArray[np.intp]:
    """Block of every row, (n,), equal prompts in one, the same for all fits on a table."""
    code = pd.factorize(same_text(table.frame["prompt"]), sort=True)[0]
    order = np.random.default_rng(0).permutation(code.max() + 1)
    return np.asarray(order[code] % min(BLOCKS, len(order)))


def resamples(asked: Asked, block: NDArray[np.intp]) -> tuple[Turns, Array]:
    """Who chooses and who pays, and (1 + DRAWS, blocks) counts of the blocks, the first of them ones."""
    present, inside = np.unique(block, return_inverse=True)
    drawn = _drawn(int(block.max()) + 1)[:, present]
    drawn[drawn.sum(axis=1) == 0] = 1  # of a handful of prompts, a resample may miss those left out
    parts = Turns(inside, *halves(len(present), np.random.default_rng([asked.seed, 2]), HALVINGS))
    return parts, np.vstack([np.ones(len(present)), drawn])


@lru_cache
def _drawn(count: int) -> NDArray[np.int64]:
    """Counts of so many blocks in every resample, (DRAWS, count)."""
    return bootstrap_weights(count, DRAWS, np.random.default_rng(0))


def key_of(asked: Asked, sha256: str, code: str) -> str:
    """Name of a fit's row: a digest of what is asked, of the table and its vectors, and of the code."""
    return hashlib.sha256(json.dumps([asdict(asked), sha256, code]).encode()).hexdigest()[:24]
