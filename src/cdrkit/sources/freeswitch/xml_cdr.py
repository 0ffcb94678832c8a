"""FreeSWITCH's ``mod_xml_cdr``: an XML document a channel, alone in its file or one after the other.

The documents are hostile text: entities and document types are refused, nothing is fetched, and names are taken as
they stand, since FreeSWITCH makes elements of variables whose names have colons that no namespace explains.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Final, NoReturn
from urllib.parse import parse_qs
from xml.parsers import expat

import attrs

from cdrkit.errors import SchemaError
from cdrkit.sources.contract import SourceBatch, SourceInput
from cdrkit.sources.freeswitch.calls import Document, decoded, patterns, read_documents
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
    """Reads what FreeSWITCH's ``mod_xml_cdr`` writes: a document a channel, in a file of its own or one after another.

    What the fields are made of is the same as for ``freeswitch-json``. A body as it is posted (``cdr=`` and the
    document, encoded) is read, too.

    Example:
        >>> import io
        >>> document = b"<cdr><variables><uuid>a1</uuid><start_epoch>1784707200</start_epoch></variables></cdr>"
        >>> [batch] = FreeSwitchXml()(io.BytesIO(document))
        >>> batch.frame["call_id"][0], batch.frame["start"][0].isoformat()
        ('a1', '2026-07-22T08:00:00+00:00')

    Args:
        leave_out: Patterns of names that ``extra`` shall not have, with commas between: ``*_sdp*,callflow``.

    Raises:
        ConfigError: When an option cannot work.
    """

    leave_out: tuple[str, ...] = attrs.field(default=(), converter=patterns)

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # the name is a uuid, or whatever it was collected into
        """Return why a file fits: it is XML whose element is ``cdr``."""
        found = re.match(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>)?\s*(<!--.*?-->\s*)*<cdr[\s>]", head, re.DOTALL)
        return "XML documents with the element cdr" if found else None

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
            inputs, _documents, origin=_ORIGIN, leave_out=self.leave_out, shape="a FreeSWITCH channel in XML"
        )


def _documents(stream: IO[bytes]) -> Iterator[tuple[str, Callable[[], Document]]]:
    for raw in _pieces(stream):
        yield raw.decode("utf-8", "surrogateescape"), lambda raw=raw: _document(raw)  # type: ignore[misc]


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the documents of *stream* as they are."""
    pending = b""
    while block := stream.read(_BLOCK_BYTES):
        searched = max(len(pending) - 16, 0)
        pending += block
        if pending.startswith((b"cdr=", b"uuid=")):
            continue
        at = 0
        while (match := _END.search(pending, max(at, searched))) is not None:
            yield from _split(pending[at : match.end()])
            at = match.end()
        pending = pending[at:]
        if len(pending) > _DOCUMENT_BYTES:
            raise SchemaError(
                f"There is no end of a document in {_DOCUMENT_BYTES >> 20} MiB: no switch writes such ones. "
                "Check that it is the right file."
            )
    if pending.startswith((b"cdr=", b"uuid=")):
        pending = _posted(pending)
    yield from _split(pending)


def _split(raw: bytes) -> Iterator[bytes]:
    """Yield *raw*, with what stands before its last document on its own: that was cut off."""
    begins = [match.start() for match in _BEGIN.finditer(raw)]
    parts = [
        at
        for number, at in enumerate(begins)
        if raw.startswith(b"<?xml", at) or not number or not _follows(raw, begins[number - 1], at)
    ]
    ends = [*parts[1:], len(raw)]
    if parts and raw[: parts[0]].strip(b" \t\r\n\xef\xbb\xbf"):
        parts, ends = [0, *parts], [parts[0], *ends]
    for begin, end in zip(parts or [0], ends if parts else [len(raw)], strict=True):
        if piece := raw[begin:end].strip(b" \t\r\n\xef\xbb\xbf"):
            yield piece


def _follows(raw: bytes, before: int, at: int) -> bool:
    """Return whether the element at *at* belongs to the declaration at *before*."""
    return (
        raw.startswith(b"<?xml", before) and re.fullmatch(rb"<\?xml[^>]*\?>\s*", raw[before:at]) is not None
    )


def _posted(body: bytes) -> bytes:
    found = parse_qs(body.decode("latin-1"), encoding="utf-8", errors="surrogateescape").get("cdr", [""])[0]
    return found.encode("utf-8", "surrogateescape")


@attrs.define
class _Element:
    name: str
    attributes: dict[str, str]
    text: list[str] = attrs.field(factory=list)
    children: list[_Element] = attrs.field(factory=list)


def _document(raw: bytes) -> Document:
    """Return a document in the shape that ``mod_json_cdr`` gives it.

    Raises:
        Unfit: When it is not one.
    """
    root = _parsed(raw)
    if root.name != "cdr":
        raise RowError(f"Its element is {root.name!r}, not cdr.")
    document: dict[str, Any] = {name.replace("_", "-"): text for name, text in root.attributes.items()}
    flows: list[Any] = []
    for part in root.children:
        if part.name == "variables":
            variables = _value(part)
            if isinstance(variables, dict):
                variables = {name: decoded(value) for name, value in variables.items()}
            document["variables"] = variables or {}
        elif part.name == "callflow":
            flow = _value(part)
            flows.append(_with_originator(part, flow) if isinstance(flow, dict) else flow)
        elif part.name == "app_log":
            document["app_log"] = {"applications": [each.attributes for each in part.children]}
        else:
            document[part.name] = _value(part)
    if flows:
        document["callflow"] = flows
    return document


def _with_originator(part: _Element, flow: dict[str, Any]) -> dict[str, Any]:
    """Return *flow* with its originator's profile where JSON has it, and its attributes."""
    profile = flow.get("caller_profile")
    if isinstance(profile, dict) and isinstance(profile.get("originator"), dict):
        found = profile["originator"].get("originator_caller_profile")
        profile["originator"] = {"originator_caller_profiles": found if isinstance(found, list) else [found]}
    return {**part.attributes, **flow}


def _value(element: _Element) -> Any:
    if not element.children:
        return "".join(element.text).strip() or (element.attributes or "")
    found: dict[str, Any] = {}
    for child in element.children:
        value = _value(child)
        if child.name in found:
            before = found[child.name]
            found[child.name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            found[child.name] = value
    return found


def _parsed(raw: bytes, encoding: str | None = None) -> _Element:
    top = _Element("", {})
    stack = [top]

    def begin(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > _DEPTH:
            raise RowError("It is nested too deeply for a document of a channel.")
        element = _Element(name, attributes)
        stack[-1].children.append(element)
        stack.append(element)

    def add(text: str) -> None:
        stack[-1].text.append(text)

    def add_reject(*_: object) -> NoReturn:
        raise RowError("It declares a document type or entities, which no switch does: it is not read.")

    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = add
    parser.StartDoctypeDeclHandler = add_reject
    parser.EntityDeclHandler = add_reject
    parser.ExternalEntityRefHandler = add_reject
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as exc:
        if (
            encoding is None
            and exc.code == expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]
            and not _is_utf8(raw)
        ):
            return _parsed(raw, "iso-8859-1")
        raise RowError(f"It is no XML: {exc}.") from exc
    except (ValueError, LookupError) as exc:  # an encoding that there is not
        raise RowError(f"It is no XML: {exc}.") from exc
    if not top.children:
        raise RowError("It has no element.")
    return top.children[0]


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
