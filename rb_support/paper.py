"""What the two papers print, as data: the numbers every reproduced item can stand beside.

Nothing here is computed. Each table under `published/` has a `source` column, and what no source
prints (AIQ per dataset, the RAG results) is not there: the paper's column stays empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Literal

import pandas as pd

Repeats = Literal["exactly", "trained", "timed"]
Paper = Literal["RouterBench", "RouteLLM", "own"]


@dataclass(frozen=True)
class Item:
    """A figure or table this project makes.

    Attributes
    ----------
    id : name of its files, such as "rb-fig4".
    title : one line for captions and the gallery.
    paper : "RouterBench", "RouteLLM" or "own".
    item : the paper's own label, such as "Figure 4"; empty where the paper numbers none.
    section : where the paper treats it, such as "sec. 5.3"; empty for own items.
    notebook : name of the notebook that makes it, without suffix.
    """

    id: str
    title: str
    paper: Paper
    item: str
    section: str
    notebook: str

    @property
    def repeats(self) -> Repeats:
        """How another run, or another machine, gives it again.

        "exactly"; "trained": by networks, whose training amplifies rounding; "timed": by a clock, so never.
        """
        return "timed" if self.id in _TIMED else "trained" if self.id in _TRAINED else "exactly"


_MATH, _DATA, _PILOT = "00_routing_mathematics", "01_data_construction", "02_oracle_pilot_study"
_PREDICT, _CASCADE, _RAG = "03_predictive_routers", "04_cascading_simulation", "05_rag_comparison"
_PREFER, _PAIRS, _OWN = "06_preference_routers", "07_model_pair_transfer", "08_your_own_outcomes"

_TIMED = {"rl-tab7"}
_TRAINED = {
    *("rb-fig4", "rb-fig7", "rb-fig8", "rb-fig9", "rb-tab-aiq", "rb-tab-rag"),
    *("rl-fig1a", "rl-fig1b", "rl-fig2", "rl-figF", "own-labels", "own-transfer"),
    *(f"rl-tab{number}" for number in range(1, 7)),
}

_ITEMS: tuple[Item, ...] = (
    Item("rb-fig1", "How the benchmark is built and used", "RouterBench", "Figure 1", "sec. 1", _DATA),
    Item("rb-fig2", "Interpolation, convex hull and AIQ", "RouterBench", "Figure 2", "sec. 3", _MATH),
    Item("rb-fig3", "Quality and cost of eleven models", "RouterBench", "Figure 3", "sec. 4.4", _PILOT),
    Item("rb-fig4", "Predictive routers per dataset", "RouterBench", "Figure 4", "sec. 5.3", _PREDICT),
    Item("rb-fig5", "Cascading routers by judge error", "RouterBench", "Figure 5", "sec. 5.3", _CASCADE),
    Item("rb-fig6", "Quality and cost per dataset", "RouterBench", "Figure 6", "App. A.6", _PILOT),
    Item("rb-fig7", "All routers on RAG, zoomed in", "RouterBench", "Figure 7", "sec. 5.4", _RAG),
    Item("rb-fig8", "Predictive routers out of domain", "RouterBench", "Figure 8", "App. C", _PREDICT),
    Item("rb-fig9", "All routers on RAG", "RouterBench", "Figure 9", "App. D", _RAG),
    Item("rb-tab-datasets", "Datasets, tasks and rows", "RouterBench", "", "sec. 4.2, App. A.3", _DATA),
    Item("rb-tab-prices", "List prices of the models", "RouterBench", "", "App. A.1", _DATA),
    Item("rb-tab-schema", "Attributes of a sample", "RouterBench", "", "App. A.4", _DATA),
    Item("rb-tab-refusals", "Answers that refuse or echo", "RouterBench", "", "App. B", _DATA),
    Item("rb-tab-models", "Mean quality and cost per model", "RouterBench", "", "sec. 4.4", _PILOT),
    Item("rb-tab-oracle", "Which model the oracle picks", "RouterBench", "", "sec. 4.4", _PILOT),
    Item("rb-tab-aiq", "AIQ of zero, KNN and MLP routers", "RouterBench", "", "sec. 5.3", _PREDICT),
    Item("rb-tab-cascade", "AIQ of cascades by judge error", "RouterBench", "", "sec. 5.3", _CASCADE),
    Item("rb-tab-rerank", "Overgenerate and rerank", "RouterBench", "", "sec. 5.2", _CASCADE),
    Item("rb-tab-rag", "AIQ of all routers on RAG", "RouterBench", "", "sec. 5.4", _RAG),
    Item("rl-fig1a", "Routers on GSM8K", "RouteLLM", "Figure 1 (left)", "sec. 1", _PREFER),
    Item("rl-fig1b", "Data augmentation on MT Bench", "RouteLLM", "Figure 1 (center)", "sec. 1", _PREFER),
    Item("rl-fig1c", "Call-performance plane: APGR, CPT", "RouteLLM", "Figure 1 (right)", "sec. 3.2", _MATH),
    Item("rl-fig2", "Against commercial routers", "RouteLLM", "Figure 2", "App. E", _PAIRS),
    Item("rl-figF", "Call-performance curves, all benchmarks", "RouteLLM", "", "App. F", _PREFER),
    Item("rl-tab1", "MT Bench results", "RouteLLM", "Table 1", "sec. 5.1", _PREFER),
    Item("rl-tab2", "MMLU results, 5-shot", "RouteLLM", "Table 2", "sec. 5.1", _PREFER),
    Item("rl-tab3", "GSM8K results, 8-shot", "RouteLLM", "Table 3", "sec. 5.1", _PREFER),
    Item("rl-tab4", "Other model pairs on MT Bench", "RouteLLM", "Table 4", "sec. 5.2", _PAIRS),
    Item("rl-tab5", "Benchmark-dataset similarity", "RouteLLM", "Table 5", "sec. 5.3", _PREFER),
    Item("rl-tab6", "Cost saving over GPT-4", "RouteLLM", "Table 6", "sec. 5.4", _PAIRS),
    Item("rl-tab7", "Overhead of the routers", "RouteLLM", "Table 7", "sec. 5.5", _PAIRS),
    Item("rl-tabA", "Arena models in ten tiers", "RouteLLM", "", "App. A", _PREFER),
    Item("rl-tabB", "Contaminated prompts discarded", "RouteLLM", "", "App. B", _PREFER),
    Item("rl-tabD", "Average price per million tokens", "RouteLLM", "", "App. D", _PAIRS),
    Item("own-labels", "What golden labels are worth", "own", "", "", _PREFER),
    Item("own-transfer", "APGR over all model pairs by their gap", "own", "", "", _PAIRS),
    Item("own-frontier", "Your models and routers", "own", "", "", _OWN),
    Item("own-savings", "What routing would save you", "own", "", "", _OWN),
)

ITEMS: Mapping[str, Item] = MappingProxyType({item.id: item for item in _ITEMS})
"""Every item of the project by its id, in the order of the papers."""


def repeats(item: str) -> Repeats:
    """How an item repeats, by its id; one that is none of `ITEMS` is held to be exact."""
    return ITEMS[item].repeats if item in ITEMS else "exactly"


@cache
def _table(name: str) -> pd.DataFrame:
    """Published table `name`, read once; callers get copies."""
    with resources.files("rb_support").joinpath("published", f"{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def model_means() -> pd.DataFrame:
    """RouterBench 0-shot means: model, score, cost_usd_per_query, list prices per million tokens, source."""
    return _table("models_0shot").copy()


def rag_prices() -> pd.DataFrame:
    """Request fees (USD) and token prices of the retrieval models; blank where none is printed."""
    return _table("rag_prices").copy()


def prices() -> pd.DataFrame:
    """Price list of all fourteen models, RAG ones included.

    Columns model, price_in_usd_per_million, price_out_usd_per_million, fee_usd_per_request (0 for models
    without retrieval), source. You.com's token prices are not printed: NaN.
    """
    listed = model_means().drop(columns=["score", "cost_usd_per_query"]).assign(fee_usd_per_request=0.0)
    return pd.concat([listed, rag_prices()], ignore_index=True)


def oracle_choices() -> pd.DataFrame:
    """How often the published oracle picks each model (0-shot), `no_model_correct` included: model, rows."""
    return _table("oracle_choices").copy()


def task_rows() -> pd.DataFrame:
    """Rows per task of the 0-shot file: dataset, task, rows, source.

    The listing sums to 36,987, which is 490 more than the file's 36,497 rows; the source does not say why.
    """
    return _table("task_rows").copy()


def task_means() -> pd.DataFrame:
    """Mean score per task and model where one is printed: task, shots, model, score, source."""
    return _table("task_means").copy()


def routerbench_headline() -> pd.DataFrame:
    """Sizes and single numbers RouterBench quotes: quantity, value, unit, source."""
    return _table("headline_routerbench").copy()


def aiq() -> pd.DataFrame:
    """AIQ values quoted for RouterBench: router, aiq, source, note. None is printed per dataset."""
    return _table("aiq_headline").copy()


def routellm_results(table: int) -> pd.DataFrame:
    """RouteLLM Table 1, 2, 3 or 4: CPT(50%), CPT(80%) and improvement as fractions, APGR.

    Raises
    ------
    ValueError
        If `table` is none of the four.
    """
    results = _table("routellm_results")
    found = results[results["table"] == table].reset_index(drop=True)
    if found.empty:
        raise ValueError(f"RouteLLM's result tables are 1, 2, 3 and 4; there is no Table {table} among them")
    return found


def routellm_levels() -> pd.DataFrame:
    """GPT-4's score and the score at CPT(50%) under RouteLLM's Tables 1-3."""
    return _table("routellm_levels").copy()


def routellm_similarity() -> pd.DataFrame:
    """RouteLLM Table 5: benchmark, training, similarity."""
    return _table("routellm_similarity").copy()


def routellm_savings() -> pd.DataFrame:
    """RouteLLM Table 6: GPT-4 calls of the random router over the best router's, at CPT(50%) and CPT(80%)."""
    return _table("routellm_savings").copy()


def routellm_overhead() -> pd.DataFrame:
    """RouteLLM Table 7: router, machine, USD per million requests, requests per second, USD per hour."""
    return _table("routellm_overhead").copy()


def routellm_costs() -> pd.DataFrame:
    """RouteLLM Appendix D: prices, mean lengths and the average prices that follow from them."""
    return _table("routellm_costs").copy()


def routellm_tiers() -> pd.DataFrame:
    """RouteLLM Appendix A: tier (0 strongest … 9) and model of the 64 Arena models."""
    return _table("routellm_tiers").copy()


def commercial_routers() -> pd.DataFrame:
    """RouteLLM Appendix E: MT Bench score and share of GPT-4 calls of two commercial routers."""
    return _table("routellm_commercial").copy()


_PUBLISHED: Mapping[str, Callable[[], pd.DataFrame]] = MappingProxyType(
    {
        "rb-tab-datasets": task_rows,
        "rb-tab-prices": prices,
        "rb-fig3": model_means,
        "rb-tab-models": model_means,
        "rb-tab-oracle": oracle_choices,
        "rb-tab-aiq": aiq,
        "rl-tab1": lambda: routellm_results(1),
        "rl-tab2": lambda: routellm_results(2),
        "rl-tab3": lambda: routellm_results(3),
        "rl-tab4": lambda: routellm_results(4),
        "rl-tab5": routellm_similarity,
        "rl-tab6": routellm_savings,
        "rl-tab7": routellm_overhead,
        "rl-tabA": routellm_tiers,
        "rl-tabD": routellm_costs,
        "rl-fig2": commercial_routers,
    }
)


def published(item_id: str) -> pd.DataFrame | None:
    """The papers' own numbers for an item, or None where no printed value is known.

    Raises
    ------
    KeyError
        If `item_id` is not one of `ITEMS`.

    >>> published("rl-tab6")["saving_cpt50"].tolist()
    [3.66, 1.41, 1.49]
    >>> published("rb-fig9") is None
    True
    """
    if item_id not in ITEMS:
        raise KeyError(f"no item {item_id!r}; the ids are {', '.join(ITEMS)}")
    return _PUBLISHED[item_id]() if item_id in _PUBLISHED else None
