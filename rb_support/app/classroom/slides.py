"""Slides from tagged cells: a folder of HTML that plays from a USB stick."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode

from rb_support.app.classroom import page
from rb_support.app.classroom.page import ClassroomError, Link, tags

BEGINS, GOES_ON, WITH_CODE = "slide", "slide-more", "slide-code"
PLAYER = ("dist/reset.css", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js", "LICENSE")
FONTS = "dist/theme/fonts/source-sans-pro"
FACES = ("regular", "italic", "semibold", "semibolditalic")
OPENING = re.compile(r"(?m)^(?=\*\*(?:Asks|After it you can|You need|Takes|Makes|Data|Papers)\*\*)")
"""Where a paragraph of a notebook's first cell begins that says something about the notebook."""


@dataclass
class Slide:
    """One slide, in HTML.

    Attributes
    ----------
    title : what it is about.
    blocks : what stands below the title, from top to bottom.
    notes : what the lecturer sees and the audience does not.
    opens : whether it is the title slide.
    """

    title: str
    blocks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    opens: bool = False

    @property
    def beside(self) -> bool:
        """Whether text and its one picture stand side by side: if neither is too wide or too long."""
        pictures = [block for block in self.blocks if block.startswith("<figure")]
        words = len(re.sub(r"<math.*?</math>|<[^>]+>", " ", " ".join(self.text), flags=re.S).split())
        narrow = [float(re.findall(r'data-ratio="([\d.]+)"', picture)[0]) < 1.7 for picture in pictures]
        tables = any(block.startswith(('<div class="table', "<pre")) for block in self.blocks)
        return narrow == [True] and 12 <= words <= 130 and not tables

    @property
    def text(self) -> list[str]:
        """Blocks that are no picture."""
        return [block for block in self.blocks if not block.startswith("<figure")]

    @property
    def pictures(self) -> list[str]:
        """Blocks that are a picture."""
        return [block for block in self.blocks if block.startswith("<figure")]


def build(notebooks: Sequence[Path], out: Path, glossary: Path | None) -> Iterator[tuple[str, int]]:
    """Write the slides of notebooks, what plays them, and a page that lists them.

    Parameters
    ----------
    notebooks : files; each becomes `<its name>.html`.
    out : folder, made if need be.
    glossary : Markdown page that becomes one of the folder, for words to lead to; None if there is none.

    Yields
    ------
    A notebook's name and how many slides it has, each as it is written.

    Raises
    ------
    ClassroomError
        If a notebook has no cell that is tagged.
    """
    out.mkdir(parents=True, exist_ok=True)
    _copy_player(out / "reveal")
    inside = {path.stem for path in notebooks} | ({"glossary"} if glossary else set())

    def follow(url: str) -> str | None:
        name, _, place = url.partition("#")
        if Path(name).stem in inside and Path(name).suffix in (".ipynb", ".md"):
            return f"{Path(name).stem}.html" + (f"#{place}" if place and name.endswith(".md") else "")
        return page.away(url)

    decks = []
    for path in notebooks:
        deck = slides(page.read(path), follow, path)
        write = {"name": path.stem, "slides": deck, "faces": FACES, "code_style": page.code_style()}
        (out / f"{path.stem}.html").write_text(page.filled("deck", **write), encoding="utf-8")
        decks.append((path.stem, deck))
        yield path.stem, len(deck)
    if glossary:
        body = anchored(page.markdown(glossary.read_text(encoding="utf-8"), follow))
        text = page.filled("document", title="Glossary", body=body, code_style="", back="index.html")
        (out / "glossary.html").write_text(text, encoding="utf-8")
    listing = page.filled("index", decks=decks, glossary=bool(glossary))
    (out / "index.html").write_text(listing, encoding="utf-8")


def slides(notebook: NotebookNode, follow: Link, path: Path) -> list[Slide]:
    """Slides of a notebook's tagged cells, in order. What is told between them becomes the lecturer's notes.

    Raises
    ------
    ClassroomError
        If no cell is tagged, or one that is has not been run.
    """
    made: list[Slide] = []
    title = path.stem
    for number, cell in enumerate(notebook.cells, start=1):
        for place, part in enumerate(_parts(cell)):
            head = page.heading(part) if cell.cell_type == "markdown" else None
            title = head or title
            if not tags(cell) & {BEGINS, GOES_ON}:
                if made:
                    made[-1].notes += _told(cell, part, follow)
            elif not made and head:
                made += _opening(part, follow)
            else:
                if not made or place or BEGINS in tags(cell):
                    made.append(Slide(_inline(title, follow)))
                    part = part.removeprefix(_first_line(part)) if head else part
                if cell.cell_type == "markdown":
                    made[-1].blocks.append(page.markdown(part, follow, path.parent))
                elif cell.execution_count is None and WITH_CODE not in tags(cell):
                    lacks = (
                        f"has not been run: run the notebook, or tag the cell {WITH_CODE} to show its code"
                    )
                    raise ClassroomError(f"{path}: cell {number} is to be shown and {lacks}")
                else:
                    _show(cell, made[-1], f"cell {number}", follow)
    if not made:
        raise ClassroomError(f"{path}: no cell is tagged {BEGINS}, so there is nothing to show")
    for slide in made:
        slide.blocks = [block for block in slide.blocks if block]
    return [slide for slide in made if slide.blocks or slide.opens]


def _parts(cell: NotebookNode) -> list[str]:
    """A cell's source; that of Markdown is parted where a heading stands, so that each begins a slide."""
    if cell.cell_type != "markdown":
        return [cell.source]
    return [part for part in re.split(r"(?m)^(?=#{1,3} )", cell.source.lstrip()) if part.strip()]


def _told(cell: NotebookNode, part: str, follow: Link) -> list[str]:
    """What a cell that is not on a slide tells; exercises and books tell a lecturer nothing."""
    if {"exercise", "bookkeeping"} & tags(cell):
        return []
    if "see" in tags(cell):
        return page.outputs(cell, "", follow)
    return [page.markdown(part, follow)] if cell.cell_type == "markdown" else []


def _show(cell: NotebookNode, slide: Slide, name: str, follow: Link) -> None:
    """Put on a slide what came out of a code cell (of some tables nothing), and its code if asked for."""
    code = page.code(cell.source)
    if WITH_CODE in tags(cell):
        slide.blocks.append(code)
    else:
        slide.notes.append(f"<p>From {name}:</p>{code}")
    slide.blocks += page.outputs(cell, f"What {name} shows", follow)


def _first_line(source: str) -> str:
    return source.splitlines()[0]


def _inline(source: str, follow: Link) -> str:
    """One line of Markdown as HTML."""
    return page.markdown(source, follow).removeprefix("<p>").removesuffix("</p>")


def _opening(source: str, follow: Link) -> list[Slide]:
    """The first cell as two slides: what a notebook asks, then what one learns. The rest becomes notes."""
    head, *parts = OPENING.split(source)
    title, _, rest = head.strip().removeprefix("# ").partition("\n")
    said = {re.findall(r"\*\*(.+?)\*\*", part)[0]: page.markdown(part, follow) for part in parts}
    first = Slide(_inline(title, follow), [page.markdown(rest, follow)], opens=True)
    first.blocks += [said[key] for key in ("Asks",) if key in said]
    first.notes = [said[key] for key in ("Takes", "Makes", "Data", "Papers") if key in said]
    learnt = [said[key] for key in ("After it you can", "You need") if key in said]
    return [first, Slide(first.title, learnt)] if learnt else [first]


def anchored(html: str) -> str:
    """HTML whose headings can be led to, by the names that GitHub gives them.

    >>> anchored("<h3>Honest AIQ</h3>")
    '<h3 id="honest-aiq">Honest AIQ</h3>'
    """

    def named(found: re.Match[str]) -> str:
        plain = re.sub(r"<[^>]+>", "", found[2]).lower()
        return (
            f'<h{found[1]} id="{re.sub(r"[^a-z0-9 -]", "", plain).strip().replace(" ", "-")}">{found[2]}</h'
        )

    return re.sub(r"<h([1-6])>(.*?)</h", named, html, flags=re.S)


def _copy_player(folder: Path) -> None:
    """Copy reveal.js with its licence, and the letters with theirs, from the package that brings them."""
    root = Path(str(page.extra("sphinx_revealjs").__file__)).parent / "_static" / "revealjs"
    letters = [f"source-sans-pro-{face}.woff" for face in FACES]
    (folder / "fonts").mkdir(parents=True, exist_ok=True)
    for name in PLAYER:
        shutil.copyfile(root / name, folder / Path(name).name)
    for name in [*letters, "LICENSE"]:
        shutil.copyfile(root / FONTS / name, folder / "fonts" / name)
