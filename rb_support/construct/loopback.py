"""An OpenAI-compatible server on 127.0.0.1 with simulated models, for demos, tests and notebook 01.

It answers `POST /v1/chat/completions` over HTTP. What a model says follows from the seed, the model and the
prompt, so a repeated call gets the same answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from rb_support.construct.plan import BYTES_PER_TOKEN, estimate, estimate_prompt
from rb_support.construct.records import Messages, Model, Query
from rb_support.construct.simulated import JUDGE, MODELS, SimulatedModel, draw, reply, say

PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class Server:
    """A server that is running: its address, and its models as cards."""

    url: str
    simulated: tuple[SimulatedModel, ...]

    def models(self) -> list[Model]:
        """Model cards of the simulated models, the judge left out."""
        return [model.card(self.url) for model in self.simulated if model.name != JUDGE.name]

    def judge(self) -> Model:
        """Model card of the judge."""
        return JUDGE.card(self.url)


@contextmanager
def serve(
    queries: Sequence[Query] = (),
    *,
    models: Sequence[SimulatedModel] = (*MODELS, JUDGE),
    seed: int = 0,
) -> Iterator[Server]:
    """Serve simulated models until the block ends.

    Parameters
    ----------
    queries : those whose right answers the models know. To any other prompt they reply as a judge.
    models : who answers.
    seed : of answers.

    Yields
    ------
    The running server.
    """
    with listening(ChatHandler, Chat(queries, models, seed)) as url:
        yield Server(url, tuple(models))


@contextmanager
def listening(handler: type[ChatHandler], chat: Chat) -> Iterator[str]:
    """Base URL of a server in a thread of its own, which ends with the block."""
    application = Application([(PATH, handler, {"chat": chat})], log_function=lambda _: None)
    sockets, stop, loop = (
        bind_sockets(0, "127.0.0.1", backlog=1024),
        asyncio.Event(),
        asyncio.new_event_loop(),
    )

    async def main() -> None:
        server = HTTPServer(application)
        server.add_sockets(sockets)
        await stop.wait()
        server.stop()
        await server.close_all_connections()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(loop.run_until_complete, main())
        try:
            yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}/v1"
        finally:
            loop.call_soon_threadsafe(stop.set)
    loop.close()


class Chat:
    """What simulated models say, by prompt.

    Parameters
    ----------
    queries, models, seed : as `serve` takes them.
    """

    def __init__(self, queries: Sequence[Query], models: Sequence[SimulatedModel], seed: int) -> None:
        self.models = {model.name: model for model in models}
        self.seed = seed
        self._known = {
            _name(query.conversation([""] * turn)): (query, turn)
            for query in queries
            for turn in range(len(query.turns))
        }

    def call(self, model: SimulatedModel, messages: Messages) -> tuple[str, str, int]:
        """Model, sample_id and turn; a prompt that belongs to no query has its hash as sample_id."""
        query, turn = self._known.get(_name(messages), (None, 0))
        return model.name, query.sample_id if query else _name(messages), turn

    def completion(self, model: SimulatedModel, messages: Messages, max_tokens: int) -> dict[str, Any]:
        """Body of a response, in the OpenAI shape."""
        query, turn = self._known.get(_name(messages), (None, 0))
        text = say(model, query, turn, self.seed) if query else reply(messages[-1][1], self.seed)
        cut = text.encode()[: max_tokens * BYTES_PER_TOKEN].decode(errors="ignore")
        prompt, said = estimate_prompt(messages), estimate(cut)
        message = {"role": "assistant", "content": cut}
        choice = {"index": 0, "message": message, "finish_reason": "stop" if cut == text else "length"}
        usage = {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}
        return {"object": "chat.completion", "model": model.name, "choices": [choice], "usage": usage}


class ChatHandler(RequestHandler):
    """One request: waits as long as the model takes, then answers."""

    def initialize(self, chat: Chat) -> None:
        """Take what the models say."""
        self.chat = chat

    async def post(self) -> None:
        """Read the request; 404 for an unknown model or a missing field, 400 for an unreadable body."""
        try:
            request = json.loads(self.request.body)
            messages = tuple((message["role"], message["content"]) for message in request["messages"])
            model = self.chat.models[request["model"]]
            max_tokens = int(request.get("max_completion_tokens") or request["max_tokens"])
        except KeyError as error:
            self.refuse(404, f"no model or field {error}")
        except (ValueError, TypeError):
            self.refuse(400, "the body cannot be read")
        else:
            await self.answer(model, messages, max_tokens)

    async def answer(self, model: SimulatedModel, messages: Messages, max_tokens: int) -> None:
        """Answer after the model's latency, which varies."""
        vary = draw(self.chat.seed, "wait", *self.chat.call(model, messages)).uniform(-1, 1)
        await asyncio.sleep(model.latency_s * (1 + model.spread * vary))
        self.finish(self.chat.completion(model, messages, max_tokens))

    def refuse(self, status: int, message: str) -> None:
        """Answer with an error in the OpenAI shape."""
        self.set_status(status)
        self.finish({"error": {"message": message}})


def _name(messages: Messages) -> str:
    """Hash of what system and user say; the model's own answers follow from it."""
    said = [[role, text] for role, text in messages if role != "assistant"]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
