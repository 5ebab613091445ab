"""An OpenAI-compatible server that hands every request to the model that a saved router chooses.

`POST /v1/chat/completions`, `GET /v1/models`, `/health` and `/metrics`. The model `router` decides as the
router is calibrated, `router-0.95` as if it were calibrated to 95% of the best single model's quality, and
a model of the card file is asked as it is. What a prompt is to the router: the texts of the conversation's
user messages, joined by a blank line as a table's chat prompts are. What system, assistant and tools say is
left out: it is the same in every request of an application, and would drown what differs.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import math
import re
import socket
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal
from urllib.parse import quote

import numpy as np
import prometheus_client as prometheus
import uvicorn
from prometheus_client import Counter, Gauge, Histogram, Summary
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from rb_support.cache import packaged_table
from rb_support.construct.client import Connection
from rb_support.construct.plan import worst_usd
from rb_support.construct.records import CallError, Model, Parameters, TryAgain
from rb_support.construct.run import SLACK, Budget, BudgetReached
from rb_support.deploy.ledger import Ledger, ServeError
from rb_support.deploy.router import DeployedRouter
from rb_support.embed import encoder
from rb_support.outcomes.cells import TURN
from rb_support.routers import decide

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
_ROUTER = re.compile(r"router(?:-(0\.\d{1,3}|1(?:\.0{1,3})?))?")
"""Few goals can be named, as each is calibrated once and kept."""
_BATCH = 64
_CALLERS_FAULT = {400, 413, 415, 422}
_SENT_ON = frozenset(packaged_table("deploy/requests.toml")["sent_on"])


class _Metrics:
    """What the server counts."""

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()
        ours: dict[str, Any] = {"namespace": "rb_router", "registry": self.registry}
        self.calls = Counter("calls", "Calls sent to a model.", ["model"], **ours)
        failed = "Calls without an answer, by what went wrong."
        self.errors = Counter("errors", failed, ["model", "kind"], **ours)
        self.fallbacks = Counter("fallbacks", "Requests handed on for want of an answer.", ["model"], **ours)
        failed = "Requests answered with an error, by its status."
        self.refused = Counter("refused", failed, ["status"], **ours)
        self.usd = Counter("usd", "USD of calls since the server started.", ["model"], **ours)
        self.latency = Histogram("latency_seconds", "Seconds of calls that were answered.", ["model"], **ours)
        self.deciding = Summary("deciding_seconds", "Seconds to embed and decide a batch of prompts.", **ours)
        self.decided = Counter("decided", "Prompts that were decided on.", **ours)
        self.disconnects = Counter("disconnects", "Requests whose caller left before the end.", **ours)
        self.in_flight = Gauge("in_flight", "Requests at work.", **ours)
        self.spent = Gauge("spent_usd", "USD in the ledger, those of earlier runs included.", **ours)
        self.budget = Gauge("budget_usd", "USD that the ledger may reach.", **ours)


class _Refusal(HTTPException):
    """An error in OpenAI's form."""

    def __init__(
        self, status: int, message: str, code: str | None = None, param: str | None = None, wait_s: float = 0
    ) -> None:
        headers = {"retry-after": f"{wait_s:g}"} if wait_s else {}
        if code == "insufficient_quota":
            headers["x-should-retry"] = "false"  # the client would ask twice more
        super().__init__(status, message, headers)
        kind = "invalid_request_error" if status < 429 else "server_error"
        kind = code or "rate_limit_exceeded" if status == 429 else kind
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: Literal["text"]
    text: str


class _Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None


class _Asked(BaseModel):
    """Body of a request, as far as the server reads it."""

    model_config = ConfigDict(extra="allow", strict=True)
    model: str
    messages: Annotated[list[_Message], Field(min_length=1)]
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    n: Annotated[int, Field(ge=1, le=128)] = 1
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None

    def shows(self, part: dict[str, Any]) -> bool:
        """Whether the caller gets a part of the answer; usage that is not asked for is taken off."""
        if self.stream and not (self.stream_options or {}).get("include_usage"):
            part.pop("usage", None)
            return bool(part["choices"])
        return True

    def prompt(self) -> str:
        """What is routed by: the user's texts."""
        said = [message.content for message in self.messages if message.role == "user"]
        parts = [text if isinstance(text, str) else TURN.join(p.text for p in text) for text in said if text]
        return TURN.join(parts)


@dataclass(frozen=True)
class Limits:
    """What the server bears.

    Attributes
    ----------
    timeout_s : seconds that a model may take for its answer, or for the next piece of a streamed one.
    max_tokens : longest answer where a request names none; it is part of what is reserved.
    concurrency : requests at work at once; further ones are refused. Calls at once to a model are its card's.
    max_bytes : size of a request.
    """

    timeout_s: float = 60.0
    max_tokens: int = 1024
    concurrency: int = 256
    max_bytes: int = 2**20


@dataclass(frozen=True)
class _Choice:
    """A model that may answer, and what the router expects of it."""

    model: str
    quality: float | None = None
    usd: float | None = None

    def headers(self) -> dict[str, str]:
        told = {"x-router-model": quote(self.model, safe=" /:@+(),")}
        if self.quality is not None:
            told |= {"x-router-quality": f"{self.quality:.6g}", "x-router-expected-usd": f"{self.usd:.6g}"}
        return told


class _Decisions:
    """Embeds prompts and decides in a thread of its own; all that wait meanwhile are the next batch.

    Nothing is kept: the vectors of a user's prompts go into no cache.
    """

    def __init__(self, router: DeployedRouter, metrics: _Metrics) -> None:
        self._router, self._metrics, self._encode = router, metrics, encoder(router.embedding)
        self._thread = ThreadPoolExecutor(1, "decide")
        self._waiting: list[tuple[str, str, asyncio.Future[list[_Choice]]]] = []
        self._work: asyncio.Task[None] | None = None
        self._willingness = cache(self._calibrated)

    async def __call__(self, prompt: str, share: str) -> list[_Choice]:
        """Models in the order of preference at a share of the best model's quality; "" as calibrated."""
        future: asyncio.Future[list[_Choice]] = asyncio.get_running_loop().create_future()
        self._waiting.append((prompt, share, future))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._all())
        return await future

    async def _all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            prompts, shares, futures = zip(*batch, strict=True)
            done = loop.run_in_executor(self._thread, self._decide, prompts, shares)
            await asyncio.wait([done])
            for n, future in enumerate(futures):
                if future.cancelled():
                    continue
                if error := done.exception():
                    future.set_exception(error)
                else:
                    future.set_result(done.result()[n])

    def _decide(self, prompts: Sequence[str], shares: Sequence[str]) -> list[list[_Choice]]:
        began, router = time.perf_counter(), self._router
        predicted = router.predictor.predict(self._encode(prompts))
        first, score = np.zeros(len(prompts), dtype=np.intp), np.zeros_like(predicted)
        for share in set(shares):
            rows, willingness = np.equal(shares, share), self._willingness(share)
            first[rows] = decide(predicted[rows], router.mean_cost, willingness)
            score[rows] = willingness * predicted[rows] - router.mean_cost
        score[np.arange(len(first)), first] = np.inf
        self._metrics.deciding.observe(time.perf_counter() - began)
        self._metrics.decided.inc(len(prompts))
        usd = router.mean_cost.tolist()
        return [
            [_Choice(router.models[j], float(row[j]), usd[j]) for j in order]
            for row, order in zip(predicted, np.argsort(-score, axis=1, kind="stable"), strict=True)
        ]

    def _calibrated(self, share: str) -> float:
        setting = self._router.calibrate(quality=float(share)).setting if share else self._router.setting
        assert setting is not None
        return setting.willingness_to_pay

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)


class Proxy:
    """The endpoint of chat completions, and what the others tell of it.

    Parameters
    ----------
    router : who decides.
    models : cards of its models at least, with their endpoints and prices.
    ledger : what was spent.
    budget_usd : USD that the ledger may reach; None for any amount. Before a call the most that it can cost
        is reserved; what an answer does not tell stays charged so.
    fallback : whether the next best model is asked where one has no answer.
    limits : what the server bears.
    key : that callers must send; none if empty.

    Raises
    ------
    ServeError : if a model of the router has no card, or one is called as the router is.
    CallError : if a key is not in the environment.
    """

    def __init__(
        self,
        router: DeployedRouter,
        models: Sequence[Model],
        ledger: Ledger,
        *,
        budget_usd: float | None = None,
        fallback: bool = False,
        limits: Limits = Limits(),
        key: str = "",
    ) -> None:
        cards = {model.name: model for model in models}
        for name in router.models:
            if name not in cards:
                raise ServeError(f"no model card is named {name!r}, whom the router knows; write a [[model]]")
        if any(map(_ROUTER.fullmatch, cards)):
            raise ServeError("a model card is named as the router is; give it another name")
        self.router, self.cards, self.ledger, self.limits, self.key = router, cards, ledger, limits, key
        self.fallback, self.work = fallback, asyncio.Semaphore(limits.concurrency)
        self.budget = Budget(budget_usd, sum(ledger.usd.values()))
        self.metrics = metrics = _Metrics()
        metrics.spent.set_function(lambda: self.budget.spent_usd)
        metrics.budget.set(math.inf if budget_usd is None else budget_usd)
        self.decisions = _Decisions(router, metrics)
        self.connections = {name: Connection(card, limits.timeout_s) for name, card in cards.items()}
        self.slots = {name: asyncio.Semaphore(card.concurrency) for name, card in cards.items()}
        self.dearer: set[str] = set()  # models that have billed more than can be

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of chat completions; a caller who leaves ends it."""
        try:
            if self.work.locked():
                raise _Refusal(503, "The server is overloaded; try again later.", "overloaded", wait_s=1)
            with self.metrics.in_flight.track_inprogress():
                async with self.work:
                    raw = await self._read(Request(scope, receive))
                    if not await _while_there(self._answer(raw, scope, receive, send), receive):
                        raise ClientDisconnect
        except ClientDisconnect:
            self.metrics.disconnects.inc()

    async def _read(self, request: Request) -> bytes:
        """Body of a request that may be asked."""
        self._check_key(request)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise _Refusal(415, "Send the body as content-type application/json.")  # a web page cannot
        raw = bytearray()
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                async for piece in request.stream():
                    raw += piece
                    if len(raw) > self.limits.max_bytes:
                        raise _Refusal(413, f"The request is larger than {self.limits.max_bytes:,} bytes.")
        except TimeoutError:
            raise _Refusal(408, "The request's body did not come in time.") from None
        return bytes(raw)

    def _check_key(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if self.key and not hmac.compare_digest(given.encode(), self.key.encode()):
            raise _Refusal(401, "Incorrect API key provided.", "invalid_api_key")

    async def _answer(self, raw: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask the model that is chosen, and where it has no answer and that is wished, the next best."""
        asked, body, text = _parsed(raw)
        choices = await self._choices(asked)
        for choice, following in zip(choices, [*choices[1:], None], strict=True):
            async with aclosing(self._texts(choice.model, asked, body, text)) as texts:
                try:
                    first = await anext(texts)
                except _Refusal:
                    if following is None or not self.fallback:
                        raise
                    self.metrics.fallbacks.labels(choice.model).inc()
                    continue
                headers = choice.headers() | {"cache-control": "no-cache"}
                if asked.stream:
                    events, kind = _events(first, texts), "text/event-stream"
                    return await StreamingResponse(events, headers=headers, media_type=kind).stream_response(
                        self._in_time(send)
                    )
                async for _ in texts:
                    pass  # to its end, where its cost is settled
            response = Response(first, headers=headers, media_type="application/json")
            return await response(scope, receive, self._in_time(send))

    async def _choices(self, asked: _Asked) -> list[_Choice]:
        if asked.model in self.cards:
            return [_Choice(asked.model)]
        named = _ROUTER.fullmatch(asked.model)
        share = (named[1] or "") if named else ""
        if named is None or (share and not float(share)) or not (share or self.router.setting):
            message = f"The model `{asked.model}` does not exist or you do not have access to it."
            raise _Refusal(404, message, "model_not_found")
        prompt = asked.prompt()
        if not prompt.strip():
            raise _Refusal(400, "No text of a user to route by.", param="messages")
        return await self.decisions(prompt, share)

    async def _texts(
        self, name: str, asked: _Asked, body: dict[str, Any], text: str
    ) -> AsyncGenerator[str, None]:
        """Ask one model within the budget; its answer as JSON, whole or in pieces, and why it broke off.

        Raises
        ------
        _Refusal : if there is no answer, and nothing of one was handed on.
        """
        card, connection = self.cards[name], self.connections[name]
        limit = asked.max_completion_tokens or asked.max_tokens or self.limits.max_tokens
        body = body | {"max_completion_tokens" if card.max_completion_tokens else "max_tokens": limit}
        if asked.stream:
            body["stream_options"] = (asked.stream_options or {}) | {"include_usage": True}
        for unsaid in ("temperature", "stop") if card.fixed_temperature else ():
            body.pop(unsaid, None)
        # No tokenizer makes more than one token of a byte, and the body is longer than its texts.
        messages = (("", text), *[("", "")] * (len(asked.messages) - 1))
        most = worst_usd(card, messages, Parameters(limit * asked.n))
        told, begun, last = None, False, "[DONE]"
        async with self.slots[name]:
            if name in self.dearer:
                raise _Refusal(502, f"{name}: its endpoint bills more than it may; it is asked no more")
            try:
                await self.budget.reserve(most)
            except BudgetReached as reached:
                left = (self.budget.limit_usd or 0.0) - self.budget.spent_usd
                message = f"You exceeded the budget: {reached}, and ${max(left, 0.0):.6f} are left."
                raise _Refusal(429, message, "insufficient_quota") from None
            spent, began = most, time.perf_counter()  # until it is known better
            try:
                self.ledger.add(name, most)
                self.metrics.calls.labels(name).inc()
                async with aclosing(connection.forward(body)) as parts:
                    async for part in parts:
                        usd = connection.usd(part.get("usage"))
                        told = told if usd is None else usd
                        if asked.shows(part):
                            begun = True
                            yield connection.without_key(json.dumps(part | {"model": name}))
                spent = most if told is None else told
                self.metrics.latency.labels(name).observe(time.perf_counter() - began)
                if spent > most + SLACK and self.budget.limit_usd is not None:
                    self.dearer.add(name)
            except (TryAgain, CallError) as error:
                spent = most if error.billed or begun else 0.0
                failed, kind = _refusal(error, name)
                self.metrics.errors.labels(name, kind).inc()
                if not begun:
                    raise failed from None
                last = connection.without_key(json.dumps(failed.body))
            finally:
                self.metrics.usd.labels(name).inc(spent)
                self.budget.settle(most, spent)
                if spent != most:
                    self.ledger.add(name, spent - most)
        yield last

    def _in_time(self, send: Send) -> Send:
        """Sends to a caller, who counts as gone if he takes nothing for as long as a model may take."""

        async def sending(message: Message) -> None:
            try:
                async with asyncio.timeout(self.limits.timeout_s):
                    await send(message)
            except TimeoutError:
                raise ClientDisconnect from None

        return sending

    # The other endpoints

    async def models(self, request: Request) -> Response:
        """Names that a request may ask for."""
        self._check_key(request)
        names = [*(["router"] if self.router.setting else []), *self.cards]
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "rb_support"} for name in names]
        return JSONResponse({"object": "list", "data": listed})

    async def health(self, request: Request) -> Response:
        """That the server runs, and how its router is set."""
        goal = str(self.router.goal) if self.router.goal else None
        return JSONResponse({"status": "ok", "kind": self.router.kind, "goal": goal})

    async def counted(self, request: Request) -> Response:
        """Counts in Prometheus' form."""
        counts = prometheus.generate_latest(self.metrics.registry)
        return Response(counts, headers={"content-type": prometheus.CONTENT_TYPE_LATEST})

    async def refused(self, request: Request, error: Exception) -> Response:
        """Errors, those of routes too, in OpenAI's form."""
        if not isinstance(error, HTTPException):
            error = _Refusal(500, "The server had an error while processing your request.")
        elif not isinstance(error, _Refusal):
            asked = f"{request.method} {request.url.path}"
            told = {
                404: (f"Unknown request URL: {asked}. Please check the URL for typos.", "unknown_url"),
                405: (f"Not allowed to {asked}.", "method_not_supported"),
            }
            error = _Refusal(error.status_code, *told.get(error.status_code, (error.detail,)))
        self.metrics.refused.labels(error.status_code).inc()
        return JSONResponse(error.body, error.status_code, error.headers)

    async def close(self) -> None:
        """Leave ledger, thread and connections."""
        self.decisions.close()
        for connection in self.connections.values():
            await connection.close()
        self.ledger.close()


async def _events(first: str, texts: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """Server-sent events of these texts."""
    yield f"data: {first}\n\n"
    async for text in texts:
        yield f"data: {text}\n\n"


def _parsed(raw: bytes) -> tuple[_Asked, dict[str, Any], str]:
    """What a request asks, its fields to send on, and these as they are sent."""
    try:
        body = {name: value for name, value in json.loads(raw).items() if value is not None}
        sent = {name: value for name, value in body.items() if name in _SENT_ON | {"messages"}}
        text = json.dumps(sent, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, AttributeError, RecursionError):  # no numbers and half characters are no JSON either
        message = "We could not parse the JSON body of your request: it must be an object in JSON."
        raise _Refusal(400, message) from None
    try:
        asked = _Asked.model_validate(body)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise _Refusal(400, f"Invalid value for '{where}': {fault['msg']}", param=where) from None
    unknown = sorted((asked.model_extra or {}).keys() - _SENT_ON)
    if unknown:
        message = f"Unrecognized request argument supplied: {unknown[0]}"
        raise _Refusal(400, message, "unknown_parameter", unknown[0])
    return asked, sent, text


def _refusal(error: TryAgain | CallError, model: str) -> tuple[_Refusal, str]:
    """What a caller is told of a call without an answer, and the kind that is counted."""
    if isinstance(error, CallError):
        status = error.status if error.status in _CALLERS_FAULT else 502
        return _Refusal(status, str(error)), str(error.status or "refused")
    status = {"429": 429, "timeout": 504}.get(error.kind, 502)
    return _Refusal(status, f"{model}: no answer: {error}", wait_s=error.wait_s), error.kind


async def _while_there(work: Awaitable[None], receive: Receive) -> bool:
    """Do work until the caller leaves; False if that came first."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task, left = asyncio.ensure_future(work), asyncio.create_task(gone())
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        left.cancel()
        task.cancel()  # what is done stays so
        await asyncio.wait({task, left})
    return not task.cancelled() and task.result() is None


def application(proxy: Proxy, host: str = "127.0.0.1") -> Starlette:
    """The routes of a proxy; on loopback it answers to no other name, so that no web page can reach it."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await proxy.close()

    return Starlette(
        routes=[
            Route("/v1/chat/completions", proxy, methods=["POST"]),
            Route("/v1/models", proxy.models),
            Route("/health", proxy.health),
            Route("/metrics", proxy.counted),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK)] if host in LOOPBACK else [],
        exception_handlers=dict.fromkeys((HTTPException, Exception), proxy.refused),
        lifespan=lifespan,
    )


def serve(proxy: Proxy, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, and answer then what is at work, for at most the limits' timeout.

    Raises
    ------
    OSError : if the address cannot be had.
    """
    with _socket(host, port) as listening:
        shown = f"[{host}]" if ":" in host else host
        say(f"listening on http://{shown}:{listening.getsockname()[1]}/v1")
        _server(proxy, host).run([listening])


@contextmanager
def serving(proxy: Proxy) -> Iterator[str]:
    """Base URL of a server on this machine, in a thread of its own, which ends with the block."""
    with _socket("127.0.0.1", 0) as listening:
        server = _server(proxy, "127.0.0.1")
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()


def _socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.create_server((host, port), family=family, backlog=2048)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # its connections too; else 40 ms a request
    return made


def _server(proxy: Proxy, host: str) -> uvicorn.Server:
    config = uvicorn.Config(
        application(proxy, host),
        log_level="warning",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(proxy.limits.timeout_s) + 1,
    )
    return uvicorn.Server(config)
