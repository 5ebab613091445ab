"""Routing between one strong and one weak model: RouteLLM's metrics, baselines, intervals and prices.

A win rate per query and a threshold make a router; sliding the threshold draws its curve in the
call-performance plane: share of calls to the strong model against mean score. Every share is a
fraction in [0, 1].
"""

from rb_support.pairs.chance import (
    bootstrap_pairs,
    random_apgr_spread,
    random_curves,
    random_metrics,
    random_scores,
)
from rb_support.pairs.metrics import apgr, cpt, cpt_name, pgr, share_at, threshold_for, threshold_sweep
from rb_support.pairs.money import average_price, cost_saving, cost_saving_full, mixed_price

__all__ = [
    "apgr",
    "average_price",
    "bootstrap_pairs",
    "cost_saving",
    "cost_saving_full",
    "cpt",
    "cpt_name",
    "mixed_price",
    "pgr",
    "random_apgr_spread",
    "random_curves",
    "random_metrics",
    "random_scores",
    "share_at",
    "threshold_for",
    "threshold_sweep",
]
