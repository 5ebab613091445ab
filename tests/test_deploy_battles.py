"""Routers that learn from battles: the paper's win rates with two models, a sound scale with more."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from test_deploy import WORDS, table
from typer.testing import CliRunner

from rb_support import deploy
from rb_support.__main__ import app
from rb_support.deploy.battle_routers import FactorizationRouter, SWRouter
from rb_support.embed import embed
from rb_support.outcomes import Battles, Outcomes, PairScores, PartialOutcomes, TableError
from rb_support.preference import SWRanking, gold_battles
from rb_support.preference.factorization import MatrixFactorization
from rb_support.preference.sw import sw_weights
from rb_support.routers import contrast_error


def made(n=300, m=4, d=8, seed=0):
    """The first coordinate says which half of the models is right."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    chance = np.clip(0.5 + 0.4 * np.outer(np.sign(X[:, 0]), np.linspace(-1, 1, m)), 0, 1)
    frame = pd.DataFrame({"sample_id": map(str, range(n)), "dataset": "d", "task": "t"})
    frame["prompt"] = "p" + frame["sample_id"]
    cost = np.tile(np.arange(1.0, m + 1), (n, 1))
    return Outcomes(frame, (rng.random((n, m)) < chance) * 1.0, cost, tuple("abcdefgh"[:m])), X


def votes(n=600, seed=3):
    """Voters prefer small on sums and large on poems; a third model loses to both."""
    rng = np.random.default_rng(seed)
    topics = rng.choice([*WORDS], n)
    prompts = [f"{rng.choice(WORDS[topic])} number {1000 + i} of {topic}" for i, topic in enumerate(topics)]
    third = rng.random(n) < 0.2
    first = np.where(third, "other", "small")
    winner = np.where(third | (topics == "poems"), "model_b", "model_a")
    return pd.DataFrame({"prompt": prompts, "model_a": first, "model_b": "large", "winner": winner})


def test_with_two_models_the_win_rate_is_the_papers():
    train, X = made(m=2)
    new = made(40, m=2, seed=1)[1]
    battles = gold_battles(PairScores.from_outcomes(train, "a", "b"))
    pair = {"strong": "a", "weak": "b"}
    rivals = (
        (SWRouter(), SWRanking(**pair)),
        (FactorizationRouter(), MatrixFactorization(**pair, progress=False)),
    )
    for router, papers in rivals:
        ratings = router.fit(train, X).ratings(new)
        expected = papers.fit(battles, X).win_rate(new)
        np.testing.assert_allclose(expit(ratings[:, 0] - ratings[:, 1]), expected, rtol=1e-9)
        gap = np.subtract(*router.predict(new).T)
        assert router.slope > 0 and (np.diff(gap[np.argsort(expected)]) > -1e-9).all()


def test_margins_of_a_complete_table_are_similarity_weighted_qualities():
    """What makes a Bradley-Terry score a quality: the likelihood equations, whatever the number of models."""
    train, X = made(m=5)
    new = made(20, m=5, seed=1)[1]
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (X, new)]
    weights = sw_weights(unit[0] @ unit[1].T)
    means = weights.T @ train.quality / weights.sum(axis=0)[:, None]
    found = SWRouter().fit(train, X).margins(new)
    np.testing.assert_allclose(found, means - means.mean(axis=1, keepdims=True), atol=1e-4)


@pytest.mark.parametrize("router", [SWRouter, FactorizationRouter])
def test_predicted_quality_is_on_the_tables_scale(router):
    train, X = made(500)
    test, new = made(500, seed=1)
    fitted = router().fit(train, X)
    predicted = fitted.predict(new)
    assert contrast_error(predicted, test.quality) < 0.9 * contrast_error(
        np.tile(train.quality.mean(axis=0), (len(test), 1)), test.quality
    )
    assert np.abs(predicted.mean(axis=0) - test.quality.mean(axis=0)).max() < 0.06
    step, real = (part - part.mean(axis=1, keepdims=True) for part in (predicted, test.quality))
    assert np.sum(step * real) / np.sum(step**2) == pytest.approx(1, abs=0.2)  # neither too bold nor too shy
    halved = Outcomes(train.frame, train.quality / 2, train.cost, train.models)
    half = router().fit(halved, X).predict(new)
    half -= half.mean(axis=1, keepdims=True)
    assert np.sum(half * step) / np.sum(step**2) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("router", [SWRouter, FactorizationRouter])
def test_without_signal_it_stays_near_the_means(router):
    train, X = made(400)
    blind = Outcomes(
        train.frame, np.random.default_rng(1).permutation(train.quality), train.cost, train.models
    )
    predicted = router().fit(blind, X).predict(X)
    assert np.abs(predicted - blind.quality.mean(axis=0)).max() < 0.15
    alone = router().fit(train.select(["a"]), X)
    assert alone.slope == 0 and np.ptp(alone.predict(X)) == 0
    same = Outcomes(train.frame, np.repeat(train.quality[:, :1], 4, axis=1), train.cost, train.models)
    assert np.ptp(router().fit(same, X).predict(X)) < 1e-6


@pytest.mark.parametrize("router", [SWRouter, FactorizationRouter])
def test_votes_teach_what_a_small_table_does_not(router):
    battles, test = Battles(votes()), table(150, seed=7)
    Z, new = (embed(each.frame["prompt"].tolist(), progress=False) for each in (battles, test))
    errors = []
    for seed in range(22, 24):
        small = table(12, seed)
        X = embed(small.frame["prompt"].tolist(), progress=False)
        fits = router().fit(small, X, battles, Z), router().fit(small, X)
        assert fits[0].names == ("small", "large", "other")
        errors.append([contrast_error(each.predict(new), test.quality) for each in fits])
    assert np.mean(errors, axis=0)[0] < 0.95 * np.mean(errors, axis=0)[1]


@pytest.mark.parametrize("kind", [*deploy.router.MADE])
def test_a_table_with_missing_answers_teaches_all_it_has(kind):
    whole = table(300)
    gone = np.random.default_rng(1).random((300, 2)) < [0.0, 0.3]
    cells = (np.where(gone, np.nan, part) for part in (whole.quality, whole.cost))
    partial = PartialOutcomes(whole.frame, *cells, whole.models)
    router = deploy.fit(partial, kind)
    learnt, kept = router.learnt, router.held_out
    assert np.isfinite(kept.quality).all() and learnt.held_out_rows == len(kept) == len(router.predicted)
    assert learnt.answers == 600 - gone.sum() == learnt.training_answers + 2 * len(kept)
    assert learnt.training_rows == 300 - len(kept)
    assert not set(kept.frame["prompt"]) & set(partial.frame["prompt"][gone.any(axis=1)])
    chosen = router.calibrate(quality=0.95).route(["add number 999 of sums", "sonnet number 999 of poems"])
    assert chosen["model"].tolist() == ["small", "large"]


def test_a_table_with_missing_answers_by_a_command(tmp_path):
    whole, gone = table(80), np.random.default_rng(1).random((80, 2)) < [0.0, 0.3]
    path = tmp_path / "mine.csv"
    frame = whole.to_wide()
    for column in ("large", "large|total_cost"):
        frame[column] = frame[column].astype(object).where(~gone[:, 1], "")
    frame.to_csv(path, index=False)
    done = CliRunner().invoke(app, ["fit", str(path), "--out", str(tmp_path / "r"), "--quality", "0.9"])
    assert f"{gone.sum():,} answers are missing" in done.output, done.output


def test_models_that_never_met_are_compared_through_a_third():
    """Where battles are sparse, ratings are not means: b beats a, a beats c, and b never met c."""
    train, X = made(90, m=3)
    quality = np.full((90, 3), np.nan)
    quality[:45, :2], quality[45:, 0], quality[45:, 2] = [0, 1], 1, 0
    sparse = PartialOutcomes(train.frame, quality, np.where(np.isnan(quality), np.nan, 1.0), train.models)
    ratings = SWRouter().fit(sparse, X).ratings(X[:5])
    assert (ratings[:, 1] > ratings[:, 0]).all() and (ratings[:, 0] > ratings[:, 2]).all()


def test_votes_by_a_command(tmp_path):
    mine, file, folder = tmp_path / "mine.parquet", tmp_path / "battles.csv", tmp_path / "router"
    table(80).to_parquet(mine)
    held_out = table(80).split(0.7, seed=0)[1].frame["prompt"].iloc[0]
    frame = votes(60)
    frame.loc[0, "prompt"] = held_out
    frame.to_csv(file, index=False)
    command = ["fit", str(mine), "--out", str(folder), "--quality", "0.9", "--battles", str(file)]
    done = CliRunner().invoke(app, [*command, "--kind", "sw"])
    assert done.exit_code == 0, done.output
    assert "and from 59 battles; 1 on held-out prompts were left out" in done.output
    assert deploy.load(folder).learnt.battles == 59
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2 and "ridge does not learn from battles" in refused.output
    with pytest.raises(TableError, match="none is of the table's small, large"):
        deploy.fit(
            table(80), "sw", battles=Battles(frame[["prompt", "winner"]].assign(model_a="x", model_b="y"))
        )
