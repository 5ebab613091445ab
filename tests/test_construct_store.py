"""The store: what is committed stays, what does not belong is refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from rb_support.construct.records import (
    Answer,
    Key,
    Model,
    Parameters,
    Query,
    StoreBusyError,
    StoreError,
    key_of,
)
from rb_support.construct.store import APPLICATION, VERSION, Store

ONE = Query("mmlu.test.1", "mmlu", ("What is 1 + 1?",), "2", "number")
TWO = Query("mtbench.test.1", "mtbench", ("Write a poem.", "Now in prose."), system="Be brief.")
CARD = Model("small", "http://127.0.0.1:1/v1", "small-2", 1.0, 2.0, key_variable="SOME_KEY")
ASKED = "2026-01-02T03:04:05.678+00:00"
KEY = key_of(CARD, ONE, 0, Parameters())


def answer(key: Key = KEY, text: str = "2") -> Answer:
    return Answer(*key, text, 30, 1, False, 0.25, 0.5, "stop", ASKED, 1, '{"choices": []}')


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "folder" / "store.sqlite") as made:
        yield made


def test_what_goes_in_comes_out(store: Store) -> None:
    store.put_queries([ONE, TWO])
    store.put_models([CARD])
    store.put_answer(answer())
    assert store.queries() == [ONE, TWO]
    assert store.models() == [CARD]
    assert store.answered() == {KEY}
    assert store.answer(KEY) == answer()
    assert store.answers().loc[0, ["text", "prompt_tokens", "cost_usd"]].tolist() == ["2", 30, 0.5]
    assert store.answers()["tokens_estimated"].dtype == bool


@settings(max_examples=30)
@given(text=st.text(), numbers=st.integers(0, 10**9), usd=st.floats(0, 1e6))
def test_any_answer_comes_back_as_it_was(tmp_path_factory, text: str, numbers: int, usd: float) -> None:
    given_ = replace(answer(), text=text, prompt_tokens=numbers, cost_usd=usd, raw=text)
    with Store(tmp_path_factory.mktemp("any") / "store.sqlite") as store:
        store.put_answer(given_)
        assert store.answer(KEY) == given_


def test_an_answer_is_kept_once(store: Store) -> None:
    first = answer()
    store.put_answer(first)
    with pytest.raises(StoreError, match="refused a row"):
        store.put_answer(answer(text="3"))
    assert store.answer(KEY) == first


def test_other_parameters_are_other_answers(store: Store) -> None:
    store.put_answer(answer())
    warm = key_of(CARD, ONE, 0, Parameters(temperature=0.5))
    longer = key_of(CARD, replace(ONE, turns=("What is 1 + 1? Reply in words.",)), 0, Parameters())
    assert len({KEY, warm, longer}) == 3
    assert store.answer(warm) is None and store.answer(longer) is None


def test_the_second_turn_has_its_key_before_the_first_is_answered() -> None:
    first, second = (key_of(CARD, TWO, turn, Parameters()) for turn in (0, 1))
    assert first.parameters_digest != second.parameters_digest
    assert TWO.conversation(["Roses."]) == (
        ("system", "Be brief."),
        ("user", "Write a poem."),
        ("assistant", "Roses."),
        ("user", "Now in prose."),
    )


def test_a_sample_id_cannot_change_its_meaning(store: Store) -> None:
    store.put_queries([ONE])
    store.put_queries([ONE])
    with pytest.raises(StoreError, match=r"'mmlu\.test\.1' stands for another query"):
        store.put_queries([replace(ONE, turns=("What is 2 + 2?",))])
    assert store.queries() == [ONE]


def test_a_charge_counts_until_its_answer_comes(store: Store) -> None:
    charge = store.charge(KEY, 2.0)
    assert store.spent_usd() == 2.0
    store.put_answer(answer(), charge)
    assert store.spent_usd() == 0.5
    store.refund(store.charge(KEY, 3.0))
    assert store.spent_usd() == 0.5
    store.keep_charge(store.charge(KEY, 4.0), "timeout")
    assert store.spent_usd() == 4.5
    assert store.charges()["note"].tolist() == ["timeout"]


def test_a_failure_goes_when_the_answer_comes(store: Store) -> None:
    store.put_failure(KEY, "no answer after 6 attempts")
    assert store.failures()["reason"].tolist() == ["no answer after 6 attempts"]
    store.put_answer(answer())
    assert store.failures().empty


def test_grades_replace_those_of_their_kind(store: Store) -> None:
    store.put_grade(KEY, "number", 0.0, False, "refusal")
    store.put_grade(KEY, "number", 1.0, True)
    store.put_grade(KEY, "judge:large", 0.7, True)
    grades = store.grades()
    assert grades[["kind", "score", "note"]].to_numpy().tolist() == [
        ["judge:large", 0.7, ""],
        ["number", 1.0, ""],
    ]


def test_runs_tell_their_end(store: Store) -> None:
    done, killed = store.start_run(Parameters(), 1.0), store.start_run(Parameters(max_tokens=7), None)
    store.end_run(done, "done")
    runs = store.runs().set_index("id")
    assert runs["state"].to_dict() == {done: "done", killed: "running"}
    assert '"max_tokens": 7' in runs.loc[killed, "parameters"]


def test_two_runs_cannot_hold_one_store(store: Store) -> None:
    with store.writing(), Store(store.path) as other:
        with pytest.raises(StoreBusyError, match="another run is writing it"), other.writing():
            pass
        assert other.answered() == set()
    with store.writing():
        pass


def _made(path: Path, *statements: str) -> Path:
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()
    return path


def _text(path: Path) -> Path:
    path.write_text("sample_id,prompt\n" * 100)
    return path


def _later(path: Path) -> Path:
    mark = f"PRAGMA application_id = {APPLICATION}"
    return _made(path, mark, f"PRAGMA user_version = {VERSION + 1}", "CREATE TABLE x (y)")


def _damaged(path: Path) -> Path:
    with Store(path) as store:
        for turn in range(300):
            store.put_answer(answer(KEY._replace(turn=turn)))
    content = bytearray(path.read_bytes())
    content[8192:40960] = os.urandom(32768)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_text, "no store, or a damaged one"),
        (lambda path: _made(path, "CREATE TABLE x (y)"), "no store of answers"),
        (_later, f"version {VERSION + 1}, this package reads version {VERSION}"),
        (_damaged, "damaged"),
    ],
    ids=["text", "other", "later", "damaged"],
)
def test_what_is_no_store_is_refused_and_left_alone(tmp_path: Path, make, message: str) -> None:
    path = make(tmp_path / "store.sqlite")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=message) as raised:
        Store(path)
    assert str(path) in str(raised.value)
    assert path.read_bytes() == before


def test_reading_does_not_make_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store is there"):
        Store(tmp_path / "store.sqlite", create=False)
    assert list(tmp_path.iterdir()) == []


def test_committed_answers_outlive_a_kill(tmp_path: Path) -> None:
    script = """
        import os, signal, sys
        sys.path.insert(0, "tests")
        from test_construct_store import KEY, Store, answer
        store = Store(sys.argv[1])
        for turn in range(50):
            store.put_answer(answer(KEY._replace(turn=turn)))
        store.charge(KEY, 1.0)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "store.sqlite")]
    killed = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert killed.returncode == -signal.SIGKILL
    with Store(tmp_path / "store.sqlite", create=False) as store:
        assert len(store.answered()) == 50
        assert store.charges()["note"].tolist() == ["in flight"]
