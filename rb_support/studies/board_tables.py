"""Outcome tables by name: the ones that a sweep and the leaderboard compare routers on, and your own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from threadpoolctl import threadpool_limits

from rb_support.cache import packaged_table
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
    source : whose files it is made of, "" if of nothing but a seed.
    row, quality, cost : what a row is, and what its scores and its costs are.
    """

    load: Callable[[], Outcomes]
    source: str
    row: str
    quality: str
    cost: str


class AtHand(NamedTuple):
    """Names of the real tables whose files are here, and a sentence on each of the others."""

    names: tuple[str, ...]
    left_out: tuple[str, ...]


def _published(source: str, dataset: str = "", **words: str) -> BoardTable:
    """A table of `board_tables.toml`."""
    if source == "search-qa":
        return BoardTable(load_search_qa, source, **words)
    if source.startswith("routerbench-"):
        part: Any = source.removeprefix("routerbench-")
        load = partial(load_routerbench, part)
        return BoardTable(lambda: load().of(dataset) if dataset else load(), source, **words)
    return BoardTable(partial(load_priced, source), source, **words)


def _simulated(dataset: str) -> BoardTable:
    return BoardTable(
        lambda: load_outcomes().of(dataset),
        "",
        f"a made question that stands for one of {dataset}; no model was asked",
        "1 or 0, drawn so that each model is right as often as RouterBench says",
        "drawn, at RouterBench's prices",
    )


_TABLES = packaged_table("studies/board_tables.toml")

REAL: Mapping[str, BoardTable] = MappingProxyType(
    {name: _published(**about) for name, about in _TABLES.items()}
)
"""Tables of published outcomes."""
SIMULATED: Mapping[str, BoardTable] = MappingProxyType(
    {f"simulated-{name.lower()}": _simulated(name) for name in (MMLU, HELLASWAG, GSM8K)}
)
"""Tables made from a seed, none of them real."""
_KNOWN = {**REAL, **SIMULATED}


def load_table(name: str) -> Outcomes:
    """Table of a name in `REAL` or `SIMULATED`, or an own table at a path.

    An own table's rows that lack a score or a cost are dropped, which its origin notes.

    Raises
    ------
    ValueError : if no table has that name and it is no path of a table; the message lists the names.
    SourceError : if the table's files are not at hand, naming the command that fetches them.
    TableError : if an own table cannot be read or used.
    """
    if name in _KNOWN:
        return _KNOWN[name].load()
    if Path(name).suffix in (".csv", ".parquet"):
        return load_outcomes(name, missing="drop")
    raise ValueError(
        f"no table is called {name!r}, nor is it the path of one, which ends in .csv or .parquet; known: "
        f"{', '.join(_KNOWN)}"
    )


def name_of(given: str) -> str:
    """Name of a table on the board: the name it has there, or its file's without the ending.

    An own file that is called like a table of the board keeps its ending.

    >>> name_of("mbpp"), name_of("tables/acme.csv"), name_of("tables/mbpp.csv")
    ('mbpp', 'acme', 'mbpp.csv')
    """
    path = Path(given)
    if given in _KNOWN:
        return given
    return path.name if path.stem in _KNOWN else path.stem


def real_at_hand() -> AtHand:
    """Which real tables can be loaded, told by the sizes of their files; nothing is read."""
    here = [name for name, table in REAL.items() if at_hand(table.source) == len(SOURCES[table.source].files)]
    left_out = (
        f"{name} is left out, as its data is not here: get it with `python -m rb_support data fetch "
        f"{table.source}`."
        for name, table in REAL.items()
        if name not in here
    )
    return AtHand(tuple(here), tuple(left_out))


def described(name: str, table: Outcomes) -> str:
    """One line on a table: of which kind, rows and models, and what rows, scores and costs are.

    Parameters
    ----------
    name : of the table on the board; any other is an own one's.
    table : what `load_table` gave.
    """
    size = f"{name} ({table.origin.kind}): {len(table):,} rows, {len(table.models)} models"
    about = _KNOWN.get(name)
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
