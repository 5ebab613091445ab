"""Notebook 08's studies: savings that are known by construction, tables without signal, degenerate tables."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from tables_made import outcome_tables

from rb_support.outcomes import Origin, Outcomes, PartialOutcomes
from rb_support.report import Report
from rb_support.report.claims import claims_of
from rb_support.report.own_figures import draw_bills, frontier_figure, more_prompts_figure, savings_figure
from rb_support.simulate.company_log import company_log, told_by_prompt
from rb_support.stats import halves
from rb_support.studies import own_outcomes as own
from rb_support.studies import own_savings, own_served
from rb_support.studies.own_savings import (
    BEST,
    EQUAL,
    LUCK,
    MIXED,
    MIXED_OVER_BEST,
    OVER_BEST,
    OVER_EQUAL,
    ROUTED,
    RUNS,
    OutOfFold,
)

OWN = Origin("own", "made.csv")


def table_of(quality: np.ndarray, cost: np.ndarray, prompts: list[str] | None = None) -> Outcomes:
    n, m = quality.shape
    rows = [f"{i:04d}" for i in range(n)]
    frame = pd.DataFrame({"sample_id": rows, "dataset": "mine", "task": "mine", "prompt": prompts or rows})
    return Outcomes(frame, quality, cost, tuple(f"model-{j}" for j in range(m)), OWN)


def half_hard(n: int = 200) -> OutOfFold:
    """A cheap model (1 USD) right on the first half only, a dear one (10 USD) right on all; both foreseen."""
    hard = np.arange(n) >= n // 2
    quality = np.column_stack([~hard, np.ones(n)]).astype(float)
    return OutOfFold(table_of(quality, np.tile([1.0, 10.0], (n, 1))), quality)


def no_signal(n: int = 300, seed: int = 0) -> OutOfFold:
    """Right or wrong by chance alone, and predictions that vary with nothing."""
    rng = np.random.default_rng(seed)
    quality = (rng.random((n, 3)) < (0.5, 0.7, 0.9)).astype(float)
    cost = np.tile([1.0, 4.0, 10.0], (n, 1))
    return OutOfFold(table_of(quality, cost), quality.mean(axis=0) + 0.1 * rng.standard_normal((n, 3)))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of letters in place of sentence embeddings, so that no network is run."""

    def letters(texts, model="", **_):
        return np.array([[text.count(chr(code)) for code in range(97, 123)] for text in texts], dtype=float)

    monkeypatch.setattr(own, "embed", letters)
    monkeypatch.setattr("rb_support.deploy.router.embed", letters)


def test_the_saving_is_the_one_known_by_construction() -> None:
    """The router pays 1 on half of the prompts and 10 on the others; as good is only the dear model."""
    saved = own_savings.savings(half_hard(), 1.0, 1000, rng=rng())
    assert saved.of(BEST) == pytest.approx(10_000)
    assert saved.of(ROUTED) == pytest.approx(5_500)
    assert saved.of(EQUAL) == pytest.approx(10_000)
    assert saved.of(OVER_BEST) == saved.of(OVER_EQUAL) == pytest.approx(4_500)
    assert saved.best == "model-1"
    assert all(saved.proven[what] for what in (OVER_BEST, OVER_EQUAL))
    assert "A router saves 4,500 USD a month" in saved.sentence()
    estimate = saved.estimate(OVER_EQUAL)
    half = (estimate.high - estimate.low) / 2  # of a mean of 0 and 9 on 200 rows, two intervals at once
    assert half == pytest.approx(2.0 * 4500 / np.sqrt(200), rel=0.25)


def test_a_mixture_at_the_goal_is_the_one_computed_by_hand() -> None:
    """Quality .5 and 1 at 1 and 10 USD: 75% of the best takes half and half, 5.5 USD, whoever pays."""
    saved = own_savings.savings(half_hard(400), 0.75, 1, rng=rng())
    row = saved.table.set_index("what").loc[MIXED]
    assert row["usd_per_month"] == pytest.approx(5.5, abs=0.15)
    assert row["quality"] == pytest.approx(0.75, abs=0.01)


def test_usd_to_match() -> None:
    points = np.array([[1.0, 0.5], [10.0, 1.0], [5.0, 0.6]])
    assert own_savings.usd_to_match(points, 0.75) == pytest.approx(5.5)
    assert own_savings.usd_to_match(points, 0.1) == 1
    assert own_savings.usd_to_match(points, 2.0) == 10  # none is as good: what the best costs


@pytest.mark.parametrize("seed", range(6))
def test_without_signal_no_saving_is_claimed(seed: int) -> None:
    saved = own_savings.savings(no_signal(seed=seed), 0.95, 1000, rng=rng(seed), draws=200)
    assert not saved.proven[OVER_EQUAL]
    assert "No saving can be claimed" in saved.sentence()


def test_a_mixture_that_saves_is_said_where_the_router_does_not() -> None:
    saved = own_savings.savings(no_signal(2000), 0.9, 1000, rng=rng())
    assert saved.proven[MIXED_OVER_BEST] and not saved.proven[OVER_EQUAL]
    assert "A fixed mixture, with no router at all, saves" in saved.sentence()


def test_what_luck_or_running_would_eat_is_not_claimed() -> None:
    saved = own_savings.savings(half_hard(), 1.0, 1000, rng=rng())
    for what, usd in ((LUCK, 4_600), (RUNS, 5_000)):
        rows = saved.table.copy()
        rows.loc[rows["what"] == what, "usd_per_month"] = usd
        other = own_savings.Savings(**{**vars(saved), "table": rows})
        assert not other.proven[OVER_EQUAL] and "No saving can be claimed" in other.sentence()


def test_the_interval_covers_the_known_saving() -> None:
    """Predictions are what is true: at a goal of 1 the saving over the best model has mean 4.5 a query."""
    inside = 0
    for seed in range(40):
        draw = rng(seed)
        hard = draw.random(120) < 0.5
        quality = np.column_stack([~hard, np.ones(120)]).astype(float)
        router = OutOfFold(table_of(quality, np.tile([1.0, 10.0], (120, 1))), quality)
        found = own_savings.savings(router, 1.0, 1, rng=draw, draws=100).estimate(OVER_BEST)
        inside += found.low <= 4.5 <= found.high
    assert inside >= 35


def test_the_bills_that_a_hand_turns_are_those_of_the_table() -> None:
    router = half_hard()
    saved = own_savings.savings(router, 1.0, 1, rng=rng())
    found = own_savings.bills(router, 1.0, halves(200, rng()))
    assert found == pytest.approx({what: saved.of(what) for what in (BEST, EQUAL, ROUTED)})
    assert list(found) == [BEST, EQUAL, ROUTED]


def test_what_is_earned_is_a_share_of_what_is_saved() -> None:
    saved = own_savings.savings(half_hard(), 1.0, 1000, rng=rng())
    assert saved.earned == pytest.approx(1.0)  # no mixture but the dear model is as good
    assert saved.kept == pytest.approx(1.0)
    alone = OutOfFold(table_of(np.ones((20, 1)), np.ones((20, 1))), np.ones((20, 1)))
    assert own_savings.savings(alone, 1.0, 1000, rng=rng()).earned == 0
    wrong = OutOfFold(table_of(np.zeros((20, 2)), np.ones((20, 2))), np.zeros((20, 2)))
    assert own_savings.savings(wrong, 1.0, 1000, rng=rng()).kept == 1


def test_bills_are_drawn_with_what_reading_earns() -> None:
    fig = plt.figure()
    draw_bills(fig, {BEST: 0.01, EQUAL: 0.008, ROUTED: 0.002}, 1_000_000)
    assert [bar.get_width() for bar in fig.axes[0].patches] == pytest.approx([10_000, 8_000, 2_000])
    assert fig.axes[0].texts[0].get_text() == "reading prompts: +6,000"
    plt.close(fig)


def test_needs_are_told_of_the_models_that_have_them() -> None:
    values = pd.DataFrame({"model": ["big", "odd*", "old"], "mixture": [0.03, 0.001, 0.0]})
    values = values.assign(mixture_low=[0.02, -0.01, 0.0], router=[0.01, 0.04, 0.0])
    values = values.assign(router_low=[0.001, 0.03, 0.0], finding=["worth having", "worth having", "can go"])
    assert own.most_needed(values) == "odd*"
    told = own.needs(values)
    assert "without big (+0.030), the router without odd\\* (+0.040)" in told
    assert (
        "Shown to be needed by the router, and not by a mixture: odd\\*." in told
        and "What can go: old." in told
    )
    alone = pd.DataFrame({"model": ["big"], "finding": ["there is no other"]})
    assert (
        own.needs(alone) == "With big alone there is nothing to choose." and own.most_needed(alone) == "big"
    )


def test_goals_are_told_with_what_they_give() -> None:
    rows = pd.DataFrame({"goal": ["1 USD a month", "99% of it"], "usd_per_month": [1.0, 2000.0]})
    rows = rows.assign(of_best=[0.5, 0.97], reached=[True, False])
    first, second = own.goals_told(rows).split("; ")
    assert first == "1 USD a month: 1 USD a month at 50.0% of the best model's quality"
    assert second.endswith("(these rows do not reach the goal)")
    assert "at 100.0% of" in own.goals_told(rows.assign(of_best=np.nan))  # no model has any quality to lose


def test_a_row_is_called_by_settings_that_it_had_no_part_in() -> None:
    router, turns = no_signal(16), halves(16, rng())
    before, _ = own_savings.routed_rows(router, 0.9, turns)
    others = 0
    for row in range(16):
        quality = router.table.quality.copy()
        quality[row] = 1 - quality[row]
        turned = OutOfFold(table_of(quality, router.table.cost), router.predicted)
        after, _ = own_savings.routed_rows(turned, 0.9, turns)
        assert after[row, 0] == before[row, 0]
        others += int((after[:, 0] != before[:, 0]).sum())
    assert others  # whose settings it does choose


def test_a_model_is_worth_what_is_lost_without_it() -> None:
    """One of three is right where no other is, one is a dearer copy."""
    n = 300
    kind = np.arange(n) % 2
    quality = np.column_stack([kind == 0, kind == 1, kind == 0]).astype(float)
    cost = np.tile([1.0, 2.0, 3.0], (n, 1))
    router = OutOfFold(table_of(quality, cost), quality)
    values = own.model_values(router, 0.95, 1000, rng=rng()).set_index("model")
    assert values.loc["model-2", "finding"] == "can go"
    assert values.loc["model-2", "router"] == pytest.approx(0, abs=1e-9)
    assert values.loc["model-1", "finding"] == "worth having"
    assert values.loc["model-1", "router"] > 0.3 > 0.05 > values.loc["model-1", "mixture"]
    assert own.spare(values.reset_index()).holds is True
    assert own.told(values.reset_index(), 4).splitlines()[-2:] == [
        "worth having: model-1, model-0", "not looked at: 1 more below these",
    ]  # fmt: skip


def test_what_a_missing_model_costs_at_the_goal() -> None:
    """Without the cheap model all prompts cost 10; without the dear one the goal is out of reach."""
    values = own.model_values(half_hard(), 1.0, 1000, rng=rng()).set_index("model")
    assert values.loc["model-0", "extra_usd"] == pytest.approx(4_500)
    assert np.isnan(values.loc["model-1", "extra_usd"]) and values.loc["model-1", "keeps_goal"] == 0
    view = own.with_intervals(values.reset_index(), own.WORTH)
    assert view["extra_usd"].tolist()[0] == ""
    assert view["extra_usd"].tolist()[1].startswith("+4,500 [+")


def test_settings_keep_their_goals() -> None:
    router = half_hard()
    chosen = own.settings(router, 1000, budget=4_000.0, quality=0.95, share=0.3)
    table = own.settings_table(chosen, router.table, 1000)
    assert table["usd_per_month"][0] <= 4_100 and table["of_best"][1] >= 0.94
    assert chosen["30% of calls to model-1"].calls[1] <= 0.3
    halved = own.settings(router, 1000, budget=0.0, quality=0.95, share=0.3)
    assert "5,000 USD a month" in halved  # half of the dear model's 10,000


def test_four_times_the_prompts_halve_the_interval() -> None:
    width = own_savings.widths(half_hard(1600), 1.0, 1000, rng=rng())
    measured = width[width["measured"]].set_index("rows")["half_width"]
    assert measured[200] / measured[800] == pytest.approx(2, rel=0.25)
    further = width[~width["measured"]].set_index("rows")["half_width"]
    assert further[6400] == pytest.approx(further[1600] / 2)
    saved = own_savings.savings(half_hard(1600), 1.0, 1000, rng=rng())
    assert "On 1,600 prompts the saving" in own_savings.more_prompts(saved, width)
    assert "To know it to a fifth" in own_savings.more_prompts(saved, width)
    rows = saved.table.assign(
        usd_per_month=saved.table["usd_per_month"].where(saved.table["what"] != LUCK, 9e9)
    )
    lucky = own_savings.Savings(**{**vars(saved), "table": rows})
    assert "takes about" not in own_savings.more_prompts(lucky, width)


def test_the_company_log_says_what_it_is() -> None:
    table = company_log(1000, seed=3)
    assert table.origin.kind == "simulated" and "simulated company log" in table.origin.name
    assert len(table.models) == 5 and len(set(table.frame["task"])) == 7
    pd.testing.assert_frame_equal(table.frame, company_log(1000, seed=3).frame)
    assert (company_log(1000, seed=4).quality != table.quality).any()
    with pytest.raises(ValueError, match="at least 50"):
        company_log(10)


def test_the_log_is_as_often_right_as_it_says() -> None:
    table = company_log(20_000)
    told = told_by_prompt(table)
    assert np.abs(told.mean(axis=0) - table.quality.mean(axis=0)).max() < 0.01
    hard = table.frame["hard"].to_numpy()
    assert (told[hard].mean(axis=0) < told[~hard].mean(axis=0)).all()


def test_a_router_leads_on_the_log_and_not_when_its_prompts_are_shuffled(hashed: None) -> None:
    table = company_log(600)
    told = own.compared({"told": OutOfFold(table, told_by_prompt(table))}).table(rng=rng(), draws=100)
    assert "Shown to lead the blind mixture: told" in own.verdict(told, "told")
    blind = own.judge(table, "ridge", shuffled=True)
    control = own.compared({"ridge": blind}).table(rng=rng(), draws=100)
    assert "No router is worth it here" in own.verdict(control, "ridge")
    assert not own_savings.savings(blind, 0.95, 1000, rng=rng(), draws=100).proven[OVER_EQUAL]


def test_folds_drawn_anew_are_told_apart_from_the_first(hashed: None) -> None:
    table = company_log(300, seed=0).complete()
    again = own.other_folds(table, "ridge", seed=0, draws=40)
    first = own.compared({"ridge": own.judge(table, "ridge", seed=3)})
    [third] = first.table(rng=np.random.default_rng(3), draws=40)["honest_minus_zero"].iloc[1:]
    assert len(again) == own.FOLDINGS and again["honest_minus_zero"].iloc[2] == third
    assert again["honest_minus_zero"].nunique() == own.FOLDINGS
    found = again.assign(honest_minus_zero=[0.1, 0.2, 0.3, 0.15], finding=["leads", "", "leads", ""])
    told = "With folds drawn anew its lead is +0.100 to +0.300, and 2 of 4 draws would have shown one."
    assert own.other_folds_said(found) == told


def test_no_row_is_predicted_by_a_router_that_saw_it(hashed: None) -> None:
    """Its own outcomes turned about, a row's prediction stays."""
    table = company_log(100)
    before = own.judge(table, "knn").predicted
    quality = table.quality.copy()
    same = (table.frame["prompt"] == table.frame["prompt"][5]).to_numpy()
    quality[same] = 1 - quality[same]
    other = Outcomes(table.frame, quality, table.cost, table.models, table.origin)
    after = own.judge(other, "knn").predicted
    np.testing.assert_array_equal(after[same], before[same])
    assert (after != before).any()


def test_incomplete_rows_teach_but_judge_nobody(hashed: None) -> None:
    table = company_log(120)
    quality, cost = table.quality.copy(), table.cost.copy()
    quality[::4, 2] = cost[::4, 2] = np.nan
    whole = PartialOutcomes(table.frame, quality, cost, table.models, table.origin)
    found = own.judge(whole, "knn")
    assert len(found.table) == len(found.predicted) == 90 and np.isfinite(found.predicted).all()
    assert "90" in own_savings.savings(found, 0.95, 1000, rng=rng(), draws=20).sentence()
    dropped = own.judge(whole.complete(), "knn")
    assert (found.predicted != dropped.predicted).any()


def test_claims_are_those_that_evidence_is_given_for(hashed: None) -> None:
    found = everything(company_log(120))
    assert found["evidence"].keys() == claims_of("08_your_own_outcomes").keys()


def everything(table: Outcomes) -> dict:
    """All that the notebook asks of a table; embeddings are the fixture's."""
    draws, queries, goal = rng(), 1000, 0.95
    judged = {kind: own.judge(table, kind) for kind in ("ridge", "knn")}
    router = judged["ridge"]
    comparison = own.compared(judged)
    rows = comparison.table(rng=draws, draws=20)
    values = own.model_values(router, goal, queries, rng=draws, draws=20)
    chosen = own.settings(router, queries, budget=0.0, quality=goal, share=0.2)
    saved = own_savings.savings(router, goal, queries, rng=draws, draws=20)
    learnt, width = (
        own.learning_curve(table, "ridge", rng=draws, draws=20),
        own_savings.widths(router, goal, queries, rng=draws, draws=20),
    )
    curves = own.honest_curves(comparison, "ridge", rng=draws, draws=10, steps=10)
    _, setting, _ = chosen.values()
    ready = own.deployed(table, "ridge", setting, goal)
    sentences = [
        own.verdict(rows, "ridge"), own.told(values, len(table.models)), saved.sentence(),
        own.other_folds_said(own.other_folds(table, "ridge", seed=0, draws=20)),
        own_savings.more_prompts(saved, width),
        own_savings.running(saved, 0.01), ready[1], own.drifts(ready[0], table) if ready[0] else "none",
    ]  # fmt: skip
    figures = (
        frontier_figure(table, curves, chosen),
        savings_figure(saved),
        more_prompts_figure(learnt, width),
    )
    given = own.with_intervals(own.settings_table(chosen, table, queries), own.GIVEN)
    views = [own.with_intervals(values, own.WORTH), given]
    return {
        "sentences": sentences, "figures": figures, "views": views, "saved": saved, "learnt": learnt,
        "evidence": own.evidence(rows, rows, values, saved), "values": values,
    }  # fmt: skip


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 3), (2, 2), (12, 1), (30, 50), (5, 2)])
def test_small_and_wide_tables_run_on(n: int, m: int, hashed: None, tmp_path) -> None:
    draw = rng(n + m)
    quality, cost = (draw.random((n, m)) < 0.6).astype(float), draw.lognormal(-6, 1, (n, m))
    table = table_of(quality, cost, [f"prompt {chr(97 + i % 26) * (i + 1)}" for i in range(n)])
    found = everything(table)
    assert all(isinstance(sentence, str) and sentence for sentence in found["sentences"])
    if m == 1 or n == 1:
        assert not found["saved"].proven[OVER_EQUAL]
    report = Report("08_your_own_outcomes", table.origin, {}, 0, tmp_path)
    items = ("own-frontier", "own-savings", "own-more-prompts")
    for item, figure in zip(items, found["figures"], strict=True):
        if (n, m) in ((1, 1), (30, 50)):  # what can be drawn can be saved
            report.save_figure(figure, item, data=found["learnt"])
        figure.draw_without_rendering()
    assert len(report.claims(found["evidence"])) == len(claims_of("08_your_own_outcomes"))
    plt.close("all")


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=outcome_tables(max_models=8))
def test_any_degenerate_table_gets_sentences(table: Outcomes, hashed: None) -> None:
    found = everything(table)
    assert all(found["sentences"])
    for figure in found["figures"]:
        figure.draw_without_rendering()
    plt.close("all")


def test_a_saved_router_answers_one_request(hashed: None, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes to the model that the router itself chooses."""
    pytest.importorskip("starlette")
    monkeypatch.setattr("rb_support.deploy.server.encoder", lambda *_: own.embed)
    table = company_log(120)
    router = own.judge(table, "ridge")
    _, setting, _ = own.settings(router, 1000, budget=0.0, quality=0.95, share=0.2).values()
    ready, _ = own.deployed(table, "ridge", setting, 0.95)
    ready.save(tmp_path)
    prompt = table.frame["prompt"][0]
    with own_served.client_of(tmp_path) as client:
        messages = [{"role": "user", "content": prompt}]
        answer = client.chat.completions.with_raw_response.create(model="router", messages=messages)
    assert answer.headers["x-router-model"] == ready.route([prompt])["model"][0]
    assert answer.parse().choices[0].message.content
