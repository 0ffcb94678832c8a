"""The public surface: the names of the package, their pages, and what importing them costs."""

from __future__ import annotations

import inspect
import re
import runpy
import subprocess
import sys
import types
from pathlib import Path

import cdrkit
from cdrkit import errors

DOCS = Path(__file__).parents[1] / "docs"
NAMES = [name for name in vars(cdrkit) if not name.startswith("_") and name != "annotations"]
ERRORS = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)]


def headings(page: str) -> list[str]:
    """Return the second-level headings of a page of the documentation."""
    return re.findall(r"^## `?(\w+)`?$", (DOCS / page).read_text(), re.MULTILINE)


class TestNames:
    """The names of ``cdrkit``."""

    def test_all_is_what_is_public(self) -> None:
        """``__all__`` holds every name without an underscore that is no module: nothing leaks, none is forgotten."""
        public = {name for name in NAMES if not isinstance(getattr(cdrkit, name), types.ModuleType)}
        assert sorted(cdrkit.__all__) == sorted(public)

    def test_public_modules(self) -> None:
        """Few modules are public; one name has one import path."""
        modules = {name for name in NAMES if isinstance(getattr(cdrkit, name), types.ModuleType)}
        assert modules <= {"cli", "errors", "reports", "samples", "sources", "storage", "testing", "viewer"}

    def test_they_are_few(self) -> None:
        """Thirty names can be remembered."""
        assert len(cdrkit.__all__) <= 30

    def test_each_has_a_docstring(self) -> None:
        """Every class and function says what it is for."""
        described = [name for name in cdrkit.__all__ if name.isupper() or getattr(cdrkit, name).__doc__]
        assert described == list(cdrkit.__all__)


class TestPages:
    """The reference pages."""

    def test_every_name_has_a_section(self) -> None:
        """docs/reference/api.md has one section a name, and none besides."""
        assert sorted(headings("reference/api.md")) == sorted(cdrkit.__all__)

    def test_fields_are_as_in_the_catalogue(self) -> None:
        """docs/reference/fields.md is what its generator makes of FIELDS now."""
        generator = runpy.run_path(str(DOCS / "_generate_fields.py"))
        assert (DOCS / "reference" / "fields.md").read_text() == generator["page"]()


class TestErrors:
    """The tree that is drawn in ``cdrkit.errors``, and shown on its page."""

    def test_the_tree_is_the_truth(self) -> None:
        """Every class is drawn once, below its parent, with the built-in class that it also is."""
        line = re.compile(r"^( *[│├└─ ]*)(\w+Error)(?: \((\w+)\))?", re.MULTILINE)
        drawn: dict[str, tuple[str, ...]] = {}
        above: list[str] = []
        for marks, name, also in line.findall(errors.__doc__ or ""):
            depth = (len(marks) - 4) // 4
            above[depth:] = [name]
            drawn[name] = tuple(filter(None, [above[depth - 1] if depth else "Exception", also]))
        assert drawn == {error.__name__: tuple(base.__name__ for base in error.__bases__) for error in ERRORS}
        assert sorted(drawn) == sorted(errors.__all__)

    def test_the_page_shows_it(self) -> None:
        """docs/reference/errors.md takes tree and classes from the module."""
        assert ".. automodule:: cdrkit.errors" in (DOCS / "reference" / "errors.md").read_text()


def test_importing_loads_no_network_stack() -> None:
    """``import cdrkit`` leaves out what only some calls need."""
    heavy = ("s3fs", "aiohttp", "botocore", "pandas", "pyarrow.dataset", "IPython", "click", "rich")
    code = f"import cdrkit, sys; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
