"""MLP router (RouterBench sec. 5.1): one small network predicts the quality of all models at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from rb_support.outcomes import PartialOutcomes
from rb_support.routers.decision import training_vectors
from rb_support.routers.evidence import contrast_error, knows_something

Array = NDArray[np.float64]
Layers = list[tuple[Array, Array]]
"""Weights (in, out) and biases (out,) of every layer."""

WIDTHS: tuple[tuple[int, ...], ...] = ((100, 100), (30, 30))
PENALTIES: tuple[float, ...] = (0.01, 10.0)


class Setting(NamedTuple):
    """Widths of the ReLU layers, and AdamW's weight decay."""

    hidden: tuple[int, ...]
    penalty: float


class MLPRouter:
    """Feed-forward regression from a query's embedding to the quality of every model.

    Where the paper fits a network per model, one network with an output per model shares its hidden
    layers among them: eleven times less work, and what all models find hard is learnt once. Widths and
    penalties are chosen on a validation part of the training rows ("results of the optimal ones are
    displayed", caption of Figure 4), by `contrast_error`; it also says when training stops. A model's output
    learns from the queries that it answered.

    Training amplifies the last digit of what it is given, some thousandfold, and early stopping turns that
    into another epoch's weights. In double precision and on one thread the last digit is the sixteenth, so
    that no printed number depends on threads or on the processor's kernels.

    Parameters
    ----------
    hidden : width of each ReLU layer, or several such to choose from.
    penalties : weight decays to choose from.
    epochs : passes over the training part at most.
    members : networks whose predictions are averaged, each with a validation part of its own. With few
        training rows one validation part stops a network by luck; five are steadier. The first one's
        chooses the setting of all.
    start : "random", the ordinary weights, or "means", beyond the paper: the first prediction is each model's
        mean, and training only departs from it, and only if the vectors tell anything
        (`evidence.knows_something`); else the router is the zero router.
    seed : of the splits, the weights and the order of batches.

    Attributes
    ----------
    setting : what was chosen, after `fit`; None if the router stayed at the means.
    validation_error : (setting, error on the first member's validation part) of each, after `fit`.
    learning_rate : of AdamW.
    batch : rows per step.
    patience : passes without a better validation error before training stops.
    validation_share : part of the training rows kept for choosing and stopping.
    choosing_rows : of more training rows than this, settings are compared on so many.
    """

    learning_rate, batch, patience, validation_share, choosing_rows = 1e-3, 128, 5, 0.15, 2000

    def __init__(
        self,
        hidden: Sequence[int] | Sequence[Sequence[int]] = WIDTHS,
        *,
        penalties: Sequence[float] = PENALTIES,
        epochs: int = 100,
        members: int = 1,
        start: Literal["random", "means"] = "random",
        seed: int = 0,
    ) -> None:
        if members < 1:
            raise ValueError(f"members must be at least 1, got {members}")
        if start not in ("random", "means"):
            raise ValueError(f'start must be "random" or "means", got {start!r}')
        several = [(each,) if isinstance(each, int) else tuple(each) for each in hidden]
        single = all(isinstance(each, int) for each in hidden)
        widths = [tuple(width for layer in several for width in layer)] if single else several
        self.settings = [Setting(*each) for each in product(widths, map(float, penalties))]
        self.epochs, self.members, self.start, self.seed = epochs, members, start, seed

    def fit(self, train: PartialOutcomes, X: ArrayLike) -> MLPRouter:
        """Train every setting until the validation error stops falling, and keep the best one's best weights.

        Parameters
        ----------
        train : outcomes of n queries.
        X : (n, d) their embeddings.

        Raises
        ------
        ValueError
            If a model answered none of the queries.
        """
        vectors, asked = training_vectors(train, X), train.answered.any(axis=1)
        if not asked.all():  # a query that nobody answered teaches nothing
            train, vectors = train.take(asked), vectors[asked]
        quality = train.quality
        self._means, self.networks = train.points()[:, 1].copy(), []
        self.validation_error: list[tuple[Setting, float]] = []
        self.setting: Setting | None = None
        if self.start == "means" and not knows_something(train, vectors, seed=self.seed):
            return self
        self._center, self._scale = vectors.mean(axis=0), vectors.std(axis=0) + 1e-8
        x = (vectors - self._center) / self._scale
        first, *others = np.random.SeedSequence(self.seed).generate_state(self.members).tolist()
        # Layers this small gain nothing from more threads, and sums then have one order.
        with threadpool_limits(1):
            rows = self._rows_to_choose_on(len(x))
            tried = {each: self._fit_one(x[rows], quality[rows], each, first) for each in self.settings}
            self.validation_error = [(setting, error) for setting, (_, error) in tried.items()]
            best = self.setting = min(self.validation_error, key=lambda found: found[1])[0]
            again = others if len(rows) == len(x) else [first, *others]
            rest = [self._fit_one(x, quality, best, seed)[0] for seed in again]
        self.networks = [tried[best][0], *rest][-self.members :]
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predicted quality, (n, m), clipped to [0, 1]."""
        vectors = np.asarray(X, dtype=np.float64)
        if not self.networks:
            return np.tile(self._means, (len(vectors), 1))
        x = (vectors - self._center) / self._scale
        outputs = [np.clip(_values(network, x)[-1], 0.0, 1.0) for network in self.networks]
        return np.asarray(np.mean(outputs, axis=0))

    def _rows_to_choose_on(self, n: int) -> NDArray[np.intp]:
        if len(self.settings) == 1 or n <= self.choosing_rows:
            return np.arange(n)
        return np.random.default_rng(self.seed).permutation(n)[: self.choosing_rows]

    def _fit_one(self, x: Array, y: Array, setting: Setting, seed: int) -> tuple[Layers, float]:
        """Network of one setting, with its weights of the lowest validation error, and that error."""
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(x))
        count = max(1, int(self.validation_share * len(rows))) if len(rows) > 1 else 0
        held, kept = rows[:count], rows[count:]
        network = _first_weights((x.shape[1], *setting.hidden, y.shape[1]), rng)
        if self.start == "means":
            network[-1][0][:], network[-1][1][:] = 0.0, self._means
        return self._train(network, setting.penalty, (x[kept], y[kept]), (x[held], y[held]), rng)

    def _train(
        self,
        network: Layers,
        penalty: float,
        training: tuple[Array, Array],
        validation: tuple[Array, Array],
        rng: np.random.Generator,
    ) -> tuple[Layers, float]:
        def error() -> float:
            # Without validation rows 0, so that the first weights stay.
            x, y = validation
            return contrast_error(_values(network, x)[-1], y) if len(x) else 0.0

        step, (x, y) = _AdamW(network, self.learning_rate, penalty), training
        best, least, waited = _copied(network), error(), 0
        for _ in range(self.epochs):
            order = rng.permutation(len(x))
            shuffled, wanted = x[order], y[order]
            for at in range(0, len(x), self.batch):
                step(_slopes(network, shuffled[at : at + self.batch], wanted[at : at + self.batch]))
            if (now := error()) < least:
                best, least, waited = _copied(network), now, 0
            elif (waited := waited + 1) >= self.patience:
                break
        return best, least


def _first_weights(sizes: Sequence[int], rng: np.random.Generator) -> Layers:
    """Weights and biases uniform within one over the root of the inputs, as torch's linear layers start."""
    bounds = [(1 / np.sqrt(size), size, following) for size, following in pairwise(sizes)]
    return [(rng.uniform(-b, b, (size, out)), rng.uniform(-b, b, out)) for b, size, out in bounds]


def _copied(network: Layers) -> Layers:
    return [(weight.copy(), bias.copy()) for weight, bias in network]


def _values(network: Layers, x: Array) -> list[Array]:
    """Inputs of every layer and the output of the last."""
    values = [x]
    for weight, bias in network[:-1]:
        values.append(np.maximum(values[-1] @ weight + bias, 0.0))
    weight, bias = network[-1]
    return [*values, values[-1] @ weight + bias]


def _slopes(network: Layers, x: Array, y: Array) -> Layers:
    """Gradient of the mean squared error over what is not missing in y."""
    *inputs, output = _values(network, x)
    missing = np.isnan(y)
    back, found = 2 * (output - y) / max(1, y.size - int(missing.sum())), []
    back[missing] = 0.0
    for (weight, _), value in zip(network[::-1], inputs[::-1], strict=True):
        found.append((value.T @ back, back.sum(axis=0)))
        if value is not x:
            back = (back @ weight.T) * (value > 0)
    return found[::-1]


class _AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019) on weights, not biases, in place."""

    first, second, floor = 0.9, 0.999, 1e-8

    def __init__(self, network: Layers, learning_rate: float, penalty: float) -> None:
        self.parts = [part for layer in network for part in layer]
        self.rate, self.keep, self.steps = learning_rate, 1 - learning_rate * penalty, 0
        self.means = [(np.zeros_like(part), np.zeros_like(part)) for part in self.parts]

    def __call__(self, slopes: Layers) -> None:
        self.steps += 1
        rate = self.rate / (1 - self.first**self.steps)
        unbias = 1 / np.sqrt(1 - self.second**self.steps)
        flat = [slope for layer in slopes for slope in layer]
        for part, slope, (mean, square) in zip(self.parts, flat, self.means, strict=True):
            if part.ndim == 2:
                part *= self.keep
            mean *= self.first
            mean += (1 - self.first) * slope
            square *= self.second
            slope *= slope
            square += (1 - self.second) * slope
            size = np.sqrt(square)
            size *= unbias
            size += self.floor
            part -= rate * mean / size
