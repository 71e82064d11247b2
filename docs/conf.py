"""Configure Sphinx. ``make docs`` builds the pages and turns warnings into errors.

The extension intersphinx is not used: it downloads the inventories of other projects, and the
documentation must build without a network.
"""

from __future__ import annotations

import re
import sys
import warnings
from importlib.metadata import version as installed_version
from pathlib import Path

from skhybrid.datasets import fetch_cascaded_tanks
from skhybrid.exceptions import DataNotAvailableError

project = "skhybrid"
author = "the skhybrid developers"
copyright = f"2026, {author}"
release = installed_version("skhybrid")
version = ".".join(release.split(".")[:2])

sys.path.insert(0, str(Path(__file__).parent))  # gallery_order.py

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
autodoc_typehints = "none"  # the docstrings describe the types
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the class template lists the members

toc_object_entries_show_parents = "hide"  # "fit" beside the page, not "HybridRegressor.fit"

html_theme = "pydata_sphinx_theme"
html_title = f"skhybrid {release}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["custom.css"]
# These pages have no pages below them, so their navigation would be empty.
html_sidebars = {page: [] for page in ("quick_start", "contributing", "changelog")}
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}

# The inherited docstrings of HybridSearchCV refer to scikit-learn's glossary.
suppress_warnings = ["ref.term"]

# The gallery does not run this example without its data, which skhybrid cannot download.
examples_to_run = r"plot_"
try:
    fetch_cascaded_tanks()
except DataNotAvailableError as error:
    print(f"The gallery does not run plot_cascaded_tanks.py. {error}")
    examples_to_run = r"plot_(?!cascaded_tanks)"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": examples_to_run,
    "within_subsection_order": "gallery_order.SimplestFirst",
    "ignore_pattern": r"^(?!plot_)",  # examples/ also holds the demo
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skhybrid",),
    "reference_url": {"skhybrid": None},
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "min_reported_time": 1,
}
# The examples call plt.show(), and the backend Agg warns about it.
warnings.filterwarnings("ignore", message=".*FigureCanvasAgg is non-interactive.*")

# Targets of references in docstrings that are inherited from scikit-learn.
_SCIKIT_LEARN_LABELS = {"metadata_routing", "meta-estimator", "r2_score"}


def leave_as_text(app, env, node, contnode):
    """Return the plain text of a reference to scikit-learn's documentation, otherwise None."""
    return contnode if node["reftarget"] in _SCIKIT_LEARN_LABELS else None


_HEADINGS = {"#": "=", "##": "-", "###": "~"}


def include_changelog(app, docname, source):
    """Replace the source of the page "changelog" by CHANGELOG.md, converted to reStructuredText."""
    if docname != "changelog":
        return

    def underlined(match):
        return f"{match[2]}\n{_HEADINGS[match[1]] * len(match[2])}"

    text = (Path(app.srcdir).parent / "CHANGELOG.md").read_text(encoding="utf-8")
    text = re.sub(r"`([^`]+)`", r"``\1``", text)
    text = re.sub(r"\[([^]]+)\]\(([^)]+)\)", r"`\1 <\2>`__", text)
    source[0] = re.sub(r"^(#+) (.+)$", underlined, text, flags=re.MULTILINE)


def setup(app):
    """Connect the handlers to the events of Sphinx."""
    app.connect("source-read", include_changelog)
    app.connect("missing-reference", leave_as_text)
