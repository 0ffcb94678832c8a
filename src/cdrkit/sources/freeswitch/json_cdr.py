"""The source for JSON documents from FreeSWITCH's ``mod_json_cdr``.

A file contains one or more documents.
"""

from __future__ import annotations

import codecs
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, Final

import attrs

from cdrkit.errors import SchemaError
from cdrkit.sources.contract import SourceBatch, SourceInput
from cdrkit.sources.freeswitch.calls import build_call
from cdrkit.sources.freeswitch.channel import Document
from cdrkit.sources.freeswitch.documents import check_patterns, decode_percent, read_documents
from cdrkit.sources.readers.batch_builder import RowError

__all__ = ["FreeSwitchJson"]

_ORIGIN: Final = "freeswitch-json"
_BLOCK_BYTES: Final = 1 << 20
_DOCUMENT_CHARACTERS: Final = 16 << 20
#: Numbers that C prints and JSON does not have (nan, inf). Strings match first, so that their content stays.
_C_NUMBER: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|-?\b(?:nan|inf(?:inity)?)\b(?:\([^)]*\))?', re.IGNORECASE)
_BRACE: Final = re.compile(r"[\r\n](?=[\[{])")
_DECODER: Final = json.JSONDecoder(parse_constant=lambda _: None)


@attrs.frozen(kw_only=True)
class FreeSwitchJson:
    """The source for FreeSWITCH's ``mod_json_cdr``.

    Each document describes a channel. A file contains one or more documents.

    The field ``duration`` is FreeSWITCH's ``billsec``, the seconds talked. ``call_id`` is the ``uuid`` of the channel.
    ``linked_id`` is the ``uuid`` of the leg for which the channel was created. Times are instants, so no zone is
    needed.

    Example:
        >>> import io
        >>> document = b'{"variables": {"uuid": "a1", "start_epoch": "1784707200", "accountcode": "A%20B"}}'
        >>> [batch] = FreeSwitchJson()(io.BytesIO(document))
        >>> batch.frame["start"][0].isoformat(), batch.frame["account"][0]
        ('2026-07-22T08:00:00+00:00', 'A B')

    Args:
        percent_encoded: Whether the values of variables are percent-encoded. FreeSWITCH encodes them unless
            ``encode-values`` is off in ``json_cdr.conf``.
        leave_out: Patterns of names to omit from ``extra``, separated by commas: ``*_sdp*,callflow``.

    Raises:
        ConfigError: When an option is invalid.
    """

    percent_encoded: bool = True
    leave_out: tuple[str, ...] = attrs.field(default=(), converter=check_patterns)

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # the name of the file is a uuid, or any name
        """Return the reason why the file matches this format, or None if it does not.

        The file must be JSON that contains ``variables`` of a channel.
        """
        if re.match(rb"(\xef\xbb\xbf)?\s*[\[{]", head) and all(
            re.search(rb'"%s"\s*:' % key, head) for key in (b"variables", b"core-uuid")
        ):
            return "JSON documents with core-uuid and variables"
        return None

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream* in file order.

        Raises:
            SchemaError: When the stream is empty, or none of its documents is a call.
        """
        return self.read_all([SourceInput(name="", stream=stream)])

    def read_all(self, inputs: Iterable[SourceInput], /) -> Iterator[SourceBatch]:
        """Yield the calls of all *inputs*, a few thousand per batch.

        Raises:
            SchemaError: When the inputs are empty, or none of their documents is a call.
        """
        return read_documents(
            inputs,
            self._documents,
            functools.partial(build_call, leave_out=self.leave_out),
            origin=_ORIGIN,
            shape="a FreeSWITCH channel in JSON",
        )

    def _documents(self, stream: IO[bytes]) -> Iterator[tuple[str, Callable[[], Document]]]:
        for text, value in _values(stream):
            items = value if isinstance(value, list) else [value]
            for item in items:
                item_text = text if not isinstance(value, list) else json.dumps(item)
                yield item_text, lambda item=item: self._parse_document(item)  # type: ignore[misc]

    def _parse_document(self, value: Any) -> Document:
        if isinstance(value, RowError):
            raise value
        if not isinstance(value, Mapping):
            raise RowError(f"The document must be a JSON object, not a value of type {type(value).__name__}.")
        variables = value.get("variables")
        if self.percent_encoded and isinstance(variables, Mapping):
            return {**value, "variables": {name: decode_percent(text) for name, text in variables.items()}}
        return value


def _values(stream: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """Yield each JSON value in *stream*, together with its text.

    A value may be one line or span several lines.
    """
    text = ""
    for block in _blocks(stream):
        text += block
        at = 0
        while (begin := _skip_separators(text, at)) < len(text):
            try:
                value, at_end = _DECODER.raw_decode(text, begin)
            except (ValueError, RecursionError):
                # With another document after it, the value is broken; without one, it may be incomplete.
                at = _next_document(text, begin)
                if at == len(text):
                    at = begin
                    break
                yield from _repair(text[begin:at])
                continue
            yield text[begin:at_end], value
            at = at_end
        text = text[at:]
        if len(text) > _DOCUMENT_CHARACTERS:
            raise SchemaError(
                f"A JSON document is longer than {_DOCUMENT_CHARACTERS >> 20} MiB; no switch writes documents "
                "that long. Check that you gave the right file."
            )
    yield from _repair(text)


def _skip_separators(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n,\ufeff\x1e":
        at += 1
    return at


def _repair(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the readable JSON values of text that is partly invalid.

    For each invalid document, a `RowError` is yielded.
    """
    while (begin := _skip_separators(text, 0)) < len(text):
        text = text[begin:]
        repaired = _C_NUMBER.sub(lambda match: match[0] if match[0].startswith('"') else "null", text)
        try:
            value, end = _DECODER.raw_decode(repaired)
        except RecursionError:
            yield text, RowError("The document is nested too deeply; no switch writes documents that deep.")
            return
        except ValueError as exc:
            cut = _next_document(text, 0)
            yield text[:cut].rstrip(), RowError(f"The document is not valid JSON: {exc}.")
            text = text[cut:]
            continue
        yield repaired[:end], value
        text = repaired[end:]


def _next_document(text: str, at: int) -> int:
    """Return the first offset after *at* where a document may begin.

    A document begins on a line that starts with a brace or a bracket. Without such a line, the result is the length of
    the text.
    """
    match = _BRACE.search(text, at + 1)
    return match.end() if match is not None else len(text)


def _blocks(stream: IO[bytes]) -> Iterator[str]:
    # surrogateescape keeps invalid UTF-8, so that a reject has the original bytes.
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    while block := stream.read(_BLOCK_BYTES):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)
