"""Formulas as MathML, which browsers draw by themselves: no script, no font, no picture."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger

_KNOWN_OTHERWISE = {
    r"\\arg\s*\\(min|max)": r"\\arg\1",
    r"\\operatorname\*": r"\\operatorname",
    r"\\mathbb\{1\}": "𝟙",
}
"""What the converter does not know, in words that it knows."""


@cache
def mathml(latex: str, display: str = "inline") -> str:
    """A formula of LaTeX as a `<math>` element.

    Parameters
    ----------
    display : "inline" or "block".

    Raises
    ------
    ValueError
        If the formula has a command that cannot be written so.
    """
    for theirs, ours in _KNOWN_OTHERWISE.items():
        latex = re.sub(theirs, ours, latex)
    try:
        written = convert(latex, display=display)
    except Exception as error:  # the converter has a class of its own for each of some twenty mistakes
        raise ValueError(f"no formula that can be converted: {latex} ({type(error).__name__})") from error
    if left := re.search(r"\\\w*", re.sub(r"<[^>]*>", " ", written)):
        raise ValueError(f"no MathML for {left[0]} of {latex}")
    return written


def _written(node: nodes.Element, display: str) -> str:
    """A formula, or its LaTeX and a warning, which the build takes for an error."""
    try:
        return mathml(node.astext(), display)
    except ValueError as error:
        getLogger(__name__).warning("%s", error, location=node)
        return f"<code>{escape(node.astext())}</code>"


def visit_math(self: Any, node: nodes.math) -> None:
    """Write a formula of a line."""
    self.body.append(_written(node, "inline"))
    raise nodes.SkipNode


def visit_math_block(self: Any, node: nodes.math_block) -> None:
    """Write a formula that stands by itself; a wide one can be scrolled."""
    formula = _written(node, "block")
    self.body.append(f'<div class="formula" tabindex="0" role="group" aria-label="Formula">{formula}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, as Sphinx asks."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
