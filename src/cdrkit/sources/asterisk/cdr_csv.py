"""Asterisk's ``cdr_csv``: ``Master.csv`` and the files of the account codes beside it.

There is no header; the settings of ``cdr.conf`` decide how many columns there are, 16 to 21, and the file
does not say which they are. Stamps are local times without an offset.
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
from cdrkit.sources.asterisk.calls import BASE, NATIVE, NEW, Meaning, is_row, read_all, told, why, zone_given
from cdrkit.sources.contract import OwnStream, Reject, SourceBatch
from cdrkit.sources.readers.csv_blocks import CsvBlock, read_blocks
from cdrkit.sources.readers.csv_layout import CsvLayout
from cdrkit.sources.readers.csv_row import first_rows
from cdrkit.sources.readers.encoding import check_encoding

__all__ = ["AsteriskCsv"]

_ORIGIN: Final = "asterisk-csv"
_WIDTHS: Final = range(len(BASE), len(NATIVE) + 1)
_SHAPE: Final = (
    f"Asterisk's cdr_csv, which has no header, {_WIDTHS[0]} to {_WIDTHS[-1]} columns and the start in column "
    f"{BASE.index('start') + 1}"
)


def _setting(name: str, value: bool | str | None) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    words = {"yes": True, "true": True, "no": False, "false": False}
    try:
        return words[value.lower()]
    except (AttributeError, KeyError):
        raise ConfigError(f"{name} cannot be {value!r}; give True or False, as cdr.conf has it.") from None


def _loguniqueid(value: bool | str | None) -> bool | None:
    return _setting("loguniqueid", value)


def _loguserfield(value: bool | str | None) -> bool | None:
    return _setting("loguserfield", value)


def _newcdrcolumns(value: bool | str | None) -> bool | None:
    return _setting("newcdrcolumns", value)


@attrs.frozen(kw_only=True)
class AsteriskCsv:
    """Reads what Asterisk's ``cdr_csv`` writes.

    ``duration`` of a record is Asterisk's ``billsec``, the time talked; Asterisk's own ``duration``, from
    dialling to hanging up, is in ``extra`` with every other native column, as the text it was. ``call_id`` is
    the ``uniqueid`` and a digest of what tells legs apart, since phones that ring in parallel share one
    ``uniqueid``; ``linked_id`` is ``linkedid``, or else ``uniqueid``.

    A local time in an hour that came twice is read as the earlier instant, except that an answer or end that
    would lie before the start takes the later one. A local time in a skipped hour is read with the offset
    from before the change. Both are counted.

    Example:
        >>> import io
        >>> source = AsteriskCsv(timezone="Europe/London")
        >>> row = (b'"1001","02079460018","2041","office","","SIP/a","SIP/b","Dial","","2026-07-22 09:00:00",'
        ...        b'"2026-07-22 09:00:04","2026-07-22 09:00:38",38,34,"ANSWERED","BILLING","1784.1",""')
        >>> [batch] = source(io.BytesIO(row + b"\\n"))
        >>> batch.frame["start"][0].isoformat(), batch.frame["duration"][0]
        ('2026-07-22T08:00:00+00:00', 34)

    Args:
        timezone: The zone of the stamps, by its IANA name; ``UTC`` when ``cdr.conf`` has ``usegmtime=yes``.
        loguniqueid: That setting of ``cdr.conf``; None: go by the count of columns.
        loguserfield: The same. Rows of 17 or 20 columns need it, or *loguniqueid*.
        newcdrcolumns: The same.
        recording_column: The native column that names the recording, for example ``userfield``.
        customer_column: The native column that is the customer, for example ``accountcode``.
        encoding: The encoding of the file.

    Raises:
        ConfigError: When no zone is given, or an option cannot work.
    """

    timezone: str = attrs.field(default=None, converter=zone_given)
    loguniqueid: bool | None = attrs.field(default=None, converter=_loguniqueid)
    loguserfield: bool | None = attrs.field(default=None, converter=_loguserfield)
    newcdrcolumns: bool | None = attrs.field(default=None, converter=_newcdrcolumns)
    recording_column: str | None = None
    customer_column: str | None = None
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    def __attrs_post_init__(self) -> None:
        """Check that the columns named are Asterisk's, and that the settings have them written."""
        for option in ("recording_column", "customer_column"):
            column = getattr(self, option)
            told(option, column, NATIVE)
            if column is not None and not any(column in layout for layout in self._layouts()):
                raise ConfigError(f"{option} cannot be {column!r}: {self._given()} leaves that column out.")

    def _settings(self) -> dict[str, bool]:
        names = ("loguniqueid", "loguserfield", "newcdrcolumns")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def _given(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self._settings().items())

    def _layouts(self) -> list[tuple[str, ...]]:
        """Return the orders of columns that the settings allow."""
        allowed = (
            (False, True) if v is None else (v,)
            for v in (self.loguniqueid, self.loguserfield, self.newcdrcolumns)
        )
        return [
            (*BASE, *["uniqueid"] * uniqueid, *["userfield"] * userfield, *NEW * new)
            for uniqueid, userfield, new in itertools.product(*allowed)
        ]

    def _needed(self) -> str:
        if not self._settings():
            return f"Asterisk writes {_WIDTHS[0]} to {_WIDTHS[-1]}"
        *others, most = sorted({len(layout) for layout in self._layouts()})
        counts = f"{', '.join(map(str, others))} or {most}" if others else str(most)
        return f"with {self._given()} Asterisk writes {counts}"

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # Master.csv is the name of others, too
        """Return why a file fits: its rows have the start in column 10, and 16 to 21 columns."""
        return why(first_rows(head, ","), BASE, _WIDTHS)

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream*, in its order, some ten thousand rows at a time.

        Raises:
            SchemaError: When the stream is empty, or none of its rows can be taken.
            ConfigError: When a row has 17 or 20 columns and no option says which they are.
        """
        layout = CsvLayout(
            widths=_WIDTHS,
            expected=self._needed(),
            encoding=self.encoding,
            is_row=partial(is_row, columns=BASE),
        )
        blocks = read_blocks(stream, layout)
        with contextlib.closing(prefetch_items(blocks) if isinstance(stream, OwnStream) else blocks) as read:
            yield from read_all(((self._batch(rows), bool(rows.groups)) for rows in read), _SHAPE)

    def _batch(self, rows: CsvBlock) -> SourceBatch:
        layouts = self._layouts()
        rejects: list[Reject] = []
        groups: list[pl.DataFrame] = []
        doubtful: list[int] = []
        for width, values in rows.groups.items():
            fitting = [layout for layout in layouts if len(layout) == width]
            if not fitting:
                reason = f"It has {width} columns; {self._needed()}."
                rejects += [rows.reject(row, reason) for row in values["row"]]
                continue
            values = values.rename(dict(zip(map(str, range(width)), fitting[0], strict=True)))
            groups.append(values)
            if len(fitting) > 1:
                doubtful += values["row"].to_list()
        meaning = Meaning(
            origin=_ORIGIN,
            timezone=self.timezone,
            recording_column=self.recording_column,
            customer_column=self.customer_column,
        )
        batch = meaning.batch(groups, rows, rejects)
        if doubtful:
            refused = {reject.row for reject in batch.rejects}
            row = min((row for row in doubtful if row not in refused), default=None)
            if row is not None:
                width = next(width for width, values in rows.groups.items() if (values["row"] == row).any())
                raise ConfigError(
                    f"Row {row} has {width} columns; one is uniqueid or userfield, and the file does not say "
                    "which. Give loguniqueid=True or loguserfield=True, as cdr.conf has it; both, when that row "
                    "alone has lost a column: it is rejected then."
                )
        return batch
