"""The audit: each access is reported before a byte is sent, and a failed report prevents it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdrkit import AuditEvent, Query, Store
from tests.access.tenants import MINE, audited_scope, scope


class TestAudit:
    """The audit of recordings and exports."""

    def test_audit(self, store: Store, tmp_path: Path) -> None:
        """The audit hears who did what when, before a byte leaves."""
        events: list[AuditEvent] = []
        scoped = audited_scope(store, events)
        recording = scoped.recording(MINE[1])
        assert (recording.exists, recording.format, recording.size_bytes) == (True, "wav", 15)
        assert events == []  # looking is not hearing
        recording.read(0, 4)
        with recording.open():
            pass
        recording.download(tmp_path / "a.wav")
        query = Query().connected()
        result = scoped.run(query)
        result.count(), result.page(3)
        assert len(events) == 3
        result.write_csv(tmp_path / "a.csv")
        result.iter_csv()
        (
            result.to_arrow(),
            result.to_polars(),
            result.to_pandas(),
            result.to_text(),
            list(result),
            result.batches(),
        )
        assert [(event.action, event.call_id, event.format) for event in events] == [
            ("play", "call-1", None),
            ("play", "call-1", None),
            ("download", "call-1", None),
            *(
                ("export", None, kind)
                for kind in ("csv", "csv", "arrow", "polars", "pandas", "text", "records", "arrow")
            ),
        ]
        assert {(event.viewer, event.tenant) for event in events} == {("ann", "customer_id=1003")}
        assert all(event.query == query for event in events if event.action == "export")
        assert all(timedelta(0) <= datetime.now(UTC) - event.at < timedelta(minutes=5) for event in events)

    def test_an_audit_that_fails(self, store: Store, tmp_path: Path) -> None:
        """When the audit cannot take it, nothing leaves."""

        def full(event: AuditEvent) -> None:
            raise OSError("disk full")

        scoped = scope(store, recordings=["play", "download"], audit=full)
        recording = scoped.recording(MINE[1])
        leaks: list[Callable[[], object]] = [
            recording.read,
            recording.open,
            lambda: recording.download(tmp_path / "a.wav"),
            lambda: scoped.run().write_csv(tmp_path / "a.csv"),
            scoped.run().iter_csv,
            scoped.run().to_arrow,
        ]
        for leak in leaks:
            with pytest.raises(OSError, match="disk full"):
                leak()
        assert list(tmp_path.iterdir()) == []
