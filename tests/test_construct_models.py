"""Model card files: what is read, what is refused, and that no key gets by."""

from __future__ import annotations

from pathlib import Path

import pytest

from rb_support.construct.models import read_models
from rb_support.construct.records import Model, ModelCardError

CARD = """
[[model]]
name = "small"
endpoint = "https://api.example.org/v1"
price_in_usd_per_million = 0.2
price_out_usd_per_million = 0.6
"""
KEY = "sk-proj-abcDEF1234567890abcDEF"


def written(folder: Path, text: str) -> Path:
    path = folder / "models.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_card_needs_name_endpoint_and_prices(tmp_path: Path) -> None:
    (model,) = read_models(written(tmp_path, CARD))
    assert model == Model("small", "https://api.example.org/v1", "small", 0.2, 0.6)
    assert model.cost(1_000_000, 500_000) == pytest.approx(0.5)


def test_all_fields_and_several_models(tmp_path: Path) -> None:
    more = """
[[model]]
name = "search"
endpoint = "http://127.0.0.1:8000/v1"
served_name = "search-2"
price_in_usd_per_million = 1
price_out_usd_per_million = 2
fee_usd_per_request = 0.005
context_tokens = 8192
key_variable = "SEARCH_API_KEY"
concurrency = 64
[[model]]
name = "other"
provider = "anthropic"
served_name = "other-1"
price_in_usd_per_million = 8
price_out_usd_per_million = 24
"""
    models = read_models(written(tmp_path, CARD + more))
    assert [model.name for model in models] == ["small", "search", "other"]
    assert models[1].cost(0, 0) == 0.005 and models[1].concurrency == 64
    assert (models[2].provider, models[2].endpoint) == ("anthropic", "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("price_in_usd_per_million = 0.2", "", r"model 1 \(small\): price_in_usd_per_million is missing"),
        ("0.2", "-1", "price_in_usd_per_million is -1; write a number of USD, 0 or more"),
        ("0.2", "nan", "is nan"),
        ("0.2", "true", "is True"),
        ("0.2", "'cheap'", "is a str; write a number"),
        ("price_in_usd", "price_im_usd", "did you mean price_in_usd_per_million"),
        ('name = "small"', "", "model 1: name is missing"),
        ('"small"', '""', "name is no text"),
        ("https://api.example.org/v1", "api.example.org", "endpoint is no URL"),
        ("https://api.example.org/v1", "https://host:port/v1", "endpoint is no URL"),
        ("0.6", "0.6\nconcurrency = 0", "concurrency is 0; write a whole number, 1 or more"),
        ("0.6", "0.6\ncontext_tokens = 1.5", "context_tokens is 1.5"),
        ("0.6", '0.6\nkey_variable = "MY KEY"', "no name of an environment variable"),
        ("[[model]]", "[model]", "holds no model"),
        ("[[model]]", "[[model]", "is no TOML"),
        (
            "0.6",
            "0.6\nprice_cached_usd_per_million = -1",
            "price_cached_usd_per_million is -1; write a number",
        ),
        ("0.6", "0.6\nmax_completion_tokens = 1", "max_completion_tokens is 1; write true or false"),
        (
            "0.6",
            "0.6\nconcurrency = 0\nnonsense = 1",
            "concurrency is 0.*nonsense is no field; fields are name,",
        ),
        ("https:", "http:", None),
    ],
)
def test_a_wrong_entry_is_named_with_the_remedy(
    tmp_path: Path, old: str, new: str, message: str | None
) -> None:
    path = written(tmp_path, CARD.replace(old, new))
    if message is None:
        assert read_models(path)
        return
    with pytest.raises(ModelCardError, match=message) as raised:
        read_models(path)
    assert str(raised.value).startswith(str(path))


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelCardError, match="two models are called 'small'"):
        read_models(written(tmp_path, CARD * 2))


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_of_another_editor_is_read(tmp_path: Path, coding: str, ends: str) -> None:
    mark = "\ufeff" if coding.endswith("e") else ""
    path, text = tmp_path / "models.toml", mark + CARD.replace("small", "klein, für 1 €").replace("\n", ends)
    path.write_bytes(text.encode(coding))
    assert [model.name for model in read_models(path)] == ["klein, für 1 €"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\xff\xfe\xff", b"\xef\xbb\xbf", b"\xe9", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "models.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelCardError, match=r"models\.toml"):
        read_models(path)


@pytest.mark.parametrize(
    "line",
    [
        f'api_key = "{KEY}"',
        f'key = "{KEY}"',
        f'key_variable = "{KEY}"',
        'key_variable = "AKIAABCDEFGHIJKLMNOP"',
        f'served_name = "{KEY}"',
        f'provider = "Bearer {KEY}"',
        'token = "short"',
        'key_variable = "0123456789abcdef0123456789abcdef"',
        f"{KEY} = 1",
    ],
)
def test_a_key_in_the_file_is_refused_and_not_repeated(tmp_path: Path, line: str) -> None:
    with pytest.raises(ModelCardError, match="key|no field") as raised:
        read_models(written(tmp_path, CARD + line))
    told = f"{raised.value!s} {raised.value!r} {raised.value.__cause__!r}"
    for part in (KEY, "AKIAABCDEFGHIJKLMNOP", "0123456789abcdef", "short"):
        assert part not in told


@pytest.mark.parametrize(
    "url",
    ["https://me:secret@api.example.org/v1", "https://api.example.org/v1?key=abc", f"https://x.org/{KEY}"],
)
def test_a_key_in_the_address_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ModelCardError, match="key") as raised:
        read_models(written(tmp_path, CARD.replace("https://api.example.org/v1", url)))
    assert url not in str(raised.value)


def test_a_key_does_not_go_out_in_the_clear(tmp_path: Path) -> None:
    card = CARD + 'key_variable = "SOME_KEY"'
    with pytest.raises(ModelCardError, match="in the clear"):
        read_models(written(tmp_path, card.replace("https:", "http:")))
    assert read_models(written(tmp_path, card.replace("https://api.example.org", "http://localhost:8000")))
