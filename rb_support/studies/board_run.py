"""What notebook 09 puts on its board: tables by the kind of data asked for, and other settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from rb_support.embed import BUNDLED, LENGTH, TFIDF
from rb_support.outcomes import Kind, Origin, Outcomes
from rb_support.outcomes.splits import held_out
from rb_support.preference.battle_sets import join_origins
from rb_support.sources import SourceError
from rb_support.stats import Array
from rb_support.studies import leaderboard, wording
from rb_support.studies.board_tables import REAL, SIMULATED, load_table, real_at_hand, with_vectors
from rb_support.studies.fit_process import code
from rb_support.studies.fits import DRAWS, Asked, Made, Material, key_of, measure
from rb_support.studies.leaderboard import LEADS, SAME, Overall
from rb_support.studies.lineup import ROUTERS
from rb_support.studies.predictive import cautions
from rb_support.studies.sweep import TIMED, Store

OWN = "own"
"""Name of a table of a user's own on the board."""

ROWS = 300
"""Rows that are drawn of a simulated table where the scale is "quick"."""


READERS = ("knn", "ridge")
"""Routers of which other embeddings and fewer labels are tried."""
NEIGHBOURS = (5, 10, 20, 80, 160)
"""Beside the default of KNN, what other numbers of neighbours are tried."""
SHARES = (0.125, 0.25, 0.5)
"""Shares of the training labels that are tried, beside all of them."""


LOOKED_AT = range(5)
"""Splits of real tables that were looked at before the settings of some routers were fixed."""
_say = wording.says("board_run")
SEEN = _say("seen", last=max(LOOKED_AT))
"""What a reader of the board of real tables has to know."""


class Tables(NamedTuple):
    """Tables of a board.

    Attributes
    ----------
    outcomes : name -> table.
    told : sentences on tables that are not at hand, or that can show little.
    origin : of all of them together.
    """

    outcomes: dict[str, Outcomes]
    told: tuple[str, ...]
    origin: Origin

    def materials(self, embedding: str) -> dict[tuple[str, str], Material]:
        """(table, embedding) -> its rows and the vectors of their prompts."""
        return {(name, embedding): with_vectors(table, embedding) for name, table in self.outcomes.items()}


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
    TableError, ValueError : of an own table that cannot be used, as `load_table`.
    """
    if data not in ("simulated", "real"):
        table = load_table(data)
        return Tables({OWN: table}, (cautions({OWN: held_out(table, seed)}),), table.origin)
    names, left_out = (tuple(SIMULATED), ()) if data == "simulated" else real_at_hand()
    if not names:
        raise SourceError("no real table is at hand:\n" + "\n".join(left_out))
    found = {name: load_table(name) for name in names}
    if (data, scale) == ("simulated", "quick"):
        for name, table in found.items():
            drawn = np.random.default_rng(seed).permutation(len(table))[:ROWS]
            found[name] = table.take(np.sort(drawn))
    return Tables(found, left_out, joined(table.origin for table in found.values()))


def joined(origins: Iterable[Origin]) -> Origin:
    """Origin of several tables of one kind, beside one another."""
    parts = list(origins)
    return replace(join_origins(parts), name="; ".join(dict.fromkeys(part.name for part in parts)))


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
    asked = [Asked(table, router, seed, encoder) for table, seed, encoder in places.to_numpy().tolist()]
    found = [measure(each, materials[each.table, each.embedding], made) for each in asked]
    more = [asdict(each) | {"error": ""} | row for each, row in zip(asked, found, strict=True)]
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


def whole(tables: Iterable[str], seeds: Iterable[int], others: Iterable[str] = ()) -> list[Asked]:
    """All fits of a board: every router, own ones too, with true and shuffled labels; `other_settings`."""
    names, splits = list(tables), list(seeds)
    every = product(names, ("true", "shuffled"), dict.fromkeys([*ROUTERS, *others]), splits)
    board = [Asked(table, router, seed, BUNDLED, labels) for table, labels, router, seed in every]
    return board + other_settings(names, splits, BUNDLED, TFIDF)


def other_than(embedding: str, tables: Iterable[Outcomes]) -> str:
    """The embedding that is tried beside a board's own: TF-IDF, where every table has several prompts."""
    if embedding == TFIDF:
        return BUNDLED
    return TFIDF if all(table.frame["prompt"].nunique() > 1 for table in tables) else LENGTH


def other_settings(tables: Iterable[str], seeds: Iterable[int], embedding: str, other: str) -> list[Asked]:
    """Fits that differ from those of the board in one thing: neighbours of KNN, embedding, or labels.

    Parameters
    ----------
    tables, seeds, embedding : of the board.
    other : the embedding to try.
    """
    tried = [(f"knn(k={k})", embedding, 1.0) for k in NEIGHBOURS] + [(name, other, 1.0) for name in READERS]
    tried += [(name, embedding, share) for name, share in product(READERS, SHARES)]
    return [
        Asked(table, router, seed, encoder, share=share)
        for table, seed in product(tables, seeds)
        for router, encoder, share in tried
    ]


def timings(
    asked: Iterable[Asked], materials: Mapping[tuple[str, str], Material], store: Store
) -> pd.DataFrame:
    """What the clock said of fits that are kept: a row a fit, router and seconds, as `sweep.TIMED`.

    Of true labels only: on shuffled ones many a router soon gives up.
    """
    true = [each for each in asked if each.labels == "true"]
    kept = [store.read(key_of(each, materials[each.table, each.embedding].sha256, code())) for each in true]
    return pa.concat_tables(row for row in kept if row is not None).select(["router", *TIMED]).to_pandas()


def view(board: pd.DataFrame, overall: Overall) -> pd.DataFrame:
    """The board as a reader has it: a row per router, by mean rank, and a column per table.

    Parameters
    ----------
    board, overall : of `leaderboard`.

    Returns
    -------
    router; for each table the lead with its interval and, if it counts, a star; mean_rank, and places: from
    the best to the worst rank that the router may have on any table.
    """
    leads = board[["lead", "low", "high"]].to_numpy().tolist()
    words = pd.Series([f"{lead:+.3f} [{low:+.3f}, {high:+.3f}]" for lead, low, high in leads], board.index)
    words += np.where(board["finding"] == LEADS, " ★", "")
    words = words.mask(board["finding"] == SAME, board["lead"].map("{:+.3f}, as zero".format))
    cells = board.assign(cell=words.where(board["lead"].notna(), "–"))
    wide = cells.pivot(index="router", columns="table", values="cell")[list(dict.fromkeys(board["table"]))]
    ends = board.groupby("router").agg(low=("rank_low", "min"), high=("rank_high", "max"))
    ranks = overall.table.set_index("router")["mean_rank"]
    order = [*ranks.index, *(name for name in wide.index if name not in ranks.index)]
    wide["mean_rank"] = ranks.map("{:.1f}".format).reindex(wide.index)
    wide["places"] = [
        f"{low:.0f} to {high:.0f}" if np.isfinite(low) else "–"
        for low, high in ends.loc[wide.index].to_numpy().tolist()
    ]
    return wide.loc[order].reset_index().rename_axis(columns=None)


def summary(board: pd.DataFrame, overall: Overall) -> pd.DataFrame:
    """The board in a line a router, by mean rank, in words: mean rank and lead, and on how many it leads."""
    ranks = overall.table.set_index("router")["mean_rank"].map("{:.1f}".format)
    leads, by_router = board["finding"] == LEADS, board.groupby("router")["lead"]
    columns = {
        "mean rank": ranks,
        "mean lead": by_router.mean().map("{:+.4f}".format, na_action="ignore"),
        "leads on": leads.groupby(board["router"]).sum().map(str),
        "of tables": by_router.count().map(str),
    }
    order = list(dict.fromkeys([*ranks.index, *board["router"]]))
    return pd.DataFrame(columns).reindex(order).fillna("").rename_axis("router")


def elsewhere(rows: pd.DataFrame, overall: Overall) -> str:
    """Who is first on the splits that no setting was fixed on, in words; "" of tables that none was fixed on.

    Parameters
    ----------
    rows : fits of a board, of true and of shuffled labels.
    overall : of `leaderboard`, on all splits.
    """
    real = rows[rows["table"].isin(REAL)]
    left = real[~real["seed"].isin(LOOKED_AT)]
    if left.empty or len(left) == len(real):
        return ""
    first = overall.table["router"].iloc[0]
    ranks = leaderboard.overall(leaderboard.board(left)).table
    place = ranks["router"].tolist().index(first)
    told = {"splits": left["seed"].nunique(), "first": ranks.iloc[0], "before": first}
    return _say("elsewhere", place=place + 1, rank=ranks["mean_rank"].iloc[place], **told)


def notes(seeds: int, kind: Kind) -> dict[str, str]:
    """Notes for the records of notebook 09's items, by their ids."""
    seen = f" {SEEN}" if kind == "real" else ""
    judged = f"Mean over {seeds} splits; intervals are simultaneous and count other queries and other splits."
    return wording.notes("09", judged=judged, seen=seen)
