"""Several routers on one test set: curves, a shared cost domain, AIQ with paired intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.frontier import Curve, hull
from rb_support.outcomes import Outcomes, TableError
from rb_support.routers import PredictiveRouter, ZeroRouter, lambda_path, mean_cost, model_points
from rb_support.stats import System, aiqs, bootstrap_aiq, interval, supports
from rb_support.studies.pilot import oracle_rows

ZERO = "Zero router"
ZERO_TRAINED = "Zero router (chosen on training rows)"
FEW = 10
"""Test rows below which a bootstrap interval is warned of."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Routing systems evaluated on the same test queries.

    Attributes
    ----------
    test : the test rows.
    systems : name -> points (k, 2) as a function of query weights; the paper's zero router first.
    """

    test: Outcomes
    systems: Mapping[str, System]

    def points(self, name: str) -> NDArray[np.float64]:
        """All points (k, 2) of one system: mean cost in USD per query, mean quality."""
        return self.systems[name](None)

    @property
    def oracle(self) -> NDArray[np.float64]:
        """Cost and quality of the oracle router on the test rows, (2,)."""
        return np.array([column.mean() for column in oracle_rows(self.test).T])

    def aiq(self) -> dict[str, float]:
        """AIQ of every system on the cost domain that all share (RouterBench sec. 3.3)."""
        return aiqs(self.systems)

    def lead_over_best_model(self, name: str, weights: NDArray[np.float64] | None = None) -> float:
        """Quality of a system at the best single model's mean cost, minus that model's quality.

        Parameters
        ----------
        weights : (n,) of the test queries, as a bootstrap draws them; all alike if None.
        """
        models = model_points(self.test)(weights)
        cost, quality = max(models.tolist(), key=lambda point: (point[1], -point[0]))
        return float(Curve(self.systems[name](weights)).at(cost)) - quality

    @property
    def oracle_lead(self) -> float:
        """Quality of the oracle minus the best that any system, and so any model, reaches."""
        return float(self.oracle[1] - max(self.points(name)[:, 1].max() for name in self.systems))

    def curves(self) -> pd.DataFrame:
        """Hull vertices of every system, the models and the oracle: router, usd_per_query, quality."""
        parts = {name: hull(self.points(name)) for name in self.systems}
        parts |= {name: point[None] for name, point in zip(self.test.models, self.test.points(), strict=True)}
        parts["Oracle"] = self.oracle[None]
        columns = ["usd_per_query", "quality"]
        return _stacked({name: pd.DataFrame(p, columns=columns) for name, p in parts.items()}, "router")

    def table(self, *, rng: np.random.Generator, draws: int = 1000) -> pd.DataFrame:
        """AIQ with 95% intervals, and how far above the zero router.

        Parameters
        ----------
        rng : of the paired bootstrap over test queries.
        draws : number of resamples.

        Returns
        -------
        A row per system: router, aiq, aiq_low, aiq_high, minus_zero, minus_zero_low, minus_zero_high.
        """
        estimates, samples = bootstrap_aiq(self.systems, len(self.test), rng=rng, draws=draws)
        rows = []
        for name, value in estimates.items():
            low, high = interval(samples[name])
            below, above = interval(samples[name] - samples[ZERO])
            rows.append((name, value, low, high, value - estimates[ZERO], below, above))
        columns = ["router", "aiq", "aiq_low", "aiq_high", "minus_zero", "minus_zero_low", "minus_zero_high"]
        return _without_rounding(pd.DataFrame(rows, columns=columns).set_index("router")).reset_index()


def _without_rounding(table: pd.DataFrame) -> pd.DataFrame:
    """Where two systems are one, summing in another order leaves -1e-16; adding 0 turns -0.0 into 0."""
    return table.round(12) + 0.0


def held_out(outcomes: Outcomes, seed: int) -> tuple[Outcomes, Outcomes]:
    """70/30 split; all rows on both sides where equal prompts leave nothing to hold out."""
    try:
        return outcomes.split(seed=seed)
    except TableError:
        return outcomes, outcomes


def cautions(parts: Mapping[str, tuple[Outcomes, Outcomes]]) -> str:
    """What keeps datasets, given by their training and test rows, from showing much, in sentences."""
    same = [name for name, (train, test) in parts.items() if train is test]
    few = [name for name, (_, test) in parts.items() if len(test) < FEW and name not in same]
    reasons = {
        "no task has two different prompts, so what is learnt there is judged on the same rows": same,
        f"fewer than {FEW} rows to judge on, so intervals are too narrow to be trusted": few,
    }
    told = [f"{', '.join(names)}: {why}." for why, names in reasons.items() if names]
    return "\n".join(told) or "Every dataset is judged on rows that nothing was learnt from."


def out_of_domain(
    outcomes: Outcomes, names: Iterable[str]
) -> tuple[dict[str, tuple[Outcomes, Outcomes]], str]:
    """Dataset -> (rows of all others to train on, its own to test on), and a sentence on those left out."""
    found, alone = {}, []
    for name in names:
        try:
            found[name] = outcomes.out_of_domain(name)
        except TableError:
            alone.append(name)
    why = "no other dataset has other prompts to train on, so out of domain it cannot be judged"
    return found, f"{', '.join(alone)}: {why}." if alone else ""


def compare(
    train: Outcomes, test: Outcomes, X: pd.DataFrame, routers: Mapping[str, PredictiveRouter]
) -> Comparison:
    """Fit routers on the training rows and follow each along its whole lambda path on the test rows.

    Parameters
    ----------
    train, test : outcome tables with the same models.
    X : embeddings indexed by sample_id, as `embed_queries` gives them.
    routers : name -> router with `fit` and `predict`.

    Returns
    -------
    Comparison with both zero routers (the paper's, which sees the test means, and one chosen on training
    rows) before the routers given. Decisions weigh quality against each model's mean training cost.
    """
    X_train, X_test = (X.loc[part.frame["sample_id"]].to_numpy() for part in (train, test))
    predicted = {name: router.fit(train, X_train).predict(X_test) for name, router in routers.items()}
    return compare_predictions(train, test, predicted)


def compare_predictions(
    train: Outcomes, test: Outcomes, predicted: Mapping[str, NDArray[np.float64]]
) -> Comparison:
    """`compare` for predictions made elsewhere: name -> (n_test, m) predicted quality."""
    systems: dict[str, System] = {ZERO: model_points(test), ZERO_TRAINED: ZeroRouter().fit(train).on(test)}
    for name, quality in predicted.items():
        systems[name] = lambda_path(quality, mean_cost(train)).on(test.quality, test.cost)
    return Comparison(test, systems)


def repeat_splits(
    outcomes: Outcomes, X: pd.DataFrame, routers: Mapping[str, PredictiveRouter], seeds: Iterable[int]
) -> pd.DataFrame:
    """AIQ above the zero router on several 70/30 splits, to tell a router's merit from a split's luck.

    Returns
    -------
    A row per seed, a column per router (both zero routers apart): AIQ minus the zero router's.
    """
    rows = {}
    for seed in seeds:
        values = compare(*held_out(outcomes, seed), X, routers).aiq()
        rows[seed] = {name: values[name] - values[ZERO] for name in routers}
    return _without_rounding(pd.DataFrame.from_dict(rows, orient="index").rename_axis("seed"))


def aiq_table(
    comparisons: Mapping[str, Comparison], *, rng: np.random.Generator, draws: int = 1000
) -> pd.DataFrame:
    """`Comparison.table` of every dataset, one below the other, with a column `dataset` first."""
    return _stacked({name: each.table(rng=rng, draws=draws) for name, each in comparisons.items()}, "dataset")


def curve_table(comparisons: Mapping[str, Comparison]) -> pd.DataFrame:
    """`Comparison.curves` of every dataset, one below the other, with a column `dataset` first."""
    return _stacked({name: each.curves() for name, each in comparisons.items()}, "dataset")


def _stacked(parts: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    return pd.concat(parts, names=[name, None]).reset_index(name).reset_index(drop=True)


def verdict(rows: pd.DataFrame, sign: int) -> tuple[str, bool | None]:
    """Whether rows of an AIQ table all lie above (1), below (-1) or about (0) the zero router.

    Parameters
    ----------
    rows : of `aiq_table`, those that a statement is about.
    sign : what it states; see `rb_support.stats.supports`.

    Returns
    -------
    The differences with intervals in words, and the verdict: False if one row excludes the statement, None
    if none does but one cannot tell, or there is no row at all.
    """
    if rows.empty:
        return "no rows of it in this data", None
    columns = ["dataset", "router", "minus_zero", "minus_zero_low", "minus_zero_high"]
    entries = list(rows[columns].itertuples(index=False, name=None))
    words = [f"{data} {router} {d:+.3f} [{low:+.3f}, {high:+.3f}]" for data, router, d, low, high in entries]
    # An interval of no width is of rows that no resampling varies: it tells nothing.
    supported = [None if low == high != 0 else supports((low, high), sign) for *_, low, high in entries]
    if None in supported and False not in supported:
        return "; ".join([*words, "too few rows to tell"]), None
    return "; ".join(words), all(supported)
