"""Notebooks' support package: outcome tables in, the figures and tables of two papers out.

RouterBench (arXiv 2403.12031) and RouteLLM (arXiv 2406.18665) founded the study of routing queries
among language models. This package holds what their notebooks call. Importing it does no work: no
network, no model, no environment variable is touched.
"""

__version__ = "0.1.0"
