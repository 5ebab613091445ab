"""`Battles`: which of two models answered a prompt better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rb_support.outcomes.checks import LARGEST_COST, Checks, Floats
from rb_support.outcomes.table import OWN, Origin, Rows
from rb_support.outcomes.wide import plain_frame

A, B, TIE = "model_a", "model_b", "tie"
_SHARE = {A: 1.0, TIE: 0.5, B: 0.0}
_FLAGS = {"winner_model_a": A, "winner_model_b": B, "winner_tie": TIE}
_ALIASES = {"tie (bothbad)": TIE}


@dataclass(frozen=True, eq=False)
class Battles(Rows):
    """Which of two models answered a prompt better (RouteLLM, section 3.1).

    Attributes
    ----------
    frame : n rows with prompt, model_a, model_b, winner ("model_a", "model_b" or "tie"), and, if wanted,
        weight (above 0) and score (share of the win that goes to model_a, in [0, 1]); not to be changed.
    origin : where the rows come from.

    Raises
    ------
    TableError : if a column is missing or a cell holds what it must not.
    """

    frame: pd.DataFrame
    origin: Origin = OWN

    def __post_init__(self) -> None:
        self._set(frame=self.frame.reset_index(drop=True))
        checks = Checks(self.frame, self.origin.name)
        checks.need_columns(("prompt", A, B, "winner"))
        checks.refuse_not_text(("prompt", A, B))
        checks.refuse_blank(("prompt", A, B))
        checks.refuse_odd_names((A, B))
        known = self.frame["winner"].isin(list(_SHARE))
        checks.refuse_own(~known, ["winner"], "is no winner", "write model_a, model_b or tie")
        same = self.frame[A].to_numpy(dtype=object) == self.frame[B].to_numpy(dtype=object)
        checks.refuse_own(same, [B], "fights itself", "name two models or delete the row")
        for column in [name for name in ("score", "weight") if name in self.frame.columns]:
            values = checks.numbers((column,))
            checks.refuse_missing(values, (column,))
            self._set(frame=self.frame.assign(**{column: values[:, 0]}))
        if "score" in self.frame.columns:
            checks.refuse_scores(self.share, ("score",))
            against = (self.share - 0.5) * (self.frame["winner"].map(_SHARE).to_numpy() - 0.5) < 0
            remedy = "score is model_a's share of the win"
            checks.refuse_own(against, ["score"], "contradicts the winner", remedy)
        if "weight" in self.frame.columns:
            odd = ~((self.weight > 0) & (self.weight < LARGEST_COST))
            checks.refuse_own(odd, ["weight"], "is no weight", f"weights are above 0, below {LARGEST_COST:g}")

    @property
    def models(self) -> tuple[str, ...]:
        """Models that fight, by name."""
        return tuple(sorted({*self.frame[A].unique(), *self.frame[B].unique()}))

    @property
    def share(self) -> Floats:
        """(n,) share of each win that goes to model_a: `score`, or 1, 0.5, 0 by the winner."""
        if "score" in self.frame.columns:
            return self.frame["score"].to_numpy(dtype=np.float64)
        return np.asarray(self.frame["winner"].map(_SHARE), dtype=np.float64)

    @property
    def weight(self) -> Floats:
        """(n,) weights; ones if the frame has none."""
        if "weight" in self.frame.columns:
            return self.frame["weight"].to_numpy(dtype=np.float64)
        return np.ones(len(self))

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, *, origin: Origin | None = None, name: str = "battles"
    ) -> Battles:
        """Battles from a frame that names its winner in any of three ways.

        A `winner` column ("tie (bothbad)" counts as a tie); or Arena's 0/1 columns winner_model_a,
        winner_model_b, winner_tie, one of which is 1; or a `score` alone, model_a winning above 0.5.

        Raises
        ------
        TableError : if no winner is named, or a cell holds what it must not.
        """
        if "prompt" in frame.columns:
            Checks(frame, name).refuse_not_text(["prompt"])
        frame = plain_frame(frame, name)
        if "winner" in frame.columns:
            winner = frame["winner"].replace(_ALIASES)
        elif "winner_model_a" in frame.columns:
            winner = _flagged(frame, name)
        elif "score" in frame.columns:
            score = Checks(frame, name).numbers(("score",))[:, 0]
            winner = pd.Series(np.select([score > 0.5, score < 0.5], [A, B], TIE), index=frame.index)
        else:
            Checks(frame, name).need_columns(("winner",))
        kept = frame.drop(columns=[c for c in ("winner", *_FLAGS) if c in frame.columns])
        return cls(kept.assign(winner=winner), origin or Origin("own", name))


def _flagged(frame: pd.DataFrame, name: str) -> pd.Series[str]:
    checks = Checks(frame, name)
    checks.need_columns(tuple(_FLAGS))
    flags = checks.numbers(tuple(_FLAGS))
    odd = ~np.isin(flags, (0, 1)).all(axis=1) | (flags.sum(axis=1) != 1)
    remedy = "set one of winner_model_a, winner_model_b, winner_tie to 1, the others to 0"
    checks.refuse_cells(odd, ("winner_model_a",), "is no single winner", remedy, cells=flags[:, 0])
    return pd.Series(np.array(list(_FLAGS.values()), dtype=object)[flags.argmax(axis=1)], index=frame.index)
