"""The tables everything else reads: `Outcomes` (and `PartialOutcomes`), `PairScores` and `Battles`."""

from rb_support.outcomes.battles import Battles
from rb_support.outcomes.checks import TableError
from rb_support.outcomes.pairs import PairScores
from rb_support.outcomes.table import Kind, Origin, Outcomes, PartialOutcomes

__all__ = ["Battles", "Kind", "Origin", "Outcomes", "PairScores", "PartialOutcomes", "TableError"]
