"""What notebook 01b says of sizes and refusals."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rb_support.construct.records import Model
from rb_support.outcomes import Origin
from rb_support.report.claims import claims_of
from rb_support.simulate import simulate_outcomes
from rb_support.studies import dataset


def test_what_is_public_is_counted_and_what_is_not_is_named() -> None:
    counts = dataset.published_counts(simulate_outcomes(200))
    assert {key: fact.holds for key, fact in counts.items()} == {
        **{"samples": False, "models": True, "datasets": False, "tasks": True},
    }
    assert "36,497 x 11 = 401,467; the other 4,000" in counts["samples"].words
    assert "7 of the 8" in counts["datasets"].words and "RAG" in counts["datasets"].words
    assert all("fetch routerbench-rag" in counts[key].words for key in ("samples", "datasets"))
    assert counts.keys() <= claims_of("01b_published_tables").keys()


def test_who_refuses_most_is_held_against_the_next() -> None:
    table = pd.DataFrame({"model": ["a", "b", "c"], "answers": 100, "refusals": [30, 10, 2]})
    found = dataset.refuses_most(table, "a")
    assert found is not None and found.value == pytest.approx(0.2) and "then b 10.0%" in found.name
    assert 0.05 < found.low < 0.1 and found.high - found.value == pytest.approx(found.value - found.low)
    assert dataset.refuses_most(table, "b").value == pytest.approx(-0.2)  # type: ignore[union-attr]
    assert dataset.refuses_most(table, "d") is None and dataset.refuses_most(table[:1], "a") is None


def test_prices_of_cards_come_first_and_an_own_table_has_its_models_only() -> None:
    table = simulate_outcomes(200)
    assert set(dataset.listed_prices(table)["source"]) == {"printed"}
    asked = replace(table.select(table.models[:2]), models=("mine", table.models[1]))
    listed = dataset.listed_prices(asked, [Model("mine", "", "mine", 1.0, 2.0)])
    assert listed["source"].tolist()[:2] == ["model card", "printed"]
    assert listed["usd_per_query"].iloc[0] == asked.cost[:, 0].mean()
    own = dataset.listed_prices(replace(asked, origin=Origin("own", "mine.csv")))
    assert own["model"].tolist() == list(asked.models)
    assert own["price_in_usd_per_million"].isna().tolist() == [True, False]
    np.testing.assert_allclose(own["usd_per_query"], asked.cost.mean(axis=0))


def test_a_row_or_a_dataset_has_a_vote() -> None:
    table = simulate_outcomes(200).take(range(4))
    table = replace(table, frame=table.frame.assign(dataset=["a", "a", "a", "b"]))
    means = dataset.two_means(table)
    quality = table.quality
    np.testing.assert_allclose(means["over_rows"], quality.mean(axis=0))
    np.testing.assert_allclose(means["over_datasets"], (quality[:3].mean(axis=0) + quality[3]) / 2)
