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
from rb_support.outcomes import Battles, Outcomes, PairScores, TableError
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
        assert (np.argsort(gap) == np.argsort(expected)).all()


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
    train, X = made(800)
    test, new = made(800, seed=1)
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
    battles, test = Battles(votes()), table(300, seed=7)
    Z, new = (embed(each.frame["prompt"].tolist(), progress=False) for each in (battles, test))
    errors = []
    for seed in range(20, 24):
        small = table(12, seed)
        X = embed(small.frame["prompt"].tolist(), progress=False)
        fits = router().fit(small, X, battles, Z), router().fit(small, X)
        assert fits[0].names == ("small", "large", "other")
        errors.append([contrast_error(each.predict(new), test.quality) for each in fits])
    assert np.mean(errors, axis=0)[0] < 0.95 * np.mean(errors, axis=0)[1]


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
