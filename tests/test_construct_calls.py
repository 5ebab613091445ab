"""What a call costs, when it has failed, how long it may take, and whose key is in no text."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import re
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from faulty_server import completion, scripted
from typer.testing import CliRunner

from rb_support.app.construct import app
from rb_support.construct.client import read_reply, without_key
from rb_support.construct.export import to_outcomes
from rb_support.construct.grading import grade_store
from rb_support.construct.models import read_models
from rb_support.construct.records import Model, Parameters, Query, key_of
from rb_support.construct.run import Policy, run
from rb_support.construct.store import Store

CARD = Model("m", "http://127.0.0.1:9/v1", "m", 1.0, 1.0, context_tokens=128_000, concurrency=4)
PLANTED = "sk-planted-0123456789abcdefghij"
TWICE = Policy(attempts=2, first_wait_s=0.005)


def questions(many: int, text: str = "How many {}?") -> list[Query]:
    return [Query(f"q{i}", "gsm8k", (text.format(i),), "5", "number") for i in range(many)]


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "store.sqlite") as made:
        yield made


def ask(
    say, store: Store, many: int = 3, *, card: Model = CARD, policy: Policy = TWICE, queries=None, **options
):
    with scripted(say) as url:
        asked = queries or questions(many)
        return run(asked, [replace(card, endpoint=url)], store, policy=policy, progress=False, **options)


# Failed calls


NO_ANSWERS = [
    ({"error": {"message": "upstream is busy", "code": 502}}, "502"),
    ({"error": {"message": "overloaded"}}, "error"),
    ({"error": "busy"}, "error"),
    (completion("5", error={"message": "half of it"}), "error"),
    (completion("5", "error"), "error"),
    (completion("5", "network_error"), "error"),
    (completion(""), "empty"),
    (completion(None), "empty"),
    (completion(" \n"), "empty"),
    (completion([]), "empty"),
    ({"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [{}]}}]}, "empty"),
    ({"choices": [{"error": {"code": 500, "message": "gone"}, "message": {"content": "half"}}]}, "500"),
    ({"choices": []}, "malformed"),
    ([1], "malformed"),
    ("five", "malformed"),
    (None, "malformed"),
]


def number_in(body) -> int:
    """Which of the questions is asked."""
    return int(re.search(r"\d+", body["messages"][0]["content"])[0])


def test_what_is_no_answer_is_a_failed_call_and_asked_again_next_time(store: Store) -> None:
    many = len(NO_ANSWERS)
    summary = ask(lambda body: NO_ANSWERS[number_in(body)][0], store, many)
    assert (summary.state, summary.answers, store.answers().empty) == ("failed", 0, True)
    assert summary.retries == Counter(kind for _, kind in NO_ANSWERS * 2)
    notes = store.charges().groupby("sample_id")["note"].agg(list).to_dict()
    assert notes == {f"q{i}": [kind] * 2 for i, (_, kind) in enumerate(NO_ANSWERS)}
    told = CliRunner().invoke(app, ["status", "--store", str(store.path)])
    assert "given up: 4 x m: m: no answer after 2 attempts, the last ended with: malformed" in told.output
    assert ask(lambda _: completion(), store, many).answers == many


def test_whole_answers_without_a_text_are_paid_for_no_more_than_thrice(store: Store) -> None:
    summary = ask(lambda _: completion(""), store, 1, policy=Policy(attempts=6, first_wait_s=0.005))
    assert (
        summary.attempts == 3 and "no answer after 3 attempts, the last ended with: empty" in summary.message
    )


@pytest.mark.parametrize(
    ("reason", "remedy"), [("length", "raise max_tokens"), ("content_filter", "filter withheld")]
)
def test_no_text_for_a_lasting_reason_is_asked_once(store: Store, reason: str, remedy: str) -> None:
    summary = ask(lambda _: completion("", reason), store, 2)
    assert (summary.attempts, summary.state) == (2, "failed") and remedy in summary.message
    assert len(store.charges()) == 2


def test_a_refusal_is_an_answer(store: Store) -> None:
    body = completion(None)
    body["choices"][0]["message"]["refusal"] = "I cannot help with that."
    assert ask(lambda _: body, store).state == "done"
    assert set(store.answers()["text"]) == {"I cannot help with that."}


def test_a_key_refused_within_a_whole_answer_stops_the_model(store: Store) -> None:
    says = {"error": {"code": 401, "message": f"no such key: {PLANTED}"}}
    summary = ask(lambda _: says, store)
    assert summary.attempts == 1 and "the key is refused" in summary.message
    assert PLANTED not in summary.message


# Tokens and prices


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 10}, (100, 10, 0, 0)),
        ({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}, (100, 10, 0, 0)),
        ({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 900}, (100, 800, 0, 0)),
        ({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 0}, (100, 10, 0, 0)),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 40},
            },
            (100, 50, 60, 40),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "completion_tokens_details": {"reasoning_tokens": 70},
            },
            (9, 75, 0, 70),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": None}, (9, 5, 0, 0)),
        ({"prompt_tokens": 90, "completion_tokens": 5, "prompt_cache_hit_tokens": 64}, (90, 5, 64, 0)),
        (
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "cache_read_input_tokens": 1000,
                "cache_creation_input_tokens": 200,
            },
            (1210, 5, 1000, 0),
        ),
        (
            {"input_tokens": 90, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 64}},
            (90, 5, 64, 0),
        ),
        (
            {
                "promptTokenCount": 8,
                "candidatesTokenCount": 5,
                "thoughtsTokenCount": 300,
                "totalTokenCount": 313,
            },
            (8, 305, 0, 300),
        ),
    ],
)
def test_tokens_are_those_that_the_provider_bills(usage, counts) -> None:
    reply = read_reply(completion(usage=usage), CARD)
    told = (reply.prompt_tokens, reply.answer_tokens, reply.cached_tokens, reply.reasoning_tokens)
    assert told == counts and not reply.tokens_estimated


NO_COUNTS = [
    None,
    [],
    "many",
    {},
    {"prompt_tokens": 5},
    {"prompt_tokens": 5, "completion_tokens": 0},
    {"prompt_tokens": 0, "completion_tokens": 5},
    {"prompt_tokens": -5, "completion_tokens": 5},
    {"prompt_tokens": "5", "completion_tokens": 5},
    {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10**9},
    {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": "ten"},
    {"prompt_tokens": 5, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": -1}},
]


def test_counts_that_cannot_be_are_a_guess_charged_at_the_most(store: Store) -> None:
    many, parameters = len(NO_COUNTS), Parameters(max_tokens=300)
    summary = ask(
        lambda body: completion(usage=NO_COUNTS[number_in(body)]),
        store,
        many,
        parameters=parameters,
        budget_usd=1.0,
    )
    answers, charges = store.answers(), store.charges()
    assert (
        len(answers) == many and answers["tokens_estimated"].all() and (answers["answer_tokens"] == 4).all()
    )
    assert (charges["note"] == "tokens not told").all()
    usd = answers.set_index("sample_id")["cost_usd"] + charges.set_index("sample_id")["usd"]
    assert len(charges) == many and (usd > 300e-6).all() and (answers["cost_usd"] < 300e-6).all()
    assert summary.total_usd == store.spent_usd() == pytest.approx(usd.sum())


def test_cached_and_thought_tokens_have_their_prices(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "models.toml"
    path.write_text(
        '[[model]]\nname = "m"\nendpoint = "http://127.0.0.1:9/v1"\nprice_in_usd_per_million = 10\n'
        "price_out_usd_per_million = 40\nprice_cached_usd_per_million = 1\n"
        "price_reasoning_usd_per_million = 2.5\n"
    )
    (card,) = read_models(path)
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 500,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 400},
    }
    ask(lambda _: completion(usage=usage), store, 1, card=card)
    (row,) = store.answers().itertuples()
    assert row.cost_usd == pytest.approx((400 * 10 + 600 * 1 + 100 * 40 + 400 * 2.5) / 1e6)
    assert json.loads(row.prices) == [10, 40, 1, 2.5, 0]
    assert replace(card, price_cached_usd_per_million=None).cost(1000, 0, 600) == pytest.approx(0.01)


def test_a_price_that_changed_between_two_runs_is_noted(store: Store) -> None:
    ask(lambda _: completion(), store, 1)
    assert store.price_notes() == []
    dearer = replace(CARD, price_in_usd_per_million=10.0, price_out_usd_per_million=10.0)
    ask(lambda _: completion(), store, 2, card=dearer)
    grade_store(store)
    table = to_outcomes(store)
    assert table.cost[:, 0].tolist() == pytest.approx([0.00011, 0.0011])
    note = "costs of 1 calls of m at other prices than its last card's"
    assert note in table.origin.notes
    assert note in CliRunner().invoke(app, ["status", "--store", str(store.path)]).output
    assert store.price_notes(["other"]) == []


# What is sent


def test_stop_limit_and_temperature_go_out_as_the_card_wants(store: Store) -> None:
    seen: list[dict[str, object]] = []

    def say(body):
        seen.append(body)
        return completion()

    query = replace(questions(1)[0], stop=("\nQuestion:", "</s>"))
    ask(say, store, queries=[query])
    card = replace(CARD, name="o", max_completion_tokens=True, fixed_temperature=True)
    ask(
        say,
        store,
        queries=[replace(query, sample_id="p")],
        card=card,
    )
    assert seen[0]["stop"] == ["\nQuestion:", "</s>"] and seen[0]["max_tokens"] == 512
    assert (seen[1]["max_completion_tokens"], seen[0]["temperature"]) == (512, 0.0)
    assert not {"stop", "max_tokens", "temperature", "seed"} & set(seen[1])
    assert [asked.stop for asked in store.queries()] == [query.stop] * 2


def test_stops_and_letters_are_no_part_of_the_key() -> None:
    """Answers of a store that is older than they are need not be paid for again."""
    query = replace(questions(1)[0], stop=("Q:",))
    assert key_of("m", query, 0, Parameters()).parameters_digest == "ab032308c54df3c105571bf17965f49f"
    assert key_of("m", replace(query, letters="ABC"), 0, Parameters()) == key_of("m", query, 0, Parameters())
    assert key_of("m", replace(query, stop=("\n",)), 0, Parameters()) == key_of("m", query, 0, Parameters())


# "Never exceeded"


def test_a_prompt_is_reserved_for_as_it_will_be_billed(store: Store) -> None:
    usage = {"prompt_tokens": 9000, "completion_tokens": 10}
    queries = questions(3, "word " * 9000 + "{}")
    card = replace(CARD, context_tokens=4096)
    for budget, state in ((0.01, "budget"), (0.05, "budget"), (0.07, "done")):
        summary = ask(lambda _: completion(usage=usage), store, queries=queries, card=card, budget_usd=budget)
        assert summary.state == state and summary.total_usd <= budget
    assert store.spent_usd() == pytest.approx(3 * 0.00901)


def test_a_model_that_breaks_its_limit_is_stopped_after_one_call_and_named(store: Store) -> None:
    calls: list[object] = []

    def say(body):
        calls.append(body)
        return completion(usage={"prompt_tokens": 100, "completion_tokens": 12_000})

    summary = ask(say, store, 9, budget_usd=0.003)
    assert len(calls) == summary.answers == 1 and summary.total_usd == pytest.approx(0.0121)
    assert "m: its endpoint counts 12000 tokens of answer (of at most 512)" in summary.message
    assert "within" not in summary.message and len(summary.failures) == 8
    again = ask(say, store, 9, budget_usd=0.003)
    assert again.state == "budget" and "stopped over the budget" in again.message and len(calls) == 1


def test_a_last_call_that_breaks_the_limit_is_named_too(store: Store) -> None:
    body = completion(usage={"prompt_tokens": 100, "completion_tokens": 12_000})
    assert "m: its endpoint counts 12000 tokens" in ask(lambda _: body, store, 1, budget_usd=0.003).message


def test_without_a_budget_nothing_is_stopped(store: Store) -> None:
    body = completion(usage={"prompt_tokens": 100, "completion_tokens": 12_000})
    assert ask(lambda _: body, store, 9).state == "done"


@pytest.mark.parametrize(
    "fault",
    [
        524,
        520,
        522,
        502,
        504,
        408,
        599,
        "no usage",
        "not JSON",
        "empty",
        "error within",
        "cut",
        "half",
        "slow",
    ],
)
def test_no_bill_is_higher_than_the_budget_over_two_runs(store: Store, fault) -> None:
    billed = [0.0]

    async def cut(writer) -> None:
        writer.write(b"HTTP/1.1 200 .\r\nContent-Length: 999\r\n\r\nhalf" if fault == "half" else b"")

    async def slow(writer) -> None:
        await asyncio.sleep(0.2)

    def say(body):
        billed[0] += CARD.cost(100, 512)  # a template of its own around eleven bytes
        if isinstance(fault, int):
            return fault, "upstream"
        odd = {"no usage": completion(usage=None), "not JSON": (200, "<html>"), "empty": completion("")}
        return {**odd, "error within": {"error": {}, "choices": []}, "cut": cut, "half": cut, "slow": slow}[
            fault
        ]

    policy = Policy(attempts=3, first_wait_s=0.001, timeout_s=0.05 if fault == "slow" else 5)
    for _ in range(2):
        ask(say, store, 30, policy=policy, budget_usd=0.004)
        assert 0 < billed[0] <= store.spent_usd() <= 0.004


# A deadline per attempt, and any error while reading


async def a_byte_a_moment(writer) -> None:
    writer.write(b"HTTP/1.1 200 .\r\nContent-Length: 999\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def continued_for_ever(writer) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def headers_for_ever(writer) -> None:
    writer.write(b"HTTP/1.1 200 .\r\n")
    while True:
        writer.write(b"X-More: yes\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("drip", [a_byte_a_moment, continued_for_ever, headers_for_ever])
def test_an_attempt_ends_at_its_deadline(store: Store, drip) -> None:
    began = time.monotonic()
    summary = ask(lambda _: drip, store, 2, policy=Policy(2, 0.005, timeout_s=0.1))
    assert time.monotonic() - began < 5 and summary.retries == {"timeout": 4}
    assert store.charges()["note"].tolist() == ["timeout"] * 4


@pytest.mark.parametrize(
    "sent",
    [
        b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        b"Content-Length: -7\r\n\r\n{}",
        b"Content-Length: 99\r\nContent-Length: 3\r\n\r\n{}",
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"Content-Encoding: br\r\nContent-Length: 4\r\n\r\nnope",
        b"Content-Type: application/json; charset=none-such\r\nContent-Length: 4\r\n\r\n\xff\xfe\xff{",
        b"no header at all",
        b"\0\1\2\r\n\r\n",
    ],
)
def test_an_error_while_reading_is_one_more_try_and_stops_no_other_model(store: Store, sent: bytes) -> None:
    async def garble(writer) -> None:
        writer.write(b"HTTP/1.1 200 .\r\n" + sent)
        await writer.drain()

    with scripted(lambda body: garble if body["model"] == "bad" else completion()) as url:
        cards = [replace(CARD, endpoint=url), replace(CARD, name="bad", served_name="bad", endpoint=url)]
        summary = run(questions(2), cards, store, policy=TWICE, progress=False)
    assert summary.answers == 2 and sum(summary.retries.values()) == 4
    assert len(store.charges()) == 4 and set(store.answers()["model"]) == {"m"}


# Keys

ODD = 'sk-odd/+"1\\2&3%4-abcdefgh'
CODED = {
    "raw": lambda key: key,
    "JSON": lambda key: json.dumps(key)[1:-1],
    "JSON twice": lambda key: json.dumps(json.dumps(key)),
    "JSON escapes": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "URL": lambda key: quote(key, safe=""),
    "URL twice": lambda key: quote(quote(key, safe=""), safe=""),
    "URL, small": lambda key: re.sub("%..", lambda code: code[0].lower(), quote(key, safe="")),
    "URL, every byte": lambda key: "".join(f"%{byte:02x}" for byte in key.encode()),
    "HTML": lambda key: html.escape(key),
    "HTML, by number": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of a header": lambda key: base64.b64encode(f"Bearer {key}".encode()).decode(),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(f"u:{key}".encode()).decode(),
    "hex": lambda key: key.encode().hex(),
    "prefix": lambda key: key[:9] + "…",
    "suffix": lambda key: "…" + key[-8:],
    "upper case": lambda key: key.upper(),
}


@pytest.mark.parametrize("key", [PLANTED, ODD])
@pytest.mark.parametrize("coding", CODED)
def test_a_key_is_struck_in_every_usual_coding(coding: str, key: str) -> None:
    coded = CODED[coding](key)
    told = without_key(f"wrong key: {coded} was sent", key)
    assert told.startswith("wrong key: ") and told.endswith(" was sent") and "[key]" in told
    rest = told.replace("[key]", "")
    apart = base64.b64encode(b"Bearer ").decode()  # no part of the key
    assert not any(coded[at : at + 8] in rest.replace(apart[:8], "") for at in range(len(coded) - 7))


def test_texts_without_a_key_stay_as_they_are() -> None:
    text = r"50% of \textbf{x} &amp; %41 required, c2st \u0041"
    assert without_key(text, PLANTED) == text
    assert without_key("That is required.", "sk-no-key-required") == "That is required."


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 524, 200])
def test_a_key_told_back_is_in_no_file_and_in_no_output(tmp_path, monkeypatch, capfd, status) -> None:
    monkeypatch.setenv("PLANTED_KEY", PLANTED)
    coded = {coding: code(PLANTED) for coding, code in CODED.items()}

    def say(body):
        text = f"the key {coded[body['model']]} is not known"
        return completion(text) if status == 200 else (status, json.dumps({"error": {"message": text}}))

    card = replace(CARD, key_variable="PLANTED_KEY")
    with scripted(say) as url, Store(tmp_path / "store.sqlite") as store:
        cards = [replace(card, name=coding, served_name=coding, endpoint=url) for coding in coded]
        summary = run(questions(2), cards, store, policy=TWICE, progress=False)
    for command in ("status", "grade"):
        print(CliRunner().invoke(app, [command, "--store", str(store.path)]).output)
    out = capfd.readouterr()
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()).decode(
        errors="replace"
    )
    for place in (files, out.out, out.err, repr(summary)):
        lower = place.lower()
        for coding, key in coded.items():
            parts = (key[at : at + 12].lower() for at in range(len(key) - 11))
            assert not any(part in lower for part in parts), coding
    assert (status in (401, 403)) <= ("is not known" not in files + out.out + repr(summary))
    assert summary.attempts == len(CODED) * {401: 1, 403: 1, 404: 1, 429: 4, 500: 4, 524: 4}.get(status, 2)
