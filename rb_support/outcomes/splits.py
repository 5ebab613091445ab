"""Splits that never part equal prompts: by share of every task, or by a number of rows to hold out."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support.outcomes.checks import TableError

if TYPE_CHECKING:
    from rb_support.outcomes.table import Outcomes

Mask = NDArray[np.bool_]


def same_text(prompts: pd.Series[str]) -> NDArray[np.str_]:
    """(n,) prompts without white space around them: what "equal prompts" compares."""
    return prompts.str.strip().to_numpy(dtype=object)


def hold_out(texts: ArrayLike, n: int, rng: np.random.Generator, *, fill: bool = True) -> Mask:
    """Rows to hold out, at most n of them; rows of equal texts are held out together or not at all.

    Texts come in random order, and each is held out with all its rows if they still fit. The draw depends
    on the texts, not on the order of the rows.

    Parameters
    ----------
    texts : one per row, such as `same_text` of the prompts.
    n : rows to hold out.
    rng : of the draw: one permutation of the distinct texts.
    fill : whether to go on with the next texts after one that no longer fits, or to stop there.

    Returns
    -------
    (rows,) True for rows that are held out.
    """
    code, distinct = pd.factorize(np.asarray(texts, dtype=object), sort=True)
    sizes, chosen, total = np.bincount(code), np.zeros(len(distinct), dtype=bool), 0
    for text in rng.permutation(len(distinct)):
        fits = total + sizes[text] <= n
        if fits:
            chosen[text], total = True, total + int(sizes[text])
        elif not fill:
            break
    return np.asarray(chosen[code])


def held_out(outcomes: Outcomes, seed: int) -> tuple[Outcomes, Outcomes]:
    """70/30 split; all rows on both sides where equal prompts leave nothing to hold out."""
    try:
        return outcomes.split(seed=seed)
    except TableError:
        return outcomes, outcomes


def train_mask(frame: pd.DataFrame, train_share: float, seed: int | np.random.Generator) -> Mask:
    """Rows that go to the training part, `train_share` of every task.

    The draw depends on the ids, prompts and tasks alone, not on the order of the rows. Groups of equal
    prompts are drawn as one. In each task the groups come in random order, and each goes to the training
    part if that brings the part closer to its share, so a task misses its share by half a group at most
    (groups that span tasks apart). A task with one row goes to the training part; one with more aims at
    one row or more on each side.

    Parameters
    ----------
    frame : n rows with `sample_id`, `task` and `prompt`.
    train_share : fraction 0-1.

    Returns
    -------
    (n,) True for training rows.
    """
    order = np.argsort(frame["sample_id"].to_numpy(dtype=object), kind="stable")
    task, _ = pd.factorize(frame["task"].to_numpy(dtype=object)[order], sort=True)
    group, _ = pd.factorize(same_text(frame["prompt"])[order])
    chosen = _draw(task, group, train_share, np.random.default_rng(seed))
    mask = np.zeros(len(frame), dtype=bool)
    mask[order] = chosen[group]
    return mask


def _draw(
    task: NDArray[np.intp], group: NDArray[np.intp], train_share: float, rng: np.random.Generator
) -> Mask:
    """(groups,) True for training groups; task and group are codes (n,), groups in order of first row."""
    cells, counts = np.unique(np.column_stack([group, task]), axis=0, return_counts=True)
    members: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for (g, t), count in zip(cells.tolist(), counts.tolist(), strict=True):
        members[g].append((t, count))
    total = np.bincount(task)
    target = np.clip(np.rint(train_share * total), 1, np.maximum(total - 1, 1))
    got = np.zeros(len(total))
    chosen = np.zeros(len(members), dtype=bool)
    shuffled = rng.permutation(len(members))
    home_of = np.array([parts[0][0] for parts in members.values()])
    for g in shuffled[np.argsort(home_of[shuffled], kind="stable")]:
        home, size = members[g][0]
        chosen[g] = abs(got[home] + size - target[home]) < abs(got[home] - target[home])
        if chosen[g]:
            for t, count in members[g]:
                got[t] += count
    return chosen
