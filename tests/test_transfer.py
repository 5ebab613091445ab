"""Other pairs, and the map over all pairs: against pair-by-pair metrics and by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scores_made import scores_of
from sources_made import OPUS, shelf, study

from rb_support import paper
from rb_support.outcomes import PairScores
from rb_support.pairs import apgr, cpt, random_apgr_spread, threshold_sweep
from rb_support.preference.training_sets import load_experiment
from rb_support.report.preference_figures import plot_pair, transfer_figure
from rb_support.simulate import simulate_outcomes
from rb_support.studies import transfer
from rb_support.studies.preference_study import WinRates, benchmark_of, results


@pytest.fixture(scope="module")
def experiment():
    return load_experiment("simulated", gold=50)


@pytest.fixture(scope="module")
def on(experiment):
    return transfer.tables(experiment, scale="quick", seed=0)


tables = st.integers(2, 30).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([0.1, 0.3, 0.5, 0.9]), min_size=n, max_size=n),
        st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=4, max_size=4), min_size=n, max_size=n),
    )
)


@given(tables)
@settings(max_examples=25)
def test_the_map_is_the_metrics_pair_by_pair(drawn):
    rate, values = drawn
    pairs = transfer.pairs_of(scores_of(values))
    if not pairs:
        with pytest.raises(ValueError, match="no pair"):
            transfer.transfer_map(rate, pairs)
        return
    found = transfer.transfer_map(rate, pairs)
    assert found["pair"].tolist() == list(pairs)
    for row in found.itertuples():
        pair = pairs[row.pair]
        curve, ends = threshold_sweep(rate, pair.strong, pair.weak), (pair.weak.mean(), pair.strong.mean())
        assert row.apgr == pytest.approx(apgr(*curve, *ends), abs=1e-9)
        assert row.cpt50 == pytest.approx(cpt(*curve, *ends, 0.5), abs=1e-9)
        assert row.gap == pytest.approx(ends[1] - ends[0])
        spread = random_apgr_spread(pair.strong, pair.weak)
        assert row.chance_high - 0.5 == pytest.approx(1.959964 * spread, rel=1e-5)
        assert row.chance_low == pytest.approx(1 - row.chance_high)


def test_a_map_by_hand():
    """Three queries; a perfect order recovers the gap of one query with one call in three."""
    pairs = {"one": scores_of([[1, 0], [1, 1], [0, 0]]).pair("a", "b")}
    row = transfer.transfer_map([0.9, 0.5, 0.1], pairs).iloc[0]
    assert (row["n"], row["gap"], row["cpt50"]) == (3, pytest.approx(1 / 3), pytest.approx(1 / 6))
    assert row["apgr"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert not row["outside"]  # one query that gains says nothing


def test_pairs_of_a_map_must_have_the_queries_of_the_win_rates():
    with pytest.raises(ValueError, match="equal lengths"):
        transfer.transfer_map([0.1, 0.2], transfer.pairs_of(scores_of([[1, 0]])))


def test_what_is_outside_chance_is_rare_for_a_router_that_knows_nothing():
    rng = np.random.default_rng(0)
    pairs = transfer.pairs_of(scores_of(rng.random((400, 2)) < [0.8, 0.5]))
    outside = [transfer.transfer_map(rng.random(400), pairs)["outside"].item() for _ in range(150)]
    assert 0.02 < np.mean(outside) < 0.09


def test_a_pair_without_a_gap_has_no_apgr():
    pair = scores_of([[1, 0], [0, 1]]).pair("a", "b")
    row = transfer.transfer_map([0.9, 0.1], {"even": pair}).iloc[0]
    assert np.isnan([row["apgr"], row["cpt50"], row["chance_low"]]).all()
    assert not row["outside"]


def test_pairs_are_ordered_by_their_gap_and_each_stands_once():
    pairs = transfer.pairs_of(scores_of([[1, 0, 0, 0], [1, 1, 0, 1]]))
    assert list(pairs)[0] == "a / c"
    assert set(pairs) == {"a / b", "a / c", "a / d", "b / c", "d / c"}
    assert all(pair.strong.mean() > pair.weak.mean() for pair in pairs.values())
    with pytest.raises(ValueError, match="no scores of 'z'; known: a, b"):
        scores_of([[1, 0]]).pair("a", "z")


def test_what_pairs_allow():
    scores = scores_of([[1, 0, 1], [1, 1, 0], [0, 0, 1]])
    table = transfer.pair_table({"wide": scores.pair("a", "b"), "even": scores.pair("a", "c")})
    assert table["pair"].tolist() == ["wide", "even"]
    assert table["gap"].tolist() == [pytest.approx(1 / 3), 0]
    assert table["chance"][0] == random_apgr_spread([1, 1, 0], [0, 1, 0])
    assert np.isnan(table["chance"][1])


def test_a_gap_of_rounding_is_none():
    assert list(transfer.pairs_of(scores_of([[0.1, 0.3], [0.2, 0.0]]))) == []


def test_simulated_pairs_are_of_the_experiments_queries(experiment):
    tables = transfer.score_tables(experiment)
    pairs = transfer.other_pairs(experiment, tables)
    assert list(pairs) == [
        "GPT-3.5 / Mistral 7B (MT Bench)",
        "Claude v2 / Code Llama 34B (MT Bench)",
        "GPT-3.5 / Mistral 7B (GSM8K)",
        "Claude v2 / Code Llama 34B (GSM8K)",
    ]
    found = {name: transfer.pairs_of(table) for name, table in tables.items()}
    counts = {benchmark: len(tables) for benchmark, tables in found.items()}
    assert counts == {"MT Bench": 54, "MMLU": 55, "GSM8K": 55}  # two models have the same mean on MT Bench
    for benchmark, tables in found.items():
        queries = set(experiment.benchmarks[benchmark].frame["sample_id"])
        assert all(set(pair.frame["sample_id"]) == queries for pair in tables.values())
    assert not queries & set(experiment.gold.frame["sample_id"])
    assert [transfer.augmented(experiment, name) for name in ("MT Bench", "MMLU", "GSM8K")] == [
        "D_arena + D_judge",
        "D_arena + D_gold",
        "D_arena + D_judge",
    ]


def test_own_pairs_are_the_widest_others(tmp_path):
    outcomes = simulate_outcomes(600, seed=5)
    outcomes = outcomes.take((outcomes.frame["dataset"] == "MMLU").to_numpy()).select(outcomes.models[:4])
    path = tmp_path / "mine.csv"
    outcomes.to_wide().to_csv(path, index=False)
    experiment = load_experiment(str(path), gold=40, strong=outcomes.models[0], weak=outcomes.models[3])
    tables = transfer.score_tables(experiment)
    pairs = transfer.other_pairs(experiment, tables)
    assert len(pairs) == 2
    assert all(len(pair) == len(experiment.benchmarks["MMLU"]) for pair in pairs.values())
    assert (experiment.strong, experiment.weak) not in {
        (p.strong_model, p.weak_model) for p in pairs.values()
    }
    every = list(transfer.pairs_of(tables["MMLU"]).values())
    gaps = [pair.strong.mean() - pair.weak.mean() for pair in every]
    assert gaps == pytest.approx(sorted(gaps, reverse=True))
    assert transfer.augmented(experiment, "MMLU") == "D_gold"


def test_pairs_of_made_files_leave_out_what_is_contaminated_or_unscored(tmp_path, monkeypatch):
    """Question 83 is in the training data, and Claude 3 Opus has no score on 84."""
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    study(shelf(tmp_path / "data", monkeypatch))
    experiment = load_experiment("real")
    tables = transfer.score_tables(experiment)
    pairs = transfer.other_pairs(experiment, tables)
    judged = {f"mtbench.{q}" for q in range(81, 91) if q not in (83, 84)}
    for name in ("Claude 3 Opus / Mixtral (MT Bench)", "Claude 3.5 Sonnet / Mixtral (MT Bench)"):
        assert set(pairs[name].frame["sample_id"]) == judged
        assert pairs[name].scale == (1, 10)
        assert pairs[name].origin.notes[-2:] == (
            "1 prompts that also stand in RouteLLM's training data were left out",
            "1 rows lack a score of some model and were dropped",
        )
    mistakes = {"Claude 3 Opus / Sonnet (GSM8K)": (4, 5), "Llama 3.1 70B / 8B (GSM8K)": (5, 8)}
    for name, wrong in mistakes.items():
        assert set(pairs[name].frame["prompt"]) == set(experiment.benchmarks["GSM8K"].frame["prompt"])
        assert ((pairs[name].strong == 0).sum(), (pairs[name].weak == 0).sum()) == wrong
        assert pairs[name].origin.notes[-1].startswith("1 prompts that also stand")
    assert len(pairs) == 5
    origin = transfer.whole_origin(experiment, pairs)
    assert (origin.kind, origin.name) == (
        "real",
        "answers of RouteLLM and ZeroEval, judgments of MT-Bench and AlpacaEval",
    )
    assert {file for pair in pairs.values() for file in pair.origin.files} < set(origin.files)
    found = {name: transfer.pairs_of(table) for name, table in tables.items()}
    assert len(found["MT Bench"]) == 15 and len(found["GSM8K"]) == 10 - 1  # one pair has no gap
    assert next(iter(found["GSM8K"])) == f"{OPUS} / Mixtral-8x7B-Instruct-v0.1"
    assert transfer.augmented(experiment, "MMLU") == "D_arena + D_gold"
    assert transfer.augmented(experiment, "GSM8K") == "D_arena + D_judge"


def test_real_pairs_leave_out_what_is_contaminated(real):
    experiment = load_experiment("real")
    tables = transfer.score_tables(experiment)
    pairs = transfer.other_pairs(experiment, tables)
    assert {name: len(pair) for name, pair in pairs.items()} == {
        "Claude 3 Opus / Mixtral (MT Bench)": 72,
        "Claude 3.5 Sonnet / Mixtral (MT Bench)": 72,
        "Llama 3.1 70B / 8B (MT Bench)": 72,
        "Claude 3 Opus / Sonnet (GSM8K)": 1307,
        "Llama 3.1 70B / 8B (GSM8K)": 1307,
    }
    for name, pair in pairs.items():
        clean = experiment.benchmarks[benchmark_of(name, experiment.benchmarks)]
        assert set(pair.frame["prompt"]) == set(clean.frame["prompt"])
        assert pair.scale == clean.scale
        assert pair.strong.mean() > pair.weak.mean()
    origin = transfer.whole_origin(experiment, pairs)
    assert origin.kind == "real" and "ZeroEval" in origin.name
    assert len(origin.name) < 100
    assert {file for pair in pairs.values() for file in pair.origin.files} < set(origin.files)
    found = {name: transfer.pairs_of(table) for name, table in tables.items()}
    assert {name: len(tables) for name, tables in found.items()} == {"MT Bench": 15, "GSM8K": 105}
    assert any("left out" in note for note in pairs["Llama 3.1 70B / 8B (GSM8K)"].origin.notes)
    assert [transfer.augmented(experiment, name) for name in ("MMLU", "GSM8K")] == [
        "D_arena + D_gold",
        "D_arena + D_judge",
    ]


def test_maps_of_several_routers_and_their_summary():
    rng = np.random.default_rng(0)
    values = rng.random((300, 4)) < [0.9, 0.7, 0.5, 0.2]
    pairs = transfer.pairs_of(scores_of(values))
    difficulty = values.sum(axis=1)
    one = next(iter(pairs.values()))
    rates = [
        WinRates("D", "knows", "all (GSM8K)", one, -difficulty + rng.random(300) / 9),
        WinRates("D", "guesses", "GSM8K", one, rng.random(300)),
    ]
    maps = transfer.transfer_maps(rates, {"GSM8K": pairs})
    assert len(maps) == 12
    assert list(maps.columns[:3]) == ["benchmark", "training", "router"]
    found = transfer.summary(maps).set_index("router")
    assert found["pairs"].tolist() == [6, 6]
    knows = maps[maps["router"] == "knows"]
    assert found.loc["knows", "better"] == (knows["apgr"] > knows["chance_high"]).mean()
    assert found.loc["knows", "median_apgr"] == knows["apgr"].median()


def test_the_papers_numbers_stand_only_beside_the_same_pair_and_benchmark():
    names = ["GPT-4 / Mixtral (GSM8K)", "Claude 3 Opus / Sonnet (GSM8K)", "Claude 3 Opus / Sonnet (MT Bench)"]
    table = pd.DataFrame({"benchmark": names, "router": "Causal LM", "apgr": 0.5})
    found = transfer.beside_paper(transfer.in_words(table, ["GSM8K", "MT Bench"]), "GPT-4 / Mixtral")
    assert found["pair"].tolist() == ["GPT-4 / Mixtral"] + ["Claude 3 Opus / Sonnet"] * 2
    assert found["benchmark"].tolist() == ["GSM8K", "GSM8K", "MT Bench"]
    assert found["paper_apgr"].fillna(-1).tolist() == [0.622, -1, 0.656]
    assert found["paper_cpt80"].fillna(-1).tolist() == [0.6326, -1, 0.5]


@pytest.mark.parametrize("benchmarks", [1, 2])
def test_the_figure_shows_every_pair_with_a_gap(benchmarks):
    rng = np.random.default_rng(0)
    pairs = transfer.pairs_of(scores_of(rng.random((200, 4)) < [0.9, 0.7, 0.5, 0.2]))
    one = next(iter(pairs.values()))
    rates = [WinRates("D", "R", f"set {i}", one, rng.random(200)) for i in range(benchmarks)]
    maps = transfer.transfer_maps(rates, {f"set {i}": pairs for i in range(benchmarks)})
    fig = transfer_figure(maps.assign(mark=[*["one"], *[""] * (len(maps) - 1)]), router="R")
    drawn = [part for ax in fig.axes for part in ax.collections if "chance" in str(part.get_label())]
    dots = sum(len(part.get_offsets()) for part in drawn if part.get_label() != "chance, 95%")
    assert dots == len(maps)
    assert "set 0\n6 pairs, n = 200" in {fig.axes[0].get_title(loc) for loc in ("left", "center")}


def test_differences_between_pairs():
    """A router that sorts the original pair perfectly and another pair wrongly is no longer comparable."""
    rng = np.random.default_rng(0)
    gain = (rng.random(400) < 0.5).astype(float)
    scores = scores_of(np.column_stack([gain, np.zeros(400), 1.2 * (1 - gain) / 2 + 0.2, np.full(400, 0.2)]))
    pair, other = scores.pair("a", "b"), scores.pair("c", "d")
    names = {"GSM8K": pair, "a / b (GSM8K)": pair, "c / d (GSM8K)": other}
    rates = [WinRates("D", "R", name, on, gain + rng.normal(0, 0.01, 400)) for name, on in names.items()]
    found = transfer.pair_differences(rates, ["GSM8K"], list(names)[1:], rng=rng, draws=200)
    assert found["benchmark"].tolist() == ["GSM8K", "GSM8K"]
    assert found["difference"][0] == pytest.approx(0, abs=0.02)
    assert found["low"][0] < 0 < found["high"][0] and found["high"][1] < -0.05


def test_a_gap_too_small_withholds_what_divides_by_it():
    """Luck reaches far where one query in fifty makes the gap; there no APGR stands, and the words do."""
    rng = np.random.default_rng(0)
    wide, level = rng.random(100) < 0.4, np.arange(100) % 2
    scores = scores_of(
        np.column_stack([wide, np.zeros(100), np.maximum(level, np.arange(100) < 3), 1 - level])
    )
    pairs = {"wide": scores.pair("a", "b"), "small": scores.pair("c", "d")}
    assert random_apgr_spread(pairs["small"].strong, pairs["small"].weak) > transfer.WIDEST_CHANCE
    rates = [WinRates("D", "R", name, pair, rng.random(100)) for name, pair in pairs.items()]
    table = transfer.withheld(results(rates, rng=rng, draws=20), pairs).set_index(["benchmark", "router"])
    assert table["gap"].to_dict() == {
        ("wide", "Random"): "",
        ("wide", "R"): "",
        ("small", "Random"): transfer.TOO_SMALL,
        ("small", "R"): transfer.TOO_SMALL,
    }
    kept = ["training", "queries", "gap"]
    assert table.loc["small"].drop(columns=kept).isna().all(axis=None)
    assert table.loc["wide"][["apgr", "cpt50", "improvement"]].notna().all(axis=None)
    assert transfer.pair_differences(rates, ["wide"], [], rng=rng, draws=20).empty


def test_all_tables_of_an_experiment_are_named_by_pair_and_benchmark(on):
    assert max(map(len, on.benchmarks.values())) == 1000 and list(on.maps) == list(on.benchmarks)
    assert on.judged_on == ["MT Bench", "GSM8K"]  # as the other pairs are
    assert [*on.originals] == [f"GPT-4 / Mixtral 8x7B ({name})" for name in on.judged_on]
    assert all(
        pair is on.benchmarks[benchmark_of(name, on.benchmarks)] for name, pair in on.originals.items()
    )
    kinds = [on.benchmarks, on.originals, on.others, {f"all ({name})": 0 for name in on.maps}]
    assert list(on.every) == [name for kind in kinds for name in kind]


def test_the_marks_of_a_map_are_the_pairs_that_stand_in_the_table(experiment, on):
    names = [f"all ({name})" for name in on.maps]
    rates = [
        WinRates("D", r, n, on.every[n], np.linspace(0, 1, len(on.every[n]))) for n in names for r in "RS"
    ]
    part = transfer.marked(transfer.transfer_maps(rates, on.maps), "S", experiment, on)
    assert set(part["router"]) == {"S"} and part["benchmark"].nunique() == 3
    marks = part.loc[part["mark"] != "", ["benchmark", "mark", "pair"]]
    assert set(marks["mark"]) == {
        "GPT-4 / Mixtral 8x7B",
        "GPT-3.5 / Mistral 7B",
        "Claude v2 / Code Llama 34B",
    }
    assert (marks["mark"] == marks["pair"]).all() and len(marks) == 9
    drawn = transfer.first_map(part, rates, on)
    first = part["benchmark"][0]
    assert list(drawn) == part.loc[part["benchmark"] == first, "pair"].tolist()
    for name, (rate, pair) in drawn.items():
        assert pair is on.maps[first][name] and len(rate) == len(pair)
    assert transfer.first_map(part[:0], rates, on) == {}


def test_on_which_side_of_chance_routers_lie():
    """The random router does not count, and a gap that is too small counts on no side."""
    rows = [
        ("p", "GSM8K", "Random", 0.5, 0.51, 0.6, ""),
        ("p", "GSM8K", "A", 0.7, 0.6, 0.8, ""),
        ("p", "GSM8K", "B", 0.3, 0.2, 0.4, ""),
        ("p", "GSM8K", "C", 0.6, 0.4, 0.8, ""),
        ("q", "MT Bench", "A", np.nan, np.nan, np.nan, transfer.TOO_SMALL),
    ]
    columns = ["pair", "benchmark", "router", "apgr", "apgr_low", "apgr_high", "gap"]
    found = transfer.sides(pd.DataFrame(rows, columns=columns))
    assert found.drop(columns="best").to_dict("records") == [
        {"pair": "p", "benchmark": "GSM8K", "routers": 3, "above": 1, "below": 1, "small": False},
        {"pair": "q", "benchmark": "MT Bench", "routers": 1, "above": 0, "below": 0, "small": True},
    ]
    assert found["best"].tolist()[0] == 0.7 and np.isnan(found["best"].tolist()[1])


def test_the_pictures_of_one_pair():
    """Half of PGR at a call of five: the curve starts at nothing, ends at all, and says its APGR."""
    pair = scores_of([[1, 0], [1, 1], [1, 1], [1, 1], [1, 0]]).pair("a", "b")
    ax = plt.figure().subplots()
    plot_pair(ax, np.array([0.9, 0.8, 0.7, 0.6, 0.5]), pair, title="a / b")
    assert np.allclose(ax.lines[-1].get_ydata(), [0, 0.5, 0.5, 0.5, 0.5, 1])
    assert "a / b" in {ax.get_title(place) for place in ("left", "center")}
    assert "gap 0.400" in ax.texts[0].get_text() and "APGR 0.50" in ax.texts[0].get_text()
    even = plt.figure().subplots()
    plot_pair(even, np.array([0.9, 0.1]), scores_of([[1, 0], [0, 1]]).pair("a", "b"), title="a / b")
    assert not even.lines and "no gap" in even.texts[0].get_text()
    plt.close("all")


def test_named_pairs_are_pair_scores():
    assert isinstance(scores_of([[1, 0]]).pair("a", "b"), PairScores)
    names = set(paper.routellm_results(4)["pair"])
    assert names <= set(transfer.listed_pairs().query("data == 'real'")["name"])
