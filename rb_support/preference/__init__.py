"""Routers that learn from preferences (RouteLLM): tiers, training data, win prediction models."""

from rb_support.preference.battle_sets import gold_battles
from rb_support.preference.sw import SWRanking
from rb_support.preference.tiers import assign_tiers
from rb_support.preference.training_sets import load_experiment
from rb_support.preference.win_model import oriented

__all__ = [
    "SWRanking",
    "assign_tiers",
    "gold_battles",
    "load_experiment",
    "oriented",
]
