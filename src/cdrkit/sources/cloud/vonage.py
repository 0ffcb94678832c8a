"""The source for calls from Vonage's Voice API or Reports API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Final

import attrs

from cdrkit._model import check_zone
from cdrkit.sources.cloud.currency import set_currency
from cdrkit.sources.contract import SourceBatch
from cdrkit.sources.readers.byte_streams import PeekedStream
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.json_documents import PageLayout, json_keys, read_pages_or_table
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.table_header import column_names

__all__ = ["Vonage"]

_DIRECTION: Final = FieldRule(
    columns="direction", values={"inbound": "inbound", "outbound": "outbound"}, otherwise=""
)
_DISPOSITION: Final = FieldRule(
    columns="status",
    values={
        "completed": "answered",
        "answered": "answered",
        "machine": "answered",
        "busy": "busy",
        "timeout": "no_answer",
        "unanswered": "no_answer",
        "cancelled": "cancelled",
        "rejected": "rejected",
        "failed": "failed",
        "error": "failed",
    },
    otherwise="unknown",
)
_FOREIGN: Final = {
    "error_title": "it is an error response",
    "error": "it is an error response",
    "recording_url": "it is a recording",
}
_VOICE_PAGES: Final = PageLayout(
    provider="Vonage's",
    lists=[("_embedded", "calls")],
    marks=frozenset({"uuid"}),
    foreign=_FOREIGN,
    going_on={"status": frozenset({"started", "ringing", "answered"})},
)
_VOICE: Final = SourceMapping(
    name="vonage",
    fields={
        "call_id": "uuid",
        "linked_id": "conversation_uuid",
        "direction": _DIRECTION,
        "start": "start_time",
        "end": "end_time",
        "source": ["from.number", "from.uri", "from.user", "from"],
        "destination": ["to.number", "to.uri", "to.user", "to"],
        "duration": FieldRule(columns="duration", missing="0"),
        "disposition": _DISPOSITION,
        "release_reason": "status",
        "rate": "rate",
        "charge": "price",
    },
)
#: Records of other products also have a ``call_id``, the one of their call.
_REPORT_PAGES: Final = PageLayout(
    provider="Vonage's",
    lists=[("records",)],
    marks=frozenset({"call_id"}),
    foreign={
        **_FOREIGN,
        "call_date_start": "it is a speech recognition in a call",
        "tts_level": "it is a text-to-speech conversion in a call",
        "amd_detection_result": "it is an answering machine detection in a call",
    },
    going_on={},
)
_REPORT: Final = SourceMapping(
    name="vonage",
    separator=None,
    optional=True,
    fields={
        "call_id": "call_id",
        "linked_id": "conversation_id",
        "direction": _DIRECTION,
        "start": "date_start",
        "end": "date_end",
        "source": "from",
        "destination": "to",
        "account": "account_id",
        "duration": FieldRule(columns="duration", missing="0"),
        "disposition": _DISPOSITION,
        "release_reason": ["status_description", "status"],
        "destination_name": ["network_name", "country_name"],
        "rate": "price",
        "charge": "total_price",
        "currency": "currency",
    },
)


@attrs.frozen(kw_only=True)
class Vonage:
    """The source for calls from Vonage's Voice API or Reports API.

    The Voice API returns calls as JSON; the Reports API returns records as JSON or CSV. In the Voice API, ``price`` is
    the price of a call. In a report, ``price`` is the price of a minute, and ``total_price`` is the price of the call.
    An amount with more than six decimals is rounded, and ``extra`` keeps its text. A report of the product
    ``VOICE-CALL`` has only answered calls, and a report of ``VOICE-FAILED`` has all other calls.

    Example:
        >>> import io
        >>> call = b'{"uuid": "e154", "conversation_uuid": "CON-d4e1", "start_time": "2024-04-19T01:34:18.000Z", '
        >>> call += b'"duration": "2", "price": "0.00333333", "status": "completed"}'
        >>> [batch] = Vonage()(io.BytesIO(call))
        >>> batch.frame["charge"][0], batch.frame["extra"][0]
        (Decimal('0.003333'), '{"price":"0.00333333"}')

    Args:
        timezone: IANA name of the zone of times without an offset, which a report may have.
        currency: ISO 4217 code of the account's amounts, which the Voice API does not state.

    Raises:
        ConfigError: When an option is invalid.
    """

    timezone: str | None = attrs.field(default=None, converter=attrs.converters.optional(check_zone))
    currency: str | None = None

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream* in file order.

        The last batch has the pending calls.

        Raises:
            SchemaError: When the stream is empty, or contains no Vonage calls.
            ConfigError: When times have no offset and no zone is given.
        """
        peeked = PeekedStream(stream)
        keys = json_keys(peeked.head)
        is_report = "uuid" not in keys and (not keys or bool(keys & {"call_id", "records"}))
        pages, mapping = (_REPORT_PAGES, _REPORT) if is_report else (_VOICE_PAGES, _VOICE)
        mapping = attrs.evolve(set_currency(mapping, self.currency), timezone=self.timezone)
        yield from read_pages_or_table(peeked, pages, mapping)

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return the reason why the file matches this format, or None if it does not.

        The file must have the keys of Vonage's calls or the column names of its report records.
        """
        keys = json_keys(head)
        if {"uuid", "conversation_uuid"} <= keys:
            return "JSON with the keys uuid, conversation_uuid"
        names = {"call_id", "date_start", "date_end"}
        if names <= keys and not _REPORT_PAGES.foreign.keys() & keys:
            return "JSON with the keys call_id, date_start, date_end"
        columns = column_names(head)
        if names <= columns and "call_date_start" not in columns:
            return "columns named call_id, date_start, date_end"
        return None
