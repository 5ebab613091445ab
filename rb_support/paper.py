"""What the two papers print, as data: the numbers every reproduced item can stand beside.

Nothing here is computed. Each table under `published/` has a `source` column, and what no source
prints (AIQ per dataset, the RAG results) is not there: the paper's column stays empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from io import StringIO
from types import MappingProxyType
from typing import Literal

import pandas as pd

from rb_support.cache import packaged

Repeats = Literal["exactly", "trained", "timed"]
Paper = Literal["RouterBench", "RouteLLM", "own"]
ARXIV: Mapping[str, str] = MappingProxyType(
    {"RouterBench": "https://arxiv.org/abs/2403.12031", "RouteLLM": "https://arxiv.org/abs/2406.18665"}
)
"""Where the two papers are to be read."""


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
    repeats : how another run, or another machine, gives it again: "exactly"; "trained": by networks, whose
        training amplifies rounding; "timed": by a clock, so never.
    own_title : title where it shows a table of a user's own, if `title` speaks of the papers' data.
    """

    id: str
    title: str
    paper: Paper
    item: str
    section: str
    notebook: str
    repeats: Repeats
    own_title: str = ""


@cache
def _table(name: str) -> pd.DataFrame:
    """Published table `name`, read once; callers get copies."""
    return pd.read_csv(StringIO(packaged(f"published/{name}.csv")))


_ROWS = _table("items").fillna("").itertuples(index=False, name=None)

ITEMS: Mapping[str, Item] = MappingProxyType({row[0]: Item(*row) for row in _ROWS})
"""Every item of the project by its id, in the order of the papers (`published/items.csv`)."""


@dataclass(frozen=True)
class Column:
    """How a column of a table is shown to readers.

    Attributes
    ----------
    header : a few words, with the unit.
    meaning : a phrase that says what it holds; empty for a column that is not one of ours.
    """

    header: str
    meaning: str


@cache
def _columns() -> Mapping[str, Column]:
    rows = _table("columns").itertuples(index=False, name=None)
    return {name: Column(header, meaning) for name, header, meaning in rows}


def column(name: str) -> Column:
    """Header and meaning of a table's column; another's column is its own header.

    >>> column("aiq_honest").header
    'honest AIQ'
    >>> column("gpt-4").header
    'gpt-4'
    """
    return _columns().get(name, Column(name, ""))


def repeats(item: str) -> Repeats:
    """How an item repeats, by its id; one that is none of `ITEMS` is held to be exact."""
    return ITEMS[item].repeats if item in ITEMS else "exactly"


def model_means() -> pd.DataFrame:
    """RouterBench 0-shot means: model, score, cost_usd_per_query, list prices per million tokens, source."""
    return _table("models_0shot").copy()


def prices() -> pd.DataFrame:
    """Price list of all fourteen models, RAG ones included.

    Columns model, price_in_usd_per_million, price_out_usd_per_million, fee_usd_per_request (0 for models
    without retrieval), source. You.com's token prices are not printed: NaN.
    """
    listed = model_means().drop(columns=["score", "cost_usd_per_query"]).assign(fee_usd_per_request=0.0)
    return pd.concat([listed, _table("rag_prices")], ignore_index=True)


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

    The causal LM classifier has one name here, "Causal LM", also where the paper prints "Causal LLM".

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
