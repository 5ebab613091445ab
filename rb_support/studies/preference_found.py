"""Numbers that the sentences of notebook 06 name, read from its tables."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from rb_support.frontier import exceeds
from rb_support.outcomes import Outcomes, PairScores
from rb_support.preference.training_sets import Experiment
from rb_support.preference.win_model import WinModel
from rb_support.simulate import told_quality
from rb_support.studies.labels import area
from rb_support.studies.preference_controls import LENGTH
from rb_support.studies.preference_study import Router


def tier_gaps(tiers: pd.DataFrame) -> pd.DataFrame:
    """Gaps between models that are neighbours in rating, from the best down.

    Parameters
    ----------
    tiers : as `preference_claims.tier_table` gives it.

    Returns
    -------
    A row per neighbouring pair: above and below (models), gap (rating points), cut (whether a border between
    tiers runs through it), place (the middle of the gap).
    """
    ratings, tier, model = (tiers[name].to_numpy() for name in ("rating", "tier", "model"))
    columns = {"above": model[:-1], "below": model[1:], "gap": ratings[:-1] - ratings[1:]}
    middle = (ratings[:-1] + ratings[1:]) / 2
    return pd.DataFrame({**columns, "cut": tier[:-1] != tier[1:], "place": middle})


def tiers_apart(tiers: pd.DataFrame) -> pd.Series[int]:
    """How many tiers lie between ours and the paper's, of the models of a `tier_table` that have both."""
    return (tiers["tier"] - tiers["paper_tier"]).abs().dropna()


def apart(tiers: pd.DataFrame, model: str) -> tuple[float, float, bool] | None:
    """How a model stands to the best of the others: both ratings, and whether it stands well apart.

    Well apart is above that one by more than all other neighbours' gaps.

    Parameters
    ----------
    tiers : as `preference_claims.tier_table` gives it.
    model : the model; None comes back if it is not rated, or alone.
    """
    mine = tiers.loc[tiers["model"] == model, "rating"].to_numpy()
    others = tiers.loc[tiers["model"] != model].reset_index(drop=True)
    if not len(mine) or others.empty:
        return None
    best = float(others["rating"].iloc[0])
    widest = max(tier_gaps(others)["gap"], default=0.0)
    return float(mine[0]), best, bool(exceeds(float(mine[0]) - best, widest, 1000.0))


def histories(routers: Mapping[tuple[str, str], Router]) -> pd.DataFrame:
    """Losses in training of all win models that train.

    Parameters
    ----------
    routers : as `preference_study.trained` gives them.

    Returns
    -------
    A row per look at the losses: training, router, member (of a model that averages several), look (from 1),
    step, train and validation (mean cross-entropy of a battle, in nats; the latter NaN where nothing is held
    out), kept (whether these weights were kept, the first with the least validation loss).
    """
    columns = ["training", "router", "member", "look", "step", "train", "validation"]
    rows = []
    for (training, name), router in routers.items():
        member, look, before = 0, 0, 0.0
        for step, train, validation in router.history if isinstance(router, WinModel) else []:
            member, look = (member + 1, 1) if step <= before else (max(member, 1), look + 1)
            rows.append((training, name, member, look, int(step), train, validation))
            before = step
    frame = pd.DataFrame(rows, columns=columns)
    least = frame.groupby(columns[:3])["validation"].transform("min")
    first = ~frame.assign(least=frame["validation"] == least).duplicated([*columns[:3], "least"])
    return frame.assign(kept=(frame["validation"] == least) & first)


def trained_how_far(losses: pd.DataFrame) -> pd.DataFrame:
    """What training did to the validation loss, the mean over members.

    Parameters
    ----------
    losses : as `histories` gives them.

    Returns
    -------
    A row per training set and router: first, kept and last validation loss, and last training loss. None of
    a model for which nothing was held out.
    """
    known = losses.dropna(subset="validation")
    runs = known.groupby(["training", "router", "member"], sort=False)
    looks = {
        name: ("validation", look) for name, look in (("first", "first"), ("kept", "min"), ("last", "last"))
    }
    ends = runs.agg(**looks, train=("train", "last"))
    return ends.groupby(level=[0, 1], sort=False).mean().reset_index()


def standing(found: pd.DataFrame) -> pd.DataFrame:
    """How the trained routers of each benchmark stand to knowing nothing.

    Parameters
    ----------
    found : as `preference_study.results` gives it, with `shuffled`.

    Returns
    -------
    A row per benchmark with a gap, indexed by its name: trained (routers), above (their whole simultaneous
    interval is above .5 and their APGR above the level of shuffled labels), below (the whole interval is
    below .5), best (router and training set) and its apgr, length (APGR of the prompt's length).
    """
    rows = []
    for name, part in found.dropna(subset="apgr").groupby("benchmark", sort=False):
        learnt = part[part["training"] != ""]
        if learnt.empty:
            continue
        surely = exceeds(learnt["apgr_low"], 0.5) & exceeds(learnt["apgr"], learnt["shuffled"])
        above, below = int(surely.sum()), int(exceeds(0.5, learnt["apgr_high"]).sum())
        top = learnt.iloc[int(learnt["apgr"].to_numpy().argmax())]
        length = part.loc[part["router"] == LENGTH, "apgr"]
        best = f"{top['router']} on {top['training']}"
        rows.append((name, len(learnt), above, below, best, top["apgr"], float(length.iloc[0])))
    columns = ["benchmark", "trained", "above", "below", "best", "apgr", "length"]
    return pd.DataFrame(rows, columns=columns).set_index("benchmark")


def ceilings(outcomes: Outcomes, benchmarks: Mapping[str, PairScores], *, seed: int) -> dict[str, float]:
    """APGR of ordering queries by the lead that the simulation expects, given what their prompts reveal.

    No router can know more of a query than its topic and the level of its wording, so beyond this lies
    luck. With few queries luck is large, and the number may pass 1.

    Parameters
    ----------
    outcomes : whole table of `rb_support.simulate.simulate_outcomes` that the benchmarks' rows are from.
    benchmarks : name -> queries with two models' scores, all rows of a dataset or some.
    seed : that the table was made with.

    Returns
    -------
    Name -> APGR; NaN without a gap.

    Raises
    ------
    ValueError
        As `rb_support.simulate.told_quality`.
    """
    told = pd.DataFrame(told_quality(outcomes, seed=seed), outcomes.frame["sample_id"], outcomes.models)
    found = {}
    for name, pair in benchmarks.items():
        mine = told.loc[pair.frame["sample_id"]]
        lead = mine[pair.strong_model] - mine[pair.weak_model]
        found[name] = area(lead.to_numpy(dtype=float), pair)
    return found


def revealed(experiment: Experiment, *, seed: int) -> dict[str, float]:
    """APGR of what the prompts reveal, by benchmark; none of rows not simulated, for which nobody knows it.

    Parameters
    ----------
    experiment : training data and benchmarks.
    seed : that the rows were simulated with.
    """
    if experiment.origin.kind != "simulated" or experiment.outcomes is None:
        return {}
    return ceilings(experiment.outcomes, experiment.benchmarks, seed=seed)


def outside(curves: pd.DataFrame) -> pd.DataFrame:
    """How much of each curve lies outside the band of random orders.

    Parameters
    ----------
    curves : as `preference_study.curve_table` gives them.

    Returns
    -------
    A row per benchmark, router and training set with a gap: these, and above and below, the share of the
    points at which the router recovers more, or less, than 95% of random orders.
    """
    known = curves.dropna(subset="pgr")
    excess = known["pgr"] - known["share"]
    above, below = (exceeds(sign * excess, known["chance"], 1.0).astype(float) for sign in (1, -1))
    frame = known.assign(above=above, below=below)
    keys = ["benchmark", "router", "training"]
    return frame.groupby(keys, sort=False)[["above", "below"]].mean().reset_index()
