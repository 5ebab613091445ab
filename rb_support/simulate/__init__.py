"""RouterBench as its published tables describe it, made from a seed: nothing to download.

Every number the simulation rests on stands in `data/assumptions.csv` and `data/topics.csv`, each with a
`kind` ("published", "fitted" or "assumption") and a source.
"""

from rb_support.simulate.tables import FULL_SIZE, simulate_outcomes, simulate_rag

__all__ = ["FULL_SIZE", "simulate_outcomes", "simulate_rag"]
