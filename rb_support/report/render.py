"""Figures and tables to bytes: the same input gives the same bytes, and each says what data it shows."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from matplotlib.figure import Figure

from rb_support.outcomes import Origin
from rb_support.report.store import ReportError
from rb_support.report.style import KIND_COLOR

_FOOTER = "rb-footer"
# Whatever would put a clock time or a program version into the file is switched off.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
}
_KIND_WORDS = {"simulated": "SIMULATED data", "real": "Real data", "own": "Own data"}
_LATEX = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
    }
)


def data_line(origin: Origin) -> str:
    """The line every figure and table carries: "SIMULATED data — …" or "Real data — …"."""
    return f"{_KIND_WORDS[origin.kind]} — {origin.name}"


def add_footer(fig: Figure, item: str, origin: Origin) -> None:
    """Write the data line and the item's id under everything the figure shows; repeated calls replace it."""
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
    words, weight = f"{data_line(origin)}  ·  {item}", "bold" if origin.kind == "simulated" else "normal"
    color = KIND_COLOR[origin.kind]
    fig.text(*below, words, gid=_FOOTER, ha="left", va="top", fontsize=7.5, color=color, fontweight=weight)


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


def render_figure(fig: Figure) -> dict[str, bytes]:
    """PNG, SVG and PDF of a figure, by file name ending."""
    contents = {}
    # Ids inside an SVG are random unless salted, whatever style the user has set since.
    with mpl.rc_context({"svg.hashsalt": "rb_support"}):
        for kind, metadata in _METADATA.items():
            buffer = io.BytesIO()
            packed: dict[str, Any] = {"pil_kwargs": {"optimize": True}} if kind == "png" else {}
            fig.savefig(buffer, format=kind, bbox_inches="tight", metadata=metadata, **packed)
            contents[f".{kind}"] = buffer.getvalue()
    return contents


@dataclass(frozen=True, repr=False)
class Table:
    """A table in words, as every page and every notebook shows it.

    Attributes
    ----------
    words : what each cell says.
    numeric : per column, whether it holds numbers, which stand to the right.
    """

    words: pd.DataFrame
    numeric: list[bool]

    def pages(self, item: str, caption: str) -> dict[str, bytes]:
        """Markdown, LaTeX and HTML with a caption, by file name ending."""
        values = {"item": item, "caption": caption, "numeric": self.numeric}
        values |= {"names": list(self.words), "rows": self.words.to_numpy().tolist()}
        pages = {".md": f"{self!r}\n\n*{caption}*\n"}
        pages |= {ending: fill_template(f"table{ending}", **values) for ending in (".tex", ".html")}
        return {ending: page.encode() for ending, page in pages.items()}

    def _repr_html_(self) -> str:
        page = self.pages("", "")[".html"].decode()
        return Markup("<style>.rb-table .text {text-align: left}</style>") + inline_table(page)

    def __repr__(self) -> str:
        words = self.words.rename(columns=_in_a_cell).map(_in_a_cell)
        sides = ["right" if number else "left" for number in self.numeric] if len(words) else None
        return words.to_markdown(index=False, disable_numparse=True, colalign=sides)


def _in_a_cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def shown(frame: pd.DataFrame, formats: Mapping[str, str] | None = None) -> Table:
    """A table as a notebook shows it: every word of it, text to the left, no index of row numbers.

    Parameters
    ----------
    formats : Python format specification per column (`{"share": ".1%"}`); else four significant digits.

    Raises
    ------
    ReportError
        If `formats` names a column that the table does not have.
    """
    flat, specs = plain(frame), formats or {}
    unknown = sorted(set(specs) - set(flat.columns))
    if unknown:
        raise ReportError(f"formats for columns the table lacks: {unknown}; it has {list(flat.columns)}")
    words = flat.astype(object).apply(
        lambda column: column.map(lambda value: cell(value, specs.get(column.name)))
    )
    return Table(words, [pd.api.types.is_numeric_dtype(dtype) for dtype in flat.dtypes])


def render_csv(frame: pd.DataFrame) -> bytes:
    """CSV with six significant digits, one header line, no index that only counts rows."""
    return plain(frame).to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a meaningful index turned into columns and several header rows joined to one."""
    flat = frame.copy()
    if isinstance(flat.columns, pd.MultiIndex):
        flat.columns = pd.Index([" / ".join(filter(None, map(str, name))) for name in flat.columns])
    only_counts = flat.index.name is None and pd.api.types.is_integer_dtype(flat.index.dtype)
    return (flat if only_counts else flat.reset_index()).rename(columns=str)


def cell(value: Any, spec: str | None = None) -> str:
    """A value as every page shows it: by a format specification, else floats with four significant digits."""
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return "–"
    if spec is not None and not isinstance(value, str):
        return format(value, spec)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def fill_template(name: str, **values: Any) -> str:
    """A page of this package's `NAME.jinja`, with every value escaped as HTML or LaTeX asks."""
    folder, html = PackageLoader("rb_support.report", ""), name.endswith(".html")
    pages = Environment(loader=folder, autoescape=html, trim_blocks=True, lstrip_blocks=True)
    pages.filters["e"] = lambda text: Markup(escape(text)) if html else text.translate(_LATEX)
    return pages.get_template(f"{name}.jinja").render(**values).rstrip("\n") + "\n"


def inline_table(page: str) -> Markup:
    """The `<table>` of a saved HTML page, cells escaped already."""
    return Markup(page[page.index("<table") : page.index("</table>") + len("</table>")])
