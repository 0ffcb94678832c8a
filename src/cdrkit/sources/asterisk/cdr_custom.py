"""Asterisk's ``cdr_custom``: another ``Master.csv``, in ``cdr-custom/``, whose columns the configuration orders."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import IO, Final

import attrs

from cdrkit.errors import ConfigError
from cdrkit.sources.asterisk.calls import NATIVE, Meaning, is_row, read_all, told, why, zone_given
from cdrkit.sources.contract import SourceBatch
from cdrkit.sources.readers.csv_blocks import read_blocks
from cdrkit.sources.readers.csv_layout import CsvLayout
from cdrkit.sources.readers.csv_row import first_rows
from cdrkit.sources.readers.encoding import check_encoding

__all__ = ["AsteriskCustom"]

#: The order of cdr_custom.conf.sample.
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


def _columns(value: str | tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else tuple(value)
    if len(set(names)) != len(names) or not all(name in names for name in _NEEDED):
        raise ConfigError(
            f"The columns of cdr_custom cannot be {', '.join(map(str, names))}: each stands there once, and "
            f"{', '.join(_NEEDED)} are needed."
        )
    for name in names:
        told("columns", name, NATIVE)
    return names


@attrs.frozen(kw_only=True)
class AsteriskCustom:
    """Reads what Asterisk's ``cdr_custom`` writes: the columns of ``cdr_csv`` in an order of their own.

    What they mean is the same as for ``asterisk-csv``.

    Example:
        >>> import io
        >>> source = AsteriskCustom(timezone="Europe/London", columns="uniqueid,start,src,dst,duration,billsec")
        >>> [batch] = source(io.BytesIO(b'"1784.1","2026-07-22 09:00:00","2041","2042","38","34"\\n'))
        >>> batch.frame["start"][0].isoformat(), batch.frame["duration"][0]
        ('2026-07-22T08:00:00+00:00', 34)

    Args:
        timezone: The zone of the stamps, by its IANA name.
        columns: The native columns in the order of ``cdr_custom.conf``, with commas between; by default that of
            Asterisk's sample.
        recording_column: The native column that names the recording, for example ``userfield``.
        customer_column: The native column that is the customer, for example ``accountcode``.
        encoding: The encoding of the file.

    Raises:
        ConfigError: When no zone is given, or an option cannot work.
    """

    timezone: str = attrs.field(default=None, converter=zone_given)
    columns: tuple[str, ...] = attrs.field(default=_SAMPLE, converter=_columns)
    recording_column: str | None = None
    customer_column: str | None = None
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    def __attrs_post_init__(self) -> None:
        """Check that the columns named are among those that there are."""
        told("recording_column", self.recording_column, self.columns)
        told("customer_column", self.customer_column, self.columns)

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # the name says nothing: both are Master.csv
        """Return why a file fits: its rows are calls in the order of Asterisk's sample."""
        return why(first_rows(head, ","), _SAMPLE, (len(_SAMPLE),))

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream*, in its order, some ten thousand rows at a time.

        Raises:
            SchemaError: When the stream is empty, or none of its rows can be taken.
        """
        width = len(self.columns)
        layout = CsvLayout(
            widths=(width,),
            expected=f"cdr_custom writes {width} here",
            encoding=self.encoding,
            is_row=partial(is_row, columns=self.columns),
        )
        meaning = Meaning(
            origin="asterisk-custom",
            timezone=self.timezone,
            recording_column=self.recording_column,
            customer_column=self.customer_column,
        )
        names = dict(zip(map(str, range(width)), self.columns, strict=True))
        found = (
            (
                meaning.batch([values.rename(names) for values in rows.groups.values()], rows),
                bool(rows.groups),
            )
            for rows in read_blocks(stream, layout)
        )
        shape = f"Asterisk's cdr_custom with the columns {', '.join(self.columns)}"
        yield from read_all(found, shape)
