"""Training battles as RouteLLM prepares them: pruned, held out, relabelled, joined, kept from the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.metrics import pairwise_distances_argmin_min

from rb_support.outcomes import Battles, Origin, PairScores, TableError, splits
from rb_support.outcomes.battles import TIE, A, B
from rb_support.outcomes.splits import same_text

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MEMORY = 32  # MiB of similarities held at a time


def prune_short(battles: Battles, characters: int = 16) -> Battles:
    """Battles whose prompt has at least so many characters (RouteLLM sec. 5 prunes those below 16).

    Raises
    ------
    TableError
        If no battle is left.
    """
    long = (battles.frame["prompt"].str.len() >= characters).to_numpy(dtype=bool)
    note = f"{_left_out(long)} with a prompt shorter than {characters} characters were left out"
    return replace(battles.take(long), origin=battles.origin.noting([note]))


def hold_out(battles: Battles, n: int = 5000, *, rng: np.random.Generator) -> tuple[Battles, Battles]:
    """Hold out battles for validation (RouteLLM sec. 5), never parting equal prompts.

    Prompts come in random order, and each is held out with all its battles if they still fit.

    Parameters
    ----------
    battles : all battles.
    n : battles to hold out; fewer are, if no remaining prompt fits.
    rng : of the draw, which depends on the prompts but not on the order of the rows.

    Returns
    -------
    train, validation : the two parts, rows in their old order.

    Raises
    ------
    TableError
        If either part would be empty.
    """
    texts = same_text(battles.frame["prompt"])
    held = splits.hold_out(texts, n, rng)
    if held.all() or not held.any():
        raise TableError(
            f"{battles.origin.name}: {n} of {len(battles)} battles on {len(set(texts))} different prompts "
            "cannot be held out, as one part stays empty; choose another n"
        )
    return battles.take(~held), battles.take(held)


def relabel(battles: Battles, names: Mapping[str, str], *, drop_unknown: bool = False) -> Battles:
    """Battles between classes of models, such as tiers (RouteLLM sec. 4.1).

    A battle inside one class says nothing of how classes compare, and is dropped and counted.

    Parameters
    ----------
    battles : between models.
    names : model -> class.
    drop_unknown : drop and count battles of models without a class, instead of refusing them.

    Raises
    ------
    TableError
        If a model without a class is refused, or no battle is left.
    """
    sides = [battles.frame[side].map(dict(names)) for side in (A, B)]
    known = (sides[0].notna() & sides[1].notna()).to_numpy(dtype=bool)
    if not (known.all() or drop_unknown):
        strangers = [model for model in battles.models if model not in names]
        raise TableError(
            f"{battles.origin.name}: no class is named for {', '.join(strangers[:5])}"
            f"{' and others' if len(strangers) > 5 else ''}; name one, or pass drop_unknown=True"
        )
    outer = (sides[0] != sides[1]).to_numpy(dtype=bool)
    frame = battles.frame.assign(**{A: sides[0], B: sides[1]})[known & outer]
    notes = [f"{_left_out(known)} of models without a class were left out"] if not known.all() else []
    notes.append(f"{_left_out(outer[known])} inside one class were left out")
    return Battles(frame, battles.origin.noting(notes))


def gold_battles(pairs: PairScores) -> Battles:
    """Battles that golden labels decide (RouteLLM sec. 4.1.1): the higher score wins, equal scores tie.

    Parameters
    ----------
    pairs : scores of the strong model, which becomes model_a, and of the weak one, model_b.

    Returns
    -------
    n battles with sample_id, dataset, task, prompt and the columns of `Battles`.

    Raises
    ------
    TableError
        If a prompt is empty.
    """
    winner = np.select([pairs.strong > pairs.weak, pairs.strong < pairs.weak], [A, B], TIE)
    frame = pairs.frame[["sample_id", "dataset", "task", "prompt"]].copy()
    frame[A], frame[B], frame["winner"] = pairs.strong_model, pairs.weak_model, winner
    return Battles(frame, pairs.origin.noting(["labelled by comparing the scores of both models"]))


def join(*parts: Battles) -> Battles:
    """One table of several, as for RouteLLM's augmented training data (sec. 4.1.1).

    Columns are those that all parts have. A weight or a score that only some have is kept, and what the
    others mean by having none is written out: weight 1, and the share that the winner says.

    Parameters
    ----------
    parts : tables of battles, in this order.

    Raises
    ------
    TableError
        If there is no part, or parts are of different kinds.
    """
    if not parts:
        raise TableError("there is nothing to join; give at least one table of battles")
    frames = [part.frame for part in parts]
    implied = {"weight": [part.weight for part in parts], "score": [part.share for part in parts]}
    for column, values in implied.items():
        if any(column in frame.columns for frame in frames):
            frames = [frame.assign(**{column: v}) for frame, v in zip(frames, values, strict=True)]
    return Battles(
        pd.concat(frames, join="inner", ignore_index=True), join_origins([part.origin for part in parts])
    )


def join_origins(origins: Sequence[Origin]) -> Origin:
    """Origin of a table made of several: names joined by " + ", files and notes, each once.

    Raises
    ------
    TableError
        If their kinds differ.
    """
    kinds = sorted({origin.kind for origin in origins})
    if len(kinds) > 1:
        raise TableError(f"tables of the kinds {' and '.join(kinds)} are joined; take tables of one kind")
    return Origin(
        origins[0].kind,
        " + ".join(dict.fromkeys(name for origin in origins for name in origin.name.split(" + "))),
        tuple(dict.fromkeys(file for origin in origins for file in origin.files)),
        tuple(dict.fromkeys(note for origin in origins for note in origin.notes)),
    )


def nearest(eval_vectors: ArrayLike, train_vectors: ArrayLike) -> Array:
    """Cosine similarity of each evaluation prompt to the training prompt nearest to it.

    Their mean is the benchmark-dataset similarity score (RouteLLM eq. 14).

    Parameters
    ----------
    eval_vectors : (n, d) embeddings of evaluation prompts, of any length.
    train_vectors : (m, d) embeddings of training prompts by the same embedder.

    Returns
    -------
    (n,) largest cosines, computed block by block; 0 for a vector of zeros, which has no direction.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a number is not finite.
    """
    tests, train = (np.asarray(vectors, dtype=float) for vectors in (eval_vectors, train_vectors))
    with config_context(working_memory=_MEMORY):
        distances = pairwise_distances_argmin_min(tests, train, metric="cosine")[1]
    return np.asarray(1 - distances)


def decontaminate(eval_vectors: ArrayLike, train_vectors: ArrayLike, threshold: float = 0.95) -> Mask:
    """Evaluation prompts that the training data contains, nearly or fully (RouteLLM App. B).

    Parameters
    ----------
    eval_vectors, train_vectors : as in `nearest`.
    threshold : cosine from which on a prompt is contaminated.

    Returns
    -------
    (n,) True for prompts to discard.

    Raises
    ------
    ValueError
        As `nearest`.
    """
    return nearest(eval_vectors, train_vectors) >= threshold


def _left_out(kept: Mask) -> str:
    return f"{int((~kept).sum())} of {len(kept)} battles"
