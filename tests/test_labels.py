"""Learning from golden labels: known truth planted in made questions."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from rb_support.outcomes import PairScores
from rb_support.pairs import random_apgr_spread
from rb_support.preference import SWRanking, gold_battles
from rb_support.preference.gold import (
    Candidate,
    Reader,
    ShrunkenMeans,
    SimilarityMean,
    TwoLogistic,
    gold_router,
)
from rb_support.preference.question_form import question_form
from rb_support.studies import labels

PLAN = labels.fixed_plan()


def smaller(**settings):
    """The plan with two sizes of labels, and with these settings of some methods."""
    candidates = {
        name: each.model_copy(update={"settings": {**each.settings, **settings.get(each.method, {})}})
        for name, each in PLAN.candidates.items()
    }
    return PLAN.model_copy(update={"labels": (200, 400), "draws": 2, "candidates": candidates})


SMALL = smaller(trees={"n_estimators": 10})
QUICK = smaller(trees={"n_estimators": 5}, boosting={"max_iter": 5})


def made(n=900, *, told=1.0, subjects=6, seed=0):
    """Questions in subjects, half of them hard for the weak model as far as `told`; vectors are noise."""
    rng = np.random.default_rng(seed)
    subject = rng.integers(subjects, size=n)
    hard = subject < subjects / 2
    strong = (rng.random(n) < 0.9).astype(float)
    weak = (rng.random(n) < np.where(hard, 0.6 - 0.4 * told, 0.6 + 0.3 * told)).astype(float)
    frame = pd.DataFrame(
        {
            "sample_id": [f"q{i}" for i in range(n)],
            "dataset": "made",
            "task": [f"subject {k}" for k in subject],
            "prompt": [f"Question number {i:04d}?" for i in range(n)],
        }
    )
    X = pd.DataFrame(rng.normal(size=(n, 5)), index=frame["prompt"])
    return PairScores(frame, strong, weak, "s", "w"), X


@pytest.fixture(scope="module")
def found():
    return labels.learning_curve(*made(), plan=SMALL)


def test_planted_effect_of_the_subject_is_found(found):
    mean = found.frame.groupby(["router", "labels"])["apgr"].mean()
    assert mean[labels.SUBJECTS, 400] > 0.62 and mean[labels.BOTH, 400] > 0.6
    assert abs(mean[PLAN.baseline, 400] - 0.5) < 0.08, "vectors and words of these questions tell nothing"
    assert set(found.frame["queries"]) == {270} and found.sizes == [200, 400]


def test_labels_that_tell_nothing_stay_in_the_chance_band():
    pairs, X = made(told=0.0, seed=3)
    curve = labels.learning_curve(pairs, X, plan=QUICK)
    band = 3.5 * random_apgr_spread(curve.test.strong, curve.test.weak)
    assert (curve.frame["apgr"] - 0.5).abs().max() < band


def test_shuffled_labels_learn_nothing(found):
    band = 3.5 * random_apgr_spread(found.test.strong, found.test.weak)
    shuffled = found.frame[found.frame["router"] == labels.SHUFFLED]
    assert len(shuffled) == 3 and (shuffled["apgr"] - 0.5).abs().max() < band


def test_the_same_labels_give_the_same_curve():
    pairs, X = made(400)
    plan = QUICK.model_copy(update={"labels": (150,), "draws": 1})
    first, again = (labels.learning_curve(pairs, X, plan=plan) for _ in range(2))
    pd.testing.assert_frame_equal(first.frame, again.frame)
    order = np.random.default_rng(0).permutation(len(pairs))
    other = labels.learning_curve(pairs.take(order), X, plan=plan)
    assert set(other.test.frame["prompt"]) == set(first.test.frame["prompt"]), "rows may come in any order"


def test_settings_come_from_the_file_alone():
    assert PLAN.baseline in PLAN.candidates and labels.PRIOR in PLAN.candidates
    for name, each in PLAN.candidates.items():
        assert set(each.of) <= set(PLAN.candidates), name
        assert each.reads_subject(PLAN.candidates) == name.startswith("subject"), name
    assert not any(name.startswith("subject") for name in PLAN.reading(subject=False))
    with pytest.raises(ValidationError):
        labels.Plan(**{**PLAN.model_dump(), "another": 1})
    with pytest.raises(ValidationError):
        Candidate(method="mean", reads=("form",))


def test_a_choice_sees_no_question_that_is_judged_on(monkeypatch):
    pairs, X = made(400)
    seen, left, real = [], [], labels.validated

    def spy(labelled, others, plan):
        seen.append(set(labelled.pairs.frame["prompt"]))
        left.append(set(others.pairs.frame["prompt"]))
        return real(labelled, others, plan)

    monkeypatch.setattr(labels, "validated", spy)
    curve = labels.learning_curve(pairs, X, plan=QUICK.model_copy(update={"labels": (100, 140), "draws": 2}))
    judged = set(curve.test.frame["prompt"])
    assert len(seen) == 2 and not any(known & judged for known in (*seen, *left))
    assert not any(known & others for known, others in zip(seen, left, strict=True))
    assert seen[0] < seen[1], "fewer labels are part of more"


def test_equal_prompts_are_validated_together(monkeypatch):
    pairs, X = made(100)
    frame = pairs.frame.assign(prompt=pairs.frame["prompt"].iloc[np.arange(100) // 2].to_numpy())
    twice = PairScores(frame, pairs.strong, pairs.weak, "s", "w")
    pool = Reader().fit(twice, X).read(twice, X)
    parts = []

    def spy(names, learnt, asked, plan):
        parts.append(learnt)
        return {name: asked.X[:, 0] for name in names}

    monkeypatch.setattr(labels, "predicted", spy)
    labels.cross_validated(pool, SMALL, 0)
    assert len(parts) == PLAN.folds
    assert all((learnt.pairs.frame["prompt"].value_counts() == 2).all() for learnt in parts)


def test_similarity_mean_is_sw_ranking_of_two_models():
    pairs, X = made(60)
    vectors = X.loc[pairs.frame["prompt"]].to_numpy()
    ranking = SWRanking(strong="s", weak="w", ridge=1e-9).fit(gold_battles(pairs), vectors).win_rate(vectors)
    mean = SimilarityMean(10.0).fit(vectors, pairs.strong - pairs.weak).predict(vectors)
    assert (1 + mean) / 2 == pytest.approx(ranking, abs=1e-6)


def test_means_of_groups_that_differ_by_chance_are_one():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(30), 20)[:, None]
    alike = ShrunkenMeans().fit(group, rng.integers(2, size=600).astype(float))
    assert np.ptp(alike.predict(group)) < 0.1
    apart = ShrunkenMeans().fit(group, (group[:, 0] % 2).astype(float))
    assert apart.predict(np.array([[0.0], [1.0], [99.0]])) == pytest.approx([0, 1, 0.5], abs=1e-6)


def test_a_score_between_right_and_wrong_counts_in_part():
    X = np.repeat(np.eye(2), 50, axis=0)
    halves = np.column_stack([np.repeat([1.0, 0.5], 50), np.full(100, 0.5)])
    gain = TwoLogistic(C=1000).fit(X, halves).predict(np.eye(2))
    assert gain == pytest.approx([0.5, 0.0], abs=0.02)
    constant = TwoLogistic().fit(X, np.ones((100, 2))).predict(np.eye(2))
    assert constant.tolist() == [0, 0]


@pytest.mark.parametrize("name", PLAN.candidates)
@pytest.mark.parametrize("n", [1, 3])
def test_few_labels_are_learnt_from(name, n):
    pairs, X = made(8)
    few = Reader().fit(pairs, X).read(pairs.take(np.arange(n)), X)
    gain = labels.predicted([name], few, few, SMALL)[name]
    assert gain.shape == (n,) and np.isfinite(gain).all()


def test_scores_of_any_scale_count_as_shares_of_it():
    pairs, X = made(20)
    judged = PairScores(pairs.frame, 1 + 9 * pairs.strong, 1 + 9 * pairs.weak, "s", "w", scale=(1, 10))
    gains = []
    for table in (pairs, judged):
        read = Reader().fit(table, X).read(table, X)
        gains.append(gold_router(PLAN.candidates[labels.PRIOR], read).predict(read.X))
    assert gains[0] == pytest.approx(gains[1])


def test_tables_too_small_or_without_a_gap_leave_a_sentence():
    pairs, X = made(1)
    curve = labels.learning_curve(pairs, X, plan=SMALL)
    rng = np.random.default_rng(0)
    assert curve.frame.empty and labels.compared(curve, sizes=[200], rng=rng).empty
    assert labels.ceilings(curve, rng=rng).empty and labels.evidence(curve, curve.frame, 200) == {}
    pairs, X = made(40)
    same = PairScores(pairs.frame, pairs.weak, pairs.weak, "s", "w")
    curve = labels.learning_curve(same, X, plan=QUICK)
    assert curve.frame["apgr"].isna().all() and labels.ceilings(curve, rng=rng).empty


def test_intervals_hold_the_lead_over_the_baseline(found):
    table = labels.compared(found, sizes=[400], rng=np.random.default_rng(0), draws=200, plan=SMALL)
    rows = table.set_index("router")
    assert rows.loc[PLAN.baseline, ["lead", "lead_low", "lead_high"]].tolist() == [0, 0, 0]
    assert (rows["low"] < rows["apgr"]).all() and (rows["apgr"] < rows["high"]).all()
    assert rows.loc[labels.SUBJECTS, "lead_low"] > 0
    mean = found.frame.groupby(["labels", "router"])["apgr"].mean()[400]
    assert rows["apgr"].to_dict() == pytest.approx(mean.to_dict())
    told = labels.evidence(found, table, 400)
    assert set(told) == {"labels-shuffled", *(f"labels-{what}-1500" for what in ("paper", "goal", "lead"))}
    assert told["labels-shuffled"].low < 0.5 < told["labels-shuffled"].high
    assert told["labels-goal-1500"][0].floor < 0.65


def test_an_exact_power_law_is_extrapolated():
    sizes = np.array([200, 500, 1500, 3000, 9800])
    curves = 0.7 - np.array([[1.0], [2.0]]) * sizes**-0.5
    assert labels.extrapolated(sizes, curves, np.inf) == pytest.approx([0.7, 0.7])
    assert labels.extrapolated(sizes, curves, 98_000) == pytest.approx(0.7 - np.array([1, 2]) * 98_000**-0.5)
    assert labels.extrapolated(sizes, 1.2 - curves, np.inf) == pytest.approx(1.2 - curves.mean(axis=1)), (
        "no fall"
    )


def test_ceilings_are_above_what_is_reached(found):
    levels = labels.ceilings(found, rng=np.random.default_rng(0)).set_index("level")["apgr"]
    best = found.frame["apgr"].max()
    assert levels["order of the outcomes themselves"] > best
    assert levels["subjects' means, in sample"] > levels["means of shuffled subjects, in sample"] > 0.5


def test_the_form_of_a_question():
    form = question_form(["Which is NOT prime?\nA. 2\nB. 9\nAnswer:", "", "\\frac{1}{2} is __:"])
    assert form["negation_in_capitals"].tolist() == [1, 0, 0]
    assert form["quantities"].tolist() == [1, 0, 0]
    assert form["formula"].tolist() == [0, 0, 1] and form["blank"].tolist() == [0, 0, 1]
    assert np.isfinite(form.to_numpy()).all()
