"""`Outcomes`: what every model answered to every query, as quality and cost."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Self, get_args, overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rb_support.catalog import DATASETS
from rb_support.outcomes import files, wide
from rb_support.outcomes.checks import Checks, TableError, refuse_models, refuse_unknown, shown
from rb_support.outcomes.splits import same_text, train_mask
from rb_support.visible import hidden

KEYS = ("sample_id", "dataset", "task", "prompt")
UNIT, USD, SECONDS = "cost_unit", "USD", "s"
_IN_UNIT = "costs are not in USD but in "
_UNITS = {"seconds": SECONDS, "latency": SECONDS, "latency_s": SECONDS}
Kind = Literal["simulated", "real", "own"]
Models = Sequence[str] | None
Renamed = Mapping[str, str] | None


@dataclass(frozen=True)
class Origin:
    """Where a table's rows come from; printed on every figure and kept in its record.

    Attributes
    ----------
    kind : "simulated", "real" (published outcomes) or "own" (a user's table).
    name : one line for a figure's face, such as "RouterBench 5-shot (three tasks)".
    files : pairs (file name, sha256) of what was read; empty for simulated tables.
    notes : sentences on what was done to the rows (merged halves, dropped rows, assumptions).
    """

    kind: Kind
    name: str
    files: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def noting(self, sentences: Iterable[str]) -> Origin:
        """Origin with these sentences added to its notes."""
        return replace(self, notes=(*self.notes, *sentences))

    @property
    def cost_unit(self) -> str:
        """Unit of the costs: the one that a note names, else "USD"."""
        named = [note.removeprefix(_IN_UNIT) for note in self.notes if note.startswith(_IN_UNIT)]
        return named[-1] if named else USD

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Origin:
        """Origin whose `asdict` went through JSON.

        Raises
        ------
        KeyError, TypeError, ValueError : if the record is none of these.
        """
        origin = cls(
            record["kind"], record["name"], tuple(map(tuple, record["files"])), tuple(record["notes"])
        )
        texts = [origin.name, *origin.notes, *(text for pair in origin.files for text in pair)]
        if origin.kind not in get_args(Kind) or {len(pair) for pair in origin.files} - {2}:
            raise ValueError(f"kind {origin.kind!r} or files are none that a table has")
        if any(len(text) > 10_000 or hidden(text) for text in texts):
            raise ValueError("a name, file or note is too long or holds a control character")
        return origin


OWN = Origin("own", "own table")
"""Origin of a table whose maker named none."""


Named = str | list[str]
"""The column of an (n,) array, or the columns of an (n, m) one."""


class Rows:
    """What tables share: rows are taken from `frame` and from every array beside it."""

    frame: pd.DataFrame
    origin: Origin

    def __len__(self) -> int:
        return len(self.frame)

    def _set(self, **parts: Any) -> None:
        """Set attributes of a frozen table while it is made."""
        for name, value in parts.items():
            object.__setattr__(self, name, value)

    def take(self, rows: ArrayLike) -> Self:
        """Table of some rows.

        Parameters
        ----------
        rows : indices in any order, each once, or an (n,) boolean mask.

        Raises
        ------
        TableError : if no row is taken, one is taken twice or a mask has the wrong length.
        """
        index = _indices(rows, len(self), self.origin.name)
        part = copy.copy(self)  # the rows were checked when this table was made
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                part._set(**{item.name: read_only(value[index])})
        part._set(frame=self.frame.iloc[index].reset_index(drop=True))
        return part

    @staticmethod
    def _columns(record: Mapping[str, Any]) -> dict[str, Named]:
        """Columns of a file that hold the arrays, by their names; `record` holds the other parts."""
        return {}

    def to_parquet(self, path: str | Path) -> None:
        """Write the table and its origin without loss; the file appears whole or not at all."""
        record = {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]
        columns = self._columns(record).items()
        arrays = [pd.DataFrame(record.pop(name), columns=np.atleast_1d(named)) for name, named in columns]
        frame = pd.concat([record.pop("frame"), *arrays], axis=1)
        about = {"table": type(self).__name__, **record, "origin": asdict(self.origin)}
        files.write_parquet(path, frame, about)

    @classmethod
    def from_parquet(cls, path: str | Path, *, published: bool = False) -> Self:
        """Table that `to_parquet` wrote.

        Parameters
        ----------
        published : whether the caller has checked that the file was made of published ones; a table that
            merely calls itself real counts as own, with a note.

        Raises
        ------
        TableError : if the file holds something else.
        """
        path = Path(path)
        return cls._of_file(files.read_parquet(path), path.name, published)

    @classmethod
    def _of_file(cls, read: files.Read, name: str, published: bool = False) -> Self:
        name, held = shown(name), read.record.get("table", "no table of this project")
        if held != cls.__name__:
            raise TableError(f"{name}: holds {shown(held)}, not {cls.__name__}; use the class that wrote it")
        try:
            origin = Origin.from_record(read.record["origin"])
            if origin.kind == "real" and not published:
                note = f"the file calls itself real: {origin.name}"
                origin = Origin("own", name, ((name, read.sha256),), (*origin.notes, note))
            columns = cls._columns(read.record)
            of_arrays = [*chain(*map(np.atleast_1d, columns.values()))]
            parts: dict[str, Any] = {"frame": read.frame.drop(columns=of_arrays)}
            for part, named in columns.items():
                parts[part] = read.frame[named].to_numpy(dtype=float)
            for item in fields(cls):  # type: ignore[arg-type]
                if item.name not in (*parts, "origin"):
                    value = read.record[item.name]
                    parts[item.name] = tuple(value) if isinstance(value, list) else value
            return cls(**parts, origin=origin)  # type: ignore[call-arg]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise TableError(
                f"{name}: its metadata 'rb_support' and its columns are no {cls.__name__} ({shown(error)}); "
                "write the table again, or without these metadata"
            ) from error


class Queries(Rows):
    """What tables of queries share: ids of their own, datasets and tasks."""

    def _check_frame(self) -> Checks:
        """Refuse rows that lack an id of their own, a dataset, a task or a prompt."""
        checks = Checks(self.frame, self.origin.name)
        checks.need_columns(KEYS)
        checks.refuse_not_text(KEYS)
        checks.refuse_blank(KEYS[:3])
        checks.refuse_odd_names(KEYS[:3])
        checks.refuse_same_ids()
        return checks

    @property
    def datasets(self) -> tuple[str, ...]:
        """Datasets present, in the order of `catalog.DATASETS`, then others by name."""
        there = list(dict.fromkeys(self.frame["dataset"]))
        return (*(d for d in DATASETS if d in there), *sorted(d for d in there if d not in DATASETS))

    def of(self, dataset: str) -> Self:
        """Rows of one dataset.

        Raises
        ------
        TableError : if the table has no row of it.
        """
        return self.take(self._of(dataset))

    def _of(self, dataset: str) -> NDArray[np.bool_]:
        refuse_unknown([dataset], self.datasets, self.origin.name, "dataset")
        return (self.frame["dataset"] == dataset).to_numpy(dtype=bool)


def _indices(rows: ArrayLike, n: int, name: str) -> NDArray[np.intp]:
    index = np.asarray(rows)
    if index.dtype == bool:
        if index.shape != (n,):
            raise TableError(f"{name}: a mask of shape {index.shape} does not fit {n} rows; give ({n},)")
        index = np.flatnonzero(index)
    if not index.size:
        raise TableError(f"{name}: no row is taken, and a table has at least one; loosen the selection")
    if len(np.unique(index % n)) < len(index):
        raise TableError(f"{name}: a row is taken twice; to resample, index `quality` and `cost` themselves")
    return index


def read_only(values: ArrayLike) -> NDArray[np.float64]:
    """Read-only float copy of an array."""
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class PartialOutcomes(Queries):
    """What models answered to queries, where not every model was asked every query or a call failed.

    Nothing in a table may be changed: the arrays are read-only, and the frame is to be copied before it
    is edited. A cell that lacks its score or its cost counts as not answered, and lacks both. An `Outcomes`
    is one in which nothing is missing, so what learns from answered cells takes either.

    Attributes
    ----------
    frame : n rows with sample_id, dataset, task, prompt and any further columns.
    quality : (n, m) in [0, 1]; NaN where a model did not answer.
    cost : (n, m) per query, in `cost_unit`; NaN likewise.
    models : m names.
    origin : where the rows come from.

    Raises
    ------
    TableError : if a part is missing, misshapen or holds what it must not.
    """

    frame: pd.DataFrame
    quality: NDArray[np.float64]
    cost: NDArray[np.float64]
    models: tuple[str, ...]
    origin: Origin = OWN

    def __post_init__(self) -> None:
        self._checked()
        gone = np.isnan(self.quality) | np.isnan(self.cost)
        quality, cost = (np.where(gone, np.nan, part) for part in (self.quality, self.cost))
        self._set(quality=read_only(quality), cost=read_only(cost))

    def _checked(self) -> Checks:
        """Checks that all but a missing cell have passed."""
        self._set(models=tuple(self.models), frame=self.frame.reset_index(drop=True))
        self._set(quality=read_only(self.quality), cost=read_only(self.cost))
        checks = self._check_frame()
        refuse_models(self.models, self.origin.name)
        self._check_shapes()
        checks.refuse_scores(self.quality, self.models)
        checks.refuse_costs(self.cost, wide.cost_columns(self.models))
        if self.frame.get(UNIT, pd.Series(USD)).nunique(dropna=False) > 1:
            raise TableError(f"{self.origin.name}: column '{UNIT}' names several units; costs need one")
        if self.cost_unit != self.origin.cost_unit:
            self._set(origin=self.origin.noting([_IN_UNIT + self.cost_unit]))
        return checks

    @property
    def answered(self) -> NDArray[np.bool_]:
        """(n, m) cells that hold a score and a cost."""
        return ~np.isnan(self.quality)

    @property
    def cost_unit(self) -> str:
        """Unit of the costs: what the frame's column `cost_unit` says, such as "s", else "USD"; noted."""
        unit = str(self.frame.get(UNIT, pd.Series(USD)).iloc[0])
        return shown(_UNITS.get(unit, unit))

    def complete(self) -> Outcomes:
        """Rows that every model answered; the origin notes how many were dropped.

        Raises
        ------
        TableError : if there is none, naming the model that lacks most.
        """
        rows, notes = wide.complete_rows(self.quality, self.cost, self.models, self.origin.name)
        part = self.take(rows) if notes else self
        whole = object.__new__(Outcomes)  # the rows were checked when this table was made
        whole._set(**vars(part) | {"origin": self.origin.noting(notes)})
        return whole

    def _check_shapes(self) -> None:
        shape, name = (len(self.frame), len(self.models)), self.origin.name
        for part, has in (("quality", self.quality.shape), ("cost", self.cost.shape)):
            if has != shape:
                raise TableError(f"{name}: {part} has shape {has}; rows and models ask for {shape}")
        names = [*self.models, *wide.cost_columns(self.models), *self.frame.columns]
        clash = [column for column, count in Counter(names).items() if count > 1]
        if clash:
            raise TableError(
                f"{name}: column '{shown(clash[0])}' of the frame has a model's name; rename the column"
            )

    def select(self, models: Sequence[str]) -> Self:
        """Table of some models, in the order given; columns `<model>|…` of the others go.

        Raises
        ------
        TableError : if a model is unknown or named twice.
        """
        refuse_unknown(models, self.models, self.origin.name)
        at = [self.models.index(model) for model in models]
        gone = wide.of_model(list(self.frame.columns), [m for m in self.models if m not in models])
        frame = self.frame.drop(columns=gone)
        return type(self)(frame, self.quality[:, at], self.cost[:, at], tuple(models), self.origin)

    def points(self) -> NDArray[np.float64]:
        """(m, 2) mean cost and mean quality of each model (RouterBench, section 3.1) over what it answered.

        NaN for a model that answered nothing. Means over other rows compare models only if whom one asked did
        not hang on the prompt.
        """
        sums = [np.nansum(part, axis=0) for part in (self.cost, self.quality)]
        with np.errstate(invalid="ignore"):
            return np.column_stack(sums) / self.answered.sum(axis=0)[:, None]

    def priced(self, by: str) -> Self:
        """The same table with the further columns `<model>|<by>`, such as latency, as its cost axis.

        The dollars go; `cost_unit` becomes "s" for latency, else the column's name.

        Raises
        ------
        TableError : if a model has no such column, or a cell of it is no cost.
        """
        columns = [f"{model}|{by}" for model in self.models]
        refuse_unknown(columns, list(self.frame.columns), self.origin.name, "column")
        checks = Checks(self.frame, self.origin.name)
        cost = checks.numbers(columns, truth=False)
        checks.refuse_costs(cost, columns)
        if self.answered.all():
            checks.refuse_missing(cost, columns)
        return replace(self, frame=self.frame.assign(**{UNIT: by}), cost=cost)

    def split(self, train_share: float = 0.7, *, seed: int | np.random.Generator) -> tuple[Self, Self]:
        """Split every task at random into a training and a test part, never parting equal prompts.

        Prompts are equal if their texts are, white space around them aside. The draw depends on the rows
        but not on their order. A task with one row goes to the training part.

        Parameters
        ----------
        train_share : share of each task's rows to train on, above 0 and below 1; RouterBench takes 0.7.
        seed : of the draw.

        Raises
        ------
        TableError : if the share is out of range or no row is left to test on.
        """
        if not 0 < train_share < 1:
            raise TableError(
                f"train_share is {train_share}; give a fraction above 0 and below 1, such as 0.7"
            )
        mask = train_mask(self.frame, train_share, seed)
        if mask.all() or not mask.any():
            raise TableError(
                f"{self.origin.name}: its prompts cannot be split, one part stays empty; "
                "give a task at least two different prompts"
            )
        return self.take(mask), self.take(~mask)

    def out_of_domain(self, dataset: str) -> tuple[Self, Self]:
        """Train on all other datasets, test on one (RouterBench, Figure 8).

        Rows of other datasets whose prompt is also a test prompt are left out of the training part.

        Raises
        ------
        TableError : if the table has no row of the dataset, or none to train on.
        """
        test = self._of(dataset)
        text = pd.Series(same_text(self.frame["prompt"]))
        train = ~test & ~text.isin(text[test]).to_numpy()
        if not train.any():
            raise TableError(f"{self.origin.name}: only '{dataset}' is there; add rows of another dataset")
        return self.take(train), self.take(test)

    @classmethod
    def from_wide(
        cls,
        frame: pd.DataFrame,
        *,
        models: Models = None,
        origin: Origin | None = None,
        name: str = "table",
        missing: wide.Gaps = "raise",
    ) -> Self:
        """Table from a wide frame: one row per query, the published schema.

        Needed are `sample_id`, `prompt`, `eval_name` (the task) and per model `<model>` (score in [0, 1],
        number or numeric text) and `<model>|total_cost` (USD per query). A `dataset` column, if there is
        one, overrules the dataset that the task implies (`catalog.dataset_of_task`: one of RouterBench's
        eight for a published task, else the task's own name); other columns are kept, and a note names those
        that look like scores without a cost. A prompt that is a list of texts or chat messages, as a value or
        as JSON, Python or NumPy write one, is decoded: its texts (roles left out) are joined by a blank line.
        Categories, bytes in UTF-8 and other lists become text; numbers are those of `cells.number`.

        Parameters
        ----------
        models : the models to keep, in this order; all if None.
        origin : where the rows come from; else kind "own" under `name`.
        name : how messages call the frame, such as the file's name.
        missing : "raise" refuses a missing score or cost, "drop" drops its row and notes how many; "keep" is
            for a `PartialOutcomes`.

        Raises
        ------
        TableError : naming file, row (data rows counted from 1), column and remedy.
        """
        parts, notes = wide.parse_wide(frame, models, name, missing)
        return cls(*parts, (origin or Origin("own", name)).noting(notes))

    def to_wide(self) -> pd.DataFrame:
        """Wide frame, which `from_wide` reads back to the same table."""
        return wide.wide_frame((self.frame, self.quality, self.cost, self.models))

    @classmethod
    def from_long(
        cls,
        frame: pd.DataFrame,
        *,
        models: Models = None,
        origin: Origin | None = None,
        name: str = "table",
        missing: wide.Gaps = "raise",
    ) -> Self:
        """Table from a long frame: one row per query and model, as in the published raw file.

        Needed are `sample_id`, `prompt`, `eval_name`, `model_name`, `performance` and `cost`. Parameters
        and refusals are those of `from_wide`; a model that answers one sample twice is refused too.

        Raises
        ------
        TableError : naming file, row (data rows counted from 1), column and remedy.
        """
        pivoted, origin = wide.wide_of_long(frame, name), origin or Origin("own", name)
        if models is None:
            models = [c.removesuffix(wide.COST) for c in pivoted.columns if c.endswith(wide.COST)]
        name = f"{name} (one row per sample)"
        return cls.from_wide(pivoted, models=models, origin=origin, name=name, missing=missing)

    def to_long(self) -> pd.DataFrame:
        """Long frame, query by query, which `from_long` reads back."""
        return wide.long_frame((self.frame, self.quality, self.cost, self.models))

    def to_csv(self, path: str | Path, *, long: bool = False) -> None:
        """Write the wide or long frame as a CSV file, which `read` gives back.

        It appears whole or not at all; `files.write_csv` says how formulas are kept from spreadsheets.

        Raises
        ------
        TableError : if the file cannot be written.
        """
        files.write_csv(path, self.to_long() if long else self.to_wide())

    @staticmethod
    def _columns(record: Mapping[str, Any]) -> dict[str, Named]:
        return {"quality": list(record["models"]), "cost": wide.cost_columns(record["models"])}


@dataclass(frozen=True, eq=False)
class Outcomes(PartialOutcomes):
    """What every model answered to every query: quality and cost, no cell missing.

    Parts and methods are those of `PartialOutcomes`.

    Raises
    ------
    TableError : if a part is missing, misshapen or holds what it must not.
    """

    def __post_init__(self) -> None:
        wide.refuse_missing(self._checked(), self.quality, self.cost, self.models)

    def complete(self) -> Outcomes:
        """The table itself."""
        return self

    @overload
    @classmethod
    def read(
        cls, path: str | Path, *, models: Models = ..., missing: wide.Missing = ..., columns: Renamed = ...
    ) -> Outcomes: ...

    @overload
    @classmethod
    def read(
        cls, path: str | Path, *, models: Models = ..., missing: wide.Gaps, columns: Renamed = ...
    ) -> PartialOutcomes: ...

    @classmethod
    def read(
        cls, path: str | Path, *, models: Models = None, missing: wide.Gaps = "raise", columns: Renamed = None
    ) -> PartialOutcomes:
        """Table from a CSV or Parquet file, wide or long as its columns tell.

        A Parquet file that `to_parquet` wrote keeps its own origin; one that calls itself real is own data
        all the same, for only `rb_support.sources` knows published files.

        Parameters
        ----------
        models : the models to keep, in this order; all if None.
        missing : "raise" refuses a missing score or cost, "drop" drops its row and notes how many; "keep"
            gives a `PartialOutcomes` if a cell is missing, an `Outcomes` if none is.
        columns : name in the schema -> the file's own name of that column.

        Raises
        ------
        TableError : as `from_wide` and `from_long`, or if the file cannot be read or lacks one of `columns`.
        """
        path = Path(path)
        read, name = files.read(path), shown(path.name)
        if "table" in read.record:
            partial = read.record["table"] == PartialOutcomes.__name__
            table = (PartialOutcomes if partial else cls)._of_file(read, path.name)
            table = table if models is None else table.select(models)
            if missing == "raise" and partial:
                return cls(table.frame, table.quality, table.cost, table.models, table.origin)
            return table.complete() if missing == "drop" or table.answered.all() else table
        origin = Origin("own", name, ((name, read.sha256),), tuple(read.notes))
        frame = files.renamed(read.frame, columns or {}, name)
        return table_of(frame, models=models, origin=origin, name=path.name, missing=missing)


def table_of(
    frame: pd.DataFrame, *, models: Models = None, origin: Origin, name: str, missing: wide.Gaps
) -> PartialOutcomes:
    """Table from a wide or long frame, as its columns tell; an `Outcomes` unless a missing cell is kept.

    Parameters are those of `Outcomes.from_wide` and `Outcomes.read`.
    """
    kind = PartialOutcomes if missing == "keep" else Outcomes
    build = kind.from_long if "model_name" in frame.columns else kind.from_wide
    table = build(frame, models=models, origin=origin, name=name, missing=missing)
    return table.complete() if table.answered.all() else table
