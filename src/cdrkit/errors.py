"""Exceptions that cdrkit raises, each with a stable code.

.. code-block:: text

    class                                            code                 raised for; further attributes

    CdrError                                         cdr                  the root of all errors
    ├── ConfigError (ValueError)                     config               an invalid URL, option or time zone
    │   ├── UnknownFormatError                       unknown_format       an unknown format; name, available
    │   └── MissingExtraError (ImportError)          missing_extra        a package to install; extra
    ├── SchemaError (ValueError)                     schema               data that does not fit the fields; field, row
    ├── QueryError (ValueError)                      query                a malformed query; parameter
    │   └── UnknownFieldError (LookupError)          unknown_field        an unknown field; field, close_matches
    ├── ScopeError (PermissionError)                 scope                a request outside a scope
    └── StorageError                                 storage              a failure of storage; url, retryable
        ├── NotFoundError (FileNotFoundError)        not_found            a file or a store that does not exist
        │   └── RecordingNotFoundError               recording_not_found  a recording that does not exist; call_id
        ├── AccessDeniedError (PermissionError)      access_denied        storage that refuses access
        ├── ConflictError                            conflict             too many conflicts with other writers
        ├── UnavailableError (ConnectionError)       unavailable          storage that does not respond
        └── CorruptDataError                         corrupt_data         a file with a wrong checksum or format

``except CdrError`` catches all of them. A message names the failure, the value and the remedy. The values are also
attributes of the error. An error from another library is chained (``raise … from``).

Use the attribute ``code`` in logs and portal responses: the code stays the same when a class is renamed or a message
is reworded.

Example:
    >>> from cdrkit import field
    >>> from cdrkit.errors import CdrError
    >>> try:
    ...     field("sorce")
    ... except CdrError as error:
    ...     print(error.code, error.close_matches)
    unknown_field ('source', 'source_ip', 'source_name')
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

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
    """The base class of all exceptions that cdrkit raises.

    Attributes:
        code: A stable word for the kind of error, for logs and portal responses.

    Example:
        >>> from cdrkit import Query
        >>> from cdrkit.errors import CdrError
        >>> try:
        ...     query = Query().limit(-1)
        ... except CdrError as error:
        ...     print(error.code, error, sep=': ')
        query: A limit must be a whole number of 0 or more, not -1.
    """

    code: ClassVar[str] = "cdr"


class ConfigError(CdrError, ValueError):
    """Raised when a URL, an option or a time zone is invalid.

    Example:
        >>> from cdrkit import Query
        >>> from cdrkit.errors import ConfigError
        >>> try:
        ...     query = Query().during("today", "London")
        ... except ConfigError as error:
        ...     print(error.code)
        config
    """

    code = "config"


class UnknownFormatError(ConfigError):
    """Raised when a source format is unknown or cannot be detected.

    Attributes:
        name: The requested format; empty if cdrkit had to detect the format.
        available: The known formats, sorted. After a detection, only the formats that fit the file.

    Example:
        >>> import cdrkit
        >>> from cdrkit.errors import UnknownFormatError
        >>> store = cdrkit.open_store("memory://unknown-format-error")
        >>> try:
        ...     report = store.ingest(b"17,1001", format="asterix")
        ... except UnknownFormatError as error:
        ...     print(error.name, "asterisk-csv" in error.available)
        asterix True
    """

    code = "unknown_format"

    def __init__(self, message: str, *, name: str = "", available: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.name: str = name
        self.available: tuple[str, ...] = tuple(available)


class MissingExtraError(ConfigError, ImportError):
    """Raised when an operation needs an optional package that is not installed.

    Attributes:
        extra: The extra to install: ``pandas`` stands for ``pip install 'cdrkit[pandas]'``.

    Example:
        >>> from cdrkit.errors import MissingExtraError
        >>> try:
        ...     raise MissingExtraError("to_pandas() needs the extra `pandas`.", extra="pandas")
        ... except ImportError as error:
        ...     print(error.extra)
        pandas
    """

    code = "missing_extra"

    def __init__(self, message: str, *, extra: str = "") -> None:
        super().__init__(message)
        self.extra: str = extra


class SchemaError(CdrError, ValueError):
    """Raised when data does not fit the fields of a call record.

    Attributes:
        field: The field with the wrong value, or None.
        row: The row with the wrong value, or None. Rows count from 0 in a table and from 1 in a file.

    Example:
        >>> import cdrkit
        >>> from cdrkit.errors import SchemaError
        >>> store = cdrkit.open_store("memory://schema-error")
        >>> try:
        ...     report = store.append([{"call_id": "17"}])
        ... except SchemaError as error:
        ...     print(error.field, error.row)
        start 0
    """

    code = "schema"

    def __init__(self, message: str, *, field: str | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.field: str | None = field
        self.row: int | None = row


class QueryError(CdrError, ValueError):
    """Raised when a query is malformed.

    Attributes:
        parameter: The parameter or method with the wrong value, or None.

    Example:
        >>> from cdrkit import Query
        >>> from cdrkit.errors import QueryError
        >>> try:
        ...     query = Query.from_params({"limit": "many"})
        ... except QueryError as error:
        ...     print(error.parameter, error)
        limit limit=many: give a whole number of 0 or more.
    """

    code = "query"

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter: str | None = parameter


class UnknownFieldError(QueryError, LookupError):
    """Raised when a query uses an unknown field.

    Attributes:
        field: The unknown name, as given.
        close_matches: The most similar known names, best match first.

    Example:
        >>> from cdrkit import Query
        >>> from cdrkit.errors import UnknownFieldError
        >>> try:
        ...     query = Query().columns("durration")
        ... except UnknownFieldError as error:
        ...     print(error.field, error.close_matches[0])
        durration duration
    """

    code = "unknown_field"

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
    """Raised when a scope does not allow the requested call, field or action.

    Example:
        >>> import cdrkit
        >>> from cdrkit.errors import ScopeError
        >>> store = cdrkit.open_store("memory://scope-error", recordings="memory://scope-error-files/{call_id}.wav")
        >>> call = {"call_id": "17", "start": "2026-11-22T09:30:00Z", "customer_id": "1003", "recording": "a.wav"}
        >>> report = store.append([call])
        >>> scoped = store.scoped(customer_id="1003", recordings=["play"])
        >>> try:
        ...     path = scoped.recording(next(iter(scoped.run()))).location
        ... except ScopeError as error:
        ...     print(error.code)
        scope
    """

    code = "scope"


class StorageError(CdrError):
    """Raised when an operation on a file, a folder or a bucket fails.

    Attributes:
        url: The URL or path of the failed operation, or None.
        retryable: Whether the same operation may succeed later without any change.

    Example:
        >>> import cdrkit
        >>> from cdrkit.errors import StorageError
        >>> try:
        ...     store = cdrkit.open_store("memory://storage-error", must_exist=True)
        ... except StorageError as error:
        ...     print(error.url, error.retryable)
        memory://storage-error False
    """

    code = "storage"
    retryable: bool = False

    def __init__(self, message: str, *, url: str | None = None, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.url: str | None = url
        if retryable is not None:
            self.retryable = retryable


class NotFoundError(StorageError, FileNotFoundError):
    """Raised when a file or a store does not exist.

    Example:
        >>> import cdrkit
        >>> try:
        ...     store = cdrkit.open_store("memory://not-found-error", must_exist=True)
        ... except FileNotFoundError as error:
        ...     print(error.code)
        not_found
    """

    code = "not_found"


class RecordingNotFoundError(NotFoundError):
    """Raised when a call has no recording, or when the recording's file is missing.

    Attributes:
        call_id: The call whose recording was requested.

    Example:
        >>> import cdrkit
        >>> from cdrkit.errors import RecordingNotFoundError
        >>> store = cdrkit.open_store("memory://recording-error", recordings="memory://recording-files/{recording}")
        >>> call = cdrkit.CallRecord.from_dict({"call_id": "17", "start": "2026-11-22T09:30:00Z"})
        >>> try:
        ...     recording = store.recording(call)
        ... except RecordingNotFoundError as error:
        ...     print(error.call_id, error)
        17 Call '17' has no recording.
    """

    code = "recording_not_found"

    def __init__(self, message: str, *, url: str | None = None, call_id: str = "") -> None:
        super().__init__(message, url=url)
        self.call_id: str = call_id


class AccessDeniedError(StorageError, PermissionError):
    """Raised when storage refuses access, or a path leads out of its root folder.

    Example:
        >>> from cdrkit.errors import AccessDeniedError
        >>> try:
        ...     raise AccessDeniedError("The bucket refuses access.", url="s3://acme/calls")
        ... except PermissionError as error:
        ...     print(error.code, error.url)
        access_denied s3://acme/calls
    """

    code = "access_denied"


class ConflictError(StorageError):
    """Raised when a commit conflicts with other writers too many times.

    A later attempt may succeed.

    Example:
        >>> from cdrkit.errors import ConflictError, StorageError
        >>> try:
        ...     raise ConflictError("Too many writers.", url="s3://acme/calls")
        ... except StorageError as error:
        ...     print(error.code, error.retryable)
        conflict True
    """

    code = "conflict"
    retryable = True


class UnavailableError(StorageError, ConnectionError):
    """Raised when storage does not respond.

    A later attempt may succeed.

    Example:
        >>> from cdrkit.errors import UnavailableError
        >>> try:
        ...     raise UnavailableError("The bucket does not respond.", url="s3://acme/calls")
        ... except ConnectionError as error:
        ...     print(error.code, error.retryable)
        unavailable True
    """

    code = "unavailable"
    retryable = True


class CorruptDataError(StorageError):
    """Raised when a file has a wrong checksum or format.

    cdrkit returns no row of such a file.

    Example:
        >>> import cdrkit, fsspec
        >>> from cdrkit.errors import CorruptDataError
        >>> settings = cdrkit.DisplaySettingsStore("memory://corrupt-error")
        >>> settings.put("ann", cdrkit.DisplaySettings())
        >>> memory = fsspec.filesystem("memory")
        >>> memory.pipe(memory.ls("/corrupt-error", detail=False)[0], b"damaged")
        >>> try:
        ...     ann = settings.get("ann")
        ... except CorruptDataError as error:
        ...     print(error.code)
        corrupt_data
    """

    code = "corrupt_data"


def missing_extra(needed_by: str, extra: str) -> MissingExtraError:
    """Return the error for an operation whose optional package is not installed.

    The message contains the command that installs the extra.

    Args:
        needed_by: The operation, as the subject of a sentence: ``"to_pandas()"``.
        extra: The name of the extra.
    """
    return MissingExtraError(
        f"{needed_by} needs the extra `{extra}` (pip install 'cdrkit[{extra}]', or '.[{extra}]' in a clone).",
        extra=extra,
    )


def suggestion(name: str, known: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Find known names that are similar to *name*; return a hint and the names.

    Returns:
        The hint to append to a message: `` Did you mean 'a' or 'b'?`` with a leading space, or an empty string; and
        up to three names, best match first.
    """
    matches = tuple(difflib.get_close_matches(name, list(known), n=3, cutoff=0.5))
    if not matches:
        return "", ()
    return f" Did you mean {' or '.join(repr(match) for match in matches)}?", matches
