"""How much of the oracle is luck: many models that guess are seldom all wrong at once.

The oracle of RouterBench (sec. 4.4) picks the best of m answers after the fact. On a question of k choices m
models that have not even read it leave it unsolved with probability (1 - 1/k)^m only: of eleven on four
choices the best is right on 95.8% of the questions, on two choices on 99.95%.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rb_support.catalog import ARC, DATASETS, HELLASWAG, MMLU, OTHER, WINOGRANDE
from rb_support.frontier import exceeds
from rb_support.outcomes import Outcomes
from rb_support.routers import oracle
from rb_support.stats import Array, bootstrap_weights, interval
from rb_support.verdicts import Estimate, Evidence, exact

_GUESSED = {MMLU: 1 / 4, HELLASWAG: 1 / 4, ARC: 1 / 4, WINOGRANDE: 1 / 2}
"""Probability to guess a question right; the other datasets of the papers offer nothing to guess from."""


_COLUMNS = ["n", "best_model", "oracle", "independent", "blind", "best_knows", "oracle_knows"]
_COLUMNS += [
    "oracle_knows_low",
    "oracle_knows_high",
    "lead_low",
    "lead_high",
    "oracle_usd",
    "independent_usd",
]


def guess_rate(dataset: str) -> float:
    """Probability that who has not read a question of a dataset is right; NaN for one of an own name."""
    return _GUESSED.get(dataset, 0.0 if dataset in (*DATASETS, OTHER) else np.nan)


def independent_oracle(quality: ArrayLike, cost: ArrayLike) -> Array:
    """Mean cost and quality of the oracle if the models' scores had nothing to do with one another.

    Each model keeps its own scores, but draws one of them at random on every query; costs stay in their
    places. Exact: with scores of 0 and 1 and accuracies p the quality is 1 - prod(1 - p).

    Parameters
    ----------
    quality, cost : (n, m) scores in [0, 1], taken in hundredths, and USD per query.

    Returns
    -------
    (2,) USD per query and quality.
    """
    scores, costs = np.rint(100 * np.asarray(quality, dtype=float)), np.asarray(cost, dtype=float)
    levels, order = np.unique(scores), np.argsort(costs, axis=1, kind="stable")
    paid, spent, reached = np.take_along_axis(costs, order, axis=1), 0.0, 0.0
    for level in levels:
        below, upto = (scores < level).mean(axis=0), (scores <= level).mean(axis=0)
        # The call goes to the cheapest of the best: all cheaper ones score less, all dearer ones no more.
        cheaper, dearer = below[order], upto[order]
        before = np.cumprod(np.hstack([np.ones((len(order), 1)), cheaper[:, :-1]]), axis=1)
        after = np.cumprod(np.hstack([np.ones((len(order), 1)), dearer[:, :0:-1]]), axis=1)[:, ::-1]
        chosen = before * (dearer - cheaper) * after
        spent += float((chosen * paid).sum() / len(order))
        reached += float(level / 100 * chosen.sum() / len(order))
    return np.array([spent, reached])


def knowing_oracle(quality: ArrayLike, oracle_quality: ArrayLike, guess: float) -> tuple[Array, Array]:
    """Mean quality of the best model and of the oracle once guesses are taken off.

    Who does not know an answer guesses it, each for itself, and is right with probability `guess` (a model
    that is right less often than that, with its own). So what all got wrong is what nobody knows, times the
    probability that all guessed wrong; and nobody knows no more than the best model leaves.

    Parameters
    ----------
    quality : (..., m) each model's mean quality.
    oracle_quality : (...) the oracle's.
    guess : probability in [0, 1); with 0 nothing changes.

    Returns
    -------
    best, oracle : (...) share of queries that the best model knows, and that any model knows.
    """
    means = np.asarray(quality, dtype=float)
    best = np.clip((means.max(axis=-1) - guess) / (1 - guess), 0, 1)
    all_wrong = np.prod(1 - np.minimum(guess, means), axis=-1)
    unknown = np.minimum((1 - np.asarray(oracle_quality)) / all_wrong, 1 - best)
    return best, 1 - unknown


def oracle_and_luck(outcomes: Outcomes, *, rng: np.random.Generator, draws: int = 1000) -> pd.DataFrame:
    """The oracle beside those of models that know less, per dataset and over all.

    Parameters
    ----------
    rng, draws : of the bootstrap over queries.

    Returns
    -------
    Indexed by dataset, "all" last (means weighted by rows): n; best_model; oracle; independent (see
    `independent_oracle`, within each dataset); blind (the oracle of models that only guess); best_knows,
    oracle_knows (see `knowing_oracle`); oracle_knows_low, oracle_knows_high (95%); lead_low, lead_high (of
    oracle_knows minus best_knows, at once for all datasets with choices to guess from); oracle_usd and
    independent_usd, per query. The columns on guesses are NaN where guessing has no known rate.
    """
    rows, drawn = {}, []
    level = 1 - 0.05 / max(sum(guess_rate(name) > 0 for name in outcomes.datasets), 1)
    for name in outcomes.datasets:
        part, guess = outcomes.of(name), guess_rate(name)
        called = oracle(part.quality, part.cost)[:, None]
        usd, got = (np.take_along_axis(each, called, axis=1)[:, 0] for each in (part.cost, part.quality))
        means, blind = part.quality.mean(axis=0), 1 - (1 - guess) ** len(part.models)
        alone_usd, alone = independent_oracle(part.quality, part.cost)
        best, knows = knowing_oracle(means, got.mean(), guess)
        shares = bootstrap_weights(len(part), draws, rng) / len(part)
        best_drawn, known = knowing_oracle(shares @ part.quality, shares @ got, guess)
        ends, lead = [interval(known), interval(known - best_drawn, level)]
        if got.min() == 1:  # all is solved, which no resample varies: so much may be unsolved nevertheless
            least = float(knowing_oracle(means, 0.025 ** (1 / len(part)), guess)[1])
            ends, lead = (least, ends[1]), (least - float(best), lead[1])
        drawn.append(known * len(part))
        values = (len(part), means.max(), got.mean(), alone, blind, float(best), float(knows))
        rows[name] = (*values, *ends, *lead, usd.mean(), alone_usd)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=_COLUMNS).rename_axis("dataset")
    over = table.mul(table["n"], axis=0).sum(skipna=False) / table["n"].sum()
    over["n"], over["best_model"] = len(outcomes), outcomes.quality.mean(axis=0).max()
    over["lead_low"] = over["lead_high"] = np.nan
    over["oracle_knows_low"], over["oracle_knows_high"] = interval(np.sum(drawn, axis=0) / len(outcomes))
    table.loc["all"] = over
    return table.astype({"n": int})


def below_the_calls(shares: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Whom the oracle calls, and below that how much of its quality is luck, as one table.

    Parameters
    ----------
    shares : of `pilot.oracle_shares`, perhaps with a column more.
    table : of `oracle_and_luck`, indexed by the datasets of these columns.

    Returns
    -------
    model (or "quality: …"), and a column per dataset, named with its number of queries.
    """
    known = ["best_model", "oracle", "independent", "blind", "best_knows", "oracle_knows"]
    below = table[[*known, "oracle_knows_low", "oracle_knows_high"]].T.dropna(how="all")
    below.index = pd.Index([f"quality: {name.replace('_', ' ')}" for name in below.index])
    sizes = {name: f"{name} (n = {n:,})" for name, n in table["n"].items()}
    return pd.concat([shares, below]).rename(columns=sizes).reset_index(names="model")


def explained_by_luck(table: pd.DataFrame) -> dict[str, bool]:
    """By dataset with choices to guess from: whether guessing explains all of the oracle's lead.

    Parameters
    ----------
    table : of `oracle_and_luck`.
    """
    guessed = table.drop(index="all")[lambda rows: [guess_rate(str(name)) > 0 for name in rows.index]]
    return {str(name): not exceeds(row["lead_low"], 0, 1) for name, row in guessed.iterrows()}


def evidence(
    outcomes: Outcomes, table: pd.DataFrame, *, rng: np.random.Generator, draws: int = 1000
) -> dict[str, Evidence]:
    """What notebook 02's statements on luck are held against, by their keys.

    Parameters
    ----------
    table : of `oracle_and_luck` for these outcomes.
    rng, draws : of the bootstrap over queries.
    """
    four = 1 - (1 - guess_rate(MMLU)) ** 11
    words = f"of eleven on two choices {1 - (1 - guess_rate(WINOGRANDE)) ** 11:.4f}, on four"
    known, together = [], []
    level = 1 - 0.05 / len(outcomes.datasets)
    for name, row in table.drop(index="all").iterrows():
        if guess_rate(str(name)) > 0:
            lead = row["oracle_knows"] - row["best_knows"]
            known.append(Estimate(lead, row["lead_low"], row["lead_high"], str(name), int(row["n"])))
        right = (outcomes.of(str(name)).quality >= 0.5).astype(float)
        count, n = right.sum(axis=1), len(right)
        shares = np.vstack([np.ones(n), bootstrap_weights(n, draws, rng)]) / n
        p = shares @ right
        value, *drawn = shares @ count**2 - (shares @ count) ** 2 - (p * (1 - p)).sum(axis=1)
        together.append(Estimate(float(value), *interval(drawn, level), str(name), n))
    return {
        "guessers-look-perfect": exact(four, words),
        "oracle-knows-more": known,
        "right-together": together,
    }


def solved_by(outcomes: Outcomes) -> pd.DataFrame:
    """Share of queries by how many models get them right (score of at least one half): index 0 … m.

    Returns
    -------
    Columns observed, and independent: what it would be if the models were right as often on every dataset,
    but each for itself (Poisson binomial, exact).
    """
    right, n = outcomes.quality >= 0.5, len(outcomes)
    observed = np.bincount(right.sum(axis=1), minlength=len(outcomes.models) + 1) / n
    independent = np.zeros(len(observed))
    for name in outcomes.datasets:
        rows = (outcomes.frame["dataset"] == name).to_numpy()
        counts = np.ones(1)
        for p in right[rows].mean(axis=0):
            counts = np.convolve(counts, [1 - p, p])
        independent += counts * rows.sum() / n
    table = pd.DataFrame({"observed": observed, "independent": independent})
    return table.rename_axis("models that are right")
