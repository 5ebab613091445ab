"""Peak memory of reading RouterBench's raw pickle, measured on a made file of the same make-up.

The published file has 401,467 rows in 1,198,134,681 bytes. A made file with as many bytes per row is
written, then read and converted in a process of its own, whose peak resident memory is printed beside
the file's size. Memory grows in proportion to the rows, so a part shows what the whole takes;
`--rows 401467` makes the whole. A text with one character outside Latin-1 takes two bytes per character
in memory; `--wide-share` says how many prompts have one.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rb_support.cache import digest
from rb_support.catalog import MODELS

PUBLISHED_ROWS, PUBLISHED_BYTES = 401_467, 1_198_134_681
LIMIT_BYTES = 4e9
_ANSWER_BYTES, _OTHER_BYTES = 130, 55


def main() -> None:
    """Make a file and read it, each in a process of its own; exit with 1 if that takes too much memory."""
    arguments = _arguments()
    if arguments.make:
        make_raw(arguments.make, arguments.rows, arguments.wide_share)
    elif arguments.read:
        _read(arguments.read)
    else:
        sys.exit(_measure(arguments.rows // len(MODELS) * len(MODELS), arguments.wide_share))


def _measure(rows: int, wide_share: float) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "raw.pkl"
        # a process inherits the peak of the one that starts it, so this one must stay small
        _run("--make", str(path), "--rows", str(rows), "--wide-share", str(wide_share))
        size = path.stat().st_size
        before, peak, seconds = map(float, _run("--read", str(path)).split())
    whole = before + (peak - before) * PUBLISHED_ROWS / rows
    print(f"{rows:,} rows, {size:,} bytes: peak {peak:,.0f} bytes, {seconds:.1f} s")
    print(f"all {PUBLISHED_ROWS:,} rows, in proportion: peak {whole:,.0f} bytes (limit {LIMIT_BYTES:,.0f})")
    return whole > LIMIT_BYTES


def _run(*arguments: str) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def make_raw(path: Path, rows: int, wide_share: float) -> None:
    """Write a raw pickle of the published columns in which every cell is a text of its own.

    `rows` is a multiple of the number of models.
    """
    import numpy as np
    import pandas as pd

    n = rows // len(MODELS)
    query = np.repeat(np.arange(n), len(MODELS))
    rng = np.random.default_rng(0)
    wide = rng.random(n) < wide_share
    frame = {
        "index": np.arange(rows),
        "sample_id": [f"mmlu-made.val.{i}" for i in query],
        "prompt": [_prompt(i, bool(wide[i])) for i in query],
        "eval_name": ["-".join(["mmlu", "made"]) for _ in query],
        "performance": [str(score) for score in rng.choice([0.0, 1.0], rows)],
        "model_response": [repr([f"{i} " + "x" * _ANSWER_BYTES]) for i in query],
        "model_name": [MODELS[row % len(MODELS)] for row in range(rows)],
        "cost": rng.uniform(1e-5, 1e-2, rows),
    }
    texts = {name: pd.Series(cells, dtype=object) for name, cells in frame.items() if isinstance(cells, list)}
    raw = pd.DataFrame({**frame, **texts})
    raw.columns = pd.Index(list(raw.columns), dtype=object)  # as pandas 2 wrote them
    raw.to_pickle(path)


def _prompt(query: int, wide: bool) -> str:
    size = PUBLISHED_BYTES // PUBLISHED_ROWS - _ANSWER_BYTES - _OTHER_BYTES
    return repr([f"{'’' if wide else ''}{query} " + "Which of these is right? " * (size // 25)])


def _read(path: Path) -> None:
    from rb_support.outcomes import Origin
    from rb_support.sources.routerbench import read_long

    before, start = _peak(), time.perf_counter()
    read_long(path, sha256=digest(path), origin=Origin("simulated", "made raw file"))
    print(before, _peak(), time.perf_counter() - start)


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=PUBLISHED_ROWS // 8, help="rows of the made file")
    parser.add_argument(
        "--wide-share", type=float, default=0.2, help="share of prompts outside Latin-1 (0.2)"
    )
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
