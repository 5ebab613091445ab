"""A saved router decides as it did, keeps its goal, and no foreign or damaged file is taken for one."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import skops.io
from typer.testing import CliRunner

from rb_support import deploy
from rb_support.__main__ import app
from rb_support.deploy.calibration import calibrate
from rb_support.deploy.drift import Reference
from rb_support.outcomes import Outcomes
from rb_support.studies.predictive import compare_predictions

WORDS = {"sums": ["add", "subtract", "divide"], "poems": ["rhyme", "sonnet", "verse"]}
PROMPTS = ["add number 999 of sums", "sonnet number 999 of poems"]


def table(n=240, seed=0):
    """Two topics: the cheap model is good at sums only, the dear one at everything."""
    rng = np.random.default_rng(seed)
    topics = rng.choice([*WORDS], n)
    prompts = [f"{rng.choice(WORDS[topic])} number {i} of {topic}" for i, topic in enumerate(topics)]
    frame = pd.DataFrame(
        {"sample_id": [f"q{i}" for i in range(n)], "dataset": "d", "task": "t", "prompt": prompts}
    )
    chance = np.column_stack([np.where(topics == "sums", 0.9, 0.2), np.full(n, 0.9)])
    cost = np.column_stack([np.full(n, 0.001), np.full(n, 0.02)]) * rng.uniform(0.9, 1.1, (n, 1))
    return Outcomes(frame, (rng.random((n, 2)) < chance).astype(float), cost, ("small", "large"))


@pytest.fixture(scope="module")
def routers():
    return {kind: deploy.fit(table(), kind) for kind in deploy.router.MADE}


def test_loaded_in_another_process_they_decide_alike(routers, tmp_path):
    for kind, router in routers.items():
        router.calibrate(quality=0.9).save(tmp_path / kind)
    code = "import sys, json; from rb_support.deploy import load; folder, prompts, *kinds = sys.argv[1:]"
    code += "; found = [load(f'{folder}/{kind}').route(json.loads(prompts)) for kind in kinds]"
    code += "; print(*(f.to_json(orient='records', double_precision=15) for f in found), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), json.dumps(PROMPTS), *routers],
        capture_output=True,
        text=True,
        check=True,
    )
    for line, router in zip(done.stdout.splitlines(), routers.values(), strict=True):
        found = router.calibrate(quality=0.9).route(PROMPTS)
        assert json.loads(line) == json.loads(found.to_json(orient="records", double_precision=15))


@pytest.mark.parametrize("kind", [*deploy.router.MADE])
def test_loaded_it_is_what_was_saved(routers, kind, tmp_path):
    router = routers[kind].calibrate(quality=0.9)
    router.save(tmp_path)
    again = deploy.load(tmp_path)
    assert (again.setting, again.goal, again.models) == (router.setting, router.goal, router.models)
    np.testing.assert_array_equal(again.predicted, router.predicted)
    assert again.calibrate(share=0.2).setting == router.calibrate(share=0.2).setting  # and is set anew alike
    assert (again.worth, again.learnt) == (router.worth, router.learnt)
    assert again.drift(PROMPTS) == router.drift(PROMPTS)


def test_it_learns_who_is_worth_the_price(routers):
    chosen = routers["ridge"].calibrate(quality=0.95).route(PROMPTS)
    assert chosen["model"].tolist() == ["small", "large"]
    assert chosen["expected_usd"].iloc[0] < 0.002 < 0.018 < chosen["expected_usd"].iloc[1]


@pytest.mark.parametrize("kind", ["ridge", "knn"])
def test_goals_are_kept_on_held_out_rows(routers, kind):
    router = routers[kind]
    for budget in (0.0005, 0.004, 0.012, 1.0):
        setting = router.calibrate(budget=budget).setting
        calls = router.calibrate(budget=budget)
        assert calls.setting.reached == (budget > 0.0005)
        assert setting.usd_per_query[0] <= max(budget, 0.0012) * 1.1
    assert router.calibrate(share=0.25).setting.calls[1] <= 0.25
    assert router.calibrate(share=0.0).setting.calls == (1.0, 0.0)
    most = router.calibrate(quality=1.0).setting
    less = router.calibrate(quality=0.7).setting
    assert less.usd_per_query[0] < most.usd_per_query[0] and less.quality[0] < most.quality[0] + 0.02
    assert not router.calibrate(quality=2.0).setting.reached


def test_what_is_promised_is_what_new_prompts_give():
    """Over many tables the measured quality is on average the true one: choosing on the same rows is not."""
    gaps, naive = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        predicted = rng.random((60, 3))  # knows nothing
        held_out = Outcomes(
            pd.DataFrame({"sample_id": map(str, range(60)), "dataset": "d", "task": "t", "prompt": "p"}),
            (rng.random((60, 3)) < 0.5).astype(float),
            np.tile([0.1, 0.2, 0.3], (60, 1)),
            ("a", "b", "c"),
        )
        setting = calibrate(
            predicted, np.array([0.1, 0.2, 0.3]), held_out, deploy.Goal(quality=1.05), rng=rng
        )
        gaps.append(setting.quality[0] - 0.5)
        naive.append(setting.reached)
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(60)
    assert np.mean(naive) > 0


def test_a_router_that_learnt_nothing_says_so(tmp_path):
    blind = table()
    rng = np.random.default_rng(1)
    blind = Outcomes(blind.frame, rng.permutation(blind.quality), blind.cost, blind.models)
    blind.to_parquet(tmp_path / "blind.parquet")
    command = ["fit", str(tmp_path / "blind.parquet"), "--out", str(tmp_path / "r"), "--quality", "0.9"]
    assert "no router is worth it here: nothing was learnt" in CliRunner().invoke(app, command).output


def test_the_verdict_is_that_of_the_studies():
    """The same systems on the same rows: the honest lead of notebook 03, and what luck reaches."""
    mine = table(400)
    shuffled = np.random.default_rng(5).permutation(mine.quality)
    blind = Outcomes(mine.frame, shuffled, mine.cost, mine.models)
    for each, leads in ((mine, True), (blind, False)):
        router, (train, held_out) = deploy.fit(each, "knn"), each.split(0.7, seed=0)
        found = router.worth
        comparison = compare_predictions(train, held_out, {"r": router.predicted})
        row = comparison.table(rng=np.random.default_rng(0), draws=100).iloc[2]
        assert found.finding == row["finding"] and (found.finding == "leads") == leads
        assert found.lead == pytest.approx(row["honest_minus_zero"], abs=0.01)
        assert found.placebo_high == pytest.approx(row["placebo_high"], abs=0.02)
        assert found.rows == len(held_out)
    assert "no router is worth it here: a fixed mixture" in str(found)


@pytest.mark.parametrize("kind", ["ridge", "sw"])
def test_prompts_of_another_kind_are_told_from_the_held_out_ones(routers, kind):
    alike = routers[kind].drift(table(150, seed=9).frame["prompt"].tolist())
    assert not alike.differs and alike.far < 0.1 and "cannot be told" in str(alike)
    other = routers[kind].drift([f"Which river flows through town {i}?" for i in range(20)])
    assert other.differs and other.prompts == 20 and "NOT like" in str(other)
    one_sided = routers[kind].drift([f"sonnet number {i} of poems" for i in range(30)])
    assert one_sided.differs
    again = routers[kind].drift(["add number 999 of sums"] * 50)
    assert again.prompts == 1 and not again.differs  # one prompt, however often it is asked


def test_the_drift_test_keeps_its_level():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        draws = rng.normal(size=(60, 5))
        found.append(Reference.of(draws, draws[:30]).drift(rng.normal(size=(15, 5))).chance)
    assert 0.01 < np.mean(np.array(found) <= 0.05) < 0.10


def test_one_goal_is_given(routers):
    with pytest.raises(ValueError, match="exactly one"):
        routers["ridge"].calibrate()
    with pytest.raises(ValueError, match="share is 1.5"):
        routers["ridge"].calibrate(share=1.5)
    with pytest.raises(ValueError, match="not calibrated"):
        routers["ridge"].route(PROMPTS)
    for embedding in ("tfidf", "length"):
        with pytest.raises(ValueError, match=f"'{embedding}' learns from the table's prompts"):
            deploy.fit(table(), embedding=embedding)


def test_files_that_are_no_router_are_refused(routers, tmp_path):
    with pytest.raises(deploy.RouterFileError, match="holds no router"):
        deploy.load(tmp_path)
    folder = tmp_path / "router"
    routers["ridge"].calibrate(quality=0.9).save(folder)
    good = (folder / "router.skops").read_bytes()
    (folder / "router.skops").write_bytes(good[:-3] + b"xyz")
    with pytest.raises(deploy.RouterFileError, match="is damaged"):
        deploy.load(folder)
    evil = tmp_path / "evil.skops"
    skops.io.dump({"predictor": subprocess.Popen}, evil)
    _swap(folder, evil.read_bytes())
    with pytest.raises(deploy.RouterFileError, match="holds what no router has"):
        deploy.load(folder)
    _swap(folder, pickle.dumps({"predictor": 1}))
    with pytest.raises(deploy.RouterFileError):
        deploy.load(folder)
    routers["knn"].save(tmp_path / "other")
    _swap(folder, (tmp_path / "other" / "router.skops").read_bytes())
    with pytest.raises(deploy.RouterFileError, match="of different routers"):
        deploy.load(folder)
    (folder / "card.json").write_text("{}")
    with pytest.raises(deploy.RouterFileError, match="are no router"):
        deploy.load(folder)


def _swap(folder, content):
    """Put other weights into a saved router, with a card that fits them."""
    (folder / "router.skops").write_bytes(content)
    card = json.loads((folder / "card.json").read_text())
    card["files"]["router.skops"] = deploy.router.digest(folder / "router.skops")
    (folder / "card.json").write_text(json.dumps(card))


def test_the_card_says_what_it_is_and_holds_no_prompt(routers, tmp_path):
    routers["knn"].calibrate(budget=0.01).save(tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["mean_usd_per_query"].keys() == {"small", "large"} and card["setting"]["rows"] > 50
    assert card["worth"]["finding"] == "leads" and card["worth"]["lead"] > card["worth"]["placebo_high"]
    assert card["learnt"]["rows"] == 240 and len(card["learnt"]["table_sha256"]) == 64
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"number 1 of" not in everything
    ids = pd.read_parquet(tmp_path / "held_out.parquet")["sample_id"]
    assert ids.tolist() == [str(row) for row in range(len(ids))]  # a table's own may name a person


def test_a_saved_router_is_set_to_another_goal_without_its_table(routers, tmp_path):
    routers["ridge"].calibrate(quality=0.95).save(tmp_path)
    run = CliRunner().invoke
    asked = run(app, ["calibrate", str(tmp_path), "--budget", "10", "--queries", "1000"])
    assert asked.exit_code == 0 and "goal: at most 10 USD per 1,000 queries" in asked.output, asked.output
    assert "blindly mixed" in asked.output and "the router is worth it" in asked.output
    assert deploy.load(tmp_path).goal == deploy.Goal(quality=0.95)
    assert run(app, ["calibrate", str(tmp_path), "--share", "0", "--save"]).exit_code == 0
    assert deploy.load(tmp_path).route(PROMPTS)["model"].tolist() == ["small", "small"]
    assert run(app, ["calibrate", str(tmp_path)]).exit_code == 2
    assert run(app, ["calibrate", str(tmp_path / "none"), "--share", "0"]).exit_code == 1
    told = run(app, ["route", str(tmp_path), "add", "--drift"])
    assert "cannot be told from the held-out ones" in told.stderr and len(told.stdout.splitlines()) == 1


def test_from_a_table_to_decisions_by_commands(tmp_path):
    mine, folder, runner = tmp_path / "mine.parquet", tmp_path / "router", CliRunner()
    table().to_parquet(mine)
    fitted = runner.invoke(
        app, ["fit", str(mine), "--out", str(folder), "--budget", "10", "--queries", "1000"]
    )
    assert fitted.exit_code == 0, fitted.output
    assert "goal: at most 10 USD per 1,000 queries" in fitted.output and "always large" in fitted.output
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS))
    asked = runner.invoke(app, ["route", str(folder), "--file", str(tmp_path / "prompts.txt")])
    assert [json.loads(line)["model"] for line in asked.output.splitlines()] == ["small", "large"]
    assert "nothing was learnt" not in fitted.output
    assert runner.invoke(app, ["fit", str(mine), "--out", str(folder)]).exit_code == 2
    assert runner.invoke(app, ["route", str(tmp_path), "x"]).exit_code == 1
    assert runner.invoke(app, ["route", str(folder)]).exit_code == 2
    wrong = runner.invoke(app, ["fit", str(mine), "--out", str(folder), "--share", "1.5"])
    assert wrong.exit_code == 2 and "share is 1.5" in wrong.output
