"""Two-stage routing: the collection, the search, the simulated answers, and routing in sequence."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rb_support.outcomes import Origin, Outcomes
from rb_support.paper import prices
from rb_support.report import Report
from rb_support.report.claims import claims_of
from rb_support.retrieval import BM25, documents, found, questions
from rb_support.routers import KNNRouter, decide, lambda_path
from rb_support.studies.predictive import ZERO
from rb_support.studies.two_stage import (
    GENERATORS,
    PASSAGES,
    Generator,
    compare_steps,
    evidence,
    in_sequence,
    leads,
    pair_name,
    simulate_two_stage,
    split_by_document,
    with_scores,
)
from rb_support.verdicts import Fact, exact

TEXTS = [
    "The Heron Bridge crosses the river.",
    "The mayor opened the museum of bells.",
    "Bells rang, bells and bells, for the mayor.",
]
ALL_KNOWING = Generator("gpt-4-1106-preview", "2024-12-31", 1.0, 1.0, 0.0, 0.0)
READER = Generator("gpt-3.5-turbo-1106", "2000-01-01", 1.0, 1.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def table():
    return simulate_two_stage()


# The collection


def test_every_answer_stands_in_its_document():
    asked, texts = questions(), documents()["text"]
    assert len(texts) == 120 and len(asked) == 768
    for document, answer in zip(asked["document"], asked["answer"], strict=True):
        assert answer in texts[document]


def test_questions_and_ids_are_distinct_and_every_fact_is_asked_twice():
    asked = questions()
    assert asked["prompt"].is_unique and asked["sample_id"].is_unique and documents().index.is_unique
    fact = asked["sample_id"].str.rsplit(".", n=1).str[0]
    assert (asked.groupby(fact)["wording"].agg(tuple) == (0, 1)).all()


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.8, 1.0])
def test_share_of_time_sensitive_questions_is_the_one_asked_for(share):
    asked = questions(time_sensitive_share=share)
    assert asked["time_sensitive"].mean() == pytest.approx(share, abs=0.5 / len(asked))
    assert len(asked) >= 384  # of one kind none is left out
    assert (asked["time_sensitive"] == (asked["date"].dt.year == 2024)).all()


def test_share_is_checked():
    with pytest.raises(ValueError, match=r"time_sensitive_share is 1\.5"):
        questions(time_sensitive_share=1.5)


def test_no_generator_was_trained_on_time_sensitive_facts():
    first = questions().query("time_sensitive")["date"].min()
    assert all(pd.Timestamp(each.trained_to) < first for each in GENERATORS)


# The search


def test_scores_are_bm25_by_hand():
    """Lucene's BM25 with k1 = 1.5, b = 0.75: one word in one text of three of 4, 4 and 5 words."""
    texts = ["heron bridge crosses river", "mayor opened museum bells", "bells rang bells bells mayor"]
    lengths, k1, b = np.array([4, 4, 5]), 1.5, 0.75
    times = np.array([0, 1, 3])
    idf = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    expected = idf * times / (times + k1 * (1 - b + b * lengths / lengths.mean()))
    np.testing.assert_allclose(BM25(texts).scores(["bells?"])[0], expected, rtol=1e-5)


def test_search_orders_texts_and_breaks_ties_by_place():
    index = BM25(TEXTS)
    assert index.search(["Which bells rang?", "the heron", "zeppelin", "the"], 3).tolist() == [
        [2, 1, 0],
        [0, 1, 2],
        [0, 1, 2],
        [0, 1, 2],
    ]


@pytest.mark.parametrize("k", [0, 4])
def test_k_is_checked(k):
    with pytest.raises(ValueError, match=f"between 1 and 3.*got {k}"):
        BM25(TEXTS).search(["bells"], k)


@pytest.mark.parametrize("texts", [[], ["", "the of"]])
def test_nothing_to_index_is_said(texts):
    with pytest.raises(ValueError, match="nothing to index"):
        BM25(texts)


def test_found_by_hand():
    ranked = [[0, 2], [1, 0], [2, 1]]
    assert found(ranked, [2, 2, 2]).tolist() == [True, False, True]


def test_search_of_the_collection_finds_most_and_misses_what_is_told_twice(table):
    """Two elections and two reports of each firm compete: asked in other words, the newer one hides."""
    frame = table.frame
    assert 0.75 < frame["found_1"].mean() < 0.87 and frame["found_5"].mean() > 0.95
    worded = frame.groupby(["time_sensitive", "wording"])["found_1"].mean()
    assert worded.idxmin() == (True, 1) and worded.min() < 0.6
    assert (frame["score_1"] >= frame["score_2"]).all() and (frame["score_2"] >= frame["score_3"]).all()


# Simulated answers to real searches


def test_columns_are_retriever_by_retriever(table):
    assert table.models == tuple(pair_name(r, g.model) for r in PASSAGES for g in GENERATORS)
    assert table.origin.kind == "simulated" and any("Real: the search" in note for note in table.origin.notes)


def test_a_reader_that_knows_nothing_is_right_where_the_search_was():
    outcomes = simulate_two_stage(generators=[READER])
    bare, one, five = outcomes.quality.T
    frame = outcomes.frame
    assert one[frame["found_1"]].min() == 1 and five[frame["found_5"]].min() == 1
    assert bare.mean() < 0.04 and one[~frame["found_1"]].mean() < 0.06


def test_one_that_knows_all_needs_no_search():
    assert simulate_two_stage(generators=[ALL_KNOWING]).quality.min() == 1


def test_shares_of_right_answers_are_the_assumed_chances():
    outcomes = simulate_two_stage()
    old = (outcomes.frame["date"] <= "2021-09-30").to_numpy()
    right = outcomes.frame["found_5"].to_numpy(dtype=bool)
    for g, each in enumerate(GENERATORS):
        assert outcomes.quality[old, g].mean() == pytest.approx(each.knows, abs=0.08)
        reading = outcomes.quality[right, 2 * len(GENERATORS) + g].mean()
        assert reading == pytest.approx(each.reads - 4 * each.clutter, abs=0.05)


def test_luck_is_shared_between_retrievers():
    """With the passage found, who answers from memory too answers no worse."""
    outcomes = simulate_two_stage()
    better = outcomes.frame["found_1"].to_numpy(dtype=bool)
    for g, each in enumerate(GENERATORS):
        assert each.reads > each.knows
        assert (outcomes.quality[better, len(GENERATORS) + g] >= outcomes.quality[better, g]).all()


def test_costs_are_list_prices_times_tokens(table):
    frame = table.frame
    listed = prices().set_index("model").loc["gpt-4-1106-preview"]
    read = documents()["title"] + ". " + documents()["text"]
    row = int(np.flatnonzero(frame["found_1"])[0])
    letters = len(frame["prompt"][row]) + np.array([0, len(read[frame["document"][row]])])
    tokens = np.ceil(letters / 4.2) + 40
    expected = (tokens * listed["price_in_usd_per_million"] + 30 * listed["price_out_usd_per_million"]) / 1e6
    np.testing.assert_allclose(table.cost[row, [0, len(GENERATORS)]], expected)


def test_same_seed_same_table(table):
    again, other = simulate_two_stage(), simulate_two_stage(seed=1)
    assert (again.quality == table.quality).all() and (again.cost == table.cost).all()
    assert (other.quality != table.quality).any() and (other.cost == table.cost).all()


def test_split_parts_no_document(table):
    train, test = split_by_document(table, seed=3)
    assert not set(train.frame["document"]) & set(test.frame["document"])
    assert train.frame["document"].nunique() == 84 and len(train) + len(test) == len(table)


def test_scores_stand_beside_the_embeddings(table):
    X = pd.DataFrame(np.eye(len(table), 4), index=table.frame["sample_id"]).iloc[::-1]
    told = with_scores(X, table)
    frame = table.frame.set_index("sample_id").loc[X.index]
    assert told.shape == (len(table), 7) and (told[X.columns] == X).all(axis=None)
    assert told[-1].std() == pytest.approx(0.2)
    assert np.corrcoef(told[-2], frame["score_1"] - frame["score_2"])[0, 1] == pytest.approx(1)


# Routing in sequence


def outcomes_of(quality, cost):
    n = len(quality)
    frame = pd.DataFrame({"sample_id": [f"q{i}" for i in range(n)], "dataset": "d", "task": "t"})
    frame["prompt"] = frame["sample_id"]
    models = tuple(f"m{j}" for j in range(len(quality[0])))
    return Outcomes(frame, np.array(quality), np.broadcast_to(cost, np.shape(quality)), models, NOWHERE)


NOWHERE = Origin("simulated", "made rows")
COST = np.array([1.0, 4.0, 2.0, 8.0])


def test_sequence_by_hand():
    """One query, two retrievers of two generators, cost 1, 4 and 2, 8; means 2.5 and 5.

    The first step goes to the second retriever at lambda = 2.5 / (0.7 - 0.2) = 5, its second generator is
    called from 6 / (0.8 - 0.6) = 30 on. Within the first retriever 3 / (0.3 - 0.1) = 15 comes too late.
    """
    predicted = [[0.1, 0.3, 0.6, 0.8]]
    test = outcomes_of([[0.0, 0.25, 0.5, 1.0]], COST)
    points = in_sequence(predicted, COST, 2, test)(None)
    assert np.unique(points, axis=0).tolist() == [[1.0, 0.0], [2.0, 0.5], [8.0, 1.0]]


def test_one_retriever_is_joint_routing():
    rng = np.random.default_rng(0)
    predicted, quality = rng.random((2, 30, 4))
    test = outcomes_of(quality, COST)
    joint = lambda_path(predicted, COST).on(test.quality, test.cost)
    weights = rng.integers(0, 4, 30)
    sequence = in_sequence(predicted, COST, 1, test)
    np.testing.assert_allclose(
        np.unique(sequence(weights).round(9), axis=0), np.unique(joint(weights).round(9), axis=0)
    )


@settings(max_examples=40)
@given(arrays(int, (5, 6), elements=st.integers(0, 100)), st.floats(1e-3, 1e3))
def test_sequence_holds_every_two_step_decision(percent, wtp):
    predicted, wtp = percent / 100, wtp * 1.0000123  # not on a breakpoint, where rounding would decide
    costs = np.arange(1.0, 7.0)
    test = outcomes_of(predicted, costs)
    first = decide(predicted.reshape(5, 3, 2).mean(axis=2), costs.reshape(3, 2).mean(axis=1), wtp)
    chosen = np.array(
        [
            2 * r + decide(predicted[[i], 2 * r : 2 * r + 2], costs[2 * r : 2 * r + 2], wtp)[0]
            for i, r in enumerate(first)
        ]
    )
    wanted = [costs[chosen].mean(), predicted[np.arange(5), chosen].mean()]
    points = in_sequence(predicted, costs, 3, test)(None)
    assert np.abs(points - wanted).max(axis=1).min() < 1e-9


def test_columns_must_divide_into_retrievers():
    test = outcomes_of(np.zeros((2, 4)), COST)
    with pytest.raises(ValueError, match="reshape"):
        in_sequence(np.zeros((2, 4)), COST, 3, test)


def test_steps_compared_see_what_they_are_given(table):
    """With every row as neighbour all is blind: jointly and in sequence stay on or under the zero router."""
    train, test = split_by_document(table, seed=0)
    X = pd.DataFrame(np.zeros((len(table), 1)), index=table.frame["sample_id"])
    told = pd.DataFrame(table.quality, index=X.index)
    blind = compare_steps(train, test, {"nothing": X}, KNNRouter(len(train))).aiq()
    seeing = compare_steps(train, test, {"the truth": told}, KNNRouter(5)).aiq()
    assert blind["In sequence, nothing"] <= blind["Jointly, nothing"] <= blind[ZERO] + 1e-9
    assert seeing["Jointly, the truth"] > seeing[ZERO] + 0.05


# What stands in the folder of another kind of data says so


def test_simulated_items_of_a_real_run_say_that_they_are_simulated(tmp_path):
    origin = Origin("simulated", "simulated RAG set; no public rows exist")
    report = Report("05_rag_comparison", origin, folder=tmp_path, asked=Origin("real", "real rows"))
    report.save_table(pd.DataFrame({"aiq": [0.5]}), "rb-tab-rag")
    report.claims({"pairs": Fact(True, "a number")})
    assert report.directory == tmp_path / "real"
    for ending in ("md", "tex", "html"):
        assert "SIMULATED data" in (tmp_path / "real" / f"rb-tab-rag.{ending}").read_text()
    page = (tmp_path / "real" / "index.html").read_text()
    assert "No real data exist" in page and ">simulated</span>" in page
    assert pd.read_csv(tmp_path / "real" / "claims.csv")["data"].unique().tolist() == ["simulated"]


def test_claims_on_other_rows_say_so(tmp_path):
    report = Report("05_rag_comparison", dataclasses.replace(NOWHERE, kind="own"), folder=tmp_path)
    told = report.claims({"pairs": Fact(True, "a number"), "knn-zero": exact(0.1)})
    assert told["data"].tolist() == ["simulated"] * 4  # the paper's statements are not checked on own rows


def _above(*rows):
    names = [
        "Jointly, words",
        "In sequence, words",
        "Jointly, words and scores",
        "In sequence, words and scores",
    ]
    return pd.DataFrame(rows, columns=names)


def test_what_is_said_of_two_stages_holds_on_every_split():
    said = claims_of("05_rag_comparison")

    def verdicts(*rows):
        return {
            key: said[key].check(found, "own")["verdict"] for key, found in evidence(_above(*rows)).items()
        }

    every = verdicts([0.01, 0.01, 0.02, 0.02], [0.02, 0.018, 0.03, 0.02])  # .006 less in sequence
    assert every == {"pairs": "holds", "search-scores": "holds", "sequence": "does not hold"}
    none = verdicts([0.01, 0.01, -0.01, -0.01], [0.02, 0.018, 0.01, 0.008])
    assert none == {"pairs": "does not hold", "search-scores": "does not hold", "sequence": "holds"}


def test_leads_of_two_stages_are_honest_ones():
    table = simulate_two_stage(seed=0)
    train, test = split_by_document(table, seed=0)
    X = pd.DataFrame(np.zeros((len(table), 1)), index=table.frame["sample_id"])
    step = compare_steps(train, test, {"nothing": X}, KNNRouter(len(train)))
    above = leads([step, step], rng=np.random.default_rng(0))
    assert above.shape == (2, 2)
    honest = step.honest_aiq(rng=np.random.default_rng(0))
    assert above.loc[0, "Jointly, nothing"] == pytest.approx(honest["Jointly, nothing"] - honest[ZERO])
