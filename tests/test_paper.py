"""Published numbers are data: complete, sourced, and consistent where the papers let us check."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from rb_support import catalog, paper

TABLES: tuple[Callable[[], pd.DataFrame], ...] = (
    paper.model_means,
    paper.prices,
    paper.oracle_choices,
    paper.task_rows,
    paper.task_means,
    paper.routerbench_headline,
    paper.aiq,
    paper.routellm_levels,
    paper.routellm_similarity,
    paper.routellm_savings,
    paper.routellm_overhead,
    paper.routellm_costs,
    paper.routellm_tiers,
    paper.commercial_routers,
)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_row_names_its_source(table: Callable[[], pd.DataFrame]) -> None:
    frame = table()
    assert len(frame) > 0
    assert frame["source"].notna().all()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_a_caller_cannot_change_the_published_numbers(table: Callable[[], pd.DataFrame]) -> None:
    mine = table()
    mine.loc[0, "source"] = "altered"
    assert table().loc[0, "source"] != "altered"


def test_models_are_the_eleven_spelled_as_everywhere() -> None:
    means = paper.model_means()
    assert set(means["model"]) == set(catalog.MODELS)
    assert means.sort_values("cost_usd_per_query")["model"].tolist()[::-1] == list(catalog.MODELS)


def test_price_list_has_all_models_and_only_retrieval_asks_a_fee() -> None:
    prices = paper.prices().set_index("model")
    assert set(prices.index) == {*catalog.MODELS, *catalog.RAG_MODELS}
    assert (prices["fee_usd_per_request"] > 0).equals(~prices.index.to_series().isin(catalog.MODELS))
    assert prices.loc["gpt-4-1106-preview", "price_out_usd_per_million"] == 30
    assert prices.index[prices["price_in_usd_per_million"].isna()].tolist() == ["you.com-api"]


def test_oracle_choices_cover_every_row_of_the_file() -> None:
    choices = paper.oracle_choices().set_index("model")["rows"]
    assert choices.sum() == 36_497
    assert set(choices.index) == {*catalog.MODELS, "no_model_correct"}


def test_task_rows() -> None:
    rows = paper.task_rows()
    mmlu = rows[rows["dataset"] == catalog.MMLU].set_index("task")["rows"]
    assert len(mmlu) == 57
    assert mmlu.sum() == 14_042
    assert mmlu.nlargest(4).to_dict() == {
        "mmlu-professional-law": 1534,
        "mmlu-moral-scenarios": 895,
        "mmlu-miscellaneous": 783,
        "mmlu-professional-psychology": 612,
    }
    # The printed listing does not add up to the file; the docstring says by how much.
    assert rows["rows"].sum() - 36_497 == 490


def test_task_means_have_one_value_per_task_and_model() -> None:
    means = paper.task_means()
    assert set(means["task"]) == {"grade-school-math", "arc-challenge", "mbpp", "winogrande"}
    assert not means.duplicated(["task", "model"]).any()
    assert (means.groupby("task")["model"].nunique() == 11).all()
    best = means.loc[means.groupby("task")["score"].idxmax()].set_index("task")["model"]
    assert best["grade-school-math"] == "claude-v2"
    assert best["winogrande"] == "gpt-4-1106-preview"


@pytest.mark.parametrize("table", [1, 2, 3, 4])
def test_improvement_follows_from_apgr(table: int) -> None:
    """Improvement is APGR over the random router's APGR, less one; print rounds APGR to three digits."""
    results = paper.routellm_results(table)
    routers = results[results["router"] != "Random"]
    assert len(routers) == 8
    random_apgr = results.loc[results["router"] == "Random"].set_index("pair")["apgr"]
    baseline = routers["pair"].map(random_apgr)
    np.testing.assert_allclose(routers["apgr"] / baseline - 1, routers["improvement"], atol=0.012)


def test_shares_are_fractions() -> None:
    for table in (1, 2, 3, 4):
        shares = paper.routellm_results(table)[["cpt50", "cpt80", "apgr"]]
        assert shares.to_numpy().min() > 0
        assert shares.to_numpy().max() < 1


def test_saving_is_random_calls_over_the_best_routers_calls() -> None:
    """Table 6 divides the random router's share of strong calls by the best router's (section 5.4)."""
    for table, benchmark in ((1, "MT Bench"), (2, "MMLU"), (3, "GSM8K")):
        results = paper.routellm_results(table)
        random, routers = results[results["router"] == "Random"], results[results["router"] != "Random"]
        saving = paper.routellm_savings().set_index("benchmark").loc[benchmark]
        for cpt in ("cpt50", "cpt80"):
            expected = random[cpt].item() / routers[cpt].min()
            assert saving[f"saving_{cpt}"] == pytest.approx(expected, abs=0.006)


def test_levels_agree_with_the_quality_shares() -> None:
    levels = paper.routellm_levels().set_index("benchmark")
    savings = paper.routellm_savings().set_index("benchmark")
    assert savings["quality_share_cpt50"].to_dict() == levels["share_of_strong"].to_dict()
    np.testing.assert_allclose(
        levels["score_at_cpt50"] / levels["strong_score"], levels["share_of_strong"], atol=0.01
    )


def test_average_price_follows_from_lengths_and_prices() -> None:
    value = paper.routellm_costs().set_index("quantity")["value"]
    tokens = value["mean prompt tokens"] + value["mean answer tokens"]
    dollars = (
        value["mean prompt tokens"] * value["gpt-4 input price"]
        + value["mean answer tokens"] * value["gpt-4 output price"]
    )
    assert dollars / tokens == pytest.approx(value["gpt-4 average price"], abs=0.05)


def test_tiers() -> None:
    tiers = paper.routellm_tiers()
    assert tiers["model"].is_unique
    assert len(tiers) == 64
    assert tiers["tier"].value_counts().sort_index().tolist() == [2, 5, 17, 22, 5, 3, 5, 2, 2, 1]


def test_unknown_result_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no Table 5"):
        paper.routellm_results(5)


def test_items_are_those_of_the_notebooks() -> None:
    by_notebook: dict[str, set[str]] = {}
    for item in paper.ITEMS.values():
        by_notebook.setdefault(item.notebook, set()).add(item.id)
    assert by_notebook == {
        "00_routing_mathematics": {"rb-fig2", "rl-fig1c"},
        "01a_live_run": {"rb-fig1"},
        "01b_published_tables": {"rb-tab-datasets", "rb-tab-prices", "rb-tab-schema", "rb-tab-refusals"},
        "02_oracle_pilot_study": {"rb-fig3", "rb-fig6", "rb-tab-models", "rb-tab-oracle", "own-price"},
        "03_predictive_routers": {
            "rb-fig4", "rb-fig8", "rb-tab-aiq", "own-aiq-forest", "own-few-rows", "own-reach",
            "own-predictability",
        },
        "04_cascading_simulation": {"rb-fig5", "rb-tab-cascade", "rb-tab-rerank"},
        "05_rag_comparison": {"rb-fig7", "rb-fig9", "rb-tab-rag"},
        "06_preference_routers": {
            "rl-fig1a", "rl-fig1b", "rl-figF", "rl-tab1", "rl-tab2", "rl-tab3", "rl-tab5",
            "rl-tabA", "rl-tabB", "own-labels", "own-calibration", "own-below",
        },
        "07a_model_pair_transfer": {"rl-tab4", "own-transfer", "own-new-model"},
        "07b_savings_and_audit": {
            "rl-tab6", "rl-tab7", "rl-tabD", "rl-fig2", "own-audit", "own-audit-table",
        },
        "08_your_own_outcomes": {
            "own-frontier", "own-worth", "own-settings", "own-savings", "own-more-prompts",
        },
        "09_leaderboard": {
            "own-leaderboard", "own-leaderboard-map", "own-leaderboard-ranks", "own-leaderboard-gap",
            "own-leaderboard-cascades", "own-leaderboard-settings", "own-leaderboard-times",
        },
    }  # fmt: skip


def test_items_cannot_be_changed_and_say_whose_they_are() -> None:
    with pytest.raises(TypeError):
        paper.ITEMS["rb-fig1"] = paper.ITEMS["rb-fig2"]  # type: ignore[index]
    for key, item in paper.ITEMS.items():
        prefix = {"RouterBench": "rb-", "RouteLLM": "rl-", "own": "own-"}[item.paper]
        assert key == item.id
        assert key.startswith(prefix)
        assert item.title
        assert (item.section == "") == (item.paper == "own")
        assert item.repeats in get_args(paper.Repeats)
