"""Points moved by hand: what the kernel tells, sliders without the extra, a real browser's mouse and keys."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import ipywidgets
import pytest
from matplotlib.figure import Figure

from rb_support.report import plot_hull, use_style
from rb_support.teach import drag, widgets

MODULE = import_module("rb_support.teach.drag")
FIVE = [[1, 0.2], [3, 0.6], [7, 0.8], [5, 0.45], [8, 0.7]]


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    things: list[Any] = []
    monkeypatch.setattr(MODULE, "display", things.append)
    monkeypatch.setattr(widgets, "display", things.append)
    use_style()
    return things


def titles(strip: Figure) -> list[str]:
    return [part.axes[0].get_title("left") for part in strip.subfigs]


def test_without_the_extra_there_are_sliders(displayed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "find_spec", lambda name: None)
    drag(plot_hull, FIVE, domain=(1, 9), moved="D", strip=(0.45, 0.95))
    strip, box = displayed
    assert titles(strip) == ["hull ABC, AIQ 0.650", "hull ABD, AIQ 0.769"]
    picture, point, cost, quality = box.children
    assert isinstance(picture, ipywidgets.Image)
    assert (point.value, cost.value, quality.value) == ("D", 5, 0.45)
    before = picture.value
    quality.value = 0.95
    assert picture.value != before


def test_with_the_extra_there_is_a_plane(displayed: list[Any]) -> None:
    pytest.importorskip("anywidget")
    drag(plot_hull, FIVE, domain=(1, 9), moved="D", strip=(0.45, 0.95))
    strip, plane = displayed
    assert titles(strip) == ["hull ABC, AIQ 0.650", "hull ABD, AIQ 0.769"]
    assert plane.letters == "ABCDE" and plane.says == "hull ABC, AIQ 0.650"
    plane.points = [*FIVE[:3], [5, 0.95], FIVE[4]]
    assert plane.says == "hull ABD, AIQ 0.769" and plane.kept == [0, 1, 3]
    assert plane.edge == [[1, 0.2], [3, 0.6], [5, 0.95], [9, 0.95]]


def test_a_late_start_is_joined_to_the_left_end() -> None:
    pytest.importorskip("anywidget")
    from rb_support.teach.plane import Plane

    plane = Plane([[3, 0.6]], (1, 9), "A")
    assert plane.edge == [[1, 0], [3, 0.6], [9, 0.6]]
    assert plane.says == "hull A, AIQ 0.525"  # a triangle of 0.6 and a rectangle of 3.6, over 8


PAGE = """<!doctype html><html lang="en"><body><div id="el"></div><script type="module">
const state = %s, listeners = [];
const model = { get: (name) => state[name], set: (name, value) => { state[name] = value; },
  on: (_, listener) => listeners.push(listener),
  save_changes: async () => {
    const { points, ...told } = await kernel(state.points);
    Object.assign(state, told);
    listeners.forEach((listener) => listener());
  } };
const script = await import("data:text/javascript," + encodeURIComponent(%s));
script.default.render({ model, el: document.getElementById("el") });
</script></body></html>"""


def test_mouse_and_keys_move_a_point(browser: Any) -> None:
    """In a real browser, with this process as the kernel."""
    pytest.importorskip("anywidget")
    from rb_support.teach.plane import _SCRIPT, Plane

    plane = Plane(FIVE, (1, 9), "ABCDE")
    names = ("points", "domain", "letters", "edge", "kept", "says")

    def kernel(points: list[list[float]]) -> dict[str, Any]:
        plane.points = points
        return {name: getattr(plane, name) for name in names}

    page = browser.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.expose_function("kernel", kernel)
    page.set_content(PAGE % (json.dumps(kernel(FIVE)), json.dumps(_SCRIPT)))
    said = page.locator("p")
    assert said.text_content() == "hull ABC, AIQ 0.650"
    mark = page.get_by_role("slider", name="D, quality")
    box = mark.locator("circle").nth(1).bounding_box()
    page.mouse.move(box["x"] + 6, box["y"] + 6)
    page.mouse.down()
    page.mouse.move(box["x"] + 6, page.locator("svg").bounding_box()["y"] + 1, steps=5)
    page.mouse.up()
    page.wait_for_function("document.querySelectorAll('g')[3].getAttribute('aria-valuenow') === '1.000'")
    cost, quality = plane.points[3]
    assert quality == 1 and cost == pytest.approx(5, abs=0.05)  # no higher than the plane
    assert said.text_content() == plane.says
    page.mouse.move(box["x"] + 200, box["y"])  # the button is up: nothing moves
    mark.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.querySelectorAll('g')[3].getAttribute('aria-valuenow') === '0.975'")
    assert plane.points[3] == pytest.approx([cost + 0.2, 0.975])
    assert mark.get_attribute("aria-valuetext").endswith("on the hull")
    assert not faults
    page.close()
