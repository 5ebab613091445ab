"""What the win models that read prompts share: what they learn from, batches with little padding, scoring."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers.utils import logging as _logging

from rb_support.outcomes import Battles
from rb_support.preference.checkpoints import Plan, identity, seeded, train
from rb_support.preference.win_model import Array, WinModel, held_out, inside, oriented

_SCORED_AT_ONCE = 8  # what a layer makes of a few prompts stays in the processor's cache


@dataclass(frozen=True)
class Lesson:
    """Distinct prompts and what battles between the strong and the weak model say about each.

    Attributes
    ----------
    texts : n distinct prompts.
    shares : (n, 3) weighted parts of the battles that the strong model won, tied and lost.
    weight : (n,) summed weights, brought to a mean of 1.
    """

    texts: list[str]
    shares: Array
    weight: Array

    @property
    def strong(self) -> Array:
        """(n,) share of the wins that goes to the strong model, ties counted half."""
        return self.shares[:, 0] + self.shares[:, 1] / 2


def lesson(battles: Battles, texts: Sequence[str], strong: str, weak: str) -> Lesson:
    """Battles between two models, one row per distinct prompt.

    Merging changes nothing in the loss: cross-entropy is linear in its target, so a prompt's battles add up
    to one with the mean target and the summed weight. A share between a win and a tie counts as the mix of
    both that has it.

    Parameters
    ----------
    battles : n rows; those between others are left out.
    texts : n prompts as the model shall read them.
    strong, weak : the two models.

    Raises
    ------
    ValueError : if no battle is between the two.
    """
    rows, share = oriented(battles, strong, weak)
    won, lost = np.maximum(2 * share - 1, 0), np.maximum(1 - 2 * share, 0)
    parts, weight = np.column_stack([won, 1 - won - lost, lost]), battles.weight[rows]
    codes, distinct = pd.factorize(np.array([texts[row] for row in rows], dtype=object))
    total = np.bincount(codes, weights=weight)
    sums = [np.bincount(codes, weights=weight * part) for part in parts.T]
    return Lesson(list(distinct), np.column_stack(sums) / total[:, None], total / total.mean())


class TextModel(WinModel):
    """Win model over prompts: a transformer, fine-tuned on the battles between `strong` and `weak`.

    On a CPU it computes in double precision, for training amplifies the last digit of what it is given, and
    the last digit of single precision depends on threads and on the processor's kernels. Elsewhere double
    precision is slow or missing, and numbers are a machine's own.
    """

    reads = "texts"
    tokenizer: Tokenizer
    network: nn.Module
    max_length: int
    steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    warmup: float
    decay: bool
    validation_share: float
    validate_every: int
    patience: int
    seed: int
    device: str
    progress: bool

    @property
    def _precision(self) -> torch.dtype:
        return torch.float64 if torch.device(self.device).type == "cpu" else torch.float32

    @abstractmethod
    def _start(self, lesson: Lesson) -> None:
        """Set tokenizer and network as they are before training."""

    @abstractmethod
    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of each text, at most `max_length`."""

    @abstractmethod
    def _targets(self, lesson: Lesson) -> Array:
        """What the network shall say about each prompt of the lesson, (n, k)."""

    @abstractmethod
    def _losses(self, output: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of (n, k) outputs against (n, k) targets, (n,)."""

    @abstractmethod
    def _rates(self, output: Tensor) -> Tensor:
        """P(strong beats weak) from (n, k) outputs, (n,)."""

    def fit(self, battles: Battles, X: Sequence[str], *, checkpoint: Path | None = None) -> Self:
        """Train on the battles between `strong` and `weak`, and keep the best weights.

        Parameters
        ----------
        battles : n rows; those between others are ignored.
        X : n prompts.
        checkpoint : file of the training's state, to go on from if it is there.

        Raises
        ------
        ValueError : if lengths differ, a name is unknown or the two never fight each other.
        CheckpointError : if the file is damaged or belongs to another training.
        """
        texts = [str(text) for text in X]
        if len(texts) != len(battles):
            raise ValueError(f"{len(battles)} battles but {len(texts)} texts")
        self._refuse_unknown(battles)
        lessons = lesson(battles, texts, self.strong, self.weak)
        self._identity = identity(self, battles, texts)
        with seeded(self.seed, self.device):
            self._start(lessons)
            self.network.to(self.device)
            self.history = self._train(lessons, checkpoint)
        return self

    def _train(self, lessons: Lesson, checkpoint: Path | None) -> list[tuple[int, float, float]]:
        tokens = self._tokens(lessons.texts)
        target, weight = (self._tensor(part) for part in (self._targets(lessons), lessons.weight))

        def losses(rows: Tensor) -> Tensor:
            output = self._outputs([tokens[row] for row in rows.tolist()])
            return self._losses(output, target[rows]) * weight[rows]

        rows, held = held_out(lessons.texts, self.validation_share, self.seed)
        return train(
            self.network,
            losses,
            rows,
            held,
            self._plan(),
            lengths=np.array([len(row) for row in tokens]),
            checkpoint=checkpoint,
            identity=self._identity,
            progress=self.progress,
            name=type(self).__name__,
        )

    def _plan(self) -> Plan:
        return Plan(
            steps=self.steps,
            batch=self.batch,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            validate_every=self.validate_every,
            patience=self.patience,
            warmup=self.warmup,
            decay=self.decay,
            seed=self.seed,
        )

    @torch.inference_mode()
    def win_rate(self, X: Sequence[str]) -> Array:
        """P(strong beats weak), (n,) in (0, 1), of n prompts; equal ones are read once."""
        codes, distinct = pd.factorize(np.array([str(text) for text in X], dtype=object))
        tokens, rates = self._tokens(list(distinct)), np.empty(len(distinct))
        self.network.eval()
        with tqdm(total=len(tokens), desc="scoring", unit="prompt", disable=not self.progress) as bar:
            for rows in _longest_first(tokens):
                output = self._rates(self._outputs([tokens[row] for row in rows]))
                rates[rows] = output.double().cpu().numpy()
                bar.update(len(rows))
        return inside(rates[codes])

    def _outputs(self, tokens: Sequence[list[int]]) -> Tensor:
        """What the network says of texts, padded to the longest among them."""
        lengths = torch.tensor([len(row) for row in tokens])
        ids = torch.zeros((len(tokens), int(lengths.max())), dtype=torch.long)
        for row, numbers in zip(ids, tokens, strict=True):
            row[: len(numbers)] = torch.tensor(numbers)
        output: Tensor = self.network(ids.to(self.device), lengths.to(self.device))
        return output

    def _tensor(self, values: NDArray[np.float64]) -> Tensor:
        precision = next(self.network.parameters()).dtype
        return torch.tensor(values, dtype=precision, device=self.device)

    def _tensors(self) -> dict[str, Tensor]:
        return {name: weight for name, weight in self.network.named_parameters() if weight.requires_grad}

    @torch.no_grad()
    def _fill(self, tensors: dict[str, Tensor]) -> None:
        """Put trained weights into the network, which is of the right shape."""
        for name, weight in self._tensors().items():
            weight.copy_(tensors[name])
        self.network.to(self.device).eval()


@contextmanager
def quiet() -> Iterator[None]:
    """Let transformers load without a bar and without listing the weights that are left out."""
    log: Any = _logging  # untyped in transformers
    shown, verbosity = log.is_progress_bar_enabled(), log.get_verbosity()
    log.disable_progress_bar()
    log.set_verbosity_error()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if shown:
            log.enable_progress_bar()


def _longest_first(tokens: Sequence[list[int]]) -> Iterator[NDArray[np.int64]]:
    """Rows in batches of about the same length, so that little is padded; the bar is then no optimist."""
    order = np.argsort([-len(row) for row in tokens], kind="stable")
    for start in range(0, len(order), _SCORED_AT_ONCE):
        yield order[start : start + _SCORED_AT_ONCE]
