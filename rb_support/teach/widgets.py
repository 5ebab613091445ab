"""Pictures of a notebook: one to open with, and sliders over a figure beside a strip that stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from io import BytesIO
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
from IPython.display import SVG, display
from matplotlib.figure import Figure

from rb_support.cache import packaged
from rb_support.outcomes import Origin
from rb_support.report import sign


def explore(
    draw: Callable[..., None],
    *,
    strip: dict[str, Sequence[Any]],
    origin: Origin | None,
    size: tuple[float, float] = (4.5, 3.2),
    **sliders: Any,
) -> None:
    """Show a strip of pictures, which stays, and below it one with controls, where there is a kernel to ask.

    On a page that nobody runs (GitHub, print, the site) the strip says what a hand on the control would see.

    Parameters
    ----------
    draw : draws into its first argument, a `Figure` or `SubFigure`; the defaults of its other arguments are
        the starting values.
    strip : the one argument that differs along the strip, with its values; the others keep their defaults.
    origin : where the rows come from, which stands below the pictures; None for numbers made up to explain.
    size : width and height of one picture, in inches.
    sliders : one per argument, as ipywidgets writes them: `(low, high, step)`, a list of choices, a widget.
    """
    [(name, values)] = strip.items()
    show_strip(draw, name, values, origin=origin, size=(size[0] * 0.75, size[1] * 0.75))

    start = {key: parameter.default for key, parameter in list(signature(draw).parameters.items())[1:]}
    controls = {
        key: widgets.interactive.widget_from_abbrev(value, start[key]) for key, value in sliders.items()
    }
    for key, control in controls.items():
        control.description = key
    picture = widgets.Image(format="png")

    def redraw(_change: object = None) -> None:
        fig = plt.figure(figsize=size, layout="constrained")
        draw(fig, **{key: control.value for key, control in controls.items()})
        picture.value = _png(fig, origin)

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    display(widgets.VBox([picture, *controls.values()]))  # type: ignore[no-untyped-call]


def show_strip(
    draw: Callable[..., None],
    name: str,
    values: Sequence[Any],
    *,
    origin: Origin | None,
    size: tuple[float, float],
) -> None:
    """Show pictures side by side, one for each value of an argument.

    Parameters
    ----------
    draw, origin : as of `explore`.
    name, values : the argument and its values.
    size : width and height of one picture, in inches.
    """
    fig = plt.figure(figsize=(size[0] * len(values), size[1]), layout="constrained")
    for part, value in zip(fig.subfigures(1, len(values), squeeze=False)[0], values, strict=True):
        draw(part, **{name: value})
        part.suptitle(f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}", fontsize=9)
    if origin:
        sign(fig, origin)
    plt.close(fig)  # else the notebook shows it once more at the end of the cell
    display(fig)  # type: ignore[no-untyped-call]


def _png(fig: Figure, origin: Origin | None) -> bytes:
    if origin:
        sign(fig, origin)
    stream = BytesIO()
    fig.savefig(stream, format="png", dpi=110, bbox_inches="tight")
    plt.close(fig)
    return stream.getvalue()


def picture(name: str) -> SVG:
    """The picture that a notebook opens with: `rb_support/teach/pictures/<name>.svg`, drawn for this project.

    Parameters
    ----------
    name : number of the notebook, such as "03".
    """
    return SVG(data=packaged(f"teach/pictures/{name}.svg"))  # type: ignore[no-untyped-call]
