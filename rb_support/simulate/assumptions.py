"""The numbers the simulation rests on, read from its data files."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from io import StringIO
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support import catalog, paper
from rb_support.cache import packaged, packaged_table
from rb_support.outcomes import Origin

Floats = NDArray[np.float64]

FACTORS = ("general", "contrast_1", "contrast_2")
"""What moves the scores: one factor for all models alike, two that set models against each other."""

RAG_PARTS = ("RAG 2023", "RAG 2020", "RAG specific")
"""The three kinds of questions of the RAG set (RouterBench, Appendix A.2)."""


@dataclass(frozen=True, eq=False)
class Assumptions:
    """What is assumed of one dataset and its m models.

    Attributes
    ----------
    dataset : name of the dataset, or of a part of RAG.
    models : m names.
    topics : one row per topic with task, split, rows (at full size), scale of its scores, and its place
        on the three factors, in standard deviations.
    mean : (m,) mean score.
    loadings : (m, 3) effect of each factor on each model; squares sum to less than 1 per model.
    visible : shares of the factors "general", "contrast" and "own" that a prompt's words tell.
    answer_tokens : (m,) mean answer length.
    """

    dataset: str
    models: tuple[str, ...]
    topics: pd.DataFrame
    mean: Floats
    loadings: Floats
    visible: dict[str, float]
    answer_tokens: Floats

    def value(self, quantity: str) -> float:
        """One number assumed of this dataset: a quantity of `assumptions.csv`."""
        return value(quantity, self.dataset)


@cache
def vocabulary() -> dict[str, Any]:
    """Templates and word lists of every dataset."""
    words: dict[str, Any] = json.loads(packaged("simulate/data/vocabulary.json"))
    return words


@cache
def texts() -> dict[str, dict[str, tuple[str, ...]]]:
    """Notes of simulated tables, and words of chat, from `texts.toml`."""
    parts = packaged_table("simulate/data/texts.toml")
    return {part: {name: tuple(lines) for name, lines in found.items()} for part, found in parts.items()}


def origin(what: str, title: str, seed: int) -> Origin:
    """Origin of a simulated table, with the notes of `texts.toml` on it."""
    name = f"simulated {title} (latent traits, seed {seed})"
    return Origin("simulated", name, (), texts()["notes"][what])


@cache
def table() -> pd.DataFrame:
    """Every number of `assumptions.csv`: quantity, dataset, key (model or ""), value, kind, source."""
    return pd.read_csv(StringIO(packaged("simulate/data/assumptions.csv")), keep_default_na=False)


@cache
def topics() -> pd.DataFrame:
    """All topics of all datasets, with their rows at full size."""
    return pd.read_csv(StringIO(packaged("simulate/data/topics.csv")), keep_default_na=False)


@cache
def _values() -> dict[Hashable, float]:
    return table().set_index(["quantity", "dataset", "key"])["value"].astype(float).to_dict()


def streams(seed: int, *words: str) -> list[np.random.Generator]:
    """Independent streams of a seed for what the words name: adding a dataset changes no other's."""
    key = tuple(crc32(word.encode()) for word in words)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key)).spawn(6)


def value(quantity: str, dataset: str = "", key: str = "") -> float:
    """One number of `assumptions.csv`."""
    return _values()[quantity, dataset, key]


def per_model(quantity: str, dataset: str, models: Sequence[str]) -> Floats:
    """(m,) numbers of `assumptions.csv`, one per model."""
    return np.array([value(quantity, dataset, model) for model in models])


def datasets() -> tuple[str, ...]:
    """Datasets of the outcome table: the eight but RAG, then the other tasks of the published file."""
    return (*(name for name in catalog.DATASETS if name != catalog.RAG), catalog.OTHER)


def rows_at_full_size(dataset: str) -> int:
    """Rows of a dataset in the published 0-shot file."""
    found = topics()
    return int(found.loc[found["dataset"] == dataset, "rows"].sum())


def mean_scores(dataset: str, models: Sequence[str]) -> Floats:
    """(m,) mean score of each model on a dataset; HellaSwag's are what the overall means leave for it."""
    if dataset != catalog.HELLASWAG:
        return per_model("mean_score", dataset, models)
    others = [name for name in datasets() if name != catalog.HELLASWAG]
    overall = paper.model_means().set_index("model")["score"].reindex(list(models)).to_numpy(dtype=float)
    total = overall * sum(rows_at_full_size(name) for name in datasets())
    known = sum(rows_at_full_size(name) * per_model("mean_score", name, models) for name in others)
    return np.asarray((total - known) / rows_at_full_size(catalog.HELLASWAG))


def assumptions(dataset: str, models: tuple[str, ...]) -> Assumptions:
    """Gather what is assumed of a dataset, or of one of `RAG_PARTS`, for these models."""
    rows = table()
    pattern = rows.loc[(rows["quantity"] == "loadings_of") & (rows["dataset"] == dataset), "key"].item()
    loadings = np.column_stack([per_model(f"loading_{factor}", pattern, models) for factor in FACTORS])
    found = topics()
    return Assumptions(
        dataset=dataset,
        models=models,
        topics=found[found["dataset"] == dataset].reset_index(drop=True),
        mean=mean_scores(dataset, models),
        loadings=loadings * value("strength", dataset),
        visible={part: value(f"visible_{part}", dataset) for part in ("general", "contrast", "own")},
        answer_tokens=per_model("answer_tokens", dataset, models),
    )
