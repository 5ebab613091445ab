"""Simulated battles: stronger tiers win more, harder prompts widen the lead, and what is learnt transfers."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import KNeighborsRegressor

from rb_support import catalog, paper
from rb_support.outcomes import Battles, PairScores
from rb_support.pairs import apgr, threshold_sweep
from rb_support.simulate import arena, latent, simulate_arena, simulate_judge, simulate_outcomes
from rb_support.simulate import assumptions as assumed
from rb_support.simulate.arena import GPT4, MIXTRAL, SHORTEST

N = 40_000


@pytest.fixture(scope="module")
def votes() -> Battles:
    return simulate_arena(N)


@pytest.fixture(scope="module")
def judged() -> Battles:
    return simulate_judge(20_000)


@pytest.fixture(scope="module")
def pair() -> PairScores:
    """GPT-4 and Mixtral on the simulated outcomes."""
    return PairScores.from_outcomes(simulate_outcomes(6000), GPT4, MIXTRAL)


@pytest.fixture(scope="module")
def by_tier(votes: Battles) -> pd.DataFrame:
    """Share of the win (a tie counts half) of each tier (row) against each (column)."""
    tier = paper.routellm_tiers().set_index("model")["tier"]
    a, b = (votes.frame[side].map(tier) for side in ("model_a", "model_b"))
    both = pd.DataFrame({"of": [*a, *b], "against": [*b, *a], "share": [*votes.share, *(1 - votes.share)]})
    return both.pivot_table(index="of", columns="against", values="share")


def _digest(battles: Battles) -> str:
    return sha256(pd.util.hash_pandas_object(battles.frame, index=False).to_numpy().tobytes()).hexdigest()


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


# Who wins


def test_the_arena_has_the_64_models(votes: Battles) -> None:
    tiers = paper.routellm_tiers()
    assert set(votes.models) == set(tiers["model"])
    assert {"gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1"} <= set(votes.models)
    assert len(votes) == N
    assert votes.origin.kind == "simulated"
    assert any("no" in note and "evidence" in note for note in votes.origin.notes)


def test_stronger_tiers_win_more(by_tier: pd.DataFrame) -> None:
    share = by_tier.loc[:4, :4].to_numpy()  # the tiers with thousands of battles
    np.testing.assert_allclose(np.diag(share), 0.5, atol=1e-9)
    assert (np.diff(share, axis=1) > 0).all()
    assert (by_tier.loc[0, 5:] > 0.75).all()


def test_the_first_tier_against_the_third(by_tier: pd.DataFrame) -> None:
    assert 0.63 < by_tier.loc[0, 2] < 0.72  # about two thirds


def test_strengths_add_up_as_in_a_bradley_terry_model(by_tier: pd.DataFrame) -> None:
    steps = _logit(by_tier.loc[0, 1]) + _logit(by_tier.loc[1, 2]) + _logit(by_tier.loc[2, 3])
    assert _logit(by_tier.loc[0, 3]) == pytest.approx(steps, rel=0.2)


def test_ties_and_blind_votes(votes: Battles) -> None:
    blind = votes.frame["random_vote"].to_numpy()
    tie = (votes.frame["winner"] == "tie").to_numpy()
    assert 0.28 < tie.mean() < 0.40
    assert blind.mean() == pytest.approx(assumed.value("arena_random_votes"), abs=0.005)
    counts = votes.frame["winner"][blind].value_counts(normalize=True)
    np.testing.assert_allclose(counts, 1 / 3, atol=0.05)


def test_labels_are_sparse_and_popular_models_fight_more(votes: Battles) -> None:
    sides = np.sort(votes.frame[["model_a", "model_b"]].to_numpy(dtype=str), axis=1)
    pairs = pd.Series(map(tuple, sides)).value_counts(normalize=True)
    assert pairs.median() < 0.001
    fights = pd.concat([votes.frame["model_a"], votes.frame["model_b"]]).value_counts()
    assert fights["gpt-4-1106-preview"] > 4 * fights["llama-13b"]
    first = votes.frame["model_a"] == "gpt-4-1106-preview"
    assert first.sum() == pytest.approx(fights["gpt-4-1106-preview"] / 2, rel=0.1)


# What is asked


def test_prompts_under_16_characters_are_greetings(votes: Battles) -> None:
    short = votes.frame["prompt"].str.len() < SHORTEST
    np.testing.assert_array_equal(short, votes.frame["topic"] == "greeting")
    assert short.mean() == pytest.approx(15 / 80, abs=0.01)  # 80k battles, of which 65k are left


@pytest.mark.parametrize(
    ("quantity", "make"), [("arena_share", simulate_arena), ("judge_share", simulate_judge)]
)
def test_kinds_of_prompts(quantity: str, make: Callable[..., Battles]) -> None:
    rows = assumed.table()
    shares = rows[rows["quantity"] == quantity].set_index("dataset")["value"].astype(float)
    assert shares.sum() == pytest.approx(1)
    battles = make(1_003)
    counts = battles.frame["dataset"].value_counts()
    np.testing.assert_allclose(counts[shares.index], 1_003 * shares, atol=len(shares))
    assert len(battles) == 1_003


def test_no_prompt_is_shared_with_the_outcomes(votes: Battles, judged: Battles, pair: PairScores) -> None:
    for battles in (votes, judged):
        asked = set(battles.frame["prompt"])
        for dataset in (catalog.MT_BENCH, catalog.MMLU, catalog.GSM8K):
            assert pair.of(dataset).frame["prompt"].isin(asked).mean() < 0.02


@pytest.mark.parametrize("dataset", [catalog.MT_BENCH, catalog.MMLU, catalog.GSM8K])
def test_quality_is_that_of_the_outcomes_and_its_gap_grows_with_difficulty(dataset: str) -> None:
    n, rngs = 20_000, assumed.streams(0, "test", dataset)
    asked = arena._ask(dataset, n, rngs, arena._known_tastes(dataset, 0))
    quality = arena._qualities(asked, np.array([1.0, 0.0]), np.tile([0, 1], (n, 1)), rngs[4])
    near = 0.08 if dataset == catalog.MT_BENCH else 0.03  # there eight drawn tastes say most of a score
    np.testing.assert_allclose(quality.mean(axis=0), asked.part.mean, atol=near)
    lead = quality[:, 0] - quality[:, 1]
    by_level = pd.Series(lead).groupby(asked.frame["level"]).mean()
    assert np.corrcoef(by_level.index, by_level)[0, 1] > 0.6
    assert by_level[4] - by_level[0] > 0.02


@pytest.mark.parametrize("dataset", [catalog.MT_BENCH, catalog.GSM8K])
def test_tastes_are_those_of_the_outcomes(dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, NDArray[np.float64]] = {}
    real = latent.draw_latent

    def watch(part, queries, factors, rng):  # type: ignore[no-untyped-def]
        drawn[part.dataset] = latent.draw_tastes(len(part.topics), len(part.models), deepcopy(rng))
        return real(part, queries, factors, rng)

    monkeypatch.setattr(latent, "draw_latent", watch)
    simulate_outcomes(200, seed=3)
    both = drawn[dataset][:, [catalog.MODELS.index(GPT4), catalog.MODELS.index(MIXTRAL)]]
    np.testing.assert_array_equal(arena._known_tastes(dataset, 3), both - both.mean(axis=0))


def test_voters_know_little_of_a_models_taste() -> None:
    known = arena._known_tastes(catalog.MMLU, 0)
    fighters = arena._fighters()
    place = fighters["model"].tolist().index("mixtral-8x7b-instruct-v0.1")
    seen = arena._tastes(catalog.MMLU, fighters, 0)[:, place]
    assert 0.05 < np.corrcoef(seen, known[:, 1])[0, 1] < 0.6  # 57 topics; kinship's root is 0.32


# How much is preferred on each kind of prompt


@pytest.mark.parametrize("dataset", [catalog.MT_BENCH, catalog.MMLU, catalog.GSM8K, catalog.MBPP])
def test_votes_prefer_the_strong_class_alike_on_every_kind(
    dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arena, "_counts", lambda quantity, n: {dataset: n})
    found = simulate_arena(12_000)
    tier = paper.routellm_tiers().set_index("model")["tier"]
    a, b = (found.frame[side].map(tier).to_numpy() for side in ("model_a", "model_b"))
    share = np.concatenate([found.share[(a < 2) & (b == 2)], 1 - found.share[(b < 2) & (a == 2)]])
    assert share.mean() == pytest.approx(assumed.value("label_level"), abs=0.04)


def test_the_judge_and_golden_labels_prefer_gpt4_alike(judged: Battles, pair: PairScores) -> None:
    level = assumed.value("label_level")
    np.testing.assert_allclose(judged.frame.groupby("dataset")["score"].mean(), level, atol=1e-6)
    mmlu = pair.of(catalog.MMLU)
    assert 0.5 + (mmlu.strong - mmlu.weak).mean() / 2 == pytest.approx(level, abs=0.02)


def test_told_difficulty_rises_with_wording_and_topic() -> None:
    part = assumed.assumptions(catalog.MT_BENCH, (GPT4, MIXTRAL))
    queries = latent.draw_queries(part, np.full(8, 50), np.random.default_rng(0))
    hard = pd.Series(latent.told_difficulty(part, queries))
    assert hard.groupby(queries.level).mean().is_monotonic_increasing
    by_topic = hard.groupby(part.topics["topic"].to_numpy()[queries.topic]).mean()
    assert by_topic.idxmax() == "math"
    assert by_topic.idxmin() == "humanities"


# The judge


def test_the_judge_prefers_gpt4_by_degrees(judged: Battles) -> None:
    frame = judged.frame
    assert (set(frame["model_a"]), set(frame["model_b"])) == ({GPT4}, {MIXTRAL})
    assert 0.55 < judged.share.mean() < 0.70
    assert frame["score"].nunique() > 0.9 * len(frame)
    tie = frame["winner"] == "tie"
    assert 0.25 < tie.mean() < 0.45
    assert frame.loc[tie, "score"].between(0.4, 0.6).all()
    told = frame[frame["topic"] != "greeting"].groupby("level")["score"].mean()
    assert told[4] > told[0]


def _transferred(battles: Battles, test: PairScores) -> float:
    """APGR of a KNN router that learnt from these battles; as many neighbours as a topic has battles."""
    words = TfidfVectorizer().fit(battles.frame["prompt"])
    knn = KNeighborsRegressor(400).fit(words.transform(battles.frame["prompt"]), battles.share)
    shares, scores = threshold_sweep(
        knn.predict(words.transform(test.frame["prompt"])), test.strong, test.weak
    )
    gained = apgr(shares, scores, test.weak.mean(), test.strong.mean())
    assert gained is not None
    return gained


@pytest.mark.parametrize(
    ("dataset", "least"), [(catalog.MT_BENCH, 0.60), (catalog.MMLU, 0.56), (catalog.GSM8K, 0.55)]
)
def test_what_a_judge_tells_of_prompts_transfers(
    dataset: str, least: float, judged: Battles, pair: PairScores
) -> None:
    alike = judged.frame[judged.frame["dataset"] == dataset]
    order = np.random.default_rng(0).permutation(len(alike))
    mixed = Battles(alike.assign(prompt=alike["prompt"].to_numpy()[order]), judged.origin)
    learnt = _transferred(Battles(alike, judged.origin), pair.of(dataset))
    assert learnt > least  # a random router has 0.5
    assert learnt > _transferred(mixed, pair.of(dataset)) + 0.02


# Seeds


@pytest.mark.parametrize("make", [simulate_arena, simulate_judge])
def test_a_seed_tells_all(make: Callable[..., Battles]) -> None:
    first, again, other = (make(1_000, seed) for seed in (5, 5, 6))
    assert _digest(first) == _digest(again)
    assert _digest(first) != _digest(other)


@pytest.mark.parametrize("make", [simulate_arena, simulate_judge])
def test_a_handful_of_battles_is_refused(make: Callable[..., Battles]) -> None:
    with pytest.raises(ValueError, match="n is 99"):
        make(99)
