"""`Battles`: which of two models answered a prompt better."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support.outcomes import checks, files
from rb_support.outcomes.origin import OWN, Origin
from rb_support.outcomes.table import Rows, hold

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
        hold(self)
        self._check_texts()
        self._hold_numbers()

    def _check_texts(self) -> None:
        frame, name = self.frame, self.origin.name
        checks.refuse_columns(frame, ("prompt", A, B, "winner"), name)
        checks.refuse_not_text(frame, ("prompt", A, B), name)
        checks.refuse_blank(frame, ("prompt", A, B), name)
        self._refuse(
            ~frame["winner"].isin(list(_SHARE)), "winner", "is no winner", "write model_a, model_b or tie"
        )
        self._refuse(frame[A] == frame[B], B, "fights itself", "name two models or delete the row")

    def _hold_numbers(self) -> None:
        for column, check in (("score", self._check_score), ("weight", self._check_weight)):
            if column in self.frame.columns:
                values = checks.numbers(self.frame, (column,), self.origin.name)
                checks.refuse_missing(values, (column,), checks.ids_of(self.frame), self.origin.name)
                check(values[:, 0])
                object.__setattr__(self, "frame", self.frame.assign(**{column: values[:, 0]}))

    def _check_score(self, score: checks.Floats) -> None:
        checks.refuse_scores(score[:, None], ("score",), checks.ids_of(self.frame), self.origin.name)
        against = (score - 0.5) * (_shares(self.frame["winner"]) - 0.5) < 0
        self._refuse(against, "score", "contradicts the winner", "score is model_a's share of the win")

    def _check_weight(self, weight: checks.Floats) -> None:
        odd = ~((weight > 0) & np.isfinite(weight))
        self._refuse(odd, "weight", "is no weight", "weights are finite and above 0")

    def _refuse(self, bad: ArrayLike, column: str, what: str, remedy: str) -> None:
        cells = self.frame[column].to_numpy(dtype=object)
        ids, name = checks.ids_of(self.frame), self.origin.name
        checks.refuse_cells(bad, what, remedy, name=name, columns=(column,), ids=ids, cells=cells)

    @property
    def models(self) -> tuple[str, ...]:
        """Models that fight, by name."""
        return tuple(sorted({*self.frame[A], *self.frame[B]}))

    @property
    def share(self) -> NDArray[np.float64]:
        """(n,) share of each win that goes to model_a: `score`, or 1, 0.5, 0 by the winner."""
        if "score" in self.frame.columns:
            return self.frame["score"].to_numpy(dtype=np.float64)
        return _shares(self.frame["winner"])

    @property
    def weight(self) -> NDArray[np.float64]:
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
        if "winner" in frame.columns:
            winner = frame["winner"].replace(_ALIASES)
        elif "winner_model_a" in frame.columns:
            winner = _flagged(frame, name)
        elif "score" in frame.columns:
            score = checks.numbers(frame, ("score",), name)[:, 0]
            winner = pd.Series(np.select([score > 0.5, score < 0.5], [A, B], TIE), index=frame.index)
        else:
            checks.refuse_columns(frame, ("winner",), name)
        kept = frame.drop(columns=[c for c in ("winner", *_FLAGS) if c in frame.columns])
        return cls(kept.assign(winner=winner), origin or Origin("own", name))

    def to_parquet(self, path: str | Path) -> None:
        """Write the table and its origin without loss; the file appears whole or not at all."""
        files.write_parquet(path, self.frame, {"table": "Battles", "origin": self.origin.as_record()})

    @classmethod
    def from_parquet(cls, path: str | Path) -> Battles:
        """Table that `to_parquet` wrote.

        Raises
        ------
        TableError : if the file holds something else.
        """
        frame, record = files.read_parquet(path, "Battles")
        return cls(frame, Origin.from_record(record["origin"]))


def _shares(winner: pd.Series[str]) -> NDArray[np.float64]:
    return np.array([_SHARE[who] for who in winner])


def _flagged(frame: pd.DataFrame, name: str) -> pd.Series[str]:
    checks.refuse_columns(frame, tuple(_FLAGS), name)
    flags = checks.numbers(frame, tuple(_FLAGS), name)
    remedy = "set one of winner_model_a, winner_model_b, winner_tie to 1, the others to 0"
    odd = ~np.isin(flags, (0, 1)).all(axis=1) | (flags.sum(axis=1) != 1)
    checks.refuse_cells(
        odd, "is no single winner", remedy, name=name, columns=("winner_model_a",), cells=flags[:, 0]
    )
    return pd.Series(np.array(list(_FLAGS.values()), dtype=object)[flags.argmax(axis=1)], index=frame.index)
