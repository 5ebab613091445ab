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
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rb_support.construct.records import OPENAI_COMPATIBLE, ConstructError, Model, ModelCardError, read_toml

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_KEY_FIELD = re.compile(r"^(?!key_variable$)(api_?key|key|.*(secret|token|password|authorization))$", re.I)
_KEY_TEXT = re.compile(
    r"\b(sk|pk|gsk|xai|hf|pplx|ghp|github_pat)[-_][\w-]{12,}|\bAKIA[A-Z0-9]{12,}|\bAIza[\w-]{20,}|\bBearer\s"
    r"|\beyJ[\w-]{20,}|(?=[A-Za-z]*\d)(?=\d*[A-Za-z])\b[A-Za-z0-9]{32,}\b"
)
_SET_VARIABLE = 'set an environment variable to the key and write its NAME: key_variable = "…_API_KEY"'
_FIELDS = {field.name: field for field in fields(Model)}


def read_models(path: str | Path) -> list[Model]:
    """Models of a card file, in its order.

    Raises
    ------
    ModelCardError : naming file, entry, field and remedy; a key that it found is not repeated.
    """
    try:
        return _models(read_toml(Path(path)).get("model"))
    except ConstructError as error:
        raise ModelCardError(f"{path}: {error}") from None


def _models(entries: Any) -> list[Model]:
    if not isinstance(entries, list) or not entries:
        raise ModelCardError("holds no model; begin each with a line [[model]]")
    models: list[Model] = []
    for number, entry in enumerate(entries, 1):
        try:
            models.append(_model(entry))
        except ModelCardError as error:
            name = entry.get("name") if isinstance(entry, dict) else None
            known = isinstance(name, str) and name and not _KEY_TEXT.search(name)
            shown = f"model {number} ({name})" if known else f"model {number}"
            raise ModelCardError(f"{shown}: {error}") from None
    names = [model.name for model in models]
    for name in names:
        if names.count(name) > 1:
            raise ModelCardError(f"two models are called {name!r}; give each a name of its own")
    return models


def _model(entry: Any) -> Model:
    if not isinstance(entry, dict):
        raise ModelCardError("the entry is no table; begin each model with a line [[model]]")
    for name, value in entry.items():
        if _KEY_TEXT.search(name):
            raise ModelCardError(f"a field's name holds a key, and no key belongs in a file; {_SET_VARIABLE}")
        if _KEY_FIELD.match(name) or (isinstance(value, str) and _KEY_TEXT.search(value)):
            raise ModelCardError(f"{name} holds a key, and no key belongs in a file; {_SET_VARIABLE}")
        if name not in _FIELDS:
            near = get_close_matches(name, _FIELDS, 1)
            remedy = f"did you mean {near[0]}?" if near else f"fields are {', '.join(_FIELDS)}"
            raise ModelCardError(f"{name} is no field; {remedy}")
    for name, field in _FIELDS.items():
        if field.default is MISSING and name not in (*entry, "endpoint", "served_name"):
            raise ModelCardError(f"{name} is missing; write it")
    given = {"endpoint": "", "served_name": entry["name"], **entry}
    for name, value in given.items():
        if fault := _fault(name, value):
            raise ModelCardError(f"{name} is {fault}")
    model = Model(**given)
    if model.endpoint or model.provider == OPENAI_COMPATIBLE:
        _check_endpoint(model)
    return model


def _fault(name: str, value: Any) -> str:
    """What is wrong with a field, and the remedy; empty if nothing is. A text may be a key: none is shown."""
    kind, is_number = _FIELDS[name].type, isinstance(value, int | float)
    shown = value if is_number else f"a {type(value).__name__}"
    if kind == "float" and not (is_number and not isinstance(value, bool) and 0 <= value < math.inf):
        return f"{shown}; write a number of USD, 0 or more"
    if kind == "int" and not (type(value) is int and value >= 1):
        return f"{shown}; write a whole number, 1 or more"
    may_be_empty = name in ("endpoint", "key_variable")
    if kind == "str" and not (isinstance(value, str) and (may_be_empty or value.strip())):
        return "no text; write it in quotes"
    if name == "key_variable" and value and not _VARIABLE.fullmatch(value):
        return f"no name of an environment variable; {_SET_VARIABLE}"
    return ""


def _check_endpoint(model: Model) -> None:
    try:
        url = urlsplit(model.endpoint)
        is_url = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ModelCardError('endpoint is no URL; write one such as "https://api.example.org/v1"')
    if url.username or url.password or url.query or url.fragment:
        raise ModelCardError(f"endpoint holds more than an address, perhaps a key; {_SET_VARIABLE}")
    if url.scheme == "http" and model.key_variable and not _nearby(url.hostname or ""):
        raise ModelCardError("endpoint would send the key in the clear; write https://")


def _nearby(host: str) -> bool:
    """Whether a host is this machine or one of the same private network."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host
