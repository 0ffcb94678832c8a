"""The store: what applications open, fill and ask."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from types import EllipsisType
from typing import Any, Literal

from cdrkit._access import AuditEvent, RecordingRight, scope_of
from cdrkit._ingest import (
    AppendReport,
    FollowOptions,
    IngestReport,
    Progress,
    RegionCheck,
    Tally,
    Writer,
    follow_file,
    ingest_inputs,
    report_append,
)
from cdrkit._maintenance import EraseReport, check_reason, erase_calls
from cdrkit._model import CallData, frames_of
from cdrkit._query import Query
from cdrkit._store.archive import Archive
from cdrkit._store.backend import Backend
from cdrkit._store.maintenance import Maintenance, job_lease
from cdrkit._store.reader import Reader, present
from cdrkit._store.scoped_store import ScopedStore
from cdrkit._text import html_facts
from cdrkit.errors import ConfigError, QueryError
from cdrkit.sources import Input, Inputs, make_source
from cdrkit.storage.append import Append

__all__ = ["Store"]

OnConflict = Literal["report", "replace"]


class Store(Reader):
    """A store of calls; `open_store` makes one. It lives as long as your application and is safe to share by threads.

    Reading never waits for writing: every `run` sees the newest complete version and keeps to it.
    """

    def __init__(self, backend: Backend, secret: bytes) -> None:
        super().__init__(backend)
        self._hot = backend.hot
        self._warm = backend.warm
        self._secret = secret
        self._archive = Archive(backend.log, backend.warm, backend.warm_files)
        self._maintenance = Maintenance(
            log=backend.log,
            tiers=self._tiers,
            hot=backend.hot,
            warm=backend.warm,
            region=backend.region,
            snapshot=self._snapshot,
        )

    def __repr__(self) -> str:
        return f"<Store {self._name!r}>"

    def _repr_html_(self) -> str:
        snapshot = self._snapshot()
        facts: dict[str, object] = {"Place": self._name, "Region": self.region or "none"}
        for name in self._tiers:
            segments = [segment for segment in snapshot.segments.values() if segment.tier == name]
            facts[f"Calls, {name}"] = sum(segment.rows for segment in segments)
            facts[f"Bytes, {name}"] = sum(segment.size_bytes for segment in segments)
        if snapshot.segments:
            facts["First call"] = min(segment.first for segment in snapshot.segments.values())
            facts["Last call"] = max(segment.last for segment in snapshot.segments.values())
        note = "Times in UTC." if self.exists else "It is made at the first write."
        return html_facts("Store of calls", facts, note=note)

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
            return report_append(append.commit())

    def ingest(
        self,
        source: Input,
        *,
        format: str,
        on_conflict: OnConflict = "report",
        on_reject: Literal["report", "raise"] = "report",
        progress: Progress | None = None,
        storage_options: Mapping[str, object] | None = None,
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
            storage_options: Options for the filesystem of a URL (credentials, endpoint).
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
        with Inputs(source, storage_options) as inputs, self._append(on_conflict) as append:
            region_check = None if self.exists or self._region is not None else RegionCheck()
            tally = Tally(inputs.name, format, on_reject, region_check=region_check)
            return ingest_inputs(inputs, reader, append, tally, progress=progress)

    def follow(
        self,
        path: str | os.PathLike[str],
        *,
        format: str,
        on_conflict: OnConflict = "report",
        on_reject: Literal["report", "raise"] = "report",
        poll: float = 1.0,
        wait: bool = True,
        **options: object,
    ) -> Iterator[IngestReport]:
        """Read a file of this machine while it grows: new rows are stored as they come, each of them once.

        How far the file was taken is part of the commit that stored its rows. So it goes on where it stopped, whatever
        stopped it; and when the file was rotated (renamed, copied and truncated, compressed) it takes the rest of the
        old one, which it finds beside the new one, and begins with that. A last line that is not all there waits, and
        so do the rows of a call that is still open.

        Example:
            >>> import cdrkit
            >>> from cdrkit.samples import write_office
            >>> store = cdrkit.open_store("memory://follow-example")
            >>> master = write_office("followed-office", calls=50).master
            >>> for report in store.follow(master, format="asterisk-csv", timezone="Europe/London", wait=False):
            ...     print(report.added)
            50

        Args:
            path: The file. It need not be there yet.
            format: The source's name; it writes a row at a time, at the end of the file.
            on_conflict: As in `append`.
            on_reject: ``report`` rows that cannot be taken, or ``raise`` at the first one.
            poll: Seconds between two looks at the file.
            wait: Go on for ever; False: take what is there, and end.
            options: The source's own, as for `ingest`.

        Yields:
            What became of the rows of each commit. Stop by leaving the loop.

        Raises:
            UnknownFormatError: When there is no such format.
            ConfigError: When an option is missing, unknown or cannot work, or the file is not on this machine.
            SchemaError: When nothing of the file was taken yet, and it is not of the format, or a row is rejected with
                ``on_reject="raise"``; what was reported before is stored.
            StorageError: When it cannot be read or written; what was reported before is stored.
        """

        def start(path: str) -> tuple[str, Mapping[str, Any]]:
            key = f"{format}:{path}".encode("utf-8", "backslashreplace").decode()
            return key, self._snapshot().positions.get(key, {})

        reader = make_source(format, options)
        begun = functools.partial(self._append, on_conflict)
        settings = FollowOptions(format=format, on_reject=on_reject, poll=poll, wait=wait)
        yield from follow_file(path, reader, start, begun, settings)

    def writer(
        self,
        *,
        max_rows: int = 10_000,
        max_seconds: float | None = 1.0,
        on_conflict: OnConflict = "report",
    ) -> Writer:
        """Return a buffered writer for a live feed: many small pieces in, few appends out.

        What it has taken is durable once it was flushed, which it does by itself; see `Writer`.

        Args:
            max_rows: How many calls may be pending before they are stored.
            max_seconds: How long a call may be pending; None: until there are *max_rows*, or `Writer.flush`.
            on_conflict: As in `append`.

        Raises:
            ConfigError: When an option cannot work.
        """
        self._check_conflict(on_conflict)
        return Writer(lambda: self._append(on_conflict), max_rows=max_rows, max_seconds=max_seconds)

    @staticmethod
    def _check_conflict(on_conflict: str) -> None:
        if on_conflict not in ("report", "replace"):
            raise ConfigError(f"on_conflict cannot be {on_conflict!r}; give 'report' or 'replace'.")

    def _append(self, on_conflict: str) -> Append:
        self._check_conflict(on_conflict)
        self._snapshot()  # refuses another region before anything is written
        settings = {"region": self._region}
        return Append(self._log, self._tiers, self._hot, replace=on_conflict == "replace", settings=settings)

    # -- for tenants --------------------------------------------------------------------------------------------

    def scoped(
        self,
        *,
        customer_id: str | Iterable[str] | EllipsisType = ...,
        reseller_id: str | Iterable[str] | EllipsisType = ...,
        hide: Iterable[str] = (),
        mask: Iterable[str] | Mapping[str, int] = (),
        recordings: Iterable[RecordingRight] = (),
        earliest: str | date | datetime | None = None,
        viewer: str = "",
        audit: Callable[[AuditEvent], object] | None = None,
        expires: int = 86_400,
    ) -> ScopedStore:
        """Return the part of the store that one viewer may see; hand a tenant's request nothing else.

        Args:
            customer_id: The customer whose calls they are, or several; never None or empty.
            reseller_id: The reseller, or several. With both, a call must be of both.
            hide: Fields that there are not. ``currency`` takes the amounts along.
            mask: Fields of text that are covered. Of a telephone number the last four digits are, or as many as a
                mapping says; ``****`` stands for any other text. What holds the same digits, as a rule, is covered
                with them: ``source_name`` with ``source``; ``dialled`` and ``lrn`` with ``destination``;
                ``recording``; and ``extra`` is hidden.
            recordings: What may be done with recordings: ``play``, ``download``, both or, by default, nothing.
            earliest: Calls that began before it do not exist; an aware datetime, a date or ISO 8601 text, in UTC.
            viewer: Who it is, for the audit; cursors and tokens are good for the same viewer only.
            audit: Called with an `AuditEvent` before a byte of a recording or an export leaves; if it raises, none does.
            expires: After how many seconds a cursor is no longer good.

        Raises:
            ScopeError: When no tenant is given, or one is None or empty.
            UnknownFieldError: When *hide* or *mask* names a field that there is not.
            ConfigError: When anything else cannot work.
        """
        scope = scope_of(
            customer_id=customer_id,
            reseller_id=reseller_id,
            hide=hide,
            mask=mask,
            recordings=recordings,
            earliest=earliest,
            viewer=viewer,
            audit=audit,
            secret=self._secret,
            seconds=expires,
        )
        return ScopedStore(self._backend, scope)

    # -- keeping ------------------------------------------------------------------------------------------------

    @property
    def archive(self) -> Archive:
        """The warm months, for bulk download."""
        return self._archive

    @property
    def maintenance(self) -> Maintenance:
        """The maintenance jobs: moving to warm, compaction, vacuum, verification, a new log."""
        return self._maintenance

    def erase(
        self, query: Query, *, reason: str, dry_run: bool = True, now: datetime | None = None
    ) -> EraseReport:
        """Remove the calls that *query* asks for from both tiers, for good, and prove that none is left.

        The log keeps the reason and the count, none of the erased values. Recordings are not touched. It is no rule
        for the future: whoever ingests a file again that such calls are in stores them again.

        Args:
            query: Which calls; it needs a condition or a period, and no limit.
            reason: Why, for the log: it must not say what the query asks for.
            dry_run: Only count, which is the default: say ``dry_run=False`` to erase.
            now: When presets are resolved; by default, the present.

        Raises:
            QueryError: When the query asks for everything or for a page, or no reason is given that can be kept.
            ConflictError: When another maintenance job is under way, or such calls keep coming.
            StorageError: When segments from before the log hold such calls: `rebuild` comes first then.
        """
        check_reason(reason, query)
        return self._erase(query, reason, dry_run, now)

    def expire(
        self,
        before: str | date | datetime,
        *customers: str,
        dry_run: bool = True,
        now: datetime | None = None,
    ) -> EraseReport:
        """Erase calls that began before an instant: of these customers, or of all when none is named.

        Args:
            before: Exclusive; an aware datetime, a date or ISO 8601 text, as in `Query.between`.
            customers: Customer ids.
            dry_run: Only count, which is the default: say ``dry_run=False`` to erase.
            now: As in `erase`.

        Raises:
            QueryError: When *before* is no instant.
            ConflictError: When another maintenance job is under way.
        """
        if before is None:
            raise QueryError("Calls expire before an instant; none was given.", parameter="before")
        query = Query().between(None, before)
        return self._erase(query.customer(*customers) if customers else query, "retention", dry_run, now)

    def _erase(self, query: Query, reason: str, dry_run: bool, now: datetime | None) -> EraseReport:
        with job_lease(self._log, self._snapshot, "erase", dry_run=dry_run):
            facts = {"reason": reason}
            return erase_calls(self._log, self._tiers, query, now=present(now), facts=facts, dry_run=dry_run)
