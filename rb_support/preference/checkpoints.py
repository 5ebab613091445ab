"""Training that can be cut off at any moment: one loop, safe files, and models kept by what they learnt from.

A state file holds everything the next step depends on. A run that is killed and started again therefore
ends with the same weights, bit for bit, as one that was left alone (same machine, same number of threads).
Files are safetensors with a JSON record inside, so that reading one never runs code.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from rb_support.cache import cache_dir, locked, written_whole
from rb_support.outcomes import Battles

if TYPE_CHECKING:
    from rb_support.preference.win_model import WinModel

FORMAT = 1
"""Raised whenever the same settings and data would train to something else, or files are laid out anew."""

MODEL_FILE = "model.safetensors"
STATE_FILE = "training.safetensors"
_KEY = "rb_support"

Rows = NDArray[np.int64]
Losses = Callable[[Tensor], Tensor]
"""Row numbers -> weighted loss of each row, same shape."""


class CheckpointError(RuntimeError):
    """A file of trained weights cannot be used; the message names it, what is wrong and the remedy."""


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes
    ----------
    steps : optimizer steps at most.
    batch : rows per step.
    learning_rate, weight_decay : of AdamW.
    validate_every : steps between two looks at the held-out rows.
    patience : looks without a better loss before training stops.
    warmup : share of the steps in which the learning rate climbs linearly from 0.
    decay : let the learning rate fall linearly to 0 after the warm-up.
    seed : of the order of the rows; all else random comes from torch's generator.
    save_seconds : at most this often is the state written, at the end of a step; at 0 after every step.
    """

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    validate_every: int
    patience: int
    warmup: float = 0.0
    decay: bool = False
    seed: int = 0
    save_seconds: float = 30.0

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
    best : lowest held-out loss so far; None before the first look.
    waited : looks since then.
    total, seen : training loss and rows since the last look.
    history : a (step, training loss, held-out loss) of each look; nan where nothing is held out.
    done : nothing is left to train.
    """

    step: int = 0
    best: float | None = None
    waited: int = 0
    total: float = 0.0
    seen: int = 0
    history: list[tuple[int, float, float]] = field(default_factory=list)
    done: bool = False


def train(
    network: nn.Module,
    losses: Losses,
    rows: Rows,
    held: Rows,
    plan: Plan,
    *,
    lengths: NDArray[np.int64] | None = None,
    checkpoint: Path | None = None,
    identity: str = "",
    progress: bool = True,
    name: str = "training",
) -> list[tuple[int, float, float]]:
    """Train a network, going on where an earlier run was cut off, and leave it with the best weights seen.

    Parameters
    ----------
    network : its parameters that require a gradient are trained, in place.
    losses : weighted loss of given rows under the network as it is; the mean is minimised.
    rows, held : row numbers to train on and to judge by. With none held the last weights are kept.
    plan : how.
    lengths : of all rows; batches are then made of rows of about the same length, to pad little.
    checkpoint : file of the state, for one process at a time; None keeps nothing.
    identity : digest of settings and data; a state of other ones is refused.
    progress, name : show a bar, and its label.

    Returns
    -------
    (step, training loss, held-out loss) at every look.

    Raises
    ------
    CheckpointError : if the state file is damaged or belongs to another training.
    """
    run = _Run(network, losses, rows, held, plan, lengths)
    if checkpoint is not None and checkpoint.exists():
        run.restore(checkpoint, identity)
    saved = monotonic()
    with tqdm(total=plan.steps, initial=run.at.step, desc=name, unit="step", disable=not progress) as bar:
        while not run.at.done:
            run.step()
            bar.update()
            late = monotonic() - saved >= plan.save_seconds
            if checkpoint is not None and (late or run.at.done):
                run.save(checkpoint, identity)
                saved = monotonic()
    run.take_best()
    return run.at.history


class _Run:
    """A network, its optimizer and the progress of both."""

    def __init__(
        self,
        network: nn.Module,
        losses: Losses,
        rows: Rows,
        held: Rows,
        plan: Plan,
        lengths: NDArray[np.int64] | None,
    ) -> None:
        self.network, self.losses, self.rows, self.held, self.plan = network, losses, rows, held, plan
        self.lengths = lengths
        self.weights = {n: p for n, p in network.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(self.weights.values(), weight_decay=plan.weight_decay, fused=True)
        self.device = next(iter(self.weights.values())).device
        self.best = self._copy()
        self.at = Progress(done=plan.steps < 1)
        self._epoch, self._batches = -1, [rows]

    def step(self) -> None:
        rows = self._batch(self.at.step)
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

    def _batch(self, step: int) -> Rows:
        epoch, number = divmod(step, math.ceil(len(self.rows) / self.plan.batch))
        if epoch != self._epoch:  # a function of seed and epoch alone: the order need not be saved
            rng = np.random.default_rng([self.plan.seed, epoch])
            self._epoch, self._batches = epoch, _shuffled(self.rows, self.plan.batch, self.lengths, rng)
        return self._batches[number]

    def _look(self) -> None:
        loss = self._held_loss()
        self.at.history.append((self.at.step, self.at.total / self.at.seen, loss))
        self.at.total, self.at.seen = 0.0, 0
        if math.isnan(loss) or self.at.best is None or loss < self.at.best:
            self.at.best, self.at.waited, self.best = loss, 0, self._copy()
        else:
            self.at.waited += 1

    @torch.no_grad()
    def _held_loss(self) -> float:
        self.network.eval()
        total = 0.0
        size = max(64, self.plan.batch)
        for start in range(0, len(self.held), size):
            rows = torch.from_numpy(self.held[start : start + size]).to(self.device)
            total += float(self.losses(rows).double().sum())
        return total / len(self.held) if len(self.held) else math.nan

    def _copy(self) -> dict[str, Tensor]:
        return {name: weight.detach().clone() for name, weight in self.weights.items()}

    @torch.no_grad()
    def take_best(self) -> None:
        for name, weight in self.weights.items():
            weight.copy_(self.best[name])
        self.network.eval()

    def save(self, path: Path, identity: str) -> None:
        moments = self.optimizer.state_dict()["state"]
        tensors = {f"weight.{name}": weight.detach() for name, weight in self.weights.items()}
        tensors |= {f"best.{name}": weight for name, weight in self.best.items()}
        tensors |= {f"moment.{i}.{key}": value for i, of in moments.items() for key, value in of.items()}
        tensors |= _generators(self.device)
        write_sealed(path, tensors, {"identity": identity, "progress": asdict(self.at)})

    @torch.no_grad()
    def restore(self, path: Path, identity: str) -> None:
        tensors, record = read_sealed(path)
        if record.get("identity") != identity:
            raise CheckpointError(
                f"{path} is the state of a training with other settings or data; "
                "delete it or name another checkpoint file"
            )
        self.at = Progress(**record["progress"])
        self.at.history = [(step, seen, held) for step, seen, held in self.at.history]
        for name, weight in self.weights.items():
            weight.copy_(tensors[f"weight.{name}"])
            self.best[name].copy_(tensors[f"best.{name}"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "moment":
                number, key = rest.split(".")
                moments.setdefault(int(number), {})[key] = value.clone()
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        _set_generators(self.device, tensors)


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


def _generators(device: torch.device) -> dict[str, Tensor]:
    states = {"generator.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["generator.cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_generators(device: torch.device, tensors: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(tensors["generator.cpu"].clone())
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["generator.cuda"].clone(), device)


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
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({**record, "format": FORMAT}, sort_keys=True)
    with written_whole(path) as part:
        save_file(held, part, metadata={_KEY: text, "sha256": _seal(held, text)})
        with part.open("rb+") as file:
            os.fsync(file.fileno())


def read_sealed(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and record that `write_sealed` wrote.

    Raises
    ------
    CheckpointError : if the file is missing, cut short, altered, of another kind or of another format.
    """
    tensors, texts = _open(path)
    if _KEY not in texts or "sha256" not in texts:
        raise CheckpointError(f"{path} was not written by rb_support; delete it or name another file")
    if texts["sha256"] != _seal(tensors, texts[_KEY]):
        raise CheckpointError(
            f"{path} is damaged: its content does not have the sha256 it carries; delete it to train anew"
        )
    record: dict[str, Any] = json.loads(texts[_KEY])
    if record["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has format {record['format']}, this version of rb_support reads {FORMAT}; "
            "delete it to train anew"
        )
    return tensors, record


def _open(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            return {name: file.get_tensor(name).clone() for name in file.keys()}, texts  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no such file; check the path or train the model") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is no whole safetensors file ({error}); delete it to train anew"
        ) from error


def _seal(tensors: Mapping[str, Tensor], text: str) -> str:
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


Model = TypeVar("Model", bound="WinModel")


def identity(model: WinModel, battles: Battles, X: ArrayLike | Sequence[str]) -> str:
    """Hexadecimal sha256 of everything that trained weights follow from.

    Parameters
    ----------
    model : its class and settings count.
    battles : n rows; prompts, models, shares and weights count, not where they come from.
    X : (n, d) vectors or n texts, all of which counts.
    """
    total = hashlib.sha256()
    _add(total, [FORMAT, type(model).__name__, model.settings, model.foundation])
    _add(total, [battles.frame[column].tolist() for column in ("prompt", "model_a", "model_b")])
    for values in (battles.share, battles.weight):
        total.update(values.tobytes())
    if model.reads == "texts":
        _add(total, [str(text) for text in cast("Sequence[str]", X)])
    else:
        vectors = np.asarray(X)
        _add(total, [str(vectors.dtype), vectors.shape])
        total.update(vectors.tobytes())
    return total.hexdigest()


def _add(total: Any, value: Any) -> None:
    total.update(json.dumps(value, sort_keys=True).encode())


def fitted(
    model: Model, battles: Battles, X: ArrayLike | Sequence[str], folder: str | Path | None = None
) -> Model:
    """Model trained on these battles: as kept from an earlier run, else trained now and kept.

    A training that was cut off goes on where it stopped. Of several processes that ask at once one trains
    and the others wait for it.

    Parameters
    ----------
    model : a model with its settings, not yet fitted.
    battles : n rows to learn from.
    X : (n, d) embeddings or n texts of their prompts, as the model reads.
    folder : where it is kept; None: ``win_models/<class>-<digest>`` in the cache folder, a place of its own
        for every combination of class, settings and data.

    Raises
    ------
    CheckpointError : if a file in the folder is damaged or belongs to another training.
    """
    mark = identity(model, battles, X)
    place = Path(folder) if folder is not None else _place(model, mark)
    place.mkdir(parents=True, exist_ok=True)
    with locked(place / MODEL_FILE):
        if not (place / MODEL_FILE).exists():
            trained = model.fit(battles, X, checkpoint=place / STATE_FILE)
            trained.save(place)
            for state in place.glob(f"{STATE_FILE}*"):
                state.unlink()
            return trained
        _refuse_other(place, mark)
        return type(model).load(place, **model.how)


def _place(model: WinModel, mark: str) -> Path:
    return cache_dir() / "win_models" / f"{type(model).__name__}-{mark[:16]}"


def home(model: WinModel) -> Path:
    """Folder of the cache that a trained model is kept in."""
    return _place(model, model._identity)


def _refuse_other(place: Path, mark: str) -> None:
    found = read_sealed(place / MODEL_FILE)[1].get("identity")
    if found != mark:
        raise CheckpointError(
            f"{place / MODEL_FILE} was trained with other settings or data; delete it or name another folder"
        )
