"""Results: a query that can be run, and every way out of it."""

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
    compression_of,
    display_text,
    iter_csv_frames,
    localize,
    write_frames,
)
from cdrkit._query import Cursor, Query
from cdrkit._recordings import Recording
from cdrkit._text import html_table
from cdrkit.errors import ConfigError, QueryError, ScopeError, missing_extra
from cdrkit.viewer import CallsView, Viewer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Page", "Result"]

_LARGEST_PAGE: Final = 100_000
_DEFAULT_BATCH: Final = 65_536
_ROWS_IN_HTML: Final = 20
_WIDEST_HTML: Final = 20


@attrs.frozen(kw_only=True)
class Page:
    """Some calls of a result, and how to get the next ones.

    Attributes:
        records: The calls, whole, in the query's order.
        next_cursor: What to give to `Query.after` for the next page; None when this is the last one.
        columns: The columns that the query chose, or all of them.
        timezone: The zone that `rows` shows instants in.
    """

    records: tuple[CallRecord, ...]
    next_cursor: str | None
    columns: tuple[str, ...]
    timezone: str = "UTC"

    def rows(self, *, labels: bool = False, times: TimeStyle = "iso") -> list[dict[str, str]]:
        """Return the chosen columns as text for eyes, in the display zone.

        Args:
            labels: Name the columns as portals do (``Call Time``) instead of by field.
            times: How instants are written: ``iso``, ``day_first`` or ``month_first``.

        Raises:
            ConfigError: When times are not written so.
        """
        frame = pl.DataFrame(
            {name: [getattr(record, name) for record in self.records] for name in self.columns},
            schema=empty_frame(self.columns).schema,
        )
        return display_text(frame, self.timezone, labels=labels, times=times).to_dicts()

    def _repr_html_(self) -> str:
        return self._html("There are more. " if self.next_cursor else "")

    def _html(self, more: str) -> str:
        chosen = self.columns
        if len(chosen) > _WIDEST_HTML:  # what nobody chose; the usual ones can be looked at
            chosen = tuple(name for name in DEFAULT_COLUMNS if name in chosen) or chosen[:_WIDEST_HTML]
        rows = [[row[name] for name in chosen] for row in self.rows()]
        empty = "" if rows else "No call is asked for. "
        left = len(self.columns) - len(chosen)
        note = f"{empty}{more}Times in {self.timezone}.{f' {left} more columns.' if left else ''}"
        return html_table([FIELDS[name].label for name in chosen], rows, note=note)


class Result:
    """The calls that a query asks for. Nothing is read before an exit is used.

    It is bound to the store as it was when the query was run, and to that moment: every exit, and every repetition,
    gives the same calls, whatever is appended meanwhile. Exits named ``to_`` return a new object, ``write_`` and
    ``iter_csv`` produce CSV, iteration gives `CallRecord`.

    Tables and CSV have the columns that the query chose (all of them, if none); records are always whole.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://result-example")
        >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
        >>> _ = store.append([cdrkit.CallRecord(call_id="1", start=at, source="+442079460018", duration=34)])
        >>> calls = store.run(cdrkit.Query().connected().columns("start", "source"))
        >>> calls.count()
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
        ask: Callable[[Query], Result],
        find: Callable[[CallRecord], Recording],
    ) -> None:
        self._plan = plan
        self._query = query
        self._timezone = timezone
        self._ask = ask
        self._find = find

    def __repr__(self) -> str:
        zone = "" if self._timezone == "UTC" else f", timezone={self._timezone!r}"
        # How often a store was written to is nothing that a tenant needs to know.
        version = "" if self._plan.scope.seals else f" at version {self._plan.snapshot.version}"
        return f"<Result of {self._query!r}{version}{zone}>"

    @property
    def query(self) -> Query:
        """The query that was run."""
        return self._query

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of tables and CSV, in their order."""
        return self._query.selected or self._plan.scope.fields

    @property
    def timezone(self) -> str:
        """The zone that instants are shown in; CSV and records stay in UTC."""
        return self._timezone

    def in_timezone(self, timezone: str) -> Result:
        """Return the same result, shown in another zone: tables, pages and `to_text` change; CSV and records do not.

        Raises:
            ConfigError: When there is no such zone.
        """
        return Result(self._plan, self._query, check_zone(timezone), ask=self._ask, find=self._find)

    # -- in a notebook ------------------------------------------------------------------------------------------

    def _repr_html_(self) -> str:
        page = self.page(_ROWS_IN_HTML)
        more = f"The first {len(page.records)} calls; there are more. " if page.next_cursor else ""
        return page._html(more)

    def viewer(self, *, columns: Iterable[str] | None = None, page_size: int = 25) -> Viewer[Result]:
        """Return a viewer for a notebook: filter, sort, choose columns and zone, turn pages, play, take a CSV.

        It shows this result, at this version of the store, and can narrow it. Times that are chosen in it are those of
        the zone that it shows. What is shown can be taken on in the next cell: its ``query`` and ``result``.

        .. code-block:: python

            viewer = store.run(Query().during("last_7_days")).in_timezone("Europe/London").viewer()
            viewer                            # ends a cell
            viewer.result.to_polars()         # what is shown by then

        Args:
            columns: The columns that are shown first; by default those that the query chose, else a portal's.
            page_size: How many calls a page has, 1 to 1,000.

        Raises:
            MissingExtraError: When anywidget is not installed.
            QueryError: When the query goes on behind a page.
            ConfigError: When the page size is out of range, or a column is chosen twice.
            UnknownFieldError: When a column is not a field.
        """
        fields = self._plan.scope.fields
        # Each row says whether it has sound.
        usual = [name for name in DEFAULT_COLUMNS if name != "recording" and name in fields]
        chosen = columns or self._query.selected or usual
        settings = DisplaySettings(timezone=self._timezone, columns=chosen, page_size=page_size)
        return Viewer(CallsView(self._query, settings, ask=self._ask, find=self._find, fields=fields))

    # -- how many, and record by record -------------------------------------------------------------------------

    def count(self) -> int:
        """Return how many calls there are, a limit included."""
        return self._plan.count()

    def explain(self) -> Explanation:
        """Run the query and return what was read for it, and why: in figures, and printed in sentences.

        Example:
            >>> import cdrkit
            >>> from cdrkit.samples import synthesize_calls
            >>> store = cdrkit.open_store("memory://explain-example", region="GB")
            >>> _ = store.append(synthesize_calls(20_000, days=2))
            >>> told = store.run(cdrkit.Query().number("020 7946 0018")).explain()
            >>> told.indexed == told.in_period, told.rows_scanned
            (True, 0)

        Raises:
            ScopeError: Within a scope: what was read tells of other people's calls.
        """
        if self._plan.scope != EVERYTHING:
            raise ScopeError("A scope does not tell what was read: that would tell of other people's calls.")
        return self._plan.explain(self.columns)

    def __iter__(self) -> Iterator[CallRecord]:
        """Iterate over the calls as whole records, in order, a bounded number in memory."""
        self._exporting("records")
        for frame in self._plan.frames(tuple(FIELDS)):
            yield from records_of(frame)

    def page(self, size: int = 100) -> Page:
        """Return the first *size* calls; `Page.next_cursor` leads to the next ones.

        The cursor marks a place in the order, not a row number: it stays right while calls arrive and while they move
        between tiers. A limit of the query holds for all pages together: the cursor knows what is left of it.

        Raises:
            QueryError: When *size* is not between 1 and 100,000.
        """
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= _LARGEST_PAGE:
            raise QueryError(f"A page has 1 to {_LARGEST_PAGE} calls, not {size!r}.", parameter="size")
        limit = self._plan.maximum
        wanted = size + 1 if limit is None else min(size + 1, limit)
        plan = attrs.evolve(self._plan, maximum=wanted)
        records = [record for frame in plan.frames(tuple(FIELDS)) for record in records_of(frame)]
        cursor = None
        if len(records) > size:
            records = records[:size]
            order = self._plan.order
            left = None if limit is None else limit - size
            place = Cursor(order, tuple(getattr(records[-1], name) for name, _ in order), left)
            cursor = self._plan.scope.sealed(place).encode()
        return Page(records=tuple(records), next_cursor=cursor, columns=self.columns, timezone=self._timezone)

    # -- tables -------------------------------------------------------------------------------------------------

    def to_polars(self) -> pl.DataFrame:
        """Return a Polars frame; instants in the display zone (the same instants)."""
        self._exporting("polars")
        return localize(pl.concat([empty_frame(self.columns), *self._frames()]), self._timezone)

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table in the types of `SCHEMA`; instants in the display zone (the same instants)."""
        self._exporting("arrow")
        return self._table()

    def _table(self) -> pa.Table:
        frames = list(self._frames()) or [empty_frame(self.columns)]
        parts = [arrow_table(localize(frame, self._timezone)) for frame in frames]
        return parts[0] if len(parts) == 1 else pa.concat_tables(parts).unify_dictionaries()

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas frame; instants in the display zone (the same instants).

        Raises:
            MissingExtraError: When pandas is not installed.
        """
        try:
            import pandas  # noqa: F401  # pyarrow imports it itself; asked here for a clear message
        except ImportError as exc:
            raise missing_extra("to_pandas()", "pandas") from exc
        self._exporting("pandas")
        frame: pd.DataFrame = self._table().to_pandas()
        return frame

    def to_text(self, *, labels: bool = True, times: TimeStyle = "iso") -> pl.DataFrame:
        """Return a frame of text for eyes: instants with their offset in the display zone, durations as h:mm:ss.

        Args:
            labels: Name the columns as portals do (``Call Time``) instead of by field.
            times: How instants are written: ``iso``, ``day_first`` or ``month_first``.

        Raises:
            ConfigError: When times are not written so.
        """
        self._exporting("text")
        return display_text(
            pl.concat([empty_frame(self.columns), *self._frames()]),
            self._timezone,
            labels=labels,
            times=times,
        )

    def batches(self, rows: int = _DEFAULT_BATCH) -> Iterator[pa.RecordBatch]:
        """Yield Arrow batches of at most *rows* calls each, in order, a bounded number in memory.

        Raises:
            QueryError: When *rows* is not a whole number above 0.
        """
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
            raise QueryError(f"A batch has at least one call, not {rows!r}.", parameter="rows")
        self._exporting("arrow")
        return self._batches(rows)

    def _batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        for frame in self._frames():
            for part in frame.iter_slices(rows):
                yield from arrow_table(localize(part, self._timezone)).to_batches()

    def _frames(self) -> Iterator[pl.DataFrame]:
        return self._plan.frames(self.columns)

    def _exporting(self, format: str) -> None:
        """Say so to the audit of the scope, before anything leaves."""
        self._plan.scope.heard("export", format=format, query=self._query)

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
        """Write the calls as CSV (RFC 4180, UTF-8), instants always in UTC, and return how many there were.

        Args:
            dest: A path or any fsspec URL, which appears whole or not at all, or a binary file object. The suffixes
                ``.gz`` and ``.zst`` compress.
            guard: Put ``'`` before text that a spreadsheet would take for a formula; False for machines.
            headers: ``names`` of the fields, or the ``labels`` that portals show.
            compression: ``gzip`` or ``zstd``, whatever the suffix.
            storage_options: Options for the filesystem of a URL (credentials, endpoint).

        Raises:
            StorageError: When it cannot be written.
            ConfigError: When an option is unknown.
        """
        self._exporting("csv")
        if not isinstance(dest, (str, os.PathLike)):
            if not hasattr(dest, "write") or storage_options:
                raise ConfigError(
                    f"{dest!r} is no path or URL; give one, or a binary file without storage options."
                )
            return write_frames(
                self._frames(), self.columns, dest, guard=guard, headers=headers, compression=compression
            )
        folder, name = split_url(dest)
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
        """Return the same CSV piece by piece, for a web response.

        In the order of time, memory is bounded by the identities of one day's calls and a slice of the rest; any other
        order holds all of them.

        Raises:
            ConfigError: When an option is unknown.
        """
        self._exporting("csv")
        return iter_csv_frames(
            self._frames(), self.columns, guard=guard, headers=headers, compression=compression
        )
