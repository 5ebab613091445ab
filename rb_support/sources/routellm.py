"""RouteLLM's evaluation data: GPT-4 and Mixtral on MMLU, GSM8K and MT-Bench, and two commercial routers.

A prompt that also stands in the training data is left out by exact text, all its copies
(`contaminated_prompts.jsonl`), as RouteLLM's evaluation does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from rb_support.catalog import GSM8K, MMLU, MT_BENCH
from rb_support.outcomes import PairScores, TableError
from rb_support.sources.files import Located
from rb_support.sources.records import SourceRows, read_csv, read_records, refuse

STRONG = "gpt-4-1106-preview"
WEAK = "mistralai/Mixtral-8x7B-Instruct-v0.1"
JUDGE_SCALE = (1.0, 10.0)
LLAMA_31 = ("Meta-Llama-3.1-70B-Instruct", "Meta-Llama-3.1-8B-Instruct")
_NO_SCORE = -1.0
_JUDGED = ["model", "question_id", "turn", "score", "judge"]
_PRINTED = re.compile(
    r"^question: (?P<question_id>\d+), turn: (?P<turn>\d), model: (?P<model>[^,]+), "
    r"score: (?P<score>-?[\d.]+), "
    r"judge: \('(?P<judge>[^']+)', '(?P<prompt>[^']+)'\)"
)


def mmlu(located: Located, decontaminate: bool) -> PairScores:
    """Right (1) or wrong (0) on MMLU, 5-shot; subjects in the order of RouteLLM's own evaluation."""
    names = [name for name in located.names if name.endswith(".csv")]
    frames = [_answers(located, name, name.removesuffix(".csv").replace("_", "-")) for name in names]
    return _pair(located, pd.concat(frames, ignore_index=True).assign(dataset=MMLU), decontaminate)


def gsm8k(located: Located, decontaminate: bool) -> PairScores:
    """Right (1) or wrong (0) on GSM8K, 8-shot, with both models' answers."""
    frame = _answers(located, "gsm8k_responses.csv", "gsm8k")
    return _pair(located, frame.assign(dataset=GSM8K), decontaminate)


def mt_bench(located: Located, decontaminate: bool) -> PairScores:
    """GPT-4's scores (1 to 10) on MT-Bench, per question the mean of its two turns.

    A question is routed by its first turn, the `prompt`; both turns' scores stand in `strong_turn_1`,
    `strong_turn_2`, `weak_turn_1` and `weak_turn_2`.
    """
    needed = ("question_id", "category", "turns")
    questions = pd.DataFrame(read_records(located, "question.jsonl", needed))
    scores = judgments(located, "judgements.jsonl").pivot(
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
        turns = scores[model].loc[questions["question_id"], [1, 2]].to_numpy(dtype=float)
        frame[f"{side}_turn_1"], frame[f"{side}_turn_2"] = turns.T
        frame[side] = (turns[:, 0] + turns[:, 1]) / 2
    return _pair(
        located, frame.assign(dataset=MT_BENCH), decontaminate, ("prompt", "prompt_turn_2"), JUDGE_SCALE
    )


def claude(located: Located) -> SourceRows:
    """GPT-4's scores of what Claude models answered to MT-Bench, as `judgments` reads them."""
    return SourceRows(judgments(located, *located.names), located.origin)


def printed(located: Located) -> SourceRows:
    """GPT-4's scores of what Llama 3.1 models answered to MT-Bench, read from printed logs.

    Columns as `judgments` has them. A line that is no judgment is passed over, and other models are.

    Raises
    ------
    TableError : if a log holds no judgment of them, an answer is judged twice, or a score is off the scale.
    """
    frame = pd.concat([_printed_file(located, name) for name in located.names], ignore_index=True)
    return SourceRows(frame.sort_values(_JUDGED[:3], ignore_index=True), located.origin)


def _printed_file(located: Located, name: str) -> pd.DataFrame:
    text = located.read(name).decode("utf-8", "replace")
    found = pd.Series(text.splitlines()).str.extract(_PRINTED)
    found = found[found["model"].isin(LLAMA_31)]
    if found.empty:
        raise TableError(f"{name}: no line of it is a judgment of {' or '.join(LLAMA_31)}; fetch it anew")
    found = found.astype({"question_id": int, "turn": int, "score": float})
    return _checked(found.assign(judge=found["judge"] + " " + found.pop("prompt")), name)


def commercial(located: Located) -> SourceRows:
    """GPT-4's scores of what two commercial routers answered to MT-Bench.

    Columns: model (martian or unify, the router), question_id, turn, score (1 to 10, NaN where the judge
    gave none), judge, called_model (the model that the router called; Martian does not say).
    """
    scores = judgments(located, "gpt-4_single.jsonl")
    needed, answers = ("question_id", "model_id"), []
    for router in ("martian", "unify"):
        rows = pd.DataFrame(read_records(located, f"{router}.jsonl", needed))
        called = pd.Series([None if model == "router" else model for model in rows["model_id"]], dtype=object)
        answers.append(rows[["question_id"]].assign(model=router, called_model=called))
    frame = scores.merge(pd.concat(answers), on=["model", "question_id"], how="left", validate="many_to_one")
    return SourceRows(frame, located.origin)


def judgments(located: Located, name: str) -> pd.DataFrame:
    """Single-answer judgments: model, question_id, turn, score (NaN where the judge gave none), judge.

    Raises
    ------
    TableError : if a line is no judgment, or one answer is judged twice.
    """
    frame = pd.DataFrame(read_records(located, name, _JUDGED))
    return _checked(frame.assign(judge=frame["judge"].map(" ".join)), name)


def _checked(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Judgments of a file, sorted, with NaN for no score."""
    score, answer = frame["score"].astype(float).replace(_NO_SCORE, np.nan), _JUDGED[:3]
    refuse(name, ~(score.between(*JUDGE_SCALE) | score.isna()), " has a score that is none from 1 to 10")
    refuse(name, frame.duplicated(answer), " judges an answer again")
    return frame.assign(score=score)[_JUDGED].sort_values(answer, ignore_index=True)


def _answers(located: Located, name: str, task: str) -> pd.DataFrame:
    frame = read_csv(located, name)
    ids = [f"{task}.{row}" for row in range(len(frame))]
    found = pd.DataFrame({"sample_id": ids, "task": task, "prompt": frame["prompt"]})
    sides = {"strong": STRONG, "weak": WEAK}
    for side, model in sides.items():
        if f"{model}_response" in frame.columns:
            found[f"{side}_response"] = frame[f"{model}_response"]
    for side, model in sides.items():
        found[side] = frame[model].map({"True": 1.0, "False": 0.0}).astype(float)
        refuse(name, found[side].isna(), f", column '{model}': {{}} is neither True nor False", frame[model])
    return found


def _pair(
    located: Located,
    frame: pd.DataFrame,
    decontaminate: bool,
    texts: Sequence[str] = ("prompt",),
    scale: tuple[float, float] = (0.0, 1.0),
) -> PairScores:
    leaks = read_records(located, "contaminated_prompts.jsonl", ("eval_prompt",))
    leaked = frame[list(texts)].isin([row["eval_prompt"] for row in leaks]).any(axis=1)
    note = f"{int(leaked.sum())} of {len(frame)} prompts also stand in RouteLLM's training data"
    kept = frame[~leaked] if decontaminate else frame
    strong, weak = (kept[side].to_numpy(dtype=float) for side in ("strong", "weak"))
    origin = located.origin.noting([f"{note}: {'left out' if decontaminate else 'kept'}"])
    return PairScores(kept.drop(columns=["strong", "weak"]), strong, weak, STRONG, WEAK, origin, scale)
