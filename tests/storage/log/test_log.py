"""The commit log and the files under it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdrkit import CallRecord, open_store
from cdrkit._files import open_files
from cdrkit.errors import ConfigError, CorruptDataError, NotFoundError
from cdrkit.storage.log import object_checksum
from cdrkit.storage.log.log import Log

START = datetime(2026, 11, 22, tzinfo=UTC)


def filled(folder: Path, commits: int = 3) -> None:
    """Make a store of some commits with ten calls each."""
    store = open_store(folder)
    for n in range(commits):
        store.append(
            [
                CallRecord(call_id=f"{n}-{i}", start=START + timedelta(days=n, seconds=i), source=f"+44{i}")
                for i in range(10)
            ]
        )


def test_one_of_many_creators_wins(tmp_path: Path) -> None:
    """Of several commits on one version just one succeeds; the other writers get None and lose nothing."""
    log, rival = (Log(open_files(tmp_path)) for _ in range(2))
    base = log.create({"region": None})
    assert rival.snapshot().version == 0
    assert log.commit(base, "append") is not None
    assert rival.commit(base, "append") is None
    assert rival.snapshot().version == 1


def test_own_commit_is_recognised(tmp_path: Path) -> None:
    """A writer whose first try took effect although its answer was lost recognises the commit as its own."""

    class Forgetful:
        """Files whose creations are reported as someone else's, as after a lost answer."""

        def __init__(self) -> None:
            self._files = open_files(tmp_path)

        def __getattr__(self, name: str) -> object:
            return getattr(self._files, name)

        def create(self, path: str, data: bytes) -> bool:
            self._files.create(path, data)
            return False

    log = Log(Forgetful())  # type: ignore[arg-type]
    base = log.create({"region": None})
    after = log.commit(base, "append")
    assert after is not None
    assert after.version == 1


@pytest.mark.parametrize("version", [0, 1, 3])
def test_damaged_commit_is_named(tmp_path: Path, version: int) -> None:
    """A commit with any byte changed is refused, by name; no calls are returned."""
    filled(tmp_path)
    path = tmp_path / "hot" / "_log" / f"{version:020d}.json"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptDataError, match=path.name):
        open_store(tmp_path).count()


def test_lost_first_commit_is_not_an_empty_store(tmp_path: Path) -> None:
    """A log whose beginning is gone is damaged, not empty."""
    filled(tmp_path)
    os.unlink(tmp_path / "hot" / "_log" / f"{0:020d}.json")
    with pytest.raises(CorruptDataError, match="missing"):
        open_store(tmp_path).count()


def test_newer_format_is_refused(tmp_path: Path) -> None:
    """A store written by a newer cdrkit says so instead of being misread."""
    filled(tmp_path, 0)
    log = Log(open_files(tmp_path / "hot"))
    log.create({"region": None})
    path = tmp_path / "hot" / "_log" / f"{0:020d}.json"
    body = json.loads(path.read_bytes())["commit"] | {"format": 99}
    path.write_bytes(
        object_checksum._encode_json({"checksum": object_checksum._checksum(body), "commit": body})
    )
    with pytest.raises(ConfigError, match="newer cdrkit"):
        open_store(tmp_path).count()


def test_any_flipped_byte_of_a_segment(tmp_path: Path) -> None:
    """Whatever byte of a segment is changed, reading gives the right calls or CorruptDataError, never other calls."""
    filled(tmp_path, 1)
    expected = list(open_store(tmp_path).run())
    (segment,) = (tmp_path / "hot").glob("day=*/*.arrow")
    good = segment.read_bytes()
    refused = 0
    for at in range(0, len(good), 3):
        damaged = bytearray(good)
        damaged[at] ^= 0x55
        segment.write_bytes(damaged)
        try:
            found = list(open_store(tmp_path).run())
        except CorruptDataError as exc:
            assert segment.name in str(exc)
            refused += 1
        else:
            assert found == expected, f"byte {at}"
    assert refused > 100


def test_missing_segment_is_named(tmp_path: Path) -> None:
    """A segment that is gone is an error that names it, not fewer calls."""
    filled(tmp_path, 2)
    segment = min((tmp_path / "hot").glob("day=*/*.arrow"))
    segment.unlink()
    with pytest.raises(NotFoundError, match=segment.name):
        list(open_store(tmp_path).run())


@pytest.mark.parametrize("cut", [0, 1, 500, -1])
def test_truncated_segment(tmp_path: Path, cut: int) -> None:
    """A segment that was cut off is refused by name."""
    filled(tmp_path, 1)
    (segment,) = (tmp_path / "hot").glob("day=*/*.arrow")
    segment.write_bytes(segment.read_bytes()[:cut])
    with pytest.raises(CorruptDataError, match=segment.name):
        list(open_store(tmp_path).run())
