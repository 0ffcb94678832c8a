"""A buffered writer for live feeds: calls one by one in, few large appends out."""

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
    """Collects calls and stores them many at a time; `Store.writer` makes one.

    **What is durable when:** calls that `add` has taken are in memory only. They are durable once `flush` or `close`
    has returned, or as soon as `pending` no longer counts them: that is after at most *max_rows* calls, or after at
    most *max_seconds* from the oldest one. A process that is killed before loses what is pending, and nothing else:
    each flush is one append, there whole or not at all. When a flush fails its calls stay pending, and the next `add`,
    `flush` or `close` raises the error.

    Safe to use from several threads. Use it as a context manager, or close it.

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
        ResourceWarning: When it is forgotten with calls that are still pending; they are lost.
    """

    def __init__(self, begin: Callable[[], Append], *, max_rows: int, max_seconds: float | None) -> None:
        if not isinstance(max_rows, int) or isinstance(max_rows, bool) or max_rows < 1:
            raise ConfigError(f"max_rows is a whole number above 0, not {max_rows!r}.")
        if max_seconds is not None and (isinstance(max_seconds, bool) or not max_seconds > 0):
            raise ConfigError(f"max_seconds is a number above 0, or None for no limit, not {max_seconds!r}.")
        self._begin = begin
        self._max_rows = max_rows
        self._max_seconds = max_seconds
        self._waiting: list[CallRecord | pl.DataFrame] = []
        self._rows = 0
        self._oldest = 0.0
        self._report = AppendReport()
        self._error: CdrError | None = None
        self._closed = False
        self._changed = threading.Condition()  # guards all of the above
        self._storing = threading.Lock()  # one flush at a time, in the order of the calls
        self._clock: threading.Thread | None = None

    @property
    def pending(self) -> int:
        """How many calls were taken and are not durable yet."""
        with self._changed:
            return self._rows

    @property
    def report(self) -> AppendReport:
        """What became of the calls that were flushed so far."""
        with self._changed:
            return self._report

    def add(self, data: CallData) -> None:
        """Take calls in; when that makes *max_rows* of them, store all that are pending.

        Args:
            data: A record, or whatever else `Store.append` takes.

        Raises:
            SchemaError: When they do not fit the fields; none of them is taken then.
            ConfigError: When the writer is closed.
            StorageError: When storing failed, now or since the last call; what is pending stays so.
        """
        taken: list[CallRecord | pl.DataFrame] = (
            [data] if isinstance(data, CallRecord) else [frame for frame in frames_of(data) if frame.height]
        )
        with self._changed:
            self._raise_what_failed()
            if self._closed:
                raise ConfigError("This writer is closed; ask the store for another one.")
            if taken and not self._rows:
                self._oldest = time.monotonic()
                self._start_clock()
                self._changed.notify_all()
            self._waiting += taken
            self._rows += sum(_rows_of(item) for item in taken)
            full = self._rows >= self._max_rows
        if full:
            self.flush()

    def flush(self) -> AppendReport:
        """Store all calls that are pending, durably, in one step; return what became of them.

        Raises:
            StorageError: When they cannot be stored; they stay pending.
        """
        with self._storing:
            with self._changed:
                self._error = None
                waiting = list(self._waiting)
            done = self._stored(waiting)
            with self._changed:
                del self._waiting[: len(waiting)]
                self._rows -= sum(map(_rows_of, waiting))
                self._oldest = time.monotonic()  # what came meanwhile came after this flush began
                self._report = _together(self._report, done)
            return done

    def _stored(self, waiting: list[CallRecord | pl.DataFrame]) -> AppendReport:
        if not waiting:
            return AppendReport()
        with self._begin() as append:
            records: list[CallRecord] = []
            for item in [*waiting, None]:
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
        """Store what is pending and end; closing again does nothing.

        Raises:
            StorageError: When it cannot be stored; it stays pending, and `close` may be called again.
        """
        self.flush()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._clock is not None and self._clock is not threading.current_thread():
            self._clock.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()  # calls that were taken are stored, whatever the block met afterwards

    def __del__(self) -> None:
        if getattr(self, "_rows", 0) and not self._closed:
            warnings.warn(
                f"A writer was forgotten with {self._rows} calls pending; close it.",
                ResourceWarning,
                stacklevel=2,
            )

    # -- the clock ----------------------------------------------------------------------------------------------

    def _start_clock(self) -> None:
        if self._max_seconds is not None and self._clock is None:
            self._clock = threading.Thread(target=self._watch, name="cdrkit-writer", daemon=True)
            self._clock.start()

    def _watch(self) -> None:
        assert self._max_seconds is not None
        while True:
            with self._changed:
                if self._closed:
                    return
                left = self._oldest + self._max_seconds - time.monotonic() if self._rows else None
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
            try:
                self.flush()
            except CdrError as exc:
                with self._changed:
                    self._error = exc
                    self._oldest = time.monotonic()  # the next try is due when as much time has passed again

    def _raise_what_failed(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error


def _rows_of(item: CallRecord | pl.DataFrame) -> int:
    return item.height if isinstance(item, pl.DataFrame) else 1


def _together(one: AppendReport, other: AppendReport) -> AppendReport:
    return AppendReport(
        added=one.added + other.added,
        duplicates=one.duplicates + other.duplicates,
        conflicts=one.conflicts + other.conflicts,
        replaced=one.replaced + other.replaced,
        conflicting=(*one.conflicting, *other.conflicting)[:_CONFLICTS_SHOWN],
    )
