"""Appends: duplicates, conflicts, replacement, concurrent writers, and failures."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import fsspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cdrkit
from cdrkit import CallRecord, Query, open_store
from cdrkit._files import open_files
from cdrkit._files.local import LocalFiles
from cdrkit._model import frames_of
from cdrkit.errors import AccessDeniedError, ConfigError, ConflictError, SchemaError, StorageError
from cdrkit.storage.append import buffer, segment_writer
from cdrkit.storage.log.segment import Segment
from cdrkit.storage.tiers import orphans
from cdrkit.storage.tiers.hot import HotTier
from tests.strategies import records

START = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
_numbers = itertools.count()


def calls(ids: range, **fields: object) -> list[CallRecord]:
    """Return calls a minute apart, crossing a day's end."""
    return [CallRecord(call_id=f"{n:06d}", start=START + timedelta(minutes=n), **fields) for n in ids]  # type: ignore[arg-type]


def identities(store: cdrkit.Store) -> list[str]:
    """Return the ids in the store."""
    return [call.call_id for call in store.run()]


def test_same_content_is_skipped(tmp_path: Path) -> None:
    """Appending the same calls again adds nothing and counts them as duplicates."""
    store = open_store(tmp_path)
    assert store.append(calls(range(50))).added == 50
    report = store.append(calls(range(40, 60)))
    assert (report.added, report.duplicates, report.conflicts) == (10, 10, 0)
    assert store.count() == 60


def test_other_content_is_kept_out_and_named(tmp_path: Path) -> None:
    """A call that comes again with other content is a conflict: the first stays, the report names the fields."""
    store = open_store(tmp_path)
    store.append(calls(range(3), duration=5))
    report = store.append(calls(range(2, 4), duration=6, source="1"))
    assert (report.added, report.conflicts) == (1, 1)
    conflict = report.conflicting[0]
    assert (conflict.call_id, conflict.start) == ("000002", START + timedelta(minutes=2))
    assert conflict.start.tzinfo is UTC
    assert set(conflict.fields) == {"duration", "source"}
    assert [call.duration for call in store.run()] == [5, 5, 5, 6]


def test_replace_takes_the_place(tmp_path: Path) -> None:
    """on_conflict="replace" stores the newer content, in one commit, and leaves every other call alone."""
    store = open_store(tmp_path)
    store.append(calls(range(60)))
    before = store.run()
    report = store.append(calls(range(20, 40), charge=Decimal("1.5")), on_conflict="replace")
    assert (report.added, report.replaced, report.conflicts) == (20, 20, 0)
    assert [call.charge is not None for call in store.run()] == [20 <= n < 40 for n in range(60)]
    assert all(call.charge is None for call in before), "a result keeps to the version it was run at"
    assert store.append(calls(range(20, 40), charge=Decimal("1.5")), on_conflict="replace").duplicates == 20


def test_repeats_inside_one_append(tmp_path: Path) -> None:
    """Of rows with one identity in one append the first stays; when replacing, the last."""
    twice = [*calls(range(2), duration=1), *calls(range(2), duration=2), *calls(range(1), duration=1)]
    first = open_store(tmp_path / "first")
    report = first.append(twice)
    assert (report.added, report.duplicates, report.conflicts) == (2, 1, 2)
    assert [call.duration for call in first.run()] == [1, 1]
    last = open_store(tmp_path / "last")
    report = last.append(twice, on_conflict="replace")
    assert report.added == 2
    assert [call.duration for call in last.run()] == [1, 2]


@given(st.lists(st.lists(records(), max_size=10), max_size=4), st.booleans())
def test_report_accounts_for_every_row(batches: list[list[CallRecord]], replace: bool) -> None:
    """Whatever comes in, the store holds each identity once and the report accounts for every row."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder)
        held: dict[object, CallRecord] = {}
        for batch in batches:
            report = store.append(batch, on_conflict="replace" if replace else "report")
            if not replace:
                assert report.added + report.duplicates + report.conflicts == len(batch)
            for record in batch:
                identity = (record.start, record.call_id)
                held[identity] = record if replace else held.get(identity, record)
        expected = sorted(held.values(), key=lambda record: (record.start, record.call_id))
        assert list(store.run()) == expected


def test_everything_that_holds_calls_can_be_appended(tmp_path: Path) -> None:
    """Records, Arrow, Polars, pandas and iterables of batches all store the same calls."""
    table = open_store("memory://append-shapes")
    table.append(calls(range(9), duration=3, direction="inbound", mos=4.2))
    arrow = table.run().to_arrow()
    shapes = {
        "arrow": arrow,
        "batches": iter(arrow.to_batches(max_chunksize=2)),
        "polars": pl.from_arrow(arrow),
        "lazy": pl.from_arrow(arrow).lazy(),  # type: ignore[union-attr]
        "pandas": pytest.importorskip("pandas") and arrow.to_pandas(),
        "records": (record for record in table.run()),
    }
    for name, shape in shapes.items():
        store = open_store(tmp_path / name)
        assert store.append(shape).added == 9, name
        assert list(store.run()) == list(table.run()), name


def test_a_bad_batch_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    """When a later batch does not fit, nothing of the append is stored and no file stays behind."""
    store = open_store(tmp_path)
    store.append(calls(range(3)))
    files = open_files(tmp_path)
    before = files.list("")
    good = pl.DataFrame({"call_id": ["x"], "start": [START]})
    with pytest.raises(SchemaError, match="durration.*Did you mean 'duration'"):
        store.append(iter([good, good.with_columns(durration=pl.lit(3))]))
    assert files.list("") == before
    assert store.count() == 3


def test_region_is_settled_when_the_store_is_made(tmp_path: Path) -> None:
    """A store keeps its region; opening it for another one is refused before anything is written."""
    open_store(tmp_path, region="gb").append(calls(range(1)))
    assert open_store(tmp_path).region == "GB"
    with pytest.raises(ConfigError, match="region='GB'"):
        open_store(tmp_path, region="US").append(calls(range(2)))


def test_threads_append_side_by_side(tmp_path: Path) -> None:
    """Threads that append overlapping calls through one store lose none and double none."""
    store = open_store(tmp_path)
    reports: list[cdrkit.AppendReport] = []

    def work(first: int) -> None:
        for at in range(first, first + 40, 10):
            reports.append(store.append(calls(range(at, at + 20))))

    threads = [threading.Thread(target=work, args=(n * 15,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert identities(store) == [f"{n:06d}" for n in range(95)]
    assert sum(report.added for report in reports) == 95
    assert sum(report.added + report.duplicates for report in reports) == 4 * 4 * 20


def _append_in_process(folder: str, first: int) -> int:
    store = open_store(folder)
    return sum(store.append(calls(range(at, at + 20))).added for at in range(first, first + 100, 10))


def test_processes_append_side_by_side(tmp_path: Path) -> None:
    """Processes that append overlapping calls lose none and double none."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        added = pool.starmap(_append_in_process, [(os.fspath(tmp_path), n * 30) for n in range(3)])
    assert identities(open_store(tmp_path)) == [f"{n:06d}" for n in range(170)]
    assert sum(added) == 170


def _append_and_keep(url: str, options: dict[str, object], first: int) -> int:
    """Append overlapping calls as one machine would, with maintenance in between, and read; return how many."""
    store = open_store(url, storage_options=options)
    added = 0
    for at in range(first, first + 50, 10):
        added += store.append(calls(range(at, at + 20))).added
        with contextlib.suppress(ConflictError):  # another one is at it
            store.maintenance.run()
        found = identities(store)
        assert found == sorted(set(found))
        assert {f"{n:06d}" for n in range(at, at + 20)} <= set(found)
    return added


@pytest.mark.s3
def test_machines_share_a_bucket(s3_options: dict[str, object]) -> None:
    """Processes that share a bucket alone append to it, merge, vacuum and read; no call is lost or doubled."""
    fsspec.filesystem("s3", **s3_options).mkdir("machines")
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        work = [("s3://machines/calls", s3_options, n * 20) for n in range(3)]
        added = pool.starmap(_append_and_keep, work)
    store = open_store("s3://machines/calls", storage_options=s3_options)
    assert identities(store) == [f"{n:06d}" for n in range(100)]
    assert sum(added) == 100
    assert store.maintenance.verify().problems == ()


def test_two_replacements_meet(tmp_path: Path) -> None:
    """Threads replacing the same calls end with one version of each, and lose no call."""
    store = open_store(tmp_path)
    store.append(calls(range(30)))

    def work(duration: int) -> None:
        store.append(calls(range(10, 30), duration=duration), on_conflict="replace")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = list(store.run())
    assert [call.call_id for call in found] == [f"{n:06d}" for n in range(30)]
    assert len({call.duration for call in found[10:]}) == 1


_FULL_DISK = """
import resource, signal, sys
import cdrkit
from cdrkit.errors import StorageError
from tests.storage.append.test_append import calls
store = cdrkit.open_store(sys.argv[1])
store.append(calls(range(3)))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
try:
    store.append(calls(range(3, 500)))
except StorageError as exc:
    print("refused", "Make room" in str(exc))
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
print(store.count(), cdrkit.open_store(sys.argv[1]).count())
print(store.append(calls(range(3, 500))).added)
"""


@pytest.mark.parametrize("room", [0, 100, 4096], ids=["none", "a little", "the segment's first block"])
def test_no_room_while_writing(tmp_path: Path, room: int) -> None:
    """A disk without room refuses the append; the store is as before, and works again when there is room."""
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, os.fspath(tmp_path), str(room)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:3] == ["refused True", "3 3", "497"], done.stderr
    leftovers = [entry for entry in os.listdir(tmp_path / "hot") if entry.startswith(".tmp")]
    assert leftovers == []


_READ_ONLY = """
import os, sys
import cdrkit
from cdrkit._model import frames_of
from cdrkit.errors import AccessDeniedError
from tests.storage.append.test_append import calls
cdrkit.open_store("memory://warm-up").append(calls(range(1)))  # nobody may be unable to import what is still to come
store = cdrkit.open_store(sys.argv[1])
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
try:
    store.append(calls(range(3)))
except AccessDeniedError as exc:
    print("Check its permissions" in str(exc), sys.argv[1] in exc.url)
"""


def test_read_only_folder() -> None:
    """A folder that may not be written to is refused with what to check."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        done = subprocess.run(
            [sys.executable, "-c", _READ_ONLY, folder], capture_output=True, text=True, check=True
        )
        os.chmod(folder, 0o755)
    assert done.stdout == "True True\n", done.stderr


def test_a_filesystem_that_overwrites_is_refused() -> None:
    """A log is not kept where creation is not exclusive: two writers could lose each other's calls."""
    from fsspec.implementations.memory import MemoryFileSystem

    class Overwriting(MemoryFileSystem):  # type: ignore[misc]
        """A filesystem like those that ignore the wish to create only."""

        protocol = "overwriting"

        def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: object) -> None:
            super().pipe_file(path, value, mode="overwrite", **kwargs)

    fsspec.register_implementation("overwriting", Overwriting, clobber=True)
    store = open_store("overwriting://store")
    with pytest.raises(ConfigError, match="exclusive creation"):
        store.append(calls(range(1)))


def test_wrong_words_are_refused(tmp_path: Path) -> None:
    """An unknown on_conflict, and things that hold no calls, say what to give instead."""
    store = open_store(tmp_path)
    with pytest.raises(ConfigError, match="'report' or 'replace'"):
        store.append([], on_conflict="merge")  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="CallRecords"):
        store.append("Master.csv")  # type: ignore[arg-type]
    assert store.append([]).added == 0
    assert not os.path.exists(tmp_path / "hot"), "nothing was made"
    assert store.count(Query().connected()) == 0


def test_errors_share_a_root() -> None:
    """Storage errors are what ``except CdrError`` catches."""
    assert issubclass(AccessDeniedError, StorageError)


def spread(days: int) -> list[CallRecord]:
    """Return one call of each of so many days."""
    return [CallRecord(call_id=f"{day:03d}", start=START + timedelta(days=day)) for day in range(days)]


def test_a_write_that_fails_beside_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When one of many segments that are written together fails, its error is raised, and no file stays behind."""
    monkeypatch.setattr(segment_writer, "_WORTH_THREADS", 1)
    store = open_store(tmp_path)
    store.append(spread(3))
    before = open_files(tmp_path).list("")
    original, written = LocalFiles.put, itertools.count()

    def full(self: LocalFiles, path: str, data: bytes) -> None:
        if path.endswith(".arrow") and next(written) == 1:
            raise StorageError("no room, on purpose")
        original(self, path, data)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFiles, "put", full)
        with pytest.raises(StorageError, match="on purpose"):
            store.append(spread(40))
    assert open_files(tmp_path).list("") == before
    assert store.append(spread(40)).added == 37
    assert list(store.run()) == spread(40)


@pytest.mark.parametrize("on_conflict", ["report", "replace"])
def test_calls_that_are_erased_while_they_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_conflict: Literal["report", "replace"]
) -> None:
    """An append that meets an erasure raises an error and stores nothing; repeated, it stores the calls again."""
    store, other = open_store(tmp_path), open_store(tmp_path)
    store.append(calls(range(5), customer_id="1001"))
    append = type(store._hot).read
    met: list[str] = []

    def erasing(self: HotTier, segment: Segment, *rest: Any) -> pl.DataFrame:
        if not met:
            met.append(segment.id)
            other.erase(Query().customer("1001"), reason="asked for", dry_run=False)
        return append(self, segment, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(HotTier, "read", erasing)
        store._hot._open.clear()  # type: ignore[attr-defined]
        with pytest.raises(ConflictError, match="erasure.*Append again"):
            store.append(calls(range(3, 8), customer_id="1001"), on_conflict=on_conflict)
    assert met
    assert store.count() == 0
    assert store.append(calls(range(3, 8), customer_id="1001"), on_conflict=on_conflict).added == 5
    assert store.maintenance.verify().problems == ()
    assert store.maintenance.verify().orphans == 0


@pytest.mark.parametrize("vacuumed", [False, True], ids=["whole", "vacuumed"])
def test_an_append_that_takes_half_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vacuumed: bool
) -> None:
    """An append that took so long looks for its segments before it commits: a vacuum may have removed them."""
    store = open_store(tmp_path)
    store.append(calls(range(2)))
    monkeypatch.setattr(buffer, "_ROWS_IN_MEMORY", 1)
    monkeypatch.setattr(orphans, "_SAFE", timedelta(0))

    def slow() -> Iterator[pl.DataFrame]:
        yield pl.DataFrame({"call_id": ["x"], "start": [START]})
        yield pl.DataFrame({"call_id": ["y"], "start": [START]})
        if vacuumed:
            assert open_store(tmp_path).maintenance.vacuum(now=datetime.now(UTC) + timedelta(days=2)).segments
        yield pl.DataFrame({"call_id": ["z"], "start": [START + timedelta(days=3)]})

    if vacuumed:
        with pytest.raises(StorageError, match="took so long"):
            store.append(slow())
        assert store.count() == 2
    else:
        assert store.append(slow()).added == 3
        assert store.count() == 5
    assert open_store(tmp_path).maintenance.verify().problems == ()


def test_an_append_that_takes_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a vacuum could take between a look and the commit is not committed, though it is still there."""
    store = open_store(tmp_path)
    store.append(calls(range(2)))
    monkeypatch.setattr(orphans, "_SAFE", timedelta(0))
    monkeypatch.setattr(orphans, "_AT_RISK", timedelta(0))
    with pytest.raises(StorageError, match="took so long"):
        store.append(calls(range(2, 4)))
    assert store.count() == 2
    report = open_store(tmp_path).maintenance.verify()
    assert (report.problems, report.orphans) == ((), 0)


@given(
    st.lists(st.lists(records(), min_size=1, max_size=6), max_size=6),
    st.booleans(),
    st.integers(1, 4),
    st.sampled_from(["report", "replace"]),
)
def test_rows_that_are_stored_while_more_come_in(
    batches: list[list[CallRecord]], in_order: bool, enough: int, on_conflict: Literal["report", "replace"]
) -> None:
    """Law: when days are written, and on which threads, does not change what is stored, and every row is counted."""
    if in_order:
        whole = sorted((call for batch in batches for call in batch), key=lambda call: call.start)
        batches = [whole[at : at + 3] for at in range(0, len(whole), 3)]
    tables = [next(frames_of(batch)) for batch in batches]
    number = next(_numbers)
    at_once, meanwhile = (open_store(f"memory://append-{number}-{name}") for name in "ab")
    expected = at_once.append(iter(tables), on_conflict=on_conflict)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffer, "_ROWS_WORTH_WRITING", enough)
        patch.setattr(segment_writer, "_WORTH_THREADS", 1)
        found = meanwhile.append(iter(tables), on_conflict=on_conflict)
    assert list(meanwhile.run()) == list(at_once.run())
    for report in (found, expected):  # which rows were compared with each other differs
        counted = report.added + report.duplicates + report.conflicts + report.replaced
        assert counted == sum(map(len, batches))
    assert found.added == expected.added
    assert meanwhile.maintenance.verify().orphans == 0
