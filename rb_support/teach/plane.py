"""A plane of cost and quality in which points are moved by hand: a widget that needs the extra `drag`."""

from __future__ import annotations

from typing import Any

import anywidget
import numpy as np
import traitlets

from rb_support.frontier import Curve, hull, hull_indices

_SCRIPT = """
const W = 440, H = 290, L = 44, B = 40, T = 10, R = 14, NS = "http://www.w3.org/2000/svg";
const keys = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function make(tag, parent, attributes, text = "") {
  const node = parent.appendChild(document.createElementNS(NS, tag));
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

function render({ model, el }) {
  const [low, high] = model.get("domain"), ink = { fill: "currentColor" };
  const x = (cost) => L + ((cost - low) / (high - low)) * (W - L - R);
  const y = (quality) => H - B - quality * (H - B - T);
  const between = (value, least, most) => Math.min(Math.max(value, least), most);
  el.dataset.lmSuppressShortcuts = "true";  // arrow keys move a point here, not the notebook's cells
  const svg = make("svg", el, { viewBox: `0 0 ${W} ${H}`, role: "group", "aria-label":
    "Plane of cost and quality. Drag a point, or move it with the arrow keys.",
    style: "display:block;width:100%;max-width:460px;font:12px sans-serif;touch-action:none;"
      + "color:var(--jp-content-font-color1,inherit)" });
  make("path", svg, { d: `M${L} ${T}V${H - B}H${W - R}`, fill: "none", stroke: "currentColor" });
  for (let tick = 0; tick <= 4; tick++) {
    const cost = low + (tick * (high - low)) / 4, quality = tick / 4;
    make("text", svg, { x: x(cost), y: H - B + 15, "text-anchor": "middle", ...ink }, cost);
    make("text", svg, { x: L - 6, y: y(quality) + 4, "text-anchor": "end", ...ink }, quality);
  }
  make("text", svg, { x: (L + W - R) / 2, y: H - 6, "text-anchor": "middle", ...ink }, "cost");
  make("text", svg, { transform: `translate(12 ${(T + H - B) / 2}) rotate(-90)`, "text-anchor": "middle",
    ...ink }, "quality");
  const area = make("path", svg, { fill: "#009E73", opacity: 0.18 });
  const line = make("path", svg, { fill: "none", stroke: "#009E73", "stroke-width": 2.5 });
  const says = el.appendChild(document.createElement("p"));
  says.setAttribute("aria-live", "polite");

  function place(row, cost, quality) {
    const points = model.get("points").map((point) => [...point]);
    points[row] = [between(cost, low, high), between(quality, 0, 1)];
    model.set("points", points);
    model.save_changes();
  }

  const marks = [...model.get("letters")].map((letter, row) => {
    const mark = make("g", svg, { tabindex: 0, role: "slider", "aria-label": `${letter}, quality`,
      "aria-valuemin": 0, "aria-valuemax": 1, style: "cursor:grab" });
    make("circle", mark, { r: 15, fill: "transparent" });
    make("circle", mark, { r: 6, stroke: "currentColor", "stroke-width": 1.5 });
    make("text", mark, { x: 9, y: 15, ...ink }, letter);
    mark.onpointerdown = (event) => mark.setPointerCapture(event.pointerId);
    mark.onpointermove = (event) => {
      if (!mark.hasPointerCapture(event.pointerId)) return;
      const box = svg.getBoundingClientRect(), scale = W / box.width;
      place(row, low + ((((event.clientX - box.left) * scale - L) / (W - L - R)) * (high - low)),
        (H - B - (event.clientY - box.top) * scale) / (H - B - T));
    };
    mark.onkeydown = (event) => {
      if (!(event.key in keys)) return;
      event.preventDefault();
      const [cost, quality] = model.get("points")[row], [right, up] = keys[event.key];
      place(row, cost + (right * (high - low)) / 40, quality + up / 40);
    };
    return mark;
  });

  function draw() {
    const edge = model.get("edge").map(([cost, quality]) => `${x(cost)} ${y(quality)}`).join("L");
    line.setAttribute("d", "M" + edge);
    area.setAttribute("d", `M${x(model.get("edge")[0][0])} ${y(0)}L${edge}V${y(0)}Z`);
    says.textContent = model.get("says");
    model.get("points").forEach(([cost, quality], row) => {
      const kept = model.get("kept").includes(row);
      const told = `cost ${cost.toFixed(2)}, quality ${quality.toFixed(2)}`;
      marks[row].setAttribute("transform", `translate(${x(cost)} ${y(quality)})`);
      marks[row].setAttribute("aria-valuenow", quality.toFixed(3));
      marks[row].setAttribute("aria-valuetext", told + (kept ? ", on the hull" : ""));
      marks[row].children[1].setAttribute("fill", kept ? "currentColor" : "white");
    });
  }
  model.on("change", draw);
  draw();
}
export default { render };
"""


class Plane(anywidget.AnyWidget):
    """Points that are dragged, or moved with the arrow keys; the kernel tells their hull and AIQ.

    Parameters
    ----------
    points : n pairs of cost and quality, in the domain and from 0 to 1.
    domain : smallest and largest cost.
    letters : n letters that name them.
    """

    _esm = _SCRIPT
    points: traitlets.List[list[float]] = traitlets.List().tag(sync=True)
    domain: traitlets.List[float] = traitlets.List().tag(sync=True)
    letters = traitlets.Unicode().tag(sync=True)
    edge: traitlets.List[list[float]] = traitlets.List().tag(sync=True)
    kept: traitlets.List[int] = traitlets.List().tag(sync=True)
    says = traitlets.Unicode().tag(sync=True)

    def __init__(self, points: list[list[float]], domain: tuple[float, float], letters: str) -> None:
        super().__init__(
            points=points, domain=list(domain), letters=letters, **_told(points, domain, letters)
        )

    @traitlets.observe("points")
    def _moved(self, _change: Any) -> None:
        with self.hold_sync():
            for name, value in _told(self.points, self.domain, self.letters).items():
                setattr(self, name, value)


def _told(points: list[list[float]], domain: Any, letters: str) -> dict[str, Any]:
    """The upper edge out to both ends of the domain, the rows of the hull, and a sentence."""
    (low, high), kept, corners = domain, hull_indices(points), hull(points)
    if corners[0, 0] > low:  # a late start is joined to the domain's left end at quality 0
        corners = hull(np.vstack([[low, 0.0], corners]))
    names = "".join(letters[row] for row in kept)
    area = Curve(np.asarray(points, dtype=float)).aiq(low, high)
    edge = [*corners.tolist(), [high, corners[-1, 1]]]
    return {"edge": edge, "kept": kept.tolist(), "says": f"hull {names}, AIQ {area:.3f}"}
