"""Training battles as RouteLLM prepares them: pruned, held out, relabelled, joined, kept from the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support.outcomes import Battles, Origin, PairScores, TableError
from rb_support.outcomes.battles import TIE, A, B
from rb_support.outcomes.splits import same_text

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_CELLS = 4_000_000  # similarities held at a time


def prune_short(battles: Battles, characters: int = 16) -> Battles:
    """Battles whose prompt has at least so many characters (RouteLLM sec. 5 prunes those below 16).

    Raises
    ------
    TableError
        If no battle is left.
    """
    long = (battles.frame["prompt"].str.len() >= characters).to_numpy(dtype=bool)
    note = f"{_left_out(long)} with a prompt shorter than {characters} characters were left out"
    return _noting(battles.take(long), note)


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
    prompt, texts = pd.factorize(same_text(battles.frame["prompt"]), sort=True)
    sizes, held, total = np.bincount(prompt), np.zeros(len(texts), dtype=bool), 0
    for code in rng.permutation(len(texts)):
        if total + sizes[code] <= n:
            held[code], total = True, total + int(sizes[code])
    if not 0 < total < len(battles):
        raise TableError(
            f"{battles.origin.name}: {n} of {len(battles)} battles on {len(texts)} different prompts cannot "
            "be held out, as one part stays empty; choose another n"
        )
    return battles.take(~held[prompt]), battles.take(held[prompt])


def tier_names(tiers: Mapping[str, int]) -> dict[str, str]:
    """Class name of every model's tier, for `relabel`.

    >>> tier_names({"gpt-4": 0})
    {'gpt-4': 'tier 0'}
    """
    return {model: f"tier {tier}" for model, tier in tiers.items()}


def class_names(
    tiers: Mapping[str, int], strong: Sequence[int] = (0, 1), weak: Sequence[int] = (2,)
) -> dict[str, str]:
    """Classes "strong" and "weak" by tier, for `relabel`; models of other tiers are absent.

    Parameters
    ----------
    tiers : model -> tier, as `assign_tiers` gives it.
    strong, weak : tiers of either class; the paper takes the top two and the third (sec. 4.1).

    Raises
    ------
    ValueError
        If a tier is in both classes.

    >>> class_names({"gpt-4": 0, "mixtral": 2, "llama": 9})
    {'gpt-4': 'strong', 'mixtral': 'weak'}
    """
    both = sorted(set(strong) & set(weak))
    if both:
        raise ValueError(f"tier {both[0]} is both strong and weak; name it once")
    classes = {**dict.fromkeys(strong, "strong"), **dict.fromkeys(weak, "weak")}
    return {model: classes[tier] for model, tier in tiers.items() if tier in classes}


def relabel(
    battles: Battles, names: Mapping[str, str], *, drop_unknown: bool = False, drop_inner: bool = True
) -> Battles:
    """Battles between classes of models, such as tiers (RouteLLM sec. 4.1).

    A battle inside one class says nothing of how classes compare, and is dropped and counted.

    Parameters
    ----------
    battles : between models.
    names : model -> class.
    drop_unknown : drop and count battles of models without a class, instead of refusing them.
    drop_inner : drop and count battles inside one class, instead of refusing them.

    Raises
    ------
    TableError
        If such battles are refused, or no battle is left.
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
    if not (drop_inner or outer[known].all()):
        raise TableError(
            f"{battles.origin.name}: {int((known & ~outer).sum())} battles are inside one class; "
            "pass drop_inner=True to leave them out"
        )
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


def join(*parts: Battles, origin: Origin | None = None) -> Battles:
    """One table of several, as for RouteLLM's augmented training data (sec. 4.1.1).

    Columns are those that all parts have. A weight or a score that only some have is kept, and what the
    others mean by having none is written out: weight 1, and the share that the winner says.

    Parameters
    ----------
    parts : tables of battles, in this order.
    origin : of the whole; else names are joined by " + ", files and notes one after another.

    Raises
    ------
    TableError
        If there is no part, or parts of different kinds are joined without an origin.
    """
    if not parts:
        raise TableError("there is nothing to join; give at least one table of battles")
    frames = [part.frame for part in parts]
    for column, values in _IMPLIED.items():
        if any(column in part.frame.columns for part in parts):
            frames = [f.assign(**{column: values(p)}) for f, p in zip(frames, parts, strict=True)]
    whole = pd.concat(frames, join="inner", ignore_index=True)
    return Battles(whole, origin or _joined([part.origin for part in parts]))


_IMPLIED: dict[str, Callable[[Battles], Array]] = {
    "weight": lambda part: part.weight,
    "score": lambda part: part.share,
}


def _joined(origins: Sequence[Origin]) -> Origin:
    kinds = sorted({origin.kind for origin in origins})
    if len(kinds) > 1:
        raise TableError(
            f"tables of the kinds {' and '.join(kinds)} are joined; say with origin= what they make"
        )
    return Origin(
        origins[0].kind,
        " + ".join(dict.fromkeys(origin.name for origin in origins)),
        tuple(dict.fromkeys(file for origin in origins for file in origin.files)),
        tuple(note for origin in origins for note in origin.notes),
    )


def nearest(eval_vectors: ArrayLike, train_vectors: ArrayLike) -> Array:
    """Cosine similarity of each evaluation prompt to the training prompt nearest to it.

    Parameters
    ----------
    eval_vectors : (n, d) embeddings of evaluation prompts, of any length.
    train_vectors : (m, d) embeddings of training prompts by the same embedder.

    Returns
    -------
    (n,) largest cosines, computed block by block.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a vector is zero or not finite.
    """
    tests, train = _unit(eval_vectors, "eval_vectors"), _unit(train_vectors, "train_vectors")
    if tests.shape[1] != train.shape[1]:
        raise ValueError(
            f"eval_vectors have {tests.shape[1]} dimensions, train_vectors {train.shape[1]}; "
            "embed both with one embedder"
        )
    return np.concatenate([(block @ train.T).max(axis=1) for block in _blocks(tests, len(train))])


def similarity(eval_vectors: ArrayLike, train_vectors: ArrayLike) -> float:
    """Benchmark-dataset similarity score (RouteLLM eq. 14): mean cosine to the nearest training prompt.

    Parameters and errors are those of `nearest`.
    """
    return float(nearest(eval_vectors, train_vectors).mean())


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


def _unit(vectors: ArrayLike, name: str) -> Array:
    """(n, d) vectors scaled to length 1."""
    array = np.asarray(vectors, dtype=float)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}; give (rows, dimensions), neither 0")
    length = np.linalg.norm(array, axis=1, keepdims=True)
    odd = np.flatnonzero(~(np.isfinite(length) & (length > 0)))
    if len(odd):
        raise ValueError(f"{name}: row {int(odd[0])} is zero or not finite, so it has no direction")
    return array / length


def _blocks(rows: Array, width: int) -> Iterator[Array]:
    size = max(1, _CELLS // width)
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _left_out(kept: Mask) -> str:
    return f"{int((~kept).sum())} of {len(kept)} battles"


def _noting(battles: Battles, note: str) -> Battles:
    return replace(battles, origin=battles.origin.noting([note]))
