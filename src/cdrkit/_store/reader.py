"""What a store can be asked, whoever asks: the whole store and each scope of it read alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import attrs
import polars as pl

from cdrkit._access import EVERYTHING, Scope
from cdrkit._engine import Plan
from cdrkit._model import FIELDS, FRAME_TYPES, CallRecord, check_zone, records_of
from cdrkit._output import local_days
from cdrkit._query import Query, field_names
from cdrkit._recordings import Recording, stream_zip
from cdrkit._store.backend import Backend
from cdrkit._store.result import Result
from cdrkit.errors import ConfigError, QueryError, SchemaError, StorageError
from cdrkit.reports import OUTCOME, DailyTotals, daily_totals
from cdrkit.storage.indexes import NO_TOTALS, TOTAL_FIELDS, Totals, sum_totals, totals_of
from cdrkit.storage.log import Snapshot

__all__ = ["Reader", "checked_record", "present"]

_EVERY_CALL: Final = Query()


class Reader:
    """A store as it is read, within a scope. Every answer begins with `_plan`, and every plan keeps to the scope."""

    def __init__(self, backend: Backend, scope: Scope = EVERYTHING) -> None:
        self._backend = backend
        self._name = backend.name
        self._tiers = backend.tiers
        self._log = backend.log
        self._region = backend.region
        self._locator = backend.locator
        self._scope = scope

    @property
    def region(self) -> str | None:
        """The region of numbers in national form, as the store was made with or is to be made with."""
        snapshot = self._snapshot()
        return self._region if snapshot.version < 0 else snapshot.region

    @property
    def exists(self) -> bool:
        """Whether the store was made yet: it is at the first write."""
        return self._snapshot().version >= 0

    def run(self, query: Query = _EVERY_CALL, *, now: datetime | None = None) -> Result:
        """Return the calls that *query* asks for; nothing is read yet.

        Args:
            query: The question; without one, every call.
            now: The instant at which presets such as ``last_7_days`` are resolved; by default, the present.

        Raises:
            QueryError: When the query's cursor comes from another order, or *now* is naive.
        """
        return self._result(query, self._snapshot(), present(now))

    def count(self, query: Query = _EVERY_CALL, *, now: datetime | None = None) -> int:
        """Return how many calls *query* asks for."""
        return self._plan(query, now).count()

    def daily_totals(
        self, query: Query = _EVERY_CALL, timezone: str = "UTC", *, now: datetime | None = None
    ) -> DailyTotals:
        """Return the totals of the calls that *query* asks for per day, earliest first.

        Rating and billing use UTC days, which are answered from rollups. Days of another zone are for display: they
        are computed from the calls. A day on which clocks change lasts 23 or 25 hours; `DailyTotal.period` has its
        bounds.

        Args:
            query: Which calls; without one, every call.
            timezone: IANA name of the zone whose days are meant.
            now: The instant at which presets are resolved; by default, the present.

        Raises:
            ConfigError: When the zone is unknown.
            QueryError: As for `run`.
        """
        zone = check_zone(timezone)
        plan = self._plan(query, now)
        if zone == "UTC":
            return daily_totals(plan.totals("day", "currency"), by_outcome=_by_outcome(query))
        frames = plan.frames(TOTAL_FIELDS)
        days = [Totals(totals_of(_of_local_days(frame, zone))).brief for frame in frames]
        sums = sum_totals(pl.concat([NO_TOTALS, *days]), "day", "currency")
        return daily_totals(sums, by_outcome=_by_outcome(query), timezone=zone)

    def recording(self, record: CallRecord) -> Recording:
        """Return the recording of a call; whether its file exists is asked of the result.

        Raises:
            SchemaError: When *record* is not a `CallRecord`.
            RecordingNotFoundError: When the call names none, or the store was opened without ``recordings=``.
            ScopeError: When its path would leave the recordings' root.
        """
        return self._locator.find(checked_record(record))

    def zip_recordings(self, query: Query = _EVERY_CALL, *, now: datetime | None = None) -> Iterator[bytes]:
        """Return the recordings of the calls that *query* asks for as one ZIP, piece by piece, for a web response.

        Folders are named by UTC day, files by the call's start and id. Last comes ``manifest.csv``: file, call, state
        (``complete``, ``incomplete``, ``empty``, ``missing``, ``refused``), size, length and SHA-256 of each. Memory
        does not grow with what the recordings hold. A call that names no recording is left out.

        Raises:
            ScopeError: When the scope has no right to download.
            StorageError: When a file cannot be read; the ZIP is then cut off, and no program takes it for whole.
        """
        plan = self._plan(query, now)
        self._scope.check_right("download")
        self._scope.heard("export", format="zip", query=query)
        # Where a recording lies may be masked; which calls they are was settled within the scope.
        whole = attrs.evolve(plan, scope=EVERYTHING)
        records = (record for frame in whole.frames(tuple(FIELDS)) for record in records_of(frame))
        return stream_zip(records, self._found)

    def _found(self, record: CallRecord) -> Recording:
        return self._locator.find(record)

    def _result(self, query: Query, snapshot: Snapshot, now: datetime) -> Result:
        return Result(
            self._plan(query, now, snapshot=snapshot),
            query,
            ask=lambda other: self._result(other, snapshot, now),
            find=self.recording,
        )

    def _plan(
        self,
        query: Query,
        now: datetime | None,
        scope: Scope | None = None,
        snapshot: Snapshot | None = None,
    ) -> Plan:
        if not isinstance(query, Query):
            raise QueryError(f"{query!r} is not a Query.")
        snapshot = snapshot or self._snapshot()
        region = self._region if snapshot.version < 0 else snapshot.region
        return Plan.of(query, snapshot, self._tiers, region, present(now), scope or self._scope)

    def _snapshot(self) -> Snapshot:
        """Return the newest version.

        Raises:
            ConfigError: When the store was made for another region than it was opened for.
            StorageError: When it cannot be read, or is a file.
        """
        try:
            snapshot = self._log.snapshot()
        except StorageError as exc:
            if isinstance(exc.__cause__, NotADirectoryError) and os.path.isfile(self._name):
                raise StorageError(
                    f"{self._name} is a file; a store is a folder. Give a folder, or ingest the file.",
                    url=self._name,
                ) from exc
            raise
        if snapshot.version >= 0 and self._region is not None and snapshot.region != self._region:
            raise ConfigError(
                f"The store {self._name!r} was made with region={snapshot.settings.get('region')!r}, and its number "
                f"search relies on it; open it without region= instead of with {self._region!r}."
            )
        return snapshot


def _by_outcome(query: Query) -> bool:
    return any(field_names(condition) & OUTCOME for condition in query.conditions)


def _of_local_days(frame: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Return *frame* with each start moved to UTC midnight of its day in the zone, by which totals are told apart."""
    return frame.with_columns(local_days(frame["start"], zone).cast(FRAME_TYPES["start"]).alias("start"))


def checked_record(record: object) -> CallRecord:
    """Return *record*.

    Raises:
        SchemaError: When it is not a `CallRecord`.
    """
    if not isinstance(record, CallRecord):
        raise SchemaError(f"A recording is that of a CallRecord, not of {record!r}.")
    return record


def present(given: datetime | None) -> datetime:
    """Return the instant that a question is asked at.

    Raises:
        QueryError: When *given* is naive.
    """
    if given is None:
        return datetime.now(UTC)
    if not isinstance(given, datetime) or given.tzinfo is None:
        raise QueryError(f"now={given!r} has no time zone; give an aware datetime.", parameter="now")
    return given
