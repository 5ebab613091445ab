"""Sliders redraw the picture, and the strip beside them stays; guesses come back."""

from __future__ import annotations

import re
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import ipywidgets
import matplotlib.pyplot as plt
import pytest
from conftest import ROOT
from matplotlib.figure import Figure

from rb_support import teach
from rb_support.outcomes import Origin
from rb_support.teach import widgets

MADE = Origin("simulated", "made rows")
DRAWN: list[tuple[float, str]] = []


def titled(fig: Any, cost: float = 2.0, router: str = "knn") -> None:
    DRAWN.append((cost, router))
    fig.subplots().set_title(f"{router} {cost:g}", loc="center")


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    things: list[Any] = []
    monkeypatch.setattr(widgets, "display", things.append)
    DRAWN.clear()
    return things


def test_explore_leaves_a_strip_and_redraws_one_picture(displayed: list[Any]) -> None:
    teach.explore(
        titled, strip={"cost": (0.0, 2.0, 4.0)}, origin=MADE, cost=(0.0, 4.0, 0.5), router=["mlp", "knn"]
    )
    strip, box = displayed
    assert isinstance(strip, Figure) and isinstance(box, ipywidgets.VBox)
    assert [part.axes[0].get_title("center") for part in strip.subfigs] == ["knn 0", "knn 2", "knn 4"]
    assert [part.get_suptitle() for part in strip.subfigs] == ["cost = 0", "cost = 2", "cost = 4"]
    assert [text.get_text() for text in strip.texts] == ["SIMULATED data — made rows"]
    picture, *controls = box.children
    assert [control.description for control in controls] == ["cost", "router"]
    before = picture.value
    controls[0].value = 3.5
    assert DRAWN[-1] == (3.5, "knn") and picture.value != before and picture.value[:4] == b"\x89PNG"
    assert plt.get_fignums() == []


def test_a_guess_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    teach.predict("area", None)
    teach.recall("area", 0.5)
    teach.predict("area", "above")
    teach.recall("area", "below")
    assert capsys.readouterr().out.splitlines() == [
        "No guess yet: put yours in place of None, run this cell, then the next.",
        "It is 0.5.",
        "Noted: above. Now run on.",
        "You guessed above. It is below.",
    ]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "rb_support" / "teach" / "pictures").glob("*.svg")), ids=lambda p: p.stem
)
def test_opening_pictures_are_small_and_described(path: Any) -> None:
    text = path.read_text()
    assert (
        len(text) < 30_000
        and re.search("<title[ >]", text)
        and "http" not in text.replace("http://www.w3.org", "")
    )
    assert "<svg" in teach.picture(path.stem).data
