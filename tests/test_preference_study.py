"""The preference study on made data: what is kept apart, what stands beside what, and what is chosen how."""

import numpy as np
import pandas as pd
import pytest
from sources_made import shelf
from sources_made import study as published_study

from rb_support import paper
from rb_support.outcomes import Origin, PairScores
from rb_support.preference.battle_sets import gold_battles
from rb_support.preference.sw import SWRanking
from rb_support.preference.training_sets import Experiment, load_experiment, take_gold
from rb_support.report.claims import claims_of
from rb_support.simulate import simulate_outcomes
from rb_support.studies import (
    category_study,
    labels,
    preference_claims,
    preference_controls,
    preference_study,
)
from rb_support.verdicts import decide

REAL_SETS = ["D_arena", "D_arena + D_judge", "D_arena + D_gold", "AlpacaEval, 20 models"]


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
    assert simulated.pair("tiers") == ("strong", f"tier {weak}")
    assert simulated.pair("classes") == ("strong", "weak")
    assert simulated.battles("D_arena", "classes").models == ("strong", "weak")
    assert len(simulated.battles("D_arena", "tiers").models) == 11 - weak, "tiers above it are one class"


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
    assert list(experiment.training) == REAL_SETS
    judged = 2 * 4 + 2  # two protocols, and the prompts that have both scores
    sizes = [len(part) for part in experiment.training.values()]
    assert sizes == [20, 20 + judged, 20 + gold, 160]
    right = experiment.battles("D_arena + D_gold", "classes")
    assert len(right) == 10 + gold, "votes between claude-1 and gpt-4 are inside the strong class"
    assert (experiment.strong, experiment.weak) == ("gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1")
    tiers = experiment.tiers
    assert (tiers["gpt-4-0314"], tiers["claude-1"], tiers["vicuna-33b"], tiers[experiment.weak]) == (
        1,
        1,
        2,
        2,
    )
    assert set(experiment.training["D_arena"].models) <= set(tiers), "every model has one name and a tier"
    assert experiment.origin.kind == "real" and len(experiment.origin.files) == 3 + 3 + 2 + 20 + 2 + 1 + 3


def test_real_experiment_is_the_papers_evaluation_data(shared_data, monkeypatch):
    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    experiment = load_experiment("real")
    sizes = {name: len(pairs) for name, pairs in experiment.benchmarks.items()}
    assert sizes == {"MT Bench": 72, "MMLU": 14_037 - 1500, "GSM8K": 1307} and len(experiment.gold) == 1500
    assert experiment.tiers[experiment.weak] == 2, "as in the paper, Mixtral is in the third tier"
    assert list(experiment.training) == REAL_SETS
    sizes = {name: len(part) for name, part in experiment.training.items()}
    assert sizes["D_arena"] == 1135 and sizes["D_arena + D_judge"] == 1135 + 2 * 803 + 293
    assert sizes["D_arena + D_gold"] == 1135 + 1500
    assert len(experiment.battles("D_arena", "classes")) == 53
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
        ("MMLU", "D_arena", "SW ranking"),
        ("MMLU", "D_arena + D_gold", "Causal LM"),
        ("GSM8K", "D_arena + D_judge", "BERT"),
        ("GSM8K", "D_arena + D_gold", "BERT"),
        ("MT Bench", "AlpacaEval, 20 models", "BERT"),
        ("mine", "D_gold", "BERT"),
    ]
    table = preference_study.beside_paper(pd.DataFrame(rows, columns=["benchmark", "training", "router"]))
    like = ["", "arena", "arena + gold", "arena + judge", "none", "none", "none"]
    assert table["paper_training"].tolist() == like
    known = table["paper_apgr"].dropna().tolist()
    assert known == [0.5, 0.473, 0.6, 0.531]
    assert set(known) <= set(pd.concat([paper.routellm_results(n) for n in (2, 3)])["apgr"])


def test_subsample_keeps_order_and_takes_all_where_told():
    pairs = pairs_of(np.arange(9) / 10, np.zeros(9))
    part = preference_study.subsample(pairs, 4, np.random.default_rng(0))
    assert len(part) == 4 and (np.diff(part.strong) > 0).all()
    assert preference_study.subsample(pairs, 0, np.random.default_rng(0)) is pairs


def rates_of(name, training, pairs, rate, table="MMLU"):
    return preference_study.WinRates(training, name, table, pairs, np.asarray(rate, float))


def judged(n=400, seed=0):
    """A benchmark, an order that knows nothing and one that knows the gap."""
    rng = np.random.default_rng(seed)
    pairs = pairs_of((rng.random(n) < 0.8), (rng.random(n) < 0.6))
    return pairs, rng.random(n), pairs.strong - pairs.weak + 0.01 * rng.random(n)


def evidence_of(rates, floors, pairs):
    experiment = Experiment({"MMLU": pairs}, {}, pairs, pairs, {"s": 0, "w": 1}, "s", "w")
    rng = np.random.default_rng(0)
    return preference_claims.evidence(experiment, rates, floors, rng=rng, draws=100)


def test_beating_random_asks_for_the_interval_and_for_more_than_shuffled_labels_reach():
    pairs, guess, knowing = judged()
    gold = "D_arena + D_gold"
    rates = [rates_of("BERT", "D_arena", pairs, guess), rates_of("BERT", gold, pairs, knowing)]
    told = evidence_of(rates, {("MMLU", "BERT"): 0.7}, pairs)
    assert decide(told["mmlu-gold"], "above", level=0.5)[0] == "holds"
    assert decide(told["mmlu-votes"], "above", level=0.5)[0] != "holds"
    told = evidence_of(rates, {("MMLU", "BERT"): 2.0}, pairs)
    assert decide(told["mmlu-gold"], "above", level=0.5)[0] == "undecided", "shuffled labels reach more"
    assert told["mt-judge"] == told["gsm8k-judge-best"] == [], "there are no such rows"
    assert set(told) <= set(claims_of("06_preference_routers"))


def test_gains_are_paired_and_hold_together():
    pairs, guess, knowing = judged()
    rates = [
        rates_of(name, training, pairs, rate)
        for name, late in (("BERT", knowing), ("SW ranking", guess))
        for training, rate in (("D_arena", guess), ("D_arena + D_gold", late))
    ]
    better, same = evidence_of(rates, {}, pairs)["mmlu-gold-gain"]
    assert better.low > 0.2 and better.low <= better.value <= better.high and better.n == 400
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_what_is_never_recovered_needs_all_calls():
    pairs, _, knowing = judged()
    worst = [rates_of("BERT", "D_arena + D_gold", pairs, -knowing)]
    (told,) = evidence_of(worst, {}, pairs)["mmlu-gold-fewer"]
    assert told.value > 0.9 and told.high <= 1.1


def test_levels_of_cpt_are_the_middle_of_the_gap():
    pairs = pairs_of([1, 1, 1, 0] * 50, [1, 0, 0, 0] * 50)
    found = preference_claims.half_way(pairs, np.random.default_rng(0), 200)
    assert found.value == pytest.approx((0.75 + 0.25) / 2 / 0.75) and found.low < found.value < found.high


def test_shuffled_labels_keep_who_fought_and_who_won():
    pairs, _ = easy_pairs(300)
    battles = gold_battles(pairs)
    dealt = preference_controls.dealt_anew(battles, np.random.default_rng(0))
    rest = ["model_a", "model_b", "winner"]
    pd.testing.assert_frame_equal(dealt.frame[rest], battles.frame[rest])
    assert sorted(dealt.frame["prompt"]) == sorted(battles.frame["prompt"])
    assert (dealt.frame["prompt"] != battles.frame["prompt"]).mean() > 0.9


def test_a_router_that_knows_lies_above_its_floor_and_shuffled_ones_mostly_below():
    rng = np.random.default_rng(0)
    topic = rng.integers(0, 16, 900)
    pairs = pairs_of(np.ones(900), 1.0 * (rng.random(900) < np.where(topic % 2, 0.2, 0.9)))
    X = pd.DataFrame(np.eye(16)[topic] + 0.05 * rng.normal(size=(900, 16)), index=pairs.frame["prompt"])
    experiment = experiment_of(pairs, rows=300)
    routers = {"SW ranking": SWRanking()}
    rates = preference_study.win_rates(
        preference_study.trained(experiment, routers, X, experiment.training), experiment.benchmarks, X
    )
    null = preference_controls.shuffled(experiment, routers, X, runs={"SW ranking": 12})
    floors = preference_controls.floors(null, rates)
    (floor,) = floors.values()
    reached = [labels.area(one.rate, one.pairs) for one in null]
    assert len(null) == 12 and 0.3 < np.median(reached) < 0.65
    assert 0.5 < floor < labels.area(rates[0].rate, rates[0].pairs)
    table = preference_study.results(rates, rng=rng, draws=20, floors=floors)
    assert table["shuffled"].dropna().tolist() == [floor]


def test_prompts_close_to_a_training_prompt_are_discarded_for_all_sets_or_counted():
    pairs, X = easy_pairs(100)
    experiment = experiment_of(pairs, rows=40)
    asked = experiment.benchmarks["MMLU"].frame["prompt"]
    X = pd.DataFrame(np.eye(len(X)), index=X.index)
    X.loc[asked[3]] = X.loc[experiment.gold.frame["prompt"][0]].to_numpy()
    kept, table = preference_controls.clean(experiment, X)
    assert set(asked) - set(kept.benchmarks["MMLU"].frame["prompt"]) == {asked[3]}
    assert table[["queries", "close", "discarded"]].to_numpy().tolist() == [[len(asked), 1, 1]]
    whole, counted = preference_controls.clean(experiment, X, discard=False)
    assert len(whole.benchmarks["MMLU"]) == len(asked) and counted["close"].tolist() == [1]
    same, table = preference_controls.clean(experiment, X * 0 + 1)
    assert len(same.benchmarks["MMLU"]) == len(asked) and table["discarded"].tolist() == [0], "all would go"


def test_yardsticks_are_what_they_are_called():
    pairs, X = easy_pairs()
    long = pairs.frame.assign(
        prompt=[
            f"{text} {'x' * int(10 * g)}"
            for text, g in zip(pairs.frame["prompt"], pairs.strong - pairs.weak, strict=True)
        ],
        task=["a", "b"] * 300,
    )
    table = PairScores(long, pairs.strong, pairs.weak, "s", "w")
    X.index = pd.Index(long["prompt"])
    rates = preference_controls.yardsticks({"MMLU": table}, X)
    area = {one.router: labels.area(one.rate, table) for one in rates}
    assert list(area) == ["Prompt length", "Ridge on the benchmark", "Category means", "Oracle order"]
    assert max(area.values()) == area["Oracle order"] and area["Prompt length"] > 0.75
    assert 0.65 < area["Ridge on the benchmark"] < area["Oracle order"] > area["Category means"]
    assert all(one.training == "" for one in rates)
    alone = preference_controls.yardsticks(
        {"MMLU": pairs.take(np.arange(2))}, X.set_axis(pairs.frame["prompt"])
    )
    assert [one.router for one in alone] == ["Prompt length", "Oracle order"]


def test_ridge_never_sees_the_query_it_predicts():
    rng = np.random.default_rng(0)
    vectors, noise = rng.normal(size=(400, 40)), rng.normal(size=400)
    told = preference_controls.cross_fitted(vectors, noise, [f"q {i}" for i in range(400)])
    assert abs(np.corrcoef(told, noise)[0, 1]) < 0.15
    twice = [f"q {i // 2}" for i in range(400)]
    told = preference_controls.cross_fitted(
        np.repeat(vectors[:200], 2, axis=0), np.repeat(noise[:200], 2), twice
    )
    assert abs(np.corrcoef(told, np.repeat(noise[:200], 2))[0, 1]) < 0.25, "equal prompts share a fold"


def test_held_out_battles_tell_a_win_model_from_the_base_rate():
    pairs, X = easy_pairs()
    experiment = experiment_of(pairs, rows=240)
    routers = {"SW ranking": SWRanking(gamma=1000)}
    held = preference_controls.held_out_battles(experiment, routers, X)
    assert len(held) == int(0.2 * len(experiment.gold)) and held["base"].nunique() == 1
    (row,) = preference_controls.log_losses(held, rng=np.random.default_rng(0)).to_dict("records")
    assert row["low"] > 0 and row["gain"] == pytest.approx(row["base_loss"] - row["loss"])
    blind = held.assign(predicted=held["base"])
    (row,) = preference_controls.log_losses(blind, rng=np.random.default_rng(0)).to_dict("records")
    assert row["gain"] == row["low"] == row["high"] == 0
    bins = preference_controls.reliability(held)
    assert bins["battles"].sum() == len(held) and (bins["battles"] >= 20).all()
    assert len(preference_controls.reliability(blind)) == 1


def test_the_order_of_categories_turns_with_the_labels_of_the_benchmark():
    """Battles say the opposite of the benchmark; its own comparisons turn the order."""
    pairs, X = easy_pairs()
    kind = X.iloc[:, 0].to_numpy() > 0.5
    frame = pairs.frame.assign(task=np.where(kind, "hard", "easy"))
    table = PairScores(frame, pairs.strong, pairs.weak, "s", "w")
    held, rest = take_gold(table, 200, np.random.default_rng(0))
    wrong = PairScores(held.frame, held.strong, (held.frame["task"] == "hard").astype(float), "s", "w")
    training = {"D_gold": gold_battles(wrong)}
    experiment = Experiment({"MMLU": rest}, training, table, held, {"s": 0, "w": 1}, "s", "w")
    mixed = category_study.mixes(experiment, X, "D_gold", "MMLU", [1.0, 0.0])
    found = category_study.mix_table(mixed)
    assert found["own_share"].tolist() == [0, 1]
    assert found["apgr"].iloc[0] < 0.4 and found["apgr"].iloc[1] > 0.6
    order = category_study.orders([mixed[0.0]], "D_gold", "MMLU").iloc[0]
    assert order["apgr"] + order["apgr_reversed"] == pytest.approx(1)
    by = category_study.categories([mixed[0.0]], "D_gold", "MMLU")
    assert by["category"].tolist() == ["hard", "easy"] and by["win_rate"].is_monotonic_increasing


def test_routers_on_the_same_queries_see_the_same_resamples():
    pairs, guess, knowing = judged()
    part = pairs.take(np.arange(200))
    rates = [
        rates_of("A", "D", pairs, knowing),
        rates_of("B", "D", part, knowing[:200]),
        rates_of("C", "D", pairs, knowing),
    ]
    drawn = preference_study.judge(rates, rng=np.random.default_rng(0), draws=20)
    pd.testing.assert_frame_equal(drawn[0].samples, drawn[2].samples)
    assert not np.allclose(drawn[0].samples["apgr"], drawn[1].samples["apgr"])


def test_a_table_side_by_side_has_a_row_a_router():
    pairs, guess, knowing = judged()
    rates = [rates_of("BERT", t, pairs, r) for t, r in (("D_arena", guess), ("D_arena + D_gold", knowing))]
    rates.append(rates_of("Oracle order", "", pairs, knowing))
    table = preference_study.results(rates, rng=np.random.default_rng(0), draws=20)
    view = preference_study.side_by_side(preference_study.beside_paper(table))
    assert view["router"].tolist() == ["Random", "Oracle order", "BERT"]
    assert list(view)[2:] == ["no battles", "D_arena", "D_arena + D_gold"]
    row = table[table["training"] == "D_arena + D_gold"].iloc[0]
    ends = f"{row['apgr']:.3f} [{row['apgr_low']:.3f}, {row['apgr_high']:.3f}] · paper 0.572"
    assert view.iloc[2]["D_arena + D_gold"] == ends and view.iloc[2]["no battles"] == ""
    assert "paper" not in preference_study.side_by_side(table).to_string()
    luck = preference_study.side_by_side(table.assign(shuffled=[np.nan, np.nan, 0.6, 0.6]))
    assert luck["shuffled labels"].tolist() == ["", "", "0.600"]


def test_origin_of_an_example_says_what_it_is():
    toy = labels.toy_battles(["model_a", "tie"])
    assert toy.share.tolist() == [1.0, 0.5] and toy.origin == Origin("simulated", "worked example")
