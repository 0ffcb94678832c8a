"""Following a file: each row is stored once, also after rotation, truncation and a killed process."""

from __future__ import annotations

import bz2
import gzip
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdrkit import IngestReport, Store, open_store
from cdrkit.errors import ConfigError, SchemaError
from cdrkit.samples import asterisk_lines
from cdrkit.storage.log.log import Log
from cdrkit.storage.log.object_checksum import add_checksum

LINES = b"".join(asterisk_lines(1500, days=1, seed=5)).splitlines(keepends=True)
OPTIONS: dict[str, Any] = {"format": "asterisk-csv", "timezone": "Europe/London"}


class Switch:
    """A switch that writes its file, and turns it over in whatever way."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "Master.csv"
        self.written = 0
        self._turns = 0

    def write(self, rows: int, *, torn: int = 0) -> None:
        """Write some rows; of the last, keep back the last *torn* bytes until `complete`."""
        data = b"".join(LINES[self.written : self.written + rows])
        self.written += rows
        self._missing = data[len(data) - torn :]
        with self.path.open("ab") as file:
            file.write(data[: len(data) - torn])

    def complete(self) -> None:
        with self.path.open("ab") as file:
            file.write(self._missing)

    def rename(self) -> Path:
        self._turns += 1
        target = self.path.with_name(f"Master.csv.{self._turns}")
        self.path.rename(target)
        return target

    def truncate(self) -> None:
        self._turns += 1
        shutil.copy(self.path, self.path.with_name(f"Master.csv.{self._turns}"))
        with self.path.open("r+b") as file:
            file.truncate()

    def compress(self, how: Callable[[bytes], bytes] = gzip.compress, suffix: str = ".gz") -> None:
        old = self.rename()
        old.with_name(old.name + suffix).write_bytes(how(old.read_bytes()))
        old.unlink()


@pytest.fixture
def switch(tmp_path: Path) -> Switch:
    """Return a switch that has written nothing yet."""
    return Switch(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store on the disk."""
    return open_store(tmp_path / "store")


def look(store: Store, switch: Switch) -> list[IngestReport]:
    """Take what there is, as a process that was just started does."""
    return list(open_store(store._name).follow(switch.path, wait=False, **OPTIONS))


def counts(reports: list[IngestReport]) -> tuple[int, int, int, int]:
    """Return the sums of some reports."""
    return (
        sum(report.read for report in reports),
        sum(report.added for report in reports),
        sum(report.duplicates for report in reports),
        sum(report.rejected for report in reports),
    )


def test_new_rows_only(store: Store, switch: Switch) -> None:
    """Stored rows are not read again, also by the next process; a missing file is waited for."""
    assert look(store, switch) == []
    switch.write(100)
    assert counts(look(store, switch)) == (100, 100, 0, 0)
    assert look(store, switch) == []
    switch.write(1)
    assert counts(look(store, switch)) == (1, 1, 0, 0)
    assert store.count() == 101


@pytest.mark.parametrize("torn", [1, 2, 30, 200])
def test_a_torn_line_waits(store: Store, switch: Switch, torn: int) -> None:
    """A last line that is not all there is neither rejected nor lost."""
    switch.write(10, torn=torn)
    assert counts(look(store, switch))[0] in (8, 9)
    assert look(store, switch) == []
    switch.complete()
    look(store, switch)
    assert store.count() == 10


def test_a_row_of_two_lines_waits(store: Store, switch: Switch) -> None:
    """A quoted line end within a row does not end it."""
    switch.write(1)
    row = LINES[1].replace(b'"DOCUMENTATION"', b'"DOCU\nMENTATION"')
    first, second = row.split(b"\n", 1)
    with switch.path.open("ab") as file:
        file.write(first + b"\n")
    assert counts(look(store, switch)) == (1, 1, 0, 0)
    with switch.path.open("ab") as file:
        file.write(second)
    assert counts(look(store, switch)) == (1, 1, 0, 0)


TURNS: dict[str, Callable[[Switch], object]] = {
    "renamed": Switch.rename,
    "truncated": Switch.truncate,
    "gzip": Switch.compress,
    "bzip2": lambda switch: switch.compress(bz2.compress, ".bz2"),
}


@pytest.mark.parametrize("turn", TURNS)
def test_rotation(store: Store, switch: Switch, turn: str) -> None:
    """The rest of a file that was turned over is taken from where it is now, and then the new one."""
    switch.write(100)
    look(store, switch)
    switch.write(20)
    TURNS[turn](switch)
    if turn != "truncated":
        assert look(store, switch) == []  # between two files
    switch.write(30)
    assert counts(look(store, switch)) == (50, 50, 0, 0)
    assert look(store, switch) == []
    switch.write(5)
    TURNS[turn](switch)
    switch.write(5)
    TURNS[turn](switch)
    switch.write(5)
    assert counts(look(store, switch)) == (15, 15, 0, 0)
    assert store.count() == 165


def test_a_file_that_is_gone(store: Store, switch: Switch, caplog: pytest.LogCaptureFixture) -> None:
    """When what the file was is nowhere, that is said, and the new one is taken."""
    switch.write(10)
    look(store, switch)
    switch.path.unlink()
    switch.write(10)
    assert counts(look(store, switch)) == (10, 10, 0, 0)
    assert "may be missing" in caplog.text


def test_rejects_are_counted_once(store: Store, switch: Switch) -> None:
    """A bad row is rejected when another one follows, with its number in the file, and never again."""
    switch.write(10)
    look(store, switch)
    with switch.path.open("ab") as file:
        file.write(b"one,bad\n")
    assert look(store, switch) == []
    switch.write(1)
    reports = look(store, switch)
    assert counts(reports) == (2, 1, 0, 1)
    assert [reject.row for report in reports for reject in report.rejects] == [11]
    assert look(store, switch) == []


def test_positions_survive_checkpoints(tmp_path: Path, store: Store, switch: Switch) -> None:
    """A position is known after the commit that brought it was dropped; logs without positions are read."""
    switch.write(10)
    look(store, switch)
    for number in range(3):
        store.ingest(LINES[1400 + number], **OPTIONS)
    log: Log = store._log
    log.checkpoint(log.snapshot())
    assert log.clean(datetime.now(UTC) + timedelta(hours=2)) == 5  # every commit there was
    [position] = open_store(tmp_path / "store")._log.snapshot().positions.values()
    assert position["lines"] == 10
    assert look(store, switch) == []
    # A checkpoint as it was before there were positions.
    path = next((tmp_path / "store" / "hot" / "_log").glob("checkpoint-*.json"))
    body = json.loads(path.read_bytes())["commit"]
    del body["positions"]
    path.write_bytes(add_checksum(body))
    old = open_store(tmp_path / "store")
    assert (old.count(), dict(old._log.snapshot().positions)) == (13, {})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"poll": 0}, "poll=0 is not valid"),
        ({"poll": "x"}, "poll"),
        ({"format": "nope"}, "nope"),
        ({"timezone": None}, "timezone"),
    ],
)
def test_bad_options(store: Store, switch: Switch, options: dict[str, Any], says: str) -> None:
    """Options that cannot work are errors before anything is read."""
    with pytest.raises(ConfigError, match=says):
        next(store.follow(switch.path, **(OPTIONS | options)))


def test_what_cannot_be_followed(store: Store, switch: Switch) -> None:
    """A URL does not grow; a file of something else is an error as long as nothing of it was taken."""
    with pytest.raises(ConfigError, match="cannot be followed"):
        next(store.follow("s3://bucket/Master.csv", **OPTIONS))
    for path in ([switch.path], None, 7):
        with pytest.raises(ConfigError, match="is not a local file"):
            next(store.follow(path, **OPTIONS))  # type: ignore[arg-type]
    switch.path.write_bytes(b"name,number\nAnn,1\nBob,2\n")
    with pytest.raises(SchemaError, match="Asterisk"):
        look(store, switch)
    assert not store.exists


def test_header_is_remembered(tmp_path: Path, store: Store) -> None:
    """Rows below a line of names are read by it, however much later they come."""
    path = tmp_path / "dump.csv"
    path.write_bytes(b"calldate;src;dst;duration;billsec;uniqueid\n")
    follow: Callable[[], list[IngestReport]] = lambda: list(  # noqa: E731
        store.follow(path, format="asterisk-sql", timezone="UTC", wait=False)
    )
    assert follow() == []
    for number in range(3):
        with path.open("ab") as file:
            file.write(
                b"2026-11-22 09:00:0%d;1;2;3;2;%d\nbad\n2026-11-22 09:01:00;1;2;3;2;x%d\n" % ((number,) * 3)
            )
        [report] = follow()
        assert (report.added, report.rejected) == (2, 1)
        assert report.rejects[0].row == 3 * number + 3
    assert store.count() == 6


steps = st.lists(
    st.sampled_from(["write", "write", "write", "tear", "look", "look", "rename", "truncate", "compress"]),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.randoms(use_true_random=False))
def test_any_history(
    tmp_path_factory: pytest.TempPathFactory, history: list[str], chance: random.Random
) -> None:
    """Law: whatever is written, torn, turned over and looked at in whatever order, each row is there once."""
    folder = tmp_path_factory.mktemp("history")
    switch, store = Switch(folder), open_store(folder / "store")
    read = 0
    for step in ["write", "look", *history, "write", "look"]:
        if step in ("write", "tear"):
            switch.write(chance.randrange(1, 40), torn=chance.randrange(1, 100) if step == "tear" else 0)
            if step == "tear":
                read += counts(look(store, switch))[0]
                switch.complete()
        elif step == "look":
            read += counts(look(store, switch))[0]
        elif switch.path.exists():
            getattr(switch, step)()
    assert store.count() == read == switch.written


FOLLOWER = """
import sys
import cdrkit

store = cdrkit.open_store(sys.argv[1])
for report in store.follow(sys.argv[2], format="asterisk-csv", timezone="Europe/London", poll=0.005):
    print(report.read, report.added, report.duplicates, flush=True)
"""


def test_a_follower_is_killed(tmp_path: Path) -> None:
    """A follower killed at any time and started again has each row once, while the file grows and is turned over."""
    chance = random.Random(7)
    switch = Switch(tmp_path)
    store = open_store(tmp_path / "store")
    begun = time.monotonic()
    kills = 0
    while switch.written < 900 and time.monotonic() - begun < 60:
        process = subprocess.Popen(
            [sys.executable, "-c", FOLLOWER, str(tmp_path / "store"), str(switch.path)],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        switch.write(50)
        process.stdout.readline()  # it is under way
        for _ in range(chance.randrange(1, 12)):
            switch.write(chance.randrange(1, 30))
            time.sleep(chance.random() * 0.02)
            if chance.random() < 0.2:
                chance.choice([Switch.rename, Switch.truncate, Switch.compress])(switch)
                switch.write(chance.randrange(1, 30))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        kills += 1
    switch.write(1)
    look(store, switch)
    assert kills >= 3
    assert store.count() == switch.written
    assert store.maintenance.verify().ok
