"""A small outcome table as a file, and routers of one's own that behave and that do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

ROUTERS = '''
import os, time
from dataclasses import dataclass
import numpy as np

class Mean:
    """Ten lines: every model's mean, and a little for long vectors."""
    def __init__(self, weight=0.1):
        self.weight = weight
    def fit(self, train, X):
        self.mean = train.quality.mean(axis=0)
        return self
    def predict(self, X):
        return self.mean + self.weight * np.linalg.norm(X, axis=1)[:, None] * np.arange(len(self.mean))

@dataclass
class Seeded:
    seed: int
    inside: Mean | None = None
    def fit(self, train, X):
        self.inside = Mean().fit(train, X)
    def predict(self, X):
        return np.random.default_rng(self.seed).random((len(X), len(self.inside.mean)))

def made_by_a_function():
    return Mean(weight=0.0)

class Sleeps(Mean):
    def fit(self, train, X):
        time.sleep(1000)

class Needs(Mean):
    def __init__(self, depth):
        super().__init__(depth)

class Naps(Mean):
    def fit(self, train, X):
        time.sleep(1)
        return super().fit(train, X)

class Eats(Mean):
    def fit(self, train, X):
        held = []
        while True:
            held.append(np.ones(2_000_000))
            time.sleep(0.005)

class Exits(Mean):
    def fit(self, train, X):
        print("goodbye")
        os._exit(3)

class Raises(Mean):
    def fit(self, train, X):
        raise KeyError(f"no such thing as {object()}")

class Leaves(Mean):
    def fit(self, train, X):
        raise SystemExit("enough")

class Narrow(Mean):
    def predict(self, X):
        return np.zeros((len(X), 1))

class Nan(Mean):
    def predict(self, X):
        return np.full((len(X), len(self.mean)), np.nan)

class Dear(Mean):
    def predict_cost(self, X):
        return np.full(len(X), 1.0)

class Deaf:
    def fit(self, train, X):
        return self

number = 3
'''


def made_frame(rows: int = 60, models: int = 3, seed: int = 0) -> pd.DataFrame:
    """A wide outcome table in which a word tells which model is right, as a rule."""
    rng = np.random.default_rng(seed)
    words = np.array(["river", "tax", "prime"])
    kind = rng.integers(0, 3, rows)
    prompts = [f"{words[k]} {words[k]} number {i}?" for i, k in enumerate(kind)]
    frame = pd.DataFrame({"sample_id": range(rows), "eval_name": "made", "prompt": prompts})
    for model in range(models):
        right = np.where(rng.random(rows) < 0.8, kind % models == model, rng.random(rows) < 0.5)
        frame[f"model-{model}"] = right.astype(int)
        frame[f"model-{model}|total_cost"] = rng.lognormal(-8 + model, 0.2, rows)
    return frame


def made_csv(path: Path, rows: int = 60, models: int = 3, seed: int = 0) -> str:
    """That table as a file; its path."""
    made_frame(rows, models, seed).to_csv(path, index=False)
    return str(path)
