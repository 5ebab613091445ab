"""The statements a notebook checks, as data: `rb_support/published/claims/<notebook>.toml`, a table each.

A table's name is the key under which the notebook hands over its evidence:

    [knn-mlp-mmlu]
    statement = "KNN and MLP have a higher AIQ than the zero router on MMLU"
    where = "RouterBench sec. 5.3"
    rule = "above"
    needs = "routerbench-0shot"
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel, ConfigDict

from rb_support.cache import packaged_table
from rb_support.outcomes import Kind
from rb_support.report.store import ReportError
from rb_support.verdicts import Estimate, Evidence, Fact, Rule, Verdict, decide

MOST_QUERIES = 10_000_000
"""Of more queries than these it is only said that they would be more."""


class Claim(BaseModel):
    """A statement and how it is decided.

    Attributes
    ----------
    statement : the statement, in our words; thresholds that are ours stand in it.
    where : where it stands, such as "RouterBench sec. 5.3", or "beyond the paper".
    rule, level, margin : as in `rb_support.verdicts.decide`; "is so" for a `Fact`.
    spec : format of the numbers.
    data : kind of data it is checked on, whatever the report's own is.
    assumed : whether a simulation was made so that it comes out; if it holds on simulated rows, then "by
        construction".
    needs : registered source that would settle it where there is no data.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    statement: str
    where: str
    rule: Rule = "above"
    level: float = 0.0
    margin: float = 0.0
    spec: str = ".3f"
    data: Kind | None = None
    assumed: bool = False
    needs: str = ""

    def check(self, evidence: Evidence | None, kind: Kind) -> dict[str, str]:
        """The row of `claims.csv` that says how the statement stands on this evidence."""
        kind = (evidence.data if isinstance(evidence, Fact) else None) or self.data or kind
        ours, verdict, queries = self._judged(evidence)
        if self.assumed and kind == "simulated" and verdict == "holds":
            verdict = "by construction"
        wanted = f"python -m rb_support data fetch {self.needs}" if self.needs else ""
        needs = wanted if verdict == "no data" else _queries(queries) if queries else ""
        row = {"claim": self.statement, "where": self.where, "ours": ours, "data": kind}
        return row | {"verdict": verdict, "needs": needs}

    def _judged(self, evidence: Evidence | None) -> tuple[str, Verdict, int]:
        if isinstance(evidence, Fact):
            states: dict[bool | None, Verdict] = {True: "holds", False: "does not hold", None: "undecided"}
            return evidence.words, states[None if evidence.holds is None else bool(evidence.holds)], 0
        estimates = [evidence] if isinstance(evidence, Estimate) else list(evidence or ())
        if not estimates:
            return "no rows of it in this data", "no data", 0
        verdict, queries = decide(estimates, self.rule, level=self.level, margin=self.margin)
        return "; ".join(each.words(self.spec) for each in estimates), verdict, queries


def _queries(count: int) -> str:
    """So many queries, to two digits: an interval's width tells no more.

    >>> _queries(133), _queries(359_524_168)
    ('about 130 queries', 'more than 10,000,000 queries')
    """
    if count > MOST_QUERIES:
        return f"more than {MOST_QUERIES:,} queries"
    step = 10 ** max(len(str(count)) - 2, 0)
    return f"about {round(count / step) * step:,} queries"


@cache
def claims_of(notebook: str) -> Mapping[str, Claim]:
    """Claims of a notebook by key, in the order of its file; none if it has no file."""
    try:
        rows = packaged_table(f"published/claims/{notebook}.toml")
    except FileNotFoundError:
        return {}
    return {key: Claim(**row) for key, row in rows.items()}


def check(
    claims: Mapping[str, Claim], evidence: Mapping[str, Evidence | None], kind: Kind
) -> list[dict[str, str]]:
    """Rows of `claims.csv` for a notebook's claims; one without evidence has no data.

    Raises
    ------
    ReportError
        If there is evidence for a claim that is none of them.
    """
    if unknown := sorted(evidence.keys() - claims.keys()):
        raise ReportError(f"no claim is called {', '.join(unknown)}; there are {', '.join(claims) or 'none'}")
    return [claim.check(evidence.get(key), kind) for key, claim in claims.items()]
