"""What the win models that read prompts share: what they learn from, batches with little padding, scoring."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from rb_support.outcomes import Battles
from rb_support.preference.sw import refuse_unlike
from rb_support.preference.training import History, Plan, Training, seeded, trained_weights
from rb_support.preference.win_model import Array, WinModel, held_out, inside, oriented

_SCORED_AT_ONCE = 8  # what a layer makes of a few prompts stays in the processor's cache


@dataclass(frozen=True)
class PromptShares:
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


def prompt_shares(battles: Battles, texts: Sequence[str], strong: str, weak: str) -> PromptShares:
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
    return PromptShares(list(distinct), np.column_stack(sums) / total[:, None], total / total.mean())


@dataclass(kw_only=True, eq=False)
class TextModel(WinModel, Plan):
    """Win model over prompts: a transformer, fine-tuned on the battles between `strong` and `weak`.

    On a CPU it computes in double precision, for training amplifies the last digit of what it is given, and
    the last digit of single precision depends on threads and on the processor's kernels. Elsewhere double
    precision is slow or missing, and numbers are a machine's own.
    """

    reads: ClassVar[Literal["vectors", "texts"]] = "texts"
    resumes: ClassVar[bool] = True
    max_length: int = 128
    device: str = "cpu"
    tokenizer: Tokenizer = field(init=False, repr=False)
    network: nn.Module = field(init=False, repr=False)
    kept: tuple[dict[str, Tensor], dict[str, Any]] | None = field(default=None, init=False, repr=False)
    """Weights and record of a network that is built when a text is first read."""

    @property
    def _precision(self) -> torch.dtype:
        return torch.float64 if torch.device(self.device).type == "cpu" else torch.float32

    @abstractmethod
    def _build(self, prompts: PromptShares | None = None, **record: Any) -> None:
        """Set tokenizer and network, for training on prompts or for the weights that a record came with."""

    @abstractmethod
    def _losses(self, output: Tensor, shares: Tensor) -> Tensor:
        """Cross-entropy of (n, k) outputs against (n, 3) shares won, tied and lost, (n,)."""

    @abstractmethod
    def _rates(self, output: Tensor) -> Tensor:
        """P(strong beats weak) from (n, k) outputs, (n,)."""

    def _tokens(self, texts: Sequence[str], special: bool = True) -> list[list[int]]:
        """Token numbers of each text, at most `max_length`."""
        return [found.ids for found in self.tokenizer.encode_batch(list(texts), add_special_tokens=special)]

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
        """
        texts = [str(text) for text in X]
        refuse_unlike(battles, (len(texts),), 1, self.strong, self.weak)
        prompts = prompt_shares(battles, texts, self.strong, self.weak)
        self.identity = self.identify(battles, texts)
        with seeded(self.seed, self.device):
            self._build(prompts)
            self.network.to(self.device)
            self.history = self._train(prompts, checkpoint)
        return self

    def _train(self, prompts: PromptShares, checkpoint: Path | None) -> History:
        tokens, precision = self._tokens(prompts.texts), next(self.network.parameters()).dtype
        shares, weight = (
            torch.tensor(part, dtype=precision, device=self.device)
            for part in (prompts.shares, prompts.weight)
        )

        def losses(rows: Tensor) -> Tensor:
            output = self._outputs([tokens[row] for row in rows.tolist()])
            return self._losses(output, shares[rows]) * weight[rows]

        rows, validation = held_out(prompts.texts, self.validation_share, self.seed)
        lengths = np.array([len(row) for row in tokens])
        training = Training(self.network, losses, rows, validation, self, lengths)
        return training.run(checkpoint, self.identity, progress=self.progress, name=type(self).__name__)

    @torch.inference_mode()
    def win_rate(self, X: Sequence[str]) -> Array:
        """P(strong beats weak), (n,) in (0, 1), of n prompts; equal ones are read once."""
        if self.kept:
            self._rebuild(*self.kept)
        codes, distinct = pd.factorize(np.array([str(text) for text in X], dtype=object))
        tokens, rates = self._tokens(list(distinct)), np.empty(len(distinct))
        self.network.eval()
        order = np.argsort([-len(row) for row in tokens], kind="stable")  # little is padded so
        for rows in np.split(order, range(_SCORED_AT_ONCE, len(order), _SCORED_AT_ONCE)):
            output = self._rates(self._outputs([tokens[row] for row in rows]))
            rates[rows] = output.double().cpu().numpy()
        return inside(rates[codes])

    def _outputs(self, tokens: Sequence[list[int]]) -> Tensor:
        """What the network says of texts, padded to the longest among them."""
        lengths = torch.tensor([len(row) for row in tokens])
        ids = pad_sequence([torch.tensor(row) for row in tokens], batch_first=True)
        output: Tensor = self.network(ids.to(self.device), lengths.to(self.device))
        return output

    def _tensors(self) -> dict[str, Tensor]:
        return trained_weights(self.network)

    def _restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        self.kept = tensors, record  # most rates are kept too, and then no network is asked

    def _rebuild(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        self._build(**record)
        self.network.load_state_dict(tensors, strict=False)
        self.network.to(self.device).eval()
        self.kept = None
