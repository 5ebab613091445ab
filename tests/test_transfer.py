"""Other pairs, the map over all pairs, savings and overhead: against pair-by-pair metrics and by hand."""

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rb_support import paper
from rb_support.embed import EmbeddingError, embed
from rb_support.outcomes import Battles, Origin, PairScores
from rb_support.pairs import apgr, cost_saving, cost_saving_full, cpt, random_apgr_spread, threshold_sweep
from rb_support.preference import overhead, transfer
from rb_support.preference.material import Material, load_material
from rb_support.preference.study import Candidate
from rb_support.preference.sw import SWRanking
from rb_support.preference.transfer import ModelScores
from rb_support.report import commercial_figure, transfer_figure
from rb_support.simulate import simulate_outcomes
from rb_support.sources import load_pairs


def scores_of(values, models=None, prompts=None, name="made"):
    table = np.asarray(values, dtype=float)
    n, m = table.shape
    ids = [str(row) for row in range(n)]
    frame = pd.DataFrame(
        {"sample_id": ids, "dataset": "GSM8K", "task": "t", "prompt": prompts or [f"q{i}" for i in ids]}
    )
    return ModelScores(frame, tuple(models or "abcdefgh"[:m]), table, Origin("own", name), (0.0, 1.0))


@pytest.fixture
def material(tmp_path, monkeypatch):
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    return load_material("simulated", gold=50)


tables = st.integers(2, 30).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([0.1, 0.3, 0.5, 0.9]), min_size=n, max_size=n),
        st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=4, max_size=4), min_size=n, max_size=n),
    )
)


@given(tables)
def test_the_map_is_the_metrics_pair_by_pair(drawn):
    rate, values = drawn
    pairs = scores_of(values).pairs()
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
        transfer.transfer_map([0.1, 0.2], scores_of([[1, 0]]).pairs())


def test_what_is_outside_chance_is_rare_for_a_router_that_knows_nothing():
    rng = np.random.default_rng(0)
    pairs = scores_of(rng.random((400, 2)) < [0.8, 0.5]).pairs()
    outside = [transfer.transfer_map(rng.random(400), pairs)["outside"].item() for _ in range(400)]
    assert 0.02 < np.mean(outside) < 0.09


def test_a_pair_without_a_gap_has_no_apgr():
    pair = scores_of([[1, 0], [0, 1]]).pair("a", "b")
    row = transfer.transfer_map([0.9, 0.1], {"even": pair}).iloc[0]
    assert np.isnan([row["apgr"], row["cpt50"], row["chance_low"]]).all()
    assert not row["outside"]


def test_pairs_are_ordered_by_their_gap_and_each_stands_once():
    pairs = scores_of([[1, 0, 0, 0], [1, 1, 0, 1]]).pairs()
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
    assert list(scores_of([[0.1, 0.3], [0.2, 0.0]]).pairs()) == []


def test_simulated_pairs_are_of_the_materials_queries(material):
    pairs = transfer.other_pairs(material)
    assert list(pairs) == [
        "Claude v2 / Claude Instant (MT Bench)",
        "Llama-2 70B / Mistral 7B (MT Bench)",
        "Claude v2 / Claude Instant (GSM8K)",
        "Llama-2 70B / Mistral 7B (GSM8K)",
    ]
    found = transfer.all_pairs(material)
    counts = {benchmark: len(tables) for benchmark, tables in found.items()}
    assert counts == {"MT Bench": 54, "MMLU": 55, "GSM8K": 55}  # two models have the same mean on MT Bench
    for benchmark, tables in found.items():
        queries = set(material.benchmarks[benchmark].frame["sample_id"])
        assert all(set(pair.frame["sample_id"]) == queries for pair in tables.values())
    assert not queries & set(material.gold.frame["sample_id"])
    assert [transfer.augmented(material, name) for name in ("MT Bench", "MMLU", "GSM8K")] == [
        "D_arena + D_judge",
        "D_arena + D_gold",
        "D_arena + D_judge",
    ]


def test_own_pairs_are_the_widest_others(tmp_path):
    outcomes = simulate_outcomes(600, seed=5)
    outcomes = outcomes.take((outcomes.frame["dataset"] == "MMLU").to_numpy()).select(outcomes.models[:4])
    path = tmp_path / "mine.csv"
    outcomes.to_wide().to_csv(path, index=False)
    material = load_material(str(path), gold=40, strong=outcomes.models[0], weak=outcomes.models[3])
    pairs = transfer.other_pairs(material, str(path))
    assert len(pairs) == 2
    assert all(len(pair) == len(material.benchmarks["MMLU"]) for pair in pairs.values())
    assert (material.strong, material.weak) not in {(p.strong_model, p.weak_model) for p in pairs.values()}
    every = list(transfer.all_pairs(material, str(path))["MMLU"].values())
    gaps = [pair.strong.mean() - pair.weak.mean() for pair in every]
    assert gaps == sorted(gaps, reverse=True)
    assert transfer.augmented(material, "MMLU") == "D_gold"


def test_real_pairs_leave_out_what_is_contaminated(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path))
    material = load_material("real")
    pairs = transfer.other_pairs(material, "real")
    assert {name: len(pair) for name, pair in pairs.items()} == {
        "Claude 3 Opus / Mixtral (MT Bench)": 72,
        "Claude 3.5 Sonnet / Mixtral (MT Bench)": 72,
        "Claude 3 Opus / Sonnet (GSM8K)": 1307,
        "Llama 3.1 70B / 8B (GSM8K)": 1307,
    }
    for name, pair in pairs.items():
        clean = material.benchmarks[transfer.benchmark_of(name, material.benchmarks)]
        assert set(pair.frame["prompt"]) == set(clean.frame["prompt"])
        assert pair.scale == clean.scale
        assert pair.strong.mean() > pair.weak.mean()
    origin = transfer.whole_origin(material, pairs)
    assert origin.kind == "real"
    assert len(origin.name) < 100
    assert {file for pair in pairs.values() for file in pair.origin.files} < set(origin.files)
    found = transfer.all_pairs(material, "real")
    assert {name: len(tables) for name, tables in found.items()} == {"MT Bench": 6, "GSM8K": 105}
    assert any("left out" in note for note in pairs["Llama 3.1 70B / 8B (GSM8K)"].origin.notes)
    assert [transfer.augmented(material, name) for name in ("MMLU", "GSM8K")] == [
        "D_judge + D_gold",
        "D_judge",
    ]


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
    material = Material(
        benchmarks={"GSM8K": scores.pair("a", "b")},
        training={"D_gold": battles},
        pool=scores.pair("a", "b"),
        gold=scores.pair("a", "b"),
        tiers={"a": 0, "b": 1},
        strong="a",
        weak="b",
    )
    return material, X, scores


def test_a_prompt_is_scored_once_and_every_table_gets_its_rows():
    material, X, scores = little_study()
    candidates = {"SW ranking": Candidate(lambda s, w: Counting(strong=s, weak=w), "tiers")}
    routers = transfer.trained(material, candidates, X, ["D_gold", "D_gold"])
    assert list(routers) == [("D_gold", "SW ranking")]
    router = routers["D_gold", "SW ranking"]
    whole = scores.pair("a", "b")
    part = whole.take(np.array([2, 0]))
    rates = transfer.scored(router, {"whole": whole, "part": part}, X)
    assert router.asked == (4,)
    assert rates["part"].tolist() == rates["whole"][[2, 0]].tolist()
    assert rates["whole"] == pytest.approx(SWRanking.win_rate(router, X.iloc[:4].to_numpy()))


def test_routers_score_the_tables_of_their_training_set():
    material, X, scores = little_study()
    candidates = {"SW ranking": Candidate(lambda s, w: Counting(strong=s, weak=w), "tiers")}
    routers = transfer.trained(material, candidates, X, ["D_gold"])
    tables = {"GSM8K": scores.pair("a", "b"), "a / b (GSM8K)": scores.pair("a", "b")}
    rates = transfer.rates_on(routers, {"GSM8K": "D_gold"}, tables, X)
    assert list(rates) == [("D_gold", "SW ranking", "GSM8K"), ("D_gold", "SW ranking", "a / b (GSM8K)")]
    assert routers["D_gold", "SW ranking"].asked == (4,)
    with pytest.raises(ValueError, match=r"'a / b \(MBPP\)' is of none of the benchmarks GSM8K"):
        transfer.rates_on(routers, {"GSM8K": "D_gold"}, {"a / b (MBPP)": tables["GSM8K"]}, X)


def test_maps_of_several_routers_and_their_summary():
    rng = np.random.default_rng(0)
    values = rng.random((300, 4)) < [0.9, 0.7, 0.5, 0.2]
    pairs = scores_of(values).pairs()
    difficulty = values.sum(axis=1)
    rates = {
        ("D", "knows", "GSM8K"): -difficulty + rng.random(300) / 9,
        ("D", "guesses", "GSM8K"): rng.random(300),
    }
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
    found = transfer.beside_paper(table, {names[0]: "GSM8K"})
    assert found["pair"].tolist() == ["GPT-4 / Mixtral"] + ["Claude 3 Opus / Sonnet"] * 2
    assert found["benchmark"].tolist() == ["GSM8K", "GSM8K", "MT Bench"]
    assert found["paper_apgr"].fillna(-1).tolist() == [0.622, -1, 0.656]
    assert found["paper_cpt80"].fillna(-1).tolist() == [0.6326, -1, 0.5]


def test_thresholds_are_checked_where_they_were_not_chosen():
    rng = np.random.default_rng(0)
    rates = {("D", "R", "here"): rng.random(2000), ("D", "R", "there"): rng.random(500) / 2}
    table = transfer.calibration_table(rates, "here", "there", rng=rng, shares=(0.3, 0.6))
    assert table["chosen_on"].tolist() == [0.3, 0.6]
    assert table["other_half"].tolist() == pytest.approx([0.3, 0.6], abs=0.06)
    assert (table["elsewhere"] == [np.mean(rates["D", "R", "there"] >= t) for t in table["threshold"]]).all()
    assert table["elsewhere"][0] == 0


@pytest.mark.parametrize("benchmarks", [1, 2])
def test_the_figure_shows_every_pair_with_a_gap(benchmarks):
    rng = np.random.default_rng(0)
    pairs = scores_of(rng.random((200, 4)) < [0.9, 0.7, 0.5, 0.2]).pairs()
    rates = {("D", "R", f"set {i}"): rng.random(200) for i in range(benchmarks)}
    maps = transfer.transfer_maps(rates, {f"set {i}": pairs for i in range(benchmarks)})
    fig = transfer_figure(maps.assign(mark=[*["one"], *[""] * (len(maps) - 1)]), router="R")
    drawn = [part for ax in fig.axes for part in ax.collections if "chance" in str(part.get_label())]
    dots = sum(len(part.get_offsets()) for part in drawn if part.get_label() != "chance, 95%")
    assert dots == len(maps)
    assert [ax.get_title() for ax in fig.axes][0] == "set 0\n6 pairs, n = 200"


def test_the_figure_of_commercial_routers_names_every_line_and_point():
    curves = pd.DataFrame({"router": ["BERT"] * 2, "share": [0.0, 1.0], "score": [8.0, 9.0]})
    fig = commercial_figure(curves, transfer.commercial(), ends=(8.0, 9.0), title="MT Bench")
    assert fig.axes[0].get_legend_handles_labels()[1] == ["Random", "BERT", "Unify", "Martian"]
    point = next(part for part in fig.axes[0].collections if part.get_label() == "Unify")
    assert point.get_offsets().tolist() == [pytest.approx([45.625, 8.757862])]


def test_shipped_judgments_of_commercial_routers(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path))
    clean = load_pairs("routellm-mtbench")
    table = transfer.commercial(clean.frame["sample_id"]).set_index("router")
    assert table["judged"].tolist() == pytest.approx(table["score"].tolist(), abs=1e-6)
    assert table["score_clean"].between(8, 9).all()
    assert table["share_in_answers"].fillna(-1).tolist() == [0.5, -1]
    best = {("D", "perfect", "MT Bench"): clean.strong - clean.weak}
    leads = transfer.commercial_leads(best, clean, rng=np.random.default_rng(0), draws=50)
    score = np.interp(0.45625, *threshold_sweep(clean.strong - clean.weak, clean.strong, clean.weak))
    assert leads["lead"][0] == pytest.approx(score - table.loc["Unify", "score_clean"], abs=0.02)
    assert ((leads["low"] < leads["lead"]) & (leads["lead"] < leads["high"])).all()
    assert list(transfer.commercial().columns) == ["router", "strong_share", "score"]


def test_differences_between_pairs():
    """A router that sorts the original pair perfectly and another pair wrongly is no longer comparable."""
    rng = np.random.default_rng(0)
    gain = (rng.random(400) < 0.5).astype(float)
    scores = scores_of(np.column_stack([gain, np.zeros(400), 1.2 * (1 - gain) / 2 + 0.2, np.full(400, 0.2)]))
    pair, other = scores.pair("a", "b"), scores.pair("c", "d")
    names = {"GSM8K": pair, "a / b (GSM8K)": pair, "c / d (GSM8K)": other}
    rates = {("D", "R", name): gain + rng.normal(0, 0.01, 400) for name in names}
    found = transfer.pair_differences(
        rates, {"GSM8K": pair}, {n: names[n] for n in list(names)[1:]}, rng=rng, draws=200
    )
    assert found["benchmark"].tolist() == ["GSM8K", "GSM8K"]
    same, worse = (tuple(row) for row in found[["low", "high"]].to_numpy())
    assert found["difference"][0] == pytest.approx(0, abs=0.02)
    assert transfer.comparable(same) is True
    assert transfer.comparable(worse) is False


@pytest.mark.parametrize(
    ("interval", "holds"),
    [((-0.09, 0.09), True), ((0.11, 0.2), False), ((-0.2, -0.11), False), ((-0.2, 0.2), None)],
)
def test_comparable(interval, holds):
    assert transfer.comparable(interval) is holds


def test_savings_are_of_the_best_router():
    rng = np.random.default_rng(1)
    gain = (rng.random(300) < 0.4).astype(float)
    pair = scores_of(np.column_stack([gain, np.zeros(300)])).pair("a", "b")
    good, bad = gain + rng.normal(0, 0.5, 300), rng.random(300)
    rates = {("D", "good", "GSM8K"): good, ("D", "bad", "GSM8K"): bad, ("D", "bad", "other"): -good}
    prices = {"strong_price": 24.7, "weak_price": 0.24}
    found = transfer.savings(rates, {"GSM8K": pair}, rng=rng, draws=100, **prices)
    assert found["router"].tolist() == ["good", "good"]
    curve, ends = threshold_sweep(good, pair.strong, pair.weak), (pair.weak.mean(), pair.strong.mean())
    for row, target in zip(found.itertuples(), (0.5, 0.8), strict=True):
        share = cpt(*curve, *ends, target)
        assert row.share == pytest.approx(share)
        assert row.saving == pytest.approx(cost_saving(share, target))
        assert row.saving_full == pytest.approx(cost_saving_full(share, target, *prices.values()))
        assert row.saving_low < row.saving < row.saving_high
        assert row.saving_full_low < row.saving_full < row.saving_full_high
        assert row.quality_share == pytest.approx(target)  # the weak model scores nothing here


def test_a_router_that_never_gets_there_saves_nothing_known():
    """Without a gap there is no CPT; NaN, not an error."""
    pair = scores_of([[1, 0], [0, 1]]).pair("a", "b")
    found = transfer.savings(
        {("D", "R", "GSM8K"): np.array([0.9, 0.1])},
        {"GSM8K": pair},
        strong_price=1,
        weak_price=0,
        rng=np.random.default_rng(0),
        draws=20,
    )
    assert found["saving"].isna().all()


def test_named_pairs_are_pair_scores():
    assert isinstance(scores_of([[1, 0]]).pair("a", "b"), PairScores)
    names = set(paper.routellm_results(4)["pair"])
    assert {name for pairs in transfer._REAL.values() for name in pairs} & names == names


class Slow:
    """A router whose requests take a known time."""

    def __init__(self, reads, seconds):
        self.reads, self.seconds, self.seen = reads, seconds, []

    def win_rate(self, X):
        time.sleep(self.seconds * len(X))
        self.seen.append((type(X[0]), len(X)))
        return np.full(len(X), 0.5)


def test_overhead_counts_the_encoder_where_a_router_needs_it():
    def encode(texts):
        time.sleep(0.02 * len(texts))
        return np.zeros((len(texts), 3), dtype=np.float32)

    routers = {"vectors": Slow("vectors", 0.005), "texts": Slow("texts", 0.005)}
    table = overhead.measure(routers, ["a", "b", "c", "d"], encode, usd_per_hour=0.36, singles=2, repeats=1)
    assert table["router"].tolist() == [n for n in (overhead.ENCODER, "vectors", "texts") for _ in range(2)]
    assert table["way"].tolist() == [overhead.SINGLE, overhead.BATCH] * 3
    assert table["prompts"].tolist() == [2, 4] * 3
    speed = table.groupby("router")["requests_per_second"].max()
    # A sleep may last longer than asked, never shorter.
    assert speed["vectors"] <= 1 / 0.025
    assert speed["texts"] <= 1 / 0.005
    assert speed["vectors"] < speed["texts"]
    assert routers["texts"].seen == [(str, 1)] * 3 + [(str, 4)]
    assert {kind for kind, _ in routers["vectors"].seen} == {np.ndarray}
    assert (table["usd_per_million_requests"] * table["requests_per_second"]).to_numpy() == pytest.approx(100)


def test_overhead_refuses_too_few_prompts():
    with pytest.raises(ValueError, match="8 prompts are to be routed one at a time, but there are 1"):
        overhead.measure({}, ["one"], lambda texts: np.zeros((len(texts), 1), np.float32), usd_per_hour=1)
    with pytest.raises(ValueError, match="requests_per_second is 0"):
        overhead.usd_per_million(0, 1)


def test_overhead_of_the_papers_machines():
    """The two classifiers cost what their speed says; those that read OpenAI's vectors 1.90 more."""
    table = paper.routellm_overhead().set_index("router")
    ours = [
        overhead.usd_per_million(row.requests_per_second, row.machine_usd_per_hour)
        for row in table.itertuples()
    ]
    extra = (table["usd_per_million_requests"] - ours).round(2)
    assert extra[["BERT", "Causal LLM"]].tolist() == pytest.approx([0, 0], abs=0.01)
    assert extra[["SW ranking", "Matrix factorization"]].tolist() == pytest.approx([1.9, 1.9], abs=0.02)


@pytest.mark.parametrize("model", ["minilm", "tfidf"])
def test_the_encoder_for_timing_gives_the_vectors_of_embed(model, tmp_path, monkeypatch):
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path))
    texts = ["how far is the moon", "sum of two and three", "the moon and the sun"]
    expected = embed(texts, model, progress=False)
    np.testing.assert_allclose(overhead.encoder(model, texts)(texts), expected, atol=2e-3)


def test_encoders_that_cannot_be_had():
    with pytest.raises(EmbeddingError, match="fit_on"):
        overhead.encoder("tfidf")
    with pytest.raises(EmbeddingError, match="cannot load the encoder 'no/such-model'"):
        overhead.encoder("no/such-model")
