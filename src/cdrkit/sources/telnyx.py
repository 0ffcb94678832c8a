"""Telnyx's calls: the voice report as CSV, and detail records of calls as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Final

import attrs
import polars as pl

from .._times import check_zone
from ._contract import SourceBatch
from ._freeswitch import CAUSES
from ._mapping import FieldRule, SourceMapping
from ._pages import Pages, keys_in, read_pages_or_table
from ._tabular import names_in

__all__ = ["Telnyx"]

_PAGES: Final = Pages(
    provider="Telnyx's",
    lists=[("data",)],
    marks=frozenset({"sip_call_id", "call_leg_id", "call_sec"}),
    foreign={
        "errors": "it is an error answer",
        "recording_id": "it is a recording",
        "participant_count": "it is a conference",
        "conference_id": "it is about something that belongs to a conference",
    },
    going_on={},
)
#: The names of the voice report, then those of the detail records.
_MAPPING: Final = SourceMapping(
    name="telnyx",
    separator=None,
    optional=True,
    fields={
        "call_id": ["call_leg_id", "id", "sip_call_id"],
        "linked_id": ["call_session_id", "telnyx_session_id", "sip_call_id"],
        "direction": FieldRule(
            columns="direction", values={"inbound": "inbound", "outbound": "outbound"}, otherwise=""
        ),
        "start": FieldRule(columns=("start_timestamp_utc", "started_at"), timezone="UTC"),
        "answer": ["answer_timestamp", "answered_at"],
        "end": ["end_timestamp", "finished_at"],
        "source": ["origination_number", "cli"],
        "source_name": "caller_name",
        "destination": ["terminating_number", "cld"],
        "duration": ["call_sec", "call_duration"],
        "billed_duration": FieldRule(columns=("billable_time", "billed_sec"), rounding="up"),
        "pdd": "pdd",
        "sip_code": FieldRule(columns="sip_invite_failure_status", absent="0"),
        "release_reason": ["hangup_cause", "hangup_code"],
        "rate": "rate",
        "charge": "cost",
        "currency": "currency",
        "mos": "mos",
    },
)


def _computed(native: pl.DataFrame, values: Mapping[str, pl.Series]) -> Mapping[str, pl.Series]:
    """Return the disposition, and the time talked where no column has it: from answer to end.

    A hangup cause is a word of FreeSWITCH's; the report has none.
    """
    if "hangup_cause" not in native.columns:
        native = native.with_columns(hangup_cause=pl.lit(None, dtype=pl.String))
    nothing = pl.Series([None] * native.height, dtype=pl.Datetime("us", "UTC"))
    answer, end = values.get("answer", nothing), values.get("end", nothing)
    cause = pl.col("hangup_cause")
    said = cause.str.to_uppercase().replace_strict(CAUSES, default="failed", return_dtype=pl.String)
    known = pl.when(cause.is_null() | (cause == "")).then(pl.lit("unknown")).otherwise(said)
    disposition = pl.when(answer.is_not_null()).then(pl.lit("answered")).otherwise(known)
    found = {"disposition": native.select(disposition.alias("disposition")).to_series()}
    if "duration" not in values or values["duration"].null_count() == native.height:
        talked = (end - answer).dt.total_seconds()
        length = pl.when(answer.is_null()).then(0).otherwise(pl.when(talked >= 0).then(talked))
        found["duration"] = native.select(length.alias("duration")).to_series()
    return found


@attrs.frozen(kw_only=True)
class Telnyx:
    """Reads Telnyx's voice report, as CSV, and pages of detail records of calls, as JSON.

    A report's ``start`` is ``start_timestamp_utc``, its other times are in the zone it was made in, and the time
    talked is from answer to end, unless there is a column ``call_duration``. Its ``hangup_code`` is kept as
    ``release_reason``, since it does not say which codes it has. Detail records name the same things otherwise:
    ``started_at``, ``cli``, ``cld``, ``call_sec``; their times are in UTC, and their ``hangup_cause`` is FreeSWITCH's.

    Example:
        >>> import io
        >>> report = b"sip_call_id,start_timestamp_utc,answer_timestamp,end_timestamp,cost,pdd\\n"
        >>> report += b"a@b,2026-11-22 09:00:00,2026-11-22 10:00:04,2026-11-22 10:00:38,0.007,1.2\\n"
        >>> [batch] = Telnyx(timezone="Europe/Berlin")(io.BytesIO(report))
        >>> batch.frame["duration"][0], batch.frame["answer"][0].isoformat()
        (34, '2026-11-22T09:00:04+00:00')

    Args:
        timezone: The zone the report was made in; without it, times other than the start need an offset.
        currency: The ISO 4217 code of the amounts, where no column has it.
    """

    timezone: str | None = attrs.field(default=None, converter=attrs.converters.optional(check_zone))
    currency: str | None = None

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream*, in its order.

        Raises:
            SchemaError: When it is empty, or holds something else than calls of Telnyx's.
            ConfigError: When times have no offset and no zone is given.
        """
        mapping = attrs.evolve(_MAPPING, timezone=self.timezone)
        if self.currency is not None:
            rules = {name: rule for name, rule in mapping.fields.items() if name != "currency"}
            mapping = attrs.evolve(mapping, fields=rules, constants={"currency": self.currency})
        yield from read_pages_or_table(stream, _PAGES, mapping, computed=_computed)

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return why a file may be Telnyx's calls, or None."""
        names = {"start_timestamp_utc", "sip_call_id"}
        keys = keys_in(head)
        if names <= keys:
            return "JSON with the keys start_timestamp_utc, sip_call_id"
        if {"record_type", "started_at", "cld", "call_sec"} <= keys:
            return "JSON with the keys record_type, started_at, cld, call_sec"
        if names <= names_in(head):
            return "columns named start_timestamp_utc, sip_call_id"
        return None
