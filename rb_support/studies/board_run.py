"""What notebook 09 puts on its board: tables by the kind of data asked for, and what is left out, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rb_support.embed import embed_queries
from rb_support.load import load_outcomes
from rb_support.outcomes import Origin, Outcomes
from rb_support.sources import SourceError
from rb_support.studies.board_tables import REAL, SIMULATED, load_table
from rb_support.studies.fits import DRAWS, Asked, Made, Material, material, measure

Array = NDArray[np.float64]

OWN = "own"
"""Name of a table of a user's own on the board."""

ROWS = 700
"""Rows that are drawn of a simulated table where the scale is "quick"."""


class Tables(NamedTuple):
    """Tables of a board.

    Attributes
    ----------
    outcomes : name -> table.
    left_out : a sentence for each table that is not at hand.
    origin : of all of them together.
    """

    outcomes: dict[str, Outcomes]
    left_out: list[str]
    origin: Origin

    def materials(self, embedding: str) -> dict[tuple[str, str], Material]:
        """(table, embedding) -> its rows and the vectors of their prompts."""
        return {
            (name, embedding): material(table, embed_queries(table, embedding, progress=False).to_numpy())
            for name, table in self.outcomes.items()
        }


def tables(data: str = "simulated", *, scale: str = "quick", seed: int = 0) -> Tables:
    """Tables that a board compares routers on.

    Parameters
    ----------
    data : "simulated", "real" (those at hand) or the path of an own table, which is then the only one.
    scale : "quick" draws `ROWS` rows of each simulated table, "full" takes them whole.
    seed : of that draw.

    Raises
    ------
    SourceError : if no real table is at hand.
    TableError, ValueError : of an own table that cannot be used, as `load_outcomes`.
    """
    if data not in ("simulated", "real"):
        table = load_outcomes(data, missing="drop")
        return Tables({OWN: table}, [], table.origin)
    found: dict[str, Outcomes] = {}
    left_out = []
    for name in SIMULATED if data == "simulated" else REAL:
        try:
            table = load_table(name)
        except SourceError as error:
            left_out.append(f"{name} is left out: {error}")
            continue
        found[name] = thinned(table, ROWS, seed) if (data, scale) == ("simulated", "quick") else table
    if not found:
        raise SourceError("no real table is at hand:\n" + "\n".join(left_out))
    return Tables(found, left_out, joined(table.origin for table in found.values()))


def thinned(table: Outcomes, rows: int, seed: int) -> Outcomes:
    """At most so many rows of a table, drawn at random, in their order."""
    drawn = np.random.default_rng(seed).permutation(len(table))[:rows]
    return table.take(np.sort(drawn))


def joined(origins: Iterable[Origin]) -> Origin:
    """Origin of several tables of one kind, beside one another."""
    parts = list(origins)
    names = dict.fromkeys(part.name for part in parts)
    files = dict.fromkeys(file for part in parts for file in part.files)
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    return Origin(parts[0].kind, "; ".join(names), tuple(files), tuple(notes))


def beside(
    rows: pd.DataFrame, router: str, made: Made, materials: Mapping[tuple[str, str], Material]
) -> pd.DataFrame:
    """Rows, and those of one router more on the same tables and splits, such as one written in a notebook.

    Parameters
    ----------
    rows : fits.
    router : its name on the board.
    made : makes it from a seed.
    materials : (table, embedding) -> rows and vectors.
    """
    places = rows[rows["error"] == ""][["table", "seed", "embedding"]].drop_duplicates()
    asked = [Asked(place.table, router, place.seed, place.embedding) for place in places.itertuples()]
    more = [
        asdict(each) | {"error": ""} | measure(each, materials[each.table, each.embedding], made)
        for each in asked
    ]
    return pd.concat([rows, pd.DataFrame(more)], ignore_index=True)


def by_split_and_sample(rows: pd.DataFrame) -> tuple[list[str], Array]:
    """Leads in the mean over tables, of each split and of each resample of the queries.

    Parameters
    ----------
    rows : fits that did not fail, of the same tables and seeds for every router.

    Returns
    -------
    Names of the routers, in the order of the rows, and (routers, seeds, 1 + DRAWS) leads: the first of the
    last axis are those on the queries as they are.
    """
    routers, seeds = list(dict.fromkeys(rows["router"])), sorted(set(rows["seed"]))
    leads = np.empty((len(routers), len(seeds), 1 + DRAWS))
    for (router, seed), part in rows.groupby(["router", "seed"]):
        drawn = np.vstack(part["lead_draws"].to_list())
        every = np.column_stack([part["lead"], drawn]).astype(float).mean(axis=0)
        leads[routers.index(router), seeds.index(seed)] = every
    return routers, leads
