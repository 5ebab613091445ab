"""One attempt at one call, over HTTP with the standard library or through litellm.

Why `http.client` in threads: 4,000 calls to a 20 ms endpoint, 64 at once, took 1.15 times the ideal time
on two cores, against 1.4 with urllib3 in threads, 1.5 with aiohttp, 5 with httpx2, 4.6 (threads) to 19
(asyncio) with httpx. Nothing has to be installed, and a thread runs beside a notebook's event loop.

Why litellm for endpoints of another kind (the extra `providers`): one blocking call gives an answer of the
same shape for over 160 providers, so it fits behind retries, budget and store, which are ours anyway. It
adds 25 packages to this environment and takes 4 s to import. inspect_ai adds 40 and takes 2.5 s; its
retries, cache and logs would stand beside the store, and each provider wants one more package. openai adds
3 and takes 0.8 s, but speaks to the endpoints that need no library. Two releases of litellm (1.82.7 and
1.82.8, March 2026) carried a thief of keys, so the extra asks for a later one, and is worth installing only
where it is needed.
"""

from __future__ import annotations

import http.client
import importlib
import json
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol
from urllib.parse import urlsplit

from rb_support.construct.errors import CallError, TryAgain
from rb_support.construct.records import OPENAI_COMPATIBLE, Messages, Model, Parameters
from rb_support.construct.secrets import key_for, strike

IDLE_S = 4.0
"""A connection that has been idle for longer is opened anew: many servers close theirs after five seconds."""
LONGEST_RESPONSE = 16 * 2**20
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


class Connection(Protocol):
    """A way to ask one model; one thread uses it."""

    def ask(self, messages: Messages, parameters: Parameters) -> Reply:
        """Ask once.

        Raises
        ------
        TryAgain : if the attempt failed in a way that may pass.
        CallError : if another attempt would fail as well.
        """
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def connect(model: Model, timeout_s: float) -> Connection:
    """Way to ask a model, by its provider; nothing is sent yet."""
    if model.provider == OPENAI_COMPATIBLE:
        return HttpConnection(model, timeout_s)
    return LibraryConnection(model, timeout_s)


class HttpConnection:
    """An OpenAI-compatible endpoint over one connection that is kept open.

    Parameters
    ----------
    model : whom to ask.
    timeout_s : seconds of silence after which an attempt is given up.
    """

    def __init__(self, model: Model, timeout_s: float) -> None:
        self.model, self.timeout_s = model, timeout_s
        self._line: http.client.HTTPConnection | None = None
        self._used = 0.0

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def ask(self, messages: Messages, parameters: Parameters) -> Reply:
        """Ask once (see `Connection.ask`)."""
        key = key_for(self.model)
        status, headers, body = self._exchange(_body(self.model, messages, parameters), key)
        text = strike(body.decode(errors="replace"), key)
        if status == 200:
            return read_reply(_parsed(text), self.model, key)
        raise _problem(self.model, status, headers.get("retry-after", ""), text)

    def _exchange(self, body: bytes, key: str) -> tuple[int, Mapping[str, str], bytes]:
        sent = False
        try:
            line = self._open()
            headers = {"Content-Type": "application/json"}
            headers |= {"Authorization": f"Bearer {key}"} if key else {}
            line.request(
                "POST", f"{urlsplit(self.model.endpoint).path.rstrip('/')}/chat/completions", body, headers
            )
            sent = True
            response = line.getresponse()
            content = response.read(LONGEST_RESPONSE)
            if response.length:
                raise http.client.IncompleteRead(content)
        except TimeoutError:
            self.close()
            raise TryAgain("timeout", billed=sent) from None
        except ssl.SSLCertVerificationError as error:
            self.close()
            reason = f"its certificate is refused ({error.verify_message}); look at endpoint and clock"
            raise CallError(f"{self.model.name}: {reason}", whole_model=True) from None
        except (OSError, http.client.HTTPException):
            self.close()
            raise TryAgain("cut" if sent else "no connection", billed=sent) from None
        self._used = time.monotonic()
        if response.will_close or not response.isclosed():
            self.close()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, content

    def _open(self) -> http.client.HTTPConnection:
        if self._line is not None and time.monotonic() - self._used > IDLE_S:
            self.close()
        if self._line is None:
            self._line = self._new()
        return self._line

    def _new(self) -> http.client.HTTPConnection:
        url = urlsplit(self.model.endpoint)
        host = url.hostname or ""
        if url.scheme == "https":
            return _SecureLine(host, url.port, timeout=self.timeout_s, context=_trusted())
        return _Line(host, url.port, timeout=self.timeout_s)


class _Line(http.client.HTTPConnection):
    """A line that sends a request's head and body in one piece, not two: half the work at both ends."""

    _parts: list[bytes] | None = None

    def request(self, *args: Any, **options: Any) -> None:
        self._parts = []
        try:
            super().request(*args, **options)
            whole = b"".join(self._parts)
        finally:
            self._parts = None
        self.send(whole)

    def send(self, data: Any) -> None:
        if self._parts is None:
            super().send(data)
        else:
            self._parts.append(data)


class _SecureLine(_Line, http.client.HTTPSConnection):
    """The same over TLS."""


class LibraryConnection:
    """A provider of another kind through litellm, which is imported at the first call.

    Parameters
    ----------
    model : whom to ask; its provider is litellm's name for it, such as "anthropic".
    timeout_s : seconds after which an attempt is given up.
    """

    def __init__(self, model: Model, timeout_s: float) -> None:
        self.model, self.timeout_s = model, timeout_s

    def close(self) -> None:
        """Nothing to let go of: the library keeps its own connections."""

    def ask(self, messages: Messages, parameters: Parameters) -> Reply:
        """Ask once (see `Connection.ask`)."""
        key = key_for(self.model)
        litellm = _litellm(self.model)
        try:
            answered = litellm.completion(**self._arguments(messages, parameters, key))
        except Exception as error:  # the library has some thirty kinds
            problem = self._problem(error, key)
        else:
            return read_reply(answered.model_dump(), self.model, key)
        raise problem  # out here it carries no trace of the library's error, which holds the request

    def _problem(self, error: Exception, key: str) -> Exception:
        """What an error of the library means; the one of a timeout tells no status."""
        status, kind = getattr(error, "status_code", None), type(error).__name__
        text = strike(str(error), key)
        if "Timeout" in kind:
            return TryAgain("timeout", billed=True)
        if not isinstance(status, int):
            return CallError(f"{self.model.name}: {kind}: {_short(text)}")
        return _unsure(_problem(self.model, status, _retry_after(error), text))

    def _arguments(self, messages: Messages, parameters: Parameters, key: str) -> dict[str, Any]:
        given = {
            "model": f"{self.model.provider}/{self.model.served_name}",
            "messages": _said(messages),
            "max_tokens": parameters.max_tokens,
            "temperature": parameters.temperature,
            "seed": parameters.seed,
            "api_base": self.model.endpoint,
            "api_key": key,
        }
        always = {"timeout": self.timeout_s, "max_retries": 0, "drop_params": True}
        return {name: value for name, value in given.items() if value not in (None, "")} | always


def read_reply(response: Any, model: Model, key: str = "") -> Reply:
    """Reply in a response of the OpenAI shape.

    Raises
    ------
    TryAgain : if it has another shape.
    """
    try:
        choice = response["choices"][0]
        text = _text(choice["message"])
    except (KeyError, IndexError, TypeError, AttributeError):
        raise TryAgain("malformed", billed=True) from None
    usage = response.get("usage") if isinstance(response.get("usage"), dict) else {}
    raw = json.dumps(response, ensure_ascii=False, default=str)
    return Reply(
        _clean(text, key),
        _count(usage.get("prompt_tokens"), 1, model.context_tokens),
        _count(usage.get("completion_tokens"), bool(text), model.context_tokens),
        _clean(str(choice.get("finish_reason") or ""), key),
        _clean(raw, key),
    )


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content)
    content = content or message.get("refusal") or ""
    if not isinstance(content, str):
        raise TypeError
    return content


def _clean(text: str, key: str) -> str:
    return strike(text.encode(errors="replace").decode(), key)


def _count(value: object, least: int, most: int) -> int | None:
    return value if type(value) is int and least <= value <= most else None


def _body(model: Model, messages: Messages, parameters: Parameters) -> bytes:
    body: dict[str, Any] = {
        "model": model.served_name,
        "messages": _said(messages),
        "max_tokens": parameters.max_tokens,
        "temperature": parameters.temperature,
    }
    if parameters.seed is not None:
        body["seed"] = parameters.seed
    return json.dumps(body).encode()


def _said(messages: Messages) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in messages]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise TryAgain("malformed", billed=True) from None


def _problem(model: Model, status: int, retry_after: str, text: str) -> Exception:
    """What a status other than 200 means."""
    if status in _AGAIN or status >= 500:
        return TryAgain(str(status), wait_s=_seconds(retry_after), billed=status in _GATEWAY)
    remedy = _REMEDIES.get(status, "look at the endpoint in the model card")
    variable = model.key_variable or "key_variable of the model card"
    message = f"{model.name}: the endpoint answered {status}: {remedy.format(variable=variable)}"
    return CallError(
        f"{message} (it says: {_short(text)})", whole_model=status in _WHOLE_MODEL or status < 400
    )


def _unsure(problem: Exception) -> Exception:
    """The same problem as the library tells it: it says 500 of a cut connection and a broken answer too."""
    if isinstance(problem, TryAgain) and problem.kind.startswith("5"):
        problem.billed = True
    return problem


def _seconds(retry_after: str) -> float:
    try:
        return max(float(retry_after), 0.0)
    except ValueError:
        return 0.0


def _retry_after(error: Exception) -> str:
    for holder in (getattr(error, "litellm_response_headers", None), getattr(error, "response", None)):
        headers = getattr(holder, "headers", holder)
        if isinstance(headers, Mapping) and "retry-after" in headers:
            return str(headers["retry-after"])
    return ""


def _short(text: str, most: int = 200) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]} …"


def _litellm(model: Model) -> ModuleType:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it looks prices up when imported
    try:
        library = importlib.import_module("litellm")
    except ImportError:
        raise CallError(
            f"{model.name}: provider {model.provider!r} needs litellm; pip install 'rb-support[providers]', "
            f"or take an endpoint that is {OPENAI_COMPATIBLE}",
            whole_model=True,
        ) from None
    library.suppress_debug_info = True  # type: ignore[attr-defined]  # else it prints advice at every error
    return library


_context: ssl.SSLContext | None = None


def _trusted() -> ssl.SSLContext:
    global _context
    if _context is None:
        _context = ssl.create_default_context()
    return _context
