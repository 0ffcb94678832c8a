"""The buffered writer: the times of its commits, pending calls, and the loss when a process is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from cdrkit import CallRecord, Store, open_store
from cdrkit._ingest.writer import Writer
from cdrkit.errors import ConfigError, SchemaError, StorageError
from cdrkit.samples import synthesize_calls

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)


def call(number: int, **about: object) -> CallRecord:
    return CallRecord(call_id=f"{number:06d}", start=AT + timedelta(seconds=number), **about)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "calls")


def test_stores_at_so_many_rows(store: Store) -> None:
    """What was added shows in the store as soon as there are max_rows of it, in one append."""
    with store.writer(max_rows=10, max_seconds=None) as writer:
        for number in range(25):
            writer.add(call(number))
            assert store.count() == (number + 1) // 10 * 10
            assert writer.pending == (number + 1) % 10
        assert (
            len(list(Path(str(store._name), "hot", "_log").glob("0*.json"))) == 3
        )  # made, and twice appended
    assert list(store.run()) == [call(number) for number in range(25)]
    assert (writer.report.added, writer.pending) == (25, 0)


def test_stores_after_so_many_seconds(store: Store) -> None:
    """An idle feed's last calls are stored by the clock, without another add."""
    with store.writer(max_rows=1_000, max_seconds=0.05) as writer:
        writer.add([call(1), call(2)])
        deadline = time.monotonic() + 60
        while writer.pending and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [found.call_id for found in store.run()] == ["000001", "000002"]
        writer.add(call(3))
        while writer.pending and time.monotonic() < deadline:
            time.sleep(0.01)
        assert store.count() == 3


def test_takes_what_append_takes(store: Store) -> None:
    """Records and tables may follow each other; they are stored in their order, duplicates counted."""
    table = synthesize_calls(50, days=1)
    with store.writer(max_rows=1_000, max_seconds=None) as writer:
        writer.add(call(1))
        writer.add(table)
        writer.add([call(1), call(2)])
        writer.add(table.slice(0, 0))
    assert (writer.report.added, writer.report.duplicates) == (52, 1)
    assert store.count() == 52


def test_the_last_one_wins_when_replacing(store: Store) -> None:
    """With on_conflict="replace", a call that comes again takes the older one's place, within a flush and across."""
    with store.writer(max_rows=2, max_seconds=None, on_conflict="replace") as writer:
        for duration in (1, 2, 3):
            writer.add(call(1, duration=duration))
    assert [found.duration for found in store.run()] == [3]


def test_bad_data_is_refused_at_once(store: Store) -> None:
    """A table that does not fit is refused by add; what was pending stays."""
    with store.writer(max_seconds=None) as writer:
        writer.add(call(1))
        with pytest.raises(SchemaError, match="colour"):
            writer.add(pa.table({"call_id": ["1"], "start": [AT], "colour": ["red"]}))
        assert writer.pending == 1
    assert store.count() == 1


def test_failing_storage_keeps_calls_pending(tmp_path: Path) -> None:
    """While the disk refuses writes, calls stay pending and are reported; when it works again, each is stored once."""
    place = tmp_path / "calls"
    place.write_text("a file where the folder should be")
    writer = open_store(place).writer(max_rows=2, max_seconds=None)
    writer.add(call(1))
    for number in (2, 3):
        with pytest.raises(StorageError):
            writer.add(call(number))
    with pytest.raises(StorageError):
        writer.flush()
    assert writer.pending == 3
    place.unlink()
    writer.close()
    assert [found.call_id for found in open_store(place).run()] == ["000001", "000002", "000003"]


def test_failure_of_the_clock_is_reported(tmp_path: Path) -> None:
    """What failed in the background is raised by the next add."""
    place = tmp_path / "calls"
    place.write_text("a file where the folder should be")
    writer = open_store(place).writer(max_rows=1_000, max_seconds=0.02)
    writer.add(call(1))
    deadline = time.monotonic() + 60
    with pytest.raises(StorageError):  # noqa: PT012  # when, is the clock's business
        while time.monotonic() < deadline:
            time.sleep(0.02)
            writer.add([])
    place.unlink()
    writer.close()
    assert open_store(place).count() == 1


def feed(writer: Writer, first: int, calls: int) -> None:
    for number in range(first, first + calls):
        writer.add(call(number))


def test_many_threads(store: Store) -> None:
    """Threads may share a writer; every call is stored once."""
    with store.writer(max_rows=7, max_seconds=0.01) as writer:
        threads = [
            threading.Thread(target=lambda first=first: feed(writer, first, 40))
            for first in range(0, 160, 40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert writer.report.added == 160
    assert [found.call_id for found in store.run()] == [f"{number:06d}" for number in range(160)]


def test_closing(store: Store) -> None:
    """Leaving the block stores what was taken, also after an error; a closed writer takes nothing, and closes again."""
    with pytest.raises(ZeroDivisionError), store.writer(max_seconds=None) as writer:  # noqa: PT012
        writer.add(call(1))
        raise ZeroDivisionError
    assert store.count() == 1
    writer.close()
    with pytest.raises(ConfigError, match="closed"):
        writer.add(call(2))


def test_forgetting_it_warns(store: Store) -> None:
    """Calls that are lost with a forgotten writer are warned of."""
    writer = store.writer(max_seconds=None)
    writer.add(call(1))
    with pytest.warns(ResourceWarning, match="1 pending calls"):
        del writer


@pytest.mark.parametrize(
    "options",
    [{"max_rows": 0}, {"max_rows": True}, {"max_seconds": 0}, {"max_seconds": -1}, {"on_conflict": "ask"}],
)
def test_bad_options(store: Store, options: dict[str, object]) -> None:
    """Options that cannot work are refused with their value."""
    with pytest.raises(ConfigError, match=str(next(iter(options.values())))):
        store.writer(**options)  # type: ignore[arg-type]


def test_kill_loses_only_what_is_pending(tmp_path: Path) -> None:
    """A process killed amid its feed leaves all that was flushed, and of the rest nothing or whole flushes."""
    script = """
import sys
from datetime import datetime, timedelta, timezone
import cdrkit
writer = cdrkit.open_store(sys.argv[1]).writer(max_rows=10, max_seconds=None)
at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
for number in range(100_000):
    writer.add(cdrkit.CallRecord(call_id=f"{number:06d}", start=at + timedelta(seconds=number)))
    if not writer.pending:
        print(number + 1, flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "calls")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(4)][-1]
        process.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
    found = [record.call_id for record in open_store(tmp_path / "calls").run()]
    assert len(found) in (acknowledged, acknowledged + 10)
    assert found == [f"{number:06d}" for number in range(len(found))]
