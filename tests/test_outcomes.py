"""The three tables: their checks, their ways in and out, and their splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rb_support.outcomes import Battles, Origin, Outcomes, PairScores, TableError
from rb_support.outcomes.splits import hold_out

SIMULATED = Origin("simulated", "made for a test", (("a.csv", "00"),), ("first note",))


def wide(**changes: object) -> pd.DataFrame:
    """Three rows as the published files write them: object scores, list literals, an oracle column."""
    columns: dict[str, object] = {
        "Unnamed: 0": [7, 8, 9],
        "sample_id": ["mmlu-virology.test.1", "arc-challenge.test.1", "mtbench.1"],
        "prompt": ["['Who?']", "['为什么?']", "['One', 'Two']"],
        "eval_name": ["mmlu-virology", "arc-challenge", "mtbench"],
        "a": [1.0, "0.25", "0"],
        "b": pd.Series([0, 1, "0.9"], dtype=object),
        "a|model_response": ["['x']", "['y']", "['z']"],
        "b|model_response": ["['p']", "['q']", "['r']"],
        "a|total_cost": [0.001, 0.002, 0.003],
        "b|total_cost": ["1e-05", "2e-05", "3e-05"],
        "oracle_model_to_route_to": ["a", "b", "b"],
    }
    return pd.DataFrame(columns | changes)


def table(tasks: list[str], prompts: list[str] | None = None, ids: list[str] | None = None) -> Outcomes:
    n = len(tasks)
    frame = pd.DataFrame(
        {
            "sample_id": ids or [f"q{i}" for i in range(n)],
            "dataset": [task.split("-")[0] for task in tasks],
            "task": tasks,
            "prompt": prompts or [f"prompt {i}" for i in range(n)],
        }
    )
    quality = np.linspace(0, 1, 2 * n).reshape(n, 2)
    return Outcomes(frame, quality, quality / 100, ("a", "b"), SIMULATED)


def assert_same(one: Outcomes, other: Outcomes) -> None:
    pd.testing.assert_frame_equal(one.frame, other.frame)
    np.testing.assert_array_equal(one.quality, other.quality)
    np.testing.assert_array_equal(one.cost, other.cost)
    assert one.models == other.models


# --- wide frames -----------------------------------------------------------------------------------------


def test_wide_frame_with_the_published_quirks() -> None:
    got = Outcomes.from_wide(wide())
    assert got.models == ("a", "b")
    np.testing.assert_array_equal(got.quality, [[1, 0], [0.25, 1], [0, 0.9]])
    np.testing.assert_array_equal(got.cost, [[0.001, 1e-5], [0.002, 2e-5], [0.003, 3e-5]])
    assert got.frame["prompt"].tolist() == ["Who?", "为什么?", "One\n\nTwo"]
    assert got.frame["task"].tolist() == ["mmlu-virology", "arc-challenge", "mtbench"]
    assert got.datasets == ("MMLU", "ARC-Challenge", "MT-Bench")
    extras = ["a|model_response", "b|model_response", "oracle_model_to_route_to"]
    assert list(got.frame.columns) == ["sample_id", "dataset", "task", "prompt", *extras]
    assert got.origin == Origin("own", "table")


@pytest.mark.parametrize("prompt", ["Say [1, 2]", "[1, 2]", "[unfinished", "['broken", "[]", "[a] and [b]"])
def test_own_prompts_stay_untouched(prompt: str) -> None:
    got = Outcomes.from_wide(wide(prompt=["['Who?']", prompt, "plain"]))
    assert got.frame["prompt"].tolist() == ["Who?", prompt, "plain"]


def test_lists_of_turns_count_as_prompts() -> None:
    got = Outcomes.from_wide(wide(prompt=[["One", "Two"], np.array(["Three"]), "Four"]))
    assert got.frame["prompt"].tolist() == ["One\n\nTwo", "Three", "Four"]


def test_numeric_texts_keep_every_digit() -> None:
    cost = "0.00031079999999999997"
    got = Outcomes.from_wide(wide(**{"a|total_cost": [cost, "0", "0"]}))
    assert repr(float(got.cost[0, 0])) == cost


def test_own_datasets_and_number_ids() -> None:
    got = Outcomes.from_wide(wide(dataset=["mine", "mine", "ARC-Challenge"], sample_id=[1, 2, 3]))
    assert got.datasets == ("ARC-Challenge", "mine")
    assert got.frame["sample_id"].tolist() == ["1", "2", "3"]


def test_models_are_chosen_in_the_order_asked() -> None:
    got = Outcomes.from_wide(wide(a=["broken"] * 3), models=["b"])
    assert got.models == ("b",)
    np.testing.assert_array_equal(got.quality[:, 0], [0, 1, 0.9])
    assert "a|model_response" not in got.frame and "b|model_response" in got.frame
    assert Outcomes.from_wide(wide(), models=["b", "a"]).models == ("b", "a")


def test_rows_that_lack_a_score_are_dropped_and_counted() -> None:
    got = Outcomes.from_wide(wide(a=[1, "NA", 0]), origin=SIMULATED, missing="drop")
    assert got.frame["task"].tolist() == ["mmlu-virology", "mtbench"]
    np.testing.assert_array_equal(got.cost, [[0.001, 1e-5], [0.003, 3e-5]])
    assert got.origin.notes == ("first note", "rows dropped for a missing score or cost: 1")


def test_dropping_every_row_is_refused() -> None:
    with pytest.raises(TableError, match="no row has .* most are missing of 'a', 3 of 3"):
        Outcomes.from_wide(wide(a=[None, "NA", ""]), missing="drop")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"a": [1, "good", 0]}, r"row 2 \(sample_id arc-challenge.test.1\), column 'a': 'good' is not a num"),
        ({"a": [1, 1.5, 0]}, r"row 2 .*column 'a': 1.5 lies outside \[0, 1\]; rescale"),
        ({"b": [-0.1, 0, "80"]}, r"row 1 .*column 'b': -0.1 lies outside \[0, 1\] \(first of 2 such"),
        ({"a": [1, "inf", 0]}, r"row 2 .*column 'a': inf lies outside"),
        ({"a": [1, np.nan, 0]}, r"row 2 .*column 'a': is missing; fill it in"),
        ({"b": ["", 1, None]}, r"row 1 .*column 'b': is missing \(first of 2 such cells\); "),
        ({"a|total_cost": [0, 0, -1e-9]}, r"row 3 .*column 'a\|total_cost': -1e-09 is not a cost"),
        ({"a|total_cost": [0, np.inf, 0]}, r"row 2 .*column 'a\|total_cost': inf is not a cost"),
        ({"a|total_cost": [np.nan, 0, 0]}, r"row 1 .*column 'a\|total_cost': is missing"),
        ({"a|total_cost": ["$1", 0, 0]}, r"row 1 .*column 'a\|total_cost': '\$1' is not a number"),
        ({"sample_id": ["x", None, "y"]}, r"row 2 .*column 'sample_id': is empty; fill it in"),
        ({"sample_id": ["x", "y", "x"]}, r"row 3 \(sample_id x\), column 'sample_id': stands on a row ab"),
        ({"prompt": ["x", "y", " "]}, r"row 3 .*column 'prompt': is empty"),
        ({"dataset": ["x", None, "y"]}, r"row 2 .*column 'dataset': is empty"),
        ({"task": "x"}, r"column 'task' stands beside 'eval_name'"),
        ({"mine": 1.0, "mine|model_response": "x"}, r"column 'mine\|total_cost' is missing beside"),
        ({"claude-v1": 1.0}, r"column 'claude-v1\|total_cost' is missing beside the scores"),
        ({"c|total_cost": 1.0}, r"column 'c' \(scores\) is missing beside 'c\|total_cost'; add it"),
    ],
)  # fmt: skip
def test_bad_wide_frames_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(TableError, match="^mine.csv: " + said):
        Outcomes.from_wide(wide(**changes), name="mine.csv")


def test_missing_columns_rows_and_models_are_refused() -> None:
    with pytest.raises(TableError, match=r"t: column 'prompt', 'eval_name' is missing; .*'sample_id'"):
        Outcomes.from_wide(wide().drop(columns=["prompt", "eval_name"]), name="t")
    with pytest.raises(TableError, match="t: the table has no rows"):
        Outcomes.from_wide(wide().iloc[:0], name="t")
    with pytest.raises(TableError, match="t: column 'a' stands twice"):
        Outcomes.from_wide(pd.concat([wide(), wide()[["a"]]], axis=1), name="t")
    bare = wide()[["sample_id", "prompt", "eval_name"]]
    with pytest.raises(TableError, match=r"t: no model found; .*'<model>\|total_cost'"):
        Outcomes.from_wide(bare, name="t")


def test_unknown_models_are_refused_with_a_suggestion() -> None:
    frame = wide().rename(columns=lambda c: c.replace("b", "claude-v1") if c[0] == "b" else c)
    with pytest.raises(
        TableError, match=r"'claude-v3' is not in the table; did you mean 'claude-v1'\? known: a, "
    ):
        Outcomes.from_wide(frame, models=["claude-v3"])
    with pytest.raises(TableError, match="model 'a' is named twice"):
        Outcomes.from_wide(frame, models=["a", "a"])
    with pytest.raises(TableError, match="no model is named"):
        Outcomes.from_wide(frame, models=[])
    with pytest.raises(TableError, match=r"column 'mine\|total_cost' is missing"):
        Outcomes.from_wide(frame.assign(mine=1.0), models=["mine"])


# --- the table itself ------------------------------------------------------------------------------------


def test_a_table_is_frozen() -> None:
    frame, quality = table(["t", "t"]).frame.copy(), np.zeros((2, 2))
    got = Outcomes(frame, quality, quality, ("a", "b"))
    quality[0, 0] = 1
    frame.loc[0, "prompt"] = "changed"
    assert got.quality[0, 0] == 0 and got.frame.loc[0, "prompt"] == "prompt 0"
    for part in (got, got.take([1]), got.select(["b"])):
        with pytest.raises(ValueError, match="read-only"):
            part.quality[0, 0] = 1
    with pytest.raises(AttributeError):
        got.models = ("x",)  # type: ignore[misc]


def test_points_are_mean_cost_and_quality() -> None:
    got = Outcomes.from_wide(wide()).points()
    np.testing.assert_allclose(got, [[0.002, 1.25 / 3], [2e-5, 1.9 / 3]], rtol=1e-12)


def test_rows_models_and_datasets_are_taken() -> None:
    got = Outcomes.from_wide(wide())
    assert got.take([2, 0]).frame["task"].tolist() == ["mtbench", "mmlu-virology"]
    assert_same(got.take(np.array([True, False, True])), got.take([0, 2]))
    assert_same(got.take([-1]), got.of("MT-Bench"))
    assert len(got.of("MMLU")) == 1 and got.of("MMLU").datasets == ("MMLU",)
    chosen = got.select(["b"])
    np.testing.assert_array_equal(chosen.quality, got.quality[:, [1]])
    np.testing.assert_array_equal(chosen.cost, got.cost[:, [1]])
    assert "a|model_response" not in chosen.frame and "b|model_response" in chosen.frame


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda t: t.take([]), "no row is taken"),
        (lambda t: t.take(np.zeros(3, dtype=bool)), "no row is taken"),
        (lambda t: t.take([True, False]), r"mask of shape \(2,\) does not fit 3 rows"),
        (lambda t: t.take([0, -3]), "taken twice"),
        (lambda t: t.of("MLU"), "dataset 'MLU' is not in the table; did you mean 'MMLU'"),
        (lambda t: t.select(["c"]), "model 'c' is not in the table"),
        (lambda t: t.select([]), "no model is named"),
        (lambda t: t.split(1.0, seed=0), "train_share is 1.0"),
        (lambda t: t.split(seed=0), "cannot be split"),
    ],
)
def test_bad_calls_are_refused(call: Callable[[Outcomes], object], said: str) -> None:
    with pytest.raises(TableError, match=said):
        call(Outcomes.from_wide(wide()))


@pytest.mark.parametrize(
    ("frame", "quality", "cost", "said"),
    [
        ({}, np.zeros((2, 3)), np.zeros((2, 2)), r"quality has shape \(2, 3\); .* \(2, 2\)"),
        ({}, np.zeros((2, 2)), np.zeros(2), r"cost has shape \(2,\)"),
        ({}, np.array([[0, np.nan], [0, 0]]), np.zeros((2, 2)), "row 1 .*'b': is missing"),
        ({}, np.array([[0, 0], [2, 0]]), np.zeros((2, 2)), "row 2 .*'a': 2.0 lies outside"),
        ({}, np.zeros((2, 2)), np.array([[0, 0], [0, np.inf]]), r"row 2 .*'b\|total_cost': inf is not a"),
        ({"sample_id": "q"}, np.zeros((2, 2)), np.zeros((2, 2)), "row 2 .*stands on a row above"),
        ({"sample_id": 1}, np.zeros((2, 2)), np.zeros((2, 2)), "row 1 .*'sample_id': 1 is not text"),
        ({"prompt": None}, np.zeros((2, 2)), np.zeros((2, 2)), "row 1 .*'prompt': None is not text"),
        ({"dataset": ""}, np.zeros((2, 2)), np.zeros((2, 2)), "row 1 .*'dataset': is empty"),
        ({"a": 1.0}, np.zeros((2, 2)), np.zeros((2, 2)), "column 'a' of the frame has a model's name"),
    ],
)  # fmt: skip
def test_a_table_checks_its_parts(
    frame: dict[str, object], quality: np.ndarray, cost: np.ndarray, said: str
) -> None:
    with pytest.raises(TableError, match=said):
        Outcomes(table(["t", "t"]).frame.assign(**frame), quality, cost, ("a", "b"))


# --- round trips -----------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
PROMPT = TEXT | st.lists(TEXT, min_size=1, max_size=2).map(repr)


@st.composite
def outcomes(draw: st.DrawFn, tasks: tuple[str, ...] = ("mbpp", "mmlu-virology", "own")) -> Outcomes:
    n = draw(st.integers(1, 12))
    models = tuple(draw(st.lists(st.sampled_from(["a", "b/c", "d|e"]), min_size=1, max_size=3, unique=True)))
    cells = st.lists(st.floats(0, 1), min_size=n * len(models), max_size=n * len(models))
    prompts = draw(st.lists(PROMPT.filter(str.strip), min_size=n, max_size=n))
    frame = pd.DataFrame({"sample_id": [f"{i:03d}" for i in range(n)]})
    frame["task"] = draw(st.lists(st.sampled_from(tasks), min_size=n, max_size=n))
    frame["dataset"] = frame["task"].map({"mbpp": "MBPP", "mmlu-virology": "MMLU", "own": "mine"})
    frame["prompt"] = pd.Series(prompts, dtype=str)
    frame[f"{models[0]}|model_response"] = frame["prompt"]
    frame["note"] = frame["task"]
    quality, cost = (np.reshape(draw(cells), (n, len(models))) for _ in range(2))
    columns = ["sample_id", "dataset", "task", "prompt", f"{models[0]}|model_response", "note"]
    return Outcomes(frame[columns], quality, cost, models, SIMULATED)


@given(outcomes())
@settings(max_examples=20, deadline=None)
def test_wide_frames_come_back(one: Outcomes) -> None:
    frame = one.to_wide()
    assert list(frame.columns[:3]) == ["sample_id", "prompt", "eval_name"]
    assert_same(Outcomes.from_wide(frame), one)
    texts = frame.astype(str).sample(frac=1, random_state=0)
    again = Outcomes.from_wide(texts)
    order = np.argsort(again.frame["sample_id"].to_numpy())
    np.testing.assert_array_equal(again.quality[order], one.quality)
    np.testing.assert_array_equal(again.cost[order], one.cost)


@given(outcomes(tasks=("mbpp", "mmlu-virology")))
@settings(max_examples=20, deadline=None)
def test_long_frames_come_back(one: Outcomes) -> None:
    long = one.to_long()
    assert len(long) == len(one) * len(one.models)
    again = Outcomes.from_long(long.sample(frac=1, random_state=0), models=one.models)
    order = np.argsort(again.frame["sample_id"].to_numpy())
    again = again.take(order)
    np.testing.assert_array_equal(again.quality, one.quality)
    np.testing.assert_array_equal(again.cost, one.cost)
    kept = list(one.frame.columns)
    pd.testing.assert_frame_equal(again.frame[kept], one.frame, check_dtype=False)


@given(one=outcomes())
@settings(max_examples=10, deadline=None)
def test_parquet_comes_back(one: Outcomes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("parquet") / "t.parquet"
    one.to_parquet(path)
    again = Outcomes.from_parquet(path)
    assert_same(again, one)
    assert again.origin == one.origin == Outcomes.read(path).origin


def test_long_frame_by_hand() -> None:
    frame = pd.DataFrame(
        {
            "index": [0, 1, 2, 3],
            "sample_id": ["s", "t", "s", "t"],
            "prompt": ["['Q']", "['R']", "['Q']", "['R']"],
            "eval_name": "mbpp",
            "performance": ["1.0", "0.0", "0.5", "1"],
            "model_response": ["one", "two", "three", "four"],
            "model_name": ["a", "a", "b", "b"],
            "cost": [0.1, 0.2, 0.3, 0.4],
            "tokens": [1, 2, 3, 4],
            "topic": ["u", "v", "u", "v"],
        }
    )
    got = Outcomes.from_long(frame)
    np.testing.assert_array_equal(got.quality, [[1, 0.5], [0, 1]])
    np.testing.assert_array_equal(got.cost, [[0.1, 0.3], [0.2, 0.4]])
    assert got.frame["b|model_response"].tolist() == ["three", "four"]
    assert got.frame["b|tokens"].tolist() == [3, 4]
    assert got.frame["topic"].tolist() == ["u", "v"]
    listed = Outcomes.from_long(frame.assign(prompt=[["Q"], ["R", "S"], ["Q"], ["R", "S"]]))
    assert listed.frame["prompt"].tolist() == ["Q", "R\n\nS"]
    assert "index" not in got.frame and got.origin == Origin("own", "table")
    for changes, said in (
        ({"performance": ["1", "0", "2", "1"]}, r"^t: row 3 \(sample_id s\), column 'performance': 2.0 lies"),
        ({"cost": [1, 1, 1, "free"]}, r"^t: row 4 .*column 'cost': 'free' is not a number"),
        ({"model_name": ["a", "a", "b", "a"]}, r"^t: row 4 .*column 'model_name': 'a' answers this"),
        ({"sample_id": ["s", "t", "s", "u"]}, r"^t \(one row per sample\): row 2 .*column 'b': is missing"),
        ({"prompt": ["Q", "R", "Q", "S"]}, r"sample_id t\), column 'sample_id': stands on a row above"),
    ):  # fmt: skip
        with pytest.raises(TableError, match=said):
            Outcomes.from_long(frame.assign(**changes), name="t")
    with pytest.raises(TableError, match="column 'cost' is missing"):
        Outcomes.from_long(frame.drop(columns="cost"))


# --- files -----------------------------------------------------------------------------------------------


def test_csv_cells_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    long_prompt = "很长 " * 200_000
    rows = wide(sample_id=["001", "1e3", "3"], prompt=["NA", 'two\nlines, "quoted"', long_prompt])
    rows.to_csv(path, index=False)
    got = Outcomes.read(path)
    assert got.frame["sample_id"].tolist() == ["001", "1e3", "3"]
    assert got.frame["prompt"].tolist() == ["NA", 'two\nlines, "quoted"', long_prompt]
    assert got.origin.files == (("own.csv", hashlib.sha256(path.read_bytes()).hexdigest()),)
    assert (got.origin.kind, got.origin.name) == ("own", "own.csv")
    np.testing.assert_array_equal(got.quality, Outcomes.from_wide(wide()).quality)


def test_read_tells_wide_from_long_and_csv_from_parquet(tmp_path: Path) -> None:
    one = Outcomes.from_wide(wide())
    one.to_wide().to_parquet(tmp_path / "wide.parquet")
    one.to_long().to_csv(tmp_path / "long.csv", index=False)
    for name in ("wide.parquet", "long.csv"):
        again = Outcomes.read(tmp_path / name)
        np.testing.assert_array_equal(again.quality, one.quality)
        assert again.origin.name == name
    assert Outcomes.read(tmp_path / "long.csv", models=["b"]).models == ("b",)
    one.to_parquet(tmp_path / "own.parquet")
    assert Outcomes.read(tmp_path / "own.parquet", models=["b"]).models == ("b",)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"a,b\n1,2,3\n", "row 1 has 3 fields, the header 2; name every"),
        ("t.csv", b"a,b\n1,2\n1,2,3,4\n", "row 2 has 4 fields, the header 2"),
        ("t.csv", b"", "not a CSV file"),
        ("t.csv", b"a\n\xff\xfe\n", "not a CSV file in UTF-8"),
        ("t.csv", b"sample_id,prompt,eval_name,a,a|total_cost\nq,p,t,3,0\n", r"t.csv: row 1 \(sample_id q"),
        ("t.pkl", b"", "only .csv and .parquet are read here"),
        ("t.parquet", b"PAR1 cut", "t.parquet: not a whole Parquet file"),
    ],
)  # fmt: skip
def test_unreadable_files_are_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=said):
        Outcomes.read(tmp_path / name)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such file"):
        Outcomes.read(tmp_path / "none.csv")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, one = tmp_path / "t.parquet", table(["t", "t"])
    one.to_parquet(path)
    before = path.read_bytes()

    def cut(_: object, part: Path, **__: object) -> None:
        Path(part).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", cut)
    with pytest.raises(TableError, match="cannot be written .disk full"):
        one.to_parquet(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


def test_parquet_files_of_other_tables_are_refused(tmp_path: Path) -> None:
    one = table(["t", "t"])
    PairScores.from_outcomes(one, "a", "b").to_parquet(tmp_path / "pairs.parquet")
    one.frame.to_parquet(tmp_path / "foreign.parquet")
    with pytest.raises(TableError, match="holds PairScores, not Outcomes"):
        Outcomes.from_parquet(tmp_path / "pairs.parquet")
    with pytest.raises(TableError, match="holds no table of this project, not Battles"):
        Battles.from_parquet(tmp_path / "foreign.parquet")


def test_a_column_parquet_cannot_hold_is_named(tmp_path: Path) -> None:
    one = table(["t", "t"])
    mixed = Outcomes(
        one.frame.assign(odd=pd.Series(["x", 1], dtype=object)), one.quality, one.cost, one.models
    )
    with pytest.raises(TableError, match="odd"):
        mixed.to_parquet(tmp_path / "t.parquet")
    assert not list(tmp_path.iterdir())


# --- splits ----------------------------------------------------------------------------------------------

ROWS = st.lists(
    st.tuples(st.sampled_from(["t-1", "t-2", "u-1"]), st.sampled_from("abcdefghijklmnop")),
    min_size=2,
    max_size=60,
)


@given(rows=ROWS, share=st.floats(0.1, 0.9), seed=st.integers(0, 99), own_prompts=st.booleans())
@settings(max_examples=60, deadline=None)
def test_split_invariants(rows: list[tuple[str, str]], share: float, seed: int, own_prompts: bool) -> None:
    tasks = [task for task, _ in rows]
    prompts = [f"{task} {letter}" if own_prompts else letter for task, letter in rows]
    assume(any(tasks.count(task) > 1 for task in tasks) and len(set(prompts)) > 1)
    whole = table(tasks, [f" {p}\n" if i % 2 else p for i, p in enumerate(prompts)])
    try:
        train, test = whole.split(share, seed=seed)
    except TableError:
        assume(False)
    ids = [*train.frame["sample_id"], *test.frame["sample_id"]]
    assert sorted(ids) == sorted(whole.frame["sample_id"])
    assert not set(train.frame["prompt"].str.strip()) & set(test.frame["prompt"].str.strip())
    shuffled = whole.take(np.random.default_rng(seed).permutation(len(whole)))
    again = shuffled.split(share, seed=seed)[0]
    assert set(again.frame["sample_id"]) == set(train.frame["sample_id"])
    if own_prompts:
        assert_shares(whole, train, share)


def assert_shares(whole: Outcomes, train: Outcomes, share: float) -> None:
    """Each task's training rows miss the share by rounding, one row, and half its largest group at most."""
    for task, rows in whole.frame.groupby("task"):
        got = int((train.frame["task"] == task).sum())
        largest = rows["prompt"].str.strip().value_counts().max()
        if len(rows) == 1:
            assert got == 1
        else:
            target = min(max(round(share * len(rows)), 1), len(rows) - 1)
            assert abs(got - target) <= largest / 2


def test_split_is_exact_where_prompts_differ() -> None:
    whole = table(["t-1"] * 100 + ["t-2"] * 10 + ["t-3"])
    train, test = whole.split(seed=0)
    assert train.frame["task"].value_counts().to_dict() == {"t-1": 70, "t-2": 7, "t-3": 1}
    assert test.frame["task"].value_counts().to_dict() == {"t-1": 30, "t-2": 3}
    assert train.frame["sample_id"].tolist() == [
        i for i in whole.frame["sample_id"] if i in set(train.frame["sample_id"])
    ]
    assert set(whole.split(seed=1)[0].frame["sample_id"]) != set(train.frame["sample_id"])
    assert train.origin == whole.origin


def test_prompts_equal_across_tasks_stay_together() -> None:
    whole = table(["t-1"] * 20 + ["t-2"] * 20, [f"p{i % 20}" for i in range(40)])
    for seed in range(5):
        train, test = whole.split(seed=seed)
        assert (len(train), len(test)) == (28, 12)
        assert not set(train.frame["prompt"]) & set(test.frame["prompt"])


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40), st.integers(0, 40), st.booleans())
def test_rows_are_held_out_by_whole_texts(texts: list[str], n: int, fill: bool) -> None:
    held = hold_out(texts, n, np.random.default_rng(1), fill=fill)
    inside = {text for text, out in zip(texts, held, strict=True) if out}
    assert held.tolist() == [text in inside for text in texts]
    assert held.sum() <= n
    if n >= len(texts):
        assert held.all()
    order = np.random.default_rng(2).permutation(len(texts))
    again = hold_out(np.array(texts)[order], n, np.random.default_rng(1), fill=fill)
    np.testing.assert_array_equal(again, held[order])
    if fill:  # nothing that is left would still fit
        assert all(held.sum() + texts.count(text) > n for text in set(texts) - inside)


def test_out_of_domain_leaves_test_prompts_out() -> None:
    whole = table(["t-1", "t-1", "u-1", "v-1"], ["same", "x", " same\n", "y"])
    train, test = whole.out_of_domain("t")
    assert train.frame["sample_id"].tolist() == ["q3"]
    assert test.frame["sample_id"].tolist() == ["q0", "q1"]
    with pytest.raises(TableError, match="only 't' is there"):
        whole.of("t").out_of_domain("t")
    with pytest.raises(TableError, match="dataset 'w' is not in the table"):
        whole.out_of_domain("w")


# --- pairs -----------------------------------------------------------------------------------------------


def test_pairs_of_an_outcome_table(tmp_path: Path) -> None:
    one = Outcomes.from_wide(wide(), origin=SIMULATED)
    pairs = PairScores.from_outcomes(one, "b", "a")
    np.testing.assert_array_equal(pairs.strong, [0, 1, 0.9])
    np.testing.assert_array_equal(pairs.weak, [1, 0.25, 0])
    assert (pairs.strong_model, pairs.weak_model, pairs.scale) == ("b", "a", (0, 1))
    np.testing.assert_array_equal(pairs.of("MT-Bench").strong, [0.9])
    assert pairs.datasets == one.datasets and len(pairs.take([0, 2])) == 2
    pairs.to_parquet(tmp_path / "p.parquet")
    again = PairScores.from_parquet(tmp_path / "p.parquet")
    pd.testing.assert_frame_equal(again.frame, pairs.frame)
    np.testing.assert_array_equal([again.strong, again.weak], [pairs.strong, pairs.weak])
    assert (again.origin, again.scale, again.weak_model) == (pairs.origin, pairs.scale, "a")


def test_pairs_on_the_scale_of_mt_bench(tmp_path: Path) -> None:
    pairs = PairScores(table(["t", "t"]).frame, [9, 1], [10, 5.5], "s", "w", SIMULATED, (1, 10))
    pairs.to_parquet(tmp_path / "p.parquet")
    assert PairScores.from_parquet(tmp_path / "p.parquet").scale == (1.0, 10.0)
    with pytest.raises(ValueError, match="read-only"):
        pairs.weak[0] = 1


@pytest.mark.parametrize(
    ("strong", "weak", "models", "scale", "said"),
    [
        ([9, 0], [9, 9], "sw", (1, 10), r"row 2 \(sample_id q1\), column 'strong': 0.0 lies outside \[1, 10"),
        ([0, 0], [0, np.nan], "sw", (0, 1), r"row 2 .*column 'weak': is missing"),
        ([0, 0, 0], [0, 0], "sw", (0, 1), r"strong has shape \(3,\)"),
        ([0, 0], [0, 0], "ss", (0, 1), "model 's' is named twice"),
        ([0, 0], [0, 0], "sw", (1, 1), "scale .* is empty"),
    ],
)  # fmt: skip
def test_bad_pairs_are_refused(
    strong: list[float], weak: list[float], models: str, scale: tuple[float, float], said: str
) -> None:
    with pytest.raises(TableError, match=said):
        PairScores(table(["t", "t"]).frame, strong, weak, models[0], models[1], SIMULATED, scale)


def test_pairs_refuse_rows_without_their_own_id() -> None:
    frame = table(["t", "t"]).frame.assign(sample_id="q")
    with pytest.raises(TableError, match="row 2 .*stands on a row above"):
        PairScores(frame, [0, 0], [0, 0], "s", "w")


# --- battles ---------------------------------------------------------------------------------------------


def battles(**changes: object) -> pd.DataFrame:
    columns: dict[str, object] = {
        "prompt": ["one", "two", "three"],
        "model_a": ["x", "y", "x"],
        "model_b": ["y", "z", "z"],
        "winner": ["model_a", "model_b", "tie"],
    }
    return pd.DataFrame(columns | changes)


def test_battles_by_hand(tmp_path: Path) -> None:
    got = Battles(battles(), SIMULATED)
    assert got.models == ("x", "y", "z") and len(got) == 3
    np.testing.assert_array_equal(got.share, [1, 0, 0.5])
    np.testing.assert_array_equal(got.weight, [1, 1, 1])
    np.testing.assert_array_equal(got.take([2, 1]).share, [0.5, 0])
    soft = Battles(battles(score=["0.8", 0.5, 0.5], weight=[1, 2, 0.5], id=[5, 6, 7]), SIMULATED)
    np.testing.assert_array_equal(soft.share, [0.8, 0.5, 0.5])
    np.testing.assert_array_equal(soft.weight, [1, 2, 0.5])
    soft.to_parquet(tmp_path / "b.parquet")
    again = Battles.from_parquet(tmp_path / "b.parquet")
    pd.testing.assert_frame_equal(again.frame, soft.frame)
    assert again.origin == SIMULATED


def test_battles_name_their_winner_in_three_ways() -> None:
    flags = battles(winner_model_a=[1, 0, 0], winner_model_b=["0", "1", "0"], winner_tie=[0, 0, 1])
    arena = Battles.from_frame(flags.drop(columns="winner"))
    assert arena.frame["winner"].tolist() == ["model_a", "model_b", "tie"]
    assert set(arena.frame.columns) == set(battles().columns)
    both_bad = Battles.from_frame(battles(winner=["model_a", "model_b", "tie (bothbad)"]))
    assert both_bad.frame["winner"].tolist() == ["model_a", "model_b", "tie"]
    soft = Battles.from_frame(battles(score=[0.6, 0.2, 0.5]).drop(columns="winner"))
    assert soft.frame["winner"].tolist() == ["model_a", "model_b", "tie"]
    np.testing.assert_array_equal(soft.share, [0.6, 0.2, 0.5])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"winner": ["model_a", "x", "tie"]}, "row 2, column 'winner': 'x' is no winner; write model_a"),
        ({"winner": ["model_a", None, "tie"]}, "row 2, column 'winner': (None|nan) is no winner"),
        ({"model_b": ["y", "y", "z"]}, "row 2, column 'model_b': 'y' fights itself"),
        ({"prompt": ["one", "", "three"]}, "row 2, column 'prompt': is empty"),
        ({"model_a": ["x", None, "x"]}, "row 2, column 'model_a': .*is not text"),
        ({"score": [1.2, 0, 0.5]}, r"row 1, column 'score': 1.2 lies outside \[0, 1\]"),
        ({"score": [1, 0.7, 0.5]}, "row 2, column 'score': 0.7 contradicts the winner"),
        ({"score": [1, None, 0.5]}, "row 2, column 'score': is missing"),
        ({"weight": [1, 0, 1]}, "row 2, column 'weight': 0 is no weight"),
        ({"weight": [1, np.inf, 1]}, "row 2, column 'weight': inf is no weight"),
        ({"weight": [1, "heavy", 1]}, "row 2, column 'weight': 'heavy' is not a number"),
        (
            {"sample_id": ["p", "q", "r"], "weight": -1},
            r"row 1 \(sample_id p\), column 'weight': -1 is no weight \(first of 3",
        ),
    ],
)  # fmt: skip
def test_bad_battles_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(TableError, match="^battles.csv: (" + said + ")"):
        Battles.from_frame(battles(**changes), name="battles.csv")


def test_battles_without_one_winner_are_refused() -> None:
    bare = battles().drop(columns="winner")
    with pytest.raises(TableError, match="column 'winner' is missing"):
        Battles.from_frame(bare)
    flags = bare.assign(winner_model_a=[1, 1, 0], winner_model_b=[0, 1, 0], winner_tie=[0, 0, 0])
    with pytest.raises(
        TableError, match=r"row 2, column 'winner_model_a': 1.0 is no single winner \(first of 2"
    ):
        Battles.from_frame(flags)
    with pytest.raises(TableError, match="column 'winner_tie' is missing"):
        Battles.from_frame(flags.drop(columns="winner_tie"))
    with pytest.raises(TableError, match="no rows"):
        Battles(battles().iloc[:0])
