"""What notebook 00's statements on mixtures, the zero router and two models are held against."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rb_support import catalog, pairs
from rb_support.frontier import ROUNDING, Curve, exceeds
from rb_support.outcomes import Outcomes
from rb_support.stats import in_standard_errors
from rb_support.verdicts import Evidence, Fact


def evidence(
    outcomes: Outcomes, runs: ArrayLike, expected: ArrayLike, strong: str, weak: str
) -> dict[str, Evidence]:
    """Facts by the keys of notebook 00's claims; `random-half` only where the two models differ in quality.

    Parameters
    ----------
    outcomes : whose models the zero router mixes.
    runs : (r, 2) cost and quality of deployments that toss a fair coin between two models.
    expected : (2,) mean of these two models' points.
    strong, weak : names of the models that calls are shared between.
    """
    drawn, half = np.asarray(runs, dtype=float), np.asarray(expected, dtype=float)
    points = outcomes.points()
    least = float((Curve(points).at(points[:, 0]) - points[:, 1]).min())
    s, w = (outcomes.quality[:, outcomes.models.index(name)] for name in (strong, weak))
    ends, peak = (w.mean(), s.mean()), pairs.threshold_sweep(s - w, s, w)[1].max()
    top, best = max(zip(ends, (weak, strong), strict=True))
    said = f"{len(drawn)} runs: quality {drawn[:, 1].mean():.4f}, average of the two {half[1]:.4f}"
    near = bool((np.abs(in_standard_errors(drawn, half)) < 4).all())
    found: dict[str, Evidence] = {
        "half-and-half": Fact(near, f"{said} (within 4 standard errors)"),
        "zero-above-models": Fact(least >= -ROUNDING, f"smallest lead {least:.4f} over {len(points)} models"),
        "above-the-strong": Fact(
            None if strong == weak else bool(exceeds(peak, top)),
            f"best possible {peak:.3f}, {catalog.short_name(best)} {top:.3f}",
        ),
    }
    if (area := pairs.apgr([0, 1], ends, *ends)) is not None:
        found["random-half"] = Fact(bool(np.isclose(area, 0.5)), f"{area:.3f} in closed form")
    return found
