"""The lease of maintenance jobs: one job at a time; the lease of a dead process stops no other job."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdrkit import Query, Store, open_store
from cdrkit._files import Files, open_files
from cdrkit._maintenance.lease import acquire_lease
from cdrkit.errors import ConflictError
from tests.months import NOW, calls_of, inside


@pytest.fixture
def files(store: Store) -> Files:
    """Return the files of a store, on each kind of filesystem in turn."""
    return inside(store).files


def leases(files: Files) -> list[str]:
    """Return where leases lie."""
    return [entry.path for entry in files.list("_log/lease")]


def test_one_at_a_time(files: Files) -> None:
    """While one job holds it, the error of the next names the job and its host; after it, the next goes on."""
    for _ in range(3):
        with acquire_lease(files, "rollover"):
            with (
                pytest.raises(ConflictError, match=r"job move_to_warm is running on .*, in process \d+"),
                acquire_lease(files, "vacuum"),
            ):
                pytest.fail("two hold it")
            assert len(leases(files)) == 1
    assert len(leases(files)) == 1


def test_it_ends_with_an_error(files: Files) -> None:
    """A job that fails gives it back, and its error is the one that is seen."""
    with pytest.raises(ZeroDivisionError), acquire_lease(files, "compact"):
        raise ZeroDivisionError
    with acquire_lease(files, "compact"):
        pass


def test_of_many_threads_one_gets_it(tmp_path: Path) -> None:
    """Of many that ask at once exactly one goes on."""
    files, start, end = open_files(tmp_path), threading.Barrier(8), threading.Event()
    holding: list[int] = []
    refused: list[ConflictError] = []

    def work(number: int) -> None:
        start.wait()
        try:
            with acquire_lease(files, "vacuum"):
                holding.append(number)
                end.wait()
        except ConflictError as exc:
            refused.append(exc)
            if len(refused) == 7:
                end.set()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(holding), len(refused)) == (1, 7)


_KILLED = """
import os, sys
from cdrkit._files import open_files
from cdrkit._maintenance.lease import acquire_lease
with acquire_lease(open_files(sys.argv[1]), "rollover"):
    os._exit(9)
"""


def test_a_dead_holder_holds_nothing(tmp_path: Path) -> None:
    """A process of this machine that was killed while it held it does not keep others waiting."""
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False)
    assert done.returncode == 9
    assert len(leases(open_files(tmp_path))) == 1
    with acquire_lease(open_files(tmp_path), "vacuum"):
        pass


_CRAMPED = """
import resource, signal, sys
from cdrkit._files import open_files
from cdrkit._maintenance.lease import acquire_lease
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with acquire_lease(open_files(sys.argv[1]), "rollover"):
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, -1))
print("over", flush=True)
sys.stdin.read()
"""


def test_a_holder_without_room_gives_it_back(tmp_path: Path) -> None:
    """A process that lives on gives it back after its job though the disk is full by then."""
    command = [sys.executable, "-c", _CRAMPED, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"over"
        with acquire_lease(open_files(tmp_path), "vacuum"):
            pass


def _held_elsewhere(files: Files, until: datetime) -> None:
    about = {
        "job": "compact",
        "host": "another.example",
        "process": 1,
        "token": "0",
        "until": until.isoformat(),
        "released": False,
    }
    assert files.create(f"_log/lease/{7:020d}.json", json.dumps(about).encode())


def test_another_machine_holds_it_until_it_runs_out(files: Files) -> None:
    """Whether a process on another machine lives cannot be seen: its lease counts until it runs out."""
    _held_elsewhere(files, datetime.now(UTC) + timedelta(hours=1))
    with pytest.raises(ConflictError, match=r"another\.example"), acquire_lease(files, "vacuum"):
        pytest.fail("two hold it")


def test_a_lease_that_ran_out_is_taken_over(files: Files) -> None:
    """Once it has run out, the next one goes on."""
    _held_elsewhere(files, datetime.now(UTC) - timedelta(seconds=1))
    with acquire_lease(files, "vacuum"):
        assert leases(files) == [f"_log/lease/{8:020d}.json"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"7", b"null", b"\xff", b'{"job": 1}', b'"until"'], ids=repr
)
def test_a_damaged_lease_is_none(tmp_path: Path, content: bytes) -> None:
    """What cannot be read stops nobody."""
    files = open_files(tmp_path)
    files.put(f"_log/lease/{3:020d}.json", content)
    with acquire_lease(files, "vacuum"):
        pass


def test_strange_values_stop_nobody(tmp_path: Path) -> None:
    """A lease whose time or process makes no sense stops nobody either."""
    files = open_files(tmp_path)
    _held_elsewhere(files, datetime.now(UTC) + timedelta(hours=1))
    whole = json.loads(files.read(f"_log/lease/{7:020d}.json"))
    for number, strange in enumerate([{"until": "soon"}, {"until": 5}, {"until": "2026-01-01T00:00:00"}]):
        files.put(f"_log/lease/{8 + number * 9:020d}.json", json.dumps(whole | strange).encode())
        with acquire_lease(files, "vacuum"):
            pass


def test_jobs_of_a_store_take_it(tmp_path: Path) -> None:
    """While a job is under way, every other one is refused; looking, writing and dry runs go on."""
    store = open_store(tmp_path)
    store.append(calls_of("2026-05"))
    other = open_store(tmp_path)
    jobs: list[Callable[[], object]] = [
        lambda: other.maintenance.move_to_warm(now=NOW),
        other.maintenance.compact,
        other.maintenance.vacuum,
        lambda: other.maintenance.run(now=NOW),
        lambda: other.erase(Query().customer("1001"), reason="why", dry_run=False),
        lambda: other.expire(NOW, dry_run=False),
    ]
    with acquire_lease(inside(store).files, "rollover"):
        for job in jobs:
            with pytest.raises(ConflictError, match="The job move_to_warm is running"):
                job()
        assert other.maintenance.move_to_warm(now=NOW, dry_run=True).rows == 6
        assert other.maintenance.compact(dry_run=True).rows == 0
        assert other.erase(Query().customer("1001"), reason="why").rows == 2
        assert other.maintenance.verify().ok
        assert other.append(calls_of("2026-06")).added == 6
        assert other.count() == 12
    for job in jobs:
        job()
    assert other.count() == 0


def test_nothing_is_made_where_there_is_no_store(tmp_path: Path) -> None:
    """A job on a place without a store does nothing, and leaves no lease behind."""
    store = open_store(tmp_path / "none")
    store.maintenance.run(now=NOW)
    assert not (tmp_path / "none").exists()
