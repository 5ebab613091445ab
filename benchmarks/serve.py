"""What a served router adds to a request, and its memory over many.

Client, router and endpoint are a process each. The same request goes to the endpoint directly and through
the router, in turn, one at a time; the embedding is replaced by a constant there and timed apart. Goals:
under 2 ms more at the median, and memory that stays flat over 5,000 requests. On a busy machine look at the
processor time.
"""

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np
import openai
import pandas as pd
import psutil
from construct import endpoint, process

from rb_support import deploy
from rb_support.construct.loopback import SimulatedModel
from rb_support.construct.records import Model
from rb_support.deploy import server
from rb_support.deploy.ledger import Ledger
from rb_support.embed import encoder
from rb_support.outcomes import Outcomes

GOAL_MS = 2.0
MB = 2**20
MODELS = [SimulatedModel(name, 0.5, latency_s=0.0) for name in ("small", "large")]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=5_000, help="of the soak")
    parser.add_argument("--measured", type=int, default=1_000, help="one at a time")
    parser.add_argument("--prompts", type=int, default=64, help="embedded at once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        router(Path(folder))
        with process(endpoint, MODELS) as (_, cards), process(routed, folder, cards) as (child, url):
            overhead(cards[0].endpoint, url, child, given.measured)
            soak(url, child, given.requests)
    embedding(given.prompts)


def overhead(direct: str, url: str, child: psutil.Process, many: int) -> None:
    took, own = {"direct": np.empty(many), "routed": np.empty(many)}, dict.fromkeys(("direct", "routed"), 0.0)
    with client(direct) as plain, client(url) as through:
        for _ in range(20):
            ask(plain, "small"), ask(through, "router")
        before = processor(child)
        for i in range(many):
            for name, asked, model in (("direct", plain, "small"), ("routed", through, "router")):
                began, worked = time.perf_counter(), time.process_time()
                ask(asked, model)
                took[name][i] = time.perf_counter() - began
                own[name] += time.process_time() - worked
    cpu = (processor(child) - before) / many * 1e3
    low, middle, high = np.quantile((took["routed"] - took["direct"]) * 1e3, [0.05, 0.5, 0.95])
    print(f"direct {np.median(took['direct']) * 1e3:.2f} ms, routed {np.median(took['routed']) * 1e3:.2f} ms")
    print(
        f"added, {many:,} pairs of requests: {middle:.2f} ms at the median (5%: {low:.2f}, 95%: {high:.2f})"
    )
    asking = own["direct"] / many * 1e3
    print(
        f"processor time of the router: {cpu:.2f} ms a request, {cpu / asking:.2f} times that of the client"
    )
    print(f"goal under {GOAL_MS:g} ms at the median: {'met' if middle < GOAL_MS else 'MISSED'}")


def soak(url: str, child: psutil.Process, many: int) -> None:
    began, held = time.perf_counter(), []
    with client(url) as asked, ThreadPoolExecutor(32) as threads:
        for part in range(5):
            list(threads.map(lambda _: ask(asked, "router"), range(many // 5)))
            held.append(child.memory_info().rss / MB)
            if part == 0:
                began = time.perf_counter()
    rate = many // 5 * 4 / (time.perf_counter() - began)
    print(f"{many:,} requests, 32 at once: {rate:,.0f} a second")
    shown = ", ".join(f"{mb:.1f}" for mb in held)
    print(f"memory after each fifth: {shown} MB; last to first {held[-1] / held[0]:.3f}")


def embedding(many: int) -> None:
    encode = encoder()
    prompts = [
        f"Question {i}: which of these rivers is the longest, and why does it bend?" for i in range(many)
    ]
    encode(prompts)
    for size in (1, many):
        times = []
        for _ in range(9):
            began = time.perf_counter()
            encode(prompts[:size])
            times.append((time.perf_counter() - began) / size * 1e3)
        print(f"MiniLM, {size} at once: {np.median(times):.1f} ms a prompt")


def router(folder: Path) -> None:
    rng = np.random.default_rng(0)
    prompts = [f"question {i}" for i in range(100)]
    frame = pd.DataFrame({"sample_id": prompts, "dataset": "d", "task": "t", "prompt": prompts})
    cost = np.tile([0.001, 0.01], (100, 1))
    table = Outcomes(frame, rng.integers(0, 2, (100, 2)).astype(float), cost, ("small", "large"))
    deploy.fit(table).calibrate(share=0.5).save(folder / "router")


def routed(pipe, folder: str, cards: list[Model]) -> None:
    vector = np.full(384, 384**-0.5, dtype=np.float32)
    with mock.patch.object(server, "encoder", lambda _: lambda texts: np.tile(vector, (len(texts), 1))):
        proxy = server.Proxy(
            deploy.load(Path(folder) / "router"), cards, Ledger(Path(folder) / "ledger"), budget_usd=1e6
        )
    with server.serving(proxy) as address:
        pipe.send(address)
        pipe.recv()


def client(url: str) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(trust_env=False)
    return openai.OpenAI(base_url=url, api_key="none", max_retries=0, http_client=http)


def ask(asked: openai.OpenAI, model: str) -> None:
    prompt = [{"role": "user", "content": "Which of these rivers is the longest?"}]
    asked.chat.completions.create(model=model, messages=prompt, max_tokens=50)


def processor(child: psutil.Process) -> float:
    times = child.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
