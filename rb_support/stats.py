"""Routing systems on weighted queries, and how sure a number of theirs is: paired bootstrap over queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support.frontier import Part, chosen_together, exceeds, priced

Array = NDArray[np.float64]
Rows = NDArray[np.bool_]
System = Callable[[ArrayLike | None], Array]
"""A routing system on a fixed set of queries: query weights (None: equal) -> (k, 2) points.

A row is a policy, the same one under all weights, and its point the weighted mean over the queries.
"""

HALVINGS = 16
"""How often the queries are halved at random for the honest AIQ, so that little of a split's luck is left."""

BLOCKS = 128
"""More queries than these are halved and resampled in so many random blocks of equal size."""

TOGETHER = 1 << 15
"""Weights of queries that systems are asked with at once, so that memory does not grow with the resamples."""

SAME_PRICE = 1e-9
"""Prices closer than this share of their size are one: they differ by rounding only."""


@dataclass(frozen=True, eq=False)
class Means:
    """System whose k points are weighted means over queries of (n, k) costs (USD) and qualities."""

    cost: Array
    quality: Array

    def __call__(self, weights: ArrayLike | None = None) -> Array:
        """Mean costs and qualities, (k, 2)."""
        counts = np.ones(len(self.cost)) if weights is None else np.asarray(weights)
        share = counts / np.sum(counts)
        return np.column_stack([share @ self.cost, share @ self.quality])

    def on_each(self, weights: NDArray[Any]) -> Array:
        """The points under each of several weights (w, n), (w, k, 2)."""
        share = weights / weights.sum(axis=1, keepdims=True)
        return np.stack([share @ self.cost, share @ self.quality], axis=-1)

    def on_blocks(self, block: NDArray[np.intp], rows: NDArray[np.intp]) -> Array:
        """Some of the points on each block of queries, (blocks, rows, 2); see `Steps.on_blocks`."""
        member = np.arange(block.max() + 1)[:, None] == block
        return Means(self.cost[:, rows], self.quality[:, rows]).on_each(member)


@dataclass(frozen=True, eq=False)
class Steps:
    """System whose policies lie on one path: query after query changes its model, and all else stays.

    Attributes
    ----------
    base : (n, 2) cost (USD) and quality of every query before the first change.
    query : (e,) which query changes, by rising price.
    change : (e, 2) what that adds to its cost and quality.
    price : (e,) willingness to pay from which on it does; changes of one price come together (`SAME_PRICE`).
    """

    base: Array
    query: NDArray[np.intp]
    change: Array
    price: Array

    @cached_property
    def first(self) -> NDArray[np.intp]:
        """First change of each of k distinct prices, (k,)."""
        return np.flatnonzero(np.diff(self.price, prepend=-np.inf) > SAME_PRICE * self.price)

    def __call__(self, weights: ArrayLike | None = None) -> Array:
        """Mean costs and qualities, (k + 1, 2): before the first of the distinct prices and after each."""
        each = np.ones(len(self.base)) if weights is None else np.asarray(weights, dtype=float)
        return self.on_each(each[None])[0]

    def on_each(self, weights: NDArray[Any]) -> Array:
        """The points under each of several weights (w, n), (w, k + 1, 2)."""
        total = weights.sum(axis=1, keepdims=True)
        moved, start = weights[:, self.query], weights @ self.base / total
        # Each side by itself, so that sums run along memory.
        points = np.empty((2, len(weights), len(self.first) + 1))
        for side, each in enumerate(points):
            each[:, 0] = start[:, side]
            if len(self.first):
                steps = np.cumsum(moved * self.change[:, side], axis=1)
                last = np.append(self.first[1:], len(self.query)) - 1
                each[:, 1:] = start[:, [side]] + steps[:, last] / total
        # Summed zero-cost moves may leave -1e-19 where nothing is spent.
        return np.moveaxis(np.maximum(points, 0.0, out=points), 0, -1)

    def on_blocks(self, block: NDArray[np.intp], rows: NDArray[np.intp]) -> Array:
        """Some of the points on each block of queries, (blocks, rows, 2), in one pass over the changes.

        Parameters
        ----------
        block : (n,) block of each query; none is empty.
        rows : of the points, rising.
        """
        sizes, ends = np.bincount(block), np.append(self.first, len(self.query))[rows]
        piece = np.repeat(np.arange(len(rows) + 1), np.diff(ends, prepend=0, append=len(self.query)))
        cell, shape = block[self.query] * (len(rows) + 1) + piece, (len(sizes), len(rows) + 1)
        points = np.empty((len(sizes), len(rows), 2))
        for side in (0, 1):
            steps = np.bincount(cell, self.change[:, side], shape[0] * shape[1]).reshape(shape)[:, :-1]
            start = np.bincount(block, self.base[:, side])
            points[..., side] = (start[:, None] + np.cumsum(steps, axis=1)) / sizes[:, None]
        return np.maximum(points, 0.0)


def joined(systems: Iterable[System]) -> System:
    """One system that has the points of several: what a deployer with all of them to choose from can do."""
    parts = list(systems)
    means = [part for part in parts if isinstance(part, Means)]
    if len(means) == len(parts):
        return Means(*(np.hstack([getattr(part, side) for part in means]) for side in ("cost", "quality")))
    return lambda weights: np.vstack([part(weights) for part in parts])


def on_each(system: System, weights: NDArray[Any]) -> Array:
    """A system's points under each of several query weights (w, n), (w, k, 2)."""
    if isinstance(system, Means | Steps):
        return system.on_each(weights)
    return np.stack([system(each) for each in weights])


def aiqs(systems: Mapping[str, System], weights: ArrayLike | None = None) -> dict[str, float]:
    """AIQ of several systems on the cost domain that they share (RouterBench sec. 3.3).

    Each system is evaluated once: its points serve the domain and its area.

    Parameters
    ----------
    systems : name -> points (k, 2) as a function of query weights.
    weights : (n,) weight of each query; equal if None.
    """
    (areas,) = _areas({name: system(weights)[None] for name, system in systems.items()})
    return dict(zip(systems, areas.tolist(), strict=True))


def _areas(points: Mapping[str, Array]) -> Array:
    """AIQ (w, systems) of points (w, k, 2), on each domain that the systems share."""
    costs = [each[..., 0] for each in points.values()]
    low = np.min([each.min(axis=1) for each in costs], axis=0)
    high = np.max([each.max(axis=1) for each in costs], axis=0)
    mixed = [_taken(each, chosen_together(each, low)) for each in points.values()]
    return np.stack([priced(each, low, high) for each in mixed], axis=-1)


def _taken(points: Array, rows: NDArray[np.intp]) -> Array:
    """Rows (w, r) of points (w, k, 2), (w, r, 2)."""
    return np.take_along_axis(points, rows[..., None], axis=1)


def bootstrap_weights(n: int, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How often each query is drawn: (draws, n) counts, every row adding up to n."""
    return rng.multinomial(n, np.full(n, 1 / n), size=draws)


def streamed_weights(n: int, draws: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """The rows of `bootstrap_weights`, some (w, n) counts after the other, of which memory holds one lot."""
    most = max(1, TOGETHER // n)
    return (bootstrap_weights(n, min(most, draws - done), rng) for done in range(0, draws, most))


def bootstrap_aiq(
    systems: Mapping[str, System], n: int, *, rng: np.random.Generator, draws: int = 1000
) -> tuple[dict[str, float], pd.DataFrame]:
    """AIQ of several systems on one set of queries, and on its resamples.

    All systems see the same resampled queries (paired), and each resample has the cost domain that the
    systems share on it, as the paper's definition asks (RouterBench sec. 3.3).

    Parameters
    ----------
    systems : name -> points as a function of query weights.
    n : number of queries.
    rng : source of randomness.
    draws : resamples.

    Returns
    -------
    estimates : name -> AIQ on the queries as they are.
    samples : (draws, systems) AIQ on each resample, a column per system.
    """
    samples = [
        _areas({name: on_each(system, weights) for name, system in systems.items()})
        for weights in streamed_weights(n, draws, rng)
    ]
    return aiqs(systems), pd.DataFrame(np.concatenate(samples), columns=list(systems))


def honest_aiqs(
    systems: Mapping[str, System], n: int, *, rng: np.random.Generator, halvings: int = HALVINGS
) -> dict[str, float]:
    """Cross-fitted AIQ of several systems: policies chosen on half of the queries, priced on the other half.

    Halves swap, and several random halvings are averaged. See `rb_support.frontier.honest_aiq` for one of
    them. The cost domain that the systems share is spanned, on each part, by what is cheapest and dearest on
    all queries and by what is chosen.

    Parameters
    ----------
    systems : name -> points as a function of query weights.
    n : number of queries. One alone chooses and pays.
    rng : of the halvings.
    halvings : how many; fewer leave more of a split's luck in.
    """
    parts = turns(n, rng, halvings)
    (areas,) = honest_draws(systems, parts, np.ones((1, len(parts.sizes))))
    return dict(zip(systems, areas.tolist(), strict=True))


def bootstrap_honest_aiq(
    systems: Mapping[str, System], n: int, *, rng: np.random.Generator, draws: int = 1000
) -> tuple[dict[str, float], pd.DataFrame]:
    """Honest AIQ (see `honest_aiqs`) of several systems, and on resamples of the queries that pay.

    A resample draws queries and keeps the halvings and what was chosen, so that a query never stands on both
    sides, however often it is drawn: the interval is one of the price of policies that are given. All systems
    see the same halvings and resamples. Parameters and returns are those of `bootstrap_aiq`.
    """
    parts = turns(n, rng)
    drawn = bootstrap_weights(len(parts.sizes), draws, rng)
    whole, *samples = honest_draws(systems, parts, np.vstack([np.ones(len(parts.sizes)), drawn]))
    return dict(zip(systems, whole.tolist(), strict=True)), pd.DataFrame(samples, columns=list(systems))


def honest_draws(
    systems: Mapping[str, System], parts: Turns, drawn: Array, spanned_by: Iterable[str] | None = None
) -> Array:
    """Honest AIQ (see `honest_aiqs`) of several systems on given resamples of blocks of queries.

    Parameters
    ----------
    systems : name -> points as a function of query weights.
    parts : which blocks choose and which pay, turn by turn.
    drawn : (draws, blocks) how often each block counts.
    spanned_by : names of the systems that span the cost domain, all if None. With the same ones, such as the
        models, areas can be compared whatever else is among the systems.

    Returns
    -------
    (draws, systems) areas, in units of quality.
    """
    spanning = list(systems if spanned_by is None else spanned_by)
    weights = drawn * parts.sizes * parts.pays[:, None]  # (turns, draws, blocks)
    paid = weights.sum(axis=2)
    shares, points = weights / np.maximum(paid, 1)[..., None], {}
    for name, rows in _hulls(systems, parts, spanning).items():
        used, column = np.unique(rows, return_inverse=True)
        mixed = parts.totals(systems[name], used)[:, column.reshape(rows.shape)].swapaxes(0, 1)
        summed = shares @ mixed.reshape(*mixed.shape[:2], -1)
        points[name] = summed.reshape(*paid.shape, -1, 2)
    costs = np.concatenate([points[name][..., 0] for name in spanning], axis=-1)
    low, high = costs.min(axis=-1), costs.max(axis=-1)
    areas = np.stack([priced(each[..., :-2, :], low, high) for each in points.values()])
    return np.asarray((areas * paid).sum(axis=1) / paid.sum(axis=0)).T


def blocks(n: int, rng: np.random.Generator, most: int = BLOCKS) -> NDArray[np.int64]:
    """Random block of each of n queries, (n,): its own, or of more than `most` one of so many."""
    return rng.permutation(n) % min(n, most)


def halves(count: int, rng: np.random.Generator, halvings: int = HALVINGS) -> tuple[Rows, Rows]:
    """Random halves of the queries, of which one chooses and the other pays; then they swap.

    Parameters
    ----------
    count : queries, or `blocks` of them. One alone chooses and pays.
    rng : of the halvings.
    halvings : how many.

    Returns
    -------
    chooses, pays : (2 halvings, count) masks, a row for each turn. An odd one chooses in the first turns.

    >>> chooses, pays = halves(5, np.random.default_rng(0), halvings=3)
    >>> chooses.sum(axis=1).tolist(), bool((chooses == ~pays).all())
    ([3, 3, 3, 2, 2, 2], True)
    """
    if count == 1:
        return np.ones((1, 1), dtype=bool), np.ones((1, 1), dtype=bool)
    half = np.array([rng.permutation(count) < count // 2 for _ in range(halvings)])
    return np.concatenate([~half, half]), np.concatenate([half, ~half])


class Turns(NamedTuple):
    """Which queries choose and which pay, turn by turn.

    Attributes
    ----------
    block : (n,) block of each query.
    chooses, pays : (turns, blocks) masks.
    """

    block: NDArray[np.int64]
    chooses: Rows
    pays: Rows

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Queries of each block, (blocks,)."""
        return np.bincount(self.block)

    def paid(self, prices: Array) -> Array:
        """Mean of (turns, blocks, ...) over the turns in which a block pays, (blocks, ...).

        Weighted by the blocks' sizes, or by those of a resample of blocks, it gives means over the queries.
        """
        total = np.einsum("tb,tb...->b...", self.pays, prices)
        return np.asarray((total.T / self.pays.sum(axis=0)).T)

    def choosing(self) -> Iterator[Array]:
        """Weights of the queries that choose, (w, n): so many turns at once as memory should hold."""
        most = max(1, TOGETHER // len(self.block))
        lots = (self.chooses[first : first + most] for first in range(0, len(self.chooses), most))
        return (lot[:, self.block].astype(float) for lot in lots)

    def totals(self, system: System, rows: NDArray[np.intp]) -> Array:
        """Some of a system's points on each block, (blocks, rows, 2); rows rise."""
        if isinstance(system, Means | Steps):
            return system.on_blocks(self.block, rows)
        return np.stack([system(self.block == part)[rows] for part in range(self.pays.shape[1])])


def turns(n: int, rng: np.random.Generator, halvings: int = HALVINGS, most: int = BLOCKS) -> Turns:
    """Turns of n queries in at most so many blocks, halved at random (see `blocks`, `halves`)."""
    block = blocks(n, rng, most)
    return Turns(block, *halves(int(block.max()) + 1, rng, halvings))


def cross_fitted(
    systems: Mapping[str, System],
    choose: Callable[[Mapping[str, Array]], Mapping[str, Sequence[Part]]],
    parts: Turns,
) -> Array:
    """Cost and quality of what one half of the queries chooses, as the other half pays for it.

    Parameters
    ----------
    systems : name -> points as a function of query weights.
    choose : from every system's points (k, 2) on the choosing half to the mixture of its policies to use.
    parts : who chooses and who pays.

    Returns
    -------
    (turns, blocks, systems, 2) mean USD per query and quality of what is chosen in each turn on each block.
    Only the blocks that pay in that turn tell it honestly: see `Turns.paid`.
    """
    mixtures = []
    for halves_of in parts.choosing():
        points = {name: on_each(system, halves_of) for name, system in systems.items()}
        mixtures += [
            choose({name: each[turn] for name, each in points.items()}) for turn in range(len(halves_of))
        ]
    paid = []
    for name, system in systems.items():
        used = np.unique([part.row for mixture in mixtures for part in mixture[name]])
        shares = np.zeros((len(mixtures), len(used)))
        for turn, mixture in enumerate(mixtures):
            for part in mixture[name]:
                shares[turn, np.searchsorted(used, part.row)] += part.probability
        paid.append(np.einsum("tr,brs->tbs", shares, parts.totals(system, used)))
    return np.stack(paid, axis=2)


def _hulls(
    systems: Mapping[str, System], parts: Turns, spanning: Iterable[str]
) -> dict[str, NDArray[np.intp]]:
    """What rows (turns, r) of each system the choosing blocks mix, on the domain that some span.

    They end with the two that are cheapest and dearest on all queries.
    """
    found: dict[str, list[NDArray[np.intp]]] = {name: [] for name in systems}
    for weights in parts.choosing():
        points = {name: on_each(system, weights) for name, system in systems.items()}
        low = np.min([points[name][..., 0].min(axis=1) for name in spanning], axis=0)
        for name, each in points.items():
            found[name].append(chosen_together(each, low))
    rows = {}
    for name, system in systems.items():
        most, cost = max(each.shape[1] for each in found[name]), system(None)[:, 0]
        even = [np.pad(each, ((0, 0), (0, most - each.shape[1])), mode="edge") for each in found[name]]
        ends = np.tile([cost.argmin(), cost.argmax()], (len(parts.chooses), 1))
        rows[name] = np.hstack([np.concatenate(even), ends])
    return rows


def in_standard_errors(runs: Array, exact: ArrayLike) -> Array:
    """How far the mean of (r, k) runs lies from an exact value (k,), in its standard errors.

    0 where both agree to rounding, also if the runs do not vary; infinite if they do not vary and disagree.
    """
    off, spread = runs.mean(axis=0) - exact, runs.std(axis=0)
    told = exceeds(np.abs(off), 0, exact) | exceeds(spread, 0, exact)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(told, off / (spread / np.sqrt(len(runs))), 0.0)


def interval(samples: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap samples, (low, high)."""
    low, high = np.quantile(np.asarray(samples, dtype=float), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def simultaneous(estimates: ArrayLike, samples: ArrayLike, level: float = 0.95) -> Array:
    """Intervals that all hold at once, as whoever looks at several routers needs: max-t of a bootstrap.

    Every column is measured in its own bootstrap standard deviations; the largest of them, draw by draw, has
    the quantile that all intervals share.

    Parameters
    ----------
    estimates : (k,) numbers on the queries as they are.
    samples : (draws, k) the same on resamples, all columns of a row from the same resample.
    level : probability that all intervals cover.

    Returns
    -------
    (k, 2) low and high. A column that no resampling varies has no width; one with a NaN is NaN and counts
    for nothing in the others.
    """
    values, drawn = np.asarray(estimates, dtype=float), np.asarray(samples, dtype=float)
    spread = drawn.std(axis=0)
    varies = exceeds(spread, 0, np.maximum(np.abs(values), 1e-3))  # NaN does not
    off = np.abs(drawn[:, varies] - values[varies]) / spread[varies]
    widest = np.quantile(off.max(axis=1), level) if varies.any() else 0.0
    half = np.where(np.isnan(spread), np.nan, np.where(varies, widest * spread, 0.0))
    return np.column_stack([values - half, values + half])
