"""Which format a file is in: every format that can tell is asked, and says why it fits."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from cdrkit.errors import ConfigError, SchemaError, UnknownFormatError
from cdrkit.sources.inputs import Input, Inputs, read_head
from cdrkit.sources.registry import available, find_factory

__all__ = ["Detected", "detect"]


@attrs.frozen
class Detected:
    """A format that fits a file.

    Attributes:
        format: Its name, as `cdrkit.Store.ingest` takes it.
        reason: Why it fits, in a few words.
    """

    format: str
    reason: str


def detect(file: Input, *, storage_options: Mapping[str, object] | None = None) -> Detected:
    """Return the format that *file* is in, and why.

    Its first 64 KiB are looked at, decompressed; of a folder, a glob or an archive, those of the first file in it. A
    file that was opened by the caller is read from where it stands, and put back there.

    Example:
        >>> row = (
        ...     b'"1001","02079460018","2041","office","","SIP/a","SIP/b","Dial","","2026-11-22 09:00:00",'
        ...     b'"2026-11-22 09:00:04","2026-11-22 09:00:38",38,34,"ANSWERED","BILLING","1763802000.1",""'
        ... )
        >>> found = detect(row + b"\\n")
        >>> found.format, found.reason
        ('asterisk-csv', '18 columns without a header, the start in column 10')

    Args:
        file: A path, a URL, a glob, bytes, a seekable file, or a list of documents.
        storage_options: Options for the filesystem of a URL (credentials, endpoint).

    Raises:
        UnknownFormatError: When none fits, or more than one: ``available`` has those that do.
        StorageError: When it cannot be read.
        ConfigError: When it is nothing that can be read, or could not be read again.
    """
    with _put_back(file), Inputs(file, storage_options) as inputs:
        if inputs.connection is not None:
            raise ConfigError("A database's format cannot be told; give format='asterisk-sql' or 'freepbx'.")
        name, head = inputs.name, b""
        for first in inputs:
            name, head = first.name, read_head(first.stream)
            break
    if not head:
        raise SchemaError(f"{inputs.name} is empty: nothing tells what it is.")
    found = list(_fitting(head, name))
    if len(found) == 1:
        return found[0]
    if not found:
        raise UnknownFormatError(
            f"Nothing tells what {name} is. Give its format: {', '.join(available())}.", available=()
        )
    reasons = "; ".join(f"{each.format} ({each.reason})" for each in found)
    raise UnknownFormatError(
        f"{name} may be {reasons}. Give the format that it is.", available=[each.format for each in found]
    )


def _fitting(head: bytes, name: str) -> Iterator[Detected]:
    for known in available():
        with contextlib.suppress(ConfigError):  # another package that is broken does not fit
            sniff = getattr(find_factory(known), "sniff", None)
            if sniff is not None and (reason := sniff(head, name)) is not None:
                yield Detected(known, reason)


@contextlib.contextmanager
def _put_back(file: Any) -> Iterator[None]:
    if not hasattr(file, "read"):
        if isinstance(file, Iterator) or (isinstance(file, Iterable) and iter(file) is file):
            raise ConfigError("An iterator cannot be looked at and read again; give a list, or the format.")
        yield
        return
    try:
        place = file.tell()
        file.seek(place)
    except (AttributeError, OSError, io.UnsupportedOperation) as exc:
        raise ConfigError(f"{file!r} cannot be looked at and read again; give the format.") from exc
    try:
        yield
    finally:
        file.seek(place)
