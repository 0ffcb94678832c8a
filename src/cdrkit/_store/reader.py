"""The read methods that stores and scoped stores have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from cdrkit._access import EVERYTHING, Scope
from cdrkit._engine import Plan
from cdrkit._model import FIELDS, CallRecord, records_of
from cdrkit._query import Query
from cdrkit._recordings import Recording, stream_zip
from cdrkit._store.backend import Backend
from cdrkit._store.result import Result
from cdrkit.errors import ConfigError, QueryError, SchemaError, StorageError
from cdrkit.reports import DailyTotals, sum_days
from cdrkit.storage.log import Snapshot

__all__ = ["Reader", "check_now", "check_record"]

_EVERY_CALL: Final = Query()
_QUERY_KEYS: Final = frozenset({"where", "during", "between", "columns", "order", "limit", "after"})


class Reader:
    """The base class of `Store` and `ScopedStore`, with their read methods.

    Every method reads through `_plan`, and every plan applies the scope.
    """

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
        """The region (such as ``GB``) to which numbers in national form belong, or None.

        The first write fixes a store's region. Before that, this is the region that the store was opened with.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://region-example", region="GB").region
            'GB'

        Raises:
            ConfigError: When the store was created with one region but opened with another.
            StorageError: When the log cannot be read.
        """
        snapshot = self._snapshot()
        return self._region if snapshot.version < 0 else snapshot.region

    @property
    def exists(self) -> bool:
        """Whether the store exists; the first write creates it.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://exists-example").exists
            False

        Raises:
            ConfigError: As for `region`.
            StorageError: When the log cannot be read.
        """
        return self._snapshot().version >= 0

    def run(self, query: Query | Mapping[str, Any] = _EVERY_CALL, *, now: datetime | None = None) -> Result:
        """Return a `Result` for the calls that a query selects, without reading them.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://run-example")
            >>> len(store.run(cdrkit.Query().connected().during("last_7_days", "Europe/London")))
            0

        Args:
            query: The query, or a dict that `Query.to_dict` returned. The default selects every call.
            now: The instant at which presets such as ``last_7_days`` are resolved, as an aware datetime. The default
                is the current time.

        Returns:
            The calls in the current version of the store. Later writes do not change the result.

        Raises:
            QueryError: When *query* is not a query or such a dict, its cursor was made for another order, or *now* is
                naive.
            StorageError: When the log cannot be read.
        """
        return self._result(self._check_query(query), self._snapshot(), check_now(now))

    def count(self, query: Query | Mapping[str, Any] = _EVERY_CALL, *, now: datetime | None = None) -> int:
        """Return the number of calls that a query selects.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://count-example").count(cdrkit.Query().connected())
            0

        Args:
            query: The query, as for `run`.
            now: The instant at which presets are resolved, as for `run`.

        Raises:
            QueryError: As for `run`.
            StorageError: When the store cannot be read.
        """
        return self._plan(self._check_query(query), now).count()

    def daily_totals(
        self,
        query: Query | Mapping[str, Any] = _EVERY_CALL,
        timezone: str = "UTC",
        *,
        now: datetime | None = None,
    ) -> DailyTotals:
        """Return daily totals of the calls that a query selects, earliest day first.

        Use UTC days for billing: rollups provide their totals without reading every call. Use local days for display:
        their totals are computed from the calls. A local day on which the clocks change usually has 23 or 25 hours;
        `DailyTotal.period` gives its bounds.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://daily-totals-example")
            >>> list(store.daily_totals(cdrkit.Query().during("last_month"), "Europe/London"))
            []

        Args:
            query: The query, as for `run`.
            timezone: IANA name of the time zone that defines the days.
            now: The instant at which presets are resolved, as for `run`.

        Raises:
            ConfigError: When the zone is unknown.
            QueryError: As for `run`.
            StorageError: When the store cannot be read.
        """
        return sum_days(self._plan(self._check_query(query), now), timezone)

    def recording(self, record: CallRecord) -> Recording:
        """Return the recording of a call.

        The file need not exist; `Recording.exists` shows whether it does.

        Example:
            >>> from datetime import datetime, timezone
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://recording-example", recordings="memory://audio/{recording}")
            >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
            >>> _ = store.append([cdrkit.CallRecord(call_id="1", start=at, recording="1.wav")])
            >>> call = next(iter(store.run(cdrkit.Query().has_recording())))
            >>> store.recording(call).exists
            False

        Args:
            record: The call.

        Raises:
            SchemaError: When *record* is not a `CallRecord`.
            RecordingNotFoundError: When the call has no recording, or the store was opened without ``recordings=``.
            ScopeError: When the recording's path is outside the root of the recordings.
        """
        return self._locator.find(check_record(record))

    def zip_recordings(
        self, query: Query | Mapping[str, Any] = _EVERY_CALL, *, now: datetime | None = None
    ) -> Iterator[bytes]:
        """Yield the pieces of a ZIP with the recordings of the selected calls.

        You can send the pieces as a web response.

        Folders are named by UTC day, and files by the call's start and id. The last file is ``manifest.csv``. It lists
        the file, call, state (``complete``, ``incomplete``, ``empty``, ``missing``, ``refused``), size, length and
        SHA-256 of each recording. Calls without a recording are omitted. Memory use does not depend on the size of the
        recordings.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://zip-example", recordings="memory://audio/{recording}")
            >>> with open("recordings.zip", "wb") as file:
            ...     file.writelines(store.zip_recordings(cdrkit.Query().customer("1003")))

        Args:
            query: The query, as for `run`.
            now: The instant at which presets are resolved, as for `run`.

        Raises:
            QueryError: As for `run`.
            ScopeError: When the scope does not allow downloads of recordings.
            StorageError: When a file cannot be read. The ZIP is then incomplete, and ZIP programs reject it as damaged.
        """
        checked = self._check_query(query)
        plan = self._plan(checked, now)
        self._scope.check_right("download")
        self._scope.notify_audit("export", format="zip", query=checked)
        # A mask may cover the name of a recording. The plan has the conditions of the scope already.
        whole = attrs.evolve(plan, scope=EVERYTHING)
        records = (record for frame in whole.frames(tuple(FIELDS)) for record in records_of(frame))
        return stream_zip(records, self._find_recording)

    def _find_recording(self, record: CallRecord) -> Recording:
        return self._locator.find(record)

    def _check_query(self, query: object) -> Query:
        """Return *query*; convert it first if it is a dict from `Query.to_dict`.

        Raises:
            QueryError: When *query* is not a query or such a dict.
        """
        if isinstance(query, Query):
            return query
        if isinstance(query, Mapping):
            unknown = [key for key in query if key not in _QUERY_KEYS]
            if unknown:
                raise QueryError(
                    f"{unknown[0]!r} is not a key that Query.to_dict() writes. If these are URL parameters, use "
                    "Query.from_params() instead."
                )
            return Query.from_dict(query)
        raise QueryError(f"{query!r} is not a Query. Start with cdrkit.Query().")

    def _result(self, query: Query, snapshot: Snapshot, now: datetime) -> Result:
        return Result(
            self._plan(query, now, snapshot=snapshot),
            query,
            run=lambda other: self._result(other, snapshot, now),
            find_recording=self.recording,
        )

    def _plan(
        self,
        query: Query,
        now: datetime | None,
        scope: Scope | None = None,
        snapshot: Snapshot | None = None,
    ) -> Plan:
        snapshot = snapshot or self._snapshot()
        region = self._region if snapshot.version < 0 else snapshot.region
        return Plan.of(query, snapshot, self._tiers, region, check_now(now), scope or self._scope)

    def _snapshot(self) -> Snapshot:
        """Return the newest version of the store.

        Raises:
            ConfigError: When the store was created with one region but opened with another.
            StorageError: When the log cannot be read, or the store's location is a file.
        """
        try:
            snapshot = self._log.snapshot()
        except StorageError as exc:
            if isinstance(exc.__cause__, NotADirectoryError) and os.path.isfile(self._name):
                raise StorageError(
                    f"{self._name} is a file, but a store is a folder. Give a folder, or ingest the file.",
                    url=self._name,
                ) from exc
            raise
        if snapshot.version >= 0 and self._region is not None and snapshot.region != self._region:
            made = "without a region" if snapshot.region is None else f"with region={snapshot.region!r}"
            raise ConfigError(
                f"The store {self._name!r} was created {made}, but it was opened with region={self._region!r}. Number "
                "searches depend on the region. Open the store without region=, or see the help of "
                "maintenance.rebuild_log() to change its region."
            )
        return snapshot


def check_record(record: object) -> CallRecord:
    """Return *record*, or raise an error if it is not a `CallRecord`.

    Raises:
        SchemaError: When *record* is not a `CallRecord`.
    """
    if not isinstance(record, CallRecord):
        raise SchemaError(f"{record!r} is not a CallRecord. Give the call that the recording belongs to.")
    return record


def check_now(now: datetime | None) -> datetime:
    """Return *now*, or the current time if *now* is None.

    Raises:
        QueryError: When *now* is naive.
    """
    if now is None:
        return datetime.now(UTC)
    if not isinstance(now, datetime) or now.tzinfo is None:
        raise QueryError(f"now={now!r} has no time zone. Give an aware datetime.", parameter="now")
    return now
