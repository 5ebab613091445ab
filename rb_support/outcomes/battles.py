"""`Battles`: which of two models answered a prompt better."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.outcomes import checks, files
from rb_support.outcomes.origin import Origin
from rb_support.outcomes.table import Rows, _own, hold

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
    origin: Origin = field(default_factory=_own)

    def __post_init__(self) -> None:
        hold(self)
        name, frame = self.origin.name, self.frame
        checks.refuse_columns(frame, ("prompt", A, B, "winner"), name)
        checks.refuse_blank(frame, ("prompt", A, B), name)
        ids = frame["sample_id"] if "sample_id" in frame.columns else None
        checks.refuse_cells(
            ~frame["winner"].isin(list(_SHARE)), "is no winner", "write model_a, model_b or tie",
            name=name, columns=("winner",), ids=ids, cells=frame["winner"],
        )  # fmt: skip
        checks.refuse_cells(
            frame[A] == frame[B], "fights itself", "name two models or delete the row",
            name=name, columns=(B,), ids=ids, cells=frame[B],
        )  # fmt: skip
        self._check_numbers()

    def _check_numbers(self) -> None:
        name, frame = self.origin.name, self.frame
        present = [column for column in ("score", "weight") if column in frame.columns]
        if not present:
            return
        values = dict(zip(present, checks.numbers(frame, present, name).T, strict=True))
        ids = frame["sample_id"] if "sample_id" in frame.columns else None
        for column, cells in values.items():
            checks.refuse_missing(cells, (column,), ids, name, "fill it in or drop the row")
        if "score" in values:
            self._check_scores(values["score"], ids)
        if "weight" in values:
            weight = values["weight"]
            checks.refuse_cells(
                ~((weight > 0) & np.isfinite(weight)), "is no weight", "weights are finite and above 0",
                name=name, columns=("weight",), ids=ids, cells=weight,
            )  # fmt: skip
        object.__setattr__(self, "frame", frame.assign(**values))

    def _check_scores(self, score: NDArray[np.float64], ids: pd.Series[str] | None) -> None:
        name = self.origin.name
        checks.refuse_scores(score, ("score",), ids, name)
        hard = self.frame["winner"].map(_SHARE).to_numpy(dtype=np.float64)
        checks.refuse_cells(
            (score - 0.5) * (hard - 0.5) < 0, "contradicts the winner", "score is model_a's share of the win",
            name=name, columns=("score",), ids=ids, cells=score,
        )  # fmt: skip

    @property
    def models(self) -> tuple[str, ...]:
        """Models that fight, by name."""
        return tuple(sorted({*self.frame[A], *self.frame[B]}))

    @property
    def share(self) -> NDArray[np.float64]:
        """(n,) share of each win that goes to model_a: `score`, or 1, 0.5, 0 by the winner."""
        if "score" in self.frame.columns:
            return self.frame["score"].to_numpy(dtype=np.float64)
        return self.frame["winner"].map(_SHARE).to_numpy(dtype=np.float64)

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


def _flagged(frame: pd.DataFrame, name: str) -> pd.Series[str]:
    checks.refuse_columns(frame, tuple(_FLAGS), name)
    flags = checks.numbers(frame, tuple(_FLAGS), name)
    odd = ~np.isin(flags, (0, 1)).all(axis=1) | (flags.sum(axis=1) != 1)
    checks.refuse_cells(
        odd, "is no single winner", "set one of winner_model_a, winner_model_b, winner_tie to 1, the others to 0",
        name=name, columns=("winner_model_a",), cells=flags[:, 0],
    )  # fmt: skip
    return pd.Series(np.array(list(_FLAGS.values()), dtype=object)[flags.argmax(axis=1)], index=frame.index)
