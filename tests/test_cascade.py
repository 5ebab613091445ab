"""Cascades, their search and their judges: hand-worked cases, brute force, dice and golden vectors."""

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sources_made import shelf, slice_csvs, slice_rows

from rb_support.embed import embed_queries
from rb_support.frontier import aiq, shared_domain
from rb_support.load import load_outcomes
from rb_support.outcomes import Origin, Outcomes
from rb_support.report.claims import claims_of
from rb_support.routers import (
    Cascade,
    LearnedJudge,
    best_chains,
    best_order,
    break_even,
    budget_grid,
    cascade_name,
    chains,
    cross_judged,
    judge_error,
    judged_split,
    learned_cascades,
    model_points,
    oracle,
    rerank,
    rerank_table,
)
from rb_support.routers.judge import answer_features, chosen
from rb_support.routers.rerank import pick
from rb_support.simulate import simulate_outcomes
from rb_support.stats import bootstrap_aiq, joined
from rb_support.studies import cascades
from rb_support.studies.predictive import ZERO, Comparison, aiq_table

SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0])
COSTS = st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 5.0])
RATES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 1.0])


@st.composite
def tables(draw, scores=SCORES, most=4):
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, most)))
    return draw(arrays(float, shape, elements=scores)), draw(arrays(float, shape, elements=COSTS))


@pytest.fixture(scope="module")
def table():
    return simulate_outcomes(600, seed=3).of("GSM8K")


def expected(quality, cost, *, budgets, error_rates, **rules):
    return Cascade(quality, cost, **rules).expected(budgets, error_rates)


def brute_force(quality, cost, budget, rate, *, threshold=0.5, stopping="cap", judge="decision"):
    """Mean over queries, and over every pattern of judge errors with its probability, one call at a time."""
    order = np.argsort(cost.mean(axis=0), kind="stable")
    total = np.zeros(2)
    for scores, costs in zip(quality[:, order], cost[:, order], strict=True):
        for errs in product([False, True], repeat=len(order)):
            chance = np.prod([rate if err else 1 - rate for err in errs])
            spent, calls = 0.0, 0
            for score, price, err in zip(scores, costs, errs, strict=True):
                left = price < budget - spent if stopping == "cap" else spent < budget
                if calls and not left:
                    break
                spent, calls, answer = spent + price, calls + 1, score
                if judge == "score":
                    accepted = (1 - score if err else score) > threshold
                else:
                    accepted = (score > threshold) != err
                if accepted:
                    break
            total += chance * np.array([spent, answer])
    return total / len(quality)


@settings(max_examples=80, deadline=None)
@given(
    tables(),
    st.sampled_from([0.0, 0.1, 0.375, 1.0, 3.0, 100.0, np.inf]),
    RATES,
    st.sampled_from(["cap", "paper"]),
    st.sampled_from(["decision", "score"]),
    st.sampled_from([0.0, 0.3, 0.5, 0.9]),
)
def test_expectation_is_that_of_every_pattern_of_errors(rows, budget, rate, stopping, judge, threshold):
    rules = dict(stopping=stopping, judge=judge, threshold=threshold)
    found = expected(*rows, budgets=[budget], error_rates=[rate], **rules)
    assert np.ravel(found) == pytest.approx(brute_force(*rows, budget, rate, **rules), abs=1e-12)


def test_hand_worked():
    """Two queries. Small (1 USD) is right on the first, big (4 USD) on both."""
    quality, cost = [[1, 1], [0, 1]], [[1, 4], [1, 4]]
    spent, scored = expected(quality, cost, budgets=[5, 5.01], error_rates=[0, 0.25, 1])
    # A cap of exactly 1 + 4 forbids the second call. Else big is called where small is rejected: with
    # error 0 on the second query; with .25 at .25 on the first and .75 on the second; with 1 on the first.
    assert spent.tolist() == [[1, 1, 1], [3, 3, 3]]
    assert scored.tolist() == [[0.5, 0.5, 0.5], [1, 0.875, 0.5]]


def test_partial_credit_tells_decision_from_score():
    """0.6 inverted is a rejection, or a score of 0.4: it fails a threshold of 0.5, and passes 0.3."""
    given_table = dict(quality=[[0.6, 1]], cost=[[1, 2]], budgets=[np.inf], error_rates=[1.0])
    assert expected(**given_table, threshold=0.3, judge="decision")[0] == 3
    assert expected(**given_table, threshold=0.3, judge="score")[0] == 1
    assert expected(**given_table, threshold=0.5, judge="score")[0] == 3


def test_a_free_first_model_buys_nothing():
    """The reference runs a second model after a free first one, whatever the budget."""
    spent, _ = expected([[0, 1]], [[0, 4]], budgets=[1, 4, 4.5], error_rates=[0])
    assert spent.ravel().tolist() == [0, 0, 4]


@settings(max_examples=60, deadline=None)
@given(tables(scores=st.sampled_from([0.0, 1.0])))
def test_without_error_and_limit_the_first_right_model_answers(rows):
    quality, cost = rows
    order = np.argsort(cost.mean(axis=0), kind="stable")
    spent, scored = expected(quality, cost, budgets=[np.inf], error_rates=[0])
    assert scored.item() == pytest.approx(quality.max(axis=1).mean())
    first = np.array([next((k for k, j in enumerate(order) if row[j]), len(order) - 1) for row in quality])
    along = np.cumsum(cost[:, order], axis=1)[np.arange(len(first)), first]
    assert spent.item() == pytest.approx(along.mean())


@settings(max_examples=60, deadline=None)
@given(tables(), RATES)
def test_bounds_and_budgets(rows, rate):
    quality, cost = rows
    budgets = [0, 0.2, 1, 3, 30]
    cap = expected(*rows, budgets=budgets, error_rates=[rate])
    paper = expected(*rows, budgets=budgets, error_rates=[rate], stopping="paper")
    assert (np.diff(cap[0], axis=0) >= -1e-12).all() and (cap[0] <= paper[0] + 1e-12).all()
    assert (cap[1] >= quality.min(axis=1).mean() - 1e-12).all()
    assert (cap[1] <= quality.max(axis=1).mean() + 1e-12).all()
    first = cost[:, np.argsort(cost.mean(axis=0), kind="stable")[0]]
    over = np.maximum(np.array(budgets)[:, None], first).mean(axis=1)  # only the first call may pass the cap
    assert (cap[0][:, 0] <= over + 1e-12).all()


@settings(max_examples=40, deadline=None)
@given(tables(scores=st.sampled_from([0.0, 1.0])), st.randoms(use_true_random=False))
def test_invariances(rows, random):
    """Rows in any order, columns in any order given the same order of models, cents for dollars."""
    quality, cost = rows
    settings_ = dict(budgets=np.array([0.3, 2.0]), error_rates=[0.2, 0.7])
    order = list(np.argsort(cost.mean(axis=0), kind="stable"))
    found = np.array(expected(quality, cost, **settings_))
    shuffled = random.sample(range(len(quality)), len(quality))
    assert np.array(expected(quality[shuffled], cost[shuffled], **settings_)) == pytest.approx(found)
    columns = random.sample(range(len(order)), len(order))
    same = [columns.index(j) for j in order]
    moved = np.array(expected(quality[:, columns], cost[:, columns], **settings_, order=same))
    assert moved == pytest.approx(found)
    cents = expected(quality, cost * 128, budgets=settings_["budgets"] * 128, error_rates=[0.2, 0.7])
    assert np.array([cents[0] / 128, cents[1]]) == pytest.approx(found)


def test_half_wrong_judge_knows_nothing(table):
    """At error 1/2 the decision does not depend on the answer: inverting all scores changes no cost."""
    grid = dict(budgets=budget_grid(table.cost, 5), error_rates=[0.5])
    one, _ = expected(table.quality, table.cost, **grid)
    other, _ = expected(1 - table.quality, table.cost, **grid)
    assert one == pytest.approx(other)


@pytest.mark.parametrize("stopping", ["cap", "paper"])
def test_simulator_agrees_within_its_standard_error(table, stopping):
    rules = Cascade.on(table, stopping=stopping)
    grid = budget_grid(table.cost, 5), [0.1, 0.4, 0.9]
    rng = np.random.default_rng(0)
    runs = np.array([rules.simulate(*grid, rng=rng) for _ in range(400)])
    error = runs.mean(axis=0) - np.array(rules.expected(*grid))
    allowed = 4.5 * runs.std(axis=0) / np.sqrt(len(runs)) + 1e-12
    assert (np.abs(error) <= allowed).all() and runs.std(axis=0).max() > 0
    exact = rules.simulate([np.inf], [0, 1], rng=rng)
    assert np.array(exact) == pytest.approx(np.array(rules.expected([np.inf], [0, 1])))


def test_per_query_and_weights(table):
    rules, budgets = Cascade.on(table), budget_grid(table.cost, 6)
    spent, scored = rules.per_query(budgets, 0.3)
    means = np.column_stack([spent.mean(axis=0), scored.mean(axis=0)])
    whole = np.array(rules.expected(budgets, [0.3]))[:, :, 0].T
    assert means == pytest.approx(whole)
    system = rules.system(budgets, 0.3)
    assert system(None) == pytest.approx(whole)
    counts = np.zeros(len(table), dtype=int)
    counts[:4] = 2
    columns = np.argsort(table.cost.mean(axis=0), kind="stable")
    few = expected(table.quality[:4], table.cost[:4], budgets=budgets, error_rates=[0.3], order=columns)
    assert system(counts) == pytest.approx(np.array(few)[:, :, 0].T)


def test_cascades_stand_in_a_comparison(table):
    rules, grid = Cascade.on(table), budget_grid(table.cost, 10)
    systems = {ZERO: model_points(table)} | {
        cascade_name(rate): rules.system(grid, rate) for rate in (0, 0.5)
    }
    comparison = Comparison(table, systems)
    areas = comparison.aiq()
    assert areas[cascade_name(0)] > areas[ZERO] > areas["Cascade, error 0.5"]
    estimates, _ = bootstrap_aiq(systems, len(table), rng=np.random.default_rng(0), draws=3)
    assert estimates == areas
    both = joined([systems["Cascade, error 0"], systems["Cascade, error 0.5"]])
    domain = shared_domain(*(comparison.points(name) for name in systems))
    assert aiq(both(None), *domain) == pytest.approx(areas["Cascade, error 0"])


def paper_mode(case, run):
    quality, cost = np.array(case["scores"], dtype=float), np.array(case["costs"], dtype=float)
    order = [case["models"].index(name) for name in case["order_cheapest_first"]]
    grid = dict(budgets=[run["budget"]], error_rates=[run["error"]], order=order)
    return quality, cost, grid


def test_golden_by_the_papers_rule(golden):
    runs = 0
    for case in golden("cascade.json")["tables"]:
        for run in case["runs"]:
            quality, cost, grid = paper_mode(case, run)
            spent, scored = expected(quality, cost, **grid, threshold=run["paper_t"], stopping="paper")
            assert scored.item() == pytest.approx(run["paper_performance"], abs=1e-9)
            assert spent.item() * len(cost) == pytest.approx(run["paper_total_cost"], abs=1e-9)
            runs += 1
    assert runs >= 28


def test_golden_by_the_reference_rule(golden):
    """Its threshold is reached, not passed (>=): just below it our > decides alike."""
    for case in golden("cascade.json")["tables"]:
        for run in case["runs"]:
            quality, cost, grid = paper_mode(case, run)
            if run["ref_threshold"] == 0:  # its quantile fell on 0: every answer counts as accepted
                rules = dict(scores=np.ones_like(quality))
            else:
                rules = dict(threshold=np.nextafter(run["ref_threshold"], 0))
            spent, scored = expected(quality, cost, **grid, **rules)
            assert scored.item() == pytest.approx(run["ref_performance"], abs=1e-9)
            assert spent.item() * len(cost) == pytest.approx(run["ref_total_cost"], abs=1e-9)


GOOD = dict(quality=[[0, 1]], cost=[[1, 2]], budgets=[1], error_rates=[0.1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(budgets=[-1]), "budgets must be .* at least 0"),
        (dict(budgets=[np.nan]), "budgets must be"),
        (dict(budgets=[]), "budgets must be"),
        (dict(error_rates=[1.2]), r"error rates must be .* \[0, 1\], got \[1.2\]"),
        (dict(error_rates=[-0.1]), "error rates must be"),
        (dict(error_rates=0.1), "error rates must be a list"),
        (dict(scores=[[0, np.nan]]), "judge's scores at row 0, column 1 is nan"),
        (dict(scores=[[0, 2]]), r"judge's scores .* \[0, 1\]"),
        (dict(scores=[[0]]), "shapes disagree"),
        (dict(quality=[[0, np.nan]]), "quality at row 0, column 1"),
        (dict(cost=[[1, -2]]), "cost at row 0, column 1 is -2"),
        (dict(cost=[[1, np.inf]]), "finite"),
        (dict(order=[0, 2]), "order asks for column 2; the table has columns 0 to 1"),
        (dict(order=[0, 0]), "only once"),
        (dict(order=[]), "at least one"),
        (dict(threshold=1.5), "threshold"),
        (dict(stopping="never"), "stopping must be"),
        (dict(judge="coin"), "judge 'decision' or 'score'"),
    ],
)
def test_bad_input_is_refused(change, message):
    expected(**GOOD)
    with pytest.raises(ValueError, match=message):
        expected(**(GOOD | change))


def test_unknown_model_in_an_order(table):
    known = table.models[2]
    assert Cascade.on(table, order=[known]).order == (2,)
    with pytest.raises(ValueError, match="model 'gpt-5' is not in the table; .*known: gpt-4"):
        Cascade.on(table, order=[known, "gpt-5"])


def test_budget_grid_spans_the_first_call_and_all():
    grid = budget_grid([[1, 2], [4, 8]], 5)
    assert grid[0] == 1 and 12 < grid[-1] < 12.1 and np.allclose(np.diff(np.log(grid), 2), 0)
    free = budget_grid([[0, 0]], 3)
    assert (free > 0).all() and expected([[0, 1]], [[0, 0]], budgets=free, error_rates=[0])[1].min() == 1


def test_break_even():
    assert break_even([0, 0.1, 0.3], [0.2, 0.1, -0.1]) == pytest.approx(0.2)
    assert break_even([0, 0.1, 0.3], [-0.2, 0.1, -0.1]) == 0
    assert break_even([0, 0.1, 0.3], [0.3, 0.2, 0.1]) == 0.3


@settings(max_examples=15, deadline=None)
@given(tables(scores=st.sampled_from([0.0, 1.0])), RATES)
def test_chains_are_all_cascades_of_every_order(rows, rate):
    quality, cost = rows
    m = quality.shape[1]
    found = {chain.order: chain for chain in chains(*rows, error_rate=rate)}
    assert set(found) == {order for k in range(1, m + 1) for order in permutations(range(m), k)}
    for order, chain in found.items():
        exact = expected(*rows, budgets=[np.inf], error_rates=[rate], order=order)
        assert chain[1:] == pytest.approx(np.ravel(exact))
    hull_ = best_chains(list(found.values()))
    assert hull_[-1].quality == pytest.approx(max(chain.quality for chain in found.values()))
    assert [chain.cost for chain in hull_] == sorted(chain.cost for chain in hull_)


def test_best_order_by_hand():
    """B is right where A is wrong, C always but dear: B before A is cheaper, C is beyond the budget."""
    quality = np.array([[1, 0, 1], [0, 1, 1], [0, 1, 1]], dtype=float)
    cost = np.tile([1.0, 1.0, 9.0], (3, 1))
    best = best_order(quality, cost, budget=2, error_rate=0)
    assert best.order == (1, 0) and best.cost == pytest.approx(4 / 3) and best.quality == 1
    assert best_order(quality, cost, budget=1.2, error_rate=0).order == (1,)
    with pytest.raises(ValueError, match="the cheapest costs 1"):
        best_order(quality, cost, budget=0.5, error_rate=0)


def test_longer_orders_are_found_greedily(table):
    part = table.select(table.models[:6])
    rows = dict(quality=part.quality, cost=part.cost, error_rate=0.05)
    greedy, exact = (best_order(**rows, budget=0.004, longest=k) for k in (2, 5))
    short = best_order(part.quality, part.cost, error_rate=0.05, budget=0.004, longest=2)
    assert len(greedy.order) > 2 and greedy.cost <= 0.004 and greedy == short
    two = max(c.quality for c in chains(**rows, longest=2) if c.cost <= 0.004)
    assert two < greedy.quality <= exact.quality
    spent, scored = expected(
        part.quality, part.cost, budgets=[np.inf], error_rates=[0.05], order=greedy.order
    )
    assert (spent.item(), scored.item()) == pytest.approx(greedy[1:])


@settings(max_examples=60, deadline=None)
@given(tables(), RATES)
def test_rerank_is_that_of_every_pattern_of_errors(rows, rate):
    quality, cost = rows
    ordered = quality[:, np.argsort(cost.mean(axis=0), kind="stable")]
    total = 0.0
    for scores in ordered:
        for errs in product([False, True], repeat=len(scores)):
            chance = np.prod([rate if err else 1 - rate for err in errs])
            rewards = [round(1 - s if err else s, 12) for s, err in zip(scores, errs, strict=True)]
            total += chance * scores[int(np.argmax(rewards))]
    spent, scored = rerank(*rows, error_rates=[rate])
    assert scored.item() == pytest.approx(total / len(quality))
    assert spent == pytest.approx(cost.sum(axis=1).mean())
    assert pick(quality, rate).sum(axis=1) == pytest.approx(np.ones(len(quality)))


def test_rerank_without_error_is_the_oracle_at_the_price_of_all(table):
    spent, scored = rerank(table.quality, table.cost, error_rates=[0, 1])
    assert spent == pytest.approx(table.cost.sum(axis=1).mean())
    best = table.quality[np.arange(len(table)), oracle(table.quality, table.cost)].mean()
    assert scored[0] == pytest.approx(best) and scored[1] <= best


def test_rerank_table(table):
    """With 0/1 scores, rerank with ties to the cheapest keeps the cascade's answer if any is judged right."""
    rows = rerank_table(table, [0, 0.2, 1])
    assert rows["rerank_quality"][0] == pytest.approx(rows["cascade_quality"][0])
    assert (rows["rerank_quality"] - rows["cascade_quality"]).abs().max() < 0.02
    assert (rows["rerank_usd_per_query"] > rows["cascade_usd_per_query"]).all()
    assert rows["rerank_best_quality"][1] > rows["rerank_quality"][1]
    assert rows["zero_quality"].tolist() == pytest.approx([table.points()[:, 1].max()] * 3)
    assert set(rows["dataset"]) == {"GSM8K"}


def test_the_study_on_a_simulated_table(table):
    rates = np.array([0.0, 0.2, 0.5])
    even = cascades.judge_error_study(table, rates, rng=np.random.default_rng(0), draws=20)
    assert 0 < even["break_even_low"] <= even["break_even"] <= even["break_even_high"] < 0.5
    assert even["bend_low"] <= even["bend"] <= even["bend_high"] < 0  # AIQ falls fastest at first
    systems = cascades.study(table, rates, table.quality).systems
    areas = Comparison(table, systems).aiq()
    assert areas[cascades.JUDGED] == pytest.approx(areas[cascade_name(0)])  # the truth as a judge
    assert areas[cascades.JUDGED_ANY] <= areas[cascade_name(0)] + 1e-9
    reach = cascades.oracle_reach(Comparison(table, systems))
    assert 0.5 < reach["share"] < 1 and reach["gap"] == pytest.approx(0, abs=1e-9) and reach["times"] > 1
    falls = [cascades.largest_fall(Comparison(table, systems), rate) for rate in rates]
    assert falls[0] == pytest.approx(0, abs=1e-9) and min(falls) >= 0


def test_both_stopping_rules_and_a_judge_with_a_placebo_stand_in_one_study(table):
    rates = np.array([0.0, 0.2, 0.4])
    study = cascades.study(table, rates, table.quality * 0.9)
    names = [cascade_name(rate) for rate in rates]
    assert [name for name in study.systems if "paper" in name] == [
        cascades.paper_rule(names[j]) for j in (0, 1)
    ]
    capped, over = (study.points(name)[:, 0] for name in (names[0], cascades.paper_rule(names[0])))
    assert (over >= capped - 1e-12).all() and over[1] > capped[1]
    rng, areas = np.random.default_rng(0), study.aiq()
    assert set(study.placebos) == {cascades.JUDGED, cascades.JUDGED_ANY}
    for name in study.placebos:  # dealt out at random, a perfect judge is worth nothing
        assert areas[name] - areas[ZERO] > 0.05 > study.placebo_leads(name, rng=rng, draws=4).max()


def test_evidence_has_an_estimate_for_every_dataset(table):
    rates = np.round(np.arange(0, 0.41, 0.1), 1)
    rng, parts = np.random.default_rng(0), {"a": table, "b": table.take(np.arange(len(table)) < 60)}
    studies = {name: cascades.study(part, rates, part.quality) for name, part in parts.items()}
    errors = {n: cascades.judge_error_study(part, rates, rng=rng, draws=20) for n, part in parts.items()}
    found = cascades.evidence(
        studies, aiq_table(studies, rng=rng, draws=20), pd.DataFrame(errors).T, rates, rng=rng, draws=20
    )
    assert found.keys() <= claims_of("04_cascading_simulation").keys()
    assert {each.name for each in found["near-oracle"]} == {"a", "b"} and len(found["low-error-leads"]) == 4
    assert [each.name for each in found["above-best-model"]] == [
        f"{name}, {cascade_name(rate)}" for name in ("a", "b") for rate in (0, 0.1)
    ]
    (whole, few) = found["rerank-dear"]
    unlimited = Cascade.on(table).system([np.inf])(None)[0, 0]
    assert whole.value == pytest.approx(table.cost.sum(axis=1).mean() / unlimited)
    assert whole.low < whole.value < whole.high and whole.n == len(table) and few.n == 60
    assert all(each.value >= 0 for each in found["rises-with-budget"] + found["like-oracle"])


def test_the_study_of_orders_judges_and_stops(table):
    compared = cascades.compare_orders(table, 0.1, seed=0, at_random=3)
    areas = compared.aiq()
    assert len(areas) == 6 and areas["best"] > areas[ZERO] and len(compared.test) < len(table)
    judges = cascades.judge_table({"GSM8K": table.quality}, {"GSM8K": table})
    assert judges.loc["GSM8K", ["learned_judge", "on_cheapest_model"]].tolist() == [0, 0]
    assert 0 < judges.loc["GSM8K", "says_what_is_commoner"] <= 0.5
    budgets = budget_grid(table.cost, 4)
    stops = cascades.stopping_table(table, budgets)
    exact = expected(table.quality, table.cost, budgets=budgets, error_rates=[0], stopping="paper")
    assert stops["usd_per_query", "paper"].to_numpy() == pytest.approx(exact[0][:, 0])
    assert (stops["usd_per_query", "cap"] <= stops["usd_per_query", "paper"]).all()
    by_t = cascades.threshold_table(table, table.quality, [0.2, 0.5])
    assert by_t["error_rate"].tolist() == [0, 0] and by_t["quality"].iloc[1] == pytest.approx(
        exact[1][-1].item(), abs=1e-9
    )


def made_answers(n=200):
    """A model whose answers in letters are right half the time, another that refuses where it is wrong."""
    rng = np.random.default_rng(0)
    right = rng.random((n, 2)) < 0.5
    frame = pd.DataFrame(
        dict(
            sample_id=[f"q.{i}" for i in range(n)],
            dataset="D",
            task="t",
            prompt=[f"question {i}" for i in range(n)],
        )
    )
    frame["a|model_response"] = np.where(right[:, 0], "B", "A")
    frame["b|model_response"] = np.where(right[:, 1], "The answer is B.", "I'm sorry, I cannot say.")
    origin = Origin("own", "made", (), ())
    return Outcomes(frame, right.astype(float), np.tile([1.0, 2.0], (n, 1)), ("a", "b"), origin)


def test_what_an_answer_shows():
    assert [chosen(text) for text in ("['D']", "The answer is B.", "so 1,234 apples, 56.", "I do")] == [
        "D",
        "B",
        "56",
        "",
    ]
    rows = made_answers(20)
    seen = answer_features(rows, [0, 1])
    assert seen.shape == (20, 2, 4) and (seen[:, 0, 3] == 0).all()
    assert (seen[:, 1, 1] == 1 - rows.quality[:, 1]).all()  # refusal words
    assert (seen[:, 1, 3] == rows.quality[:, 0] * rows.quality[:, 1]).all()  # both say B


def test_a_judge_learns_from_answers_alone():
    """Questions say nothing here: refusals give the second model away, letters do not the first."""
    rows, X = made_answers(), np.random.default_rng(1).normal(size=(200, 5))
    scores = cross_judged(rows, X)
    assert judge_error(scores[:, 1], rows.quality[:, 1]) < 0.02
    constant = judge_error(np.zeros(200), rows.quality[:, 0])
    assert judge_error(scores[:, 0], rows.quality[:, 0]) < constant + 0.1
    judge = LearnedJudge().fit(rows.take(np.arange(100)), X[:100])
    later = judge.scores(rows.take(np.arange(100, 200)), X[100:])
    assert judge_error(later[:, 1], rows.quality[100:, 1]) < 0.02
    system = Cascade.on(rows, scores=scores, order=["b", "a"]).system([np.inf])
    assert system(None)[0, 1] > 0.7


def test_cascades_for_a_learned_judge_are_chosen_on_training_rows():
    """The second model's refusals give it away: asked first, with the first model for what it refuses."""
    rows = made_answers(400)
    X = pd.DataFrame(np.random.default_rng(1).normal(size=(400, 3)), index=rows.frame["sample_id"])
    train, test = rows.split(seed=0)
    train_scores, test_scores = judged_split(train, test, X)
    assert train_scores.shape == train.quality.shape and test_scores.shape == test.quality.shape
    points = learned_cascades(train, train_scores, test, test_scores)(None)
    exact = expected(
        test.quality, test.cost, budgets=[np.inf], error_rates=[0], order=[1, 0], scores=test_scores
    )
    assert points[points[:, 1].argmax()] == pytest.approx(np.ravel(exact), abs=0.03)
    assert points[:, 1].max() > max(test.quality.mean(axis=0)) + 0.1
    scrambled = learned_cascades(train, train_scores, test, 1 - test_scores)(None)
    assert len(scrambled) == len(points) and scrambled[:, 1].max() < points[:, 1].max()


def test_judges_of_a_simulated_table(table):
    X = embed_queries(table, "tfidf", progress=False)
    scores = cross_judged(table, X)
    assert scores.shape == table.quality.shape and ((scores >= 0) & (scores <= 1)).all()
    blind = np.minimum((table.quality > 0.5).mean(axis=0), 1 - (table.quality > 0.5).mean(axis=0)).mean()
    assert judge_error(scores, table.quality) < blind + 0.02
    assert (cross_judged(table, X) == scores).all()


def test_one_sided_answers_and_no_answers():
    rows = made_answers(12)
    bare = rows.frame[["sample_id", "dataset", "task", "prompt"]]
    always = Outcomes(bare, np.ones((12, 2)), rows.cost, rows.models, rows.origin)
    X = np.eye(12)
    assert (cross_judged(always, X) == 1).all()


def test_answers_of_made_files_of_the_published_form_can_be_judged(tmp_path, monkeypatch):
    """Claude v2's refusals, cut after two words, give its wrong answers away."""
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    shelf(tmp_path / "data", monkeypatch)("routerbench-slice", slice_csvs(slice_rows(120)))
    part = load_outcomes("real").of("Winogrande")
    scores = cross_judged(part, embed_queries(part, "tfidf", progress=False))
    claude = part.models.index("claude-v2")
    right = part.quality[:, claude]
    assert judge_error(scores[:, claude], right) < 0.02 < 0.15 < 1 - right.mean()


def test_real_answers_can_be_judged(shared_data, monkeypatch):
    """A judge that reads the answers errs less than one that always says what is commoner."""
    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    part = load_outcomes("real").of("Winogrande")
    X = embed_queries(part, "tfidf", progress=False)
    right = part.quality > 0.5
    blind = np.minimum(right.mean(axis=0), 1 - right.mean(axis=0)).mean()
    assert judge_error(cross_judged(part, X), part.quality) < blind - 0.03
