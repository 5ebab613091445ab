"""A served router answers as the saved one decides, keeps its budget, and tells nobody's key."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import openai
import pytest
from faulty_server import Faults, completion, scripted
from faulty_server import serve as upstream
from processes import start, wait_for
from test_deploy import PROMPTS, table
from typer.testing import CliRunner

from rb_support import deploy
from rb_support.__main__ import app
from rb_support.construct.loopback import SimulatedModel
from rb_support.construct.records import CallError, Model
from rb_support.deploy.ledger import Ledger, ServeError
from rb_support.deploy.server import Limits, Proxy, serving

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
HI = [{"role": "user", "content": "add number 1 of sums"}]
SIMULATED = (
    SimulatedModel("small", 0.5, 100.0, 200.0, latency_s=0.005),
    SimulatedModel("large", 0.9, 1000.0, 3000.0, latency_s=0.01),
)
SECRET = "sk-planted-0123456789abcdefghij"


@pytest.fixture(scope="module")
def router():
    return deploy.fit(table(), "ridge").calibrate(quality=0.95)


def cards(url, **more):
    return [replace(model.card(url), concurrency=64, **more) for model in SIMULATED]


@contextmanager
def served(router, models, tmp_path, **options):
    """A client of a running server, with its proxy at hand."""
    proxy = Proxy(router, models, Ledger(tmp_path / "ledger.jsonl"), **options)
    with serving(proxy) as url:
        http = openai.DefaultHttpxClient(trust_env=False, verify=False)
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, http_client=http, timeout=30)
        client.proxy = proxy
        with client:
            yield client


def ask(client, prompt=HI[0]["content"], model="router", **options):
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return client.chat.completions.with_raw_response.create(model=model, messages=messages, **options)


def get(client, path):
    return client._client.get(str(client.base_url).removesuffix("/v1/") + path)


def metrics(client):
    """Numbers by name and labels."""
    lines = [line for line in get(client, "/metrics").text.splitlines() if not line.startswith("#")]
    return {key.removeprefix("rb_router_"): float(value) for key, value in (x.rsplit(" ", 1) for x in lines)}


def test_it_decides_as_the_saved_router_does_and_says_so(router, tmp_path):
    router.save(tmp_path / "router")
    prompts = table(seed=5).frame["prompt"].tolist()[:6]
    with (
        upstream(models=SIMULATED) as server,
        served(deploy.load(tmp_path / "router"), cards(server.url), tmp_path) as client,
    ):
        for name, set_to in (("router", router), ("router-0.6", router.calibrate(quality=0.6))):
            answers = [ask(client, prompt, name) for prompt in prompts]
            found = set_to.route(prompts)
            assert [answer.headers["x-router-model"] for answer in answers] == found["model"].tolist()
            assert [answer.parse().model for answer in answers] == found["model"].tolist()
            for header, column in (("quality", "predicted_quality"), ("expected-usd", "expected_usd")):
                told = [float(answer.headers[f"x-router-{header}"]) for answer in answers]
                assert told == pytest.approx(found[column].tolist(), rel=1e-5)
        assert found["model"].tolist() != router.route(prompts)["model"].tolist()  # goals differ
        direct = ask(client, "add", "large")
        assert direct.parse().model == "large" and "x-router-quality" not in direct.headers
        listed = [model.id for model in client.models.list()]
        assert listed == ["router", "small", "large"]
        assert get(client, "/health").json()["goal"] == "95% of the best model's quality"


def test_the_users_words_are_routed_by_and_nothing_else(router, tmp_path):
    sums, poems = PROMPTS
    chat = [
        {"role": "system", "content": poems * 5},
        {"role": "user", "content": [{"type": "text", "text": "add"}, {"type": "text", "text": "number"}]},
        {"role": "assistant", "content": poems * 5},
        {"role": "user", "content": sums},
    ]
    with (
        scripted(lambda body: completion(json.dumps(body["messages"]))) as url,
        served(router, cards(url), tmp_path) as client,
    ):
        answer = ask(client, chat)
    expected = router.route([f"add\n\nnumber\n\n{sums}"])
    told = float(answer.headers["x-router-quality"])
    assert told == pytest.approx(expected["predicted_quality"].iloc[0], rel=1e-5)
    assert json.loads(answer.parse().choices[0].message.content) == chat  # and all of it is sent on


# Streaming


def pieces(*parts, end=b"data: [DONE]\n\n", wait_s=0.0):
    """A streamed answer of these texts."""

    async def write(writer):
        writer.write(b"HTTP/1.1 200 .\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for part in parts:
            part = {"choices": [{"index": 0, "delta": {"content": part}}]} if isinstance(part, str) else part
            writer.write(f"data: {json.dumps({'object': 'chat.completion.chunk', **part})}\n\n".encode())
            await writer.drain()
            await asyncio.sleep(wait_s)
        writer.write(end)

    return write


USAGE = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 3}}


def test_a_streamed_answer_comes_in_pieces_and_is_charged_by_its_usage(router, tmp_path):
    bodies = []
    say = pieces("four", " and", USAGE, wait_s=0.01)
    with (
        scripted(lambda body: bodies.append(body) or say) as url,
        served(router, cards(url), tmp_path) as client,
    ):
        found = list(client.chat.completions.create(model="router", messages=HI, stream=True))
        assert [chunk.choices[0].delta.content for chunk in found] == ["four", " and"]
        assert {chunk.model for chunk in found} == {"small"} and found[0].usage is None
        told = list(
            client.chat.completions.create(
                model="router", messages=HI, stream=True, stream_options={"include_usage": True}
            )
        )
        assert told[-1].usage.completion_tokens == 3
        usd = 2 * cards(url)[0].cost(10, 3)
        assert metrics(client)['usd_total{model="small"}'] == pytest.approx(usd)
    assert bodies[0]["stream_options"] == {"include_usage": True}


def test_an_answer_that_breaks_off_says_so_and_stays_charged_at_the_most(router, tmp_path):
    for broken in (pieces("four", {"error": {"message": "gone"}}), pieces("four", {"odd": 1}, end=b"")):
        with (
            scripted(lambda _: broken) as url,  # noqa: B023
            served(router, cards(url), tmp_path, fallback=True) as client,
        ):
            before = metrics(client)["spent_usd"]
            found = []
            with pytest.raises(openai.APIError, match="no answer"):
                for chunk in client.chat.completions.create(model="router", messages=HI, stream=True):
                    found.append(chunk.choices[0].delta.content)
            assert found == ["four"]
            assert metrics(client)["spent_usd"] - before > cards(url)[0].cost(0, 1024)


# Faults


async def cut(writer):
    writer.close()


async def slow(writer):
    await asyncio.sleep(0.6)
    writer.close()


FAULTS = [
    ((429, "{}"), 429, "429", False),
    ((500, "{}"), 502, "500", False),
    ((504, "{}"), 502, "504", True),
    ((401, "{}"), 502, "401", False),
    ((400, '{"error": {"message": "too long"}}'), 400, "400", False),
    (cut, 502, "cut", True),
    (slow, 504, "timeout", True),
    ((200, "four"), 502, "malformed", True),
    ({"error": "busy"}, 502, "malformed", True),
]


@pytest.fixture(scope="module")
def faulty(router, tmp_path_factory):
    """Clients of a server without and of one with a fallback; a system message tells the fault it meets."""

    def say(body):
        if body["model"] == "small":
            return FAULTS[int(re.search(r"fault (\d)", body["messages"][0]["content"])[1])][0]
        return pieces("four", USAGE) if body.get("stream") else completion("four")

    folder, limits = tmp_path_factory.mktemp("faulty"), Limits(timeout_s=0.5)
    with (
        scripted(say) as url,
        served(router, cards(url), folder / "strict", limits=limits) as strict,
        served(router, cards(url), folder / "lenient", limits=limits, fallback=True) as lenient,
    ):
        yield strict, lenient


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("number", range(len(FAULTS)))
def test_a_fault_is_told_counted_and_the_next_model_asked_if_that_is_wished(faulty, stream, number):
    (strict, lenient), (_, status, kind, billed) = faulty, FAULTS[number]
    before = Counter(metrics(strict))
    prompt = [{"role": "system", "content": f"fault {number}"}, *HI]
    with pytest.raises(openai.APIStatusError) as told:
        ask(strict, prompt, stream=stream)
    assert told.value.status_code == status and "small" in told.value.body["message"]
    counted = Counter(metrics(strict))
    counted.subtract(before)
    assert counted[f'errors_total{{kind="{kind}",model="small"}}'] == 1
    assert (counted["spent_usd"] > 0) == billed
    assert counted[f'refused_total{{status="{status}"}}'] == 1
    before = metrics(lenient).get('fallbacks_total{model="small"}', 0)
    answer = ask(lenient, prompt, stream=stream)
    assert answer.headers["x-router-model"] == "large"
    text = "".join(c.choices[0].delta.content for c in answer.parse()) if stream else "four"
    assert text == "four"
    assert metrics(lenient)['fallbacks_total{model="small"}'] == before + 1


def test_a_model_that_is_not_there_is_no_bill(router, tmp_path):
    with served(router, cards("http://127.0.0.1:9/v1"), tmp_path) as client:
        with pytest.raises(openai.InternalServerError, match="no connection"):
            ask(client)
        assert metrics(client)["spent_usd"] == 0


def test_100_requests_at_once_are_all_answered_right(router, tmp_path):
    prompts = [f"{prompt} {i}" for i in range(50) for prompt in PROMPTS]
    faults = Faults({"500": 0.1, "cut": 0.1}, in_a_row=1)
    with upstream(models=SIMULATED[:1], faults=faults) as faulty, upstream(models=SIMULATED[1:]) as sound:
        models = [cards(faulty.url)[0], cards(sound.url)[1]]
        with served(router, models, tmp_path, fallback=True) as client:
            with ThreadPoolExecutor(100) as threads:
                answers = list(threads.map(lambda prompt: ask(client, prompt, max_tokens=20), prompts))
            wait_for(
                lambda: metrics(client)["in_flight"] == 0
            )  # an answer is there before its end is counted
            counted = metrics(client)
            assert counted["decided_total"] == 100 > 2 * counted["deciding_seconds_count"]
            assert client.proxy.budget.reserved == []
            assert counted["spent_usd"] >= faulty.chat.billed_usd + sound.chat.billed_usd > 0
    wanted = router.route(prompts)["model"].tolist()
    assert {"small", "large"} == {*wanted}
    differing = sum(a.headers["x-router-model"] != m for a, m in zip(answers, wanted, strict=True))
    assert differing == counted['fallbacks_total{model="small"}'] == faulty.chat.injected.total() > 0


# What cannot be answered


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "could not parse the JSON"),
        (b"[1]", 400, "could not parse the JSON"),
        (b"[" * 1500, 400, "could not parse the JSON"),
        (b"\xff\xfe", 400, "could not parse the JSON"),
        (b'{"model": "router", "messages": [], "seed": NaN}', 400, "could not parse the JSON"),
        (b'{"model": "router", "messages": [], "tools": ["\\ud800"]}', 400, "could not parse the JSON"),
        ({"messages": HI}, 400, "'model'"),
        ({"model": "router"}, 400, "'messages'"),
        ({"model": "router", "messages": []}, 400, "'messages'"),
        ({"model": "router", "messages": ["hi"]}, 400, "'messages.0'"),
        ({"model": "router", "messages": [{"role": "boss", "content": "hi"}]}, 400, "'messages.0.role'"),
        ({"model": "router", "messages": [{"role": "system", "content": "hi"}]}, 400, "No text of a user"),
        ({"model": "router", "messages": HI, "stream": "yes"}, 400, "'stream'"),
        ({"model": "router", "messages": HI, "n": 0}, 400, "'n'"),
        ({"model": "router", "messages": HI, "max_tokens": -1}, 400, "'max_tokens'"),
        ({"model": "router", "messages": HI, "web_search_options": {}}, 400, "Unrecognized request argument"),
        ({"model": "gpt-9", "messages": HI}, 404, "`gpt-9` does not exist"),
        ({"model": "router-0", "messages": HI}, 404, "`router-0` does not exist"),
        ({"model": "router-0.0", "messages": HI}, 404, "does not exist"),
        ({"model": "router-1.2", "messages": HI}, 404, "does not exist"),
        ({"model": "router-nan", "messages": HI}, 404, "does not exist"),
        ({"model": "router", "messages": HI, "user": "x" * 2000}, 413, "larger than 2,000 bytes"),
        (
            {"model": "router", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            400,
            "'messages.0.content",
        ),
    ],
)
def test_a_bad_body_is_refused_as_openai_does(refusing, body, status, says):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    answer = refusing._client.post(f"{refusing.base_url}chat/completions", content=content, headers=headers)
    assert answer.status_code == status and says in answer.json()["error"]["message"]
    assert {"message", "type", "param", "code"} == answer.json()["error"].keys()


@pytest.fixture(scope="module")
def refusing(router, tmp_path_factory):
    models = cards("http://127.0.0.1:9/v1")
    folder = tmp_path_factory.mktemp("refusing")
    with served(router, models, folder, limits=Limits(max_bytes=2000)) as client:
        yield client
        assert metrics(client)["spent_usd"] == 0


def test_unknown_routes_methods_hosts_and_web_pages_are_refused(refusing):
    root = str(refusing.base_url).removesuffix("/v1/")
    assert get(refusing, "/v1/embeddings").json()["error"]["code"] == "unknown_url"
    assert get(refusing, "/v1/chat/completions").status_code == 405
    assert get(refusing, "/v1/chat/completions").json()["error"]["code"] == "method_not_supported"
    page = refusing._client.post(
        f"{root}/v1/chat/completions", content=b"{}", headers={"content-type": "text/plain"}
    )
    assert page.status_code == 415
    assert refusing._client.get(f"{root}/health", headers={"host": "evil.example"}).status_code == 400
    with pytest.raises(openai.NotFoundError) as told:
        ask(refusing, model="nobody")
    assert told.value.code == "model_not_found"


def test_more_requests_than_allowed_are_told_to_come_again(router, tmp_path):
    with (
        upstream(models=[replace(model, latency_s=0.2) for model in SIMULATED]) as server,
        served(router, cards(server.url), tmp_path, limits=Limits(concurrency=2)) as client,
    ):

        def status(_):
            try:
                return ask(client).http_response.status_code
            except openai.APIStatusError as error:
                return error.status_code

        with ThreadPoolExecutor(6) as threads:
            found = sorted(threads.map(status, range(6)))
        assert found[:2] == [200, 200] and set(found[2:]) <= {200, 503} and 503 in found


# Money


def test_the_budget_is_never_exceeded_over_several_runs(router, tmp_path):
    budget, answered = 0.5, 0
    with upstream(models=SIMULATED, faults=Faults({"cut": 0.1, "half": 0.1, "usage": 0.1})) as server:
        for run in range(3):
            with served(router, cards(server.url), tmp_path, budget_usd=budget, fallback=True) as client:
                before = metrics(client)["spent_usd"]
                assert (before > 0) == (run > 0)

                def status(i):
                    try:
                        return ask(client, f"{PROMPTS[i % 2]} {i}", max_tokens=20).http_response.status_code
                    except openai.APIStatusError as error:
                        return error.code or error.status_code

                with ThreadPoolExecutor(20) as threads:
                    found = list(threads.map(status, range(run * 1000, run * 1000 + 25)))
                answered += found.count(200)
                spent = metrics(client)["spent_usd"]
                assert server.chat.billed_usd <= spent <= budget + 1e-9
            left = Ledger(tmp_path / "ledger.jsonl")
            assert sum(left.usd.values()) == pytest.approx(spent)
            left.close()
    assert answered > 10 and "insufficient_quota" in found and found.count(200) < 25


def test_what_nothing_pays_for_is_refused_as_openai_does(router, tmp_path):
    with (
        upstream(models=SIMULATED) as server,
        served(router, cards(server.url), tmp_path, budget_usd=1e-6) as client,
        pytest.raises(openai.RateLimitError) as told,
    ):
        ask(client)
    assert told.value.code == told.value.type == "insufficient_quota"
    assert told.value.response.headers["x-should-retry"] == "false" and server.chat.calls.total() == 0


def test_several_answers_and_long_ones_reserve_more(router, tmp_path):
    most = {}
    with scripted(lambda _: completion("four", usage=None)) as url:
        for name, asked in {
            "one": {},
            "three": {"n": 3},
            "long": {"extra_body": {"max_completion_tokens": 5000}},
        }.items():
            with served(router, cards(url), tmp_path / name) as client:
                ask(client, **asked)
                most[name] = metrics(client)["spent_usd"]  # usage that is not told stays charged at the most
    price = 200 / 1e6
    assert most["three"] - most["one"] == pytest.approx(2 * 1024 * price, abs=20 * 100 / 1e6)
    assert most["long"] - most["one"] == pytest.approx((5000 - 1024) * price, abs=50 * 100 / 1e6)


def test_a_model_that_bills_more_than_it_may_is_asked_no_more(router, tmp_path):
    with (
        scripted(lambda _: completion("four", usage={"prompt_tokens": 10, "completion_tokens": 9000})) as url,
        served(router, cards(url), tmp_path, budget_usd=100.0) as client,
    ):
        assert ask(client).http_response.status_code == 200
        with pytest.raises(openai.InternalServerError, match="bills more"):
            ask(client)
        assert metrics(client)["spent_usd"] == pytest.approx(cards(url)[0].cost(10, 9000))


def test_the_ledger_stands_a_kill(tmp_path):
    path = tmp_path / "deep" / "ledger.jsonl"
    first = Ledger(path)
    first.add("small", 0.5)
    first.add("small", -0.2)
    first.add("a\nb", 1.0)
    with pytest.raises(ServeError, match="another server"):
        Ledger(path)
    first.close()
    with path.open("ab") as file:
        file.write(b'\n{"model": "small", "us')  # where a kill came
    again = Ledger(path)
    again.add("small", 0.1)
    again.close()
    last = Ledger(path)
    assert last.usd == pytest.approx({"small": 0.4, "a\nb": 1.0}) and path.read_bytes().count(b"\n") == 2
    last.close()
    path.write_text('{"model": "small", "usd": NaN}')
    with pytest.raises(ServeError, match="line 1 is no charge"):
        Ledger(path)


# Those who leave, and the end


def test_a_caller_who_leaves_ends_the_call(router, tmp_path):
    ended, most = threading.Event(), cards("")[0].cost(0, 1024)

    async def endless(writer):
        try:
            writer.write(b"HTTP/1.1 200 .\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            while True:
                await writer.drain()
                writer.write(b'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n')
                await asyncio.sleep(0.01)
        except ConnectionError:
            ended.set()

    async def silent(writer):
        await asyncio.sleep(1.5)

    with (
        scripted(lambda body: endless if body.get("stream") else silent, writes_for_s=60) as url,
        served(router, cards(url), tmp_path) as client,
    ):
        stream = client.chat.completions.create(model="router", messages=HI, stream=True)
        next(iter(stream))
        charges = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines() if line]
        assert sum(charge["usd"] for charge in charges) > most  # before it is known: a kill forgets nothing
        stream.close()
        assert ended.wait(30)
        with pytest.raises(openai.APITimeoutError):
            ask(client, timeout=0.5)
        until = time.monotonic() + 30
        while metrics(client).get("disconnects_total", 0) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        counted = metrics(client)
    assert counted["disconnects_total"] == 2 and counted["in_flight"] == 0
    assert counted["spent_usd"] > 2 * most  # what may be on the bill stays charged


def test_sigterm_lets_what_is_at_work_end(tmp_path):
    # one that reads no text starts sooner, and sends no call to the dearest model
    deploy.fit(table(), embedding="random").calibrate(share=0.0).save(tmp_path / "router")
    went = {stream: threading.Event() for stream in (False, True)}
    says = {True: pieces(*["x"] * 9, USAGE, wait_s=0.05), False: delayed(completion("x" * 9))}
    with scripted(
        lambda body: went[stream := body.get("stream", False)].set() or says[stream], writes_for_s=60
    ) as url:
        write_cards(tmp_path / "models.toml", url)
        process, address = command(tmp_path)
        http = openai.DefaultHttpxClient(trust_env=False, verify=False)
        with openai.OpenAI(base_url=address, api_key="none", max_retries=0, http_client=http) as client:

            def answered(stream):
                return whole(ask(client, stream=stream).parse(), stream)

            with ThreadPoolExecutor(2) as threads:
                answers = [threads.submit(answered, stream) for stream in went]
                assert all(arrived.wait(60) for arrived in went.values())
                process.send_signal(signal.SIGTERM)
                assert [answer.result() for answer in answers] == ["x" * 9] * 2
        assert process.wait(60) in (0, -signal.SIGTERM)
    assert "Traceback" not in process.stderr.read()
    left = Ledger(tmp_path / "router" / "ledger.jsonl")
    assert left.usd["small"] == pytest.approx(cards(url)[0].cost(10, 3) + cards(url)[0].cost(100, 10))
    left.close()


def delayed(body):
    async def write(writer):
        text = json.dumps(body)
        await asyncio.sleep(0.4)
        writer.write(f"HTTP/1.1 200 .\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        await writer.drain()

    return write


def whole(answer, stream):
    if stream:
        return "".join(chunk.choices[0].delta.content for chunk in answer)
    return answer.choices[0].message.content


def write_cards(path, url, variable=""):
    path.write_text(
        "\n".join(
            f'[[model]]\nname = "{model.name}"\nendpoint = "{url}"\nkey_variable = "{variable}"\n'
            f"price_in_usd_per_million = {model.price_in_usd_per_million}\n"
            f"price_out_usd_per_million = {model.price_out_usd_per_million}\n"
            for model in SIMULATED
        )
    )


def command(folder, *options):
    """The command as a user starts it, and the address that it tells."""
    given = [str(folder / "router"), "--models", str(folder / "models.toml"), "--port", "0", *options]
    process = start([sys.executable, "-m", "rb_support", "serve", *given], stdout=-1, stderr=-1)
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return process, found[0]
    raise AssertionError(process.stderr.read())


# Keys and what goes wrong before


def test_no_key_is_told_anywhere(router, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("UPSTREAM_KEY", SECRET)
    seen = []
    echo = {
        "small": lambda: (401, f"wrong key {SECRET}"),
        "large": lambda: completion(f"your key is {SECRET}"),
    }
    with scripted(lambda body: pieces(SECRET) if body.get("stream") else echo[body["model"]]()) as url:
        models = cards(url, key_variable="UPSTREAM_KEY")
        with served(router, models, tmp_path, key=SECRET + "-mine") as client:
            with pytest.raises(openai.AuthenticationError) as told:
                ask(client)
            seen.append(told.value.response.text)
            with pytest.raises(openai.AuthenticationError):
                client.models.list()
            known = client.with_options(api_key=SECRET + "-mine")
            with pytest.raises(openai.InternalServerError) as told:
                ask(known)
            seen += [told.value.response.text, str(told.value.response.headers)]
            answer = ask(known, model="large")
            seen += [answer.text, str(answer.headers)]
            assert "your key is [key]" in answer.text
            seen.append(str(list(known.chat.completions.create(model="large", messages=HI, stream=True))))
            seen += [get(client, path).text for path in ("/metrics", "/health")]
    others = ("openai", "http")  # the client of this test, which has the keys
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(others)]
    seen += [*ours, (tmp_path / "ledger.jsonl").read_text()]
    assert "[key]" in seen[5] and not any(SECRET[:10] in text or SECRET[-10:] in text for text in seen)


def test_prompts_go_into_no_cache(router, tmp_path, monkeypatch):
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))
    with scripted(lambda _: completion("four")) as url, served(router, cards(url), tmp_path) as client:
        ask(client, "a private question")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written and all(b"private" not in path.read_bytes() for path in written)
    assert not (tmp_path / "cache").exists()


def test_what_cannot_be_served_is_said_before(router, tmp_path, monkeypatch):
    (tmp_path / "ledger").mkdir()
    ledger = Ledger(tmp_path / "ledger" / "l.jsonl")
    with pytest.raises(ServeError, match="no model card is named 'large'"):
        Proxy(router, cards("http://127.0.0.1:9/v1")[:1], ledger)
    clash = Model("router-0.5", "http://127.0.0.1:9/v1", "m", 1.0, 1.0)
    with pytest.raises(ServeError, match="named as the router"):
        Proxy(router, [*cards("http://127.0.0.1:9/v1"), clash], ledger)
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(CallError, match="NO_SUCH_KEY is not set"):
        Proxy(router, cards("http://127.0.0.1:9/v1", key_variable="NO_SUCH_KEY"), ledger)
    ledger.close()


def test_the_command_says_what_it_cannot_do(router, tmp_path, monkeypatch):
    router.save(tmp_path / "router")
    write_cards(tmp_path / "models.toml", "http://127.0.0.1:9/v1", "NO_SUCH_KEY")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)

    def says(*given):
        done = CliRunner().invoke(app, ["serve", *map(str, given)])
        return done.exit_code, done.output

    models = ["--models", tmp_path / "models.toml"]
    code, output = says(tmp_path / "router", *models)
    assert code == 1 and "NO_SUCH_KEY is not set" in output
    code, output = says(tmp_path, *models)
    assert code == 1 and "holds no router" in output
    assert says(tmp_path / "router", *models, "--budget", "-1")[0] == 2
    monkeypatch.delitem(sys.modules, "rb_support.deploy.server")
    monkeypatch.delattr(deploy, "server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, output = says(tmp_path / "router", *models)
    assert code == 1 and "pip install 'rb-support[serve]'" in output


def test_a_router_that_is_not_calibrated_serves_only_named_goals(tmp_path):
    blank = deploy.fit(table(), "ridge")
    with upstream(models=SIMULATED) as server, served(blank, cards(server.url), tmp_path) as client:
        assert [model.id for model in client.models.list()] == ["small", "large"]
        with pytest.raises(openai.NotFoundError):
            ask(client)
        assert ask(client, model="router-1.0").parse().model == "small"
        assert get(client, "/health").json()["goal"] is None
