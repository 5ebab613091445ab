"""Routers trained once and used on several tables."""

import numpy as np
import pandas as pd
import pytest
from scores_made import scores_of

from rb_support.outcomes import Battles
from rb_support.preference.sw import SWRanking
from rb_support.preference.training_sets import Experiment
from rb_support.studies.preference_study import trained, win_rates


class Counting(SWRanking):
    """Notes how many queries it is asked about."""

    asked: tuple[int, ...] = ()

    def win_rate(self, X):
        self.asked = (*self.asked, len(X))
        return super().win_rate(X)


def little_study():
    prompts = [f"prompt {i}" for i in range(6)]
    frame = pd.DataFrame({"prompt": prompts, "model_a": "a", "model_b": "b"})
    battles = Battles(frame.assign(winner=["model_a", "model_b"] * 3))
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 4)), index=prompts)
    scores = scores_of([[1, 0], [0, 0], [1, 1], [1, 0]], prompts=prompts[:4])
    experiment = Experiment(
        benchmarks={"GSM8K": scores.pair("a", "b")},
        training={"D_gold": battles},
        pool=scores.pair("a", "b"),
        gold=scores.pair("a", "b"),
        tiers={"a": 0, "b": 1},
        strong="a",
        weak="b",
    )
    return experiment, X, scores


def test_a_prompt_is_scored_once_and_every_table_gets_its_rows():
    experiment, X, scores = little_study()
    candidates = {"SW ranking": Counting(strong="strong", weak="weak")}
    routers = trained(experiment, candidates, X, ["D_gold", "D_gold"])
    assert list(routers) == [("D_gold", "SW ranking")]
    router = routers["D_gold", "SW ranking"]
    whole = scores.pair("a", "b")
    part = whole.take(np.array([2, 0]))
    tables = {"whole (GSM8K)": whole, "part (GSM8K)": part}
    rates = {one.table[:-8]: one.rate for one in win_rates(routers, tables, X, trainings={"GSM8K": "D_gold"})}
    assert router.asked == (4,)
    assert rates["part"].tolist() == rates["whole"][[2, 0]].tolist()
    assert rates["whole"] == pytest.approx(SWRanking.win_rate(router, X.iloc[:4].to_numpy()))


def test_routers_score_the_tables_of_their_training_set():
    experiment, X, scores = little_study()
    candidates = {"SW ranking": Counting(strong="strong", weak="weak")}
    routers = trained(experiment, candidates, X, ["D_gold"])
    tables = {"GSM8K": scores.pair("a", "b"), "a / b (GSM8K)": scores.pair("a", "b")}
    rates = win_rates(routers, tables, X, trainings={"GSM8K": "D_gold"})
    assert [(one.training, one.router) for one in rates] == [("D_gold", "SW ranking")] * 2
    assert [one.table for one in rates] == list(tables)
    assert routers["D_gold", "SW ranking"].asked == (4,)
    with pytest.raises(ValueError, match=r"'a / b \(MBPP\)' is of none of the benchmarks GSM8K"):
        win_rates(routers, {"a / b (MBPP)": tables["GSM8K"]}, X, trainings={"GSM8K": "D_gold"})
