"""The store: append, ingest, read and erase calls, and make scopes."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from types import EllipsisType
from typing import Any, Literal

import polars as pl

from cdrkit._access import AuditEvent, ScopeOptions, make_scope
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
from cdrkit._model import CallData, CallRecord, FieldName, frames_of, parse_instant
from cdrkit._query import Query
from cdrkit._store.archive import Archive
from cdrkit._store.backend import Backend
from cdrkit._store.maintenance import Maintenance, job_lease
from cdrkit._store.reader import Reader, check_now
from cdrkit._store.scoped_store import ScopedStore
from cdrkit._text import html_facts
from cdrkit.errors import ConfigError, QueryError
from cdrkit.sources import FormatName, Input, Inputs, make_source
from cdrkit.storage.append import Append

__all__ = ["Store"]


class Store(Reader):
    """A store of calls, which `open_store` returns.

    Open one `Store` when the application starts, and keep it; threads may share it. Reads never wait for writes: every
    `run` uses the newest complete version of the store, and its result does not change.

    Example:
        >>> import cdrkit
        >>> from cdrkit.samples import synthesize_calls
        >>> store = cdrkit.open_store("memory://store-example", region="GB")
        >>> store.append(synthesize_calls(100)).added
        100
        >>> len(store.run(cdrkit.Query().connected())) <= store.count()
        True
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
        # `Maintenance.status` has more facts, but lists the files of both tiers.
        snapshot = self._snapshot()
        segments = snapshot.segments.values()
        facts: dict[str, object] = {"Location": self._name, "Region": self.region or "none"}
        for name in self._tiers:
            facts[f"Calls, {name}"] = sum(segment.rows for segment in segments if segment.tier == name)
            facts[f"Bytes, {name}"] = sum(segment.size_bytes for segment in segments if segment.tier == name)
        if segments:
            facts["First call"] = min(segment.first for segment in segments)
            facts["Last call"] = max(segment.last for segment in segments)
        note = "Times in UTC." if self.exists else "The first write creates it."
        return html_facts("Store of calls", facts, note=note)

    # -- writing ------------------------------------------------------------------------------------------------

    def append(self, data: CallData, *, on_conflict: Literal["report", "replace"] = "report") -> AppendReport:
        """Store calls durably in one commit: all calls, or none if an error occurs.

        (``start``, ``call_id``) identifies a call. A call that is already stored is skipped if its content is equal,
        and reported as a conflict if its content differs.

        Example:
            >>> from datetime import datetime, timezone
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://append-example")
            >>> call = cdrkit.CallRecord(call_id="17", start=datetime(2026, 11, 22, 9, tzinfo=timezone.utc))
            >>> store.append([call, call]).added
            1
            >>> store.append([{"call_id": "18", "start": "2026-11-22T09:30:00Z", "duration": 34}]).added
            1

        Args:
            data: Records, or dicts that `CallRecord.from_dict` accepts; an Arrow, Polars or pandas table whose columns
                have the names of fields; or an iterable of these, read with bounded memory.
            on_conflict: For a call whose content differs: ``report`` the conflict, or ``replace`` the stored content.

        Returns:
            The counts of added, skipped and conflicting calls. All added calls are durable.

        Raises:
            ConfigError: When *on_conflict* is unknown, or the store was created with another region.
            SchemaError: When a column is not a field, or a value does not fit its field.
            StorageError: When the store cannot be written.
            ConflictError: When other writers committed first too many times. Try again.
        """
        with self._append(on_conflict) as append:
            for frame in frames_of(data):
                append.add(frame)
            return report_append(append.commit())

    def ingest(
        self,
        source: Input,
        *,
        format: FormatName | str | None = None,
        on_conflict: Literal["report", "replace"] = "report",
        on_reject: Literal["report", "raise"] = "report",
        progress: Progress | None = None,
        storage_options: Mapping[str, object] | None = None,
        **options: object,
    ) -> IngestReport:
        """Read a switch's file into the store in one commit.

        All calls of the file are stored, or none if an error occurs. Ingesting a file again adds nothing; ingesting a
        file that has grown adds its new calls.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://ingest-example", region="GB")
            >>> row = (
            ...     b'"1001","02079460018","2041","office","","SIP/a","SIP/b","Dial","","2026-11-22 09:00:00",'
            ...     b'"2026-11-22 09:00:04","2026-11-22 09:00:38",38,34,"ANSWERED","BILLING","1763802000.1",""'
            ... )
            >>> report = store.ingest(row + b"\\n", format="asterisk-csv", timezone="Europe/London")
            >>> report.read, report.added, report.rejected
            (1, 1, 0)

        Args:
            source: A path, a URL, bytes, or a file opened for reading bytes; for some formats also a database
                connection. For a table or records, use `append`.
            format: The name of the format, such as ``asterisk-csv``; see `cdrkit.sources.available`. It is required:
                `cdrkit.sources.detect` returns the format of a file.
            on_conflict: As for `append`.
            on_reject: For rows that are not calls: ``report`` them, or ``raise`` an error at the first such row.
            progress: A function that receives the bytes read so far and the total bytes (None if unknown).
            storage_options: Options of the filesystem of a URL (credentials, endpoint).
            options: Options of the format, such as ``timezone`` (an IANA name) for a switch that writes local times.

        Returns:
            The number of rows for each outcome, and the rejected rows.

        Raises:
            UnknownFormatError: When the format is unknown.
            ConfigError: When *source* is a table or records, or the format or an option is missing, unknown or invalid.
            SchemaError: When the file has another format or is empty, or a row is rejected with
                ``on_reject="raise"``.
            StorageError: When the file cannot be read, or the store cannot be written.
        """
        _refuse_calls(source)
        if format is None:
            raise ConfigError(
                "ingest() needs the name of the file's format. Give format=, such as format='asterisk-csv'. "
                "cdrkit.sources.detect() detects the format of a file."
            )
        reader = make_source(format, options)
        with Inputs(source, storage_options) as inputs, self._append(on_conflict) as append:
            tally = Tally(inputs.name, format, on_reject, region_check=self._region_check())
            return ingest_inputs(inputs, reader, append, tally, progress=progress)

    def follow(
        self,
        path: str | os.PathLike[str],
        *,
        format: FormatName | str,
        on_conflict: Literal["report", "replace"] = "report",
        on_reject: Literal["report", "raise"] = "report",
        poll: float = 1.0,
        wait: bool = True,
        **options: object,
    ) -> Iterator[IngestReport]:
        """Read a growing local file, and store each new row once.

        The commit that stores rows also stores the position in the file, so that a later `follow` continues from there.
        After a rotation (rename, copy and truncate, compression), the rest of the old file is read first; the old file
        must be in the same folder. An incomplete last line and the rows of an incomplete call are read later.

        Example:
            >>> import cdrkit
            >>> from cdrkit.samples import write_office
            >>> store = cdrkit.open_store("memory://follow-example", region="GB")
            >>> master = write_office("followed-office", calls=50).master
            >>> for report in store.follow(master, format="asterisk-csv", timezone="Europe/London", wait=False):
            ...     print(report.added)
            50

        Args:
            path: The file, which need not exist yet.
            format: The name of a format for files that grow at the end.
            on_conflict: As for `append`.
            on_reject: For rows that are not calls: ``report`` them, or ``raise`` an error at the first such row.
            poll: Seconds between reads of the file.
            wait: Whether to wait for new rows forever. False reads the current content and returns.
            options: Options of the format, as for `ingest`.

        Yields:
            A report of each commit. To stop, leave the loop.

        Raises:
            UnknownFormatError: When the format is unknown.
            ConfigError: When an option is missing, unknown or invalid, or the file is not a local file.
            SchemaError: When the file has another format, or a row is rejected with ``on_reject="raise"``. Calls of
                earlier reports are stored.
            StorageError: When the file cannot be read or the store cannot be written. Calls of earlier reports are
                stored.
        """

        def start(path: str) -> tuple[str, Mapping[str, Any]]:
            key = f"{format}:{path}".encode("utf-8", "backslashreplace").decode()
            return key, self._snapshot().positions.get(key, {})

        reader = make_source(format, options)
        begin = functools.partial(self._append, on_conflict)
        settings = FollowOptions(
            format=format, on_reject=on_reject, poll=poll, wait=wait, region_check=self._region_check()
        )
        yield from follow_file(path, reader, start, begin, settings)

    def _region_check(self) -> RegionCheck | None:
        """Return a `RegionCheck` if the store is new and has no region, else None."""
        return None if self._region is not None or self.exists else RegionCheck()

    def writer(
        self,
        *,
        max_rows: int = 10_000,
        max_seconds: float | None = 1.0,
        on_conflict: Literal["report", "replace"] = "report",
    ) -> Writer:
        """Return a buffered writer that groups a live feed's calls into few commits.

        Example:
            >>> from datetime import datetime, timezone
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://store-writer-example")
            >>> with store.writer(max_seconds=5.0) as writer:
            ...     writer.add(cdrkit.CallRecord(call_id="1", start=datetime(2026, 11, 22, 9, tzinfo=timezone.utc)))
            >>> store.count()
            1

        Args:
            max_rows: The largest number of pending calls.
            max_seconds: The longest time in seconds that a call is pending. With None, calls are pending until
                *max_rows* is reached or `Writer.flush` is called.
            on_conflict: As for `append`.

        Raises:
            ConfigError: When an option is invalid.
        """
        self._check_conflict(on_conflict)
        return Writer(lambda: self._append(on_conflict), max_rows=max_rows, max_seconds=max_seconds)

    @staticmethod
    def _check_conflict(on_conflict: str) -> None:
        if on_conflict not in ("report", "replace"):
            raise ConfigError(f"on_conflict={on_conflict!r} is unknown. Give 'report' or 'replace'.")

    def _append(self, on_conflict: str) -> Append:
        self._check_conflict(on_conflict)
        self._snapshot()  # raises the error of another region before anything is written
        settings = {"region": self._region}
        return Append(self._log, self._tiers, self._hot, replace=on_conflict == "replace", settings=settings)

    # -- for tenants --------------------------------------------------------------------------------------------

    def scoped(
        self,
        *,
        customer_id: str | Iterable[str] | EllipsisType = ...,
        reseller_id: str | Iterable[str] | EllipsisType = ...,
        hide: Iterable[FieldName | str] = (),
        mask: Iterable[FieldName | str] | Mapping[FieldName | str, int] = (),
        recordings: Iterable[Literal["play", "download"]] = (),
        earliest: str | date | datetime | None = None,
        viewer: str = "",
        audit: Callable[[AuditEvent], object] | None = None,
        expires: int = 86_400,
    ) -> ScopedStore:
        """Return the part of the store that one portal viewer may see.

        Serve every tenant's requests from a scoped store, never from the store itself.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://scope-example")
            >>> scoped = store.scoped(customer_id="1003", hide=["provider_charge"], mask={"source": 4}, viewer="ann")
            >>> scoped.count()
            0

        Args:
            customer_id: The id of the customer whose calls are visible, or a list of ids.
            reseller_id: The id of the reseller, or a list of ids. If both options are given, a call must match both.
            hide: Fields to remove. Hiding ``currency`` also hides all amounts.
            mask: Text fields to mask. A mask hides the last four digits of a telephone number, or as many as a mapping
                gives. Any other text is hidden entirely (``****``). Fields that usually repeat the digits are also
                masked: ``source_name`` with ``source``; ``dialled`` and ``lrn`` with ``destination``; and
                ``recording``. A mask also hides ``extra``.
            recordings: The allowed uses of recordings: ``play``, ``download`` or both. By default, none is allowed.
            earliest: The start of the earliest visible call, inclusive: an aware datetime, a date or ISO 8601 text,
                in UTC.
            viewer: The name of the portal viewer, for audit events. Cursors and tokens are valid for this name only.
            audit: A function that receives an `AuditEvent` before any byte of a recording or an export is sent. If the
                function raises an exception, nothing is sent.
            expires: The lifetime of cursors in seconds.

        Raises:
            ScopeError: When no tenant is given, or a tenant is None or empty.
            UnknownFieldError: When *hide* or *mask* names an unknown field.
            ConfigError: When another option is invalid.
        """
        options = ScopeOptions(
            customer_id=customer_id,
            reseller_id=reseller_id,
            hide=hide,
            mask=mask,
            recordings=recordings,
            earliest=earliest,
            viewer=viewer,
            audit=audit,
            expires=expires,
        )
        return ScopedStore(self._backend, make_scope(options, self._secret))

    # -- maintenance ------------------------------------------------------------------------------------------------

    @property
    def archive(self) -> Archive:
        """The `Archive`, which lists the months of the warm tier for bulk download.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://store-archive-example").archive.months()
            []
        """
        return self._archive

    @property
    def maintenance(self) -> Maintenance:
        """The `Maintenance` object: the store's jobs, verification and status.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://store-maintenance-example").maintenance.verify().ok
            True
        """
        return self._maintenance

    def erase(
        self,
        query: Query | Mapping[str, Any],
        *,
        reason: str,
        dry_run: bool = True,
        now: datetime | None = None,
    ) -> EraseReport:
        """Permanently erase all calls that match a query, in both tiers.

        .. warning::
            An erasure cannot be undone. Without ``dry_run=False``, it only counts the calls. Recordings, copies and
            backups are not erased. A later ingest of the same file stores the calls again.

        The log records *reason* and how many calls were erased, but no erased value.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://erase-example")
            >>> store.erase(cdrkit.Query().customer("1003"), reason="request 17").rows
            0

        Args:
            query: The query that selects the calls, or a dict that `Query.to_dict` returned. It needs a condition or a
                period, and must have no limit or cursor.
            reason: The reason, for the log. It must not contain values of the query.
            dry_run: Whether only to count the calls, which is the default. False erases them.
            now: The instant at which presets are resolved, as an aware datetime. The default is the current time.

        Returns:
            A report of the number of calls, and of the segments that held them.

        Raises:
            QueryError: When the query selects every call or a page, or the reason is not acceptable.
            ConflictError: When another maintenance job is running, or other writers kept adding or changing matching
                calls.
            StorageError: When segments that are not in the log hold matching calls. Run `Maintenance.rebuild_log`, and
                erase again.
        """
        checked = self._check_query(query)
        check_reason(reason, checked)
        return self._erase(checked, reason, dry_run, now)

    def expire(
        self,
        before: str | date | datetime,
        *customers: str,
        dry_run: bool = True,
        now: datetime | None = None,
    ) -> EraseReport:
        """Permanently erase calls that began before a given time.

        .. warning::
            This erasure, like `erase`, cannot be undone. Without ``dry_run=False``, it only counts the calls.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://expire-example")
            >>> store.expire("2025-01-01", "1003").rows
            0

        Args:
            before: The end of the erased period, exclusive: an aware datetime, a date or ISO 8601 text, in UTC.
            customers: The ids of the customers whose calls are erased. The default is all customers.
            dry_run: Whether only to count the calls, which is the default. False erases them.
            now: As for `erase`.

        Returns:
            A report of the number of calls, and of the segments that held them.

        Raises:
            QueryError: When *before* is not an instant, or *now* is naive.
            ConflictError: As for `erase`.
            StorageError: As for `erase`.
        """
        if before is None:
            raise QueryError(
                "before=None is not an instant. Give an aware datetime, a date or an ISO 8601 string.",
                parameter="before",
            )
        query = Query().between(None, parse_instant(before, parameter="before"))
        return self._erase(query.customer(*customers) if customers else query, "retention", dry_run, now)

    def _erase(self, query: Query, reason: str, dry_run: bool, now: datetime | None) -> EraseReport:
        with job_lease(self._log, self._snapshot, "erase", dry_run=dry_run):
            facts = {"reason": reason}
            return erase_calls(
                self._log, self._tiers, query, now=check_now(now), facts=facts, dry_run=dry_run
            )


def _refuse_calls(source: object) -> None:
    """Raise an error if *source* is a table or consists of call records.

    Such a source already contains calls, and ingest() cannot read it. Dicts are accepted, because they are documents
    of JSON formats.

    Raises:
        ConfigError: When *source* is a table or consists of call records.
    """
    is_table = hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__")
    first = source[0] if isinstance(source, (list, tuple)) and source else source
    if is_table or isinstance(source, pl.LazyFrame) or isinstance(first, CallRecord):
        kind = type(source).__name__
        raise ConfigError(
            f"ingest() reads files, but a {kind} already contains calls. Store it with append()."
        )
