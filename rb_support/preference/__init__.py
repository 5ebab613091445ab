"""Routers that learn from preferences (RouteLLM): tiers, training data, win prediction models."""

from rb_support.preference.battle_sets import decontaminate, gold_battles, hold_out, similarity
from rb_support.preference.sw import SWRanking
from rb_support.preference.tiers import assign_tiers, bradley_terry
from rb_support.preference.training_sets import Experiment, load_experiment
from rb_support.preference.win_model import oriented

__all__ = [
    "Experiment",
    "SWRanking",
    "assign_tiers",
    "bradley_terry",
    "decontaminate",
    "gold_battles",
    "hold_out",
    "load_experiment",
    "oriented",
    "similarity",
]
