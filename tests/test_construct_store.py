"""The store: what is committed stays, what does not belong is refused."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rb_support.app.construct import app
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
from rb_support.construct.tasks import template

ONE = Query("mmlu.test.1", "mmlu", ("What is 1 + 1?",), "2", "number")
TWO = Query("mtbench.test.1", "mtbench", ("Write a poem.", "Now in prose."), system="Be brief.")
CARD = Model("small", "http://127.0.0.1:1/v1", "small-2", 1.0, 2.0, key_variable="SOME_KEY")
ASKED_AT = "2026-01-02T03:04:05.678+00:00"
KEY = key_of(CARD, ONE, 0, Parameters())


def answer(key: Key = KEY, text: str = "2") -> Answer:
    return Answer(*key, text, 30, 1, False, 0.25, 0.5, "stop", ASKED_AT, 1, '{"choices": []}')


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


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    with Store(tmp_path_factory.mktemp("any") / "store.sqlite") as made:
        yield made


@given(text=st.text(), numbers=st.integers(0, 10**9), usd=st.floats(0, 1e6))
def test_any_answer_comes_back_as_it_was(filled: Store, text: str, numbers: int, usd: float) -> None:
    key = KEY._replace(turn=len(filled.answered()))
    given_ = replace(answer(key), text=text, prompt_tokens=numbers, cost_usd=usd, raw=text)
    filled.put_answer(given_)
    assert filled.answer(key) == given_


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


def test_one_run_per_file_under_any_of_its_names(store: Store, tmp_path: Path) -> None:
    (tmp_path / "soft").symlink_to(store.path)
    (tmp_path / "hard").hardlink_to(store.path)
    names = [tmp_path / "soft", tmp_path / "hard", tmp_path / "folder" / ".." / "folder" / store.path.name]
    with store.writing():
        for lock in tmp_path.rglob("*.lock"):
            lock.unlink()
        for name in names:
            with pytest.raises(StoreBusyError, match="another run"), Store(name) as other, other.writing():
                pass
    for name in names:
        with Store(name) as other, other.writing():
            pass


def test_another_process_holds_the_store_until_it_ends(store: Store, tmp_path: Path) -> None:
    script = """
        import os, signal, sys
        from rb_support.construct.store import Store
        with Store(sys.argv[1]) as store, store.writing():
            print("held", flush=True)
            signal.pause()
    """
    (tmp_path / "soft").symlink_to(store.path)
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "soft")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(StoreBusyError), store.writing():
            pass
        process.kill()
    with store.writing():
        pass


OLD = """
CREATE TABLE queries (sample_id TEXT PRIMARY KEY, task TEXT NOT NULL, turns TEXT NOT NULL,
    reference TEXT NOT NULL, metric TEXT NOT NULL, system TEXT NOT NULL);
CREATE TABLE models (name TEXT PRIMARY KEY, card TEXT NOT NULL);
CREATE TABLE answers (model TEXT NOT NULL, sample_id TEXT NOT NULL, turn INTEGER NOT NULL,
    parameters_digest TEXT NOT NULL, text TEXT NOT NULL, prompt_tokens INTEGER NOT NULL,
    answer_tokens INTEGER NOT NULL, tokens_estimated INTEGER NOT NULL, latency_s REAL NOT NULL,
    cost_usd REAL NOT NULL, finish_reason TEXT NOT NULL, asked_at TEXT NOT NULL, attempts INTEGER NOT NULL,
    raw TEXT NOT NULL, charge INTEGER, PRIMARY KEY (model, sample_id, turn, parameters_digest));
CREATE TABLE grades (model TEXT NOT NULL, sample_id TEXT NOT NULL, turn INTEGER NOT NULL,
    parameters_digest TEXT NOT NULL, kind TEXT NOT NULL, score REAL NOT NULL, parsed INTEGER NOT NULL,
    note TEXT NOT NULL, PRIMARY KEY (model, sample_id, turn, parameters_digest, kind));
CREATE TABLE charges (id INTEGER PRIMARY KEY, model TEXT NOT NULL, sample_id TEXT NOT NULL,
    turn INTEGER NOT NULL, parameters_digest TEXT NOT NULL, usd REAL NOT NULL, note TEXT NOT NULL);
CREATE TABLE failures (model TEXT NOT NULL, sample_id TEXT NOT NULL, turn INTEGER NOT NULL,
    parameters_digest TEXT NOT NULL, reason TEXT NOT NULL, failed_at TEXT NOT NULL,
    PRIMARY KEY (model, sample_id, turn, parameters_digest));
CREATE TABLE runs (id INTEGER PRIMARY KEY, started_at TEXT NOT NULL, ended_at TEXT,
    parameters TEXT NOT NULL, budget_usd REAL, spent_usd REAL, state TEXT NOT NULL);
PRAGMA user_version = 1;
"""


def test_an_old_store_opens_with_its_answers_and_gets_what_came_later(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    card = (
        '{"name": "small", "endpoint": "http://127.0.0.1:1/v1", "served_name": "small-2", '
        '"price_in_usd_per_million": 1.0, "price_out_usd_per_million": 2.0, "fee_usd_per_request": 0.0, '
        '"context_tokens": 4096, "key_variable": "SOME_KEY", "concurrency": 8, '
        '"provider": "openai-compatible"}'
    )
    with closing(sqlite3.connect(path)) as database:
        database.executescript(f"{OLD} PRAGMA application_id = {APPLICATION};")
        query = (ONE.sample_id, ONE.task, '["What is 1 + 1?"]', ONE.reference, ONE.metric, ONE.system)
        database.execute("INSERT INTO queries VALUES (?, ?, ?, ?, ?, ?)", query)
        database.execute("INSERT INTO models VALUES ('small', ?)", (card,))
        row = (*KEY, "2", 30, 1, 0, 0.25, 32e-6, "stop", ASKED_AT, 1, "{}", None)
        database.execute(f"INSERT INTO answers VALUES ({', '.join('?' * len(row))})", row)
        database.commit()
    for _ in range(2):
        with Store(path) as store:
            assert (store.queries(), store.models(), store.answered()) == ([ONE], [CARD], {KEY})
            assert store.answer(KEY) == replace(answer(), cost_usd=32e-6, raw="{}")
            assert store.price_notes() == []
    with Store(path) as store:
        store.put_queries([replace(ONE, letters="AB"), TWO])
        assert store.queries() == [replace(ONE, letters="AB"), TWO]


def test_half_a_character_is_refused_in_a_sentence(store: Store) -> None:
    with pytest.raises(StoreError, match="half a character"):
        store.put_queries([replace(ONE, turns=("\ud800?",))])


# Damage

ASKED = ("--tasks", "tasks.toml", "--models", "models.toml")
COMMANDS = (
    ("plan", *ASKED),
    ("run", *ASKED, "--budget", "0"),
    ("grade",),
    ("status",),
    ("export", "out.csv"),
)


def small(path: Path) -> Path:
    """A store with a few of everything, in one file."""
    with Store(path) as store:
        store.put_queries([ONE, TWO])
        store.put_models([CARD, replace(CARD, name="other")])
        run_ = store.start_run(Parameters(), 1.0)
        for model in ("small", "other"):
            key = KEY._replace(model=model)
            store.put_answer(answer(key), store.charge(key, 1.0))
            store.put_grade(key, "number", 1.0, True)
        store.put_failure(key_of("small", TWO, 0, Parameters()), "no answer")
        store.keep_charge(store.charge(KEY, 0.1), "timeout")
        store.end_run(run_, "done")
    return path


def all_end_in_a_sentence(path: Path, monkeypatch: pytest.MonkeyPatch, *, damaged: bool) -> None:
    """Every command, over a copy each, does its work or says in a sentence what is wrong with the store."""
    monkeypatch.chdir(path.parent)
    Path("tasks.toml").write_text(template("judge"))
    Path("models.toml").write_text(
        '[[model]]\nname = "m"\nendpoint = "http://127.0.0.1:9/v1"\n'
        "price_in_usd_per_million = 1\nprice_out_usd_per_million = 1"
    )
    content = path.read_bytes()
    for command in COMMANDS:
        for left in path.parent.glob(f"{path.name}-*"):
            left.unlink()
        path.write_bytes(content)
        result = CliRunner().invoke(app, [*command, "--store", str(path)])
        ends = result.exception is None or isinstance(result.exception, SystemExit)
        assert ends, (command, result.exception)
        assert not damaged or (result.exit_code == 1 and str(path) in result.output), (command, result.output)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 99, 100, 1000, 4095, 4096, 4097, 8192, 20000, -1])
def test_a_truncated_store_ends_in_a_sentence(tmp_path: Path, monkeypatch, length: int) -> None:
    path = small(tmp_path / "store.sqlite")
    path.write_bytes(path.read_bytes()[:length])
    all_end_in_a_sentence(path, monkeypatch, damaged=True)


@pytest.mark.parametrize("seed", range(25))
def test_an_overwritten_store_ends_in_a_sentence_or_is_read(tmp_path: Path, monkeypatch, seed: int) -> None:
    path, rng = small(tmp_path / "store.sqlite"), random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 4, 64))):
        at, many = rng.randrange(len(content)), rng.choice((1, 2, 16, 300, 4096))
        new = bytes(many) if rng.random() < 0.3 else rng.randbytes(many)
        content[at : at + many] = new[: len(content) - at]
    path.write_bytes(content)
    all_end_in_a_sentence(path, monkeypatch, damaged=False)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE answers SET cost_usd = 'much'",
        "UPDATE answers SET cost_usd = x'00'",
        "UPDATE answers SET text = x'ff'",
        "UPDATE answers SET turn = 0.5",
        "UPDATE answers SET text = CAST(x'ff' AS TEXT)",
        "UPDATE grades SET score = 'good'",
        "UPDATE grades SET score = 9e999",
        "UPDATE queries SET turns = 'none'",
        "UPDATE queries SET turns = '[1]'",
        "UPDATE queries SET turns = '{}'",
        "UPDATE queries SET turns = '[]'",
        "UPDATE queries SET stop = '7'",
        "UPDATE models SET card = '[]'",
        "UPDATE models SET card = '{}'",
        "UPDATE models SET card = json_set(card, '$.price_in_usd_per_million', 'free')",
        "UPDATE models SET card = json_set(card, '$.more', 1)",
        "UPDATE charges SET usd = ''",
        "UPDATE runs SET started_at = 5.5",
        "ALTER TABLE answers DROP COLUMN raw",
        "ALTER TABLE answers RENAME COLUMN text TO words",
        "DROP TABLE runs",
        "DROP TABLE grades",
    ],
)
def test_a_changed_store_ends_in_a_sentence(tmp_path: Path, monkeypatch, change: str) -> None:
    path = small(tmp_path / "store.sqlite")
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TRIGGER answered")
        database.execute(change)
        database.commit()
    all_end_in_a_sentence(path, monkeypatch, damaged=False)


def test_what_steers_a_terminal_is_shown_as_an_escape(tmp_path: Path) -> None:
    path = small(tmp_path / "store.sqlite")
    with Store(path) as store:
        store.put_answer(answer(KEY._replace(model="\x1b[31mred\u202e" + "x" * 500)))
        store.put_failure(KEY._replace(sample_id="b"), "gone \x1b]0;title\x07")
    told = CliRunner().invoke(app, ["status", "--store", str(path)]).output
    assert r"\x1b[31mred\u202exxx" in told and r"gone \x1b]0;title\x07" in told
    assert all(c.isprintable() or c == "\n" for c in told) and "x" * 100 not in told
