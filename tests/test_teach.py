"""Self-checks never raise, and sliders redraw the one figure that is already shown."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from rb_support import teach


@pytest.mark.parametrize(
    ("answer", "expected", "verdict"),
    [
        (None, 0.5, "Not answered yet"),
        (0.50001, 0.5, "Correct."),
        (0.51, 0.5, "Not yet. Think of the hull."),
        ([1, 2], np.array([1.0, 2.0]), "Correct."),
        ([1, 1], 1, "Not yet. Think of the hull."),
        ("zero", "zero", "Correct."),
        ("knn", 3.0, "Not yet. Think of the hull."),
        ({"a", "b"}, {"b", "a"}, "Correct."),
        ({"a"}, {"b", "a"}, "Not yet. Think of the hull."),
        ([[1], [1, 2]], [1, 2], "Not yet. Think of the hull."),
    ],
)
def test_check_says_what_is_right(
    answer: Any, expected: Any, verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    teach.check(answer, expected, hint="Think of the hull.")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith(verdict)
    assert len(lines) == (1 if answer is None else 3)


def test_check_prints_both_answers(capsys: pytest.CaptureFixture[str]) -> None:
    teach.check(2.0, 1 / 3)
    assert capsys.readouterr().out.splitlines() == ["Your answer:    2", "Correct answer: 0.3333", "Not yet."]


def test_a_table_without_an_answer_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    teach.check(0.5, float("nan"))
    assert capsys.readouterr().out == "This table cannot tell the correct answer.\n"


class Shown:
    """Stands for the notebook: keeps what is displayed, and what is redrawn in place."""

    def __init__(self) -> None:
        self.displayed: list[Any] = []
        self.updated: list[Any] = []

    def __call__(self, thing: Any, display_id: bool = False) -> Shown:
        self.displayed.append(thing)
        return self

    def update(self, thing: Any) -> None:
        self.updated.append(thing)


def titled(cost: float = 2.0, router: str = "knn") -> Figure:
    fig, ax = plt.subplots()
    ax.set_title(f"{router} {cost:g}", loc="center")
    return fig


def test_explore_leaves_a_figure_and_redraws_it_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Shown()
    monkeypatch.setattr(teach, "display", shown)
    teach.explore(titled, cost=(0.0, 4.0, 0.5), router=["mlp", "knn"])
    figure, box = shown.displayed
    assert figure.axes[0].get_title("center") == "knn 2" and isinstance(box, ipywidgets.VBox)
    assert [control.description for control in box.children] == ["cost", "router"]
    assert shown.updated == []
    box.children[0].value = 3.5
    assert [fig.axes[0].get_title("center") for fig in shown.updated] == ["knn 3.5"]
    assert plt.get_fignums() == []
