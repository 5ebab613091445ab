"""From prompts to recorded answers over HTTP: faults, kills, budgets and keys."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import sys
import time
import traceback
import types
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from construct_worker import QUICK, ends, said_by, worker
from faulty_server import KINDS, Faults, serve
from hypothesis import given
from hypothesis import strategies as st
from processes import wait_for
from typer.testing import CliRunner

from rb_support.app.construct import app
from rb_support.construct import client, loopback, tasks
from rb_support.construct import run as running
from rb_support.construct.client import Connection, Reply, read_reply, without_key
from rb_support.construct.export import to_outcomes
from rb_support.construct.grading import grade_store
from rb_support.construct.loopback import JUDGE, MODELS, SimulatedModel
from rb_support.construct.plan import plan, worst_usd
from rb_support.construct.records import CallError, ConstructError, Model, Parameters, Query, TryAgain, key_of
from rb_support.construct.run import Budget, BudgetReached, Policy, run
from rb_support.construct.store import Store
from rb_support.construct.tasks import demo_tasks, queries_of

QUERIES = queries_of(demo_tasks(4))
CALLS = sum(len(query.turns) for query in QUERIES)
PLANTED = "sk-planted-0123456789abcdefghij"
SAME = ["text", "prompt_tokens", "answer_tokens", "cost_usd", "finish_reason"]
KEY_COLUMNS = ["model", "sample_id", "turn", "parameters_digest"]


def fast(name: str = "fast", **changes) -> SimulatedModel:
    return SimulatedModel(name, 0.7, latency_s=0.0, **changes)


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "store.sqlite") as made:
        yield made


def ask(server, store: Store, queries=QUERIES, **options):
    return run(queries, server.models(), store, policy=QUICK, progress=False, **options)


def asked_once(line: Connection, messages=(("user", "Hello?"),), **parameters) -> Reply:
    return asyncio.run(line.ask(tuple(messages), Parameters(**parameters)))


def seen(frame: pd.DataFrame) -> set[tuple[str, str, int]]:
    return set(frame[["model", "sample_id", "turn"]].itertuples(index=False, name=None))


# Everything at once


def graded(path: Path):
    """Outcome table of a store, its open answers graded by a judge without faults."""
    with serve() as server, Store(path) as store:
        grade_store(store, QUERIES, server.judge())
        return to_outcomes(store, QUERIES)


def test_killed_and_resumed_under_faults_gives_the_table_of_an_undisturbed_run(tmp_path, capsys) -> None:
    slow = [replace(model, latency_s=0.03, spread=0.5) for model in MODELS]
    with serve(QUERIES, models=slow) as server, Store(tmp_path / "calm.sqlite") as store:
        assert ask(server, store).state == "done"
        calm = store.answers()

    path, budget, kills, lost, again = tmp_path / "killed.sqlite", 3.0, 0, 0, 0
    rng = random.Random(7)
    committed: dict[tuple[str, str, int], int] = {}
    with serve(QUERIES, models=slow, faults=Faults.all(0.06)) as server:
        cards = [replace(card, concurrency=2) for card in server.models()]
        while kills < 6:
            before = sum(server.chat.calls.values())
            process = worker(QUERIES, cards, path, budget)
            while sum(server.chat.calls.values()) == before and process.is_alive():
                time.sleep(0.005)  # until it has begun to ask, however slow the machine
            time.sleep(rng.uniform(0.02, 0.1))
            process.kill()
            kills += ends(process) == -signal.SIGKILL
            with Store(path) as store:
                here = seen(store.answers())
            calls = server.chat.calls.copy()
            lost += len(set(committed) - here)
            again += sum(calls[call] - count for call, count in committed.items())
            committed = {call: calls[call] for call in here}
        at_last_kill = len(committed)
        assert ends(worker(QUERIES, cards, path, budget)) == 0
    with Store(path) as store:
        answers, spent = store.answers(), store.spent_usd()
    lost += len(set(committed) - seen(answers))
    again += sum(server.chat.calls[call] - count for call, count in committed.items())
    over = max(0.0, server.chat.billed_usd - budget)
    with capsys.disabled():
        faults = sorted(server.chat.injected.items())
        print(f"\ncalls {sum(server.chat.calls.values())}, faults {faults}, kills {kills}")
        print(f"answers lost {lost}, answers asked twice {again}, dollars over budget {over:g}")
    assert 0 < at_last_kill < len(answers) == CALLS * len(MODELS)
    assert set(server.chat.injected) == set(KINDS)
    assert (lost, again, over) == (0, 0, 0.0)
    assert server.chat.billed_usd <= spent <= budget
    pd.testing.assert_frame_equal(answers[[*KEY_COLUMNS, *SAME]], calm[[*KEY_COLUMNS, *SAME]])
    ours, theirs = graded(path), graded(tmp_path / "calm.sqlite")
    assert (ours.quality == theirs.quality).all() and (ours.cost == theirs.cost).all()
    assert ours.frame["sample_id"].tolist() == theirs.frame["sample_id"].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_is_survived(store: Store, kind: str) -> None:
    queries = QUERIES[:6]
    with serve(queries, models=[fast()], faults=Faults({kind: 1.0}, in_a_row=1)) as server:
        summary = ask(server, store, queries)
    assert (summary.state, summary.answers) == ("done", 6)
    assert server.chat.injected == {kind: 6}
    answers = store.answers()
    assert answers["tokens_estimated"].all() == (kind == "usage")
    assert set(answers["attempts"]) == {1 if kind == "usage" else 2}
    billed = {"cut": "cut", "half": "cut", "malformed": "malformed", "usage": "tokens not told"}
    assert store.charges()["note"].tolist() == [billed[kind]] * 6 if kind in billed else store.charges().empty


# Missing ones only


def test_a_second_run_asks_only_for_what_is_missing(store: Store) -> None:
    with serve(QUERIES, models=[fast(), fast("other")]) as server:
        assert ask(server, store, QUERIES[:5]).answers == 10
        assert ask(server, store).answers == 2 * (CALLS - 5)
        assert ask(server, store).attempts == 0
        assert ask(server, store, parameters=Parameters(max_tokens=9)).answers == 2 * CALLS
        assert set(server.chat.calls.values()) == {2}


def test_queries_that_come_twice_are_asked_once(store: Store) -> None:
    with serve(QUERIES, models=[fast()]) as server:
        assert ask(server, store, [*QUERIES, *QUERIES]).answers == CALLS


class Recorder:
    """A connection that answers by counting, and keeps what it was asked."""

    asked: list[tuple[tuple[str, str], ...]] = []

    def __init__(self, model: Model, timeout_s: float) -> None:
        pass

    async def ask(self, messages, parameters, stop) -> Reply:
        self.asked.append(messages)
        return Reply(f"answer {len(self.asked)}", 5, 3, False, "stop", "{}")

    async def close(self) -> None:
        pass


def test_the_second_turn_carries_the_models_own_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "Connection", Recorder)
    monkeypatch.setattr(Recorder, "asked", [])
    query = Query("mtbench.test.1", "mtbench", ("Write a poem.", "Now in prose."))
    run([query], [Model("small", "", "small", 1, 1)], store, progress=False)
    first = (("user", "Write a poem."),)
    assert Recorder.asked == [first, (*first, ("assistant", "answer 1"), ("user", "Now in prose."))]


def test_a_run_works_beside_an_event_loop(store: Store) -> None:
    async def notebook() -> int:
        with serve(QUERIES[:3], models=[fast()]) as server:
            return ask(server, store, QUERIES[:3]).answers

    assert asyncio.run(notebook()) == 3


def test_ctrl_c_records_the_calls_in_flight(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with serve(QUERIES, models=[replace(fast(), latency_s=0.2)]) as server:
        process = worker(QUERIES, [replace(server.models()[0], concurrency=2)], path, 9.0)
        wait_for(lambda: sum(server.chat.calls.values()) > 1)
        os.kill(process.pid, signal.SIGINT)
        assert ends(process) != 0
    assert "waiting for 2 calls in flight" in said_by(path).read_text()
    with Store(path) as store:
        assert 0 < len(store.answers()) < CALLS
        assert store.charges().empty
        assert store.runs()["state"].tolist() == ["interrupted"]


def test_a_second_ctrl_c_gives_the_calls_up(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with serve(QUERIES, models=[replace(fast(), latency_s=20)]) as server:
        process = worker(QUERIES, [replace(server.models()[0], concurrency=2)], path, 9.0)
        wait_for(lambda: server.chat.calls)
        began = time.monotonic()
        for many in (1, 2):
            os.kill(process.pid, signal.SIGINT)
            wait_for(lambda: said_by(path).read_text().count("waiting for") == many)  # noqa: B023
        assert ends(process) != 0 and time.monotonic() - began < 15
    with Store(path) as store:
        assert store.charges()["note"].tolist() == ["in flight"]
        assert store.runs()["state"].tolist() == ["interrupted"]


# Money


def test_a_dry_run_sends_nothing_and_bounds_the_cost(tmp_path: Path, store: Store) -> None:
    with serve(QUERIES) as server:
        planned = plan(QUERIES, server.models(), None)
        assert (server.chat.calls, server.chat.refused) == ({}, 0)
        ask(server, store)
        after = plan(QUERIES, server.models(), store)
    assert planned.missing == CALLS * len(MODELS) and after.missing == 0
    assert store.spent_usd() <= planned.usd_most
    assert after.usd == after.usd_most == after.seconds == 0.0
    assert planned.frame["calls"].tolist() == (after.frame["answered"]).tolist()


@pytest.mark.parametrize(("budget", "seed"), [(0.0, 0), (0.05, 1), (0.1, 2), (0.3, 3)])
def test_the_budget_is_never_exceeded(store: Store, budget: float, seed: int) -> None:
    with serve(QUERIES, seed=seed, faults=Faults.all(0.05)) as server:
        first = ask(server, store, budget_usd=budget)
        second = ask(server, store, budget_usd=budget)
        billed = server.chat.billed_usd
    assert (first.state, second.state) == ("budget", "budget")
    assert "raise the budget" in first.message
    assert billed <= store.spent_usd() <= budget
    assert store.failures().empty
    assert first.answers > 0 or budget == 0
    assert len(store.answers()) == first.answers + second.answers


@given(costs=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1)), max_size=30), limit=st.floats(0, 30))
def test_spent_and_reserved_stay_within_the_limit(costs, limit: float) -> None:
    budget = Budget(limit)
    for most, share in costs:
        try:
            asyncio.run(budget.reserve(most))
        except BudgetReached:
            assert budget.spent_usd + most > limit
            continue
        budget.settle(most, most * share)
        assert budget.spent_usd <= limit * (1 + 1e-9) + 1e-9


def test_a_worker_waits_for_room_that_calls_in_flight_may_make() -> None:
    async def work() -> Budget:
        budget = Budget(1.0)
        await budget.reserve(0.8)
        asyncio.get_running_loop().call_later(0.05, budget.settle, 0.8, 0.1)
        await budget.reserve(0.9)
        return budget

    assert asyncio.run(work()).spent_usd == 0.1


def test_the_worst_case_bounds_every_call(store: Store) -> None:
    with serve(QUERIES) as server:
        ask(server, store)
        cards = {card.name: card for card in server.models()}
    queries = {query.sample_id: query for query in QUERIES}
    for row in store.answers().itertuples():
        if row.turn == 0:
            most = worst_usd(cards[row.model], queries[row.sample_id].conversation(()), Parameters())
            assert row.cost_usd <= most


# What does not pass


def test_a_refused_model_is_asked_once_and_the_rest_goes_on(store: Store) -> None:
    with serve(QUERIES, models=[fast()]) as server:
        (good,) = server.models()
        bad = replace(good, name="bad", served_name="unheard-of", concurrency=1)
        summary = run(QUERIES, [good, bad], store, policy=QUICK, progress=False)
        assert server.chat.refused == 1
        assert (summary.state, summary.answers, len(summary.failures)) == ("failed", CALLS, len(QUERIES))
        assert "404: look at endpoint and served_name" in summary.failures[0].reason
        assert len(store.failures()) == len(QUERIES)
        mended = run(QUERIES, [replace(bad, served_name="fast")], store, policy=QUICK, progress=False)
    assert mended.state == "done" and store.failures().empty


def test_attempts_come_to_an_end(store: Store) -> None:
    with serve(QUERIES[:2], models=[fast()], faults=Faults({"500": 1.0}, in_a_row=99)) as server:
        summary = ask(server, store, QUERIES[:2])
    assert summary.attempts == 2 * QUICK.attempts and summary.retries == {"500": 12}
    assert "no answer after 6 attempts, the last ended with: 500" in summary.failures[0].reason
    assert store.spent_usd() == 0


def test_a_model_that_never_answers_is_left_alone_after_a_while(store: Store) -> None:
    nobody = Model("nobody", "http://127.0.0.1:9/v1", "nobody", 1, 1, concurrency=1)
    policy = Policy(attempts=1, in_a_row=3)
    summary = run(QUERIES, [nobody], store, policy=policy, progress=False)
    assert summary.attempts == 3 and len(summary.failures) == len(QUERIES)
    assert "so it was with 3 calls in a row" in summary.failures[-1].reason


def test_silence_is_a_timeout_and_stays_on_the_bill(store: Store) -> None:
    policy = Policy(attempts=2, first_wait_s=0.005, timeout_s=0.05)
    with serve(QUERIES[:1], models=[replace(fast(), latency_s=0.4)]) as server:
        summary = run(QUERIES[:1], server.models(), store, policy=policy, progress=False)
    assert summary.retries == {"timeout": 2} and summary.state == "failed"
    assert store.charges()["note"].tolist() == ["timeout", "timeout"]


def test_nobody_there_costs_nothing(store: Store) -> None:
    nobody = Model("nobody", "http://127.0.0.1:9/v1", "nobody", 1, 1)
    policy = Policy(attempts=2, first_wait_s=0.005)
    summary = run(QUERIES[:1], [nobody], store, policy=policy, progress=False)
    assert summary.retries == {"no connection": 2} and store.spent_usd() == 0


def test_an_endpoint_that_asks_to_wait_is_waited_for(store: Store) -> None:
    faults = Faults({"429": 1.0}, in_a_row=1, retry_after_s=0.3)
    with serve(QUERIES[:1], models=[fast()], faults=faults) as server:
        summary = ask(server, store, QUERIES[:1])
        assert summary.state == "done" and summary.seconds >= 0.3
        short = Policy(first_wait_s=0.005, longest_wait_s=0.1)
        card = replace(server.models()[0], name="again")
    with serve(QUERIES[:1], models=[fast()], faults=faults) as server:
        card = replace(card, endpoint=server.url)
        summary = run(QUERIES[:1], [card], store, policy=short, progress=False)
    assert "asks to wait" in summary.failures[0].reason


def test_a_store_that_cannot_be_written_stops_the_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise ConstructError("disk full")

    with serve(QUERIES, models=[fast()]) as server:
        monkeypatch.setattr(store, "put_answer", full)
        with pytest.raises(ConstructError, match="disk full"):
            ask(server, store)
        assert sum(server.chat.calls.values()) <= 8


def test_models_of_one_name_and_odd_budgets_are_refused(store: Store) -> None:
    card = Model("small", "http://127.0.0.1:9/v1", "small", 1, 1)
    with pytest.raises(ConstructError, match="two models are called 'small'"):
        run(QUERIES, [card, card], store)
    for odd in (Parameters(0), Parameters(temperature=float("nan")), Parameters(temperature=-1)):
        with pytest.raises(ConstructError, match=r"Parameters\(.*max_tokens of 1 or more"):
            run(QUERIES, [card], store, odd)
    for odd in (Policy(0), Policy(timeout_s=0), Policy(timeout_s=float("nan"))):
        with pytest.raises(ConstructError, match=r"Policy\(.*1 or more attempts"):
            run(QUERIES, [card], store, policy=odd)
    with pytest.raises(ConstructError, match="budget is nan"):
        run(QUERIES, [card], store, budget_usd=float("nan"))
    for wrong in ({"concurrency": 0}, {"price_in_usd_per_million": float("nan")}, {"key_variable": PLANTED}):
        with pytest.raises(ValueError, match=next(iter(wrong))) as raised:
            replace(card, **wrong)
        assert PLANTED not in str(raised.value)


def test_waits_grow_vary_and_repeat() -> None:
    policy, key = Policy(), key_of("small", QUERIES[0], 0, Parameters())
    waits = [policy.wait_s(key, attempt, 0) for attempt in range(1, 12)]
    assert waits == [policy.wait_s(key, attempt, 0) for attempt in range(1, 12)]
    other = key_of("small", QUERIES[1], 0, Parameters())
    assert waits != [policy.wait_s(other, attempt, 0) for attempt in range(1, 12)]
    assert all(0.5 <= wait / 2**i <= 1.5 for i, wait in enumerate(waits[:5])) and waits[-1] == 60


# What a response may look like

CARD = Model("small", "http://127.0.0.1:9/v1", "small", 1.0, 1.0, context_tokens=100)


def response(content: object = "B", **usage: object) -> dict[str, object]:
    message = {"role": "assistant", "content": content}
    return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}


@pytest.mark.parametrize("wrong", [-5, 0, "many", 10**9, None, 3.5, True, [1]])
def test_usage_that_cannot_be_is_not_believed(wrong: object) -> None:
    reply = read_reply(response(prompt_tokens=wrong, completion_tokens=wrong), CARD)
    assert reply.tokens_estimated and (reply.prompt_tokens, reply.answer_tokens) == (0, 1)
    assert read_reply(response(prompt_tokens=7, completion_tokens=1), CARD).prompt_tokens == 7


@pytest.mark.parametrize(
    ("content", "text"),
    [("B", "B"), ([{"text": "B"}, {"text": "."}], "B."), ("\ud800x", "?x")],
)
def test_content_in_its_forms(content: object, text: str) -> None:
    assert read_reply(response(content), CARD).text == text


@pytest.mark.parametrize(
    "odd",
    [None, [], "text", {}, {"choices": []}, {"choices": [{}]}, response(7), response([7])],
)
def test_other_shapes_are_tried_again(odd: object) -> None:
    with pytest.raises(TryAgain, match="malformed") as raised:
        read_reply(odd, CARD)
    assert raised.value.billed


# Keys


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_key_is_nowhere_but_in_the_environment(tmp_path, monkeypatch, capfd, caplog) -> None:
    monkeypatch.setenv("PLANTED_KEY", PLANTED)
    caplog.set_level(logging.DEBUG)
    told: list[object] = []
    with Store(tmp_path / "store.sqlite") as store:
        for right in (PLANTED, "another-key-altogether"):  # a wrong key is told back by the server
            with serve(QUERIES, models=[fast()], key=right) as server:
                cards = [
                    replace(card, name=right[:4], key_variable="PLANTED_KEY") for card in server.models()
                ]
                told += [
                    run(QUERIES, cards, store, policy=QUICK),
                    cards,
                    server,
                    store,
                    plan(QUERIES, cards, store),
                ]
                refused = server.chat.refused
        assert told[0].state == "done" and len(store.answers()) == CALLS
        assert told[5].state == "failed" and 0 < refused <= 8
        assert "401: the key is refused" in told[5].message and "says" not in told[5].failures[0].reason
        with serve(QUERIES, models=[fast()], key="another-key-altogether") as server:
            line = Connection(replace(server.models()[0], key_variable="PLANTED_KEY"), 5.0)
            with pytest.raises(CallError) as raised:
                asked_once(line, QUERIES[0].conversation(()))
            told += [line, *traceback.format_exception(raised.value), raised.value.__context__]
        told += [store.failures().to_csv(), store.runs().to_csv(), store.answers().to_csv()]
    captured = capfd.readouterr()
    shown = "\n".join([*map(repr, told), captured.out, captured.err, caplog.text])
    assert PLANTED not in shown and PLANTED not in "\n".join(map(str, told))
    assert "PLANTED_KEY" in shown
    assert PLANTED.encode() not in everything(tmp_path)


def test_a_key_in_an_answer_is_struck_out() -> None:
    odd = 'sk-with-"quote"-and-\\slash'
    for key in (PLANTED, odd):
        reply = read_reply(json.loads(json.dumps(response(f"Your key is {key}."))), CARD, key)
        assert reply.text == "Your key is [key]."
        assert key not in reply.raw and json.dumps(key)[1:-1] not in reply.raw
    assert without_key("EMPTY is no secret", "EMPTY") == "EMPTY is no secret"


@pytest.mark.parametrize(
    ("value", "message"), [("", "is not set"), ("  ", "is not set"), ("sk-a\nb: c", "characters")]
)
def test_a_key_that_cannot_be_sent_is_refused_without_a_call(monkeypatch, value: str, message: str) -> None:
    monkeypatch.setenv("PLANTED_KEY", value)
    with pytest.raises(CallError, match=f"PLANTED_KEY.*{message}") as raised:
        Connection(replace(CARD, key_variable="PLANTED_KEY"), 1.0)
    assert raised.value.whole_model and "sk-a" not in str(raised.value)


def test_a_key_of_the_environment_goes_to_no_endpoint_whose_card_names_none(
    monkeypatch, store: Store
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    with serve(QUERIES[:1], models=[fast()], key="another-key-altogether") as server:
        reason = ask(server, store, QUERIES[:1]).failures[0].reason
        told = server.chat.told
    assert "401" in reason and told == ["Bearer none"]


# Other providers


class Refused(Exception):
    status_code = 401


def library(answer) -> types.ModuleType:
    module = types.ModuleType("litellm")
    module.acompletion = answer
    return module


def test_another_provider_is_asked_through_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    async def completion(**given):
        asked.update(given)
        told = response(f"B, says {PLANTED}", prompt_tokens=9, completion_tokens=2)
        return types.SimpleNamespace(model_dump=lambda: told)

    monkeypatch.setenv("PLANTED_KEY", PLANTED)
    monkeypatch.setitem(sys.modules, "litellm", library(completion))
    card = Model("other", "", "other-1", 1, 1, key_variable="PLANTED_KEY", provider="anthropic")
    reply = asked_once(Connection(card, 5.0), seed=3)
    assert (reply.text, reply.prompt_tokens) == ("B, says [key]", 9)
    assert asked["model"] == "anthropic/other-1" and asked["max_retries"] == 0 and asked["seed"] == 3
    assert "api_base" not in asked


def test_an_error_of_the_library_loses_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    async def completion(**given):
        raise Refused(f"header x-api-key: {given['api_key']}")

    monkeypatch.setenv("PLANTED_KEY", PLANTED)
    monkeypatch.setitem(sys.modules, "litellm", library(completion))
    card = Model("other", "", "other-1", 1, 1, key_variable="PLANTED_KEY", provider="anthropic")
    with pytest.raises(CallError, match="401: the key is refused") as raised:
        asked_once(Connection(card, 5.0))
    assert PLANTED not in "".join(traceback.format_exception(raised.value))
    assert raised.value.__context__ is None


def test_what_the_library_calls_500_may_be_on_the_bill(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Exception):
        status_code = 500
        litellm_response_headers = {"retry-after": "7"}

    async def completion(**_):
        raise Broken("connection error")

    monkeypatch.setitem(sys.modules, "litellm", library(completion))
    with pytest.raises(TryAgain, match="500") as raised:
        asked_once(Connection(Model("other", "", "other-1", 1, 1, provider="anthropic"), 5.0))
    assert (raised.value.billed, raised.value.wait_s) == (True, 7.0)


def test_without_the_library_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(CallError, match=r"needs litellm; pip install 'rb-support\[providers\]'"):
        asked_once(Connection(Model("other", "", "other-1", 1, 1, provider="anthropic"), 5.0))
    assert "litellm" not in vars(client)


# The server of simulated models


def test_the_server_repeats_itself() -> None:
    async def said(card: Model) -> list[str]:
        line = Connection(card, 5.0)
        return [(await line.ask(query.conversation(()), Parameters())).text for query in QUERIES[::9]]

    texts = []
    for _ in range(2):
        with serve(QUERIES) as server:
            texts.append([text for card in server.models() for text in asyncio.run(said(card))])
    assert texts[0] == texts[1] and len(set(texts[0])) > 5


def test_better_models_answer_better(store: Store) -> None:
    queries = [Query(f"x.{i}", "x", (f"{i}?\nA. a\nB. b",), "AB"[i % 2], "letter") for i in range(150)]
    models = [fast("weak"), replace(fast("strong"), skill=0.95)]
    with serve(queries, models=[replace(models[0], skill=0.3), models[1]]) as server:
        ask(server, store, queries)
    quality = grade_store(store, queries).groupby("model")["quality"].mean()
    assert quality["strong"] > quality["weak"] + 0.15


def test_the_judge_reads_the_quality_mark() -> None:
    with serve(models=[JUDGE]) as server:
        grade = "Grade: [draft quality {}/10]"
        told = [
            asked_once(Connection(server.judge(), 5.0), [("user", grade.format(mark))]) for mark in (1, 5, 10)
        ]
    scores = [json.loads(reply.text)["score"] for reply in told]
    assert scores == sorted(scores) and scores[0] <= 2 and scores[2] >= 9


# Command line

runner = CliRunner()


def construct(*options: str, code: int = 0) -> str:
    result = runner.invoke(app, [*options])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize("command", ["plan", "run", "grade", "export", "status"])
def test_every_command_has_help(command: str) -> None:
    assert "Usage:" in construct(command, "--help")


def test_the_commands_follow_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tasks, "demo_tasks", lambda: demo_tasks(2))
    assert "72 calls missing" in construct("plan")
    assert list(tmp_path.iterdir()) == []
    assert "raise the budget" in construct("run", "--quiet", "--budget", "0.01", code=3)
    assert "all is answered" in construct("run", "--quiet")
    assert "sim-large" in construct("grade", "--quiet", "--judge", "sim-judge")
    assert "16 rows x 4 models" in construct("export", "table.csv", "--long", "--card", "card.md")
    assert len(pd.read_csv("table.csv")) == 16 * 4
    assert "sim-large" in Path("card.md").read_text()
    told = construct("status")
    assert "48 queries, 104 answers" in told and "budget" in told


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("run", "--models", "none.toml"), 1, "none.toml: cannot be read"),
        (("run", "--tasks", "none.toml"), 1, "none.toml"),
        (("grade",), 1, "no store is there"),
        (("status", "--store", "none.sqlite"), 1, "no store is there"),
        (("export", "table.txt"), 2, "ends in .csv or .parquet"),
        (("run", "--budget", "-1"), 2, "--budget"),
        (("run", "--models", "gone.toml", "--quiet", "--attempts", "1"), 4, "were given up"),
    ],
)
def test_exit_codes_and_what_is_told(tmp_path, monkeypatch, options, code: int, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gone.toml").write_text(
        '[[model]]\nname = "gone"\nendpoint = "http://127.0.0.1:9/v1"\n'
        "price_in_usd_per_million = 1\nprice_out_usd_per_million = 1"
    )
    assert message in construct(*options, code=code)


def test_a_server_that_cannot_listen_says_why(monkeypatch):
    def no_port(*_, **__):
        raise OSError("no port is free")

    monkeypatch.setattr(loopback, "bind_sockets", no_port)
    with pytest.raises(OSError, match="no port is free"), loopback.serve():
        pass
