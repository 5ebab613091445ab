"""Exercises of notebook 09."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rb_support.frontier import exceeds
from rb_support.stats import simultaneous
from rb_support.teach.exercises import Design, Exercise, Slip, Task, Value

Array = NDArray[np.float64]
Board = Callable[[ArrayLike], float]
Climb = Callable[[Board, int, int, np.random.Generator], ArrayLike]

PROMPTS, TRIES, LEADER, BOARDS = 200, 60, 0.03, 20
"""Of the board in exercise 4: prompts that it judges on, entries that it takes, what its leader has printed,
and on how many boards an answer is tried."""

Q4 = 2.569
"""Critical value of Nemenyi's test for four routers at 5%: the studentized range over the root of two (Demšar
2006, table 5)."""


def _single(leads: Array, draws: Array) -> Array:
    """Every interval by itself."""
    return np.column_stack([leads - 1.96 * draws.std(axis=0), leads + 1.96 * draws.std(axis=0)])


def _percentiles(leads: Array, draws: Array) -> Array:
    return np.quantile(draws, [0.025, 0.975], axis=0).T


def _one_width(leads: Array, draws: Array) -> Array:
    """The largest deviation in units of quality, so that all intervals are as wide as the widest."""
    half = np.quantile(np.abs(draws - leads).max(axis=1), 0.95)
    return np.column_stack([leads - half, leads + half])


def _one_side(leads: Array, draws: Array) -> Array:
    """Deviations upwards only."""
    spread = draws.std(axis=0)
    half = np.quantile(((draws - leads) / spread).max(axis=1), 0.95) * spread
    return np.column_stack([leads - half, leads + half])


def _each_quantile(leads: Array, draws: Array) -> Array:
    """Each router has the quantile of its own deviations."""
    spread = draws.std(axis=0)
    half = np.quantile(np.abs(draws - leads) / spread, 0.95, axis=0) * spread
    return np.column_stack([leads - half, leads + half])


def _mean_of_all(leads: Array, draws: Array) -> Array:
    """The mean deviation of a draw in place of its largest."""
    spread = draws.std(axis=0)
    half = np.quantile((np.abs(draws - leads) / spread).mean(axis=1), 0.95) * spread
    return np.column_stack([leads - half, leads + half])


def _cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Leads of 2 to 6 routers and resamples that lie askew, one router wider than the other."""
    cases: list[tuple[Any, ...]] = []
    for routers in (2, 3, 6):
        leads, width = rng.normal(0, 0.01, routers).round(4), np.linspace(0.004, 0.02, routers)
        cases.append((leads, (leads + width * (rng.gamma(4, size=(40, routers)) - 4) / 2).round(4)))
    return cases


def _climbs(answer: Any) -> str | None:
    """What a function lacks that is to climb a board without having read a prompt."""
    if not callable(answer):
        return "The answer is a function of board, n, tries and rng: write its name, without parentheses."
    printed = []
    for seed in range(BOARDS):
        gains = np.random.default_rng([seed, 0]).choice([-1, 0, 0, 1], PROMPTS)
        board = _Board(gains)
        entry = answer(board, PROMPTS, TRIES, np.random.default_rng([seed, 1]))
        printed.append(board.judged(entry))
    mean = float(np.mean(printed))
    if not exceeds(mean, LEADER, 1):
        return f"In the mean over {BOARDS} boards it prints {mean:+.3f}; the leader has {LEADER:+.3f}."
    return None


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


EXERCISES: dict[str, Exercise] = {
    "09.1": Value(
        answer=lambda: Q4 * np.sqrt(4 * 5 / (6 * 6)),
        hints=(
            "Put k = 4 and N = 6 into the formula.",
            "Under the root stands 4 times 5, over 6 times 6.",
            "The root of 20/36 is 0.745; the critical difference is 2.569 times that.",
        ),
        slips=(
            Slip(lambda: Q4 * np.sqrt(4 * 5 / 6), "The six tables are missing: N stands under the root too."),
            Slip(lambda: Q4 * 4 * 5 / 36, "The root over the whole fraction is missing."),
            Slip(lambda: Q4 * np.sqrt(4 * 3 / 36), "It is k (k + 1), not k (k - 1)."),
            Slip(lambda: np.sqrt(20 / 36), "The critical value q is missing."),
            Slip(lambda: Q4 * np.sqrt(6 * 7 / (6 * 4)), "Routers and tables are exchanged."),
            Slip(lambda: 1.96 * np.sqrt(20 / 36), "1.96 is for two routers; q grows with their number."),
        ),
        why="Mean ranks of four routers lie between 1 and 4, and 1.9 of these 3 are luck: six tables tell the "
        "first from the last, hardly more.",
    ),
    "09.2": Value(
        answer=lambda: [1, 4],
        hints=(
            "Who is surely above B? And who is surely below?",
            "A router is surely above B if its whole interval is above B's whole interval.",
            "No interval lies wholly above B's, and one lies wholly below it.",
        ),
        slips=(
            Slip([2, 2], "That is B's place by the number alone: as if intervals were not there."),
            Slip([2, 4], "A has the larger lead, but its interval overlaps with B's: B may be first."),
            Slip([1, 5], "One router lies wholly below B: B cannot be last."),
            Slip([1, 3], "E's interval overlaps with B's, so E may be before B: B may be as low as fourth."),
            Slip([4, 1], "Best place first, then the worst."),
            Slip([2, 5], "Count those surely above (none) and those surely below (one)."),
        ),
        why="The number says second; the interval says anywhere from first to fourth.",
    ),
    "09.3": Task(
        reference=simultaneous,
        cases=_cases,
        named=("leads", "draws"),
        source="stats.simultaneous",
        hints=(
            "On one resample: by how many of its own standard deviations is each router off its lead?",
            "Take the largest of these, without its sign, resample by resample: one number a row.",
            "Its 95% quantile, times a router's standard deviation, is half the width of that router's interval.",
        ),
        slips=(
            Slip(_single, "Each interval holds with 95% by itself; of several one fails more often."),
            Slip(_percentiles, "These are the percentiles of each router alone; they do not hold together."),
            Slip(
                _one_width,
                "Deviations in units of quality: the widest router sets the width of all. Divide by each "
                "one's own standard deviation first.",
            ),
            Slip(_one_side, "Deviations downwards count as much as those upwards: take them without sign."),
            Slip(
                _each_quantile, "The quantile is one for all: that of the largest deviation in each resample."
            ),
            Slip(
                _mean_of_all,
                "Not the mean over the routers but the largest: all intervals are to hold at once.",
            ),
        ),
        why="All intervals share one quantile, and so hold together.",
    ),
    "09.4": Design(
        flaw=_climbs,
        example="of `tries` random entries the one that the board prints the most for",
        hints=(
            "A single random entry prints a little more or less than nothing. How much luck is in it?",
            "The board tells you, before you decide, how lucky each entry was.",
            "Send random entries, as many as it takes, and return the one with the highest print.",
        ),
        slips=(
            Slip(_fixed(0)),
            Slip(_fixed(1)),
            Slip(_at_random),
            Slip(_last_try),
            Slip(_worst),
            Slip(_too_often),
            Slip(_majority),
            Slip("the best of many"),
        ),
        why="It has read nothing, and on fresh prompts it gains nothing: the board's own answers chose it.",
    ),
}
