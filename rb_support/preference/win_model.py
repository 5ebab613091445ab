"""What all trained win models share: their names, their settings, and safe files in the cache.

Every combination of class, settings and training data has a folder of its own,
``win_models/<class>-<digest>``: the weights, and for models that read texts the rates of prompts they read.
A file that is damaged is named in a warning and made anew.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from tqdm.auto import tqdm

from rb_support.cache import cache_dir, locked
from rb_support.outcomes import Battles
from rb_support.preference.training import FORMAT, read_kept, write_sealed

Array = NDArray[np.float64]
Model = TypeVar("Model", bound="WinModel")

MODEL_FILE, STATE_FILE = "model.safetensors", "training.safetensors"
SCORES_FILE = "scores.safetensors"
_CHUNK = 512  # prompts read between two writings
_RUNTIME = ("device", "progress")
"""Parameters that change neither what is learnt nor from what."""


@dataclass(kw_only=True, eq=False)
class WinModel(ABC):
    """Probability that a strong model beats a weak one on a query (RouteLLM sec. 3.1), learnt from battles.

    Attributes
    ----------
    reads : whether X holds embeddings ("vectors", (n, d)) or prompts ("texts", n of them).
    resumes : whether `fit` takes a `checkpoint`, a file to go on from; not worth it where it takes seconds.
    strong, weak : the two names that `win_rate` is about; models, or classes of models.
    history : [step, training loss, validation loss] at every look of the training, after `fit`.
    identity : digest of settings and data that the weights come from, after `fit`.
    """

    reads: ClassVar[Literal["vectors", "texts"]]
    resumes: ClassVar[bool] = False
    strong: str = "strong"
    weak: str = "weak"
    validation_share: float = 0.1
    seed: int = 0
    progress: bool = True
    history: list[list[float]] = field(init=False, repr=False)
    identity: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.strong == self.weak:
            raise ValueError(f"strong and weak are both {self.strong!r}; name two models")

    @abstractmethod
    def fit(self, battles: Battles, X: Any) -> Self:
        """Train on n battles and what the model reads of their prompts."""

    @abstractmethod
    def win_rate(self, X: Any) -> Array:
        """P(strong beats weak), (n,) in (0, 1); a tie counts as half a win."""

    @abstractmethod
    def _tensors(self) -> dict[str, Tensor]:
        """Trained weights."""

    def _record(self) -> dict[str, Any]:
        """What else a reader of the weights needs."""
        return {}

    @abstractmethod
    def _restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Set what `_tensors` and `_record` gave."""

    @property
    def settings(self) -> dict[str, Any]:
        """Parameters that the trained weights depend on."""
        names = [item.name for item in fields(self) if item.init]
        return {name: getattr(self, name) for name in names if name not in _RUNTIME}

    @property
    def foundation(self) -> str:
        """Digest of pretrained weights that training starts from; empty if there are none."""
        return ""

    def identify(self, battles: Battles, X: ArrayLike | Sequence[str]) -> str:
        """Hexadecimal sha256 of everything that trained weights follow from.

        Parameters
        ----------
        battles : n rows; prompts, models, shares and weights count, not where they come from.
        X : (n, d) vectors or n texts, all of which counts.
        """
        total = hashlib.sha256()
        parts: list[Any] = [[FORMAT, type(self).__name__, self.settings, self.foundation]]
        parts.append([battles.frame[column].tolist() for column in ("prompt", "model_a", "model_b")])
        parts += [battles.share.tobytes(), battles.weight.tobytes()]
        if self.reads == "texts":
            parts.append([str(text) for text in cast("Sequence[str]", X)])
        else:
            vectors = np.asarray(X)
            parts += [[str(vectors.dtype), vectors.shape], vectors.tobytes()]
        for part in parts:
            total.update(part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode())
        return total.hexdigest()

    def save(self, path: Path) -> None:
        """Write the trained model as one safetensors file, for `restored`."""
        record = {"identity": self.identity, "history": self.history, "more": self._record()}
        write_sealed(path, self._tensors(), record)

    def restored(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> Self:
        """Take over weights and record, which `save` wrote of a model with the same settings."""
        self.identity, self.history = record["identity"], record["history"]
        self._restore(tensors, record["more"])
        return self


def fitted(model: Model, battles: Battles, X: Any) -> Model:
    """Model trained on these battles: as kept from an earlier run, else trained now and kept.

    A text model's training that was cut off goes on where it stopped. Of several processes that ask at once
    one trains and the others wait for it.

    Parameters
    ----------
    model : a model with its settings, not yet fitted.
    battles : n rows to learn from.
    X : (n, d) embeddings or n texts of their prompts, as the model reads.
    """
    identity = model.identify(battles, X)
    folder = folder_of(model, identity)
    file, state = folder / MODEL_FILE, folder / STATE_FILE
    with locked(file):
        found = read_kept(file, identity)
        if found is not None:
            return model.restored(*found)
        resumed = {"checkpoint": state} if model.resumes else {}
        model.fit(battles, X, **resumed)
        model.save(file)
        state.unlink(missing_ok=True)
    return model


def folder_of(model: WinModel, identity: str) -> Path:
    """Folder of the cache for a model of some identity."""
    folder = cache_dir() / "win_models" / f"{type(model).__name__}-{identity[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kept_rates(model: WinModel, texts: Sequence[str]) -> Array:
    """Win rates of a trained model that reads texts; each prompt is read once per machine.

    Reading thousands of prompts takes minutes. What was read is written every few hundred prompts, so that
    work that is cut off goes on where it stopped.

    Parameters
    ----------
    model : trained, as `fitted` gives it.
    texts : n prompts.

    Returns
    -------
    (n,) probability that the strong model wins.
    """
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts]
    wanted = dict(zip(keys, texts, strict=True))
    path = folder_of(model, model.identity) / SCORES_FILE
    with locked(path):
        found = read_kept(path, model.identity)
        known = dict(zip(found[1]["texts"], found[0]["rates"].tolist(), strict=True)) if found else {}
        missing = sorted(wanted.keys() - known.keys(), key=lambda key: (-len(wanted[key]), key))
        few = len(missing) <= _CHUNK
        for start in tqdm(range(0, len(missing), _CHUNK), desc="scoring", disable=few or not model.progress):
            part = missing[start : start + _CHUNK]
            known |= dict(zip(part, model.win_rate([wanted[key] for key in part]).tolist(), strict=True))
            rates = torch.tensor(list(known.values()), dtype=torch.float64)
            write_sealed(path, {"rates": rates}, {"identity": model.identity, "texts": list(known)})
    return np.array([known[key] for key in keys])


def oriented(battles: Battles, strong: str, weak: str) -> tuple[NDArray[np.int64], Array]:
    """Rows in which the two named fight each other, and the share of each win that goes to the strong one.

    Raises
    ------
    ValueError : if there is none.
    """
    first = battles.frame["model_a"].to_numpy(dtype=object)
    second = battles.frame["model_b"].to_numpy(dtype=object)
    ahead, behind = (first == strong) & (second == weak), (first == weak) & (second == strong)
    rows = np.flatnonzero(ahead | behind)
    if not len(rows):
        raise ValueError(f"no battle is between {strong!r} and {weak!r}; this model learns from those only")
    share = battles.share
    return rows, np.where(ahead, share, 1 - share)[rows]


def held_out(prompts: Sequence[str], share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers to train on and to validate by; all rows of a prompt fall on the same side.

    Not `rb_support.outcomes.splits.hold_out`, which counts rows and numbers the texts by alphabet: networks
    are trained on this draw, by share of the prompts in the order in which they come.

    Parameters
    ----------
    prompts : n texts.
    share : part of the distinct prompts that is held out; at least one if it is above 0 and there are two.
    seed : of the draw.
    """
    codes, distinct = pd.factorize(np.asarray(prompts, dtype=object))
    order = np.random.default_rng(seed).permutation(len(distinct))
    wanted = max(1, int(share * len(order))) if share > 0 and len(order) > 1 else 0
    out = np.isin(codes, order[:wanted])
    return np.flatnonzero(~out), np.flatnonzero(out)


def inside(probability: ArrayLike) -> Array:
    """Probabilities kept off 0 and 1, which no model can be sure of, as float64."""
    tiny = float(np.finfo(np.float64).eps)
    return np.clip(np.asarray(probability, dtype=np.float64), tiny, 1 - tiny)
