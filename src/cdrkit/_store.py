"""The store: what applications open, fill and ask."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from ._ingest import IngestReport, Input, Progress, ingest_stream, opened
from ._numbers import check_region
from ._query import Query
from ._recordings import Locator, Recording, RecordingPlace, recording_locator
from ._records import CallRecord
from ._reports import TOTALLED, DailyTotals, daily_totals
from ._results import Result
from ._tables import CallData, frames_of
from .errors import ConfigError, QueryError
from .sources import make_source
from .storage import Append, AppendReport, HotTier, Log, Plan, Snapshot, open_files

__all__ = ["Store", "open_store"]

OnConflict = Literal["report", "replace"]
_EVERYTHING: Final = Query()


def open_store(
    url: str | os.PathLike[str] | None = None,
    *,
    hot: str | os.PathLike[str] | None = None,
    region: str | None = None,
    recordings: RecordingPlace | None = None,
    recordings_root: str | None = None,
    storage_options: Mapping[str, object] | None = None,
    recordings_options: Mapping[str, object] | None = None,
) -> Store:
    """Open a store of calls: a folder, or a bucket by any fsspec URL. It is made at the first write.

    Example:
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://open-example", region="GB")
        >>> store.count()
        0

    Args:
        url: The one folder that holds everything: the hot tier lies in ``hot`` below it.
        hot: The hot tier's own folder or URL, instead of *url*.
        region: ISO 3166 code of the region whose numbers are written in national form (``GB``: ``020 7946 0018``).
            It is fixed when the store is made; later it need not be given.
        recordings: Where a call's recording lies: a template over its fields, such as
            ``/var/spool/asterisk/monitor/{recording}`` or ``s3://acme/{start:%Y-%m-%d}/{call_id}.wav``, or a callable
            that takes a `CallRecord` and returns its path.
        recordings_root: The folder that no recording may lie outside of; needed with a callable.
        storage_options: Options for the filesystem of *url* or *hot* (credentials, endpoint).
        recordings_options: The same for the recordings.

    Returns:
        The store. Nothing is read or written yet.

    Raises:
        ConfigError: When a URL, an option, the region or the template cannot work.
    """
    if (url is None) == (hot is None) or "" in (url, hot):
        raise ConfigError("Give the store's folder or URL, or hot= with the hot tier's own; one of them.")
    place = os.fspath(hot) if hot is not None else os.path.join(os.fspath(url or ""), "hot")
    locator = recording_locator(recordings, root=recordings_root, options=recordings_options)
    return Store(
        name=os.fspath(url if url is not None else place),
        hot=HotTier(files := open_files(place, storage_options)),
        log=Log(files),
        region=check_region(region),
        locator=locator,
    )


class Store:
    """A store of calls; `open_store` makes one. It lives as long as your application and is safe to share by threads.

    Reading never waits for writing: every `run` sees the newest complete version and keeps to it.
    """

    def __init__(self, *, name: str, hot: HotTier, log: Log, region: str | None, locator: Locator) -> None:
        self._name = name
        self._hot = hot
        self._tiers = {hot.name: hot}
        self._log = log
        self._region = region
        self._locator = locator

    def __repr__(self) -> str:
        return f"<Store {self._name!r}>"

    @property
    def region(self) -> str | None:
        """The region of numbers in national form, as the store was made with or is to be made with."""
        snapshot = self._snapshot()
        return self._region if snapshot.version < 0 else snapshot.settings.get("region")

    @property
    def exists(self) -> bool:
        """Whether the store was made yet: it is at the first write."""
        return self._snapshot().version >= 0

    def _snapshot(self) -> Snapshot:
        """Return the newest version.

        Raises:
            ConfigError: When the store was made for another region than it was opened for.
        """
        snapshot = self._log.snapshot()
        if (
            snapshot.version >= 0
            and self._region is not None
            and snapshot.settings.get("region") != self._region
        ):
            raise ConfigError(
                f"The store {self._name!r} was made with region={snapshot.settings.get('region')!r}, and its number "
                f"search relies on it; open it without region= instead of with {self._region!r}."
            )
        return snapshot

    # -- writing ------------------------------------------------------------------------------------------------

    def append(self, data: CallData, *, on_conflict: OnConflict = "report") -> AppendReport:
        """Store calls, durably, all of them in one step.

        A call is identified by (``start``, ``call_id``). One that is there already with the same content is skipped;
        one with other content is kept out and reported.

        Example:
            >>> from datetime import datetime, timezone
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://append-example")
            >>> call = cdrkit.CallRecord(call_id="17", start=datetime(2026, 11, 22, 9, tzinfo=timezone.utc))
            >>> store.append([call, call]).added
            1

        Args:
            data: Records; an Arrow, Polars or pandas table with columns named as the fields; or an iterable of either,
                taken in bounded memory.
            on_conflict: ``report``, or ``replace``: the newer content takes the older one's place.

        Returns:
            How many were added, skipped and kept out. They are durable when it returns.

        Raises:
            SchemaError: When a column is not a field, or a value does not fit; nothing is stored then.
            StorageError: When it cannot be written; nothing is stored then.
            ConflictError: When other writers were faster too many times; nothing is stored then.
        """
        with self._append(on_conflict) as append:
            for frame in frames_of(data):
                append.add(frame)
            return append.commit()

    def ingest(
        self,
        source: Input,
        *,
        format: str,
        on_conflict: OnConflict = "report",
        on_reject: Literal["report", "raise"] = "report",
        progress: Progress | None = None,
        **options: object,
    ) -> IngestReport:
        """Read a switch's file into the store, durably, all of it in one step.

        Reading the same file again adds nothing; reading one that has grown adds what is new.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://ingest-example")
            >>> row = (
            ...     b'"1001","02079460018","2041","office","","SIP/a","SIP/b","Dial","","2026-11-22 09:00:00",'
            ...     b'"2026-11-22 09:00:04","2026-11-22 09:00:38",38,34,"ANSWERED","BILLING","1763802000.1",""'
            ... )
            >>> report = store.ingest(row + b"\\n", format="asterisk-csv", timezone="Europe/London")
            >>> report.read, report.added, report.rejected
            (1, 1, 0)

        Args:
            source: A path, any fsspec URL, the bytes, or a file opened for reading bytes.
            format: The source's name, such as ``asterisk-csv``.
            on_conflict: As in `append`.
            on_reject: ``report`` rows that cannot be taken, or ``raise`` at the first one.
            progress: Called with the bytes read so far and the bytes there are (None where not known).
            options: The source's own; ``timezone`` (IANA name) where it writes local times.

        Returns:
            What became of every row.

        Raises:
            UnknownFormatError: When there is no such format.
            ConfigError: When an option is missing, unknown or cannot work.
            SchemaError: When it is not such a file, is empty, or a row is rejected with ``on_reject="raise"``;
                nothing is stored then.
            StorageError: When it cannot be read or written; nothing is stored then.
        """
        reader = make_source(format, options)
        with opened(source) as (stream, name, size), self._append(on_conflict) as append:
            return ingest_stream(
                stream,
                reader,
                append,
                name=name,
                format=format,
                size=size,
                on_reject=on_reject,
                progress=progress,
            )

    def _append(self, on_conflict: str) -> Append:
        if on_conflict not in ("report", "replace"):
            raise ConfigError(f"on_conflict cannot be {on_conflict!r}; give 'report' or 'replace'.")
        self._snapshot()  # refuses another region before anything is written
        settings = {"region": self._region}
        return Append(self._log, self._tiers, self._hot, replace=on_conflict == "replace", settings=settings)

    # -- asking -------------------------------------------------------------------------------------------------

    def run(self, query: Query = _EVERYTHING, *, now: datetime | None = None) -> Result:
        """Return the calls that *query* asks for; nothing is read yet.

        Args:
            query: The question; without one, every call.
            now: The instant at which presets such as ``last_7_days`` are resolved; by default, the present.

        Raises:
            QueryError: When the query's cursor comes from another order, or *now* is naive.
        """
        return Result(self._plan(query, now), query)

    def count(self, query: Query = _EVERYTHING, *, now: datetime | None = None) -> int:
        """Return how many calls *query* asks for."""
        return self._plan(query, now).count()

    def daily_totals(self, query: Query = _EVERYTHING, *, now: datetime | None = None) -> DailyTotals:
        """Return the totals of the calls that *query* asks for, per UTC day, earliest first."""
        plan = self._plan(query, now)
        return daily_totals(
            plan.frames(TOTALLED), only_connected=Query().connected().conditions[0] in query.conditions
        )

    def _plan(self, query: Query, now: datetime | None) -> Plan:
        if not isinstance(query, Query):
            raise QueryError(f"{query!r} is not a Query.")
        if now is None:
            now = datetime.now(UTC)
        elif not isinstance(now, datetime) or now.tzinfo is None:
            raise QueryError(f"now={now!r} has no time zone; give an aware datetime.", parameter="now")
        snapshot = self._snapshot()
        region = self._region if snapshot.version < 0 else snapshot.settings.get("region")
        return Plan.of(query, snapshot, self._tiers, region, now)

    # -- recordings ---------------------------------------------------------------------------------------------

    def recording(self, record: CallRecord) -> Recording:
        """Return the recording of a call; whether its file exists is asked of the result.

        Raises:
            RecordingNotFoundError: When the call names none, or the store was opened without ``recordings=``.
            ScopeError: When its path would leave the recordings' root.
        """
        return self._locator.find(record)
