"""From the rows of a sweep to a board that anyone can audit: leads, ranks, settings, and what it allows.

Every function takes rows of `studies.fits` and gives a small table. Numbers are means over splits, their
intervals hold for all cells of a board at once, and beside each stands what knowing nothing reaches.

Intervals are by a two-way bootstrap (McCullagh 2000; Owen 2007): draw b counts the prompts as the rows' own
draw b does, and the splits as a resample of seeds does that is the same for all routers and tables. It
covers which prompts were asked and how they were split. What it cannot cover is another table of training
rows: training sets of several splits overlap, so that their spread tells of it in part only (Nadeau and
Bengio 2003).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import combinations, permutations
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from rb_support.frontier import exceeds
from rb_support.outcomes import Kind
from rb_support.stats import Array, bootstrap_weights
from rb_support.studies.board_tables import REAL, SIMULATED
from rb_support.studies.fits import Asked
from rb_support.studies.lineup import NULL
from rb_support.studies.two_way import Cells, joined
from rb_support.studies.wording import each, ending, listed, says
from rb_support.verdicts import Estimate, Evidence, Fact

Counts = NDArray[np.int64]

RECOVERED = 0.144
"""Largest share of the gap to the oracle that arXiv 2608.08265 finds recovered, by intervals that pay for
the choice of the best single model."""
ALIKE = 0.0023
"""Units of quality within which 15 of 21 routers lie on RouterBench in "The Routing Plateau", 2606.07587."""
TABLES = 3
"""Real tables on which more than `RECOVERED` is aimed at."""
EVERY = "mean of the tables"
LEADS, NONE, BEHIND, SAME = "leads", "no lead shown", "behind zero", "= zero router"
_SETTING = re.compile(r"(?P<router>[^(]+)\((?P<what>\w+)=(?P<value>[^,()]+)\)")
_CELL = ["table", "router"]
_MEANS = ["aiq_honest", "placebo", "placebo_high", "quality", "best_quality", "oracle_quality"]
_NUMBERS = [*_MEANS, "n_train", "n_test", "constant", "lead", "lead_draws", "gain_draws", "gap_draws"]
_COLUMNS = ["kind", *_CELL, "is_null", "n", "seeds", "aiq_honest", "lead", "low", "high"]
_COLUMNS += ["point_low", "point_high", "placebo", "placebo_high"]
_COLUMNS += ["shuffled", "shuffled_high", "shuffled_leads", "shuffled_constant"]
_COLUMNS += ["rank", "rank_low", "rank_high", "finding"]
_GAP_COLUMNS = ["kind", *_CELL, "is_null", "n", "gain", "gap", "share", "low", "high", "recovers", "prompts"]
_SETTING_COLUMNS = ["kind", *_CELL, "what", "value", "number", "seeds"]
_SETTING_COLUMNS += ["lead", "difference", "low", "high", "finding"]
_say = says("leaderboard")


def kind_of(table: str) -> Kind:
    """Whether a table is simulated, real, or somebody's own."""
    return "simulated" if table in SIMULATED else "real" if table in REAL else "own"


def board(rows: pd.DataFrame) -> pd.DataFrame:
    """The board: how far each router leads on each table, how sure that is, and what luck reaches there.

    Of the rows those count that have the default embedding, all training labels, and a router with the
    settings of its name; `settings` takes the others. A router that failed on a split, or lacks one, has no
    numbers: a mean over the splits that went well would be a choice.

    Parameters
    ----------
    rows : of `sweep.here`, true and shuffled labels.

    Returns
    -------
    A row per table and router. kind: real, own or simulated. is_null: whether the router knows nothing by its
    making. n: rows of the table; seeds: splits. aiq_honest, lead (over the better zero router): means over
    splits. low, high: 95% interval of the lead, for all cells of a kind at once; point_low, point_high: for
    the cell looked at alone. placebo, placebo_high: what the same predictions reach if dealt out at random,
    their mean and their largest in a split, means over splits. shuffled: the router's lead when fitted on
    shuffled labels; shuffled_high: the largest of any router on that table; shuffled_leads: whether that fit
    would lead; shuffled_constant: whether it never leaves a zero router. rank, rank_low, rank_high: on the
    table, with 95% confidence for all routers of all tables at once: at best one more than there are routers
    significantly better, by simultaneous intervals of all pairwise differences (Mogstad, Romano, Shaikh and
    Wilhelm 2024). finding: "leads" asks for an interval above zero, and for a lead above placebo_high and
    above shuffled_high.
    """
    return _by_kind(rows, _board)[_COLUMNS]


def _board(rows: pd.DataFrame) -> pd.DataFrame:
    """`board` of one kind of table."""
    found, leads = _judged(_standing(rows, "true"), "lead")
    control, luck = _judged(_standing(rows, "shuffled"), "lead")
    found[["point_low", "point_high"]] = leads.pointwise()
    found[["rank", "rank_low", "rank_high"]] = _ranks(found["table"].to_numpy(), leads)
    control["shuffled_leads"] = _clear(control, luck.value)
    control = control.rename(columns={"lead": "shuffled", "constant": "shuffled_constant"})
    control = control[[*_CELL, "shuffled", "shuffled_leads", "shuffled_constant"]]
    found = found.merge(control, on=_CELL, how="left")
    for name in ("shuffled_leads", "shuffled_constant"):
        found[name] = found[name].eq(True)
    found["shuffled_high"] = found["table"].map(control.groupby("table")["shuffled"].max())
    leading = _clear(found, leads.value) & ~(found["lead"] <= found["shuffled_high"])
    behind = (found["high"] < 0) & (found["low"] < found["high"])
    states = np.select([found["constant"], leading, behind], [SAME, LEADS, BEHIND], NONE)
    return found.assign(finding=np.where(found["failed"] == "", states, found["failed"]))


def _judged(rows: pd.DataFrame, what: Literal["lead", "share"]) -> tuple[pd.DataFrame, Cells]:
    """A row per table and router, a lead or share of the gap with simultaneous intervals; and these cells.

    Beside these: is_null, n, seeds, constant, failed, and means over splits, NaN where it failed.
    """
    sized = rows.assign(n=rows["n_train"] + rows["n_test"], constant=rows["constant"].eq(True))
    splits, groups = sized.groupby(_CELL, sort=False), _groups(rows)
    found = splits.agg(n=("n", "max"), seeds=("seed", "size"), constant=("constant", "all")).reset_index()
    sizes = pd.to_numeric(found["n"]).fillna(0).astype(int)
    found = found.assign(n=sizes, failed=[failed for failed, _ in groups])
    found["is_null"] = found["router"].isin(NULL)
    found[_MEANS] = splits[_MEANS].mean().to_numpy(dtype=float)
    found.loc[found["failed"] != "", _MEANS] = np.nan
    whole = [None if failed else part for failed, part in groups]
    cells = _cells(whole, _lead if what == "lead" else _share)
    found[what] = cells.value
    found[["low", "high"]] = cells.intervals()
    return found, cells


def _clear(found: pd.DataFrame, lead: Array) -> pd.Series[bool]:
    """Whether leads are above zero, by intervals that have a width, and above what is dealt out at random."""
    return (found["low"] > 0) & (found["low"] < found["high"]) & (lead > found["placebo_high"])


def _ranks(table: NDArray[np.object_], leads: Cells) -> Array:
    """Rank of every cell on its table, its lowest and its highest, (cells, 3)."""
    told = np.isfinite(leads.value)
    pairs = [
        pair
        for name in dict.fromkeys(table)
        for pair in combinations(np.flatnonzero((table == name) & told), 2)
    ]
    left, right = np.array(pairs, dtype=int).reshape(-1, 2).T
    apart, count = leads.at(left).minus(leads.at(right)), len(table)
    low, high = apart.intervals().T
    sure = low < high

    def losses(better: NDArray[np.bool_], worse: NDArray[np.bool_]) -> NDArray[np.intp]:
        return np.bincount(right[better], minlength=count) + np.bincount(left[worse], minlength=count)

    above = exceeds(apart.value, 0, 1.0), exceeds(-apart.value, 0, 1.0)
    lost, won = losses(sure & (low > 0), sure & (high < 0)), losses(sure & (high < 0), sure & (low > 0))
    routers = pd.Series(told).groupby(table).transform("sum").to_numpy()
    ranks = np.column_stack([1 + losses(*above), 1 + lost, routers - won])
    return np.where(told[:, None], ranks, np.nan)


class Overall(NamedTuple):
    """Routers over all tables of a board.

    Attributes
    ----------
    table : a row per router, by mean rank: router, is_null, mean_rank, mean_lead, tables_led, tables, and
        alike, how many others the Nemenyi test cannot tell it from.
    chi2, p : of the Friedman test that all routers are alike; NaN with fewer than three routers or two
        tables, or if they are equal everywhere.
    critical : smallest difference of mean ranks that the Nemenyi test shows at 5%.
    groups : routers that cannot be told apart, the largest such sets.
    left_out : routers without numbers on some table.
    """

    table: pd.DataFrame
    chi2: float
    p: float
    critical: float
    groups: tuple[tuple[str, ...], ...]
    left_out: tuple[str, ...]


def counted(found: pd.DataFrame) -> pd.DataFrame:
    """Those rows of a board, or of a table like it, that are not simulated; all if every one is."""
    return found[found["kind"] != "simulated"] if (found["kind"] != "simulated").any() else found


def overall(found: pd.DataFrame) -> Overall:
    """Mean ranks of routers over tables, and which of them differ (Demsar 2006, sec. 3.2).

    Tables are the sample here: the Friedman test asks whether routers would differ on further tables like
    these, and takes no notice of how unsure the leads on each are. Simulated tables are left out if there are
    others.

    Parameters
    ----------
    found : of `board`.
    """
    rows = counted(found)
    wide = rows.pivot(index="table", columns="router", values="lead").round(12)
    wide = wide[list(dict.fromkeys(rows["router"]))]
    whole = wide.dropna(axis=1)
    mean_rank, (tables, k) = whole.rank(axis=1, ascending=False).mean(), whole.shape
    chi2, p = np.nan, np.nan
    if k > 2 and tables > 1 and not mean_rank.eq(mean_rank.iloc[0]).all():
        chi2, p = stats.friedmanchisquare(*whole.to_numpy().T)
    critical = critical_difference(k, tables)
    led = rows[rows["finding"] == LEADS].groupby("router").size()
    table = pd.DataFrame({"mean_rank": mean_rank, "mean_lead": whole.mean()}).rename_axis("router")
    table = table.sort_values("mean_rank", kind="stable").reset_index()
    places = table["mean_rank"].to_numpy()
    table["tables_led"] = table["router"].map(led).fillna(0).astype(int)
    table["tables"] = tables
    table["alike"] = (np.abs(places[:, None] - places) < critical).sum(axis=1) - 1
    table.insert(1, "is_null", table["router"].isin(NULL))
    out = tuple(str(name) for name in wide if name not in whole)
    return Overall(table, float(chi2), float(p), critical, _alike(table, critical), out)


def critical_difference(routers: int, tables: int) -> float:
    """Nemenyi's smallest difference of mean ranks that is shown at 5% (Demsar 2006, sec. 3.2.2).

    >>> round(critical_difference(4, 14), 2)
    1.25
    """
    if routers < 2 or not tables:
        return np.nan
    quantile = stats.studentized_range.ppf(0.95, routers, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(routers * (routers + 1) / (6 * tables)))


def _alike(table: pd.DataFrame, critical: float) -> tuple[tuple[str, ...], ...]:
    """Largest sets of two or more routers whose mean ranks are closer than the critical difference."""
    places, names = table["mean_rank"].to_numpy(), table["router"].tolist()
    ends = [int((places < place + critical).sum()) for place in places]
    starts = [first for first, end in enumerate(ends) if end - first > 1]
    return tuple(
        tuple(names[first : ends[first]]) for first in starts if not first or ends[first] > ends[first - 1]
    )


def gap(rows: pd.DataFrame) -> pd.DataFrame:
    """How much of the way from the best single model to the oracle the model predicted best goes.

    The best single model is chosen on the training rows, and what is judged is one fixed decision, so that
    nothing is chosen on the rows that judge. The share is a ratio of means over splits.

    Returns
    -------
    A row per table and router: kind, table, router, is_null, n, gain and gap (units of quality), share (of
    the gap), low, high (95%, for all cells of a kind at once), recovers (more than `RECOVERED`, and low above
    zero), and prompts: of how many rows a table would have to be, at intervals whose width shrinks with the
    root of it, for a share of `RECOVERED` to have a lower bound above zero.
    """
    found = _by_kind(rows, lambda part: _judged(_standing(part, "true"), "share")[0])
    found["gain"] = found["quality"] - found["best_quality"]
    found["gap"] = found["oracle_quality"] - found["best_quality"]
    half = (found["high"] - found["low"]) / 2
    found["recovers"] = (found["share"] > RECOVERED) & (found["low"] > 0) & (half > 0)
    found["prompts"] = (found["n"] * (half / RECOVERED) ** 2).where(half > 0)
    return found[_GAP_COLUMNS]


def largest_share_said(shares: pd.DataFrame) -> str:
    """The largest share of a `gap` table, in Markdown; simulated tables are left out if there are others."""
    known = _shared(shares)
    if known.empty:
        return _say("no_shares", kind=_kind_words(shares))
    best = known.iloc[int(known["share"].argmax())]
    return _say("largest_share" if best["share"] > 0 else "no_gain", best=best)


def _shared(shares: pd.DataFrame) -> pd.DataFrame:
    """Cells that are counted, of routers that learn and that have a share."""
    rows = counted(shares).dropna(subset=["share", "low"])
    return rows[~rows["is_null"]]


def gap_said(shares: pd.DataFrame) -> str:
    """What a `gap` table says of arXiv 2608.08265's best share, in Markdown.

    Simulated tables are left out if there are others.
    """
    known, largest = _shared(shares), largest_share_said(shares)
    if known.empty:
        return largest
    on = [str(name) for name, part in known.groupby("table", sort=False) if part["recovers"].any()]
    most = known.iloc[int(known["high"].argmax())]
    tables, where = known["table"].nunique(), f": {listed(on)}" if on else ""
    counts = {"done": _of(len(on), tables), "kind": _kind_words(shares), "s": ending(tables)}
    told = _say("recovered", aim=RECOVERED, where=where, largest=largest, **counts)
    if len(on) >= TABLES:
        return told
    if most["high"] <= RECOVERED:
        return f"{told} {_say('out_of_reach', aim=RECOVERED)}"
    times = (known["prompts"] / known["n"]).groupby(known["table"], sort=False).median().dropna()
    cells = {"every": len(known), "leave": int(known["prompts"].notna().sum())}
    return f"{told} {_say('open', most=most, aim=RECOVERED, times=each(times, 1), **cells)}"


def settings(rows: pd.DataFrame) -> pd.DataFrame:
    """What changes with the embedding, with a router's own settings such as k, and with fewer labels.

    Each setting differs in one thing from the fit that stands on the board, and is compared with it on the
    same splits and resamples of prompts.

    Returns
    -------
    A row per table, router and setting, and per router and setting one of the mean over its tables: kind,
    table, router, what ("embedding", "share", or the name of a setting), value, number (value, if it is one),
    seeds, lead, difference (to the default's lead), low, high (95%, for all rows of a kind at once), finding.
    """
    return _by_kind(rows, _settings).reindex(columns=_SETTING_COLUMNS)


def settings_said(changes: pd.DataFrame) -> str:
    """How many changes of a `settings` table are shown, and the largest, in Markdown.

    Of several tables the mean over them counts.
    """
    several = changes["table"].eq(EVERY).any()
    rows = changes[changes["table"] == EVERY] if several else changes
    told = rows.dropna(subset=["difference", "low"])
    if told.empty:
        return _say("no_changes")
    shown = {word: (told["finding"] == word).sum() or "none" for word in ("better", "worse")}
    most = told.iloc[int(told["difference"].abs().argmax())]
    mean = ", in the mean over tables," if several else ""
    return _say("changes", changes=len(told), mean=mean, most=most, **shown)


def _settings(rows: pd.DataFrame) -> pd.DataFrame:
    """`settings` of one kind of table."""
    usual = dict(list(_standing(rows, "true").groupby(_CELL, sort=False)))
    names: list[list[Any]] = []
    pairs: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    for what, value, router, part in _varied(rows):
        base = usual.get((part["table"].iloc[0], router), rows.head(0))
        part, base = (one.sort_values("seed") for one in (part, base[base["seed"].isin(part["seed"])]))
        if list(base["seed"]) != list(part["seed"]) or _failure([base, part]):
            continue
        names.append([part["table"].iloc[0], router, what, value, len(part)])
        pairs.append((part, base))
    found = pd.DataFrame(names, columns=[*_CELL, "what", "value", "seeds"])
    if found.empty:
        return found
    changed, before = (_cells(each, _lead) for each in zip(*pairs, strict=True))
    apart = changed.minus(before)
    found["lead"] = changed.value
    means, cells = [], [apart]
    for key, some in found.groupby(["router", "what", "value"], sort=False):
        if len(some) > 1:
            means.append([EVERY, *key, some["seeds"].min(), some["lead"].mean()])
            cells.append(apart.at(some.index.to_numpy()).mean())
    found = pd.concat([found, pd.DataFrame(means, columns=found.columns)], ignore_index=True)
    every = joined(cells)
    low, high = every.intervals().T
    words = np.select([(low > 0) & (low < high), (high < 0) & (low < high)], ["better", "worse"], "not told")
    number = pd.to_numeric(found["value"], errors="coerce")
    return found.assign(number=number, difference=every.value, low=low, high=high, finding=words)


def _varied(rows: pd.DataFrame) -> Iterator[tuple[str, str, str, pd.DataFrame]]:
    """Setting, its value, router and rows of every table on which it differs from the default in that."""
    embedding, share = _usual(rows)
    true = rows[rows["labels"] == "true"]
    named = true["router"].str.contains("(", regex=False)
    other, less = true["embedding"] != embedding, true["share"] != share
    for places, what in ((other & ~less & ~named, "embedding"), (less & ~other & ~named, "share")):
        for (_, router, value), part in true[places].groupby([*_CELL, what], sort=False):
            yield what, f"{value:g}" if what == "share" else value, router, part
    for (_, name), part in true[named & ~other & ~less].groupby(_CELL, sort=False):
        if setting := _SETTING.fullmatch(name):
            yield setting["what"], setting["value"], setting["router"], part


def times(timings: pd.DataFrame) -> pd.DataFrame:
    """What each router takes on the machine that made the rows: a clock's numbers, kept apart from rows.

    Parameters
    ----------
    timings : a row a fit, router, seconds_fit and seconds_predict (per prompt).

    Returns
    -------
    A row per router, in the order of the rows (one by time would differ from run to run): router, fits,
    seconds_fit, seconds_predict (medians), and of each the 90% quantile, seconds_fit_high and
    seconds_predict_high.
    """
    columns = ["seconds_fit", "seconds_predict"]
    each = timings.dropna(subset=columns).groupby("router", sort=False)
    found = each[columns].median()
    found = found.join(each[columns].quantile(0.9).add_suffix("_high")).assign(fits=each.size()).reset_index()
    return found[["router", "fits", *(name for each in columns for name in (each, f"{each}_high"))]]


def allows(found: pd.DataFrame) -> str:
    """What a board allows one to say, and what not, in Markdown: a paragraph for the top of it.

    Simulated tables are told apart, if there are others.

    Parameters
    ----------
    found : of `board`.
    """
    rows, kind = counted(found), _kind_words(found)
    told = rows.dropna(subset="lead")
    if told.empty:
        return _say("nothing_judged")
    learnt = told[~told["is_null"]]
    sentences = [_leads_said(learnt, kind), _nulls_said(told), _handicap_said(told)]
    sentences += [*_order_said(found), _resolution_said(learnt)]
    if failed := sorted(set(rows.loc[rows["lead"].isna(), "router"])):
        sentences.append(_say("failed", routers=listed(failed)))
    apart = found[(found["kind"] == "simulated") & ~found["is_null"]].dropna(subset="lead")
    if len(apart) and kind != "simulated":
        led = int((apart["finding"] == LEADS).sum())
        sentences.append(_say("simulated", led=_of(led, len(apart))))
    return " ".join(filter(None, sentences))


def _leads_said(learnt: pd.DataFrame, kind: str) -> str:
    """How many cells lead."""
    if learnt.empty:
        return _say("none_learnt")
    leading, behind = (learnt[learnt["finding"] == state] for state in (LEADS, BEHIND))
    routers, tables = learnt["router"].nunique(), learnt["table"].nunique()
    size = _say("size", routers=routers, tables=tables, kind=kind, s=ending(tables))
    after = _say("behind", behind=_of(len(behind), len(learnt))) if len(behind) else ""
    if leading.empty:
        return _say("no_lead", size=size, after=after)
    cells = listed(f"{router} on {table}" for table, router in leading[_CELL].head(4).itertuples(index=False))
    more = f", and {len(leading) - 4} more" if len(leading) > 4 else ""
    led = _of(len(leading), len(learnt))
    return _say("leads", led=led, cells=cells, more=more, size=size, after=after)


def _nulls_said(rows: pd.DataFrame) -> str:
    """How often knowing nothing leads, by the same rule."""
    null, shuffled = rows[rows["is_null"]], _leaving(rows)
    parts = {
        "cells of routers that know nothing": null["finding"] == LEADS,
        "on shuffled labels that leave the zero router": shuffled["shuffled_leads"],
    }
    told = [f"{_of(int(led.sum()), len(led))} {where}" for where, led in parts.items() if len(led)]
    return f"By the same rule {listed(told)} lead." if told else ""


def _leaving(rows: pd.DataFrame) -> pd.DataFrame:
    """Cells whose router, fitted on shuffled labels, leaves the zero router now and then."""
    return rows[rows["shuffled"].notna() & ~rows["shuffled_constant"]]


def _handicap_said(rows: pd.DataFrame) -> str:
    """What lead a zero router has."""
    leads = rows.loc[rows["finding"] == SAME, "lead"]
    if leads.empty or leads.min() > -0.0005:
        return ""
    return _say("handicap", ends=f"{leads.min():+.3f} to {leads.max():+.3f}")


def _order_said(found: pd.DataFrame) -> Iterator[str]:
    """Whether the first can be told from the second, and where the null routers stand."""
    every = overall(found)
    if len(every.table) < 2:
        return
    (_, first), (_, second), *_ = every.table.iterrows()
    tables, routers = int(first["tables"]), len(every.table)
    alike = second["mean_rank"] - first["mean_rank"] < every.critical
    sizes = {"tables": tables, "s": ending(tables), "routers": routers, "critical": every.critical}
    yield _say("order", first=first, second=second, can="cannot" if alike else "can", **sizes)
    own = counted(found)
    surely = int((own.loc[own["router"] == first["router"], "rank_high"] == 1).sum())
    yield _say("only_first", router=first["router"], tables=_of(surely, tables))
    if np.isfinite(every.p):
        rejects = "rejects" if every.p < 0.05 else "does not reject"
        yield _say("friedman", rejects=rejects, p=every.p, alike=_of(int(first["alike"]), routers - 1))
    null = every.table["is_null"]
    if null.any():
        place = int(null.to_numpy().argmax())
        name, below = every.table["router"].iloc[place], (~null.iloc[place:]).sum()
        yield _say("null_place", router=name, place=place + 1, below=below)


def _resolution_said(learnt: pd.DataFrame) -> str:
    """The smallest lead that intervals of such width could have shown."""
    some = learnt[(learnt["finding"] != SAME) & (learnt["high"] > learnt["low"])]
    if some.empty:
        return _say("no_width")
    half = ((some["high"] - some["low"]) / 2).groupby(some["table"], sort=False).median()
    return _say("width", half=each(half, 3))


def evidence(
    rows: pd.DataFrame, found: pd.DataFrame, shares: pd.DataFrame, *, chosen: str = "knn-chosen"
) -> dict[str, Evidence]:
    """What a board found, by the keys of claims.

    Simulated tables are left out if there are others.

    Parameters
    ----------
    rows : of `sweep.here`.
    found, shares : `board` and `gap` of them.
    chosen : router that is held against every trained one.

    Returns
    -------
    some-leads ("some above"): of each table the cell that speaks most for a lead, its floor what knowing
    nothing reaches. null-leads ("is so"): no null router, and none on shuffled labels, leads. first-second
    ("is so"): the first by mean rank cannot be told from the second. gap ("is so"): on `TABLES` tables more
    than `RECOVERED` is recovered with a lower bound above zero. chosen-knn ("above", level minus `ALIKE`):
    mean lead over the tables of `chosen` minus that of each other router that learns; none without it.
    """
    differences, told = _mean_differences(rows), counted(found).dropna(subset="lead")
    learnt, null = told[~told["is_null"] & (told["finding"] != SAME)], told[told["is_null"]]
    order = learnt.assign(leads=learnt["finding"] == LEADS, may=learnt["high"] > 0)
    best = order.sort_values(["leads", "may", "lead"], ascending=False, kind="stable")
    best = best.drop_duplicates("table").sort_index()
    null_led, luck = int((null["finding"] == LEADS).sum()), int(told["shuffled_leads"].sum())
    controls = len(_leaving(told))
    words = f"null routers {_of(null_led, len(null))}, shuffled labels {_of(luck, controls)}"
    return {
        "some-leads": [_estimate(row) for _, row in best.iterrows()],
        "null-leads": Fact(null_led + luck == 0 if len(null) + controls else None, words),
        "first-second": _first_second(found, differences),
        "gap": _gap_fact(shares),
        "chosen-knn": [
            lead for (one, other), lead in differences.items() if one == chosen and other not in NULL
        ],
    }


def _estimate(row: pd.Series[Any]) -> Estimate:
    """A board's row as what a statement is held against."""
    floor = float(np.nanmax([row["placebo_high"], row["shuffled_high"]]))
    name = f"{row['router']} on {row['table']}"
    return Estimate(row["lead"], row["low"], row["high"], name, row["n"], floor)


def _first_second(found: pd.DataFrame, differences: Mapping[tuple[str, str], Estimate]) -> Fact:
    """Whether the first by mean rank cannot be told from the second: neither by ranks nor by mean leads."""
    every = overall(found)
    if len(every.table) < 2:
        return Fact(None, "fewer than two routers")
    first, second = every.table["router"].iloc[:2]
    apart, lead = float(every.table["mean_rank"].diff().iloc[1]), differences[first, second]
    words = _say("first_second", lead=lead.words("+.4f"), apart=-apart, critical=every.critical)
    return Fact(bool(apart < every.critical and lead.low <= 0 <= lead.high), words)


def _mean_differences(rows: pd.DataFrame) -> dict[tuple[str, str], Estimate]:
    """Differences in mean lead of all ordered pairs of routers that have numbers on every table.

    Intervals hold for all pairs at once, so that they hold for the first and the second, whoever they are.
    """
    kinds = dict(_kinds(rows))
    part = pd.concat([kinds[kind] for kind in kinds if kind != "simulated"] or list(kinds.values()))
    found, leads = _judged(_standing(part, "true"), "lead")
    tables, prompts = found["table"].nunique(), int(found.groupby("table")["n"].max().sum())
    told = found.dropna(subset="lead").groupby("router", sort=False)
    means = {str(name): leads.at(part.index.to_numpy()).mean() for name, part in told if len(part) == tables}
    pairs = list(permutations(means, 2))
    if not pairs:
        return {}
    every = joined([means[one].minus(means[other]) for one, other in pairs])
    ends = np.column_stack([every.value, every.intervals()]).tolist()
    return {
        (one, other): Estimate(value, low, high, f"{one} minus {other}", prompts)
        for (one, other), (value, low, high) in zip(pairs, ends, strict=True)
    }


def _gap_fact(shares: pd.DataFrame) -> Fact:
    """Whether on `TABLES` tables more than `RECOVERED` is recovered; None if intervals leave it open."""
    rows = counted(shares)
    rows = rows[~rows["is_null"]].dropna(subset="high")
    done, open_ = (
        rows.loc[which, "table"].nunique() for which in (rows["recovers"], rows["high"] > RECOVERED)
    )
    best = rows.sort_values("share", ascending=False, kind="stable").drop_duplicates("table")
    told = [_say("share", row=row) for _, row in best.iterrows()]
    holds = True if done >= TABLES else None if open_ >= TABLES else False
    return Fact(holds, f"on {_of(done, rows['table'].nunique())} tables; {listed(told)}")


def _of(some: int, every: int) -> str:
    """So many of so many.

    >>> _of(0, 5), _of(2, 5)
    ('none of 5', '2 of 5')
    """
    return f"{some or 'none'} of {every}"


def _kind_words(found: pd.DataFrame) -> str:
    """Kinds of table that are counted, such as "real"."""
    return listed(dict.fromkeys(counted(found)["kind"]))


def _by_kind(rows: pd.DataFrame, make: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """What is made of the rows of each kind of table, with a column that names the kind."""
    return pd.concat([make(part).assign(kind=kind) for kind, part in _kinds(rows)], ignore_index=True)


def _kinds(rows: pd.DataFrame) -> list[tuple[Kind, pd.DataFrame]]:
    """Rows of real, own and simulated tables, whichever there are, with all columns and none twice."""
    asked = [field.name for field in fields(Asked)]
    lacking = [name for name in _NUMBERS if name not in rows]
    whole = rows.reindex(columns=[*rows.columns, *lacking]).drop_duplicates(asked)
    kinds = whole["table"].map(kind_of)
    order: tuple[Kind, ...] = ("real", "own", "simulated")
    return [(kind, whole[kinds == kind]) for kind in order if (kinds == kind).any()]


def _usual(rows: pd.DataFrame) -> tuple[Any, Any]:
    """Embedding and share of the fits that stand on the board: `Asked`'s, or the first and most there are."""
    known = rows["embedding"]
    usual = Asked.embedding if (known == Asked.embedding).any() else known.iloc[0]
    return usual, rows["share"].max()


def _standing(rows: pd.DataFrame, labels: str) -> pd.DataFrame:
    """Rows of fits with the usual embedding and share, by routers with the settings of their names.

    Of a router whose usual settings were not asked for, those with others stand.
    """
    embedding, share = _usual(rows)
    own = rows["router"].str.split("(").str[0]
    named = rows["router"].isin(set(own)) | ~own.isin(set(rows["router"]))
    right = (rows["embedding"] == embedding) & (rows["share"] == share)
    return rows[right & named & (rows["labels"] == labels)]


def _groups(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Rows of every table and router by seed, after "" or why they give no numbers."""
    seeds = rows.groupby("table")["seed"].nunique().to_dict()
    groups = []
    for (table, _), part in rows.groupby(_CELL, sort=False):
        lacking = seeds[table] - len(part)
        missing = f"failed: no fit on {lacking} of {seeds[table]} splits" if lacking else ""
        groups.append((_failure([part]) or missing, part.sort_values("seed")))
    return groups


def _failure(parts: Iterable[pd.DataFrame]) -> str:
    """Why some rows give no number, or ""."""
    errors = [error for part in parts for error in part["error"]]
    failed = [error for error in errors if error]
    if not failed:
        return ""
    where = f" (on {len(failed)} of {len(errors)} splits)" if len(failed) < len(errors) else ""
    return f"failed: {failed[0]}{where}"


def _cells(
    groups: Sequence[pd.DataFrame | None], read: Callable[[pd.DataFrame, Counts], tuple[float, Array, Array]]
) -> Cells:
    """Cells of groups of rows; NaN where there is None.

    Parameters
    ----------
    read : from a group's rows and (draws, splits) counts of its splits, the same for all groups of as many,
        to a cell's value, draws and splits.
    """
    good = [part for part in groups if part is not None]
    draws = len(good[0]["lead_draws"].iloc[0]) if good else 1
    most = max((len(part) for part in good), default=1)
    shapes = (len(groups),), (draws, len(groups)), (len(groups), most)
    found = Cells(*(np.full(shape, np.nan) for shape in shapes))
    for cell, part in enumerate(groups):
        if part is not None:
            counts = bootstrap_weights(len(part), draws, np.random.default_rng([0, len(part)]))
            found.value[cell], found.draws[:, cell], found.splits[cell, : len(part)] = read(part, counts)
    return found


def _lead(part: pd.DataFrame, counts: Counts) -> tuple[float, Array, Array]:
    """Mean lead over splits."""
    splits = part["lead"].to_numpy(dtype=float)
    return float(splits.mean()), _resampled(part["lead_draws"], counts), splits


def _share(part: pd.DataFrame, counts: Counts) -> tuple[float, Array, Array]:
    """Share of the gap that is gained; of a split, what it adds to that to first order."""
    best = part["best_quality"].to_numpy(dtype=float)
    gain, gap = (part[name].to_numpy(dtype=float) - best for name in ("quality", "oracle_quality"))
    drawn = (_resampled(part[name], counts) for name in ("gain_draws", "gap_draws"))
    share = _ratio(gain.mean(), gap.mean())
    return float(share), _ratio(*drawn), share + _ratio(gain - share * gap, gap.mean())


def _ratio(part: ArrayLike, whole: ArrayLike) -> Array:
    """Part of a whole, NaN where the whole is nothing."""
    some = np.asarray(whole, dtype=float)
    return np.asarray(part, dtype=float) / np.where(exceeds(some, 0, 1.0), some, np.nan)


def _resampled(column: pd.Series[Any], counts: Counts) -> Array:
    """Means over resampled splits of each split's draws, draw by draw, (draws,)."""
    return np.asarray((counts * np.stack(column.tolist(), axis=1)).sum(axis=1) / len(column))
