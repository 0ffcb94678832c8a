"""The source for CSV files from the portal or the database of ConnexCS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import IO, Final

import attrs
import polars as pl

from cdrkit.sources.contract import SourceBatch
from cdrkit.sources.readers.encoding import check_encoding
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.sip_status import dispositions
from cdrkit.sources.readers.table import read_table
from cdrkit.sources.readers.table_header import column_names

__all__ = ["ConnexCsCsv"]

#: An instant as cdrkit's own CSV files have it.
_CDRKIT_INSTANT: Final = re.compile(
    rb"(?:^|,)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z(?:,|\r|\n)", re.MULTILINE
)
#: The label in the portal, and the column of the database, of each field.
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "call_id": ("Call ID", "callid"),
    "switch": ("Switch", "switch_ip"),
    "source": ("Source Number", "source_cli"),
    "destination": ("Destination", "dest_number"),
    "dialled": ("source_dest_number",),
    "lrn": ("LRN Number", "lrn_number"),
    "tech_prefix": ("Tech Prefix", "tech_prefix"),
    "source_ip": ("Source IP", "source_ip"),
    "customer_id": ("customer_id",),
    "reseller_id": ("reseller_id",),
    "provider_id": ("provider_id",),
    "card_id": ("Card ID", "customer_card_id"),
    "account": ("auth_user",),
    "duration": ("Duration", "duration"),
    "billed_duration": ("Billed Duration", "customer_duration"),
    "ring_duration": ("Ring Duration", "ring_duration"),
    "pdd": ("PDD", "pdd_out"),
    "pdd_in": ("PDD In", "pdd_in"),
    "sip_code": ("SIP Code", "sip_code"),
    "sip_reason": ("SIP Reason", "sip_reason"),
    "release_reason": ("Release Reason", "release_reason"),
    "destination_code": ("Destination Code", "customer_card_dest_code"),
    "destination_name": ("Destination Name", "customer_card_dest_name"),
    "rate": ("Rate", "customer_card_rate"),
    "connect_cost": ("Connect Cost", "customer_card_connect_rate"),
    "charge": ("Charge", "customer_charge"),
    "provider_charge": ("provider_charge",),
    "currency": ("customer_card_currency",),
    "dtmf": ("DTMF", "dtmf"),
    "recording": ("Recording File", "recording_file"),
}
_LENGTHS: Final = ("ring_duration", "pdd", "pdd_in")
_MAPPING: Final = SourceMapping(
    name="connexcs-csv",
    separator=None,
    timezone="UTC",
    optional=True,
    absent=("NULL", "\\N", "ᴺᵁᴸᴸ"),
    fields={
        **{name: FieldRule(columns=columns) for name, columns in _COLUMNS.items()},
        "start": FieldRule(columns=("Call Time", "dt")),
        "direction": FieldRule(
            columns=("Direction", "direction"),
            values={"inbound": "inbound", "outbound": "outbound", "internal": "internal"},
            otherwise="",
        ),
    },
)


def _compute_fields(native: pl.DataFrame, values: Mapping[str, pl.Series]) -> Mapping[str, pl.Series]:
    """Derive the disposition from the SIP code; a call with talk time is answered."""
    nothing = pl.Series([None] * native.height, dtype=pl.Int16)
    is_answered = values.get("duration", nothing) > 0
    by_code = dispositions(values.get("sip_code", nothing))
    disposition = pl.when(is_answered).then(pl.lit("answered")).otherwise(by_code)
    return {"disposition": native.select(disposition.alias("disposition")).to_series()}


@attrs.frozen(kw_only=True)
class ConnexCsCsv:
    """The source for CSV files from the ConnexCS portal (call page or SQL editor).

    A file may have any columns, in any order. The columns have the portal's labels or the names in the table ``cdr``.
    ``Call ID`` and ``Call Time`` are required. Times are in UTC, as in every download.

    Example:
        >>> import io
        >>> page = b"Call ID,Call Time,Source Number,Destination,Duration,SIP Code,Charge\\n"
        >>> page += b"a1@10.0.0.1,2026-11-22 09:00:00,442079460018,12125550100,34,200,0.0125\\n"
        >>> [batch] = ConnexCsCsv()(io.BytesIO(page))
        >>> batch.frame["start"][0].isoformat(), batch.frame["charge"][0]
        ('2026-11-22T09:00:00+00:00', Decimal('0.012500'))

    Args:
        length_unit: The unit of PDD, PDD In and Ring Duration: ``s`` or ``ms``.
        encoding: Encoding of the file.

    Raises:
        ConfigError: When an option is invalid.
    """

    length_unit: str = "s"
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    def _mapping(self) -> SourceMapping:
        fields = dict(_MAPPING.fields)
        for name in _LENGTHS:
            fields[name] = attrs.evolve(fields[name], unit=self.length_unit)
        return attrs.evolve(_MAPPING, fields=fields, encoding=self.encoding)

    def __attrs_post_init__(self) -> None:
        """Check the options before a file is opened."""
        self._mapping()

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream* in row order.

        Raises:
            SchemaError: When the stream is empty, or lacks ``Call ID`` or ``Call Time``.
        """
        yield from read_table(stream, self._mapping(), compute=_compute_fields)

    @staticmethod
    def sniff(head: bytes, name: str, /) -> str | None:
        """Return the reason why the file matches this format, or None if it does not.

        The first line must have the portal's labels, or the column names of the table ``cdr``.
        """
        names = column_names(head)
        # cdrkit's own CSV files have equal labels, and instants such as 2026-11-22T09:30:00Z.
        if (
            not _CDRKIT_INSTANT.search(head)
            and {"call id", "call time"} <= names
            and names
            & {
                "card id",
                "tech prefix",
                "switch",
                "release reason",
                "billed duration",
                "source number",
            }
        ):
            return "columns labelled Call ID, Call Time, as in the portal"
        if {"callid", "dt"} <= names:
            return "columns named callid, dt, as in the table cdr"
        return None
