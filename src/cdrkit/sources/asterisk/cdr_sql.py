"""The sources for the ``cdr`` tables of Asterisk's SQL modules and of FreePBX.

These sources read a CSV dump or the database.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import IO, Any, ClassVar, Final

import attrs
import polars as pl

from cdrkit._model import zone
from cdrkit.errors import CdrError, ConfigError, SchemaError, StorageError
from cdrkit.sources.asterisk.calls import CallBuilder, check_batches
from cdrkit.sources.asterisk.columns import (
    FREEPBX_COLUMNS,
    NATIVE_COLUMNS,
    check_asterisk_timezone,
    is_call_row,
)
from cdrkit.sources.contract import Reject, SourceBatch
from cdrkit.sources.readers.csv_blocks import CsvBlock, read_blocks, read_first_line
from cdrkit.sources.readers.csv_layout import CsvLayout
from cdrkit.sources.readers.csv_row import QuoteFlaw, first_rows, split_row
from cdrkit.sources.readers.encoding import check_encoding

__all__ = ["AsteriskSql", "FreePbx"]

_NEEDED: Final = ("start", "duration", "billsec")
_ALIASES: Final = {"calldate": "start"}
#: Names of internal columns; a native column of such a name gets an underscore.
_RESERVED: Final = ("row", "start_at", "answer_at", "end_at")
_NULLS: Final = ("NULL", "\\N")
_ROWS_AT_ONCE: Final = 10_000
_SEPARATORS: Final = (",", ";", "\t")


def _column_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the native names of a table's columns.

    Raises:
        SchemaError: When a needed column is missing, or two columns have the same name.
    """
    plain = (str(name).strip().casefold() for name in names)
    known = tuple(f"{name}_" if name in _RESERVED else _ALIASES.get(name, name) for name in plain)
    for name in _NEEDED:
        if name not in known:
            raise SchemaError(
                f"Column {name!r} is missing; the columns are {', '.join(known[:40])}. Asterisk's CDR table has the "
                f"columns {', '.join(_NEEDED)} (or calldate instead of start). Check that you gave this table. In a "
                "file, the first line must have the column names.",
                row=1,
            )
    if len(set(known)) != len(known):
        raise SchemaError(f"Two columns have the same name; the columns are {', '.join(known[:40])}.", row=1)
    return known


@attrs.frozen
class _FetchedRows:
    """A group of database rows; ``texts`` maps each row number to the row's text."""

    texts: Mapping[int, str]
    position: int
    rejects: list[Reject] = attrs.field(factory=list)

    def reject(self, row: int, reason: str) -> Reject:
        return Reject(row, reason, self.texts[row])


@attrs.frozen(kw_only=True)
class AsteriskSql:
    """The source for the database table that Asterisk's SQL modules write.

    The source reads a CSV dump or the database.

    The first line of a dump has the column names. Values are separated by ``,``, ``;`` or a tab; ``NULL`` or ``\\N``
    means an absent value. Columns may be in any order; ``calldate`` is the start. Each column fills the same field as
    in ``asterisk-csv``. If the columns ``answer`` and ``end`` are absent, both are computed from the lengths.

    Example:
        >>> import io
        >>> dump = b"calldate;src;dst;duration;billsec\\n2026-07-22 09:00:00;2041;2042;38;34\\n"
        >>> [batch] = AsteriskSql(timezone="Europe/London")(io.BytesIO(dump))
        >>> batch.frame["start"][0].isoformat(), batch.frame["duration"][0]
        ('2026-07-22T08:00:00+00:00', 34)

    Args:
        timezone: IANA name of the zone of the local times.
        query: The SQL query for a database.
        recording_column: The column with the recording.
        customer_column: The column with the customer, for example ``accountcode``.
        encoding: Encoding of a dump.

    Raises:
        ConfigError: When the zone is missing, or an option is invalid.
    """

    origin: ClassVar[str] = "asterisk-sql"

    timezone: str = attrs.field(default=None, converter=check_asterisk_timezone)
    query: str = "SELECT * FROM cdr"
    recording_column: str | None = None
    customer_column: str | None = None
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # a dump may have any name
        """Return the reason why the file matches this format, or None if it does not.

        The first line must have the column names of Asterisk's table, and none that only FreePBX has.
        """
        return _explain_match(head, freepbx=False)

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream* in row order, about 10,000 rows per batch.

        Raises:
            SchemaError: When the stream is empty or lacks a column, or none of its rows is a call.
        """
        header, rest = read_first_line(stream)
        text = header.decode(self.encoding, "replace")
        if not text.strip():
            raise SchemaError("The file is empty: it contains no rows. Check that you gave the right file.")
        separator = max(_SEPARATORS, key=text.count)
        split = split_row(text, separator=separator)
        if isinstance(split, QuoteFlaw):
            raise SchemaError(
                f"The line with the column names is invalid: the quote in column {split.column} is not closed.",
                row=1,
            )
        names = _column_names(split)
        header_text = header.decode("utf-8", "surrogateescape")
        layout = CsvLayout(
            widths=(len(names),),
            expected=f"the first line has {len(names)} names",
            encoding=self.encoding,
            is_row=lambda row: is_call_row(row, names),
            separator=separator,
        )
        columns = dict(zip(map(str, range(len(names))), names, strict=True))
        builder = self._make_builder(names)
        batches = (
            (
                self._batch(builder, [v.rename(columns) for v in rows.groups.values()], rows, header_text),
                bool(rows.groups),
            )
            for rows in read_blocks(rest, layout, number=2)
        )
        yield from check_batches(batches, f"the table of {self.origin}")

    def read_connection(self, connection: Any, /) -> Iterator[SourceBatch]:
        """Yield the calls that the query returns, about 10,000 rows per batch.

        Args:
            connection: A PEP 249 connection. It stays open.

        Raises:
            StorageError: When the database fails.
            SchemaError: When a column is missing, or none of the rows is a call.
        """
        try:
            cursor = connection.cursor()
            try:
                cursor.execute(self.query)
                names = _column_names([column[0] for column in cursor.description or ()])
                batches = self._fetch_batches(cursor, names)
                yield from check_batches(batches, f"the table of {self.origin}")
            finally:
                cursor.close()
        except CdrError:
            raise
        except Exception as exc:  # each driver has its own error classes
            raise StorageError(f"The database cannot be read: {exc}. Nothing was stored.") from exc

    def _fetch_batches(self, cursor: Any, names: Sequence[str]) -> Iterator[tuple[SourceBatch, bool]]:
        builder = self._make_builder(names)
        clock = zone(self.timezone)

        def text(value: object) -> str:
            if value is None:
                return ""
            if isinstance(value, datetime):
                local = value.astimezone(clock) if value.tzinfo is not None else value
                return local.replace(tzinfo=None).isoformat(" ")
            if isinstance(value, bytes):
                return value.decode("utf-8", "replace")
            if isinstance(value, (float, Decimal)) and value % 1 == 0:
                return str(int(value))
            return str(value).encode("utf-8", "replace").decode()

        number = 0
        while fetched := cursor.fetchmany(_ROWS_AT_ONCE):
            rows = [[text(value) for value in row] for row in fetched]
            numbers = range(number + 1, number + len(rows) + 1)
            number += len(rows)
            schema = dict.fromkeys(names, pl.String())
            values = pl.DataFrame(rows, schema=schema, orient="row")
            values = values.insert_column(0, pl.Series("row", numbers, dtype=pl.Int64))
            texts = {at: _csv_line(row) for at, row in zip(numbers, rows, strict=True)}
            yield self._batch(builder, [values], _FetchedRows(texts, number), _csv_line(names)), True

    def _make_builder(self, names: Sequence[str]) -> CallBuilder:
        for option in ("recording_column", "customer_column"):
            column = getattr(self, option)
            if column is not None and column not in names:
                raise ConfigError(f"{option}={column!r} is not valid. The columns are {', '.join(names)}.")
        return CallBuilder(
            origin=self.origin,
            timezone=self.timezone,
            recording_column=self.recording_column,
            customer_column=self.customer_column,
            derives_times="answer" not in names and "end" not in names,
        )

    @staticmethod
    def _batch(
        builder: CallBuilder, values: Sequence[pl.DataFrame], rows: CsvBlock | _FetchedRows, header: str
    ) -> SourceBatch:
        plain = [
            each.with_columns(pl.when(~pl.col(pl.String).is_in(_NULLS)).then(pl.col(pl.String)).fill_null(""))
            for each in values
        ]
        return attrs.evolve(builder.batch(plain, rows), header=header)


@attrs.frozen(kw_only=True)
class FreePbx(AsteriskSql):
    """The source for FreePBX's table ``cdr``.

    The source reads a CSV dump or the database ``asteriskcdrdb``.

    Each column fills the same field as in `AsteriskSql`. In addition, ``did`` is the DID, ``recordingfile`` the
    recording and ``cnam`` the caller's name.

    Example:
        >>> import io
        >>> dump = b"calldate,src,duration,billsec,recordingfile\\n2026-07-22 09:00:00,2041,38,34,out.wav\\n"
        >>> [batch] = FreePbx(timezone="Europe/London")(io.BytesIO(dump))
        >>> batch.frame["recording"][0]
        'out.wav'
    """

    origin: ClassVar[str] = "freepbx"

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # a dump may have any name
        """Return the reason why the file matches this format, or None if it does not.

        The first line must have the column names of FreePBX's table.
        """
        return _explain_match(head, freepbx=True)


def _explain_match(head: bytes, *, freepbx: bool) -> str | None:
    for separator in _SEPARATORS:
        for row in first_rows(head, separator)[:1]:
            names = {_ALIASES.get(name, name) for name in (name.strip().casefold() for name in row)}
            marks = [name for name in ("recordingfile", "cnum") if name in names]
            if {*_NEEDED, "dcontext"} <= names <= {*NATIVE_COLUMNS, *FREEPBX_COLUMNS, *names} and bool(
                marks
            ) == freepbx:
                added = f", and FreePBX's {' and '.join(marks)}" if marks else ""
                return f"the first line has the column names of Asterisk's table cdr{added}"
    return None


def _csv_line(values: Sequence[str]) -> str:
    page = io.StringIO(newline="")
    csv.writer(page, lineterminator="").writerow(values)
    return page.getvalue()
