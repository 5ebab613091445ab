"""How sure APGR and CPT are: a paired bootstrap of several routers on one set of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid

from rb_support.pairs.metrics import closed, columns, cpt_name, first_crossings, sweep_order
from rb_support.stats import bootstrap_weights

Array = NDArray[np.float64]

_CELLS = 500_000  # numbers in one array; a handful of such arrays live at a time


def bootstrap_pairs(
    win_rates: Mapping[str, ArrayLike],
    strong: ArrayLike,
    weak: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    targets: Sequence[float] = (0.5, 0.8),
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """APGR, CPT and cost saving of several routers on their queries, and on resamples of them.

    All routers see the same resampled queries (paired), and each resample has its own weak and strong mean.
    Queries of equal win rate move together. Each router is sorted once; a resample is its counts summed
    in that order.

    Parameters
    ----------
    win_rates : router -> (n,) predicted probability that the strong model wins.
    strong, weak : (n,) score of each model on each query.
    rng : source of randomness.
    draws : resamples.
    targets : wanted PGRs of CPT, fractions above 0.

    Returns
    -------
    estimates : a row per router, with the columns apgr, then cpt50, cpt80, … and saving50, saving80, …
        (`cost_saving`) by the targets. NaN where a target is never reached or there is no gap.
    samples : router -> (draws, metrics) frame with the same columns.

    Raises
    ------
    ValueError
        If there is no router, lengths differ, a value is not finite or a target is not above 0.
    """
    if not win_rates:
        raise ValueError("there is no router; give win rates of at least one")
    if not all(target > 0 for target in targets):
        raise ValueError(f"targets are {list(targets)}; give fractions above 0")
    sweeps = {}
    for name, win_rate in win_rates.items():
        rate, high, low = columns(**{name: win_rate, "strong score": strong, "weak score": weak})
        order, ends = sweep_order(rate)
        sweeps[name] = order, ends, (high - low)[order]
    n = len(order)
    estimates = {name: _metrics(np.ones((1, n)), *sweep, targets)[0] for name, sweep in sweeps.items()}
    parts: dict[str, list[Array]] = {name: [] for name in sweeps}
    rows = max(1, _CELLS // n)
    for start in range(0, draws, rows):
        counts = bootstrap_weights(n, min(rows, draws - start), rng).astype(float)
        for name, sweep in sweeps.items():
            parts[name].append(_metrics(counts, *sweep, targets))
    names = ["apgr", *map(cpt_name, targets), *(f"saving{100 * target:g}" for target in targets)]
    return pd.DataFrame.from_dict(estimates, orient="index", columns=names), {
        name: pd.DataFrame(np.concatenate(part), columns=names) for name, part in parts.items()
    }


def _metrics(
    counts: Array, order: NDArray[np.intp], ends: NDArray[np.intp], gain: Array, targets: Sequence[float]
) -> Array:
    """(b, 1 + 2 t) metrics of b resamples, given as (b, n) counts, of a router.

    It moves queries in `order`, (n,); `ends` are those of `sweep_order`, `gain` is (n,) in that order.
    """
    ordered = counts[:, order]
    shares = _summed(ordered, ends) / len(order)
    gained = _summed(ordered * gain, ends)
    gap = gained[:, -1:]
    recovered = gained / np.where(closed(gap, gain), np.nan, gap)
    cpts = [first_crossings(shares, recovered, target) for target in targets]
    savings = [target / share for target, share in zip(targets, cpts, strict=True)]
    return np.column_stack([trapezoid(recovered, shares, axis=1), *cpts, *savings])


def _summed(ordered: Array, ends: NDArray[np.intp]) -> Array:
    """(b, k + 1) sums from the first query to each place where a threshold can stop."""
    sums = np.zeros((len(ordered), len(ends)))
    sums[:, 1:] = np.cumsum(ordered, axis=1)[:, ends[1:] - 1]
    return sums
