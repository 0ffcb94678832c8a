"""Calls as JSON: what an API answers, one call or a page of them, documents one after the other, or one a line.

Numbers are taken as the texts they are: an amount such as ``0.00333333`` is never a binary fraction.
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
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.reject_reasons import shorten
from cdrkit.sources.readers.table import Line, PeekedStream, Readable, read_lines, read_table

__all__ = ["PageLayout", "json_keys", "read_pages", "read_pages_or_table"]

_DOCUMENT_BYTES: Final = 256 << 20
_CALLS_AT_ONCE: Final = 5_000
_KEY: Final = re.compile(rb'"((?:[^"\\]|\\.){1,64})"\s*:')


@attrs.frozen(kw_only=True)
class PageLayout:
    """How a provider's documents hold calls.

    Attributes:
        provider: Who wrote them, for messages.
        lists: Where a page has its calls: the keys on the way to the list.
        marks: Keys of which a call has at least one.
        foreign: Keys that a call never has, and what it is that has them.
        going_on: The key of a call's state, and the states in which it has not ended.
    """

    provider: str
    lists: Sequence[tuple[str, ...]]
    marks: frozenset[str]
    foreign: Mapping[str, str]
    going_on: Mapping[str, frozenset[str]]


def json_keys(head: bytes) -> set[str]:
    """Return the keys in the beginning of a JSON document, at whatever depth; none, where it is no JSON."""
    if not head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"[")):
        return set()
    return {key.decode("utf-8", "replace") for key in _KEY.findall(head)}


def read_pages(
    stream: Readable, pages: PageLayout, mapping: SourceMapping, *, compute: ComputeFields | None = None
) -> Iterator[SourceBatch]:
    """Yield the calls in the documents of *stream*; the last batch has those that have not ended.

    Args:
        stream: The documents.
        pages: How they hold calls.
        mapping: How a call is read; ``from.number`` is the key ``number`` in the object ``from``.
        computed: What fills fields that no rule can.

    Raises:
        SchemaError: When the stream is empty, is no JSON, or holds something else than calls.
    """
    part = _Part(pages, mapping, compute)
    held: list[PendingCall] = []
    known = False  # whether anything was of this kind
    number = position = 0
    for document, place in _documents(stream):
        position = place
        try:
            calls = [document] if isinstance(document, Reject) else _calls(document, pages)
            known = True
        except SchemaError as exc:
            if not known:
                raise SchemaError(str(exc), row=1) from exc
            calls = [Reject(0, str(exc), _text(document))]
        for call in calls:
            number += 1
            waiting = part.add(number, call)
            if waiting is not None:
                held.append(waiting)
            if len(part) >= _CALLS_AT_ONCE:
                yield part.batch(position)
                part = _Part(pages, mapping, compute)
    if len(part) or held:
        yield attrs.evolve(part.batch(position), pending=tuple(held))


def read_pages_or_table(
    stream: Readable, pages: PageLayout, mapping: SourceMapping, *, compute: ComputeFields | None = None
) -> Iterator[SourceBatch]:
    """Yield the calls of documents as `read_pages` does, or those of a table, whichever the stream begins with.

    Raises:
        SchemaError: When it is empty, or neither of them.
    """
    peeked = stream if isinstance(stream, PeekedStream) else PeekedStream(stream)
    if peeked.head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"[")):
        yield from read_pages(peeked, pages, mapping, compute=compute)
    else:
        yield from read_table(peeked, mapping, compute=compute)


def _documents(stream: Readable) -> Iterator[tuple[Any, int]]:
    """Yield the documents and how far into the stream each reaches; a line that is none is a reject."""
    lines = (line for line in read_lines(stream) if line.raw.strip())
    first = next(lines, None)
    if first is None:
        raise SchemaError("The file is empty: there is no document in it. Check that it is the right one.")
    try:
        document = _parsed(first.raw)
    except ValueError:
        yield from _whole(first, lines)
        return
    yield document, first.position
    for line in lines:
        try:
            yield _parsed(line.raw), line.position
        except ValueError as exc:
            yield Reject(line.number, f"It is no JSON: {exc}.", line.text), line.position


def _whole(first: Line, lines: Iterator[Line]) -> Iterator[tuple[Any, int]]:
    """Yield the documents of a stream whose lines are no documents by themselves."""
    parts: list[bytes] = []
    size = position = 0
    for line in chain([first], lines):
        parts.append(line.raw)
        size += len(line.raw) + 1
        position = line.position
        if size > _DOCUMENT_BYTES:
            raise SchemaError(
                f"It holds a document of more than {_DOCUMENT_BYTES >> 20} MiB; no API answers so much. "
                "Check that it is the right file."
            )
    raw = b"\n".join(parts)
    try:
        text = raw.decode(json.detect_encoding(raw)).strip(" \t\r\n")
        at, found = 0, []
        while at < len(text):
            document, at = _DECODER.raw_decode(text, at)
            found.append(document)
            while at < len(text) and text[at] in " \t\r\n":
                at += 1
    except (ValueError, RecursionError) as exc:
        raise SchemaError(
            f"It cannot be parsed as JSON: {exc}. It begins with {shorten(first.text)}. Check that it is the "
            "right file, and whole."
        ) from exc
    for document in found:
        yield document, position


def _constant(name: str) -> str:
    raise ValueError(f"{name} is no value")


# Numbers stay the texts they are.
_DECODER: Final = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_constant)


def _parsed(raw: bytes) -> Any:
    try:
        return _DECODER.decode(raw.decode(json.detect_encoding(raw)).strip())
    except RecursionError as exc:
        raise ValueError("it is nested too deep") from exc


def _calls(document: Any, pages: PageLayout) -> list[Any]:
    """Return the calls of a document.

    Raises:
        SchemaError: When it is something else.
    """
    if isinstance(document, list):
        found = document
    elif not isinstance(document, dict):
        raise _not_calls(document, pages)
    else:
        found = next(
            (items for path in pages.lists if (items := _at(document, path)) is not None), [document]
        )
    if found and not any(_is_call(call, pages) for call in found):
        raise _not_calls(found[0], pages)
    return found


def _at(document: Any, path: tuple[str, ...]) -> list[Any] | None:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, list) else None


def _is_call(call: object, pages: PageLayout) -> bool:
    return (
        isinstance(call, dict) and not pages.marks.isdisjoint(call) and not pages.foreign.keys() & call.keys()
    )


def _not_calls(document: Any, pages: PageLayout) -> SchemaError:
    what = f"it is {shorten(_text(document))}"
    if isinstance(document, dict):
        keys = list(document)
        foreign = next((pages.foreign[key] for key in keys if key in pages.foreign), None)
        what = foreign or f"its keys are {', '.join(map(repr, keys[:20]))}"
    return SchemaError(
        f"It holds no calls of {pages.provider}: {what}. Give the answer of the calls' resource."
    )


def _text(document: Any) -> str:
    return (
        json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    )


def _flat(call: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts of a call by their keys; a list is its JSON, and null is nothing."""
    for key, value in call.items():
        name = prefix + key
        if isinstance(value, dict):
            yield from _flat(value, name + ".")
        elif isinstance(value, str):
            yield name, value
        elif isinstance(value, bool):
            yield name, str(value).lower()
        elif value is not None:
            yield name, json.dumps(value, ensure_ascii=False)


class _Part:
    """Calls that wait to become a frame."""

    def __init__(self, pages: PageLayout, mapping: SourceMapping, compute: ComputeFields | None) -> None:
        self._pages = pages
        self._mapping = mapping
        self._computed = compute
        self._calls: dict[int, dict[str, str]] = {}
        self._given: dict[int, Any] = {}
        self._rejects: list[Reject] = []

    def __len__(self) -> int:
        return len(self._calls) + len(self._rejects)

    def add(self, number: int, call: Any) -> PendingCall | None:
        """Take the call with that number, unless it has not ended."""
        if isinstance(call, Reject):
            self._rejects.append(attrs.evolve(call, row=number))
            return None
        if not _is_call(call, self._pages):
            self._reject(number, str(_not_calls(call, self._pages)), call)
            return None
        try:
            flat = dict(_flat(call))
            "".join(chain.from_iterable(flat.items())).encode()
        except UnicodeEncodeError:
            self._reject(number, "It holds one half of a character: it is damaged there.", call)
            return None
        except RecursionError:
            self._reject(number, "It is nested too deep.", {})
            return None
        for key, states in self._pages.going_on.items():
            if (state := flat.get(key, "").casefold()) in states:
                rule = self._mapping.fields["call_id"]
                return PendingCall(
                    flat.get(rule.columns[0], "?"), f"It is {state}: it has not ended.", number
                )
        self._calls[number] = flat
        self._given[number] = call
        return None

    def _reject(self, number: int, reason: str, call: Any) -> None:
        self._rejects.append(Reject(number, reason, _text(call)))

    def batch(self, position: int) -> SourceBatch:
        wanted = [column for rule in self._mapping.fields.values() for column in rule.columns]
        names = list(dict.fromkeys(chain(wanted, *self._calls.values())))
        columns = [pl.Series("row", list(self._calls), dtype=pl.Int64)]
        for name in names:
            texts = [call.get(name) for call in self._calls.values()]
            columns.append(pl.Series(name, texts, dtype=pl.String))
        done = apply_mapping(pl.DataFrame(columns), self._mapping, compute=self._computed)
        rejects = [
            *self._rejects,
            *(Reject(one.row, one.reason, _text(self._given[one.row])) for one in done.wrong),
        ]
        return SourceBatch(
            frame=done.frame,
            rejects=tuple(sorted(rejects, key=lambda reject: reject.row)),
            contradictions=done.contradictions,
            repeated_hour=done.repeated,
            missing_hour=done.missing,
            bytes_read=position,
        )
