"""Cells of a notebook, and Markdown pages, as HTML that needs nothing else: no script, font or network."""

from __future__ import annotations

import base64
import importlib
import re
import struct
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
from jinja2 import Environment, PackageLoader
from nbconvert.filters.ansi import strip_ansi
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

Link = Callable[[str], str | None]
"""Says where a link leads on a page; None where it leads nowhere, and only its text is kept."""


class ClassroomError(Exception):
    """A file cannot be made what is asked for; says which and why."""


class MissingError(Exception):
    """Something that has to be installed is not; says what to do."""


def extra(name: str) -> ModuleType:
    """A module of the extra `classroom`.

    Raises
    ------
    MissingError
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingError(f"{name} is not installed: pip install 'rb-support[classroom]'") from error


def read(path: Path) -> NotebookNode:
    """A notebook from its file.

    Raises
    ------
    ClassroomError
        If the file is no notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise ClassroomError(f"{path}: this is no notebook") from error


def tags(cell: NotebookNode) -> set[str]:
    """Tags of a cell."""
    return set(cell.metadata.get("tags", []))


def heading(source: str) -> str | None:
    """Text of the heading that Markdown begins with; None if it begins with something else."""
    found = re.match(r"\s*#{1,4} +(.+)", source)
    return found[1].strip() if found else None


def away(url: str) -> str | None:
    """Keeps what leads away from here, as a page that travels alone should."""
    return url if re.match(r"https?://", url) else None


class _Renderer(IPythonRenderer):
    """Formulas become MathML, and links lead where `follow` says."""

    def __init__(self, follow: Link, folder: Path) -> None:
        super().__init__(escape=False, exclude_anchor_links=True, embed_images=True, path=str(folder))
        self._follow = follow

    def link(self, text: str, url: str, title: str | None = None) -> str:
        target = self._follow(url)
        return text if target is None else super().link(text, target, title)

    def inline_math(self, body: str) -> str:
        return mathml(body)

    def block_math(self, body: str) -> str:
        return mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")


_KNOWN_OTHERWISE = {
    r"\\arg\s*\\(min|max)": r"\\arg\1",
    r"\\arg(?![a-zA-Z])": r"\\operatorname{arg}",
    r"\\operatorname\*": r"\\operatorname",
    r"\\mathbb\{1\}": "𝟙",
}
"""What the converter does not know, in words that it knows."""


@cache
def mathml(latex: str, display: str = "inline") -> str:
    r"""A formula of LaTeX as a `<math>` element, which browsers draw by themselves.

    Parameters
    ----------
    display : "inline" or "block".

    Raises
    ------
    ClassroomError
        If it holds a command that is not known.

    >>> "<mi>&#x003BB;</mi>" in mathml(r"\lambda")
    True
    """
    source = latex.strip()
    for theirs, ours in _KNOWN_OTHERWISE.items():
        source = re.sub(theirs, ours, source)
    convert = extra("latex2mathml.converter").convert
    try:
        made: str = convert(source, display=display)
    except Exception as error:  # the converter has a class of its own for each of some twenty mistakes
        raise ClassroomError(f"the formula ${latex}$ cannot be set ({type(error).__name__})") from error
    if unknown := re.search(r"\\\w*", re.sub(r"<[^>]*>", " ", made)):
        raise ClassroomError(f"the formula ${latex}$ cannot be set: {unknown[0]} is not known")
    return made


def markdown(source: str, follow: Link = away, folder: Path = Path()) -> str:
    """Markdown with formulas as HTML.

    Parameters
    ----------
    source : as Jupyter and GitHub understand it; a MyST anchor `(name)=` is left out.
    follow : where links lead.
    folder : what paths of pictures begin from.
    """
    source = re.sub(r"(?m)^\(\S+\)=\n", "", source)
    return MarkdownWithMath(renderer=_Renderer(follow, folder)).render(source).strip()


def code(source: str) -> str:
    """Python as HTML, coloured with the classes of Pygments."""
    return highlight(source, PythonLexer(), HtmlFormatter(cssclass="code"))


def code_style() -> str:
    """Style sheet for `code`, of a contrast that can be read from the last row."""
    return HtmlFormatter(cssclass="code", style="a11y-light").get_style_defs()


def outputs(cell: NotebookNode, alt: str, follow: Link = away) -> list[str]:
    """What a code cell put out, each output as a block of HTML; but widgets, which nobody is there to move.

    Parameters
    ----------
    cell : a code cell.
    alt : what a picture is called that does not say it itself.
    follow : where links lead.
    """
    blocks = (_output(output, alt, follow) for output in cell.get("outputs", []))
    return [block for block in blocks if block]


def _output(output: NotebookNode, alt: str, follow: Link) -> str:
    if output.output_type == "stream":
        told = strip_ansi(output.text).strip()
        return f'<pre class="text">{escape(told)}</pre>' if told and output.name == "stdout" else ""
    if output.output_type == "error":
        return f'<pre class="text">{escape(output.ename)}: {escape(strip_ansi(output.evalue))}</pre>'
    data: dict[str, Any] = output.data
    if "application/vnd.jupyter.widget-view+json" in data:
        return ""
    if "image/svg+xml" in data:
        return _svg(data["image/svg+xml"], alt)
    if "image/png" in data:
        raw = base64.b64decode(data["image/png"])
        width, height = struct.unpack(">II", raw[16:24])
        return _figure(f"data:image/png;base64,{base64.b64encode(raw).decode()}", alt, width, height)
    if "text/html" in data:
        table = re.sub(r"<style scoped>.*?</style>", "", data["text/html"], flags=re.S)
        return f'<div class="table">{table}</div>'
    if "text/markdown" in data:
        return markdown(data["text/markdown"], follow)
    told = strip_ansi(data.get("text/plain", "")).strip()
    return f'<pre class="text">{escape(told)}</pre>' if told else ""


def _svg(source: str, alt: str) -> str:
    title = re.search(r"<title[^>]*>(.*?)</title>", source, flags=re.S)
    box = re.search(r'viewBox="[-\d.]+[ ,]+[-\d.]+[ ,]+([\d.]+)[ ,]+([\d.]+)"', source)
    width, height = (float(box[1]), float(box[2])) if box else (720.0, 240.0)
    drawn = f"data:image/svg+xml;base64,{base64.b64encode(source.encode()).decode()}"
    return _figure(drawn, title[1].strip() if title else alt, width, height)


def _figure(src: str, alt: str, width: float, height: float) -> str:
    size = f'data-ratio="{width / height:.3f}"'
    return (
        f'<figure {size}><img src="{src}" alt="{escape(alt)}" width="{width:g}" height="{height:g}"></figure>'
    )


def filled(template: str, **values: Any) -> str:
    """A page of this folder's `NAME.html.jinja`; values that are HTML are marked so there."""
    pages = Environment(
        loader=PackageLoader("rb_support.app.classroom", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template(f"{template}.html.jinja").render(**values).rstrip("\n") + "\n"
