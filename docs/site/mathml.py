"""Formulas as MathML, which browsers draw by themselves: no script, no font, no picture."""

from __future__ import annotations

from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger

from rb_support.app.classroom.page import ClassroomError, mathml


def _written(node: nodes.Element, display: str) -> str:
    """A formula, or its LaTeX and a warning, which the build takes for an error."""
    try:
        return mathml(node.astext(), display)
    except ClassroomError as error:
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
