"""Published data as this project's tables, parsed once and kept in the cache.

Nothing is downloaded: a source that is not at hand raises `MissingSourceError`, which names the command that
fetches it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd

from rb_support.cache import cache_dir, digest, locked, package_digest, put_aside, read_record, remember
from rb_support.outcomes import Battles, Origin, Outcomes, PairScores
from rb_support.outcomes.table import Rows
from rb_support.sources import judged, priced, routellm, routerbench, search_qa
from rb_support.sources.errors import MissingSourceError, UnknownSourceError
from rb_support.sources.files import Located, locate
from rb_support.sources.records import ModelScores, SourceRows
from rb_support.sources.routellm import JUDGE_SCALE, STRONG, WEAK

Shots = Literal["0shot", "5shot", "raw", "slice", "sample", "rag"]
Table = TypeVar("Table", bound=Rows)

_PARSING = ("outcomes", "sources", "answers.py")
"""Code that makes tables, which no cached table is to outlive."""
_PREFERRED: tuple[Shots, ...] = ("0shot", "5shot", "slice")
_PARSERS: dict[str, dict[str, Callable[..., Any]]] = {
    "scores of a pair of models": {
        "routellm-mmlu": routellm.mmlu,
        "routellm-gsm8k": routellm.gsm8k,
        "routellm-mtbench": routellm.mt_bench,
    },
    "battles": {
        "alpaca-eval": judged.alpaca_eval,
        "alpaca-eval-pair": judged.alpaca_eval_pair,
        "arena-battles": judged.arena_battles,
        "arena-55k": judged.arena,
        "routellm-judge": judged.judge,
    },
    "judgments": {
        "mtbench-claude": routellm.claude,
        "mtbench-llama31": routellm.printed,
        "routellm-commercial": routellm.commercial,
    },
    "graded answers": {"zeroeval-gsm": judged.zeroeval, "arena-bench": judged.arena_bench},
    "graded answers of models with prices": {
        priced.ZEROEVAL: priced.zeroeval,
        priced.ARENA_BENCH: priced.arena_bench,
    },
    "outcomes with web search": {"search-qa": search_qa.search_qa},
}
"""What a source holds -> source -> what makes a table of its files."""

_PARSED = "parsed.json"
"""Record in the cache: hashes of parsed tables."""


def load_routerbench(shots: Shots | None = None, *, allow_unverified: bool = False) -> Outcomes:
    """RouterBench's outcome table, all its models; `origin.name` says which file it comes from.

    Parameters
    ----------
    shots : "0shot", "5shot" or "raw" (the published pickles), "slice" (three tasks, 5-shot, as CSV), "sample"
        (365 rows of the 0-shot table) or "rag" (deleted from the Hub, other models; needs the flag); None
        takes the first at hand of 0-shot, 5-shot and slice.
    allow_unverified : as `files.locate`: take a pickle that is not the published one as your own.

    Raises
    ------
    MissingSourceError : if it is not at hand, naming the command that fetches it.
    SourceError : if a file is altered or unsafe.
    TableError : if a cell holds what it must not.
    """
    located = locate_routerbench(shots, allow_unverified=allow_unverified)
    return _parsed_once(located, Outcomes, routerbench.load)


def locate_routerbench(shots: Shots | None = None, *, allow_unverified: bool = False) -> Located:
    """Files that `load_routerbench` would read, verified; parameters and errors are its own."""
    for choice in _PREFERRED if shots is None else ():
        try:
            return locate(f"routerbench-{choice}")
        except MissingSourceError:
            continue
    return locate(f"routerbench-{shots or '0shot'}", allow_unverified=allow_unverified)


def load_pairs(name: str, *, decontaminate: bool = True) -> PairScores:
    """GPT-4 (strong) and Mixtral (weak) on one of RouteLLM's benchmarks (RouteLLM, section 5).

    Parameters
    ----------
    name : "routellm-mmlu", "routellm-gsm8k" or "routellm-mtbench" (scores from 1 to 10).
    decontaminate : leave out prompts that also stand in RouteLLM's training data.

    Raises
    ------
    UnknownSourceError, MissingSourceError, SourceError, TableError : as `load_routerbench`.
    """
    return _load("scores of a pair of models", name, PairScores, decontaminate=decontaminate)


def load_battles(name: str, *, allow_unverified: bool = False) -> Battles:
    """Battles between two models, judged by people or by GPT-4 (RouteLLM, section 4).

    Parameters
    ----------
    name : "alpaca-eval", "alpaca-eval-pair" (column protocol), "arena-battles" (columns sample_id, turns and
        date), "arena-55k" or "routellm-judge".
    allow_unverified : take files whose hash nobody has published ("arena-55k").

    Raises
    ------
    UnknownSourceError, MissingSourceError, SourceError, TableError : as `load_routerbench`.
    """
    return _load("battles", name, Battles, allow_unverified)


def load_judgments(name: str) -> SourceRows:
    """GPT-4's scores of answers to MT-Bench, one row per model, question and turn.

    Columns: model, question_id, turn, score (1 to 10, NaN where the judge gave none), judge; for
    "routellm-commercial" the model is the router, and called_model is the one it called.

    Parameters
    ----------
    name : "mtbench-claude", "mtbench-llama31" or "routellm-commercial".

    Raises
    ------
    UnknownSourceError, MissingSourceError, SourceError, TableError : as `load_routerbench`.
    """
    return _load("judgments", name, SourceRows)


def load_graded(name: str = "zeroeval-gsm") -> ModelScores:
    """Answers of many models, graded: 1 where an answer is right, else 0, or a judge's score.

    ZeroEval's frame has a column `<model>|parsed` per model, False where no number could be read in the
    answer (it counts as wrong); where a judge gave no score it is NaN. The origin's notes count both.

    Parameters
    ----------
    name : "zeroeval-gsm" (15 models on GSM8K's 1,319 test questions) or "arena-bench" (GPT-4's scores from 1
        to 10 of 14 models on 300 prompts of Chatbot Arena).

    Raises
    ------
    UnknownSourceError, MissingSourceError, SourceError, TableError : as `load_routerbench`.
    """
    return _load("graded answers", name, ModelScores)


def load_priced(name: str) -> Outcomes:
    """Graded answers of many models with what they cost, estimated: tokens times list prices.

    No costs were published with these sources. Prices, their addresses and dates, and what is assumed of
    tokens stand in `sources/list_prices.toml` and in the origin's notes, and so do the models that are left
    out for want of a price.

    Parameters
    ----------
    name : "zeroeval-gsm" (15 models on GSM8K's 1,319 test questions, right or wrong; tokens of prompts and
        answers) or "arena-bench" (13 of 14 models on Chatbot Arena's prompts, GPT-4's score mapped to [0, 1];
        every answer is taken to be equally long; prompts where one has no score are left out).

    Raises
    ------
    UnknownSourceError, MissingSourceError, SourceError, TableError : as `load_routerbench`.
    """
    return _load("graded answers of models with prices", name, Outcomes)


def load_search_qa() -> Outcomes:
    """250 SimpleQA questions to 17 systems: seven models, eight with a search tool, two Sonar models.

    The nearest public rows to RouterBench's RAG set. Quality is 1 where the answer was graded correct; costs
    are estimates (`sources/search_prices.toml`, and the origin's notes). The frame has topic, answer_type and
    per system `<system>|model_response`, `<system>|grade` (A correct, B incorrect, C not attempted) and
    `<system>|searched`.

    Raises
    ------
    MissingSourceError, SourceError, TableError : as `load_routerbench`.
    """
    return _load("outcomes with web search", "search-qa", Outcomes)


def mtbench_scores() -> ModelScores:
    """GPT-4's scores (1 to 10) of six models on MT-Bench's 80 questions, mean of both turns.

    The models are GPT-4, Mixtral, Claude 3 Opus, Claude 3.5 Sonnet, which is not the Claude 3 Sonnet of
    RouteLLM's Table 4, and Llama 3.1 70B and 8B, the second pair of that table; NaN where the judge gave no
    score for a turn. The frame has the prompt_turn_2 of `load_pairs("routellm-mtbench")`, the question's
    category, and contaminated, True where the question also stands in RouteLLM's training data.

    Raises
    ------
    MissingSourceError, SourceError, TableError : as `load_routerbench`.
    """
    known = load_pairs("routellm-mtbench", decontaminate=False)
    clean = load_pairs("routellm-mtbench", decontaminate=True)
    others = [load_judgments(name) for name in ("mtbench-claude", "mtbench-llama31")]
    numbers = known.frame["sample_id"].str.removeprefix("mtbench.").astype(int)
    scored = pd.concat([each.frame for each in others])
    turns = scored.pivot(index=["model", "question_id"], columns="turn", values="score")
    means = turns[[1, 2]].mean(axis=1, skipna=False).unstack("model")
    means = means.reindex(index=numbers, columns=scored["model"].unique())
    frame = known.frame[["sample_id", "dataset", "task", "prompt", "prompt_turn_2"]].assign(
        category=known.frame["task"].str.removeprefix("mtbench-"),
        contaminated=~known.frame["sample_id"].isin(clean.frame["sample_id"]),
    )
    scores = np.column_stack([known.strong, known.weak, means])
    note = "judgments of Claude and of Llama 3.1 come from other publishers than those of GPT-4 and Mixtral"
    origins = [known.origin, *(each.origin for each in others)]
    read = tuple(file for origin in origins for file in origin.files)
    origin = Origin("real", "; ".join(origin.name for origin in origins), read, (note,))
    return ModelScores(frame, (STRONG, WEAK, *means.columns), scores, origin, JUDGE_SCALE)


def _load(what: str, name: str, table: type[Table], allow_unverified: bool = False, **options: Any) -> Table:
    """Table of a source, if the source holds what is asked for."""
    parsers = _PARSERS[what]
    if name not in parsers:
        raise UnknownSourceError(f"source '{name}' holds no {what}; those that do: {', '.join(parsers)}")
    located = locate(name, allow_unverified=allow_unverified)
    return _parsed_once(located, table, parsers[name], **options)


def _parsed_once(located: Located, table: type[Table], parse: Callable[..., Table], **options: Any) -> Table:
    """Table from the cache, or parsed now and kept there.

    The cached file's name depends on the hashes of the source's files, on the parsing code, on the kind of
    table and on the options, and a record keeps its own hash: one that was damaged is made again, with a
    warning.

    Parameters
    ----------
    located : the source's files.
    table : class to read the cached file with.
    parse : makes the table from the files and the options.
    options : what else the parsed rows depend on.
    """
    key = json.dumps([package_digest(*_PARSING), located.files, table.__name__, options], sort_keys=True)
    name = f"{located.source.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet"
    path = cache_dir() / "parsed" / name
    if path.parent.exists() and not path.parent.is_dir():
        put_aside(path.parent, "it is no folder")
    path.parent.mkdir(exist_ok=True)
    with locked(path):
        try:
            if read_record(_PARSED).get(name) == digest(path):
                return table.from_parquet(path, published=True)
            put_aside(path, "its sha256 is not the recorded one")
        except FileNotFoundError:
            pass
        except OSError as error:
            put_aside(path, error)
        made = parse(located, **options)
        made.to_parquet(path)
        remember(_PARSED, name, digest(path))
    return made
