"""A stranger's text as it can be shown: names of models, tasks and files, in figures and in tables."""

from __future__ import annotations

import re
import warnings
from functools import cache

from matplotlib import font_manager
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.legend import Legend
from matplotlib.text import Text

from rb_support.visible import visible, written_out

_NOTHING = re.compile(r"(?<![\w.])[+-]?(?:nan|None|NaT)\b%?|\[\]")


def short(name: str, limit: int = 40) -> str:
    """A name on one line; of a longer one than `limit` letters, its beginning and end.

    >>> short("organisation/a-model-with-quite-a-name-70b-instruct", 30)
    'organisation/a-…e-70b-instruct'
    """
    line = visible(" ".join(name.split())) or repr(name)
    half = (limit - 1) // 2
    return line if len(line) <= limit else f"{line[: limit - 1 - half]}…{line[-half:]}"


def said(text: str) -> str:
    """A sentence in which a number that does not exist is a dash.

    >>> said("lead +nan [nan, nan] on []")
    'lead – [–, –] on –'
    """
    return _NOTHING.sub("–", text)


def legible(fig: Figure) -> None:
    """Draw every text of a figure in a font that has its characters; what no font here has is written out."""
    for text in fig.findobj(Text):
        words = text.get_text()
        if not words.isascii() or not words.replace("\n", "").isprintable():
            words = visible(words, keep="\n")
            families, lacking = _fonts(words, text.get_fontproperties().get_weight())
            families = list(dict.fromkeys([*text.get_fontfamily(), *families]))
            text.set(text=written_out(words, lacking), fontfamily=families)


def described(fig: Figure) -> str:
    """What a figure shows, for those who cannot see it: its panels, axes and what is drawn on them."""
    seen = [ax for ax in fig.axes if ax.get_visible() and ax.axison]
    legends = [legend for legend in fig.findobj(Legend) if legend.get_visible()]
    parts = {
        "panels": [ax.get_title(place) for ax in seen for place in ("left", "center")],
        "across": [*(ax.get_xlabel() for ax in seen), fig.get_supxlabel()],
        "up": [*(ax.get_ylabel() for ax in seen), fig.get_supylabel()],
        "drawn": [text.get_text() for legend in legends for text in legend.get_texts()],
    }
    once = {name: list(dict.fromkeys(filter(None, words))) for name, words in parts.items()}
    said_so = [f"{name}: {', '.join(map(short, words))}" for name, words in once.items() if words]
    return f"{len(seen)} panel{'s' * (len(seen) != 1)}; " + "; ".join(said_so)


class LegibleFigure(Figure):
    """A figure that is legible wherever it is drawn, saved or not."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw the figure, as matplotlib does."""
        legible(self)
        super().draw(renderer)


@cache
def _fonts(words: str, weight: str | int) -> tuple[list[str], frozenset[str]]:
    """Families that have what the usual font lacks of some words, and what none has."""
    usual = font_manager.findfont(font_manager.FontProperties(weight=weight))
    families, lacking = [], frozenset(words) - _characters(usual) - {"\n"}
    while lacking:
        found = {name: lacking & _characters(path) for name, path in _candidates().items()}
        best = max(found, key=lambda name: len(found[name]), default="")
        if not found.get(best):
            letters = visible("".join(sorted(lacking)))
            warnings.warn(
                f"no font here has {letters} of {short(words)!r}: they are drawn as their codes; install a "
                "font that has them, such as Noto Sans CJK",
                stacklevel=3,
            )
            break
        families.append(best)
        lacking -= found[best]
    return families, lacking


@cache
def _candidates() -> dict[str, str]:
    """File of every upright family of normal weight, but the one that has a box for everything."""
    upright = [font for font in font_manager.fontManager.ttflist if font.style == "normal"]
    names = {font.name for font in upright if str(font.weight) in ("400", "normal")}
    return {n: font_manager.findfont(n) for n in sorted(names) if "Last Resort" not in n}


@cache
def _characters(path: str) -> frozenset[str]:
    """What a font can draw; none of a font that cannot be scaled or opened, as of coloured emoji."""
    try:
        font = FT2Font(path)
    except RuntimeError:
        return frozenset()
    return frozenset(map(chr, font.get_charmap())) if font.scalable else frozenset()
