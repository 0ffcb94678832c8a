"""The source for calls that Twilio's REST API returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Final

import attrs

from cdrkit.sources.contract import SourceBatch
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.json_documents import PageLayout, json_keys, read_pages
from cdrkit.sources.readers.mapping import SourceMapping

__all__ = ["Twilio"]

_PAGES: Final = PageLayout(
    provider="Twilio's",
    lists=[("calls",)],
    marks=frozenset({"sid"}),
    foreign={
        "call_sid": "it is data of a call, such as a recording",
        "recordings": "it is a list of recordings",
        "media_url": "it is a recording",
        "code": "it is an error response",
    },
    going_on={"status": frozenset({"queued", "initiated", "ringing", "in-progress"})},
)
_MAPPING: Final = SourceMapping(
    name="twilio",
    fields={
        "call_id": "sid",
        "linked_id": ["parent_call_sid", "sid"],
        "direction": FieldRule(
            columns="direction",
            values={
                "inbound": "inbound",
                "outbound-api": "outbound",
                "outbound-dial": "outbound",
                "trunking-originating": "inbound",
                "trunking-terminating": "outbound",
            },
            otherwise="",
        ),
        "start": FieldRule(columns=("start_time", "date_created"), formats=("rfc2822", "iso")),
        "end": FieldRule(columns="end_time", formats=("rfc2822", "iso")),
        "source": "from",
        "source_name": "caller_name",
        "destination": "to",
        "account": "account_sid",
        "duration": FieldRule(columns="duration", missing="0"),
        "disposition": FieldRule(
            columns="status",
            values={
                "completed": "answered",
                "busy": "busy",
                "no-answer": "no_answer",
                "canceled": "cancelled",
                "failed": "failed",
            },
            otherwise="unknown",
        ),
        "release_reason": "status",
        "charge": FieldRule(columns="price", negate=True),
        "currency": "price_unit",
    },
)


@attrs.frozen(kw_only=True)
class Twilio:
    """The source for Twilio's Call resources.

    A file contains one call, pages of calls, or one call per line. Twilio states a charge as a negative price; the
    field ``charge`` is positive. Twilio may add the price later. Reading the call again is then a conflict, and
    ``on_conflict="replace"`` stores the newer content. Twilio states neither the answer time nor a release cause.

    Example:
        >>> import io
        >>> call = b'{"sid": "CA1", "from": "+13051416799", "to": "+13051913581", "status": "completed", '
        >>> call += b'"start_time": "Fri, 18 Oct 2019 17:02:00 +0000", "duration": "4", "price": "-0.200"}'
        >>> [batch] = Twilio()(io.BytesIO(call))
        >>> batch.frame["duration"][0], batch.frame["charge"][0]
        (4, Decimal('0.200000'))
    """

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream* in file order.

        The last batch has the pending calls.

        Raises:
            SchemaError: When the stream is empty, is not JSON, or contains no Twilio calls.
        """
        yield from read_pages(stream, _PAGES, _MAPPING)

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return the reason why the file matches this format, or None if it does not.

        The JSON must have the keys of a Twilio call.
        """
        keys = json_keys(head)
        if {"sid", "from_formatted", "to_formatted"} <= keys or {"sid", "parent_call_sid"} <= keys:
            return "JSON with the keys sid, parent_call_sid, from_formatted"
        if {"calls", "first_page_uri"} <= keys:
            return "JSON with the keys calls, first_page_uri"
        return None
