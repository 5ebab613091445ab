"""What golden labels are worth (RouteLLM sec. 4.1.1): a router chosen among many, judged on questions apart.

The candidates, how they are chosen among, and which questions are kept apart stand in
`label_candidates.toml`, written before any of those questions was judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from rb_support.cache import packaged_table
from rb_support.outcomes import Battles, Origin, PairScores
from rb_support.outcomes.splits import hold_out, same_text
from rb_support.pairs import apgr, bootstrap_pairs, random_apgr_spread, threshold_sweep
from rb_support.preference.gold import Candidate, Labelled, Reader, gold_router
from rb_support.preference.training_sets import take_gold
from rb_support.stats import simultaneous
from rb_support.verdicts import Estimate, Evidence

Array = NDArray[np.float64]

SUBJECTS, QUESTION, BOTH = "Mean of the subject", "Question (chosen)", "Question and subject (chosen)"
OWN, SHUFFLED = "Question and subject (chosen by its own labels)", "Shuffled labels"
PRIOR = "subject, its mean alone"
_EXPONENTS = np.linspace(0.2, 1.0, 17)
_SMALLEST_FITTED = 200
_NORMAL = 1.96


class Plan(BaseModel):
    """What was fixed beforehand: the only source of settings.

    Attributes
    ----------
    baseline : name of the candidate that stood before.
    labels : sizes of the learning curve.
    draws : of labels, at each size for which the pool has so many.
    test, seed : share of the questions that is kept apart, and the seed of that split.
    folds, judged : a candidate is chosen by its labels alone with so many folds as it takes to judge so many.
    candidates : by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    baseline: str
    labels: tuple[int, ...]
    draws: int
    test: float
    seed: int
    folds: int
    judged: int
    candidates: Mapping[str, Candidate]

    def reading(self, subject: bool) -> list[str]:
        """Names of the candidates that may be chosen, told the subject or not."""
        told = {name: each.reads_subject(self.candidates) for name, each in self.candidates.items()}
        return [name for name in self.candidates if subject or not told[name]]


@cache
def fixed_plan() -> Plan:
    """The plan of `label_candidates.toml`."""
    return Plan(**packaged_table("studies/label_candidates.toml"))


def parts(pairs: PairScores, X: pd.DataFrame, plan: Plan | None = None) -> tuple[Labelled, Labelled] | None:
    """Questions to draw labels from, and those kept apart to test on; None where there are too few.

    What is read of a question is learnt from the first part, without its labels.

    Parameters
    ----------
    pairs : all questions with both scores.
    X : vectors by prompt.
    """
    plan = plan or fixed_plan()
    two = take_gold(pairs, int((1 - plan.test) * len(pairs)), np.random.default_rng(plan.seed))
    if two is None or len(two[0]) < 2:
        return None
    reader = Reader().fit(two[0], X)
    return reader.read(two[0], X), reader.read(two[1], X)


def predicted(names: Iterable[str], learnt: Labelled, asked: Labelled, plan: Plan) -> dict[str, Array]:
    """Gains that candidates predict: name -> (n,). What several average is learnt once."""
    members = {name: plan.candidates[name].of or (name,) for name in names}
    alone = dict.fromkeys(one for some in members.values() for one in some)
    gains = {name: gold_router(plan.candidates[name], learnt).predict(asked.X) for name in alone}
    return {name: np.mean([gains[one] for one in some], axis=0) for name, some in members.items()}


def validated(labels: Labelled, others: Labelled, plan: Plan) -> dict[str, float]:
    """APGR of every candidate, learnt from labels, on other labelled questions."""
    gains = predicted(plan.candidates, labels, others, plan)
    return {name: area(gain, others.pairs) for name, gain in gains.items()}


def cross_validated(labels: Labelled, plan: Plan, seed: int) -> dict[str, float]:
    """APGR of every candidate by cross-validation inside the labels; NaN where they are too few.

    Parameters
    ----------
    labels : to learn from and to choose by; equal prompts are in one fold.
    seed : of the folds.
    """
    names = list(plan.candidates)
    code, distinct = pd.factorize(same_text(labels.pairs.frame["prompt"]))
    fold = np.random.default_rng(seed).permutation(len(distinct))[code] % plan.folds
    if len(distinct) < 2 * plan.folds:
        return dict.fromkeys(names, np.nan)
    used = min(plan.folds, int(np.ceil(plan.judged / (len(labels.pairs) / plan.folds))))
    gains = {name: np.full(len(code), np.nan) for name in names}
    for held in range(used):
        out = fold == held
        for name, gain in predicted(names, labels.take(~out), labels.take(out), plan).items():
            gains[name][out] = gain - gain.mean()  # folds learn of other rows, and so differ in level
    judged = fold < used
    return {name: area(gain[judged], labels.pairs.take(judged)) for name, gain in gains.items()}


def best_of(scores: Mapping[str, float], names: Sequence[str]) -> str:
    """The first of the named with the highest score; a NaN is the lowest."""
    return max(names, key=lambda name: np.nan_to_num(scores[name], nan=-np.inf))


@dataclass(frozen=True, eq=False)
class Curve:
    """A learning curve on the questions kept apart.

    Attributes
    ----------
    frame : a row per number of labels, draw and router: labels, seed, router, apgr, chosen (the candidate),
        queries (those judged on).
    gains : (router, labels) -> (draws, n) predicted gains.
    test : the n questions judged on; None where the pool is too small for any.
    """

    frame: pd.DataFrame
    gains: Mapping[tuple[str, int], Array] = field(default_factory=dict)
    test: PairScores | None = None

    @property
    def sizes(self) -> list[int]:
        """Numbers of labels."""
        return sorted(set(self.frame["labels"]))


def learning_curve(pairs: PairScores, X: pd.DataFrame, seed: int = 0, plan: Plan | None = None) -> Curve:
    """APGR for growing numbers of golden labels, on questions that nothing was chosen by.

    At each size a candidate is chosen once, for the first draw of labels: by its APGR on the questions of the
    pool that are left then (as long as these are no fewer than the labels), and, in a line apart, by
    cross-validation inside the labels, as who has no others must. The larger draws of a seed contain its
    smaller ones. "Shuffled labels" learns as the first kind of choice does, from permuted outcomes.

    Parameters
    ----------
    pairs : all questions with both scores.
    X : vectors by prompt.
    seed : of the first draw of labels; the next draws have the next seeds.
    plan : the fixed one if None.
    """
    plan = plan or fixed_plan()
    two, rows = parts(pairs, X, plan), []
    gains: dict[tuple[str, int], list[Array]] = {}
    columns = ["labels", "seed", "router", "apgr", "chosen", "queries"]
    if two is None:
        return Curve(pd.DataFrame(columns=columns))
    pool, test = two
    most = len(pool.pairs)
    for size in [n for n in plan.labels if n <= most] or [most]:
        lines: dict[str, str] = {}
        for draw in range(seed, seed + int(np.clip(most // size, 1, plan.draws))):
            labels, left = _drawn(pool, size, draw)
            lines = lines or _lines(labels, left, plan, draw)
            told = predicted(lines.values(), labels, test, plan)
            mixed = labels.shuffled(np.random.default_rng(draw))
            blind = predicted([lines[BOTH]], mixed, test, plan)
            found = {line: (name, told[name]) for line, name in lines.items()}
            for line, (name, gain) in {**found, SHUFFLED: (lines[BOTH], blind[lines[BOTH]])}.items():
                rows.append((size, draw, line, area(gain, test.pairs), name, len(gain)))
                gains.setdefault((line, size), []).append(gain)
    frame = pd.DataFrame(rows, columns=columns)
    return Curve(frame, {key: np.stack(each) for key, each in gains.items()}, test.pairs)


def _drawn(pool: Labelled, size: int, seed: int) -> tuple[Labelled, Labelled | None]:
    """So many labels of a pool, and what is left; the draw of a larger size holds that of a smaller one."""
    held = hold_out(pool.pairs.frame["prompt"], size, np.random.default_rng(seed), fill=False)
    return (pool.take(held), pool.take(~held)) if held.any() and not held.all() else (pool, None)


def _lines(labels: Labelled, left: Labelled | None, plan: Plan, seed: int) -> dict[str, str]:
    """Line of the curve -> candidate: two fixed, three chosen."""
    inside = cross_validated(labels, plan, seed)
    enough = left is not None and len(left.pairs) >= len(labels.pairs)
    scores = validated(labels, left, plan) if left is not None and enough else inside
    told, all_of_them = plan.reading(subject=False), plan.reading(subject=True)
    chosen = {QUESTION: best_of(scores, told), BOTH: best_of(scores, all_of_them)}
    fixed = {plan.baseline: plan.baseline, SUBJECTS: PRIOR}
    return {**fixed, OWN: best_of(inside, all_of_them), **chosen}


def compared(
    curve: Curve,
    *,
    sizes: Iterable[int],
    rng: np.random.Generator,
    draws: int = 500,
    plan: Plan | None = None,
) -> pd.DataFrame:
    """Routers on the same resampled questions and redrawn labels, with intervals that hold for all rows.

    Parameters
    ----------
    curve : as `learning_curve` gives it.
    sizes : numbers of labels to look at; those that the curve lacks are left out.
    rng, draws : of the resamples.

    Returns
    -------
    A row per size and router: labels, router, queries, draws (of labels), apgr, low, high, and lead,
    lead_low, lead_high over the baseline at the same size. No row without a gap between the models.
    """
    columns = ["labels", "router", "queries", "draws", "apgr", "low", "high", "lead", "lead_low", "lead_high"]
    keys = [key for key in curve.gains if key[1] in set(sizes)]
    if curve.test is None or not keys or random_apgr_spread(curve.test.strong, curve.test.weak) is None:
        return pd.DataFrame(columns=columns)
    values, samples = resampled(curve, keys, rng=rng, draws=draws)
    base = [keys.index(((plan or fixed_plan()).baseline, size)) for _, size in keys]
    levels = simultaneous(values, samples)
    leads, drawn = values - values[base], samples - samples[:, base]
    spans = simultaneous(leads, drawn)
    head = [(size, router, len(curve.test), len(curve.gains[router, size])) for router, size in keys]
    numbers = np.column_stack([values, levels, leads, spans])
    return pd.DataFrame([(*a, *b) for a, b in zip(head, numbers.tolist(), strict=True)], columns=columns)


def resampled(
    curve: Curve, keys: Sequence[tuple[str, int]], *, rng: np.random.Generator, draws: int
) -> tuple[Array, Array]:
    """Mean APGR over draws of labels, (k,), and on resamples of questions and of draws, (resamples, k)."""
    assert curve.test is not None
    gains = [curve.gains[key] for key in keys]
    rates = {str(number): rate for number, rate in enumerate(np.concatenate(gains))}
    found, each = bootstrap_pairs(rates, curve.test.strong, curve.test.weak, rng=rng, draws=draws, targets=())
    ends = np.cumsum([len(gain) for gain in gains])[:-1]
    picks, columns = rng.random((draws, max(map(len, gains)))), []
    areas = np.column_stack([sample["apgr"] for sample in each.values()])
    for part in np.split(areas, ends, axis=1):
        again = (picks[:, : part.shape[1]] * part.shape[1]).astype(int)
        columns.append(np.take_along_axis(part, again, axis=1).mean(axis=1))
    values = np.array([part.mean() for part in np.split(found["apgr"].to_numpy(), ends)])
    return values, np.column_stack(columns)


def ceilings(curve: Curve, *, rng: np.random.Generator, draws: int = 200) -> pd.DataFrame:
    """What could be reached at all: four levels, each honest about something else.

    The order of the outcomes themselves needs the answers; the subjects' means in sample are told by the
    questions judged on, and so too high by what shuffled subjects reach; the curve's limit, and where it will
    be with ten times the labels, are a power law's, a - b / labels ** c, through the best line. With one
    outcome per model and question no data tells which of the rest is knowable.

    Parameters
    ----------
    curve : as `learning_curve` gives it.
    rng, draws : of shuffles and resamples.

    Returns
    -------
    A row per level: level, apgr, low, high; NaN where it has no interval, no row where there is no gap.
    """
    columns = ["level", "apgr", "low", "high"]
    test = curve.test
    if test is None or random_apgr_spread(test.strong, test.weak) is None:
        return pd.DataFrame(columns=columns)
    gain, (code, _) = test.strong - test.weak, pd.factorize(test.frame["task"])
    of = area_of_means(test, code)
    luck = [area_of_means(test, rng.permutation(code)) for _ in range(20)]
    rows: list[tuple[str, float, float, float]] = [
        ("order of the outcomes themselves", area(gain, test), np.nan, np.nan),
        ("subjects' means, in sample", of, np.nan, np.nan),
        ("means of shuffled subjects, in sample", float(np.mean(luck)), *np.quantile(luck, [0.025, 0.975])),
    ]
    sizes = [size for size in curve.sizes if size >= _SMALLEST_FITTED]
    if len(sizes) >= 4:
        values, samples = resampled(curve, [(BOTH, size) for size in sizes], rng=rng, draws=draws)
        ends = {"ten times the labels, extrapolated": 10.0 * sizes[-1], "endless labels": np.inf}
        for level, at in ends.items():
            told = extrapolated(sizes, np.vstack([values, samples]), at)
            rows.append((level, told[0], *np.quantile(told[1:], [0.025, 0.975])))
    return pd.DataFrame(rows, columns=columns)


def area_of_means(test: PairScores, code: NDArray[np.intp]) -> float:
    """APGR of the order of groups by their mean gain on the very questions judged on."""
    means = np.bincount(code, test.strong - test.weak) / np.bincount(code)
    return area(means[code], test)


def extrapolated(sizes: ArrayLike, curves: Array, at: float) -> Array:
    """Learning curves a - b / size ** c (least squares, b >= 0, c from 0.2 to 1) read at another size.

    Parameters
    ----------
    sizes : (k,) numbers of labels.
    curves : (r, k) a curve in each row.
    at : number of labels; may be infinite.

    Returns
    -------
    (r,) values.
    """
    n, errors, values = np.asarray(sizes, dtype=float), [], []
    mean = curves.mean(axis=1)
    for c in _EXPONENTS:
        x = n**-c
        slope = np.minimum((curves - mean[:, None]) @ (x - x.mean()) / x.var() / len(n), 0)
        top = mean - slope * x.mean()
        errors.append(((top[:, None] + slope[:, None] * x - curves) ** 2).sum(axis=1))
        values.append(top + slope * at**-c)
    best = np.argmin(errors, axis=0)
    return np.asarray(np.array(values)[best, np.arange(len(curves))])


def evidence(curve: Curve, table: pd.DataFrame, gold: int) -> dict[str, Evidence]:
    """Evidence for the statements on golden labels, by the keys of the notebook's claims.

    What knowing nothing reaches is the 97.5% quantile of all runs on shuffled labels. These stray from .5
    further than random orders do, since they still sort questions by subject and form, only blindly.

    Parameters
    ----------
    curve : as `learning_curve` gives it.
    table : as `compared` gives it, at `gold` labels and at the most.
    gold : number of labels that the paper has.
    """
    if table.empty or curve.test is None:
        return {}
    blind = curve.frame.loc[curve.frame["router"] == SHUFFLED, "apgr"].to_numpy(dtype=float)
    floor, error = float(np.quantile(blind, 0.975)), float(blind.std() / np.sqrt(len(blind)))
    mean, n, runs = float(blind.mean()), len(curve.test), f"{len(blind)} runs on shuffled labels"
    most = curve.sizes[-1]
    found: dict[str, Evidence] = {
        "labels-shuffled": Estimate(mean, mean - _NORMAL * error, mean + _NORMAL * error, runs, n)
    }
    for size, end in ((gold, "1500"), (most, "all")):
        rows = table[table["labels"] == size].set_index("router")
        if len(rows) and (end != "all" or most > gold):
            level = [_estimate(rows, BOTH, "", size, floor)]
            found[f"labels-paper-{end}"] = found[f"labels-goal-{end}"] = level
            found[f"labels-lead-{end}"] = [_estimate(rows, line, "lead", size) for line in (BOTH, QUESTION)]
    return found


def _estimate(rows: pd.DataFrame, router: str, what: str, size: int, floor: float = -np.inf) -> Estimate:
    names = [what, f"{what}_low", f"{what}_high"] if what else ["apgr", "low", "high"]
    value, low, high, queries = rows.loc[[router], [*names, "queries"]].to_numpy(dtype=float)[0].tolist()
    return Estimate(value, low, high, f"{router}, {size:,} labels", int(queries), floor)


def area(rate: Array, pairs: PairScores) -> float:
    """APGR of win rates on queries; NaN without a gap."""
    shares, scores = threshold_sweep(rate, pairs.strong, pairs.weak)
    recovered = apgr(shares, scores, pairs.weak.mean(), pairs.strong.mean())
    return np.nan if recovered is None else recovered


def toy_battles(winners: Sequence[str]) -> Battles:
    """Battles between "strong" and "weak" on prompts of their own, for examples worked by hand.

    Parameters
    ----------
    winners : "model_a" (strong), "model_b" (weak) or "tie", one per battle.
    """
    prompts = [f"prompt {number}" for number in range(len(winners))]
    frame = pd.DataFrame({"prompt": prompts, "model_a": "strong", "model_b": "weak", "winner": list(winners)})
    return Battles(frame, Origin("simulated", "worked example"))
