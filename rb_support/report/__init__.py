"""Figures, tables and checked claims with their provenance, in one look."""

from rb_support.report.call_figures import (
    audit_figure,
    commercial_figure,
    labels_figure,
    new_model_figure,
    plot_call_performance,
    routers_figure,
    transfer_figure,
)
from rb_support.report.construction import construction_figure
from rb_support.report.core import Report, Versus, beside
from rb_support.report.figures import (
    cascade_figure,
    comparison_figure,
    dataset_figure,
    forest_figure,
    mathematics_figure,
    oracle_figure,
    plot_cascades,
    plot_comparison,
)
from rb_support.report.plots import cost_axis, model_legend, panels, plot_curve, plot_models
from rb_support.report.render import shown
from rb_support.report.store import ReportError
from rb_support.report.style import model_style, router_style, use_style

__all__ = [
    "Report",
    "ReportError",
    "Versus",
    "audit_figure",
    "beside",
    "cascade_figure",
    "commercial_figure",
    "comparison_figure",
    "forest_figure",
    "construction_figure",
    "cost_axis",
    "dataset_figure",
    "labels_figure",
    "mathematics_figure",
    "model_legend",
    "model_style",
    "new_model_figure",
    "oracle_figure",
    "panels",
    "plot_call_performance",
    "plot_cascades",
    "plot_comparison",
    "plot_curve",
    "plot_models",
    "router_style",
    "routers_figure",
    "shown",
    "transfer_figure",
    "use_style",
]
