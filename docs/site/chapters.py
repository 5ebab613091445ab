"""Notebooks as chapters: anchors for items, words for pictures, and nothing that needs a kernel."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from shop import Item

WIDGET = "application/vnd.jupyter.widget-view+json"
_SAVED = re.compile(r'save_(?:figure|table)\(\s*[^"]*?"([\w{}.-]+)"')
_STRIP = re.compile(r"strip\s*=\s*\{\s*\"(\w+)\"")
_SVG = "{http://www.w3.org/2000/svg}"


def notebooks(root: Path, items: Mapping[str, Item]) -> Iterator[tuple[str, bytes]]:
    """Source files of the chapters and of the solutions, with their contents."""
    for path in found(root) + sorted((root / "notebooks" / "solutions").glob("[0-9]*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if path.parent.name == "solutions":  # questions are carried word for word, with links from a floor up
            for cell in notebook["cells"]:
                cell["source"] = "".join(cell["source"]).replace("](solutions/", "](")
        own = [name for name, item in items.items() if item.record["notebook"] == path.stem]
        yield path.relative_to(root).as_posix(), _written(chapter(notebook, items, own))


def found(root: Path) -> list[Path]:
    """The notebooks in their order."""
    return sorted((root / "notebooks").glob("[0-9]*.ipynb"))


def solutions(root: Path) -> str:
    """Paths of the notebooks of solutions, a line each."""
    return "\n".join(f"notebooks/solutions/{path.name}" for path in found(root))


def title(path: Path) -> str:
    """First heading of a notebook."""
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
    return "".join(first["source"]).splitlines()[0].lstrip("# ")


def asked(root: Path) -> list[tuple[str, str, str]]:
    """Name, title and question of every notebook."""
    return [(path.stem, title(path), _question(path)) for path in found(root)]


def _question(path: Path) -> str:
    """What a notebook asks, as its first cell says it, without links and marks."""
    first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    said = re.search(r"^\*\*Asks\*\*:? (.*?)(?:\n\n|\n\*\*|\Z)", first, flags=re.M | re.S)
    return " ".join(plain(said[1]).split()) if said else ""


def chapter(notebook: dict[str, Any], items: Mapping[str, Item], own: Sequence[str] = ()) -> dict[str, Any]:
    """A notebook as the site shows it.

    Items and checked statements can be linked to (`#rb-fig4`, `#statements`), every picture has an
    alternative text, and what only a kernel can show is left out.

    Parameters
    ----------
    items : all items by name, which say what their figures show.
    own : names of those that this notebook makes; such as no code cell names are linked at the first cell
        that saves something by a name of which the code does not tell, or at the beginning.
    """
    sources = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    wanted = {*own, "statements"}
    told = {name for source in sources for name in anchors(source, items)}
    untold = next(
        (source for source in sources if "save_" in source and not saved(source, items)), sources[0]
    )
    cells: list[dict[str, Any]] = []
    heading, anchored = "", set[str]()
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heading = next(iter(re.findall(r"^#+ (.*)$", source, flags=re.M)[::-1]), heading)
            cells.append(cell)
            continue
        names = anchors(source, items) + (sorted(wanted - told) if source == untold else [])
        cells += [_anchor(name) for name in names if name not in anchored]
        anchored.update(names)
        outputs = [_still(output) for output in cell.get("outputs", []) if _shows(output)]
        cells.append(
            {**cell, "outputs": outputs, "metadata": _described(cell, source, outputs, heading, items)}
        )
    metadata = {name: value for name, value in notebook["metadata"].items() if name != "widgets"}
    return {**notebook, "cells": cells, "metadata": metadata}


def anchors(source: str, items: Mapping[str, Item]) -> list[str]:
    """What a link may want to reach at a code cell."""
    return saved(source, items) + (["statements"] if "report.claims(" in source else [])


def saved(source: str, items: Mapping[str, Item]) -> list[str]:
    """Items that a code cell saves, also under names such as `f"rl-tab{number}"`."""
    named = [re.compile(re.sub(r"\{[^}]*\}", r".+", name)) for name in _SAVED.findall(source)]
    return [id for name in named for id in items if name.fullmatch(id)]


def _anchor(name: str) -> dict[str, Any]:
    return {
        "cell_type": "markdown",
        "id": f"at-{name}",
        "metadata": {},
        "source": f'<span id="{name}"></span>',
    }


def _shows(output: dict[str, Any]) -> bool:
    """Whether an output says anything without a kernel."""
    warned = output.get("name") == "stderr"
    return not warned and WIDGET not in output.get("data", {})


def _still(output: dict[str, Any]) -> dict[str, Any]:
    """An output without the words that stand for a picture where there is one."""
    data = output.get("data", {})
    if {"image/png", "image/svg+xml"} & set(data):
        return {**output, "data": {kind: value for kind, value in data.items() if kind.startswith("image/")}}
    return output


def _described(
    cell: dict[str, Any],
    source: str,
    outputs: list[dict[str, Any]],
    heading: str,
    items: Mapping[str, Item],
) -> dict[str, Any]:
    """A cell's metadata, with an alternative text where it shows a picture."""
    drawings = ["".join(o["data"]["image/svg+xml"]) for o in outputs if "image/svg+xml" in o.get("data", {})]
    if not drawings and not any("image/png" in output.get("data", {}) for output in outputs):
        return cell["metadata"]
    names = saved(source, items)
    controls = _STRIP.findall(source) if "explore(" in source else []
    if drawings:
        words = _own_words(drawings[0])
    elif names:
        words = items[names[0]].alt
    elif "explore(" in source:
        control = " or ".join(controls) or "its first control"
        words = f"Strip of pictures, one for each value of {control}, in the section “{plain(heading)}”"
    else:
        words = f"Figure of the section “{plain(heading)}”, drawn by the code above it"
    return {**cell["metadata"], "mystnb": {"image": {"alt": words}}}


def _own_words(drawing: str) -> str:
    """Title and description of a drawing."""
    drawn = ElementTree.fromstring(drawing)
    said = (drawn.findtext(f"{_SVG}{name}") or "" for name in ("title", "desc"))
    return " ".join(" ".join(part.split()) for part in said if part)


def plain(markdown: str) -> str:
    """A heading without its marks."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", re.sub(r"[`*$\\]", "", markdown)).strip()


def _written(notebook: dict[str, Any]) -> bytes:
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()
