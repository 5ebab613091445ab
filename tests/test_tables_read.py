"""Reading tables as people have them: nothing is lost without a word, and CSV and Parquet say the same."""

from __future__ import annotations

import datetime
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rb_support.catalog import dataset_of_task
from rb_support.load import load_outcomes
from rb_support.outcomes import Battles, Origin, Outcomes, PairScores, TableError, files
from rb_support.outcomes.checks import floats
from rb_support.simulate import simulate_outcomes

SEMICOLONS = str.maketrans(",.", ";,")
HEAD = "sample_id,prompt,eval_name,a,a|total_cost"
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]


def columns(**changes: Any) -> dict[str, Any]:
    base = {"sample_id": ["1", "2"], "prompt": ["p", "q"], "eval_name": ["t", "t"]}
    return base | {"a": [1.0, 0.0], "a|total_cost": [0.1, 0.1]} | changes


def parquet(folder: Path, **changes: Any) -> Path:
    path = folder / "t.parquet"
    pq.write_table(pa.table(columns(**changes)), path)
    return path


def csv(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# --- what is text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        (pa.array([b"hello", "schön".encode()]), ["hello", "schön"]),
        (pa.array([b"hello", b"second"], pa.large_binary()), ["hello", "second"]),
        (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
        (pa.array([["One", "Two"], ["Three"]]), ["One\n\nTwo", "Three"]),
        (pa.array([CHAT, CHAT[1:]]), ["Be brief.\n\nHi", "Hi"]),
        (pa.array([CHAT[1], CHAT[1]]), ["Hi", "Hi"]),
        (
            pa.array([[{"role": "user", "content": [{"type": "text", "text": "See"}]}]] * 2),
            ["See", "See"],
        ),
        (pa.array([["[1, 2]"], ["😀"]]), ["[1, 2]", "😀"]),
    ],
)
def test_prompts_of_a_parquet_file_become_text(tmp_path: Path, prompt: pa.Array, read: list[str]) -> None:
    got = Outcomes.read(parquet(tmp_path, prompt=prompt))
    assert got.frame["prompt"].tolist() == read
    chats = "prompts that were chat messages, of which the contents alone were taken: 2"
    assert got.origin.notes == ((chats,) if "role" in str(prompt.type) else ())


@pytest.mark.parametrize(
    "prompt",
    [
        pa.array([{"text": "hi"}, {"text": "yo"}]),
        pa.array([[1, 2], [3]]),
        pa.array([b"\xff\xfe", b"ok"]),
        pa.array([[["a"]], [["b"]]]),
        pa.array([[{"type": "image_url", "url": "x"}]] * 2),
        pa.array([[("k", "v")]] * 2, pa.map_(pa.string(), pa.string())),
    ],
)
def test_prompts_that_are_no_text_are_refused(tmp_path: Path, prompt: pa.Array) -> None:
    with pytest.raises(TableError, match=r"^t.parquet: row 1, column 'prompt': is no text \(.*\); write"):
        Outcomes.read(parquet(tmp_path, prompt=prompt))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("['One' 'Two']", "One\n\nTwo"),
        ("['One'\n \"it's two\"]", "One\n\nit's two"),
        ('["a \\ud83d\\ude00", "b"]', "a 😀\n\nb"),
        (json.dumps(CHAT), "Be brief.\n\nHi"),
        (str(CHAT), "Be brief.\n\nHi"),
        (str(np.array(CHAT)), "Be brief.\n\nHi"),
        (str(np.array(["don't", 'say "x"', "z"], dtype=object)), 'don\'t\n\nsay "x"\n\nz'),
        ('[{"from": "human", "value": "Hi"}]', "Hi"),
        ("[['a', 'b']]", "[['a', 'b']]"),
        ('{"a": 1}', '{"a": 1}'),
        ("{x}", "{x}"),
        ("['a\nb']", "['a\nb']"),
        ("['\\ud83d']", "['\\ud83d']"),
        ("[" * 5000 + "]" * 5000, "[" * 5000 + "]" * 5000),
    ],
)
def test_prompts_written_as_lists_are_decoded_or_stay(text: str, read: str) -> None:
    got = Outcomes.from_wide(pd.DataFrame(columns(prompt=[text, "q"])))
    assert got.frame["prompt"][0] == read
    again = Outcomes.from_wide(got.to_wide())
    assert again.frame["prompt"].tolist() == got.frame["prompt"].tolist()


def test_half_characters_are_refused() -> None:
    for column in ("prompt", "sample_id", "a|model_response", "eval_name"):
        frame = pd.DataFrame(columns()).astype(object)
        frame[column] = pd.Series(["fine", "half \ud83d"], dtype=object)
        with pytest.raises(
            TableError,
            match=f"^t: row 2, column '{column}': is no text .surrogates".replace("|", "[|]"),
        ):
            Outcomes.from_wide(frame, name="t")


def test_other_columns_keep_what_they_hold(tmp_path: Path) -> None:
    big = 12345678901234567
    got = Outcomes.read(
        parquet(
            tmp_path,
            sample_id=pa.array([2**64 - 1, 5], pa.uint64()),
            **{
                "a|model_response": pa.array([b"yes", None]),
                "request": pa.array([big, None]),
                "tags": pa.array([["x", "y"], []]),
                "meta": pa.array([{"k": 1}, {"k": None}]),
                "day": pa.array([datetime.date(2024, 1, 2)] * 2),
            },
        )
    )
    frame = got.frame
    assert frame["sample_id"].tolist() == ["18446744073709551615", "5"]
    assert frame["a|model_response"][0] == "yes" and frame["request"][0] == big
    assert frame["tags"].tolist() == ['["x", "y"]', "[]"] and frame["meta"][0] == '{"k": 1}'
    assert str(frame["day"][0]) == "2024-01-02"
    got.to_parquet(tmp_path / "own.parquet")
    assert Outcomes.read(tmp_path / "own.parquet").frame["request"][0] == big
    got.to_csv(tmp_path / "own.csv")
    assert Outcomes.read(tmp_path / "own.csv").frame["request"].tolist() == [str(big), ""]


@pytest.mark.parametrize("kind", ["category", "string", "string[pyarrow]", "object"])
def test_any_type_of_text_column_is_read(kind: str) -> None:
    names = ["sample_id", "prompt", "eval_name"]
    frame = pd.DataFrame(columns()).astype(dict.fromkeys(names, kind))
    assert Outcomes.from_wide(frame).frame["prompt"].tolist() == ["p", "q"]
    long = Outcomes.from_wide(frame).to_long().astype(dict.fromkeys([*names, "model_name"], kind))
    assert Outcomes.from_long(long).models == ("a",)


@pytest.mark.parametrize("prompt", [{"a"}, pd.Series(["a"]), object()])
def test_other_objects_are_no_text(prompt: Any) -> None:
    frame = pd.DataFrame(columns(prompt=[prompt, "q"], **{"a|total_cost": 0}))
    with pytest.raises(TableError, match="row 1, column 'prompt': is no text .a (set|Series|object)"):
        Outcomes.from_wide(frame)


def test_ids_of_mixed_types_are_one(tmp_path: Path) -> None:
    long = pd.DataFrame({"sample_id": [1, "1"], "prompt": "p", "eval_name": "t", "model_name": [7, 8]})
    got = Outcomes.from_long(long.assign(performance=[1, 0], cost=0))
    assert got.models == ("7", "8") and got.frame["sample_id"].tolist() == ["1"]


def test_battles_of_categories_are_read() -> None:
    two = {"model_a": pd.Categorical(["a", "c"]), "model_b": pd.Categorical(["b", "a"])}
    frame = pd.DataFrame({"prompt": ["p", "q"], **two, "winner": ["model_a", "tie"]})
    np.testing.assert_array_equal(Battles.from_frame(frame).share, [1, 0.5])
    winner = pd.Categorical(["model_a", "tie (bothbad)"])
    frame = frame.assign(model_a=["a", "a"], model_b=["b", "b"], winner=winner)
    np.testing.assert_array_equal(Battles.from_frame(frame).share, [1, 0.5])
    np.testing.assert_array_equal(Battles(frame.assign(winner="tie")).share, [0.5, 0.5])
    with pytest.raises(
        TableError, match="row 1, column 'prompt': .* is not text .*turn the column into text"
    ):
        Battles.from_frame(frame.assign(prompt=[["p", "q"], ["r"]]))
    with pytest.raises(TableError, match="column 'prompt' is missing"):
        Battles.from_frame(frame.drop(columns="prompt"))
    flags = frame.drop(columns="winner").assign(
        winner_model_a=[True, False], winner_model_b=[False, False], winner_tie=["False", "TRUE"]
    )
    np.testing.assert_array_equal(Battles.from_frame(flags).share, [1, 0.5])


# --- what is a number ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("1", 1), (" 0.25 ", 0.25), ("1e-3", 0.001), (".5", 0.5), ("1.", 1), ("+1", 1), ("TRUE", 1),
        ("false", 0),
        ("1_0", None), ("0x1", None), ("١", None), ("0,5", None), ("50%", None), ("$1", None), ("1 0", None),
        ("one", None), ("1e", None), ("½", None), ("1j", None), ("--1", None), ("0.5.", None),
    ],
)  # fmt: skip
def test_both_readers_agree_on_what_is_a_number(tmp_path: Path, cell: str, number: float | None) -> None:
    paths = [csv(tmp_path, f'{HEAD}\n1,p,t,"{cell}",0\n2,q,t,0,0\n'), parquet(tmp_path, a=[cell, "0"])]
    long = "sample_id,prompt,eval_name,model_name,performance,cost"
    paths.append(csv(tmp_path, f'{long}\n1,p,t,a,"{cell}",0\n', "long.csv"))
    for path in paths:
        if number is None:
            with pytest.raises(TableError, match="row 1 .*is not a number; write a plain number such as 0.5"):
                Outcomes.read(path)
        else:
            assert Outcomes.read(path).quality[0, 0] == number


@pytest.mark.parametrize(
    "scores",
    [
        [Decimal("0.25"), Decimal("1")], pd.array([0.25, 1.0], dtype="Float64"), pd.Categorical([0.25, 1.0]),
        np.array([0.25, 1], dtype=np.float16), np.array(["0.25", "1"], dtype=object), pa.array([0.25, 1.0]),
    ],
)  # fmt: skip
def test_any_type_of_number_column_is_read(scores: Any) -> None:
    got = Outcomes.from_wide(pd.DataFrame(columns(a=scores)))
    np.testing.assert_array_equal(got.quality[:, 0], [0.25, 1])
    costs = Outcomes.from_wide(pd.DataFrame(columns(**{"a|total_cost": scores})))
    np.testing.assert_array_equal(costs.cost[:, 0], [0.25, 1])


@pytest.mark.parametrize(
    "scores", [[True, False], pd.array([True, False], dtype="boolean"), ["True", "False"]]
)
def test_truth_is_a_score_and_no_cost(scores: Any) -> None:
    got = Outcomes.from_wide(pd.DataFrame(columns(a=scores)))
    np.testing.assert_array_equal(got.quality[:, 0], [1, 0])
    with pytest.raises(TableError, match="row 1 .*'a.total_cost': '?True'? is not a number"):
        Outcomes.from_wide(pd.DataFrame(columns(**{"a|total_cost": scores})))


@pytest.mark.parametrize("cell", ["1e308", "1e400", "inf", "-1", "1e13"])
def test_costs_that_are_none_are_named_at_once(tmp_path: Path, cell: str) -> None:
    said = r"row 2 \(sample_id 2\), column 'a\|total_cost': .* is not a cost .*at least 0 and at most 1e\+12"
    for path in (
        csv(tmp_path, f"{HEAD}\n1,p,t,1,0\n2,q,t,1,{cell}\n"),
        parquet(tmp_path, **{"a|total_cost": [0, float(cell)]}),
    ):
        with pytest.raises(TableError, match=said):
            Outcomes.read(path)


@pytest.mark.parametrize(
    "kinds", [{}, {"sample_id": [b"\xff", "x"]}, {"a": [1 + 2j, 0]}, {"a": [pd.Timestamp(0)] * 2}]
)
def test_cells_of_odd_types_are_refused_with_their_row(kinds: dict[str, Any]) -> None:
    frame = pd.DataFrame(columns(**kinds))
    if not kinds:
        Outcomes.from_wide(frame)
        return
    with pytest.raises(TableError, match="row 1.*is no"):
        Outcomes.from_wide(frame)


# --- columns ---------------------------------------------------------------------------------------------


def test_a_header_that_names_a_column_twice_is_refused(tmp_path: Path) -> None:
    for header, twice in (
        (f"{HEAD},a", "'a'"),
        (f"{HEAD},sample_id", "'sample_id'"),
        (f"{HEAD},note,note", "'note'"),
    ):
        cells = ",".join("1" for _ in header.split(","))
        with pytest.raises(TableError, match=f"t.csv: column {twice} stands twice"):
            Outcomes.read(csv(tmp_path, f"{header}\n{cells}\n"))
    table = pa.table([pa.array(["1"])] * 3, names=["sample_id", "sample_id", "prompt"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(TableError, match="is missing|stands twice"):
        Outcomes.read(tmp_path / "t.parquet")


def test_scores_without_costs_and_costs_without_scores_are_named(tmp_path: Path) -> None:
    rows = "1,p,t,1,0,{}\n2,q,t,0,0,{}\n"
    for name in ("b|cost", "b |total_cost", "b|totalcost"):
        path = csv(tmp_path, f"{HEAD},b,{name}\n" + rows.format("1,0.1", "0,0.1"))
        with pytest.raises(TableError, match=r"column 'b ?(.total_cost)?' .*is missing beside"):
            Outcomes.read(path)
    with pytest.raises(TableError, match=r"column 'b.total_cost' is missing beside the scores 'b'"):
        Outcomes.from_wide(
            pd.DataFrame(
                {"sample_id": ["1"], "prompt": "p", "eval_name": "t", "a": 1, "b": 1, "a|total_cost": 0}
            )
        )
    for key in ("prompt", "dataset"):
        frame = pd.DataFrame(columns(**{"dataset": "d", f"{key}|total_cost": 0}))
        with pytest.raises(TableError, match=f"'{key}' is no name for a model"):
            Outcomes.from_wide(frame)
    path = csv(tmp_path, f"{HEAD},b\n" + rows.format("1", "NA"))
    with pytest.warns(UserWarning, match="taken for no model, for want of a cost column '….total_cost': b"):
        got = Outcomes.read(path)
    assert got.models == ("a",) and got.origin.notes[0].endswith(": b")
    for other in ("x", "2", "True", ""):
        assert not Outcomes.read(csv(tmp_path, f"{HEAD},b\n" + rows.format(other, other))).origin.notes


def test_nameless_columns_are_row_numbers_or_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame(columns(sample_id=["1", "2"]))
    frame.to_csv(tmp_path / "t.csv")
    assert Outcomes.read(tmp_path / "t.csv").frame.shape == (2, 4)
    pd.read_csv(tmp_path / "t.csv").to_csv(tmp_path / "t.csv")
    assert Outcomes.read(tmp_path / "t.csv").frame.shape == (2, 4)
    frame.set_index("sample_id").to_parquet(tmp_path / "t.parquet")
    assert Outcomes.read(tmp_path / "t.parquet").frame["sample_id"].tolist() == ["1", "2"]
    assert len(Outcomes.read(csv(tmp_path, f"{HEAD},,\n1,p,t,1,0,,\n"))) == 1
    long = "index,sample_id,prompt,eval_name,model_name,performance,cost\n"
    assert "index" not in Outcomes.read(csv(tmp_path, f"{long}5,1,p,t,a,1,0\n")).frame
    assert Outcomes.read(csv(tmp_path, f"{long}x,1,p,t,a,1,0\n")).frame["index"].tolist() == ["x"]
    for header, cells in ((f"{HEAD},", "1,p,t,1,0,lost"), (f"{HEAD}, , |total_cost", "1,p,t,1,0,0.5,1")):
        with pytest.raises(TableError, match="t.csv: column 6 has no name; name it or delete it"):
            Outcomes.read(csv(tmp_path, f"{header}\n{cells}\n"))
    with pytest.raises(TableError, match="column 6 has no name"):  # scores, not row numbers
        Outcomes.read(csv(tmp_path, f"{HEAD},\n1,p,t,1,0,1\n2,p,t,1,0,0\n3,p,t,1,0,1\n"))


@pytest.mark.parametrize("name", ["a\x1b[2J", "a\tb", "a\nb", "a\u202eb", "a\u200b", "\ufeffa", "\x01"])
def test_names_nobody_can_see_are_refused_and_shown_escaped(tmp_path: Path, name: str) -> None:
    frames = [
        pd.DataFrame(columns()).rename(columns={"a": name, "a|total_cost": f"{name}|total_cost"}),
        *(pd.DataFrame(columns(**{column: [name, "x"]})) for column in ("sample_id", "eval_name")),
        pd.DataFrame(columns(**{name: "x"})),
    ]
    for frame in frames:
        frame.to_parquet(tmp_path / "t.parquet")
        frame.to_csv(tmp_path / "t.csv", index=False, quoting=1)
        for path in ("t.parquet", "t.csv"):
            with pytest.raises(TableError, match="(plain|visible) characters") as error:
                Outcomes.read(tmp_path / path)
            assert str(error.value).isprintable()
    with pytest.raises(TableError, match="control character"):
        Battles(pd.DataFrame({"prompt": ["p"], "model_a": [name], "model_b": ["b"], "winner": ["tie"]}))


def test_names_without_end_are_refused() -> None:
    name = "x" * 100_000
    frame = pd.DataFrame(columns()).rename(columns={"a": name, "a|total_cost": f"{name}|total_cost"})
    with pytest.raises(TableError, match="1 to 200 visible characters") as error:
        Outcomes.from_wide(frame)
    assert len(str(error.value)) < 1000


def test_messages_show_ids_and_files_escaped(tmp_path: Path) -> None:
    path = csv(tmp_path, f"{HEAD}\nx\x1b[2J\x07,p,t,bad,0\n", "t\x1b[2J.csv")
    with pytest.raises(TableError, match=r"^t\\x1b\[2J.csv: row 1 \(sample_id x\\x1b\[2J\\x07\)") as error:
        Outcomes.read(path)
    assert str(error.value).isprintable()


# --- files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_the_headers_does(tmp_path: Path, end: str) -> None:
    lone = "line\rbreak" if end != "\r" else "line"
    rows = [f"{HEAD},note", f"1,{lone},t,1,0,{lone}", f'2,"{lone}",t,0,0,"two\r\nlines"', "", "3,p,t,1,0,x"]
    got = Outcomes.read(csv(tmp_path, end.join(rows) + end))
    assert got.frame["prompt"].tolist() == [lone, lone, "p"]
    assert got.frame["note"].tolist() == [lone, "two\r\nlines", "x"]


def test_answers_with_lone_carriage_returns_come_back_from_any_writer(tmp_path: Path) -> None:
    answers = ["Working\rThe answer is 5.", "\rno", "ends\r"]
    frame = pd.DataFrame({"sample_id": list("123"), "prompt": list("pqr"), "eval_name": "t", "a": 1.0})
    one = Outcomes.from_wide(frame.assign(**{"a|model_response": answers, "a|total_cost": 0.1}))
    for made in (one.to_wide(), one.to_long()):
        made.to_csv(tmp_path / "t.csv", index=False)
        assert Outcomes.read(tmp_path / "t.csv").frame["a|model_response"].tolist() == answers
        unquoted = (tmp_path / "t.csv").read_bytes().replace(b'"', b"")  # as Python before 3.11.9 wrote it
        assert Outcomes.read(csv(tmp_path, unquoted)).frame["a|model_response"].tolist() == answers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{HEAD}\n1,p,t,1,0.1\n".translate(SEMICOLONS), "header '.*' is separated by semicolons; .*a point"),
        (f"{HEAD}\n1,p,t,1,0\n".replace(",", "\t"), "is separated by tabs; save the table with commas"),
        (f"sep=,\n{HEAD}\n1,p,t,1,0\n", "line 1 'sep=,' is a spreadsheet's, no header"),
        ("sep=;\nsample_id;prompt\n", "line 1 'sep=;' is a spreadsheet's, no header"),
        (f"{HEAD}\n1,p,t,1,0\n".encode("utf-16"), "not a CSV file .* .line 1, byte 0xff: UTF-16.; save"),
        (f"{HEAD}\n1,p,t,1,0\n".encode("utf-16-le"), "UTF-16 or no text"),
        (f"{HEAD}\n1,p,t,1,0\n2,schön,t,1,0\n".encode("latin-1"), "line 3, byte 0xf6: another encoding"),
        (f'{HEAD}\n0,p,t,1,0\n1,"He said \\"hi, you\\"",t,1,0.1\n', r'row 2 \(line 3\) is not CSV .*twice'),
        (f'{HEAD}\n1,"open,t,1,0\n2,p,t,1,0\n', "row 1 .*is not CSV .*close every quote"),
        (f"{HEAD}\n1,p,t,1,0\n2,p,t,1,0,5\n", "row 2 has 6 fields, the header 5"),
        (f"{HEAD}\n1,p,t,1,0\n2,p,t\n", "row 2 has 3 fields, the header 5"),
        (f"# my table\n{HEAD}\n1,p,t,1,0\n", "row 1 has 5 fields, the header 1"),
        (HEAD, "the table has no rows"),
        ("\ufeff", "it is empty"),
        (f'{HEAD}\n1,p,t,"0,5",0\n', "row 1 .*'0,5' is not a number; .*with a point"),
    ],
)  # fmt: skip
def test_what_is_no_plain_csv_is_named_with_its_remedy(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(TableError, match=f"^t.csv: .*{said}"):
        Outcomes.read(csv(tmp_path, text))


def test_byte_order_marks_and_capital_suffixes_are_read(tmp_path: Path) -> None:
    assert Outcomes.read(csv(tmp_path, f"\ufeff{HEAD}\n1,p,t,1,0\n", "T.CSV")).models == ("a",)


def test_what_is_no_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for name in ("pipe.csv", "folder.csv", "zero.csv"):
        with pytest.raises(TableError, match=f"{name}: is a folder or a device, not a file; check the path"):
            Outcomes.read(tmp_path / name)
    path = csv(tmp_path, HEAD)

    def denied(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(
        TableError, match="t.csv: cannot be read .Permission denied.; check the path and who may"
    ):
        Outcomes.read(path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    one = Outcomes.from_wide(pd.DataFrame(columns()))
    for write in (one.to_csv, one.to_parquet):
        with pytest.raises(TableError, match="cannot be written .*; choose another"):
            write(tmp_path / "file" / "t.csv")


def test_a_folder_named_as_a_partition_adds_no_column(tmp_path: Path) -> None:
    (tmp_path / "model=x").mkdir()
    assert list(Outcomes.read(parquet(tmp_path / "model=x")).frame.columns) == [
        "sample_id",
        "dataset",
        "task",
        "prompt",
    ]


def test_the_loader_takes_models_and_rows_that_are_whole(tmp_path: Path) -> None:
    path = csv(tmp_path, f"{HEAD},b,b|total_cost\n1,p,t,1,0,NA,0\n2,q,t,0,0,1,0\n")
    assert load_outcomes(str(path), models=["a"]).models == ("a",)
    assert len(load_outcomes(str(path), missing="drop")) == 1
    assert load_outcomes(models=["claude-v1"]).models == ("claude-v1",)
    for data, said in (
        ("reel", "'reel', and a table ends in"),
        (str(tmp_path / "no.csv"), "there is no such file"),
    ):
        with pytest.raises(ValueError, match=said):
            load_outcomes(data)


# --- a Parquet file's own record ---------------------------------------------------------------------------


def recorded(folder: Path, record: object) -> Path:
    said = record if isinstance(record, bytes) else json.dumps(record).encode()
    table = pa.table(columns(task=["t", "t"], dataset=["t", "t"]))
    pq.write_table(table.replace_schema_metadata({b"rb_support": said}), folder / "t.parquet")
    return folder / "t.parquet"


def record(**changes: object) -> dict[str, object]:
    origin = {"kind": "own", "name": "x", "files": [], "notes": []}
    about = {"table": "Outcomes", "models": ["a"], "origin": origin | changes.pop("origin", {})}  # type: ignore[operator]
    return about | changes


@pytest.mark.parametrize(
    "wrong",
    [
        b"{", b"[1]", b"null", b"\xff", b'"x"', b"[" * 100_000,
        record(models=["nope"]), record(models=None), record(models=[["a"]]), record(models="a" * 3),
        record(origin={"kind": "published"}), record(origin={"name": 5}), record(origin={"files": [["x"]]}),
        record(origin={"files": 3}), record(origin={"notes": [1]}), record(origin={"kind": ["real"]}),
        record(origin={"name": "x\x1b[2J"}), record(origin={"name": "x" * 10**6}),
        {"table": "Outcomes"}, {"table": "Battles"}, {"table": ["Outcomes"]}, record() | {"origin": 1},
    ],
)  # fmt: skip
def test_a_broken_record_is_named(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(TableError, match=r"^t.parquet: (its metadata 'rb_support'|holds )"):
        Outcomes.read(recorded(tmp_path, wrong))


def test_no_file_makes_itself_real(tmp_path: Path) -> None:
    got = Outcomes.read(recorded(tmp_path, record(origin={"kind": "real", "name": "RouterBench"})))
    assert (got.origin.kind, got.origin.name) == ("own", "t.parquet")
    assert got.origin.notes == ("the file calls itself real: RouterBench",)
    real = Outcomes(got.frame, got.quality, got.cost, got.models, Origin("real", "RouterBench"))
    for table in (real, PairScores(real.frame, [1, 0], [0, 1], "s", "w", real.origin)):
        table.to_parquet(tmp_path / "own.parquet")
        assert type(table).from_parquet(tmp_path / "own.parquet").origin.kind == "own"
        assert type(table).from_parquet(tmp_path / "own.parquet", published=True).origin == real.origin


def test_a_simulated_table_stays_one(tmp_path: Path) -> None:
    one = simulate_outcomes(200)
    one.to_parquet(tmp_path / "t.parquet")
    assert Outcomes.read(tmp_path / "t.parquet").origin == one.origin


# --- written for spreadsheets ------------------------------------------------------------------------------


def test_formulas_are_guarded_and_come_back(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "'=x", "''@", "'quoted'", "plain"]
    frame = pd.DataFrame({"sample_id": [f"-{i}" for i in range(10)], "prompt": texts, "eval_name": "@task"})
    frame = frame.assign(**{"=m": 1.0, "=m|model_response": texts, "=m|total_cost": 0.0, "note": texts})
    one = Outcomes.from_wide(frame)
    for long in (False, True):
        one.to_csv(tmp_path / "t.csv", long=long)
        cells = pd.read_csv(tmp_path / "t.csv", dtype=str, header=None, keep_default_na=False)
        assert not cells.stack().str.match(r"[=+\-@\t\r]").any()
        again = Outcomes.read(tmp_path / "t.csv")
        assert again.models == ("=m",)
        pd.testing.assert_frame_equal(again.frame[one.frame.columns], one.frame, check_dtype=False)
        assert "apostrophe" in again.origin.notes[0]


def test_a_failed_csv_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, one = tmp_path / "t.csv", Outcomes.from_wide(pd.DataFrame(columns()))
    one.to_csv(path)
    before = path.read_bytes()

    def full(file: TextIO, **_: object) -> None:
        file.write("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("csv.writer", full)
    with pytest.raises(TableError, match="t.csv: cannot be written .No space left on device"):
        one.to_csv(path)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["t.csv"]


# --- tasks and datasets ------------------------------------------------------------------------------------

OWN_TASKS = (
    "mmlu-pro-law", "mmlu_pro", "mmlu-law", "mmmlu", "mmlu-redux", "mtbench-101", "support", "arc-easy",
    "gsm8k-hard", "mbpp-plus", "Other things", "chinese", "winogrande-xl",
)  # fmt: skip


@pytest.mark.parametrize(
    ("task", "dataset"),
    [
        ("mmlu-abstract-algebra", "MMLU"), ("MMLU_Anatomy", "MMLU"), ("mmlu", "MMLU"), ("gsm8k", "GSM8K"),
        ("arc_challenge", "ARC-Challenge"), ("mtbench", "MT-Bench"), ("mt_bench_writing", "MT-Bench"),
        ("mtbench-reference", "MT-Bench"), ("rag", "RAG"), ("chinese_zodiac", "Other"),
        ("bias_detection", "Other"),
        *((own, own) for own in OWN_TASKS),
    ],
)  # fmt: skip
def test_only_published_tasks_belong_to_a_published_dataset(task: str, dataset: str) -> None:
    assert dataset_of_task(task) == dataset
    got = Outcomes.from_wide(pd.DataFrame(columns(eval_name=[task, task])))
    assert got.datasets == (dataset,) and len(got) == 2


def test_a_csv_file_is_read_in_pieces_as_it_is_at_once(monkeypatch):
    """However many rows a piece has, frames are the same and a broken row keeps its number."""
    text = "a,b\n" + "".join(f"{i},x\n" for i in range(6))
    broken = {"7,x,y\n": "row 7 has 3 fields", '7,"x" y\n': r"row 7 \(line 8\) is not CSV"}
    for at_once in (1, 2, 3, 6, 100):
        monkeypatch.setattr(files, "_AT_ONCE", at_once)
        frame = files.frame_of(text, "t.csv")
        assert frame["a"].tolist() == list("012345") and frame.index.tolist() == list(range(6))
        assert list(files.frame_of("a,b\n", "t.csv")) == ["a", "b"]
        for row, said in broken.items():
            with pytest.raises(TableError, match=said):
                files.frame_of(text + row, "t.csv")
        with pytest.raises(TableError, match=r"row 0 \(line 1\) is not CSV"):
            files.frame_of('"a" b,c\n', "t.csv")


def test_equal_cells_of_other_kinds_stay_apart():
    """Only texts are asked about once: True is no cost, though it equals 1."""
    column = pd.Series([1, True, "1", "1", None], dtype=object)
    np.testing.assert_array_equal(floats(column, truth=False), [1, np.nan, 1, 1, np.nan])
    np.testing.assert_array_equal(
        floats(pd.Series(["0.5", None, "0.5"], dtype=str), True), [0.5, np.nan, 0.5]
    )
