"""Tables speak to readers: headers and meanings of columns, intervals beside their numbers."""

import csv

import pandas as pd
import pytest
from conftest import ROOT

from rb_support import paper
from rb_support.report import shown
from rb_support.report.gallery import read_records


@pytest.mark.parametrize("kind", ["simulated", "real"])
def test_every_column_of_a_committed_table_has_a_header_and_a_meaning(kind):
    """But for columns that are names of datasets, of models and of training sets."""
    folder = ROOT / "figures" / kind
    known = set(pd.read_csv(ROOT / "rb_support" / "published" / "columns.csv")["column"])
    unknown = set()
    for record in read_records(folder):
        if record["form"] == "table":
            with (folder / f"{record['id']}.csv").open() as file:
                names = set(next(csv.reader(file)))
            bounds = {f"{name}_{end}" for name in names | {"honest"} for end in ("low", "high")}
            unknown |= {name for name in names - bounds - known if "(n = " not in name}
    assert not unknown


def test_no_column_is_explained_twice():
    table = pd.read_csv(ROOT / "rb_support" / "published" / "columns.csv")
    assert table["column"].is_unique and table.notna().all(axis=None)


def test_an_interval_stands_beside_its_number():
    frame = pd.DataFrame(
        {"aiq": [0.7123, None], "aiq_low": [0.7, None], "aiq_high": [0.72, None], "n": [3, 4]}
    )
    table = shown(frame, {"aiq": ".3f", "aiq_low": ".2f", "aiq_high": ".2f"})
    assert table.words.to_numpy().tolist() == [["0.712 [0.70, 0.72]", "3"], ["–", "4"]]
    assert repr(table).splitlines()[0].split("|")[1].strip() == "AIQ"
    assert f'title="{paper.column("aiq").meaning}"' in table._repr_html_()


def test_the_honest_lead_has_the_honest_interval():
    frame = pd.DataFrame({"honest_minus_zero": [0.01], "honest_low": [-0.02], "honest_high": [0.04]})
    assert shown(frame).words.to_numpy().tolist() == [["0.01 [-0.02, 0.04]"]]


def test_half_an_interval_stays_apart():
    frame = pd.DataFrame({"x": [1.0], "x_low": [0.5]})
    assert list(shown(frame).words) == ["x", "x_low"]


def test_a_column_of_somebody_else_keeps_its_name():
    assert "my_column" in repr(shown(pd.DataFrame({"my_column": [1]}))).replace("\\", "")
