"""Routers trained once and used on many tables of queries, as they judge a query and no pair of models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.preference.training_sets import Material
from rb_support.preference.win_model import WinModel
from rb_support.studies.preference import Candidate, Router, rates_of, train
from rb_support.studies.transfer import Pairs, benchmark_of

Array = NDArray[np.float64]


def trained(
    material: Material, candidates: Mapping[str, Candidate], X: pd.DataFrame, trainings: Iterable[str]
) -> dict[tuple[str, str], Router]:
    """Routers by training set and name; out of the cache where the same ones were trained before.

    Parameters
    ----------
    material : training data.
    candidates : name -> router.
    X : embeddings by prompt, as `embed_prompts` gives them.
    trainings : names of the training sets.
    """
    routers = {}
    for training in dict.fromkeys(trainings):
        for name, candidate in candidates.items():
            router = train(material, training, candidate, X)
            if isinstance(router, WinModel) and "progress" in router.how:
                vars(router)["progress"] = False  # scoring a few hundred prompts needs no bar
            routers[training, name] = router
    return routers


def scored(router: Router, tables: Pairs, X: pd.DataFrame) -> dict[str, Array]:
    """Win rates on several tables; a prompt that stands in more than one is scored once.

    Parameters
    ----------
    router : trained.
    tables : name -> n queries; models and scores are not looked at.
    X : embeddings by prompt, as `embed_prompts` gives them.

    Returns
    -------
    Name -> (n,) probability that the strong model wins.
    """
    prompts = list(dict.fromkeys(prompt for table in tables.values() for prompt in table.frame["prompt"]))
    read: Any = prompts if router.reads == "texts" else X.loc[prompts].to_numpy()
    rate = pd.Series(rates_of(router, read), index=prompts)
    return {name: np.asarray(rate.loc[table.frame["prompt"]], dtype=float) for name, table in tables.items()}


def rates_on(
    routers: Mapping[tuple[str, str], Router], trainings: Mapping[str, str], tables: Pairs, X: pd.DataFrame
) -> dict[tuple[str, str, str], Array]:
    """Win rates on every table of the routers whose training set its benchmark asks for.

    Parameters
    ----------
    routers : as `trained` gives them.
    trainings : benchmark -> training set, as `augmented` names it.
    tables : name -> queries; a name is a benchmark's, or ends with it as `other_pairs` writes it.
    X : embeddings by prompt.
    """
    rates: dict[tuple[str, str, str], Array] = {}
    wanted = {name: trainings[benchmark_of(name, trainings)] for name in tables}
    for (training, name), router in routers.items():
        mine = {on: table for on, table in tables.items() if wanted[on] == training}
        rates |= {(training, name, on): rate for on, rate in scored(router, mine, X).items()}
    return rates
