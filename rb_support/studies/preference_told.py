"""What there is to see in notebook 06, in sentences that are filled from the run.

Every sentence that depends on numbers is chosen by them, so that it is right on simulated, real and own rows.
No number is typed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from rb_support.frontier import exceeds
from rb_support.outcomes import Battles, PairScores
from rb_support.preference.tiers import ELO
from rb_support.stats import interval
from rb_support.studies import labels
from rb_support.studies.preference_found import apart, outside, tier_gaps, trained_how_far
from rb_support.studies.preference_query import Neighbourhood
from rb_support.studies.preference_study import FACTORIZATION, SW
from rb_support.verdicts import Fact

_FAR = 0.1  # of win rates; within less than that they are about the same
_ROSE = 0.001  # nats; a loss that ends higher than its least by less has not risen
NO_GAP = "Both models score the same: there is no gap to recover."


def battles(counts: pd.DataFrame) -> str:
    """How many battles the classes fight, and how often the strong one wins by each kind of label.

    Parameters
    ----------
    counts : a row per training set: battles, strong against weak, strong class wins.
    """
    first, won = counts.iloc[0], counts["strong class wins"]
    head = (
        f"Of {first['battles']:,.0f} battles in {counts.index[0]}, {first['strong against weak']:,.0f} are "
        f"between the strong and the weak class. The strong one wins {won.min():.1%}"
    )
    if not exceeds(won.max(), won.min()):
        return f"{head} of these."
    return (
        f"{head} of such battles in {won.idxmin()} and {won.max():.1%} in {won.idxmax()}: each kind of label "
        "has a level of its own, as what one calls a win another calls a tie."
    )


def ratings(tiers: pd.DataFrame, votes: Battles, strong: str, *, papers: bool) -> str:
    """Whether the strong model stands apart, and how ratings' errors compare with the gaps between tiers.

    Parameters
    ----------
    tiers : as `preference_claims.tier_table` gives it, of these votes.
    strong : the strong model.
    papers : whether the paper's tiers belong beside these rows.
    """
    top = apart(tiers, strong)
    if top is None:
        said = [f"{strong} fights in none of these battles."]
    else:
        does = "stands well apart" if top[2] else "does not stand apart"
        said = [f"At {top[0]:.0f}, with the best other model at {top[1]:.0f}, {strong} {does}."]
    fought = float(votes.frame[["model_a", "model_b"]].stack().value_counts().median())
    error, gaps = 2 * ELO / np.sqrt(fought), tier_gaps(tiers)
    cuts = gaps.loc[gaps["cut"], "gap"]
    said.append(
        f"The median model fought {fought:.0f} battles, which leaves its rating uncertain by some "
        f"{error:.0f} points"
    )
    if cuts.empty:
        return " ".join([*said, "; there is one tier."]).replace(" ;", ";")
    narrow = int((cuts < error).sum())
    said[-1] += f"; {narrow} of {len(cuts)} borders between tiers run through gaps smaller than that."
    distance = (tiers["tier"] - tiers["paper_tier"]).abs().dropna()
    if papers and len(distance):
        said.append(
            f"{(distance == 0).sum()} of {len(distance)} models fall into the paper's tier, and "
            f"{(distance <= 1).sum()} into it or a neighbouring one."
        )
    return " ".join(said)


def contamination(table: pd.DataFrame) -> str:
    """How many queries were discarded, and whose prompts they are near.

    Parameters
    ----------
    table : as `preference_controls.clean` gives it.
    """
    gone = int(table.groupby("benchmark")["discarded"].first().sum())
    most = table.iloc[int(table["close"].to_numpy().argmax())]
    if not most["close"]:
        return "No query is close to a training prompt."
    return (
        f"{gone:,} queries are discarded. Most come from {most['benchmark']} beside {most['training']}: "
        f"{most['close']:,} of {most['queries']:,}."
    )


def one_query(near: Neighbourhood, query: int, gammas: Sequence[float]) -> str:
    """How loud the nearest battles are, how far win rates spread, and whether gamma turns decisions.

    Parameters
    ----------
    near : battles around queries.
    query : the one shown.
    gammas : rising; the second is the paper's.
    """
    (_, usual, sharp), alpha = gammas, near.base
    heard = [float(near.nearest(query, gamma)["weight"].sum()) for gamma in (usual, sharp)]
    spread = [float(np.ptp(near.win_rates(gamma))) for gamma in (usual, sharp)]
    calls = np.array([near.calls_strong(gamma, alpha) for gamma in gammas])
    turned = np.asarray(calls.any(axis=0) & ~calls.all(axis=0))
    mine = ", this one among them" if turned[query] else ""
    return (
        f"Of {len(near.share):,} battles those shown have {heard[0]:.1%} of the weight at γ = {usual:g} and "
        f"{heard[1]:.1%} at γ = {sharp:g}; so the win rates of all queries lie within {spread[0]:.3f} of "
        f"each other, and within {spread[1]:.3f}. With the strong model's share of all wins, {alpha:.3f}, as "
        f"the threshold, the decision hangs on γ for {turned.sum()} of {len(near.queries)} queries{mine}."
    )


def order(
    rate: Iterable[float],
    queries: PairScores,
    chance: pd.DataFrame | None,
    reached: float | None,
    gold: Battles,
) -> str:
    """What an order of a benchmark's queries recovers, beside random orders of the same.

    Parameters
    ----------
    rate : of the queries.
    queries : with both models' scores.
    chance : as `pairs.random_metrics` gives it; None without a gap.
    reached : CPT at half of the gap; None where there is none.
    gold : the golden labels learnt from.
    """
    alone = f"On {np.mean(gold.share == 1):.1%} of the golden questions the strong model alone is right."
    if chance is None or reached is None:
        return f"{alone} {NO_GAP}"
    area = labels.area(np.asarray(rate, dtype=float), queries)
    low, high = chance.loc[["apgr"], ["low", "high"]].to_numpy(dtype=float)[0].tolist()
    lies = "above" if exceeds(area, high) else "below" if exceeds(low, area) else "inside"
    return (
        f"{alone} The order has APGR {area:.3f}, {lies} the interval of random orders of these very queries, "
        f"{low:.3f} to {high:.3f}; half of the gap takes {reached:.1%} of the calls."
    )


def training(losses: pd.DataFrame, name: str) -> str:
    """What training did to matrix factorization's loss on prompts held out.

    Parameters
    ----------
    losses : as `preference_found.histories` gives them.
    name : of the training set.
    """
    far = trained_how_far(losses)
    mine = far[(far["router"] == FACTORIZATION) & (far["training"] == name)]
    if mine.empty:
        return "Too few prompts to hold some out: the last weights are kept."
    run = mine.iloc[0]
    fell = exceeds(run["first"], run["kept"])
    goes = (
        f"falls from {run['first']:.3f} to {run['kept']:.3f}"
        if fell
        else f"never falls below {run['kept']:.3f}"
    )
    rose = run["last"] - run["kept"] > _ROSE
    after = "What is learnt after the dot is these battles by heart, so" if rose else "So"
    return (
        f"On {name} matrix factorization's held-out loss {goes} nats (mean of its members) and ends at "
        f"{run['last']:.3f}, while the training loss goes to {run['train']:.3f}. {after} the weights at the "
        "dot are kept."
    )


def standing(stands: pd.DataFrame) -> str:
    """How many trained routers of each benchmark know something, and which is the best.

    Parameters
    ----------
    stands : as `preference_found.standing` gives it, by benchmark, with a `ceiling` or NaN.
    """
    lines = []
    for name, row in stands.iterrows():
        known = f", ceiling {row['ceiling']:.3f}" if np.isfinite(row["ceiling"]) else ""
        lines.append(
            f"{name} {row['above']} and {row['below']}, best {row['best']} {row['apgr']:.3f} (prompt length "
            f"{row['length']:.3f}{known})"
        )
    if not lines:
        return NO_GAP
    head = (
        f"Of {stands['trained'].max()} trained routers, so many are surely above random and shuffled labels, "
        "and so many surely below random:"
    )
    return f"{head} {'; '.join(lines)}. The best of several is flattered."


def curves(table: pd.DataFrame) -> str:
    """How many curves leave the band of random orders, and which do so most.

    Parameters
    ----------
    table : as `preference_study.curve_table` gives it.
    """
    out = outside(table)
    if out.empty:
        return NO_GAP
    said = []
    for side in ("above", "below"):
        top = out.iloc[int(out[side].to_numpy().argmax())]
        which = f"{top['router']} on {top['training']}, {top['benchmark']}"
        most = f" (most: {which}, {top[side]:.0%})" if top[side] else ""
        said.append(f"{(out[side] > 0.5).sum()} {side} it{most}")
    return (
        f"Which curves leave the band at more than half of the call shares? Of {len(out)}, {'; '.join(said)}."
    )


def held_out(losses: pd.DataFrame, bins: pd.DataFrame) -> str:
    """How many win models beat the base rate, and how timid SW ranking is.

    Parameters
    ----------
    losses, bins : as `preference_controls.log_losses` and `reliability` give them.
    """
    if losses.empty:
        return "There are too few battles between the classes to hold some out."
    better = int(exceeds(losses["low"], 0, 1).sum())
    worse = int(exceeds(0, losses["high"], 1).sum())
    timid = bins[bins["router"] == SW].groupby("training")[["predicted", "won"]].agg(np.ptp).max()
    return (
        f"Of {len(losses)} win models {better} are surely better than the base rate, and {worse} surely "
        f"worse. Between bins of one set SW ranking's win rates differ by {timid['predicted']:.3f} at most, "
        f"and what came out by {timid['won']:.3f}. Steeper than the diagonal is too timid, flatter too sure "
        "of itself."
    )


def below(by_category: pd.DataFrame, orders: pd.DataFrame, where: tuple[str, str]) -> str:
    """Which categories SW ranking sends first and last, and how wide the gap is there.

    Parameters
    ----------
    by_category, orders : as `category_study.categories` and `orders` give them.
    where : training set and benchmark.
    """
    mine = by_category[by_category["router"] == SW].sort_values("win_rate", kind="stable")
    areas = orders.loc[orders["training"] == where[0], "apgr"].dropna()
    if areas.empty or mine.empty:
        return NO_GAP
    under = int(exceeds(0.5, areas).sum())
    head = f"Trained on {where[0]}, {under} of {len(areas)} routers lie below random on {where[1]}."
    last, first = mine.iloc[0], mine.iloc[-1]
    if len(mine) < 2:
        return f"{head} It has one category, so its inside is all there is to order."
    return (
        f"{head} SW ranking sends first *{first['category']}*, where the gap is {first['gap']:.2f}, and last "
        f"*{last['category']}*, where it is {last['gap']:.2f}."
    )


def turning(mix_table: pd.DataFrame, share: float = 0.5) -> str:
    """What it does to APGR when a share of the weight goes to the benchmark's own comparisons.

    Parameters
    ----------
    mix_table : as `category_study.mix_table` gives it.
    share : own share to name.
    """
    rows = mix_table.dropna(subset="apgr").set_index("own_share")["apgr"]
    if rows.empty:
        return NO_GAP
    alone, own = float(rows.loc[0.0]), float(rows.loc[share])
    told = (
        f"With {share:.0%} of the weight on the benchmark's own comparisons SW ranking's APGR goes from "
        f"{alone:.3f} to {own:.3f}: "
    )
    if exceeds(0.5, alone) and exceeds(own, 0.5):
        return told + "the order turns over, though the prompts of the training set stay."
    if exceeds(0.5, alone):
        return told + "the order does not turn over."
    return told + "the order was not upside down to begin with."


def similarity(table5: pd.DataFrame, goes: Fact, *, papers: bool) -> str:
    """Whether similarity goes with performance, and what augmentation did to the mean APGR.

    Parameters
    ----------
    table5 : benchmark, training, similarity, mean_apgr.
    goes : as `preference_claims.goes_with` gives it.
    papers : whether the paper's correlation belongs beside these rows.
    """
    known = table5.dropna(subset="mean_apgr")
    if known.empty:
        return NO_GAP
    votes = known["training"].iloc[0]
    words = goes.words if papers else goes.words.split(";")[0]
    said = [f"{words[:1].upper()}{words[1:]}."]
    base = known[known["training"] == votes].set_index("benchmark")["mean_apgr"]
    grown = known[known["training"] != votes]
    if len(grown):
        change = grown["mean_apgr"] - grown["benchmark"].map(base)
        ends = [(change.loc[at], grown.loc[at]) for at in (change.idxmin(), change.idxmax())]
        least, most = (f"{value:+.3f} ({row['training']}, {row['benchmark']})" for value, row in ends)
        said.append(f"Against {votes}, the other sets change mean APGR by {least} to {most}.")
    return " ".join(said)


def golden(curve: labels.Curve, worth: pd.DataFrame) -> str:
    """What choosing among routers by golden labels brings, and how far shuffled labels stray.

    Parameters
    ----------
    curve : as `labels.learning_curve` gives it.
    worth : as `labels.compared` gives it.
    """
    rows = worth[worth["labels"] == worth["labels"].max()].set_index("router")
    if rows.empty or curve.test is None:
        return "There are too few labels, or no gap, to say."
    rest, own = rows.loc[labels.BOTH], rows.loc[labels.OWN]
    blind = curve.frame.loc[curve.frame["router"] == labels.SHUFFLED, "apgr"]
    few = exceeds(0, own["lead"], 1) and exceeds(rest["lead"], own["lead"], 1)
    own_words = ": too few labels to *choose* by" if few else ""
    return (
        f"With {worth['labels'].max():,} labels, on {len(curve.test):,} questions: chosen by further "
        f"questions APGR {rest['apgr']:.3f}, a lead over SW ranking of {lead(rest)}; chosen by its own "
        f"labels {own['apgr']:.3f}, {lead(own)}{own_words}. Runs on shuffled labels, which still sort by "
        f"subject and form, lie between {blind.min():.3f} and {blind.max():.3f}: a lead counts above those."
    )


def lead(row: pd.Series[float]) -> str:
    """A lead with its interval, if it has one, and whether it is sure: above zero as a whole."""
    if not np.isfinite(row["lead_low"]):
        return f"{row['lead']:+.3f} (too few rows for an interval)"
    sure = "sure" if exceeds(row["lead_low"], 0, 1) else "not sure"
    return f"{row['lead']:+.3f} [{row['lead_low']:+.3f}, {row['lead_high']:+.3f}] ({sure})"


def limits(table: pd.DataFrame) -> str:
    """What subjects tell beyond luck, and where the learning curve may end.

    Parameters
    ----------
    table : as `labels.ceilings` gives it.
    """
    rows = table.set_index("level")
    if rows.empty:
        return NO_GAP
    own, luck = (
        float(rows["apgr"][rows.index.str.contains(part)].iloc[0]) for part in ("means, in", "shuffled")
    )
    said = [f"Subjects reach {own:.3f} in sample, and shuffled subjects, by luck alone, {luck:.3f}."]
    for end in rows.index[rows.index.str.contains("endless")]:
        low, high = rows.loc[end, ["low", "high"]]
        said.append(
            f"The curve continued without end: {rows.loc[end, 'apgr']:.3f} [{low:.3f}, {high:.3f}], an "
            "extrapolation."
        )
    return " ".join(said)


def findings(
    stands: pd.DataFrame, near: Neighbourhood, losses: pd.DataFrame, mixed: pd.DataFrame, worth: pd.DataFrame
) -> str:
    """Five lines of what was found; parameters are those of the sentences above."""
    tops = "; ".join(f"{name} {row['apgr']:.3f} ({row['best']})" for name, row in stands.iterrows())
    sums = stands[["trained", "above", "below"]].sum().astype(int)
    low, high = interval(near.win_rates())
    hears = "tells queries apart" if high - low > _FAR else "hears everybody"
    better = int(exceeds(losses["low"], 0, 1).sum())
    rows = worth[worth["labels"] == worth["labels"].max()].set_index("router")
    chosen = f"leads by {lead(rows.loc[labels.BOTH])}" if len(rows) else "cannot be judged on these rows"
    lines = [
        f"The best trained routers: {tops or 'none, as there is no gap'}.",
        f"Of {sums['trained']} routers judged, {sums['above']} are surely above random and shuffled labels, "
        f"and {sums['below']} surely below random; {better} of {len(losses)} predict held-out battles "
        "surely better than the base rate.",
        f"SW ranking {hears}: with {len(near.share):,} battles most queries get a win rate between "
        f"{low:.3f} and {high:.3f}.",
        turning(mixed),
        f"With golden labels alone, the router chosen among many, beside SW ranking, {chosen}.",
    ]
    return "\n".join(f"* {line}" for line in lines)
