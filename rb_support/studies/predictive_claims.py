"""What notebook 03 found, as evidence for its statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from rb_support.catalog import ARC, GSM8K, HELLASWAG, MBPP, MMLU, WINOGRANDE
from rb_support.studies import wording
from rb_support.studies.best_model import leads_over_best_model
from rb_support.studies.predictive import PLACEBO, ZERO, ZERO_TRAINED, Comparison, estimates
from rb_support.verdicts import Estimate, Evidence, Fact, exact


def evidence(
    table: pd.DataFrame,
    away: pd.DataFrame,
    comparisons: Mapping[str, Comparison],
    lucky: pd.DataFrame,
    few: pd.DataFrame,
    papers: Sequence[str],
    *,
    rng: np.random.Generator,
) -> dict[str, Evidence]:
    """What notebook 03 found, by the keys of its claims.

    Parameters
    ----------
    table, away : AIQ tables in and out of domain.
    comparisons : dataset -> the systems of `table`.
    lucky : of `luck`.
    few : AIQ table of small tasks by repeated cross-validation; of real rows it decides what `table` lacks.
    papers : names of the routers that are the paper's; the others but zero and placebo are ours.
    rng : of the bootstrap of leads over the best model.
    """
    theirs = table[table["router"].isin(papers)]
    ours = table[~table["router"].isin([ZERO, ZERO_TRAINED, PLACEBO, *papers])]
    small = few[few["router"].isin(papers) & ~few["dataset"].isin(table["dataset"])]
    each = [*estimates(theirs), *(replace(one, name=f"{one.name}, {one.n} rows") for one in estimates(small))]
    about = pd.concat([theirs["dataset"], small["dataset"]])
    found: dict[str, Evidence] = {
        f"papers-{name.lower()}": [one for one, dataset in zip(each, about, strict=True) if dataset == name]
        for name in (MMLU, WINOGRANDE, HELLASWAG, GSM8K, ARC, MBPP)
    }
    least = {name: comparison.oracle_lead for name, comparison in comparisons.items()}
    near = min(least, key=lambda name: least[name])
    return found | {
        "none-leads": estimates(theirs),
        "oracle": Fact(least[near] > 0, f"smallest lead in quality {least[near]:.3f}, on {near}"),
        "best-model": _over_best(comparisons, papers, rng),
        "away": [replace(each, floor=-np.inf) for each in estimates(away[away["router"].isin(papers)])],
        "luck": [
            exact(row["aiq_above"], f"{name} {row['aiq']:+.4f} in the mean, above zero")
            for name, row in lucky.iterrows()
        ],
        "placebo": estimates(table[table["router"] == PLACEBO]),
        "ours-lead": estimates(ours),
        "ours-not-below": [replace(each, floor=-np.inf) for each in estimates(ours)],
    }


def notes(draws: int, splits: int) -> dict[str, str]:
    """A sentence for the record of each item of notebook 03.

    Parameters
    ----------
    draws, splits : of the notebook.
    """
    return wording.notes("03", draws=draws, splits=splits)


def _over_best(
    comparisons: Mapping[str, Comparison], papers: Sequence[str], rng: np.random.Generator
) -> list[Estimate]:
    """Cross-fitted leads over the best single model at its cost."""
    level = 1 - 0.05 / len(comparisons)
    return [
        replace(each, name=f"{router} on {name}")
        for name, one in comparisons.items()
        for router, each in leads_over_best_model(one, papers, rng=rng, draws=200, level=level).items()
    ]
