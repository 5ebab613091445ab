"""The site, built once for all tests that read it, and what its pages say."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import ROOT
from filelock import FileLock

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}


def built(factory: pytest.TempPathFactory) -> Path:
    """Folder of the site; the first process of a run builds it, with warnings taken for errors."""
    temporary = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each has a folder of its own, in one that they share
        temporary = temporary.parent
    folder = temporary / "site"
    with FileLock(temporary / "site.lock"):
        if not folder.exists():
            source = temporary / "site-source"
            source.mkdir()
            made = subprocess.run(
                [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
                + ["-c", str(ROOT / "docs"), str(source), str(folder)],
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
            )
            if made.returncode:
                pytest.fail(f"the site cannot be built:\n{made.stderr[-2000:]}", pytrace=False)
    return folder


@dataclass
class Page(HTMLParser):
    """A page as far as tests ask: ids, links, what it loads, pictures, formulas and prose."""

    path: Path
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    images: list[dict[str, str]] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)
    formulas: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self):
        super().__init__()
        self.feed(self.text)

    @cached_property
    def text(self):
        return self.path.read_text(encoding="utf-8")

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") == "stylesheet":
            self.loads.append(given["href"])
        elif "src" in given:
            self.loads.append(given["src"])
        if tag == "img":
            self.images.append(given)
        if tag == "math":
            self.formulas.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag in self._open:
            del self._open[len(self._open) - 1 - self._open[::-1].index(tag) :]

    def handle_data(self, data):
        if "math" in self._open:
            self.formulas[-1] += data
        elif not {"pre", "code", "script", "style", "title"} & set(self._open):
            self.prose.append(data)

    def file(self, address):
        """The file that a relative address names."""
        return (self.path.parent / address.split("#")[0].split("?")[0]).resolve()


def pages(folder: Path) -> list[Page]:
    """All pages of a site."""
    return [Page(path) for path in sorted(folder.rglob("*.html"))]
