"""The codes of the errors: stable, one for each class, and listed in the docstring's table."""

from __future__ import annotations

import re

import pytest

from cdrkit import errors
from cdrkit.errors import CdrError

CLASSES = [getattr(errors, name) for name in errors.__all__]
CODES = {
    "AccessDeniedError": "access_denied",
    "CdrError": "cdr",
    "ConfigError": "config",
    "ConflictError": "conflict",
    "CorruptDataError": "corrupt_data",
    "MissingExtraError": "missing_extra",
    "NotFoundError": "not_found",
    "QueryError": "query",
    "RecordingNotFoundError": "recording_not_found",
    "SchemaError": "schema",
    "ScopeError": "scope",
    "StorageError": "storage",
    "UnavailableError": "unavailable",
    "UnknownFieldError": "unknown_field",
    "UnknownFormatError": "unknown_format",
}


def test_codes_stay() -> None:
    """Portals and logs compare these words: a code never changes."""
    assert {kind.__name__: kind.code for kind in CLASSES} == CODES


@pytest.mark.parametrize("kind", CLASSES)
def test_each_class_has_its_own_code(kind: type[CdrError]) -> None:
    """A class defines a code itself: the snake_case of its name without ``Error``."""
    words = re.findall("[A-Z][a-z]+", kind.__name__.removesuffix("Error"))
    assert vars(kind)["code"] == "_".join(words).lower()
    assert kind("message").code == kind.code


def test_the_docstring_lists_the_codes() -> None:
    """The table of the module's docstring has every class with its code."""
    table = re.findall(r"^ *[│├└─ ]*(\w+Error)(?: \(\w+\))? +(\w+)  ", errors.__doc__ or "", re.MULTILINE)
    assert dict(table) == CODES
    assert len(table) == len(CODES)
