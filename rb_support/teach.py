"""Teaching aids of the notebooks: self-checks for exercises, and sliders over a figure that stays."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.figure import Figure


def check(answer: Any, expected: Any, *, hint: str = "", rtol: float = 1e-3) -> None:
    """Print an exercise's answer beside the correct one, and whether they agree.

    An answer of the wrong type or shape is a wrong answer, not an error, and None is no answer yet, so
    that a notebook with open exercises still runs from top to bottom.

    Parameters
    ----------
    answer : the reader's answer: a number, an array, a string, a set …; None before the first try.
    expected : the correct answer.
    hint : sentence shown beside a wrong answer.
    rtol : relative tolerance of numbers.

    >>> check(0.3333, 1 / 3)
    Your answer:    0.3333
    Correct answer: 0.3333
    Correct.
    """
    if answer is None:
        print("Not answered yet: put your answer in place of None and run this cell again.")
        return
    if isinstance(expected, float) and np.isnan(expected):
        print("This table cannot tell the correct answer.")
        return
    print(f"Your answer:    {_shown(answer)}")
    print(f"Correct answer: {_shown(expected)}")
    print("Correct." if _agree(answer, expected, rtol) else f"Not yet. {hint}".rstrip())


def _agree(answer: Any, expected: Any, rtol: float) -> bool:
    try:
        numbers = np.asarray(answer, dtype=float), np.asarray(expected, dtype=float)
    except (TypeError, ValueError):
        return bool(np.array_equal(np.asarray(answer, dtype=object), np.asarray(expected, dtype=object)))
    same_shape = numbers[0].shape == numbers[1].shape
    return same_shape and bool(np.allclose(*numbers, rtol=rtol, atol=1e-9, equal_nan=True))


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=4)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def explore(function: Callable[..., Figure], **sliders: Any) -> None:
    """Show a figure with controls that redraw it in place.

    Where no one can move a control (papermill, a printed page) the figure at the starting values stays.

    Parameters
    ----------
    function : makes the figure; the defaults of its arguments are the starting values.
    sliders : one per argument, as ipywidgets writes them: `(low, high, step)`, a list of choices, a widget.
    """
    defaults = {name: parameter.default for name, parameter in signature(function).parameters.items()}
    controls = {
        name: widgets.interactive.widget_from_abbrev(value, defaults[name]) for name, value in sliders.items()
    }
    for name, control in controls.items():
        control.description = name

    def draw() -> Figure:
        fig = function(**{name: control.value for name, control in controls.items()})
        plt.close(fig)  # else the notebook shows it once more at the end of the cell
        return fig

    handle = display(draw(), display_id=True)  # type: ignore[no-untyped-call]
    for control in controls.values():
        control.observe(lambda _change: handle.update(draw()), names="value")
    display(widgets.VBox(list(controls.values())))  # type: ignore[no-untyped-call]
