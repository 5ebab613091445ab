"""APGR of cheap routers on simulated rows over several seeds, and whether the signs of Tables 1 to 3 show.

`test_simulated_tables.py` measures at quick scale. The published size takes longer and is measured by hand:

    python tests/signs_measured.py --scale full --embedding tfidf --seeds 5
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import numpy as np
import pandas as pd

from rb_support.embed import encoder
from rb_support.load import Scale
from rb_support.preference.factorization import MatrixFactorization
from rb_support.preference.sw import SWRanking
from rb_support.preference.training_sets import ARENA, GOLD, JUDGE, load_experiment
from rb_support.studies.labels import area
from rb_support.studies.preference_study import Router, distinct_prompts, subsample, trained, win_rates

AUGMENTED = {"MT Bench": JUDGE, "MMLU": GOLD, "GSM8K": JUDGE}
"""Labels that RouteLLM adds for each benchmark."""


def measured(seeds: Iterable[int], *, scale: Scale = "quick", embedding: str = "tfidf") -> pd.DataFrame:
    """APGR per seed, benchmark and router: columns votes (D_arena alone) and augmented.

    At most 1,000 queries of a benchmark are judged on, always the same draw. TF-IDF learns its words from the
    first seed's training prompts.
    """
    rows: list[tuple[int, str, str, str, float]] = []
    encode = None
    for seed in seeds:
        experiment = load_experiment("simulated", seed=seed, scale=scale)
        learnt = distinct_prompts(experiment.training.values())
        encode = encode or encoder(embedding, learnt)
        texts = [*dict.fromkeys([*learnt, *distinct_prompts(experiment.benchmarks.values())])]
        X = pd.DataFrame(encode(texts), index=pd.Index(texts))
        tables = {
            name: subsample(pairs, 1000, np.random.default_rng(seed))
            for name, pairs in experiment.benchmarks.items()
        }
        routers: dict[str, Router] = {
            "SW": SWRanking(),
            "MF": MatrixFactorization(seed=seed, progress=False),
        }
        fits = trained(experiment, routers, X, experiment.training)
        augmented = {name: f"{ARENA} + {labels}" for name, labels in AUGMENTED.items()}
        for kind, trainings in (("votes", dict.fromkeys(tables, ARENA)), ("augmented", augmented)):
            asked = {key: router for key, router in fits.items() if key[0] in trainings.values()}
            for one in win_rates(asked, tables, X, trainings=trainings):
                rows.append((seed, one.table, one.router, kind, area(one.rate, one.pairs)))
    frame = pd.DataFrame(rows, columns=["seed", "benchmark", "router", "kind", "apgr"])
    return frame.pivot(index=["seed", "benchmark", "router"], columns="kind", values="apgr")


def main() -> None:
    """Print what `measured` finds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=["quick", "full"], default="quick")
    parser.add_argument("--embedding", default="tfidf")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    for seed in range(asked.seeds):
        print(measured([seed], scale=asked.scale, embedding=asked.embedding).round(3), flush=True)


if __name__ == "__main__":
    main()
