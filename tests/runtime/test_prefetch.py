"""Prefetch: the order of items, errors, and no thread that outlives its caller."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from cdrkit import open_store
from cdrkit._runtime.prefetch import prefetch_items
from cdrkit.errors import SchemaError
from cdrkit.samples import asterisk_lines

LAST_THREAD = """
import sys, threading, time
from cdrkit import open_store  # no module that needs threads can be loaded after the main thread's end
def work():
    threading.main_thread().join()
    store = open_store(sys.argv[1])
    print(store.ingest(sys.argv[2], format="asterisk-csv", timezone="UTC").added)
threading.Thread(target=work).start()
"""


def numbers(upto: int, made: list[int], closed: list[bool]) -> Generator[int]:
    """Yield numbers, noting each as it is made, and the end."""
    try:
        for number in range(upto):
            made.append(number)
            yield number
    finally:
        closed.append(True)


@pytest.mark.parametrize("upto", [0, 1, 2, 50])
def test_all_in_order(upto: int) -> None:
    """Everything comes, once, in its order."""
    closed: list[bool] = []
    assert list(prefetch_items(numbers(upto, [], closed))) == list(range(upto))
    assert closed == [True]


def test_no_more_than_one_ahead() -> None:
    """What nobody asks for is not made, but for one; who stops early ends it all."""
    made: list[int] = []
    closed: list[bool] = []
    threads = threading.enumerate()
    with contextlib.closing(prefetch_items(numbers(50, made, closed))) as items:
        assert [next(items) for _ in range(3)] == [0, 1, 2]
    assert made in ([0, 1, 2], [0, 1, 2, 3])
    assert closed == [True]
    assert set(threading.enumerate()) <= set(threads)


def test_errors_come_where_they_belong() -> None:
    """An error comes after what was made before it."""

    def failing() -> Generator[int]:
        yield 1
        yield 2
        raise SchemaError("no more")

    items = prefetch_items(failing())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(SchemaError, match="no more"):
        next(items)


def test_nothing_is_read_after_an_error(tmp_path: Path) -> None:
    """An ingest that failed has closed its file and ended its threads, also while its error is kept."""
    path = tmp_path / "Master.csv"
    lines = b"".join(asterisk_lines(60_000))
    path.write_bytes(b"no,call\n" + lines)
    threads = threading.enumerate()
    with pytest.raises(SchemaError) as kept:
        open_store("memory://ahead-error").ingest(
            path, format="asterisk-csv", timezone="UTC", on_reject="raise"
        )
    assert kept.value.__traceback__ is not None
    opened = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
    assert str(path) not in opened
    assert set(threading.enumerate()) <= set(threads)


def test_the_callers_stream_is_read_in_the_callers_thread() -> None:
    """A stream that is bound to its thread can be ingested."""
    lines = b"".join(asterisk_lines(200))
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE files (content BLOB)")
        database.execute("INSERT INTO files VALUES (?)", [lines])
        with database.blobopen("files", "content", 1) as blob:
            given: Any = blob
            report = open_store("memory://ahead-blob").ingest(given, format="asterisk-csv", timezone="UTC")
    assert report.read == 200


def test_when_the_interpreter_ends(tmp_path: Path) -> None:
    """A thread that outlives the main one can ingest, though no other thread can begin any more."""
    path = tmp_path / "Master.csv"
    path.write_bytes(b"".join(asterisk_lines(120_000, days=3)))
    done = subprocess.run(
        [sys.executable, "-c", LAST_THREAD, str(tmp_path / "calls"), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert int(done.stdout) > 119_000
