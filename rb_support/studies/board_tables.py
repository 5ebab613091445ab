"""Outcome tables by name: the ones that a sweep and the leaderboard compare routers on, and your own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from rb_support.catalog import GSM8K, HELLASWAG, MMLU
from rb_support.embed import embed_queries
from rb_support.load import load_outcomes
from rb_support.outcomes import Outcomes
from rb_support.sources import SOURCES, at_hand, load_priced, load_routerbench, load_search_qa
from rb_support.studies.fits import Material, material


class BoardTable(NamedTuple):
    """A table of the board.

    Attributes
    ----------
    load : makes it.
    source : whose files it is made of, None if of nothing but a seed.
    row, quality, cost : what a row is, and what its scores and its costs are.
    """

    load: Callable[[], Outcomes]
    source: str | None
    row: str
    quality: str
    cost: str


class AtHand(NamedTuple):
    """Names of the real tables whose files are here, and a sentence on each of the others."""

    names: tuple[str, ...]
    left_out: tuple[str, ...]


_PUBLISHED = "as RouterBench published it"
_ESTIMATED = "estimated: list prices times tokens, at four characters a token"


def _slice(dataset: str) -> Outcomes:
    return load_routerbench("slice").of(dataset)


REAL: Mapping[str, BoardTable] = MappingProxyType(
    {
        "arc-challenge": BoardTable(
            partial(_slice, "ARC-Challenge"),
            "routerbench-slice",
            "a science question with four choices, after five examples",
            "1 where the choice is right, else 0",
            _PUBLISHED,
        ),
        "winogrande": BoardTable(
            partial(_slice, "Winogrande"),
            "routerbench-slice",
            "a sentence with a gap and two choices, after five examples",
            "1 where the choice is right, else 0",
            _PUBLISHED,
        ),
        "mbpp": BoardTable(
            partial(_slice, "MBPP"),
            "routerbench-slice",
            "a small program to write",
            "1 where the program passes its tests, else 0",
            _PUBLISHED,
        ),
        "routerbench-0shot": BoardTable(
            partial(load_routerbench, "sample"),
            "routerbench-sample",
            "a question of one of RouterBench's datasets, mostly MMLU, HellaSwag and GSM8K, without examples",
            "1 where the answer is right, else 0; a judge's grade in [0, 1] where answers are texts",
            _PUBLISHED,
        ),
        "zeroeval-gsm8k": BoardTable(
            partial(load_priced, "zeroeval-gsm"),
            "zeroeval-gsm",
            "a grade-school problem of GSM8K, without examples",
            "1 where the answer's number is right, else 0",
            f"{_ESTIMATED}, of the prompt and of each model's own answer",
        ),
        "arena-bench": BoardTable(
            partial(load_priced, "arena-bench"),
            "arena-bench",
            "a prompt that someone asked in Chatbot Arena",
            "a judge's (GPT-4's) score from 1 to 10, mapped to [0, 1]",
            f"{_ESTIMATED}, every answer taken to be as long as any other, as none is published",
        ),
        "search-qa": BoardTable(
            load_search_qa,
            "search-qa",
            "a question of SimpleQA for a short fact; what is routed to are systems: a model alone, the "
            "same model with a search tool, or one that always searches",
            "1 where the answer was graded correct, else 0, also where none was attempted",
            f"{_ESTIMATED}, and a fee and the pages read for each search that was made",
        ),
    }
)
"""Tables of published outcomes."""


def _simulated(dataset: str) -> BoardTable:
    return BoardTable(
        lambda: load_outcomes().of(dataset),
        None,
        f"a made question that stands for one of {dataset}; no model was asked",
        "1 or 0, drawn so that each model is right as often as RouterBench says",
        "drawn, at RouterBench's prices",
    )


SIMULATED: Mapping[str, BoardTable] = MappingProxyType(
    {f"simulated-{name.lower()}": _simulated(name) for name in (MMLU, HELLASWAG, GSM8K)}
)
"""Tables made from a seed, none of them real."""


def load_table(name: str) -> Outcomes:
    """Table of a name in `REAL` or `SIMULATED`, or an own table at a path.

    An own table's rows that lack a score or a cost are dropped, which its origin notes.

    Raises
    ------
    ValueError : if no table has that name and it is no path of a table; the message lists the names.
    SourceError : if the table's files are not at hand, naming the command that fetches them.
    TableError : if an own table cannot be read or used.
    """
    known = {**REAL, **SIMULATED}
    if name in known:
        return known[name].load()
    if Path(name).suffix in (".csv", ".parquet"):
        return load_outcomes(name, missing="drop")
    raise ValueError(
        f"no table is called {name!r}, nor is it the path of one, which ends in .csv or .parquet; known: "
        f"{', '.join(known)}"
    )


def name_of(given: str) -> str:
    """Name of a table on the board: the name it has there, or its file's without the ending.

    An own file that is called like a table of the board keeps its ending.

    >>> name_of("mbpp"), name_of("tables/acme.csv"), name_of("tables/mbpp.csv")
    ('mbpp', 'acme', 'mbpp.csv')
    """
    known, path = {**REAL, **SIMULATED}, Path(given)
    if given in known:
        return given
    return path.name if path.stem in known else path.stem


def real_at_hand() -> AtHand:
    """Which real tables can be loaded, told by the sizes of their files; nothing is read."""
    here = {table.source: at_hand(str(table.source)) == _files(table) for table in REAL.values()}
    return AtHand(
        tuple(name for name, table in REAL.items() if here[table.source]),
        tuple(
            f"{name} is left out, as its data is not here: get it with `python -m rb_support data fetch "
            f"{table.source}`."
            for name, table in REAL.items()
            if not here[table.source]
        ),
    )


def _files(table: BoardTable) -> int:
    return len(SOURCES[str(table.source)].files)


def described(name: str, table: Outcomes) -> str:
    """One line on a table: of which kind, rows and models, and what rows, scores and costs are.

    Parameters
    ----------
    name : of the table on the board; any other is an own one's.
    table : what `load_table` gave.
    """
    size = f"{name} ({table.origin.kind}): {len(table):,} rows, {len(table.models)} models"
    about = {**REAL, **SIMULATED}.get(name)
    if about is None:
        return f"{size}. Quality and cost ({table.cost_unit} per query) as its owner gives them."
    return f"{size}. A row is {about.row}. Quality: {about.quality}. Cost, USD per query: {about.cost}."


def load_material(name: str, embedding: str = "minilm") -> Material:
    """A table by name with the vectors of its prompts.

    Parameters
    ----------
    name : as `load_table`.
    embedding : an encoder of `embed`. "tfidf" and "length" learn words, means and deviations from the prompts
        of the whole table, those that a router is tested on as well, but from no score and no cost.

    Raises
    ------
    ValueError, SourceError, TableError : as `load_table`.
    EmbeddingError : if the encoder cannot be used.
    """
    return with_vectors(load_table(name), embedding)


def with_vectors(table: Outcomes, embedding: str = "minilm") -> Material:
    """A table with the vectors of its prompts, on one thread: more of them sum TF-IDF in other orders."""
    with threadpool_limits(1):
        return material(table, embed_queries(table, embedding, progress=False).to_numpy())
