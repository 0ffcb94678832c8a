"""FreeSWITCH's ``mod_json_cdr``: a JSON document a channel, alone in its file or one after the other."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, Final

import attrs

from cdrkit.errors import SchemaError
from cdrkit.sources.contract import SourceBatch, SourceInput
from cdrkit.sources.freeswitch.calls import Document, decoded, patterns, read_documents
from cdrkit.sources.readers.batch_builder import RowError

__all__ = ["FreeSwitchJson"]

_ORIGIN: Final = "freeswitch-json"
_BLOCK_BYTES: Final = 1 << 20
_DOCUMENT_CHARACTERS: Final = 16 << 20
#: Numbers as C prints them and JSON does not know them; texts are passed over.
_NO_NUMBER: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|-?\b(?:nan|inf(?:inity)?)\b(?:\([^)]*\))?', re.IGNORECASE)
_BRACE: Final = re.compile(r"[\r\n](?=[\[{])")
_DECODER: Final = json.JSONDecoder(parse_constant=lambda _: None)


@attrs.frozen(kw_only=True)
class FreeSwitchJson:
    """Reads what FreeSWITCH's ``mod_json_cdr`` writes: a document a channel, in a file of its own or one a line.

    ``duration`` of a record is FreeSWITCH's ``billsec``, the time talked. ``call_id`` is the channel's ``uuid``;
    ``linked_id`` that of the leg it was made for. Times come from the documents' instants, so no zone is needed.

    Example:
        >>> import io
        >>> document = b'{"variables": {"uuid": "a1", "start_epoch": "1784707200", "accountcode": "A%20B"}}'
        >>> [batch] = FreeSwitchJson()(io.BytesIO(document))
        >>> batch.frame["start"][0].isoformat(), batch.frame["account"][0]
        ('2026-07-22T08:00:00+00:00', 'A B')

    Args:
        percent_encoded: Whether the values of variables are percent-encoded, as they are unless ``encode-values``
            is off in ``json_cdr.conf``.
        leave_out: Patterns of names that ``extra`` shall not have, with commas between: ``*_sdp*,callflow``.

    Raises:
        ConfigError: When an option cannot work.
    """

    percent_encoded: bool = True
    leave_out: tuple[str, ...] = attrs.field(default=(), converter=patterns)

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # the name is a uuid, or whatever it was collected into
        """Return why a file fits: it is JSON with a channel's ``variables``."""
        if re.match(rb"(\xef\xbb\xbf)?\s*[\[{]", head) and all(
            re.search(rb'"%s"\s*:' % key, head) for key in (b"variables", b"core-uuid")
        ):
            return "JSON documents with core-uuid and variables"
        return None

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream*, in its order.

        Raises:
            SchemaError: When the stream is empty, or nothing in it can be taken.
        """
        return self.read_all([SourceInput(name="", stream=stream)])

    def read_all(self, inputs: Iterable[SourceInput], /) -> Iterator[SourceBatch]:
        """Yield the calls of all *inputs*, some thousand at a time.

        Raises:
            SchemaError: When they are empty, or nothing in them can be taken.
        """
        return read_documents(
            inputs,
            self._documents,
            origin=_ORIGIN,
            leave_out=self.leave_out,
            shape="a FreeSWITCH channel in JSON",
        )

    def _documents(self, stream: IO[bytes]) -> Iterator[tuple[str, Callable[[], Document]]]:
        for text, value in _values(stream):
            found = value if isinstance(value, list) else [value]
            for item in found:
                alone = text if not isinstance(value, list) else json.dumps(item)
                yield alone, lambda item=item: self._document(item)  # type: ignore[misc]

    def _document(self, value: Any) -> Document:
        if isinstance(value, RowError):
            raise value
        if not isinstance(value, Mapping):
            raise RowError(f"It is {type(value).__name__} in JSON, not an object.")
        variables = value.get("variables")
        if self.percent_encoded and isinstance(variables, Mapping):
            return {**value, "variables": {name: decoded(text) for name, text in variables.items()}}
        return value


def _values(stream: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """Yield each value of *stream* with its text: lines that are values, or values over many lines."""
    text = ""
    for block in _blocks(stream):
        text += block
        at = 0
        while (begin := _begin(text, at)) < len(text):
            try:
                value, at_end = _DECODER.raw_decode(text, begin)
            except (ValueError, RecursionError):
                # Broken when another one follows, or else not all there yet.
                at = _next_document(text, begin)
                if at == len(text):
                    at = begin
                    break
                yield from _mended(text[begin:at])
                continue
            yield text[begin:at_end], value
            at = at_end
        text = text[at:]
        if len(text) > _DOCUMENT_CHARACTERS:
            raise SchemaError(
                f"There is no end of a JSON document in {_DOCUMENT_CHARACTERS >> 20} MiB: no switch writes such ones."
            )
    yield from _mended(text)


def _begin(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n,\ufeff\x1e":
        at += 1
    return at


def _mended(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the values of a text that is not all JSON; what is none is yielded as `RowError`, and costs itself only."""
    while (begin := _begin(text, 0)) < len(text):
        text = text[begin:]
        mended = _NO_NUMBER.sub(lambda match: match[0] if match[0].startswith('"') else "null", text)
        try:
            value, end = _DECODER.raw_decode(mended)
        except RecursionError:
            yield text, RowError("It is nested too deeply for a document of a channel.")
            return
        except ValueError as exc:
            cut = _next_document(text, 0)
            yield text[:cut].rstrip(), RowError(f"It is no JSON: {exc}.")
            text = text[cut:]
            continue
        yield mended[:end], value
        text = mended[end:]


def _next_document(text: str, at: int) -> int:
    """Return where the next document may begin after a broken one: at a line that begins with a brace."""
    match = _BRACE.search(text, at + 1)
    return match.end() if match is not None else len(text)


def _blocks(stream: IO[bytes]) -> Iterator[str]:
    # What is no UTF-8 can be told, and had back, byte for byte.
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    while block := stream.read(_BLOCK_BYTES):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)
