"""Fixtures for the tests of maintenance."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdrkit import Store, open_store
from tests.maintenance.segments import HOUR
from tests.months import NOW, calls_of, inside


@pytest.fixture
def verified(tmp_path: Path) -> Store:
    """Return a store with both tiers, all of which has been read once, so that everything is cached."""
    store = open_store(tmp_path, region="GB")
    store.append(calls_of("2026-05", "2026-11"))
    store.maintenance.move_to_warm(now=NOW)
    store.maintenance.vacuum(now=datetime.now(UTC) + 2 * HOUR)
    assert len(list(store.run())) == 12
    report = store.maintenance.verify()
    assert (report.ok, report.problems, report.segments, report.rows, report.orphans) == (True, (), 7, 12, 0)
    assert report.version == inside(store).log.snapshot().version
    return store
