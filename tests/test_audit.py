"""Published numbers against random orders: exact on few queries, the paper's where its scores are at hand."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid
from scores_made import scores_of

from rb_support.pairs import random_apgr_spread, random_curves
from rb_support.report.preference_figures import audit_figure
from rb_support.studies import audit
from rb_support.studies.preference_study import WinRates, results

FIVE = np.array([[1.0, 0.0], [0.5, 0.0], [1.0, 0.75], [0.0, 0.25], [1.0, 1.0]])
MANY = np.repeat(FIVE[[0, 3, 4]], [30, 10, 40], axis=0)


def areas(scores, steps=10):
    """APGR of every order of a few queries, read after every query."""
    gain = scores[:, 0] - scores[:, 1]
    shares = np.arange(len(gain) + 1) / len(gain)
    curves = [np.concatenate([[0], np.cumsum(order)]) / gain.sum() for order in permutations(gain)]
    return np.array([trapezoid(curve, shares) for curve in curves])


@pytest.mark.parametrize("scores", [FIVE, FIVE[[0, 0, 3, 4, 4]]], ids=["orders", "numbers per step"])
def test_random_curves_are_those_of_all_orders(scores):
    shares, recovered = random_curves(*scores.T, rng=np.random.default_rng(0), draws=20_000)
    assert shares.tolist() == [0, 0.2, 0.4, 0.6, 0.8, 1]
    drawn, every = trapezoid(recovered, shares, axis=1), areas(scores)
    assert np.allclose(np.unique(drawn.round(9)), np.unique(every.round(9)))
    for value in np.unique(every.round(9)):
        assert (drawn < value + 1e-6).mean() == pytest.approx((every < value + 1e-6).mean(), abs=0.015)


def test_many_queries_are_read_at_ten_shares():
    shares, recovered = random_curves(*MANY.T, rng=np.random.default_rng(0), draws=20_000)
    assert len(shares) == 11 and recovered[:, 0].max() == 0 and np.allclose(recovered[:, -1], 1)
    assert np.allclose(recovered.mean(axis=0), shares, atol=0.01)
    assert trapezoid(recovered, shares, axis=1).std() == pytest.approx(random_apgr_spread(*MANY.T), rel=0.03)
    assert random_curves(MANY[:, 0], MANY[:, 0], rng=np.random.default_rng(0), draws=5) is None


def test_p_values_are_twice_the_smaller_tail():
    known = audit.chances({"t": scores_of(FIVE).pair("a", "b")}, rng=np.random.default_rng(1), draws=40_000)
    every = areas(FIVE)
    for value in (every.min(), np.quantile(every, 0.9), 0.5):
        exact = 2 * min((every <= value + 1e-9).mean(), (every >= value - 1e-9).mean())
        assert known["t"].p_value("apgr", value) == pytest.approx(min(exact, 1), abs=0.02)
    assert known["t"].p_value("apgr", 9.0) == pytest.approx(2 / 40_001)
    assert np.isnan(known["t"].p_value("apgr", np.nan))


def test_numbers_of_our_own_routers_have_the_form_of_the_printed_ones():
    """As `results` has them; of a pair whose gap is too small there are none."""
    wide, odd = np.repeat(FIVE[[0, 3]], [30, 10], axis=0), np.arange(41) % 2
    small = np.column_stack([1 - odd, odd])
    pairs = {"wide": scores_of(wide).pair("a", "b"), "small": scores_of(small).pair("a", "b")}
    rng = np.random.default_rng(4)
    rates = [WinRates("D", "R", name, pair, rng.random(len(pair))) for name, pair in pairs.items()]
    found = audit.of_rates(rates)
    assert list(found) == list(audit.published()) and found["table"].tolist() == ["wide", "small"]
    assert found.loc[1, ["apgr", "cpt50", "cpt80"]].isna().all()
    theirs = results(rates[:1], rng=rng, draws=2).query("router == 'R'")[["apgr", "cpt50", "cpt80"]]
    assert np.allclose(found.loc[[0], ["apgr", "cpt50", "cpt80"]].astype(float), theirs)


def test_numbers_outside_of_luck_are_counted_by_table_and_training_set():
    rows = [
        ("t", "D", "A", 40, 0.8, 0.3, 0.5, (0.001, 0.01, 0.2), (0.003, 0.02, 0.2)),
        ("t", "D", "B", 40, 0.3, 0.5, 0.7, (0.02, 0.5, 0.5), (0.04, 1, 1)),
        ("t", "E", "A", 40, 0.6, 0.5, np.nan, (0.04, 0.5, np.nan), (0.2, 1, np.nan)),
        ("unknown", "D", "A", 0, 0.9, 0.1, 0.1, (np.nan,) * 3, (np.nan,) * 3),
    ]
    metrics = ["apgr", "cpt50", "cpt80"]
    columns = ["table", "training", "router", "queries", *metrics]
    columns += [f"{metric}{end}" for end in ("_p", "_holm") for metric in metrics]
    found = audit.outside(pd.DataFrame([(*row[:7], *row[7], *row[8]) for row in rows], columns=columns))
    assert found.values.tolist() == [["t", "D", 40, 6, 3, 3, 2, 1, 1], ["t", "E", 40, 2, 1, 0, 1, 0, 0]]


def test_random_routers_are_found_out_in_one_of_twenty():
    pair = scores_of(MANY).pair("a", "b")
    known = audit.chances({"t": pair}, rng=np.random.default_rng(2), draws=5_000)
    shares, recovered = random_curves(pair.strong, pair.weak, rng=np.random.default_rng(3), draws=1_000)
    found = [known["t"].p_value("apgr", value) for value in trapezoid(recovered, shares, axis=1)]
    assert 0.02 < np.mean(np.array(found) < 0.05) < 0.075


def test_holm_corrects_for_the_numbers_there_are():
    assert audit.holm([0.01, np.nan, 0.04, 0.03]).tolist()[::2] == [0.03, 0.06]
    assert np.isnan(audit.holm([0.01, np.nan])[1]) and audit.holm([0.01, np.nan])[0] == 0.01


def test_two_orders_differ_by_what_their_rank_correlation_says():
    """The variance of a difference over all ways to deal the gains is 2 (1 - r) that of one order."""
    gain, n = FIVE[:, 0] - FIVE[:, 1], len(FIVE)
    first, second = np.arange(n), np.array([1, 0, 2, 4, 3])
    weights = [n - order - 0.5 for order in (first, second)]
    r = np.corrcoef(first, second)[0, 1]
    dealt = np.array(list(permutations(gain))) @ (weights[0] - weights[1]) / (n * gain.sum())
    assert dealt.std() == pytest.approx(np.sqrt(2 * (1 - r)) * random_apgr_spread(*FIVE.T))


NUMBERS = pd.DataFrame(
    [("t", "D_arena", "BERT", 0.5, 0.5, 0.8), ("t", "D_judge", "BERT", 0.9, 0.1, 0.2)]
    + [("t", "D_judge", "SW", 0.52, 0.5, np.nan), ("other", "D_judge", "SW", 0.7, 0.3, 0.4)],
    columns=["table", "training", "router", "apgr", "cpt50", "cpt80"],
)


def test_an_audit_and_its_figure():
    known = audit.chances({"t": scores_of(MANY).pair("a", "b")}, rng=np.random.default_rng(0), draws=2_000)
    table, pairs = audit.audit(NUMBERS, known), audit.differences(NUMBERS, known)
    assert table["queries"].tolist() == [80, 80, 80, 0]
    assert table["apgr_holm"][1] == pytest.approx(8 * 2 / 2001)  # eight numbers of the table are known
    assert np.isnan(table["cpt80_p"][2]) and table.loc[3].isna().sum() == 12
    spread = known["t"].spread
    assert pairs["difference"].round(9).tolist() == [0.4, 0.02, -0.38]
    assert pairs["noise"][0] == pytest.approx(1.959964 * np.sqrt(2) * spread, rel=1e-6)
    assert pairs["all_noise"][0] == pytest.approx(3.314493 * spread, rel=1e-5)  # Tukey's q of three
    assert pairs["needed_r"][1] == pytest.approx(1 - (0.02 / (1.959964 * spread)) ** 2 / 2)
    assert audit.augmentation(pairs)["other_router"].tolist() == ["BERT"]
    fig = audit_figure(table, pairs)
    assert [ax.get_title("left") for ax in fig.axes] == ["t\n(n = 80)"]
    assert audit_figure(table[3:], pairs).axes[0].texts  # a sentence


def test_what_the_paper_prints_is_audited_on_its_own_scores(real):
    numbers, scores = audit.published(), audit.published_scores()
    assert numbers.groupby("table", sort=False).size().tolist() == [8, 8, 8, 4, 4]
    known = audit.chances(scores, rng=np.random.default_rng(0), draws=8_000)
    assert known["MT Bench"].band("apgr") == pytest.approx((0.37, 0.63), abs=0.006)
    found = audit.audit(numbers, known).set_index(["table", "training", "router"]).sort_index()
    votes = found.loc["MT Bench", "D_arena"]
    assert votes["apgr"].between(votes["apgr_low"], votes["apgr_high"]).all()
    assert (found.loc["MMLU", "D_arena + D_gold"]["apgr_holm"] < 0.01).all()
    spread = audit.counted_otherwise(scores["MT Bench"])["spread"]
    assert spread.round(3).tolist() == [0.068, 0.066, 0.058]
    random = audit.random_rows(known).set_index(["table", "metric"])
    assert random.loc[("MT Bench", "apgr"), ["printed_half", "one_order"]].round(2).tolist() == [0.02, 0.13]
