"""How Sphinx builds the documentation."""

from __future__ import annotations

from importlib.metadata import version as version_of

from sphinx.application import Sphinx

project = "cdrkit"
copyright = "the cdrkit authors"  # noqa: A001  # Sphinx's word
release = version = version_of("cdrkit")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"cdrkit {version}"

myst_heading_anchors = 3

default_role = "py:obj"  # `Store.run` in a docstring is a link, and a broken one fails
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = False  # so that an attribute is something to link to

# Other projects' pages are not fetched while building: what is theirs cannot be a link.
nitpick_ignore_regex = [
    (r"py:.*", r"(attrs|collections|datetime|decimal|enum|os|pathlib|types|typing)\..*"),
    (r"py:.*", r"(pa|pyarrow)\..*"),
    (r"py:.*", r"(pl|polars)\..*"),
    (r"py:.*", r"(pd|pandas)\..*"),
]
# Aliases of types, in whose place the argument is described.
nitpick_ignore = [("py:class", alias) for alias in ("CallData", "Input", "OnConflict", "Progress", "Rows")]
nitpick_ignore += [("py:class", "cdrkit._notebook._view.AnswerT")]  # a type variable: the result's own class
nitpick_ignore += [("py:obj", "field")]  # as the class behind it calls it


def leave_first_line(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Keep napoleon from taking what stands before a colon in a property's first line for its type."""
    if what == "property":
        lines.insert(0, "\\ ")  # nothing, in a line of its own


def setup(app: Sphinx) -> None:
    """Be called before napoleon is."""
    app.connect("autodoc-process-docstring", leave_first_line, priority=400)
