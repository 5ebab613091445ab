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
    price_cached_usd_per_million = 0.02         # of prompt tokens out of the provider's cache; as others
    price_reasoning_usd_per_million = 0.6       # of answer tokens that were thought; as others
    max_completion_tokens = false               # true if the endpoint wants max_tokens under this name
    fixed_temperature = false                   # true if the endpoint takes no temperature and no stops
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rb_support.cache import packaged_table
from rb_support.construct.records import (
    OPENAI_COMPATIBLE,
    ConstructError,
    Model,
    ModelCardError,
    read_toml,
)

_CARD = packaged_table("construct/cards.toml")
_KEY_FIELD, _KEY_TEXT = re.compile(_CARD["key_field"], re.IGNORECASE), re.compile(_CARD["key_text"])
_TYPES = {field.name: str(field.type).removeprefix("Maybe") for field in fields(Model)}


def read_models(path: str | Path) -> list[Model]:
    """Models of a card file, in its order.

    Raises
    ------
    ModelCardError : naming file, entry, field and remedy; a key that it found is not repeated.
    """
    try:
        entries = read_toml(Path(path)).get("model")
        if not isinstance(entries, list) or not entries:
            raise ModelCardError("holds no model; begin each with a line [[model]]")
        models = [_model(number, entry) for number, entry in enumerate(entries, 1)]
        refuse_namesakes(models)
    except ConstructError as error:
        raise ModelCardError(f"{path}: {error}") from None
    return models


def refuse_namesakes(models: Sequence[Model]) -> None:
    """Raise ConstructError if two models have one name."""
    name, many = Counter(model.name for model in models).most_common(1)[0] if models else ("", 0)
    if many > 1:
        raise ConstructError(f"two models are called {name!r}; give each a name of its own")


def _model(number: int, entry: Any) -> Model:
    """One checked entry; its errors name every field that is wrong."""
    if not isinstance(entry, dict):
        raise ModelCardError(f"model {number}: the entry is no table; begin each with a line [[model]]")
    name = entry.get("name")
    known = isinstance(name, str) and name and not _KEY_TEXT.search(name)
    try:
        _refuse_keys(entry)
        model = Model(**{"endpoint": "", "served_name": name or "-", **entry})
        _check_endpoint(model)
        return model
    except ValidationError as error:
        says = "; ".join(map(_remedy, error.errors()))
    except ModelCardError as error:
        says = str(error)
    raise ModelCardError(f"model {number} ({name}): {says}" if known else f"model {number}: {says}")


def _refuse_keys(entry: dict[str, Any]) -> None:
    for name, value in entry.items():
        shown = "a field's name" if _KEY_TEXT.search(name) else name
        if shown != name or _KEY_FIELD.match(name) or (isinstance(value, str) and _KEY_TEXT.search(value)):
            raise ModelCardError(
                f"{shown} holds a key, and no key belongs in a file; {_CARD['set_variable']}"
            )


def _remedy(fault: ErrorDetails) -> str:
    """What pydantic found wrong with a field, and the remedy. A text may be a key: none is shown."""
    name, value = str(fault["loc"][0]), fault["input"]
    if fault["type"] == "missing":
        return f"{name} is missing; write it"
    if name not in _TYPES:
        near = get_close_matches(name, _TYPES, 1)
        remedy = f"did you mean {near[0]}?" if near else f"fields are {', '.join(_TYPES)}"
        return f"{name} is no field; {remedy}"
    shown = value if isinstance(value, int | float) else f"a {type(value).__name__}"
    return f"{name} is {_CARD['remedies'][_TYPES[name]].format(shown=shown, **_CARD)}"


def _check_endpoint(model: Model) -> None:
    if not model.endpoint and model.provider != OPENAI_COMPATIBLE:
        return
    try:
        url = urlsplit(model.endpoint)
        is_url = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ModelCardError('endpoint is no URL; write one such as "https://api.example.org/v1"')
    if url.username or url.password or url.query or url.fragment:
        raise ModelCardError(f"endpoint holds more than an address, perhaps a key; {_CARD['set_variable']}")
    if url.scheme == "http" and model.key_variable and not _nearby(url.hostname or ""):
        raise ModelCardError("endpoint would send the key in the clear; write https://")


def _nearby(host: str) -> bool:
    """Whether a host is this machine or one of the same private network."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host
