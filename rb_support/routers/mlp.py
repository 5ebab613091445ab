"""MLP router (RouterBench sec. 5.1): one small network predicts the quality of all models at once."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.outcomes import Outcomes
from rb_support.routers.decision import training_vectors

if TYPE_CHECKING:  # torch takes two seconds to import, and most routers do without it
    import torch
    from torch import nn

Array = NDArray[np.float64]


class MLPRouter:
    """Feed-forward regression from a query's embedding to the quality of every model.

    Where the paper fits a network per model, one network with an output per model shares its hidden
    layers among them: eleven times less work, and what all models find hard is learnt once.

    Training amplifies the last digit of what it is given, some thousandfold, and early stopping turns that
    into another epoch's weights. In double precision the last digit is the sixteenth, so that no printed
    number depends on threads or on the processor's kernels. One multi-output regressor of scikit-learn takes
    0.5 to 0.7 of the time, with a larger error (`benchmarks/mlp.py`); this one is kept for its double
    precision, the same result on every processor, and its ensemble.

    Parameters
    ----------
    hidden : width of each ReLU layer.
    epochs : passes over the training part at most.
    members : networks whose predictions are averaged, each with a validation part of its own. With few
        training rows one validation part stops a network by luck; five are steadier.
    seed : of the splits, the weights and the order of batches.

    Attributes
    ----------
    learning_rate, weight_decay : of AdamW.
    batch : rows per step.
    patience : passes without a better validation error before training stops.
    validation_share : part of the training rows kept for early stopping.
    """

    learning_rate, weight_decay, batch, patience, validation_share = 1e-3, 1e-2, 128, 5, 0.15

    def __init__(
        self, hidden: Sequence[int] = (100, 100), *, epochs: int = 100, members: int = 1, seed: int = 0
    ) -> None:
        if members < 1:
            raise ValueError(f"members must be at least 1, got {members}")
        self.hidden, self.epochs, self.members, self.seed = tuple(hidden), epochs, members, seed

    def fit(self, train: Outcomes, X: ArrayLike) -> MLPRouter:
        """Train until the validation error stops falling, and keep the best weights seen.

        Parameters
        ----------
        train : outcomes of n queries.
        X : (n, d) their embeddings.
        """
        import torch

        vectors = training_vectors(train, X)
        self._mean, self._scale = vectors.mean(axis=0), vectors.std(axis=0) + 1e-8
        x, y = torch.from_numpy((vectors - self._mean) / self._scale), torch.tensor(train.quality)
        seeds = np.random.SeedSequence(self.seed).generate_state(self.members)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # layers this small gain nothing from more, and sums then have one order
        try:
            self.networks = [self._fit_one(x, y, int(seed)) for seed in seeds]
        finally:
            torch.set_num_threads(threads)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m), clipped to [0, 1]."""
        import torch

        x = torch.from_numpy((np.asarray(X, dtype=np.float64) - self._mean) / self._scale)
        with torch.inference_mode():
            outputs = [network(x).clamp(0.0, 1.0).numpy() for network in self.networks]
        return np.asarray(np.mean(outputs, axis=0))

    def _fit_one(self, x: torch.Tensor, y: torch.Tensor, seed: int) -> nn.Sequential:
        import torch

        rows = np.random.default_rng(seed).permutation(len(x))
        count = max(1, int(self.validation_share * len(rows))) if len(rows) > 1 else 0
        validation, training = rows[:count], rows[count:]
        with torch.random.fork_rng(devices=[]):  # leaves the caller's generator as it was
            torch.manual_seed(seed)
            network = self._network(x.shape[1], y.mean(dim=0))
            self._train(network, x[training], y[training], x[validation], y[validation])
        return network

    def _network(self, width: int, mean_quality: torch.Tensor) -> nn.Sequential:
        import torch
        from torch import nn

        *hidden, out = pairwise([width, *self.hidden, len(mean_quality)])
        layers = [part for both in hidden for part in (nn.Linear(*both, dtype=torch.float64), nn.ReLU())]
        last = nn.Linear(*out, dtype=torch.float64)
        # The first prediction is each model's mean: training only departs from it.
        nn.init.zeros_(last.weight)
        last.bias.data.copy_(mean_quality)
        return nn.Sequential(*layers, last)

    def _train(
        self, network: nn.Module, x: torch.Tensor, y: torch.Tensor, x_val: torch.Tensor, y_val: torch.Tensor
    ) -> None:
        """Adjust the weights to (x, y) and leave those of the lowest error on the validation rows."""
        import torch
        from torch.nn.functional import mse_loss

        def validation_error() -> float:
            with torch.inference_mode():  # without validation rows 0, so that the first weights stay
                return float(mse_loss(network(x_val), y_val)) if len(x_val) else 0.0

        optimizer = torch.optim.AdamW(
            network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True
        )
        best, best_error, waited = copy.deepcopy(network.state_dict()), validation_error(), 0
        for _ in range(self.epochs):
            for rows in torch.randperm(len(x)).split(self.batch):
                optimizer.zero_grad()
                mse_loss(network(x[rows]), y[rows]).backward()
                optimizer.step()
            error = validation_error()
            if error < best_error:
                best, best_error, waited = copy.deepcopy(network.state_dict()), error, 0
            elif (waited := waited + 1) >= self.patience:
                break
        network.load_state_dict(best)
