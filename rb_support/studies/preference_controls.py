"""What gives a router's number its meaning: what is kept apart, simple rules, ceilings, shuffled labels.

`clean` discards contaminated queries. `yardsticks` are orders that need no battle at all. `shuffled` trains
the same routers on battles whose prompts were dealt anew, and `floors` says how far these get by luck.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict

from rb_support.embed import unit
from rb_support.outcomes import Battles, PairScores, TableError
from rb_support.outcomes.splits import same_text
from rb_support.pairs import random_apgr_spread
from rb_support.preference.battle_sets import decontaminate, hold_out
from rb_support.preference.training_sets import Experiment
from rb_support.preference.win_model import inside, oriented
from rb_support.stats import Array, bootstrap_weights, simultaneous
from rb_support.studies import preference_study
from rb_support.studies.labels import area
from rb_support.studies.preference_study import Router, WinRates, by_table, subsample

LENGTH, RIDGE = "Prompt length", "Ridge on the benchmark"
MEANS, ORACLE = "Category means", "Oracle order"

RUNS: Mapping[str, int] = {"SW ranking": 3, "Matrix factorization": 5}
"""How often the prompts are dealt anew for a router and training set; once where a router is not named."""

_MOST = 3000  # queries that a shuffled router is judged on
_FOLDS = 5
_BINS, _FEWEST = 5, 20
_PENALTIES = np.logspace(-1, 4, 11)


def clean(
    experiment: Experiment, X: pd.DataFrame, *, discard: bool = True
) -> tuple[Experiment, pd.DataFrame]:
    """Discard the queries that stand in some training set, nearly or fully (RouteLLM App. B).

    A query that is close to a prompt of any training set is discarded for all, so that all training sets are
    judged on the same queries.

    Parameters
    ----------
    experiment : training data and benchmarks.
    X : embeddings by prompt, as `preference_study.embed_prompts` gives them.
    discard : False counts them and keeps them.

    Returns
    -------
    The experiment, and a row per benchmark and training set: benchmark, training, queries (before), close
    (to this set), published_list (what RouteLLM's list had taken out beforehand) and discarded (for any set;
    0 where nothing would be left, as where a small own table is learnt from and judged on).
    """
    rows, kept = [], {}
    for name, queries in experiment.benchmarks.items():
        asked = X.loc[queries.frame["prompt"]].to_numpy()
        sets = {t: X.loc[b.frame["prompt"].unique()].to_numpy() for t, b in experiment.training.items()}
        hits = {training: decontaminate(asked, known) for training, known in sets.items()}
        leaked = np.any(list(hits.values()), axis=0)
        out = leaked if discard and not leaked.all() else np.zeros(len(queries), dtype=bool)
        kept[name] = queries.take(~out)
        said = [note for note in queries.origin.notes if "also stand in RouteLLM" in note]
        listed = said[0] if said else "no list for these rows"
        rows += [(name, t, len(queries), int(hit.sum()), int(out.sum()), listed) for t, hit in hits.items()]
    columns = ["benchmark", "training", "queries", "close", "discarded", "published_list"]
    return replace(experiment, benchmarks=kept), pd.DataFrame(rows, columns=columns)


def yardsticks(tables: Mapping[str, PairScores], X: pd.DataFrame, *, seed: int = 0) -> list[WinRates]:
    """Orders of a benchmark's queries that no battle taught, to hold a router's APGR against.

    - `LENGTH`: the longer prompt to the strong model; what anybody can do without training.
    - `RIDGE`: the difference of the models' scores predicted from the same embeddings by ridge regression,
      which learnt it on other queries of this benchmark: what in-domain labels are worth.
    - `MEANS`: the mean difference of a query's category, known in sample; only where there are several.
    - `ORACLE`: the true difference; nobody can do better.

    Parameters
    ----------
    tables : name -> queries.
    X : embeddings by prompt.
    seed : of the folds.

    Returns
    -------
    Win rates whose training is empty; any increasing number serves as a rate.
    """
    rates = []
    for name, pairs in tables.items():
        gain, prompts = pairs.strong - pairs.weak, pairs.frame["prompt"]
        orders: dict[str, Array] = {LENGTH: np.asarray(prompts.str.len(), dtype=np.float64)}
        if (held := cross_fitted(X.loc[prompts].to_numpy(), gain, prompts, seed=seed)) is not None:
            orders[RIDGE] = held
        if pairs.frame["task"].nunique() > 1:
            means = pd.Series(gain).groupby(pairs.frame["task"].to_numpy()).transform("mean")
            orders[MEANS] = np.asarray(means, dtype=np.float64)
        orders[ORACLE] = gain
        rates += [WinRates("", rule, name, pairs, order) for rule, order in orders.items()]
    return rates


def cross_fitted(vectors: Array, gain: Array, prompts: Iterable[str], *, seed: int = 0) -> Array | None:
    """Predicted gains, each from a ridge regression that saw no query of the same fold, nor the same prompt.

    A fold's penalty is the one with the least error when each of the other folds' queries is left out.

    Parameters
    ----------
    vectors : (n, d) embeddings; used at unit length.
    gain : (n,) the strong model's score minus the weak one's.
    prompts : n texts; equal ones share a fold.
    seed : of the folds.

    Returns
    -------
    (n,) predictions; None with fewer than three different prompts.
    """
    codes, distinct = pd.factorize(np.array(same_text(pd.Series(list(prompts))), dtype=object))
    if len(distinct) < 3:
        return None
    parts = GroupKFold(min(_FOLDS, len(distinct)), shuffle=True, random_state=seed)
    x = unit(np.asarray(vectors, dtype=float))
    return np.asarray(cross_val_predict(RidgeCV(_PENALTIES), x, gain, groups=codes, cv=parts))


def dealt_anew(battles: Battles, rng: np.random.Generator) -> Battles:
    """Battles whose prompts are permuted: who fought and who won stays, what it was about is lost."""
    prompts = battles.frame["prompt"].to_numpy(dtype=object)
    note = "prompts were permuted: a control that knows nothing"
    frame = battles.frame.assign(prompt=prompts[rng.permutation(len(prompts))])
    return Battles(frame, battles.origin.noting([note]))


def shuffled(
    experiment: Experiment,
    candidates: Mapping[str, Router],
    X: pd.DataFrame,
    *,
    seed: int = 0,
    runs: Mapping[str, int] = RUNS,
    most_texts: int = 0,
) -> list[WinRates]:
    """The same routers, trained on battles whose prompts were dealt anew: what knowing nothing reaches.

    Routers that read texts take long to train, so that they do it for the first training set only.

    Parameters
    ----------
    experiment, candidates, X : as in `preference_study.trained`.
    seed : of the permutations.
    runs : router -> permutations; one that is not named gets one.
    most_texts : as in `preference_study.win_rates`; no router is judged on more than 3,000 queries here.

    Returns
    -------
    Win rates on the benchmarks, several of a router and training set.
    """
    tables = {
        name: subsample(pairs, _MOST, np.random.default_rng(0))
        for name, pairs in experiment.benchmarks.items()
    }
    rates = []
    for run in range(max([runs.get(name, 1) for name in candidates], default=0)):
        rng = np.random.default_rng([seed, run])
        dealt = {name: dealt_anew(battles, rng) for name, battles in experiment.training.items()}
        asked = {name: router for name, router in candidates.items() if run < runs.get(name, 1)}
        for texts, sets in ((False, list(dealt)), (True, list(dealt)[:1])):
            mine = {name: router for name, router in asked.items() if (router.reads == "texts") is texts}
            routers = preference_study.trained(replace(experiment, training=dealt), mine, X, sets)
            rates += preference_study.win_rates(routers, tables, X, most_texts=most_texts)
    return rates


def floors(null: Iterable[WinRates], rates: Iterable[WinRates]) -> dict[tuple[str, str], float]:
    """APGR that knowing nothing reaches: 97.5% of shuffled runs lie below, and of random orders.

    Shuffled runs of all routers and training sets that were judged on equally many queries count together.

    Parameters
    ----------
    null : as `shuffled` gives them.
    rates : of the routers to be judged.

    Returns
    -------
    (table, router) -> APGR; without a table that has no gap.
    """
    runs = list(null)
    reached = pd.DataFrame(
        [(one.table, one.router, len(one.pairs), area(one.rate, one.pairs)) for one in runs],
        columns=["table", "router", "n", "apgr"],
    )
    found = {}
    for table, judged in by_table(rates).items():
        here = reached[reached["table"] == table].dropna(subset="apgr")
        for one in judged:
            spread = random_apgr_spread(one.pairs.strong, one.pairs.weak)
            if spread is None or not one.training:
                continue
            mine = here.loc[here["router"] == one.router, "n"]
            alike = here.loc[here["n"].isin(mine), "apgr"]
            luck = [0.5 + float(norm.ppf(0.975)) * spread]
            luck += [float(np.quantile(alike, 0.975))] if len(alike) else []
            found[table, one.router] = max(luck)
    return found


def held_out_battles(
    experiment: Experiment, candidates: Mapping[str, Router], X: pd.DataFrame, *, seed: int = 0
) -> pd.DataFrame:
    """What routers say of a fifth of the battles, held out of their training (RouteLLM sec. 5: of 5,000).

    Equal prompts are never parted.

    Parameters
    ----------
    experiment, candidates, X : as in `preference_study.trained`.
    seed : of the draw.

    Returns
    -------
    A row per training set, router and held-out battle between the strong and the weak class: training,
    router, prompt, predicted (probability that the strong one wins), won (its share of the win) and base (its
    mean share in the battles that were learnt from). None of a set that cannot be parted so.
    """
    frames = [pd.DataFrame(columns=_BATTLE_COLUMNS)]
    for training, battles in experiment.training.items():
        try:
            parts = hold_out(battles, len(battles) // 5, rng=np.random.default_rng(seed))
            known, held = (
                replace(experiment, training={training: part}).battles(training, "classes") for part in parts
            )
        except TableError:  # too few prompts, or no battle between the classes
            continue
        rows, won = oriented(held, "strong", "weak")
        base = float(oriented(known, "strong", "weak")[1].mean())
        prompts = held.frame["prompt"].iloc[rows].tolist()
        rest = replace(experiment, training={training: parts[0]})
        for (_, name), router in preference_study.trained(rest, candidates, X, [training]).items():
            head = {"training": training, "router": name, "prompt": prompts}
            told = preference_study.rates_of(router, prompts, X)
            frames.append(pd.DataFrame({**head, "predicted": told, "won": won, "base": base}))
    return pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)


_BATTLE_COLUMNS = ["training", "router", "prompt", "predicted", "won", "base"]


def log_losses(battles: pd.DataFrame, *, rng: np.random.Generator, draws: int = 500) -> pd.DataFrame:
    """Log loss on held-out battles, and how much better it is than the base rate's.

    Parameters
    ----------
    battles : as `held_out_battles` gives them.
    rng, draws : of resamples of prompts, with all their battles.

    Returns
    -------
    A row per training set and router: training, router, battles, prompts, base_loss, loss (nats a battle),
    gain (base_loss - loss) with low and high. All intervals hold together: those of a training set by its
    resamples, the training sets by sharing the error.
    """
    rows, level = [], 1 - 0.05 / max(battles["training"].nunique(), 1)
    for training, part in battles.groupby("training", sort=False):
        routers = list(dict.fromkeys(part["router"]))
        losses = {name: _losses(part[part["router"] == name]) for name in routers}
        codes, distinct = pd.factorize(part.loc[part["router"] == routers[0], "prompt"])
        size = np.bincount(codes)
        drawn = bootstrap_weights(len(distinct), draws, rng)
        gains = {name: base - own for name, (own, base) in losses.items()}
        sums = np.column_stack([np.bincount(codes, weights=gain) for gain in gains.values()])
        samples = (drawn @ sums) / (drawn @ size)[:, None]
        values = [float(gain.mean()) for gain in gains.values()]
        ends = simultaneous(values, samples, level)
        for name, value, (low, high) in zip(routers, values, ends, strict=True):
            own, base = losses[name]
            rows.append((training, name, len(own), len(distinct), base.mean(), own.mean(), value, low, high))
    columns = ["training", "router", "battles", "prompts", "base_loss", "loss", "gain", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _losses(part: pd.DataFrame) -> tuple[Array, Array]:
    """(n,) log loss of the prediction, and of the base rate, in nats."""
    won = part["won"].to_numpy(dtype=float)
    told, base = (inside(part[column].to_numpy(dtype=float)) for column in ("predicted", "base"))
    own, blind = (-(won * np.log(p) + (1 - won) * np.log1p(-p)) for p in (told, base))
    return own, blind


def reliability(battles: pd.DataFrame) -> pd.DataFrame:
    """Calibration by up to five bins of equally many held-out battles, of 20 at least.

    Columns: training, router, bin, battles, predicted and won (means of the bin).
    """
    rows = []
    for (training, router), part in battles.groupby(["training", "router"], sort=False):
        rank = part["predicted"].rank(method="min").to_numpy()  # equal predictions share a bin
        bins = max(1, min(_BINS, len(part) // _FEWEST))
        of = ((rank - 1) * bins / len(part)).astype(int)
        means = part.groupby(of)[["predicted", "won"]].mean()
        means.insert(0, "battles", part.groupby(of).size())
        rows += [(training, router, place + 1, *row) for place, *row in means.itertuples()]
    return pd.DataFrame(rows, columns=["training", "router", "bin", "battles", "predicted", "won"])
