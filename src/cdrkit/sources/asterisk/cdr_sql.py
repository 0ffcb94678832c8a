"""Asterisk's SQL back ends and FreePBX's table ``cdr``: as a CSV dump with names on top, or read in the database."""

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
from cdrkit.sources.asterisk.calls import ADDED, NATIVE, Meaning, is_row, read_all, zone_given
from cdrkit.sources.contract import Reject, SourceBatch
from cdrkit.sources.readers.csv_blocks import CsvBlock, read_blocks, read_first_line
from cdrkit.sources.readers.csv_layout import CsvLayout
from cdrkit.sources.readers.csv_row import QuoteFlaw, first_rows, split_row
from cdrkit.sources.readers.encoding import check_encoding

__all__ = ["AsteriskSql", "FreePbx"]

_NEEDED: Final = ("start", "duration", "billsec")
_ALIASES: Final = {"calldate": "start"}
#: Names that are in use here; a column of such a name gets an underscore.
_TAKEN: Final = ("row", "start_at", "answer_at", "end_at")
_NOTHING: Final = ("NULL", "\\N")
_ROWS_AT_ONCE: Final = 10_000
_SEPARATORS: Final = (",", ";", "\t")


def _named(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a table's columns as Asterisk has them.

    Raises:
        SchemaError: When one that is needed is not among them.
    """
    plain = (str(name).strip().casefold() for name in names)
    known = tuple(f"{name}_" if name in _TAKEN else _ALIASES.get(name, name) for name in plain)
    for name in _NEEDED:
        if name not in known:
            raise SchemaError(
                f"There is no column {name!r}; there are {', '.join(known[:40])}. A table of Asterisk's calls has "
                f"{', '.join(_NEEDED)} (or calldate for start): check that it is the right one, with the names on top.",
                row=1,
            )
    if len(set(known)) != len(known):
        raise SchemaError(f"Two columns have the same name; there are {', '.join(known[:40])}.", row=1)
    return known


@attrs.frozen
class _Fetched:
    """Rows that came from a database, by their numbers."""

    texts: Mapping[int, str]
    position: int
    rejects: list[Reject] = attrs.field(factory=list)

    def reject(self, row: int, reason: str) -> Reject:
        return Reject(row, reason, self.texts[row])


@attrs.frozen(kw_only=True)
class AsteriskSql:
    """Reads the table that Asterisk's SQL back ends fill: as a CSV dump, or in the database itself.

    A dump has the columns' names in its first line; ``,``, ``;`` or a tab stand between values, and ``NULL`` or
    ``\\N`` for nothing. Columns are found by name, in any order; ``calldate`` is the start. What they mean is the
    same as for ``asterisk-csv``. A table without ``answer`` and ``end`` gets them from its lengths.

    Example:
        >>> import io
        >>> dump = b"calldate;src;dst;duration;billsec\\n2026-07-22 09:00:00;2041;2042;38;34\\n"
        >>> [batch] = AsteriskSql(timezone="Europe/London")(io.BytesIO(dump))
        >>> batch.frame["start"][0].isoformat(), batch.frame["duration"][0]
        ('2026-07-22T08:00:00+00:00', 34)

    Args:
        timezone: The zone of the stamps, by its IANA name.
        query: What is asked of a database.
        recording_column: The column that names the recording.
        customer_column: The column that is the customer, for example ``accountcode``.
        encoding: The encoding of a dump.

    Raises:
        ConfigError: When no zone is given, or an option cannot work.
    """

    origin: ClassVar[str] = "asterisk-sql"

    timezone: str = attrs.field(default=None, converter=zone_given)
    query: str = "SELECT * FROM cdr"
    recording_column: str | None = None
    customer_column: str | None = None
    encoding: str = attrs.field(default="utf-8", converter=check_encoding)

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # a dump has whatever name
        """Return why a file fits: the names on top are those of Asterisk's table, without FreePBX's."""
        return _why(head, freepbx=False)

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of *stream*, in its order, some ten thousand rows at a time.

        Raises:
            SchemaError: When the stream is empty, lacks a column, or none of its rows can be taken.
        """
        header, rest = read_first_line(stream)
        text = header.decode(self.encoding, "replace")
        if not text.strip():
            raise SchemaError("The file is empty: there is no row in it. Check that it is the right one.")
        separator = max(_SEPARATORS, key=text.count)
        split = split_row(text, separator=separator)
        if isinstance(split, QuoteFlaw):
            raise SchemaError(f"The line of names is no row: column {split.column} is not closed.", row=1)
        names = _named(split)
        above = header.decode("utf-8", "surrogateescape")
        layout = CsvLayout(
            widths=(len(names),),
            expected=f"there are {len(names)} names on top",
            encoding=self.encoding,
            is_row=lambda row: is_row(row, names),
            separator=separator,
        )
        columns = dict(zip(map(str, range(len(names))), names, strict=True))
        meaning = self._meaning(names)
        found = (
            (
                self._batch(meaning, [v.rename(columns) for v in rows.groups.values()], rows, above),
                bool(rows.groups),
            )
            for rows in read_blocks(rest, layout, number=2)
        )
        yield from read_all(found, f"the table of {self.origin}")

    def read_connection(self, connection: Any, /) -> Iterator[SourceBatch]:
        """Yield the calls that the query finds, some ten thousand rows at a time.

        Args:
            connection: A connection as PEP 249 has it; it stays open.

        Raises:
            StorageError: When the database fails.
            SchemaError: When a column is missing, or none of the rows can be taken.
        """
        try:
            cursor = connection.cursor()
            try:
                cursor.execute(self.query)
                names = _named([column[0] for column in cursor.description or ()])
                fetched = self._fetched(cursor, names)
                yield from read_all(fetched, f"the table of {self.origin}")
            finally:
                cursor.close()
        except CdrError:
            raise
        except Exception as exc:  # each driver has classes of its own
            raise StorageError(f"The database cannot be read: {exc}. Nothing was stored.") from exc

    def _fetched(self, cursor: Any, names: Sequence[str]) -> Iterator[tuple[SourceBatch, bool]]:
        meaning = self._meaning(names)
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
            texts = {at: _line(row) for at, row in zip(numbers, rows, strict=True)}
            yield self._batch(meaning, [values], _Fetched(texts, number), _line(names)), True

    def _meaning(self, names: Sequence[str]) -> Meaning:
        for option in ("recording_column", "customer_column"):
            column = getattr(self, option)
            if column is not None and column not in names:
                raise ConfigError(f"{option} cannot be {column!r}; the columns are {', '.join(names)}.")
        return Meaning(
            origin=self.origin,
            timezone=self.timezone,
            recording_column=self.recording_column,
            customer_column=self.customer_column,
            derives="answer" not in names and "end" not in names,
        )

    @staticmethod
    def _batch(
        meaning: Meaning, values: Sequence[pl.DataFrame], rows: CsvBlock | _Fetched, header: str
    ) -> SourceBatch:
        plain = [
            each.with_columns(
                pl.when(~pl.col(pl.String).is_in(_NOTHING)).then(pl.col(pl.String)).fill_null("")
            )
            for each in values
        ]
        return attrs.evolve(meaning.batch(plain, rows), header=header)


@attrs.frozen(kw_only=True)
class FreePbx(AsteriskSql):
    """Reads FreePBX's table ``cdr``: as a CSV dump, or in the database ``asteriskcdrdb`` itself.

    As `AsteriskSql`; ``did`` is the DID, ``recordingfile`` the recording, and ``cnam`` the caller's name.

    Example:
        >>> import io
        >>> dump = b"calldate,src,duration,billsec,recordingfile\\n2026-07-22 09:00:00,2041,38,34,out.wav\\n"
        >>> [batch] = FreePbx(timezone="Europe/London")(io.BytesIO(dump))
        >>> batch.frame["recording"][0]
        'out.wav'
    """

    origin: ClassVar[str] = "freepbx"

    @staticmethod
    def sniff(head: bytes, name: str) -> str | None:  # a dump has whatever name
        """Return why a file fits: the names on top are those of FreePBX's table."""
        return _why(head, freepbx=True)


def _why(head: bytes, *, freepbx: bool) -> str | None:
    for separator in _SEPARATORS:
        for row in first_rows(head, separator)[:1]:
            names = {_ALIASES.get(name, name) for name in (name.strip().casefold() for name in row)}
            marks = [name for name in ("recordingfile", "cnum") if name in names]
            if {*_NEEDED, "dcontext"} <= names <= {*NATIVE, *ADDED, *names} and bool(marks) == freepbx:
                added = f", and FreePBX's {' and '.join(marks)}" if marks else ""
                return f"the names on top are those of Asterisk's table cdr{added}"
    return None


def _line(values: Sequence[str]) -> str:
    page = io.StringIO(newline="")
    csv.writer(page, lineterminator="").writerow(values)
    return page.getvalue()
