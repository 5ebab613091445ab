"""How far routing can get on simulated rows: the order of queries by what their prompts reveal."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from rb_support.outcomes import Outcomes, PairScores
from rb_support.simulate import told_quality
from rb_support.studies.labels import area


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
