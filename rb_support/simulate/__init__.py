"""RouterBench as its published tables describe it, and battles beside it, made from a seed.

Every number the simulation rests on stands in `data/assumptions.csv` and `data/topics.csv`, each with a
`kind` ("published", "fitted" or "assumption") and a source.
What a table says of itself stands in `data/texts.toml`.
"""

from rb_support.simulate.arena import simulate_arena, simulate_judge
from rb_support.simulate.tables import FULL_SIZE, simulate_outcomes, simulate_rag, told_quality

__all__ = ["FULL_SIZE", "simulate_arena", "simulate_judge", "simulate_outcomes", "simulate_rag", "told_quality"]
