"""Buffered writer: collect calls from live feeds, and store many per append."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import polars as pl

from cdrkit._ingest.report import AppendReport, report_append
from cdrkit._model import CallData, CallRecord, frames_of
from cdrkit.errors import CdrError, ConfigError
from cdrkit.storage.append import Append

__all__ = ["Writer"]

_CONFLICTS_SHOWN: Final = 100


class Writer:
    """A buffer that collects single calls and stores many at a time.

    Call `Store.writer` to create a writer.

    **Durability:** calls given to `add` are in memory only. They are durable once `flush` or `close` has returned, or
    once `pending` no longer counts them. The writer stores them after at most *max_rows* calls, or at most
    *max_seconds* after the oldest call. A process that is killed earlier loses only the pending calls. Each flush is
    one append, which stores all of its calls or none. When a flush fails, its calls stay pending, and the next `add`,
    `flush` or `close` raises the error.

    Several threads may share a writer. Use it as a context manager, or close it.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://writer-example")
        >>> with store.writer(max_rows=1000, max_seconds=2) as writer:
        ...     writer.add(cdrkit.CallRecord(call_id="1", start=datetime(2026, 11, 22, 9, tzinfo=timezone.utc)))
        ...     writer.pending
        1
        >>> writer.report.added, store.count()
        (1, 1)

    Warns:
        ResourceWarning: When a writer with pending calls is deleted; those calls are lost.
    """

    def __init__(self, begin: Callable[[], Append], *, max_rows: int, max_seconds: float | None) -> None:
        if not isinstance(max_rows, int) or isinstance(max_rows, bool) or max_rows < 1:
            raise ConfigError(f"max_rows={max_rows!r} is not valid. Give a whole number above 0.")
        if max_seconds is not None and (isinstance(max_seconds, bool) or not max_seconds > 0):
            raise ConfigError(
                f"max_seconds={max_seconds!r} is not valid. Give a number above 0, or None for no limit."
            )
        self._begin = begin
        self._max_rows = max_rows
        self._max_seconds = max_seconds
        self._buffer: list[CallRecord | pl.DataFrame] = []
        self._rows = 0
        self._oldest = 0.0
        self._report = AppendReport()
        self._error: CdrError | None = None
        self._closed = False
        self._changed = threading.Condition()  # guards the attributes above
        self._storing = threading.Lock()  # one flush at a time, in the order of calls
        self._timer: threading.Thread | None = None

    @property
    def pending(self) -> int:
        """The number of calls that are not durable yet.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://writer-pending")
            >>> with store.writer() as writer:
            ...     writer.add([{"call_id": "17", "start": "2026-11-22T09:30:00Z"}])
            ...     writer.pending
            1
        """
        with self._changed:
            return self._rows

    @property
    def report(self) -> AppendReport:
        """The sum of the reports of all flushes so far.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://writer-report")
            >>> with store.writer() as writer:
            ...     writer.add([{"call_id": "17", "start": "2026-11-22T09:30:00Z"}])
            >>> writer.report.added
            1
        """
        with self._changed:
            return self._report

    def add(self, data: CallData) -> None:
        """Add calls to the buffer, and flush the buffer when it is full.

        The buffer is full when it has *max_rows* calls.

        Args:
            data: A record, or any other data that `Store.append` takes.

        Raises:
            SchemaError: When the data does not fit the fields. No call is added.
            ConfigError: When the writer is closed.
            StorageError: When calls could not be stored, now or since the last call of `add`. They stay pending.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://writer-add")
            >>> with store.writer(max_rows=2) as writer:
            ...     writer.add([{"call_id": "17", "start": "2026-11-22T09:30:00Z"}])
            ...     writer.add([{"call_id": "18", "start": "2026-11-22T09:31:00Z"}])
            ...     writer.pending
            0
        """
        items: list[CallRecord | pl.DataFrame] = (
            [data] if isinstance(data, CallRecord) else [frame for frame in frames_of(data) if frame.height]
        )
        with self._changed:
            self._raise_flush_error()
            if self._closed:
                raise ConfigError("This writer is closed. Create another with Store.writer().")
            if items and not self._rows:
                self._oldest = time.monotonic()
                self._start_timer()
                self._changed.notify_all()
            self._buffer += items
            self._rows += sum(_count_rows(item) for item in items)
            full = self._rows >= self._max_rows
        if full:
            self.flush()

    def flush(self) -> AppendReport:
        """Store all pending calls durably in one append and return its report.

        Raises:
            StorageError: When the calls cannot be stored; they stay pending.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://writer-flush")
            >>> with store.writer() as writer:
            ...     writer.add([{"call_id": "17", "start": "2026-11-22T09:30:00Z"}])
            ...     writer.flush().added
            1
        """
        with self._storing:
            with self._changed:
                self._error = None
                pending = list(self._buffer)
            report = self._store(pending)
            with self._changed:
                del self._buffer[: len(pending)]
                self._rows -= sum(map(_count_rows, pending))
                self._oldest = time.monotonic()  # calls added during the flush are younger than its start
                self._report = _add_reports(self._report, report)
            return report

    def _store(self, pending: list[CallRecord | pl.DataFrame]) -> AppendReport:
        if not pending:
            return AppendReport()
        with self._begin() as append:
            records: list[CallRecord] = []
            for item in [*pending, None]:
                if isinstance(item, CallRecord):
                    records.append(item)
                    continue
                for frame in frames_of(records):
                    append.add(frame)
                records = []
                if item is not None:
                    append.add(item)
            return report_append(append.commit())

    def close(self) -> None:
        """Store all pending calls, and close the writer.

        Closing a closed writer has no effect.

        Raises:
            StorageError: When the calls cannot be stored. They stay pending; call `close` again.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://writer-close")
            >>> writer = store.writer()
            >>> writer.add([{"call_id": "17", "start": "2026-11-22T09:30:00Z"}])
            >>> writer.close()
            >>> store.count()
            1
        """
        self.flush()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._timer is not None and self._timer is not threading.current_thread():
            self._timer.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()  # pending calls are stored even when the block raised an error

    def __del__(self) -> None:
        if getattr(self, "_rows", 0) and not self._closed:
            warnings.warn(
                f"A writer was deleted with {self._rows} pending calls, which are lost. Call close() on every writer.",
                ResourceWarning,
                stacklevel=2,
            )

    def _start_timer(self) -> None:
        if self._max_seconds is not None and self._timer is None:
            self._timer = threading.Thread(target=self._flush_when_due, name="cdrkit-writer", daemon=True)
            self._timer.start()

    def _flush_when_due(self) -> None:
        assert self._max_seconds is not None
        while True:
            with self._changed:
                if self._closed:
                    return
                remaining = self._oldest + self._max_seconds - time.monotonic() if self._rows else None
                if remaining is None or remaining > 0:
                    self._changed.wait(remaining)
                    continue
            try:
                self.flush()
            except CdrError as exc:
                with self._changed:
                    self._error = exc
                    self._oldest = time.monotonic()  # retry after the same time again

    def _raise_flush_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error


def _count_rows(item: CallRecord | pl.DataFrame) -> int:
    return item.height if isinstance(item, pl.DataFrame) else 1


def _add_reports(one: AppendReport, other: AppendReport) -> AppendReport:
    return AppendReport(
        added=one.added + other.added,
        duplicates=one.duplicates + other.duplicates,
        conflicts=one.conflicts + other.conflicts,
        replaced=one.replaced + other.replaced,
        conflicting=(*one.conflicting, *other.conflicting)[:_CONFLICTS_SHOWN],
    )
