"""Published data as this project's tables, parsed once and kept in the cache.

Nothing is downloaded unless asked for: without `download=True` a source that is not at hand raises
`MissingSourceError`, which names the command that fetches it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from rb_support.outcomes import Battles, Origin, Outcomes, PairScores
from rb_support.sources import judged, routellm, routerbench
from rb_support.sources.errors import MissingSourceError, UnknownSourceError
from rb_support.sources.parsed import SourceRows, parsed_once
from rb_support.sources.store import Located, fetch, locate

Parser = TypeVar("Parser")
Shots = Literal["0shot", "5shot", "raw", "slice"]

_PREFERRED: tuple[Shots, ...] = ("0shot", "5shot", "slice")
_PAIRS: dict[str, Callable[[Located, Origin, bool], PairScores]] = {
    "routellm-mmlu": routellm.mmlu,
    "routellm-gsm8k": routellm.gsm8k,
    "routellm-mtbench": routellm.mt_bench,
}
_BATTLES: dict[str, Callable[[Located, Origin], Battles]] = {
    "alpaca-eval": judged.alpaca_eval,
    "arena-55k": judged.arena,
    "routellm-judge": judged.judge,
}


def load_routerbench(
    shots: Shots | None = None, *, download: bool = False, allow_unverified: bool = False
) -> Outcomes:
    """RouterBench's outcome table, all eleven models; `origin.name` says which file it comes from.

    Parameters
    ----------
    shots : "0shot", "5shot" or "raw" (the published pickles) or "slice" (three tasks, 5-shot, as CSV); None
        takes the first at hand of 0-shot, 5-shot and slice.
    download : fetch what is not at hand (None: the 0-shot pickle, if none of the three is).
    allow_unverified : take files whose hash nobody has published.

    Raises
    ------
    MissingSourceError : if it is not at hand, naming the command that fetches it.
    SourceError : if a file is altered or unsafe.
    TableError : if a cell holds what it must not.
    """
    located = locate_routerbench(shots, download=download, allow_unverified=allow_unverified)
    return parsed_once(located, Outcomes, lambda: _parse_routerbench(located))


def locate_routerbench(
    shots: Shots | None = None, *, download: bool = False, allow_unverified: bool = False
) -> Located:
    """Files that `load_routerbench` would read, verified; parameters and errors are its own."""
    if shots is not None:
        return _obtain(f"routerbench-{shots}", download, allow_unverified)
    for choice in _PREFERRED:
        try:
            return locate(f"routerbench-{choice}")
        except MissingSourceError:
            continue
    return _obtain("routerbench-0shot", download)


def load_pairs(name: str, *, decontaminate: bool = True, download: bool = False) -> PairScores:
    """GPT-4 (strong) and Mixtral (weak) on one of RouteLLM's benchmarks (RouteLLM, section 5).

    Parameters
    ----------
    name : "routellm-mmlu", "routellm-gsm8k" or "routellm-mtbench" (scores from 1 to 10).
    decontaminate : leave out prompts that also stand in RouteLLM's training data.
    download : fetch what is not at hand.

    Raises
    ------
    UnknownSourceError, MissingSourceError, SourceError, TableError : as `load_routerbench`.
    """
    parse = _of(_PAIRS, name, "scores of a pair of models")
    located = _obtain(name, download)
    return parsed_once(
        located,
        PairScores,
        lambda: parse(located, _origin(located), decontaminate),
        decontaminate=decontaminate,
    )


def load_battles(name: str, *, download: bool = False, allow_unverified: bool = False) -> Battles:
    """Battles between two models, judged by people or by GPT-4 (RouteLLM, section 4).

    Parameters
    ----------
    name : "alpaca-eval", "arena-55k" or "routellm-judge".
    download : fetch what is not at hand.
    allow_unverified : take files whose hash nobody has published ("arena-55k").

    Raises
    ------
    UnknownSourceError, MissingSourceError, SourceError, TableError : as `load_routerbench`.
    """
    parse = _of(_BATTLES, name, "battles")
    located = _obtain(name, download, allow_unverified)
    return parsed_once(located, Battles, lambda: parse(located, _origin(located)))


def load_judgments(name: str, *, download: bool = False) -> SourceRows:
    """GPT-4's scores of answers to MT-Bench, one row per model, question and turn.

    Columns: model, question_id, turn, score (1 to 10, NaN where the judge gave none), judge; for
    "routellm-commercial" the model is the router, and called_model is the one it called.

    Parameters
    ----------
    name : "mtbench-claude" or "routellm-commercial".
    download : fetch what is not at hand.

    Raises
    ------
    UnknownSourceError, MissingSourceError, SourceError, TableError : as `load_routerbench`.
    """
    parse = _of(
        {
            "mtbench-claude": lambda located: routellm.judgments(located.paths[0]),
            "routellm-commercial": routellm.commercial,
        },
        name,
        "judgments",
    )
    located = _obtain(name, download)
    return parsed_once(located, SourceRows, lambda: SourceRows(parse(located), _origin(located)))


def load_answers(name: str = "zeroeval-gsm", *, download: bool = False) -> SourceRows:
    """Answers as models wrote them, ungraded: sample_id, prompt, model, answer, gold.

    Parameters
    ----------
    name : "zeroeval-gsm": 15 models on GSM8K's 1,319 test questions.
    download : fetch what is not at hand.

    Raises
    ------
    UnknownSourceError, MissingSourceError, SourceError, TableError : as `load_routerbench`.
    """
    parse = _of({"zeroeval-gsm": judged.zeroeval}, name, "answers")
    located = _obtain(name, download)
    return parsed_once(located, SourceRows, lambda: SourceRows(parse(located), _origin(located)))


def _obtain(name: str, download: bool, allow_unverified: bool = False) -> Located:
    find = fetch if download else locate
    return find(name, allow_unverified=allow_unverified)


def _parse_routerbench(located: Located) -> Outcomes:
    origin, path, sha256 = _origin(located), located.paths[0], located.hashes[0]
    if located.source.name == "routerbench-slice":
        return routerbench.read_csvs(located.paths, origin=origin)
    read = routerbench.read_long if located.source.name == "routerbench-raw" else routerbench.read_wide
    return read(path, sha256=sha256, origin=origin)


def _origin(located: Located) -> Origin:
    return Origin("real", located.source.title, located.files)


def _of(parsers: dict[str, Parser], name: str, what: str) -> Parser:
    if name not in parsers:
        raise UnknownSourceError(f"source '{name}' holds no {what}; those that do: {', '.join(parsers)}")
    return parsers[name]
