"""Published answers and judgments as scores of many models, a column each, and any pair out of them.

`PairScores` holds two models. These tables hold all that a source knows, so that RouteLLM's other pairs
(Table 4) can be taken from them.
"""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files

import numpy as np
import pandas as pd

from rb_support.answers import final_number, same_number
from rb_support.catalog import GSM8K, MT_BENCH
from rb_support.outcomes import Origin, PairScores, TableError
from rb_support.sources import judged
from rb_support.sources.errors import UnknownSourceError
from rb_support.sources.load import load_judgments, load_pairs
from rb_support.sources.parsed import SourceRows, parsed_once
from rb_support.sources.routellm import JUDGE_SCALE, STRONG, WEAK
from rb_support.sources.store import Located, fetch, locate

_ABOUT = ("sample_id", "dataset", "task", "prompt", "prompt_turn_2", "category", "contaminated")
_PARSED = "|parsed"
_SCALES = {MT_BENCH: JUDGE_SCALE}
"""Datasets whose scores are not between 0 and 1."""


def load_graded(name: str = "zeroeval-gsm", *, download: bool = False) -> SourceRows:
    """Answers of many models, graded: one row per question, a column of 0 and 1 per model.

    Further columns: sample_id, dataset, task, prompt, and per model `<model>|parsed`, False where no
    number could be read in the answer (it counts as wrong; the origin's notes count these).

    Parameters
    ----------
    name : "zeroeval-gsm": 15 models on GSM8K's 1,319 test questions.
    download : fetch what is not at hand.

    Raises
    ------
    UnknownSourceError, MissingSourceError, SourceError, TableError : as `load_routerbench`.
    """
    if name != "zeroeval-gsm":
        raise UnknownSourceError(f"source '{name}' holds no answers to grade; those that do: zeroeval-gsm")
    located = (fetch if download else locate)(name)
    # The cached table must not outlive the reader of answers, which stands outside of this package.
    reader = sha256(files("rb_support").joinpath("answers.py").read_bytes()).hexdigest()
    return parsed_once(located, SourceRows, lambda: _graded(located), graded_by=reader)


def mtbench_scores(*, download: bool = False) -> SourceRows:
    """GPT-4's scores (1 to 10) of four models on MT-Bench's 80 questions, mean of both turns.

    Columns: sample_id, dataset, task, prompt and prompt_turn_2 as in `load_pairs("routellm-mtbench")`;
    category; contaminated, True where the question also stands in RouteLLM's training data; and per model
    (GPT-4, Mixtral, Claude 3 Opus, Claude 3.5 Sonnet) its score, NaN where the judge gave none for a turn.
    Claude 3.5 Sonnet is not the Claude 3 Sonnet of RouteLLM's Table 4.

    Parameters
    ----------
    download : fetch what is not at hand.

    Raises
    ------
    MissingSourceError, SourceError, TableError : as `load_routerbench`.
    """
    known = load_pairs("routellm-mtbench", decontaminate=False, download=download)
    clean = load_pairs("routellm-mtbench", decontaminate=True, download=download)
    judgments = load_judgments("mtbench-claude", download=download)
    numbers = known.frame["sample_id"].str.removeprefix("mtbench.").astype(int)
    claude = _mean_of_turns(judgments.frame).reindex(numbers).reset_index(drop=True)
    frame = known.frame[["sample_id", "dataset", "task", "prompt", "prompt_turn_2"]].assign(
        category=known.frame["task"].str.removeprefix("mtbench-"),
        contaminated=~known.frame["sample_id"].isin(clean.frame["sample_id"]),
        **{STRONG: known.strong, WEAK: known.weak},
    )
    note = "judgments of the Claude models come from another publisher than those of GPT-4 and Mixtral"
    origin = Origin(
        "real",
        f"{known.origin.name}; {judgments.origin.name}",
        (*known.origin.files, *judgments.origin.files),
        (note,),
    )
    return SourceRows(pd.concat([frame, claude], axis=1), origin)


def models_of(graded: SourceRows) -> tuple[str, ...]:
    """Models that a table of `load_graded` or `mtbench_scores` has scores of."""
    return tuple(c for c in graded.frame.columns if c not in _ABOUT and not c.endswith(_PARSED))


def pair_of(graded: SourceRows, strong: str, weak: str) -> PairScores:
    """Scores of two models of a table of `load_graded` or `mtbench_scores`.

    A row that lacks a score of either model is dropped, and the origin notes how many were.

    Parameters
    ----------
    graded : table of one dataset.
    strong, weak : two of `models_of(graded)`.

    Raises
    ------
    TableError : if a model is not in the table, or both are the same.
    """
    models = models_of(graded)
    for model in (strong, weak):
        if model not in models:
            raise TableError(f"{graded.origin.name}: no scores of '{model}'; known: {', '.join(models)}")
    high, low = (graded.frame[model].to_numpy(dtype=float) for model in (strong, weak))
    kept = ~np.isnan(high) & ~np.isnan(low)
    about = graded.frame.loc[kept, [c for c in _ABOUT if c in graded.frame.columns]]
    missing = int((~kept).sum())
    note = f"{missing} of {len(kept)} rows lack a score of either model and were dropped"
    return PairScores(
        about.reset_index(drop=True),
        high[kept],
        low[kept],
        strong,
        weak,
        graded.origin.noting([note] if missing else []),
        _SCALES.get(graded.frame["dataset"].iloc[0], (0.0, 1.0)),
    )


def _graded(located: Located) -> SourceRows:
    """One row per question from one row per question and model."""
    answers = judged.zeroeval(located)
    read = [final_number(text) for text in answers["answer"]]
    right = [same_number(*pair) for pair in zip(read, answers["gold"], strict=True)]
    long = answers.assign(right=np.array(right, dtype=float), parsed=[number is not None for number in read])
    scores, parsed = (_wide(long, column) for column in ("right", "parsed"))
    about = answers.drop_duplicates("sample_id")[["sample_id", "prompt"]].reset_index(drop=True)
    about.insert(1, "dataset", GSM8K)
    about.insert(2, "task", "gsm8k")
    frame = pd.concat([about, scores, parsed.astype(bool).add_suffix(_PARSED)], axis=1)
    failures = (~parsed.astype(bool)).sum()
    counted = ", ".join(f"{model} {count}" for model, count in failures[failures > 0].items())
    note = f"answers without a readable number count as wrong, per model: {counted or 'none'}"
    return SourceRows(frame, Origin("real", located.source.title, located.files, (note,)))


def _wide(long: pd.DataFrame, values: str) -> pd.DataFrame:
    """One row per question and one column per model, both in the order in which they come.

    Raises
    ------
    TableError : if a model lacks a question or answers it twice.
    """
    twice = long.duplicated(["sample_id", "model"])
    if twice.any():
        row = long[twice].iloc[0]
        raise TableError(f"{row['model']} answers {row['sample_id']} twice; fetch its file anew")
    wide = long.pivot(index="sample_id", columns="model", values=values)
    wide = wide.loc[long["sample_id"].unique(), long["model"].unique()]
    if wide.isna().any(axis=None):
        row, column = np.argwhere(wide.isna().to_numpy())[0]
        raise TableError(f"{wide.columns[column]} has no answer to {wide.index[row]}; fetch its file anew")
    return wide.reset_index(drop=True).rename_axis(columns=None)


def _mean_of_turns(judgments: pd.DataFrame) -> pd.DataFrame:
    """Mean score of two turns: one row per question, one column per model; NaN where a turn lacks its."""
    turns = judgments.pivot(index=["model", "question_id"], columns="turn", values="score")
    mean = turns[[1, 2]].mean(axis=1, skipna=False)
    return mean.unstack("model").rename_axis(columns=None)
