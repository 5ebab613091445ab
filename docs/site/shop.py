"""Gallery, item and ledger pages, from the records and statements that lie under `figures`."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from rb_support.paper import ARXIV, Column, column
from rb_support.report.gallery import claims_about, read_claims, read_records
from rb_support.report.render import cell, inline_table
from rb_support.studies.leaderboard import allows

KINDS = ("simulated", "real")
_THUMB = 420  # pixels wide
_FILTERS = (
    ("data", "Data", "kind"),
    ("table", "Table", "table"),
    ("router", "Router", "router"),
    ("finding", "Finding", "finding"),
)
"""Filters of the leaderboard: attribute, heading, column."""


@dataclass(frozen=True)
class Shown:
    """An item on one kind of data.

    Attributes
    ----------
    folder : where its files lie.
    record : as `Report` wrote it.
    claims : the statements that are about it.
    """

    folder: Path
    record: dict[str, Any]
    claims: list[dict[str, str]]

    @property
    def kind(self) -> str:
        """Kind of data of the folder; `record` says what its rows are, if there are none of that kind."""
        return self.folder.name

    @property
    def reasons(self) -> list[str]:
        """Why our numbers are others than the paper's, each reason once."""
        found = dict.fromkeys(pair["why"] for pair in self.record["versus"])
        return [reason for reason in found if reason and reason != self.record["note"]]

    @cached_property
    def table(self) -> tuple[list[tuple[Column, str]], list[list[str]]]:
        """Headers, each with "number" or "text" for what stands below it, and rows of a table, in words."""
        page = (self.folder / f"{self.record['id']}.html").read_text(encoding="utf-8")
        head, body = (part for part in ElementTree.fromstring(inline_table(page)) if part.tag != "caption")
        headers = [(column("".join(name.itertext())).header, name) for name in head.iter("th")]
        columns = [
            (Column(words, name.get("title", "")), name.get("class", "text")) for words, name in headers
        ]
        return columns, [["".join(part.itertext()) for part in row] for row in body.iter("tr")]

    @property
    def alt(self) -> str:
        """What a figure shows, for who does not see it."""
        title, kind = self.record["title"], self.record["data"]["kind"]
        return f"{title}, {kind} data. {self.record.get('alt', '')}".strip()


@dataclass(frozen=True)
class Item:
    """A figure or table, on the kinds of data that it was made from."""

    on: Sequence[Shown]

    @property
    def record(self) -> dict[str, Any]:
        """What both records say alike."""
        return self.on[0].record

    @property
    def id(self) -> str:
        """Name of its files."""
        return self.record["id"]

    @property
    def alt(self) -> str:
        """Alternative text of it on simulated rows, which the notebooks show."""
        return self.on[0].alt

    @property
    def label(self) -> str:
        """Where the paper has it."""
        named = [self.record["paper"], self.record["item"] or self.record["section"]]
        return "Beyond the papers" if self.record["paper"] == "own" else " ".join(filter(None, named))

    @property
    def arxiv(self) -> str:
        """Address of its paper; empty if it is none's."""
        return ARXIV.get(self.record["paper"], "")


def items(figures: Path) -> list[Item]:
    """All items under `figures`, in the order of the papers."""
    records = {kind: {r["id"]: r for r in read_records(figures / kind)} for kind in KINDS}
    claims = {kind: read_claims(figures / kind) for kind in KINDS}
    names = dict.fromkeys(name for kind in KINDS for name in records[kind])
    return [
        Item(
            [
                Shown(figures / kind, records[kind][name], claims_about(records[kind][name], claims[kind]))
                for kind in KINDS
                if name in records[kind]
            ]
        )
        for name in names
    ]


def front(found: list[Item]) -> Shown:
    """What the first page shows: routers against what knows nothing, on real rows."""
    return next(shown for item in found for shown in item.on if item.id == "rb-fig4" and shown.kind == "real")


def pages(root: Path, found: list[Item]) -> Iterator[tuple[str, bytes]]:
    """Source files of gallery and ledger, with what they show."""
    notebooks = _titles(root)
    yield "gallery/index.md", page("gallery.md", groups=_groups(found, notebooks), kinds=KINDS)
    for before, item, after in zip([None, *found], found, [*found[1:], None], strict=False):
        beside = {"before": before, "after": after}
        yield f"gallery/{item.id}.md", page("item.md", item=item, chapters=notebooks, kinds=KINDS, **beside)
        for shown in item.on:
            for file in sorted(shown.folder.glob(f"{item.id}.*")):
                if file.suffix in (".png", ".svg", ".pdf", ".csv", ".md", ".tex"):
                    yield f"_extra/figures/{shown.kind}/{file.name}", file.read_bytes()
            if item.record["form"] == "figure":
                yield (
                    f"_extra/thumbnails/{shown.kind}/{item.id}.png",
                    _thumbnail(shown.folder / f"{item.id}.png"),
                )
    yield "claims.md", page("claims.md", **_ledger(root, notebooks))
    yield "leaderboard.md", page("leaderboard.md", **_leaderboard(root / "figures"))


def _titles(root: Path) -> dict[str, str]:
    from chapters import found, title

    return {path.stem: title(path) for path in found(root)}


def _groups(found: list[Item], notebooks: dict[str, str]) -> list[tuple[str, str, list[Item]]]:
    """Items by paper: anchor, heading, items."""
    names = {"RouterBench": "RouterBench", "RouteLLM": "RouteLLM", "own": "Beyond the papers"}
    return [
        (paper.lower(), names[paper], list(group))
        for paper, group in groupby(found, lambda i: i.record["paper"])
    ]


def _ledger(root: Path, notebooks: dict[str, str]) -> dict[str, Any]:
    """Every statement with its verdicts; one that both folders have from the same rows stands once."""
    rows = {}
    for kind in reversed(KINDS):
        for place, claim in enumerate(read_claims(root / "figures" / kind)):
            rows.setdefault((place, claim["claim"], claim["data"], claim["ours"]), claim)
    claims = [rows[key] for key in sorted(rows)]
    papers = [*ARXIV, "beyond the papers"]
    for claim in claims:
        claim["paper"] = next((paper for paper in ARXIV if claim["where"].startswith(paper)), papers[-1])
    first = ["holds", "does not hold"]
    verdicts = [*first, *sorted({claim["verdict"] for claim in claims} - set(first))]
    return {"claims": claims, "verdicts": verdicts, "papers": papers, "kinds": KINDS, "chapters": notebooks}


def _leaderboard(figures: Path) -> dict[str, Any]:
    """Cells of both boards, real tables first, their filters, and what each board allows to say."""
    files = {kind: figures / kind / "own-leaderboard.csv" for kind in reversed(KINDS)}
    boards = {kind: pd.read_csv(file) for kind, file in files.items() if file.is_file()}
    shown = ["kind", "table", "router", "lead", "low", "high", "rank_low", "rank_high", "finding"]
    rows = [
        {
            **{name: str(row[name]) for name in shown},
            "shown": [_board_cell(name, row[name]) for name in shown],
        }
        for board in boards.values()
        for row in board.to_dict("records")
    ]
    filters = [
        (name, heading, list(dict.fromkeys(row[column] for row in rows)))
        for name, heading, column in _FILTERS
    ]
    columns = [
        (column(name), "number" if "_" in name or name in ("lead", "low", "high") else "text")
        for name in shown
    ]
    told = [(kind, allows(board)) for kind, board in boards.items()]
    return {"rows": rows, "filters": filters, "columns": columns, "allows": told}


def _board_cell(name: str, value: object) -> str:
    """A cell of the leaderboard in words; leads with the digits that their intervals bear."""
    return f"{value:+.4f}" if name in ("lead", "low", "high") and value == value else cell(value)


def _thumbnail(file: Path) -> bytes:
    """A small picture of a figure, in few colours."""
    with Image.open(file) as picture:
        height = round(picture.height * _THUMB / picture.width)
        small = picture.convert("RGB").resize((_THUMB, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.quantize(32, dither=Image.Dither.NONE).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def page(name: str, **values: Any) -> bytes:
    """A page of `templates`, with every value escaped as HTML asks."""
    return (_templates().get_template(f"{name}.jinja").render(**values).rstrip("\n") + "\n").encode()


@cache
def _templates() -> Environment:
    env = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    env.filters |= {"said": _said, "number": cell}
    return env


def _said(text: str) -> str:
    """A sentence with a full stop."""
    return text if not text or text[-1] in ".!?" else f"{text}."
