"""Figures, tables and checked claims with their provenance, in one look."""

from rb_support.report.claims import Claim
from rb_support.report.core import Report, Versus, beside
from rb_support.report.figures import (
    cascade_figure,
    comparison_figure,
    dataset_figure,
    forest_figure,
    mathematics_figure,
    oracle_figure,
    plot_hull,
    plot_without,
)
from rb_support.report.plots import cost_axis, panels, plot_curve, plot_models
from rb_support.report.preference_figures import labels_figure, plot_call_performance
from rb_support.report.render import shown, sign
from rb_support.report.store import ReportError
from rb_support.report.style import use_style

__all__ = [
    "Claim",
    "Report",
    "ReportError",
    "Versus",
    "beside",
    "cascade_figure",
    "comparison_figure",
    "forest_figure",
    "cost_axis",
    "dataset_figure",
    "labels_figure",
    "mathematics_figure",
    "oracle_figure",
    "panels",
    "plot_call_performance",
    "plot_curve",
    "plot_hull",
    "plot_models",
    "plot_without",
    "shown",
    "sign",
    "use_style",
]
