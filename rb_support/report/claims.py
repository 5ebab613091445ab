"""The papers' statements, each checked against our numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pandas as pd

VERDICTS = {True: "holds", False: "does not hold", None: "cannot be tested here"}

COLUMNS = ["claim", "where", "ours", "data", "verdict"]


@dataclass(frozen=True)
class Claim:
    """One statement of a paper beside our number.

    Attributes
    ----------
    claim : the statement, in our words.
    where : where it stands, such as "RouterBench sec. 5.3".
    ours : our number, with its unit and interval.
    data : kind of data it was checked on; on simulated rows a verdict says what the simulation does, and
        what was set with the papers in view is no evidence for them.
    holds : True, False, or None if the data at hand cannot decide.
    """

    claim: str
    where: str
    ours: str
    data: str
    holds: bool | None

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        return VERDICTS[self.holds]

    def record(self) -> dict[str, str]:
        """The claim as it stands in files: claim, where, ours, data, verdict."""
        plain = asdict(self)
        del plain["holds"]
        return {**plain, "verdict": self.verdict}


def as_frame(claims: list[Claim]) -> pd.DataFrame:
    """One row per claim: claim, where, ours, data, verdict."""
    return pd.DataFrame([claim.record() for claim in claims], columns=COLUMNS)
