"""kill -9 of workers, of the command and of the scheduler, at random moments: the same bytes.

    python benchmarks/sweep_kills.py [KILLS] [worker|command|scheduler ...]

A sweep of a made table is done once in peace. Then another, on two workers, meets so many kills of these, one
at a time while it runs; another is killed itself so many times, and asked again; and one runs on a scheduler
and a worker of other processes, used by address, where the scheduler is killed as often, and the sweep asked
again. Each ends with results.parquet, whose bytes are compared. Exit code 0 if all are the same, 1 if not.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

LOST = 3
ROUTERS = ("placebo", "knn(k=5)", "ridge")
SEEDS = 60
PAUSE = (0.0, 4.0)
"""Seconds of work between two kills, at random."""


def made_table(path: Path, rows: int = 150, models: int = 4) -> None:
    """An outcome table of made rows."""
    rng = np.random.default_rng(0)
    words = rng.choice(["river", "tax", "prime", "verb", "atom", "waltz", "loan", "reef"], (rows, 5))
    frame = pd.DataFrame(
        {"sample_id": range(rows), "eval_name": "made", "prompt": [" ".join(w) for w in words]}
    )
    frame["prompt"] = frame["prompt"] + [f" {i}" for i in range(rows)]
    for model in range(models):
        frame[f"model-{model}"] = rng.integers(0, 2, rows)
        frame[f"model-{model}|total_cost"] = rng.lognormal(-8 + model, 0.3, rows)
    frame.to_csv(path, index=False)


class Sweep:
    """The command on a made table, with a cache of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        self.log = (folder.parent / f"{folder.name}.log").open("w")

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; what it did before is still there."""
        asked = [part for name in ROUTERS for part in ("--router", name)]
        asked += [
            "--table",
            str(self.folder.parent / "made.csv"),
            "--embedding",
            "tfidf",
            "--seeds",
            str(SEEDS),
        ]
        command = [
            sys.executable,
            "-m",
            "rb_support",
            "sweep",
            *asked,
            *self.options,
            "--out",
            str(self.folder),
        ]
        environment = {**os.environ, "RB_CACHE_DIR": str(self.folder / "cache")}
        return subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)

    def done(self) -> int:
        """How many rows are kept."""
        return len(list((self.folder / "cache" / "sweeps" / "fits").glob("*/*.parquet")))

    def digest(self) -> str:
        """Of its results."""
        return hashlib.sha256((self.folder / "results.parquet").read_bytes()).hexdigest()


def working(process: subprocess.Popen[bytes], sweep: Sweep, rng: random.Random) -> bool:
    """Wait until rows come, and a random while more; whether the process still runs then."""
    before = sweep.done()
    while process.poll() is None and sweep.done() == before:
        time.sleep(0.02)
    with suppress(subprocess.TimeoutExpired):
        process.wait(rng.uniform(*PAUSE))
    return process.poll() is None


def workers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Dask's workers of a command."""
    found = []
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.Error):
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def kill_workers(folder: Path, kills: int, rng: random.Random) -> Sweep:
    """A sweep whose workers are killed while it runs; asked for more seeds if it is done too early."""
    sweep = Sweep(folder, "--workers", "2")
    while kills:
        process = sweep.start()
        while kills and working(process, sweep, rng):
            if there := workers(process):
                rng.choice(there).kill()
                kills -= 1
                print(f"  worker killed with {sweep.done()} rows there", flush=True)
        if kills:
            anew(sweep, process)
    assert process.wait() == 0, "the sweep did not outlive its workers"
    return sweep


def kill_command(folder: Path, kills: int, rng: random.Random) -> Sweep:
    """A sweep that is killed, and asked again."""
    sweep = Sweep(folder, "--workers", "1")
    while kills:
        process = sweep.start()
        if working(process, sweep, rng):
            process.kill()
            kills -= 1
            print(f"  command killed with {sweep.done()} rows there", flush=True)
            process.wait()
        else:
            anew(sweep, process)
    assert sweep.start().wait() == 0
    return sweep


def kill_scheduler(folder: Path, kills: int, rng: random.Random) -> Sweep:
    """A sweep on a cluster used by address, whose scheduler is killed."""
    while True:
        with ExitStack() as held, tempfile.TemporaryDirectory() as place:
            told = Path(place) / "scheduler.json"
            silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            environment = {**os.environ, "RB_CACHE_DIR": str(folder / "cache")}
            base = [sys.executable, "-m", "dask"]
            own = ["--scheduler-file", str(told), "--no-dashboard"]
            scheduler = subprocess.Popen(
                [*base, "scheduler", "--host", "127.0.0.1", "--port", "0", *own], **silent
            )
            held.callback(scheduler.kill)
            while not told.exists():
                time.sleep(0.05)
            options = ["--nworkers", "1", "--nthreads", "1"]
            theirs = subprocess.Popen([*base, "worker", *options, *own], env=environment, **silent)
            held.callback(theirs.terminate)
            address = pd.read_json(told, typ="series")["address"]
            sweep = Sweep(folder, "--scheduler", address)
            process = sweep.start()
            if not kills:
                assert process.wait() == 0
                return sweep
            if working(process, sweep, rng):
                scheduler.kill()
                kills -= 1
                code = process.wait()
                print(f"  scheduler killed with {sweep.done()} rows there, exit code {code}", flush=True)
                if code == 0:  # all rows were there
                    anew(sweep, process)
                assert code in (0, LOST), f"exit code {code}"
            else:
                anew(sweep, process)


def anew(sweep: Sweep, process: subprocess.Popen[bytes]) -> None:
    """Forget what a sweep did that was done before the last kill."""
    assert process.wait() == 0, f"exit code {process.returncode}"
    for path in (sweep.folder / "cache" / "sweeps").rglob("*.parquet"):
        path.unlink()


KILLED = {"worker": kill_workers, "command": kill_command, "scheduler": kill_scheduler}


def main(kills: int = 10, kinds: Sequence[str] = ()) -> int:
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        made_table(root / "made.csv")
        start = time.monotonic()
        calm = Sweep(root / "calm", "--workers", "2")
        assert calm.start().wait() == 0, (root / "calm.log").read_text()
        wanted, good = calm.digest(), True
        print(f"in peace: {calm.done()} rows, {wanted[:16]}, {time.monotonic() - start:.0f} s")
        for name in kinds or KILLED:
            start = time.monotonic()
            found = KILLED[name](root / name, kills, rng).digest()
            good &= found == wanted
            same = "the same bytes" if found == wanted else "OTHER BYTES"
            print(
                f"{kills} kills of the {name}: {found[:16]}, {same}, {time.monotonic() - start:.0f} s",
                flush=True,
            )
    return not good


if __name__ == "__main__":
    sys.exit(main(int((sys.argv[1:] or [10])[0]), sys.argv[2:]))
