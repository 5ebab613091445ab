"""Every table of the strategy loads, is written and read back, byte for byte, in each form there is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from tables_made import outcome_tables

from rb_support.outcomes import Outcomes

RELAXED = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def assert_same(one: Outcomes, other: Outcomes) -> None:
    assert one.models == other.models
    np.testing.assert_array_equal(one.quality, other.quality)
    np.testing.assert_array_equal(one.cost, other.cost)
    pd.testing.assert_frame_equal(one.frame, other.frame, check_dtype=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made")


@RELAXED
@given(one=outcome_tables(max_rows=15, max_models=9))
def test_csv_comes_back_byte_for_byte(one: Outcomes, folder: Path) -> None:
    for long in (False, True):
        first, second = folder / "first.csv", folder / "second.csv"
        one.to_csv(first, long=long)
        again = Outcomes.read(first)
        assert_same(again, one)
        again.to_csv(second, long=long)
        assert first.read_bytes() == second.read_bytes()


@RELAXED
@given(one=outcome_tables(max_rows=15, max_models=9))
def test_parquet_comes_back_byte_for_byte(one: Outcomes, folder: Path) -> None:
    first, second = folder / "first.parquet", folder / "second.parquet"
    one.to_parquet(first)
    again = Outcomes.read(first)
    assert_same(again, one)
    assert again.origin == one.origin
    again.to_parquet(second)
    assert first.read_bytes() == second.read_bytes()


@RELAXED
@given(one=outcome_tables(max_rows=15, max_models=9))
def test_frames_saved_by_others_are_read_alike(one: Outcomes, folder: Path) -> None:
    for frame in (one.to_wide(), one.to_long()):
        frame.to_parquet(folder / "theirs.parquet")
        frame.to_csv(folder / "theirs.csv")
        for name in ("theirs.parquet", "theirs.csv"):
            assert_same(Outcomes.read(folder / name), one)
