"""The source for Kamailio's table ``acc_cdrs``, which has one row per call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO

import attrs
import polars as pl

from cdrkit.errors import ConfigError
from cdrkit.sources.contract import SourceBatch
from cdrkit.sources.readers.byte_streams import PeekedStream
from cdrkit.sources.readers.encoding import check_encoding
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.table import read_table
from cdrkit.sources.readers.table_header import column_names
from cdrkit.sources.sip_proxies.columns import NULLS, check_columns, check_proxy_timezone, number_rules

__all__ = ["KamailioCdrs"]


def _compute_fields(native: pl.DataFrame, values: Mapping[str, pl.Series]) -> Mapping[str, pl.Series]:
    """Derive the disposition: answered if a talk time exists, otherwise unknown."""
    is_answered = values.get("duration", pl.Series([None] * native.height, dtype=pl.Int32)) > 0
    disposition = pl.when(is_answered).then(pl.lit("answered")).otherwise(pl.lit("unknown"))
    return {"disposition": native.select(disposition.alias("disposition")).to_series()}


def _parse_start_on_confirmed(value: bool | str | None) -> bool:
    words = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}
    setting = words.get(str(value).lower())
    if setting is None:
        raise ConfigError(
            f"start_on_confirmed={value!r} is not valid. Give True if kamailio.cfg has cdr_start_on_confirmed=1, and "
            "False otherwise. With the setting 1, Kamailio's start_time and duration begin with the answer. Otherwise "
            "they begin with the INVITE."
        )
    return setting


@attrs.frozen(kw_only=True)
class KamailioCdrs:
    """The source for dumps of Kamailio's table ``acc_cdrs``.

    The first line has the column names. The setting ``cdr_start_on_confirmed`` decides the meaning of
    ``start_time`` and ``duration``. The table does not show the setting, so you must give it. If the setting is off,
    Kamailio's ``duration`` includes the ringing: the field ``duration`` stays empty, and ``extra`` keeps the value.

    Example:
        >>> import io
        >>> rows = b"start_time,end_time,duration,callid\\n2026-11-22 09:00:04,2026-11-22 09:00:38,34.213,x@y\\n"
        >>> [batch] = KamailioCdrs(timezone="UTC", start_on_confirmed=True)(io.BytesIO(rows))
        >>> batch.frame["duration"][0], batch.frame["extra"][0]
        (34, '{"duration":"34.213"}')

    Args:
        timezone: IANA name of the zone of the local times.
        start_on_confirmed: Whether ``kamailio.cfg`` has ``cdr_start_on_confirmed=1``. Kamailio's default is 0.
        call_id_column: The column with the Call-ID, as ``cdr_extra`` names it. None: ``callid``, if it exists;
            otherwise a digest of the row identifies the call.
        source_column: The column with the caller. None: ``src_user``, if it exists.
        destination_column: The column with the called number. None: ``dst_user``, if it exists.
        encoding: Encoding of the file.

    Raises:
        ConfigError: When the zone or *start_on_confirmed* is missing, or an option is invalid.
    """

    timezone: str = attrs.field(default=None, converter=check_proxy_timezone)
    start_on_confirmed: bool = attrs.field(default=None, converter=_parse_start_on_confirmed)
    call_id_column: str | None = None
    source_column: str | None = None
    destination_column: str | None = None
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream* in row order.

        Raises:
            SchemaError: When the stream is empty, or is not a table ``acc_cdrs``.
        """
        peeked = PeekedStream(stream)
        check_columns(peeked.head, self.call_id_column, self.source_column, self.destination_column)
        fields: dict[str, FieldRule] = {
            "start": FieldRule(columns="start_time"),
            "end": FieldRule(columns="end_time"),
            **number_rules(self.source_column, self.destination_column),
        }
        call_id = self.call_id_column or ("callid" if "callid" in column_names(peeked.head) else None)
        if call_id is not None:
            fields["call_id"] = fields["linked_id"] = FieldRule(columns=call_id)
        if self.start_on_confirmed:
            fields["answer"] = FieldRule(columns="start_time")
            fields["duration"] = FieldRule(columns="duration", required=True)
        mapping = SourceMapping(
            name="kamailio-cdrs",
            separator=None,
            optional=True,
            timezone=self.timezone,
            encoding=self.encoding,
            absent=NULLS,
            fields=fields,
        )
        yield from read_table(peeked, mapping, compute=_compute_fields)

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return the reason why the file matches this format, or None if it does not.

        The first line must have the column names of ``acc_cdrs``.
        """
        if {"start_time", "end_time", "duration"} <= (names := column_names(head)) and "uuid" not in names:
            return "columns named start_time, end_time, duration"
        return None
