"""The loopback server with faults, a key, and counts of what it has seen.

Faults follow from the seed, the call and how often it came, so the same run meets the same faults, and none
of them outlasts `Faults.in_a_row` calls.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from rb_support.construct.loopback import Chat, ChatHandler, Server, listening
from rb_support.construct.records import Query
from rb_support.construct.simulated import JUDGE, MODELS, SimulatedModel, draw

KINDS = ("429", "500", "cut", "half", "malformed", "usage")
"""Faults: too many requests, server error, connection cut before or within the answer, broken JSON, usage
numbers that cannot be."""
USAGES: tuple[Any, ...] = (-5, 0, "many", 10**9, None)

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


class FaultyChat(Chat):
    """What the models say, and what was asked so far.

    Attributes
    ----------
    calls : calls received, by (model, sample_id, turn).
    injected : faults, by kind.
    refused : calls turned down for a wrong key, model or body.
    billed_usd : USD for every answer that was made, those that a fault then spoiled included.
    told : what stood in place of the right key.
    """

    def __init__(
        self, queries: Sequence[Query], models: Sequence[SimulatedModel], seed: int, faults: Faults, key: str
    ) -> None:
        super().__init__(queries, models, seed)
        self.faults, self.key = faults, key
        self.calls: Counter[Call] = Counter()
        self.injected: Counter[str] = Counter()
        self.refused, self.billed_usd = 0, 0.0
        self.told: list[str] = []

    def completion(self, model, messages, max_tokens) -> dict[str, Any]:
        made = super().completion(model, messages, max_tokens)
        usage = made["usage"]
        self.billed_usd += model.card("").cost(usage["prompt_tokens"], usage["completion_tokens"])
        return made


class FaultyHandler(ChatHandler):
    """One request, counted, with a fault where one is due."""

    chat: FaultyChat

    async def post(self) -> None:
        given = self.request.headers.get("Authorization", "")
        if self.chat.key and given != f"Bearer {self.chat.key}":
            self.chat.told.append(given)
            self.refuse(401, f"wrong key: {given}")
        else:
            await super().post()

    def refuse(self, status: int, message: str) -> None:
        self.chat.refused += 1
        super().refuse(status, message)

    async def answer(self, model, messages, max_tokens) -> None:
        """Answer, or send what the fault leaves of the answer; 429, 500 and "cut" come before one is made."""
        call = self.chat.call(model, messages)
        self.chat.calls[call] += 1
        attempt = self.chat.calls[call]
        kind = self.chat.faults.of(call, attempt, self.chat.seed)
        self.chat.injected.update([kind] if kind else [])
        if kind in ("", "usage"):
            self.wrong = draw("usage", *call, attempt).choice(USAGES) if kind else 1
            return await super().answer(model, messages, max_tokens)
        await asyncio.sleep(model.latency_s)
        if kind in ("429", "500"):
            self.set_status(int(kind))
            self.set_header("Retry-After", f"{self.chat.faults.retry_after_s:g}")
            return self.finish({"error": "out of order"})
        whole = "" if kind == "cut" else json.dumps(self.chat.completion(model, messages, max_tokens))
        if kind == "malformed":
            return self.finish(whole[:-7])
        stream = self.detach()
        if whole:
            await stream.write(f"HTTP/1.1 200 .\r\nContent-Length: {len(whole)}\r\n\r\n{whole[:9]}".encode())
        stream.close()

    def finish(self, chunk=None):
        """Send a body; usage numbers in it are made wrong where that is the fault."""
        if isinstance(chunk, dict) and "usage" in chunk and self.wrong != 1:
            chunk["usage"] = self.wrong and {"prompt_tokens": self.wrong, "completion_tokens": self.wrong}
        return super().finish(chunk)


@dataclass(frozen=True)
class FaultyServer(Server):
    """A server that is running, and what it has seen so far: see `FaultyChat`."""

    chat: FaultyChat


@contextmanager
def serve(
    queries: Sequence[Query] = (),
    *,
    models: Sequence[SimulatedModel] = (*MODELS, JUDGE),
    seed: int = 0,
    faults: Faults | None = None,
    key: str = "",
) -> Iterator[FaultyServer]:
    """Serve simulated models until the block ends.

    Parameters
    ----------
    queries, models, seed : as the loopback server takes them.
    faults : none if None.
    key : bearer token that is asked for; none if empty. A wrong one is told back in the error's text.
    """
    chat = FaultyChat(queries, models, seed, faults or Faults(), key)
    with listening(FaultyHandler, chat) as url:
        yield FaultyServer(url, tuple(models), chat)


@contextmanager
def scripted(say: Callable[[dict[str, Any]], Any], writes_for_s: float = 1.5) -> Iterator[str]:
    """Base URL of a server that answers as told, also in ways no server should.

    Parameters
    ----------
    say : of the request's body; returns a body, (status, text), or an async function of the stream to write.
    writes_for_s : seconds after which such a function is cut off.
    """
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            answer = say(json.loads(await reader.readexactly(int(length[1]))))
            if callable(answer):
                async with asyncio.timeout(writes_for_s):
                    await answer(writer)
            else:
                status, text = answer if isinstance(answer, tuple) else (200, json.dumps(answer))
                body = text.encode()
                writer.write(f"HTTP/1.1 {status} .\r\nContent-Length: {len(body)}\r\n".encode())
                writer.write(b"Connection: close\r\n\r\n" + body)
                await writer.drain()
        writer.close()

    async def main() -> None:
        await asyncio.start_server(serve_one, sock=listener)
        await stop.wait()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    with ThreadPoolExecutor(1) as thread:
        thread.submit(loop.run_until_complete, main())
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            loop.call_soon_threadsafe(stop.set)
    loop.close()


def completion(
    text: object = "The answer is 5.", finish_reason: str = "stop", **parts: Any
) -> dict[str, Any]:
    """Body of a response in the OpenAI shape; `parts` stand beside its choices, such as usage."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    return {"choices": [{"message": message, "finish_reason": finish_reason}], "usage": usage, **parts}
