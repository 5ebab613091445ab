"""One attempt at one call, through the `openai` client or through litellm; neither repeats anything itself.

Attempts are repeated in `run`, because every one of them is charged to the budget before it is sent. The
`openai` client reads proxies and organisations from the environment. 4,000 calls to a 200 ms endpoint, 64 at
once, took 1.08 times the ideal time with it.

Why litellm for endpoints of another kind (the extra `providers`): one blocking call gives an answer of the
same shape for over 160 providers. It adds 25 packages to this environment and takes 4 s to import. Two
releases of it (1.82.7 and 1.82.8, March 2026) carried a thief of keys, so the extra asks for a later one, and
is worth installing only where it is needed.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from rb_support.construct.records import OPENAI_COMPATIBLE, CallError, Messages, Model, Parameters, TryAgain

_NOT_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}
"""Errors of a request that did not reach the endpoint, and so are on no bill."""
_AGAIN = {408, 409, 425, 429}
_GATEWAY = {502, 504}
_REMEDIES = {
    400: "look at the parameters and at the prompt's length",
    401: "the key is refused: look at the environment variable {variable}",
    402: "the account has no money left",
    403: "the key may not use this model: look at the account and at {variable}",
    404: "look at endpoint and served_name in the model card",
    413: "the prompt is too long",
}
_WHOLE_MODEL = {401, 402, 403, 404}
_SHORTEST_KEY = 8
"""Shorter values, such as "EMPTY" for a local server, are no secrets and are left in texts."""


@dataclass(frozen=True)
class Reply:
    """What an endpoint answered, free of keys.

    Attributes
    ----------
    text : the answer; may be empty.
    prompt_tokens, answer_tokens : counts of the endpoint, None if absent or impossible.
    finish_reason : as the endpoint said; empty if it did not.
    raw : the response as JSON text.
    """

    text: str
    prompt_tokens: int | None
    answer_tokens: int | None
    finish_reason: str
    raw: str


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
        self._send, self.close = through(model, timeout_s, self._key)

    async def ask(self, messages: Messages, parameters: Parameters) -> Reply:
        """Ask once.

        Raises
        ------
        TryAgain : if the attempt failed in a way that may pass.
        CallError : if another attempt would fail as well.
        """
        asked: dict[str, Any] = {
            "messages": [{"role": role, "content": text} for role, text in messages],
            "max_tokens": parameters.max_tokens,
            "temperature": parameters.temperature,
        }
        if parameters.seed is not None:
            asked["seed"] = parameters.seed
        try:
            async with asyncio.timeout(self._timeout_s):  # the libraries' own limits are for each read
                response = await self._send(asked)
        except Exception as error:  # either library has some thirty kinds
            problem = _problem(self.model, error, self._key)
        else:
            return read_reply(response, self.model, self._key)
        raise problem  # out here it carries no trace of the library's error, which holds the request


_Through = tuple[Callable[[dict[str, Any]], Awaitable[Any]], Callable[[], Awaitable[None]]]
"""Ways to send a call and to close the connection."""


def _openai(model: Model, timeout_s: float, key: str) -> _Through:
    import openai

    nearby = urlsplit(model.endpoint).hostname in ("127.0.0.1", "localhost", "::1")
    client = openai.AsyncOpenAI(
        api_key=key or "none",  # else it takes that of OPENAI_API_KEY, whoever the endpoint is
        base_url=model.endpoint,
        max_retries=0,
        timeout=openai.Timeout(None, connect=timeout_s / 2),
        http_client=openai.DefaultAsyncHttpxClient(trust_env=not nearby),  # no proxy leads to this machine
    )
    raw = client.chat.completions.with_raw_response

    async def send(asked: dict[str, Any]) -> Any:
        content = (await raw.create(model=model.served_name, **asked)).content
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            return None  # an answer that no one can read

    return send, client.close


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

    async def send(asked: dict[str, Any]) -> Any:
        return (await litellm.acompletion(**always, **asked)).model_dump()

    async def close() -> None:
        """Nothing: the library keeps its connections to itself."""

    return send, close


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


def without_key(text: str, key: str) -> str:
    """Text without the key, as it is or as JSON would write it.

    >>> without_key("wrong key: sk-12345678", "sk-12345678")
    'wrong key: [key]'
    """
    if len(key) < _SHORTEST_KEY:
        return text
    return text.replace(key, "[key]").replace(json.dumps(key)[1:-1], "[key]")


def read_reply(response: Any, model: Model, key: str = "") -> Reply:
    """Reply in a response of the OpenAI shape.

    Raises
    ------
    TryAgain : if it has another shape.
    """
    try:
        choice = response["choices"][0]
        content = choice["message"].get("content")
        if isinstance(content, list):
            content = "".join(part.get("text") or "" for part in content)
        texts = [content or choice["message"].get("refusal") or "", str(choice.get("finish_reason") or "")]
        texts = [text.encode(errors="replace").decode() for text in texts]
    except (KeyError, IndexError, TypeError, AttributeError):
        raise TryAgain("malformed", billed=True) from None
    raw = json.dumps(response, ensure_ascii=False, default=str).encode(errors="replace").decode()
    text, finish_reason, raw = (without_key(part, key) for part in (*texts, raw))
    usage = response.get("usage") if isinstance(response.get("usage"), dict) else {}
    prompt, said = usage.get("prompt_tokens"), usage.get("completion_tokens")
    prompt = prompt if type(prompt) is int and 1 <= prompt <= model.context_tokens else None
    said = said if type(said) is int and bool(text) <= said <= model.context_tokens else None
    return Reply(text, prompt, said, finish_reason, raw)


def _problem(model: Model, error: Exception, key: str) -> Exception:
    """What an error of a library means: whether to try again, and whether it may be on the bill."""
    kind, status = type(error).__name__, getattr(error, "status_code", None)
    response = getattr(error, "response", None)
    says = " ".join(without_key(getattr(response, "text", "") or str(error), key).split())
    says = says if len(says) <= 200 else f"{says[:200]} …"
    sent = type(error.__cause__).__name__ not in _NOT_SENT
    if "Timeout" in kind:
        return TryAgain("timeout", billed=sent)
    if "CERTIFICATE_VERIFY_FAILED" in str(error.__cause__):
        reason = f"its certificate is refused ({error.__cause__}); look at endpoint and clock"
        return CallError(f"{model.name}: {reason}", whole_model=True)
    if kind == "APIConnectionError" and status is None:
        return TryAgain("cut" if sent else "no connection", billed=sent)
    if not isinstance(status, int):
        return CallError(f"{model.name}: {kind}: {says}")
    if status in _AGAIN or status >= 500:
        headers = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", {})
        asked = re.fullmatch(r"\s*(\d*\.?\d+)\s*", headers.get("retry-after") or "")
        # litellm says 500 of a cut connection and of a broken answer too
        billed = status in _GATEWAY or (status >= 500 and model.provider != OPENAI_COMPATIBLE)
        return TryAgain(str(status), wait_s=float(asked[1]) if asked else 0.0, billed=billed)
    remedy = _REMEDIES.get(status, "look at the endpoint in the model card")
    remedy = remedy.format(variable=model.key_variable or "key_variable of the model card")
    message = f"{model.name}: the endpoint answered {status}: {remedy} (it says: {says})"
    return CallError(message, whole_model=status in _WHOLE_MODEL or status < 400)
