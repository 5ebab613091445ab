"""The commercial routers that RouteLLM compares with (Figure 2, Appendix E), and our routers beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from rb_support import paper
from rb_support.pairs import threshold_sweep
from rb_support.pairs.metrics import first_crossings
from rb_support.sources import load_judgments
from rb_support.stats import Array, simultaneous
from rb_support.studies.preference_study import CAUSAL, FACTORIZATION, WinRates, listed
from rb_support.studies.wording import notes
from rb_support.verdicts import Evidence

NOTE = notes("07b")["rl-fig2"]
"""What goes with Figure 2's record where it has points."""


def commercial(clean: Iterable[str] = ()) -> pd.DataFrame:
    """The two commercial routers of RouteLLM's Appendix E on MT Bench.

    Parameters
    ----------
    clean : sample_id of the questions that are not contaminated; with them the shipped judgments are read.

    Returns
    -------
    A row per router: router, strong_share and score as printed; with `clean` also judged (mean of all
    shipped judgments, which should be the printed score), score_clean (mean on the clean questions) and
    share_in_answers (share of questions that the shipped answers say GPT-4 answered; NaN where they do not).

    Raises
    ------
    SourceError : if `clean` is given and the judgments are not at hand.
    """
    printed = paper.commercial_routers().rename(columns={"mt_bench_score": "score"})
    table = printed[["router", "strong_share", "score"]]
    wanted = list(clean)
    if not wanted:
        return table
    rows = load_judgments("routellm-commercial").frame
    by_router = {str(name): part for name, part in rows.groupby("model")}
    parts = [by_router[name.lower()] for name in table["router"]]
    kept = [part[("mtbench." + part["question_id"].astype(str)).isin(wanted)] for part in parts]
    return table.assign(
        judged=[part["score"].mean() for part in parts],
        score_clean=[part["score"].mean() for part in kept],
        share_in_answers=[part["called_model"].dropna().str.startswith("gpt-4").mean() for part in parts],
    )


def commercial_leads(
    rates: Sequence[WinRates], *, rng: np.random.Generator, draws: int = 500
) -> pd.DataFrame:
    """How far our routers are above the commercial ones, at the commercial ones' share of strong calls.

    Both are looked at on the same questions, and resampled with them. The strong models differ: the paper's
    Figure 2 routes to a later GPT-4 than the one whose scores are published.

    Parameters
    ----------
    rates : win rates on MT Bench of real data, all on the same clean questions.
    rng, draws : of the resamples.

    Returns
    -------
    A row per router and commercial router: router, commercial, share, lead (in points of the judge), low and
    high, fewer (of their strong calls, the part that ours saves where its curve first reaches their score;
    negative if ours needs more), fewer_low and fewer_high. Intervals are simultaneous over all rows.

    Raises
    ------
    SourceError : if the shipped judgments are not at hand.
    """
    rows = load_judgments("routellm-commercial").frame
    theirs = rows.groupby(["model", "question_id"])["score"].mean()
    pair = rates[0].pairs
    numbers = pair.frame["sample_id"].str.removeprefix("mtbench.").astype(int)
    samples = rng.integers(len(pair), size=(draws, len(pair)))
    names, values, drawn = [], [], []
    for name, share in commercial().set_index("router")["strong_share"].items():
        scores = theirs[str(name).lower()].reindex(numbers).to_numpy(dtype=float)
        for one in rates:
            parts = np.stack([one.rate, pair.strong, pair.weak, scores])
            names.append((one.router, name, share))
            values.append(_lead(parts, share))
            drawn.append([_lead(parts[:, rows], share) for rows in samples])
    table = pd.DataFrame(names, columns=["router", "commercial", "share"])
    for place, name in enumerate(("lead", "fewer")):
        value = np.array(values)[:, place]
        ends = simultaneous(value, np.array(drawn)[..., place].T)
        table[[name, f"{name}_low", f"{name}_high"]] = np.column_stack([value, ends])
    return table


def _lead(parts: Array, share: float) -> tuple[float, float]:
    """How far a curve is above a point, and what part of the point's calls it saves at the point's score."""
    rate, strong, weak, theirs = parts
    shares, curve = threshold_sweep(rate, strong, weak)
    score = float(np.nanmean(theirs))
    reached = first_crossings(shares[None], curve[None], score)[0]
    needed = 1.0 if np.isnan(reached) else reached  # all calls, and still below
    return float(np.interp(share, shares, curve) - score), float(1 - needed / share)


def evidence(leads: pd.DataFrame, n: int) -> dict[str, Evidence]:
    """Appendix E: two of our routers against the commercial ones; nothing without leads.

    Parameters
    ----------
    leads : as `commercial_leads` gives it.
    n : questions that it rests on.
    """
    best = leads[leads["router"].isin([FACTORIZATION, CAUSAL])]
    names, sizes = best["router"] + " - " + best["commercial"], [n] * len(best)
    columns = {"above-commercial": "lead", "fewer-than-commercial": "fewer"} if len(best) else {}
    return {
        key: listed(best[[column, f"{column}_low", f"{column}_high"]], names, sizes)
        for key, column in columns.items()
    }
