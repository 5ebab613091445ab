"""Throughput of construction: 4,000 calls to a 200 ms endpoint, 64 at once, each answer committed.

The endpoint is the loopback server in a process of its own. The ideal time is calls x 200 ms / 64. Goal:
within 1.5 times the ideal, with memory flat. Two processes have work to do, so this needs two idle cores; on
busy ones look at the processor time per call, which must be under 1.5 x 200 ms / 64 = 4.7 ms.
"""

import argparse
import multiprocessing
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from rb_support.construct.loopback import SimulatedModel, serve
from rb_support.construct.records import Parameters, Query
from rb_support.construct.run import run
from rb_support.construct.store import Store

GOAL = 1.5
LATENCY_S = 0.2
CONCURRENCY = 64
MB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=4_000)
    calls = parser.parse_args().calls
    question = "Which of these rivers is the longest?\nA. Elbe\nB. Danube\nC. Rhine\nD. Oder\nAnswer:"
    queries = [Query(f"river.test.{i}", "river", (f"{i}. {question}",), "B", "letter") for i in range(calls)]
    fast = SimulatedModel("fast", 0.7, latency_s=LATENCY_S, spread=0.0)
    with (
        tempfile.TemporaryDirectory() as folder,
        process(endpoint, [fast], queries) as (_, (card, *_)),
        Store(Path(folder, "store.sqlite")) as store,
    ):
        model = replace(card, concurrency=CONCURRENCY)
        run(queries[:200], [model], store, Parameters(seed=1), progress=False)
        before, cpu = resident(), time.process_time()
        summary, peak = watched(lambda: run(queries, [model], store, progress=False))
        cpu = time.process_time() - cpu
        stored = sum(path.stat().st_size for path in Path(folder).glob("store.sqlite*"))
    ideal = calls * LATENCY_S / CONCURRENCY
    ratio = summary.seconds / ideal
    assert summary.answers == calls
    print(f"{calls:,} calls of {LATENCY_S * 1e3:.0f} ms, {CONCURRENCY} at once: {summary.seconds:.2f} s")
    print(
        f"ideal {ideal:.2f} s, ratio {ratio:.2f}; {calls / summary.seconds:,.0f} answers committed a second"
    )
    print(f"processor time {cpu / calls * 1e6:.0f} us a call, the endpoint's own left out")
    print(f"memory {before / MB:.0f} MB before, at most {peak / MB:.0f} MB while running")
    print(f"store {stored / (calls + 200) * 1000 / 1e6:.2f} MB per 1,000 answers")
    print(f"goal under {GOAL} times the ideal: {'met' if ratio < GOAL else 'MISSED'}")


@contextmanager
def process(work, *given):
    """A process of its own, so that timings are not shared with the caller, and what it tells first."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=work, args=(theirs, *given), daemon=True)
    child.start()
    yield psutil.Process(child.pid), ours.recv()
    ours.send("stop")
    child.join()


def endpoint(pipe, models, queries=()):
    """Serve models until told otherwise; tells their cards."""
    with serve(queries, models=models) as server:
        pipe.send(server.models())
        pipe.recv()


def watched(work):
    """What a function returns, and the most memory in bytes that was resident while it ran."""
    done, peak = threading.Event(), [resident()]

    def watch():
        while not done.wait(0.05):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return work(), peak[0]
    finally:
        done.set()
        watcher.join()


def resident() -> int:
    return psutil.Process().memory_info().rss


if __name__ == "__main__":
    main()
