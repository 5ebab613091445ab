"""A simulated company log: five models with list-like prices on a month of prompts of several kinds.

It stands in for an engineer's own outcomes. Nothing of it is published or measured: `data/company_log.toml`
holds every number and every word. A score is 1 or 0: whether a normal variable with the model's skill at the
kind as mean, less what a hard prompt takes off, is above nought. Part of what is random about it is shared by
all models, so that they fail on the same prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from rb_support.cache import packaged_table
from rb_support.outcomes import Origin, Outcomes

Array = NDArray[np.float64]

_SHARED = 0.5
"""Share of the variance of luck that all models have in common on a prompt."""
_SPREAD = 0.35
"""Standard deviation of the logarithm of lengths."""


@cache
def _assumed() -> dict[str, Any]:
    return packaged_table("simulate/data/company_log.toml")


def company_log(n: int = 2_000, *, seed: int = 0) -> Outcomes:
    """Five simulated models on n simulated prompts of a company, scored right or wrong.

    Parameters
    ----------
    n : number of prompts, at least 50.
    seed : the same seed gives the same table, byte for byte.

    Returns
    -------
    Outcomes with a task for every kind of prompt and the further columns hard (as its wording says) and
    read_tokens.

    Raises
    ------
    ValueError
        If n is too small.
    """
    if n < 50:
        raise ValueError(f"n is {n}; a simulated company log has at least 50 prompts")
    assumed, rng = _assumed(), np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(8,)))
    kinds = assumed["kinds"]
    names, models = np.array(list(kinds)), tuple(assumed["models"])
    kind = rng.choice(len(names), n, p=[each["share"] for each in kinds.values()])
    told = pd.DataFrame([kinds[name] for name in names[kind]])
    hard = rng.random(n) < told["hard"].to_numpy()
    prompts = [
        _written(kinds[name]["hardly" if difficult else "plain"], assumed["slots"], rng)
        for name, difficult in zip(names[kind], hard, strict=True)
    ]
    shared, own = rng.standard_normal((n, 1)), rng.standard_normal((n, len(models)))
    luck = np.sqrt(_SHARED) * shared + np.sqrt(1 - _SHARED) * own
    quality = (_ease(kinds, names[kind], hard) + luck > 0).astype(float)
    read = told["read"].to_numpy() * np.exp(_SPREAD * rng.standard_normal(n))
    words = np.array([model["words"] for model in assumed["models"].values()])
    length = np.exp(_SPREAD * rng.standard_normal((n, len(models))))
    written = told["written"].to_numpy()[:, None] * words * length
    usd = np.array([model["usd"] for model in assumed["models"].values()])
    # Whole tokens are billed, and at least one is written.
    cost = (np.rint(read)[:, None] * usd[:, 0] + np.maximum(np.rint(written), 1) * usd[:, 1]) / 1e6
    task = pd.Series(names[kind], dtype=str)
    frame = pd.DataFrame({"sample_id": [f"log.{i:05d}" for i in range(n)], "dataset": "company log"})
    frame = frame.assign(task=task, prompt=prompts, hard=hard, read_tokens=np.rint(read).astype(np.int64))
    origin = Origin("simulated", f"simulated company log (seed {seed})", (), tuple(assumed["notes"]))
    return Outcomes(frame, quality, cost, models, origin)


def told_by_prompt(table: Outcomes) -> Array:
    """Probability that each model is right, given all that the prompts of a `company_log` tell: (n, 5)."""
    frame = table.frame
    return np.asarray(
        ndtr(_ease(_assumed()["kinds"], frame["task"].to_numpy(), frame["hard"].to_numpy(dtype=bool)))
    )


def _ease(kinds: Mapping[str, Any], names: Sequence[str] | NDArray[Any], hard: NDArray[np.bool_]) -> Array:
    """(n, m) mean of the normal variable that is above nought where a model is right."""
    skill = np.array([kinds[name]["skill"] for name in names])
    drop = np.array([kinds[name]["drop"] for name in names])
    return np.asarray(skill - (drop * hard)[:, None])


def _written(templates: Sequence[str], slots: Mapping[str, Sequence[str]], rng: np.random.Generator) -> str:
    """One prompt: a template with its gaps filled."""
    template = templates[int(rng.integers(len(templates)))]
    words = {"number": str(rng.integers(10_000, 100_000)), "small": str(rng.integers(2, 31))}
    for gap in [name for _, name, _, _ in Formatter().parse(template) if name and name not in words]:
        words[gap] = slots[gap][int(rng.integers(len(slots[gap])))]
    prompt = template.format_map(words)
    return prompt[0].upper() + prompt[1:]
