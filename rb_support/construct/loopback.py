"""An OpenAI-compatible server on 127.0.0.1 with simulated models, for demos, tests and notebook 01.

It answers `POST /v1/chat/completions` over HTTP. What a model says follows from the seed, the model and the
prompt, so a repeated call gets the same answer. Faults follow from the seed, the call and how often it came,
so the same run meets the same faults, and none of them outlasts `Faults.in_a_row` calls.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

from rb_support.construct.records import MILLION, Messages, Model, Query
from rb_support.construct.simulated import JUDGE, MODELS, SimulatedModel, draw, judge, say, write_question
from rb_support.construct.tokens import BYTES_PER_TOKEN, estimate, estimate_prompt

KINDS = ("429", "500", "cut", "half", "malformed", "usage")
"""Faults: too many requests, server error, connection cut before or within the answer, broken JSON, usage
numbers that cannot be."""
_USAGES: tuple[Any, ...] = (-5, 0, "many", 10**9, None)

Call = tuple[str, str, int]
"""(model, sample_id, turn); for a prompt that belongs to no query its hash stands for the sample_id."""


@dataclass(frozen=True)
class Faults:
    """How often the server fails on purpose.

    Attributes
    ----------
    rates : share of calls per kind (see `KINDS`).
    in_a_row : one call fails at most so often, then it is served.
    retry_after_s : seconds that a 429 asks to wait.
    """

    rates: Mapping[str, float] = field(default_factory=dict)
    in_a_row: int = 3
    retry_after_s: float = 0.01

    @classmethod
    def all(cls, rate: float) -> Faults:
        """Every kind at the same rate."""
        return cls(dict.fromkeys(KINDS, rate))

    def of(self, call: Call, attempt: int, seed: int) -> str:
        """Kind of fault at an attempt (counted from 1) of a call; empty for none."""
        if attempt > self.in_a_row:
            return ""
        left = draw(seed, "fault", *call, attempt).random()
        for kind, rate in self.rates.items():
            left -= rate
            if left < 0:
                return kind
        return ""


@dataclass(frozen=True)
class Counts:
    """What the server has seen so far.

    Attributes
    ----------
    calls : calls received, by (model, sample_id, turn).
    answers : of these, answered in full.
    faults : faults injected, by kind.
    refused : calls turned down for a wrong key, model or body.
    billed_usd : USD for every answer that was made, those that a fault then spoiled included.
    """

    calls: dict[Call, int]
    answers: dict[Call, int]
    faults: dict[str, int]
    refused: int
    billed_usd: float


@dataclass(frozen=True)
class Server:
    """A server that is running: its address, its models as cards, and what it has seen."""

    url: str
    simulated: tuple[SimulatedModel, ...]

    def models(self, *, concurrency: int = 8, key_variable: str = "") -> list[Model]:
        """Model cards of the simulated models, the judge left out."""
        return [
            self._card(model, concurrency, key_variable)
            for model in self.simulated
            if model.name != JUDGE.name
        ]

    def judge(self, *, concurrency: int = 8) -> Model:
        """Model card of the judge."""
        return self._card(JUDGE, concurrency, "")

    def _card(self, model: SimulatedModel, concurrency: int, key_variable: str) -> Model:
        return Model(
            model.name,
            self.url,
            model.name,
            model.price_in_usd_per_million,
            model.price_out_usd_per_million,
            model.fee_usd_per_request,
            context_tokens=16_384,
            key_variable=key_variable,
            concurrency=concurrency,
        )

    def counts(self) -> Counts:
        """What the server has seen so far."""
        with urllib.request.urlopen(f"{self.url}/counts", timeout=10) as response:
            record = json.load(response)
        calls, answers = ({(m, s, t): n for m, s, t, n in record.pop(name)} for name in ("calls", "answers"))
        return Counts(calls, answers, **record)


@contextmanager
def serve(
    queries: Sequence[Query] = (),
    *,
    models: Sequence[SimulatedModel] = (*MODELS, JUDGE),
    seed: int = 0,
    faults: Faults | None = None,
    key: str = "",
    process: bool = False,
) -> Iterator[Server]:
    """Serve simulated models until the block ends.

    Parameters
    ----------
    queries : those whose right answers the models know. To any other prompt they reply as a judge.
    models : who answers.
    seed : of answers and faults.
    faults : none if None.
    key : bearer token that is asked for; none if empty. A wrong one is told back in the error's text.
    process : serve from a process of its own, so that timings are not shared with the caller.

    Yields
    ------
    The running server.
    """
    state = _State(tuple(queries), tuple(models), seed, faults or Faults(), key)
    start = _in_process if process else _in_thread
    with start(state) as port:
        yield Server(f"http://127.0.0.1:{port}/v1", tuple(models))


@contextmanager
def _in_thread(state: _State) -> Iterator[int]:
    loop, ready = asyncio.new_event_loop(), threading.Event()
    ports: list[int] = []
    thread = threading.Thread(target=_serve, args=(loop, state, ports, ready), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@contextmanager
def _in_process(state: _State) -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(theirs, state), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _child(pipe: Connection, state: _State) -> None:
    loop, ready = asyncio.new_event_loop(), threading.Event()
    loop.call_later(0.1, lambda: pipe.send(ports[0]))
    ports: list[int] = []
    _serve(loop, state, ports, ready)


def _serve(loop: asyncio.AbstractEventLoop, state: _State, ports: list[int], ready: threading.Event) -> None:
    asyncio.set_event_loop(loop)
    made = loop.create_server(lambda: _Connection(state, loop), "127.0.0.1", 0, backlog=1024)
    server = loop.run_until_complete(made)
    ports.append(server.sockets[0].getsockname()[1])
    ready.set()
    loop.run_forever()
    server.close()
    loop.close()


@dataclass
class _State:
    queries: tuple[Query, ...]
    models: tuple[SimulatedModel, ...]
    seed: int
    faults: Faults
    key: str
    calls: Counter[Call] = field(default_factory=Counter)
    answers: Counter[Call] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    billed_usd: float = 0.0

    def __post_init__(self) -> None:
        self.by_name = {model.name: model for model in self.models}
        self.known = {
            _name(query.conversation([""] * turn)): (query, turn)
            for query in self.queries
            for turn in range(len(query.turns))
        }

    def counted(self) -> dict[str, Any]:
        """Counters for JSON."""
        return {
            "calls": [[*call, n] for call, n in self.calls.items()],
            "answers": [[*call, n] for call, n in self.answers.items()],
            "faults": dict(self.injected),
            "refused": self.refused,
            "billed_usd": self.billed_usd,
        }


@dataclass(frozen=True)
class _Response:
    """What goes out: status, body, headers; `keep` bytes of it before the connection is cut, None for all."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    latency_s: float = 0.0
    keep: int | None = None
    answers: Call | None = None

    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} .", "Content-Type: application/json"]
        lines += [f"Content-Length: {len(self.body)}", *(f"{k}: {v}" for k, v in self.headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class _Connection(asyncio.Protocol):
    """One client: takes requests off the wire, one after the other."""

    def __init__(self, state: _State, loop: asyncio.AbstractEventLoop) -> None:
        self.state, self.loop, self.buffer = state, loop, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        response = _respond(self.state, first.split()[1], headers, rest[:length])
        self.loop.call_later(response.latency_s, self._send, response)

    def _send(self, response: _Response) -> None:
        if self.transport.is_closing():
            return
        sent = response.head() + response.body
        self.transport.write(sent[: response.keep])
        if response.keep is not None:
            self.transport.close()
        elif response.answers:
            self.state.answers[response.answers] += 1


def _respond(state: _State, path: str, headers: Mapping[str, str], body: bytes) -> _Response:
    if path == "/v1/counts":
        return _json(200, state.counted())
    refusal = _refusal(state, path, headers.get("authorization", ""))
    if refusal is None:
        try:
            request = json.loads(body)
            messages = tuple((message["role"], message["content"]) for message in request["messages"])
            return _answer(state, state.by_name[request["model"]], messages, int(request["max_tokens"]))
        except KeyError as error:
            refusal = _json(404, {"error": {"message": f"no model or field {error}"}})
        except (ValueError, TypeError):
            refusal = _json(400, {"error": {"message": "the body cannot be read"}})
    state.refused += 1
    return refusal


def _refusal(state: _State, path: str, given: str) -> _Response | None:
    if path != "/v1/chat/completions":
        return _json(404, {"error": {"message": f"nothing at {path}"}})
    if state.key and given != f"Bearer {state.key}":
        return _json(401, {"error": {"message": f"wrong key: {given}"}})
    return None


def _answer(state: _State, model: SimulatedModel, messages: Messages, max_tokens: int) -> _Response:
    name = _name(messages)
    query, turn = state.known.get(name, (None, 0))
    call = (model.name, query.sample_id if query else name, turn)
    state.calls[call] += 1
    attempt = state.calls[call]
    kind = state.faults.of(call, attempt, state.seed)
    state.injected.update([kind] if kind else [])
    latency = model.latency_s * (1 + model.spread * draw(state.seed, "wait", *call, attempt).uniform(-1, 1))
    if kind in _NO_ANSWER:
        return replace(_NO_ANSWER[kind](state.faults), latency_s=latency)
    text = say(model, query, turn, state.seed) if query else _other(messages[-1][1], state.seed)
    response = _spoil(_completion(state, model, messages, text, max_tokens), kind, call, attempt)
    return replace(response, latency_s=latency, answers=None if kind in ("half", "malformed") else call)


_NO_ANSWER = {
    "429": lambda faults: _json(429, {"error": "slow down"}, {"Retry-After": f"{faults.retry_after_s:g}"}),
    "500": lambda faults: _json(500, {"error": "out of order"}),
    "cut": lambda faults: _Response(200, b"", keep=0),
}


def _other(prompt: str, seed: int) -> str:
    return (
        write_question(prompt, seed) if "<text>" in prompt and '"question"' in prompt else judge(prompt, seed)
    )


def _completion(
    state: _State, model: SimulatedModel, messages: Messages, text: str, max_tokens: int
) -> dict[str, Any]:
    cut = text.encode()[: max_tokens * BYTES_PER_TOKEN].decode(errors="ignore")
    prompt, said = estimate_prompt(messages), estimate(cut)
    tokens_usd = prompt * model.price_in_usd_per_million + said * model.price_out_usd_per_million
    state.billed_usd += model.fee_usd_per_request + tokens_usd / MILLION
    reason = "stop" if cut == text else "length"
    return {
        "object": "chat.completion",
        "model": model.name,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": cut}, "finish_reason": reason}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said},
    }


def _spoil(completion: dict[str, Any], kind: str, call: Call, attempt: int) -> _Response:
    if kind == "usage":
        wrong = draw("usage", *call, attempt).choice(_USAGES)
        completion["usage"] = wrong and {"prompt_tokens": wrong, "completion_tokens": wrong}
    response = _json(200, completion)
    if kind == "malformed":
        return _Response(200, response.body[:-7])
    return replace(response, keep=len(response.head()) + 9) if kind == "half" else response


def _json(status: int, content: Any, headers: Mapping[str, str] | None = None) -> _Response:
    return _Response(status, json.dumps(content).encode(), headers or {})


def _name(messages: Messages) -> str:
    """Hash of what system and user say; the model's own answers follow from it."""
    said = [[role, text] for role, text in messages if role != "assistant"]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
