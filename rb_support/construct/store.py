"""The store: one SQLite file that holds every answer from the moment it arrived.

An answer is one transaction, committed before the next call is sent by the same worker. The file is in
write-ahead mode: what is committed has left this process, so killing it (SIGKILL too) loses nothing. With
`fsync=True` each commit also waits for the disk, so that a power cut loses nothing either; without it a power
cut may lose the last moments, but never damages the file.

Before a call is sent, the most that it can cost is committed as a charge. The answer's transaction takes the
charge away. So after a kill the charges that are left are the calls whose fate is unknown, and a budget that
counts them holds across kills.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from rb_support.cache import packaged_table
from rb_support.construct.records import (
    Answer,
    Key,
    Model,
    Parameters,
    Query,
    StoreBusyError,
    StoreError,
)

if sys.platform == "linux":
    import fcntl

APPLICATION = 0x52424331
"""Marks a SQLite file as one of ours ("RBC1")."""
VERSION = 2
"""Of the tables. Version 1 had neither stops and letters nor prices, cached and thought tokens."""
_RESTORE = "restore a copy, or begin another store"
_KEY = ", ".join(Key._fields)
_ANSWER = ", ".join(field.name for field in fields(Answer))
_QUERY = ", ".join(field.name for field in fields(Query))
_TURNS = TypeAdapter(tuple[str, ...])
_COLUMNS = """SELECT t.name, c.name, c.type, c."notnull" OR pk, dflt_value
FROM sqlite_master AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'"""
_STATE = """SELECT application_id, user_version, (SELECT COUNT(*) FROM sqlite_master), page_size
FROM pragma_application_id, pragma_user_version, pragma_page_size"""
_MARKS = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
_SCHEMA = f"BEGIN IMMEDIATE; {packaged_table('construct/schema.toml')['tables']} {_MARKS} COMMIT;"


_DESCRIPTORS: dict[tuple[int, int], list[int]] = {}
"""Files opened to lock them, by device and inode; never closed, as that would end SQLite's own locks."""


def now() -> str:
    """Time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Store:
    """Queries, answers, grades, failures and runs in one file; usable from any one thread at a time.

    Parameters
    ----------
    path : the file; made, with its folder, if it is not there.
    create : False to refuse a path where nothing is.
    fsync : wait for the disk at every commit (see the module's text).

    Raises
    ------
    StoreError : if the file is no store, one of another version, damaged, or not there.
    """

    def __init__(self, path: str | Path, *, create: bool = True, fsync: bool = False) -> None:
        self.path = Path(path)
        if not create and not self.path.is_file():
            raise StoreError(f"{self.path}: no store is there; `construct run` makes one")
        there = self.path.stat() if self.path.is_file() else None
        if there and there.st_nlink > 1:  # SQLite keeps its journal under one name: no run may use another
            with self.writing():
                pass
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._explained():
            self._db = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            try:
                self._set_up(fsync, there.st_size if there else None)
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other runs from the store while this one writes; a killed run lets go by itself.

        What is locked is the file, under whichever of its names a run knows it.

        Raises
        ------
        StoreBusyError : if another run is writing.
        """
        busy = StoreBusyError(
            f"{self.path}: another run is writing it; wait for its end, or name another store"
        )
        if sys.platform != "linux":  # where flock would meet SQLite's own locks, or is not there
            try:
                with FileLock(f"{self.path.resolve()}.lock", timeout=0):
                    yield
            except Timeout:
                raise busy from None
            return
        free = _DESCRIPTORS.setdefault((self.path.stat().st_dev, self.path.stat().st_ino), [])
        held = free.pop() if free else os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise busy from None
        finally:
            fcntl.flock(held, fcntl.LOCK_UN)
            free.append(held)

    # Queries and models

    def put_queries(self, queries: Iterable[Query]) -> None:
        """Keep queries; those that are there already may come again.

        Raises
        ------
        StoreError : if a sample_id stands for another text already.
        """
        known, rows = {query.sample_id: query for query in self.queries()}, []
        for query in queries:
            old = known.setdefault(query.sample_id, query)
            if replace(old, stop=query.stop, letters=query.letters) != query:
                raise StoreError(
                    f"{self.path}: sample_id {query.sample_id!r} stands for another query there; "
                    "rename the sample or take another store"
                )
            turns, stop = (json.dumps(texts, ensure_ascii=False) for texts in (query.turns, query.stop))
            rows.append(vars(query) | {"turns": turns, "stop": stop})
        sql = (
            f"INSERT INTO queries ({_QUERY}) VALUES (:{_QUERY.replace(', ', ', :')}) "
            "ON CONFLICT DO UPDATE SET stop = excluded.stop, letters = excluded.letters"
        )
        with self._explained(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(sql, rows)

    def queries(self) -> list[Query]:
        """Every query, in the order in which they came."""
        rows = self._rows(f"SELECT {_QUERY} FROM queries ORDER BY rowid")
        with self._explained():
            read = _TURNS.validate_json
            return [
                Query(name, task, read(turns), reference, metric, system, read(stop), letters)
                for name, task, turns, reference, metric, system, stop, letters in rows
            ]

    def put_models(self, models: Iterable[Model]) -> None:
        """Keep model cards, the latest of each name; a card holds the name of a key's variable, no key."""
        for model in models:
            row = model.name, json.dumps(asdict(model))
            self._rows("INSERT OR REPLACE INTO models VALUES (?, ?)", row)

    def models(self) -> list[Model]:
        """Card of every model that was asked."""
        rows = self._rows("SELECT card FROM models ORDER BY rowid")
        with self._explained():
            return [Model(**json.loads(card)) for (card,) in rows]

    # Answers

    def charge(self, key: Key, usd: float) -> int:
        """Commit the most that a call can cost before it is sent.

        Returns
        -------
        Number of the charge, for `put_answer` or `refund`; until then it counts as spent.
        """
        sql = f"INSERT INTO charges ({_KEY}, usd, note) VALUES (?, ?, ?, ?, ?, 'in flight') RETURNING id"
        return int(self._rows(sql, (*key, usd))[0][0])

    def refund(self, charge: int) -> None:
        """Take a charge away: the call cost nothing."""
        self._rows("DELETE FROM charges WHERE id = ?", (charge,))

    def keep_charge(self, charge: int, note: str) -> None:
        """Let a charge stand: the call brought no answer, but may be on the bill."""
        self._rows("UPDATE charges SET note = ? WHERE id = ?", (note, charge))

    def put_answer(self, answer: Answer, charge: int | None = None) -> None:
        """Commit an answer, and take its charge and its earlier failure away, in one transaction.

        Raises
        ------
        StoreError : if the key has its answer already.
        """
        row = (*vars(answer).values(), charge)
        self._rows(f"INSERT INTO answers ({_ANSWER}, charge) VALUES ({', '.join('?' * len(row))})", row)

    def answer(self, key: Key) -> Answer | None:
        """Answer of a key, None if there is none."""
        rows = self._rows(f"SELECT {_ANSWER} FROM answers WHERE ({_KEY}) = (?, ?, ?, ?)", key)
        if not rows:
            return None
        answer = Answer(*rows[0])
        return replace(answer, tokens_estimated=bool(answer.tokens_estimated))

    def answered(self) -> set[Key]:
        """Keys of all answers."""
        return {Key(*row) for row in self._rows(f"SELECT {_KEY} FROM answers")}

    def answers(self) -> pd.DataFrame:
        """All answers, a row each with the columns of `Answer`, sorted by key."""
        frame = self._frame(f"SELECT {_ANSWER} FROM answers ORDER BY {_KEY}")
        return frame.assign(tokens_estimated=frame["tokens_estimated"].astype(bool))

    # Grades, failures, money, runs

    def put_grade(self, key: Key, kind: str, score: float, parsed: bool, note: str = "") -> None:
        """Keep the grade of an answer; a second one of the same kind replaces the first.

        Parameters
        ----------
        key : of the answer.
        kind : how it was graded, such as "letter" or "judge:NAME".
        score : in [0, 1].
        parsed : False if no answer could be read out of the text.
        note : what else is to be said, such as "refusal".
        """
        row = (*key, kind, float(score), bool(parsed), note)
        self._rows("INSERT OR REPLACE INTO grades VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def grades(self) -> pd.DataFrame:
        """All grades: the four columns of the key, kind, score, parsed, note; sorted by key and kind."""
        frame = self._frame(f"SELECT {_KEY}, kind, score, parsed, note FROM grades ORDER BY {_KEY}, kind")
        return frame.assign(parsed=frame["parsed"].astype(bool))

    def put_failure(self, key: Key, reason: str) -> None:
        """Keep why a call was given up; its answer, should it come later, takes the failure away."""
        self._rows("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?)", (*key, reason, now()))

    def failures(self) -> pd.DataFrame:
        """Calls given up and not answered since: the key's columns, reason, failed_at (UTC)."""
        return self._frame(f"SELECT * FROM failures ORDER BY {_KEY}")

    def charges(self) -> pd.DataFrame:
        """Calls without an answer that may be on the bill: the key's columns, usd (the most), note."""
        return self._frame(f"SELECT {_KEY}, usd, note FROM charges ORDER BY id")

    def spent_usd(self) -> float:
        """USD of all answers, and the most of all calls that may be on the bill."""
        sql = "SELECT (SELECT TOTAL(cost_usd) FROM answers) + (SELECT TOTAL(usd) FROM charges)"
        return float(self._rows(sql)[0][0])

    def price_notes(self, models: Iterable[str] | None = None) -> list[str]:
        """Sentences on costs that were computed with other prices than those of the model's last card.

        Parameters
        ----------
        models : to look at; all if None.
        """
        answers, notes = self.answers(), []
        for card in self.models():
            counts = "prompt_tokens", "answer_tokens", "cached_tokens", "reasoning_tokens"
            rows = answers[answers["model"] == card.name]
            costs = [card.cost(*row) for row in rows[[*counts]].itertuples(index=False)]
            other = rows[~np.isclose(rows["cost_usd"], costs, rtol=1e-9, atol=1e-15)]
            if len(other) and (models is None or card.name in models):
                calls = f"{len(other)} calls of {card.name}"
                notes.append(f"costs of {calls} at other prices than its last card's")
        return notes

    def start_run(self, parameters: Parameters, budget_usd: float | None) -> int:
        """Note that a run begins; returns its number."""
        row = (now(), json.dumps(asdict(parameters)), budget_usd)
        sql = "INSERT INTO runs (started_at, parameters, budget_usd, state) VALUES (?, ?, ?, 'running')"
        return int(self._rows(f"{sql} RETURNING id", row)[0][0])

    def end_run(self, run: int, state: str) -> None:
        """Note how a run ended, and what the store has cost by then."""
        sql = "UPDATE runs SET ended_at = ?, spent_usd = ?, state = ? WHERE id = ?"
        self._rows(sql, (now(), self.spent_usd(), state, run))

    def runs(self) -> pd.DataFrame:
        """All runs: id, started_at, ended_at (UTC), parameters (JSON), budget_usd, spent_usd, state.

        A run that was killed says "running" for ever, and has no end.
        """
        return self._frame("SELECT * FROM runs ORDER BY id")

    # SQLite

    def _set_up(self, fsync: bool, size: int | None) -> None:
        """Make the tables of a file that was not there; refuse one that is not ours, before a write."""
        application, version, tables, page = self._rows(_STATE)[0]
        if size is None:
            self._db.executescript(_SCHEMA)
        elif not tables or size % page:
            raise StoreError(
                f"{self.path}: cut off or empty, so answers are lost; {_RESTORE} (delete this one)"
            )
        else:
            if application != APPLICATION:
                raise StoreError(f"{self.path}: a SQLite file, but no store of answers; name another file")
            if not 1 <= version <= VERSION:
                raise StoreError(
                    f"{self.path}: a store of version {version}, this package reads version {VERSION}; "
                    "use the package's version that wrote it, or begin another store"
                )
            found = self._rows("PRAGMA quick_check(1)")[0][0]
            if found != "ok":
                raise StoreError(f"{self.path}: damaged ({found}); {_RESTORE}")
            self._check_tables()
        self._rows("PRAGMA journal_mode = WAL")
        self._rows(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")

    def _check_tables(self) -> None:
        """Refuse a table whose columns or values are not those of `_SCHEMA`; add columns that came later."""
        there = {tuple(row[:2]) for row in self._rows(_COLUMNS)}
        with closing(sqlite3.connect(":memory:")) as made:
            wanted = made.executescript(_SCHEMA).execute(_COLUMNS).fetchall()
        later = []
        for table, column, kind, filled, default in wanted:
            if (table, column) in there:
                kinds = f"'{kind.lower()}'" if filled else f"'{kind.lower()}', 'null'"
                if self._rows(f"SELECT 1 FROM {table} WHERE typeof({column}) NOT IN ({kinds}) LIMIT 1"):
                    why = f"a value in {table} is of a wrong type"
                    raise StoreError(f"{self.path}: damaged ({why}); {_RESTORE}")
            elif default is not None:
                later.append(f"ALTER TABLE {table} ADD COLUMN {column} {kind} NOT NULL DEFAULT {default};")
            else:
                raise StoreError(f"{self.path}: damaged ({table} has no column {column}); {_RESTORE}")
        if later:
            version = f"PRAGMA user_version = {VERSION};"
            self._db.executescript("\n".join(["BEGIN IMMEDIATE;", *later, version, "COMMIT;"]))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn SQLite's errors into one sentence on the file."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise StoreError(f"{self.path}: refused a row ({error})") from error
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self.path}: cannot be used ({error}); look at its folder and disk") from error
        except UnicodeEncodeError as error:
            raise StoreError(f"{self.path}: refused a text with half a character ({error})") from None
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            says = " ".join(str(error).split())
            raise StoreError(f"{self.path}: no store, or a damaged one ({says}); {_RESTORE}") from error

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._explained():
            return self._db.execute(sql, values).fetchall()

    def _frame(self, sql: str) -> pd.DataFrame:
        with self._explained():
            cursor = self._db.execute(sql)
            return pd.DataFrame(cursor.fetchall(), columns=[column[0] for column in cursor.description])
