"""The rules of public docstrings: a short first line, an example that runs, and the errors."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections import ChainMap
from typing import Any, Final

import pytest

#: The public packages, by their import names.
PUBLIC: Final = (
    "cdrkit",
    "cdrkit.errors",
    "cdrkit.reports",
    "cdrkit.samples",
    "cdrkit.sources",
    "cdrkit.storage",
    "cdrkit.testing",
    "cdrkit.viewer",
)
#: Members that are not callable and have a docstring of their own.
DESCRIPTORS: Final = (property, classmethod, staticmethod)
#: Test suites to subclass. The example of the class shows what a subclass overrides; pytest calls the tests.
SUITES: Final = ("SourceTests.", "TierTests.")
#: The functions, methods and properties that raise no error of their own for any argument of the documented type.
SAFE: Final = {
    "CallRecord": {"connected", "has_recording", "to_dict"},
    "DailyTotal": {"acd", "asr"},
    "DailyTotals": {"to_arrow", "to_polars"},
    "DisplaySettings": {"to_dict", "within"},
    "Expr": {"to_dict"},
    "FieldInfo": {"is_text"},
    "FieldRef": {"is_null"},
    "Files": {"url", "url_of"},
    "IngestReport": {"pending_rows", "reasons", "rejected", "to_dict"},
    "Inputs": {"bytes_read"},
    "KeySearch": {"with_longer"},
    "Query": {
        "connected",
        "full_order",
        "has_recording",
        "newest_first",
        "oldest_first",
        "to_dict",
        "to_params",
    },
    "Recording": {"call_id"},
    "Result": {"columns", "query", "timezone"},
    "ScopedStore": {"fields", "viewer"},
    "Segment": {"to_dict"},
    "SourceBatch": {"read"},
    "Store": {"archive", "maintenance"},
    "StoreStatus": {"to_dict"},
    "Tier": {"name"},
    "TimeRange": {"intersect", "is_empty"},
    "Totals": {"may_hold", "size_bytes"},
    "VerifyReport": {"ok"},
    "Viewer": {"query", "result", "settings", "widget"},
    "Writer": {"pending", "report"},
    "available": {""},
}


def public_members() -> dict[str, object]:
    """Return the classes and functions that public packages name in ``__all__``, and the classes' members."""
    members: dict[str, object] = {}
    for package in PUBLIC:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if not callable(value) or not getattr(value, "__module__", "").startswith("cdrkit"):
                continue
            members[f"{package}.{name}"] = value
            bases = inspect.getmro(value) if inspect.isclass(value) else ()
            own = [dict(vars(base)) for base in bases if base.__module__.startswith("cdrkit")]
            for key, member in ChainMap(*own).items():
                if not key.startswith("_") and (callable(member) or isinstance(member, DESCRIPTORS)):
                    members[f"{package}.{name}.{key}"] = member
    return members


def raises(member: Any) -> bool:
    """Return whether the code of a function, method or property contains a ``raise`` statement."""
    function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
    if not inspect.isfunction(function):
        return False
    source = inspect.getsource(function)
    tree = ast.parse(f"if True:\n{source}" if source.startswith(" ") else source)
    errors = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    return any(error != "raise NotImplementedError" for error in errors)  # an abstract method is never called


@pytest.fixture(scope="module")
def members() -> dict[str, object]:
    """Give the public names and the objects behind them."""
    return public_members()


@pytest.fixture(scope="module")
def docstrings(members: dict[str, object]) -> dict[str, str]:
    """Give the docstrings of the public names; an absent docstring is an empty string."""
    return {name: inspect.getdoc(member) or "" for name, member in members.items()}


class TestDocstrings:
    """The docstrings of public classes, functions, methods and properties."""

    def test_first_lines_are_short(self, docstrings: dict[str, str]) -> None:
        """Each docstring begins with a sentence of fewer than 80 characters."""
        lines = {name: [*text.splitlines(), ""][0] for name, text in docstrings.items()}
        assert {"cdrkit.Result", "cdrkit.Result.page", "cdrkit.Store.run"} <= set(lines)
        long = {name: line for name, line in lines.items() if len(line) >= 80 or not line.endswith(".")}
        assert long == {}

    def test_each_has_an_example(self, docstrings: dict[str, str]) -> None:
        """Each docstring has an example. The root's conftest.py runs all examples as tests."""
        without = [
            name
            for name, text in docstrings.items()
            if ">>> " not in text and not any(suite in name for suite in SUITES)
        ]
        assert without == []

    def test_a_raise_statement_is_documented(
        self, members: dict[str, object], docstrings: dict[str, str]
    ) -> None:
        """Each function that contains a ``raise`` statement has a section Raises."""
        assert all(raises(members[f"cdrkit.{name}"]) for name in ("Result.page", "CallRecord.from_dict"))
        assert [
            name
            for name, member in members.items()
            if raises(member)
            and "Raises:" not in docstrings[name]
            and not any(suite in name for suite in SUITES)
        ] == []

    def test_each_lists_its_errors(self, members: dict[str, object], docstrings: dict[str, str]) -> None:
        """Each function, method and property has a section Raises, unless `SAFE` names it."""
        without: dict[str, set[str]] = {}
        for name, text in docstrings.items():
            if "Raises:" in text or inspect.isclass(members[name]) or any(suite in name for suite in SUITES):
                continue
            owner, _, member = next(
                name.removeprefix(f"{package}.")
                for package in reversed(PUBLIC)
                if name.startswith(f"{package}.")
            ).partition(".")
            without.setdefault(owner, set()).add(member)
        assert without == SAFE
