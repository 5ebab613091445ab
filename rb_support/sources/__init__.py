"""Published data: where each file comes from, how it gets here, and how it becomes a table.

    from rb_support.sources import load_routerbench
    table = load_routerbench()  # from RB_DATA_DIR or the cache; nothing is downloaded unasked

What can go wrong stands in `sources.errors`.
Floor 1 of the package. Importing reads no file and touches no network.
"""

from rb_support.cache import SourceError
from rb_support.sources.records import ModelScores
from rb_support.sources.registry import SOURCES, Source, SourceFile
from rb_support.sources.store import at_hand, fetch, locate, verify
from rb_support.sources.tables import (
    load_battles,
    load_graded,
    load_judgments,
    load_pairs,
    load_routerbench,
    load_search_qa,
    locate_routerbench,
    mtbench_scores,
)

__all__ = [
    "SOURCES",
    "ModelScores",
    "Source",
    "SourceError",
    "SourceFile",
    "at_hand",
    "fetch",
    "load_battles",
    "load_graded",
    "load_judgments",
    "load_pairs",
    "load_routerbench",
    "load_search_qa",
    "locate",
    "locate_routerbench",
    "mtbench_scores",
    "verify",
]
