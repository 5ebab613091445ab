"""Outcome tables as people may have them: a Hypothesis strategy with every degenerate kind.

`outcome_tables()` draws one, row and model counts, names, prompts, scores and costs each of some kind:
equal, all right or all wrong, free, equal but for rounding, repeated, own names, few rows, many models.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from rb_support.catalog import dataset_of_task
from rb_support.outcomes import Origin, Outcomes

OWN = Origin("own", "made.csv", (("made.csv", "0" * 64),))
MODELS = (
    "gpt-4-1106-preview",
    "@cf/meta/llama",
    "模型",
    "cheap $0.25/$1.25",
    'say "hi", please',
    "d|e",
    "-x",
    "m_1^2",
)
PUBLISHED = ("mmlu-anatomy", "grade-school-math", "hellaswag", "mtbench-math", "consensus_summary")
OWN_TASKS = ("support", "refunds & returns", "-legal", "mmlu-pro-law", "客服")
PROMPTS = (
    "Who?", "=1+1", "['One' 'Two']", '["One", "Two"]', "'-5", "line\rbreak", "two\r\nlines", '"quoted", so',
    "😀", "NA", "[1, 2]", "$x_1$ <b>", "@all", "\tindented", " ",
    "[{'role': 'user', 'content': 'Hi'}]", "'", "\0",
)  # fmt: skip
QUALITY = ("binary", "graded", "equal", "all right", "all wrong", "one right", "one wrong", "rounding")
COST = ("drawn", "zero", "one free", "equal", "by model", "rounding", "tiny", "huge")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def scores(kind: str, n: int, m: int, rng: np.random.Generator) -> np.ndarray:
    """(n, m) scores of one of the kinds `QUALITY`."""
    drawn = rng.integers(0, 2, (n, m)).astype(float)
    if kind == "graded":
        return rng.random((n, m))
    if kind == "equal":
        return np.repeat(drawn[:, :1], m, axis=1)
    if kind == "rounding":  # equal, but for the last bit
        return np.nextafter(np.full((n, m), 0.3), drawn)
    if kind.startswith("all"):
        drawn[:] = kind == "all right"
    if kind.startswith("one"):
        drawn[:, rng.integers(m)] = kind == "one right"
    return drawn


def costs(kind: str, n: int, m: int, rng: np.random.Generator) -> np.ndarray:
    """(n, m) USD of one of the kinds `COST`."""
    drawn = rng.lognormal(-8, 2, (n, m))
    if kind == "one free":
        drawn[:, rng.integers(m)] = 0.0
    if kind == "by model":
        return np.repeat(drawn[:1], n, axis=0)
    if kind == "rounding":
        return np.nextafter(np.full((n, m), 1e-4), drawn)
    flat = {"zero": 0.0, "equal": 1e-3}
    scale = {"tiny": 1e-17, "huge": 1e9}
    return np.full((n, m), flat[kind]) if kind in flat else np.minimum(drawn * scale.get(kind, 1.0), 1e12)


@st.composite
def outcome_tables(
    draw: st.DrawFn, *, min_rows: int = 1, max_rows: int = 40, min_models: int = 1, max_models: int = 60
) -> Outcomes:
    """An outcome table of kind "own", valid, but as degenerate as it may be.

    Parameters
    ----------
    min_rows, max_rows, min_models, max_models : bounds for those who need fewer or more.
    """
    sizes = st.integers(min_rows, min(max(min_rows, 6), max_rows)) | st.integers(min_rows, max_rows)
    few = st.integers(min_models, min(max(min_models, 4), max_models))
    n, m = draw(sizes), draw(few | st.integers(min_models, max_models))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    known = draw(st.permutations(MODELS))
    models = tuple([*known, *(f"org/model-{i:03d}-instruct" for i in range(m))][:m])
    names = draw(st.sampled_from([PUBLISHED, OWN_TASKS, PUBLISHED + OWN_TASKS]))
    names = names[: draw(st.integers(1, len(names)))]
    tasks = [names[i] for i in rng.integers(0, len(names), n)]
    some = draw(st.lists(st.sampled_from(PROMPTS) | TEXT, min_size=1, max_size=4))
    own = [f"Tell about garden number {i}?" for i in range(n)]
    prompts = {"own": own, "one": some[:1] * n, "some": (some * n)[:n], "mixed": [*some, *own][:n]}
    frame = pd.DataFrame(
        {
            "sample_id": [f"{i:03d}" for i in range(n)],
            "dataset": draw(st.sampled_from([[dataset_of_task(task) for task in tasks], ["mine"] * n])),
            "task": tasks,
            "prompt": pd.Series(prompts[draw(st.sampled_from(sorted(prompts)))], dtype=str),
        }
    )
    if draw(st.booleans()):
        said = draw(st.permutations(PROMPTS)) * n
        frame = frame.assign(
            **{f"{model}|model_response": pd.Series(said[:n], dtype=str) for model in models}
        )
    quality = scores(draw(st.sampled_from(QUALITY)), n, m, rng)
    return Outcomes(frame, quality, costs(draw(st.sampled_from(COST)), n, m, rng), models, OWN)
