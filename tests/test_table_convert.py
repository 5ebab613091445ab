"""Tables as people have them: spreadsheets, logs, other scales and units; and all problems of one at once."""

import decimal
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rb_support.__main__ import app
from rb_support.app.reproduce.own import read_own
from rb_support.app.reproduce.plan import UsageError
from rb_support.outcomes import Outcomes, PartialOutcomes, TableError
from rb_support.outcomes.convert import Layout, convert, numbers, price_card, read_any

WIDE = Layout(prompt="Question", score="{model} points", cost="{model} ct", scale=(1, 5), unit="cents")
LONG = Layout(prompt="input", score="ok", cost="usd", model="model")
SHEET = """Question;big points;big ct;small points;small ct
"Sum of 1; 2?";5;1 234,5;3;0,25
Why?;4;12,0;1;0,5
"""
NBSP = "\u00a0"


def written(folder, text, name="sheet.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["table", *map(str, arguments)])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("space", [" ", NBSP, "\u2009", "\u202f", "'"])
def test_a_spreadsheet_in_any_dialect(tmp_path, encoding, ending, space):
    if encoding == "cp1252" and space not in (" ", NBSP, "'"):
        pytest.skip("has no such space")
    text = SHEET.replace("1 234", f"1{space}234").replace("Why", "Wozu für").replace("\n", ending)
    table = convert(written(tmp_path, text, encoding=encoding), WIDE)
    assert table.models == ("big", "small") and table.origin.kind == "own"
    assert table.frame["prompt"].tolist() == ["Sum of 1; 2?", "Wozu für?"]
    np.testing.assert_allclose(table.quality, [[1, 0.5], [0.75, 0]])
    np.testing.assert_allclose(table.cost, [[12.345, 0.0025], [0.12, 0.005]])
    said = " ".join(table.origin.notes)
    for word in ("semicolons", "decimal commas", "from 1 to 5", "cents", "ids were made"):
        assert word in said


def test_a_log_with_tokens_and_a_price_card(tmp_path):
    card = written(
        tmp_path,
        "model,price_in_usd_per_million,price_out_usd_per_million\nbig,10,30\nsmall,0.5,1.5\n",
        "prices.csv",
    )
    calls = [
        {"input": prompt, "model": model, "ok": ok, "usage": {"in": 100, "out": 10}}
        for prompt, model, ok in [
            ("a", "big", True),
            ("a", "small", False),
            ("b", "small", "yes"),
            ("b", "big", 1),
        ]
    ]
    path = written(tmp_path, "\n".join(map(json.dumps, calls)), "calls.jsonl")
    layout = Layout(
        "input", "ok", model="model", tokens_in="usage.in", tokens_out="usage.out", prices=price_card(card)
    )
    table = convert(path, layout)
    assert table.quality.tolist() == [[1, 0], [1, 1]]
    np.testing.assert_allclose(table.cost, [[0.0013, 0.000065]] * 2)
    assert convert(written(tmp_path, json.dumps(calls), "calls.json"), layout).quality.tolist() == [
        [1, 0],
        [1, 1],
    ]
    with pytest.raises(TableError, match="model 'big' is not in the table"):
        convert(path, Layout(**{**vars(layout), "prices": {"small": (1.0, 1.0)}}))


def test_excel_and_parquet(tmp_path):
    frame = pd.DataFrame({"Question": ["a", "b"], "m points": [1, 5], "m ct": [2.5, 0.0]})
    frame.to_excel(tmp_path / "x.xlsx", index=False)
    categories = frame.astype({"Question": "category"})
    categories["m ct"] = [decimal.Decimal("2.50"), decimal.Decimal("0")]
    categories["m points"] = pd.array([1, 5], dtype="Int64")
    categories.to_parquet(tmp_path / "x.parquet")
    for name in ("x.xlsx", "x.parquet"):
        table = convert(tmp_path / name, WIDE)
        assert table.quality.ravel().tolist() == [0, 1] and table.cost.ravel().tolist() == [0.025, 0]
    with pytest.raises(TableError, match="not a whole Excel file"):
        read_any(written(tmp_path, "no", "broken.xlsx"))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1,5", "2"], [1.5, 2]),
        (["1.234,5", "1.000"], [1234.5, 1000]),
        (["1,234.5", "1,000"], [1234.5, 1000]),
        (["1.234.567", "1.000.000"], [1234567, 1000000]),
        (["50 %", "7,5%"], [0.5, 0.075]),
        (["$0.25", "1e-3"], [0.25, 0.001]),
        (["yes", "FALSE"], [1, 0]),
        (["", "n/a"], [np.nan, np.nan]),
    ],
)
def test_numbers_as_people_write_them(cells, expected):
    np.testing.assert_allclose(numbers(pd.Series(cells, name="x"), "f")[0], expected)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1,234", "2"], "may be a thousand or a decimal"),
        (["1,5", "2.5"], "points and commas both"),
        (["50%", "0.5"], "row 2 is not"),
        (["1", "about 2"], "row 2 holds 'about 2'"),
        (["1", "€2"], "row 2 holds '€2'"),
    ],
)
def test_what_is_open_is_asked_for(cells, message):
    with pytest.raises(TableError, match=message):
        numbers(pd.Series(cells, name="x"), "f")


def test_a_file_that_agrees_on_its_decimal_mark_settles_every_column(tmp_path):
    text = "Question;big points;big ct;small points;small ct\na;5;1,234;3;0,25\nb;4;1.234;1;0,5\n"
    costs = convert(written(tmp_path, text), WIDE).cost
    np.testing.assert_allclose(costs, [[0.01234, 0.0025], [12.34, 0.005]])


def test_a_mark_that_is_named_is_taken():
    column = pd.Series(["1,234", "2"], name="x")
    assert numbers(column, "f", ",")[0].tolist() == [1.234, 2] and numbers(column, "f", ".")[0].tolist() == [
        1234,
        2,
    ]


@given(st.lists(st.floats(-1e9, 1e9).map(lambda x: round(x, 4)), min_size=2), st.sampled_from(",."))
def test_what_a_spreadsheet_wrote_is_read_back(values, mark):
    thousands = " " if mark == "," else ","
    cells = [
        f"{value:,.4f}".replace(",", "\0").replace(".", mark).replace("\0", thousands) for value in values
    ]
    np.testing.assert_allclose(numbers(pd.Series(cells, name="x"), "f")[0], values)


def test_scores_off_the_scale_are_asked_about(tmp_path):
    path = written(tmp_path, SHEET)
    with pytest.raises(
        TableError, match=r"'big points' runs from 4 to 5, row 1 lies outside 0 to 1; .*--scale"
    ):
        convert(path, Layout(**{**vars(WIDE), "scale": None}))
    with pytest.raises(TableError, match="no column is named like '{model} score'; there are Question"):
        convert(path, Layout(**{**vars(WIDE), "score": "{model} score"}))
    with pytest.raises(TableError, match="no cost is named"):
        convert(path, Layout(**{**vars(WIDE), "cost": ""}))


def test_the_commands_from_sheet_to_table(tmp_path):
    sheet, out = written(tmp_path, SHEET), tmp_path / "mine.parquet"
    checked = run("check", sheet)
    assert checked.exit_code == 1 and "'sample_id'" in checked.output and "small ct" in checked.output
    made = run(
        *("convert", sheet, out, "--prompt", "Question", "--score", "{model} points", "--cost", "{model} ct"),
        *("--scale", "1-5", "--unit", "cents"),
    )
    assert made.exit_code == 0 and "scores from 1 to 5 were brought to 0 to 1" in made.output
    assert Outcomes.read(out).models == ("big", "small")
    good = run("check", out)
    assert good.exit_code == 0 and "2 queries x 2 models" in good.output
    assert run("convert", sheet, tmp_path / "x.doc", "--prompt", "Q", "--score", "s").exit_code == 2
    assert run("convert", sheet, out, "--prompt", "Q", "--score", "s", "--scale", "five").exit_code == 2


def test_all_problems_are_said_at_once(tmp_path):
    text = "sample_id,prompt,eval_name,a,a|total_cost\n1,p,t,0.5,0.1\n1,,t,1.5,-1\n3,q,t,,soon\n"
    checked = run("check", written(tmp_path, text, "mine.csv"))
    assert checked.exit_code == 1
    for words in (
        "stands on a row above",
        "column 'prompt': is empty",
        "1.5 lies outside",
        "-1.0 is not a cost",
    ):
        assert words in checked.output
    assert "'soon' is not a number" in checked.output and "is missing" not in checked.output
    assert "Problems: 5" in checked.output


def test_missing_cells_are_counted_with_what_bears_them(tmp_path):
    lines = ["sample_id,prompt,eval_name,a,a|total_cost,b,b|total_cost,c,c|total_cost"]
    lines += [f"{i},p{i},t,1,0.1,{i % 2},0.2,{'' if i % 4 else 1},0.3" for i in range(12)]
    path = written(tmp_path, "\n".join(lines) + "\n", "mine.csv")
    checked = run("check", path)
    assert checked.exit_code == 0
    for words in (
        "missing: 9 of 36 answers (c 9)",
        "complete rows: 3 of 12 (rows 1, 5, 9)",
        "bear it: each model's mean",
        "take complete rows only: hull, AIQ",
        "--missing drop",
        'missing="keep"',
        "too few complete rows to judge on; without 'c' there are 12",
    ):
        assert words in checked.output
    rows = [line.split() for line in checked.output.splitlines() if line[:2] in ("a ", "b ", "c ")]
    assert rows == [["a", "100", "1", "12"], ["b", "200", "0.5", "12"], ["c", "300", "1", "3"]]
    assert "missing" not in run("check", written(tmp_path, lines[0] + "\n" + lines[1], "whole.csv")).output


def test_latency_and_tokens_are_kept_and_shown_and_may_be_the_cost(tmp_path):
    text = "Q,m score,m usd,m ms,n score,n usd,n ms\na,1,0.5,250,0,0.1,1000\nb,0,0.5,750,1,0.1,\n"
    sheet, out = written(tmp_path, text), tmp_path / "mine.parquet"
    options = ["--prompt", "Q", "--score", "{model} score", "--cost", "{model} usd"]
    made = run("convert", sheet, out, *options, "--latency", "{model} ms", "--latency-unit", "ms")
    assert made.exit_code == 0 and "seconds" in made.output
    table = Outcomes.read(out)
    np.testing.assert_array_equal(table.frame[["m|latency", "n|latency"]], [[0.25, 1], [0.75, np.nan]])
    with pytest.raises(TableError, match=r"row 2 .*'n\|latency'.* is missing"):
        table.priced("latency")
    with pytest.raises(TableError, match="column 'm|speed' is not in the table"):
        table.priced("speed")
    fast = table.take([0]).priced("latency")
    assert (fast.cost_unit, table.cost_unit) == ("s", "USD") and fast.cost.tolist() == [[0.25, 1]]
    for name in ("fast.parquet", "fast.csv"):
        (fast.to_csv if name.endswith("csv") else fast.to_parquet)(tmp_path / name)
        again = Outcomes.read(tmp_path / name)
        assert again.cost_unit == "s" and again.cost.tolist() == [[0.25, 1]]
        assert "s per query" in run("check", tmp_path / name).output
    with pytest.raises(TableError, match="column 'cost_unit' names several units"):
        Outcomes(table.frame.assign(cost_unit=["USD", "s"]), *(np.ones((2, 2)),) * 2, ("m", "n"))


def test_a_log_keeps_its_tokens_and_latency(tmp_path):
    calls = [
        {"input": prompt, "model": model, "ok": True, "usd": 1, "took": 0.5, "in": 7, "out": tokens}
        for prompt, model, tokens in [("a", "m", 3), ("b", "m", 4), ("a", "n", 5)]
    ]
    path = written(tmp_path, "\n".join(map(json.dumps, calls)), "calls.jsonl")
    layout = Layout("input", "ok", "usd", "model", tokens_in="in", tokens_out="out", latency="took")
    partial = convert(path, layout, missing="keep")
    assert type(partial) is PartialOutcomes and partial.answered.tolist() == [[True, True], [True, False]]
    assert partial.priced("total_tokens").cost[0].tolist() == [10, 12]
    assert partial.priced("latency").points()[:, 0].tolist() == [0.5, 0.5]
    assert convert(path, layout, missing="drop").priced("total_tokens").cost.tolist() == [[10, 12]]
    one = convert(written(tmp_path, json.dumps(calls[:2]), "one.json"), layout)
    assert one.frame["m|latency"].tolist() == [0.5, 0.5]  # though it varies within no sample


def test_an_own_table_is_reproduced_by_latency(tmp_path):
    text = "sample_id,prompt,eval_name,a,a|total_cost,a|latency\n1,p,t,1,0.1,2.5\n"
    assert read_own(written(tmp_path, text, "mine.csv"), cost="latency").cost.tolist() == [[2.5]]
    with pytest.raises(UsageError, match="column 'a|speed' is not in the table; did you mean"):
        read_own(tmp_path / "mine.csv", cost="speed")
