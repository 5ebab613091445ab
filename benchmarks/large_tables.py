"""Tables that grow: time and peak memory of every step from a table on disk to honest AIQ with intervals.

Tables are made from a seed, in a folder that keeps them, and each size is measured in a process of its own.
Seconds are the processor's. A step's memory is the most that the process held until its end. Slopes are those
of straight lines through the logarithms, over all sizes but the smallest.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd

from rb_support.embed import unit
from rb_support.outcomes import Outcomes
from rb_support.routers import KNNRouter, RidgeRouter, lambda_path, mean_cost, model_points
from rb_support.routers.decision import PredictiveRouter
from rb_support.stats import System, aiqs, bootstrap_aiq, bootstrap_honest_aiq, interval
from rb_support.studies import fits, lineup

LIMIT = 8.0
"""GB that no step may exceed, at any size."""
DIM = 384
CENTRES = 64


def make(folder: Path, rows: int, models: int) -> tuple[Path, Path]:
    """Table and vectors (float32) of so many rows, on disk; those that are there are kept."""
    table, vectors = folder / f"table-{rows}x{models}.parquet", folder / f"vectors-{rows}.npy"
    if not table.exists() or not vectors.exists():
        rng = np.random.default_rng(rows)
        kind = rng.integers(CENTRES, size=rows)
        centres = 0.3 * rng.normal(size=(CENTRES, DIM))
        chance = np.clip(np.linspace(0.35, 0.8, models) + rng.normal(0, 0.15, (CENTRES, models)), 0.02, 0.98)
        quality = (rng.random((rows, models)) < chance[kind]).astype(float)
        length = np.minimum(rng.lognormal(4, 1, rows), 4_000).astype(int)  # words; some are long
        cost = np.geomspace(1e-7, 1e-4, models) * length[:, None] * rng.lognormal(0, 0.3, (rows, models))
        ids = [f"q{i}" for i in range(rows)]
        prompts = [f"{i} " + "word " * count for i, count in enumerate(length)]
        task = [f"task {each % 8}" for each in kind]
        frame = pd.DataFrame({"sample_id": ids, "dataset": "made", "task": task, "prompt": prompts})
        names = tuple(f"model {i}" for i in range(models))
        found = np.empty((rows, DIM), dtype=np.float32)
        for start in range(0, rows, 10_000):
            some = kind[start : start + 10_000]
            found[start : start + 10_000] = unit(centres[some] + rng.normal(size=(len(some), DIM)))
        Outcomes(frame, quality, cost, names).to_parquet(table)
        np.save(vectors, found)
    return table, vectors


def measure(table_path: Path, vectors_path: Path, draws: int) -> None:
    """Print a JSON line for every step: its name, seconds, and the peak so far in GB."""

    @contextmanager
    def step(name: str) -> Iterator[None]:
        start = process_time()
        yield
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        print(json.dumps({"step": name, "seconds": process_time() - start, "peak": peak}), flush=True)

    with step("read table"):
        table = Outcomes.from_parquet(table_path)
    with step("read vectors, split"):
        vectors = np.load(vectors_path)
        train, test = table.split(seed=0)
        place = pd.Series(np.arange(len(table)), index=table.frame["sample_id"])
        known, wanted = (vectors[place[part.frame["sample_id"]]] for part in (train, test))
        del table, vectors
    predicted = {}
    routers: dict[str, PredictiveRouter] = {"ridge": RidgeRouter(), "knn": KNNRouter(40)}
    for name, router in routers.items():
        with step(f"{name}: fit"):
            router.fit(train, known)
        with step(f"{name}: predict"):
            predicted[name] = router.predict(wanted)
    del routers, router, known, wanted
    cost = mean_cost(train)
    with step("lambda paths"):
        paths = {name: lambda_path(each, cost) for name, each in predicted.items()}
        systems: dict[str, System] = {name: path.on(test.quality, test.cost) for name, path in paths.items()}
        systems["zero"] = model_points(test)
    with step("AIQ"):
        areas = aiqs(systems)
    with step("honest AIQ, 1,000 resamples"):
        honest, drawn = bootstrap_honest_aiq(systems, len(test), rng=np.random.default_rng(0))
    with step(f"AIQ, {draws:,} resamples"):
        bootstrap_aiq(systems, len(test), rng=np.random.default_rng(0), draws=draws)
    lead = interval(drawn["knn"] - drawn["zero"])
    events = {name: len(path.query) for name, path in paths.items()}
    print(json.dumps({"events": events, "aiq": areas, "honest": honest, "lead": lead}), flush=True)
    del train, test, predicted, paths, systems
    with step("fits.measure of ridge"):
        given = fits.material(Outcomes.from_parquet(table_path), np.load(vectors_path))
        fits.measure(fits.Asked("made", "ridge", 0), given, lineup.made("ridge"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 4_000, 12_000])
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--draws", type=int, default=20, help="resamples of the paper's AIQ")
    parser.add_argument("--folder", type=Path, help="where made tables are kept")
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        table, vectors = options.measure
        measure(table, vectors, options.draws)
        return
    with tempfile.TemporaryDirectory() as scratch:
        grow(options.folder or Path(scratch), options.rows, options.models, options.draws)


def grow(folder: Path, sizes: list[int], models: int, draws: int) -> None:
    """Measure every size and print its steps, then the slopes."""
    found: dict[str, list[tuple[float, float]]] = {}
    for rows in sizes:
        paths = make(folder, rows, models)
        command = [sys.executable, __file__, "--measure", *map(str, paths), "--draws", str(draws)]
        print(f"{rows:,} rows x {models} models")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                told = json.loads(line)
                if "step" in told:
                    found.setdefault(told["step"], []).append((told["seconds"], told["peak"]))
                    print(f"  {told['step']:<30}{told['seconds']:10.2f} s{told['peak']:9.2f} GB", flush=True)
                else:
                    print(f"  {told}")
        if process.returncode:
            sys.exit(f"{rows:,} rows: exit {process.returncode}")
    seconds = np.array([[each for each, _ in told] for told in found.values()])
    highest = np.array([max(peak for _, peak in size) for size in zip(*found.values(), strict=True)])
    if len(sizes) > 2:
        print(f"log-log slopes from {sizes[1]:,} to {sizes[-1]:,} rows")
        for name, spent in zip([*found, "all steps"], [*seconds, seconds.sum(axis=0)], strict=True):
            print(f"  {name:<30}{slope(sizes[1:], spent[1:]):8.2f}")
        print(f"  {'peak memory':<30}{slope(sizes[1:], highest[1:]):8.2f}")
    met = "met" if highest.max() < LIMIT else "MISSED"
    print(f"peak {highest.max():.2f} GB at {sizes[int(highest.argmax())]:,} rows (limit {LIMIT:g} GB): {met}")


def slope(rows: list[int], values: np.ndarray) -> float:
    """Of the straight line through the logarithms."""
    return float(np.polyfit(np.log(rows), np.log(np.maximum(values, 1e-4)), 1)[0])


if __name__ == "__main__":
    main()
