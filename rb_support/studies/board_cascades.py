"""Cascades beside a board: they read answers, by a judge that errs, where routers read only the prompt.

No outcome table holds a judge, so this one is simulated on the table's own scores: it costs nothing, takes a
score above a half for right, and errs on a given share of the answers, on each by itself, in exact
expectation. Two controls know nothing: a judge that errs on half of the answers, of which whoever chooses the
chains knows that it does; and the chosen chains with judgments of other prompts' answers.
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
from rb_support.studies.cascades import chains_on, chosen_chains
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
    splits; low, high: 95% interval for all cells at once, as on the board; dealt: the lead of the same chains
    if their judge is given the answers to other prompts; finding: "leads" asks for an interval above zero and
    a lead above dealt, and above that of the judge who tosses a coin, where that one is among them.
    """
    rates, splits, found = list(errors), list(seeds), []
    for name, table in tables.items():
        each = np.stack([_leads(name, table, seed, rates) for seed in splits])  # (splits, rates, 2 + draws)
        dealt = each[:, :, 0].mean(axis=0)
        found += [(name, rate, len(table), dealt[i], each[:, i, 1:]) for i, rate in enumerate(rates)]
    judged = means([drawn for *_, drawn in found])
    rows = pd.DataFrame([row[:-1] for row in found], columns=["table", "judge_error", "n", "dealt"])
    rows["lead"], (rows["low"], rows["high"]) = judged.value, judged.intervals().T
    blind = rows[rows["judge_error"] == BLIND].set_index("table")["lead"]
    luck = pd.concat([rows["table"].map(blind), rows["dealt"]], axis="columns").max(axis="columns")
    rows["finding"] = np.where((rows["low"] > 0) & (rows["lead"] > luck), LEADS, NONE)
    return rows[["table", "judge_error", "n", "lead", "low", "high", "dealt", "finding"]]


def _leads(name: str, table: Outcomes, seed: int, rates: list[float]) -> Array:
    """Leads of a split: with judgments dealt out, as they are, and on resamples, (rates, 2 + DRAWS)."""
    asked = Asked(name, "cascade", seed)
    train, test = held_out(table, seed)
    judged = table.frame["sample_id"].isin(test.frame["sample_id"]).to_numpy()
    parts, drawn = resamples(asked, blocks(table)[judged])
    systems = {MODELS: model_points(test), TRAINED: ZeroRouter().fit(train).on(test)}
    best, others = [chosen_chains(train, rate) for rate in rates], np.random.default_rng([seed, 3])
    dealt = others.permutation(test.quality)
    chosen = list(zip(best, rates, strict=True))
    told = systems | {f"{rate}": chains_on(test, chains, rate) for chains, rate in chosen}
    blind = systems | {f"{rate}": chains_on(test, chains, rate, dealt) for chains, rate in chosen}
    areas, luck = honest_draws(told, parts, drawn, [MODELS]), honest_draws(blind, parts, drawn[:1], [MODELS])
    leads = areas[:, 2:].T - areas[:, int(areas[0, :2].argmax())]
    return np.column_stack([luck[0, 2:] - areas[0, :2].max(), leads])


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
    dealt = _say("dealt", low=leads["dealt"].min(), high=leads["dealt"].max())
    starred = board.loc[board["finding"] == LEADS, "table"].nunique() or "none"
    sizes = {"tables": tables, "s": ending(tables), "counts": counts}
    return _say("told", control=control, dealt=dealt, starred=starred, **sizes)
