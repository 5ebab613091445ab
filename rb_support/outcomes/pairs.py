"""`PairScores`: what a strong and a weak model scored on each prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.outcomes.checks import TableError, refuse_models
from rb_support.outcomes.table import OWN, Named, Origin, Outcomes, Queries, read_only


@dataclass(frozen=True, eq=False)
class PairScores(Queries):
    """What a strong and a weak model scored on each prompt (RouteLLM, section 3).

    Attributes
    ----------
    frame : n rows with sample_id, dataset, task, prompt and any further columns; not to be changed.
    strong, weak : (n,) scores on one scale, such as 0 and 1 for wrong and right.
    strong_model, weak_model : names.
    origin : where the rows come from.
    scale : lowest and highest possible score; (0, 1), or (1, 10) for MT-Bench.

    Raises
    ------
    TableError : if a part is missing, misshapen or off the scale.
    """

    frame: pd.DataFrame
    strong: NDArray[np.float64]
    weak: NDArray[np.float64]
    strong_model: str
    weak_model: str
    origin: Origin = OWN
    scale: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        low, high = self.scale
        self._set(scale=(float(low), float(high)), frame=self.frame.reset_index(drop=True))
        self._set(strong=read_only(self.strong), weak=read_only(self.weak))
        checks, name = self._check_frame(), self.origin.name
        refuse_models([self.strong_model, self.weak_model], name)
        if not low < high:
            raise TableError(f"{name}: scale {self.scale} is empty; give (lowest, highest) score")
        for part, scores in (("strong", self.strong), ("weak", self.weak)):
            if scores.shape != (len(self),):
                raise TableError(f"{name}: {part} has shape {scores.shape}; the rows ask for ({len(self)},)")
            checks.refuse_missing(scores, (part,))
            checks.refuse_scores(scores, (part,), self.scale)

    @classmethod
    def from_outcomes(cls, outcomes: Outcomes, strong: str, weak: str) -> PairScores:
        """Scores of two models of an outcome table.

        Raises
        ------
        TableError : if a model is unknown or both are the same.
        """
        pair = outcomes.select([strong, weak])
        return cls(pair.frame, pair.quality[:, 0], pair.quality[:, 1], strong, weak, pair.origin)

    @staticmethod
    def _columns(record: Mapping[str, Any]) -> dict[str, Named]:
        return {"strong": "strong|score", "weak": "weak|score"}
