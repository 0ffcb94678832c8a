"""The source for ``cdr-custom/Master.csv`` from Asterisk's ``cdr_custom``.

Asterisk's configuration sets the order of the columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import IO, Final

import attrs

from cdrkit.errors import ConfigError
from cdrkit.sources.asterisk.calls import CallBuilder, check_batches
from cdrkit.sources.asterisk.columns import (
    NATIVE_COLUMNS,
    check_asterisk_timezone,
    check_column,
    explain_match,
    is_call_row,
)
from cdrkit.sources.contract import SourceBatch
from cdrkit.sources.readers.csv_blocks import read_blocks
from cdrkit.sources.readers.csv_layout import CsvLayout
from cdrkit.sources.readers.csv_row import first_rows
from cdrkit.sources.readers.encoding import check_encoding

__all__ = ["AsteriskCustom"]

#: The order of columns in cdr_custom.conf.sample.
_SAMPLE: Final = (
    "clid",
    "src",
    "dst",
    "dcontext",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
    "accountcode",
    "uniqueid",
    "userfield",
    "sequence",
)
_NEEDED: Final = ("start", "duration", "billsec")


def _check_columns(value: str | tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else tuple(value)
    if len(set(names)) != len(names) or not all(name in names for name in _NEEDED):
        raise ConfigError(
            f"columns={', '.join(map(str, names))} is not valid. Give each column once, and include "
            f"{', '.join(_NEEDED)}."
        )
    for name in names:
        check_column("columns", name, NATIVE_COLUMNS)
    return names


@attrs.frozen(kw_only=True)
class AsteriskCustom:
    """The source for files that Asterisk's ``cdr_custom`` writes.

    The files have the columns of ``cdr_csv`` in another order. Each column fills the same field as in ``asterisk-csv``.

    Example:
        >>> import io
        >>> source = AsteriskCustom(timezone="Europe/London", columns="uniqueid,start,src,dst,duration,billsec")
        >>> [batch] = source(io.BytesIO(b'"1784.1","2026-07-22 09:00:00","2041","2042","38","34"\\n'))
        >>> batch.frame["start"][0].isoformat(), batch.frame["duration"][0]
        ('2026-07-22T08:00:00+00:00', 34)

    Args:
        timezone: IANA name of the zone of the local times.
        columns: The native columns in the order of ``cdr_custom.conf``, separated by commas. The default is the order
            of Asterisk's sample configuration.
        recording_column: The native column with the recording, for example ``userfield``.
        customer_column: The native column with the customer, for example ``accountcode``.
        encoding: Encoding of the file.

    Raises:
        ConfigError: When the zone is missing, or an option is invalid.
    """

    timezone: str = attrs.field(default=None, converter=check_asterisk_timezone)
    columns: tuple[str, ...] = attrs.field(default=_SAMPLE, converter=_check_columns)
    recording_column: str | None = None
    customer_column: str | None = None
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    def __attrs_post_init__(self) -> None:
        """Check that *columns* contains the recording column and the customer column."""
        check_column("recording_column", self.recording_column, self.columns)
        check_column("customer_column", self.customer_column, self.columns)

    @staticmethod
    def sniff(
        head: bytes, name: str
    ) -> str | None:  # the name does not help: cdr_csv writes a Master.csv, too
        """Return the reason why the file matches this format, or None if it does not.

        The columns must be in the order of Asterisk's sample configuration.
        """
        return explain_match(first_rows(head, ","), _SAMPLE, (len(_SAMPLE),))

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream* in row order, about 10,000 rows per batch.

        Raises:
            SchemaError: When the stream is empty, or none of its rows is a call.
        """
        width = len(self.columns)
        layout = CsvLayout(
            widths=(width,),
            expected=f"cdr_custom is configured to write {width}",
            encoding=self.encoding,
            is_row=partial(is_call_row, columns=self.columns),
        )
        builder = CallBuilder(
            origin="asterisk-custom",
            timezone=self.timezone,
            recording_column=self.recording_column,
            customer_column=self.customer_column,
        )
        names = dict(zip(map(str, range(width)), self.columns, strict=True))
        batches = (
            (
                builder.batch([values.rename(names) for values in rows.groups.values()], rows),
                bool(rows.groups),
            )
            for rows in read_blocks(stream, layout)
        )
        shape = f"Asterisk's cdr_custom with the columns {', '.join(self.columns)}"
        yield from check_batches(batches, shape)
