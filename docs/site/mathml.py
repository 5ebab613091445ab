"""Formulas as MathML, which browsers draw by themselves: no script, no font, no picture."""

from __future__ import annotations

from functools import cache
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx


@cache
def mathml(latex: str, display: str = "inline") -> str:
    """A formula of LaTeX as a `<math>` element.

    Parameters
    ----------
    display : "inline" or "block".
    """
    return convert(latex, display=display)


def visit_math(self: Any, node: nodes.math) -> None:
    """Write a formula of a line."""
    self.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def visit_math_block(self: Any, node: nodes.math_block) -> None:
    """Write a formula that stands by itself; a wide one can be scrolled."""
    formula = mathml(node.astext(), "block")
    self.body.append(f'<div class="formula" tabindex="0" role="group" aria-label="Formula">{formula}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, as Sphinx asks."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
