"""MLP router (RouterBench sec. 5.1): one small network predicts the quality of all models at once."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from rb_support.outcomes import Outcomes

Array = NDArray[np.float64]


class MLPRouter:
    """Feed-forward regression from a query's embedding to the quality of every model.

    Where the paper fits a network per model, one network with an output per model shares its hidden
    layers among them: eleven times less work, and what all models find hard is learnt once.

    Training amplifies the last digit of what it is given, some thousandfold, and early stopping turns that
    into another epoch's weights. In double precision the last digit is the sixteenth, so that no printed
    number depends on threads or on the processor's kernels.

    Parameters
    ----------
    hidden : width of each ReLU layer.
    learning_rate, weight_decay : of AdamW.
    batch : rows per step.
    epochs : passes over the training part at most.
    patience : passes without a better validation error before training stops.
    validation_share : part of the training rows kept for early stopping.
    members : networks whose predictions are averaged, each with a validation part of its own. With few
        training rows one validation part stops a network by luck; five are steadier.
    seed : of the splits, the weights and the order of batches.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (100, 100),
        *,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        batch: int = 128,
        epochs: int = 100,
        patience: int = 5,
        validation_share: float = 0.15,
        members: int = 1,
        seed: int = 0,
    ) -> None:
        if members < 1:
            raise ValueError(f"members must be at least 1, got {members}")
        self.hidden = tuple(hidden)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.batch, self.epochs, self.patience = batch, epochs, patience
        self.validation_share, self.members, self.seed = validation_share, members, seed

    def fit(self, train: Outcomes, X: ArrayLike) -> MLPRouter:
        """Train until the validation error stops falling, and keep the best weights seen.

        Parameters
        ----------
        train : outcomes of n queries.
        X : (n, d) their embeddings.
        """
        vectors = np.asarray(X, dtype=np.float64)
        if len(vectors) != len(train):
            raise ValueError(f"{len(train)} training queries but {len(vectors)} embeddings")
        self._mean, self._scale = vectors.mean(axis=0), vectors.std(axis=0) + 1e-8
        x, y = self._tensor(vectors), torch.tensor(train.quality)
        seeds = np.random.SeedSequence(self.seed).generate_state(self.members)
        with _one_thread():
            self.networks = [self._fit_one(x, y, int(seed)) for seed in seeds]
        return self

    @torch.inference_mode()
    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m), clipped to [0, 1]."""
        x = self._tensor(np.asarray(X, dtype=np.float64))
        outputs = [network(x).clamp(0.0, 1.0).numpy() for network in self.networks]
        return np.asarray(np.mean(outputs, axis=0))

    def _fit_one(self, x: torch.Tensor, y: torch.Tensor, seed: int) -> nn.Sequential:
        rows = np.random.default_rng(seed).permutation(len(x))
        held = max(1, int(self.validation_share * len(rows))) if len(rows) > 1 else 0
        with torch.random.fork_rng(devices=[]):  # leaves the caller's generator as it was
            torch.manual_seed(seed)
            network = self._build(x.shape[1], y.mean(dim=0))
            self._train(network, x[rows[held:]], y[rows[held:]], x[rows[:held]], y[rows[:held]])
        return network

    def _tensor(self, vectors: Array) -> torch.Tensor:
        return torch.from_numpy((vectors - self._mean) / self._scale)

    def _build(self, width: int, mean_quality: torch.Tensor) -> nn.Sequential:
        layers: list[nn.Module] = []
        for size in self.hidden:
            layers += [nn.Linear(width, size, dtype=torch.float64), nn.ReLU()]
            width = size
        last = nn.Linear(width, len(mean_quality), dtype=torch.float64)
        nn.init.zeros_(
            last.weight
        )  # the first prediction is each model's mean: training only departs from it
        last.bias.data.copy_(mean_quality)
        return nn.Sequential(*layers, last)

    def _train(
        self, network: nn.Module, x: torch.Tensor, y: torch.Tensor, x_held: torch.Tensor, y_held: torch.Tensor
    ) -> None:
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True
        )
        best, best_error, waited = copy.deepcopy(network.state_dict()), _error(network, x_held, y_held), 0
        for _ in range(self.epochs):
            for rows in torch.randperm(len(x)).split(self.batch):
                optimizer.zero_grad()
                nn.functional.mse_loss(network(x[rows]), y[rows]).backward()
                optimizer.step()
            error = _error(network, x_held, y_held)
            if error < best_error:
                best, best_error, waited = copy.deepcopy(network.state_dict()), error, 0
            elif (waited := waited + 1) >= self.patience:
                break
        network.load_state_dict(best)


@torch.inference_mode()
def _error(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Mean squared error; 0 without validation rows, so that the first weights stay."""
    return float(nn.functional.mse_loss(network(x), y)) if len(x) else 0.0


@contextmanager
def _one_thread() -> Iterator[None]:
    """Train on one thread: layers this small gain nothing from more, and sums then have one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
