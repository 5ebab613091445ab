"""Published APGR and CPT held against what random orders of the very same queries reach.

Whoever knows both models' scores on n queries knows how far luck carries a router on them, without the
router: under the null hypothesis that its order has nothing to do with the gains, each of the n! orders is as
likely as another. That holds for whatever it was trained on, and asks for no model of the queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.integrate import trapezoid
from scipy.stats import norm, spearmanr, studentized_range

from rb_support import paper
from rb_support.outcomes import PairScores
from rb_support.pairs import apgr, cpt, random_apgr_spread, random_curves, threshold_sweep
from rb_support.pairs.metrics import first_crossings
from rb_support.preference.training_sets import JUDGE, MT_BENCH
from rb_support.sources import load_pairs
from rb_support.stats import Array, interval
from rb_support.studies.preference_claims import gathered
from rb_support.studies.preference_study import METRICS, RANDOM, WinRates, by_table, listed
from rb_support.studies.transfer import testable
from rb_support.studies.wording import notes
from rb_support.verdicts import Estimate, Evidence, Fact

DRAWS = 100_000
"""Random orders of a table's queries. A p-value is never below 2 / (DRAWS + 1)."""

TABLE_NOTE, FIGURE_NOTE = (notes("07b")[item] for item in ("own-audit-table", "own-audit"))
"""What goes with the records of the audit."""

_TARGETS = {"cpt50": 0.5, "cpt80": 0.8}
_COLUMNS = ["table", "training", "router", *METRICS]
_LEVEL = 0.95
_REACH = float(norm.ppf((1 + _LEVEL) / 2))  # standard deviations
_ROUNDED = 1e-9  # two APGRs as near as this are one
_TRAININGS = {"arena": "D_arena", "arena + judge": "D_arena + D_judge", "arena + gold": "D_arena + D_gold"}
_SOURCES = {MT_BENCH: "routellm-mtbench", "MMLU": "routellm-mmlu", "GSM8K": "routellm-gsm8k"}


def published() -> pd.DataFrame:
    """What RouteLLM's Tables 1 to 4 print of its routers.

    Returns
    -------
    A row per router and training set of a table: table (benchmark, with another pair's name before it),
    training, router, apgr, cpt50, cpt80.
    """
    printed = _printed()
    return printed.loc[printed["router"] != RANDOM, _COLUMNS].reset_index(drop=True)


def of_rates(rates: Iterable[WinRates]) -> pd.DataFrame:
    """Numbers of our own routers in the form of `published`; NaN where a pair's gap is too small to judge on.

    Parameters
    ----------
    rates : win rates; those of a table follow one another.
    """
    rows = []
    for one in rates:
        strong, weak = one.pairs.strong, one.pairs.weak
        curve = (*threshold_sweep(one.rate, strong, weak), weak.mean(), strong.mean())
        values = (apgr(*curve), *(cpt(*curve, target) for target in _TARGETS.values()))
        judged = values if testable(one.pairs) else [None] * len(values)
        rows.append((one.table, one.training, one.router, *judged))
    return pd.DataFrame(rows, columns=_COLUMNS).astype(dict.fromkeys(METRICS, float))


def published_scores() -> dict[str, PairScores]:
    """The scores that those numbers of Tables 1 to 3 were computed on: RouteLLM's own, decontaminated.

    Raises
    ------
    SourceError : if they are not at hand.
    """
    return {name: load_pairs(source) for name, source in _SOURCES.items()}


def _printed() -> pd.DataFrame:
    rows = pd.concat([paper.routellm_results(number) for number in (1, 2, 3, 4)], ignore_index=True)
    other = rows["table"] == 4
    rows["table"] = rows["benchmark"].where(~other, rows["pair"] + " (" + rows["benchmark"] + ")")
    return rows.replace({"training": _TRAININGS})


@dataclass(frozen=True, eq=False)
class Chance:
    """What random orders of a table's n queries reach.

    Attributes
    ----------
    n : queries.
    spread : standard deviation of APGR, exact and in closed form.
    drawn : (draws, 3) frame of apgr, cpt50 and cpt80, of curves read at every tenth of the calls as in
        RouteLLM's own evaluation.
    """

    n: int
    spread: float
    drawn: pd.DataFrame

    def band(self, metric: str) -> tuple[float, float]:
        """Where 95% of random orders lie, half of the rest on either side."""
        return interval(self.drawn[metric], _LEVEL)

    def p_value(self, metric: str, value: float) -> float:
        """Two-sided p-value of a number: twice the smaller tail, itself counted in; NaN for NaN."""
        if np.isnan(value):
            return np.nan
        drawn = self.drawn[metric].to_numpy()
        tails = (drawn <= value + _ROUNDED).sum(), (drawn >= value - _ROUNDED).sum()
        return float(min(1.0, 2 * (1 + min(tails)) / (1 + len(drawn))))


def chances(
    tables: Mapping[str, PairScores], *, rng: np.random.Generator, draws: int = DRAWS
) -> dict[str, Chance]:
    """Chance on each table whose models leave a gap.

    Parameters
    ----------
    tables : name -> scores.
    rng, draws : of the random orders.
    """
    found = {}
    for name, pair in tables.items():
        curves = random_curves(pair.strong, pair.weak, rng=rng, draws=draws)
        if curves is None:
            continue
        shares, recovered = curves
        columns = {"apgr": trapezoid(recovered, shares, axis=1)}
        columns |= {name: first_crossings(shares[None], recovered, at) for name, at in _TARGETS.items()}
        spread = random_apgr_spread(pair.strong, pair.weak) or np.nan
        found[name] = Chance(len(pair), spread, pd.DataFrame(columns))
    return found


def audit(numbers: pd.DataFrame, known: Mapping[str, Chance]) -> pd.DataFrame:
    """Where every number lies among random orders of its table's queries.

    Parameters
    ----------
    numbers : as `published` gives them.
    known : chance by table; numbers of another table keep NaN.

    Returns
    -------
    `numbers` with the column queries and, of each metric, its `_p` (two-sided), its `_holm` (corrected for
    all numbers of its table, by Holm's rule, which asks for no independence), and its `_low` and `_high` (95%
    of random orders).
    """
    found = numbers.reset_index(drop=True)
    for metric in METRICS:
        placed = [
            (*known[table].band(metric), known[table].p_value(metric, value))
            if table in known
            else (np.nan,) * 3
            for table, value in found[["table", metric]].itertuples(index=False)
        ]
        found[[f"{metric}_low", f"{metric}_high", f"{metric}_p"]] = placed
    p = pd.Series(found[[f"{metric}_p" for metric in METRICS]].to_numpy().ravel())
    corrected = p.groupby(found["table"].repeat(len(METRICS)).to_numpy()).transform(holm)
    found[[f"{metric}_holm" for metric in METRICS]] = corrected.to_numpy().reshape(-1, len(METRICS))
    found["queries"] = [known[table].n if table in known else 0 for table in found["table"]]
    ordered = [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high", "_p", "_holm")]
    return found[["table", "training", "router", "queries", *ordered]]


def holm(values: ArrayLike) -> Array:
    """p-values corrected for their number (Holm 1979): all below .05 are false with probability .05 at most.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(values, dtype=float)
    order = np.argsort(p)  # NaN last
    count = int((~np.isnan(p)).sum())
    factors = np.maximum(count - np.arange(len(p)), 1)
    raised = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    found = np.empty_like(p)
    found[order] = raised
    return found


def outside(table: pd.DataFrame) -> pd.DataFrame:
    """How many numbers of a table lie where few random orders do.

    Parameters
    ----------
    table : as `audit` gives it.

    Returns
    -------
    A row per table and training set: table, training, queries, numbers, alone (p-value below .05), corrected
    (the same after Holm's rule), routers, and above and below (routers whose APGR lies on that side of 0.5,
    by the corrected p-value). Tables whose scores are not known are left out.
    """
    known = table[table["queries"] > 0]
    alone, corrected = (
        known[[f"{metric}{end}" for metric in METRICS]].to_numpy() < 1 - _LEVEL for end in ("_p", "_holm")
    )
    side = np.where(corrected[:, 0], np.sign(known["apgr"] - 0.5), 0)
    keys = ["table", "training", "queries"]
    counts = known[keys].assign(
        numbers=known[list(METRICS)].notna().sum(axis=1),
        alone=alone.sum(axis=1),
        corrected=corrected.sum(axis=1),
        routers=known["apgr"].notna(),
        above=side > 0,
        below=side < 0,
    )
    return counts.groupby(keys, sort=False).sum().reset_index()


def differences(numbers: pd.DataFrame, known: Mapping[str, Chance]) -> pd.DataFrame:
    """Which differences in APGR between two routers of one table are larger than paired noise.

    Where two orders with the rank correlation r differ at random with regard to the gains, their difference
    has the standard deviation sqrt(2 (1 - r)) times that of one random order: exact, as APGR is linear in the
    ranks. The orders behind published numbers are not published. With r = 0 the noise is a bound for all
    orders that do not run against each other; and a difference says by itself from which r on it is larger
    than noise.

    Parameters
    ----------
    numbers, known : as in `audit`.

    Returns
    -------
    A row per two routers of a table: table, training, router, other_training, other_router, difference, noise
    (half of the 95% interval at r = 0), all_noise (the same for all differences of the table at once, by
    Tukey's studentized range) and needed_r, the rank correlation from which on the difference is larger than
    noise (-1 if at any; NaN without scores).
    """
    rows = []
    for name, part in numbers.dropna(subset="apgr").groupby("table", sort=False):
        spread = known[str(name)].spread if name in known else np.nan
        widest = float(studentized_range.ppf(_LEVEL, len(part), np.inf)) if len(part) > 1 else np.nan
        named = part[["training", "router", "apgr"]].itertuples(index=False, name=None)
        for (*one, area), (*other, other_area) in combinations(named, 2):
            rows.append((name, *one, *other, other_area - area, _REACH * spread, widest * spread))
    columns = ["table", "training", "router", "other_training", "other_router", "difference", "noise"]
    found = pd.DataFrame(rows, columns=[*columns, "all_noise"])
    needed = 1 - (found["difference"] / found["noise"].where(found["noise"] > 0)) ** 2 / 2
    found["noise"] *= np.sqrt(2)
    return found.assign(needed_r=needed.clip(lower=-1))


def augmentation(pairs: pd.DataFrame) -> pd.DataFrame:
    """Of `differences`, those of one router between its two training sets: what more labels add to it."""
    same = pairs["router"].eq(pairs["other_router"]) & pairs["training"].ne(pairs["other_training"])
    return pairs[same].reset_index(drop=True)


def counted(pairs: pd.DataFrame) -> pd.DataFrame:
    """How many of `differences` are larger than noise: table, differences, larger, larger_all (at once)."""
    size = pairs["difference"].abs()
    larger = pairs.assign(larger=size > pairs["noise"], larger_all=size > pairs["all_noise"])
    groups = larger.dropna(subset="noise").groupby("table", sort=False)
    sums = {name: (name, "sum") for name in ("larger", "larger_all")}
    return groups.agg(differences=("difference", "size"), **sums).reset_index()


def agreement(rates: Iterable[WinRates]) -> tuple[float, float]:
    """Lowest and highest rank correlation of two routers on one table; NaN without two that vary."""
    found = [
        float(spearmanr(one.rate, other.rate).statistic)
        for told in by_table(rates).values()
        for one, other in combinations(told, 2)
        if np.ptp(one.rate) > 0 and np.ptp(other.rate) > 0
    ]
    return min(found, default=np.nan), max(found, default=np.nan)


def bands(known: Mapping[str, Chance]) -> pd.DataFrame:
    """Where random orders lie: table, queries, sd (of APGR), and 95% bands of APGR and of CPT(50%)."""
    rows = [
        (name, chance.n, chance.spread, *chance.band("apgr"), *chance.band("cpt50"))
        for name, chance in known.items()
    ]
    columns = ["table", "queries", "sd", "apgr_low", "apgr_high", "cpt50_low", "cpt50_high"]
    return pd.DataFrame(rows, columns=columns)


def random_rows(known: Mapping[str, Chance]) -> pd.DataFrame:
    """What the paper prints as the random router's interval, and what it can be an interval of.

    Returns
    -------
    A row per table and metric: table, metric, printed (the random router's number), printed_half (half of its
    interval), one_order (half of the interval in which 95% of single random orders lie), and runs_low and
    runs_high: of how many orders' mean the printed interval could be, given how it is rounded.
    """
    rows = []
    for row in _printed().query("router == @RANDOM").to_dict("records"):
        for metric in METRICS:
            chance, half = known.get(row["table"]), float(row[f"{metric}_ci"])
            wide = float(_REACH * chance.drawn[metric].std()) if chance else np.nan
            unit = 0.5 * (0.001 if round(half, 2) != half else 0.01)
            low, high = (wide / (half + unit)) ** 2, (wide / (half - unit)) ** 2 if half > unit else np.inf
            rows.append((row["table"], metric, row[metric], half, wide, low, high))
    columns = ["table", "metric", "printed", "printed_half", "one_order", "runs_low", "runs_high"]
    return pd.DataFrame(rows, columns=columns)


def counted_otherwise(pair: PairScores) -> pd.DataFrame:
    """What is taken for a query, and how wide chance is then: a row per way to count.

    Parameters
    ----------
    pair : MT Bench of `published_scores`, both turns' scores among its columns.

    Returns
    -------
    Frame with the columns counted, queries and spread (standard deviation of APGR among random orders).
    """
    sides = [[f"{side}_turn_1", f"{side}_turn_2"] for side in ("strong", "weak")]
    turns = [pair.frame[columns].to_numpy(dtype=float).ravel() for columns in sides]
    whole = load_pairs("routellm-mtbench", decontaminate=False)
    ways: dict[str, Sequence[Array]] = {
        "questions, contaminated ones left out": (pair.strong, pair.weak),
        "questions, all": (whole.strong, whole.weak),
        "turns, each routed by itself": turns,
    }
    rows = [(name, len(scores[0]), random_apgr_spread(*scores)) for name, scores in ways.items()]
    return pd.DataFrame(rows, columns=["counted", "queries", "spread"])


def evidence(numbers: pd.DataFrame, known: Mapping[str, Chance], random: pd.DataFrame) -> dict[str, Evidence]:
    """Section 5.1 on the paper's own numbers, with the luck of its own questions.

    An interval is the printed number and what random orders leave open around it, simultaneous over all
    routers of the table; of a difference, the noise of two unrelated orders, for all of them at once.

    Parameters
    ----------
    numbers : as `published` gives them.
    known : chance by table.
    random : as `random_rows` gives it.
    """
    pairs = differences(numbers, known).dropna(subset="noise")
    swapped = {"router": "other_router", "training": "other_training"}
    swapped |= {there: here for here, there in swapped.items()}
    both_ways = pd.concat([pairs, pairs.rename(columns=swapped).assign(difference=-pairs["difference"])])

    def areas(table: str, ends: str, *routers: str) -> list[Estimate]:
        if table not in known:
            return []
        mine = numbers[numbers["table"] == table]
        reach = norm.ppf(1 - 0.025 / len(mine)) * known[table].spread
        rows = mine[mine["training"].str.endswith(ends) & mine["router"].isin(routers or mine["router"])]
        intervals = rows[["apgr"]].to_numpy() + np.array([0.0, -reach, reach])
        return listed(intervals, rows["router"], [known[table].n] * len(rows))

    def gains(rows: pd.DataFrame, names: pd.Series[str]) -> list[Estimate]:
        intervals = np.outer(rows["all_noise"], [0, -1, 1]) + rows[["difference"]].to_numpy()
        return listed(intervals, names, [known[table].n for table in rows["table"]])

    def gain(table: str, _: str) -> list[Estimate]:
        rows = augmentation(pairs[pairs["table"] == table])
        return gains(rows, rows["router"])

    def best(table: str, ends: str, router: str) -> list[Estimate]:
        alike = both_ways[both_ways["training"] == both_ways["other_training"]]
        mine = alike[(alike["table"] == table) & (alike["other_router"] == router)]
        rows = mine[mine["training"].str.endswith(ends)]
        return gains(rows, "over " + rows["router"])

    found = gathered("printed", {"areas": areas, "gain": gain, "best": best})
    llama = [name for name in known if name.startswith("Llama")]
    whole = random[(random["metric"] == "apgr") & (random["table"] == MT_BENCH)].to_dict("records")
    found["printed-table4-llama"] = areas(llama[0], JUDGE) if llama else []
    if whole and known.get(MT_BENCH):
        row = whole[0]
        words = f"printed ±{row['printed_half']:.2f}, one random order ±{row['one_order']:.2f}"
        found["printed-random"] = Fact(row["one_order"] <= row["printed_half"] + 0.005, words)
    return found
