"""Reading a store: the queries, counts, totals and recordings that stores and scopes have in common."""

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
    """The reading methods of `Store` and `ScopedStore`.

    Every method reads through `_plan`, and every plan keeps to the scope.
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
        """The region of numbers in national form, such as ``GB``, or None.

        The first write fixes the region of a store. Before it, this is the region that the store was opened with.
        """
        snapshot = self._snapshot()
        return self._region if snapshot.version < 0 else snapshot.region

    @property
    def exists(self) -> bool:
        """Whether the store was made yet. The first write makes it."""
        return self._snapshot().version >= 0

    def run(self, query: Query | Mapping[str, Any] = _EVERY_CALL, *, now: datetime | None = None) -> Result:
        """Return the calls that a query selects, as a `Result`. No call is read yet.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://run-example")
            >>> len(store.run(cdrkit.Query().connected().during("last_7_days", "Europe/London")))
            0

        Args:
            query: The query, or the dict that `Query.to_dict` returned; every call by default.
            now: The instant at which presets such as ``last_7_days`` are resolved, an aware datetime. The default is
                the present.

        Returns:
            The calls at the present version of the store. Later writes do not change the result.

        Raises:
            QueryError: When *query* is neither, its cursor comes from a query with another order, or *now* is naive.
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

        Billing uses UTC days; rollups answer them without reading every call. Local days are for display; their calls
        are read. A local day on which clocks change has 23 or 25 hours; `DailyTotal.period` has its bounds.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://daily-totals-example")
            >>> list(store.daily_totals(cdrkit.Query().during("last_month"), "Europe/London"))
            []

        Args:
            query: The query, as for `run`.
            timezone: IANA name of the zone of the days.
            now: The instant at which presets are resolved, as for `run`.

        Raises:
            ConfigError: When the zone is unknown.
            QueryError: As for `run`.
            StorageError: When the store cannot be read.
        """
        return sum_days(self._plan(self._check_query(query), now), timezone)

    def recording(self, record: CallRecord) -> Recording:
        """Return the recording of a call. The file need not exist; `Recording.exists` shows whether it does.

        .. code-block:: python

            store = cdrkit.open_store("calls", recordings="/var/spool/asterisk/monitor/{recording}")
            call = next(iter(store.run(Query().has_recording().newest_first())))
            store.recording(call).download("call.wav")

        Args:
            record: The call.

        Raises:
            SchemaError: When *record* is not a `CallRecord`.
            RecordingNotFoundError: When the call names no recording, or the store was opened without ``recordings=``.
            ScopeError: When the path would leave the root of the recordings.
        """
        return self._locator.find(check_record(record))

    def zip_recordings(
        self, query: Query | Mapping[str, Any] = _EVERY_CALL, *, now: datetime | None = None
    ) -> Iterator[bytes]:
        """Return the recordings of the calls that a query selects as one ZIP, piece by piece, for a web response.

        Folders are named by UTC day, files by the start and the id of the call. The last file is ``manifest.csv``:
        file, call, state (``complete``, ``incomplete``, ``empty``, ``missing``, ``refused``), size, length and SHA-256
        of each recording. Calls without a recording are omitted. Memory does not grow with the size of the recordings.

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
            ScopeError: When the scope has no right to download.
            StorageError: When a file cannot be read. The ZIP is then incomplete, and programs reject it as damaged.
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
        """Return a query; a dict of `Query.to_dict` becomes one.

        Raises:
            QueryError: When *query* is neither.
        """
        if isinstance(query, Query):
            return query
        if isinstance(query, Mapping):
            unknown = [key for key in query if key not in _QUERY_KEYS]
            if unknown:
                raise QueryError(
                    f"{unknown[0]!r} is not a key of a dict that Query.to_dict() returns. For the parameters of a URL, "
                    "use Query.from_params()."
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
            ConfigError: When the store has another region than it was opened with.
            StorageError: When the log cannot be read, or a file is in the place of the store.
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
                f"The store {self._name!r} was made with region={snapshot.settings.get('region')!r}, not with "
                f"{self._region!r}, and its number search relies on that. Open it without region=."
            )
        return snapshot


def check_record(record: object) -> CallRecord:
    """Return *record* if it is a `CallRecord`.

    Raises:
        SchemaError: When it is not.
    """
    if not isinstance(record, CallRecord):
        raise SchemaError(f"{record!r} is not a CallRecord; a recording belongs to a call.")
    return record


def check_now(now: datetime | None) -> datetime:
    """Return the instant at which presets are resolved: *now*, or the present for None.

    Raises:
        QueryError: When *now* is naive.
    """
    if now is None:
        return datetime.now(UTC)
    if not isinstance(now, datetime) or now.tzinfo is None:
        raise QueryError(f"now={now!r} has no time zone; give an aware datetime.", parameter="now")
    return now
