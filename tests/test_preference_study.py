"""The preference study on made data: what is kept apart, what stands beside what, and what is chosen how."""

import numpy as np
import pandas as pd
import pytest
from sources_made import WEAK, shelf
from sources_made import study as published_study

from rb_support import paper
from rb_support.outcomes import Origin, PairScores
from rb_support.preference.battle_sets import gold_battles
from rb_support.preference.training_sets import Experiment, load_experiment, take_gold
from rb_support.simulate import simulate_outcomes
from rb_support.studies import labels, preference_claims, preference_study


@pytest.fixture(scope="module")
def simulated():
    return load_experiment("simulated", gold=300)


def pairs_of(strong, weak, prompts=None, name="MMLU"):
    n = len(strong)
    frame = pd.DataFrame({"sample_id": [f"{name}.{i}" for i in range(n)], "dataset": name, "task": "t"})
    frame["prompt"] = prompts or [f"{name} question {i}" for i in range(n)]
    return PairScores(frame, np.asarray(strong, float), np.asarray(weak, float), "s", "w")


def prompts_of(table):
    return set(table.frame["prompt"])


def test_nothing_that_is_judged_on_is_learnt_from(simulated):
    judged = set().union(*map(prompts_of, simulated.benchmarks.values()))
    gold = prompts_of(simulated.gold)
    assert len(simulated.gold) == 300 and not gold & judged
    assert gold <= prompts_of(simulated.training["D_arena + D_gold"])
    assert gold | prompts_of(simulated.benchmarks["MMLU"]) == prompts_of(simulated.pool)


def test_classes_are_the_two_tiers_above_the_weak_model_and_its_own(simulated):
    weak = simulated.tiers[simulated.weak]
    assert simulated.tiers[simulated.strong] == 0 < weak
    assert simulated.pair("tiers") == ("tier 0", f"tier {weak}")
    assert simulated.pair("classes") == ("strong", "weak")
    assert simulated.battles("D_arena", "classes").models == ("strong", "weak")
    assert len(simulated.battles("D_arena", "tiers").models) == 10


def test_origin_holds_all_parts_under_a_short_name(simulated):
    origin = simulated.origin
    assert origin.kind == "simulated" and len(origin.name) < 80
    assert any("rena" in note for note in origin.notes)


def test_experiment_of_made_files_is_what_real_files_would_give(tmp_path, monkeypatch):
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    published_study(shelf(tmp_path / "data", monkeypatch))
    experiment = load_experiment("real", gold=1500)
    sizes = {name: len(pairs) for name, pairs in experiment.benchmarks.items()}
    gold = int(0.4 * 79)  # of two subjects of 40 questions, one of them leaked
    assert sizes == {"MT Bench": 9, "MMLU": 79 - gold, "GSM8K": 39} and len(experiment.gold) == gold
    assert not prompts_of(experiment.gold) & prompts_of(experiment.benchmarks["MMLU"])
    assert "virology? 3" not in prompts_of(experiment.pool)
    assert list(experiment.training) == ["D_judge", "D_judge + D_gold", "D_gold"]
    assert [len(part) for part in experiment.training.values()] == [160, 160 + gold, gold]
    assert set(experiment.training["D_gold"].models) == {experiment.strong, experiment.weak}
    assert experiment.tiers[experiment.strong] == 0 < experiment.tiers[experiment.weak]
    assert (experiment.weak, set(experiment.tiers.values())) == (WEAK, set(range(10)))
    assert "Mixtral-8x7B-Instruct-v0.1_concise" not in experiment.tiers
    assert experiment.origin.kind == "real" and len(experiment.origin.files) == 3 + 3 + 2 + 20


def test_real_experiment_is_the_papers_evaluation_data(shared_data, monkeypatch):
    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    experiment = load_experiment("real")
    sizes = {name: len(pairs) for name, pairs in experiment.benchmarks.items()}
    assert sizes == {"MT Bench": 72, "MMLU": 14_037 - 1500, "GSM8K": 1307} and len(experiment.gold) == 1500
    assert experiment.tiers[experiment.weak] == 2, "as in the paper, Mixtral is in the third tier"
    assert list(experiment.training) == ["D_judge", "D_judge + D_gold", "D_gold"]
    assert not prompts_of(experiment.gold) & prompts_of(experiment.benchmarks["MMLU"])


def test_own_experiment_holds_labels_out_of_every_dataset(tmp_path):
    table = simulate_outcomes(600, seed=5)
    keep = table.frame["dataset"].isin(["GSM8K", "MBPP"]).to_numpy()
    path = tmp_path / "mine.csv"
    table.take(keep).select(table.models[:3]).to_wide().to_csv(path, index=False)
    experiment = load_experiment(str(path), gold=20)
    assert list(experiment.benchmarks) == ["GSM8K", "MBPP"] and list(experiment.training) == ["D_gold"]
    assert experiment.strong != experiment.weak and experiment.origin.kind == "own"
    judged = set().union(*map(prompts_of, experiment.benchmarks.values()))
    assert not judged & prompts_of(experiment.training["D_gold"])


def test_a_small_own_table_is_one_benchmark(tmp_path):
    table = simulate_outcomes(600, seed=5)
    path = tmp_path / "small.csv"
    table.take(np.arange(10)).to_wide().to_csv(path, index=False)
    experiment = load_experiment(str(path))
    assert list(experiment.benchmarks) == ["all rows"] and len(experiment.benchmarks["all rows"]) == 6
    assert len(experiment.gold) == 4 and experiment.notes == ()


def test_gold_keeps_equal_prompts_together():
    pairs = pairs_of([1, 0, 1, 0, 1, 1], [0] * 6, prompts=["a", "a", "b", "b", "c", "d"])
    for seed in range(20):
        held, rest = take_gold(pairs, 3, np.random.default_rng(seed))
        assert not prompts_of(held) & prompts_of(rest) and 1 <= len(held) <= 3


def experiment_of(pairs, rows=200):
    held, rest = take_gold(pairs, rows, np.random.default_rng(0))
    return Experiment({"MMLU": rest}, {"D_gold": gold_battles(held)}, pairs, held, {"s": 0, "w": 1}, "s", "w")


def easy_pairs(n=600):
    """Queries of two kinds; the strong model wins on one of them. Vectors tell the kind."""
    rng = np.random.default_rng(3)
    kind = rng.integers(0, 2, n)
    pairs = pairs_of(np.ones(n), 1 - kind * (rng.random(n) < 0.8))
    vectors = np.column_stack([kind, 1 - kind]) + 0.1 * rng.normal(size=(n, 2))
    return pairs, pd.DataFrame(vectors.astype(np.float32), index=pairs.frame["prompt"])


def test_routers_on_vectors_learn_and_are_told_from_random():
    pairs, X = easy_pairs()
    experiment = experiment_of(pairs)
    routers = {"SW ranking": preference_study.candidates()["SW ranking"]}
    rates = preference_study.win_rates(
        preference_study.trained(experiment, routers, X, experiment.training), experiment.benchmarks, X
    )
    table = preference_study.results(rates, rng=np.random.default_rng(0), draws=50)
    random, sw = table.set_index("router").loc[["Random", "SW ranking"]].to_dict("records")
    assert random["apgr"] == 0.5 and sw["apgr_low"] > 0.65 and sw["cpt50_high"] < random["cpt50_low"]
    assert sw["improvement"] == pytest.approx(sw["apgr"] / 0.5 - 1)
    curve = preference_study.curve_table(rates)
    assert len(curve) == preference_study.GRID and curve["score"].iloc[[0, -1]].tolist() == pytest.approx(
        [experiment.benchmarks["MMLU"].weak.mean(), 1]
    )


def test_the_papers_numbers_stand_beside_the_like():
    rows = [
        ("MMLU", "", "Random"),
        ("MMLU", "D_judge", "SW ranking"),
        ("MMLU", "D_judge + D_gold", "Causal LM"),
    ]
    rows += [("GSM8K", "D_judge", "BERT"), ("GSM8K", "D_judge + D_gold", "BERT"), ("mine", "D_gold", "BERT")]
    table = preference_study.beside_paper(pd.DataFrame(rows, columns=["benchmark", "training", "router"]))
    assert table["paper_training"].tolist() == ["", "arena", "arena + gold", "arena + judge", "none", "none"]
    known = table["paper_apgr"].dropna().tolist()
    assert known == [0.5, 0.473, 0.6, 0.531]
    assert set(known) <= set(pd.concat([paper.routellm_results(n) for n in (2, 3)])["apgr"])


def test_subsample_keeps_order_and_takes_all_where_told():
    pairs = pairs_of(np.arange(9) / 10, np.zeros(9))
    part = preference_study.subsample(pairs, 4, np.random.default_rng(0))
    assert len(part) == 4 and (np.diff(part.strong) > 0).all()
    assert preference_study.subsample(pairs, 0, np.random.default_rng(0)) is pairs


def test_statements_are_decided_by_intervals():
    row = {"benchmark": "MMLU", "training": "D_arena + D_gold", "queries": 10, "cpt50": 0.4}
    row |= {"cpt50_low": 0.38, "cpt50_high": 0.42, "apgr": 0.6, "apgr_low": 0.55, "apgr_high": 0.65}
    found = pd.DataFrame([{**row, "router": "BERT"}, {**row, "router": "SW ranking", "apgr_low": 0.51}])
    said = {
        text: holds for text, _, holds in preference_claims.verdicts(found, [], rng=np.random.default_rng(0))
    }
    assert said["With golden labels all routers beat random on MMLU"] is True
    assert said["Golden labels improve every router on MMLU"] is None, "there are no rates to compare"
    assert said["Trained on votes alone, all routers are at random's level on MMLU"] is None
    assert [holds for text, holds in said.items() if "fewer calls" in text] == [True]
    found["apgr_low"] = [0.55, 0.45]
    said = {
        text: holds for text, _, holds in preference_claims.verdicts(found, [], rng=np.random.default_rng(0))
    }
    assert said["With golden labels all routers beat random on MMLU"] is None


def test_gains_are_paired():
    rng = np.random.default_rng(0)
    pairs = pairs_of((rng.random(400) < 0.8), (rng.random(400) < 0.6))
    guess, knowing = rng.random(400), pairs.strong - pairs.weak + 0.01 * rng.random(400)
    rates = [
        preference_study.WinRates("D_arena", "BERT", "MMLU", pairs, guess),
        preference_study.WinRates("D_arena + D_gold", "BERT", "MMLU", pairs, knowing),
    ]
    (row,) = preference_claims.gains(rates, "D_gold", rng=rng, draws=100).to_dict("records")
    assert row["gain_low"] > 0.2 and row["gain_low"] <= row["gain"] <= row["gain_high"]


def test_origin_of_an_example_says_what_it_is():
    toy = labels.toy_battles(["model_a", "tie"])
    assert toy.share.tolist() == [1.0, 0.5] and toy.origin == Origin("simulated", "worked example")
