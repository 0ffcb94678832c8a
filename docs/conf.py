"""Configure Sphinx."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Any

from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import cdrkit
from cdrkit import errors

project = "cdrkit"
copyright = "the cdrkit developers"  # noqa: A001  # Sphinx uses this name
release = version = version_of("cdrkit")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"cdrkit {version}"

myst_heading_anchors = 3

default_role = "py:obj"  # `Store.run` in a docstring is a link; a broken link is an error
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = False  # attributes become link targets

# The build fetches no pages of other projects, so their names are not links.
nitpick_ignore_regex = [
    (r"py:.*", r"(attrs|collections|contextlib|datetime|decimal|enum|os|pathlib|types|typing)\..*"),
    (r"py:.*", r"(pa|pyarrow)\..*"),
    (r"py:.*", r"(pl|polars)\..*"),
    (r"py:.*", r"(pd|pandas)\..*"),
]
# Type aliases without an entry: the docstring describes the argument.
nitpick_ignore = [
    ("py:class", alias) for alias in ("CallData", "Input", "OnConflict", "Progress", "Rows", "TimeStyle")
]
nitpick_ignore += [("py:class", "cdrkit.viewer.state.ViewResultT")]  # a type variable
nitpick_ignore += [("py:class", "cdrkit.sources.inputs.Connection")]  # any connection of PEP 249
nitpick_ignore += [("py:obj", "field")]  # `field` in the docstring of its class


def leave_first_line(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Add an empty first line, so that napoleon does not read a type from a property's first line."""
    if what == "property":
        lines.insert(0, "\\ ")  # an empty line


def link_public_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: Any) -> Any:
    """Link a name such as `SCHEMA` or `Store.run` to its public path, in the docstring of any module."""
    name = node["reftarget"]
    modules = [module for module in (cdrkit, errors) if name.partition(".")[0] in module.__all__]
    if node["refdomain"] != "py" or not modules:
        return None
    target, domain = f"{modules[0].__name__}.{name}", env.get_domain("py")
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, contnode)


def setup(app: Sphinx) -> None:
    """Connect the functions. The first must run before napoleon's own."""
    app.connect("autodoc-process-docstring", leave_first_line, priority=400)
    app.connect("missing-reference", link_public_name)
