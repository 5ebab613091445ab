"""Two-stage routing over a small document collection: search or not, then which model answers.

The documents are this project's own, on invented places. Searching them is real (BM25); the models that
answer with or without what was found are simulated. RouterBench leaves this open (sec. 5.4 routes between
systems that each search or do not).
"""

from rb_support.retrieval.collection import documents, questions
from rb_support.retrieval.search import BM25, found, recall
from rb_support.retrieval.two_stage import (
    GENERATORS,
    PASSAGES,
    Generator,
    compare_steps,
    in_sequence,
    pair_name,
    simulate_two_stage,
    split_by_document,
    with_scores,
)

__all__ = [
    "BM25",
    "GENERATORS",
    "PASSAGES",
    "Generator",
    "compare_steps",
    "documents",
    "found",
    "in_sequence",
    "pair_name",
    "questions",
    "recall",
    "simulate_two_stage",
    "split_by_document",
    "with_scores",
]
