"""One query on its way through a cascade, model by model: what a judge that errs makes of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rb_support.outcomes import Outcomes
from rb_support.routers import Cascade
from rb_support.routers.cascade import checked_rates
from rb_support.routers.judge import RIGHT
from rb_support.visible import visible


def telling_queries(outcomes: Outcomes, most: int = 20) -> list[int]:
    """Rows whose walk shows most: some wrong answers, then a right one, and a wrong one after it.

    Returns
    -------
    Up to `most` rows, the most telling first; of equals those that come first in the table.
    """
    right = Cascade.on(outcomes).quality > RIGHT
    first = np.where(right.any(axis=0), right.argmax(axis=0), 0)
    spoilt = np.array([not answers[place:].all() for answers, place in zip(right.T, first, strict=True)])
    telling = 2 * np.minimum(first, 3) + spoilt
    return [int(row) for row in np.argsort(-telling, kind="stable")[:most]]


def question(outcomes: Outcomes, query: int, letters: int = 200) -> str:
    """The beginning of a query's prompt, on one line."""
    line = visible(" ".join(str(outcomes.frame["prompt"].iloc[query]).split()))
    return line if len(line) <= letters else f"{line[:letters]}…"


def walk(outcomes: Outcomes, query: int, error_rate: float) -> pd.DataFrame:
    """One query through the cascade, cheapest model first and with no limit on T, in exact expectation.

    Parameters
    ----------
    query : row of the table.
    error_rate : of the judge, in [0, 1].

    Returns
    -------
    A row per model, in the order asked: model; asked, the probability that it is; right, whether its answer
    is; accepts, the probability that the judge accepts the answer once given; ends, the probability that
    this answer is returned (the last one's is, whatever the judge says); quality; usd of the call, and
    usd_so_far. `ends @ quality` and `asked @ usd` are the query's expected quality and cost (RouterBench
    sec. 5.2).
    """
    rules, error = Cascade.on(outcomes), checked_rates([error_rate])
    rejects = np.array([rules.rejected(place, error)[0, query] for place in range(len(rules.order))])
    asked = np.cumprod([1.0, *rejects[:-1]])
    quality = rules.quality[:, query]
    return pd.DataFrame(
        {
            "model": [outcomes.models[j] for j in rules.order],
            "asked": asked,
            "right": quality > RIGHT,
            "accepts": 1 - rejects,
            "ends": asked - np.append(asked[1:], 0.0),
            "quality": quality,
            "usd": rules.cost[:, query],
            "usd_so_far": rules.spent[:, query],
        }
    )


def one_run(steps: pd.DataFrame, error_rate: float, *, rng: np.random.Generator) -> pd.DataFrame:
    """What one deployment does with the query of a `walk`: its models up to the one whose answer is returned.

    Returns
    -------
    model, answer and judge_says ("right" or "wrong"), then ("returned" or "ask the next") and usd_so_far.
    """
    right = steps["right"].to_numpy(dtype=bool)
    accepted = right != (rng.random(len(steps)) < error_rate)
    accepted_or_last = np.append(accepted[:-1], True)
    last = int(accepted_or_last.argmax())
    return pd.DataFrame(
        {
            "model": steps["model"],
            "answer": np.where(right, "right", "wrong"),
            "judge_says": np.where(accepted, "right", "wrong"),
            "then": np.where(accepted_or_last, "returned", "ask the next"),
            "usd_so_far": steps["usd_so_far"],
        }
    ).head(last + 1)
