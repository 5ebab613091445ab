"""What notebook 01 says of sizes and refusals."""

import pandas as pd
import pytest

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
    assert counts.keys() <= claims_of("01_data_construction").keys()


def test_who_refuses_most_is_held_against_the_next() -> None:
    table = pd.DataFrame({"model": ["a", "b", "c"], "answers": 100, "refusals": [30, 10, 2]})
    found = dataset.refuses_most(table, "a")
    assert found is not None and found.value == pytest.approx(0.2) and "then b 10.0%" in found.name
    assert 0.05 < found.low < 0.1 and found.high - found.value == pytest.approx(found.value - found.low)
    assert dataset.refuses_most(table, "b").value == pytest.approx(-0.2)  # type: ignore[union-attr]
    assert dataset.refuses_most(table, "d") is None and dataset.refuses_most(table[:1], "a") is None
