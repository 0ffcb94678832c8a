"""The segment cache of a remote hot tier, on S3 and with several processes."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest

from cdrkit import CacheOptions, CallRecord, Query, field, open_store
from cdrkit.errors import ConfigError, CorruptDataError, StorageError
from cdrkit.storage.tiers.segment_cache import SegmentCache

START = datetime(2026, 11, 20, tzinfo=UTC)
_buckets = itertools.count()

pytestmark = pytest.mark.s3


@pytest.fixture
def remote(s3_options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a store of three days on S3, and the options that reach it."""
    bucket = f"cached-{next(_buckets)}"
    fsspec.filesystem("s3", **s3_options).mkdir(bucket)
    url = f"s3://{bucket}/calls"
    store = open_store(url, storage_options=s3_options, cache=CacheOptions(max_bytes=0))
    for day in range(3):
        at = START + timedelta(days=day)
        store.append(
            [CallRecord(call_id=f"{day}-{n}", start=at + timedelta(minutes=n), duration=n) for n in range(50)]
        )
    return url, s3_options


def copies(folder: Path) -> list[str]:
    """Return the names of the copies in a cache."""
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_segments_are_fetched_once(remote: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """A second process that shares the cache reads the segments from it, and gives the same calls."""
    url, options = remote
    cache = tmp_path / "cache"
    store = open_store(url, storage_options=options, cache=cache)
    expected = list(store.run())
    assert len(expected) == 150
    held = copies(cache)
    assert len(held) == 3
    assert os.stat(cache).st_mode & 0o077 == 0
    for entry in fsspec.filesystem("s3", **options).find(url):
        if entry.endswith(".arrow"):
            fsspec.filesystem("s3", **options).rm_file(entry)  # the copies are all there is now
    script = (
        "import json, sys, cdrkit; url, options, cache = json.loads(sys.argv[1]);"
        "print([c.call_id for c in cdrkit.open_store(url, storage_options=options, cache=cache).run()])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps([url, options, str(cache)])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str([call.call_id for call in expected])
    assert copies(cache) == held


def test_room_is_bounded(remote: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """The cache keeps to its room: the copies that were opened longest ago go."""
    url, options = remote
    cache = tmp_path / "cache"
    open_store(url, storage_options=options, cache=cache).count(Query().where())
    store = open_store(url, storage_options=options, cache=cache)
    list(store.run())
    size = max((cache / name).stat().st_size for name in copies(cache))
    small = tmp_path / "small"
    narrow = open_store(url, storage_options=options, cache=CacheOptions(small, max_bytes=size + size // 2))
    assert list(narrow.run()) == list(store.run())
    assert len(copies(small)) == 1


def test_room_is_made_of_copies_alone(tmp_path: Path) -> None:
    """No other file goes for room, however old; nor what another process is writing, unless it was killed long ago."""
    folder, now = tmp_path / "cache", time.time()
    folder.mkdir()
    ages = {
        "thesis.doc": 9e8,
        ".part-of-the-family": 9e8,
        f".part-{'a' * 16}": 3590,
        f".part-{'b' * 16}": 3610,
    }
    for name, age in ages.items():
        (folder / name).write_bytes(bytes(100))
        os.utime(folder / name, (now - age, now - age))
    cache = SegmentCache(str(folder), 350)
    first, second, third = (f"{number:012x}-{number:032x}" for number in range(3))
    for name in (first, f"{first}.index", second, third):
        assert Path(cache.copy_of(name, 100, lambda: bytes(100))).read_bytes() == bytes(100)
    assert copies(folder) == sorted([*list(ages)[:3], second, third])
    os.unlink(folder / f".part-{'a' * 16}")  # it counts as room, as long as it is there
    cache.copy_of(first, 100, lambda: bytes(100))
    assert copies(folder) == sorted([*list(ages)[:2], first, second, third])
    (folder / f".part-{'c' * 16}").write_bytes(bytes(9))
    os.utime(folder / f".part-{'c' * 16}", (0, 0))
    SegmentCache(str(folder), 1 << 30).copy_of(f"{first}.index", 9, lambda: bytes(9))
    assert f".part-{'c' * 16}" not in copies(folder), "it goes though there is room"


def test_processes_that_fill_at_once(tmp_path: Path) -> None:
    """Processes that fill one cache with more than it holds get whole copies all the time, and keep to its room."""
    script = (
        "import random, sys; from cdrkit.storage.tiers import SegmentCache\n"
        "cache, draw = SegmentCache(sys.argv[1], 300_000), random.Random(sys.argv[2])\n"
        "for number in (draw.randrange(20) for _ in range(200)):\n"
        "    path = cache.copy_of(f'{number:012x}-{number:032x}', 90_000, lambda: bytes([number]) * 90_000)\n"
        "    try: data = open(path, 'rb').read()\n"
        "    except FileNotFoundError: continue  # it made room for another one\n"
        "    assert data == bytes([number]) * 90_000\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "cache")]
    fillers = [subprocess.Popen([*command, str(seed)], stderr=subprocess.PIPE) for seed in range(3)]
    for filler in fillers:
        _, errors = filler.communicate(timeout=100)
        assert filler.returncode == 0, errors.decode()
    assert len(copies(tmp_path / "cache")) <= 3


def test_a_cache_that_vanishes(remote: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """When somebody removes the folder, open segments stay open, and others are fetched again."""
    url, options = remote
    store = open_store(url, storage_options=options, cache=tmp_path / "cache")
    expected = list(store.run())
    shutil.rmtree(tmp_path / "cache")
    assert list(store.run()) == expected
    assert copies(tmp_path / "cache") == []
    assert list(open_store(url, storage_options=options, cache=tmp_path / "cache").run()) == expected
    assert len(copies(tmp_path / "cache")) == 3


def test_a_damaged_copy_is_fetched_again(remote: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """A damaged copy raises an error once and is then fetched again; a short copy is fetched again at once."""
    url, options = remote
    cache = tmp_path / "cache"
    expected = list(open_store(url, storage_options=options, cache=cache).run())
    path = cache / copies(cache)[0]
    whole = path.read_bytes()
    path.write_bytes(bytes(len(whole)))
    store = open_store(url, storage_options=options, cache=cache)
    with pytest.raises(CorruptDataError, match="copy of .* Try again"):
        list(store.run())
    assert list(store.run()) == expected
    path.write_bytes(whole[:100])
    assert list(open_store(url, storage_options=options, cache=cache).run()) == expected


def test_unusable_caches_are_named(remote: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """A cache that cannot be written says what to do; a local store takes none."""
    url, options = remote
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="max_bytes=0"):
        list(open_store(url, storage_options=options, cache=tmp_path / "file" / "cache").run())
    with pytest.raises(ConfigError, match="needs no cache"):
        open_store(tmp_path, cache=tmp_path / "cache")


def test_copies_of_erased_calls_go_everywhere(remote: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    """Calls that one machine erases leave another machine's cache at its next query, also after a restart."""
    url, options = remote
    one, other, late = (
        open_store(url, storage_options=options, cache=tmp_path / name) for name in ("one", "other", "late")
    )
    for store in (one, other, late):
        assert len(list(store.run())) == 150
    held = set(copies(tmp_path / "other"))
    one.erase(Query().where(field("call_id") == "1-7"), reason="asked", dry_run=False)
    assert other.count() == 149
    restarted = open_store(url, storage_options=options, cache=tmp_path / "late")
    assert restarted.count() == 149
    for name in ("one", "other", "late"):
        assert len(held & set(copies(tmp_path / name))) == 2
