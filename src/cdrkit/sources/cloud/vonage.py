"""Vonage's calls: the Voice API's call resources, and the Reports API's records, as JSON or CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Final

import attrs

from cdrkit._model import check_zone
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
    "error_title": "it is an error answer",
    "error": "it is an error answer",
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
#: Products besides calls have a ``call_id``, too: it is that of the call they belong to.
_REPORT_PAGES: Final = PageLayout(
    provider="Vonage's",
    lists=[("records",)],
    marks=frozenset({"call_id"}),
    foreign={
        **_FOREIGN,
        "call_date_start": "it is a recognition of speech in a call",
        "tts_level": "it is a text spoken in a call",
        "amd_detection_result": "it is a detection of a machine in a call",
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
    """Reads Vonage's calls: pages of the Voice API, records of the Reports API as JSON, or as CSV.

    The two state money differently: ``price`` is what a call cost in the Voice API, and the price of a minute in a
    report, where the call's is ``total_price``. More than six decimals are rounded; ``extra`` keeps them all. A report
    of the product ``VOICE-CALL`` has answered calls only, one of ``VOICE-FAILED`` the others.

    Example:
        >>> import io
        >>> call = b'{"uuid": "e154", "conversation_uuid": "CON-d4e1", "start_time": "2024-04-19T01:34:18.000Z", '
        >>> call += b'"duration": "2", "price": "0.00333333", "status": "completed"}'
        >>> [batch] = Vonage()(io.BytesIO(call))
        >>> batch.frame["charge"][0], batch.frame["extra"][0]
        (Decimal('0.003333'), '{"price":"0.00333333"}')

    Args:
        timezone: The zone of times without an offset, which a report may have.
        currency: The ISO 4217 code of the account's amounts, which the Voice API does not state.
    """

    timezone: str | None = attrs.field(default=None, converter=attrs.converters.optional(check_zone))
    currency: str | None = None

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream*, in its order; those that have not ended are held back.

        Raises:
            SchemaError: When it is empty, or holds something else than calls of Vonage's.
            ConfigError: When times have no offset and no zone is given.
        """
        peeked = PeekedStream(stream)
        keys = json_keys(peeked.head)
        report = "uuid" not in keys and (not keys or bool(keys & {"call_id", "records"}))
        pages, mapping = (_REPORT_PAGES, _REPORT) if report else (_VOICE_PAGES, _VOICE)
        if self.currency is not None:
            rules = {name: rule for name, rule in mapping.fields.items() if name != "currency"}
            mapping = attrs.evolve(mapping, fields=rules, constants={"currency": self.currency})
        mapping = attrs.evolve(mapping, timezone=self.timezone)
        yield from read_pages_or_table(peeked, pages, mapping)

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return why a file may be Vonage's calls, or None."""
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
