"""Tables of the board by name: what they hold, what is said of them, and encoders that serve as controls."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sources_made import Place, bench, slice_csvs, slice_rows

from rb_support.embed import EmbeddingError, embed, encoder
from rb_support.outcomes import Origin, Outcomes, TableError
from rb_support.sources import SOURCES
from rb_support.sources.errors import MissingSourceError
from rb_support.studies import board_tables
from rb_support.studies.board_tables import REAL, SIMULATED, described, load_material, load_table, name_of

SIZES = {
    "arc-challenge": (1470, 11),
    "winogrande": (1267, 11),
    "mbpp": (427, 11),
    "routerbench-0shot": (365, 11),
    "zeroeval-gsm8k": (1319, 15),
    "arena-bench": (273, 13),
    "search-qa": (250, 17),
}
"""Rows and models of the real tables."""
BEST = {
    "routerbench-0shot": ("gpt-4-1106-preview", 0.7815),
    "zeroeval-gsm8k": ("claude-3-opus-20240229", 0.9560),
    "search-qa": ("claude-3.5-sonnet-agent", 0.78),
}
"""Best model and its mean quality, as the data's publishers and their readers print them."""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own table of three rows, in the last of which a score is missing."""
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    frame = pd.DataFrame(
        {
            "sample_id": ["a", "b", "c"],
            "prompt": ["What is it?", "Who is it?", "Why?"],
            "eval_name": "mine",
            "cheap": [1, 0, None],
            "cheap|total_cost": 0.001,
        }
    )
    path = tmp_path / "acme.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", REAL)
def test_real_tables(real: Path, name: str) -> None:
    table = load_table(name)
    assert (len(table), len(table.models)) == SIZES[name]
    assert table.origin.kind == "real" and (table.cost >= 0).all() and (table.cost.mean(axis=0) > 0).all()
    assert ("costs estimated" in table.origin.name) == ("estimated" in REAL[name].cost)
    assert table.frame["prompt"].str.strip().ne("").all()
    if name in BEST:
        means = dict(zip(table.models, table.quality.mean(axis=0), strict=True))
        best = max(means, key=means.__getitem__)
        assert (best, round(means[best], 4)) == BEST[name]


@pytest.mark.parametrize("name", SIMULATED)
def test_simulated_tables_are_named_so(name: str) -> None:
    table = load_table(name)
    assert (table.origin.kind, len(table.datasets), len(table.models)) == ("simulated", 1, 11)
    assert table.datasets[0].lower() in name
    assert described(name, table).startswith(f"{name} (simulated): {len(table):,} rows, 11 models. ")


def test_all_names_are_unlike() -> None:
    assert not set(REAL) & set(SIMULATED)
    assert {table.source for table in REAL.values()} <= set(SOURCES)
    assert not any(table.source for table in SIMULATED.values())
    assert all(name.startswith("simulated-") for name in SIMULATED)


def test_a_made_slice_and_what_is_not_here(made: Place) -> None:
    """Only one source lies there: its tables are at hand, the others have a sentence with their command."""
    made("routerbench-slice", slice_csvs(slice_rows(11, split=2)))
    made("arena-bench", bench({"claude-1.jsonl": [7, 1, 10], "claude-2.1.jsonl": [2, None, 4]}, maker=""))
    here = board_tables.real_at_hand()
    assert here.names == ("arc-challenge", "winogrande", "mbpp", "arena-bench")
    assert [len(load_table(name)) for name in here.names] == [11, 11, 11, 2]
    assert [sentence.split(" is left out")[0] for sentence in here.left_out] == [
        "routerbench-0shot",
        "zeroeval-gsm8k",
        "search-qa",
    ]
    for sentence in here.left_out:
        name = sentence.split()[0]
        with pytest.raises(MissingSourceError) as error:
            load_table(name)
        [command] = re.findall(r"`(python -m rb_support data fetch .*?)`", sentence)
        assert command in re.sub(r"\s+", " ", str(error.value))


def test_nothing_is_read_to_tell_what_is_here(made: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    made("routerbench-slice", slice_csvs(slice_rows(3)))

    def refuse(*_: object) -> bytes:
        raise AssertionError("a file was read")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert board_tables.real_at_hand().names == ("arc-challenge", "winogrande", "mbpp")


def test_an_own_table_is_named_by_its_file(own: Path) -> None:
    table = load_table(str(own))
    assert (len(table), table.origin.kind) == (2, "own")
    assert "rows dropped for a missing score or cost: 1" in table.origin.notes
    assert name_of(str(own)) == "acme"
    line = described(name_of(str(own)), table)
    assert line == "acme (own): 2 rows, 1 models. Quality and cost (USD per query) as its owner gives them."
    assert [name_of(given) for given in ("mbpp", "x/mbpp.parquet")] == ["mbpp", "mbpp.parquet"]


def test_what_is_no_table(own: Path) -> None:
    with pytest.raises(ValueError, match=r"no table is called 'mmlu', nor .*known: arc-challenge, .*-gsm8k$"):
        load_table("mmlu")
    with pytest.raises(ValueError, match=r"no table is called 'table\.txt', nor is it the path"):
        load_table("table.txt")
    with pytest.raises(TableError, match=r"nowhere\.csv"):
        load_table(str(own.parent / "nowhere.csv"))


@pytest.mark.parametrize("name", REAL)
def test_a_line_says_what_a_table_is(name: str) -> None:
    frame = pd.DataFrame({"sample_id": ["a"], "dataset": "D", "task": "t", "prompt": ["Who?"]})
    table = Outcomes(frame, np.ones((1, 1)), np.ones((1, 1)), ("m",), Origin("real", "made"))
    line = described(name, table)
    assert line.startswith(f"{name} (real): 1 rows, 1 models. A row is a") and "\n" not in line
    assert ("estimated" in line) == (name in ("zeroeval-gsm8k", "arena-bench", "search-qa"))


def test_material_of_a_table(own: Path) -> None:
    plain, face = load_material(str(own), "random"), load_material(str(own), "length")
    assert plain.vectors.shape == (2, 64) and face.vectors.shape == (2, 12)
    assert plain.vectors.dtype == np.float64 and plain.sha256 != face.sha256
    np.testing.assert_array_equal(plain.vectors, load_material(str(own), "random").vectors)


def test_random_vectors_are_a_hash_of_the_text() -> None:
    texts = ["one", "two", "one", "", "\ud800", "one "]
    vectors = embed(texts, "random")
    np.testing.assert_array_equal(vectors, embed(texts[::-1], "random")[::-1])
    np.testing.assert_array_equal(vectors[0], vectors[2])
    assert len(np.unique(vectors, axis=0)) == 5
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    assert vectors.dtype == np.float32
    many = embed([str(i) for i in range(500)], "random").astype(float)
    alike = (many @ many.T)[np.triu_indices(500, 1)]
    assert abs(alike.mean()) < 0.002 and abs(alike.std() - 1 / 8) < 0.01, "as unlike as chance makes them"
    np.testing.assert_allclose(
        vectors[0, :3], [0.196, -0.1586, 0.0935], atol=5e-5, err_msg="not as elsewhere"
    )


def test_the_face_of_a_text() -> None:
    texts = ["Add 12 and 30.", "Why?\nWho?", "x = [1]; y = {2}", "short", "short"]
    vectors = embed(texts, "length")
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(vectors.std(axis=0)[[0, 1, 2, 3, 4, 5]], 1, atol=1e-4)
    assert vectors[:, 8].tolist() == [0] * 5, "all is ASCII"
    assert vectors[:, 3].argmax() == 1 and vectors[:, 2].argmax() == 1 and vectors[:, 9].argmax() == 2
    np.testing.assert_array_equal(vectors[3], vectors[4])
    np.testing.assert_array_equal(encoder("length", texts)(["Why?\nWho?"])[0], vectors[1])
    assert embed(["only", "only"], "length").tolist() == [[0.0] * 12] * 2
    assert np.isfinite(embed(["", "a", "\u2003"], "length")).all()
    with pytest.raises(EmbeddingError, match="fit_on"):
        encoder("length")
