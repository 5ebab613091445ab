"""What notebook 06 shows of one query, of tiers and of training, and the sentences it fills from a run."""

import ast
import re
from string import Formatter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from scipy.optimize import minimize
from test_notebooks_teach import COUNTED, REFERENCES, literals

from rb_support.cache import packaged_table
from rb_support.embed import unit
from rb_support.outcomes import Battles, Origin, PairScores
from rb_support.preference.battle_sets import gold_battles
from rb_support.preference.factorization import MatrixFactorization
from rb_support.preference.sw import SWRanking
from rb_support.report import preference_figures
from rb_support.studies import labels, preference_claims, preference_found, preference_told
from rb_support.studies.preference_query import Neighbourhood, around
from rb_support.teach.answers import of_06
from rb_support.verdicts import Fact


def scores(strong, weak, task="t", name="MMLU"):
    n = len(strong)
    frame = pd.DataFrame({"sample_id": [f"{name}.{i}" for i in range(n)], "dataset": name, "task": task})
    frame["prompt"] = [f"{name} question {i}" for i in range(n)]
    return PairScores(frame, np.asarray(strong, float), np.asarray(weak, float), "s", "w")


def vectors_of(*tables, seed=0):
    prompts = [prompt for table in tables for prompt in table.frame["prompt"]]
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(len(prompts), 6)), pd.Index(prompts))


@pytest.fixture
def near():
    rng = np.random.default_rng(1)
    gold = gold_battles(scores(rng.random(40) < 0.8, rng.random(40) < 0.5, name="gold"))
    queries = scores(np.ones(30), np.zeros(30))
    return around(gold, vectors_of(gold, queries), queries, ("s", "w"))


# One query


def test_the_closed_form_is_what_sw_ranking_fits():
    rng = np.random.default_rng(0)
    gold = gold_battles(scores(rng.random(40) < 0.8, rng.random(40) < 0.5, name="gold"))
    queries = scores(np.ones(9), np.zeros(9))
    X = vectors_of(gold, queries)
    router = SWRanking(strong="s", weak="w", gamma=20).fit(gold, X.loc[gold.frame["prompt"]])
    expected = router.win_rate(X.loc[queries.frame["prompt"]])
    assert around(gold, X, queries, ("s", "w")).win_rates(20) == pytest.approx(expected, abs=1e-4)


def test_with_many_names_ten_lines_of_scipy_find_what_sw_ranking_fits():
    """The notebook's own lines: equation 9 as weights, equation 10 as a loss."""
    rng, names = np.random.default_rng(2), ("strong", "tier 2", "tier 3")
    sides = np.array([rng.permutation(3)[:2] for _ in range(60)])
    frame = pd.DataFrame(
        {"prompt": [f"p{i}" for i in range(60)], "winner": rng.choice(["model_a", "tie"], 60)}
    )
    frame = frame.assign(model_a=np.array(names)[sides[:, 0]], model_b=np.array(names)[sides[:, 1]])
    duels = Battles(frame, Origin("simulated", "made"))
    known, query = unit(rng.normal(size=(60, 5))), unit(rng.normal(size=(1, 5)))[0]
    weight = 10 ** (1 + known @ query / (known @ query).max())

    def loss(xi):
        lead = xi[sides[:, 0]] - xi[sides[:, 1]]
        return weight @ (np.logaddexp(0, lead) - duels.share * lead) / weight.sum() + 5e-6 * xi @ xi

    xi = minimize(loss, np.zeros(3)).x
    package = SWRanking(strong="strong", weak="tier 2").fit(duels, known).win_rate(query[None])
    assert 1 / (1 + np.exp(xi[1] - xi[0])) == pytest.approx(package[0], abs=1e-4)


def test_nearest_battles_come_with_their_share_of_all_weight(near):
    table = near.nearest(3, 10, most=5)
    assert len(table) == 5 and table["similarity"].is_monotonic_decreasing
    assert near.nearest(3, 10, most=99)["weight"].sum() == pytest.approx(1)
    whole = near.nearest(3, 10, most=99)
    assert whole["won"] @ whole["weight"] == pytest.approx(near.win_rates(10)[3])
    assert near.nearest(3, 1000)["weight"].sum() > near.nearest(3, 2)["weight"].sum()


def test_queries_are_spread_over_the_table():
    queries, gold = scores(np.ones(100), np.zeros(100)), gold_battles(scores([1.0], [0.0], name="gold"))
    some = around(gold, vectors_of(gold, queries), queries, ("s", "w"), most=5)
    assert [text.split()[-1] for text in some.queries] == ["0", "24", "49", "74", "99"]


def test_contested_queries_are_those_whose_decision_changes():
    similarity = np.array([[1.0, 0.5], [0.0, 0.5], [-0.4, 0.5]])
    near = Neighbourhood(similarity, np.array([1.0, 0.0, 0.0]), ["a", "b", "c"], ["q", "r"])
    assert near.base == pytest.approx(1 / 3)
    assert near.contested([1.5, 1000.0], 0.9) == [0], "the second is at one third under every gamma"
    assert near.contested([2.0, 3.0], 0.99) == [0], "none: the first query stands there"
    assert near.calls_strong(10.0, near.base).tolist() == [True, True], "at least the threshold"


# Tiers


TIERS = pd.DataFrame(
    {
        "model": ["a", "b", "c", "d"],
        "rating": [1300.0, 1100.0, 1090.0, 1000.0],
        "tier": [0, 1, 1, 2],
        "paper_tier": pd.array([0, 2, 4, None], dtype="Int64"),
    }
)


def votes(*models):
    frame = pd.DataFrame({"prompt": ["p", "q"], "model_a": models[0], "model_b": models[1], "winner": "tie"})
    return Battles(frame, Origin("simulated", "made"))


def test_gaps_say_where_the_borders_run():
    gaps = preference_found.tier_gaps(TIERS)
    assert gaps["gap"].tolist() == [200, 10, 90] and gaps["cut"].tolist() == [True, False, True]
    assert gaps["place"].tolist() == [1200, 1095, 1045]
    assert preference_found.tier_gaps(TIERS.head(1)).empty


def test_a_model_stands_apart_only_if_its_lead_is_the_widest_gap():
    assert preference_found.apart(TIERS, "a") == (1300, 1100, True)
    near = TIERS.assign(rating=[1110.0, 1100.0, 1090.0, 1000.0])
    assert preference_found.apart(near, "a") == (1110, 1100, False)
    assert preference_found.apart(TIERS, "b") == (1100, 1300, False)
    assert preference_found.apart(TIERS, "x") is None and preference_found.apart(TIERS.head(1), "a") is None


def test_sentences_on_tiers_follow_the_ratings():
    said = preference_told.ratings(TIERS, votes("a", "b"), "a", papers=True)
    assert "a stands well apart" in said and "1 of 3 models fall into the paper's tier" in said
    assert "does not stand apart" in preference_told.ratings(TIERS, votes("a", "b"), "c", papers=False)
    assert "paper" not in preference_told.ratings(TIERS, votes("a", "b"), "c", papers=False)
    one = TIERS.head(2).assign(tier=0)
    assert "there is one tier" in preference_told.ratings(one, votes("a", "b"), "z", papers=True)
    assert "fights in none" in preference_told.ratings(one, votes("a", "b"), "z", papers=True)


def test_what_the_record_of_the_tiers_says():
    assert preference_claims.in_same_tier(TIERS, votes("a", "b"))[1:3] == ("1 of 3", 3)


# Training


@pytest.fixture(scope="module")
def losses():
    rng = np.random.default_rng(0)
    duels = labels.toy_battles(rng.choice(["model_a", "model_b"], 40).tolist())
    factors = MatrixFactorization(members=2, epochs=4, patience=9, dim=4, batch=20, progress=False)
    factors.fit(duels, rng.normal(size=(40, 3)))
    routers = {("votes", "Matrix factorization"): factors, ("votes", "SW ranking"): SWRanking()}
    return preference_found.histories(routers)


def test_a_history_is_parted_into_members_and_looks(losses):
    assert losses["member"].tolist() == [1] * 4 + [2] * 4 and losses["look"].tolist() == [1, 2, 3, 4] * 2
    assert losses["step"].tolist()[:4] == [2, 4, 6, 8], "an epoch of 36 battles takes two steps of 20"
    kept = losses[losses["kept"]]
    assert kept["member"].tolist() == [1, 2]
    assert kept["validation"].tolist() == losses.groupby("member")["validation"].min().tolist()


def test_how_far_training_went_is_the_mean_of_the_members(losses):
    (row,) = preference_found.trained_how_far(losses).to_dict("records")
    assert row["last"] == pytest.approx(losses.loc[losses["look"] == 4, "validation"].mean())
    said = preference_told.training(losses, "votes")
    assert f"ends at {row['last']:.3f}" in said
    assert "falls from" in said or "never falls" in said
    nothing = losses.assign(validation=np.nan)
    assert "last weights" in preference_told.training(nothing, "votes")
    assert "last weights" in preference_told.training(losses.head(0), "votes")


def test_by_heart_is_said_only_if_the_held_out_loss_rises():
    one = dict(training="votes", router="Matrix factorization", member=1)
    rising = pd.DataFrame([{**one, "train": 0.5, "validation": v} for v in (0.7, 0.6, 0.65)])
    assert "by heart" in preference_told.training(rising, "votes")
    falling = pd.DataFrame([{**one, "train": 0.5, "validation": v} for v in (0.7, 0.6)])
    assert "by heart" not in preference_told.training(falling, "votes")
    assert "never falls" in preference_told.training(rising.iloc[[1, 2]], "votes")


# Results


def found(**columns):
    rows = [("", "Prompt length", 0.55, 0.5, 0.6, np.nan), ("t", "A", 0.7, 0.6, 0.8, 0.65)]
    rows += [("t", "B", 0.6, 0.55, 0.65, 0.65), ("t", "C", 0.3, 0.2, 0.4, 0.65)]
    names = ["training", "router", "apgr", "apgr_low", "apgr_high", "shuffled"]
    return pd.DataFrame(rows, columns=names).assign(benchmark="MMLU", **columns)


def test_only_what_luck_does_not_reach_counts_as_above():
    stands = preference_found.standing(found())
    assert stands.loc["MMLU"].tolist() == [3, 1, 1, "A on t", 0.7, 0.55], "B is below shuffled labels"
    said = preference_told.standing(stands.assign(ceiling=0.8))
    assert "Of 3 trained routers" in said and "MMLU 1 and 1, best A on t 0.700" in said and "0.800" in said
    assert "ceiling" not in preference_told.standing(stands.assign(ceiling=np.nan))


def test_without_a_gap_nothing_stands_anywhere():
    none = preference_found.standing(found(apgr=np.nan))
    assert none.empty and preference_told.standing(none.assign(ceiling=np.nan)) == preference_told.NO_GAP


def test_curves_outside_the_band_are_counted():
    share = np.linspace(0, 1, 5)
    one = pd.DataFrame({"share": share, "pgr": share + [0, 0.3, 0.3, 0.3, 0], "chance": 0.1})
    one = one.assign(benchmark="MMLU", router="A", training="t")
    other = one.assign(router="B", pgr=share - [0, 0.3, 0, 0, 0])
    out = preference_found.outside(pd.concat([one, other])).set_index("router")
    assert out[["above", "below"]].to_numpy() == pytest.approx(np.array([[0.6, 0], [0, 0.2]]))
    said = preference_told.curves(pd.concat([one, other]))
    assert "1 above it (most: A on t, MMLU, 60%)" in said and "0 below it (most: B on t, MMLU, 20%)" in said
    assert preference_told.curves(one.assign(pgr=np.nan)) == preference_told.NO_GAP


def test_whether_the_order_turns_over_is_read_from_the_numbers():
    def table(alone, own):
        return pd.DataFrame({"own_share": [0.0, 0.5], "apgr": [alone, own]})

    assert "turns over" in preference_told.turning(table(0.3, 0.6))
    assert "does not turn" in preference_told.turning(table(0.3, 0.4))
    assert "not upside down" in preference_told.turning(table(0.6, 0.7))
    assert preference_told.turning(table(np.nan, np.nan)) == preference_told.NO_GAP


def test_categories_are_named_by_what_is_sent_first():
    by_category = pd.DataFrame({"router": "SW ranking", "category": ["maths", "chat"], "gap": [2.0, 0.1]})
    by_category = by_category.assign(win_rate=[0.6, 0.7])
    orders = pd.DataFrame({"training": ["t", "t"], "apgr": [0.3, 0.6]})
    said = preference_told.below(by_category, orders, ("t", "MT Bench"))
    assert said.startswith("Trained on t, 1 of 2 routers lie below random on MT Bench.")
    assert "first *chat*, where the gap is 0.10, and last *maths*, where it is 2.00" in said
    assert "one category" in preference_told.below(by_category.head(1), orders, ("t", "MT Bench"))
    assert preference_told.below(by_category.head(0), orders, ("t", "x")) == preference_told.NO_GAP


def test_labels_are_said_to_differ_only_if_they_do():
    counts = pd.DataFrame(
        {"battles": [10, 20], "strong against weak": [4, 9], "strong class wins": [0.6, 0.5]}
    )
    counts.index = ["votes", "both"]
    assert "level of its own" in preference_told.battles(counts)
    assert "level" not in preference_told.battles(counts.head(1))


def test_contamination_names_where_most_comes_from():
    table = pd.DataFrame({"benchmark": ["A", "A", "B"], "training": ["x", "y", "x"], "queries": [10, 10, 9]})
    said = preference_told.contamination(table.assign(close=[1, 4, 0], discarded=[5, 5, 0]))
    assert said == "5 queries are discarded. Most come from A beside y: 4 of 10."
    assert "No query" in preference_told.contamination(table.assign(close=0, discarded=0))


def test_an_order_is_placed_beside_random_orders():
    queries = scores([1, 1, 1, 0], [0, 0, 1, 1])
    gold = gold_battles(scores([1, 0], [0, 0], name="gold"))
    chance = pd.DataFrame({"mean": [0.5], "low": [0.4], "high": [0.6]}, index=["apgr"])
    said = preference_told.order([4, 3, 2, 1], queries, chance, 0.25, gold)
    assert said.startswith("On 50.0% of") and "above the interval" in said and "25.0% of the calls" in said
    assert "below the interval" in preference_told.order([1, 2, 3, 4], queries, chance, 0.25, gold)
    assert preference_told.NO_GAP in preference_told.order([1, 2, 3, 4], queries, None, None, gold)


def test_win_models_that_are_surely_better_are_counted():
    held = pd.DataFrame({"low": [0.1, -0.1, -0.3], "high": [0.2, 0.1, -0.1]})
    bins = pd.DataFrame({"router": "SW ranking", "training": "t", "predicted": [0.5, 0.6], "won": [0.2, 0.8]})
    said = preference_told.held_out(held, bins)
    assert said.startswith("Of 3 win models 1 are surely better") and "and 1 surely worse" in said
    assert "differ by 0.100" in said and "by 0.600" in said
    assert "too few" in preference_told.held_out(held.head(0), bins)


def test_similarity_speaks_of_the_paper_only_beside_its_rows():
    table = pd.DataFrame({"benchmark": "A", "training": ["v", "g"], "similarity": [0.1, 0.2]})
    goes = Fact(None, "rank correlation +0.10 over 2 cells (p 0.90); the paper's own +0.77")
    said = preference_told.similarity(table.assign(mean_apgr=[0.5, 0.6]), goes, papers=True)
    assert "+0.77" in said and "+0.100 (g, A) to +0.100 (g, A)" in said
    assert "paper" not in preference_told.similarity(table.assign(mean_apgr=[0.5, 0.6]), goes, papers=False)
    assert (
        preference_told.similarity(table.assign(mean_apgr=np.nan), goes, papers=True)
        == preference_told.NO_GAP
    )


def worth(lead, low):
    names = [labels.BOTH, labels.OWN]
    frame = pd.DataFrame({"labels": 500, "router": names, "apgr": [0.6, 0.5], "lead": [lead, -0.1]})
    return frame.assign(lead_low=low, lead_high=0.2)


def test_a_lead_is_sure_only_with_its_whole_interval(near):
    frame = pd.DataFrame({"labels": [500, 500], "router": labels.SHUFFLED, "apgr": [0.45, 0.55]})
    curve = labels.Curve(frame, {}, scores([1, 0], [0, 0]))
    said = preference_told.golden(curve, worth(0.1, -0.01))
    assert "+0.100 [-0.010, +0.200] (not sure)" in said and "too few labels to *choose* by" in said
    assert "(sure)" in preference_told.golden(curve, worth(0.1, 0.01))
    assert "too few rows for an interval" in preference_told.golden(curve, worth(0.1, np.nan))
    assert "too few labels, or no gap" in preference_told.golden(curve, worth(0.1, 0.0).head(0))


def test_limits_name_luck_and_extrapolations():
    rows = [("subjects' means, in sample", 0.7), ("means of shuffled subjects, in sample", 0.6)]
    table = pd.DataFrame(rows, columns=["level", "apgr"]).assign(low=np.nan, high=np.nan)
    assert "0.700 in sample, and shuffled subjects, by luck alone, 0.600" in preference_told.limits(table)
    endless = pd.DataFrame([("endless labels", 0.8, 0.7, 0.9)], columns=table.columns)
    assert "0.800 [0.700, 0.900]" in preference_told.limits(pd.concat([table, endless]))
    assert preference_told.limits(table.head(0)) == preference_told.NO_GAP


def test_five_lines_close_whatever_there_is(near):
    losses = pd.DataFrame({"low": [0.1], "high": [0.2]})
    mixed = pd.DataFrame({"own_share": [0.0, 0.5], "apgr": [0.3, 0.6]})
    stands = preference_found.standing(found())
    said = preference_told.findings(stands, near, losses, mixed, worth(0.1, 0.01))
    assert len(re.findall(r"^\* ", said, flags=re.M)) == 5 and "MMLU 0.700 (A on t)" in said
    assert "SW ranking tells queries apart" in said
    flat = Neighbourhood(np.ones((2, 2)), np.array([1.0, 0.0]), ["a", "b"], ["q", "r"])
    assert "hears everybody" in preference_told.findings(stands, flat, losses, mixed, worth(0.1, 0.01))
    none = preference_found.standing(found(apgr=np.nan))
    empty = preference_told.findings(none, near, losses.head(0), mixed.head(0), worth(0.1, 0).head(0))
    assert len(empty.splitlines()) == 5 and "nan" not in empty


def test_one_query_is_told_with_what_gamma_does(near):
    shown = near.contested([2, 10, 1000], near.base)[0]
    said = preference_told.one_query(near, shown, [2, 10, 1000])
    assert "at γ = 10" in said and f"{np.ptp(near.win_rates(1000)):.3f}" in said
    assert "this one among them" in said, "made so that some decision hangs on gamma"


def test_no_sentence_has_a_number_typed_in():
    source = (ROOT / "rb_support" / "studies" / "preference_told.py").read_text()
    tree = ast.parse(source)
    docs = {ast.get_docstring(node, clean=False) for node in [tree, *tree.body] if hasattr(node, "body")}
    texts = packaged_table("studies/words.toml")["preference_told"].values()
    sentences = [part for text in texts for part, *_ in Formatter().parse(text)]
    for part in [*literals(source), *sentences]:
        assert part in docs or not COUNTED.search(REFERENCES.sub(" ", part)), part


# Figures and the exercise


def test_tiers_lie_on_a_line_with_their_borders():
    gaps = preference_found.tier_gaps(TIERS)
    fig = preference_figures.tiers_figure(TIERS, gaps, ("a", "d"))
    texts = {text.get_text() for text in fig.axes[0].texts}
    assert {"a", "d", "0", "1", "2"} <= texts
    borders = fig.axes[0].collections[0].get_segments()
    assert sorted({segment[0][0] for segment in borders}) == [1045, 1200]


def test_a_query_is_drawn_with_its_battles_and_its_decision(near):
    fig = plt.figure()
    rates = near.win_rates(10)
    preference_figures.plot_query(fig, near.nearest(0), rates, rates[0], 0.0)
    bars, line = fig.axes
    assert len(bars.patches) == 12 and "strong model" in line.get_xlabel()
    assert sum(bar.get_height() for bar in bars.patches) == pytest.approx(
        100 * near.nearest(0)["weight"].sum()
    )
    again = plt.figure()
    preference_figures.plot_query(again, near.nearest(0), rates, rates[0], 1.0)
    assert "weak model" in again.axes[1].get_xlabel()
    plt.close("all")


def test_training_is_drawn_with_the_weights_that_are_kept(losses):
    fig = preference_figures.training_figure(losses)
    dots = [line for line in fig.axes[0].lines if line.get_label() == "kept"]
    assert len(dots) == 2 and dots[0].get_ydata()[0] == losses.loc[losses["kept"], "validation"].iloc[0]
    assert preference_figures.training_figure(losses.head(0)).axes[0].texts


def test_no_category_gets_a_sentence():
    _, ax = plt.subplots()
    preference_figures.plot_categories(ax, pd.DataFrame(columns=["category", "gap", "win_rate"]))
    assert "No router" in ax.texts[0].get_text()
    plt.close("all")


def test_true_labels_of_another_difference_break_a_router():
    design = of_06.EXERCISES["06.4"]
    assert design.fault([("chat", "strong")] * 2 + [("maths", "tie")] * 2, {}) is None
    said = design.fault([("chat", "tie")] * 2 + [("maths", "strong")] * 2, {})
    assert "APGR is 0.75" in said
    assert "cannot be read" not in said
