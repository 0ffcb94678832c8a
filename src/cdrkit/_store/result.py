"""Results: the calls of a query as records, pages, tables, CSV and a notebook viewer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Final

import attrs
import polars as pl
import pyarrow as pa

from cdrkit._access import EVERYTHING
from cdrkit._engine import Explanation, Plan
from cdrkit._files import open_files, split_url
from cdrkit._model import FIELDS, CallRecord, arrow_table, check_zone, empty_frame, records_of
from cdrkit._output import (
    DEFAULT_COLUMNS,
    Compression,
    DisplaySettings,
    Headers,
    TimeStyle,
    check_csv_suffix,
    compression_of,
    display_text,
    iter_csv_frames,
    localize,
    write_frames,
)
from cdrkit._query import Cursor, Query
from cdrkit._recordings import Recording
from cdrkit._store.page import Page
from cdrkit.errors import ConfigError, QueryError, ScopeError, missing_extra
from cdrkit.viewer import CallsView, Viewer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Result"]

_LARGEST_PAGE: Final = 100_000
_DEFAULT_BATCH: Final = 65_536
_ROWS_IN_HTML: Final = 20


class Result:
    """The calls that a query selects. No call is read before a method needs it.

    A result belongs to the version of the store and to the instant at which the query was run. Every method, however
    often it is called, gives the same calls, whatever is appended later. ``to_`` methods return a new object,
    ``write_csv`` and ``iter_csv`` produce CSV, iteration gives `CallRecord`.

    Tables and CSV have the columns that the query selects, or all fields. Records always have all fields.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://result-example")
        >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
        >>> _ = store.append([cdrkit.CallRecord(call_id="1", start=at, source="+442079460018", duration=34)])
        >>> calls = store.run(cdrkit.Query().connected().columns("start", "source"))
        >>> len(calls)
        1
        >>> [call.source for call in calls]
        ['+442079460018']
        >>> b"".join(calls.iter_csv())
        b'start,source\\r\\n2026-11-22T09:00:00Z,+442079460018\\r\\n'
    """

    def __init__(
        self,
        plan: Plan,
        query: Query,
        timezone: str = "UTC",
        *,
        run: Callable[[Query], Result],
        find_recording: Callable[[CallRecord], Recording],
    ) -> None:
        self._plan = plan
        self._query = query
        self._timezone = timezone
        self._run = run
        self._find_recording = find_recording

    def __repr__(self) -> str:
        zone = "" if self._timezone == "UTC" else f", timezone={self._timezone!r}"
        # A tenant must not see how often a store was written to.
        version = "" if self._plan.scope.signer else f" at version {self._plan.snapshot.version}"
        return f"<Result of {self._query!r}{version}{zone}>"

    @property
    def query(self) -> Query:
        """The query of this result."""
        return self._query

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of tables and CSV, in order."""
        return self._query.selected or self._plan.scope.fields

    @property
    def timezone(self) -> str:
        """The zone of instants in tables, pages and text; CSV and records stay in UTC."""
        return self._timezone

    def in_timezone(self, timezone: str) -> Result:
        """Return these calls with display times in another zone.

        The zone holds for tables, pages and `to_text`; CSV and records stay in UTC.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://zone-example").run().in_timezone("Europe/London").timezone
            'Europe/London'

        Args:
            timezone: IANA name of the zone.

        Raises:
            ConfigError: When the zone is unknown.
        """
        zone = check_zone(timezone)
        return Result(self._plan, self._query, zone, run=self._run, find_recording=self._find_recording)

    # -- in a notebook ------------------------------------------------------------------------------------------

    def _repr_html_(self) -> str:
        page = self.page(_ROWS_IN_HTML)
        more = f"The first {len(page.records)} calls; there are more. " if page.next_cursor else ""
        return page._html(more)

    def viewer(self, *, columns: Iterable[str] | None = None, page_size: int = 25) -> Viewer[Result]:
        """Return an interactive viewer of these calls for a notebook.

        The viewer filters, sorts, pages, plays recordings and saves CSV. Its ``query`` and ``result`` give the calls
        that it shows to the next cell. Times typed into it belong to the zone that it shows.

        .. code-block:: python

            viewer = store.run(Query().during("last_7_days")).in_timezone("Europe/London").viewer()
            viewer                            # ends a cell
            viewer.result.to_polars()         # the calls that the viewer shows by then

        Args:
            columns: The columns shown first. The default is those that the query selects, or `DisplaySettings`' own.
            page_size: Calls of a page, 1 to 1,000.

        Raises:
            MissingExtraError: When anywidget is not installed.
            QueryError: When the query has a cursor.
            ConfigError: When the page size is out of range, or a column is repeated.
            UnknownFieldError: When a column is not a field.
        """
        fields = self._plan.scope.fields
        # A button in each row already shows whether the call has a recording.
        usual = [name for name in DEFAULT_COLUMNS if name != "recording" and name in fields]
        chosen = columns or self._query.selected or usual
        settings = DisplaySettings(timezone=self._timezone, columns=chosen, page_size=page_size)
        return Viewer(
            CallsView(
                self._query, settings, run=self._run, find_recording=self._find_recording, fields=fields
            )
        )

    # -- counts and records -------------------------------------------------------------------------------------

    def count(self) -> int:
        """Return the number of these calls.

        A limit and a cursor of the query reduce the number; `total` ignores the cursor.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://len-example").run(cdrkit.Query().limit(10)).count()
            0

        Raises:
            StorageError: When the store cannot be read.
        """
        return self._plan.count()

    def __len__(self) -> int:
        return self.count()

    def total(self) -> int:
        """Return the number of calls on all pages: the count without the query's cursor.

        Example:
            >>> from datetime import datetime, timezone
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://total-example")
            >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> _ = store.append([cdrkit.CallRecord(call_id=name, start=at) for name in "abc"])
            >>> rest = store.run(cdrkit.Query().after(store.run().page(2).next_cursor))
            >>> rest.total(), rest.count()
            (3, 1)
        """
        return self._without_cursor().count()

    def explain(self) -> Explanation:
        """Run the query and return what was read for it, in figures and in sentences.

        Example:
            >>> import cdrkit
            >>> from cdrkit.samples import synthesize_calls
            >>> store = cdrkit.open_store("memory://explain-example", region="GB")
            >>> _ = store.append(synthesize_calls(20_000, days=2))
            >>> explanation = store.run(cdrkit.Query().number("020 7946 0018")).explain()
            >>> explanation.indexed == explanation.in_period, explanation.rows_scanned
            (True, 0)

        Raises:
            ScopeError: Within a scope: the figures depend on calls of other tenants.
        """
        if self._plan.scope != EVERYTHING:
            raise ScopeError(
                "A scope explains no query, because the figures depend on calls of other tenants. Explain it on the "
                "store."
            )
        return self._plan.explain(self.columns)

    def __iter__(self) -> Iterator[CallRecord]:
        """Iterate over the calls as records with all fields, in order, with a bounded number in memory."""
        self._notify_export("records")
        for frame in self._plan.frames(tuple(FIELDS)):
            yield from records_of(frame)

    def page(self, size: int = 100) -> Page:
        """Return the page of *size* calls next to the query's cursor, or the first page.

        A cursor marks a position in the order, not a row number. It stays valid while calls arrive and while they move
        between tiers. A limit of the query holds for all pages together.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://first-page-example").run().page(25).records
            ()

        Args:
            size: Calls of the page, 1 to 100,000.

        Raises:
            QueryError: When *size* is out of range.
            StorageError: When the store cannot be read.
        """
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= _LARGEST_PAGE:
            raise QueryError(f"A page has 1 to {_LARGEST_PAGE} calls, not {size!r}.", parameter="size")
        cursor = self._plan.position
        if cursor is not None and cursor.backward:
            return self._previous_page(size, cursor)
        left = self._plan.maximum
        records = self._read_records(self._plan, size)
        has_next = len(records) > size
        del records[size:]
        after = self._cursor(records[-1], None if left is None else left - size) if has_next else None
        before = self._cursor(records[0], left, backward=True) if cursor is not None and records else None
        return self._page(records, before, after)

    def _previous_page(self, size: int, cursor: Cursor) -> Page:
        """Return the last *size* calls before a cursor, or the first page when no call precedes it."""
        records = self._read_records(self._plan.backward(), size)
        if not records:
            return self._without_cursor().page(size)
        has_previous = len(records) > size
        del records[size:]
        records.reverse()
        left = None if cursor.left is None else cursor.left + len(records)
        before = self._cursor(records[0], left, backward=True) if has_previous else None
        return self._page(records, before, self._cursor(records[-1], cursor.left))

    def _read_records(self, plan: Plan, size: int) -> list[CallRecord]:
        """Return the first *size* records of a plan, and one more where there is one."""
        maximum = size + 1 if plan.maximum is None else min(size + 1, plan.maximum)
        frames = attrs.evolve(plan, maximum=maximum).frames(tuple(FIELDS))
        return [record for frame in frames for record in records_of(frame)]

    def _cursor(self, record: CallRecord, left: int | None, *, backward: bool = False) -> str:
        order = self._plan.order
        values = tuple(getattr(record, name) for name, _ in order)
        return self._plan.scope.sign_cursor(Cursor(order, values, left, backward=backward)).encode()

    def _page(self, records: list[CallRecord], before: str | None, after: str | None) -> Page:
        return Page(
            records=tuple(records),
            next_cursor=after,
            columns=self.columns,
            timezone=self._timezone,
            previous_cursor=before,
        )

    def _without_cursor(self) -> Result:
        if self._query.position is None:
            return self
        return self._run(attrs.evolve(self._query, position=None)).in_timezone(self._timezone)

    # -- tables -------------------------------------------------------------------------------------------------

    def to_polars(self) -> pl.DataFrame:
        """Return a Polars frame, with instants in the display zone.

        Example:
            >>> import cdrkit
            >>> query = cdrkit.Query().columns("start", "duration")
            >>> cdrkit.open_store("memory://polars-example").run(query).to_polars().shape
            (0, 2)

        Raises:
            StorageError: When the store cannot be read.
        """
        self._notify_export("polars")
        return localize(pl.concat([empty_frame(self.columns), *self._frames()]), self._timezone)

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table in the types of `SCHEMA`.

        Instants are in the display zone.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://arrow-example").run().to_arrow().num_rows
            0

        Raises:
            StorageError: When the store cannot be read.
        """
        self._notify_export("arrow")
        return self._table()

    def _table(self) -> pa.Table:
        frames = list(self._frames()) or [empty_frame(self.columns)]
        parts = [arrow_table(localize(frame, self._timezone)) for frame in frames]
        return parts[0] if len(parts) == 1 else pa.concat_tables(parts).unify_dictionaries()

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas frame, with instants in the display zone.

        Raises:
            MissingExtraError: When pandas is not installed.
            StorageError: When the store cannot be read.
        """
        try:
            import pandas  # noqa: F401  # pyarrow imports it too; checked here for a clear message
        except ImportError as exc:
            raise missing_extra("to_pandas()", "pandas") from exc
        self._notify_export("pandas")
        frame: pd.DataFrame = self._table().to_pandas()
        return frame

    def to_text(self, *, labels: bool = True, times: TimeStyle = "iso") -> pl.DataFrame:
        """Return a Polars frame of display text.

        Instants have their offset in the display zone, durations are h:mm:ss.

        Example:
            >>> import cdrkit
            >>> query = cdrkit.Query().columns("start", "duration")
            >>> cdrkit.open_store("memory://text-example").run(query).to_text().columns
            ['Call Time', 'Duration']

        Args:
            labels: Name the columns by labels, such as ``Call Time``, instead of field names.
            times: The style of instants: ``iso``, ``day_first`` or ``month_first``.

        Raises:
            ConfigError: When the style is unknown.
            StorageError: When the store cannot be read.
        """
        self._notify_export("text")
        return display_text(
            pl.concat([empty_frame(self.columns), *self._frames()]),
            self._timezone,
            labels=labels,
            times=times,
        )

    def batches(self, rows: int = _DEFAULT_BATCH) -> Iterator[pa.RecordBatch]:
        """Return an iterator of Arrow batches, in order.

        A bounded number of calls is in memory.

        Example:
            >>> import cdrkit
            >>> list(cdrkit.open_store("memory://batches-example").run().batches(1_000))
            []

        Args:
            rows: The largest number of calls of a batch.

        Raises:
            QueryError: When *rows* is not a whole number above 0.
            StorageError: When the store cannot be read.
        """
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
            raise QueryError(f"A batch has at least one call, not {rows!r}.", parameter="rows")
        self._notify_export("arrow")
        return self._iter_batches(rows)

    def _iter_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        for frame in self._frames():
            for part in frame.iter_slices(rows):
                yield from arrow_table(localize(part, self._timezone)).to_batches()

    def _frames(self) -> Iterator[pl.DataFrame]:
        return self._plan.frames(self.columns)

    def _notify_export(self, format: str) -> None:
        """Notify the audit of the scope before any call leaves the store."""
        self._plan.scope.notify_audit("export", format=format, query=self._query)

    # -- CSV ----------------------------------------------------------------------------------------------------

    def write_csv(
        self,
        dest: str | os.PathLike[str] | IO[bytes],
        *,
        guard: bool = True,
        headers: Headers = "names",
        compression: Compression | None = None,
        storage_options: Mapping[str, object] | None = None,
    ) -> int:
        """Write the calls as CSV (RFC 4180, UTF-8), with instants in UTC.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://csv-example").run().write_csv("calls.csv.gz", headers="labels")
            0

        Args:
            dest: A path, a URL or a binary file object. A file appears complete or not at all. Its name ends in
                ``.csv``, or in ``.csv.gz`` or ``.csv.zst`` for a compressed file.
            guard: Put ``'`` before text that a spreadsheet would run as a formula. Use False for other programs.
            headers: The first line: field ``names``, or ``labels`` such as ``Call Time``.
            compression: ``gzip`` or ``zstd``; the default follows the suffix.
            storage_options: Options of the filesystem of a URL (credentials, endpoint).

        Returns:
            The number of calls written.

        Raises:
            ConfigError: When an option is unknown, or the suffix is that of another format, such as ``.parquet``.
            StorageError: When the store cannot be read or the file cannot be written.
        """
        if not isinstance(dest, (str, os.PathLike)):
            self._notify_export("csv")
            if not hasattr(dest, "write") or storage_options:
                raise ConfigError(
                    f"{dest!r} is not a path or URL. Give one, or a binary file object without storage options."
                )
            return write_frames(
                self._frames(), self.columns, dest, guard=guard, headers=headers, compression=compression
            )
        folder, name = split_url(dest)
        check_csv_suffix(name)
        self._notify_export("csv")
        with open_files(folder, storage_options).writer(name) as sink:
            return write_frames(
                self._frames(),
                self.columns,
                sink,
                guard=guard,
                headers=headers,
                compression=compression or compression_of(name),
            )

    def iter_csv(
        self, *, guard: bool = True, headers: Headers = "names", compression: Compression | None = None
    ) -> Iterator[bytes]:
        """Return the CSV of `write_csv` piece by piece, for a web response.

        In the order of time, memory is bounded: it holds the identities of one day's calls and a slice of the rest.
        Any other order holds all calls.

        Example:
            >>> import cdrkit
            >>> query = cdrkit.Query().columns("start", "duration")
            >>> b"".join(cdrkit.open_store("memory://iter-csv-example").run(query).iter_csv())
            b'start,duration\\r\\n'

        Args:
            guard: As for `write_csv`.
            headers: As for `write_csv`.
            compression: ``gzip`` or ``zstd``; none by default.

        Raises:
            ConfigError: When an option is unknown.
            StorageError: When the store cannot be read.
        """
        self._notify_export("csv")
        return iter_csv_frames(
            self._frames(), self.columns, guard=guard, headers=headers, compression=compression
        )
