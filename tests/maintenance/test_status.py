"""The status of a store: reported values, unknown values, and no read of a data file."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdrkit import Query, open_store
from cdrkit._maintenance.status import StoreStatus, TierStatus
from cdrkit.errors import ConfigError
from tests.months import NOW, calls_of, inside

HOUR = timedelta(hours=1)


def close_to_now(instant: datetime | None) -> bool:
    """Return whether *instant* is of this minute."""
    return instant is not None and abs(instant - datetime.now(UTC)) < timedelta(minutes=1)


def test_nothing_is_there(tmp_path: Path) -> None:
    """Where no store was made, all is zero and no work is due."""
    status = open_store(tmp_path / "calls").maintenance.status()
    assert status == StoreStatus(tiers={"hot": TierStatus(), "warm": TierStatus()})
    assert (status.calls, status.first_call, status.last_append, status.work_due) == (0, None, None, ())
    assert not (tmp_path / "calls").exists()


def test_both_tiers(tmp_path: Path) -> None:
    """Calls, bytes and segments are counted by tier; the instants are those of the calls and of the changes."""
    store = open_store(tmp_path)
    calls = calls_of("2026-05", "2026-11")
    store.append(calls)
    status = store.maintenance.status(now=NOW)
    assert status.calls == status.tiers["hot"].calls == 12
    assert status.last_maintenance is None
    assert close_to_now(status.last_append)
    assert status.work_due == ("Move to warm: 6 calls in 6 segments would be moved. Months: 2026-05.",)
    store.maintenance.move_to_warm(now=NOW)
    status = store.maintenance.status(now=NOW)
    assert (status.first_call, status.last_call) == (calls[0].start, calls[-1].start)
    assert {name: tier.calls for name, tier in status.tiers.items()} == {"hot": 6, "warm": 6}
    sizes = [path.stat().st_size for path in tmp_path.rglob("*.parquet")]
    assert (status.tiers["warm"].size_bytes, status.tiers["warm"].segments) == (sum(sizes), len(sizes))
    assert close_to_now(status.last_maintenance)
    assert status.work_due == ()


def test_work_due_by_the_given_months(tmp_path: Path) -> None:
    """Months are due by *keep_months*, as in the move itself."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    assert store.maintenance.status(keep_months=12, now=NOW).work_due == ()
    assert len(store.maintenance.status(keep_months=0, now=NOW).work_due) == 1
    with pytest.raises(ConfigError, match="keep_months=-1"):
        store.maintenance.status(keep_months=-1)


def test_small_segments_and_a_vacuum_are_due(tmp_path: Path) -> None:
    """Small segments are due for a compaction, and the replaced ones for a vacuum an hour later."""
    store = open_store(tmp_path)
    for part in ("-a", "-b", "-c"):
        store.append(calls_of("2026-11", part=part, each=1))
    (compaction,) = store.maintenance.status(now=NOW).work_due
    assert compaction == "Compaction: 3 calls in 3 segments would be merged."
    store.maintenance.compact()
    assert store.maintenance.status(now=datetime.now(UTC)).work_due == ()
    late = datetime.now(UTC) + 2 * HOUR
    assert store.maintenance.status(keep_months=99, now=late).work_due == (
        "Vacuum: Would remove 3 segments.",
    )
    store.maintenance.vacuum(now=late)
    assert store.maintenance.status(keep_months=99, now=late).work_due == ()


def test_after_the_log_was_cleaned(tmp_path: Path) -> None:
    """Without its commit, the last append is known by the newest hot segment, and maintenance by its lease."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-11"))
    store.maintenance.vacuum()
    store.maintenance.vacuum(now=datetime.now(UTC) + 2 * HOUR)
    assert not inside(store).log.recent()
    status = open_store(tmp_path).maintenance.status()
    assert close_to_now(status.last_append)
    assert close_to_now(status.last_maintenance)


def test_an_erasure_is_no_maintenance(tmp_path: Path) -> None:
    """An erasure changes neither the last append nor the last maintenance."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-11"))
    before = store.maintenance.status()
    store.erase(Query().customer("1001"), reason="ticket 17", dry_run=False)
    after = store.maintenance.status()
    assert after.calls < before.calls
    assert (after.last_append, after.last_maintenance) == (before.last_append, None)
    store.maintenance.vacuum()
    before = store.maintenance.status()
    assert before.last_maintenance is not None
    for customer in ("1002", "1003"):
        store.erase(Query().customer(customer), reason="ticket 18", dry_run=False)
        assert store.maintenance.status().last_maintenance == before.last_maintenance


def test_no_data_file_is_read(tmp_path: Path) -> None:
    """A status needs the log and names of files only: damage of the calls does not matter."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05", "2026-11"))
    expected = store.maintenance.status(now=NOW)
    for path in tmp_path.rglob("*.arrow"):
        path.write_bytes(b"damaged")
    assert open_store(tmp_path).maintenance.status(now=NOW) == expected


def test_to_dict_and_text(tmp_path: Path) -> None:
    """The dict holds JSON values, and the text names every fact."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05", each=1))
    status = store.maintenance.status(now=NOW)
    values = json.loads(json.dumps(status.to_dict()))
    assert values["tiers"]["hot"] == {
        "calls": 1,
        "size_bytes": status.tiers["hot"].size_bytes,
        "segments": 1,
    }
    assert values["first_call"] == "2026-05-01T00:00:00Z"
    assert values["last_maintenance"] is None
    assert values["work_due"] == list(status.work_due)
    text = str(status)
    assert "Calls: 1\n" in text
    assert "Tier warm: 0 calls, 0 bytes, 0 segments" in text
    assert "Tier hot: 1 call, " in text
    assert ", 1 segment\n" in text
    assert "Last maintenance: unknown" in text
    assert "Work due: Move to warm: 1 call" in text
    assert "Move to warm" in status._repr_html_()
