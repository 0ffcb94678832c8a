"""The source for ``Master.csv`` and account files from Asterisk's ``cdr_csv``.

The files have no header and 16 to 21 columns. The settings of ``cdr.conf`` decide which columns; the file does not
name them. Times are local times without an offset.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from functools import partial
from typing import IO, Final

import attrs
import polars as pl

from cdrkit._runtime import prefetch_items
from cdrkit.errors import ConfigError
from cdrkit.sources.asterisk.calls import CallBuilder, check_batches
from cdrkit.sources.asterisk.columns import (
    BASE_COLUMNS,
    NATIVE_COLUMNS,
    NEW_COLUMNS,
    check_asterisk_timezone,
    check_column,
    explain_match,
    is_call_row,
)
from cdrkit.sources.contract import OwnStream, Reject, SourceBatch
from cdrkit.sources.readers.csv_blocks import CsvBlock, read_blocks
from cdrkit.sources.readers.csv_layout import CsvLayout
from cdrkit.sources.readers.csv_row import first_rows
from cdrkit.sources.readers.encoding import check_encoding

__all__ = ["AsteriskCsv"]

_ORIGIN: Final = "asterisk-csv"
_WIDTHS: Final = range(len(BASE_COLUMNS), len(NATIVE_COLUMNS) + 1)
_SHAPE: Final = (
    f"Asterisk's cdr_csv, which has no header, {_WIDTHS[0]} to {_WIDTHS[-1]} columns and the start in column "
    f"{BASE_COLUMNS.index('start') + 1}"
)


def _parse_setting(name: str, value: bool | str | None) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    words = {"yes": True, "true": True, "no": False, "false": False}
    try:
        return words[value.lower()]
    except (AttributeError, KeyError):
        raise ConfigError(
            f"{name}={value!r} is not valid. Give True if cdr.conf says yes, or False if it says no."
        ) from None


def _parse_loguniqueid(value: bool | str | None) -> bool | None:
    return _parse_setting("loguniqueid", value)


def _parse_loguserfield(value: bool | str | None) -> bool | None:
    return _parse_setting("loguserfield", value)


def _parse_newcdrcolumns(value: bool | str | None) -> bool | None:
    return _parse_setting("newcdrcolumns", value)


@attrs.frozen(kw_only=True)
class AsteriskCsv:
    """The source for files that Asterisk's ``cdr_csv`` writes.

    The field ``duration`` is Asterisk's ``billsec``, the seconds talked. Asterisk's own ``duration``, from dialling to
    hangup, is in ``extra`` as text, with every other native column. ``call_id`` is the ``uniqueid`` with a digest of
    the columns that differ between legs, because phones that ring in parallel share one ``uniqueid``. ``linked_id`` is
    ``linkedid``, or ``uniqueid`` if that column is absent.

    A local time in an hour that occurs twice is the earlier instant. If an answer or end would then precede the start,
    the later instant is used. A local time in a skipped hour has the offset from before the change. Both kinds of times
    are counted.

    Example:
        >>> import io
        >>> source = AsteriskCsv(timezone="Europe/London")
        >>> row = (b'"1001","02079460018","2041","office","","SIP/a","SIP/b","Dial","","2026-07-22 09:00:00",'
        ...        b'"2026-07-22 09:00:04","2026-07-22 09:00:38",38,34,"ANSWERED","BILLING","1784.1",""')
        >>> [batch] = source(io.BytesIO(row + b"\\n"))
        >>> batch.frame["start"][0].isoformat(), batch.frame["duration"][0]
        ('2026-07-22T08:00:00+00:00', 34)

    Args:
        timezone: IANA name of the zone of the local times; ``UTC`` when ``cdr.conf`` has ``usegmtime=yes``.
        loguniqueid: The setting ``loguniqueid`` of ``cdr.conf``. None: decide by the number of columns.
        loguserfield: The setting ``loguserfield``. Rows of 17 or 20 columns need this option or *loguniqueid*.
        newcdrcolumns: The setting ``newcdrcolumns`` of ``cdr.conf``.
        recording_column: The native column with the recording, for example ``userfield``.
        customer_column: The native column with the customer, for example ``accountcode``.
        encoding: Encoding of the file.

    Raises:
        ConfigError: When the zone is missing, or an option is invalid.
    """

    timezone: str = attrs.field(default=None, converter=check_asterisk_timezone)
    loguniqueid: bool | None = attrs.field(default=None, converter=_parse_loguniqueid)
    loguserfield: bool | None = attrs.field(default=None, converter=_parse_loguserfield)
    newcdrcolumns: bool | None = attrs.field(default=None, converter=_parse_newcdrcolumns)
    recording_column: str | None = None
    customer_column: str | None = None
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    def __attrs_post_init__(self) -> None:
        """Check that the settings allow the recording column and the customer column.

        The settings are the options that decide which columns Asterisk writes.
        """
        for option in ("recording_column", "customer_column"):
            column = getattr(self, option)
            check_column(option, column, NATIVE_COLUMNS)
            if column is not None and not any(column in layout for layout in self._layouts()):
                raise ConfigError(
                    f"{option}={column!r} is not valid: Asterisk does not write this column if "
                    f"{self._describe_settings()}. Name another column, or correct the settings."
                )

    def _settings(self) -> dict[str, bool]:
        names = ("loguniqueid", "loguserfield", "newcdrcolumns")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def _describe_settings(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self._settings().items())

    def _layouts(self) -> list[tuple[str, ...]]:
        """Return every sequence of columns that a row can have under the settings."""
        allowed = (
            (False, True) if v is None else (v,)
            for v in (self.loguniqueid, self.loguserfield, self.newcdrcolumns)
        )
        return [
            (*BASE_COLUMNS, *["uniqueid"] * uniqueid, *["userfield"] * userfield, *NEW_COLUMNS * new)
            for uniqueid, userfield, new in itertools.product(*allowed)
        ]

    def _describe_widths(self) -> str:
        if not self._settings():
            return f"Asterisk writes {_WIDTHS[0]} to {_WIDTHS[-1]}"
        *others, most = sorted({len(layout) for layout in self._layouts()})
        counts = f"{', '.join(map(str, others))} or {most}" if others else str(most)
        return f"with {self._describe_settings()}, Asterisk writes {counts}"

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # other switches write a Master.csv, too
        """Return the reason why the file matches this format, or None if it does not.

        The rows must have 16 to 21 columns, and column 10 must be the start.
        """
        return explain_match(first_rows(head, ","), BASE_COLUMNS, _WIDTHS)

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream* in row order, about 10,000 rows per batch.

        Raises:
            SchemaError: When the stream is empty, or none of its rows is a call.
            ConfigError: When a row has 17 or 20 columns and no option defines which columns these are.
        """
        layout = CsvLayout(
            widths=_WIDTHS,
            expected=self._describe_widths(),
            encoding=self.encoding,
            is_row=partial(is_call_row, columns=BASE_COLUMNS),
        )
        blocks = read_blocks(stream, layout)
        with contextlib.closing(prefetch_items(blocks) if isinstance(stream, OwnStream) else blocks) as read:
            yield from check_batches(((self._batch(rows), bool(rows.groups)) for rows in read), _SHAPE)

    def _batch(self, rows: CsvBlock) -> SourceBatch:
        layouts = self._layouts()
        rejects: list[Reject] = []
        groups: list[pl.DataFrame] = []
        ambiguous: list[int] = []
        for width, values in rows.groups.items():
            matching = [layout for layout in layouts if len(layout) == width]
            if not matching:
                reason = f"The row has {width} columns; {self._describe_widths()}."
                rejects += [rows.reject(row, reason) for row in values["row"]]
                continue
            values = values.rename(dict(zip(map(str, range(width)), matching[0], strict=True)))
            groups.append(values)
            if len(matching) > 1:
                ambiguous += values["row"].to_list()
        builder = CallBuilder(
            origin=_ORIGIN,
            timezone=self.timezone,
            recording_column=self.recording_column,
            customer_column=self.customer_column,
        )
        batch = builder.batch(groups, rows, rejects)
        if ambiguous:
            rejected = {reject.row for reject in batch.rejects}
            row = min((row for row in ambiguous if row not in rejected), default=None)
            if row is not None:
                width = next(width for width, values in rows.groups.items() if (values["row"] == row).any())
                raise ConfigError(
                    f"Row {row} has {width} columns. One of them is uniqueid or userfield, but the file does not show "
                    "which. Give loguniqueid=True or loguserfield=True, as in cdr.conf. If the other rows have both "
                    "columns, give both options; this row is then rejected."
                )
        return batch
