"""Sphinx configuration. `make docs` builds the pages with warnings as errors.

There is no intersphinx: it downloads other projects' inventories, and the documentation must build
without a network.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version as installed_version

project = "skhybrid"
author = "the skhybrid developers"
copyright = f"2026, {author}"
release = installed_version("skhybrid")
version = ".".join(release.split(".")[:2])

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx-mathjax-offline",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say it in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the class template shows them

html_theme = "pydata_sphinx_theme"
html_title = f"skhybrid {release}"
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}

# What HybridSearchCV inherits speaks in terms of scikit-learn's glossary.
suppress_warnings = ["ref.term"]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "ignore_pattern": r"^(?!plot_)",  # examples/ also holds scripts that are no gallery pages
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skhybrid",),
    "reference_url": {"skhybrid": None},
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "min_reported_time": 1,
}
# A gallery page shows results; its own figures are never shown in a window.
warnings.filterwarnings("ignore", message=".*FigureCanvasAgg is non-interactive.*")

# What docstrings inherited from scikit-learn refer to in its own documentation.
_SCIKIT_LEARN_LABELS = {"metadata_routing", "meta-estimator", "r2_score"}


def leave_as_text(app, env, node, contnode):
    """Leave such a reference in the page as plain text."""
    return contnode if node["reftarget"] in _SCIKIT_LEARN_LABELS else None


def setup(app):
    app.connect("missing-reference", leave_as_text)
