"""Two-stage routing over a small document collection: search or not, then which model answers.

The documents are this project's own, on invented places. Searching them is real (BM25); the models that
answer with or without what was found are simulated. RouterBench leaves this open (sec. 5.4 routes between
systems that each search or do not).
"""

from rb_support.retrieval.collection import documents, questions
from rb_support.retrieval.search import BM25, found, recall

__all__ = ["BM25", "documents", "found", "questions", "recall"]
