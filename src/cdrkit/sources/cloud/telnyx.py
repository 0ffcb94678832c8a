"""The source for Telnyx's voice reports (CSV) and detail records (JSON)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Final

import attrs
import polars as pl

from cdrkit._model import check_zone
from cdrkit.sources.cloud.currency import set_currency
from cdrkit.sources.contract import SourceBatch
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.hangup_causes import CAUSES
from cdrkit.sources.readers.json_documents import PageLayout, json_keys, read_pages_or_table
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.table_header import column_names

__all__ = ["Telnyx"]

_PAGES: Final = PageLayout(
    provider="Telnyx's",
    lists=[("data",)],
    marks=frozenset({"sip_call_id", "call_leg_id", "call_sec"}),
    foreign={
        "errors": "it is an error response",
        "recording_id": "it is a recording",
        "participant_count": "it is a conference",
        "conference_id": "it is data of a conference",
    },
    going_on={},
)
#: For each field: the label in the CSV of a voice report, its name in the API, and the key in detail records.
_MAPPING: Final = SourceMapping(
    name="telnyx",
    separator=None,
    optional=True,
    fields={
        # The CDR ID of a report is the id of a detail record, and its call UUID is the session id.
        "call_id": ["Unique CDR ID", "call_leg_id", "id", "sip_call_id"],
        "linked_id": ["Call UUID", "call_session_id", "telnyx_session_id", "sip_call_id"],
        "direction": FieldRule(
            columns="direction", values={"inbound": "inbound", "outbound": "outbound"}, otherwise=""
        ),
        "start": FieldRule(
            columns=("Start Timestamp(UTC)", "start_timestamp_utc", "started_at"), timezone="UTC"
        ),
        "answer": ["Answer Timestamp", "answer_timestamp", "answered_at"],
        "end": ["End Timestamp", "end_timestamp", "finished_at"],
        "source": ["Originating Number", "origination_number", "cli"],
        "source_name": "caller_name",
        "destination": ["Terminating number", "terminating_number", "cld"],
        "account": "Account id",
        "duration": ["Call duration", "call_sec", "call_duration"],
        "billed_duration": FieldRule(columns=("Billable time", "billable_time", "billed_sec"), rounding="up"),
        "pdd": ["PDD(sec)", "pdd"],
        "sip_code": FieldRule(columns=("Sip response code", "sip_invite_failure_status"), absent="0"),
        "release_reason": ["Hangup cause", "hangup_cause", "Hangup code", "hangup_code"],
        "rate": "rate",
        "charge": "cost",
        "currency": "currency",
        "mos": "mos",
    },
)


def _compute_fields(native: pl.DataFrame, values: Mapping[str, pl.Series]) -> Mapping[str, pl.Series]:
    """Derive the disposition, and compute the talk time if no column has it.

    Telnyx uses FreeSWITCH's names of hangup causes. A hangup code does not affect the disposition.
    """
    nothing = pl.Series([None] * native.height, dtype=pl.Datetime("us", "UTC"))
    answer, end = values.get("answer", nothing), values.get("end", nothing)
    reason = values.get("release_reason", nothing.cast(pl.String))
    by_word = reason.str.to_uppercase().replace_strict(CAUSES, default="failed", return_dtype=pl.String)
    by_reason = pl.when(reason.str.contains("[A-Za-z]")).then(by_word).otherwise(pl.lit("unknown"))
    disposition = pl.when(answer.is_not_null()).then(pl.lit("answered")).otherwise(by_reason)
    fields = {"disposition": native.select(disposition.alias("disposition")).to_series()}
    if "duration" not in values or values["duration"].null_count() == native.height:
        talked = (end - answer).dt.total_seconds()
        length = pl.when(answer.is_null()).then(0).otherwise(pl.when(talked >= 0).then(talked))
        fields["duration"] = native.select(length.alias("duration")).to_series()
    return fields


@attrs.frozen(kw_only=True)
class Telnyx:
    """The source for Telnyx's voice reports (CSV) and detail records (JSON).

    The columns of a report have the portal's labels or the API's names. Its start is in UTC; its other times are in the
    zone of the report. If no column has the talk time, the source computes it from answer and end. Detail records have
    other names, such as ``started_at``, ``cli`` and ``call_sec``; their times are in UTC. ``release_reason`` is the
    hangup cause, or the hangup code if there is no cause.

    Example:
        >>> import io
        >>> report = b"Unique CDR ID,Start Timestamp(UTC),Answer Timestamp,End Timestamp,Cost,PDD(sec)\\n"
        >>> report += b"5a8c,2026-11-22 09:00:00,2026-11-22 10:00:04,2026-11-22 10:00:38,0.007,1.2\\n"
        >>> [batch] = Telnyx(timezone="Europe/Berlin")(io.BytesIO(report))
        >>> batch.frame["duration"][0], batch.frame["answer"][0].isoformat()
        (34, '2026-11-22T09:00:04+00:00')

    Args:
        timezone: IANA name of the zone of the report. None: times other than the start must have an offset.
        currency: ISO 4217 code of the amounts, which overrides the currency column.

    Raises:
        ConfigError: When an option is invalid.
    """

    timezone: str | None = attrs.field(default=None, converter=attrs.converters.optional(check_zone))
    currency: str | None = None

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream* in file order.

        Raises:
            SchemaError: When the stream is empty, or contains no Telnyx calls.
            ConfigError: When times have no offset and no zone is given.
        """
        mapping = attrs.evolve(set_currency(_MAPPING, self.currency), timezone=self.timezone)
        yield from read_pages_or_table(stream, _PAGES, mapping, compute=_compute_fields)

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return the reason why the file matches this format, or None if it does not.

        The file must have the column names of a voice report or the keys of a detail record.
        """
        names = {"start_timestamp_utc", "sip_call_id"}
        keys = json_keys(head)
        if names <= keys:
            return "JSON with the keys start_timestamp_utc, sip_call_id"
        if {"record_type", "started_at", "cld", "call_sec"} <= keys:
            return "JSON with the keys record_type, started_at, cld, call_sec"
        columns = column_names(head)
        if names <= columns:
            return "columns named start_timestamp_utc, sip_call_id"
        if {"start timestamp(utc)", "unique cdr id"} <= columns:
            return "columns labelled Start Timestamp(UTC), Unique CDR ID"
        return None
