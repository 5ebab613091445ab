"""One attempt at one call, through the `openai` client or through litellm; neither repeats anything itself.

Attempts are repeated in `run`, because every one of them is charged to the budget before it is sent. The
`openai` client reads proxies and organisations from the environment. 4,000 calls to a 200 ms endpoint, 64 at
once, took 1.14 times the ideal time with it.

Why litellm for endpoints of another kind (the extra `providers`): one blocking call gives an answer of the
same shape for over 160 providers. It adds 25 packages to this environment and takes 4 s to import. Two
releases of it (1.82.7 and 1.82.8, March 2026) carried a thief of keys, so the extra asks for a later one, and
is worth installing only where it is needed.
"""

from __future__ import annotations

import asyncio
import base64
import html
import importlib
import json
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from ssl import SSLContext
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from rb_support.cache import packaged_table
from rb_support.construct.plan import estimate, estimate_prompt
from rb_support.construct.records import (
    OPENAI_COMPATIBLE,
    CallError,
    Messages,
    Model,
    Parameters,
    TryAgain,
)
from rb_support.visible import visible

_SHORTEST_KEY = 8
"""Shorter values, such as "EMPTY" for a local server, are no secrets and are left in texts."""
MOST_TOKENS = 10_000_000
"""No model reads or writes more at once; a count above it cannot be."""
_END = object()
_SAID = packaged_table("construct/providers.toml")
"""What providers say and how."""
_STATUSES, _NOT_SENT = _SAID["statuses"], _SAID["not_sent"]


@dataclass(frozen=True)
class Reply:
    """What an endpoint answered, free of keys: the part of an `Answer` that it tells, with the same names."""

    text: str
    prompt_tokens: int
    answer_tokens: int
    tokens_estimated: bool
    finish_reason: str
    raw: str
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class Connection:
    """A way to ask one model, for many calls at once.

    Parameters
    ----------
    model : whom to ask.
    timeout_s : seconds that an attempt may take, from connecting to the answer's last byte.

    Raises
    ------
    CallError : if the model's key or its provider's library is missing; nothing is sent yet.
    """

    def __init__(self, model: Model, timeout_s: float) -> None:
        self.model, self._key, self._timeout_s = model, _key_of(model), timeout_s
        through = _openai if model.provider == OPENAI_COMPATIBLE else _litellm
        self._parts, self.close = through(model, timeout_s, self._key)

    async def ask(self, messages: Messages, parameters: Parameters, stop: tuple[str, ...] = ()) -> Reply:
        """Ask once; an answer ends before one of the texts of `stop`.

        Raises
        ------
        TryAgain : if the attempt failed in a way that may pass.
        CallError : if another attempt would fail as well.
        """
        limit = "max_completion_tokens" if self.model.max_completion_tokens else "max_tokens"
        said = [{"role": role, "content": text} for role, text in messages]
        asked: dict[str, Any] = {"messages": said, limit: parameters.max_tokens}
        if not self.model.fixed_temperature:
            asked |= {"temperature": parameters.temperature} | ({"stop": list(stop)} if stop else {})
        if parameters.seed is not None:
            asked["seed"] = parameters.seed
        try:
            # the libraries' own limits are for each read
            async with asyncio.timeout(self._timeout_s), aclosing(self._parts(asked)) as parts:
                response = await anext(parts)
        except Exception as error:  # either library has some thirty kinds
            problem = _problem(self.model, error, self._key)
        else:
            return read_reply(response, self.model, self._key, messages)
        raise problem  # out here it carries no trace of the library's error, which holds the request

    async def forward(self, asked: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Send another's request on, and give its answer as it comes: whole, or in pieces if it has "stream".

        Parameters
        ----------
        asked : body of the request in the OpenAI shape, without its model. The timeout is for each piece.

        Raises
        ------
        TryAgain : if it failed in a way that may pass.
        CallError : if it would fail again.
        """
        come = False
        async with aclosing(self._parts(asked)) as parts:
            while True:
                problem: Exception = TryAgain("malformed", billed=True)
                try:
                    async with asyncio.timeout(self._timeout_s):
                        part = await anext(parts, _END)
                except Exception as error:
                    problem = _problem(self.model, error, self._key)
                else:
                    if come and part is _END:
                        return
                    if come := isinstance(part, dict) and isinstance(part.get("choices"), list):
                        yield part
                        continue
                raise problem

    def usd(self, usage: Any) -> float | None:
        """USD of a call by the usage that its answer tells; None if it tells none that can be."""
        counts = _counts(usage)
        return None if counts is None else self.model.cost(*counts)

    def without_key(self, text: str) -> str:
        """Text of an answer without the key as it is, and as JSON writes it."""
        if len(self._key) < _SHORTEST_KEY:
            return text
        return text.replace(self._key, "[key]").replace(json.dumps(self._key)[1:-1], "[key]")


_Through = tuple[Callable[[dict[str, Any]], AsyncGenerator[Any, None]], Callable[[], Awaitable[None]]]
"""A way to send a call, whose answer comes whole or in pieces, and to close the connection."""


def _openai(model: Model, timeout_s: float, key: str) -> _Through:
    import openai

    # no proxy leads to this machine
    elsewhere = urlsplit(model.endpoint).hostname not in ("127.0.0.1", "localhost", "::1")
    client = openai.AsyncOpenAI(
        api_key=key or "none",  # else it takes that of OPENAI_API_KEY, whoever the endpoint is
        base_url=model.endpoint,
        max_retries=0,
        timeout=openai.Timeout(None, connect=timeout_s / 2),
        http_client=openai.DefaultAsyncHttpxClient(trust_env=elsewhere, verify=_trusted(elsewhere)),
    )

    async def parts(asked: dict[str, Any]) -> AsyncGenerator[Any, None]:
        # with its checked `chat.completions.create` a call takes a quarter more of the processor's time
        path, body = "/chat/completions", {"model": model.served_name, **asked}
        if not asked.get("stream"):
            content, answer = await client.post(path, body=body, cast_to=str), None
            with suppress(ValueError, RecursionError):  # None if no one can read it
                answer = json.loads(content)
            yield answer
            return
        kind: Any = openai.AsyncStream[object]
        async with await client.post(path, body=body, cast_to=object, stream=True, stream_cls=kind) as pieces:
            async for piece in pieces:
                yield piece

    return parts, client.close


@cache
def _trusted(from_environment: bool) -> SSLContext:
    """Certificates that are trusted; reading them takes 20 ms."""
    import httpx

    return httpx.create_ssl_context(trust_env=from_environment)


def _litellm(model: Model, timeout_s: float, key: str) -> _Through:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it looks prices up when imported
    try:
        litellm = importlib.import_module("litellm")
    except ImportError:
        raise CallError(
            f"{model.name}: provider {model.provider!r} needs litellm; pip install 'rb-support[providers]', "
            f"or take an endpoint that is {OPENAI_COMPATIBLE}",
            whole_model=True,
        ) from None
    vars(litellm)["suppress_debug_info"] = True  # else it prints advice at every error
    always = {"model": f"{model.provider}/{model.served_name}", "timeout": timeout_s, "max_retries": 0}
    always |= {"drop_params": True} | ({"api_base": model.endpoint} if model.endpoint else {})
    always |= {"api_key": key} if key else {}

    async def parts(asked: dict[str, Any]) -> AsyncGenerator[Any, None]:
        answer = await litellm.acompletion(**always, **asked)
        if not asked.get("stream"):
            yield answer.model_dump()
            return
        async for piece in answer:
            yield piece.model_dump()

    async def close() -> None:
        """Nothing: the library keeps its connections to itself."""

    return parts, close


def _key_of(model: Model) -> str:
    """Key of a model out of the environment; empty if its card names no variable."""
    key = os.environ.get(model.key_variable, "").strip() if model.key_variable else ""
    if model.key_variable and not key:
        what = f"the environment variable {model.key_variable} is not set; set it to the key"
    elif not (key.isascii() and key.isprintable()):
        what = f"the value of {model.key_variable} holds characters that no key has; set it again"
    else:
        return key
    raise CallError(f"{model.name}: {what}", whole_model=True)


@lru_cache(maxsize=64)
def _pieces(key: str) -> tuple[int, frozenset[str]]:
    """Length of the pieces by which a key is known, and all of them in its usual codings, in lower case.

    Pieces of a random key are short, for a key that is cut. One without a digit is a local server's, such as
    "sk-no-key-required", whose pieces are words.
    """
    size = _SHORTEST_KEY if any(map(str.isdigit, key)) else len(key)
    coded = [base64.b64encode(b"\0" * lead + key.encode()).decode() for lead in range(3)]
    forms = [key, json.dumps(key)[1:-1], html.escape(key), key.encode().hex(), quote(key, safe="")]
    forms += [*coded, *(form.translate(str.maketrans("+/", "-_")) for form in coded)]
    forms += ["".join(f"%{byte:02x}" for byte in key.encode())]
    return size, frozenset(
        form[at : at + size].lower() for form in forms for at in range(len(form) - size + 1)
    )


def without_key(text: str, key: str) -> str:
    """Text without the key and its parts of eight and more characters, in any usual coding.

    Where a key is hidden in escapes (of URLs, HTML or JSON), the text comes back decoded.

    >>> without_key("wrong key: sk-12345678", "sk-12345678")
    'wrong key: [key]'
    >>> without_key("GET /v1?key=sk%2D1234%2D5678", "sk-1234-5678")
    'GET /v1?key=[key]'
    """
    if len(key) < _SHORTEST_KEY:
        return text
    (size, pieces), shown = _pieces(key), text
    for _ in range(4):
        struck = bytearray(len(shown))
        for at in range(len(shown) - size + 1):
            if shown[at : at + size].lower() in pieces:
                struck[at : at + size] = bytes([1]) * size
        if any(struck):
            runs = re.finditer(rb"\x00+|\x01+", struck)
            shown = text = "".join("[key]" if run[0][0] else shown[slice(*run.span())] for run in runs)
        before, shown = shown, _decoded(shown)
        if shown == before:
            break
    return text


def _decoded(text: str) -> str:
    text = html.unescape(unquote(text))
    return re.sub(r"\\(?:u00|x)([0-9a-fA-F]{2})", lambda code: chr(int(code[1], 16)), text)


def _clean(value: Any, key: str) -> Any:
    """A response with every text in it free of keys and of lone surrogates."""
    if isinstance(value, dict):
        return {_clean(name, key): _clean(inner, key) for name, inner in value.items()}
    if isinstance(value, list):
        return [_clean(inner, key) for inner in value]
    return without_key(value.encode(errors="replace").decode(), key) if isinstance(value, str) else value


def read_reply(response: Any, model: Model, key: str = "", messages: Messages = ()) -> Reply:
    """Reply in a response of the OpenAI shape.

    Raises
    ------
    TryAgain : if it has another shape, holds an error or no text.
    CallError : if it holds no text, and would hold none again.
    """
    try:
        response = _clean(response, key)
        choice = (response.get("choices") or [{}])[0]
        finish_reason = str(choice.get("finish_reason") or "")
        error = response.get("error") or choice.get("error")
        failed = error or "error" in finish_reason.lower()  # some say "network_error"
        message = {} if failed else choice["message"]
        content = message.get("content")
        if isinstance(content, list):
            content = "".join(part.get("text") or "" for part in content)
        text = content or message.get("refusal") or ""
        blank = not text.strip()
    except (KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise TryAgain("malformed", billed=True) from None
    if failed:
        code = error.get("code") if isinstance(error, dict) else None
        raise _refusal(model, code if isinstance(code, int) else 0, _one_line(json.dumps(error or ""), key))
    if blank and finish_reason in _SAID["no_text"]:
        raise CallError(f"{model.name}: {_SAID['no_text'][finish_reason]}", billed=True)
    if blank:
        raise TryAgain("empty", billed=True)
    counts = _counts(response.get("usage") or response.get("usageMetadata"))
    prompt, said, cached, reasoning = counts or (estimate_prompt(messages), estimate(text), 0, 0)
    raw = json.dumps(response, ensure_ascii=False, default=str)
    return Reply(text, prompt, said, counts is None, finish_reason, raw, cached, reasoning)


def _counts(usage: Any) -> tuple[int, int, int, int] | None:
    """Tokens of prompt and answer, and how many of these were cached and thought; None if that is not told.

    What a total says more than its parts was paid for too: it is the answer's.
    """
    if not isinstance(usage, dict):
        return None
    flat = {name: count for part in usage.values() if isinstance(part, dict) for name, count in part.items()}
    flat |= usage
    told = []
    for names in _SAID["counts"].values():
        count = next((flat[name] for name in names if flat.get(name) is not None), 0)
        if type(count) is not int or not 0 <= count <= MOST_TOKENS:
            return None
        told.append(count)
    prompt, answer, total, cached, reasoning, created = told
    if not prompt + cached or not answer:
        return None
    if "input_tokens" in usage and "cache_read_input_tokens" in usage:  # Anthropic counts them apart
        prompt += cached + created
    prompt += cached if cached > prompt else 0
    answer += reasoning if reasoning > answer else 0
    return prompt, max(answer, total - prompt), cached, reasoning


def _one_line(text: str, key: str) -> str:
    """What an endpoint says of an error: decoded, on one line of up to 200 characters, without the key."""
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), ensure_ascii=False)
    text = visible(" ".join(without_key(text, key).split()))
    return text if len(text) <= 200 else f"{text[:200]} …"


def _problem(model: Model, error: Exception, key: str) -> Exception:
    """What an error of a library means: whether to try again, and whether it may be on the bill."""
    response, cause = getattr(error, "response", None), error.__cause__
    status = getattr(error, "status_code", None)
    sent = type(cause).__name__ not in _NOT_SENT
    if "Timeout" in type(error).__name__:
        return TryAgain("timeout", billed=sent)
    if "CERTIFICATE_VERIFY_FAILED" in str(cause):
        reason = f"its certificate is refused ({_one_line(str(cause), key)}); look at endpoint and clock"
        return CallError(f"{model.name}: {reason}", whole_model=True)
    if not isinstance(status, int):  # whatever went wrong while sending or reading
        return TryAgain("cut" if sent else "no connection", billed=sent)
    headers = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", {})
    asked = re.fullmatch(r"\s*(\d*\.?\d+)\s*", headers.get("retry-after") or "")
    says = _one_line(getattr(response, "text", "") or str(error), key)
    return _refusal(model, status, says, wait_s=float(asked[1]) if asked else 0.0, seen=True)


def _refusal(model: Model, status: int, says: str, *, wait_s: float = 0.0, seen: bool = False) -> Exception:
    """What a status means. One that a whole answer holds, in place of its text, says nothing of the bill."""
    # litellm says 500 of a cut connection and of a broken answer too
    billed = not seen or status >= (500 if model.provider != OPENAI_COMPATIBLE else 600)
    billed = billed or (status not in _STATUSES["not_billed"] and (status >= 500 or status == 408))
    says = "" if status in _STATUSES["echoes_keys"] else says
    if status < 300 or status in _STATUSES["again"] or status >= 500:
        return TryAgain(str(status) if status else "error", says, wait_s=wait_s, billed=billed)
    remedy = _SAID["remedies"].get(str(status), "look at the endpoint in the model card")
    remedy = remedy.format(variable=model.key_variable or "key_variable of the model card")
    message = f"{model.name}: the endpoint answered {status}: {remedy}"
    message += f" (it says: {says})" if says else ""
    whole_model = status in _STATUSES["whole_model"] or status < 400
    return CallError(message, whole_model=whole_model, billed=billed, status=status)
