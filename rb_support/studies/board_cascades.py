"""Cascades beside a board: they read answers, by a judge that errs, where routers read only the prompt.

No outcome table holds a judge, so this one is simulated on the table's own scores: it errs on a given share
of the answers, at random, in exact expectation. One that errs on half of them says nothing, and is the
control.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import takewhile

import numpy as np
import pandas as pd

from rb_support.outcomes import Outcomes
from rb_support.outcomes.splits import held_out
from rb_support.routers import ZeroRouter, model_points
from rb_support.stats import Array, honest_draws
from rb_support.studies.cascades import chosen_chains
from rb_support.studies.fits import MODELS, TRAINED, Asked, blocks, resamples
from rb_support.studies.leaderboard import LEADS, NONE
from rb_support.studies.two_way import means
from rb_support.studies.wording import ending, listed, says

ERRORS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of the answers on which the judge errs; the last one knows nothing."""
BLIND = 0.5
_say = says("board_cascades")


def cascade_leads(
    tables: Mapping[str, Outcomes], seeds: Iterable[int], errors: Iterable[float] = ERRORS
) -> pd.DataFrame:
    """How far cascades lead on the splits of a board, by how often their judge errs.

    Models and order are chosen on the training rows (`cascades.chosen_chains`), and among what is chosen an
    honest AIQ chooses on one half of the test rows and pays on the other, as for routers.

    Parameters
    ----------
    tables : name -> outcomes.
    seeds : of the splits.
    errors : shares of the answers on which the judge errs.

    Returns
    -------
    A row per table and share. judge_error; n: rows of the table; lead: over the better zero router, mean over
    splits; low, high: 95% interval for all cells at once, as on the board; finding: "leads" asks for an
    interval above zero and a lead above that of the judge who knows nothing, where that one is among them.
    """
    rates, splits, found = list(errors), list(seeds), []
    for name, table in tables.items():
        each = np.stack([_leads(name, table, seed, rates) for seed in splits])  # (splits, rates, 1 + draws)
        found += [(name, rate, len(table), each[:, i]) for i, rate in enumerate(rates)]
    judged = means([drawn for *_, drawn in found])
    rows = pd.DataFrame([row[:3] for row in found], columns=["table", "judge_error", "n"])
    rows["lead"], (rows["low"], rows["high"]) = judged.value, judged.intervals().T
    blind = rows[rows["judge_error"] == BLIND].set_index("table")["lead"]
    above = ~(rows["lead"] <= rows["table"].map(blind).clip(lower=0))
    rows["finding"] = np.where((rows["low"] > 0) & above, LEADS, NONE)
    return rows


def _leads(name: str, table: Outcomes, seed: int, rates: list[float]) -> Array:
    """Leads of one split on its test rows and on their resamples, (rates, 1 + DRAWS)."""
    asked = Asked(name, "cascade", seed)
    train, test = held_out(table, seed)
    judged = table.frame["sample_id"].isin(test.frame["sample_id"]).to_numpy()
    parts, drawn = resamples(asked, blocks(table)[judged])
    systems = {MODELS: model_points(test), TRAINED: ZeroRouter().fit(train).on(test)}
    systems |= {f"{rate}": chosen_chains(train, test, rate) for rate in rates}
    areas = honest_draws(systems, parts, drawn, [MODELS])
    return np.asarray(areas[:, 2:].T - areas[:, int(areas[0, :2].argmax())])


def leads_everywhere_up_to(leads: pd.DataFrame) -> float | str:
    """Largest share of wrong judgments up to which a cascade is shown to lead on every table, or "none"."""
    short = set(leads.loc[leads["finding"] != LEADS, "judge_error"])
    held = list(takewhile(lambda rate: rate not in short, sorted(set(leads["judge_error"]))))
    return held[-1] if held else "none"


def said(leads: pd.DataFrame, board: pd.DataFrame) -> str:
    """What a judge of answers is worth beside the board's routers, in words.

    Parameters
    ----------
    leads : of `cascade_leads`.
    board : of `leaderboard.board`, of the same tables.
    """
    tables, tried = leads["table"].nunique(), list(dict.fromkeys(leads["judge_error"]))
    leading = leads[leads["finding"] == LEADS].groupby("judge_error")["table"].nunique()
    shown = {rate: int(leading.get(rate, 0)) or "none" for rate in tried}
    counts = listed(_say("count", tables=shown[rate], rate=rate) for rate in tried if rate < BLIND)
    control = _say("control", tables=shown[BLIND]) if BLIND in shown else ""
    starred = board.loc[board["finding"] == LEADS, "table"].nunique() or "none"
    return _say("told", tables=tables, s=ending(tables), counts=counts, control=control, starred=starred)
