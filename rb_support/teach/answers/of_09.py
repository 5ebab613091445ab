"""What exercises of notebook 09 compute; `09.toml` says for what, and all else about them."""

# ruff: noqa: D103

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.frontier import exceeds
from rb_support.teach.exercises import read

Array = NDArray[np.float64]
Board = Callable[[ArrayLike], float]
Climb = Callable[[Board, int, int, np.random.Generator], ArrayLike]

PROMPTS, TRIES, LEADER, BOARDS = 200, 60, 0.03, 20
"""Of the board in exercise 4: prompts that it judges on, entries that it takes, what its leader has printed,
and on how many boards an answer is tried."""


def cases(rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Leads of 2 to 6 routers and resamples that lie askew, one router wider than the other."""
    for routers in (2, 3, 6):
        leads, width = rng.normal(0, 0.01, routers).round(4), np.linspace(0.004, 0.02, routers)
        yield leads, (leads + width * (rng.gamma(4, size=(40, routers)) - 4) / 2).round(4)


def _around(leads: Array, half: Array) -> Array:
    return np.column_stack([leads - half, leads + half])


def single(leads: Array, draws: Array) -> Array:
    """Every interval by itself."""
    return _around(leads, 1.96 * draws.std(axis=0))


def percentiles(leads: Array, draws: Array) -> Array:
    return np.quantile(draws, [0.025, 0.975], axis=0).T


def one_width(leads: Array, draws: Array) -> Array:
    """The largest deviation in units of quality, so that all intervals are as wide as the widest."""
    return _around(leads, np.quantile(np.abs(draws - leads).max(axis=1), 0.95))


def one_side(leads: Array, draws: Array) -> Array:
    """Deviations upwards only."""
    spread = draws.std(axis=0)
    return _around(leads, np.quantile(((draws - leads) / spread).max(axis=1), 0.95) * spread)


def each_quantile(leads: Array, draws: Array) -> Array:
    """Each router has the quantile of its own deviations."""
    return _around(leads, np.quantile(np.abs(draws - leads), 0.95, axis=0))


def mean_of_all(leads: Array, draws: Array) -> Array:
    """The mean deviation of a draw in place of its largest."""
    spread = draws.std(axis=0)
    return _around(leads, np.quantile((np.abs(draws - leads) / spread).mean(axis=1), 0.95) * spread)


class _Board:
    """A board that answers so many entries, and keeps its grades to itself."""

    def __init__(self, gains: NDArray[np.int_]) -> None:
        self._gains, self._asked = gains, 0

    def __call__(self, choices: ArrayLike) -> float:
        self._asked += 1
        if self._asked > TRIES:
            raise ValueError(f"the board takes {TRIES} entries, no more")
        return self.judged(choices)

    def judged(self, choices: ArrayLike) -> float:
        entry = np.asarray(choices)
        if entry.shape != self._gains.shape or not np.isin(entry, (0, 1)).all():
            raise ValueError(f"an entry has {len(self._gains)} choices, each 0 or 1")
        return float((entry * self._gains).mean())


def climbs(answer: Any) -> str | None:
    """What a function lacks that is to climb a board without having read a prompt."""
    if not callable(answer):
        return "The answer is a function of board, n, tries and rng: write its name, without parentheses."
    printed = []
    for seed in range(BOARDS):
        gains = np.random.default_rng([seed, 0]).choice([-1, 0, 0, 1], PROMPTS)
        board = _Board(gains)
        printed.append(board.judged(answer(board, PROMPTS, TRIES, np.random.default_rng([seed, 1]))))
    mean = float(np.mean(printed))
    if not exceeds(mean, LEADER, 1):
        return f"In the mean over {BOARDS} boards it prints {mean:+.3f}; the leader has {LEADER:+.3f}."
    return None


def _fixed(model: int) -> Climb:
    return lambda board, n, tries, rng: np.full(n, model)


def _at_random(board: Board, n: int, tries: int, rng: np.random.Generator) -> ArrayLike:
    return rng.integers(0, 2, n)


def _last_try(board: Board, n: int, tries: int, rng: np.random.Generator) -> ArrayLike:
    """Asks the board, and does not use what it says."""
    entries = [rng.integers(0, 2, n) for _ in range(tries)]
    for entry in entries:
        board(entry)
    return entries[-1]


def _worst(board: Board, n: int, tries: int, rng: np.random.Generator) -> ArrayLike:
    return min((rng.integers(0, 2, n) for _ in range(tries)), key=board)


def _too_often(board: Board, n: int, tries: int, rng: np.random.Generator) -> ArrayLike:
    return max((rng.integers(0, 2, n) for _ in range(10 * tries)), key=board)


def _majority(board: Board, n: int, tries: int, rng: np.random.Generator) -> ArrayLike:
    """All tries vote, good ones and bad ones."""
    return (np.mean([rng.integers(0, 2, n) for _ in range(tries)], axis=0) > 0.5).astype(int)


refused = (
    _fixed(0),
    _fixed(1),
    _at_random,
    _last_try,
    _worst,
    _too_often,
    _majority,
    "the best of many",
)


EXERCISES = read("09")
