"""What there is to see in notebook 06, in sentences that are filled from the run.

Every sentence that depends on numbers is chosen by them, so that it is right on simulated, real and own rows.
The sentences stand in `words.toml`.
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
from rb_support.studies.preference_found import apart, outside, tier_gaps, tiers_apart, trained_how_far
from rb_support.studies.preference_query import Neighbourhood
from rb_support.studies.preference_study import FACTORIZATION, SW
from rb_support.studies.wording import says
from rb_support.verdicts import Fact

_FAR = 0.1  # of win rates; within less than that they are about the same
_ROSE = 0.001  # nats; a loss that ends higher than its least by less has not risen
_say = says("preference_told")
NO_GAP = "Both models score the same: there is no gap to recover."


def battles(counts: pd.DataFrame) -> str:
    """How many battles the classes fight, and how often the strong one wins by each kind of label.

    Parameters
    ----------
    counts : a row per training set: battles, strong against weak, strong class wins.
    """
    first, won = counts.iloc[0], counts["strong class wins"]
    against, ends = first["strong against weak"], {"least": won.min(), "most": won.max()}
    told = _say("battles", battles=first["battles"], training=counts.index[0], against=against, **ends)
    if not exceeds(won.max(), won.min()):
        return told + _say("all_alike")
    return told + _say("by_label", at_least=won.idxmin(), at_most=won.idxmax(), **ends)


def ratings(tiers: pd.DataFrame, votes: Battles, strong: str, *, papers: bool) -> str:
    """Whether the strong model stands apart, and how ratings' errors compare with the gaps between tiers.

    Parameters
    ----------
    tiers : as `preference_claims.tier_table` gives it, of these votes.
    strong : the strong model.
    papers : whether the paper's tiers belong beside these rows.
    """
    top = apart(tiers, strong)
    rating, other, well = top or (np.nan, np.nan, False)
    key = "unrated" if top is None else "well_apart" if well else "not_apart"
    said = [_say(key, rating=rating, other=other, strong=strong)]
    fought = float(votes.frame[["model_a", "model_b"]].stack().value_counts().median())
    error, gaps = 2 * ELO / np.sqrt(fought), tier_gaps(tiers)
    cuts = gaps.loc[gaps["cut"], "gap"]
    tail = _say("borders", narrow=(cuts < error).sum(), cuts=len(cuts)) if len(cuts) else _say("one_tier")
    said.append(_say("uncertain", fought=fought, error=error) + tail)
    distance = tiers_apart(tiers)
    if papers and len(cuts) and len(distance):
        same, near = (distance == 0).sum(), (distance <= 1).sum()
        said.append(_say("same_tiers", same=same, models=len(distance), near=near))
    return " ".join(said)


def contamination(table: pd.DataFrame) -> str:
    """How many queries were discarded, and whose prompts they are near.

    Parameters
    ----------
    table : as `preference_controls.clean` gives it.
    """
    gone = int(table.groupby("benchmark")["discarded"].first().sum())
    most = table.iloc[int(table["close"].to_numpy().argmax())]
    return _say("discarded" if most["close"] else "none_close", gone=gone, **most)


def one_query(near: Neighbourhood, query: int, gammas: Sequence[float]) -> str:
    """How loud the nearest battles are, how far win rates spread, and whether gamma turns decisions.

    Parameters
    ----------
    near : battles around queries.
    query : the one shown.
    gammas : rising; the second is the paper's.
    """
    (_, usual, sharp), alpha = gammas, near.base
    turned = near.turned(gammas, alpha)
    return _say(
        "one_query",
        battles=len(near.share),
        heard=[near.nearest(query, gamma)["weight"].sum() for gamma in (usual, sharp)],
        usual=usual,
        sharp=sharp,
        spread=[np.ptp(near.win_rates(gamma)) for gamma in (usual, sharp)],
        alpha=alpha,
        turned=turned.sum(),
        queries=len(near.queries),
        mine=", this one among them" if turned[query] else "",
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
    alone = _say("gold_alone", alone=np.mean(gold.share == 1))
    if chance is None or reached is None:
        return f"{alone} {NO_GAP}"
    area = labels.area(np.asarray(rate, dtype=float), queries)
    low, high = chance.loc[["apgr"], ["low", "high"]].to_numpy(dtype=float)[0].tolist()
    lies = "above" if exceeds(area, high) else "below" if exceeds(low, area) else "inside"
    return f"{alone} {_say('order', area=area, lies=lies, low=low, high=high, reached=reached)}"


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
        return _say("nothing_held_out")
    run = mine.iloc[0]
    goes = _say("falls" if exceeds(run["first"], run["kept"]) else "never_falls", **run)
    after = _say("by_heart") if run["last"] - run["kept"] > _ROSE else "So"
    return _say("training", goes=goes, after=after, **run)


def standing(stands: pd.DataFrame) -> str:
    """How many trained routers of each benchmark know something, and which is the best.

    Parameters
    ----------
    stands : as `preference_found.standing` gives it, by benchmark, with a `ceiling` or NaN.
    """
    if stands.empty:
        return NO_GAP
    ceilings = [f", ceiling {each:.3f}" if np.isfinite(each) else "" for each in stands["ceiling"]]
    rows = zip(stands.iterrows(), ceilings, strict=True)
    lines = "; ".join(_say("stands", name=name, known=known, **row) for (name, row), known in rows)
    return _say("standing", trained=stands["trained"].max(), lines=lines)


def curves(table: pd.DataFrame) -> str:
    """How many curves leave the band of random orders, and which do so most.

    Parameters
    ----------
    table : as `preference_study.curve_table` gives it.
    """
    out = outside(table)
    if out.empty:
        return NO_GAP
    said = {}
    for side in ("above", "below"):
        top = out.iloc[int(out[side].to_numpy().argmax())]
        most = _say("most_outside", share=top[side], **top) if top[side] else ""
        said[side] = f"{(out[side] > 0.5).sum()} {side} it{most}"
    return _say("curves", curves=len(out), **said)


def held_out(losses: pd.DataFrame, bins: pd.DataFrame) -> str:
    """How many win models beat the base rate, and how timid SW ranking is.

    Parameters
    ----------
    losses, bins : as `preference_controls.log_losses` and `reliability` give them.
    """
    if losses.empty:
        return _say("too_few_battles")
    better = exceeds(losses["low"], 0, 1).sum()
    worse = exceeds(0, losses["high"], 1).sum()
    timid = bins[bins["router"] == SW].groupby("training")[["predicted", "won"]].agg(np.ptp).max()
    ends = {"predicted": timid["predicted"], "won": timid["won"]}
    return _say("held_out", models=len(losses), better=better, worse=worse, **ends)


def below(by_category: pd.DataFrame, orders: pd.DataFrame, where: tuple[str, str]) -> str:
    """Which categories SW ranking sends first and last, and how wide the gap is there.

    Parameters
    ----------
    by_category, orders : as `category_study.categories` and `orders` give them.
    where : training set and benchmark.
    """
    training, benchmark = where
    mine = by_category[by_category["router"] == SW].sort_values("win_rate", kind="stable")
    areas = orders.loc[orders["training"] == training, "apgr"].dropna()
    if areas.empty or mine.empty:
        return NO_GAP
    under = exceeds(0.5, areas).sum()
    head = _say("below", training=training, under=under, routers=len(areas), benchmark=benchmark)
    if len(mine) < 2:
        return f"{head} {_say('one_category')}"
    return f"{head} {_say('categories', first=mine.iloc[-1], last=mine.iloc[0])}"


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
    told = _say("turning", share=share, alone=alone, own=own)
    if not exceeds(0.5, alone):
        return told + _say("was_right")
    return told + _say("turns" if exceeds(own, 0.5) else "does_not_turn")


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
        said.append(_say("grown", votes=votes, least=least, most=most))
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
        return _say("too_few_labels")
    rest, own = rows.loc[labels.BOTH], rows.loc[labels.OWN]
    blind = curve.frame.loc[curve.frame["router"] == labels.SHUFFLED, "apgr"]
    few = exceeds(0, own["lead"], 1) and exceeds(rest["lead"], own["lead"], 1)
    return _say(
        "golden",
        labels=worth["labels"].max(),
        questions=len(curve.test),
        rest=rest,
        rest_lead=lead(rest),
        own=own,
        own_lead=lead(own),
        few=": too few labels to *choose* by" if few else "",
        low=blind.min(),
        high=blind.max(),
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
    if table.empty:
        return NO_GAP
    is_of = table["level"].str.contains
    own, luck = (table.loc[is_of(part), "apgr"].iloc[0] for part in ("means, in", "shuffled"))
    endless = [_say("endless", **row) for _, row in table[is_of("endless")].iterrows()]
    return " ".join([_say("subjects", own=own, luck=luck), *endless])


def findings(
    stands: pd.DataFrame, near: Neighbourhood, losses: pd.DataFrame, mixed: pd.DataFrame, worth: pd.DataFrame
) -> str:
    """Five lines of what was found; parameters are those of the sentences above."""
    tops = "; ".join(f"{name} {row['apgr']:.3f} ({row['best']})" for name, row in stands.iterrows())
    low, high = interval(near.win_rates())
    rows = worth[worth["labels"] == worth["labels"].max()].set_index("router")
    return _say(
        "findings",
        tops=tops or "none, as there is no gap",
        **stands[["trained", "above", "below"]].sum(),
        better=exceeds(losses["low"], 0, 1).sum(),
        models=len(losses),
        hears="tells queries apart" if high - low > _FAR else "hears everybody",
        battles=len(near.share),
        low=low,
        high=high,
        turning=turning(mixed),
        chosen=f"leads by {lead(rows.loc[labels.BOTH])}" if len(rows) else "cannot be judged on these rows",
    )
