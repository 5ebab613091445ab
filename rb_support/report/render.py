"""Figures and tables to bytes: the same input gives the same bytes, and each says what data it shows."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from html import escape
from textwrap import wrap
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from IPython import get_ipython
from jinja2 import Environment, PackageLoader, Template
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from rb_support import paper
from rb_support.outcomes import Origin
from rb_support.report.store import ReportError
from rb_support.report.style import KIND_COLOR, use_style
from rb_support.report.text import legible, short
from rb_support.visible import markdown, visible

_FOOTER = "rb-footer"
# Whatever would put a clock time or a program version into the file is switched off.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
}
_FORMULA = re.compile(r"[=+@-](?!$|[\d.,]+(?:e[+-]?\d+)?%?$)", re.IGNORECASE)
_DENSE = 1000  # points of one artist from which on it may become a picture in an SVG or PDF file
PAPER_COLUMN = re.compile(r"(paper|published)(_.*)?")
_KIND_WORDS = {"simulated": "SIMULATED data", "real": "Real data", "own": "Own data"}
_LATEX = {sign: f"\\{sign}" for sign in "&%$#_{}"}
_LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "\n": " "}


def data_line(origin: Origin) -> str:
    """The line every figure and table carries: "SIMULATED data — …" or "Real data — …"."""
    return f"{_KIND_WORDS[origin.kind]} — {short(origin.name, 200)}"


def finished(fig: Figure, item: str, origin: Origin, limit: int | None = None) -> dict[str, bytes]:
    """PNG, SVG and PDF of a figure with the line that says what data it shows, by file name ending.

    Nothing of a user's own matplotlib settings, and no window the figure may stand in, changes a byte.

    Parameters
    ----------
    limit : bytes that a file should not exceed: where one would, dense artists become pictures, colours fewer
        and pixels coarser, as far as the figure can still be read.
    """
    canvas = fig.canvas
    with mpl.rc_context():
        use_style()
        FigureCanvasAgg(fig)  # letters are as wide on the bitmap as on any screen or page
        legible(fig)
        sign(fig, origin, item)
        contents = {f".{kind}": _saved(fig, kind) for kind in _METADATA}
        for ending, content in contents.items():
            if limit and len(content) > limit:
                contents[ending] = _smaller(fig, ending[1:], limit)
    fig.set_canvas(canvas)
    return contents


def _saved(fig: Figure, kind: str, dpi: float | None = None) -> bytes:
    buffer = io.BytesIO()
    resolution = dpi or mpl.rcParams["savefig.dpi"]
    fig.savefig(buffer, format=kind, bbox_inches="tight", metadata=_METADATA[kind], dpi=resolution)
    return buffer.getvalue()


def _smaller(fig: Figure, kind: str, limit: int) -> bytes:
    """A figure again, dense artists as pictures on its page, in a palette and, if need be, coarser pixels."""
    for points in fig.findobj(PathCollection):
        points.set_rasterized(np.shape(points.get_offsets())[0] > _DENSE)
    for line in fig.findobj(Line2D):
        line.set_rasterized(np.size(line.get_xdata()) > _DENSE)
    for dpi in (140, 90, 60):
        content = _saved(fig, kind, dpi)
        if kind == "png":
            picture, buffer = Image.open(io.BytesIO(content)), io.BytesIO()
            picture.convert("RGB").quantize(256).save(buffer, format="png", optimize=True)
            content = buffer.getvalue()
        if len(content) <= limit:
            break
    return content


def sign(fig: Figure, origin: Origin, item: str = "") -> None:
    """Write what data it shows under everything in a figure; repeated calls replace the line.

    Parameters
    ----------
    origin : where the rows come from.
    item : id of an item that is saved.
    """
    for text in [text for text in fig.texts if text.get_gid() == _FOOTER]:
        text.remove()
    fig.draw_without_rendering()
    fig.set_layout_engine("none")  # keeps what was just laid out, so that nothing moves onto the footer
    for legend in fig.legends:  # saving with a tight box would move them onto the footer
        if legend.get_bbox_to_anchor() is fig.bbox:
            legend.set_bbox_to_anchor((0, 0, 1, 1), transform=fig.transFigure)
    _part_label_and_legend(fig)
    box, (width, height) = fig.get_tightbbox(), fig.get_size_inches()
    below = box.x0 / width, (box.y0 - 1 / 12) / height  # a twelfth of an inch under the lowest thing drawn
    words = "\n".join(wrap("  ·  ".join(filter(None, [data_line(origin), item])), 150))
    weight, color = "bold" if origin.kind == "simulated" else "normal", KIND_COLOR[origin.kind]
    fig.text(*below, words, gid=_FOOTER, ha="left", va="top", fontsize=7.5, color=color, fontweight=weight)
    legible(fig)


def _part_label_and_legend(fig: Figure) -> None:
    """Put a label of the whole x axis right below the panels, and a legend drawn upon it below the label."""
    boxes = [box for ax in fig.axes if (box := ax.get_tightbbox()) is not None]
    floor = min((box.y0 for box in boxes), default=0.0) - fig.dpi / 48  # a point and a half of air
    for legend in fig.legends:
        for text in fig.texts:
            if text.get_window_extent().overlaps(box := legend.get_window_extent()):
                text.set(y=floor / fig.bbox.height, verticalalignment="top")
                drop = max(box.y1 - text.get_window_extent().y0, 0) / fig.bbox.height
                legend.set_bbox_to_anchor((0, -drop, 1, 1), transform=fig.transFigure)


@dataclass(frozen=True, repr=False)
class Table:
    """A table in words, as every page and every notebook shows it.

    A column of ours stands under the header that `published/columns.csv` has for it, with its meaning.

    Attributes
    ----------
    words : what each cell says; an interval stands beside its number.
    numeric : per column, whether it holds numbers, which stand to the right.
    """

    words: pd.DataFrame
    numeric: list[bool]

    def pages(self, item: str, caption: str) -> dict[str, bytes]:
        """Markdown, LaTeX and HTML with a caption, by file name ending."""
        headers, rows = [paper.column(str(name)) for name in self.words], self.words.to_numpy().tolist()
        values = dict(item=item, caption=caption, numeric=self.numeric, headers=headers, rows=rows)
        pages = {".md": f"{self!r}\n\n*{caption}*\n"}
        pages |= {ending: fill_template(f"table{ending}", **values) for ending in (".tex", ".html")}
        return {ending: page.encode() for ending, page in pages.items()}

    def _repr_html_(self) -> str:
        page = self.pages("", "")[".html"].decode()
        style = Markup("<style>.rb-table .text {text-align: left}</style>")
        return style + inline_table(page) + ("" if len(self.words) else Markup("<p>No rows.</p>"))

    def __repr__(self) -> str:
        headers = [markdown(paper.column(str(name)).header) for name in self.words]
        words = self.words.map(markdown).set_axis(headers, axis="columns")
        sides = ["right" if number else "left" for number in self.numeric] if len(words) else None
        return words.to_markdown(index=False, disable_numparse=True, colalign=sides)


def shown(frame: pd.DataFrame, formats: Mapping[str, str] | None = None) -> Table:
    """A table as a notebook shows it: every word of it, text to the left, no index of row numbers.

    Parameters
    ----------
    formats : Python format specification per column (`{"share": ".1%"}`); else four significant digits.

    Raises
    ------
    ReportError
        If `formats` names a column that the table does not have; one of published numbers may be missing.
    """
    flat, specs = plain(frame), formats or {}
    unknown = sorted(name for name in specs if name not in flat and not PAPER_COLUMN.fullmatch(name))
    if unknown:
        raise ReportError(f"formats for columns the table lacks: {unknown}; it has {list(flat.columns)}")
    words = flat.astype(object).apply(lambda column: column.map(partial(cell, spec=specs.get(column.name))))
    numeric = {name: pd.api.types.is_numeric_dtype(dtype) for name, dtype in flat.dtypes.items()}
    for name in flat.columns:
        low, high = _bounds(name)
        if low not in numeric or high not in numeric:
            continue
        words[name] = [
            value if {below, above} == {"–"} else f"{value} [{below}, {above}]"
            for value, below, above in words[[name, low, high]].itertuples(index=False)
        ]
        words = words.drop(columns=[low, high])
    right = [numeric[name] for name in words.columns]
    words.columns = [visible(name, keep="\n") for name in words.columns]
    return Table(words, right)


def _bounds(name: str) -> tuple[str, str]:
    """Columns that hold the lower and the upper end of a number's interval."""
    stem = "honest" if name == "honest_minus_zero" else name
    return f"{stem}_low", f"{stem}_high"


def show_alike() -> None:
    """In a notebook, show a dash where a table of any cell has no number, and no dollar sign as a formula."""
    pd.set_option("display.html.use_mathjax", False)
    shell = get_ipython()
    if shell is not None:
        html, plain_text = (shell.display_formatter.formatters[f"text/{kind}"] for kind in ("html", "plain"))
        html.for_type(pd.DataFrame, lambda frame: _dashed(frame.to_html, notebook=True))
        for kind in (pd.DataFrame, pd.Series):
            plain_text.for_type(kind, lambda table, page, _cycle: page.text(_dashed(table.to_string)))


def _dashed(written: Callable[..., str], **options: Any) -> str:
    return visible(written(na_rep="–", max_rows=60, **options), keep="\n")


def render_csv(frame: pd.DataFrame) -> bytes:
    """CSV with six significant digits, one header line, no index that only counts rows, and no formula."""
    flat = plain(frame).rename(columns=_inert)
    safe = flat.apply(lambda c: c if pd.api.types.is_numeric_dtype(c) else c.astype(object).map(_inert))
    return safe.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()


def _inert(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula: text like one gets an apostrophe, numbers stay."""
    text = visible(value, keep="\n") if isinstance(value, str) else value
    return f"'{text}" if isinstance(text, str) and _FORMULA.match(text) else text


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a meaningful index turned into columns and several header rows joined to one."""
    flat = frame.copy()
    if isinstance(flat.columns, pd.MultiIndex):
        flat.columns = pd.Index([" / ".join(filter(None, map(str, name))) for name in flat.columns])
    only_counts = flat.index.name is None and pd.api.types.is_integer_dtype(flat.index.dtype)
    return (flat if only_counts else flat.reset_index(allow_duplicates=True)).rename(columns=str)


def cell(value: Any, spec: str | None = None) -> str:
    """A value as every page shows it: by a format specification, else floats with four significant digits."""
    if isinstance(value, (list, tuple, set, np.ndarray)):
        return ", ".join(map(cell, value)) or "–"
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "–"
    if spec is not None and not isinstance(value, str):
        return format(value, spec)
    return f"{value:.4g}" if isinstance(value, float) else visible(str(value), keep="\n")


def fill_template(name: str, **values: Any) -> str:
    """A page of this package's `NAME.jinja`, with every value escaped as HTML or LaTeX asks, and visible."""
    return visible(_template(name).render(**values).rstrip("\n") + "\n", keep="\n\t")


@cache
def _template(name: str) -> Template:
    folder, html = PackageLoader("rb_support.report", ""), name.endswith(".html")
    pages = Environment(loader=folder, autoescape=html, trim_blocks=True, lstrip_blocks=True)
    pages.globals |= {"colors": KIND_COLOR, "arxiv": paper.ARXIV, "column": paper.column, "number": cell}
    pages.filters["e"] = lambda text: Markup(escape(text)) if html else text.translate(str.maketrans(_LATEX))
    return pages.get_template(f"{name}.jinja")


def inline_table(page: str) -> Markup:
    """The `<table>` of a saved HTML page, cells escaped already."""
    return Markup(page[page.index("<table") : page.index("</table>") + len("</table>")])
