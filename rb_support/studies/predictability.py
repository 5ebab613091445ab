"""What predictability there is: how well a query tells each model's quality, and what sets models apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import r2_score, roc_auc_score

from rb_support.stats import Array
from rb_support.studies.predictive import Parts, Routers

MEASURES = {"auc": "AUC", "r2": "R2", "r2_apart": "R2 apart"}
"""How well predictions tell outcomes, and the names that readers see."""


def measured(parts: Parts, X: pd.DataFrame, routers: Routers, *, seed: int) -> pd.DataFrame:
    """How well routers predict each model's quality on test rows, beside where nothing is to be learnt.

    Parameters
    ----------
    parts : dataset -> training and test rows.
    X : embeddings indexed by sample_id, as `embed_queries` gives them.
    routers : name -> router with `fit` and `predict`.
    seed : of the permutations of the training queries' embeddings for the control.

    Returns
    -------
    A row per dataset, router and model: dataset, router, model, n (test queries), and of each of `MEASURES`
    the value and, as `…_shuffled`, the control's. auc: that an answer which scored above one half had a
    higher prediction than one which did not (0.5 by chance). r2: share of the variance of quality that is
    predicted (0 for a constant, less for what is worse). r2_apart: the same of what sets models apart,
    their quality above the mean of all models on the query, all that a choice can live on. NaN where
    outcomes do not vary.
    """
    rng, rows = np.random.default_rng(seed), []
    for dataset, (train, test) in parts.items():
        known, asked = (X.loc[part.frame["sample_id"]].to_numpy() for part in (train, test))
        order = rng.permutation(len(known))
        for name, router in routers.items():
            told = _told(router.fit(train, known).predict(asked), test.quality)
            blind = _told(router.fit(train, known[order]).predict(asked), test.quality)
            table = told.join(blind.add_suffix("_shuffled")).assign(n=len(test), router=name, dataset=dataset)
            rows.append(table.assign(model=test.models))
    columns = [name + end for name in MEASURES for end in ("", "_shuffled")]
    return pd.concat(rows, ignore_index=True)[["dataset", "router", "model", "n", *columns]].round(9)


def over_datasets(table: pd.DataFrame) -> pd.DataFrame:
    """Means of `measured` over the datasets: a row per model, the measures of each router as columns.

    Of the control the first router's stand beside them: one that always believes its vectors.
    """
    first, *_ = routers = list(dict.fromkeys(table["router"]))
    means = table.groupby(["model", "router"], sort=False).mean(numeric_only=True).drop(columns="n")
    wide = {}
    for measure, label in MEASURES.items():
        for router in routers:
            wide[f"{label}, {router}"] = means[measure].xs(router, level="router")
        wide[f"{label}, shuffled"] = means[f"{measure}_shuffled"].xs(first, level="router")
    return pd.DataFrame(wide).rename_axis("model").reset_index()


def _told(predicted: Array, quality: Array) -> pd.DataFrame:
    """The measures of predictions (n, m) of quality (n, m), a row per model."""
    apart = [part - part.mean(axis=1, keepdims=True) for part in (quality, predicted)]
    rows = [
        {"auc": auc(true, guess), "r2": r2(true, guess), "r2_apart": r2(*contrast)}
        for true, guess, *contrast in zip(*(part.T for part in (quality, predicted, *apart)), strict=True)
    ]
    return pd.DataFrame(rows)


def auc(quality: ArrayLike, predicted: ArrayLike) -> float:
    """Area under the ROC curve of predictions (n,) for scores above one half; NaN if all or none are."""
    right = np.asarray(quality) > 0.5
    told = np.asarray(predicted).round(12)  # what differs by rounding only is a tie
    return float(roc_auc_score(right, told)) if 0 < right.sum() < len(right) else np.nan


def r2(quality: ArrayLike, predicted: ArrayLike) -> float:
    """Share of the variance of scores (n,) that predictions tell; NaN if the scores do not vary."""
    true = np.asarray(quality, dtype=float)
    return float(r2_score(true, predicted)) if np.ptp(true) > 1e-9 else np.nan
