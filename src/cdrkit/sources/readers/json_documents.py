"""Read calls from JSON documents that the APIs of cloud providers return.

A file contains one document, several documents, or one document per line.

Numbers are kept as they are written in JSON: an amount such as ``0.00333333`` never becomes a binary float.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import attrs
import polars as pl

from cdrkit.errors import SchemaError
from cdrkit.sources.contract import PendingCall, Reject, SourceBatch
from cdrkit.sources.readers.apply_mapping import ComputeFields, apply_mapping
from cdrkit.sources.readers.byte_streams import PeekedStream, Readable
from cdrkit.sources.readers.encoding import BYTE_ORDER_MARK
from cdrkit.sources.readers.lines import Line, read_lines
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.reject_reasons import quote_value
from cdrkit.sources.readers.table import read_table

__all__ = ["PageLayout", "json_keys", "read_pages", "read_pages_or_table"]

_DOCUMENT_BYTES: Final = 256 << 20
_BATCH_CALLS: Final = 5_000
_SHOWN_KEYS: Final = 20
_KEY: Final = re.compile(rb'"((?:[^"\\]|\\.){1,64})"\s*:')


@attrs.frozen(kw_only=True)
class PageLayout:
    """The location of the calls in a provider's JSON documents.

    Attributes:
        provider: The provider's name in the possessive, for messages, such as ``Twilio's``.
        lists: Paths of keys that may lead to a list of calls; the first path that exists is used.
        marks: Keys that identify calls: every call has at least one of them.
        foreign: Keys that no call has, each with a clause that names the kind of object that has the key.
        going_on: The keys that contain a call's state, each with the states of calls in progress.
    """

    provider: str
    lists: Sequence[tuple[str, ...]]
    marks: frozenset[str]
    foreign: Mapping[str, str]
    going_on: Mapping[str, frozenset[str]]


def json_keys(head: bytes) -> set[str]:
    """Return the keys at the start of a JSON document, for format detection.

    Args:
        head: The first bytes of the file.

    Returns:
        The keys at any depth; empty if the file is not JSON.
    """
    if not _is_json(head):
        return set()
    return {key.decode("utf-8", "replace") for key in _KEY.findall(head)}


def read_pages(
    stream: Readable, pages: PageLayout, mapping: SourceMapping, *, compute: ComputeFields | None = None
) -> Iterator[SourceBatch]:
    """Yield the calls in the JSON documents of a stream.

    The last batch contains the calls that have not ended, as pending calls.

    Args:
        stream: The bytes of the documents.
        pages: The location of the calls in the documents.
        mapping: The mapping of a call's keys to fields; ``from.number`` is the key ``number`` in the object ``from``.
        compute: A function that computes the fields that no rule can produce.

    Raises:
        SchemaError: When the stream is empty, is not JSON, or its first document contains no calls from the provider.
    """
    builder = _BatchBuilder(pages, mapping, compute)
    pending: list[PendingCall] = []
    recognized = False  # Whether a document had calls of the provider.
    number = position = 0
    for document, end in _read_documents(stream):
        position = end
        try:
            calls = [document] if isinstance(document, Reject) else _calls_of(document, pages)
            recognized = True
        except SchemaError as exc:
            if not recognized:
                raise SchemaError(str(exc), row=1) from exc
            calls = [Reject(0, str(exc), _to_json(document))]
        for call in calls:
            number += 1
            pending_call = builder.add(number, call)
            if pending_call is not None:
                pending.append(pending_call)
            if len(builder) >= _BATCH_CALLS:
                yield builder.build(position)
                builder = _BatchBuilder(pages, mapping, compute)
    if len(builder) or pending:
        yield attrs.evolve(builder.build(position), pending=tuple(pending))


def read_pages_or_table(
    stream: Readable, pages: PageLayout, mapping: SourceMapping, *, compute: ComputeFields | None = None
) -> Iterator[SourceBatch]:
    """Yield the calls of a stream that contains JSON or a table.

    Args:
        stream: The bytes of the documents, or of the table.
        pages: The location of the calls in the documents.
        mapping: The mapping of a call's keys, or of the table's columns, to fields.
        compute: A function that computes the fields that no rule can produce.

    Raises:
        SchemaError: When the stream is empty, or contains no calls from the provider.
    """
    peeked = stream if isinstance(stream, PeekedStream) else PeekedStream(stream)
    if _is_json(peeked.head):
        yield from read_pages(peeked, pages, mapping, compute=compute)
    else:
        yield from read_table(peeked, mapping, compute=compute)


def _is_json(head: bytes) -> bool:
    return head.removeprefix(BYTE_ORDER_MARK).lstrip().startswith((b"{", b"["))


def _read_documents(stream: Readable) -> Iterator[tuple[Any, int]]:
    """Yield each document and the stream position after it.

    A line that is not JSON is yielded as a reject.
    """
    lines = (line for line in read_lines(stream) if line.raw.strip())
    first = next(lines, None)
    if first is None:
        raise SchemaError("The file is empty: it contains no documents. Check that you gave the right file.")
    try:
        document = _parse(first.raw)
    except ValueError:
        yield from _read_whole(first, lines)
        return
    yield document, first.position
    for line in lines:
        try:
            yield _parse(line.raw), line.position
        except ValueError as exc:
            yield Reject(line.number, f"The line is not JSON: {exc}.", line.text), line.position


def _read_whole(first: Line, lines: Iterator[Line]) -> Iterator[tuple[Any, int]]:
    """Yield the documents of a stream; a document may span several lines."""
    parts: list[bytes] = []
    size = position = 0
    for line in chain([first], lines):
        parts.append(line.raw)
        size += len(line.raw) + 1
        position = line.position
        if size > _DOCUMENT_BYTES:
            raise SchemaError(
                f"A JSON document is longer than {_DOCUMENT_BYTES >> 20} MiB; no API returns such a long document. "
                "Check that you gave the right file."
            )
    raw = b"\n".join(parts)
    try:
        text = raw.decode(json.detect_encoding(raw)).strip(" \t\r\n")
        at, documents = 0, []
        while at < len(text):
            document, at = _DECODER.raw_decode(text, at)
            documents.append(document)
            while at < len(text) and text[at] in " \t\r\n":
                at += 1
    except (ValueError, RecursionError) as exc:
        raise SchemaError(
            f"The file cannot be parsed as JSON: {exc}. It begins with {quote_value(first.text)}. Check that "
            "you gave the right file, and that the file is complete."
        ) from exc
    for document in documents:
        yield document, position


def _refuse_constant(name: str) -> str:
    raise ValueError(f"{name} is not a JSON value")


_DECODER: Final = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse_constant)


def _parse(raw: bytes) -> Any:
    try:
        return _DECODER.decode(raw.decode(json.detect_encoding(raw)).strip())
    except RecursionError as exc:
        raise ValueError("the nesting is too deep") from exc


def _calls_of(document: Any, pages: PageLayout) -> list[Any]:
    """Return the calls that a document contains.

    Raises:
        SchemaError: When the document does not contain calls from the provider.
    """
    if isinstance(document, list):
        calls = document
    elif not isinstance(document, dict):
        raise _not_calls_error(document, pages)
    else:
        calls = next(
            (items for path in pages.lists if (items := _list_at(document, path)) is not None), [document]
        )
    if calls and not any(_is_call(call, pages) for call in calls):
        raise _not_calls_error(calls[0], pages)
    return calls


def _list_at(document: Any, path: tuple[str, ...]) -> list[Any] | None:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, list) else None


def _is_call(call: object, pages: PageLayout) -> bool:
    return (
        isinstance(call, dict) and not pages.marks.isdisjoint(call) and not pages.foreign.keys() & call.keys()
    )


def _not_calls_error(document: Any, pages: PageLayout) -> SchemaError:
    finding = f"it is {quote_value(_to_json(document))}"
    if isinstance(document, dict):
        keys = list(document)
        foreign = next((pages.foreign[key] for key in keys if key in pages.foreign), None)
        finding = foreign or f"its keys are {', '.join(map(repr, keys[:_SHOWN_KEYS]))}"
    return SchemaError(
        f"The JSON value contains none of {pages.provider} calls: {finding}. Give an API response that contains calls."
    )


def _to_json(document: Any) -> str:
    return (
        json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    )


def _flatten(call: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted key path and the text of each value in a call.

    A list is yielded as JSON, and null is omitted.
    """
    for key, value in call.items():
        name = prefix + key
        if isinstance(value, dict):
            yield from _flatten(value, name + ".")
        elif isinstance(value, str):
            yield name, value
        elif isinstance(value, bool):
            yield name, str(value).lower()
        elif value is not None:
            yield name, json.dumps(value, ensure_ascii=False)


class _BatchBuilder:
    """A builder that collects calls for one batch."""

    def __init__(self, pages: PageLayout, mapping: SourceMapping, compute: ComputeFields | None) -> None:
        self._pages = pages
        self._mapping = mapping
        self._compute = compute
        self._texts: dict[int, dict[str, str]] = {}
        self._documents: dict[int, Any] = {}
        self._rejects: list[Reject] = []

    def __len__(self) -> int:
        return len(self._texts) + len(self._rejects)

    def add(self, number: int, call: Any) -> PendingCall | None:
        """Add a call; if the call has not ended, return it as a pending call.

        Args:
            number: The number of the call in its stream.
            call: The call, or the reject of a line that is not JSON.
        """
        if isinstance(call, Reject):
            self._rejects.append(attrs.evolve(call, row=number))
            return None
        if not _is_call(call, self._pages):
            self._add_reject(number, str(_not_calls_error(call, self._pages)), call)
            return None
        try:
            texts = dict(_flatten(call))
            "".join(chain.from_iterable(texts.items())).encode()
        except UnicodeEncodeError:
            self._add_reject(
                number, "The call contains half of a surrogate pair: the text is damaged there.", call
            )
            return None
        except RecursionError:
            self._add_reject(number, "The call is nested too deeply.", {})
            return None
        for key, states in self._pages.going_on.items():
            if (state := texts.get(key, "").casefold()) in states:
                rule = self._mapping.fields["call_id"]
                return PendingCall(
                    texts.get(rule.columns[0], "?"),
                    f"The state of the call is {state}: the call has not ended.",
                    number,
                )
        self._texts[number] = texts
        self._documents[number] = call
        return None

    def _add_reject(self, number: int, reason: str, call: Any) -> None:
        self._rejects.append(Reject(number, reason, _to_json(call)))

    def build(self, position: int) -> SourceBatch:
        """Return the collected calls as a batch.

        *position* is the number of bytes of the stream before the end of the batch.
        """
        mapped_columns = [column for rule in self._mapping.fields.values() for column in rule.columns]
        names = list(dict.fromkeys(chain(mapped_columns, *self._texts.values())))
        columns = [pl.Series("row", list(self._texts), dtype=pl.Int64)]
        for name in names:
            texts = [call.get(name) for call in self._texts.values()]
            columns.append(pl.Series(name, texts, dtype=pl.String))
        result = apply_mapping(pl.DataFrame(columns), self._mapping, compute=self._compute)
        rejects = [
            *self._rejects,
            *(
                Reject(problem.row, problem.reason, _to_json(self._documents[problem.row]))
                for problem in result.problems
            ),
        ]
        return SourceBatch(
            frame=result.frame,
            rejects=tuple(sorted(rejects, key=lambda reject: reject.row)),
            contradictions=result.contradictions,
            repeated_hour=result.repeated,
            missing_hour=result.missing,
            bytes_read=position,
        )
