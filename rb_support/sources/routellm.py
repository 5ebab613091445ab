"""RouteLLM's evaluation data: GPT-4 and Mixtral on MMLU, GSM8K and MT-Bench, and two commercial routers.

A prompt that also stands in the training data is left out by exact text, all its copies
(`contaminated_prompts.jsonl`), as RouteLLM's evaluation does.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.catalog import GSM8K, MMLU, MT_BENCH
from rb_support.outcomes import Origin, PairScores, TableError
from rb_support.outcomes.files import read_frame
from rb_support.sources.lines import read_lines
from rb_support.sources.store import Located

STRONG = "gpt-4-1106-preview"
WEAK = "mistralai/Mixtral-8x7B-Instruct-v0.1"
JUDGE_SCALE = (1.0, 10.0)
_NO_SCORE = -1.0


def mmlu(located: Located, origin: Origin, decontaminate: bool) -> PairScores:
    """Right (1) or wrong (0) on MMLU, 5-shot; subjects in the order of RouteLLM's own evaluation."""
    subjects = [path for path in located.paths if path.suffix == ".csv"]
    names = [Path(name).stem.removeprefix("mmlu_") for name, _ in located.files if name.endswith(".csv")]
    frames = [
        _answers(path, f"mmlu-{name.replace('_', '-')}") for path, name in zip(subjects, names, strict=True)
    ]
    return _pair(located, pd.concat(frames, ignore_index=True), MMLU, origin, decontaminate)


def gsm8k(located: Located, origin: Origin, decontaminate: bool) -> PairScores:
    """Right (1) or wrong (0) on GSM8K, 8-shot, with both models' answers."""
    frame = _answers(located.path("gsm8k_responses.csv"), "gsm8k")
    return _pair(located, frame, GSM8K, origin, decontaminate)


def mt_bench(located: Located, origin: Origin, decontaminate: bool) -> PairScores:
    """GPT-4's scores (1 to 10) on MT-Bench, per question the mean of its two turns.

    A question is routed by its first turn, the `prompt`; both turns' scores stand in `strong_turn_1`,
    `strong_turn_2`, `weak_turn_1` and `weak_turn_2`.
    """
    questions = pd.DataFrame(read_lines(located.path("question.jsonl"), ("question_id", "category", "turns")))
    scores = judgments(located.path("judgements.jsonl")).pivot(
        index="question_id", columns=["model", "turn"], values="score"
    )
    frame = pd.DataFrame(
        {
            "sample_id": [f"mtbench.{number}" for number in questions["question_id"]],
            "task": "mtbench-" + questions["category"],
            "prompt": [turns[0] for turns in questions["turns"]],
            "prompt_turn_2": [turns[1] for turns in questions["turns"]],
        }
    )
    for side, model in (("strong", STRONG), ("weak", WEAK)):
        for turn in (1, 2):
            frame[f"{side}_turn_{turn}"] = scores[model, turn].loc[questions["question_id"]].to_numpy(float)
        frame[side] = (frame[f"{side}_turn_1"] + frame[f"{side}_turn_2"]) / 2
    return _pair(located, frame, MT_BENCH, origin, decontaminate, ("prompt", "prompt_turn_2"), JUDGE_SCALE)


def commercial(located: Located) -> pd.DataFrame:
    """GPT-4's scores of what two commercial routers answered to MT-Bench.

    Columns: model (martian or unify, the router), question_id, turn, score (1 to 10, NaN where the judge
    gave none), judge, called_model (the model that the router called; Martian does not say).
    """
    scores = judgments(located.path("gpt-4_single.jsonl"))
    answers = pd.concat([_called(located.path(f"{router}.jsonl"), router) for router in ("martian", "unify")])
    return scores.merge(answers, on=["model", "question_id"], how="left", validate="many_to_one")


def judgments(path: Path) -> pd.DataFrame:
    """Single-answer judgments: model, question_id, turn, score (NaN where the judge gave none), judge.

    Raises
    ------
    TableError : if a line is no judgment, or one answer is judged twice.
    """
    rows = read_lines(path, ("model", "question_id", "turn", "score", "judge"))
    frame = pd.DataFrame(rows)[["model", "question_id", "turn", "score", "judge"]]
    frame["judge"] = [" ".join(judge) for judge in frame["judge"]]
    frame["score"] = frame["score"].astype(float).replace(_NO_SCORE, np.nan)
    twice = frame.duplicated(["model", "question_id", "turn"])
    if twice.any():
        raise TableError(
            f"{path.name}: row {int(np.argmax(twice)) + 1} judges an answer again; fetch the file anew"
        )
    return frame.sort_values(["model", "question_id", "turn"], ignore_index=True)


def _called(path: Path, router: str) -> pd.DataFrame:
    rows = read_lines(path, ("question_id", "model_id"))
    called = [None if row["model_id"] == "router" else row["model_id"] for row in rows]
    return pd.DataFrame(
        {"model": router, "question_id": [row["question_id"] for row in rows], "called_model": called}
    )


def _answers(path: Path, task: str) -> pd.DataFrame:
    frame = read_frame(path)
    rights = {"strong": _right(frame, STRONG, path), "weak": _right(frame, WEAK, path)}
    texts = {f"{side}_response": f"{model}_response" for side, model in (("strong", STRONG), ("weak", WEAK))}
    answers = {column: frame[published] for column, published in texts.items() if published in frame.columns}
    ids = [f"{task}.{row}" for row in range(len(frame))]
    return pd.DataFrame({"sample_id": ids, "task": task, "prompt": frame["prompt"], **answers, **rights})


def _right(frame: pd.DataFrame, model: str, path: Path) -> NDArray[np.float64]:
    right = np.asarray(frame[model].map({"True": 1.0, "False": 0.0}), dtype=np.float64)
    if np.isnan(right).any():
        row = int(np.argmax(np.isnan(right)))
        raise TableError(
            f"{path.name}: row {row + 1}, column '{model}': {frame[model][row]!r} is neither True nor False; "
            "fetch the file anew"
        )
    return right


def _pair(
    located: Located,
    frame: pd.DataFrame,
    dataset: str,
    origin: Origin,
    decontaminate: bool,
    texts: Iterable[str] = ("prompt",),
    scale: tuple[float, float] = (0.0, 1.0),
) -> PairScores:
    known = [
        row["eval_prompt"] for row in read_lines(located.path("contaminated_prompts.jsonl"), ("eval_prompt",))
    ]
    leaked = np.logical_or.reduce([frame[column].isin(known).to_numpy() for column in texts])
    note = f"{int(leaked.sum())} of {len(frame)} prompts also stand in RouteLLM's training data"
    kept = frame[~leaked].reset_index(drop=True) if decontaminate else frame
    scores: dict[str, Any] = {side: kept[side].to_numpy(dtype=float) for side in ("strong", "weak")}
    return PairScores(
        kept.drop(columns=["strong", "weak"]).assign(dataset=dataset),
        **scores,
        strong_model=STRONG,
        weak_model=WEAK,
        origin=origin.noting([f"{note}: {'left out' if decontaminate else 'kept'}"]),
        scale=scale,
    )
