"""The site: `sphinx-build -W --keep-going -c docs build/site-source build/site`; see docs/site/fill.py."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "site"), str(HERE.parent)]

import rb_support  # noqa: E402

project = "LLM routing, reproduced"
author = "The rb-support authors"
copyright = f"{author}, MIT licence"
release = rb_support.__version__
language = "en"
exclude_patterns = ["_extra"]

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "fill",
    "mathml",
]

# Notebooks are shown with the outputs they were committed with, and never run.
nb_execution_mode = "off"
nb_render_markdown_format = "myst"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # what a widget shows is its strip of pictures
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 4
myst_all_links_external = False

autosummary_generate = False
autodoc_typehints = "none"  # numpydoc's parameters say it in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Nothing is fetched, so that the site opens from a folder: no fonts, no scripts, no summaries of found pages.
html_theme = "furo"
html_title = project
html_math_renderer = "mathml"
html_show_search_summary = False
html_static_path = [str(HERE / "site" / "static")]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_use_index = False
html_domain_indices = False
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_permalinks_icon = "#"
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_theme_options = {"top_of_page_buttons": []}
