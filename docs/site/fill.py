"""Fill the folder that Sphinx reads: `docs` and `notebooks` side by side, so that links hold as on GitHub.

A file is written only if it changed, so that Sphinx reads again only what did.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any
from unittest.mock import patch

import api
import chapters
import shop
from docutils import nodes
from jinja2 import PackageLoader
from jinja2.sandbox import SandboxedEnvironment
from numpydoc import docscrape_sphinx
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config

ROOT = Path(__file__).resolve().parents[2]


def fill(target: Path, root: Path = ROOT) -> None:
    """Write all sources of the site into a folder, and take away what is no source any more.

    Parameters
    ----------
    target : the folder, made if it is not there; nothing else may lie in it.
    root : the repository.
    """
    wanted = dict(sources(root))
    for path, content in wanted.items():
        file = target / path
        if not file.is_file() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    for file in target.rglob("*"):
        if file.is_file() and file.relative_to(target).as_posix() not in wanted:
            file.unlink()


def sources(root: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of the source folder with its content."""
    teaching = [path for path in sorted((root / "docs" / "teaching").glob("*")) if path.is_file()]
    for path in sorted((root / "docs").glob("*.md")) + teaching:
        yield path.relative_to(root).as_posix(), path.read_bytes()
    for path in sorted((root / "docs" / "site" / "pages").rglob("*.md")):
        yield path.relative_to(root / "docs" / "site" / "pages").as_posix(), path.read_bytes()
    plans = sorted((path for path in teaching if path.suffix == ".md"), key=lambda path: path.stem != "index")
    named = "\n".join(path.relative_to(root).as_posix() for path in plans)
    yield "teaching.md", shop.page("teaching.md", pages=named, solutions=chapters.solutions(root))
    yield from api.pages()
    items = shop.items(root / "figures")
    yield "index.md", shop.page("index.md", chapters=chapters.asked(root), front=shop.front(items))
    yield from chapters.notebooks(root, {item.id: item for item in items})
    yield from shop.pages(root, items)


def setup(app: Sphinx) -> dict[str, bool]:
    """Fill the folder before Sphinx reads it."""
    app.connect("config-inited", _filled, priority=100)
    app.connect("html-page-context", _navigated, priority=400)
    app.connect("html-page-context", _leveled, priority=900)
    templates = SandboxedEnvironment(loader=PackageLoader("numpydoc"))
    docscrape_sphinx.SandboxedEnvironment = lambda loader: (
        templates
    )  # else one is compiled for each docstring
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _filled(app: Sphinx, config: Config) -> None:
    fill(Path(app.srcdir))
    config.html_extra_path = [str(Path(app.srcdir) / "_extra")]


@cache
def _titles(app: Sphinx) -> dict[str, nodes.bullet_list]:
    """The contents of every page without its headings, as Sphinx leaves them out for `titles_only`."""
    tocs = {name: toc.deepcopy() for name, toc in app.env.tocs.items()}
    for entry in chain.from_iterable(toc.children for toc in tocs.values()):
        if len(entry) > 1:
            entry[1][:] = list(entry.findall(addnodes.toctree))
            if not len(entry[1]):
                entry.pop(1)
    return tocs


def _navigated(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Make the navigation of titles: else all headings are copied for every page, to be dropped then."""
    toctree = context["toctree"]

    def of_titles(**options: Any) -> str:
        with patch.object(app.env, "tocs", _titles(app) if options.get("titles_only") else app.env.tocs):
            return toctree(**options)

    context["toctree"] = of_titles


def _leveled(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Say of the headings in the navigation, which Sphinx calls headings, of which level they are."""
    tree = "furo_navigation_tree"
    context[tree] = context.get(tree, "").replace('role="heading"', 'role="heading" aria-level="2"')
