"""Model card file: who is asked, where, and at which price (RouterBench App. A.1).

A TOML file with one `[[model]]` table per model:

    [[model]]
    name = "small"                              # how the outcome table calls it
    endpoint = "https://api.example.org/v1"     # base URL, without /chat/completions
    served_name = "small-2"                     # how the endpoint calls it; the name if left out
    price_in_usd_per_million = 0.2
    price_out_usd_per_million = 0.6
    fee_usd_per_request = 0.0                   # from here on all may be left out
    context_tokens = 8192
    key_variable = "EXAMPLE_API_KEY"            # NAME of an environment variable, never a key
    concurrency = 8
    provider = "openai-compatible"              # or a provider of litellm, such as "anthropic"
"""

from __future__ import annotations

import ipaddress
import math
import re
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from rb_support.construct.errors import ModelCardError
from rb_support.construct.records import OPENAI_COMPATIBLE, Model

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_KEY_FIELD = re.compile(r"^(?!key_variable$)(api_?key|key|.*(secret|token|password|authorization))$", re.I)
_KEY_TEXT = re.compile(
    r"\b(sk|pk|gsk|xai|hf|pplx|ghp|github_pat)[-_][\w-]{12,}|\bAKIA[A-Z0-9]{12,}|\bAIza[\w-]{20,}|\bBearer\s"
    r"|\beyJ[\w-]{20,}|(?=[A-Za-z]*\d)(?=\d*[A-Za-z])\b[A-Za-z0-9]{32,}\b"
)
_SET_VARIABLE = 'set an environment variable to the key and write its NAME: key_variable = "…_API_KEY"'


def read_models(path: str | Path) -> list[Model]:
    """Models of a card file, in its order.

    Raises
    ------
    ModelCardError : naming file, entry, field and remedy; a key that it found is not repeated.
    """
    path = Path(path)
    entries = _entries(path)
    models = [_model(path, number, entry) for number, entry in enumerate(entries, 1)]
    names = [model.name for model in models]
    for name in names:
        if names.count(name) > 1:
            raise ModelCardError(f"{path}: two models are called {name!r}; give each a name of its own")
    return models


def _entries(path: Path) -> list[Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelCardError(f"{path}: cannot be read ({error.strerror}); name a model card file") from None
    except UnicodeDecodeError:
        raise ModelCardError(f"{path}: is not text in UTF-8; save it as such") from None
    except tomllib.TOMLDecodeError as error:
        raise ModelCardError(f"{path}: is no TOML ({error}); correct that line") from None
    entries = content.get("model")
    if not isinstance(entries, list) or not entries:
        raise ModelCardError(f"{path}: holds no model; begin each with a line [[model]]")
    return entries


def _model(path: Path, number: int, entry: Any) -> Model:
    def refuse(field: str, what: str, remedy: str) -> NoReturn:
        name = entry.get("name") if isinstance(entry, dict) else None
        known = isinstance(name, str) and name and not _KEY_TEXT.search(name)
        shown = f"model {number} ({name})" if known else f"model {number}"
        raise ModelCardError(f"{path}: {shown}: {field} {what}; {remedy}")

    if not isinstance(entry, dict):
        refuse("the entry", "is no table", "begin each model with a line [[model]]")
    _refuse_keys(entry, refuse)
    _refuse_fields(entry, refuse)
    given = {"endpoint": "", "served_name": entry["name"], **entry}
    for name, check in _CHECKS.items():
        if name in given:
            check(name, given[name], refuse)
    model = Model(**given)
    _check_endpoint(model, refuse)
    return model


Refuse = Callable[[str, str, str], NoReturn]


def _refuse_keys(entry: dict[str, Any], refuse: Refuse) -> None:
    for name, value in entry.items():
        is_key = _KEY_TEXT.search(name) is not None
        if is_key or _KEY_FIELD.match(name) or (isinstance(value, str) and _KEY_TEXT.search(value)):
            what = "holds a key, and no key belongs in a file"
            refuse("a field's name" if is_key else name, what, _SET_VARIABLE)


def _refuse_fields(entry: dict[str, Any], refuse: Refuse) -> None:
    known = [field.name for field in fields(Model)]
    for name in entry:
        if name not in known:
            near = get_close_matches(name, known, 1)
            refuse(
                name, "is no field", f"did you mean {near[0]}?" if near else f"fields are {', '.join(known)}"
            )
    for field in fields(Model):
        if field.default is MISSING and field.name not in (*entry, "endpoint", "served_name"):
            refuse(field.name, "is missing", "write it")


def _text(name: str, value: Any, refuse: Refuse) -> None:
    if not isinstance(value, str) or not value.strip():
        refuse(name, "is no text", "write it in quotes")


def _price(name: str, value: Any, refuse: Refuse) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not (math.isfinite(value) and value >= 0)
    ):
        refuse(name, f"is {_shown(value)}", "write a number of USD, 0 or more")


def _shown(value: Any) -> str:
    """A value for a message; a text is not repeated, it may be a key."""
    return str(value) if isinstance(value, bool | int | float) else f"a {type(value).__name__}"


def _whole(name: str, value: Any, refuse: Refuse) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        refuse(name, f"is {_shown(value)}", "write a whole number, 1 or more")


def _variable(name: str, value: Any, refuse: Refuse) -> None:
    if not isinstance(value, str) or (value and not _VARIABLE.fullmatch(value)):
        refuse(name, "is no name of an environment variable", _SET_VARIABLE)


_CHECKS: dict[str, Callable[[str, Any, Refuse], None]] = {
    "name": _text,
    "served_name": _text,
    "provider": _text,
    "price_in_usd_per_million": _price,
    "price_out_usd_per_million": _price,
    "fee_usd_per_request": _price,
    "context_tokens": _whole,
    "concurrency": _whole,
    "key_variable": _variable,
}


def _check_endpoint(model: Model, refuse: Refuse) -> None:
    if not isinstance(model.endpoint, str):
        refuse("endpoint", "is no text", "write it in quotes")
    if not model.endpoint and model.provider != OPENAI_COMPATIBLE:
        return
    try:
        url = urlsplit(model.endpoint)
        host, _ = url.hostname, url.port
    except ValueError:
        refuse("endpoint", "is no URL", 'write one such as "https://api.example.org/v1"')
    if url.scheme not in ("http", "https") or not host:
        refuse("endpoint", "is no URL", 'write one such as "https://api.example.org/v1"')
    if url.username or url.password or url.query or url.fragment:
        refuse("endpoint", "holds more than an address, perhaps a key", _SET_VARIABLE)
    if url.scheme == "http" and model.key_variable and not _nearby(host):
        refuse("endpoint", "would send the key in the clear", "write https://")


def _nearby(host: str) -> bool:
    """Whether a host is this machine or one of the same private network."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host
