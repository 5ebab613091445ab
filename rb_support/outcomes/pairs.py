"""`PairScores`: what a strong and a weak model scored on each prompt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.outcomes import checks, files
from rb_support.outcomes.origin import OWN, Origin, TableError
from rb_support.outcomes.table import Outcomes, Rows, check_rows, hold, of_dataset, present

_STRONG, _WEAK = "strong|score", "weak|score"


@dataclass(frozen=True, eq=False)
class PairScores(Rows):
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
        object.__setattr__(self, "scale", (float(low), float(high)))
        hold(self, "strong", "weak")
        self._check()

    def _check(self) -> None:
        name = self.origin.name
        check_rows(self.frame, name)
        checks.refuse_repeats([self.strong_model, self.weak_model], name)
        low, high = self.scale
        if not low < high:
            raise TableError(f"{name}: scale {self.scale} is empty; give (lowest, highest) score")
        ids = self.frame["sample_id"]
        for part in ("strong", "weak"):
            scores = getattr(self, part)
            if scores.shape != (len(self),):
                raise TableError(f"{name}: {part} has shape {scores.shape}; the rows ask for ({len(self)},)")
            checks.refuse_missing(scores, (part,), ids, name)
            checks.refuse_scores(scores, (part,), ids, name, self.scale)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Datasets present, in the order of `catalog.DATASETS`, then others by name."""
        return present(self)

    def of(self, dataset: str) -> PairScores:
        """Rows of one dataset.

        Raises
        ------
        TableError : if the table has no row of it.
        """
        return self.take(of_dataset(self, dataset))

    @classmethod
    def from_outcomes(cls, outcomes: Outcomes, strong: str, weak: str) -> PairScores:
        """Scores of two models of an outcome table.

        Raises
        ------
        TableError : if a model is unknown or both are the same.
        """
        pair = outcomes.select([strong, weak])
        return cls(pair.frame, pair.quality[:, 0], pair.quality[:, 1], strong, weak, pair.origin)

    def to_parquet(self, path: str | Path) -> None:
        """Write the table and its origin without loss; the file appears whole or not at all."""
        record = {
            "table": "PairScores",
            "strong_model": self.strong_model,
            "weak_model": self.weak_model,
            "scale": list(self.scale),
            "origin": self.origin.as_record(),
        }
        files.write_parquet(path, self.frame.assign(**{_STRONG: self.strong, _WEAK: self.weak}), record)

    @classmethod
    def from_parquet(cls, path: str | Path) -> PairScores:
        """Table that `to_parquet` wrote.

        Raises
        ------
        TableError : if the file holds something else.
        """
        frame, record = files.read_parquet(path, "PairScores")
        low, high = record["scale"]
        return cls(
            frame.drop(columns=[_STRONG, _WEAK]),
            frame[_STRONG].to_numpy(dtype=np.float64),
            frame[_WEAK].to_numpy(dtype=np.float64),
            record["strong_model"],
            record["weak_model"],
            Origin.from_record(record["origin"]),
            (low, high),
        )
