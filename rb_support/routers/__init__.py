"""Routers of RouterBench: predict the quality of every model, then weigh it against cost.

A `PredictiveRouter` has ``fit(train, X) -> self`` and ``predict(X) -> (n, m) quality``. Deciding is one
shared rule, whoever predicted: `decide` for one willingness to pay, `lambda_path` for all of them.
A `Cascade` asks first and decides afterwards; `chains` searches for the best; `rerank` asks everybody.
"""

from rb_support.routers.boosting import BoostingRouter
from rb_support.routers.carrot import CostAwareRouter
from rb_support.routers.cascade import Cascade, break_even, budget_grid, cascade_name
from rb_support.routers.chains import best_chains, best_order, chains, learned_cascades, searched
from rb_support.routers.clusters import ClusterRouter
from rb_support.routers.decision import (
    LambdaPath,
    PredictiveRouter,
    decide,
    ladder,
    lambda_path,
    mean_cost,
    predicted_cost,
)
from rb_support.routers.evidence import chance_of_knowing_nothing, contrast_error
from rb_support.routers.guarded import GuardedKNNRouter
from rb_support.routers.judge import LearnedJudge, cross_judged, judge_error, judged_split
from rb_support.routers.knn import KNNRouter, neighbour_weights
from rb_support.routers.logistic import LogisticRouter
from rb_support.routers.mlp import MLPRouter
from rb_support.routers.oracle import free_abstention, oracle
from rb_support.routers.placebo import PlaceboRouter, RandomRouter, dealt_out, knows_nothing
from rb_support.routers.rerank import rerank, rerank_table
from rb_support.routers.result_vectors import ResultVectorRouter
from rb_support.routers.ridge import RidgeRouter
from rb_support.routers.zero import ZeroRouter, model_points

__all__ = [
    "BoostingRouter",
    "Cascade",
    "GuardedKNNRouter",
    "ClusterRouter",
    "CostAwareRouter",
    "KNNRouter",
    "LambdaPath",
    "LearnedJudge",
    "LogisticRouter",
    "MLPRouter",
    "PlaceboRouter",
    "PredictiveRouter",
    "RandomRouter",
    "ResultVectorRouter",
    "RidgeRouter",
    "ZeroRouter",
    "best_chains",
    "best_order",
    "break_even",
    "budget_grid",
    "cascade_name",
    "chains",
    "chance_of_knowing_nothing",
    "contrast_error",
    "cross_judged",
    "dealt_out",
    "decide",
    "free_abstention",
    "judge_error",
    "judged_split",
    "knows_nothing",
    "ladder",
    "lambda_path",
    "learned_cascades",
    "mean_cost",
    "model_points",
    "neighbour_weights",
    "oracle",
    "predicted_cost",
    "rerank",
    "rerank_table",
    "searched",
]
