"""The simulated tables: calibrated to the published numbers, and erring as the real rows do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

import loadings_fitted
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from rb_support import catalog, paper
from rb_support.outcomes import Outcomes, PairScores
from rb_support.pairs import random_apgr_spread
from rb_support.simulate import FULL_SIZE, costs, latent, simulate_outcomes, simulate_rag, told_quality
from rb_support.simulate import assumptions as assumed
from rb_support.simulate.arena import CHAT
from rb_support.simulate.latent import scores
from rb_support.simulate.tables import _allocate
from rb_support.studies import transfer
from rb_support.studies.preference_found import ceilings

GPT4 = "gpt-4-1106-preview"
REAL = {"arc_challenge": catalog.ARC, "mbpp": catalog.MBPP, "winograde": catalog.WINOGRANDE}
"""Datasets of the real slice by the name its files start with (sic)."""


@pytest.fixture(scope="module")
def full() -> Outcomes:
    """Table of the published size."""
    return simulate_outcomes(FULL_SIZE, seed=0)


@pytest.fixture(scope="module")
def small() -> Outcomes:
    """Table of the default size."""
    return seeded(0)


@cache
def seeded(seed: int) -> Outcomes:
    """Table of the default size by its seed."""
    return simulate_outcomes(seed=seed)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> dict[str, NDArray[np.float64]]:
    """Scores (n, 11) of the real rows per dataset, halves of split samples merged."""
    folder = shared_data / "routerbench"
    if not folder.is_dir():
        pytest.skip("real RouterBench rows not here (routerbench/)")
    return {dataset: _real_scores(folder, start) for start, dataset in REAL.items()}


def _real_scores(folder: Path, start: str) -> NDArray[np.float64]:
    rows = pd.concat(pd.read_csv(folder / f"{start}_{part}.csv") for part in ("train", "test"))
    return rows.groupby("sample_id")[list(catalog.MODELS)].first().to_numpy(dtype=float)


def _digest(table: Outcomes) -> str:
    hashed = pd.util.hash_pandas_object(table.frame, index=False).to_numpy().tobytes()
    return sha256(hashed + table.quality.tobytes() + table.cost.tobytes()).hexdigest()


# Calibration at the published size


def test_mean_scores_are_the_published_ones(full: Outcomes) -> None:
    published = paper.model_means().set_index("model")["score"].reindex(list(full.models))
    np.testing.assert_allclose(full.quality.mean(axis=0), published, atol=0.01)


def test_mean_costs_are_the_published_ones(full: Outcomes) -> None:
    published = paper.model_means().set_index("model")["cost_usd_per_query"].reindex(list(full.models))
    np.testing.assert_allclose(full.cost.mean(axis=0), published, rtol=0.05)


def test_rows_per_task(full: Outcomes) -> None:
    rows = full.frame["task"].value_counts()
    listed = paper.task_rows().query("dataset not in ['MT-Bench', 'Other']").set_index("task")["rows"]
    assert rows.reindex(listed.index).tolist() == listed.tolist()
    assert len(full) == FULL_SIZE
    assert rows[rows.index.str.startswith("chinese")].sum() == 785
    assert len(rows) == 86
    assert (full.frame["dataset"] == full.frame["task"].map(catalog.dataset_of_task)).all()


def test_known_task_means(full: Outcomes) -> None:
    for task, means in paper.task_means().groupby("task"):
        rows = (full.frame["task"] == task).to_numpy()
        found = pd.Series(full.quality[rows].mean(axis=0), index=full.models)
        np.testing.assert_allclose(found[means["model"]], means["score"], atol=0.005)
    assert full.of(catalog.MMLU).quality[:, 0].mean() == pytest.approx(0.828, abs=0.005)


def test_every_dataset_mean_is_plausible(full: Outcomes) -> None:
    for dataset in full.datasets:
        means = full.of(dataset).quality.mean(axis=0)
        assert means.min() > 0.03
        assert means.max() < 0.97
        assert np.ptp(means) > 0.15


def test_oracle_solves_and_chooses_as_the_published_one(full: Outcomes) -> None:
    """Strengths were chosen with these shares in view; they stay within 4.5 points of the 0-shot file's."""
    best = full.quality.max(axis=1)
    choice = np.where(full.quality == best[:, None], full.cost, np.inf).argmin(axis=1)
    found = pd.Series(np.where(best > 0, np.array(full.models)[choice], "no_model_correct"))
    published = paper.oracle_choices().set_index("model")["rows"] / FULL_SIZE
    shares = found.value_counts(normalize=True).reindex(published.index).fillna(0.0)
    assert shares["no_model_correct"] == pytest.approx(published["no_model_correct"], abs=0.01)
    np.testing.assert_allclose(shares, published, atol=0.045)
    assert full.of(catalog.MMLU).quality.max(axis=1).mean() == pytest.approx(0.957, abs=0.01)


def test_mmlu_subjects_are_as_hard_as_gpt4_found_them(full: Outcomes) -> None:
    mmlu = full.of(catalog.MMLU)
    accuracy = pd.Series(mmlu.quality[:, 0]).groupby(mmlu.frame["task"].to_numpy()).mean()
    hard = assumed.topics().query("dataset == 'MMLU'").set_index("task")["difficulty"]
    assert accuracy.corr(-hard) > 0.6
    assert accuracy.std() > 0.1


# Errors in common


@pytest.mark.parametrize("dataset", REAL.values())
def test_models_agree_as_on_real_rows(
    full: Outcomes, real: dict[str, NDArray[np.float64]], dataset: str
) -> None:
    """Share of queries on which two models score alike, 55 pairs: mean within .03, worst within .1."""
    gaps = np.abs(_agreement(full.of(dataset).quality) - _agreement(real[dataset]))
    assert gaps.mean() < 0.03
    assert gaps.max() < 0.1


@pytest.mark.parametrize("dataset", REAL.values())
def test_oracle_gains_as_on_real_rows(
    full: Outcomes, real: dict[str, NDArray[np.float64]], dataset: str
) -> None:
    """Oracle's mean less the best model's mean, within .05."""
    assert _margin(full.of(dataset).quality) == pytest.approx(_margin(real[dataset]), abs=0.05)


def test_independent_errors_would_not_pass(real: dict[str, NDArray[np.float64]]) -> None:
    """The two checks above can fail: the same means without common factors miss both bounds."""
    rng = np.random.default_rng(0)
    scores = real[catalog.MBPP]
    lone = (rng.random(scores.shape) < scores.mean(axis=0)).astype(float)
    assert np.abs(_agreement(lone) - _agreement(scores)).mean() > 0.1
    assert _margin(lone) - _margin(scores) > 0.08


def _agreement(quality: NDArray[np.float64]) -> NDArray[np.float64]:
    same = (quality[:, :, None] == quality[:, None, :]).mean(axis=0)
    return np.asarray(same[np.triu_indices(quality.shape[1], 1)])


def _margin(quality: NDArray[np.float64]) -> float:
    return float(quality.max(axis=1).mean() - quality.mean(axis=0).max())


def test_stored_loadings_are_those_of_the_real_rows(real: dict[str, NDArray[np.float64]]) -> None:
    for dataset in REAL.values():
        stored = [
            assumed.per_model(f"loading_{factor}", dataset, catalog.MODELS) for factor in assumed.FACTORS
        ]
        refit = loadings_fitted.loadings(loadings_fitted.correlations(real[dataset]))
        shared = refit @ refit.T
        kept = np.column_stack(stored)
        np.testing.assert_allclose(kept @ kept.T, shared, atol=0.02)


def test_tetrachoric_finds_the_correlation_behind_scores() -> None:
    rng = np.random.default_rng(1)
    z = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 40_000)
    a, b = (z[:, 0] > -1.5).astype(float), (z[:, 1] > 0.4).astype(float)
    assert loadings_fitted.tetrachoric(a, b) == pytest.approx(0.6, abs=0.03)
    assert np.corrcoef(a, b)[0, 1] < 0.3
    assert loadings_fitted.tetrachoric(a, 1 - a) == -0.98
    assert loadings_fitted.tetrachoric(a, a) == 0.98


def test_loadings_reproduce_a_matrix_made_of_three_factors() -> None:
    rng = np.random.default_rng(2)
    true = rng.uniform(-0.5, 0.5, (11, 3)) + (0.3, 0.0, 0.0)
    correlation = true @ true.T
    np.fill_diagonal(correlation, 1.0)
    found = loadings_fitted.loadings(correlation)
    off = ~np.eye(11, dtype=bool)
    np.testing.assert_allclose((found @ found.T)[off], correlation[off], atol=1e-3)
    np.testing.assert_allclose(found[:, 1:].sum(axis=0), 0, atol=1e-8)


def test_winogrande_twins_share_a_sentence_and_rarely_a_score(full: Outcomes) -> None:
    part = full.of(catalog.WINOGRANDE)
    words = [set(prompt.split()) for prompt in part.frame["prompt"]]
    pairs = [i for i in range(len(part) - 1) if 0 < len(words[i] ^ words[i + 1]) <= 4]
    assert 0.3 < 2 * len(pairs) / len(part) < 0.4
    one, other = part.quality[pairs], part.quality[np.array(pairs) + 1]
    ties = [np.corrcoef(one[:, j], other[:, j])[0, 1] for j in range(11)]
    assert -0.2 < np.mean(ties) < 0.1


# Costs


def test_cost_of_one_answer_by_hand(small: Outcomes) -> None:
    """GPT-4: $10 and $30 per million tokens; Mistral 7B: $0.2 and $0.2."""
    row = small.frame.iloc[100]
    prompt = row["prompt_tokens"]
    gpt4 = prompt * 10 / 1e6 + row[f"{GPT4}|answer_tokens"] * 30 / 1e6
    mistral = (prompt + row["mistralai/mistral-7b-chat|answer_tokens"]) * 0.2 / 1e6
    assert small.cost[100, small.models.index(GPT4)] == pytest.approx(gpt4, rel=1e-12)
    assert small.cost[100, small.models.index("mistralai/mistral-7b-chat")] == pytest.approx(
        mistral, rel=1e-12
    )


def test_dollars_of_retrieval_models_hold_the_request_fee() -> None:
    """100 prompt and 200 answer tokens: $0.005 + 100 x 0.07e-6 + 200 x 0.28e-6; You.com $0.0049."""
    models = ("perplexity/pplx-7b-online", "you.com-api")
    found = costs.dollars(models, np.array([100]), np.array([[200, 200]]))
    np.testing.assert_allclose(found, [[0.005063, 0.0049]], rtol=1e-12)


def test_prompt_tokens_count_letters_and_chinese_characters() -> None:
    part = assumed.assumptions(catalog.MBPP, catalog.MODELS)
    found = costs.prompt_tokens(part, ["x" * 42, "唐诗" * 5])
    assert (found - part.value("unshown_tokens")).tolist() == [10, 10]


def test_harder_queries_get_longer_answers(full: Outcomes) -> None:
    part = full.of(catalog.GSM8K)
    length = np.log(part.frame.filter(like="|answer_tokens").to_numpy(dtype=float)).mean(axis=1)
    assert np.corrcoef(length, part.quality.mean(axis=1))[0, 1] < -0.15


# Scores


def test_scores_are_partial_where_the_real_ones_are(full: Outcomes) -> None:
    grids = {dataset: set(np.unique(full.of(dataset).quality)) for dataset in full.datasets}
    tenths = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0}
    assert grids.pop(catalog.MT_BENCH) <= tenths
    assert grids.pop(catalog.OTHER) == {0, 0.25, 0.5, 0.75, 1}
    assert all(grid == {0, 1} for grid in grids.values())


@settings(max_examples=25, deadline=None)
@given(mean=st.floats(0.05, 0.95), scale=st.sampled_from(["binary", "quarters", "tenths"]))
def test_scores_hit_the_wanted_mean(mean: float, scale: str) -> None:
    latent = np.random.default_rng(3).standard_normal((500, 2))
    wanted = max(mean, 0.15)
    found = scores(latent, np.array([wanted, wanted]), np.full(500, scale))
    np.testing.assert_allclose(found.mean(axis=0), wanted, atol=1 / 500)


def test_scores_rise_with_the_latent_value() -> None:
    latent = np.linspace(-3, 3, 101)[:, None]
    for scale in ("binary", "quarters", "tenths"):
        assert (np.diff(scores(latent, np.array([0.6]), np.full(101, scale))[:, 0]) >= 0).all()


# Prompts


def test_prompts_are_mostly_unique_and_short(full: Outcomes) -> None:
    prompts = full.frame["prompt"]
    assert prompts.duplicated().sum() < 110
    words = prompts.map(lambda prompt: len(prompt.split()))
    assert 13 < words.mean() < 20
    assert words.max() < 40
    assert not prompts.str.contains(r"[{}]").any()
    chinese = full.frame["task"].str.startswith("chinese")
    assert prompts[chinese].str.contains(r"[\u4e00-\u9fff]").all()
    assert not prompts[~chinese].str.contains(r"[\u4e00-\u9fff]").any()


def _told(part: Outcomes) -> float:
    """R2, on held-out rows, of a linear probe from words to the mean score over models."""
    probe = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2), Ridge(3.0))
    score = part.quality.mean(axis=1)
    folds = KFold(3, shuffle=True, random_state=0)
    guess = cross_val_predict(probe, part.frame["prompt"], score, cv=folds)
    return float(1 - np.square(score - guess).sum() / np.square(score - score.mean()).sum())


def test_words_tell_topic_and_difficulty(full: Outcomes) -> None:
    """MMLU and GSM8K can be learnt from words; ARC-Challenge hardly, as the paper's routers found."""
    assert _told(full.of(catalog.MMLU).take(np.arange(0, 14_042, 3))) > 0.12
    assert _told(full.of(catalog.GSM8K).take(np.arange(0, 7_450, 2))) > 0.1
    assert _told(full.of(catalog.ARC)) < 0.06


def test_words_tell_nothing_of_shuffled_scores(full: Outcomes) -> None:
    """The probe itself finds nothing where there is nothing."""
    part = full.of(catalog.GSM8K)
    shuffled = np.random.default_rng(0).permutation(len(part))
    frame = part.frame.assign(prompt=part.frame["prompt"].to_numpy()[shuffled])
    assert _told(Outcomes(frame, part.quality, part.cost, part.models, part.origin)) < 0.02


# Sizes, seeds, form


def test_default_size_keeps_small_datasets(small: Outcomes) -> None:
    rows = small.frame["dataset"].value_counts()
    assert len(small) == 6000
    assert rows[catalog.MT_BENCH] == 80
    assert rows[catalog.MBPP] == 427
    assert rows[catalog.ARC] == rows[catalog.WINOGRANDE] == 600
    assert small.frame.loc[small.frame["dataset"] == catalog.MMLU, "task"].nunique() == 57


def test_means_per_dataset_are_calibrated_at_any_size(small: Outcomes, full: Outcomes) -> None:
    for dataset in (
        catalog.MMLU,
        catalog.HELLASWAG,
        catalog.GSM8K,
        catalog.ARC,
        catalog.WINOGRANDE,
        catalog.MBPP,
    ):
        np.testing.assert_allclose(
            small.of(dataset).quality.mean(axis=0), full.of(dataset).quality.mean(axis=0), atol=0.004
        )


@settings(max_examples=30, deadline=None)
@given(n=st.integers(200, FULL_SIZE))
def test_allocation_fills_the_size_and_exceeds_no_dataset(n: int) -> None:
    rows = _allocate(n)
    assert sum(rows.values()) == n
    assert all(0 < count <= assumed.rows_at_full_size(name) for name, count in rows.items())


@pytest.mark.parametrize("n", [0, 199, FULL_SIZE + 1])
def test_size_out_of_range_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=f"n is {n}; .* between 200 and 36497"):
        simulate_outcomes(n)


def test_table_form(small: Outcomes) -> None:
    assert small.models == catalog.MODELS
    assert small.origin.kind == "simulated"
    assert "seed 0" in small.origin.name
    assert any("Assumed" in note for note in small.origin.notes)
    assert small.frame["sample_id"].is_unique
    assert "mmlu-astronomy.test.0" in set(small.frame["sample_id"])
    assert small.frame["sample_id"].str.fullmatch(r"[\w-]+\.(test|val|dev)\.\d+").all()
    assert small.quality.shape == small.cost.shape == (6000, 11)


def test_same_seed_same_bytes_other_seed_other_table() -> None:
    first = _digest(simulate_outcomes(800, seed=5))
    assert first == _digest(simulate_outcomes(800, seed=5))
    assert first != _digest(simulate_outcomes(800, seed=6))


def test_bytes_do_not_depend_on_the_process() -> None:
    code = (
        "from rb_support.simulate import simulate_outcomes as s; from hashlib import sha256; "
        "t = s(800, seed=5); print(sha256(t.quality.tobytes() + t.cost.tobytes() + "
        "''.join(t.frame['prompt']).encode()).hexdigest())"
    )
    table = simulate_outcomes(800, seed=5)
    prompts = "".join(table.frame["prompt"]).encode()
    here = sha256(table.quality.tobytes() + table.cost.tobytes() + prompts).hexdigest()
    env = {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "2", "PATH": ""}
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert there.stdout.strip() == here


def test_a_datasets_rows_do_not_depend_on_the_others() -> None:
    """MT-Bench has 80 rows in both tables and its own stream, so its prompts and scores are the same."""
    a, b = (simulate_outcomes(n, seed=3).of(catalog.MT_BENCH) for n in (6000, 9000))
    assert a.frame["prompt"].tolist() == b.frame["prompt"].tolist()
    np.testing.assert_array_equal(a.quality, b.quality)


# Retrieval


@pytest.fixture(scope="module")
def rag() -> Outcomes:
    """RAG table of the default size."""
    return simulate_rag(seed=0)


def test_rag_form(rag: Outcomes) -> None:
    assert rag.models == catalog.RAG_MODELS
    assert rag.datasets == (catalog.RAG,)
    assert len(rag) == 1000
    assert rag.frame["time_sensitive"].mean() == 0.5
    assert any("every score" in note for note in rag.origin.notes)


def test_news_needs_retrieval_and_reasoning_does_not(rag: Outcomes) -> None:
    news = rag.frame["time_sensitive"].to_numpy(dtype=bool)
    alone, online = rag.quality[:, :2], rag.quality[:, 2:]
    assert alone[news].mean() < 0.2
    assert online[news].mean() > 0.6
    assert rag.quality[~news, 0].mean() > online[~news].mean()


def test_requests_cost_their_fee(rag: Outcomes) -> None:
    fee = paper.prices().set_index("model")["fee_usd_per_request"].reindex(list(rag.models))
    assert (rag.cost >= fee.to_numpy()).all()
    assert rag.cost[:, 1].mean() < rag.cost[:, 0].mean() < rag.cost[:, 2:].mean(axis=0).min()


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_time_sensitive_share(share: float) -> None:
    assert simulate_rag(40, time_sensitive_share=share).frame["time_sensitive"].mean() == share


def test_rag_refuses_what_it_cannot_make() -> None:
    with pytest.raises(ValueError, match="n is 5"):
        simulate_rag(5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        simulate_rag(100, time_sensitive_share=1.5)


# The data files


@pytest.mark.parametrize("table", [assumed.table, assumed.topics])
def test_every_number_says_what_it_is(table: Callable[[], pd.DataFrame]) -> None:
    frame = table()
    assert set(frame["kind"]) <= {"published", "fitted", "assumption"}
    assert (frame["source"] != "").all()


def test_loadings_leave_each_model_something_of_its_own() -> None:
    for dataset in assumed.datasets():
        loadings = assumed.assumptions(dataset, catalog.MODELS).loadings
        assert np.square(loadings).sum(axis=1).max() < 1


def test_every_topic_has_words_of_its_own() -> None:
    topics = assumed.topics().groupby("dataset")["topic"].agg(set)
    words = {name: set(about["topics"]) for name, about in assumed.vocabulary().items()}
    assert words.pop(CHAT) == topics[catalog.MT_BENCH]
    assert topics.to_dict() == words


def test_chat_asks_about_nothing_that_mt_bench_asks_about() -> None:
    asked, chat = (assumed.vocabulary()[name]["topics"] for name in (catalog.MT_BENCH, CHAT))
    for topic, about in chat.items():
        assert not set(about["terms"]) & set(asked[topic]["terms"])


# What prompts reveal


def test_what_is_told_is_the_mean_of_what_is_drawn(full: Outcomes) -> None:
    """By the topic and level, scores average to what is expected of them; MT-Bench has too few rows."""
    told = told_quality(full, seed=0)
    for dataset in (catalog.MMLU, catalog.GSM8K, catalog.HELLASWAG):
        rows = (full.frame["dataset"] == dataset).to_numpy()
        expected, found = told[rows][:, 0], full.quality[rows][:, 0]
        assert expected.mean() == pytest.approx(found.mean(), abs=1e-3)
        for part in np.array_split(np.argsort(expected), 4):
            assert expected[part].mean() == pytest.approx(found[part].mean(), abs=0.03)


def test_steps_are_expected_as_they_are_drawn() -> None:
    """Monte Carlo against the closed form, on all three scales."""
    rng = np.random.default_rng(0)
    margin = rng.normal(0.4, 0.7, 200_000)[:, None]
    for scale in ("binary", "quarters", "tenths"):
        drawn = latent._graded(margin, np.full(len(margin), scale)).mean()
        expected = latent._expected(np.array([[0.4]]), np.array([0.7]), np.array([scale]))
        assert expected.item() == pytest.approx(drawn, abs=3e-3)


def test_prompts_reveal_more_than_the_papers_best_router_found() -> None:
    """The ceiling of each benchmark: at the default seed, and on average over three."""
    names = {"MT Bench": catalog.MT_BENCH, "MMLU": catalog.MMLU, "GSM8K": catalog.GSM8K}
    found = []
    for seed in range(3):
        outcomes = seeded(seed)
        pairs = PairScores.from_outcomes(outcomes, GPT4, "mistralai/mixtral-8x7b-chat")
        parts = {name: pairs.of(dataset) for name, dataset in names.items()}
        found.append(ceilings(outcomes, parts, seed=seed))
    best = pd.concat([paper.routellm_results(n) for n in (1, 2, 3)]).groupby("benchmark")["apgr"].max()
    for name in names:
        assert found[0][name] > best[name]
        assert np.mean([each[name] for each in found]) > best[name] + 0.03


def test_told_quality_wants_the_seed_of_the_table(small: Outcomes) -> None:
    with pytest.raises(ValueError, match="no table of simulate_outcomes with seed 1"):
        told_quality(small, seed=1)


def test_other_pairs_have_gaps_that_can_be_tested() -> None:
    """Table 4's default pairs: chance moves APGR by less than .06 (standard deviation)."""
    for seed in range(3):
        outcomes = seeded(seed)
        pairs = transfer.listed_pairs().query("data == 'simulated'")
        for benchmark, strong, weak in pairs[["benchmark", "strong", "weak"]].itertuples(index=False):
            part = outcomes.of(catalog.MT_BENCH if benchmark == "MT Bench" else benchmark)
            pair = PairScores.from_outcomes(part, strong, weak)
            assert (random_apgr_spread(pair.strong, pair.weak) or np.nan) < 0.06
