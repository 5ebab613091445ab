"""Several routers on one test set: curves, AIQ as printed and honest, intervals, and what luck reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support import stats
from rb_support.catalog import GSM8K, HELLASWAG, MMLU
from rb_support.frontier import Curve, hull, shared_domain
from rb_support.outcomes import Outcomes, TableError
from rb_support.outcomes.splits import held_out, same_text
from rb_support.routers import (
    KNNRouter,
    PlaceboRouter,
    PredictiveRouter,
    ZeroRouter,
    dealt_out,
    knows_nothing,
    lambda_path,
    mean_cost,
    model_points,
    predicted_cost,
)
from rb_support.sources import load_routerbench
from rb_support.stats import Array, System
from rb_support.studies.pilot import oracle_rows
from rb_support.verdicts import Estimate

Parts = Mapping[str, tuple[Outcomes, Outcomes]]
"""Dataset -> training and test rows."""
Routers = Mapping[str, PredictiveRouter]

ZERO = "Zero router"
ZERO_TRAINED = "Zero router (chosen on training rows)"
PLACEBO = "Placebo"
CONSTANT = "a zero router"
"""What a router is whose predictions do not vary with the query."""
PLACEBOS = 24
"""How many times a router's predictions are dealt out anew to see what luck alone reaches."""
COLUMNS = ["dataset", "router", "aiq", "aiq_low", "aiq_high", "minus_zero", "minus_zero_low"]
COLUMNS += ["minus_zero_high", "aiq_honest", "honest_minus_zero", "honest_low", "honest_high"]
COLUMNS += ["placebo_high", "n", "finding"]
"""Columns of an AIQ table, as `Comparison.table` says."""
FORMATS = dict.fromkeys(COLUMNS[2:-2], ".4f")
"""How the numbers of an AIQ table are shown."""
SMALL = {MMLU: 138, HELLASWAG: 90, GSM8K: 78}
"""Rows of the public 0-shot sample of the datasets of which no other public rows are at hand."""
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

    def points(self, name: str) -> Array:
        """All points (k, 2) of one system: mean cost in USD per query, mean quality."""
        return self.systems[name](None)

    @property
    def oracle(self) -> Array:
        """Cost and quality of the oracle router on the test rows, (2,)."""
        return np.array([column.mean() for column in oracle_rows(self.test).T])

    def aiq(self) -> dict[str, float]:
        """AIQ of every system on the cost domain that all share (RouterBench sec. 3.3)."""
        return stats.aiqs(self.systems)

    def honest_aiq(self, *, rng: np.random.Generator) -> dict[str, float]:
        """Cross-fitted AIQ of every system, the zero router treated alike (see `stats.honest_aiqs`)."""
        return stats.honest_aiqs(self.systems, len(self.test), rng=rng)

    def honest_leads(self, names: Iterable[str], *, rng: np.random.Generator) -> dict[str, float]:
        """Honest AIQ of some systems above the better zero router's."""
        areas = self.honest_aiq(rng=rng)
        rival = max(areas[zero] for zero in self.zeros)
        return {name: areas[name] - rival for name in names}

    def placebo_leads(self, name: str, *, rng: np.random.Generator, draws: int) -> Array:
        """Honest AIQ above zero of what has a router's spread of predictions and no knowledge, (draws,)."""
        zeros = {zero: self.systems[zero] for zero in self.zeros}
        dealt = {f"{name}, draw {draw}": self.placebos[name](rng) for draw in range(draws)}
        areas = stats.honest_aiqs(zeros | dealt, len(self.test), rng=rng, halvings=8)
        return np.array([areas[each] for each in dealt]) - max(areas[zero] for zero in zeros)

    def lead_curves(
        self, routers: Iterable[str], *, rng: np.random.Generator, draws: int = 40, steps: int = 32
    ) -> pd.DataFrame:
        """Quality above the zero router's at every cost, whose mean is the lead in AIQ as the paper has it.

        Parameters
        ----------
        routers : names.
        rng : of resamples and placebos.
        draws : resamples of the test queries, paired; and draws of the placebo.
        steps : costs over the domain that all systems share, denser where they are low.

        Returns
        -------
        router, usd_per_query, lead, low, high: of a router, its lead and pointwise 95% interval; of the
        placebo, the median of its draws and the range of the middle 95% of them.
        """
        least, most = shared_domain(*(self.points(name) for name in self.systems))
        costs = least + (most - least) * np.linspace(0, 1, steps) ** 2
        chosen = {name: self.systems[name] for name in [ZERO, *routers]}

        def above(systems: Mapping[str, System], weights: ArrayLike | None) -> dict[str, Array]:
            heights = {name: Curve(system(weights)).at(costs, least) for name, system in systems.items()}
            return {name: heights[name] - heights[ZERO] for name in heights if name != ZERO}

        leads = above(chosen, None)
        drawn = [above(chosen, weights) for weights in stats.bootstrap_weights(len(self.test), draws, rng)]
        samples = {name: [each[name] for each in drawn] for name in leads}
        if PLACEBO in self.placebos:
            pairs = ({ZERO: chosen[ZERO], PLACEBO: self.placebos[PLACEBO](rng)} for _ in range(draws))
            samples[PLACEBO] = [above(pair, None)[PLACEBO] for pair in pairs]
            leads[PLACEBO] = np.median(samples[PLACEBO], axis=0)
        frames = {}
        for name, each in samples.items():
            low, high = np.quantile(each, [0.025, 0.975], axis=0)
            frame = pd.DataFrame({"usd_per_query": costs, "lead": leads[name], "low": low, "high": high})
            frames[name] = _without_rounding(frame)
        return stacked(frames, "router")

    @property
    def zeros(self) -> list[str]:
        """The zero routers among the systems."""
        return [name for name in (ZERO, ZERO_TRAINED) if name in self.systems]

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
        return stacked({name: pd.DataFrame(p, columns=columns) for name, p in parts.items()}, "router")

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
        honest_low, honest_high: that above the better zero router, as a trained router's rival may know
        the training rows too. Intervals of differences hold for all rows at once. placebo_high: 97.5%
        quantile of the honest lead of placebos with the row's spread; NaN without one. n: test queries.
        finding: "leads" if the honest lead is above placebo_high and its interval excludes zero.
        """
        return aiq_table({"": self}, rng=rng, draws=draws).drop(columns="dataset")


def aiq_table(
    comparisons: Mapping[str, Comparison | Sequence[Comparison]],
    *,
    rng: np.random.Generator,
    draws: int = 1000,
) -> pd.DataFrame:
    """`Comparison.table` of every dataset, one below the other, with a column `dataset` first.

    Intervals of differences hold for all rows of all datasets at once.

    Parameters
    ----------
    comparisons : dataset -> its systems; or several such, trained in other ways and judged on the same
        queries, as by repeated cross-validation, of which the row is the mean. Resamples are then dealt out
        to the repeats, so that an interval covers other queries and another division into folds, as one run
        of cross-validation meets them; placebos are pooled likewise.
    rng, draws : as of `Comparison.table`.
    """
    parts = {
        name: [each] if isinstance(each, Comparison) else list(each) for name, each in comparisons.items()
    }
    measured = {name: _measured(repeats, rng, draws) for name, repeats in parts.items()}
    table = stacked({name: rows for name, (rows, *_) in measured.items()}, "dataset")
    leads = {"minus_zero": "minus_zero", "honest_minus_zero": "honest"}
    for side, (column, name) in enumerate(leads.items(), start=1):
        samples = np.hstack([each[side] for each in measured.values()])
        table[[f"{name}_low", f"{name}_high"]] = stats.simultaneous(table[column], samples)
    table[list(FORMATS)] = _without_rounding(table[list(FORMATS)])
    return table.assign(finding=[_finding(row) for _, row in table.iterrows()])[COLUMNS]


def _measured(
    repeats: Sequence[Comparison], rng: np.random.Generator, draws: int
) -> tuple[pd.DataFrame, Array, Array]:
    """Rows of an AIQ table without the intervals of differences, and samples of both differences."""
    test, zeros, each = repeats[0].test, repeats[0].zeros, -(-draws // len(repeats))
    measures = stats.bootstrap_aiq, stats.bootstrap_honest_aiq
    runs = [[measure(one.systems, len(test), rng=rng, draws=each) for measure in measures] for one in repeats]
    (values, drawn), (fair, paid) = (zip(*run, strict=True) for run in zip(*runs, strict=True))
    samples, priced = (pd.concat(some, ignore_index=True).iloc[:draws] for some in (drawn, paid))
    table = pd.DataFrame({"aiq": pd.DataFrame(values).mean(), "aiq_honest": pd.DataFrame(fair).mean()})
    table[["aiq_low", "aiq_high"]] = [stats.interval(samples[name]) for name in table.index]
    rival = max(zeros, key=lambda zero: table["aiq_honest"][zero])
    table["minus_zero"] = table["aiq"] - table["aiq"][ZERO]
    table["honest_minus_zero"] = table["aiq_honest"] - table["aiq_honest"][rival]
    constant = frozenset.intersection(*(one.constant for one in repeats))
    states = dict.fromkeys(constant, CONSTANT) | dict.fromkeys(zeros, "zero")
    table["placebo_high"] = pd.Series({name: _placebo_high(repeats, name, rng) for name in table.index})
    # Dealt out, what is constant stays what it is.
    table.loc[list(constant), "placebo_high"] = table["honest_minus_zero"]
    pairs = (samples, ZERO), (priced, rival)
    above, honest = (some.sub(some[name], axis=0).to_numpy() for some, name in pairs)
    table = table.assign(n=len(test), state=[states.get(name, "") for name in table.index])
    return table.rename_axis("router").reset_index(), above, honest


def _placebo_high(repeats: Sequence[Comparison], name: str, rng: np.random.Generator) -> float:
    """97.5% quantile of the honest leads of a router's placebos; NaN if it has none."""
    each = -(-PLACEBOS // len(repeats))
    leads = [one.placebo_leads(name, rng=rng, draws=each) for one in repeats if name in one.placebos]
    return float(np.quantile(np.concatenate(leads), 0.975)) if leads else np.nan


def _finding(row: pd.Series[Any]) -> str:
    """What a row of an AIQ table says of its router."""
    if row["state"] == CONSTANT:
        return f"{CONSTANT}: predicts the same for every query"
    if row["state"]:
        return str(row["state"])
    if row["honest_high"] < 0:
        return "behind zero"
    known = not row["honest_minus_zero"] <= row["placebo_high"]  # NaN: there is nothing to hold it against
    return "leads" if row["honest_low"] > 0 and known else "no lead shown"


def leads_view(table: pd.DataFrame) -> pd.DataFrame:
    """Honest leads of an AIQ table as a reader wants them: a row per router, a column per dataset.

    Zero routers are left out. A star marks a lead that counts; what predicts the same for every query is a
    zero router.
    """
    rows = table[table["finding"] != "zero"]
    words = [
        "= zero router"
        if str(row["finding"]).startswith(CONSTANT)
        else f"{row['honest_minus_zero']:+.3f} [{row['honest_low']:+.3f}, {row['honest_high']:+.3f}]"
        + (" *" if row["finding"] == "leads" else "")
        for row in rows.to_dict("records")
    ]
    view = rows.assign(lead=words).pivot(index="router", columns="dataset", values="lead")
    return view.reindex(index=rows["router"].unique(), columns=rows["dataset"].unique())


def _without_rounding(table: pd.DataFrame) -> pd.DataFrame:
    """Where two systems are one, summing in another order leaves -1e-16; adding 0 turns -0.0 into 0."""
    return table.round(12) + 0.0


def cautions(parts: Parts) -> str:
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
    train: Outcomes,
    test: Outcomes,
    X: pd.DataFrame,
    routers: Routers,
    *,
    order: NDArray[np.int64] | None = None,
) -> Comparison:
    """Fit routers on the training rows and follow each along its whole lambda path on the test rows.

    Parameters
    ----------
    train, test : outcome tables with the same models.
    X : embeddings indexed by sample_id, as `embed_queries` gives them.
    routers : name -> router with `fit` and `predict`.
    order : permutation of the training queries' embeddings, after which nothing is to be learnt: a lead that
        is left then is one of the method, not of the queries.

    Returns
    -------
    Comparison with both zero routers (the paper's, which sees the test means, and one chosen on training
    rows) before the routers given, and a placebo after them. Decisions weigh quality against each model's
    mean training cost, or what a router that has `predict_cost` expects of the query.
    """
    known, asked = (X.loc[part.frame["sample_id"]].to_numpy() for part in (train, test))
    known = known if order is None else known[order]
    every = {**routers, PLACEBO: PlaceboRouter()}
    predicted = {name: each.fit(train, known).predict(asked) for name, each in every.items()}
    costs = {name: predicted_cost(each, train, asked) for name, each in every.items()}
    return compare_predictions(train, test, predicted, costs)


def compare_predictions(
    train: Outcomes, test: Outcomes, predicted: Mapping[str, Array], costs: Mapping[str, Array] | None = None
) -> Comparison:
    """`compare` for predictions made elsewhere.

    Each system's placebo has its own predictions, of quality and cost together, dealt out to the test
    queries at random.

    Parameters
    ----------
    train, test : outcome tables with the same models.
    predicted : name -> (n_test, m) predicted quality.
    costs : name -> (m,) or (n_test, m) predicted cost in USD per query; of others, and if None of all, each
        model's mean training cost.
    """
    expected = dict.fromkeys(predicted, mean_cost(train)) | dict(costs or {})
    both = {
        name: np.hstack([quality, np.broadcast_to(expected[name], quality.shape)])
        for name, quality in predicted.items()
    }

    def follow(told: Array) -> System:
        return lambda_path(*np.hsplit(told, 2)).on(test.quality, test.cost)

    systems: dict[str, System] = {ZERO: model_points(test), ZERO_TRAINED: ZeroRouter().fit(train).on(test)}
    systems |= {name: follow(told) for name, told in both.items()}
    constant = frozenset(name for name, told in both.items() if knows_nothing(*np.hsplit(told, 2)))
    placebos = {
        name: lambda rng, told=told: follow(dealt_out(told, rng))
        for name, told in both.items()
        if name not in constant
    }
    return Comparison(test, systems, placebos, constant)


def small_tasks(outcomes: Outcomes, *, rng: np.random.Generator) -> dict[str, Outcomes]:
    """Tasks with so few rows that every one of them has to be judged on: `SMALL`.

    Of real data those of which only the 0-shot sample has rows; of simulated data as many rows of them, drawn
    by `rng`, so that what few rows can tell is seen beside what many do; of an own table none.
    """
    kind = outcomes.origin.kind
    table = load_routerbench("sample").select(outcomes.models) if kind == "real" else outcomes
    names = [] if kind == "own" else [name for name in SMALL if name in table.datasets]
    parts = {name: table.of(name) for name in names if kind != "real" or name not in outcomes.datasets}
    return {name: part.take(rng.permutation(len(part))[: SMALL[name]]) for name, part in parts.items()}


def prompt_folds(outcomes: Outcomes, folds: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """(n,) mask of each fold's queries; equal prompts share a fold."""
    code = np.unique(same_text(outcomes.frame["prompt"]), return_inverse=True)[1]
    fold = (np.random.default_rng(seed).permutation(code.max() + 1) % folds)[code]
    return (fold == each for each in np.unique(fold))


def cross_validated(
    outcomes: Outcomes, X: pd.DataFrame, routers: Routers, *, folds: int = 5, seed: int
) -> Comparison:
    """`compare` where 30% of the rows would be too few: every query is judged, by routers of the other folds.

    Decisions weigh quality, learnt on the other folds, against mean costs over all queries, or against costs
    that a router with `predict_cost` has learnt there too.

    Parameters
    ----------
    folds : equal prompts share one; there must be two different prompts.
    seed : of the folds.
    """
    every: dict[str, PredictiveRouter] = {**routers, PLACEBO: PlaceboRouter()}
    predicted = {name: np.zeros(outcomes.quality.shape) for name in every}
    costs = {
        name: predicted[name].copy() for name, router in every.items() if hasattr(router, "predict_cost")
    }
    means, varied = np.zeros(outcomes.quality.shape), set()
    for held in prompt_folds(outcomes, folds, seed):
        train, test = outcomes.take(~held), outcomes.take(held)
        known, asked = (X.loc[part.frame["sample_id"]].to_numpy() for part in (train, test))
        for name, router in every.items():
            predicted[name][held] = guess = router.fit(train, known).predict(asked)
            expected = predicted_cost(router, train, asked)
            varied |= set() if knows_nothing(guess, expected) else {name}
            if name in costs:
                costs[name][held] = expected
        means[held] = train.quality.mean(axis=0)
    found = compare_predictions(outcomes, outcomes, predicted, costs)
    trained = lambda_path(means, mean_cost(outcomes)).on(outcomes.quality, outcomes.cost)
    placebos = {name: draw for name, draw in found.placebos.items() if name in varied}
    systems: dict[str, System] = {**found.systems, ZERO_TRAINED: trained}
    constant = frozenset(set(every) - varied)
    return replace(found, systems=systems, placebos=placebos, constant=constant)


def luck(parts: Parts, *, rng: np.random.Generator, draws: int = 10) -> pd.DataFrame:
    """What a router that knows nothing gains on each dataset, by both measures.

    Parameters
    ----------
    parts : dataset -> training and test rows.
    rng : of the placebos and halvings.
    draws : placebos per dataset.

    Returns
    -------
    Indexed by dataset: n, points (on a placebo's path), on_hull; aiq and honest, the mean lead over the zero
    router; aiq_above and honest_above, the share of placebos above it.
    """
    rows, columns = {}, ("n", "points", "on_hull", "aiq", "honest", "aiq_above", "honest_above")
    for name, (train, test) in parts.items():
        leads, size = [], []
        for seed in rng.integers(2**32, size=draws):
            blind = PlaceboRouter(seed=int(seed)).fit(train, np.zeros((len(train), 1)))
            path = compare_predictions(train, test, {PLACEBO: blind.predict(test.quality)})
            areas, points = path.aiq(), path.points(PLACEBO)
            paid = stats.honest_aiqs(path.systems, len(test), rng=rng, halvings=8)
            leads.append([areas[PLACEBO] - areas[ZERO], paid.pop(PLACEBO) - max(paid.values())])
            size.append([len(points), len(hull(points))])
        over, above = np.mean(leads, axis=0), (np.array(leads) > 1e-12).mean(axis=0)
        rows[name] = dict(zip(columns, (len(test), *np.mean(size, axis=0), *over, *above), strict=True))
    return _indexed(rows, "dataset")


def repeat_splits(
    outcomes: Outcomes, X: pd.DataFrame, routers: Routers, seeds: Iterable[int]
) -> pd.DataFrame:
    """Honest AIQ above the better zero router on several 70/30 splits, a split being one draw.

    Returns
    -------
    A row per seed, a column per router and one for the placebo.
    """
    rows = {}
    for seed in seeds:
        parted = compare(*held_out(outcomes, seed), X, routers)
        rows[seed] = parted.honest_leads([*routers, PLACEBO], rng=np.random.default_rng(seed))
    return _indexed(rows, "seed")


def shuffled_leads(
    parts: Parts, X: pd.DataFrame, routers: Routers, *, rng: np.random.Generator
) -> pd.DataFrame:
    """Honest AIQ above the better zero router where nothing is to be learnt: training vectors are shuffled.

    Returns
    -------
    A row per dataset of `parts` (training and test rows), a column per router.
    """
    rows = {}
    for name, (train, test) in parts.items():
        shuffled = compare(train, test, X, routers, order=rng.permutation(len(train)))
        rows[name] = shuffled.honest_leads(routers, rng=rng)
    return _indexed(rows, "dataset")


def leads_by_k(parts: Parts, X: pd.DataFrame, ks: Sequence[int], *, rng: np.random.Generator) -> pd.DataFrame:
    """Honest AIQ above the better zero router of KNN by its number of neighbours: a row per dataset."""
    rows = {}
    for name, (train, test) in parts.items():
        known, asked = (X.loc[part.frame["sample_id"]].to_numpy() for part in (train, test))
        nearest = KNNRouter().fit(train, known).predict_many(asked, ks)
        every = {str(k): quality for k, quality in nearest.items()}
        leads = compare_predictions(train, test, every).honest_leads(every, rng=rng)
        rows[name] = dict(zip(nearest, leads.values(), strict=True))
    return _indexed(rows, "dataset")


def _indexed(rows: dict[Any, dict[Any, float]], name: str) -> pd.DataFrame:
    """Rows by what they are of, with that as the index."""
    return _without_rounding(pd.DataFrame.from_dict(rows, orient="index").rename_axis(name))


def lead_curves(
    comparisons: Mapping[str, Comparison], routers: Iterable[str], *, rng: np.random.Generator
) -> pd.DataFrame:
    """`Comparison.lead_curves` of every dataset, one below the other, with a column `dataset` first."""
    names = list(routers)
    return stacked({name: each.lead_curves(names, rng=rng) for name, each in comparisons.items()}, "dataset")


def curve_table(comparisons: Mapping[str, Comparison]) -> pd.DataFrame:
    """`Comparison.curves` of every dataset, one below the other, with a column `dataset` first."""
    return stacked({name: each.curves() for name, each in comparisons.items()}, "dataset")


def stacked(parts: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """Tables one below the other, with a first column that says which is which."""
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
        same = str(row["finding"]).startswith(CONSTANT)  # which is known, not measured
        found.append(Estimate(lead, low, high, name, 0 if same else row["n"], floor))
    return found
