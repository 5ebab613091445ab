"""The three tables everything else reads: `Outcomes`, `PairScores` and `Battles`."""

from rb_support.outcomes.battles import Battles
from rb_support.outcomes.origin import Kind, Origin, TableError
from rb_support.outcomes.pairs import PairScores
from rb_support.outcomes.table import Outcomes

__all__ = ["Battles", "Kind", "Origin", "Outcomes", "PairScores", "TableError"]
