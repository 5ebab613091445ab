"""Matrix factorization (RouteLLM sec. 4.2, eq. 11-12): models and queries meet in one small space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from torch import Tensor, nn

from rb_support.outcomes import Battles
from rb_support.preference.sw import fighters, refuse_unlike
from rb_support.preference.training import Plan, Training, one_thread, seeded
from rb_support.preference.win_model import Array, WinModel, held_out, inside


@dataclass(kw_only=True, eq=False)
class MatrixFactorization(WinModel):
    """Win model whose score of a model on a query is bilinear in both.

    The score is ``delta(M, q) = w2 . (v_m * (W1 v_q + b))`` and ``P(M beats M') = sigmoid(delta(M, q) -
    delta(M', q))``. All battles teach, whoever fights in them: they shape the space that `strong` and `weak`
    are compared in. The paper trains about 10 epochs with batches of 64 at a learning rate of 3e-4; the
    defaults take larger steps on larger batches, which a CPU gets through sooner.

    Parameters
    ----------
    strong, weak : names that `win_rate` is about, among those that fight.
    dim : length of a model's vector v_m.
    bias : learn b, each model's strength whatever the query. The reference's code has none.
    normalize : bring every v_m to length 1, as the reference's code does and the paper does not.
    learning_rate, weight_decay : of AdamW.
    batch : battles per step.
    epochs : passes over the training part at most.
    patience : passes without a better validation loss before training stops.
    validation_share : part of the prompts kept for early stopping, with all their battles.
    noise : standard deviation of noise on the embeddings, in training only (the reference's code: 0.1).
    members : factorizations whose scores are averaged, each with a validation part of its own.
    seed : of the splits, the weights, the order of battles and the noise.
    progress : show a bar while training.
    """

    reads: ClassVar[Literal["vectors", "texts"]] = "vectors"
    naming: ClassVar[Literal["tiers", "classes"]] = "tiers"
    dim: int = 128
    bias: bool = True
    normalize: bool = False
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    batch: int = 256
    epochs: int = 30
    patience: int = 3
    noise: float = 0.0
    members: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.members < 1:
            raise ValueError(f"members must be at least 1, got {self.members}")

    def fit(self, battles: Battles, X: ArrayLike) -> Self:
        """Train on all battles until the validation loss stops falling, and keep the best weights.

        It takes seconds, so nothing is written on the way.

        Parameters
        ----------
        battles : n rows.
        X : (n, d) embeddings of their prompts.

        Raises
        ------
        ValueError : if lengths differ, or `strong` or `weak` fights in no battle.
        """
        vectors = np.asarray(X)
        refuse_unlike(battles, vectors.shape, 2, self.strong, self.weak)
        self.identity = self.identify(battles, vectors)
        prompts = battles.frame["prompt"].tolist()
        fought = Fought(vectors, None, prompts, *fighters(battles), battles.share, battles.weight)
        return self.learn(fought, battles.models)

    def learn(self, fought: Fought, models: Sequence[str]) -> Self:
        """Train as `fit` does on battles that are numbers already, between models of these names."""
        seeds = np.random.SeedSequence(self.seed).generate_state(self.members)
        data, self.history = _Data(fought, len(models)), []
        with one_thread():
            members = [self._fit_one(data, int(seed)) for seed in seeds]
        return self.set_weights(models, *map(np.stack, zip(*members, strict=True)))

    def _fit_one(self, data: _Data, seed: int) -> tuple[Array, ...]:
        rows, validation = held_out(data.prompts, self.validation_share, seed)
        per_epoch = math.ceil(len(rows) / self.batch)
        mine = {name: getattr(self, name) for name in ("batch", "learning_rate", "weight_decay", "patience")}
        steady: dict[str, Any] = mine | {"warmup": 0.0, "decay": False}
        plan = Plan(steps=self.epochs * per_epoch, validate_every=per_epoch, seed=seed, **steady)
        with seeded(seed):
            network = _Scores(data.models, data.x.shape[1], self.dim, self.bias, self.normalize)
            losses = partial(data.losses, network, self.noise)
            training = Training(network, losses, rows, validation, plan)
            self.history += training.run(progress=self.progress, name="matrix factorization")
        return network.weights(data.scale)

    def set_weights(
        self, names: Sequence[str], P: ArrayLike, W1: ArrayLike, w2: ArrayLike, b: ArrayLike
    ) -> Self:
        """Take given weights of all members, and fold what does not depend on the query.

        The score's difference is ``((v_s - v_w) * w2) . (W1 q + b)``, which is linear in q: a vector
        ``W1^T ((v_s - v_w) * w2)`` and a number ``b . ((v_s - v_w) * w2)`` are all that is needed. A query
        then costs one dot product of length d, with the same result. The mean over members is linear too.

        Parameters
        ----------
        names : of the m models.
        P : (members, m, k) vectors of the models.
        W1 : (members, k, d) projection of the queries.
        w2 : (members, k) weights of the score.
        b : (members, k) bias of the projection.

        Raises
        ------
        ValueError : if `strong` or `weak` is none of the names.
        """
        self.names = tuple(names)
        self.P, self.W1, self.w2, self.b = (np.asarray(part, dtype=np.float64) for part in (P, W1, w2, b))
        vectors = self.P / np.linalg.norm(self.P, axis=2, keepdims=True) if self.normalize else self.P
        s, w = (self.names.index(name) for name in (self.strong, self.weak))
        contrast = (vectors[:, s] - vectors[:, w]) * self.w2
        self.direction: Array = np.einsum("jk,jkd->d", contrast, self.W1) / len(contrast)
        self.offset = float((contrast * self.b).sum() / len(contrast))
        return self

    def win_rate(self, X: ArrayLike) -> Array:
        """P(strong beats weak), (n,) in (0, 1), of (n, d) embeddings."""
        return inside(expit(np.asarray(X, dtype=np.float64) @ self.direction + self.offset))

    def _tensors(self) -> dict[str, Tensor]:
        return {name: torch.from_numpy(getattr(self, name)) for name in ("P", "W1", "w2", "b")}

    def _record(self) -> dict[str, Any]:
        return {"names": list(self.names)}

    def _restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        self.set_weights(record["names"], **{name: tensor.numpy() for name, tensor in tensors.items()})


class Fought(NamedTuple):
    """Battles as numbers.

    Attributes
    ----------
    vectors : (p, d) embeddings of prompts.
    row : (n,) which of them belongs to each battle; None: they are the battles' own, p = n.
    prompts : n prompts, or what stands for them.
    a, b : (n,) numbers of the models that fight.
    share, weight : (n,) a's share of the win, and what the battle counts.
    """

    vectors: NDArray[Any]
    row: NDArray[np.int64] | None
    prompts: Sequence[Any]
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    share: Array
    weight: Array


class _Data:
    """Battles as tensors."""

    def __init__(self, fought: Fought, models: int) -> None:
        vectors, row = fought.vectors.astype(np.float64), fought.row
        squares = vectors**2 if row is None else (vectors**2).mean(axis=1)[row]
        # Entries of about 1, whatever the encoder's scale, so that one learning rate serves all.
        self.scale = float(np.sqrt(np.mean(squares))) or 1.0
        self.x = torch.from_numpy(vectors / self.scale)
        self.row = None if row is None else torch.from_numpy(row)
        self.a, self.b = torch.from_numpy(fought.a), torch.from_numpy(fought.b)
        self.share = torch.tensor(fought.share)
        self.weight = torch.tensor(fought.weight / fought.weight.mean())
        self.prompts, self.models = fought.prompts, models

    def losses(self, network: _Scores, noise: float, rows: Tensor) -> Tensor:
        """Weighted cross-entropy of rows, with noise in training only."""
        used, place = rows, None
        if self.row is not None:  # a prompt of several battles is projected once
            used, place = torch.unique(self.row[rows], return_inverse=True)
        x = self.x[used]
        if noise and network.training:
            x = x + torch.randn_like(x) * (noise / self.scale)
        score = network(x, self.a[rows], self.b[rows], place)
        loss = nn.functional.binary_cross_entropy_with_logits(score, self.share[rows], reduction="none")
        return loss * self.weight[rows]


class _Scores(nn.Module):
    """Difference of two models' scores on a query."""

    def __init__(self, models: int, width: int, dim: int, bias: bool, normalize: bool) -> None:
        super().__init__()
        self.P = nn.Parameter(torch.randn(models, dim, dtype=torch.float64) / math.sqrt(dim))
        self.project = nn.Linear(width, dim, bias=bias, dtype=torch.float64)
        self.w2 = nn.Parameter(torch.randn(dim, dtype=torch.float64) / math.sqrt(dim))
        self.normalize = normalize

    def forward(self, x: Tensor, a: Tensor, b: Tensor, place: Tensor | None = None) -> Tensor:
        """Differences (n,) between models a and b on queries x (n, d), or on x[place]."""
        vectors = nn.functional.normalize(self.P, dim=1) if self.normalize else self.P
        projected = self.project(x)
        queries = projected if place is None else projected.index_select(0, place)
        return ((vectors[a] - vectors[b]) * queries) @ self.w2

    def weights(self, scale: float) -> tuple[Array, ...]:
        """P, W1, w2 and b for embeddings as they come, which were divided by `scale`."""
        offset = torch.zeros_like(self.w2) if self.project.bias is None else self.project.bias
        parts = (self.P, self.project.weight / scale, self.w2, offset)
        return tuple(part.detach().numpy() for part in parts)
