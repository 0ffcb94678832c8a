"""Detect the format of a file, and state the reason."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from cdrkit.errors import ConfigError, SchemaError, UnknownFormatError
from cdrkit.sources.compression import read_head
from cdrkit.sources.inputs import Input, Inputs
from cdrkit.sources.registry import FormatName, available, find_factory

__all__ = ["Detected", "detect"]


@attrs.frozen
class Detected:
    """A format that matches a file.

    Example:
        >>> from cdrkit.sources import Detected
        >>> Detected("twilio", "a page of calls").format
        'twilio'

    Attributes:
        format: The name of the format, as `cdrkit.Store.ingest` accepts it.
        reason: The reason why the format matches, in a few words.
    """

    format: FormatName | str
    reason: str


def detect(file: Input, *, storage_options: Mapping[str, object] | None = None) -> Detected:
    """Detect the format of a file, and return the format and the reason.

    Only the first 64 KiB of the file are inspected, after decompression. For a folder, a glob or an archive, only the
    first file is inspected. A file that the caller opened is inspected from its current position, which is then
    restored.

    Example:
        >>> from cdrkit.sources import detect
        >>> row = (
        ...     b'"1001","02079460018","2041","office","","SIP/a","SIP/b","Dial","","2026-11-22 09:00:00",'
        ...     b'"2026-11-22 09:00:04","2026-11-22 09:00:38",38,34,"ANSWERED","BILLING","1763802000.1",""'
        ... )
        >>> detected = detect(row + b"\\n")
        >>> detected.format, detected.reason
        ('asterisk-csv', '18 columns without a header, the start in column 10')

    Args:
        file: A path, a URL, a glob, bytes, a seekable file, or a list of documents.
        storage_options: Options for the filesystem of a URL, such as credentials and an endpoint.

    Raises:
        UnknownFormatError: When no format or more than one matches; ``available`` lists the candidates.
        SchemaError: When the file is empty.
        StorageError: When the file cannot be read.
        ConfigError: When *file* cannot be read, or its position cannot be restored.
    """
    with _restore_position(file), Inputs(file, storage_options) as inputs:
        if inputs.connection is not None:
            raise ConfigError(
                "The format of a database cannot be detected; give format='asterisk-sql' or 'freepbx'."
            )
        name, head = inputs.name, b""
        for first in inputs:
            name, head = first.name, read_head(first.stream)
            break
    if not head:
        raise SchemaError(f"{inputs.name} is empty: its format cannot be detected.")
    fitting = list(_find_fitting(head, name))
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise UnknownFormatError(
            f"The format of {name} cannot be detected. Give one of these formats: {', '.join(available())}.",
            available=(),
        )
    reasons = "; ".join(f"{detected.format} ({detected.reason})" for detected in fitting)
    raise UnknownFormatError(
        f"Several formats match {name}: {reasons}. Give the right format.",
        available=[detected.format for detected in fitting],
    )


def _find_fitting(head: bytes, name: str) -> Iterator[Detected]:
    """Yield each format that matches the first bytes of a file."""
    for known in available():
        with contextlib.suppress(ConfigError):  # The package of a format is broken: the format does not fit.
            sniff = getattr(find_factory(known), "sniff", None)
            if sniff is not None and (reason := sniff(head, name)) is not None:
                yield Detected(known, reason)


@contextlib.contextmanager
def _restore_position(file: Any) -> Iterator[None]:
    """Restore the read position of *file* at the end of the ``with`` block."""
    if not hasattr(file, "read"):
        if isinstance(file, Iterator) or (isinstance(file, Iterable) and iter(file) is file):
            raise ConfigError(
                "An iterator can be read only once, so its format cannot be detected. Give a list, or give the format."
            )
        yield
        return
    try:
        position = file.tell()
        file.seek(position)
    except (AttributeError, OSError, io.UnsupportedOperation) as exc:
        raise ConfigError(
            f"{file!r} can be read only once, so its format cannot be detected. Give the format."
        ) from exc
    try:
        yield
    finally:
        file.seek(position)
