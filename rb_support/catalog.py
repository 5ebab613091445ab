"""The field's names: datasets, models and how the published files spell them.

Everything here is a constant or a pure function of one and of the published tasks, so that every other
module can agree on one spelling and on one order.
"""

from __future__ import annotations

import csv
import re
from functools import cache

from rb_support.cache import packaged

MMLU, HELLASWAG, GSM8K, ARC = "MMLU", "HellaSwag", "GSM8K", "ARC-Challenge"
WINOGRANDE, MBPP, MT_BENCH, RAG, OTHER = "Winogrande", "MBPP", "MT-Bench", "RAG", "Other"

DATASETS: tuple[str, ...] = (MMLU, HELLASWAG, GSM8K, ARC, WINOGRANDE, MBPP, MT_BENCH, RAG)
"""The eight datasets of RouterBench (section 4.2), in the order of this project's figures."""

_ROUTERBENCH = {
    "gpt-4-1106-preview": "GPT-4",
    "claude-v2": "Claude v2",
    "claude-v1": "Claude v1",
    "gpt-3.5-turbo-1106": "GPT-3.5",
    "claude-instant-v1": "Claude Instant",
    "meta/llama-2-70b-chat": "Llama-2 70B",
    "zero-one-ai/Yi-34B-Chat": "Yi 34B",
    "meta/code-llama-instruct-34b-chat": "Code Llama 34B",
    "mistralai/mixtral-8x7b-chat": "Mixtral 8x7B",
    "WizardLM/WizardLM-13B-V1.2": "WizardLM 13B",
    "mistralai/mistral-7b-chat": "Mistral 7B",
}
_WITH_RETRIEVAL = {
    "you.com-api": "You.com API",
    "perplexity/pplx-7b-online": "Perplexity 7B",
    "perplexity/pplx-70b-online": "Perplexity 70B",
}
_SHORT = _ROUTERBENCH | _WITH_RETRIEVAL

MODELS: tuple[str, ...] = tuple(_ROUTERBENCH)
"""The eleven models of RouterBench as its files spell them, dearest first (0-shot mean cost)."""

RAG_MODELS: tuple[str, ...] = ("gpt-4-1106-preview", "gpt-3.5-turbo-1106", *_WITH_RETRIEVAL)
"""The five models of RouterBench's RAG experiment (Figure 9)."""

_ALIASES = {"gsm8k": "grade-school-math", "mmlu": "mmlu-abstract-algebra"}
_MT_BENCH = r"mtbench-(writing|roleplay|reasoning|math|coding|extraction|stem|humanities|reference)"


def short_name(model: str) -> str:
    """Name of a model for a legend; a model not of the papers keeps its own name."""
    return _SHORT.get(model, model)


@cache
def _model_aliases() -> dict[str, str]:
    """Other spellings and pointers -> one name each, from `published/model_aliases.csv`, which says why."""
    rows = csv.DictReader(packaged("published/model_aliases.csv").splitlines())
    return {row["alias"]: row["model"] for row in rows}


def canonical(model: str) -> str:
    """One name of a model, whatever the source's spelling: small letters, no maker, no host.

    Versions that differ in their answers keep names of their own. A name without a version, such as Arena's
    `vicuna-13b`, is one model with the version that it stood for. A name that nobody lists is only written
    small, so two unknown spellings stay two models.

    >>> canonical("mistralai/mistral-7b-chat"), canonical("claude-v2"), canonical("gpt4_1106_preview")
    ('mistral-7b-instruct-v0.1', 'claude-2.0', 'gpt-4-1106-preview')
    """
    name = model.lower().rpartition("/")[2].replace("_", "-")
    plain = name.partition("@")[0]
    return _model_aliases().get(name) or _model_aliases().get(plain, plain)


@cache
def _published_tasks() -> dict[str, str]:
    """Dataset of every task of the published 0-shot file and of the RAG set."""
    rows = csv.DictReader(packaged("simulate/data/topics.csv").splitlines())
    return {_plain(row["task"]): RAG if row["dataset"].startswith(RAG) else row["dataset"] for row in rows}


def _plain(task: str) -> str:
    return task.lower().replace("_", "-").replace("mt-bench", "mtbench")


def dataset_of_task(task: str) -> str:
    """Dataset that a task (the published `eval_name`) belongs to; the task's own name if none knows it.

    Known are the published tasks by their whole names, whatever case, with - or _: the eight datasets,
    MMLU's 57 subjects, MT-Bench's parts and the tasks that RouterBench keeps beside them, which are `Other`.
    A task of another name, such as one of MMLU-Pro, is a dataset of its own.

    >>> dataset_of_task("mmlu_astronomy"), dataset_of_task("mtbench-math"), dataset_of_task("mmlu-pro-law")
    ('MMLU', 'MT-Bench', 'mmlu-pro-law')
    """
    name = _plain(task)
    if re.fullmatch(_MT_BENCH, name):
        return MT_BENCH
    return _published_tasks().get(_ALIASES.get(name, name), task)
