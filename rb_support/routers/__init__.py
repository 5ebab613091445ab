"""Routers of RouterBench: predict the quality of every model, then weigh it against cost.

A predictive router has ``fit(train, X) -> self`` and ``predict(X) -> (n, m) quality``. Deciding is one
shared rule, whoever predicted: `decide` for one willingness to pay, `lambda_path` for all of them.
A cascade asks first and decides afterwards: `Cascade`, `expected`; `rerank` asks everybody.
"""

from rb_support.routers.cascade import (
    Cascade,
    break_even,
    budget_grid,
    cascade_name,
    cascade_systems,
    expected,
    together,
)
from rb_support.routers.chains import Chain, best_chains, best_order, chains, learned_cascades
from rb_support.routers.decision import (
    LambdaPath,
    PathPoints,
    cost_per_token,
    decide,
    ladder,
    lambda_path,
    mean_cost,
)
from rb_support.routers.judge import LearnedJudge, cross_judged, judge_error, judged_split
from rb_support.routers.knn import KNNRouter
from rb_support.routers.mlp import MLPRouter
from rb_support.routers.oracle import free_abstention, oracle
from rb_support.routers.rerank import rerank, rerank_system, rerank_table
from rb_support.routers.ridge import RidgeRouter
from rb_support.routers.zero import ZeroRouter, model_points

__all__ = [
    "Cascade",
    "Chain",
    "KNNRouter",
    "LambdaPath",
    "LearnedJudge",
    "MLPRouter",
    "PathPoints",
    "RidgeRouter",
    "ZeroRouter",
    "best_chains",
    "best_order",
    "break_even",
    "budget_grid",
    "cascade_name",
    "cascade_systems",
    "chains",
    "cost_per_token",
    "cross_judged",
    "decide",
    "expected",
    "free_abstention",
    "judge_error",
    "judged_split",
    "ladder",
    "lambda_path",
    "learned_cascades",
    "mean_cost",
    "model_points",
    "oracle",
    "rerank",
    "rerank_system",
    "rerank_table",
    "together",
]
