"""Every exception that cdrkit raises on purpose.

.. code-block:: text

    CdrError
    ├── ConfigError (ValueError)                     a URL, option or zone that cannot work
    │   ├── UnknownFormatError                       .name .available
    │   └── MissingExtraError (ImportError)          .extra
    ├── SchemaError (ValueError)                     data does not fit the fields        .field .row
    ├── QueryError (ValueError)                      the question is malformed           .parameter
    │   └── UnknownFieldError (LookupError)          .field .close_matches
    ├── ScopeError (PermissionError)                 outside what this scope may see or do
    └── StorageError                                 the world failed                    .url .retryable
        ├── NotFoundError (FileNotFoundError)
        │   └── RecordingNotFoundError               .call_id
        ├── AccessDeniedError (PermissionError)
        ├── ConflictError                            a commit lost the race too often
        ├── UnavailableError (ConnectionError)       .retryable is True
        └── CorruptDataError                         a checksum or a format does not hold

``except CdrError`` catches all of them. A message says what happened, with which value, and what to do;
the facts in it are attributes too. An error that came from below is chained (``raise … from``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AccessDeniedError",
    "CdrError",
    "ConfigError",
    "ConflictError",
    "CorruptDataError",
    "MissingExtraError",
    "NotFoundError",
    "QueryError",
    "RecordingNotFoundError",
    "SchemaError",
    "ScopeError",
    "StorageError",
    "UnavailableError",
    "UnknownFieldError",
    "UnknownFormatError",
]


class CdrError(Exception):
    """The root of every exception that cdrkit raises on purpose."""


class ConfigError(CdrError, ValueError):
    """Raised when a URL, an option or a time zone cannot work."""


class UnknownFormatError(ConfigError):
    """Raised when no source of that name is known, or a file's format cannot be told.

    Attributes:
        name: The format asked for.
        available: The formats that are known, sorted; where a file's is asked for, those that fit it.
    """

    def __init__(self, message: str, *, name: str = "", available: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.name: str = name
        self.available: tuple[str, ...] = tuple(available)


class MissingExtraError(ConfigError, ImportError):
    """Raised when an optional package is needed that is not installed.

    Attributes:
        extra: The extra to install: ``pandas`` for ``cdrkit[pandas]``.
    """

    def __init__(self, message: str, *, extra: str = "") -> None:
        super().__init__(message)
        self.extra: str = extra


class SchemaError(CdrError, ValueError):
    """Raised when data does not fit the fields of a call record.

    Attributes:
        field: The field it is about, or None.
        row: The row it is about, counted from 0 in a table and from 1 in a file, or None.
    """

    def __init__(self, message: str, *, field: str | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.field: str | None = field
        self.row: int | None = row


class QueryError(CdrError, ValueError):
    """Raised when a query is malformed.

    Attributes:
        parameter: The parameter or method it is about, or None.
    """

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter: str | None = parameter


class UnknownFieldError(QueryError, LookupError):
    """Raised when a query names a field that there is not.

    Attributes:
        field: The name as it was given.
        close_matches: The nearest names that there are, best first.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        close_matches: Iterable[str] = (),
        parameter: str | None = None,
    ) -> None:
        super().__init__(message, parameter=parameter)
        self.field: str = field
        self.close_matches: tuple[str, ...] = tuple(close_matches)


class ScopeError(CdrError, PermissionError):
    """Raised when something is asked for that lies outside what this scope may see or do."""


class StorageError(CdrError):
    """Raised when a file, a folder or a bucket failed.

    Attributes:
        url: What failed, or None.
        retryable: Whether the same call may succeed later without any change.
    """

    retryable: bool = False

    def __init__(self, message: str, *, url: str | None = None, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.url: str | None = url
        if retryable is not None:
            self.retryable = retryable


class NotFoundError(StorageError, FileNotFoundError):
    """Raised when a file or a store is not there."""


class RecordingNotFoundError(NotFoundError):
    """Raised when a call has no recording, or when its file is not there.

    Attributes:
        call_id: The call whose recording was asked for.
    """

    def __init__(self, message: str, *, url: str | None = None, call_id: str = "") -> None:
        super().__init__(message, url=url)
        self.call_id: str = call_id


class AccessDeniedError(StorageError, PermissionError):
    """Raised when storage refuses access, or when a path would leave its root."""


class ConflictError(StorageError):
    """Raised when a commit lost the race against other writers too often; trying again may succeed."""

    retryable = True


class UnavailableError(StorageError, ConnectionError):
    """Raised when storage does not answer; trying again may succeed."""

    retryable = True


class CorruptDataError(StorageError):
    """Raised when a checksum or a format does not hold. No row of such a file is ever returned."""


def missing_extra(what: str, extra: str) -> MissingExtraError:
    """Return the error of *what* that needs an extra, with how to install it."""
    return MissingExtraError(
        f"{what} needs the extra `{extra}` (pip install 'cdrkit[{extra}]', or '.[{extra}]' in a clone).",
        extra=extra,
    )


def suggestion(name: str, known: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Return `` Did you mean …?`` (or nothing) and the close matches of *name* among *known*, best first."""
    matches = tuple(difflib.get_close_matches(name, list(known), n=3, cutoff=0.5))
    if not matches:
        return "", ()
    return f" Did you mean {' or '.join(repr(match) for match in matches)}?", matches
