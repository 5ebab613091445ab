"""Training that can be cut off at any moment: one loop, and safe files.

A state file holds everything the next step depends on. A run that is killed and started again therefore
ends with the same weights, bit for bit, as one that was not disturbed (same machine, same number of threads).
Files are safetensors with a JSON record inside, so that reading one never runs code.

Why not `transformers.Trainer`: it draws another order of the rows and clips gradients, so every trained
number would change; its states are pickles in a folder that is not replaced whole, with no digest of the data
they belong to; and matrix factorization, which is no transformer, would need this loop all the same.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count, islice
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from rb_support.cache import written_whole

FORMAT = 1
"""Raised whenever the same settings and data would train to something else, or files are laid out anew."""

SAVE_SECONDS = 30.0
"""At most this often is the state of a training written, at the end of a step."""

_KEY = "rb_support"

Rows = NDArray[np.int64]
History = list[list[float]]
Losses = Callable[[Tensor], Tensor]
"""Row numbers -> weighted loss of each row, same shape."""


class CheckpointError(RuntimeError):
    """A file of trained weights cannot be used; the message names it, what is wrong and the remedy."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} {why}; delete it to train anew")


@dataclass(kw_only=True, eq=False)
class Plan:
    """How to train.

    Attributes
    ----------
    steps : optimizer steps at most.
    batch : rows per step.
    learning_rate, weight_decay : of AdamW.
    warmup : share of the steps in which the learning rate climbs linearly from 0.
    decay : let the learning rate fall linearly to 0 after the warm-up.
    validate_every : steps between two looks at the validation rows.
    patience : looks without a better loss before training stops.
    seed : of the order of the rows; all else random comes from torch's generator.
    """

    steps: int = 100
    batch: int = 16
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    warmup: float = 0.1
    decay: bool = True
    validate_every: int = 25
    patience: int = 4
    seed: int = 0

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        climb = self.warmup * self.steps
        if step < climb:
            return self.learning_rate * (step + 1) / (climb + 1)
        return self.learning_rate * ((self.steps - step) / (self.steps - climb) if self.decay else 1.0)


@dataclass
class Progress:
    """Where a training stands.

    Attributes
    ----------
    step : steps done.
    best : lowest validation loss so far; None before the first look.
    waited : looks since then.
    total, seen : training loss and rows since the last look.
    history : [step, training loss, validation loss] of each look; nan where nothing is held out.
    done : nothing is left to train.
    """

    step: int = 0
    best: float | None = None
    waited: int = 0
    total: float = 0.0
    seen: int = 0
    history: History = field(default_factory=list)
    done: bool = False


@dataclass(eq=False)
class Training:
    """A network, its optimizer and the progress of both.

    Attributes
    ----------
    network : its parameters that require a gradient are trained, in place.
    losses : weighted loss of given rows under the network as it is; the mean is minimised.
    rows, validation : row numbers to train on and to judge by. With none of these the last weights are kept.
    plan : how.
    lengths : of all rows; batches are then made of rows of about the same length, to pad little.
    """

    network: nn.Module
    losses: Losses
    rows: Rows
    validation: Rows
    plan: Plan
    lengths: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        self.weights = trained_weights(self.network)
        decay = self.plan.weight_decay
        self.optimizer = torch.optim.AdamW(self.weights.values(), weight_decay=decay, fused=True)
        self.device = next(iter(self.weights.values())).device
        self.best = self._copy()
        self.at = Progress(done=self.plan.steps < 1)

    def run(
        self, checkpoint: Path | None = None, identity: str = "", *, progress: bool = True, name: str = ""
    ) -> History:
        """Train, going on where an earlier run was cut off, and leave the network with the best weights seen.

        Parameters
        ----------
        checkpoint : file of the state, for one process at a time; None keeps nothing.
        identity : digest of settings and data; a state of other ones counts as none.
        progress, name : show a bar, and its label.

        Returns
        -------
        [step, training loss, validation loss] at every look.
        """
        found = read_kept(checkpoint, identity) if checkpoint is not None else None
        if found is not None:
            self._restore(*found)
        start, total, saved = self.at.step, self.plan.steps, monotonic()
        batches = islice(self._batches(), start, total)
        for rows in tqdm(batches, name, total, initial=start, unit="step", disable=not progress):
            if self.at.done:
                break
            self.step(rows)
            if checkpoint is not None and (self.at.done or monotonic() - saved >= SAVE_SECONDS):
                self._save(checkpoint, identity)
                saved = monotonic()
        self.network.load_state_dict(self.best, strict=False)
        self.network.eval()
        return self.at.history

    def step(self, rows: Rows) -> None:
        """One step of the optimizer, and a look at the validation rows when it is time."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate(self.at.step)
        self.network.train()
        self.optimizer.zero_grad()
        loss = self.losses(torch.from_numpy(rows).to(self.device)).mean()
        loss.backward()
        self.optimizer.step()
        self.at.step += 1
        self.at.total += loss.item() * len(rows)
        self.at.seen += len(rows)
        last = self.at.step >= self.plan.steps
        if last or self.at.step % self.plan.validate_every == 0:
            self._look()
        self.at.done = last or self.at.waited >= self.plan.patience

    def _batches(self) -> Iterator[Rows]:
        """Rows of every step: a function of the seed alone, so the order need not be saved."""
        for epoch in count():
            rng = np.random.default_rng([self.plan.seed, epoch])
            yield from _shuffled(self.rows, self.plan.batch, self.lengths, rng)

    def _look(self) -> None:
        loss = self._validation_loss() if len(self.validation) else math.nan
        self.at.history.append([self.at.step, self.at.total / self.at.seen, loss])
        self.at.total, self.at.seen = 0.0, 0
        if math.isnan(loss) or self.at.best is None or loss < self.at.best:
            self.at.best, self.at.waited, self.best = loss, 0, self._copy()
        else:
            self.at.waited += 1

    @torch.no_grad()
    def _validation_loss(self) -> float:
        self.network.eval()
        rows, total = torch.from_numpy(self.validation).to(self.device), 0.0
        for part in rows.split(max(64, self.plan.batch)):
            total += float(self.losses(part).double().sum())
        return total / len(rows)

    def _copy(self) -> dict[str, Tensor]:
        return {name: weight.detach().clone() for name, weight in self.weights.items()}

    def _save(self, path: Path, identity: str) -> None:
        moments = self.optimizer.state_dict()["state"]
        tensors = {f"weight.{name}": weight for name, weight in self.weights.items()}
        tensors |= {f"best.{name}": weight for name, weight in self.best.items()}
        tensors |= {f"moment.{i}.{key}": value for i, of in moments.items() for key, value in of.items()}
        tensors["generator.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["generator.cuda"] = torch.cuda.get_rng_state(self.device)
        write_sealed(path, tensors, {"identity": identity, "progress": asdict(self.at)})

    def _restore(self, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
        self.at = Progress(**record["progress"])
        self.best = {name: tensors[f"best.{name}"].to(self.device) for name in self.weights}
        self.network.load_state_dict({name: tensors[f"weight.{name}"] for name in self.weights}, strict=False)
        state = self.optimizer.state_dict()
        for name, value in tensors.items():
            if name.startswith("moment."):
                _, number, key = name.split(".")
                state["state"].setdefault(int(number), {})[key] = value
        self.optimizer.load_state_dict(state)
        torch.set_rng_state(tensors["generator.cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["generator.cuda"], self.device)


def trained_weights(network: nn.Module) -> dict[str, Tensor]:
    """Weights of a network that training changes, by name."""
    return {name: weight for name, weight in network.named_parameters() if weight.requires_grad}


def _shuffled(
    rows: Rows, batch: int, lengths: NDArray[np.int64] | None, rng: np.random.Generator
) -> list[Rows]:
    """Batches of an epoch, in random order; with lengths, neighbours in length share a batch."""
    mixed = rng.permutation(rows)
    if lengths is None:
        return [mixed[i : i + batch] for i in range(0, len(mixed), batch)]
    pools = [mixed[i : i + 16 * batch] for i in range(0, len(mixed), 16 * batch)]
    alike = [pool[np.argsort(lengths[pool], kind="stable")] for pool in pools]
    batches = [pool[i : i + batch] for pool in alike for i in range(0, len(pool), batch)]
    return [batches[i] for i in rng.permutation(len(batches))]


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Let torch draw from a seed, and leave the caller's generators as they were."""
    where = torch.device(device)
    devices = [where.index or 0] if where.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work on one thread: small layers gain nothing from more, and sums then have one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def write_sealed(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write tensors and a JSON record as one safetensors file that appears whole or not at all.

    The record carries a sha256 of itself and of all tensors. One process at a time may write to a path.
    """
    written = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({**record, "format": FORMAT}, sort_keys=True)
    with written_whole(path) as part:
        save_file(written, part, metadata={_KEY: text, "sha256": _seal(written, text)})
        with part.open("rb+") as file:
            os.fsync(file.fileno())


def read_sealed(path: Path, identity: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and record that `write_sealed` wrote.

    Parameters
    ----------
    path : of the file.
    identity : what the record's `identity` must be.

    Raises
    ------
    CheckpointError : if the file is missing, cut short, altered, of another kind, format or identity.
    """
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(path, f"is no whole safetensors file that can be read ({error})") from error
    if texts.get("sha256") != _seal(tensors, texts.get(_KEY, "")):
        why = "is damaged, or not of rb_support: its content does not have the sha256 that it should carry"
        raise CheckpointError(path, why)
    record: dict[str, Any] = json.loads(texts[_KEY])
    if (record["format"], record["identity"]) != (FORMAT, identity):
        why = f"is of a training with other settings or data, or of a format other than {FORMAT}"
        raise CheckpointError(path, why)
    return tensors, record


def read_kept(path: Path, identity: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What `read_sealed` gives; None if there is no file, or, with a warning, one that cannot be used."""
    if not path.exists():
        return None
    try:
        return read_sealed(path, identity)
    except CheckpointError as error:
        warnings.warn(f"{error}; it counts as not there, and is made anew", stacklevel=3)
        return None


def _seal(tensors: Mapping[str, Tensor], text: str) -> str:
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
