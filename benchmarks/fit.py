"""From a CSV to a saved router, every kind: processor time, memory at the peak, and the embedding apart.

The encoder is timed on some prompts; the fits get sums of words' random vectors in place of its own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import process_time

from rb_support.embed import encoder
from rb_support.simulate import simulate_outcomes

KINDS = ("ridge", "knn", "mlp", "sw", "factorization")
FIT = """
import resource, sys, zlib
from functools import cache
import numpy as np
from rb_support import embed
from rb_support.__main__ import app

@cache
def word(text):
    return np.random.default_rng(zlib.crc32(text.encode())).normal(size=384)

def encode(texts):
    sums = [np.sum([word(part) for part in text.split() or [""]], axis=0) for text in texts]
    return embed.unit(np.array(sums)).astype(np.float32)

embed.encoder = lambda *_: encode
app(sys.argv[1:], standalone_mode=False)
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime, used.ru_maxrss / 1024)
"""


def fit(csv: Path, folder: Path, kind: str) -> tuple[float, float]:
    """User seconds and MB of one `fit` in a process of its own."""
    command = ["fit", str(csv), "--out", str(folder), "--kind", kind, "--quality", "0.95"]
    done = subprocess.run(
        [sys.executable, "-c", FIT, *command],
        env=os.environ | {"RB_CACHE_DIR": str(csv.parent / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, megabytes = map(float, done.stdout.split()[-2:])
    return seconds, megabytes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--prompts", type=int, default=64, help="that the encoder is timed on")
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    options = parser.parse_args()
    table = simulate_outcomes(options.rows)
    prompts = table.frame["prompt"].tolist()[: options.prompts]
    encode = encoder()
    encode(prompts[:1])
    start = process_time()
    encode(prompts)
    print(f"embedding: {1000 * (process_time() - start) / len(prompts):.1f} ms a prompt", flush=True)
    with tempfile.TemporaryDirectory() as place:
        csv = Path(place) / "mine.csv"
        table.select(table.models[: options.models]).to_csv(csv)
        for kind in options.kinds:
            seconds, megabytes = fit(csv, csv.parent / kind, kind)
            size = sum(path.stat().st_size for path in (csv.parent / kind).iterdir()) / 1e6
            print(f"{kind}: {seconds:.1f} s, {megabytes:.0f} MB; saved {size:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
