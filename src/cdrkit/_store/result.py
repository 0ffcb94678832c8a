"""Results: return a query's calls as records, pages, tables, CSV or a viewer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Final, Literal

import attrs
import polars as pl
import pyarrow as pa

from cdrkit._access import EVERYTHING
from cdrkit._engine import Explanation, Plan
from cdrkit._files import open_files, split_url
from cdrkit._model import FIELDS, CallRecord, FieldName, arrow_table, check_zone, empty_frame, records_of
from cdrkit._output import (
    DEFAULT_COLUMNS,
    DisplaySettings,
    check_csv_suffix,
    compression_of,
    display_text,
    iter_csv_frames,
    localize,
    write_frames,
)
from cdrkit._query import Query
from cdrkit._recordings import Recording
from cdrkit._store.page import Page
from cdrkit._store.page_reader import PageReader
from cdrkit.errors import ConfigError, QueryError, ScopeError, missing_extra
from cdrkit.viewer import CallsView, Viewer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Result"]

_LARGEST_PAGE: Final = 100_000
_DEFAULT_BATCH: Final = 65_536
_ROWS_IN_HTML: Final = 20


class Result:
    """The result of a query; calls are read from the store on demand.

    A result is tied to the store version and the instant at which the query was run. Every method returns the same
    calls at every call, even if more calls are appended later. ``to_`` methods return a new object, ``write_csv`` and
    ``iter_csv`` produce CSV, and iteration yields `CallRecord` objects.

    Tables and CSV have the columns that the query selects, or all fields. Records always have all fields.

    Example:
        >>> import cdrkit
        >>> from cdrkit.samples import synthesize_calls
        >>> store = cdrkit.open_store("memory://result-example", region="GB")
        >>> _ = store.append(synthesize_calls(1_000))
        >>> calls = store.run(cdrkit.Query().connected().columns("start", "source"))
        >>> calls.to_polars().shape == (len(calls), 2) and all(call.duration > 0 for call in calls)
        True
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
        # A tenant must not see how many commits the store has.
        version = "" if self._plan.scope.signer else f" at version {self._plan.snapshot.version}"
        return f"<Result of {self._query!r}{version}{zone}>"

    @property
    def query(self) -> Query:
        """The query that this result was made from.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://query-example").run(cdrkit.Query().limit(10)).query
            Query().limit(10)
        """
        return self._query

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns in tables and CSV, in order.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://columns-example").run(cdrkit.Query().columns("start", "source")).columns
            ('start', 'source')
        """
        return self._query.selected or self._plan.scope.fields

    @property
    def timezone(self) -> str:
        """The time zone of instants in tables, pages and text; CSV and records use UTC.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://timezone-example").run().timezone
            'UTC'
        """
        return self._timezone

    def in_timezone(self, timezone: str) -> Result:
        """Return these calls, displayed in another time zone.

        The zone applies to tables, pages and `to_text`. CSV and records use UTC.

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

    def _repr_html_(self) -> str:
        page = self.page(_ROWS_IN_HTML)
        more = f"The first {len(page.records)} calls; there are more. " if page.next_cursor else ""
        return page._html(more)

    def viewer(
        self, *, columns: Iterable[FieldName | str] | None = None, page_size: int = 25
    ) -> Viewer[Result]:
        """Return an interactive viewer of these calls for a notebook.

        The viewer can filter, sort and page through calls, play recordings and save CSV. The next cell can use the
        calls shown as the viewer's ``query`` and ``result``. Times typed into the viewer are in the time zone that it
        shows.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://viewer-example")
            >>> viewer = store.run(cdrkit.Query().connected()).in_timezone("Europe/London").viewer()
            >>> viewer.result.count()  # the next cell, after `viewer` alone ended a cell and showed the calls
            0

        Args:
            columns: The columns to show at first. The default is the columns that the query selects, or else the
                default columns of `DisplaySettings`.
            page_size: Calls per page, 1 to 1,000.

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
        """Return the number of calls in this result.

        The query's limit and cursor reduce this number. `total` ignores the cursor.

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
        """Return the number of calls on all pages, ignoring the query's cursor.

        Example:
            >>> import cdrkit
            >>> from cdrkit.samples import synthesize_calls
            >>> store = cdrkit.open_store("memory://total-example")
            >>> _ = store.append(synthesize_calls(3))
            >>> rest = store.run(cdrkit.Query().after(store.run().page(2).next_cursor))
            >>> rest.total(), rest.count()
            (3, 1)

        Raises:
            StorageError: When the store cannot be read.
        """
        return self._without_cursor().count()

    def explain(self) -> Explanation:
        """Run the query, and report which segments and rows were read.

        Example:
            >>> import cdrkit
            >>> from cdrkit.samples import synthesize_calls
            >>> store = cdrkit.open_store("memory://explain-example", region="GB")
            >>> _ = store.append(synthesize_calls(20_000, days=2))
            >>> explanation = store.run(cdrkit.Query().number("020 7946 0018")).explain()
            >>> explanation.indexed == explanation.in_period, explanation.rows_scanned
            (True, 0)

        Raises:
            ScopeError: In a scoped store, because the figures of an explanation depend on other tenants' calls.
        """
        if self._plan.scope != EVERYTHING:
            raise ScopeError(
                "A scoped store cannot explain a query, because the figures of an explanation depend on other "
                "tenants' calls. To explain the query, run it directly on the store, without a scope."
            )
        return self._plan.explain(self.columns)

    def __iter__(self) -> Iterator[CallRecord]:
        """Iterate over the calls in order, as records with all fields.

        Only a bounded number of calls is in memory.

        Raises:
            StorageError: When the store cannot be read.
        """
        self._notify_export("records")
        for frame in self._plan.frames(tuple(FIELDS)):
            yield from records_of(frame)

    def page(self, size: int = 100) -> Page:
        """Return the page at the query's cursor; by default, the first page.

        A cursor marks a position in the sort order, not a row number. It stays valid when calls are added or move
        between tiers. The query's limit applies to all pages together.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://first-page-example").run().page(25).records
            ()

        Args:
            size: Calls per page, 1 to 100,000.

        Raises:
            QueryError: When *size* is out of range.
            StorageError: When the store cannot be read.
        """
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= _LARGEST_PAGE:
            raise QueryError(
                f"size={size!r} is not a page size. Give a whole number from 1 to {_LARGEST_PAGE}.",
                parameter="size",
            )
        page = PageReader(self._plan, self.columns, self._timezone).read(size)
        return self._without_cursor().page(size) if page is None else page

    def _without_cursor(self) -> Result:
        if self._query.position is None:
            return self
        return self._run(attrs.evolve(self._query, position=None)).in_timezone(self._timezone)

    def to_polars(self) -> pl.DataFrame:
        """Return a Polars frame, with instants in the display time zone.

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
        """Return an Arrow table, with instants in the display time zone.

        The columns have the types of `SCHEMA`.

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
        """Return a pandas frame, with instants in the display time zone.

        Example:
            >>> import cdrkit
            >>> query = cdrkit.Query().columns("start", "duration")
            >>> cdrkit.open_store("memory://pandas-example").run(query).to_pandas().shape  # needs cdrkit[pandas]
            (0, 2)

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

    def to_text(
        self, *, labels: bool = True, times: Literal["iso", "day_first", "month_first"] = "iso"
    ) -> pl.DataFrame:
        """Return a Polars frame for display, in which every value is text.

        Instants are written with their UTC offset in the display time zone, and durations as h:mm:ss.

        Example:
            >>> import cdrkit
            >>> query = cdrkit.Query().columns("start", "duration")
            >>> cdrkit.open_store("memory://text-example").run(query).to_text().columns
            ['Call Time', 'Duration']

        Args:
            labels: Whether to use labels, such as ``Call Time``, as column names instead of field names.
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
        """Iterate over the calls in order, as Arrow batches of at most *rows* calls.

        Memory use is bounded if the query sorts the calls by start or has a limit.

        Example:
            >>> import cdrkit
            >>> list(cdrkit.open_store("memory://batches-example").run().batches(1_000))
            []

        Args:
            rows: The largest number of calls per batch.

        Raises:
            QueryError: When *rows* is not a whole number above 0.
            StorageError: When the store cannot be read.
        """
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
            raise QueryError(f"{rows!r} is not a batch size. Give a whole number above 0.", parameter="rows")
        self._notify_export("arrow")
        return self._iter_batches(rows)

    def _iter_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        for frame in self._frames():
            for part in frame.iter_slices(rows):
                yield from arrow_table(localize(part, self._timezone)).to_batches()

    def _frames(self) -> Iterator[pl.DataFrame]:
        return self._plan.frames(self.columns)

    def _notify_export(self, format: str) -> None:
        """Notify the scope's audit function before the first call is exported."""
        self._plan.scope.notify_audit("export", format=format, query=self._query)

    def write_csv(
        self,
        dest: str | os.PathLike[str] | IO[bytes],
        *,
        guard: bool = True,
        headers: Literal["names", "labels"] = "names",
        compression: Literal["gzip", "zstd"] | None = None,
        storage_options: Mapping[str, object] | None = None,
    ) -> int:
        """Write the calls as CSV (RFC 4180, UTF-8), with instants in UTC.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://csv-example").run().write_csv("calls.csv.gz", headers="labels")
            0

        Args:
            dest: A path, a URL or a binary file object. A file at a path or URL appears complete or not at
                all. Its name ends in ``.csv``, ``.csv.gz`` or ``.csv.zst``, or has no suffix.
            guard: Whether to put ``'`` before text that a spreadsheet would run as a formula. Use False if other
                programs read the CSV.
            headers: The column headers: field ``names``, or ``labels`` such as ``Call Time``.
            compression: ``gzip`` or ``zstd``; the default follows the suffix.
            storage_options: Options of the filesystem of a URL (credentials, endpoint).

        Returns:
            The number of calls written.

        Raises:
            ConfigError: When an option is unknown, or the suffix belongs to another format, such as ``.parquet``.
            StorageError: When the store cannot be read or the file cannot be written.
        """
        if not isinstance(dest, (str, os.PathLike)):
            self._notify_export("csv")
            if not hasattr(dest, "write") or storage_options:
                raise ConfigError(
                    f"{dest!r} is not a path or URL. Give a path, a URL or a binary file object; a file object takes "
                    "no storage options."
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
        self,
        *,
        guard: bool = True,
        headers: Literal["names", "labels"] = "names",
        compression: Literal["gzip", "zstd"] | None = None,
    ) -> Iterator[bytes]:
        """Yield the CSV of `write_csv` in pieces, for a web response.

        In chronological order, memory use is bounded: only one day's call identities and some complete calls are in
        memory. In any other order, all calls are in memory.

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
