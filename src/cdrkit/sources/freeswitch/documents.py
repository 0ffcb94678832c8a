"""Decode FreeSWITCH documents, remove unsafe text, and build batches of calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, TypeAlias
from urllib.parse import unquote_to_bytes

from cdrkit._text import format_count
from cdrkit.errors import ConfigError, SchemaError
from cdrkit.sources.contract import Reject, SourceBatch, SourceInput, is_only_input
from cdrkit.sources.freeswitch.channel import Document
from cdrkit.sources.readers.batch_builder import BATCH_CALLS, BatchBuilder, RowError

__all__ = [
    "DocumentReader",
    "can_be_stored",
    "check_patterns",
    "decode_percent",
    "read_documents",
    "sanitize_document",
]

#: A function that yields the documents of a stream: the text of each, and a function that parses it or raises RowError.
DocumentReader: TypeAlias = Callable[[IO[bytes]], Iterable[tuple[str, Callable[[], Document]]]]


def check_patterns(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Split the option ``leave_out`` into name patterns.

    The option separates patterns by commas.

    Raises:
        ConfigError: When a pattern is not a string.
    """
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    if not all(isinstance(name, str) for name in value):
        raise ConfigError(
            f"leave_out={value!r} is not valid. Give names separated by commas, such as '*_sdp*,callflow'."
        )
    return tuple(value)


def read_documents(
    inputs: Iterable[SourceInput],
    documents: DocumentReader,
    build: Callable[[Document], dict[str, Any]],
    *,
    origin: str,
    shape: str,
) -> Iterator[SourceBatch]:
    """Yield the calls of all *inputs* in batches.

    Args:
        inputs: The inputs, which are read one after another.
        documents: The reader of the format.
        build: The function that returns the fields of a document's call.
        origin: Name of the format.
        shape: What a document of the format is, for the error message.

    Raises:
        SchemaError: When the inputs contain no document, or no document is a call.
    """
    builder = BatchBuilder(origin)
    good = read = position = opened = 0
    first: Reject | None = None
    rest = iter(inputs)
    for each in rest:
        opened += 1
        for row, (text, parse) in enumerate(documents(each.stream), 1):
            position += len(text)
            try:
                builder.calls.append(build(parse()))
                good += 1
            except RowError as exc:
                builder.add_reject(row, exc, text, each.name)
            read += 1
            if len(builder) >= BATCH_CALLS:
                first = first or next(iter(builder.rejects), None)
                yield builder.take_batch(position)
        first = first or next(iter(builder.rejects), None)
        if first is not None and not good and read >= BATCH_CALLS:  # stop early on a file of another kind
            break
    if not read:
        raise SchemaError("The file is empty: it contains no documents. Check that you gave the right file.")
    if not good and first is not None:
        several = not is_only_input(opened, rest)
        where = f"{first.input}, document {first.row}" if several else f"Document {first.row}"
        raise SchemaError(
            f"cdrkit read {format_count(read, 'document')}, and none is {shape}. {where}: {first.reason} Check the "
            "file, or give its format.",
            row=first.row,
        )
    if len(builder):
        yield builder.take_batch(position)


def decode_percent(value: Any) -> Any:
    """Decode a percent-encoded variable as UTF-8, with Latin-1 as a fallback.

    The items of a list are decoded one by one.
    """
    if type(value) is str and "%" not in value:
        return value
    if isinstance(value, list):
        return [decode_percent(item) for item in value]
    if not isinstance(value, str):
        return value
    raw = unquote_to_bytes(value.encode("utf-8", "surrogatepass"))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def can_be_stored(call: Mapping[str, Any]) -> bool:
    """Return whether all text in *call* is free of NUL and lone surrogates."""
    for value in call.values():
        if isinstance(value, str):
            if "\0" in value or "\\u0000" in value:
                return False
            if not value.isascii():
                try:
                    value.encode()
                except UnicodeEncodeError:
                    return False
    return True


def sanitize_document(value: Any) -> Any:
    """Replace NUL and lone surrogates in every string of a document.

    The function also accepts a part of a document.
    """
    if isinstance(value, str):
        return _replace_surrogates(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, Mapping):
        return {_replace_surrogates(str(name)): sanitize_document(item) for name, item in value.items()}
    if isinstance(value, list):
        return [sanitize_document(item) for item in value]
    return value


def _replace_surrogates(text: str) -> str:
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:  # invalid UTF-8, or half an escaped character
        try:
            return text.encode("utf-8", "surrogateescape").decode("latin-1")
        except UnicodeEncodeError:
            return text.encode("utf-8", "replace").decode()
    return text
