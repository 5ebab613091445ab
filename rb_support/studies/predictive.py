"""Several routers on one test set: curves, AIQ as printed and honest, intervals, and what luck reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.frontier import Curve, hull
from rb_support.outcomes import Outcomes, TableError
from rb_support.routers import (
    PlaceboRouter,
    PredictiveRouter,
    ZeroRouter,
    dealt_out,
    knows_nothing,
    lambda_path,
    mean_cost,
    model_points,
)
from rb_support.stats import (
    System,
    aiqs,
    bootstrap_aiq,
    bootstrap_honest_aiq,
    honest_aiqs,
    interval,
    simultaneous,
    supports,
)
from rb_support.studies.pilot import oracle_rows
from rb_support.verdicts import Estimate

ZERO = "Zero router"
ZERO_TRAINED = "Zero router (chosen on training rows)"
PLACEBO = "Placebo"
PLACEBOS = 24
"""How many times a router's predictions are dealt out anew to see what luck alone reaches."""
FORMATS = dict.fromkeys(
    ("aiq", "aiq_low", "aiq_high", "minus_zero", "minus_zero_low", "minus_zero_high", "aiq_honest")
    + ("honest_minus_zero", "honest_low", "honest_high", "placebo_high"),
    ".4f",
)
"""How the numbers of an AIQ table are shown."""
FEW = 10
"""Test rows below which a bootstrap interval is warned of."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Routing systems evaluated on the same test queries.

    Attributes
    ----------
    test : the test rows.
    systems : name -> points (k, 2) as a function of query weights; the paper's zero router first.
    placebos : name -> a system of the same spread that knows nothing of the queries, drawn anew at each call;
        for those systems that have one.
    constant : names of routers that predict the same for every query, which makes them zero routers.
    """

    test: Outcomes
    systems: Mapping[str, System]
    placebos: Mapping[str, Callable[[np.random.Generator], System]] = field(default_factory=dict)
    constant: frozenset[str] = frozenset()

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

    def honest_aiq(self, *, rng: np.random.Generator) -> dict[str, float]:
        """Cross-fitted AIQ of every system, the zero router treated alike (see `stats.honest_aiqs`)."""
        return honest_aiqs(self.systems, len(self.test), rng=rng)

    def placebo_leads(
        self, name: str, *, rng: np.random.Generator, draws: int = PLACEBOS
    ) -> NDArray[np.float64]:
        """Honest AIQ above the zero router's of what has a router's spread and no knowledge, (draws,)."""
        leads = []
        for _ in range(draws):
            pair = {ZERO: self.systems[ZERO], name: self.placebos[name](rng)}
            areas = honest_aiqs(pair, len(self.test), rng=rng, halvings=8)
            leads.append(areas[name] - areas[ZERO])
        return np.array(leads)

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
        """AIQ as the paper defines it and honest AIQ (see `honest_aiq`), and how far above the zero router.

        Parameters
        ----------
        rng : of the paired bootstraps over test queries, the halvings and the placebos.
        draws : number of resamples.

        Returns
        -------
        A row per system. aiq, aiq_low, aiq_high: the paper's, with a 95% interval of its own. minus_zero,
        minus_zero_low, minus_zero_high: that above the zero router's. aiq_honest. honest_minus_zero,
        honest_low, honest_high: the same by the honest measure. Intervals of differences hold for all rows at
        once. placebo_high: 97.5% quantile of the honest lead of placebos with the row's spread; NaN without
        one. n: test queries. finding: "leads" if the honest lead is above placebo_high and its interval
        excludes zero.
        """
        estimates, samples = bootstrap_aiq(self.systems, len(self.test), rng=rng, draws=draws)
        honest, priced = bootstrap_honest_aiq(self.systems, len(self.test), rng=rng, draws=draws)
        table = pd.DataFrame({"aiq": estimates})
        table[["aiq_low", "aiq_high"]] = [interval(samples[name]) for name in estimates]
        _add_leads(table, "minus_zero", ["minus_zero_low", "minus_zero_high"], estimates, samples)
        table["aiq_honest"] = honest
        _add_leads(table, "honest_minus_zero", ["honest_low", "honest_high"], honest, priced)
        drawn = {name: self.placebo_leads(name, rng=rng) for name in self.placebos}
        table["placebo_high"] = {name: np.quantile(leads, 0.975) for name, leads in drawn.items()}
        table = _without_rounding(table).assign(n=len(self.test))
        table["finding"] = [self._finding(str(name), row) for name, row in table.iterrows()]
        return table.rename_axis("router").reset_index()

    def _finding(self, name: str, row: pd.Series[float]) -> str:
        """What a row of the table says of its router."""
        if name == ZERO:
            return "reference"
        if name in self.constant:
            return "a zero router: predicts the same for every query"
        if row["honest_high"] < 0:
            return "behind zero"
        known = (
            not row["honest_minus_zero"] <= row["placebo_high"]
        )  # NaN: there is nothing to hold it against
        return "leads" if row["honest_low"] > 0 and known else "no lead shown"


def _add_leads(
    table: pd.DataFrame, name: str, ends: list[str], estimates: Mapping[str, float], samples: pd.DataFrame
) -> None:
    """Add each system's distance to the zero router, and its simultaneous interval, to a table."""
    table[name] = pd.Series(estimates) - estimates[ZERO]
    table[ends] = simultaneous(table[name], samples.sub(samples[ZERO], axis=0))


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
    rows) before the routers given, and a placebo after them. Decisions weigh quality against each model's
    mean training cost.
    """
    X_train, X_test = (X.loc[part.frame["sample_id"]].to_numpy() for part in (train, test))
    all_of_them = {**routers, PLACEBO: PlaceboRouter()}
    predicted = {name: router.fit(train, X_train).predict(X_test) for name, router in all_of_them.items()}
    return compare_predictions(train, test, predicted)


def compare_shuffled(
    train: Outcomes,
    test: Outcomes,
    X: pd.DataFrame,
    routers: Mapping[str, PredictiveRouter],
    *,
    rng: np.random.Generator,
) -> Comparison:
    """`compare` of the same routers with the training queries' embeddings permuted: nothing is to be learnt.

    A lead that is left then is one of the method, not of the queries.
    """
    ids = train.frame["sample_id"]
    permuted = pd.DataFrame(X.loc[rng.permutation(ids)].to_numpy(), index=ids, columns=X.columns)
    kept = X.loc[test.frame["sample_id"]]
    if train is test:  # nothing is held out
        kept = kept.iloc[:0]
    return compare(train, test, pd.concat([permuted, kept]), routers)


def compare_predictions(
    train: Outcomes, test: Outcomes, predicted: Mapping[str, NDArray[np.float64]]
) -> Comparison:
    """`compare` for predictions made elsewhere: name -> (n_test, m) predicted quality.

    Each system's placebo has its own predictions, dealt out to the test queries at random.
    """
    cost = mean_cost(train)

    def follow(quality: NDArray[np.float64]) -> System:
        return lambda_path(quality, cost).on(test.quality, test.cost)

    systems: dict[str, System] = {ZERO: model_points(test), ZERO_TRAINED: ZeroRouter().fit(train).on(test)}
    systems |= {name: follow(quality) for name, quality in predicted.items()}
    constant = frozenset(name for name, quality in predicted.items() if knows_nothing(quality))
    placebos = {
        name: lambda rng, quality=quality: follow(dealt_out(quality, rng))
        for name, quality in predicted.items()
        if name not in constant
    }
    return Comparison(test, systems, placebos, constant)


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


def estimates(rows: pd.DataFrame) -> list[Estimate]:
    """Honest leads over the zero router as evidence for a statement, one for each row of an AIQ table.

    Parameters
    ----------
    rows : of `aiq_table` or `Comparison.table`, those that a statement is about.

    Returns
    -------
    Estimates with the table's simultaneous intervals, its test queries, and as floor what a placebo reaches.
    """
    found = []
    for row in rows.to_dict("records"):
        floor = -np.inf if np.isnan(row["placebo_high"]) else row["placebo_high"]
        name = f"{row.get('dataset', '')} {row['router']}".strip()
        lead, low, high = (row[column] for column in ("honest_minus_zero", "honest_low", "honest_high"))
        found.append(Estimate(lead, low, high, name, row["n"], floor))
    return found


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
