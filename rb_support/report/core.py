"""`Report`: what a notebook saves its figures, tables and checked claims with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from rb_support.outcomes import Origin
from rb_support.paper import ITEMS, Item
from rb_support.report import gallery, provenance, render, store
from rb_support.report.claims import Claim, check, claims_of
from rb_support.report.store import ReportError
from rb_support.report.style import use_style
from rb_support.report.text import described, said
from rb_support.verdicts import Evidence

_PAPERS = re.compile(r"\b(papers?|published|printed|RouterBench|RouteLLM)\b")
_ID = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")


@dataclass(frozen=True)
class Versus:
    """One of our numbers beside the paper's.

    Attributes
    ----------
    what : the quantity, such as "AIQ, zero router".
    ours : our value.
    paper : the published value; None if the paper prints none.
    source : where the published value stands; needed whenever there is one.
    why : what explains a difference.
    """

    what: str
    ours: float | str
    paper: float | str | None = None
    source: str = ""
    why: str = ""

    def __post_init__(self) -> None:
        if self.paper is not None and not self.source:
            raise ReportError(f"{self.what!r}: a published number needs its source (source='Table 2')")


def beside(
    ours: pd.Series[float], published: pd.Series[float], *, what: str, source: str, why: str = ""
) -> list[Versus]:
    """Our numbers beside the published ones, wherever one is printed.

    Parameters
    ----------
    ours, published : numbers by the same index, such as the models; unprinted ones are absent or NaN.
    what : the quantity, with `{}` for the index entry; of several levels, the parts that are not empty stand
        there with commas between them.
    source, why : as in `Versus`.
    """
    both = pd.DataFrame({"ours": ours, "paper": published}).reindex(ours.index).dropna(subset="paper")
    parts = [key if isinstance(key, tuple) else (key,) for key in both.index]
    labels = [what.format(", ".join(str(part) for part in key if part != "")) for key in parts]
    pairs = zip(labels, both.to_numpy(dtype=float).tolist(), strict=True)
    return [Versus(label, mine, theirs, source, why) for label, (mine, theirs) in pairs]


@dataclass
class Report:
    """Saves a notebook's figures, tables and claims under `figures/<kind of data>/`.

    Making one applies the project's figure style. Of a user's own rows it says nothing that speaks of the
    papers: published numbers (`versus`, columns `paper…` and `published…`), claims that cite a paper, and
    sentences of a note that name one are left out, and items have titles of their own.

    Parameters
    ----------
    notebook : file name of the notebook without ending, such as "03_predictive_routers".
    origin : where the rows come from; its kind names the folder and is written on every item.
    asked : origin of the data the run asked for, if the rows are others. It names the folder then; every item
        in it still says what its rows are.
    parameters : the notebook's parameters.
    seed : seed of the notebook's random generator.
    folder : folder that holds `simulated/`, `real/`, `own/`; default RB_FIGURES_DIR, else the
        repository's `build/figures`, else `./figures`.

    Examples
    --------
    >>> report = Report("03_predictive_routers", origin, dict(data="simulated"), seed=0)  # doctest: +SKIP
    >>> report.save_figure(fig, "rb-fig4", data=frame)  # doctest: +SKIP
    >>> report.claims({"knn-mlp-mmlu": predictive.estimates(rows)})  # doctest: +SKIP
    """

    notebook: str
    origin: Origin
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    folder: Path | None = None
    asked: Origin | None = None

    def __post_init__(self) -> None:
        use_style()
        render.show_alike()

    @property
    def directory(self) -> Path:
        """Folder of this report's items: `<folder>/<kind of data>`, or `<folder>/own/<table>`."""
        return Path(self.folder or store.figures_root()) / store.folder_of(self.asked or self.origin)

    def save_figure(self, fig: Figure, id: str, *, data: pd.DataFrame, title: str | None = None) -> None:
        """Write a figure as PNG, SVG and PDF, the numbers it shows as CSV, and its record as JSON.

        The line that says what data it shows is added below the figure, so it is also on the notebook's copy.

        Parameters
        ----------
        fig : the finished figure.
        id : paper item, a key of `rb_support.paper.ITEMS`; any other needs a `title`.
        data : the plotted numbers, one row per point.
        title : title of an item that is not of the papers, or instead of the paper's own.

        Raises
        ------
        ReportError
            For an unknown id, and for a file over the size limit; nothing is written then.
        """
        item = self._item(id, title)
        pages = render.finished(fig, id, self.origin, store.MAX_BYTES if self._own else None)
        pages |= {".csv": render.render_csv(self._without_paper(data))}
        self._write("figure", item, pages, described(fig))

    def save_table(
        self,
        frame: pd.DataFrame,
        id: str,
        *,
        title: str | None = None,
        formats: Mapping[str, str] | None = None,
        view: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """Write a table as CSV, Markdown, LaTeX and HTML, and its record as JSON; returns what to show.

        Parameters are those of `save_figure`, and `formats` gives a format specification per column
        (`{"share": ".1%"}`) for all but the CSV; without one, floats show four significant digits. A `view`
        is what a reader is shown in place of the columns of the CSV.

        Raises
        ------
        ReportError
            For an unknown id or column, and for a file over the size limit; nothing is written then.
        """
        item, kept = self._item(id, title), self._without_paper(frame)
        caption = f"{item.title}. {render.data_line(self.origin)} · {id}"
        seen = kept if view is None else self._without_paper(view)
        formats = {self._in_unit(column): how for column, how in (formats or {}).items()}
        pages = render.shown(seen, formats).pages(id, caption)
        self._write("table", item, {".csv": render.render_csv(kept), **pages})
        return seen

    def annotate(self, id: str, *, note: str = "", versus: Sequence[Versus] = ()) -> None:
        """Add to the record of a saved item what a reader of the notebook need not see where it is made.

        Parameters
        ----------
        id : the item.
        note : a sentence for the record and the gallery.
        versus : our numbers beside the paper's. What is not given stays as it was.

        Raises
        ------
        ReportError
            If no such item has been saved.
        """
        record = store.read_json(self.directory / f"{id}.json", gallery.Saved)
        if record is None:
            raise ReportError(f"{id!r} has not been saved: annotate it after save_figure or save_table")
        if self._own:  # nothing that speaks of the papers
            note, versus = ". ".join(part for part in note.split(". ") if not _PAPERS.search(part)), ()
        record["note"] = note or record["note"]
        record["versus"] = [provenance.portable(asdict(pair)) for pair in versus] or record["versus"]
        self._put({f"{id}.json": store.dump_json(record)})

    def claims(
        self, evidence: Mapping[str, Evidence | None], statements: Mapping[str, Claim] | None = None
    ) -> pd.DataFrame:
        """Hold this notebook's statements against the evidence, write the verdicts and return them.

        Parameters
        ----------
        evidence : what was found, by the keys of the statements: estimates, whose intervals are simultaneous
            where there are several, or a fact. A statement without any has no data.
        statements : what is checked; None: `rb_support/published/claims/<notebook>.toml`.

        Returns
        -------
        A row per statement: claim, where, ours, data, verdict, needs (what would decide it). Of a user's own
        rows only those that do not cite a paper.

        Raises
        ------
        ReportError
            If there is evidence for a statement that the file does not have.
        """
        known = claims_of(self.notebook) if statements is None else statements
        rows = check(known, evidence, self.origin.kind)
        if self._own:
            rows = [row | {"where": "own table"} for row in rows if not _PAPERS.match(row["where"])]
        records = [row | {"ours": said(row["ours"])} for row in rows]
        content = store.dump_json({"notebook": self.notebook, "claims": records})
        self._put({f"claims/{self.notebook}.json": content})
        return pd.DataFrame(records, columns=gallery.CLAIM_COLUMNS)

    def _write(self, form: str, item: Item, contents: Mapping[str, bytes], alt: str = "") -> None:
        """Write the files of an item, by their endings, and its record."""
        files = {f"{item.id}{ending}": content for ending, content in contents.items()}
        record = {
            **{"id": item.id, "form": form, "title": item.title},
            **{"paper": item.paper, "item": item.item, "section": item.section},
            "notebook": self.notebook,
            "parameters": provenance.portable(self.parameters),
            "seed": self.seed,
            "data": provenance.describe_data(self.origin),
            **{"note": "", "alt": alt, "versus": []},  # see `annotate`
            "files": {name: sha256(content).hexdigest() for name, content in files.items()},
        }
        self._put(files | {f"{item.id}.json": store.dump_json(record)})

    def _put(self, contents: Mapping[str, bytes]) -> None:
        """Write files, note them down, and show them in the gallery."""
        store.write(self.directory, contents)
        store.note_written(self.directory / name for name in contents)
        gallery.rebuild(self.directory, self.notebook)

    @property
    def _own(self) -> bool:
        """Whether the rows are a user's: then nothing that speaks of the papers is said of them."""
        return self.origin.kind == "own"

    def _without_paper(self, frame: pd.DataFrame) -> pd.DataFrame:
        columns = [name for name in frame if isinstance(name, str) and render.PAPER_COLUMN.fullmatch(name)]
        return frame.drop(columns=columns).rename(columns=self._in_unit) if self._own else frame

    def _in_unit(self, column: Any) -> Any:
        """Name of a column of costs, with their unit where that is not USD."""
        unit = self.origin.cost_unit
        named = isinstance(column, str) and unit != "USD"
        return column.replace("usd", {"s": "seconds"}.get(unit, unit)) if named else column

    def _item(self, id: str, title: str | None) -> Item:
        """The item of an id, under a title of its own if one is given."""
        if not _ID.fullmatch(id):
            raise ReportError(f"{id!r} cannot be a file name: use letters, digits and single hyphens")
        if id not in ITEMS and title is None:
            near = get_close_matches(id, ITEMS, n=3) or sorted(ITEMS)
            raise ReportError(f"{id!r} is no paper item: give title=… or use {', '.join(near)}")
        item = ITEMS.get(id, Item(id, "", "own", "", "", "", "exactly"))
        if self._own:
            item = replace(item, title=item.own_title or item.title, paper="own", item="", section="")
        return replace(item, title=title or item.title)
