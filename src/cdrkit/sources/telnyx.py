"""Telnyx's calls: the voice report as CSV, and detail records as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Final

import attrs
import polars as pl

from .._times import check_zone
from ._contract import SourceBatch
from ._mapping import FieldRule, SourceMapping
from ._pages import Pages, keys_in, read_pages_or_table
from ._tabular import names_in

__all__ = ["Telnyx"]

_PAGES: Final = Pages(
    provider="Telnyx's",
    lists=[("data",)],
    marks=frozenset({"sip_call_id", "call_leg_id"}),
    foreign={"errors": "it is an error answer", "recording_id": "it is a recording"},
    going_on={},
)
_MAPPING: Final = SourceMapping(
    name="telnyx",
    separator=None,
    optional=True,
    fields={
        "call_id": ["call_leg_id", "sip_call_id"],
        "linked_id": ["call_session_id", "sip_call_id"],
        "direction": FieldRule(
            columns="direction", values={"inbound": "inbound", "outbound": "outbound"}, otherwise=""
        ),
        "start": FieldRule(columns="start_timestamp_utc", timezone="UTC"),
        "answer": "answer_timestamp",
        "end": "end_timestamp",
        "source": "origination_number",
        "destination": "terminating_number",
        "duration": ["call_sec", "call_duration"],
        "billed_duration": FieldRule(columns=("billable_time", "billed_sec"), rounding="up"),
        "pdd": "pdd",
        "release_reason": "hangup_code",
        "rate": "rate",
        "charge": "cost",
        "currency": "currency",
        "mos": "mos",
    },
)


def _computed(native: pl.DataFrame, values: Mapping[str, pl.Series]) -> Mapping[str, pl.Series]:
    """Return the disposition, and the time talked where no column has it: from answer to end."""
    nothing = pl.Series([None] * native.height, dtype=pl.Datetime("us", "UTC"))
    answer, end = values.get("answer", nothing), values.get("end", nothing)
    answered = pl.when(answer.is_not_null()).then(pl.lit("answered")).otherwise(pl.lit("unknown"))
    found = {"disposition": native.select(answered.alias("disposition")).to_series()}
    if "duration" not in values or values["duration"].null_count() == native.height:
        talked = (end - answer).dt.total_seconds()
        known = pl.when(answer.is_null()).then(0).otherwise(pl.when(talked >= 0).then(talked))
        found["duration"] = native.select(known.alias("duration")).to_series()
    return found


@attrs.frozen(kw_only=True)
class Telnyx:
    """Reads Telnyx's voice report, as CSV, and pages of detail records with the same names, as JSON.

    ``start`` is ``start_timestamp_utc``. The other times are in the zone the report was made in. The report has no
    time talked: it is from answer to end, unless there is a column ``call_sec``. ``hangup_code`` is kept as
    ``release_reason``, since the report does not say which codes it has.

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
        if names <= keys_in(head):
            return "JSON with the keys start_timestamp_utc, sip_call_id"
        if names <= names_in(head):
            return "columns named start_timestamp_utc, sip_call_id"
        return None
