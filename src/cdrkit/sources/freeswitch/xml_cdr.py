"""The source for XML documents from FreeSWITCH's ``mod_xml_cdr``.

A file contains one or more documents.

The documents are untrusted: entities and document types are refused, and no URL is fetched. A colon in a name has no
special meaning: FreeSWITCH writes variables whose names contain colons as elements, without declaring a namespace.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Final, NoReturn
from urllib.parse import parse_qs
from xml.parsers import expat

import attrs

from cdrkit.errors import SchemaError
from cdrkit.sources.contract import SourceBatch, SourceInput
from cdrkit.sources.freeswitch.calls import build_call
from cdrkit.sources.freeswitch.channel import Document
from cdrkit.sources.freeswitch.documents import check_patterns, decode_percent, read_documents
from cdrkit.sources.readers.batch_builder import RowError

__all__ = ["FreeSwitchXml"]

_ORIGIN: Final = "freeswitch-xml"
_BLOCK_BYTES: Final = 1 << 20
_DOCUMENT_BYTES: Final = 16 << 20
_DEPTH: Final = 50
_END: Final = re.compile(rb"</cdr\s*>")
_BEGIN: Final = re.compile(rb"<\?xml|<cdr[\s>]")


@attrs.frozen(kw_only=True)
class FreeSwitchXml:
    """The source for FreeSWITCH's ``mod_xml_cdr``.

    Each document describes a channel. A file contains one or more documents.

    The fields are filled as in ``freeswitch-json``. The source also reads the saved body of an HTTP POST (``cdr=`` and
    the encoded document).

    Example:
        >>> import io
        >>> document = b"<cdr><variables><uuid>a1</uuid><start_epoch>1784707200</start_epoch></variables></cdr>"
        >>> [batch] = FreeSwitchXml()(io.BytesIO(document))
        >>> batch.frame["call_id"][0], batch.frame["start"][0].isoformat()
        ('a1', '2026-07-22T08:00:00+00:00')

    Args:
        leave_out: Patterns of names to omit from ``extra``, separated by commas: ``*_sdp*,callflow``.

    Raises:
        ConfigError: When an option is invalid.
    """

    leave_out: tuple[str, ...] = attrs.field(default=(), converter=check_patterns)

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # the name of the file is a uuid, or any name
        """Return the reason why the file matches this format, or None if it does not.

        The file must be XML that contains the element ``cdr``.
        """
        match = re.match(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>)?\s*(<!--.*?-->\s*)*<cdr[\s>]", head, re.DOTALL)
        return "XML documents with the element cdr" if match else None

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream* in the order of its documents.

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
            _read_stream,
            functools.partial(build_call, leave_out=self.leave_out),
            origin=_ORIGIN,
            shape="a FreeSWITCH channel in XML",
        )


def _read_stream(stream: IO[bytes]) -> Iterator[tuple[str, Callable[[], Document]]]:
    for raw in _split_stream(stream):
        yield raw.decode("utf-8", "surrogateescape"), lambda raw=raw: _parse_document(raw)  # type: ignore[misc]


def _split_stream(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of each document in *stream*."""
    pending = b""
    while block := stream.read(_BLOCK_BYTES):
        searched = max(len(pending) - 16, 0)
        pending += block
        if pending.startswith((b"cdr=", b"uuid=")):
            continue
        at = 0
        while (match := _END.search(pending, max(at, searched))) is not None:
            yield from _split_truncated(pending[at : match.end()])
            at = match.end()
        pending = pending[at:]
        if len(pending) > _DOCUMENT_BYTES:
            raise SchemaError(
                f"An XML document is longer than {_DOCUMENT_BYTES >> 20} MiB; no switch writes documents that "
                "long. Check that you gave the right file."
            )
    if pending.startswith((b"cdr=", b"uuid=")):
        pending = _decode_post(pending)
    yield from _split_truncated(pending)


def _split_truncated(raw: bytes) -> Iterator[bytes]:
    """Yield each document in *raw*, including truncated documents.

    All documents except the last are truncated: their end tags are missing.
    """
    begins = [match.start() for match in _BEGIN.finditer(raw)]
    parts = [
        at
        for number, at in enumerate(begins)
        if raw.startswith(b"<?xml", at) or not number or not _is_same_document(raw, begins[number - 1], at)
    ]
    ends = [*parts[1:], len(raw)]
    if parts and raw[: parts[0]].strip(b" \t\r\n\xef\xbb\xbf"):
        parts, ends = [0, *parts], [parts[0], *ends]
    for begin, end in zip(parts or [0], ends if parts else [len(raw)], strict=True):
        if piece := raw[begin:end].strip(b" \t\r\n\xef\xbb\xbf"):
            yield piece


def _is_same_document(raw: bytes, before: int, at: int) -> bool:
    """Return whether two offsets, *before* and *at*, are in the same XML document.

    This is so if *before* is the offset of an XML declaration that the element at *at* directly follows.
    """
    return (
        raw.startswith(b"<?xml", before) and re.fullmatch(rb"<\?xml[^>]*\?>\s*", raw[before:at]) is not None
    )


def _decode_post(body: bytes) -> bytes:
    text = parse_qs(body.decode("latin-1"), encoding="utf-8", errors="surrogateescape").get("cdr", [""])[0]
    return text.encode("utf-8", "surrogateescape")


@attrs.define
class _Element:
    name: str
    attributes: dict[str, str]
    text: list[str] = attrs.field(factory=list)
    children: list[_Element] = attrs.field(factory=list)


def _parse_document(raw: bytes) -> Document:
    """Parse a document, and return it in the structure of ``mod_json_cdr``.

    Raises:
        RowError: When the XML is invalid or has another root element.
    """
    root = _parse_xml(raw)
    if root.name != "cdr":
        raise RowError(f"The root element is {root.name!r}, but must be 'cdr'.")
    document: dict[str, Any] = {name.replace("_", "-"): text for name, text in root.attributes.items()}
    flows: list[Any] = []
    for part in root.children:
        if part.name == "variables":
            variables = _element_value(part)
            if isinstance(variables, dict):
                variables = {name: decode_percent(value) for name, value in variables.items()}
            document["variables"] = variables or {}
        elif part.name == "callflow":
            flow = _element_value(part)
            flows.append(_move_originator(part, flow) if isinstance(flow, dict) else flow)
        elif part.name == "app_log":
            document["app_log"] = {"applications": [each.attributes for each in part.children]}
        else:
            document[part.name] = _element_value(part)
    if flows:
        document["callflow"] = flows
    return document


def _move_originator(part: _Element, flow: dict[str, Any]) -> dict[str, Any]:
    """Convert a call flow in XML form to the structure of the JSON format.

    The attributes of *part* are added to *flow*, and the originator's profile is moved.
    """
    profile = flow.get("caller_profile")
    if isinstance(profile, dict) and isinstance(profile.get("originator"), dict):
        originators = profile["originator"].get("originator_caller_profile")
        if not isinstance(originators, list):
            originators = [originators]
        profile["originator"] = {"originator_caller_profiles": originators}
    return {**part.attributes, **flow}


def _element_value(element: _Element) -> Any:
    if not element.children:
        return "".join(element.text).strip() or (element.attributes or "")
    values: dict[str, Any] = {}
    for child in element.children:
        value = _element_value(child)
        if child.name in values:
            before = values[child.name]
            values[child.name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            values[child.name] = value
    return values


def _parse_xml(raw: bytes, encoding: str | None = None) -> _Element:
    top = _Element("", {})
    stack = [top]

    def begin(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > _DEPTH:
            raise RowError("The document is nested too deeply; no switch writes documents that deep.")
        element = _Element(name, attributes)
        stack[-1].children.append(element)
        stack.append(element)

    def add(text: str) -> None:
        stack[-1].text.append(text)

    def refuse(*_: object) -> NoReturn:
        raise RowError(
            "The document is refused because it declares a document type or entities, which no switch does."
        )

    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = add
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as exc:
        if (
            encoding is None
            and exc.code == expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]
            and not _is_utf8(raw)
        ):
            return _parse_xml(raw, "iso-8859-1")
        raise RowError(f"The document is not valid XML: {exc}.") from exc
    except (ValueError, LookupError) as exc:  # unknown encoding
        raise RowError(f"The document is not valid XML: {exc}.") from exc
    if not top.children:
        raise RowError("The document contains no XML element.")
    return top.children[0]


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
